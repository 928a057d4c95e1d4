"""Estimates from runs that count differently, because what is rare was made frequent (`sweep --rare`).

A run's weight says how much more likely it is in truth than it was made, so the mean of the weights of the
runs that show something is how likely that is. Errors are those of a mean of independent values, intervals
95 % and approximate: of a rate by its logarithm, of a quantile by those of the distribution around it
(Woodruff).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

from .estimates import CONFIDENCE, PERCENTS, Column, Quantile, Rate

WIDTH = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # standard errors


def weighted_rate(hit: np.ndarray, weights: np.ndarray) -> Rate:
    """Return how likely it is that a run shows something; `hit` says which runs do."""
    import numpy as np

    n, count = len(weights), int(hit.sum())
    if not count:
        return Rate(0, n, 0.0, 1.0, 0.0)
    found = np.where(hit, weights, 0.0)
    mean = float(found.mean())
    error = float(found.std(ddof=1)) / n**0.5 / mean if n > 1 else 1.0
    low, high = (mean * float(np.exp(side * WIDTH * error)) for side in (-1, 1))
    return Rate(count, n, low, min(high, 1.0), mean, error)


def weighted_quantiles(ordered: Column) -> dict[int, Quantile]:
    """Return the quantiles of runs in the order of their values; None from the first cut one on."""
    import numpy as np

    part, spread = _parts(ordered)
    known = int(ordered.cut.argmax()) if ordered.cut.any() else len(part)

    def at(level: float) -> int | None:
        place = int(np.searchsorted(part, level - 1e-12))
        return int(ordered.values[place]) if level > 0 and place < known else None

    found = {}
    for percent in PERCENTS:
        level = percent / 100
        place = min(int(np.searchsorted(part, level - 1e-12)), len(part) - 1)
        width = WIDTH * float(spread[place])
        found[percent] = Quantile(
            at(level), at(level - width), at(level + width) if level + width < 1 else None
        )
    return found


def weighted_curve(ordered: Column) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return instants, the part of the runs that took no longer, and its pointwise band."""
    import numpy as np

    part, spread = _parts(ordered)
    times, first = np.unique(ordered.values[::-1], return_index=True)
    last = len(part) - 1 - first
    band = WIDTH * spread[last]
    return times, part[last], np.clip(part[last] - band, 0, 1), np.clip(part[last] + band, 0, 1)


def _parts(ordered: Column) -> tuple[np.ndarray, np.ndarray]:
    """The weighted distribution function at each run, and its standard error there."""
    import numpy as np

    weights = ordered.weights
    assert weights is not None
    total, squares = weights.sum(), np.cumsum(weights**2)
    part = np.cumsum(weights) / total
    variance = (1 - part) ** 2 * squares + part**2 * (squares[-1] - squares)
    return part, np.sqrt(np.maximum(variance, 0)) / total
