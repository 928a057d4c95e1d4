"""Handlers that many keywords share: whole numbers, seconds, flags, texts."""

from __future__ import annotations

from typing import Any

from vrrpsim.keepalived.arguments import Line
from vrrpsim.keepalived.parsed import Parsed
from vrrpsim.protocol.configuration import SECOND_NS

from .walker import Handler

INT_MAX = 2**31 - 1
SECONDS_MAX = 4294  # keepalived's limit: microseconds in 32 bits


def nothing(line: Line, target: Any) -> None:
    """Accept a keyword without effect on the protocol (class H)."""


def integer(name: str, low: int, high: int, *, rule: str = "LX-10", strict: bool = False) -> Handler:
    """Store an integer; a refused one leaves what was there."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, low, high, rule=rule, strict=strict)
        if value is not None:
            setattr(target, name, value)

    return handle


def at_least_one(name: str) -> Handler:
    """Store a count; 0 counts as 1."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, 0, INT_MAX)
        if value == 0:
            line.warn("LX-10", f"{line.keyword} 0 is read as 1", 1)
        if value is not None:
            setattr(target, name, max(value, 1))

    return handle


def seconds(
    name: str, low_us: int = 0, high_us: int = SECONDS_MAX * 1_000_000, *, rule: str = "LX-10"
) -> Handler:
    """Store a time with microsecond resolution."""

    def handle(line: Line, target: Any) -> None:
        value = line.decimal_ns(1, low_us, high_us, rule=rule)
        if value is not None:
            setattr(target, name, value)

    return handle


def whole_seconds(name: str) -> Handler:
    """Store a time in whole seconds."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, 0, SECONDS_MAX)
        if value is not None:
            setattr(target, name, value * SECOND_NS)

    return handle


def flag(name: str, value: bool = True) -> Handler:
    """Store a constant: the word alone says it."""

    def handle(line: Line, target: Any) -> None:
        if line.has(1):
            line.warn("LX-6", f"{line.keyword} takes no value; {line.shown(1)} is ignored", 1)
        setattr(target, name, value)

    return handle


def boolean(name: str) -> Handler:
    """Store an optional boolean (LX-11)."""

    def handle(line: Line, target: Any) -> None:
        value = line.boolean()
        if value is not None:
            setattr(target, name, value)

    return handle


def text(name: str) -> Handler:
    """Store one word."""

    def handle(line: Line, target: Any) -> None:
        setattr(target, name, line.word().text)

    return handle


def inner(name: str, handler: Handler) -> Handler:
    """Apply a handler to an attribute of the draft."""

    def handle(line: Line, target: Any) -> None:
        handler(line, getattr(target, name))

    return handle


def version(line: Line, target: Any) -> None:
    """`version` and `vrrp_version`."""
    value = line.integer(1, 2, 3)
    if value is not None:
        target.version = value


def notify(kind: str) -> Handler:
    """Store a notify script; the first one wins (LX-9)."""

    def handle(line: Line, draft: Parsed) -> None:
        command = line.command()
        if kind in draft.notify:
            line.warn("LX-9", f"{line.keyword} is repeated; the first one wins")
        elif user := line.user():
            draft.notify_users[kind] = user
        draft.notify.setdefault(kind, command)

    return handle
