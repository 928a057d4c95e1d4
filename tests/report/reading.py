"""Reads back what the reports write: pcapng without any library, ids of an SVG, the trace's JSON lines."""

import json
import re
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path

import vrrpsim
from vrrpsim.capture import capture
from vrrpsim.report.style import render
from vrrpsim.trace import RECORD_TYPES, Trace

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").glob("*.yaml"))
CASES = [
    *(ROOT / "scenarios" / f"{name}.yaml" for name in ("haproxy-crash", "partition", "sync-group")),
    *(
        ROOT / "tests" / "groundtruth" / name / "scenario.yaml"
        for name in ("01-haproxy-crash", "08-partition", "26a-sync-group")
    ),
]
EPOCH_NS = 946_684_800_000_000_000


def name_of(path):
    return path.parent.name if path.name == "scenario.yaml" else path.stem


@cache
def run_of(path):
    return vrrpsim.load(path).run()


@cache
def document_of(path):
    """What --json prints, with times as integer nanoseconds."""
    return json.loads(run_of(path).to_json(), parse_float=lambda text: int(Decimal(text).scaleb(9)))


@cache
def capture_of(path):
    return capture(vrrpsim.load(path).scenario)[1]


@cache
def svg_of(path):
    return render(run_of(path).plot(), "svg")


def tenures_of(document):
    return sorted((t["address"], t["nodes"][0], t["start_s"], t["end_s"]) for t in document["tenures"])


@dataclass
class Packet:
    at_ns: int
    card: str
    direction: str
    data: bytes
    comments: list = field(default_factory=list)

    @property
    def advert(self):
        """Family, VRID, priority and IPv4 identification; None for other frames."""
        if self.data[12:14] == b"\x08\x00" and self.data[23] == 112:
            return 4, self.data[35], self.data[36], int.from_bytes(self.data[18:20], "big")
        if self.data[12:14] == b"\x86\xdd" and self.data[20] == 112:
            return 6, self.data[55], self.data[56], None
        return None

    @property
    def gratuitous(self):
        """The IPv4 address that a gratuitous ARP announces."""
        arp = self.data[14:]
        if self.data[12:14] == b"\x08\x06" and arp[7] == 1 and arp[14:18] == arp[24:28]:
            return ".".join(map(str, arp[14:18]))
        return None


@dataclass
class Capture:
    comment: str
    cards: list
    packets: list


def read_pcapng(content):
    """Check every length on the way."""
    cards, packets, section = [], [], ""
    at = 0
    while at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", content, at + length - 4) == (length,)
        body = content[at + 8 : at + length - 4]
        if kind == 0x0A0D0D0A:
            assert at == 0
            assert struct.unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1)
            section = dict(options(body[16:]))[1].decode()
        elif kind == 1:
            assert struct.unpack_from("<HHI", body) == (1, 0, 0)
            assert dict(options(body[8:]))[9] == b"\x09"
            cards.append(dict(options(body[8:]))[2].decode())
        else:
            assert kind == 6
            card, high, low, size, original = struct.unpack_from("<IIIII", body)
            assert size == original
            rest = options(body[20 + size + -size % 4 :])
            [flags] = [struct.unpack("<I", value)[0] for code, value in rest if code == 2]
            comments = [value.decode() for code, value in rest if code == 1]
            at_ns = (high << 32 | low) - EPOCH_NS
            packets.append(
                Packet(at_ns, cards[card], {1: "in", 2: "out"}[flags], body[20 : 20 + size], comments)
            )
        at += length
    assert at == len(content)
    return Capture(section, cards, packets)


def options(data):
    found, at = [], 0
    while True:
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            assert at + 4 == len(data)
            return found
        found.append((code, data[at + 4 : at + 4 + length]))
        at += 4 + length + -length % 4


def ids(svg, kind):
    """The parts of every id of a kind, such as owner/ADDRESS/NODE/START/END."""
    return [each.split("/")[1:] for each in re.findall(rf'id="({kind}/[^"]*)"', svg.decode())]


def read_trace(lines):
    """Return the trace that JSON lines tell."""
    types = {each.__name__: each for each in RECORD_TYPES}
    trace = Trace()
    for line in lines:
        row = json.loads(line)
        kind = row.pop("record", None) or row.pop("kind")
        if kind == "End":
            trace.end_ns = row["at_ns"]
        else:
            values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
            trace.records.append(types[kind](**values))
    return trace
