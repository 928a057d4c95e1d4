"""Small SVG drawings for a notebook's cards: the lanes of a run, the distributions of a sweep.

Text and axes take the colour of the page, bars bring their own with dark or light text on it. What a bar
means is also said when the pointer rests on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Trace

from .distribution import DASHES, DrawableCurve
from .lanes import BAD, Slice, answering, lanes
from .style import HAIRLINE, PAPER, SERIES, event_text, paint_of

__all__ = ["DrawableCurve", "distribution", "timeline"]

WIDE, LEFT, ROW, BAR = 820, 170, 20, 15
LANES, SLICES = 24, 200  # more are not drawn; of a lane the longest
FONT = 'font-family="system-ui,sans-serif" font-size="11"'


def timeline(scenario: Scenario, trace: Trace, result: Result) -> str:
    """Draw states, owners and clients of a run over time, events as lines through them."""
    rows = lanes(scenario, trace, result)
    shown = rows[:LANES]
    end_ns = max(result.duration_ns, 1)
    scale = (WIDE - LEFT - 10) / end_ns
    bottom = 18 + ROW * len(shown)
    parts = [_event(event_text(each), LEFT + each.at_ns * scale, bottom) for each in result.events[:SLICES]]
    parts += _said([(event_text(each), LEFT + each.at_ns * scale) for each in result.events[:SLICES]])
    for number, lane in enumerate(shown):
        y = 18 + ROW * number
        label = f"client {lane.label}" if lane.kind == "clients" else lane.label
        parts.append(_text(LEFT - 6, y + 11, label[:26], anchor="end"))
        longest = sorted(lane.slices, key=lambda each: each.start_ns - each.end_ns)[:SLICES]
        parts += [_bar(each, y, scale) for each in longest]
    for at_s in _ticks(0, end_ns / 1e9):
        x = min(LEFT + at_s * 1e9 * scale, WIDE - 20)
        parts.append(_text(x, bottom + 12, f"{at_s:g} s", anchor="middle"))
    if len(rows) > LANES:
        parts.append(_text(LEFT - 6, bottom + 12, f"… {len(rows) - LANES} more", anchor="end"))
    return _svg(WIDE, bottom + 18, parts, f"timeline of {result.name or 'the run'}")


def distribution(panels: Mapping[str, Sequence[DrawableCurve]]) -> str:
    """Draw for each measure the part of the runs that took no longer, a line for each curve."""
    panels = {name: curves for name, curves in panels.items() if curves}
    if not panels:
        return ""
    wide, high = WIDE / len(panels), 150
    parts = [
        part
        for n, (name, curves) in enumerate(panels.items())
        for part in _panel(n * wide, wide, name, curves)
    ]
    labels = [curve.label for curve in next(iter(panels.values()))]
    if any(labels):
        parts += [
            part for n, label in enumerate(labels[:8]) for part in _key(40 + n * 98, high + 42, n, label)
        ]
        high += 16
    return _svg(WIDE, high + 34, parts, "distribution of " + " and ".join(panels))


def _bar(each: Slice, y: float, scale: float) -> str:
    paint, what = paint_of(each), answering(each.what) or each.what
    x, wide = LEFT + each.start_ns * scale, (each.end_ns - each.start_ns) * scale
    about = f"{what} {fixed_s(each.start_ns)}–{fixed_s(each.end_ns)} s {each.why}".strip()
    edge = HAIRLINE if paint.edge == PAPER else paint.edge
    box = (
        f'<rect x="{x:.1f}" y="{y}" width="{max(wide, 0.6):.1f}" height="{BAR}" fill="{paint.face}" '
        f'stroke="{edge}" stroke-width="0.8"><title>{escape(about)}</title></rect>'
    )
    texts = (what, f"{fixed_s(each.end_ns - each.start_ns, 1)} s" if each.tone in BAD else "")
    text = next((text for text in texts if text and len(text) * 6.4 < wide), "")
    if not text:
        return box
    return box + _text(x + wide / 2, y + 11, text, colour=paint.text, anchor="middle", still=True)


def _event(text: str, x: float, bottom: float) -> str:
    line = f'<path d="M{x:.1f} 12V{bottom}" stroke="currentColor" stroke-width="0.8" stroke-dasharray="3 2"/>'
    mark = f'<path d="M{x - 4:.1f} 5h8l-4 7z" fill="currentColor"><title>{escape(text)}</title></path>'
    return line + mark


def _said(events: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Write events beside their marks, where there is room until the next one."""
    for (text, x), (_, end) in pairwise([*events, ("", WIDE)]):
        if x + 10 + len(text) * 6.2 < end:
            yield _text(x + 7, 10, text)


def _ticks(low: float, high: float) -> Iterator[float]:
    """Four to ten round numbers."""
    rough = (high - low) / 8 or 1.0
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    yield from (round(number * step, 12) for number in range(ceil(low / step), floor(high / step) + 1))


def _panel(left: float, wide: float, name: str, curves: Sequence[DrawableCurve]) -> Iterator[str]:
    x0, x1, y0, y1 = left + 38, left + wide - 16, 8.0, 150.0
    most = max(curve.seconds[-1] for curve in curves) * 1.02 or 1.0
    least = min(curve.seconds[0] for curve in curves)
    least = 0.0 if least < most / 2 else least * 0.98
    scale = (x1 - x0) / ((most - least) or 1.0)
    for part in (0.0, 0.5, 1.0):
        y = y1 - part * (y1 - y0)
        yield f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="{HAIRLINE}"/>'
        yield _text(x0 - 4, y + 4, f"{part:.0%}", anchor="end")
    for number, curve in enumerate(curves):
        points = list(zip(curve.seconds, curve.part, strict=True))
        points = points[:: max(len(points) // SLICES, 1)] + points[-1:]
        steps = "".join(
            f"H{x0 + (at - least) * scale:.1f}V{y1 - part * (y1 - y0):.1f}" for at, part in points
        )
        start = x0 + (curve.seconds[0] - least) * scale
        about = f"<title>{escape(curve.label or name)}</title>"
        yield f'<path d="M{start:.1f} {y1}{steps}" {_stroke(number)}>{about}</path>'
    for at in _ticks(least, most):
        yield _text(x0 + (at - least) * scale, y1 + 14, f"{at:g}", anchor="middle")
    yield _text((x0 + x1) / 2, y1 + 28, f"{name}, seconds", anchor="middle")


def _key(x: float, y: float, number: int, label: str) -> Iterator[str]:
    yield f'<path d="M{x} {y - 4}h18" {_stroke(number)}/>'
    yield _text(x + 22, y, label[:13])


def _stroke(number: int) -> str:
    colour = SERIES[number % len(SERIES)].replace(SERIES[-1], "currentColor")  # black cannot be seen on dark
    dash = DASHES[number % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{colour}" stroke-width="1.8"{dashed}'


def _text(
    x: float, y: float, text: str, *, colour: str = "currentColor", anchor: str = "start", still: bool = False
) -> str:
    through = ' pointer-events="none"' if still else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"{through}>{escape(text)}</text>'
    )


def _svg(wide: float, high: float, parts: Sequence[str], says: str) -> str:
    return (
        f'<svg viewBox="0 0 {wide:g} {high:g}" role="img" aria-label="{escape(says)}" {FONT} '
        f'style="width:100%;max-width:{wide:g}px;display:block;margin:6px 0">{"".join(parts)}</svg>'
    )
