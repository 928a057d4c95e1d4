"""A report as JUnit XML: a suite for each file, a case for each finding, one that passes if there is none."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vrrpsim.findings import Finding

from .report import RANK, Report

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in XML 1.0


def as_junit(report: Report) -> str:
    """Return the document; findings below what `--fail-on` asks for pass, and their text is in the case."""
    shown = {id(finding) for finding in report.shown}
    root = Element("testsuites", {"name": f"vrrpsim check: {report.summary}"})
    for each in report.files:
        found = [finding for finding in each.findings if id(finding) in shown]
        bad = [finding for finding in found if RANK[finding.severity] <= RANK[report.fail_on]]
        suite = SubElement(
            root,
            "testsuite",
            {
                "name": _text(each.file),
                "tests": str(max(len(found), 1)),
                "failures": str(len(bad)),
                "errors": "0",
                "skipped": "0",
                "time": "0",
            },
        )
        for finding in found:
            _case(suite, finding, fails=RANK[finding.severity] <= RANK[report.fail_on])
        if not found:
            SubElement(suite, "testcase", {"classname": _text(each.file), "name": "check", "time": "0"})
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode")


def _case(suite: Element, finding: Finding, *, fails: bool) -> None:
    place = finding.place
    name = f"{finding.code} {finding.name} {place.line}:{place.col}"
    case = SubElement(suite, "testcase", {"classname": _text(place.file), "name": name, "time": "0"})
    if fails:
        words = {"type": str(finding.severity), "message": _text(finding.message)}
        SubElement(case, "failure", words).text = _text(str(finding))
    else:
        SubElement(case, "system-out").text = _text(str(finding))


def _text(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", text)
