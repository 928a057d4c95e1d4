"""What a check command really sees (DESIGN §5): that a process exists, or that a port serves.

A presence check is satisfied by a frozen process; a request to a frozen one hangs until it is answered
or killed. Commands nobody here knows always succeed, and the run says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple

from vrrpsim.protocol.configuration import ScriptConfig
from vrrpsim.scenario.model import Probe, Process

PRESENCE = ("pkill", "killall", "pidof", "pgrep", "systemctl")
REQUEST = ("curl", "wget", "nc", "ncat")
LOCAL = re.compile(r"(?:https?://)?(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?")
DEVICE = re.compile(r"/dev/(tcp|udp)/(?:localhost|127\.0\.0\.1|::1)/(\d+)")  # bash connects


DURATION = re.compile(r"(\d+\.?\d*|\.\d+)([smhd]?)")  # of timeout(1)
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Check:
    """`process` must exist, or `port` ("80/tcp") must answer; neither: always succeeds."""

    process: str | None = None
    port: str | None = None


class Limit(NamedTuple):
    """A check that hangs ends by itself, so long after it began, with this exit code."""

    after_ns: int
    code: int


def limit_of(command: str) -> Limit | None:
    """What a command line says of its own patience (run by hand: curl, GNU wget, OpenBSD's nc, timeout).

    wget tries 20 times unless it is told otherwise, which is as good as for ever; a connection alone needs
    nobody who answers, so `nc -z` and bash's /dev/tcp succeed at once.
    """
    found = [Limit(0, 0)] if DEVICE.search(command) else []
    words = re.sub(r"[\"'`$();|&]", " ", command).split()
    for position, word in enumerate(words):
        name, rest = PurePosixPath(word).name, words[position + 1 :]
        if name == "timeout":
            plain = (each for option, each in pairwise(words[position:]) if option not in ("-k", "-s"))
            patience = next((match for each in plain if (match := DURATION.fullmatch(each))), None)
            limit_ns = _ns(*patience.groups()) if patience else 0
            found += [Limit(limit_ns, 124)] if limit_ns else []
        elif name == "curl":
            found += [Limit(_ns(value), 28) for value in _values(rest, "m", "--max-time")]
        elif name == "wget" and any(value == "1" for value in _values(rest, "t", "--tries")):
            found += [Limit(_ns(value), 4) for value in _values(rest, "T", "--timeout", "--read-timeout")]
        elif name in ("nc", "ncat"):
            zero = any(re.fullmatch(r"-[a-zA-Z]*z[a-zA-Z\d]*", each) for each in rest)
            found += [Limit(0, 0)] if zero else [Limit(_ns(v), 0) for v in _values(rest, "w", "--wait")]
    return min(found, default=None)


def _values(words: Sequence[str], letter: str, *names: str) -> Iterator[str]:
    """The values of an option: `-m 2`, `-sm 2`, `-m2`, `--max-time 2`, `--max-time=2`."""
    for word, following in pairwise((*words, "")):
        match = re.fullmatch(rf"-[a-zA-Z]*{letter}([\d.]*)|({'|'.join(names)})(?:=([\d.]+))?", word)
        if match:
            value = match[1] or match[3] or following
            if re.fullmatch(r"\d+\.?\d*|\.\d+", value) and float(value):  # 0 is no limit
                yield value


def _ns(number: str, unit: str = "") -> int:
    return round(float(number) * SECONDS[unit] * 1e9)


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
