from vrrpsim.measure.outages import Outage, client_view
from vrrpsim.trace import Reachability


def view(*changes, every=10, end=100):
    """`changes` are instants at which reachability flips, beginning with reachable."""
    records = [Reachability(at, "web", i % 2 == 0, "a", "") for i, at in enumerate(changes)]
    return client_view("web", records, every, end)


def test_a_client_that_is_always_served_has_no_outage():
    seen = view(0)
    assert (seen.outages, seen.answered, seen.lost) == ((), 10, 0)


def test_an_outage_is_the_time_between_answers_minus_the_period():
    seen = view(0, 31, 55)  # answered at 30 and at 60
    assert seen.outages == (Outage(40, 60, True),)
    assert seen.longest_ns == (60 - 30) - 10


def test_a_gap_between_two_requests_is_no_outage():
    assert view(0, 31, 39).outages == ()


def test_a_flicker_that_no_request_meets_does_not_end_an_outage():
    assert view(0, 11, 13, 17, 41).outages == (Outage(20, 50, True),)


def test_the_wait_for_the_first_answer_is_lost_but_no_outage():
    seen = view(25)
    assert (seen.outages, seen.lost) == ((), 3)


def test_an_outage_that_the_horizon_cuts_says_so():
    assert view(0, 75).outages == (Outage(80, 100, False),)


def test_a_client_never_served_was_out_from_the_start():
    seen = view()
    assert seen.outages == (Outage(0, 100, False),)
    assert (seen.answered, seen.lost) == (0, 10)


def test_a_change_at_the_instant_of_a_request_has_happened():
    assert view(0, 30, 50).outages == (Outage(30, 50, True),)
