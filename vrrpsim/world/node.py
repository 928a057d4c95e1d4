"""A machine: power, pause, interfaces with addresses, a process table and its keepalived."""

from __future__ import annotations

from collections.abc import Mapping

from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.protocol.fsm import NEVER_NS
from vrrpsim.scenario.addressing import card, own_addresses
from vrrpsim.scenario.model import Node as NodeModel
from vrrpsim.scenario.model import Stalls
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import AddressChange, NodeChange, ProcessChange

from . import latencies
from .calendar import Call, Kind
from .checks import Check
from .context import Context
from .daemon import Daemon
from .frame import VrrpFrame
from .neighbours import Entry
from .port import Port
from .process import Life, RunningProcess
from .segment import Segment


class Node:
    """One machine of the scenario."""

    def __init__(
        self,
        context: Context,
        segments: Mapping[str, Segment[Port]],
        name: str,
        rank: int,
        model: NodeModel,
    ) -> None:
        self.context = context
        self.name = name
        self.rank = rank
        self.model = model
        self.up = True
        self.paused = False
        self.kernel_runs = True  # up and not paused: it sends, receives and answers
        self._changes = 0  # of the machine's state: each boot has a draw of its own
        self.starved: Distribution | None = None
        self._timeless = model.slop.kind == "none"
        self.drift = self.time(model.slop.drift or latencies.DRIFT)
        self.stalls: Stalls | None = model.slop.stalls
        self.ports: dict[str, Port] = {}
        self._own: dict[str, tuple[Address, ...]] = {}
        self._reports: dict[str, Call] = {}
        for interface, attachment in model.interfaces.items():
            mac = card(context.scenario, name, interface)
            segment = segments[attachment.segment]
            port = Port(context, segment, f"{name}:{interface}", rank, mac, self, model.neighbours)
            own = tuple(address.ip for address in own_addresses(attachment, mac))
            self._own[interface] = own
            port.local.update((address, mac) for address in own)
            self.ports[interface] = port
        self.services = {
            process: RunningProcess(context, name, rank, process, service, self.process_changed)
            for process, service in model.processes.items()
        }
        self.daemon: Daemon | None = None
        if model.keepalived is not None:
            self.daemon = Daemon(self, model.keepalived, DIALECTS[context.scenario.dialect_of(name)])
            for port in self.ports.values():
                port.hear_vrrp = self.daemon.receive

    # --- what others ask

    @property
    def known_processes(self) -> frozenset[str]:
        """The names a check can look for."""
        return frozenset((*self.services, "keepalived"))

    def time(self, distribution: Distribution) -> Distribution:
        """How long something takes here: nothing with `slop: none`."""
        return latencies.NONE if self._timeless else distribution

    def own_addresses(self, port: Port) -> tuple[Address, ...]:
        """The configured addresses of an interface, without virtual ones."""
        return self._own[port.interface]

    def primary_address(self, port: Port, family: int) -> Address | None:
        """The source of adverts: the first IPv4 address, or the IPv6 link-local one (§5.1)."""
        for address in self._own[port.interface]:
            if address.version == family and (family == 4 or address.is_link_local):
                return address
        return None

    def process_count(self, process: str) -> int:
        """How many processes of this name exist."""
        if process == "keepalived":
            return int(self.daemon is not None and self.daemon.exists)
        service = self.services.get(process)
        return int(service is not None and service.exists)

    def answer(self, check: Check) -> str:
        """What a check that looks now sees: pass, fail or hang."""
        if check.process is not None:
            return "pass" if self.process_count(check.process) else "fail"
        if check.port is None:
            return "pass"
        serving = [service for service in self.services.values() if check.port in service.model.serves]
        if any(service.serves for service in serving):
            return "pass"
        return "hang" if any(service.life is Life.FROZEN for service in serving) else "fail"

    def serves(self, port: str) -> bool:
        """Whether a request to this port ("80/tcp") is answered; a node without processes answers all."""
        if not self.services:
            return True
        return any(service.serves and port in service.model.serves for service in self.services.values())

    # --- power

    def boot(self) -> None:
        """Interfaces come up, then everything that is not started by hand starts."""
        self.up = True
        self._machine_is("on")
        for port in self.ports.values():
            port.reported = port.carrier
        self.start_processes()
        self.context.reconsider()

    def start_processes(self) -> None:
        """At boot: processes at their `starts`, unless that is `manual`."""
        for service in self.services.values():
            self._start_at(service.model.starts, service, service.name)
        if self.daemon is not None:
            self._start_at(self.daemon.model.starts, self.daemon, "keepalived")

    def _start_at(self, starts: object, process: RunningProcess | Daemon, name: str) -> None:
        if isinstance(starts, Distribution):
            delay_ns = self.context.streams.draw_ns(starts, f"starts/{self.name}/{name}")
            if delay_ns == 0 and isinstance(process, RunningProcess) and self._now_ns == 0:
                process.start()
            else:
                self._later(delay_ns, self._start, process)

    def _start(self, process: RunningProcess | Daemon) -> None:
        if self.up:
            process.start()

    def power_off(self) -> None:
        """Gone without a word: processes, addresses and caches with it."""
        if not self.up:
            return
        self.up = self.paused = False
        self._machine_is("off")
        if self.daemon is not None:
            self.daemon.kill()
        for service in self.services.values():
            service.kill()
        for port in self.ports.values():
            for address in [a for a in port.local if a not in self._own[port.interface]]:
                self.remove_address(port, address)
            port.virtual_macs.clear()
            port.cache.clear()
        for call in self._reports.values():
            call.cancel()
        self.context.reconsider()

    def power_on(self) -> None:
        """Boot, which takes its time."""
        if not self.up:
            delay_ns = self.context.streams.draw_ns(self.model.boots, f"boots/{self.name}/{self._changes}")
            self._later(delay_ns, self._boot_if_off)

    def _boot_if_off(self) -> None:
        if not self.up:
            self.boot()

    def pause(self) -> None:
        """The whole machine stands still; frames to it are lost."""
        if self.kernel_runs:
            self.paused = True
            if self.daemon is not None:
                self.daemon.disturb()
            self._machine_is("paused")
            if self.daemon is not None:
                self.daemon.look_up()
            self.context.reconsider()

    def resume(self) -> None:
        """It goes on as if no time had passed, but the clock has: overdue timers fire once."""
        if self.up and self.paused:
            self.paused = False
            self._machine_is("on")
            for port in self.ports.values():
                port.cache.resume()
            if self.daemon is not None:
                self.daemon.resume()
            self.context.reconsider()

    def _machine_is(self, state: str) -> None:
        self.kernel_runs = state == "on"
        self._changes += 1
        self.context.trace.records.append(NodeChange(self._now_ns, self.name, state))

    def starve(self, delay: Distribution | None) -> None:
        """Serve timers and packets this much late; None: no longer."""
        self.starved = delay
        if self.daemon is not None:
            self.daemon.be_irregular(NEVER_NS if delay is not None else 0)
            self.daemon.look_up()

    # --- interfaces and addresses

    def set_link(self, interface: str, up: bool) -> None:
        """Carrier lost or back; down is known at once, up when the kernel's link watch says so."""
        port = self.ports[interface]
        if port.carrier == up:
            return
        port.carrier = up
        pending = self._reports.pop(interface, None)
        if pending is not None:
            pending.cancel()
        if not up:
            port.cache.clear()  # neigh_carrier_down
            self._report_link(port, False)
        else:
            purpose = f"carrier/{port.name}/{self._now_ns}"
            delay_ns = self.context.streams.draw_ns(self.time(latencies.CARRIER_UP), purpose)
            self._reports[interface] = self._later(delay_ns, self._report_link, port, True)
        self.context.reconsider()

    def _report_link(self, port: Port, up: bool) -> None:
        if port.reported != up and self.up:
            port.reported = up
            if self.daemon is not None:
                self.daemon.interface_changed(port.interface, up)

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

    def flush_address(self, address: Address) -> None:
        """Somebody else removes it, and keepalived hears of that by netlink."""
        for interface, port in self.ports.items():
            if address in port.local:
                self.remove_address(port, address)
                if self.daemon is not None:
                    self.daemon.address_removed(interface, address)

    def _record_address(self, port: Port, address: Address, present: bool) -> None:
        self.context.trace.records.append(
            AddressChange(self._now_ns, self.name, port.interface, str(address), present)
        )

    # --- what happens to it

    def hear_vrrp(self, port: Port, frame: VrrpFrame) -> None:
        """A VRRP packet reached a kernel whose keepalived would get it at once: here there is none."""

    def neighbour_moved(self, port: Port, entry: Entry) -> None:
        """Nothing that a node would do about it."""

    def process_changed(self, service: RunningProcess) -> None:
        """A process lives, serves, freezes or died."""
        self.context.trace.records.append(
            ProcessChange(self._now_ns, self.name, service.name, service.life.value)
        )
        if self.daemon is not None:
            self.daemon.disturb()
            self.daemon.process_changed(service.name)
            if service.serves:
                self.daemon.scripts.look_again()
        self.context.reconsider()

    def daemon_changed(self, daemon: Daemon) -> None:
        """Keepalived started, runs, froze or died."""
        self.context.trace.records.append(ProcessChange(self._now_ns, self.name, "keepalived", daemon.life))

    @property
    def _now_ns(self) -> int:
        return self.context.calendar.now_ns

    def _later(self, delay_ns: int, function: object, *arguments: object) -> Call:
        calendar = self.context.calendar
        return calendar.at(calendar.now_ns + delay_ns, Kind.KERNEL, self.rank, function, *arguments)  # type: ignore[arg-type]
