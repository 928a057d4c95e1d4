"""Generated parts of tutorial and scenarios; `python tests/readme.py` writes, test_readme.py compares."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import vrrpsim
from vrrpsim import review
from vrrpsim.cli import main
from vrrpsim.scenario.quantities import format_duration

ROOT = Path(__file__).parent.parent


def sections() -> dict[str, dict[str, str]]:
    """Text of each generated part, by file and by the name in its markers."""
    return {
        "docs/tutorial/2-one-run.md": {"report": _report()},
        "docs/tutorial/5-a-better-change.md": {"questions": _questions(*QUESTIONS, most=9)},
        "README.md": {"answers": _questions(CHECK, CENSUS, ADVISE, DIFF, most=7)},
        "scenarios/README.md": {"scenarios": _scenarios()},
    }


def filled(text: str, parts: dict[str, str]) -> str:
    """Return a file with every generated part as it is now."""
    for name, body in parts.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, body=body: f"{match[1]}{body}{match[2]}", text)
    return text


def _report() -> str:
    shown = vrrpsim.load(ROOT / "scenarios/haproxy-crash.yaml").run().text(width=100)
    return f"```text\n$ vrrpsim run haproxy-crash\n{shown.rstrip()}\n```\n"


CHECK, CENSUS, ADVISE, WRITE, DIFF = QUESTIONS = (  # as they are asked on a terminal, in this order
    "vrrpsim check lb1.conf lb2.conf",
    "vrrpsim census lb1.conf lb2.conf --no-pairs",
    "vrrpsim advise lb1.conf lb2.conf",
    "vrrpsim advise lb1.conf lb2.conf --row 7 --write new",
    "vrrpsim diff lb1.conf lb2.conf -- new --no-pairs --top 2",
)


@cache
def _answers() -> dict[str, list[str]]:
    """What each question prints about the pair of the examples; what takes long is asked once."""
    answers, once = {}, cache(review.advise)
    wide = mock.patch.dict(os.environ, COLUMNS="80")
    with TemporaryDirectory() as folder, chdir(folder), wide, mock.patch.object(review, "advise", once):
        for name in ("lb1.conf", "lb2.conf"):
            shutil.copy(ROOT / "scenarios" / "keepalived" / name, name)
        for command in QUESTIONS:
            printed = TextIOWrapper(BytesIO(), encoding="utf-8")
            with redirect_stdout(printed), redirect_stderr(StringIO()):
                main(shlex.split(command)[1:])
            printed.seek(0)
            answers[command] = printed.read().splitlines()
    return answers


def _questions(*commands: str, most: int) -> str:
    """These questions and the beginning of each answer."""
    blocks = []
    for command in commands:
        answer = _answers()[command]
        head = f" | head -{most}" if len(answer) > most else ""
        blocks.append("\n".join([f"$ {command}{head}", *answer[:most]]))
    return "```text\n" + "\n\n".join(blocks) + "\n```\n"


def _scenarios() -> str:
    rows = ["| scenario | what happens | longest failover | longest outage | two owners |"]
    rows.append("|---|---|---|---|---|")
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        study = vrrpsim.load(path)
        result = study.run().result
        failover = max((each.length_ns for each in result.failovers if each.is_takeover), default=None)
        outage = max((client.longest_ns for client in result.clients.values()), default=None)
        dual = max((ownership.dual_master_ns for ownership in result.ownerships), default=0)
        cells = ("–" if ns is None else _shown(ns) for ns in (failover, outage, dual))
        rows.append(f"| {path.stem} | {' '.join(study.scenario.description.split())} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _shown(ns: int) -> str:
    return format_duration((ns + 500_000) // 1_000_000 * 1_000_000)


if __name__ == "__main__":
    for name, parts in sections().items():
        (ROOT / name).write_text(filled((ROOT / name).read_text(encoding="utf-8"), parts), encoding="utf-8")
