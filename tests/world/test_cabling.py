"""Switches and cables: what arrives where, by which way, after how long, and what of it gets lost."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_world import (
    MS,
    US,
    WEB,
    Ear,
    S,
    Tap,
    advert,
    at,
    load,
    masters,
    node,
    pair,
    port,
    records,
    run,
    world,
)

import vrrpsim
from vrrpsim.explore.fault_schedules import menu_of
from vrrpsim.findings import InputError
from vrrpsim.measure.result import measure
from vrrpsim.scenario.events import Impairment
from vrrpsim.trace import AdvertSent, Fault, FrameLost, Level, Reachability, StateChange, TrackerChange
from vrrpsim.world import World
from vrrpsim.world.calendar import Kind
from vrrpsim.world.frame import REQUEST, NeighbourFrame, VrrpFrame
from vrrpsim.world.impairment import ActiveImpairment
from vrrpsim.world.simulation import simulate
from vrrpsim.world.switched_segment import SwitchedSegment


def network(cards: dict[str, str], *trunks: Any, switches: Any = None, **more: Any) -> World:
    """Hosts that run nothing, each on the switch that `cards` says, and cables between switches."""
    hosts = {
        name: {"interfaces": {"eth0": {"segment": "lan", "address": f"10.0.0.{number}/24"}}}
        for number, name in enumerate(cards, 1)
    }
    ends = {end for trunk in trunks for end in (trunk["ends"] if isinstance(trunk, dict) else trunk)}
    names = sorted({*cards.values(), *ends})
    document = {
        "version": 1,
        "duration": "3600s",
        "segments": {"lan": {"subnet": "10.0.0.0/24"}},
        "switches": {name: (switches or {}).get(name, {}) for name in names},
        "cables": [*([f"{host}/eth0", switch] for host, switch in cards.items()), *trunks],
        "nodes": hosts,
    }
    return world(document | more)


def cluster(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    """lb1 and the client on sw1, lb2 on sw2, and a cable between."""
    cables = [["lb1/eth0", "sw1"], ["lb2/eth0", "sw2"], ["sw1", "sw2"], ["web", "sw1"]]
    document = pair(*events, clients=WEB, switches={"sw1": {}, "sw2": {}}, cables=cables)
    document["segments"] = {"lan": {"subnet": "10.0.0.0/24"}}
    return document | more


def arp(made: World, sender: str, receiver: str | None = None) -> NeighbourFrame:
    """A frame that nobody reacts to."""
    source = port(made, sender)
    mac = port(made, receiver).mac if receiver else b"\xff" * 6
    return NeighbourFrame(REQUEST, source.mac, next(iter(source.local)), load_ip("10.0.0.99"), mac)


def load_ip(text: str) -> Any:
    from ipaddress import ip_address

    return ip_address(text)


def lan(made: World) -> SwitchedSegment:
    found = made.segments["lan"]
    assert isinstance(found, SwitchedSegment)
    return found


# --- what arrives


@st.composite
def forests(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], list[int], list[int]]:
    """Up to six switches without a loop, hosts on them, and which cables between switches are pulled."""
    count = draw(st.integers(1, 6))
    trunks = [(draw(st.integers(0, high - 1)), high) for high in range(1, count) if draw(st.integers(0, 4))]
    hosts = draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=6))
    pulled = [number for number in range(len(trunks)) if not draw(st.integers(0, 3))]
    return count, trunks, hosts, pulled


@pytest.mark.slow
@settings(deadline=None, max_examples=120)
@given(forests(), st.booleans())
def test_delivers_what_reachability_says(
    forest: tuple[int, list[tuple[int, int]], list[int], list[int]], learned: bool
) -> None:
    """Each host broadcasts, then sends to each other one: networkx says who hears it, once each."""
    count, trunks, hosts, pulled = forest
    cards = {f"h{number}": f"s{switch}" for number, switch in enumerate(hosts)}
    made = network(cards, *([f"s{one}", f"s{other}"] for one, other in trunks))
    graph = nx.Graph([*cards.items()])
    graph.add_nodes_from(f"s{number}" for number in range(count))
    graph.add_edges_from((f"s{one}", f"s{other}") for one, other in trunks)
    if learned:
        for host in cards:
            port(made, host).transmit(arp(made, host))
        made.calendar.run(S)
    for number in pulled:
        one, other = (f"s{end}" for end in trunks[number])
        made.cabling.pull(f"{one}-{other}", True)
        graph.remove_edge(one, other)
    ears = {host: Ear(port(made, host)) for host in cards}
    sent: list[tuple[str, str, NeighbourFrame]] = []
    for sender in cards:
        for receiver in cards:
            frame = arp(made, sender, receiver if receiver != sender else None)
            sent.append((sender, receiver, frame))
            delay_ns = len(sent) * MS
            made.calendar.at(2 * S + delay_ns, Kind.TIMER, 0, port(made, sender).transmit, frame)
    made.calendar.run(3 * S)
    for sender, receiver, frame in sent:
        near = nx.node_connected_component(graph, sender) & cards.keys() - {sender}
        wanted = near if sender == receiver else near & {receiver}
        got = [host for host, ear in ears.items() for _, each in ear.heard if each is frame]
        assert sorted(got) == sorted(wanted), (sender, receiver)
        for other in cards.keys() - {sender}:
            reached = lan(made).passes(port(made, sender), port(made, other), ("app",))
            assert reached == (other in near)


def test_a_frame_takes_as_long_as_its_cables() -> None:
    slow = {"ends": ["s1", "s2"], "delay": "3ms"}
    made = network({"a": "s1", "b": "s2", "c": "s1"}, slow)
    b, c = Ear(port(made, "b")), Ear(port(made, "c"))
    port(made, "a").transmit(arp(made, "a"))
    made.calendar.run(S)
    assert [at_ns for at_ns, _ in b.heard] == [3 * MS + 100 * US]
    assert [at_ns for at_ns, _ in c.heard] == [100 * US]


def test_drawn_delays_are_those_of_the_cable_and_of_the_direction() -> None:
    slow = {"ends": ["s1", "s2"], "delay": {"uniform": ["1ms", "2ms"]}, "jitter": {"uniform": [0, "1ms"]}}

    def arrivals(*others: str) -> list[int]:
        made = network({"a": "s1", "b": "s2"} | dict.fromkeys(others, "s1"), slow)
        b = Ear(port(made, "b"))
        for number in range(20):
            at_ns = S + number * S
            made.calendar.at(at_ns, Kind.TIMER, 0, port(made, "a").transmit, arp(made, "a"))
            if number % 2:  # another conversation changes nothing
                made.calendar.at(at_ns, Kind.TIMER, 0, port(made, "a").transmit, advert(port(made, "a")))
        made.calendar.run(60 * S)
        return [at_ns % S for at_ns, frame in b.heard if isinstance(frame, NeighbourFrame)]

    found = arrivals()
    assert len(set(found)) == 20
    assert all(MS + 100 * US <= each <= 3 * MS + 100 * US for each in found)
    assert arrivals("c") == found


def test_a_switch_sends_to_where_it_has_seen_the_mac_until_it_forgets() -> None:
    made = network({"a": "s1", "b": "s1", "c": "s2"}, ["s1", "s2"], switches={"s1": {"mac_age": "10s"}})
    s1 = made.cabling.switches["s1"]
    mac = port(made, "c").mac
    port(made, "c").transmit(arp(made, "c"))
    made.calendar.run(9 * S)
    entry = s1.behind("lan", mac, made.calendar.now_ns)
    assert entry is not None
    assert entry.cable.name == "s1-s2"
    made.calendar.run(10 * S + 150 * US)
    assert s1.behind("lan", mac, made.calendar.now_ns) is None
    assert made.cabling.switches["s2"].behind("lan", mac, made.calendar.now_ns) is not None  # 300 s


def test_a_stale_entry_leads_astray_until_it_is_forgotten() -> None:
    """A MAC that moved in silence: the switch sends to the old place, and then everywhere."""
    made = network({"a": "s1", "b": "s1", "c": "s2"}, ["s1", "s2"], switches={"s1": {"mac_age": "20s"}})
    a, b, c = (port(made, name) for name in "abc")
    b.virtual_macs["vrrp.51"] = shared = b"\0\0\x5e\0\x01\x33"
    b.transmit(NeighbourFrame(REQUEST, shared, load_ip("10.0.0.50"), load_ip("10.0.0.99")))
    made.calendar.run(S)
    assert lan(made).where(a, shared) is b
    c.virtual_macs["vrrp.51"] = shared
    b.virtual_macs.clear()
    assert lan(made).where(a, shared) is b  # where it no longer is
    looked = []
    made.context.observers.append(lambda: looked.append(made.calendar.now_ns))
    made.calendar.run(25 * S)
    assert [at_ns for at_ns in looked if at_ns > S] == [20 * S + 50 * US]  # clients look again
    assert lan(made).where(a, shared) is c


def test_segments_share_switches_and_not_their_frames() -> None:
    """Two VLANs over one cable, with one MAC in both."""
    hosts = {
        name: {"interfaces": {"eth0": {"segment": segment, "address": address, "mac": mac}}}
        for name, segment, address, mac in (
            ("a", "red", "10.0.0.1/24", "02:00:00:00:00:0a"),
            ("b", "red", "10.0.0.2/24", "02:00:00:00:00:0b"),
            ("c", "blue", "10.1.0.1/24", "02:00:00:00:00:0c"),
            ("d", "blue", "10.1.0.2/24", "02:00:00:00:00:0d"),
        )
    }
    cables = [["a/eth0", "s1"], ["b/eth0", "s2"], ["c/eth0", "s1"], ["d/eth0", "s2"], ["s1", "s2"]]
    made = world(
        {
            "version": 1,
            "duration": "60s",
            "segments": {"red": {"subnet": "10.0.0.0/24"}, "blue": {"subnet": "10.1.0.0/24"}},
            "switches": {"s1": {}, "s2": {}},
            "cables": cables,
            "nodes": hosts,
        }
    )
    ears = {name: Ear(port(made, name)) for name in "abcd"}
    port(made, "a").transmit(arp(made, "a"))
    port(made, "d").transmit(
        NeighbourFrame(REQUEST, port(made, "a").mac, load_ip("10.1.0.2"), load_ip("10.1.0.9"))
    )
    made.calendar.run(S)
    assert {name: len(ear.heard) for name, ear in ears.items()} == {"a": 0, "b": 1, "c": 1, "d": 0}
    s1 = made.cabling.switches["s1"]
    names = []
    for segment in ("red", "blue"):
        entry = s1.behind(segment, port(made, "a").mac, S)
        assert entry is not None
        names.append(entry.cable.name)
    assert names == ["a/eth0", "s1-s2"]


def test_a_trunk_that_lacks_a_segment_splits_it_and_no_other() -> None:
    """Somebody forgot to allow a VLAN on the trunk."""
    document = cluster()
    for name, words in document["nodes"].items():
        words["interfaces"]["eth1"] = {"segment": "other", "address": f"10.1.0.{name[-1]}/24"}
    document["segments"]["other"] = {"subnet": "10.1.0.0/24"}
    document["cables"][2] = {"ends": ["sw1", "sw2"], "segments": "other"}
    document["cables"] += [["lb1/eth1", "sw1"], ["lb2/eth1", "sw2"]]
    made = run(document)
    ways = {}
    for segment, card in (("lan", "eth0"), ("other", "eth1")):
        one, other = (made.nodes[name].ports[card] for name in ("lb1", "lb2"))
        ways[segment] = made.segments[segment].passes(one, other, ("app",))
    assert ways == {"lan": 0.0, "other": 1.0}
    assert {name for _, name in masters(made)} == {"lb1", "lb2"}


# --- what gets lost


def test_losses_of_a_cable_are_of_all_who_would_have_heard_by_it() -> None:
    made = network({"a": "s1", "b": "s2", "c": "s3", "d": "s1"}, ["s1", "s2"], ["s2", "s3"])
    only = frozenset({"s1"})
    made.cabling.impair("s1-s2", ActiveImpairment(made.context, "test", Impairment(loss=1.0), only, None))
    tap, ears = Tap(made), {name: Ear(port(made, name)) for name in "abcd"}
    port(made, "a").transmit(arp(made, "a"))
    port(made, "c").transmit(arp(made, "c"))
    made.calendar.run(S)
    assert {name: len(ear.heard) for name, ear in ears.items()} == {"a": 1, "b": 1, "c": 0, "d": 2}
    lost = [(each.source, each.destination, each.reason) for each in records(made, FrameLost)]
    assert sorted(lost) == [("a:eth0", "b:eth0", "loss"), ("a:eth0", "c:eth0", "loss")]
    assert len(tap.lost) == 2
    passes, a, c = lan(made).passes, port(made, "a"), port(made, "c")
    assert (passes(a, c, ("app",)), passes(c, a, ("app",))) == (0.0, 1.0)


def test_shares_of_a_way_multiply() -> None:
    trunks = [{"ends": ["s1", "s2"], "loss": 0.5}, {"ends": ["s2", "s3"], "loss": 0.2}]
    made = network({"a": "s1", "b": "s3"}, *trunks)
    assert lan(made).passes(port(made, "a"), port(made, "b"), ("app",)) == pytest.approx(0.4)
    b = Ear(port(made, "b"))
    for number in range(2000):
        made.calendar.at(number * MS, Kind.TIMER, 0, port(made, "a").transmit, arp(made, "a"))
    made.calendar.run(3 * S)
    assert 720 <= len(b.heard) <= 880  # 4.6 standard deviations


def test_who_is_out_of_reach_loses_what_is_sent() -> None:
    made = network({"a": "s1", "b": "s2"}, ["s1", "s2"])
    made.cabling.pull("s1-s2", True)
    port(made, "a").transmit(arp(made, "a"))
    made.calendar.run(S)
    assert [(each.destination, each.reason) for each in records(made, FrameLost)] == [("b:eth0", "cable")]


def test_a_frame_is_lost_with_the_cable_that_it_is_on() -> None:
    made = network({"a": "s1", "b": "s2"}, {"ends": ["s1", "s2"], "delay": "10ms"})
    b = Ear(port(made, "b"))
    port(made, "a").transmit(arp(made, "a"))
    made.calendar.at(5 * MS, Kind.FAULT, 0, made.cabling.pull, "s1-s2", True)
    made.calendar.run(S)
    assert b.heard == []
    assert [each.reason for each in records(made, FrameLost)] == ["cable"]


def test_impairments_of_a_segment_and_partitions_hold_from_end_to_end() -> None:
    made = run(cluster({"at": "20s", "partition": [["lb1"], ["lb2"]], "for": "10s"}))
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ["lb2"]
    document = cluster({"at": "20s", "impair": "lan", "loss": 1.0, "from": "lb1", "for": "10s"})
    made = run(document)
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ["lb2"]
    assert {each.reason for each in records(made, FrameLost)} == {"loss"}


# --- faults


def test_a_pulled_cable_splits_the_cluster_and_heals_when_it_is_back() -> None:
    """Between switches nobody loses its carrier: both sides have a Master, until the cable is back."""
    made = run(cluster({"at": "20s", "link_down": "sw2-sw1", "for": "10s"}))
    assert [each.resolved for each in records(made, Fault)] == [("sw1-sw2",)]
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ["lb2"]
    [change] = [each for each in records(made, StateChange, node="lb2") if each.at_ns > 25 * S]
    assert change.new == "BACKUP"
    assert 30 * S < change.at_ns < 31 * S + 10 * MS  # the next advert of lb1
    assert records(made, TrackerChange) == []
    assert [each for each in records(made, Reachability) if each.at_ns > 10 * S] == []  # it is on lb1's side


def lb1_after(made: World, seconds: int) -> list[tuple[str, int]]:
    """The states of lb1 from then on, with whole seconds."""
    return [
        (each.new, each.at_ns // S)
        for each in records(made, StateChange, node="lb1")
        if each.at_ns > seconds * S
    ]


def test_a_switch_without_power_takes_the_carrier_of_what_is_plugged_in() -> None:
    made = run(cluster({"at": "20s", "power_off": "sw1", "for": "10s"}))
    assert lb1_after(made, 10) == [("FAULT", 20), ("BACKUP", 30), ("MASTER", 33)]
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ["lb2", "lb1"]
    seen = [(each.at_ns // S, each.reachable) for each in records(made, Reachability) if each.at_ns > 10 * S]
    assert seen[0] == (20, False)
    assert seen[-1][1]


def test_a_switch_boots_as_long_as_it_says() -> None:
    switches = {"sw1": {"boots": "5s"}, "sw2": {}}
    made = run(cluster({"at": "20s", "power_off": "sw1", "for": "2s"}, switches=switches))
    assert lb1_after(made, 10)[:2] == [("FAULT", 20), ("BACKUP", 27)]


def test_a_switch_without_power_has_learned_nothing() -> None:
    made = network({"a": "s1", "b": "s2"}, ["s1", "s2"])
    port(made, "b").transmit(arp(made, "b"))
    made.calendar.run(S)
    s1, s2, mac = made.cabling.switches["s1"], made.cabling.switches["s2"], port(made, "b").mac
    assert s1.behind("lan", mac, S) is not None
    made.cabling.power_off("s1")
    made.cabling.power_on("s1")
    made.calendar.run(2 * S)
    assert s1.behind("lan", mac, S) is None
    assert s2.behind("lan", mac, S) is not None  # behind its own cable


def test_a_card_without_carrier_is_forgotten_by_its_switch() -> None:
    made = world(cluster({"at": "20s", "link_down": "lb1/eth0", "for": "10s"}))
    switch, mac = made.cabling.switches["sw1"], port(made, "lb1").mac
    found: list[object] = []
    for seconds in (19.9, 20.1):
        at(made, seconds, lambda: found.append(switch.behind("lan", mac, made.calendar.now_ns)))
    made.run()
    assert [each.resolved for each in records(made, Fault)] == [("lb1/eth0",)]
    assert found[0] is not None
    assert found[1] is None


def test_a_client_whose_cable_is_pulled_asks_in_vain_and_then_anew() -> None:
    made = run(cluster({"at": "20s", "link_down": "web-sw1", "for": "10s"}))
    seen = [(each.at_ns // S, each.reachable) for each in records(made, Reachability) if each.at_ns > 10 * S]
    assert seen[0] == (20, False)
    assert seen[-1] in [(30, True), (31, True)]


@pytest.mark.parametrize(("end", "split"), [("sw1", True), ("sw2", False)])
def test_an_impaired_cable_suffers_in_the_direction_that_is_said(end: str, split: bool) -> None:
    """From sw1, lb2 no longer hears lb1's adverts; from sw2, nobody misses anything of a Backup."""
    made = run(cluster({"at": "20s", "impair": "sw1-sw2", "loss": "100%", "from": end, "for": "10s"}))
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == (["lb2"] if split else [])
    made = run(cluster({"at": "20s", "impair": "sw1-sw2", "loss": "100%", "to": end, "for": "10s"}))
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ([] if split else ["lb2"])


