"""A report for GitHub, beside the lines and as a summary."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vrrpsim.rules import RULES

from .report import Report

LEVELS = {"error": "error", "warning": "warning", "info": "notice"}  # GitHub's


def as_github(report: Report) -> Iterator[str]:
    """Yield workflow commands, which GitHub shows beside the lines."""
    for finding in report.shown:
        place, (line, col) = finding.place, report.end_of(finding.place)
        values = {
            "file": place.file,
            "line": place.line,
            "col": place.col,
            "endLine": line,
            "endColumn": col,
            "title": f"{finding.code} {finding.name}",
        }
        told = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in values.items())
        yield f"::{LEVELS[str(finding.severity)]} {told}::{_escaped(finding.message)}"
    if report.left_out:
        yield f"::notice title=vrrpsim check::and {report.left_out} more"


def _escaped(text: str, also: str = "") -> str:
    return re.sub(f"[%\r\n{also}]", lambda match: f"%{ord(match[0]):02X}", text)


def as_markdown(report: Report) -> Iterator[str]:
    """Yield a summary for a pull request or a job: a table of what was found."""
    yield f"**vrrpsim check:** {report.summary}"
    shown = report.shown
    if not shown:
        return
    yield ""
    yield "| | place | rule | finding |"
    yield "|---|---|---|---|"
    for each in shown:
        link = f"[{each.code}]({RULES[each.code].url}) {each.name}"
        yield f"| {each.severity} | `{each.place}` | {link} | {_cell(each.message)} |"
    if report.left_out:
        yield ""
        yield f"and {report.left_out} more"


def _cell(text: str) -> str:
    return re.sub(r"([\\|<>*_`\[\]])", r"\\\1", text).replace("\n", " ")
