"""The option `-o`, the same in every command that writes a table, and files that cannot be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from vrrpsim.atomic_write import CannotWrite, whole, write_whole

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
TABLES = (".csv", ".jsonl", ".parquet")


def table_option(says: str, *, folder: bool = False) -> Callable[[Decorated], Decorated]:
    """Take the file of a table; its suffix is the format. A name without one may be a `folder`."""

    def checked(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
        if path is None or path.suffix in TABLES or (folder and is_folder(path)):
            return path
        no_suffix = ", or be a folder (without a suffix)" if folder else ""
        raise click.BadParameter(f"'{path}' must end in {', '.join(TABLES)}{no_suffix}")

    return click.option(
        "-o",
        "--output",
        metavar="F.csv|.jsonl|.parquet" + "|DIR" * folder,
        type=click.Path(path_type=Path),
        callback=checked,
        help=says,
    )


def is_folder(path: Path) -> bool:
    """Whether a path to write means a folder."""
    return not path.suffix or path.is_dir()


def check_files(*paths: Path | None) -> None:
    """Say now, not after an hour, that a file cannot be written."""
    from vrrpsim.explore.table import need_writer

    for path in paths:
        if path is None:
            continue
        if not path.parent.is_dir() or path.is_dir() or not os.access(path.parent, os.W_OK):
            raise CannotWrite(f"{path}: cannot write there")
        need_writer(path)


def write_table(file: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write a table in the format that the file's name asks for."""
    from vrrpsim.explore.table import lines, write_parquet

    if file.suffix == ".parquet":
        with whole(file) as part:
            write_parquet(part, columns)
    else:
        write_whole(file, lines(file, columns))
