"""Virtual seconds a second, event by event, by lean.py: three nodes without faults and clients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import lean
from benchmarks.harness import Row, Work, ratio, show
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import Level
from vrrpsim.world import simulate

CASE = Path(__file__).parent.parent / "tests/groundtruth/24-three-nodes/scenario.yaml"
STARTED = {f"nodes.n{number}.keepalived.starts": "0s" for number in (1, 2, 3)}  # not by its events
HOUR_S = 3600


def engine(level: Level) -> Work:
    """One virtual hour, event by event."""
    scenario = load_scenario(CASE, overrides=STARTED)
    quiet = replace(scenario, duration_ns=HOUR_S * 10**9, events=(), clients={}, expect=None)

    def work() -> float:
        simulate(quiet, level=level, fast_forward=False)
        return HOUR_S

    return work


def yardstick(trace: bool) -> Work:
    """Five virtual hours of lean.py."""

    def work() -> float:
        lean.run(5.0 * HOUR_S, trace)
        return 5 * HOUR_S

    return work


def rows(rounds: int) -> Iterator[Row]:
    """With the default trace, and with states only."""
    for what, level, traced, floor, aim in (
        ("event by event, default trace, by lean.py", Level.ADVERTS, True, 0.35, 0.60),
        ("event by event, states only, by lean.py without trace", Level.STATES, False, 0.45, 0.75),
    ):
        measured, rates = ratio(engine(level), yardstick(traced), rounds)
        yield Row(what, measured, floor, aim, note=rates)


if __name__ == "__main__":
    show(rows(5))
