"""What a sample of runs says about all runs: quantiles, rates and differences with their uncertainty.

Integers in, integers out (ns, or counts). Nothing assumes a shape of the distribution:

- A quantile is the least value that a fraction p of the runs does not exceed. Its interval is made of two
  order statistics whose ranks follow from the binomial distribution: exact, at least 95 %.
- Where the horizon cut values that this would need, quantile and interval are those of the Kaplan–Meier
  curve (log-log, approximate). It supposes that a run's horizon has nothing to do with its value.
- The interval of a rate is Clopper and Pearson's: exact, at least 95 %, never empty at 0 of n.
- A difference between two samples paired by seed is judged by the exact sign test.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .estimates import CONFIDENCE, PERCENTS, Column, Quantile, Rate, column_of
from .trial import Sample
from .weighted import weighted_curve, weighted_quantiles

if TYPE_CHECKING:
    import numpy as np

POINTS = 2000  # of a curve, at most


@dataclass(frozen=True, slots=True)
class Summary:
    """One measure over all runs that have it."""

    n: int
    censored: int
    quantiles: dict[int, Quantile]  # by percent
    largest: int | None  # seen; None: n is 0
    largest_cut: bool  # a cut value may have been longer


def summarize(samples: Column | Iterable[Sample | None]) -> Summary:
    """Summarize a measure; runs without it are left out."""
    column = (samples if isinstance(samples, Column) else column_of(samples)).ordered()
    values, cut = column.values, column.cut
    n = len(values)
    if not n:
        return Summary(0, 0, {percent: Quantile(None, None, None) for percent in PERCENTS}, None, False)
    if column.weights is not None:
        quantiles = weighted_quantiles(column)
    else:
        known = int(cut.argmax()) if cut.any() else n
        curve = _KaplanMeier(column) if known < n else None
        quantiles = {}
        for percent in PERCENTS:
            low, rank, high = ranks(n, percent)
            if curve is not None and min(high, n) > known:
                quantiles[percent] = curve.quantile(1 - percent / 100)
            else:
                quantiles[percent] = Quantile(*(_order_statistic(values, each) for each in (rank, low, high)))
    largest = int(values[-1])
    cut_most = int(values[cut].max()) if cut.any() else -1
    return Summary(n, int(cut.sum()), quantiles, largest, cut_most >= largest)


def ranks(n: int, percent: int) -> tuple[int, int, int]:
    """Return the ranks, from 1, of the ends of a quantile's interval around its own; 0 and n + 1: no end."""
    from scipy.stats import binom

    tail = (1 - CONFIDENCE) / 2
    low, high = (int(binom.ppf(each, n, percent / 100)) for each in (tail, 1 - tail))
    return low, -(-percent * n // 100), high + 1


def _order_statistic(ordered: np.ndarray, rank: int) -> int | None:
    return int(ordered[rank - 1]) if 1 <= rank <= len(ordered) else None


class _KaplanMeier:
    """The curve of those still going on over time, with its pointwise band."""

    def __init__(self, column: Column) -> None:
        import numpy as np

        self.times, self.survivors, self.low, self.high = _survival(column)
        self._np = np

    def quantile(self, left: float) -> Quantile:
        """The first instant at which no more than `left` are still going on; likewise for the band."""
        return Quantile(*(self._first(curve, left) for curve in (self.survivors, self.low, self.high)))

    def _first(self, curve: np.ndarray, left: float) -> int | None:
        reached = self._np.flatnonzero(curve <= left + 1e-12)
        return int(self.times[reached[0]]) if len(reached) else None


def _survival(column: Column) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return instants, the part that is longer, and the 95 % band around it."""
    import numpy as np
    from scipy.stats import CensoredData, ecdf

    values = column.values.astype(float)
    if column.cut.all():
        times = np.unique(values)
        return times, np.ones(len(times)), np.ones(len(times)), np.ones(len(times))
    data = CensoredData.right_censored(values, column.cut)
    curve = ecdf(data).sf
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # where all or none are left the band is not defined
        band: Any = curve.confidence_interval(CONFIDENCE, method="log-log")
    lower, upper = (each.probabilities for each in (band.low, band.high))
    low = np.where(np.isnan(lower), np.where(curve.probabilities == 0, 0.0, 1.0), lower)
    high = np.minimum.accumulate(np.where(np.isnan(upper), 1.0, upper))
    return curve.quantiles, curve.probabilities, low, high


def rate(count: int, n: int) -> Rate:
    """Return the rate with Clopper and Pearson's interval."""
    from scipy.stats import binomtest

    if not n:
        return Rate(0, 0, 0.0, 1.0)
    interval = binomtest(count, n).proportion_ci(CONFIDENCE, method="exact")
    return Rate(count, n, float(interval.low), float(interval.high))


@dataclass(frozen=True, slots=True)
class Difference:
    """A sample against a first one, run by run; `median` None: no pair was measured to its end."""

    longer: int
    shorter: int
    equal: int  # or nobody knows, because the horizon cut it
    median: int | None
    p: float
    significant: bool

    @property
    def sign(self) -> str:
        """`+` longer, `-` shorter, "" not significant."""
        return ("+" if self.longer > self.shorter else "-") if self.significant else ""


def difference(pairs: Iterable[tuple[Sample | None, Sample | None]], comparisons: int) -> Difference:
    """Compare (first, other) pairs of the same seed by the sign test.

    It is significant if p · comparisons < 5 % (Bonferroni's correction for several cells).
    """
    from scipy.stats import binomtest

    both = [(first, other) for first, other in pairs if first is not None and other is not None]
    longer = sum(other.value > first.value and not first.cut for first, other in both)
    shorter = sum(first.value > other.value and not other.cut for first, other in both)
    exact = sorted(other.value - first.value for first, other in both if not (first.cut or other.cut))
    p = float(binomtest(longer, longer + shorter).pvalue) if longer + shorter else 1.0
    return Difference(
        longer=longer,
        shorter=shorter,
        equal=len(both) - longer - shorter,
        median=exact[(len(exact) - 1) // 2] if exact else None,
        p=p,
        significant=p * comparisons < 1 - CONFIDENCE,
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """The part of the runs that took no longer than each instant, in seconds, and its 95 % band.

    Dvoretzky, Kiefer and Wolfowitz's band, for the whole curve at once; pointwise log-log where the
    horizon cut runs. At `cut_s` the horizon cut the first one.
    """

    label: str
    seconds: Sequence[float]
    part: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    cut_s: float | None = None


def distribution(label: str, samples: Column | Iterable[Sample | None]) -> Curve | None:
    """Return the curve of a measure in time; None without any run that has it."""
    import numpy as np

    ordered = (samples if isinstance(samples, Column) else column_of(samples)).ordered()
    n = len(ordered.values)
    if not n:
        return None
    cut = int(ordered.values[ordered.cut.argmax()]) if ordered.cut.any() else None
    if ordered.weights is not None:
        times, part, low, high = weighted_curve(ordered)
    elif cut is None:
        times, counts = np.unique(ordered.values, return_counts=True)
        part = np.cumsum(counts) / n
        width = np.sqrt(np.log(2 / (1 - CONFIDENCE)) / (2 * n))
        low, high = np.clip(part - width, 0, 1), np.clip(part + width, 0, 1)
    else:
        times, survivors, lower, upper = _survival(ordered)
        part, low, high = 1 - survivors, 1 - upper, 1 - np.nan_to_num(lower, nan=0.0)
    keep = np.unique(np.linspace(0, len(times) - 1, min(len(times), POINTS)).round().astype(int))
    seconds, parts, lows, highs = (
        [float(each) for each in line[keep]] for line in (times / 1e9, part, low, high)
    )
    return Curve(label, seconds, parts, lows, highs, None if cut is None else cut / 1e9)
