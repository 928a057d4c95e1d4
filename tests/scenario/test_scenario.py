import pickle
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest

from vrrpsim.explore.sweep_manifest import fingerprint
from vrrpsim.findings import InputError, Severity
from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.scenario.events import (
    NO_PARAMETERS,
    AddAddress,
    FlushAddress,
    Impairment,
    Inject,
    NoParameters,
    Partition,
    Reload,
    SetPriority,
    Starve,
    Target,
    When,
)
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import HostLatency, Owns, Probe, Stalls, once
from vrrpsim.scenario.quantities import Distribution

S = 1_000_000_000
GROUNDTRUTH = Path(__file__).parents[1] / "groundtruth"

CONF = """\
vrrp_script chk_haproxy {
  script "/usr/bin/pkill -0 haproxy"
  interval 2
  weight 2
}
vrrp_instance VI_1 {
  state MASTER
  interface eth0
  virtual_router_id 51
  priority 101
  nopreempt
  advert_int 1
  unicast_src_ip 10.0.0.1
  unicast_peer {
    10.0.0.2
  }
  authentication {
    auth_type PASS
    auth_pass 1234
  }
  virtual_ipaddress {
    10.0.0.100/24 dev eth0
  }
  track_script {
    chk_haproxy
  }
}
"""
INLINE = """
      vrrp_scripts: {chk_haproxy: {script: "/usr/bin/pkill -0 haproxy", interval: 2, weight: 2}}
      vrrp_instances:
        VI_1:
          state: MASTER
          interface: eth0
          virtual_router_id: 51
          priority: 101
          nopreempt: true
          dont_track_primary: false
          advert_int: 1s
          unicast_src_ip: 10.0.0.1
          unicast_peer: [10.0.0.2]
          authentication: {auth_type: PASS, auth_pass: "1234"}
          virtual_ipaddress: [10.0.0.100/24 dev eth0]
          track_script: [chk_haproxy]
"""
SCENARIO = """\
version: 1
name: two
duration: 1m
segments:
  lan: {subnet: 10.0.0.0/24, delay: {uniform: [80us, 400us]}, loss: 1%, burst: 2}
nodes:
  lb1:
    interfaces: {eth0: {segment: lan, address: [10.0.0.1, "fe80::1/64"], mac: "02:00:00:00:00:AA"}}
    processes: {haproxy: {serves: [80/tcp], starts: manual, startup: 50ms}}
    keepalived: {file: lb1.conf, starts: {uniform: [0s, 2s]}, probes: {chk_haproxy: {process: haproxy}}}
    slop: {drift: {uniform: [0, 1ms]}, stalls: {every: 10s, lasts: 5ms}}
    boots: 30s
    neighbours: {garp: false, lifetime: 4h}
  lb2:
    interfaces: {eth0: {segment: lan, address: 10.0.0.2/24}}
    processes: {haproxy: {serves: 80/tcp}}
    slop: none
clients:
  web: {segment: lan, address: 10.0.0.50/24, target: "10.0.0.100:80", every: 20ms, timeout: 200ms}
"""


def write(tmp_path, *, events: str = "", expect: str = "", keepalived: str = "", conf: str = CONF) -> Path:
    text = SCENARIO
    if keepalived:
        head, _, tail = text.partition("    keepalived:")
        text = head + "    keepalived:" + keepalived + tail.partition("\n")[2]
    text += f"events:\n{events}" if events else ""
    text += f"expect:\n{expect}" if expect else ""
    (tmp_path / "lb1.conf").write_text(conf)
    path = tmp_path / "two.yaml"
    path.write_text(text)
    return path


def errors(path, **overrides):
    with pytest.raises(InputError) as caught:
        load_scenario(path, **overrides)
    return str(caught.value)


