"""The README says what the program does: its generated parts are current and its commands work."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from readme import ROOT, filled, sections

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_generated_parts_are_current() -> None:
    for name, parts in sections().items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert filled(text, parts) == text, "run: python tests/readme.py"


def examples() -> list[str]:
    """The `vrrpsim …` lines of the shell blocks.

    Not those that name files of the reader, need a terminal (test_watch.py), a browser (tests/playground)
    or real time (tests/lab).
    """
    lines = [
        line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()
    ]
    commands = [line.partition("#")[0].strip() for line in lines if line.startswith("vrrpsim ")]
    return [
        command
        for command in commands
        if not re.search(r"lb1\.conf|/etc/|^vrrpsim (watch|lab|playground)\b", command)
    ]


@pytest.mark.parametrize("command", examples())
def test_examples_work(command: str, tmp_path: Path) -> None:
    """In a folder with a copy of the scenarios, because some examples write files."""
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    words = [
        str(path.relative_to(tmp_path)) if path else word
        for word in shlex.split(re.sub(r">.*", "", command))[1:]
        for path in (sorted(tmp_path.glob(word)) or [None])  # a word that names no file stays as it is
    ]
    done = subprocess.run(
        [sys.executable, "-m", "vrrpsim", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr + done.stdout[-500:]
    assert done.stdout


def test_every_command_is_in_the_readme() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "vrrpsim", "--help"], capture_output=True, text=True, check=True
    )
    commands = re.findall(
        r"^  ([a-z]+)  ", listed.stdout.partition("Commands:")[2].partition("Exit")[0], re.MULTILINE
    )
    assert commands
    missing = [command for command in commands if f"vrrpsim {command}" not in README]
    assert not missing
