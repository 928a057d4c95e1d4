"""Monte Carlo: one scenario, or a grid of variants of it, under many seeds.

All cells of a grid run the same seeds (common random numbers), so that a difference between two cells is
one of the scenario and not of luck. What is measured of a run says `trial`, how seeds are chosen
`sweep_plan`, what came out `sweep_result`, what the numbers are worth `statistics`, what is left on disk
`sweep_folder`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .packed_rows import Packer
from .sweep_folder import SweepFolder, read_parts, write_folder
from .sweep_manifest import FolderError, manifest_of, read_manifests
from .sweep_plan import SweepPlan
from .sweep_result import Cell, SweepResult, Variant, packer_of
from .thresholds import Threshold, ThresholdError
from .trial import Batch, TrialRow, run_batch, run_forced_batch
from .workers import Collected, Progress, Workers, collect


def sweep(
    variants: Sequence[Variant],
    plan: SweepPlan,
    *,
    thresholds: Sequence[Threshold] = (),
    workers: Workers | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> SweepResult:
    """Run every variant with the same seeds.

    A `folder` holds the runs as they come; to `resume` is to keep those that are there already.
    """
    scenarios = [variant.scenario for variant in variants]
    packers = [packer_of(scenario, plan.rare) for scenario in scenarios]
    plan.check()
    _check(variants, packers, thresholds, plan)
    kept = None
    if folder:
        kept = SweepFolder(folder, manifest_of(variants, plan), packers, resume=resume)
    found = _run(variants, plan, packers, kept, workers or Workers(), progress)
    cells = tuple(
        Cell(
            variant,
            packers[number].rows(),
            dict(sorted(pair for each in found for pair in each.errors[number].items())),
            dict(sorted(pair for each in found for pair in each.lost[number].items())),
            tuple(thresholds),
        )
        for number, variant in enumerate(variants)
    )
    return SweepResult(
        cells=cells,
        asked=len(cells[0].rows) if plan.until and _known(cells, plan) else plan.share,
        stratified=plan.stratified(scenarios[0]),
        repeated=tuple(sorted(seed for each in found for seed in each.repeated)),
        deaths=sum(each.deaths for each in found),
        interrupted=any(each.interrupted for each in found),
    )


def _run(
    variants: Sequence[Variant],
    plan: SweepPlan,
    packers: Sequence[Packer],
    kept: SweepFolder | None,
    workers: Workers,
    progress: Progress | None,
) -> list[Collected[TrialRow]]:
    """Run round after round; rows go to the packers and into the folder."""
    scenarios = [variant.scenario for variant in variants]
    found: list[Collected[TrialRow]] = []
    ran = 0
    if kept:
        ran = kept.ran
        found.append(Collected([], kept.errors, [{} for _ in variants]))

    def take(cell: int, batch: Batch[TrialRow]) -> None:
        packers[cell].add(batch.rows)
        if kept:
            kept.take(cell, batch)

    def tell(done: int, _: int) -> None:
        if progress:
            progress(ran + done, plan.share * len(variants))

    for seeds in plan.rounds(scenarios[0]):
        found.append(
            collect(
                scenarios,
                kept.missing(seeds) if kept else seeds,
                workers,
                run_forced_batch if plan.rare else run_batch,
                progress=tell,
                take=take,
            )
        )
        if kept:
            kept.flush()
        ran = sum(len(packer.rows()) for packer in packers)
        if found[-1].interrupted or (plan.until and _known(_so_far(variants, packers), plan)):
            break
    return found


def _so_far(variants: Sequence[Variant], packers: Sequence[Packer]) -> tuple[Cell, ...]:
    return tuple(
        Cell(variant, packer.rows(), {}, {}, ()) for variant, packer in zip(variants, packers, strict=True)
    )


def _known(cells: Sequence[Cell], plan: SweepPlan) -> bool:
    """Whether the sweep has reached what it was to run until."""
    return all(
        goal.met_by(cell.statistic(goal.measure, goal.statistic)) for cell in cells for goal in plan.until
    )


def _check(
    variants: Sequence[Variant], packers: Sequence[Packer], thresholds: Sequence[Threshold], plan: SweepPlan
) -> None:
    """Refuse what asks for a client that a variant does not have, before anything runs."""
    for cell in _so_far(variants, packers):
        for measure in (*(each.measure for each in thresholds), *(each.measure for each in plan.until)):
            cell.column(measure)
    for threshold in thresholds if plan.rare else ():
        if threshold.statistic in ("max", "count"):
            raise ThresholdError(
                f"{threshold.text!r}: forced runs have no {threshold.statistic}; ask for a rate"
            )


def read_folders(
    folders: Sequence[Path], thresholds: Sequence[Threshold] = (), into: Path | None = None
) -> tuple[SweepResult, str]:
    """Put together what sweeps left in folders: shards of one sweep, or all of it; and its command line.

    All of it may go `into` a new folder.
    """
    manifest = read_manifests(folders)
    plan, variants = manifest.plan, manifest.variants
    packers = [packer_of(variant.scenario, plan.rare) for variant in variants]
    _check(variants, packers, thresholds, plan)
    errors: list[dict[int, str]] = [{} for _ in variants]
    for folder in folders:
        for part in read_parts(folder, manifest, packers):
            for cell, found in enumerate(part.errors):
                errors[cell].update(found)
    cells = tuple(
        Cell(variant, packers[at].rows(), dict(sorted(errors[at].items())), {}, tuple(thresholds))
        for at, variant in enumerate(variants)
    )
    known = bool(plan.until) and _known(cells, plan)
    result = SweepResult(
        cells=cells,
        asked=len(cells[0].rows) if known else plan.share,
        stratified=manifest.stratified,
        repeated=(),
        deaths=0,
        interrupted=False,
    )
    if into is not None:
        missing = result.asked - min(len(cell.rows) + len(cell.errors) for cell in cells)
        if missing:
            raise FolderError(f"{into}: not written, {missing} of {result.asked} runs are missing")
        write_folder(into, manifest, [cell.rows for cell in cells], [dict(cell.errors) for cell in cells])
    return result, plan.command
