"""The main failover part by part: what each took, and the keyword that governs it."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from vrrpsim.measure.failovers import Failover
from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s

from .style import FAINT, INK, NORMAL, SMALL, Paint, inches, rectangle
from .text import brief, failovers_alike

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def main_failover(result: Result) -> tuple[str, Failover] | None:
    """Return the failover to explain: the slowest takeover, else the slowest at all."""
    found = failovers_alike(result.failovers)
    takeovers = [each for each in found if each[1].is_takeover]
    return max(takeovers or found, key=lambda each: each[1].total_ns or each[1].length_ns, default=None)


def known_parts(failover: Failover) -> list[tuple[str, int, str]]:
    """Return name, ns and keyword of the parts that were measured."""
    return [
        (part.name, part.length_ns, part.keyword) for part in failover.parts if part.length_ns is not None
    ]


WORDS = {
    "detect": "noticed",
    "elect": "new master elected",
    "claim": "address claimed",
    "relearn": "caches follow",
    "serve": "first good answer",
}
PARTS = tuple(map(Paint, ("#A6D8F3", "#EBD77A", "#E3B8D0", "#D7BCE8", "#7FCDB4"), [""] * 5, [INK] * 5))


def waterfall(axes: Axes, label: str, failover: Failover, wide: float) -> None:
    """Draw the parts of a failover below each other; the axes are `wide` inches wide."""
    known = known_parts(failover)
    total_ns = max(sum(length_ns for _, length_ns, _ in known), 1)
    cause = shorten(str(failover.cause), 44, placeholder=" …")
    shown = "nobody served" if failover.total_ns is None else f"{fixed_s(failover.total_ns)} s in all"
    axes.set_title(
        f"Main failover: {label}, {failover.old} to {failover.new}, after “{cause}”: {shown}",
        loc="left",
        size=NORMAL,
        weight="bold",
        color=INK,
    )
    axes.set_xlim(0, total_ns / 1e9)
    axes.set_ylim(len(known), 0)
    gone_ns = 0
    for row, (name, length_ns, keyword) in enumerate(known):
        start, length = gone_ns / 1e9, length_ns / 1e9
        paint = PARTS[row % len(PARTS)]
        rectangle(axes, start, row + 0.15, length, 0.7, paint, f"part/{name}/{length_ns}")
        text = f"{brief(length_ns)}  {keyword}"
        _beside_bar(axes, start, length, total_ns / 1e9, row + 0.5, text, wide)
        gone_ns += length_ns
    axes.set_yticks(
        [row + 0.5 for row in range(len(known))], [WORDS[name] for name, *_ in known], size=NORMAL
    )
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL, color=FAINT)
    axes.set_xlabel(f"seconds since the fault at {fixed_s(failover.fault_ns)} s", size=SMALL, color=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _beside_bar(
    axes: Axes, start: float, length: float, total: float, y: float, text: str, wide: float
) -> None:
    """Write a text into its bar if that is wide, else right or left of it where there is room."""
    second = total / wide
    needed = inches(text) * second
    pad = 0.06 * second
    if needed < length:
        x, align = start + length / 2, "center"
    elif start + length + needed + pad < total or start < needed:
        x, align = start + length + pad, "left"
    else:
        x, align = start - pad, "right"
    axes.text(x, y, text, size=SMALL, color=INK, va="center", ha=align, zorder=4)
