"""Adverts and gratuitous frames for the sequence view: who sent what to whom, and what got lost.

`messages` is flat, `[time since the one before, route, …]`; a route is what several of them have in common.
Of too many only those nearest to a change of state or priority or to an event are kept, all within `near` ns
of such an instant (`instants`); everything is counted in `bins`: `[bin, participant, adverts, gratuitous,
lost, …]`, each `width` ns wide. What the run passed over is in `quiet`: `[from, until, adverts, lost, …]`.

The trace knows when a message left and when it was lost, not when it arrived: `usual` is how much later that
is, at least and at most, without what events add, and `late` are the stretches in which they add delay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.random_streams import bounds_ns
from vrrpsim.trace import (
    AdvertRejected,
    AdvertSent,
    FastForwarded,
    Fault,
    FaultEnd,
    FrameLost,
    Gratuitous,
    Level,
    PriorityChange,
    StateChange,
    Trace,
)

MESSAGES = 5000
BINS = 600
INSTANTS = 2000  # around which messages are kept


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of message: participants by number, `lost` those whom it did not reach."""

    kind: str  # advert, garp, reject
    sender: int  # -1: a stranger
    instance: str
    text: str  # priority, address or reason
    to: tuple[int, ...]
    lost: tuple[int, ...]
    why: str  # of the loss


def sequence(scenario: Scenario, trace: Trace) -> dict[str, Any] | None:
    """Return what the sequence view shows; None if the trace has no adverts."""
    if trace.level < Level.ADVERTS:
        return None
    everybody = Everybody(scenario)
    numbers: dict[Route, int] = {}
    messages = [(at_ns, numbers.setdefault(route, len(numbers))) for at_ns, route in routes(trace, everybody)]
    kinds = list(numbers)
    found: dict[str, Any] = {"participants": everybody.names, "nodes": len(scenario.nodes)}
    found["quiet"] = [number for each in _quiet(trace) for number in each]
    found |= {"usual": _usual(scenario), "late": list(_late(trace))}
    found["instances"] = sorted({route.instance for route in kinds if route.instance})
    if len(messages) > MESSAGES:
        found |= {"of": len(messages), **_bins(messages, kinds, trace.end_ns)}
        messages, near_ns, instants = _nearest(messages, trace)
        found |= {"near": near_ns, "instants": _deltas(instants)}
    used = sorted({number for _, number in messages})
    place = {number: index for index, number in enumerate(used)}
    found["routes"] = [
        [r.kind, r.sender, r.instance, r.text, r.to, r.lost, r.why]
        for r in (kinds[number] for number in used)
    ]
    times = _deltas([at_ns for at_ns, _ in messages])
    found["messages"] = [
        part for time, (_, number) in zip(times, messages, strict=True) for part in (time, place[number])
    ]
    return found


def _quiet(trace: Trace) -> Iterator[tuple[int, int, int, int]]:
    """Return the stretches of which only the number of adverts is known."""
    for record, after in pairwise((*trace.records, None)):
        if isinstance(record, FastForwarded):
            until_ns = trace.end_ns if after is None else after.at_ns
            yield record.at_ns, until_ns, record.adverts, record.frames_lost


def _usual(scenario: Scenario) -> tuple[int, int]:
    """Return the least and the largest delay of the segments, in ns."""
    parts = [
        [bounds_ns(each) for each in (segment.delay, segment.jitter) if each is not None]
        for segment in scenario.segments.values()
    ]
    sums = [(sum(low for low, _ in each), sum(high for _, high in each)) for each in parts] or [(0, 0)]
    return min(low for low, _ in sums), max(high for _, high in sums)


def _late(trace: Trace) -> Iterator[tuple[int, int, str]]:
    ends = {record.number: record.at_ns for record in trace.records if isinstance(record, FaultEnd)}
    for record in trace.records:
        if isinstance(record, Fault) and {"delay", "jitter"} & {*record.detail.split()}:
            text = f"{record.verb} {' '.join(record.resolved)} {record.detail}"
            yield record.at_ns, ends.get(record.number, trace.end_ns), text


