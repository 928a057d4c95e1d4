"""The main failover and the longest outage part by part: what each took, and what governs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import TYPE_CHECKING

from vrrpsim.measure.failovers import Failover
from vrrpsim.measure.outage_parts import OutagePart
from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s

from .style import FAINT, INK, NORMAL, PART, SMALL, fitted, inches, rectangle, write
from .text import brief, failovers_alike, worst_outage

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def main_failover(result: Result) -> tuple[str, Failover] | None:
    """Return the failover to explain: the slowest takeover, else the slowest at all."""
    found = failovers_alike(result.failovers)
    takeovers = [each for each in found if each[1].is_takeover]
    return max(takeovers or found, key=lambda each: each[1].total_ns or each[1].length_ns, default=None)


WORDS = {
    "detect": "noticed",
    "elect": "new master elected",
    "claim": "address claimed",
    "relearn": "caches follow",
    "serve": "first good answer",
}


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A stretch of time part by part: for each its name, length in ns, what governs it, and its gid."""

    title: str
    since: str
    parts: Sequence[tuple[str, int, str, str]]


def waterfalls(result: Result) -> Iterator[Waterfall]:
    """Return the main failover and the longest outage, if there are any."""
    main, worst = main_failover(result), worst_outage(result)
    if main:
        label, failover = main
        cause = shorten(str(failover.cause), 44, placeholder=" …")
        shown = "nobody served" if failover.total_ns is None else f"{fixed_s(failover.total_ns)} s in all"
        yield Waterfall(
            f"Main failover, a {failover.kind.value}: {label}, {failover.old} to {failover.new}, "
            f"after “{cause}”: {shown}",
            f"seconds since the fault at {fixed_s(failover.fault_ns)} s",
            [
                (WORDS[part.name], part.length_ns, part.keyword, f"part/{part.name}/{part.length_ns}")
                for part in failover.parts
                if part.length_ns is not None
            ],
        )
    if worst:
        name, outage, parts = worst
        yield Waterfall(
            f"Longest outage: client {name}, {fixed_s(outage.length_ns)} s"
            + ", to the end" * (not outage.ended),
            f"seconds since {fixed_s(outage.start_ns)} s",
            [
                (part.cause, part.length_ns, governed, f"cause/{name}/{part.start_ns}/{part.end_ns}")
                for part, governed in zip(parts, outage_words(parts), strict=True)
            ],
        )


def outage_words(parts: Sequence[OutagePart]) -> Iterator[str]:
    """Say what governs each part of an outage, and after which event if it is another than before."""
    before = None
    for part in parts:
        event = f"after “{part.event}”" if part.event and part.event != before else ""
        before = part.event or before
        yield ", ".join(filter(None, (part.keyword, event)))


def draw(axes: Axes, shown: Waterfall, left: float, wide: float) -> None:
    """Draw the parts below each other; the axes are `wide` inches wide, with `left` inches for the names."""
    total_ns = max(sum(length_ns for _, length_ns, *_ in shown.parts), 1)
    title = shorten(shown.title, 110, placeholder="…")
    axes.set_title(title, loc="left", x=-left / wide, size=NORMAL, weight="bold", color=INK)
    axes.set_xlim(0, total_ns / 1e9)
    axes.set_ylim(len(shown.parts), 0)
    gone_ns = 0
    for row, (_, length_ns, keyword, gid) in enumerate(shown.parts):
        start, length = gone_ns / 1e9, length_ns / 1e9
        rectangle(axes, start, row + 0.15, length, 0.7, PART, gid)
        text = f"{brief(length_ns)}  {keyword}"
        _beside_bar(axes, start, length, total_ns / 1e9, row + 0.5, text, wide)
        gone_ns += length_ns
    names = [shorten(name, 38, placeholder="…") for name, *_ in shown.parts]
    axes.set_yticks([row + 0.5 for row in range(len(names))], names, size=NORMAL)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL, color=FAINT)
    axes.set_xlabel(shown.since, size=SMALL, color=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _beside_bar(
    axes: Axes, start: float, length: float, total: float, y: float, text: str, wide: float
) -> None:
    """Write a text into its bar if that is wide, else right or left of it where there is room."""
    second = total / wide
    pad = 0.06 * second
    before, behind = start - pad, total - start - length - pad
    text = fitted(text, max(length, before, behind) / second)
    needed = inches(text) * second
    if needed <= length:
        x, align = start + length / 2, "center"
    elif needed <= behind:
        x, align = start + length + pad, "left"
    else:
        x, align = start - pad, "right"
    write(axes, x, y, text, ha=align, zorder=4)
