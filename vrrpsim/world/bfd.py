"""The BFD sessions of a simulated daemon: up while the neighbour can be reached both ways, or as events say.

Measured with 2.2.7: a session is down at the start, comes up within a second after packets pass (they leave
once a second until then), and goes down up to `multiplier` intervals after the last one.
"""

from __future__ import annotations

from typing import Protocol

from vrrpsim.protocol.configuration import Address, BfdConfig
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import Life

from .calendar import Alarm, Kind
from .machine import Machine

COMES_UP = Distribution.uniform(0, 1_000_000_000)


class HasSessions(Protocol):
    """The daemon that tracks them."""

    life: Life

    def bfd_changed(self, name: str, up: bool) -> None:
        """A session came up or went down."""


class Session:
    """One session as its daemon has it."""

    __slots__ = ("change", "config", "draws", "forced", "up", "wanted")

    def __init__(self, config: BfdConfig, change: Alarm) -> None:
        self.config = config
        self.up = self.wanted = False
        self.forced: list[bool] = []  # by events, the newest last
        self.change = change
        self.draws = 0


class BfdSessions:
    """All of one daemon."""

    def __init__(self, machine: Machine, daemon: HasSessions) -> None:
        self._machine, self._daemon = machine, daemon
        self._sessions: dict[str, Session] = {}

    def read(self, configs: tuple[BfdConfig, ...]) -> None:
        """Those of a configuration; a session that goes on keeps its state (§3.3)."""
        context, kept = self._machine.context, self._sessions
        for gone in kept.values():
            gone.change.cancel()
        self._sessions = {}
        for config in configs:
            session = Session(config, Alarm(context.agenda, Kind.KERNEL, self._machine.rank))
            if config.name in kept:
                session.up = session.wanted = kept[config.name].up
                session.forced, session.draws = kept[config.name].forced, kept[config.name].draws
            self._sessions[config.name] = session
        if configs and self.evaluate not in context.sessions:
            context.sessions.append(self.evaluate)
            context.observers.append(self.evaluate)

    def forget(self) -> None:
        """The daemon is dead: nobody has a session with it."""
        for session in self._sessions.values():
            session.change.cancel()
            session.up = session.wanted = False

    def force(self, name: str, up: bool, *, undo: bool = False) -> None:
        """An event says how a session is, or no longer does."""
        forced = self._sessions[name].forced
        (forced.remove if undo else forced.append)(up)
        self.evaluate()

    def evaluate(self) -> None:
        """Look whether each session can last, or come up."""
        if self._daemon.life is not Life.RUNNING:
            return
        for session in self._sessions.values():
            forced = session.forced
            wanted = forced[-1] if forced else self._reaches(session.config.neighbor)
            if wanted == session.wanted:
                continue
            session.wanted = wanted
            if wanted == session.up:
                session.change.cancel()
            else:
                session.change.set(0 if forced else self._delay_ns(session), self._changed, session)

    def _delay_ns(self, session: Session) -> int:
        session.draws += 1
        interval_ns, many = session.config.interval_ns, session.config.multiplier
        silent = Distribution.uniform((many - 1) * interval_ns, many * interval_ns)
        purpose = f"bfd/{self._machine.name}/{session.config.name}/{session.draws}"
        return self._machine.context.streams.draw_ns(COMES_UP if session.wanted else silent, purpose)

    def _changed(self, session: Session) -> None:
        session.up = session.wanted
        self._daemon.bfd_changed(session.config.name, session.up)

    def _reaches(self, neighbor: Address) -> bool:
        """Whether packets pass both ways to who has the address, and its daemon runs if it has one."""
        for port in self._machine.ports.values():
            for other in port.segment.ports:
                machine = other.owner
                if neighbor in other.local and isinstance(machine, Machine) and machine.kernel_runs:
                    daemon = machine.table.get("keepalived")
                    speaks = daemon is None or daemon.life is Life.RUNNING
                    kinds, segment = ("app",), port.segment
                    passes = segment.passes(port, other, kinds) and segment.passes(other, port, kinds)
                    if speaks and passes:
                        return True
        return False
