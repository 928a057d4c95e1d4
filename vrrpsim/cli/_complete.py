"""What a shell offers for the values of arguments and options; see `vrrpsim completion`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

SUFFIXES = (".yaml", ".yml", ".conf")


def inputs(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer scenarios and keepalived.conf files; among folders the shell finds its way itself."""
    from click.shell_completion import CompletionItem

    folder, start = os.path.split(incomplete)
    try:
        found = sorted(each for each in Path(folder or ".").iterdir() if each.name.startswith(start))
    except OSError:
        found = []
    seen = [each for each in found if start or not each.name.startswith(".")]
    if not seen or any(each.is_dir() for each in seen):
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(str(Path(folder, each.name))) for each in seen if each.suffix in SUFFIXES]


def dialects(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Offer the presets."""
    from vrrpsim.protocol.dialect import DIALECTS

    return [name for name in DIALECTS if name.startswith(incomplete)]


def rules(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Offer the codes of the rules, behind those that stand already."""
    from vrrpsim.rules import RULES

    before, comma, start = incomplete.rpartition(",")
    return [f"{before}{comma}{code}" for code in RULES if code.startswith(start.upper())]


def settings(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Offer the paths of the values in the scenario that the command line names."""
    from vrrpsim.findings import InputError
    from vrrpsim.scenario.file.yaml_tree import read_tree

    words = os.environ.get("COMP_WORDS", "").split()  # click gives up where an option wants its value
    files = [Path(word) for word in words if word.endswith((".yaml", ".yml"))]
    try:
        paths = [path for file in files[:1] for path in _leaves(read_tree(file).root)]
    except InputError:
        return []
    return [f"{path}=" for path in paths if path.startswith(incomplete)]


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of single values; a distribution is one, and a list of anything but mappings."""
    from vrrpsim.scenario.quantities import KINDS

    if isinstance(value, dict) and not {*value} & {*KINDS}:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif not (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
        yield path
