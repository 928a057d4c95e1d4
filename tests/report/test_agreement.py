"""Plot, pcapng, Perfetto and trace of one run tell what `--json` tells: owners and times are equal."""

import json
import subprocess
import sys

import pytest
from reading import (
    CASES,
    capture_of,
    document_of,
    ids,
    name_of,
    read_pcapng,
    read_trace,
    run_of,
    svg_of,
    tenures_of,
)

from vrrpsim.measure import measure
from vrrpsim.report.waterfall import main_failover
from vrrpsim.trace import AdvertSent, FrameLost, Gratuitous, PriorityChange, StateChange

cases = pytest.mark.parametrize("path", CASES, ids=name_of)


def joined(spans):
    """Tenures from the stretches of an owner lane: (address, node, start, end) that touch are one."""
    found = []
    for address, node, start, end in sorted(spans):
        if found and found[-1][:2] == (address, node) and found[-1][3] == start:
            start = found.pop()[2]
        found.append((address, node, start, end))
    return found


@cases
def test_the_plot_shows_the_owners_faults_and_outages_of_the_document(path):
    svg, document = svg_of(path), document_of(path)
    lanes = ids(svg, "owner")
    spans = [
        (address, node, int(start), int(end))
        for address, nodes, start, end in lanes
        for node in nodes.split("+")
        if node != "nobody"
    ]
    assert joined(spans) == tenures_of(document)
    events = [(int(at), verb) for _, verb, at in sorted(ids(svg, "event"))]
    assert events == [(each["at_s"], each["verb"]) for each in document["events"]]
    outages = [(client, int(start), int(end)) for client, start, end in ids(svg, "outage")]
    assert outages == [
        (name, each["start_s"], each["end_s"])
        for name, client in document["clients"].items()
        for each in client["outages"]
    ]


@cases
def test_the_plot_explains_one_of_the_documents_failovers(path):
    run, document = run_of(path), document_of(path)
    parts = {f"{name}_s": int(length) for name, length in ids(svg_of(path), "part")}
    _, main = main_failover(run.result)
    assert parts
    assert any(
        (each["fault_s"], each["to"]) == (main.fault_ns, main.new) and parts.items() <= each.items()
        for each in document["failovers"]
    )


@cases
def test_the_plot_shows_every_state_of_the_trace(path):
    run = run_of(path)
    shown = {tuple(each[:4]) for each in ids(svg_of(path), "state")}
    changes = [record for record in run.trace.records if isinstance(record, StateChange)]
    assert changes
    for record in changes:
        assert (record.node, record.instance, record.new, str(record.at_ns)) in shown


@cases
def test_perfetto_has_the_owners_states_faults_and_outages(path):
    run, document = run_of(path), document_of(path)
    events = json.loads(run.perfetto())["traceEvents"]
    process = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    thread = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}

    def slices(category):
        return sorted(
            (process[e["pid"]], thread[e["tid"]], e["name"], ns(e["ts"]), ns(e["ts"]) + ns(e["dur"]))
            for e in events
            if e["ph"] == "X" and e["cat"] == category
        )

    tenures = [(address, node, start, end) for node, address, _, start, end in slices("tenure")]
    assert sorted(tenures) == tenures_of(document)
    faults = [ns(e["ts"]) for e in events if e["ph"] == "i" and e["cat"] == "fault"]
    assert faults == [each["at_s"] for each in document["events"]]
    assert [each[3:] for each in slices("outage")] == sorted(
        (each["start_s"], each["end_s"]) for c in document["clients"].values() for each in c["outages"]
    )
    begun = {each[:4] for each in slices("state")}
    changes = [record for record in run.trace.records if isinstance(record, StateChange)]
    assert {(r.node, r.instance, r.new, r.at_ns) for r in changes} <= begun


def ns(microseconds):
    return round(microseconds * 1000)


@cases
def test_the_capture_has_the_adverts_gratuitous_frames_and_losses_of_the_trace(path):
    run = run_of(path)
    packets = read_pcapng(capture_of(path)).packets
    out = [packet for packet in packets if packet.direction == "out"]
    lost = [record for record in run.trace.records if isinstance(record, FrameLost)]
    never_left = [record.kind for record in lost if not record.destination]
    adverts = [record for record in run.trace.records if isinstance(record, AdvertSent)]
    assert len([p for p in out if p.advert]) == len(adverts) - never_left.count("vrrp")
    gratuitous = [record for record in run.trace.records if isinstance(record, Gratuitous)]
    assert len([p for p in out if p.gratuitous]) == len(gratuitous) - never_left.count("garp")
    comments = [comment for packet in out for comment in packet.comments]
    assert sum(text.startswith("lost: ") for text in comments) == len(lost) - len(never_left)


