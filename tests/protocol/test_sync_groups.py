"""keepalived.md §1.6: SG-1 … SG-5, SG-8, and what FSM-33 and FSM-39 ask of the other members."""

from __future__ import annotations

from typing import Any

import pytest
from vrrp_pair import MS_NS, VIP, VIP2, Wire, hear, host, instance, kinds, router_config, script, started

from vrrpsim.protocol.configuration import SECOND_NS, Garp, GroupConfig, InitialState, RouterConfig, Track
from vrrpsim.protocol.dialect import KEEPALIVED_2_2_7
from vrrpsim.protocol.fsm import Log, State
from vrrpsim.protocol.outputs import RunNotify, SendAdvert, SendGratuitous, StateChanged
from vrrpsim.protocol.router import VrrpRouter

MDI_101 = 3_605_468_000
SKEW_101 = 605_468_000


def pair_config(priority: int = 101, **fields: Any) -> RouterConfig:
    """A group G of A (VRID 1 on eth0) and B (VRID 2 on eth1)."""
    a = instance("A", priority, vrid=1, **fields)
    b = instance("B", priority, vrid=2, interface="eth1", addresses=(VIP2,), **fields)
    return router_config(a, b, groups=(GroupConfig(name="G", members=("A", "B")),))


def states(router: VrrpRouter) -> tuple[str, str]:
    return router.state_of("A").name, router.state_of("B").name


def both(state: str) -> tuple[str, str]:
    return state, state


def mastered() -> VrrpRouter:
    router = started(pair_config())
    router.advance(MDI_101)
    assert states(router) == both("MASTER")
    return router


def notifications(outputs: list) -> list[str]:
    return [f"{output.name} {output.state}" for output in kinds(outputs, RunNotify)]


def test_SG_1_a_group_starts_as_backup():
    router = VrrpRouter(pair_config(), KEEPALIVED_2_2_7)
    assert notifications(router.start(host(), 0)) == ["A BACKUP", "B BACKUP", "G BACKUP"]
    assert router.groups[0].state is State.BACKUP


def test_SG_1_unless_all_members_are_owners_that_want_to_be_master():
    owners = pair_config(255, initial_state=InitialState.MASTER)
    assert states(started(owners)) == both("MASTER")
    mixed = owners._replace(instances=(owners.instances[0], owners.instances[1]._replace(priority=100)))
    assert states(started(mixed)) == both("BACKUP")
    reluctant = owners.instances[1]._replace(initial_state=InitialState.BACKUP)
    assert states(started(owners._replace(instances=(owners.instances[0], reluctant)))) == both("BACKUP")


def test_SG_1_a_faulty_member_starts_all_in_fault():
    router = started(pair_config(), interfaces_down=frozenset({"eth1"}))
    assert states(router) == both("FAULT")
    assert router.groups[0].state is State.FAULT


def test_SG_1_an_owner_group_waits_for_scripts_and_then_goes_to_master():
    owners = pair_config(255, initial_state=InitialState.MASTER)
    watched = owners.instances[0]._replace(track_scripts=(Track("chk"),))
    router = started(owners._replace(instances=(watched, owners.instances[1]), scripts=(script(),)))
    router.advance(0)
    assert states(router) == both("FAULT")
    assert router.groups[0].state is State.INIT
    router.script_finished(1, 0, None, 10 * MS_NS)
    assert states(router) == both("MASTER")


def test_SG_2_the_group_takes_over_when_the_last_member_times_out():
    router = started(pair_config())
    hear(router, 200, SECOND_NS, name="B")
    held = router.advance(MDI_101)
    assert held == [Log("({}) Receive advertisement timeout", ("A",), True)]
    assert router.instances["A"].timer.at_ns == 2 * MDI_101
    outputs = router.advance(SECOND_NS + MDI_101)
    assert states(router) == both("MASTER")
    assert Log("VRRP_Group({}) Syncing instances to {} state", ("G", "MASTER")) in outputs
    assert notifications(outputs) == ["B MASTER", "A MASTER", "G MASTER"]
    assert [(o.instance, o.reason) for o in kinds(outputs, StateChanged)] == [
        ("B", "master_down_timer"),
        ("A", "sync_group"),
    ]


def test_SG_3_a_member_that_hears_its_master_holds_the_group():
    router = started(pair_config())
    for second in range(1, 30):
        router.advance(second * SECOND_NS)
        hear(router, 200, second * SECOND_NS, name="B")
    assert states(router) == both("BACKUP")


def test_SG_2_a_down_interval_of_zero_does_not_spin():
    config = pair_config(version=3)
    router = started(config)
    hear(router, 200, SECOND_NS, name="A", interval_wire=0)
    hear(router, 200, SECOND_NS, name="B")
    router.advance(SECOND_NS)
    assert router.instances["A"].timer.at_ns == 2 * SECOND_NS


def test_SG_4_a_higher_advert_takes_all_to_backup_without_priority_zero():
    router = mastered()
    outputs = hear(router, 200, 4 * SECOND_NS, name="A")
    assert states(router) == both("BACKUP")
    assert kinds(outputs, SendAdvert) == []
    assert Log("VRRP_Group({}) Syncing instances to {} state", ("G", "BACKUP")) in outputs
    assert notifications(outputs) == ["A BACKUP", "B BACKUP", "G BACKUP"]
    assert router.instances["B"].timer.at_ns == 4 * SECOND_NS + MDI_101


