"""A found schedule as a scenario file beside the original, which `vrrpsim run` alone replays and fails.

The original's text is kept, comments and references to keepalived files included; only what makes the run
another one is replaced: name, description, duration, seed, events and expectations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vrrpsim.scenario.file.rewrite import dumped, read_document, with_overrides
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import exact_duration

from .fault_schedules import Schedule, event_yaml
from .invariants import Violation

MARK = "-hunt-"


def found_beside(scenario: Scenario) -> tuple[Path, ...]:
    """Return the counterexamples that earlier hunts left beside a scenario."""
    if scenario.path is None:
        return ()
    return tuple(sorted(scenario.path.parent.glob(f"{scenario.path.stem}{MARK}[0-9a-f]*.yaml")))


def path_for(original: Path, violation: Violation, events: Schedule) -> Path:
    """Name the file after what it shows, so that the same finding has the same name."""
    shown = repr((violation.invariant, [event_yaml(event) for event in events]))
    code = hashlib.sha256(shown.encode()).hexdigest()[:4]
    return original.with_name(f"{original.stem}{MARK}{code}.yaml")


def as_text(
    scenario: Scenario,
    overrides: Mapping[str, str],
    name: str,
    violation: Violation,
    expect: Mapping[str, Any],
    header: Iterable[str],
) -> str:
    """Write a scenario that ran as YAML, on the text of its file."""
    assert scenario.path is not None
    document = read_document(scenario.path.read_text(encoding="utf-8"))
    with_overrides(document, overrides, scenario)
    document.ca.comment = None  # the original's lesson is not this one's
    for key in ("events", "expect", "duration", "seed", "description"):
        document.ca.items.pop(key, None)
    document["name"] = name
    document["description"] = f"{violation.invariant}: {violation.text}."
    document["duration"] = exact_duration(scenario.duration_ns)
    document["seed"] = scenario.seed
    document["events"] = _sequence(_flow(event_yaml(event)) for event in scenario.events)
    document.pop("expect", None)
    if expect:
        document["expect"] = _block({key: _flow(value) for key, value in expect.items()})
    lines = [*(f"# {line}" for line in header), *dumped(document)]
    return "".join(f"{line}\n" for line in lines)


def candidates(
    violation: Violation, measured: Mapping[str, int], quiet: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Yield expectations that may fail: the invariant's own, then what is worse than without any fault."""
    if violation.expect:
        yield dict(violation.expect)
    for name, value in measured.items():
        if value > quiet[name]:
            yield {name: {"max": quiet[name] if name == "moves" else exact_duration(quiet[name])}}


def same_run(one: Scenario, other: Scenario) -> bool:
    """Whether two scenarios give the same run: names, expectations and where things stand do not matter."""
    return _bare(one) == _bare(other)


def _bare(scenario: Scenario) -> Scenario:
    nodes = {
        name: replace(node, keepalived=node.keepalived and replace(node.keepalived, file=None, changed=False))
        for name, node in scenario.nodes.items()
    }
    return replace(scenario, name="", description="", expect=None, path=None, findings=(), nodes=nodes)


def _flow(value: Any) -> Any:
    """Make mappings and lists that are written on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        made: Any = CommentedMap({key: _flow(item) for key, item in value.items()})
    elif isinstance(value, (list, tuple)):
        made = CommentedSeq([_flow(item) for item in value])
    else:
        return value
    made.fa.set_flow_style()
    return made


def _block(value: Mapping[str, Any]) -> Any:
    from ruamel.yaml.comments import CommentedMap

    return CommentedMap(value)


def _sequence(items: Iterable[Any]) -> Any:
    from ruamel.yaml.comments import CommentedSeq

    return CommentedSeq(items)
