"""Frames on the simulated wire are exact bytes: our readers and tshark agree."""

import shutil
import struct
import subprocess
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from test_clients import ipv6_pair
from tiny_world import VIP, WEB, Tap, node, pair, unicast, world

from vrrpsim.protocol.frames import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    decode_arp,
    decode_ethernet,
    decode_ipv4,
    decode_ipv6,
    decode_neighbor,
)
from vrrpsim.world.frame import NeighbourFrame, VrrpFrame


def four(**changes: Any) -> dict[str, Any]:
    nodes = {f"lb{n}": node(n, 102 - n, **changes) for n in (1, 2)}
    cut = {"at": "20s", "partition": [["lb1"], ["lb2"]], "for": "40s"}
    return pair({"at": "10s", "power_off": "lb1", "for": "3s"}, cut, clients=WEB, nodes=nodes, duration="80s")


def four_unicast() -> dict[str, Any]:
    document = four()
    document["nodes"] = {f"lb{n}": node(n, 102 - n, **unicast(n, 3 - n)) for n in (1, 2)}
    return document


def six() -> dict[str, Any]:
    """With a client that loses its router: probes by unicast and by multicast."""
    document = ipv6_pair() | {"duration": "80s"}
    document["events"] = [{"at": "12s", "power_off": "lb1"}, {"at": "20s", "power_off": "lb2"}]
    return document


CASES = {
    "v2": four(),
    "v2-auth": four(authentication={"auth_type": "PASS", "auth_pass": "secret"}),
    "v2-unicast": four_unicast(),
    "v3-vmac": four(version=3, use_vmac=True),
    "ipv6": six(),
}


def capture(document: dict[str, Any]) -> list[tuple[int, Any, bytes]]:
    made = world(document)
    tap = Tap(made)
    made.run()
    return [(at_ns, frame, frame.encode(number)) for number, (at_ns, _, frame) in enumerate(tap.sent, 1)]


@pytest.mark.parametrize("case", CASES)
def test_our_readers_read_what_the_frame_says(case: str) -> None:
    for number, (_, frame, wire) in enumerate(capture(CASES[case]), 1):
        outer = decode_ethernet(wire)
        assert outer is not None
        assert outer.src_mac == frame.src_mac
        if isinstance(frame, VrrpFrame):
            assert outer.dst_mac == frame.dst_mac
            read = decode_ipv4 if outer.ethertype == ETHERTYPE_IPV4 else decode_ipv6
            packet = read(outer.payload)
            assert packet is not None
            assert (packet.source, packet.destination) == (frame.datagram.source, frame.datagram.destination)
            assert (packet.protocol, packet.ttl, packet.payload) == (112, 255, frame.datagram.payload)
            assert packet.identification in (0, number)
        elif outer.ethertype == ETHERTYPE_ARP:
            assert outer.dst_mac == frame.dst_mac
            arp = decode_arp(outer.payload)
            assert arp is not None
            assert (arp.sender, arp.target, arp.sender_mac) == (frame.sender, frame.target, frame.sender_mac)
            assert arp.gratuitous == (frame.sender == frame.target)
            assert arp.operation == (2 if frame.operation == "reply" else 1)
        else:
            assert outer.ethertype == ETHERTYPE_IPV6
            packet = decode_ipv6(outer.payload)
            assert packet is not None
            assert isinstance(frame, NeighbourFrame)
            neighbour = decode_neighbor(packet)
            assert neighbour is not None
            assert neighbour.mac == frame.sender_mac
            about = frame.target if frame.operation == "request" else frame.sender
            assert neighbour.target == about
            assert neighbour.solicited == (frame.operation == "reply")


def test_a_gratuitous_arp_to_the_bit() -> None:
    """GA-9: broadcast request, sender and target are the address, target MAC broadcast."""
    wires = [wire for _, frame, wire in capture(CASES["v2"]) if "garp" in frame.kinds]
    mac, vip = bytes((2, 0, 0, 0, 1, 0)), IPv4Address(VIP).packed
    assert (
        wires[0]
        == b"\xff" * 6 + mac + bytes.fromhex("0806 0001 0800 06 04 0001") + mac + vip + b"\xff" * 6 + vip
    )
    assert len(wires[0]) == 42


def test_probes_of_ipv6_go_to_the_neighbour_alone() -> None:
    asked = [
        (frame, decode_ethernet(wire), decode_ipv6(wire[14:]))
        for _, frame, wire in capture(CASES["ipv6"])
        if isinstance(frame, NeighbourFrame) and frame.operation == "request"
    ]
    kinds = Counter()
    for frame, outer, packet in asked:
        assert outer is not None
        assert packet is not None
        probe = not frame.dst_mac[0] & 1
        kinds[probe] += 1
        if probe:
            assert (outer.dst_mac, packet.destination) == (frame.dst_mac, frame.target)
        else:
            assert outer.dst_mac[:3] == b"\x33\x33\xff"
            assert packet.destination.is_multicast
    assert kinds[True] >= 3
    assert kinds[False] >= 3


# --- what the world's own dissector says


def pcap(path: Path, frames: list[tuple[int, Any, bytes]]) -> None:
    """The classic format with nanoseconds."""
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    body = b"".join(
        struct.pack("<IIII", at_ns // 10**9, at_ns % 10**9, len(wire), len(wire)) + wire
        for at_ns, _, wire in frames
    )
    path.write_bytes(head + body)


FIELDS = (
    "frame.protocols",
    "eth.src",
    "vrrp.prio",
    "vrrp.checksum.status",
    "_ws.malformed",
    "_ws.expert.message",
)
TSHARK = shutil.which("tshark")


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed (apt-get install tshark)")
@pytest.mark.parametrize("case", CASES)
def test_tshark_finds_nothing_wrong(case: str, tmp_path: Path) -> None:
    frames = capture(CASES[case])
    pcap(tmp_path / "run.pcap", frames)
    checks = (
        "ip.check_checksum:TRUE",
        "arp.detect_duplicate_ips:FALSE",
        "arp.detect_request_storms:FALSE",
    )
    command = [str(TSHARK), "-n", "-r", str(tmp_path / "run.pcap"), "-T", "fields", "-E", "separator=|"]
    command += [word for check in checks for word in ("-o", check)] + [w for f in FIELDS for w in ("-e", f)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [dict(zip(FIELDS, line.split("|"), strict=True)) for line in done.stdout.splitlines()]
    assert len(rows) == len(frames)
    for row, (_, frame, wire) in zip(rows, frames, strict=True):
        assert row["eth.src"] == frame.src_mac.hex(":")
        assert row["_ws.malformed"] == ""
        assert row["_ws.expert.message"] == "", (row, wire.hex())
        assert row["frame.protocols"].endswith(("vrrp", "arp", "icmpv6"))
        if isinstance(frame, VrrpFrame):
            assert row["vrrp.prio"] == str(frame.datagram.payload[2])
            assert row["vrrp.checksum.status"] in ("1", "Good")
    assert Counter(row["frame.protocols"].rpartition(":")[2] for row in rows).total() > 50
