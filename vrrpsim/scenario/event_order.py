"""When the events of a scenario fire, end, repeat and follow each other: no clock, no verbs (DESIGN §4).

Whoever runs the scenario serves what is due, applies the verb, and says so; the answer is what is due later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from .events import Event, detail
from .quantities import Distribution
from .verbs import VERBS

LEAST_NS = 1_000  # between repetitions
Undo = TypeVar("Undo")
Resolved = tuple[str, ...]  # whom a verb met


class DrawsOnce(Protocol):
    """The random streams of a run, such as `chance.Streams`."""

    def draw_ns(self, distribution: Distribution, purpose: str) -> int:
        """The only draw of a purpose."""


def drawn_ns(streams: DrawsOnce, event: Event) -> int:
    """The instant of an event that this run draws, counted from what its `at:` says: a stream of its own."""
    return streams.draw_ns(event.at.plus, f"event/{event.name}")


class Firing(NamedTuple):
    """An event is due, for the first time (0) or again."""

    at_ns: int
    event: Event
    repetition: int

    @property
    def purpose(self) -> str:
        """The name of its random streams."""
        return f"event/{self.event.name}/{self.repetition}"


class Ending(NamedTuple, Generic[Undo]):
    """The end of an event's `for:` is due."""

    at_ns: int
    event: Event
    number: int
    resolved: Resolved
    undo: Undo


class Fired(NamedTuple):
    """What a trace says of an event beside the instant."""

    number: int
    name: str
    verb: str
    target: str
    resolved: Resolved
    until_ns: int | None
    detail: str


class EventOrder(Generic[Undo]):
    """The events of one run."""

    def __init__(self, events: Sequence[Event], streams: DrawsOnce) -> None:
        self._events, self._streams = events, streams
        self.count = 0  # of those that fired; the number of the next
        self._held: Counter[tuple[str, Resolved]] = Counter()  # unfinished ones by verb and target

    def first(self) -> list[Firing]:
        """Events with an instant of their own; `after:` ones follow their event."""
        streams = self._streams
        return [Firing(drawn_ns(streams, each), each, 0) for each in self._events if each.at.after is None]

    def fired(
        self, firing: Firing, resolved: Resolved, undo: Undo | None
    ) -> tuple[Fired, list[Firing | Ending[Undo]]]:
        """The verb is applied: what to write down, and what is due later: end, repetition, followers."""
        at_ns, event, repetition = firing
        number, until_ns = self.count, None
        self.count += 1
        later: list[Firing | Ending[Undo]] = []
        if event.lasts is not None and undo is not None:
            until_ns = at_ns + self._streams.draw_ns(event.lasts, f"{firing.purpose}/for")
            self._held[event.verb, resolved] += 1
            later.append(Ending(until_ns, event, number, resolved, undo))
        if event.every is not None and (event.count is None or repetition + 1 < event.count):
            every_ns = max(self._streams.draw_ns(event.every, f"{firing.purpose}/every"), LEAST_NS)
            later.append(Firing(at_ns + every_ns, event, repetition + 1))
        if repetition == 0:
            followers = (each for each in self._events if each.at.after == event.name)
            later += [Firing(at_ns + drawn_ns(self._streams, each), each, 0) for each in followers]
        name = event.name if event.name != f"{event.verb}-{event.index}" else ""
        target = str(event.target) if event.target else ""
        return Fired(number, name, event.verb, target, resolved, until_ns, detail(event)), later

    def ended(self, ending: Ending[Undo]) -> bool:
        """Whether to undo it: not while another of its kind still holds the same thing in that state."""
        holds = (ending.event.verb, ending.resolved)
        self._held[holds] -= 1
        return VERBS[ending.event.verb].composes or not self._held[holds]
