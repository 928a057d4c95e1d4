"""A scenario file to a `Scenario`: tree with places, overrides, shape, references."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from vrrpsim.keepalived.compiler import Places
from vrrpsim.scenario.model import Scenario

from .format import read_document
from .overrides import apply_overrides
from .resolve import Resolver
from .yaml_tree import Tree, read_tree


def load_scenario(path: str | Path, *, overrides: Mapping[str, str] = MappingProxyType({})) -> Scenario:
    """Read a scenario; raise `InputError` with every fault of the file, and nothing else.

    `overrides` are `--set PATH=VALUE`: a dotted path such as `segments.lan.loss`, and YAML text.
    """
    return read_scenario(read_tree(Path(path)), overrides)[0]


def read_scenario(
    tree: Tree, overrides: Mapping[str, str] = MappingProxyType({})
) -> tuple[Scenario, Mapping[str, Places]]:
    """Read the tree of a file; beside the scenario, where each node's keywords stand."""
    apply_overrides(tree, overrides)
    document, reading = read_document(tree)
    if document is None:
        tree.raise_if_broken()
        raise AssertionError("no document means at least one error")
    resolver = Resolver(tree, document, reading, Path(tree.file))
    scenario = resolver.resolve()
    tree.raise_if_broken()
    return scenario, resolver.places
