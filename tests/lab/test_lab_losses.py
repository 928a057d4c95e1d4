"""What the bridges lose is seen frame by frame: who sent it, who did not get it, what it was and why."""

import struct

from lab_files import needs_namespaces, pair

import vrrpsim
from vrrpsim.lab import taps
from vrrpsim.report.messages import Everybody, routes
from vrrpsim.trace import AdvertSent, Fault, FaultEnd, FrameLost, StateChange

S = 1_000_000_000
EDGE_NS = 300_000_000  # until a rule is in force, or no longer
EVENTS = """\
  - {at: 4s, partition: [[lb1], [lb2]], for: 1500ms}
  - {at: 7s, impair: lan, loss: 100%, only: [app], from: web, for: 1s}
"""


@needs_namespaces
def test_every_lost_frame_is_in_the_trace(tmp_path):
    scenario = pair(tmp_path, duration="9s", events=EVENTS)
    (run,) = vrrpsim.load(scenario).lab(1)
    lost = [each for each in run.trace.records if isinstance(each, FrameLost)]
    assert run.to_dict()["counts"]["frames_lost"] == len(lost) > 0
    cut, deaf = (each.at_ns for each in run.trace.records if isinstance(each, Fault))
    healed, _ = (each.at_ns for each in run.trace.records if isinstance(each, FaultEnd))
    apart = {"lb1:eth0", "lb2:eth0"}
    for each in lost:
        assert each.segment == "lan"
        if each.reason == "partition":
            assert {each.source, each.destination} == apart
            assert cut < each.at_ns < healed + EDGE_NS
        else:
            assert (each.reason, each.kind, each.source) == ("loss", "app", "web")
            assert each.destination in apart
            assert each.at_ns > deaf

    def adverts(node):
        sent = (r.at_ns for r in run.trace.records if isinstance(r, AdvertSent) and r.node == node)
        return [at_ns for at_ns in sent if cut + EDGE_NS < at_ns < healed]

    assert adverts("lb1")
    for node in ("lb1", "lb2"):
        gone = [r.at_ns for r in lost if (r.kind, r.source) == ("vrrp", f"{node}:eth0")]
        for at_ns in adverts(node):  # each once, and not before it was sent
            assert len([each for each in gone if 0 <= each - at_ns < 10_000_000]) == 1
    assert {r.kind for r in lost if r.reason == "partition"} >= {"vrrp", "garp"}
    (taken,) = (
        r
        for r in run.trace.records
        if isinstance(r, StateChange) and (r.node, r.new) == ("lb2", "MASTER") and cut < r.at_ns < healed
    )
    assert taken.at_ns - taken.last_advert_ns > 0.3 * S  # 0.357 s; what was lost has not been heard
    drawn = [route for at_ns, route in routes(run.trace, Everybody(run.scenario)) if route.lost]
    assert {(route.kind, route.why) for route in drawn} == {("advert", "partition"), ("garp", "partition")}


def test_what_is_logged_without_a_time_is_lost_now(monkeypatch):
    """The kernel stamps only what came from a card."""

    class Tap:
        def __init__(self, *attributes):
            body = b"\0\0\0\1" + b"".join(
                struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
                for kind, data in attributes
            )
            self.data = [struct.pack("=IHHII", 16 + len(body), taps.LOGGED_PACKET, 0, 0, 0) + body]

        def recv(self, _most):
            if not self.data:
                raise BlockingIOError
            return self.data.pop()

    ports = ((taps.CAME_BY, b"\0\0\0\3"), (taps.WOULD_LEAVE_BY, b"\0\0\0\4"), (taps.REASON, b"loss\0"))
    frame = ((taps.ETHERNET, bytes(14)), (taps.PAYLOAD, b"hello"))
    (told,) = taps.dropped(Tap(*ports, *frame), 5 * S)
    assert told == (5 * S + 999, 3, 4, 0, "loss", bytes(14) + b"hello")
    (told,) = taps.dropped(Tap(*ports, *frame, (taps.TIME, struct.pack(">QQ", 7, 8))), 5 * S)
    assert told.wall_ns == 7 * S + 8_999
    assert list(taps.dropped(Tap(*ports), 0)) == []
