"""A scenario file to a `Scenario`: tree with places, overrides, shape, references."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from vrrpsim.scenario.model import Scenario

from .format import read_document
from .overrides import apply_overrides
from .resolve import Resolver
from .yaml_tree import read_tree


def load_scenario(path: str | Path, *, overrides: Mapping[str, str] = MappingProxyType({})) -> Scenario:
    """Read a scenario; raise `InputError` with every fault of the file, and nothing else.

    `overrides` are `--set PATH=VALUE`: a dotted path such as `segments.lan.loss`, and YAML text.
    """
    tree = read_tree(Path(path))
    apply_overrides(tree, overrides)
    document, reading = read_document(tree)
    scenario = Resolver(tree, document, reading, Path(path)).resolve() if document else None
    tree.raise_if_broken()
    assert scenario is not None  # no document means at least one error
    return scenario
