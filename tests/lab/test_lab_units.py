"""The lab without namespaces: what it refuses, what it writes, when its events fire, how it reads."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lab_files import lab, pair

from vrrpsim.explore.comparison import Shown, compare, plausible, same, told, verdict
from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.lab import programs, refusals
from vrrpsim.lab.client import address_of
from vrrpsim.lab.faults import LabFaults
from vrrpsim.lab.network import kinds, paths
from vrrpsim.lab.ordering import in_order
from vrrpsim.lab.recorder import Recorder
from vrrpsim.lab.runner import MARK, clean_up
from vrrpsim.lab.wiring import wiring_of
from vrrpsim.scenario.addressing import link_local
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.random_streams import Streams
from vrrpsim.scenario.verbs import VERBS
from vrrpsim.trace import (
    AddressChange,
    AdvertSent,
    Fault,
    FaultEnd,
    Gratuitous,
    Level,
    PriorityChange,
    StateChange,
    TrackerChange,
)
from vrrpsim.world import simulate

SCENARIOS = Path(__file__).parents[2] / "scenarios"
KEEPALIVED = {"lb1": "keepalived", "lb2": "keepalived"}


# --- refusals


def test_what_cannot_be_done_is_said_at_once_with_its_place(tmp_path):
    events = """\
  - {at: 1s, starve: lb1, delay: 1s}
  - {at: 2s, impair: lan, delay: 10ms, burst: 2, loss: 5%}
  - {at: 3s, inject: lan, advert: {vrid: 5, priority: 1, auth_type: ah, auth_pass: x}}
