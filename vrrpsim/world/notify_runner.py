"""The notify scripts of a simulated daemon: started without waiting, done when they end.

keepalived forks one for each transition and forgets it, so two of them may end in the wrong order, and
what they do happens all the same. They outlive their daemon, not their machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from vrrpsim.keepalived.effects import Effect, effects_of
from vrrpsim.keepalived.notify import notifies_of, notify_commands
from vrrpsim.protocol.configuration import RouterConfig
from vrrpsim.protocol.outputs import RunNotify
from vrrpsim.redaction import masked
from vrrpsim.scenario.random_streams import Numbered
from vrrpsim.trace import NotifyFinished

from . import latencies
from .calendar import Call, Kind
from .machine import Machine


class NotifyRunner:
    """All notify scripts of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._model = machine.model.notify
        takes = self._model.takes if self._model else None
        self._takes = takes or machine.time(latencies.SCRIPT_RUN)
        self._draws: Numbered | None = None
        self._started = 0
        self._running: dict[int, Call] = {}
        self._late: list[tuple[int, NotifyFinished, Sequence[Effect]]] = []  # ended while nothing ran

    def run(self, config: RouterConfig, output: RunNotify) -> None:
        """Start what keepalived starts for this transition."""
        notifies = notifies_of(config)
        commands = notify_commands(notifies[output.kind, output.name], output)
        own = self._model is not None and bool(self._model.does)
        if own and output.kind == "INSTANCE" and not any(each.has_scripts for each in notifies.values()):
            self._start(output, self._own_effects(output))
        for number, command in enumerate(commands):
            if own:
                self._start(output, self._own_effects(output) if number == 0 else ())
                continue
            effects = effects_of(command.words, self._machine.processes)
            if effects is None:
                self._machine.context.remark(
                    f"{self._machine.name}/{output.name}: what {masked(command.words[0])} does is not known; "
                    "'notify: {does: …}' says it"
                )
            self._start(output, effects or ())

    def _own_effects(self, output: RunNotify) -> Sequence[Effect]:
        return self._model.does.get(output.state.lower(), ()) if self._model else ()

    def _start(self, output: RunNotify, effects: Sequence[Effect]) -> None:
        machine, self._started = self._machine, self._started + 1
        if self._draws is None:
            self._draws = machine.context.streams.numbered(f"notify/{machine.name}")
        agenda = machine.context.agenda
        at_ns = agenda.now_ns + self._draws.draw_ns(self._takes, self._started)
        said = NotifyFinished(at_ns, machine.name, output.kind, output.name, output.state, agenda.now_ns)
        self._running[self._started] = agenda.at(
            at_ns, Kind.KERNEL, machine.rank, self._end, self._started, said, effects
        )

    def _end(self, number: int, said: NotifyFinished, effects: Sequence[Effect]) -> None:
        del self._running[number]
        machine = self._machine
        if not machine.kernel_runs:
            self._late.append((number, said, effects))
            return
        machine.context.trace.add(said._replace(at_ns=machine.context.agenda.now_ns))
        for verb, name in effects:
            process = machine.processes[name]
            if verb in ("stop", "kill", "restart"):
                process.kill()
            if verb in ("start", "restart"):
                process.start()
            if verb == "reload":
                process.reload()

    def resume(self) -> None:
        """The machine was paused: what was to end meanwhile ends now."""
        late, self._late = self._late, []
        for number, said, effects in late:
            agenda = self._machine.context.agenda
            self._running[number] = agenda.at(
                agenda.now_ns, Kind.KERNEL, self._machine.rank, self._end, number, said, effects
            )

    def forget(self) -> None:
        """The machine lost power."""
        for call in self._running.values():
            call.cancel()
        self._running.clear()
        self._late.clear()
