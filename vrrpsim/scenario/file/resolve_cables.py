"""The cables of a scenario: ends that exist, names that are one's own, segments that are wired wholly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from vrrpsim.findings import did_you_mean
from vrrpsim.scenario.model import Cable, Node, Scenario, cable_ends

from .yaml_tree import Keys, Tree

OF_CABLES = ("delay", "jitter")  # of a segment that is made of cables, these are theirs


class Surroundings(Protocol):
    """What cables need to know of the rest of the file, and where their errors go."""

    tree: Tree
    scenario: Scenario  # what else the file says
    nodes: dict[str, Node]

    def is_damaged(self, *path: str | int) -> bool:
        """Whether this part of the file was wrong already."""

    def names(self, *path: str) -> list[str]:
        """Return the keys of a mapping of the file, sound or not."""


def resolve_cables(resolver: Surroundings) -> tuple[Cable, ...]:
    """Name the cables and check them; errors go to the tree."""
    made = _Cables(resolver)
    cables = tuple(made.cable(index, each) for index, each in enumerate(resolver.scenario.cables))
    if not made.broken and not any(map(resolver.is_damaged, ("nodes", "clients", "switches", "cables"))):
        made.check_segments()
        made.check_edges(cables)
        made.check_loops(cables)
    return cables


class _Cables:
    def __init__(self, resolver: Surroundings) -> None:
        self.resolver, self.tree = resolver, resolver.tree
        self.switches = resolver.names("switches")
        self.ends = dict(cable_ends(resolver.nodes, resolver.scenario.clients))  # end: its segment
        self.plugged: dict[str, Keys] = {}
        self.named: dict[str, Keys] = {}
        self.broken = False

    def error(self, path: Keys, message: str) -> None:
        self.tree.error(path, message)
        self.broken = True

    def cable(self, index: int, cable: Cable) -> Cable:
        """Check one and give it its name."""
        path: Keys = ("cables", index)
        one, other = cable.ends
        for end in cable.ends:
            self._end(end, path)
        if one == other:
            self.error(path, f"both ends are {one}")
        elif not {one, other} & set(self.switches) and {one, other} <= self.ends.keys():
            self.error(path, "one end of a cable is a switch; put one between")
        cards = [end for end in cable.ends if end not in self.switches]
        name = cable.name or (cards[0] if cards and "/" in cards[0] else f"{one}-{other}")
        self._name(name, path)
        return cable._replace(name=name)

    def _end(self, end: str, path: Keys) -> None:
        if end in self.switches:
            return
        if end not in self.ends:
            if not self.resolver.is_damaged("nodes") and not self.resolver.is_damaged("clients"):
                known = [*self.switches, *self.ends]
                self.error(path, f"no switch, interface or client '{end}'{did_you_mean(end, known)}")
            return
        first = self.plugged.setdefault(end, path)
        if first is not path:
            line = self.tree.value_place(first).line
            self.error(path, f"{end} has a cable already, on line {line}")

    def _name(self, name: str, path: Keys) -> None:
        first = self.named.setdefault(name, path)
        kinds = ("nodes", "segments", "clients", "switches")
        if first is not path:
            line = self.tree.value_place(first).line
            self.error(path, f"a cable is called {name} already, on line {line}; give one a 'name:'")
        for kind in kinds:
            if name in self.resolver.names(kind):
                what = kind.removesuffix("es" if kind == "switches" else "s")
                self.error(path, f"a {what} is called {name} too; give the cable another 'name:'")

    def check_segments(self) -> None:
        """Whoever is on a segment that has cables has one; what frames suffer there is said of the cables."""
        wired = {segment for end, segment in self.ends.items() if end in self.plugged}
        for end, segment in self.ends.items():
            if segment in wired and end not in self.plugged:
                node, _, interface = end.partition("/")
                path = ("nodes", node, "interfaces", interface) if interface else ("clients", end)
                self.tree.error(
                    path, f"segment '{segment}' is made of cables, and none leads to {end}", at_key=True
                )
        for segment in sorted(wired):
            for key in OF_CABLES:
                if key in self.resolver.names("segments", segment):
                    message = "the segment is made of cables: say it of them"
                    self.tree.error(("segments", segment, key), message, at_key=True)

    def check_edges(self, cables: Sequence[Cable]) -> None:
        """A port that listens first needs a switch that does so; a LAG is between two switches."""
        models, lags = self.resolver.scenario.switches, dict[str, Cable]()
        for index, cable in enumerate(cables):
            path: Keys = ("cables", index)
            trunk = models.keys() >= set(cable.ends)
            if not cable.edge and trunk:
                self.error(path, f"{cable.name} joins two switches: 'edge:' is said of the cable to a card")
            elif not cable.edge and all(models[end].stp == "none" for end in cable.ends if end in models):
                self.error(
                    path, f"a port forwards at once without spanning tree: {cable.name} needs 'stp: rstp'"
                )
            known = self.resolver.names("segments")
            for segment in cable.segments:
                if segment not in known:
                    self.error(path, f"no segment '{segment}'{did_you_mean(segment, known)}")
            if cable.segments and not trunk:
                self.error(
                    path, f"{cable.name} carries the segment of its card: 'segments:' is said of trunks"
                )
            if cable.lag is None:
                continue
            first = lags.setdefault(cable.lag, cable)
            if not trunk or set(first.ends) != set(cable.ends):
                self.error(path, f"the cables of a LAG join the same two switches, and {cable.name} does not")

    def check_loops(self, cables: Sequence[Cable]) -> None:
        """Two ways between two switches would let a broadcast go round for ever."""
        models = self.resolver.scenario.switches
        ways: dict[str, dict[str, None]] = {switch: {} for switch in models}
        lags: set[str] = set()
        for index, cable in enumerate(cables):
            one, other = cable.ends
            if one not in models or other not in models or cable.lag in lags:
                continue
            lags.update([cable.lag] if cable.lag else ())
            loop = _way(ways, one, other)
            deaf = [switch for switch in loop if models[switch].stp == "none"]
            if deaf:
                message = f"{cable.name} closes a loop: {' and '.join(deaf)} would need 'stp: rstp'"
                self.error(("cables", index), message)
                return
            ways[one][other] = ways[other][one] = None


def _way(ways: Mapping[str, Mapping[str, None]], one: str, other: str) -> list[str]:
    """The switches on a way from one to another; none if there is no way."""
    came_from = {one: ""}
    queue = [one]
    for here in queue:
        for there in ways[here]:
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    found, here = list[str](), other if other in came_from else ""
    while here:
        found.append(here)
        here = came_from[here]
    return found[::-1]
