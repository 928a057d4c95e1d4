"""What the page asks of Python, in CPython: files, faults, keywords, findings, errors as answers."""

import json

import engine
import pytest
from engine import Mistake, add, begin, example, knobs, place, remove, seeds, serve, study, turn

import vrrpsim
from vrrpsim import examples
from vrrpsim.scenario.file.yaml_tree import read_tree

LEVELS = ["level/calm-lan", "level/office-switch", "level/haunted-hypervisor"]
PAIR = ("lb1.conf", "lb2.conf")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", LEVELS)
def test_each_level_runs_without_a_finding(name):
    found = study(example(name))
    assert found["findings"] == []
    assert found["run"]["verdict"] in ("pass", "fail")
    assert any(lane["slices"] for lane in found["run"]["lanes"]["clients"])


def test_the_levels_get_worse():
    outages = [max(seeds(example(name), 1, 20)["outage"]) for name in LEVELS]
    assert outages[0] < 6e9 < min(outages[1:])


@pytest.mark.parametrize(
    "name", ["haproxy-crash", "three-nodes-v3", "reload", "regressions/unicast-waits-for-arp"]
)
def test_an_example_in_the_page_is_the_run_of_the_command_line(name):
    assert study(example(name))["run"]["digest"] == vrrpsim.load(name).run().trace.digest()


def test_two_configurations_become_a_scenario():
    pair = {name: example("level/calm-lan")[name] for name in PAIR}
    files = begin(pair)
    assert list(files) == ["scenario.yaml", *PAIR]
    assert study(files)["run"]["verdict"] == "pass"


def test_findings_have_their_places_in_both_kinds_of_files():
    files = example("level/calm-lan")
    files["lb2.conf"] = files["lb2.conf"].replace("weight 2", "wieght 2").replace("1234", "4321")
    found = {(each["file"], each["severity"], each["code"]) for each in study(files)["findings"]}
    assert ("lb2.conf", "warning", "VRRP114") in found
    assert any(file in PAIR and severity == "error" for file, severity, _ in found)
    files["scenario.yaml"] = files["scenario.yaml"].replace("duration:", "duraton:")
    broken = study(files)
    assert broken["run"] is None
    assert any(
        each["line"] == 6 and "did you mean 'duration'" in each["message"] for each in broken["findings"]
    )


@pytest.mark.parametrize("name", [*LEVELS, *examples.names()])
def test_a_fault_is_added_at_the_end_of_the_events_and_removed_again(name):
    files = example(name)
    place(files)
    events = read_tree(engine.Path(engine.scenario_of(files))).root.get("events", [])
    node = next(iter(vrrpsim.load(engine.scenario_of(files)).scenario.nodes))
    event = f"{{at: 1s, pause: {node}, for: 500ms}}"
    changed = add(files, event)
    place(changed)
    assert len(read_tree(engine.Path(engine.scenario_of(files))).root["events"]) == len(events) + 1
    assert vrrpsim.load(engine.scenario_of(files)).scenario.events[len(events)].verb == "pause"
    assert remove(changed, event) == files


def test_events_in_one_line_are_refused_in_words():
    files = example("level/calm-lan")
    files["scenario.yaml"] = "version: 1\nevents: [{at: 1s, pause: a, for: 1s}]\n"
    with pytest.raises(Mistake, match="list of lines"):
        add(files, "{at: 3s, kill: lb1/haproxy}")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("advert_int VI_1", 0.5, dict.fromkeys(PAIR, "advert_int 0.5")),
        ("fall chk_haproxy", 3, dict.fromkeys(PAIR, "fall 3")),  # was not written there
        ("priority VI_1 lb1", 150, {"lb1.conf": "priority 150", "lb2.conf": "priority 100"}),
        ("preempt_delay VI_1", 30, dict.fromkeys(PAIR, "preempt_delay 30")),
    ],
)
def test_a_keyword_is_turned_in_every_file_that_has_its_block(key, value, expected):
    files = turn(example("level/calm-lan"), key, value)
    assert all(text in files[name] for name, text in expected.items())
    place(files)
    [knob] = [each.shown() for each in knobs(files) if each.key == key]
    assert (knob["value"], knob["differ"]) == (value, False)
    assert study(files)["run"]
    assert turn(files, key, value) == files


@pytest.mark.parametrize(("name", "step"), [("haproxy-crash", 1), ("three-nodes-v3", 0.1)])
def test_adverts_are_counted_in_the_unit_of_their_version(name, step):
    files = example(name)
    place(files)
    assert {knob.shown()["step"] for knob in knobs(files) if knob.keyword == "advert_int"} == {step}


def test_inline_configurations_are_turned_too():
    files = example("power-loss")
    place(files)
    names = {knob.key for knob in knobs(files)}
    [key] = [name for name in names if name.startswith("advert_int")] or [min(names)]
    changed = turn(files, key, 2)
    assert study(changed)["run"]["digest"] != study(files)["run"]["digest"]


def test_a_keyword_in_a_comment_or_in_another_block_is_left_alone():
    conf = (
        'vrrp_script chk {\n  script "x"\n  # interval 9\n  interval 2 # seconds\n}\n'
        "vrrp_instance A {\n  interface eth0\n  virtual_router_id 1\n  priority 100\n"
        "  track_script {\n    chk weight 5\n  }\n}\n"
    )
    found = list(engine.written(conf))
    assert ("interval", "chk", 3, 11, "2") in found
    assert ("weight", "chk", 0, -1, "") in found  # absent, not the tracker's


def test_every_answer_is_json_even_of_nonsense():
    assert "good" in json.loads(serve("example", '{"name": "haproxy-crash"}'))
    assert "no example" in json.loads(serve("example", '{"name": "nothing"}'))["mistake"]
    assert json.loads(serve("begin", '{"files": {"a.conf": "nonsense {"}}')).keys() & {"findings", "good"}
    assert "no name for a file" in json.loads(serve("study", '{"files": {"../x.yaml": ""}}'))["mistake"]
    assert "no scenario" in json.loads(serve("study", '{"files": {"a.conf": ""}}'))["mistake"]
    assert "Traceback" in json.loads(serve("nothing", "{}"))["bug"]


def test_a_census_of_some_faults_says_what_comes_of_them():
    files = example("level/calm-lan")
    names = engine.single_faults(files)
    assert {"kill lb1/haproxy", "cut lb1 | lb2"} <= {*names}
    cells = {cell["fault"]: cell for cell in engine.census(files, ["kill lb1/haproxy", "cut lb1 | lb2"])}
    assert cells["cut lb1 | lb2"]["outcome"] == "split brain"
    assert cells["kill lb1/haproxy"]["rank"] > cells["cut lb1 | lb2"]["rank"]
    assert 2e9 < cells["kill lb1/haproxy"]["outage"] < 6e9


def test_the_capture_is_pcapng():
    assert engine.capture(example("level/calm-lan"))[:4] == b"\x0a\x0d\x0d\x0a"
