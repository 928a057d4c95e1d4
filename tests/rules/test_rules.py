"""The catalogue and the code say the same: every rule is raised somewhere, and its examples show it."""

import re
from collections import Counter
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.cli.check import examine
from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS
from vrrpsim.rules import RULES
from vrrpsim.rules.rule import Rule

SOURCES = [path for path in Path(vrrpsim.__file__).parent.rglob("*.py") if path.parent.name != "rules"]
SHOWN = [rule for rule in RULES.values() if rule.said_by == "check"]


def files_of(example):
    return {"lb.conf": example} if isinstance(example, str) else dict(example)


def codes(example, folder, dialect=DEFAULT_DIALECT):
    """Every code that `check` raises for an example."""
    folder.mkdir(exist_ok=True)
    for name, text in files_of(example).items():
        (folder / name).write_text(text, encoding="utf-8")
    if "-" in files_of(example):
        return Counter(finding.code for finding in compile_text(example["-"], dialect=dialect).findings)
    given = [folder / name for name in files_of(example) if Path(name).suffix in (".conf", ".yaml")]
    return Counter(finding.code for each in examine(given, dialect) for finding in each.findings)


@pytest.mark.parametrize("rule", SHOWN, ids=lambda rule: rule.code)
def test_the_bad_example_has_the_finding_and_the_good_one_does_not(rule, tmp_path):
    dialect = DIALECTS[rule.dialects[-1]] if rule.dialects else DEFAULT_DIALECT
    bad, good = codes(rule.bad, tmp_path / "bad", dialect), codes(rule.good, tmp_path / "good", dialect)
    assert {*bad - good} - {*rule.brings} == {rule.code}
    assert rule.code not in good
    assert not good - bad


@pytest.mark.parametrize("rule", [rule for rule in SHOWN if rule.dialects], ids=lambda rule: rule.code)
def test_a_rule_holds_for_its_dialects_only(rule, tmp_path):
    found = {name for name in DIALECTS if rule.code in codes(rule.bad, tmp_path, DIALECTS[name])}
    assert found == {*rule.dialects}


def test_every_code_of_the_source_is_in_the_catalogue_and_the_other_way_round():
    raised = {code for path in SOURCES for code in re.findall(r'"(VRRP\d+)"', path.read_text("utf-8"))}
    assert raised == {*RULES}


def test_codes_and_names_are_unique_and_shaped_alike():
    assert all(re.fullmatch(r"VRRP[0-9]{3}", code) for code in RULES)
    names = [rule.name for rule in RULES.values()]
    assert len({*names}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name) for name in names)
    assert [*RULES] == sorted(RULES), "in order of their codes"


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_a_rule_says_why_in_one_sentence(rule: Rule):
    assert rule.why.endswith(".")
    assert len(rule.why) <= 110
    assert {*rule.dialects} <= {*DIALECTS}
    assert not SHOWN.count(rule) or (rule.bad and rule.good and rule.source)
