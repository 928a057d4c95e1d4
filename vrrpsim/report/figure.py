"""A run as one picture: states, owners, clients and events over time, and the main failover below.

Every bar has a gid such as `owner/192.168.50.108/lb1/0/3632961447` (times in ns), which is
its id in the SVG. The same run gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from vrrpsim.measure.result import EventSeen, Result
from vrrpsim.measure.seconds import fixed_s
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Trace

from . import waterfall
from .lanes import BAD, Lane, Slice, answering, lanes, priority_points, slices
from .style import (
    FAINT,
    HARM,
    HARM_TEXT,
    INK,
    NONE,
    NORMAL,
    PAPER,
    SEVERAL,
    SILENT,
    SMALL,
    SOFT,
    STATES,
    Paint,
    event_text,
    fitted,
    inches,
    node_paints,
    paint_of,
    plain_style,
    rectangle,
    time_axis,
    write,
)
from .text import verdict_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .picture import Picture

WIDTH = 9.5  # inches, as all lengths here
LANE, GAP, ROW = 0.34, 0.16, 0.22
EVENT_ROWS = 5
LANES = 40  # of one kind: more are not drawn


def figure(
    scenario: Scenario, trace: Trace, result: Result, figsize: tuple[float, float] | None = None
) -> Picture:
    """Draw a run; the figure is as high as its lanes need, unless its size is given in inches."""
    with plain_style():
        return _Picture(scenario, trace, result, figsize[0] if figsize else WIDTH).draw(figsize)


def draw_on(axes: Axes, scenario: Scenario, trace: Trace, result: Result) -> None:
    """Draw states, owners, clients and events on axes of the caller's, in the caller's style."""
    from matplotlib import rcParams

    def inches_wide() -> float:
        return axes.get_window_extent().width / axes.figure.dpi

    picture = _Picture(scenario, trace, result, inches_wide(), size=rcParams["font.size"])
    picture.frame(axes, *picture.heights()[:2])
    axes.figure.canvas.figure.draw_without_rendering()  # a layout makes room for the labels
    picture.wide = inches_wide()
    picture.timeline(axes, *picture.heights())


Rows = Sequence[tuple[int, bool, Sequence[EventSeen]]]  # row, whether its text is left of it, events


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar in a lane. `texts` are tried in order; the first that fits is written."""

    shown: Slice
    gid: str  # empty: only there to hold a text
    texts: tuple[str, ...] = ()

    @property
    def paint(self) -> Paint:
        """How it looks."""
        return paint_of(self.shown)


@dataclass(frozen=True, slots=True)
class DrawnLane:
    """One row of the timeline."""

    label: str
    bars: Sequence[Bar]
    marks: Sequence[int] = ()  # ticks within, in ns


