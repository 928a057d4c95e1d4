"""Scenarios in Python mean what their files mean, and say what is wrong with them by argument."""

import copy
import json
import pickle
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_network
from pathlib import Path
from statistics import NormalDist

import networkx
import numpy
import pytest
import scipy.stats
from matplotlib import rc_context
from matplotlib.figure import Figure

import vrrpsim
from vrrpsim.explore.census import faults_of
from vrrpsim.explore.invariants import Violation
from vrrpsim.explore.workers import WorkersError
from vrrpsim.findings import InputError
from vrrpsim.scenario.file.yaml_tree import read_tree
from vrrpsim.scenario.network import single_points
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import Level

ROOT = Path(__file__).parents[1]
SHIPPED = sorted((ROOT / "scenarios").glob("*.yaml"))
CONF = """\
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 110
    virtual_ipaddress {
        10.0.0.100
    }
}
"""


def built(values, folder=ROOT / "scenarios"):
    """The same scenario, step by step."""
    rest = {key: value for key, value in values.items() if key not in ("version", "name")}
    parts = {key: rest.pop(key, {}) for key in ("segments", "nodes", "clients", "events", "expect")}
    made = vrrpsim.Scenario(values["name"], folder=folder, **rest)
    for name, words in parts["segments"].items():
        made = made.segment(name, **(words or {}))
    for name, words in parts["nodes"].items():
        made = made.node(name, **words)
    for name, words in parts["clients"].items():
        made = made.client(name, **words)
    for event in parts["events"] or ():
        words = {word if word not in ("for", "from", "pass") else f"{word}_": v for word, v in event.items()}
        made = made.event(**words)
    return made.expect(**parts["expect"]) if parts["expect"] else made


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_can_be_built(path, tmp_path):
    loaded, made = vrrpsim.load(path), built(read_tree(path).root)
    runs = [study.run(seed=2, level=Level.STATES) for study in (loaded, made)]
    assert len({run.trace.digest() for run in runs}) == 1
    file = path.with_name("written.yaml")  # never written: only its folder matters
    again = vrrpsim.Scenario.of(made.to_yaml(), folder=file.parent).scenario
    assert again == made.scenario
    assert [verdict.ok for verdict in runs[0].result.expectations] == [
        verdict.ok for verdict in runs[1].result.expectations
    ]


def pair(**words):
    return (
        vrrpsim.Scenario("pair", duration=timedelta(seconds=30), **words)
        .segment("lan", subnet=ip_network("10.0.0.0/24"), delay=Distribution.uniform(50_000, 100_000))
        .node("a", interfaces={"eth0": {"segment": "lan", "address": "10.0.0.1/24"}}, keepalived=CONF)
        .node(
            "b",
            interfaces={"eth0": {"segment": "lan", "address": "10.0.0.2/24"}},
            keepalived=CONF.replace("110", "100"),
        )
        .client("web", segment="lan", target="10.0.0.100:80", every=numpy.float64(0.1))
        .event(at=Decimal("12.5"), power_off="a", for_=5)
        .expect(owner={timedelta(seconds=11): "a", 17: "b"}, vacancy={"max": 5})
    )


def test_python_values_and_the_text_of_a_keepalived_conf(tmp_path):
    made = pair()
    run = made.run(seed=3)
    assert run.verdict == "pass"
    assert run.result.failovers[0].old == "a"
    assert run.command == "scenario.to_yaml('pair.yaml'), then: vrrpsim run pair.yaml --seed 3"
    made.to_yaml(tmp_path / "pair.yaml")
    assert vrrpsim.load(tmp_path / "pair.yaml").run(seed=3).trace.digest() == run.trace.digest()
    assert vrrpsim.load(made.to_yaml()).run(seed=3).trace.digest() == run.trace.digest()
    assert vrrpsim.load(made.values).run(seed=3).trace.digest() == run.trace.digest()


