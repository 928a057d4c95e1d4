"""What a sweep found: cells with their measures, verdicts and worst runs, as values and as JSON.

A run is a *split brain* if several nodes owned one address at a stretch for longer than a hand-over takes
(`ownership.HAND_OVER_NS`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median_low
from typing import Any

import numpy as np

from vrrpsim.command_lines import replay_command
from vrrpsim.findings import did_you_mean
from vrrpsim.measure.expectations import SINGLE_RUN, Verdict, overall, owner_measure
from vrrpsim.measure.failovers import answers_an_event
from vrrpsim.measure.ownership import HAND_OVER_NS
from vrrpsim.measure.seconds import SECOND_NS, optional_seconds, seconds, to_json
from vrrpsim.scenario.model import Bound, Expect, Scenario

from .estimates import PERCENTS, Column, Quantile, Rate, column_of
from .packed_rows import MISSING, Array, PackedRows, Packer
from .statistics import Curve, Difference, Summary, difference, distribution, rate, summarize
from .thresholds import RATES, Threshold, ThresholdError
from .trial import COUNTS, Sample, measures
from .weighted import weighted_rate

YEAR_NS = 365 * 86_400 * SECOND_NS
HOLDS = "holds"  # the statistic of an invariant
WORST = 3  # seeds named for each measure


@dataclass(frozen=True, slots=True)
class Variant:
    """A scenario, what `--vary` changed in it, and all that was changed."""

    scenario: Scenario
    varied: Mapping[str, str]
    overrides: Mapping[str, str]

    def command(self, seed: int) -> str:
        """The command line that replays one run; "" if the scenario came from no file."""
        return replay_command(self.scenario, seed, self.overrides)

    @property
    def label(self) -> str:
        """`loss=1%`: what was varied, each path by its last name."""
        return ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in self.varied.items())


@dataclass(frozen=True, slots=True)
class Judged:
    """An expectation or a threshold, judged over all runs; `seed` is the one to look at."""

    measure: str
    statistic: str
    text: str
    bound: int | float | str
    measured: int | float | None
    ok: bool | None
    note: str = ""
    at_ns: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Cell:
    """The runs of one variant, in the order of their seeds."""

    variant: Variant
    rows: PackedRows
    errors: Mapping[int, str]
    lost: Mapping[int, str]
    thresholds: tuple[Threshold, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What was measured."""
        return measures(self.variant.scenario)

    def _place(self, name: str) -> int | None:
        """Where a measure is among all; with a single client `outage.NAME` is `outage`."""
        if name not in self.names and name.startswith("outage."):
            if name.removeprefix("outage.") not in self.variant.scenario.clients:
                raise ThresholdError(f"{name}: there is no such client in the scenario")
            name = "outage"
        if name not in self.names and answers_an_event(name):
            known = [each for each in self.names if answers_an_event(each)]
            raise ThresholdError(f"{name}: there is no such event{did_you_mean(name, known)}")
        return self.names.index(name) if name in self.names else None

    def samples(self, name: str) -> list[Sample | None]:
        """Return one measure, run by run."""
        place = self._place(name)
        return [None if place is None else row.values[place] for row in self.rows]

    def column(self, name: str) -> Column:
        """Return one measure of the runs that have it."""
        place = self._place(name)
        return column_of(()) if place is None else self.rows.column(place)

    @property
    def weighted(self) -> bool:
        """Whether its runs count differently, because something rare was made frequent."""
        return self.rows.log_weights is not None

    def _rate(self, hit: Array) -> Rate:
        weights = self.rows.weights
        if weights is not None:
            return weighted_rate(hit, weights)
        return rate(int(hit.sum()), len(self.rows))

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """Every measure over all runs."""
        return {name: summarize(self.column(name)) for name in self.names}

    @cached_property
    def split_brain(self) -> Rate:
        """How many runs had two owners of one address for longer than a hand-over takes."""
        return self._rate(self.rows.overlaps > HAND_OVER_NS)

    @cached_property
    def failed_over(self) -> Rate:
        """How many runs had a failover: where no machine was ill, a false one."""
        return self._rate(self.rows.values[self.names.index("failover")] != MISSING)

    @property
    def censored(self) -> int:
        """Runs of which the horizon cut something."""
        return int(np.logical_or.reduce(self.rows.cuts).sum())

    def worst(self, name: str, count: int = WORST) -> list[tuple[Sample, int]]:
        """Return the runs with the largest values, above the median, and their seeds."""
        place = self._place(name)
        if place is None:
            return []
        values, cuts = self.rows.values[place], self.rows.cuts[place]
        there = np.flatnonzero(values != MISSING)
        usual = median_low(values[there].tolist() or [0])
        found = there[values[there] > usual]
        first = found[np.lexsort((self.rows.seeds[found], -values[found].astype(np.int64)))][:count]
        return [(Sample(int(values[at]), bool(cuts[at])), int(self.rows.seeds[at])) for at in first]

    @cached_property
    def expectations(self) -> tuple[Judged, ...]:
        """What the scenario expects, and the invariants: of each run, and with p50, p95, p99 of all."""
        scenario = self.variant.scenario
        expect = scenario.expect or Expect()
        single = [bound for bound in expect.bounds if bound.statistic in SINGLE_RUN]
        verdicts = [
            *(
                Judged(owner_measure(each), "at", "", each.node, None, None, at_ns=_at(self, each.at))
                for each in expect.owner
            ),
            *(Judged(_name(bound), bound.statistic, "", bound.limit, None, None) for bound in single),
            *(Judged(name, HOLDS, "", "always", None, None) for name in scenario.invariants),
        ]
        if self.weighted:  # what one forced run did says nothing of how likely it is
            of_runs = [replace(each, note="not asked of forced runs") for each in verdicts]
        else:
            of_runs = [_of_each_run(verdict, self.rows, at) for at, verdict in enumerate(verdicts)]
        of_all = (bound for bound in expect.bounds if bound not in single)
        return (*of_runs, *(self._ask(_as_threshold(bound)) for bound in of_all))

    @cached_property
    def asked(self) -> tuple[Judged, ...]:
        """The thresholds of the command line."""
        return tuple(map(self._ask, self.thresholds))

    def statistic(self, measure: str, statistic: str) -> Summary | Rate:
        """Return what a threshold or a goal asks about."""
        if statistic not in RATES:
            return summarize(self.column(measure))
        return self.split_brain if measure == "split_brain" else self.failed_over

    def _ask(self, threshold: Threshold) -> Judged:
        name = "dual_master" if threshold.measure == "split_brain" else threshold.measure
        measured = self.statistic(threshold.measure, threshold.statistic)
        value, ok = threshold.asked_of(measured)
        note = ""
        if isinstance(measured, Summary) and value is None:
            note = "nothing was measured" if not measured.n else "beyond what the horizon lets see"
        return Judged(
            measure=threshold.measure,
            statistic=threshold.statistic,
            text=threshold.text,
            bound=threshold.limit,
            measured=value,
            ok=ok,
            note=note,
            seed=self._longest(name) if ok is False else None,
        )

    def _longest(self, name: str) -> int | None:
        """The first seed with the largest value."""
        place = self._place(name)
        if place is None or not len(self.rows):
            return None
        values = self.rows.values[place]
        at = np.lexsort((-self.rows.seeds.astype(np.int64), self.rows.cuts[place], values))[-1]
        return None if values[at] == MISSING else int(self.rows.seeds[at])

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `unknown`; `none` if nothing was expected."""
        each = (*self.expectations, *self.asked)
        return overall([Verdict(e.measure, e.statistic, 0, None, e.ok) for e in each])

    def to_dict(self, seen: Collection[str] = ()) -> dict[str, Any]:
        """Return the cell's part of the JSON document; times are `Decimal` seconds.

        Of what answers single events only what is `seen` in some cell is there.
        """
        return {
            "scenario": self.variant.scenario.name,
            "vary": dict(self.variant.varied),
            "runs": len(self.rows),
            "censored": self.censored,
            **({"forced": "loss"} if self.weighted else {}),
            "measures": {
                name: _summary(name, each)
                for name, each in self.summaries.items()
                if not answers_an_event(name) or name in seen
            },
            "split_brain": {"longer_than_s": seconds(HAND_OVER_NS), **self._rated(self.split_brain)},
            "failed_over": self._rated(self.failed_over),
            "worst": [
                {
                    "seed": seed,
                    "measure": name,
                    **_valued(name, sample.value),
                    "cut": sample.cut,
                    "command": "" if self.weighted else self.variant.command(seed),
                }
                for name in self.names
                if not answers_an_event(name)
                for sample, seed in self.worst(name)
            ],
            "expectations": [self._judged(each) for each in self.expectations],
            "thresholds": [self._judged(each) for each in self.asked],
            "errors": [{"seed": seed, "why": why} for seed, why in self.errors.items()],
            "lost": [{"seed": seed, "why": why} for seed, why in self.lost.items()],
            "verdict": self.verdict,
        }

    def _rated(self, found: Rate) -> dict[str, Any]:
        """A rate; of forced runs with its relative standard error, and how many times a year that is."""
        plain = {"runs": found.count, "rate": found.rate, "ci": [found.low, found.high]}
        if not self.weighted:
            return plain
        years = self.variant.scenario.duration_ns / YEAR_NS
        certain = found.rate >= 1.0
        a_year = None if certain else -math.log1p(-found.rate) / years
        return {**plain, "relative_error": found.error, "a_year": a_year}

    def _judged(self, each: Judged) -> dict[str, Any]:
        plain = each.measure in COUNTS or each.statistic in ("at", HOLDS, *RATES)
        return {
            "measure": each.measure,
            "statistic": each.statistic,
            **({"threshold": each.text} if each.text else {}),
            **({"at_s": seconds(each.at_ns)} if each.at_ns is not None else {}),
            "bound": each.bound if plain or not isinstance(each.bound, int) else seconds(each.bound),
            "measured": each.measured
            if plain or not isinstance(each.measured, int)
            else seconds(each.measured),
            "ok": each.ok,
            "note": each.note,
            "command": "" if each.seed is None else self.variant.command(each.seed),
        }


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep, or what is finished of it."""

    cells: tuple[Cell, ...]
    asked: int  # runs of each cell
    stratified: str | None  # the name of the event whose instant is spread evenly
    repeated: tuple[int, ...]  # seeds under way when a worker died
    deaths: int
    interrupted: bool

    @property
    def verdict(self) -> str:
        """The worst of the cells: `fail`, `unknown` or `pass`; `none` if nothing was expected."""
        verdicts = {cell.verdict for cell in self.cells}
        return next((each for each in ("fail", "unknown", "pass") if each in verdicts), "none")

    @property
    def is_grid(self) -> bool:
        """Whether something was varied."""
        return bool(self.cells[0].variant.varied)

    def difference(self, cell: Cell, name: str) -> Difference | None:
        """Return how a measure of a cell differs from the first cell's, paired by seed; None for that one."""
        first = self.cells[0]
        if cell is first or name not in first.names or name not in cell.names:
            return None
        if cell.weighted or first.weighted:
            return None  # a pair of forced runs is no pair: each counts by its own weight
        mine = dict(zip(cell.rows.seeds.tolist(), cell.samples(name), strict=True))
        theirs = zip(first.rows.seeds.tolist(), first.samples(name), strict=True)
        pairs = ((sample, mine.get(seed)) for seed, sample in theirs)
        return difference(pairs, len(self.cells) - 1)

    def curves(self, name: str) -> list[Curve]:
        """Return the distribution of a measure, one curve for each cell that has it."""
        curves = (distribution(cell.variant.label, cell.column(name)) for cell in self.cells)
        return [curve for curve in curves if curve]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values."""
        head = {"asked": self.asked, "interrupted": self.interrupted, "stratified": self.stratified}
        if not self.is_grid:
            document = self.cells[0].to_dict(self._seen)
            del document["vary"]
            return document | head
        cells = [
            cell.to_dict(self._seen) | {"differences": dict(self._differences(cell))} for cell in self.cells
        ]
        return {"cells": cells, **head, "verdict": self.verdict}

    @property
    def _seen(self) -> set[str]:
        return {name for cell in self.cells for name, each in cell.summaries.items() if each.n}

    def _differences(self, cell: Cell) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in cell.names:
            found = self.difference(cell, name)
            if found is not None:
                yield (
                    name,
                    {
                        "longer": found.longer,
                        "shorter": found.shorter,
                        "equal": found.equal,
                        **_valued(name, found.median, "median"),
                        "p": found.p,
                        "significant": found.significant,
                    },
                )

    def to_json(self) -> str:
        """Return the document that `vrrpsim sweep --json` prints, without a final newline."""
        return to_json(self.to_dict())

    def columns(self) -> dict[str, list[Any]]:
        """Return all runs as a table by columns: what was varied, the seed, times in seconds.

        `NAME_cut` says that the horizon came first and the value is a lower bound.
        """
        table: dict[str, list[Any]] = {
            path: [cell.variant.varied[path] for cell in self.cells for _ in range(len(cell.rows))]
            for path in self.cells[0].variant.varied
        }
        table["seed"] = [seed for cell in self.cells for seed in cell.rows.seeds.tolist()]
        for name in dict.fromkeys(name for cell in self.cells for name in cell.names):
            samples = [sample for cell in self.cells for sample in cell.samples(name)]
            unit = "" if name in COUNTS else "_s"
            table[f"{name}{unit}"] = [_quantity(name, each and each.value) for each in samples]
            if name not in COUNTS:
                table[f"{name}_cut"] = [each and each.cut for each in samples]
        table["split_brain"] = [
            long for cell in self.cells for long in (cell.rows.overlaps > HAND_OVER_NS).tolist()
        ]
        if any(cell.weighted for cell in self.cells):
            table["weight"] = [weight for cell in self.cells for weight in _weights(cell.rows)]
        return table


def _weights(rows: PackedRows) -> list[float]:
    found = rows.weights
    return [1.0] * len(rows) if found is None else [float(each) for each in found]


def packer_of(scenario: Scenario, weighted: bool = False) -> Packer:
    """Return what takes the rows of a scenario's runs."""
    expect = scenario.expect or Expect()
    single = (bound for bound in expect.bounds if bound.statistic in SINGLE_RUN)
    judged = len([*expect.owner, *single, *scenario.invariants])
    return Packer(len(measures(scenario)), judged, weighted)


