"""What a census found: one run classified, a cell of runs, and the whole table.

Outcomes, the worst first; the worst of its runs is a cell's:

- never heals: all faults are undone and the bounds of the formulas have passed, and still an address has no
  owner or two, or a client no answer,
- split brain: two owners of an address at a stretch for longer than `ownership.HAND_OVER_NS`,
- nobody: no answer, and no other node took over before the fault was undone,
- hands over: another node took the address,
- no harm: nothing that a client or a watcher of the addresses could see.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from vrrpsim.measure.failovers import Part
from vrrpsim.measure.keywords import DaemonRules
from vrrpsim.measure.outage_parts import OutagePart
from vrrpsim.measure.ownership import HAND_OVER_NS, Ownership, Tenure
from vrrpsim.measure.result import Result, daemons, measure
from vrrpsim.measure.seconds import optional_seconds, seconds, short_s, to_json
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import parse_duration_ns
from vrrpsim.trace import Fault, FaultEnd, Level, Trace, TrackerChange
from vrrpsim.world import simulate
from vrrpsim.world.checks import check_of

from .bounds import bounds_of
from .statistics import Summary, summarize
from .trial import Sample

if TYPE_CHECKING:
    import networkx

OUTCOMES = ("never heals", "split brain", "nobody", "hands over", "no harm")  # the worst first
DISABLING = ("kill", "stop", "freeze", "power_off", "pause", "link_down")  # what takes a node out
HARMLESS = OUTCOMES[-1]
UNNOTICED = ("", "its checks do not move the address", "no check looks at it")  # what outage parts say then
LIMIT = re.compile(r"(outage|two-owners)\s*(>=|>)\s*(\S.*)")
Step = tuple[int, str]


class CensusRow(NamedTuple):
    """What is kept of one run; times in ns, instants since the start of the run."""

    seed: int
    outcome: str
    outage: Sample  # the longest; cut: it went on when the run ended
    two_owners_ns: int  # the longest single stretch
    moves: int
    blame: str  # the keyword that governs the longest outage, or what is missing
    faults: tuple[tuple[int, int | None, str], ...]  # when, until when, what
    owners: tuple[tuple[str, tuple[Step, ...]], ...]  # by address: from when on who
    outages: tuple[tuple[str, int, int], ...]  # client or address, from, to


class UnservedSpan(NamedTuple):
    """A stretch in which a client had no answer, or an address that nobody asks had no owner."""

    start_ns: int
    end_ns: int
    ended: bool
    address: str
    who: str


def classify(scenario: Scenario, seed: int) -> CensusRow:
    """Run a cell's scenario once and say what happened."""
    trace = simulate(scenario, seed=seed, level=Level.STATES)
    return _Judge(scenario, trace, measure(scenario, trace, seed=seed)).row(seed)


