"""What a check command really sees (DESIGN §5): that a process exists, or that a port serves.

A presence check is satisfied by a frozen process; a request to a frozen one hangs until it is answered
or killed. Commands nobody here knows always succeed, and the run says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath

from vrrpsim.protocol.configuration import ScriptConfig
from vrrpsim.scenario.model import Probe, Process

PRESENCE = ("pkill", "killall", "pidof", "pgrep", "systemctl")
REQUEST = ("curl", "wget", "nc", "ncat")
LOCAL = re.compile(r"(?:https?://)?(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?")
DEVICE = re.compile(r"/dev/(tcp|udp)/(?:localhost|127\.0\.0\.1|::1)/(\d+)")  # bash connects


@dataclass(frozen=True, slots=True)
class Check:
    """`process` must exist, or `port` ("80/tcp") must answer; neither: always succeeds."""

    process: str | None = None
    port: str | None = None


def check_of(script: ScriptConfig, probe: Probe | None, processes: Mapping[str, Process]) -> Check:
    """The meaning of a vrrp_script on a node with these processes."""
    if probe is not None:
        return Check(probe.process, probe.serves)
    return _meaning(script.command, frozenset(processes))


@cache
def _meaning(command: str, processes: frozenset[str]) -> Check:
    pid_file = re.search(r"\$\(\s*cat\s+\S*?([\w-]+)\.pid\s*\)|`cat\s+\S*?([\w-]+)\.pid`", command)
    if pid_file:
        return Check(process=pid_file[1] or pid_file[2])
    device = DEVICE.search(command)
    if device:
        return Check(port=f"{device[2]}/{device[1]}")
    words = re.sub(r"[\"'`$();|&]", " ", command).split()
    for position, word in enumerate(words):
        name = PurePosixPath(word).name
        arguments = [rest for rest in words[position + 1 :] if not rest.startswith("-")]
        if name in PRESENCE and arguments:
            if name == "systemctl":
                arguments = arguments[1:]
            targets = [PurePosixPath(target.removesuffix(".service")).name for target in arguments]
            known = (target for target in targets if target in processes)  # not the value of an option
            return Check(process=next(known, targets[0])) if targets else Check()
        if name in REQUEST:
            port = _port_of(name, words[position + 1 :])
            return Check(port=f"{port}/tcp") if port else Check()
    return Check()


def _port_of(tool: str, arguments: list[str]) -> int | None:
    """The local port a request goes to; None if it does not go to this machine."""
    if tool in ("nc", "ncat"):
        for host, port in pairwise(arguments):
            if port.isdigit() and not host.startswith("-"):
                return int(port) if LOCAL.fullmatch(host) else None
        return None
    for word in arguments:
        match = LOCAL.search(word)
        if match:
            return int(match[1]) if match[1] else (443 if word.startswith("https") else 80)
    return None
