"""A segment that is made of switches and cables: its frames go hop by hop.

To the ports it is a segment like any other. What happens between two of them whatever the way (partitions,
impairments of the segment or of a card) happens where the frame arrives; what happens on a cable, there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vrrpsim.scenario.model import Segment as SegmentModel

from .cabling import Cabling, End, LaidCable, Learned, LearningSwitch
from .calendar import Alarm, Kind
from .context import Context
from .frame import Frame
from .port import Port
from .segment import Segment

IPV4_GROUP = b"\x01\0\x5e\0\0"  # of 224.0.0.0/24; three bytes of it are of all groups
IPV6_GROUP = b"\x33\x33"


class Hop(NamedTuple):
    """A cable, and the end that a frame comes from."""

    cable: LaidCable
    end: End


class SwitchedSegment(Segment[Port]):
    """The part of the switches and cables that carries one segment."""

    one_hop = False

    def __init__(self, context: Context, cabling: Cabling, name: str, rank: int, model: SegmentModel) -> None:
        self._joined: dict[tuple[str, bytes], int] = {}  # when a port reported a group by itself
        super().__init__(context, name, rank, model)
        self._cabling = cabling
        self._ways: dict[str, dict[str, tuple[Hop, ...]]] = {}  # by the names of both ports
        self._unreached: dict[tuple[str, bytes, type[Frame]], list[Port]] = {}
        self._forgets = Alarm(context.agenda, Kind.KERNEL, rank)  # a switch forgets what leads astray
        cabling.observers.append(self._ways_changed)

    def _ways_changed(self) -> None:
        self._ways.clear()
        self._unreached.clear()

    def membership_changed(self) -> None:
        """A port was added, or joined or left a group."""
        super().membership_changed()
        self._unreached.clear()
        now_ns = self._agenda.now_ns
        members = {(port.name, group) for port in self.ports for group in port.groups}
        self._joined = {member: self._joined.get(member, now_ns) for member in members}

    def link_changed(self, port: Port, up: bool) -> None:
        """A card has its carrier or lost it."""
        self._cabling.card_linked(port, up)
        if up:  # the kernel reports its groups again
            self._joined.update(((port.name, group), self._agenda.now_ns) for group in port.groups)

    # --- frames on their way

    def transmit(self, sender: Port, frame: Frame) -> None:
        """A port sends: the frame sets out on its cable."""
        if not sender.carrier:
            self.lose(sender, None, frame, "carrier")
            return
        if self.mac_table.get(frame.src_mac) is not sender:
            self.mac_table[frame.src_mac] = sender
            self.context.reconsider()
        for tap in self.taps:
            tap(self.context.agenda.now_ns, sender, frame, "")
        for receiver in self._out_of_reach(sender, frame):
            self.lose(sender, receiver, frame, "cable")
        cable = self._cabling.of_card.get(sender.name)
        if cable is not None:
            if cable.open:
                self._send(cable, sender, sender, frame)
        else:  # a stranger
            self._forward(self._first_switch, None, sender, frame)

    @property
    def _first_switch(self) -> LearningSwitch:
        """Where a stranger is plugged in."""
        return next(iter(self._cabling.switches.values()))

    def _send(self, cable: LaidCable, end: End, sender: Port, frame: Frame) -> None:
        there = cable.beyond(end)
        arrivals, reason = cable.carrier_of(frame.src_mac, frame.dst_mac).carry(end, frame)
        for delay_ns, arriving in arrivals:
            self._agenda.post(delay_ns, self._order, self._arrive, (cable, there, sender, arriving))
        if reason:
            self._lose_beyond(cable, there, sender, frame, reason)

    def _arrive(self, cable: LaidCable, end: End, sender: Port, frame: Frame) -> None:
        if not cable.open:
            self._lose_beyond(cable, end, sender, frame, "cable")
        elif isinstance(end, LearningSwitch):
            self._forward(end, cable, sender, frame)
        else:
            self._deliver(sender, end, frame)

    def _forward(self, switch: LearningSwitch, came_by: LaidCable | None, sender: Port, frame: Frame) -> None:
        """The switch learns, then forwards or floods."""
        now_ns = self._agenda.now_ns
        if came_by is not None and switch.learn(self.name, frame.src_mac, came_by, now_ns):
            self.context.reconsider()
        for cable in self._ways_out(switch, came_by, frame):
            end = cable.beyond(switch)
            if not isinstance(end, LearningSwitch) and not _takes(end, frame):
                continue
            if self._prunes(switch, end, frame.dst_mac):
                self._lose_beyond(cable, end, sender, frame, "snooping")
            else:
                self._send(cable, switch, sender, frame)

    def _prunes(self, switch: LearningSwitch, end: End, group: bytes) -> bool:
        """Whether a switch knows of no member of a group at the other end of a cable (RFC 4541 §2.1.2)."""
        snooping = switch.model.igmp_snooping
        if snooping is None or (group[:3] != IPV4_GROUP[:3] and group[:2] != IPV6_GROUP):
            return False
        if group[:5] == IPV4_GROUP and snooping.link_local == "flood":
            return False
        asked_ns = self._cabling.asked_ns(switch)
        reported_ns = asked_ns if isinstance(end, LearningSwitch) else self._joined.get((end.name, group))
        latest_ns = max((each for each in (asked_ns, reported_ns) if each is not None), default=None)
        return latest_ns is None or self._agenda.now_ns >= latest_ns + snooping.membership_ns

    def _ways_out(self, switch: LearningSwitch, came_by: LaidCable | None, frame: Frame) -> list[LaidCable]:
        entry = self._entry(switch, frame.dst_mac)
        cables = self._open(switch) if entry is None else [entry.cable]
        return [cable for cable in cables if cable is not came_by and cable.open]

    def _entry(self, switch: LearningSwitch, mac: bytes) -> Learned | None:
        return None if mac[0] & 1 else switch.behind(self.name, mac, self._agenda.now_ns)

    def _open(self, switch: LearningSwitch) -> list[LaidCable]:
        """The cables of a switch that lead somewhere on this segment."""
        ends = ((cable, cable.beyond(switch)) for cable in switch.cables if cable.open)
        return [
            cable
            for cable, end in ends
            if (cable.model.carries(self.name) if isinstance(end, LearningSwitch) else end.segment is self)
        ]

    def _deliver(self, sender: Port, receiver: Port, frame: Frame) -> None:
        if self.blocked.get((sender.name, receiver.name)):
            self.lose(sender, receiver, frame, "partition")
            return
        effects = self.effects_on(sender, receiver, frame.kinds) if self.effects else []
        if not effects:
            receiver.receive(frame)
            return
        path = f"{sender.name}->{receiver.name}", frame.flow
        number = self._numbers[path]
        self._numbers[path] = number + 1
        for delay_ns, arriving in self._fate(sender, receiver, frame, effects, number, 0):
            self._agenda.post(delay_ns, self._order, receiver.receive, (arriving,))

    # --- frames that do not arrive

    def _lose_beyond(self, cable: LaidCable, end: End, sender: Port, frame: Frame, reason: str) -> None:
        """A frame vanishes on a cable: all who would have heard it by this way lose it."""
        for receiver in self._hearers(cable, end, frame):
            self.lose(sender, receiver, frame, reason)

    def _hearers(self, cable: LaidCable, end: End, frame: Frame) -> Iterator[Port]:
        if not isinstance(end, LearningSwitch):
            if _takes(end, frame):
                yield end
            return
        for onwards in self._ways_out(end, cable, frame):
            yield from self._hearers(onwards, onwards.beyond(end), frame)

    def _out_of_reach(self, sender: Port, frame: Frame) -> list[Port]:
        """Who would take the frame and is where no working cable leads."""
        key = (sender.name, frame.dst_mac, type(frame))
        missed = self._unreached.get(key)
        if missed is None:
            others = [
                port for port in self.ports if port is not sender and port.name not in self.ways(sender)
            ]
            missed = [port for port in others if _takes(port, frame)]
            if not others or frame.dst_mac[0] & 1:  # a macvlan with the MAC may come and go
                self._unreached[key] = missed
        return missed

    # --- ways

    def ways(self, sender: Port) -> dict[str, tuple[Hop, ...]]:
        """By which cables the frames of a port come to the others, by name, unless out of reach."""
        found = self._ways.get(sender.name)
        if found is None:
            found = self._ways[sender.name] = {}
            cable = self._cabling.of_card.get(sender.name)
            if cable is None:
                found.update(self._beyond(self._first_switch, None, ()))
            elif cable.open:
                found.update(self._beyond(cable.beyond(sender), cable, (Hop(cable, sender),)))
        return found

    def _beyond(
        self, end: End, came_by: LaidCable | None, hops: tuple[Hop, ...]
    ) -> Iterator[tuple[str, tuple[Hop, ...]]]:
        if not isinstance(end, LearningSwitch):
            yield end.name, hops
            return
        for cable in self._open(end):
            if cable is not came_by:
                yield from self._beyond(cable.beyond(end), cable, (*hops, Hop(cable, end)))

    def where(self, asker: Port, mac: bytes) -> Port | None:
        """The port that a frame of the asker to this MAC ends at, as the switches' tables lead it."""
        owners = {port.name: port for port in self.ports if port.has_mac(mac)}
        cable = self._cabling.of_card.get(asker.name)
        end: End = asker if cable is None else cable.beyond(asker)
        forgets_ns: list[int] = []
        while isinstance(end, LearningSwitch) and cable is not None and cable.open:
            entry = self._entry(end, mac)
            if entry is None:
                reached = dict(self._beyond(end, cable, ()))
                near = next((port for name, port in owners.items() if name in reached), None)
                return near or next(iter(owners.values()), None)
            forgets_ns.append(end.forgets_ns(entry))
            if entry.cable is cable:
                break  # back to where it came from: the switch drops it
            cable, end = entry.cable, entry.cable.beyond(end)
        if isinstance(end, LearningSwitch) or end.name not in owners:
            if forgets_ns:
                now_ns = self._agenda.now_ns
                self._forgets.set(min(forgets_ns) - now_ns, self.context.reconsider)
                return None if isinstance(end, LearningSwitch) else end
            return next(iter(owners.values()), None)
        return end

    def passes(self, sender: Port, receiver: Port, kinds: tuple[str, ...]) -> float:
        """The fraction of frames of these kinds that get from one port to the other."""
        share = super().passes(sender, receiver, kinds)
        hops = self.ways(sender).get(receiver.name)
        if not share or hops is None:
            return 0.0
        for cable, end in hops:
            share *= cable.carrier_of(sender.mac, receiver.mac).passes(end, kinds)
        return share


def _takes(port: Port, frame: Frame) -> bool:
    """Whether the card lets a frame in that the switch brings to it."""
    return port.wants(frame) if frame.dst_mac[0] & 1 else port.has_mac(frame.dst_mac)
