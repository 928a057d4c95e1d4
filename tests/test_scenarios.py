"""The shipped scenarios: each passes, gives its recorded result, and opens with its lesson.

`VRRPSIM_UPDATE_RECORDED=1 pytest tests/test_scenarios.py` writes tests/recorded/*.json anew; read the diff.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import vrrpsim

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "scenarios"
RECORDED = Path(__file__).parent / "recorded"
UPDATE = bool(os.environ.get("VRRPSIM_UPDATE_RECORDED"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))

ASKED_FOR = """
haproxy-crash haproxy-hung graceful-stop power-loss keepalived-killed link-down partition partition-multicast
one-way-partition vm-pause-stale-arp packet-loss weight-too-small weight-versus-nopreempt preempt-return
auth-mismatch interval-mismatch vrid-clash sync-group three-nodes-v3 garp-lost vip-flushed live-migration
check-hangs startup-delay reload ipv6
"""

# What `vrrpsim check` says about them is their lesson; everything else is clean.
WARNINGS = {
    "auth-mismatch": {"VRRP211"},
    "interval-mismatch": {"VRRP207"},
    "port-not-forwarding": {"VRRP206"},
    "vrid-clash": {"VRRP212", "VRRP229"},
    "vrid-clash-2.3.3": {"VRRP216", "VRRP229"},
    "weight-too-small": {"VRRP203"},
    "weight-versus-nopreempt": {"VRRP204"},
}


def path_of(name):
    return FOLDER / f"{name}.yaml"


@cache
def document(name):
    """The JSON document of a run with the shipped seed."""
    return json.loads(vrrpsim.load(path_of(name)).run().to_json())


def summary(result):
    """The few numbers of a run that a change of behaviour would change."""
    owners = {address: [] for address in result["moves"]}
    for tenure in result["tenures"]:
        owners[tenure["address"]].append([tenure["start_s"], tenure["end_s"], *tenure["nodes"]])

    def total(spans):
        return {
            address: round(sum(s["end_s"] - s["start_s"] for s in spans if s["address"] == address), 9)
            for address in owners
        }

    return {
        "verdict": result["verdict"],
        "seed": result["seed"],
        "owners": owners,
        "failovers": [
            [each["address"], each["from"], each["to"], each["kind"], each["cause"], each["total_s"]]
            for each in result["failovers"]
        ],
        "longest_outage_s": {name: each["longest_outage_s"] for name, each in result["clients"].items()},
        "dual_master_s": total(result["dual_master"]),
        "vacancy_s": total(result["vacancies"]),
        "moves": result["moves"],
        "digest": result["digest"],
    }


def written(values):
    """JSON with one line for each key, so that a diff shows what changed."""
    lines = (f'  "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_what_it_expects(name):
    result = document(name)
    assert result["expectations"], "a scenario without expectations teaches nothing"
    assert [each for each in result["expectations"] if each["ok"] is not True] == []
    assert result["verdict"] == "pass"


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_the_recorded_result(name):
    file = RECORDED / f"{name}.json"
    now = summary(document(name))
    if UPDATE:
        RECORDED.mkdir(exist_ok=True)
        file.write_text(written(now), encoding="utf-8")
    assert now == json.loads(file.read_text(encoding="utf-8"))


def test_nothing_is_recorded_of_scenarios_that_are_gone():
    assert sorted(path.stem for path in RECORDED.glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_the_same_digest_again(name):
    assert vrrpsim.load(path_of(name)).run().result.digest == document(name)["digest"]


@pytest.mark.parametrize("name", NAMES)
def test_another_client_changes_nothing(name, tmp_path):
    """Adding a client reshuffles no chance and no election (DESIGN §4)."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    scenario = vrrpsim.load(path_of(name)).scenario
    first = next(iter(scenario.clients.values()))
    host, port = first.target
    target = f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"
    lines = path_of(name).read_text(encoding="utf-8").splitlines()
    last = next(i for i, line in enumerate(lines) if line.startswith(("events:", "expect:")))
    via = f", via: {first.via}" if first.via else ""
    lines.insert(last, f'  another: {{segment: {first.segment}, target: "{target}", every: 70ms{via}}}\n')
    if scenario.cables:
        lines.insert(lines.index("cables:") + 1, f"  - [another, {next(iter(scenario.switches))}]")
    copy = tmp_path / f"{name}.yaml"
    copy.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = vrrpsim.load(copy).run()
    assert set(run.result.clients) == {*scenario.clients, "another"}
    again = json.loads(run.to_json())
    for key in ("tenures", "dual_master", "vacancies", "moves", "events"):
        assert again[key] == document(name)[key]
    for client in scenario.clients:
        assert again["clients"][client] == document(name)["clients"][client]
    assert again["digest"] == document(name)["digest"]


