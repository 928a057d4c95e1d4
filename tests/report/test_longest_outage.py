"""The longest outage stands with its parts in the picture, on the page and on the card, as in the text."""

import pytest
from html_page import ROOT
from reading import ids, run_of

import vrrpsim
from vrrpsim.report.html.run import data
from vrrpsim.report.style import render
from vrrpsim.report.text import worst_outage


@pytest.mark.parametrize("name", ["haproxy-crash", "vm-pause-stale-arp", "sync-group"])
def test_every_report_tells_the_parts_and_their_causes(name):
    run = run_of(ROOT / "scenarios" / f"{name}.yaml")
    client, outage, parts = worst_outage(run.result)
    drawn = ids(render(run.plot(), "svg"), "cause")
    assert drawn == [[client, str(part.start_ns), str(part.end_ns)] for part in parts]
    told = data(run.scenario, run.trace, run.result, "")["outage"]
    assert (told["client"], told["start"], told["end"]) == (client, outage.start_ns, outage.end_ns)
    assert [each[:2] for each in told["parts"]] == [[part.cause, part.length_ns] for part in parts]
    card, text = run._repr_html_(), run.text()
    kinds = {each.kind.value for each in run.result.failovers}
    for word in (*(part.cause for part in parts), *(part.keyword for part in parts)):
        assert word.replace("'", "&#x27;") in card
        assert word in text
    assert all(f">{kind}<" in card for kind in kinds)
    assert {each["kind"] for each in data(run.scenario, run.trace, run.result, "")["failovers"]} == kinds


def test_a_run_without_an_outage_has_no_such_part():
    run = vrrpsim.load(ROOT / "scenarios" / "haproxy-crash.yaml", {"events": "[]"}).run()
    assert worst_outage(run.result) is None
    assert data(run.scenario, run.trace, run.result, "")["outage"] is None
    assert "cause/" not in render(run.plot(), "svg").decode()
