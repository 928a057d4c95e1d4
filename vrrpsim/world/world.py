"""One run: the scenario's segments, nodes and clients on one calendar, and the trace they leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from vrrpsim.scenario.addressing import client_addresses
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Level, Trace, settled, since

from .cabling import Cabling
from .calendar import Calendar
from .client import Client
from .context import Context, Whole
from .fast_forward import FastForward
from .faults import Faults
from .forcing import Forcing
from .node import Node
from .port import Port
from .segment import Segment
from .switched_segment import SwitchedSegment

LAST_MINUTES_NS: Final = 300_000_000_000


class World:
    """Everything there is in one simulated run. Two worlds never meet."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        level: Level = Level.ADVERTS,
        fast_forward: bool | None = None,
        forcing: Forcing | None = None,
        whole: Whole | None = None,
        calendar: Calendar | None = None,
        trace: Trace | None = None,
    ) -> None:
        """`whole`: what the scenario is a part of; `calendar` and `trace` may be the caller's."""
        self.context = context = Context(
            scenario, seed, calendar or Calendar(), trace or Trace(level), forcing, whole
        )
        ranks = context.whole
        self.scenario, self.calendar, self.trace = scenario, context.calendar, context.trace
        self.cabling = Cabling(context, scenario)
        wired = scenario.wired_segments()
        self.segments: dict[str, Segment[Port]] = {
            name: SwitchedSegment(context, self.cabling, name, ranks.segments[name], model)
            if name in wired
            else Segment(context, name, ranks.segments[name], model)
            for name, model in scenario.segments.items()
        }
        self.nodes = {
            name: Node(context, self.segments, name, ranks.nodes[name], model)
            for name, model in scenario.nodes.items()
        }
        for segment in self.segments.values():
            _mark_martians(segment)
        self.clients: dict[str, Client] = {}
        addresses = client_addresses(scenario)
        for number, (name, client) in enumerate(scenario.clients.items()):
            rank = len(ranks.nodes) + 1 + number
            self.clients[name] = Client(
                context, self.segments[client.segment], name, rank, client, addresses[name]
            )
        self.cabling.plug_in(scenario.cables, dict(self._cards()))
        self.faults = Faults(context, self.cabling, self.segments, self.nodes, self.clients)
        wanted = level is Level.STATES if fast_forward is None else fast_forward
        if wanted and level < Level.ALL:
            context.fast_forward = FastForward(context, self.nodes, self.clients)

    def _cards(self) -> Iterator[tuple[str, Port]]:
        """What a cable can be plugged into, by the name that scenarios give it."""
        for node in self.nodes.values():
            yield from ((f"{node.name}/{port.interface}", port) for port in node.ports.values())
        yield from ((client.name, client.port) for client in self.clients.values())

    def run(self) -> Trace:
        """From the start to the scenario's duration; what the trace tells begins at its age."""
        self.start()
        return self.go()

    def start(self) -> None:
        """What is to run at boot starts."""
        for node in self.nodes.values():
            node.start_processes()

    def go(self) -> Trace:
        """Live through all of it."""
        self.context.reconsider()
        origin_ns = self.context.origin_ns
        if origin_ns:
            self._age(origin_ns)
        self.faults.schedule()
        for process in self.scenario.processes:
            process.start(self)
        self.calendar.run(origin_ns + self.scenario.duration_ns)
        if origin_ns:
            self.trace.records[:] = [since(origin_ns, record) for record in self.trace.records]
        self.trace.end_ns = self.scenario.duration_ns
        return self.trace

    def _age(self, origin_ns: int) -> None:
        """Live through the time before the run; of it the trace keeps how things stand at its end.

        Timers and checks drift apart to the nanosecond as they do event by event. Of neighbour caches, which
        are renewed every half minute for ever, and of requests only the last minutes are lived through.
        """
        context, segments = self.context, self.segments.values()
        wanted, level = context.fast_forward, self.trace.level
        taps = [(segment, segment.taps) for segment in segments]
        ageing = FastForward(context, self.nodes, self.clients)
        ageing.ageing_until_ns = origin_ns - LAST_MINUTES_NS
        context.fast_forward, self.trace.level = ageing, Level.STATES
        for segment in segments:
            segment.taps = []
        if ageing.ageing_until_ns > 0:
            for client in self.clients.values():
                client.watched = False
            self.calendar.run(ageing.ageing_until_ns)
            for client in self.clients.values():
                client.watch()
        self.calendar.run(origin_ns)
        for segment, own in taps:
            segment.taps = own
        context.fast_forward, self.trace.level = wanted, level
        self.trace.records[:] = settled(self.trace.records, origin_ns)


def _mark_martians(segment: Segment[Port]) -> None:
    """Who shares an IPv4 address with another node never hears what that one sends from it."""
    owners = Counter(address for port in segment.ports for address in port.local if address.version == 4)
    shared = {address for address, ports in owners.items() if ports > 1}
    for port in segment.ports if shared else ():
        port.martians = frozenset(shared & port.local.keys())