class _Judge:
    """One run, seen from its first fault on."""

    def __init__(self, scenario: Scenario, trace: Trace, result: Result) -> None:
        self.scenario, self.trace, self.result = scenario, trace, result
        self.faults = [
            record
            for record in trace.records
            if isinstance(record, Fault) and record.name.partition("-")[0] in ("first", "second")
        ]
        self.ends = {record.number: record.at_ns for record in trace.records if isinstance(record, FaultEnd)}
        self.from_ns = self.faults[0].at_ns if self.faults else bounds_of(scenario).warm_up_ns
        self.undone_ns = min((self.ends.get(each.number, trace.end_ns) for each in self.lasting), default=0)
        self.spans = sorted(self._spans(), key=lambda span: (span.start_ns - span.end_ns, span.start_ns))

    @property
    def lasting(self) -> list[Fault]:
        """The faults that are undone later."""
        return [each for each in self.faults if each.until_ns is not None]

    def row(self, seed: int) -> CensusRow:
        """Return what is kept of the run."""
        doubles = [
            span.length_ns
            for owned in self.result.ownerships
            for span in owned.dual_master
            if span.end_ns > self.from_ns
        ]
        overlap_ns = max(doubles, default=0)
        moves = max((len(self._taken(owned)) for owned in self.result.ownerships), default=0)
        outcome = self._outcome(overlap_ns, moves)
        longest = self.spans[0] if self.spans else None
        length = Sample(longest.end_ns - longest.start_ns, not longest.ended) if longest else Sample(0)
        return CensusRow(
            seed,
            outcome,
            length,
            overlap_ns,
            moves,
            self._blame(outcome, longest, overlap_ns),
            tuple(
                (each.at_ns, self.ends.get(each.number, each.until_ns), f"{each.verb} {_met(each)}")
                for each in self.faults
            ),
            tuple((owned.address, tuple(self._line(owned))) for owned in self.result.ownerships),
            tuple((span.who, span.start_ns, span.end_ns) for span in self.spans[:8]),
        )

    def _spans(self) -> Iterator[UnservedSpan]:
        asked = set()
        for name, view in self.result.clients.items():
            address = str(self.scenario.clients[name].asks)
            asked.add(address)
            for each in view.outages:
                if each.end_ns > self.from_ns:
                    yield UnservedSpan(each.start_ns, each.end_ns, each.ended, address, name)
        for owned in self.result.ownerships:
            first_ns = owned.line.first_owned_ns or 0
            for span in owned.vacancies:
                if owned.address not in asked and span.end_ns > max(self.from_ns, first_ns):
                    yield UnservedSpan(span.start_ns, span.end_ns, span.ended, owned.address, owned.address)

    def _taken(self, owned: Ownership) -> list[Tenure]:
        """The tenures that an election after the first fault began, on another node than the last."""
        before = [tenure for tenure in owned.tenures if tenure.start_ns < self.from_ns]
        last = before[-1].node if before else None
        found = []
        for tenure in owned.tenures[len(before) :]:
            if tenure.node != last and not tenure.resumed and last is not None:
                found.append(tenure)
            last = tenure.node
        return found

    def _line(self, owned: Ownership) -> Iterator[Step]:
        line = owned.line
        yield self.from_ns, "+".join(line.at(self.from_ns))
        for at_ns, owners in zip(line.instants, line.owners, strict=True):
            if at_ns > self.from_ns:
                yield at_ns, "+".join(owners)

    def _outcome(self, overlap_ns: int, moves: int) -> str:
        if any(not span.ended for span in self.spans) or any(
            len(owned.line.owners[-1]) != 1 for owned in self.result.ownerships
        ):
            return "never heals"
        if overlap_ns > HAND_OVER_NS:
            return "split brain"
        lasted = any(span.start_ns < self.undone_ns <= span.end_ns for span in self.spans if self.lasting)
        if lasted or (self.spans and not moves):
            return "nobody"
        return "hands over" if moves else "no harm"

    # --- what to blame

    def _blame(self, outcome: str, longest: UnservedSpan | None, overlap_ns: int) -> str:
        """Name what decides how long the worst of it took, or what is missing for it to end sooner."""
        if outcome == HARMLESS:
            return ""
        length_ns = longest.end_ns - longest.start_ns if longest else 0
        if overlap_ns > max(length_ns, HAND_OVER_NS):
            return self._two_owners(overlap_ns)
        keywords = Counter[str]()
        for part in self._parts(longest):
            keywords[part.keyword] += part.length_ns or 0
        keyword = max(keywords, key=lambda each: keywords[each], default="")
        return self._unnoticed() or keyword if keyword in UNNOTICED else keyword

    def _parts(self, longest: UnservedSpan | None) -> Sequence[OutagePart | Part]:
        """The parts of the longest outage; where no client asks, of the failover that took longest."""
        if longest and longest.who in self.result.clients:
            outages = self.result.clients[longest.who].outages
            which = next(at for at, each in enumerate(outages) if each.start_ns == longest.start_ns)
            return self.result.why[longest.who][which]
        later = [each for each in self.result.failovers if each.fault_ns >= self.from_ns]
        return max(later, key=lambda each: each.length_ns).parts if later else ()

    def _two_owners(self, overlap_ns: int) -> str:
        if any(each.verb == "partition" for each in self.faults):
            return "nothing: the nodes do not hear each other"
        if any(each.verb in ("kill", "freeze") and _is_daemon(each) for each in self.faults):
            return "nothing: without keepalived nobody removes the address"
        intervals = [one.advert_int_ns for _, daemon in self._daemons() for one in daemon.config.instances]
        if intervals and overlap_ns <= 3 * max(intervals):
            return f"advert_int {short_s(max(intervals))}"
        return ""

    def _daemons(self) -> Iterable[tuple[str, DaemonRules]]:
        return daemons(self.scenario).items()

    def _unnoticed(self) -> str:
        """Why no check moved the address: a weight too small, a check that sees nothing, or no check."""
        struck = {(node, item) for each in self.faults for node, _, item in map(_parts, each.resolved)}
        for record in self.trace.records:
            if not isinstance(record, TrackerChange) or record.ok or record.at_ns < self.from_ns:
                continue
            config = dict(self._daemons())[record.node].config
            for instance in config.instances:
                for track in instance.tracked[record.tracker]:
                    if track.name == record.name and any(node == record.node for node, _ in struck):
                        return f"{record.name} weight {track.weight}"
        for node, item in struck:
            model = self.scenario.nodes.get(node)
            if model is None or model.keepalived is None or item not in model.processes:
                continue
            watching = [
                script.name
                for script in model.keepalived.config.scripts
                if check_of(script, model.keepalived.probes.get(script.name), model.processes).process == item
            ]
            if watching:
                return f"{watching[0]} sees that {item} exists, not that it serves"
            return f"no check looks at {item}"
        return ""


