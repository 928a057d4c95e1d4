"""Processes that the daemon starts: checks and notify scripts (keepalived.md SC-4 … SC-6, SC-11 … SC-15).

Commands are words, never a shell's text. Each runs in a process group of its own, with nothing on its
standard streams, and is reaped through a pidfd.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vrrpsim.config.arguments import split_command
from vrrpsim.config.lexer import Row
from vrrpsim.protocol.configuration import (
    GroupConfig,
    InstanceConfig,
    Notify,
    RouterConfig,
    ScriptConfig,
    Track,
)

DEFAULT_USER = "keepalived_script"
NOTIFIES = ("master", "backup", "fault", "stop", "deleted", "any", "master_rx_lower_pri")
SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REAP_S = 0.5
Finished = Callable[[int, int | None, int | None], None]  # run, exit code, signal


@dataclass(frozen=True, slots=True)
class Security:
    """What `global_defs` says of scripts; the engine has no use for it."""

    user: str = ""  # `script_user`, "USER [GROUP]"
    enabled: bool = False  # `enable_script_security`


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
    kept: list[ScriptConfig] = []
    remarks: list[str] = []
    for script in config.scripts:
        user = script.user or security.user or _default_user()
        words, problem = _resolve(script.words, user, security)
        if problem:
            remarks.append(f"Disabling track script {script.name}: {problem}")
        else:
            kept.append(replace(script, words=words, user=user))
    names = {script.name for script in kept}

    def left(owner: InstanceConfig | GroupConfig) -> dict[str, Any]:
        notify, problems = _usable_notifies(owner.notify, security)
        remarks.extend(f"Disabling notify script of {owner.name}: {problem}" for problem in problems)
        tracks: tuple[Track, ...] = tuple(track for track in owner.track_scripts if track.name in names)
        return {"track_scripts": tracks, "notify": notify}

    trimmed = replace(
        config,
        scripts=tuple(kept),
        instances=tuple(replace(each, **left(each)) for each in config.instances),
        groups=tuple(replace(each, **left(each)) for each in config.groups),
    )
    return trimmed, remarks


def _usable_notifies(notify: Notify, security: Security) -> tuple[Notify, list[str]]:
    """Each with the user it runs as."""
    own, users, problems = dict(notify.users), [], []
    gone: dict[str, Any] = {}
    for kind in NOTIFIES:
        if command := getattr(notify, kind):
            user = own.get(kind) or security.user or _default_user()
            _, problem = _resolve(split_command(command), user, security)
            if problem:
                gone[kind] = ""
                problems.append(problem)
            else:
                users.append((kind, user))
    return replace(notify, users=tuple(users), **gone), problems


def _default_user() -> str:
    return DEFAULT_USER if _known(DEFAULT_USER) else ""


def _resolve(words: Sequence[str], user: str, security: Security) -> tuple[tuple[str, ...], str]:
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
        self._checks: dict[int, subprocess.Popen[bytes]] = {}  # by run
        self._others: set[subprocess.Popen[bytes]] = set()
        self._pidfds: set[int] = set()

    def run(self, script: ScriptConfig, run: int) -> None:
        """Start a check."""
        child = self._start(script.words, script.user)
        if child is None:  # SC-6: keepalived's child that cannot exec exits 0
            asyncio.get_running_loop().call_soon(self._finished, run, 0, None)
            return
        self._checks[run] = child
        self._watch(child, lambda: self._ended(run))

    def notify(self, words: Sequence[str], user: str) -> None:
        """Start a notify script; its end does not matter."""
        child = self._start(words, user)
        if child is not None:
            self._others.add(child)
            self._watch(child, lambda: self._others.discard(child))

    def kill(self, run: int, name: str) -> None:
        """Send TERM or KILL to the process group of a check that still runs."""
        if run in self._checks:
            _signal(self._checks[run], signal.Signals[f"SIG{name}"])

    async def wait_for_notifies(self, seconds: float) -> None:
        """Give notify scripts this long to end (§1.7: one second for STOP)."""
        until = asyncio.get_running_loop().time() + seconds
        while self._others and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Kill the checks and reap them; notify scripts may outlive us."""
        loop = asyncio.get_running_loop()
        for child in self._checks.values():
            _signal(child, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # a dead NFS mount holds even the killed
                child.wait(REAP_S)
        for fd in list(self._pidfds):
            loop.remove_reader(fd)
            os.close(fd)
        for child in self._others:
            child.returncode = child.poll() or 0  # left to init
        self._checks.clear()
        self._pidfds.clear()

    def _start(self, words: Sequence[str], user: str) -> subprocess.Popen[bytes] | None:
        identity: dict[str, object] = {}
        try:
            if user and os.geteuid() == 0 and user != "root":
                uid, gid = ids_of(user)
                identity = {"user": uid, "group": gid, "extra_groups": []}
            return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # identity is three keywords
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                **identity,
            )
        except (OSError, ValueError, KeyError) as error:
            self._log(f"cannot run {words[0] if words else 'an empty command'}: {error}")
            return None

    def _watch(self, child: subprocess.Popen[bytes], ended: Callable[[], None]) -> None:
        loop, fd = asyncio.get_running_loop(), os.pidfd_open(child.pid)
        self._pidfds.add(fd)

        def readable() -> None:
            loop.remove_reader(fd)
            self._pidfds.discard(fd)
            os.close(fd)
            child.wait()
            ended()

        loop.add_reader(fd, readable)

    def _ended(self, run: int) -> None:
        code = self._checks.pop(run).returncode
        self._finished(run, code if code >= 0 else None, -code if code < 0 else None)


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
