"""The manifest of a sweep's folder: what was asked, and what a report needs of the scenario, as JSON.

Two folders are parts of one sweep if their manifests differ in the shard only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple, get_args

from vrrpsim import __version__
from vrrpsim.scenario.events import Event, When
from vrrpsim.scenario.model import ZERO, Bound, Client, Expect, Measure, Owns, Scenario, Statistic

from .sweep_plan import SweepPlan
from .sweep_result import Variant
from .trial import called
from .until import parse_goal

NAME = "_manifest.json"  # readers of Parquet folders pass over what begins with _
FORMAT = 1
MOST_BYTES = 16 << 20
AT_ONCE = When(ZERO)  # of an event it needs the name, and whether it ends
SOMEBODY = Client(segment="", target=(IPv4Address(0), 0))  # of a client a report needs the name only
NOT_OF_A_RUN = {
    "Scenario": ("path", "findings", "description", "expect", "worked_out"),
    "Keepalived": ("file",),
}


class FolderError(Exception):
    """A folder that does not hold (this) sweep."""

    exit_code = 3


class Manifest(NamedTuple):
    """What a folder's sweep is."""

    content: Mapping[str, Any]
    plan: SweepPlan
    variants: tuple[Variant, ...]
    stratified: str | None

    @property
    def text(self) -> str:
        """The file."""
        return json.dumps(self.content, indent=1) + "\n"

    @property
    def whole(self) -> Manifest:
        """The same of all shards together."""
        return _manifest({**self.content, "shard": [1, 1]})


