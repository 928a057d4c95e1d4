"""`--observe`: who is master on the wire, without taking part.

Pure bookkeeping of what is heard: lines come out where something changed. A sender counts as master until
it says priority 0 or is silent for three of its own intervals and a second interval's grace.
"""

from __future__ import annotations

from dataclasses import dataclass

from vrrpsim.protocol.configuration import Address, RouterConfig
from vrrpsim.protocol.packet import REQUIRED_TTL, Advertisement, DecodeError, parse

LATE = 1.5  # intervals
SILENT = 4  # intervals
WAY_NS = 50_000_000  # an advert's way: what crosses a take-over is no second master
TURNS = 3  # of two who take turns: one take-over, or one there and back, is a hand-over
MOST_SENDERS = 4096  # remembered; a flood of forged sources must not fill the memory

Router = tuple[str, int, int]  # interface, family, VRID


@dataclass(slots=True)
class Sender:
    """A master as it is heard."""

    priority: int
    interval_ns: int
    heard_ns: int


@dataclass(slots=True)
class Turn:
    """Who spoke last, since when, and how often that has changed in a few intervals."""

    source: Address
    since_ns: int
    turns: int


class Observer:
    """Feed it datagrams and time; it answers with lines."""

    def __init__(self, config: RouterConfig) -> None:
        self._own = {(each.interface, each.family, each.vrid): each.name for each in config.instances}
        self._masters: dict[Router, dict[Address, Sender]] = {}
        self._turns: dict[Router, Turn] = {}
        self._foreign: set[Router] = set()

    def heard(
        self, interface: str, source: Address, destination: Address, ttl: int, payload: bytes, now_ns: int
    ) -> list[str]:
        """One datagram of protocol 112."""
        family = source.version
        advert = parse(payload, family)
        if isinstance(advert, DecodeError):
            return [f"{interface}: malformed datagram from {source}: {advert.reason.value}"]
        router = (interface, family, advert.vrid)
        lines = []
        if router not in self._own and router not in self._foreign:
            self._foreign.add(router)
            lines.append(f"{interface}: foreign VRID {advert.vrid} from {source}")
        if destination.is_multicast and ttl != REQUIRED_TTL:
            return [*lines, f"{self._name(router)}: TTL {ttl} from {source}, it would be discarded"]
        return lines + self._note(router, source, advert, now_ns)

    def _note(self, router: Router, source: Address, advert: Advertisement, now_ns: int) -> list[str]:
        masters, name = self._masters.setdefault(router, {}), self._name(router)
        known = masters.get(source)
        if advert.priority == 0:
            self._turns.pop(router, None)
            return [f"{name}: {source} resigns"] if masters.pop(source, None) else []
        if known is None:
            if sum(map(len, self._masters.values())) >= MOST_SENDERS:
                return []
            masters[source] = Sender(advert.priority, advert.interval_ns, now_ns)
            line = f"{name}: {source} is master, priority {advert.priority}"
            return [line, *self._turn(router, source, advert.interval_ns, now_ns)]
        lines = self._turn(router, source, advert.interval_ns, now_ns)
        if known.priority != advert.priority:
            lines.append(f"{name}: {source} priority {known.priority} -> {advert.priority}")
        gap_ns = now_ns - known.heard_ns
        if gap_ns > LATE * known.interval_ns:
            lines.append(f"{name}: advert of {source} after {gap_ns / 1e9:.3f} s, late")
        masters[source] = Sender(advert.priority, advert.interval_ns, now_ns)
        return lines

    def _turn(self, router: Router, source: Address, interval_ns: int, now_ns: int) -> list[str]:
        """Two are masters if they take turns; one who follows another has taken over."""
        turn = self._turns.get(router)
        if turn is None:
            self._turns[router] = Turn(source, now_ns, 0)
        elif source != turn.source and now_ns - turn.since_ns > min(WAY_NS, interval_ns // 2):
            recent = now_ns - turn.since_ns <= SILENT * interval_ns
            turn.source, turn.since_ns, turn.turns = source, now_ns, turn.turns + 1 if recent else 1
            if turn.turns == TURNS:
                others = ", ".join(str(each) for each in self._masters[router] if each != source)
                return [f"{self._name(router)}: DUAL MASTER: {source} and {others}"]
        return []

    def advance(self, now_ns: int) -> list[str]:
        """Time passed: who has fallen silent."""
        lines = []
        for router, masters in self._masters.items():
            for source, sender in list(masters.items()):
                if now_ns - sender.heard_ns > SILENT * max(sender.interval_ns, 10_000_000):
                    del masters[source]
                    silent_s = (now_ns - sender.heard_ns) / 1e9
                    lines.append(f"{self._name(router)}: {source} silent for {silent_s:.1f} s")
                    if not masters:
                        lines.append(f"{self._name(router)}: NO MASTER")
        return lines

    def _name(self, router: Router) -> str:
        interface, family, vrid = router
        return self._own.get(router, f"VRID {vrid} (IPv{family})") + f" on {interface}"
