"""The command lines that repeat what was done: they stand in reports, results and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from vrrpsim.scenario.model import Scenario

NOTHING: Mapping[str, str] = MappingProxyType({})


def replay_command(scenario: Scenario, seed: int, overrides: Mapping[str, str] = NOTHING) -> str:
    """Return the command line that repeats a run; "" if the scenario came from no file."""
    changes = (("--set", f"{path}={value}") for path, value in overrides.items())
    return command_line("run", scenario, ("--seed", str(seed)), *changes)


def command_line(command: str, scenario: Scenario, *options: Sequence[str]) -> str:
    """Return the command line that does something with a scenario; "" if it came from no file."""
    from shlex import join

    from vrrpsim.examples import name_of

    if scenario.path is None:
        return ""
    return join(
        ["vrrpsim", command, name_of(scenario.path), *(word for option in options for word in option)]
    )
