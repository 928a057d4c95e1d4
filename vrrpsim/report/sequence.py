"""The packets of a stretch of a run as a ladder: machines side by side, time downwards, an arrow a message.

Time is stretched where much happens: each message gets a row of its own, and beside it stands when it was.
A lost message ends in a cross. Gratuitous ARP (or unsolicited NA) of one burst is one row with its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import AdvertSent, Level, PriorityChange, StateChange, Trace, TrackerChange

from .messages import Everybody, Route, routes
from .picture import Picture
from .style import (
    ADVERT,
    FAINT,
    GARP,
    HARM,
    INK,
    NORMAL,
    PAPER,
    SMALL,
    STATES,
    event_text,
    fitted,
    plain_style,
    write,
)
from .waterfall import main_failover

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEP, HIGH = 3.0, 0.27  # inches between machines, of a row
LEFT, RIGHT = 2.0, 1.5
ROWS = 60
AFTER_NS = 20_000_000  # of a new owner: its announcements
KINDS = {"advert": ADVERT, "garp": GARP, "reject": HARM}


@dataclass(slots=True)
class _Row:
    """One line of the ladder: a message, or what a machine says about itself (`sender` alone)."""

    at_ns: int
    sender: int
    text: str
    colour: str
    to: Sequence[int] = ()
    lost: Sequence[int] = ()
    times: int = 1


def sequence(scenario: Scenario, trace: Trace, result: Result, start_ns: int, end_ns: int) -> Picture:
    """Draw the messages and changes from one instant to another, in ns; at most `ROWS` of them.

    A message stands at the instant at which it leaves.

    Raises `ValueError` if the trace has no messages: it was recorded at `Level.STATES`.
    """
    if trace.level < Level.ADVERTS:
        raise ValueError("the trace has no messages: run it with level=Level.ADVERTS")
    everybody = Everybody(scenario)
    rows = [row for row in _rows(trace, result, everybody) if start_ns <= row.at_ns <= end_ns]
    rows = list(_bursts(sorted(rows, key=lambda row: (row.at_ns, bool(row.to)))))  # why, then what
    more, rows = len(rows) - ROWS, rows[:ROWS]
    names = everybody.names[: len(scenario.nodes)]
    wide = LEFT + STEP * (max(len(names), 2) - 1) + RIGHT
    high = 0.9 + HIGH * (len(rows) + 1 + (more > 0))
    with plain_style():
        picture = Picture(figsize=(wide, high), facecolor=PAPER)
        axes = picture.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, wide)
        axes.set_ylim(high, 0)
        axes.set_axis_off()
        title = f"{result.name or 'run'}: {fixed_s(start_ns)} to {fixed_s(end_ns)} s"
        write(axes, 0.15, 0.25, title, size=13, weight="bold", ha="left")
        x = [LEFT + STEP * number for number in range(len(names))]
        for at, name in zip(x, names, strict=True):
            shown = fitted(name, STEP - 0.2, NORMAL + 1, bold=True)
            write(axes, at, 0.62, shown, size=NORMAL + 1, weight="bold")
            axes.plot([at, at], [0.8, high - 0.1], color=FAINT, linewidth=1.2, zorder=0)
        before = -1
        for number, row in enumerate(rows):
            y = 0.9 + HIGH * (number + 0.7)
            if row.at_ns != before:
                write(axes, 1.0, y, f"{fixed_s(row.at_ns)} s", ha="right")
            before = row.at_ns
            _draw(axes, row, x, y, wide)
        if more > 0:
            write(axes, 1.0, high - 0.15, f"… {more} more", ha="right")
    return picture


def around(trace: Trace, result: Result) -> tuple[int, int]:
    """Return the stretch of the main failover, from the advert before its fault; else of the whole run."""
    main = main_failover(result)
    if main is None:
        return 0, trace.end_ns
    fault_ns, owner_ns = main[1].fault_ns, main[1].owner_ns
    adverts = [each.at_ns for each in trace.records if isinstance(each, AdvertSent) and each.at_ns < fault_ns]
    return max(adverts, default=fault_ns), owner_ns + AFTER_NS


def _rows(trace: Trace, result: Result, everybody: Everybody) -> Iterator[_Row]:
    for at_ns, route in routes(trace, everybody):
        yield _Row(at_ns, route.sender, _message(route), KINDS[route.kind], route.to, route.lost)
    for event in result.events:
        yield _Row(event.at_ns, -1, event_text(event), INK)
    for record in trace.records:
        match record:
            case TrackerChange():
                text = f"{record.name} {'succeeds' if record.ok else 'fails'}"
            case PriorityChange():
                text = f"priority {record.old} → {record.new}"
            case StateChange():
                text = f"{record.old} → {record.new}"
            case _:
                continue
        colour = STATES["MASTER"].face if isinstance(record, StateChange) else INK
        yield _Row(record.at_ns, everybody.number[record.node], text, colour)


def _message(route: Route) -> str:
    match route.kind:
        case "advert":
            return f"advert, priority {route.text}"
        case "garp":
            return f"gratuitous ARP {route.text}" if ":" not in route.text else f"unsolicited NA {route.text}"
    return f"rejected: {route.text}"


def _bursts(rows: Sequence[_Row]) -> Iterator[_Row]:
    """Join announcements of the same kind that follow each other within 100 ms."""
    last: _Row | None = None
    for row in rows:
        if (
            last
            and row.colour == KINDS["garp"]
            and _alike(last, row)
            and row.at_ns - last.at_ns < 100_000_000
        ):
            last.times += 1
            continue
        if last:
            yield last
        last = row
    if last:
        yield last


def _alike(one: _Row, other: _Row) -> bool:
    return (one.sender, one.text, one.lost) == (other.sender, other.text, other.lost)


def _draw(axes: Axes, row: _Row, x: Sequence[float], y: float, wide: float) -> None:
    backing = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
    text = row.text + (f" × {row.times}" if row.times > 1 else "")
    targets = [to for to in row.to if to < len(x)]
    if row.sender < 0 and not targets:  # an event: across all machines
        axes.plot([1.1, wide - 0.1], [y, y], color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
        write(axes, x[0] + STEP / 2, y, text, weight="bold", bbox=backing, zorder=4, color="black")
        return
    start = x[row.sender] if 0 <= row.sender < len(x) else wide
    if not row.to:
        write(axes, start, y, text, weight="bold", color=row.colour, bbox=backing, zorder=4)
        return
    for to in targets:
        lost = to in row.lost
        end = start + (x[to] - start) * 0.85 if lost else x[to]
        colour = HARM if lost else row.colour
        axes.annotate(
            "",
            xy=(end, y),
            xytext=(start, y),
            arrowprops={
                "arrowstyle": "-" if lost else "-|>",
                "color": colour,
                "linewidth": 1.3,
                "linestyle": "--" if lost else "-",
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        if lost:
            axes.plot([end], [y], marker="x", markersize=8, markeredgewidth=2.4, color=HARM, zorder=5)
    if targets:
        first = min(targets, key=lambda to: abs(x[to] - start))
        middle = start + (x[first] - start) * (0.4 if first in row.lost else 0.5)
        lost_text = f"{text}, lost" if row.lost else text
        write(axes, middle, y - 0.1, lost_text, size=SMALL - 0.5, color=HARM if row.lost else INK, zorder=4)
    elif row.colour == KINDS["garp"]:
        write(axes, start, y, text, color=row.colour, bbox=backing, zorder=4)
