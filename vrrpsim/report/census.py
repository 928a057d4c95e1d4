"""The report of a census for a person: a view of its JSON document, so that the two cannot disagree."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from vrrpsim.measure.seconds import fixed_s

from .text import Terminal

Document = Mapping[str, Any]
PLAIN = Terminal()
GROUPS = (("WHAT THE CONFIGURATION DECIDES", False), ("WHAT VRRP CANNOT MEND", True))  # is it `beyond`
OUTCOMES = ("never heals", "split brain", "nobody", "hands over", "no harm")  # the worst first
HARMLESS = OUTCOMES[-1]
NAME = 33  # columns


def report(document: Document, look: Terminal = PLAIN, *, top: int | None = 5) -> str:
    """Return the whole report without a final newline; of pairs the `top` worst of each group, None: all."""
    singles = [cell for cell in document["cells"] if len(cell["faults"]) < 2]
    pairs = [cell for cell in document["cells"] if len(cell["faults"]) == 2]
    blocks = [
        [headline(document)],
        *(
            list(_group(title, [c for c in singles if bool(c["beyond"]) is beyond], None))
            for title, beyond in GROUPS
        ),
        list(_harmless([cell["cell"] for cell in singles if cell["outcome"] == HARMLESS])),
        list(_pairs(document, pairs)),
        *(
            list(_group(f"PAIRS: {title}", [c for c in pairs if bool(c["beyond"]) is beyond], top))
            for title, beyond in GROUPS
        ),
        list(_missing(document)),
        [replay_line(document), verdict_line(document)],
    ]
    return look.styled("\n\n".join("\n".join(filter(None, block)) for block in blocks if block))


def headline(document: Document) -> str:
    """Name what was asked."""
    sizes = [len(cell["faults"]) for cell in document["cells"]]
    parts = [f"{sizes.count(1)} faults"] if sizes.count(1) else []
    parts += [f"{sizes.count(2)} ordered pairs of them"] if sizes.count(2) else []
    part = "interrupted, so far " if document["interrupted"] else ""
    return f"{document['census']}: {part}{' and '.join(parts) or 'no fault'}, {document['runs']} runs"


def verdict_line(document: Document) -> str:
    """Return the last line: which limits were broken."""
    limits, failing = document.get("limits", []), document.get("failing", [])
    part = "interrupted, so far " if document["interrupted"] else ""
    if not limits:
        return f"{part}done: nothing was forbidden (--fail-on)"
    if not failing:
        return f"{part}passed: nothing that a configuration can mend breaks {', '.join(limits)}"
    words = [f"{each['limit']} ({each['cells']} cells, as {each['worst']})" for each in failing]
    return f"{part}failed: {', '.join(words)}"


def replay_line(document: Document) -> str:
    """Say how to see a run of the table."""
    harmful = [cell for cell in document["cells"] if cell["outcome"] != HARMLESS]
    commands = [cell["worst"]["command"] for cell in harmful if cell["worst"]["command"]]
    return f"the worst run of a row:\n  {commands[0]}" if commands else ""


def _group(title: str, cells: Sequence[Document], top: int | None) -> Iterator[str]:
    harmful = [cell for cell in cells if cell["outcome"] != HARMLESS]
    if not harmful:
        return
    yield f"{title:{NAME + 2}}  {'what happens':12}  {'outage':>8} {'worst':>8} {'2 owners':>8}"
    for cell in harmful[:top]:
        yield from _row(cell)
    if top is not None and len(harmful) > top:
        yield f"  … {len(harmful) - top} more"


def _row(cell: Document) -> Iterator[str]:
    """One cell; what does not fit stands on a line of its own, as does what is to blame."""
    name, outage = cell["cell"], cell["outage"]
    if len(name) > NAME:
        yield from textwrap.wrap(name, 78, initial_indent="  ", subsequent_indent="    ")
        name = ""
    happens = cell["outcome"]
    cut = ">" if outage["max_cut"] else ""
    times = (short(outage["p50_s"]), cut + short(outage["max_s"]), short(cell["two_owners_s"]))
    yield f"  {name:{NAME}}  {happens:12}  {times[0]:>8} {times[1]:>8} {times[2]:>8}"
    why = cell["beyond"] or cell["blame"]
    runs = share(cell)
    text = "; ".join(filter(None, (why, runs)))
    if text:
        yield f"      {textwrap.shorten(text, 74, placeholder=' …')}"


def share(cell: Document) -> str:
    """Say in how many runs the outcome was another one; "" if in none."""
    if len(cell["outcomes"]) < 2:
        return ""
    return ", ".join(f"{outcome} in {count}" for outcome, count in cell["outcomes"].items()) + " runs"


def short(value: Decimal | None) -> str:
    """Write seconds with one decimal, below a tenth in ms; a dash for none."""
    if not value:
        return "–"
    ns = int(value.scaleb(9))
    return f"{fixed_s(ns, 1)} s" if ns >= 100_000_000 else f"{fixed_s(ns * 1000, 1)} ms"


def _harmless(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"NO HARM ({len(names)})"
        yield from textwrap.wrap(", ".join(names), 78, initial_indent="  ", subsequent_indent="  ")


def _pairs(document: Document, pairs: Sequence[Document]) -> Iterator[str]:
    if pairs:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in document["outcomes"]["pair"].items())
        beyond = sum(bool(cell["beyond"]) for cell in pairs)
        yield f"PAIRS  {counts}"
        yield f"  {beyond} of these VRRP cannot mend"


def _missing(document: Document) -> Iterator[str]:
    for each in document["lost"][:5]:
        yield f"LOST  {each['cell']}, seed {each['seed']}: {each['why']}"
