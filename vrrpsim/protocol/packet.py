"""VRRP messages: bytes to values, values to bytes, and the receive checks as one pure function.

Formats are RFC 9568 §5.2 (version 3) and RFC 3768 §5.3 (version 2), tabulated in rfc.md §3. The checks
are keepalived.md §5.2 and rfc.md §5.1 and §5.3: two orders over one set of rows. Wrong bytes give a
`DecodeError` value, never an exception. The IP header is not here; its fields arrive as arguments.

The Authentication Header of RFC 2338 is modelled as "authentic iff the key is the same": instead of a
protocol-51 header, a version 2 message with Auth Type 2 carries an 8-byte digest of the key where the
Authentication Data stands. Sequence numbers and SPI are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address

from .configuration import (
    OWNER_PRIORITY,
    SECOND_NS,
    Address,
    Authentication,
    AuthType,
    ChecksumMode,
    InstanceConfig,
)
from .dialect import Checksum, Dialect, ListMismatch, OwnerConflict
from .timers import CENTISECOND_NS

PROTOCOL_VRRP = 112
ADVERTISEMENT = 1  # the only message type
HEADER_BYTES = 8
AUTH_BYTES = 8
REQUIRED_TTL = 255  # RFC 9568 §5.1.1.3, §5.1.2.3
OLD_UNICAST_DESTINATION = IPv4Address("224.0.0.18")  # what old keepalived put into the pseudo-header

_ADDRESS_BYTES = {4: 4, 6: 16}
_IP_HEADER_BYTES = {4: 20, 6: 40}
_ETHERNET_MINIMUM_PAYLOAD = 46  # shorter IP packets are padded to this (K3)
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


@dataclass(frozen=True, slots=True)
class DecodeError:
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
    def advert_int_s(self) -> int:
        """Adver Int of version 2, whole seconds."""
        assert self.version == 2
        return self.interval_wire

    @property
    def max_advert_int_cs(self) -> int:
        """Max Advertise Interval of version 3, centiseconds."""
        assert self.version == 3
        return self.interval_wire

    @property
    def interval_ns(self) -> int:
        """The advertised interval, whatever unit the wire has."""
        return self.interval_wire * (SECOND_NS if self.version == 2 else CENTISECOND_NS)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An advert that passed every check.

    `old_unicast` is how the instance computes checksums from now on: what it was before, or True because
    this advert has old keepalived's form ("Setting unicast VRRPv3 checksum to old version", §5.1).
    `notes` are mismatches that are logged and counted, but do not drop the packet.
    """

    advert: Advertisement
    old_unicast: bool = False
    notes: tuple[DecodeError, ...] = ()


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
        return _too_short_error(payload, family)
    if payload[0] >> 4 not in _MAX_INTERVAL:
        return DecodeError(Reject.VERS_ERR, f"unknown version {payload[0] >> 4}")
    if payload[0] & 0xF != ADVERTISEMENT:
        return DecodeError(
            Reject.INVALID_TYPE_RCVD, f"Invalid packet type. {payload[0] & 0xF} and expect {ADVERTISEMENT}"
        )
    expected = message_length(payload, family)
    if len(payload) < expected or (len(payload) > expected and not padded_ok):
        return _length_error(payload, family)
    return _decode(payload, family)


def peek_vrid(payload: bytes) -> int | None:
    """Read the VRID, to choose the instance (§5.2 #2); None if too short for any instance (#1)."""
    return payload[1] if len(payload) >= HEADER_BYTES else None


def message_length(payload: bytes, family: int) -> int:
    """How many octets the message has by its own version and count (rfc.md §3.1, §3.2)."""
    tail = AUTH_BYTES if payload[0] >> 4 == 2 and family == 4 else 0
    return HEADER_BYTES + payload[3] * _ADDRESS_BYTES[family] + tail


