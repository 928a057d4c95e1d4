"""What every part of one simulated cluster shares: its calendar, its chance and its trace.

Segments, nodes and clients are built from a context and never see the `World` that holds them, so the
modules of this package import each other downwards only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple

from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.model import Scenario, once
from vrrpsim.scenario.random_streams import Streams
from vrrpsim.trace import FrameLost, Level, Remark, Trace

from .calendar import Calendar, Kind
from .forcing import Forcing


class FastForwards(ABC):
    """Whoever can pass over quiet stretches."""

    not_before_ns: int

    @abstractmethod
    def leap(self) -> bool:
        """Pass over the quiet stretch that begins now; False: there is none worth it."""


class Whole(NamedTuple):
    """What a part of a scenario keeps of the whole: numbers, from 1, and what addresses there are."""

    segments: Mapping[str, int]
    nodes: Mapping[str, int]
    virtual: frozenset[Address]
    known: frozenset[Address]  # those that somebody has or may get


@once
def whole_of(scenario: Scenario) -> Whole:
    """Number a scenario that is no part of another."""
    virtual = scenario.virtual_addresses()
    own = (
        each.ip
        for node in scenario.nodes.values()
        for interface in node.interfaces.values()
        for each in interface.addresses
    )
    return Whole(
        {name: rank for rank, name in enumerate(scenario.segments, 1)},
        {name: rank for rank, name in enumerate(scenario.nodes, 1)},
        virtual,
        virtual.union(own),
    )


class Context:
    """One run's shared things. Two contexts never meet."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        calendar: Calendar,
        trace: Trace,
        forcing: Forcing | None = None,
        whole: Whole | None = None,
    ) -> None:
        self.scenario = scenario
        self.calendar = calendar
        self.agenda = calendar.agenda  # of the calendar: what all but processes of others needs of it
        self.streams = Streams(seed)
        self.trace = trace
        self.whole = whole or whole_of(scenario)
        self.origin_ns = scenario.age_ns  # where the run begins on the calendar, and 0 of its trace is
        self.forcing = forcing  # None: losses are as frequent as they are
        self.fast_forward: FastForwards | None = None
        self.observers: list[Callable[[], None]] = []  # looked at once, after all else of an instant
        self.virtual = self.whole.virtual
        self._known = self.whole.known
        self.sessions: list[Callable[[], None]] = []  # what depends on whether daemons run
        self._reconsidering = False
        self._remarks: set[str] = set()

    def reconsider(self) -> None:
        """Something changed that clients could notice: look at them once, after all else of this instant."""
        if not self._reconsidering:
            self._reconsidering = True
            self.agenda.at(self.agenda.now_ns, Kind.CLIENT, 0, self._observe)

    def knows(self, address: Address) -> bool:
        """Whether somebody has the address, or may get it."""
        return address in self._known

    def _observe(self) -> None:
        self._reconsidering = False
        for observe in self.observers:
            observe()

    def frame_lost(self, segment: str, source: str, destination: str, kind: str, reason: str) -> None:
        """Record a frame that did not arrive."""
        if self.trace.level >= Level.ADVERTS:
            self.trace.add(FrameLost(self.agenda.now_ns, segment, source, destination, kind, reason))

    def remark(self, text: str) -> None:
        """Say something about the run itself, once."""
        if text not in self._remarks:
            self._remarks.add(text)
            self.trace.add(Remark(self.agenda.now_ns, text))
