"""SimPy's event queue with integer nanoseconds and a stable order of equal instants.

SimPy orders by (time, priority, insertion). The priority here is a `kind` and the rank of whom it
concerns, so that ties do not depend on who was scheduled first (DESIGN §4): faults before packets before
timers before the measurements of clients.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any, ClassVar

from simpy.core import Environment
from simpy.events import NORMAL
from simpy.events import Event as SimpyEvent

from vrrpsim.protocol.fsm import NEVER_NS


class Kind(IntEnum):
    """What is served first at equal instants."""

    FAULT = 0
    KERNEL = 1  # neighbour timers, carrier reports, process life
    PACKET = 2
    TIMER = 3  # wake-ups of daemons
    CLIENT = 4


class Call:
    """A scheduled function call, an event in the eyes of SimPy; `cancel` makes it do nothing."""

    __slots__ = ("arguments", "callbacks", "function")
    _ok: ClassVar[bool] = True  # what SimPy asks of an event that happened

    def __init__(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.callbacks: tuple[Callable[[Call], None], ...] | None = _RUN
        self.function: Callable[..., object] | None = function
        self.arguments = arguments

    @property
    def done(self) -> bool:
        """It has happened."""
        return self.callbacks is None

    def cancel(self) -> None:
        """The call will not happen."""
        self.function = None


def _run(call: Call) -> None:
    if call.function is not None:
        call.function(*call.arguments)


_RUN = (_run,)


class Alarm:
    """At most one call to come: set again, it replaces the one before."""

    __slots__ = ("_calendar", "_kind", "_rank", "call")

    def __init__(self, calendar: Calendar, kind: Kind, rank: int) -> None:
        self._calendar = calendar
        self._kind = kind
        self._rank = rank
        self.call: Call | None = None  # the last one, unless cancelled

    @property
    def pending(self) -> bool:
        """A call is to come."""
        return self.call is not None and not self.call.done

    def set(self, delay_ns: int, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function(*arguments)` after a delay."""
        if self.call is not None:
            self.call.cancel()
        calendar = self._calendar
        self.call = calendar.at(calendar.now_ns + delay_ns, self._kind, self._rank, function, *arguments)

    def cancel(self) -> None:
        """Nothing is to come."""
        if self.call is not None:
            self.call.cancel()
            self.call = None


def order_of(kind: Kind, rank: int) -> int:
    """SimPy's priority among equal instants; 0 and 1 are its own: what runs beside us comes first."""
    return (kind << 20) + rank + 2


class Calendar(Environment):
    """SimPy's environment in nanoseconds, with cheap calls beside its processes, which may run here too."""

    def __init__(self) -> None:
        super().__init__(0)
        self.now_ns = 0  # `now`, as an attribute: nothing is read more often
        self._end_ns = NEVER_NS
        self._calls: Any = self._queue  # what `schedule` puts events into, and how

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
        heappush(self._calls, (self.now_ns + delay_ns, order, next(self._eid), call))

    def again(self, call: Call, at_ns: int, order: int) -> None:
        """Schedule a call that is done (or new) for another instant."""
        call.callbacks = _RUN
        now_ns = self.now_ns
        heappush(self._calls, (at_ns if at_ns > now_ns else now_ns, order, next(self._eid), call))

    def schedule(self, event: SimpyEvent, priority: Any = NORMAL, delay: float = 0) -> None:
        """What SimPy's own events ask for; a fraction of a nanosecond would not be reproducible."""
        if delay != int(delay):
            raise ValueError(f"a delay is a whole number of nanoseconds, not {delay}")
        super().schedule(event, priority, int(delay))

    def next_ns(self, besides: Container[object]) -> int:
        """When the next event is due that is not one of these and was not cancelled, or the run ends."""
        due = (
            at_ns
            for at_ns, _, _, event in self._calls
            if event not in besides and getattr(event, "function", event) is not None
        )
        return min(self._end_ns, min(due, default=NEVER_NS))

    def step(self) -> None:
        """Serve the next event."""
        self.now_ns = self._calls[0][0] if self._calls else self.now_ns
        super().step()

    def run(self, until: Any = None) -> Any:
        """Serve everything before an instant; otherwise what SimPy does, which steps some slower."""
        if not isinstance(until, int):
            return super().run(until)
        self._end_ns = until
        queue = self._calls
        while queue and queue[0][0] < until:
            entry = heappop(queue)
            event = entry[3]
            if type(event) is Call:
                self._now = self.now_ns = entry[0]
                event.callbacks = None  # as SimPy marks what is done
                function = event.function
                if function is not None:
                    function(*event.arguments)
            else:
                heappush(queue, entry)
                self.step()
        self._now = self.now_ns = max(until, self.now_ns)
        return None
