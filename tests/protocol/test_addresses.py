"""Addresses with a hash and a text of their own are those of the standard library to everybody else."""

import pickle
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpsim.keepalived.arguments import parse_address
from vrrpsim.protocol.addresses import cached

ADDRESSES = st.ip_addresses() | st.just(IPv6Address("fe80::1%eth0"))


@given(ADDRESSES, ADDRESSES)
def test_they_equal_plain_ones_and_nothing_else(plain, other):
    quick = cached(plain)
    assert quick == plain
    assert plain == quick
    assert (quick != plain) is False
    assert (quick == other) == (plain == other) == (cached(other) == plain)
    assert hash(quick) == hash(plain)
    assert {plain: 1}[quick] == {quick: 1}[plain] == 1
    assert isinstance(quick, type(plain))
    assert (str(quick), repr(quick), f"{quick}") == (str(plain), repr(plain), f"{plain}")


@given(st.ip_addresses())
def test_what_is_worked_out_of_one_is_right(plain):
    back = pickle.loads(pickle.dumps(cached(plain)))
    assert (back, hash(back), str(back)) == (plain, hash(plain), str(plain))
    near = plain + 1 if int(plain) < 1 << 31 else plain - 1
    far = cached(plain) + 1 if int(plain) < 1 << 31 else cached(plain) - 1
    assert (far, hash(far), str(far)) == (near, hash(near), str(near))


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::1"])
def test_all_readers_of_an_address_get_the_same(text):
    assert parse_address(text) is parse_address(text) is cached(ip_address(text))
    assert isinstance(parse_address(text), IPv4Address | IPv6Address)
