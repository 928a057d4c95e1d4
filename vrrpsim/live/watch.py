"""Tracked files and processes (keepalived.md §3.3): what they are now, and when that changes.

Files are watched by inotify on their directories; processes by reading /proc, because the kernel's process
connector exists only in the first network namespace.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from vrrpsim.protocol.configuration import FileConfig, ProcessConfig

from .background import background
from .processes import NO_ROOM

PROCESSES_EVERY_S = 0.25
FILES_EVERY_S = 1.0  # where inotify is not to be had
COMM_BYTES = 15  # the kernel cuts names to this
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _DELETE, _IGNORED = 0x8, 0x40, 0x80, 0x200, 0x8000
_NUMBER = re.compile(rb"\s*([+-]?)(0[xX][0-9a-fA-F]+|\d+)")


def file_value(path: Path) -> int | None:
    """The integer in the file, as C reads it (0x, octal); missing, empty or not a number is 0.

    None: this machine has no room to look, which says nothing of the file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO has no value, and no writer
        try:
            match = _NUMBER.match(os.read(fd, 64))
        finally:
            os.close(fd)
    except OSError as error:
        return None if error.errno in NO_ROOM else 0
    if match is None:
        return 0
    sign, digits = match.groups()
    octal = digits[:1] == b"0" and digits[1:2] not in (b"x", b"X")
    if octal:
        digits = re.match(rb"[0-7]+", digits).group()  # type: ignore[union-attr]  # it begins with 0
    value = int(digits, 8 if octal else 0)
    return -value if sign == b"-" else value


def prepare_files(files: Iterable[FileConfig], *, starting: bool) -> None:
    """`init_file VALUE [overwrite]`: create what is missing; overwrite at the start only."""
    for file in files:
        path = Path(file.path)
        if file.init_value is not None and (not path.exists() or (file.overwrite and starting)):
            with suppress(OSError):
                path.write_text(f"{file.init_value}\n")


def count_processes(processes: Iterable[ProcessConfig]) -> dict[str, int]:
    """How many processes match each tracker, zombies left out. `OSError`: no room to look."""
    counts = {process.name: 0 for process in processes}
    if not counts:
        return counts
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "stat").read_bytes()
            line = (folder / "cmdline").read_bytes()
        except OSError as error:  # it is gone
            if error.errno in NO_ROOM:
                raise
            continue
        name, state = status[status.index(b"(") + 1 : status.rindex(b")")], status[status.rindex(b")") + 2 :]
        if state[:1] == b"Z":
            continue
        arguments = [os.fsdecode(word) for word in line.split(b"\0")[:-1]]
        for process in processes:
            counts[process.name] += process_matches(process, os.fsdecode(name), arguments)
    return counts


def process_matches(process: ProcessConfig, comm: str, arguments: list[str]) -> bool:
    """`comm` of 15 characters, or the command line where parameters or `full_command` ask for it."""
    if not (process.full_command or process.parameters or process.param_match):
        return comm == process.process.rpartition("/")[2][:COMM_BYTES]
    if not arguments or arguments[0] != process.process:
        return False
    given, wanted = arguments[1:], list(process.parameters)
    match process.param_match:
        case "initial":
            return given[: len(wanted)] == wanted
        case "partial":
            return " ".join(given).startswith(" ".join(wanted))
        case _:
            return given == wanted


def _ignored(events: bytes) -> bool:
    """Whether a folder is watched no more: it was deleted, or what is mounted there has changed."""
    at, masks = 0, 0
    while at < len(events):
        _, mask, _, name_bytes = struct.unpack_from("=iIII", events, at)
        at += 16 + name_bytes
        masks |= mask
    return bool(masks & _IGNORED)


class Watch:
    """Reports changes of files and processes until it is closed."""

    def __init__(
        self, file_changed: Callable[[str, int], None], process_count: Callable[[str, int], None]
    ) -> None:
        self._file_changed, self._process_count = file_changed, process_count
        self._inotify = -1
        self._files: tuple[FileConfig, ...] = ()
        self._polling: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    def start(
        self, files: tuple[FileConfig, ...], processes: tuple[ProcessConfig, ...], counts: dict[str, int]
    ) -> None:
        """Watch these instead of what was watched before; `counts` is what is known of the processes."""
        self.close()
        if files:
            self._files = files
            try:
                self._watch_files(files)
            except OSError:  # too many watches, or descriptors
                self._looking = background(self._look_often())
        if processes:
            self._polling = background(self._poll(processes, counts))

    def close(self) -> None:
        """Watch nothing any more."""
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._inotify >= 0:
            asyncio.get_running_loop().remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1

    def _watch_files(self, files: tuple[FileConfig, ...]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "inotify is not available")
        mask = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE
        for folder in {str(Path(file.path).parent) for file in files}:
            if libc.inotify_add_watch(fd, os.fsencode(folder), mask) < 0:
                error = ctypes.get_errno()
                os.close(fd)
                self._inotify = -1
                raise OSError(error, "cannot be watched")

        def changed() -> None:
            with suppress(BlockingIOError):
                if _ignored(os.read(fd, 65_536)) and self._looking is None:
                    self._looking = background(self._look_often())
            self.look()

        asyncio.get_running_loop().add_reader(fd, changed)

    def look(self) -> None:
        """Report what the files are now; what cannot be looked at is what it was."""
        for file in self._files:
            if (value := file_value(Path(file.path))) is not None:
                self._file_changed(file.name, value)

    async def _look_often(self) -> None:
        while True:
            await asyncio.sleep(FILES_EVERY_S)
            self.look()

    async def _poll(self, processes: tuple[ProcessConfig, ...], before: dict[str, int]) -> None:
        while True:
            try:  # in a thread: thousands of files take a while
                counted = await asyncio.to_thread(count_processes, processes)
            except (OSError, RuntimeError):  # no descriptor, no thread: the counts stay
                counted = {}
            for name, count in counted.items():
                if count != before[name]:
                    before[name] = count
                    self._process_count(name, count)
            await asyncio.sleep(PROCESSES_EVERY_S)
