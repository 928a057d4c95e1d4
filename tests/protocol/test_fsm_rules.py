"""keepalived.md §1, rule by rule: exact actions in order, exact deadlines; rows that must and must not."""

from __future__ import annotations

from typing import Any

import pytest
from vrrp_pair import (
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
    router_config,
    script,
    started,
)

from vrrpsim.protocol import fsm
from vrrpsim.protocol.configuration import SECOND_NS, Garp, InitialState, Track, UnicastPeer
from vrrpsim.protocol.dialect import KEEPALIVED_2_2_7, KEEPALIVED_2_2_8, KEEPALIVED_2_3_3, Dialect
from vrrpsim.protocol.fsm import (
    NEVER_NS,
    Acquire,
    Advertise,
    Announce,
    AnnounceGroup,
    AnnounceSource,
    Enter,
    Heard,
    InstanceRules,
    InstanceState,
    Log,
    Notify,
    Release,
    State,
    Step,
    transition,
)
from vrrpsim.protocol.outputs import (
    AddAddresses,
    AdvertDropped,
    RemoveAddresses,
    RunNotify,
    SendAdvert,
    SendGratuitous,
    StateChanged,
)
from vrrpsim.protocol.packet import Advertisement
from vrrpsim.protocol.router import VrrpRouter

