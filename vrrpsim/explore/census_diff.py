"""Two configurations under the same census: what changed, and whether for the worse.

Both run the same faults at the same instants of the same seeds, so that a difference is one of the
configuration. A cell has changed if its worst outcome is another one, or if its outages or its stretches
with two owners are longer, or shorter, by more than the tolerance in so many runs of the same seed that the
sign test sees it (5 % shared by all cells), or in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from vrrpsim.measure.seconds import optional_seconds, to_json
from vrrpsim.scenario.model import Scenario

from .census import PAIR_PHASES, PHASES, census, plan_of
from .census_result import OUTCOMES, CensusCell, CensusResult
from .statistics import Summary, difference, summarize
from .trial import Sample
from .workers import Progress, Workers

NEAR_NS = 100_000_000  # what a client's period can hide
MEASURES = ("outage", "two owners")


class NothingAlike(Exception):
    """Two clusters have no fault in common."""

    exit_code = 3


class MeasureChange(NamedTuple):
    """One measure of a cell that changed."""

    name: str
    old: Summary
    new: Summary
    longer: int  # runs
    shorter: int

    @property
    def worse(self) -> bool:
        """Whether it takes longer now."""
        return self.longer > self.shorter


@dataclass(frozen=True)
class CellChange:
    """One cell of both censuses."""

    name: str
    old: CensusCell
    new: CensusCell
    measures: tuple[MeasureChange, ...]

    @property
    def outcome_change(self) -> int:
        """Above 0: the worst outcome is worse now; below: it is better."""
        return OUTCOMES.index(self.old.outcome) - OUTCOMES.index(self.new.outcome)

    @property
    def worse(self) -> bool:
        """Whether something of it is worse; what is worse beside a better outcome does not count."""
        return self.outcome_change > 0 or (
            self.outcome_change == 0 and any(each.worse for each in self.measures)
        )

    @property
    def changed(self) -> bool:
        """Whether anything is another."""
        return bool(self.outcome_change or self.measures)

    @property
    def rank(self) -> tuple[Any, ...]:
        """The worst first, single faults before pairs."""
        lengths = (abs((m.new.largest or 0) - (m.old.largest or 0)) for m in self.measures)
        return len(self.new.names), -abs(self.outcome_change), -max(lengths, default=0), self.name


@dataclass(frozen=True)
class CensusDiff:
    """What changed from one census to another; `tolerance` is a fraction."""

    old: CensusResult
    new: CensusResult
    tolerance: float

    @cached_property
    def changes(self) -> tuple[CellChange, ...]:
        """The cells that both have and that changed, the worst first."""
        mine = {cell.name: cell for cell in self.new.cells}
        both = [(cell, mine[cell.name]) for cell in self.old.cells if cell.name in mine]
        found = (
            CellChange(old.name, old, new, tuple(_measures(old, new, self.tolerance, len(both))))
            for old, new in both
        )
        return tuple(sorted((each for each in found if each.changed), key=lambda each: each.rank))

    @property
    def compared(self) -> int:
        """How many cells both have."""
        return len({cell.name for cell in self.old.cells} & {cell.name for cell in self.new.cells})

    @property
    def worse(self) -> list[CellChange]:
        """What got worse."""
        return [each for each in self.changes if each.worse]

    @property
    def better(self) -> list[CellChange]:
        """What got better."""
        return [each for each in self.changes if not each.worse]

    @property
    def verdict(self) -> str:
        """`fail` if anything got worse, `unknown` if it was interrupted, else `pass`."""
        if self.worse:
            return "fail"
        return "unknown" if self.old.interrupted or self.new.interrupted else "pass"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values; times are `Decimal` seconds."""
        return {
            "old": self.old.scenario.name,
            "new": self.new.scenario.name,
            "tolerance": self.tolerance,
            "cells": self.compared,
            "runs": sum(len(cell.rows) for cell in self.new.cells),
            "seed": self.new.seed,
            "interrupted": self.old.interrupted or self.new.interrupted,
            "only_old": [name for name in self.old.faults if name not in self.new.faults],
            "only_new": [name for name in self.new.faults if name not in self.old.faults],
            "worse": [_change(each) for each in self.worse],
            "better": [_change(each) for each in self.better],
            "verdict": self.verdict,
        }

    def to_json(self) -> str:
        """Return what `vrrpsim diff --json` prints."""
        return to_json(self.to_dict())


