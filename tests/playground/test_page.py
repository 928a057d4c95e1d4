"""The playground in a real headless Chromium, from a file: all that it promises, and no request."""

import fcntl
import json
import os
import shutil
import time
from pathlib import Path

import build
import engine
import pytest
from browser import PROGRAMS, chromium

import vrrpsim
from vrrpsim import examples

pytest.importorskip("selenium")
NEEDED = [*PROGRAMS, shutil.which("node"), shutil.which("npm")]
pytestmark = pytest.mark.skipif(
    None in NEEDED, reason="a real browser: needs the programs chromium, chromedriver, node and npm"
)
CONTRAST = (Path(__file__).parents[1] / "report/browser/contrast.js").read_text()
PAIR = {name: (examples.folder() / "keepalived" / name).read_text() for name in ("lb1.conf", "lb2.conf")}
DROP = """
const carried = new DataTransfer();
for (const [name, text] of Object.entries(arguments[0])) carried.items.add(new File([text], name));
dispatchEvent(new DragEvent('drop', {dataTransfer: carried, cancelable: true}));
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page, built once for all workers of this test run."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    out = shared / "playground.html"
    with (shared / "playground.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            build.build(out)
    return out


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("home")) as started:
        yield started


class Tab:
    def __init__(self, driver, address):
        self.driver = driver
        driver.get("about:blank")
        driver.get(address)

    def js(self, code, *words):
        return self.driver.execute_script(code, *words)

    def cdp(self, command, **words):
        return self.driver.execute_cdp_cmd(command, words)

    def until(self, what, seconds=60):
        end = time.time() + seconds
        while not (found := self.js(f"return {what}")):
            assert time.time() < end, (what, self.js("return document.getElementById('boot').textContent"))
            time.sleep(0.03)
        return found

    def ask(self, call, **words):
        return self.driver.execute_async_script(
            "const done = arguments[2]; front.ask(arguments[0], arguments[1]).then(done)", call, words
        )

    def text(self, element):
        return self.js("return document.getElementById(arguments[0]).innerText", element)

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.cdp("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, key, text=""):
        code = {"Escape": 27, "Enter": 13, "ArrowRight": 39}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text if kind == "keyDown" else "", "windowsVirtualKeyCode": code}
            self.cdp("Input.dispatchKeyEvent", type=kind, key=key, code=key, **typed)

    def screen(self, wide, high=900, scheme="light", phone=False):
        self.cdp(
            "Emulation.setDeviceMetricsOverride", width=wide, height=high, deviceScaleFactor=1, mobile=phone
        )
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    @property
    def digest(self):
        return self.js("return state.last.run.digest")

    def quiet(self):
        """No complaint on the console, no request on the network."""
        assert [each["message"] for each in self.driver.get_log("browser")] == []
        assert (
            self.js(
                "return performance.getEntriesByType('resource')"
                ".filter((each) => !each.name.startsWith('blob:')).length"
            )
            == 0
        )


@pytest.fixture
def tab(driver, page):
    def opened(fragment=""):
        found = Tab(driver, page.as_uri() + fragment)
        found.screen(1280)
        found.until("state.drawn > 0 || document.querySelector('#boot.bad')")
        return found

    driver.get_log("browser")
    return opened


def test_the_whole_way_of_a_visitor(tab):
    began = time.time()
    here = tab()
    assert time.time() - began < 12
    assert here.digest == vrrpsim.load("haproxy-crash").run().trace.digest()

    wrong = {**PAIR, "lb2.conf": PAIR["lb2.conf"].replace("    weight 2", "    wieght 2")}
    here.js(DROP, wrong)
    here.until("state.level === null && state.found.run && state.found.findings.length")
    line = wrong["lb2.conf"].split("\n").index("    wieght 2") + 1
    assert f"lb2.conf:{line}:5 warning: VRRP114 script chk_haproxy: keyword 'wieght' is unknown" in here.text(
        "findings"
    )
    here.js("document.querySelector('[data-file=\"lb2.conf\"]').click()")
    assert here.js("return [...document.querySelectorAll('#gutter .warning')].map((e) => e.textContent)") == [
        str(line)
    ]
    here.js(
        "[...document.querySelectorAll('#findings button')].find((e) => /wieght/.test(e.textContent)).click()"
    )
    chosen = "const t = document.activeElement; return t.value.slice(t.selectionStart, t.selectionEnd)"
    assert here.js(chosen) == "wieght"

    here.js(DROP, PAIR)
    here.until("state.found.run && !state.found.findings.length")
    first = here.digest

    here.js("document.getElementById('timeline').scrollIntoView({block: 'center', behavior: 'instant'})")
    places = [None]
    while len(places) < 2 or places[-1] != places[-2]:  # until nothing moves any more
        time.sleep(0.3)
        places.append(
            here.js(
                "const r = document.getElementById('timeline').getBoundingClientRect();"
                "return [r.left + x(26e9), r.top + TOP + 2.4 * ROW]"
            )
        )
    x, y = places[-1]
    here.click(x, y)
    here.until("document.getElementById('menu').open")
    assert float(here.js("return document.getElementById('when').value")) == pytest.approx(26, abs=0.2)
    assert here.js("return document.getElementById('where').value").startswith("lb2/")
    here.js("const w = document.getElementById('what'); w.value = 'power'; w.onchange()")
    here.js("document.getElementById('put').click()")
    here.until(
        "state.added.length === 1 && state.last.run.digest !== arguments[0]".replace(
            "arguments[0]", repr(first)
        )
    )
    added = here.js("return state.added[0]")
    assert f"- {added}" in here.js("return state.files['scenario.yaml']")
    assert "power_off: " in added
    assert any("power_off" in each["text"] for each in here.js("return state.last.run.events"))
    second = here.digest

    here.js("document.querySelector('[data-key=\"advert_int VI_1\"] input').focus()")
    for _ in range(2):
        here.key("ArrowRight")
    here.until("!turning && state.files['lb1.conf'].includes('advert_int 3')")
    here.until(f"state.last.run.digest !== {second!r}")
    assert "advert_int 3" in here.js("return state.files['lb2.conf']")
    here.until("document.getElementById('progress').textContent === '200 seeds'")
    rows = here.text("compare").splitlines()
    assert any(row.startswith("before") for row in rows)
    assert any(row.startswith("now") for row in rows)
    third = here.digest

    address = here.driver.execute_async_script("const done = arguments[0]; link().then(done)")
    here.quiet()
    fresh = tab(address[address.index("#") :])
    assert fresh.digest == third
    assert fresh.js("return state.added") == [added]
    fresh.js("document.getElementById('undo').disabled || document.getElementById('undo').click()")
    fresh.js("document.querySelector('#added li button').click()")
    fresh.until(f"state.last.run.digest !== {third!r}")
    assert added not in fresh.js("return state.files['scenario.yaml']")
    fresh.js("document.getElementById('undo').click()")
    fresh.until(f"state.last.run.digest === {third!r}")
    fresh.quiet()


def test_every_shipped_scenario_has_the_digest_of_cpython(tab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = tab()
    for name in examples.names():
        files = here.ask("example", name=name)["good"]
        found = here.ask("study", files=files)["good"]["run"]
        assert found["digest"] == engine.study(files)["run"]["digest"], name
    here.quiet()


def test_two_hundred_seeds_and_a_census_take_seconds(tab):
    here = tab("#example=haproxy-crash")
    began = time.time()
    here.until("document.getElementById('progress').textContent === '200 seeds'")
    here.js("document.getElementById('census').click()")
    here.until("!document.getElementById('census').disabled")
    assert time.time() - began < 15
    table = here.text("cells")
    assert "split brain" in table, here.text("counting")
    assert "no harm" in table
    seeds = vrrpsim.load("haproxy-crash")
    outages = sorted(
        max(c.longest_ns for c in seeds.run(seed).result.clients.values()) for seed in range(1, 11)
    )
    assert (
        here.js("return known.get(JSON.stringify(state.files)).outage.slice(0, 10).sort((a, b) => a - b)")
        == outages
    )
    here.quiet()


def test_a_broken_file_is_a_message_and_the_page_lives(tab):
    here = tab()
    good = here.digest
    here.js("$('text').value = $('text').value.replace('duration:', 'duraton:'); $('text').oninput()")
    here.until("state.found.run === null")
    assert "scenario.yaml:6:1 error" in here.text("findings")
    assert "6" in here.js("return [...document.querySelectorAll('#gutter .error')].map((e) => e.textContent)")
    here.js("$('text').value = $('text').value.replace('duraton:', 'duration:'); $('text').oninput()")
    here.until("state.found.run")
    assert here.digest == good
    for name, text in (
        ("lb1.conf", "vrrp_instance {"),
        ("x.yaml", "\x00\x01"),
        ("empty.conf", ""),
        ("y.yaml", "[1"),
    ):
        here.js(DROP, {name: text})
        here.until("state.found.run === null || document.querySelector('#boot.bad')")
        assert here.text("findings").strip()
    here.js("location.hash = '#s=damaged'")
    here.until("$('boot').textContent.includes('this link is damaged')")
    here.js("document.querySelector('[data-level=calm-lan]').click()")
    here.until("state.found.run && state.level === 'calm-lan'")
    assert here.digest == good
    here.quiet()


def test_a_run_that_takes_too_long_can_be_stopped(tab):
    here = tab()
    year = here.ask("example", name="long/a-year-of-loss")["good"]
    here.js("front.ask('study', {files: arguments[0]}).then((answer) => { window.stopped = answer; })", year)
    time.sleep(0.3)
    here.js("front.restart('stopped')")
    here.until("window.stopped")
    assert here.js("return window.stopped.mistake") == "stopped"
    assert here.ask("study", files=here.js("return state.files"))["good"]["run"]["digest"] == here.digest


def test_files_are_taken_away(tab, tmp_path):
    here = tab()
    here.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    wanted = {
        "yaml": "scenario.yaml",
        "conf": "lb1.conf",
        "pcapng": "calm-lan.pcapng",
        "html": "calm-lan.html",
    }
    for form, name in wanted.items():
        here.js("exported(arguments[0])", form)
        end = time.time() + 15
        while not (tmp_path / name).is_file() and time.time() < end:
            time.sleep(0.05)
    assert (tmp_path / "lb1.conf").read_text() == PAIR["lb1.conf"]
    assert (tmp_path / "calm-lan.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert here.digest in (tmp_path / "calm-lan.html").read_text()
    assert (tmp_path / "scenario.yaml").read_text() == here.js("return state.files['scenario.yaml']")


def test_the_tour_is_walked_by_keyboard(tab):
    here = tab()
    here.js("document.getElementById('tour').focus()")
    here.key("Enter", "\r")
    steps = here.js("return TOUR.length")
    for step in range(steps):
        here.until(f"document.getElementById('step').textContent === '{step + 1} of {steps}'")
        here.key("Enter", "\r")
        here.until("!turning")
    here.until("document.getElementById('guide').hidden")
    here.until("state.level === 'office-switch' && state.found.run && !$('census').disabled")
    here.quiet()


def test_the_timeline_is_worked_by_keyboard(tab):
    here = tab()
    here.js("document.getElementById('timeline').focus()")
    here.key(".", ".")
    here.key(".", ".")
    assert "lb1 VI_1: " in here.text("now")
    told = here.text("now")
    here.key(",", ",")
    assert here.text("now") != told
    here.key("Enter", "\r")
    assert here.js("return document.getElementById('menu').open")
    here.key("Escape")
    here.until("!document.getElementById('menu').open")
    assert here.js("return state.added.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("wide", "phone"), [(1280, False), (390, True)])
def test_it_is_readable_in_both_themes_and_on_a_phone(tab, scheme, wide, phone):
    here = tab()
    here.screen(wide, 844, scheme, phone)
    here.until("document.getElementById('progress').textContent === '200 seeds'")
    assert here.js(CONTRAST) == []
    assert here.js("return document.documentElement.scrollWidth") == wide
    outside = here.js(
        "return [...document.querySelectorAll('main > *, .card > *, header *')]"
        ".filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert outside == []
    nameless = here.js(
        "return [...document.querySelectorAll('button, select, input, textarea, section, iframe')]"
        ".filter((e) => e.checkVisibility() && !(e.getAttribute('aria-label') || e.title || e.labels?.length"
        " || e.textContent.trim()))"
        ".map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_what_is_shown_before_python_has_started_is_what_it_then_computes(page):
    text = page.read_text()
    first = json.loads(text.partition('id="first">')[2].partition("</script>")[0])
    assert first["found"]["run"]["digest"] == vrrpsim.load("haproxy-crash").run().trace.digest()
    assert "default-src 'none'" in text
    assert "connect-src" not in text