def test_a_delayed_cable_delays() -> None:
    made = world(cluster({"at": "20s", "impair": "sw1-sw2", "delay": "30ms"}))
    ear = Ear(port(made, "lb2"))
    made.run()
    arrived = [at_ns for at_ns, frame in ear.heard if isinstance(frame, VrrpFrame) and at_ns > 20 * S]
    sent = [each.at_ns for each in records(made, AdvertSent, node="lb1") if 20 * S < each.at_ns < 59 * S]
    assert [at_ns - 30 * MS - 150 * US for at_ns in arrived][: len(sent)] == sent


@pytest.mark.parametrize("groups", [[["sw1"], ["sw2"]], [["lb1/eth0"], ["lb2/eth0"]], [["lb1"], ["sw2"]]])
def test_a_partition_takes_switches_and_interfaces(groups: Any) -> None:
    made = run(cluster({"at": "20s", "partition": groups, "for": "10s"}))
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ["lb2"]
    assert {each.reason for each in records(made, FrameLost)} == {"partition"}


def test_faults_of_the_network_explain_failovers() -> None:
    for event, kinds in (
        ({"at": "20s", "power_off": "sw1", "for": "10s"}, ["takeover", "return"]),
        ({"at": "20s", "link_down": "sw1-sw2", "for": "10s"}, ["takeover", "heal"]),
    ):
        scenario = load(cluster(event))
        result = measure(scenario, simulate(scenario))
        assert [each.kind.value for each in result.failovers] == kinds
        assert {each.cause.verb for each in result.failovers} == set(event) - {"at", "for"}


