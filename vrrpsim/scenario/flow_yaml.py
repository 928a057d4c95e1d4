"""Plain values as YAML on one line, as scenario files have events."""

from __future__ import annotations

from typing import Any


def flow_text(value: Any) -> str:
    """Write plain values as YAML on one line, as scenario files do."""
    match value:
        case dict():
            return f"{{{', '.join(f'{key}: {flow_text(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(flow_text, value))}]"
        case bool():
            return str(value).lower()
    return str(value)
