"""The check scripts of a simulated daemon: which run is under way, what it will see, which may rest.

A run that would only confirm what is known need not be simulated, nor those after it: such a script rests
until something it looks at is about to change, and then goes on as if it had never rested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from vrrpsim.keepalived.commands import Check, Limit, limit_of
from vrrpsim.protocol.configuration import SECOND_NS, RouterConfig
from vrrpsim.protocol.outputs import KillScript, RunScript
from vrrpsim.protocol.router import VrrpRouter
from vrrpsim.redaction import masked
from vrrpsim.scenario.model import Probe
from vrrpsim.scenario.random_streams import Numbered, bounds_ns

from . import latencies
from .calendar import Alarm, Kind
from .checks import check_of
from .machine import Machine
from .neighbours import PROBES, RETRANSMIT_NS
from .wakeups import Wakeups
from .ways import ask

RETRIES_NS = tuple(seconds * SECOND_NS for seconds in (1, 3, 7))  # TCP's first request, sent again
UNREACHABLE_NS = PROBES * RETRANSMIT_NS  # nobody has the address: the kernel says so


class Rest(NamedTuple):
    """A script whose runs change nothing: when the last one that was looked at began, and which it was."""

    began_ns: int
    due_ns: int  # when the next one is to begin, on time
    number: int


@dataclass(slots=True, eq=False, repr=False)
class RunningCheck:
    """A check under way: when it ends, or that it hangs."""

    script: str
    end: Alarm
    began_ns: int
    hanging: bool = False
    unresolved: bool = False  # its request waits for the neighbour's MAC


class ChecksScripts(Protocol):
    """The daemon whose scripts run."""

    router: VrrpRouter

    def disturb(self) -> None:
        """What checks see is about to change."""

    def script_ended(self, number: int, code: int | None, signal: int | None) -> None:
        """A run ended, and the daemon comes to it."""


class ScriptRunner:
    """All runs of one daemon. `forced`: what events say that a script does (hang, fail, pass)."""

    def __init__(
        self, machine: Machine, wakeups: Wakeups, daemon: ChecksScripts, probes: Mapping[str, Probe]
    ) -> None:
        self._machine = machine
        self._wakeups = wakeups
        self._daemon = daemon
        self._probes = probes
        self.forced: dict[str, str] = {}
        self._runs: dict[int, RunningCheck] = {}
        self._counts: Counter[str] = Counter()
        self._resting: dict[str, Rest] = {}
        self._lasts = machine.time(latencies.SCRIPT_RUN)
        self._longest_ns = bounds_ns(self._lasts)[1]
        self._draws: dict[str, Numbered] = {}
        self._checks: dict[str, Check] = {}
        self._limits: dict[str, Limit | None] = {}
        self._patience: dict[str, Limit | None] = {}  # with a request that gets no answer at all
        self._asks = False  # some check asks an address, not just what is on this machine
        machine.context.observers.append(self._look_around)
        self._periods_ns: dict[str, int] = {}  # what a run must be shorter than to rest

    def read(self, config: RouterConfig) -> None:
        """The scripts of a configuration are the ones to run; what ran for another one is gone."""
        self.forget()
        self._checks.clear()
        self._asks = False
        machine = self._machine
        for script in config.scripts:
            probe = self._probes.get(script.name)
            check = check_of(script, probe, machine.model.processes, config.symlink_paths)
            self._asks |= check.answers is not None
            said = self._remark_on(check)
            if said:
                command = masked(script.command)
                machine.context.remark(f"{machine.name}/{script.name}: '{command}' {said}")
                check = check if check.never else Check()
            self._checks[script.name] = check
            self._limits[script.name] = None if probe else limit_of(script.command)
            self._patience[script.name] = None if probe else limit_of(script.command, connecting=True)
            self._periods_ns[script.name] = min(script.interval_ns, script.effective_timeout_ns)

    def _remark_on(self, check: Check) -> str:
        """What the run has to say of a check that does not depend on what happens in it."""
        machine = self._machine
        if check.never:
            return f"never succeeds: {check.never}"
        elsewhere = check.process not in (None, "keepalived") and check.process not in machine.processes
        if check == Check() or elsewhere:
            return "always succeeds here"
        if check.answers is not None and not machine.context.knows(check.answers.address):
            return f"always succeeds here: nobody has {check.answers.address}"
        return ""

    def forget(self) -> None:
        """The daemon died: nobody waits for anything."""
        for run in self._runs.values():
            run.end.cancel()
        self._runs.clear()
        self._resting.clear()

    def begin(self, output: RunScript) -> None:
        """Fork and exec; the check looks when it ends, unless it hangs."""
        script, number = output
        self._counts[script] += 1
        verdict = self._verdict(script)
        if not self._let_rest(script, number, verdict):
            self._look_in(self._lasts_ns(script), script, number, self._wakeups.now_ns)

    def _verdict(self, script: str) -> str:
        """What a run sees now: pass, fail, hang, or that no answer comes back: lost, unreachable."""
        if script in self.forced:
            return self.forced[script]
        check, machine = self._checks[script], self._machine
        if check.answers is None:
            return machine.answer(check)
        way = ask(machine, check.answers)
        if way.cause == "service" and way.node is not None:
            return way.node.answer(Check(port=f"{check.answers.port}/tcp"))
        if way.answered and way.share < 1.0:
            draws = machine.context.streams.draws(f"asks/{machine.name}/{script}")
            return "pass" if draws.fraction() < way.share else "lost"
        if way.answered:
            return "pass"
        return {"unresolved": "unreachable", "unreachable": "fail"}.get(way.cause, "lost")

    def _let_rest(self, script: str, number: int, verdict: str) -> bool:
        """Runs that end as expected, and well before the next one, are left out until something changes."""
        short = self._longest_ns < self._periods_ns[script]
        rests = verdict == "pass" or (verdict == "fail" and self._checks[script].answers is None)
        if not (short and rests and self._wakeups.is_regular):
            return False
        now_ns = self._wakeups.now_ns
        due_ns = self._daemon.router.rest(script, number, verdict == "pass", now_ns)
        if due_ns is not None:
            self._resting[script] = Rest(now_ns, due_ns, self._counts[script])
        return due_ns is not None

    def _lasts_ns(self, script: str) -> int:
        draws = self._draws.get(script)
        if draws is None:
            purpose = f"scripts/{self._machine.name}/{script}"
            draws = self._draws[script] = self._machine.context.streams.numbered(purpose)
        return draws.draw_ns(self._lasts, self._counts[script])

    def disturb(self) -> bool:
        """What checks see, or when they run, is about to change: those that rest go on. Whether one did."""
        resting, self._resting = self._resting, {}
        router, now_ns = self._daemon.router, self._wakeups.now_ns
        for script, rest in resting.items():
            interval_ns = rest.due_ns - rest.began_ns
            period_ns = interval_ns + self._wakeups.drift_ns
            passed = max(0, now_ns - 1 - rest.began_ns) // period_ns
            began_ns = rest.began_ns + passed * period_ns
            self._was_answered(script, began_ns)
            self._counts[script] = rest.number + passed
            left_ns = began_ns + self._lasts_ns(script) - now_ns
            if left_ns > 0:  # a run is under way and looks for itself
                number = router.go_on(script, began_ns + interval_ns, began_ns)
                self._look_in(left_ns, script, number, began_ns)
            else:
                router.go_on(script, began_ns + interval_ns)
        return bool(resting)

    def _was_answered(self, script: str, at_ns: int) -> None:
        """What rested had its answers, and each renewed what this machine knows of its neighbour."""
        answers = self._checks[script].answers
        port = self._machine.route(answers.address, None) if answers is not None else None
        if answers is not None and port is not None and answers.address in port.cache.entries:
            port.cache.answered(answers.address, at_ns)

    def _look_around(self) -> None:
        """Something changed in the world: what rests because somebody answers goes on."""
        if self._asks and any(self._checks[script].answers is not None for script in self._resting):
            self._daemon.disturb()

    def neighbour_found(self) -> None:
        """A MAC is known: what waited for it leaves."""
        for number, run in self._runs.items():
            if run.unresolved:
                run.unresolved = False
                run.end.set(0, self._look, number)

    def look_again(self) -> None:
        """Something that checks wait for may answer now: a thawed server works off its backlog."""
        for number, run in self._runs.items():
            if run.hanging:
                delay_ns = self._wakeups.draw_ns(latencies.THAW_BACKLOG)
                limit = self._limits[run.script]
                if limit is None or self._wakeups.now_ns + delay_ns < run.began_ns + limit.after_ns:
                    run.hanging = False
                    run.end.set(delay_ns, self._look, number)

    def kill(self, output: KillScript) -> None:
        """A signal: the run ends by it."""
        run = self._runs.get(output.run)
        if run is not None:
            run.end.set(self._wakeups.draw_ns(latencies.NETLINK), self._end, output.run, None, 15)

    def _look_in(self, delay_ns: int, script: str, number: int, began_ns: int) -> None:
        end = Alarm(self._machine.context.agenda, Kind.TIMER, self._machine.rank)
        end.set(delay_ns, self._look, number)
        self._runs[number] = RunningCheck(script, end, began_ns)

    def _look(self, number: int) -> None:
        run = self._runs.get(number)
        if run is None:
            return
        verdict = self._verdict(run.script)
        if verdict in ("pass", "fail"):
            self._end(number, 0 if verdict == "pass" else 1, None)
            return
        run.hanging, run.unresolved = verdict == "hang", verdict == "unreachable"
        limit = (self._limits if run.hanging else self._patience)[run.script]
        waited_ns = self._wakeups.now_ns - run.began_ns
        answers = self._checks[run.script].answers
        again = [each for each in RETRIES_NS if each > waited_ns and answers is not None and answers.port]
        if run.unresolved:
            limit = min(limit or Limit(UNREACHABLE_NS, 1), Limit(UNREACHABLE_NS, 1))
        if not run.hanging and again and (limit is None or again[0] < limit.after_ns):
            run.end.set(again[0] - waited_ns, self._look, number)
        elif limit is not None:
            run.end.set(max(limit.after_ns - waited_ns, 0), self._end, number, limit.code, None)

    def _end(self, number: int, code: int | None, signal: int | None) -> None:
        if self._runs.pop(number, None) is not None:
            self._wakeups.post(self._daemon.script_ended, number, code, signal)
