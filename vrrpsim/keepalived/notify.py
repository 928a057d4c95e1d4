"""Notify scripts and FIFO lines: what is run and written, in keepalived's order (keepalived.md §7.3)."""

from __future__ import annotations

from typing import NamedTuple

from vrrpsim.keepalived.arguments import split_command
from vrrpsim.protocol.configuration import NotifyScripts, RouterConfig
from vrrpsim.protocol.outputs import RunNotify

TRANSITIONS = ("MASTER", "BACKUP", "FAULT", "STOP", "DELETED")


class Command(NamedTuple):
    """What to run; `user` is "USER [GROUP]", empty for our own."""

    words: tuple[str, ...]
    user: str


def notifies_of(config: RouterConfig) -> dict[tuple[str, str], NotifyScripts]:
    """The notify scripts by kind and name."""
    return {("INSTANCE", instance.name): instance.notify for instance in config.instances} | {
        ("GROUP", group.name): group.notify for group in config.groups
    }


def notify_commands(notify: NotifyScripts, output: RunNotify) -> list[Command]:
    """The script of the state without arguments of ours, then the generic one with four.

    Priorities and lower adverts are told to their own script and the FIFO only.
    """
    users, state = dict(notify.users), output.state.lower()
    commands = []
    if own := getattr(notify, state, ""):
        commands.append(Command(tuple(split_command(own)), users.get(state, "")))
    if notify.any and output.state in TRANSITIONS:
        told = (output.kind, output.name, output.state, str(output.priority))
        commands.append(Command((*split_command(notify.any), *told), users.get("any", "")))
    return commands


def fifo_line(output: RunNotify) -> str:
    """One line, newline included: `INSTANCE "VI_1" MASTER 103`."""
    return f'{output.kind} "{output.name}" {output.state} {output.priority}\n'
