"""Fast-forward gives the same history as event by event, in a fraction of the time (DESIGN §4)."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_world import pair, world

from vrrpsim.measure import measure
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import AdvertSent, FastForwarded, FrameLost, Level, StateChange, Trace
from vrrpsim.world import World, simulate

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*ROOT.glob("scenarios/*.yaml"), *ROOT.glob("scenarios/regressions/*.yaml")])
RECORDED = sorted(ROOT.glob("tests/groundtruth/*/scenario.yaml"))
THREE = ROOT / "tests/groundtruth/24-three-nodes/scenario.yaml"
DAY_NS = 86_400 * 10**9


def lossy(scenario: Scenario, loss: float, burst: float | None = None) -> Scenario:
    segments = {name: s._replace(loss=loss, burst=burst) for name, s in scenario.segments.items()}
    return replace(scenario, segments=segments)


def quiet_for(scenario: Scenario, duration_ns: int) -> Scenario:
    return replace(scenario, duration_ns=duration_ns, events=(), clients={}, expect=None)


def passed_over(trace: Trace) -> int:
    return sum(record.adverts for record in trace.records if isinstance(record, FastForwarded))


def same(scenario: Scenario, seed: int) -> int:
    """Both ways give the same document and the same records but for adverts; how many were passed over."""
    fast = simulate(scenario, seed=seed, fast_forward=True)
    slow = simulate(scenario, seed=seed, fast_forward=False)
    left_out = (FastForwarded, AdvertSent, FrameLost)
    kept = [[r for r in trace.records if not isinstance(r, left_out)] for trace in (fast, slow)]
    assert kept[0] == kept[1]
    assert measure(scenario, fast).to_json() == measure(scenario, slow).to_json()
    assert not any(isinstance(record, FastForwarded) for record in slow.records)
    return passed_over(fast)


@pytest.mark.slow
@pytest.mark.parametrize("file", [*SHIPPED, *RECORDED], ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_scenario_is_the_same(file: Path) -> None:
    """Longer than written, and with loss in every other one: faults, clients and all."""
    scenario = load_scenario(file)
    chance = Random(str(file.relative_to(ROOT)))
    scenario = replace(scenario, duration_ns=2 * scenario.duration_ns)
    for seed in (1, 2) if file in SHIPPED else (1,):  # a recorded case stands there in several versions
        loss = chance.choice([0.0, 0.0, 0.001, 0.01, 0.1, 0.5])
        same(lossy(scenario, loss, chance.choice([None, 3.0])) if loss else scenario, seed)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    loss=st.one_of(st.floats(0.0, 0.5), st.sampled_from([0.0, 0.001, 0.01])),
    burst=st.sampled_from([None, 2.0, 5.0]),
    seed=st.integers(0, 2**32),
    fault=st.sampled_from(["power_off", "pause", "link_down", "partition", "impair", "starve", "restart"]),
    at_s=st.floats(10, 200),
    slop=st.sampled_from(["none", "default", {"stalls": {"every": {"exponential": "40s"}, "for": "2s"}}]),
)
@example(
    loss=5e-324, burst=2.0, seed=0, fault="power_off", at_s=10.0, slop="none"
)  # a chance that is 0 by division
def test_any_loss_and_any_fault_is_the_same(
    loss: float, burst: float | None, seed: int, fault: str, at_s: float, slop: object
) -> None:
    what: dict[str, object] = {
        "power_off": {"power_off": "lb1"},
        "pause": {"pause": "master"},
        "link_down": {"link_down": "lb1/eth0"},
        "partition": {"partition": [["lb1"], ["lb2"]]},
        "impair": {"impair": "lan", "delay": "2ms", "jitter": {"uniform": ["0s", "1ms"]}},
        "starve": {"starve": "lb2", "delay": "20ms"},
        "restart": {"restart": "lb1/keepalived"},
    }[fault]
    lasts = {} if fault == "restart" else {"for": "7s"}
    made = world(pair({"at": f"{at_s:.3f}s", **what, **lasts}, duration="300s"))
    nodes = {
        name: replace(node, slop=_slop(slop)) if slop != "default" else node
        for name, node in made.scenario.nodes.items()
    }
    same(lossy(replace(made.scenario, nodes=nodes), loss, burst), seed)


def _slop(slop: object) -> object:
    from vrrpsim.scenario.model import HostLatency, Stalls
    from vrrpsim.scenario.quantities import Distribution

    if slop == "none":
        return HostLatency("none")
    stalls = Stalls(every=Distribution("exponential", (40 * 10**9,)), lasts=Distribution.fixed(2 * 10**9))
    return HostLatency("default", stalls=stalls)


@pytest.mark.parametrize("loss", [0.0, 0.001, 0.01, 0.05])
def test_a_quiet_day_is_passed_over(loss: float) -> None:
    """Nearly all of a day, and its false takeovers are those of the day event by event."""
    started = {f"nodes.n{number}.keepalived.starts": "0s" for number in (1, 2, 3)}  # not by its events
    day = quiet_for(lossy(load_scenario(THREE, overrides=started), loss), DAY_NS)
    trace = simulate(day, level=Level.ADVERTS, fast_forward=True)
    seen = sum(isinstance(record, AdvertSent) for record in trace.records)
    assert passed_over(trace) + seen == pytest.approx(86_400, rel=0.01)
    if loss < 0.05:
        assert seen < 0.01 * 86_400
    hour = replace(day, duration_ns=DAY_NS // 12)
    assert simulate(hour, fast_forward=True).digest() == simulate(hour, fast_forward=False).digest()


@pytest.mark.slow
def test_a_year_at_one_percent_has_its_false_takeovers() -> None:
    """Three lost in a row of 31.5 million adverts to either Backup: 1e-6 · 0.99 each, once in two weeks."""
    year = load_scenario(ROOT / "scenarios/long/a-year-of-loss.yaml")
    trace = simulate(year, level=Level.ADVERTS, fast_forward=True)
    false = [r for r in trace.records if isinstance(r, StateChange) and r.new == "MASTER"][1:]
    assert {record.node for record in false} == {"edge2", "edge3"}
    assert 35 < len(false) < 95  # 62 expected, Poisson
    assert all(type(record.at_ns) is int for record in trace.records)
    assert all(verdict.ok for verdict in measure(year, trace).expectations)


def test_who_asks_for_packets_gets_them_all() -> None:
    scenario = load_scenario(THREE)
    assert World(scenario, 1, Level.STATES).context.fast_forward is not None
    assert World(scenario, 1, Level.ADVERTS).context.fast_forward is None
    assert World(scenario, 1, Level.ALL, fast_forward=True).context.fast_forward is None
    tapped = World(quiet_for(scenario, 120 * 10**9), 1, Level.STATES)
    frames: list[object] = []
    for segment in tapped.segments.values():
        segment.taps.append(lambda at_ns, sender, frame, lost: frames.append(frame))
    tapped.run()
    assert len(frames) > 100
