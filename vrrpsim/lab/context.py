"""What every part of one real run shares: its scenario, its chance, its recorder, its network and the kernel.

Nodes and faults are built from a context and never see the `LabRun` that holds them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.random_streams import Streams

from .network import LabNetwork
from .recorder import Recorder
from .wiring import wiring_of

T = TypeVar("T")


class LabContext:
    """One run's shared things. Made where its event loop runs."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self._streams = scenario, Streams(seed)
        configs = {name: node.keepalived.config for name, node in scenario.nodes.items() if node.keepalived}
        self.recorder = Recorder(scenario, configs)
        self.network: LabNetwork  # made by the thread that talks to the kernel
        self.virtual_addresses: dict[int, list[Address]] = {4: [], 6: []}
        for config in configs.values():
            for instance in config.instances:
                for each in (*instance.addresses, *instance.excluded):
                    self.virtual_addresses[each.address.version].append(each.address)
        self._kernel = ThreadPoolExecutor(1)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def draw_ns(self, distribution: Distribution, purpose: str) -> int:
        """What a simulated run with this seed draws for the purpose (DESIGN §4)."""
        return self._streams.draw_ns(distribution, purpose)

    async def wire(self, function: Callable[..., T], *arguments: Any) -> T:
        """Let the thread that talks to the kernel do something; the clock runs on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._kernel, function, *arguments)

    def ends_on(self, segment: str) -> list[str]:
        """The cables of a segment."""
        return [end for end, place in wiring_of(self.scenario).segments.items() if place == segment]

    def fail(self, error: BaseException) -> None:
        """Something went wrong that is no part of the scenario: the run is over."""
        if not self.failed.done():
            self.failed.set_exception(error)

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the rest; what it raises ends the run."""
        try:
            await work
        except Exception as error:
            self.fail(error)
