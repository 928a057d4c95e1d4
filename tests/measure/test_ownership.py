import pytest

from vrrpsim.measure.ownership import ownerships
from vrrpsim.trace import AddressChange, NodeChange

VIP = "10.0.0.100"


def has(at, node, interface="eth0"):
    return AddressChange(at, node, interface, VIP, True)


def loses(at, node, interface="eth0"):
    return AddressChange(at, node, interface, VIP, False)


def owned(*records, end=100):
    [one] = ownerships(records, end, [VIP])
    return one


def shape(spans):
    return [(s.start_ns, s.end_ns, s.nodes, s.ended) for s in spans]


def test_an_address_that_nobody_has_is_vacant_for_the_whole_run():
    one = owned()
    assert shape(one.vacancies) == [(0, 100, (), False)]
    assert one.vacancy_ns == 100
    assert one.moves == 0


def test_a_clean_hand_over_has_an_overlap_and_a_move():
    one = owned(has(10, "a"), has(50, "b"), loses(52, "a"))
    assert [(t.node, t.start_ns, t.end_ns, t.ended) for t in one.tenures] == [
        ("a", 10, 52, True),
        ("b", 50, 100, False),
    ]
    assert shape(one.dual_master) == [(50, 52, ("a", "b"), True)]
    assert one.moves == 1
    assert one.dual_master_ns == 2


def test_the_wait_for_the_first_master_is_a_vacancy_that_no_expectation_counts():
    one = owned(has(10, "a"), loses(50, "a"), has(53, "b"))
    assert shape(one.vacancies) == [(0, 10, (), True), (50, 53, (), True)]
    assert one.vacancy_ns == 3


def test_a_swap_at_one_instant_is_neither_overlap_nor_vacancy():
    one = owned(has(0, "a"), has(50, "b"), loses(50, "a"))
    assert one.dual_master == ()
    assert one.vacancies == ()


def test_a_paused_machine_owns_nothing_and_has_its_address_again_when_it_resumes():
    one = owned(has(0, "a"), NodeChange(20, "a", "paused"), NodeChange(30, "a", "on"))
    assert [(t.start_ns, t.end_ns, t.resumed) for t in one.tenures] == [(0, 20, False), (30, 100, True)]


def test_a_machine_that_was_off_has_forgotten_its_addresses():
    one = owned(has(0, "a"), NodeChange(20, "a", "off"), NodeChange(30, "a", "on"), has(40, "a"))
    assert [(t.start_ns, t.end_ns, t.resumed) for t in one.tenures] == [(0, 20, False), (40, 100, False)]


def test_an_address_on_two_interfaces_is_one_tenure():
    one = owned(has(0, "a"), has(5, "a", "eth1"), loses(10, "a"), loses(20, "a", "eth1"))
    assert [(t.start_ns, t.end_ns) for t in one.tenures] == [(0, 20)]


def test_an_address_that_comes_and_goes_at_one_instant_was_never_owned():
    one = owned(has(0, "a"), has(10, "b"), loses(10, "b"), NodeChange(20, "c", "on"), has(30, "c"))
    assert [(t.node, t.start_ns) for t in one.tenures] == [("a", 0), ("c", 30)]
    assert one.moves == 1


def test_one_overlap_of_changing_owners_is_one_span():
    one = owned(has(0, "a"), has(10, "b"), has(20, "c"), loses(30, "b"), loses(40, "c"))
    assert shape(one.dual_master) == [(10, 40, ("a", "b", "c"), True)]


@pytest.mark.parametrize(("at", "owners"), [(0, ()), (9, ()), (10, ("a",)), (50, ("a", "b")), (99, ("b",))])
def test_owners_at_an_instant(at, owners):
    assert owned(has(10, "a"), has(50, "b"), loses(52, "a")).line.at(at) == owners
