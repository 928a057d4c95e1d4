"""The report of a hunt: a view of its JSON document, so that it says what `--json` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from vrrpsim.scenario.flow_yaml import flow_text
from vrrpsim.scenario.quantities import SECOND_NS, format_duration

Document = Mapping[str, Any]


def report(document: Document) -> str:
    """Return what `vrrpsim hunt` prints: the findings with their stories, what was covered, the verdict."""
    blocks = [[f"{document['name']}: hunting with seed {document['seed']}"]]
    blocks += [list(_found(each)) for each in _findings(document)]
    if document["healed"]:
        blocks.append([f"  no longer fails: {path}" for path in document["healed"]])
    if any(document["faults"].values()):
        blocks.append(list(_coverage(document)))
    blocks.append([verdict_line(document)])
    return "\n\n".join("\n".join(block) for block in blocks)


def verdict_line(document: Document) -> str:
    """Return the last line: what was found, or how much was tried for nothing."""
    early = {"time": ", time over", "interrupted": ", interrupted"}.get(document["ended"], "")
    tried = f"{document['examples']} schedules tried{early}"
    found = _findings(document)
    if found:
        names = ", ".join(each["invariant"] for each in found)
        return f"found {len(found)}: {names} ({tried})"
    days = format_duration(document["simulated_s"] * SECOND_NS)
    return (
        f"nothing found: {tried}, {document['distinct']} of them different, {days} simulated."
        " That is no proof: other schedules were not tried."
    )


def _findings(document: Document) -> Sequence[Document]:
    return [document, *document["others"]] if document["found"] else []


def _found(each: Document) -> Iterator[str]:
    count = len(each["events"])
    if each["replayed"]:
        how = f"still fails: {each['replayed']}"
    elif not each["tried"]:
        how = "without any fault"
    else:
        how = f"schedule {each['tried']}, shrunk from {_events(each['shrunk_from'])} to {count}"
    yield f"{each['invariant']}: {each['text']} ({how})"
    if each["also"]:
        *others, last = each["also"]
        yield f"  the same breaks {', '.join(others)} and {last}" if others else f"  the same breaks {last}"
    yield from (f"  - {flow_text(event)}" for event in each["events"])
    if each["tried"]:
        yield f"  {_needed(count)}"
    yield ""
    yield from (f"  {number}. {sentence}" for number, sentence in enumerate(each["story"], 1))
    if each["scenario"] is not None:
        yield ""
        yield f"  written: {each['scenario']}" if not each["replayed"] else f"  file:    {each['scenario']}"
        if each["alone"]:
            yield f"  replay:  vrrpsim run {quote(each['scenario'])}"
        else:
            yield "  no expectation says this: only the hunt, which tries the file first, shows it again"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _needed(count: int) -> str:
    if count == 1:
        return "this event cannot be removed: without it the invariant holds"
    return f"none of these {count} events can be removed: without any one of them the invariant holds"


def _coverage(document: Document) -> Iterator[str]:
    """Which kind of fault met nodes in which role how often."""
    fired, met, roles = document["faults"], document["covered"], document["roles"]
    width = max(len(kind) for kind in fired)
    columns = [role for role in roles if any(role in met[kind] for kind in fired)]
    yield "  faults by the role of the nodes they met (a segment has none)"
    yield f"  {'':{width}}  {'fired':>7}" + "".join(f"  {role:>7}" for role in columns)
    for kind, count in fired.items():
        counts = "".join(f"  {met[kind].get(role) or '–':>7}" for role in columns)
        yield f"  {kind:{width}}  {count:>7}{counts}"
    pairs = sum(len(each) for each in met.values())
    yield f"  {pairs} of {len(roles) * len(fired)} pairs of fault and role; held: {_held(document)}"


def _held(document: Document) -> str:
    broken = {name for each in _findings(document) for name in (each["invariant"], *each["also"])}
    return ", ".join(name for name in document["invariants"] if name not in broken) or "none"
