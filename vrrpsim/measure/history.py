"""A trace sorted by kind in one pass, so that each measure reads only what it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from vrrpsim.trace import (
    AddressChange,
    AdvertRejected,
    AdvertSent,
    FastForwarded,
    Fault,
    FaultEnd,
    FrameLost,
    Gratuitous,
    Level,
    NodeChange,
    NotifyFinished,
    PriorityChange,
    Reachability,
    Record,
    StateChange,
    Trace,
    TrackerChange,
)

Reaction = StateChange | PriorityChange | TrackerChange


GROUPS: tuple[tuple[type[Record], ...], ...] = (  # in the order of the fields of `History`
    (AddressChange, NodeChange),
    (StateChange, PriorityChange, TrackerChange),
    (Fault, FaultEnd),
    (Gratuitous,),
    (Reachability,),
    (NotifyFinished,),
)


class History(NamedTuple):
    """The records of one run by kind, each in order of time."""

    ownership: Sequence[AddressChange | NodeChange]
    reactions: Sequence[Reaction]
    faults: Sequence[Fault | FaultEnd]
    gratuitous: Sequence[Gratuitous]
    reachability: Sequence[Reachability]
    notified: Sequence[NotifyFinished]
    counts: dict[str, int | None]  # None: not recorded at this level of the trace
    end_ns: int


def history(trace: Trace) -> History:
    """Sort the records of a trace by kind."""
    groups: list[list[Any]] = [[] for _ in GROUPS]
    place = {kind: group for kinds, group in zip(GROUPS, groups, strict=True) for kind in kinds}
    for record in trace.records:
        group = place.get(type(record))
        if group is not None:
            group.append(record)
    ownership, reactions, faults, gratuitous, reachability, notified = groups
    counts = _counts(trace)
    return History(ownership, reactions, faults, gratuitous, reachability, notified, counts, trace.end_ns)


def _counts(trace: Trace) -> dict[str, int | None]:
    seen = Counter(map(type, trace.records))
    adverts = trace.level >= Level.ADVERTS
    quiet = [record for record in trace.records if isinstance(record, FastForwarded)]
    return {
        "transitions": seen[StateChange],
        "priority_changes": seen[PriorityChange],
        "tracker_changes": seen[TrackerChange],
        "adverts": seen[AdvertSent] + sum(each.adverts for each in quiet) if adverts else None,
        "adverts_rejected": seen[AdvertRejected] if adverts else None,
        "garps": seen[Gratuitous] if adverts else None,
        "frames_lost": seen[FrameLost] + sum(each.frames_lost for each in quiet) if adverts else None,
    }
