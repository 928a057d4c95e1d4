"""The receive checks: one pure function over rows, in the order of the dialect.

The rows are keepalived.md §5.2 and rfc.md §5.1 and §5.3: three orders over one set. The first row that
fails says why an advert is not accepted; the tables at the end are the orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from .ah import SecurityAssociation
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
from .packet import (
    ADVERTISEMENT,
    AUTH_BYTES,
    HEADER_BYTES,
    OLD_UNICAST_DESTINATION,
    REQUIRED_TTL,
    Advertisement,
    Datagram,
    DecodeError,
    Reject,
    authentication_data,
    checksum_form,
    checksum_ok,
    decode,
    effective_authentication,
    message_length,
    too_short,
    wrong_length,
)
from .timers import CENTISECOND_NS

_IP_HEADER_BYTES = {4: 20, 6: 40}
_ETHERNET_MINIMUM_PAYLOAD: Final = 46  # shorter IP packets are padded to this (K3)


def bound_to(config: InstanceConfig, source: Address | None) -> Address | str | None:
    """What the receive socket is bound to: unicast to its source, any other to its interface (§5.3)."""
    return source if config.unicast else config.interface


def is_expected_cast(config: InstanceConfig, destination: Address) -> bool:
    """keepalived.md §5.2 #19: adverts come to a group, or with unicast peers to an address."""
    return destination.is_multicast != config.unicast


class Accepted(NamedTuple):
    """An advert that passed every check.

    `old_unicast` is how the instance computes checksums from now on: what it was before, or True because
    this advert has old keepalived's form ("Setting unicast VRRPv3 checksum to old version", §5.1).
    `notes` are mismatches that are logged and counted, but do not drop the packet.
    """

    advert: Advertisement
    old_unicast: bool = False
    notes: tuple[DecodeError, ...] = ()


class Reception:
    """A datagram at an instance, and all that decides what becomes of it.

    `own_source` is the primary address, `old_unicast` whether the instance computes checksums the old way
    by now, `association` what it verifies an Authentication Header with: the one thing that a check moves.
    """

    def __init__(
        self,
        datagram: Datagram,
        config: InstanceConfig,
        dialect: Dialect,
        *,
        own_source: Address | None,
        from_remembered_master: bool,
        is_master: bool,
        old_unicast: bool,
        association: SecurityAssociation | None = None,
    ) -> None:
        self.source, self.destination = datagram.source, datagram.destination
        self.ttl, self.payload, self.packet = datagram.ttl, datagram.payload, datagram.packet
        self.config = config
        self.dialect = dialect
        self.family = config.family
        self.own_source = own_source
        self.from_remembered_master = from_remembered_master
        self.is_master = is_master
        self.old_unicast = old_unicast
        self.association = association

    @property
    def version(self) -> int:
        """The packet's own version."""
        return self.payload[0] >> 4

    @property
    def length(self) -> int:
        """The octets of the message, without padding behind it."""
        return message_length(self.payload, self.family)

    @property
    def advert(self) -> Advertisement:
        """The message, once its version and length are known to be right."""
        return decode(self.payload, self.family)

    @property
    def authentication(self) -> Authentication:
        """What the instance expects."""
        return effective_authentication(self.config, self.dialect)

    @property
    def list_checked(self) -> bool:
        """False: `skip_check_adv_addr` and the sender is the master we know (§5.2, last paragraph)."""
        return self.is_master or not (self.config.skip_check_adv_addr and self.from_remembered_master)

    @property
    def source_checked(self) -> bool:
        """Whether #21 and #22 run (K16)."""
        return self.list_checked or not self.dialect.source_check_needs_list_check


_Row = Callable[[Reception], DecodeError | None]


def check_advert(packet: Reception) -> Accepted | DecodeError:
    """Take the receive path of one instance: the first failing row of the dialect's order, or the advert.

    A `DecodeError` whose reason does not `reaches_instance` must leave the state machine alone.
    """
    if not packet.dialect.checks_in_rfc_order:
        rows, notes = _KEEPALIVED_ROWS, _KEEPALIVED_NOTES
    elif packet.config.version == 3:
        rows, notes = _RFC9568_ROWS, _RFC9568_NOTES
    else:
        rows, notes = _RFC3768_ROWS, _RFC3768_NOTES
    for row in rows:
        if (error := row(packet)) is not None:
            return error
    return Accepted(
        packet.advert,
        packet.old_unicast or _needs_old_unicast(packet),
        tuple([note for row in notes if (note := row(packet)) is not None]),
    )


