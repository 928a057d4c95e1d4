"""The lanes of a run as plain lists for the page: times in ns, texts by number.

A lane is a flat list `[start, what, why, start, …]`: what holds from one instant to the next, as numbers of
words. A word is `[text, tone]`; the tone says how it looks. A lane with too many slices is made coarser:
neighbours shorter than a part of the run become one slice `n changes`, in the tone that holds longest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from vrrpsim.measure.result import Result
from vrrpsim.report.lanes import NOBODY, Slice, alike, owner_slices, slices, state_slices
from vrrpsim.report.text import brief
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import PriorityChange, Reachability, Trace

LANES = 60  # of one kind
SLICES = 5000  # in all lanes
BAD = ("several", "nobody", "silent")
TONES = 6  # nodes that can be told apart by colour


class Words:
    """Texts, each once, with the tone in which it is shown."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.table: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._tones = {name: f"node{number % TONES}" for number, name in enumerate(nodes)}

    def __call__(self, text: str, tone: str = "") -> int:
        """Return the number of a word."""
        number = self._numbers.setdefault((text, tone), len(self.table))
        if number == len(self.table):
            self.table.append((text, tone))
        return number

    def of_node(self, name: str) -> str:
        """Return the tone of a node."""
        return self._tones.get(name, "other")


