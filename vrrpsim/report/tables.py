"""A run, a sweep or a hunt as pandas tables: one row a thing, times as floats in seconds.

pandas is an extra. A table without rows has its columns all the same, so that the next line of a notebook
works in a run in which nothing happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from typing import Any

from vrrpsim.trace import RECORD_TYPES, Trace

PARTS = ("detect_s", "elect_s", "claim_s", "relearn_s", "serve_s")
STRETCH = ("address", "start_s", "end_s", "nodes", "ended")
COLUMNS = {  # of the tables that the JSON document has, in its words
    "failovers": ("address", "from", "to", "kind", "cause", "event", "fault_s", "owner_s", *PARTS, "total_s"),
    "tenures": STRETCH,
    "dual_master": STRETCH,
    "vacancies": STRETCH,
    "events": ("at_s", "verb", "target", "until_s", "name"),
    "expectations": ("measure", "statistic", "at_s", "bound", "measured", "ok", "note"),
    "clients": ("client", "longest_outage_s", "answered", "lost"),
    "outages": ("client", "start_s", "end_s", "length_s", "ended"),
    "outage_parts": ("client", "outage", "start_s", "length_s", "cause", "event", "keyword"),
}
RECORDS = {each.__name__: each for each in RECORD_TYPES}


class MissingPandas(ImportError):
    """pandas is not installed."""

    exit_code = 4

    def __init__(self) -> None:
        super().__init__("to_pandas() needs the Python package 'pandas': pip install 'vrrpsim[notebook]'")


def run_table(name: str, document: Mapping[str, Any], trace: Trace) -> Any:
    """Return one table of a run; `ValueError` names those that there are.

    A name is that of a list in the JSON document, `clients`, `outages` and `outage_parts` (a row each), or
    that of a record of the trace as `--trace` writes it, such as `StateChange` or `AdvertSent`.
    """
    if name in RECORDS:
        fields = tuple(_in_seconds(field) for field in RECORDS[name]._fields)
        records = (record for record in trace.records if type(record).__name__ == name)
        return frame(fields, [dict(zip(fields, _plain(record), strict=True)) for record in records])
    if name not in COLUMNS:
        known = ", ".join((*COLUMNS, *RECORDS))
        raise ValueError(f"no table {name!r}; there are {known}")
    return frame(COLUMNS[name], list(_rows(name, document)))


def hunt_table(name: str, document: Mapping[str, Any]) -> Any:
    """Return `findings`, a row each with its events as text, or `coverage`, a row for each kind of fault."""
    if name == "coverage":
        roles = tuple(dict.fromkeys(role for met in document["covered"].values() for role in met))
        rows = [
            {
                "fault": kind,
                "fired": fired,
                **{role: document["covered"][kind].get(role, 0) for role in roles},
            }
            for kind, fired in document["faults"].items()
        ]
        return frame(("fault", "fired", *roles), rows)
    if name != "findings":
        raise ValueError(f"no table {name!r}; there are findings, coverage")
    found = [document, *document["others"]] if document["found"] else []
    columns = ("invariant", "text", "events", "also", "scenario")
    return frame(columns, [{**each, "events": len(each["events"])} for each in found])


def frame(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return a DataFrame with these columns; those ending in `_s` are floats, NaN: not measured."""
    try:
        pandas = import_module("pandas")
    except ModuleNotFoundError as error:
        raise MissingPandas from error
    made = pandas.DataFrame([[_value(row[column]) for column in columns] for row in rows], columns=columns)
    return made.astype({column: float for column in columns if column.endswith("_s")})


def _rows(name: str, document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    match name:
        case "clients":
            yield from ({"client": client, **view} for client, view in document["clients"].items())
        case "outages":
            for client, view in document["clients"].items():
                yield from ({"client": client, **outage} for outage in view["outages"])
        case "outage_parts":
            for client, view in document["clients"].items():
                for number, outage in enumerate(view["outages"]):
                    yield from ({"client": client, "outage": number, **part} for part in outage["parts"])
        case _:
            yield from document[name]


def _in_seconds(field: str) -> str:
    return f"{field.removesuffix('_ns')}_s" if field.endswith("_ns") else field


def _plain(record: Any) -> Iterator[Any]:
    for field, value in zip(record._fields, record, strict=True):
        yield value / 1e9 if field.endswith("_ns") and value is not None else value


def _value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return ", ".join(value) if isinstance(value, (list, tuple)) else value
