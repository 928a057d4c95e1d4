import ast
from pathlib import Path

import pytest
from measure.pair import S, scenario, trace

import vrrpsim
from vrrpsim.measure import measure
from vrrpsim.report.text import ASCII, StoryLine, Terminal, abridged, report, verdict_line
from vrrpsim.scenario.model import Bound, Expect
from vrrpsim.trace import StateChange, Trace


def written(**options):
    shown = scenario(**options.pop("scenario", {}))
    return report(shown, trace(), measure(shown, trace()), **options)


def test_the_report_reads_from_the_header_to_the_verdict():
    lines = written().splitlines()
    assert lines[0] == "haproxy-crash: 2 nodes, 45 s simulated, seed 1"
    assert lines[-1] == "passed: 8 of 8 expectations"
    assert lines[-3].startswith("digest ")


def test_the_timeline_shows_states_owners_and_faults():
    lines = written(look=Terminal(width=64)).splitlines()
    lb1, lb2, vip, caret = lines[3:7]
    assert lb1 == "  lb1             ====#############=================###########"
    assert set(lb2.split()[1]) == {"=", "#"}
    assert vip.split()[1].strip(".").startswith("1")
    assert caret.strip() == "^kill lb1/haproxy"


def test_the_story_joins_a_tracker_and_the_priority_it_moves():
    assert "13.400  lb1      chk_haproxy fails: effective priority 103 -> 101" in written()


def test_a_failed_line_has_the_measured_value_and_the_command_that_repeats_it():
    expect = Expect(bounds=(Bound("failover", None, "max", 4 * S),))
    lines = written(scenario={"expect": expect}, command="vrrpsim run x.yaml --seed 1").splitlines()
    failed = next(index for index, line in enumerate(lines) if "FAIL " in line)
    assert lines[failed] == "  FAIL     failover ≤ 4 s  4.562 s  (12.000 .. 16.562)"
    assert lines[failed + 1].strip() == "vrrpsim run x.yaml --seed 1"
    assert lines[-1] == "failed: 1 of 1 expectation"


@pytest.mark.parametrize(
    "name", ["text", "census", "census_diff", "advice", "sweep", "hunt", "ascii_timeline"]
)
def test_what_reports_say_has_an_ascii_form(name):
    path = Path(vrrpsim.__file__).parent / "report" / f"{name}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        ast.get_docstring(each, clean=False) for each in ast.walk(tree) if isinstance(each, documented)
    }
    said = {each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)} - docstrings
    assert not {text for text in map(str, said) if not text.translate(ASCII).isascii()}


def test_a_plain_terminal_gets_ascii():
    assert written(look=Terminal(unicode=False)).isascii()
    assert not written().isascii()


def test_colour_is_only_added():
    coloured = written(look=Terminal(colour=True))
    assert "\x1b[32mok\x1b[0m" in coloured
    assert "\x1b" not in written()


def test_the_same_run_gives_the_same_bytes():
    assert written() == written()


def test_many_lines_of_one_shape_collapse():
    lines = [StoryLine(number * S, "lb1", f"effective priority {number} -> 7") for number in range(20)]
    shown = list(abridged(lines))
    assert len(shown) == 5
    assert "16 more like this until 19.000" in shown[-1]


def test_a_run_in_which_nothing_happened_can_be_shown():
    empty = Trace()
    empty.end_ns = 45 * S
    assert "passed" not in report(scenario(), empty, measure(scenario(), empty))


def test_a_run_without_expectations_says_so():
    result = measure(scenario(expect=None), trace())
    assert verdict_line(result) == "no verdict: nothing was expected"
    assert result.verdict == "none"


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_any_width_will_do(width):
    busy = trace()
    busy.records += [StateChange(44 * S + n, "lb1", "VI_1", "MASTER", "FAULT", "x") for n in range(100)]
    assert report(scenario(), busy, measure(scenario(), busy), look=Terminal(width=width))


def test_a_bound_on_a_percentile_is_not_silently_kept():
    expect = Expect(bounds=(Bound("outage", "web", "p95", 4 * S),))
    assert "not asked  p95 of outage.web ≤ 4 s: it takes a sweep" in written(scenario={"expect": expect})
