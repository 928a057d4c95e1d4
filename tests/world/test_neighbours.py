"""Linux's neighbour cache step by step, other personalities, and what they do to adverts and clients."""

import pytest
from tiny_world import (
    GROUP,
    MS,
    US,
    VIP,
    WEB,
    Tap,
    advert,
    at,
    hosts,
    ip,
    node,
    owners,
    pair,
    port,
    reached,
    records,
    run,
    unicast,
    world,
)
from tiny_world import S as SECOND

from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.model import Neighbours
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import FrameLost, Gratuitous
from vrrpsim.world import World
from vrrpsim.world.frame import GRATUITOUS, REPLY, REQUEST, NeighbourFrame
from vrrpsim.world.neighbours import QUEUE, TICK_NS, Entry, Nud
from vrrpsim.world.port import Port

BROADCAST = b"\xff" * 6
B = ip("10.0.0.2")


def use(user: Port, address: Address = B) -> bytes | None:
    return user.cache.use(user.cache.entry(address), next(iter(user.local)))


def known(made: World) -> Entry:
    """Host a resolved host b at about 0 s."""
    use(port(made, "a"))
    made.calendar.run(MS)
    return port(made, "a").cache.entries[B]


def announce(holder: Port, address: str, mac: bytes | None = None) -> NeighbourFrame:
    return NeighbourFrame(GRATUITOUS, mac or holder.mac, ip(address), ip(address))


# --- the state machine


def test_resolution() -> None:
    made = hosts("a", "b")
    tap, a = Tap(made), port(made, "a")
    assert use(a) is None
    entry = a.cache.entries[B]
    assert entry.state is Nud.INCOMPLETE
    made.calendar.run(200 * US + 1)
    assert entry.state is Nud.REACHABLE
    assert (entry.mac, entry.confirmed_ns) == (port(made, "b").mac, 200 * US)
    assert tap.asked("a:eth0") == [(0, BROADCAST)]
    assert use(a) == port(made, "b").mac


def test_reachable_lasts_15_to_45_seconds() -> None:
    lengths = []
    for seed in range(200):
        cache = port(hosts("a", seed=seed), "a").cache
        lengths.append(cache.reachable_ns())
    assert min(lengths) >= 15 * SECOND
    assert max(lengths) <= 45 * SECOND
    assert max(lengths) - min(lengths) > 28 * SECOND


def test_reachable_time_is_one_for_all_entries_and_drawn_anew_every_five_minutes() -> None:
    made = hosts("a")
    cache = port(made, "a").cache
    draws = []
    for minute in (1, 4, 6, 9, 11):
        made.calendar.run(minute * 60 * SECOND)
        draws.append(cache.reachable_ns())
    assert draws[0] == draws[1]
    assert draws[2] == draws[3]
    assert len(set(draws)) == 3


def test_doubts_of_a_silent_neighbour_step_by_step() -> None:
    """REACHABLE - (used) - DELAY 5 s - PROBE 3 x 1 s by unicast - FAILED; then broadcasts."""
    made = hosts("a", "b")
    a, b = port(made, "a"), port(made, "b")
    entry, tap = known(made), Tap(made)
    b.carrier = False
    end = entry.confirmed_ns + a.cache.reachable_ns()
    made.calendar.run(end - 1)
    assert use(a) == b.mac
    assert entry.state is Nud.REACHABLE
    made.calendar.run(end)
    assert use(a) == b.mac  # doubted, but still used
    assert entry.state is Nud.DELAY
    assert tap.asked("a:eth0") == []
    probe = end + 5 * SECOND + TICK_NS
    made.calendar.run(probe + 1)
    assert entry.state is Nud.PROBE
    second = SECOND + TICK_NS
    made.calendar.run(probe + 3 * second)
    assert tap.asked("a:eth0") == [(probe + k * second, b.mac) for k in range(3)]
    assert entry.state is Nud.PROBE
    made.calendar.run(probe + 3 * second + 1)
    assert entry.state is Nud.FAILED
    again = made.calendar.now_ns
    tap.sent.clear()
    assert use(a) is None
    assert entry.state is Nud.INCOMPLETE
    made.calendar.run(again + 4 * second)
    assert tap.asked("a:eth0") == [(again + k * second, BROADCAST) for k in range(3)]
    assert entry.state is Nud.FAILED


def test_an_answer_to_a_probe_ends_the_doubts() -> None:
    made = hosts("a", "b")
    a = port(made, "a")
    entry = known(made)
    made.calendar.run(entry.confirmed_ns + a.cache.reachable_ns())
    use(a)
    probe_ns = made.calendar.now_ns + 5 * SECOND + TICK_NS
    made.calendar.run(probe_ns + MS)
    assert entry.state is Nud.REACHABLE
    assert entry.confirmed_ns == probe_ns + 200 * US
    assert not entry.timer.pending


