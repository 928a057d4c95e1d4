"""Files that are there completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class CannotWrite(Exception):
    """A file cannot be written here."""

    exit_code = 4


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a file to write beside `path`; it takes its place when it is complete."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")  # nobody can have put a link there
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield part
        part.replace(path)
    except OSError as error:
        raise CannotWrite(f"{path}: cannot write: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes | Iterable[str]) -> None:
    """Write bytes, or lines as they come; a reader never sees half of them."""
    with whole(path) as part:
        if isinstance(content, bytes):
            part.write_bytes(content)
            return
        with part.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{line}\n" for line in content)


def written(content: bytes, path: str | Path | None) -> bytes:
    """Return the content; a path makes it a file, too."""
    if path is not None:
        write_whole(path, content)
    return content
