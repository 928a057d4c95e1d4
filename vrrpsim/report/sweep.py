"""The report of a sweep for a person: a view of its JSON document, so that the two cannot disagree.

One scenario: a row for each measure and below it the interval of each quantile. A grid: a block for each
measure, a row for each cell, `+` and `-` where it differs from the first. Times as in `report.text`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from vrrpsim.measure.failovers import answers_an_event
from vrrpsim.measure.seconds import SECOND_NS, fixed_s
from vrrpsim.scenario.quantities import format_duration

from .text import OK_WORDS, Terminal, brief, owner_words

Document = Mapping[str, Any]
COLUMNS = ("p50", "p90", "p95", "p99")
QUANTILES = ("p50", "p95", "p99")  # by event
PLAIN = Terminal()
NAMED = 5  # seeds written out


def report(document: Document, look: Terminal = PLAIN) -> str:
    """Return the whole report without a final newline."""
    cells = document.get("cells", [document])
    grid = "cells" in document
    blocks = [
        [headline(document)],
        list(_grid(cells) if grid else _single(cells[0])),
        [] if grid else list(_by_event(cells[0])),
        list(_split_brain(cells)),
        list(_failed_over(cells)),
        *(list(_worst(cell, 2 if grid else NAMED)) for cell in cells),
        *(list(_judged(cell, kind)) for kind in ("expectations", "thresholds") for cell in cells),
        *(list(_missing(cell)) for cell in cells),
        [verdict_line(document)],
    ]
    return look.styled("\n\n".join("\n".join(block) for block in blocks if block))


def headline(document: Document) -> str:
    """Name what ran."""
    cells = document.get("cells", [document])
    runs = sum(cell["runs"] for cell in cells)
    grid = f", {len(cells)} cells of the same {document['asked']} seeds" if "cells" in document else ""
    forced = ", losses of adverts forced and weighed" if cells[0].get("forced") else ""
    spread = f", the instant of {document['stratified']} stratified" if document["stratified"] else ""
    line = f"{cells[0]['scenario'] or 'sweep'}: {runs} runs{grid}{forced}{spread}"
    wanted = document["asked"] * len(cells)
    return line if runs == wanted else f"{line} (of {wanted} asked)"


def verdict_line(document: Document) -> str:
    """Return the last line: the verdict in words."""
    cells = document.get("cells", [document])
    answers = [each["ok"] for cell in cells for each in (*cell["expectations"], *cell["thresholds"])]
    part = "interrupted, so far " if document["interrupted"] else ""
    if not answers:
        return f"{part}no verdict: nothing was expected"
    words = {"pass": ("passed", True), "fail": ("failed", False), "unknown": ("unknown", None)}
    word, ok = words[document["verdict"]]
    noun = "bound" if len(answers) == 1 else "bounds"
    return f"{part}{word}: {answers.count(ok)} of {len(answers)} {noun}"


# --- tables ---------------------------------------------------------------------------------------


def _single(cell: Document) -> Iterator[str]:
    rows = [["", "n", *COLUMNS, "max"]]
    for name, measure in cell["measures"].items():
        if answers_an_event(name) or (name == "heal" and not measure["n"]):
            continue
        scale = Scale([measure], counts=name == "moves")
        label = f"{name}, {scale.unit}" if scale.unit else name
        rows.append(
            [label, _n(measure), *(scale.quantile(measure, key) for key in COLUMNS), scale.largest(measure)]
        )
        if any(scale.varies(measure, key) for key in COLUMNS):
            rows.append(["", "", *(scale.interval(measure, key) for key in COLUMNS), ""])
    yield from _aligned(rows)
    yield f"  quantiles with {_kind(cell)} 95 % intervals below" + about_cuts([cell])


def _by_event(cell: Document) -> Iterator[str]:
    """The changes of owner by the event that they answer, the event last: it may be long."""
    rows = [["BY EVENT", "n", *QUANTILES, "max", ""]]
    for name, measure in cell["measures"].items():
        if answers_an_event(name):
            scale = Scale([measure], counts=False)
            kind, _, event = name.partition(".")
            shown = (scale.quantile(measure, key) for key in QUANTILES)
            rows.append([f"  {kind}, {scale.unit}", _n(measure), *shown, scale.largest(measure), event])
    if len(rows) > 1:
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for first, *numbers, event in rows:
            cells = (f"{each:>{width}}" for each, width in zip(numbers, wide[1:], strict=False))
            yield f"{first:{wide[0]}}  {'  '.join(cells)}  {event}".rstrip()


def _grid(cells: Sequence[Document]) -> Iterator[str]:
    labels = [label_of(cell) for cell in cells]
    for name in cells[0]["measures"]:
        if answers_an_event(name) and _is_alone(name, cells[0]):
            continue
        measured = [cell["measures"].get(name) for cell in cells]
        there = [measure for measure in measured if measure and measure["n"]]
        if not any(measure["max"] for measure in there):
            continue
        scale = Scale(there, counts=name == "moves")
        rows = [
            [f"{name}, {scale.unit}" if scale.unit else name, "n", "p50", "", "p95", "p99", "", "max", ""]
        ]
        for label, cell, measure in zip(labels, cells, measured, strict=True):
            if measure is None:
                continue
            shown = {
                key: [scale.quantile(measure, key), f"[{scale.interval(measure, key)}]"]
                for key in ("p50", "p99")
            }
            quantiles = (*shown["p50"], scale.quantile(measure, "p95"), *shown["p99"], scale.largest(measure))
            rows.append([label, _n(measure), *quantiles, mark(cell, name)])
        yield from _aligned(rows)
        yield ""
    yield f"  [{_kind(cells[0])} 95 % intervals]" + about_cuts(cells)
    if cells[0].get("forced"):
        yield "  differences are not tested: forced runs make no pairs"
        return
    yield "  + more, - less than in the first row, and the median of the differences of the same seed;"
    yield f"  marked where the sign test over these pairs says so, 5 % shared by {len(cells) - 1} comparisons"


def _is_alone(name: str, cell: Document) -> bool:
    """Whether no other event is answered in this way: then the measure of the kind says the same."""
    kind = name.partition(".")[0] + "."
    return len([each for each in cell["measures"] if each.startswith(kind)]) == 1


def _kind(cell: Document) -> str:
    return "approximate" if cell.get("forced") else "exact"


def mark(cell: Document, name: str) -> str:
    """Say how a measure of a cell differs from the first cell's: `+ 1.2 s`, or nothing."""
    found = cell["differences"].get(name)
    if not found or not found["significant"]:
        return ""
    median = found.get("median_s", found.get("median"))
    size = "" if not median else f" {quantity(abs(median))}"
    return ("+" if found["longer"] > found["shorter"] else "-") + size