"""
    scenario = pair(tmp_path, duration="5s", events=events)
    text = scenario.read_text().replace("pkill -0 haproxy", "systemctl is-active haproxy", 1)
    scenario.write_text(text.replace("every: 200ms,", "every: 200ms, neighbours: {lifetime: 4h},"))
    done = lab(scenario)
    lines = done.stderr.splitlines()
    assert done.returncode == 4
    assert done.stdout == ""
    starve = 1 + text.splitlines().index("  - {at: 1s, starve: lb1, delay: 1s}")
    assert f"{scenario}:{starve}:14: events[0].starve: the lab cannot do this" in done.stderr
    for path in (
        "events[1].delay",
        "events[1].burst",
        "clients.tcp.neighbours",
    ):
        assert sum(path in line for line in lines) == 1, path
    assert sum("systemctl" in line for line in lines) == 1
    assert len(lines) == 5


def test_keepalived_hears_of_no_process_in_a_namespace_but_we_look(monkeypatch):
    scenario = load_scenario(SCENARIOS / "three-nodes-v3.yaml")
    monkeypatch.setattr(refusals, "find", lambda name: f"/bin/{name}")
    monkeypatch.setattr(refusals, "_no_namespaces", list)
    with pytest.raises(refusals.Impossible, match="track_process") as caught:
        refusals.refuse(scenario, dict.fromkeys(scenario.nodes, "keepalived"))
    assert len(str(caught.value).splitlines()) == 3
    refusals.refuse(scenario, dict.fromkeys(scenario.nodes, "vrrpsim"))


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    scenario = load_scenario(pair(tmp_path, duration="5s"))
    monkeypatch.setattr(refusals, "find", lambda name: None if name in ("haproxy", "nft") else "/bin/x")
    with pytest.raises(refusals.Impossible) as caught:
        refusals.refuse(scenario, KEEPALIVED)
    assert str(caught.value).splitlines() == ["this machine has no nft", "this machine has no haproxy"]
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--daemon", "lbl1=vrrpsim"], "no node 'lbl1'; did you mean 'lb1'?"),
        (["--daemon", "keepalivd"], "'keepalivd' is neither keepalived nor vrrpsim nor NODE=DAEMON"),
        (["--daemon", "lb1=frr"], "write lb1=keepalived or vrrpsim"),
        (["--trace", "t.jsonl", "-n", "2"], "--trace takes one run"),
    ],
)
def test_a_wrong_command_line_is_explained(tmp_path, words, says):
    done = lab(pair(tmp_path, duration="5s"), *words)
    assert done.returncode == 2
    assert says in done.stderr


# --- events


class Clockwork:
    """A run without a cluster, whose time passes when somebody sleeps."""

    def __init__(self, scenario, seed):
        self.scenario, self.seed = scenario, seed
        self.records, self.time_ns, self.recorder = [], 0, self

    def now_ns(self):
        return self.time_ns

    def add(self, record):
        self.records.append(record)

    async def sleep(self, seconds):
        self.time_ns += round(seconds * 1e9)

    def draw_ns(self, distribution, purpose):
        return Streams(self.seed).draw_ns(distribution, purpose)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_events_fire_when_the_simulator_fires_them(path, monkeypatch):
    scenario = load_scenario(path)
    for seed in (1, 2):
        run = Clockwork(scenario, seed)
        faults = LabFaults(run, {}, {})

        async def meet(event, _number):
            async def undo():
                pass

            return ("somebody",), undo if VERBS[event.verb].lasts else None

        monkeypatch.setattr(asyncio, "sleep", run.sleep)
        monkeypatch.setattr(faults, "_apply", meet)
        asyncio.run(faults.work())
        monkeypatch.undo()
        theirs = [
            r for r in simulate(scenario, seed=seed, level=Level.STATES).records if isinstance(r, Fault)
        ]
        ours = [r for r in run.records if isinstance(r, Fault)]
        assert [(r.verb, r.name, r.target, r.detail) for r in ours] == [
            (r.verb, r.name, r.target, r.detail) for r in theirs
        ]
        for mine, other in zip(ours, theirs, strict=True):
            assert abs(mine.at_ns - other.at_ns) < 1000
            if other.until_ns is not None:
                assert abs(mine.until_ns - other.until_ns) < 1000


def test_a_repair_waits_for_the_last_fault_of_its_kind(tmp_path):
    events = "  - {at: 1s, kill: lb1/haproxy, for: 3s}\n  - {at: 2s, kill: lb1/haproxy, for: 1s}\n"
    run = Clockwork(load_scenario(pair(tmp_path, duration="9s", events=events)), 1)
    done = []

    async def meet(_event, number):
        async def undo():
            done.append((number, round(run.time_ns / 1e9)))

        return ("lb1/haproxy",), undo

    faults = LabFaults(run, {}, {})
    faults._apply = meet
    real, asyncio.sleep = asyncio.sleep, run.sleep
    try:
        asyncio.run(faults.work())
    finally:
        asyncio.sleep = real
    assert [(r.number, round(r.at_ns / 1e9)) for r in run.records if isinstance(r, FaultEnd)] == [
        (1, 3),
        (0, 4),
    ]
    assert done == [(0, 4)]


# --- files


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "ROOM", tmp_path)
    (tmp_path / "lb1").mkdir()
    return tmp_path / "lb1"


def written(room):
    return (room / "keepalived.conf").read_text()


def test_a_file_is_read_by_the_daemon_as_it_is(room):
    model = load_scenario(SCENARIOS / "haproxy-crash.yaml").nodes["lb1"].keepalived
    programs.Conf("lb1", model, []).write()
    assert f"\ninclude {model.file.resolve()}\n" in written(room)
    config = compile_text(written(room), base=room).config
    assert config.vrrp_notify_fifo == programs.FIFO
    assert config.instances == model.config.instances
    assert (room / "keepalived.conf").stat().st_mode & 0o077 == 0


def test_a_file_in_which_a_keyword_is_set_is_not_read_as_it_is(room):
    overrides = {"lb1.VI_1.advert_int": "3"}
    model = load_scenario(SCENARIOS / "haproxy-crash.yaml", overrides=overrides).nodes["lb1"].keepalived
    programs.Conf("lb1", model, []).write()
    assert compile_text(written(room), base=room).config.instances == model.config.instances
    assert model.config.instances[0].advert_int_ns == 3_000_000_000


def test_inline_configuration_comes_back_as_it_was(room):
    for path in sorted(SCENARIOS.glob("*.yaml")):
        scenario = load_scenario(path)
        for node in scenario.nodes.values():
            if node.keepalived is None or node.keepalived.probes:
                continue
            programs.Conf("lb1", node.keepalived, []).write()
            config = compile_text(written(room), base=room, config_id=node.keepalived.config_id).config
            assert config.instances == node.keepalived.config.instances, path
            assert config.groups == node.keepalived.config.groups, path


def test_events_stand_in_front_of_a_check(room):
    model = load_scenario(SCENARIOS / "haproxy-crash.yaml").nodes["lb1"].keepalived
    conf = programs.Conf("lb1", model, ["chk_haproxy"])
    conf.priorities["VI_1"] = 50
    conf.write()
    config = compile_text(written(room), base=room).config
    assert [script.command for script in config.scripts] == ["/run/check-chk_haproxy"]
    assert [instance.priority for instance in config.instances] == [50]
    check = (
        (room / "check-chk_haproxy")
        .read_text()
        .replace("/run/", f"{room}/")
        .replace("pkill -0 haproxy", "true")
    )
    (room / "check").write_text(check)

    def look():
        return subprocess.run(["sh", room / "check"], timeout=60, check=False).returncode

    assert look() == 0
    conf.force("chk_haproxy", "fail")
    assert look() == 1
    conf.force("chk_haproxy", "hang")
    hanging = subprocess.Popen(["sh", room / "check"])
    with pytest.raises(subprocess.TimeoutExpired):
        hanging.wait(0.3)
    conf.force("chk_haproxy", None)
    assert hanging.wait(60) == 0


def test_clients_get_addresses_that_nobody_has(tmp_path):
    scenario = load_scenario(pair(tmp_path, duration="5s"))
    assert address_of(scenario, "web") == "192.168.50.254/24"
    assert address_of(scenario, "tcp") == "192.168.50.253/24"


# --- frames


def test_impairments_in_the_words_of_nftables():
    assert paths(["p1"], ["p2", "p3"]) == ['iifname { "p1" } oifname { "p2", "p3" }']
    assert paths(None, None) == [""]
    assert kinds((), {}) == [""]
    assert kinds(("vrrp",), {}) == ["ether type ip ip protocol 112", "ether type ip6 ip6 nexthdr 112"]
    assert "arp saddr ip 10.0.0.1 arp daddr ip 10.0.0.1" in kinds(("garp",), {4: ["10.0.0.1"]})
    assert str(link_local(bytes.fromhex("020000000100"))) == "fe80::ff:fe00:100/64"


# --- the trace


def test_logs_become_records_in_their_causal_order(tmp_path):
    scenario = load_scenario(pair(tmp_path, duration="5s"))
    configs = {name: node.keepalived.config for name, node in scenario.nodes.items()}
    recorder = Recorder(scenario, configs)
    clock = iter(range(100_000_000, 10_000_000_000, 100_000_000))
    recorder.now_ns = lambda: next(clock)
    recorder.said("lb1", "Sun Nov 22 19:37:22 2026: (VI) Entering BACKUP STATE (init)")
    recorder.said("lb1", "x: VRRP_Script(chk) succeeded")
    recorder.said("lb1", "x: (VI) Changing effective priority from 101 to 111")
    recorder.add(Gratuitous(490_000_000, "lb1", "eth0", "192.168.50.108", "02:00:00:00:01:00"))
    recorder.add(AddressChange(495_000_000, "lb1", "eth0", "192.168.50.108", True))
    recorder.now_ns = lambda: 500_000_000
    recorder.said("lb1", "x: (VI) Entering MASTER STATE")
    recorder.said("lb1", "x: (VI) Entering MASTER STATE")  # again: nothing new
    assert recorder.states == {("lb1", "VI"): "MASTER"}
    kinds_seen = (StateChange, TrackerChange, PriorityChange, AddressChange, Gratuitous)
    records = [r for r in recorder.trace(5_000_000_000).records if isinstance(r, kinds_seen)]
    assert [type(r).__name__ for r in records] == [
        "StateChange",
        "TrackerChange",
        "PriorityChange",
        "StateChange",
        "AddressChange",
        "Gratuitous",
    ]
    assert [r.at_ns for r in records[3:]] == [490_000_000] * 3  # read later than it happened
    assert records[0].reason == "init"
    assert records[1].ok
    recorder.daemon_gone("lb1")
    assert recorder.states == {}


def test_a_daemon_that_starts_in_fault_is_in_fault(tmp_path):
    scenario = load_scenario(pair(tmp_path, duration="5s"))
    recorder = Recorder(scenario, {name: node.keepalived.config for name, node in scenario.nodes.items()})
    recorder.said("lb1", "x: (VI): entering FAULT state (interface eth0 down)")
    recorder.said("lb1", "x: (VI) entering FAULT state")
    assert recorder.states == {("lb1", "VI"): "FAULT"}
    assert [each.new for each in recorder.records if isinstance(each, StateChange)] == ["FAULT"]


@pytest.mark.parametrize(
    ("source", "destination", "flushed", "heard"),
    [
        ("10.0.0.2", "10.0.0.2", False, True),
        ("10.0.0.2", "10.0.0.2", True, False),
        ("10.0.0.2", "10.0.0.22", False, False),
        (None, "10.0.0.2", False, True),
        (None, "fd00::2", False, False),
        (None, "fe80::2", False, True),
    ],
)
def test_an_advert_that_no_socket_gets_is_not_the_last_one_heard(source, destination, flushed, heard):
    """A unicast socket is bound to the source: of IPv6 without one that is the link-local address."""
    vip, peer = ("fd00::9", "fd00::1") if ":" in destination else ("10.0.0.9", "10.0.0.1")
    said = f"unicast_src_ip {source}\n" if source else ""
    text = (
        f"vrrp_instance VI {{\ninterface eth0\nvirtual_router_id 1\nversion 3\npriority 90\n{said}"
        f"unicast_peer {{\n{peer}\n}}\nvirtual_ipaddress {{\n{vip}\n}}\n}}\n"
    )
    config = compile_text(text).config
    records = [
        AdvertSent(1_000_000_000, "lb1", "VI", 100, destination),
        StateChange(4_600_000_000, "lb2", "VI", "BACKUP", "MASTER", ""),
    ]
    if flushed:
        records.insert(0, Fault(500_000_000, 0, "", "flush_address", "lb2", ("lb2",), detail=destination))
    *_, change = in_order(records, {"lb1": config, "lb2": config}, lambda node: "keepalived-2.2.7")
    assert (change.last_advert_ns is not None) is heard


@pytest.mark.parametrize(("priority", "heard"), [(100, True), (0, False), (80, False)])
def test_an_advert_that_resigns_or_is_discarded_is_not_the_last_one_accepted(priority, heard):
    """As in the simulator: a backup of 90 is not kept down by it (FSM-12, FSM-16)."""
    text = "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 1\npriority 90\n}\n"
    config = compile_text(text).config
    records = [
        AdvertSent(1_000_000_000, "lb1", "VI", priority, "224.0.0.18"),
        StateChange(4_600_000_000, "lb2", "VI", "BACKUP", "MASTER", ""),
    ]
    *_, change = in_order(records, {"lb1": config, "lb2": config}, lambda node: "keepalived-2.2.7")
    assert (change.last_advert_ns is not None) is heard


# --- agreement


def shown(failover_s, final="lb1"):
    return Shown((round(failover_s * 1e9), None, None, 0, 0), "1", final)


def test_samples_agree_by_the_rule_of_the_recordings():
    ours = [3.0 + k / 200 for k in range(200)]
    assert same(ours[::20], ours, 0.03)[0]
    assert not same([each + 2 for each in ours[::20]], ours, 0.03)[0]
    assert same([0.601] * 10, [0.602] * 200, 0.03)[0]  # near, though Kolmogorov and Smirnov tell them apart
    assert same([], [], 0.03)[0]
    assert not same([1.0], [], 0.03)[0]
    assert plausible(["a"] * 10, ["a"] * 195 + ["b"] * 5) == (True, pytest.approx(0.975))
    assert not plausible(["b"] * 10, ["a"] * 195 + ["b"] * 5)[0]


def test_the_verdict_names_what_differs():
    ours = [shown(3.0 + k / 200) for k in range(200)]
    good = compare([shown(3.0 + k / 10) for k in range(10)], ours)
    assert verdict(good) == "agrees"
    bad = compare([shown(6.0 + k / 10, "lb2") for k in range(10)], ours)
    assert verdict(bad) == "differs: failover, final"
    lines = told(bad, 10, 200)
    assert lines[-1] == verdict(bad)
    assert [line.split()[0] for line in lines[1:-1] if line.endswith("DIFFERS")] == ["failover", "final"]


# --- leftovers


def test_clean_up_ends_only_what_a_dead_lab_has_left():
    def sleeper(mark):
        environment = {**os.environ, **({MARK: mark} if mark else {})}
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)

    dead = sleeper(f"{os.getpid()}:1")  # the number is somebody else's now
    alive = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    others = [sleeper(f"{os.getpid()}:{alive}"), sleeper("")]
    try:
        assert clean_up() >= 1
        assert dead.wait(60) < 0
        assert [each.poll() for each in others] == [None, None]
    finally:
        for each in (dead, *others):
            each.kill()
            each.wait()


def wired(folder):
    """The pair on two switches, its clients on the second one."""
    path = pair(folder, duration="20s")
    cables = ["[lb1/eth0, sw1]", "[lb2/eth0, sw2]", "[web, sw2]", "[tcp, sw2]", "[sw1, sw2]"]
    said = f"switches: {{sw1: {{mac_age: 20s}}, sw2: {{}}}}\ncables: [{', '.join(cables)}]\n"
    path.write_text(path.read_text().replace("nodes:", f"{said}nodes:", 1))
    return load_scenario(path)


def test_a_switch_is_a_bridge_for_each_segment_and_a_cable_a_trunk(tmp_path):
    wiring = wiring_of(wired(tmp_path))
    assert wiring.bridges == ("sw1/lan", "sw2/lan")
    assert wiring.ages == {"sw1/lan": 20 * 10**9, "sw2/lan": 300 * 10**9}
    assert wiring.homes == {"lb1/eth0": "sw1/lan", "lb2/eth0": "sw2/lan", "web": "sw2/lan", "tcp": "sw2/lan"}
    assert wiring.of_switch("sw2") == ["lb2/eth0", "web", "tcp"]
    (trunk,) = wiring.trunks
    assert (trunk.cable, trunk.bridge(0), trunk.bridge(1)) == ("sw1-sw2", "sw1/lan", "sw2/lan")
    assert wiring.beyond(trunk, 0) == ["lb2/eth0", "web", "tcp"]
    assert wiring.beyond(trunk, 1) == ["lb1/eth0"]
    assert wiring.out_of_reach("lb2/eth0", ()) == []
    assert wiring.out_of_reach("lb2/eth0", {trunk}) == ["lb1/eth0"]


def test_a_segment_without_cables_is_one_bridge(tmp_path):
    wiring = wiring_of(load_scenario(pair(tmp_path, duration="5s")))
    assert (wiring.bridges, wiring.trunks, wiring.ages) == (("lan",), (), {})
    assert not any(map(wiring.wired, wiring.homes))


def test_what_a_cable_of_the_lab_cannot_do_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(refusals, "find", lambda name: f"/bin/{name}")
    monkeypatch.setattr(refusals, "_no_namespaces", list)
    scenario = wired(tmp_path)
    slow = scenario.cables[-1]._replace(delay=Distribution.fixed(20_000_000), burst=2.0, loss=0.1)
    scenario = replace(scenario, cables=(*scenario.cables[:-1], slow))
    with pytest.raises(refusals.Impossible) as caught:
        refusals.refuse(scenario, dict.fromkeys(scenario.nodes, "keepalived"))
    assert [line.partition(": ")[2] for line in str(caught.value).splitlines()] == [
        "cables[4].burst: the lab cannot do this: a bridge only loses frames",
        "cables[4].delay: the lab cannot do this: a cable between bridges has no delay to speak of",
    ]
