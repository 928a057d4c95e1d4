"""A sweep of a pair: its numbers against the closed form, whoever works; cut runs; grids; documents."""

import json
import math
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from pair_files import pair
from scipy.stats import binomtest, lognorm, norm

import vrrpsim
from vrrpsim.explore.invariants import Violation
from vrrpsim.explore.thresholds import ThresholdError, parse_threshold
from vrrpsim.explore.trial import row as row_of
from vrrpsim.measure.result import measure as measured
from vrrpsim.trace import Level
from vrrpsim.world import simulate

S = 1_000_000_000


@pytest.fixture
def study(tmp_path):
    def write(**changes):
        file = tmp_path / "pair.yaml"
        file.write_text(pair(**changes))
        return vrrpsim.load(file)

    return write


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    file = tmp_path_factory.mktemp("grid") / "pair.yaml"
    file.write_text(pair())
    return vrrpsim.load(file).sweep(60, jobs=1, vary={"segments.lan.loss": ["0%", "40%"]})


def quantiles(sweep, name="failover"):
    [cell] = sweep.outcome.cells
    return cell.summaries[name].quantiles


# --- the closed form


def test_detection_is_uniform_in_the_script_interval(tmp_path):
    """Checks and adverts of one daemon keep step: the age of the last advert is the same at each check.

    The master begins 3 s + (256 - 103)/256 s after the start, so at a check, every 2 s, its last advert is
    103/256 s old; the backup (priority 102) takes over 3 s + 154/256 s after that advert.
    """
    directory = "tests/groundtruth/01-haproxy-crash/scenario.yaml"
    punctual = {"nodes.*.slop": "none", "events.start-n2.at": "1s"}  # only the fault is at random
    study = vrrpsim.load(directory, punctual)
    least = 3 + 154 / 256 - (1 - (256 - 103) / 256)
    for percent, quantile in quantiles(study.sweep(300, jobs=1)).items():
        expected = (least + 2 * percent / 100) * S
        assert quantile.low < expected
        assert quantile.high is None or expected < quantile.high
        assert abs(quantile.value - expected) < 0.02 * S  # stratified: far better than the interval


