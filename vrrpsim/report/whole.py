"""Files that are there completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path


class CannotWrite(Exception):
    """A report cannot be written here."""

    exit_code = 4


def write_whole(path: str | Path, content: bytes) -> None:
    """Write beside the file and rename; a reader never sees half of it."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise CannotWrite(f"{path}: cannot write: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
