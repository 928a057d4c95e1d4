"""The HTML pages say what `--json` says, load nothing, run nothing foreign and keep passwords."""

import re
import subprocess
import sys
from base64 import b64encode
from bisect import bisect_left
from collections import Counter
from functools import cache
from hashlib import sha256
from itertools import pairwise

import pytest
from html_page import ROOT, SECOND_NS, long_run, messages, read_page, slices
from reading import CASES, SHIPPED, document_of, name_of, run_of, tenures_of

import vrrpsim
from vrrpsim.report.messages import MESSAGES
from vrrpsim.trace import AdvertSent, FrameLost, Gratuitous, Level, StateChange

cases = pytest.mark.parametrize("path", CASES, ids=name_of)


@cache
def page_of(path):
    return run_of(path).html()


@cache
def data_of(path):
    return read_page(page_of(path)).data


def addresses_of(label, document):
    """A lane `ADDRESS +2` stands for three addresses whose owners are the same at all times."""
    address, _, more = label.partition(" +")
    spans = {each: [] for each in document["moves"]}
    for owner, node, start, end in tenures_of(document):
        spans[owner].append((node, start, end))
    alike = [each for each in spans if spans[each] == spans[address]]
    assert len(alike) == 1 + int(more or 0)
    return alike


# --- the same as --json


@cases
def test_owners_are_those_of_the_document(path):
    data, document = data_of(path), document_of(path)
    found = []
    for lane in data["lanes"]["owners"]:
        for address in addresses_of(lane["label"], document):
            open_since = {}
            end = data["duration"]
            for start, _, text, tone, _ in slices(data, lane):
                names = [] if text == "nobody" else text.split(" + ")
                assert tone == {0: "nobody" if start else "before", 2: "several"}.get(len(names), tone)
                for name in names:
                    open_since.setdefault(name, start)
                for name in [each for each in open_since if each not in names]:
                    found.append((address, name, open_since.pop(name), start))
            found += [(address, name, since, end) for name, since in open_since.items()]
    assert sorted(found) == tenures_of(document)


@cases
def test_failovers_are_those_of_the_document(path):
    data, document = data_of(path), document_of(path)
    names = ("detect_s", "elect_s", "claim_s", "relearn_s", "serve_s")
    keys = [
        (
            *(each[key] for key in ("from", "to", "fault_s", "owner_s", "total_s")),
            *((each[name], each["governed_by"][name[:-2]]) for name in names),
        )
        for each in document["failovers"]
    ]
    for each in data["failovers"]:
        parts = tuple((length, keyword) for _, length, keyword in each["parts"])
        key = (each["from"], each["to"], each["fault"], each["owner"], each["total"], *parts)
        assert key in keys
    assert len(data["failovers"]) == len({(e["fault_s"], e["from"], e["to"]) for e in document["failovers"]})
    assert sum(each["main"] for each in data["failovers"]) == 1


@cases
def test_outages_events_and_expectations_are_those_of_the_document(path):
    data, document = data_of(path), document_of(path)
    for lane in data["lanes"]["clients"]:
        silent = [(start, end) for start, end, _, tone, _ in slices(data, lane) if tone == "silent"]
        outages = document["clients"][lane["label"]]["outages"]
        assert silent == [(each["start_s"], each["end_s"]) for each in outages]
    assert [(each["at"], each["until"]) for each in data["events"]] == [
        (each["at_s"], each["until_s"]) for each in document["events"]
    ]
    told = [
        True if each["ok"] == "shown" else each["ok"] for each in data["expectations"]
    ]  # harm, as expected
    assert told == [each["ok"] for each in document["expectations"]]
    assert (data["digest"], data["seed"], data["verdict"]) == tuple(
        document[key] for key in ("digest", "seed", "verdict")
    )


