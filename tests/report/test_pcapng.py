"""The capture: what is in it, what is said beside it, and that Wireshark finds nothing wrong with it."""

import shutil
import subprocess
from collections import defaultdict
from itertools import pairwise

import pytest
from reading import CASES, ROOT, SHIPPED, capture_of, name_of, read_pcapng, run_of

import vrrpsim
from vrrpsim.atomic_write import CannotWrite, write_whole
from vrrpsim.capture import capture

TSHARK = shutil.which("tshark")
EVERY = [*SHIPPED, *CASES[3:]]
BAD = " || ".join(
    ["_ws.malformed", *(f"({p} && !({p}.checksum.status == 1))" for p in ("vrrp", "ip", "tcp", "icmpv6"))]
)


def scenario(name, **overrides):
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return vrrpsim.load(ROOT / "scenarios" / f"{name}.yaml", changes).scenario


def captured(name, **overrides):
    return read_pcapng(capture(scenario(name, **overrides))[1])


def tshark(tmp_path, content, shown):
    """Rows of frame number and comment that a display filter shows, checksums on."""
    file = tmp_path / "c.pcapng"
    file.write_bytes(content)
    checks = [word for p in ("ip", "tcp") for word in ("-o", f"{p}.check_checksum:TRUE")]
    fields = [word for name in ("frame.number", "frame.comment") for word in ("-e", name)]
    command = [TSHARK, "-r", str(file), *checks, "-Y", shown, "-T", "fields", *fields]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [row.split("\t") for row in done.stdout.splitlines()]


needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")


@needs_tshark
def test_tshark_finds_no_malformed_frame_and_no_bad_checksum_in_any_scenario(tmp_path):
    content = b"".join(capture_of(path) for path in EVERY)  # sections may follow each other in one file
    count = sum(len(read_pcapng(capture_of(path)).packets) for path in EVERY)
    bad = [comment for _, comment in tshark(tmp_path, content, BAD)]
    assert all("checksum without pseudo-header (RFC 9568)" in comment for comment in bad), bad
    assert len(tshark(tmp_path, content, "frame")) == count


@needs_tshark
def test_only_corrupted_frames_are_bad_and_each_says_so(tmp_path):
    content = capture(scenario("haproxy-crash", segments__lan__corrupt="30%"))[1]
    bad = tshark(tmp_path, content, BAD)
    assert bad
    assert all("corrupted on the way" in comment for _, comment in bad)


@pytest.mark.parametrize("path", EVERY, ids=name_of)
def test_a_capture_changes_nothing_and_is_the_same_again(path):
    trace, content = capture(vrrpsim.load(path).scenario)
    assert trace.records == run_of(path).trace.records
    assert content == capture_of(path)
    packets = read_pcapng(content).packets
    assert all(0 <= a.at_ns <= b.at_ns for a, b in pairwise(packets))


def test_another_seed_gives_another_capture():
    assert capture(scenario("haproxy-crash"), 1)[1] != capture(scenario("haproxy-crash"), 2)[1]


def test_each_card_is_an_interface_even_if_it_never_sends():
    seen = captured("sync-group")
    assert seen.cards == ["fw-a:wan0", "fw-a:lan0", "fw-b:wan0", "fw-b:lan0", "internet", "office"]
    assert "sync-group, seed 1, digest " in seen.comment
    assert "inject" in captured("forged-advert").cards


@pytest.mark.parametrize("path", EVERY, ids=name_of)
def test_what_arrives_has_left_before(path):
    left = set()
    for packet in read_pcapng(capture_of(path)).packets:
        if packet.direction == "out":
            left.add(packet.data)
        elif (packet.data[12:14] == b"\x08\x00" and packet.data[23] == 6) or packet.data[20] == 6:
            continue  # answers to clients are made up on their side only
        else:
            assert packet.data in left


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_the_identification_counts_adverts_of_an_instance_from_1(path):
    numbers = defaultdict(list)
    for packet in read_pcapng(capture_of(path)).packets:
        if packet.advert and packet.direction == "out":
            numbers[packet.card, packet.advert[1]].append(packet.advert[3])
    assert numbers
    for each in numbers.values():
        assert each == list(range(1, len(each) + 1))


def test_a_restarted_keepalived_counts_from_1_again():
    packets = captured("graceful-stop").packets
    numbers = [p.advert[3] for p in packets if p.advert and (p.direction, p.card) == ("out", "lb1:eth0")]
    assert numbers.count(1) == 2


def test_a_lost_frame_is_only_with_its_sender_and_says_why():
    packets = captured("partition").packets
    lost = [p for p in packets if any(text.startswith("lost: partition") for text in p.comments)]
    assert lost
    assert {p.direction for p in lost} == {"out"}
    adverts = {p.data for p in lost if p.advert}
    assert adverts
    assert not adverts & {p.data for p in packets if p.direction == "in"}


def test_the_second_master_is_named_while_there_are_two():
    [dual, *_] = run_of(ROOT / "scenarios" / "partition.yaml").to_dict()["dual_master"]
    start, end = int(dual["start_s"] * 10**9), int(dual["end_s"] * 10**9)
    inside = [p for p in captured("partition").packets if start <= p.at_ns < end and p.advert]
    second = [p for p in inside if "second master: lb1 is MASTER too" in p.comments]
    assert second == [p for p in inside if p.card == "lb2:eth0" and p.direction == "out"]


