"""The packaged unit under a systemd of its own: process 1 of namespaces with their own cgroup and /etc.

Nothing of the machine's systemd is asked or touched: mounts, network, processes, host name and control
groups are the test's, and go with the process that it starts.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from lan import ROOT, descendants
from test_live_telling import nobodys_python

SYSTEMD = Path("/lib/systemd/systemd")
UNIT = "vrrpsim-live@lb1.service"
HIDDEN = ("/home", "/root", "/tmp", "/var/tmp", "/run/user")  # by ProtectHome and PrivateTmp
TARGETS = ("sysinit", "basic", "shutdown", "umount", "final", "network-online")
BOOT = r"""
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/etc/vrrpsim /run/bin/new /run/bin/work
for file in passwd group nsswitch.conf ld.so.cache localtime python3 python3.11; do
  [ ! -e /etc/$file ] || cp -a /etc/$file /run/etc
done
cp "$HOME_OF_TEST/lb1.conf" /run/etc/vrrpsim
mount --bind /run/etc /etc
number=0
for path in $MODULES; do
  mkdir -p /run/modules/$number
  mount --bind "$path" /run/modules/$number
  number=$((number + 1))
done
systemd-sysusers "$ROOT/packaging/vrrpsim.sysusers"
chown root:vrrpsim /etc/vrrpsim/lb1.conf
chmod 640 /etc/vrrpsim/lb1.conf
mount -t overlay -o lowerdir=/usr/bin,upperdir=/run/bin/new,workdir=/run/bin/work overlay /usr/bin
cp "$HOME_OF_TEST/vrrpsim" /usr/bin
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
ip link set lo up
ip link add eth0 type veth peer name eth0b
ip addr add 10.77.0.1/24 dev eth0
ip link set eth0 up
ip link set eth0b up
export container=other SYSTEMD_UNIT_PATH="$HOME_OF_TEST/units"
exec /lib/systemd/systemd --system --unit=all.target --log-target=console --log-level=info --show-status=no
"""
CONF = """
vrrp_script chk {
    script "/usr/bin/test -e /etc/passwd"
    interval 1
    weight 10
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    version 3
    advert_int 0.1
    priority 100
    use_vmac
    track_script {
        chk
    }
    virtual_ipaddress {
        10.77.0.100
    }
}
"""


def why_not():
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root"
    for program in (SYSTEMD, "systemd-analyze", "systemd-sysusers", "unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"needs {program}"
    return "" if own_cgroup() else "needs a cgroup2 that it can write to"


def own_cgroup():
    """Where this process is in the cgroup2 tree; None without one."""
    with suppress(OSError, StopIteration):
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        root = next(line.split()[4] for line in mounts if " - cgroup2 " in line)
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        path = Path(root + next(line[3:] for line in lines if line.startswith("0::")))
        return path if os.access(path / "cgroup.procs", os.W_OK) else None
    return None


def seen_by_the_unit():
    """Where the modules are, which the machine then has in /run; an interpreter that it can see, or None."""
    match nobodys_python():
        case [_, path, python]:
            python = Path(python).resolve()
            hidden = any(python.is_relative_to(folder) for folder in HIDDEN)
            return path.removeprefix("PYTHONPATH=").split(os.pathsep), None if hidden else python
    return [], None


class Machine:
    """A booted systemd; `with Machine(folder) as machine:`."""

    def __init__(self, folder):
        self.folder, self.cgroup = folder, own_cgroup() / f"vrrpsim-test-{os.getpid()}"
        self.log, self.said = folder / "systemd.log", folder / "said"

    def __enter__(self):
        units = self.folder / "units"
        (units / f"{UNIT}.d").mkdir(parents=True)
        for name in TARGETS:
            (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        (units / "all.target").write_text(f"[Unit]\nDefaultDependencies=no\nWants={UNIT}\n")
        shutil.copy(ROOT / "packaging/vrrpsim-live@.service", units)
        output = f"[Service]\nStandardOutput=append:{self.said}\nStandardError=append:{self.said}\n"
        (units / f"{UNIT}.d/output.conf").write_text(output)
        (self.folder / "lb1.conf").write_text(CONF)
        modules, python = seen_by_the_unit()
        path = ":".join(f"/run/modules/{number}" for number in range(len(modules)))
        program = self.folder / "vrrpsim"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {python} -m vrrpsim "$@"\n')
        program.chmod(0o755)
        self.cgroup.mkdir()
        join = f"echo $$ > {self.cgroup}/cgroup.procs; exec "
        words = "unshare --cgroup --pid --mount --net --uts --ipc --fork --kill-child sh -euc"
        environment = {"HOME_OF_TEST": str(self.folder), "ROOT": str(ROOT), "MODULES": " ".join(modules)}
        environment = os.environ | environment
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                ["sh", "-c", f'{join}{words} "$0"', BOOT], stdout=log, stderr=log, env=environment
            )
        try:
            self.wait(lambda: self.popen.poll() is not None or descendants(self.popen.pid), "it was started")
            self.init = next(iter(descendants(self.popen.pid)), self.popen.pid)
            self.wait(lambda: self.popen.poll() is not None or self.show("ActiveState"), "systemd answers")
            if self.popen.poll() is not None:
                pytest.skip(f"the unit: no systemd can be booted here: {self.log.read_text()[-300:]}")
            self.wait(lambda: self.show("ActiveState") == "active", "the unit is active")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with suppress(ProcessLookupError, AttributeError):
            os.kill(self.init, signal.SIGKILL)  # and the kernel everything that was in there
        self.popen.kill()
        self.popen.wait(15)
        folders = [self.cgroup, *(each for each in self.cgroup.rglob("*") if each.is_dir())]
        for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            self.wait(lambda folder=folder: removed(folder), f"{folder} is empty")

    def run(self, *words):
        inside = ["nsenter", "-t", str(self.init), "-m", "-n", "-p", "-C", "--", *words]
        return subprocess.run(inside, capture_output=True, text=True, check=False, timeout=60).stdout

    def show(self, what):
        return self.run("systemctl", "show", "-P", what, UNIT).strip()

    def status(self, field):
        """A line of /proc/PID/status of the daemon."""
        text = self.run("cat", f"/proc/{self.show('MainPID')}/status")
        found = re.search(rf"^{field}:\s*(.*)$", text, re.MULTILINE)
        return found[1].split()[0] if found else ""

    def wait(self, condition, what, seconds=60):
        until = time.monotonic() + seconds
        while not condition():
            said = [each.read_text()[-3000:] for each in (self.log, self.said) if each.exists()]
            assert time.monotonic() < until, (what, said)
            time.sleep(0.1)


def removed(cgroup):
    with suppress(OSError):
        cgroup.rmdir()
    return not cgroup.exists()


needs_systemd = pytest.mark.skipif(bool(reason := why_not()), reason=f"the unit: {reason}")


@needs_systemd
def test_the_unit_runs_the_daemon_with_two_capabilities_reloads_restarts_and_stops(tmp_path):
    if seen_by_the_unit()[1] is None:
        pytest.skip("the unit: needs a Python that every user can run, and not in somebody's home")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o755)
    with Machine(tmp_path) as machine:
        machine.wait(lambda: machine.show("StatusText") == "MASTER for 51", "it is master, and says so")
        assert machine.status("Uid") not in ("", "0")
        for kind in ("CapEff", "CapBnd"):
            assert machine.status(kind) == "0000000000003000"
        assert machine.status("NoNewPrivs") == "1"
        said = machine.said.read_text()
        assert "VRRP_Script(chk) succeeded" in said
        assert "cannot" not in said
        # what keeps ProtectKernelTunables out of the unit
        assert machine.run("cat", "/proc/sys/net/ipv4/conf/vrrp.51/arp_ignore").strip() == "1"
        assert "10.77.0.100/32" in machine.run("ip", "-br", "addr", "show", "dev", "vrrp.51")

        machine.run("systemctl", "reload", UNIT)
        machine.wait(lambda: "Reloaded" in machine.said.read_text(), "it has reloaded")
        first = machine.show("MainPID")

        machine.run("kill", "-STOP", first)  # WatchdogSec: systemd kills and restarts it
        machine.wait(lambda: machine.show("MainPID") not in (first, "0"), "another is started")
        machine.wait(lambda: machine.show("StatusText") == "MASTER for 51", "which is master")
        assert machine.show("NRestarts") == "1"

        machine.run("systemctl", "stop", UNIT)
        assert (machine.show("ActiveState"), machine.show("Result")) == ("inactive", "success")
        assert "vrrp.51" not in machine.run("ip", "-br", "link")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit_and_little_exposed(tmp_path):
    text = (ROOT / "packaging/vrrpsim-live@.service").read_text()
    unit = tmp_path / "vrrpsim-live@.service"
    unit.write_text(text.replace("/usr/bin/vrrpsim", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "vrrpsim" in line]
    assert (done.returncode, ours) == (0, [])
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=30", unit]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
