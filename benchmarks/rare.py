"""False takeovers a year at 0.1 % loss: how many crude runs a forced one is worth, at equal error.

Three quiet nodes for 1,000 s. A crude run either shows one or not, so its relative variance follows from the
rate alone; that of forced runs is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.harness import Row, show
from benchmarks.ratios import CASE, STARTED
from vrrpsim.api import Study
from vrrpsim.scenario.file.reader import load_scenario

DURATION_NS = 1_000 * 10**9
RUNS = 2_000


def rows(_: int) -> Iterator[Row]:
    """The line of the table."""
    scenario = load_scenario(CASE, overrides=STARTED)
    segments = {name: each._replace(loss=0.001) for name, each in scenario.segments.items()}
    quiet = replace(scenario, duration_ns=DURATION_NS, segments=segments, events=(), clients={}, expect=None)
    [cell] = Study(quiet).sweep(RUNS, jobs=1, rare="loss", progress=False).outcome.cells
    found = cell.failed_over
    assert found.error is not None
    crude = (1 - found.rate) / found.rate  # relative variance of one run
    forced = found.error**2 * found.n
    a_year = cell.to_dict()["failed_over"]["a_year"]
    note = f"{a_year:.3g} a year ± {found.error:.0%}; {0.1**-2 * forced:,.0f} runs for 10 %"
    yield Row("false takeovers at 0.1 % loss, runs crude / forced", crude / forced, 1e4, 1e5, note=note)


if __name__ == "__main__":
    show(rows(1))
