"""Network namespaces for tests of the real daemon: nodes on one bridge, and a sniffer on the bridge.

Every name carries the test process's id. Nothing leaves the namespaces: the bridge has no other port. Only
processes started here are ended, by their pids; everything is removed in `close`, come what may.
"""

import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SO_TIMESTAMPNS = 35
PACKET_OUTGOING = 4
CLONE_NEWNET = 0x40000000
PATIENCE_S = 10


def why_not():
    """The reason for which namespace tests cannot run here, or the empty string."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root"
    for program in ("ip", "unshare", "keepalived"):
        if shutil.which(program) is None:
            return f"needs {program}"
    try:
        import pyroute2  # noqa: F401
    except ImportError:
        return "needs pyroute2"
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "cannot make network namespaces"


needs_namespaces = pytest.mark.skipif(bool(why_not()), reason=f"real daemons: {why_not()}")


def mac(number):
    return f"02:00:00:00:77:{number:02x}"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Advert:
    """What the sniffer saw: wall-clock seconds of the kernel, and the IP packet's parts."""

    at_s: float
    source: str
    ttl: int
    payload: bytes

    @property
    def priority(self):
        return self.payload[2]


class Lan:
    """`with Lan(folder, ["n1", "n2"]) as lan:`; node k has 10.77.0.k/24 on eth0."""

    def __init__(self, folder, names):
        self.folder, self.names = folder, names
        self.tag = f"vt{os.getpid()}"
        self.processes = []
        self.spaces = []
        self.sniffer = None

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _build(self):
        switch = self._space("sw")
        ip("-n", switch, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        ip("-n", switch, "link", "set", "br0", "up")
        for number, name in enumerate(self.names, 1):
            space = self._space(name)
            ip("-n", switch, "link", "add", f"p{number}", "type", "veth",
               "peer", "name", "eth0", "address", mac(number), "netns", space)  # fmt: skip
            ip("-n", switch, "link", "set", f"p{number}", "master", "br0", "up")
            ip("-n", space, "link", "set", "eth0", "addrgenmode", "none")
            ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", space, "addr", "add", f"fe80::77:{number}/64", "dev", "eth0", "nodad")
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "link", "set", "eth0", "up")
            for other in range(1, len(self.names) + 1):  # a dead peer must not fall out of the cache
                ip("-n", space, "neigh", "replace", f"10.77.0.{other}", "lladdr", mac(other),
                   "nud", "permanent", "dev", "eth0")  # fmt: skip
        with inside(switch):
            self.sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
            self.sniffer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sniffer.setblocking(False)

    def _space(self, name):
        space = f"{self.tag}{name}"
        ip("netns", "add", space)
        self.spaces.append(space)
        return space

    def space(self, name):
        return f"{self.tag}{name}"

    # --- daemons

    def keepalived(self, name, conf):
        """Real keepalived in the node's namespaces, with pid files and dumps in a folder of its own."""
        home = self._home(name)
        (home / "k.conf").write_text(conf)
        (home / "k.conf").chmod(0o600)
        for name_of_file in ("k.pid", "v.pid"):  # a zombie that nobody reaps yet must not count as running
            (home / name_of_file).unlink(missing_ok=True)
        words = ["keepalived", "-n", "-l", "-D", "-P", "-f", str(home / "k.conf"),
                 "-p", str(home / "k.pid"), "-r", str(home / "v.pid")]  # fmt: skip
        return self._start(name, words, home)

    def vrrpsim(self, name, conf, *more):
        """`vrrpsim live` in the node's namespaces."""
        home = self._home(name)
        (home / "k.conf").write_text(conf)
        (home / "k.conf").chmod(0o600)
        words = [sys.executable, "-m", "vrrpsim", "live", str(home / "k.conf"), "--node", name,
                 "--trace", str(home / "trace.jsonl"), "--dump", str(home / "state.json"), *more]  # fmt: skip
        return self._start(name, words, home)

    def _home(self, name):
        home = self.folder / name
        home.mkdir(exist_ok=True)
        return home

    def _start(self, name, words, home):
        log = (home / "log").open("ab")
        environment = {**os.environ, "TMPDIR": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen(["ip", "netns", "exec", self.space(name), *words],
                                   stdout=log, stderr=log, env=environment)  # fmt: skip
        log.close()
        process.home, process.node = home, name
        self.processes.append(process)
        said = (home / "log").stat().st_size
        self.wait(lambda: speaks(home / "log", said), f"{name} runs")
        return process

    def power_off(self, process):
        """Silence at once: SIGKILL to all of it, and the cable, for its kernel still has the address."""
        self.kill_all(process)
        self.link(process.node, "down")

    def kill_all(self, process):
        """SIGKILL to the process and what it started, before any of it can react."""
        pids = descendants(process.pid)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (process.pid, *pids):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        process.wait(PATIENCE_S)

    def stop(self, process):
        process.terminate()
        return process.wait(PATIENCE_S)

    def link(self, name, state):
        port = self.names.index(name) + 1
        ip("-n", self.space("sw"), "link", "set", f"p{port}", state)

    # --- looking

    def owns(self, name, address):
        return f" {address}/" in self.show(name, "addr")

    def show(self, name, what):
        """What `ip -o … show` says in a node."""
        words = ["ip", "-n", self.space(name), "-o", what, "show"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def wait(self, condition, what, seconds=PATIENCE_S):
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                logs = {p.node: (p.home / "log").read_text()[-2000:] for p in self.processes}
                raise AssertionError(f"not within {seconds} s: {what}; {logs}")
            time.sleep(0.02)

    def adverts(self):
        """Everything of protocol 112 that crossed the bridge since the last call."""
        seen = []
        while True:
            try:
                frame, ancillary, _, (port, _, kind, *_) = self.sniffer.recvmsg(4096, 256)
            except BlockingIOError:
                return seen
            if port == "br0" or kind == PACKET_OUTGOING:  # each frame once, where it enters the bridge
                continue
            stamp = next(data for _, what, data in ancillary if what == SO_TIMESTAMPNS)
            seconds, nanoseconds = struct.unpack("qq", stamp[:16])
            at_s = seconds + nanoseconds / 1e9
            if frame[12:14] == b"\x08\x00" and frame[23] == 112:
                header = (frame[14] & 15) * 4
                payload = frame[14 + header : 14 + int.from_bytes(frame[16:18], "big")]
                seen.append(Advert(at_s, ".".join(map(str, frame[26:30])), frame[22], payload))
            elif frame[12:14] == b"\x86\xdd" and frame[20] == 112:
                source = socket.inet_ntop(socket.AF_INET6, frame[22:38])
                payload = frame[54 : 54 + int.from_bytes(frame[18:20], "big")]
                seen.append(Advert(at_s, source, frame[21], payload))

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                self.kill_all(process)
        if self.sniffer is not None:
            self.sniffer.close()
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def speaks(log, offset):
    """Whether the daemon has said since then that it takes part, or listens."""
    text = log.read_text()[offset:]
    return "Entering BACKUP STATE" in text or "listening" in text


@contextmanager
def inside(space):
    """This thread's network namespace is another one; sockets made here stay in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{space}", os.O_RDONLY)
    try:
        assert libc.setns(there, CLONE_NEWNET) == 0
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(there)
        os.close(home)


def descendants(pid):
    """Children, their children and so on: only what a process of ours started."""
    found = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def statistics(process):
    """keepalived's counters (SIGUSR2), as {name: number} of its only instance."""
    path = process.home / "keepalived.stats"
    path.unlink(missing_ok=True)
    os.kill(process.pid, signal.SIGUSR2)
    until = time.monotonic() + PATIENCE_S
    while not (path.exists() and "Priority Zero" in path.read_text()):
        assert time.monotonic() < until, "keepalived wrote no statistics"
        time.sleep(0.02)
    time.sleep(0.05)
    pairs = (line.rpartition(":") for line in path.read_text().splitlines())
    counters = {}
    for name, _, value in pairs:
        if value.strip().isdigit():
            counters.setdefault(name.strip(" \t-"), int(value))  # the last two names come twice
    return counters
