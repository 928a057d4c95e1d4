"""Clusters drawn by a seed can be read, run and drawn again."""

from vrrpsim.explore.comparison import at_its_instants
from vrrpsim.explore.random_cluster import random_scenario
from vrrpsim.findings import Severity
from vrrpsim.measure.result import measure
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import AddressChange, Fault, FaultEnd, Level, NodeChange, ProcessChange, StateChange, Trace
from vrrpsim.world import simulate


def test_drawn_clusters_are_sound_and_elect_somebody(tmp_path):
    verbs = set()
    for seed in range(1, 121):
        assert random_scenario(seed) == random_scenario(seed)
        path = tmp_path / f"{seed}.yaml"
        path.write_text(random_scenario(seed))
        scenario = load_scenario(path)
        assert all(finding.severity is not Severity.ERROR for finding in scenario.findings), seed
        trace = simulate(scenario, level=Level.STATES)
        assert trace.digest() == simulate(scenario, level=Level.STATES, fast_forward=False).digest()
        assert any(isinstance(record, AddressChange) and record.present for record in trace.records), seed
        measure(scenario, trace)
        verbs |= {event.verb for event in scenario.events}
    assert len(verbs) >= 11


def test_runs_of_one_seed_share_its_instants(tmp_path):
    path = tmp_path / "s.yaml"
    for seed in (3, 9):
        path.write_text(random_scenario(seed))
        scenario = load_scenario(path)
        fixed = at_its_instants(scenario, seed)
        mine, others = (
            {tuple(r.at_ns for r in simulate(each, seed=s).records if isinstance(r, Fault)) for s in seeds}
            for each, seeds in ((scenario, [seed]), (fixed, range(5)))
        )
        assert others == mine


def test_a_comparison_boots_and_starts_as_fast_as_the_real_machine(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(random_scenario(3))
    scenario = load_scenario(path)
    real = Trace()
    real.records += [
        ProcessChange(1, "n1", "keepalived", "starting"),
        StateChange(30, "n1", "VI_1", "INIT", "BACKUP", "init"),
        FaultEnd(500, 0),
        NodeChange(540, "n1", "on"),
        ProcessChange(541, "n1", "keepalived", "starting"),
        StateChange(611, "n1", "VI_1", "INIT", "BACKUP", "init"),
    ]
    node = at_its_instants(scenario, 3, real).nodes["n1"]
    assert (node.boots, node.keepalived.starts_up) == (
        Distribution("choice", (40,)),
        Distribution("choice", (70,)),
    )
    assert at_its_instants(scenario, 3, real).nodes["n2"].keepalived.starts_up is None


def test_a_daemon_takes_the_startup_that_it_is_given(tmp_path):
    path = tmp_path / "s.yaml"
    text = random_scenario(3)
    path.write_text(text.replace("keepalived: {", "keepalived: {startup: 700ms, "))
    trace = simulate(load_scenario(path), level=Level.STATES)
    lives = [r for r in trace.records if isinstance(r, ProcessChange) and r.process == "keepalived"]
    found = [r.at_ns for r in lives if r.node == "n1"]
    assert found[1] - found[0] == 700_000_000
