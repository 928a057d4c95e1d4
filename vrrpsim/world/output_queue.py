"""What the router of a simulated daemon wants done: one thing after the other, each in its time.

Frames leave, addresses come and go, and the trace is told. Addresses and announcements take the time that a
real machine needs for them (personality.py); the rest is done at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vrrpsim.protocol.frames import mac_text
from vrrpsim.protocol.fsm import Log
from vrrpsim.protocol.outputs import (
    AddAddresses,
    AdvertDropped,
    KillScript,
    Output,
    PriorityChanged,
    RemoveAddresses,
    RunNotify,
    RunScript,
    SendAdvert,
    SendGratuitous,
    StateChanged,
    TrackerChanged,
)
from vrrpsim.trace import (
    AdvertRejected,
    AdvertSent,
    Gratuitous,
    Level,
    LogLine,
    Notification,
    PriorityChange,
    Record,
    StateChange,
    TrackerChange,
)

from . import latencies
from .calendar import Call
from .frame import GRATUITOUS, NeighbourFrame, VrrpFrame

if TYPE_CHECKING:
    from .daemon import Daemon
    from .port import Port

COSTLY = (AddAddresses, RemoveAddresses, SendGratuitous)  # the others take no time of their own
ADVERTS_KEPT = 4096  # frames remembered; an instance repeats a handful


class OutputQueue:
    """The outputs of one daemon's router, in order."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.node = daemon.node
        self.context = daemon.context
        self._todo: deque[Output] = deque()
        self._busy: Call | None = None
        self._adverts: dict[int, tuple[Port, VrrpFrame, str, SendAdvert]] = {}
        self._announcements: dict[int, tuple[Port, NeighbourFrame, str, SendGratuitous]] = {}
        self._ways: dict[type[Output], Callable[[Any], None]] = {
            SendAdvert: self._send_advert,
            StateChanged: self._state_changed,
            PriorityChanged: self._priority_changed,
            TrackerChanged: self._tracker_changed,
            AddAddresses: self._add,
            RemoveAddresses: self._remove,
            SendGratuitous: self._announce,
            RunScript: daemon.scripts.begin,
            KillScript: daemon.scripts.kill,
            AdvertDropped: self._advert_dropped,
            RunNotify: self._notify,
            Log: self._log,
        }

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        return not self._todo and self._busy is None

    def do(self, outputs: Sequence[Output]) -> None:
        """Each takes its time before it has happened, and waits for those before it."""
        if len(outputs) == 1 and type(outputs[0]) is SendAdvert and self.done and not self.daemon.blocked:
            self._send_advert(outputs[0])  # the rhythm of a Master, without ceremony
        else:
            self._todo.extend(outputs)
            self.go_on()

    def go_on(self) -> None:
        """Do what takes no time at once, and come back for the rest."""
        todo, daemon = self._todo, self.daemon
        while todo and self._busy is None and not daemon.blocked:
            output = todo.popleft()
            kind = type(output)
            cost_ns = self._cost_ns(output) if kind in COSTLY else 0
            if cost_ns:
                self._busy = daemon.later(cost_ns, self._finish, output)
            else:
                self._ways[kind](output)

    def _finish(self, output: Output) -> None:
        self._busy = None
        if self.daemon.blocked:
            self._todo.appendleft(output)
            return
        self._ways[type(output)](output)
        self.go_on()

    def forget(self) -> None:
        """The daemon died: what it had not done is left undone."""
        if self._busy is not None:
            self._busy.cancel()
            self._busy = None
        self._todo.clear()

    def _cost_ns(self, output: Output) -> int:
        match output:
            case AddAddresses(addresses=addresses):
                more_ns = (len(addresses) - 1) * self.daemon.draw_ns(latencies.ANOTHER_ADDRESS)
                return self.daemon.draw_ns(latencies.ADD_ADDRESS) + more_ns
            case RemoveAddresses(addresses=addresses):
                there = sum(self._has(output, entry.address) for entry in addresses)
                if not there:
                    return 0
                more_ns = (there - 1) * self.daemon.draw_ns(latencies.ANOTHER_ADDRESS)
                return self.daemon.draw_ns(latencies.REMOVE_ADDRESS) + more_ns
            case _:
                return self.daemon.draw_ns(latencies.GRATUITOUS_FRAME)

    def _record(self, record: Record, level: Level = Level.STATES) -> None:
        trace = self.context.trace
        if trace.level >= level:
            trace.records.append(record)

    def _state_changed(self, output: StateChanged) -> None:
        old, new = output.old.name, output.new.name
        self._record(
            StateChange(
                self.daemon.now_ns,
                self.node.name,
                output.instance,
                old,
                new,
                output.reason,
                output.last_advert_ns,
            )
        )

    def _priority_changed(self, output: PriorityChanged) -> None:
        self._record(PriorityChange(self.daemon.now_ns, self.node.name, *output))

    def _tracker_changed(self, output: TrackerChanged) -> None:
        self._record(TrackerChange(self.daemon.now_ns, self.node.name, *output))

    def _advert_dropped(self, output: AdvertDropped) -> None:
        self.daemon.meet_rival()
        source, reason = str(output.source), output.reason.value
        rejected = AdvertRejected(self.daemon.now_ns, self.node.name, output.instance, source, reason)
        self._record(rejected, Level.ADVERTS)

    def _notify(self, output: RunNotify) -> None:
        self._record(Notification(self.daemon.now_ns, self.node.name, *output), Level.ALL)

    def _log(self, output: Log) -> None:
        if self.context.trace.level >= Level.ALL and not output.detail:
            self._record(LogLine(self.daemon.now_ns, self.node.name, str(output)))

    def _send_advert(self, output: SendAdvert) -> None:
        known = self._adverts.get(id(output)) or self.advert_frame(output)
        if known is None:
            return
        port, frame, destination, _ = known
        trace = self.context.trace
        if trace.level >= Level.ADVERTS:
            trace.records.append(
                AdvertSent(self.daemon.now_ns, self.node.name, output.instance, output.priority, destination)
            )
        port.send_ip(frame)

    def advert_frame(self, output: SendAdvert) -> tuple[Port, VrrpFrame, str, SendAdvert] | None:
        """The frame of an advert. The router repeats the same output, so it is built once."""
        known = self._adverts.get(id(output))
        port = self.node.ports.get(output.interface)
        if known is not None or port is None:
            return known
        source_mac = output.virtual_mac or port.mac
        frame = VrrpFrame(source_mac, output.source, output.destination, output.ttl, output.payload)
        if len(self._adverts) > ADVERTS_KEPT:
            self._adverts.clear()
        known = self._adverts[id(output)] = (port, frame, str(output.destination), output)
        return known

    def _port_of(self, instance: str, interface: str) -> Port | None:
        """The card behind an interface; a macvlan lives on its instance's card."""
        port = self.node.ports.get(interface)
        if port is None:
            for config in self.daemon.config.instances:
                if config.name == instance or config.vmac_interface == interface:
                    return self.node.ports.get(config.interface)
        return port

    def _has(self, output: RemoveAddresses, address: Any) -> bool:
        port = self._port_of(output.instance, output.interface)
        return port is not None and address in port.local

    def _add(self, output: AddAddresses) -> None:
        port = self._port_of(output.instance, output.interface)
        if port is None:
            return
        if output.virtual_mac is not None:
            port.virtual_macs[output.interface] = output.virtual_mac
        for entry in output.addresses:
            self.node.add_address(port, entry.address, output.virtual_mac or port.mac)

    def _remove(self, output: RemoveAddresses) -> None:
        port = self._port_of(output.instance, output.interface)
        if port is None:
            return
        for entry in output.addresses:
            self.node.remove_address(port, entry.address)
        if port.virtual_macs.get(output.interface) not in port.local.values():
            port.virtual_macs.pop(output.interface, None)

    def _announce(self, output: SendGratuitous) -> None:
        known = self._announcements.get(id(output)) or self._announcement(output)
        if known is None:
            return
        port, frame, address, _ = known
        trace = self.context.trace
        if trace.level >= Level.ADVERTS:
            mac = mac_text(frame.sender_mac)
            trace.records.append(
                Gratuitous(self.daemon.now_ns, self.node.name, output.interface, address, mac)
            )
        port.transmit(frame)

    def _announcement(
        self, output: SendGratuitous
    ) -> tuple[Port, NeighbourFrame, str, SendGratuitous] | None:
        """The frame of an announcement; a burst repeats the same output."""
        port = self._port_of(output.instance, output.interface)
        if port is None:
            return None
        mac = output.virtual_mac or port.mac
        frame = NeighbourFrame(GRATUITOUS, mac, output.address, output.address)
        if output.target_is_sender:
            frame.target_mac = mac
        if len(self._announcements) > ADVERTS_KEPT:
            self._announcements.clear()
        known = self._announcements[id(output)] = (port, frame, str(output.address), output)
        return known