def test_confirmation_from_above_keeps_an_entry() -> None:
    made = hosts("a", "b")
    a, tap = port(made, "a"), Tap(made)
    entry = known(made)
    for k in range(1, 200):
        made.calendar.run(k * SECOND)
        use(a)
        a.cache.confirm(entry)
    assert entry.state is Nud.REACHABLE
    assert len(tap.asked("a:eth0")) == 1


def test_an_unused_entry_is_not_probed() -> None:
    made = hosts("a", "b")
    known(made)
    tap = Tap(made)
    made.calendar.run(600 * SECOND)
    assert tap.sent == []


def test_a_paused_machine_goes_on_probing_when_it_resumes() -> None:
    made = hosts("a", "b")
    a = port(made, "a")
    port(made, "b").carrier = False
    use(a)
    tap = Tap(made)
    made.calendar.run(500 * MS)
    made.nodes["a"].pause()
    made.calendar.run(60 * SECOND)
    assert tap.sent == []
    port(made, "b").carrier = True
    made.nodes["a"].resume()
    assert tap.asked("a:eth0") == [(60 * SECOND, BROADCAST)]
    made.calendar.run(61 * SECOND)
    assert a.cache.entries[B].state is Nud.REACHABLE


# --- what is heard


def test_a_gratuitous_arp_moves_an_entry_but_creates_none() -> None:
    made = hosts("a", "b", "c")
    a, c = port(made, "a"), port(made, "c")
    c.transmit(announce(c, "10.0.0.2"))
    made.calendar.run(MS)
    assert B not in a.cache.entries
    made = hosts("a", "b", "c")
    a, c = port(made, "a"), port(made, "c")
    entry = known(made)
    c.transmit(announce(c, "10.0.0.2"))
    made.calendar.run(2 * MS)
    assert (entry.mac, entry.state) == (c.mac, Nud.STALE)


def test_a_gratuitous_arp_that_says_nothing_new_changes_nothing() -> None:
    made = hosts("a", "b")
    entry = known(made)
    port(made, "b").transmit(announce(port(made, "b"), "10.0.0.2"))
    made.calendar.run(2 * MS)
    assert entry.state is Nud.REACHABLE


def test_a_gratuitous_arp_answers_who_waits_for_it() -> None:
    made = hosts("a", "c")
    a, c = port(made, "a"), port(made, "c")
    wanted = ip("10.0.0.77")
    frame = advert(a, wanted)
    a.send_ip(frame)
    tap = Tap(made)
    c.transmit(announce(c, "10.0.0.77"))
    made.calendar.run(MS)
    assert a.cache.entries[wanted].mac == c.mac
    assert tap.adverts("a:eth0") == [(100 * US, frame)]
    assert frame.dst_mac == c.mac


def test_a_personality_that_ignores_gratuitous_arp() -> None:
    made = hosts("a", "b", "c", neighbours={"a": Neighbours(garp=False)})
    entry = known(made)
    port(made, "c").transmit(announce(port(made, "c"), "10.0.0.2"))
    made.calendar.run(2 * MS)
    assert (entry.mac, entry.state) == (port(made, "b").mac, Nud.REACHABLE)


@pytest.mark.parametrize(
    ("after_ns", "moved"),
    [
        (500 * MS, False),
        (SECOND - 100 * US, False),  # it arrives 100 us later, at the locktime itself
        (SECOND - 100 * US + 1, True),
        (1_500 * MS, True),
    ],
)
def test_locktime(after_ns: int, moved: bool) -> None:
    """Within a second of a change only a gratuitous frame, or a question to us, replaces a MAC."""
    made = hosts("a", "b", "c")
    a, b, c = port(made, "a"), port(made, "b"), port(made, "c")
    entry = known(made)
    made.calendar.run(entry.updated_ns + after_ns)
    c.transmit(NeighbourFrame(REPLY, c.mac, B, ip("10.0.0.1"), a.mac))
    made.calendar.run(made.calendar.now_ns + MS)
    assert entry.mac == (c.mac if moved else b.mac)


def test_a_question_to_us_makes_and_moves_an_entry_even_within_the_locktime() -> None:
    made = hosts("a", "b", "c")
    a, b, c = port(made, "a"), port(made, "b"), port(made, "c")
    for asker in (b, c):
        asker.transmit(NeighbourFrame(REQUEST, asker.mac, ip("10.0.0.50"), ip("10.0.0.1")))
        made.calendar.run(made.calendar.now_ns + MS)
        entry = a.cache.entries[ip("10.0.0.50")]
        assert (entry.mac, entry.state) == (asker.mac, Nud.STALE)


