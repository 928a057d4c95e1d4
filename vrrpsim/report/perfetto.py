"""A run in Chrome's trace format (JSON), which ui.perfetto.dev and chrome://tracing open.

One process for each node: a thread for each instance (state slices, adverts and gratuitous frames as
instants), for each process on it, and for each address while the node owns it; a counter for each
effective priority. Then the processes `events` (faults, as slices while they last), `addresses` (owners)
and `clients` (answered by whom; outages). Arrows lead from an advert to the change that it caused, and
from the last advert a backup accepted to the moment in which it gave up waiting. Times are microseconds
since the start of the run, with nanosecond decimals. Same run, same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from vrrpsim.measure.result import Result
from vrrpsim.protocol.reasons import Reason
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import AdvertSent, Gratuitous, StateChange, Trace

from .lanes import (
    Slice,
    client_slices,
    configured,
    machine_slices,
    owner_slices,
    priority_points,
    process_slices,
    state_slices,
)

Event = dict[str, Any]


def perfetto(scenario: Scenario, trace: Trace, result: Result) -> bytes:
    """Return the JSON document."""
    tracks = _Tracks([*scenario.nodes, "addresses", "clients", "events"])
    events = [
        *_nodes(scenario, trace, result, tracks),
        *_addresses(result, tracks),
        *_clients(scenario, trace, result, tracks),
        *_faults(result, tracks),
        *_priorities(scenario, trace, tracks),
        *_instants(scenario, trace, tracks),
        *_arrows(scenario, trace, tracks),
    ]
    about = {"scenario": result.name, "seed": result.seed, "digest": result.digest}
    rows = ",\n".join(json.dumps(event, ensure_ascii=False) for event in (*tracks.names(), *events))
    head = json.dumps({"displayTimeUnit": "ms", "otherData": about}, ensure_ascii=False)[:-1]
    return f'{head}, "traceEvents": [\n{rows}\n]}}\n'.encode()


class _Tracks:
    """Numbers for processes and threads, in the order in which they are shown."""

    def __init__(self, processes: Sequence[str]) -> None:
        self._pids = {name: number for number, name in enumerate(processes, 1)}
        self._tids: dict[tuple[str, str], int] = {}

    def of(self, process: str, thread: str) -> dict[str, int]:
        """Return pid and tid."""
        pid = self._pids.setdefault(process, len(self._pids) + 1)
        return {"pid": pid, "tid": self._tids.setdefault((process, thread), len(self._tids) + 1)}

    def names(self) -> Iterator[Event]:
        """Return the metadata that names all of them."""
        for process, pid in self._pids.items():
            yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": process}}
            yield {"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}
        for (process, thread), tid in self._tids.items():
            track = {"pid": self._pids[process], "tid": tid}
            yield {"ph": "M", "name": "thread_name", **track, "args": {"name": thread}}
            yield {"ph": "M", "name": "thread_sort_index", **track, "args": {"sort_index": tid}}


def _us(ns: int) -> float:
    """Microseconds with three decimals: exact as a float for every run below a hundred days."""
    return ns / 1000


def _slice(track: dict[str, int], each: Slice, category: str) -> Event:
    length = {"ts": _us(each.start_ns), "dur": _us(each.end_ns - each.start_ns)}
    return {"ph": "X", "cat": category, "name": each.what, **track, **length, "args": {"why": each.why}}


def _nodes(scenario: Scenario, trace: Trace, result: Result, tracks: _Tracks) -> Iterator[Event]:
    machines = machine_slices(trace)
    for node in scenario.nodes:
        for each in machines.get(node, ()):
            if each.what != "on":
                yield _slice(tracks.of(node, "machine"), each, "machine")
        for (owner, instance), slices in state_slices(scenario, trace).items():
            if owner == node:
                yield from (_slice(tracks.of(node, instance), each, "state") for each in slices)
        for (owner, process), slices in process_slices(trace).items():
            if owner == node:
                yield from (_slice(tracks.of(node, process), each, "process") for each in slices)
        for owned in result.ownerships:
            for tenure in owned.tenures:
                if tenure.node == node:
                    have = Slice(tenure.start_ns, tenure.end_ns, "has the address")
                    yield _slice(tracks.of(node, owned.address), have, "tenure")


def _addresses(result: Result, tracks: _Tracks) -> Iterator[Event]:
    for owned in result.ownerships:
        track = tracks.of("addresses", owned.address)
        yield from (_slice(track, each, "owner") for each in owner_slices(owned))


def _clients(scenario: Scenario, trace: Trace, result: Result, tracks: _Tracks) -> Iterator[Event]:
    for name in scenario.clients:
        track = tracks.of("clients", name)
        yield from (_slice(track, each, "client") for each in client_slices(name, trace, result))
        for outage in result.clients[name].outages:
            lost = Slice(outage.start_ns, outage.end_ns, "outage")
            yield _slice(tracks.of("clients", f"{name} outages"), lost, "outage")


def _faults(result: Result, tracks: _Tracks) -> Iterator[Event]:
    for number, event in enumerate(result.events):
        text = f"{event.verb} {' | '.join(event.targets)}"
        track = tracks.of("events", "events" if event.until_ns is None else f"{number} {event.verb}")
        yield {"ph": "i", "cat": "fault", "name": text, **track, "ts": _us(event.at_ns), "s": "g"}
        if event.until_ns is not None:
            lasts = Slice(event.at_ns, min(event.until_ns, result.duration_ns), text)
            yield _slice(track, lasts, "fault")


def _priorities(scenario: Scenario, trace: Trace, tracks: _Tracks) -> Iterator[Event]:
    """Counters; each begins at what the instance had before its first change, or is configured with."""
    for (owner, name), points in priority_points(scenario, trace).items():
        track = tracks.of(owner, name)
        for at_ns, priority, _ in points:
            counter = {"ph": "C", "name": f"{name} priority", "pid": track["pid"], "ts": _us(at_ns)}
            yield {**counter, "args": {"priority": priority}}


def _instants(scenario: Scenario, trace: Trace, tracks: _Tracks) -> Iterator[Event]:
    for record in trace.records:
        match record:
            case AdvertSent():
                track = tracks.of(record.node, record.instance)
                text = f"advert {record.priority} to {record.destination}"
            case Gratuitous():
                track = tracks.of(record.node, record.address)
                text = f"gratuitous {record.address}"
            case _:
                continue
        kind = "advert" if isinstance(record, AdvertSent) else "gratuitous"
        yield {"ph": "i", "cat": kind, "name": text, **track, "ts": _us(record.at_ns), "s": "t"}


def _arrows(scenario: Scenario, trace: Trace, tracks: _Tracks) -> Iterator[Event]:
    """Lead from adverts to the changes of state that they, or the silence after them, caused."""
    routers = {
        (name, instance.name): (instance.family, instance.vrid) for name, instance in configured(scenario)
    }
    sent: dict[tuple[int, int], list[AdvertSent]] = {}
    number = 0
    for record in trace.records:
        if isinstance(record, AdvertSent) and (record.node, record.instance) in routers:
            sent.setdefault(routers[record.node, record.instance], []).append(record)
        elif isinstance(record, StateChange):
            adverts = sent.get(routers.get((record.node, record.instance), (0, 0)), [])
            advert = _advert_behind(record, adverts)
            if advert is None:
                continue
            number += 1
            higher = record.reason == Reason.HIGHER_ADVERT
            name = Reason.HIGHER_ADVERT.words if higher else "silence since this advert"
            arrow = {"cat": "advert", "name": name, "id": number}
            begin = tracks.of(advert.node, advert.instance)
            end = tracks.of(record.node, record.instance)
            yield {"ph": "s", **arrow, **begin, "ts": _us(advert.at_ns)}
            yield {"ph": "f", "bp": "e", **arrow, **end, "ts": _us(record.at_ns)}


def _advert_behind(change: StateChange, adverts: Sequence[AdvertSent]) -> AdvertSent | None:
    """Return the advert of another node that the change answers."""
    match change.reason:
        case Reason.HIGHER_ADVERT:
            until_ns = change.at_ns
        case Reason.MASTER_DOWN_TIMER if change.last_advert_ns is not None:
            until_ns = change.last_advert_ns
            resigned = [each for each in adverts if each.at_ns > until_ns and each.priority == 0]
            until_ns = resigned[-1].at_ns if resigned else until_ns
        case _:
            return None
    others = (each for each in reversed(adverts) if each.node != change.node and each.at_ns <= until_ns)
    return next(others, None)
