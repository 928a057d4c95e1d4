"""What one daemon sees of its machine besides packets: interfaces, processes and files (§1.5, §3.3).

An observation may have to last before it counts. What then follows for an instance is in tracking.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import tracking
from .configuration import InterfaceDelay, ProcessConfig, RouterConfig
from .fsm import NEVER_NS, Log
from .outputs import Output, TrackerChanged
from .timer_queue import Timer, TimerQueue


class Observation:
    """A two-valued one: `good` counts, `wanted` is what was seen last and has to last until `timer`."""

    __slots__ = ("good", "once_good", "timer", "wanted")

    def __init__(self, good: bool, timer: Timer) -> None:
        self.good = self.once_good = good
        self.wanted = good
        self.timer = timer


class Monitors:
    """All of them. `emit` takes outputs; `changed(now_ns, name)` is called when one counts as another."""

    def __init__(
        self,
        timers: TimerQueue,
        emit: Callable[[Output], None],
        changed: Callable[[int, str], None],
    ) -> None:
        self.files: dict[str, int] = {}
        self.bfds_up: frozenset[str] = frozenset()  # none at the start
        self._timers = timers
        self._emit = emit
        self._changed = changed
        self._config = RouterConfig()
        self._down_at_start: frozenset[str] = frozenset()
        self._interfaces: dict[str, Observation] = {}  # those of which something was heard since
        self._processes: dict[str, Observation] = {}
        self._counts: dict[str, int] = {}

    def start(
        self,
        config: RouterConfig,
        interfaces_down: frozenset[str],
        processes: Mapping[str, int],
        files: Mapping[str, int],
    ) -> None:
        """What the daemon finds counts at once."""
        self._down_at_start = interfaces_down
        self.files = {**_initial(config, overwrite=False), **files, **_initial(config, overwrite=True)}
        self._counts = {process.name: processes.get(process.name, 0) for process in config.processes}
        self.reload(config)

    def reload(self, config: RouterConfig) -> None:
        """Counts are kept, quorums and delays are new."""
        self._config = config
        for old in self._processes.values():
            self._timers.arm(old.timer, NEVER_NS)
        self._processes = {}
        for name, process in self._process_configs().items():
            good = tracking.quorum_ok(process, self._counts.get(name, 0))
            self._processes[name] = self._observation(name, good, self._process_settled)

    def interfaces_down(self) -> frozenset[str]:
        """Names of the interfaces that count as down."""
        down = {name for name, seen in self._interfaces.items() if not seen.good}
        return self._down_at_start.difference(self._interfaces) | down

    def processes_ok(self) -> dict[str, bool]:
        """Whether each tracked process has its quorum."""
        return {name: seen.good for name, seen in self._processes.items()}

    def interface_changed(self, name: str, up: bool, now_ns: int) -> None:
        """Seen up or down; interface_up_down_delays apply once it has been up (§1.5)."""
        seen = self._interfaces.get(name)
        if seen is None:
            seen = self._observation(name, name not in self._down_at_start, self._interface_settled)
            self._interfaces[name] = seen
        delays = (each for each in self._config.interface_delays if each.interface == name)
        delay = next(delays, InterfaceDelay(interface=name))
        delay_ns = (delay.up_ns if up else delay.down_ns) if seen.once_good else 0
        self._observe(seen, up, delay_ns, now_ns)

    def process_count(self, name: str, count: int, now_ns: int) -> None:
        """So many processes match a vrrp_track_process; fork_delay and terminate_delay apply (§3.3)."""
        before, self._counts[name] = self._counts.get(name, 0), count
        config = self._process_configs().get(name)
        if config is not None:
            delay_ns = config.fork_delay_ns if count > before else config.terminate_delay_ns
            self._observe(self._processes[name], tracking.quorum_ok(config, count), delay_ns, now_ns)

    def file_changed(self, name: str, value: int, now_ns: int) -> None:
        """A tracked file holds this value; it counts at once (§3.3)."""
        if not -(1 << 31) <= value < 1 << 31:
            self._log("Tracked file {}: value {} outside 32 bits is ignored", name, value)
        elif self.files.get(name, 0) != value:
            self.files[name] = value
            self._emit(TrackerChanged("file", name, value == 0, f"value {value}"))
            self._changed(now_ns, name)

    def bfd_changed(self, name: str, up: bool, now_ns: int) -> None:
        """The session of a bfd_instance came up or went down (§3.3)."""
        if up != (name in self.bfds_up):
            self.bfds_up = self.bfds_up | {name} if up else self.bfds_up - {name}
            word = "up" if up else "down"
            for instance in self._config.instances:
                if any(track.name == name for track in instance.track_bfds):
                    text = "VRRP_Instance({}) Tracked BFD instance {} is {}"
                    self._log(text, instance.name, name, word.upper())
            self._emit(TrackerChanged("bfd", name, up, word))
            self._changed(now_ns, name)

    def _process_configs(self) -> dict[str, ProcessConfig]:
        return {process.name: process for process in self._config.processes}

    def _observation(self, name: str, good: bool, tell: Callable[[str, bool], None]) -> Observation:
        """`tell(name, good)` says what counts now."""
        timer = self._timers.timer(lambda now_ns: self._settled(seen, name, tell, now_ns))
        seen = Observation(good, timer)
        return seen

    def _observe(self, seen: Observation, good: bool, delay_ns: int, now_ns: int) -> None:
        """A change that reverts before its delay is over is forgotten (§1.5, §3.3)."""
        seen.wanted = good
        if good == seen.good:
            self._timers.arm(seen.timer, NEVER_NS)
        elif delay_ns:
            self._timers.arm(seen.timer, now_ns + delay_ns)
        else:
            self._timers.arm(seen.timer, NEVER_NS)
            seen.timer.fire(now_ns)

    def _settled(self, seen: Observation, name: str, tell: Callable[[str, bool], None], now_ns: int) -> None:
        seen.good = seen.wanted
        seen.once_good = seen.once_good or seen.good
        tell(name, seen.good)
        self._changed(now_ns, name)

    def _interface_settled(self, name: str, up: bool) -> None:
        if any(tracking.tracks_interface(config, name) for config in self._config.instances):
            word = "up" if up else "down"
            self._log("Netlink reports {} {}", name, word)
            self._emit(TrackerChanged("interface", name, up, word))

    def _process_settled(self, name: str, good: bool) -> None:
        word = "gained" if good else "lost"
        self._log("Quorum {} for tracked process {}", word, name)
        self._emit(TrackerChanged("process", name, good, f"quorum {word}"))

    def _log(self, template: str, *arguments: object) -> None:
        self._emit(Log(template, arguments))


def _initial(config: RouterConfig, overwrite: bool) -> dict[str, int]:
    """What `init_file` writes: where there is no file, or in any case."""
    wanted = (each for each in config.files if each.init_value is not None and each.overwrite is overwrite)
    return {each.name: each.init_value or 0 for each in wanted}
