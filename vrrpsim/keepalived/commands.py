"""What the command of a check looks at, or why it can never succeed: `check`, `init` and every run ask here.

keepalived runs the words of a command without a shell. What the programs make of them was tried with
keepalived 2.2.7 and Debian's procps 4, psmisc, sysvinit, curl, wget, nc and iputils (tests/keepalived).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple

from vrrpsim.keepalived.arguments import parse_address, split_command
from vrrpsim.protocol.configuration import Address

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
SECOND_NS = 1_000_000_000
SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh", "busybox")
SHELL_SYNTAX = ("|", ";", "&&", "$(", "`", "$?", ">", "<", "$$")
REQUESTS = ("curl", "wget", "nc", "ncat")
CLIENTS = {  # what asks a server of its own kind: its port, and the options that name host and port
    "mysqladmin": (3306, ("h", "host"), ("P", "port")),
    "pg_isready": (5432, ("h", "host"), ("p", "port")),
    "redis-cli": (6379, ("h",), ("p",)),
}
PRESENCE = ("pkill", "pgrep", "killall", "pidof", "systemctl", "service", "rc-service", "ps", "kill")
WRAPPERS = ("sudo", "env", "nice", "ionice", "exec", "command", "setsid", "stdbuf")
PICKY = (
    *PRESENCE,
    *REQUESTS,
    *CLIENTS,
    "ping",
    "ping6",
    "test",
    "[",
    "ss",
    "netstat",
)  # no word too many passes unnoticed
SHELL_WORD = re.compile(r"\d*[<>].*|\|\|?|&&?|;|.*;|`.*|\$\(.*")
DURATION = re.compile(r"(\d+\.?\d*|\.\d+)([smhd]?)")  # of timeout(1)
DEVICE = re.compile(r"/dev/(tcp|udp)/([^\s/]+)/(\d+)")  # bash connects
PID_FILE = re.compile(r"(?:\$\(\s*(?:cat|<)\s*|`\s*cat\s+)\S*?([\w-]+)\.pid\s*[)`]")
LOCAL = ("localhost", "localhost.localdomain", "ip6-localhost")
LONGEST_NAME = 15  # of a process, as the kernel keeps it

# Options as getopt reads them: letters, those with a value before the colon's end; long names alike.
GREP = "acflnovwxAHLeiq?V0123456789", "dgGPsStuUFrOq", {
    "count": 0, "full": 0, "ignore-case": 0, "newest": 0, "oldest": 0, "inverse": 0, "exact": 0,
    "lightweight": 0, "list-name": 0, "list-full": 0, "logpidfile": 0, "echo": 0, "ignore-ancestors": 0,
    "require-handler": 0, "quick": 0, "delimiter": 1, "pgroup": 1, "group": 1, "older": 1, "parent": 1,
    "session": 1, "signal": 1, "terminal": 1, "euid": 1, "uid": 1, "pidfile": 1, "runstates": 1,
    "ns": 1, "nslist": 1, "queue": 1, "cgroup": 1, "env": 1,
}  # fmt: skip
KILLALL = "eIgilqrvVw0123456789", "nosuyZ", {
    "exact": 0, "ignore-case": 0, "process-group": 0, "interactive": 0, "list": 0, "quiet": 0, "regexp": 0,
    "verbose": 0, "version": 0, "wait": 0, "younger-than": 1, "older-than": 1, "signal": 1, "user": 1,
    "ns": 1, "context": 1,
}  # fmt: skip
SYSTEMCTL = "alqfhri", "tpPnoHMs", {
    "quiet": 0, "all": 0, "full": 0, "no-pager": 0, "no-legend": 0, "no-ask-password": 0, "system": 0,
    "user": 0, "plain": 0, "value": 0, "no-block": 0, "no-wall": 0, "force": 0, "failed": 0, "recursive": 0,
    "runtime": 0, "global": 0, "wait": 0, "now": 0, "show-types": 0, "type": 1, "state": 1, "property": 1,
    "lines": 1, "output": 1, "host": 1, "machine": 1, "signal": 1, "root": 1,
}  # fmt: skip
OPTIONS: dict[str, tuple[str, str, dict[str, int]]] = {
    "pgrep": GREP, "pkill": GREP, "killall": KILLALL, "systemctl": SYSTEMCTL,
}  # fmt: skip
SIGNAL = re.compile(r"-(\d+|(SIG)?[A-Z]+\d*)")  # of pkill and killall, where an option may stand


class Endpoint(NamedTuple):
    """Whom a check asks through the network; without a port it pings."""

    address: Address
    port: int | None = None


class Check(NamedTuple):
    """One of: a process must exist, a port here must answer ("80/tcp"), somebody else must, nothing helps.

    `never` is why. Nothing at all: the command does not say what it looks at.
    """

    process: str | None = None
    port: str | None = None
    answers: Endpoint | None = None
    never: str = ""


class Limit(NamedTuple):
    """A check that hangs ends by itself, so long after it began, with this exit code."""

    after_ns: int
    code: int


@cache
def meaning_of(command: str, processes: frozenset[str] = frozenset(), symlinks: bool = False) -> Check:
    """What a command looks at on a machine with these processes.

    `symlinks`: keepalived starts programs under the name that stands there (use_symlink_paths).
    """
    if command.startswith("</"):  # a shell tests whether the file exists (SC-12)
        return _in_shell(command, processes)
    return _direct(tuple(split_command(command)), processes, symlinks)


def shell_syntax(command: str) -> list[str]:
    """What of a command only a shell would understand, where none reads it."""
    words = unwrapped(split_command(command))
    if command.startswith("</") or (words and base(words[0]) in SHELLS):
        return []
    bare = re.sub(r"""'[^']*'|"[^"]*\"""", "", command)  # keepalived takes quotes off, as a shell would
    rest = " ".join(word for word in bare.split() if "://" not in word)
    return [mark for mark in SHELL_SYNTAX if mark in rest]