@cases
def test_every_state_and_message_of_the_trace_is_there(path):
    data, trace = data_of(path), run_of(path).trace
    begun = {
        (lane["label"], start, text)
        for lane in data["lanes"]["states"]
        for start, _, text, _, _ in slices(data, lane)
    }
    changes = [record for record in trace.records if isinstance(record, StateChange)]
    assert {(f"{r.node} {r.instance}", r.at_ns, r.new) for r in changes} <= begun
    names = data["sequence"]["participants"]
    adverts = [
        (at, names[route[1]], route[2], int(route[3])) for at, route in messages(data) if route[0] == "advert"
    ]
    assert adverts == [tuple(r[:4]) for r in trace.records if isinstance(r, AdvertSent)]
    garps = [(at, names[r[1]], r[3]) for at, r in messages(data) if r[0] == "garp"]
    assert garps == [(r.at_ns, r.node, r.address) for r in trace.records if isinstance(r, Gratuitous)]
    frames = [r for r in trace.records if isinstance(r, FrameLost) and r.kind in ("vrrp", "garp")]
    ways = [tuple(each.partition(":")[0] for each in (r.source, r.destination)) for r in frames]
    lost = Counter(
        (names[route[1]], names[to]) for _, route in messages(data) for to in route[5]
    )  # a frame that never left is lost for everybody
    assert lost >= Counter(way for way in ways if way[1] in names)
    assert "" in [way[1] for way in ways] or lost.total() == len([way for way in ways if way[1] in names])


# --- one file, closed