def test_a_file_is_changed_in_python():
    path = ROOT / "scenarios/haproxy-crash.yaml"
    made = vrrpsim.Scenario.of(path)
    assert made.run(seed=2).trace.digest() == vrrpsim.load(path).run(seed=2).trace.digest()
    assert made.with_(events=None).run(seed=2).result.failovers == ()


def test_scenarios_are_values():
    one = pair()
    other = one.with_(duration=60)
    assert (one.scenario.duration_ns, other.scenario.duration_ns) == (30 * 10**9, 60 * 10**9)
    given = {"lan": {"subnet": "10.0.0.0/24"}}
    made = vrrpsim.Scenario("x", duration=1, segments=given)
    given["lan"]["subnet"] = "broken"
    assert made.values["segments"]["lan"]["subnet"] == "10.0.0.0/24"


def test_numbers_in_grids_and_overrides(tmp_path):
    made = pair()
    sweep = made.sweep(4, jobs=1, vary={"*.VI_1.advert_int": [1, 3], "segments.lan.delay": [0.001]})
    medians = [cell["measures"]["failover"]["p50"] for cell in sweep.to_dict()["cells"]]
    assert medians[0] < 4 < 6 < medians[1]
    assert set(sweep.to_pandas()["*.VI_1.advert_int"]) == {1.0, 3.0}
    changed = vrrpsim.load(made.values, {"*.VI_1.advert_int": 2, "events[0].for": timedelta(seconds=9)})
    assert changed.scenario.nodes["b"].keepalived.config.instances[0].advert_int_ns == 2 * 10**9
    again = vrrpsim.load(changed.to_yaml()).scenario
    assert again == changed.scenario


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duraton": 3}, "scenario: duraton: unknown key; did you mean 'duration'?"),
        ({"duration": Fraction(1, 3)}, "scenario: duration: a scenario cannot say Fraction Fraction(1, 3)"),
        ({"seed": -1}, "scenario: seed: greater than or equal to 0"),
        ({"events": [{"at": 1, "kill": "c/haproxy"}]}, "scenario: events[0].kill: 'c/haproxy': no node 'c'"),
    ],
)
def test_errors_name_the_argument(change, message):
    with pytest.raises(InputError) as raised:
        pair().with_(**change).run()
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("delay", "least_ms", "most_ms"),
    [
        (scipy.stats.gamma(2, scale=0.01), 15, 25),
        (NormalDist(0.02, 0.001), 19, 21),
        ({"choice": numpy.array([0.019, 0.021])}, 19, 21),
    ],
)
def test_distributions_of_ones_own(delay, least_ms, most_ms):
    made = pair().segment("lan", subnet="10.0.0.0/24", delay=delay)
    mean_ns = made.scenario.segments["lan"].delay.mean_ns
    assert least_ms < mean_ns / 1e6 < most_ms
    assert vrrpsim.load(made.to_yaml()).run(seed=4).trace.digest() == made.run(seed=4).trace.digest()


def never_b(history):
    """An invariant: b never owns anything."""
    tenures = (tenure for owned in history.owned for tenure in owned.tenures if tenure.node == "b")
    for tenure in tenures:
        return Violation(
            invariant="never_b", text="b owns it", start_ns=tenure.start_ns, end_ns=tenure.end_ns
        )
    return None


def test_invariants_are_functions():
    outcome = calm().hunt(max_examples=20, faults=["power_off"], invariants=[never_b], write=False).outcome
    assert [each.violation.text for each in outcome.findings] == ["b owns it"]


def test_a_sweep_is_drawn_on_the_callers_axes():
    sweep = pair().sweep(8, jobs=1, vary={"*.VI_1.advert_int": [1, 3]})
    with rc_context({"font.size": 8}):
        axes = Figure(figsize=(3.5, 2.2)).subplots()
        assert sweep.plot(ax=axes) is None
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["advert_int=1", "advert_int=3"]
    assert axes.get_legend().get_texts()[0].get_fontsize() == 8  # the caller's
    assert axes.get_xlabel() == "failover, seconds"


