"""Whether a cluster comes to rest by itself."""

from __future__ import annotations

from dataclasses import replace

from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import AdvertSent, FastForwarded, Level
from vrrpsim.world import simulate

from .bounds import bounds_of

MINUTE_NS = 60_000_000_000


def rests(scenario: Scenario) -> bool:
    """Whether adverts are all that is left after a minute, so that a month takes no longer than that."""
    settled_ns = bounds_of(scenario).warm_up_ns + MINUTE_NS
    quiet = replace(scenario, duration_ns=settled_ns + MINUTE_NS, events=(), expect=None, age_ns=0)
    leapt, sent = 0, 0
    for record in simulate(quiet, level=Level.ADVERTS, fast_forward=True).records:
        leapt += record.adverts if isinstance(record, FastForwarded) else 0
        sent += isinstance(record, AdvertSent) and record.at_ns >= settled_ns
    return leapt > 10 * sent