def _at(cell: Cell, at: int | str) -> int:
    return at if isinstance(at, int) else cell.variant.scenario.duration_ns


def _name(bound: Bound) -> str:
    return f"{bound.measure}.{bound.client}" if bound.client else bound.measure


def _as_threshold(bound: Bound) -> Threshold:
    return Threshold("", _name(bound), bound.statistic, "<=", bound.limit)


def _of_each_run(asked: Judged, rows: PackedRows, at: int) -> Judged:
    """Every run must keep it; a run in which nothing exercised it says nothing, if others do."""
    kept, values = rows.kept[at], rows.measured[at].astype(np.int64)
    broken = rows.seeds[kept == 0].tolist()
    silent = int((kept == MISSING).sum())
    there = np.flatnonzero(values != MISSING)
    measured: int | None = None
    worst: int | None = None
    if len(there):
        size = values[there] if asked.statistic == "min" else -values[there]
        by_seed = rows.seeds[there] if asked.statistic != "min" else -rows.seeds[there].astype(np.int64)
        first = there[np.lexsort((by_seed, size))[0]]
        measured, worst = int(values[first]), int(rows.seeds[first])
    ok: bool | None = not broken
    if not broken and (silent == len(rows) or (silent and asked.measure.startswith("outage"))):
        ok = None
    notes = []
    if broken:
        notes.append(f"broken in {len(broken)} of {len(rows)} runs")
        worst = broken[0] if measured is None else worst
    if silent:
        notes.append(f"nothing to judge in {silent} of {len(rows)} runs")
    return Judged(
        asked.measure,
        asked.statistic,
        "",
        asked.bound,
        measured,
        ok,
        "; ".join(notes),
        asked.at_ns,
        None if ok else worst,
    )


def _quantity(name: str, value: int | None) -> Any:
    return value if name in COUNTS else optional_seconds(value)


def _valued(name: str, value: int | None, word: str = "value") -> dict[str, Any]:
    return {word if name in COUNTS else f"{word}_s": _quantity(name, value)}


def _summary(name: str, summary: Summary) -> dict[str, Any]:
    def interval(quantile: Quantile) -> list[Any]:
        return [_quantity(name, quantile.low), _quantity(name, quantile.high)]

    quantiles = {f"p{percent}": summary.quantiles[percent] for percent in PERCENTS}
    return {
        "n": summary.n,
        "censored": summary.censored,
        **{key: _quantity(name, each.value) for key, each in quantiles.items()},
        "max": _quantity(name, summary.largest),
        "max_cut": summary.largest_cut,
        "ci": {key: interval(each) for key, each in quantiles.items()},
    }