def census_diff(
    old: Scenario,
    new: Scenario,
    *,
    phases: int = PHASES,
    pair_phases: int = PAIR_PHASES,
    tolerance: float = 0.1,
    seed: int | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> CensusDiff:
    """Take the census of both with the same seeds and compare; raise `NothingAlike`."""
    if not old.nodes.keys() & new.nodes.keys():
        raise NothingAlike(
            f"no node is in both clusters: {', '.join(old.nodes)} and {', '.join(new.nodes)}; name them alike"
            " by router_id, file or FILE@ID"
        )
    plan = plan_of(old, new)

    def taken(scenario: Scenario, number: int) -> CensusResult:
        return census(
            scenario,
            phases=phases,
            pair_phases=pair_phases,
            seed=old.seed if seed is None else seed,
            plan=plan,
            workers=workers,
            progress=_half(progress, number) if progress else None,
        )

    before = taken(old, 0)
    after = CensusResult(new, (), (), before.seed, True) if before.interrupted else taken(new, 1)
    return CensusDiff(before, after, tolerance)


def _half(progress: Progress, number: int) -> Progress:
    return lambda done, total: progress(number * total + done, 2 * total)


def _measures(
    old: CensusCell, new: CensusCell, tolerance: float, comparisons: int
) -> Iterator[MeasureChange]:
    for name in MEASURES:
        if name == MEASURES[1] and old.beyond and new.beyond:
            continue  # as long as the fault, the longer the sooner the other takes over
        before, after = (_by_seed(cell, name) for cell in (old, new))
        seeds = [seed for seed in before if seed in after]
        pairs = [(before[seed], _rounded(before[seed], after[seed], tolerance)) for seed in seeds]
        found = difference(pairs, comparisons)
        if found.significant or (seeds and len(seeds) in (found.longer, found.shorter)):
            yield MeasureChange(
                name, summarize(before.values()), summarize(after.values()), found.longer, found.shorter
            )


def _by_seed(cell: CensusCell, name: str) -> dict[int, Sample]:
    return {row.seed: row.outage if name == MEASURES[0] else Sample(row.two_owners_ns) for row in cell.rows}


def _rounded(old: Sample, new: Sample, tolerance: float) -> Sample:
    """What differs by less than the tolerance is the same."""
    near_ns = max(NEAR_NS, tolerance * old.value)
    return old if abs(new.value - old.value) <= near_ns else new


def _change(each: CellChange) -> dict[str, Any]:
    return {
        "cell": each.name,
        "faults": list(each.new.names),
        "old": _side(each.old),
        "new": _side(each.new),
        "measures": [
            {
                "measure": one.name,
                "old": _summary(one.old),
                "new": _summary(one.new),
                "ratio_p50": _ratio(one),
                "longer": one.longer,
                "shorter": one.shorter,
            }
            for one in each.measures
        ],
    }


def _side(cell: CensusCell) -> dict[str, Any]:
    return {"outcome": cell.outcome, "outcomes": cell.outcomes, "blame": cell.worst.blame}


def _summary(summary: Summary) -> dict[str, Any]:
    median = summary.quantiles[50]
    return {
        "p50_s": optional_seconds(median.value),
        "p50_ci_s": [optional_seconds(median.low), optional_seconds(median.high)],
        "max_s": optional_seconds(summary.largest),
    }


def _ratio(one: MeasureChange) -> float | None:
    """How many times as long the median is now; None: it was, or is, nothing."""
    old, new = (each.quantiles[50].value for each in (one.old, one.new))
    return round(new / old, 3) if old and new else None
