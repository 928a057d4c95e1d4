"""What a hostile test of readers and writers found (issue 15, A7 to A10 and A13): each fault by name."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vrrpsim.build import load
from vrrpsim.cli import main

SCENARIO = """
version: 1
name: {name}
duration: 60s
segments: {{lan: {{subnet: 10.9.0.0/24}}}}
nodes:
  a:
    interfaces: {{eth0: {{segment: lan, address: 10.9.0.1/24}}}}
    keepalived: {keepalived}
events: {events}
"""
INLINE = "{vrrp_instances: {V: {interface: eth0, virtual_router_id: 51, virtual_ipaddress: [10.9.0.9]}}}"
CONF = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n10.9.0.9\n}\n}\n"


def scenario(folder, name="x", keepalived=INLINE, events="[]"):
    path = folder / "s.yaml"
    path.write_text(SCENARIO.format(name=name, keepalived=keepalived, events=events))
    return path


@pytest.mark.parametrize("character", ["\\e[31m", "\\x07", "\\x9b", "\\u202e"])
def test_a7_a_name_holds_no_terminal_command(tmp_path, capsys, character):
    assert main(["run", str(scenario(tmp_path, f'"x{character}"'))]) == 3
    assert not set(capsys.readouterr().err) & {"\x1b", "\x07", "\x9b", "\u202e"}


@pytest.mark.parametrize("character", ["\x9b", "\u202e", "\u2066"])
def test_a7_a_word_of_a_configuration_holds_none_either(tmp_path, capsys, character):
    path = tmp_path / "k.conf"
    path.write_text(CONF.replace("V {", f"V{character}1 {{ # {character}"))
    assert main(["check", str(path)]) == 1
    said = "".join(capsys.readouterr())
    assert f"k.conf:1:16: error: VRRP001 contains the control character U+{ord(character):04X}" in said
    assert character not in said
    path.write_text(CONF.replace("V {", f"V {{ # {character}"))  # a comment may be from Windows
    assert main(["check", str(path)]) == 0


@pytest.mark.parametrize("character", ["\\e[31m", "\\x07", "\\x9b", "\\u202e"])
def test_a7_nor_does_a_configuration_in_yaml(tmp_path, capsys, character):
    """Neither as the name of a block nor as a word."""
    named = f'{{vrrp_instances: {{"V{character}": {{interface: eth0, virtual_router_id: 51}}}}}}'
    worded = f'{{global_defs: {{router_id: "lb{character}"}}}}'
    for keepalived in (named, worded):
        assert main(["run", str(scenario(tmp_path, keepalived=keepalived))]) == 3
        said = capsys.readouterr().err
        assert "contains the control character" in said
        assert not set(said) & {"\x1b", "\x07", "\x9b", "\u202e"}


def test_a8_a_planted_link_is_not_written_through(tmp_path):
    """Given links by every name that a part file had, then the victim is what it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for pid in range(os.getpid() - 5, os.getpid() + 5):
        (tmp_path / f".p.csv.{pid}.part").symlink_to(victim)
    words = ["sweep", str(scenario(tmp_path)), "-n", "2", "-j", "1", "-q", "-o", str(tmp_path / "p.csv")]
    assert main(words) in (0, 1)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "p.csv").is_symlink()


