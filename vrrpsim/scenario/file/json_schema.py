"""The JSON Schema of a scenario, for editors (`# yaml-language-server: $schema=`) and other tools."""

from __future__ import annotations

from typing import Any

from .format import SCENARIO
from .scalars import DISTRIBUTION_SCHEMA, DURATION_SCHEMA

# Shapes that occur in a hundred places are written once.
SHARED = {"Distribution": DISTRIBUTION_SCHEMA["anyOf"], "Duration": DURATION_SCHEMA["anyOf"]}


def scenario_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12; it accepts and rejects the shapes that `load_scenario` does."""
    definitions: dict[str, Any] = {}
    schema = {"title": "vrrpsim scenario, version 1", **SCENARIO.definition(definitions)}
    shared = {name: {"anyOf": [_share(shape) for shape in shapes]} for name, shapes in SHARED.items()}
    definitions = dict(sorted(_share(definitions).items())) | shared
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_share(schema),
        "$defs": definitions,
    }


def _share(schema: Any) -> Any:
    """Refer to the shapes that recur."""
    if isinstance(schema, list):
        return [_share(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    shared = next((name for name, shapes in SHARED.items() if schema.get("anyOf") == shapes), None)
    if shared is not None:
        kept = {key: value for key, value in schema.items() if key in ("default", "description")}
        return {"$ref": f"#/$defs/{shared}", **kept}
    return {key: _share(value) for key, value in schema.items()}
