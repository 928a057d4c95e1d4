"""Frames on a segment. Protocol fields for speed, exact bytes on demand (DESIGN §3)."""

from __future__ import annotations

from typing import Final

from vrrpsim.protocol import frames
from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.packet import Datagram

BROADCAST: Final = b"\xff" * 6
REQUEST: Final = "request"
REPLY: Final = "reply"
GRATUITOUS: Final = "gratuitous"


class Frame:
    """What all frames have.

    `kinds` are the words of `impair … only:` that mean this frame.
    """

    __slots__ = ("_about", "_flow", "_protocol", "dst_mac", "kinds", "src_mac")

    def __init__(
        self, src_mac: bytes, dst_mac: bytes, kinds: tuple[str, ...], protocol: str, about: Address
    ) -> None:
        self._protocol, self._about = protocol, about
        self._flow = ""
        self.src_mac = src_mac
        self.dst_mac = dst_mac
        self.kinds = kinds

    @property
    def flow(self) -> str:
        """The conversation whose frames are numbered together: no other changes its draws (DESIGN §4)."""
        if not self._flow:
            self._flow = self._protocol + "/" + str(self._about)
        return self._flow

    def encode(self, identification: int = 0) -> bytes:
        """The Ethernet frame without FCS."""
        raise NotImplementedError


class VrrpFrame(Frame):
    """An advert in its IP packet. To a group its MAC is the group's, else the neighbour's, found later."""

    __slots__ = ("datagram", "multicast")

    def __init__(self, src_mac: bytes, datagram: Datagram) -> None:
        destination, payload = datagram.destination, datagram.payload
        self.multicast = destination.is_multicast
        dst_mac = frames.multicast_mac(destination) if self.multicast else BROADCAST
        super().__init__(src_mac, dst_mac, ("vrrp",), f"vrrp/{payload[1:2].hex()}", destination)
        self.datagram = datagram

    def encode(self, identification: int = 0) -> bytes:
        """Ethernet, IPv4 or IPv6 header, VRRP; `identification` is the IPv4 id (§5.1: one per advert)."""
        heard = self.datagram
        source, destination, ttl, payload = heard.source, heard.destination, heard.ttl, heard.payload
        if source.version == 4:
            packet = heard.packet or frames.ipv4_packet(
                source, destination, ttl, 112, identification, payload
            )
            return frames.ethernet(self.dst_mac, self.src_mac, 0x0800, packet)
        packet = frames.ipv6_packet(source, destination, ttl, 112, payload)
        return frames.ethernet(self.dst_mac, self.src_mac, 0x86DD, packet)


class NeighbourFrame(Frame):
    """ARP or ND: who has `target`, or that `sender` is at `sender_mac`."""

    __slots__ = ("asks", "operation", "sender", "sender_mac", "target", "target_mac")

    def __init__(
        self, operation: str, sender_mac: bytes, sender: Address, target: Address, dst_mac: bytes = BROADCAST
    ) -> None:
        base = "arp" if sender.version == 4 else "nd"
        kinds = (base, "garp") if operation == GRATUITOUS else (base,)
        super().__init__(sender_mac, dst_mac, kinds, base, target)
        self.operation = operation
        self.asks = operation == REQUEST or (operation == GRATUITOUS and base == "arp")
        self.sender_mac = sender_mac
        self.sender = sender
        self.target = target
        self.target_mac = BROADCAST  # of a gratuitous ARP; the other operations know their own

    def encode(self, identification: int = 0) -> bytes:
        """The ARP frame, or the Neighbour Solicitation or Advertisement in its IPv6 packet."""
        v4 = self.sender.version == 4
        match self.operation:
            case "gratuitous" if v4:
                return frames.gratuitous_arp(self.sender_mac, self.sender, target_mac=self.target_mac)
            case "gratuitous":
                return frames.unsolicited_na(self.sender_mac, self.sender, router=True)
            case "request" if v4:
                return frames.arp_request(self.sender_mac, self.sender, self.target, self.dst_mac)
            case "request" if self.dst_mac == BROADCAST:
                return frames.neighbor_solicitation(self.sender_mac, self.sender, self.target)
            case "request":  # the probe of a stale entry goes to the neighbour alone
                return frames.neighbor_solicitation(
                    self.sender_mac, self.sender, self.target, destination=self.target, dst_mac=self.dst_mac
                )
            case _ if v4:
                return frames.arp_reply(self.sender_mac, self.sender, self.dst_mac, self.target)
            case _:
                return frames.solicited_na(self.sender_mac, self.sender, self.dst_mac, self.target)
