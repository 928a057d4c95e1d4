"""One trial: a run of which only a few numbers are kept.

What is measured of a run, each the worst over the scenario's addresses or clients:

- `failover`: the longest takeover, from the fault to the new owner; `return`: the longest way back; `heal`:
  the longest end of two owners; where there are several events also for each: `failover.kill lb1/haproxy`,
- `outage`: the longest of any client, and `outage.NAME` of each where there are several,
- `dual_master`, `vacancy`: total time with several owners, with none (after the first one),
- `moves`: changes of owner.

The horizon cuts what was not over when the run ended: all that is known then is that it was longer. (What
was both cut and shorter than something else of the run counts as that something else.) A
failover is cut if an address has no owner at the end, or a client of it no answer, and an event that
met its last owner has not been answered by a failover: it lasts at least from that event to the end.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from vrrpsim.measure.causes import causes
from vrrpsim.measure.failovers import ANSWERS
from vrrpsim.measure.ownership import Ownership, Span, Tenure
from vrrpsim.measure.result import Result, measure
from vrrpsim.scenario.events import Event, detail
from vrrpsim.scenario.model import Scenario, once
from vrrpsim.scenario.verbs import Effect
from vrrpsim.trace import Fault, FaultEnd, Level, Trace
from vrrpsim.world import Forcing, simulate

from .invariants import violations

COUNTS = ("moves",)  # measures that are numbers; all others are ns


class Sample(NamedTuple):
    """A measured value in ns, for `moves` a count; `cut`: the horizon came first, it is at least that."""

    value: int
    cut: bool = False


class TrialRow(NamedTuple):
    """What is kept of one run; `values` in the order of `measures()`, None: nothing to measure."""

    seed: int
    values: tuple[Sample | None, ...]
    overlap_ns: int  # the longest single stretch with several owners
    judged: tuple[tuple[bool | None, int | None], ...]  # expectations, invariants: whether kept, measured
    log_weight: float = 0.0  # of how likely the run is against how it was drawn


Row = TypeVar("Row")  # what is kept of one run, with its `seed`


class Batch(NamedTuple, Generic[Row]):
    """What a worker hands back. `errors` are (seed, exception) of trials that raised."""

    rows: list[Row]
    errors: list[tuple[int, str]]
    elapsed_s: float


@once
def measures(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of what a trial of this scenario measures."""
    names = list(scenario.clients)
    each = [f"outage.{name}" for name in names] if len(names) > 1 else []
    answers = [f"{kind}.{moment}" for moment in _moments(scenario) for kind in ANSWERS]
    outage = ["outage"] if names else []
    return (*ANSWERS, *answers, *outage, *each, "dual_master", "vacancy", "moves")


def _moments(scenario: Scenario) -> list[str]:
    """Name the events and their ends, where there are several; those that are called alike are one."""
    moments: dict[str, None] = {}
    for event in scenario.events:
        label = called(event)
        moments[label] = None
        if event.lasts is not None:
            moments[_end_of(label)] = None
    return [*moments] if len(moments) > 1 else []


def called(event: Event) -> str:
    """Return what an event is called in measures: by its name, or by what it does."""
    name = event.name if event.name != f"{event.verb}-{event.index}" else ""
    return _label(name, event.verb, str(event.target or ""), detail(event))


def _label(name: str, verb: str, target: str, detail: str) -> str:
    return name or f"{verb} {target or detail}".strip()


def _end_of(label: str) -> str:
    return f"end of {label}"


def run_batch(scenario: Scenario, seeds: Sequence[int]) -> Batch[TrialRow]:
    """Run the trials of one task of a worker."""
    return batch_of(trial, scenario, seeds)


def run_forced_batch(scenario: Scenario, seeds: Sequence[int]) -> Batch[TrialRow]:
    """Run the trials of one task with losses of adverts forced and weighed."""
    return batch_of(forced_trial, scenario, seeds)


def batch_of(trial: Callable[[Scenario, int], Row], scenario: Scenario, seeds: Sequence[int]) -> Batch[Row]:
    """Run one trial a seed; an exception of one does not harm the others."""
    began = time.perf_counter()
    batch: Batch[Row] = Batch([], [], 0.0)
    for seed in seeds:
        try:
            batch.rows.append(trial(scenario, seed))
        except Exception as error:
            batch.errors.append((seed, f"{type(error).__name__}: {error}"))
    return batch._replace(elapsed_s=time.perf_counter() - began)


