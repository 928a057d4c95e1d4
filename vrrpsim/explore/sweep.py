"""Monte Carlo: one scenario, or a grid of variants of it, under many seeds.

All cells of a grid run the same seeds (common random numbers), so that a difference between two cells is
one of the scenario and not of luck. What is measured of a run says `trial`, how seeds are chosen
`stratified_seeds`, what came out `sweep_result`, what the numbers are worth `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .stratified_seeds import choose_seeds, stratified_event
from .sweep_result import Cell, SweepResult, Variant
from .thresholds import Threshold
from .trial import TrialRow, run_batch
from .workers import Collected, Progress, Workers, collect


def sweep(
    variants: Sequence[Variant],
    *,
    runs: int,
    seed: int,
    stratify: bool = True,
    thresholds: Sequence[Threshold] = (),
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Run every variant with the same seeds, from `seed` on."""
    scenarios = [variant.scenario for variant in variants]
    _check(variants, thresholds)
    seeds = choose_seeds(scenarios[0], seed, runs, stratify=stratify)
    found = collect(
        scenarios, seeds, workers or Workers(), run_batch, total=runs * len(variants), progress=progress
    )
    return SweepResult(
        cells=tuple(_cell(number, variant, found, thresholds) for number, variant in enumerate(variants)),
        asked=runs,
        stratified=stratified_event(scenarios[0]) if stratify else None,
        repeated=tuple(sorted(found.repeated)),
        deaths=found.deaths,
        interrupted=found.interrupted,
    )


def _check(variants: Sequence[Variant], thresholds: Sequence[Threshold]) -> None:
    """Refuse a threshold on a client that a variant does not have, before anything runs."""
    for variant in variants:
        for threshold in thresholds:
            Cell(variant, (), {}, {}, ()).samples(threshold.measure)


def _cell(number: int, variant: Variant, found: Collected[TrialRow], thresholds: Sequence[Threshold]) -> Cell:
    rows = tuple(found.rows[number][seed] for seed in sorted(found.rows[number]))
    errors, lost = (dict(sorted(each[number].items())) for each in (found.errors, found.lost))
    return Cell(variant, rows, errors, lost, tuple(thresholds))
