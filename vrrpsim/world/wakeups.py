"""When a daemon runs: what keeps it from running, what waits for it meanwhile, and how late it wakes up.

A daemon can be frozen (SIGSTOP), stalled (steal time) or on a paused machine; what happens meanwhile
waits, as it would in a socket, and overdue timers fire once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from vrrpsim.protocol.fsm import NEVER_NS
from vrrpsim.protocol.router import VrrpRouter
from vrrpsim.scenario.model import Stalls
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import Life

from . import latencies
from .calendar import Call, Kind, order_of
from .machine import Machine

RIVALRY_NS: Final = 10_000_000_000  # how long a rejected advert keeps the wake-ups irregular


class Sleeper(ABC):
    """The daemon that is woken."""

    life: Life
    router: VrrpRouter

    @abstractmethod
    def advance(self, due_ns: int) -> None:
        """Serve the timers that were due at this instant."""

    @abstractmethod
    def disturb(self) -> None:
        """When it runs is about to change."""

    @abstractmethod
    def go_on(self) -> None:
        """Do what was left undone."""


class Wakeups:
    """The wake-ups of one daemon. Each is late by the node's drift, or by a draw while it is irregular."""

    def __init__(self, machine: Machine, daemon: Sleeper) -> None:
        self._machine = machine
        self._daemon = daemon
        self._context = machine.context
        self._agenda = machine.context.agenda
        self._order = order_of(Kind.TIMER, machine.rank)
        self.call = Call(self._wake_up, ())
        self._wake_ns = NEVER_NS  # when it is to come; it is not scheduled at NEVER_NS
        self._due_ns = 0  # the deadline that the wake-up serves
        self._raced_ns = -1  # the deadline that it served after an election's own lateness
        self.drawn = False  # the wake-up's lateness was drawn for it
        self._overdue = False  # it came while the daemon was blocked
        self._rivals_until_ns = 0
        self._irregular_until_ns = 0  # until then each wake-up is late by a draw of its own
        self._stalled_until_ns = 0
        self._served_ns = 0  # when a starved daemon has looked at everything so far
        self._inbox: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.blocked = False  # cannot do anything at the moment
        self.runs_now = False  # runs, and at once
        name, slop = machine.name, machine.model.slop
        streams = machine.context.streams
        self.drift_ns = streams.draw_ns(machine.time(slop.drift or latencies.DRIFT), f"drift/{name}")
        self._jitter = streams.draws(f"jitter/{name}")
        self._work = streams.draws(f"work/{name}")
        self._races = streams.draws(f"race/{name}")
        if slop.stalls is not None:
            self._stall_stream = streams.draws(f"stalls/{name}")
            self._next_stall(slop.stalls)

    @property
    def now_ns(self) -> int:
        """Simulated time."""
        return self._agenda.now_ns

    @property
    def is_regular(self) -> bool:
        """It runs, and each of its deadlines is served as late as the others."""
        return self.runs_now and not self.drawn and self.now_ns >= self._irregular_until_ns

    @property
    def is_idle(self) -> bool:
        """Nothing waits for the daemon but its next deadline."""
        return self.is_regular and not self._inbox

    def draw_ns(self, distribution: Distribution, given: Distribution | None = None) -> int:
        """How long something takes this time: what is given, or what is usual (nothing with `slop: none`)."""
        return self._work.ns(self._machine.time(distribution) if given is None else given)

    def later(self, delay_ns: int, function: Callable[..., Any], *arguments: Any) -> Call:
        """Something of the daemon's own will happen after a delay."""
        agenda = self._agenda
        return agenda.at(agenda.now_ns + delay_ns, Kind.TIMER, self._machine.rank, function, *arguments)

    # --- what keeps it from running

    def refresh(self) -> None:
        """Whether it can do anything may have changed: freeze, pause, power, stall."""
        machine, life = self._machine, self._daemon.life
        self.blocked = life is Life.FROZEN or not machine.kernel_runs or self.now_ns < self._stalled_until_ns
        self.runs_now = life is Life.RUNNING and not self.blocked and machine.starved is None

    def post(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Something for the daemon: now, or when it can look again."""
        if self.blocked:
            self._inbox.append((function, arguments))
        elif self._machine.starved is not None:
            delay_ns = self._jitter.ns(self._machine.starved)
            self._served_ns = max(self._served_ns, self.now_ns + delay_ns)  # a socket keeps its order
            self.later(self._served_ns - self.now_ns, self._post_late, function, arguments)
        else:
            function(*arguments)

    def keep(self, function: Callable[..., Any]) -> None:
        """For when it can look again, whatever it could do now."""
        self._inbox.append((function, ()))

    def _post_late(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if self.blocked:
            self._inbox.append((function, arguments))
        else:
            function(*arguments)

    def resume(self) -> None:
        """It runs again: what waited in its sockets comes before the timers that are overdue (S3)."""
        self.refresh()
        if self.blocked or self._daemon.life is Life.DEAD:
            return
        inbox, self._inbox = self._inbox, deque()
        for function, arguments in inbox:
            self.post(function, *arguments)
        if self._overdue:
            self._overdue = False
            self._daemon.advance(self.now_ns - self.drift_ns)
        self._daemon.go_on()

    def _next_stall(self, stalls: Stalls) -> None:
        self.later(self._stall_stream.ns(stalls.every), self._stall, stalls)

    def _stall(self, stalls: Stalls) -> None:
        lasts_ns = self._stall_stream.ns(stalls.lasts)
        self._stalled_until_ns = max(self._stalled_until_ns, self.now_ns + lasts_ns)
        self._daemon.disturb()
        self.refresh()
        self.later(lasts_ns, self.resume)
        self._next_stall(stalls)

    # --- how late it wakes up

    def arm(self) -> None:
        """See to it that a wake-up is pending no later than the next deadline, by the node's lateness."""
        if self.drawn or self._agenda.now_ns < self._irregular_until_ns:
            self._arm_exactly()
            return
        due_ns = self._daemon.router.next_deadline_ns()
        wake_ns = due_ns + self.drift_ns
        if wake_ns < self._wake_ns:
            self._wake_at(due_ns, wake_ns)

    def _wake_at(self, due_ns: int, wake_ns: int) -> None:
        if self._wake_ns < NEVER_NS or self.call.function is None:  # one call is used again and again
            self.call.cancel()
            self.call = Call(self._wake_up, ())
        self._due_ns = due_ns
        self._wake_ns = wake_ns
        self._agenda.again(self.call, wake_ns, self._order)

    def _arm_exactly(self) -> None:
        """The same with a lateness drawn for this deadline, so no wake-up may come early for nothing.

        A lone Master's rhythm is regular and skippable; Masters that restart each other's timers race on
        scheduling jitter (FSM-35), and a starved node serves each timer when it comes to it.
        """
        due_ns = self._daemon.router.exact_deadline_ns()
        if self._wake_ns < NEVER_NS and due_ns == self._due_ns:
            return
        self._sleep()
        if due_ns >= NEVER_NS:
            return
        machine, now_ns = self._machine, self.now_ns
        self.drawn = now_ns < self._irregular_until_ns
        late_ns = self.drift_ns
        if now_ns < self._rivals_until_ns:
            late_ns = self._jitter.ns(machine.time(latencies.WAKE_UP))
        if machine.starved is not None:
            late_ns += self._jitter.ns(machine.starved)
        self._wake_at(due_ns, due_ns + late_ns)

    def rearm(self) -> None:
        """Its deadlines were moved: wake up at the earliest."""
        self._sleep()
        if self._daemon.life is Life.RUNNING:
            self._arm_exactly()

    def _sleep(self) -> None:
        if self._wake_ns < NEVER_NS:
            self.call.cancel()
        self._wake_ns, self.drawn = NEVER_NS, False

    def forget(self) -> None:
        """The daemon died: it is not woken, and nothing waits for it."""
        self._sleep()
        self._overdue = False
        self._inbox.clear()

    def irregular_until(self, until_ns: int) -> None:
        """From now on until then no wake-up is like another; `until_ns` in the past ends it."""
        self._daemon.disturb()
        self._irregular_until_ns = max(until_ns, self._rivals_until_ns)
        self.rearm()

    def rejected_advert(self) -> None:
        """A rejected advert was heard: masters that do not understand each other race (FSM-35)."""
        now_ns = self.now_ns
        self._rivals_until_ns = now_ns + RIVALRY_NS
        if now_ns >= self._irregular_until_ns:
            self.irregular_until(self._rivals_until_ns)
        else:
            self._irregular_until_ns = max(self._irregular_until_ns, self._rivals_until_ns)

    def _wake_up(self) -> None:
        self._wake_ns = NEVER_NS
        self.drawn = False
        if self.blocked:
            self._overdue = True
            return
        leaper = self._context.fast_forward
        if leaper is not None and self._agenda.now_ns >= leaper.not_before_ns and leaper.leap():
            return
        if self._due_ns > self._raced_ns and self._daemon.router.elects_by(self._due_ns):
            self._race()
        else:
            self._daemon.advance(self._due_ns)

    def _race(self) -> None:
        """Equal Backups that heard the same advert give up at once, and no two wake up as late (S4)."""
        late_ns = self._races.ns(self._machine.time(latencies.ELECTION))
        if not late_ns:
            self._daemon.advance(self._due_ns)
            return
        self._raced_ns = self._due_ns
        self._wake_at(self._due_ns, self.now_ns + late_ns)
        self.drawn = True
