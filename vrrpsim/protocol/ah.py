"""The IP Authentication Header of VRRPv2 (RFC 2338 §5.3.6.3, RFC 2402), as keepalived 2.2.7 speaks it.

IPv4 protocol 51: 24 octets between IP header and message, whose ICV is HMAC-MD5 under `auth_pass`, cut to
96 bits, over the whole packet with TOS, fragment field, header checksum and ICV blank. TTL and identification
are covered, so only a whole packet can be sealed or verified. The SPI is the source address. Each advert has
the next number of one counter per instance, which is also the last number heard: who takes over goes on from
there. Asked of a keepalived 2.2.7 with forged packets; `tests/protocol/test_ah.py` has each answer.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from .configuration import Address
from .frames import ipv4_packet
from .packet import PROTOCOL_VRRP

PROTOCOL_AH: Final = 51

IP_BYTES: Final = 20  # without options
AH_BYTES: Final = 24
ICV_BYTES: Final = 12
LAST_SEQUENCE: Final = 0xFFFFFFFE  # keepalived does not count beyond: its peers take it for a replay

_PAYLOAD_LENGTH = AH_BYTES // 4 - 2  # RFC 2402 §2.2
_ICV_AT = AH_BYTES - ICV_BYTES


@dataclass(slots=True)
class SecurityAssociation:
    """What an instance knows of its keyed exchange: the key, and the number last sent or accepted.

    `identification` numbers its own IP packets; a reload begins it anew and keeps the sequence.
    """

    key: bytes
    sequence: int = 0
    identification: int = 0

    def count(self) -> None:
        """Take the next numbers, for one advert to the group or to all peers."""
        self.identification = self.identification % 0xFFFF + 1
        if self.sequence < LAST_SEQUENCE:
            self.sequence += 1

    def skip(self) -> None:
        """Go past the number last heard, as keepalived does before it answers a weaker sender."""
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF

    def seal(self, message: bytes, source: Address, destination: Address, ttl: int) -> bytes:
        """The whole IPv4 packet of a message, with the present numbers."""
        return sealed(message, source, destination, ttl, self.key, self.sequence, self.identification)

    def refusal(self, packet: bytes) -> str | None:
        """Why a packet is not authentic or not new; None moves the sequence, "" is said to nobody.

        The order is keepalived's: next header, ICV, SPI, sequence number.
        """
        at = (packet[0] & 0xF) * 4
        header = packet[at : at + AH_BYTES]
        sequence = int.from_bytes(header[8:12], "big")
        if header[0] != PROTOCOL_VRRP:
            return ""
        if not hmac.compare_digest(header[_ICV_AT:], _icv(packet, at, self.key)):
            return "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !"
        if header[4:8] != packet[12:16]:
            spi, expected = (int.from_bytes(each, "little") for each in (packet[12:16], header[4:8]))
            return f"IPSEC AH : invalid IPSEC SPI value. {spi} and expect {expected}"
        if sequence <= self.sequence:
            return (
                f"IPSEC-AH : sequence number {sequence} already processed. "
                f"Packet dropped. Local({self.sequence})"
            )
        self.sequence = sequence
        return None


def sealed(
    message: bytes,
    source: Address,
    destination: Address,
    ttl: int,
    key: bytes,
    sequence: int,
    identification: int,
) -> bytes:
    """Put a message behind an IPv4 and an Authentication Header."""
    head = bytes((PROTOCOL_VRRP, _PAYLOAD_LENGTH, 0, 0)) + source.packed + sequence.to_bytes(4, "big")
    blank = head + bytes(ICV_BYTES) + message
    packet = ipv4_packet(source, destination, ttl, PROTOCOL_AH, identification, blank)
    return packet[: IP_BYTES + _ICV_AT] + _icv(packet, IP_BYTES, key) + message


def message_of(packet: bytes) -> bytes:
    """The VRRP message in a whole IPv4 packet of protocol 51; nothing if that is too short for one."""
    return packet[(packet[0] & 0xF) * 4 + AH_BYTES :] if packet else b""


def _icv(packet: bytes, at: int, key: bytes) -> bytes:
    """`at`: where the Authentication Header begins."""
    covered = bytearray(packet)
    covered[1] = 0
    covered[6:8] = covered[10:12] = bytes(2)
    covered[at + _ICV_AT : at + AH_BYTES] = bytes(ICV_BYTES)
    return hmac.digest(key, covered, "md5")[:ICV_BYTES]