def _direct(words: Sequence[str], processes: Collection[str], symlinks: bool) -> Check:
    if not words:
        return Check()
    inner = unwrapped(words)
    if len(inner) < len(words):
        return _direct(inner, processes, True)
    name, rest = base(words[0]), list(words[1:])
    if name in SHELLS:
        script = next((text for option, text in pairwise(rest) if re.fullmatch(r"-[a-z]*c", option)), "")
        return _in_shell(script, processes)
    if name == "false":
        return Check(never="it is false(1)")
    if name == "pidof" and not symlinks:
        return Check(never="pidof is a link, and runs as killall5")
    if name in PICKY:
        shell = next((word for word in rest if SHELL_WORD.fullmatch(word)), None)
        if shell is not None:
            return Check(never=f"{name} takes '{shell}' as one of its own words, and fails")
    return _asks(name, rest, processes)


def unwrapped(words: Sequence[str]) -> Sequence[str]:
    """Return the command that timeout, sudo and their like start."""
    while words and (base(words[0]) == "timeout" or base(words[0]) in WRAPPERS):
        rest = words[1:]
        if base(words[0]) == "timeout":
            words = rest[_skip_options(rest, "ks") + 1 :]
        else:
            options = (n for n, word in enumerate(rest) if not re.match(r"-|\w+=|\d+$", word))
            words = rest[next(options, len(rest)) :]
    return words


def _in_shell(script: str, processes: Collection[str]) -> Check:
    """The first thing in a shell's text that is known."""
    device = DEVICE.search(script)
    if device:
        return _at(device[2], int(device[3]), device[1])
    pid_file = PID_FILE.search(script)
    if pid_file:
        return Check(process=pid_file[1])
    if script.lstrip().startswith("!"):
        return Check()
    known = (*PRESENCE, *REQUESTS, *CLIENTS, "ping", "ping6")
    for part in re.split(r"[;|&`(){}\n]+", re.sub(r"\d*>&?\s*\S+|<\s*\S+|[\"'$]", " ", script)):
        words = part.split()
        for position, word in enumerate(words):
            if base(word) in known:
                found = _asks(base(word), words[position + 1 :], processes)
                if found != Check() and not found.never:
                    return found
    return Check()


