"""The process that starts checks and notify scripts for the daemon: `python -I -S starter.py PARENT`.

A fork copies the page tables of whoever forks, and each page that one of the two touches afterwards: for the
daemon some milliseconds. So this forks, which is as small as a Python can be. What it starts are the daemon's
own children (CLONE_PARENT): the daemon reaps and signals them, and they end with it and not with this.

A request is a datagram: the words and whom to be, with the end of a pipe. There the child writes its process
id, `TOLD_BYTES` long, and then why, if it does not become the program. If there is no child it is an errno,
negative; and nothing at all if this has ended.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import signal
import socket
import sys
from os import close, execv, getpid, getppid, setsid, write

CLONES = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220, "ppc64le": 120}  # clone(2)
CLONE = CLONES.get(os.uname().machine) if sys.maxsize > 2**32 else None  # of others the daemon forks itself
REQUEST_BYTES = 128 * 1024
TOLD_BYTES = 11
_CLONE_PARENT, _PR_SET_PDEATHSIG = 0x8000, 1
_libc = ctypes.PyDLL(None, use_errno=True)  # PyDLL keeps the interpreter's lock, which then is the child's
_syscall, _prctl, _sigprocmask = _libc.syscall, _libc.prctl, _libc.sigprocmask  # looked up once
_SIG_SETMASK, _SIGTERM = int(signal.SIG_SETMASK), int(signal.SIGTERM)
_NO_SIGNALS = bytes(128)  # an empty sigset_t


def be(identity: tuple[int, int] | None, parent: int) -> None:
    """Become that user and group, and end with the daemon, as keepalived's children do."""
    if identity is not None:
        os.setgroups([])
        os.setgid(identity[1])
        os.setuid(identity[0])
    _prctl(_PR_SET_PDEATHSIG, _SIGTERM)  # after setuid, which clears it
    if getppid() != parent:
        os._exit(0)


def serve(socket_fd: int, parent: int) -> None:
    """Start what is asked for until the daemon is gone."""
    requests = socket.socket(fileno=socket_fd)
    while True:
        request, pipes, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 1)
        if not request:
            return
        words, identity = marshal.loads(request)
        for pipe in pipes:  # none, if there was no descriptor left
            pid = _syscall(CLONE, _CLONE_PARENT, 0, 0, 0, 0)
            if pid == 0:
                close(socket_fd)  # which one that hangs in its exec must not keep open
                _become(words, identity, parent, pipe)
            if pid < 0:
                write(pipe, b"%*d" % (TOLD_BYTES, -ctypes.get_errno()))
            close(pipe)


def _become(words: list[str], identity: tuple[int, int] | None, parent: int, pipe: int) -> None:
    """Little is done here: each page that is touched for the first time costs a microsecond or more."""
    try:
        write(pipe, b"%*d" % (TOLD_BYTES, getpid()))
        _sigprocmask(_SIG_SETMASK, _NO_SIGNALS, None)
        setsid()
        be(identity, parent)
        execv(words[0], words)
    except BaseException as error:
        number = getattr(error, "errno", None) or 0
        write(pipe, f"{number} {error}".encode(errors="replace"))
    finally:
        os._exit(0)


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # which the interpreter handles or ignores
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # those for the daemon are not ours
    ours = os.dup(1)
    for stream in (1, 2):
        os.dup2(0, stream)
    serve(ours, int(sys.argv[1]))
