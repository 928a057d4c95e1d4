"""The files a machine's programs need: keepalived.conf, HAProxy's configuration, checks, stand-ins.

What keepalived reads is the scenario's own file, included as it is, wherever the lab changes nothing in it;
else the effective configuration written anew. In front stands only the FIFO that the lab listens to.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from vrrpsim.keepalived.notify import notifies_of
from vrrpsim.keepalived.writer import keepalived_conf
from vrrpsim.live.processes import SEARCHED
from vrrpsim.protocol.configuration import NotifyScripts, RouterConfig, ScriptConfig
from vrrpsim.scenario.model import Keepalived, Probe, Process

from .machine import ROOM, LabMachine

FIFO = "/run/vrrp.fifo"
CONF = "/run/keepalived.conf"
PID_FILES = ("keepalived.pid", "vrrp.pid", "checkers.pid")
PACKAGE = Path(__file__).parents[2]

HAPROXY = """\
global
    nbthread 1
defaults
    mode http
    timeout client 10s
    timeout connect 10s
    timeout server 10s
frontend lab
{binds}
    http-request return status 200 content-type text/plain string "{node}"
"""

STAND_IN = """\
#!{python} -IS
import os, socket, select, time
time.sleep({delay})
if {program}:
    os.execv({program}[0], {program})
listeners = []
for port in {ports}:
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    listener.listen(512)
    listeners.append(listener)
while True:
    for listener in select.select(listeners, [], [])[0]:
        caller = listener.accept()[0]
        caller.settimeout(1)
        try:
            caller.recv(4096)
            caller.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n{node}")
        except OSError:
            pass
        caller.close()
"""

TOLD = """\
#!/bin/sh
echo "TOLD {slot} $1 \\"$2\\" $3 0" > {fifo}
"""

CHECK = """\
#!/bin/sh
forced() {{ cat /run/forced-{name} 2>/dev/null; }}
while [ "$(forced)" = hang ]; do sleep 0.02; done
case "$(forced)" in fail) exit 1;; pass) exit 0;; esac
exec {command}
"""

ASK = """\
#!{python} -IS
import socket
caller = socket.create_connection(("{host}", {port}))
caller.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
raise SystemExit(not caller.recv(1))
"""

PING = """\
#!{python} -IS
import os, socket
family, kind, asks, answers = {form}
caller = socket.socket(family, socket.SOCK_RAW, kind)
caller.connect(("{host}", 0))
body = bytes([asks, 0, 0, 0]) + os.urandom(2) + bytes(2)
total = sum(body[i] << 8 | body[i + 1] for i in range(0, len(body), 2))
total = (total & 0xFFFF) + (total >> 16)
total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
caller.send(body[:2] + total.to_bytes(2, "big") + body[4:])
while True:
    heard = caller.recv(4096)
    heard = heard[20:] if family == socket.AF_INET else heard
    if heard[0] == answers and heard[4:8] == body[4:]:
        raise SystemExit(0)
