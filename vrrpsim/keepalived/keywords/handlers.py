"""Rows that many keywords share: whole numbers, seconds, flags, texts."""

from __future__ import annotations

from typing import Any

from vrrpsim.keepalived.arguments import Line, not_a_name
from vrrpsim.keepalived.parsed import Parsed
from vrrpsim.protocol.configuration import SECOND_NS

from .walker import Keyword, Takes

INT_MAX = 2**31 - 1
ANY = 1000  # words
SECONDS_MAX = 4294  # keepalived's limit: microseconds in 32 bits


def integer(name: str, low: int, high: int, *, code: str = "", strict: bool = False) -> Keyword:
    """Store an integer; a refused one leaves what was there."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, low, high, code=code, strict=strict)
        if value is not None:
            setattr(target, name, value)

    return Keyword(Takes.INT, handle, field=name)


def at_least_one(name: str) -> Keyword:
    """Store a count; 0 counts as 1."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, 0, INT_MAX)
        if value == 0:
            line.say("VRRP120", f"{line.keyword} 0 is read as 1", 1)
        if value is not None:
            setattr(target, name, max(value, 1))

    return Keyword(Takes.INT, handle, field=name)


def seconds(name: str, low_us: int = 0, high_us: int = SECONDS_MAX * 1_000_000, *, code: str = "") -> Keyword:
    """Store a time with microsecond resolution."""

    def handle(line: Line, target: Any) -> None:
        value = line.decimal_ns(1, low_us, high_us, code=code)
        if value is not None:
            setattr(target, name, value)

    return Keyword(Takes.SECONDS, handle, field=name)


def whole_seconds(name: str) -> Keyword:
    """Store a time in whole seconds."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, 0, SECONDS_MAX)
        if value is not None:
            setattr(target, name, value * SECOND_NS)

    return Keyword(Takes.SECONDS, handle, field=name)


def flag(name: str, value: bool = True, *, needs: str = "") -> Keyword:
    """Store a constant: the word alone says it."""

    def handle(line: Line, target: Any) -> None:
        if line.has(1):
            line.say("VRRP112", f"{line.keyword} takes no value; {line.shown(1)} is ignored", 1)
        setattr(target, name, value)

    return Keyword(Takes.FLAG, handle, field=name if value else "", needs=needs)


def boolean(name: str, *, needs: str = "") -> Keyword:
    """Store an optional boolean (LX-11)."""

    def handle(line: Line, target: Any) -> None:
        value = line.boolean()
        if value is not None:
            setattr(target, name, value)

    return Keyword(Takes.BOOL, handle, field=name, needs=needs)


def text(name: str, takes: Takes = Takes.WORD) -> Keyword:
    """Store one word."""

    def handle(line: Line, target: Any) -> None:
        setattr(target, name, line.word().text)

    return Keyword(takes, handle, field=name)


def inner(name: str, row: Keyword) -> Keyword:
    """Apply a row to an attribute of what is filled."""

    def handle(line: Line, target: Any) -> None:
        assert row.handle is not None
        row.handle(line, getattr(target, name))

    return row._replace(handle=handle, field="")


def notify(kind: str) -> Keyword:
    """Store a notify script; the first one wins (LX-9)."""

    def handle(line: Line, draft: Parsed) -> None:
        command = line.command()
        if kind in draft.notify:
            line.say("VRRP107", f"{line.keyword} is repeated; the first one wins")
        elif strange := not_a_name(user := line.user()):
            message = (
                f"'{strange[:60]}' is taken for its user or group: the script is never run; quote the command"
            )
            line.say("VRRP423", f"{line.keyword}: {message}")
            command = ""
        elif user:
            draft.notify_users[kind] = user
        draft.notify.setdefault(kind, command)

    return Keyword(Takes.SCRIPT, handle, repeatable=True, most=ANY)
