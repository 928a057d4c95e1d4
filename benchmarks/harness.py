"""How a ratio is taken: candidates in turn, so that a machine that changes its speed meets all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from math import fsum, log
from statistics import fmean, median
from typing import NamedTuple

Work = Callable[[], float]  # does some work and returns how much: virtual seconds, trials, processes


class Row(NamedTuple):
    """A figure beside what it must reach. `least`: larger is better."""

    what: str
    measured: float
    floor: float
    aim: float
    least: bool = True
    note: str = ""

    def verdict(self) -> str:
        """Which of the two it reaches."""
        side = 1 if self.least else -1
        if side * self.measured >= side * self.aim:
            return "aim"
        return "floor" if side * self.measured >= side * self.floor else "MISS"


def in_turn(candidates: Iterable[Work], rounds: int) -> list[list[float]]:
    """Units of work per second of each candidate, round by round, after one round that does not count."""
    works = list(candidates)
    rates: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for work, found in zip(works, rates, strict=True):
            gc.collect()
            start = time.perf_counter()
            units = work()
            if number:
                found.append(units / (time.perf_counter() - start))
    return rates


def ratio(ours: Work, theirs: Work, rounds: int) -> tuple[float, str]:
    """The median over the rounds of our rate by theirs, and both median rates to be shown."""
    mine, other = in_turn((ours, theirs), rounds)
    value = median(a / b for a, b in zip(mine, other, strict=True))
    return value, f"{median(mine):,.4g} / {median(other):,.4g} per s"


def exponent(points: Iterable[tuple[float, float]]) -> float:
    """The slope of cost over size on logarithmic axes: 1 is proportional."""
    logs = [(log(size), log(cost)) for size, cost in points]
    mean_x, mean_y = fmean(x for x, _ in logs), fmean(y for _, y in logs)
    across = fsum((x - mean_x) * (y - mean_y) for x, y in logs)
    return across / fsum((x - mean_x) ** 2 for x, _ in logs)


def show(rows: Iterable[Row]) -> None:
    """Print the table as its figures come in."""
    print("| what | measured | floor | aim | reached | rates |\n|---|---:|---:|---:|---|---|")
    for row in rows:
        figures = f"{row.measured:.2f} | {row.floor:g} | {row.aim:g} | {row.verdict()} | {row.note}"
        print(f"| {row.what} | {figures} |", flush=True)
