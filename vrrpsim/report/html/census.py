"""The page of a census: a view of its JSON document with the worst run of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vrrpsim import __version__
from vrrpsim.redaction import masked
from vrrpsim.report.census import OUTCOMES, Document, headline, report, verdict_line

from . import page

SCRIPTS = ("common.js", "census.js")


def census_page(document: Document, command: str = "") -> bytes:
    """Return the page; `command` repeats the census."""
    shown = data(document) | {"command": masked(command)}
    return page(f"{document['census']}: census", shown, SCRIPTS, masked(report(document)))


def data(document: Document) -> dict[str, Any]:
    """Return what the page shows; all times in ns."""
    numbers = {name: number for number, name in enumerate(document["faults"])}
    return {
        "kind": "census",
        "name": document["census"],
        "headline": headline(document),
        "verdict": document["verdict"],
        "verdict_line": verdict_line(document),
        "version": __version__,
        "nodes": document["nodes"],
        "faults": document["faults"],
        "outcomes": OUTCOMES,
        "figures": list(_figures(document)),
        "cells": [_cell(cell, numbers) for cell in document["cells"]],
    }


def _figures(document: Document) -> list[list[str]]:
    both = document["outcomes"]
    words = {"single": "faults", "pair": "pairs"}
    return [
        [outcome, " · ".join(str(both[kind].get(outcome, 0)) for kind in words if both[kind]),
         " · ".join(words[kind] for kind in words if both[kind])]
        for outcome in OUTCOMES
    ]  # fmt: skip


def _cell(cell: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    worst = cell["worst"]
    return {
        "name": cell["cell"],
        "size": len(cell["faults"]),
        "faults_of": [numbers[name] for name in cell["faults"]],
        "outcome": OUTCOMES.index(cell["outcome"]),
        "shares": list(cell["outcomes"].items()),
        "runs": cell["runs"],
        "p50": _ns(cell["outage"]["p50_s"]),
        "max": _ns(cell["outage"]["max_s"]),
        "cut": cell["outage"]["max_cut"],
        "two": _ns(cell["two_owners_s"]),
        "beyond": cell["beyond"],
        "blame": cell["blame"],
        "command": masked(worst["command"]),
        "from": _ns(worst["faults"][0]["at_s"]) if worst["faults"] else 0,
        "faults": [
            [_ns(each["at_s"]), None if each["until_s"] is None else _ns(each["until_s"]), each["what"]]
            for each in worst["faults"]
        ],
        "owners": [
            [address, [[_ns(at), who] for at, who in steps]] for address, steps in worst["owners"].items()
        ],
        "outages": [[each["who"], _ns(each["start_s"]), _ns(each["end_s"])] for each in worst["outages"]],
    }


def _ns(value: Decimal | None) -> int:
    return int(value.scaleb(9)) if value else 0
