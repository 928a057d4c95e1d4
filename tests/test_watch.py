"""`vrrpsim watch`: the right picture of each instant, and the whole show on a real pseudo-terminal."""

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

import vrrpsim
from vrrpsim.report.replay import Replay

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "vrrpsim", "watch", "scenarios/haproxy-crash.yaml"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def run():
    return vrrpsim.load(ROOT / "scenarios/haproxy-crash.yaml").run()


def shown(run, at_s, height=24):
    console = Console(width=100, height=height, file=io.StringIO(), record=True)
    console.print(Replay(run.scenario, run.trace, run.result).at(round(at_s * 1e9), height))
    return console.export_text()


def test_each_instant_is_that_of_the_document(run):
    """States, owners and clients as --json has them, asked a moment after each change."""
    document = run.to_dict()
    for at_s in (2.0, 10.0, 20.0, 40.0):
        text = shown(run, at_s)
        owners = [t["nodes"] for t in document["tenures"] if t["start_s"] <= at_s < t["end_s"]]
        expected = owners[0][0] if owners else "nobody"
        assert re.search(rf"^192\.168\.50\.108 +{expected}\b", text, re.MULTILINE), text
        master = [node for node in ("lb1", "lb2") if re.search(rf"^{node} VI_1 +MASTER", text, re.MULTILINE)]
        assert master == ([expected] if owners else [])
    [outage] = document["clients"]["web"]["outages"]
    middle = float(outage["start_s"] + outage["end_s"]) / 2
    assert re.search(r"^client web +no answer", shown(run, middle), re.MULTILINE)


def test_the_story_is_only_told_up_to_now(run):
    assert "kill lb1/haproxy" not in shown(run, 10.0)
    assert "kill lb1/haproxy" in shown(run, 20.0)
    assert "start lb1/haproxy" not in shown(run, 20.0)


def test_a_small_terminal_gets_the_last_lines(run):
    small = shown(run, 45.0, height=12)
    assert "start of keepalived\n" not in small.partition("\n\n")[2]
    assert len(small.splitlines()) <= 12


def played(*arguments, interrupt_after_s=None):
    """Run it on a pseudo-terminal; return exit code, what was drawn and how long it took."""
    ours, theirs = pty.openpty()
    began = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
    )
    os.close(theirs)
    drawn = b""
    while time.monotonic() - began < 240:
        ready, _, _ = select.select([ours], [], [], 0.1)
        if ready:
            try:
                drawn += os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                break
        if interrupt_after_s and b"MASTER" in drawn:
            process.send_signal(signal.SIGINT)
            interrupt_after_s = None
    os.close(ours)
    return process.wait(60), ESCAPES.sub("", drawn.decode(errors="replace")), time.monotonic() - began


def test_the_show_on_a_terminal():
    code, drawn, took_s = played("--speed", "45")
    assert code == 0
    assert drawn.rstrip().endswith("passed: 8 of 8 expectations")
    for words in ("MASTER", "no answer", "kill lb1/haproxy", "answered by lb2", "45.0 s of 45.0 s"):
        assert words in drawn
    assert took_s >= 1.0  # 45 s at 45 times


def test_ctrl_c_ends_the_show():
    code, drawn, _ = played("--speed", "1", interrupt_after_s=1)
    assert code == 130
    assert "interrupted" in drawn
    assert "passed" not in drawn


def test_without_a_terminal_it_says_so():
    done = subprocess.run(COMMAND, capture_output=True, text=True, cwd=ROOT, check=False, timeout=240)
    assert done.returncode == 4
    assert "stdout is none" in done.stderr
    assert not done.stdout


def test_a_speed_of_nothing_is_refused():
    done = subprocess.run([*COMMAND, "--speed", "0"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
