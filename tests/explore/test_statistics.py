"""Quantiles, rates, differences: against scipy, against the truth, and where little is known."""

import random

import pytest
from scipy.stats import quantile_test

from vrrpsim.explore.statistics import POINTS, difference, distribution, ranks, rate, summarize
from vrrpsim.explore.trial import Sample

S = 1_000_000_000


def samples(values):
    return [Sample(value) for value in values]


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("percent", [50, 90, 95])
def test_intervals_are_those_of_scipy(n, percent):
    values = random.Random(n).sample(range(10**6), n)
    ours = summarize(samples(values)).quantiles[percent]
    theirs = quantile_test(values, p=percent / 100).confidence_interval(0.95)
    ordered = sorted(values)
    assert abs(ordered.index(ours.low) - ordered.index(int(theirs.low))) <= 1
    assert abs(ordered.index(ours.high) - ordered.index(int(theirs.high))) <= 1


def test_intervals_cover_the_truth_in_at_least_95_percent_of_samples():
    draw = random.Random(1)
    for percent in (50, 90):
        low, _, high = ranks(60, percent)
        hit = 0
        for _ in range(1000):
            ordered = sorted(draw.random() for _ in range(60))
            hit += ordered[low - 1] <= percent / 100 <= (ordered[high - 1] if high <= 60 else 1)
        assert hit >= 935


def test_too_few_runs_leave_an_interval_open_instead_of_nan():
    quantile = summarize(samples(range(1, 21))).quantiles[99]
    assert (quantile.value, quantile.high) == (20, None)
    assert quantile.low is not None
    assert summarize([None, None]).quantiles[50].value is None


def test_a_quantile_is_a_value_that_was_seen():
    summary = summarize(samples([10, 20, 30, 40]))
    assert [summary.quantiles[percent].value for percent in (50, 90)] == [20, 40]


def test_cut_values_beyond_a_quantile_leave_it_exact():
    full = summarize(samples(range(1, 201)))
    cut = summarize([*samples(range(1, 181)), *(Sample(190, True) for _ in range(20))])
    assert cut.quantiles[50] == full.quantiles[50]
    assert cut.quantiles[99].value is None
    assert (cut.censored, cut.largest, cut.largest_cut) == (20, 190, True)


def test_kaplan_meier_finds_the_median_that_leaving_the_cut_out_would_miss():
    draw = random.Random(3)
    pairs = [(draw.expovariate(1 / S), draw.expovariate(1 / S)) for _ in range(2000)]
    seen = [Sample(int(min(pair)), pair[1] < pair[0]) for pair in pairs]
    quantile = summarize(seen).quantiles[50]
    assert quantile.low < 0.6931 * S < quantile.high
    naive = summarize([sample for sample in seen if not sample.cut]).quantiles[50]
    assert naive.high < 0.6931 * S


def test_nothing_finished_is_only_a_lower_bound():
    summary = summarize([Sample(5 * S, True)] * 10)
    assert [each.value for each in summary.quantiles.values()] == [None] * 4
    assert (summary.largest, summary.largest_cut) == (5 * S, True)


def test_a_rate_of_nothing_seen_has_a_bound():
    found = rate(0, 2000)
    assert (found.rate, found.low) == (0, 0)
    assert found.high == pytest.approx(0.00184, abs=1e-5)
    assert rate(0, 0).high == 1


def test_a_rare_but_one_sided_difference_is_significant():
    first = samples([100] * 500)
    other = [Sample(200 if number % 50 == 0 else 100) for number in range(500)]
    found = difference(zip(first, other, strict=True), comparisons=1)
    assert (found.longer, found.shorter, found.equal, found.sign) == (10, 0, 490, "+")
    assert difference(zip(first, first, strict=True), 1).sign == ""


def test_a_correction_is_made_for_many_cells():
    first, other = samples([100] * 6), samples([99] * 6)
    assert difference(zip(first, other, strict=True), 1).sign == "-"
    assert difference(zip(first, other, strict=True), 10).sign == ""


def test_a_difference_that_the_horizon_hides_counts_for_nobody():
    found = difference([(Sample(5, True), Sample(6)), (Sample(5), Sample(6, True)), (None, Sample(1))], 1)
    assert (found.longer, found.shorter, found.equal, found.median) == (1, 0, 1, None)


def test_curves_are_thinned_and_stay_within_their_band():
    curve = distribution("x", samples(range(10_000)))
    assert len(curve.seconds) == POINTS
    assert all(low <= part <= high for low, part, high in zip(curve.low, curve.part, curve.high, strict=True))
    cut = distribution("x", [*samples(range(50)), *(Sample(40, True) for _ in range(9))])
    assert cut.cut_s == 40e-9
    assert all(low <= part <= high for low, part, high in zip(cut.low, cut.part, cut.high, strict=True))
