"""The JSON Schema of a scenario, for editors (`# yaml-language-server: $schema=`) and other tools."""

from __future__ import annotations

from typing import Any

from vrrpsim.config.document import DISTRIBUTION_SCHEMA, DURATION_SCHEMA, ScenarioDocument

# Shapes that occur in a hundred places are written once.
SHARED = {"Distribution": DISTRIBUTION_SCHEMA["anyOf"], "Duration": DURATION_SCHEMA["anyOf"]}


def scenario_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12; it accepts and rejects the shapes that `load_scenario` does."""
    schema = _tidy(ScenarioDocument.model_json_schema(by_alias=True))
    definitions = schema["$defs"]
    definitions["Duration"] = {"anyOf": DURATION_SCHEMA["anyOf"]}
    definitions["Distribution"] = {"anyOf": [_tidy(shape) for shape in DISTRIBUTION_SCHEMA["anyOf"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _tidy(schema: Any) -> Any:
    """Close mappings whose names have a pattern, share what recurs, drop titles that repeat the key."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    shared = next((name for name, shapes in SHARED.items() if schema.get("anyOf") == shapes), None)
    if shared is not None:
        kept = {key: value for key, value in schema.items() if key in ("default", "description")}
        return {"$ref": f"#/$defs/{shared}", **kept}
    tidy = {
        key: _tidy(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)
    }
    if isinstance(schema.get("patternProperties"), dict):  # pydantic leaves these open
        tidy.setdefault("additionalProperties", False)
    return tidy
