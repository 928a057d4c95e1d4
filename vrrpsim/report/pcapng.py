"""A run as Wireshark sees it: pcapng with one interface for each network card, and comments.

What is in the file

- Interfaces are named NODE:INTERFACE, clients by their name; `frame.interface_name == "lb1:eth0"`.
- A frame stands once for the card that sent it (direction out) and once for each card that took it from
  the wire (in), as if every machine ran a capture of its own. `frame.packet_flags_direction == 2` shows
  each frame once. A frame that nobody got is only there as out, with the comment "lost: …"; what a switch
  floods to cards that it is not for is left out.
- Times are nanoseconds since the start of the run after 2000-01-01T00:00:00Z, never the wall clock: the
  same scenario and seed give the same bytes.
- VRRP, ARP and ND frames are those of the simulation, without padding and FCS. The IPv4 identification of
  adverts counts from 1 for each instance, once an advert, as keepalived's does.
- Clients' requests are simulated by arithmetic, so their packets are made up here, and only on the
  client's own card: the TCP SYN and its answer (SYN-ACK, RST or none) of the first request after each
  change of reachability, and of one request every five seconds otherwise. The answer comes after two mean
  delays of the segment.
- Comments say what a packet cannot: events of the scenario, changes of state and priority, loss,
  corruption, duplicates, rejected adverts, a second master, a second owner. `frame.comment` finds them.

The recorder knows nothing of the simulator: whoever has frames and cards can feed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from operator import attrgetter
from struct import pack
from typing import Protocol

from vrrpsim.measure.causes import causes
from vrrpsim.measure.ownership import OwnerLine, ownerships
from vrrpsim.measure.result import addresses
from vrrpsim.protocol import frames
from vrrpsim.protocol.ah import AH_BYTES, PROTOCOL_AH
from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.dialect import Checksum
from vrrpsim.protocol.packet import PROTOCOL_VRRP, checksum_ok, ones_complement_sum, pseudo_header
from vrrpsim.protocol.reasons import in_words
from vrrpsim.scenario.model import Client, Scenario
from vrrpsim.scenario.quantities import format_duration
from vrrpsim.trace import (
    AdvertRejected,
    Fault,
    FaultEnd,
    FrameLost,
    PriorityChange,
    ProcessChange,
    Reachability,
    StateChange,
    Trace,
)

EPOCH_NS = 946_684_800_000_000_000  # 2000-01-01T00:00:00Z
IN, OUT = 1, 2
QUIET_NS = 5_000_000_000  # one request in this time is shown while nothing changes
TCP, SYN, RST, ACK = 6, 0x02, 0x04, 0x10
CORRUPTED = "corrupted on the way: one bit of the payload is flipped"
NO_NEIGHBOUR = "nobody answers for the address"


class RecordedFrame(Protocol):
    """What a recorder needs of a frame."""

    dst_mac: bytes

    def encode(self, identification: int = 0) -> bytes:
        """Return the Ethernet frame without FCS."""


class Card(Protocol):
    """What a recorder needs of a network card."""

    name: str
    mac: bytes


@dataclass(slots=True)
class Packet:
    """One frame as one card saw it. `of` is the packet that left, where this is the one that arrived."""

    at_ns: int
    card: str
    direction: int
    data: bytes
    comments: list[str] = field(default_factory=list)
    of: Packet | None = None


class PacketRecorder:
    """Collects frames while a run goes on; `sent` is a tap of a segment, `heard` is for arrivals."""

    def __init__(self, trace: Trace) -> None:
        self.packets: list[Packet] = []
        self.cards: dict[str, bytes] = {}  # name -> MAC
        self._trace = trace
        # by id, kept with the frame so that the id is its own: a burst sends one frame several times
        self._left: dict[int, tuple[RecordedFrame, list[Packet]]] = {}
        self._arrived: Counter[tuple[int, str]] = Counter()  # of a frame at a card, lost ones included
        # by card and VRID: the instant and the identification of the last advert, and the peers that have it
        self._advert_of: dict[tuple[str, bytes], tuple[int, int, frozenset[bytes]]] = {}
        self._records_read = 0

    def add(self, card: Card) -> None:
        """Make an interface for a card, whether it ever sends or not."""
        self.cards.setdefault(card.name, card.mac)

    def sent(self, now_ns: int, card: Card, frame: RecordedFrame, reason: str) -> None:
        """A card put a frame on the wire or, with a reason, the frame was lost there."""
        if reason:
            self._lost(frame, reason)
            return
        self.add(card)
        data = frame.encode()
        if data[12:14] == b"\x08\x00":
            data = frame.encode(self._identification(now_ns, card.name, data))
        packet = Packet(now_ns, card.name, OUT, data)
        self.packets.append(packet)
        self._left.setdefault(id(frame), (frame, []))[1].append(packet)

    def heard(self, now_ns: int, card: Card, frame: RecordedFrame) -> None:
        """A card took a frame from the wire."""
        _, packets = self._left.get(id(frame), (frame, []))
        if not packets:  # only a damaged frame is not the one that left
            self.packets.append(Packet(now_ns, card.name, IN, frame.encode(), [CORRUPTED]))
            return
        arrivals = self._arrived[id(frame), card.name]
        left = packets[min(arrivals, len(packets) - 1)]
        packet = Packet(now_ns, card.name, IN, left.data, of=left)
        if arrivals >= len(packets):  # more often than it left
            packet.comments.append("duplicated on the way")
        self._arrived[id(frame), card.name] += 1
        self.packets.append(packet)

    def _lost(self, frame: RecordedFrame, reason: str) -> None:
        """Comment the frame that left. One that never did (no carrier, no MAC) is in no capture."""
        _, packets = self._left.get(id(frame), (frame, []))
        lost = self._trace.records[-1] if self._trace.records else None
        if packets and isinstance(lost, FrameLost) and lost.destination:
            packets[-1].comments.append(f"lost: {reason}, never reached {lost.destination}")
            self._arrived[id(frame), lost.destination] += 1  # the next to arrive there is a later one

    def _identification(self, now_ns: int, card: str, data: bytes) -> int:
        """Count adverts by instance: the copies for several peers are one (keepalived.md §5.1)."""
        self._forget_dead_daemons()
        router, peer = (card, data[35:36]), data[30:34]  # VRID and destination, behind Ethernet's 14 octets
        at_ns, number, served = self._advert_of.get(router, (-1, 0, frozenset()))
        if at_ns != now_ns or peer in served:
            number, served = number + 1, frozenset()
        self._advert_of[router] = now_ns, number, served | {peer}
        return number

    def _forget_dead_daemons(self) -> None:
        """A new process counts from 1 again."""
        records = self._trace.records
        for record in records[self._records_read :]:
            if isinstance(record, ProcessChange) and (record.process, record.state) == ("keepalived", "dead"):
                for router in [each for each in self._advert_of if each[0].partition(":")[0] == record.node]:
                    del self._advert_of[router]
        self._records_read = len(records)


def pcapng(scenario: Scenario, seed: int, recorder: PacketRecorder, trace: Trace) -> bytes:
    """Return the file for a run that is over."""
    packets = sorted([*recorder.packets, *_requests(scenario, recorder, trace)], key=attrgetter("at_ns"))
    _comment(scenario, trace, packets)
    numbers = {name: number for number, name in enumerate(recorder.cards)}
    about = (
        f"{scenario.name or 'run'}, seed {seed}, digest {trace.digest()}\n"
        "Simulated by vrrpsim; the run starts at 2000-01-01T00:00:00Z. Each frame stands once for the card "
        "that sent it and once for each card that took it; frame.packet_flags_direction == 2 shows it once."
    )
    blocks = [_section(about)]
    blocks += [_interface(name, mac, _description(scenario, name)) for name, mac in recorder.cards.items()]
    blocks += [_packet(numbers[packet.card], packet) for packet in packets]
    return b"".join(blocks)


def _description(scenario: Scenario, card: str) -> str:
    """Say where a card is."""
    node, _, interface = card.partition(":")
    if card in scenario.clients:
        return f"client on {scenario.clients[card].segment}"
    if node not in scenario.nodes or interface not in scenario.nodes[node].interfaces:
        return "foreign"
    attachment = scenario.nodes[node].interfaces[interface]
    return " ".join(["on", attachment.segment, *map(str, attachment.addresses)])


# --- comments -------------------------------------------------------------------------------------


def _comment(scenario: Scenario, trace: Trace, packets: Sequence[Packet]) -> None:
    """Say beside the packets what they cannot; both are read in order of time."""
    lines = {
        owned.address: owned.line for owned in ownerships(trace.records, trace.end_ns, addresses(scenario))
    }
    narrator = _Narrator(scenario, trace)
    for packet in packets:
        narrator.read_until(packet.at_ns)
        packet.comments[:0] = narrator.take_events()
        if packet.direction == OUT:
            packet.comments += narrator.about_advert(packet)
            packet.comments += _about_garp(packet, lines)
        if CORRUPTED not in packet.comments:
            packet.comments += _about_checksum(packet.data)
    _comment_rejected(trace, packets)


class _Narrator:
    """What is known at an instant of the run: masters, news that no packet has carried yet, events."""

    def __init__(self, scenario: Scenario, trace: Trace) -> None:
        events = causes((r for r in trace.records if isinstance(r, Fault | FaultEnd)), ())
        self._events = sorted(events, key=attrgetter("at_ns"))
        self._records = trace.records
        self._next_event = self._next_record = 0
        self._master_since: dict[tuple[str, str], int] = {}  # (node, instance)
        self._news: dict[tuple[str, str], dict[str, str]] = {}  # the latest of each kind
        self._instances = {
            (f"{name}:{instance.interface}", instance.family, instance.vrid): (name, instance.name)
            for name, node in scenario.nodes.items()
            if node.keepalived
            for instance in node.keepalived.config.instances
        }
        self._routers = {
            (name, instance.name): (
                instance.family,
                instance.vrid,
                node.interfaces[instance.interface].segment,
            )
            for name, node in scenario.nodes.items()
            if node.keepalived
            for instance in node.keepalived.config.instances
            if instance.interface in node.interfaces
        }

    def read_until(self, at_ns: int) -> None:
        """Take in the records up to an instant."""
        while self._next_record < len(self._records):
            record = self._records[self._next_record]
            if record.at_ns > at_ns:
                break
            self._next_record += 1
            if isinstance(record, StateChange):
                key = record.node, record.instance
                self._master_since.pop(key, None)
                if record.new == "MASTER":
                    self._master_since[key] = record.at_ns
                    why = in_words(record.reason)
                    self._news.setdefault(key, {})["state"] = f"{record.node} becomes MASTER: {why}"
            elif isinstance(record, PriorityChange):
                how = "failed" if record.new < record.old else "is good"
                text = f"effective priority {record.new}" + (
                    f": {record.reason} {how}" if record.reason else ""
                )
                self._news.setdefault((record.node, record.instance), {})["priority"] = text
            elif isinstance(record, ProcessChange) and (record.process, record.state) == (
                "keepalived",
                "dead",
            ):
                for key in [each for each in self._master_since if each[0] == record.node]:
                    del self._master_since[key]

    def take_events(self) -> list[str]:
        """Return the events of the scenario since the last packet."""
        taken: list[str] = []
        now_ns = self._records[self._next_record - 1].at_ns if self._next_record else 0
        while self._next_event < len(self._events) and self._events[self._next_event].at_ns <= now_ns:
            event = self._events[self._next_event]
            taken.append(f"event at {format_duration(event.at_ns)}: {event}")
            self._next_event += 1
        return taken

    def about_advert(self, packet: Packet) -> list[str]:
        """Return the news of an instance with its first advert since, and whether it is not alone."""
        found = _vrid(packet.data)
        instance = self._instances.get((packet.card, *found)) if found else None
        if instance is None:
            return []
        comments = list(self._news.pop(instance, {}).values())
        since_ns = self._master_since.get(instance)
        if since_ns is not None:
            earlier = [
                node
                for (node, name), at_ns in self._master_since.items()
                if at_ns < since_ns
                and node != instance[0]
                and self._routers.get((node, name)) == self._routers[instance]
            ]
            comments += [f"second master: {node} is MASTER too" for node in earlier]
        return comments


def _about_checksum(data: bytes) -> list[str]:
    """Wireshark calls an IPv4 VRRPv3 checksum bad that leaves out the pseudo-header, as RFC 9568 does."""
    advert = data[34:]
    if _vrid(data) is None or data[12:14] != b"\x08\x00" or advert[0] >> 4 != 3:
        return []
    source, destination = IPv4Address(data[26:30]), IPv4Address(data[30:34])
    usual = checksum_ok(
        advert,
        source=source,
        destination=destination,
        family=4,
        version=3,
        form=Checksum.PSEUDO_HEADER,
    )
    return [] if usual else ["checksum without pseudo-header (RFC 9568): Wireshark expects that of RFC 5798"]


def _vrid(data: bytes) -> tuple[int, int] | None:
    """Return family and VRID of an advert; None for other frames."""
    if data[12:14] == b"\x08\x00" and data[23] in (PROTOCOL_VRRP, PROTOCOL_AH):
        return 4, data[35 if data[23] == PROTOCOL_VRRP else 35 + AH_BYTES]
    if data[12:14] == b"\x86\xdd" and data[20] == 112:
        return 6, data[55]
    return None


def _about_garp(packet: Packet, lines: dict[str, OwnerLine]) -> list[str]:
    """Say of a gratuitous frame that somebody else has the address, too."""
    announced = _announced(packet.data)
    line = lines.get(str(announced[0])) if announced else None
    node = packet.card.partition(":")[0]
    if line is None:
        return []
    return [f"second owner: {each} has the address too" for each in line.at(packet.at_ns) if each != node]


def _announced(data: bytes) -> tuple[Address, bytes] | None:
    """Return address and MAC that a gratuitous ARP or an unsolicited NA announces."""
    ethernet = frames.decode_ethernet(data)
    if ethernet is None:
        return None
    if ethernet.ethertype == frames.ETHERTYPE_ARP:
        arp = frames.decode_arp(ethernet.payload)
        return (arp.sender, arp.sender_mac) if arp and arp.gratuitous else None
    packet = frames.decode_ipv6(ethernet.payload) if ethernet.ethertype == frames.ETHERTYPE_IPV6 else None
    neighbor = frames.decode_neighbor(packet) if packet else None
    unsolicited = neighbor and neighbor.icmp_type == frames.NEIGHBOR_ADVERTISEMENT and not neighbor.solicited
    return (neighbor.target, neighbor.mac) if neighbor and neighbor.mac and unsolicited else None


def _comment_rejected(trace: Trace, packets: Sequence[Packet]) -> None:
    """Find for each rejected advert the frame that brought it: the last such one before."""
    rejected = [record for record in trace.records if isinstance(record, AdvertRejected)]
    brought: dict[tuple[str, str], Packet] = {}
    position = 0
    for record in rejected:
        while position < len(packets) and packets[position].at_ns <= record.at_ns:
            packet = packets[position]
            position += 1
            if packet.direction == IN and _vrid(packet.data):
                brought[packet.card.partition(":")[0], _source(packet.data)] = packet
        found = brought.get((record.node, record.source))
        if found is not None:
            found.comments.append(f"rejected by {record.instance}: {record.reason.replace('_', ' ')}")


def _source(data: bytes) -> str:
    ip = frames.decode_ipv4(data[14:]) if data[12:14] == b"\x08\x00" else frames.decode_ipv6(data[14:])
    return str(ip.source) if ip else ""


# --- requests of clients --------------------------------------------------------------------------


def _requests(scenario: Scenario, recorder: PacketRecorder, trace: Trace) -> Iterator[Packet]:
    """Make up the requests that show what each client met."""
    for rank, (name, client) in enumerate(scenario.clients.items()):
        changes = [r for r in trace.records if isinstance(r, Reachability) and r.client == name]
        known = _macs(recorder, name, client)
        own = _own_address(recorder, name, client)
        if own is None:
            continue
        backlog = _frozen(scenario, trace, client.target[1])
        delay_ns = 2 * scenario.segments[client.segment].delay.mean_ns
        number = 0
        for change, at_ns in _shown(changes, client.every_ns, trace.end_ns):
            mac = next((mac for since_ns, mac in reversed(known) if since_ns <= at_ns), None)
            if mac is None or change.reason == NO_NEIGHBOUR:
                continue  # it asks for the MAC, and those frames are here
            number += 1
            port = 49152 + (1000 * rank + number) % 16384
            there = _Flow(own, client.target[0], port, client.target[1], recorder.cards[name], mac)
            sequence = 1_000_000 * number
            why = "" if change.reachable else f"no answer: {change.reason}"
            flags, note = _answer(change, at_ns, backlog)
            yield Packet(at_ns, name, OUT, there.segment(SYN, sequence, 0, number), [why] if why else [])
            if flags and at_ns + delay_ns < trace.end_ns:
                answer = there.back().segment(flags, 0 if flags & RST else sequence + 7, sequence + 1, number)
                yield Packet(at_ns + delay_ns, name, IN, answer, [note])


def _shown(changes: Sequence[Reachability], every_ns: int, end_ns: int) -> Iterator[tuple[Reachability, int]]:
    """Return the first request after each change, and one in five seconds otherwise."""
    for change, until_ns in zip(changes, [*(each.at_ns for each in changes[1:]), end_ns], strict=True):
        step_ns = -(-QUIET_NS // every_ns) * every_ns
        for at_ns in range(-(-change.at_ns // every_ns) * every_ns, until_ns, step_ns):
            yield change, at_ns


def _answer(change: Reachability, at_ns: int, frozen: Sequence[tuple[int, int, str]]) -> tuple[int, str]:
    """Return the flags of the answer, 0 for none, and a comment: by whom."""
    if change.reachable:
        return SYN | ACK, f"answered by {change.node}"
    if not change.reason.startswith("nothing serves"):
        return 0, ""
    if any(node == change.node and start <= at_ns < end for start, end, node in frozen):
        return SYN | ACK, f"the kernel of {change.node} accepts; its process is frozen and answers nothing"
    return RST | ACK, f"refused by {change.node}"


def _frozen(scenario: Scenario, trace: Trace, port: int) -> list[tuple[int, int, str]]:
    """Return when a process that serves the port was frozen: from, until, node."""
    found: list[tuple[int, int, str]] = []
    since: dict[tuple[str, str], int] = {}
    for record in trace.records:
        if isinstance(record, ProcessChange) and record.node in scenario.nodes:
            process = scenario.nodes[record.node].processes.get(record.process)
            if process is None or f"{port}/tcp" not in process.serves:
                continue
            key = record.node, record.process
            if record.state == "frozen":
                since[key] = record.at_ns
            elif key in since:
                found.append((since.pop(key), record.at_ns, record.node))
    return found + [(start_ns, trace.end_ns, node) for (node, _), start_ns in since.items()]


def _macs(recorder: PacketRecorder, card: str, client: Client) -> list[tuple[int, bytes]]:
    """Return the MACs at which a client believes its target to be, each with its first instant."""
    known: list[tuple[int, bytes]] = []
    for packet in recorder.packets:
        if packet.card != card or packet.direction != IN:
            continue
        told = _told(packet.data)
        if _announced(packet.data) and not client.neighbours.garp:
            continue
        if told and told[0] == client.asks and (not known or known[-1][1] != told[1]):
            known.append((packet.at_ns, told[1]))
    return known


def _own_address(recorder: PacketRecorder, card: str, client: Client) -> Address | None:
    """Return a client's address: the scenario's, else the one that it asks with."""
    if client.address is not None:
        return client.address.ip
    for packet in recorder.packets:
        told = _told(packet.data) if packet.card == card and packet.direction == OUT else None
        if told:
            return told[0]
    return None


def _told(data: bytes) -> tuple[Address, bytes] | None:
    """Return address and MAC that an ARP or ND frame tells of its sender."""
    ethernet = frames.decode_ethernet(data)
    if ethernet is None:
        return None
    if ethernet.ethertype == frames.ETHERTYPE_ARP:
        arp = frames.decode_arp(ethernet.payload)
        return (arp.sender, arp.sender_mac) if arp else None
    packet = frames.decode_ipv6(ethernet.payload) if ethernet.ethertype == frames.ETHERTYPE_IPV6 else None
    neighbor = frames.decode_neighbor(packet) if packet else None
    if packet is None or neighbor is None or neighbor.mac is None:
        return None
    asks = neighbor.icmp_type == frames.NEIGHBOR_SOLICITATION
    return (packet.source if asks else neighbor.target), neighbor.mac


@dataclass(frozen=True, slots=True)
class _Flow:
    """One direction of a TCP connection."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int
    source_mac: bytes
    destination_mac: bytes

    def back(self) -> _Flow:
        """Return the other direction."""
        ports = self.destination_port, self.source_port
        return _Flow(self.destination, self.source, *ports, self.destination_mac, self.source_mac)

    def segment(self, flags: int, sequence: int, acknowledged: int, identification: int) -> bytes:
        """Return the Ethernet frame of a TCP segment without data or options (RFC 9293 §3.1)."""
        window = 0 if flags & RST else 64240
        ports = self.source_port, self.destination_port
        head = pack(">HHIIBBHHH", *ports, sequence, acknowledged, 5 << 4, flags, window, 0, 0)
        covered = pseudo_header(self.source, self.destination, len(head), TCP) + head
        checksum = ~ones_complement_sum(covered) & 0xFFFF
        head = head[:16] + checksum.to_bytes(2, "big") + head[18:]
        if self.source.version == 4:
            packet = frames.ipv4_packet(self.source, self.destination, 64, TCP, identification, head, tos=0)
            kind = frames.ETHERTYPE_IPV4
        else:
            packet = frames.ipv6_packet(self.source, self.destination, 64, TCP, head, traffic_class=0)
            kind = frames.ETHERTYPE_IPV6
        return frames.ethernet(self.destination_mac, self.source_mac, kind, packet)


# --- blocks ---------------------------------------------------------------------------------------


def _section(comment: str) -> bytes:
    """Section Header Block: little endian, version 1.0, length not said."""
    options = _option(1, comment.encode()) + _option(4, b"vrrpsim")
    return _block(0x0A0D0D0A, pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options + _option(0, b""))


def _interface(name: str, mac: bytes, description: str) -> bytes:
    """Interface Description Block: Ethernet, no snap length, times in 10^-9 s."""
    options = _option(2, name.encode()) + _option(3, description.encode()) + _option(6, mac)
    return _block(1, pack("<HHI", 1, 0, 0) + options + _option(9, b"\x09") + _option(0, b""))


def _packet(interface: int, packet: Packet) -> bytes:
    """Enhanced Packet Block with comments and direction."""
    stamp_ns, size = EPOCH_NS + packet.at_ns, len(packet.data)
    head = pack("<IIIII", interface, stamp_ns >> 32, stamp_ns & 0xFFFFFFFF, size, size)
    options = b"".join(_option(1, comment.encode()) for comment in packet.comments)
    options += _option(2, pack("<I", packet.direction)) + _option(0, b"")
    return _block(6, head + _padded(packet.data) + options)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return pack("<II", kind, length) + body + pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
