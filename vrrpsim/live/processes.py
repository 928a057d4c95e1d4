"""Starting programs, and hearing of their end, without ever waiting for either.

An exec reads a file, and a file server that is gone makes it hang; so the parent does not wait for it, as
`subprocess` would: the child becomes the program by itself, like keepalived's.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import signal
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # for names without a slash
NO_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # says nothing of what was to be run
_PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by the interpreter, not by what it starts
_LIKELY = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
# Of threads, from 3.12 on: the child takes no lock that one of ours may hold.
warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning, re.escape(__name__))


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
    program = words[0] if "/" in words[0] else shutil.which(words[0], path=SEARCHED) or words[0]
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


def when_gone(pid: int, why: int, gone: Callable[[int, str, int], None]) -> Callable[[], None]:
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
        number, _, problem = os.read(why, 1000).decode(errors="replace").partition(" ")
        forget()
        gone(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), problem, int(number or 0))

    loop.add_reader(fd, readable)
    return forget


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a child and what it started; one that leads no group yet, alone."""
    for send in (os.killpg, os.kill):
        try:
            return send(pid, number)
        except ProcessLookupError:
            continue