def forced_trial(scenario: Scenario, seed: int) -> TrialRow:
    """Run the scenario once with losses of adverts forced; the row knows its weight."""
    forcing = Forcing(scenario)
    return trial(scenario, seed, forcing)._replace(log_weight=forcing.log_weight())


def trial(scenario: Scenario, seed: int, forcing: Forcing | None = None) -> TrialRow:
    """Run the scenario once with this seed and keep a few numbers."""
    level = Level.ADVERTS if scenario.invariants else Level.STATES
    trace = simulate(scenario, seed=seed, level=level, fast_forward=True, forcing=forcing)
    result = measure(scenario, trace, seed=seed)
    values = row(scenario, trace, result)
    broken = violations(scenario, trace, scenario.invariants) if scenario.invariants else {}
    spans = (span.length_ns for owned in result.ownerships for span in owned.dual_master)
    judged = tuple(
        (verdict.ok, verdict.measured if isinstance(verdict.measured, int) else None)
        for verdict in result.expectations
    ) + tuple((name not in broken, None) for name in scenario.invariants)
    return TrialRow(
        seed, tuple(values.get(name) for name in measures(scenario)), max(spans, default=0), judged
    )


def row(scenario: Scenario, trace: Trace, result: Result) -> dict[str, Sample | None]:
    """Return what a trial keeps of a run, by measure, whichever world it ran in."""
    return dict(_values(scenario, trace, result))


def _values(scenario: Scenario, trace: Trace, result: Result) -> Iterator[tuple[str, Sample | None]]:
    labels = {
        record.number: _label(record.name, record.verb, record.target, record.detail)
        for record in trace.records
        if isinstance(record, Fault)
    }
    answers: defaultdict[str, list[Sample]] = defaultdict(list)
    for each in result.failovers:
        kind = "failover" if each.is_takeover else each.kind.value
        answers[kind].append(Sample(each.length_ns))
        if label := labels.get(each.cause.number):
            moment = _end_of(label) if each.cause.undone else label
            answers[f"{kind}.{moment}"].append(Sample(each.length_ns))
    answers["failover"] += _cut_failovers(scenario, trace, result)
    yield from ((name, _worst(found)) for name, found in answers.items())
    outages = {
        name: _worst(Sample(each.length_ns, not each.ended) for each in view.outages) or Sample(0)
        for name, view in result.clients.items()
    }
    yield "outage", _worst(outages.values())
    yield from ((f"outage.{name}", sample) for name, sample in outages.items())
    owned = result.ownerships
    yield "dual_master", _worst(Sample(each.dual_master_ns, _open(each.dual_master)) for each in owned)
    yield "vacancy", _worst(Sample(each.vacancy_ns, _open(each.vacancies)) for each in owned)
    yield "moves", _worst(Sample(each.moves) for each in owned)


def _worst(samples: Iterable[Sample]) -> Sample | None:
    """Return the longest; that a shorter one was cut is not held against it."""
    return max(samples, default=None)


def _open(spans: Sequence[Span]) -> bool:
    return bool(spans) and not spans[-1].ended


def _cut_failovers(scenario: Scenario, trace: Trace, result: Result) -> Iterator[Sample]:
    unserved = {
        str(scenario.clients[name].asks)
        for name, view in result.clients.items()
        if view.outages and not view.outages[-1].ended
    }
    waiting = [
        each
        for each in result.ownerships
        if each.tenures and (each.address in unserved or not each.line.owners[-1])
    ]
    if not waiting:
        return
    events = causes((r for r in trace.records if isinstance(r, (Fault, FaultEnd))), scenario.nodes)
    answered = {(failover.address, failover.cause) for failover in result.failovers}
    for owned in waiting:
        last = _last_tenure(owned)
        for cause in reversed(events):
            met = last.node in cause.nodes or not cause.nodes
            if cause.at_ns < last.start_ns:
                break
            if cause.effect is not Effect.REPAIR and met and (owned.address, cause) not in answered:
                yield Sample(trace.end_ns - cause.at_ns, True)
                break


def _last_tenure(owned: Ownership) -> Tenure:
    return max(owned.tenures, key=lambda tenure: (tenure.end_ns, tenure.start_ns))
