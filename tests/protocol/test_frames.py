"""Frames as bytes: rfc.md §3.3 and §6.6, keepalived.md GA-9, GA-10 and §5.1."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpsim.protocol import frames

VMAC4 = frames.virtual_mac(4, 1)
VMAC6 = frames.virtual_mac(6, 1)
HOST_MAC = bytes.fromhex("020000000064")
VIP4, HOST4 = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.100")
VIP6, HOST6 = IPv6Address("fe80::1"), IPv6Address("fe80::64")

# rfc.md §6.6
H1 = "ffffffffffff00005e0001010806000108000604000100005e000101c000020100005e000101c0000201"
H2 = "02000000006400005e0001010806000108000604000200005e000101c0000201020000000064c0000264"
H3 = (
    "33330000000100005e00020186dd6c00000000203afffe800000000000000000000000000001ff020000000000000000"
    "0000000000018800799aa0000000fe800000000000000000000000000001020100005e000201"
)
H4 = (
    "02000000006400005e00020186dd6c00000000203afffe800000000000000000000000000001fe800000000000000000"
    "000000000064880039b9e0000000fe800000000000000000000000000001020100005e000201"
)

macs = st.binary(min_size=6, max_size=6)
ipv4 = st.ip_addresses(v=4)
ipv6 = st.ip_addresses(v=6)
octet = st.integers(0, 255)


def test_h1_gratuitous_arp_of_rfc9568():
    assert frames.gratuitous_arp(VMAC4, VIP4, target_mac=VMAC4).hex() == H1


def test_h2_arp_reply():
    assert frames.arp_reply(VMAC4, VIP4, target_mac=HOST_MAC, target_ip=HOST4).hex() == H2


def test_h3_unsolicited_na():
    assert frames.unsolicited_na(VMAC6, VIP6, router=True).hex() == H3


def test_h4_solicited_na():
    assert frames.solicited_na(VMAC6, VIP6, target_mac=HOST_MAC, target_ip=HOST6).hex() == H4


def test_gratuitous_arp_of_daemons_targets_the_broadcast_mac():
    """GA-9: 42 bytes, request opcode, target hardware address ff:ff:ff:ff:ff:ff."""
    frame = frames.gratuitous_arp(HOST_MAC, VIP4, target_mac=frames.BROADCAST_MAC)
    assert len(frame) == 42
    ethernet = frames.decode_ethernet(frame)
    assert ethernet is not None
    assert (ethernet.dst_mac, ethernet.src_mac) == (frames.BROADCAST_MAC, HOST_MAC)
    arp = frames.decode_arp(ethernet.payload)
    assert arp == frames.Arp(frames.ARP_REQUEST, HOST_MAC, VIP4, frames.BROADCAST_MAC, VIP4)
    assert arp.gratuitous


def test_arp_request_leaves_the_target_hardware_address_empty():
    ethernet = frames.decode_ethernet(frames.arp_request(HOST_MAC, HOST4, VIP4))
    assert ethernet is not None
    assert ethernet.dst_mac == frames.BROADCAST_MAC
    arp = frames.decode_arp(ethernet.payload)
    assert arp == frames.Arp(frames.ARP_REQUEST, HOST_MAC, HOST4, bytes(6), VIP4)
    assert not arp.gratuitous


def test_neighbor_solicitation_goes_to_the_solicited_node_group():
    target = IPv6Address("2001:db8::12:3456")
    ethernet = frames.decode_ethernet(frames.neighbor_solicitation(HOST_MAC, HOST6, target))
    assert ethernet is not None
    assert frames.mac_text(ethernet.dst_mac) == "33:33:ff:12:34:56"
    packet = frames.decode_ipv6(ethernet.payload)
    assert packet is not None
    assert packet.destination == IPv6Address("ff02::1:ff12:3456")
    assert frames.decode_neighbor(packet) == frames.Neighbor(frames.NEIGHBOR_SOLICITATION, target, HOST_MAC)


def test_neighbor_solicitation_as_a_unicast_probe():
    probe = frames.neighbor_solicitation(HOST_MAC, HOST6, VIP6, destination=VIP6, dst_mac=VMAC6)
    ethernet = frames.decode_ethernet(probe)
    assert ethernet is not None
    assert ethernet.dst_mac == VMAC6
    packet = frames.decode_ipv6(ethernet.payload)
    assert packet is not None
    assert packet.destination == VIP6


@pytest.mark.parametrize("router", [True, False])
def test_na_flags(router):
    """GA-10: Override, Router if the interface forwards, never Solicited; from the address itself."""
    ethernet = frames.decode_ethernet(frames.unsolicited_na(VMAC6, VIP6, router=router))
    assert ethernet is not None
    packet = frames.decode_ipv6(ethernet.payload)
    assert packet is not None
    assert (packet.source, packet.destination, packet.ttl) == (VIP6, frames.ALL_NODES, 255)
    assert frames.decode_neighbor(packet) == frames.Neighbor(
        frames.NEIGHBOR_ADVERTISEMENT, VIP6, VMAC6, router=router, solicited=False, override=True
    )


def test_mac_addresses():
    assert frames.mac_text(frames.virtual_mac(4, 51)) == "00:00:5e:00:01:33"
    assert frames.mac_text(frames.virtual_mac(6, 255)) == "00:00:5e:00:02:ff"
    assert frames.mac_text(frames.multicast_mac(IPv4Address("224.0.0.18"))) == "01:00:5e:00:00:12"
    assert frames.mac_text(frames.multicast_mac(IPv4Address("239.129.2.3"))) == "01:00:5e:01:02:03"
    assert frames.mac_text(frames.multicast_mac(IPv6Address("ff02::12"))) == "33:33:00:00:00:12"


def test_ipv4_header_of_an_advert():
    """§5.1: ihl 5, TOS 0xC0, no DF; the words but the checksum sum to 0x2e76d, folded 0xe76f."""
    packet = frames.ipv4_packet(IPv4Address("192.0.2.2"), IPv4Address("224.0.0.18"), 255, 112, 1, bytes(20))
    assert packet[:20].hex() == "45c0002800010000ff701890c0000202e0000012"
    assert len(packet) == 40


def test_frames_are_not_padded_but_readers_drop_padding():
    packet = frames.ipv4_packet(HOST4, VIP4, 255, 112, 7, b"vrrp")
    assert frames.decode_ipv4(packet + bytes(22)) == frames.decode_ipv4(packet)
    packet6 = frames.ipv6_packet(HOST6, VIP6, 255, 112, b"vrrp")
    assert frames.decode_ipv6(packet6 + bytes(2)) == frames.decode_ipv6(packet6)


@given(ipv4, ipv4, octet, octet, st.integers(0, 0xFFFF), st.binary(max_size=64), octet)
def test_ipv4_round_trip(source, destination, ttl, protocol, identification, payload, tos):
    packet = frames.ipv4_packet(source, destination, ttl, protocol, identification, payload, tos)
    assert frames.decode_ipv4(packet) == frames.IpPacket(
        source, destination, ttl, protocol, payload, tos, identification
    )


@given(ipv6, ipv6, octet, octet, st.binary(max_size=64), octet)
def test_ipv6_round_trip(source, destination, hop_limit, next_header, payload, traffic_class):
    packet = frames.ipv6_packet(source, destination, hop_limit, next_header, payload, traffic_class)
    assert frames.decode_ipv6(packet) == frames.IpPacket(
        source, destination, hop_limit, next_header, payload, traffic_class
    )


@given(macs, ipv4, ipv4, macs)
def test_arp_round_trip(mac, address, target_ip, target_mac):
    ethernet = frames.decode_ethernet(
        frames.arp_reply(mac, address, target_mac=target_mac, target_ip=target_ip)
    )
    assert ethernet is not None
    assert frames.decode_arp(ethernet.payload) == frames.Arp(
        frames.ARP_REPLY, mac, address, target_mac, target_ip
    )


@given(st.binary(max_size=80))
def test_readers_never_raise(data):
    for reader in (frames.decode_ethernet, frames.decode_arp, frames.decode_ipv4, frames.decode_ipv6):
        reader(data)
    frames.decode_neighbor(frames.IpPacket(HOST6, VIP6, 255, frames.PROTOCOL_ICMPV6, data))


@given(st.integers(0, 19), st.integers(1, 255))
def test_ipv4_header_damage_is_noticed(at, flip):
    packet = bytearray(frames.ipv4_packet(HOST4, VIP4, 255, 112, 7, b"vrrp"))
    packet[at] ^= flip
    assert frames.decode_ipv4(bytes(packet)) is None


@given(st.integers(54, 85), st.integers(1, 255))
def test_na_damage_is_noticed(at, flip):
    frame = bytearray(bytes.fromhex(H3))
    frame[at] ^= flip
    ethernet = frames.decode_ethernet(bytes(frame))
    assert ethernet is not None
    packet = frames.decode_ipv6(ethernet.payload)
    assert packet is not None
    assert frames.decode_neighbor(packet) is None


def test_options_of_length_zero_are_refused():
    """RFC 4861 §7.1.1: a node must silently discard them; a reader must not loop."""
    icmp = bytes((136, 0, 0, 0, 0, 0, 0, 0)) + VIP6.packed + bytes(8)
    covered = frames.pseudo_header(VIP6, HOST6, len(icmp), 58) + icmp
    checksum = (~frames.ones_complement_sum(covered) & 0xFFFF).to_bytes(2, "big")
    packet = frames.IpPacket(VIP6, HOST6, 255, 58, icmp[:2] + checksum + icmp[4:])
    assert frames.decode_neighbor(packet) is None