def test_every_value_arrives(tmp_path):
    scenario = load_scenario(write(tmp_path))
    assert (scenario.duration_ns, scenario.seed, scenario.dialect) == (60 * S, 1, "keepalived-2.2.7")
    lan = scenario.segments["lan"]
    assert (lan.subnet, lan.loss, lan.burst) == (ip_network("10.0.0.0/24"), 0.01, 2.0)
    assert lan.delay == Distribution("uniform", (80_000, 400_000))
    lb1, lb2 = scenario.nodes["lb1"], scenario.nodes["lb2"]
    assert lb1.interfaces["eth0"].addresses == (ip_interface("10.0.0.1/24"), ip_interface("fe80::1/64"))
    assert lb1.interfaces["eth0"].mac == "02:00:00:00:00:aa"
    assert lb1.processes["haproxy"].starts == "manual"
    assert lb1.processes["haproxy"].starts_up == Distribution.fixed(50_000_000)
    assert lb1.keepalived is not None
    assert lb1.keepalived.file == tmp_path / "lb1.conf"
    assert lb1.keepalived.probes == {"chk_haproxy": Probe(process="haproxy")}
    assert lb1.keepalived.starts == Distribution.uniform(0, 2 * S)
    stalls = Stalls(Distribution.fixed(10 * S), Distribution.fixed(5_000_000))
    assert lb1.slop == HostLatency("custom", Distribution.uniform(0, 1_000_000), stalls)
    assert lb1.boots == Distribution.fixed(30 * S)
    assert (lb1.neighbours.garp, lb1.neighbours.lifetime) == (False, Distribution.fixed(4 * 3600 * S))
    assert (lb2.slop, lb2.keepalived) == (HostLatency("none"), None)
    assert lb2.processes["haproxy"].serves == ("80/tcp",)
    web = scenario.clients["web"]
    assert web.target == (ip_address("10.0.0.100"), 80)
    assert (web.every_ns, web.timeout_ns, web.address) == (
        20_000_000,
        200_000_000,
        ip_interface("10.0.0.50/24"),
    )


def test_inline_and_file_mean_the_same(tmp_path):
    inline = load_scenario(write(tmp_path, keepalived=INLINE)).nodes["lb1"].keepalived
    assert inline is not None
    assert inline.file is None
    assert inline.config == compile_text(CONF).config


def test_inline_keywords_of_every_kind(tmp_path):
    keepalived = """
      global_defs: {router_id: lb1, vrrp_garp_master_repeat: 2, vrrp_startup_delay: 500ms}
      vrrp_track_processes: {proxy: {process: haproxy, weight: 5, delay: 1.5}}
      track_files: {manual: {file: /run/manual, weight: 3 reverse}}
      interface_up_down_delays: {eth0: [2, 3]}
      vrrp_sync_groups: {G: {group: [VI_1, VI_2]}}
      vrrp_instances:
        VI_1: {interface: eth0, virtual_router_id: 1, virtual_ipaddress: 10.0.0.100, track_process: proxy,
               track_file: {manual: {weight: 7}}, advert_int: 250ms, version: 3}
        VI_2: {interface: eth0, virtual_router_id: 2, virtual_ipaddress: {10.0.0.101/24: {dev: eth0}},
               track_interface: [eth0 weight 9], version: 3, higher_prio_send_advert: true}
"""
    conf = """\
global_defs {
  router_id lb1
  vrrp_garp_master_repeat 2
  vrrp_startup_delay 0.5
}
vrrp_track_process proxy {
  process haproxy
  weight 5
  delay 1.5
}
track_file manual {
  file /run/manual
  weight 3 reverse
}
interface_up_down_delays {
  eth0 2 3
}
vrrp_sync_group G {
  group {
    VI_1 VI_2
  }
}
vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 1
  virtual_ipaddress {
    10.0.0.100
  }
  track_process {
    proxy
  }
  track_file {
    manual weight 7
  }
  advert_int 0.25
  version 3
}
vrrp_instance VI_2 {
  interface eth0
  virtual_router_id 2
  virtual_ipaddress {
    10.0.0.101/24 dev eth0
  }
  track_interface {
    eth0 weight 9
  }
  version 3
  higher_prio_send_advert
}
"""
    found = load_scenario(write(tmp_path, keepalived=keepalived)).nodes["lb1"].keepalived
    assert found is not None
    assert found.config == compile_text(conf).config


def test_a_probe_stands_beside_an_inline_script(tmp_path):
    inline = INLINE.replace("interval: 2,", "interval: 2, probe: {serves: 80/tcp},")
    keepalived = load_scenario(write(tmp_path, keepalived=inline)).nodes["lb1"].keepalived
    assert keepalived is not None
    assert keepalived.probes == {"chk_haproxy": Probe(serves="80/tcp")}


