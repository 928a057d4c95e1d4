"""Trials a second of one core: the master of three crashes at a random phase, 1 % of the adverts are lost.

The yardstick is lean.py with probes every 100 ms as events and a horizon of 60 s; a trial of ours is what
`vrrpsim sweep` does for a seed of three-nodes.yaml: simulate, passing over what is quiet, measure, keep.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from simpy.events import NORMAL

from benchmarks.harness import Row, Work, ratio, show
from benchmarks.lean import GAINED, MASTER, NEVER, Call, Cluster, Node
from vrrpsim.explore.trial import run_batch
from vrrpsim.scenario.file.reader import load_scenario

WARM_S, HORIZON_S, PROBE_S, LOSS = 20.0, 60.0, 0.1, 0.01


class Trial(Cluster):
    """A lean cluster that loses adverts, is asked for its address, and whose first node crashes."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed).random
        self.fault = WARM_S + self.draw()
        self.owner: Node | None = None
        self.takeovers: list[float] = []
        self.probes = self.misses = 0
        super().__init__(trace=False)
        self.env.schedule(Call(self.env, self.on_probe), NORMAL, PROBE_S)
        self.env.schedule(Call(self.env, self.crash), NORMAL, self.fault)

    def act(self, node: Node, actions: int, now: float) -> None:
        """Note who owns the address, and send."""
        if actions & GAINED:
            self.owner = node
            self.takeovers.append(now)
        super().act(node, actions, now)

    def deliver(self, event: Call) -> None:
        """The advert arrives where it is not lost."""
        event.callbacks = event.saved
        self.pool.append(event)
        sender, priority = event.arg
        now, draw = self.env._now, self.draw
        for node in self.nodes:
            if node is not sender and node.up and draw() >= LOSS:
                actions = node.hear(now, priority)
                if actions:
                    self.act(node, actions, now)
                if node.deadline < node.wake.at:
                    node.arm(now)

    def on_probe(self, tick: Call) -> None:
        """A client asks."""
        tick.callbacks = tick.saved
        self.probes += 1
        owner = self.owner
        if owner is None or not owner.up or owner.state != MASTER:
            self.misses += 1
        self.env.schedule(tick, NORMAL, PROBE_S)

    def crash(self, _: Call) -> None:
        """The master is gone."""
        self.nodes[0].up, self.nodes[0].deadline = False, NEVER

    def failover_s(self) -> float:
        """Run it: from the fault to the new owner."""
        self.env.run(until=HORIZON_S)
        return next((at - self.fault for at in self.takeovers if at > self.fault), HORIZON_S)


def yardstick(count: int) -> Work:
    """So many lean trials."""

    def work() -> float:
        for seed in range(count):
            Trial(seed).failover_s()
        return count

    return work


def ours(count: int) -> Work:
    """So many seeds of a sweep's task."""
    scenario = load_scenario(Path(__file__).with_name("three-nodes.yaml"))

    def work() -> float:
        batch = run_batch(scenario, range(count))
        assert not batch.errors
        return count

    return work


def rows(rounds: int) -> Iterator[Row]:
    """The line of the table."""
    measured, rates = ratio(ours(150), yardstick(150), rounds)
    yield Row("sweep trials / s / core, by the lean trial", measured, 1.0, 4.0, note=rates)


if __name__ == "__main__":
    show(rows(5))
