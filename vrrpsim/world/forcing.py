"""Losses of adverts made frequent, with the weight that puts it right (`sweep --rare loss`).

Losses of a path are a chain of two states: after a frame that arrived the next is lost with one chance,
after a lost one with another. Forced, both are larger: about one run of losses begins in each simulated
run, and it goes on as often as it ends. The weight is how likely the frames' fates were in truth, divided by
how likely they were made; whatever a run shows, its mean is what it is without forcing. Where losses are
frequent anyway both chances come near the true ones, and at last the weights are 1.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import islice

from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import SECOND_NS
from vrrpsim.scenario.random_streams import CHUNK, Gaps, Numbered, geometric


class ForcedGaps(Gaps):
    """Losses of one path, more of them than there are, and the logarithm of their weight."""

    __slots__ = ("_begins", "_blank", "_goes_on", "_truly_begins", "_truly_goes_on")

    def __init__(self, loss: float, burst: float | None, draws: Numbered, forcing: Forcing) -> None:
        super().__init__(loss, burst, draws)
        self._blank = 1 if self._burst is not None else 0  # first frames that bursts never take
        self._known = self._blank - 1
        if self._burst is None:
            self._truly_begins = self._truly_goes_on = loss
        else:
            self._truly_begins = min(loss / (1 - loss) / self._burst, 1.0)
            self._truly_goes_on = 1 - 1 / self._burst
        self._begins, self._goes_on = forcing.chances(self._truly_begins, self._truly_goes_on)

    def _draw(self, until: int) -> None:
        known = self._known
        fractions = self._draws.fractions(self._drawn)
        for fraction in islice(fractions, CHUNK):
            begin = known + geometric(fraction, self._begins)
            known = begin + geometric(next(fractions), 1 - self._goes_on)
            self._lost.extend(range(begin, known))
            self._drawn += 2
            if known >= until:
                break
        self._known = known

    def _forget(self) -> None:
        """Keep them all: the weight is of the whole path."""

    def log_weight(self) -> float:
        """Of the frames so far."""
        lost = self._lost[: bisect_left(self._lost, self.number)]
        runs = sum(not at or lost[at - 1] != number - 1 for at, number in enumerate(lost))
        went_on = len(lost) - runs
        ended = runs - (1 if lost and lost[-1] == self.number - 1 else 0)
        quiet = max(self.number - self._blank, 0) - runs - went_on - ended
        begins, goes_on = self._truly_begins, self._truly_goes_on
        return (
            _ratio(runs, begins, self._begins)
            + _ratio(quiet, 1 - begins, 1 - self._begins)
            + _ratio(went_on, goes_on, self._goes_on)
            + _ratio(ended, 1 - goes_on, 1 - self._goes_on)
        )


def _ratio(count: int, truly: float, made: float) -> float:
    return count * math.log(truly / made) if count and truly != made else 0.0


class Forcing:
    """How strongly a scenario's losses are forced, and the paths that are."""

    def __init__(self, scenario: Scenario) -> None:
        instances = [
            instance
            for node in scenario.nodes.values()
            if node.keepalived
            for instance in node.keepalived.config.instances
        ]
        interval_ns = min((each.advert_int_ns for each in instances), default=SECOND_NS)
        groups = {(each.interface, each.vrid) for each in instances}
        listeners = max(len(instances) - len(groups), 1)
        self._frames = max(listeners * (scenario.duration_ns + scenario.age_ns) // interval_ns, 1)
        self._forced: list[ForcedGaps] = []

    def gaps(self, loss: float, burst: float | None, draws: Numbered) -> Gaps:
        """Return the losses of one path, forced."""
        if not 0.0 < loss < 1.0:
            return Gaps(loss, burst, draws)
        self._forced.append(ForcedGaps(loss, burst, draws, self))
        return self._forced[-1]

    def chances(self, begins: float, goes_on: float) -> tuple[float, float]:
        """Return how often a run of losses begins and goes on, given how often it truly does.

        One run of losses is expected to begin in all; what runs of losses that go on too often do to the
        variance of the weights is held at that of one that goes on half the time.
        """
        forced = max(begins, 1 / (1 + self._frames))
        spread = 1 / max(forced * self._frames, 1.0)
        middle = 2 * goes_on + spread
        root = math.sqrt(max(middle**2 - 4 * goes_on**2 * (1 + spread), 0.0))
        return forced, max(goes_on, (middle + root) / (2 * (1 + spread)))

    def log_weight(self) -> float:
        """The logarithm of how likely the run was in truth, divided by how likely it was made."""
        return math.fsum(each.log_weight() for each in self._forced)
