"""The switch and what befalls frames between two of its ports."""

from collections import Counter
from ipaddress import IPv4Address, ip_network

import pytest
from tiny_world import MS, US, Ear, S, Tap, advert, at, hosts, ip, masters, pair, port, records, run, world

from vrrpsim.protocol.frames import multicast_mac
from vrrpsim.scenario.events import Impairment
from vrrpsim.scenario.model import Segment
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import AdvertRejected, FrameLost
from vrrpsim.world import World
from vrrpsim.world.calendar import Kind
from vrrpsim.world.frame import GRATUITOUS, REPLY, REQUEST, Frame, NeighbourFrame
from vrrpsim.world.impairment import ActiveImpairment

LAN = ip_network("10.0.0.0/24")
JOINED = multicast_mac(IPv4Address("224.0.0.18"))


def lan(**changes: object) -> Segment:
    return Segment(subnet=LAN, **({"delay": Distribution.fixed(100 * US)} | changes))  # type: ignore[arg-type]


def arp(made: World, sender: str, receiver: str | None = None, operation: str = REQUEST) -> NeighbourFrame:
    """A frame that nobody reacts to: it asks for an address that is not there."""
    source = port(made, sender)
    mac = port(made, receiver).mac if receiver else b"\xff" * 6
    return NeighbourFrame(operation, source.mac, next(iter(source.local)), IPv4Address("10.0.0.99"), mac)


def send_every(made: World, sender: str, every_ns: int, frames: list[Frame]) -> None:
    """Transmit the frames one after the other, from 1 s on."""
    for number, frame in enumerate(frames):
        made.calendar.at(S + number * every_ns, Kind.TIMER, 0, port(made, sender).transmit, frame)


def impair(
    made: World, name: str = "test", senders: str = "", receivers: str = "", **words: object
) -> ActiveImpairment:
    def names(text: str) -> frozenset[str] | None:
        return frozenset(f"{word}:eth0" for word in text.split()) or None

    effect = ActiveImpairment(made.context, name, Impairment(**words), names(senders), names(receivers))  # type: ignore[arg-type]
    made.segments["lan"].impair(effect)
    return effect


# --- the learning switch


def test_unknown_unicast_floods_and_known_unicast_does_not() -> None:
    made = hosts("a", "b", "c")
    b, c = Ear(port(made, "b")), Ear(port(made, "c"))
    port(made, "a").transmit(arp(made, "a", "b"))
    made.calendar.run(S)
    assert (len(b.heard), len(c.heard)) == (1, 1)
    port(made, "b").transmit(arp(made, "b", "a"))
    port(made, "a").transmit(arp(made, "a", "b"))
    made.calendar.run(2 * S)
    assert (len(b.heard), len(c.heard)) == (2, 1)


def test_no_frame_returns_to_its_sender() -> None:
    made = hosts("a", "b")
    a = Ear(port(made, "a"))
    for frame in (arp(made, "a"), arp(made, "a", "a"), advert(port(made, "a")), arp(made, "a", "a")):
        port(made, "a").transmit(frame)
    made.calendar.run(S)
    assert a.heard == []


def test_a_mac_that_moves_is_followed() -> None:
    made = hosts("a", "b", "c")
    a, b, c = (port(made, name) for name in "abc")
    shared = b"\x00\x00\x5e\x00\x01\x33"
    for holder, other in ((b, c), (c, b), (b, c)):
        holder.transmit(NeighbourFrame(REQUEST, shared, ip("10.0.0.50"), ip("10.0.0.99")))
        assert made.segments["lan"].mac_table[shared] is holder
        here, there = Ear(holder), Ear(other)
        a.transmit(NeighbourFrame(REPLY, a.mac, ip("10.0.0.1"), ip("10.0.0.50"), shared))
        made.calendar.run(made.calendar.now_ns + S)
        assert [frame.dst_mac for _, frame in here.heard] == [shared]
        assert [frame for _, frame in there.heard if frame.src_mac == a.mac] == []


