"""Which seeds a sweep runs: chosen so that the phase of the fault is spread evenly.

How long a failover takes depends above all on when the fault hits the periods of checks and adverts. So
the first event whose `at:` is a distribution is stratified: its range is cut into strata of equal
probability, and every stratum gets the same number of runs. Nothing is drawn in another way for that:
seeds are tried in order, each draws the event's instant from its own stream as any run does, and a seed
whose stratum has enough is skipped. Hence `vrrpsim run --seed N` replays a run of a sweep with nothing
else said; all other draws are independent of the choice; within a stratum the instant keeps its
distribution; and intervals for quantiles and rates that assume independent runs become cautious.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import count, islice
from statistics import NormalDist

from vrrpsim.scenario.event_order import drawn_ns
from vrrpsim.scenario.events import Event
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import Z99, Distribution
from vrrpsim.scenario.random_streams import Streams

STRATA = 1000  # at most: with more, most of the time would go into looking for the last seeds
_NORMAL = NormalDist()


def choose_seeds(scenario: Scenario, first: int, runs: int, *, stratify: bool = True) -> Iterator[int]:
    """Return `runs` seeds in ascending order, the least of them not below `first`, as they are found."""
    event = stratified_event(scenario) if stratify else None
    if event is None:
        return iter(range(first, first + runs))
    return islice(_spread(event, first, runs), runs)


def stratified_event(scenario: Scenario) -> Event | None:
    """Return the first event with a random instant; None: there is nothing to stratify."""
    return next((event for event in scenario.events if not _is_constant(event.at.plus)), None)


def _spread(event: Event, first: int, runs: int) -> Iterator[int]:
    strata = min(runs, STRATA)
    each, extra = divmod(runs, strata)  # `extra` of the strata get one more, whichever seeds come first
    filled: Counter[int] = Counter()
    for seed in count(first):
        at_ns = drawn_ns(Streams(seed), event)
        stratum = int(rank(event.at.plus, at_ns, _fraction(seed)) * strata)
        if filled[stratum] == each:
            if not extra:
                continue
            extra -= 1
        elif filled[stratum] > each:
            continue
        filled[stratum] += 1
        yield seed


def rank(distribution: Distribution, value_ns: int, within: float) -> float:
    """Return the place of a draw in its distribution, uniform in [0, 1) if `within` is.

    `within` says where in the step of the distribution function, for values with a probability of their own.
    """
    first, *rest = distribution.parameters
    match distribution.kind:
        case _ if _is_constant(distribution):
            low, high = 0.0, 1.0
        case "uniform":
            size = rest[0] - first + 1
            low, high = (value_ns - first) / size, (value_ns - first + 1) / size
        case "normal":
            low, high = (_NORMAL.cdf((value_ns + half - first) / rest[0]) for half in (-0.5, 0.5))
            low = low if value_ns else 0.0  # draws below zero are cut to zero
        case "lognormal":
            sigma = math.log(rest[0] / first) / Z99
            edges = (max(value_ns + half, 0.5) for half in (-0.5, 0.5))
            low, high = (_NORMAL.cdf(math.log(edge / first) / sigma) for edge in edges)
        case "exponential":
            low, high = (1 - math.exp(-max(value_ns + half, 0) / first) for half in (-0.5, 0.5))
        case "choice":
            total = len(distribution.parameters)
            low = sum(each < value_ns for each in distribution.parameters) / total
            high = sum(each <= value_ns for each in distribution.parameters) / total
    return min(max(low + within * (high - low), 0.0), 1 - 2**-53)


def _is_constant(distribution: Distribution) -> bool:
    """Whether a distribution that says it is random never is: no spread, or a mean of zero."""
    first, last = distribution.parameters[0], distribution.parameters[-1]
    spread = {"normal": last, "lognormal": last - first, "exponential": first}
    return distribution.is_fixed or not spread.get(distribution.kind, 1)


def _fraction(seed: int) -> float:
    """A fraction of the seed alone, evenly spread over consecutive seeds (Weyl's sequence)."""
    return (seed * 0x9E3779B97F4A7C15 % 2**64) / 2**64