@cases
def test_the_capture_shows_each_claim_of_the_document(path):
    document = document_of(path)
    packets = read_pcapng(capture_of(path)).packets
    assert document["failovers"]
    for each in document["failovers"]:
        if each["kind"] == "heal":
            continue  # who wins may have announced the address long before
        claims = [
            packet.at_ns
            for packet in packets
            if packet.gratuitous == each["address"]
            and packet.direction == "out"
            and packet.card.partition(":")[0] == each["to"]
            and packet.at_ns >= each["owner_s"]
        ]
        assert claims[0] == each["fault_s"] + each["detect_s"] + each["elect_s"] + each["claim_s"]


@cases
def test_every_master_and_event_is_commented(path):
    run, document = run_of(path), document_of(path)
    packets = read_pcapng(capture_of(path)).packets
    comments = [(packet.at_ns, text) for packet in packets for text in packet.comments]
    told = [(at_ns, text.split()[0]) for at_ns, text in comments if " becomes MASTER" in text]
    masters = [r for r in run.trace.records if isinstance(r, StateChange) and r.new == "MASTER"]
    assert [node for _, node in sorted(told)] == [record.node for record in masters]
    assert sum(text.startswith("event at ") for _, text in comments) >= len(document["events"])


@cases
def test_the_trace_read_back_measures_the_same(path):
    run = run_of(path)
    back = read_trace(run.trace.json_lines())
    assert measure(run.scenario, back, seed=run.seed).to_json() == run.to_json()


@cases
def test_perfetto_arrows_lead_from_adverts_to_the_changes_they_caused(path):
    run = run_of(path)
    events = json.loads(run.perfetto())["traceEvents"]
    begins = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert begins.keys() == ends.keys()
    sent = {ns(e["ts"]) for e in events if e["ph"] == "i" and e["cat"] == "advert"}
    for number, begin in begins.items():
        assert ns(begin["ts"]) in sent
        assert begin["ts"] <= ends[number]["ts"]
        assert begin["pid"] != ends[number]["pid"]
        assert [e for e in events if e["ph"] == "X" and e["cat"] == "state" and encloses(e, ends[number])]
    higher = [
        r.at_ns for r in run.trace.records if isinstance(r, StateChange) and r.reason == "higher_advert"
    ]
    assert set(higher) <= {ns(e["ts"]) for e in ends.values()}


def encloses(slice_, arrow):
    here = (slice_["pid"], slice_["tid"]) == (arrow["pid"], arrow["tid"])
    return here and slice_["ts"] <= arrow["ts"] <= slice_["ts"] + slice_["dur"]


@cases
def test_perfetto_counts_the_priorities(path):
    run = run_of(path)
    events = json.loads(run.perfetto())["traceEvents"]
    process = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    points = {
        (process[e["pid"]], e["name"], ns(e["ts"]), e["args"]["priority"]) for e in events if e["ph"] == "C"
    }
    changes = [r for r in run.trace.records if isinstance(r, PriorityChange)]
    assert points
    assert {(r.node, f"{r.instance} priority", r.at_ns, r.new) for r in changes} <= points


def test_the_command_writes_what_the_library_gives(tmp_path):
    path = CASES[0]
    names = {"--plot": "r.svg", "--pcap": "r.pcapng", "--perfetto": "r.json", "--trace": "r.jsonl"}
    words = [word for option, name in names.items() for word in (option, str(tmp_path / name))]
    done = subprocess.run(
        [sys.executable, "-m", "vrrpsim", "run", str(path), *words, "--json"],
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.decode().strip() == run_of(path).to_json()
    assert (tmp_path / "r.svg").read_bytes() == svg_of(path)
    assert (tmp_path / "r.pcapng").read_bytes() == capture_of(path)
    assert (tmp_path / "r.json").read_bytes() == run_of(path).perfetto()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(names.values())
