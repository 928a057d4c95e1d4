"""Thresholds: `outage.web.p99 < 5s` asked of a sweep.

    MEASURE.STATISTIC OPERATOR LIMIT

MEASURE is failover, return, heal, each also for one event (`failover.kill lb1/haproxy`), outage,
outage.CLIENT, dual_master, vacancy or moves with p50, p90, p95, p99 or max; or, with rate or count,
split_brain or failover: the runs that have one. LIMIT is a duration (`5s`, `250ms`), for moves and count
a number, for rate a fraction (`0.1%`). OPERATOR is one of < <= > >= ==.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from vrrpsim.measure.failovers import ANSWERS
from vrrpsim.scenario.quantities import ValueSyntaxError, parse_duration_ns, parse_fraction

from .estimates import Rate
from .statistics import Summary
from .trial import COUNTS

RATES = ("rate", "count")
MEASURES = ("failover", "return", "heal", "outage", "dual_master", "vacancy", "moves", "split_brain")
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_SHAPE = re.compile(r"\s*([a-z_]+)(?:\.(.+))?\.([a-z0-9]+)\s*(<=|>=|==|<|>)\s*(.*?)\s*$")


class ThresholdError(ValueError):
    """A threshold that cannot be understood, or that asks what is not measured."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Threshold:
    """One question. `limit` is ns, a count, or a fraction for `rate`."""

    text: str
    measure: str  # with ".CLIENT" where it names one
    statistic: str
    operator: str
    limit: int | float

    def holds(self, value: float) -> bool:
        """Whether a value keeps it."""
        return OPERATORS[self.operator](value, self.limit)

    def asked_of(self, measured: Summary | Rate) -> tuple[int | float | None, bool | None]:
        """Return the measured value and whether it holds; None: beyond what was seen, or nobody knows."""
        if isinstance(measured, Rate):
            value = measured.rate if self.statistic == "rate" else measured.count
            return (value, self.holds(value)) if measured.n else (None, None)
        if self.statistic == "max":
            known, beyond = (None, measured.largest) if measured.largest_cut else (measured.largest, None)
        else:
            known = measured.quantiles[int(self.statistic[1:])].value
            beyond = measured.largest if known is None else None
        if known is not None:
            return known, self.holds(known)
        return None, self._of_something_longer(beyond)

    def _of_something_longer(self, than: int | None) -> bool | None:
        """Whether it holds for a value of which only a lower bound is known."""
        if than is None:
            return None
        decided = than >= self.limit
        if not decided:
            return None
        return self.operator in (">", ">=")


def parse_threshold(text: str) -> Threshold:
    """Read one threshold; raise `ThresholdError` saying what it should look like."""
    match = _SHAPE.match(text)
    if not match:
        raise ThresholdError(f"{text!r} is not a threshold; write MEASURE.STATISTIC < LIMIT: outage.p99 < 5s")
    measure, client, statistic, sign, limit = match.groups()
    known_statistics(text, measure, client, statistic)
    try:
        value = _limit(measure, statistic, limit)
    except ValueSyntaxError as error:
        raise ThresholdError(f"{text!r}: {error}") from None
    return Threshold(text.strip(), f"{measure}.{client}" if client else measure, statistic, sign, value)


def known_statistics(text: str, measure: str, client: str | None, statistic: str) -> None:
    """Raise `ThresholdError` unless a sweep has this statistic of this measure."""
    if measure not in MEASURES:
        raise ThresholdError(f"{text!r}: unknown measure {measure!r}; one of {', '.join(MEASURES)}")
    if client and measure != "outage" and measure not in ANSWERS:
        raise ThresholdError(
            f"{text!r}: only outage is measured for each client, and failover, return and heal for each event"
        )
    known: tuple[str, ...] = RATES if measure == "split_brain" else ("p50", "p90", "p95", "p99", "max")
    known += RATES if measure == "failover" and not client else ()
    if statistic not in known:
        raise ThresholdError(f"{text!r}: {measure} has no {statistic!r}; one of {', '.join(known)}")


def _limit(measure: str, statistic: str, text: str) -> int | float:
    if statistic == "rate":
        return parse_fraction(text)
    if measure in COUNTS or statistic == "count":
        if not text.isdecimal():
            raise ValueSyntaxError(f"{text!r} is not a whole number")
        return int(text)
    return parse_duration_ns(text)
