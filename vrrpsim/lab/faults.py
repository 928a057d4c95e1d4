"""The events of a scenario on a real cluster: when they fire, whom they meet, what they do, how they end.

The instants, lengths and repetitions are those of a simulated run with the same seed: each has a random
stream of the same name (DESIGN §4).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vrrpsim.config.compiler import read_keepalived
from vrrpsim.config.events import (
    Event,
    FlushAddress,
    Impairment,
    Inject,
    Partition,
    Reload,
    SetPriority,
    Target,
    detail,
)
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.trace import Fault, FaultEnd, Remark

from .fabric import kinds, paths
from .forged import forged
from .station import Station

if TYPE_CHECKING:
    from .run import LabRun

Undo = Callable[[], Awaitable[None]]
Met = tuple[tuple[str, ...], Undo | None]  # whom the verb met, and how to undo it
COMPOSING = ("partition", "impair", "hang", "fail", "pass")  # each is undone by itself
OPPOSITES = {"kill": "start", "stop": "start", "start": "stop", "freeze": "thaw", "thaw": "freeze"}
NOBODY: Met = ((), None)


class Faults:
    """Fires the events one after the other and applies their verbs."""

    def __init__(self, run: LabRun) -> None:
        self.run = run
        self._due: asyncio.PriorityQueue[tuple[int, int, int, Callable[[], Awaitable[None]]]]
        self._due = asyncio.PriorityQueue()
        self._fired = self._planned = 0
        self._held: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._forced: dict[tuple[str, str], dict[int, str]] = {}  # verbs on a script, the newest last

    async def work(self) -> None:
        """Do everything when it is due, in order, for as long as the run lasts."""
        for event in self.run.scenario.events:
            if event.at.after is None:
                self._plan(self._drawn_ns(event), event, 0)
        while not self._due.empty():
            at_ns, *_, act = self._due.get_nowait()
            ahead_ns = at_ns - self.run.recorder.now_ns()
            if ahead_ns > 0:
                await asyncio.sleep(ahead_ns / 1e9)
            await act()

    def _drawn_ns(self, event: Event) -> int:
        return self.run.draw_ns(event.at.plus, f"event/{event.name}")

    def _plan(self, at_ns: int, event: Event, repetition: int) -> None:
        self._put(at_ns, event, lambda: self._fire(at_ns, event, repetition))

    def _put(self, at_ns: int, event: Event, act: Callable[[], Awaitable[None]]) -> None:
        self._planned += 1
        if at_ns <= self.run.scenario.duration_ns:
            self._due.put_nowait((at_ns, event.index, self._planned, act))

    async def _fire(self, planned_ns: int, event: Event, repetition: int) -> None:
        """Apply the verb, write it down, plan the end, the repetition, the followers."""
        recorder, purpose = self.run.recorder, f"event/{event.name}/{repetition}"
        number = self._fired
        self._fired += 1
        at_ns, before = recorder.now_ns(), len(recorder.records)
        resolved, undo = await self._apply(event, number)
        lasts_ns = None
        if event.lasts is not None and undo is not None:
            lasts_ns = self.run.draw_ns(event.lasts, f"{purpose}/for")
        until_ns = None if lasts_ns is None else planned_ns + lasts_ns
        name = event.name if event.name != f"{event.verb}-{event.index}" else ""
        text = str(event.target) if event.target else ""
        fault = Fault(at_ns, number, name, event.verb, text, resolved, until_ns, detail(event))
        recorder.records.insert(before, fault)  # before its own consequences
        if not resolved:
            recorder.add(Remark(at_ns, f"{event.verb} {text}: nobody is that at {at_ns / 1e9:.3f} s"))
        if until_ns is not None and undo is not None:
            holds = (event.verb, resolved)
            self._held[holds] += 1
            end = undo
            self._put(until_ns, event, lambda: self._end(number, holds, end))
        if event.every is not None and (event.count is None or repetition + 1 < event.count):
            every_ns = max(self.run.draw_ns(event.every, f"{purpose}/every"), 1_000)
            self._plan(planned_ns + every_ns, event, repetition + 1)
        if repetition == 0:
            for follower in self.run.scenario.events:
                if follower.at.after == event.name:
                    self._plan(planned_ns + self._drawn_ns(follower), follower, 0)

    async def _end(self, number: int, holds: tuple[str, tuple[str, ...]], undo: Undo) -> None:
        """Undo it, unless another of its kind still holds the same thing in that state."""
        self.run.recorder.add(FaultEnd(self.run.recorder.now_ns(), number))
        self._held[holds] -= 1
        if holds[0] in COMPOSING or not self._held[holds]:
            await undo()

    # --- targets

    def _station(self, target: Target | None) -> Station | None:
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
                self.run.strangers[segment].send(forged(self.run.scenario, segment, advert))
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

    async def _process(self, station: Station, item: str, verb: str) -> Met:
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

    async def _link(self, station: Station, item: str, up: bool) -> Met:
        end = f"{station.name}/{item}"

        async def plug(connected: bool) -> None:
            if station.machine is not None:
                await self.run.wire(self.run.fabric.plug, end, connected)

        await plug(up)
        return (end,), lambda: plug(not up)

    def _script(self, station: Station, script: str, verb: str, number: int) -> Met:
        assert station.conf is not None
        conf, forced = station.conf, self._forced.setdefault((station.name, script), {})
        forced[number] = verb
        conf.force(script, verb)

        async def undo() -> None:
            del forced[number]
            conf.force(script, next(reversed(forced.values()), None))

        return (f"{station.name}/{script}",), undo

    def _reload(self, station: Station, file: str | None) -> Met:
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

    def _set_priority(self, station: Station, instance: str, priority: int) -> Met:
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
        undo = await self._lose(cases, None)
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
        return met, await self._lose([f"{way} {kind}" for way in ways for kind in wanted], impairment.loss)

    async def _lose(self, cases: list[str], loss: float | None) -> Undo:
        names = await self.run.wire(self.run.fabric.drop, cases, loss)

        async def undo() -> None:
            await self.run.wire(self.run.fabric.allow, names)

        return undo

    def _ports(self, ends: list[str]) -> list[str]:
        return [self.run.fabric.ports[end] for end in ends]
