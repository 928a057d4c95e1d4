"""What of Linux the lab uses directly: namespaces, mounts, and the life of processes.

Nothing here is given a name that outlives it: namespaces are held by processes and open files alone, and
every process of a lab dies with the one that started it. So a lab that is killed leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEW_MOUNT, NEW_HOST, NEW_PID, NEW_NET = 0x00020000, 0x04000000, 0x20000000, 0x40000000
SPACES = {"net": NEW_NET, "uts": NEW_HOST, "mnt": NEW_MOUNT}  # in the order of entering
_BIND, _RECURSIVE, _PRIVATE = 1 << 12, 1 << 14, 1 << 18
_SET_DEATH_SIGNAL = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def unshare(flags: int) -> None:
    """Give this thread (for mounts: this process) new namespaces."""
    _call("unshare", flags)


def enter(space: int, flag: int) -> None:
    """Join the namespace that an open file stands for; of processes only children are in it."""
    _call("setns", space, flag)


def private_mounts() -> None:
    """Nothing that is mounted from here on is seen outside."""
    _call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)


def mount(kind: str, target: str, options: str = "") -> None:
    """Mount a new filesystem of a kind."""
    _call("mount", kind.encode(), target.encode(), kind.encode(), 0, options.encode())


def bind(source: str, target: str) -> None:
    """Show a folder at another place."""
    _call("mount", source.encode(), target.encode(), None, _BIND, None)


def die_with_parent() -> None:
    """SIGKILL comes when the thread that started this process ends, however it ends."""
    _call("prctl", _SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def open_space(kind: str, process: int | str = "thread-self") -> int:
    """Open a namespace of a process; it lives as long as the file is open."""
    return os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def new_network() -> int:
    """Make a network namespace and return it open; this thread stays where it is."""
    home = open_space("net")
    try:
        unshare(NEW_NET)
        return open_space("net")
    finally:
        enter(home, NEW_NET)
        os.close(home)


@contextmanager
def inside(network: int) -> Iterator[None]:
    """This thread is in another network: sockets made here stay there. Never await in it."""
    home = open_space("net")
    try:
        enter(network, NEW_NET)
        yield
    finally:
        enter(home, NEW_NET)
        os.close(home)


# --- processes


def children(pid: int) -> list[int]:
    """The processes that a process started and that still exist."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def name_of(pid: int) -> str:
    """The name in the process table, "" if there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    return ""


def family(pid: int, name: str = "") -> list[int]:
    """A process and its descendants, parents first; with a name only those that have it."""
    found = [pid] if not name or name_of(pid) == name else []
    for child in children(pid) if found else ():
        found += family(child, name)
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