def test_a_hunt_has_faults_of_the_network_and_one_of_a_segment_has_none() -> None:
    wired, flat = menu_of(load(cluster())), menu_of(load(pair()))
    named = {str(event.target) for events in wired.values() for event in events}
    assert {"sw1", "sw2", "sw1-sw2"} <= named
    assert "web-sw1" not in named
    assert flat["power_off"] == wired["power_off"][:2]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"link_down": "sw1"}, "'link_down' needs NODE/INTERFACE or CABLE, not 'sw1'"),
        ({"power_off": "sw1-sw2"}, "'power_off' needs NODE or SWITCH, not 'sw1-sw2'"),
        ({"set_down": "sw1-sw2"}, "'set_down' needs NODE/INTERFACE, not 'sw1-sw2'"),
        ({"pause": "sw1", "for": 1}, "'pause' needs NODE, not 'sw1'"),
        ({"link_down": "sw1-sw3"}, "no node 'sw1-sw3'"),
        ({"impair": "sw1-sw2", "loss": 1, "from": "lb1"}, "lb1 is no end of sw1-sw2: sw1 and sw2 are"),
        ({"partition": [["lb1/eth1"], ["sw1"]]}, "no interface 'eth1' on lb1; did you mean 'eth0'?"),
        ({"partition": [["sw1-sw2"], ["sw1"]]}, "'partition' needs NODE, NODE/INTERFACE, CLIENT or SWITCH"),
    ],
)
def test_a_wrong_target_is_an_error(event: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(cluster({"at": "5s"} | event))
    assert message in str(caught.value)


# --- redundant cables


@st.composite
def meshes(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], list[int], list[tuple[str, int, bool]]]:
    """Up to six switches with loops, hosts on them, and what befalls cables (by number) and switches."""
    count = draw(st.integers(2, 6))
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(
        lambda pair: pair[0] != pair[1]
    )
    trunks = draw(st.lists(ends, min_size=1, max_size=9))
    hosts = draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=5))
    faults = st.one_of(
        st.tuples(st.just("pull"), st.integers(0, len(trunks) - 1), st.booleans()),
        st.tuples(st.just("power"), st.integers(0, count - 1), st.booleans()),
    )
    return count, trunks, hosts, draw(st.lists(faults, max_size=5))


