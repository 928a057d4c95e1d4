"""VRRP messages: bytes to values, values to bytes.

Formats are RFC 9568 §5.2 (version 3) and RFC 3768 §5.3 (version 2), tabulated in rfc.md §3. Wrong bytes
give a `DecodeError` value, never an exception. The IP header is not here; its fields arrive as arguments.

The Authentication Header of RFC 2338 is in ah.py; a message behind one has Auth Type 2 and blank data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from .addresses import cached
from .configuration import GROUP4, SECOND_NS, Address, Authentication, AuthType, ChecksumMode, InstanceConfig
from .dialect import Checksum, Dialect
from .timers import CENTISECOND_NS

PROTOCOL_VRRP: Final = 112
ADVERTISEMENT: Final = 1  # the only message type
HEADER_BYTES: Final = 8
AUTH_BYTES: Final = 8
REQUIRED_TTL: Final = 255  # RFC 9568 §5.1.1.3, §5.1.2.3
OLD_UNICAST_DESTINATION = GROUP4  # what old keepalived put into the pseudo-header

_ADDRESS_BYTES = {4: 4, 6: 16}
_MAX_INTERVAL = {2: 0xFF, 3: 0xFFF}


class Reject(Enum):
    """Why an advert was not accepted; where keepalived has a counter (§5.2), the value is its name."""

    PACKET_TOO_SHORT = "packet_too_short"
    IPV6_CHECKSUM = "ipv6_checksum"  # §5.2 #0: the kernel drops it
    VRID = "vrid"
    IPV6_CAST_MISMATCH = "ipv6_cast_mismatch"  # §5.2 #5
    PACKET_LEN_ERR = "packet_len_err"
    IP_TTL_ERR = "ip_ttl_err"
    VERS_ERR = "vers_err"
    INVALID_AUTHTYPE = "invalid_authtype"
    AUTHTYPE_MISMATCH = "authtype_mismatch"
    AUTH_FAILURE = "auth_failure"
    AH_NEXT_HEADER = "ah_next_header"  # not logged, not counted
    ADVERT_INTERVAL_MISMATCH = "advert_interval_mismatch"
    INVALID_TYPE_RCVD = "invalid_type_rcvd"
    ADDR_LIST_ERR = "addr_list_err"
    CHK_ERR = "chk_err"
    UNICAST_MULTICAST_MISMATCH = "unicast_multicast_mismatch"
    UNICAST_SRC_ERR = "unicast_src_err"
    OWN_ECHO = "own_echo"  # rfc.md §5.1 row 0
    OWNER = "owner"  # row 7a
    OWNER_CONFLICT = "owner_conflict"  # row 7b: only ever a note
    ADDR_COUNT = "addr_count"  # row 8
    FIRST_ADDR = "first_addr"  # row 9
    INTERVAL_ZERO = "interval_zero"  # row 10

    @property
    def reaches_instance(self) -> bool:
        """False: dropped before the instance's own checks (#0 … #5), so no state and no timer may react."""
        return self not in _BEFORE_THE_INSTANCE

    @property
    def counter(self) -> str | None:
        """The keepalived counter that counts this (§5.2), None where there is none."""
        return _COUNTERS.get(self)


_BEFORE_THE_INSTANCE = frozenset(
    {
        Reject.PACKET_TOO_SHORT,
        Reject.IPV6_CHECKSUM,
        Reject.OWN_ECHO,
        Reject.VRID,
        Reject.IPV6_CAST_MISMATCH,
        Reject.OWNER,
    }
)
_COUNTERS = {
    reason: reason.value
    for reason in (
        Reject.PACKET_LEN_ERR,
        Reject.IP_TTL_ERR,
        Reject.VERS_ERR,
        Reject.INVALID_AUTHTYPE,
        Reject.AUTHTYPE_MISMATCH,
        Reject.AUTH_FAILURE,
        Reject.INVALID_TYPE_RCVD,
        Reject.ADDR_LIST_ERR,
        Reject.CHK_ERR,
    )
} | {Reject.UNICAST_MULTICAST_MISMATCH: Reject.ADDR_LIST_ERR.value}


class Datagram:
    """What a socket of protocol 112 hears; `payload` starts with the version.

    Of one of protocol 51, `packet` is all of it and `payload` what stands behind its header (ah.py).
    """

    __slots__ = ("destination", "packet", "payload", "source", "ttl")

    def __init__(
        self, source: Address, destination: Address, ttl: int, payload: bytes, packet: bytes = b""
    ) -> None:
        self.source = source
        self.destination = destination
        self.ttl = ttl
        self.payload = payload
        self.packet = packet

    def is_like(self, other: Datagram) -> bool:
        """The same octets from the same host to the same one."""
        mine = self.payload, self.source, self.destination, self.ttl, self.packet
        return mine == (other.payload, other.source, other.destination, other.ttl, other.packet)


