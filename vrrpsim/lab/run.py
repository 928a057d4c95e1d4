"""One run of a scenario in real time, in a process of its own: build, let it happen, take it down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_interface
from typing import Any, TypeVar

from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Trace

from . import kernel
from .client import LabClient, address_of
from .context import LabContext
from .faults import LabFaults
from .forged import Stranger
from .machine import ROOM
from .network import LabNetwork
from .node import LabNode

T = TypeVar("T")
FIRST = -15  # niceness of everything in a run: what else this machine does shall not show in it
SETTLING_S = 0.05  # from the last cable to the start: the bridges forward at once, the kernel needs a moment


class LabRun:
    """Everything there is in one real run."""

    def __init__(self, scenario: Scenario, seed: int, daemons: Mapping[str, str]) -> None:
        self.scenario, self.context = scenario, LabContext(scenario, seed)
        self.nodes = {
            name: LabNode(self.context, name, node, daemons[name]) for name, node in scenario.nodes.items()
        }
        self.clients: dict[str, LabClient] = {}
        self.strangers: dict[str, Stranger] = {}

    async def go(self) -> Trace:
        """From nothing to the scenario's duration; what was built goes with this process."""
        await self._build()
        for node in self.nodes.values():
            await node.start_early()
        await asyncio.sleep(SETTLING_S)
        recorder = self.context.recorder
        recorder.start()
        for node in self.nodes.values():
            node.start_processes()
        await self._until_the_end()
        for node in self.nodes.values():
            await node.close()
        recorder.close()
        for client in self.clients.values():
            recorder.records.extend(client.records())
        return recorder.trace(self.scenario.duration_ns)

    async def _build(self) -> None:
        wire, recorder = self.context.wire, self.context.recorder
        network = self.context.network = await wire(LabNetwork, self.scenario)
        recorder.sniff(network)
        for name, node in self.nodes.items():
            await node.build()
            if node.conf is not None:
                recorder.fifo(name, str(ROOM / name / "vrrp.fifo"))
        for number, (name, model) in enumerate(self.scenario.clients.items()):
            client = self.clients[name] = LabClient(name, model, recorder)
            rank = len(self.nodes) + 1 + number
            mac = bytes((2, 0, 1, 0, rank >> 8, rank & 0xFF))
            own = [ip_interface(address_of(self.scenario, name) or "")]
            ask = [model.target[0]]
            await wire(network.attach, name, client.network, "eth0", mac, own, ask)
        for name, segment in self.scenario.segments.items():
            if segment.loss:
                ways = network.ways(self.context.ends_on(name), None)
                await wire(network.drop, ways, "loss", segment.loss)
        for cable in self.scenario.cables:
            if cable.loss:
                await wire(network.drop, network.on_cable(cable.name, (), ()), "loss", cable.loss)
        for event in self.scenario.events:
            if event.verb == "inject" and event.target and event.target.segment not in self.strangers:
                segment_name = event.target.segment or ""
                interface = await wire(network.stranger, segment_name)
                self.strangers[segment_name] = Stranger(network.network, interface)

    async def _until_the_end(self) -> None:
        duration_ns, context = self.scenario.duration_ns, self.context
        faults = LabFaults(context, self.nodes, self.strangers)
        work = [asyncio.create_task(context.guarded(faults.work()))]
        work += [asyncio.create_task(context.guarded(c.ask(duration_ns))) for c in self.clients.values()]
        work.append(asyncio.create_task(asyncio.sleep((duration_ns - context.recorder.now_ns()) / 1e9)))
        everything = asyncio.gather(*work)
        waited: set[asyncio.Future[Any]] = {everything, context.failed}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if context.failed.done():
            everything.cancel()
            with suppress(asyncio.CancelledError):
                await everything
            context.failed.result()


def run_once(scenario: Scenario, seed: int, daemons: Mapping[str, str]) -> Trace:
    """Run the scenario in this process, which gets namespaces of its own and is of no use afterwards."""
    with suppress(PermissionError):
        os.nice(FIRST)
    kernel.unshare(kernel.NEW_NET | kernel.NEW_MOUNT)
    kernel.private_mounts()
    kernel.mount("tmpfs", str(ROOM), "mode=755")

    async def made() -> Trace:
        return await LabRun(scenario, seed, daemons).go()

    return asyncio.run(made())
