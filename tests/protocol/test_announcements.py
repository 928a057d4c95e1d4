"""keepalived.md §4: GA-1 … GA-7 and GA-11, frame by frame."""

from __future__ import annotations

from typing import Any

import pytest
from vrrp_pair import MS_NS, VIP, VIP2, hear, instance, kinds, router_config, started

from vrrpsim.protocol.announcements import Pacer
from vrrpsim.protocol.configuration import SECOND_NS, Garp, GarpGroup, InstanceConfig
from vrrpsim.protocol.dialect import KEEPALIVED_2_2_7, KEEPALIVED_2_3_3, Dialect
from vrrpsim.protocol.fsm import NEVER_NS, State
from vrrpsim.protocol.outputs import Output, SendAdvert, SendGratuitous
from vrrpsim.protocol.router import VrrpRouter

MDI = 3_609_375_000
START = MDI  # when the lone router becomes Master


class Recorder:
    """A lone Master and every announcement it makes, as (nanoseconds since it became Master, last octet)."""

    def __init__(self, config: InstanceConfig, dialect: Dialect = KEEPALIVED_2_2_7, **fields: Any) -> None:
        self.router: VrrpRouter = started(router_config(config, **fields), dialect)
        self.frames: list[tuple[int, int]] = []
        self.outputs: list[Output] = []
        self.until(0)

    def note(self, outputs: list[Output], now_ns: int) -> None:
        self.outputs += outputs
        for frame in kinds(outputs, SendGratuitous):
            self.frames.append((now_ns - START, int(frame.address) & 0xFF))

    def until(self, end_ns: int) -> None:
        """Serve everything due up to `end_ns` after becoming Master."""
        while (wake_ns := self.router.next_deadline_ns()) <= START + end_ns:
            self.note(self.router.advance(wake_ns), wake_ns)

    def hear(self, priority: int, at_ns: int) -> None:
        self.until(at_ns)
        self.note(hear(self.router, priority, START + at_ns), START + at_ns)

    def bursts(self) -> list[tuple[int, int]]:
        """(time, number of frames)."""
        times = [at_ns for at_ns, _ in self.frames]
        return [(at_ns, times.count(at_ns)) for at_ns in dict.fromkeys(times)]


def test_GA_1_rounds_outside_addresses_inside_and_excluded_ones_too():
    excluded = VIP2._replace(address=VIP2.address + 1)
    config = instance(addresses=(VIP, VIP2), excluded=(excluded,), garp=Garp(master_repeat=3))
    assert Recorder(config).frames == [(0, octet) for _ in range(3) for octet in (100, 101, 102)]


def test_GA_1_each_address_on_its_own_interface():
    config = instance(addresses=(VIP, VIP2._replace(interface="eth1")), garp=Garp(master_repeat=1))
    frames = kinds(Recorder(config).outputs, SendGratuitous)
    assert [(frame.interface, frame.address) for frame in frames] == [
        ("eth0", VIP.address),
        ("eth1", VIP2.address),
    ]


@pytest.mark.parametrize(("delay_s", "bursts"), [(5, [(0, 5), (5 * SECOND_NS, 5)]), (0, [(0, 5)])])
def test_GA_2_a_second_burst(delay_s, bursts):
    recorder = Recorder(instance(garp=Garp(master_delay_ns=delay_s * SECOND_NS)))
    recorder.until(30 * SECOND_NS)
    assert recorder.bursts() == bursts


def test_GA_2_the_timer_survives_leaving_master():
    recorder = Recorder(instance())
    recorder.hear(200, SECOND_NS)
    recorder.hear(0, SECOND_NS)  # Master again after the skew
    recorder.until(20 * SECOND_NS)
    again = SECOND_NS + 609_375_000
    assert recorder.bursts() == [(0, 5), (again, 5), (5 * SECOND_NS, 5), (again + 5 * SECOND_NS, 5)]


def test_GA_2_but_a_backup_announces_nothing():
    recorder = Recorder(instance())
    recorder.hear(200, SECOND_NS)
    for second in range(2, 10):
        recorder.hear(200, second * SECOND_NS)
    assert recorder.bursts() == [(0, 5)]