def _decode(payload: bytes, family: int) -> Advertisement:
    """Read the fields, once version and length are known to be right."""
    version, count, size = payload[0] >> 4, payload[3], _ADDRESS_BYTES[family]
    end = HEADER_BYTES + count * size
    build: Callable[[int], Address] = IPv4Address if family == 4 else IPv6Address
    addresses = tuple(
        [build(int.from_bytes(payload[at : at + size], "big")) for at in range(HEADER_BYTES, end, size)]
    )
    if version == 3:
        interval_cs = (payload[4] & 0x0F) << 8 | payload[5]  # §5.2.6: Reserve is ignored
        return Advertisement(3, payload[1], payload[2], interval_cs, addresses)
    auth_data = payload[end : end + AUTH_BYTES] if family == 4 else bytes(AUTH_BYTES)
    return Advertisement(2, payload[1], payload[2], payload[5], addresses, payload[4], auth_data)


def effective_authentication(config: InstanceConfig, dialect: Dialect) -> Authentication:
    """Give the configured authentication where it exists: version 2 over IPv4, in a dialect that has it."""
    if dialect.authentication and config.version == 2 and config.family == 4:
        return config.authentication
    return Authentication()


def authentication_data(authentication: Authentication) -> bytes:
    """Give the 8 octets of Authentication Data: zeros, zero-filled password, or digest of the AH key."""
    match authentication.auth_type:
        case AuthType.NONE:
            return bytes(AUTH_BYTES)
        case AuthType.PASS:
            return authentication.key[:AUTH_BYTES].ljust(AUTH_BYTES, b"\0")
        case AuthType.AH:
            return sha256(authentication.key).digest()[:AUTH_BYTES]


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


# --- receive checks -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reception:
    """All that the rows look at."""

    payload: bytes
    config: InstanceConfig
    dialect: Dialect
    source: Address
    destination: Address
    ttl: int
    own_source: Address | None
    own_addresses: tuple[Address, ...]
    from_remembered_master: bool
    is_master: bool
    is_owner: bool
    old_unicast: bool

    @property
    def family(self) -> int:
        return self.config.family

    @property
    def version(self) -> int:
        """The packet's own version."""
        return self.payload[0] >> 4

    @property
    def message(self) -> bytes:
        """The payload without padding behind it."""
        return self.payload[: message_length(self.payload, self.family)]

    @property
    def interval_wire(self) -> int:
        """The advertised interval in the unit of the configured version."""
        if self.config.version == 2:
            return self.payload[5]
        return (self.payload[4] & 0x0F) << 8 | self.payload[5]

    @property
    def own_interval_wire(self) -> int:
        """Our interval as we would send it."""
        return self.config.advert_int_ns // (SECOND_NS if self.config.version == 2 else CENTISECOND_NS)

    @property
    def authentication(self) -> Authentication:
        return effective_authentication(self.config, self.dialect)

    @property
    def list_checked(self) -> bool:
        """False: `skip_check_adv_addr` and the sender is the master we know (§5.2, last paragraph)."""
        return self.is_master or not (self.config.skip_check_adv_addr and self.from_remembered_master)

    @property
    def source_checked(self) -> bool:
        """Whether #21 and #22 run (K16)."""
        return self.list_checked or not self.dialect.source_check_needs_list_check


_Row = Callable[[_Reception], DecodeError | None]


def check_advert(
    payload: bytes,
    *,
    config: InstanceConfig,
    dialect: Dialect,
    source: Address,
    destination: Address,
    ttl: int,
    own_source: Address | None,
    from_remembered_master: bool,
    is_master: bool,
    old_unicast: bool,
    own_addresses: tuple[Address, ...] | None = None,
    is_owner: bool | None = None,
) -> Accepted | DecodeError:
    """Take the receive path of one instance: the first failing row of the dialect's order, or the advert.

    `own_source` is the primary address, `old_unicast` whether the instance computes checksums the old way
    by now. `own_addresses` (the advertised virtual ones) and `is_owner` follow the configuration unless
    given. A `DecodeError` whose reason does not `reaches_instance` must leave the state machine alone.
    """
    reception = _Reception(
        payload,
        config,
        dialect,
        source,
        destination,
        ttl,
        own_source,
        tuple([virtual.address for virtual in config.addresses]) if own_addresses is None else own_addresses,
        from_remembered_master,
        is_master,
        config.is_owner if is_owner is None else is_owner,
        old_unicast,
    )
    if not dialect.checks_in_rfc_order:
        rows, notes = _KEEPALIVED_ROWS, _KEEPALIVED_NOTES
    elif config.version == 3:
        rows, notes = _RFC9568_ROWS, _RFC9568_NOTES
    else:
        rows, notes = _RFC3768_ROWS, _RFC3768_NOTES
    for row in rows:
        if (error := row(reception)) is not None:
            return error
    return Accepted(
        _decode(payload, config.family),
        old_unicast or _needs_old_unicast(reception),
        tuple([note for row in notes if (note := row(reception)) is not None]),
    )


