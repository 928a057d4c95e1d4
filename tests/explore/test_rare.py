"""`sweep --rare loss`: false takeovers of a quiet cluster, by the closed form and by crude trials."""

import json
import math

import pytest

import vrrpsim
from vrrpsim.cli import main
from vrrpsim.trace import Level
from vrrpsim.world import Forcing, simulate

BOOT_S = 5.5  # until the first owner has spoken, and of the last run of losses until it has shown


def cluster(loss, duration_s):
    nodes = {
        f"n{number}": {
            "interfaces": {"eth0": {"segment": "lan", "address": f"10.0.0.{number}/24"}},
            "keepalived": {
                "vrrp_instances": {
                    "VI": {
                        "interface": "eth0",
                        "virtual_router_id": 51,
                        "priority": 250 - 50 * number,
                        "virtual_ipaddress": ["10.0.0.9/24"],
                    }
                }
            },
        }
        for number in (1, 2, 3)
    }
    segments = {"lan": {"subnet": "10.0.0.0/24", "loss": loss}}
    return vrrpsim.Scenario("quiet", duration=duration_s, segments=segments, nodes=nodes)


def closed_form(loss, duration_s):
    """Two listeners, an advert a second: three losses in a row after one that arrived, to first order."""
    return 2 * (duration_s - BOOT_S) * loss**3 * (1 - loss)


@pytest.mark.parametrize(("loss", "runs"), [(0.001, 800), (0.0001, 800)])
def test_false_takeovers_are_those_of_the_closed_form(loss, runs):
    [cell] = cluster(f"{loss:.2%}", 1000).sweep(runs, jobs=1, rare="loss").outcome.cells
    found = cell.failed_over
    assert found.error < 0.2
    assert abs(found.rate - closed_form(loss, 1000)) < 3 * found.error * found.rate
    a_year = cell.to_dict()["failed_over"]["a_year"]
    assert a_year == pytest.approx(closed_form(loss, 1000) * 31_536, rel=3 * found.error)


def test_crude_trials_agree_where_they_can_be_had():
    crude = cluster("5%", 60).sweep(1000, jobs=1).outcome.cells[0].failed_over
    forced = cluster("5%", 60).sweep(500, seed=10**6, jobs=1, rare="loss").outcome.cells[0].failed_over
    apart = math.hypot(forced.error * forced.rate, math.sqrt(crude.rate / crude.n))
    assert abs(forced.rate - crude.rate) < 3 * apart


def test_a_forced_run_is_the_same_event_by_event():
    scenario = cluster("0.1%", 300).scenario
    for seed in range(30):
        one, other = Forcing(scenario), Forcing(scenario)
        there = simulate(scenario, seed=seed, level=Level.STATES, forcing=one)
        here = simulate(scenario, seed=seed, level=Level.STATES, fast_forward=False, forcing=other)
        assert here.digest() == there.digest()
        assert one.log_weight() == pytest.approx(other.log_weight(), abs=0.02)  # of the last frames sent


def test_weights_are_in_the_document_the_table_the_page_and_the_report(tmp_path):
    done = cluster("0.1%", 300).sweep(200, jobs=1, rare="loss", thresholds=["failover.rate < 0.1%"])
    document = json.loads(done.to_json())
    assert document["forced"] == "loss"
    assert document["verdict"] == "pass"
    assert document["failed_over"]["relative_error"] > 0
    assert {each["command"] for each in document["worst"]} <= {""}
    columns = done.outcome.columns()
    hit = [w for w, failover in zip(columns["weight"], columns["failover_s"], strict=True) if failover]
    assert sum(hit) / 200 == pytest.approx(document["failed_over"]["rate"])
    text = done.text()
    assert "losses of adverts forced and weighed" in text
    assert " a year" in text
    assert "approximate 95 % intervals" in text
    assert max(map(len, text.splitlines())) <= 80
    assert b"a year" in done.html()
    assert document["measures"]["moves"]["p99"] == 0  # of all runs as they truly are


def test_until_a_tenth_is_known(tmp_path):
    pytest.importorskip("pyarrow")
    study = cluster("0.1%", 1000)
    done = study.sweep(20_000, jobs=1, rare="loss", until=["failover.rate ±20% of it"], folder=tmp_path / "a")
    [cell] = done.outcome.cells
    assert cell.failed_over.error <= 0.2
    assert 200 <= len(cell.rows) < 3000
    again = vrrpsim.Sweep.read(tmp_path / "a")
    assert again.to_json() == done.to_json()


def test_what_makes_no_sense_of_forced_runs_is_refused(tmp_path, capsys):
    file = tmp_path / "quiet.yaml"
    cluster("0.1%", 60).expect(moves={"max": 1}).to_yaml(file)
    assert main(["sweep", str(file), "-n", "5", "--rare", "loss", "--threshold", "failover.count < 1"]) == 2
    assert "ask for a rate" in capsys.readouterr().err
    main(["sweep", str(file), "-n", "5", "-j", "1", "--rare", "loss"])
    assert "not asked of forced runs" in capsys.readouterr().out