class Everybody:
    """Participants by name and address, and who hears what."""

    def __init__(self, scenario: Scenario) -> None:
        self._receivers: dict[tuple[object, ...], tuple[int, ...]] = {}
        self.names = [*scenario.nodes, *scenario.clients]
        self.number = {name: number for number, name in enumerate(self.names)}
        self.on: dict[str, list[int]] = {name: [] for name in scenario.segments}
        self.with_address: dict[str, int] = {}
        self.segment_of: dict[tuple[str, str], str] = {}  # (node, interface, also a macvlan)
        self.speaks: dict[tuple[str, int, int], list[int]] = {}  # (segment, VRID, family)
        self.router: dict[tuple[str, str], tuple[str, int, int]] = {}  # (node, instance)
        for name, node in scenario.nodes.items():
            for interface, attachment in node.interfaces.items():
                self.segment_of[name, interface] = attachment.segment
                self.on.setdefault(attachment.segment, []).append(self.number[name])
                for address in attachment.addresses:
                    self.with_address[str(address.ip)] = self.number[name]
            for instance in node.keepalived.config.instances if node.keepalived else ():
                segment = self.segment_of.get((name, instance.interface), "")
                self.segment_of[name, instance.owned_interface] = segment
                self.router[name, instance.name] = segment, instance.vrid, instance.family
                self.speaks.setdefault((segment, instance.vrid, instance.family), []).append(
                    self.number[name]
                )
        for name, client in scenario.clients.items():
            self.on.setdefault(client.segment, []).append(self.number[name])

    def sends(self, sent: Sent) -> tuple[str, str]:
        """Return what the trace calls the frame when it gets lost, and the segment that it is on."""
        if isinstance(sent, AdvertSent):
            return "vrrp", self.router.get((sent.node, sent.instance), ("", 0, 0))[0]
        return "garp", self.segment_of.get((sent.node, sent.interface), "")

    def receivers(self, sent: Sent) -> tuple[int, ...]:
        """Return to whom it goes: a peer, the other members of the virtual router, or the whole segment."""
        key = sent[1:]  # all but the instant
        if key not in self._receivers:
            if isinstance(sent, AdvertSent) and sent.destination in self.with_address:
                there = [self.with_address[sent.destination]]
            elif isinstance(sent, AdvertSent):
                there = self.speaks.get(self.router.get((sent.node, sent.instance), ("", 0, 0)), [])
            else:
                there = self.on.get(self.sends(sent)[1], [])
            self._receivers[key] = tuple(each for each in there if each != self.number[sent.node])
        return self._receivers[key]


Sent = AdvertSent | Gratuitous


def routes(trace: Trace, everybody: Everybody) -> Iterator[tuple[int, Route]]:
    """Return each message with its losses, which the trace has when the frame was lost, maybe on arrival."""
    found: list[tuple[Sent | AdvertRejected, list[FrameLost]]] = []
    recent: dict[tuple[str, str, str], deque[tuple[Sent, list[FrameLost]]]] = {}
    for record in trace.records:
        match record:
            case AdvertSent() | Gratuitous():
                sent: tuple[Sent, list[FrameLost]] = (record, [])
                kind, segment = everybody.sends(record)
                recent.setdefault((record.node, kind, segment), deque(maxlen=64)).append(sent)
                found.append(sent)
            case AdvertRejected():
                found.append((record, []))
            case FrameLost():
                sender = record.source.partition(":")[0]
                latest = recent.get((sender, record.kind, record.segment), ())
                for candidate, losses in reversed(latest):
                    if _is_of(record, candidate, losses, everybody):
                        losses.append(record)
                        break
    for message, losses in found:
        yield message.at_ns, _route(message, losses, everybody)


def _is_of(lost: FrameLost, sent: Sent, losses: list[FrameLost], everybody: Everybody) -> bool:
    """Whether the loss can be one of this message's: each receiver loses it once."""
    if not lost.destination:
        return sent.at_ns == lost.at_ns and not losses
    receiver = everybody.number.get(lost.destination.partition(":")[0])
    return receiver in everybody.receivers(sent) and all(
        each.destination != lost.destination for each in losses
    )


def _route(message: Sent | AdvertRejected, losses: list[FrameLost], everybody: Everybody) -> Route:
    if isinstance(message, AdvertRejected):
        stranger, here = everybody.with_address.get(message.source, -1), everybody.number[message.node]
        return Route("reject", stranger, message.instance, message.reason, (here,), (), "")
    sender, to = everybody.number[message.node], everybody.receivers(message)
    names = {each.destination.partition(":")[0] for each in losses}
    lost = to if "" in names else tuple(each for each in to if everybody.names[each] in names)
    why = losses[0].reason if losses else ""
    if isinstance(message, AdvertSent):
        return Route("advert", sender, message.instance, str(message.priority), to, lost, why)
    return Route("garp", sender, "", message.address, to, lost, why)


Messages = list[tuple[int, int]]  # (instant, route)


def _bins(messages: Messages, routes: list[Route], end_ns: int) -> dict[str, Any]:
    width_ns = max(-(-end_ns // BINS), 1)
    counts: dict[tuple[int, int], list[int]] = {}
    for at_ns, number in messages:
        route = routes[number]
        if route.kind == "reject":
            continue
        row = counts.setdefault((at_ns // width_ns, route.sender), [0, 0, 0])
        row[route.kind == "garp"] += 1
        row[2] += bool(route.lost)
    flat = [number for key in sorted(counts) for number in (*key, *counts[key])]
    return {"width": width_ns, "bins": flat}


def _nearest(messages: Messages, trace: Trace) -> tuple[Messages, int, list[int]]:
    """Keep the messages nearest to what changed; return how near that is, and to what."""
    changes = (StateChange, PriorityChange, Fault, FaultEnd)
    instants = sorted({r.at_ns for r in trace.records if isinstance(r, changes)} | {0})
    instants = instants[:: -(-len(instants) // INSTANTS)]
    edges = [0, *((one + other) // 2 for one, other in pairwise(instants))]
    distances, at = [], 0
    for at_ns, _ in messages:
        while at + 1 < len(edges) and edges[at + 1] <= at_ns:
            at += 1
        distances.append(abs(at_ns - instants[at]))
    near_ns = sorted(distances)[MESSAGES]
    kept = [message for message, away_ns in zip(messages, distances, strict=True) if away_ns < near_ns]
    return kept, near_ns, instants


def _deltas(times: list[int]) -> list[int]:
    return [time - before for before, time in pairwise([0, *times])]
