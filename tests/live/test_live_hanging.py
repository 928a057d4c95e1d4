"""A file that hangs, as on a server that is gone, must stop neither the loop nor the adverts.

Of programs it is the exec that hangs: a write lease on the file makes whoever opens it wait for as long as
the lease is not given back, up to /proc/sys/fs/lease-break-time (45 s).
"""

import asyncio
import fcntl
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from clusters import VIP, conf
from lan import Lan, children_of, comm_of, needs_namespaces

from vrrpsim.live import background, scripts, service, starter, watch
from vrrpsim.protocol.configuration import ScriptConfig

SCRIPT = """
    global_defs {{
        script_user root
    }}
    vrrp_script chk {{
        script {program}
        interval 1
        timeout 60
        weight -10
    }}
"""


@contextmanager
def unreachable(path):
    """An executable whose exec hangs for as long as this lasts."""
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    lease = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"this file system gives no lease: {error.strerror}")
        yield
    finally:
        os.close(lease)
        signal.signal(signal.SIGIO, before)


@pytest.fixture(params=["by the starter", "by itself"])
def forks(request, monkeypatch):
    """Who forks: where the kernel's number of clone(2) is not known, the daemon does."""
    if request.param == "by itself":
        monkeypatch.setattr(starter, "CLONE", None)


async def until(condition, what, seconds=15):
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, what
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("forks")
def test_the_loop_goes_on_and_the_child_hears_the_signal(tmp_path):
    """SC-4: TERM ends a child that hangs in its exec; the parent takes that signal for none of its own."""
    program = tmp_path / "check"
    ended, log, own = [], [], []

    async def work():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, own.append, "TERM")
        children = scripts.Children(lambda *end: ended.append(end), log.append)
        try:
            for run in (1, 2):
                children.run(ScriptConfig(name="s", command="", words=(str(program),)), run)
            await asyncio.sleep(0.5)  # the loop does this while they hang
            assert ended == []
            children.kill(1, "TERM")
            await until(lambda: ended, "the first has ended")
            await asyncio.sleep(0.1)
        finally:
            children.close()

    with unreachable(program):
        asyncio.run(work())
    assert (ended, log, own) == ([(1, None, signal.SIGTERM)], [], [])


@pytest.mark.usefixtures("forks")
def test_nothing_of_ours_is_held_by_a_child_that_hangs(tmp_path):
    program = tmp_path / "check"
    held = []

    async def work():
        children = scripts.Children(lambda *_: None, lambda _: None)
        child = children.start((str(program),), "")
        await until(lambda: child.pid, "it is started")
        files = Path(f"/proc/{child.pid}/fd")
        with Path(os.devnull).open():
            await until(lambda: len(list(files.iterdir())) == 4, "it has closed them")  # with the pipe
        held.extend(str((files / number).readlink()) for number in "012")
        child.signal(signal.SIGKILL)
        children.close()

    with unreachable(program):
        asyncio.run(work())
    assert held == [os.devnull] * 3


@pytest.mark.usefixtures("forks")
def test_a_program_that_cannot_be_exec_ed_is_told_and_counts_as_success(tmp_path):
    """SC-6; and the same for a name without a slash."""
    ended, log = [], []

    async def work():
        children = scripts.Children(lambda *end: ended.append(end), log.append)
        for run, word in enumerate((str(tmp_path), "no-such-program", "true")):
            children.run(ScriptConfig(name="s", command="", words=(word,)), run)
        await until(lambda: len(ended) == 3, "they have ended")
        children.close()

    asyncio.run(work())
    assert sorted(ended) == [(0, 0, None), (1, 0, None), (2, 0, None)]
    assert sorted(line.partition(": ")[0] for line in log) == [
        f"cannot run {tmp_path}",
        "cannot run no-such-program",
    ]


def test_a_trace_whose_reader_has_stopped_holds_up_nobody():
    """And what waits is written in order once he goes on."""
    ours, theirs = os.pipe()
    lines = [f"{number} {'x' * 100}\n" for number in range(5_000)]  # a pipe holds 64 KiB
    scribe = background.LineWriter(os.fdopen(theirs, "w"), pytest.fail)
    for line in lines:
        scribe.write(line)
    Thread(target=scribe.close).start()
    with os.fdopen(ours) as reader:
        assert list(reader) == lines


def test_a_trace_that_cannot_be_written_does_not_keep_the_daemon_from_its_end():
    ours, theirs = os.pipe()
    file = os.fdopen(theirs, "w")
    scribe = background.LineWriter(file, pytest.fail)
    for _ in range(5_000):
        scribe.write("x" * 100)
    scribe.close()  # returns, without the file: its thread has it
    assert not file.closed
    os.read(ours, 1)
    with os.fdopen(ours) as reader:
        Thread(target=lambda: (scribe._speaker._thread.join(), file.close())).start()
        assert len(reader.read()) == 5_000 * 100 - 1


def test_a_full_disk_ends_the_trace_and_is_told_once():
    said = []
    scribe = service.open_trace(Path("/dev/full"), said.append)
    for _ in range(100):
        scribe.write("x\n")
    scribe.close()
    assert said == ["/dev/full ends here: No space left on device"]


def test_a_tracked_file_that_is_a_fifo_is_nothing_to_wait_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert watch.file_value(tmp_path / "fifo") == 0


@needs_namespaces()
def test_adverts_go_on_while_a_check_and_a_notify_script_hang_in_their_exec(tmp_path):
    program = tmp_path / "program"
    with unreachable(program), Lan(tmp_path / "lan", ["n1"]) as lan:
        text = conf(1, 100, "v3", f"track_script {{\n chk\n }}\n notify {program}")
        daemon = lan.vrrpsim("n1", SCRIPT.format(program=program) + text)
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        lan.wait(lambda: len(children_of(daemon.pid)) >= 2, "both programs are started")
        lan.adverts()
        seen = []
        lan.wait(lambda: seen.extend(lan.adverts()) or len(seen) >= 20, "adverts")
        assert program.name not in {comm_of(child) for child in children_of(daemon.pid)}  # they hang still
        assert {advert.priority for advert in seen} == {100}  # no result has come, no -10
        assert lan.stop(daemon) == 0
