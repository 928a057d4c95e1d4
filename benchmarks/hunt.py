"""Schedules a second of a hunt, all invariants checked, by plain runs a second of the very same schedules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import Row, Work, ratio, show
from vrrpsim.explore import hunt as hunting
from vrrpsim.explore.fault_schedules import kinds_named
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.world import simulate

SCENARIOS = Path(__file__).parent.parent / "scenarios"
SCHEDULES = 200  # without anything found: shrinking would be other work


def hunter(scenario: Scenario, kinds: str) -> Work:
    """Hunt; its work is the different schedules that ran."""

    def work() -> float:
        outcome = hunting.hunt(scenario, max_examples=SCHEDULES, kinds=kinds_named([kinds]), write=False)
        return outcome.distinct

    return work


def plain(scenario: Scenario, kinds: str) -> Work:
    """Run what the hunt ran, as fast, and look at nothing."""
    ran: list[Scenario] = []
    bounded = hunting.run_bounded
    hunting.run_bounded = lambda *given: ran.append(given[0]) or bounded(*given)  # type: ignore[func-returns-value]
    try:
        hunter(scenario, kinds)()
    finally:
        hunting.run_bounded = bounded

    def work() -> float:
        for each in ran:
            simulate(each, fast_forward=True)
        return len(ran)

    return work


def rows(rounds: int) -> Iterator[Row]:
    """Two and three nodes."""
    for name, kinds in (("haproxy-crash", "crash"), ("haproxy-crash", "impair"), ("three-nodes-v3", "crash")):
        scenario = replace(load_scenario(SCENARIOS / f"{name}.yaml"), path=None)
        measured, rates = ratio(hunter(scenario, kinds), plain(scenario, kinds), rounds)
        yield Row(f"hunt {name} --faults {kinds} by plain runs", measured, 0.5, 0.7, note=rates)


if __name__ == "__main__":
    show(rows(5))
