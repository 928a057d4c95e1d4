"""A node of the scenario, on or off: its machine, its cables, its processes and its daemon."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from ipaddress import IPv6Interface
from pathlib import Path
from typing import Any

from vrrpsim.keepalived.effects import Effect, effects_of
from vrrpsim.keepalived.notify import notifies_of
from vrrpsim.scenario.addressing import card, link_local, own_addresses
from vrrpsim.scenario.model import PROCESS_STARTUP, ZERO, Process
from vrrpsim.scenario.model import Node as NodeModel
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.verbs import FILE, SCRIPT, on
from vrrpsim.trace import NodeChange, NotifyFinished, ProcessChange

from . import kernel, programs
from .context import LabContext
from .machine import LabMachine, Program
from .network import paths

STEP_S = 0.01
AT_MOST_S = 5.0  # until a process serves, or a daemon that was asked to stop is gone


class Ended(Exception):
    """A program ended that nobody had asked to."""

    exit_code = 4


class LabNode:
    """One node."""

    def __init__(self, context: LabContext, name: str, model: NodeModel, daemon: str) -> None:
        self.context, self.name, self.model, self.daemon = context, name, model, daemon
        self.machine: LabMachine | None = None
        self.paused = False
        self.conf: programs.Conf | None = None
        self.programs: dict[str, Program] = {}
        self._frozen: set[str] = set()
        self._stalled: list[str] = []  # the rules that keep a paused machine's frames
        self._unasked: set[str] = set()  # what must not end by itself
        self._changes = 0  # of the machine's state: each boot has a draw of its own
        self._starts: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._notified = 0
        if model.keepalived is not None:
            forced, written = (
                [e.target.item for e in context.scenario.events if e.verb in on(kind) and e.target]
                for kind in (SCRIPT, FILE)
            )
            self.conf = programs.Conf(
                name,
                model.keepalived,
                [item for item in forced if item],
                [item for item in written if item],
                model.notify is not None and bool(model.notify.does),
            )
            context.recorder.told[name] = self._told

    # --- what others ask

    @property
    def kernel_runs(self) -> bool:
        """Powered and not paused."""
        return self.machine is not None and not self.paused

    @property
    def ends(self) -> list[str]:
        """Its cables."""
        return [f"{self.name}/{interface}" for interface in self.model.interfaces]

    def has_role(self, role: str, instance: str | None) -> bool:
        """Whether an instance (any, if None) is Master or Backup here, as its daemon says."""
        states = {
            state
            for (node, name), state in self.context.recorder.states.items()
            if node == self.name and instance in (None, name)
        }
        return self.kernel_runs and role.upper() in states

    # --- power

    async def build(self) -> None:
        """Make the machine and lay its cables; what runs there comes later."""
        self.machine = LabMachine(self.name)
        self.context.recorder.watch(self.name, self.machine.network)
        for interface in self.model.interfaces:
            await self.attach(interface)

    async def set_interface(self, interface: str, up: bool) -> None:
        """As the machine itself does; of IPv6 the link-local address returns."""
        if self.machine is not None:
            mac, network = card(self.context.scenario, self.name, interface), self.context.network
            own = own_addresses(self.model.interfaces[interface], mac)
            again = [each for each in own if isinstance(each, IPv6Interface) and each.is_link_local]
            made = link_local(mac) in again
            await self.context.wire(network.set_interface, self.machine.network, interface, up, again, made)

    async def attach(self, interface: str) -> None:
        """Make an interface, with its cable and the addresses that it is configured with."""
        if self.machine is not None:
            mac = card(self.context.scenario, self.name, interface)
            own = own_addresses(self.model.interfaces[interface], mac)
            end, network = f"{self.name}/{interface}", self.machine.network
            await self.context.wire(self.context.network.attach, end, network, interface, mac, own)

    async def start_early(self) -> None:
        """Before the run: what serves from its beginning, so that its start is in nobody's way."""
        for process, model in self._services().items():
            if model.starts == ZERO and model.starts_up == PROCESS_STARTUP:
                self.start(process)
                await self._see_it_serve(process, model)

    def start_processes(self) -> None:
        """At boot: processes at their `starts`, unless that is `manual`."""
        for process, model in self._services().items():
            if process in self._unasked:
                self._became(process, "serving")
            else:
                self._start_at(model.starts, process)
        if self.model.keepalived is not None:
            self._start_at(self.model.keepalived.starts, "keepalived")

    def _start_at(self, starts: object, process: str) -> None:
        if isinstance(starts, Distribution):
            delay_ns = self.context.draw_ns(starts, f"starts/{self.name}/{process}")
            self._soon(self._start_after(delay_ns, process))

    async def _start_after(self, delay_ns: int, process: str) -> None:
        await asyncio.sleep(delay_ns / 1e9)
        self.start(process)

    def _services(self) -> dict[str, Process]:
        if self.model.processes:
            return dict(self.model.processes)
        ports = {f"{client.target[1]}/tcp": None for client in self.context.scenario.clients.values()}
        return {"answers": Process(serves=tuple(ports))} if ports else {}  # as in the simulator: all are

    async def power_off(self) -> None:
        """Gone without a word."""
        if self.machine is None:
            return
        for task in self._tasks:
            task.cancel()
        self._unasked.clear()
        self._machine_is("off")
        machine, self.machine, self.paused = self.machine, None, False
        self._frozen.clear()
        self.context.recorder.forget(self.name)
        self.context.recorder.daemon_gone(self.name)
        for end in self.ends:
            await self.context.wire(self.context.network.plug, end, False)
        await machine.power_off()
        for end in self.ends:
            await self.context.wire(self.context.network.detach, end)

    async def close(self) -> None:
        """The run is over."""
        for task in self._tasks:
            task.cancel()
        self._unasked.clear()
        machine, self.machine = self.machine, None
        if machine is not None:
            await machine.power_off()

    async def power_on(self) -> None:
        """Boot, which takes its time."""
        if self.machine is None:
            delay_ns = self.context.draw_ns(self.model.boots, f"boots/{self.name}/{self._changes}")
            self._soon(self._boot(delay_ns))

    async def _boot(self, delay_ns: int) -> None:
        await asyncio.sleep(delay_ns / 1e9)
        if self.machine is None:
            await self.build()
            self._machine_is("on")
            self.start_processes()

    async def pause(self) -> None:
        """Everything stands still, and no frame comes or goes."""
        if not self.kernel_runs:
            return
        self.paused = True
        ports = [self.context.network.ports[end] for end in self.ends]
        either_way = [*paths(ports, None), *paths(None, ports)]
        self._stalled = await self.context.wire(self.context.network.drop, either_way)
        self._machine_is("paused")
        for pid in self._everything():
            kernel.send(pid, signal.SIGSTOP)

    async def resume(self) -> None:
        """Go on; what was frozen by itself stays so."""
        if self.machine is None or not self.paused:
            return
        frozen = {pid for name in self._frozen for pid in self.programs[name].members()}
        # The network first: what a daemon sends when it wakes up is not lost.
        await self.context.wire(self.context.network.allow, self._stalled)
        self.paused = False
        self._machine_is("on")
        for pid in self._everything():
            if pid not in frozen:
                kernel.send(pid, signal.SIGCONT)

    def _everything(self) -> Iterator[int]:
        assert self.machine is not None
        for program in self.programs.values():
            yield from kernel.family(program.pid) if program.runs else ()
        yield from self.machine.orphans()

    def _machine_is(self, state: str) -> None:
        self._changes += 1
        self.context.recorder.add(NodeChange(self.context.recorder.now_ns(), self.name, state))

    # --- processes and the daemon

    def start(self, name: str) -> None:
        """Exec; what is about to end is started again when it has ended."""
        if self.machine is None:
            return
        if name in self.programs and self.programs[name].runs:
            if name not in self._unasked:
                self._soon(self._again(name))
            return
        self._starts[name] = self._starts.get(name, 0) + 1
        self._became(name, "starting")
        if name == "keepalived":
            assert self.conf is not None
            dialect = self.context.scenario.dialect_of(self.name)
            words = self.conf.words(self.daemon, self.machine, dialect)
            said: Callable[[str], None] | None = self._said
        else:
            model = self._services()[name]
            delay_ns = 0
            if model.starts_up != PROCESS_STARTUP:
                purpose = f"startup/{self.name}/{name}/{self._starts[name]}"
                delay_ns = self.context.draw_ns(model.starts_up, purpose)
            words, said = programs.service(self.machine, name, model, delay_ns / 1e9), None
            self._soon(self._see_it_serve(name, model))
        self.programs[name] = Program(
            self.machine,
            words,
            environment=programs.environment(self.daemon if name == "keepalived" else ""),
            said=said,
            ended=lambda code: self._ended(name, code),
        )
        self._unasked.add(name)

    def _told(self, slot: str, kind: str, name: str, state: str) -> None:
        """A notify script was started: it ends after its time, and then has done what it does."""
        assert self.conf is not None
        notify, state = notifies_of(self.conf.config)[kind, name], state.upper()
        began_ns, model = self.context.recorder.now_ns(), self.model.notify
        if model is not None and model.does:
            first = slot != "any" or not getattr(notify, state.lower(), "")
            effects = model.does.get(state.lower(), ()) if first else ()
        else:
            effects = effects_of(getattr(notify, slot), self.model.processes) or ()
        self._notified += 1
        delay_ns = 0
        if model is not None and model.takes is not None:
            delay_ns = self.context.draw_ns(model.takes, f"notify/{self.name}/{self._notified}")
        self._soon(
            self._notify_ends(delay_ns, NotifyFinished(0, self.name, kind, name, state, began_ns), effects)
        )

    async def _notify_ends(self, delay_ns: int, said: NotifyFinished, effects: Sequence[Effect]) -> None:
        await asyncio.sleep(delay_ns / 1e9)
        self.context.recorder.add(said._replace(at_ns=self.context.recorder.now_ns()))
        for verb, process in effects:
            if verb == "restart":
                self.restart(process)
            elif verb == "start":
                self.start(process)
            elif verb != "reload":
                self.signal(process, verb)

    def _said(self, line: str) -> None:
        if self.machine is None:  # its last words, when the power was off already
            return
        self.context.recorder.said(self.name, line)
        if "Entering BACKUP STATE (init)" in line or line.endswith(" entering FAULT state"):
            self._became("keepalived", "running")

    async def _see_it_serve(self, name: str, model: Process) -> None:
        """Look whether its ports listen."""
        wanted = {int(port.partition("/")[0]) for port in model.serves if port.endswith("/tcp")}
        while name in self._unasked and self.programs[name].runs:
            if wanted <= _listening(self.programs[name].pid):
                self._became(name, "serving")
                return
            await asyncio.sleep(STEP_S)

    def signal(self, name: str, verb: str) -> None:
        """Kill, stop, freeze or thaw what runs under this name."""
        program = self.programs.get(name)
        if self.machine is None or program is None or not program.runs:
            return
        number = {
            "kill": signal.SIGKILL,
            "stop": signal.SIGTERM,
            "freeze": signal.SIGSTOP,
            "thaw": signal.SIGCONT,
        }[verb]
        if verb in ("kill", "stop"):
            self._unasked.discard(name)
            if verb == "kill":
                self._frozen.discard(name)
            elif name == "keepalived":
                self._became(name, "stopping")
        elif verb == "freeze":
            self._frozen.add(name)
            self._became(name, "frozen")
        elif name in self._frozen:
            self._frozen.discard(name)
            self._became(name, "running" if name == "keepalived" else "serving")
        program.send(number)

    def restart(self, name: str) -> None:
        """Stop (HAProxy: kill), wait for the exit, start."""
        self.signal(name, "stop" if name == "keepalived" else "kill")
        self._soon(self._again(name))

    async def _again(self, name: str) -> None:
        for _ in range(round(AT_MOST_S / STEP_S)):
            if name not in self.programs or not self.programs[name].runs:
                self.start(name)
                return
            await asyncio.sleep(STEP_S)

    def reload(self) -> None:
        """SIGHUP, with what is to be on disk now."""
        assert self.conf is not None
        self.context.recorder.configs[self.name] = self.conf.config
        program = self.programs.get("keepalived")
        self.conf.write()
        if program is not None and program.runs:
            program.send(signal.SIGHUP)

    def _ended(self, name: str, code: int) -> None:
        if name == "keepalived":
            self.context.recorder.daemon_gone(self.name)
        if self.machine is not None:
            self._became(name, "dead")
        if name in self._unasked:
            last = " | ".join(
                [f"{self.name}: {name} ended with code {code}", *self.programs[name].last_words[-3:]]
            )
            self.context.fail(Ended(last))

    def _became(self, name: str, state: str) -> None:
        if name != "answers":
            self.context.recorder.add(ProcessChange(self.context.recorder.now_ns(), self.name, name, state))

    # --- time

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self.context.guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _listening(pid: int) -> set[int]:
    """The TCP ports on which somebody listens in the network of a process."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        cells = (row.split() for row in rows)
        found |= {int(cell[1].rpartition(":")[2], 16) for cell in cells if cell[3] == "0A"}
    return found
