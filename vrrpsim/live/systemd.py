"""sd_notify: what systemd wants to hear from a service of Type=notify or notify-reload."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress


def tell(**facts: str | int) -> None:
    """Send READY=1, STATUS=…, WATCHDOG=1 and the like; nothing happens outside systemd.

    It never waits: a reader who is behind must not stop the adverts.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    text = "\n".join(f"{name}={value}" for name, value in facts.items())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect("\0" + path[1:] if path[0] == "@" else path)
        sender.send(text.encode())


def reloading() -> None:
    """Say that a reload begins; READY=1 ends it."""
    tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


def watchdog_interval_s() -> float | None:
    """Half of the time after which systemd would kill us; None if it does not watch."""
    text = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 2e6 if text.isdigit() and mine else None
