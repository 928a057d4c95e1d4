"""Everything that can go wrong with a cluster: every single fault and every ordered pair of faults.

A cell of the census is a scenario: the cluster settles, the fault strikes at an instant that is spread
evenly over the period of checks and adverts, is undone when each bound of the formulas has passed
(`bounds`), and the cluster settles again. Of a pair the second fault strikes while the cluster may still
answer the first one. All cells run the same seeds, so `vrrpsim run CELL.yaml --seed N` replays any run, and
`vrrpsim sweep CELL.yaml` has the figures of a single fault's cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice, permutations
from typing import Any

from vrrpsim.scenario.event_order import drawn_ns
from vrrpsim.scenario.events import Event, Impairment, Partition, Target, When, detail
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.network import single_points
from vrrpsim.scenario.quantities import SECOND_NS, Distribution
from vrrpsim.scenario.random_streams import Streams
from vrrpsim.scenario.verbs import VERBS

from .bounds import Bounds, bounds_of, high_ns
from .census_result import CensusCell, CensusResult, CensusRow, classify
from .fault_schedules import event_yaml, given, menu_of
from .stratified_seeds import choose_seeds, rank
from .trial import Batch, batch_of
from .workers import Progress, Workers, collect

PHASES, PAIR_PHASES = 20, 4  # runs of a single fault, of a pair
KINDS = ("kill", "freeze", "stop", "power_off", "pause", "link_down", "partition", "one_way", "fail", "hang")
LATER_KINDS = ("reload", "flush_address")
SHUTDOWN_NS = SECOND_NS  # from the first signal of a reboot until the machine is off
PROBES_NS = 9 * SECOND_NS  # of Linux, from a stale entry's use until it is dropped: 5 s and three probes
NO_FAULT = "no fault"
WORDS = ("first", "second")  # names of the events in a cell's scenario


@dataclass(frozen=True, slots=True)
class CensusFault:
    """One thing that can go wrong: its name, the nodes it strikes, and its events, each with its delay."""

    name: str
    nodes: tuple[str, ...]
    events: tuple[tuple[int, Event], ...]

    def placed(self, word: str, at: When, lasts_ns: int, index: int) -> tuple[Event, ...]:
        """Return its events for a scenario: the first is called `word`, the others follow it."""
        lasts = Distribution.fixed(lasts_ns)
        made = []
        for number, (delay_ns, event) in enumerate(self.events):
            ends = VERBS[event.verb].lasts and number == len(self.events) - 1
            when = When(Distribution.fixed(delay_ns), word) if number else at
            name = f"{word}-{number}" if number else word
            made.append(
                replace(event, name=name, at=when, lasts=lasts if ends else None, index=index + number)
            )
        return tuple(made)


@dataclass(frozen=True, slots=True)
class CensusPlan:
    """When faults strike and how long they last in every cell of a cluster's census, in ns."""

    first: Distribution
    gap: Distribution  # from the first fault of a pair to the second
    lasts_ns: int
    duration_ns: int


def faults_of(scenario: Scenario) -> tuple[CensusFault, ...]:
    """Return every single fault that the cluster has a place for."""
    menu = menu_of(scenario, (*KINDS, *LATER_KINDS))
    events = [event for kind in KINDS for event in menu.get(kind, ()) if _counts(kind, event)]
    if scenario.cables:  # first what splits the network by itself
        weak = single_points(scenario)
        events.sort(key=lambda event: event.target is None or event.target.text not in weak)
    found = [_fault(event) for event in events]
    for name in _virtual_segments(scenario):
        event = _plain("impair", Target(name, segment=name))
        event = replace(event, parameters=Impairment(loss=1.0, only=("garp",)))
        found.append(CensusFault(f"gratuitous ARP lost on {name}", (), ((0, event),)))
    found += [_fault(event) for kind in LATER_KINDS for event in menu.get(kind, ())]
    for name, node in scenario.nodes.items():
        stop = _plain("stop", Target(f"{name}/keepalived", node=name, item="keepalived"))
        off = _plain("power_off", Target(name, node=name))
        steps = ((0, stop), (SHUTDOWN_NS, off)) if node.keepalived else ((0, off),)
        found.append(CensusFault(f"reboot {name}", (name,), steps))
    return tuple(found)


