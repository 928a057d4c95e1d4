"""The events of a scenario on a real cluster: when they fire, whom they meet, what they do, how they end.

The instants, lengths and repetitions are those of a simulated run with the same seed: each has a random
stream of the same name (DESIGN §4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING

from vrrpsim.keepalived.compiler import read_keepalived
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.event_order import Ending, EventOrder, Firing
from vrrpsim.scenario.events import (
    Event,
    FlushAddress,
    Impairment,
    Inject,
    Partition,
    Reload,
    SetPriority,
    Target,
)
from vrrpsim.trace import Fault, FaultEnd, Remark

from .forged import forged_frame
from .network import kinds, paths
from .node import LabNode

if TYPE_CHECKING:
    from .run import LabRun

Undo = Callable[[], Awaitable[None]]
Met = tuple[tuple[str, ...], Undo | None]  # whom the verb met, and how to undo it
OPPOSITES = {"kill": "start", "stop": "start", "start": "stop", "freeze": "thaw", "thaw": "freeze"}
NOBODY: Met = ((), None)


class LabFaults:
    """Fires the events one after the other and applies their verbs."""

    def __init__(self, run: LabRun) -> None:
        self.run = run
        self._programme: EventOrder[Undo] = EventOrder(run.scenario.events, run)
        self._due: list[tuple[int, int, int, Firing | Ending[Undo]]] = []  # a heap
        self._planned = 0
        self._forced: dict[tuple[str, str], dict[int, str]] = {}  # verbs on a script, the newest last

    async def work(self) -> None:
        """Do everything when it is due, in order, for as long as the run lasts."""
        self._await(self._programme.first())
        while self._due:
            at_ns, _, _, what = heappop(self._due)
            ahead_ns = at_ns - self.run.recorder.now_ns()
            if ahead_ns > 0:
                await asyncio.sleep(ahead_ns / 1e9)
            await (self._fire(what) if isinstance(what, Firing) else self._end(what))

    def _await(self, what: Sequence[Firing | Ending[Undo]]) -> None:
        for each in what:
            self._planned += 1
            if each.at_ns <= self.run.scenario.duration_ns:
                heappush(self._due, (each.at_ns, each.event.index, self._planned, each))

    async def _fire(self, firing: Firing) -> None:
        """Apply the verb, and write it down."""
        recorder, number = self.run.recorder, self._programme.count
        at_ns, before = recorder.now_ns(), len(recorder.records)
        resolved, undo = await self._apply(firing.event, number)
        fired, later = self._programme.fired(firing, resolved, undo)
        recorder.records.insert(before, Fault(at_ns, *fired))  # before its own consequences
        if not resolved:
            text = f"{fired.verb} {fired.target}: nobody is that at {at_ns / 1e9:.3f} s"
            recorder.add(Remark(at_ns, text))
        self._await(later)

    async def _end(self, ending: Ending[Undo]) -> None:
        self.run.recorder.add(FaultEnd(self.run.recorder.now_ns(), ending.number))
        if self._programme.ended(ending):
            await ending.undo()

    # --- targets

    def _station(self, target: Target | None) -> LabNode | None:
        """The node a target means now: by name, or the lowest-ranked one in that role."""
        if target is None:
            return None
        if target.node is not None:
            return self.run.stations[target.node]
        role = target.role or ""
        return next((s for s in self.run.stations.values() if s.has_role(role, target.instance)), None)

    def _ends(self, targets: tuple[Target, ...]) -> list[str]:
        """All cables that members of a partition or an impairment stand for."""
        ends: list[str] = []
        for target in targets:
            station = self._station(target)
            if target.client is not None:
                ends.append(target.client)
            elif target.item is not None and station is not None:
                ends.append(f"{station.name}/{target.item}")
            elif station is not None:
                ends += station.ends
        return ends

    # --- verbs

    async def _apply(self, event: Event, number: int) -> Met:
        match event.parameters:
            case Partition() as partition:
                return await self._partition(partition)
            case Impairment() as impairment:
                return await self._impair(event, impairment)
            case Inject(advert=advert):
                assert event.target is not None
                segment = event.target.segment or ""
                self.run.strangers[segment].send(forged_frame(self.run.scenario, segment, advert))
                return (segment,), None
        station = self._station(event.target)
        if station is None or event.target is None:
            return NOBODY
        item = event.target.item or ""
        match event.parameters:
            case Reload(file=file):
                return self._reload(station, file)
            case SetPriority(priority=priority):
                return self._set_priority(station, item, priority)
            case FlushAddress(address=address):
                if station.machine is not None:
                    network = station.machine.network
                    await self.run.wire(self.run.fabric.remove_address, network, address)
                return (station.name,), None
        match event.verb:
            case "power_off":
                await station.power_off()
                return (station.name,), station.power_on
            case "power_on":
                await station.power_on()
                return (station.name,), station.power_off
            case "pause":
                await station.pause()
                return (station.name,), station.resume
            case "link_down" | "link_up":
                return await self._link(station, item, event.verb == "link_up")
            case "hang" | "fail" | "pass":
                return self._script(station, item, event.verb, number)
        return await self._process(station, item, event.verb)

    async def _process(self, station: LabNode, item: str, verb: str) -> Met:
        async def do(what: str) -> None:
            if what == "start":
                station.start(item)
            elif what == "restart":
                station.restart(item)
            else:
                station.signal(item, what)

        await do(verb)
        opposite = OPPOSITES.get(verb)
        return (f"{station.name}/{item}",), (lambda: do(opposite)) if opposite else None

    async def _link(self, station: LabNode, item: str, up: bool) -> Met:
        end = f"{station.name}/{item}"

        async def plug(connected: bool) -> None:
            if station.machine is not None:
                await self.run.wire(self.run.fabric.plug, end, connected)

        await plug(up)
        return (end,), lambda: plug(not up)

    def _script(self, station: LabNode, script: str, verb: str, number: int) -> Met:
        assert station.conf is not None
        conf, forced = station.conf, self._forced.setdefault((station.name, script), {})
        forced[number] = verb
        conf.force(script, verb)

        async def undo() -> None:
            del forced[number]
            conf.force(script, next(reversed(forced.values()), None))

        return (f"{station.name}/{script}",), undo

    def _reload(self, station: LabNode, file: str | None) -> Met:
        if station.conf is None:
            return NOBODY
        if file is not None:
            assert self.run.scenario.path is not None
            path = self.run.scenario.path.parent / file
            dialect = DIALECTS[self.run.scenario.dialect_of(station.name)]
            compiled = read_keepalived(Path(path), config_id=station.conf.config_id, dialect=dialect)
            assert compiled.config is not None  # the scenario was found good
            station.conf.load(compiled.config, path)
        station.reload()
        return (station.name,), None

    def _set_priority(self, station: LabNode, instance: str, priority: int) -> Met:
        if station.conf is None:
            return NOBODY
        priorities = station.conf.priorities
        priorities[instance] = priority
        station.reload()

        async def undo() -> None:
            priorities.pop(instance, None)
            station.reload()

        return (f"{station.name}/{instance}",), undo

    # --- frames

    async def _partition(self, partition: Partition) -> Met:
        """Frames between the groups vanish; one way: only those from the first group to the others."""
        groups = [self._ends(group) for group in partition.groups]
        cases = [
            way
            for first, group in enumerate(groups)
            for second, other in enumerate(groups)
            if first != second and not (partition.one_way and first != 0) and group and other
            for way in paths(self._ports(group), self._ports(other))
        ]
        undo = await self._lose(cases, "partition")
        return tuple(dict.fromkeys(end.partition("/")[0] for group in groups for end in group)), undo

    async def _impair(self, event: Event, impairment: Impairment) -> Met:
        """An impaired interface suffers in both directions, unless `from:` or `to:` says which."""
        assert event.target is not None
        senders = self._ports(self._ends(impairment.senders)) if impairment.senders else None
        receivers = self._ports(self._ends(impairment.receivers)) if impairment.receivers else None
        if event.target.segment is not None:
            on_segment = self._ports(self.run.ends_on(event.target.segment))
            met: tuple[str, ...] = (event.target.segment,)
            ways = paths(on_segment if senders is None else senders, receivers)
        else:
            met = tuple(self._ends((event.target,)))
            either = self._ports(list(met))
            if senders is None and receivers is None:
                ways = [*paths(either, None), *paths(None, either)]
            else:
                ways = paths(senders or either, receivers or either)
        if not met:
            return NOBODY
        wanted = kinds(impairment.only, self.run.virtual_addresses)
        cases = [f"{way} {kind}" for way in ways for kind in wanted]
        return met, await self._lose(cases, "loss", impairment.loss)

    async def _lose(self, cases: list[str], reason: str, loss: float | None = None) -> Undo:
        names = await self.run.wire(self.run.fabric.drop, cases, reason, loss)

        async def undo() -> None:
            await self.run.wire(self.run.fabric.allow, names)

        return undo

    def _ports(self, ends: list[str]) -> list[str]:
        return [self.run.fabric.ports[end] for end in ends]