def test_results_are_plain_values():
    assert json.loads(json.dumps(pair().run().to_dict()))["verdict"] == "pass"
    assert json.dumps(pair().sweep(2, jobs=1).to_dict())


def test_a_mistake_in_conf_text_has_its_line():
    broken = pair().node(
        "a", interfaces={"eth0": {"segment": "lan"}}, keepalived="vrrp_instance X {\n foo\n}"
    )
    with pytest.raises(InputError, match=r"scenario \(a\):1:\d+: .*virtual_router_id"):
        broken.run()


def test_yaml_text_has_line_and_column():
    with pytest.raises(InputError, match="scenario:2:1: duraton: unknown key"):
        vrrpsim.load("version: 1\nduraton: 3\n")


# --- processes of one's own


def storm(env, world):
    """Whoever owns the address loses it, again and again."""
    while True:
        yield world.after({"uniform": [8, 9]})
        [owner] = world.owners("10.0.0.100")
        assert world.state(owner) == "MASTER"
        assert world.stop(f"{owner}/keepalived", for_=2) == (f"{owner}/keepalived",)
        world.record(f"{owner} at {world.now_s:.1f} s, {world.random().random():.3f}")


def idle(env, world):
    while True:
        yield env.timeout(777_777_777)
        world.owners("10.0.0.100")
        world.random("x").random()


def wrong(env, world):
    yield world.after(1)
    world.kill("c/haproxy")


def calm():
    return pair().with_(events=None, expect=None)


@pytest.mark.parametrize("fast_forward", [True, False])
def test_a_process_does_verbs_reads_draws_and_writes(fast_forward):
    made = calm().process(storm)
    first, again, other = (made.run(seed=seed, fast_forward=fast_forward) for seed in (1, 1, 2))
    assert first.trace.digest() == again.trace.digest() != other.trace.digest()
    assert [event["verb"] for event in first.to_dict()["events"]] == ["stop"] * 3
    assert first.command == "scenario.run(seed=1): no file can say its own processes"
    assert {each.kind.value for each in first.result.failovers} >= {"takeover"}
    remarks = [record.text for record in first.trace.records if type(record).__name__ == "Remark"]
    assert [text.split()[0] for text in remarks] == ["a", "a", "a"]
    assert len({text.split()[-1] for text in remarks}) == 3
    assert made.sweep(4, jobs=1).to_dict()["measures"]["failover"]["n"] == 4


def test_an_idle_process_changes_no_digest():
    alone, beside = (made.run(seed=5).trace.digest() for made in (pair(), pair().process(idle)))
    assert alone == beside


def test_two_processes_of_one_function_draw_apart():
    made = calm().process(storm).process(storm)
    assert [process.name for process in made.scenario.processes] == ["storm", "storm-2"]


def test_scenarios_travel_and_what_cannot_is_refused():
    made = calm().process(storm)
    assert [
        each.run(seed=3).trace.digest() for each in (copy.deepcopy(made), pickle.loads(pickle.dumps(pair())))
    ] == [each.run(seed=3).trace.digest() for each in (made, pair())]
    with pytest.raises(WorkersError, match="the process <lambda> cannot be sent to workers"):
        calm().process(lambda env, world: iter(())).sweep(4, jobs=2)


def test_what_a_process_asks_in_vain_has_its_name():
    with pytest.raises(InputError, match=r"wrong: events\[0\].kill: 'c/haproxy': no node 'c'"):
        calm().process(wrong).run()
    with pytest.raises(AttributeError, match="no verb 'explode'"):
        calm().process(lambda env, world: iter([world.explode("a")])).run()
    with pytest.raises(ValueError, match="process storm"):
        calm().process(storm).to_yaml()


# --- switches and cables


def switched():
    """The cluster of a shipped scenario without its switches and cables, and these as a graph."""
    loaded = vrrpsim.Scenario.of(ROOT / "scenarios" / "spare-cable.yaml")
    return loaded, loaded.with_(switches=None, cables=None)


