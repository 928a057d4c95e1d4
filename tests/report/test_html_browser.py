"""The HTML pages in a real headless Chromium: no complaint, zoom, hover, keys, touch, themes, phone, print.

Needs Debian's chromium and chromium-driver and the package selenium; nothing is looked for on the network.
"""

import base64
import re
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import browser
import pytest
from html_page import ROOT, long_run
from reading import document_of, run_of

import vrrpsim

pytest.importorskip("selenium.webdriver")
pytestmark = pytest.mark.skipif(
    None in browser.PROGRAMS, reason="a real browser: needs the programs chromium and chromedriver"
)
CASES = [ROOT / "scenarios" / f"{name}.yaml" for name in ("haproxy-crash", "partition", "sync-group")]
HERE = Path(__file__).parent / "browser"
CONTRAST, PLACE, ZOOM = ((HERE / f"{name}.js").read_text() for name in ("contrast", "place", "zoom"))
READY = "return document.querySelectorAll('svg *').length > 20"


def census():
    """A corner of the operator's pair: enough for a table and a heat map."""
    singles = ["kill lb1/haproxy", "freeze lb1/haproxy", "cut lb1 | lb2", "reload lb2"]
    pairs = [f"{one}, then {other}" for one in singles for other in singles if one != other]
    return vrrpsim.load(CASES[0]).census(4, 2, only=[*singles, *pairs], jobs=1)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The files, each written once."""
    folder = tmp_path_factory.mktemp("pages")
    folder.chmod(0o755)
    study = vrrpsim.load(CASES[0])
    makers = {
        **{path.stem: run_of(path).html for path in CASES},
        "sweep": study.sweep(10, jobs=1).html,
        "grid": study.sweep(6, jobs=1, vary={"segments.lan.loss": ["0%", "20%"]}).html,
        "day": long_run().html,
        "census": census().html,
    }
    for name, make in makers.items():
        make(folder / f"{name}.html")
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.chromium(tmp_path_factory.mktemp("home")) as driver:
        yield driver


class Screen:
    """One page on a screen."""

    def __init__(self, driver):
        self.driver = driver

    def run(self, code, *words):
        return self.driver.execute_script(code, *words)

    def cdp(self, command, **words):
        return self.driver.execute_cdp_cmd(command, words)

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def complaints(self):
        return [(each["level"], each["message"]) for each in self.driver.get_log("browser")]

    def size(self, wide, high=900, *, phone=False):
        metrics = {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": phone}
        self.cdp("Emulation.setDeviceMetricsOverride", **metrics)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.settle()

    def scheme(self, name, media="screen"):
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.cdp("Emulation.setEmulatedMedia", media=media, features=features)
        self.settle()

    @property
    def window(self):
        return tuple(self.run("return [view.t0, view.t1]"))

    def box(self, selector):
        """Scroll to an element; return where it is then."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self.settle()
        return self.run(
            "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height]",
            selector,
        )

    def mouse(self, kind, x, y, **more):
        self.cdp("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        self.settle()

    def wheel(self, x, y, delta):
        self.mouse("mouseWheel", x, y, deltaX=0, deltaY=delta)

    def touch(self, kind, *points):
        self.cdp("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    def key(self, key, text=""):
        for kind in ("keyDown", "keyUp"):
            self.cdp("Input.dispatchKeyEvent", type=kind, key=key, text=text if kind == "keyDown" else "")
        self.settle()

    @property
    def tip(self):
        return self.run("const t = document.getElementById('tip'); return t.hidden ? '' : t.innerText")

    def of_slice(self, kind, number, part=0.5):
        """Where a slice of the first lane of a kind is on the screen, and the slice."""
        self.box(".lanes")
        return self.run(PLACE, kind, number, part)


@pytest.fixture
def open_page(chromium, pages):
    @contextmanager
    def opened(name, wide=1280, scheme="light", **more):
        chromium.get((pages / f"{name}.html").as_uri())
        screen = Screen(chromium)
        screen.size(wide, **more)
        screen.scheme(scheme)
        assert screen.run(READY)
        yield screen
        assert screen.complaints() == []

    return opened


@pytest.mark.parametrize(
    "name", ["haproxy-crash", "partition", "sync-group", "sweep", "grid", "day", "census"]
)
def test_it_loads_without_a_complaint_or_a_request(open_page, name):
    with open_page(name) as screen:
        assert screen.run("return performance.getEntriesByType('resource').length") == 0
        assert screen.run("return document.querySelector('h1').textContent")


def test_the_policy_stops_foreign_scripts_and_loads(chromium, pages):
    chromium.get((pages / "haproxy-crash.html").as_uri())
    chromium.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.foreign = 1';"
        "const i = document.createElement('img'); i.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw=';"
        "document.body.append(s, i)"
    )
    screen = Screen(chromium)
    screen.settle()
    assert chromium.execute_script("return window.foreign") is None
    complaints = screen.complaints()
    assert len(complaints) == 2
    assert all("Content Security Policy" in text for _, text in complaints)


def test_wheel_buttons_and_keys_change_the_window(open_page):
    with open_page("haproxy-crash") as screen:
        whole = screen.window
        assert whole == (0, 45_000_000_000)
        left, top, wide, _ = screen.box(".lanes")
        x, y = left + 0.7 * wide, top + 60
        screen.wheel(x, y, -240)
        near = screen.window
        assert near[1] - near[0] < 0.6 * whole[1]
        assert near[0] > 0
        screen.wheel(x, y, 240)
        screen.wheel(x, y, 240)
        assert screen.window == whole
        screen.run("document.querySelector('.lanes').focus()")
        screen.key("+", "+")
        half = screen.window
        assert half[1] - half[0] == whole[1] / 2
        screen.key("ArrowRight")
        assert screen.window[0] == pytest.approx(half[0] + 0.2 * (half[1] - half[0]), abs=2)
        screen.key("ArrowLeft")
        screen.key("ArrowLeft")
        assert screen.window[0] < half[0]
        screen.key("-", "-")
        screen.key("Home")
        assert screen.window == whole
        screen.run("document.querySelector('[aria-label=\"Zoom in\"]').click()")
        screen.settle()
        assert screen.window == half
        screen.key("0", "0")
        assert screen.window == whole


def test_the_wheel_leaves_the_page_to_scroll_when_nothing_is_left_to_zoom(open_page):
    with open_page("haproxy-crash", high=500) as screen:
        screen.run("scrollTo(0, 0)")
        left, top, wide, _ = screen.run(
            "const r = document.querySelector('.lanes').getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height]"
        )
        screen.wheel(left + wide / 2, min(top + 20, 480), 300)
        for _ in range(30):
            screen.settle()
        assert screen.run("return scrollY") > 0
        assert screen.window == (0, 45_000_000_000)


def test_drag_and_the_small_map_move_the_window(open_page):
    with open_page("haproxy-crash") as screen:
        screen.run("show(10e9, 20e9)")
        screen.settle()
        left, top, wide, _ = screen.box(".lanes")
        screen.mouse("mousePressed", left + 600, top + 80, button="left", buttons=1, clickCount=1)
        screen.mouse("mouseMoved", left + 590, top + 80, button="left", buttons=1)
        screen.mouse("mouseMoved", left + 400, top + 80, button="left", buttons=1)
        screen.mouse("mouseReleased", left + 400, top + 80, button="left", clickCount=1)
        start, end = screen.window
        assert end - start == 10e9
        assert 11e9 < start < 13e9
        left, top, wide, high = screen.box(".mini")
        screen.mouse("mousePressed", left + wide - 60, top + high / 2, button="left", buttons=1, clickCount=1)
        screen.mouse("mouseReleased", left + wide - 60, top + high / 2, button="left", clickCount=1)
        assert screen.window[1] > 40e9


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_hover_says_what_json_says(open_page, path):
    document = document_of(path)
    with open_page(path.stem) as screen:
        owners = screen.run("return LANES.owners[0].items.map((each) => [each.what, each.start, each.end])")
        number = max(range(len(owners)), key=lambda at: owners[at][2] - owners[at][1])
        x, y, item = screen.of_slice("owners", number)
        screen.mouse("mouseMoved", x, y)
        tip = screen.tip
        label = screen.run("return LANES.owners[0].label")
        assert tip.startswith(f"{label}: {item['what']}")
        first, last = re.findall(r"\d+\.\d{9}", tip)[:2]
        start, end = (int(text.replace(".", "")) for text in (first, last))
        assert (start, end) == (item["start"], item["end"])
        tenures = [t for t in document["tenures"] if t["address"] == label.partition(" ")[0]]
        edges = {edge for tenure in tenures for edge in (tenure["start_s"], tenure["end_s"])}
        assert {start, end} <= edges
        screen.mouse("mouseMoved", 2, 2)
        assert screen.tip == ""


def test_hover_reads_outages_priorities_and_events(open_page):
    document = document_of(CASES[0])
    with open_page("haproxy-crash") as screen:
        [outage] = document["clients"]["web"]["outages"]
        items = screen.run("return LANES.clients[0].items.map((each) => each.tone)")
        x, y, item = screen.of_slice("clients", items.index("silent"), 0.4)
        screen.mouse("mouseMoved", x, y)
        assert f"({outage['length_s'] // 10**9}." in screen.tip
        assert "nothing serves port 80 on lb1" in screen.tip
        assert (item["start"], item["end"]) == (outage["start_s"], outage["end_s"])


def test_keyboard_reaches_everything_and_speaks(open_page):
    with open_page("haproxy-crash") as screen:
        screen.run("document.querySelector('h1').scrollIntoView(); document.activeElement.blur()")
        seen = []
        for _ in range(60):
            screen.key("Tab", "\t")
            seen.append(
                screen.run(
                    "const e = document.activeElement;"
                    "return e.getAttribute('aria-label') || e.textContent.slice(0, 40)"
                )
            )
        names = " | ".join(seen)
        for each in ("Copy", "Switch between", "Zoom in", "Go to", "Timeline.", "Adverts of", "Scenario"):
            assert each in names
        screen.run("document.querySelector('.lanes').focus()")
        outline = "return getComputedStyle(document.querySelector('.lanes')).outlineStyle"
        assert screen.run(outline) == "solid"
        screen.key("ArrowDown")
        assert screen.tip.startswith("event: kill lb1/haproxy")
        above = "return document.getElementById('tip').getBoundingClientRect().top + scrollY"
        before = screen.run(above)
        screen.run("scrollBy(0, 40)")
        screen.settle()
        assert screen.tip.startswith("event: kill lb1/haproxy")
        assert abs(screen.run(above) - before) < 1
        for _ in range(2):
            screen.key("ArrowDown")
        assert screen.tip.startswith("lb1 VI_1: ")
        for _ in range(2):
            screen.key(".", ".")
        tip = screen.tip
        assert "MASTER" in tip
        heard = screen.run("return document.querySelector('[aria-live]').textContent")
        assert heard == ", ".join(tip.split("\n"))
        screen.key("Escape")
        assert screen.tip == ""
        screen.run("document.querySelector('#sequence .chart').focus()")  # which scrolls: the tip stays
        screen.key(".", ".")
        assert "advert, priority 103" in screen.tip


def test_the_page_names_its_parts_for_those_who_hear_it(open_page):
    with open_page("haproxy-crash") as screen:
        assert screen.run("return document.documentElement.lang") == "en"
        nameless = screen.run(
            "return [...document.querySelectorAll('button, select, section, [tabindex], [role=group]')]"
            ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim())).length"
        )
        assert nameless == 0
        spoken = screen.run("return document.querySelector('.lanes ul').textContent")
        assert "192.168.50.108: nobody from 0 s, lb1 from 3." in spoken