# The rows, named after the check; each returns its error. keepalived numbers are §5.2's.


def _too_short(packet: _Reception) -> DecodeError | None:
    """#1: at least a header. RFC: row 4, but version and type need an octet to stand in."""
    if len(packet.payload) < HEADER_BYTES:
        return _too_short_error(packet.payload, packet.family)
    return None


def _kernel_checksum(packet: _Reception) -> DecodeError | None:
    """#0: the kernel verifies IPv6 checksums (IPV6_CHECKSUM), over all that the datagram holds."""
    if packet.family == 6 and not checksum_ok(
        packet.payload,
        source=packet.source,
        destination=packet.destination,
        family=6,
        version=packet.version,
        form=Checksum.PSEUDO_HEADER,
    ):
        return DecodeError(Reject.IPV6_CHECKSUM, "IPv6 checksum is wrong")
    return None


def _vrid(packet: _Reception) -> DecodeError | None:
    """#2, RFC row 6. The caller has usually chosen the instance by VRID already."""
    if packet.payload[1] != packet.config.vrid:
        return DecodeError(Reject.VRID, f"VRID {packet.payload[1]} is not ours ({packet.config.vrid})")
    return None


def _ipv6_cast(packet: _Reception) -> DecodeError | None:
    """#5: like #19, but silent for the state machine."""
    if packet.family == 6 and (detail := _cast_mismatch(packet)):
        return DecodeError(Reject.IPV6_CAST_MISMATCH, detail)
    return None


def _owner_ignores(packet: _Reception) -> DecodeError | None:
    """K14: with `owner_ignore_adverts` an owner drops every advert (FSM-36)."""
    if packet.is_owner and packet.config.owner_ignore_adverts:
        return DecodeError(Reject.OWNER, "the address owner ignores adverts")
    return None


def _authentication_header(packet: _Reception) -> DecodeError | None:
    """#6. In our wire a packet "has an AH header" when it is version 2 with Auth Type 2."""
    present = packet.version == 2 and packet.family == 4 and packet.payload[4] == AuthType.AH.value
    if present == (packet.authentication.auth_type is AuthType.AH):
        return None
    return DecodeError(
        Reject.AUTHTYPE_MISMATCH, "AH header present" if present else "AH configured, but no AH header"
    )


def _exact_length(packet: _Reception) -> DecodeError | None:
    """#7, with K3: what Ethernet padded to its minimum is tolerated."""
    expected = message_length(packet.payload, packet.family)
    surplus = len(packet.payload) - expected
    padding = _ETHERNET_MINIMUM_PAYLOAD - _IP_HEADER_BYTES[packet.family] - expected
    if surplus == 0 or (packet.dialect.padded_short_ok and 0 < surplus <= padding):
        return None
    return _length_error(packet.payload, packet.family)


def _complete(packet: _Reception) -> DecodeError | None:
    """RFC row 4: at least the octets that the count promises (exactly these where K3 is off)."""
    if len(packet.payload) < HEADER_BYTES:
        return _too_short_error(packet.payload, packet.family)
    surplus = len(packet.payload) - message_length(packet.payload, packet.family)
    if surplus == 0 or (surplus > 0 and packet.dialect.padded_short_ok):
        return None
    return _length_error(packet.payload, packet.family)


def _ttl(packet: _Reception) -> DecodeError | None:
    """RFC row 1, §5.1.1.3."""
    if packet.ttl != REQUIRED_TTL:
        return DecodeError(
            Reject.IP_TTL_ERR, f"invalid TTL/HL. Received {packet.ttl} and expect {REQUIRED_TTL}"
        )
    return None


