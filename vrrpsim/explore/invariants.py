"""What must hold in every run, whatever fails: the checkers of a hunt. They read only the trace.

An invariant is a function `(History) -> Violation | None`. Yours is named on the command line as
`--invariant package.module:function`, or registered as an entry point of the group `vrrpsim.invariants`.

What physics excuses is not held against a cluster: while a fault keeps two nodes from hearing each other,
two owners are what VRRP promises, so the time under such faults does not count, and what is left must be
longer than the bound that the formulas give (`bounds`). A cut in one direction is no excuse for two owners:
one of the two still hears the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vrrpsim.measure import Result, measure
from vrrpsim.measure.ownership import Ownership, ownerships
from vrrpsim.measure.result import addresses, daemons
from vrrpsim.measure.told import told
from vrrpsim.protocol.configuration import InstanceConfig
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import SECOND_NS, exact_duration, format_duration
from vrrpsim.scenario.random_streams import bounds_ns
from vrrpsim.scenario.verbs import PROCESS, VERBS, on
from vrrpsim.trace import (
    AddressChange,
    AdvertSent,
    Fault,
    FaultEnd,
    NodeChange,
    ProcessChange,
    StateChange,
    Trace,
    TrackerChange,
)

from .bounds import Bounds, bounds_of

GROUP = "vrrpsim.invariants"
MS_NS = 1_000_000
HANDOVER_NS = 50 * MS_NS  # two owners at a clean hand-over: 0.2 to 7 ms in truth
TAIL_NS = 2 * SECOND_NS  # watched after everything has settled

Span = tuple[int, int]  # from, until, in ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What an invariant found. `text` is a sentence with the numbers in it.

    `expect` is what a scenario's `expect:` says of it, such as `{"outage": {"max": "5s"}}`: the file that a
    hunt writes then fails by `vrrpsim run` alone. Without it the hunt looks for a measure by itself.
    `because` names the bound that was passed and its formula.
    """

    invariant: str
    text: str
    start_ns: int
    end_ns: int
    expect: Mapping[str, Any] = field(default_factory=dict)
    because: str = ""
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A fault at work. `verb` is the scenario's, `one_way` for a partition in one direction."""

    verb: str
    targets: tuple[str, ...]
    start_ns: int
    until_ns: int
    detail: str  # what the verb was told, such as `lb1 -> lb2`
    between: bool = False  # it met a switch or a cable

    def meets(self, *names: str) -> bool:
        """Whether it met one of these nodes, or a segment between them."""
        met = {target.partition("/")[0] for target in self.targets}
        whole_segment = self.verb in ("impair", "inject") and "/" not in "".join(self.targets)
        return self.between or whole_segment or not met.isdisjoint(names)

    @property
    def of_daemon(self) -> bool:
        """Whether it met keepalived itself."""
        return self.targets != () and self.targets[0].endswith("/keepalived")

    @property
    def of_process(self) -> bool:
        """Whether it is one of a process: of any but keepalived it excuses nothing."""
        return self.verb in on(PROCESS)

    @property
    def steers(self) -> bool:
        """Whether it only changes who is to be Master."""
        return self.verb in VERBS and VERBS[self.verb].steers


