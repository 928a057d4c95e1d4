"""One trial: a run of which only a few numbers are kept.

What is measured of a run, each the worst over the scenario's addresses or clients:

- `failover`: the longest takeover, from the fault to the new owner; `return`: the longest way back,
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from vrrpsim.measure.causes import causes
from vrrpsim.measure.failovers import FailoverKind
from vrrpsim.measure.ownership import Ownership, Span, Tenure
from vrrpsim.measure.result import Result, measure
from vrrpsim.scenario.model import Scenario
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


def measures(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of what a trial of this scenario measures."""
    names = list(scenario.clients)
    each = [f"outage.{name}" for name in names] if len(names) > 1 else []
    return ("failover", "return", *(["outage"] if names else []), *each, "dual_master", "vacancy", "moves")


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
    done = [Sample(each.length_ns) for each in result.failovers if each.is_takeover]
    yield "failover", _worst([*done, *_cut_failovers(scenario, trace, result)])
    yield (
        "return",
        _worst(Sample(each.length_ns) for each in result.failovers if each.kind is FailoverKind.RETURN),
    )
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