class DecodeError(NamedTuple):
    """A packet that must not reach the state machine, or (in `Accepted.notes`) something worth a log line."""

    reason: Reject
    detail: str


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One ADVERTISEMENT. `interval_wire` is in seconds (version 2) or centiseconds (version 3).

    `auth_type` exists in version 2 only, `auth_data` in version 2 over IPv4 only.
    """

    version: int
    vrid: int
    priority: int
    interval_wire: int
    addresses: tuple[Address, ...]
    auth_type: int = 0
    auth_data: bytes = bytes(AUTH_BYTES)

    def __post_init__(self) -> None:
        if self.version not in _MAX_INTERVAL:
            raise ValueError(f"VRRP version {self.version}")
        if not 0 <= self.interval_wire <= _MAX_INTERVAL[self.version]:
            raise ValueError(f"interval {self.interval_wire} does not fit version {self.version}")
        if not (0 <= self.vrid <= 255 and 0 <= self.priority <= 255 and 0 <= self.auth_type <= 255):
            raise ValueError("VRID, priority and Auth Type are octets")
        if len(self.addresses) > 255 or len(self.auth_data) != AUTH_BYTES:
            raise ValueError("more than 255 addresses, or Authentication Data that is not 8 octets")

    @property
    def interval_ns(self) -> int:
        """The advertised interval, whatever unit the wire has."""
        return self.interval_wire * (SECOND_NS if self.version == 2 else CENTISECOND_NS)


# --- bytes and values -----------------------------------------------------------------------------


def encode(
    advert: Advertisement, *, source: Address, destination: Address, checksum: Checksum, family: int
) -> bytes:
    """Write the message of `advert`, without IP header.

    `source` and `destination` serve the pseudo-header only: old unicast mode passes 224.0.0.18 here and
    sends elsewhere (see `checksum_form`).
    """
    assert all(address.version == family for address in advert.addresses)
    if advert.version == 2:
        interval = bytes((advert.auth_type, advert.interval_wire))
        tail = advert.auth_data if family == 4 else b""
    else:
        interval = advert.interval_wire.to_bytes(2, "big")  # reserved bits 0
        tail = b""
    head = bytes((advert.version << 4 | ADVERTISEMENT, advert.vrid, advert.priority, len(advert.addresses)))
    rest = b"".join([address.packed for address in advert.addresses]) + tail
    blank = head + interval + bytes(2) + rest
    value = checksum_of(
        blank, source=source, destination=destination, family=family, version=advert.version, form=checksum
    )
    return head + interval + value.to_bytes(2, "big") + rest


def parse(payload: bytes, family: int, *, padded_ok: bool = False) -> Advertisement | DecodeError:
    """Read a message by its structure: version, type and length, but not the checksum.

    The length follows from the packet's own version and count and must be exact; with `padded_ok` (K3)
    octets after the message are ignored.
    """
    if len(payload) < HEADER_BYTES:
        return too_short(payload, family)
    if payload[0] >> 4 not in _MAX_INTERVAL:
        return DecodeError(Reject.VERS_ERR, f"unknown version {payload[0] >> 4}")
    if payload[0] & 0xF != ADVERTISEMENT:
        return DecodeError(
            Reject.INVALID_TYPE_RCVD, f"Invalid packet type. {payload[0] & 0xF} and expect {ADVERTISEMENT}"
        )
    expected = message_length(payload, family)
    if len(payload) < expected or (len(payload) > expected and not padded_ok):
        return wrong_length(payload, family)
    return decode(payload, family)


def message_length(payload: bytes, family: int) -> int:
    """How many octets the message has by its own version and count (rfc.md §3.1, §3.2)."""
    tail = AUTH_BYTES if payload[0] >> 4 == 2 and family == 4 else 0
    return HEADER_BYTES + payload[3] * _ADDRESS_BYTES[family] + tail


@lru_cache(maxsize=1024)
def decode(payload: bytes, family: int) -> Advertisement:
    """Read the fields of a message whose version and length are known to be right; the same octets once."""
    version, count, size = payload[0] >> 4, payload[3], _ADDRESS_BYTES[family]
    end = HEADER_BYTES + count * size
    build: Callable[[int], Address] = IPv4Address if family == 4 else IPv6Address
    addresses = tuple(
        [cached(build(int.from_bytes(payload[at : at + size]))) for at in range(HEADER_BYTES, end, size)]
    )
    if version == 3:
        interval_cs = (payload[4] & 0x0F) << 8 | payload[5]  # §5.2.6: Reserve is ignored
        return Advertisement(3, payload[1], payload[2], interval_cs, addresses)
    auth_data = payload[end : end + AUTH_BYTES] if family == 4 else bytes(AUTH_BYTES)
    return Advertisement(2, payload[1], payload[2], payload[5], addresses, payload[4], auth_data)


def too_short(payload: bytes, family: int) -> DecodeError:
    """Say that there is not even a header."""
    return DecodeError(Reject.PACKET_TOO_SHORT, f"IPv{family} VRRP packet too short - {len(payload)} bytes")


def wrong_length(payload: bytes, family: int) -> DecodeError:
    """Say that the message is longer or shorter than its own count promises."""
    length, expected = len(payload), message_length(payload, family)
    word = "long" if length > expected else "short"
    return DecodeError(
        Reject.PACKET_LEN_ERR, f"vrrp packet too {word}, length {length} and expect {expected}"
    )


def effective_authentication(config: InstanceConfig, dialect: Dialect) -> Authentication:
    """Give the configured authentication where it exists: version 2 over IPv4, in a dialect that has it."""
    if dialect.authentication and config.version == 2 and config.family == 4:
        return config.authentication
    return Authentication()


def authentication_data(authentication: Authentication) -> bytes:
    """Give the 8 octets of Authentication Data: the zero-filled password, or zeros."""
    key = authentication.key if authentication.auth_type is AuthType.PASS else b""
    return key[:AUTH_BYTES].ljust(AUTH_BYTES, b"\0")


# --- checksum -------------------------------------------------------------------------------------


def ones_complement_sum(data: bytes) -> int:
    """Sum the 16-bit words and fold (RFC 1071); an odd octet counts as a high one.

    Folding carries back in is arithmetic modulo 0xFFFF, where 2^16 is 1: the whole string is one number.
    """
    number = int.from_bytes(data, "big") << (8 * (len(data) % 2))
    return number % 0xFFFF or (0xFFFF if number else 0)


def pseudo_header(source: Address, destination: Address, length: int, protocol: int) -> bytes:
    """Build the 12 octets of UDP's IPv4 pseudo-header, or the 40 of RFC 8200 §8.1."""
    if source.version == 4:
        return source.packed + destination.packed + bytes((0, protocol)) + length.to_bytes(2, "big")
    return source.packed + destination.packed + length.to_bytes(4, "big") + bytes((0, 0, 0, protocol))


