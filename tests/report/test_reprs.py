"""What a notebook shows: well-formed, escaped, without scripts, readable on light and dark; tables."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from reading import ROOT, SHIPPED, name_of, run_of

import vrrpsim
from vrrpsim.report import notebook
from vrrpsim.report.style import render
from vrrpsim.trace import Level

CRASH = ROOT / "scenarios" / "haproxy-crash.yaml"
VOID = {"br", "hr", "img"}
EVIL = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Tags that balance, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes += attributes

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(thing):
    found = Reader(thing._repr_html_())
    assert found.tags.isdisjoint({"script", "style", "link", "img", "iframe", "object"})
    for name, value in found.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "src")
        assert "url(" not in (value or "")
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_every_run_and_study_has_a_card_of_its_own_figures(path):
    run = run_of(path)
    found = read(run)
    assert {"svg", "table"} <= found.tags
    assert run.result.name in found.text
    assert run.command in found.text  # the command that repeats it
    assert len(run._repr_html_()) < 100_000
    assert run.scenario.name in read(vrrpsim.load(path)).text


def test_the_card_says_the_verdict_and_the_measured_figures():
    run = run_of(CRASH)
    text = read(run).text
    assert "passed: 8 of 8 expectations" in text
    [slow, *_] = run.result.to_dict()["failovers"]
    assert f"{slow['total_s']:.3f} s" in text
    drawn = run._repr_html_()
    assert drawn.count("<rect") > 8
    assert 'fill="currentColor"' in drawn  # black text would vanish on a dark page


def test_what_a_scenario_says_is_escaped(tmp_path):
    (tmp_path / "evil.yaml").write_text(
        f"""
        version: 1
        name: "{EVIL}"
        description: "{EVIL} & <b>"
        duration: 1s
        segments: {{lan: {{subnet: 10.0.0.0/24}}}}
        nodes: {{alone: {{interfaces: {{eth0: {{segment: lan, address: 10.0.0.1/24}}}}}}}}
        """
    )
    study = vrrpsim.load(tmp_path / "evil.yaml")
    for shown in (study, study.run(), study.sweep(2, jobs=1)):
        assert EVIL in read(shown).text


def test_a_sweep_and_a_grid_show_quantiles_curves_and_the_worst_run():
    path = ROOT / "scenarios" / "packet-loss.yaml"
    study = vrrpsim.load(path)
    done = study.sweep(12, jobs=1, thresholds=["moves.max < 1"])
    text = read(done).text
    assert "FAIL" in text
    assert "moves.max < 1" in text
    assert "vrrpsim run" in text
    grid = study.sweep(6, jobs=1, vary={"segments.mgmt.loss": ["0%", "5%"]})
    assert {">loss=0%<", ">loss=5%<"} <= set(re.findall(r">[^<>]*<", grid._repr_html_()))
    table = grid.to_pandas()
    assert len(table) == 12
    assert set(table["segments.mgmt.loss"]) == {"0%", "5%"}
    assert table["outage_s"].dtype == float


def test_a_hunt_shows_its_finding_and_has_tables():
    study = vrrpsim.load(ROOT / "scenarios" / "weight-too-small.yaml")
    hunt = study.hunt(max_examples=60, faults=["kill"], write=False)
    assert hunt.found
    text = read(hunt).text
    findings = hunt.to_pandas()
    assert list(findings.columns) == ["invariant", "text", "events", "also", "scenario"]
    assert findings["invariant"][0] in text
    assert hunt.outcome.findings[0].story[0] in text
    coverage = hunt.to_pandas("coverage")
    assert coverage.set_index("fault")["fired"]["kill"] > 0
    with pytest.raises(ValueError, match="findings, coverage"):
        hunt.to_pandas("stories")


def test_tables_of_a_run_are_those_of_json_and_trace():
    run = run_of(CRASH)
    document = run.result.to_dict()
    failovers = run.to_pandas()
    assert list(failovers["total_s"]) == [float(each["total_s"]) for each in document["failovers"]]
    assert failovers["total_s"].dtype == float
    assert run.to_pandas("clients")["longest_outage_s"][0] == float(
        document["clients"]["web"]["longest_outage_s"]
    )
    states = run.to_pandas("StateChange")
    assert list(states["new"]) == [r.new for r in run.trace.records if type(r).__name__ == "StateChange"]
    assert states["at_s"].is_monotonic_increasing
    for name in ("tenures", "dual_master", "vacancies", "events", "expectations", "outages", "FrameLost"):
        assert len(run.to_pandas(name).columns) > 2
    with pytest.raises(ValueError, match="no table 'lunch'; there are failovers"):
        run.to_pandas("lunch")


def test_a_table_without_rows_has_its_columns(tmp_path):
    (tmp_path / "quiet.yaml").write_text(
        """
        version: 1
        name: quiet
        duration: 1s
        segments: {lan: {subnet: 10.0.0.0/24}}
        nodes: {alone: {interfaces: {eth0: {segment: lan, address: 10.0.0.1/24}}}}
        """
    )
    table = vrrpsim.load(tmp_path / "quiet.yaml").run().to_pandas()
    assert len(table) == 0
    assert table["total_s"].max() != table["total_s"].max()  # NaN, no error


def test_without_pandas_the_message_names_the_extra():
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        f"import vrrpsim; vrrpsim.load({str(CRASH)!r}).run().to_pandas()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'vrrpsim[notebook]'" in done.stderr


def test_the_ladder_shows_the_main_failover():
    run = run_of(ROOT / "scenarios" / "one-way-partition.yaml")
    words = [text.get_text() for text in run.sequence().axes[0].texts]
    assert {"lb1", "lb2", "BACKUP → MASTER"} <= set(words)
    assert sum(word == "advert, priority 103, lost" for word in words) >= 3
    assert any(word.startswith("gratuitous ARP 192.168.50.108 × 5") for word in words)
    assert render(run.sequence(), "svg") == render(run.sequence(), "svg")
    whole = run.sequence(0, 70)
    assert any(text.get_text().endswith(" more") for text in whole.axes[0].texts)
    with pytest.raises(ValueError, match="no messages"):
        vrrpsim.load(CRASH).run(level=Level.STATES).sequence()


def test_a_figure_shows_itself_in_the_bytes_of_the_command():
    run = run_of(CRASH)
    assert run.plot()._repr_svg_().encode() == render(run.plot(), "svg")


def test_a_sweeps_figure_minds_no_style_of_the_user():
    import matplotlib

    done = vrrpsim.load(CRASH).sweep(5, jobs=1)
    plain = render(done.plot(), "svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": False}):
        assert render(done.plot(), "svg") == plain


class Screen:
    """Stands for a notebook's cell."""

    def __init__(self):
        self.shown = []

    def HTML(self, text):  # IPython's name
        return text

    def display(self, text, display_id):
        self.shown.append(text)
        return self

    def update(self, text):
        self.shown.append(text)


def test_progress_is_a_bar_in_a_notebook_and_silent_elsewhere(monkeypatch, capsys):
    study = vrrpsim.load(CRASH)
    study.sweep(3, jobs=1)
    study.hunt(max_examples=3, faults=["kill"], write=False)
    assert capsys.readouterr() == ("", "")
    screen = Screen()
    monkeypatch.setattr(notebook, "_kernel", lambda: object())
    monkeypatch.setattr(notebook, "import_module", lambda name: screen)
    monkeypatch.setattr(notebook, "EVERY_S", 0.0)
    study.sweep(3, jobs=1)
    assert "3 of 3 runs" in screen.shown[-2]
    assert screen.shown[-1] == ""  # gone when it is done
    screen.shown.clear()
    study.hunt(max_examples=3, faults=["kill"], write=False, progress=False)
    assert screen.shown == []
    told = []
    study.sweep(3, jobs=1, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)
    assert screen.shown == []
