"""The JSON Schema of a scenario, for editors (`# yaml-language-server: $schema=`) and other tools."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from vrrpsim.config import document
from vrrpsim.config.document import DISTRIBUTION_SCHEMA, DURATION_SCHEMA, Document, ScenarioDocument

# Shapes that occur in a hundred places are written once.
SHARED = {"Distribution": DISTRIBUTION_SCHEMA["anyOf"], "Duration": DURATION_SCHEMA["anyOf"]}


def scenario_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12; it accepts and rejects the shapes that `load_scenario` does."""
    schema = _tidy(ScenarioDocument.model_json_schema(by_alias=True))
    definitions = schema["$defs"]
    for name, definition in [("ScenarioDocument", schema), *definitions.items()]:
        _describe(definition, getattr(document, name, None))
    definitions["Duration"] = {"anyOf": DURATION_SCHEMA["anyOf"]}
    definitions["Distribution"] = {"anyOf": [_tidy(shape) for shape in DISTRIBUTION_SCHEMA["anyOf"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _describe(definition: dict[str, Any], model: type[Document] | None) -> None:
    """Give each property the docstring below its attribute, for hovering in an editor."""
    if model is None:
        return
    texts = _attribute_docstrings()
    for attribute, field in model.model_fields.items():
        shown = definition.get("properties", {}).get(field.alias or attribute)
        text = next(
            (texts[key] for base in model.__mro__ if (key := (base.__name__, attribute)) in texts), None
        )
        if isinstance(shown, dict) and text is not None:
            shown.setdefault("description", text)


def _attribute_docstrings() -> dict[tuple[str, str], str]:
    """The strings that follow attributes in `document`, by (class, attribute).

    pydantic can do this too, but for every class at import: half a second of each `vrrpsim run`.
    """
    texts = {}
    for node in ast.parse(Path(document.__file__).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            for attribute, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(attribute, ast.AnnAssign)
                    and isinstance(attribute.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                    and isinstance(text.value.value, str)
                ):
                    texts[node.name, attribute.target.id] = " ".join(text.value.value.split())
    return texts


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