# The rows, named after the check; each returns its error. keepalived numbers are §5.2's.


def _too_short(packet: Reception) -> DecodeError | None:
    """#1: at least a header. RFC: row 4, but version and type need an octet to stand in."""
    if len(packet.payload) < HEADER_BYTES:
        return too_short(packet.payload, packet.family)
    return None


def _kernel_checksum(packet: Reception) -> DecodeError | None:
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


def _vrid(packet: Reception) -> DecodeError | None:
    """#2, RFC row 6. The caller has usually chosen the instance by VRID already."""
    if packet.payload[1] != packet.config.vrid:
        return DecodeError(Reject.VRID, f"VRID {packet.payload[1]} is not ours ({packet.config.vrid})")
    return None


def _ipv6_cast(packet: Reception) -> DecodeError | None:
    """#5: like #19, but silent for the state machine."""
    if packet.family == 6 and (detail := _cast_mismatch(packet)):
        return DecodeError(Reject.IPV6_CAST_MISMATCH, detail)
    return None


def _owner_ignores(packet: Reception) -> DecodeError | None:
    """K14: with `owner_ignore_adverts` an owner drops every advert (FSM-36)."""
    if packet.config.is_owner and packet.config.owner_ignore_adverts:
        return DecodeError(Reject.OWNER, "the address owner ignores adverts")
    return None


def _authentication_header(packet: Reception) -> DecodeError | None:
    """#6. Sockets are by protocol, so a whole daemon never gets here."""
    present = bool(packet.packet)
    if present == (packet.association is not None):
        return None
    return DecodeError(
        Reject.AUTHTYPE_MISMATCH, "AH header present" if present else "AH configured, but no AH header"
    )


def _exact_length(packet: Reception) -> DecodeError | None:
    """#7, with K3: what Ethernet padded to its minimum is tolerated."""
    surplus = len(packet.payload) - packet.length
    padding = _ETHERNET_MINIMUM_PAYLOAD - _IP_HEADER_BYTES[packet.family] - packet.length
    if surplus == 0 or (packet.dialect.padded_short_ok and 0 < surplus <= padding):
        return None
    return wrong_length(packet.payload, packet.family)


def _complete(packet: Reception) -> DecodeError | None:
    """RFC row 4: at least the octets that the count promises (exactly these where K3 is off)."""
    if len(packet.payload) < HEADER_BYTES:
        return too_short(packet.payload, packet.family)
    surplus = len(packet.payload) - packet.length
    if surplus == 0 or (surplus > 0 and packet.dialect.padded_short_ok):
        return None
    return wrong_length(packet.payload, packet.family)


def _ttl(packet: Reception) -> DecodeError | None:
    """RFC row 1, §5.1.1.3."""
    if packet.ttl != REQUIRED_TTL:
        return DecodeError(
            Reject.IP_TTL_ERR, f"invalid TTL/HL. Received {packet.ttl} and expect {REQUIRED_TTL}"
        )
    return None


def _multicast_ttl(packet: Reception) -> DecodeError | None:
    """#8: as the RFC, but not for an instance with unicast peers."""
    return None if packet.config.unicast else _ttl(packet)


def _version(packet: Reception) -> DecodeError | None:
    """#9, RFC row 2."""
    if not packet.payload:
        return too_short(packet.payload, packet.family)
    if packet.version != packet.config.version:
        return DecodeError(
            Reject.VERS_ERR, f"wrong version. Received {packet.version} and expect {packet.config.version}"
        )
    return None


def _type(packet: Reception) -> DecodeError | None:
    """#15, RFC row 3."""
    received = packet.payload[0] & 0xF
    if received != ADVERTISEMENT:
        return DecodeError(
            Reject.INVALID_TYPE_RCVD, f"Invalid packet type. {received} and expect {ADVERTISEMENT}"
        )
    return None


