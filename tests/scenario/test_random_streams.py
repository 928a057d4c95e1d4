"""Randomness: streams by name, losses as gaps, draws by number."""

import math
import os
import subprocess
import sys
from random import Random

import pytest

from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.random_streams import Gaps, Numbered, Streams

MS = 1_000_000


def test_streams_are_independent_of_each_other_and_of_the_order_of_use() -> None:
    one, other = Streams(7), Streams(7)
    first = [one.draws("loss/lan/a->b").fraction() for _ in range(3)]
    assert len(set(first)) == 1  # a stream starts anew each time it is asked for
    other.draws("loss/lan/c->d").fraction()
    assert other.draws("loss/lan/a->b").fraction() == first[0]
    assert one.draws("loss/lan/a->c").fraction() != first[0]
    assert Streams(8).draws("loss/lan/a->b").fraction() != first[0]


def test_draws_in_a_row_are_numbered() -> None:
    draws, numbered = Streams(7).draws("x"), Streams(7).numbered("x")
    in_a_row = [draws.fraction() for _ in range(50)]
    assert in_a_row == [numbered.fraction(n) for n in range(1, 51)]
    assert in_a_row == [value for value, _ in zip(numbered.fractions(1), range(50), strict=False)]


PROGRAM = """
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.random_streams import Gaps, Streams
streams = Streams(3)
gaps = Gaps(0.3, 4.0, streams.numbered("loss/x"))
numbered = streams.numbered("delay/x")
print([gaps.hit() for _ in range(99)], streams.draws("a").fraction(), streams.draws("b").fraction(),
      [numbered.draw_ns(Distribution("lognormal", (1000, 5000)), n) for n in range(9)])
"""


