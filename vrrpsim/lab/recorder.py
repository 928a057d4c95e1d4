"""Eyes and ears: netlink of each machine, packets on the bridges, the daemons' logs and FIFOs -> a trace.

All instants are of one monotonic clock, from the start of the run; packets carry the kernel's time stamps.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

from vrrpsim.config.scenario import Scenario
from vrrpsim.protocol import frames
from vrrpsim.protocol.configuration import Address, InstanceConfig, RouterConfig
from vrrpsim.protocol.packet import HEADER_BYTES, PROTOCOL_VRRP
from vrrpsim.trace import (
    AddressChange,
    AdvertSent,
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

from . import kernel

NEW_LINK, NEW_ADDRESS, REMOVED_ADDRESS = 16, 20, 21  # rtnetlink messages
NAME_OF_LINK, ADDRESS, LOCAL_ADDRESS = 3, 1, 2  # their attributes
GROUPS = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses
ALL_FRAMES, SO_TIMESTAMPNS, SO_ATTACH_FILTER = 3, 35, 26
OUTGOING = 4
SAME_CAUSE_NS = 50_000_000  # a line of a log is read at most so long after what it tells

# Classic BPF: not what leaves through a port; ARP, protocol 112, and for IPv6 also ICMP (58).
FILTER = (
    (0x20, 0, 0, 0xFFFFF004), (0x15, 10, 0, OUTGOING),
    (0x28, 0, 0, 12), (0x15, 7, 0, 0x0806),
    (0x15, 0, 2, 0x0800), (0x30, 0, 0, 23), (0x15, 4, 5, PROTOCOL_VRRP),
    (0x15, 0, 4, 0x86DD), (0x30, 0, 0, 20), (0x15, 1, 0, PROTOCOL_VRRP), (0x15, 0, 1, 58),
    (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
)  # fmt: skip

LOG = (
    ("state", re.compile(r"\((.+)\) Entering (MASTER|BACKUP|FAULT) STATE")),
    ("priority", re.compile(r"\((.+)\) Changing effective priority from (\d+) to (\d+)")),
    ("script", re.compile(r"VRRP_Script\((.+)\) (succeeded|failed|timed_out)")),
    ("interface", re.compile(r"Netlink reports (\S+) (up|down)")),
    ("process", re.compile(r"Quorum (gained|lost) for tracked process (\S+)")),
)
FIFO_LINE = re.compile(r'(INSTANCE|GROUP) "(.+)" (\S+) (\d+)$')
CLUES = (("Master received advert", "higher_advert"), ("Syncing", "sync_group"))
REASONS = {"MASTER": "master_down_timer", "BACKUP": "higher_advert"}  # unless something else is seen


class Heard(NamedTuple):
    """An advert on its way into a bridge."""

    at_ns: int
    node: str
    instance: str
    priority: int


class Recorder:
    """What is seen of a run, while it goes on. Instant 0 is the monotonic clock's `epoch_ns`."""

    def __init__(self, scenario: Scenario, configs: dict[str, RouterConfig]) -> None:
        self.epoch_ns = time.monotonic_ns()
        self.records: list[Record] = []
        self.configs = configs  # what each daemon runs now
        self.states: dict[tuple[str, str], str] = {}  # of the instances of daemons that run
        self._own = {
            name: {a.ip for i in node.interfaces.values() for a in i.addresses}
            for name, node in scenario.nodes.items()
        }
        self._heard: list[Heard] = []
        self._names: dict[tuple[str, int], str] = {}  # of interfaces
        self._held: set[tuple[str, str, Address]] = set()
        self._monitors: dict[str, socket.socket] = {}
        self._fifos: list[int] = []
        self._sniffer: socket.socket | None = None

    def start(self) -> None:
        """The run begins now."""
        self.epoch_ns = time.monotonic_ns()
        self.records.clear()

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
        if self._sniffer is not None:
            loop.remove_reader(self._sniffer)
            self._sniffer.close()

    # --- the kernel of a machine

    def watch(self, node: str, network: int) -> None:
        """Follow the addresses of a machine."""
        with kernel.inside(network):
            monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
            names = socket.if_nameindex()
        monitor.setblocking(False)
        monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        monitor.bind((0, GROUPS))
        self._monitors[node] = monitor
        self._names |= {(node, index): name for index, name in names}
        asyncio.get_running_loop().add_reader(monitor, self._netlink, node, monitor)

    def forget(self, node: str) -> None:
        """The machine is gone, and with it what its kernel had."""
        monitor = self._monitors.pop(node, None)
        if monitor is not None:
            asyncio.get_running_loop().remove_reader(monitor)
            monitor.close()
        self._held = {held for held in self._held if held[0] != node}

    def _netlink(self, node: str, monitor: socket.socket) -> None:
        at_ns = self.now_ns()
        with suppress(BlockingIOError):
            while True:
                data = monitor.recv(65536)
                while len(data) >= 16:
                    length, kind = struct.unpack_from("=IH", data)
                    self._message(at_ns, node, kind, data[16:length])
                    data = data[(length + 3) & ~3 :]

    def _message(self, at_ns: int, node: str, kind: int, body: bytes) -> None:
        if kind == NEW_LINK:
            name = _attributes(body[16:]).get(NAME_OF_LINK, b"").rstrip(b"\0").decode()
            self._names[node, struct.unpack_from("=i", body, 4)[0]] = name
        elif kind in (NEW_ADDRESS, REMOVED_ADDRESS):
            found = _attributes(body[8:])
            address = ip_address(found.get(LOCAL_ADDRESS) or found[ADDRESS])
            name = self._names.get((node, struct.unpack_from("=I", body, 4)[0]), "")
            held = (node, name, address)
            present = kind == NEW_ADDRESS
            if address in self._own[node] or not self._is_virtual(node, address):
                return
            if present != (held in self._held):
                (self._held.add if present else self._held.discard)(held)
                self.add(AddressChange(at_ns, node, name, str(address), present))

    def _is_virtual(self, node: str, address: Address) -> bool:
        instances = self.configs[node].instances if node in self.configs else ()
        known = any(address == each.address for i in instances for each in (*i.addresses, *i.excluded))
        return known or not (address.is_link_local or address.is_loopback)

    # --- packets

    def sniff(self, network: int, ends: Callable[[str], str]) -> None:
        """Hear what enters the bridges; `ends` says whose port an interface is, "" for nobody's."""
        with kernel.inside(network):
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
        program = b"".join(struct.pack("=HBBI", *instruction) for instruction in FILTER)
        buffer = ctypes.create_string_buffer(program)
        head = struct.pack("=HxxxxxxQ", len(FILTER), ctypes.addressof(buffer))
        sniffer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)
        sniffer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sniffer.setblocking(False)
        self._sniffer = sniffer
        asyncio.get_running_loop().add_reader(sniffer, self._frames, sniffer, ends)

    def _frames(self, sniffer: socket.socket, ends: Callable[[str], str]) -> None:
        offset_ns = time.time_ns() - time.monotonic_ns() + self.epoch_ns
        with suppress(BlockingIOError):
            while True:
                frame, ancillary, _, (port, *_) = sniffer.recvmsg(4096, 256)
                node, _, interface = ends(port).partition("/")
                if node in self.configs or interface:
                    seconds, rest = struct.unpack("=qq", ancillary[0][2][:16])
                    self._frame(seconds * 10**9 + rest - offset_ns, node, interface, frame)

    def _frame(self, at_ns: int, node: str, interface: str, data: bytes) -> None:
        frame = frames.decode_ethernet(data)
        if frame is None:
            return
        if frame.ethertype == 0x0806:
            arp = frames.decode_arp(frame.payload)
            if arp is not None and arp.gratuitous:
                self._gratuitous(at_ns, node, interface, arp.sender, arp.sender_mac)
            return
        decode = frames.decode_ipv4 if frame.ethertype == 0x0800 else frames.decode_ipv6
        packet = decode(frame.payload)
        if packet is None:
            return
        if packet.protocol == PROTOCOL_VRRP:
            self._advert(at_ns, node, packet)
        elif packet.destination.is_multicast:
            neighbor = frames.decode_neighbor(packet)
            if neighbor is not None and neighbor.mac and neighbor.icmp_type == frames.NEIGHBOR_ADVERTISEMENT:
                self._gratuitous(at_ns, node, interface, neighbor.target, neighbor.mac)

    def _gratuitous(self, at_ns: int, node: str, interface: str, address: Address, mac: bytes) -> None:
        if address not in self._own.get(node, ()):
            self.add(Gratuitous(at_ns, node, interface, str(address), frames.mac_text(mac)))

    def _advert(self, at_ns: int, node: str, packet: frames.IpPacket) -> None:
        if len(packet.payload) < HEADER_BYTES or node not in self.configs:
            return
        vrid, priority = packet.payload[1], packet.payload[2]
        instance = self._instance(node, vrid, packet.source.version)
        if instance is not None:
            self.add(AdvertSent(at_ns, node, instance.name, priority, str(packet.destination)))
            self._heard.append(Heard(at_ns, node, instance.name, priority))

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
            match = FIFO_LINE.match(line)
            if match is None:
                continue
            kind, name, state, priority = match.groups()
            self.add(Notification(at_ns, node, kind, name, state, int(priority)))
            if kind == "INSTANCE" and state == "STOP":
                self._entered(at_ns, node, name, "INIT", "stop")

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
                ok = word in ("succeeded", "up", "gained")
                self.add(TrackerChange(at_ns, node, kind, name, ok, word.replace("_", " ")))
            return

    def _entered(self, at_ns: int, node: str, instance: str, state: str, reason: str = "") -> None:
        old = self.states.get((node, instance), "INIT")
        if old == state:
            return
        self.states[node, instance] = state
        if not reason:
            reason = "init" if old == "INIT" else self._why(at_ns, node, state)
        self.add(StateChange(at_ns, node, instance, old, state, reason))

    def _why(self, at_ns: int, node: str, state: str) -> str:
        for record in reversed(self.records):
            if record.at_ns < at_ns - SAME_CAUSE_NS:
                break
            if isinstance(record, TrackerChange) and record.node == node:
                return "recovered" if record.ok else f"{record.tracker} {record.name} {record.reason}"
            if isinstance(record, AddressChange) and (record.node, record.present) == (node, False):
                return "address_lost"
            if isinstance(record, LogLine) and record.node == node:
                found = [reason for text, reason in CLUES if text in record.text]
                if found:
                    return found[0]
        return REASONS.get(state, "")

    def daemon_gone(self, node: str) -> None:
        """Nobody there is in any state."""
        for key in [key for key in self.states if key[0] == node]:
            del self.states[key]

    # --- the end

    def trace(self, end_ns: int) -> Trace:
        """Everything in order of time, causes before effects.

        A packet carries the instant at which it was sent; a line of a log and a change of addresses are
        read a moment after they happened, which may be after the packet that followed from them.
        """
        trace = Trace(Level.FRAMES)
        trace.end_ns = end_ns
        claimed = [r for r in self.records if isinstance(r, Gratuitous)]
        added = [self._not_after(r, claimed) for r in self.records if isinstance(r, AddressChange)]
        others = [
            self._mastered(r, added) if isinstance(r, StateChange) else r
            for r in self.records
            if not isinstance(r, AddressChange)
        ]
        records = [record for record in (*others, *added) if record.at_ns <= end_ns]
        trace.records = sorted(records, key=_order)
        return trace

    def _not_after(self, change: AddressChange, claimed: list[Gratuitous]) -> AddressChange:
        """An address that is announced is there."""
        told = (g.at_ns for g in claimed if (g.node, g.address) == (change.node, change.address))
        return change._replace(at_ns=_earliest(change.at_ns, told)) if change.present else change

    def _mastered(self, change: StateChange, added: list[AddressChange]) -> StateChange:
        """Who adds the addresses is Master."""
        config = self._config(change.node, change.instance)
        if change.new != "MASTER" or config is None:
            return change
        carried = {str(each.address) for each in (*config.addresses, *config.excluded)}
        came = (a.at_ns for a in added if a.present and a.node == change.node and a.address in carried)
        at_ns = _earliest(change.at_ns, came)
        return change._replace(at_ns=at_ns, last_advert_ns=self._last_accepted_ns(change, config))

    def _config(self, node: str, instance: str) -> InstanceConfig | None:
        return next((each for each in self.configs[node].instances if each.name == instance), None)

    def _last_accepted_ns(self, change: StateChange, config: InstanceConfig) -> int | None:
        """When the new master last heard an advert that it had to accept, as far as the wire tells."""
        moves = [
            record
            for record in self.records
            if isinstance(record, PriorityChange)
            and (record.node, record.instance) == (change.node, change.instance)
        ]
        for heard in reversed(self._heard):
            rival = self._config(heard.node, heard.instance)
            if heard.at_ns >= change.at_ns or heard.node == change.node or rival is None:
                continue
            if (rival.vrid, rival.family) == (config.vrid, config.family):
                own = [config.priority, *(move.new for move in moves if move.at_ns <= heard.at_ns)][-1]
                if heard.priority == 0 or heard.priority >= own or not config.preempt:
                    return heard.at_ns
        return None


def _earliest(at_ns: int, effects: Iterable[int]) -> int:
    """The instant of something that was noticed at `at_ns`: no later than what it led to."""
    return min([at_ns, *(each for each in effects if at_ns - SAME_CAUSE_NS < each < at_ns)])


def _order(record: Record) -> tuple[int, int]:
    """Of equal instants: states, then addresses, then announcements."""
    return record.at_ns, (isinstance(record, AddressChange) + 2 * isinstance(record, Gratuitous))


def _attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of an rtnetlink message."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found