def _multicast_ttl(packet: _Reception) -> DecodeError | None:
    """#8: as the RFC, but not for an instance with unicast peers."""
    return None if packet.config.unicast else _ttl(packet)


def _version(packet: _Reception) -> DecodeError | None:
    """#9, RFC row 2."""
    if not packet.payload:
        return _too_short_error(packet.payload, packet.family)
    if packet.version != packet.config.version:
        return DecodeError(
            Reject.VERS_ERR, f"wrong version. Received {packet.version} and expect {packet.config.version}"
        )
    return None


def _type(packet: _Reception) -> DecodeError | None:
    """#15, RFC row 3."""
    received = packet.payload[0] & 0xF
    if received != ADVERTISEMENT:
        return DecodeError(
            Reject.INVALID_TYPE_RCVD, f"Invalid packet type. {received} and expect {ADVERTISEMENT}"
        )
    return None


def _auth_type_known(packet: _Reception) -> DecodeError | None:
    """#10."""
    if packet.config.version == 2 and packet.payload[4] > AuthType.AH.value:
        return DecodeError(Reject.INVALID_AUTHTYPE, f"Invalid auth type: {packet.payload[4]}")
    return None


def _auth_type_ours(packet: _Reception) -> DecodeError | None:
    """#11, RFC 3768 §7.1: Auth Type equals ours."""
    expected = packet.authentication.auth_type.value
    if packet.config.version == 2 and packet.payload[4] != expected:
        return DecodeError(
            Reject.AUTHTYPE_MISMATCH, f"received a {packet.payload[4]} auth, expecting {expected}!"
        )
    return None


def _authentic(packet: _Reception) -> DecodeError | None:
    """#12 and #13: the password, or the model of AH. Type 0 ignores the octets (RFC 3768 §5.3.10)."""
    auth_type = packet.authentication.auth_type
    if auth_type is AuthType.NONE or packet.message[-AUTH_BYTES:] == authentication_data(
        packet.authentication
    ):
        return None
    detail = "received an invalid passwd!" if auth_type is AuthType.PASS else "IPSEC-AH : invalid digest"
    return DecodeError(Reject.AUTH_FAILURE, detail)


def _interval_mismatch(packet: _Reception) -> DecodeError | None:
    """RFC row 11 and RFC 3768 §7.1: Adver Int equals ours."""
    received, own = packet.interval_wire, packet.own_interval_wire
    if received == own:
        return None
    unit = "sec" if packet.config.version == 2 else "centi-sec"
    return DecodeError(
        Reject.ADVERT_INTERVAL_MISMATCH,
        f"advertisement interval mismatch mine={own} {unit} rcv'd={received} {unit}",
    )


def _interval_v2(packet: _Reception) -> DecodeError | None:
    """#14: version 2 discards, version 3 learns."""
    return _interval_mismatch(packet) if packet.config.version == 2 else None


def _count_mismatch(packet: _Reception) -> DecodeError | None:
    received, own = packet.payload[3], len(packet.own_addresses)
    if received == own or not packet.list_checked:
        return None
    return DecodeError(
        Reject.ADDR_LIST_ERR, f"received an unexpected ip number count {received}, expected {own}!"
    )


def _missing_address(packet: _Reception) -> DecodeError | None:
    if not packet.list_checked:
        return None
    advertised = _decode(packet.payload, packet.family).addresses
    missing = [address for address in packet.own_addresses if address not in advertised]
    if not missing:
        return None
    return DecodeError(
        Reject.ADDR_LIST_ERR,
        f"ip address associated with VRID {packet.config.vrid} not present in MASTER advert: {missing[0]}",
    )


def _list_mismatch(packet: _Reception) -> DecodeError | None:
    """RFC row 12: count and addresses, in any order."""
    return _count_mismatch(packet) or _missing_address(packet)


def _list_mismatch_drops(packet: _Reception) -> bool:
    match packet.dialect.list_mismatch:
        case ListMismatch.REJECT:
            return True
        case ListMismatch.ACCEPT:
            return False
        case ListMismatch.REJECT_UNLESS_OWNER:
            return packet.payload[2] != OWNER_PRIORITY