def test_GA_3_to_2_3_1_refreshes_ride_on_adverts():
    garp = Garp(master_refresh_ns=2_500 * MS_NS, master_refresh_repeat=2)
    recorder = Recorder(instance(garp=garp))
    recorder.until(10 * SECOND_NS)
    refreshes = [at_ns // SECOND_NS for at_ns, count in recorder.bursts() if count == 2]
    assert refreshes == [3, 6, 9]


def test_GA_3_to_2_3_1_the_refresh_comes_only_after_more_than_its_time():
    recorder = Recorder(instance(garp=Garp(master_refresh_ns=2 * SECOND_NS, master_delay_ns=0)))
    recorder.until(7 * SECOND_NS)
    assert [at_ns // SECOND_NS for at_ns, _ in recorder.bursts()] == [0, 3, 6]


def test_GA_3_from_2_3_2_refreshes_have_a_timer():
    recorder = Recorder(instance(garp=Garp(master_refresh_ns=2_500 * MS_NS)), KEEPALIVED_2_3_3)
    recorder.until(13 * SECOND_NS)
    assert recorder.bursts()[2:] == [(7_500 * MS_NS, 1), (10_000 * MS_NS, 1), (12_500 * MS_NS, 1)]
    recorder.hear(200, 13 * SECOND_NS)
    for second in range(14, 20):
        recorder.hear(200, second * SECOND_NS)
    assert len(recorder.bursts()) == 5


def test_GA_8_an_extra_announcement_on_each_interface_that_is_not_the_own_one():
    """As in 2.2.7: each with its first address, at the first advert after the time."""
    others = (
        VIP2._replace(interface="eth1"),
        VIP2._replace(address=VIP2.address + 1, interface="eth1"),
        VIP2._replace(address=VIP2.address + 2, interface="eth0"),
    )
    excluded = (VIP2._replace(address=VIP2.address + 3, interface="eth2"),)
    garp = Garp(master_repeat=1, master_delay_ns=0, extra_ns=2_500 * MS_NS)
    recorder = Recorder(instance(addresses=(VIP, *others), excluded=excluded, garp=garp))
    recorder.until(7 * SECOND_NS)
    assert recorder.frames[5:] == [(second * SECOND_NS, octet) for second in (3, 6) for octet in (101, 104)]
    recorder.hear(200, 7 * SECOND_NS)
    for second in range(8, 14):
        recorder.hear(200, second * SECOND_NS)
    assert len(recorder.frames) == 9


@pytest.mark.parametrize("refresh_s", [0, 3])
def test_GA_3_a_reload_changes_the_refresh(refresh_s):
    one = instance(garp=Garp(master_refresh_ns=SECOND_NS))
    recorder = Recorder(one, KEEPALIVED_2_3_3)
    recorder.until(7_500 * MS_NS)
    before = len(recorder.bursts())
    other = one._replace(garp=Garp(master_refresh_ns=refresh_s * SECOND_NS))
    recorder.note(recorder.router.reload(router_config(other), START + 7_500 * MS_NS), START)
    recorder.until(20 * SECOND_NS)
    assert [at_ns for at_ns, _ in recorder.bursts()[before:]] == (
        [15_500 * MS_NS, 18_500 * MS_NS] if refresh_s else []
    )


def test_GA_4_every_lower_advert_gives_a_burst_and_a_later_one():
    garp = Garp(master_delay_ns=0, lower_prio_repeat=2, lower_prio_delay_ns=3 * SECOND_NS)
    recorder = Recorder(instance(garp=garp))
    recorder.hear(50, SECOND_NS)
    recorder.hear(50, 2 * SECOND_NS)
    recorder.until(20 * SECOND_NS)
    assert recorder.bursts()[1:] == [(second * SECOND_NS, 2) for second in (1, 2, 4, 5)]


def test_GA_4_none_when_it_is_zero():
    recorder = Recorder(instance(garp=Garp(master_delay_ns=0, lower_prio_repeat=0)))
    recorder.hear(50, SECOND_NS)
    recorder.until(20 * SECOND_NS)
    assert recorder.bursts() == [(0, 5)]


def test_GA_5_a_reload_that_adds_an_address_gives_one_burst_for_all():
    one = instance(garp=Garp(master_delay_ns=0))
    recorder = Recorder(one)
    router = recorder.router
    recorder.note(router.reload(router_config(one._replace(addresses=(VIP, VIP2))), START), START)
    assert recorder.frames[5:] == [(0, octet) for _ in range(5) for octet in (100, 101)]
    recorder.until(10 * SECOND_NS)
    assert len(recorder.frames) == 15


@pytest.mark.parametrize("addresses", [(VIP, VIP2), (VIP,)], ids=["the same", "one less"])
def test_GA_5_a_reload_that_adds_none_gives_none(addresses):
    one = instance(addresses=(VIP, VIP2), garp=Garp(master_delay_ns=0))
    router = Recorder(one).router
    outputs = router.reload(router_config(one._replace(addresses=addresses)), START)
    assert kinds(outputs, SendGratuitous) == []


def paced(dialect: Dialect) -> Recorder:
    config = instance(addresses=(VIP, VIP2), garp=Garp(master_delay_ns=0))
    recorder = Recorder(config, dialect, garp_groups=(GarpGroup(garp_interval_ns=100 * MS_NS),))
    recorder.until(10 * SECOND_NS)
    return recorder


def test_GA_6_to_2_3_1_repeats_collapse():
    assert paced(KEEPALIVED_2_2_7).frames == [(0, 100), (100 * MS_NS, 100), (200 * MS_NS, 101)]


def test_GA_6_from_2_3_2_all_are_sent_in_turn():
    expected = [(number * 100 * MS_NS, 100 + number % 2) for number in range(10)]
    assert paced(KEEPALIVED_2_3_3).frames == expected


def test_GA_6_from_2_3_2_never_more_than_the_repeat_value_waits():
    config = instance(garp=Garp(master_delay_ns=0, lower_prio_repeat=3, lower_prio_delay_ns=0))
    recorder = Recorder(config, KEEPALIVED_2_3_3, garp_groups=(GarpGroup(garp_interval_ns=60 * SECOND_NS),))
    for number in range(50):
        recorder.hear(50, SECOND_NS + number)
    waiting = recorder.router._announcer._pacer._waiting["eth0"]
    assert len(waiting) == 4  # five at first, one of them sent


def test_GA_6_waiting_frames_are_dropped_on_leaving_master():
    config = instance(addresses=(VIP, VIP2))
    recorder = Recorder(config, garp_groups=(GarpGroup(garp_interval_ns=100 * MS_NS),))
    recorder.hear(200, 50 * MS_NS)
    recorder.until(SECOND_NS)
    assert recorder.frames == [(0, 100)]


def test_GA_6_the_spacing_is_per_interface_and_per_group_of_interfaces():
    frames = [SendGratuitous("VI", "eth0", VIP.address, None)] * 2
    pacer = Pacer((GarpGroup(interfaces=("eth0",), garp_interval_ns=10),), False)
    assert len(pacer.offer("eth1", frames, 0)) == 2
    assert len(pacer.offer("eth0", frames, 0)) == 1
    assert pacer.next_ns() == 10
    assert len(pacer.due(9)) == 0
    assert len(pacer.due(10)) == 1
    assert pacer.next_ns() == NEVER_NS


@pytest.mark.parametrize("collapses", [False, True])
def test_GA_6_a_new_frame_does_not_overtake_those_that_wait(collapses):
    first, second, new = (SendGratuitous("VI", "eth0", VIP.address + number, None) for number in range(3))
    pacer = Pacer((GarpGroup(garp_interval_ns=10),), collapses)
    assert pacer.offer("eth0", [first, second], 0) == [first]
    assert pacer.offer("eth0", [new], 10) == []  # its time has come, but it is the other's turn
    assert [pacer.due(at_ns) for at_ns in (10, 19, 20)] in ([[second], [], [new]], [[new], [], [second]])


def test_GA_7_vrrp_min_garp_is_one_frame():
    minimal = Garp(master_repeat=1, master_delay_ns=0, master_refresh_ns=0)
    recorder = Recorder(instance(garp=minimal))
    recorder.until(30 * SECOND_NS)
    assert recorder.bursts() == [(0, 1)]


def test_GA_11_nothing_on_leaving_and_nothing_for_merely_staying():
    recorder = Recorder(instance(garp=Garp(master_delay_ns=0)))
    recorder.hear(0, SECOND_NS)  # a peer resigns: answered, not announced
    assert recorder.router.state_of("VI") is State.MASTER
    recorder.hear(200, 2 * SECOND_NS)
    outputs = recorder.router.stop(START + 3 * SECOND_NS)
    assert kinds(outputs, SendGratuitous, SendAdvert) == []
    assert recorder.bursts() == [(0, 5)]