def _counts(kind: str, event: Event) -> bool:
    """Whether a fault of the menu is one of its own: a stopped server is a killed one."""
    return kind != "stop" or (event.target is not None and event.target.item == "keepalived")


def _fault(event: Event) -> CensusFault:
    words = {"partition": "cut", "power_off": "power off", "link_down": "link down"}.get(
        event.verb, event.verb
    )
    words = "flush" if event.verb == "flush_address" else words
    met = [event.target] if event.target else []
    if isinstance(event.parameters, Partition):
        met += [member for group in event.parameters.groups for member in group]
    name = " ".join(filter(None, (words, str(event.target or ""), detail(event))))
    nodes = dict.fromkeys(target.node for target in met if target.node)
    return CensusFault(name, tuple(nodes), ((0, event),))


def _plain(verb: str, target: Target) -> Event:
    return Event(verb=verb, at=When(Distribution.fixed(0)), index=0, name=verb, target=target)


def _virtual_segments(scenario: Scenario) -> tuple[str, ...]:
    """The segments that carry virtual addresses."""
    found: dict[str, None] = {}
    for node in scenario.nodes.values():
        for instance in node.keepalived.config.instances if node.keepalived else ():
            for virtual in (*instance.addresses, *instance.excluded):
                card = node.interfaces.get(virtual.interface or "") or node.interfaces.get(instance.interface)
                if card:
                    found[card.segment] = None
    return tuple(found)


def plan_of(*scenarios: Scenario) -> CensusPlan:
    """Return when faults strike: spread over one period of the slowest check or advert.

    Of several scenarios each value is the longest, so that all of them can be put to the same test.
    """
    each = [_plan(scenario) for scenario in scenarios]
    first = Distribution.uniform(
        *(max(ends) for ends in zip(*(one.first.parameters for one in each), strict=True))
    )
    return CensusPlan(
        first,
        max((one.gap for one in each), key=lambda gap: gap.parameters),
        max(one.lasts_ns for one in each),
        max(one.duration_ns for one in each)
        + first.parameters[1]
        - min(one.first.parameters[1] for one in each),
    )


def _plan(scenario: Scenario) -> CensusPlan:
    bounds = bounds_of(scenario)
    first = Distribution.uniform(bounds.warm_up_ns, bounds.warm_up_ns + _period_ns(scenario, bounds))
    gap = Distribution.uniform(0, max(bounds.detect_ns + bounds.down_ns, SECOND_NS))
    last_ns = first.parameters[1] + gap.parameters[1] + SHUTDOWN_NS + bounds.longest_ns
    return CensusPlan(first, gap, bounds.longest_ns, last_ns + bounds.settle_ns + _forgets_ns(scenario))


def _forgets_ns(scenario: Scenario) -> int:
    """How long a client may follow a stale neighbour entry before it asks again."""
    caches = [client.neighbours for client in scenario.clients.values()]
    return max((high_ns(each.lifetime or each.reachable) + PROBES_NS for each in caches), default=0)