"""
PING_FORMS = {
    4: "(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)",
    6: "(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)",
}


def find(program: str) -> str | None:
    """Return the full path of a program as a machine would find it."""
    return shutil.which(program, path=SEARCHED)


# --- keepalived


class Conf:
    """The configuration on a machine's disk, and the checks it names."""

    def __init__(
        self,
        machine_name: str,
        model: Keepalived,
        forced: Collection[str],
        written: Collection[str] = (),
        modelled: bool = False,
    ) -> None:
        self._modelled = modelled  # notify scripts have effects of their own
        self._room = ROOM / machine_name
        self.config_id = model.config_id or machine_name
        self._model = model
        self._forced = frozenset(forced)
        self._written = frozenset(written)  # tracked files that events write: each machine has its own
        self.values: dict[str, int] = {
            each.name: each.init_value for each in model.config.files if each.init_value is not None
        }
        self._file: Path | None = None if model.changed else model.file
        self.config = model.config
        self.priorities: dict[str, int] = {}  # set by events

    def load(self, config: RouterConfig, file: Path) -> None:
        """From now on another file is on disk."""
        self.config, self._file = config, file

    def write(self) -> None:
        """Write what the daemon is to read now."""
        path = self._room / Path(CONF).name
        path.write_text(self._text())
        path.chmod(0o600)

    def _text(self) -> str:
        replaced = {script.name for script in self.config.scripts} & {*self._forced, *self._model.probes}
        prelude = [f"vrrp_notify_fifo {FIFO}"]
        plain = not (replaced or self.priorities or self._written or self._notifies)
        if self._file is not None and plain:
            body = f"include {self._file.resolve()}"
        else:
            prelude.append("script_user root")
            scripts = tuple(
                each._replace(command=self._check(each)) if each.name in replaced else each
                for each in self.config.scripts
            )
            instances = tuple(
                each._replace(
                    priority=self.priorities.get(each.name, each.priority),
                    notify=self._told("INSTANCE", each.name, each.notify),
                )
                for each in self.config.instances
            )
            files = tuple(
                each._replace(path=f"/run/{self._file_name(each.name)}")
                if each.name in self._written
                else each
                for each in self.config.files
            )
            groups = tuple(
                each._replace(notify=self._told("GROUP", each.name, each.notify))
                for each in self.config.groups
            )
            config = self.config._replace(scripts=scripts, files=files, instances=instances, groups=groups)
            config = config._replace(notify_fifo="", vrrp_notify_fifo="")
            body = keepalived_conf(config, secrets=True)
        return "\n".join(["global_defs {", *(f"    {line}" for line in prelude), "}", body, ""])

    @property
    def _notifies(self) -> bool:
        """Whether notify scripts run, or are said to."""
        return self._modelled or any(each.has_scripts for each in notifies_of(self.config).values())

    def _told(self, kind: str, name: str, notify: NotifyScripts) -> NotifyScripts:
        """Let stand-ins tell the lab what keepalived tells the scripts; what these do is the lab's to do."""
        words: dict[str, Any] = {
            word: f"/run/told-{word}" + ("" if word == "any" else f" {kind} {shlex.quote(name)} {word}")
            for word, command in notify._asdict().items()
            if isinstance(command, str) and command
        }
        silent = not any(each.has_scripts for each in notifies_of(self.config).values())
        if self._modelled and silent and kind == "INSTANCE":
            words = {"any": "/run/told-any"}
        for slot in words:
            _executable(self._room / f"told-{slot}", TOLD.format(slot=slot, fifo=FIFO))
        return notify._replace(users=(), **words)

    def _check(self, script: ScriptConfig) -> str:
        """Write what stands in front of a script: what events force, else the script itself or its probe."""
        probe = self._model.probes.get(script.name)
        name = re.sub(r"[^\w.-]", "_", script.name)
        command = shlex.join(script.words)
        if probe is not None:
            command = self._probe(name, probe)
        _executable(self._room / f"check-{name}", CHECK.format(name=name, command=command))
        return f"/run/check-{name}"

    def _probe(self, name: str, probe: Probe) -> str:
        if probe.process is not None:
            return shlex.join(["pkill", "-0", "-x", probe.process[:15]])
        if probe.answers is not None:
            host, port = probe.answers
        else:
            assert probe.serves is not None
            host, port = ip_address("127.0.0.1"), int(probe.serves.partition("/")[0])
        text = PING if port is None else ASK
        form = PING_FORMS[host.version]
        _executable(
            self._room / f"ask-{name}", text.format(python=sys.executable, host=host, port=port, form=form)
        )
        return f"/run/ask-{name}"

    def force(self, script: str, verb: str | None) -> None:
        """Let a check hang, fail or pass whatever it sees; None: no longer."""
        path = self._room / ("forced-" + re.sub(r"[^\w.-]", "_", script))
        if verb is None:
            path.unlink(missing_ok=True)
        else:
            part = path.with_suffix(".part")
            part.write_text(verb)
            part.replace(path)

    def write_file(self, file: str, value: int) -> None:
        """Write a tracked file, at once as a whole."""
        self.values[file] = value
        part = self._room / "file.part"
        part.write_text(f"{value}\n")
        part.replace(self._room / self._file_name(file))

    @staticmethod
    def _file_name(file: str) -> str:
        return "tracked-" + re.sub(r"[^\w.-]", "_", file)

    def words(self, daemon: str, machine: LabMachine, dialect: str) -> list[str]:
        """Make the machine ready for a start, and return the command."""
        for name in PID_FILES:  # left by a daemon that was killed; its number may be somebody else's now
            (machine.room / name).unlink(missing_ok=True)
        self.write()
        if daemon == "vrrpsim":
            options = ["--node", machine.name, "--dialect", dialect, "--config-id", self.config_id]
            return [sys.executable, "-m", "vrrpsim", "live", CONF, *options]
        return ["keepalived", "-n", "-l", "-P", "-f", CONF, "-i", self.config_id]


# --- what clients and checks look at


def service(machine: LabMachine, process: str, model: Process, delay_s: float) -> list[str]:
    """Return the command of a process: real HAProxy, or a small server that is called like it.

    It serves `delay_s` after its start, if that is not 0: then a process of its name waits so long first.
    """
    ports = [int(port.partition("/")[0]) for port in model.serves if port.endswith("/tcp")]
    program: list[str] = []
    if process == "haproxy":
        binds = "\n".join(f"    bind :::{port} v4v6" for port in ports) or "    bind 127.0.0.1:1"
        configuration = machine.room / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(binds=binds, node=machine.name))
        program = [find("haproxy") or "haproxy", "-db", "-q", "-f", "/run/haproxy.cfg"]
        if delay_s <= 0:
            return program
    text = STAND_IN.format(
        python=sys.executable, delay=delay_s, program=program, ports=ports, node=machine.name
    )
    _executable(machine.room / process, text)
    return [f"/run/{process}"]


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def environment(daemon: str) -> Mapping[str, str]:
    """What a daemon needs beside its words."""
    return {"PYTHONPATH": str(PACKAGE), "PYTHONUNBUFFERED": "1"} if daemon == "vrrpsim" else {}