@pytest.mark.parametrize("seed", range(1, 21))
def test_the_operators_pair_keeps_its_bounds_with_any_seed(seed):
    result = vrrpsim.load(path_of("haproxy-crash")).run(seed=seed).result
    assert [verdict for verdict in result.expectations if verdict.ok is not True] == []


def test_those_that_were_asked_for_exist():
    assert sorted(set(ASKED_FOR.split()) - set(NAMES)) == []


def test_the_operators_files_are_as_they_were_sent():
    for node, state, priority, peer in (("lb1", "MASTER", 101, "20"), ("lb2", "BACKUP", 100, "10")):
        study = vrrpsim.load(path_of("haproxy-crash"))
        config = study.scenario.nodes[node].keepalived.config
        [script], [instance] = config.scripts, config.instances
        text = (FOLDER / f"keepalived/{node}.conf").read_text(encoding="utf-8")
        assert (script.name, script.command, script.weight) == ("chk_haproxy", "pkill -0 haproxy", 2)
        assert script.interval_ns == 2_000_000_000
        assert (instance.name, instance.vrid, instance.priority) == ("VI_1", 51, priority)
        assert f"state {state}" in text
        assert f"        192.168.50.{peer}\n" in text
        assert "auth_pass 1234" in text
        assert [str(each.address) for each in instance.addresses] == ["192.168.50.108"]


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_its_lesson(name):
    lines = path_of(name).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# Editor completion: vrrpsim schema > schema.json")
    comment = lines[1 : next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    assert comment[0].startswith("# THE LESSON: ")
    assert 3 <= len(comment) <= 6
    assert max(map(len, lines)) <= 120
    scenario = vrrpsim.load(path_of(name)).scenario
    assert scenario.name == name
    assert scenario.description


def test_every_keepalived_conf_is_used():
    used = "".join(path_of(name).read_text(encoding="utf-8") for name in NAMES)
    confs = sorted(path.name for path in (FOLDER / "keepalived").glob("*.conf"))
    assert [conf for conf in confs if f"keepalived/{conf}" not in used] == []


def test_the_words_of_the_format_are_shown_somewhere():
    events = [event for name in NAMES for event in vrrpsim.load(path_of(name)).scenario.events]
    assert {"starve", "set", "inject", "reload", "pause", "hang", "freeze"} <= {e.verb for e in events}
    assert any(e.every and e.count for e in events)
    assert any(e.at.after for e in events)
    assert any(e.target and e.target.role and e.target.item == "haproxy" for e in events)
    assert any(e.verb == "impair" and e.parameters.only for e in events)


def test_check_warns_only_where_that_is_the_lesson():
    done = subprocess.run(
        [sys.executable, "-m", "vrrpsim", "check", "--json", *map(str, map(path_of, NAMES))],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=60,
    )
    found = {}
    for file in json.loads(done.stdout)["files"]:
        rules = {finding["code"] for finding in file["findings"]}
        assert {finding["severity"] for finding in file["findings"]} <= {"warning", "info"}
        if rules:
            found[Path(file["file"]).stem] = rules
    assert found == WARNINGS
    assert done.returncode == 0
