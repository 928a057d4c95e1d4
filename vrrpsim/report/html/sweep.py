"""The page of a sweep: a view of its JSON document and its distributions, in the words of the text report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vrrpsim import __version__
from vrrpsim.redaction import masked
from vrrpsim.report.distribution import DrawableCurve
from vrrpsim.report.sweep import (
    COLUMNS,
    Document,
    Scale,
    about_cuts,
    bound_words,
    headline,
    label_of,
    mark,
    measured_words,
    quantity,
    rate_words,
    report,
    verdict_line,
)
from vrrpsim.scenario.quantities import format_duration

from . import page

POINTS = 6000  # of all curves
NAMED = 5  # of seeds without a result
SCRIPTS = ("common.js", "distribution.js", "sweep.js")


def sweep_page(document: Document, curves: Mapping[str, Sequence[DrawableCurve]], command: str = "") -> bytes:
    """Return the page; `curves` are the distributions by measure, `command` repeats the sweep."""
    cells = document.get("cells", [document])
    name = cells[0]["scenario"] or "sweep"
    shown: dict[str, Any] = _masked(data(document, curves) | {"command": command})
    return page(f"{name}: sweep", shown, SCRIPTS, masked(report(document)))


def data(document: Document, curves: Mapping[str, Sequence[DrawableCurve]]) -> dict[str, Any]:
    """Return what the page shows."""
    cells = document.get("cells", [document])
    each_has = max(POINTS // max(sum(map(len, curves.values())), 1), 30)
    return {
        "kind": "sweep",
        "name": cells[0]["scenario"] or "sweep",
        "headline": headline(document),
        "verdict": document["verdict"],
        "verdict_line": verdict_line(document),
        "version": __version__,
        "tables": [_table(name, cells) for name in cells[0]["measures"]],
        "about": "quantiles with exact 95 % intervals" + about_cuts(cells).replace("\n", ";"),
        "compared": len(cells) - 1,
        "split_brain": [_split_brain(cell) for cell in cells],
        "curves": {name: [_curve(each, each_has) for each in found] for name, found in curves.items()},
        "worst": [row for cell in cells for row in _worst(cell)],
        "expectations": [
            {
                "cell": label_of(cell),
                "ok": each["ok"],
                "wanted": bound_words(each),
                "measured": "; ".join(part for part in (measured_words(each, cell), each["note"]) if part),
                "command": each["command"],
            }
            for cell in cells
            for each in (*cell["expectations"], *cell["thresholds"])
        ],
        "missing": [
            f"{kind}: seed {each['seed']}: {each['why']}"
            for cell in cells
            for kind in ("lost", "errors")
            for each in cell[kind][:NAMED]
        ],
    }


def _masked(value: Any) -> Any:
    """What was varied may be a password, and it is quoted in labels and commands."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _masked(each) for key, each in value.items()}
        case list() | tuple():
            return [_masked(each) for each in value]
    return value


def _table(name: str, cells: Sequence[Document]) -> dict[str, Any]:
    """One measure: a row for each cell, `[text, interval]` for each quantile."""
    measured = [(cell, cell["measures"][name]) for cell in cells if name in cell["measures"]]
    scale = Scale([measure for _, measure in measured if measure["n"]], counts=name == "moves")
    return {
        "name": name,
        "unit": scale.unit,
        "columns": COLUMNS,
        "rows": [
            {
                "label": label_of(cell),
                "n": measure["n"],
                "quantiles": [
                    [scale.quantile(measure, key), _interval(scale, measure, key)] for key in COLUMNS
                ],
                "max": scale.largest(measure),
                "mark": mark(cell, name) if cell.get("differences") else "",
            }
            for cell, measure in measured
        ],
    }


def _interval(scale: Scale, measure: Document, key: str) -> str:
    return scale.interval(measure, key) if measure["n"] and scale.varies(measure, key) else ""


def _split_brain(cell: Document) -> dict[str, Any]:
    found = cell["split_brain"]
    longer = format_duration(int(found["longer_than_s"].scaleb(9)))
    return {
        "label": label_of(cell),
        "runs": found["runs"],
        "of": cell["runs"],
        "interval": rate_words(found),
        "longer": longer,
    }


def _worst(cell: Document) -> list[dict[str, Any]]:
    """Each seed once, with everything of it that is among the worst."""
    rows: dict[int, dict[str, Any]] = {}
    for each in cell["worst"]:
        row = rows.setdefault(
            each["seed"],
            {"cell": label_of(cell), "seed": each["seed"], "values": [], "command": each["command"]},
        )
        value = str(each["value"]) if "value" in each else quantity(each["value_s"])
        row["values"].append(f"{each['measure']} {'> ' * each['cut']}{value}")
    return list(rows.values())


def _curve(curve: DrawableCurve, most: int) -> dict[str, Any]:
    """Thin a curve to evenly spaced points, its ends among them."""
    last = len(curve.seconds) - 1
    steps = min(last + 1, most)
    kept = sorted({round(number * last / max(steps - 1, 1)) for number in range(steps)})
    return {
        "label": curve.label,
        "seconds": [round(curve.seconds[at], 9) for at in kept],
        **{
            name: [round(float(line[at]), 5) for at in kept]
            for name, line in (("part", curve.part), ("low", curve.low), ("high", curve.high))
        },
        "cut": curve.cut_s,
    } | ({"of": last + 1} if len(kept) <= last else {})
