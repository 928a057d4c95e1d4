"""What the router of a simulated daemon wants done: one thing after the other, each in its time.

Frames leave, addresses come and go, and the trace is told. Addresses and announcements take the time that a
real machine needs for them (latencies.py); the rest is done at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

from vrrpsim.protocol.configuration import RouterConfig
from vrrpsim.protocol.outputs import (
    AddAddresses,
    AdvertDropped,
    KillScript,
    Output,
    RemoveAddresses,
    RunNotify,
    RunScript,
    SendAdvert,
    SendGratuitous,
)
from vrrpsim.protocol.packet import Datagram
from vrrpsim.recording import LEVELS, record_of
from vrrpsim.trace import Level, Record

from . import latencies
from .calendar import Alarm, Kind
from .frame import GRATUITOUS, NeighbourFrame, VrrpFrame
from .machine import Machine
from .notify_runner import NotifyRunner
from .port import Port
from .script_runner import ScriptRunner
from .wakeups import Wakeups


class Work(NamedTuple):
    """The daemon is busy for a while before it does what follows."""

    lasts_ns: int


COSTLY: Final = (Work, AddAddresses, RemoveAddresses, SendGratuitous)  # the others take no time of their own
FRAMES_KEPT: Final = 4096  # an instance repeats a handful


class Prepared(NamedTuple):
    """A frame that may be sent again, with its record; `output` is kept so that its id stays its own."""

    port: Port
    frame: VrrpFrame | NeighbourFrame
    record: type[Record]
    said: tuple[Any, ...]  # all of it but the instant
    output: SendAdvert | SendGratuitous


class OutputQueue:
    """The outputs of one daemon's router, in order."""

    config: RouterConfig  # of the daemon, as last read

    def __init__(
        self, machine: Machine, wakeups: Wakeups, scripts: ScriptRunner, notifies: NotifyRunner
    ) -> None:
        self._machine = machine
        self._notifies = notifies
        self._wakeups = wakeups
        self._trace = machine.context.trace
        self._agenda = machine.context.agenda
        self._todo: deque[Output | Work] = deque()
        self._busy = Alarm(self._agenda, Kind.TIMER, machine.rank)  # until this is done
        self._frames: dict[int, Prepared] = {}  # by the identity of their outputs
        self._ways: dict[type[Output | Work], Callable[[Any], None]] = {
            Work: lambda work: None,
            **dict.fromkeys(LEVELS, self._record),
            SendAdvert: self._send,
            AddAddresses: self._add,
            RemoveAddresses: self._remove,
            SendGratuitous: self._send,
            RunNotify: self._notify,
            RunScript: scripts.begin,
            KillScript: scripts.kill,
            AdvertDropped: self._advert_dropped,
        }

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        return not self._todo

    def do(self, outputs: Sequence[Output]) -> None:
        """Each takes its time before it has happened, and waits for those before it."""
        if (
            len(outputs) == 1
            and type(outputs[0]) is SendAdvert
            and not self._todo
            and not self._wakeups.blocked
        ):
            self._send(outputs[0])  # the rhythm of a Master, without ceremony
        else:
            self._todo.extend(outputs)
            self.go_on()

    def answer(self, outputs: Sequence[Output]) -> None:
        """The same for what a packet asked for: an advert in it leaves when the packet was worked off."""
        if any(type(output) is SendAdvert for output in outputs):
            self._todo.append(Work(self._wakeups.draw_ns(latencies.ANSWER)))
        self.do(outputs)

    def go_on(self) -> None:
        """Do what takes no time at once, and come back for the rest."""
        todo = self._todo
        if self._busy.pending:
            return
        while todo and not self._wakeups.blocked:
            kind = type(todo[0])
            cost_ns = self._cost_ns(todo[0]) if kind in COSTLY else 0
            if cost_ns:
                self._busy.set(cost_ns, self._finish)
                return
            self._ways[kind](todo.popleft())

    def _finish(self) -> None:
        if not self._wakeups.blocked:
            output = self._todo.popleft()
            self._ways[type(output)](output)
            self.go_on()

    def routes_changed(self) -> None:
        """Frames may leave by another card."""
        self._frames.clear()

    def forget(self) -> None:
        """The daemon died: what it had not done is left undone."""
        self._busy.cancel()
        self._todo.clear()

    def _cost_ns(self, output: Output | Work) -> int:
        draw_ns = self._wakeups.draw_ns
        match output:
            case Work(lasts_ns=lasts_ns):
                return lasts_ns
            case AddAddresses(addresses=addresses):
                count, first = len(addresses), latencies.ADD_ADDRESS
            case RemoveAddresses(addresses=addresses):
                count = sum(self._has(output, entry.address) for entry in addresses)
                first = latencies.REMOVE_ADDRESS
            case _:
                return draw_ns(latencies.GRATUITOUS_FRAME)
        return (count - 1) * draw_ns(latencies.ANOTHER_ADDRESS) + draw_ns(first) if count else 0

    def _advert_dropped(self, output: AdvertDropped) -> None:
        self._wakeups.rejected_advert()
        self._record(output)

    def _notify(self, output: RunNotify) -> None:
        self._record(output)
        self._notifies.run(self.config, output)

    def _record(self, output: Output) -> None:
        trace = self._trace
        if trace.level >= LEVELS[type(output)]:
            record = record_of(output, self._agenda.now_ns, self._machine.name)
            if record is not None:
                trace.add(record)

    def _send(self, output: SendAdvert | SendGratuitous) -> None:
        known = self._frames.get(id(output)) or self.prepared(output)
        if known is None:
            return
        port, frame, record, said, _ = known
        trace = self._trace
        if trace.level >= Level.ADVERTS:
            trace.add(tuple.__new__(record, (self._agenda.now_ns, *said)))  # as record() does, but sooner
        if type(frame) is VrrpFrame:
            port.send_ip(frame)
        else:
            port.transmit(frame)

    def prepared(self, output: SendAdvert | SendGratuitous) -> Prepared | None:
        """What sending it takes. The router repeats the same output, so that is built once."""
        known = self._frames.get(id(output))
        port = self._port_of(output.instance, output.interface)
        if known is None and isinstance(output, SendAdvert):
            port = self._machine.route(output.destination, port)
        if known is not None or port is None:
            return known
        mac = output.virtual_mac or port.mac
        frame: VrrpFrame | NeighbourFrame
        if isinstance(output, SendAdvert):
            frame = VrrpFrame(mac, Datagram(*output[2:6], output.packet))
        else:
            frame = NeighbourFrame(GRATUITOUS, mac, output.address, output.address)
            if output.target_is_sender:
                frame.target_mac = mac
        record = record_of(output, 0, self._machine.name, mac=mac)
        assert record is not None
        if len(self._frames) > FRAMES_KEPT:
            self._frames.clear()
        known = self._frames[id(output)] = Prepared(port, frame, type(record), record[1:], output)
        return known

    def _port_of(self, instance: str, interface: str) -> Port | None:
        """The card behind an interface; a macvlan lives on its instance's card."""
        port = self._machine.ports.get(interface)
        if port is None:
            for config in self.config.instances:
                if config.name == instance or config.vmac_interface == interface:
                    return self._machine.ports.get(config.interface)
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
            network = ip_network((entry.address, entry.prefix_length), strict=False)
            if not output.accept:
                port.dropped.add(entry.address)
            self._machine.add_address(port, entry.address, output.virtual_mac or port.mac, network)

    def _remove(self, output: RemoveAddresses) -> None:
        port = self._port_of(output.instance, output.interface)
        if port is None:
            return
        for entry in output.addresses:
            self._machine.remove_address(port, entry.address)
            port.dropped.discard(entry.address)
        if port.virtual_macs.get(output.interface) not in port.local.values():
            port.virtual_macs.pop(output.interface, None)
