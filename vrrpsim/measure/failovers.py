"""Failovers: changes of owner that answer a fault, and the waterfall of where their time went (DESIGN §6).

A change of owner is an election that gives an address to a node while another one was the last to own it.
It answers the latest event that can have caused it, no later than the new owner's first instant and the old
one's last (who comes to help in a vacancy did not cause it):

- harm (kill, stop, power_off …, or the end of a repair) must have met the old owner,
- repair (start, power_on …, or the end of harm) must have met the new owner: preemption, a *return*,
- what may work either way (partition, impair, set, reload …) must have met one of them, or no node at all.

Each event is answered at most once for each address. Everything else is a move, not a failover.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from operator import attrgetter
from typing import TypeVar

from vrrpsim.trace import (
    Fault,
    FaultEnd,
    Gratuitous,
    PriorityChange,
    Reachability,
    Record,
    StateChange,
    TrackerChange,
)

from .history import History, Reaction
from .keywords import DaemonRules, claim_keyword, detect_keyword, elect_keyword, relearn_keyword
from .ownership import Ownership, Tenure

T = TypeVar("T", bound=Record)

HARM = ("kill", "stop", "freeze", "power_off", "pause", "link_down", "hang", "fail", "flush_address")
REPAIR = ("start", "power_on", "link_up", "pass", "thaw")
PARTS = ("detect", "elect", "claim", "relearn", "serve")


class Effect(Enum):
    """What an event does to the nodes it meets."""

    HARM = "harm"
    REPAIR = "repair"
    EITHER = "either"


def event_words(verb: str, targets: Sequence[str], detail: str) -> str:
    """Say an event in the words of the scenario, its roles resolved."""
    whom = "" if verb == "partition" and detail else " | ".join(targets)
    return " ".join(word for word in (verb, whom, detail) if word)


@dataclass(frozen=True, slots=True)
class Cause:
    """An event of the scenario, or its end where `undone`. `nodes` are those it met."""

    at_ns: int
    number: int
    verb: str
    targets: tuple[str, ...]
    nodes: tuple[str, ...]
    undone: bool = False
    detail: str = ""

    def __str__(self) -> str:
        text = event_words(self.verb, self.targets, self.detail)
        return f"end of {text}" if self.undone else text

    @property
    def effect(self) -> Effect:
        """Harm, repair, or what may be both."""
        if self.verb in HARM:
            return Effect.REPAIR if self.undone else Effect.HARM
        if self.verb in REPAIR:
            return Effect.HARM if self.undone else Effect.REPAIR
        return Effect.EITHER

    def explains(self, old: str, new: str) -> bool:
        """Whether the event can have moved an address from `old` to `new`."""
        match self.effect:
            case Effect.HARM:
                return old in self.nodes
            case Effect.REPAIR:
                return new in self.nodes
            case Effect.EITHER:
                return not self.nodes or old in self.nodes or new in self.nodes


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the waterfall; None where nothing shows its end. `keyword` governs its length."""

    name: str
    length_ns: int | None
    keyword: str


@dataclass(frozen=True, slots=True)
class Failover:
    """One change of owner that answers a fault."""

    address: str
    old: str
    new: str
    cause: Cause
    owner_ns: int
    parts: tuple[Part, ...]
    total_ns: int | None  # to the last good answer expected; None: no client got it before the horizon

    @property
    def fault_ns(self) -> int:
        """When the fault, or the repair, happened."""
        return self.cause.at_ns

    @property
    def length_ns(self) -> int:
        """From the fault to the new owner: what `expect: failover` bounds."""
        return self.owner_ns - self.cause.at_ns


def causes(faults: Iterable[Fault | FaultEnd], nodes: Iterable[str]) -> tuple[Cause, ...]:
    """Return the events and their ends in order of time."""
    known = frozenset(nodes)
    fired: dict[int, Cause] = {}
    found: list[Cause] = []
    for record in faults:
        if isinstance(record, Fault):
            met = (target.partition("/")[0] for target in record.resolved)
            touched = tuple(dict.fromkeys(node for node in met if node in known))
            cause = Cause(
                record.at_ns, record.number, record.verb, record.resolved, touched, detail=record.detail
            )
            fired[record.number] = cause
            found.append(cause)
        elif record.number in fired:
            cause = fired[record.number]
            found.append(replace(cause, at_ns=record.at_ns, undone=True))
    return tuple(found)


