"""A machine as its processes find it: a kernel, network cards with addresses, a process table."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from vrrpsim.keepalived.commands import Check
from vrrpsim.protocol.addresses import cached
from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.addressing import card, own_addresses
from vrrpsim.scenario.model import Node as NodeModel
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import AddressChange, Life

from . import latencies
from .context import Context
from .frame import VrrpFrame
from .neighbours import Entry
from .port import Port, PortUser
from .process import RunningProcess
from .segment import Segment

Segments = Mapping[str, Segment[Port]]
Network = IPv4Network | IPv6Network


class Lives(Protocol):
    """What stands in the process table."""

    life: Life


class Machine(PortUser):
    """What a node is without its keepalived and what befalls it."""

    def __init__(self, context: Context, segments: Segments, name: str, rank: int, model: NodeModel) -> None:
        self.context = context
        self.name = name
        self.rank = rank
        self.model = model
        self.up = True
        self.starved: Distribution | None = None
        self.ports: dict[str, Port] = {}
        self._own: dict[str, tuple[Address, ...]] = {}  # given by others than keepalived, there or not
        self.files: dict[str, int] = {}  # what tracked files hold, by name
        self._networks: dict[tuple[str, Address], Network] = {}  # that an address of an interface lies in
        for interface, attachment in model.interfaces.items():
            mac = card(context.scenario, name, interface, rank)
            segment = segments[attachment.segment]
            port = Port(context, segment, f"{name}:{interface}", rank, mac, self, model.neighbours)
            networks = own_addresses(attachment, mac)
            own = tuple(cached(address.ip) for address in networks)
            self._own[interface] = own
            self._networks.update(
                {(interface, ip): each.network for ip, each in zip(own, networks, strict=True)}
            )
            self.ports[interface] = port
            self.configure(port)
        self.configured = dict(self._own)  # by the network configuration
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
        if check.never:
            return "fail"
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

    def configure(self, port: Port) -> None:
        """The network configuration gives an interface its addresses."""
        for address in self._own[port.interface]:
            self.add_address(port, address, port.mac)

    def own_addresses(self, port: Port) -> tuple[Address, ...]:
        """The configured addresses that an interface has now, without virtual ones."""
        return tuple(address for address in self._own[port.interface] if address in port.local)

    def primary_address(self, port: Port, family: int) -> Address | None:
        """The source of adverts: the first IPv4 address, or the IPv6 link-local one (§5.1)."""
        for address in self.own_addresses(port):
            if address.version == family and (family == 4 or address.is_link_local):
                return address
        return None

    def route(self, destination: Address, usual: Port | None) -> Port | None:
        """The card that unicast packets leave by: the nearest network's, else the usual way out.

        None: an interface without an address has no way to anybody.
        """
        if destination.is_multicast or destination.is_link_local:
            return usual
        fitting = [
            (network.prefixlen, interface)
            for (interface, address), network in self._networks.items()
            if address in self.ports[interface].local and destination in network
        ]
        if fitting:
            nearest = max(prefix for prefix, _ in fitting)
            names = [interface for prefix, interface in fitting if prefix == nearest]
            return usual if usual is not None and usual.interface in names else self.ports[names[0]]
        return (
            usual
            if usual is not None and any(each.version == destination.version for each in usual.local)
            else None
        )

    def add_address(self, port: Port, address: Address, mac: bytes, network: Network | None = None) -> None:
        """The kernel has the address now; adding it again is not an error."""
        if network is not None:
            self._networks[port.interface, address] = network
        source = self.primary_address(port, address.version)
        if address not in port.local:
            self._record_address(port, address, True)
        port.local[address] = mac
        self._look_at_source(port, address.version, source)
        self.context.reconsider()

    def remove_address(self, port: Port, address: Address) -> list[Address]:
        """The kernel no longer has the address; a missing one is not an error. What is gone, in order.

        The first IPv4 address of a network takes those added later with it (no `promote_secondaries`).
        """
        if address not in port.local:
            return []
        source = self.primary_address(port, address.version)
        network, held = self._networks.get((port.interface, address)), list(port.local)
        gone = [address]
        if address.version == 4 and network is not None:
            alike = [each for each in held if self._networks.get((port.interface, each)) == network]
            gone = [*alike[1:], address] if alike[0] == address else gone
        for each in gone:
            del port.local[each]
            self._record_address(port, each, False)
        self._look_at_source(port, address.version, source)
        self.context.reconsider()
        return gone

    def _look_at_source(self, port: Port, family: int, before: Address | None) -> None:
        after = self.primary_address(port, family)
        if after != before:
            self.source_changed(port, family, after)

    def source_changed(self, port: Port, family: int, source: Address | None) -> None:
        """The interface sends from another address now, or from none."""

    def _record_address(self, port: Port, address: Address, present: bool) -> None:
        if address in self._own[port.interface] and address not in self.context.virtual:
            return  # its owner is no question
        now_ns = self.context.agenda.now_ns
        self.context.trace.add(AddressChange(now_ns, self.name, port.interface, str(address), present))

    def hear_vrrp(self, port: Port, frame: VrrpFrame) -> None:
        """A VRRP packet reached a kernel whose keepalived would get it at once: here there is none."""

    def neighbour_moved(self, port: Port, entry: Entry) -> None:
        """Nothing that a node would do about it."""

    def light(self, port: Port, up: bool) -> None:
        """Nothing that a node would do about it."""