@pytest.mark.slow
@settings(deadline=None, max_examples=80)
@given(meshes())
def test_no_storm_and_after_convergence_what_reachability_says(
    mesh: tuple[int, list[tuple[int, int]], list[int], list[tuple[str, int, bool]]],
) -> None:
    """A host broadcasts every 20 ms while cables and switches come and go: nobody hears a frame twice."""
    count, trunks, hosts, faults = mesh
    cards = {f"h{number}": f"s{switch}" for number, switch in enumerate(hosts)}
    cables = [{"ends": [f"s{a}", f"s{b}"], "name": f"t{number}"} for number, (a, b) in enumerate(trunks)]
    rstp = {f"s{number}": {"stp": "rstp"} for number in range(count)}
    made = network(cards, *cables, switches=rstp)
    pulled, off = set[int](), set[int]()
    for number, (what, which, harm) in enumerate(faults):
        at_ns = S + number * 300 * MS
        held = pulled if what == "pull" else off
        (held.add if harm else held.discard)(which)
        if what == "pull":
            made.calendar.at(at_ns, Kind.FAULT, 0, made.cabling.pull, f"t{which}", harm)
        elif f"s{which}" in made.cabling.switches:
            do = made.cabling.power_off if harm else made.cabling.power_on
            made.calendar.at(at_ns, Kind.FAULT, 0, do, f"s{which}")
    ears = {host: Ear(port(made, host)) for host in cards}
    frames = [arp(made, "h0") for _ in range(200)]
    for number, frame in enumerate(frames):
        made.calendar.at(S + number * 20 * MS, Kind.TIMER, 0, port(made, "h0").transmit, frame)
    made.calendar.run(10 * S)
    for ear in ears.values():
        heard = [id(frame) for _, frame in ear.heard]
        assert len(heard) == len(set(heard))
    graph = nx.Graph([(host, switch) for host, switch in cards.items() if int(switch[1:]) not in off])
    graph.add_nodes_from(cards)
    graph.add_edges_from(
        (f"s{a}", f"s{b}")
        for number, (a, b) in enumerate(trunks)
        if number not in pulled and not {a, b} & off
    )
    last = {host: Ear(port(made, host)) for host in cards}
    sent = {host: arp(made, host) for host in cards}
    for host, frame in sent.items():
        port(made, host).transmit(frame)
    made.calendar.run(11 * S)
    for host, frame in sent.items():
        near = nx.node_connected_component(graph, host) & cards.keys() - {host}
        assert {name for name, ear in last.items() for _, each in ear.heard if each is frame} == near


