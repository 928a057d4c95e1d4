"""`notify_fifo`, `vrrp_notify_fifo`: what gets a line for each notification, and the script that reads it.

As keepalived 2.2.7 does it: the script is started before the first line, with the FIFO's name as its last
argument. A reload ends it by TERM and starts it anew. At the end TERM comes first and the STOP lines after
it. One that ends by itself is not started again.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vrrpsim.keepalived.arguments import split_command
from vrrpsim.keepalived.lexer import Row

from .processes import Child
from .scripts import Children, Security, ids_of, resolve


@dataclass(frozen=True, slots=True)
class Fifo:
    """A FIFO with its owner and its reader; users are "USER [GROUP]", empty for our own."""

    path: str
    owner: str = ""
    script: tuple[str, ...] = ()
    user: str = ""


def read_fifos(rows: Iterable[Row], security: Security) -> tuple[tuple[Fifo, ...], list[str]]:
    """Find the FIFOs in a file that has been found good; of each keyword the first counts.

    Beside them, what is wrong with their scripts: those are left out (SC-12).
    """
    said: dict[str, list[str]] = {}
    for row in rows:
        words = split_command(row.raw) if row.raw is not None else [word.text for word in row.words]
        if len(words) > 1:
            said.setdefault(words[0], words[1:])
    fifos, remarks = [], []
    for keyword in ("notify_fifo", "vrrp_notify_fifo"):
        if keyword in said:
            path, *owner = said[keyword]
            command, *user = said.get(f"{keyword}_script", [""])
            runs_as = security.user_of(" ".join(user[:2]))
            script, problem = resolve(split_command(command), runs_as, security) if command else ((), "")
            remarks += [f"Disabling {keyword}_script: {problem}"] if problem else []
            fifos.append(Fifo(path, security.user_of(" ".join(owner[:2])), script, runs_as))
    return tuple(fifos), remarks


class Fifos:
    """Those that are open."""

    def __init__(self, children: Children, log: Callable[[str], None]) -> None:
        self._children, self._log = children, log
        self._open: dict[str, int] = {}
        self._made: set[str] = set()
        self._readers: set[Child] = set()

    def open(self, fifos: Sequence[Fifo]) -> None:
        """Have these instead of what was open; what is open already stays, its reader is another one."""
        self.end_readers()
        self._close(set(self._open) - {fifo.path for fifo in fifos})
        for fifo in fifos:
            try:
                if fifo.path not in self._open:
                    self._open[fifo.path] = self._opened(Path(fifo.path), fifo.owner)
            except (OSError, KeyError) as error:
                self._log(f"notify_fifo {fifo.path}: {error}")
            else:
                if fifo.script:
                    self._start(fifo)

    def _opened(self, path: Path, owner: str) -> int:
        if not path.exists():
            os.mkfifo(path, 0o600)
            self._made.add(str(path))
            if owner:
                with suppress(PermissionError):  # only root gives away
                    os.chown(path, *ids_of(owner))
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise OSError("is not a FIFO; nothing is written to it")
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _start(self, fifo: Fifo) -> None:
        def ended(_code: int | None) -> None:
            if child in self._readers:
                self._readers.discard(child)
                self._log("notify fifo script terminated")

        child = self._children.start((*fifo.script, fifo.path), fifo.user, ended)
        if child is not None:
            self._readers.add(child)

    def end_readers(self) -> None:
        """TERM to the scripts."""
        for child in self._readers:
            child.signal(signal.SIGTERM)
        self._readers.clear()

    def write(self, line: str) -> None:
        """One line to each; nobody is waited for."""
        for path, fifo in self._open.items():
            try:
                os.write(fifo, line.encode())
            except BlockingIOError:
                self._log(f"{path} is full: nobody reads it")
            except OSError as error:
                self._log(f"{path}: {error.strerror}")

    def close(self) -> None:
        """Close all, and remove those that we made."""
        self.end_readers()
        self._close(set(self._open))

    def _close(self, paths: set[str]) -> None:
        for path in paths:
            os.close(self._open.pop(path))
            if path in self._made:
                self._made.discard(path)
                Path(path).unlink(missing_ok=True)
