"""A disaster that a scenario is there to show is not green: it is shown, in every form of the report."""

import json
import re

import pytest

import vrrpsim


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("auth-mismatch", r"shown: split brain of 5\d\.\d{3} s, as described; 3 of 3 expectations"),
        ("haproxy-hung", r"shown: outage of (19|20)\.\d{3} s, as described; 5 of 5 expectations"),
        ("partition", r"shown: split brain of .* s and outage of .* s, as described; .*"),
        ("haproxy-crash", r"passed: 8 of 8 expectations"),
    ],
)
def test_the_verdict_line_says_what_was_shown(name, line):
    run = vrrpsim.load(name).run()
    assert run.verdict == "pass"
    assert re.fullmatch(line, run.text().splitlines()[-1])
    harm = line.startswith("shown")
    assert ("  shown  " in run.text()) is harm
    assert ("shown" in run._repr_html_()) is harm
    page = json.loads(run.html().decode().partition('id="data">')[2].partition("</script>")[0])
    assert page["badge"] == ("shown" if harm else "pass")


def test_harm_that_does_not_come_is_a_failure():
    run = vrrpsim.load("haproxy-hung", {"expect.outage.min": "25s"}).run()
    assert run.verdict == "fail"
    assert run.text().splitlines()[-1] == "failed: 1 of 5 expectations"
