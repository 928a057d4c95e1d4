"""keepalived on a node: a `VrrpRouter` driven by the calendar. It obeys and decides nothing.

A daemon can be frozen (SIGSTOP), stalled (steal time) or on a paused machine; what happens meanwhile
waits in its inbox, as it would in a socket, and overdue timers fire once. Outputs take the time that a
real machine takes (personality.py) and are done one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vrrpsim.protocol.configuration import InstanceConfig, RouterConfig
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.protocol.frames import multicast_mac
from vrrpsim.protocol.fsm import NEVER_NS, State
from vrrpsim.protocol.instances import Instance
from vrrpsim.protocol.outputs import Output
from vrrpsim.protocol.router import NOTHING, Host, VrrpRouter
from vrrpsim.scenario.model import Keepalived
from vrrpsim.scenario.quantities import Distribution

from . import latencies
from .calendar import Call, Kind, order_of
from .frame import VrrpFrame
from .output_queue import OutputQueue
from .script_runner import ScriptRunner

if TYPE_CHECKING:
    from .node import Node
    from .port import Port

RIVALRY_NS = 10_000_000_000  # how long a rejected advert keeps the wake-ups irregular


class Daemon:
    """The keepalived process of a node: dead, starting, running, frozen or stopping."""

    name = "keepalived"

    def __init__(self, node: Node, model: Keepalived, dialect: Dialect) -> None:
        self.node = node
        self.context = node.context
        self._calendar = node.context.calendar
        self.model = model
        self.dialect = dialect
        self.config = model.config
        self.router = VrrpRouter(self.config, dialect)
        self.life = "dead"
        self._order = order_of(Kind.TIMER, node.rank)
        self.wake = Call(self._wake_up, ())
        self._wake_ns = NEVER_NS  # when it is to come; it is not scheduled at NEVER_NS
        self._due_ns = 0  # the deadline that the wake-up serves
        self._drawn = False  # the wake-up's lateness was drawn for it
        self._woken = False
        self._rivals_until_ns = 0
        self._inbox: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._stalled_until_ns = 0
        self._served_ns = 0  # when a starved daemon has looked at everything so far
        self._again = False  # to be started when it has stopped
        self.blocked = False  # cannot do anything at the moment
        self._brisk = False  # runs, and at once
        self._irregular_until_ns = 0  # until then each wake-up is late by a draw of its own
        self._pending: Call | None = None
        name = node.name
        streams = self.context.streams
        self.drift_ns = streams.draw_ns(node.drift, f"drift/{name}")
        self._jitter = streams.draws(f"jitter/{name}")
        self._work = streams.draws(f"work/{name}")
        self._coin = streams.draws(f"coin/{name}")
        self.scripts = ScriptRunner(self)
        self.deeds = OutputQueue(self)
        if node.stalls is not None:
            self._stall_stream = streams.draws(f"stalls/{name}")
            self._next_stall()

    @property
    def is_regular(self) -> bool:
        """It runs, and each of its deadlines is served as late as the others."""
        return self._brisk and not self._drawn and self.now_ns >= self._irregular_until_ns

    @property
    def is_idle(self) -> bool:
        """It has nothing to do but what its next deadline and the calendar will bring."""
        if self.life != "running":
            return self.life != "frozen"
        return self.is_regular and not self._inbox and self.deeds.done

    @property
    def exists(self) -> bool:
        """It is in the process table."""
        return self.life != "dead"

    # --- life

    def start(self) -> None:
        """Exec: the dispatcher runs a few milliseconds later."""
        if self.life == "stopping":
            self._again = True
        if self.exists or not self.node.up:
            return
        self._become("starting")
        delay_ns = self.draw_ns(latencies.DAEMON_START)
        self._pending = self.later(delay_ns, self._dispatch)

    def _dispatch(self) -> None:
        self._pending = None
        if not self.node.kernel_runs:
            self._inbox.append((self._dispatch, ()))
            return
        self._become("running")
        self._join_groups(True)
        self.obey(self.router.start(self._host(), self.now_ns))

    def stop(self) -> None:
        """SIGTERM: graceful; the process is gone a second later (§1.7)."""
        if self.life == "starting":
            self.kill()
        elif self.life == "frozen":  # the signal waits for SIGCONT
            self._inbox.append((self.stop, ()))
        elif self.life == "running":
            self.disturb()
            self._become("stopping")
            self.obey(self.router.stop(self.now_ns))
            self._pending = self.later(self.draw_ns(latencies.DAEMON_EXIT), self.kill)

    def kill(self) -> None:
        """SIGKILL to all of it: silence, and the addresses stay (§1.7)."""
        if not self.exists:
            return
        self._forget()
        self._join_groups(False)
        self.router = VrrpRouter(self.config, self.dialect)
        self._become("dead")
        again, self._again = self._again, False
        if again:
            self.start()

    def restart(self) -> None:
        """SIGTERM, wait for the exit, start: what systemctl restart does."""
        if self.exists:
            self._again = True
            self.stop()
        else:
            self.start()

    def freeze(self) -> None:
        """SIGSTOP: the kernel goes on, packets wait in the socket."""
        if self.life == "running":
            self.disturb()
            self._become("frozen")

    def thaw(self) -> None:
        """SIGCONT."""
        if self.life == "frozen":
            self._become("running")
            self.resume()

    def reload(self, config: RouterConfig | None) -> None:
        """SIGHUP, with another configuration on disk if given."""
        self.happen(self._reload, config or self.config)

    def _reload(self, config: RouterConfig) -> None:
        if self.life != "running":
            self.config = config
            self.router = VrrpRouter(config, self.dialect)
            self.scripts.read(config)
            return
        self.disturb()
        self._join_groups(False)
        self.config = config
        self.scripts.read(config)
        self._join_groups(True)
        self.obey(self.router.reload(config, self.now_ns))

    def _become(self, life: str) -> None:
        self.life = life
        self.look_up()
        self.node.daemon_changed(self)

    def _forget(self) -> None:
        self._sleep()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._woken = False
        self.deeds.forget()
        self._inbox.clear()
        self.scripts.forget()

    # --- what happens to it

    def look_up(self) -> None:
        """Whether it can do anything may have changed: freeze, pause, power, stall."""
        self.blocked = (
            self.life == "frozen" or not self.node.kernel_runs or self.now_ns < self._stalled_until_ns
        )
        self._brisk = self.life == "running" and not self.blocked and self.node.starved is None

    def happen(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Something for the daemon: now, or when it can look again."""
        if self.blocked:
            self._inbox.append((function, arguments))
        elif self.node.starved is not None:
            delay_ns = self._jitter.ns(self.node.starved)
            self._served_ns = max(self._served_ns, self.now_ns + delay_ns)  # a socket keeps its order
            self.later(self._served_ns - self.now_ns, self._happen_late, function, arguments)
        else:
            function(*arguments)

    def _happen_late(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if self.blocked:
            self._inbox.append((function, arguments))
        else:
            function(*arguments)

    def resume(self) -> None:
        """It runs again: overdue timers and what waited, in an order nobody can know (§1.7)."""
        self.look_up()
        if self.blocked or not self.exists:
            return
        timer_first = self._coin.fraction() < 0.5
        if timer_first:
            self._wake_up_again()
        inbox, self._inbox = self._inbox, deque()
        for function, arguments in inbox:
            self.happen(function, *arguments)
        if not timer_first:
            self._wake_up_again()
        self.deeds.go_on()

    def _wake_up_again(self) -> None:
        if self._woken:
            self._woken = False
            self._advance(self.now_ns - self.drift_ns)

    def receive(self, port: Port, frame: VrrpFrame) -> None:
        """A VRRP packet on the socket."""
        if not self._brisk:
            if self.life in ("running", "frozen"):
                self.happen(self._receive, port, frame)
            return
        outputs = self.router.receive(
            port.interface, frame.source, frame.destination, frame.ttl, frame.payload, self._calendar.now_ns
        )
        if outputs:
            self.obey(outputs)
        elif self._drawn or outputs is not NOTHING:
            self._arm()

    def postponed(self, port: Port, frame: VrrpFrame) -> Instance | bool:
        """What hearing an advert again would do: move this instance's deadline, more (True) or nothing."""
        return not self.is_regular or self.router.postponed(
            port.interface, frame.source, frame.destination, frame.ttl, frame.payload, self.now_ns
        )

    def _receive(self, port: Port, frame: VrrpFrame) -> None:
        """The same when the daemon comes to it."""
        if self.life == "running":
            outputs = self.router.receive(
                port.interface,
                frame.source,
                frame.destination,
                frame.ttl,
                frame.payload,
                self._calendar.now_ns,
            )
            self.obey(outputs)

    def interface_changed(self, interface: str, up: bool) -> None:
        """Netlink reports a change of carrier or IFF_UP."""
        self._netlink(lambda: self.router.interface_changed(interface, up, self.now_ns))

    def address_removed(self, interface: str, address: Any) -> None:
        """Netlink reports that somebody removed an address."""
        self._netlink(lambda: self.router.address_removed(interface, address, self.now_ns))

    def process_changed(self, process: str) -> None:
        """The kernel's process connector reports a start or an end."""
        for tracked in self.config.processes:
            if tracked.process.rpartition("/")[2] == process:
                count = self.node.process_count(process)
                self._netlink(self._count_changed, tracked.name, count)

    def _count_changed(self, name: str, count: int) -> list[Output]:
        return self.router.process_count(name, count, self.now_ns)

    def _netlink(self, ask: Callable[..., list[Output]], *arguments: Any) -> None:
        if self.life in ("running", "frozen"):
            self.later(self.draw_ns(latencies.NETLINK), self.happen, self._hear_kernel, ask, arguments)

    def _hear_kernel(self, ask: Callable[..., list[Output]], arguments: tuple[Any, ...]) -> None:
        if self.life == "running":
            self.obey(ask(*arguments))

    def set_priority(self, instance: str, priority: int) -> None:
        """The operator changes a base priority."""
        if self.life == "running":
            self.happen(lambda: self.obey(self.router.set_priority(instance, priority, self.now_ns)))

    # --- time

    def _arm(self) -> None:
        """See to it that a wake-up is pending no later than the next deadline, by the node's lateness."""
        if self._drawn or self._calendar.now_ns < self._irregular_until_ns:
            self._arm_exactly()
            return
        due_ns = self.router.next_deadline_ns()
        wake_ns = due_ns + self.drift_ns
        if wake_ns < self._wake_ns:
            self._wake_at(due_ns, wake_ns)

    def _wake_at(self, due_ns: int, wake_ns: int) -> None:
        if self._wake_ns < NEVER_NS or self.wake.function is None:  # one call is used again and again
            self.wake.cancel()
            self.wake = Call(self._wake_up, ())
        self._due_ns = due_ns
        self._wake_ns = wake_ns
        self.context.calendar.again(self.wake, wake_ns, self._order)

    def _arm_exactly(self) -> None:
        """The same with a lateness drawn for this deadline, so no wake-up may come early for nothing.

        A lone Master's rhythm is regular and skippable; Masters that restart each other's timers race on
        scheduling jitter (FSM-35), and a starved node serves each timer when it comes to it.
        """
        due_ns = self.router.exact_deadline_ns()
        if self._wake_ns < NEVER_NS and due_ns == self._due_ns:
            return
        self._sleep()
        if due_ns >= NEVER_NS:
            return
        self._drawn = self._calendar.now_ns < self._irregular_until_ns
        late_ns = self.drift_ns
        if self._calendar.now_ns < self._rivals_until_ns:
            late_ns = self._jitter.ns(self.node.time(latencies.WAKE_UP))
        if self.node.starved is not None:
            late_ns += self._jitter.ns(self.node.starved)
        self._wake_at(due_ns, due_ns + late_ns)

    def rearm(self) -> None:
        """Its deadlines were moved: wake up at the earliest."""
        if self.life == "running":
            self._sleep()
            self._arm_exactly()

    def _sleep(self) -> None:
        if self._wake_ns < NEVER_NS:
            self.wake.cancel()
        self._wake_ns, self._drawn = NEVER_NS, False

    def be_irregular(self, until_ns: int) -> None:
        """From now on until then no wake-up is like another; `until_ns` in the past ends it."""
        self.disturb()
        self._irregular_until_ns = max(until_ns, self._rivals_until_ns)
        self._sleep()
        if self.life == "running":
            self._arm_exactly()

    def meet_rival(self) -> None:
        """A rejected advert was heard: masters that do not understand each other race (FSM-35)."""
        now_ns = self.now_ns
        self._rivals_until_ns = now_ns + RIVALRY_NS
        if now_ns >= self._irregular_until_ns:
            self.be_irregular(self._rivals_until_ns)
        else:
            self._irregular_until_ns = max(self._irregular_until_ns, self._rivals_until_ns)

    def _wake_up(self) -> None:
        self._wake_ns = NEVER_NS
        self._drawn = False
        if self.blocked:
            self._woken = True
            return
        leaper = self.context.fast_forward
        if leaper is None or self._calendar.now_ns < leaper.not_before_ns or not leaper.leap():
            self._advance(self._due_ns)

    def _advance(self, due_ns: int) -> None:
        if self.life != "running":
            return
        outputs = self.router.advance(self._calendar.now_ns, due_ns)
        if outputs:
            self.deeds.do(outputs)
        self._arm()

    def _next_stall(self) -> None:
        stalls = self.node.stalls
        assert stalls is not None
        self.later(self._stall_stream.ns(stalls.every), self._stall)

    def _stall(self) -> None:
        stalls = self.node.stalls
        assert stalls is not None
        lasts_ns = self._stall_stream.ns(stalls.lasts)
        self._stalled_until_ns = max(self._stalled_until_ns, self.now_ns + lasts_ns)
        self.disturb()
        self.look_up()
        self.later(lasts_ns, self.resume)
        self._next_stall()

    def obey(self, outputs: Sequence[Output]) -> None:
        """Do what the router says, and be there for its next deadline."""
        self.deeds.do(outputs)
        self._arm()

    # --- checks

    def disturb(self) -> None:
        """What checks see, or when they run, is about to change."""
        if self.scripts.disturb():
            self._arm()

    def script_ended(self, number: int, code: int | None, signal: int | None) -> None:
        """A run of a check ended, and the daemon comes to it."""
        if self.life == "running":
            self.obey(self.router.script_finished(number, code, signal, self.now_ns))

    # --- its machine

    def _host(self) -> Host:
        node = self.node
        return Host(
            sources={
                (name, family): address
                for name, port in node.ports.items()
                for family in (4, 6)
                if (address := node.primary_address(port, family)) is not None
            },
            addresses=frozenset(a for port in node.ports.values() for a in node.own_addresses(port)),
            interfaces_down=frozenset(name for name, port in node.ports.items() if not port.reported),
            processes={
                tracked.name: node.process_count(tracked.process.rpartition("/")[2])
                for tracked in self.config.processes
            },
        )

    def _join_groups(self, join: bool) -> None:
        for instance in self.config.instances:
            port = self.node.ports.get(instance.interface)
            if port is not None and not instance.unicast:
                group = multicast_mac(instance.multicast_group)
                (port.groups.add if join else port.groups.discard)(group)
                port.segment.membership_changed()

    def has_role(self, role: str, instance: str | None) -> bool:
        """Whether the instance (any, if None) is Master or Backup here; Fault is neither."""
        state = State.MASTER if role == "master" else State.BACKUP
        names = [instance] if instance else [config.name for config in self.config.instances]
        return self.life in ("running", "frozen") and any(
            self.router.state_of(name) is state for name in names
        )

    def runs_instance(self, instance: str | None) -> InstanceConfig | None:
        """The configuration of an instance by name, or of the only one."""
        for config in self.config.instances:
            if instance in (None, config.name):
                return config
        return None

    # --- small things

    @property
    def now_ns(self) -> int:
        """Simulated time."""
        return self._calendar.now_ns

    def draw_ns(self, distribution: Distribution) -> int:
        """How long something takes this time; nothing with `slop: none`."""
        return self._work.ns(self.node.time(distribution))

    def later(self, delay_ns: int, function: Callable[..., Any], *arguments: Any) -> Call:
        """Something of its own will happen after a delay."""
        return self.context.calendar.at(
            self._calendar.now_ns + delay_ns, Kind.TIMER, self.node.rank, function, *arguments
        )