@dataclass(frozen=True)
class RunHistory:
    """One run of a hunt, for invariants to judge."""

    scenario: Scenario  # as it ran: with the schedule as its events
    trace: Trace
    bounds: Bounds
    stormed: bool = False  # the run was stopped, because its trace grew beyond all reason

    @cached_property
    def result(self) -> Result:
        """Everything that `vrrpsim run` measures: failovers, outages, owners."""
        return measure(self.scenario, self.trace)

    @cached_property
    def owned(self) -> tuple[Ownership, ...]:
        """Who owned what: one `Ownership` for each virtual address."""
        records = (r for r in self.trace.records if isinstance(r, (AddressChange, NodeChange)))
        return ownerships(records, self.trace.end_ns, addresses(self.scenario))

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """The faults in order of time, each with the stretch in which it was at work."""
        between = self.scenario.between()
        ends = {r.number: r.at_ns for r in self.trace.records if isinstance(r, FaultEnd)}
        return tuple(
            Window(
                "one_way" if fault.verb == "partition" and " -> " in fault.detail else fault.verb,
                fault.resolved,
                fault.at_ns,
                ends.get(fault.number, fault.until_ns or fault.at_ns),
                fault.detail,
                not between.isdisjoint(fault.resolved),
            )
            for fault in self.trace.records
            if isinstance(fault, Fault)
        )

    @property
    def healed_ns(self) -> int:
        """When the last fault was undone."""
        last = max((window.until_ns for window in self.windows), default=0)
        return max(last, min(self.bounds.warm_up_ns, self.trace.end_ns))

    @property
    def settled_ns(self) -> int:
        """From when on everything must be well for good."""
        return self.healed_ns + self.bounds.settle_ns

    @cached_property
    def instances(self) -> dict[tuple[str, str], InstanceConfig]:
        """The instances by node and address."""
        return {
            (node, str(virtual.address)): instance
            for node, daemon in daemons(self.scenario).items()
            for instance in daemon.config.instances
            for virtual in (*instance.addresses, *instance.excluded)
        }

    @cached_property
    def health(self) -> dict[tuple[str, str], list[tuple[int, str]]]:
        """For each node and instance from when on it was `failing`, a healthy `standby`, or neither ("")."""
        return _health(self.trace, daemons(self.scenario))

    def stretches(self, node: str, instance: str, status: str) -> list[Span]:
        """When an instance had a status of `health`."""
        steps = self.health.get((node, instance), [])
        ends = [at_ns for at_ns, _ in steps[1:]] + [self.trace.end_ns]
        return [
            (at, end) for (at, each), end in zip(steps, ends, strict=False) if each == status and at < end
        ]


Invariant = Callable[[RunHistory], Violation | None]


def _health(trace: Trace, running: Mapping[str, Any]) -> dict[tuple[str, str], list[tuple[int, str]]]:
    tracked = {
        (node, instance.name): {
            (kind, track.name)
            for kind, tracks in instance.tracked.items()
            for track in tracks
            if not track.reverse
        }
        for node, daemon in running.items()
        for instance in daemon.config.instances
    }
    failing: dict[str, set[tuple[str, str]]] = {node: set() for node in running}
    dead: set[tuple[str, str]] = set()  # (node, process)
    starting: set[str] = set()
    awake = dict.fromkeys(running, True)
    alive = dict.fromkeys(running, False)
    states: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str], list[tuple[int, str]]] = {key: [(0, "")] for key in tracked}
    for record in trace.records:
        match record:
            case TrackerChange():
                (failing[record.node].discard if record.ok else failing[record.node].add)(
                    (record.tracker, record.name)
                )
            case StateChange():
                states[record.node, record.instance] = record.new
            case NodeChange():
                awake[record.node] = record.state == "on"
            case ProcessChange(process="keepalived"):
                alive[record.node] = record.state == "running"
                if record.state == "starting":
                    failing[record.node].clear()
                    starting.add(record.node)
                elif record.state == "running" and record.node in starting:
                    starting.remove(record.node)  # what is not there by now is no change to be told
                    failing[record.node] = {
                        ("process", each.name)
                        for each in running[record.node].config.processes
                        if (record.node, each.process) in dead
                    }
            case ProcessChange():
                (dead.add if record.state == "dead" else dead.discard)((record.node, record.process))
                continue
            case _:
                continue
        node = record.node
        for key in [key for key in tracked if key[0] == node]:
            status = ""
            if awake[node] and alive[node]:
                bad = failing[node] & tracked[key]
                status = "failing" if bad else "standby" if states.get(key) == "BACKUP" else ""
            if found[key][-1][1] != status:
                found[key].append((record.at_ns, status))
    return found


# --- spans


def both(one: Iterable[Span], other: Sequence[Span]) -> list[Span]:
    """Return where two lists of spans overlap."""
    return [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d)]


