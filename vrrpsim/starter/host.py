"""This machine as one node of a cluster: its interfaces, what runs and listens, its keepalived.conf.

Everything is read as whoever asks may read it: what that leaves out is a finding, and is guessed as for a
node of which only the file is known.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path

from vrrpsim.findings import Finding, InputError, Place
from vrrpsim.keepalived.installed import installed_version
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.model import AddressWithPrefix

from .haproxy import Bind, binds_of

KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf"
HAPROXY_CFG = "/etc/haproxy/haproxy.cfg"
LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
UNREAD, ABSENT = "VRRP028", "VRRP029"


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """What was found on this machine; `findings` say what could not be read."""

    name: str
    conf: Path
    config_id: str | None
    runs_keepalived: bool
    interfaces: Mapping[str, tuple[AddressWithPrefix, ...]]
    ports: Mapping[str, frozenset[int]]  # TCP ports by the name of a process that runs
    secretive: frozenset[str]  # the processes whose sockets we may not see
    sees_all: bool  # processes of others, too
    binds: tuple[Bind, ...] = ()
    findings: tuple[Finding, ...] = ()

    def serving(self, port: int) -> str | None:
        """Return the process that listens at a TCP port, if it is known."""
        return next((name for name, own in self.ports.items() if port in own), None)


def read_host(proc: Path = Path("/proc")) -> ThisMachine:
    """Look at this machine; nothing is changed, and nothing needs to be root."""
    found: list[Finding] = []
    interfaces = dict(_interfaces(found))
    pids = sorted(int(each.name) for each in proc.iterdir() if each.name.isdigit())
    running = [pid for pid in pids if _is_here(proc, pid)]
    sees_all = (proc / "1").exists()
    if not sees_all:
        found.append(_unread(str(proc), "shows only your own processes; which others run is not known"))
    ports: dict[str, set[int]] = {}
    secretive = set()
    listening = dict(_listening(proc, found))
    commands = {pid: _command(proc, pid) for pid in running}
    for pid, (name, _) in commands.items():
        own = ports.setdefault(name, set())
        try:
            targets = [str(each.readlink()) for each in (proc / str(pid) / "fd").iterdir()]
        except PermissionError:
            secretive.add(name)
            continue
        except OSError:  # it has ended
            continue
        own |= {listening[target] for target in targets if target in listening}
    daemon = next((words for name, words in commands.values() if name == "keepalived"), None)
    conf, config_id = _named(daemon or ())
    if not conf.is_absolute():
        why = f"keepalived runs with it, in a folder that is not known; {KEEPALIVED_CONF} is read"
        found.append(_unread(str(conf), why))
        conf = Path(KEEPALIVED_CONF)
    return ThisMachine(
        os.uname().nodename.partition(".")[0],
        conf,
        config_id,
        daemon is not None,
        interfaces,
        {name: frozenset(own) for name, own in ports.items()},
        frozenset(secretive),
        sees_all,
        _binds(found) if "haproxy" in ports else (),
        tuple(found),
    )


def installed_dialect() -> str | None:
    """Return the dialect of the keepalived that is installed: its version, or the newest known before it."""
    version = _numbers(installed_version())
    names = [name for name in DIALECTS if name.startswith("keepalived-")]
    known = {number: name for name in names if (number := _numbers(name.partition("-")[2])) <= version}
    return known[max(known)] if known else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("."))) if version else ()


def _unread(file: str, why: str) -> Finding:
    return Finding(Place(file, 0, 0), UNREAD, why)


def _interfaces(found: list[Finding]) -> Iterator[tuple[str, tuple[AddressWithPrefix, ...]]]:
    """Yield each interface with the addresses that the host has on it, in the kernel's order."""
    try:
        done = subprocess.run(["ip", "-json", "address"], capture_output=True, text=True, check=True)
        links = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        found.append(
            _unread("ip -json address", "iproute2 does not answer: interfaces are made from the files")
        )
        return
    for link in links:
        yield (
            link["ifname"],
            tuple(
                ip_interface(f"{each['local']}/{each['prefixlen']}")
                for each in link.get("addr_info", ())
                if each.get("scope") in ("global", "link") and not each.get("temporary")
            ),
        )


def _is_here(proc: Path, pid: int) -> bool:
    """Whether it is in our network, as far as we may know."""
    with suppress(OSError):
        return (proc / str(pid) / "ns/net").readlink() == (proc / "self/ns/net").readlink()
    return True


def _command(proc: Path, pid: int) -> tuple[str, Sequence[str]]:
    """Return what `killall` and `pgrep` know a process by, and its command line."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
        comm = (proc / str(pid) / "comm").read_text("utf-8", "replace").rstrip("\n")
    except OSError:
        return "", ()
    program = words[0].rpartition("/")[2]
    return (program if program.startswith(comm) else comm), words  # comm has 15 characters at most


def _listening(proc: Path, found: list[Finding]) -> Iterator[tuple[str, int]]:
    """Yield each listening TCP socket, as `/proc/PID/fd` names it, and its port."""
    for name in ("tcp", "tcp6"):
        file = proc / "net" / name
        try:
            rows = [line.split() for line in file.read_text("ascii").splitlines()[1:]]
        except OSError as error:
            if name == "tcp":
                found.append(_unread(str(file), error.strerror or str(error)))
            continue
        for row in rows:
            if row[3] == LISTEN:
                yield f"socket:[{row[9]}]", int(row[1].rpartition(":")[2], 16)


def _named(words: Sequence[str]) -> tuple[Path, str | None]:
    """Return the file and the config_id of keepalived's command line."""
    said = {"f": KEEPALIVED_CONF, "i": ""}
    long = {"--use-file": "f", "--config-id": "i"}
    for word, following in zip(words, (*words[1:], ""), strict=False):
        option, equals, value = word.partition("=")
        if option in long:
            said[long[option]] = value if equals else following
        elif word.startswith("-") and not word.startswith("--"):
            flags = word[1:]
            at = next((at for at, flag in enumerate(flags) if flag in said), None)
            if at is not None:
                said[flags[at]] = flags[at + 1 :] or following
    return Path(said["f"]), said["i"] or None


def _binds(found: list[Finding]) -> tuple[Bind, ...]:
    if not Path(HAPROXY_CFG).exists():
        return ()
    try:
        return binds_of(HAPROXY_CFG)
    except InputError as error:
        found += [_unread(each.place.file, each.message) for each in error.findings]
        return ()
