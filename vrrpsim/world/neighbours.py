"""Neighbour caches (ARP and ND) of nodes and clients, as Linux keeps them.

REACHABLE lasts as long as confirmations come and then a random 15–45 s; a stale entry that is used is
DELAYed for 5 s, PROBEd three times by unicast and only then resolved anew by broadcast. So a wrong entry
black-holes its user for 23–53 s, and a peer whose entry FAILED gets nothing at all (groundtruth README).
REACHABLE ends by comparing time stamps when the entry is used; only the short states have timers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.fsm import NEVER_NS
from vrrpsim.scenario.model import Neighbours as Personality

from .calendar import Alarm, Kind
from .context import Context
from .frame import GRATUITOUS, REPLY, REQUEST, Frame, NeighbourFrame
from .segment import Attached

TICK_NS: Final = 4_000_000  # the kernel's timers end on the next tick (HZ = 250)
DELAY_NS: Final = 5_000_000_000 + TICK_NS  # delay_first_probe_time
RETRANSMIT_NS: Final = 1_000_000_000 + TICK_NS  # retrans_time
LOCKTIME_NS: Final = 1_000_000_000  # within it only a gratuitous frame changes a MAC
PROBES: Final = 3  # ucast_solicit and mcast_solicit
QUEUE: Final = 101  # unres_qlen in frames: older ones are dropped
EPOCH_NS: Final = 300_000_000_000  # the kernel draws reachable_time anew every five minutes


class Nud(Enum):
    """Neighbour unreachability detection (RFC 4861 §7.3.2), in the kernel's words."""

    NONE = "none"
    INCOMPLETE = "incomplete"
    REACHABLE = "reachable"
    STALE = "stale"
    DELAY = "delay"
    PROBE = "probe"
    FAILED = "failed"


USABLE: Final = (Nud.REACHABLE, Nud.STALE, Nud.DELAY, Nud.PROBE)


@dataclass(slots=True, eq=False, repr=False)
class Entry:
    """What a host knows of one neighbour."""

    address: Address
    timer: Alarm
    mac: bytes | None = None
    state: Nud = Nud.NONE
    confirmed_ns: int = 0
    updated_ns: int = -LOCKTIME_NS - 1
    probes: int = 0
    queue: list[Frame] = field(default_factory=list)
    source: Address | None = None  # the address its requests are sent from


class NetworkCard(Attached):
    """What a cache needs of the port that it belongs to."""

    rank: int
    context: Context

    @property
    def now_ns(self) -> int:
        """Simulated time."""
        return self.context.agenda.now_ns

    @property
    @abstractmethod
    def alive(self) -> bool:
        """The kernel behind it runs."""

    @abstractmethod
    def transmit(self, frame: Frame) -> None:
        """Put a frame on the segment."""

    @abstractmethod
    def ask(self, entry: Entry, mac: bytes | None) -> None:
        """Solicit a neighbour, by unicast if its MAC is believed."""

    @abstractmethod
    def lose(self, frame: Frame, reason: str) -> None:
        """A frame that waited is dropped."""

    @abstractmethod
    def neighbour_moved(self, entry: Entry) -> None:
        """A neighbour has another MAC now, or none."""