def without(spans: Iterable[Span], excused: Iterable[Span]) -> list[Span]:
    """Return what is left of spans outside the excused ones."""
    left = list(spans)
    for start, until in excused:
        left = [
            piece
            for a, b in left
            for piece in ((a, min(b, start)), (max(a, until), b))
            if piece[0] < piece[1]
        ]
    return left


def longest(spans: Iterable[Span]) -> Span | None:
    """Return the longest span, the first of equals."""
    return max(spans, key=lambda span: span[1] - span[0], default=None)


# --- the invariants


def no_split_brain(history: RunHistory) -> Violation | None:
    """No address has two owners for longer than the news of one takes to reach the other."""
    bounds = history.bounds
    worst = _worst((owned, piece) for owned in history.owned for piece in split_brains(history, owned))
    if worst is None or worst[1][1] - worst[1][0] <= bounds.handover_ns:
        return None
    owned, (start_ns, end_ns) = worst
    nodes = next(span.nodes for span in owned.dual_master if span.end_ns >= end_ns)
    excess_ns = end_ns - start_ns - bounds.handover_ns
    shown = format_duration(end_ns - start_ns)
    return Violation(
        invariant="no-split-brain",
        text=f"{owned.address} has {len(nodes)} owners, {_and(nodes)}, for {shown} that no fault excuses",
        start_ns=start_ns,
        end_ns=end_ns,
        expect={"dual_master": {"max": _duration(owned.dual_master_ns - excess_ns)}},
        because=f"two adverts and their way take at most {format_duration(bounds.handover_ns)}",
        nodes=nodes,
    )


def split_brains(history: RunHistory, owned: Ownership) -> list[Span]:
    """Return the stretches with several owners that no fault excuses."""
    pieces: list[Span] = []
    for span in owned.dual_master:
        excused = [
            (window.start_ns, window.until_ns + (history.bounds.start_ns if _starts(window) else 0))
            for window in history.windows
            if window.verb != "one_way" and window.meets(*span.nodes) and _excuses_two(window)
        ]
        pieces += without([(span.start_ns, span.end_ns)], excused)
    return pieces


def _excuses_two(window: Window) -> bool:
    if window.steers:
        return False
    return window.of_daemon or not window.of_process


def _starts(window: Window) -> bool:
    """Whether a daemon starts when the fault is undone."""
    return window.verb in ("kill", "stop", "restart", "power_off")


def recovers(history: RunHistory) -> Violation | None:
    """After the last fault is undone every address soon has exactly one owner, for good."""
    bounds, settled_ns = history.bounds, history.settled_ns
    if history.trace.end_ns <= settled_ns:
        return None
    rest = [(settled_ns, history.trace.end_ns)]
    for owned in history.owned:
        for measure_, spans, total_ns in (
            ("vacancy", owned.vacancies, owned.vacancy_ns),
            ("dual_master", owned.dual_master, owned.dual_master_ns),
        ):
            late = both([(span.start_ns, span.end_ns) for span in spans], rest)
            allowed_ns = bounds.handover_ns if bounds.lossy else HANDOVER_NS
            excess_ns = sum(end - start for start, end in late)
            if excess_ns <= allowed_ns:
                continue
            span = next(span for span in spans if span.end_ns >= late[-1][1])
            what = "no owner" if measure_ == "vacancy" else f"several owners, {_and(span.nodes)},"
            since = "" if span.start_ns > settled_ns else f" since {_at(span.start_ns)}"
            limit_ns = total_ns - excess_ns
            return Violation(
                invariant="recovers",
                text=f"{owned.address} has {what}{since}, although the last fault was undone at"
                f" {_at(history.healed_ns)}",
                start_ns=span.start_ns,
                end_ns=span.end_ns,
                expect={measure_: {"max": _duration(limit_ns)}} if limit_ns >= 0 else {},
                because=f"start, checks and elections take at most {format_duration(bounds.settle_ns)}",
                nodes=span.nodes,
            )
    return None


