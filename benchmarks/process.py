"""Whole processes: `vrrpsim --help` and a run of a minute's scenario, by a Python that does nothing.

As an installation would have it, modules are compiled beforehand: the round that does not count sees to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.harness import Row, Work, in_turn, show

SCENARIO = Path(__file__).parent.parent / "scenarios/link-down.yaml"  # 60 s


def process(*arguments: str) -> Work:
    """One process of this Python."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def work() -> float:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
        return 1

    return work


def rows(rounds: int) -> Iterator[Row]:
    """Help and run."""
    works = (
        process("-c", "pass"),
        process("-m", "vrrpsim", "--help"),
        process("-m", "vrrpsim", "run", "-q", str(SCENARIO)),
    )
    bare, help_, run = in_turn(works, max(rounds, 9))
    yield _row("vrrpsim --help", bare, help_, 8, 4)
    yield _row("vrrpsim run, 60 s", bare, run, 20, 13)


def _row(what: str, bare: list[float], ours: list[float], floor: float, aim: float) -> Row:
    times = f"{1000 / median(ours):.0f} / {1000 / median(bare):.0f} ms"
    measured = median(python / mine for python, mine in zip(bare, ours, strict=True))
    return Row(f"{what}, by python -c pass", measured, floor, aim, least=False, note=times)


if __name__ == "__main__":
    show(rows(9))