def test_a9_an_include_from_elsewhere_is_not_quoted_and_may_be_refused(tmp_path, capsys, monkeypatch):
    secret = tmp_path / "shadow"
    secret.write_text("root:hunter2:20228\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "k.conf").write_text(f"include {secret}\n{CONF}")
    main(["check", str(home / "k.conf")])
    said = "".join(capsys.readouterr())
    assert f"{secret}:1:1" in said
    assert "hunter2" not in said
    (home / "near").write_text("root:hunter2\n")
    (home / "k.conf").write_text(f"include near\n{CONF}")
    main(["check", str(home / "k.conf")])
    assert "hunter2" in "".join(capsys.readouterr())  # one's own words are
    monkeypatch.delenv("VRRPSIM_CONFINE", raising=False)
    (home / "k.conf").write_text(f"include {secret}\n{CONF}")
    try:
        assert main(["--confine", "check", str(home / "k.conf")]) != 0
        assert f"{secret} lies outside of {home}" in "".join(capsys.readouterr())
        assert main(["--confine", "run", str(scenario(home, keepalived="{file: ../shadow}"))]) == 3
        assert "lies outside of" in "".join(capsys.readouterr())
    finally:
        os.environ.pop("VRRPSIM_CONFINE", None)


def test_a10_a_repeated_event_is_bounded(tmp_path, capsys):
    events = "[{at: 1s, link_down: a/eth0, for: 1us, every: 2us}]"
    began = time.monotonic()
    assert main(["run", str(scenario(tmp_path, events=events))]) == 3
    assert time.monotonic() - began < 5
    assert "every: would fire 30,000,000 times; at most 1,000,000 are possible" in capsys.readouterr().err


def test_a10_a_grid_is_told_and_bounded(tmp_path, capsys):
    path = scenario(tmp_path)
    many = ",".join(f"{number}s" for number in range(1, 1001))
    words = ["--vary", f"duration={many}", "--vary", f"segments.lan.delay={many}"]
    assert main(["sweep", str(path), *words]) == 2
    assert "a grid of 1,000,000 cells; at most 10,000 are possible" in capsys.readouterr().err
    assert main(["sweep", str(path), "-n", "2", "-j", "1", "--vary", "duration=5s,6s"]) in (0, 1)
    assert "2 cells of 2 runs: 4 in all" in capsys.readouterr().err
    with pytest.raises(ValueError, match="a grid of 1,000,000 cells; at most 10,000 are possible"):
        load(path).sweep(1, vary={"duration": range(1, 1001), "segments.lan.delay": range(1, 1001)})


WRITERS = [
    "check {}",
    "run {}",
    "run {} --json",
    "schema",
    "show {}",
    "sweep {} -n 2 -j 1",
    "examples",
    "--help",
]


@pytest.mark.parametrize("words", WRITERS)
def test_a13_no_room_for_the_output_is_4_in_one_line(tmp_path, words):
    line = [sys.executable, "-m", "vrrpsim", *words.format(scenario(tmp_path)).split()]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert done.stderr.splitlines()[-1] == "cannot write the output: No space left on device"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("after_s", [0.06, 0.1, 0.15, 0.25, 0.5])
def test_a13_an_interrupt_at_any_instant_is_130_without_a_traceback(tmp_path, after_s):
    """The whole group gets it, workers as well, as from a terminal."""
    asked = f"sweep {scenario(tmp_path)} -n 200000 -j 2 -q".split()
    words = [sys.executable, "-m", "vrrpsim", *asked]
    running = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    time.sleep(after_s + 0.05)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=30)
    python_starts = "/vrrpsim/" not in said and "interrupted" not in said  # before a line of ours ran
    assert "KeyboardInterrupt" not in said or python_starts
    assert running.returncode in (130, -signal.SIGINT) or python_starts  # a shell says 130 to both


def test_a13_an_interrupt_in_a_finalizer_is_not_lost(tmp_path):
    """Given one that comes where Python can only tell of it, as in an import, then it is the run's."""
    (tmp_path / "sitecustomize.py").write_text(
        "class Late:\n"
        "    def __del__(self):\n"
        "        raise KeyboardInterrupt\n"
        "import vrrpsim.cli\n"
        "run = vrrpsim.cli.main\n"
        "def main():\n"
        "    late = Late()\n"
        "    del late\n"
        "    return run()\n"
        "vrrpsim.cli.main = main\n"
    )
    words = [sys.executable, "-m", "vrrpsim", "sweep", str(scenario(tmp_path)), "-n", "200000", "-j", "1"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1]}"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stderr.split() == ["interrupted"]
