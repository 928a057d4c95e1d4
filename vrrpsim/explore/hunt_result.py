"""What a hunt found, or what it covered finding nothing: as values and as the document of `--json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import SECOND_NS
from vrrpsim.trace import Fault, Record, StateChange

from .fault_schedules import Schedule, event_yaml, kind_of
from .invariants import Violation

ROLES = ("MASTER", "BACKUP", "FAULT", "INIT")


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A schedule that breaks an invariant; no event of it can be removed."""

    violation: Violation
    events: Schedule
    scenario: Scenario
    story: tuple[str, ...]
    tried: int  # the schedules until it was met; 0: no fault is needed, or an earlier hunt found it
    shrunk_from: int  # events
    path: Path | None = None
    replayed: Path | None = None  # the file of an earlier hunt that still fails
    alone: bool = True  # `vrrpsim run` fails on the written file
    also: tuple[str, ...] = ()  # further invariants that these events break

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "invariant": self.violation.invariant,
            "text": self.violation.text,
            "scenario": str(self.path) if self.path else None,
            "events": [event_yaml(event) for event in self.events],
            "story": list(self.story),
            "also": list(self.also),
            "tried": self.tried,
            "shrunk_from": self.shrunk_from,
            "replayed": str(self.replayed) if self.replayed else None,
            "alone": self.alone,
        }


@dataclass(slots=True)
class Coverage:
    """Which faults were tried, and in which role they met a node."""

    fired: Counter[str] = field(default_factory=Counter)
    met: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, role)

    def add(self, scenario: Scenario, records: Sequence[Record]) -> None:
        """Count the faults of one run."""
        roles: dict[str, dict[str, str]] = {}
        kinds = iter(sorted(scenario.events, key=lambda event: (event.at.plus.low_ns, event.index)))
        for record in records:
            if isinstance(record, StateChange):
                roles.setdefault(record.node, {})[record.instance] = record.new
            elif isinstance(record, Fault):
                kind = kind_of(next(kinds))
                self.fired[kind] += 1
                for target in record.resolved:
                    for role in roles.get(target.partition("/")[0], {"": "INIT"}).values():
                        self.met[kind, role] += 1


@dataclass(frozen=True, slots=True)
class HuntResult:
    """What a hunt found, or what it covered finding nothing."""

    scenario: Scenario
    seed: int
    invariants: tuple[str, ...]
    kinds: tuple[str, ...]
    examples: int  # schedules drawn
    distinct: int  # of them different, with those that shrinking tried
    simulated_ns: int
    findings: tuple[Counterexample, ...]
    healed: tuple[Path, ...]  # files of earlier hunts that no longer fail
    coverage: Coverage
    ended: str = ""  # "interrupted" or "time": before the budget was spent

    def to_dict(self) -> dict[str, Any]:
        """Return the document of `--json`; the keys of the gravest finding stand at the top."""
        found = [finding.to_dict() for finding in self.findings]
        nothing: dict[str, Any] = {
            "invariant": None,
            "scenario": None,
            "events": [],
            "story": [],
            "text": None,
            "also": [],
        }
        return {
            "found": bool(found),
            "name": self.scenario.name,
            "examples": self.examples,
            "distinct": self.distinct,
            "simulated_s": self.simulated_ns // SECOND_NS,
            "seed": self.seed,
            **(found[0] if found else nothing),
            "others": found[1:],
            "healed": [str(path) for path in self.healed],
            "invariants": list(self.invariants),
            "faults": {kind: self.coverage.fired[kind] for kind in self.kinds},
            "roles": list(ROLES),
            "covered": {
                kind: {role: self.coverage.met[kind, role] for role in ROLES if self.coverage.met[kind, role]}
                for kind in self.kinds
            },
            "ended": self.ended or "budget",
        }
