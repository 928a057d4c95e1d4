"""The adversary finds what was planted, makes it small and writes it down; elsewhere it finds nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.explore import exhaustive
from vrrpsim.explore import fault_schedules as schedules
from vrrpsim.explore.bounds import bounds_of
from vrrpsim.explore.counterexample_file import same_run
from vrrpsim.explore.exhaustive import exhaust
from vrrpsim.explore.hunt import _without_local_constants, hunt, run_bounded
from vrrpsim.explore.invariants import BUILT_IN, GROUP, Violation, both, longest, without
from vrrpsim.protocol import fsm
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.verbs import VERBS

ROOT = Path(__file__).parents[2]
NODE = """\
  {name}:
    interfaces: {{eth0: {{segment: lan, address: 10.0.0.{host}/24}}}}
    processes: {{haproxy: {{serves: [80/tcp]}}}}
    keepalived:
      vrrp_scripts: {{chk: {{script: "pgrep -x haproxy", interval: 1, weight: {weight}}}}}
      vrrp_instances:
        VI: {{interface: eth0, virtual_router_id: 5, priority: {priority}, virtual_ipaddress: [10.0.0.100],
             track_script: [chk]{more}}}
"""


def cluster(folder, *priorities, weight=-20, more="", head=""):
    """A scenario file; its nodes are a, b, c."""
    text = (
        f"version: 1\nname: small\nduration: 30s\n{head}segments: {{lan: {{subnet: 10.0.0.0/24}}}}\nnodes:\n"
    )
    for host, (name, priority) in enumerate(zip("abc", priorities, strict=False), 1):
        text += NODE.format(name=name, host=host, priority=priority, weight=weight, more=more)
    text += 'clients:\n  web: {segment: lan, target: "10.0.0.100:80", every: 100ms}\n'
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vrrpsim", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, **environment},
    )


def gravest(path, **options):
    found = vrrpsim.load(path).hunt(**{"max_examples": 200, **options}).outcome.findings
    return found[0] if found else None


# --- planted flaws


@pytest.mark.parametrize(
    ("planted", "invariant"),
    [
        ({"weight": -20, "more": ", nopreempt: true"}, "healthy-owner"),
        ({"weight": -2}, "healthy-owner"),
    ],
)
def test_checks_that_never_move_the_address_are_found(tmp_path, planted, invariant):
    path = cluster(tmp_path, 110, 100, **planted)
    finding = gravest(path)
    assert finding.violation.invariant == invariant
    assert 1 <= len(finding.events) <= 2
    assert finding.alone
    assert len(finding.story) == 5
    assert vrrpsim.load(finding.path).run().verdict == "fail"


def test_a_cut_in_one_direction_is_found(tmp_path):
    finding = gravest(cluster(tmp_path, 110, 100), faults=["partition"])
    assert finding.violation.invariant == "no-split-brain"
    assert [schedules.kind_of(event) for event in finding.events] == ["one_way"]
    assert vrrpsim.load(finding.path).run().verdict == "fail"


def test_a_cut_in_both_directions_is_excused(tmp_path):
    scenario = load_scenario(cluster(tmp_path, 110, 100))
    menu = schedules.menu_of(scenario, ["partition"])
    bounds = bounds_of(scenario)
    [cut] = menu["partition"]
    history = run_bounded(
        replace(scenario, events=schedules.in_order([schedules.timed(cut, 10**10, 10**10)])),
        bounds,
    )
    assert sum(span.length_ns for owned in history.owned for span in owned.dual_master) > 5 * 10**9
    assert [check(history) for check in BUILT_IN.values()] == [None] * len(BUILT_IN)


def twins(tmp_path):
    """Two nodes with one primary address and equal priority, which no file may say."""
    scenario = load_scenario(cluster(tmp_path, 100, 100))
    b = scenario.nodes["b"]
    eth0 = b.interfaces["eth0"]._replace(addresses=(ip_interface("10.0.0.1/24"),))
    return replace(scenario, nodes={**scenario.nodes, "b": replace(b, interfaces={"eth0": eth0})}, path=None)


def test_one_primary_address_twice_is_found(tmp_path):
    outcome = hunt(twins(tmp_path), max_examples=40, kinds=("power_off", "pause"))
    assert {"no-split-brain", "recovers"} <= {
        name for finding in outcome.findings for name in (finding.violation.invariant, *finding.also)
    }
    assert all(len(finding.events) <= 2 for finding in outcome.findings)


def test_an_advert_storm_is_a_finding_and_no_hang(tmp_path, monkeypatch):
    """A master that never yields answers every advert of its rival at once, and so does the rival."""
    monkeypatch.setattr(fsm, "_beats", lambda *_: False)
    finding = gravest(cluster(tmp_path, 110, 100), max_examples=60, faults=["partition"])
    assert finding.violation.invariant == "bounded-adverts"
    assert finding.path is not None
    assert len(finding.events) <= 2
    assert finding.scenario.duration_ns < 40 * 10**9


def test_a_node_nobody_hears_needs_no_fault(tmp_path):
    path = cluster(tmp_path, 110, 100)
    path.write_text(path.read_text().replace("virtual_router_id: 5", "virtual_router_id: 6", 1))
    finding = gravest(path)
    assert finding.events == ()
    assert (finding.violation.invariant, finding.tried) == ("no-split-brain", 0)
    assert vrrpsim.load(finding.path).run().verdict == "fail"


def test_outages_are_bounded_on_request(tmp_path):
    path = cluster(tmp_path, 110, 100)
    finding = gravest(path, faults=["crash"], outage_s=3)
    assert finding.violation.invariant == "outage"
    assert len(finding.events) == 1
    assert vrrpsim.load(finding.path).run().verdict == "fail"
    assert gravest(path, faults=["crash"], outage_s=9, write=False) is None


# --- nothing to find


def test_three_sound_nodes_survive_crashes(tmp_path):
    found = vrrpsim.load(cluster(tmp_path, 120, 110, 100, weight=-50)).hunt(
        max_examples=200, faults=["crash"]
    )
    assert not found.found
    assert found.outcome.examples >= 200
    assert found.outcome.coverage.met["kill", "MASTER"]
    assert "nothing found" in found.text()
    assert "no proof" in found.text()


@pytest.mark.parametrize("missing", [(), ("_get_local_constants",), ("Constants",), ("CONSTANTS_CACHE",)])
def test_constants_of_the_code_around_are_never_drawn(monkeypatch, missing):
    """Hypothesis reads numbers in imported modules; releases that cannot have nothing to switch off."""
    from hypothesis.internal.conjecture import providers

    kept = getattr(providers, "_get_local_constants", None)
    for name in missing:
        monkeypatch.delattr(providers, name, raising=False)
    with _without_local_constants():
        if not missing:
            assert len(providers._get_local_constants()) == 0
    assert getattr(providers, "_get_local_constants", kept) is kept


# --- the same seed


FEW = ("kill", "pause", "one_way")


def test_the_same_seed_finds_the_same_whatever_the_environment(tmp_path):
    path = cluster(tmp_path, 110, 100, weight=-2)
    here = vrrpsim.load(path).hunt(max_examples=60, faults=FEW, write=False).to_json()
    few = ("hunt", "--faults", ",".join(FEW), "--max-examples", "60")
    shown = []
    for environment in ({"CI": ""}, {"CI": "true", "PYTHONHASHSEED": "7"}):
        folder = tmp_path / str(len(shown))
        folder.mkdir()
        copy = cluster(folder, 110, 100, weight=-2)
        done = command(*few, "--json", copy, **environment)
        assert done.returncode == 1, done.stderr
        document = json.loads(done.stdout)
        assert Path(document["scenario"]).parent == folder
        shown.append([document["events"], document["story"], document["examples"], document["covered"]])
    document = json.loads(here)
    assert shown == [[document["events"], document["story"], document["examples"], document["covered"]]] * 2


def test_another_seed_searches_elsewhere(tmp_path):
    path = cluster(tmp_path, 110, 100)
    one, two = (
        vrrpsim.load(path).hunt(max_examples=40, seed=seed, write=False).outcome.coverage.fired
        for seed in (1, 2)
    )
    assert one != two


# --- what is written


def test_the_file_replays_alone_and_is_tried_first(tmp_path):
    path = cluster(tmp_path, 110, 100, weight=-2)
    text = path.read_text().replace("nodes:\n", "nodes:  # three words here\n")
    path.write_text(text)
    first = command("hunt", path, "--max-examples", "150", "--faults", "kill,fail")
    assert first.returncode == 1, first.stderr
    [file] = tmp_path.glob("small-hunt-????.yaml")
    assert "# three words here" in file.read_text()
    assert "vrrpsim hunt" in file.read_text().splitlines()[0]
    assert "cannot be removed" in first.stdout
    replay = command("run", file)
    assert replay.returncode == 1
    again = command("hunt", path, "--max-examples", "20", "--faults", "kill,fail", "-q")
    assert again.returncode == 1
    assert "still fails" in vrrpsim.load(path).hunt(max_examples=1, faults=["stop"]).text()
    path.write_text(text.replace("weight: -2", "weight: -20"))
    mended = vrrpsim.load(path).hunt(max_examples=30, faults=["kill"])
    assert mended.outcome.healed == (file,)
    assert not mended.found


def test_every_fault_is_written_as_it_ran(tmp_path):
    for name in ("haproxy-crash", "weight-versus-nopreempt", "three-nodes-v3"):
        scenario = load_scenario(ROOT / "scenarios" / f"{name}.yaml")
        menu = schedules.menu_of(scenario)
        events = schedules.in_order(
            schedules.timed(event, 10**9 * n, 10**8 if VERBS[event.verb].lasts else None)
            for n, event in enumerate(each for kind in menu for each in menu[kind])
        )
        file = tmp_path / "all.yaml"
        lines = [
            f"  - {{{', '.join(f'{key}: {json.dumps(value)}' for key, value in written.items())}}}"
            for written in map(schedules.event_yaml, events)
        ]
        head = (ROOT / "scenarios" / f"{name}.yaml").read_text().partition("events:")[0]
        head = head.replace("file: ", f"file: {ROOT}/scenarios/")
        file.write_text(head + "events:\n" + "\n".join(lines) + "\n")
        assert load_scenario(file).events == events


@pytest.mark.parametrize(
    "overrides",
    [
        {"segments.lan.delay": "1ms"},
        {"segments.lan.delay": "1ms", "*.VI_1.advert_int": "2"},  # keepalived.conf beside it
    ],
)
def test_files_with_keepalived_beside_them_and_overrides(tmp_path, overrides):
    for name in ("haproxy-crash.yaml", "keepalived/lb1.conf", "keepalived/lb2.conf"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text((ROOT / "scenarios" / name).read_text())
    study = vrrpsim.load(tmp_path / "haproxy-crash.yaml", overrides)
    outcome = study.hunt(faults=["one_way"], max_examples=30).outcome
    [finding] = outcome.findings
    assert same_run(load_scenario(finding.path), finding.scenario)
    assert command("run", finding.path, "-q").returncode == 1


# --- everything there is


def test_two_nodes_exhaustively(tmp_path):
    scenario = load_scenario(cluster(tmp_path, 110, 100))
    checked = exhaust(scenario, adverts=6)
    assert checked.patterns + checked.known < 2**6  # most patterns come back to a state seen before
    assert 4 * 10**9 > checked.dual_master.length_ns > 0
    assert checked.distinct <= checked.orders
    assert checked.broken == ()


def test_every_loss_pattern_is_followed_where_none_is_known(tmp_path, monkeypatch):
    """Without the memory of states there are 2^k patterns, and the worst is the same."""
    scenario = load_scenario(cluster(tmp_path, 110, 100))
    monkeypatch.setattr(exhaustive, "VERBS", ())
    short = exhaust(scenario, adverts=5)
    monkeypatch.setattr(exhaustive._Search, "is_known", lambda *_: False)
    whole = exhaust(scenario, adverts=5)
    assert (whole.patterns, whole.known) == (2**5, 0)
    assert whole.dual_master.length_ns == short.dual_master.length_ns
    assert whole.vacancy.length_ns == short.vacancy.length_ns


# --- invariants of one's own


def never_backup_only(history):
    """Planted by a test: b never owns anything."""
    for owned in history.owned:
        for tenure in owned.tenures:
            if tenure.node == "b":
                return Violation(
                    invariant="mine", text="b owns it", start_ns=tenure.start_ns, end_ns=tenure.end_ns
                )
    return None


def test_users_bring_invariants(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = cluster(tmp_path, 110, 100, weight=-20)
    study = vrrpsim.load(path)
    outcome = study.hunt(max_examples=40, faults=["kill"], invariants=["test_hunt:never_backup_only"]).outcome
    [finding] = outcome.findings
    assert finding.violation.text == "b owns it"
    assert len(finding.events) == 1
    assert finding.alone  # a measure that is worse than without faults was found for it
    assert vrrpsim.load(finding.path).run().verdict == "fail"
    with pytest.raises(LookupError, match="nowhere"):
        study.hunt(invariants=["nowhere:nothing"])


def test_installed_packages_bring_invariants(tmp_path, monkeypatch):
    installed = tmp_path / "mine-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{GROUP}]\nb-stays-away = test_hunt:never_backup_only\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    outcome = vrrpsim.load(cluster(tmp_path, 110, 100)).hunt(max_examples=20, faults=["kill"]).outcome
    assert "b-stays-away" in outcome.invariants
    assert [finding.violation.text for finding in outcome.findings] == ["b owns it"]


# --- the command line


def test_wrong_command_lines(tmp_path):
    path = cluster(tmp_path, 110, 100)
    for wrong in (["--faults", "kil"], ["--outage", "soon"], ["--invariant", "nowhere:x"]):
        done = command("hunt", path, *wrong)
        assert done.returncode == 2, done.stderr
    assert "kill" in command("hunt", path, "--faults", "kil").stderr
    assert command("hunt", tmp_path / "none.yaml").returncode == 3


def processor_seconds(pid):
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


def test_an_interrupted_hunt_says_what_it_knows(tmp_path):
    path = cluster(tmp_path, 120, 110, 100, weight=-50)
    command = [sys.executable, "-m", "vrrpsim", "hunt", str(path), "--faults", "crash"]
    with subprocess.Popen(
        [*command, "--max-examples", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    ) as process:
        while (
            process.poll() is None and processor_seconds(process.pid) < 3
        ):  # it has started to hunt, however busy the machine is
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in out
    assert "Traceback" not in err


def test_a_hunt_ends_in_time(tmp_path):
    outcome = hunt(
        load_scenario(cluster(tmp_path, 120, 110, 100, weight=-50)),
        kinds=("kill",),
        max_examples=100_000,
        max_time_s=1.0,
    )
    assert outcome.ended == "time"
    assert outcome.findings == ()


# --- spans


def test_spans():
    assert without([(0, 10)], [(2, 3), (5, 20)]) == [(0, 2), (3, 5)]
    assert both([(0, 10)], [(5, 20), (30, 40)]) == [(5, 10)]
    assert longest([(0, 1), (5, 9)]) == (5, 9)
