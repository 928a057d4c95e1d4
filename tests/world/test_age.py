"""A cluster that has run for a while: as if every second of it had been simulated, and nearly for nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from vrrpsim.build import load
from vrrpsim.measure import measure
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import DIGESTED, Level, Reachability, since
from vrrpsim.world import World, simulate

SCENARIOS = Path(__file__).parents[2] / "scenarios"
MULTICAST = ("power-loss", "haproxy-hung-curl", "three-nodes-v3", "sync-group", "ipv6")
MINUTE_NS, DAY_NS = 60_000_000_000, 86_400_000_000_000


def scenario(name, age_ns):
    return replace(load_scenario(SCENARIOS / f"{name}.yaml"), age_ns=age_ns)


def later(event, by_ns):
    """The same event, so much later; one that follows another moves with it."""
    at, plus = event.at, event.at.plus
    if at.after is not None:
        return event
    moved = plus._replace(parameters=tuple(each + by_ns for each in plus.parameters))
    return replace(event, at=at._replace(plus=moved))


@pytest.mark.parametrize("name", MULTICAST)
@pytest.mark.parametrize("minutes", [7, 11])
def test_what_happens_after_it_is_what_happens_event_by_event(name, minutes):
    age_ns = minutes * MINUTE_NS + 123
    aged = scenario(name, age_ns)
    whole = replace(
        aged,
        age_ns=0,
        duration_ns=aged.duration_ns + age_ns,
        events=tuple(later(event, age_ns) for event in aged.events),
    )
    told = [r for r in simulate(aged, level=Level.STATES).records if isinstance(r, DIGESTED) and r.at_ns > 0]
    plain = simulate(whole, level=Level.STATES, fast_forward=False).records
    expected = [since(age_ns, r) for r in plain if isinstance(r, DIGESTED) and r.at_ns > age_ns]
    assert [r._replace(until_ns=None) if hasattr(r, "until_ns") else r for r in told] == [
        r._replace(until_ns=None) if hasattr(r, "until_ns") else r for r in expected
    ]


@pytest.mark.parametrize("name", [*MULTICAST, "haproxy-crash", "partition"])
def test_a_month_gives_the_same_history_at_every_level(name):
    aged = scenario(name, 30 * DAY_NS)
    digests = {simulate(aged, level=level).digest() for level in Level}
    assert len(digests) == 1
    assert measure(aged, simulate(aged)).verdict == "pass"


def test_it_begins_with_how_things_stand():
    records = simulate(scenario("haproxy-crash", DAY_NS)).records
    first = [record for record in records if record.at_ns == 0]
    states = {record.node: record.new for record in first if type(record).__name__ == "StateChange"}
    assert states == {"lb1": "MASTER", "lb2": "BACKUP"}
    assert all(record.at_ns >= 0 for record in records)
    assert [record.reachable for record in first if isinstance(record, Reachability)] == [True]


def test_checks_and_adverts_are_out_of_step_only_in_an_old_cluster():
    """A pair that was just booted detects always at the same age of the last advert (field: 401-417 ms)."""

    def spread(age_ns):
        aged = scenario("haproxy-crash", age_ns)
        found = []
        for seed in range(20):
            records = simulate(aged, seed=seed, level=Level.STATES).records
            first = next(record for record in records if type(record).__name__ == "Fault")
            lost = next(r for r in records if type(r).__name__ == "TrackerChange" and r.at_ns > first.at_ns)
            won = next(r for r in records if r.at_ns > lost.at_ns and getattr(r, "new", "") == "MASTER")
            found.append((won.at_ns - lost.at_ns) // 1_000_000)
        return max(found) - min(found)

    assert spread(0) < 100
    assert spread(30 * DAY_NS) > 500


def test_a_month_costs_no_more_events_than_minutes():
    """A few leaps, whether adverts are multicast or have a neighbour entry to renew."""
    for name in ("haproxy-crash", "power-loss"):
        worlds = [World(scenario(name, age_ns), 1, Level.STATES) for age_ns in (DAY_NS, 30 * DAY_NS)]
        for world in worlds:
            world.run()
        day, month = (world.context.agenda.entered for world in worlds)
        assert month < day * 1.5 + 100


def test_set_says_it_too():
    study = load(SCENARIOS / "haproxy-crash.yaml", overrides={"age": "30d"})
    assert study.scenario.age_ns == 30 * DAY_NS
    assert study.run().verdict == "pass"