def manifest_of(variants: Sequence[Variant], plan: SweepPlan) -> Manifest:
    """Describe a sweep that is about to run."""
    content = {
        "format": FORMAT,
        "vrrpsim": __version__,
        "command": plan.command,
        "runs": plan.runs,
        "seed": plan.seed,
        "stratify": plan.stratify,
        "stratified": plan.stratified(variants[0].scenario),
        "rare": plan.rare,
        "until": [goal.text for goal in plan.until],
        "shard": list(plan.shard),
        "cells": [
            {
                "varied": dict(variant.varied),
                "overrides": dict(variant.overrides),
                "scenario": _subject(variant.scenario),
            }
            for variant in variants
        ],
    }
    return Manifest(content, plan, tuple(variants), plan.stratified(variants[0].scenario))


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest; raise `FolderError` if it has none or it is not understood."""
    file = folder / NAME
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES >> 20} MiB")
        content = json.loads(file.read_text("utf-8"))
        _refuse_commands(content)
        return _manifest(content)
    except FileNotFoundError:
        raise FolderError(f"{folder}: holds no sweep (there is no {NAME})") from None
    except OSError as error:
        raise FolderError(f"{file}: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FolderError(
            f"{file}: is not the manifest of a sweep ({type(error).__name__}: {error})"
        ) from None


def read_manifests(folders: Sequence[Path]) -> Manifest:
    """Read the manifests of shards of one sweep; raise `FolderError` if they are of several."""
    first, *others = map(read_manifest, folders)
    for folder, other in zip(folders[1:], others, strict=True):
        same_sweep(first, other, folders[0], folder)
    return first.whole


def same_sweep(one: Manifest, other: Manifest, here: Path, there: Path, *, shard: bool = False) -> None:
    """Raise `FolderError` naming what differs, unless the manifests are of one sweep."""
    differ = [
        key
        for key in one.content
        if one.content[key] != other.content.get(key) and key != "command" and (shard or key != "shard")
    ]
    if differ:
        raise FolderError(f"{there}: is of another sweep than {here}: {', '.join(differ)} differ")


def _manifest(content: dict[str, Any]) -> Manifest:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, not {FORMAT}")
    plan = SweepPlan(
        runs=int(content["runs"]),
        seed=int(content["seed"]),
        stratify=bool(content["stratify"]),
        shard=(int(content["shard"][0]), int(content["shard"][1])),
        until=tuple(map(parse_goal, content["until"])),
        rare=bool(content["rare"]),
        command=str(content["command"]),
    )
    variants = tuple(
        Variant(_scenario(cell["scenario"]), _texts(cell["varied"]), _texts(cell["overrides"]))
        for cell in content["cells"]
    )
    plan.check()
    if plan.runs < 1:
        raise ValueError(f"{plan.runs} runs")
    stratified = content["stratified"]
    if not variants or not isinstance(stratified, str | None):
        raise ValueError("no cells")
    return Manifest(content, plan, variants, stratified)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def _subject(scenario: Scenario) -> dict[str, Any]:
    """What a report needs of a scenario, and the hash of all that its runs depend on."""
    expect = scenario.expect
    return {
        "name": scenario.name,
        "path": None if scenario.path is None else str(scenario.path),
        "duration_ns": scenario.duration_ns,
        "clients": list(scenario.clients),
        "events": [[called(event), event.lasts is not None] for event in scenario.events],
        "expect": expect
        and {
            "owner": [[each.at, each.node, each.address] for each in expect.owner],
            "bounds": [[each.measure, each.client, each.statistic, each.limit] for each in expect.bounds],
        },
        "invariants": list(scenario.invariants),
        "sha256": fingerprint(scenario),
    }


def _scenario(subject: Mapping[str, Any]) -> Scenario:
    """The scenario as far as a report looks at it."""
    expect = subject["expect"]
    return Scenario(
        name=str(subject["name"]),
        path=None if subject["path"] is None else Path(subject["path"]),
        duration_ns=int(subject["duration_ns"]),
        clients=dict.fromkeys(map(str, subject["clients"]), SOMEBODY),
        events=tuple(
            Event(verb="", at=AT_ONCE, index=at, name=str(name), lasts=AT_ONCE.plus if lasts else None)
            for at, (name, lasts) in enumerate(subject["events"])
        ),
        expect=expect
        and Expect(
            tuple(Owns(at, str(node), str(address)) for at, node, address in expect["owner"]),
            tuple(map(_bound, expect["bounds"])),
        ),
        invariants=dict.fromkeys(map(str, subject["invariants"])),
    )


def _bound(values: Sequence[Any]) -> Bound:
    measure, client, statistic, limit = values
    if measure not in get_args(Measure) or statistic not in get_args(Statistic):
        raise ValueError(f"{measure}.{statistic} is not expected of a run")
    return Bound(measure, None if client is None else str(client), statistic, int(limit))


def _refuse_commands(value: Any) -> None:
    """Raise if a text holds what a terminal would take for a command."""
    match value:
        case str() if not value.replace("\n", "").replace("\t", "").isprintable():
            raise ValueError(f"control characters in {value!r}")
        case dict():
            for each in (*value, *value.values()):
                _refuse_commands(each)
        case list():
            for each in value:
                _refuse_commands(each)


def fingerprint(scenario: Scenario) -> str:
    """Return a hash of what the runs depend on, the same for every process and folder."""
    digest = hashlib.sha256()
    for word in _words(scenario):
        digest.update(word.encode() + b"\0")
    return digest.hexdigest()


def _words(value: Any) -> Iterator[str]:
    match value:
        case Enum():
            yield value.name
        case _ if is_dataclass(value):
            yield type(value).__name__
            apart = NOT_OF_A_RUN.get(type(value).__name__, ())
            for field in fields(value):
                if field.name not in apart:
                    yield field.name
                    yield from _words(getattr(value, field.name))
        case Mapping():
            yield f"{len(value)} of"
            for key, item in value.items():
                yield str(key)
                yield from _words(item)
        case frozenset() | set():
            yield from sorted(" ".join(_words(item)) for item in value)
        case tuple() | list():
            yield f"{len(value)} of"
            for item in value:
                yield from _words(item)
        case Path():
            yield value.name
        case None | str() | int() | float() | bytes():
            yield repr(value)
        case _:
            yield str(value) if "0x" not in repr(value) else type(value).__name__
