"""The page of one run: everything that `--json` says, on one time axis, with the reasons beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vrrpsim import __version__
from vrrpsim.keepalived.writer import keepalived_conf
from vrrpsim.measure.expectations import Verdict
from vrrpsim.measure.failovers import Failover
from vrrpsim.measure.result import Result
from vrrpsim.redaction import masked
from vrrpsim.report.lanes import node_tones
from vrrpsim.report.messages import sequence
from vrrpsim.report.text import (
    Terminal,
    bound_words,
    brief,
    failovers_alike,
    harm_shown,
    headline,
    measured_words,
    report,
    story,
    verdict_line,
    worst_outage,
)
from vrrpsim.report.waterfall import WORDS, main_failover, outage_words
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import format_duration
from vrrpsim.scenario.secrets import secrets_of
from vrrpsim.trace import Trace

from . import page
from .timeline_data import Words, lanes, priorities

EVENTS, FAILOVERS, LINES = 500, 40, 400
QUOTED = 40_000  # characters of the scenario, and of all configurations
SCRIPTS = ("common.js", "timeline.js", "sequence.js", "run.js")


def run_page(scenario: Scenario, trace: Trace, result: Result, command: str = "") -> bytes:
    """Return the page; `command` repeats the run. Reads the scenario's file once more, to quote it."""
    secrets = secrets_of(scenario)
    command = masked(command, secrets)
    plain = masked(report(scenario, trace, result, command=command, look=Terminal(100)), secrets)
    return page(result.name or "run", data(scenario, trace, result, command), SCRIPTS, plain)


def data(scenario: Scenario, trace: Trace, result: Result, command: str) -> dict[str, Any]:
    """Return what the page shows; all times in ns."""
    words = Words()
    lines = story(trace, result)
    alike = failovers_alike(result.failovers)
    slowest = sorted(alike, key=lambda each: -(each[1].total_ns or each[1].length_ns))[:FAILOVERS]
    main = main_failover(result)
    return {
        "kind": "run",
        "name": result.name or "run",
        "about": scenario.description,
        "headline": headline(scenario, result),
        "seed": result.seed,
        "duration": max(result.duration_ns, 1),
        "verdict": result.verdict,
        "verdict_line": verdict_line(result),
        "badge": "shown" if result.verdict == "pass" and harm_shown(result) else result.verdict,
        "command": command,
        "digest": result.digest,
        "version": __version__,
        "figures": list(_figures(result)),
        "counts": {name.replace("_", " "): count for name, count in result.counts.items()},
        "nodes": node_tones(scenario),
        "lanes": lanes(scenario, trace, result, words),
        "priorities": priorities(scenario, trace, words),
        "words": words.table,
        "events": [
            {"at": each.at_ns, "until": each.until_ns, "text": str(each)} for each in result.events[:EVENTS]
        ],
        "more_events": max(len(result.events) - EVENTS, 0),
        "story": [[line.at_ns, line.who, line.text] for line in lines[:LINES]],
        "more_story": max(len(lines) - LINES, 0),
        "failovers": [
            _failover(label, each, main is not None and each is main[1])
            for label, each in alike
            if any(each is shown for _, shown in slowest)
        ],
        "outage": _outage(result),
        "more_failovers": max(len(alike) - FAILOVERS, 0),
        "expectations": [_expectation(each) for each in result.expectations],
        "sequence": sequence(scenario, trace),
        "configuration": list(_configuration(scenario)),
    }


def _figures(result: Result) -> Iterator[tuple[str, str, str]]:
    """The answers first: the slowest failover, the longest outage, several owners, none."""
    found = main_failover(result)
    if found:
        _, slowest = found
        length_ns = slowest.length_ns if slowest.total_ns is None else slowest.total_ns
        yield "Main failover", _shown(length_ns), f"{slowest.old} → {slowest.new} after {slowest.cause}"
    else:
        yield "Failovers", "none", "no change of owner answered an event"
    views = [view for view in result.clients.values() if view.longest]
    worst = max(views, key=lambda view: view.longest_ns, default=None)
    if worst:
        yield "Longest outage", _shown(worst.longest_ns), f"client {worst.name}"
    elif result.clients:
        yield "Longest outage", "none", "every request was answered"
    for name, total in (("Two owners", "dual_master_ns"), ("No owner", "vacancy_ns")):
        most = max(result.ownerships, key=lambda owned: getattr(owned, total), default=None)
        if most:
            amount = getattr(most, total)
            yield name, _shown(amount) if amount else "never", f"in all, {most.address}" if amount else ""


def _shown(ns: int) -> str:
    return brief(ns) if ns < 120_000_000_000 else format_duration(ns)


def _failover(label: str, each: Failover, main: bool) -> dict[str, Any]:
    return {
        "label": label,
        "from": each.old,
        "to": each.new,
        "kind": each.kind.value,
        "cause": str(each.cause),
        "fault": each.fault_ns,
        "owner": each.owner_ns,
        "total": each.total_ns,
        "parts": [[WORDS[part.name], part.length_ns, part.keyword] for part in each.parts],
        "main": main,
    }


def _outage(result: Result) -> dict[str, Any] | None:
    found = worst_outage(result)
    if found is None:
        return None
    name, outage, parts = found
    words = zip(parts, outage_words(parts), strict=True)
    return {
        "client": name,
        "start": outage.start_ns,
        "end": outage.end_ns,
        "ended": outage.ended,
        "parts": [[part.cause, part.length_ns, governed] for part, governed in words],
    }


def _expectation(each: Verdict) -> dict[str, Any]:
    span = each.span or ((each.at_ns, each.at_ns) if each.at_ns is not None else None)
    measured = measured_words(each) or str(
        each.measured or ""
    )  # an owner who is the right one is left out there
    return {
        "ok": "shown" if each.shows_harm else each.ok,
        "wanted": bound_words(each),
        "measured": measured,
        "span": span,
    }


def _configuration(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Return titles and texts: the scenario as it is written, then what each node runs."""
    if scenario.path is not None:
        try:
            written = scenario.path.read_text(encoding="utf-8")
            yield "Scenario", _cut(masked(written, secrets_of(scenario)), QUOTED)
        except (OSError, ValueError):
            yield "Scenario", "the file can no longer be read"
    left = QUOTED
    for name, node in scenario.nodes.items():
        text = keepalived_conf(node.keepalived.config) if node.keepalived else "no keepalived here"
        yield f"{name}, {scenario.dialect_of(name)}, effective", _cut(text, left)
        left -= len(text)
        if left <= 0:
            return


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n… {len(text) - most} more characters"
