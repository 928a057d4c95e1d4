"""The events of a scenario on a real cluster: when they fire, whom they meet, what they do, how they end.

The instants, lengths and repetitions are those of a simulated run with the same seed: each has a random
stream of the same name (DESIGN §4).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import ClassVar

from vrrpsim.keepalived.compiler import read_keepalived
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.event_order import Ending, EventOrder, Firing
from vrrpsim.scenario.events import (
    AddAddress,
    Event,
    FlushAddress,
    Impairment,
    Inject,
    Partition,
    Reload,
    SetPriority,
    Target,
    WriteFile,
)
from vrrpsim.scenario.verbs import PROCESS, SCRIPT, VERBS, on
from vrrpsim.trace import Fault, FaultEnd, Remark

from .context import LabContext
from .forged import Stranger, forged_frame
from .network import kinds
from .node import LabNode

Undo = Callable[[], Awaitable[None]]
Met = tuple[tuple[str, ...], Undo | None]  # whom the verb met, and how to undo it
NOBODY: Met = ((), None)


class LabFaults:
    """Fires the events one after the other and applies their verbs."""

    def __init__(
        self, context: LabContext, nodes: Mapping[str, LabNode], strangers: Mapping[str, Stranger]
    ) -> None:
        self.context, self.nodes, self.strangers = context, nodes, strangers
        self._order: EventOrder[Undo] = EventOrder(context.scenario.events, context)
        self._due: list[tuple[int, int, int, Firing | Ending[Undo]]] = []  # a heap
        self._planned = 0
        self._boots: Counter[str] = Counter()  # of switches
        self._tasks: list[asyncio.Task[None]] = []  # switches that boot
        self._forced: dict[tuple[str, str], dict[int, str]] = {}  # verbs on a script, the newest last

    async def work(self) -> None:
        """Do everything when it is due, in order, for as long as the run lasts."""
        self._await(self._order.first())
        while self._due:
            at_ns, _, _, what = heappop(self._due)
            ahead_ns = at_ns - self.context.recorder.now_ns()
            if ahead_ns > 0:
                await asyncio.sleep(ahead_ns / 1e9)
            await (self._fire(what) if isinstance(what, Firing) else self._end(what))

    def _await(self, what: Sequence[Firing | Ending[Undo]]) -> None:
        for each in what:
            self._planned += 1
            if each.at_ns <= self.context.scenario.duration_ns:
                heappush(self._due, (each.at_ns, each.event.index, self._planned, each))

    async def _fire(self, firing: Firing) -> None:
        """Apply the verb, and write it down."""
        recorder, number = self.context.recorder, self._order.count
        at_ns, before = recorder.now_ns(), len(recorder.records)
        resolved, undo = await self._apply(firing.event, number)
        fired, later = self._order.fired(firing, resolved, undo)
        recorder.records.insert(before, Fault(at_ns, *fired))  # before its own consequences
        if not resolved:
            text = f"{fired.verb} {fired.target}: nobody is that at {at_ns / 1e9:.3f} s"
            recorder.add(Remark(at_ns, text))
        self._await(later)

    async def _end(self, ending: Ending[Undo]) -> None:
        self.context.recorder.add(FaultEnd(self.context.recorder.now_ns(), ending.number))
        if self._order.ended(ending):
            await ending.undo()

    # --- targets

    def _node(self, target: Target | None) -> LabNode | None:
        """The node a target means now: by name, or the lowest-ranked one in that role."""
        if target is None or target.switch is not None or target.client is not None:
            return None
        if target.node is not None:
            return self.nodes[target.node]
        role = target.role or ""
        return next((s for s in self.nodes.values() if s.has_role(role, target.instance)), None)

    def _ends(self, targets: tuple[Target, ...]) -> list[str]:
        """All cables that members of a partition or an impairment stand for."""
        ends: list[str] = []
        for target in targets:
            node = self._node(target)
            if target.client is not None:
                ends.append(target.client)
            elif target.switch is not None:
                ends += self.context.network.wiring.of_switch(target.switch)
            elif target.item is not None and node is not None:
                ends.append(f"{node.name}/{target.item}")
            elif node is not None:
                ends += node.ends
        return ends

    # --- verbs: each answers whom it met and how to undo it

    DEEDS: ClassVar = {
        **dict.fromkeys(on(PROCESS), "_process"),
        **dict.fromkeys(("power_off", "power_on", "pause"), "_machine"),
        **dict.fromkeys(("link_down", "link_up"), "_link"),
        **dict.fromkeys(("set_down", "set_up"), "_interface"),
        **dict.fromkeys(("delete_interface", "create_interface"), "_existence"),
        "add_address": "_add_address",
        "write": "_write",
        **dict.fromkeys(on(SCRIPT), "_script"),
        "reload": "_reload",
        "partition": "_partition",
        "impair": "_impair",
        "flush_address": "_flush_address",
        "set": "_set_priority",
        "inject": "_inject",
    }

    async def _apply(self, event: Event, number: int) -> Met:
        deed = getattr(self, self.DEEDS[event.verb])
        if event.verb in ("partition", "impair", "inject"):
            met: Met = await deed(event)
            return met
        if event.target is not None and event.target.switch is not None:
            return await self._switch(event.target.switch, event.verb == "power_on")
        if event.target is not None and event.target.cable is not None:
            return await self._cable(event.target.cable, event.verb == "link_up")
        node = self._node(event.target)
        if node is None or event.target is None:
            return NOBODY
        met = await deed(node, event.target.item or "", event, number)
        return met

    async def _process(self, node: LabNode, item: str, event: Event, _number: int) -> Met:
        async def do(what: str) -> None:
            if what == "start":
                node.start(item)
            elif what == "restart":
                node.restart(item)
            else:
                node.signal(item, what)

        await do(event.verb)
        undo = VERBS[event.verb].undo
        return (f"{node.name}/{item}",), (lambda: do(undo)) if undo else None

    async def _machine(self, node: LabNode, _item: str, event: Event, _number: int) -> Met:
        deeds = {"power_off": node.power_off, "power_on": node.power_on, "pause": node.pause}
        await deeds[event.verb]()
        return (node.name,), deeds.get(VERBS[event.verb].undo, node.resume)

    async def _switch(self, name: str, on: bool) -> Met:
        async def power(on: bool) -> None:
            if on:
                self._boots[name] += 1
                purpose = f"boots/switch/{name}/{self._boots[name]}"
                delay_ns = self.context.draw_ns(self.context.scenario.switches[name].boots, purpose)
                boot = self.context.guarded(self._boot(name, delay_ns))
                self._tasks.append(asyncio.create_task(boot))
            else:
                await self.context.wire(self.context.network.power, name, False)

        await power(on)
        return (name,), lambda: power(not on)

    async def _boot(self, switch: str, delay_ns: int) -> None:
        await asyncio.sleep(delay_ns / 1e9)
        await self.context.wire(self.context.network.power, switch, True)

    async def _cable(self, name: str, up: bool) -> Met:
        async def pull(out: bool) -> None:
            await self.context.wire(self.context.network.pull, name, out)

        await pull(not up)
        return (name,), lambda: pull(up)

    async def _link(self, node: LabNode, item: str, event: Event, _number: int) -> Met:
        end, up = f"{node.name}/{item}", event.verb == "link_up"

        async def plug(connected: bool) -> None:
            if node.machine is not None:
                await self.context.wire(self.context.network.plug, end, connected)

        await plug(up)
        return (end,), lambda: plug(not up)

    async def _interface(self, node: LabNode, item: str, event: Event, _number: int) -> Met:
        up = event.verb == "set_up"

        async def put(to_up: bool) -> None:
            await node.set_interface(item, to_up)

        await put(up)
        return (f"{node.name}/{item}",), lambda: put(not up)

    async def _existence(self, node: LabNode, item: str, event: Event, _number: int) -> Met:
        end, created = f"{node.name}/{item}", event.verb == "create_interface"

        async def put(there: bool) -> None:
            if there:
                await node.attach(item)
            else:
                await self.context.wire(self.context.network.detach, end)

        await put(created)
        return (end,), lambda: put(not created)

    async def _add_address(self, node: LabNode, item: str, event: Event, _number: int) -> Met:
        assert isinstance(event.parameters, AddAddress)
        if node.machine is not None:
            network, address = node.machine.network, event.parameters.address
            await self.context.wire(self.context.network.add_address, network, item, address)
        return (f"{node.name}/{item}",), None

    async def _write(self, node: LabNode, file: str, event: Event, _number: int) -> Met:
        assert isinstance(event.parameters, WriteFile)
        if node.conf is None:
            return NOBODY
        conf, before = node.conf, node.conf.values.get(file, 0)
        conf.write_file(file, event.parameters.value)

        async def undo() -> None:
            conf.write_file(file, before)

        return (f"{node.name}/{file}",), undo

    async def _script(self, node: LabNode, script: str, event: Event, number: int) -> Met:
        assert node.conf is not None
        conf, forced = node.conf, self._forced.setdefault((node.name, script), {})
        forced[number] = event.verb
        conf.force(script, event.verb)

        async def undo() -> None:
            del forced[number]
            conf.force(script, next(reversed(forced.values()), None))

        return (f"{node.name}/{script}",), undo

    async def _reload(self, node: LabNode, _item: str, event: Event, _number: int) -> Met:
        assert isinstance(event.parameters, Reload)
        if node.conf is None:
            return NOBODY
        if event.parameters.file is not None:
            assert self.context.scenario.path is not None
            path = self.context.scenario.path.parent / event.parameters.file
            dialect = DIALECTS[self.context.scenario.dialect_of(node.name)]
            compiled = read_keepalived(Path(path), config_id=node.conf.config_id, dialect=dialect)
            assert compiled.config is not None  # the scenario was found good
            node.conf.load(compiled.config, path)
        node.reload()
        return (node.name,), None

    async def _flush_address(self, node: LabNode, _item: str, event: Event, _number: int) -> Met:
        assert isinstance(event.parameters, FlushAddress)
        if node.machine is not None:
            network, address = node.machine.network, event.parameters.address
            await self.context.wire(self.context.network.remove_address, network, address)
        return (node.name,), None

    async def _set_priority(self, node: LabNode, instance: str, event: Event, _number: int) -> Met:
        assert isinstance(event.parameters, SetPriority)
        if node.conf is None:
            return NOBODY
        priorities = node.conf.priorities
        priorities[instance] = event.parameters.priority
        node.reload()

        async def undo() -> None:
            priorities.pop(instance, None)
            node.reload()

        return (f"{node.name}/{instance}",), undo

    async def _inject(self, event: Event) -> Met:
        assert isinstance(event.parameters, Inject)
        assert event.target is not None
        segment = event.target.segment or ""
        frame = forged_frame(self.context.scenario, segment, event.parameters.advert)
        self.strangers[segment].send(frame)
        return (segment,), None

    # --- frames

    async def _partition(self, event: Event) -> Met:
        """Frames between the groups vanish; one way: only those from the first group to the others."""
        partition = event.parameters
        assert isinstance(partition, Partition)
        groups = [self._ends(group) for group in partition.groups]
        cases = [
            way
            for first, group in enumerate(groups)
            for second, other in enumerate(groups)
            if first != second and not (partition.one_way and first != 0) and group and other
            for way in self.context.network.ways(group, other)
        ]
        undo = await self._lose(cases, "partition")
        return tuple(dict.fromkeys(end.partition("/")[0] for group in groups for end in group)), undo

    async def _impair(self, event: Event) -> Met:
        """An impaired interface suffers in both directions, unless `from:` or `to:` says which."""
        impairment = event.parameters
        assert isinstance(impairment, Impairment)
        assert event.target is not None
        network = self.context.network
        senders = self._ends(impairment.senders) if impairment.senders else None
        receivers = self._ends(impairment.receivers) if impairment.receivers else None
        if event.target.cable is not None:
            met: tuple[str, ...] = (event.target.cable,)
            sides = [
                [end for each in side for end in ([each.switch] if each.switch else self._ends((each,)))]
                for side in (impairment.senders, impairment.receivers)
            ]
            ways = network.on_cable(event.target.cable, *sides)
        elif event.target.segment is not None:
            met = (event.target.segment,)
            ways = network.ways(
                self.context.ends_on(event.target.segment) if senders is None else senders, receivers
            )
        else:
            met = tuple(self._ends((event.target,)))
            if senders is None and receivers is None:
                ways = [*network.ways(met, None), *network.ways(None, met)]
            else:
                ways = network.ways(senders or met, receivers or met)
        if not met:
            return NOBODY
        wanted = kinds(impairment.only, self.context.virtual_addresses)
        cases = [f"{way} {kind}" for way in ways for kind in wanted]
        return met, await self._lose(cases, "loss", impairment.loss)

    async def _lose(self, cases: list[str], reason: str, loss: float | None = None) -> Undo:
        names = await self.context.wire(self.context.network.drop, cases, reason, loss)

        async def undo() -> None:
            await self.context.wire(self.context.network.allow, names)

        return undo
