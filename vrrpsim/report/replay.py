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

from .lanes import NOBODY, Slice, alike, client_slices, owner_slices, state_slices
from .text import headline, story

STYLES = {"MASTER": "bold green", "FAULT": "bold red", "off": "dim", "paused": "yellow"}
BAD = (NOBODY, "no answer", " + ")


class Replay:
    """A run that can be shown at any of its instants."""

    def __init__(self, scenario: Scenario, trace: Trace, result: Result) -> None:
        self.title, self.end_ns = headline(scenario, result), trace.end_ns
        self.lines = story(trace, result)
        states = state_slices(scenario, trace).items()
        self.lanes: dict[str, list[Slice]] = {f"{node} {instance}": held for (node, instance), held in states}
        self.lanes |= {label: owner_slices(owned) for label, owned in alike(result.ownerships)}
        self.lanes |= {f"client {name}": client_slices(name, trace) for name in scenario.clients}

    def at(self, now_ns: int, height: int = 24) -> RenderableType:
        """Return the picture of an instant for a terminal of so many lines."""
        clock, table, news = (
            Table.grid(padding=(0, 2)),
            Table.grid(padding=(0, 2)),
            Table.grid(padding=(0, 2)),
        )
        time = f"{fixed_s(now_ns, 1)} s of {fixed_s(self.end_ns, 1)} s"
        clock.add_row(ProgressBar(max(self.end_ns, 1), now_ns, width=40), Text(time, "bold"))
        for name, slices in self.lanes.items():
            past = bisect_right(slices, now_ns, key=lambda each: each.start_ns)
            held = slices[past - 1] if past else Slice(0, 0, "")
            since = f"for {fixed_s(now_ns - held.start_ns, 1)} s  {held.why}"
            style = "bold red" if any(sign in held.what for sign in BAD) else STYLES.get(held.what, "")
            table.add_row(name, Text(held.what, style), Text(since, "dim"))
        past = bisect_right(self.lines, now_ns, key=lambda line: line.at_ns)
        room = max(height - len(self.lanes) - 5, 3)
        for line in self.lines[max(past - room, 0) : past]:
            text = Text(line.text, no_wrap=True, overflow="ellipsis")
            news.add_row(
                f"{fixed_s(line.at_ns):>8}", line.who, text, style="bold" if line.who == "event" else ""
            )
        return Group(Text(self.title), clock, table, "", news)