EVENTS = [
    ("kill: lb1/haproxy", Target("lb1/haproxy", node="lb1", item="haproxy"), NoParameters()),
    ("stop: lb1/keepalived", Target("lb1/keepalived", node="lb1", item="keepalived"), NoParameters()),
    ("freeze: master/haproxy", Target("master/haproxy", role="master", item="haproxy"), NoParameters()),
    ("pass: lb1/chk_haproxy", Target("lb1/chk_haproxy", node="lb1", item="chk_haproxy"), NoParameters()),
    (
        "link_down: master(VI_1)/eth0",
        Target("master(VI_1)/eth0", role="master", instance="VI_1", item="eth0"),
        NoParameters(),
    ),
    ("power_off: backup", Target("backup", role="backup"), NoParameters()),
    ("pause: lb2, for: 3s", Target("lb2", node="lb2"), NoParameters()),
    ("reload: lb1", Target("lb1", node="lb1"), Reload()),
    (
        "partition: [[lb1], [master, web]], one_way: true",
        None,
        Partition(
            ((Target("lb1", node="lb1"),), (Target("master", role="master"), Target("web", client="web"))),
            True,
        ),
    ),
    (
        "impair: lan, only: [vrrp], loss: 30%, burst: 3, from: lb1, to: [lb2]",
        Target("lan", segment="lan"),
        Impairment(
            loss=0.3,
            burst=3.0,
            only=("vrrp",),
            senders=(Target("lb1", node="lb1"),),
            receivers=(Target("lb2", node="lb2"),),
        ),
    ),
    (
        "impair: lb1/eth0, delay: 5ms",
        Target("lb1/eth0", node="lb1", item="eth0"),
        Impairment(delay=Distribution.fixed(5_000_000)),
    ),
    (
        "starve: lb1, delay: {exponential: 1s}",
        Target("lb1", node="lb1"),
        Starve(Distribution("exponential", (S,))),
    ),
    (
        "flush_address: lb1, address: 10.0.0.100",
        Target("lb1", node="lb1"),
        FlushAddress(ip_address("10.0.0.100")),
    ),
    ("set_down: lb1/eth0", Target("lb1/eth0", node="lb1", item="eth0"), NO_PARAMETERS),
    (
        "add_address: lb1/eth0, address: 10.0.0.9/24",
        Target("lb1/eth0", node="lb1", item="eth0"),
        AddAddress(ip_interface("10.0.0.9/24")),
    ),
    ("set: lb1/VI_1, priority: 50", Target("lb1/VI_1", node="lb1", item="VI_1"), SetPriority(50)),
]


@pytest.mark.parametrize(("verb", "target", "parameters"), EVENTS, ids=[row[0][:30] for row in EVENTS])
def test_every_verb_becomes_an_event(verb, target, parameters, tmp_path):
    [event] = load_scenario(write(tmp_path, events=f"  - {{at: 5s, {verb}}}\n")).events
    assert (event.verb, event.target, event.parameters) == (verb.partition(":")[0], target, parameters)
    assert event.at == When(Distribution.fixed(5 * S))


def test_an_injected_advert(tmp_path):
    text = """\
  - {at: 5s, every: 1s, count: 3, inject: lan, advert: {vrid: 51, priority: 255, source: 10.0.0.9}}
"""
    [event] = load_scenario(write(tmp_path, events=text)).events
    assert isinstance(event.parameters, Inject)
    advert = event.parameters.advert
    assert (advert.vrid, advert.priority, advert.source, advert.version) == (
        51,
        255,
        ip_address("10.0.0.9"),
        2,
    )
    assert (event.every, event.count) == (Distribution.fixed(S), 3)


def test_a_reload_brings_another_configuration(tmp_path):
    (tmp_path / "new.conf").write_text(CONF.replace("priority 101", "priority 90"))
    path = write(tmp_path, events="  - {at: 5s, reload: lb1, config: new.conf}\n")
    [event] = load_scenario(path).events
    assert isinstance(event.parameters, Reload)
    assert event.parameters.config is not None
    assert event.parameters.config.instances[0].priority == 90


def test_events_may_follow_each_other(tmp_path):
    events = """\
  - {at: {after: crash, plus: {uniform: [1s, 2s]}}, start: lb1/haproxy}
  - {at: 5s, name: crash, kill: lb1/haproxy}
"""
    first, second = load_scenario(write(tmp_path, events=events)).events
    assert first.at == When(Distribution.uniform(S, 2 * S), after="crash")
    assert (first.name, second.name) == ("start-0", "crash")


