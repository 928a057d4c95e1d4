"""Figures on the caller's axes, in the caller's style and size."""

import itertools

import matplotlib.pyplot as plt
import pytest
from test_labels import drawn

import vrrpsim
from vrrpsim.report.style import time_axis


@pytest.fixture(scope="module")
def run():
    return vrrpsim.load("haproxy-crash").run()


@pytest.fixture
def paper():
    with plt.style.context("vrrpsim.report.paper"):
        yield
    plt.close("all")


def test_a_run_on_axes_of_a_column(run, paper, tmp_path):
    figure, axes = plt.subplots(figsize=(3.5, 2.6))
    assert run.plot(ax=axes) is None
    texts = drawn(figure)
    assert {text.get_fontsize() for text in axes.get_xticklabels() + axes.get_yticklabels()} == {8.0}
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["lb1 VI_1", "lb2 VI_1", "192.168.50.108 owned by", "client web"]
    assert "kill lb1/haproxy" in {text for text, _ in texts}
    assert [text for text, box in texts if not figure.bbox.padded(1).containsx(box.x0)] == []
    overlap = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 3
    ]
    assert overlap == []
    figure.savefig(tmp_path / "a.pdf")
    assert b"/Type3" not in (tmp_path / "a.pdf").read_bytes()
    assert [round(each, 2) for each in figure.get_size_inches()] == [3.5, 2.6]


def test_a_sweep_on_axes_marks_its_quantiles(paper):
    sweep = vrrpsim.load("haproxy-crash").sweep(
        40, vary={"*.chk_haproxy.fall": [1, 2]}, jobs=1, progress=False
    )
    _, axes = plt.subplots()
    sweep.plot("failover", ax=axes)
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    frame = sweep.to_pandas()
    column = next(name for name in frame if "fall" in name)
    for line, (_, rows) in zip(dots, frame.groupby(column), strict=True):
        values = sorted(rows.failover_s)
        assert [*line.get_xdata()] == pytest.approx([values[19], values[37], values[39]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["fall=1", "fall=2"]


def test_a_figure_has_the_size_that_is_asked_for(run):
    assert [*run.plot(figsize=(7.16, 8)).get_size_inches()] == [7.16, 8]
    assert run.plot().get_size_inches()[0] == 9.5


@pytest.mark.parametrize(
    ("span_s", "label", "last"),
    [
        (0.02, "milliseconds", "20"),
        (45, "seconds", ""),
        (599, "seconds", ""),
        (1800, "minutes", "30"),
        (6 * 3600, "hours", "6"),
        (30 * 86400, "days", "30"),
    ],
)
def test_a_time_axis_is_in_the_unit_of_its_span(span_s, label, last):
    figure, axes = plt.subplots()
    axes.set_xlim(0, span_s)
    time_axis(axes, "since")
    figure.draw_without_rendering()
    assert axes.get_xlabel() == f"{label} since"
    shown = [
        tick.label1.get_text() for tick in axes.xaxis.get_major_ticks() if tick.get_loc() <= span_s * 1.001
    ]
    assert not last or shown[-1] == last
    assert axes.get_xlim() == (0, span_s)
    plt.close(figure)


def test_frames_tell_kinds_and_the_parts_of_outages(run):
    assert [*run.to_pandas().kind] == ["takeover", "return"]
    parts = run.to_pandas("outage_parts")
    assert parts.length_s.sum() == pytest.approx(run.to_pandas("outages").length_s.sum())
    assert "chk_haproxy interval 2 × fall 1" in set(parts.keyword)


def test_a_run_is_judged_by_the_invariants_of_a_hunt_and_by_own_ones(run):
    from vrrpsim.explore.invariants import Violation

    def never_lb2(history):
        """lb2 owns nothing."""
        for owned in history.owned:
            for tenure in owned.tenures:
                if tenure.node == "lb2":
                    return Violation(
                        invariant="x", text="lb2", start_ns=tenure.start_ns, end_ns=tenure.end_ns
                    )
        return None

    assert run.violations("no-split-brain") == {}
    assert [*run.violations("no-split-brain", never_lb2)] == ["never_lb2"]
    with pytest.raises(LookupError):
        run.violations("no.such:thing")
