"""The programs, files and processes of the live daemon: no root, no network."""

import asyncio
import errno
import os
import pwd
import resource
import signal
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import pytest
from memory import CONF, Clock, Machine, configured, host

from vrrpsim.keepalived.lexer import Lexer
from vrrpsim.live import processes, scripts, starter, watch
from vrrpsim.protocol.configuration import FileConfig, NotifyScripts, ProcessConfig, ScriptConfig
from vrrpsim.protocol.dialect import DEFAULT_DIALECT

# --- scripts


def finished_runs(*commands, seconds=5.0, kill=None):
    """Run checks for real; {number: (code, signal)} of those that ended."""

    async def work():
        ended, log = {}, []
        children = scripts.Children(lambda run, code, signal: ended.update({run: (code, signal)}), log.append)
        for number, words in enumerate(commands):
            children.run(ScriptConfig(name="s", command="", words=tuple(words)), number)
        if kill:
            await asyncio.sleep(0.2)
            children.kill(0, kill)
        until = asyncio.get_running_loop().time() + seconds
        while len(ended) < len(commands) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        children.close()
        return ended, log

    return asyncio.run(work())


def test_checks_are_words_and_not_a_shell(tmp_path):
    """SC-5, SC-6, SC-15."""
    bad = tmp_path / "shebangless"
    bad.write_text("exit 1\n")
    bad.chmod(0o755)
    ended, log = finished_runs(
        ["/bin/true"], ["/bin/false"], ["/bin/test", "a", "=", "a;", "exit"], [str(bad)], ["/no/such"]
    )
    assert ended == {0: (0, None), 1: (1, None), 2: (2, None), 3: (0, None), 4: (0, None)}
    assert len(log) == 2


def test_term_reaches_the_whole_process_group():
    """SC-4: the shell and its child die together, by our signal."""
    ended, _ = finished_runs(["/bin/sh", "-c", "sleep 60 & wait"], kill="TERM")
    assert ended == {0: (None, 15)}


def test_a_user_who_has_gone_is_no_verdict():
    """The check could not be started."""

    async def work():
        ended = []
        children = scripts.Children(lambda *end: ended.append(end), lambda text: None)
        children.run(ScriptConfig(name="s", command="", words=("/bin/false",), user="no-such-user"), 7)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return ended

    if os.geteuid() != 0:
        pytest.skip("only root can run checks as others")
    assert asyncio.run(work()) == [(7, None, None)]


def test_what_cannot_run_disappears(tmp_path):
    """SC-12: no weight, no fault, no tracker."""
    text = (
        "vrrp_script gone {\n script /no/such/check\n}\nvrrp_script there {\n script true\n}\n"
        + CONF.replace("priority 100", "priority 100\n track_script {\n gone\n there\n }")
    )
    config, remarks = scripts.usable_scripts(configured(text), scripts.Security())
    assert [script.name for script in config.scripts] == ["there"]
    assert config.scripts[0].words[0].endswith("/true")
    assert [track.name for track in config.instances[0].track_scripts] == ["there"]
    assert remarks == [
        "Disabling track script gone: /no/such/check not found or not accessible",
        "Disabling notify script of VI_1: /bin/own not found or not accessible",
        "Disabling notify script of VI_1: /bin/any not found or not accessible",
    ]
    assert config.instances[0].notify == NotifyScripts()


def test_enable_script_security(tmp_path):
    """SC-11, SC-12: root does not run what others can change."""
    loose = tmp_path / "check"
    loose.write_text("#!/bin/sh\n")
    loose.chmod(0o777)
    text = f"vrrp_script chk {{\n script {loose}\n}}\n" + CONF.replace(
        "priority 100", "priority 100\n track_script {\n chk\n }"
    )
    conf = tmp_path / "k.conf"
    conf.write_text("global_defs {\n enable_script_security\n script_user root\n}\n" + text)
    lexer = Lexer()
    lexer.read_file(conf)
    security = scripts.read_security(lexer.rows)
    assert security == scripts.Security("root", True)
    config, remarks = scripts.usable_scripts(configured(text), security)
    assert config.scripts == ()
    assert "unsafe permissions" in remarks[0]
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    nobody = scripts.Security(pwd.getpwuid(65534).pw_name, True)
    assert scripts.usable_scripts(configured(text), nobody)[0].scripts != ()


# --- files and processes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        (" -3\n", -3),
        ("0x10", 16),
        ("010", 8),
        ("089", 0),
        ("", 0),
        ("abc", 0),
        ("7 up", 7),
        ("+2", 2),
    ],
)
def test_file_values_are_read_as_c_does(tmp_path, text, value):
    path = tmp_path / "f"
    path.write_text(text)
    assert watch.file_value(path) == value
    assert watch.file_value(tmp_path / "missing") == 0