def test_expectations_in_order_of_time(tmp_path):
    expect = """\
  owner: {end: lb1, 30s: lb2, 11s: lb1}
  owner.10.0.0.100: {20s: lb2}
  outage.web: {p99: 6s, max: 7s}
  moves: {min: 1, max: 2}
"""
    found = load_scenario(write(tmp_path, expect=expect)).expect
    assert found is not None
    assert found.owner == (
        Owns(11 * S, "lb1"),
        Owns(20 * S, "lb2", "10.0.0.100"),
        Owns(30 * S, "lb2"),
        Owns("end", "lb1"),
    )
    assert [(b.measure, b.client, b.statistic, b.limit) for b in found.bounds] == [
        ("moves", None, "max", 2),
        ("moves", None, "min", 1),
        ("outage", "web", "max", 7 * S),
        ("outage", "web", "p99", 6 * S),
    ]
    assert found.bounds[3].place is not None
    assert found.bounds[3].place.line == 23


def test_errors_of_keepalived_conf_have_their_own_place(tmp_path):
    message = errors(write(tmp_path, conf=CONF.replace("interface eth0", "interface eth1")))
    assert message.startswith(f"{tmp_path}/lb1.conf:8:")
    assert "lb1 has no interface 'eth1'; did you mean 'eth0'?" in message
    path = write(tmp_path, conf=CONF.replace("unicast_src_ip 10.0.0.1", "unicast_src_ip 10.0.0.9"))
    [warning] = [each for each in load_scenario(path).findings if "has no address 10.0.0.9" in each.message]
    assert (warning.place.line, warning.severity) == (
        13,
        Severity.WARNING,
    )  # the daemon's answer is in the run


def test_errors_of_inline_keywords_have_the_place_in_the_scenario(tmp_path):
    message = errors(write(tmp_path, keepalived=INLINE.replace("interface: eth0", "interface: eth1")))
    assert message.startswith(f"{tmp_path}/two.yaml:15:")
    assert "lb1 has no interface 'eth1'" in message


def test_a_fatal_configuration_is_an_error(tmp_path):
    message = errors(write(tmp_path, conf=CONF.replace("  virtual_router_id 51\n", "")))
    assert message.startswith(f"{tmp_path}/lb1.conf:")


def test_warnings_of_the_configuration_are_kept(tmp_path):
    scenario = load_scenario(write(tmp_path, conf=CONF.replace("nopreempt", "noprempt")))
    assert any("noprempt" in finding.message for finding in scenario.findings)


def test_a_star_in_a_path_is_each_of_them(tmp_path):
    path = write(tmp_path, events="  - {at: 3s, pause: lb1, for: 1s}\n  - {at: 4s, pause: lb2, for: 1s}\n")
    scenario = load_scenario(path, overrides={"nodes.*.boots": "7s", "events.*.at": "9s"})
    assert {node.boots.mean_ns for node in scenario.nodes.values()} == {7 * S}
    assert {event.at.plus.mean_ns for event in scenario.events} == {9 * S}
    message = errors(write(tmp_path), overrides={"nodes.*.boot": "7s"})
    assert message.count("did you mean 'boots'?") == len(scenario.nodes)
    assert "no such key" in errors(write(tmp_path), overrides={"nodes.lb1.*.nothing": "1"})


def test_a_client_that_asks_nobody_is_a_warning(tmp_path):
    scenario = load_scenario(write(tmp_path), overrides={"clients.web.target": "10.0.0.77:80"})
    assert [f.message for f in scenario.findings if "10.0.0.77" in f.message]