def _asks(name: str, rest: Sequence[str], processes: Collection[str]) -> Check:
    """What one program looks at."""
    if name in REQUESTS:
        return _request(name, rest)
    if name in CLIENTS:
        port, hosts, ports = CLIENTS[name]
        given = next(_values(rest, ports[0], *(f"--{each}" for each in ports[1:])), "")
        host = next(_values(rest, hosts[0], *(f"--{each}" for each in hosts[1:])), "localhost")
        return _at(host, int(given) if given.isdigit() else port)
    if name in ("ping", "ping6"):
        return _at(next((word for word in reversed(rest) if not word.startswith("-")), ""), None)
    if name in PRESENCE:
        return _presence(name, rest, processes)
    return Check()


def _presence(name: str, rest: Sequence[str], processes: Collection[str]) -> Check:
    if name == "ps":
        return _named(list(_values(rest, "C")), processes, exactly=True)
    if name == "kill":
        pid_file = PID_FILE.search(" ".join(rest))
        return Check(process=pid_file[1]) if pid_file else Check()
    operands: list[str] = []
    if name in OPTIONS:
        wrong = _unknown_option(name, rest, operands)
        if wrong:
            return Check(never=f"{name} has no option {wrong}")
    else:
        operands = [word for word in rest if not word.startswith("-")]
    if name in ("systemctl", "rc-service", "service"):
        operands = operands[1:] if name == "systemctl" else operands[:1]
        return _named([word.removesuffix(".service") for word in operands], processes, exactly=True)
    if name in ("pgrep", "pkill"):
        file = next(_values(rest, "F", "--pidfile"), "")
        if file:
            return _named([PurePosixPath(file).stem], processes, exactly=True)
        if len(operands) > 1:
            return Check(never=f"{name} takes one pattern, not {len(operands)}")
        full = any(re.fullmatch(r"-[a-z]*f[a-z]*|--full", word) for word in rest)
        if operands and not full and len(operands[0]) > LONGEST_NAME and operands[0].isidentifier():
            return Check(never=f"a process has a name of {LONGEST_NAME} characters at most for {name}")
        exactly = any(re.fullmatch(r"-[a-z]*x[a-z]*|--exact", word) for word in rest)
        return _named(operands, processes, exactly, pattern=True)
    return _named(operands, processes, exactly=True)


def _named(targets: Sequence[str], processes: Collection[str], exactly: bool, pattern: bool = False) -> Check:
    """The process that is meant: one that is there, by name or by what pgrep makes of a pattern."""
    names = [base(target) for target in targets]
    for name in names:
        if name in processes:
            return Check(process=name)
        if pattern:
            try:
                matches = re.compile(name).fullmatch if exactly else re.compile(name).search
            except re.error:
                continue
            found = next((each for each in processes if matches(each[:LONGEST_NAME])), None)
            if found:
                return Check(process=found)
    return Check(process=names[0]) if names else Check()


def _unknown_option(name: str, words: Sequence[str], operands: list[str]) -> str:
    """The first option that getopt_long would refuse; what is no option goes to `operands`."""
    letters, valued, long = OPTIONS[name]
    rest = iter(words)
    for word in rest:
        if word == "--":
            operands += rest
        elif word.startswith("--"):
            option, equals, _ = word[2:].partition("=")
            full = [each for each in long if each == option] or [
                each for each in long if each.startswith(option)
            ]
            if not full:
                return word
            if long[full[0]] and not equals:
                next(rest, "")
        elif not word.startswith("-") or word == "-":
            operands.append(word)
        elif not (name in ("pkill", "killall") and SIGNAL.fullmatch(word)):
            for position, letter in enumerate(word[1:], 1):
                if letter in valued:
                    if position == len(word) - 1:
                        next(rest, "")
                    break
                if letter not in letters:
                    return f"-{letter}"
    return ""


def _request(tool: str, rest: Sequence[str]) -> Check:
    """The port a request goes to."""
    if tool in ("nc", "ncat"):
        kind = "udp" if any(re.fullmatch(r"-[a-zA-Z]*u[a-zA-Z\d]*", word) for word in rest) else "tcp"
        for host, port in pairwise(rest):
            if port.isdigit() and not host.startswith("-"):
                found = _at(host, int(port), kind)
                if found != Check():
                    return found
        return Check()
    for word in rest:
        match = re.fullmatch(
            r"(?:(https?)://)?(?:[^@/\s]*@)?(\[[^\]]+\]|[\w.-]+)(?::(\d+))?(?:[/?].*)?", word
        )
        if match and not word.startswith("-"):
            default = 443 if match[1] == "https" else 80
            found = _at(match[2].strip("[]"), int(match[3]) if match[3] else default)
            if found != Check():
                return found
    return Check()


