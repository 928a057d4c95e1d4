"""A virtual year of three nodes, passed over where it is quiet: how much faster that is, and its memory.

Event by event a part of a day is run and its speed is taken for the year's. The digests of that part are
compared, too: a leap that changed the history would be no gain.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.harness import Row, show
from benchmarks.ratios import CASE, STARTED
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Level
from vrrpsim.world import simulate

HOUR_S = 3600
YEAR_S = 365 * 24 * HOUR_S
PEAK = """
import resource, sys
from benchmarks.fastforward import quiet
from vrrpsim.trace import Level
from vrrpsim.world import simulate
simulate(quiet(float(sys.argv[1]), int(sys.argv[2])), level=Level.STATES)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def quiet(loss: float, seconds: int) -> Scenario:
    """Return three nodes without faults and clients on a segment that loses frames."""
    scenario = load_scenario(CASE, overrides=STARTED)
    segments = {name: segment._replace(loss=loss) for name, segment in scenario.segments.items()}
    duration_ns = seconds * 10**9
    return replace(scenario, segments=segments, duration_ns=duration_ns, events=(), clients={}, expect=None)


def _speed(scenario: Scenario, fast_forward: bool) -> tuple[float, str]:
    """Virtual seconds a second, and the digest."""
    start = time.perf_counter()
    trace = simulate(scenario, level=Level.STATES, fast_forward=fast_forward)
    return scenario.duration_ns / 1e9 / (time.perf_counter() - start), trace.digest()


def _peak_kib(loss: float, seconds: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(loss), str(seconds)],
        cwd=Path(__file__).parent.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


def rows(rounds: int) -> Iterator[Row]:
    """Two rates of loss, and the memory."""
    for loss, floor, aim in ((0.001, 500, 3000), (0.01, 50, 250)):
        part, year = quiet(loss, 6 * HOUR_S), quiet(loss, YEAR_S)
        assert _speed(part, True)[1] == _speed(part, False)[1], "a leap changed the history"
        pairs = [(_speed(year, True)[0], _speed(part, False)[0]) for _ in range(rounds)]
        note = " / ".join(f"{median(rates):,.4g}" for rates in zip(*pairs, strict=True)) + " virtual s / s"
        value = median(fast / slow for fast, slow in pairs)
        yield Row(f"fast-forward by event by event, a year at {loss:.1%} loss", value, floor, aim, note=note)
    year_kib, day_kib = (
        median(_peak_kib(0.01, seconds) for _ in range(3)) for seconds in (YEAR_S, 24 * HOUR_S)
    )
    note = f"{year_kib / 1024:.1f} / {day_kib / 1024:.1f} MiB, the whole process"
    yield Row("peak memory, a year by a day at 1% loss", year_kib / day_kib, 1.5, 1.1, least=False, note=note)


if __name__ == "__main__":
    show(rows(5))