@pytest.fixture(scope="module")
def sweep():
    study = vrrpsim.load(ROOT / "scenarios" / "haproxy-crash.yaml")
    return study.sweep(8, jobs=1, vary={"segments.lan.loss": ["0%", "20%"]}, thresholds=["outage.p50 < 1s"])


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_the_policy_allows_exactly_what_is_in_the_page(kind, sweep):
    page = read_page(page_of(CASES[0]) if kind == "run" else sweep.html())
    [policy] = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        digest = b64encode(sha256(page.texts[tag].encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert [(tag, a) for tag, a in page.tags if tag == "script"] == [
        ("script", {"type": "application/json", "id": "data"}),
        ("script", {}),
    ]
    assert [tag for tag, _ in page.tags if tag in ("link", "img", "iframe", "object", "embed", "base")] == []
    assert [a for _, a in page.tags if {"src", "href", "style", "srcset"} & a.keys()] == []
    assert not [name for _, a in page.tags for name in a if name.startswith("on")]
    code = page.texts["script"] + page.texts["style"]
    assert set(re.findall(r"\w+://[\w./]*", code)) == {"http://www.w3.org/2000/svg"}  # a name, not a load
    assert not re.search(
        r"fetch\(|XMLHttpRequest|WebSocket|import\(|@import|url\((?!#)|innerHTML|eval\(", code
    )


NASTY = """
version: 1
name: "<script>document.title='owned'</script><img src=x onerror=hacked=1>"
description: "</script><script>hacked=1</script> --> ]]> & \\" ' $title ${data} \\u2028"
duration: 8s
segments: {lan: {}}
nodes:
  a:
    interfaces: {eth0: {segment: lan, address: 10.0.0.1/24}}
    keepalived: &router
      vrrp_scripts: {chk: {script: "mysqladmin -uroot -pc0mm4nd ping"}}
      vrrp_instances:
        "<b>V": {interface: eth0, virtual_router_id: 1, priority: 100, virtual_ipaddress: [10.0.0.9/24],
                 authentication: {auth_type: PASS, auth_pass: &secret "s3cr3tpw"}, track_script: [chk]}
  b: {interfaces: {eth0: {segment: lan, address: 10.0.0.2/24}}, keepalived: *router}
clients: {web: {segment: lan, target: "10.0.0.9:80"}}
# the old one was s3cr3tpw-and-more
events:
  - {at: 6s, stop: a/keepalived}
  - {at: 7s, inject: lan, advert: {vrid: 1, priority: 200, auth_type: pass, auth_pass: "inj3cted"}}
"""


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    path = tmp_path_factory.mktemp("nasty") / "nasty.yaml"
    path.write_text(NASTY, encoding="utf-8")
    return vrrpsim.load(path).run()


def test_what_a_scenario_says_is_only_ever_text(nasty):
    content = nasty.html()
    page = read_page(content)
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in page.tags]
    assert page.texts["title"] == page.data["name"] == nasty.scenario.name
    assert page.data["about"] == nasty.scenario.description
    assert page.data["lanes"]["states"][0]["label"] == "a <b>V"
    assert content.count(b"<script") == 2


def test_passwords_are_nowhere_in_a_page(nasty):
    content = nasty.html().decode()
    assert "auth_pass" in content
    assert "s3cr3tpw" not in content
    assert "inj3cted" not in content
    assert "mysqladmin -uroot" in content
    assert "c0mm4nd" not in content
    assert "c0mm4nd" not in "".join(nasty.trace.json_lines()) + str(nasty.to_dict()) + str(nasty)
    path = ROOT / "scenarios" / "haproxy-crash.yaml"
    overrides = {"nodes.lb2.keepalived.config_id": "auth_pass=topsecret"}  # whatever carries one
    study = vrrpsim.load(path, overrides)
    assert "topsecret" in study.run().command
    assert "topsecret" not in study.run().html().decode()
    keys = [
        instance.authentication.key.decode()
        for node in study.scenario.nodes.values()
        for instance in node.keepalived.config.instances
    ]
    texts = "\n".join(text for _, text in read_page(study.run().html()).data["configuration"])
    assert keys
    assert not [key for key in keys if re.search(rf"\b{key}\b", texts)]


def test_the_configuration_is_what_runs():
    titles = dict(data_of(CASES[0])["configuration"])
    assert list(titles) == ["Scenario", *(f"{node}, keepalived-2.2.7, effective" for node in ("lb1", "lb2"))]
    assert "chk_haproxy" in titles["lb1, keepalived-2.2.7, effective"]
    assert "garp_master_delay 5" in titles["lb1, keepalived-2.2.7, effective"]  # a default, written
    assert "THE LESSON" in titles["Scenario"]


def test_a_minute_is_below_300_kilobytes():
    studies = [vrrpsim.load(path) for path in SHIPPED]
    short = [study for study in studies if study.scenario.duration_ns <= 60 * SECOND_NS]
    sizes = {study.scenario.name: len(study.run().html()) for study in short}
    assert len(sizes) > 10
    assert {name: size for name, size in sizes.items() if size >= 300_000} == {}


# --- long runs


@cache
def day_run():
    return long_run()


@pytest.fixture(scope="module")
def day():
    return day_run().html()


def test_a_day_is_aggregated_and_says_so(day):
    content = day
    data = read_page(content).data
    assert len(content) < 330_000
    sequence, [client] = data["sequence"], data["lanes"]["clients"]
    assert sequence["of"] == 24 * 3600
    kept = messages(data)
    assert MESSAGES / 2 < len(kept) <= MESSAGES
    rows = [sequence["bins"][at : at + 5] for at in range(0, len(sequence["bins"]), 5)]
    assert sum(row[2] for row in rows) == 24 * 3600
    assert sum(row[4] for row in rows) == 24 * 3600 // 50
    assert client["of"] > 8000
    assert len(client["slices"]) // 3 < client["of"] / 3
    assert data["more_story"] > 0


def test_what_is_kept_is_complete_around_each_change(day):
    data = read_page(day).data
    near, instants = data["sequence"]["near"], [0]
    for delta in data["sequence"]["instants"]:
        instants.append(instants[-1] + delta)

    def away(at_ns):
        place = bisect_left(instants, at_ns)
        return min(abs(at_ns - at) for at in instants[max(place - 1, 0) : place + 1])

    wanted = [
        record.at_ns
        for record in day_run().trace.records
        if isinstance(record, AdvertSent) and away(record.at_ns) < near
    ]
    assert [at for at, _ in messages(data)] == wanted
    changes = [record.at_ns for record in day_run().trace.records if isinstance(record, StateChange)]
    assert set(changes) <= set(instants)


def test_a_coarse_lane_covers_the_run_and_counts_what_it_hides(day):
    data = read_page(day).data
    [lane] = data["lanes"]["clients"]
    shown = slices(data, lane)
    assert all(one[1] == other[0] for one, other in pairwise(shown))
    hidden = [int(text.split()[0]) for _, _, text, tone, _ in shown if " many" in tone]
    assert sum(hidden) + len(shown) - len(hidden) == lane["of"]
    assert {tone for *_, tone, _ in shown if " many" in tone} == {"node0 many-bad"}


def test_quiet_stretches_are_counted_and_the_rest_is_shown():
    run = vrrpsim.load(CASES[0]).run(fast_forward=True)
    sequence = read_page(run.html()).data["sequence"]
    quiet = [sequence["quiet"][at : at + 4] for at in range(0, len(sequence["quiet"]), 4)]
    shown = [at for at, route in messages({"sequence": sequence}) if route[0] == "advert"]
    assert quiet
    assert sum(row[2] for row in quiet) + len(shown) == run.result.counts["adverts"]
    assert len(shown) < run.result.counts["adverts"]
    assert not [at for at in shown for start, end, *_ in quiet if start < at < end]


def test_the_page_knows_how_much_later_than_its_arrow_a_message_arrives(tmp_path):
    delay, jitter = "{uniform: [80us, 400us]}", "{uniform: [0s, 5ms]}"
    path = tmp_path / "late.yaml"
    path.write_text(
        NASTY.replace("lan: {}", f"lan: {{delay: {delay}, jitter: {jitter}}}")
        + "  - {at: 3s, impair: lan, delay: 300ms, for: 2s}\n  - {at: 5s, impair: lan, loss: 10%}\n",
        encoding="utf-8",
    )
    found = read_page(vrrpsim.load(path).run().html()).data["sequence"]
    assert found["usual"] == [80_000, 5_400_000]
    assert found["late"] == [[3 * SECOND_NS, 5 * SECOND_NS, "impair lan delay 300 ms"]]


def test_without_adverts_there_is_no_sequence():
    run = vrrpsim.load(CASES[0]).run(level=Level.STATES)
    assert read_page(run.html()).data["sequence"] is None


# --- sweeps


def test_a_sweep_says_what_its_document_says(sweep):
    data, document = read_page(sweep.html()).data, sweep.outcome.to_dict()
    assert [row["label"] for row in data["tables"][0]["rows"]] == ["loss=0%", "loss=20%"]
    for table in data["tables"]:
        unit = {"": 0, "s": 1, "ms": 1000, "us": 1_000_000}[table["unit"]]
        for row, cell in zip(table["rows"], document["cells"], strict=True):
            measure = cell["measures"][table["name"]]
            assert row["n"] == measure["n"]
            for (text, _), key in zip(row["quantiles"], table["columns"], strict=True):
                if measure[key] is not None and unit:
                    assert float(text) == pytest.approx(float(measure[key]) * unit, abs=0.06)
    judged = [each for cell in document["cells"] for each in (*cell["expectations"], *cell["thresholds"])]
    assert [each["ok"] for each in data["expectations"]] == [each["ok"] for each in judged]
    assert data["command"] == (
        "vrrpsim sweep haproxy-crash -n 8 -s 1 --vary segments.lan.loss=0%,20% --threshold 'outage.p50 < 1s'"
    )
    commands = {each["command"] for cell in document["cells"] for each in cell["worst"]}
    assert {each["command"] for each in data["worst"]} == commands
    assert commands
    for curves in data["curves"].values():
        for curve in curves:
            assert curve["part"] == sorted(curve["part"])
            assert curve["seconds"] == sorted(curve["seconds"])
            edges = zip(curve["low"], curve["part"], curve["high"], strict=True)
            assert all(low <= part <= high for low, part, high in edges)
    [first, _] = data["curves"]["failover"]
    assert first["seconds"][-1] == pytest.approx(float(document["cells"][0]["measures"]["failover"]["max"]))


def test_passwords_that_were_varied_are_masked(sweep):
    from vrrpsim.report.html.sweep import sweep_page

    document = sweep.outcome.to_dict()
    document["cells"][1]["vary"] = {"nodes.lb1.authentication.auth_pass": "hushhush"}
    document["cells"][1]["worst"][0]["command"] = "vrrpsim run x.yaml --set a.auth_pass=hushhush"
    assert b"hushhush" not in sweep_page(document, {})


# --- the command line


def test_the_commands_write_what_the_library_gives(tmp_path):
    def vrrpsim_(*words):
        environment = {"PYTHONHASHSEED": "7"}
        command = [sys.executable, "-m", "vrrpsim", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    assert vrrpsim_("run", CASES[0], "--html", tmp_path / "r.html", "-q").returncode == 0
    assert (tmp_path / "r.html").read_bytes() == page_of(CASES[0])
    done = vrrpsim_("sweep", CASES[0], "-n", 6, "-j", 1, "--html", tmp_path / "s.html", "-q")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s.html").read_bytes() == vrrpsim.load(CASES[0]).sweep(6, jobs=1).html()
    assert (
        vrrpsim_("run", CASES[0], "--set", "duration=9h", "--html", tmp_path / "l.html", "-q").returncode < 2
    )
    assert read_page((tmp_path / "l.html").read_bytes()).data["sequence"]["quiet"]
    several = vrrpsim_("run", CASES[0], CASES[1], "--html", tmp_path / "two.html")
    assert (several.returncode, "--html takes one scenario" in several.stderr) == (2, True)
    nowhere = vrrpsim_("sweep", CASES[0], "--html", tmp_path / "no" / "s.html")
    assert (nowhere.returncode, "cannot write" in nowhere.stderr) == (4, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["l.html", "r.html", "s.html"]
