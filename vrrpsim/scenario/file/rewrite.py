"""A scenario file's text with its overrides written into it, comments and references kept."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from vrrpsim.keepalived.writer import keepalived_conf
from vrrpsim.scenario.model import Scenario

from .overrides import apply_overrides
from .yaml_tree import Tree

WIDTH = 150


class Rewritten(NamedTuple):
    """The file as a ruamel document, and the keepalived.conf that it now names, by file name."""

    document: Any
    confs: dict[str, str]


def rewrite(text: str, overrides: Mapping[str, str], scenario: Scenario, stem: str) -> Rewritten:
    """Write the overrides that a scenario was read with into the text of its file.

    Where they reach into the keepalived.conf of a node, the effective configuration becomes a file beside
    the new text, named after `stem` and the node.
    """
    tree = Tree("", _yaml().load(text))
    apply_overrides(tree, overrides)
    confs = {}
    for node in tree.changes:
        keepalived = scenario.nodes[node].keepalived
        assert keepalived is not None
        name = f"{stem}-{node}.conf"
        confs[name] = keepalived_conf(keepalived.config, secrets=True) + "\n"
        tree.root["nodes"][node]["keepalived"]["file"] = name
    return Rewritten(tree.root, confs)


def dumped(document: Any) -> list[str]:
    """Return the lines of a ruamel document, in the style of the shipped scenarios."""
    out = StringIO()
    _yaml().dump(document, out)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
