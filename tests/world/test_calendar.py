"""The calendar: exact integers, a stable order of equal instants, and what we rely on in SimPy."""

import itertools

import pytest
from simpy.core import Environment
from simpy.events import URGENT, Event

from vrrpsim.world.calendar import Calendar, Kind

FAR_NS = 366 * 86_400 * 1_000_000_000 + 1  # a year and a nanosecond


def test_time_is_exact_at_a_far_epoch() -> None:
    calendar, seen = Calendar(), []
    for offset in (2, 0, 1):
        calendar.at(FAR_NS + offset, Kind.TIMER, 1, lambda: seen.append(calendar.now_ns))
    calendar.run(FAR_NS + 10)
    assert seen == [FAR_NS, FAR_NS + 1, FAR_NS + 2]
    assert all(type(at_ns) is int for at_ns in seen)
    assert calendar.now_ns == FAR_NS + 10


def test_a_period_added_k_times_is_k_periods() -> None:
    calendar, seen = Calendar(), []

    def tick() -> None:
        seen.append(calendar.now_ns)
        calendar.at(calendar.now_ns + 333_333_333, Kind.TIMER, 1, tick)

    calendar.at(0, Kind.TIMER, 1, tick)
    calendar.run(3600 * 1_000_000_000)
    assert seen == [333_333_333 * k for k in range(len(seen))]


def test_equal_instants_are_served_by_kind_and_rank_in_whatever_order_they_were_scheduled() -> None:
    calls = [(Kind.FAULT, 2), (Kind.KERNEL, 1), (Kind.PACKET, 3), (Kind.TIMER, 0), (Kind.TIMER, 7)]
    for order in itertools.permutations(calls):
        calendar, seen = Calendar(), []
        for kind, rank in order:
            calendar.at(1000, kind, rank, seen.append, (kind, rank))
        calendar.run(1001)
        assert seen == calls


def test_a_large_rank_does_not_leave_its_kind() -> None:
    calendar, seen = Calendar(), []
    calendar.at(5, Kind.PACKET, 0, seen.append, "packet")
    calendar.at(5, Kind.FAULT, (1 << 20) - 1, seen.append, "millionth fault")
    calendar.run(6)
    assert seen == ["millionth fault", "packet"]


def test_the_past_is_now() -> None:
    calendar, seen = Calendar(), []
    calendar.at(
        100, Kind.TIMER, 1, lambda: calendar.at(5, Kind.TIMER, 1, lambda: seen.append(calendar.now_ns))
    )
    calendar.run(200)
    assert seen == [100]


def test_cancelled_calls_do_not_happen() -> None:
    calendar, seen = Calendar(), []
    call = calendar.at(10, Kind.TIMER, 1, seen.append, "late")
    calendar.at(5, Kind.TIMER, 1, call.cancel)
    kept = calendar.at(10, Kind.TIMER, 2, seen.append, "kept")
    calendar.run(20)
    assert seen == ["kept"]
    assert kept.done
    kept.cancel()  # afterwards: nothing to cancel, nothing breaks


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("rank", [0, 1])
def test_the_end_of_a_run_comes_before_what_is_due_then(kind: Kind, rank: int) -> None:
    """Else the first event of a file would still happen at the horizon and the others not."""
    calendar, seen = Calendar(), []
    calendar.at(10, kind, rank, seen.append, "at the horizon")
    calendar.run(10)
    assert seen == []
    calendar.run(11)
    assert seen == ["at the horizon"]


def test_a_failure_in_a_call_is_not_swallowed() -> None:
    calendar = Calendar()
    calendar.at(1, Kind.TIMER, 1, lambda: {}["missing"])
    with pytest.raises(KeyError):
        calendar.run(2)


def test_simpy_still_is_what_the_calendar_builds_on() -> None:
    """Fails if a new SimPy changes its internals; then calendar.py has to change with it."""
    env = Environment(0)
    assert env._now == 0
    assert type(env._now) is int
    assert int(URGENT) == 0  # `run(until)` ends at this priority, below every one of ours
    first, second = Event(env), Event(env)
    for event, priority in ((first, 9), (second, 8)):
        event._ok = True
        event._value = None
        env.schedule(event, priority, 7)  # type: ignore[arg-type]  # any integer is a priority
    assert [entry[:3] for entry in sorted(env._queue, key=lambda e: e[:3])] == [(7, 8, 1), (7, 9, 0)]
    seen: list[object] = []
    second.callbacks = (seen.append,)  # type: ignore[assignment]  # only iterated over
    env.step()
    assert seen == [second]
    assert second.callbacks is None
    assert type(env.now) is int