def _period_ns(scenario: Scenario, bounds: Bounds) -> int:
    checks = (
        script.interval_ns
        for node in scenario.nodes.values()
        if node.keepalived
        for script in node.keepalived.config.scripts
    )
    return max(bounds.interval_ns, *checks, SECOND_NS // 10)


def cell_scenario(scenario: Scenario, plan: CensusPlan, faults: Sequence[CensusFault]) -> Scenario:
    """Return the scenario of one cell: the cluster with these faults and nothing else."""
    events = list(given(scenario))
    times = (When(plan.first), When(plan.gap, WORDS[0]))
    for fault, word, at in zip(faults, WORDS, times, strict=False):
        events += fault.placed(word, at, plan.lasts_ns, len(events))
    return replace(
        scenario,
        name=cell_name(faults),
        description=f"A cell of the census: {cell_name(faults)}.",
        events=tuple(events),
        expect=None,
        duration_ns=plan.duration_ns,
        path=None,
        findings=(),
    )


def cell_name(faults: Sequence[CensusFault]) -> str:
    """Name a cell: `kill lb1/haproxy`, `kill lb1/haproxy, then power off lb2`."""
    return ", then ".join(fault.name for fault in faults) or NO_FAULT


def cell_events_yaml(scenario: Scenario) -> list[dict[str, Any]]:
    """Return the `events:` of a cell's scenario as its file says them."""
    return [_event_yaml(event) for event in scenario.events]


def _event_yaml(event: Event) -> dict[str, Any]:
    written = event_yaml(event)
    if event.at.after:
        written["at"] = {"after": event.at.after, "plus": event.at.plus.to_yaml()}
    return {"at": written.pop("at"), "name": event.name, **written}


def seeds_of(scenario: Scenario, first: int, runs: int) -> tuple[int, ...]:
    """Return the seeds of a cell; of a pair each stratum of the instant and of the gap is met once."""
    drawn = [event for event in scenario.events if event.name in WORDS]
    if len(drawn) < len(WORDS):
        return tuple(choose_seeds(scenario, first, runs))
    return tuple(islice(_latin(drawn, first, runs), runs))


def _latin(events: Sequence[Event], first: int, runs: int) -> Iterator[int]:
    left = [set(range(runs)) for _ in events]
    for seed in count(first):
        streams = Streams(seed)
        strata = [int(rank(each.at.plus, drawn_ns(streams, each), 0.5) * runs) for each in events]
        if all(stratum in free for stratum, free in zip(strata, left, strict=True)):
            for stratum, free in zip(strata, left, strict=True):
                free.remove(stratum)
            yield seed


def run_cells(scenario: Scenario, seeds: Sequence[int]) -> Batch[CensusRow]:
    """Run the trials of one task of a worker."""
    return batch_of(classify, scenario, seeds)


def census(
    scenario: Scenario,
    *,
    phases: int = PHASES,
    pair_phases: int = PAIR_PHASES,
    only: Sequence[str] = (),
    seed: int | None = None,
    plan: CensusPlan | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> CensusResult:
    """Run every single fault `phases` times and every ordered pair `pair_phases` times (0: no pairs).

    `only` are names of cells; an unknown one raises `UnknownCell`. `seed` is the first one to try, the
    scenario's own if None; `plan` says when faults strike, None: as suits the scenario. Ctrl-C ends it with
    what is finished.
    """
    plan, faults = plan or plan_of(scenario), faults_of(scenario)
    groups: list[tuple[list[tuple[CensusFault, ...]], int]] = [([(), *((each,) for each in faults)], phases)]
    if pair_phases or any(", then " in name for name in only):
        groups.append((list(permutations(faults, 2)), pair_phases or PAIR_PHASES))
    if only:
        known = {cell_name(cell) for cells, _ in groups for cell in cells}
        for name in only:
            if name not in known:
                raise UnknownCell(name, sorted(known))
        groups = [([cell for cell in cells if cell_name(cell) in only], runs) for cells, runs in groups]
    begin = scenario.seed if seed is None else seed
    crew, total, done = workers or Workers(), sum(len(cells) * runs for cells, runs in groups), 0
    found: list[CensusCell] = []
    interrupted, lost = False, {}
    for cells, runs in groups:
        if not cells or interrupted:
            continue
        scenarios = [cell_scenario(scenario, plan, cell) for cell in cells]
        widest = next((each for each, cell in zip(scenarios, cells, strict=True) if cell), scenarios[0])
        collected = collect(
            scenarios,
            seeds_of(widest, begin, runs),
            crew,
            run_cells,
            progress=_counted(progress, done, total),
        )
        done += len(cells) * runs
        interrupted = collected.interrupted
        for number, cell in enumerate(cells):
            rows = collected.rows[number]
            for seed_, why in (collected.errors[number] | collected.lost[number]).items():
                lost[cell_name(cell), seed_] = why
            if rows:
                names = tuple(fault.name for fault in cell)
                found.append(CensusCell(names, scenarios[number], tuple(rows[each] for each in sorted(rows))))
    return CensusResult(scenario, tuple(found), tuple(each.name for each in faults), begin, interrupted, lost)


def _counted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


class UnknownCell(Exception):
    """The census has no cell of this name."""

    exit_code = 2

    def __init__(self, name: str, known: Sequence[str]) -> None:
        from vrrpsim.findings import did_you_mean

        super().__init__(f"{name!r} is no fault of this cluster{did_you_mean(name, known)}")
