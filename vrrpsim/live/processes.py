"""Starting programs, and hearing of their end, without ever waiting for either.

An exec reads a file, and a file server that is gone makes it hang; so the parent does not wait for it, as
`subprocess` would: the child becomes the program by itself, like keepalived's. For the daemon a small process
forks (`Starter`), which costs a fourth of what its own fork would.
"""

from __future__ import annotations

import asyncio
import errno
import marshal
import os
import re
import shutil
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from . import starter

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # for names without a slash
NO_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # says nothing of what was to be run
Gone = Callable[[int, str, int], None]  # exit code, or -N for signal N; why it was no start; that errno
Identity = tuple[int, int] | None  # user and group, if not ours
_PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by the interpreter, not by what it starts
_LIKELY = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
# Of threads, from 3.12 on: the child takes no lock that one of ours may hold.
warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning, re.escape(__name__))


def found(word: str) -> str:
    """The path of a program; a name that is not found stays."""
    return word if "/" in word else shutil.which(word, path=SEARCHED) or word


def launch(
    words: Sequence[str],
    before: Callable[[], None],
    *,
    output: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[int, int]:
    """Fork; the child does `before`, becomes the leader of a session of its own, and then the program.

    Answer with the process, and a pipe that holds why, if it did not become the program: then it exits 0
    (keepalived.md SC-6). Without `output` it has nothing on its standard streams. `OSError`: no fork.
    """
    program = found(words[0])
    handled, variables = _handled(), dict(environment)
    why, problem = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.close(os.dup(why))  # `when_gone` will want one more: better none than a child that nobody reaps
    except OSError:
        os.close(why)
        os.close(problem)
        raise
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, words, before, problem, output, variables, handled)
    except OSError:
        os.close(why)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(problem)
    return pid, why


def _handled() -> list[signal.Signals]:
    """What the daemon handles; a program is not asked for anything by other signals before it begins."""
    return [each for each in _LIKELY if callable(signal.getsignal(each))]


def _become(
    program: str,
    words: Sequence[str],
    before: Callable[[], None],
    problem: int,
    output: int | None,
    variables: dict[str, str],
    handled: Sequence[signal.Signals],
) -> NoReturn:
    """Little is done here: each page that the child touches is copied first."""
    try:
        signal.set_wakeup_fd(-1)  # a signal to the child is not one to the parent's loop
        for each in (*handled, *_PYTHONS):
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setsid()
        before()
        nothing = os.open(os.devnull, os.O_RDWR)
        said = nothing if output is None else output
        for number, stream in enumerate((nothing, said, said)):
            os.dup2(stream, number)
        problem = os.dup2(problem, 3, inheritable=False)
        os.closerange(problem + 1, os.sysconf("SC_OPEN_MAX"))  # nor does a hanging exec hold our sockets
        os.execve(program, list(words), variables)
    except BaseException as error:
        number = getattr(error, "errno", None) or 0
        os.write(problem, f"{number} {error}".encode(errors="replace"))
    finally:
        os._exit(0)


def when_gone(pid: int, why: int, gone: Gone) -> Callable[[], None]:
    """Reap what `launch` started when it has ended; say its exit code, why it was no start, and that errno.

    A code of -N is signal N. Call the result to hear no more of it.
    `OSError`: it cannot be watched, and is ended.
    """
    loop = asyncio.get_running_loop()
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        os.close(why)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise

    def forget() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        os.close(why)

    def readable() -> None:
        said = b""
        with suppress(BlockingIOError):  # nothing was said, and the starter has not closed its end yet
            said = os.read(why, 1000)
        number, _, problem = said.decode(errors="replace").partition(" ")
        forget()
        gone(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), problem, int(number or 0))

    loop.add_reader(fd, readable)
    return forget


class Child:
    """A program that was asked for. `pid` is 0 until it is started; at its end `gone` is called."""

    def __init__(self, gone: Gone) -> None:
        self.pid = 0
        self.forget: Callable[[], None] = lambda: None  # hear no more of it
        self._gone = gone
        self._signals: list[signal.Signals] = []  # that came too early

    def expect(self, why: int) -> None:
        """Hear from this pipe that it is started."""
        loop = asyncio.get_running_loop()

        def forget() -> None:
            loop.remove_reader(why)
            os.close(why)

        def readable() -> None:
            loop.remove_reader(why)
            told = int(os.read(why, starter.TOLD_BYTES) or -errno.EAGAIN)
            try:
                if told < 0:
                    os.close(why)
                    raise OSError(-told, os.strerror(-told))
                self.watch(told, why)
            except OSError as error:
                self._gone(0, str(error), errno.EAGAIN)  # whatever it is, nothing has run

        self.forget = forget
        loop.add_reader(why, readable)

    def watch(self, pid: int, why: int) -> None:
        """It runs. `OSError`: it cannot be watched, and is ended."""
        self.forget = when_gone(pid, why, self._gone)
        self.pid = pid
        for each in self._signals:
            signal_group(pid, each)

    def signal(self, number: signal.Signals) -> None:
        """Signal it and what it started, as soon as it is started."""
        if self.pid:
            signal_group(self.pid, number)
        else:
            self._signals.append(number)


class Starter:
    """What starts programs: a process of ours, begun when it is first needed, and again when it has died."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._requests: socket.socket | None = None
        self._pid = 0
        self._forget: Callable[[], None] = lambda: None
        self._here = starter.CLONE is None or not sys.executable  # the daemon forks itself

    def start(self, words: Sequence[str], identity: Identity, gone: Gone) -> Child:
        """Ask for a program. `OSError`: there is no asking."""
        child = Child(gone)
        words = [found(words[0]), *words[1:]]
        if self._here:
            child.watch(*launch(words, partial(starter.be, identity, os.getpid())))
        else:
            child.expect(self._ask(marshal.dumps((words, identity))))
        return child

    def _ask(self, request: bytes) -> int:
        """The pipe that tells what comes of it: of its two descriptors one is left for the child's pidfd."""
        requests = self._requests or self._begin()
        if len(request) > starter.REQUEST_BYTES:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        why, pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            socket.send_fds(requests, [request], [pipe])
        except OSError:
            os.close(why)
            raise
        finally:
            os.close(pipe)
        return why

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setblocking(False)
            words = [sys.executable, "-I", "-S", str(Path(starter.__file__)), str(os.getpid())]
            self._pid, why = launch(words, lambda: None, output=theirs.fileno())
            self._forget = when_gone(self._pid, why, self._ended)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._requests = ours
        return ours

    def _ended(self, code: int, problem: str, error: int) -> None:
        self._log(f"what starts scripts has ended: {problem or f'exit code {code}'}")
        self._here = bool(problem) and error not in NO_ROOM  # there is no beginning it again
        self._close()

    def _close(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None

    def kill(self) -> None:
        """It does not answer. Whatever it was asked for and has not begun is no start."""
        if self._requests is not None:
            os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """End it; what it has started goes on."""
        if self._requests is not None:
            self.kill()
            self._forget()
            os.waitpid(self._pid, 0)
            self._close()


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a child and what it started; one that leads no group yet, alone."""
    for send in (os.killpg, os.kill):
        try:
            return send(pid, number)
        except ProcessLookupError:
            continue