def _count(packet: _Reception) -> DecodeError | None:
    """#16, K1."""
    return _count_mismatch(packet) if _list_mismatch_drops(packet) else None


def _listed(packet: _Reception) -> DecodeError | None:
    """#20, K1."""
    return _missing_address(packet) if _list_mismatch_drops(packet) else None


def _list_rfc3768(packet: _Reception) -> DecodeError | None:
    """RFC 3768 §7.1: if the list is checked, a mismatch from a sender below 255 drops the packet."""
    return _list_mismatch(packet) if _list_mismatch_drops(packet) else None


def _checksum(packet: _Reception) -> DecodeError | None:
    """#18, RFC row 5, in the form of the instance; `as_v2` takes any (K12)."""
    if (
        (packet.config.checksum is ChecksumMode.AS_V2 and packet.family == 4 and packet.version == 3)
        or _checksum_in_own_form(packet)
        or _needs_old_unicast(packet)
    ):
        return None
    return DecodeError(Reject.CHK_ERR, f"Invalid VRRPv{packet.version} checksum")


def _checksum_in_own_form(packet: _Reception) -> bool:
    form, destination = checksum_form(
        packet.config, packet.dialect, destination=packet.destination, old_unicast=packet.old_unicast
    )
    return _checksum_is(packet, form, destination)


def _needs_old_unicast(packet: _Reception) -> bool:
    """Tell whether an undecided keepalived instance with unicast peers hears the old checksum (§5.1)."""
    return (
        packet.config.checksum is ChecksumMode.DIALECT
        and not packet.old_unicast
        and not packet.dialect.checks_in_rfc_order
        and packet.config.unicast
        and packet.family == 4
        and packet.version == 3
        and not _checksum_in_own_form(packet)
        and _checksum_is(packet, Checksum.PSEUDO_HEADER, OLD_UNICAST_DESTINATION)
    )


def _checksum_is(packet: _Reception, form: Checksum, destination: Address) -> bool:
    return checksum_ok(
        packet.message,
        source=packet.source,
        destination=destination,
        family=packet.family,
        version=packet.version,
        form=form,
    )


def _cast_mismatch(packet: _Reception) -> str:
    if packet.destination.is_multicast != packet.config.unicast:
        return ""
    expected, received = ("unicast", "multicast") if packet.config.unicast else ("multicast", "unicast")
    return f"Expected {expected} packet but received {received} packet"


def _cast(packet: _Reception) -> DecodeError | None:
    """#19: a multicast destination, unless the instance has unicast peers."""
    detail = _cast_mismatch(packet)
    return DecodeError(Reject.UNICAST_MULTICAST_MISMATCH, detail) if detail else None


def _unicast_source(packet: _Reception) -> DecodeError | None:
    """#21, K16."""
    if (
        packet.config.check_unicast_src
        and packet.config.unicast
        and packet.source_checked
        and all(peer.address != packet.source for peer in packet.config.unicast_peers)
    ):
        return DecodeError(
            Reject.UNICAST_SRC_ERR, f"unicast source address {packet.source} not a unicast peer"
        )
    return None


def _peer_ttl(packet: _Reception) -> DecodeError | None:
    """#22: the TTL range of the peer that sent it."""
    if not packet.source_checked:
        return None
    for peer in packet.config.unicast_peers:
        if peer.address == packet.source and not peer.min_ttl <= packet.ttl <= peer.max_ttl:
            detail = f"TTL/HL {packet.ttl} not in range {peer.min_ttl} - {peer.max_ttl}"
            return DecodeError(Reject.IP_TTL_ERR, detail)
    return None


def _own_echo(packet: _Reception) -> DecodeError | None:
    """RFC row 0: our own packet came back."""
    if packet.dialect.own_source_dropped and packet.source == packet.own_source:
        return DecodeError(Reject.OWN_ECHO, f"source {packet.source} is ours")
    return None


def _owner_discards(packet: _Reception) -> DecodeError | None:
    """Row 7a: as published, an owner discards every advert for its VRID."""
    if packet.is_owner and packet.dialect.owner_conflict is OwnerConflict.DISCARD:
        return DecodeError(Reject.OWNER, "we are the address owner")
    return _owner_ignores(packet)