def lanes(scenario: Scenario, trace: Trace, result: Result, words: Words) -> dict[str, list[dict[str, Any]]]:
    """Return the lanes by kind: states, owners, clients."""
    states = [
        (f"{node} {instance}", [(each, each.what) for each in found])
        for (node, instance), found in state_slices(scenario, trace).items()
    ]
    owners = [
        (label, [(each, _owner_tone(each, words)) for each in owner_slices(owned)])
        for label, owned in alike(result.ownerships)
    ]
    clients = [
        (name, [(each, _client_tone(each, words)) for each in _client(name, trace, result)])
        for name in scenario.clients
    ]
    kinds = {"states": states, "owners": owners, "clients": clients}
    most = max(SLICES // max(sum(min(len(found), LANES) for found in kinds.values()), 1), 40)
    return {
        kind: [_lane(label, found, most, words) for label, found in all_of_kind[:LANES]]
        + [{"label": f"… {len(all_of_kind) - LANES} more", "slices": []}] * (len(all_of_kind) > LANES)
        for kind, all_of_kind in kinds.items()
    }


def _owner_tone(each: Slice, words: Words) -> str:
    if each.what == NOBODY:
        return "nobody" if each.start_ns else "before"  # the first election is no fault
    return "several" if " + " in each.what else words.of_node(each.what)


def _client_tone(each: Slice, words: Words) -> str:
    node = each.what.removeprefix("answered by ")
    return {"no answer": "silent", "not yet": "before", "between requests": "before"}.get(
        each.what
    ) or words.of_node(node)


def _client(name: str, trace: Trace, result: Result) -> list[Slice]:
    """Return who answers a client; `no answer` is exactly its outages, shorter gaps it did not notice."""
    changes = [r for r in trace.records if isinstance(r, Reachability) and r.client == name]
    when = [change.at_ns for change in changes]
    outages = result.clients[name].outages
    starts = [outage.start_ns for outage in outages]
    first_ns = next((change.at_ns for change in changes if change.reachable), trace.end_ns)
    steps = []
    for at_ns in sorted({*when, *starts, *(outage.end_ns for outage in outages if outage.ended)}):
        outage = bisect_right(starts, at_ns) - 1
        change = bisect_right(when, at_ns) - 1
        if outage >= 0 and (at_ns < outages[outage].end_ns or not outages[outage].ended):
            first = changes[max(bisect_right(when, starts[outage]) - 1, 0)] if changes else None
            steps.append((at_ns, "no answer", first.reason if first else ""))
        elif change >= 0 and changes[change].reachable:
            steps.append((at_ns, f"answered by {changes[change].node}", ""))
        else:
            what = "between requests" if at_ns > first_ns else "not yet"
            steps.append((at_ns, what, changes[change].reason if change >= 0 else ""))
    return slices(steps, trace.end_ns)


Toned = Sequence[tuple[Slice, str]]


def _lane(label: str, found: Toned, most: int, words: Words) -> dict[str, Any]:
    shown = _coarser(found, most)
    flat = [
        part
        for each, tone in shown
        for part in (each.start_ns, words(each.what, tone), words(each.why) if each.why else -1)
    ]
    return {"label": label, "slices": flat} | ({"of": len(found)} if len(shown) < len(found) else {})


def _coarser(found: Toned, most: int) -> Toned:
    """Join runs of short neighbours until about `most` slices are left; the longest of the bad ones stay."""
    if len(found) <= most:
        return found
    whole_ns = found[-1][0].end_ns - found[0][0].start_ns
    bad = sorted(_length(each) for each in found if each[1] in BAD)
    return list(_joined(found, 4 * whole_ns // most, bad[-most // 4] if len(bad) > most // 4 else 0))


def _length(each: tuple[Slice, str]) -> int:
    return each[0].end_ns - each[0].start_ns


def _joined(found: Toned, least_ns: int, bad_ns: int) -> Iterator[tuple[Slice, str]]:
    run: list[tuple[Slice, str]] = []
    for each in found:
        short = _length(each) < least_ns and not (each[1] in BAD and _length(each) > bad_ns)
        if run and (not short or each[0].end_ns - run[0][0].start_ns > least_ns):
            yield _several(run)
            run = []
        if short:
            run.append(each)
        else:
            yield each
    if run:
        yield _several(run)


def _several(run: Toned) -> tuple[Slice, str]:
    if len(run) == 1:
        return run[0]
    held: Counter[tuple[str, str]] = Counter()
    for each, tone in run:
        held[each.what, tone] += each.end_ns - each.start_ns
    start_ns, end_ns = run[0][0].start_ns, run[-1][0].end_ns
    shares = (f"{what} {100 * ns / (end_ns - start_ns):.3g} %" for (what, _), ns in held.most_common(4))
    [((_, tone), _)] = held.most_common(1)
    worse = any(each in BAD for _, each in held)
    text = f"{len(run)} changes in {brief(end_ns - start_ns)}"
    return Slice(start_ns, end_ns, text, ", ".join(shares)), f"{tone} {'many-bad' if worse else 'many'}"


def priorities(scenario: Scenario, trace: Trace, words: Words) -> list[dict[str, Any]]:
    """Return one chart for each virtual router: the effective priority of each instance over time."""
    points: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    charts: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for name, node in scenario.nodes.items():
        for instance in node.keepalived.config.instances if node.keepalived else ():
            points[name, instance.name] = [(0, instance.priority, -1)]
            charts.setdefault((instance.vrid, instance.family), []).append((name, instance.name))
    for record in trace.records:
        if not isinstance(record, PriorityChange):
            continue
        own = points.setdefault((record.node, record.instance), [(0, record.old, -1)])
        if len(own) == 1 and own[0][0] == 0:
            own[0] = 0, record.old, -1
        own.append((record.at_ns, record.new, words(record.reason) if record.reason else -1))
    most = max(SLICES // 2 // max(len(points), 1), 20)
    return [
        {
            "label": f"VRID {vrid}" + " IPv6" * (family == 6),
            "lines": [
                {
                    "node": name,
                    "tone": words.of_node(name),
                    "instance": instance,
                    **_thinned(points[name, instance], most),
                }
                for name, instance in members
            ],
        }
        for (vrid, family), members in list(charts.items())[:LANES]
    ]


def _thinned(points: Sequence[tuple[int, int, int]], most: int) -> dict[str, Any]:
    """Return the points flat; of too many the least and the greatest value of each stretch."""
    kept = list(points)
    if len(kept) > most:
        edges = [number * len(points) * 2 // most for number in range(most // 2 + 1)]
        parts = (points[start : min(stop, len(points))] for start, stop in pairwise(edges))
        ends = ((min(part, key=_value), max(part, key=_value)) for part in parts if part)
        kept = sorted({points[0], points[-1], *(each for pair in ends for each in pair)})
    flat = [number for point in kept for number in point]
    return {"points": flat} | ({"of": len(points)} if len(kept) < len(points) else {})


def _value(point: tuple[int, int, int]) -> int:
    return point[1]
