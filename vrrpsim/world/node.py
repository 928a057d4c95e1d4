"""A node: a machine with its keepalived, and what befalls it: power, pause, cables."""

from __future__ import annotations

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
from .port import Port
from .process import RunningProcess


class Node(Machine):
    """One node of the scenario."""

    def __init__(self, context: Context, segments: Segments, name: str, rank: int, model: NodeModel) -> None:
        super().__init__(context, segments, name, rank, model)
        self.paused = False
        self._changes = 0  # of the machine's state: each boot has a draw of its own
        self._reports = {  # of a carrier that is back
            interface: Alarm(context.calendar, Kind.KERNEL, rank) for interface in self.ports
        }
        self.daemon: Daemon | None = None
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
        for process in self.processes.values():
            process.kill()
        for port in self.ports.values():
            for address in [a for a in port.local if a not in self._own[port.interface]]:
                self.remove_address(port, address)
            port.virtual_macs.clear()
            port.cache.clear()
        for report in self._reports.values():
            report.cancel()
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
        """Carrier lost or back; down is known at once, up when the kernel's link watch says so."""
        port = self.ports[interface]
        if port.carrier == up:
            return
        port.carrier = up
        self._reports[interface].cancel()
        if not up:
            port.cache.clear()  # neigh_carrier_down
            self._report_link(port, False)
        else:
            purpose = f"carrier/{port.name}/{self._now_ns}"
            delay_ns = self.context.streams.draw_ns(self.time(latencies.CARRIER_UP), purpose)
            self._reports[interface].set(delay_ns, self._report_link, port, True)
        self.context.reconsider()

    def _report_link(self, port: Port, up: bool) -> None:
        if port.reported != up and self.up:
            port.reported = up
            if self.daemon is not None:
                self.daemon.interface_changed(port.interface, up)

    def flush_address(self, address: Address) -> None:
        """Somebody else removes it, and keepalived hears of that by netlink."""
        for interface, port in self.ports.items():
            if address in port.local:
                self.remove_address(port, address)
                if self.daemon is not None:
                    self.daemon.address_removed(interface, address)

    # --- what happens to it

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
        return self.context.calendar.now_ns

    def _later(self, delay_ns: int, function: object, *arguments: object) -> Call:
        calendar = self.context.calendar
        return calendar.at(calendar.now_ns + delay_ns, Kind.KERNEL, self.rank, function, *arguments)  # type: ignore[arg-type]
