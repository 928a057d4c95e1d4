"""BFD sessions, as measured with two keepalived 2.2.7 on a veth pair (100 ms, multiplier 3)."""

import pytest
from tiny_world import MS, S, load, node, owners, pair, records, run

from vrrpsim.measure import measure
from vrrpsim.trace import StateChange, TrackerChange
from vrrpsim.world import simulate

BFD = {"min_rx": 100, "min_tx": 100, "multiplier": 3}


def sessions(*events, weight="", mutual=True, **changes):
    nodes = {"lb1": node(1, 101, track_bfd=[f"other{weight}"]), "lb2": node(2, 100)}
    for number, name in enumerate(("lb1", "lb2") if mutual else ("lb1",), 1):
        nodes[name]["keepalived"]["bfd_instances"] = {"other": {"neighbor_ip": f"10.0.0.{3 - number}"} | BFD}
    return pair(*events, nodes=nodes, duration="40s", **changes)


def told(document):
    return [(r.at_ns, r.ok) for r in records(run(document), TrackerChange, node="lb1", name="other")]


def test_a_session_comes_up_within_a_second_and_goes_down_after_its_detection_time():
    cut = {"at": "15s", "partition": [["lb1"], ["lb2"]], "for": "5s"}
    (up, good), (down, bad), (again, better) = told(sessions(cut, weight=" weight -30"))
    assert (good, bad, better) == (True, False, True)
    assert 0 <= up <= S
    assert 15_200 * MS <= down <= 15_300 * MS
    assert 20 * S <= again <= 21 * S


def test_without_weight_a_lone_node_is_never_master():
    made = run(sessions({"at": "10s", "power_off": "lb2"}))
    assert owners(made, 9) == ["lb1"]
    assert owners(made, 30) == []
    assert records(made, StateChange, node="lb1")[-1].new == "FAULT"
    silent = sessions(weight="")
    silent["nodes"]["lb2"]["keepalived"]["starts"] = "manual"
    assert told(silent) == []  # its daemon has to run
    assert records(run(silent), StateChange, new="MASTER") == []


@pytest.mark.parametrize(
    "event", [{"kill": "lb2/keepalived"}, {"link_down": "lb2/eth0"}, {"pause": "lb2", "for": "20s"}]
)
def test_a_session_ends_with_its_neighbour(event):
    assert [ok for _, ok in told(sessions({"at": "10s", **event}, weight=" weight -5"))][:2] == [True, False]


def test_events_flap_a_session():
    flap = {"at": "10s", "bfd_down": "lb1/other", "for": "2s", "every": "5s", "count": 2}
    found = told(sessions(flap, weight=" weight -30"))[1:]
    assert [ok for _, ok in found] == [False, True, False, True]
    assert [at for at, ok in found if not ok] == [10 * S, 15 * S]
    forced = sessions({"at": "10s", "bfd_up": "lb1/other"}, weight=" weight -30")
    forced["nodes"]["lb2"]["keepalived"]["starts"] = "manual"
    assert told(forced) == [(10 * S, True)]


def test_the_failover_names_the_event_at_the_neighbour():
    gateway = {"interfaces": {"eth0": {"segment": "lan", "address": "10.0.0.9/24"}}}
    document = sessions({"at": "15s", "power_off": "gw", "for": "10s"}, weight=" weight -30", mutual=False)
    document["nodes"]["gw"] = gateway
    document["nodes"]["lb1"]["keepalived"]["bfd_instances"]["other"]["neighbor_ip"] = "10.0.0.9"
    scenario = load(document)
    found = measure(scenario, simulate(scenario)).failovers
    assert [(str(each.cause), each.kind.value, each.new) for each in found] == [
        ("power_off gw", "takeover", "lb2"),
        ("end of power_off gw", "return", "lb1"),
    ]
    fast, slow = (simulate(scenario, fast_forward=each).digest() for each in (True, False))
    assert fast == slow
