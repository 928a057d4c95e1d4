"""A run as lanes of slices: who was what from when to when. All pictures and timelines draw these.

The tone of a slice says how it looks: a state of VRRP, `off` or `paused`, `node0` … for what a node has,
`several`, `nobody`, `silent` for what is bad, `before` for what is not yet, `other`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from vrrpsim.measure.ownership import Ownership
from vrrpsim.measure.result import Result
from vrrpsim.measure.told import told
from vrrpsim.protocol.configuration import InstanceConfig
from vrrpsim.protocol.reasons import in_words
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import NodeChange, PriorityChange, ProcessChange, Reachability, StateChange, Trace

NOBODY, SILENT = "nobody", "no answer"
BAD = ("several", "nobody", "silent")
TONES = 6  # nodes that can be told apart by colour


class Slice(NamedTuple):
    """Something that held from one instant to another, in ns; `why` says how it came, `tone` how it looks."""

    start_ns: int
    end_ns: int
    what: str
    why: str = ""
    tone: str = ""


class Lane(NamedTuple):
    """One row of a timeline; `kind` is `states`, `owners` or `clients`, `key` names what it is of."""

    kind: str
    label: str
    key: tuple[str, ...]
    slices: list[Slice]


def lanes(scenario: Scenario, trace: Trace, result: Result) -> list[Lane]:
    """Return a lane for each instance, address (those alike are one), what notify scripts say, and client."""
    tones = node_tones(scenario)
    states = [
        Lane("states", " ".join(key), key, [each._replace(tone=each.what) for each in found])
        for key, found in state_slices(scenario, trace).items()
    ]
    owners = [
        Lane("owners", label, (owned.address,), [_owned(each, tones) for each in owner_slices(owned)])
        for label, owned in alike(result.ownerships)
    ]
    owners += _notified(scenario, trace, tones)
    clients = [
        Lane("clients", name, (name,), [_answered(each, tones) for each in found])
        for name in scenario.clients
        for found in [client_slices(name, trace, result)]
    ]
    return [*states, *owners, *clients]


def _notified(scenario: Scenario, trace: Trace, tones: dict[str, str]) -> Iterator[Lane]:
    """Whose notify script said MASTER last, for each address that such scripts speak for."""
    alike: dict[tuple[tuple[int, str], ...], list[str]] = {}
    for address, steps in told(scenario, trace.records).items():
        alike.setdefault(tuple(steps), []).append(address)
    for line, addresses in alike.items():
        found = slices(((at_ns, node or NOBODY, "by notify") for at_ns, node in line), trace.end_ns)
        shown = [each._replace(tone=tones.get(each.what, "before")) for each in found]
        label = f"told {addresses[0]}" + (f" +{len(addresses) - 1}" if len(addresses) > 1 else "")
        yield Lane("owners", label, ("told", addresses[0]), shown)


def node_tones(scenario: Scenario) -> dict[str, str]:
    """Return the tone of each node, the same in every picture."""
    return {name: f"node{number % TONES}" for number, name in enumerate(scenario.nodes)}


def _owned(each: Slice, tones: dict[str, str]) -> Slice:
    if each.what == NOBODY:
        tone = "nobody" if each.start_ns else "before"  # the first election is no fault
    else:
        tone = "several" if " + " in each.what else tones.get(each.what, "other")
    return each._replace(tone=tone)


def _answered(each: Slice, tones: dict[str, str]) -> Slice:
    if node := answering(each.what):
        return each._replace(tone=tones.get(node, "other"))
    return each._replace(tone="silent" if each.what == SILENT else "before")


def answering(what: str) -> str:
    """Return the node in `answered by NODE`, else ""."""
    return what.removeprefix("answered by ") if what.startswith("answered by ") else ""


def configured(scenario: Scenario) -> Iterator[tuple[str, InstanceConfig]]:
    """Return each instance that the scenario configures, with its node."""
    for name, node in scenario.nodes.items():
        for instance in node.keepalived.config.instances if node.keepalived else ():
            yield name, instance


def priority_points(scenario: Scenario, trace: Trace) -> dict[tuple[str, ...], list[tuple[int, int, str]]]:
    """Return instant, effective priority and reason of each instance; the first is its own from the start."""
    points: dict[tuple[str, ...], list[tuple[int, int, str]]] = {
        (name, each.name): [(0, each.priority, "")] for name, each in configured(scenario)
    }
    for record in trace.records:
        if isinstance(record, PriorityChange):
            own = points.setdefault((record.node, record.instance), [(0, record.old, "")])
            if len(own) == 1:
                own[0] = 0, record.old, ""
            own.append((record.at_ns, record.new, record.reason))
    return points


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
        (name, each.name): [(0, "INIT", "")] for name, each in configured(scenario)
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


def client_slices(name: str, trace: Trace, result: Result) -> list[Slice]:
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
            steps.append((at_ns, SILENT, first.reason if first else ""))
        elif change >= 0 and changes[change].reachable:
            steps.append((at_ns, f"answered by {changes[change].node}", ""))
        else:
            what = "between requests" if at_ns > first_ns else "not yet"
            steps.append((at_ns, what, changes[change].reason if change >= 0 else ""))
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
