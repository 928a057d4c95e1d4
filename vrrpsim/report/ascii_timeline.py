"""The strips of a run in characters: states and owners over time, with the events pointed at below."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from vrrpsim.measure.causes import Cause, causes
from vrrpsim.measure.result import Result
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import format_duration
from vrrpsim.trace import Fault, FaultEnd, Trace

from .lanes import Slice, lanes

GLYPHS = {"MASTER": "#", "BACKUP": "=", "INIT": "-", "FAULT": "x", "off": ".", "paused": "~"}
GLYPHS |= {"several": "!", "nobody": ".", "before": "."}
LEGEND = "# MASTER  = BACKUP  - INIT  x FAULT  . off  ~ paused"
NUMBERS = "123456789abcdefghijklmnopqrstuvwxyz"  # the owners in the address rows
CARET_ROWS = 5


def timeline(scenario: Scenario, trace: Trace, result: Result, width: int) -> Iterator[str]:
    """Draw one strip for each instance and each address, scaled to the width, with the faults below."""
    names = list(scenario.nodes)
    numbers = dict(zip(names, NUMBERS, strict=False))
    rows = [lane for lane in lanes(scenario, trace, result) if lane.kind != "clients"]
    states = Counter(lane.key[0] for lane in rows if lane.kind == "states")
    labels = [
        lane.key[0] if lane.kind == "states" and states[lane.key[0]] == 1 else lane.label for lane in rows
    ]
    label = max(map(len, labels), default=3)
    columns = max(20, min(width, 200) - label - 5)
    end_ns = max(result.duration_ns, 1)
    indent = " " * (label + 4)
    yield indent + _axis(end_ns, columns)
    for name, lane in zip(labels, rows, strict=True):
        instants = [each.start_ns for each in lane.slices]
        glyphs = [_glyph(each, numbers) for each in lane.slices]
        yield f"  {name:{label}}  {_strip(instants or [0], glyphs or [' '], end_ns, columns)}"
    faults = (record for record in trace.records if isinstance(record, (Fault, FaultEnd)))
    for row in _carets(causes(faults, names), end_ns, columns):
        yield indent + row
    yield f"  {LEGEND}"
    if result.ownerships:
        numbered = ", ".join(f"{number} {name}" for name, number in numbers.items())
        yield f"  owner: {numbered}, ! several, . nobody"


def _glyph(each: Slice, numbers: Mapping[str, str]) -> str:
    """A state's, or the number of the owner."""
    return GLYPHS.get(each.tone) or numbers.get(each.what, "?")


def _strip(instants: Sequence[int], glyphs: Sequence[str], end_ns: int, columns: int) -> str:
    """Show in each column the glyph that held longest in it."""
    return "".join(
        _longest(instants, glyphs, column * end_ns // columns, (column + 1) * end_ns // columns)
        for column in range(columns)
    )


def _longest(instants: Sequence[int], glyphs: Sequence[str], start_ns: int, stop_ns: int) -> str:
    first, last = bisect_right(instants, start_ns) - 1, bisect_right(instants, stop_ns)
    held: Counter[str] = Counter()
    for at in range(first, last):
        until_ns = instants[at + 1] if at + 1 < len(instants) else stop_ns
        held[glyphs[at]] += min(until_ns, stop_ns) - max(instants[at], start_ns)
    return held.most_common(1)[0][0]


def _axis(end_ns: int, columns: int) -> str:
    step = next(s for s in _steps() if s * columns >= 9 * end_ns)
    axis = ""
    for at_ns in range(0, end_ns + 1, step):
        text = format_duration(at_ns).replace(" ", "")
        axis = axis.ljust(min(at_ns * columns // end_ns, columns - len(text))) + text
    return axis


def _steps() -> Iterator[int]:
    """Round lengths of time: 1, 2, 5 … up to 50 s, then of minutes and hours, then of days."""
    yield from (factor * 10**power for power in range(3, 11) for factor in (1, 2, 5))
    yield from (minutes * 60 * 10**9 for minutes in (1, 2, 5, 10, 20, 30, 60, 120, 360, 720))
    yield from (factor * 86_400 * 10**power for power in count(9) for factor in (1, 2, 5))


def _carets(events: Sequence[Cause], end_ns: int, columns: int) -> Iterator[str]:
    """Point at each event, in as few rows as their words need."""
    rows: list[str] = []
    dropped = 0
    for event in events:
        column, text = min(event.at_ns * columns // end_ns, columns - 1), str(event)
        if column + len(text) >= columns and column >= len(text):
            column, text = column - len(text), text + "^"
        else:
            text = "^" + text
        row = next((index for index, row in enumerate(rows) if len(row) < column), len(rows))
        if row == CARET_ROWS:
            dropped += 1
            continue
        if row == len(rows):
            rows.append("")
        rows[row] = rows[row].ljust(column) + text
    yield from rows
    if dropped:
        yield f"… {dropped} more events"
