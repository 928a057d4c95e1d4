"""Shell completion, by the protocol that the scripts speak, and once through a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def offered(line, cwd=ROOT):
    """What the program answers when a shell asks to complete the last word of the line."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-c", "from vrrpsim.cli import main; main()"],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        env={
            **os.environ,
            "_VRRPSIM_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
    )
    assert not done.stderr, done.stderr
    return [tuple(each.split(",", 1)) for each in done.stdout.splitlines() if each]


def test_commands_and_options():
    assert ("plain", "completion") in offered("vrrpsim comp")
    assert {("plain", "run"), ("plain", "sweep"), ("plain", "init")} <= {*offered("vrrpsim ")}
    assert ("plain", "--seed") in offered("vrrpsim run --se")


def test_dialects():
    offers = [("plain", name) for name in ("keepalived-2.3.3", "keepalived-2.3.4")]
    assert offered("vrrpsim check --dialect keepalived-2.3") == offers


def test_scenarios_but_not_other_files(tmp_path):
    for name in ("pair.yaml", "peer.conf", "pear.txt", "other.yaml"):
        (tmp_path / name).touch()
    assert offered("vrrpsim run p", tmp_path) == [("plain", "pair.yaml"), ("plain", "peer.conf")]
    (tmp_path / "pairs").mkdir()  # the shell knows better how to go into it
    assert offered("vrrpsim run p", tmp_path) == [("file", "p")]


@pytest.mark.parametrize("command", ["run", "sweep", "show"])
def test_paths_of_the_scenario(command):
    found = offered(f"vrrpsim {command} scenarios/weight-too-small.yaml --set nodes.ha1.keepalived.vrrp_s")
    names = ("script", "interval", "weight")
    assert found == [("plain", f"nodes.ha1.keepalived.vrrp_scripts.chk_haproxy.{name}=") for name in names]


def test_distributions_are_one_value():
    assert ("plain", "segments.lan.delay=") in offered("vrrpsim run scenarios/partition.yaml --set segments")


def test_a_broken_scenario_offers_nothing(tmp_path):
    (tmp_path / "broken.yaml").write_text("{")
    assert offered("vrrpsim run broken.yaml --set x", tmp_path) == []
    assert offered("vrrpsim run missing.yaml --set x", tmp_path) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell):
    done = subprocess.run(
        [sys.executable, "-m", "vrrpsim", "completion", shell], capture_output=True, text=True, check=True
    )
    assert f"_VRRPSIM_COMPLETE={shell}_complete" in done.stdout


def test_a_shell_that_nobody_knows():
    done = subprocess.run(
        [sys.executable, "-m", "vrrpsim", "completion", "tcsh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "tcsh" in done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes():
    script = """
        source <(vrrpsim completion bash)
        COMP_WORDS=(vrrpsim run scenarios/weight-too-small.yaml --set nodes.ha1.keepalived.vrrp_s)
        COMP_CWORD=4
        _vrrpsim_completion vrrpsim
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env={**os.environ, "PATH": path},
    )
    assert done.stdout.split() == [
        f"nodes.ha1.keepalived.vrrp_scripts.chk_haproxy.{name}=" for name in ("script", "interval", "weight")
    ], done.stderr
