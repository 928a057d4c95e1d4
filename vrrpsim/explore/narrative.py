"""What happened in a run that broke an invariant, in five plain sentences from the trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

from vrrpsim.protocol.reasons import in_words
from vrrpsim.scenario.quantities import SECOND_NS, format_duration
from vrrpsim.scenario.verbs import VERBS
from vrrpsim.trace import PriorityChange, Record, StateChange, TrackerChange

from .fault_schedules import event_yaml
from .invariants import RunHistory, Violation, Window

if TYPE_CHECKING:
    from .hunt import Counterexample, HuntResult

ROLES = ("MASTER", "BACKUP", "FAULT", "INIT")
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


def report(outcome: HuntResult) -> str:
    """Return what `vrrpsim hunt` prints: the findings with their stories, what was covered, the verdict."""
    blocks = [[f"{outcome.scenario.name}: hunting with seed {outcome.seed}"]]
    blocks += [list(_found(finding)) for finding in outcome.findings]
    if outcome.healed:
        blocks.append([f"  no longer fails: {path}" for path in outcome.healed])
    if outcome.coverage.fired:
        blocks.append(list(_coverage(outcome)))
    blocks.append([verdict_line(outcome)])
    return "\n\n".join("\n".join(block) for block in blocks)


def verdict_line(outcome: HuntResult) -> str:
    """Return the last line: what was found, or how much was tried for nothing."""
    early = {"": "", "time": ", time over", "interrupted": ", interrupted"}[outcome.ended]
    tried = f"{outcome.examples} schedules tried{early}"
    if outcome.findings:
        names = ", ".join(finding.violation.invariant for finding in outcome.findings)
        return f"found {len(outcome.findings)}: {names} ({tried})"
    days = format_duration(outcome.simulated_ns // SECOND_NS * SECOND_NS)
    return (
        f"nothing found: {tried}, {outcome.distinct} of them different, {days} simulated."
        " That is no proof: other schedules were not tried."
    )


def _found(finding: Counterexample) -> Iterator[str]:
    violation, count = finding.violation, len(finding.events)
    if finding.replayed:
        how = f"still fails: {finding.replayed}"
    elif not finding.tried:
        how = "without any fault"
    else:
        how = f"schedule {finding.tried}, shrunk from {_events(finding.shrunk_from)} to {count}"
    yield f"{violation.invariant}: {violation.text} ({how})"
    if finding.also:
        yield f"  the same breaks {_names(finding.also)}"
    yield from (f"  - {flow_text(event_yaml(event))}" for event in finding.events)
    if finding.tried:
        yield f"  {_needed(count)}"
    yield ""
    yield from (f"  {number}. {sentence}" for number, sentence in enumerate(finding.story, 1))
    if finding.path is not None:
        yield ""
        yield f"  written: {finding.path}" if not finding.replayed else f"  file:    {finding.path}"
        if finding.alone:
            yield f"  replay:  vrrpsim run {quote(str(finding.path))}"
        else:
            yield "  no expectation says this: only the hunt, which tries the file first, shows it again"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _needed(count: int) -> str:
    if count == 1:
        return "this event cannot be removed: without it the invariant holds"
    return f"none of these {count} events can be removed: without any one of them the invariant holds"


def flow_text(value: Any) -> str:
    """Write plain values as YAML on one line, as scenario files do."""
    match value:
        case dict():
            return f"{{{', '.join(f'{key}: {flow_text(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(flow_text, value))}]"
        case bool():
            return str(value).lower()
    return str(value)


def _coverage(outcome: HuntResult) -> Iterator[str]:
    """Which kind of fault met nodes in which role how often."""
    met = outcome.coverage.met
    width = max(len(kind) for kind in outcome.kinds)
    columns = [role for role in ROLES if any(met[kind, role] for kind in outcome.kinds)]
    yield "  faults by the role of the nodes they met (a segment has none)"
    yield f"  {'':{width}}  {'fired':>7}" + "".join(f"  {role:>7}" for role in columns)
    for kind in outcome.kinds:
        counts = "".join(f"  {met[kind, role] or '–':>7}" for role in columns)
        yield f"  {kind:{width}}  {outcome.coverage.fired[kind]:>7}{counts}"
    pairs = len({pair for pair in met if pair[1] in ROLES})
    yield f"  {pairs} of {len(ROLES) * len(outcome.kinds)} pairs of fault and role; held: {_held(outcome)}"


def _held(outcome: HuntResult) -> str:
    broken = {name for each in outcome.findings for name in (each.violation.invariant, *each.also)}
    return ", ".join(name for name in outcome.invariants if name not in broken) or "none"


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
