"""What to change in a cluster, for a person: a view of the JSON document."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from .census import short
from .text import Terminal

Document = Mapping[str, Any]
PLAIN = Terminal()
LABEL = 29  # columns


def report(document: Document, look: Terminal = PLAIN, *, top: int | None = 8) -> str:
    """Return the whole report without a final newline; of the front the `top` first rows, None: all."""
    front = document["front"]
    head = f"     {'change':{LABEL}} {'unhealed':>8}"
    head += f"{'outage':>8}{'worst':>8}{'pause':>8}{'burst':>6}{'pkt/s':>7}"
    rows = [head, *_row("", document["base"])]
    rows += [line for each in front[:top] for line in _row(str(each["row"]), each)]
    if top is not None and len(front) > top:
        rows.append(f"     … {len(front) - top} more")
    blocks = [[headline(document)], rows, list(_about(document)), [verdict_line(document)]]
    return look.styled("\n\n".join("\n".join(block) for block in blocks if block))


def headline(document: Document) -> str:
    """Say what was tried."""
    refused = f" ({document['refused']} left out: check complains)" if document["refused"] else ""
    part = "interrupted, so far " if document["interrupted"] else ""
    return f"{document['cluster']}: {part}{document['tried']} changes on {document['faults']} faults{refused}"


def verdict_line(document: Document) -> str:
    """Return the last line."""
    part = "interrupted, so far " if document["interrupted"] else ""
    if not document["front"]:
        return f"{part}nothing that was tried is better in anything"
    count = len(document["front"])
    return f"{part}{count} row{'s' * (count != 1)} that nothing beats"


def _row(number: str, each: Document) -> Iterator[str]:
    times = (short(each["outage_s"]), short(each["worst_s"]), short(each["pause_s"]))
    parts = (part.replace(" ", "\u00a0") for part in each["change"].split(", "))  # kept together
    first, *more = (line.replace("\u00a0", " ") for line in textwrap.wrap(", ".join(parts), LABEL))
    yield (
        f"{number:>3}  {first:{LABEL}} {each['unhealed']:>8}{times[0]:>8}{times[1]:>8}{times[2]:>8}"
        f"{each['burst']:>6}{each['packets_per_s']:>7.3g}"
    )
    yield from (f"     {line}" for line in more)


def _about(document: Document) -> Iterator[str]:
    if document["front"]:
        yield "  unhealed: faults that end with nobody or two owners; outage: mean of all"
        yield "  faults; pause, burst: how long the master may stand still and how many"
        yield "  adverts in a row may be lost without a failover"
        yield f"  a row's files: {document['command']}"