def test_files_are_watched(tmp_path):
    path = tmp_path / "weight"

    async def work():
        seen, changed = [], asyncio.Event()

        def note(name, value):
            seen.append((name, value))
            changed.set()

        watching = watch.Watch(note, lambda *_: None)
        watching.start((FileConfig(name="w", path=str(path)),), (), {})
        for act in (lambda: path.write_text("7"), path.unlink):
            changed.clear()
            act()
            await asyncio.wait_for(changed.wait(), 5)
        watching.close()
        return seen

    seen = asyncio.run(work())
    assert ("w", 7) in seen
    assert seen[-1] == ("w", 0)


def test_a_file_is_watched_again_when_its_folder_comes_back(monkeypatch, tmp_path):
    """inotify forgets a folder that is deleted."""
    monkeypatch.setattr(watch, "FILES_EVERY_S", 0.01)
    path = tmp_path / "folder" / "weight"

    async def work():
        seen = []
        watching = watch.Watch(lambda _name, value: seen.append(value), lambda *_: None)
        path.parent.mkdir()
        watching.start((FileConfig(name="w", path=str(path)),), (), {})
        for value in (7, 0, 5):
            if value:
                path.parent.mkdir(exist_ok=True)
                path.write_text(str(value))
            else:
                path.unlink()
                path.parent.rmdir()
            async with asyncio.timeout(5):
                while value not in seen[-1:]:
                    await asyncio.sleep(0.01)
        watching.close()

    asyncio.run(work())


def test_processes_match_by_name_or_command_line():
    by_name = ProcessConfig(name="p", process="/usr/sbin/haproxy-very-long")
    assert watch.process_matches(by_name, "haproxy-very-lo", ["whatever"])
    exact = ProcessConfig(name="p", process="haproxy", parameters=("-f", "x"), param_match="exact")
    assert watch.process_matches(exact, "haproxy", ["haproxy", "-f", "x"])
    assert not watch.process_matches(exact, "haproxy", ["haproxy", "-f", "y"])
    own = ProcessConfig(name="me", process=Path("/proc/self/comm").read_text().strip())
    assert watch.count_processes((own,))["me"] >= 1


# --- a machine without room (hardening A1): nothing that failed may look like health


def no_room(*_arguments, **_options):
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@pytest.mark.parametrize("call", ["fork", "pipe2", "dup", "pidfd_open"])
@pytest.mark.parametrize("clone", [starter.CLONE, None])
def test_a1_a_check_that_cannot_be_started_has_no_verdict(monkeypatch, call, clone):
    monkeypatch.setattr(starter, "CLONE", clone)
    monkeypatch.setattr(os, call, no_room)
    ended, log = finished_runs(["/bin/false"], ["/bin/true"])
    assert ended == {0: (None, None), 1: (None, None)}
    assert [line.partition(":")[0] for line in log] == ["cannot run /bin/false", "cannot run /bin/true"]


def test_a1_a_child_without_room_has_no_verdict(monkeypatch):
    """Given that the daemon forks: RLIMIT_NPROC of another user is met in the exec."""
    monkeypatch.setattr(starter, "CLONE", None)
    monkeypatch.setattr(os, "execve", no_room)
    assert finished_runs(["/bin/false"])[0] == {0: (None, None)}


# --- what forks for the daemon may be in any state


by_the_starter = pytest.mark.skipif(starter.CLONE is None, reason="here the daemon forks itself")


def with_a_starter(work):
    """Do `work(children, check, pid, log)` when the starter runs; `check(…)` gives a future: code, signal."""

    async def whole():
        log, futures = [], {}
        children = scripts.Children(lambda run, *end: futures[run].set_result(end), log.append)

        def check(*words, user=""):
            run = len(futures)
            futures[run] = asyncio.get_running_loop().create_future()
            children.run(ScriptConfig(name="s", command="", words=words, user=user), run)
            return futures[run]

        try:
            assert await check("/bin/false") == (1, None)
            async with asyncio.timeout(20):
                await work(children, check, children._starter._pid, log)
        finally:
            children.close()

    asyncio.run(whole())


@by_the_starter
def test_a_starter_that_dies_takes_no_check_with_it_and_is_begun_again():
    async def work(_children, check, pid, log):
        slow = check("/bin/sh", "-c", "sleep 0.5; exit 3")
        assert await check("/bin/true") == (0, None)  # so the slow one is started
        os.kill(pid, signal.SIGKILL)
        while not log:
            await asyncio.sleep(0.01)
        assert await check("/bin/false") == (1, None)
        assert await slow == (3, None)
        assert log == ["what starts scripts has ended: exit code -9"]

    with_a_starter(work)


