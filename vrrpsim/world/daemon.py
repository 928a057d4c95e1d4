"""keepalived on a node: a `VrrpRouter` driven by the calendar. It obeys and decides nothing.

What makes it run, and when, is in wakeups.py; what it does with the router's outputs in output_queue.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vrrpsim.protocol.configuration import Address, InstanceConfig, RouterConfig
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.protocol.frames import multicast_mac
from vrrpsim.protocol.fsm import State
from vrrpsim.protocol.instances import Instance
from vrrpsim.protocol.outputs import Output
from vrrpsim.protocol.router import NOTHING, Host, VrrpRouter
from vrrpsim.scenario.model import Keepalived
from vrrpsim.trace import Life, ProcessChange

from . import latencies
from .bfd import BfdSessions
from .calendar import Alarm, Kind
from .frame import VrrpFrame
from .machine import Machine
from .notify_runner import NotifyRunner
from .output_queue import OutputQueue
from .port import Port
from .script_runner import ScriptRunner
from .wakeups import Sleeper, Wakeups


class Daemon(Sleeper):
    """The keepalived process of a node: dead, starting, running, frozen or stopping."""

    name = "keepalived"

    def __init__(self, machine: Machine, model: Keepalived, dialect: Dialect) -> None:
        self.machine = machine
        self._agenda = machine.context.agenda
        self.model = model
        self._dialect = dialect
        self.config = model.config
        self.router = VrrpRouter(self.config, dialect)
        self.life = Life.DEAD
        self._again = False  # to be started when it has stopped
        self._next_life = Alarm(self._agenda, Kind.TIMER, machine.rank)
        self.wakeups = Wakeups(machine, self)
        self.sessions = BfdSessions(machine, self)
        self.scripts = ScriptRunner(machine, self.wakeups, self, model.probes)
        self.notifies = NotifyRunner(machine)
        self.outputs = OutputQueue(machine, self.wakeups, self.scripts, self.notifies)
        self._read(self.config)

    @property
    def is_idle(self) -> bool:
        """It has nothing to do but what its next deadline and the calendar will bring."""
        if self.life is not Life.RUNNING:
            return self.life is not Life.FROZEN
        return self.wakeups.is_idle and self.outputs.done

    @property
    def exists(self) -> bool:
        """It is in the process table."""
        return self.life is not Life.DEAD

    @property
    def _hears(self) -> bool:
        """Its sockets are open, whether or not it can look at them."""
        return self.life in (Life.RUNNING, Life.FROZEN)

    # --- life

    def start(self) -> None:
        """Exec: the dispatcher runs a few milliseconds later."""
        if self.life is Life.STOPPING:
            self._again = True
        if not self.exists and self.machine.up:
            self._become(Life.STARTING)
            takes_ns = self.wakeups.draw_ns(latencies.DAEMON_START, self.model.starts_up)
            self._next_life.set(takes_ns, self._dispatch)

    def _dispatch(self) -> None:
        if not self.machine.kernel_runs:
            self.wakeups.keep(self._dispatch)
            return
        self._become(Life.RUNNING)
        self._join_groups(True)
        self.perform(self.router.start(self._host(), self._agenda.now_ns))
        self.sessions.evaluate()

    def stop(self) -> None:
        """SIGTERM: graceful; the process is gone a second later (§1.7)."""
        if self.life is Life.STARTING:
            self.kill()
        elif self.life is Life.FROZEN:  # the signal waits for SIGCONT
            self.wakeups.keep(self.stop)
        elif self.life is Life.RUNNING:
            self.disturb()
            self._become(Life.STOPPING)
            self.perform(self.router.stop(self._agenda.now_ns))
            self._next_life.set(self.wakeups.draw_ns(latencies.DAEMON_EXIT), self.kill)

    def kill(self) -> None:
        """SIGKILL to all of it: silence, and the addresses stay (§1.7)."""
        if not self.exists:
            return
        self.wakeups.forget()
        self._next_life.cancel()
        self.outputs.forget()
        self.scripts.forget()
        self.sessions.forget()
        self._join_groups(False)
        self.router = VrrpRouter(self.config, self._dialect)
        self._become(Life.DEAD)
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
        if self.life is Life.RUNNING:
            self.disturb()
            self._become(Life.FROZEN)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.life is Life.FROZEN:
            self._become(Life.RUNNING)
            self.wakeups.resume()

    def reload(self, config: RouterConfig | None) -> None:
        """SIGHUP, with another configuration on disk if given."""
        self.wakeups.post(self._reload, config or self.config)

    def _reload(self, config: RouterConfig) -> None:
        if self.life is not Life.RUNNING:
            self.router = VrrpRouter(config, self._dialect)
            self._read(config)
            return
        self.disturb()
        self._join_groups(False)
        self._read(config)
        self._join_groups(True)
        self.perform(self.router.reload(config, self._agenda.now_ns))

    def _read(self, config: RouterConfig) -> None:
        self.config = self.outputs.config = config
        self.scripts.read(config)
        self.sessions.read(config.bfds)

    def _become(self, life: Life) -> None:
        self.life = life
        self.wakeups.refresh()
        self.machine.context.trace.add(
            ProcessChange(self._agenda.now_ns, self.machine.name, self.name, life.value)
        )
        for evaluate in self.machine.context.sessions:
            evaluate()

    # --- what happens to it

    def receive(self, port: Port, frame: VrrpFrame) -> None:
        """A VRRP packet on the socket."""
        if not self.wakeups.runs_now:
            if self._hears:
                self.wakeups.post(self._receive, port, frame)
            return
        outputs = self.router.receive(port.interface, frame.datagram, self._agenda.now_ns)
        if outputs:
            self.outputs.answer(outputs)
            self.wakeups.arm()
        elif self.wakeups.drawn or outputs is not NOTHING:
            self.wakeups.arm()

    def postponed(self, port: Port, frame: VrrpFrame) -> Instance | bool:
        """What hearing an advert again would do: move this instance's deadline, more (True) or nothing."""
        return not self.wakeups.is_regular or self.router.postponed(
            port.interface, frame.datagram, self._agenda.now_ns
        )

    def _receive(self, port: Port, frame: VrrpFrame) -> None:
        """The same when the daemon comes to it."""
        if self.life is Life.RUNNING:
            self.outputs.answer(self.router.receive(port.interface, frame.datagram, self._agenda.now_ns))
            self.wakeups.arm()

    def interface_changed(self, interface: str, up: bool) -> None:
        """Netlink reports a change of carrier or IFF_UP."""
        self._netlink(lambda: self.router.interface_changed(interface, up, self._agenda.now_ns))

    def interface_deleted(self, interface: str, addresses: Sequence[Address]) -> None:
        """Netlink reports that an interface is down, its addresses are gone and so is the interface."""
        self._netlink(self._left_without, interface, addresses)

    def _left_without(self, interface: str, addresses: Sequence[Address]) -> list[Output]:
        router, now_ns = self.router, self._agenda.now_ns
        outputs = router.interface_changed(interface, False, now_ns)
        for address in addresses:
            outputs += router.address_removed(interface, address, now_ns)
        router.interface_deleted(interface)
        return outputs

    def address_removed(self, interface: str, address: Address) -> None:
        """Netlink reports that somebody removed an address."""
        self._netlink(lambda: self.router.address_removed(interface, address, self._agenda.now_ns))

    def source_changed(self, interface: str, family: int, source: Address | None) -> None:
        """Netlink reports that the interface sends from another address now."""
        self._netlink(lambda: self.router.source_changed(interface, family, source, self._agenda.now_ns))

    def file_changed(self, name: str, value: int) -> None:
        """Inotify reports another value of a tracked file."""
        self._netlink(lambda: self.router.file_changed(name, value, self._agenda.now_ns))

    def bfd_changed(self, name: str, up: bool) -> None:
        """The BFD process tells of a session."""
        if self._hears:
            self.wakeups.post(
                self._hear_kernel, lambda: self.router.bfd_changed(name, up, self._agenda.now_ns), ()
            )

    def process_changed(self, process: str) -> None:
        """The kernel's process connector reports a start or an end."""
        for tracked in self.config.processes:
            if tracked.process.rpartition("/")[2] == process:
                count = self.machine.process_count(process)
                self._netlink(self._count_changed, tracked.name, count)

    def _count_changed(self, name: str, count: int) -> list[Output]:
        return self.router.process_count(name, count, self._agenda.now_ns)

    def _netlink(self, ask: Callable[..., list[Output]], *arguments: Any) -> None:
        if self._hears:
            self.wakeups.later(
                self.wakeups.draw_ns(latencies.NETLINK), self.wakeups.post, self._hear_kernel, ask, arguments
            )

    def _hear_kernel(self, ask: Callable[..., list[Output]], arguments: tuple[Any, ...]) -> None:
        if self.life is Life.RUNNING:
            self.perform(ask(*arguments))

    def set_priority(self, instance: str, priority: int) -> None:
        """The operator changes a base priority."""
        if self.life is Life.RUNNING:
            self.wakeups.post(
                lambda: self.perform(self.router.set_priority(instance, priority, self._agenda.now_ns))
            )

    def advance(self, due_ns: int) -> None:
        """Serve the timers that were due at this instant."""
        if self.life is Life.RUNNING:
            outputs = self.router.advance(self._agenda.now_ns, due_ns)
            if outputs:
                self.outputs.do(outputs)
            self.wakeups.arm()

    def go_on(self) -> None:
        """Do what was left undone while it could not run."""
        self.outputs.go_on()

    def perform(self, outputs: Sequence[Output]) -> None:
        """Do what the router says, and be there for its next deadline."""
        self.outputs.do(outputs)
        self.wakeups.arm()

    # --- checks

    def disturb(self) -> None:
        """What checks see, or when they run, is about to change."""
        if self.scripts.disturb():
            self.wakeups.arm()

    def script_ended(self, number: int, code: int | None, signal: int | None) -> None:
        """A run of a check ended, and the daemon comes to it."""
        if self.life is Life.RUNNING:
            self.perform(self.router.script_finished(number, code, signal, self._agenda.now_ns))

    # --- its machine

    def _host(self) -> Host:
        machine = self.machine
        return Host(
            sources={
                (name, family): address
                for name, port in machine.ports.items()
                for family in (4, 6)
                if (address := machine.primary_address(port, family)) is not None
            },
            addresses=frozenset(a for port in machine.ports.values() for a in machine.own_addresses(port)),
            interfaces_down=frozenset(name for name, port in machine.ports.items() if not port.reported)
            | {
                each.interface
                for each in self.config.instances
                if each.interface and each.interface not in machine.ports
            },
            files=machine.files,
            processes={
                tracked.name: machine.process_count(tracked.process.rpartition("/")[2])
                for tracked in self.config.processes
            },
        )

    def _join_groups(self, join: bool) -> None:
        for instance in self.config.instances:
            port = self.machine.ports.get(instance.interface)
            if port is not None and not instance.unicast:
                group = multicast_mac(instance.multicast_group)
                (port.groups.add if join else port.groups.discard)(group)
                port.segment.membership_changed()

    def has_role(self, role: str, instance: str | None) -> bool:
        """Whether the instance (any, if None) is Master or Backup here; Fault is neither."""
        state = State.MASTER if role == "master" else State.BACKUP
        names = [instance] if instance else [config.name for config in self.config.instances]
        return self._hears and any(self.router.state_of(name) is state for name in names)

    def runs_instance(self, instance: str | None) -> InstanceConfig | None:
        """The configuration of an instance by name, or of the only one."""
        for config in self.config.instances:
            if instance in (None, config.name):
                return config
        return None