def test_multicast_reaches_only_who_joined() -> None:
    made = hosts("a", "b", "c")
    b, c = Ear(port(made, "b")), Ear(port(made, "c"))
    port(made, "b").groups.add(JOINED)
    made.segments["lan"].membership_changed()
    port(made, "a").transmit(advert(port(made, "a")))
    port(made, "a").transmit(advert(port(made, "a"), ip("224.0.0.19")))
    port(made, "a").transmit(arp(made, "a"))  # a broadcast
    made.calendar.run(S)
    assert [frame.dst_mac for _, frame in b.heard] == [JOINED, b"\xff" * 6]
    assert [frame.dst_mac for _, frame in c.heard] == [b"\xff" * 6]


def test_an_advert_for_somebody_else_is_not_heard() -> None:
    """Flooded to all for want of a MAC, it is still addressed to one."""
    made = world(
        pair(
            {
                "at": "10s",
                "inject": "lan",
                "advert": {
                    "vrid": 51,
                    "priority": 250,
                    "destination": "10.0.0.77",
                    "addresses": ["10.0.0.100"],
                },
            }
        )
    )
    made.run()
    assert records(made, AdvertRejected) == []
    assert len(masters(made)) == 1


# --- delay


def test_delay_is_exact() -> None:
    made = hosts("a", "b")
    b = Ear(port(made, "b"))
    send_every(made, "a", S, [arp(made, "a") for _ in range(3)])
    made.calendar.run(10 * S)
    assert [at_ns for at_ns, _ in b.heard] == [(number + 1) * S + 100 * US for number in range(3)]


def test_delay_and_jitter_add_and_are_drawn_by_frame() -> None:
    jitter = Distribution.uniform(0, 50 * US)
    made = hosts("a", "b", "c", segment=lan(jitter=jitter))
    b, c = Ear(port(made, "b")), Ear(port(made, "c"))
    send_every(made, "a", S, [arp(made, "a") for _ in range(200)])
    made.calendar.run(300 * S)
    late = [at_ns % S for at_ns, _ in b.heard]
    assert min(late) >= 100 * US
    assert max(late) <= 150 * US
    assert len(set(late)) > 150
    assert [at_ns for at_ns, _ in c.heard] == [at_ns for at_ns, _ in b.heard]  # the sender's queue varies


