"""Why an outage lasted: consecutive parts, each with its cause, its event and what governs it (DESIGN §6).

An outage is cut wherever what a client's requests meet changes, wherever the owners change, and where a
failover gets from one part of its waterfall to the next. The parts add up to the outage.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from vrrpsim.protocol.configuration import InstanceConfig
from vrrpsim.scenario.verbs import Effect
from vrrpsim.trace import NotifyFinished, Reachability

from .causes import Cause
from .failovers import Failover
from .keywords import LATE_NS
from .outages import Outage
from .ownership import Ownership
from .seconds import fixed_s, short_s

CAUSES = {  # what `Reachability.cause` says, in the words of a report; `{}` is the node
    "unresolved": "nobody answers for the address",
    "cache": "the client's cache points to {}",
    "switch": "the switch sends to {}",
    "path": "the path to {} is cut",
    "service": "{} does not serve",
    "host": "{} drops requests",
    "loss": "frames to or from {} are lost",
    "first answer": "the first answer takes its time",
    "": "no answer",
}
NOBODY: Final = "nobody owns the address"
AT_NS: Final = attrgetter("at_ns")


class OutagePart(NamedTuple):
    """A stretch of an outage that has one cause. `keyword` governs its length; "" where nothing does."""

    start_ns: int
    end_ns: int
    cause: str
    event: Cause | None
    keyword: str

    @property
    def length_ns(self) -> int:
        """How long it was within the run."""
        return self.end_ns - self.start_ns


def parts_of(
    outage: Outage,
    changes: Sequence[Reachability],
    owned: Ownership | None,
    found: Iterable[Failover],
    events: Sequence[Cause],
    instances: Mapping[str, InstanceConfig | None],
    scripts: Sequence[NotifyFinished] = (),
) -> tuple[OutagePart, ...]:
    """Return the parts of one client's outage, in order; their lengths add up to its own.

    `changes` are the client's own; `owned`, `found` and `instances` (by node) concern the address it asks;
    `events` and notify `scripts` are all of the run; each in order of time.
    """
    found = tuple(found)
    mine = [each for each in found if each.fault_ns < outage.end_ns and each.owner_ns >= outage.start_ns]
    first = bisect_right(changes, outage.start_ns, key=AT_NS)
    cuts = {change.at_ns for change in changes[first : bisect_left(changes, outage.end_ns, key=AT_NS)]}
    instants = owned.line.instants if owned else ()
    cuts.update(instants[bisect_right(instants, outage.start_ns) : bisect_left(instants, outage.end_ns)])
    cuts.update(at for each in mine for at in _instants(each) if outage.start_ns < at < outage.end_ns)
    starts = [outage.start_ns, *sorted(cuts)]
    parts: list[OutagePart] = []
    for start_ns, end_ns in zip(starts, (*starts[1:], outage.end_ns), strict=True):
        then = bisect_right(changes, start_ns, key=AT_NS) - 1
        change = changes[then] if then >= 0 else None
        brief = end_ns - start_ns < LATE_NS  # what a host takes to do as it should has no name of its own
        if parts and (brief or (change is not None and change.reachable)):  # … nor the wait for a request
            parts[-1] = parts[-1]._replace(end_ns=end_ns)
            continue
        part = _part(start_ns, end_ns, change, owned, mine, events, instances, scripts)
        if again := _second_burst(change, end_ns, found, instances):
            part = part._replace(keyword=again)
        if parts and part._replace(start_ns=parts[-1].start_ns) == parts[-1]._replace(end_ns=end_ns):
            parts[-1] = parts[-1]._replace(end_ns=end_ns)
        else:
            parts.append(part)
    if len(parts) > 1 and parts[0].length_ns < LATE_NS:
        parts[:2] = [parts[1]._replace(start_ns=parts[0].start_ns)]
    return tuple(parts)


def _instants(each: Failover) -> Iterable[int]:
    """When its detection and its election ended."""
    at_ns = each.fault_ns
    for part in each.parts[:2]:
        at_ns += part.length_ns or 0
        yield at_ns


def _part(
    start_ns: int,
    end_ns: int,
    change: Reachability | None,
    owned: Ownership | None,
    found: Sequence[Failover],
    events: Sequence[Cause],
    instances: Mapping[str, InstanceConfig | None],
    scripts: Sequence[NotifyFinished],
) -> OutagePart:
    kind, node = (change.cause, change.at) if change else ("", "")
    vacant = owned is not None and not owned.line.at(start_ns)
    cause = NOBODY if vacant else CAUSES.get(kind, CAUSES[""]).format(node)
    for each in found:
        detected_ns, master_ns = _instants(each)
        if each.fault_ns <= start_ns < master_ns:
            part = each.parts[0] if start_ns < detected_ns else each.parts[1]
            event = each.cause if each.cause.number >= 0 else None
            return OutagePart(start_ns, end_ns, cause, event, part.keyword)
    keyword = _vacancy(owned, start_ns) if vacant and owned else _keyword(kind, node, instances)
    if kind == "service" and not vacant:
        keyword = _script(scripts, node, start_ns, end_ns) or keyword
    return OutagePart(start_ns, end_ns, cause, _event(events, start_ns), keyword)


def _second_burst(
    change: Reachability | None,
    end_ns: int,
    found: Sequence[Failover],
    instances: Mapping[str, InstanceConfig | None],
) -> str:
    """Say that requests went astray until the new owner's second round of gratuitous ARP led them back."""
    for each in found if change is not None and change.cause in ("cache", "switch") else ():
        instance = instances.get(each.new)
        delay_ns = instance.garp.master_delay_ns if instance is not None else 0
        if delay_ns and abs(end_ns - each.owner_ns - delay_ns) < LATE_NS:
            return f"garp_master_delay {short_s(delay_ns)}"
    return ""


def _event(events: Sequence[Cause], at_ns: int) -> Cause | None:
    """The latest event before, rather one that did harm than one that undid it at the same instant."""
    after = bisect_right(events, at_ns, key=AT_NS)
    latest = events[bisect_left(events, events[after - 1].at_ns, key=AT_NS) : after] if after else ()
    return max(latest, key=lambda each: each.effect is not Effect.REPAIR, default=None)


def _vacancy(owned: Ownership, at_ns: int) -> str:
    """Say how a stretch without an owner ended that no failover did."""
    steps = zip(owned.line.instants, owned.line.owners, strict=True)
    after = next((owners for start_ns, owners in steps if start_ns > at_ns and owners), ())
    return f"{' and '.join(after)} has it again before another takes over" if after else "no node takes over"


def _script(scripts: Sequence[NotifyFinished], node: str, start_ns: int, end_ns: int) -> str:
    """Say that a node did not serve until its notify script had ended."""
    for each in scripts:
        if each.node == node and each.began_ns < end_ns and start_ns < each.at_ns <= end_ns:
            return f"a notify script of {node} takes {fixed_s(each.at_ns - each.began_ns)} s"
    return ""


def _keyword(kind: str, node: str, instances: Mapping[str, InstanceConfig | None]) -> str:
    instance = instances.get(node) or next(filter(None, instances.values()), None)
    if instance is None:
        return ""
    match kind:
        case "cache" | "switch":
            refresh_ns = instance.garp.master_refresh_ns
            return f"neighbour cache, garp_master_refresh {short_s(refresh_ns)}"
        case "service" if instance.track_scripts or instance.track_processes:
            return "its checks do not move the address"
        case "service":
            return "no check looks at it"
    return ""