def test_a_question_to_others_makes_no_entry() -> None:
    made = hosts("a", "b", "c")
    use(port(made, "b"), ip("10.0.0.3"))
    made.calendar.run(MS)
    assert list(port(made, "c").cache.entries) == [B]
    assert port(made, "a").cache.entries == {}


def test_frames_that_wait_leave_in_order_when_the_neighbour_is_known() -> None:
    made = hosts("a", "b")
    a, tap = port(made, "a"), Tap(made)
    frames = [advert(a, B, bytes((number,))) for number in range(QUEUE + 4)]
    for frame in frames:
        a.send_ip(frame)
    made.calendar.run(SECOND)
    assert [frame for _, frame in tap.adverts("a:eth0")] == frames[4:]
    assert {at_ns for at_ns, _ in tap.adverts("a:eth0")} == {200 * US}
    assert [frame for *_, frame, _ in tap.lost] == frames[:4]  # the queue is full: the oldest give way
    assert {reason for *_, reason in tap.lost} == {"unresolved"}


def test_frames_that_wait_in_vain_are_lost() -> None:
    made = hosts("a", "b")
    a = port(made, "a")
    port(made, "b").carrier = False
    a.send_ip(advert(a, B))
    a.send_ip(advert(a, B))
    made.calendar.run(4 * SECOND)
    assert [r.reason for r in records(made, FrameLost, kind="vrrp")] == ["unresolved"] * 2
    assert a.cache.entries[B].state is Nud.FAILED


def test_what_came_due_during_a_pause_does_not_happen_to_an_entry_that_went_on() -> None:
    made = hosts("a", "b")
    a, entry = port(made, "a"), known(made)

    def doubt() -> None:
        made.calendar.run(entry.confirmed_ns + a.cache.reachable_ns())
        use(a)
        assert entry.state is Nud.DELAY

    doubt()
    made.nodes["a"].pause()
    made.calendar.run(made.calendar.now_ns + 10 * SECOND)  # the five seconds of DELAY are over
    a.cache.confirm(entry)
    doubt()
    made.nodes["a"].resume()
    assert entry.state is Nud.DELAY


# --- routers that believe for hours


def router(lifetime_s: int, garp: bool = True) -> dict[str, Neighbours]:
    return {"a": Neighbours(garp=garp, lifetime=Distribution.fixed(lifetime_s * SECOND))}


def test_a_lifetime_ends_without_doubts() -> None:
    made = hosts("a", "b", neighbours=router(4 * 3600))
    a, tap = port(made, "a"), Tap(made)
    entry = known(made)
    port(made, "b").carrier = False
    made.calendar.run(entry.updated_ns + 4 * 3600 * SECOND - 1)
    assert use(a) == port(made, "b").mac
    made.calendar.run(entry.updated_ns + 4 * 3600 * SECOND)
    assert use(a) is None
    assert [mac for _, mac in tap.asked("a:eth0")] == [BROADCAST] * 2


def test_a_lifetime_shorter_than_linux_would_believe() -> None:
    made = hosts("a", "b", neighbours=router(2))
    known(made)
    port(made, "b").carrier = False
    made.calendar.run(3 * SECOND)
    assert use(port(made, "a")) is None


def test_gratuitous_arp_renews_a_lifetime() -> None:
    made = hosts("a", "b", neighbours=router(10))
    entry = known(made)
    made.calendar.run(8 * SECOND)
    port(made, "b").transmit(announce(port(made, "b"), "10.0.0.2"))
    made.calendar.run(12 * SECOND)
    assert use(port(made, "a")) == entry.mac


@pytest.mark.parametrize("garp", [True, False])
def test_a_router_that_ignores_gratuitous_arp_black_holes_until_its_lifetime_ends(garp: bool) -> None:
    """Renewed on time while answers came: learned at 3.6 s, so it looks again at 3.6 s + k * 20 s."""
    web = {"web": WEB["web"] | {"neighbours": {"garp": garp, "lifetime": "20s"}}}
    made = run(pair({"at": "50s", "power_off": "lb1"}, clients=web, duration="100s"))
    back = next(at_ns for at_ns, reachable, name in reached(made) if reachable and name == "lb2")
    learned = next(at_ns for at_ns, reachable, _ in reached(made) if reachable)
    if garp:
        assert 52 * SECOND < back < 55 * SECOND
    else:
        assert back == pytest.approx(learned + 60 * SECOND, abs=SECOND)


# --- unicast adverts need a neighbour


def both_unicast() -> dict[str, object]:
    return {"lb1": node(1, 101, **unicast(1, 2)), "lb2": node(2, 100, **unicast(2, 1))}


