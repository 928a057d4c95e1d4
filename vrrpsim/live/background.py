"""What everything live needs: tasks that do not fail unheard, a bound on noise, a log that never waits."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import IO, Any

TOGETHER_S = 0.02  # how long lines wait for more


def background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose failure goes to the loop's exception handler at once: no part may die quietly."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler({"message": str(error), "exception": error, "task": task})

    task.add_done_callback(ended)
    return task


class RateLimit:
    """So many lines a second: a flood of bad packets must not become a flood of lines."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = self._count = 0

    def left_out(self) -> int:
        """Count one more; answer how many of an earlier second were not let through."""
        second, left_out = int(time.monotonic()), 0
        if second != self._second:
            left_out = max(self._count - self._per_second, 0)
            self._second, self._count = second, 0
        self._count += 1
        return left_out

    @property
    def reached(self) -> bool:
        """Whether the one just counted is too many."""
        return self._count > self._per_second


class WriterThread:
    """A thread that writes: a stopped terminal or a full pipe must not stop the adverts."""

    WAITING = 1000  # pieces of work; what comes while so many wait is lost

    def __init__(self, waiting: int = WAITING) -> None:
        self._queue: Queue[Callable[[], object] | None] = Queue(waiting)
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], object]) -> None:
        """Have it written soon, or never."""
        with suppress(Full):
            self._queue.put_nowait(work)

    def close(self, seconds: float = 1.0) -> bool:
        """Give what waits this long to be written, and say whether it was."""
        with suppress(Full):
            self._queue.put_nowait(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            work()


class LineWriter:
    """A file of lines that a thread writes: a disk that hangs, or a full pipe, must not stop the adverts."""

    WAITING = 100_000  # lines

    def __init__(self, file: IO[str], complain: Callable[[str], None]) -> None:
        self._file, self._complain, self._speaker = file, complain, WriterThread()
        self._lines: deque[str] = deque()
        self._failed = self._told = self._closing = False

    def write(self, line: str) -> None:
        """Have it written soon; what comes while so many wait is lost."""
        if len(self._lines) < self.WAITING:
            self._lines.append(line)
        if not self._told:
            self._told = True
            self._speaker.do(self._write)

    def _write(self) -> None:
        """Write what waits, and what comes in the same moment: waking a thread costs more than a line."""
        if not self._closing:
            time.sleep(TOGETHER_S)
        self._told = False
        text = "".join(self._lines.popleft() for _ in range(len(self._lines)))
        if not self._failed:
            try:
                self._file.write(text)
                self._file.flush()
            except OSError as error:
                self._failed = True
                self._complain(f"{self._file.name} ends here: {error.strerror}")

    def close(self) -> None:
        """Write what waits; where that takes more than a moment, it is lost."""
        self._closing = True
        if self._speaker.close():
            with suppress(OSError):
                self._file.close()
