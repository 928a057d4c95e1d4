"""A foreign or forged advert as a frame, from a card that nobody knows."""

from __future__ import annotations

import socket

from vrrpsim.protocol import frames
from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.packet import PROTOCOL_VRRP
from vrrpsim.scenario.addressing import STRANGER_MAC, card, forged
from vrrpsim.scenario.events import InjectedAdvert
from vrrpsim.scenario.model import Scenario

from . import kernel


class Stranger:
    """An open card on a segment."""

    def __init__(self, network: int, interface: str) -> None:
        with kernel.inside(network):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.bind((interface, 0))

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._socket.send(frame)


def forged_frame(scenario: Scenario, segment: str, advert: InjectedAdvert) -> bytes:
    """Return the whole frame."""
    source, destination, payload, sealed = forged(scenario, segment, advert)
    to = frames.multicast_mac(destination) if destination.is_multicast else _mac_of(scenario, destination)
    if source.version == 4:
        packet = sealed or frames.ipv4_packet(source, destination, advert.ttl, PROTOCOL_VRRP, 0, payload)
        return frames.ethernet(to, STRANGER_MAC, 0x0800, packet)
    packet = frames.ipv6_packet(source, destination, advert.ttl, PROTOCOL_VRRP, payload)
    return frames.ethernet(to, STRANGER_MAC, 0x86DD, packet)


def _mac_of(scenario: Scenario, address: Address) -> bytes:
    """The card of the node that has an address of its own; else everybody's."""
    for name, node in scenario.nodes.items():
        for interface, model in node.interfaces.items():
            if any(each.ip == address for each in model.addresses):
                return card(scenario, name, interface)
    return frames.BROADCAST_MAC
