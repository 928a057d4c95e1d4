"""One run of a scenario in real time, in a process of its own: build, let it happen, take it down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_interface
from typing import Any, TypeVar

from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.random_streams import Streams
from vrrpsim.trace import Trace

from . import kernel
from .client import LabClient, address_of
from .faults import LabFaults
from .forged import Stranger
from .machine import ROOM
from .network import LabNetwork, paths, segment_of_ends
from .node import LabNode
from .recorder import Recorder

T = TypeVar("T")
FIRST = -15  # niceness of everything in a run: what else this machine does shall not show in it
SETTLING_S = 0.05  # from the last cable to the start: the bridges forward at once, the kernel needs a moment


class LabRun:
    """Everything there is in one real run."""

    def __init__(self, scenario: Scenario, seed: int, daemons: Mapping[str, str]) -> None:
        self.scenario, self._streams = scenario, Streams(seed)
        configs = {name: node.keepalived.config for name, node in scenario.nodes.items() if node.keepalived}
        self.recorder = Recorder(scenario, configs)
        self.fabric: LabNetwork  # made by the thread that talks to the kernel
        self.stations = {
            name: LabNode(self, name, node, daemons[name]) for name, node in scenario.nodes.items()
        }
        self.clients: dict[str, LabClient] = {}
        self.strangers: dict[str, Stranger] = {}
        self.virtual_addresses: dict[int, list[Address]] = {4: [], 6: []}
        for config in configs.values():
            for instance in config.instances:
                for each in (*instance.addresses, *instance.excluded):
                    self.virtual_addresses[each.address.version].append(each.address)
        self._kernel = ThreadPoolExecutor(1)
        self._failed: asyncio.Future[None]

    # --- what its parts need

    def draw_ns(self, distribution: Distribution, purpose: str) -> int:
        """What a simulated run with this seed draws for the purpose (DESIGN §4)."""
        return self._streams.draw_ns(distribution, purpose)

    async def wire(self, function: Callable[..., T], *arguments: Any) -> T:
        """Let the thread that talks to the kernel do something; the clock runs on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._kernel, function, *arguments)

    def ends_on(self, segment: str) -> list[str]:
        """The cables of a segment."""
        return [end for end, place in segment_of_ends(self.scenario).items() if place == segment]

    def fail(self, error: BaseException) -> None:
        """Something went wrong that is no part of the scenario: the run is over."""
        if not self._failed.done():
            self._failed.set_exception(error)

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the rest; what it raises ends the run."""
        try:
            await work
        except Exception as error:
            self.fail(error)

    # --- the run

    async def go(self) -> Trace:
        """From nothing to the scenario's duration; what was built goes with this process."""
        self._failed = asyncio.get_running_loop().create_future()
        await self._build()
        for station in self.stations.values():
            await station.start_early()
        await asyncio.sleep(SETTLING_S)
        self.recorder.start()
        for station in self.stations.values():
            station.start_processes()
        await self._until_the_end()
        for station in self.stations.values():
            await station.close()
        self.recorder.close()
        for client in self.clients.values():
            self.recorder.records.extend(client.records())
        return self.recorder.trace(self.scenario.duration_ns)

    async def _build(self) -> None:
        self.fabric = await self.wire(LabNetwork, self.scenario)
        self.recorder.sniff(self.fabric.network, self.fabric.end_of, self.fabric.end_at)
        for name, station in self.stations.items():
            await station.build()
            if station.conf is not None:
                self.recorder.fifo(name, str(ROOM / name / "vrrp.fifo"))
        for number, (name, model) in enumerate(self.scenario.clients.items()):
            client = self.clients[name] = LabClient(name, model, self.recorder)
            rank = len(self.stations) + 1 + number
            mac = bytes((2, 0, 1, 0, rank >> 8, rank & 0xFF))
            own = [ip_interface(address_of(self.scenario, name) or "")]
            network, target = client.network, model.target[0]
            await self.wire(self.fabric.attach, name, model.segment, network, "eth0", mac, own, [target])
        for name, segment in self.scenario.segments.items():
            if segment.loss:
                ports = [self.fabric.ports[end] for end in self.ends_on(name)]
                await self.wire(self.fabric.drop, paths(ports, None), "loss", segment.loss)
        for event in self.scenario.events:
            if event.verb == "inject" and event.target and event.target.segment not in self.strangers:
                segment_name = event.target.segment or ""
                interface = await self.wire(self.fabric.stranger, segment_name)
                self.strangers[segment_name] = Stranger(self.fabric.network, interface)

    async def _until_the_end(self) -> None:
        duration_ns = self.scenario.duration_ns
        faults = LabFaults(self)
        work = [asyncio.create_task(self.guarded(faults.work()))]
        work += [asyncio.create_task(self.guarded(c.ask(duration_ns))) for c in self.clients.values()]
        work.append(asyncio.create_task(asyncio.sleep((duration_ns - self.recorder.now_ns()) / 1e9)))
        everything = asyncio.gather(*work)
        waited: set[asyncio.Future[Any]] = {everything, self._failed}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            everything.cancel()
            with suppress(asyncio.CancelledError):
                await everything
            self._failed.result()


def run_once(scenario: Scenario, seed: int, daemons: Mapping[str, str]) -> Trace:
    """Run the scenario in this process, which gets namespaces of its own and is of no use afterwards."""
    with suppress(PermissionError):
        os.nice(FIRST)
    kernel.unshare(kernel.NEW_NET | kernel.NEW_MOUNT)
    kernel.private_mounts()
    kernel.mount("tmpfs", str(ROOM), "mode=755")
    return asyncio.run(LabRun(scenario, seed, daemons).go())
