"""Ethernet, ARP, IPv4, IPv6 and Neighbor Discovery as bytes: rfc.md §3.3 and §6, keepalived.md §4 and §5.1.

Frames have neither FCS nor padding to Ethernet's minimum. There are no IPv4 options, no fragments and no
IPv6 extension headers. Builders take MAC addresses as 6 bytes; readers answer None to what they cannot read.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from .configuration import Address
from .packet import ones_complement_sum, pseudo_header

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD
PROTOCOL_ICMPV6: Final = 58

BROADCAST_MAC = b"\xff" * 6
ALL_NODES = IPv6Address("ff02::1")
CS6: Final = 0xC0  # TOS / traffic class of network control (§5.1)

ARP_REQUEST: Final = 1
ARP_REPLY: Final = 2
NEIGHBOR_SOLICITATION: Final = 135
NEIGHBOR_ADVERTISEMENT: Final = 136
ND_HOP_LIMIT: Final = 255  # RFC 4861 §7.1: anything less came from off-link

_ARP_ETHERNET_IPV4 = bytes.fromhex("0001 0800 06 04")
_SOLICITED_NODE_PREFIX = int(IPv6Address("ff02::1:ff00:0"))
_FLAG_ROUTER, _FLAG_SOLICITED, _FLAG_OVERRIDE = 0x80, 0x40, 0x20
_OPTION_SOURCE_MAC, _OPTION_TARGET_MAC = 1, 2


# --- MAC addresses --------------------------------------------------------------------------------


def virtual_mac(family: int, vrid: int) -> bytes:
    """Give the virtual router MAC: 00-00-5E-00-01-VRID, for IPv6 00-00-5E-00-02-VRID (RFC 9568 §7.3)."""
    assert 1 <= vrid <= 255
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x01 if family == 4 else 0x02, vrid))


def multicast_mac(address: Address) -> bytes:
    """Map a group to its MAC: the low 23 bits (RFC 1112 §6.4), for IPv6 the low 32 (RFC 2464 §7)."""
    if isinstance(address, IPv4Address):
        return b"\x01\x00\x5e" + (int(address) & 0x7FFFFF).to_bytes(3, "big")
    return b"\x33\x33" + address.packed[-4:]


def mac_text(mac: bytes) -> str:
    """Write a MAC as people read it: 00:00:5e:00:01:33."""
    return mac.hex(":")


def solicited_node(address: Address) -> IPv6Address:
    """Give the solicited-node group ff02::1:ffXX:XXXX of an address (RFC 4291 §2.7.1)."""
    return IPv6Address(_SOLICITED_NODE_PREFIX | int(address) & 0xFFFFFF)


# --- ARP ------------------------------------------------------------------------------------------


def gratuitous_arp(mac: bytes, address: Address, *, target_mac: bytes) -> bytes:
    """Announce `address` at `mac`: a broadcast request of 42 octets (GA-9, rfc.md §6.3).

    Daemons put the broadcast MAC into the target hardware field, RFC 9568 (EID 7947) the sender's.
    """
    arp = _arp(ARP_REQUEST, mac, address, target_mac, address)
    return ethernet(BROADCAST_MAC, mac, ETHERTYPE_ARP, arp)


def arp_request(mac: bytes, source_ip: Address, target_ip: Address, dst_mac: bytes = BROADCAST_MAC) -> bytes:
    """Ask who has `target_ip`; a unicast `dst_mac` makes it the probe of a stale neighbour entry."""
    arp = _arp(ARP_REQUEST, mac, source_ip, bytes(6), target_ip)
    return ethernet(dst_mac, mac, ETHERTYPE_ARP, arp)


def arp_reply(mac: bytes, address: Address, target_mac: bytes, target_ip: Address) -> bytes:
    """Answer `target_ip` that `address` is at `mac` (§8.1.2: from a Master both MACs are virtual)."""
    return ethernet(target_mac, mac, ETHERTYPE_ARP, _arp(ARP_REPLY, mac, address, target_mac, target_ip))


def _arp(operation: int, sender_mac: bytes, sender: Address, target_mac: bytes, target: Address) -> bytes:
    assert sender.version == target.version == 4
    return (
        _ARP_ETHERNET_IPV4
        + operation.to_bytes(2, "big")
        + sender_mac
        + sender.packed
        + target_mac
        + target.packed
    )


# --- Neighbor Discovery ---------------------------------------------------------------------------


def unsolicited_na(mac: bytes, address: Address, *, router: bool) -> bytes:
    """Announce `address` at `mac` to all nodes, from itself, with Override (GA-10, rfc.md §6.4)."""
    flags = _FLAG_OVERRIDE | (_FLAG_ROUTER if router else 0)
    icmp = _neighbor(NEIGHBOR_ADVERTISEMENT, flags, address, _OPTION_TARGET_MAC, mac)
    return _icmpv6(multicast_mac(ALL_NODES), mac, address, ALL_NODES, icmp)


def neighbor_solicitation(
    mac: bytes,
    source_ip: Address,
    target_ip: Address,
    *,
    destination: Address | None = None,
    dst_mac: bytes | None = None,
) -> bytes:
    """Ask who has `target_ip`: its solicited-node group, or a unicast probe if `destination` is given."""
    to = destination or solicited_node(target_ip)
    icmp = _neighbor(NEIGHBOR_SOLICITATION, 0, target_ip, _OPTION_SOURCE_MAC, mac)
    return _icmpv6(dst_mac or multicast_mac(to), mac, source_ip, to, icmp)


def solicited_na(
    mac: bytes, address: Address, target_mac: bytes, target_ip: Address, *, router: bool = True
) -> bytes:
    """Answer `target_ip` that `address` is at `mac`: Solicited and Override set (RFC 9568 §8.2.2)."""
    flags = _FLAG_SOLICITED | _FLAG_OVERRIDE | (_FLAG_ROUTER if router else 0)
    icmp = _neighbor(NEIGHBOR_ADVERTISEMENT, flags, address, _OPTION_TARGET_MAC, mac)
    return _icmpv6(target_mac, mac, address, target_ip, icmp)


def _neighbor(icmp_type: int, flags: int, target: Address, option: int, mac: bytes) -> bytes:
    """Build an NS or NA with a zero checksum (RFC 4861 §4.3, §4.4); options count units of 8 octets."""
    return bytes((icmp_type, 0, 0, 0, flags, 0, 0, 0)) + target.packed + bytes((option, 1)) + mac


def _icmpv6(dst_mac: bytes, src_mac: bytes, source: Address, destination: Address, icmp: bytes) -> bytes:
    covered = pseudo_header(source, destination, len(icmp), PROTOCOL_ICMPV6) + icmp
    checksum = (~ones_complement_sum(covered) & 0xFFFF).to_bytes(2, "big")
    packet = ipv6_packet(source, destination, ND_HOP_LIMIT, PROTOCOL_ICMPV6, icmp[:2] + checksum + icmp[4:])
    return ethernet(dst_mac, src_mac, ETHERTYPE_IPV6, packet)


# --- IP and Ethernet ------------------------------------------------------------------------------


def ipv4_packet(
    source: Address,
    destination: Address,
    ttl: int,
    protocol: int,
    identification: int,
    payload: bytes,
    tos: int = CS6,
) -> bytes:
    """Put a header of 20 octets before `payload`: no options, no DF (keepalived.md §5.1)."""
    assert source.version == destination.version == 4
    head = (
        bytes((0x45, tos))
        + (20 + len(payload)).to_bytes(2, "big")
        + (identification & 0xFFFF).to_bytes(2, "big")
        + bytes((0, 0, ttl, protocol))
    )
    addresses = source.packed + destination.packed
    checksum = ~ones_complement_sum(head + addresses) & 0xFFFF
    return head + checksum.to_bytes(2, "big") + addresses + payload


def ipv6_packet(
    source: Address,
    destination: Address,
    hop_limit: int,
    next_header: int,
    payload: bytes,
    traffic_class: int = CS6,
) -> bytes:
    """Put a header of 40 octets before `payload`: flow label 0, no extension headers."""
    assert source.version == destination.version == 6
    return (
        (6 << 28 | traffic_class << 20).to_bytes(4, "big")
        + len(payload).to_bytes(2, "big")
        + bytes((next_header, hop_limit))
        + source.packed
        + destination.packed
        + payload
    )


def ethernet(dst_mac: bytes, src_mac: bytes, ethertype: int, payload: bytes) -> bytes:
    """Put an Ethernet II header of 14 octets before `payload`."""
    return dst_mac + src_mac + ethertype.to_bytes(2, "big") + payload


# --- readers --------------------------------------------------------------------------------------


class EthernetFrame(NamedTuple):
    """An Ethernet II frame."""

    dst_mac: bytes
    src_mac: bytes
    ethertype: int
    payload: bytes


class IpPacket(NamedTuple):
    """An IP packet of either family: `ttl` is the Hop Limit, `tos` the traffic class in IPv6."""

    source: Address
    destination: Address
    ttl: int
    protocol: int
    payload: bytes
    tos: int = 0
    identification: int = 0  # IPv4 only
    dont_fragment: bool = False  # IPv4 only


class Arp(NamedTuple):
    """An ARP message for IPv4 over Ethernet."""

    operation: int
    sender_mac: bytes
    sender: IPv4Address
    target_mac: bytes
    target: IPv4Address

    @property
    def gratuitous(self) -> bool:
        """The sender speaks about its own address."""
        return self.sender == self.target


class Neighbor(NamedTuple):
    """A Neighbor Solicitation or Advertisement; `mac` is the link-layer option, None without one."""

    icmp_type: int
    target: IPv6Address
    mac: bytes | None
    router: bool = False
    solicited: bool = False
    override: bool = False


def decode_ethernet(frame: bytes) -> EthernetFrame | None:
    """Read an Ethernet header; None if there is none."""
    if len(frame) < 14:
        return None
    return EthernetFrame(frame[:6], frame[6:12], int.from_bytes(frame[12:14], "big"), frame[14:])


def decode_ipv4(packet: bytes) -> IpPacket | None:
    """Read an unfragmented IPv4 packet without its padding; None if a length or the checksum is wrong."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    header, total = (packet[0] & 0xF) * 4, int.from_bytes(packet[2:4], "big")
    flags = int.from_bytes(packet[6:8], "big")
    if not 20 <= header <= total <= len(packet) or flags & 0x3FFF:
        return None
    if ones_complement_sum(packet[:header]) != 0xFFFF:
        return None
    return IpPacket(
        source=IPv4Address(int.from_bytes(packet[12:16], "big")),
        destination=IPv4Address(int.from_bytes(packet[16:20], "big")),
        ttl=packet[8],
        protocol=packet[9],
        payload=packet[header:total],
        tos=packet[1],
        identification=int.from_bytes(packet[4:6], "big"),
        dont_fragment=bool(flags & 0x4000),
    )


