"""Two small things that everything live needs: tasks that cannot fail unheard, and a bound on noise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any


def background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose failure goes to the loop's exception handler at once: no part may die quietly."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler({"message": str(error), "exception": error, "task": task})

    task.add_done_callback(ended)
    return task


class Limit:
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
