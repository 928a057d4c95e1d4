"""What is short for an advert that comes again is the same as taking it apart again."""

from pathlib import Path

import pytest

from vrrpsim.protocol.instances import Instance
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import Level
from vrrpsim.world import World
from vrrpsim.world.segment import Segment

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("scenarios/*.yaml"), *ROOT.glob("tests/groundtruth/*/scenario.yaml")])


def left_behind(scenario):
    """Every record of a run, and what its instances counted."""
    world = World(scenario, scenario.seed, Level.ALL)
    world.run()
    instances = [
        (name, each.sent, each.received, each.counters, each.last_advert_ns)
        for name, node in world.nodes.items()
        if node.daemon is not None
        for each in node.daemon.router.instances.values()
    ]
    return world.trace.records, instances


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_scenario_is_the_same(file, monkeypatch):
    scenario = load_scenario(file)
    short = left_behind(scenario)
    monkeypatch.setattr(Segment, "_echo", lambda *_: None)
    assert left_behind(scenario) == short


def test_adverts_do_come_again(monkeypatch):
    """Otherwise there would be nothing to compare."""
    answers = []
    hears_again = Instance.hears_again

    def counted(*arguments):
        answers.append(hears_again(*arguments))
        return answers[-1]

    monkeypatch.setattr(Instance, "hears_again", counted)
    left_behind(load_scenario(ROOT / "scenarios/haproxy-crash.yaml"))
    assert answers.count(True) > 20
