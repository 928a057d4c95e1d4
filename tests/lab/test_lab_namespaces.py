"""Real runs of the lab: keepalived, HAProxy and ourselves in namespaces, every verb, what stays behind."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from lab_files import lab, needs_namespaces, pair

from vrrpsim.lab.runner import MARK

pytestmark = needs_namespaces

CRASH = """\
  - {at: {uniform: [3s, 3500ms]}, kill: master/haproxy, for: 3s}
  - {at: 10s, power_off: master, for: 2s}
"""
DAEMONS = """\
  - {at: 3s, stop: master/keepalived, for: 1500ms}
  - {at: 7s, kill: lb1/keepalived, for: 1500ms}
  - {at: 11s, freeze: lb1/haproxy, for: 1s}
  - {at: 13s, fail: lb1/chk, for: 2s}
  - {at: 18s, hang: lb1/chk, for: 3s}
  - {at: 21500ms, restart: lb1/haproxy}
  - {at: 22s, reload: lb1}
"""
MACHINES = """\
  - {at: 3s, pause: lb1, for: 1500ms}
  - {at: 6500ms, link_down: lb1/eth0, for: 1500ms}
  - {at: 10s, partition: [[lb1], [lb2]], for: 1500ms}
  - {at: 13s, impair: lan, loss: 100%, only: [vrrp], for: 1500ms}
  - {at: 16s, flush_address: lb1, address: 192.168.50.108}
  - {at: 18s, set: lb1/VI, priority: 50, for: 1500ms}
  - at: 22s
    inject: lan
    advert: {vrid: 5, version: 3, priority: 254, source: 192.168.50.66, addresses: [192.168.50.108], interval: 100ms}
"""  # noqa: E501


def marked(lab_pid):
    """The processes that a lab has made and that still are."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if any(word.startswith(f"{MARK}={lab_pid}:".encode()) for word in words):
            found.append(int(entry.name))
    return found


def networks(pids):
    """The network namespaces of processes."""
    names = set()
    for pid in pids:
        with suppress(OSError):
            names.add(Path(f"/proc/{pid}/ns/net").readlink())
    return names


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def records(path, *kinds):
    found = map(json.loads, path.read_text().splitlines())
    return [record for record in found if record["record"] in kinds]


def test_a_crash_and_a_power_loss_of_real_daemons_are_measured(tmp_path):
    expect = "  owner: {2900ms: lb1, 5500ms: lb2, 9900ms: lb1, 11500ms: lb2, end: lb1}\n  outage: {max: 3s}\n"
    scenario = pair(tmp_path, duration="15s", events=CRASH, expect=expect)
    done = lab(scenario, "--json", "--trace", tmp_path / "t.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "pass"
    crash, back, blackout, again = document["failovers"]
    assert [each["to"] for each in document["failovers"]] == ["lb2", "lb1", "lb2", "lb1"]
    assert crash["cause"] == "kill lb1/haproxy"
    assert "interval 1" in crash["governed_by"]["detect"]
    assert blackout["cause"] == "power_off lb1"
    # 3 × 0.1 s and skew, minus the last advert's age; and half a second in which this machine may stand still
    assert 0.2 < blackout["owner_s"] - blackout["fault_s"] < 0.9
    assert again["cause"] == "end of power_off lb1"
    assert back["detect_s"] <= 2
    assert [e["target"] for e in document["events"]] == ["lb1/haproxy", "lb1"]
    assert 0.1 < document["clients"]["web"]["longest_outage_s"] < 3
    assert document["counts"]["adverts"] > 50
    trace = tmp_path / "t.jsonl"
    instants = [each["at_ns"] for each in map(json.loads, trace.read_text().splitlines())]
    assert instants == sorted(instants)
    assert [r["state"] for r in records(trace, "NodeChange")] == ["off", "on"]
    assert {r["state"] for r in records(trace, "Notification")} >= {"MASTER", "BACKUP"}
    assert len(records(trace, "Gratuitous")) >= 20
    assert {r["node"] for r in records(trace, "Reachability") if r["reachable"]} == {"lb1", "lb2"}


class Verbs:
    """A run of some verbs, and what came of them."""

    def __init__(self, folder, duration, events):
        folder.mkdir()
        trace = folder / "t.jsonl"
        done = lab(pair(folder, duration=duration, events=events), "--json", "--trace", trace)
        assert done.returncode == 0, done.stderr
        assert records(trace, "Remark") == []
        self.trace = trace
        self.states = records(trace, "StateChange")

    def masters(self, node, start_s, end_s):
        then = (r["at_ns"] / 1e9 for r in self.states if (r["node"], r["new"]) == (node, "MASTER"))
        return [at_s for at_s in then if start_s <= at_s < end_s]


def test_every_verb_does_what_it_says(tmp_path):
    """Two labs at once: lb1 is master again before each verb."""
    with ThreadPoolExecutor(2) as pool:
        about_daemons = pool.submit(Verbs, tmp_path / "daemons", "24s", DAEMONS)
        about_machines = pool.submit(Verbs, tmp_path / "machines", "24s", MACHINES)
    run = about_daemons.result()
    left = [r for r in run.states if r["node"] == "lb1" and r["new"] == "INIT"]
    assert [r["reason"] for r in left] == ["stop"]
    assert run.masters("lb2", 3, 4.5)
    assert run.masters("lb2", 7, 8.5)
    assert run.masters("lb2", 13, 15.5)
    assert run.masters("lb2", 18.5, 22)  # the check hung for longer than its interval
    frozen = [r["state"] for r in records(run.trace, "ProcessChange") if r["process"] == "haproxy"]
    assert "frozen" in frozen
    web = [r for r in records(run.trace, "Reachability") if r["client"] == "web" and not r["reachable"]]
    assert any(11 <= r["at_ns"] / 1e9 < 12 for r in web)

    run = about_machines.result()
    assert [r["node"] for r in run.states if r["new"] == "FAULT"] == ["lb1"]
    assert [r["state"] for r in records(run.trace, "NodeChange")] == ["paused", "on"]
    assert run.masters("lb2", 3, 4.5)
    assert run.masters("lb2", 6.5, 8)
    assert run.masters("lb2", 10, 11.5)  # beside lb1, which stays
    assert run.masters("lb2", 13, 14.5)
    assert run.masters("lb1", 16, 18)  # itself again
    assert run.masters("lb2", 18, 19.5)
    assert run.masters("lb2", 22, 24) or run.masters("lb1", 22, 24)  # both heard a stronger one, once


def test_we_and_keepalived_make_a_pair(tmp_path):
    expect = "  owner: {4900ms: lb1, 6500ms: lb2, end: lb2}\n"
    scenario = pair(tmp_path, duration="7s", events="  - {at: 5s, power_off: master}\n", expect=expect)
    roles = ("lb1=vrrpsim,lb2=keepalived", "lb1=keepalived,lb2=vrrpsim")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda daemons: lab(scenario, "--daemon", daemons, "-q"), roles))
    assert [(done.returncode, done.stdout) for done in both] == [(0, "passed: 3 of 3 expectations\n")] * 2, [
        done.stderr for done in both
    ]