def failovers(
    past: History,
    owned: Iterable[Ownership],
    daemons: Mapping[str, DaemonRules],
    watchers: Mapping[str, Mapping[str, int]],
) -> tuple[Failover, ...]:
    """Return the failovers of a run in order of time.

    `watchers` gives, for each address, the clients that ask it and their period in ns.
    """
    events = causes(past.faults, daemons)
    seen = _Seen(past)
    found: list[Failover] = []
    for ownership in owned:
        answered: set[Cause] = set()
        for old, tenure in changes_of_owner(ownership):
            cause = _cause(events, old, tenure)
            if cause is None or cause in answered:
                continue
            answered.add(cause)
            clients = watchers.get(ownership.address, {})
            failover = _failover(seen, daemons, clients, old.node, tenure, cause)
            if failover is not None:
                found.append(failover)
    return tuple(sorted(found, key=attrgetter("owner_ns", "address")))


class _Seen:
    """What failovers look for in the past, each in order of time: looked up instead of searched."""

    def __init__(self, past: History) -> None:
        self.reactions = past.reactions
        self.gratuitous: dict[tuple[str, str], list[Gratuitous]] = {}
        self.priorities: dict[tuple[str, str], list[PriorityChange]] = {}
        self.reachability: dict[str, list[Reachability]] = {}
        for frame in past.gratuitous:
            self.gratuitous.setdefault((frame.node, frame.address), []).append(frame)
        for record in past.reactions:
            if isinstance(record, PriorityChange):
                self.priorities.setdefault((record.node, record.instance), []).append(record)
        for change in past.reachability:
            self.reachability.setdefault(change.client, []).append(change)


def changes_of_owner(ownership: Ownership) -> Iterator[tuple[Tenure, Tenure]]:
    """Return each tenure that began by election after another node's, preceded by that one."""
    last: Tenure | None = None
    for tenure in ownership.tenures:
        if last and last.node != tenure.node and not tenure.resumed:
            yield last, tenure
        last = tenure


def _cause(events: Sequence[Cause], old: Tenure, new: Tenure) -> Cause | None:
    last_ns = min(old.end_ns, new.start_ns)
    before = events[: bisect_right(events, last_ns, key=attrgetter("at_ns"))]
    return next((event for event in reversed(before) if event.explains(old.node, new.node)), None)


def _failover(
    seen: _Seen,
    daemons: Mapping[str, DaemonRules],
    watchers: Mapping[str, int],
    old: str,
    tenure: Tenure,
    cause: Cause,
) -> Failover | None:
    """Measure one change of owner; None if nobody was elected, as when a reload adds an address."""
    new, address = tenure.node, tenure.address
    reactions = _between(seen.reactions, cause.at_ns, tenure.start_ns)
    won = _won(reactions, daemons.get(new), address, new)
    daemon = daemons.get(new)
    if won is None and daemon is not None and daemon.instance_of(address) is not None:
        return None
    master_ns = won.at_ns if won else tenure.start_ns
    first = next((r for r in reactions if r.at_ns <= master_ns and _reacts(r, cause, old, new)), None)
    heard_ns = won.last_advert_ns if won else None
    detected_ns = first.at_ns if first else min(max(cause.at_ns, heard_ns or 0), master_ns)
    frames = _between(seen.gratuitous.get((new, address), []), tenure.start_ns, tenure.end_ns - 1)
    burst = [frame.at_ns for frame in frames]
    claimed_ns = burst[0] if burst else tenure.start_ns
    relearnt_ns, served_ns = _clients_back(seen.reachability, watchers, new, claimed_ns, tenure.end_ns)
    priority = _priority(seen.priorities, daemons.get(new), address, new, master_ns)
    keywords = (
        detect_keyword(first, daemons),
        elect_keyword(daemons.get(old), daemons.get(new), address, priority, won, detected_ns),
        claim_keyword(daemons.get(new), address),
        relearn_keyword(daemons.get(new), address, burst, relearnt_ns, bool(watchers)),
        f"a request every {min(watchers.values()) // 1_000_000} ms" if watchers else "no client asks",
    )
    instants = (cause.at_ns, detected_ns, master_ns, claimed_ns, relearnt_ns, served_ns)
    parts = tuple(
        Part(name, None if begin is None or end is None else end - begin, keyword)
        for name, begin, end, keyword in zip(PARTS, instants[:-1], instants[1:], keywords, strict=True)
    )
    last_ns = served_ns if watchers else claimed_ns
    total_ns = None if last_ns is None else last_ns - cause.at_ns
    return Failover(address, old, new, cause, tenure.start_ns, parts, total_ns)