NOW = 100 * SECOND_NS
MDI = {priority: 3 * SECOND_NS + (256 - priority) * 1_000_000 // 256 * US_NS for priority in range(1, 256)}
SKEW = {priority: down - 3 * SECOND_NS for priority, down in MDI.items()}
OWN, LOW, HIGH = address(5), address(2), address(9)

LOG_BACKUP = Log("({}) Entering BACKUP STATE", ("VI",))
LOG_FAULT = Log("({}) Entering FAULT STATE", ("VI",))


def rules(priority: int = 101, dialect: Dialect = KEEPALIVED_2_2_7, **fields: Any) -> InstanceRules:
    return InstanceRules(instance(priority=priority, **fields), dialect)


def new(one: InstanceRules) -> InstanceState:
    return fsm.initial_state(one, OWN)


def backup(one: InstanceRules, **fields: Any) -> InstanceState:
    state = new(one)._replace(state=State.BACKUP)
    return state._replace(down_ns=one.down_ns(state))._replace(**fields)


def master(one: InstanceRules, **fields: Any) -> InstanceState:
    return new(one)._replace(state=State.MASTER, wants_master=True, master_address=OWN)._replace(**fields)


def advert(priority: int, interval_wire: int = 1, version: int = 2) -> Advertisement:
    return Advertisement(version, 51, priority, interval_wire, (VIP.address,))


def v3(priority: int, interval_cs: int) -> Advertisement:
    return advert(priority, interval_cs, 3)


def becomes_master(one: InstanceRules, priority: int, reason: str) -> tuple[fsm.Action, ...]:
    """FSM-27 after the optional time-out line."""
    return (
        Advertise(priority),
        Log("({}) Entering MASTER STATE", ("VI",)),
        Enter(State.MASTER, reason),
        Acquire(),
        Announce(5),
        Announce(5, 5 * SECOND_NS),
        Notify("MASTER"),
    )


TIMED_OUT = Log("({}) Receive advertisement timeout", ("VI",), True)


# --- §1.1 start-up


@pytest.mark.parametrize("priority", [1, 100, 254])
def test_FSM_2_scripts_contribute_nothing_before_their_first_result(priority):
    scripts = (script(),)
    for weight in (20, -20):
        config = instance(priority=priority, track_scripts=(Track("chk", weight),))
        router = started(router_config(config, scripts=scripts))
        assert router.instances["VI"].state.priority == priority


def test_FSM_2_trackers_that_know_their_state_are_applied_at_once():
    config = instance(priority=100, track_files=(Track("f", 3),), track_interfaces=(Track("eth1", 7),))
    router = started(router_config(config), files={"f": 4})
    assert router.instances["VI"].state.priority == 119


def test_FSM_3_a_fault_at_start_is_named():
    config = router_config(instance())
    router = VrrpRouter(config, KEEPALIVED_2_2_7)
    outputs = router.start(host(interfaces_down=frozenset({"eth0"})), NOW)
    assert outputs == [
        RemoveAddresses("VI", "eth0", (VIP,)),
        Log("({}) entering FAULT state ({})", ("VI", "interface eth0 down")),
        StateChanged("VI", State.INIT, State.FAULT, "interface eth0 down", None),
        RunNotify("INSTANCE", "VI", "FAULT", 100),
    ]
    assert router.next_deadline_ns() == NEVER_NS


@pytest.mark.parametrize(
    ("fields", "at_start", "faulty"),
    [
        ({"track_interfaces": (Track("eth1"),)}, {"interfaces_down": frozenset({"eth1"})}, True),
        ({"track_interfaces": (Track("eth1", 5),)}, {"interfaces_down": frozenset({"eth1"})}, False),
        ({}, {"interfaces_down": frozenset({"eth0"})}, True),
        ({"dont_track_primary": True}, {"interfaces_down": frozenset({"eth0"})}, False),
        ({"addresses": (VIP._replace(interface="eth1"),)}, {"interfaces_down": frozenset({"eth1"})}, True),
        (
            {"addresses": (VIP._replace(interface="eth1", no_track=True),)},
            {"interfaces_down": frozenset({"eth1"})},
            False,
        ),
        ({"excluded": (VIP2._replace(interface="eth1"),)}, {"interfaces_down": frozenset({"eth1"})}, True),
        ({}, {"interfaces": ()}, True),
        ({"track_files": (Track("f"),)}, {"files": {"f": 1}}, True),
        ({"track_files": (Track("f"),)}, {"files": {"f": 0}}, False),
        ({"track_processes": (Track("p"),)}, {}, True),
        ({"config_faults": ("unicast_fault_no_peer",)}, {}, True),
    ],
)
def test_FSM_3_what_counts_as_a_fault(fields, at_start, faulty):
    router = started(router_config(instance(**fields)), **at_start)
    assert router.state_of("VI") is (State.FAULT if faulty else State.BACKUP)


def test_FSM_4_left_over_addresses_go_before_anything_else_and_without_adverts():
    config = router_config(instance("A", vrid=1), instance("B", vrid=2, addresses=(VIP2,)))
    outputs = VrrpRouter(config, KEEPALIVED_2_2_7).start(host(), NOW)
    assert outputs[:2] == [RemoveAddresses("A", "eth0", (VIP,)), RemoveAddresses("B", "eth0", (VIP2,))]
    assert not kinds(outputs, SendAdvert)


def test_FSM_5_an_owner_that_wants_to_turns_master_at_once():
    one = rules(255, initial_state=InitialState.MASTER)
    step = transition(one, new(one), NEVER_NS, fsm.Startup(), NOW)
    assert step.actions == becomes_master(one, 255, "owner")
    assert step.deadline_ns == NOW + SECOND_NS


@pytest.mark.parametrize(
    "one", [rules(255), rules(254, initial_state=InitialState.MASTER)], ids=["state BACKUP", "not owner"]
)
def test_FSM_5_nobody_else_does(one):
    assert transition(one, new(one), NEVER_NS, fsm.Startup(), NOW).state.state is State.BACKUP


def test_FSM_5_an_owner_in_a_mixed_group_waits():
    one = rules(255, initial_state=InitialState.MASTER)
    assert transition(one, new(one), NEVER_NS, fsm.Startup(as_backup=True), NOW).state.state is State.BACKUP


@pytest.mark.parametrize("initial", list(InitialState))
@pytest.mark.parametrize("priority", [1, 101, 254])
def test_FSM_6_state_master_gives_no_head_start(initial, priority):
    one = rules(priority, initial_state=initial)
    step = transition(one, new(one), NEVER_NS, fsm.Startup(), NOW)
    assert step.deadline_ns == NOW + MDI[priority]
    assert step.actions == (
        Log("({}) Entering BACKUP STATE (init)", ("VI",)),
        Enter(State.BACKUP, "init"),
        Notify("BACKUP"),
    )


def script_router(*tracks: Track, dialect=KEEPALIVED_2_2_7, **fields) -> tuple[VrrpRouter, list]:
    scripts = tuple(script(name=track.name, fall=3, rise=3) for track in tracks)
    config = router_config(instance(track_scripts=tracks, **fields), scripts=scripts)
    router = VrrpRouter(config, dialect)
    outputs = router.start(host(), 0)
    return router, outputs + router.advance(0)


def test_FSM_7_waiting_for_a_script_is_a_silent_fault():
    router, outputs = script_router(Track("chk"))
    assert router.state_of("VI") is State.FAULT
    assert not kinds(outputs, Log, RunNotify)
    assert router.instances["VI"].timer.at_ns == NEVER_NS


def test_FSM_7_the_first_success_ends_the_wait():
    router, _ = script_router(Track("chk"), priority=101)
    outputs = router.script_finished(1, 0, None, 10 * MS_NS)
    assert outputs[-3:] == [
        LOG_BACKUP,
        StateChanged("VI", State.FAULT, State.BACKUP, "recovered", None),
        RunNotify("INSTANCE", "VI", "BACKUP", 101),
    ]
    assert router.instances["VI"].timer.at_ns == 10 * MS_NS + MDI[101]


def test_FSM_7_an_owner_goes_straight_to_master():
    router, _ = script_router(Track("chk"), priority=255, initial_state=InitialState.MASTER)
    router.script_finished(1, 0, None, 10 * MS_NS)
    assert router.state_of("VI") is State.MASTER


def test_FSM_7_an_owner_in_state_backup_does_not():
    router, _ = script_router(Track("chk"), priority=255)
    router.script_finished(1, 0, None, 10 * MS_NS)
    assert router.state_of("VI") is State.BACKUP


def test_FSM_7_the_first_failure_is_notified_without_a_log_of_the_state():
    router, _ = script_router(Track("chk"), priority=255, initial_state=InitialState.MASTER)
    outputs = router.script_finished(1, 1, None, 10 * MS_NS)
    assert outputs[-1] == RunNotify("INSTANCE", "VI", "FAULT", 255)
    assert LOG_FAULT not in outputs
    assert not kinds(outputs, StateChanged)
    for tick in (1, 2, 3):  # rise 3; then an owner waits like everybody else (FSM-43)
        router.advance(tick * SECOND_NS)
        router.script_finished(1 + tick, 0, None, tick * SECOND_NS + 10 * MS_NS)
    assert router.state_of("VI") is State.BACKUP


def test_FSM_7_one_failure_is_notified_while_another_script_is_awaited():
    router, _ = script_router(Track("one"), Track("two"))
    assert RunNotify("INSTANCE", "VI", "FAULT", 100) in router.script_finished(1, 1, None, 5)
    assert not kinds(router.script_finished(2, 0, None, 6), RunNotify)


@pytest.mark.parametrize("weight", [2, -2])
def test_FSM_8_weighted_scripts_never_block(weight):
    router, _ = script_router(Track("chk", weight))
    assert router.state_of("VI") is State.BACKUP


def test_FSM_9_the_deadline_counts_from_the_end_of_the_delay():
    router = started(router_config(instance(priority=101), startup_delay_ns=10 * SECOND_NS))
    assert router.instances["VI"].timer.at_ns == 10 * SECOND_NS + MDI[101]
    hear(router, 150, 4 * SECOND_NS)  # still processed
    assert router.instances["VI"].state.master_priority == 150
    assert router.instances["VI"].timer.at_ns == 10 * SECOND_NS + MDI[101]
    hear(router, 150, 11 * SECOND_NS)  # the delay is over
    assert router.instances["VI"].timer.at_ns == 11 * SECOND_NS + MDI[101]


def test_FSM_9_with_FSM_12_a_resignation_during_the_delay_counts_from_its_end():
    router = started(router_config(instance(priority=101), startup_delay_ns=10 * SECOND_NS))
    hear(router, 0, 4 * SECOND_NS)
    assert router.instances["VI"].timer.at_ns == 10 * SECOND_NS + SKEW[101]
    hear(router, 0, 11 * SECOND_NS)
    assert router.instances["VI"].timer.at_ns == 11 * SECOND_NS + SKEW[101]


def test_FSM_9_quirk_lower_adverts_drift_the_deadline_far_out():
    router = started(router_config(instance(priority=101), startup_delay_ns=10 * SECOND_NS))
    for second in range(1, 13):
        hear(router, 50, second * SECOND_NS)
    expected = 10 * SECOND_NS + MDI[101] + sum(10 - second for second in range(1, 10)) * SECOND_NS
    assert router.instances["VI"].timer.at_ns == expected == 58_605_468_000


def test_FSM_9_from_2_2_8_packets_are_thrown_away_unread():
    config = router_config(instance(priority=101), startup_delay_ns=10 * SECOND_NS)
    router = started(config, KEEPALIVED_2_2_8)
    for second in range(1, 10):
        assert hear(router, 50, second * SECOND_NS) == []
        hear(router, 150, second * SECOND_NS)
    assert router.instances["VI"].received == 0
    assert router.instances["VI"].timer.at_ns == 10 * SECOND_NS + MDI[101]
    assert router.advance(10 * SECOND_NS) == [Log("Delayed start completed")]


def test_FSM_9_a_script_wait_does_not_cut_the_delay_short():
    scripts = (script(),)
    config = instance(priority=101, track_scripts=(Track("chk"),))
    router = started(router_config(config, scripts=scripts, startup_delay_ns=10 * SECOND_NS))
    router.advance(0)
    router.script_finished(1, 0, None, 10 * MS_NS)
    assert router.instances["VI"].timer.at_ns == 10 * SECOND_NS + MDI[101]


def test_FSM_10_worked_example():
    wire = Wire()
    config = instance(priority=101, track_scripts=(Track("chk", 2),))
    wire.start(1, router_config(config, scripts=(script(interval_ns=2 * SECOND_NS),)))
    wire.run(5)
    assert wire.when_master(1) == 3_597_656_000


# --- §1.2 Backup hears an advert


def test_FSM_11_a_rejected_packet_changes_only_the_remembered_remaining_time():
    one = rules()
    state, deadline = backup(one), NOW + 2 * SECOND_NS
    step = transition(one, state, deadline, fsm.Rejected(), NOW)
    assert step == Step(state._replace(down_ns=2 * SECOND_NS), deadline, ())


@pytest.mark.parametrize(
    "fields",
    [{}, {"preempt": False}, {"preempt_delay_ns": 60 * SECOND_NS}],
    ids=["plain", "nopreempt", "delay"],
)
def test_FSM_12_priority_zero_sets_skew(fields):
    one = rules(101, **fields)
    step = transition(one, backup(one), NOW + SECOND_NS, Heard(advert(0), LOW), NOW)
    assert step.state == backup(one, down_ns=SKEW[101])
    assert step.deadline_ns == NOW + SKEW[101]
    assert step.actions == (Log("({}) Backup received priority 0 advertisement", ("VI",), True),)


def test_FSM_12_priority_one_does_not():
    one = rules(101)
    assert (
        transition(one, backup(one), NOW + SECOND_NS, Heard(advert(1), LOW), NOW).deadline_ns
        == NOW + SECOND_NS
    )


@pytest.mark.parametrize(
    ("priority", "fields", "accepted"),
    [
        (102, {}, True),
        (101, {}, True),
        (100, {}, False),
        (1, {"preempt": False}, True),
        (100, {"preempt_delay_ns": SECOND_NS}, True),
    ],
)
def test_FSM_13_what_is_accepted(priority, fields, accepted):
    one = rules(101, **fields)
    deadline = NOW + SECOND_NS
    step = transition(one, backup(one, wants_master=True), deadline, Heard(advert(priority), LOW), NOW)
    assert (step.deadline_ns == NOW + MDI[101]) is accepted
    assert (step.state.master_priority == priority) is accepted
    assert step.state.wants_master is not accepted
    assert step.state.master_address == LOW  # also remembered when discarded (FSM-16)


def test_FSM_13_version_3_learns_the_interval():
    one = rules(101, version=3, advert_int_ns=SECOND_NS)
    step = transition(one, backup(one), NOW + SECOND_NS, Heard(v3(150, 25), HIGH), NOW)
    assert step.state.master_adver_interval_ns == 250 * MS_NS
    assert step.deadline_ns == NOW + 901_367 * US_NS


def test_FSM_13_a_learned_interval_of_zero_collapses_the_down_time():
    one = rules(101, version=3)
    step = transition(one, backup(one), NOW + SECOND_NS, Heard(v3(150, 0), HIGH), NOW)
    assert step.deadline_ns == NOW


def test_FSM_13_version_3_does_not_learn_from_a_discarded_advert():
    one = rules(101, version=3)
    step = transition(one, backup(one), NOW + SECOND_NS, Heard(v3(50, 25), HIGH), NOW)
    assert step.state.master_adver_interval_ns == SECOND_NS


def test_FSM_13_the_preempt_clock_gates_until_it_expires():
    one = rules(101, preempt_delay_ns=10 * SECOND_NS)
    for clock, accepted in ((None, True), (NOW + 1, True), (NOW, False)):
        step = transition(one, backup(one, preempt_at_ns=clock), NOW + SECOND_NS, Heard(advert(50), LOW), NOW)
        assert (step.deadline_ns == NOW + MDI[101]) is accepted


@pytest.mark.parametrize("priority", [101, 150])
def test_FSM_14_an_equal_or_higher_advert_stops_the_clock(priority):
    one = rules(101, preempt_delay_ns=10 * SECOND_NS)
    running = backup(one, preempt_at_ns=NOW + 5 * SECOND_NS)
    step = transition(one, running, NOW + SECOND_NS, Heard(advert(priority), LOW), NOW)
    assert step.state.preempt_at_ns is None
    assert step.actions == (Log("({}) stop preempt delay", ("VI",), True),)
    assert transition(one, step.state, step.deadline_ns, Heard(advert(priority), LOW), NOW).actions == ()


def test_FSM_15_a_lower_advert_starts_the_clock_once():
    one = rules(101, preempt_delay_ns=10 * SECOND_NS)
    first = transition(one, backup(one), NOW + SECOND_NS, Heard(advert(50), LOW), NOW)
    assert first.state.preempt_at_ns == NOW + 10 * SECOND_NS
    assert [str(action) for action in first.actions] == ["(VI) start preempt delay (10.000000)"]
    again = transition(one, first.state, first.deadline_ns, Heard(advert(50), LOW), NOW + SECOND_NS)
    assert again.state.preempt_at_ns == NOW + 10 * SECOND_NS
    assert again.actions == ()


def test_FSM_15_no_clock_without_preempt_delay():
    one = rules(101, preempt=False)
    assert transition(one, backup(one), NOW, Heard(advert(50), LOW), NOW).state.preempt_at_ns is None


def test_FSM_16_a_lower_advert_is_discarded():
    one = rules(101)
    state, deadline = backup(one), NOW + 1_500 * MS_NS
    step = transition(one, state, deadline, Heard(advert(100), HIGH), NOW)
    assert step == Step(
        state._replace(down_ns=1_500 * MS_NS, master_address=HIGH),
        deadline,
        (Log("({}) received lower priority ({}) advert from {} - discarding", ("VI", 100, HIGH)),),
    )


def test_FSM_17_equal_priority_is_accepted_whatever_the_address():
    one = rules(101)
    for source in (LOW, HIGH):
        assert (
            transition(one, backup(one), NOW, Heard(advert(101), source), NOW).deadline_ns == NOW + MDI[101]
        )


def test_FSM_18_takeover_counts_from_the_last_accepted_advert():
    router = started(router_config(instance(priority=101)))
    hear(router, 150, 1 * SECOND_NS)
    for second in (2, 3, 4):
        hear(router, 50, second * SECOND_NS)
    assert router.next_deadline_ns() <= SECOND_NS + MDI[101] == router.instances["VI"].timer.at_ns


@pytest.mark.parametrize(("preempt", "state"), [(False, State.BACKUP), (True, State.MASTER)])
def test_FSM_19_any_advert_holds_a_nopreempt_node(preempt, state):
    router = started(router_config(instance(priority=200, preempt=preempt)))
    for second in range(1, 20):
        router.advance(second * SECOND_NS)
        hear(router, 1, second * SECOND_NS)
    assert router.state_of("VI") is state


def test_FSM_20_preempt_delay_delays_a_weight_based_failover():
    router = started(router_config(instance(priority=101, preempt_delay_ns=10 * SECOND_NS)))
    for second in range(1, 30):
        router.advance(second * SECOND_NS)
        if router.state_of("VI") is State.MASTER:
            break
        hear(router, 50, second * SECOND_NS)
    # first lower advert at 1 s, clock over at 11 s, last accepted at 10 s
    assert router.instances["VI"].last_advert_ns == 10 * SECOND_NS
    assert second == 14


@pytest.mark.parametrize(("priority", "wait_ns"), [(0, SKEW[101]), (None, MDI[101])])
def test_FSM_20_it_does_not_delay_silence_or_priority_zero(priority, wait_ns):
    router = started(router_config(instance(priority=101, preempt_delay_ns=10 * SECOND_NS)))
    hear(router, 50, SECOND_NS)
    if priority is not None:
        hear(router, priority, SECOND_NS)
    assert router.instances["VI"].timer.at_ns == SECOND_NS + wait_ns


@pytest.mark.parametrize("event", [fsm.Forced(State.BACKUP), fsm.AddressLost(), Heard(advert(200), HIGH)])
def test_FSM_21_entering_backup_resets_the_clock(event):
    one = rules(101, preempt_delay_ns=10 * SECOND_NS)
    step = transition(one, master(one, preempt_at_ns=NOW + 1), NOW + SECOND_NS, event, NOW)
    assert (step.state.state, step.state.preempt_at_ns) == (State.BACKUP, None)


# --- §1.3 Backup, other events


def test_FSM_22_the_deadline_makes_a_master():
    one = rules(101)
    step = transition(one, backup(one), NOW, fsm.Expired(), NOW)
    assert step.actions == (TIMED_OUT, *becomes_master(one, 101, "master_down_timer"))
    assert step.state.wants_master


def test_FSM_23_a_fault_in_backup_sends_nothing():
    one = rules(101)
    step = transition(one, backup(one), NOW + SECOND_NS, fsm.Failed("chk"), NOW)
    assert step.deadline_ns == NEVER_NS
    assert step.actions == (LOG_FAULT, Enter(State.FAULT, "chk"), Notify("FAULT"))


def test_FSM_24_the_deadline_shifts_by_the_difference_of_the_skews():
    one = rules(101)
    state = backup(one)
    step = transition(one, state, NOW + 2 * SECOND_NS, fsm.PriorityMoved(103), NOW)
    assert step.deadline_ns == NOW + 2 * SECOND_NS - 7_812 * US_NS
    assert step.state == state._replace(priority=103, down_ns=MDI[103])
    assert step.actions == (Log("({}) Changing effective priority from {} to {}", ("VI", 101, 103)),)


def test_FSM_24_quirk_after_an_ignored_advert_a_full_interval_counts_from_it():
    one = rules(101)
    deadline = NOW + 1_200 * MS_NS
    ignored = transition(one, backup(one), deadline, Heard(advert(50), LOW), NOW)
    moved = transition(one, ignored.state, deadline, fsm.PriorityMoved(103), NOW + 500 * MS_NS)
    assert moved.deadline_ns == NOW + MDI[103]


def test_FSM_24_quirk_after_priority_zero_too():
    one = rules(101)
    resigned = transition(one, backup(one), NOW + SECOND_NS, Heard(advert(0), HIGH), NOW)
    moved = transition(one, resigned.state, resigned.deadline_ns, fsm.PriorityMoved(103), NOW + MS_NS)
    assert moved.deadline_ns == NOW + MDI[103]


def test_FSM_24_a_shift_never_goes_into_the_past():
    one = rules(1)
    step = transition(one, backup(one), NOW + 10, fsm.PriorityMoved(254), NOW)
    assert step.deadline_ns == NOW


def test_FSM_25_the_source_address_disappears_and_comes_back():
    router = started(router_config(instance()))
    router.source_changed("eth0", 4, None, SECOND_NS)
    assert router.state_of("VI") is State.FAULT
    router.source_changed("eth0", 4, address(7), 2 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP
    assert router.instances["VI"].timer.at_ns == 2 * SECOND_NS + MDI[100]
    router.source_changed("eth1", 4, None, 3 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


def test_FSM_26_packets_in_fault_are_ignored_before_any_counter():
    router = started(router_config(instance()), interfaces_down=frozenset({"eth0"}))
    assert hear(router, 200, SECOND_NS) == []
    assert hear(router, 200, SECOND_NS, version=3) == []
    assert (router.instances["VI"].received, router.instances["VI"].counters) == (0, {})


# --- §1.4 Master


def test_FSM_27_the_order_of_becoming_master():
    router = started(router_config(instance(priority=101)))
    outputs = router.advance(MDI[101])
    assert [type(output) for output in outputs] == [
        Log,
        SendAdvert,
        Log,
        StateChanged,
        AddAddresses,
        *[SendGratuitous] * 5,
        RunNotify,
    ]
    assert router.instances["VI"].timer.at_ns == MDI[101] + SECOND_NS


def test_FSM_28_the_timer_sends_and_restarts_from_now():
    one = rules(101)
    step = transition(one, master(one), NOW - 300, fsm.Expired(), NOW)  # 300 ns late: no drift correction
    assert step == Step(master(one), NOW + SECOND_NS, (Advertise(101, True),))


@pytest.mark.parametrize(("quiet", "deadline"), [(False, NOW + SECOND_NS), (True, NOW + 7)])
def test_FSM_29_a_rejected_packet_restarts_the_advert_timer(quiet, deadline):
    one = rules(101, lower_prio_no_advert=quiet)
    assert transition(one, master(one), NOW + 7, fsm.Rejected(), NOW) == Step(master(one), deadline, ())


@pytest.mark.parametrize(("quiet", "deadline"), [(False, NOW + SECOND_NS), (True, NOW + 7)])
def test_FSM_30_priority_zero_is_answered(quiet, deadline):
    one = rules(101, lower_prio_no_advert=quiet)
    step = transition(one, master(one), NOW + 7, Heard(advert(0), LOW), NOW)
    log = Log("({}) Master received priority 0 message", ("VI",), True)
    assert step == Step(master(one), deadline, (log, Advertise(101)))


@pytest.mark.parametrize(
    ("priority", "source", "extra"),
    [(150, LOW, True), (101, HIGH, True), (101, LOW, False), (100, HIGH, False)],
)
def test_FSM_31_higher_prio_send_advert_sends_one_more(priority, source, extra):
    one = rules(101, higher_prio_send_advert=True, lower_prio_no_advert=True)
    step = transition(one, master(one), NOW + 7, Heard(advert(priority), source), NOW)
    assert (step.actions[0] == Advertise(101)) is extra
    assert (step.state.state is State.BACKUP) is extra


@pytest.mark.parametrize(("quiet", "deadline"), [(False, NOW + SECOND_NS), (True, NOW + 7)])
def test_FSM_32_our_own_address_only_warns(quiet, deadline):
    one = rules(101, lower_prio_no_advert=quiet)
    step = transition(one, master(one), NOW + 7, Heard(advert(101), OWN), NOW)
    log = Log("({}) WARNING - equal priority advert received from remote host with our IP address.", ("VI",))
    assert step == Step(master(one), deadline, (log,))


@pytest.mark.parametrize(("priority", "source"), [(100, HIGH), (101, LOW)])
def test_FSM_33_a_weaker_advert_is_answered(priority, source):
    one = rules(101)
    step = transition(one, master(one), NOW + 7, Heard(advert(priority), source), NOW)
    arguments = ("VI", source, priority, 101)
    template = "({}) Received advert from {} with lower priority {}, ours {}, forcing new election"
    assert step == Step(
        master(one),
        NOW + SECOND_NS,
        (
            Log(template, arguments),
            Advertise(101),
            Announce(5),
            Announce(5, 5 * SECOND_NS),
            AnnounceGroup(),
            Notify("MASTER_RX_LOWER_PRI"),
        ),
    )


def test_FSM_33_with_lower_prio_no_advert_the_timer_is_untouched():
    one = rules(101, lower_prio_no_advert=True, garp=Garp(lower_prio_repeat=0))
    step = transition(one, master(one), NOW + 7, Heard(advert(100), LOW), NOW)
    log = Log("({}) Received advert from {} with lower priority {}, ours {}", ("VI", LOW, 100, 101))
    assert step == Step(master(one), NOW + 7, (log, AnnounceGroup(), Notify("MASTER_RX_LOWER_PRI")))


@pytest.mark.parametrize(
    ("priority", "source", "log"),
    [
        (
            102,
            LOW,
            Log(
                "({}) Master received advert from {} with higher priority {}, ours {}", ("VI", LOW, 102, 101)
            ),
        ),
        (
            101,
            HIGH,
            Log(
                "({}) Master received advert from {} with same priority {} but higher IP address than ours",
                ("VI", HIGH, 101),
            ),
        ),
    ],
)
def test_FSM_34_a_stronger_advert_ends_the_tenure_without_priority_zero(priority, source, log):
    one = rules(101)
    step = transition(one, master(one), NOW + 7, Heard(advert(priority), source), NOW)
    assert step.actions == (
        log,
        LOG_BACKUP,
        Enter(State.BACKUP, "higher_advert"),
        Release(),
        Notify("BACKUP"),
    )
    assert step.deadline_ns == NOW + MDI[101]
    assert (step.state.master_address, step.state.master_priority) == (source, priority)


def test_FSM_34_version_3_learns_the_interval():
    one = rules(101, version=3)
    step = transition(one, master(one), NOW + 7, Heard(v3(102, 25), LOW), NOW)
    assert step.state.master_adver_interval_ns == 250 * MS_NS
    assert step.deadline_ns == NOW + 901_367 * US_NS


def test_FSM_34_addresses_are_compared_as_numbers():
    one = rules(101)
    for source, yields in ((address(10), True), (address(4), False)):  # "10" < "5" as text
        state = transition(one, master(one), NOW, Heard(advert(101), source), NOW).state.state
        assert (state is State.BACKUP) is yields


def test_FSM_35_rejected_packets_silence_a_master():
    wire = Wire()
    wire.start(1, router_config(instance(priority=100)))
    wire.run(5)
    router = wire.routers[1]
    quiet_from = wire.now_ns
    for _ in range(20):  # every 0.7 s
        wire.run(0.7)
        data = hear(router, 50, wire.now_ns, interval_wire=3)
        assert [type(output) for output in data] == [Log, AdvertDropped]
    assert [at_ns for at_ns, _ in wire.sent(1) if at_ns > quiet_from + SECOND_NS] == []
    wire.run(1.5)
    assert len([at_ns for at_ns, _ in wire.sent(1) if at_ns > quiet_from + SECOND_NS]) == 1


def owner(dialect: Dialect, **fields: Any) -> InstanceRules:
    return rules(255, dialect, initial_state=InitialState.MASTER, **fields)


@pytest.mark.parametrize("source", [LOW, HIGH])
def test_FSM_36_to_2_3_2_an_owner_drops_to_254_for_good(source):
    one = owner(KEEPALIVED_2_2_7)
    step = transition(one, master(one), NOW + 7, Heard(advert(255), source), NOW)
    assert (step.state.state, step.state.base, step.state.priority) == (State.BACKUP, 254, 254)
    assert "CONFIGURATION ERROR" in str(step.actions[0])
    assert str(step.actions[1]).endswith("with higher priority 255, ours 254")
    assert step.deadline_ns == NOW + MDI[254]
    again = transition(one, step.state, step.deadline_ns, fsm.Expired(), step.deadline_ns)
    assert again.state.base == again.state.priority == 254


def test_FSM_36_to_2_3_2_not_for_our_own_address():
    one = owner(KEEPALIVED_2_2_7)
    assert transition(one, master(one), NOW + 7, Heard(advert(255), OWN), NOW).state == master(one)


def test_FSM_36_from_2_3_3_the_lower_address_steps_down():
    one = owner(KEEPALIVED_2_3_3)
    step = transition(one, master(one), NOW + 7, Heard(advert(255), HIGH), NOW)
    assert (step.state.state, step.state.priority) == (State.BACKUP, 255)


def test_FSM_36_from_2_3_3_the_higher_address_answers_twice_more_then_watches():
    """S9: an advert and the burst at once; after two own adverts another within 1.2 intervals is too much."""
    one = owner(KEEPALIVED_2_3_3)
    step = transition(one, master(one), NOW + 7, Heard(advert(255), LOW), NOW)
    assert [each for each in step.actions if isinstance(each, Advertise | Announce)][:2] == [
        Advertise(255),
        Announce(5),
    ]
    for _ in range(2):
        again = transition(one, step.state, step.deadline_ns, Heard(advert(255), LOW), step.deadline_ns - 1)
        assert again.state.state is State.MASTER
        step = transition(one, step.state, step.deadline_ns, fsm.Expired(), step.deadline_ns)
    sent_ns = step.deadline_ns - SECOND_NS
    assert step.state.rogue_until_ns == sent_ns + 1_200 * MS_NS
    late = transition(one, step.state, step.deadline_ns, Heard(advert(255), LOW), sent_ns + SECOND_NS)
    assert (late.state.state, late.state.priority) == (State.BACKUP, 254)
    for _ in range(2):
        step = transition(one, step.state, step.deadline_ns, fsm.Expired(), step.deadline_ns)
    assert str(step.actions[-1]) == "(VI): rogue address owner appears to have stopped advertising"


@pytest.mark.parametrize(
    ("event", "priority"),
    [
        (Heard(advert(255), LOW), 254),
        (Heard(advert(255), HIGH), 255),
        (Heard(advert(100), LOW), 255),
        (fsm.Expired(), 255),
    ],
    ids=["same rogue", "another master", "lower priority", "own mastership"],
)
def test_FSM_36_from_2_3_3_255_is_restored(event, priority):
    one = owner(KEEPALIVED_2_3_3)
    beaten = backup(one, base=254, priority=254, rogue_until_ns=NOW, master_address=LOW)
    assert transition(one, beaten, NOW + 7, event, NOW).state.priority == priority


def test_FSM_36_owner_ignore_adverts():
    fields = {"priority": 255, "initial_state": InitialState.MASTER}
    for ignores, state in ((True, State.MASTER), (False, State.BACKUP)):
        config = router_config(instance(owner_ignore_adverts=ignores, **fields))
        router = started(config, KEEPALIVED_2_3_3)
        hear(router, 255, SECOND_NS, number=9)
        assert router.state_of("VI") is state


def test_FSM_37_a_priority_change_sends_nothing():
    one = rules(103)
    step = transition(one, master(one), NOW + 7, fsm.PriorityMoved(101), NOW)
    log = Log("({}) Changing effective priority from {} to {}", ("VI", 103, 101))
    assert step == Step(master(one, priority=101, down_ns=MDI[101]), NOW + 7, (log,))
    assert transition(one, step.state, NOW + 7, fsm.Expired(), NOW + 7).actions == (Advertise(101, True),)


@pytest.mark.parametrize(("dragged", "farewells"), [(False, 2), (True, 1)])
def test_FSM_38_a_fault_says_farewell(dragged, farewells):
    one = rules(101)
    step = transition(one, master(one), NOW + 7, fsm.Failed("chk", dragged), NOW)
    assert step.deadline_ns == NEVER_NS
    assert step.actions == (
        LOG_FAULT,
        Enter(State.FAULT, "chk"),
        *[Advertise(0)] * farewells,
        Release(),
        Notify("FAULT"),
    )


def test_FSM_39_a_lost_address_abdicates_for_one_skew():
    one = rules(101)
    step = transition(one, master(one), NOW + 7, fsm.AddressLost(), NOW)
    assert step.deadline_ns == NOW + SKEW[101]
    assert step.actions == (
        LOG_BACKUP,
        Enter(State.BACKUP, "address_lost"),
        Advertise(0),
        Release(),
        Notify("BACKUP"),
    )


@pytest.mark.parametrize(
    ("fields", "removed_from", "state"),
    [
        ({}, "eth0", State.BACKUP),
        ({}, "eth1", State.MASTER),
        ({"addresses": (VIP._replace(no_track=True),)}, "eth0", State.MASTER),
        ({"addresses": (VIP._replace(interface="eth1"),)}, "eth1", State.BACKUP),
        ({"addresses": (VIP._replace(interface="eth1"),)}, "eth0", State.MASTER),
        ({"addresses": (VIP2,), "excluded": (VIP,)}, "eth0", State.BACKUP),
        ({"use_vmac": True, "vmac_interface": "vrrp.51"}, "vrrp.51", State.BACKUP),
        ({"use_vmac": True, "vmac_interface": "vrrp.51"}, "eth0", State.BACKUP),
    ],
)
def test_FSM_39_which_removals_count(fields, removed_from, state):
    router = started(router_config(instance(**fields)))
    router.advance(MDI[100])
    router.address_removed(removed_from, VIP.address, 4 * SECOND_NS)
    assert router.state_of("VI") is state


def test_FSM_39_a_backup_does_not_care():
    router = started(router_config(instance()))
    assert router.address_removed("eth0", VIP.address, SECOND_NS) == []


def test_FSM_39_the_original_master_wins_by_the_difference_of_the_skews():
    wire = Wire()
    for number, priority in ((1, 101), (2, 100)):
        wire.start(number, router_config(instance(priority=priority)))
    wire.run(5)
    at_ns = wire.now_ns
    wire.obey(1, wire.routers[1].address_removed("eth0", VIP.address, at_ns))
    wire.run(2)
    assert wire.when_master(1, at_ns) == at_ns + SKEW[101]
    assert wire.masters() == [1]
    assert [prio for sent_ns, prio in wire.sent(1) if sent_ns == at_ns] == [0]


# FSM-40 has no event: a Master that cannot transmit is not told, so it stays Master.


def test_FSM_41_sigterm_resigns_once_then_releases():
    one = rules(101)
    step = transition(one, master(one), NOW + 7, fsm.Shutdown(), NOW)
    assert step.actions == (
        Advertise(0),
        Log("({}) sent 0 priority", ("VI",), True),
        Release(),
        Enter(State.INIT, "stop", True),
    )
    assert (step.state.state, step.deadline_ns) == (State.INIT, NEVER_NS)
    quiet = transition(one, backup(one), NOW + 7, fsm.Shutdown(), NOW)
    assert quiet.actions == (Enter(State.INIT, "stop", True),)


# --- §1.5 Fault


def two_trackers() -> VrrpRouter:
    config = instance(track_interfaces=(Track("eth1"),))
    router = started(router_config(config))
    router.advance(MDI[100])
    return router


def test_FSM_42_only_the_first_fault_enters_and_only_the_last_leaves():
    router = two_trackers()
    assert LOG_FAULT in router.interface_changed("eth0", False, 5 * SECOND_NS)
    assert LOG_FAULT not in router.interface_changed("eth1", False, 6 * SECOND_NS)
    router.interface_changed("eth0", True, 7 * SECOND_NS)
    assert router.state_of("VI") is State.FAULT
    router.interface_changed("eth1", True, 8 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


@pytest.mark.parametrize("priority", [101, 255])
def test_FSM_43_leaving_fault_leads_to_backup_with_the_own_interval(priority):
    one = rules(priority, version=3, initial_state=InitialState.MASTER)
    faulty = master(one, state=State.FAULT, master_adver_interval_ns=40 * MS_NS, preempt_at_ns=3)
    step = transition(one, faulty, NEVER_NS, fsm.Recovered(), NOW)
    assert step.actions == (LOG_BACKUP, Enter(State.BACKUP, "recovered"), Notify("BACKUP"))
    assert step.deadline_ns == NOW + MDI[priority]
    assert step.state.master_adver_interval_ns == SECOND_NS
    assert (step.state.preempt_at_ns, step.state.wants_master) == (None, False)


def test_FSM_43_a_start_up_wait_that_is_over_counts_no_more():
    router, _ = script_router(Track("chk"), priority=255, initial_state=InitialState.MASTER)
    router.script_finished(1, 0, None, 10 * MS_NS)
    assert router.state_of("VI") is State.MASTER
    router.interface_changed("eth0", False, SECOND_NS)
    router.interface_changed("eth0", True, 2 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


@pytest.mark.parametrize("unicast", [True, False])
def test_FSM_44_unicast_instances_announce_their_own_address(unicast):
    one = rules(101, unicast_peers=(UnicastPeer(LOW),) if unicast else ())
    step = transition(one, backup(one, state=State.FAULT), NEVER_NS, fsm.Recovered(), NOW)
    assert (step.actions[-1] == AnnounceSource()) is unicast


def test_FSM_45_a_cleared_fault_does_not_end_the_script_wait():
    router, _ = script_router(Track("chk"))
    assert RunNotify("INSTANCE", "VI", "FAULT", 100) in router.interface_changed("eth0", False, 5)
    router.interface_changed("eth0", True, 6)
    assert router.state_of("VI") is State.FAULT
    router.script_finished(1, 0, None, 10 * MS_NS)
    assert router.state_of("VI") is State.BACKUP


# --- K11


@pytest.mark.parametrize(
    ("late_ns", "fields", "state"),
    [
        (3 * SECOND_NS, {}, State.BACKUP),
        (3 * SECOND_NS, {"preempt": True}, State.MASTER),
        (2 * SECOND_NS + SKEW[254] - 1, {}, State.MASTER),  # without a number P is 254
        (2 * SECOND_NS + SKEW[254], {}, State.BACKUP),
        (2 * SECOND_NS + SKEW[254], {"timer_expired_backup": 101}, State.MASTER),
    ],
)
def test_K11_a_master_that_slept_too_long_demotes_itself(late_ns, fields, state):
    one = rules(101, KEEPALIVED_2_2_8, **{"timer_expired_backup": 0, "preempt": False, **fields})
    step = transition(one, master(one), NOW, fsm.Overslept(), NOW + late_ns)
    assert step.state.state is state
    assert Advertise(0) not in step.actions
