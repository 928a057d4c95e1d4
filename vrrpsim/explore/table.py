"""All runs of a sweep as a file: CSV, JSON lines or Parquet, by the name's ending."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from vrrpsim.measure.seconds import to_json


class MissingExtra(Exception):
    """An optional package is not installed."""

    exit_code = 4

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs the Python package '{package}': pip install 'vrrpsim[{extra}]'")


def need_writer(path: Path) -> None:
    """Raise `MissingExtra` if this file could not be written, before anything runs for it."""
    if path.suffix == ".parquet":
        arrow_and_parquet()


def lines(path: Path, columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Return the lines of a CSV or JSON-lines file; times keep all nine decimals."""
    rows = zip(*columns.values(), strict=True)
    if path.suffix == ".csv":
        yield _csv(list(columns))
        yield from (_csv(["" if value is None else _plain(value) for value in row]) for row in rows)
    else:
        yield from (to_json(dict(zip(columns, row, strict=True))) for row in rows)


def write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write Parquet, times as doubles in seconds."""
    arrow, parquet = arrow_and_parquet()
    table = {
        name: [float(value) if isinstance(value, Decimal) else value for value in column]
        for name, column in columns.items()
    }
    parquet.write_table(arrow.table(table), path)


def arrow_and_parquet() -> tuple[Any, Any]:
    """Return the modules that read and write Parquet; raise `MissingExtra` without them."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise MissingExtra("writing Parquet", "pyarrow", "notebook") from error


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:f}" if isinstance(value, Decimal) else value


def _csv(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
