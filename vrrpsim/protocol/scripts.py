"""The vrrp_scripts of one daemon: when they start, how long they may run and what their end means.

keepalived.md §3.2 (SC-2 … SC-10), except for the arithmetic of counters and weights, which is in
tracking.py. The shell forks and reports; everything else is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from . import tracking
from .configuration import SECOND_NS, ScriptConfig
from .fsm import NEVER_NS, Log
from .outputs import KillScript, Output, RunScript, TrackerChanged
from .timer_queue import Timer, TimerQueue

KILL_AFTER_NS: Final = 2 * SECOND_NS  # SC-4: SIGKILL two seconds after SIGTERM, and once more
KILL_AGAIN_NS: Final = 10 * SECOND_NS


class ScriptRun:
    """One execution of a script: how far we are in killing it (SC-4)."""

    __slots__ = ("kills", "number", "timer")

    def __init__(self, timer: Timer) -> None:
        self.number = 0
        self.timer = timer
        self.kills = 0


class Script:
    """One vrrp_script at run time: its verdict, its next start and the runs under way."""

    __slots__ = ("config", "excused", "health", "runs", "spare", "status", "timer")

    def __init__(self, config: ScriptConfig, timer: Timer) -> None:
        self.config = config
        self.health = tracking.unknown_health(config)
        self.timer = timer
        self.runs: dict[int, ScriptRun] = {}
        self.spare: ScriptRun | None = None  # one that ended, to be used again
        self.status = 0  # last exit status, for "now returning N" (SC-9)
        self.excused = False  # new since a reload: nobody waits for its first result (SC-10)


class Scripts:
    """All of them. `emit` takes outputs; `changed(now_ns, name)` is called when a verdict flips."""

    def __init__(
        self,
        timers: TimerQueue,
        overlap: bool,
        emit: Callable[[Output], None],
        changed: Callable[[int, str], None],
    ) -> None:
        self.by_name: dict[str, Script] = {}
        self._timers = timers
        self._overlap = overlap  # K5
        self._emit = emit
        self._changed = changed
        self._last_run = 0

    def verdicts(self) -> dict[str, bool]:
        """Whether each script succeeds, of those that have a result."""
        return {
            name: script.health.ok(script.config)
            for name, script in self.by_name.items()
            if script.health.known
        }

    def excused(self) -> frozenset[str]:
        """Scripts whose first result nobody waits for (SC-10)."""
        return frozenset(name for name, script in self.by_name.items() if script.excused)

    def add(self, config: ScriptConfig, first_ns: int) -> Script:
        """A script of the configuration; it runs first at `first_ns`."""
        script = Script(config, self._timers.timer(lambda now_ns: self._tick(script, now_ns)))
        self.by_name[config.name] = script
        self._timers.arm(script.timer, first_ns)
        return script

    def reload(self, configs: tuple[ScriptConfig, ...], now_ns: int) -> None:
        """SC-10: verdicts are kept by name, running ones are killed and yield nothing."""
        old, self.by_name = self.by_name, {}
        for script in old.values():
            self._kill_runs(script)
            self._timers.arm(script.timer, NEVER_NS)
        for config in configs:
            script = self.add(config, now_ns)
            previous = old.get(config.name)
            if previous is not None:
                script.health = tracking.after_reload(previous.config, config, previous.health)
                script.status, script.excused = previous.status, previous.excused
            else:  # "init-reload": a new script does not hold the instance
                script.excused = True

    def kill(self) -> None:
        """The daemon stops: SIGTERM to everything that runs (§1.7)."""
        for script in self.by_name.values():
            self._kill_runs(script)

    def finished(self, number: int, code: int | None, signal: int | None, now_ns: int) -> None:
        """A run ended with an exit code, or by a signal; with neither it could not be started: no verdict.

        An unknown run is one from before a reload.
        """
        for script in self.by_name.values():
            run = script.runs.pop(number, None)
            if run is not None:
                self._timers.arm(run.timer, NEVER_NS)
                if (code, signal) != (None, None):
                    self._judge(script, run, code, signal, now_ns)
                run.kills = 0
                script.spare = run
                return

    def rest(self, name: str, number: int, success: bool, now_ns: int) -> int | None:
        """Take a script out of the queue, if this run changes nothing: its counter is at its end (SC-7)."""
        script = self.by_name[name]
        health, config = script.health, script.config
        end = config.rise + config.fall - 1 if success else 0
        settled = health.known and health.counter == end and script.status == (not success)
        due_ns = script.timer.at_ns
        if not settled or list(script.runs) != [number] or due_ns != now_ns + config.interval_ns:
            return None
        self._timers.arm(script.timer, NEVER_NS)
        script.spare = script.runs.pop(number)
        self._timers.arm(script.spare.timer, NEVER_NS)
        return due_ns

    def go_on(self, name: str, due_ns: int, began_ns: int | None) -> int:
        """The end of a rest: the next start, and the run that is under way."""
        script = self.by_name[name]
        self._timers.arm(script.timer, due_ns)
        return self._begin(script, began_ns) if began_ns is not None else self._last_run

    def _tick(self, script: Script, now_ns: int) -> None:
        """SC-2, SC-3: the next start is set before this one is forked."""
        name = script.config.name
        self._timers.arm(script.timer, now_ns + script.config.interval_ns)
        if script.runs:
            doing = "being timed out" if any(run.kills for run in script.runs.values()) else "already running"
            self._log("Track script {} is {}, expect idle - skipping run", name, doing)
            if not self._overlap:
                return
        self._emit(RunScript(name, self._begin(script, now_ns)))

    def _begin(self, script: Script, now_ns: int) -> int:
        self._last_run += 1
        run = script.spare or self._new_run(script)
        script.spare = None
        run.number = self._last_run
        script.runs[run.number] = run
        self._timers.arm(run.timer, now_ns + script.config.effective_timeout_ns)
        return run.number

    def _new_run(self, script: Script) -> ScriptRun:
        run = ScriptRun(self._timers.timer(lambda now_ns: self._time_out(script, run, now_ns)))
        return run

    def _time_out(self, script: Script, run: ScriptRun, now_ns: int) -> None:
        """SC-4: TERM, two seconds later KILL, again, then every ten seconds."""
        if run.kills >= 2:
            self._log("Child (run {}) failed to terminate after kill", run.number)
        self._emit(KillScript(script.config.name, run.number, "KILL" if run.kills else "TERM"))
        run.kills += 1
        self._timers.arm(run.timer, now_ns + (KILL_AFTER_NS if run.kills < 3 else KILL_AGAIN_NS))

    def _judge(
        self, script: Script, run: ScriptRun, code: int | None, signal: int | None, now_ns: int
    ) -> None:
        """SC-5, SC-7, SC-9: what the end of a run means for the verdict."""
        config = script.config
        if code is not None and code != script.status:
            self._log("Script `{}` now returning {}", config.name, code)
            script.status = code
        before, known = script.health.ok(config), script.health.known
        script.health = tracking.after_result(config, script.health, code == 0)
        after = script.health.ok(config)
        if known and before == after:
            return
        if after:
            how = "succeeded"
        elif run.kills and code is None:
            how = "timed_out"
        elif code is not None:
            how = f"failed (exited with status {code})"
        else:
            how = f"failed (due to signal {signal})"
        self._log("VRRP_Script({}) {}", config.name, how)
        self._emit(TrackerChanged("script", config.name, after, how))
        self._changed(now_ns, config.name)

    def _kill_runs(self, script: Script) -> None:
        for run in script.runs.values():
            self._emit(KillScript(script.config.name, run.number, "TERM"))
            self._timers.arm(run.timer, NEVER_NS)
        script.runs = {}

    def _log(self, template: str, *arguments: object) -> None:
        self._emit(Log(template, arguments))