def test_the_age_of_the_advert_is_uniform_where_the_periods_do_not_keep_step(study):
    """Checks every 2 s against adverts every 0.7 s: the age takes seven values 0.1 s apart, over 14 s."""
    sweep = study(advert_int=0.7, version=3, first="10s", last="24s", duration="30s").sweep(300, jobs=1)
    down = 3 * 0.7 + 154 / 256 * 0.7
    sums = sorted(
        detect / 500 - age / 10 for detect in range(1, 1001) for age in range(7)
    )  # one phase of the ages; another moves all by less than 0.1 s
    for percent in (50, 90, 95):
        expected = down + sums[percent * len(sums) // 100]
        quantile = quantiles(sweep)[percent]
        assert quantile.low <= expected * S
        assert quantile.high >= (expected - 0.11) * S


def test_half_of_the_migrations_are_false_failovers_at_1_s_and_none_at_2_s():
    """The shipped story (CloudStack PR 1486), against the chance that the stop outlasts the silence.

    P(stop > 3 A + 157/256 s - age), age uniform in A, stop lognormal (3.1 s, p99 4.5 s).
    """
    study = vrrpsim.load("scenarios/sweeps/live-migration-once.yaml")
    path = "nodes.*.keepalived.vrrp_instances.GUEST.advert_int"
    sweep = study.sweep(400, jobs=1, vary={path: ["1", "2"]}, thresholds=["failover.rate < 2%"])
    one, two = (cell.failed_over for cell in sweep.outcome.cells)
    stop = lognorm(math.log(4.5 / 3.1) / norm.ppf(0.99), scale=3.1)
    for rate, interval_s in ((one, 1), (two, 2)):
        ages = [interval_s * (step + 0.5) / 1000 for step in range(1000)]
        chance = sum(stop.sf(3 * interval_s + 157 / 256 - age) for age in ages) / len(ages)
        assert binomtest(rate.count, rate.n, chance).pvalue > 0.001
    assert 0.4 < one.rate < 0.6
    assert two.count <= 2
    assert [cell.asked[0].ok for cell in sweep.outcome.cells] == [False, True]
    assert "FAILED OVER" in sweep.text()


# --- whoever works


def test_the_same_bytes_for_any_number_of_workers(study):
    here = study().sweep(40, jobs=1)
    assert study().sweep(40, jobs=2).to_json() == here.to_json()
    with ThreadPoolExecutor(3) as executor:
        assert study().sweep(40, executor=executor).to_json() == here.to_json()


def test_each_row_is_what_a_plain_run_of_its_seed_shows(study):
    opened = study()
    [cell] = opened.sweep(20, seed=100, jobs=1).outcome.cells
    for row, sample in zip(list(cell.rows)[:5], cell.samples("failover")[:5], strict=True):
        run = opened.run(row.seed)
        assert max(each.length_ns for each in run.result.failovers) == sample.value
        assert f"--seed {row.seed}" in cell.variant.command(row.seed)


# --- the horizon


def test_a_failover_is_cut_exactly_if_the_horizon_comes_first(study):
    full = study(duration="22s").sweep(60, jobs=1).outcome.cells[0]
    short = study(duration="16s").sweep(60, jobs=1).outcome.cells[0]
    cut = 0
    for whole, seen in zip(full.samples("failover"), short.samples("failover"), strict=True):
        if seen.cut:
            cut += 1
            assert seen.value < whole.value
        else:
            assert seen == whole
    assert 10 < cut < 60
    assert short.summaries["failover"].censored == cut == short.censored
    assert "> " in study(duration="16s").sweep(60, jobs=1).text()


def test_without_a_second_node_the_failover_never_ends(study):
    opened = study()
    alone = vrrpsim.load(opened.scenario.path, {"nodes.lb2.keepalived.starts": "manual"})
    sweep = alone.sweep(10, jobs=1, thresholds=["failover.p50 < 5s", "failover.p50 < 1h"])
    assert sweep.outcome.cells[0].summaries["failover"].censored == 10
    assert [each.ok for each in sweep.outcome.cells[0].asked] == [False, None]
    assert "nan" not in sweep.text() + sweep.to_json()


# --- expectations and thresholds


def test_expectations_of_each_run_and_of_all(study):
    expect = "  owner: {9s: lb1, end: lb2}\n  failover: {max: 5s, p50: 4.3s, p95: 4s}\n  moves: {max: 1}\n"
    [cell] = study(expect=expect).sweep(60, jobs=1).outcome.cells
    judged = {(each.measure, each.statistic, each.at_ns): each for each in cell.expectations}
    assert judged["owner", "at", 9 * S].ok
    assert judged["failover", "p50", None].ok
    assert not judged["failover", "p95", None].ok
    worst = judged["failover", "max", None]
    assert (worst.ok, worst.measured) == (False, cell.summaries["failover"].largest)
    assert worst.seed == cell.worst("failover")[0][1]
    assert "broken in" in worst.note
    assert cell.verdict == "fail"


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("failover.p95 < 6s", True),
        ("outage.web.p99 < 3s", False),
        ("outage.max>=3s", True),
        ("split_brain.rate == 0", True),
        ("split_brain.rate < 0.1%", True),
        ("split_brain.count > 0", False),
        ("moves.max == 1", True),
        ("failover.rate == 1", True),
        ("failover.count < 20", False),
    ],
)
def test_thresholds(study, text, ok):
    [cell] = study().sweep(20, jobs=1, thresholds=[text]).outcome.cells
    assert [each.ok for each in cell.asked] == [ok]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("failover < 5s", "MEASURE.STATISTIC"),
        ("noodles.p95 < 5s", "one of failover"),
        ("failover.p96 < 5s", "one of p50"),
        ("moves.web.p95 < 5", "only outage"),
        ("failover.p95 < 5 parsecs", "not a duration"),
        ("moves.max < 1.5", "whole number"),
        ("split_brain.rate < 10", "ambiguous"),
        ("split_brain.p95 < 10", "one of rate"),
        ("", "MEASURE.STATISTIC"),
    ],
)
def test_a_threshold_that_is_none_says_what_is_wrong(text, says):
    with pytest.raises(ThresholdError, match=says):
        parse_threshold(text)


# --- the grid


def test_cells_share_their_seeds_and_differences_are_marked(grid):
    first, other = grid.outcome.cells
    assert [row.seed for row in first.rows] == [row.seed for row in other.rows]
    assert grid.outcome.difference(first, "outage") is None
    assert grid.outcome.difference(other, "dual_master").sign == "+"
    [line] = [line for line in grid.text().split("dual_master, s")[1].splitlines() if "loss=40%" in line][:1]
    assert " + " in line


def test_splits_longer_than_a_hand_over_are_counted(grid):
    first, other = grid.outcome.cells
    assert first.split_brain.count == 0
    assert other.split_brain.count > 0
    assert other.split_brain.low > 0


def test_the_document_of_a_grid_has_one_entry_for_each_cell(grid):
    document = json.loads(grid.to_json())
    assert [cell["vary"] for cell in document["cells"]] == [
        {"segments.lan.loss": "0%"},
        {"segments.lan.loss": "40%"},
    ]
    assert document["cells"][0]["differences"] == {}
    assert document["cells"][1]["differences"]["dual_master"]["significant"] is True
    command = document["cells"][1]["worst"][0]["command"]
    assert command.endswith("--set segments.lan.loss=40%")


