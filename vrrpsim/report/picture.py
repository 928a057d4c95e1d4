"""A figure that a notebook shows by itself, in the same bytes as `--plot F.svg`; no pyplot needed."""

from __future__ import annotations

from matplotlib.figure import Figure


class Picture(Figure):
    """A `matplotlib.figure.Figure` with a face for Jupyter."""

    def _repr_svg_(self) -> str:
        from .style import render

        return render(self, "svg").decode()
