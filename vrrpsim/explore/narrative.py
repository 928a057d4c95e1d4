"""What happened in a run that broke an invariant, in five plain sentences from the trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vrrpsim.protocol.reasons import in_words
from vrrpsim.scenario.quantities import format_duration
from vrrpsim.scenario.verbs import VERBS
from vrrpsim.trace import PriorityChange, Record, StateChange, TrackerChange

from .invariants import RunHistory, Violation, Window

LINKS = 4  # of the causal chain that are told
NEAR_NS = 50_000_000  # what ends something happens within this of the end


def tell(history: RunHistory, violation: Violation) -> tuple[str, ...]:
    """Return five sentences: before, the faults, what the nodes did, what is wrong, how it went on."""
    first_ns = min([*(window.start_ns for window in history.windows), violation.start_ns])
    return (
        _before(history, first_ns),
        _faults(history.windows),
        _chain(history, first_ns, violation),
        f"From {_at(violation.start_ns)} to {_at(violation.end_ns)} {violation.text}"
        + (f"; {violation.because}." if violation.because else "."),
        _after(history, violation),
    )


def _before(history: RunHistory, at_ns: int) -> str:
    states: dict[str, dict[str, str]] = {node: {} for node in history.scenario.nodes}
    for record in history.trace.records:
        if record.at_ns >= at_ns:
            break
        if isinstance(record, StateChange):
            states[record.node][record.instance] = record.new
    roles = (
        f"{node} is {'/'.join(dict.fromkeys(each.values())) or 'not running'}"
        for node, each in states.items()
    )
    owners = (
        f"{owned.address} belongs to {_names(owned.line.at(max(0, at_ns - 1)))}" for owned in history.owned
    )
    return f"Before {_at(at_ns)} {', '.join(roles)}; {', '.join(owners)}."


def _faults(windows: Sequence[Window]) -> str:
    if not windows:
        return "No fault is needed: the nodes do it by themselves."
    told = "; ".join(_fault(window) for window in windows)
    return f"{told[0].upper()}{told[1:]}."


def _fault(window: Window) -> str:
    at, targets = _at(window.start_ns), _names(window.targets)
    lasting = (
        f" for {format_duration(window.until_ns - window.start_ns)}"
        if window.until_ns > window.start_ns
        else ""
    )
    if window.verb == "partition":
        one, other = window.detail.split(" | ")
        return f"at {at} {one} and {other} are cut off from each other{lasting}"
    if window.verb == "one_way":
        sender, receiver = window.detail.split(" -> ")
        return f"from {at} no frame from {sender} reaches {receiver}{lasting}"
    return f"at {at} {targets} {VERBS[window.verb].story}{lasting}"


def _chain(history: RunHistory, first_ns: int, violation: Violation) -> str:
    told = list(dict.fromkeys(_links(history, first_ns, violation)))
    if not told:
        return "Nobody reacts: no check, priority or state changes until then."
    more = f" (and {len(told) - LINKS} more changes)" if len(told) > LINKS else ""
    return f"Then {'; '.join(told[:LINKS])}{more}."


def _links(history: RunHistory, first_ns: int, violation: Violation) -> Iterator[str]:
    until_ns = max(violation.start_ns, min(violation.end_ns, violation.start_ns + history.bounds.keep_ns))
    for record in history.trace.records:
        if first_ns <= record.at_ns <= until_ns and (text := _link(record)):
            yield text


def _link(record: Record) -> str:
    match record:
        case TrackerChange():
            return (
                f"{record.node}'s {record.name} {'succeeds' if record.ok else 'fails'} at {_at(record.at_ns)}"
            )
        case PriorityChange():
            return f"{record.node}'s priority goes from {record.old} to {record.new}"
        case StateChange():
            return f"{record.node} becomes {record.new} at {_at(record.at_ns)} ({in_words(record.reason)})"
    return ""


def _after(history: RunHistory, violation: Violation) -> str:
    if history.stormed:
        return "The run was stopped there: it would never have come to rest."
    if violation.end_ns >= history.trace.end_ns:
        return f"It is not over when the run ends at {_at(history.trace.end_ns)}."
    near = (r for r in history.trace.records if abs(r.at_ns - violation.end_ns) <= NEAR_NS)
    ended = next((text for text in map(_link, near) if text), "")
    return f"It ends when {ended}." if ended else f"It ends at {_at(violation.end_ns)}."


def _names(names: Sequence[str]) -> str:
    if not names:
        return "nobody"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _at(at_ns: int) -> str:
    return f"{at_ns / 1e9:.3f} s"
