"""The catalogue and the code say the same: every rule is raised somewhere, and its examples show it."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.checking import check
from vrrpsim.checking.inputs import Stdin
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.rules import RULES, practice
from vrrpsim.rules.rule import SAYS, SILENT, Rule

SOURCES = [
    path
    for path in Path(vrrpsim.__file__).parent.rglob("*.py")
    if path.parent.name != "rules" and path.name != "fixes.py"
]
PRACTICE = {"VRRP021", "VRRP033", *(rule.code for rule in practice.RULES)}  # true of many an example
SHOWN = [rule for rule in RULES.values() if rule.said_by == "check"]


def codes(example, folder, dialect=None):
    """Every code that `check` raises for an example."""
    files = {"lb.conf": example} if isinstance(example, str) else dict(example)
    if "-" in files:
        return Counter(each.code for each in check("-", stdin=Stdin(files["-"]), dialect=dialect).findings)
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    given = [folder / name for name in files if Path(name).suffix in (".conf", ".yaml")]
    return Counter(each.code for each in check(*given, dialect=dialect).findings)


@pytest.mark.parametrize("rule", SHOWN, ids=lambda rule: rule.code)
def test_the_bad_example_has_the_finding_and_the_good_one_does_not(rule, tmp_path):
    dialect = rule.dialects[-1] if rule.dialects else None
    bad, good = codes(rule.bad, tmp_path / "bad", dialect), codes(rule.good, tmp_path / "good", dialect)
    beside = PRACTICE - {rule.code}
    assert {*bad - good} - {*rule.brings} - beside == {rule.code}
    assert rule.code not in good
    assert not {*good - bad} - beside


@pytest.mark.parametrize("rule", SHOWN, ids=lambda rule: rule.code)
def test_a_rule_holds_for_its_dialects_only(rule, tmp_path):
    found = {name for name in DIALECTS if rule.code in codes(rule.bad, tmp_path, name)}
    assert found == {*(rule.dialects or DIALECTS)}


def test_every_code_of_the_source_is_in_the_catalogue_and_the_other_way_round():
    raised = {code for path in SOURCES for code in re.findall(r'"(VRRP\d{3})"', path.read_text("utf-8"))}
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


# --- the real one


def keepalived(text, folder):
    """What `keepalived -t` says of a text."""
    folder.mkdir()
    (folder / "lb.conf").write_text(text, encoding="utf-8")
    command = ["keepalived", "-t", "-f", str(folder / "lb.conf")]
    done = subprocess.run(command, capture_output=True, cwd=folder, timeout=20)
    said = (done.stdout + done.stderr).decode("utf-8", "replace").replace(str(folder), "")
    return {re.sub(r"^.*? \d+:\d+:\d+ \d+: ", "", line) for line in said.splitlines()}


def is_2_2_7():
    if not shutil.which("keepalived"):
        return False
    done = subprocess.run(["keepalived", "--version"], capture_output=True, text=True, timeout=20)
    return "v2.2.7 " in done.stdout + done.stderr


@pytest.mark.skipif(not is_2_2_7(), reason="needs keepalived 2.2.7")
@pytest.mark.parametrize(
    "rule", [rule for rule in SHOWN if rule.source in (SAYS, SILENT)], ids=lambda rule: rule.code
)
def test_what_is_said_of_keepalived_is_what_it_says(rule, tmp_path):
    told = keepalived(rule.bad, tmp_path / "bad") - keepalived(rule.good, tmp_path / "good")
    assert bool(told) is (rule.source == SAYS), told