class _Picture:
    """The layout of one figure, measured in inches from its top."""

    def __init__(
        self, scenario: Scenario, trace: Trace, result: Result, width: float, size: float | None = None
    ) -> None:
        """Axes of the caller's are `width` inches wide and have one size of text; else the figure is."""
        self.result, self.width = result, width
        self.small, self.normal = (SMALL, NORMAL) if size is None else (size, size)
        self.end_ns = max(result.duration_ns, 1)
        self.paints = node_paints(scenario)
        points = priority_points(scenario, trace)
        found: dict[str, list[Lane]] = {"states": [], "owners": [], "clients": []}
        for lane in lanes(scenario, trace, result):
            found[lane.kind].append(lane)
        self.groups = [
            _capped([_states(lane, points.get(lane.key, [(0, 0, "")])) for lane in found["states"]]),
            _capped([self._owners(lane) for lane in found["owners"]]),
            _capped([self._client(lane) for lane in found["clients"]]),
        ]
        self.groups = [group for group in self.groups if group]
        self.scenario = scenario
        self.waterfalls = list(waterfall.waterfalls(result))
        longest = max((len(lane.label) for group in self.groups for lane in group), default=4)
        often = Counter(map(event_text, result.events)).items()
        names = [name for shown in self.waterfalls for name, *_ in shown.parts]
        longest = max(longest, *map(len, names), *(len(text) + 5 for text, count in often if count > 3), 4)
        self.left = min(0.3 + longest * 0.08, 3.0)
        self.wide = width - self.left - 0.3 if size is None else width

    def heights(self) -> tuple[float, float, Rows, int]:
        """Of the lanes and of the events above them; the rows of events, and how many have none."""
        events, more = self._event_rows()
        lanes = sum(map(len, self.groups)) * LANE + GAP * max(len(self.groups) - 1, 1)
        tops = ROW * (1 + max((row for row, *_ in events), default=-1) + bool(more)) + 0.1
        return lanes, tops, events, more

    def draw(self, figsize: tuple[float, float] | None) -> Picture:
        from .picture import Picture

        about = wrap(self.scenario.description, round(105 * self.width / WIDTH))[:2]
        lanes, tops, events, more = self.heights()
        head = 0.5 + 0.19 * len(about)
        keys, columns = self._keys()
        below = 0.75 + 0.2 * -(-len(keys) // columns) + sum(map(_high, self.waterfalls))
        high = head + tops + lanes + below
        picture = Picture(figsize=figsize or (self.width, high), facecolor=PAPER)
        self._head(picture, about, high)
        axes = picture.add_axes(
            (
                self.left / self.width,
                1 - (head + tops + lanes) / high,
                self.wide / self.width,
                (tops + lanes) / high,
            )
        )
        self.timeline(axes, lanes, tops, events, more)
        self._legend(picture, axes, high - head - tops - lanes, high)
        bottom = 0.0
        for shown in reversed(self.waterfalls):
            box = (
                self.left / self.width,
                (bottom + 0.42) / high,
                self.wide / self.width,
                (_high(shown) - 0.77) / high,
            )
            waterfall.draw(picture.add_axes(box), shown, self.left - 0.15, self.wide)
            bottom += _high(shown)
        return picture

    def _head(self, picture: Figure, about: Sequence[str], high: float) -> None:
        x = 0.15 / self.width
        picture.text(x, 1 - 0.25 / high, self.result.name or "run", size=13, weight="bold", color=INK)
        verdict = f"seed {self.result.seed}; {verdict_line(self.result)}"
        colour = HARM if self.result.verdict == "fail" else INK
        picture.text(1 - x, 1 - 0.25 / high, verdict, size=NORMAL, color=colour, ha="right")
        for number, line in enumerate(about):
            picture.text(x, 1 - (0.46 + 0.19 * number) / high, line, size=NORMAL, color=SOFT)

    # --- lanes

    def _owners(self, lane: Lane) -> DrawnLane:
        bars = []
        for each in lane.slices:
            names, length = each.what.replace(" + ", "+"), _length(each)
            texts = (f"{each.what} {length}", length) if each.tone in BAD else (each.what,)
            gid = f"owner/{lane.key[0]}/{names}/{each.start_ns}/{each.end_ns}"
            bars.append(Bar(each, gid, texts))
        return DrawnLane(lane.label if lane.key[0] == "told" else f"{lane.label} owned by", bars)

    def _client(self, lane: Lane) -> DrawnLane:
        bars = []
        for each in lane.slices:
            node, [name] = answering(each.what), lane.key
            if node:
                gid = f"client/{name}/{node}/{each.start_ns}/{each.end_ns}"
                bars.append(Bar(each, gid, (each.what, node)))
            elif each.tone == "silent":
                gid = f"outage/{name}/{each.start_ns}/{each.end_ns}"
                bars.append(Bar(each, gid, (f"{each.what} {_length(each)}", _length(each))))
        return DrawnLane(f"client {lane.label}", bars)

    def frame(self, axes: Axes, lanes: float, tops: float) -> None:
        """The axes with their limits and labels; nothing drawn."""
        axes.set_xlim(0, self.end_ns / 1e9)
        axes.set_ylim(lanes, -tops)
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        axes.tick_params(labelsize=self.small, color=FAINT)
        time_axis(axes, "since the start of the run")
        axes.xaxis.label.set(size=self.small, color=INK)
        labels = {
            top + LANE * 0.4: fitted(lane.label, max(self.left - 0.1, 1.5), self.normal)
            for top, lane in self._placed()
        }
        axes.set_yticks([*labels], [*labels.values()], size=self.normal)
        axes.tick_params(axis="y", length=0)

    def timeline(self, axes: Axes, lanes: float, tops: float, events: Rows, more: int) -> None:
        self.frame(axes, lanes, tops)
        self._events(axes, lanes, events, more, tops)
        for top, lane in self._placed():
            self._lane(axes, lane, top)

    def _placed(self) -> Iterator[tuple[float, DrawnLane]]:
        """Each lane, and how far below the first it begins."""
        top = 0.0
        for group in self.groups:
            for lane in group:
                yield top, lane
                top += LANE
            top += GAP

    def _lane(self, axes: Axes, lane: DrawnLane, top: float) -> None:
        high = LANE * 0.8
        free_from = 0.0  # where the text of an earlier bar ends
        bad = [bar.shown.start_ns / 1e9 for bar in lane.bars if bar.shown.tone in BAD]
        for bar in lane.bars:
            start, end = bar.shown.start_ns / 1e9, bar.shown.end_ns / 1e9
            rectangle(axes, start, top, end - start, high, bar.paint, bar.gid)
            begin = max(start, free_from)
            text = next(
                (text for text in bar.texts if inches(text, self.small) < (end - begin) / self._second), ""
            )
            if text:
                backing = {"facecolor": bar.paint.face, "edgecolor": "none", "pad": 0.8}
                write(
                    axes,
                    (begin + end) / 2,
                    top + high / 2,
                    text,
                    color=bar.paint.text,
                    bbox=backing,
                    zorder=4,
                    size=self.small,
                )
            elif bar.shown.tone in BAD and begin == start and end - start > 0.04 * self._second:
                limit = min((at for at in bad if at > start), default=self.end_ns / 1e9)
                free_from = self._beside(axes, end, top + high / 2, bar.texts[-1], limit)
        for at_ns in lane.marks:
            axes.plot([at_ns / 1e9] * 2, [top, top + high], color=INK, linewidth=0.8, zorder=3)

    def _beside(self, axes: Axes, x: float, y: float, text: str, limit: float) -> float:
        """Write the length of what is too short to hold it, if there is room; return where the text ends."""
        end = x + (inches(text, self.small) + 0.08) * self._second
        if end > limit:
            return x
        backing = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.9}
        at = x + 0.05 * self._second
        write(axes, at, y, text, color=HARM_TEXT, bbox=backing, zorder=5, ha="left", size=self.small)
        return end

    @property
    def _second(self) -> float:
        """Seconds on the time axis that an inch shows."""
        return self.end_ns / 1e9 / self.wide

    # --- events

    def _event_rows(self) -> tuple[list[tuple[int, bool, list[EventSeen]]], int]:
        """Give events a row above the lanes, and whether its text is left of them; count what has none.

        What happens often, in the same words, shares one row, whose text stands left of the axis.
        """
        groups: dict[object, list[EventSeen]] = {}
        often = Counter(map(event_text, self.result.events))
        for number, event in enumerate(self.result.events):
            text = event_text(event)
            groups.setdefault(text if often[text] > 3 else number, []).append(event)
        free: list[float] = []
        placed: list[tuple[int, bool, list[EventSeen]]] = []
        for group in groups.values():
            start, last = group[0].at_ns / 1e9 / self._second, group[-1]
            end = max(last.at_ns, last.until_ns or 0) / 1e9 / self._second
            words = inches(event_text(last), self.small) + 0.3 if len(group) == 1 else 0.0
            left = start + words > self.wide
            begin, until = (start - words, end) if left else (start, max(end, start + words))
            if len(group) > 1:
                begin, until = 0.0, self.wide
            row = next((row for row, used in enumerate(free) if used <= begin), len(free))
            if row >= EVENT_ROWS:
                continue
            if row == len(free):
                free.append(0.0)
            free[row] = min(until, self.wide)
            placed.append((row, left, group))
        return placed, len(self.result.events) - sum(len(group) for *_, group in placed)

    def _events(self, axes: Axes, lanes: float, rows: Rows, more: int, tops: float) -> None:
        numbers = {id(event): number for number, event in enumerate(self.result.events)}
        for row, left, group in rows:
            y = -tops + ROW * (row + bool(more)) + ROW / 2
            for event in group:
                gid = f"event/{numbers[id(event)]}/{event.verb}/{event.at_ns}"
                self._event(axes, event, y, lanes, gid, often=len(group) > 1)
            several = len(group) > 1
            beside = -0.1 if left or several else 0.1
            write(
                axes,
                (0 if several else group[0].at_ns / 1e9) + beside * self._second,
                y,
                event_text(group[0]) + (f" × {len(group)}" if several else ""),
                weight="bold",
                ha="left" if beside > 0 else "right",
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
                zorder=4,
                size=self.small,
            )
        if more:
            write(axes, 0, -tops + ROW / 2, f"… {more} more events", ha="left", size=self.small)

    def _event(self, axes: Axes, event: EventSeen, y: float, lanes: float, gid: str, *, often: bool) -> None:
        """Draw when an event came and, if it was undone, the band while it lasted; fainter what is often."""
        thick = 0.4 if often else 0.9
        start, dashed, dotted = event.at_ns / 1e9, (0, (4, 2)), (0, (1, 2))
        axes.plot([start] * 2, [y, lanes], color=INK, linewidth=thick, linestyle=dashed, zorder=3, gid=gid)
        axes.plot([start], [y], marker="v", markersize=5, color=INK, zorder=5)
        if event.until_ns is not None:
            end = min(event.until_ns, self.end_ns) / 1e9
            axes.axvspan(start, end, facecolor=INK, alpha=0.07, zorder=0, linewidth=0)
            axes.plot([start, end], [y, y], color=INK, linewidth=1.2, zorder=3)
            if not often:
                axes.plot([end] * 2, [y, lanes], color=INK, linewidth=0.7, linestyle=dotted, zorder=3)

    # --- legend

    def _keys(self) -> tuple[list[tuple[Paint, str]], int]:
        """What the legend explains, and in how many columns."""
        seen = {bar.paint for group in self.groups for lane in group for bar in lane.bars}
        keys = [(paint, name) for name, paint in STATES.items() if name != "MASTER" and paint in seen]
        keys = [(STATES["MASTER"], "MASTER"), *keys]
        keys += [(paint, name) for name, paint in self.paints.items()] if len(self.groups) > 1 else []
        keys += [(SEVERAL, "two owners")] if SEVERAL in seen else []
        keys += [(NONE, "no owner")] if NONE in seen else []
        keys += [(SILENT, "client gets no answer")] if SILENT in seen else []
        widths = [inches(name) + 0.5 for _, name in keys]
        return keys, len(keys) if sum(widths) < self.width else max(int(self.width / max(widths)), 1)

    def _legend(self, picture: Figure, axes: Axes, below: float, high: float) -> None:
        from matplotlib.patches import Patch

        keys, columns = self._keys()
        picture.legend(
            handles=[
                Patch(facecolor=paint.face, edgecolor=paint.edge, hatch=paint.hatch, label=label)
                for paint, label in keys
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, (below - 0.45) / high),
            ncols=columns,
            fontsize=SMALL,
            frameon=False,
            columnspacing=1.4,
            handlelength=1.6,
        )