@pytest.mark.parametrize("name", ["haproxy-crash", "sync-group", "grid", "census"])
def test_both_themes_are_readable(open_page, name):
    background = "return getComputedStyle(document.body).backgroundColor"
    with open_page(name, scheme="light") as screen:
        light = screen.run(background)
        assert screen.run(CONTRAST) == []
        screen.scheme("dark")
        dark = screen.run(background)
        assert dark != light
        assert screen.run(CONTRAST) == []
        screen.run("document.querySelector('.theme').click()")
        assert screen.run(background) == light
        screen.run("document.querySelector('.theme').click()")
        assert screen.run(background) == dark


@pytest.mark.parametrize(
    "name", ["haproxy-crash", "sync-group", "partition", "sweep", "grid", "day", "census"]
)
def test_a_phone_never_scrolls_sideways(open_page, name):
    with open_page(name, wide=360, high=740, phone=True) as screen:
        assert screen.run("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]
        out = screen.run(
            "return [...document.querySelectorAll('#page > *, .card > *')]"
            ".filter((e) => e.getBoundingClientRect().right > 361).map((e) => e.outerHTML.slice(0, 80))"
        )
        assert out == []


def test_touch_taps_and_pinches(open_page):
    with open_page("haproxy-crash", wide=360, high=740, phone=True) as screen:
        x, y, _ = screen.of_slice("owners", 1)
        screen.touch("touchStart", (x, y))
        screen.touch("touchEnd")
        screen.settle()
        assert screen.tip.startswith("192.168.50.108: lb1")
        whole = screen.window
        screen.touch("touchStart", (x - 30, y), (x + 30, y))
        for away in range(40, 90, 10):
            screen.touch("touchMove", (x - away, y), (x + away, y))
        screen.touch("touchEnd")
        screen.settle()
        start, end = screen.window
        assert end - start < 0.6 * whole[1]


def test_it_prints_in_light_with_everything_open(open_page):
    with open_page("haproxy-crash", scheme="dark") as screen:
        screen.run("document.querySelector('.theme').click(); document.querySelector('.theme').click()")
        printed = screen.cdp("Page.printToPDF", printBackground=True)["data"]
        assert base64.b64decode(printed).startswith(b"%PDF")
        assert screen.run("return [...document.querySelectorAll('details')].every((each) => each.open)")
        screen.scheme("dark", media="print")
        assert screen.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert screen.run(CONTRAST) == []
        shown = "return getComputedStyle(document.querySelector(arguments[0])).display"
        assert screen.run(shown, ".tools .row") == "none"
        assert screen.run(shown, ".lanes") == "block"


def test_a_day_stays_responsive(open_page):
    with open_page("day") as screen:
        took = screen.driver.execute_async_script(ZOOM)
        assert len(took) == 21
        assert median(took) < 200
        assert "counted" in screen.run("return document.getElementById('sequence').innerText")


def test_the_sequence_shows_arrows_losses_and_gratuitous_frames(open_page):
    with open_page("partition") as screen:
        failover = document_of(CASES[1])["failovers"][0]
        screen.run("show(arguments[0], arguments[1])", failover["fault_s"] - 2e9, failover["owner_s"] + 2e9)
        screen.settle()
        count = "return document.querySelectorAll(arguments[0]).length"
        for each in ("line.arrow.lost", "path.loss", "path.head.garp", "line.flag"):
            assert screen.run(count, f"#sequence {each}") > 0, each


def test_the_distribution_is_read_by_pointer_and_keys(open_page):
    with open_page("grid") as screen:
        left, top, wide, high = screen.box(".chart")
        screen.mouse("mouseMoved", left + wide - 20, top + high / 2)
        assert "loss=0%: 100.0 %" in screen.tip
        screen.mouse("mouseMoved", 2, 2)
        screen.run("document.querySelector('.chart').focus()")
        screen.settle()
        screen.key("ArrowRight")
        assert re.match(r"failover ≤ \d", screen.tip)


ROWS = "return [...document.querySelectorAll('.census tbody tr')].map((e) => e.cells[0].textContent)"
SHOWN = "return document.querySelector('#run h2').textContent"


def test_a_census_sorts_filters_and_opens_a_run(open_page):
    with open_page("census") as screen:
        document = census().to_dict()
        first = [cell["cell"] for cell in document["cells"] if len(cell["faults"]) == 1]
        assert screen.run(ROWS) == first
        screen.run("document.querySelectorAll('.census th button')[0].click()")
        assert screen.run(ROWS) == sorted(first)
        screen.run("document.querySelectorAll('.census th button')[0].click()")
        assert screen.run(ROWS) == sorted(first, reverse=True)
        assert screen.run("return document.querySelector('th').getAttribute('aria-sort')") == "descending"
        screen.run(
            "const e = document.querySelector('input'); e.value = 'haproxy KILL';"
            "e.dispatchEvent(new Event('input'))"
        )
        assert screen.run(ROWS) == ["kill lb1/haproxy"]
        screen.run("document.querySelector('.census tbody button').click()")
        assert screen.run(SHOWN) == "kill lb1/haproxy"
        assert screen.run("return document.activeElement.textContent") == "kill lb1/haproxy"
        said = screen.run("return document.querySelector('#run').innerText")
        worst = next(cell for cell in document["cells"] if cell["cell"] == "kill lb1/haproxy")["worst"]
        assert worst["command"] in said
        assert screen.run("return document.querySelectorAll('#run svg rect.silent').length") == 1


def test_the_heat_map_works_by_keyboard_alone(open_page):
    with open_page("census") as screen:
        assert screen.run("return document.querySelectorAll('.heat button').length") == 12
        assert screen.run("return document.querySelectorAll('.heat button[tabindex=\"0\"]').length") == 1
        screen.run("document.querySelector('.heat button[tabindex=\"0\"]').focus()")
        screen.settle()  # focus scrolls, and scrolling hides the tip
        screen.key("ArrowDown")
        name = screen.run("return document.activeElement.getAttribute('aria-label')")
        assert ", then " in name
        screen.settle()
        screen.key("ArrowRight")
        assert screen.run("return document.activeElement.getAttribute('aria-label')") != name
        name = screen.run("return document.activeElement.getAttribute('aria-label')").partition(":")[0]
        screen.run("document.activeElement.click()")
        assert screen.run(SHOWN) == name
        assert screen.run("return decodeURIComponent(location.hash)") == f"#{name}"
