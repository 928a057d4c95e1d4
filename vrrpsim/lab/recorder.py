"""Eyes and ears: netlink of each machine, packets on the bridges, the daemons' logs and FIFOs -> a trace.

All instants are of one monotonic clock, from the start of the run; packets carry the kernel's time stamps.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable
from typing import Protocol

from vrrpsim.protocol import frames
from vrrpsim.protocol.ah import AH_BYTES, PROTOCOL_AH
from vrrpsim.protocol.configuration import Address, InstanceConfig, RouterConfig
from vrrpsim.protocol.packet import HEADER_BYTES, PROTOCOL_VRRP
from vrrpsim.protocol.reasons import Reason
from vrrpsim.scenario.events import AddAddress
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import (
    AddressChange,
    AdvertSent,
    FrameLost,
    Gratuitous,
    Level,
    LogLine,
    Notification,
    PriorityChange,
    Record,
    StateChange,
    Trace,
    TrackerChange,
)

from . import taps
from .ordering import SAME_CAUSE_NS, in_order
from .wiring import wiring_of


class Wires(Protocol):
    """What lies between the machines; at its ends are NODE/INTERFACE, CLIENT or "", nobody known."""

    network: int

    def end_of(self, port: str) -> str:
        """Whose cable is in a port."""

    def ends_of(self, lost: taps.Dropped) -> tuple[str, list[str]]:
        """Who sent a frame that was lost, and who does not get it."""

    def cut_off(self, end: str) -> list[str]:
        """Those on the segment of this one to which no cable that works leads."""


SAME_NS = 20_000  # two looks at a clock that nothing came between

LOG = (
    ("state", re.compile(r"\((.+?)\):? [Ee]ntering (MASTER|BACKUP|FAULT) (?:STATE|state)")),
    ("priority", re.compile(r"\((.+)\) Changing effective priority from (\d+) to (\d+)")),
    ("script", re.compile(r"VRRP_Script\((.+)\) (succeeded|failed|timed_out)")),
    ("interface", re.compile(r"Netlink reports (\S+) (up|down)")),
    ("bfd", re.compile(r"Tracked BFD instance (\S+) is (UP|DOWN)")),
    ("process", re.compile(r"Quorum (gained|lost) for tracked process (\S+)")),
)
TOLD_LINE = re.compile(r'TOLD (\S+) (INSTANCE|GROUP) "(.+)" (\S+) 0$')  # a stand-in of a notify script
KINDS = {PROTOCOL_VRRP: "vrrp", PROTOCOL_AH: "vrrp", 1: "icmp", 58: "icmp", 6: "app"}  # by IP protocol
FIFO_LINE = re.compile(r'(INSTANCE|GROUP) "(.+)" (\S+) (\d+)$')
CLUES = (("Master received advert", Reason.HIGHER_ADVERT), ("Syncing", Reason.SYNC_GROUP))
REASONS = {
    "MASTER": Reason.MASTER_DOWN_TIMER,
    "BACKUP": Reason.HIGHER_ADVERT,
}  # unless others are seen


class Recorder:
    """What is seen of a run, while it goes on. Instant 0 is the monotonic clock's `epoch_ns`."""

    def __init__(self, scenario: Scenario, configs: dict[str, RouterConfig]) -> None:
        self.epoch_ns = time.monotonic_ns()
        self._wall_ahead_ns = time.time_ns() - self.epoch_ns  # of the monotonic clock
        self.records: list[Record] = []
        self.configs = configs  # what each daemon runs now
        self._dialect_of = scenario.dialect_of
        self.states: dict[tuple[str, str], str] = {}  # of the instances of daemons that run
        self._own = {
            name: {a.ip for i in node.interfaces.values() for a in i.addresses}
            for name, node in scenario.nodes.items()
        }
        for event in scenario.events:  # what others add is no virtual address either
            if isinstance(event.parameters, AddAddress):
                for own in self._own.values():
                    own.add(event.parameters.address.ip)
        self._virtual = scenario.virtual_addresses()
        self._names: dict[tuple[str, int], str] = {}  # of interfaces
        self._held: set[tuple[str, str, Address]] = set()
        self._segments = wiring_of(scenario).segments
        self._monitors: dict[str, socket.socket] = {}
        self._taps: list[socket.socket] = []
        self._fifos: list[int] = []
        self.told: dict[str, Callable[[str, str, str, str], None]] = {}  # by node: slot, kind, name, state

    def start(self) -> None:
        """The run begins now; what machines hold already is theirs from the beginning."""
        self.epoch_ns = time.monotonic_ns()
        self.records.clear()
        for node, interface, address in sorted(self._held, key=str):
            self.add(AddressChange(0, node, interface, str(address), True))

    def now_ns(self) -> int:
        """Since the start of the run."""
        return time.monotonic_ns() - self.epoch_ns

    def add(self, record: Record) -> None:
        """Write down what somebody else saw or did."""
        self.records.append(record)

    def close(self) -> None:
        """Stop looking."""
        for node in list(self._monitors):
            self.forget(node)
        loop = asyncio.get_running_loop()
        for fifo in self._fifos:
            loop.remove_reader(fifo)
            os.close(fifo)
        for tap in self._taps:
            loop.remove_reader(tap)
            tap.close()

    # --- the kernel of a machine

    def watch(self, node: str, network: int) -> None:
        """Follow the addresses of a machine."""
        monitor, names = taps.monitor(network)
        self._monitors[node] = monitor
        self._names |= {(node, index): name for index, name in names.items()}
        asyncio.get_running_loop().add_reader(monitor, self._reported, node, monitor)

    def forget(self, node: str) -> None:
        """The machine is gone, and with it what its kernel had."""
        monitor = self._monitors.pop(node, None)
        if monitor is not None:
            asyncio.get_running_loop().remove_reader(monitor)
            monitor.close()
        self._held = {held for held in self._held if held[0] != node}

    def _reported(self, node: str, monitor: socket.socket) -> None:
        at_ns = self.now_ns()
        for change in taps.changes(monitor):
            if not isinstance(change, taps.AddressReport):
                self._names[node, change[0]] = change[1]
            elif self._is_virtual(node, change.address):
                name = self._names.get((node, change.interface), "")
                held = (node, name, change.address)
                if change.present != (held in self._held):
                    (self._held.add if change.present else self._held.discard)(held)
                    self.add(AddressChange(at_ns, node, name, str(change.address), change.present))

    def _is_virtual(self, node: str, address: Address) -> bool:
        instances = self.configs[node].instances if node in self.configs else ()
        if address in self._virtual or any(
            address == each.address for i in instances for each in (*i.addresses, *i.excluded)
        ):
            return True
        return not (address in self._own[node] or address.is_link_local or address.is_loopback)

    # --- packets

    def sniff(self, wires: Wires) -> None:
        """Hear what enters the bridges and what they lose."""
        loop = asyncio.get_running_loop()
        self._taps = [taps.sniffer(wires.network), taps.drop_log(wires.network)]
        sniffer, log = self._taps
        loop.add_reader(sniffer, self._frames, sniffer, wires)
        loop.add_reader(log, self._losses, log, wires)

    def _instant_ns(self, wall_ns: int) -> int:
        """What the wall clock says, on the clock of the run: alike for all taps until somebody sets it."""
        before_ns, now_wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        ahead_ns = now_wall_ns - before_ns
        if after_ns - before_ns < SAME_NS and abs(ahead_ns - self._wall_ahead_ns) > 5 * SAME_NS:
            self._wall_ahead_ns = ahead_ns
        return wall_ns - self._wall_ahead_ns - self.epoch_ns

    def _frames(self, sniffer: socket.socket, wires: Wires) -> None:
        for wall_ns, port, frame in taps.frames(sniffer):
            end = wires.end_of(port)
            node, _, interface = end.partition("/")
            if interface:
                at_ns = self._instant_ns(wall_ns)
                self._frame(at_ns, node, interface, frame)
                if frame[0] & 1:
                    self._lost(at_ns, end, wires.cut_off(end), frame, "cable")

    def _losses(self, log: socket.socket, wires: Wires) -> None:
        for lost in taps.dropped(log, time.time_ns()):
            source, destinations = wires.ends_of(lost)
            self._lost(self._instant_ns(lost.wall_ns), source, destinations, lost.frame, lost.reason)

    def _lost(self, at_ns: int, source: str, destinations: list[str], frame: bytes, reason: str) -> None:
        segment, kind = self._segments.get(source, ""), _understood(frame)[0] if destinations else ""
        for each in destinations:
            names = source.replace("/", ":"), each.replace("/", ":")
            self.add(FrameLost(at_ns, segment, *names, kind, reason))

    def _frame(self, at_ns: int, node: str, interface: str, data: bytes) -> None:
        match _understood(data):
            case ["vrrp", frames.IpPacket() as packet]:
                self._advert(at_ns, node, packet)
            case ["garp", frames.Arp() as arp]:
                self._gratuitous(at_ns, node, interface, arp.sender, arp.sender_mac)
            case ["garp", frames.Neighbor(target=target, mac=bytes() as mac)]:
                self._gratuitous(at_ns, node, interface, target, mac)

    def _gratuitous(self, at_ns: int, node: str, interface: str, address: Address, mac: bytes) -> None:
        if address not in self._own.get(node, ()):
            self.add(Gratuitous(at_ns, node, interface, str(address), frames.mac_text(mac)))

    def _advert(self, at_ns: int, node: str, packet: frames.IpPacket) -> None:
        message = packet.payload[AH_BYTES if packet.protocol == PROTOCOL_AH else 0 :]
        if len(message) < HEADER_BYTES or node not in self.configs:
            return
        vrid, priority = message[1], message[2]
        instance = self._instance(node, vrid, packet.source.version)
        if instance is not None:
            self.add(AdvertSent(at_ns, node, instance.name, priority, str(packet.destination)))

    def _instance(self, node: str, vrid: int, family: int) -> InstanceConfig | None:
        instances = self.configs[node].instances
        return next((each for each in instances if (each.vrid, each.family) == (vrid, family)), None)

    # --- daemons

    def fifo(self, node: str, path: str) -> None:
        """Read the notifications of a machine's daemons."""
        os.mkfifo(path, 0o600)
        fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._fifos.append(fifo)
        asyncio.get_running_loop().add_reader(fifo, self._notified, node, fifo)

    def _notified(self, node: str, fifo: int) -> None:
        at_ns = self.now_ns()
        for line in os.read(fifo, 65536).decode(errors="replace").splitlines():
            told = TOLD_LINE.match(line)
            if told is not None and node in self.told:
                self.told[node](*told.groups())
            match = FIFO_LINE.match(line)
            if match is None:
                continue
            kind, name, state, priority = match.groups()
            self.add(Notification(at_ns, node, kind, name, state, int(priority)))
            if kind == "INSTANCE" and state == "STOP":
                self._entered(at_ns, node, name, "INIT", Reason.STOP)

    def said(self, node: str, line: str) -> None:
        """A line of a daemon's log."""
        at_ns = self.now_ns()
        self.add(LogLine(at_ns, node, line))
        for kind, pattern in LOG:
            match = pattern.search(line)
            if match is None:
                continue
            if kind == "state":
                self._entered(at_ns, node, match[1], match[2])
            elif kind == "priority":
                old, new = int(match[2]), int(match[3])
                self.add(PriorityChange(at_ns, node, match[1], old, new, ""))
            else:
                name, word = (match[2], match[1]) if kind == "process" else (match[1], match[2])
                word = word.lower().replace("_", " ")
                self.add(TrackerChange(at_ns, node, kind, name, word in ("succeeded", "up", "gained"), word))
            return

    def _entered(self, at_ns: int, node: str, instance: str, state: str, reason: str = "") -> None:
        old = self.states.get((node, instance), "INIT")
        if old == state:
            return
        self.states[node, instance] = state
        if not reason:
            reason = Reason.INIT if old == "INIT" else self._why(at_ns, node, state)
        self.add(StateChange(at_ns, node, instance, old, state, str(reason)))

    def _why(self, at_ns: int, node: str, state: str) -> str:
        for record in reversed(self.records):
            if record.at_ns < at_ns - SAME_CAUSE_NS:
                break
            if isinstance(record, TrackerChange) and record.node == node:
                return Reason.RECOVERED if record.ok else f"{record.tracker} {record.name} {record.reason}"
            if isinstance(record, AddressChange) and (record.node, record.present) == (node, False):
                return Reason.ADDRESS_LOST
            if isinstance(record, LogLine) and record.node == node:
                found = [reason for text, reason in CLUES if text in record.text]
                if found:
                    return found[0]
        return REASONS.get(state, "")

    def daemon_gone(self, node: str) -> None:
        """Nobody there is in any state."""
        for key in [key for key in self.states if key[0] == node]:
            del self.states[key]

    def trace(self, end_ns: int) -> Trace:
        """What was seen until then, causes before effects."""
        trace = Trace(Level.ALL)
        trace.end_ns = end_ns
        ordered = in_order(self.records, self.configs, self._dialect_of)
        trace.records = [each for each in ordered if each.at_ns <= end_ns]
        return trace


def _understood(data: bytes) -> tuple[str, object]:
    """The word of `only:` for a frame, "" if there is none, and what it carries."""
    frame = frames.decode_ethernet(data)
    if frame is not None and frame.ethertype == 0x0806:
        arp = frames.decode_arp(frame.payload)
        return ("garp" if arp is not None and arp.gratuitous else "arp"), arp
    decode = frames.decode_ipv4 if frame is not None and frame.ethertype == 0x0800 else frames.decode_ipv6
    packet = decode(frame.payload) if frame is not None else None
    if packet is None:
        return "", None
    if neighbor := frames.decode_neighbor(packet):
        unasked = neighbor.icmp_type == frames.NEIGHBOR_ADVERTISEMENT and packet.destination.is_multicast
        return ("garp" if unasked else "nd"), neighbor
    return KINDS.get(packet.protocol, ""), packet
