"""What size costs: many virtual routers on a segment, many segments, and how cost grows with either.

The yardstick is lean.py's router, grouped by virtual router so that an advert meets its group only. Both
sides are settled for 20 virtual seconds before the clock of the wall is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from simpy.core import Environment
from simpy.events import NORMAL

from benchmarks.harness import Row, exponent, show
from benchmarks.lean import Call, Node
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Level
from vrrpsim.world import simulate
from vrrpsim.world.calendar import Kind
from vrrpsim.world.world import World

SETTLED_S = 20
FIRST = IPv4Address("10.0.0.0")


class Size(NamedTuple):
    """So many virtual routers on so many routers of each of so many segments."""

    vrids: int
    routers: int
    segments: int

    def priority(self, vrid: int, router: int) -> int:
        """Every router is the master of its share of the virtual routers."""
        return 250 - (router + vrid) % self.routers * 240 // self.routers


class Group:
    """The routers of one virtual router; to them it is their cluster."""

    __slots__ = ("env", "nodes", "pool", "sent")

    def __init__(self, env: Environment, pool: list[Call]) -> None:
        self.env, self.pool, self.sent = env, pool, 0
        self.nodes: list[Node] = []

    def act(self, node: Node, _: int, __: float) -> None:
        """Send: one delivery event for the group."""
        self.sent += 1
        event = self.pool.pop() if self.pool else Call(self.env, _deliver)
        event.arg = (self, node, node.priority)
        self.env.schedule(event, NORMAL, 0.0001)

    def deliver(self, sender: Node, priority: int) -> None:
        """The advert arrives at the others."""
        now = self.env._now
        for node in self.nodes:
            if node is not sender and node.up:
                actions = node.hear(now, priority)
                if actions:
                    self.act(node, actions, now)
                if node.deadline < node.wake.at:
                    node.arm(now)


def _deliver(event: Call) -> None:
    event.callbacks = event.saved
    group, sender, priority = event.arg
    group.pool.append(event)
    group.deliver(sender, priority)


def yardstick(size: Size, seconds: int) -> Callable[[], float]:
    """Return what gives the wall seconds of so many settled virtual seconds."""

    def work() -> float:
        env, pool = Environment(), []  # type: ignore[var-annotated]
        for segment in range(size.segments):
            for vrid in range(size.vrids):
                group = Group(env, pool)
                for router in range(size.routers):
                    node = Node(group, f"{segment}/{vrid}/{router}", size.priority(vrid, router))  # type: ignore[arg-type]
                    node.deadline += (segment * 31 + vrid * 7) % 97 / 97  # not all at one instant
                    group.nodes.append(node)
        env.run(until=SETTLED_S)
        start = time.perf_counter()
        env.run(until=SETTLED_S + seconds)
        return time.perf_counter() - start

    return work


def scenario(size: Size, seconds: int) -> Scenario:
    """Return the same network as a scenario."""
    with TemporaryDirectory() as folder:
        lines = ["version: 1", f"duration: {SETTLED_S + seconds}", "segments:"]
        lines += [f"  s{n}: {{subnet: {FIRST + (n << 16)}/16, delay: 100us}}" for n in range(size.segments)]
        lines += ["nodes:"]
        for router in range(size.routers):
            blocks = [_instance(vrid, size.priority(vrid, router)) for vrid in range(size.vrids)]
            (Path(folder) / f"{router}.conf").write_text("\n".join(blocks))
            for segment in range(size.segments):
                interface = f"{{segment: s{segment}, address: {FIRST + (segment << 16) + router + 1}/16}}"
                lines.append(f"  n{segment}-{router}: {{interfaces: {{eth0: {interface}}},")
                lines.append(f"    keepalived: {{file: {router}.conf, starts: {{uniform: [0s, 1s]}}}}}}")
        file = Path(folder) / "scale.yaml"
        file.write_text("\n".join(lines))
        return load_scenario(file)


def _instance(vrid: int, priority: int) -> str:
    words = f"interface eth0\nvirtual_router_id {vrid + 1}\npriority {priority}\nadvert_int 1"
    return f"vrrp_instance V{vrid} {{\n{words}\nvirtual_ipaddress {{\n10.255.0.{vrid + 1}/32\n}}\n}}"


def ours(size: Size, seconds: int, fast_forward: bool = False) -> Callable[[], float]:
    """Return what gives the wall seconds of so many settled virtual seconds."""
    network = scenario(size, seconds)

    def work() -> float:
        started: list[float] = []
        world = World(network, network.seed, Level.STATES, fast_forward)
        world.calendar.at(SETTLED_S * 10**9, Kind.FAULT, 0, lambda: started.append(time.perf_counter()))
        world.run()
        return time.perf_counter() - started[0]

    return work


def in_parts(size: Size, seconds: int) -> Callable[[], float]:
    """Return the same where each segment is a world of its own."""
    settled, whole = scenario(size, 0), scenario(size, seconds)

    def took_s(network: Scenario) -> float:
        start = time.perf_counter()
        simulate(network, level=Level.STATES, fast_forward=False)
        return time.perf_counter() - start

    return lambda: took_s(whole) - took_s(settled)


def _rates(what: str, size: Size, seconds: int, rounds: int) -> Iterator[Row]:
    """As a sweep runs it, and with every advert an event."""
    for fast_forward in (True, False):
        ours_s, theirs_s = ours(size, seconds, fast_forward), yardstick(size, seconds)
        pairs = [(ours_s(), theirs_s()) for _ in range(rounds)]
        speeds = [f"{seconds / median(times):,.0f}" for times in zip(*pairs, strict=True)]
        measured = median(theirs / mine for mine, theirs in pairs)
        how = "" if fast_forward else ", event by event"
        note = " / ".join(speeds) + " virtual s / s"
        yield Row(f"{what}{how}, by scale.py", measured, 0.35, 0.60, note=note)


def _parts(what: str, size: Size, seconds: int, rounds: int) -> Row:
    ours_s, theirs_s = in_parts(size, seconds), yardstick(size, seconds)
    pairs = [(ours_s(), theirs_s()) for _ in range(rounds)]
    speeds = [f"{seconds / median(times):,.0f}" for times in zip(*pairs, strict=True)]
    measured = median(theirs / mine for mine, theirs in pairs)
    note = " / ".join(speeds) + " virtual s / s"
    return Row(f"{what} in parts, event by event, by scale.py", measured, 0.6, 1.0, note=note)


def _growth(
    what: str,
    sizes: list[Size],
    seconds: int,
    rounds: int,
    way: Callable[[Size, int], Callable[[], float]] = ours,
) -> Row:
    works = [way(size, seconds) for size in sizes]
    costs = [
        median(times) for times in zip(*([work() for work in works] for _ in range(rounds)), strict=True)
    ]
    slope = exponent((size.vrids * size.segments, cost) for size, cost in zip(sizes, costs, strict=True))
    shown = ", ".join(f"{cost / seconds * 1000:.3g}" for cost in costs)
    return Row(
        f"cost growth exponent, {what}", slope, 1.25, 1.10, least=False, note=f"{shown} ms / virtual s"
    )


def rows(rounds: int) -> Iterator[Row]:
    """Two networks against the yardstick, as one world and in parts; exponents (event by event)."""
    rounds = min(rounds, 5)
    yield from _rates("255 virtual routers × 8 routers", Size(255, 8, 1), 10, rounds)
    yield from _rates("1,000 nodes on 100 segments", Size(1, 10, 100), 20, rounds)
    yield _parts("1,000 nodes on 100 segments", Size(1, 10, 100), 200, rounds)
    yield _growth("virtual routers 16, 64, 255", [Size(n, 8, 1) for n in (16, 64, 255)], 10, rounds)
    sizes = [Size(1, 10, n) for n in (10, 30, 100)]
    yield _growth("segments 10, 30, 100", sizes, 20, rounds)
    yield _growth("segments 10, 30, 100 in parts", sizes, 400, rounds, in_parts)


if __name__ == "__main__":
    show(rows(3))
