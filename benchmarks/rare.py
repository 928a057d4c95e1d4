"""False takeovers a year at 0.1 % loss: how many crude runs a forced one is worth, at equal error.

Three quiet nodes for 1,000 s. A crude run either shows one or not, so its relative variance follows from the
rate alone; that of forced runs is measured.

`python -m benchmarks.rare 1000` asks at 2 % loss, where crude trials can be had: 1,000 histories of 10,000
trials each, one after the other as a cluster would live through them, beside 40,000 forced runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.harness import Row, show
from benchmarks.ratios import CASE, STARTED
from vrrpsim.api import Study
from vrrpsim.explore.sweep_result import Cell
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Level, StateChange
from vrrpsim.world import simulate

DURATION_NS = 1_000 * 10**9
RUNS = 2_000
TRIALS = 10_000  # that one history is cut into


def quiet(loss: float) -> Scenario:
    """Three nodes to which nothing happens but losses."""
    scenario = load_scenario(CASE, overrides=STARTED)
    segments = {name: each._replace(loss=loss) for name, each in scenario.segments.items()}
    return replace(scenario, duration_ns=DURATION_NS, segments=segments, events=(), clients={}, expect=None)


def forced(loss: float, runs: int) -> Cell:
    """The estimate of a sweep with losses forced."""
    [cell] = Study(quiet(loss)).sweep(runs, jobs=1, rare="loss", progress=False).outcome.cells
    return cell


def rows(_: int) -> Iterator[Row]:
    """The line of the table."""
    cell = forced(0.001, RUNS)
    found = cell.failed_over
    assert found.error is not None
    crude = (1 - found.rate) / found.rate  # relative variance of one run
    relative = found.error**2 * found.n
    a_year = cell.to_dict()["failed_over"]["a_year"]
    note = f"{a_year:.3g} a year ± {found.error:.0%}; {0.1**-2 * relative:,.0f} runs for 10 %"
    yield Row("false takeovers at 0.1 % loss, runs crude / forced", crude / relative, 1e4, 1e5, note=note)


def crude_beside_forced(histories: int) -> None:
    """Print the rate of false takeovers a trial at 2 % loss, by both ways."""
    long, shown = replace(quiet(0.02), duration_ns=TRIALS * DURATION_NS), 0
    for seed in range(histories):
        trace = simulate(long, seed=seed, level=Level.STATES)
        masters = [each for each in trace.records if isinstance(each, StateChange) and each.new == "MASTER"]
        shown += len({each.at_ns // DURATION_NS for each in masters if each.node != masters[0].node})
    trials = histories * TRIALS
    rate = shown / trials
    print(f"crude: {shown} of {trials} trials, {rate:.4%} ± {(rate * (1 - rate) / trials) ** 0.5:.4%}")
    found = forced(0.02, 40_000).failed_over
    assert found.error is not None
    print(f"forced: {found.rate:.4%} ± {found.error * found.rate:.4%}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        crude_beside_forced(int(sys.argv[1]))
    else:
        show(rows(1))
