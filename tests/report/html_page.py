"""Reads an HTML page back without a browser, and makes pages that runs would take too long for."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from vrrpsim.build import load
from vrrpsim.measure import measure
from vrrpsim.run import Run
from vrrpsim.trace import (
    AddressChange,
    AdvertSent,
    Fault,
    FaultEnd,
    FrameLost,
    NodeChange,
    PriorityChange,
    Reachability,
    StateChange,
    Trace,
)

ROOT = Path(__file__).parents[2]
SECOND_NS = 1_000_000_000


@dataclass
class Page(HTMLParser):
    text: str
    tags: list = field(default_factory=list)  # (name, attributes)
    texts: dict = field(default_factory=dict)  # what stands in an element, by its tag (data: by its id)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self._open = ""
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._open = attributes.get("id", tag)

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data

    @property
    def data(self):
        return json.loads(self.texts["data"])


def read_page(content):
    return Page(content.decode())


def slices(data, lane):
    """(start, end, text, tone, why) of each slice of a lane."""
    flat = lane["slices"]
    starts = [*flat[::3], data["duration"]]
    return [
        (start, end, *data["words"][what], data["words"][why][0] if why >= 0 else "")
        for start, end, what, why in zip(starts, starts[1:], flat[1::3], flat[2::3], strict=False)
    ]


def messages(data):
    """(instant, route) of each message that was kept."""
    flat, now, found = data["sequence"]["messages"], 0, []
    for delta, route in zip(flat[::2], flat[1::2], strict=True):
        now += delta
        found.append((now, data["sequence"]["routes"][route]))
    return found


def long_run(hours=24, flaps=200):
    """A run as a day's would be, from records made here: one advert a second, a failover every some minutes,
    a client that loses a request every twenty seconds."""
    study = load(ROOT / "scenarios" / "haproxy-crash.yaml", {"duration": f"{hours}h"})
    end_ns = hours * 3600 * SECOND_NS
    records = [NodeChange(0, "lb1", "on"), NodeChange(0, "lb2", "on")]
    records += [
        AdvertSent(at, "lb1", "VI_1", 103, "192.168.50.20") for at in range(SECOND_NS // 2, end_ns, SECOND_NS)
    ]
    records += [
        FrameLost(at, "lan", "lb1:eth0", "lb2:eth0", "vrrp", "loss")
        for at in range(SECOND_NS // 2, end_ns, 50 * SECOND_NS)
    ]
    for at in range(5 * SECOND_NS, end_ns, 20 * SECOND_NS):
        records.append(Reachability(at, "web", True, "lb1", ""))
        records.append(Reachability(at + 19 * SECOND_NS, "web", False, "lb1", "a frame was lost"))
    step = end_ns // (flaps + 1)
    for number in range(flaps):
        at, old, new = step * (number + 1), f"lb{number % 2 + 1}", f"lb{(number + 1) % 2 + 1}"
        records += [
            Fault(at, number, "", "kill", f"{old}/haproxy", (f"{old}/haproxy",), at + 9 * SECOND_NS),
            PriorityChange(at + SECOND_NS, old, "VI_1", 103, 101, "chk_haproxy fails"),
            StateChange(at + 4 * SECOND_NS, new, "VI_1", "BACKUP", "MASTER", "master_down_timer", at),
            AddressChange(at + 4 * SECOND_NS, new, "eth0", "192.168.50.108", True),
            StateChange(at + 4 * SECOND_NS + 500_000, old, "VI_1", "MASTER", "BACKUP", "higher_advert"),
            AddressChange(at + 4 * SECOND_NS + 700_000, old, "eth0", "192.168.50.108", False),
            FaultEnd(at + 9 * SECOND_NS, number),
            PriorityChange(at + 10 * SECOND_NS, old, "VI_1", 101, 103, "chk_haproxy succeeds"),
        ]
    trace = Trace()
    trace.records = sorted(records, key=lambda record: record.at_ns)
    trace.end_ns = end_ns
    return Run(study.scenario, 1, trace, measure(study.scenario, trace, seed=1), study.overrides)