class Scale:
    """One unit for all numbers of a measure."""

    def __init__(self, measures: Sequence[Document], *, counts: bool) -> None:
        most = max((_ns(each["max"]) for each in measures if each["max"] is not None), default=0)
        self.unit, self._step, self._digits = ("s", SECOND_NS, 3)
        if counts:
            self.unit, self._step, self._digits = ("", 1, 0)
        elif most < 100_000:
            self.unit, self._step, self._digits = ("us", 1_000, 1)
        elif most < SECOND_NS // 10:
            self.unit, self._step, self._digits = ("ms", 1_000_000, 2)

    def number(self, value: Any) -> str:
        """Write a value in the unit."""
        if isinstance(value, int):
            return str(value)
        return fixed_s(_ns(value) * (SECOND_NS // self._step), self._digits)

    def quantile(self, measure: Document, key: str) -> str:
        """Write a quantile; `>` where the horizon cut it."""
        if not measure["n"]:
            return "–"
        value = measure[key]
        return f"> {self.number(measure['max'])}" if value is None else self.number(value)

    def largest(self, measure: Document) -> str:
        """Write the largest value."""
        if not measure["n"]:
            return "–"
        return f"{'> ' * measure['max_cut']}{self.number(measure['max'])}"

    def varies(self, measure: Document, key: str) -> bool:
        """Whether the interval says more than the quantile."""
        low, high = measure["ci"][key]
        return measure["n"] > 0 and not low == high == measure[key]

    def interval(self, measure: Document, key: str) -> str:
        """Write the interval of a quantile."""
        low, high = measure["ci"][key]
        if low is None and high is None:
            return "–"
        if high is None:
            return f"≥ {self.number(low)}"
        return f"≤ {self.number(high)}" if low is None else f"{self.number(low)}–{self.number(high)}"


def _n(measure: Document) -> str:
    return str(measure["n"])


def label_of(cell: Document) -> str:
    """Name a cell by what was varied: `loss=1%`."""
    return ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in cell.get("vary", {}).items())


def about_cuts(cells: Sequence[Document]) -> str:
    """Say what was not over when runs ended, on a line of its own."""
    counts = Counter[str]()
    for cell in cells:
        counts.update({name: measure["censored"] for name, measure in cell["measures"].items()})
    cut = [f"{name} in {count} runs" for name, count in counts.items() if count]
    if not cut:
        return ""
    return f"\n  not over when the run ended (Kaplan–Meier; > is longer than): {', '.join(cut)}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(rest, wide[1:], strict=True))
        yield f"  {first:{wide[0]}}  {'  '.join(cells)}".rstrip()


# --- the rest -------------------------------------------------------------------------------------


def _split_brain(cells: Sequence[Document]) -> Iterator[str]:
    longer = format_duration(_ns(cells[0]["split_brain"]["longer_than_s"]))
    yield f"SPLIT BRAIN  two owners for more than {longer}; {_kind(cells[0])} 95 % interval"
    yield from _rates(cells, "split_brain")


def _failed_over(cells: Sequence[Document]) -> Iterator[str]:
    """Say it where it did not happen in every run anyway."""
    if any(cell["failed_over"]["runs"] < cell["runs"] for cell in cells):
        yield f"FAILED OVER  another node took an address; {_kind(cells[0])} 95 % interval"
        yield from _rates(cells, "failed_over")


def _rates(cells: Sequence[Document], key: str) -> Iterator[str]:
    wide = max(len(label_of(cell)) for cell in cells)
    for cell in cells:
        found = cell[key]
        label = f"{label_of(cell):{wide}}  " if wide else ""
        yield f"  {label}{found['runs']} of {cell['runs']} runs: {rate_words(found)}"


def rate_words(found: Document) -> str:
    """Write the interval of a probability."""
    low, high = found["ci"]
    if found.get("relative_error") is not None:
        error = f"{percent(found['rate'])} ± {100 * found['relative_error']:.2g} % of it"
        return error if found["a_year"] is None else f"{error}; {found['a_year']:.3g} a year"
    if "a_year" in found:
        return "never seen, also not by force"
    return f"{percent(low)} to {percent(high)}" if found["runs"] else f"at most {percent(high)}"


def _worst(cell: Document, most: int) -> Iterator[str]:
    """Each seed once, with everything of it that is among the worst."""
    seeds: dict[str, list[str]] = defaultdict(list)
    for each in cell["worst"]:
        value = str(each["value"]) if "value" in each else brief(_ns(each["value_s"]))
        seeds[each["command"] or f"seed {each['seed']}"].append(
            f"{each['measure']} {'> ' * each['cut']}{value}"
        )
    if seeds:
        yield "WORST" + (f"  {label_of(cell)}" if cell.get("vary") else "")
        for command, values in list(seeds.items())[:most]:
            yield f"  {command}"
            yield f"      {', '.join(values)}"


def _judged(cell: Document, kind: str) -> Iterator[str]:
    if not cell[kind]:
        return
    yield kind.upper() + (f"  {label_of(cell)}" if cell.get("vary") else "")
    wanted = [bound_words(each) for each in cell[kind]]
    wide = max(map(len, wanted))
    for each, text in zip(cell[kind], wanted, strict=True):
        word = OK_WORDS[each["ok"]]
        seen = "  ".join(part for part in (measured_words(each, cell), each["note"]) if part)
        yield f"  {word:7}  {text:{wide}}  {seen}".rstrip()
        if each["ok"] is False and each["command"]:
            yield f"           {each['command']}"


def bound_words(each: Document) -> str:
    """Write what an expectation or a threshold wants."""
    if "threshold" in each:
        return str(each["threshold"])
    if each["statistic"] == "at":
        return owner_words(each["measure"], _ns(each["at_s"]), each["bound"])
    if each["statistic"] == "holds":
        return f"{each['measure']} holds"
    name = (
        each["measure"]
        if each["statistic"] in ("max", "min")
        else f"{each['statistic']} of {each['measure']}"
    )
    return f"{name} {'≥' if each['statistic'] == 'min' else '≤'} {_limit(each['bound'])}"


def measured_words(each: Document, cell: Document) -> str:
    """Write what was measured for it."""
    measured = each["measured"]
    if each["statistic"] in ("rate", "count"):
        found = cell["split_brain" if each["measure"] == "split_brain" else "failed_over"]
        if cell.get("forced"):
            return rate_words(found)
        return f"{found['runs']} of {cell['runs']} runs, at most {percent(found['ci'][1])}"
    if measured is None:
        return ""
    measures = cell["measures"]
    measure = measures.get(each["measure"]) or measures.get(each["measure"].partition(".")[0], {})
    low, high = measure.get("ci", {}).get(each["statistic"], (None, None))
    interval = f" [{quantity(low)}, {quantity(high)}]" if low is not None and high is not None else ""
    return quantity(measured) + interval


def _missing(cell: Document) -> Iterator[str]:
    """Name the seeds without a result."""
    name = f"  {label_of(cell)}" if cell.get("vary") else ""
    for kind, title in (("lost", "LOST"), ("errors", "ERRORS, a bug in vrrpsim")):
        found = cell[kind]
        if found:
            yield title + name
        for each in found[:NAMED]:
            yield f"  seed {each['seed']}: {each['why']}"
        if len(found) > NAMED:
            rest = ", ".join(str(each["seed"]) for each in found[NAMED : NAMED + 20])
            yield f"  … and {len(found) - NAMED} more: {rest}{', …' * (len(found) > NAMED + 20)}"


def _ns(value: Decimal | int) -> int:
    return int(value.scaleb(9)) if isinstance(value, Decimal) else value


def quantity(value: Any) -> str:
    """Write a time with its unit, a count as it is."""
    return brief(_ns(value)) if isinstance(value, Decimal) else str(value)


def _limit(value: Any) -> str:
    return format_duration(_ns(value)) if isinstance(value, Decimal) else str(value)


def percent(rate: float) -> str:
    """Write a part of one as per cent."""
    return f"{100 * rate:.3g} %"
