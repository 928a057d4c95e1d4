"""What a notebook shows while a long question is being answered; nothing anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

Progress = Callable[[int, int], None]
EVERY_S = 0.25


@contextmanager
def progress(given: Progress | bool | None, noun: str) -> Iterator[Progress | None]:
    """Give the callback to tell done and total: the caller's own, or in a notebook a bar in its cell.

    None: a bar in a notebook only. False: never. The bar is gone when the work is done.
    """
    if callable(given):
        yield given
        return
    shell = None if given is False else _kernel()
    if shell is None:
        yield None
        return
    screen = import_module("IPython.display")
    began, last = time.monotonic(), 0.0
    shown: Any = None

    def show(done: int, total: int) -> None:
        nonlocal shown, last
        now = time.monotonic()
        if now - max(last, began) < EVERY_S:
            return
        last = now
        bar = screen.HTML(_bar(done, total, done / max(now - began, 1e-9), noun))
        if shown is None:
            shown = screen.display(bar, display_id=True)
        else:
            shown.update(bar)

    try:
        yield show
    finally:
        if shown is not None:
            shown.update(screen.HTML(""))


def _bar(done: int, total: int, rate: float, noun: str) -> str:
    text = f"{done} of {total} {noun}, {rate:.0f} a second"
    return f'<progress max="{total}" value="{done}"></progress> <span>{text}</span>'


def _kernel() -> Any:
    """The shell of a Jupyter kernel; None on a terminal, in a script, under a test."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if getattr(shell, "kernel", None) is not None else None