def checksum_of(
    payload: bytes, *, source: Address, destination: Address, family: int, version: int, form: Checksum
) -> int:
    """Compute the checksum that belongs into `payload`; what its checksum field holds does not matter."""
    blank = payload[:6] + bytes(2) + payload[8:]
    covered = _pseudo_header_or_none(blank, source, destination, family, version, form) + blank
    return ~ones_complement_sum(covered) & 0xFFFF


def checksum_ok(
    payload: bytes, *, source: Address, destination: Address, family: int, version: int, form: Checksum
) -> bool:
    """Whether everything covered, checksum included, sums to 0xFFFF."""
    covered = _pseudo_header_or_none(payload, source, destination, family, version, form) + payload
    return ones_complement_sum(covered) == 0xFFFF


def checksum_form(
    config: InstanceConfig, dialect: Dialect, *, destination: Address, old_unicast: bool
) -> tuple[Checksum, Address]:
    """How an instance computes checksums: the form, and the destination in the pseudo-header (§5.1)."""
    if config.checksum is ChecksumMode.AS_V2:
        return Checksum.MESSAGE, destination
    if (
        (old_unicast or config.checksum is ChecksumMode.OLD_UNICAST)
        and config.family == 4
        and config.version == 3
        and config.unicast
    ):
        return Checksum.PSEUDO_HEADER, OLD_UNICAST_DESTINATION
    return dialect.checksum, destination


def _pseudo_header_or_none(
    payload: bytes, source: Address, destination: Address, family: int, version: int, form: Checksum
) -> bytes:
    """IPv6 always has one, version 2 over IPv4 never, version 3 over IPv4 by dialect (rfc.md §3.6)."""
    if family == 4 and (version == 2 or form is Checksum.MESSAGE):
        return b""
    return pseudo_header(source, destination, len(payload), PROTOCOL_VRRP)
