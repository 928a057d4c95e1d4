"""What is to come: integer nanoseconds, and a stable order of equal instants.

Calls are ordered as SimPy orders events, by (time, priority, insertion). The priority here is a `kind` and
the rank of whom it concerns, so that ties do not depend on who was scheduled first (DESIGN §4): faults before
packets before timers before the measurements of clients. The cluster's own calls need no more of SimPy than
that order; the `Calendar` puts its environment around them, in which processes of others run, too.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any, ClassVar, Final

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


_RUN: Final = (_run,)


class Agenda:
    """The calls to come, and what time it is."""

    __slots__ = ("calls", "end_ns", "entered", "now_ns")

    def __init__(self) -> None:
        self.now_ns = 0
        self.end_ns = NEVER_NS  # of the run
        self.entered = 0  # calls and events so far: the last resort of their order
        self.calls: list[Any] = []  # a heap of (instant, order, number, call or event of SimPy)

    def at(self, at_ns: int, kind: Kind, rank: int, function: Callable[..., object], *arguments: Any) -> Call:
        """Call `function(*arguments)` at an instant; the past counts as now."""
        call = Call(function, arguments)
        self.again(call, at_ns, order_of(kind, rank))
        return call

    def post(
        self, delay_ns: int, order: int, function: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        """Call `function(*arguments)` after a delay, come what may."""
        self.entered += 1
        heappush(self.calls, (self.now_ns + delay_ns, order, self.entered, Call(function, arguments)))

    def again(self, call: Call, at_ns: int, order: int) -> None:
        """Schedule a call that is done (or new) for another instant."""
        call.callbacks = _RUN
        self.entered += 1
        heappush(self.calls, (at_ns if at_ns > self.now_ns else self.now_ns, order, self.entered, call))

    def next_ns(self, besides: Container[object]) -> int:
        """When the next event is due that is not one of these and was not cancelled, or the run ends."""
        due = (
            at_ns
            for at_ns, _, _, event in self.calls
            if event not in besides and getattr(event, "function", event) is not None
        )
        return min(self.end_ns, min(due, default=NEVER_NS))


class Alarm:
    """At most one call to come: set again, it replaces the one before."""

    __slots__ = ("_agenda", "_order", "call")

    def __init__(self, agenda: Agenda, kind: Kind, rank: int) -> None:
        self._agenda = agenda
        self._order = order_of(kind, rank)
        self.call: Call | None = None  # the last one, unless cancelled

    @property
    def pending(self) -> bool:
        """A call is to come."""
        return self.call is not None and not self.call.done

    def set(self, delay_ns: int, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function(*arguments)` after a delay."""
        if self.call is not None:
            self.call.cancel()
        self.call = call = Call(function, arguments)
        self._agenda.again(call, self._agenda.now_ns + delay_ns, self._order)

    def cancel(self) -> None:
        """Nothing is to come."""
        if self.call is not None:
            self.call.cancel()
            self.call = None


def order_of(kind: Kind, rank: int) -> int:
    """SimPy's priority among equal instants; 0 and 1 are its own: what runs beside us comes first."""
    return (kind << 20) + rank + 2


class Calendar(Environment):
    """SimPy's environment in nanoseconds over an agenda: its processes may run here, too."""

    def __init__(self) -> None:
        super().__init__(0)
        self.agenda = Agenda()
        self._queue = self.agenda.calls

    @property
    def now(self) -> int:
        """The time, in nanoseconds."""
        return self.agenda.now_ns

    @property
    def now_ns(self) -> int:
        """The same, under the name that it has everywhere else."""
        return self.agenda.now_ns

    def at(self, at_ns: int, kind: Kind, rank: int, function: Callable[..., object], *arguments: Any) -> Call:
        """Call `function(*arguments)` at an instant; the past counts as now."""
        return self.agenda.at(at_ns, kind, rank, function, *arguments)

    def schedule(self, event: SimpyEvent, priority: Any = NORMAL, delay: float = 0) -> None:
        """What SimPy's own events ask for; a fraction of a nanosecond would not be reproducible."""
        if delay != int(delay):
            raise ValueError(f"a delay is a whole number of nanoseconds, not {delay}")
        agenda = self.agenda
        agenda.entered += 1
        heappush(agenda.calls, (agenda.now_ns + int(delay), priority, agenda.entered, event))

    def step(self) -> None:
        """Serve the next event."""
        agenda = self.agenda
        agenda.now_ns = agenda.calls[0][0] if agenda.calls else agenda.now_ns
        super().step()

    def run(self, until: Any = None) -> Any:
        """Serve everything before an instant; otherwise what SimPy does, which steps some slower."""
        if not isinstance(until, int):
            return super().run(until)
        agenda = self.agenda
        agenda.end_ns = until
        queue = agenda.calls
        while queue and queue[0][0] < until:
            entry = heappop(queue)
            event = entry[3]
            if type(event) is Call:
                agenda.now_ns = entry[0]
                event.callbacks = None  # as SimPy marks what is done
                function = event.function
                if function is not None:
                    function(*event.arguments)
            else:
                heappush(queue, entry)
                self.step()
        agenda.now_ns = max(until, agenda.now_ns)
        return None
