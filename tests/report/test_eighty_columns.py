"""On a terminal of 80 columns no line is wider, and none breaks inside a word or a number."""

import os
import re
import subprocess
import sys

import pytest

from vrrpsim.report.text import folded

COMMANDS = [
    "run sync-group",
    "run vrid-clash",
    "run live-migration",
    "show active-active",
    "sweep sync-group -n 6 -j 1",
    "sweep haproxy-crash -n 6 -j 1 --vary segments.lan.loss=0%,20%",
    "hunt three-nodes-v3 --faults crash --max-examples 8",
    "census haproxy-crash -n 1 --no-pairs -j 1",
]


def printed(command, columns):
    done = subprocess.run(
        [sys.executable, "-m", "vrrpsim", *command.split()],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": str(columns)},
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_wider_than_the_terminal(command):
    text = printed(command, 80)
    wide = [line for line in text.splitlines() if len(line) > 80]
    assert [line for line in wide if not re.match(r" *(vrrpsim |digest )", line)] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short", ["short"]),
        ("a  " + "word " * 8 + "end", ["a  word word word", "   word word word", "   word word end"]),
        ("  vrrpsim run a-very-long-name.yaml --seed 7", ["  vrrpsim run a-very-long-name.yaml --seed 7"]),
        ("averylongwordthatstandsalone 1.234 s", ["averylongwordthatstandsalone", "  1.234 s"]),
    ],
)
def test_a_line_continues_below_its_last_column(line, expected):
    assert folded(line, 19) == expected
    assert " ".join(" ".join(folded(line, 19)).split()) == " ".join(line.split())
