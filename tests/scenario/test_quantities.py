import subprocess
import sys

import pytest

from vrrpsim.scenario.quantities import (
    ValueSyntaxError,
    exact_duration,
    format_duration,
    parse_distribution,
    parse_duration_ns,
    parse_fraction,
)
from vrrpsim.scenario.random_streams import Numbered

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("250us", 250_000),
        ("10ms", 10_000_000),
        ("2s", 2 * S),
        ("1m30s", 90 * S),
        ("1h", 3600 * S),
        ("7ns", 7),
        ("0.1", 100_000_000),
        (0.1, 100_000_000),
        (3, 3 * S),
        ("3", 3 * S),
        ("5.", 5 * S),
        (".5s", S // 2),
        ("1.5ms", 1_500_000),
        (" 1m 30s ", 90 * S),
        (0, 0),
        (1e-9, 1),
    ],
)
def test_a_duration_is_read_exactly(text, ns):
    assert parse_duration_ns(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "1 fortnight", "", "s", "1x", "-1s", -1, "1s2", "2 1s", "1e3s", "0x10", "1,5s", "inf", "nan", "٣s",
        float("nan"), float("inf"), float("-inf"), True, None, [1], {"a": 1}, 1e300,
        10**400, "9" * 200, "1s" * 60,
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueSyntaxError):
        parse_duration_ns(text)


def test_sums_of_tenths_have_no_rounding():
    assert parse_duration_ns("0.1") * 3 == parse_duration_ns("0.3")


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (3_602_000_000, "3.602 s"),
        (250_000_000, "250 ms"),
        (90 * S, "1 min 30 s"),
        (0, "0 s"),
        (7, "7 ns"),
        (1_500, "1.5 us"),
        (3600 * S, "1 h"),
        (3_661 * S, "1 h 1 min 1 s"),
        (60 * S, "1 min"),
        (-250_000_000, "-250 ms"),
        (1_234_567_890, "1.235 s"),
    ],
)
def test_a_duration_is_written_for_people(ns, text):
    assert format_duration(ns) == text


@pytest.mark.parametrize("ns", [0, 1, 999, 1_000, 1_500_000, 90 * S, 3_602_000_001])
def test_the_exact_form_is_read_back(ns):
    assert parse_duration_ns(exact_duration(ns)) == ns


@pytest.mark.parametrize(
    ("value", "fraction"), [("10%", 0.1), ("0%", 0), (0.1, 0.1), ("0.1", 0.1), (1, 1), (0, 0), ("100 %", 1)]
)
def test_a_fraction_has_two_spellings(value, fraction):
    assert parse_fraction(value) == fraction


def test_a_bare_number_names_both_spellings():
    with pytest.raises(ValueSyntaxError, match=r"write 10% or 0\.1"):
        parse_fraction(10)


@pytest.mark.parametrize("value", ["ten", "101%", -0.1, True, None, "10 percent", float("nan"), 1e308, []])
def test_what_is_no_fraction_is_refused(value):
    with pytest.raises(ValueSyntaxError):
        parse_fraction(value)


@pytest.mark.parametrize(
    "value",
    [
        "2s",
        {"uniform": ["1s", "2s"]},
        {"normal": ["1s", "300ms"]},
        {"lognormal": ["10ms", "1s"]},
        {"exponential": "1s"},
        {"choice": ["1s", "2s", "3s"]},
    ],
)
def test_every_distribution_draws_times_and_is_written_as_it_is_read(value):
    distribution = parse_distribution(value)
    numbered = Numbered("x")
    draws = [numbered.draw_ns(distribution, n) for n in range(2000)]
    assert all(type(draw) is int and draw >= distribution.low_ns for draw in draws)
    assert distribution.high_ns is None or max(draws) <= distribution.high_ns
    assert sum(draws) / len(draws) == pytest.approx(distribution.mean_ns, rel=0.25)
    assert parse_distribution(distribution.to_yaml()) == distribution


def test_lognormal_takes_median_and_p99():
    distribution = parse_distribution({"lognormal": ["10ms", "100ms"]})
    numbered = Numbered("x")
    draws = sorted(numbered.draw_ns(distribution, n) for n in range(20_000))
    assert draws[10_000] == pytest.approx(10_000_000, rel=0.05)
    assert draws[19_800] == pytest.approx(100_000_000, rel=0.15)


def test_a_normal_draw_is_never_negative():
    distribution = parse_distribution({"normal": ["1ms", "1s"]})
    numbered = Numbered("x")
    assert min(numbered.draw_ns(distribution, n) for n in range(100)) == 0


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"unifrom": [1, 2]}, ("unifrom",)),
        ({"uniform": [2, 1]}, ("uniform",)),
        ({"uniform": [1]}, ("uniform",)),
        ({"uniform": "1s"}, ("uniform",)),
        ({"uniform": [1, "x"]}, ("uniform", 1)),
        ({"lognormal": [0, 1]}, ("lognormal",)),
        ({"choice": []}, ("choice",)),
        ({"exponential": "soon"}, ("exponential",)),
        ({}, ()),
        ({"uniform": [1, 2], "normal": [1, 2]}, ()),
    ],
)
def test_a_bad_distribution_names_the_culprit(value, path):
    with pytest.raises(ValueSyntaxError) as caught:
        parse_distribution(value)
    assert caught.value.path == path


def test_values_are_light():
    code = "import sys, vrrpsim.scenario.quantities as v; print('ruamel' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