def test_a_network_is_what_its_graph_says():
    loaded, bare = switched()
    made = bare.network(vrrpsim.Network.from_networkx(loaded.graph()))
    assert made.scenario.switches == loaded.scenario.switches
    assert {each.name: frozenset(each.ends) for each in made.scenario.cables} == {
        each.name: frozenset(each.ends) for each in loaded.scenario.cables
    }
    assert made.run().trace.digest() == loaded.run().trace.digest()
    assert vrrpsim.load(made.to_yaml()).run().trace.digest() == loaded.run().trace.digest()


def test_a_network_of_ones_own_graph():
    graph = networkx.Graph()
    graph.add_nodes_from(["s1", "s2", "s3"], kind="switch", mac_age="60s", colour="red")
    graph.add_nodes_from(["lb1", "lb2"], kind="node")
    graph.add_nodes_from(["near", "far"], kind="client")
    graph.add_edges_from([("s1", "s2"), ("s2", "s3")], delay="1ms", loss=0.01)
    graph.add_edges_from([("lb1", "s1"), ("s3", "lb2"), ("near", "s1"), ("far", "s3")])
    network = vrrpsim.Network.from_networkx(graph)
    assert network.switches["s2"] == {"mac_age": "60s"}
    assert {"ends": ["s1", "s2"], "delay": "1ms", "loss": 0.01} in network.cables
    _, bare = switched()
    made = bare.network(network).with_(events=None, expect=None).scenario
    assert [each.name for each in made.cables if each.loss] == ["s1-s2", "s2-s3"]
    assert made.switches["s1"].mac_age_ns == 60 * 10**9
    built = bare.switch("s1", mac_age="60s").cable("s1", "lb1/eth0").cable("s1", "s2", delay="1ms")
    assert built.values["cables"] == [["s1", "lb1/eth0"], {"ends": ["s1", "s2"], "delay": "1ms"}]
    graph.add_node("x", kind="router")
    with pytest.raises(ValueError, match="x: kind is 'router'"):
        vrrpsim.Network.from_networkx(graph)


def test_the_graph_of_a_run_knows_what_was_up():
    run = vrrpsim.load(ROOT / "scenarios" / "spare-cable.yaml").run()

    def down(at_s):
        return {data["cable"] for *_, data in run.graph(at_s).edges(data=True) if not data["up"]}

    assert [down(at_s) for at_s in (19, 25, 60)] == [set(), {"sw1-sw2"}, set()]
    off = vrrpsim.load(ROOT / "scenarios" / "no-edge-port.yaml").run().graph(20.9)
    assert {name: data["up"] for name, data in off.nodes(data=True)}["lb1"] is False
    assert [data["cable"] for *_, data in off.edges(data=True) if not data["up"]] == ["lb1/eth0"]


def test_what_splits_the_network_comes_first_in_a_census():
    cables = [["lb1/eth0", "s1"], ["near", "s1"], ["lb2/eth0", "s3"], ["far", "s3"]]
    cables += [["s1", "s2"], ["s2", "s3"], {"ends": ["s2", "s3"], "name": "spare"}]
    names = ("s1", "s2", "s3")
    _, bare = switched()
    made = bare.with_(switches={name: {"stp": "rstp"} for name in names}, cables=cables, events=None).scenario
    assert single_points(made) == {"s1", "s2", "s3", "s1-s2"}
    assert [each.name for each in faults_of(made)[:4]] == [
        *(f"power off {name}" for name in names),
        "link down s1-s2",
    ]


def test_a_census_says_that_vrrp_mends_no_network():
    words = ["link down sw1-sw2", "power off sw1"]
    done = vrrpsim.load(ROOT / "scenarios" / "inter-switch-cable.yaml").census(3, 0, only=words, jobs=1)
    cells = {cell.name: cell for cell in done.outcome.cells}
    split, off = cells["link down sw1-sw2"], cells["power off sw1"]
    assert (split.outcome, split.beyond) == ("split brain", "the nodes cannot hear each other")
    assert off.beyond == "a part of the network is dead"
