"""The documents in docs/ say what the program does: generated parts are current, examples run, links work."""

import json
import re
import sys
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.scenario.file.inline_config import BLOCKS
from vrrpsim.scenario.file.json_schema import scenario_schema
from vrrpsim.trace import RECORD_TYPES, Level

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

import generate  # noqa: E402
import trace_reference  # noqa: E402

AGAIN = "run: python docs/generate.py"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
GENERATED = ("cli.md", "dialects.md", "faq.md", "model.md", "rules.md", "scenario.md", "trace.md")


@pytest.fixture(scope="module")
def pages():
    return generate.generated()


def text_of(name):
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_generated_is_current(name, pages):
    assert pages[name] == text_of(name), AGAIN


def test_nothing_generated_is_forgotten(pages):
    assert {*pages} == {*GENERATED}


def test_the_picture_shows_the_run_of_today():
    svg = generate.PICTURE.read_text(encoding="utf-8")
    assert generate.mark(generate.shown_run()) in svg, AGAIN
    assert svg.count("<svg ") == 1


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    targets = re.findall(r"\]\(([^)]+)\)", text_of(name))
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text_of(name).splitlines()
        if line.startswith("#")
    }
    for target in targets:
        file, _, anchor = target.partition("#")
        if file:
            assert (DOCS / file).exists(), target
        else:
            assert anchor in headings, target


def test_the_design_sends_nobody_to_a_file_that_is_not_there():
    named = set(re.findall(r"`([a-z_]+/(?:[a-z_/]*\.(?:py|md|yaml))?)`", text_of("design.md")))
    assert len(named) > 20
    places = (DOCS.parent, DOCS.parent / "vrrpsim")
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []


# --- scenario.md


def test_the_example_of_the_reference_runs(tmp_path):
    [example] = re.findall(r"```yaml\n(.*?)```", text_of("scenario.md"), re.DOTALL)
    (tmp_path / "keepalived").symlink_to(ROOT / "scenarios/keepalived")
    (tmp_path / "example.yaml").write_text(example)
    assert vrrpsim.load(tmp_path / "example.yaml").run().verdict == "pass"


def test_every_key_of_a_scenario_is_described():
    schema = scenario_schema()
    keepalived = set(BLOCKS.values())  # its manual describes those
    for name, definition in {"Scenario": schema, **schema["$defs"]}.items():
        if not any(name.startswith(keyword) for keyword in keepalived) and name != "KeepalivedInline":
            for key, value in definition.get("properties", {}).items():
                assert value.get("description"), f"{name}.{key}"


# --- trace.md


@pytest.mark.parametrize("level", list(Level))
def test_records_appear_at_the_level_that_is_told(level):
    everything = {
        type(record).__name__
        for name in ("packet-loss", "haproxy-crash", "crash-loop")
        for record in _records(name)
    }
    trace = vrrpsim.load(ROOT / "scenarios/packet-loss.yaml").run(level=level).trace
    found = {type(record).__name__ for record in trace.records} - {"FastForwarded"}
    assert found <= {name for name in everything if trace_reference.level_of(name) <= level}
    assert {"AdvertSent", "FrameLost"} <= found or level == Level.STATES


def _records(name):
    records = vrrpsim.load(ROOT / f"scenarios/{name}.yaml").run(level=Level.ALL).trace.records
    return [record for record in records if type(record).__name__ != "FastForwarded"]


def test_every_kind_of_record_has_a_level():
    told = {name for names in trace_reference.LEVELS.values() for name in names}
    assert told | {"FastForwarded"} == {kind.__name__ for kind in RECORD_TYPES}


def test_no_meaning_is_told_of_a_field_that_does_not_exist():
    fields = {f"{kind.__name__}.{field}" for kind in RECORD_TYPES for field in kind._fields}
    assert {*trace_reference.OWN_FIELDS} <= fields


def test_every_key_of_the_result_is_told_and_no_other():
    assert {*trace_reference.result_keys(trace_reference.sample())} == {*trace_reference.RESULT}


# --- faq.md


def test_every_answer_is_measured():
    text = text_of("faq.md")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert "<!-- measured " in section, section.splitlines()[0]
    asked = {words.split()[0] for words in re.findall(r"<!-- measured ([^>]*) -->", text)}
    shipped = {path.stem for path in (ROOT / "scenarios").glob("*.yaml")}
    assert asked <= shipped
    assert len(asked) > 35


def test_what_is_recorded_and_what_runs_are_told_alike():
    """A line from tests/recorded must be the line that a run gives."""
    recorded = generate._summary(generate._recorded("crash-loop"))
    assert [*recorded] == [*generate._summary(generate._run("crash-loop", {}))]


def test_a_changed_result_changes_the_page():
    """The test above can fail: what stands between the marks is replaced."""
    page = "<!-- measured partition -->\nold\n<!-- /measured -->\n"
    assert "old" not in generate.filled(page)
    assert json.loads((ROOT / "tests/recorded/partition.json").read_text())["digest"]
