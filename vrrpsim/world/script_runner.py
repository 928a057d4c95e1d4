"""The check scripts of a simulated daemon: which run is under way, what it will see, which may rest.

A run that would only confirm what is known need not be simulated, nor those after it: such a script rests
until something it looks at is about to change, and then goes on as if it had never rested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from vrrpsim.protocol.configuration import RouterConfig
from vrrpsim.protocol.outputs import KillScript, RunScript
from vrrpsim.protocol.router import VrrpRouter
from vrrpsim.redaction import masked
from vrrpsim.scenario.model import Probe
from vrrpsim.scenario.random_streams import Numbered, bounds_ns

from . import latencies
from .calendar import Alarm, Kind
from .checks import Check, Limit, check_of, limit_of
from .machine import Machine
from .wakeups import Wakeups


class Rest(NamedTuple):
    """A script whose runs change nothing: when the last one that was looked at began, and which it was."""

    began_ns: int
    due_ns: int  # when the next one is to begin, on time
    number: int


@dataclass(slots=True)
class RunningCheck:
    """A check under way: when it ends, or that it hangs."""

    script: str
    check: Check
    end: Alarm
    began_ns: int
    hanging: bool = False


class ChecksScripts(Protocol):
    """The daemon whose scripts run."""

    router: VrrpRouter

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
        self._periods_ns: dict[str, int] = {}  # what a run must be shorter than to rest

    def read(self, config: RouterConfig) -> None:
        """The scripts of a configuration are the ones to run; what ran for another one is gone."""
        self.forget()
        self._checks.clear()
        machine = self._machine
        known = (None, "keepalived", *machine.processes)
        for script in config.scripts:
            check = check_of(script, self._probes.get(script.name), machine.model.processes)
            if check == Check() or check.process not in known:
                command = masked(script.command)
                machine.context.remark(f"{machine.name}/{script.name}: '{command}' always succeeds here")
                check = Check()
            self._checks[script.name] = check
            self._limits[script.name] = limit_of(script.command)
            self._periods_ns[script.name] = min(script.interval_ns, script.effective_timeout_ns)

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
        verdict = self._verdict(script, self._checks[script])
        if not self._let_rest(script, number, verdict):
            self._look_in(self._lasts_ns(script), script, number, self._wakeups.now_ns)

    def _verdict(self, script: str, check: Check) -> str:
        return self.forced.get(script) or self._machine.answer(check)

    def _let_rest(self, script: str, number: int, verdict: str) -> bool:
        """Runs that end as expected, and well before the next one, are left out until something changes."""
        short = self._longest_ns < self._periods_ns[script]
        if not (short and verdict != "hang" and self._wakeups.is_regular):
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
            self._counts[script] = rest.number + passed
            left_ns = began_ns + self._lasts_ns(script) - now_ns
            if left_ns > 0:  # a run is under way and looks for itself
                number = router.go_on(script, began_ns + interval_ns, began_ns)
                self._look_in(left_ns, script, number, began_ns)
            else:
                router.go_on(script, began_ns + interval_ns)
        return bool(resting)

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
        end = Alarm(self._machine.context.calendar, Kind.TIMER, self._machine.rank)
        end.set(delay_ns, self._look, number)
        self._runs[number] = RunningCheck(script, self._checks[script], end, began_ns)

    def _look(self, number: int) -> None:
        run = self._runs.get(number)
        if run is None:
            return
        verdict = self._verdict(run.script, run.check)
        if verdict == "hang":
            run.hanging = True
            limit = self._limits[run.script]
            if limit is not None:
                left_ns = max(run.began_ns + limit.after_ns - self._wakeups.now_ns, 0)
                run.end.set(left_ns, self._end, number, limit.code, None)
        else:
            self._end(number, 0 if verdict == "pass" else 1, None)

    def _end(self, number: int, code: int | None, signal: int | None) -> None:
        if self._runs.pop(number, None) is not None:
            self._wakeups.post(self._daemon.script_ended, number, code, signal)