def redundant(*events: dict[str, Any], **words: Any) -> dict[str, Any]:
    """The cluster with a second cable between its switches, and spanning tree."""
    made = cluster(*events)
    spare = {"ends": ["sw1", "sw2"], "name": "spare"} | words
    return made | {
        "cables": [*made["cables"], spare],
        "switches": {name: {"stp": "rstp", "takes_over": "400ms"} for name in ("sw1", "sw2")},
    }


def test_the_spare_cable_takes_over_before_anybody_gives_up() -> None:
    made = run(redundant({"at": "20s", "link_down": "sw1-sw2", "for": "10s"}))
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == []
    lost = {each.at_ns // S for each in records(made, FrameLost, destination="lb2:eth0")}
    assert lost <= {20, 30}  # 400 ms each


def test_the_spare_cable_is_too_late_for_those_who_are_quick() -> None:
    """When takeover takes longer than three adverts, the backup takes over, too."""
    document = redundant({"at": "20s", "link_down": "sw1-sw2", "for": "20s"})
    document["switches"]["sw2"]["takes_over"] = "6s"  # three hellos that nobody heard
    made = run(document)
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S][:1] == ["lb2"]


def test_a_lag_survives_one_of_its_cables() -> None:
    document = redundant({"at": "20s", "link_down": "sw1-sw2", "for": "10s"}, lag="po1")
    document["cables"][2] = {"ends": ["sw1", "sw2"], "name": "sw1-sw2", "lag": "po1"}
    for switch in document["switches"].values():
        switch["stp"] = "none"
    made = run(document)
    assert [each for each in records(made, FrameLost) if each.at_ns > 10 * S] == []
    both = document | {"events": [*document["events"], {"at": "20s", "link_down": "spare", "for": "10s"}]}
    made = run(both)
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ["lb2"]


