"""SimPy's event queue with integer nanoseconds and a stable order of equal instants.

SimPy orders by (time, priority, insertion). The priority here is a `kind` and the rank of whom it
concerns, so that ties do not depend on who was scheduled first (DESIGN §4): faults before packets before
timers before the measurements of clients.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from enum import IntEnum
from heapq import heappush
from typing import Any

from simpy.core import Environment
from simpy.events import Event as SimpyEvent


class Kind(IntEnum):
    """What is served first at equal instants."""

    FAULT = 0
    KERNEL = 1  # neighbour timers, carrier reports, process life
    PACKET = 2
    TIMER = 3  # wake-ups of daemons
    CLIENT = 4


class Call(SimpyEvent):
    """A scheduled function call; `cancel` makes it do nothing."""

    # What SimPy looks at, without Event's constructor: the call is the hot path of everything.
    _ok = True
    _value = None
    _defused = False

    @property
    def done(self) -> bool:
        """It has happened."""
        return self.callbacks is None

    def __init__(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.callbacks = _RUN
        self.function: Callable[..., object] | None = function
        self.arguments = arguments

    def cancel(self) -> None:
        """The call will not happen."""
        self.function = None


def _run(call: Any) -> None:
    if call.function is not None:
        call.function(*call.arguments)


_RUN: Any = (_run,)  # SimPy only iterates over it


def order_of(kind: Kind, rank: int) -> int:
    """SimPy's priority among equal instants; 0 is its own: the end of a run, before all else then."""
    return (kind << 20) + rank + 1


class Calendar:
    """When what happens; the only place that knows SimPy."""

    __slots__ = ("_eid", "_queue", "env")

    def __init__(self) -> None:
        self.env = Environment(0)
        self._queue: list[Any] = self.env._queue  # what Environment.schedule puts events into, and how
        self._eid = self.env._eid

    @property
    def now_ns(self) -> int:
        """Simulated nanoseconds since the start of the run."""
        return self.env._now  # type: ignore[return-value]  # an int since the start was one

    def at(self, at_ns: int, kind: Kind, rank: int, function: Callable[..., object], *arguments: Any) -> Call:
        """Call `function(*arguments)` at an instant; the past counts as now."""
        call = Call(function, arguments)
        self.again(call, at_ns, order_of(kind, rank))
        return call

    def post(
        self, delay_ns: int, order: int, function: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        """Call `function(*arguments)` after a delay, come what may."""
        call = Call(function, arguments)
        heappush(self._queue, (self.env._now + delay_ns, order, next(self._eid), call))

    def again(self, call: Call, at_ns: int, order: int) -> None:
        """Schedule a call that is done (or new) for another instant."""
        call.callbacks = _RUN
        now_ns = self.env._now
        heappush(self._queue, (at_ns if at_ns > now_ns else now_ns, order, next(self._eid), call))

    def next_ns(self, besides: Container[object]) -> int:
        """When the next call is due that is not one of these and was not cancelled, or the run ends."""
        at_ns: int = min(
            at_ns
            for at_ns, _, _, event in self._queue
            if event not in besides and getattr(event, "function", event) is not None
        )
        return at_ns

    def run(self, until_ns: int) -> None:
        """Serve everything before `until_ns`."""
        self.env.run(until=until_ns)
