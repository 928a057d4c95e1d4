"""Issue 3: the rights that vrrpsim live needs, and what it tells people, systemd and measure."""

import json
import os
import pty
import re
import shutil
import signal
import site
import socket
import subprocess
import sys
import termios
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from clusters import LATE_S, VIP, conf, settled, skew_s
from lan import PATIENCE_S, ROOT, Lan, needs_namespaces

from vrrpsim.measure import measure
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import RECORD_TYPES, Fault, ProcessChange, Trace

pytestmark = needs_namespaces()

METRICS = "http://127.0.0.1:9650/metrics"
SECRET = "s3cret"


# --- rights and secrets


CAPABILITIES = "+net_raw,+net_admin"


def as_nobody(*rights):
    """A command line's beginning that gives up root, and keeps these rights."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", *rights]


def nobodys_python():
    """What runs vrrpsim as nobody here: `env`, the path of modules, an interpreter; nothing if none can."""
    path = os.pathsep.join([str(ROOT), *site.getsitepackages()])
    for python in (sys.executable, "/usr/bin/python3"):
        words = ["env", f"PYTHONPATH={path}", python]
        probe = as_nobody(*words, "-c", "import vrrpsim.live.service, pyroute2, click")
        if subprocess.run(probe, capture_output=True, cwd="/", check=False).returncode == 0:
            return words
    return []


def as_root_without_its_powers(*rights):
    """The same for an interpreter that only root can reach: uid 0, but a capability is what counts."""
    return ["setpriv", "--securebits=+noroot,+noroot_locked", "--no-new-privs", *rights]


def test_two_capabilities_suffice_and_checks_do_not_get_them(open_path):
    """Ambient CAP_NET_RAW and CAP_NET_ADMIN, as the unit gives them; without them one line and exit 4."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    *env, python = nobodys_python() or [sys.executable]
    less = as_nobody if env else as_root_without_its_powers
    check = "grep -q ^CapEff:.0000000000000000$ /proc/self/status"
    head = f'vrrp_script poor {{\n script "{check}"\n interval 1\n weight 20\n}}\n'
    text = head + conf(1, 100, "v3-vmac", "track_script {\n poor\n }")
    with Lan(open_path / "lan", ["n1"]) as lan:
        home = lan.home("n1", text)
        for each in (home, home / "k.conf"):
            os.chown(each, 65534 if less is as_nobody else 0, 0)
        words = lan.vrrpsim_words("n1", text, python=python)
        refused = lan.start("n1", [*less(), *env, *words], open_path / "refused")
        assert refused.popen.wait(PATIENCE_S) == 4
        said = [line for line in refused.log.read_text().splitlines() if "SECURITY" not in line]
        assert said == [
            "vrrpsim live needs CAP_NET_ADMIN and CAP_NET_RAW: run it as root or as packaging/'s unit does"
        ]
        rights = [f"--{kind}-caps={CAPABILITIES}" for kind in ("inh", "ambient")]
        daemon = lan.vrrpsim("n1", text, before=[*less(*rights), *env], python=python)
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        assert not env or "Uid:\t65534\t65534" in status
        assert "CapEff:\t0000000000003000" in status
        lan.wait(lambda: {advert.priority for advert in lan.adverts()} == {120}, "the check succeeds")
        assert lan.stop(daemon) == 0
        assert not lan.owns("n1", VIP)


# --- what people see


def test_the_table_on_a_terminal(tmp_path):
    """Lines go above the table; without a terminal there are only lines."""
    master, terminal = pty.openpty()
    with Lan(tmp_path, ["n1"]) as lan:
        words = lan.vrrpsim_words("n1", conf(1, 100, "v3"), "--status")
        words = ["env", "COLUMNS=80", *words]
        daemon = lan.start("n1", words, tmp_path / "n1", kind="vrrpsim", terminal=terminal)
        os.set_blocking(master, False)
        shown = bytearray()

        def text():
            with suppress(BlockingIOError):
                while True:
                    shown.extend(os.read(master, 65_536))
            return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="ignore"))

        lan.wait(lambda: text().count("this node") > 2, "the table says that it is master")
        plain = text()
        lan.adverts()
        termios.tcflow(terminal, termios.TCOOFF)  # Ctrl-S
        time.sleep(1.5)
        adverts = lan.adverts()
        assert max(later.at_s - sooner.at_s for sooner, later in pairwise(adverts)) < 1
        termios.tcflow(terminal, termios.TCOON)
        assert lan.stop(daemon) == 0
        for end in (master, terminal):
            os.close(end)
        assert "VRID" in plain
        assert re.search(r"VI_1\s*│\s*eth0\s*│\s*51\s*│\s*MASTER\s*│\s*100\s*│\s*this node", plain)
        lines = plain.replace("\r", "").splitlines()
        entering = next(line for line in lines if "Entering MASTER STATE" in line)
        assert re.match(r"^(.*[┘┐])?\d{4}-\d\d-\d\d [\d:.]+ \(VI_1\) Entering MASTER STATE$", entering)
        assert "[green]" not in plain

        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"), "--status")
        lan.wait(lambda: "MASTER" in daemon.log.read_text(), "master")
        assert lan.stop(daemon) == 0
        assert "│" not in daemon.log.read_text()


