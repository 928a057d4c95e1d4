"""A SimPy process of the user's own runs beside the cluster, in the same environment."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import FastForwarded, Level, NodeChange, StateChange, Trace
from vrrpsim.world import World

ROOT = Path(__file__).parents[2]
SCENARIO = replace(load_scenario(ROOT / "scenarios/three-nodes-v3.yaml"), events=(), expect=None)
S = 1_000_000_000
SHARED = [  # whole scenarios, with and without fast-forward
    (path, fast) for path in sorted(ROOT.glob("scenarios/*.yaml"))[::4] for fast in (False, True)
]


def watched(world: World, period_ns: int) -> list[int]:
    """When a process that only looks at the clock was served."""
    seen = []

    def watch():
        while True:
            yield world.calendar.timeout(period_ns)
            seen.append(world.calendar.now)

    world.calendar.process(watch())
    return seen


@pytest.mark.parametrize(("path", "fast"), SHARED, ids=lambda value: getattr(value, "stem", str(value)))
def test_an_idle_process_changes_nothing(path: Path, fast: bool) -> None:
    scenario = load_scenario(path)
    world = World(scenario, 1, Level.ADVERTS, fast)
    seen = watched(world, 777_777_777)
    alone = World(scenario, 1, Level.ADVERTS, fast).run()
    beside = world.run()
    assert beside.digest() == alone.digest()
    if not fast:
        assert beside.records == alone.records
    assert seen == list(range(777_777_777, scenario.duration_ns, 777_777_777))


def crashed(fast: bool, when: Callable[[World], object]) -> Trace:
    """A run in which the user's process powers the Master off after waiting for something."""
    world = World(SCENARIO, 1, Level.ADVERTS, fast)

    def crash():
        yield when(world)
        next(node for node in world.nodes.values() if node.daemon.has_role("master", None)).power_off()

    world.calendar.process(crash())
    return world.run()


@pytest.mark.parametrize(
    "when",
    [
        lambda world: world.calendar.timeout(21 * S + 1),
        lambda world: world.calendar.timeout(8 * S) & world.calendar.timeout(21 * S + 1),
        lambda world: world.calendar.process(nap(world)),
    ],
    ids=["timeout", "condition", "process"],
)
def test_fast_forward_does_not_pass_over_what_a_process_waits_for(when) -> None:
    slow, fast = crashed(False, when), crashed(True, when)
    assert fast.digest() == slow.digest()
    assert any(isinstance(record, FastForwarded) for record in fast.records)
    for trace in (slow, fast):
        off = next(each.at_ns for each in trace.records if isinstance(each, NodeChange))
        assert off == 21 * S + 1
        assert any(
            isinstance(each, StateChange) and each.new == "MASTER" and off < each.at_ns < off + 5 * S
            for each in trace.records
        )


def nap(world: World):
    """Wait in another process."""
    yield world.calendar.timeout(21 * S + 1)


@pytest.mark.parametrize("delay", [0.5, 1e9 + 0.25])
def test_a_fraction_of_a_nanosecond_is_refused(delay: float) -> None:
    with pytest.raises(ValueError, match="whole number of nanoseconds"):
        World(SCENARIO, 1).calendar.timeout(delay)


def test_a_run_can_end_with_an_event_of_the_process() -> None:
    world = World(SCENARIO, 1)
    for node in world.nodes.values():
        node.start_processes()
    assert world.calendar.run(world.calendar.timeout(5 * S, "reached")) == "reached"
    assert world.calendar.now_ns == world.calendar.now == 5 * S
    assert any(isinstance(record, StateChange) for record in world.trace.records)
