"""A machine as its processes find it: a kernel, network cards with addresses, a process table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.addressing import card, own_addresses
from vrrpsim.scenario.model import Node as NodeModel
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import AddressChange, Life

from . import latencies
from .checks import Check
from .context import Context
from .frame import VrrpFrame
from .neighbours import Entry
from .port import Port
from .process import RunningProcess
from .segment import Segment

Segments = Mapping[str, Segment[Port]]


class Lives(Protocol):
    """What stands in the process table."""

    life: Life


class Machine:
    """What a node is without its keepalived and what befalls it."""

    def __init__(self, context: Context, segments: Segments, name: str, rank: int, model: NodeModel) -> None:
        self.context = context
        self.name = name
        self.rank = rank
        self.model = model
        self.up = True
        self.kernel_runs = True  # up and not paused: it sends, receives and answers
        self.starved: Distribution | None = None
        self.ports: dict[str, Port] = {}
        self._own: dict[str, tuple[Address, ...]] = {}
        for interface, attachment in model.interfaces.items():
            mac = card(context.scenario, name, interface)
            segment = segments[attachment.segment]
            port = Port(context, segment, f"{name}:{interface}", rank, mac, self, model.neighbours)
            own = tuple(address.ip for address in own_addresses(attachment, mac))
            self._own[interface] = own
            port.local.update((address, mac) for address in own)
            self.ports[interface] = port
        self.processes = {
            process: RunningProcess(context, name, rank, process, each, self.process_changed)
            for process, each in model.processes.items()
        }
        self.table: dict[str, Lives] = {**self.processes}

    def time(self, distribution: Distribution) -> Distribution:
        """How long something takes here: nothing with `slop: none`."""
        return latencies.NONE if self.model.slop.kind == "none" else distribution

    # --- processes

    def process_count(self, process: str) -> int:
        """How many processes of this name exist."""
        return int(process in self.table and self.table[process].life is not Life.DEAD)

    def answer(self, check: Check) -> str:
        """What a check that looks now sees: pass, fail or hang."""
        if check.process is not None:
            return "pass" if self.process_count(check.process) else "fail"
        if check.port is None:
            return "pass"
        serving = [each for each in self.processes.values() if check.port in each.model.serves]
        if any(each.serves for each in serving):
            return "pass"
        return "hang" if any(each.life is Life.FROZEN for each in serving) else "fail"

    def serves(self, port: str) -> bool:
        """Whether a request to this port ("80/tcp") is answered; a node without processes answers all."""
        if not self.processes:
            return True
        return any(each.serves and port in each.model.serves for each in self.processes.values())

    def process_changed(self, process: RunningProcess) -> None:
        """A process lives, serves, freezes or died."""
        raise NotImplementedError

    # --- addresses

    def own_addresses(self, port: Port) -> tuple[Address, ...]:
        """The configured addresses of an interface, without virtual ones."""
        return self._own[port.interface]

    def primary_address(self, port: Port, family: int) -> Address | None:
        """The source of adverts: the first IPv4 address, or the IPv6 link-local one (§5.1)."""
        for address in self._own[port.interface]:
            if address.version == family and (family == 4 or address.is_link_local):
                return address
        return None

    def add_address(self, port: Port, address: Address, mac: bytes) -> None:
        """The kernel has the address now; adding it again is not an error."""
        if address not in port.local:
            self._record_address(port, address, True)
        port.local[address] = mac
        self.context.reconsider()

    def remove_address(self, port: Port, address: Address) -> None:
        """The kernel no longer has the address; a missing one is not an error."""
        if address in port.local and address not in self._own[port.interface]:
            del port.local[address]
            self._record_address(port, address, False)
            self.context.reconsider()

    def _record_address(self, port: Port, address: Address, present: bool) -> None:
        now_ns = self.context.calendar.now_ns
        self.context.trace.add(AddressChange(now_ns, self.name, port.interface, str(address), present))

    def hear_vrrp(self, port: Port, frame: VrrpFrame) -> None:
        """A VRRP packet reached a kernel whose keepalived would get it at once: here there is none."""

    def neighbour_moved(self, port: Port, entry: Entry) -> None:
        """Nothing that a node would do about it."""