@by_the_starter
def test_a_check_whose_starter_dies_before_it_is_started_has_no_verdict():
    async def work(_children, check, pid, log):
        os.kill(pid, signal.SIGSTOP)
        asked = [check("/bin/true"), check("/bin/false")]
        os.kill(pid, signal.SIGKILL)
        assert await asyncio.gather(*asked) == [(None, None)] * 2
        assert sorted(line.partition(":")[0] for line in log if "has ended" not in line) == [
            "cannot run /bin/false",
            "cannot run /bin/true",
        ]

    with_a_starter(work)


@by_the_starter
def test_a_starter_that_does_not_answer_until_the_check_is_to_end_is_replaced():
    """SC-4: TERM after the time-out; nothing has run, so there is no verdict."""

    async def work(children, check, pid, _log):
        os.kill(pid, signal.SIGSTOP)
        asked = check("/bin/true")
        children.kill(1, "TERM")
        assert await asked == (None, None)
        while children._starter._pid == pid:
            await check("/bin/false")
        assert await check("/bin/false") == (1, None)

    with_a_starter(work)


@by_the_starter
def test_a_starter_without_descriptors_gives_no_verdict():
    async def work(_children, check, pid, _log):
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        assert await check("/bin/true") == (None, None)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert await check("/bin/false") == (1, None)

    with_a_starter(work)


def owner(pid):
    return Path(f"/proc/{pid}").owner()


@by_the_starter
def test_an_exec_without_room_gives_no_verdict():
    """RLIMIT_NPROC of another user is met there."""
    if os.geteuid() != 0:
        pytest.skip("only root can run checks as others")

    async def work(children, check, pid, log):
        check("/bin/sleep", "60", user="nobody")
        while not any(child.pid and owner(child.pid) == "nobody" for child in children._running):
            await asyncio.sleep(0.01)
        limits = resource.prlimit(pid, resource.RLIMIT_NPROC)
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, limits[1]))
        assert await check("/bin/true", user="nobody") == (None, None)
        assert log == ["cannot run /bin/true: [Errno 11] Resource temporarily unavailable"]

    with_a_starter(work)


@by_the_starter
def test_a_clone_that_fails_and_words_that_are_too_many_give_no_verdict(monkeypatch, tmp_path):
    source = Path(starter.__file__).read_text()
    (tmp_path / "starter.py").write_text(source.replace('{"x86_64": 56', '{"x86_64": 9999'))
    monkeypatch.setattr(starter, "CLONES", None)
    monkeypatch.setattr(starter, "__file__", str(tmp_path / "starter.py"))
    ended, log = finished_runs(["/bin/true"], ["/bin/true", "x" * 200_000])
    assert ended == {0: (None, None), 1: (None, None)}
    assert {"[Errno 38]", "[Errno 7]"} == {line.partition(": ")[2][:10].strip() for line in log}


@by_the_starter
def test_a_check_that_ends_before_the_starter_has_let_go_of_its_pipe_has_its_verdict(monkeypatch, tmp_path):
    """Given a starter that is held up after its clone; the daemon must neither wait nor fall over it."""
    close = "            close(pipe)\n"
    source = Path(starter.__file__).read_text()
    assert source.count(close) == 1
    held_up = f"            import time; time.sleep(0.5)\n{close}"
    (tmp_path / "starter.py").write_text(source.replace(close, held_up))
    monkeypatch.setattr(starter, "__file__", str(tmp_path / "starter.py"))
    failures = []

    async def work(_children, check, _pid, _log):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        assert await check("/bin/false") == (1, None)

    with_a_starter(work)
    assert failures == []


@by_the_starter
def test_a_starter_that_cannot_be_had_leaves_the_fork_to_the_daemon(monkeypatch):
    """Its interpreter is gone, in an upgrade: one check is lost, with a line, and the next ones run."""
    monkeypatch.setattr(processes.sys, "executable", "/no/such/python")

    async def work():
        ended, log = [], []
        children = scripts.Children(lambda *end: ended.append(end), log.append)
        for run in range(3):
            children.run(ScriptConfig(name="s", command="", words=("/bin/false",)), run)
            while len(ended) <= run:
                await asyncio.sleep(0.01)
        children.close()
        return ended, log

    ended, log = asyncio.run(work())
    assert ended[0] == (0, None, None)
    assert ended[-1] == (2, 1, None)
    assert "what starts scripts has ended: [Errno 2] No such file or directory: '/no/such/python'" in log