def _auth_type_known(packet: Reception) -> DecodeError | None:
    """#10."""
    if packet.config.version == 2 and packet.payload[4] > AuthType.AH:
        return DecodeError(Reject.INVALID_AUTHTYPE, f"Invalid auth type: {packet.payload[4]}")
    return None


def _auth_type_ours(packet: Reception) -> DecodeError | None:
    """#11, RFC 3768 §7.1: Auth Type equals ours."""
    expected = packet.authentication.auth_type
    if packet.config.version == 2 and packet.payload[4] != expected:
        return DecodeError(
            Reject.AUTHTYPE_MISMATCH, f"received a {packet.payload[4]} auth, expecting {expected}!"
        )
    return None


def _authentic(packet: Reception) -> DecodeError | None:
    """#12 and #13: the password, or the header. Type 0 ignores the octets (RFC 3768 §5.3.10)."""
    if packet.association is not None:
        refusal = packet.association.refusal(packet.packet)
        reason = Reject.AUTH_FAILURE if refusal else Reject.AH_NEXT_HEADER
        return None if refusal is None else DecodeError(reason, refusal)
    received = packet.payload[packet.length - AUTH_BYTES : packet.length]
    if packet.authentication.auth_type is AuthType.NONE or received == authentication_data(
        packet.authentication
    ):
        return None
    return DecodeError(Reject.AUTH_FAILURE, "received an invalid passwd!")


def _interval_mismatch(packet: Reception) -> DecodeError | None:
    """RFC row 11 and RFC 3768 §7.1: Adver Int equals ours."""
    received = packet.advert.interval_wire
    own = packet.config.advert_int_ns // (SECOND_NS if packet.config.version == 2 else CENTISECOND_NS)
    if received == own:
        return None
    unit = "sec" if packet.config.version == 2 else "centi-sec"
    return DecodeError(
        Reject.ADVERT_INTERVAL_MISMATCH,
        f"advertisement interval mismatch mine={own} {unit} rcv'd={received} {unit}",
    )


def _interval_v2(packet: Reception) -> DecodeError | None:
    """#14: version 2 discards, version 3 learns."""
    return _interval_mismatch(packet) if packet.config.version == 2 else None


def _count_mismatch(packet: Reception) -> DecodeError | None:
    received, own = packet.payload[3], len(packet.config.addresses)
    if received == own or not packet.list_checked:
        return None
    return DecodeError(
        Reject.ADDR_LIST_ERR, f"received an unexpected ip number count {received}, expected {own}!"
    )


def _missing_address(packet: Reception) -> DecodeError | None:
    if not packet.list_checked:
        return None
    listed = packet.advert.addresses
    missing = [own.address for own in packet.config.addresses if own.address not in listed]
    if not missing:
        return None
    return DecodeError(
        Reject.ADDR_LIST_ERR,
        f"ip address associated with VRID {packet.config.vrid} not present in MASTER advert: {missing[0]}",
    )


def _list_mismatch(packet: Reception) -> DecodeError | None:
    """RFC row 12: count and addresses, in any order."""
    return _count_mismatch(packet) or _missing_address(packet)


def _list_mismatch_drops(packet: Reception) -> bool:
    match packet.dialect.list_mismatch:
        case ListMismatch.REJECT:
            return True
        case ListMismatch.ACCEPT:
            return False
        case ListMismatch.REJECT_UNLESS_OWNER:
            return packet.payload[2] != OWNER_PRIORITY


def _count(packet: Reception) -> DecodeError | None:
    """#16, K1."""
    return _count_mismatch(packet) if _list_mismatch_drops(packet) else None


def _listed(packet: Reception) -> DecodeError | None:
    """#20, K1."""
    return _missing_address(packet) if _list_mismatch_drops(packet) else None


def _list_rfc3768(packet: Reception) -> DecodeError | None:
    """RFC 3768 §7.1: if the list is checked, a mismatch from a sender below 255 drops the packet."""
    return _list_mismatch(packet) if _list_mismatch_drops(packet) else None