def test_SG_5_a_fault_takes_all_to_fault_and_all_come_back_together():
    router = mastered()
    down = router.interface_changed("eth1", False, 5 * SECOND_NS)
    assert states(router) == both("FAULT")
    farewells = [(advert.instance, advert.priority) for advert in kinds(down, SendAdvert)]
    assert farewells == [("B", 0), ("B", 0), ("A", 0)]  # FSM-38: dragged ones send one
    assert notifications(down) == ["B FAULT", "A FAULT", "G FAULT"]
    router.interface_changed("eth0", False, 6 * SECOND_NS)
    router.interface_changed("eth1", True, 7 * SECOND_NS)
    assert states(router) == both("FAULT")
    up = router.interface_changed("eth0", True, 8 * SECOND_NS)
    assert states(router) == both("BACKUP")
    assert notifications(up) == ["A BACKUP", "B BACKUP", "G BACKUP"]
    assert {router.instances[name].timer.at_ns for name in "AB"} == {8 * SECOND_NS + MDI_101}


def test_SG_5_a_second_fault_is_not_announced_again():
    router = mastered()
    router.interface_changed("eth1", False, 5 * SECOND_NS)
    assert notifications(router.interface_changed("eth0", False, 6 * SECOND_NS)) == []


def test_SG_8_a_failing_first_result_is_announced_by_the_member_then_the_group():
    config = pair_config()
    watched = config.instances[0]._replace(track_scripts=(Track("chk"),))
    router = started(config._replace(instances=(watched, config.instances[1]), scripts=(script(),)))
    router.advance(0)
    assert notifications(router.script_finished(1, 1, None, 5)) == ["A FAULT", "G FAULT"]
    router.advance(SECOND_NS)
    up = router.script_finished(2, 0, None, SECOND_NS)
    assert notifications(up) == ["A BACKUP", "B BACKUP", "G BACKUP"]


def test_FSM_33_every_member_announces_itself_by_its_own_values():
    config = pair_config()
    quick = config.instances[1]._replace(garp=Garp(lower_prio_repeat=2, lower_prio_delay_ns=0))
    router = started(config._replace(instances=(config.instances[0], quick)))
    router.advance(MDI_101)
    outputs = hear(router, 50, 4 * SECOND_NS, name="A")
    burst = kinds(outputs, SendGratuitous)
    assert [frame.instance for frame in burst] == ["A"] * 5 + ["B"] * 2
    assert outputs[-1] == RunNotify("INSTANCE", "A", "MASTER_RX_LOWER_PRI", 101)
    assert [frame.instance for frame in kinds(outputs, SendAdvert)] == ["A"]
    router.advance(MDI_101 + 5 * SECOND_NS)  # the second bursts of becoming Master
    later = kinds(router.advance(9 * SECOND_NS), SendGratuitous)
    assert [frame.instance for frame in later] == ["A"] * 5


def test_FSM_33_members_outside_the_group_stay_quiet():
    config = pair_config()._replace(groups=())
    router = started(config)
    router.advance(MDI_101)
    outputs = hear(router, 50, 4 * SECOND_NS, name="A")
    assert {frame.instance for frame in kinds(outputs, SendGratuitous)} == {"A"}


def test_FSM_39_every_other_master_abdicates_too():
    router = mastered()
    outputs = router.address_removed("eth0", VIP.address, 5 * SECOND_NS)
    assert states(router) == both("BACKUP")
    assert [(advert.instance, advert.priority) for advert in kinds(outputs, SendAdvert)] == [
        ("A", 0),
        ("B", 0),
    ]
    assert {router.instances[name].timer.at_ns for name in "AB"} == {5 * SECOND_NS + SKEW_101}
    assert notifications(outputs) == ["A BACKUP", "B BACKUP", "G BACKUP"]


def test_a_reload_that_adds_a_faulty_member_takes_the_group_to_fault():
    one = pair_config()._replace(instances=pair_config().instances[:1])
    router = started(one, interfaces_down=frozenset({"eth1"}))
    router.advance(MDI_101)
    router.reload(pair_config(), 5 * SECOND_NS)
    assert states(router) == both("FAULT")


def test_a_reload_keeps_the_state_of_the_group():
    router = mastered()
    router.reload(pair_config(), 5 * SECOND_NS)
    assert router.groups[0].state is State.MASTER
    hear(router, 200, 6 * SECOND_NS, name="B")
    assert states(router) == both("BACKUP")


@pytest.mark.parametrize("lost_on", [None, "eth1"])
def test_a_pair_of_groups_fails_over_as_one(lost_on):
    wire = Wire()
    wire.start(1, pair_config(101))
    wire.start(2, pair_config(100))
    wire.run(5)
    assert (wire.masters("A"), wire.masters("B")) == ([1], [1])
    if lost_on:  # SG-3: one dead segment moves nothing
        wire.lost = lambda sender, receiver, advert: advert.interface == lost_on
        wire.run(20)
        assert (wire.masters("A"), wire.masters("B")) == ([1], [1])
    else:
        wire.kill(1)
        wire.run(4)
        assert (wire.masters("A"), wire.masters("B")) == ([2], [2])
