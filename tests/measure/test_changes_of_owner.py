"""Changes of owner follow the owner line: compared with reading random owner lines step by step."""

from hypothesis import given, settings
from hypothesis import strategies as st

from vrrpsim.measure.ownership import changes_of_owner, ownerships
from vrrpsim.trace import AddressChange

VIP = "10.0.0.100"
END_NS = 1000
FLIPS = st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abc")), max_size=30)


def owned_by(flips):
    """Each flip gives the address to a node or takes it away."""
    has = dict.fromkeys("abc", False)
    records = []
    for at_ns, node in sorted(flips):
        has[node] = not has[node]
        records.append(AddressChange(at_ns, node, "eth0", VIP, has[node]))
    [owned] = ownerships(records, END_NS, [VIP])
    return owned


def brute_force(owned):
    """Nanosecond by nanosecond: who owns now and did not, while another one owned or was the last to."""
    found, last = [], set()
    for at_ns in range(END_NS):
        owners = {t.node for t in owned.tenures if t.start_ns <= at_ns < t.end_ns}
        begun = {t.node for t in owned.tenures if t.start_ns == at_ns}
        found += [(at_ns, node) for node in begun if last and node not in last]
        last = owners or last
    return sorted(found)


@settings(deadline=None)
@given(FLIPS)
def test_every_change_is_found_and_no_other(flips):
    owned = owned_by(flips)
    changes = list(changes_of_owner(owned))
    assert sorted((new.start_ns, new.node) for _, new in changes) == brute_force(owned)
    for old, new in changes:
        before = [t for t in owned.tenures if t.start_ns < new.start_ns]
        assert old in before
        assert old.end_ns >= new.start_ns or old.end_ns == max(t.end_ns for t in before)


def test_a_blip_within_a_tenure_hides_no_later_change():
    owned = owned_by([(1, "a"), (5, "b"), (6, "b"), (15, "a"), (18, "b")])
    assert [(old.node, new.node, new.start_ns) for old, new in changes_of_owner(owned)] == [
        ("a", "b", 5),
        ("a", "b", 18),
    ]
