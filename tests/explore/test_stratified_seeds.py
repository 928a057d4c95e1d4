"""Seeds are chosen, draws are not changed."""

import random
from collections import Counter

import pytest
from pair_files import pair
from scipy.stats import kstest

from vrrpsim.explore.stratified_seeds import choose_seeds, rank, stratified_event
from vrrpsim.scenario.event_order import drawn_ns
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.quantities import parse_distribution
from vrrpsim.scenario.random_streams import Numbered, Streams
from vrrpsim.trace import Fault
from vrrpsim.world import simulate

S = 1_000_000_000


@pytest.fixture
def scenario(tmp_path):
    file = tmp_path / "pair.yaml"
    file.write_text(pair())
    return load_scenario(file)


def at(scenario, text):
    return load_scenario(scenario.path, overrides={"events.crash.at": text})


def test_every_stratum_of_the_phase_gets_one_run(scenario):
    seeds = list(choose_seeds(scenario, 5, 200))
    event = stratified_event(scenario)
    drawn = [drawn_ns(Streams(seed), event) for seed in seeds]
    assert Counter(int((ns - 10 * S) / (4 * S + 1) * 200) for ns in drawn) == dict.fromkeys(range(200), 1)
    assert seeds == sorted(set(seeds))
    assert seeds[0] >= 5


def test_the_predicted_instant_is_the_one_that_a_plain_run_has(scenario):
    event = stratified_event(scenario)
    for seed in choose_seeds(scenario, 1, 3):
        fault = next(r for r in simulate(scenario, seed=seed).records if isinstance(r, Fault))
        assert fault.at_ns == drawn_ns(Streams(seed), event)


def test_without_strata_or_without_chance_seeds_are_consecutive(scenario):
    assert list(choose_seeds(scenario, 7, 5, stratify=False)) == [7, 8, 9, 10, 11]
    assert list(choose_seeds(at(scenario, "12s"), 7, 5)) == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("runs", [1, 7, 999, 1003, 2500])
def test_any_number_of_runs_is_spread_as_evenly_as_it_can_be(scenario, runs):
    seeds = list(choose_seeds(scenario, 1, runs))
    strata = min(runs, 1000)
    event = stratified_event(scenario)
    drawn = (drawn_ns(Streams(seed), event) - 10 * S for seed in seeds)
    filled = Counter(int(ns / (4 * S + 1) * strata) for ns in drawn)
    assert set(filled.values()) <= {runs // strata, runs // strata + 1}
    assert sum(filled.values()) == runs


@pytest.mark.parametrize(
    "text",
    [
        {"uniform": ["1s", "3s"]},
        {"uniform": ["1ns", "4ns"]},
        {"normal": ["1s", "2s"]},  # a third of it is cut to zero
        {"lognormal": ["1s", "5s"]},
        {"exponential": "2s"},
        {"choice": ["1s", "2s", "2s"]},
    ],
)
def test_the_rank_of_a_draw_is_uniform_whatever_the_distribution(text):
    distribution = parse_distribution(text)
    draw = random.Random(1)
    numbered = Numbered("x")
    found = [rank(distribution, numbered.draw_ns(distribution, n), draw.random()) for n in range(3000)]
    assert kstest(found, "uniform").pvalue > 0.001


@pytest.mark.parametrize(
    "text", ["{normal: [12s, 0s]}", "{exponential: 0s}", "{lognormal: [1s, 1s]}", "{uniform: [3s, 3s]}"]
)
def test_a_distribution_without_spread_is_no_phase(scenario, text):
    assert stratified_event(at(scenario, text)) is None


def test_few_choices_share_the_runs(scenario):
    chosen = at(scenario, "{choice: [10s, 11s, 12s]}")
    drawn = Counter(
        drawn_ns(Streams(seed), stratified_event(chosen)) for seed in choose_seeds(chosen, 1, 300)
    )
    assert all(abs(count - 100) <= 1 for count in drawn.values())
