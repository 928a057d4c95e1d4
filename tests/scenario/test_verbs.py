"""One row a verb: whatever speaks of verbs reads the table, and each has its deeds."""

import ast
import re
from pathlib import Path

import pytest

from vrrpsim.explore.fault_schedules import KINDS
from vrrpsim.lab.faults import LabFaults
from vrrpsim.lab.refusals import REFUSED_VERBS
from vrrpsim.scenario.file.json_schema import scenario_schema
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.verbs import ROWS, VERBS
from vrrpsim.world import World

ROOT = Path(__file__).parents[2]


def test_each_verb_has_a_deed_in_the_world_and_no_deed_is_without_a_verb():
    world = World(load_scenario(ROOT / "scenarios" / "haproxy-crash.yaml"), 1)
    assert world.faults.deeds.keys() == VERBS.keys()


def test_each_verb_has_a_deed_in_the_lab_or_is_refused_by_name():
    assert LabFaults.DEEDS.keys() | REFUSED_VERBS.keys() == VERBS.keys()
    assert not LabFaults.DEEDS.keys() & REFUSED_VERBS.keys()
    for deed in LabFaults.DEEDS.values():
        assert hasattr(LabFaults, deed)


def test_the_schema_offers_each_verb():
    assert {f"{verb.noun}" for verb in ROWS} <= scenario_schema()["$defs"].keys()


def test_what_undoes_a_verb_is_a_verb_or_a_word_of_its_own():
    assert {verb.undo for verb in ROWS} - VERBS.keys() == {"", "resume"}
    assert all(not verb.undo or verb.lasts for verb in ROWS)


def test_places_in_a_hunt_are_unique():
    places = [verb.hunted for verb in ROWS if verb.hunted]
    assert len(set(places)) == len(places)
    assert len(set(KINDS)) == len(KINDS)


@pytest.mark.slow
def test_no_other_module_lists_verbs():
    """Five verbs in one tuple, list or set are a second table; what one command picks is named here."""
    picked = {"explore/exhaustive.py", "explore/census.py", "explore/census_result.py", "explore/bounds.py"}
    for path in sorted((ROOT / "vrrpsim").rglob("*.py")):
        name = str(path.relative_to(ROOT / "vrrpsim"))
        if name in picked or name == "scenario/verbs.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                words = [each.value for each in node.elts if isinstance(each, ast.Constant)]
                assert len([word for word in words if word in VERBS]) < 5, (name, node.lineno, words)


def test_the_documents_tell_each_verb():
    text = (ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
    assert [verb.name for verb in ROWS if not re.search(rf"`{verb.name}[`:]", text)] == []