def decode_ipv6(packet: bytes) -> IpPacket | None:
    """Read an IPv6 packet without its padding; None if a length is wrong."""
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return None
    end = 40 + int.from_bytes(packet[4:6], "big")
    if end > len(packet):
        return None
    return IpPacket(
        source=IPv6Address(int.from_bytes(packet[8:24], "big")),
        destination=IPv6Address(int.from_bytes(packet[24:40], "big")),
        ttl=packet[7],
        protocol=packet[6],
        payload=packet[40:end],
        tos=int.from_bytes(packet[:2], "big") >> 4 & 0xFF,
    )


def decode_arp(payload: bytes) -> Arp | None:
    """Read ARP for IPv4 over Ethernet; None for anything else."""
    if len(payload) < 28 or payload[:6] != _ARP_ETHERNET_IPV4:
        return None
    return Arp(
        operation=int.from_bytes(payload[6:8], "big"),
        sender_mac=payload[8:14],
        sender=IPv4Address(int.from_bytes(payload[14:18], "big")),
        target_mac=payload[18:24],
        target=IPv4Address(int.from_bytes(payload[24:28], "big")),
    )


def decode_neighbor(packet: IpPacket) -> Neighbor | None:
    """Read an NS or NA; None for anything else, or if RFC 4861 §7.1 makes it invalid.

    That is: Hop Limit below 255, a wrong checksum, a code other than 0, or an option of length 0.
    """
    icmp = packet.payload
    if packet.protocol != PROTOCOL_ICMPV6 or packet.ttl != ND_HOP_LIMIT or len(icmp) < 24:
        return None
    if icmp[0] not in (NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT) or icmp[1] != 0:
        return None
    header = pseudo_header(packet.source, packet.destination, len(icmp), PROTOCOL_ICMPV6)
    if ones_complement_sum(header + icmp) != 0xFFFF:
        return None
    wanted = _OPTION_SOURCE_MAC if icmp[0] == NEIGHBOR_SOLICITATION else _OPTION_TARGET_MAC
    mac, at = None, 24
    while at < len(icmp):
        length = 8 * icmp[at + 1] if at + 1 < len(icmp) else 0
        if length == 0 or at + length > len(icmp):
            return None
        if icmp[at] == wanted:
            mac = icmp[at + 2 : at + 8]
        at += length
    return Neighbor(
        icmp_type=icmp[0],
        target=IPv6Address(int.from_bytes(icmp[8:24], "big")),
        mac=mac,
        router=bool(icmp[4] & _FLAG_ROUTER),
        solicited=bool(icmp[4] & _FLAG_SOLICITED),
        override=bool(icmp[4] & _FLAG_OVERRIDE),
    )
