"""vrrpsim's speed as ratios to yardsticks, interleaved in one run, medians of several rounds.

python benchmarks/ratios.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import lean

from vrrpsim.config.scenario import load_scenario
from vrrpsim.trace import Level
from vrrpsim.world import simulate

ROOT = Path(__file__).parent.parent
HOUR_S = 3600


def interleaved(candidates: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds per unit of work of each candidate, round by round; each returns its units."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            start = time.perf_counter()
            units = work()
            seconds[name].append((time.perf_counter() - start) / units)
    return seconds


def engine(level: Level) -> Callable[[], float]:
    """One virtual hour of three nodes without faults and clients, event by event."""
    scenario = load_scenario(ROOT / "tests/groundtruth/24-three-nodes/scenario.yaml")
    quiet = replace(scenario, duration_ns=HOUR_S * 10**9, events=(), clients={}, expect=None)

    def work() -> float:
        simulate(quiet, level=level)
        return HOUR_S

    return work


def yardstick(trace: bool) -> Callable[[], float]:
    """Five virtual hours of lean.py."""

    def work() -> float:
        lean.run(5.0 * HOUR_S, trace)
        return 5 * HOUR_S

    return work


def process(*arguments: str) -> Callable[[], float]:
    """One whole process of this Python."""

    def work() -> float:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return 1

    return work


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rows = [
        ("virtual s / s, adverts traced / lean.py", engine(Level.ADVERTS), yardstick(True), False),
        ("virtual s / s, states only / lean.py without trace", engine(Level.STATES), yardstick(False), False),
        ("vrrpsim --help / python -c pass", process("-m", "vrrpsim", "--help"), process("-c", "pass"), True),
        (
            "vrrpsim run of 45 s / python -c pass",
            process("-m", "vrrpsim", "run", "-q", str(ROOT / "scenarios/haproxy-crash.yaml")),
            process("-c", "pass"),
            True,
        ),
    ]
    print("| what | ratio |\n|---|---|")
    for name, ours, theirs, longer_is_larger in rows:
        seconds = interleaved({"ours": ours, "theirs": theirs}, rounds)
        ratios = [mine / other for mine, other in zip(seconds["ours"], seconds["theirs"], strict=True)]
        value = median(ratios) if longer_is_larger else 1 / median(ratios)
        print(f"| {name} | {value:.2f} |", flush=True)


if __name__ == "__main__":
    main()
