"""`--set PATH=VALUE`: change one value of the tree before it is judged.

A path is dotted, as error messages write it: `segments.lan.loss`, `events[0].at` or, by name,
`events.fault.at`. It may add a key that the format knows, but no new node, segment, client or instance.
`*` stands for every key or element there: `nodes.*.slop` is that of each node.

A keyword of keepalived.conf is reached by node, block and keyword, whether the node has a file or is written
inline: `lb1.VI_1.advert_int`, `*.chk_haproxy.fall` (every node that has such a block),
`lb1.global_defs.vrrp_startup_delay`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vrrpsim.findings import Place, did_you_mean
from vrrpsim.keepalived.changes import Change

from .yaml_tree import Keys, Tree, dotted, parse_value

DAEMON = "keepalived"
BESIDE = (
    "file",
    "conf",
    "config_id",
    "starts",
    "probes",
)  # what a node says of its daemon beside the configuration
TEXTS = ("file", "conf")  # where it is keepalived.conf
# Mappings whose keys are the user's own names.
NAMED = frozenset(
    [
        "segments",
        "switches",
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
        keywords = list(_keywords(tree.root, text.strip()))
        for node, keyword, anywhere in keywords:
            _change(tree, node, Change(keyword, value, place, anywhere))
        if keywords:
            continue
        for each in list(_meant(tree.root, steps)):
            path = _follow(tree, each, place)
            if path is not None:
                _assign(tree, path, parse_value(value), place)


def _keywords(root: Any, text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (node, path in its configuration, whether any node will do) where the path means a keyword."""
    nodes = root.get("nodes") if isinstance(root, dict) else None
    if not isinstance(nodes, dict):
        return
    running = [
        n for n, node in nodes.items() if isinstance(node, dict) and isinstance(node.get(DAEMON), dict)
    ]
    long = text.startswith("nodes.")
    rest = text.removeprefix("nodes.")
    if not long and text.partition(".")[0] in root:
        return
    anywhere = rest.startswith("*.")
    named = max((node for node in nodes if rest.startswith(f"{node}.")), key=len, default=None)
    path = rest[2:] if anywhere else rest[len(named) + 1 :] if named is not None else ""
    for node in running if anywhere else [named] if named in running else []:
        assert node is not None
        if not long:
            yield node, path, anywhere
        elif path.startswith(f"{DAEMON}.") and not nodes[node][DAEMON].keys().isdisjoint(TEXTS):
            section, _, inner = path.removeprefix(f"{DAEMON}.").partition(".")
            if section not in BESIDE:
                yield node, inner if section in NAMED else f"{section}.{inner}".rstrip("."), anywhere


def _change(tree: Tree, node: str, change: Change) -> None:
    """Note a change of a node's file; of an inline configuration, make it."""
    daemon = tree.root["nodes"][node][DAEMON]
    if change.anywhere:
        tree.tried[change.place] += 1
    if not daemon.keys().isdisjoint(TEXTS):
        tree.changes.setdefault(node, []).append(change)
        return
    places: dict[str, tuple[str, ...]] = {
        f"{block}.": (name, block) for name, part in daemon.items() if name in NAMED for block in part or ()
    }
    places["global_defs."] = ("global_defs",)
    head = max((each for each in places if change.path.startswith(each)), key=len, default=None)
    if head is not None:
        steps = ["nodes", *node.split("."), DAEMON, *".".join(places[head]).split(".")]
        path = _follow(tree, [*steps, *change.path[len(head) :].split(".")], change.place)
        if path is not None:
            _assign(tree, path, parse_value(change.value), change.place)
    elif change.anywhere:
        tree.missed.append(change)
    else:
        first, blocks = change.path.partition(".")[0], [each.rstrip(".") for each in places]
        tree.add(change.place, f"{change.path}: no block '{first}' in {node}{did_you_mean(first, blocks)}")


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
    if isinstance(here, dict):
        tree.add(place, f"{where}: no such key{did_you_mean(step, here)}")
    elif isinstance(here, list):
        tree.add(place, f"{where}: no such element; write an index below {len(here)} or an event's name")
    else:
        tree.add(place, f"{where}: {dotted(path)} is a value, not a mapping")


def _assign(tree: Tree, path: Keys, value: Any, place: Place) -> None:
    parent = tree.lookup(path[:-1])
    parent[path[-1]] = value
    tree.replaced[path] = place
