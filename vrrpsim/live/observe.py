"""`--observe`: who is master on the wire, without taking part.

Pure bookkeeping of what is heard: lines come out where something changed, numbers on demand. A sender counts
as master until it says priority 0 or is silent for three of its own intervals and a second interval's grace.
What an instance of the file would reject is counted by reason and makes nobody a master.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vrrpsim.protocol.configuration import Address, InstanceConfig, RouterConfig
from vrrpsim.protocol.dialect import DEFAULT_DIALECT, Dialect
from vrrpsim.protocol.fsm import InstanceRules
from vrrpsim.protocol.instances import association
from vrrpsim.protocol.packet import REQUIRED_TTL, Advertisement, Datagram, DecodeError, Reject, parse
from vrrpsim.protocol.reception import Reception, check_advert

LATE = 1.5  # intervals
SILENT = 4  # intervals
WAY_NS = 50_000_000  # an advert's way: what crosses a take-over is no second master
TURNS = 3  # of two who take turns: one take-over, or one there and back, is a hand-over
MOST_SENDERS = 4096  # remembered; a flood of forged sources must not fill the memory


class OnWire(NamedTuple):
    """What an advert is for."""

    interface: str
    family: int
    vrid: int


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


@dataclass(slots=True)
class Account:
    """What has been heard of one virtual router; `lateness_ns`: of the last advert, after its interval."""

    name: str
    masters: dict[Address, Sender] = field(default_factory=dict)
    sources: set[Address] = field(default_factory=set)
    adverts: int = 0
    late: int = 0
    lateness_ns: int = 0
    transitions: int = 0
    duals: int = 0
    last: Address | None = None
    turn: Turn | None = None


class Observer:
    """Feed it datagrams and time; it answers with lines."""

    def __init__(self, config: RouterConfig, dialect: Dialect = DEFAULT_DIALECT) -> None:
        self._dialect = dialect
        self._own = {OnWire(each.interface, each.family, each.vrid): each for each in config.instances}
        self._associations = {
            router: association(InstanceRules(each, dialect)) for router, each in self._own.items()
        }
        self._senders = 0
        self.accounts = {router: Account(self._name(router)) for router in self._own}
        self.rejected: Counter[tuple[str, str]] = Counter()  # by interface and reason

    @property
    def foreign(self) -> Iterator[OnWire]:
        """The virtual routers that were heard and are not in the file."""
        return (router for router in self.accounts if router not in self._own)

    def heard(self, interface: str, datagram: Datagram, now_ns: int) -> list[str]:
        """One datagram."""
        source, family = datagram.source, datagram.source.version
        advert = parse(datagram.payload, family)
        if isinstance(advert, DecodeError):
            return self._reject(interface, f"malformed datagram from {source}", advert)
        router = OnWire(interface, family, advert.vrid)
        lines = []
        if router not in self.accounts:
            self.accounts[router] = Account(self._name(router))
            lines.append(f"{interface}: foreign VRID {advert.vrid} from {source}")
        ours = self._own.get(router)
        if ours is not None:
            problem = self._judged(ours, router, datagram)
        else:
            wrong = datagram.destination.is_multicast and datagram.ttl != REQUIRED_TTL
            problem = DecodeError(Reject.IP_TTL_ERR, f"TTL {datagram.ttl}") if wrong else None
        if problem is not None:
            return [*lines, *self._reject(interface, f"advert of {source} is rejected", problem)]
        return lines + self._note(router, source, advert, now_ns)

    def _judged(self, ours: InstanceConfig, router: OnWire, datagram: Datagram) -> DecodeError | None:
        """What the instance would say as a backup."""
        verdict = check_advert(
            Reception(
                datagram,
                ours,
                self._dialect,
                own_source=None,
                from_remembered_master=datagram.source == self.accounts[router].last,
                is_master=False,
                old_unicast=False,
                association=self._associations[router],
            )
        )
        return verdict if isinstance(verdict, DecodeError) else None

    def _reject(self, interface: str, what: str, problem: DecodeError) -> list[str]:
        self.rejected[interface, problem.reason.value] += 1
        return [f"{interface}: {what}: {problem.detail or problem.reason.value}"]

    def _note(self, router: OnWire, source: Address, advert: Advertisement, now_ns: int) -> list[str]:
        account = self.accounts[router]
        known, name, lines = account.masters.get(source), account.name, []
        account.adverts += 1
        if source not in account.sources:
            if self._senders >= MOST_SENDERS:
                return []
            self._senders += 1
            account.sources.add(source)
        if advert.priority == 0:
            account.turn = None
            return [f"{name}: {source} resigns"] if account.masters.pop(source, None) else []
        if source != account.last:
            account.transitions += account.last is not None
            account.last = source
        if known is None:
            lines.append(f"{name}: {source} is master, priority {advert.priority}")
        elif known.priority != advert.priority:
            lines.append(f"{name}: {source} priority {known.priority} -> {advert.priority}")
        if known is not None:
            gap_ns = now_ns - known.heard_ns
            account.lateness_ns = max(gap_ns - known.interval_ns, 0)
            if gap_ns > LATE * known.interval_ns:
                account.late += 1
                lines.append(f"{name}: advert of {source} after {gap_ns / 1e9:.3f} s, late")
        account.masters[source] = Sender(advert.priority, advert.interval_ns, now_ns)
        return lines + self._turn(account, source, advert.interval_ns, now_ns)

    def _turn(self, account: Account, source: Address, interval_ns: int, now_ns: int) -> list[str]:
        """Two are masters if they take turns; one who follows another has taken over."""
        turn = account.turn
        if turn is None:
            account.turn = Turn(source, now_ns, 0)
        elif source != turn.source and now_ns - turn.since_ns > min(WAY_NS, interval_ns // 2):
            recent = now_ns - turn.since_ns <= SILENT * interval_ns
            turn.source, turn.since_ns, turn.turns = source, now_ns, turn.turns + 1 if recent else 1
            if turn.turns == TURNS:
                account.duals += 1
                others = ", ".join(str(each) for each in account.masters if each != source)
                return [f"{account.name}: DUAL MASTER: {source} and {others}"]
        return []

    def advance(self, now_ns: int) -> list[str]:
        """Time passed: who has fallen silent."""
        lines = []
        for account in self.accounts.values():
            for source, sender in list(account.masters.items()):
                if now_ns - sender.heard_ns > SILENT * max(sender.interval_ns, 10_000_000):
                    del account.masters[source]
                    silent_s = (now_ns - sender.heard_ns) / 1e9
                    lines.append(f"{account.name}: {source} silent for {silent_s:.1f} s")
                    if not account.masters:
                        lines.append(f"{account.name}: NO MASTER")
        return lines

    def _name(self, router: OnWire) -> str:
        interface, family, vrid = router
        name = self._own[router].name if router in self._own else f"VRID {vrid} (IPv{family})"
        return f"{name} on {interface}"
