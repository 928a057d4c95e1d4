"""Scenario files written: from plain values, or the text of one with its overrides in it."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import LiteralScalarString

from vrrpsim.keepalived.writer import keepalived_conf
from vrrpsim.scenario.model import Scenario

from .overrides import TEXTS, apply_overrides
from .yaml_tree import Tree

WIDTH = 150
LINE = 110  # what fits is written on one line


def with_overrides(document: Any, overrides: Mapping[str, str], scenario: Scenario) -> Any:
    """Write the overrides that a scenario was read with into its values, and return these.

    Where they reach into the keepalived.conf of a node, the text of the effective configuration takes the
    place of the file. The values may be a document of ruamel, whose comments stay.
    """
    tree = Tree("", document)
    apply_overrides(tree, overrides)
    for node in tree.changes:
        keepalived = scenario.nodes[node].keepalived
        assert keepalived is not None
        said = document["nodes"][node]["keepalived"]
        for each in TEXTS:
            said.pop(each, None)
        said["conf"] = LiteralScalarString(keepalived_conf(keepalived.config, secrets=True) + "\n")
        if isinstance(said, CommentedMap):
            said.fa.set_block_style()
            document["nodes"][node].fa.set_block_style()
    return document


def read_document(text: str) -> Any:
    """Return a ruamel document: values that keep their comments and their style."""
    return _yaml().load(text)


def dumped(document: Any) -> list[str]:
    """Return the lines of a document, in the style of the shipped scenarios."""
    out = StringIO()
    _yaml().dump(document, out)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def styled(value: Any, indent: int = 0) -> Any:
    """Return plain values as a document: short mappings and lists on one line, long texts as blocks."""
    if isinstance(value, str):
        return LiteralScalarString(value) if "\n" in value else value
    if not isinstance(value, (dict, list)):
        return value
    made: Any = (
        CommentedMap({key: styled(item, indent + 2) for key, item in value.items()})
        if isinstance(value, dict)
        else CommentedSeq(styled(item, indent + 4) for item in value)
    )
    if indent > 2 and len(str(value)) + indent < LINE and "\\n" not in str(value):
        made.fa.set_flow_style()
    return made


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
