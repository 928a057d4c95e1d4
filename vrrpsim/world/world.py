"""One run: the scenario's segments, nodes and clients on one calendar, and the trace they leave."""

from __future__ import annotations

from collections import Counter

from vrrpsim.scenario.addressing import client_addresses
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.random_streams import Streams
from vrrpsim.trace import FrameLost, Level, Remark, Trace

from .calendar import Calendar, Kind
from .client import Client
from .fast_forward import FastForward
from .faults import Faults
from .node import Node
from .segment import Segment


class World:
    """Everything there is in one simulated run. Two worlds never meet."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        level: Level = Level.ADVERTS,
        fast_forward: bool | None = None,
    ) -> None:
        wanted = level is Level.STATES if fast_forward is None else fast_forward
        self.fast_forward = FastForward(self) if wanted and level < Level.ALL else None
        self.scenario = scenario
        self.streams = Streams(seed)
        self.calendar = Calendar()
        self.trace = Trace(level)
        self._reconsidering = False
        self._remarks: set[str] = set()
        self.segments = {
            name: Segment(self, name, rank, model)
            for rank, (name, model) in enumerate(scenario.segments.items(), 1)
        }
        self.nodes = {
            name: Node(self, name, rank, model)
            for rank, (name, model) in enumerate(scenario.nodes.items(), 1)
        }
        for segment in self.segments.values():
            _mark_martians(segment)
        self.clients: dict[str, Client] = {}
        addresses = client_addresses(scenario)
        for number, (name, client) in enumerate(scenario.clients.items()):
            rank = len(self.nodes) + 1 + number
            self.clients[name] = Client(self, name, rank, client, addresses[name])
        self.faults = Faults(self)

    def run(self) -> Trace:
        """From the start to the scenario's duration."""
        for node in self.nodes.values():
            node.start_processes()
        self.faults.schedule()
        self.reconsider()
        self.calendar.run(self.scenario.duration_ns)
        self.trace.end_ns = self.scenario.duration_ns
        return self.trace

    def reconsider(self) -> None:
        """Something changed that clients could notice: look at them once, after all else of this instant."""
        if not self._reconsidering:
            self._reconsidering = True
            self.calendar.at(self.calendar.now_ns, Kind.CLIENT, 0, self._evaluate_clients)

    def _evaluate_clients(self) -> None:
        self._reconsidering = False
        for client in self.clients.values():
            client.evaluate()

    def frame_lost(self, segment: str, source: str, destination: str, kind: str, reason: str) -> None:
        """Record a frame that did not arrive."""
        if self.trace.level >= Level.ADVERTS:
            self.trace.records.append(
                FrameLost(self.calendar.now_ns, segment, source, destination, kind, reason)
            )

    def remark(self, text: str) -> None:
        """Say something about the run itself, once."""
        if text not in self._remarks:
            self._remarks.add(text)
            self.trace.records.append(Remark(self.calendar.now_ns, text))


def _mark_martians(segment: Segment) -> None:
    """Who shares an IPv4 address with another node never hears what that one sends from it."""
    owners = Counter(address for port in segment.ports for address in port.local if address.version == 4)
    shared = {address for address, ports in owners.items() if ports > 1}
    for port in segment.ports if shared else ():
        port.martians = frozenset(shared & port.local.keys())


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    level: Level = Level.ADVERTS,
    fast_forward: bool | None = None,
) -> Trace:
    """Run a scenario once; the seed is the scenario's own unless given.

    `fast_forward` passes over quiet stretches and gives the same history; of the adverts there only the
    number is recorded. None: do so if the level does not ask for adverts at all.
    """
    return World(scenario, scenario.seed if seed is None else seed, level, fast_forward).run()
