"""Which bridges a scenario needs and what leads where: one a segment, or one a switch for each segment on it.

A cable between two switches is a veth pair for each segment, a trunk: so each segment has tables of its own,
as on a switch that knows VLANs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from vrrpsim.scenario.model import Scenario, cable_ends


class Trunk(NamedTuple):
    """A cable between two switches as one segment has it."""

    cable: str
    segment: str
    switches: tuple[str, str]

    def bridge(self, side: int) -> str:
        """The bridge at one of its ends."""
        return f"{self.switches[side]}/{self.segment}"


class Wiring(NamedTuple):
    """`homes`: the bridge that each NODE/INTERFACE or CLIENT is plugged into; `ages`: of bridges, in ns."""

    segments: Mapping[str, str]  # by end
    homes: Mapping[str, str]
    bridges: tuple[str, ...]
    trunks: tuple[Trunk, ...]
    ages: Mapping[str, int]
    ends: Mapping[str, tuple[str, str]]  # of each cable

    def wired(self, end: str) -> bool:
        """Whether frames from there pass more than one bridge."""
        return self.homes[end] != self.segments[end]

    def of_switch(self, switch: str) -> list[str]:
        """The ends that are plugged into a switch."""
        return [
            end for end, home in self.homes.items() if self.wired(end) and home.rpartition("/")[0] == switch
        ]

    def beyond(self, trunk: Trunk, side: int) -> list[str]:
        """The ends behind a trunk, for a frame that leaves by this side of it."""
        return self._reached(trunk.bridge(1 - side), {trunk})

    def out_of_reach(self, end: str, dead: Collection[Trunk]) -> list[str]:
        """The ends on the same segment to which no trunk leads but dead ones."""
        reached = self._reached(self.homes[end], dead)
        return [
            other
            for other, segment in self.segments.items()
            if segment == self.segments[end] and other not in reached
        ]

    def _reached(self, bridge: str, dead: Collection[Trunk]) -> list[str]:
        bridges, found = [bridge], []
        for here in bridges:
            found += [end for end, home in self.homes.items() if home == here]
            for trunk in self.trunks:
                pair = trunk.bridge(0), trunk.bridge(1)
                if here in pair and trunk not in dead:
                    bridges += [each for each in pair if each not in bridges]
        return found


def wiring_of(scenario: Scenario) -> Wiring:
    """Plan the bridges."""
    segments = dict(cable_ends(scenario.nodes, scenario.clients))
    wired = sorted(scenario.wired_segments())
    homes = dict(segments)
    trunks = []
    for cable in scenario.cables:
        one, other = cable.ends
        if {one, other} <= scenario.switches.keys():
            carried = filter(cable.carries, wired)
            trunks += [Trunk(cable.name, segment, (one, other)) for segment in carried]
        else:
            switch, end = (one, other) if one in scenario.switches else (other, one)
            homes[end] = f"{switch}/{segments[end]}"
    ages = {
        f"{switch}/{segment}": model.mac_age_ns
        for switch, model in scenario.switches.items()
        for segment in wired
    }
    ends = {cable.name: cable.ends for cable in scenario.cables}
    flat = [segment for segment in scenario.segments if segment not in wired]
    return Wiring(segments, homes, (*flat, *ages), tuple(trunks), ages, ends)
