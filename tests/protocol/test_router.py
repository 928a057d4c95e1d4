"""A daemon's life (keepalived.md §1.7), receive dispatch (§5.2 #1 … #4), the memo, the example of §2.3."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vrrp_pair import (
    GROUP,
    MS_NS,
    US_NS,
    VIP,
    VIP2,
    Wire,
    address,
    hear,
    host,
    instance,
    kinds,
    payload,
    router_config,
    script,
    started,
)

from vrrpsim.protocol.configuration import (
    SECOND_NS,
    GroupConfig,
    InstanceConfig,
    NotifyScripts,
    RouterConfig,
    Track,
    UnicastPeer,
)
from vrrpsim.protocol.dialect import (
    DIALECTS,
    KEEPALIVED_2_2_7,
    KEEPALIVED_2_2_8,
    KEEPALIVED_2_3_3,
    RFC5798,
    RFC9568,
    Dialect,
)
from vrrpsim.protocol.fsm import NEVER_NS, Log, State
from vrrpsim.protocol.outputs import (
    AddAddresses,
    AdvertDropped,
    PriorityChanged,
    RemoveAddresses,
    RunNotify,
    SendAdvert,
    SendGratuitous,
    StateChanged,
)
from vrrpsim.protocol.packet import Datagram, Reject
from vrrpsim.protocol.router import NOTHING, VrrpRouter
from vrrpsim.protocol.timer_queue import TimerQueue

MDI_100, SKEW_100 = 3_609_375_000, 609_375_000
MDI_101, SKEW_101 = 3_605_468_000, 605_468_000
MDI_102, SKEW_102 = 3_601_562_000, 601_562_000


def two_vrids(**fields) -> RouterConfig:
    a = instance("A", vrid=1, **fields)
    return router_config(a, instance("B", vrid=2, addresses=(VIP2,), **fields))


def mastered(config: RouterConfig | None = None, dialect: Dialect = KEEPALIVED_2_2_7) -> VrrpRouter:
    router = started(config or router_config(instance()), dialect)
    router.advance(MDI_100)
    return router


# --- start and stop


def test_start_removes_leftovers_then_gives_first_states_then_runs_scripts():
    config = two_vrids()._replace(scripts=(script(),))
    router = VrrpRouter(config, KEEPALIVED_2_2_7)
    outputs = router.start(host(), 7)
    assert [type(output).__name__ for output in outputs] == [
        *["RemoveAddresses"] * 2,
        *["Log", "StateChanged", "RunNotify"] * 2,
    ]
    assert [output.name for output in kinds(outputs, RunNotify)] == ["A", "B"]
    assert router.next_deadline_ns() == 7  # the first run of the script


def test_stop_resigns_in_order_then_notifies_instances_then_groups():
    config = two_vrids()._replace(groups=(GroupConfig(name="G", members=("A", "B")),))
    router = mastered(config)
    outputs = [output for output in router.stop(5 * SECOND_NS) if not isinstance(output, StateChanged)]
    assert [(type(output).__name__, output[0]) for output in outputs if not isinstance(output, Log)] == [
        ("SendAdvert", "A"),
        ("RemoveAddresses", "A"),
        ("SendAdvert", "B"),
        ("RemoveAddresses", "B"),
        ("RunNotify", "INSTANCE"),
        ("RunNotify", "INSTANCE"),
        ("RunNotify", "GROUP"),
    ]
    assert {advert.priority for advert in kinds(outputs, SendAdvert)} == {0}
    assert [str(log) for log in kinds(outputs, Log)] == ["(A) sent 0 priority", "(B) sent 0 priority"]
    assert router.next_deadline_ns() == NEVER_NS


@pytest.mark.parametrize("down", [frozenset(), frozenset({"eth0"})], ids=["BACKUP", "FAULT"])
def test_stop_outside_master_sends_nothing(down):
    router = started(router_config(instance()), interfaces_down=down)
    outputs = router.stop(SECOND_NS)
    assert [type(output) for output in outputs] == [StateChanged, RunNotify]
    assert router.state_of("VI") is State.INIT


def test_nothing_happens_after_stop():
    router = mastered()
    router.stop(5 * SECOND_NS)
    assert hear(router, 50, 6 * SECOND_NS) == []
    assert router.advance(60 * SECOND_NS) == []
    assert router.reload(router.config, 60 * SECOND_NS) == []
    assert router.file_changed("f", 0, 60 * SECOND_NS) == []
    router.interface_changed("eth0", False, 61 * SECOND_NS)
    assert router.state_of("VI") is State.INIT
    assert router.next_deadline_ns() == NEVER_NS


def test_the_state_of_an_unknown_instance_is_init():
    assert VrrpRouter(router_config(), KEEPALIVED_2_2_7).state_of("X") is State.INIT


# --- reload


def test_a_master_advertises_the_old_priority_then_the_new_one():
    router = mastered()
    at_ns = 4 * SECOND_NS
    outputs = router.reload(router_config(instance(priority=150)), at_ns)
    assert [advert.priority for advert in kinds(outputs, SendAdvert)] == [100]
    assert kinds(outputs, PriorityChanged) == [PriorityChanged("VI", 100, 150, "reload")]
    assert kinds(outputs, Log, RunNotify, SendGratuitous, AddAddresses, RemoveAddresses) == []
    assert router.next_deadline_ns() <= at_ns
    assert [advert.priority for advert in kinds(router.advance(at_ns), SendAdvert)] == [150]
    assert router.instances["VI"].timer.at_ns == at_ns + SECOND_NS


def test_the_rfcs_know_no_extra_advert():
    router = mastered(router_config(instance(version=3)), RFC9568)
    assert kinds(router.reload(router.config, 4 * SECOND_NS), SendAdvert) == []


def test_a_backup_restarts_a_full_interval_with_the_new_priority():
    router = started(router_config(instance()))
    assert kinds(router.reload(router_config(instance(priority=101)), SECOND_NS), SendAdvert) == []
    assert router.instances["VI"].timer.at_ns == SECOND_NS + MDI_101


def test_version_2_uses_the_new_interval_version_3_what_it_learned():
    for version, interval_ns in ((2, 5 * SECOND_NS), (3, 200 * MS_NS)):
        router = started(router_config(instance(version=version)))
        if version == 3:
            hear(router, 200, SECOND_NS, interval_wire=20)
        router.reload(router_config(instance(version=version, advert_int_ns=5 * SECOND_NS)), SECOND_NS)
        assert router.instances["VI"].state.master_adver_interval_ns == interval_ns


def test_a_reload_ends_the_startup_delay():
    config = router_config(instance(), startup_delay_ns=60 * SECOND_NS)
    router = started(config)
    router.reload(config, SECOND_NS)
    assert router.instances["VI"].timer.at_ns == SECOND_NS + MDI_100
    hear(router, 200, 2 * SECOND_NS)
    assert router.instances["VI"].timer.at_ns == 2 * SECOND_NS + MDI_100


def test_a_reload_ends_the_discarding_too():
    config = router_config(instance(), startup_delay_ns=60 * SECOND_NS)
    router = started(config, KEEPALIVED_2_2_8)
    router.reload(config, SECOND_NS)
    hear(router, 200, 2 * SECOND_NS)
    assert router.instances["VI"].received == 1


def test_statistics_and_addresses_survive():
    router = mastered()
    hear(router, 50, 4 * SECOND_NS)
    router.reload(router.config, 5 * SECOND_NS)
    kept = router.instances["VI"]
    assert (kept.received, kept.owns_addresses, kept.state.state) == (1, True, State.MASTER)


def test_removed_addresses_are_deleted_and_new_ones_added():
    router = mastered()
    outputs = router.reload(router_config(instance(addresses=(VIP2,))), 5 * SECOND_NS)
    assert kinds(outputs, RemoveAddresses) == [RemoveAddresses("VI", "eth0", (VIP,))]
    assert kinds(outputs, AddAddresses) == [AddAddresses("VI", "eth0", (VIP2,), None)]
    advert = kinds(router.advance(5 * SECOND_NS), SendAdvert)[0]
    assert advert.payload[8:12] == VIP2.address.packed


def test_a_backup_touches_no_addresses():
    router = started(router_config(instance()))
    outputs = router.reload(router_config(instance(addresses=(VIP2,))), SECOND_NS)
    assert kinds(outputs, RemoveAddresses, AddAddresses) == []


@pytest.mark.parametrize(
    ("notify", "word"), [(NotifyScripts(), "FAULT"), (NotifyScripts(deleted="/bin/gone"), "DELETED")]
)
def test_a_deleted_instance_resigns_and_releases(notify, word):
    router = mastered(two_vrids(notify=notify))
    outputs = router.reload(router.config._replace(instances=router.config.instances[:1]), 5 * SECOND_NS)
    assert [(advert.instance, advert.priority) for advert in kinds(outputs, SendAdvert)] == [
        ("A", 100),
        ("B", 100),
        ("B", 0),
    ]
    assert kinds(outputs, RemoveAddresses) == [RemoveAddresses("B", "eth0", (VIP2,))]
    assert kinds(outputs, RunNotify) == [RunNotify("INSTANCE", "B", word, 100)]
    assert {advert.instance for advert in kinds(router.advance(30 * SECOND_NS), SendAdvert)} == {"A"}
    assert hear(router, 50, 31 * SECOND_NS, name="A", vrid=2) == []


def test_an_added_instance_starts():
    one = two_vrids()._replace(instances=two_vrids().instances[:1])
    router = mastered(one)
    router.reload(two_vrids(), 5 * SECOND_NS)
    assert (router.state_of("A"), router.state_of("B")) == (State.MASTER, State.BACKUP)
    assert router.instances["B"].timer.at_ns == 5 * SECOND_NS + MDI_100


def test_another_vrid_is_another_instance():
    router = mastered()
    outputs = router.reload(router_config(instance(vrid=52)), 5 * SECOND_NS)
    assert [advert.priority for advert in kinds(outputs, SendAdvert)] == [100, 0]
    assert router.state_of("VI") is State.BACKUP


def test_a_reload_that_drops_a_failing_tracker_ends_the_fault():
    config = router_config(instance(track_files=(Track("f"),)))
    router = started(config, files={"f": 1})
    router.reload(router_config(instance()), SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


# --- receive dispatch


def test_a_short_packet_is_logged():
    router = started(router_config(instance()))
    outputs = router.receive("eth0", Datagram(address(2), GROUP, 255, b"\x21\x33\x64"), 5)
    assert [str(output) for output in outputs] == ["IPv4 VRRP packet too short - 3 bytes"]


@pytest.mark.parametrize("logged", [False, True])
def test_an_unknown_vrid_is_silent(logged):
    config = instance()
    router = started(router_config(config, log_unknown_vrids=logged))
    data = payload(config._replace(vrid=99), 200, address(2))
    outputs = router.receive("eth0", Datagram(address(2), GROUP, 255, data), 5)
    assert [type(output) for output in outputs] == ([Log] if logged else [])
    assert (
        list(router.receive("eth1", Datagram(address(2), GROUP, 255, payload(config, 1, address(2))), 5))[1:]
        == []
    )
    assert router.instances["VI"].received == 0


def test_a_duplicate_vrid_is_picked_by_the_last_sender_then_by_the_peer_list():
    twins = [
        instance(name, unicast_peers=(UnicastPeer(address(number)),)) for name, number in (("A", 2), ("B", 3))
    ]
    router = started(router_config(*twins))

    def counts(number: int) -> tuple[int, int]:
        data = payload(twins[0], 200, address(number))
        router.receive("eth0", Datagram(address(number), address(1), 255, data), SECOND_NS)
        return router.instances["A"].received, router.instances["B"].received

    assert counts(3) == (0, 1)
    assert counts(2) == (1, 1)
    assert counts(4) == (1, 1)  # neither
    router.instances["A"].state = router.instances["A"].state._replace(master_address=address(3))
    assert counts(3) == (2, 1)


@pytest.mark.parametrize(
    ("fields", "reason", "counter"),
    [
        ({"interval_wire": 3}, Reject.ADVERT_INTERVAL_MISMATCH, "advert_interval_mismatch"),
        ({"addresses": (VIP2.address,)}, Reject.ADDR_LIST_ERR, "addr_list_err"),
        ({"auth_type": 1}, Reject.AUTHTYPE_MISMATCH, "authtype_mismatch"),
    ],
)
def test_a_rejected_packet_is_counted_and_named(fields, reason, counter):
    router = started(router_config(instance()))
    outputs = hear(router, 200, SECOND_NS, **fields)
    assert outputs[-1] == AdvertDropped("VI", address(2), reason)
    assert router.instances["VI"].counters == {counter: 1}
    assert router.instances["VI"].received == 0


@pytest.mark.parametrize(("dialect", "lines"), [(KEEPALIVED_2_2_7, 4), (KEEPALIVED_2_3_3, 2)])
def test_K2_rejects_are_logged_each_time_or_once_until_the_master_changes(dialect, lines):
    router = started(router_config(instance()), dialect)
    outputs = [hear(router, 200, SECOND_NS, interval_wire=3), hear(router, 200, SECOND_NS, interval_wire=3)]
    hear(router, 200, SECOND_NS, number=7)
    outputs += [hear(router, 200, SECOND_NS, interval_wire=3), hear(router, 200, SECOND_NS, interval_wire=3)]
    assert sum(len(kinds(some, Log)) for some in outputs) == lines
    assert router.instances["VI"].counters["advert_interval_mismatch"] == 4


def test_K1_from_2_3_3_another_address_list_is_accepted_and_counted_each_time():
    router = started(router_config(instance()), KEEPALIVED_2_3_3)
    data = payload(router.config.instances[0], 200, address(2), addresses=(VIP2.address,))
    source = address(2)
    for second in range(1, 6):
        router.receive("eth0", Datagram(source, GROUP, 255, data), second * SECOND_NS)
    assert router.instances["VI"].counters == {"addr_list_err": 5}
    assert router.instances["VI"].received == 5


def test_counters():
    router = mastered()
    hear(router, 0, 4 * SECOND_NS)
    hear(router, 200, 4 * SECOND_NS)
    hear(router, 0, 4 * SECOND_NS)
    router.advance(5 * SECOND_NS)
    router.stop(6 * SECOND_NS)
    one = router.instances["VI"]
    assert one.counters == {
        "become_master": 2,
        "release_master": 2,
        "pri_zero_rcvd": 2,
        "pri_zero_sent": 1,
    }
    assert (one.received, one.sent) == (3, 4)


def test_sent_counts_one_for_each_advert_not_for_each_peer():
    peers = (UnicastPeer(address(2)), UnicastPeer(address(3)))
    router = started(router_config(instance(unicast_peers=peers)))
    adverts = kinds(router.advance(MDI_100), SendAdvert)
    assert [advert.destination for advert in adverts] == [address(2), address(3)]
    assert router.instances["VI"].sent == 1


def test_state_changes_say_when_the_master_was_last_heard():
    router = started(router_config(instance()))
    hear(router, 200, SECOND_NS)
    hear(router, 50, 2 * SECOND_NS)  # discarded
    change = kinds(router.advance(SECOND_NS + MDI_100), StateChanged)
    assert change == [StateChanged("VI", State.BACKUP, State.MASTER, "master_down_timer", SECOND_NS)]


# --- the memo of the accepted advert


def test_the_same_advert_again_costs_a_look_up():
    router = started(router_config(instance()))
    source, data = address(2), payload(instance(), 200, address(2))
    for second in (1, 2, 3):
        answer = router.receive("eth0", Datagram(source, GROUP, 255, data), second * SECOND_NS)
    assert answer is NOTHING
    assert router.instances["VI"].memo.payload is data
    assert router.instances["VI"].received == 3


def test_the_memo_minds_the_destination():
    router = started(router_config(instance()))
    source, data = address(2), payload(instance(), 200, address(2))
    for second in (1, 2, 3):
        router.receive("eth0", Datagram(source, GROUP, 255, data), second * SECOND_NS)
    outputs = router.receive("eth0", Datagram(source, address(1), 255, data), 4 * SECOND_NS)
    assert [output.reason for output in kinds(list(outputs), AdvertDropped)] == [
        Reject.UNICAST_MULTICAST_MISMATCH
    ]
    assert router.instances["VI"].timer.at_ns == 3 * SECOND_NS + MDI_100


def test_the_memo_does_not_stop_the_preempt_clock():
    router = started(router_config(instance(preempt_delay_ns=3 * SECOND_NS)))
    source, data = address(2), payload(instance(), 50, address(2))
    for second in range(1, 7):
        router.receive("eth0", Datagram(source, GROUP, 255, data), second * SECOND_NS)
    assert router.instances["VI"].timer.at_ns == 3 * SECOND_NS + MDI_100  # clock from 1 s to 4 s


LITERAL_5798 = RFC5798._replace(name="literal", skew_recomputed_on_learning=False)
MEMO_CONFIGS = [
    (instance(), KEEPALIVED_2_2_7),
    (instance(preempt=False), KEEPALIVED_2_2_7),
    (instance(preempt_delay_ns=3 * SECOND_NS), KEEPALIVED_2_2_7),
    (instance(version=3), KEEPALIVED_2_3_3),
    (instance(), KEEPALIVED_2_3_3),
    (instance(version=3), LITERAL_5798),
    (instance(unicast_peers=(UnicastPeer(address(2)), UnicastPeer(address(9)))), KEEPALIVED_2_2_7),
]
SOURCES = [address(2), address(9)]
DESTINATIONS = [GROUP, address(1)]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(MEMO_CONFIGS),
    st.sampled_from([0, 2 * SECOND_NS]),
    st.lists(
        st.tuples(
            st.integers(0, 5),  # which of a few payloads
            st.sampled_from([0, 0, 0, 1]),  # source
            st.sampled_from([0, 0, 0, 1]),  # destination
            st.sampled_from([255, 255, 255, 254]),
            st.sampled_from([1, 300, 1000]),  # ms since the last event
            st.integers(0, 9),  # now and then a priority change
        ),
        max_size=25,
    ),
)
def test_the_memo_cannot_be_seen(case, delay_ns, events):
    config, dialect = case
    twins = [started(router_config(config, startup_delay_ns=delay_ns), dialect) for _ in range(2)]
    others = [{}, {}, {"addresses": (VIP2.address,)}, {"interval_wire": 50}]
    payloads = [
        payload(config, priority, SOURCES[0], **more)
        for priority, more in zip((200, 100, 200, 200), others, strict=True)
    ]
    payloads += [payload(config, 50, SOURCES[0]), payload(config, 0, SOURCES[0])]
    now_ns = 0
    for which, source, destination, ttl, wait_ms, whim in events:
        now_ns += wait_ms * MS_NS
        answers = []
        for number, router in enumerate(twins):
            if number:
                router._memos.clear()  # this one takes every advert apart
            outputs = list(router.advance(now_ns))
            if whim == 0:
                outputs += router.set_priority("VI", 90 + which, now_ns)
            outputs += router.receive(
                "eth0", Datagram(SOURCES[source], DESTINATIONS[destination], ttl, payloads[which]), now_ns
            )
            one = router.instances["VI"]
            answers.append(
                (
                    outputs,
                    one.state,
                    one.timer.at_ns,
                    one.received,
                    one.counters,
                    one.last_advert_ns,
                    one.told,
                )
            )
        assert answers[0] == answers[1]


def test_a_note_is_counted_for_every_advert():
    router = started(router_config(instance(version=3)), KEEPALIVED_2_3_3)
    data = payload(instance(version=3), 200, address(2), interval_wire=50)
    for millisecond in range(1, 6):
        router.receive("eth0", Datagram(address(2), GROUP, 255, data), millisecond * MS_NS)
    assert router.instances["VI"].counters["advert_interval_mismatch"] == 5


# --- deadlines


@given(
    st.lists(st.tuples(st.integers(0, 3), st.one_of(st.just(NEVER_NS), st.integers(0, 40)), st.booleans()))
)
def test_the_timer_queue_never_wakes_late_and_never_twice(moves):
    queue = TimerQueue()
    fired: list[tuple[int, int]] = []
    timers = [
        queue.timer(lambda now_ns, number=number: fired.append((number, now_ns))) for number in range(4)
    ]
    due = dict.fromkeys(range(4), NEVER_NS)
    now_ns = 0
    for number, wait_ns, passes in moves:
        due[number] = min(now_ns + wait_ns, NEVER_NS)
        queue.arm(timers[number], due[number])
        assert queue.wake_ns() <= min(due.values())
        if passes:
            now_ns += 7
            queue.serve(now_ns, now_ns)
            expected = sorted((at_ns, number) for number, at_ns in due.items() if at_ns <= now_ns)
            assert fired == [(number, now_ns) for _, number in expected]
            fired.clear()
            due = {number: at_ns if at_ns > now_ns else NEVER_NS for number, at_ns in due.items()}
            assert queue.wake_ns() <= min(due.values())


# --- FSM-35 between two clusters, and the worked example §2.3


def test_FSM_35_a_clash_of_vrids_mutes_one_of_the_masters():
    wire = Wire()
    wire.start(1, router_config(instance(priority=100)))
    wire.run(0.3)
    wire.start(2, router_config(instance(priority=100, addresses=(VIP2,))))
    wire.run(60)
    assert wire.masters() == [1, 2]  # each rejects the other's adverts
    recent = [(len([1 for at_ns, _ in wire.sent(number) if at_ns > 30 * SECOND_NS])) for number in (1, 2)]
    assert sorted(recent) == [0, 30]


def test_FSM_35_a_longer_interval_is_muted_by_a_shorter_one():
    wire = Wire()
    wire.start(1, router_config(instance(priority=200, advert_int_ns=3 * SECOND_NS)))
    wire.start(2, router_config(instance(priority=100)))
    wire.run(60)
    assert wire.masters() == [1, 2]
    assert len(wire.sent(1)) == 1


def worked(number: int, priority: int, weight: int = 2) -> RouterConfig:
    config = instance(priority=priority, track_scripts=(Track("chk", weight),))
    return router_config(config, scripts=(script(interval_ns=2 * SECOND_NS),))


def worked_pair(weight: int = 2) -> Wire:
    wire = Wire()
    wire.start(1, worked(1, 101, weight))
    wire.start(2, worked(2, 100, weight))
    wire.run(20)
    assert wire.masters() == [1]
    return wire


def test_worked_example_both_start_together():
    wire = worked_pair()
    assert wire.when_master(1) == MDI_101 - 7_812 * US_NS == 3_597_656 * US_NS
    assert wire.routers[1].instances["VI"].state.priority == 103
    assert wire.routers[2].instances["VI"].state.priority == 102
    assert kinds([output for _, node, output in wire.history if node == 2], SendAdvert) == []


def test_worked_example_the_host_dies():
    wire = worked_pair()
    last_ns = wire.routers[2].instances["VI"].last_advert_ns
    wire.kill(1)
    died_ns = wire.now_ns
    wire.run(5)
    taken_ns = wire.when_master(2, died_ns)
    assert taken_ns == last_ns + MDI_102
    assert 2_600 * MS_NS <= taken_ns - died_ns <= 3_602 * MS_NS


def test_worked_example_a_graceful_stop():
    wire = worked_pair()
    stopped_ns = wire.now_ns
    wire.stop(1)
    wire.run(2)
    assert wire.when_master(2, stopped_ns) == stopped_ns + wire.delay_ns + SKEW_102


def test_worked_example_a_script_target_dies_and_recovers():
    wire = worked_pair()
    dead_ns = wire.now_ns
    wire.script = lambda number, name: number != 1
    wire.run(10)
    taken_ns = wire.when_master(2, dead_ns)
    assert 2_600 * MS_NS <= taken_ns - dead_ns <= 5_620 * MS_NS
    assert wire.masters() == [2]
    healed_ns = wire.now_ns
    wire.script = lambda number, name: True
    wire.run(10)
    back_ns = wire.when_master(1, healed_ns)
    assert 2_590 * MS_NS <= back_ns - healed_ns <= 5_620 * MS_NS
    assert wire.masters() == [1]


def test_worked_example_an_unweighted_script_resigns():
    wire = worked_pair(weight=0)
    dead_ns = wire.now_ns
    wire.script = lambda number, name: number != 1
    wire.run(5)
    at_ns, _ = next(sent for sent in wire.sent(1) if sent[0] >= dead_ns and sent[1] == 0)
    assert [priority for sent_ns, priority in wire.sent(1) if sent_ns == at_ns] == [0, 0]
    assert wire.when_master(2, dead_ns) == at_ns + wire.delay_ns + SKEW_100
    assert (wire.routers[1].state_of("VI"), wire.masters()) == (State.FAULT, [2])


def test_worked_example_the_script_fails_on_both():
    wire = worked_pair()
    wire.script = lambda number, name: False
    at_ns = wire.now_ns
    wire.run(20)
    changes = [output for when_ns, _, output in wire.history if when_ns > at_ns]
    assert kinds(changes, StateChanged) == []
    assert wire.masters() == [1]


def test_worked_example_a_late_starter_takes_over_at_its_own_start_plus_its_interval():
    wire = Wire()
    wire.start(2, worked(2, 100))
    wire.run(10.3)
    assert wire.masters() == [2]
    born_ns = wire.now_ns
    wire.start(1, worked(1, 101))
    wire.run(6)
    assert wire.when_master(1, born_ns) == born_ns + 3_597_656 * US_NS
    assert wire.masters() == [1]


def test_equal_priorities_the_lower_address_steps_down():
    wire = Wire()
    for number in (1, 2):
        wire.start(number, router_config(instance(priority=100)))
    wire.run(4)
    assert wire.masters() == [2]
    logs = [str(output) for _, node, output in wire.history if node == 2 and isinstance(output, Log)]
    assert any("forcing new election" in line for line in logs)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_dialect_elects_one_master_and_survives_its_loss(dialect):
    wire = Wire()
    config: InstanceConfig = instance(version=dialect.default_version)
    for number in (1, 2, 3):
        wire.start(number, router_config(config._replace(priority=100 + number)), dialect)
    wire.run(10)
    assert wire.masters() == [3]
    wire.kill(3)
    wire.run(5)
    assert wire.masters() == [2]
    assert IPv4Address("10.0.0.2") == wire.routers[1].instances["VI"].state.master_address
