"""Values of statistics: a column of runs, a quantile, a rate; `statistics` and `weighted` make them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .trial import Sample

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
PERCENTS = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Quantile:
    """One quantile and its interval; None: beyond everything that was seen."""

    value: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of n runs, with the interval of the probability.

    `weighed`: the probability where runs have weights, with its relative standard error (None: no run).
    """

    count: int
    n: int
    low: float
    high: float
    weighed: float | None = None
    error: float | None = None

    @property
    def rate(self) -> float:
        """The part of the runs; 0 of none is 0."""
        if self.weighed is not None:
            return self.weighed
        return self.count / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """One measure of the runs that have it. `weights`: of each, None where all count alike."""

    values: np.ndarray
    cut: np.ndarray  # the horizon came first: it is at least that
    weights: np.ndarray | None = None
    runs: int = 0  # with those that do not have it

    def ordered(self) -> Column:
        """The same by value, at equal values what was cut last."""
        import numpy as np

        order = np.lexsort((self.cut, self.values))
        weights = None if self.weights is None else self.weights[order]
        return Column(self.values[order], self.cut[order], weights, self.runs)


def column_of(samples: Iterable[Sample | None]) -> Column:
    """Return samples as a column; runs without one are left out."""
    import numpy as np

    there = [sample for sample in samples if sample is not None]
    values = np.array([sample.value for sample in there], np.int64)
    return Column(values, np.array([sample.cut for sample in there], bool), None, len(there))
