"""What all pictures share: one table of colours, how a bar looks, the plain style, the same bytes.

A colour means one thing in every report, and is written nowhere else; `html/page.css` has the same ones and
their counterparts on dark pages. The colour-blind can tell them apart, and a word or a hatch says the same
again, for print. No pyplot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from vrrpsim.measure.result import EventSeen
from vrrpsim.scenario.model import Scenario

from .lanes import Slice, node_tones

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, FAINT, GRID, PAPER = "#222222", "#4f5860", "#8a9299", "#DDDDDD", "#ffffff"
HAIRLINE = "#80808060"  # on light and on dark paper
HARM, HARM_TEXT = "#D55E00", "#A33C00"  # two owners, nobody, no answer, rejected, failed
GOOD_TEXT, UNSURE_TEXT = "#00664F", "#6B5200"
SMALL, NORMAL = 8.0, 9.5  # points


@dataclass(frozen=True, slots=True)
class Paint:
    """How a bar looks."""

    face: str
    hatch: str = ""
    edge: str = PAPER
    text: str = INK


STATES = {
    "MASTER": Paint("#0072B2", text=PAPER),
    "BACKUP": Paint("#C9D3DA"),
    "FAULT": Paint("#F3B48A", "////", HARM),
    "INIT": Paint("#FBF3B4", "---", "#b9a800"),
    "off": Paint(PAPER, "xxxx", "#9a9a9a"),
    "paused": Paint(PAPER, "||||", "#9a9a9a"),
}
NODES = tuple(map(Paint, ("#7FCDB4", "#D7BCE8", "#EBD77A", "#A6D8F3", "#E3B8D0", "#C8C8C8")))
SEVERAL = Paint("#F3B48A", "xxxx", HARM)
NONE = Paint(PAPER, "", HARM, HARM)
SILENT = Paint("#F3B48A", "\\\\\\\\", HARM)
BAD = (SEVERAL, NONE, SILENT)
UNKNOWN = Paint(PAPER, "", FAINT)
PART = Paint("#DCC9AE")  # a part of a failover or an outage
PLAIN = Paint("#F1F3F4")  # a box that only holds words
SERIES = ("#332288", "#117733", "#882255", "#7A5C00", "#006D77", "#AA4499", "#000000")  # curves side by side
ADVERT, GARP = STATES["MASTER"].face, "#007A5A"  # on the wire
PAINTS = {  # by the tone of a slice
    **STATES,
    **{f"node{number}": paint for number, paint in enumerate(NODES)},
    "several": SEVERAL,
    "nobody": NONE,
    "silent": SILENT,
}


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw by matplotlib's defaults, whatever the user's are; a name with two dollars is no formula."""
    from matplotlib import rc_context, rcdefaults

    with rc_context():
        rcdefaults()
        with rc_context(
            {
                "text.parse_math": False,
                "svg.hashsalt": "vrrpsim",
                "hatch.linewidth": 0.6,
                "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
            }
        ):
            yield


UNITS = ((1e-3, "milliseconds"), (1.0, "seconds"), (60.0, "minutes"), (3600.0, "hours"), (86400.0, "days"))


def time_axis(axes: Axes, words: str = "") -> None:
    """Name a time axis, whose limits stand, in the unit that fits its span: three of them at least, or ms."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    low, high = axes.get_xlim()
    unit, name = next((each for each in reversed(UNITS) if (high - low) / each[0] >= 3), UNITS[0])
    unit, name = (1.0, "seconds") if name == "minutes" and high - low < 600 else (unit, name)
    axes.set_xlabel(f"{name} {words}".strip())
    if unit != 1.0:
        round_numbers = [1, 2, 5, 10] if unit < 1 else [1, 2, 3, 5, 6, 10]
        ticks = MaxNLocator(8, steps=round_numbers).tick_values(low / unit, high / unit)
        axes.xaxis.set_major_locator(FixedLocator([tick * unit for tick in ticks]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
        axes.set_xlim(low, high)


def render(picture: Figure, kind: str) -> bytes:
    """Return a figure as `svg`, `png` or `pdf`; the same figure gives the same bytes."""
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Creator": "vrrpsim", "Date": None},
        "pdf": {"Creator": "vrrpsim", "CreationDate": None},
        "png": {"Software": "vrrpsim"},
    }
    if kind not in metadata:
        raise ValueError(f"{kind!r} is not one of {', '.join(metadata)}")
    out = BytesIO()
    with plain_style():
        picture.savefig(out, format=kind, metadata=metadata[kind], dpi=150)
    return out.getvalue()


def node_paints(scenario: Scenario) -> dict[str, Paint]:
    """Return the colour of each node, the same in every picture."""
    return {name: PAINTS[tone] for name, tone in node_tones(scenario).items()}


def paint_of(each: Slice) -> Paint:
    """Return how a slice of a lane looks."""
    return PAINTS.get(each.tone, UNKNOWN)


def event_text(event: EventSeen) -> str:
    """Say an event in the words of the scenario."""
    return shorten(str(event), 44, placeholder=" …")


def rectangle(axes: Axes, x: float, y: float, wide: float, high: float, paint: Paint, gid: str) -> None:
    """Draw a bar; without `gid` it is only there to hold a text."""
    from matplotlib.patches import Rectangle

    if not gid:
        return
    axes.add_patch(
        Rectangle(
            (x, y),
            wide,
            high,
            facecolor=paint.face,
            edgecolor=paint.edge,
            hatch=paint.hatch,
            linewidth=0.7,
            gid=gid,
            zorder=2.5 if paint.edge == HARM else 2,
        )
    )


def write(axes: Axes, x: float, y: float, text: str, **looks: Any) -> None:
    """Write a small text, centred unless `looks` says otherwise."""
    axes.text(x, y, text, **{"size": SMALL, "color": INK, "ha": "center", "va": "center", **looks})


def inches(text: str, size: float = SMALL, *, bold: bool = False) -> float:
    """Roughly how wide a text is, rather too much than too little."""
    return len(text) * size * (0.7 if bold else 0.61) / 72 + 0.06


def fitted(text: str, room: float, size: float = SMALL, *, bold: bool = False) -> str:
    """Return the text, or its beginning and its end if it is wider than so many inches."""
    while inches(text, size, bold=bold) > room and len(text) > 3:
        middle = len(text) // 2
        text = f"{text[: middle - 1]}…{text[middle + 1 :]}".replace("……", "…")
    return text