@by_the_starter
def test_a_signal_to_the_starter_is_nothing_to_it_and_what_it_starts_hears_signals():
    async def work(_children, check, pid, log):
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(pid, number)
        masks = "grep -q '^SigBlk:.0*$' /proc/self/status && grep -q '^SigIgn:.0*$' /proc/self/status"
        assert await check("/bin/sh", "-c", masks) == (0, None)
        assert log == []

    with_a_starter(work)


def test_a1_without_a_verdict_the_last_one_stays():
    """A failing check whose next runs cannot be started leaves the node in FAULT, and is tried again."""
    text = "vrrp_script chk {\n script /bin/check\n interval 1\n}\n" + CONF.replace(
        "priority 100", "priority 100\n track_script {\n chk\n }"
    )
    clock = Clock()
    machine = Machine("lb1", configured(text), DEFAULT_DIALECT, clock)
    results = [(1, None)] + [(None, None)] * 9
    machine.run_script = lambda script, run: (
        machine.scripts.append(run)
        or clock.at(clock.now_ns, lambda: machine.daemon.script_finished(run, *results.pop(0)))
    )
    machine.daemon.start(host("eth0", ip_address("10.0.0.1")))
    clock.run_until(9_000_000_000)
    assert machine.daemon.router.state_of("VI_1").name == "FAULT"
    assert len(machine.scripts) == 10
    results[:] = [(0, None)] * 100
    clock.run_until(30_000_000_000)
    assert machine.daemon.router.state_of("VI_1").name == "MASTER"


def test_files_and_processes_that_cannot_be_looked_at_are_what_they_were(monkeypatch, tmp_path):
    path, seen = tmp_path / "f", []
    path.write_text("-40\n")
    watching = watch.Watch(lambda *value: seen.append(value), lambda *count: None)
    watching._files = (FileConfig(name="f", path=str(path)),)
    watching.look()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", no_room)
        watching.look()
    assert seen == [("f", -40)]
    monkeypatch.setattr(Path, "read_bytes", no_room)
    with pytest.raises(OSError, match="unavailable"):
        watch.count_processes((ProcessConfig(name="me", process="python"),))


def test_without_inotify_files_are_looked_at_often(monkeypatch, tmp_path):
    path, seen = tmp_path / "f", []

    async def work():
        watching = watch.Watch(lambda *value: seen.append(value), lambda *count: None)
        monkeypatch.setattr(watch, "FILES_EVERY_S", 0.01)
        monkeypatch.setattr(watching, "_watch_files", no_room)
        watching.start((FileConfig(name="f", path=str(path)),), (), {})
        path.write_text("7\n")
        await asyncio.sleep(0.2)
        watching.close()

    asyncio.run(work())
    assert seen[-1] == ("f", 7)


def test_a13_children_end_with_the_daemon(tmp_path):
    """A13: PR_SET_PDEATHSIG, also for what runs as another user."""
    user = '"nobody"' if os.geteuid() == 0 else '""'
    program = (
        "import asyncio, os\nfrom vrrpsim.live.scripts import Children\n"
        "async def work():\n"
        "    children = Children(lambda *_: None, print)\n"
        f"    child = children.start(('sleep', '60'), {user})\n"
        "    while not child.pid or b'sleep' not in open(f'/proc/{child.pid}/cmdline', 'rb').read():\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(child.pid, children._starter._pid, flush=True)\n    os.kill(os.getpid(), 9)\n"
        "asyncio.run(work())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    for pid in map(int, done.stdout.split()):
        stat, until = Path(f"/proc/{pid}/stat"), time.monotonic() + 5
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < until, "it lives on"
            time.sleep(0.01)


def test_a13_notify_scripts_that_hang_are_few(tmp_path):
    """A13: 32 of one instance; another one's are not held up."""

    async def work():
        log = []
        children = scripts.Children(lambda *_: None, log.append)
        for _ in range(40):
            children.notify(("sleep", "60"), "", "VI_1")
        children.notify(("sleep", "60"), "", "VI_2")
        begun = list(children._running)
        for each in begun:
            each.signal(signal.SIGKILL)
        while children._running:
            await asyncio.sleep(0.01)
        children.notify(("true",), "", "VI_1")
        await asyncio.sleep(0.2)
        children.close()
        return len(begun), log

    count, log = asyncio.run(work())
    assert count == 33
    assert log == ["(VI_1) sleep not run: 32 notify scripts still run"] * 8
