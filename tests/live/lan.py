"""Network namespaces for tests of the real daemon: nodes on one bridge, and a capture of the bridge.

A node is a network, a pid and a mount namespace with a /run of its own, so that `pkill haproxy` in it finds
its own HAProxy only. Names carry the test process's id. Nothing leaves the namespaces: the bridge has no
other port. Only processes started here are ended, by their pids; everything is removed in `close`, come
what may. A network that ends well is judged: tshark finds nothing malformed in what crossed the bridge, and
no keepalived counted an error.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from capture import Capture

CLONE_NEWNET = 0x40000000
PATIENCE_S = 60
ROOT = Path(__file__).parents[2]
INIT = "mount -t tmpfs tmpfs /run && exec sleep infinity"
NO_OUTPUT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
ERRORS = (
    "Length",
    "TTL",
    "Invalid Type",
    "Advertisement Interval",
    "Address List",
    "Type Mismatch",
    "Failure",
)
_numbers = count(1)


def why_not(*programs):
    """The reason for which namespace tests cannot run here, or the empty string."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root"
    for program in ("ip", "unshare", "nsenter", "keepalived", *programs):
        if shutil.which(program) is None and not Path(program).exists():
            return f"needs {program}"
    try:
        import pyroute2  # noqa: F401
    except ImportError:
        return "needs pyroute2"
    probe = subprocess.run(["unshare", "-npm", "--fork", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "cannot make network namespaces"


def needs_namespaces(*programs):
    """Skip, and say why, where real daemons cannot run."""
    reason = why_not(*programs)
    return pytest.mark.skipif(bool(reason), reason=f"real daemons: {reason}")


def mac(number):
    return f"02:00:00:00:77:{number:02x}"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Running:
    """A program in a node: `pid` is its own, outside; the process started here only waits for it."""

    def __init__(self, popen, node, home, kind):
        self.popen, self.node, self.home, self.kind = popen, node, home, kind
        self.log = home / "log"
        until = time.monotonic() + PATIENCE_S
        while not (children := children_of(popen.pid)) and popen.poll() is None:
            assert time.monotonic() < until, f"{kind} on {node} was not started"
            time.sleep(0.002)
        self.pid = children[0] if children else popen.pid

    def signal(self, number):
        os.kill(self.pid, number)

    def favour(self):
        """What is measured is the daemon, and not who else wants the processors."""
        for pid in (self.pid, *descendants(self.pid)):
            with suppress(PermissionError, ProcessLookupError, FileNotFoundError):  # not allowed, or gone
                for task in Path(f"/proc/{pid}/task").iterdir():
                    os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(10))

    def stop(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE_S)

    def kill(self):
        """SIGKILL to what it started, the youngest first, and to it; none of them can react meanwhile."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGSTOP)
        for pid in reversed([self.pid, *descendants(self.pid)]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + PATIENCE_S
        while self.popen.poll() is None and time.monotonic() < until:
            self.popen.send_signal(signal.SIGCONT)  # nsenter stops with its child
            time.sleep(0.002)
        assert self.popen.returncode is not None


class Lan:
    """`with Lan(folder, ["n1", "n2"]) as lan:`; node k has 10.77.0.k/24 on eth0."""

    def __init__(self, folder, names, *, sent_on_purpose=""):
        self.folder, self.names = folder, names
        self.tag = f"vt{os.getpid()}x{next(_numbers)}"
        self.running, self.spaces, self.inits = [], [], {}
        self.capture = None
        self._sent_on_purpose = sent_on_purpose  # a filter of tshark's

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.judge()
        finally:
            self.close()

    def _build(self):
        self.folder.mkdir(exist_ok=True)
        switch = self._space("sw")
        ip("-n", switch, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        ip("-n", switch, "link", "set", "br0", "up")
        for name in self.names:
            space = self._space(name)
            self.plug(name)
            ip("-n", space, "link", "set", "lo", "up")
            words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", INIT]
            self.inits[name] = subprocess.Popen(["ip", "netns", "exec", space, *words], **NO_OUTPUT)
        with inside(switch):
            self.capture = Capture("br0")

    def plug(self, name):
        """Give a node its eth0, on the bridge."""
        switch, space, number = self.space("sw"), self.space(name), self.number(name)
        ip("-n", switch, "link", "add", f"p{number}", "type", "veth",
           "peer", "name", "eth0", "address", mac(number), "netns", space)  # fmt: skip
        ip("-n", switch, "link", "set", f"p{number}", "master", "br0", "up")
        ip("-n", space, "link", "set", "eth0", "addrgenmode", "none")
        ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        ip("-n", space, "addr", "add", f"fe80::77:{number}/64", "dev", "eth0", "nodad")
        ip("-n", space, "link", "set", "eth0", "up")
        for other in range(1, len(self.names) + 1):  # a dead peer must not fall out of the cache
            ip("-n", space, "neigh", "replace", f"10.77.0.{other}", "lladdr", mac(other),
               "nud", "permanent", "dev", "eth0")  # fmt: skip

    def unplug(self, name):
        """Take it away altogether."""
        ip("-n", self.space("sw"), "link", "del", f"p{self.number(name)}")

    def _space(self, name):
        space = f"{self.tag}{name}"
        ip("netns", "add", space)
        self.spaces.append(space)
        return space

    def space(self, name):
        return f"{self.tag}{name}"

    def number(self, name):
        return self.names.index(name) + 1

    # --- programs

    def keepalived(self, name, conf):
        """Real keepalived, with pid files and dumps in a folder of its own."""
        home = self.home(name, conf)
        for name_of_file in ("k.pid", "v.pid"):  # a zombie that nobody reaps yet must not count as running
            (home / name_of_file).unlink(missing_ok=True)
        words = ["keepalived", "-n", "-l", "-D", "-P", "-f", str(home / "k.conf"),
                 "-p", str(home / "k.pid"), "-r", str(home / "v.pid")]  # fmt: skip
        return self._daemon(name, words, home, "keepalived")

    def vrrpsim(self, name, conf, *more, before=(), python=sys.executable, traced=True):
        """`vrrpsim live`; `before` is put in front of its command line."""
        words = [*before, *self.vrrpsim_words(name, conf, *more, python=python, traced=traced)]
        return self._daemon(name, words, self.folder / name, "vrrpsim")

    def vrrpsim_words(self, name, conf, *more, python=sys.executable, traced=True):
        """Its command line, with the configuration written down."""
        home = self.home(name, conf)
        files = [] if "--observe" in more or not traced else [
            "--trace", str(home / "trace.jsonl"), "--dump", str(home / "state.json")]  # fmt: skip
        return [python, "-m", "vrrpsim", "live", str(home / "k.conf"), "--node", name, *files, *more]

    def home(self, name, conf):
        """The node's folder, with its configuration."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        (home / "k.conf").write_text(conf)
        (home / "k.conf").chmod(0o600)
        return home

    def _daemon(self, name, words, home, kind):
        said = (home / "log").stat().st_size if (home / "log").exists() else 0
        running = self.start(name, words, home, kind=kind)
        self.wait(lambda: speaks(running.log, said), f"{kind} runs on {name}")
        running.favour()
        return running

    def start(self, name, words, home, *, kind="", terminal=None):
        """Any program in the node's namespaces; what it says goes to its log, or to a terminal."""
        init = self.init(name)
        home.mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": str(home), "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        inside_of = ["nsenter", "-t", str(init), "-n", "-m", "-p", "--", *words]
        with (home / "log").open("ab") as log:
            output = log if terminal is None else terminal
            popen = subprocess.Popen(inside_of, stdout=output, stderr=output, env=environment)
        running = Running(popen, name, home, kind)
        self.running.append(running)
        return running

    def init(self, name):
        """The pid of the first process of a node's pid namespace, once its /run is mounted."""
        unshare = self.inits[name]

        def found():
            pids = [pid for pid in descendants(unshare.pid) if comm_of(pid) == "sleep"]
            return pids[0] if pids else None

        self.wait(found, f"{name} has an init")
        return found()

    def haproxy(self, name):
        """Real HAProxy, in the foreground."""
        home = self.folder / f"{name}-haproxy"
        home.mkdir(exist_ok=True)
        conf = home / "haproxy.cfg"
        conf.write_text(
            "defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s\n"
            "frontend web\n bind *:80\n http-request return status 200\n"
        )
        return self.start(name, ["haproxy", "-db", "-f", str(conf)], home, kind="haproxy")

    def power_off(self, daemon):
        """Silence at once: SIGKILL to all of it, and the cable, for its kernel still has the address."""
        self.kill_all(daemon)
        self.link(daemon.node, "down")

    def kill_all(self, daemon):
        self.counted(daemon)
        daemon.kill()

    def stop(self, daemon):
        self.counted(daemon)
        return daemon.stop()

    def link(self, name, state):
        ip("-n", self.space("sw"), "link", "set", f"p{self.number(name)}", state)

    def flap(self, name, times):
        """As fast as the kernel does it."""
        port = f"p{self.number(name)}"
        batch = f"link set {port} down\nlink set {port} up\n" * times
        words = ["ip", "-n", self.space("sw"), "-batch", "-"]
        subprocess.run(words, input=batch, text=True, check=True, capture_output=True)

    # --- looking

    def owns(self, name, address):
        return f" {address}/" in self.show(name, "addr")

    def show(self, name, what):
        """What `ip -o … show` says in a node."""
        words = ["ip", "-n", self.space(name), "-o", what, "show"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def addresses(self, name):
        """Pairs of interface and address with its prefix length."""
        return {
            (words[1].partition("@")[0], words[3])
            for words in map(str.split, self.show(name, "addr").splitlines())
        }

    def wait(self, condition, what, seconds=PATIENCE_S):
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                logs = {f"{r.kind} on {r.node}": r.log.read_text()[-2000:] for r in self.running}
                raise AssertionError(f"not within {seconds} s: {what}; {logs}")
            time.sleep(0.02)

    def adverts(self):
        return self.capture.adverts()

    def only(self, source, seconds):
        """Wait until so long only this one is heard; the next look begins with its last advert."""

        def alone():
            self.adverts()
            time.sleep(seconds)
            return {advert.source for advert in self.adverts()} == {source}

        self.wait(alone, f"{source} alone is heard")
        self.capture.tell_again()

    def counted(self, daemon):
        """keepalived's own counters; none of its errors may have counted."""
        if daemon.kind != "keepalived" or daemon.popen.poll() is not None:
            return {}
        counters = statistics(daemon)
        assert {name: counters[name] for name in ERRORS} == dict.fromkeys(ERRORS, 0), daemon.node
        return counters

    def judge(self):
        for daemon in self.running:
            self.counted(daemon)
        assert self.capture.judge(self.folder, self._sent_on_purpose) == []

    def close(self):
        for running in self.running:
            if running.popen.poll() is None:
                with suppress(AssertionError):
                    running.kill()
        for unshare in self.inits.values():
            for pid in reversed([unshare.pid, *descendants(unshare.pid)]):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            unshare.wait(PATIENCE_S)
        if self.capture is not None:
            self.capture.close()
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


def children_of(pid):
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descendants(pid):
    """Children, their children and so on: only what a process of ours started."""
    return [each for child in children_of(pid) for each in (child, *descendants(child))]


def comm_of(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def statistics(process):
    """keepalived's counters (SIGUSR2), as {name: number}, summed over its instances."""
    path = process.home / "keepalived.stats"
    path.unlink(missing_ok=True)
    process.signal(signal.SIGUSR2)
    until, size = time.monotonic() + PATIENCE_S, -1
    while not (path.exists() and "Priority Zero" in path.read_text() and path.stat().st_size == size):
        assert time.monotonic() < until, "keepalived wrote no statistics"
        size = path.stat().st_size if path.exists() else -1
        time.sleep(0.02)
    counters, group = {}, ""
    for line in path.read_text().splitlines():
        name, _, value = line.rpartition(":")
        if value.strip().isdigit():
            key = name.strip(" \t-") if group != "Priority Zero" else f"{group} {name.strip()}"
            counters[key] = counters.get(key, 0) + int(value)
        else:
            group = line.strip(" \t:-")
    return counters
