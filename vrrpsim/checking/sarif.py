"""A report as SARIF 2.1.0, which code scanners read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vrrpsim import __version__
from vrrpsim.findings import Finding
from vrrpsim.rules import RULES, Rule

from .baseline import known_as
from .report import Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def as_sarif(report: Report) -> str:
    """Return one run with the rules that it names."""
    shown = report.shown
    codes = sorted({finding.code for finding in shown})
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "vrrpsim",
                        "version": __version__,
                        "informationUri": "https://vrrpsim.readthedocs.io/",
                        "rules": [_rule(RULES[code]) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "properties": {"leftOut": report.left_out},
                "results": [_result(report, finding, codes.index(finding.code)) for finding in shown],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(part.title() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.name},
        "fullDescription": {"text": rule.why},
        "helpUri": rule.url,
        "defaultConfiguration": {"level": LEVELS[str(rule.severity)]},
    }


def _result(report: Report, finding: Finding, index: int) -> dict[str, Any]:
    place = finding.place
    line, col = report.end_of(place)
    region = {"startLine": place.line, "startColumn": place.col, "endLine": line, "endColumn": col}
    where: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.file)}}
    if place.line:
        where["region"] = region
    mark = hashlib.sha256("\0".join(known_as(finding, Path.cwd())).encode("utf-8", "replace")).hexdigest()
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": LEVELS[str(finding.severity)],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": where}],
        "partialFingerprints": {"vrrpsim/v1": mark},
    }


def _uri(file: str) -> str:
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
