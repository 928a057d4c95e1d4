"""Parts that share no node run apart: the same records as one world, with faults, in other processes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import vrrpsim
from vrrpsim.measure import measure
from vrrpsim.trace import Fault, Level
from vrrpsim.world import World, simulate
from vrrpsim.world.simulation import separate

EVENTS = [
    {"at": "9s", "power_off": "s0-1", "for": "6s"},
    {"at": {"uniform": ["8s", "12s"]}, "impair": "s1", "loss": "40%", "for": "9s"},
    {"name": "first", "at": "9s", "kill": "s2-1/keepalived", "for": "2s"},
    {
        "at": {"after": "first", "plus": "3s"},
        "link_down": "s2-2/eth0",
        "every": "4s",
        "count": 2,
        "for": "1s",
    },
]


def sites(count, routers=3, loss="2%", duration=25, **words):
    nodes = {
        f"s{site}-{router}": {
            "interfaces": {"eth0": {"segment": f"s{site}", "address": f"10.0.{site}.{router}/24"}},
            "keepalived": {
                "starts": {"uniform": ["0s", "1s"]},
                "vrrp_instances": {
                    "VI": {
                        "interface": "eth0",
                        "virtual_router_id": 51,
                        "priority": 250 - 50 * router,
                        "virtual_ipaddress": ["10.255.0.1/32"],
                    }
                },
            },
        }
        for site in range(count)
        for router in range(1, routers + 1)
    }
    segments = {f"s{site}": {"subnet": f"10.0.{site}.0/24", "loss": loss} for site in range(count)}
    return vrrpsim.Scenario("sites", duration=duration, segments=segments, nodes=nodes, **words)


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("loss", ["0%", "2%", "40%"])
def test_records_are_those_of_one_world(level, loss):
    scenario = sites(5, loss=loss, events=EVENTS).scenario
    assert len(separate(scenario)) == 5
    for seed in range(3):
        one = World(scenario, seed, level, fast_forward=False).run()
        parts = simulate(scenario, seed=seed, level=level, fast_forward=False)
        assert parts.records == one.records
        assert parts.end_ns == one.end_ns
        assert [each.number for each in parts.records if isinstance(each, Fault)] == list(range(5))


def test_parts_leap_for_themselves_to_the_same_history():
    scenario = sites(4, loss="1%", duration=400).scenario
    one = World(scenario, 3, Level.STATES, fast_forward=False).run()
    assert simulate(scenario, seed=3, level=Level.STATES).records == one.records


def test_other_workers_give_the_same_records():
    scenario = sites(6, events=EVENTS).scenario
    with ThreadPoolExecutor(2) as pool:
        there = simulate(scenario, seed=1, over=pool.map)
    assert there.records == simulate(scenario, seed=1).records


def test_a_run_may_use_an_executor():
    study = sites(4)
    with ThreadPoolExecutor(2) as pool:
        assert study.run(1, executor=pool).to_json() == study.run(1).to_json()


def test_what_ties_parts_together_keeps_them_together():
    client = {"c": {"segment": "s0", "target": "10.255.0.1:80"}}
    bridge = {"interfaces": {f"eth{n}": {"segment": f"s{n}", "address": f"10.0.{n}.9/24"} for n in (0, 1)}}
    cut = {"at": "9s", "partition": [["s0-1"], ["s0-2"]], "for": "2s"}
    assert len(separate(sites(3, clients=client).scenario)) == 1
    assert len(separate(sites(3, events=[{"at": "9s", "power_off": "master(VI)"}]).scenario)) == 1
    assert len(separate(sites(3, events=[cut]).scenario)) == 1
    assert len(separate(sites(3).node("bridge", **bridge).scenario)) == 2
    assert len(separate(replace(sites(3).scenario, age_ns=10**9))) == 1


@pytest.mark.slow
def test_ten_thousand_nodes_of_python_run():
    """Two seconds of them; longer ones, with their time, are in docs/speed.md."""
    nodes, segments = {}, {}
    for site in range(2500):
        high, low = divmod(site, 250)
        segments[f"s{site}"] = {"subnet": f"10.{high}.{low}.0/24"}
        for router in range(1, 5):
            address = f"10.{high}.{low}.{router}/24"
            nodes[f"s{site}-{router}"] = {"interfaces": {"eth0": {"segment": f"s{site}", "address": address}}}
    model = sites(1).scenario.nodes["s0-1"].keepalived
    scenario = vrrpsim.Scenario("many", duration=2, segments=segments, nodes=nodes).scenario
    scenario = replace(
        scenario, nodes={name: replace(n, keepalived=model) for name, n in scenario.nodes.items()}
    )
    trace = simulate(scenario, level=Level.STATES)
    assert len({record.node for record in trace.records}) == 10_000
    assert measure(replace(scenario, nodes={}), trace).digest == trace.digest()
