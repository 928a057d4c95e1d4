"""How a node is named on a command line: `FILE`, or `FILE@ID` as `keepalived -i ID` reads it."""

from __future__ import annotations

from pathlib import Path


def source_of(source: str | Path) -> tuple[Path, str | None]:
    """Return the file and the ID of `FILE` or `FILE@ID`."""
    text = str(source)
    file, at, config_id = text.rpartition("@")
    if at and file and config_id and not Path(text).exists():
        return Path(file), config_id
    return Path(text), None
