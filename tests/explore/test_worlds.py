"""Whole worlds: whatever was ever found stays right, and no schedule of a hunt breaks a sound cluster.

The schedules are drawn by the hunt's own strategy and judged by its own invariants. What this finds is
written to scenarios/regressions/ as a scenario, which is replayed here before anything is drawn.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

import vrrpsim
from vrrpsim.explore.bounds import bounds_of
from vrrpsim.explore.fault_schedules import KINDS, event_yaml, kind_of, menu_of, schedules
from vrrpsim.explore.hunt import play
from vrrpsim.explore.invariants import BUILT_IN, RunHistory
from vrrpsim.protocol.router import VrrpRouter
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import AdvertSent, NodeChange, PriorityChange, ProcessChange

REGRESSIONS = sorted((Path(__file__).parents[2] / "scenarios/regressions").glob("*.yaml"))
SURVIVED = [kind for kind in KINDS if kind != "one_way"]  # VRRP does not survive a cut in one direction


def told(trace):
    """Adverts that carry another priority than the trace's last word on it."""
    known = {}
    for record in trace.records:
        if isinstance(record, ProcessChange | NodeChange):
            known = {key: said for key, said in known.items() if key[0] != record.node}  # it begins anew
        elif isinstance(record, PriorityChange):
            known[record.node, record.instance] = record.new
        elif isinstance(record, AdvertSent) and record.priority:  # 0 says that it goes
            said = known.setdefault((record.node, record.instance), record.priority)
            yield from [record] * (said != record.priority)


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_what_was_found_stays_right(path):
    run = vrrpsim.load(path).run()
    assert run.verdict == "pass"
    assert list(told(run.trace)) == []
    history = RunHistory(run.scenario, run.trace, bounds_of(run.scenario))
    assert {name: check(history) for name, check in BUILT_IN.items()} == dict.fromkeys(BUILT_IN)


NODE = """
  n{host}:
    interfaces: {{eth0: {{segment: lan, address: 10.0.0.{host}/24}}}}
    processes: {{haproxy: {{serves: [80/tcp]}}}}
    keepalived:
      starts: {starts}ms
      vrrp_scripts: {{chk: {{script: "pgrep -x haproxy", interval: {interval}, weight: {weight}}}}}
      vrrp_instances:
        VI: {{interface: eth0, virtual_router_id: 5, priority: {priority}, virtual_ipaddress: [10.0.0.100],
             version: {version}, advert_int: {advert_int}, track_script: [chk]{more}}}"""


@st.composite
def clusters(draw):
    """The text of a sound scenario: a check moves the address, or puts the node into FAULT."""
    size = draw(st.integers(2, 3))
    version = draw(st.sampled_from([2, 3]))
    nopreempt, unicast = draw(st.booleans()), draw(st.booleans())
    settings = {
        "version": version,
        "advert_int": draw(st.sampled_from([1, 2] if version == 2 else [0.1, 0.5, 1])),
        "interval": draw(st.integers(1, 2)),
        "weight": 0 if nopreempt else draw(st.sampled_from([0, -60])),  # more than priorities differ
    }
    nodes = ""
    for host in range(1, size + 1):
        others = ", ".join(f"10.0.0.{other}" for other in range(1, size + 1) if other != host)
        more = ", nopreempt: true" * nopreempt
        more += f", unicast_src_ip: 10.0.0.{host}, unicast_peer: [{others}]" * unicast
        nodes += NODE.format(
            host=host,
            starts=draw(st.sampled_from([0, 500])),
            priority=draw(st.integers(100, 150)),
            more=more,
            **settings,
        )
    dialect = draw(st.sampled_from(["keepalived-2.2.7", "keepalived-2.3.3"]))
    head = f"version: 1\nname: world\nduration: 30s\nseed: {draw(st.integers(0, 99))}\ndialect: {dialect}\n"
    return f"{head}segments: {{lan: {{subnet: 10.0.0.0/24, delay: 200us}}}}\nnodes:{nodes}\n"


def read(text):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "world.yaml"
        path.write_text(text, encoding="utf-8")
        return load_scenario(path)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.target),
    derandomize=True,
)
@given(st.data())
def test_a_sound_cluster_survives_every_schedule(data):
    scenario = read(data.draw(clusters()))
    bounds = bounds_of(scenario)
    faults = data.draw(schedules(menu_of(scenario, SURVIVED), bounds))
    for fault in faults:
        event(kind_of(fault))
    history = play(scenario, faults, bounds)
    broken = [violation.text for check in BUILT_IN.values() if (violation := check(history))]
    assert broken == [], [event_yaml(fault) for fault in faults]
    assert list(told(history.trace)) == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_what_is_short_for_an_advert_that_comes_again_is_not_wrong(data):
    """Whatever happens to a cluster, taking every advert apart leaves the same history (router.py)."""
    scenario = read(data.draw(clusters()))
    bounds = bounds_of(scenario)
    faults = data.draw(schedules(menu_of(scenario, KINDS), bounds))
    short = play(scenario, faults, bounds).trace.digest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VrrpRouter, "_recognised", lambda *_: None)
        assert play(scenario, faults, bounds).trace.digest() == short