class NeighbourCache:
    """The cache of one port. `lifetime` personalities expire instead of probing."""

    def __init__(self, port: NetworkCard, personality: Personality) -> None:
        self.port = port
        self.personality = personality
        self.entries: dict[Address, Entry] = {}
        self._draws = port.context.streams.numbered(f"reachable/{port.name}")
        self._epoch = 0  # of five minutes
        self._reachable_ns = 0  # in it
        self._overdue: list[tuple[Entry, Callable[[Entry], None]]] = []  # timers of a paused machine

    # --- use

    def send(self, address: Address, frame: Frame, source: Address) -> None:
        """Send a frame to a neighbour: now, after resolution, or never."""
        entry = self.entry(address)
        mac = self.use(entry, source)
        if mac is not None:
            frame.dst_mac = mac
            self.port.transmit(frame)
            return
        if len(entry.queue) >= QUEUE:
            self.port.lose(entry.queue.pop(0), "unresolved")
        entry.queue.append(frame)

    def entry(self, address: Address) -> Entry:
        """The entry of an address, new or old."""
        entry = self.entries.get(address)
        if entry is None:
            timer = Alarm(self.port.context.agenda, Kind.KERNEL, self.port.rank)
            entry = self.entries[address] = Entry(address, timer)
        return entry

    def use(self, entry: Entry, source: Address) -> bytes | None:
        """The MAC to send to now, or None while it is not known. Using a stale entry starts its doubts."""
        entry.source = source
        until_ns = self.believed_until_ns(entry)
        if until_ns is not None:
            if self.port.now_ns < until_ns:
                return entry.mac
            entry.state = Nud.STALE
        if self.personality.lifetime is not None:
            if entry.state is not Nud.INCOMPLETE:
                self._start_resolving(entry)
            return None
        if entry.state is Nud.STALE:
            entry.state = Nud.DELAY
            entry.timer.set(DELAY_NS, self._fire, entry, self._delay_over)
        if entry.state in (Nud.NONE, Nud.FAILED):
            self._start_resolving(entry)
        return entry.mac if entry.state in USABLE else None

    def believed_until_ns(self, entry: Entry) -> int | None:
        """When a belief that nothing disturbs ends; None if it is doubted already or there is none.

        A `lifetime` counts from when the MAC was learned; while answers came, it was renewed on time.
        """
        if self.personality.lifetime is None:
            reachable = entry.state is Nud.REACHABLE
            return entry.confirmed_ns + self.reachable_ns() if reachable else None
        if entry.state not in USABLE:
            return None
        lifetime_ns = max(self._draws.draw_ns(self.personality.lifetime, 0), 1)
        renewals = max(entry.confirmed_ns - entry.updated_ns, 0) // lifetime_ns
        return entry.updated_ns + (renewals + 1) * lifetime_ns

    def steady_until_ns(self, address: Address, frame: Frame) -> int:
        """Until when sending this frame changes nothing here; now if it would."""
        now_ns = self.port.now_ns
        entry = self.entries.get(address)
        if entry is None or entry.mac != frame.dst_mac:
            return now_ns
        until_ns = self.believed_until_ns(entry)
        if until_ns is not None:
            return min(until_ns, (now_ns // EPOCH_NS + 1) * EPOCH_NS)
        waits = self.personality.lifetime is None and entry.state in (Nud.DELAY, Nud.PROBE)
        return NEVER_NS if waits else now_ns  # their timers are in the calendar

    def knows(self, address: Address, frame: Frame) -> bool:
        """Whether a frame goes to the MAC that is believed, without a timer that could change that."""
        entry = self.entries.get(address)
        return entry is not None and entry.mac == frame.dst_mac and entry.state in (Nud.REACHABLE, Nud.STALE)

    def answered(self, address: Address, at_ns: int) -> None:
        """The neighbour is taken to have answered at an instant, as a living one does."""
        entry = self.entries[address]
        entry.confirmed_ns, entry.state = max(entry.confirmed_ns, at_ns), Nud.REACHABLE

    def reachable_ns(self) -> int:
        """reachable_time: the same for all entries of a port, drawn anew every five minutes."""
        epoch = 1 + self.port.now_ns // EPOCH_NS
        if epoch != self._epoch:
            self._epoch, self._reachable_ns = epoch, self._draws.draw_ns(self.personality.reachable, epoch)
        return self._reachable_ns

    def confirm(self, entry: Entry) -> None:
        """An answer at a higher layer proved the entry (for example a TCP segment)."""
        entry.confirmed_ns = self.port.now_ns
        if entry.state in USABLE:
            entry.state = Nud.REACHABLE
            entry.timer.cancel()

    # --- what is heard

    def hear(self, frame: NeighbourFrame, for_us: bool) -> None:
        """Learn from an ARP or ND frame (arp_process in the kernel).

        Only a request for one of our addresses creates an entry (arp_accept = 0), and only it or a
        gratuitous frame replaces a MAC that is younger than the locktime.
        """
        if not (self.entries or for_us):
            return
        gratuitous = frame.operation == GRATUITOUS
        if gratuitous and not self.personality.garp:
            return
        entry = self.entries.get(frame.sender)
        if entry is None:
            if not for_us:
                return
            entry = self.entry(frame.sender)
        now_ns = self.port.now_ns
        new_mac = entry.mac != frame.sender_mac
        was_usable = entry.state in USABLE
        locked = was_usable and now_ns - entry.updated_ns <= LOCKTIME_NS
        if new_mac and locked and not (gratuitous or for_us):
            return
        if frame.operation == REPLY:
            self._settle(entry, frame.sender_mac, Nud.REACHABLE)
            entry.confirmed_ns = now_ns
        elif new_mac or not was_usable:
            self._settle(entry, frame.sender_mac, Nud.STALE)
        if new_mac or self.personality.lifetime is not None:
            entry.updated_ns = now_ns
        if new_mac or not was_usable:
            self.port.neighbour_moved(entry)

    def _settle(self, entry: Entry, mac: bytes, state: Nud) -> None:
        """The MAC is known: what waited for it leaves."""
        entry.mac = mac
        entry.state = state
        entry.timer.cancel()
        queue, entry.queue = entry.queue, []
        for frame in queue:
            frame.dst_mac = mac
            self.port.transmit(frame)

    # --- timers

    def _start_resolving(self, entry: Entry) -> None:
        """INCOMPLETE: a broadcast now and two more, a second apart."""
        entry.state = Nud.INCOMPLETE
        entry.probes = 0
        self._resolve(entry)

    def _resolve(self, entry: Entry) -> None:
        if entry.probes >= PROBES:
            self._fail(entry)
            return
        entry.probes += 1
        entry.timer.set(RETRANSMIT_NS, self._fire, entry, self._resolve)
        self.port.ask(entry, None)

    def _delay_over(self, entry: Entry) -> None:
        entry.state = Nud.PROBE
        entry.probes = 0
        self._probe(entry)

    def _probe(self, entry: Entry) -> None:
        if entry.probes >= PROBES:
            self._fail(entry)
            return
        entry.probes += 1
        entry.timer.set(RETRANSMIT_NS, self._fire, entry, self._probe)
        self.port.ask(entry, entry.mac)

    def _fail(self, entry: Entry) -> None:
        """Nobody answered: the waiting frames are dropped, the next use begins anew."""
        entry.state = Nud.FAILED
        for frame in entry.queue:
            self.port.lose(frame, "unresolved")
        entry.queue = []
        self.port.neighbour_moved(entry)

    def _fire(self, entry: Entry, function: Callable[[Entry], None]) -> None:
        if self.port.alive:
            function(entry)
        else:
            self._overdue.append((entry, function))

    def resume(self) -> None:
        """The machine was paused: what came due meanwhile happens now."""
        overdue, self._overdue = self._overdue, []
        for entry, function in overdue:
            if not entry.timer.pending:
                function(entry)

    def clear(self) -> None:
        """The machine lost power: everything is forgotten."""
        for entry in self.entries.values():
            entry.timer.cancel()
        self.entries.clear()
        self._overdue.clear()


__all__ = ["REQUEST", "Entry", "NeighbourCache", "Nud"]
