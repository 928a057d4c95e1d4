"""When enough is known: `outage.p99 ±50ms` asked of a sweep while it runs.

    MEASURE.STATISTIC ±HALF

HALF is a duration (`±50ms`), for a rate a fraction (`±0.1%`), or a part of the value itself (`±10% of it`).
It is met when both ends of the 95 % interval are no farther from the value than that. The questions come
after 200 runs and after every further quarter, so that the answer does not depend on who works; looking
several times makes the interval of the last look a little optimistic.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vrrpsim.scenario.quantities import ValueSyntaxError, parse_duration_ns, parse_fraction

from .estimates import Rate
from .statistics import Summary
from .thresholds import ThresholdError, known_statistics
from .trial import COUNTS

_SHAPE = re.compile(r"\s*([a-z_]+)(?:\.(.+))?\.([a-z0-9]+)\s*(?:±|\+/-|\+-)\s*(.*?)(\s+of it)?\s*$")


class Goal(NamedTuple):
    """One question. `half` is ns, a count, a fraction for `rate`, or a part of the value if `relative`."""

    text: str
    measure: str  # with ".CLIENT" where it names one
    statistic: str
    half: float
    relative: bool

    def met_by(self, measured: Summary | Rate) -> bool:
        """Whether the interval is narrow enough."""
        value: float | None
        low: float | None
        high: float | None
        if isinstance(measured, Rate):
            value, low, high = measured.rate, measured.low, measured.high
        else:
            quantile = measured.quantiles[int(self.statistic[1:])]
            value, low, high = quantile.value, quantile.low, quantile.high
        if value is None or low is None or high is None:
            return False
        half = self.half * value if self.relative else self.half
        if isinstance(measured, Rate) and measured.error is not None:
            return measured.error * value <= half  # of a weighed rate: its standard error
        return max(value - low, high - value) <= half


def parse_goal(text: str) -> Goal:
    """Read one goal; raise `ThresholdError` saying what it should look like."""
    match = _SHAPE.match(text)
    if not match:
        raise ThresholdError(f"{text!r} is no goal; write MEASURE.STATISTIC ±HALF: outage.p99 ±50ms")
    measure, client, statistic, half, relative = match.groups()
    known_statistics(text, measure, client, statistic)
    if statistic in ("max", "count"):
        raise ThresholdError(f"{text!r}: {statistic} has no interval to wait for; take a quantile or rate")
    try:
        if relative or statistic == "rate":
            value: float = parse_fraction(half)
        elif measure in COUNTS:
            value = int(half) if half.isdecimal() else -1
        else:
            value = parse_duration_ns(half)
    except ValueSyntaxError as error:
        raise ThresholdError(f"{text!r}: {error}") from None
    if value <= 0:
        raise ThresholdError(f"{text!r}: {half!r} is not a width")
    return Goal(text.strip(), f"{measure}.{client}" if client else measure, statistic, value, bool(relative))
