"""Notify scripts: they run beside the daemon, end when they like, and then have done what they do."""

from dataclasses import replace

import pytest
from tiny_world import MS, VIP, WEB, S, load, node, pair, reached, records, run

from vrrpsim.explore.bounds import bounds_of
from vrrpsim.explore.invariants import RunHistory, notify_agrees
from vrrpsim.findings import InputError
from vrrpsim.measure.told import told
from vrrpsim.trace import NotifyFinished, ProcessChange, Remark
from vrrpsim.world import simulate

SEED_OF_A_RACE = 3  # the earlier one ends later
DOES = {"master": ["start haproxy"], "backup": ["stop haproxy"], "fault": ["stop haproxy"]}


def notified(*events, takes="100ms", does=DOES, duration="40s", **changes):
    nodes = {
        name: node(number, priority, node={"notify": {"takes": takes, "does": does}}, **changes)
        for name, number, priority in (("lb1", 1, 101), ("lb2", 2, 100))
    }
    return pair(*events, nodes=nodes, clients=WEB, duration=duration)


def lives(made, name):
    return [(r.at_ns, r.state) for r in records(made, ProcessChange, node=name, process="haproxy")]


def test_a_service_follows_its_address():
    made = run(notified({"at": "10.5s", "power_off": "lb1"}))
    assert lives(made, "lb1")[-1] == (10_500 * MS, "dead")
    [gone, started, serving] = lives(made, "lb2")[2:]
    assert gone == (100 * MS, "dead")  # told BACKUP at the start
    became = records(made, NotifyFinished, node="lb2", state="MASTER")[0]
    assert started == (became.began_ns + 100 * MS, "starting")
    assert serving[1] == "serving"
    assert reached(made)[-1][1:] == (True, "lb2")


def test_what_takes_longer_ends_last():
    """Preempted after 5 s, a slow start undoes the stop that came after it."""
    takes = {"choice": ["6s"]}
    events = ({"at": "10.5s", "partition": [["lb1"], ["lb2"]], "for": "5s"},)
    made = run(notified(*events, takes=takes))
    said = [(r.state, r.at_ns - r.began_ns) for r in records(made, NotifyFinished, node="lb2")]
    assert said == [("BACKUP", 6 * S), ("MASTER", 6 * S), ("BACKUP", 6 * S)]
    made = run(notified(*events, takes={"uniform": ["0s", "12s"]}), seed=SEED_OF_A_RACE)
    said = [r.state for r in records(made, NotifyFinished, node="lb2")]
    assert said[-1] == "MASTER"
    assert lives(made, "lb2")[-1][1] == "serving"


def test_scripts_outlive_their_daemon_and_wait_for_their_machine():
    takes = "3s"
    made = run(notified({"at": "4s", "kill": "lb1/keepalived"}, takes=takes))
    assert records(made, NotifyFinished, node="lb1", state="MASTER")
    made = run(notified({"at": "4s", "power_off": "lb1"}, takes=takes))
    assert not records(made, NotifyFinished, node="lb1", state="MASTER")
    made = run(notified({"at": "4s", "pause": "lb1", "for": "5s"}, takes=takes))
    assert records(made, NotifyFinished, node="lb1", state="MASTER")[0].at_ns == 9 * S


def test_commands_that_say_what_they_do_need_no_model():
    changes = {"notify_master": "/usr/bin/systemctl start haproxy", "notify_backup": "pkill -x haproxy"}
    nodes = {"lb1": node(1, 101, **changes), "lb2": node(2, 100, **changes)}
    made = run(pair({"at": "10.5s", "power_off": "lb1"}, nodes=nodes, duration="20s"))
    assert [state for _, state in lives(made, "lb2")] == ["starting", "dead", "starting", "serving"]
    assert records(made, Remark) == []


def test_an_unknown_effect_is_said_once():
    nodes = {"lb1": node(1, 101, notify="/opt/claim"), "lb2": node(2, 100)}
    made = run(pair({"at": "10.5s", "power_off": "lb1", "for": "5s"}, nodes=nodes))
    assert [r.text for r in records(made, Remark)] == [
        "lb1/VI_1: what /opt/claim does is not known; 'notify: {does: …}' says it"
    ]
    assert [r.state for r in records(made, NotifyFinished)] == ["BACKUP", "MASTER", "BACKUP", "MASTER"]


def history(document, seed=1):
    scenario = load(document)
    trace = simulate(scenario, seed=seed)
    return RunHistory(scenario, trace, bounds_of(scenario))


def test_the_last_word_must_agree_with_the_owner():
    """field.md, #2087: a one-way cut; only notify_master is told, and nobody corrects it."""
    drift = {"at": "10.5s", "partition": [["lb1"], ["lb2"]], "one_way": True, "for": "8s"}
    nodes = {
        "lb1": node(1, 101, notify_master="/opt/claim"),
        "lb2": node(2, 100, notify_master="/opt/claim"),
    }
    document = pair(drift, nodes=nodes)
    found = notify_agrees(history(document))
    assert found is not None
    assert found.nodes == ("lb2", "lb1")
    for name in nodes:
        nodes[name]["keepalived"]["vrrp_instances"]["VI_1"]["notify_master_rx_lower_pri"] = "/opt/claim"
    # lb1 hears the lower adverts, and claims again
    assert notify_agrees(history(document)) is None


def test_groups_speak_for_their_members_and_nobody_for_silent_ones():
    scenario = load(pair())
    assert told(scenario, []) == {}
    scenario = load(notified())
    assert told(scenario, simulate(scenario).records)[VIP][-1][1] == "lb1"


def test_fast_forward_passes_over_no_script():
    scenario = load(notified({"at": "5m", "power_off": "lb1", "for": "1m"}, duration="10m", takes="20s"))
    fast, slow = (simulate(scenario, fast_forward=each) for each in (True, False))
    kinds = (NotifyFinished, ProcessChange)
    assert [r for r in fast.records if isinstance(r, kinds)] == [
        r for r in slow.records if isinstance(r, kinds)
    ]
    simulate(replace(scenario, age_ns=86_400 * S))


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ({"does": {"master": ["start haprxy"]}}, "no process 'haprxy' on lb1; did you mean 'haproxy'?"),
        ({"does": {"master": ["begin haproxy"]}}, "must be one of start, stop"),
        ({"does": {"mastr": ["start haproxy"]}}, "did you mean 'master'?"),
    ],
)
def test_bad_words_are_errors(notify, message):
    with pytest.raises(InputError, match=r"nodes\.lb1\.notify\.does") as caught:
        load(pair(nodes={"lb1": node(1, 101, node={"notify": notify}), "lb2": node(2, 100)}))
    assert message in str(caught.value)
