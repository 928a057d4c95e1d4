"""Rules between nodes, keepalived.md §8.1: each with a pair that must and one that must not be reported."""

from ipaddress import IPv4Address as IP
from ipaddress import IPv6Address

import pytest

from vrrpsim.keepalived.lint import lint
from vrrpsim.keepalived.members import members_of
from vrrpsim.protocol.configuration import (
    Authentication,
    AuthType,
    InstanceConfig,
    RouterConfig,
    Track,
    UnicastPeer,
    VirtualAddress,
)
from vrrpsim.protocol.dialect import KEEPALIVED_2_2_7, KEEPALIVED_2_3_3

VIP = (VirtualAddress(IP("10.0.0.100"), 32),)
CHECK, NET = (Track("chk", 2),), Track("net")


def found(one, other, dialect=KEEPALIVED_2_2_7):
    """Return the rules that two nodes break; what is not said is sound."""
    members = []
    for node, changes in (("a", {"priority": 101} | one), ("b", {"priority": 100} | other)):
        values = {"name": "VI_1", "interface": "eth0", "vrid": 51, "addresses": VIP} | changes
        members += members_of(node, RouterConfig(instances=(InstanceConfig(**values),)), dialect)
    return [finding.code for finding in lint(members)]


def password(key):
    return Authentication(AuthType.PASS, key)


def unicast(source, *peers):
    return {"source": IP(source), "unicast_peers": tuple(UnicastPeer(IP(peer)) for peer in peers)}


def test_a_sound_pair_has_no_findings():
    assert found({"track_scripts": CHECK}, {"track_scripts": CHECK}) == []


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        ("VRRP201", {}, {"vrid": 52}),
        ("VRRP203", {"priority": 105, "track_scripts": CHECK}, {"track_scripts": CHECK}),
        (
            "VRRP203",
            {"priority": 102, "track_scripts": CHECK},
            {"track_scripts": CHECK},
        ),  # equality is not enough
        ("VRRP203", {"track_scripts": (Track("chk", -1),)}, {"track_scripts": (Track("chk", -1),)}),
        ("VRRP204", {"track_scripts": CHECK}, {"track_scripts": CHECK, "preempt": False}),
        ("VRRP204", {"track_scripts": (*CHECK, NET)}, {"track_scripts": (*CHECK, NET), "preempt": False}),
        ("VRRP225", {"track_scripts": (Track("chk", -2),)}, {}),
        ("VRRP231", {}, {"preempt": False}),
        ("VRRP205", {"priority": 255}, {"priority": 255}),
        ("VRRP206", {"priority": 100}, {}),
        ("VRRP207", {}, {"advert_int_ns": 2_000_000_000}),
        ("VRRP208", {"version": 3}, {"version": 3, "advert_int_ns": 2_000_000_000}),
        ("VRRP209", {"version": 3}, {}),
        ("VRRP210", {"authentication": password(b"1234")}, {}),
        ("VRRP211", {"authentication": password(b"1234")}, {"authentication": password(b"1235")}),
        ("VRRP212", {}, {"addresses": (*VIP, VirtualAddress(IP("10.0.0.101"), 32))}),
        ("VRRP213", unicast("10.0.0.1", "10.0.0.2"), {}),
        ("VRRP214", unicast("10.0.0.1", "10.0.0.2"), unicast("10.0.0.2", "10.0.0.3")),
    ],
)
def test_a_broken_pair_is_reported(rule, one, other):
    assert found(one, other) == [rule]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"track_scripts": (NET,)}, {"track_scripts": (NET,)}),
        ({"priority": 255}, {}),
        ({"authentication": password(b"12345678x")}, {"authentication": password(b"12345678y")}),
        (unicast("10.0.0.1", "10.0.0.2"), unicast("10.0.0.2", "10.0.0.1")),
    ],
)
def test_a_pair_that_works_is_not(one, other):
    assert found(one, other) == []


def test_virtual_routers_without_twins_are_said_of_each():
    assert found({"vrid": 52, "addresses": ()}, {}) == ["VRRP232", "VRRP232"]


def test_lists_may_differ_from_2_3_3_on():
    other = {"addresses": (*VIP, VirtualAddress(IP("10.0.0.101"), 32))}
    assert found({}, other, KEEPALIVED_2_3_3) == ["VRRP216"]


def test_one_vrid_on_two_interfaces_is_two_virtual_routers():
    """A node may use a VRID on each of its wires; only the same wire's instances are compared."""

    def members(node, priority):
        wires = (("OUT", "eth0", "10.0.0.100"), ("IN", "eth1", "10.1.0.100"))
        instances = (
            InstanceConfig(
                name=name,
                interface=interface,
                vrid=51,
                priority=priority,
                addresses=(VirtualAddress(IP(address), 32),),
            )
            for name, interface, address in wires
        )
        return members_of(node, RouterConfig(instances=tuple(instances)), KEEPALIVED_2_2_7)

    rules = {finding.code for finding in lint([*members("a", 101), *members("b", 100)])}
    assert rules == {"VRRP228"}  # nothing couples the two sides
    rules = {finding.code for finding in lint([*members("a", 100), *members("b", 100)])}
    assert rules == {"VRRP206", "VRRP228"}


def test_a_third_node_that_does_not_preempt_matters_only_when_another_one_is_gone():
    nodes = {
        "a": {"priority": 110},
        "b": {"priority": 100},
        "c": {"priority": 95, "preempt": False},
    }
    members = []
    for node, changes in nodes.items():
        values = {"name": "VI_1", "interface": "eth0", "vrid": 51, "addresses": VIP} | changes
        instance = InstanceConfig(**values, track_scripts=(Track("chk", -20),))
        members += members_of(node, RouterConfig(instances=(instance,)), KEEPALIVED_2_2_7)
    assert [(str(each.severity), each.code) for each in lint(members)] == [("warning", "VRRP204")]


def test_one_link_local_on_two_interfaces_is_two_addresses():
    address = IPv6Address("fe80::1")
    both = (VirtualAddress(address, 64), VirtualAddress(address, 64, "eth1"))
    assert found({"family": 6, "addresses": both}, {"family": 6, "addresses": both}) == []
