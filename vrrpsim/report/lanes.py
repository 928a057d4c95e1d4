"""A run as lanes of slices: who was what from when to when. What pictures and timelines draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vrrpsim.measure.ownership import Ownership
from vrrpsim.protocol.reasons import in_words
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import NodeChange, ProcessChange, Reachability, StateChange, Trace

NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Slice:
    """Something that held from one instant to another, in ns; `why` says how it came."""

    start_ns: int
    end_ns: int
    what: str
    why: str = ""


def slices(steps: Iterable[tuple[int, str, str]], end_ns: int) -> list[Slice]:
    """Turn steps (instant, what holds from then on, why) into slices; empty and repeated ones are joined."""
    found: list[Slice] = []
    for at_ns, what, why in steps:
        if found and found[-1].what == what:
            continue
        if found:
            last = found.pop()
            if at_ns > last.start_ns:
                found.append(Slice(last.start_ns, at_ns, last.what, last.why))
            if found and found[-1].what == what:  # what lay between took no time
                last = found.pop()
                at_ns, why = last.start_ns, last.why
        found.append(Slice(at_ns, end_ns, what, why))
    return [each for each in found if each.end_ns > each.start_ns]


def state_slices(scenario: Scenario, trace: Trace) -> dict[tuple[str, str], list[Slice]]:
    """Return the states of each instance of each node: VRRP's, or `off` or `paused` with the machine."""
    steps: dict[tuple[str, str], list[tuple[int, str, str]]] = {
        (name, instance.name): [(0, "INIT", "")]
        for name, node in scenario.nodes.items()
        for instance in (node.keepalived.config.instances if node.keepalived else ())
    }
    states = dict.fromkeys(steps, "INIT")
    machines = dict.fromkeys(scenario.nodes, "on")
    for record in trace.records:
        match record:
            case StateChange():
                key = record.node, record.instance
                states[key] = record.new
                met, why = [key], in_words(record.reason)
            case NodeChange():
                machines[record.node] = record.state
                met, why = [key for key in states if key[0] == record.node], f"machine {record.state}"
            case ProcessChange(process="keepalived", state="dead"):
                met, why = [key for key in states if key[0] == record.node], "keepalived is dead"
                states |= dict.fromkeys(met, "INIT")
            case _:
                continue
        machine = machines.get(record.node, "on")
        for key in met:
            shown = states[key] if machine == "on" else machine
            steps.setdefault(key, [(0, "INIT", "")]).append((record.at_ns, shown, why))
    return {key: slices(each, trace.end_ns) for key, each in steps.items()}


def machine_slices(trace: Trace) -> dict[str, list[Slice]]:
    """Return `on`, `off`, `paused` for the machines that ever changed."""
    steps: dict[str, list[tuple[int, str, str]]] = {}
    for record in trace.records:
        if isinstance(record, NodeChange):
            steps.setdefault(record.node, [(0, "on", "")]).append((record.at_ns, record.state, ""))
    return {node: slices(each, trace.end_ns) for node, each in steps.items()}


def process_slices(trace: Trace) -> dict[tuple[str, str], list[Slice]]:
    """Return the lives of each process."""
    steps: dict[tuple[str, str], list[tuple[int, str, str]]] = {}
    for record in trace.records:
        if isinstance(record, ProcessChange):
            steps.setdefault((record.node, record.process), []).append((record.at_ns, record.state, ""))
    return {key: slices(each, trace.end_ns) for key, each in steps.items()}


def owner_slices(owned: Ownership) -> list[Slice]:
    """Return the owners of an address: a name, several joined by " + ", or nobody."""
    line = owned.line
    steps = zip(line.instants, line.owners, strict=True)
    return slices(((at, " + ".join(owners) or NOBODY, "") for at, owners in steps), line.end_ns)


def client_slices(client: str, trace: Trace) -> list[Slice]:
    """Return who answers a client, or why nobody does."""
    steps = [
        (r.at_ns, f"answered by {r.node}" if r.reachable else "no answer", r.reason)
        for r in trace.records
        if isinstance(r, Reachability) and r.client == client
    ]
    return slices(steps, trace.end_ns)


def alike(ownerships: Sequence[Ownership]) -> list[tuple[str, Ownership]]:
    """Join addresses with the same owners at all times into one, labelled `ADDRESS +n`."""
    groups: dict[object, list[Ownership]] = {}
    for owned in ownerships:
        groups.setdefault((owned.line.instants, owned.line.owners), []).append(owned)
    return [
        (group[0].address + (f" +{len(group) - 1}" if len(group) > 1 else ""), group[0])
        for group in groups.values()
    ]
