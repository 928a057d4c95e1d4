"""Notify scripts and FIFO lines: what is run and written, in keepalived's order (keepalived.md §7.3)."""

from __future__ import annotations

from vrrpsim.config.arguments import split_command
from vrrpsim.protocol.configuration import Notify, RouterConfig
from vrrpsim.protocol.outputs import RunNotify


def notifies_of(config: RouterConfig) -> dict[tuple[str, str], Notify]:
    """The notify scripts by kind and name."""
    return {("INSTANCE", instance.name): instance.notify for instance in config.instances} | {
        ("GROUP", group.name): group.notify for group in config.groups
    }


def notify_commands(notify: Notify, output: RunNotify) -> list[tuple[str, ...]]:
    """The script of the state without arguments of ours, then the generic one with four."""
    own = getattr(notify, output.state.lower(), "")
    commands = [tuple(split_command(own))] if own else []
    if notify.any:
        told = (output.kind, output.name, output.state, str(output.priority))
        commands.append((*split_command(notify.any), *told))
    return commands


def fifo_line(output: RunNotify) -> str:
    """One line, newline included: `INSTANCE "VI_1" MASTER 103`."""
    return f'{output.kind} "{output.name}" {output.state} {output.priority}\n'
