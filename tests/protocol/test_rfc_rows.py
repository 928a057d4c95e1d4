"""rfc.md §4, row by row: I1 … A5 of RFC 9568, the differences of 5798 and 3768, and the choices S1 … S16."""

from __future__ import annotations

from typing import Any

import pytest
from vrrp_pair import VIP, address, hear, instance, kinds, payload, router_config, started

from vrrpsim.protocol import fsm
from vrrpsim.protocol.configuration import SECOND_NS, InitialState
from vrrpsim.protocol.dialect import RFC3768, RFC5798, RFC9568, Dialect
from vrrpsim.protocol.fsm import (
    NEVER_NS,
    Acquire,
    Advertise,
    Announce,
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
from vrrpsim.protocol.outputs import AddAddresses, RemoveAddresses, SendAdvert, SendGratuitous
from vrrpsim.protocol.packet import Advertisement, Datagram, Reject

NOW = 100 * SECOND_NS
CENTI_NS = SECOND_NS // 100
OWN, LOW, HIGH = address(5), address(2), address(9)
SKEW_100 = 609_375_000
DOWN_100 = 3 * SECOND_NS + SKEW_100

rfcs = pytest.mark.parametrize("dialect", [RFC3768, RFC5798, RFC9568], ids=lambda dialect: dialect.name)


def rules(dialect: Dialect, priority: int = 100, **fields: Any) -> InstanceRules:
    return InstanceRules(instance(priority=priority, version=dialect.default_version, **fields), dialect)


def in_state(one: InstanceRules, state: State, **fields: Any) -> InstanceState:
    return fsm.initial_state(one, OWN)._replace(state=state, **fields)


def heard(one: InstanceRules, priority: int, source: Any = LOW, interval_ns: int = SECOND_NS) -> Heard:
    version = one.config.version
    unit_ns = CENTI_NS if version == 3 else SECOND_NS
    return Heard(Advertisement(version, 51, priority, interval_ns // unit_ns, (VIP.address,)), source)


def essence(step: Step) -> tuple[fsm.Action, ...]:
    """The actions that the RFCs know."""
    return tuple(action for action in step.actions if isinstance(action, (Advertise, Announce)))


@rfcs
@pytest.mark.parametrize("initial", list(InitialState))
def test_I1_the_owner_starts_as_master(dialect, initial):
    one = rules(dialect, 255, initial_state=initial)
    step = transition(one, in_state(one, State.INIT), NEVER_NS, fsm.Startup(), NOW)
    assert step.actions == (
        Advertise(255),
        Log("({}) Entering MASTER STATE", ("VI",)),
        Enter(State.MASTER, "owner"),
        Acquire(),  # S14: installed before the GARP
        Announce(1),
        Notify("MASTER"),
    )
    assert step.deadline_ns == NOW + SECOND_NS


@rfcs
@pytest.mark.parametrize("priority", [1, 100, 254])
def test_I2_everybody_else_starts_as_backup(dialect, priority):
    one = rules(dialect, priority, initial_state=InitialState.MASTER)
    step = transition(one, in_state(one, State.INIT), NEVER_NS, fsm.Startup(), NOW)
    assert step.state.state is State.BACKUP
    assert step.state.master_adver_interval_ns == SECOND_NS
    assert essence(step) == ()
    assert step.deadline_ns == NOW + 3 * SECOND_NS + (256 - priority) * SECOND_NS // 256


@rfcs
def test_I3_nothing_else_happens_in_init(dialect):  # S3, S16
    one = rules(dialect)
    init = in_state(one, State.INIT)
    for event in (fsm.Shutdown(), fsm.Expired(), heard(one, 0), heard(one, 200), fsm.Rejected()):
        assert transition(one, init, NEVER_NS, event, NOW) == Step(init, NEVER_NS)


@rfcs
def test_B1_shutdown_in_backup_says_nothing(dialect):
    one = rules(dialect)
    step = transition(one, in_state(one, State.BACKUP), NOW + 5, fsm.Shutdown(), NOW)
    assert (step.state.state, step.deadline_ns, essence(step)) == (State.INIT, NEVER_NS, ())


@rfcs
def test_B2_the_down_timer_makes_a_master(dialect):
    one = rules(dialect)
    step = transition(one, in_state(one, State.BACKUP), NOW, fsm.Expired(), NOW)
    assert (step.state.state, step.deadline_ns) == (State.MASTER, NOW + SECOND_NS)
    assert essence(step) == (Advertise(100), Announce(1))
    assert step.actions.index(Acquire()) < step.actions.index(Announce(1))


@rfcs
def test_B3_priority_zero_sets_skew_each_time(dialect):  # S9, S10
    one = rules(dialect)
    for at_ns, source in ((NOW, LOW), (NOW + 5, HIGH)):
        step = transition(one, in_state(one, State.BACKUP), NOW + 9, heard(one, 0, source), at_ns)
        assert (step.deadline_ns, step.state.state) == (at_ns + SKEW_100, State.BACKUP)


@rfcs
@pytest.mark.parametrize(("priority", "preempt"), [(101, True), (100, True), (99, False), (1, False)])
def test_B4_an_accepted_advert_resets_the_down_timer(dialect, priority, preempt):
    one = rules(dialect, preempt=preempt)
    step = transition(one, in_state(one, State.BACKUP), NOW + 9, heard(one, priority), NOW)
    assert (step.deadline_ns, essence(step)) == (NOW + DOWN_100, ())


@pytest.mark.parametrize("dialect", [RFC5798, RFC9568])
def test_B4_version_3_learns_the_interval(dialect):
    one = rules(dialect)
    step = transition(one, in_state(one, State.BACKUP), NOW + 9, heard(one, 200, LOW, 4 * SECOND_NS), NOW)
    assert step.state.master_adver_interval_ns == 4 * SECOND_NS
    assert step.deadline_ns == NOW + 12 * SECOND_NS + 2_437_500_000
    resigned = transition(one, step.state, step.deadline_ns, heard(one, 0), NOW + 5)
    assert resigned.deadline_ns == NOW + 5 + 2_437_500_000


def test_B4_version_2_keeps_its_own_interval_and_an_unscaled_skew():
    one = rules(RFC3768, advert_int_ns=5 * SECOND_NS)
    step = transition(one, in_state(one, State.BACKUP), NOW + 9, heard(one, 200), NOW)
    assert step.deadline_ns == NOW + 15 * SECOND_NS + SKEW_100


@rfcs
@pytest.mark.parametrize("priority", [1, 99])
def test_B5_a_lower_advert_is_discarded(dialect, priority):
    one = rules(dialect)
    state = in_state(one, State.BACKUP, down_ns=7)
    step = transition(one, state, NOW + 9, heard(one, priority), NOW)
    assert step.state._replace(master_address=None) == state
    assert (step.deadline_ns, essence(step)) == (NOW + 9, ())


@rfcs
def test_B5_an_owner_preempts_whatever_preempt_mode_says(dialect):
    one = rules(dialect, 255, preempt=False)
    assert transition(one, in_state(one, State.BACKUP), NOW + 9, heard(one, 254), NOW).deadline_ns == NOW + 9


@rfcs
def test_A1_shutdown_resigns_before_the_addresses_go(dialect):  # S13
    one = rules(dialect)
    step = transition(one, in_state(one, State.MASTER), NOW + 9, fsm.Shutdown(), NOW)
    assert (step.state.state, step.deadline_ns) == (State.INIT, NEVER_NS)
    assert [a for a in step.actions if isinstance(a, (Advertise, Release))] == [Advertise(0), Release()]


@rfcs
def test_A2_the_advert_timer_advertises(dialect):
    one = rules(dialect)
    state = in_state(one, State.MASTER)
    expected = Step(state, NOW + SECOND_NS, (Advertise(100, True),))
    assert transition(one, state, NOW, fsm.Expired(), NOW) == expected


@rfcs
def test_A3_priority_zero_is_answered_and_restarts_the_timer(dialect):
    one = rules(dialect)
    step = transition(one, in_state(one, State.MASTER), NOW + 9, heard(one, 0), NOW)
    assert (essence(step), step.deadline_ns) == ((Advertise(100),), NOW + SECOND_NS)


@rfcs
@pytest.mark.parametrize(
    ("priority", "source", "yields"), [(101, LOW, True), (100, HIGH, True), (100, LOW, False)]
)
@pytest.mark.parametrize("preempt", [True, False])
def test_A4_a_better_master_is_followed_whatever_preempt_mode_says(
    dialect, priority, source, yields, preempt
):
    one = rules(dialect, preempt=preempt)
    step = transition(one, in_state(one, State.MASTER), NOW + 9, heard(one, priority, source), NOW)
    assert (step.state.state is State.BACKUP) is yields
    if yields:
        assert (step.deadline_ns, essence(step)) == (NOW + DOWN_100, ())


@pytest.mark.parametrize("dialect", [RFC5798, RFC9568])
def test_A4_learns_before_it_sets_the_down_timer(dialect):
    one = rules(dialect)
    step = transition(one, in_state(one, State.MASTER), NOW + 9, heard(one, 101, LOW, 4 * SECOND_NS), NOW)
    assert step.deadline_ns == NOW + 14_437_500_000


@pytest.mark.parametrize(("dialect", "answers"), [(RFC3768, False), (RFC5798, False), (RFC9568, True)])
def test_A5_only_9568_answers_a_weaker_master_and_leaves_the_timer_alone(dialect, answers):  # S4
    one = rules(dialect)
    for priority, source in ((99, HIGH), (100, LOW)):
        step = transition(one, in_state(one, State.MASTER), NOW + 9, heard(one, priority, source), NOW)
        assert essence(step) == ((Advertise(100),) if answers else ())
        assert (step.deadline_ns, step.state.state) == (NOW + 9, State.MASTER)


# --- §4.4, the silent places


@rfcs
def test_S1_our_own_advert_is_dropped_before_the_machine(dialect):
    router = started(router_config(instance(version=dialect.default_version)), dialect)
    router.advance(DOWN_100)
    deadline = router.instances["VI"].timer.at_ns
    hear(router, 100, 4 * SECOND_NS, number=1)
    assert router.instances["VI"].counters == {"become_master": 1, Reject.OWN_ECHO.value: 1}
    assert (router.instances["VI"].timer.at_ns, router.instances["VI"].received) == (deadline, 0)


@rfcs
@pytest.mark.parametrize(("priority", "back"), [(100, State.BACKUP), (255, State.MASTER)])
def test_S5_interface_down_is_shutdown_without_farewell_and_up_is_startup(dialect, priority, back):
    router = started(router_config(instance(priority=priority, version=dialect.default_version)), dialect)
    router.advance(DOWN_100)
    down = router.interface_changed("eth0", False, 5 * SECOND_NS)
    assert kinds(down, SendAdvert) == []
    assert len(kinds(down, RemoveAddresses)) == 1
    router.interface_changed("eth0", True, 6 * SECOND_NS)
    assert router.state_of("VI") is back


@rfcs
def test_S6_a_priority_change_counts_for_future_settings(dialect):
    one = rules(dialect)
    step = transition(one, in_state(one, State.BACKUP), NOW + 9, fsm.PriorityMoved(200), NOW)
    assert step.deadline_ns == NOW + 9
    resigned = transition(one, step.state, NOW + 9, heard(one, 0), NOW)
    assert resigned.deadline_ns == NOW + 56 * SECOND_NS // 256


@rfcs
def test_S7_a_new_interval_counts_when_the_timer_is_next_set(dialect):
    config = instance(version=dialect.default_version)
    router = started(router_config(config), dialect)
    router.advance(DOWN_100)
    slower = instance(version=dialect.default_version, advert_int_ns=5 * SECOND_NS)
    router.reload(router_config(slower), 4 * SECOND_NS)
    router.advance(4 * SECOND_NS)
    assert router.instances["VI"].timer.at_ns == 9 * SECOND_NS


@rfcs
def test_S16_a_second_startup_changes_nothing(dialect):
    one = rules(dialect)
    for state in (in_state(one, State.BACKUP), in_state(one, State.MASTER)):
        assert transition(one, state, NOW + 9, fsm.Startup(), NOW) == Step(state, NOW + 9)


@pytest.mark.parametrize(("dialect", "notices"), [(RFC3768, False), (RFC5798, False), (RFC9568, True)])
def test_an_owner_that_hears_another_owner(dialect, notices):  # EID 8298
    config = instance(priority=255, version=dialect.default_version)
    router = started(router_config(config), dialect)
    for number, state in ((0, State.MASTER), (9, State.BACKUP if notices else State.MASTER)):
        data = payload(config, 255, address(number))
        if dialect is RFC9568:  # its checksum covers the message only
            data = bytes(_message_checksum(data))
        router.receive("eth0", Datagram(address(number), config.multicast_group, 255, data), SECOND_NS)
        assert router.state_of("VI") is state
    assert (router.instances["VI"].received == 2) is notices


def _message_checksum(data: bytes) -> bytes:
    from vrrpsim.protocol.packet import ones_complement_sum

    zeroed = data[:6] + b"\0\0" + data[8:]
    return data[:6] + (0xFFFF - ones_complement_sum(zeroed)).to_bytes(2, "big") + data[8:]


@rfcs
def test_one_announcement_for_each_address_from_the_virtual_mac(dialect):
    router = started(router_config(instance(version=dialect.default_version)), dialect)
    outputs = router.advance(DOWN_100)
    mac = bytes.fromhex("00005e000133")
    announced = [SendGratuitous("VI", "eth0", VIP.address, mac, dialect.garp_target_is_sender_mac)]
    assert kinds(outputs, SendGratuitous) == announced
    assert kinds(outputs, AddAddresses) == [AddAddresses("VI", "eth0", (VIP,), mac)]
    assert kinds(router.advance(20 * SECOND_NS), SendGratuitous) == []  # no second burst
