"""A node: a machine with its keepalived, and what befalls it: power, pause, cables."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

from vrrpsim.protocol.addresses import cached
from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.protocol.fsm import NEVER_NS
from vrrpsim.scenario.model import Node as NodeModel
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import NodeChange, ProcessChange

from . import latencies
from .calendar import Alarm, Call, Kind
from .context import Context
from .daemon import Daemon
from .machine import Machine, Segments
from .neighbours import USABLE, Entry
from .port import Port
from .process import RunningProcess

UNPLUGGED, NO_LIGHT, SET_DOWN, DELETED = "unplugged", "no light", "set down", "deleted"
LINK_WATCH_NS: Final = 1_000_000_000  # linkwatch_run_queue: one pass a second, but for a carrier that is back


class Node(Machine):
    """One node of the scenario."""

    def __init__(self, context: Context, segments: Segments, name: str, rank: int, model: NodeModel) -> None:
        self.daemon: Daemon | None = None
        super().__init__(context, segments, name, rank, model)
        self.paused = False
        self._changes = 0  # of the machine's state: each boot has a draw of its own
        self._dark: dict[str, set[str]] = {name: set() for name in self.ports}  # why each has no carrier
        self._watched_ns = -LINK_WATCH_NS  # when the kernel looked at carriers last, or will
        self._reports = {  # of a carrier that is back
            interface: Alarm(context.agenda, Kind.KERNEL, rank) for interface in self.ports
        }
        if model.keepalived is not None:
            self.daemon = Daemon(self, model.keepalived, DIALECTS[context.scenario.dialect_of(name)])
            self.table["keepalived"] = self.daemon
            for port in self.ports.values():
                port.hear_vrrp = self.daemon.receive

    # --- power

    def boot(self) -> None:
        """Interfaces come up, then everything that is not started by hand starts."""
        self.up = True
        self._machine_is("on")
        for port in self.ports.values():
            port.reported = port.carrier
            self._own[port.interface] = self.configured[port.interface]
            self.configure(port)
            port.segment.link_changed(port, port.carrier)
        self.start_processes()
        self.context.reconsider()

    def start_processes(self) -> None:
        """At boot: processes at their `starts`, unless that is `manual`."""
        for each in (*self.processes.values(), self.daemon):
            if each is not None:
                self._start_at(each.model.starts, each)

    def _start_at(self, starts: object, process: RunningProcess | Daemon) -> None:
        if isinstance(starts, Distribution):
            delay_ns = self.context.streams.draw_ns(starts, f"starts/{self.name}/{process.name}")
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
            self.daemon.notifies.forget()
        for process in self.processes.values():
            process.kill()
        for port in self.ports.values():
            for address in list(port.local):
                self.remove_address(port, address)
            port.virtual_macs.clear()
            port.dropped.clear()
            port.cache.clear()
            port.segment.link_changed(port, False)
        for report in self._reports.values():
            report.cancel()
        self._watched_ns = -LINK_WATCH_NS
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
                self.daemon.wakeups.refresh()
            self.context.reconsider()

    def resume(self) -> None:
        """It goes on as if no time had passed, but the clock has: overdue timers fire once."""
        if self.up and self.paused:
            self.paused = False
            self._machine_is("on")
            for port in self.ports.values():
                port.cache.resume()
            if self.daemon is not None:
                self.daemon.wakeups.resume()
                self.daemon.notifies.resume()
            self.context.reconsider()

    def _machine_is(self, state: str) -> None:
        self.kernel_runs = state == "on"
        self._changes += 1
        self.context.trace.add(NodeChange(self._now_ns, self.name, state))

    def starve(self, delay: Distribution | None) -> None:
        """Serve timers and packets this much late; None: no longer."""
        self.starved = delay
        if self.daemon is not None:
            self.daemon.wakeups.irregular_until(NEVER_NS if delay is not None else 0)
            self.daemon.wakeups.refresh()

    # --- interfaces and addresses

    def set_link(self, interface: str, up: bool) -> None:
        """The cable or the switch's port: what is back is known at once, what is lost by link watch."""
        self._turn(interface, UNPLUGGED, up)
        self._look_at_link(interface, at_once=up)

    def light(self, port: Port, up: bool) -> None:
        """The same, for what is at the other end of the cable."""
        self._turn(port.interface, NO_LIGHT, up)
        self._look_at_link(port.interface, at_once=up)

    def set_interface(self, interface: str, up: bool) -> None:
        """`ip link set down` is known at once, `up` by link watch; of IPv6 the link-local one returns."""
        if not self._turn(interface, SET_DOWN, up):
            return
        port = self.ports[interface]
        self._look_at_link(interface, at_once=not up)
        own = [address for address in self._own[interface] if address.version == 6]
        if up:
            for address in own:
                if address.is_link_local:
                    self._later(self.draw_ns(latencies.DAD, port), self._arrive, port, address)
        else:
            for address in [each for each in port.local if each.version == 6]:
                self.lose_address(port, address)

    def set_present(self, interface: str, present: bool) -> None:
        """`ip link del`, and the same interface made again: up, with its addresses."""
        if not self._turn(interface, DELETED, present):
            return
        port = self.ports[interface]
        if present:
            self._later(self.draw_ns(latencies.NEW_INTERFACE, port), self._made, port)
        else:
            self._look_at_link(interface, at_once=True)
            lost = [each for address in list(port.local) for each in self.remove_address(port, address)]
            if self.daemon is not None:
                self.daemon.outputs.routes_changed()
                self.daemon.interface_deleted(interface, lost)

    def _made(self, port: Port) -> None:
        self._look_at_link(port.interface, at_once=True)
        for address in self._own[port.interface]:
            delay_ns = self.draw_ns(latencies.DAD, port) if address.version == 6 else 0
            self._later(delay_ns, self._arrive, port, address)

    def _arrive(self, port: Port, address: Address) -> None:
        if port.carrier and self.up and address not in port.local:
            self.add_address(port, address, port.mac)
            if self.daemon is not None:
                self.daemon.outputs.routes_changed()

    def _turn(self, interface: str, why: str, up: bool) -> bool:
        """One reason to have no carrier comes or goes; return whether it did."""
        reasons = self._dark[interface]
        if (why in reasons) is not up:
            return False
        (reasons.remove if up else reasons.add)(why)
        return True

    def _look_at_link(self, interface: str, at_once: bool) -> None:
        port = self.ports[interface]
        carrier = not self._dark[interface]
        if port.carrier == carrier:
            return
        port.carrier = carrier
        port.segment.link_changed(port, carrier and self.up)
        self._reports[interface].cancel()
        delay_ns = 0 if at_once else self._link_watch_ns(port)
        if delay_ns:
            self._reports[interface].set(delay_ns, self._report_link, port, carrier)
        else:
            self._report_link(port, carrier)
        self.context.reconsider()

    def _link_watch_ns(self, port: Port) -> int:
        """When the kernel looks at carriers: at once, but for a second after it did so last (S6)."""
        now_ns, last_ns = self._now_ns, self._watched_ns
        if now_ns >= last_ns + LINK_WATCH_NS:
            self._watched_ns = now_ns
        elif now_ns > last_ns:
            self._watched_ns = last_ns + LINK_WATCH_NS + self.draw_ns(latencies.LINK_WATCH_TICK, port)
        return self._watched_ns - now_ns

    def draw_ns(self, distribution: Distribution, port: Port) -> int:
        """How long something takes the kernel at this instant."""
        purpose = f"carrier/{port.name}/{self._now_ns}"
        return self.context.streams.draw_ns(self.time(distribution), purpose)

    def _report_link(self, port: Port, up: bool) -> None:
        if port.reported != up and self.up:
            port.reported = up
            if not up:
                port.cache.clear()  # neigh_carrier_down
            if self.daemon is not None:
                self.daemon.interface_changed(port.interface, up)

    def flush_address(self, address: Address) -> None:
        """Somebody else removes it, and keepalived hears of that by netlink."""
        for port in self.ports.values():
            self.lose_address(port, address)

    def give_address(self, interface: str, address: IPv4Interface | IPv6Interface) -> None:
        """Somebody else adds it, until the machine boots anew."""
        port = self.ports[interface]
        ip = cached(address.ip)
        if ip not in self._own[interface]:
            self._own[interface] = (*self._own[interface], ip)
        self.add_address(port, ip, port.mac, address.network)
        if self.daemon is not None:
            self.daemon.outputs.routes_changed()

    def write_file(self, name: str, value: int) -> None:
        """Somebody writes a tracked file."""
        self.files[name] = value
        if self.daemon is not None:
            self.daemon.file_changed(name, value)

    def lose_address(self, port: Port, address: Address) -> None:
        """It is gone from the interface, and others that depend on it with it; keepalived hears of each."""
        for each in self.remove_address(port, address):
            if self.daemon is not None:
                self.daemon.outputs.routes_changed()
                self.daemon.address_removed(port.interface, each)

    def source_changed(self, port: Port, family: int, source: Address | None) -> None:
        """Netlink says so."""
        if self.daemon is not None and self.up:
            self.daemon.source_changed(port.interface, family, source)

    # --- what happens to it

    def neighbour_moved(self, port: Port, entry: Entry) -> None:
        """The neighbour has another MAC now, or none."""
        if self.daemon is not None and entry.state in USABLE:
            self.daemon.scripts.neighbour_found()
        if self.model.forwards or self.model.gateway is not None:
            self.context.reconsider()

    def process_changed(self, process: RunningProcess) -> None:
        """A process lives, serves, freezes or died."""
        self.context.trace.add(ProcessChange(self._now_ns, self.name, process.name, process.life.value))
        if self.daemon is not None:
            self.daemon.disturb()
            self.daemon.process_changed(process.name)
            if process.serves:
                self.daemon.scripts.look_again()
        self.context.reconsider()

    @property
    def _now_ns(self) -> int:
        return self.context.agenda.now_ns

    def _later(self, delay_ns: int, function: object, *arguments: object) -> Call:
        agenda = self.context.agenda
        return agenda.at(agenda.now_ns + delay_ns, Kind.KERNEL, self.rank, function, *arguments)  # type: ignore[arg-type]
