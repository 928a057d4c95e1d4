"""A timer of the kernel: the loop's own are late by up to a millisecond, because it waits in whole ones."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_Times = ctypes.c_long * 4  # struct itimerspec: interval, then instant, in seconds and nanoseconds


class KernelTimer:
    """Calls with the instant that was set, once it has come. `OSError`: no descriptor for it."""

    def __init__(self, ring: Callable[[int], None]) -> None:
        self._ring = ring
        self._at_ns: int | None = None
        self._times = _Times()
        self._fd = _libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def set(self, at_ns: int | None) -> None:
        """Ring at this instant of CLOCK_MONOTONIC, in nanoseconds, instead of an earlier one; None: never."""
        self._at_ns = at_ns
        times = self._times
        times[2], times[3] = (0, 0) if at_ns is None else divmod(max(at_ns, 1), 1_000_000_000)
        _libc.timerfd_settime(self._fd, _ABSOLUTE, times, None)

    def _readable(self) -> None:
        """It is not read: setting it anew makes it unreadable, too."""
        at_ns = self._at_ns
        if at_ns is not None and at_ns <= time.monotonic_ns():  # not set anew since it rang
            self._at_ns = None
            self._ring(at_ns)
        if self._at_ns is None:
            self.set(None)

    def close(self) -> None:
        """Never ring again."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