def test_the_priority_is_explained_by_the_first_advert_that_carries_it():
    packets = captured("haproxy-crash").packets
    [packet] = [p for p in packets if "effective priority 101: chk_haproxy failed" in p.comments]
    assert packet.advert[2] == 101
    earlier = [p for p in packets if p.advert and p.at_ns < packet.at_ns and p.card == packet.card]
    assert 101 not in {p.advert[2] for p in earlier}


def test_rejected_adverts_say_so_where_they_arrive():
    packets = captured("auth-mismatch").packets
    rejected = [p for p in packets if any(text.startswith("rejected by PROXY") for text in p.comments)]
    assert (
        len(rejected) == run_of(ROOT / "scenarios" / "auth-mismatch.yaml").result.counts["adverts_rejected"]
    )
    assert {p.direction for p in rejected} == {"in"}


def test_duplicates_are_marked():
    packets = captured("haproxy-crash", segments__lan__duplicate="30%").packets
    assert any("duplicated on the way" in p.comments for p in packets if p.direction == "in")


def test_a_client_is_refused_while_nothing_serves_and_answered_before_and_after():
    packets = [
        p for p in captured("haproxy-crash").packets if p.data[12:14] == b"\x08\x00" and p.data[23] == 6
    ]
    flags = [p.data[47] for p in packets if p.direction == "in"]
    assert flags[0] == flags[-1] == 0x12  # SYN, ACK
    assert 0x14 in flags  # RST, ACK
    assert {p.card for p in packets} == {"web"}


def test_a_frozen_process_still_gets_its_connections_accepted():
    comments = [text for p in captured("haproxy-hung").packets for text in p.comments]
    assert "the kernel of lb1 accepts; its process is frozen and answers nothing" in comments


def test_files_are_there_completely_or_not_at_all(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    with pytest.raises(CannotWrite, match="cannot write"):
        write_whole(tmp_path / "missing" / "f", b"")
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_a_capture_of_an_old_cluster_begins_with_the_run(tmp_path):
    study = vrrpsim.load(ROOT / "scenarios" / "haproxy-crash.yaml", overrides={"age": "1d"})
    packets = read_pcapng(study.run().pcap()).packets
    assert 0 <= min(packet.at_ns for packet in packets) < 1.1e9
    assert max(packet.at_ns for packet in packets) < study.scenario.duration_ns


@pytest.mark.parametrize("name", ["haproxy-crash", "partition-multicast", "garp-lost", "packet-loss"])
def test_only_what_arrives_more_often_than_it_left_is_a_duplicate(name):
    """A burst of gratuitous frames sends the same bytes several times; nothing on the way copied them."""
    packets = read_pcapng(vrrpsim.load(ROOT / "scenarios" / f"{name}.yaml").run().pcap()).packets
    assert not [packet for packet in packets if "duplicated on the way" in packet.comments]


AH = """
version: 1
name: sealed
duration: 12s
segments: {lan: {subnet: 10.9.0.0/24}}
nodes:
  a: &a
    interfaces: {eth0: {segment: lan, address: 10.9.0.1/24}}
    keepalived: &k
      vrrp_instances:
        VI_1: &v {state: BACKUP, interface: eth0, virtual_router_id: 51, priority: 200, advert_int: 1,
                  authentication: {auth_type: AH, auth_pass: secret12}, virtual_ipaddress: [10.9.0.100]}
  b:
    interfaces: {eth0: {segment: lan, address: 10.9.0.2/24}}
    keepalived: {vrrp_instances: {VI_1: {<<: *v, priority: 100}}}
events:
  - {at: 6.1s, inject: lan, advert: &f {vrid: 51, priority: 250, addresses: [10.9.0.100], auth_type: ah,
                                        auth_pass: secret12, sequence: 2}}
  - {at: 6.2s, inject: lan, advert: {<<: *f, auth_pass: wrong, sequence: 900}}
  - {at: 6.3s, inject: lan, advert: {<<: *f, priority: 1, sequence: 900}}
  - {at: 9.95s, impair: b/eth0, corrupt: 100%, for: 500ms}
"""


@pytest.mark.skipif(TSHARK is None, reason="needs tshark")
def test_authentication_headers_are_bytes_that_tshark_reads(tmp_path):
    """A replay and a forged key are rejected, a newer number is heard, a flipped bit is noticed."""
    file = tmp_path / "sealed.yaml"
    file.write_text(AH)
    run, content = capture(vrrpsim.load(file).scenario)
    damaged = 'frame.comment contains "corrupted"'
    assert tshark(tmp_path, content, f"ah && ({BAD}) && !({damaged})") == []
    rows = tshark(tmp_path, content, "ah && vrrp && ip.proto == 51 && ah.spi")
    assert len(rows) >= 10
    assert len(tshark(tmp_path, content, "vrrp && !ah")) == 0
    reasons = [each.reason for each in run.records if type(each).__name__ == "AdvertRejected"]
    assert reasons[:4] == ["auth_failure"] * 4  # two nodes, a replay and a false key
    assert len(reasons) > 4  # bits flipped
    said = tshark(tmp_path, content, "ah && ah.sequence == 902")
    assert said  # the answer to number 900, one skipped
