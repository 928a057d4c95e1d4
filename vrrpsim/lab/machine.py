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

from . import kernel

ROOM = Path("/run")  # of a run; a machine sees its own folder below it as /run
SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LINES_KEPT = 30  # of what a program said, for the message if it ends unasked


class Machine:
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

    def launch(self, words: Sequence[str], environment: Mapping[str, str], output: int) -> int:
        """Start a program on the machine and return its process; what it says goes to the open file `output`.

        A bare fork: the clock of the run does not wait until the program has been loaded.
        """
        own = kernel.open_space("pid", "self")
        kernel.enter(self._spaces["pid"], kernel.NEW_PID)
        pid = os.fork()
        if pid == 0:
            try:
                self._become(words, environment, output)
            finally:
                os._exit(127)
        kernel.enter(own, kernel.NEW_PID)
        os.close(own)
        return pid

    def _become(self, words: Sequence[str], environment: Mapping[str, str], output: int) -> None:
        os.setsid()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for kind, flag in kernel.SPACES.items():
            kernel.enter(self._spaces[kind], flag)
        os.chdir("/")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execvpe(words[0], list(words), {**os.environ, "PATH": SEARCHED, **environment})

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
        machine: Machine,
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
            self.pid = machine.launch(words, environment, out)
        finally:
            os.close(out)
        self.runs = True  # it has not been seen to end
        self._rest = b""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe, self._read)
        self._watch = os.pidfd_open(self.pid)
        loop.add_reader(self._watch, self._gone)

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

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watch)
        os.close(self._watch)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.runs = False
        if self._pipe >= 0:
            self._read()
        self._ended(code)

    def close(self) -> None:
        """Hear no more of it."""
        if self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