def test_two_nodes_with_one_address_are_a_warning(tmp_path):
    path = write(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "10.0.0.2/24" in text
    path.write_text(text.replace("10.0.0.2/24", "10.0.0.1/24"), encoding="utf-8")
    [message] = [f.message for f in load_scenario(path).findings if "10.0.0.1" in f.message]
    assert "given twice" in message
    assert "two nodes with one address" in message


def test_a_role_is_ambiguous_with_two_instances(tmp_path):
    conf = CONF + CONF[CONF.index("vrrp_instance") :].replace("VI_1", "VI_2").replace("51", "52").replace(
        ".100", ".101"
    )
    path = write(tmp_path, events="  - {at: 5s, power_off: master}\n", conf=conf)
    assert "'master' is ambiguous; write master(VI_1) or master(VI_2)" in errors(path)


@pytest.mark.parametrize(
    ("override", "value", "read"),
    [
        ("duration", "90s", lambda s: s.duration_ns == 90 * S),
        ("seed", "7", lambda s: s.seed == 7),
        ("segments.lan.loss", "5%", lambda s: s.segments["lan"].loss == 0.05),
        ("segments.lan.jitter", "{uniform: [0, 1ms]}", lambda s: s.segments["lan"].jitter.kind == "uniform"),
        ("nodes.lb2.slop.drift", "1ms", lambda s: s.nodes["lb2"].slop.drift is not None),
        ("events.crash.at", "9s", lambda s: s.events[0].at.plus == Distribution.fixed(9 * S)),
        ("events[0].at", "9s", lambda s: s.events[0].at.plus == Distribution.fixed(9 * S)),
        ("expect.outage.web.max", "9s", lambda s: s.expect.bounds[-1].limit == 9 * S),
        (
            "nodes.lb1.keepalived.vrrp_instances.VI_1.priority",
            "110",
            lambda s: s.nodes["lb1"].keepalived.config.instances[0].priority == 110,
        ),
    ],
)
def test_one_value_can_be_set(override, value, read, tmp_path):
    path = write(
        tmp_path,
        keepalived=INLINE,
        events="  - {at: 5s, name: crash, kill: lb1/haproxy}\n",
        expect="  outage.web: {max: 7s}\n",
    )
    if override.startswith("nodes.lb2.slop"):
        path.write_text(path.read_text().replace("    slop: none\n", ""))
    assert read(load_scenario(path, overrides={override: value}))


@pytest.mark.parametrize(
    ("override", "value", "fragment"),
    [
        ("nodes.lb1.keepalived.VI_1.priority", "300", "'300' is outside 1 to 255"),
        ("nodes.lb1.keepalived.priority", "110", "priority: no block 'priority'"),
        ("nodes.lb3.boots", "1s", "nodes.lb3: no such key"),
        ("segment.lan.loss", "1%", "segment: no such key; did you mean 'segments'?"),
        ("segments.lan.los", "1%", "segments.lan.los: unknown key; did you mean 'loss'?"),
        ("segments.lan.loss", "10", "write 10% or 0.1"),
        ("duration.x", "1", "is a value, not a mapping"),
        ("", "1", "an empty path"),
        ("nodes.lb9", "{}", "nodes.lb9: no such key"),
    ],
)
def test_an_override_that_leads_nowhere_is_an_error(override, value, fragment, tmp_path):
    message = errors(write(tmp_path), overrides={override: value})
    assert fragment in message
    assert message.startswith(f"--set {override}={value}:1:1: ")


def test_merge_keys_and_aliases_are_read(tmp_path):
    path = write(tmp_path)
    text = path.read_text().replace("duration: 1m\n", "duration: &long 1m\n")
    text = text.replace("  web: {", "  base: &base {").replace("every: 20ms, ", "every: 20ms, ")
    text += "  other:\n    <<: *base\n    every: *long\n    address: 10.0.0.51/24\n"
    path.write_text(text)
    clients = load_scenario(path).clients
    assert (clients["other"].every_ns, clients["other"].target) == (60 * S, clients["base"].target)


def test_a_scenario_is_a_value(tmp_path):
    path = write(tmp_path, events="  - {at: 5s, kill: lb1/haproxy}\n", expect="  owner: {end: lb1}\n")
    scenario = load_scenario(path)
    assert pickle.loads(pickle.dumps(scenario)) == scenario == load_scenario(path)
    assert hash(scenario) == hash(load_scenario(path))


def test_values_do_not_need_the_reader(tmp_path):
    pickled = tmp_path / "scenario.pickle"
    pickled.write_bytes(pickle.dumps(load_scenario(write(tmp_path))))
    code = f"import pickle, sys; pickle.load(open({str(pickled)!r}, 'rb')); print('ruamel' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def recorded() -> list[Path]:
    return sorted(GROUNDTRUTH.glob("*/scenario.yaml"))


@pytest.mark.skipif(not recorded(), reason="the recordings of real clusters are not here")
def test_every_recorded_scenario_loads():
    for path in recorded():
        assert load_scenario(path).name == path.parent.name.partition("@")[0]


def test_what_is_worked_out_of_a_scenario_is_kept_by_it_alone(tmp_path):
    """Another one, also one that differs in a clause, and a copy for another process work it out anew."""
    scenario = load_scenario(write(tmp_path))
    asked = []

    @once
    def count(of):
        asked.append(of)
        return [len(of.nodes)]

    kept = count(scenario)
    assert count(scenario) is kept
    fewer = replace(scenario, nodes={})
    copy = pickle.loads(pickle.dumps(scenario))
    assert (count(fewer), count(copy)) == ([0], kept)
    assert asked == [scenario, fewer, copy]
    assert (copy, hash(copy)) == (scenario, hash(scenario))
    assert fingerprint(replace(scenario)) == fingerprint(scenario)