def test_runs_are_compared_with_the_simulator(tmp_path):
    scenario = pair(tmp_path, duration="8s", events="  - {at: {uniform: [3s, 4s]}, kill: master/haproxy}\n")
    done = lab(scenario, "-n", 4, "-p", 4, "--compare", "--json")
    document = json.loads(done.stdout)
    assert [run["seed"] for run in document["runs"]] == [1, 2, 3, 4]
    assert document["compare"]["failover"]["real"]["n"] == 4
    assert document["compare"]["failover"]["simulated"]["n"] > 150
    assert document["compare"]["failover"]["agrees"]
    assert document["compare"]["final"]["agrees"]
    assert done.returncode == (0 if document["agrees"] else 1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lab_that_is_ended_leaves_nothing(tmp_path, number):
    words = [
        sys.executable,
        "-m",
        "vrrpsim",
        "lab",
        str(pair(tmp_path, duration="60s")),
        "-n",
        "2",
        "-p",
        "2",
    ]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def made():
        return networks(marked(running.pid)) - networks([os.getpid()])

    wait_until(lambda: running.poll() is not None or (len(marked(running.pid)) >= 22 and len(made()) >= 6))
    with ExitStack() as held:  # lest their numbers are given to others
        for pid in marked(running.pid):
            with suppress(OSError):
                held.enter_context(Path(f"/proc/{pid}/ns/net").open("rb"))
        ours = made()
        assert len(ours) == 2 * 3  # the bridges' and two machines', twice
        running.send_signal(number)
        running.communicate(timeout=60)
        assert running.returncode == (130 if number == signal.SIGTERM else -number)
        wait_until(lambda: not marked(running.pid))
        everybody = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        assert not ours & networks(everybody)


def test_an_interrupt_prints_what_is_finished(tmp_path):
    scenario = pair(tmp_path, duration="4s", expect="  owner: {end: lb1}\n")
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "vrrpsim", "lab", str(scenario), "-n", "50"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )
    first = running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert first == "seed 1: passed: 1 of 1 expectation\n"
    assert running.returncode == 130
    assert said.splitlines()[-1] == "interrupted"
    wait_until(lambda: not marked(running.pid))


NETWORK = """\
  - {at: 4s, link_down: sw1-sw2, for: 2s}
  - {at: 9s, power_off: sw1, for: 2s}
  - {at: 14s, impair: sw1-sw2, loss: 100%, only: [vrrp], from: sw1, for: 2s}
  - {at: 19s, partition: [[sw1], [lb2/eth0]], for: 2s}
"""


def test_two_switches_and_the_cable_between_them_fail(tmp_path):
    scenario = pair(tmp_path, duration="23s", events=NETWORK)
    cables = "[[lb1/eth0, sw1], [lb2/eth0, sw2], [web, sw2], [tcp, sw1], [sw1, sw2]]"
    said = f"switches: {{sw1: {{}}, sw2: {{}}}}\ncables: {cables}\nnodes:"
    scenario.write_text(scenario.read_text().replace("nodes:", said, 1))
    trace = tmp_path / "t.jsonl"
    done = lab(scenario, "--trace", trace)
    assert done.returncode == 0, done.stdout + done.stderr
    changes = records(trace, "StateChange")

    def became(node, state):
        return [
            int(r["at_ns"] / 1e9)
            for r in changes
            if (r["node"], r["new"]) == (node, state) and r["at_ns"] > 3.9e9
        ]

    assert became("lb1", "FAULT") == [9]
    assert became("lb2", "MASTER") == [4, 9, 14, 19]
    assert len(became("lb2", "BACKUP")) == 4
    lost = {
        (r["source"], r["destination"], r["reason"])
        for r in records(trace, "FrameLost")
        if r["kind"] == "vrrp"
    }
    assert {each for each in lost if each[1] == "lb2:eth0"} == {
        ("lb1:eth0", "lb2:eth0", "cable"),
        ("lb1:eth0", "lb2:eth0", "loss"),
        ("lb1:eth0", "lb2:eth0", "partition"),
    }
    assert {reason for source, _, reason in lost if source == "lb2:eth0"} == {"cable", "partition"}
