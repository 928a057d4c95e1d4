"""A machine of the lab: namespaces of its own (network, processes, mounts, host name), and what runs in them.

A machine lives as long as its init, a process that does nothing but hold the namespaces and reap orphans.
Power off is the death of init: the kernel kills everything else at once, without a word.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vrrpsim.live.processes import SEARCHED, launch, when_gone

from . import kernel

ROOM = Path("/run")  # of a run; a machine sees its own folder below it as /run
LINES_KEPT = 30  # of what a program said, for the message if it ends unasked


class LabMachine:
    """The namespaces of one machine that is on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.room = ROOM / name
        self.room.mkdir(mode=0o755, exist_ok=True)
        own = kernel.open_space("pid", "self")
        try:
            kernel.unshare(kernel.NEW_PID)  # the next child is its init
            self._init = subprocess.Popen(
                ["sleep", "infinity"],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=self._be_born,
            )
        finally:
            kernel.enter(own, kernel.NEW_PID)
            os.close(own)
        pid = self._init.pid
        self._spaces = {kind: kernel.open_space(kind, pid) for kind in (*kernel.SPACES, "pid")}

    def _be_born(self) -> None:
        kernel.die_with_parent()
        kernel.unshare(kernel.NEW_NET | kernel.NEW_MOUNT | kernel.NEW_HOST)
        kernel.private_mounts()
        kernel.mount("proc", "/proc")
        kernel.bind(str(self.room), str(ROOM))
        Path("/proc/sys/kernel/hostname").write_text(self.name)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # kept over exec: orphans are reaped by the kernel

    @property
    def network(self) -> int:
        """The open network namespace."""
        return self._spaces["net"]

    def launch(self, words: Sequence[str], environment: Mapping[str, str], output: int) -> tuple[int, int]:
        """Start a program on the machine, as `processes.launch` does."""
        environment = {**os.environ, "PATH": SEARCHED, **environment}
        own = kernel.open_space("pid", "self")
        kernel.enter(self._spaces["pid"], kernel.NEW_PID)
        try:
            return launch(words, self._enter, output=output, environment=environment)
        finally:
            kernel.enter(own, kernel.NEW_PID)
            os.close(own)

    def _enter(self) -> None:
        for kind, flag in kernel.SPACES.items():
            kernel.enter(self._spaces[kind], flag)
        os.chdir("/")

    def orphans(self) -> list[int]:
        """What was started here and lost its parent."""
        return [pid for child in kernel.children(self._init.pid) for pid in kernel.family(child)]

    async def power_off(self) -> None:
        """Everything on it is killed at once, and the namespaces go."""
        self._init.kill()
        while self._init.poll() is None:  # until we have reaped all that we started there
            await asyncio.sleep(0.002)
        for space in self._spaces.values():
            os.close(space)
        self._spaces = {}


class Program:
    """One program on a machine, watched until it ends. `said` gets the lines it writes, `ended` its code."""

    def __init__(
        self,
        machine: LabMachine,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        said: Callable[[str], None] | None = None,
        ended: Callable[[int], None],
    ) -> None:
        self.last_words: list[str] = []
        self._said, self._ended = said, ended
        self._pipe, out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(out, True)
        try:
            self.pid, why = machine.launch(words, environment, out)
        finally:
            os.close(out)
        self.runs = True  # it has not been seen to end
        self._rest = b""
        asyncio.get_running_loop().add_reader(self._pipe, self._read)
        when_gone(self.pid, why, self._gone)

    def members(self) -> list[int]:
        """The process and its children of the same name: a daemon without the scripts that it runs."""
        return kernel.family(self.pid, kernel.name_of(self.pid)) if self.runs else []

    def send(self, number: signal.Signals) -> None:
        """Signal the main process; KILL, STOP and CONT go to all its members, the parent first."""
        if number is signal.SIGKILL:
            self.send(signal.SIGSTOP)  # none of them may see another one's end
        all_of_it = number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)
        for pid in self.members() if all_of_it else [self.pid] * self.runs:
            kernel.send(pid, number)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while data := os.read(self._pipe, 65536):
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    text = line.decode(errors="replace")
                    self.last_words = [*self.last_words[1 - LINES_KEPT :], text]
                    if self._said:
                        self._said(text)
            self.close()

    def _gone(self, code: int, problem: str, _errno: int) -> None:
        self.runs = False
        if self._pipe >= 0:
            self._read()
        self.last_words += [problem] if problem else []
        self._ended(code)

    def close(self) -> None:
        """Hear no more of it."""
        if self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
