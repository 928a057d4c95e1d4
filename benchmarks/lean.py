"""The yardstick: the least that a SimPy model of three VRRP nodes costs.

One virtual router, priorities 200, 150 and 100, adverts every second with 0.1 ms delay, a script every two
seconds, the advert trace as tuples. No bytes, no neighbour caches, no gratuitous ARP: vrrpsim does more per
event, so its speed is stated as a ratio to this, taken in the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simpy.core import Environment
from simpy.events import NORMAL, Event

NEVER = 1e300
BACKUP, MASTER = 0, 1
SEND, GAINED = 1, 2


class Call(Event):
    """A re-usable event bound to one handler."""

    __slots__ = ("arg", "at", "saved")

    def __init__(self, env: Environment, handler: Callable[[Any], None], arg: Any = None) -> None:
        self.env, self.arg, self.at = env, arg, NEVER
        self._ok, self._value, self._defused = True, None, False
        self.callbacks = self.saved = [handler]


class Node:
    """A router whose deadline is moved by an assignment; its wake-up re-arms itself when it comes early."""

    __slots__ = (
        "bad",
        "cluster",
        "deadline",
        "good",
        "healthy",
        "heard",
        "interval",
        "name",
        "priority",
        "sent",
        "state",
        "up",
        "wake",
    )

    def __init__(self, cluster: Cluster, name: str, priority: int) -> None:
        self.cluster, self.name, self.priority = cluster, name, priority
        self.state, self.healthy, self.up, self.interval = BACKUP, True, True, 1.0
        self.good = self.bad = self.heard = self.sent = 0
        self.deadline = 3.0 + self.skew()
        self.wake = Call(cluster.env, self.on_wake)
        self.arm(0.0)

    def skew(self) -> float:
        """Skew_Time in seconds."""
        return (256 - self.priority) * self.interval / 256

    def on_wake(self, wake: Call) -> None:
        """Send if the deadline is reached, and sleep until the next one."""
        wake.callbacks = wake.saved
        wake.at = NEVER
        now = self.cluster.env._now
        if self.up and now >= self.deadline:
            actions = self.expire(now)
            if actions:
                self.cluster.act(self, actions, now)
        self.arm(now)

    def expire(self, now: float) -> int:
        """The core's answer to its deadline: become or stay Master and advertise."""
        if self.state == MASTER:
            self.deadline = now + self.interval
            self.sent += 1
            return SEND
        self.state = MASTER
        self.deadline = now + self.interval
        self.sent += 1
        return SEND | GAINED

    def arm(self, now: float) -> None:
        """See to it that a wake-up is pending no later than the deadline."""
        deadline, wake = self.deadline, self.wake
        if deadline >= NEVER or deadline >= wake.at:
            return
        wake.at = deadline
        self.cluster.env.schedule(wake, NORMAL, deadline - now)

    def hear(self, now: float, priority: int) -> int:
        """The core's answer to an advert."""
        self.heard += 1
        if self.state == BACKUP:
            if priority == 0:
                self.deadline = now + self.skew()
            elif priority >= self.priority:
                self.deadline = now + 3 * self.interval + self.skew()
            return 0
        if priority > self.priority:
            self.state = BACKUP
            self.deadline = now + 3 * self.interval + self.skew()
        return 0

    def check(self, passed: bool) -> int:
        """The core's answer to a script's result."""
        if passed:
            self.bad = 0
            self.good += 1
            if not self.healthy and self.good >= 2:
                self.healthy = True
        else:
            self.good = 0
            self.bad += 1
            if self.healthy and self.bad >= 2:
                self.healthy = False
        return 0


class Cluster:
    """Three nodes on one segment."""

    def __init__(self, trace: bool = True) -> None:
        self.env = Environment()
        self.trace: list[tuple[float, str, str, int]] | None = [] if trace else None
        self.pool: list[Call] = []
        self.nodes = [Node(self, f"r{n}", priority) for n, priority in enumerate((200, 150, 100))]
        for n, node in enumerate(self.nodes):
            self.env.schedule(Call(self.env, self.on_script, node), NORMAL, 0.5 * (n + 1))

    def act(self, node: Node, actions: int, now: float) -> None:
        """Obey: one delivery event for all receivers."""
        if actions & GAINED and self.trace is not None:
            self.trace.append((now, "master", node.name, 0))
        if self.trace is not None:
            self.trace.append((now, "advert", node.name, node.priority))
        event = self.pool.pop() if self.pool else Call(self.env, self.deliver)
        event.arg = (node, node.priority)
        self.env.schedule(event, NORMAL, 0.0001)

    def deliver(self, event: Call) -> None:
        """The advert arrives everywhere."""
        event.callbacks = event.saved
        self.pool.append(event)
        sender, priority = event.arg
        now = self.env._now
        for node in self.nodes:
            if node is not sender and node.up:
                actions = node.hear(now, priority)
                if actions:
                    self.act(node, actions, now)
                if node.deadline < node.wake.at:
                    node.arm(now)

    def on_script(self, tick: Call) -> None:
        """A check passes."""
        tick.callbacks = tick.saved
        node = tick.arg
        if node.up:
            node.check(node.healthy)
        self.env.schedule(tick, NORMAL, 2.0)


def run(seconds: float, trace: bool = True) -> Cluster:
    """Simulate so many virtual seconds."""
    cluster = Cluster(trace)
    cluster.env.run(until=seconds)
    return cluster