def healthy_owner(history: RunHistory) -> Violation | None:
    """A node whose check fails does not keep an address while a healthy one may take it."""
    found: list[tuple[Span, str, str, str]] = []
    for owned in history.owned:
        for node, other, piece in keepers(history, owned):
            found.append((piece, owned.address, node, other))
    keep_ns = history.bounds.keep_ns
    worst = max(found, key=lambda each: each[0][1] - each[0][0], default=None)
    if worst is None or worst[0][1] - worst[0][0] <= keep_ns:
        return None
    (start_ns, end_ns), address, node, other = worst
    at_ns = (start_ns + keep_ns + end_ns) // 2 // MS_NS * MS_NS
    return Violation(
        invariant="healthy-owner",
        text=f"{node} keeps {address} for {format_duration(end_ns - start_ns)} while its check fails"
        f" and {other} is healthy",
        start_ns=start_ns,
        end_ns=end_ns,
        expect={"owner": {exact_duration(at_ns): other}},
        because="preempt_delay, Master_Down_Interval and two adverts take at most"
        f" {format_duration(keep_ns)}",
        nodes=(node, other),
    )


def keepers(history: RunHistory, owned: Ownership) -> Iterator[tuple[str, str, Span]]:
    """Yield who kept the address unhealthy, who could have taken it, and when, without what is excused."""
    for node in dict.fromkeys(tenure.node for tenure in owned.tenures):
        own = history.instances.get((node, owned.address))
        failing = history.stretches(node, own.name, "failing") if own else []
        if not failing:
            continue
        kept = both([(t.start_ns, t.end_ns) for t in owned.tenures if t.node == node], failing)
        for other in history.scenario.nodes:
            instance = history.instances.get((other, owned.address))
            if other == node or instance is None or not kept:
                continue
            excused = [(w.start_ns, w.until_ns) for w in history.windows if _excuses_keeping(w, node, other)]
            for piece in without(both(kept, history.stretches(other, instance.name, "standby")), excused):
                yield node, other, piece


def _excuses_keeping(window: Window, node: str, other: str) -> bool:
    """A fault of a check, or of the process behind it, is the reason to move, no excuse not to."""
    if window.steers and window.verb != "set":
        return False
    disturbs = window.of_daemon or not window.of_process
    return disturbs and window.meets(node, other)


def bounded_adverts(history: RunHistory) -> Violation | None:
    """No instance sends many more adverts in a second than its interval and its neighbours' ask for."""
    sent: dict[tuple[str, str], list[int]] = {}
    for record in history.trace.records:
        if isinstance(record, AdvertSent):
            sent.setdefault((record.node, record.instance), []).append(record.at_ns)
    late = ("freeze", "pause", "starve", "impair")  # what waited meanwhile is answered all at once
    waited_ns = sum(w.until_ns - w.start_ns for w in history.windows if w.verb in late)
    for (node, name), instants in sent.items():
        limit = advert_limit(history.scenario, node, name, waited_ns)
        for first, at_ns in zip(instants, instants[limit:], strict=False):
            if at_ns - first < SECOND_NS:
                return _storm(history, node, name, first, limit)
    if history.stormed and sent:
        (node, name), instants = max(sent.items(), key=lambda each: len(each[1]))
        limit = advert_limit(history.scenario, node, name, waited_ns)
        return _storm(history, node, name, max(instants[0], history.trace.end_ns - SECOND_NS), limit)
    return None


def advert_limit(scenario: Scenario, node: str, name: str, waited_ns: int = 0) -> int:
    """Frames an instance may send in a second: its own adverts, and an answer to each one of the others.

    `waited_ns` is for how long the others' adverts may have waited before they were read.
    """
    keepalived = scenario.nodes[node].keepalived
    assert keepalived is not None
    own = next(each for each in keepalived.config.instances if each.name == name)
    fastest_ns = min(
        instance.advert_int_ns
        for other in scenario.nodes.values()
        if other.keepalived
        for instance in other.keepalived.config.instances
    )
    rate = 2 + (SECOND_NS + waited_ns) // max(fastest_ns, MS_NS)
    return max(1, len(own.unicast_peers)) * rate * (len(scenario.nodes) + 1) + 10


