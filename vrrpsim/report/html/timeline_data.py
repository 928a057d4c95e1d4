"""The lanes of a run as plain lists for the page: times in ns, texts by number.

A lane is a flat list `[start, what, why, start, …]`: what holds from one instant to the next, as numbers of
words. A word is `[text, tone]`; the tone says how it looks. A lane with too many slices is made coarser:
neighbours shorter than a part of the run become one slice `n changes`, in the tone that holds longest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from vrrpsim.measure.result import Result
from vrrpsim.report.lanes import BAD, Slice, configured, node_tones, priority_points
from vrrpsim.report.lanes import lanes as lanes_of
from vrrpsim.report.text import brief
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Trace

LANES = 60  # of one kind
SLICES = 5000  # in all lanes


class Words:
    """Texts, each once, with the tone in which it is shown."""

    def __init__(self) -> None:
        self.table: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def __call__(self, text: str, tone: str = "") -> int:
        """Return the number of a word."""
        number = self._numbers.setdefault((text, tone), len(self.table))
        if number == len(self.table):
            self.table.append((text, tone))
        return number


def lanes(scenario: Scenario, trace: Trace, result: Result, words: Words) -> dict[str, list[dict[str, Any]]]:
    """Return the lanes by kind: states, owners, clients."""
    kinds: dict[str, list[tuple[str, list[Slice]]]] = {"states": [], "owners": [], "clients": []}
    for lane in lanes_of(scenario, trace, result):
        kinds[lane.kind].append((lane.label, lane.slices))
    most = max(SLICES // max(sum(min(len(found), LANES) for found in kinds.values()), 1), 40)
    return {
        kind: [_lane(label, found, most, words) for label, found in all_of_kind[:LANES]]
        + [{"label": f"… {len(all_of_kind) - LANES} more", "slices": []}] * (len(all_of_kind) > LANES)
        for kind, all_of_kind in kinds.items()
    }


def _lane(label: str, found: Sequence[Slice], most: int, words: Words) -> dict[str, Any]:
    shown = _coarser(found, most)
    flat = [
        part
        for each in shown
        for part in (each.start_ns, words(each.what, each.tone), words(each.why) if each.why else -1)
    ]
    return {"label": label, "slices": flat} | ({"of": len(found)} if len(shown) < len(found) else {})


def _coarser(found: Sequence[Slice], most: int) -> Sequence[Slice]:
    """Join runs of short neighbours until about `most` slices are left; the longest of the bad ones stay."""
    if len(found) <= most:
        return found
    whole_ns = found[-1].end_ns - found[0].start_ns
    bad = sorted(_length(each) for each in found if each.tone in BAD)
    return list(_joined(found, 4 * whole_ns // most, bad[-most // 4] if len(bad) > most // 4 else 0))


def _length(each: Slice) -> int:
    return each.end_ns - each.start_ns


def _joined(found: Sequence[Slice], least_ns: int, bad_ns: int) -> Iterator[Slice]:
    run: list[Slice] = []
    for each in found:
        short = _length(each) < least_ns and not (each.tone in BAD and _length(each) > bad_ns)
        if run and (not short or each.end_ns - run[0].start_ns > least_ns):
            yield _several(run)
            run = []
        if short:
            run.append(each)
        else:
            yield each
    if run:
        yield _several(run)


def _several(run: Sequence[Slice]) -> Slice:
    if len(run) == 1:
        return run[0]
    held: Counter[tuple[str, str]] = Counter()
    for each in run:
        held[each.what, each.tone] += _length(each)
    start_ns, end_ns = run[0].start_ns, run[-1].end_ns
    shares = (f"{what} {100 * ns / (end_ns - start_ns):.3g} %" for (what, _), ns in held.most_common(4))
    [((_, tone), _)] = held.most_common(1)
    worse = any(each in BAD for _, each in held)
    text = f"{len(run)} changes in {brief(end_ns - start_ns)}"
    return Slice(start_ns, end_ns, text, ", ".join(shares), f"{tone} {'many-bad' if worse else 'many'}")


def priorities(scenario: Scenario, trace: Trace, words: Words) -> list[dict[str, Any]]:
    """Return one chart for each virtual router: the effective priority of each instance over time."""
    points: dict[tuple[str, ...], list[tuple[int, int, int]]] = {
        key: [(at_ns, value, words(why) if why else -1) for at_ns, value, why in own]
        for key, own in priority_points(scenario, trace).items()
    }
    tones = node_tones(scenario)
    charts: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for name, instance in configured(scenario):
        charts.setdefault((instance.vrid, instance.family), []).append((name, instance.name))
    most = max(SLICES // 2 // max(len(points), 1), 20)
    return [
        {
            "label": f"VRID {vrid}" + " IPv6" * (family == 6),
            "lines": [
                {
                    "node": name,
                    "tone": tones[name],
                    "instance": own,
                    **_thinned(points[name, own], most),
                }
                for name, own in members
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
