"""Scenarios in Python mean what their files mean, and say what is wrong with them by argument."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_network
from pathlib import Path

import numpy
import pytest

import vrrpsim
from vrrpsim.findings import InputError
from vrrpsim.scenario.file.yaml_tree import read_tree
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


def test_a_mistake_in_conf_text_has_its_line():
    broken = pair().node(
        "a", interfaces={"eth0": {"segment": "lan"}}, keepalived="vrrp_instance X {\n foo\n}"
    )
    with pytest.raises(InputError, match=r"scenario \(a\):1:\d+: .*virtual_router_id"):
        broken.run()


def test_yaml_text_has_line_and_column():
    with pytest.raises(InputError, match="scenario:2:1: duraton: unknown key"):
        vrrpsim.load("version: 1\nduraton: 3\n")