def test_frames_of_a_lag_take_one_of_its_cables_by_their_macs() -> None:
    trunks = [{"ends": ["s1", "s2"], "name": f"t{number}", "lag": "po1"} for number in (1, 2)]
    made = network({"a": "s1", "b": "s1", "c": "s2"}, *trunks)
    first = made.cabling.cables["t1"]
    taken = [first.carrier_of(port(made, name).mac, port(made, "c").mac).name for name in "ab"]
    assert sorted(taken) == ["t1", "t2"]
    made.cabling.impair("t1", ActiveImpairment(made.context, "test", Impairment(loss=1.0)))
    c = Ear(port(made, "c"))
    for name in "ab":
        port(made, name).transmit(arp(made, name, "c"))
    made.calendar.run(S)
    assert len(c.heard) == 1
    passes = [lan(made).passes(port(made, name), port(made, "c"), ("app",)) for name in "ab"]
    assert sorted(passes) == [0.0, 1.0]


def test_a_port_that_is_no_edge_port_forwards_30_s_after_its_link_is_up() -> None:
    document = cluster({"at": "20s", "link_down": "lb2/eth0", "for": "2s"}, duration="90s")
    document["cables"][1] = {"ends": ["lb2/eth0", "sw2"], "edge": False}
    document["switches"] = {"sw1": {}, "sw2": {"stp": "rstp"}}
    made = run(document)
    lost = [each.at_ns for each in records(made, FrameLost, reason="cable", destination="lb2:eth0")]
    assert 19 * S < lost[0] < 23 * S
    assert 51 * S < lost[-1] < 52 * S + 10 * MS
    assert [(at_ns // S, name) for at_ns, name in masters(made) if at_ns > 19 * S] == [(25, "lb2")]
    healed = [
        each.at_ns for each in records(made, StateChange, node="lb2", new="BACKUP") if each.at_ns > 30 * S
    ]
    assert len(healed) == 1
    assert 52 * S <= healed[0] < 53 * S + 10 * MS


def test_a_machine_that_boots_waits_for_its_port_too() -> None:
    document = cluster({"at": "20s", "power_off": "lb2", "for": "2s"}, duration="90s")
    document["cables"][1] = {"ends": ["lb2/eth0", "sw2"], "edge": False}
    document["switches"] = {"sw1": {}, "sw2": {"stp": "rstp", "forward_delay": "4s"}}
    made = run(document)
    found = [(at_ns // S, name) for at_ns, name in masters(made) if at_ns > 19 * S]
    assert found == [(25, "lb2")]
    healed = [
        each.at_ns for each in records(made, StateChange, node="lb2", new="BACKUP") if each.at_ns > 25 * S
    ]
    assert 30 * S <= healed[0] < 31 * S + 10 * MS


# --- snooping


def snooped(*events: dict[str, Any], sw1: Any, sw2: Any = None) -> dict[str, Any]:
    """The cluster on sw1, with IGMP snooping that also prunes 224.0.0.0/24, against RFC 4541."""
    words = {"sw1": sw1, "sw2": sw2}
    switches = {
        name: {} if each is None else {"igmp_snooping": {"link_local": "prune"} | each}
        for name, each in words.items()
    }
    cables = [["lb1/eth0", "sw1"], ["lb2/eth0", "sw1"], ["web", "sw1"], ["sw1", "sw2"]]
    return cluster(*events, switches=switches, cables=cables, duration="600s")


def pruned(made: World) -> list[int]:
    """In which seconds lb2 misses adverts because a switch knows of no member."""
    lost = records(made, FrameLost, destination="lb2:eth0", reason="snooping", kind="vrrp")
    return [each.at_ns // S for each in lost]


def test_without_a_querier_adverts_die_with_the_membership() -> None:
    """260 s after lb2 reported its group the switch forgets it, and lb2 hears nobody."""
    made = run(snooped(sw1={}))
    assert [(at_ns // S, name) for at_ns, name in masters(made) if at_ns > 19 * S] == [(263, "lb2")]
    assert pruned(made)[:3] == [260, 261, 262]


@pytest.mark.parametrize(
    "words",
    [
        {"sw1": {"querier": "self"}},
        {"sw1": {}, "sw2": {"querier": "self"}},
        {"sw1": {"link_local": "flood"}},
    ],
)
def test_with_a_querier_anywhere_or_as_the_rfc_wants_it_they_live(words: Any) -> None:
    made = run(snooped(**words))
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == []


def test_a_querier_that_goes_is_missed_a_membership_after_its_last_query() -> None:
    made = run(snooped({"at": "130s", "link_down": "sw1-sw2"}, sw1={}, sw2={"querier": "self"}))
    assert pruned(made)[0] in (385, 386)  # 125 + 260
    assert [name for at_ns, name in masters(made) if at_ns > 19 * S] == ["lb2"]


def test_who_reports_again_is_heard_again() -> None:
    events = [
        {"at": "300s", "restart": "lb2/keepalived"},
        {"at": "580s", "link_down": "lb2/eth0", "for": "1s"},
    ]
    found = pruned(run(snooped(*events, sw1={})))
    assert {each for each in found if each < 270} == set(range(260, 270))
    assert [each for each in found if 303 < each < 560] == []
    assert [each for each in found if 564 < each < 579]
    assert [each for each in found if each > 582] == []


def test_mld_snooping_prunes_groups_of_the_link_as_well() -> None:
    document = snooped(sw1={"link_local": "flood"})
    document["segments"] = {"lan": {"subnet": "2001:db8::/64"}}
    document["clients"] = {"web": {"segment": "lan", "target": "[fe80::100]:80"}}
    for number, each in enumerate(document["nodes"].values(), 1):
        each["interfaces"]["eth0"]["address"] = f"2001:db8::{number}/64"
        each["keepalived"]["vrrp_instances"]["VI_1"] |= {"version": 3, "virtual_ipaddress": ["fe80::100"]}
    assert pruned(run(document))[0] == 260


# --- a cluster on it


def test_a_cluster_on_one_switch_does_what_it_does_on_a_segment() -> None:
    """Two cables of 50 us are one segment of 100 us: the same history, record by record."""
    flat = pair({"at": "20s", "kill": "lb1/keepalived"}, {"at": "30s", "power_off": "lb2"}, clients=WEB)
    cables = [["lb1/eth0", "sw"], ["lb2/eth0", "sw"], ["web", "sw"]]
    wired = flat | {"switches": {"sw": {}}, "cables": cables, "segments": {"lan": {"subnet": "10.0.0.0/24"}}}
    assert run(wired).trace.records == run(flat).trace.records


def test_a_sweep_over_cables_passes_over_nothing() -> None:
    """Fast-forward knows one hop; with cables each advert is an event, and the history the same."""
    scenario = load(cluster({"at": "40s", "power_off": "lb1"}))
    one, other = (simulate(scenario, level=Level.STATES, fast_forward=each) for each in (True, False))
    assert one.records == other.records
    assert one.digest() == other.digest()


# --- what is no network


@pytest.mark.parametrize(
    ("cables", "message"),
    [
        ([["lb1/eth0", "sw3"]], "no switch, interface or client 'sw3'"),
        ([["lb1/eth1", "sw1"]], "no switch, interface or client 'lb1/eth1'; did you mean 'lb1/eth0'?"),
        ([["lb1/eth0", "lb2/eth0"]], "one end of a cable is a switch; put one between"),
        ([["sw1", "sw1"]], "both ends are sw1"),
        ([["lb1/eth0", "sw1"], ["lb1/eth0", "sw2"]], "lb1/eth0 has a cable already, on line 1"),
        ([["sw1", "sw2"], ["sw2", "sw1"]], "sw2-sw1 closes a loop: sw2 and sw1 would need 'stp: rstp'"),
        (
            [["sw1", "sw2"], ["sw1", "sw2"]],
            "a cable is called sw1-sw2 already, on line 1; give one a 'name:'",
        ),
        (
            [{"ends": ["sw1", "sw2"], "name": "lb1"}],
            "a node is called lb1 too; give the cable another 'name:'",
        ),
        ([["lb1/eth0", "sw1"]], "segment 'lan' is made of cables, and none leads to lb2/eth0"),
        ([{"ends": ["lb1/eth0", "sw1"], "edge": False}], "lb1/eth0 needs 'stp: rstp'"),
        ([{"ends": ["sw1", "sw2"], "edge": False}], "'edge:' is said of the cable to a card"),
        (
            [{"ends": ["lb1/eth0", "sw1"], "lag": "po1"}],
            "the cables of a LAG join the same two switches, and lb1/eth0 does not",
        ),
        ([{"ends": ["sw1", "sw2"], "segments": ["lam"]}], "no segment 'lam'"),
        ([{"ends": ["lb1/eth0", "sw1"], "segments": ["lan"]}], "'segments:' is said of trunks"),
        ([["sw1"]], "a cable has two ends: [lb1/eth0, sw1]"),
        ([["sw1", "-"]], "'-' is not an end of a cable such as sw1, lb1/eth0 or web"),
    ],
)
def test_a_wrong_cable_is_an_error_at_its_place(cables: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(cluster(cables=cables))
    assert message in str(caught.value)


def test_the_delay_of_a_segment_of_cables_is_theirs() -> None:
    with pytest.raises(
        InputError, match=r"segments\.lan\.delay: the segment is made of cables: say it of them"
    ):
        load(cluster(segments={"lan": {"subnet": "10.0.0.0/24", "delay": "1ms"}}))
    with pytest.raises(InputError, match=r"switches\.lb1: is also the name of a node"):
        load(cluster(switches={"lb1": {}, "sw1": {}, "sw2": {}}))


def test_third_node_without_a_cable_is_an_error() -> None:
    document = cluster()
    document["nodes"]["lb3"] = node(3, 90)
    with pytest.raises(InputError, match="none leads to lb3/eth0"):
        load(document)


def test_a_process_of_ones_own_pulls_cables_and_takes_power() -> None:
    def storm(_: Any, made: Any) -> Any:
        yield made.after(20)
        assert made.link_down("sw2-sw1", for_=5) == ("sw1-sw2",)
        yield made.after(10)
        assert made.power_off("sw1", for_=5) == ("sw1",)

    study = vrrpsim.Scenario.of(cluster()).process(storm)
    verbs = [each.verb for each in study.run().trace.records if isinstance(each, Fault)]
    assert verbs == ["link_down", "power_off"]
