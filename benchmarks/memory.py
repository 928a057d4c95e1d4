"""Bytes that a run of a sweep takes: what tracemalloc says of 100,000 rows like those of real trials.

Rows of 500 trials of the pair stand for all; their times are made different, or they would pack too well.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Row, show
from vrrpsim.build import load
from vrrpsim.explore.sweep_result import packer_of
from vrrpsim.explore.trial import Sample, TrialRow, run_batch

RUNS, SAMPLE = 100_000, 500


def rows(_: int) -> Iterator[Row]:
    """The line of the table."""
    scenario = load(Path(__file__).parent.parent / "scenarios/haproxy-crash.yaml").scenario
    known = run_batch(scenario, range(SAMPLE)).rows

    def like(seed: int) -> TrialRow:
        row = known[seed % SAMPLE]
        return row._replace(
            seed=seed,
            values=tuple(sample and Sample(moved(sample.value, seed), sample.cut) for sample in row.values),
            judged=tuple((ok, value and moved(value, seed)) for ok, value in row.judged),
        )

    def moved(value: int, by: int) -> int:
        return value + by if value > SAMPLE else value

    gc.collect()
    tracemalloc.start()
    packer = packer_of(scenario)
    for start in range(0, RUNS, SAMPLE):
        packer.add(map(like, range(start, start + SAMPLE)))
    held = packer.rows()
    gc.collect()
    size, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    note = f"{len(held):,} rows; {most / RUNS:.0f} at most while they come"
    yield Row("bytes a run of a sweep", size / RUNS, 100, 60, least=False, note=note)


if __name__ == "__main__":
    show(rows(1))