def test_traffic_of_others_does_not_change_the_jitter() -> None:
    def arrivals(busy: bool) -> list[int]:
        made = hosts("a", "b", "c", segment=lan(jitter=Distribution.uniform(0, 50 * US), loss=0.2))
        b = Ear(port(made, "b"))
        send_every(made, "a", S, [arp(made, "a") for _ in range(50)])
        if busy:
            send_every(made, "c", S // 3, [arp(made, "c") for _ in range(99)])
            send_every(made, "a", S // 2, [advert(port(made, "a")) for _ in range(50)])  # another flow
        made.calendar.run(60 * S)
        return [at_ns for at_ns, frame in b.heard if frame.src_mac == port(made, "a").mac]

    assert arrivals(busy=False) == arrivals(busy=True)


# --- impairments, each seen at the receiver and at a tap


def impaired(n: int = 2000, every_ns: int = 10 * MS, **words: object) -> tuple[World, Ear, Tap]:
    made = hosts("a", "b")
    b, tap = Ear(port(made, "b")), Tap(made)
    impair(made, **words)
    send_every(made, "a", every_ns, [arp(made, "a") for _ in range(n)])
    made.calendar.run(100 * S)
    return made, b, tap


def test_loss() -> None:
    made, b, tap = impaired(loss=0.3)
    assert len(tap.sent) == 2000
    assert len(b.heard) + len(tap.lost) == 2000
    assert 500 < len(tap.lost) < 700
    assert {reason for *_, reason in tap.lost} == {"loss"}
    assert [r[1:] for r in records(made, FrameLost)[:1]] == [("lan", "a:eth0", "b:eth0", "arp", "loss")]


def test_burst() -> None:
    _, _, tap = impaired(loss=0.3, burst=5.0)
    assert {reason for *_, reason in tap.lost} == {"burst"}
    lost_at = {at_ns for at_ns, *_ in tap.lost}
    starts = [at_ns for at_ns in lost_at if at_ns - 10 * MS not in lost_at]
    assert len(lost_at) / len(starts) == pytest.approx(5, rel=0.25)


def test_duplicate() -> None:
    _, b, tap = impaired(duplicate=0.25)
    copies = Counter(at_ns for at_ns, _ in b.heard)
    assert set(copies.values()) == {1, 2}
    assert 400 < len(b.heard) - 2000 < 600
    assert tap.lost == []


def test_reorder_overtakes_what_is_delayed() -> None:
    """netem: a reordered frame is sent at once, the others wait."""
    _, b, _ = impaired(delay=Distribution.fixed(25 * MS), reorder=0.1)
    late = Counter(at_ns % (10 * MS) for at_ns, _ in b.heard)
    assert set(late) == {100 * US, 5 * MS + 100 * US}
    assert 150 < late[100 * US] < 250


def test_reorder_of_a_segment_overtakes_its_own_delay() -> None:
    made = hosts("a", "b", segment=lan(delay=Distribution.fixed(25 * MS), reorder=0.1))
    b = Ear(port(made, "b"))
    send_every(made, "a", 10 * MS, [arp(made, "a") for _ in range(500)])
    made.calendar.run(100 * S)
    late = Counter(at_ns % (10 * MS) for at_ns, _ in b.heard)
    assert set(late) == {0, 5 * MS}
    assert 25 < late[0] < 80


def test_corrupt() -> None:
    """One bit of an advert flips; anything else fails its frame check sequence."""
    made = hosts("a", "b")
    b, tap = Ear(port(made, "b")), Tap(made)
    port(made, "b").groups.add(JOINED)
    made.segments["lan"].membership_changed()
    impair(made, corrupt=1.0)
    send_every(made, "a", 10 * MS, [advert(port(made, "a")) for _ in range(400)])
    port(made, "a").transmit(arp(made, "a"))
    made.calendar.run(100 * S)
    payloads = [frame.datagram.payload for _, frame in b.heard]  # type: ignore[attr-defined]
    assert len(payloads) == 400
    assert {sum(byte.bit_count() for byte in payload) for payload in payloads} == {1}
    assert len(set(payloads)) > 140  # of the 160 bits of 20 octets
    assert [(frame.kinds, reason) for *_, frame, reason in tap.lost] == [(("arp",), "corrupt")]


def test_corrupt_twice_does_not_undo_itself() -> None:
    made = hosts("a", "b")
    b = Ear(port(made, "b"))
    port(made, "b").groups.add(JOINED)
    made.segments["lan"].membership_changed()
    impair(made, "one", corrupt=1.0)
    impair(made, "two", corrupt=1.0)
    send_every(made, "a", 10 * MS, [advert(port(made, "a")) for _ in range(100)])
    made.calendar.run(100 * S)
    flips = [sum(byte.bit_count() for byte in frame.datagram.payload) for _, frame in b.heard]  # type: ignore[attr-defined]
    assert sum(flips) > 190


def test_the_engine_rejects_corrupt_adverts_by_checksum() -> None:
    made = run(pair({"at": "10s", "impair": "lan", "corrupt": "50%"}, duration="300s"))
    reasons = Counter(record.reason for record in records(made, AdvertRejected))
    assert reasons["chk_err"] > 10  # a flip in priority or address; other fields are caught before
    assert len({record.at_ns for record in records(made, AdvertRejected)}) > 50


# --- only, from, to


FRAMES = {
    "vrrp": lambda a: advert(a),
    "arp": lambda a: NeighbourFrame(REQUEST, a.mac, ip("10.0.0.1"), ip("10.0.0.99")),
    "garp": lambda a: NeighbourFrame(GRATUITOUS, a.mac, ip("10.0.0.1"), ip("10.0.0.1")),
    "nd": lambda a: NeighbourFrame(REQUEST, a.mac, ip("fe80::1"), ip("fe80::99")),
    "unsolicited": lambda a: NeighbourFrame(GRATUITOUS, a.mac, ip("fe80::1"), ip("fe80::1")),
}


@pytest.mark.parametrize(
    ("only", "taken"),
    [
        (("vrrp",), {"vrrp"}),
        (("arp",), {"arp", "garp"}),
        (("garp",), {"garp", "unsolicited"}),
        (("nd",), {"nd", "unsolicited"}),
        (("icmp",), set()),
        (("app",), set()),
        (("vrrp", "nd"), {"vrrp", "nd", "unsolicited"}),
        ((), set(FRAMES)),
    ],
)
def test_only_means_these_kinds(only: tuple[str, ...], taken: set[str]) -> None:
    made = hosts("a", "b")
    tap = Tap(made)
    port(made, "b").groups.add(JOINED)
    made.segments["lan"].membership_changed()
    impair(made, loss=1.0, only=only)
    frames = {name: make(port(made, "a")) for name, make in FRAMES.items()}
    for frame in frames.values():
        port(made, "a").transmit(frame)
    lost = [frame for *_, frame, _ in tap.lost]
    assert {name for name, frame in frames.items() if frame in lost} == taken


def test_from_and_to_name_the_direction() -> None:
    made = hosts("a", "b", "c")
    tap = Tap(made)
    impair(made, senders="a", receivers="b", loss=1.0)
    for name in "abc":
        port(made, name).transmit(arp(made, name))
    lost = [(r.source, r.destination) for r in records(made, FrameLost)]
    assert lost == [("a:eth0", "b:eth0")]
    assert len(tap.sent) == 3


@pytest.mark.parametrize(("one_way", "lost"), [(True, ["a->b"]), (False, ["a->b", "b->a"])])
def test_partition_one_way_and_both(one_way: bool, lost: list[str]) -> None:
    document = pair(
        {"at": "5s", "partition": [["lb1"], ["lb2"]], "one_way": one_way, "for": "10s"},
        duration="30s",
    )
    made = world(document)
    passes = []

    def look() -> None:
        lan, a, b = made.segments["lan"], port(made, "lb1"), port(made, "lb2")
        passes.append((lan.passes(a, b, ("vrrp",)), lan.passes(b, a, ("vrrp",))))

    for seconds in (4, 6, 16):
        at(made, seconds, look)
    made.run()
    cut = (0.0, 0.0 if "b->a" in lost else 1.0)
    assert passes == [(1.0, 1.0), cut, (1.0, 1.0)]
    assert made.segments["lan"].blocked == {}


# --- composing and undoing


def test_impairments_compose() -> None:
    made = hosts("a", "b")
    a, b = port(made, "a"), port(made, "b")
    ear = Ear(b)
    impair(made, "one", loss=0.5, delay=Distribution.fixed(1 * MS))
    impair(made, "two", loss=0.5, delay=Distribution.fixed(2 * MS))
    assert made.segments["lan"].passes(a, b, ("app",)) == 0.25
    send_every(made, "a", 10 * MS, [arp(made, "a") for _ in range(2000)])
    made.calendar.run(100 * S)
    assert 400 < len(ear.heard) < 600
    assert {at_ns % (10 * MS) for at_ns, _ in ear.heard} == {3 * MS + 100 * US}


def test_two_jitters_are_two_draws() -> None:
    made = hosts("a", "b")
    b = Ear(port(made, "b"))
    for name in ("one", "two"):
        impair(made, name, jitter=Distribution("choice", (0, 1 * MS)))
    send_every(made, "a", 10 * MS, [arp(made, "a") for _ in range(400)])
    made.calendar.run(100 * S)
    late = Counter(at_ns % (10 * MS) for at_ns, _ in b.heard)
    assert set(late) == {100 * US, 100 * US + MS, 100 * US + 2 * MS}
    assert 140 < late[100 * US + MS] < 260


@pytest.mark.parametrize("where", ["segment", "impairment"])
def test_delay_and_jitter_of_one_frame_are_two_draws(where: str) -> None:
    words = {word: Distribution("choice", (0, 1 * MS)) for word in ("delay", "jitter")}
    made = hosts("a", "b", segment=lan(**words) if where == "segment" else None)
    if where == "impairment":
        impair(made, **words)
    b = Ear(port(made, "b"))
    send_every(made, "a", 10 * MS, [arp(made, "a") for _ in range(400)])
    made.calendar.run(100 * S)
    late = Counter(at_ns % (10 * MS) // MS for at_ns, _ in b.heard)
    assert set(late) == {0, 1, 2}
    assert 140 < late[1] < 260


def test_corruption_costs_requests_too() -> None:
    made = hosts("a", "b")
    impair(made, loss=0.5, corrupt=0.5)
    assert made.segments["lan"].passes(port(made, "a"), port(made, "b"), ("app",)) == 0.25


def test_impairments_are_undone_exactly() -> None:
    """Two of equal words overlap: each ends at its own time, and nothing is left."""
    document = pair(
        {"at": "10s", "impair": "lan", "loss": "50%", "for": "10s"},
        {"at": "15s", "impair": "lan", "loss": "50%", "for": "10s"},
        {"at": "16s", "impair": "lb1/eth0", "loss": "20%", "for": "2s"},
        duration="40s",
    )
    made = world(document)
    shares: list[float] = []
    a, b = port(made, "lb1"), port(made, "lb2")
    for seconds in (9, 12, 17, 19, 22, 26):
        at(made, seconds, lambda: shares.append(made.segments["lan"].passes(a, b, ("app",))))
    made.run()
    assert shares == pytest.approx([1, 0.5, 0.2, 0.25, 0.5, 1])
    assert made.segments["lan"].effects == []


def test_partitions_add_up() -> None:
    document = pair(
        {"at": "10s", "partition": [["lb1"], ["lb2"]], "for": "10s"},
        {"at": "15s", "partition": [["lb1"], ["lb2", "web"]], "for": "10s"},
        clients={"web": {"segment": "lan", "target": "10.0.0.100:80"}},
        duration="40s",
    )
    made = world(document)
    seen: list[tuple[float, float]] = []
    lan, one, two, web = made.segments["lan"], port(made, "lb1"), port(made, "lb2"), port(made, "web")
    for seconds in (12, 18, 22, 26):
        at(
            made,
            seconds,
            lambda: seen.append((lan.passes(one, two, ("vrrp",)), lan.passes(web, one, ("app",)))),
        )
    made.run()
    assert seen == [(0, 1), (0, 0), (0, 0), (1, 1)]
    assert lan.blocked == {}
    assert {r.reason for r in records(made, FrameLost) if r.kind == "vrrp"} == {"partition"}


def test_a_segment_has_its_own_impairments_always() -> None:
    made = hosts("a", "b", segment=lan(loss=0.5, burst=3.0))
    b = Ear(port(made, "b"))
    send_every(made, "a", 10 * MS, [arp(made, "a") for _ in range(2000)])
    made.calendar.run(100 * S)
    assert 850 < len(b.heard) < 1150


def test_a_card_without_carrier_neither_sends_nor_hears() -> None:
    made = hosts("a", "b")
    tap, b = Tap(made), Ear(port(made, "b"))
    port(made, "a").carrier = False
    port(made, "a").transmit(arp(made, "a"))
    assert tap.sent == []
    port(made, "a").carrier = True
    port(made, "b").carrier = False
    port(made, "a").transmit(arp(made, "a"))
    made.calendar.run(S)
    assert [reason for *_, reason in tap.lost] == ["carrier", "carrier"]
    assert len(b.heard) == 1  # the frame reaches the card and dies there
