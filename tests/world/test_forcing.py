"""Forced losses: weights that give the true chance of a run of losses, whoever asks for the frames how."""

import math

import pytest

from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.random_streams import Numbered
from vrrpsim.world.forcing import ForcedGaps, Forcing

FRAMES = 60


class Strongly:
    def chances(self, begins, goes_on):
        return 0.05, 0.5


def three_in_a_row(begins, goes_on, blank):
    """The chance of three losses in a row among the frames, exactly."""
    states = [1.0, 0.0, 0.0, 0.0]
    for frame in range(FRAMES):
        first = 0.0 if frame < blank else begins
        quiet, one, two, three = states
        states = [
            quiet * (1 - first) + (one + two) * (1 - goes_on),
            quiet * first,
            one * goes_on,
            two * goes_on + three,
        ]
    return states[3]


@pytest.mark.parametrize(
    ("loss", "burst", "chain"),
    [
        (0.02, None, (0.02, 0.02, 0)),
        (0.001, None, (0.001, 0.001, 0)),
        (0.01, 3.0, (0.01 / 0.99 / 3, 2 / 3, 1)),
    ],
)
def test_weights_give_the_true_chance_of_a_run_of_losses(loss, burst, chain):
    weights = []
    for seed in range(20_000):
        gaps = ForcedGaps(loss, burst, Numbered(f"{seed}/x"), Strongly())
        fates = "".join("x" if gaps.hit() else "." for _ in range(FRAMES))
        weights.append(math.exp(gaps.log_weight()) if "xxx" in fates else 0.0)
    mean = sum(weights) / len(weights)
    error = math.sqrt(sum(each**2 for each in weights)) / len(weights)
    assert error < 0.06 * mean
    assert abs(mean - three_in_a_row(*chain)) < 3 * error


@pytest.mark.parametrize("burst", [None, 2.5])
def test_frames_passed_over_have_the_same_fates_and_the_same_weight(burst):
    for seed in range(50):
        one, other = (ForcedGaps(0.01, burst, Numbered(f"{seed}/x"), Strongly()) for _ in range(2))
        lost = sum(one.hit() for _ in range(500))
        assert sum(other.pass_over(count)[0] for count in (1, 70, 29, 400)) == lost
        assert other.log_weight() == one.log_weight()


def test_where_losses_are_frequent_nothing_is_forced():
    forcing = Forcing(Scenario(duration_ns=10**18))
    begins, goes_on = forcing.chances(0.02, 0.02)
    assert begins == 0.02
    assert 0.02 <= goes_on < 0.021
    assert forcing.chances(1e-12, 0.0) == (pytest.approx(1e-9), pytest.approx(0.5))
