"""The exported JSON Schema and the model accept and reject the same files."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from test_broken_inputs import GOOD, SEMANTIC, STRUCTURAL, broken
from test_scenario import EVENTS, INLINE, recorded, write

from vrrpsim.findings import InputError
from vrrpsim.scenario.file.json_schema import scenario_schema
from vrrpsim.scenario.file.reader import load_scenario

ROOT = Path(__file__).parents[2]
SCHEMA = scenario_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def tree(text: str):
    return plain(YAML(typ="safe", pure=True).load(text))


def plain(value):
    """JSON's keys are strings."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA, allow_nan=False)


def test_the_schema_is_the_same_each_time():
    assert json.dumps(scenario_schema()) == json.dumps(SCHEMA)


def test_no_tuple_schemas_which_editors_do_not_know():
    assert "prefixItems" not in json.dumps(SCHEMA)


def our_scenarios() -> list[Path]:
    return [*sorted((ROOT / "scenarios").rglob("*.yaml")), *recorded()]


@pytest.mark.slow
@pytest.mark.parametrize("path", our_scenarios(), ids=lambda path: path.parent.name + "/" + path.name)
def test_scenarios_pass_both(path):
    assert not list(VALIDATOR.iter_errors(tree(path.read_text())))
    load_scenario(path)


@pytest.mark.parametrize("verb", [row[0] for row in EVENTS])
def test_every_verb_passes_both(verb, tmp_path):
    path = write(tmp_path, keepalived=INLINE, events=f"  - {{at: 5s, {verb}}}\n")
    assert not list(VALIDATOR.iter_errors(tree(path.read_text())))
    load_scenario(path)


@pytest.mark.parametrize("row", STRUCTURAL, ids=lambda row: row.fragment[:40])
def test_wrong_shapes_are_rejected_by_both(row, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(broken(row))
    assert list(VALIDATOR.iter_errors(tree(broken(row))))
    with pytest.raises(InputError):
        load_scenario(path)


@pytest.mark.parametrize("row", SEMANTIC, ids=lambda row: row.fragment[:40])
def test_wrong_references_are_only_the_models(row):
    assert not list(VALIDATOR.iter_errors(tree(broken(row))))


DURATIONS = [
    "1s",
    "250us",
    "1m30s",
    "0.5",
    ".5s",
    "5.",
    3,
    0.25,
    "1x",
    "",
    "s",
    "-1s",
    -1,
    "1 fortnight",
    True,
    None,
]  # fmt: skip
FRACTIONS = ["10%", "0%", 0.1, 1, 0, "0.5", "1", 10, -0.1, "ten", "10 %", True, None]
DISTRIBUTIONS = [
    {"uniform": [1, "2s"]}, {"normal": [1, 2]}, {"lognormal": [1, 2]}, {"exponential": 1},
    {"exponential": [1]},
    {"choice": [1]}, {"choice": []}, {"uniform": [1]}, {"uniform": 1}, {}, {"unifrom": [1, 2]},
    {"uniform": [1, 2], "normal": [1, 2]}, [1, 2],
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "key", "value"),
    [
        *[("delay: 100us", "delay", value) for value in DURATIONS + DISTRIBUTIONS],
        *[("delay: 100us", "loss", value) for value in FRACTIONS],
    ],
    ids=str,
)
def test_values_are_judged_alike(old, key, value, tmp_path):
    text = GOOD.replace(old, f"{key}: {json.dumps(value)}", 1)
    path = tmp_path / "value.yaml"
    path.write_text(text)
    schema_accepts = not list(VALIDATOR.iter_errors(tree(text)))
    try:
        load_scenario(path)
        model_accepts = True
    except InputError:
        model_accepts = False
    assert schema_accepts == model_accepts
