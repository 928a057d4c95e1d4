"""A colour means one thing in every report: one table in `report/style.py`, the same in the page's style."""

import re
from collections import Counter
from pathlib import Path

import pytest

from vrrpsim.report import style

REPORT = Path(style.__file__).parent
COLOUR = re.compile(r"#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?\b")
PAGE = (REPORT / "html/page.css").read_text()
VARIABLES = {
    name: (light.lower(), dark.lower())
    for name, light, dark in re.findall(r"--([a-z0-9-]+): light-dark\((#\w+), (#\w+)\)", PAGE)
}


def test_colours_are_written_in_one_place():
    written = {
        path.name: COLOUR.findall(path.read_text()) for path in (*REPORT.rglob("*.py"), *REPORT.rglob("*.js"))
    }
    assert {name for name, found in written.items() if found} == {"style.py"}
    outside = PAGE[PAGE.index("}") :]  # behind the variables only white upon a master's blue
    assert {*COLOUR.findall(outside)} <= {"#ffffff"}


def test_no_two_meanings_look_alike():
    bars = {
        **style.STATES,
        **{f"node {number}": paint for number, paint in enumerate(style.NODES)},
        **{"two owners": style.SEVERAL, "nobody": style.NONE, "no answer": style.SILENT},
        **{"part": style.PART, "words": style.PLAIN, "unknown": style.UNKNOWN},
    }
    looks = Counter((paint.face, paint.hatch, paint.edge) for paint in bars.values())
    assert looks.most_common(1)[0][1] == 1
    faces = {paint.face for paint in bars.values()}
    lines = [*style.SERIES, style.GARP, style.HARM]
    assert len({*lines}) == len(lines)
    assert not faces & {*lines}
    assert style.STATES["MASTER"].face == style.ADVERT  # adverts are what a master says


@pytest.mark.parametrize("theme", [0, 1])
def test_no_two_meanings_look_alike_on_a_page(theme):
    neutral = ("bg", "card", "ink", "dim", "line", "grid", "well", "mark", "off", "accent")  # the page itself
    looks = Counter(both[theme] for name, both in VARIABLES.items() if name not in neutral)
    assert {colour for colour, times in looks.items() if times > 1} == set()


def test_the_page_has_the_colours_of_the_pictures():
    meant = {
        **{name: style.STATES[name.upper()].face for name in ("master", "backup", "init")},
        **{f"node{number}": paint.face for number, paint in enumerate(style.NODES)},
        **{f"series{number}": colour for number, colour in enumerate(style.SERIES[:6])},
        **{"bad-fill": style.SEVERAL.face, "good": style.GOOD_TEXT, "bad": style.HARM_TEXT},
    }
    assert {name: VARIABLES[name][0] for name in meant} == {
        name: each.lower() for name, each in meant.items()
    }
