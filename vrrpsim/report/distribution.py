"""The distribution of what a sweep measured: the part of the runs that took no longer, with its band.

Line styles repeat what colours say; dots mark half, 95 % and 99 % of the runs; pyplot is not used.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from .style import GRID, SERIES, SOFT, plain_style, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .picture import Picture

STYLES = ("-", "--", "-.", ":")
QUANTILES = (0.5, 0.95, 0.99)  # dots on each curve
DASHES = ("", "6 3", "6 2 1.5 2", "1.5 2")  # the same for SVG


class DrawableCurve(Protocol):
    """Instants in seconds, the part of the runs that took no longer, and the band around it."""

    @property
    def label(self) -> str:
        """What was varied; empty: nothing."""

    @property
    def seconds(self) -> Sequence[float]:
        """Instants, ascending."""

    @property
    def part(self) -> Sequence[float]:
        """0 to 1, one for each instant."""

    @property
    def low(self) -> Sequence[float]:
        """Lower edge of the band."""

    @property
    def high(self) -> Sequence[float]:
        """Upper edge of the band."""

    @property
    def cut_s(self) -> float | None:
        """Where the horizon cut the first run; None: it cut none."""


def figure(title: str, panels: Mapping[str, Sequence[DrawableCurve]]) -> Picture:
    """Draw one panel for each measure, by its name, one line for each curve."""
    from .picture import Picture

    with plain_style():
        drawn = Picture(figsize=(5.2 * max(len(panels), 1), 3.8), layout="constrained")
        drawn.suptitle(title, fontsize=11)
        for number, (name, curves) in enumerate(panels.items(), 1):
            axes = drawn.add_subplot(1, len(panels), number)
            _draw(axes, name, curves, key=number == 1)
            axes.set_ylabel("part of the runs" if number == 1 else "")
        if not panels:
            drawn.add_subplot().text(0.5, 0.5, "nothing was measured", ha="center")
    return drawn


def draw_on(axes: Axes, name: str, curves: Sequence[DrawableCurve]) -> None:
    """Draw one measure on axes of the caller's, in the caller's style."""
    _draw(axes, name, curves, small=None)
    axes.set_ylabel("part of the runs")


def _draw(
    axes: Axes, name: str, curves: Sequence[DrawableCurve], small: float | None = 8, *, key: bool = True
) -> None:
    for number, curve in enumerate(curves):
        colour = SERIES[number % len(SERIES)]
        style = (
            STYLES[number // len(SERIES) % len(STYLES)] if len(curves) > len(SERIES) else STYLES[number % 4]
        )
        first = curve.seconds[0]
        seconds = [first, *curve.seconds]
        axes.step(seconds, [0.0, *curve.part], color=colour, linestyle=style, where="post", label=curve.label)
        axes.fill_between(curve.seconds, curve.low, curve.high, color=colour, alpha=0.15, step="post", lw=0)
        if curve.cut_s is not None:
            axes.axvline(curve.cut_s, color=colour, linestyle=":", lw=0.8)
        marked = [bisect_left(curve.part, quantile) for quantile in QUANTILES]
        axes.plot(
            [curve.seconds[at] for at in marked if at < len(curve.seconds)],
            [quantile for quantile, at in zip(QUANTILES, marked, strict=True) if at < len(curve.seconds)],
            linestyle="",
            marker="o",
            markersize=3,
            color=colour,
        )
    axes.set_ylim(0, 1.02)
    time_axis(axes)
    axes.set_xlabel(f"{name}, {axes.get_xlabel()}")
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if key and any(curve.label for curve in curves):
        axes.legend(fontsize=small, frameon=False)
    if any(curve.cut_s is not None for curve in curves):
        axes.set_title("dotted: from here on the horizon cut runs", fontsize=small, color=SOFT)
