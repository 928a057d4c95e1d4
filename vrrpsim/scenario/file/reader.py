"""A scenario file to a `Scenario`: tree with places, overrides, shape, references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vrrpsim.keepalived.compiler import Places
from vrrpsim.scenario.model import Scenario

from .format import read_document
from .overrides import apply_overrides
from .plain_values import plain
from .resolve import Resolver
from .yaml_tree import Tree, read_tree, tree_of


def load_scenario(path: str | Path, *, overrides: Mapping[str, str] = MappingProxyType({})) -> Scenario:
    """Read a scenario; raise `InputError` with every fault of the file, and nothing else.

    `overrides` are `--set PATH=VALUE`: a dotted path such as `segments.lan.loss`, and YAML text.
    """
    return read_scenario(read_tree(Path(path)), overrides)[0]


def scenario_of(
    source: str | Mapping[str, Any],
    *,
    overrides: Mapping[str, str] = MappingProxyType({}),
    folder: Path = Path(),
) -> Scenario:
    """Build a scenario of YAML text, or of plain values as a file would say them.

    Files that it names are relative to `folder`. Errors name line and column of the text, or the argument:
    `scenario: nodes.lb1.slop: …`.
    """
    tree = values_of(source)
    tree.raise_if_broken()
    return replace(read_scenario(tree, overrides, folder / "scenario")[0], path=None)


def values_of(source: str | Mapping[str, Any]) -> Tree:
    """Return YAML text, or Python's values, as plain values with their places."""
    if isinstance(source, str):
        return tree_of("scenario", source)
    tree = Tree("scenario", values={(): (0, 0)})
    tree.root = plain(source, tree)
    return tree


def read_scenario(
    tree: Tree, overrides: Mapping[str, str] = MappingProxyType({}), path: Path | None = None
) -> tuple[Scenario, Mapping[str, Places]]:
    """Read the tree of a file; beside the scenario, where each node's keywords stand."""
    apply_overrides(tree, overrides)
    document, reading = read_document(tree)
    if document is None:
        tree.raise_if_broken()
        raise AssertionError("no document means at least one error")
    resolver = Resolver(tree, document, reading, path or Path(tree.file))
    scenario = resolver.resolve()
    tree.raise_if_broken()
    return scenario, resolver.places
