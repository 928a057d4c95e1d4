"""One daemon for one virtual router: a lock for each network namespace, interface, family and VRID.

A lock is an abstract unix socket: the kernel keeps those of each network namespace apart, and frees them
with their process, however it ends.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from errno import EADDRINUSE
from itertools import pairwise
from pathlib import Path

from vrrpsim.findings import InputError
from vrrpsim.keepalived.compiler import read_keepalived
from vrrpsim.protocol.configuration import InstanceConfig
from vrrpsim.protocol.dialect import Dialect

from .privileges import CannotRun


class Locks:
    """The virtual routers that are ours."""

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def take(self, instances: Iterable[InstanceConfig]) -> None:
        """Have a lock for each of these; `CannotRun` names the process that has one, and takes none."""
        new: dict[str, socket.socket] = {}
        try:
            for each in instances:
                name = f"\0vrrpsim-live/{each.interface}/{each.family}/{each.vrid}"
                if name not in self._held and name not in new:
                    new[name] = lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    try:
                        lock.bind(name)
                    except OSError as error:
                        if error.errno != EADDRINUSE:
                            raise
                        what = f"VRID {each.vrid} (IPv{each.family}) on {each.interface}"
                        raise CannotRun(
                            f"{what} is already served by {_holder(name)}; --force starts all the same"
                        ) from error
                    lock.listen(1)  # who connects learns our process
        except BaseException:
            for lock in new.values():
                lock.close()
            raise
        self._held |= new

    def keep(self, instances: Iterable[InstanceConfig]) -> None:
        """Give back the locks of all others."""
        kept = {f"\0vrrpsim-live/{each.interface}/{each.family}/{each.vrid}" for each in instances}
        for name in set(self._held) - kept:
            self._held.pop(name).close()

    def close(self) -> None:
        """Give back all."""
        self.keep(())


def _holder(name: str) -> str:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.setblocking(False)
            asking.connect(name)
            pid = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "another process"
    return f"process {pid} ({' '.join(os.fsdecode(word) for word in words[:8]).strip()})"


def refuse_keepalived(instances: Iterable[InstanceConfig], dialect: Dialect) -> None:
    """`CannotRun` if a keepalived here has a virtual router of these, by the file it was started with."""
    ours = {(each.interface, each.family, each.vrid) for each in instances}
    for pid in keepaliveds_here():
        for each in _configured(pid, dialect):
            if (each.interface, each.family, each.vrid) in ours:
                what = f"VRID {each.vrid} (IPv{each.family}) on {each.interface}"
                raise CannotRun(
                    f"{what} is already served by keepalived, process {pid} ({each.name}); "
                    "--force starts all the same"
                )


def _configured(pid: int, dialect: Dialect) -> tuple[InstanceConfig, ...]:
    """The instances of a running keepalived, as it sees its files; none where they cannot be read."""
    try:
        words = [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
        path = Path(_option(words, "f", "--use-file") or "/etc/keepalived/keepalived.conf")
        root, folder = Path(f"/proc/{pid}/root"), Path(f"/proc/{pid}/cwd")
        found = root / path.relative_to("/") if path.is_absolute() else folder / path
        compiled = read_keepalived(found, config_id=_option(words, "i", "--config-id"), dialect=dialect)
    except (OSError, InputError):
        return ()
    return compiled.config.instances if compiled.config is not None else ()


def _option(words: Sequence[str], short: str, long: str) -> str | None:
    """The value of an option as getopt takes it: `-f X`, `-fX`, `-nlf X`, `--use-file X`, `--use-file=X`."""
    for word, following in pairwise((*words, "")):
        if word == long or (re.fullmatch(rf"-[A-Za-z]*{short}", word) and not word.startswith("--")):
            return following
        if word.startswith(f"{long}="):
            return word.partition("=")[2]
        if word.startswith(f"-{short}"):
            return word[2:]
    return None


def keepaliveds_here() -> list[int]:
    """The processes named keepalived in our network namespace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "comm").read_text() == "keepalived\n":
                ours = Path("/proc/self/ns/net").readlink()
                if (folder / "ns/net").readlink() == ours:
                    found.append(int(folder.name))
    return sorted(found)
