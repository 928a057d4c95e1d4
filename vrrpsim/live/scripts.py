"""Processes that the daemon starts: checks and notify scripts (keepalived.md SC-4 … SC-6, SC-11 … SC-15).

Commands are words, never a shell's text. Each runs in a process group of its own, with nothing on its
standard streams.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shutil
import signal
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vrrpsim.keepalived.arguments import split_command
from vrrpsim.keepalived.lexer import Row
from vrrpsim.protocol.configuration import (
    GroupConfig,
    InstanceConfig,
    NotifyScripts,
    RouterConfig,
    ScriptConfig,
    Track,
)

from .processes import NO_ROOM, SEARCHED, Child, Starter

DEFAULT_USER = "keepalived_script"
NOTIFIES_AT_ONCE = 32  # of one instance or group
NOTIFIES = ("master", "backup", "fault", "stop", "deleted", "any", "master_rx_lower_pri")
Finished = Callable[[int, int | None, int | None], None]  # run, exit code, signal


@dataclass(frozen=True, slots=True)
class Security:
    """What `global_defs` says of scripts; the engine has no use for it."""

    user: str = ""  # `script_user`, "USER [GROUP]"
    enabled: bool = False  # `enable_script_security`

    def user_of(self, own: str) -> str:
        """Who runs a script that names `own` or nobody (SC-11); "" is whoever we are."""
        return own or self.user or (DEFAULT_USER if _known(DEFAULT_USER) else "")


def read_security(rows: Iterable[Row]) -> Security:
    """Find `script_user` and `enable_script_security` in a file that has been found good."""
    user, enabled = "", False
    for row in rows:
        match [word.text for word in row.words]:
            case ["script_user", *names] if names:
                user = " ".join(names[:2])
            case ["enable_script_security", *_]:
                enabled = True
    return Security(user, enabled)


# --- which scripts run at all, and as whom (SC-11, SC-12)


def usable_scripts(config: RouterConfig, security: Security) -> tuple[RouterConfig, list[str]]:
    """Drop what keepalived would not run, checks and notify scripts; say which and why."""
    ids_of.cache_clear()
    kept: list[ScriptConfig] = []
    remarks: list[str] = []
    for script in config.scripts:
        user = security.user_of(script.user)
        words, problem = resolve(script.words, user, security)
        if problem:
            remarks.append(f"Disabling track script {script.name}: {problem}")
        else:
            kept.append(script._replace(words=words, user=user))
    names = {script.name for script in kept}

    def left(owner: InstanceConfig | GroupConfig) -> dict[str, Any]:
        notify, problems = _usable_notifies(owner.notify, security)
        remarks.extend(f"Disabling notify script of {owner.name}: {problem}" for problem in problems)
        tracks: tuple[Track, ...] = tuple(track for track in owner.track_scripts if track.name in names)
        return {"track_scripts": tracks, "notify": notify}

    trimmed = config._replace(
        scripts=tuple(kept),
        instances=tuple(each._replace(**left(each)) for each in config.instances),
        groups=tuple(each._replace(**left(each)) for each in config.groups),
    )
    return trimmed, remarks


def _usable_notifies(notify: NotifyScripts, security: Security) -> tuple[NotifyScripts, list[str]]:
    """Each with the user it runs as."""
    own, users, problems = dict(notify.users), [], []
    gone: dict[str, Any] = {}
    for kind in NOTIFIES:
        if command := getattr(notify, kind):
            user = security.user_of(own.get(kind, ""))
            _, problem = resolve(split_command(command), user, security)
            if problem:
                gone[kind] = ""
                problems.append(problem)
            else:
                users.append((kind, user))
    return notify._replace(users=tuple(users), **gone), problems


def resolve(words: Sequence[str], user: str, security: Security) -> tuple[tuple[str, ...], str]:
    """The words with a full path, or why they cannot run."""
    if not words:
        return (), "it has no command"
    program = words[0] if "/" in words[0] else shutil.which(words[0], path=SEARCHED)
    if program is None or not Path(program).exists():
        return (), f"{words[0]} not found or not accessible"
    if user and not _known(user):
        return (), f"there is no user {user}"
    if not (_executable_for(Path(program), user) if user else os.access(program, os.X_OK)):
        return (), f"{program} is not executable" + (f" for {user}" if user else "")
    if security.enabled and not user:
        return (), f"no script_user is set and there is no user {DEFAULT_USER}"
    if security.enabled and user.partition(" ")[0] == "root" and (loose := _unsafe(Path(program))):
        return (), f"unsafe permissions of {loose}"
    return (program, *words[1:]), ""


def _executable_for(program: Path, user: str) -> bool:
    status, (uid, gid) = program.stat(), ids_of(user)
    if uid == 0:
        return bool(status.st_mode & 0o111)
    if status.st_uid == uid:
        return bool(status.st_mode & 0o100)
    return bool(status.st_mode & (0o010 if status.st_gid == gid else 0o001))


def _unsafe(program: Path) -> Path | None:
    """The first component of the path that somebody other than root could change."""
    for path in (program, *program.parents, program.resolve(), *program.resolve().parents):
        status = path.lstat()
        sticky_folder = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        loose = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky_folder
        if status.st_uid != 0 or (loose and not stat.S_ISLNK(status.st_mode)):
            return path
    return None


@cache  # while a configuration is in use: a directory service that is gone must not stop the adverts
def ids_of(user: str) -> tuple[int, int]:
    """User and group id of "USER [GROUP]"; `KeyError` if there is none such."""
    name, _, group = user.partition(" ")
    entry = pwd.getpwnam(name)
    return entry.pw_uid, grp.getgrnam(group).gr_gid if group else entry.pw_gid


def _known(user: str) -> bool:
    try:
        ids_of(user)
    except KeyError:
        return False
    return True


# --- running them


class Children:
    """The processes under way. Only root can give them another user; else they run as we do."""

    def __init__(self, finished: Finished, log: Callable[[str], None]) -> None:
        self._finished, self._log = finished, log
        self._starter = Starter(log)
        self._checks: dict[int, Child] = {}  # by run
        self._running: set[Child] = set()
        self._notifies: Counter[str] = Counter()  # under way, of each instance and group

    def run(self, script: ScriptConfig, run: int) -> None:
        """Start a check."""

        def ended(code: int | None) -> None:
            self._checks.pop(run, None)
            exited = code is not None and code >= 0
            self._finished(run, code if exited else None, None if exited or code is None else -code)

        child = self.start(script.words, script.user, ended)
        if child is None:  # no verdict: what it was is what it stays
            asyncio.get_running_loop().call_soon(ended, None)
        else:
            self._checks[run] = child

    def notify(self, words: Sequence[str], user: str, owner: str) -> None:
        """Start a notify script, unless too many of the same owner still run: they hang, or fail at once."""

        def ended(_code: int | None) -> None:
            self._notifies[owner] -= 1

        if self._notifies[owner] >= NOTIFIES_AT_ONCE:
            self._log(f"({owner}) {words[0]} not run: {NOTIFIES_AT_ONCE} notify scripts still run")
        elif self.start(words, user, ended) is not None:
            self._notifies[owner] += 1

    def start(
        self, words: Sequence[str], user: str, ended: Callable[[int | None], None] = lambda _: None
    ) -> Child | None:
        """Start a program. None: there is no starting it.

        `ended` gets its exit code, -N for signal N; None if this machine had no room for it.
        """

        def complain(problem: object) -> None:
            self._log(f"cannot run {words[0]}: {problem}")

        def gone(code: int, problem: str, error: int) -> None:
            self._running.discard(child)
            if problem:
                complain(problem)
            ended(None if error in NO_ROOM else code)

        try:
            identity = ids_of(user) if user and os.geteuid() == 0 and user != "root" else None
            child = self._starter.start(words, identity, gone)
        except (OSError, KeyError) as error:
            complain(error)
            return None
        self._running.add(child)
        return child

    def kill(self, run: int, name: str) -> None:
        """Send TERM or KILL to the process group of a check that still runs."""
        if run in self._checks:
            if not self._checks[run].pid:
                self._starter.kill()  # so late, and not even started
            self._checks[run].signal(signal.Signals[f"SIG{name}"])

    async def wait_for_others(self, seconds: float) -> None:
        """Give what is no check, notify scripts, this long to end (§1.7: one second for STOP)."""
        until = asyncio.get_running_loop().time() + seconds
        while len(self._running) > len(self._checks) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Kill the checks and hear no more of anything; notify scripts may outlive us."""
        for child in self._checks.values():
            child.signal(signal.SIGKILL)
        for child in self._running:
            child.forget()
        self._running.clear()
        self._checks.clear()
        self._starter.close()