def test_unicast_adverts_stop_when_the_peers_entry_failed_and_return_after_the_heal() -> None:
    document = pair(
        {"at": "10s", "partition": [["lb1"], ["lb2"]], "for": "70s"}, nodes=both_unicast(), duration="100s"
    )
    made = world(document)
    tap = Tap(made)
    states: list[Nud] = []
    at(made, 79, lambda: states.append(port(made, "lb2").cache.entries[ip("10.0.0.1")].state))
    made.run()
    for name in ("lb1", "lb2"):
        sent = [at_ns for at_ns, _ in tap.adverts(f"{name}:eth0")]
        assert any(10 * SECOND < at_ns < 24 * SECOND for at_ns in sent)  # while the entry is believed
        assert not any(70 * SECOND < at_ns < 80 * SECOND for at_ns in sent)
    assert states[0] in (Nud.FAILED, Nud.INCOMPLETE)
    assert any(80 * SECOND < at_ns < 84 * SECOND for at_ns, _ in tap.adverts("lb1:eth0"))
    assert {r.reason for r in records(made, FrameLost, kind="vrrp")} == {"partition", "unresolved"}
    assert owners(made, 60) == ["lb1", "lb2"]
    assert owners(made, 90) == ["lb1"]


def test_multicast_adverts_never_stop() -> None:
    made = world(pair({"at": "10s", "partition": [["lb1"], ["lb2"]], "for": "70s"}, duration="100s"))
    tap = Tap(made)
    made.run()
    for name in ("lb1", "lb2"):
        times = [at_ns for at_ns, _ in tap.adverts(f"{name}:eth0") if 20 * SECOND < at_ns < 80 * SECOND]
        assert len(times) == 60


# --- hosts that still have the address


def test_a_host_that_still_has_an_address_answers_a_gratuitous_request_for_it() -> None:
    made = hosts("a", "b", "c")
    a, b, c = (port(made, name) for name in "abc")
    for holder in (a, b):
        made.nodes[holder.owner.name].add_address(holder, ip(VIP), holder.mac)  # type: ignore[attr-defined]
    tap = Tap(made)
    a.transmit(announce(a, VIP))
    made.calendar.run(SECOND)
    replies = [
        (name, frame.sender_mac, frame.dst_mac, frame.sender, frame.target)
        for _, name, frame in tap.sent
        if isinstance(frame, NeighbourFrame) and frame.operation == REPLY
    ]
    assert replies == [("b:eth0", b.mac, a.mac, ip(VIP), ip(VIP))]
    assert ip(VIP) not in c.cache.entries


def test_an_unsolicited_neighbour_advertisement_is_not_a_question() -> None:
    made = hosts("a", "b")
    a, b, tap = port(made, "a"), port(made, "b"), Tap(made)
    vip = ip("2001:db8::100")
    for holder in (a, b):
        holder.local[vip] = holder.mac
    a.transmit(NeighbourFrame(GRATUITOUS, a.mac, vip, vip))
    made.calendar.run(SECOND)
    assert len(tap.sent) == 1


# --- virtual MACs


def with_vmac() -> dict[str, object]:
    return {"lb1": node(1, 101, use_vmac=True), "lb2": node(2, 100, use_vmac=True)}


VMAC = bytes.fromhex("00005e000133")


def test_with_a_virtual_mac_the_switch_follows_the_master() -> None:
    document = pair({"at": "10s", "power_off": "lb1"}, nodes=with_vmac(), clients=WEB, duration="20s")
    made = world(document)
    tap, table = Tap(made), []
    for seconds in (5, 12, 15):
        at(made, seconds, lambda: table.append(made.segments["lan"].mac_table[VMAC].name))
    at(made, 6, lambda: use(port(made, "lb2"), ip(VIP)))
    made.run()
    assert table == ["lb1:eth0", "lb1:eth0", "lb2:eth0"]
    for name in ("lb1:eth0", "lb2:eth0"):
        assert {frame.src_mac for _, frame in tap.adverts(name)} == {VMAC}
    assert {record.mac for record in records(made, Gratuitous)} == {VMAC.hex(":")}
    replies = {f.sender_mac for _, n, f in tap.sent if getattr(f, "operation", "") == REPLY and n != "web"}
    assert replies == {VMAC}
    asked = {f.sender_mac for _, n, f in tap.sent if getattr(f, "operation", "") == REQUEST and n != "web"}
    assert VMAC not in asked  # a node's own question shows its card's MAC (34c)
    assert port(made, "web").cache.entries[ip(VIP)].mac == VMAC


def test_without_a_virtual_mac_the_card_shows() -> None:
    made = world(pair(duration="10s"))
    tap = Tap(made)
    made.run()
    card = port(made, "lb1").mac
    assert {frame.src_mac for _, frame in tap.adverts("lb1:eth0")} == {card}
    assert all(frame.datagram.destination == GROUP for _, frame in tap.adverts("lb1:eth0"))
    assert {record.mac for record in records(made, Gratuitous)} == {card.hex(":")}