def _storm(history: RunHistory, node: str, name: str, start_ns: int, limit: int) -> Violation:
    end_ns = history.trace.end_ns
    total_ns = max((owned.dual_master_ns for owned in history.owned), default=0)
    count = sum(
        isinstance(r, AdvertSent) and (r.node, r.instance) == (node, name) and r.at_ns - start_ns < SECOND_NS
        for r in history.trace.records
        if r.at_ns >= start_ns
    )
    span = format_duration(min(SECOND_NS, end_ns - start_ns))
    return Violation(
        invariant="bounded-adverts",
        text=f"{node} sends {count} adverts of {name} within {span}: an advert storm",
        start_ns=start_ns,
        end_ns=end_ns,
        expect={"dual_master": {"max": _duration(HANDOVER_NS)}} if total_ns > HANDOVER_NS else {},
        because=f"its own adverts and an answer to each of the others' are at most {limit} a second",
        nodes=(node,),
    )


def no_flapping(history: RunHistory) -> Violation | None:
    """An address moves for a reason: at most there and back for each fault and each end of one."""
    bounds = history.bounds
    if bounds.lossy:
        return None
    edges = sum(1 + (window.until_ns > window.start_ns) for window in history.windows)
    rough = (w for w in history.windows if w.verb in ("impair", "starve", "one_way", "inject"))
    restless = sum(2 + 2 * (window.until_ns - window.start_ns) // bounds.interval_ns for window in rough)
    allowed = len(history.scenario.nodes) + 2 * edges + restless
    for owned in history.owned:
        starts = [tenure.start_ns for tenure in owned.tenures]
        late = [start for start in starts if start > history.settled_ns]
        if owned.moves > allowed or late:
            most = owned.moves - len(late) if late else allowed
            when = f", {len(late)} of them after everything had settled" if late else ""
            return Violation(
                invariant="no-flapping",
                text=f"{owned.address} moves {owned.moves} times{when}",
                start_ns=(late or starts)[0],
                end_ns=starts[-1],
                expect={"moves": {"max": max(0, most)}},
                because=f"{edges} beginnings and ends of faults explain at most {allowed} moves",
                nodes=tuple(dict.fromkeys(tenure.node for tenure in owned.tenures)),
            )
    return None


def notify_agrees(history: RunHistory) -> Violation | None:
    """Once all is well for good, whose notify script said MASTER last owns the address."""
    end_ns = history.trace.end_ns
    takes = [node.notify.takes for node in history.scenario.nodes.values() if node.notify]
    longest_ns = SECOND_NS + max((bounds_ns(each)[1] for each in takes if each), default=0)
    lines = told(history.scenario, history.trace.records)
    for owned in history.owned:
        steps, owners = lines.get(owned.address), owned.line.owners[-1]
        if steps is None or len(owners) != 1 or steps[-1][1] in ("", owners[0]):
            continue
        since_ns = max(steps[-1][0], owned.line.instants[-1])
        if end_ns - max(since_ns, history.healed_ns) > longest_ns:
            at_ns, node = steps[-1]
            return Violation(
                invariant="notify-agrees",
                text=f"the notify script of {node} said MASTER last, at {_at(at_ns)}, for {owned.address};"
                f" {owners[0]} owns it since {_at(owned.line.instants[-1])}",
                start_ns=since_ns,
                end_ns=end_ns,
                because=f"a script takes at most {format_duration(longest_ns)}",
                nodes=(node, owners[0]),
            )
    return None


def outage_below(limit_ns: int) -> Invariant:
    """Make the invariant that no client waits longer while a node could serve it that no fault meets."""

    def outage(history: RunHistory) -> Violation | None:
        found = [(piece, name) for name in history.scenario.clients for piece in outages(history, name)]
        worst = max(found, key=lambda each: each[0][1] - each[0][0], default=None)
        if worst is None or worst[0][1] - worst[0][0] <= limit_ns:
            return None
        (start_ns, end_ns), name = worst
        key = f"outage.{name}" if len(history.scenario.clients) > 1 else "outage"
        return Violation(
            invariant="outage",
            text=f"{name} gets no answer for {format_duration(end_ns - start_ns)}"
            ", while a node that no fault meets could serve",
            start_ns=start_ns,
            end_ns=end_ns,
            expect={key: {"max": exact_duration(limit_ns)}},
            because=f"--outage allows {format_duration(limit_ns)}",
        )

    return outage


def outages(history: RunHistory, client: str) -> list[Span]:
    """Return when a client had no answers although one of the nodes for its address met no fault."""
    model = history.scenario.clients[client]
    carriers = [node for node, address in history.instances if address == str(model.asks)]
    met = [
        [(w.start_ns, w.until_ns) for w in history.windows if w.meets(node)] or [(0, 0)] for node in carriers
    ]
    hopeless: list[Span] = [(0, history.trace.end_ns)] if carriers else []
    for spans in met:
        hopeless = both(hopeless, spans)
    view = history.result.clients[client]
    return without([(each.start_ns, each.end_ns) for each in view.outages], hopeless)


def damage(history: RunHistory) -> dict[str, float]:
    """Return what a search should make as large as it can, in seconds."""
    two = [end - start for owned in history.owned for start, end in split_brains(history, owned)]
    kept = [end - start for owned in history.owned for *_, (start, end) in keepers(history, owned)]
    none = [span.length_ns for owned in history.owned for span in owned.vacancies]
    return {
        "two owners, s": max(two, default=0) / 1e9,
        "kept unhealthy, s": max(kept, default=0) / 1e9,
        "no owner, s": max(none, default=0) / 1e9,
    }


BUILT_IN: dict[str, Invariant] = {  # the gravest first
    "bounded-adverts": bounded_adverts,
    "no-split-brain": no_split_brain,
    "recovers": recovers,
    "healthy-owner": healthy_owner,
    "no-flapping": no_flapping,
    "notify-agrees": notify_agrees,
}


def invariants_named(wanted: Iterable[str | Invariant]) -> dict[str, Invariant]:
    """Return these by name: built-in ones, functions, `package.module:function`; raise `LookupError`."""
    asked = list(wanted)
    known = {each: BUILT_IN[each] for each in asked if isinstance(each, str) and each in BUILT_IN}
    others = [each for each in asked if each not in known]
    return known | (user_invariants(others) if others else {})


def violations(scenario: Scenario, trace: Trace, wanted: Mapping[str, Invariant]) -> dict[str, Violation]:
    """Return which of these invariants a run broke, by name."""
    history = RunHistory(scenario, trace, bounds_of(scenario))
    return {name: found for name, check in wanted.items() if (found := check(history))}


def user_invariants(wanted: Iterable[str | Invariant]) -> dict[str, Invariant]:
    """Return functions, those named `package.module:function` and the registered; raise `LookupError`."""
    from importlib.metadata import EntryPoint, entry_points

    asked = list(wanted)
    names = (each for each in asked if isinstance(each, str))
    points = [*entry_points(group=GROUP), *(EntryPoint(name, name, GROUP) for name in names)]
    own = {each.__name__: each for each in asked if not isinstance(each, str)}
    return {point.name: _loaded(point) for point in points} | own


def _loaded(point: Any) -> Invariant:
    try:
        function = point.load()
    except (ImportError, AttributeError, ValueError) as error:
        raise LookupError(f"invariant '{point.value}': {error}") from error
    if not callable(function):
        raise LookupError(f"invariant '{point.value}' is not a function")
    return function  # type: ignore[no-any-return]  # callable is all that can be known


def _worst(found: Iterable[tuple[Ownership, Span]]) -> tuple[Ownership, Span] | None:
    return max(found, key=lambda each: each[1][1] - each[1][0], default=None)


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _at(at_ns: int) -> str:
    return f"{at_ns / 1e9:.3f} s"


def _duration(ns: int) -> str:
    """A limit for `expect:`: whole milliseconds, rounded down, so that the run stays above it."""
    return exact_duration(ns // MS_NS * MS_NS)
