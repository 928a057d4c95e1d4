"""Whether failing trackers really move the addresses of a virtual router: proved, not guessed.

What must hold, whichever trackers fail on whichever nodes: somebody who is well outranks everybody who is
not, and takes over. A bad tracker never raises a priority, so of all combinations on a node the one of a
single bad tracker ranks highest; what holds for each tracker alone holds for every combination (§3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from vrrpsim.protocol.configuration import Track

from .members import Member, ranked

LARGEST = 253  # a weight
ENOUGH = 12  # nodes: for more nobody looks for a better weight


class Why(Enum):
    """Why an address stays."""

    WEIGHT = "nobody who is well ranks higher"
    NOPREEMPT = "who ranks higher does not preempt"
    SKIPPED = "who ranks highest does not preempt, another one does"
    LAST = "of those who are well some rank lower"


class Stuck(NamedTuple):
    """While `track` is bad on `holder`, `receiver` does not take over although it is well."""

    why: Why
    holder: Member
    track: Track
    receiver: Member


def stuck(group: Sequence[Member]) -> Iterator[Stuck]:
    """Return what keeps the addresses of one virtual router where they are not served; nothing: proved."""
    order = ranked(group)
    priorities = [member.priority() for member in order]
    for rank, holder in enumerate(order[:-1]):
        if holder.config.is_owner:
            continue  # keepalived drops its weights, and says so
        lower = [at for at in range(rank + 1, len(order)) if order[at].node != holder.node]
        for track in holder.weighted if lower else ():
            left = holder.priority([track])
            above = [at for at in lower if priorities[at] > left]
            if not above:
                yield Stuck(Why.WEIGHT, holder, track, order[lower[0]])
            elif not any(order[at].config.preempt for at in above):
                yield Stuck(Why.NOPREEMPT, holder, track, order[above[0]])
            elif not order[above[0]].config.preempt:
                yield Stuck(Why.SKIPPED, holder, track, order[above[0]])
            elif len(above) < len(lower):
                yield Stuck(Why.LAST, holder, track, order[lower[len(above)]])


def remedy(group: Sequence[Member], found: Stuck) -> tuple[int, bool] | None:
    """Return the smallest weight with which the same proof succeeds, and whether every node needs it.

    None: no weight will do.
    """
    if len(group) > ENOUGH:
        return None
    name, sign = found.track.name, 1 if found.track.weight > 0 else -1
    before = len([*stuck(group)])
    nodes = [member.node for member in ranked(group)]  # no mend changes who is preferred
    for size in range(1, LARGEST + 1):
        for weight in (size * sign, -size * sign):
            for everywhere in (False, True):
                changed = [
                    member.with_weight(name, weight)
                    if member.node == found.holder.node or everywhere
                    else member
                    for member in group
                ]
                left = [*stuck(changed)]
                mended = all(
                    (each.holder.node, each.track.name) != (found.holder.node, name) for each in left
                )
                if mended and len(left) < before and [member.node for member in ranked(changed)] == nodes:
                    return weight, everywhere
    return None
