"""A foreign or forged advert as a frame, from a card that nobody knows."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

from vrrpsim.config.events import InjectedAdvert
from vrrpsim.config.scenario import Scenario
from vrrpsim.protocol import frames
from vrrpsim.protocol.configuration import Address, Authentication, AuthType
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.protocol.packet import PROTOCOL_VRRP, Advertisement, authentication_data, encode

from . import kernel
from .fabric import card

MAC = b"\x02\0\x02\0\0\x01"


class Stranger:
    """An open card on a segment."""

    def __init__(self, network: int, interface: str) -> None:
        with kernel.inside(network):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.bind((interface, 0))

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._socket.send(frame)


def forged(scenario: Scenario, segment: str, advert: InjectedAdvert) -> bytes:
    """Return the whole frame, with a correct checksum."""
    subnet = scenario.segments[segment].subnet
    v6 = subnet is not None and subnet.version == 6
    source: Address = advert.source or (IPv6Address("fe80::bad") if v6 else IPv4Address("198.18.0.66"))
    group: Address = IPv6Address("ff02::12") if source.version == 6 else IPv4Address("224.0.0.18")
    destination = advert.destination or group
    kind = {"none": AuthType.NONE, "pass": AuthType.PASS, "ah": AuthType.AH}[advert.auth_type]
    payload = encode(
        Advertisement(
            version=advert.version,
            vrid=advert.vrid,
            priority=advert.priority,
            interval_wire=advert.interval_ns // (10_000_000 if advert.version == 3 else 1_000_000_000),
            addresses=advert.addresses,
            auth_type=kind.value,
            auth_data=authentication_data(Authentication(kind, advert.auth_pass.encode())),
        ),
        source=source,
        destination=destination,
        checksum=DIALECTS[scenario.dialect].checksum,
        family=source.version,
    )
    to = frames.multicast_mac(destination) if destination.is_multicast else _mac_of(scenario, destination)
    if source.version == 4:
        packet = frames.ipv4_packet(source, destination, advert.ttl, PROTOCOL_VRRP, 0, payload)
        return frames.ethernet(to, MAC, 0x0800, packet)
    packet = frames.ipv6_packet(source, destination, advert.ttl, PROTOCOL_VRRP, payload)
    return frames.ethernet(to, MAC, 0x86DD, packet)


def _mac_of(scenario: Scenario, address: Address) -> bytes:
    """The card of the node that has an address of its own; else everybody's."""
    for name, node in scenario.nodes.items():
        for interface, model in node.interfaces.items():
            if any(each.ip == address for each in model.addresses):
                return card(scenario, name, interface)
    return frames.BROADCAST_MAC
