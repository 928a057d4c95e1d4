"""SimPy's event queue with integer nanoseconds and a stable order of equal instants.

SimPy orders by (time, priority, insertion). The priority here is a `kind` and the rank of whom it
concerns, so that ties do not depend on who was scheduled first (DESIGN §4): faults before packets before
timers before the measurements of clients.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from simpy.core import Environment
from simpy.events import Event as SimpyEvent
from simpy.events import EventPriority


class Kind(IntEnum):
    """What is served first at equal instants."""

    FAULT = 0
    KERNEL = 1  # neighbour timers, carrier reports, process life
    PACKET = 2
    TIMER = 3  # wake-ups of daemons
    CLIENT = 4


class Call(SimpyEvent):
    """A scheduled function call; `cancel` makes it do nothing."""

    def __init__(self, env: Environment, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.env = env
        self.callbacks = [self._run]
        self._ok = True
        self._value = None
        self._defused = False
        self.done = False
        self.function: Callable[..., object] | None = function
        self.arguments = arguments

    def _run(self, _event: SimpyEvent) -> None:
        self.done = True
        if self.function is not None:
            self.function(*self.arguments)

    def cancel(self) -> None:
        """The call will not happen."""
        self.function = None


class Calendar:
    """When what happens; the only place that knows SimPy."""

    __slots__ = ("env",)

    def __init__(self) -> None:
        self.env = Environment(0)

    @property
    def now_ns(self) -> int:
        """Simulated nanoseconds since the start of the run."""
        now: int = self.env._now  # type: ignore[assignment]  # an int since the start was one
        return now

    def at(self, at_ns: int, kind: Kind, rank: int, function: Callable[..., object], *arguments: Any) -> Call:
        """Call `function(*arguments)` at an instant; the past counts as now."""
        call = Call(self.env, function, arguments)
        delay_ns = max(at_ns - self.now_ns, 0)
        self.env.schedule(call, EventPriority((kind << 20) + rank), delay_ns)
        return call

    def run(self, until_ns: int) -> None:
        """Serve everything before `until_ns`."""
        self.env.run(until=until_ns)