def _between(records: Sequence[T], start_ns: int, end_ns: int) -> Sequence[T]:
    """The records of a closed stretch of time."""
    when = attrgetter("at_ns")
    return records[bisect_left(records, start_ns, key=when) : bisect_right(records, end_ns, key=when)]


def _won(
    reactions: Sequence[Reaction], daemon: DaemonRules | None, address: str, new: str
) -> StateChange | None:
    """Return the last transition to MASTER of the instance that carries the address on the new owner."""
    instance = daemon.instance_of(address) if daemon else None
    for record in reversed(reactions):
        if not isinstance(record, StateChange) or (record.node, record.new) != (new, "MASTER"):
            continue
        if instance is None or instance.name == record.instance:
            return record
    return None


def _reacts(record: Reaction, cause: Cause, old: str, new: str) -> bool:
    """Whether the record is somebody noticing the event: the old owner its harm, the new one its repair."""
    worse = cause.effect is not Effect.REPAIR and record.node == old
    better = cause.effect is not Effect.HARM and record.node == new
    match record:
        case TrackerChange(ok=ok):
            return better if ok else worse
        case PriorityChange():
            return better if record.new > record.old else worse
        case StateChange(new="FAULT") | StateChange(old="MASTER", new="BACKUP"):
            return worse
        case StateChange(new="INIT", reason="stop"):
            return worse
        case StateChange(old="INIT" | "FAULT"):
            return better
    return False


def _priority(
    changes: Mapping[tuple[str, str], Sequence[PriorityChange]],
    daemon: DaemonRules | None,
    address: str,
    node: str,
    at_ns: int,
) -> int | None:
    """Return the effective priority of the address's instance on a node at an instant."""
    instance = daemon.instance_of(address) if daemon else None
    if instance is None:
        return None
    before = _between(changes.get((node, instance.name), []), 0, at_ns)
    return before[-1].new if before else instance.priority


def _clients_back(
    changes: Mapping[str, Sequence[Reachability]],
    watchers: Mapping[str, int],
    new: str,
    claimed_ns: int,
    end_ns: int,
) -> tuple[int | None, int | None]:
    """When the last of the clients is led to the new owner, and when it gets its first answer there.

    Clients that never come back within the tenure have an outage of their own and do not count here.
    """
    led: list[int] = []
    served: list[int] = []
    for client, every_ns in watchers.items():
        of_client = changes.get(client, [])
        then = bisect_right(of_client, claimed_ns, key=attrgetter("at_ns")) - 1
        own = of_client[max(then, 0) : bisect_left(of_client, end_ns, key=attrgetter("at_ns"))]
        led_ns = _holds_from(own, claimed_ns, lambda change: change.node == new)
        answered_ns = _holds_from(own, claimed_ns, lambda change: change.reachable and change.node == new)
        if led_ns is not None and answered_ns is not None:
            led.append(led_ns)
            served.append(-(-answered_ns // every_ns) * every_ns)
    return max(led, default=None), max(served, default=None)


def _holds_from(
    changes: Sequence[Reachability], from_ns: int, wanted: Callable[[Reachability], bool]
) -> int | None:
    """The first instant at or after `from_ns` at which it holds; None: never."""
    holds = False
    for change in changes:
        if change.at_ns > from_ns and holds:
            return from_ns
        holds = wanted(change)
        if holds and change.at_ns > from_ns:
            return change.at_ns
    return from_ns if holds else None
