"""`vrrpsim diff`: the same census of two configurations, and only what changed."""

import json
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.cli import main

ROOT = Path(__file__).parents[2]
OLD = ROOT / "scenarios" / "keepalived"


@pytest.fixture
def changed(tmp_path):
    """The operator's pair with every `old` in its files replaced; the folder."""

    def make(old, new):
        for name in ("lb1", "lb2"):
            text = (OLD / f"{name}.conf").read_text()
            assert old in text
            (tmp_path / f"{name}.conf").write_text(text.replace(old, new))
        return tmp_path

    return make


def words(old, new, *more):
    files = [str(OLD / f"{name}.conf") for name in ("lb1", "lb2")]
    return ["diff", *files, "--", str(new), "--no-pairs", "--runs", "6", "-j", "1", *more]


def test_nothing_changed_is_one_line(changed, capsys):
    assert main(words(OLD, changed("router_id", "router_id"))) == 0
    assert capsys.readouterr().out == "nothing changed: 31 faults and pairs, the same seeds for both\n"


@pytest.mark.parametrize(
    ("old", "new", "code", "worse", "better"),
    [
        ("advert_int 1", "advert_int 3", 1, {"kill lb1/haproxy", "power off lb1"}, set()),
        ('"pkill -0 haproxy"', '"curl -m 1 localhost:80"', 0, set(), {"freeze lb1/haproxy"}),
        ("weight 2", "weight 0", 1, {"fail lb1/chk_haproxy"}, {"kill lb1/haproxy"}),
        ("weight 2", "weight 1", 1, {"kill lb1/haproxy"}, {"fail lb1/chk_haproxy"}),
    ],
)  # fmt: skip
def test_what_changed_and_the_exit_code(changed, capsys, old, new, code, worse, better):
    assert main(words(OLD, changed(old, new), "--json")) == code
    document = json.loads(capsys.readouterr().out)
    assert worse <= {each["cell"] for each in document["worse"]}
    assert better <= {each["cell"] for each in document["better"]}
    assert document["verdict"] == ("fail" if document["worse"] else "pass")


def test_a_tolerance_lets_small_changes_pass(changed, capsys):
    new = changed("advert_int 1", "advert_int 2")
    assert main(words(OLD, new, "-q")) == 1
    assert main(words(OLD, new, "-q", "--tolerance", "100%")) == 0


def test_ratios_and_intervals_and_markdown(changed):
    new = changed("advert_int 1", "advert_int 3")
    done = vrrpsim.diff([OLD / "lb1.conf", OLD / "lb2.conf"], new, pair_phases=0, phases=6, jobs=1)
    each = next(one for one in done.to_dict()["worse"] if one["cell"] == "power off lb1")
    [measure] = each["measures"]
    low, high = measure["new"]["p50_ci_s"]
    assert low <= measure["new"]["p50_s"] <= high
    assert measure["ratio_p50"] == pytest.approx(
        float(measure["new"]["p50_s"] / measure["old"]["p50_s"]), abs=1e-3
    )
    assert max(map(len, done.text().splitlines())) <= 80
    assert "| power off lb1 | outage p50 " in done.markdown()
    assert "| lb1 | lb2" not in done.markdown()  # a bar would end the cell


def test_an_upgrade_is_a_diff_of_dialects():
    case = ROOT / "tests" / "groundtruth" / "28a-vrid-clash-higher"
    dialects = {"old_dialect": "keepalived-2.2.7", "new_dialect": "keepalived-2.3.3"}
    done = vrrpsim.diff(
        case / "scenario.yaml", case / "scenario.yaml", **dialects, phases=2, pair_phases=0, jobs=1
    )
    assert "no fault" in [each["cell"] for each in done.to_dict()["worse"]]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["a.conf"], 2),
        (["a.conf", "b.conf", "c.conf"], 2),
        (["--", "a.conf"], 2),
        (["a.conf", "--"], 2),
        (["a", "--", "b", "--", "c"], 2),
        (["a", "b", "--tolerance", "much"], 2),
        (["a", "b", "--old-dialect", "x"], 2),
        (["a.conf", "b.conf"], 3),
    ],
)
def test_command_lines_that_cannot_be_used(arguments, code, capsys):
    assert main(["diff", *arguments]) == code


def test_clusters_with_nothing_alike(tmp_path, capsys):
    for name in ("lb1", "lb2"):
        text = (OLD / f"{name}.conf").read_text().replace(f"router_id {name}", f"router_id x{name}")
        (tmp_path / f"{name}.conf").write_text(text)
    assert main(["diff", str(OLD / "lb1.conf"), str(OLD / "lb2.conf"), "--", str(tmp_path)]) == 3
    assert "no node is in both clusters" in capsys.readouterr().err