def test_systemd_is_told(tmp_path):
    name = str(tmp_path / "notify")
    environment = ["env", f"NOTIFY_SOCKET={name}", "WATCHDOG_USEC=400000"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, Lan(tmp_path / "lan", ["n1"]) as lan:
        listener.bind(name)
        listener.setblocking(False)
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"), before=environment)
        told = []

        def heard():
            with suppress(BlockingIOError):
                while True:
                    told.append(listener.recv(4096).decode())
            return told

        lan.wait(lambda: heard() and lan.owns("n1", VIP), "master")
        lan.wait(lambda: "".join(heard()).count("WATCHDOG=1") >= 4, "the watchdog is fed")
        daemon.signal(signal.SIGHUP)
        lan.wait(lambda: "RELOADING=1" in "".join(heard()) and heard()[-1] != "READY=1", "it has reloaded")
        time.sleep(3)  # nobody reads; it must not wait for that
        assert daemon.log.read_text().count("Reloaded") == 1
        adverts = lan.adverts()
        heard()
        assert lan.stop(daemon) == 0
        heard()
    assert max(later.at_s - sooner.at_s for sooner, later in pairwise(adverts)) < 1
    assert told[0] == "READY=1"
    assert "WATCHDOG=1\nSTATUS=MASTER for 51" in told
    reload = next(number for number, text in enumerate(told) if text.startswith("RELOADING=1"))
    assert told[reload + 1 :].index("READY=1") <= 1
    assert told[-1] == "STOPPING=1"


def records(path):
    """A trace file as records, and the wall clock of its instant 0."""
    kinds = {kind.__name__: kind for kind in RECORD_TYPES}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    end_ns = rows[-1]["at_ns"]
    found = [kinds[row.pop("record")](**row) for row in rows if row["record"] in kinds]
    return found, int(found[0].text.split(" is ")[1].split()[0]), end_ns


def test_measure_reads_the_trace_of_a_real_failover(tmp_path):
    """Two daemons' traces on one clock, and the fault: tenures and the waterfall come out as of a run."""
    with Lan(tmp_path / "lan", ["n1", "n2"]) as lan:
        first = lan.vrrpsim("n1", conf(1, 150, "v3-calm"))
        second = lan.vrrpsim("n2", conf(2, 100, "v3-calm"))
        settled(lan, "n1", "n2", "v3-calm")
        lan.only("10.77.0.1", 1)
        assert lan.stop(first) == 0
        settled(lan, "n2", "n1", "v3-calm")
        lan.only("10.77.0.2", 0.7)
        assert lan.stop(second) == 0
        [(one, epoch_ns, _), (two, epoch2_ns, end_ns)] = [
            records(d.home / "trace.jsonl") for d in (first, second)
        ]
        shift_ns = epoch2_ns - epoch_ns
        stopped_ns = next(
            record.at_ns for record in one if isinstance(record, ProcessChange) and record.state == "stopping"
        )
        fault = Fault(stopped_ns - 1, 0, "", "stop", "n1/keepalived", ("n1/keepalived",))
        trace = Trace()
        moved = [record._replace(at_ns=record.at_ns + shift_ns) for record in two]
        trace.records = sorted([*one, *moved, fault], key=lambda record: record.at_ns)
        trace.end_ns = end_ns + shift_ns
        nodes = "".join(
            f"  {name}: {{interfaces: {{eth0: {{segment: lan, address: 10.77.0.{number}/24}}}},"
            f" keepalived: {{file: lan/{name}/k.conf}}}}\n"
            for number, name in enumerate(("n1", "n2"), 1)
        )
        scenario = tmp_path / "scenario.yaml"
        scenario.write_text(
            f"version: 1\nname: live\nduration: 10s\nsegments:\n  lan: {{subnet: 10.77.0.0/24}}\n"
            f"nodes:\n{nodes}"
        )
        result = measure(load_scenario(scenario), trace)
    [owned] = result.ownerships
    assert [tenure.node for tenure in owned.tenures] == ["n1", "n2"]
    [failover] = result.failovers
    assert (failover.address, failover.old, failover.new, str(failover.cause)) == (
        VIP, "n1", "n2", "stop n1/keepalived"
    )  # fmt: skip
    assert 0 < failover.length_ns / 1e9 - skew_s("v3-calm", 100) < LATE_S
    elect = next(part for part in failover.parts if part.name == "elect")
    assert elect.length_ns is not None
    assert result.counts["adverts"] > 5
