"""Processes on a node that checks and clients can see: HAProxy and its like."""

from __future__ import annotations

from collections.abc import Callable

from vrrpsim.scenario.model import Process as ProcessModel
from vrrpsim.trace import Life

from .calendar import Alarm, Kind
from .context import Context


class RunningProcess:
    """One process. It exists unless dead; it serves while serving, and while reloading without a gap."""

    def __init__(
        self,
        context: Context,
        node: str,
        rank: int,
        name: str,
        model: ProcessModel,
        changed: Callable[[RunningProcess], None],
    ) -> None:
        self.context = context
        self.node = node
        self.name = name
        self._changed = changed
        self.model = model
        self.life = Life.DEAD
        self._thawed_life = Life.DEAD
        self._starts = 0
        self._ready = Alarm(context.agenda, Kind.KERNEL, rank)

    @property
    def exists(self) -> bool:
        """It is in the process table: a frozen one is, too."""
        return self.life is not Life.DEAD

    @property
    def serves(self) -> bool:
        """It answers requests."""
        return self.life in (Life.SERVING, Life.RELOADING)

    def start(self) -> None:
        """Exec; it serves after its start-up time."""
        if not self.exists:
            self._become(Life.STARTING)
            self._ready_later()

    def kill(self) -> None:
        """Gone, whatever it did: SIGKILL, or SIGTERM to something that does not linger."""
        self._ready.cancel()
        if self.exists:
            self._become(Life.DEAD)

    def freeze(self) -> None:
        """SIGSTOP: it exists and accepts connections in its backlog, and answers nothing."""
        if self.exists and self.life is not Life.FROZEN:
            self._thawed_life = self.life
            self._ready.cancel()
            self._become(Life.FROZEN)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.life is Life.FROZEN:
            life = self._thawed_life
            self._become(life)
            if life is not Life.SERVING:
                self._ready_later()

    def reload(self) -> None:
        """A new process takes over the sockets: no gap, but it takes the start-up time."""
        if self.life is Life.SERVING:
            self._become(Life.RELOADING)
            self._ready_later()

    def _ready_later(self) -> None:
        self._starts += 1
        purpose = f"startup/{self.node}/{self.name}/{self._starts}"
        delay_ns = self.context.streams.draw_ns(self.model.starts_up, purpose)
        self._ready.set(delay_ns, self._become, Life.SERVING)

    def _become(self, life: Life) -> None:
        self.life = life
        self._changed(self)
