"""Checks that ask through the network: what they meet, when they give up, and that they rest meanwhile."""

from dataclasses import replace

import pytest
from tiny_world import MS, VIP, S, load, node, pair, records, run

from vrrpsim.measure import measure
from vrrpsim.trace import Remark, TrackerChange
from vrrpsim.world import simulate

GATEWAY = {"interfaces": {"eth0": {"segment": "lan", "address": "10.0.0.9/24"}}, "slop": "none"}
PING = "ping -c 1 -W 1 10.0.0.9"


def asking(*events, script=PING, gateway=GATEWAY, loss="0%", duration="40s", **more):
    scripts = {"chk": {"interval": 2, "script": script} | more}
    lb1 = node(1, 101, scripts=scripts, track_script=["chk"])
    nodes = {"lb1": lb1, "lb2": node(2, 100), "gw": gateway}
    return pair(*events, nodes=nodes, lan={"loss": loss}, duration=duration)


def changes(document):
    """After the start, when the server may not serve yet."""
    found = records(run(document), TrackerChange, name="chk")
    return [(r.at_ns, r.ok) for r in found if r.at_ns > 5 * S]


CUT = {"at": "10.5s", "partition": [["lb1"], ["gw"]], "for": "10s"}
OFF = {"at": "10.5s", "power_off": "gw", "for": "10s"}


@pytest.mark.parametrize("event", [CUT, OFF, {"at": "10.5s", "link_down": "gw/eth0", "for": "10s"}])
def test_a_ping_fails_when_its_time_is_over(event):
    bad, good = changes(asking(event))
    assert bad[1] is False
    assert 13 * S <= bad[0] <= 13 * S + 100 * MS  # the run of 12 s, -W 1
    assert good[1] is True
    assert good[0] == 22 * S or event is not CUT  # a machine that boots is asked for its MAC first


def test_a_closed_port_fails_at_once_and_a_frozen_one_hangs():
    served = GATEWAY | {"processes": {"db": {"serves": ["5432/tcp"]}}}
    dead = asking({"at": "10.5s", "kill": "gw/db"}, script="pg_isready -h 10.0.0.9", gateway=served)
    assert changes(dead) == [(12 * S, False)]
    frozen = asking({"at": "10.5s", "freeze": "gw/db"}, script="curl http://10.0.0.9:5432/", gateway=served)
    assert changes(frozen) == [(14 * S, False)]  # keepalived's timeout


def test_a_probe_asks_for_any_command():
    event, probe = CUT, {"answers": "10.0.0.9"}
    assert [ok for _, ok in changes(asking(event, script="/opt/check", probe=probe, timeout=1))] == [
        False,
        True,
    ]
    served = GATEWAY | {"processes": {"db": {"serves": ["5432/tcp"]}}}
    found = changes(
        asking(event, script="/opt/check", probe={"answers": "10.0.0.9:5432"}, gateway=served, interval=4)
    )
    assert [ok for _, ok in found] == [False, True]


def test_the_virtual_address_is_asked_wherever_it_is():
    """field.md 7: nobody has it before the check succeeds, and the check fails because nobody has it."""
    made = run(asking(script=f"curl -m 1 http://{VIP}/", duration="10s", rise=1))
    assert [r.ok for r in records(made, TrackerChange, name="chk")][-1:] == [True]  # lb2 has it
    document = asking(script=f"curl -m 1 http://{VIP}/", duration="10s")
    document["nodes"]["lb2"] = document["nodes"]["gw"]
    del document["nodes"]["gw"]
    assert [r.ok for r in records(run(document), TrackerChange, name="chk")] == [False]


def test_who_is_not_there_always_answers_and_the_run_says_so():
    made = run(asking(script="ping -c1 10.0.0.77"))
    assert [r.text for r in records(made, Remark)] == [
        "lb1/chk: 'ping -c1 10.0.0.77' always succeeds here: nobody has 10.0.0.77"
    ]


@pytest.mark.parametrize("loss", ["0%", "20%"])
@pytest.mark.parametrize("event", [CUT, OFF, None])
def test_a_check_that_rests_changes_no_history(event, loss):
    """With and without fast-forward, and after a month of age."""
    scenario = load(asking(*([event] if event else []), loss=loss, duration="10m", fall=2, weight=-20))
    fast, slow = (simulate(scenario, seed=3, fast_forward=each) for each in (True, False))
    assert measure(scenario, fast).to_json() == measure(scenario, slow).to_json()
    if loss == "0%":
        simulate(replace(scenario, age_ns=30 * 86_400 * S))
