"""Who is where, who owns what and what is cut: a scenario as a graph and as a picture.

Segments and switches are horizontal lines, machines stand between them, clients outside. With the instant of
a run, what is broken then is red and crossed or dashed, and addresses stand with the machine that owns them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from textwrap import shorten
from typing import TYPE_CHECKING

from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s
from vrrpsim.scenario.events import Partition
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.network import graph_of
from vrrpsim.trace import Trace

from .lanes import SILENT, Slice, answering, client_slices, machine_slices, process_slices, state_slices
from .style import (
    FAINT,
    HARM,
    INK,
    NORMAL,
    PAPER,
    PLAIN,
    SMALL,
    SOFT,
    Paint,
    event_text,
    fitted,
    node_paints,
    plain_style,
    write,
)

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes

    from .picture import Picture

WIDE, HIGH = 1.75, 0.98  # inches of a machine
ASIDE = 0.4  # inches between cables of switches, which run beside the machines
LINES = ("segment", "switch")
CLEAR = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}
STEP, LEVEL = 2.7, 1.45  # inches from machine to machine, and from one to its segment


def graph_at(scenario: Scenario, result: Result, at_ns: int) -> nx.MultiGraph[str]:
    """Return the scenario's graph at an instant: `up` says it of each machine, switch and cable.

    Partitions and losses take nothing down.
    """
    graph = graph_of(scenario)
    for name, data in graph.nodes(data=True):
        data["up"] = not _held(result, name, "power_off", "power_on", at_ns)
    for one, other, data in graph.edges(data=True):
        names = [data["cable"], *(f"{end}/{data['interface']}" for end in (one, other) if data["interface"])]
        pulled = any(_held(result, name, "link_down", "link_up", at_ns) for name in names)
        data["up"] = not pulled and graph.nodes[one]["up"] and graph.nodes[other]["up"]
    return graph


def _held(result: Result, target: str, harm: str, repair: str, at_ns: int) -> bool:
    """Follow what was done to a target, and undone."""
    held = 0
    for event in result.events:
        if target not in event.targets:
            continue
        if event.verb == harm and _lasts(event.at_ns, event.until_ns, at_ns):
            held += 1
        elif event.verb == repair and event.at_ns <= at_ns:
            held = 0
    return held > 0


def topology(scenario: Scenario, trace: Trace, result: Result, at_ns: int) -> Picture:
    """Draw the cluster as it is at an instant in ns; an empty trace gives what the scenario says."""
    with plain_style():
        return _Picture(scenario, trace, result, min(at_ns, max(trace.end_ns - 1, 0))).draw()


def cuts(scenario: Scenario, result: Result, at_ns: int) -> Iterator[tuple[str, str, bool]]:
    """Return the pairs that are separated at an instant; one way: the first is not heard by the second."""
    for seen in result.events:
        if seen.verb != "partition" or not _lasts(seen.at_ns, seen.until_ns, at_ns):
            continue
        for event in scenario.events:
            if not isinstance(event.parameters, Partition):
                continue
            groups = _resolved(event.parameters, seen.targets)
            if groups is None or (seen.name or event.name) != event.name:
                continue
            one_way = event.parameters.one_way
            for first, second in combinations(groups, 2):
                if not one_way or first is groups[0]:
                    yield from ((one, other, one_way) for one in first for other in second)
            break


def _resolved(partition: Partition, met: Sequence[str]) -> list[list[str]] | None:
    """Return the groups with their roles resolved: `met` names all members in order, each once."""
    written = [[str(target).partition("/")[0] for target in group] for group in partition.groups]
    members = list(dict.fromkeys(name for group in written for name in group))
    if len(members) != len(met):
        return None
    now = dict(zip(members, met, strict=True))
    same = all(name == now[name] or name.partition("(")[0] in ("master", "backup") for name in members)
    return [[now[name] for name in group] for group in written] if same else None


def _lasts(start_ns: int, until_ns: int | None, at_ns: int) -> bool:
    return start_ns <= at_ns and (until_ns is None or at_ns < until_ns)


class _Picture:
    """Positions in inches; the first segment is above the machines, the second below, and so on outwards."""

    def __init__(self, scenario: Scenario, trace: Trace, result: Result, at_ns: int) -> None:
        self.scenario, self.trace, self.result, self.at_ns = scenario, trace, result, at_ns
        self.graph = graph_of(scenario)
        self.paints = node_paints(scenario)
        self.cuts = list(cuts(scenario, result, at_ns))
        self.wide = max(len(scenario.nodes) * STEP, len(scenario.clients) * STEP, 2 * STEP)
        self.x = _spread(list(scenario.nodes), self.wide)
        switches = scenario.switches.keys()
        self.trunks = [cable for cable in scenario.cables if switches >= set(cable.ends)]
        self.right = self.wide + ASIDE * len(self.trunks)
        self.y: dict[str, float] = {}
        lines = [name for name, data in self.graph.nodes(data=True) if data["kind"] in LINES]
        for number, name in enumerate(reversed(lines)):  # a single one is below
            self.y[name] = LEVEL * (1 + number // 2) * (1 if number % 2 else -1)
        self.home = {name: next(iter(self.graph.neighbors(name))) for name in scenario.clients}
        for name in lines:
            self.x |= _spread([each for each, home in self.home.items() if home == name], self.wide)

    def draw(self) -> Picture:
        from .picture import Picture

        clients = set(self.home.values())
        bow = 0.5 if self.cuts else 0.0
        top = (
            max([HIGH / 2 + 0.15 + bow, *(y + (1.2 if n in clients else 0.3) for n, y in self.y.items())])
            + 0.85
        )
        bottom = min([-HIGH / 2, *(y - (1.2 if n in clients else 0.3) for n, y in self.y.items())]) - 0.15
        wide = self.right + 0.6
        picture = Picture(figsize=(wide, top - bottom), facecolor=PAPER)
        axes = picture.add_axes((0, 0, 1, 1))
        axes.set_xlim(-0.3, self.right + 0.3)
        axes.set_ylim(bottom, top)
        axes.set_axis_off()
        when = f" at {fixed_s(self.at_ns)} s" if self.trace.end_ns else ""
        title = (self.result.name or "run") + when
        write(axes, -0.15, top - 0.3, title, size=13, weight="bold", ha="left")
        write(axes, -0.15, top - 0.58, self._going_on(), ha="left")
        for name, y in self.y.items():
            self._segment(axes, name, y)
        for number, cable in enumerate(self.trunks):
            self._trunk(axes, *cable.ends, cable.name, self.wide + ASIDE * (number + 0.5))
        for one, other, data in self.graph.edges(data=True):
            if not (one in self.y and other in self.y):
                line, end = (one, other) if one in self.y else (other, one)
                self._link(axes, line, end, data)
        for name in self.scenario.nodes:
            self._node(axes, name)
        for name in self.scenario.clients:
            self._client(axes, name)
        for one, other, one_way in self.cuts:
            self._cut(axes, one, other, one_way)
        return picture

    def _going_on(self) -> str:
        """Say which events are at work."""
        if not self.trace.end_ns:
            return shorten(self.scenario.description, int(self.wide * 15), placeholder=" …")
        active = [
            event_text(each)
            for each in self.result.events
            if each.until_ns is not None and _lasts(each.at_ns, each.until_ns, self.at_ns)
        ]
        before = [each for each in self.result.events if each.at_ns <= self.at_ns]
        if active:
            return "at work: " + "; ".join(active)
        return (
            f"last event: {event_text(before[-1])} at {fixed_s(before[-1].at_ns)} s"
            if before
            else "before any event"
        )

    def _segment(self, axes: Axes, name: str, y: float) -> None:
        kind, off = self.graph.nodes[name]["kind"], self._held(name, "power_off", "power_on")
        style = (
            {"color": HARM, "linestyle": (0, (3, 2))} if off else {"color": INK, "solid_capstyle": "round"}
        )
        gid = f"{kind}/{name}" + ("/off" if off else "")
        axes.plot([0, self.right], [y, y], linewidth=3, zorder=1, gid=gid, **style)
        aside = 0.15 if y > 0 else -0.15  # where clients are, if any: there is more room
        label = self.graph.nodes[name]["label"] + (" has no power" if off else "")
        write(axes, -0.15, y + aside, label, bbox=CLEAR, zorder=1, ha="left", color=HARM if off else INK)

    def _trunk(self, axes: Axes, one: str, other: str, cable: str, x: float) -> None:
        """A cable between two switches, beside the machines."""
        low, high = sorted((self.y[one], self.y[other]))
        down = self._down(cable, one, other)
        style = {"color": HARM, "linestyle": (0, (3, 2))} if down else {"color": INK}
        gid = f"cable/{cable}" + ("/down" if down else "")
        axes.plot([x, x], [low, high], linewidth=1.6, zorder=0, gid=gid, **style)
        if down:
            axes.plot([x], [(low + high) / 2], "x", markersize=12, markeredgewidth=3, color=HARM, zorder=4)
        colour = HARM if down else SOFT
        write(axes, x - 0.09, low + (high - low) / 4, cable, color=colour, rotation=90)

    def _link(self, axes: Axes, line: str, end: str, data: dict[str, str]) -> None:
        """The cable of a machine or client; broken if the carrier is gone."""
        x, y = self.x[end], self.y[line]
        label, interface = data["label"], data["interface"]
        client = end in self.scenario.clients
        outwards = 1 if y > 0 else -1
        start = y + outwards * 0.75 if client else (HIGH / 2) * outwards
        down = self._held(f"{end}/{interface}", "link_down", "link_up") or self._down(data["cable"], line)
        style = {"color": HARM, "linestyle": (0, (3, 2))} if down else {"color": FAINT}
        axes.plot([x, x], [start, y], linewidth=1.6, zorder=0, **style)
        if down:
            axes.plot(
                [x], [(start + y) / 2], marker="x", markersize=12, markeredgewidth=3, color=HARM, zorder=4
            )
        text = label + ("\ncarrier lost" if down else "")
        colour = HARM if down else SOFT
        aside = 0.17 if down else 0.09
        write(axes, x + aside, (start + y) / 2, text, color=colour, ha="left")

    def _down(self, cable: str, *switches: str) -> bool:
        """Whether a cable is pulled, or a switch at its end has no power."""
        off = any(self._held(switch, "power_off", "power_on") for switch in switches)
        return off or self._held(cable, "link_down", "link_up")

    def _held(self, target: str, harm: str, repair: str) -> bool:
        return _held(self.result, target, harm, repair, self.at_ns)

    def _node(self, axes: Axes, name: str) -> None:
        """A machine: its instances with their states, what it owns, what is dead on it."""
        machine = self._now(machine_slices(self.trace).get(name, [])) or "on"
        owned = [each.address for each in self.result.ownerships if name in each.line.at(self.at_ns)]
        lines = [
            f"{instance} {self._now(states)}".strip()
            for (node, instance), states in state_slices(self.scenario, self.trace).items()
            if node == name
        ]
        broken = [
            f"{process} {life}"
            for (node, process), lives in process_slices(self.trace).items()
            if node == name and (life := self._now(lives)) in ("dead", "frozen")
        ]
        if machine != "on":
            lines, broken = [f"machine {machine}"], []
        paint = self.paints[name] if owned else PLAIN
        gid = f"node/{name}/{machine}/" + "+".join(owned)
        _box(axes, self.x[name], 0, WIDE, HIGH, paint, bad=machine != "on", gid=gid)
        shown = fitted(name, WIDE, NORMAL + 1, bold=True)
        write(axes, self.x[name], HIGH / 2 - 0.17, shown, size=NORMAL + 1, weight="bold")
        shown = ", ".join(owned)
        if len(shown) > 20 and len(owned) > 1:
            shown = f"{owned[0]} +{len(owned) - 1}"
        rows = [("owns " + shown, INK)] if owned else []
        rows += [(line, HARM) for line in broken] + [(line, INK) for line in lines]
        if len(rows) > 4:
            rows = [*rows[:3], (f"… {len(rows) - 3} more", INK)]
        for number, (text, colour) in enumerate(rows):
            y = HIGH / 2 - 0.42 - number * 0.145
            bold = text.startswith("owns") or colour == HARM
            weight, text = "bold" if bold else "normal", fitted(text, WIDE, SMALL - 0.5, bold=bold)
            write(axes, self.x[name], y, text, size=SMALL - 0.5, color=colour, weight=weight)

    def _client(self, axes: Axes, name: str) -> None:
        """A client, in the colour of the node that answers it."""
        answer = self._now(client_slices(name, self.trace, self.result)) if self.trace.end_ns else ""
        node = answering(answer)
        y = self.y[self.home[name]]
        y += 0.95 if y > 0 else -0.95
        bad = answer == SILENT
        gid = f"client/{name}/{node}"
        _box(axes, self.x[name], y, WIDE, 0.42, self.paints.get(node, PLAIN), bad=bad, gid=gid)
        text = fitted(f"{name}: {answer}" if answer else name, WIDE)
        colour = HARM if bad else INK
        write(axes, self.x[name], y, text, color=colour, zorder=4)

    def _cut(self, axes: Axes, one: str, other: str, one_way: bool) -> None:
        """A bow between two that do not hear each other, crossed out in the middle."""
        from matplotlib.patches import FancyArrowPatch

        (x1, y1), (x2, y2) = self._place(one), self._place(other)
        bow = "arc3,rad=-0.3" if x1 < x2 else "arc3,rad=0.3"
        arrow = FancyArrowPatch(
            (x1, y1),
            (x2, y2),
            arrowstyle="->" if one_way else "-",
            connectionstyle=bow,
            color=HARM,
            linewidth=1.8,
            linestyle="--",
            mutation_scale=16,
            zorder=3,
            gid=f"cut/{one}/{other}/{'one way' if one_way else 'both ways'}",
        )
        axes.add_patch(arrow)
        middle = (x1 + x2) / 2, (y1 + y2) / 2 + abs(x2 - x1) * 0.15
        axes.plot(
            *([each] for each in middle), marker="x", markersize=11, markeredgewidth=3, color=HARM, zorder=4
        )
        text = f"{one} is not heard by {other}" if one_way else "cut"
        write(axes, middle[0], middle[1] + 0.14, text, weight="bold", color=HARM, zorder=4, va="baseline")

    def _place(self, name: str) -> tuple[float, float]:
        if name in self.scenario.nodes:
            return self.x[name], HIGH / 2
        y = self.y[self.home[name]]
        return self.x[name], y + (0.74 if y > 0 else -0.74)

    def _now(self, lane: list[Slice]) -> str:
        return next((each.what for each in lane if each.start_ns <= self.at_ns < each.end_ns), "")


def _spread(names: list[str], wide: float) -> dict[str, float]:
    """Place names evenly on a line."""
    return {name: wide * (number + 0.5) / len(names) for number, name in enumerate(names)}


def _box(
    axes: Axes, x: float, y: float, wide: float, high: float, paint: Paint, *, bad: bool, gid: str
) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x - wide / 2 + 0.05, y - high / 2 + 0.05),
            wide - 0.1,
            high - 0.1,
            boxstyle="round,pad=0.05",
            facecolor=PAPER if bad else paint.face,
            edgecolor=HARM if bad else INK,
            linestyle="--" if bad else "-",
            linewidth=1.2,
            zorder=2,
            gid=gid,
        )
    )