def test_the_document_has_the_keys_of_the_design(study):
    document = json.loads(study().sweep(30, jobs=1).to_json())
    assert {"runs", "censored", "measures", "worst", "expectations", "verdict"} <= set(document)
    assert list(document["measures"]) == [
        "failover",
        "return",
        "heal",
        "outage",
        "dual_master",
        "vacancy",
        "moves",
    ]
    for measure in document["measures"].values():
        assert {"n", "p50", "p90", "p95", "p99", "max", "ci"} <= set(measure)
        assert set(measure["ci"]) == {"p50", "p90", "p95", "p99"}
    assert set(document["worst"][0]) == {"seed", "measure", "value_s", "cut", "command"}


def test_a_card_in_a_notebook_names_the_sweep(grid):
    assert "pair: 120 runs, 2 cells" in grid._repr_html_()


def test_a_table_has_a_row_for_each_run(grid):
    columns = grid.outcome.columns()
    assert {len(column) for column in columns.values()} == {120}
    assert list(columns)[:3] == ["segments.lan.loss", "seed", "failover_s"]


def test_to_pandas_has_floats(study):
    pytest.importorskip("pandas")
    frame = study().sweep(5, jobs=1).to_pandas()
    assert len(frame) == 5
    assert 2 < frame.failover_s.min() < frame.failover_s.max() < 6


# --- the picture


def test_the_distribution_has_one_line_for_each_cell_and_no_pyplot(grid):
    before = "matplotlib.pyplot" in sys.modules
    figure = grid.plot()
    assert [axes.get_xlabel() for axes in figure.axes] == ["failover, seconds", "outage, seconds"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["loss=0%", "loss=40%"]
    assert ("matplotlib.pyplot" in sys.modules) == before


def slow(history):
    """An invariant of one's own; workers import it by this name."""
    worst = max((each.length_ns for each in history.result.failovers), default=0)
    if worst > 5_000_000_000:
        return Violation(invariant="slow", text=f"{worst} ns", start_ns=0, end_ns=worst)
    return None


def test_invariants_judge_each_run_as_a_violation_of_the_run_itself_does(tmp_path):
    study = vrrpsim.load("haproxy-crash")
    swept = study.sweep(
        30, jobs=1, progress=False, invariants=["no-split-brain", slow], folder=tmp_path / "runs"
    )
    [cell] = swept.outcome.cells
    *_, two, own = cell.expectations
    assert (two.measure, two.ok, own.measure, own.ok) == ("no-split-brain", True, "slow", False)
    broken = [row.seed for row in cell.rows if row.judged[-1][0] is False]
    assert own.note == f"broken in {len(broken)} of 30 runs"
    assert 0 < len(broken) < 30
    for row in list(cell.rows)[:8]:
        assert bool(study.run(row.seed).violations(slow)) == (row.seed in broken)
    assert vrrpsim.Sweep.read(tmp_path / "runs").outcome.to_dict() == swept.outcome.to_dict()
    assert "slow holds" in swept.text()


def test_each_event_and_kind_has_a_row_of_its_own():
    study = vrrpsim.load("partition")
    swept = study.sweep(20, jobs=1, progress=False, thresholds=["heal.end of partition lb1 | lb2.max < 3s"])
    measures = swept.to_dict()["measures"]
    begin, end = "failover.partition lb1 | lb2", "heal.end of partition lb1 | lb2"
    assert [name for name in measures if "." in name] == [begin, end]
    assert (measures[begin], measures[end]) == (measures["failover"], measures["heal"])
    table = swept.text().partition("BY EVENT")[2].split("\n\n")[0]
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["failover,", "heal,"]
    assert swept.outcome.cells[0].asked[0].ok
    with pytest.raises(ThresholdError, match=r"no such event; did you mean 'heal\.end of partition"):
        study.sweep(2, jobs=1, progress=False, thresholds=["heal.end of partition lb1.max < 3s"])


def test_the_events_of_a_run_are_as_many_as_its_changes_of_owner():
    scenario = vrrpsim.load("haproxy-crash").scenario
    for seed in range(5):
        trace = simulate(scenario, seed=seed, level=Level.STATES)
        found = row_of(scenario, trace, measured(scenario, trace, seed=seed))
        by_event = {name: sample for name, sample in found.items() if "." in name and "outage" not in name}
        assert max(s for n, s in by_event.items() if n.startswith("failover.")) == found["failover"]
        assert max(s for n, s in by_event.items() if n.startswith("return.")) == found["return"]
