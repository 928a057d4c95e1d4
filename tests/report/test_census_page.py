"""The page of a census says what its JSON document says, and loads nothing."""

from html_page import ROOT, read_page

import vrrpsim

CELLS = ["kill lb1/haproxy", "cut lb1 | lb2", "kill lb1/haproxy, then cut lb1 | lb2"]


def test_the_page_shows_the_document():
    study = vrrpsim.load(ROOT / "scenarios" / "haproxy-crash.yaml")
    done = study.census(3, 2, only=CELLS, fail_on="nobody", jobs=1)
    page, document = read_page(done.html()), done.to_dict()
    assert [cell["name"] for cell in page.data["cells"]] == [cell["cell"] for cell in document["cells"]]
    for shown, cell in zip(page.data["cells"], document["cells"], strict=True):
        assert page.data["outcomes"][shown["outcome"]] == cell["outcome"]
        assert shown["max"] == cell["outage"]["max_s"].scaleb(9)
        assert shown["two"] == cell["two_owners_s"].scaleb(9)
        assert shown["command"] == cell["worst"]["command"]
        assert [page.data["faults"][at] for at in shown["faults_of"]] == cell["faults"]
    assert not [tag for tag, attributes in page.tags if {"src", "href"} & attributes.keys()]
    assert "passed" in page.data["verdict_line"]
