"""Everything measured from one run, as values and as the JSON document of DESIGN §6."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from vrrpsim.protocol.configuration import RouterConfig
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.model import Scenario, once
from vrrpsim.trace import Fault, FaultEnd, Reachability, Trace

from .causes import asked_by, causes, event_words
from .expectations import Verdict, judge, overall
from .failovers import NO_EVENT, Failover, failovers
from .history import History, history
from .keywords import DaemonRules
from .outage_parts import OutagePart, parts_of
from .outages import ClientView, Outage, client_view
from .ownership import Ownership, Span, ownerships
from .seconds import optional_seconds, seconds, to_json


class EventSeen(NamedTuple):
    """An event as it happened; `until_ns` is when it was undone, None: never within the run."""

    at_ns: int
    verb: str
    targets: tuple[str, ...]
    until_ns: int | None
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return event_words(self.verb, self.targets, self.detail)


@dataclass(frozen=True, slots=True)
class Result:
    """What one run showed."""

    name: str
    seed: int
    duration_ns: int
    trace: Trace = field(repr=False, compare=False)
    ownerships: tuple[Ownership, ...]
    failovers: tuple[Failover, ...]
    clients: Mapping[str, ClientView]
    events: tuple[EventSeen, ...]
    counts: Mapping[str, int | None]
    expectations: tuple[Verdict, ...]
    reasons: Callable[[], Mapping[str, tuple[tuple[OutagePart, ...], ...]]] = field(repr=False, compare=False)

    @property
    def why(self) -> Mapping[str, tuple[tuple[OutagePart, ...], ...]]:
        """By client, the parts of each of its outages; worked out when asked for, a sweep never asks."""
        return self.reasons()

    @property
    def digest(self) -> str:
        """SHA-256 over the state changes: equal digests mean equal histories (DESIGN §4)."""
        return self.trace.digest()

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `unknown`; `none` if nothing was expected."""
        return overall(self.expectations)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values; times are `Decimal` seconds with nine decimals."""
        return {
            "scenario": self.name,
            "seed": self.seed,
            "duration_s": seconds(self.duration_ns),
            "verdict": self.verdict,
            "expectations": [_expectation(verdict) for verdict in self.expectations],
            "failovers": [_failover(each) for each in self.failovers],
            "tenures": [
                _stretch(each.address, each.start_ns, each.end_ns, (each.node,), each.ended)
                for owned in self.ownerships
                for each in owned.tenures
            ],
            "dual_master": [_span(each) for owned in self.ownerships for each in owned.dual_master],
            "vacancies": [_span(each) for owned in self.ownerships for each in owned.vacancies],
            "moves": {owned.address: owned.moves for owned in self.ownerships},
            "clients": {name: _client(self.clients[name], parts) for name, parts in self.why.items()},
            "events": [_event(each) for each in self.events],
            "counts": dict(self.counts),
            "digest": self.digest,
        }

    def to_json(self) -> str:
        """Return the document that `vrrpsim run --json` prints, without a final newline."""
        return to_json(self.to_dict())


def measure(scenario: Scenario, trace: Trace, *, seed: int | None = None) -> Result:
    """Measure a trace of the scenario, whichever world wrote it. Pure."""
    past = history(trace)
    owned = ownerships(past.ownership, past.end_ns, addresses(scenario))
    watchers: dict[str, dict[str, int]] = {}
    for name, client in scenario.clients.items():
        watchers.setdefault(str(client.asks), {})[name] = client.every_ns
    by_client = {name: [c for c in past.reachability if c.client == name] for name in scenario.clients}
    clients = {
        name: client_view(name, by_client[name], client.every_ns, past.end_ns)
        for name, client in scenario.clients.items()
    }
    rules = daemons(scenario)
    found = failovers(past, owned, rules, watchers, asked_by(scenario), scenario.between())
    judged = judge(scenario.expect, owned, found, clients, past.end_ns) if scenario.expect else ()
    return Result(
        name=scenario.name,
        seed=scenario.seed if seed is None else seed,
        duration_ns=past.end_ns,
        trace=trace,
        ownerships=owned,
        failovers=found,
        clients=clients,
        events=events_seen(past),
        counts=past.counts,
        expectations=judged,
        reasons=partial(_why, scenario, past, owned, found, clients, by_client, rules),
    )


@once
def daemons(scenario: Scenario) -> dict[str, DaemonRules]:
    """Return what each node runs, for every node: one without keepalived runs nothing."""
    return {
        name: DaemonRules(
            node.keepalived.config if node.keepalived else RouterConfig(), DIALECTS[scenario.dialect_of(name)]
        )
        for name, node in scenario.nodes.items()
    }


@once
def addresses(scenario: Scenario) -> tuple[str, ...]:
    """Return the virtual addresses of the scenario, each once, in its order."""
    return tuple(
        dict.fromkeys(
            str(virtual.address)
            for node in scenario.nodes.values()
            if node.keepalived
            for instance in node.keepalived.config.instances
            for virtual in (*instance.addresses, *instance.excluded)
        )
    )


def _why(
    scenario: Scenario,
    past: History,
    owned: tuple[Ownership, ...],
    found: tuple[Failover, ...],
    clients: Mapping[str, ClientView],
    by_client: Mapping[str, Sequence[Reachability]],
    rules: Mapping[str, DaemonRules],
) -> dict[str, tuple[tuple[OutagePart, ...], ...]]:
    """Say of each outage of each client why it lasted."""
    events = causes(past.faults, scenario.nodes)
    by_address = {each.address: each for each in owned}
    why = {}
    for name, view in clients.items():
        address = str(scenario.clients[name].asks)
        instances = {node: each.instance_of(address) for node, each in rules.items()}
        mine = [each for each in found if each.address == address]
        why[name] = tuple(
            parts_of(outage, by_client[name], by_address.get(address), mine, events, instances, past.notified)
            for outage in view.outages
        )
    return why


def events_seen(past: History) -> tuple[EventSeen, ...]:
    """Return the events that fired, in order, with the instants at which they were undone."""
    ends = {record.number: record.at_ns for record in past.faults if isinstance(record, FaultEnd)}
    return tuple(
        EventSeen(
            f.at_ns, f.verb, f.resolved or (f.target,), ends.get(f.number, f.until_ns), f.name, f.detail
        )
        for f in past.faults
        if isinstance(f, Fault)
    )


def _stretch(address: str, start_ns: int, end_ns: int, nodes: tuple[str, ...], ended: bool) -> dict[str, Any]:
    return {
        "address": address,
        "start_s": seconds(start_ns),
        "end_s": seconds(end_ns),
        "nodes": list(nodes),
        "ended": ended,
    }


def _span(span: Span) -> dict[str, Any]:
    return _stretch(span.address, span.start_ns, span.end_ns, span.nodes, span.ended)


def _failover(each: Failover) -> dict[str, Any]:
    return {
        "address": each.address,
        "from": each.old,
        "to": each.new,
        "kind": each.kind.value,
        "cause": str(each.cause),
        "event": None if each.cause.number == NO_EVENT else each.cause.number,
        "fault_s": seconds(each.fault_ns),
        "owner_s": seconds(each.owner_ns),
        **{f"{part.name}_s": optional_seconds(part.length_ns) for part in each.parts},
        "total_s": optional_seconds(each.total_ns),
        "governed_by": {part.name: part.keyword for part in each.parts},
    }


def _client(view: ClientView, why: tuple[tuple[OutagePart, ...], ...]) -> dict[str, Any]:
    return {
        "outages": [_outage(*each) for each in zip(view.outages, why, strict=True)],
        "longest_outage_s": seconds(view.longest_ns),
        "answered": view.answered,
        "lost": view.lost,
    }


def _outage(each: Outage, why: tuple[OutagePart, ...]) -> dict[str, Any]:
    return {
        "start_s": seconds(each.start_ns),
        "end_s": seconds(each.end_ns),
        "length_s": seconds(each.length_ns),
        "ended": each.ended,
        "parts": [
            {
                "start_s": seconds(part.start_ns),
                "length_s": seconds(part.length_ns),
                "cause": part.cause,
                "event": str(part.event) if part.event else None,
                "keyword": part.keyword,
            }
            for part in why
        ],
    }


def _event(each: EventSeen) -> dict[str, Any]:
    return {
        "at_s": seconds(each.at_ns),
        "verb": each.verb,
        "target": " | ".join(each.targets),
        "until_s": optional_seconds(each.until_ns),
        "name": each.name,
    }


def _expectation(each: Verdict) -> dict[str, Any]:
    return {
        "measure": each.measure,
        "statistic": each.statistic,
        "at_s": optional_seconds(each.at_ns),
        "bound": _quantity(each.measure, each.bound),
        "measured": _quantity(each.measure, each.measured),
        "ok": each.ok,
        "note": each.note,
    }


def _quantity(measure: str, value: int | str | None) -> Any:
    """Return times as seconds, counts and names as they are."""
    return seconds(value) if isinstance(value, int) and measure != "moves" else value
