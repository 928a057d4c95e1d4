"""Two workers by one, in units of the cores that are really free: a neighbour can hold one of them.

A sweep with two workers against the same sweep in this process, and beside each round the same question to
a loop of pure Python, whose answer is what two processes can reach here and now.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from benchmarks.harness import Row, show
from vrrpsim.build import load

SPIN = 6_000_000
SWEEP_S = 6.0  # of one worker: starting the pool must not show


def spin(count: int) -> float:
    """Wall seconds of a loop."""
    start, total = time.perf_counter(), 0
    for number in range(count):
        total += number
    return time.perf_counter() - start


def free_cores(pool: ProcessPoolExecutor) -> float:
    """How many cores two busy processes get now."""
    alone = spin(SPIN)
    start = time.perf_counter()
    list(pool.map(spin, [SPIN] * 2))
    return 2 * alone / (time.perf_counter() - start)


def rows(rounds: int) -> Iterator[Row]:
    """The line of the table."""
    study = load(Path(__file__).with_name("three-nodes.yaml"))

    def sweep_s(runs: int, jobs: int) -> float:
        start = time.perf_counter()
        assert len(study.sweep(runs=runs, jobs=jobs).to_dict()["worst"]) > 0
        return time.perf_counter() - start

    runs = round(200 * SWEEP_S / sweep_s(200, 1))
    gains, cores = [], []
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        free_cores(pool)
        for _ in range(min(rounds, 3)):
            before = free_cores(pool)
            gains.append(sweep_s(runs, 1) / sweep_s(runs, 2))
            cores.append((before + free_cores(pool)) / 2)
    measured = median(gain / free for gain, free in zip(gains, cores, strict=True))
    note = f"{median(gains):.2f} times as fast on {median(cores):.2f} free cores"
    yield Row("two workers by one, by the free cores", measured, 0.85, 0.95, note=note)


if __name__ == "__main__":
    show(rows(3))