def test_draws_do_not_depend_on_the_hash_seed() -> None:
    def output(hash_seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert output("0") == output("4242") != ""


@pytest.mark.slow
@pytest.mark.parametrize("burst", [None, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("loss", [0.0, 0.001, 0.01, 0.3, 0.7, 0.95, 1.0])
def test_the_long_run_loss_is_what_was_asked_for(loss: float, burst: float | None) -> None:
    gaps, n = Gaps(loss, burst, Streams(1).numbered("loss")), 200_000
    lost = sum(gaps.hit() for _ in range(n)) / n
    if loss in (0.0, 1.0):
        assert lost == loss
        return
    longest = max(burst or 1.0, 1 / (1 - loss))
    sigma = (loss * (1 - loss) * 2 * longest / n) ** 0.5  # losses of one burst are one draw
    assert abs(lost - loss) < 4 * sigma


def runs_of(hits: list[bool], what: bool) -> list[int]:
    """Lengths of the uninterrupted stretches."""
    lengths, length = [], 0
    for hit in hits:
        if hit is what:
            length += 1
        elif length:
            lengths.append(length)
            length = 0
    return lengths


@pytest.mark.parametrize(
    ("loss", "burst", "mean"),
    [(0.01, 5.0, 5.0), (0.3, 5.0, 5.0), (0.3, None, 1 / 0.7), (0.3, 1.0, 1 / 0.7), (0.9, 2.0, 9.0)],
)
def test_the_mean_burst_is_what_was_asked_for(loss: float, burst: float | None, mean: float) -> None:
    """Without `burst` losses are independent; with it, a high loss needs bursts of at least l/(1-l)."""
    gaps = Gaps(loss, burst, Streams(2).numbered("loss"))
    lengths = runs_of([gaps.hit() for _ in range(300_000)], True)
    assert sum(lengths) / len(lengths) == pytest.approx(mean, rel=0.08)


LOSSES = [(0.05, None), (0.05, 4.0), (0.5, None), (0.5, 6.0), (0.0, None), (1.0, None)]


@pytest.mark.parametrize(("loss", "burst"), LOSSES)
def test_a_stretch_can_be_passed_over(loss: float, burst: float | None) -> None:
    slow, fast = (
        Gaps(loss, burst, Streams(5).numbered("loss")),
        Gaps(loss, burst, Streams(5).numbered("loss")),
    )
    choice = Random(6)
    for _ in range(2_000):
        frames = choice.choice([0, 1, 2, 7, 60])
        asked = [slow.hit() for _ in range(frames)]
        heard = [number for number, lost in enumerate(asked) if not lost]
        assert fast.pass_over(frames) == (sum(asked), heard[-1] if heard else None)
        assert fast.hit() == slow.hit()


@pytest.mark.parametrize(("loss", "burst"), LOSSES)
def test_the_first_run_that_is_too_long_is_found(loss: float, burst: float | None) -> None:
    gaps, twin = (
        Gaps(loss, burst, Streams(5).numbered("loss")),
        Gaps(loss, burst, Streams(5).numbered("loss")),
    )
    choice = Random(6)
    for _ in range(500):
        first, other, limit = choice.randrange(4), choice.randrange(4), choice.choice([1, 10, 200])
        found = gaps.first_run(first, other, limit)
        fates = [twin.hit() for _ in range(limit)]
        begins = [n for n, lost in enumerate(fates) if lost and (n == 0 or not fates[n - 1])]
        lengths = [(n, next((k for k in range(n, limit) if not fates[k]), limit) - n) for n in begins]
        long = [n for n, length in lengths if length > (first if n == 0 else other)]
        assert found == (long[0] if long else limit)
        gaps.pass_over(limit)


def test_the_tiniest_loss_is_no_error() -> None:
    gaps = Gaps(1e-18, None, Streams(1).numbered("loss"))
    assert not any(gaps.hit() for _ in range(1000))


DISTRIBUTIONS = [
    Distribution("uniform", (10 * MS, 90 * MS)),
    Distribution("normal", (50 * MS, 5 * MS)),
    Distribution("lognormal", (5 * MS, 40 * MS)),
    Distribution("exponential", (20 * MS,)),
    Distribution("choice", (1 * MS, 5 * MS, 9 * MS)),
    Distribution("fixed", (3 * MS,)),
]


def sampled(distribution: Distribution, rng: Random) -> float:
    """A draw by the standard library's own generators."""
    first, *rest = distribution.parameters
    match distribution.kind:
        case "uniform":
            return rng.uniform(first, rest[0])
        case "normal":
            return max(0.0, rng.normalvariate(first, rest[0]))
        case "lognormal":
            return rng.lognormvariate(math.log(first), math.log(rest[0] / first) / 2.3263478740408408)
        case "exponential":
            return rng.expovariate(1 / first)
        case _:
            return rng.choice(distribution.parameters)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_numbered_draws_follow_the_distribution(distribution: Distribution) -> None:
    """Kolmogorov-Smirnov distance between draws by number and draws of a stream."""
    n = 20_000
    numbered = Streams(11).numbered("delay/lan/a")
    rng = Random(12)
    ours = sorted(numbered.draw_ns(distribution, number) for number in range(n))
    theirs = sorted(sampled(distribution, rng) for _ in range(n))
    both = sorted({*ours[:: n // 200], *theirs[:: n // 200]})
    distance = max(abs(share(ours, value) - share(theirs, value)) for value in both)
    assert distance < 1.63 * (2 / n) ** 0.5 * 1.2  # one in a hundred, and some


def share(sample: list[int], value: int) -> float:
    """The empirical distribution function."""
    from bisect import bisect_right

    return bisect_right(sample, value) / len(sample)


def test_numbered_draws_do_not_depend_on_the_order_of_calls() -> None:
    distribution = DISTRIBUTIONS[0]
    numbered, again = Streams(1).numbered("x"), Streams(1).numbered("x")
    forwards = [numbered.draw_ns(distribution, number) for number in range(100)]
    backwards = [again.draw_ns(distribution, number) for number in reversed(range(100))]
    assert forwards == backwards[::-1]
    assert forwards != [Streams(1).numbered("y").draw_ns(distribution, n) for n in range(100)]


def test_numbered_draws_of_neighbours_are_uncorrelated() -> None:
    numbered, n = Streams(1).numbered("x"), 20_000
    draws = [numbered.fraction(number) - 0.5 for number in range(n)]
    for lag in (1, 2, 3):
        pairs = zip(draws, draws[lag:], strict=False)
        assert abs(sum(a * b for a, b in pairs) / n * 12) < 4 / n**0.5


def test_a_fraction_is_never_0_and_never_1() -> None:
    """The largest 64-bit value plus a half would round up to 1: a `choice` past its end."""
    key_of_all_ones = _inverse((1 << 64) - 1)
    fraction = Numbered("", key_of_all_ones).fraction(0)
    assert 0.999 < fraction < 1.0
    assert Numbered("", _inverse(0)).fraction(0) > 0.0
    assert Numbered("", key_of_all_ones).draw_ns(Distribution("choice", (1, 2, 3)), 0) == 3


def _inverse(z: int) -> int:
    """The key whose draw number 0 is `z`: splitmix64 backwards."""
    mask = (1 << 64) - 1

    def unshift(value: int, by: int) -> int:
        result = value
        for _ in range(64 // by + 1):
            result = value ^ (result >> by)
        return result

    z = unshift(z, 31) * pow(0x94D049BB133111EB, -1, 1 << 64) & mask
    z = unshift(z, 27) * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & mask
    return (unshift(z, 30) - 0x9E3779B97F4A7C15) & mask