def _owner_conflict(packet: _Reception) -> DecodeError | None:
    """Row 7b, EID 8298: the owner verifies and logs, and processes the advert."""
    return DecodeError(Reject.OWNER_CONFLICT, f"owner hears {packet.source}") if packet.is_owner else None


def _address_count(packet: _Reception) -> DecodeError | None:
    """Row 8: §5.2.5, EID 8299."""
    if packet.dialect.zero_count_rejected and packet.payload[3] == 0:
        return DecodeError(Reject.ADDR_COUNT, "no address advertised")
    return None


def _first_address(packet: _Reception) -> DecodeError | None:
    """Row 9: §5.2.9, EID 8300; nothing to say about an empty list."""
    if packet.family != 6 or not packet.dialect.first_address_link_local or packet.payload[3] == 0:
        return None
    first = IPv6Address(int.from_bytes(packet.payload[HEADER_BYTES : HEADER_BYTES + 16], "big"))
    if first.is_link_local:
        return None
    return DecodeError(Reject.FIRST_ADDR, f"first address {first} is not link-local")


def _interval_zero(packet: _Reception) -> DecodeError | None:
    """Row 10: EID 8301."""
    if packet.dialect.zero_interval_rejected and packet.interval_wire == 0:
        return DecodeError(Reject.INTERVAL_ZERO, "Max Advertise Interval is 0")
    return None


def _too_short_error(payload: bytes, family: int) -> DecodeError:
    return DecodeError(Reject.PACKET_TOO_SHORT, f"IPv{family} VRRP packet too short - {len(payload)} bytes")


def _length_error(payload: bytes, family: int) -> DecodeError:
    length, expected = len(payload), message_length(payload, family)
    word = "long" if length > expected else "short"
    return DecodeError(
        Reject.PACKET_LEN_ERR, f"vrrp packet too {word}, length {length} and expect {expected}"
    )


# keepalived.md §5.2. #3 and #4 are the caller's; #17 cannot fail here, the payload has the length that the
# IP header says. Where the owner's refusal stands (K14) is not documented: before anything that restarts a
# timer.
_KEEPALIVED_ROWS: tuple[_Row, ...] = (
    _too_short,  # 1
    _kernel_checksum,  # 0
    _own_echo,
    _vrid,  # 2
    _ipv6_cast,  # 5
    _owner_ignores,
    _authentication_header,  # 6
    _exact_length,  # 7
    _multicast_ttl,  # 8
    _version,  # 9
    _auth_type_known,  # 10
    _auth_type_ours,  # 11
    _authentic,  # 12, 13
    _interval_v2,  # 14
    _type,  # 15
    _count,  # 16
    _checksum,  # 18
    _cast,  # 19
    _listed,  # 20
    _unicast_source,  # 21
    _peer_ttl,  # 22
)
_KEEPALIVED_NOTES: tuple[_Row, ...] = (_interval_mismatch, _list_mismatch)

# rfc.md §5.1. The owner's row is 7a; 7b is a note, so it speaks only of what survived rows 8 to 10.
_RFC9568_ROWS: tuple[_Row, ...] = (
    _own_echo,  # 0
    _ttl,  # 1
    _version,  # 2
    _type,  # 3
    _complete,  # 4
    _checksum,  # 5
    _vrid,  # 6
    _owner_discards,  # 7a
    _address_count,  # 8
    _first_address,  # 9
    _interval_zero,  # 10
)
_RFC9568_NOTES: tuple[_Row, ...] = (_owner_conflict, _interval_mismatch, _list_mismatch)  # 7b, 11, 12

# rfc.md §5.3. The interval stands last: it is the only row after the list.
_RFC3768_ROWS: tuple[_Row, ...] = (
    _own_echo,
    _ttl,  # 1
    _version,  # 2
    _type,
    _complete,  # 3
    _checksum,  # 4
    _vrid,  # 5
    _owner_discards,  # 5
    _auth_type_ours,  # 6
    _authentic,  # 6
    _list_rfc3768,  # 7
    _interval_v2,  # 8
)
_RFC3768_NOTES: tuple[_Row, ...] = (_owner_conflict, _list_mismatch)
