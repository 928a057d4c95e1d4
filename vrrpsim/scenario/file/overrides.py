"""`--set PATH=VALUE`: change one value of the tree before it is judged.

A path is dotted, as error messages write it: `segments.lan.loss`, `events[0].at` or, by name,
`events.fault.at`. It may add a key that the format knows, but no new node, segment, client or instance.
`*` stands for every key or element there: `nodes.*.slop` is that of each node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vrrpsim.findings import Place, did_you_mean

from .yaml_tree import Keys, Tree, dotted, parse_value

# Mappings whose keys are the user's own names.
NAMED = frozenset(
    [
        "segments",
        "nodes",
        "clients",
        "interfaces",
        "processes",
        "vrrp_scripts",
        "vrrp_instances",
        "vrrp_sync_groups",
        "vrrp_track_processes",
        "track_files",
        "garp_groups",
    ]
)
# Mappings that may be absent although a path leads through them.
OPTIONAL = frozenset(
    [
        "expect",
        "failover",
        "return",
        "outage",
        "dual_master",
        "vacancy",
        "moves",
        "slop",
        "stalls",
        "neighbours",
        "global_defs",
        "authentication",
    ]
)


def apply_overrides(tree: Tree, overrides: Mapping[str, str]) -> None:
    """Change the tree; what cannot be followed becomes an error of the tree."""
    for text, value in overrides.items():
        place = Place(f"--set {text}={value}"[:120], 1, 1)
        steps = [step for step in re.split(r"\.|\[|\]", text.strip()) if step]
        if not steps:
            tree.add(place, "an empty path")
            continue
        for each in list(_meant(tree.root, steps)):
            path = _follow(tree, each, place)
            if path is not None:
                _assign(tree, path, parse_value(value), place)


def _meant(here: Any, steps: list[str]) -> Iterator[list[str]]:
    """Yield the steps with every `*` replaced by what is there; unchanged where nothing is."""
    if "*" not in steps:
        yield steps
        return
    at = steps.index("*")
    way, rest = steps[:at], steps[at + 1 :]
    while way:
        key, used = _next_key(here, way)
        if key is None:
            break
        here, way = here[key], way[used:]
    names = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
    if way or not names:
        yield steps
        return
    for name in names:
        yield from ([*steps[:at], str(name), *further] for further in _meant(here[name], rest))


def _follow(tree: Tree, steps: list[str], place: Place) -> Keys | None:
    """Return the path of the value to set, creating optional mappings on the way; None after an error."""
    path: Keys = ()
    here: Any = tree.root
    while True:
        key, used = _next_key(here, steps)
        final = used == len(steps)
        if key is None:
            if isinstance(here, dict) and _may_add(path, steps[0], final):
                key, used, final = steps[0], 1, len(steps) == 1
                if not final:
                    here[key] = {}
            else:
                _explain(tree, path, here, steps[0], place)
                return None
        path = (*path, key)
        if final:
            return path
        here = here[key]
        steps = steps[used:]


def _next_key(here: Any, steps: list[str]) -> tuple[str | int | None, int]:
    """Find the longest run of steps that is a key here: names may contain dots."""
    if isinstance(here, dict):
        for used in range(len(steps), 0, -1):
            if ".".join(steps[:used]) in here:
                return ".".join(steps[:used]), used
    if isinstance(here, list):
        if steps[0].isdecimal() and int(steps[0]) < len(here):
            return int(steps[0]), 1
        for index, item in enumerate(here):
            if isinstance(item, dict) and item.get("name") == steps[0]:
                return index, 1
    return None, 1


def _may_add(path: Keys, key: str, final: bool) -> bool:
    if path and path[-1] in NAMED:
        return False
    return final or key in OPTIONAL


def _explain(tree: Tree, path: Keys, here: Any, step: str, place: Place) -> None:
    where = dotted((*path, step))
    if len(path) >= 3 and path[2] == "keepalived" and isinstance(tree.lookup(path[:3]), dict):
        file = tree.lookup(path[:3]).get("file")
        if file is not None:
            tree.add(
                place, f"{where}: the configuration is in {file}; --set reaches only inline 'keepalived:'"
            )
            return
    if isinstance(here, dict):
        tree.add(place, f"{where}: no such key{did_you_mean(step, here)}")
    elif isinstance(here, list):
        tree.add(place, f"{where}: no such element; write an index below {len(here)} or an event's name")
    else:
        tree.add(place, f"{where}: {dotted(path)} is a value, not a mapping")


def _assign(tree: Tree, path: Keys, value: Any, place: Place) -> None:
    parent = tree.lookup(path[:-1])
    if path[-1] == "priority" and "keepalived" in path and isinstance(parent, dict) and "file" in parent:
        tree.add(
            place, f"{dotted(path)}: the configuration is in {parent['file']}; --set cannot reach into it"
        )
        return
    parent[path[-1]] = value
    tree.replaced[path] = place
