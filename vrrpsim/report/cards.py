"""What a notebook shows of a scenario, a run, a sweep or a hunt: one small piece of HTML each.

No script, no style sheet, nothing from outside: attributes only, text in the colour that the page has, so
that it can be read on light and on dark. Everything that comes from a scenario is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from vrrpsim.measure.forecast import Forecast, virtual_routers
from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import format_duration
from vrrpsim.trace import Trace

from .style import GOOD_TEXT, HAIRLINE, HARM_TEXT, PAPER, SOFT, UNSURE_TEXT
from .svg import DrawableCurve, distribution, timeline
from .sweep import bound_words as bound_of
from .sweep import headline as sweep_headline
from .sweep import label_of, quantity
from .sweep import measured_words as measured_of
from .sweep import verdict_line as sweep_verdict
from .text import (
    OK_WORDS,
    answer_word,
    bound_words,
    brief,
    failovers_alike,
    headline,
    longest_outage,
    measured_words,
    verdict_line,
)

VERDICTS = {  # background and text: either contrast is above 4.5
    "pass": (GOOD_TEXT, PAPER),
    "fail": (HARM_TEXT, PAPER),
    "unknown": (UNSURE_TEXT, PAPER),
    "": (SOFT, PAPER),
}
ROWS = 8  # of one table
Document = Mapping[str, Any]


def study_card(scenario: Scenario) -> str:
    """Show a scenario: who takes over from whom, and how long that takes by formula."""
    blocks = []
    for router in virtual_routers(scenario):
        rival = f", then {escape(router.rival.node)}" if router.rival else ""
        who = f"VRID {router.vrid}, {escape(_short(router.addresses))}: {escape(router.master.node)}{rival}"
        rows = [(each.failure, _range(each), each.because) for each in router.forecasts]
        blocks.append(f"<div>{who}</div>" + _table(("if", "new owner after", "by formula"), rows))
    events = [f"{event.verb} {event.target or ''}".strip() for event in scenario.events]
    counted = f"{_counted(len(scenario.nodes), 'node')}, {_counted(len(scenario.clients), 'client')}"
    about = f"{counted}; events: {_short(events, 5) or 'none'}"
    title = f"{scenario.name or 'scenario'}: {format_duration(scenario.duration_ns)}"
    return _card(title, "", "", [_p(scenario.description), _p(about), *blocks])


def run_card(scenario: Scenario, trace: Trace, result: Result, command: str) -> str:
    """Show a run: verdict, timeline, failovers by part, expectations."""
    found = failovers_alike(result.failovers)
    rows = [
        (
            label,
            each.kind.value,
            f"{each.old} → {each.new}",
            str(each.cause),
            *(_time(part.length_ns) for part in each.parts),
            _time(each.total_ns),
        )
        for label, each in found
    ]
    parts = [part.name for part in found[0][1].parts] if found else []
    figures = [(f"outage of {name}", brief(view.longest_ns)) for name, view in result.clients.items()]
    for owned in result.ownerships[:ROWS]:
        figures.append((f"two owners of {owned.address}", brief(owned.dual_master_ns)))
        figures.append((f"no owner of {owned.address}", brief(owned.vacancy_ns)))
    wanted = [(answer_word(each), bound_words(each), measured_words(each)) for each in result.expectations]
    blocks = [
        _p(scenario.description),
        timeline(scenario, trace, result),
        _table(("address", "kind", "failover", "after", *parts, "total"), rows),
        _pre(longest_outage(result)),
        _table(("longest or in all", ""), figures),
        _table(("", "expected", "measured"), wanted),
        _code(command),
    ]
    return _card(headline(scenario, result), result.verdict, verdict_line(result), blocks)


def sweep_card(document: Document, curves: Mapping[str, Sequence[DrawableCurve]]) -> str:
    """Show a sweep: quantiles with the largest value, distributions, split brain, bounds, the worst run."""
    cells = document.get("cells", [document])
    rows: list[tuple[str, ...]] = []
    judged = []
    for cell in cells:
        label = label_of(cell)
        for name, each in cell["measures"].items():
            shown = [_quantity(each[key], each) for key in ("p50", "p95", "p99")]
            largest = "> " * bool(each["max_cut"]) + _quantity(each["max"], each)
            rows.append((label, name, str(each["n"]), *shown, largest))
        split = cell["split_brain"]
        share = f"{split['runs']} of {cell['runs']} runs"
        rows.append((label, "split brain", str(cell["runs"]), share, "", "", ""))
        judged += [
            (
                OK_WORDS[each["ok"]],
                f"{label}: {bound_of(each)}" if label else bound_of(each),
                measured_of(each, cell),
            )
            for each in (*cell["expectations"], *cell["thresholds"])
        ]
    head: tuple[str, ...] = ("", "measure", "runs", "p50", "p95", "p99", "max")
    if not any(row[0] for row in rows):
        head, rows = head[1:], [row[1:] for row in rows]
    worst = next((each["command"] for cell in cells for each in cell["worst"] if each["command"]), "")
    blocks = [
        distribution(curves),
        _table(head, rows, most=40),
        _table(("", "bound", "measured"), sorted(judged, key=lambda each: each[0] == "ok")),
        _p("the worst run again:") + _code(worst) if worst else "",
    ]
    return _card(sweep_headline(document), document["verdict"], sweep_verdict(document), blocks)


def hunt_card(document: Document, verdict: str, name: str) -> str:
    """Show a hunt: each finding with its events and story, and how to replay it."""
    blocks = []
    for each in ([document, *document["others"]] if document["found"] else [])[:ROWS]:
        events = "".join(f"<li>{_code(_flow(event))}</li>" for event in each["events"])
        story = "".join(f"<li>{escape(sentence)}</li>" for sentence in each["story"])
        blocks += [
            f"<div><b>{escape(each['invariant'])}</b>: {escape(each['text'])}</div>",
            f"<ul>{events}</ul>" if events else "",
            f"<ol>{story}</ol>",
            _code(f"vrrpsim run {each['scenario']}") if each["scenario"] else "",
        ]
    faults = [(kind, str(count)) for kind, count in document["faults"].items()]
    blocks.append(_table(("fault", "tried"), faults, most=30) if not document["found"] else "")
    return _card(f"{name}: hunt", "fail" if document["found"] else "", verdict, blocks)


# --- pieces ---------------------------------------------------------------------------------------


def _card(title: str, verdict: str, words: str, blocks: Iterable[str]) -> str:
    back, text = VERDICTS.get(verdict, VERDICTS[""])
    style = f"background:{back};color:{text};border-radius:3px;padding:1px 8px"
    pill = f'<span style="{style}">{escape(words)}</span>' if words else ""
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.5;max-width:860px;'
        f'border:1px solid {HAIRLINE};border-radius:6px;padding:8px 14px">'
        f"<div><b>{escape(title)}</b> {pill}</div>{''.join(blocks)}</div>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int = ROWS) -> str:
    """A table that does not widen the page; of too many rows the first, and how many more."""
    if not rows:
        return ""
    style = f"text-align:left;padding:1px 14px 1px 0;border-bottom:1px solid {HAIRLINE};vertical-align:top"
    cells = (("th", head), *(("td", row) for row in rows[:most]))
    lines = (
        "<tr>" + "".join(f'<{tag} style="{style}">{escape(cell)}</{tag}>' for cell in row) + "</tr>"
        for tag, row in cells
    )
    more = _p(f"… {len(rows) - most} more") if len(rows) > most else ""
    shape = "border-collapse:collapse;margin:6px 0;font-size:12px"
    return f'<div style="overflow-x:auto"><table style="{shape}">{"".join(lines)}</table></div>{more}'


def _p(text: str) -> str:
    return f"<div>{escape(text)}</div>" if text else ""


def _pre(lines: Iterable[str]) -> str:
    text = escape("\n".join(lines))
    return f'<pre style="margin:6px 0;font-size:12px;overflow-x:auto">{text}</pre>' if text else ""


def _code(text: str) -> str:
    return f'<code style="overflow-wrap:anywhere">{escape(text)}</code>' if text else ""


def _time(ns: int | None) -> str:
    return "–" if ns is None else brief(ns)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _short(names: Iterable[str], most: int = 3) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _range(forecast: Forecast) -> str:
    if forecast.best_ns is None or forecast.worst_ns is None:
        return "never"
    best, worst = fixed_s(forecast.best_ns), fixed_s(forecast.worst_ns)
    return f"{worst} s" if best == worst else f"{best} – {worst} s"


def _quantity(value: Any, measure: Document) -> str:
    if not measure["n"]:
        return "–"
    return f"> {quantity(measure['max'])}" if value is None else quantity(value)


def _flow(value: Any) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case bool():
            return str(value).lower()
    return str(value)
