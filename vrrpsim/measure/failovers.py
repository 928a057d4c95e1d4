"""Failovers: changes of owner that answer an event, and the waterfall of where their time went (DESIGN §6).

A change of owner is an election that gives an address to a node while another one was the last to own it. It
answers the latest event that can have caused it, no later than the new owner's first instant and the old
one's last (who comes to help in a vacancy did not cause it):

- harm (kill, stop, power_off …, or the end of a repair) must have met the old owner: a *takeover*,
- repair (start, power_on …, or the end of harm) must have met the new owner: preemption, a *return*,
- what may work either way (partition, impair, set, reload …) must have met one of them, or no node at all.

Each event is answered at most once for each address, but what goes on (impair, starve) at any time. A
takeover from a Master that was one all along, because its adverts were lost, late or rejected, is a *false
takeover*: it counts from the last advert that was accepted. The end of two owners is a *heal*. Everything
else is a move.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from operator import attrgetter
from typing import Final, NamedTuple, TypeVar

from vrrpsim.protocol.configuration import InstanceConfig
from vrrpsim.protocol.reasons import Reason
from vrrpsim.scenario.verbs import Effect
from vrrpsim.trace import Gratuitous, PriorityChange, Reachability, Record, StateChange, TrackerChange

from .causes import Cause, causes
from .history import History, Reaction
from .keywords import (
    LATE_NS,
    Blame,
    DaemonRules,
    claim_blame,
    detect_blame,
    elect_blame,
    measured,
    relearn_blame,
    serve_blame,
)
from .ownership import HAND_OVER_NS, Ownership, Span, Tenure, changes_of_owner

T = TypeVar("T", bound=Record)

PARTS = ("detect", "elect", "claim", "relearn", "serve")
NO_EVENT: Final = -1  # the number of a cause that no event of the scenario is


class FailoverKind(Enum):
    """What a change of owner is to the people who are served."""

    TAKEOVER = "takeover"
    FALSE_TAKEOVER = "false takeover"
    RETURN = "return"
    HEAL = "heal"


ANSWERS = ("failover", "return", "heal")  # what a sweep measures of each kind; a takeover is a failover


def answers_an_event(name: str) -> bool:
    """Whether a measure is that of one event, such as `failover.kill lb1/haproxy`."""
    kind, dot, _ = name.partition(".")
    return bool(dot) and kind in ANSWERS


class Part(NamedTuple):
    """One part of the waterfall; None where nothing shows its end. `keyword` governs its length.

    The keyword accounts for lengths from `least_ns` to `most_ns`; no host is later than `keywords.LATE_NS`.
    """

    name: str
    length_ns: int | None
    keyword: str
    least_ns: int = 0
    most_ns: int = 0


class Failover(NamedTuple):
    """One change of owner that answers an event, or the end of two owners: then `old` gave way."""

    address: str
    old: str
    new: str
    kind: FailoverKind
    cause: Cause
    fault_ns: int  # when the event happened; where it goes on, when its harm began
    owner_ns: int
    parts: tuple[Part, ...]
    total_ns: int | None  # to the last good answer expected; None: no client got it before the horizon

    @property
    def length_ns(self) -> int:
        """From the fault to the new owner: what `expect: failover` bounds."""
        return self.owner_ns - self.fault_ns

    @property
    def is_takeover(self) -> bool:
        """Whether it answers harm: what `failover` is in expectations and sweeps."""
        return self.kind in (FailoverKind.TAKEOVER, FailoverKind.FALSE_TAKEOVER)


def failovers(
    past: History,
    owned: Iterable[Ownership],
    daemons: Mapping[str, DaemonRules],
    watchers: Mapping[str, Mapping[str, int]],
    asked: Mapping[str, frozenset[str]],
    between: Collection[str] = (),
) -> tuple[Failover, ...]:
    """Return the failovers of a run in order of time.

    `watchers` gives, for each address, the clients that ask it and their period in ns; `asked`, for each
    node, those whose harm its checks or BFD sessions notice; `between` names the switches and cables.
    """
    events = causes(past.faults, {*daemons, *(node for each in asked.values() for node in each)}, between)
    index = _Index(past)
    found: list[Failover] = []
    for ownership in owned:
        address = ownership.address
        seen = _Seen(index, daemons, address, watchers.get(address, {}))
        found += _takeovers(seen, ownership, events, asked)
        found += filter(None, (_heal(seen, span, ownership, events) for span in ownership.dual_master))
    return tuple(sorted(found, key=attrgetter("owner_ns", "address")))


def _takeovers(
    seen: _Seen, ownership: Ownership, events: Sequence[Cause], asked: Mapping[str, frozenset[str]]
) -> Iterator[Failover]:
    answered: set[Cause] = set()
    for old, tenure in changes_of_owner(ownership):
        won = seen.won(tenure)
        if won is None and seen.instance_of(tenure.node) is not None:
            continue  # nobody was elected, as when a reload adds an address
        kept = old.end_ns > tenure.start_ns + HAND_OVER_NS or not old.ended
        cause = _cause(events, old, tenure, asked)
        heard_ns = won.last_advert_ns if won else None
        if cause is None or (cause.goes_on and (heard_ns or 0) > cause.at_ns):
            if heard_ns is None or not (kept or cause):
                continue
            kind, fault_ns = FailoverKind.FALSE_TAKEOVER, heard_ns
            cause = cause or Cause(fault_ns, NO_EVENT, "no advert accepted", (), ())
        elif cause in answered:
            continue
        else:
            kind, fault_ns = _kind(cause, old.node), cause.at_ns
        answered.add(cause)
        yield _change(seen, old.node, tenure, won, kind, cause, fault_ns)


def _cause(
    events: Sequence[Cause], old: Tenure, new: Tenure, asked: Mapping[str, frozenset[str]]
) -> Cause | None:
    last_ns = min(old.end_ns, new.start_ns)
    before = events[: bisect_right(events, last_ns, key=attrgetter("at_ns"))]
    olds, news = ({tenure.node} | asked.get(tenure.node, frozenset()) for tenure in (old, new))
    return next((event for event in reversed(before) if event.explains(olds, news)), None)


def _kind(cause: Cause, old: str) -> FailoverKind:
    match cause.effect:
        case Effect.HARM:
            return FailoverKind.TAKEOVER
        case Effect.REPAIR:
            return FailoverKind.RETURN
        case Effect.EITHER:
            wanted = cause.verb in ("set", "reload") and old not in cause.nodes  # somebody prefers the other
            return FailoverKind.RETURN if cause.undone or wanted else FailoverKind.TAKEOVER


class _Index:
    """The past by what is asked of it, each in order of time: looked up, not searched."""

    def __init__(self, past: History) -> None:
        self.reactions = past.reactions
        self.states: dict[str, list[StateChange]] = {}
        self.priorities: dict[tuple[str, str], list[PriorityChange]] = {}
        self.gratuitous: dict[tuple[str, str], list[Gratuitous]] = {}
        self.reachability: dict[str, list[Reachability]] = {}
        for reaction in past.reactions:
            if isinstance(reaction, StateChange):
                self.states.setdefault(reaction.node, []).append(reaction)
            elif isinstance(reaction, PriorityChange):
                self.priorities.setdefault((reaction.node, reaction.instance), []).append(reaction)
        for frame in past.gratuitous:
            self.gratuitous.setdefault((frame.node, frame.address), []).append(frame)
        for change in past.reachability:
            self.reachability.setdefault(change.client, []).append(change)


class _Seen:
    """What concerns one address: its instances, who announced it, the clients that ask it."""

    def __init__(
        self, index: _Index, daemons: Mapping[str, DaemonRules], address: str, watchers: Mapping[str, int]
    ) -> None:
        self.index, self.daemons, self.address, self.watchers = index, daemons, address, watchers
        self.reactions = index.reactions

    def instance_of(self, node: str) -> InstanceConfig | None:
        daemon = self.daemons.get(node)
        return daemon.instance_of(self.address) if daemon else None

    def won(self, tenure: Tenure) -> StateChange | None:
        """The last transition before it of an instance that carries the address, if that is MASTER then."""
        daemon = self.daemons.get(tenure.node)
        carriers = {each.name for each in daemon.carriers.get(self.address, ())} if daemon else set()
        left: set[str] = set()  # those that were no Master any more
        for record in reversed(_between(self.index.states.get(tenure.node, []), 0, tenure.start_ns)):
            if record.instance not in left and (not carriers or record.instance in carriers):
                if record.new == "MASTER":
                    return record
                left.add(record.instance)
        return None

    def followed(self, node: str, won: StateChange | None) -> tuple[StateChange | None, str]:
        """The transition of another instance that led this one's sync group, and what it advertises."""
        if won is None or won.reason != Reason.SYNC_GROUP or node not in self.daemons:
            return None, ""
        near = _between(self.index.states.get(node, []), won.at_ns - LATE_NS, won.at_ns)
        leaders = (each for each in near if each.new == "MASTER" and each.reason != Reason.SYNC_GROUP)
        leader = next(leaders, None)
        instances = self.daemons[node].config.instances
        mine = next((each for each in instances if leader and each.name == leader.instance), None)
        return leader, str(mine.addresses[0].address) if mine and mine.addresses else ""

    def priority(self, node: str, at_ns: int) -> int | None:
        """The effective priority of the address's instance on a node at an instant."""
        instance = self.instance_of(node)
        if instance is None:
            return None
        moved = _between(self.index.priorities.get((node, instance.name), []), 0, at_ns)
        return moved[-1].new if moved else instance.priority

    def burst(self, node: str, start_ns: int, end_ns: int) -> list[int]:
        """When the node announced the address."""
        frames = self.index.gratuitous.get((node, self.address), [])
        return [frame.at_ns for frame in _between(frames, start_ns, end_ns)]

    def clients_back(self, new: str, claimed_ns: int, end_ns: int) -> tuple[int | None, int | None]:
        """When the last of the clients is led to the new owner, and when it gets its first answer there.

        Clients that never come back within the tenure have an outage of their own and do not count here.
        """
        led: list[int] = []
        served: list[int] = []
        for client, every_ns in self.watchers.items():
            of_client = self.index.reachability.get(client, [])
            then = bisect_right(of_client, claimed_ns, key=attrgetter("at_ns")) - 1
            own = of_client[max(then, 0) : bisect_left(of_client, end_ns, key=attrgetter("at_ns"))]
            led_ns = _holds_from(own, claimed_ns, lambda change: change.node == new)
            answered_ns = _holds_from(own, claimed_ns, lambda change: change.reachable and change.node == new)
            if led_ns is not None and answered_ns is not None:
                led.append(led_ns)
                served.append(-(-answered_ns // every_ns) * every_ns)
        return max(led, default=None), max(served, default=None)


def _change(
    seen: _Seen,
    old: str,
    tenure: Tenure,
    won: StateChange | None,
    kind: FailoverKind,
    cause: Cause,
    fault_ns: int,
) -> Failover:
    """Measure one change of owner."""
    new, daemons = tenure.node, seen.daemons
    reactions = _between(seen.reactions, fault_ns, tenure.start_ns)
    master_ns = won.at_ns if won and won.at_ns >= fault_ns else tenure.start_ns
    reacts = (r for r in reactions if r.at_ns <= master_ns and _reacts(r, cause, old, new))
    first = None if kind is FailoverKind.FALSE_TAKEOVER else next(reacts, None)
    heard_ns = won.last_advert_ns if won else None
    detected_ns = first.at_ns if first else min(max(fault_ns, heard_ns or 0), master_ns)
    since = [each for each in reactions if detected_ns < each.at_ns and each.node in (old, new)]
    blames = (
        detect_blame(first, daemons, seen.instance_of(old), detected_ns - fault_ns),
        _election(seen, old, new, won, since, detected_ns, master_ns),
    )
    instants = (fault_ns, detected_ns, master_ns)
    return _failover(seen, old, new, kind, cause, instants, blames, tenure.start_ns, tenure.end_ns)


def _election(
    seen: _Seen,
    old: str,
    new: str,
    won: StateChange | None,
    since: Sequence[Reaction],
    detected_ns: int,
    master_ns: int,
) -> Blame:
    """Say what decided the wait until an instance was Master, or the one that its sync group followed."""
    leader, address = seen.followed(new, won)
    if leader is not None and address:
        led = _Seen(seen.index, seen.daemons, address, {})
        blame = _election(led, old, new, leader, since, detected_ns, master_ns)
        return blame._replace(words=f"{blame.words} of {leader.instance}, in the sync group")
    return elect_blame(
        seen.daemons.get(old),
        seen.daemons.get(new),
        seen.address,
        seen.priority(new, master_ns),
        won,
        since,
        detected_ns,
        master_ns,
        seen.daemons.values(),
    )


def _heal(seen: _Seen, span: Span, ownership: Ownership, events: Sequence[Cause]) -> Failover | None:
    """Measure the end of two owners, if it was longer than a hand-over takes and no harm ended it."""
    left = ownership.line.at(span.end_ns)
    if not span.ended or span.length_ns <= HAND_OVER_NS or len(left) != 1:
        return None
    [new] = left
    old = next(t.node for t in ownership.tenures if t.end_ns == span.end_ns and t.node in span.nodes)
    before = events[: bisect_right(events, span.end_ns, key=attrgetter("at_ns"))]
    cause = next((each for each in reversed(before) if each.touches(old, new)), None)
    if cause is not None and cause.effect is Effect.HARM:
        return None
    began = cause is None or cause.at_ns < span.start_ns
    fault_ns = span.start_ns if began or cause is None else cause.at_ns
    cause = cause or Cause(fault_ns, NO_EVENT, "an advert accepted again", (), ())
    gave_way = next(
        (
            each
            for each in reversed(_between(seen.reactions, fault_ns, span.end_ns))
            if isinstance(each, StateChange) and (each.node, each.old) == (old, "MASTER")
        ),
        None,
    )
    heard_ns = gave_way.at_ns if gave_way else span.end_ns
    winner = seen.instance_of(new)
    interval_ns = winner.advert_int_ns if winner else 0
    length_ns = heard_ns - fault_ns
    blame = (
        Blame("the address is removed", 0, length_ns)
        if gave_way is None
        else Blame("the next advert of the winner", 0, interval_ns + 10 * LATE_NS)
        if length_ns <= interval_ns + 10 * LATE_NS
        else measured("no advert of the winner arrives for", length_ns)
    )
    mine = (t for t in ownership.tenures if t.node == new)
    end_ns = next(t.end_ns for t in mine if t.start_ns <= span.end_ns <= t.end_ns)
    blames = (blame, Blame("steps down", 0, max(LATE_NS, span.end_ns - heard_ns)))
    instants = (fault_ns, heard_ns, span.end_ns)
    return _failover(seen, old, new, FailoverKind.HEAL, cause, instants, blames, span.end_ns, end_ns)


def _failover(
    seen: _Seen,
    old: str,
    new: str,
    kind: FailoverKind,
    cause: Cause,
    instants: tuple[int, int, int],
    blames: tuple[Blame, Blame],
    owner_ns: int,
    end_ns: int,
) -> Failover:
    """Add what all kinds have alike: the claim, and the clients that follow it."""
    fault_ns, _, master_ns = instants
    burst = seen.burst(new, owner_ns if kind is not FailoverKind.HEAL else fault_ns, end_ns - 1)
    after = [at for at in burst if at >= master_ns]
    claimed_ns = (
        after[0] if after and (kind is not FailoverKind.HEAL or after[0] - master_ns < LATE_NS) else owner_ns
    )
    relearnt_ns, served_ns = seen.clients_back(new, claimed_ns, end_ns)
    daemon, address = seen.daemons.get(new), seen.address
    watched = bool(seen.watchers)
    every_ns = min(seen.watchers.values(), default=0)
    served = 0 if served_ns is None or relearnt_ns is None else served_ns - relearnt_ns
    silent = Blame("no client asks", 0, 0)
    all_blames = (
        *blames,
        claim_blame(daemon, address, bool(after), claimed_ns - master_ns),
        relearn_blame(daemon, address, burst, claimed_ns, relearnt_ns) if watched else silent,
        serve_blame(every_ns, served) if watched else silent,
    )
    ends = (*instants, claimed_ns, relearnt_ns, served_ns)
    parts = tuple(
        Part(name, None if begin is None or end is None else end - begin, *blame)
        for name, begin, end, blame in zip(PARTS, ends[:-1], ends[1:], all_blames, strict=True)
    )
    last_ns = served_ns if watched else claimed_ns
    total_ns = None if last_ns is None else last_ns - fault_ns
    return Failover(seen.address, old, new, kind, cause, fault_ns, owner_ns, parts, total_ns)


def _between(records: Sequence[T], start_ns: int, end_ns: int) -> Sequence[T]:
    """The records of a closed stretch of time."""
    when = attrgetter("at_ns")
    return records[bisect_left(records, start_ns, key=when) : bisect_right(records, end_ns, key=when)]


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
        case StateChange(new="INIT", reason=Reason.STOP):
            return worse
        case StateChange(old="INIT" | "FAULT"):
            return better
    return False


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