def _checksum(packet: Reception) -> DecodeError | None:
    """#18, RFC row 5, in the form of the instance; `as_v2` takes any (K12)."""
    if (
        (packet.config.checksum is ChecksumMode.AS_V2 and packet.family == 4 and packet.version == 3)
        or _checksum_in_own_form(packet)
        or _needs_old_unicast(packet)
    ):
        return None
    return DecodeError(Reject.CHK_ERR, f"Invalid VRRPv{packet.version} checksum")


def _checksum_in_own_form(packet: Reception) -> bool:
    form, destination = checksum_form(
        packet.config, packet.dialect, destination=packet.destination, old_unicast=packet.old_unicast
    )
    return _checksum_is(packet, form, destination)


def _needs_old_unicast(packet: Reception) -> bool:
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


def _checksum_is(packet: Reception, form: Checksum, destination: Address) -> bool:
    return checksum_ok(
        packet.payload[: packet.length],
        source=packet.source,
        destination=destination,
        family=packet.family,
        version=packet.version,
        form=form,
    )


def _cast_mismatch(packet: Reception) -> str:
    if is_expected_cast(packet.config, packet.destination):
        return ""
    expected, received = ("unicast", "multicast") if packet.config.unicast else ("multicast", "unicast")
    return f"Expected {expected} packet but received {received} packet"


def _cast(packet: Reception) -> DecodeError | None:
    """#19: a multicast destination, unless the instance has unicast peers."""
    detail = _cast_mismatch(packet)
    return DecodeError(Reject.UNICAST_MULTICAST_MISMATCH, detail) if detail else None


def _unicast_source(packet: Reception) -> DecodeError | None:
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


def _peer_ttl(packet: Reception) -> DecodeError | None:
    """#22: the TTL range of the peer that sent it."""
    if not packet.source_checked:
        return None
    for peer in packet.config.unicast_peers:
        if peer.address == packet.source and not peer.min_ttl <= packet.ttl <= peer.max_ttl:
            detail = f"TTL/HL {packet.ttl} not in range {peer.min_ttl} - {peer.max_ttl}"
            return DecodeError(Reject.IP_TTL_ERR, detail)
    return None


def _own_echo(packet: Reception) -> DecodeError | None:
    """RFC row 0: our own packet came back."""
    if packet.dialect.own_source_dropped and packet.source == packet.own_source:
        return DecodeError(Reject.OWN_ECHO, f"source {packet.source} is ours")
    return None


def _owner_discards(packet: Reception) -> DecodeError | None:
    """Row 7a: as published, an owner discards every advert for its VRID."""
    if packet.config.is_owner and packet.dialect.owner_conflict is OwnerConflict.DISCARD:
        return DecodeError(Reject.OWNER, "we are the address owner")
    return _owner_ignores(packet)


def _owner_conflict(packet: Reception) -> DecodeError | None:
    """Row 7b, EID 8298: the owner verifies and logs, and processes the advert."""
    return (
        DecodeError(Reject.OWNER_CONFLICT, f"owner hears {packet.source}") if packet.config.is_owner else None
    )


def _address_count(packet: Reception) -> DecodeError | None:
    """Row 8: §5.2.5, EID 8299."""
    if packet.dialect.zero_count_rejected and packet.payload[3] == 0:
        return DecodeError(Reject.ADDR_COUNT, "no address advertised")
    return None


def _first_address(packet: Reception) -> DecodeError | None:
    """Row 9: §5.2.9, EID 8300; nothing to say about an empty list."""
    if packet.family != 6 or not packet.dialect.first_address_link_local or packet.payload[3] == 0:
        return None
    first = packet.advert.addresses[0]
    if first.is_link_local:
        return None
    return DecodeError(Reject.FIRST_ADDR, f"first address {first} is not link-local")


def _interval_zero(packet: Reception) -> DecodeError | None:
    """Row 10: EID 8301."""
    if packet.dialect.zero_interval_rejected and packet.advert.interval_wire == 0:
        return DecodeError(Reject.INTERVAL_ZERO, "Max Advertise Interval is 0")
    return None


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
