"""What a check command really sees (DESIGN §5): a process that exists, a port that serves, who answers.

A presence check is satisfied by a frozen process; a request to a frozen one hangs until it is answered
or killed. Commands nobody here knows always succeed, those that cannot succeed never do; the run says so.
"""

from __future__ import annotations

from collections.abc import Collection

from vrrpsim.keepalived.commands import Check, Endpoint, meaning_of
from vrrpsim.protocol.configuration import ScriptConfig
from vrrpsim.scenario.model import Probe


def check_of(
    script: ScriptConfig, probe: Probe | None, processes: Collection[str], symlinks: bool = False
) -> Check:
    """The meaning of a vrrp_script on a node with these processes."""
    if probe is not None:
        answers = Endpoint(*probe.answers) if probe.answers is not None else None
        return Check(probe.process, probe.serves, answers)
    return meaning_of(script.command, frozenset(processes), symlinks)