def _parts(target: str) -> tuple[str, str, str]:
    return target.partition("/")


def _met(fault: Fault) -> str:
    whom = "" if fault.verb == "partition" and fault.detail else ", ".join(fault.resolved)
    return " ".join(word for word in (whom, fault.detail) if word)


def _is_daemon(fault: Fault) -> bool:
    return any(each.endswith("/keepalived") for each in fault.resolved)


# --- cells


@dataclass(frozen=True)
class CensusCell:
    """All runs of one fault, or of an ordered pair; `names` are those of its faults, none: no fault."""

    names: tuple[str, ...]
    scenario: Scenario = field(repr=False)
    rows: tuple[CensusRow, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """`kill lb1/haproxy, then power off lb2`."""
        return self.scenario.name

    @cached_property
    def outcomes(self) -> dict[str, int]:
        """How many runs had which outcome, the worst first."""
        counted = Counter(row.outcome for row in self.rows)
        return {each: counted[each] for each in OUTCOMES if counted[each]}

    @property
    def outcome(self) -> str:
        """The worst of the runs."""
        return next(iter(self.outcomes))

    @cached_property
    def outage(self) -> Summary:
        """The longest outage of each run."""
        return summarize(row.outage for row in self.rows)

    @property
    def two_owners_ns(self) -> int:
        """The longest stretch with two owners in any run."""
        return max(row.two_owners_ns for row in self.rows)

    @cached_property
    def worst(self) -> CensusRow:
        """The run to look at: the worst outcome, of these the longest outage, then the longest overlap."""
        return min(
            self.rows,
            key=lambda row: (OUTCOMES.index(row.outcome), -row.outage.value, -row.two_owners_ns, row.seed),
        )

    @property
    def rank(self) -> tuple[Any, ...]:
        """The worst first."""
        longest = self.outage.largest or 0
        return OUTCOMES.index(self.outcome), -longest, -self.two_owners_ns, self.name

    @cached_property
    def beyond(self) -> str:
        """Why no configuration of VRRP mends it; "": one can."""
        if self.outcome in ("never heals", *OUTCOMES[3:]):
            return ""
        events = [event for event in self.scenario.events if event.name.partition("-")[0] in _EVENTS]
        dead = [e for e in events if e.verb in ("kill", "freeze") and e.target and e.target.item == _DAEMON]
        between = any(e.target and (e.target.switch or e.target.cable) for e in events)
        if self.outcome == "split brain":
            if between or any(event.verb == "partition" for event in events):
                return "the nodes cannot hear each other"
            return "a dead keepalived leaves its address behind" if dead else ""
        if between:
            return "a part of the network is dead"
        unheard = any(event.verb == "impair" for event in events)
        if unheard and all(row.moves for row in self.rows if row.outcome == self.outcome):
            return "the clients do not hear who has the address"
        nodes = {name for name, node in self.scenario.nodes.items() if node.keepalived}
        serving = {
            (name, process)
            for name, node in self.scenario.nodes.items()
            for process, model in node.processes.items()
            if model.serves
        }
        out = {
            event.target.node
            for event in events
            if event.verb in DISABLING
            and event.target
            and (
                event.target.item in (None, _DAEMON)
                or event.verb == "link_down"
                or (event.target.node, event.target.item) in serving
            )
        }
        return "no healthy node is left" if nodes <= out else ""

    def to_dict(self, command: Callable[[CensusCell, int], str]) -> dict[str, Any]:
        """Return the cell's part of the JSON document; times are `Decimal` seconds."""
        outage, worst = self.outage, self.worst
        median = outage.quantiles[50]
        return {
            "cell": self.name,
            "faults": list(self.names),
            "outcome": self.outcome,
            "outcomes": self.outcomes,
            "runs": len(self.rows),
            "outage": {
                "p50_s": optional_seconds(median.value),
                "p50_ci_s": [optional_seconds(median.low), optional_seconds(median.high)],
                "max_s": optional_seconds(outage.largest),
                "max_cut": outage.largest_cut,
            },
            "two_owners_s": seconds(self.two_owners_ns),
            "moves": max(row.moves for row in self.rows),
            "beyond": self.beyond,
            "blame": worst.blame,
            "worst": {
                "seed": worst.seed,
                "command": command(self, worst.seed),
                "faults": [
                    {"at_s": seconds(at), "until_s": optional_seconds(until), "what": what}
                    for at, until, what in worst.faults
                ],
                "owners": {
                    address: [[seconds(at), who] for at, who in steps] for address, steps in worst.owners
                },
                "outages": [
                    {"who": who, "start_s": seconds(start), "end_s": seconds(end)}
                    for who, start, end in worst.outages
                ],
            },
        }


_EVENTS, _DAEMON = ("first", "second"), "keepalived"


@dataclass(frozen=True)
class CensusResult:
    """A finished census, or what is finished of it; `lost` are the runs that gave no row, and why."""

    scenario: Scenario = field(repr=False)
    cells: tuple[CensusCell, ...]
    faults: tuple[str, ...]  # all single faults, in their order
    seed: int
    interrupted: bool = False
    lost: Mapping[tuple[str, int], str] = field(default_factory=dict)

    @cached_property
    def ranked(self) -> tuple[CensusCell, ...]:
        """All cells, the worst first."""
        return tuple(sorted(self.cells, key=lambda cell: cell.rank))

    def cell(self, name: str) -> CensusCell:
        """Return the cell of this name; raise `KeyError` if it has none."""
        return {cell.name: cell for cell in self.cells}[name]

    def failing(self, limits: Sequence[FailOn]) -> list[tuple[CensusCell, str]]:
        """Return the cells that break a limit, and which one; those that VRRP cannot mend are let off."""
        return [
            (cell, limit.text)
            for cell in self.ranked
            if not cell.beyond
            for limit in limits
            if limit.broken_by(cell)
        ]

    def graph(self) -> networkx.DiGraph[str]:
        """Return which faults the cluster survives: an edge from each fault to the one that comes second.

        Nodes and edges carry `outcome`, `survives` (somebody answers alone in the end), `outage_s` and
        `two_owners_s`.
        """
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph(name=self.scenario.name)
        for cell in self.cells:
            about = {
                "outcome": cell.outcome,
                "survives": cell.outcome in OUTCOMES[3:],
                "outage_s": float(seconds(cell.outage.largest or 0)),
                "two_owners_s": float(seconds(cell.two_owners_ns)),
            }
            match cell.names:
                case (one,):
                    graph.add_node(one, **about)
                case (one, other):
                    graph.add_edge(one, other, **about)
        return graph

    def to_dict(self, command: Callable[[CensusCell, int], str] | None = None) -> dict[str, Any]:
        """Return the JSON document as plain values; `command` says how to replay a run of a cell."""
        said = command or (lambda cell, seed: "")
        return {
            "census": self.scenario.name,
            "nodes": list(self.scenario.nodes),
            "faults": list(self.faults),
            "seed": self.seed,
            "runs": sum(len(cell.rows) for cell in self.cells),
            "interrupted": self.interrupted,
            "outcomes": {
                kind: {
                    each: sum(c.outcome == each for c in cells)
                    for each in OUTCOMES
                    if any(c.outcome == each for c in cells)
                }
                for kind, cells in (("single", self._sized(1)), ("pair", self._sized(2)))
            },
            "cells": [cell.to_dict(said) for cell in self.ranked],
            "lost": [{"cell": name, "seed": seed, "why": why} for (name, seed), why in self.lost.items()],
        }

    def _sized(self, size: int) -> list[CensusCell]:
        return [cell for cell in self.cells if len(cell.names) == size]

    def to_json(self) -> str:
        """Return the document as JSON, without a final newline."""
        return to_json(self.to_dict())

    def columns(self) -> dict[str, list[Any]]:
        """Return the table by columns, a row a cell, the worst first; times in seconds."""
        cells = self.ranked
        return {
            "first": [cell.names[0] if cell.names else "" for cell in cells],
            "second": [cell.names[1] if len(cell.names) > 1 else "" for cell in cells],
            "outcome": [cell.outcome for cell in cells],
            "runs": [len(cell.rows) for cell in cells],
            "outage_p50_s": [optional_seconds(cell.outage.quantiles[50].value) for cell in cells],
            "outage_max_s": [optional_seconds(cell.outage.largest) for cell in cells],
            "outage_cut": [cell.outage.largest_cut for cell in cells],
            "two_owners_s": [seconds(cell.two_owners_ns) for cell in cells],
            "beyond": [cell.beyond for cell in cells],
            "blame": [cell.worst.blame for cell in cells],
            "worst_seed": [cell.worst.seed for cell in cells],
        }


# --- limits


class LimitError(Exception):
    """No limit of a census."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class FailOn:
    """What a cell must not show: an outcome, or more than so long of something."""

    text: str
    outcome: str = ""
    measure: str = ""
    compare: Callable[[int, int], bool] = operator.gt
    bound_ns: int = 0

    def broken_by(self, cell: CensusCell) -> bool:
        """Whether the worst of the cell's runs is beyond the limit."""
        if self.outcome:
            return self.outcome in cell.outcomes
        value = (cell.outage.largest or 0) if self.measure == "outage" else cell.two_owners_ns
        return self.compare(value, self.bound_ns)


def parse_limits(text: str) -> list[FailOn]:
    """Read `split-brain,never-heals,outage>10s`; raise `LimitError`."""
    return [_limit(word.strip()) for word in text.split(",")]


def _limit(word: str) -> FailOn:
    outcomes = {each.replace(" ", "-"): each for each in OUTCOMES[:-1]}
    if word in outcomes:
        return FailOn(word, outcome=outcomes[word])
    found = LIMIT.fullmatch(word)
    try:
        bound_ns = parse_duration_ns(found[3]) if found else 0
    except ValueError as error:
        raise LimitError(f"{word!r}: {error}") from error
    if found is None:
        known = ", ".join((*outcomes, "outage>10s", "two-owners>1s"))
        raise LimitError(f"{word!r} is no limit; there are {known}")
    return FailOn(word, "", found[1], operator.ge if found[2] == ">=" else operator.gt, bound_ns)
