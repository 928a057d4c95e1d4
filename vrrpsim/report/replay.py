"""A run on a terminal, one instant at a time: states, owners, clients, and the story so far."""

from __future__ import annotations

from bisect import bisect_right

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Trace

from .lanes import BAD, Slice, lanes
from .text import headline, story

STYLES = {"MASTER": "bold green", "FAULT": "bold red", "off": "dim", "paused": "yellow"}


class Replay:
    """A run that can be shown at any of its instants."""

    def __init__(self, scenario: Scenario, trace: Trace, result: Result) -> None:
        self.title, self.end_ns = headline(scenario, result), trace.end_ns
        self.lines = story(trace, result)
        self.lanes = lanes(scenario, trace, result)

    def at(self, now_ns: int, height: int = 24) -> RenderableType:
        """Return the picture of an instant for a terminal of so many lines."""
        clock, table, news = (Table.grid(padding=(0, 2)) for _ in range(3))
        time = f"{fixed_s(now_ns, 1)} s of {fixed_s(self.end_ns, 1)} s"
        clock.add_row(ProgressBar(max(self.end_ns, 1), now_ns, width=40), Text(time, "bold"))
        for kind, label, _, slices in self.lanes:
            past = bisect_right(slices, now_ns, key=lambda each: each.start_ns)
            held = slices[past - 1] if past else Slice(0, 0, "")
            since = f"for {fixed_s(now_ns - held.start_ns, 1)} s  {held.why}"
            style = "bold red" if held.tone in BAD else STYLES.get(held.tone, "")
            name = f"client {label}" if kind == "clients" else label
            table.add_row(name, Text(held.what, style), Text(since, "dim"))
        past = bisect_right(self.lines, now_ns, key=lambda line: line.at_ns)
        room = max(height - len(self.lanes) - 5, 3)
        for line in self.lines[max(past - room, 0) : past]:
            text = Text(line.text, no_wrap=True, overflow="ellipsis")
            news.add_row(
                f"{fixed_s(line.at_ns):>8}", line.who, text, style="bold" if line.who == "event" else ""
            )
        return Group(Text(self.title), clock, table, "", news)
