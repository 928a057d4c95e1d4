"""The pictures: stable bytes, what they say at an instant, and that no scenario breaks them."""

import json
import subprocess
import sys

import pytest
from reading import ROOT, SHIPPED, ids, name_of, read_pcapng, run_of

import vrrpsim
from vrrpsim.report.style import event_text, render
from vrrpsim.report.topology import cuts
from vrrpsim.scenario.network import graph_of


def topology(name, at_s, kind):
    return ids(render(run_of(ROOT / "scenarios" / f"{name}.yaml").topology(at_s), "svg"), kind)


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_every_scenario_can_be_drawn(path):
    run = run_of(path)
    assert run.plot().get_axes()
    assert run.topology().get_axes()
    assert run.perfetto()


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_the_same_run_gives_the_same_bytes(kind):
    load = vrrpsim.load(ROOT / "scenarios" / "sync-group.yaml")
    assert render(load.run().plot(), kind) == render(load.run().plot(), kind)


def test_the_bytes_do_not_depend_on_the_hash_seed_or_the_users_style(tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.facecolor: red\nsvg.fonttype: none\n")
    path = ROOT / "scenarios" / "partition.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "vrrpsim", "show", str(path), "--plot", "t.svg", "--at", "30s"],
        cwd=tmp_path,
        env={"PYTHONHASHSEED": "3", "MATPLOTLIBRC": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert b"VIRTUAL ROUTER" in done.stdout
    assert (tmp_path / "t.svg").read_bytes() == render(run_of(path).topology(30), "svg")


def test_neither_picture_needs_pyplot():
    code = (
        "import sys, vrrpsim; run = vrrpsim.load('scenarios/partition.yaml').run(); run.plot(); "
        "run.topology(); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_partition_shows_two_owners_and_the_cut():
    owners = {(node, address) for node, _, address in topology("partition", 30, "node")}
    assert owners == {("lb1", "192.168.50.108"), ("lb2", "192.168.50.108")}
    assert topology("partition", 30, "cut") == [["lb1", "lb2", "both ways"]]
    assert topology("partition", 10, "cut") == []
    assert topology("one-way-partition", 30, "cut") == [["lb1", "lb2", "one way"]]


def test_events_are_said_as_they_are_everywhere():
    run = run_of(ROOT / "scenarios" / "one-way-partition.yaml")
    [event] = run.result.events
    assert str(event) == "partition lb1 -> lb2"  # not `lb1 | lb2`, which is both ways
    assert event_text(event) == str(event)
    assert "partition lb1 -> lb2" in texts(run.plot())


def texts(picture):
    return {text.get_text() for axes in picture.axes for text in axes.texts}


def test_an_address_without_owner_is_with_nobody_then_with_the_other():
    assert {address for *_, address in topology("sync-group", 21, "node")} == {""}
    after = {node: address for node, _, address in topology("sync-group", 30, "node")}
    assert after == {"fw-a": "", "fw-b": "198.51.100.1+10.70.0.1"}
    assert topology("sync-group", 30, "client") == [["internet", "fw-b"], ["office", "fw-b"]]


def test_a_partition_of_roles_is_drawn_between_those_who_had_them(tmp_path):
    text = (ROOT / "scenarios" / "partition.yaml").read_text()
    text = text.replace("[[lb1], [lb2]]", "[[master], [backup]]").replace(
        "keepalived/", f"{ROOT}/scenarios/keepalived/"
    )
    assert "[[master], [backup]]" in text
    (tmp_path / "roles.yaml").write_text(text)
    run = vrrpsim.load(tmp_path / "roles.yaml").run()
    assert list(cuts(run.scenario, run.result, 30_000_000_000)) == [("lb1", "lb2", False)]


def test_odd_scenarios_can_be_drawn_and_captured(tmp_path):
    """No client, no event, no keepalived, and text that would be a formula."""
    (tmp_path / "odd.yaml").write_text(
        """
        version: 1
        name: "$x$ <b>&amp;"
        description: "$\\\\frac{ costs $5, or 6 €"
        duration: 1ms
        segments: {lan: {subnet: 10.0.0.0/24}}
        nodes: {alone: {interfaces: {eth0: {segment: lan, address: 10.0.0.1/24}}}}
        """
    )
    run = vrrpsim.load(tmp_path / "odd.yaml").run()
    assert render(run.plot(), "svg").startswith(b"<?xml")
    assert render(run.topology(0), "png")
    assert json.loads(run.perfetto())["otherData"]["scenario"] == "$x$ <b>&amp;"
    assert read_pcapng(run.pcap()).packets == []


def test_the_graph_joins_machines_and_clients_by_segments():
    joined = graph_of(run_of(ROOT / "scenarios" / "sync-group.yaml").scenario)
    assert {(one, other) for one, other, _ in joined.edges} == {
        ("outside", "fw-a"), ("inside", "fw-a"), ("outside", "fw-b"), ("inside", "fw-b"),
        ("outside", "internet"), ("inside", "office"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "--plot", "x.gif"], "does not end in .svg, .png, .pdf"),
        (["show", "--at", "3s"], "--at needs --plot"),
        (["show", "--plot", "x.svg", "--at", "soon"], "--at"),
    ],
)
def test_a_wrong_command_line_is_said(words, says, tmp_path):
    path = ROOT / "scenarios" / "partition.yaml"
    command = [sys.executable, "-m", "vrrpsim", words[0], str(path), *words[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []
