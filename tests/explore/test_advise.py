"""`vrrpsim advise`: small changes, judged by the census and by their price."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.cli import main
from vrrpsim.explore import advise as advising
from vrrpsim.explore.advise import Advised, Verdicts, _front, grid, packets_per_s, patience
from vrrpsim.explore.fault_schedules import in_order, menu_of, timed
from vrrpsim.measure import measure
from vrrpsim.starter import cluster_of
from vrrpsim.world import simulate

ROOT = Path(__file__).parents[2]
CONF = [ROOT / "scenarios" / "keepalived" / f"{name}.conf" for name in ("lb1", "lb2")]


def verdicts(unhealed=1, outage=5, pause=2, burst=2, packets=1.0):
    return Verdicts(unhealed, outage, 9, pause, burst, packets)


def test_the_front_is_what_nothing_beats_and_what_is_better_somewhere():
    base = Advised({}, verdicts())
    better, dearer, worse, same = (
        Advised({name: "1"}, each)
        for name, each in (
            ("better", verdicts(outage=4)),
            ("dearer", verdicts(outage=3, packets=9.0)),
            ("worse", verdicts(outage=6)),
            ("same", verdicts()),
        )
    )
    beaten = Advised({"beaten": "1"}, verdicts(outage=4, packets=2.0))
    assert _front(base, [same, worse, beaten, better, dearer]) == [dearer, better]


def test_the_grid_has_every_kind_of_change():
    keywords = {path.rpartition(".")[2] for change in grid(cluster_of(*CONF)) for path in change}
    assert keywords == {
        *("advert_int", "interval", "fall", "rise", "timeout", "weight", "nopreempt", "state"),
        *("preempt_delay", "garp_master_refresh", "vrrp_startup_delay", "unicast_peer", "version"),
        "authentication",
    }


@pytest.mark.parametrize("overrides", [{}, {"*.VI_1.advert_int": "3"}])
def test_the_longest_pause_that_moves_nothing_is_the_formulas(overrides):
    """A pause of the formula's length moves nothing at any phase; one longer by an interval always does."""
    scenario = cluster_of(*CONF, overrides=overrides)
    pause_ns, burst = patience(scenario)
    assert burst == 2
    interval_ns = scenario.nodes["lb1"].keepalived.config.instances[0].advert_int_ns
    [pause, _] = menu_of(scenario, ["pause"])["pause"]

    def moves(lasts_ns, phase):
        events = in_order([timed(pause, 30 * 10**9 + phase * interval_ns // 10, lasts_ns)])
        run = replace(scenario, events=events, duration_ns=60 * 10**9)
        result = measure(run, simulate(run, seed=1))
        return any(t.node == "lb2" for owned in result.ownerships for t in owned.tenures)

    assert not any(moves(pause_ns - 30_000_000, phase) for phase in range(10))
    assert all(moves(pause_ns + interval_ns + 100_000_000, phase) for phase in range(10))


def test_packets_a_second():
    assert packets_per_s(cluster_of(*CONF)) == 1
    faster = {"*.VI_1.advert_int": "2", "*.VI_1.garp_master_refresh": "10"}
    assert packets_per_s(cluster_of(*CONF, overrides=faster)) == pytest.approx(0.6)


@pytest.fixture(scope="module")
def advice():
    few = [{"*.VI_1.garp_master_refresh": "30"}, {"*.VI_1.advert_int": "2"}, {"*.chk_haproxy.weight": "1"}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advising, "grid", lambda scenario: iter(few))
        yield vrrpsim.advise(*CONF, phases=4, jobs=1)


def test_each_row_is_a_diff_that_check_accepts(advice, tmp_path, capsys):
    document = advice.to_dict()
    assert document["front"]
    for row in document["front"]:
        changed = [
            line for line in row["diff"].splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")
        ]
        assert changed
        for path, value in row["set"].items():
            assert f"+    {path.rpartition('.')[2]} {value}" in changed
        advice.write(tmp_path, row["row"])
        files = sorted(map(str, tmp_path.iterdir()))
        assert [Path(file).name for file in files] == ["lb1.conf", "lb2.conf"]
        assert main(["check", *files, "-q"]) == 0
        capsys.readouterr()
        again = cluster_of(*files)
        assert advising.patience(again)[0] == row["pause_s"].scaleb(9)


def test_what_check_complains_of_is_refused(advice):
    """`weight 1` can no longer move the address: check says so."""
    assert advice.outcome.refused >= 1
    assert not any("weight" in path for row in advice.to_dict()["front"] for path in row["set"])


def test_the_text_fits(advice):
    text = advice.text().replace(str(CONF[0].parent), "")
    assert max(map(len, text.splitlines())) <= 80
    assert "as it is" in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([str(ROOT / "scenarios" / "haproxy-crash.yaml")], 2),
        (["nowhere.conf", "b.conf"], 3),
        (["a", "b", "--dialect", "x"], 2),
    ],
)
def test_exit_codes(words, code, capsys):
    assert main(["advise", *words]) == code


def test_the_command_prints_and_writes_a_row(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(advising, "grid", lambda scenario: iter([{"*.VI_1.garp_master_refresh": "30"}]))
    words = ["advise", *map(str, CONF), "-n", "2", "-j", "1"]
    assert main([*words, "--row", "1", "--write", str(tmp_path)]) == 0
    assert "+    garp_master_refresh 30" in capsys.readouterr().out
    assert "garp_master_refresh 30" in (tmp_path / "lb1.conf").read_text()
    assert main([*words, "--row", "9"]) == 2
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["front"][0]["set"] == {"*.VI_1.garp_master_refresh": "30"}