def _at(host: str, port: int | None, kind: str = "tcp") -> Check:
    """Who answers there; a host's name, or UDP of somebody else, says nothing here."""
    address = parse_address(host)
    if host in LOCAL or (address is not None and address.is_loopback):
        return Check(port=f"{port}/{kind}") if port is not None else Check()
    if address is None or kind != "tcp" or address.is_multicast or address.is_unspecified:
        return Check()
    return Check(answers=Endpoint(address, port))


def base(word: str) -> str:
    """Return the name of a program without its path."""
    return PurePosixPath(word).name


def _skip_options(words: Sequence[str], valued: str) -> int:
    """How many words are options, with the values of those that take one."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        position += 2 if words[position][1:] in tuple(valued) else 1
    return position


# --- patience


@lru_cache(maxsize=4096)
def limit_of(command: str, connecting: bool = False) -> Limit | None:
    """What a command line says of its own patience (tried: curl, GNU wget, OpenBSD's nc, timeout, ping).

    wget tries 20 times unless it is told otherwise, which is as good as for ever; a connection alone needs
    nobody who answers, so `nc -z` and bash's /dev/tcp succeed at once. `connecting`: with a request that
    gets not even a connection.
    """
    found = [Limit(0, 0)] if DEVICE.search(command) and not connecting else []
    words = re.sub(r"[\"'`$();|&]", " ", command).split()
    for position, word in enumerate(words):
        name, rest = base(word), words[position + 1 :]
        if name == "timeout":
            plain = (each for option, each in pairwise(words[position:]) if option not in ("-k", "-s"))
            patience = next((match for each in plain if (match := DURATION.fullmatch(each))), None)
            limit_ns = _ns(*patience.groups()) if patience else 0
            found += [Limit(limit_ns, 124)] if limit_ns else []
        elif name == "curl":
            long = ("--max-time", "--connect-timeout") if connecting else ("--max-time",)
            found += [Limit(_ns(value), 28) for value in _numbers(rest, "m", *long)]
        elif name == "wget" and any(value == "1" for value in _numbers(rest, "t", "--tries")):
            found += [Limit(_ns(value), 4) for value in _numbers(rest, "T", "--timeout", "--read-timeout")]
        elif name in ("nc", "ncat"):
            zero = not connecting and any(re.fullmatch(r"-[a-zA-Z]*z[a-zA-Z\d]*", each) for each in rest)
            waits = [Limit(_ns(each), int(connecting)) for each in _numbers(rest, "w", "--wait")]
            found += [Limit(0, 0)] if zero else waits
        elif name in ("ping", "ping6"):
            replies = next(_numbers(rest, "W"), "10")
            found += [Limit(_ns(each), 1) for each in (replies, *_numbers(rest, "w"))]
    return min(found, default=None)


def _values(words: Sequence[str], letter: str, *names: str) -> Iterator[str]:
    """The values of an option: `-m 2`, `-sm 2`, `-m2`, `--max-time 2`, `--max-time=2`."""
    long = "|".join(re.escape(name) for name in names) or "(?!)"
    for word, following in pairwise((*words, "")):
        match = re.fullmatch(rf"-[a-zA-Z]*?{letter}(.*)|({long})(?:=(.*))?", word)
        if match and not (word.startswith("--") and match[2] is None):
            yield match[1] or match[3] or following


def _numbers(words: Sequence[str], letter: str, *names: str) -> Iterator[str]:
    for value in _values(words, letter, *names):
        if re.fullmatch(r"\d+\.?\d*|\.\d+", value) and float(value):  # 0 is no limit
            yield value


def _ns(number: str, unit: str = "") -> int:
    return round(float(number) * SECONDS[unit] * SECOND_NS)
