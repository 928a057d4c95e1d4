"""What the router of a simulated daemon wants done: one thing after the other, each in its time.

Frames leave, addresses come and go, and the trace is told. Addresses and announcements take the time that a
real machine needs for them (personality.py); the rest is done at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from vrrpsim.protocol.outputs import (
    AddAddresses,
    AdvertDropped,
    KillScript,
    Output,
    RemoveAddresses,
    RunScript,
    SendAdvert,
    SendGratuitous,
)
from vrrpsim.recording import LEVELS, record_of
from vrrpsim.trace import Level, Record

from . import latencies
from .calendar import Call
from .frame import GRATUITOUS, NeighbourFrame, VrrpFrame

if TYPE_CHECKING:
    from .daemon import Daemon
    from .port import Port

COSTLY = (AddAddresses, RemoveAddresses, SendGratuitous)  # the others take no time of their own
FRAMES_KEPT = 4096  # an instance repeats a handful


class Prepared(NamedTuple):
    """A frame that may be sent again, with its record; `output` is kept so that its id stays its own."""

    port: Port
    frame: VrrpFrame | NeighbourFrame
    record: type[Record]
    said: tuple[Any, ...]  # all of it but the instant
    output: SendAdvert | SendGratuitous


class OutputQueue:
    """The outputs of one daemon's router, in order."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.node = daemon.node
        self.context = daemon.context
        self._todo: deque[Output] = deque()
        self._busy: Call | None = None
        self._frames: dict[int, Prepared] = {}  # by the identity of their outputs
        self._ways: dict[type[Output], Callable[[Any], None]] = {
            **dict.fromkeys(LEVELS, self._record),
            SendAdvert: self._send,
            AddAddresses: self._add,
            RemoveAddresses: self._remove,
            SendGratuitous: self._send,
            RunScript: daemon.scripts.begin,
            KillScript: daemon.scripts.kill,
            AdvertDropped: self._advert_dropped,
        }

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        return not self._todo and self._busy is None

    def do(self, outputs: Sequence[Output]) -> None:
        """Each takes its time before it has happened, and waits for those before it."""
        if len(outputs) == 1 and type(outputs[0]) is SendAdvert and self.done and not self.daemon.blocked:
            self._send(outputs[0])  # the rhythm of a Master, without ceremony
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

    def _advert_dropped(self, output: AdvertDropped) -> None:
        self.daemon.meet_rival()
        self._record(output)

    def _record(self, output: Output) -> None:
        trace = self.context.trace
        if trace.level >= LEVELS[type(output)]:
            record = record_of(output, self.daemon.now_ns, self.node.name)
            if record is not None:
                trace.records.append(record)

    def _send(self, output: SendAdvert | SendGratuitous) -> None:
        known = self._frames.get(id(output)) or self.prepared(output)
        if known is None:
            return
        port, frame, record, said, _ = known
        trace = self.context.trace
        if trace.level >= Level.ADVERTS:
            trace.records.append(record(self.daemon.now_ns, *said))
        if type(frame) is VrrpFrame:
            port.send_ip(frame)
        else:
            port.transmit(frame)

    def prepared(self, output: SendAdvert | SendGratuitous) -> Prepared | None:
        """What sending it takes. The router repeats the same output, so that is built once."""
        known = self._frames.get(id(output))
        port = self._port_of(output.instance, output.interface)
        if known is not None or port is None:
            return known
        mac = output.virtual_mac or port.mac
        frame: VrrpFrame | NeighbourFrame
        if isinstance(output, SendAdvert):
            frame = VrrpFrame(mac, output.source, output.destination, output.ttl, output.payload)
        else:
            frame = NeighbourFrame(GRATUITOUS, mac, output.address, output.address)
            if output.target_is_sender:
                frame.target_mac = mac
        record = record_of(output, 0, self.node.name, mac=mac)
        assert record is not None
        if len(self._frames) > FRAMES_KEPT:
            self._frames.clear()
        known = self._frames[id(output)] = Prepared(port, frame, type(record), record[1:], output)
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
