"""Integer nanoseconds as exact decimal seconds, and JSON that keeps every digit of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vrrpsim.keepalived.arguments import short_s as short_s
from vrrpsim.protocol.configuration import SECOND_NS as SECOND_NS


def seconds(ns: int) -> Decimal:
    """Return nanoseconds as seconds with exactly nine decimals."""
    return Decimal(ns).scaleb(-9)


def optional_seconds(ns: int | None) -> Decimal | None:
    """Return seconds, or None for what was not measured."""
    return None if ns is None else seconds(ns)


def fixed_s(ns: int, digits: int = 3) -> str:
    """Write seconds with a fixed number of decimals, rounded half up, without a float between."""
    unit = 10 ** (9 - digits)
    whole, rest = divmod((ns + unit // 2) // unit, 10**digits)
    return f"{whole}.{rest:0{digits}d}"


def to_json(value: Any, indent: str = "") -> str:
    """Write JSON: one short element a line, `Decimal` as a number with all its digits."""
    deeper = indent + "  "
    match value:
        case Decimal():
            return f"{value:f}"
        case Mapping() if value and not _flat(value.values()):
            rows = [f"{deeper}{json.dumps(str(key))}: {to_json(item, deeper)}" for key, item in value.items()]
            return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
        case Mapping():
            return (
                "{"
                + ", ".join(f"{json.dumps(str(key))}: {to_json(item)}" for key, item in value.items())
                + "}"
            )
        case list() | tuple() if value and not _flat(value):
            return "[\n" + ",\n".join(deeper + to_json(item, deeper) for item in value) + f"\n{indent}]"
        case list() | tuple():
            return "[" + ", ".join(to_json(item) for item in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _flat(items: Any) -> bool:
    return not any(isinstance(item, (Mapping, list, tuple)) and item for item in items)
