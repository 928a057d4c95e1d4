"""The cells of a census as scenario files: the text of the cluster, and below it the events of the cell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from vrrpsim.scenario.file.rewrite import dumped, read_document, with_overrides
from vrrpsim.scenario.flow_yaml import flow_text
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import exact_duration

from .census import cell_events_yaml
from .census_result import HARMLESS, CensusResult

REPLACED = ("version", "name", "description", "duration", "age", "seed", "events", "expect")


def cell_files(
    result: CensusResult, text: str, beside: Path, folder: Path, overrides: Mapping[str, str]
) -> Iterator[tuple[str, Path, str]]:
    """Yield (cell, path, text) of each cell that does harm; without flags `vrrpsim run` shows its worst run.

    `text` is the scenario of the cluster, its file references relative to the folder `beside`.
    """
    cluster = _cluster_text(text, beside, folder, overrides, result.scenario)
    for cell in result.cells:
        if cell.outcome == HARMLESS:
            continue
        head = [
            f"# A cell of a census. `vrrpsim sweep FILE -n {len(cell.rows)} -s {result.seed}` repeats all its"
            " runs."
            if len(cell.names) < 2
            else "# A cell of a census, with the seed of its worst run.",
            "version: 1",
            f"name: {flow_text(_quoted(cell.name))}",
            f"description: {_quoted(f'{cell.outcome}: {cell.name}.')}",
            f"duration: {exact_duration(cell.scenario.duration_ns)}",
            *([f"age: {exact_duration(cell.scenario.age_ns)}"] if cell.scenario.age_ns else []),
            f"seed: {cell.worst.seed}",
        ]
        events = [f"  - {flow_text(each)}" for each in cell_events_yaml(cell.scenario)]
        body = [*head, "", cluster.rstrip(), "", "events:" if events else "events: []", *events]
        yield cell.name, folder / f"{slug(cell.name)}.yaml", "\n".join(body) + "\n"


def slug(name: str) -> str:
    """Make a file name of a cell's: `cut lb1 -> lb2` is `cut-lb1-to-lb2`."""
    words = name.replace("->", "to").replace("|", "from")
    return re.sub(r"[^A-Za-z0-9_.]+", "-", words).strip("-").lower()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _cluster_text(
    text: str, beside: Path, folder: Path, overrides: Mapping[str, str], scenario: Scenario
) -> str:
    """Return what all cells have in common, with references that lead from `folder`."""
    document = with_overrides(read_document(text), overrides, scenario)
    document.ca.comment = None
    for key in REPLACED:
        document.pop(key, None)
        document.ca.items.pop(key, None)
    for node in document.get("nodes", {}).values():
        keepalived = node.get("keepalived") or {}
        if "file" in keepalived:
            keepalived["file"] = os.path.relpath(beside / str(keepalived["file"]), folder)
    return "\n".join(dumped(document))
