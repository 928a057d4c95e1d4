"""What a sweep is to run, apart from the scenario: how many seeds, which share of them, until when."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from vrrpsim.scenario.model import Scenario

from .stratified_seeds import choose_seeds, stratified_event
from .until import Goal

FIRST_ROUND = 200  # runs before it is first asked whether enough is known
GROWTH = 0.25  # as many more, as a part of those that ran, before it is asked again


class PlanError(ValueError):
    """A plan that contradicts itself."""

    exit_code = 2


class SweepPlan(NamedTuple):
    """How a sweep chooses its runs."""

    runs: int  # of each cell, at most
    seed: int  # the first
    stratify: bool = True
    shard: tuple[int, int] = (1, 1)  # the first of one
    until: tuple[Goal, ...] = ()  # empty: all `runs`
    rare: bool = False  # losses of adverts are forced and weighed
    command: str = ""  # the command line that repeats the whole sweep

    @property
    def first(self) -> int:
        """The place of this shard's first seed among all."""
        return (self.shard[0] - 1) * self.runs // self.shard[1]

    @property
    def share(self) -> int:
        """How many seeds this shard has."""
        return self.shard[0] * self.runs // self.shard[1] - self.first

    def check(self) -> None:
        """Raise `PlanError` if it contradicts itself."""
        number, of = self.shard
        if not 1 <= number <= of:
            raise PlanError(f"shard {number}/{of}: there are shards 1/{of} to {of}/{of}")
        if of > 1 and self.until:
            raise PlanError("--until and --shard exclude each other: a shard knows nothing of the others")

    def stratified(self, scenario: Scenario) -> str | None:
        """Return the name of the event whose instant is spread evenly."""
        event = stratified_event(scenario) if self.stratify else None
        return event.name if event else None

    def rounds(self, scenario: Scenario) -> Iterator[Iterator[int]]:
        """Return the seeds, in ascending order; between two rounds it is asked whether enough is known."""
        if not self.until:
            seeds = choose_seeds(scenario, self.seed, self.runs, stratify=self.stratify)
            yield islice(seeds, self.first, self.first + self.share)
            return
        done, seed = 0, self.seed
        while done < self.runs:
            size = min(max(FIRST_ROUND, round(GROWTH * done)), self.runs - done)
            chosen = list(choose_seeds(scenario, seed, size, stratify=self.stratify))
            yield iter(chosen)
            done, seed = done + size, chosen[-1] + 1