def _high(shown: waterfall.Waterfall) -> float:
    return 1.1 + 0.27 * len(shown.parts)


def _capped(lanes: Sequence[DrawnLane]) -> list[DrawnLane]:
    """Return the lanes that a picture can hold."""
    if len(lanes) <= LANES:
        return list(lanes)
    return [*lanes[: LANES - 1], DrawnLane(f"… {len(lanes) - LANES + 1} more", ())]


def _length(each: Slice) -> str:
    return fixed_s(each.end_ns - each.start_ns, 1) + " s"


def _states(lane: Lane, points: Sequence[tuple[int, int, str]]) -> DrawnLane:
    """The states of an instance, with the effective priority where there is room."""
    bars: list[Bar] = []
    marks: list[int] = []
    end_ns = lane.slices[-1].end_ns if lane.slices else 0
    priorities = slices(((at_ns, str(value), "") for at_ns, value, _ in points), end_ns)
    for state in lane.slices:
        spoken = state.what in ("MASTER", "BACKUP")
        gid = "/".join(("state", *lane.key, state.what, str(state.start_ns), str(state.end_ns)))
        bars.append(Bar(state, gid, () if spoken else (state.what,)))
        if not spoken:
            continue
        for each in priorities:
            start_ns, end_ns = max(state.start_ns, each.start_ns), min(state.end_ns, each.end_ns)
            if start_ns < end_ns:  # an invisible bar that holds the text of a priority
                held = state._replace(start_ns=start_ns, end_ns=end_ns)
                bars.append(Bar(held, "", (f"{state.what} {each.what}", each.what)))
            if each.start_ns and start_ns == each.start_ns < end_ns:
                marks.append(each.start_ns)
    return DrawnLane(lane.label, bars, marks)
