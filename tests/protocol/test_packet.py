"""VRRP messages and receive checks: rfc.md §9.2 and §9.3, keepalived.md §5.1 and §5.2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpsim.protocol.ah import sealed
from vrrpsim.protocol.configuration import (
    SECOND_NS,
    Authentication,
    AuthType,
    ChecksumMode,
    InstanceConfig,
    UnicastPeer,
    VirtualAddress,
)
from vrrpsim.protocol.dialect import (
    DIALECTS,
    FRR_8_4,
    KEEPALIVED_2_2_7,
    KEEPALIVED_2_3_3,
    RFC3768,
    RFC5798,
    RFC9568,
    Checksum,
    Dialect,
    ListMismatch,
    OwnerConflict,
)
from vrrpsim.protocol.fsm import InstanceRules
from vrrpsim.protocol.instances import association
from vrrpsim.protocol.packet import (
    Advertisement,
    Datagram,
    DecodeError,
    Reject,
    authentication_data,
    checksum_form,
    checksum_of,
    checksum_ok,
    decode,
    effective_authentication,
    encode,
    message_length,
    parse,
)
from vrrpsim.protocol.reception import Accepted, Reception, check_advert

GROUP = {4: IPv4Address("224.0.0.18"), 6: IPv6Address("ff02::12")}
PH, MSG = Checksum.PSEUDO_HEADER, Checksum.MESSAGE
CENTISECOND_NS = SECOND_NS // 100


def advert(version, vrid, priority, interval, addresses, auth_type=0, auth_data=bytes(8)):
    return Advertisement(
        version, vrid, priority, interval, tuple(map(ip_address, addresses)), auth_type, auth_data
    )


# rfc.md §9.2: id, source, form, bytes, contents
THREE = ("192.0.2.10", "192.0.2.11", "192.0.2.12")
VALID = [
    (
        "T01",
        "192.0.2.2",
        "v2",
        "210164010001b8fac00002010000000000000000",
        advert(2, 1, 100, 1, ["192.0.2.1"]),
    ),
    (
        "T02",
        "192.0.2.1",
        "v2",
        "2101ff0100011dfac00002010000000000000000",
        advert(2, 1, 255, 1, ["192.0.2.1"]),
    ),
    ("T03", "192.0.2.2", "v2", "2101000100011cfbc00002010000000000000000", advert(2, 1, 0, 1, ["192.0.2.1"])),
    (
        "T04",
        "192.0.2.3",
        "v2",
        "21077803000a20c8c000020ac000020bc000020c0000000000000000",
        advert(2, 7, 120, 10, THREE),
    ),
    (
        "T05",
        "192.0.2.2",
        "v2",
        "2133960201011f46c0000201c63364017365637265740000",
        advert(2, 51, 150, 1, ["192.0.2.1", "198.51.100.1"], 1, b"secret\0\0"),
    ),
    (
        "T06",
        "192.0.2.2",
        "v2",
        "21fffe0101ff5193c00002fe7672727073696d21",
        advert(2, 255, 254, 255, ["192.0.2.254"], 1, b"vrrpsim!"),
    ),
    ("T07", "192.0.2.2", "MSG", "310164010064a897c0000201", advert(3, 1, 100, 100, ["192.0.2.1"])),
    ("T08", "192.0.2.2", "PH", "3101640100640606c0000201", advert(3, 1, 100, 100, ["192.0.2.1"])),
    ("T09", "192.0.2.2", "MSG", "3101000100640c98c0000201", advert(3, 1, 0, 100, ["192.0.2.1"])),
    ("T10", "192.0.2.2", "PH", "3101000100646a06c0000201", advert(3, 1, 0, 100, ["192.0.2.1"])),
    ("T11", "192.0.2.1", "MSG", "3101ff0100640d97c0000201", advert(3, 1, 255, 100, ["192.0.2.1"])),
    ("T12", "192.0.2.1", "PH", "3101ff0100646b06c0000201", advert(3, 1, 255, 100, ["192.0.2.1"])),
    ("T13", "192.0.2.3", "MSG", "31fffe030fff79dac000020ac000020bc000020c", advert(3, 255, 254, 4095, THREE)),
    ("T14", "192.0.2.3", "PH", "31fffe030fffd73fc000020ac000020bc000020c", advert(3, 255, 254, 4095, THREE)),
    ("T15", "192.0.2.4", "MSG", "3101010100010bfbc0000201", advert(3, 1, 1, 1, ["192.0.2.1"])),
    (
        "T16",
        "fe80::2",
        "v6",
        "3101640100646df7fe800000000000000000000000000001",
        advert(3, 1, 100, 100, ["fe80::1"]),
    ),
    (
        "T17",
        "fe80::2",
        "v6",
        "3101c802000adc85fe80000000000000000000000000000120010db8000000000000000000000001",
        advert(3, 1, 200, 10, ["fe80::1", "2001:db8::1"]),
    ),
    (
        "T18",
        "fe80::2",
        "v6",
        "310100020064a42cfe80000000000000000000000000000120010db8000000000000000000000001",
        advert(3, 1, 0, 100, ["fe80::1", "2001:db8::1"]),
    ),
    (
        "T19",
        "fe80::1",
        "v6",
        "31ffff030fff66c7fe80000000000000000000000000000120010db800000000000000000000000120010db8000000010000"
        "000000000001",
        advert(3, 255, 255, 4095, ["fe80::1", "2001:db8::1", "2001:db8:0:1::1"]),
    ),
    (
        "T20",
        "fe80::a8bb:ccff:fedd:ee01",
        "v6",
        "312afe010001126efe8000000000000000005efffe00022a",
        advert(3, 42, 254, 1, ["fe80::5eff:fe00:22a"]),
    ),
    ("T21", "192.0.2.2", "MSG", "3109640100640000c000aa90", advert(3, 9, 100, 100, ["192.0.170.144"])),
    ("T22", "10.0.21.113", "both", "31016401006460980a000001", advert(3, 1, 100, 100, ["10.0.0.1"])),
    ("T23", "192.0.2.2", "MSG", "31016401f064b896c0000201", advert(3, 1, 100, 100, ["192.0.2.1"])),
]
VALID_BY_ID = {row[0]: row for row in VALID}
FORMS = {"v2": (PH, MSG), "v6": (PH, MSG), "both": (PH, MSG), "PH": (PH,), "MSG": (MSG,)}

# keepalived.md §5.1
KEEPALIVED_VECTORS = [
    (
        "21 33 67 01 01 01 16 8f c0 a8 32 14 73 65 63 72 65 74 31 32",
        advert(2, 51, 103, 1, ["192.168.50.20"], 1, b"secret12"),
    ),
    (
        "21 35 64 01 00 01 88 08 c0 a8 32 17 00 00 00 00 00 00 00 00",
        advert(2, 53, 100, 1, ["192.168.50.23"]),
    ),
    (
        "21 33 ff 02 01 01 53 24 c0 a8 32 14 c0 a8 32 15 61 62 23 63 21 64 00 00",
        advert(2, 51, 255, 1, ["192.168.50.20", "192.168.50.21"], 1, b"ab#c!d\0\0"),
    ),
    (
        "21 33 00 02 01 01 52 25 c0 a8 32 14 c0 a8 32 15 61 62 23 63 21 64 00 00",
        advert(2, 51, 0, 1, ["192.168.50.20", "192.168.50.21"], 1, b"ab#c!d\0\0"),
    ),
    (
        "31 33 65 02 00 19 b0 ef c0 a8 32 14 c0 a8 32 15",
        advert(3, 51, 101, 25, ["192.168.50.20", "192.168.50.21"]),
    ),
    (
        "31 33 00 02 00 19 15 f0 c0 a8 32 14 c0 a8 32 15",
        advert(3, 51, 0, 25, ["192.168.50.20", "192.168.50.21"]),
    ),
]


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", VALID, ids=lambda row: row[0])
def test_vectors_are_read(row):
    _, source, _, text, contents = row
    assert parse(bytes.fromhex(text), ip_address(source).version) == contents


@pytest.mark.parametrize("row", [row for row in VALID if row[0] != "T23"], ids=lambda row: row[0])
def test_vectors_are_written(row):
    _, source, form, text, contents = row
    source = ip_address(source)
    for checksum in FORMS[form]:
        payload = encode(
            contents,
            source=source,
            destination=GROUP[source.version],
            checksum=checksum,
            family=source.version,
        )
        assert payload.hex() == text


@pytest.mark.parametrize("row", VALID, ids=lambda row: row[0])
def test_vectors_have_a_right_checksum_in_their_form_only(row):
    _, source, form, text, contents = row
    source = ip_address(source)
    for checksum in Checksum:
        assert checksum_ok(
            bytes.fromhex(text),
            source=source,
            destination=GROUP[source.version],
            family=source.version,
            version=contents.version,
            form=checksum,
        ) == (checksum in FORMS[form])


def test_a_sender_never_sets_the_reserve_nibble():
    """T23 must be accepted, but never produced: its contents are T07's."""
    *_, contents = VALID_BY_ID["T23"]
    written = encode(contents, source=IPv4Address("192.0.2.2"), destination=GROUP[4], checksum=MSG, family=4)
    assert written.hex() == VALID_BY_ID["T07"][3]


@pytest.mark.parametrize(("text", "contents"), KEEPALIVED_VECTORS)
def test_keepalived_captures(text, contents):
    payload = bytes.fromhex(text)
    assert parse(payload, 4) == contents
    source = IPv4Address("192.168.50.11")
    assert encode(contents, source=source, destination=GROUP[4], checksum=PH, family=4) == payload


def test_version_2_over_ipv6_has_no_tail_but_a_pseudo_header():
    contents = advert(2, 1, 100, 1, ["fe80::1"])
    source = IPv6Address("fe80::2")
    payload = encode(contents, source=source, destination=GROUP[6], checksum=MSG, family=6)
    assert len(payload) == 8 + 16
    assert parse(payload, 6) == contents
    other = encode(contents, source=IPv6Address("fe80::3"), destination=GROUP[6], checksum=MSG, family=6)
    assert payload[6:8] != other[6:8]


def test_intervals_name_their_unit():
    assert advert(2, 1, 100, 5, []).interval_ns == 5 * SECOND_NS
    assert advert(3, 1, 100, 25, []).interval_ns == 25 * CENTISECOND_NS


@pytest.mark.parametrize(
    "nonsense",
    [
        {"version": 1},
        {"interval_wire": 256},
        {"priority": 256},
        {"vrid": -1},
        {"auth_data": b"short"},
        {"addresses": (IPv4Address(0),) * 256},
    ],
)
def test_adverts_that_do_not_fit_the_wire_cannot_be_made(nonsense):
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the contract, the words are not
        replace(advert(2, 1, 100, 1, ["192.0.2.1"]), **nonsense)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reject.PACKET_TOO_SHORT),
        (bytes.fromhex("31016400006400"), Reject.PACKET_TOO_SHORT),
        (bytes.fromhex("4101640100649897c0000201"), Reject.VERS_ERR),
        (bytes.fromhex("320164010064a797c0000201"), Reject.INVALID_TYPE_RCVD),
        (bytes.fromhex("310164020064a896c0000201"), Reject.PACKET_LEN_ERR),
        (bytes.fromhex("210164010001b8fac0000201"), Reject.PACKET_LEN_ERR),
        (bytes.fromhex("310164010064a897c000020100"), Reject.PACKET_LEN_ERR),
    ],
)
def test_parse_judges_structure(payload, reason):
    result = parse(payload, 4)
    assert isinstance(result, DecodeError)
    assert result.reason is reason


def test_padding_is_ignored_where_it_is_allowed():
    payload = bytes.fromhex(VALID_BY_ID["T01"][3])
    assert parse(payload + bytes(6), 4, padded_ok=True) == VALID_BY_ID["T01"][4]
    short = parse(payload[:-1], 4, padded_ok=True)
    assert isinstance(short, DecodeError)


@st.composite
def adverts(draw):
    version, family = draw(st.sampled_from((2, 3))), draw(st.sampled_from((4, 6)))
    authenticated = version == 2 and family == 4
    octet = st.integers(0, 255)
    return family, Advertisement(
        version=version,
        vrid=draw(octet),
        priority=draw(octet),
        interval_wire=draw(octet if version == 2 else st.integers(0, 4095)),
        addresses=tuple(draw(st.lists(st.ip_addresses(v=family), max_size=20))),
        auth_type=draw(octet) if version == 2 else 0,
        auth_data=draw(st.binary(min_size=8, max_size=8)) if authenticated else bytes(8),
    )


@given(adverts(), st.data())
def test_round_trip(family_and_advert, data):
    family, contents = family_and_advert
    source, destination = data.draw(st.ip_addresses(v=family)), data.draw(st.ip_addresses(v=family))
    form = data.draw(st.sampled_from(Checksum))
    payload = encode(contents, source=source, destination=destination, checksum=form, family=family)
    where = {"source": source, "destination": destination, "family": family, "version": contents.version}
    assert parse(payload, family) == contents
    assert len(payload) == message_length(payload, family)
    assert checksum_ok(payload, form=form, **where)
    assert checksum_of(payload, form=form, **where) == int.from_bytes(payload[6:8], "big")


@given(st.binary(max_size=64), st.sampled_from((4, 6)), st.booleans())
def test_any_bytes_give_an_advert_or_an_error(payload, family, padded_ok):
    assert isinstance(parse(payload, family, padded_ok=padded_ok), Advertisement | DecodeError)


# --- receive checks: helpers ----------------------------------------------------------------------

V4 = ("192.0.2.1", "198.51.100.1")
V6 = ("fe80::1", "2001:db8::1")


def instance(family=4, version=3, addresses=None, **changes):
    chosen = addresses if addresses is not None else (V4 if family == 4 else V6)
    settings = {
        "name": "VI_1",
        "interface": "eth0",
        "vrid": 1,
        "priority": 100,
        "version": version,
        "family": family,
        "addresses": tuple(VirtualAddress(ip_address(a), 32 if family == 4 else 128) for a in chosen),
        "multicast_group": GROUP[family],
    }
    return InstanceConfig(**(settings | changes))


@dataclass
class Packet:
    """A packet and its receiver, both good until something is changed."""

    config: InstanceConfig
    dialect: Dialect
    version: int
    type: int = 1
    vrid: int = 1
    priority: int = 150
    interval: int = 1
    auth_type: int = 0
    auth_data: bytes = bytes(8)
    surplus: int = 0
    checksum_flip: int = 0
    checksum: Checksum = PH
    checksum_destination: object = None
    truncate: int | None = None
    ttl: int = 255
    is_master: bool = False
    old_unicast: bool = False
    remembered: bool = False
    key: bytes | None = None  # of an Authentication Header

    def __post_init__(self):
        family = self.config.family
        self.addresses = [virtual.address for virtual in self.config.addresses]
        self.source = ip_address("192.0.2.2" if family == 4 else "fe80::2")
        self.own_source = ip_address("192.0.2.3" if family == 4 else "fe80::3")
        self.destination = GROUP[family]
        self.interval = 1 if self.version == 2 else 100
        self.checksum = self.dialect.checksum

    @property
    def payload(self):
        family = self.config.family
        middle = bytes((self.auth_type, self.interval)) if self.version == 2 else self.interval.to_bytes(2)
        blank = (
            bytes((self.version << 4 | self.type, self.vrid, self.priority, len(self.addresses)))
            + middle
            + bytes(2)
            + b"".join(address.packed for address in self.addresses)
            + (self.auth_data if self.version == 2 and family == 4 else b"")
        )
        value = self.checksum_flip ^ checksum_of(
            blank,
            source=self.source,
            destination=self.checksum_destination or self.destination,
            family=family,
            version=self.version,
            form=self.checksum,
        )
        payload = blank[:6] + value.to_bytes(2, "big") + blank[8:] + bytes(self.surplus)
        return payload if self.truncate is None else payload[: self.truncate]

    def check(self, payload=None):
        payload = self.payload if payload is None else payload
        sealed = b"" if self.key is None else seal(self, payload)
        return check_advert(
            Reception(
                Datagram(self.source, self.destination, self.ttl, payload, sealed),
                self.config,
                self.dialect,
                own_source=self.own_source,
                from_remembered_master=self.remembered,
                is_master=self.is_master,
                old_unicast=self.old_unicast,
                association=association(InstanceRules(self.config, self.dialect)),
            )
        )


def seal(packet, payload):
    return sealed(payload, packet.source, packet.destination, packet.ttl, packet.key, 1, 1)


def good(dialect, family=4, version=3, **changes):
    return Packet(instance(family, version, **changes), dialect, version)


def reason(packet):
    result = packet.check()
    return result.reason if isinstance(result, DecodeError) else None


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("version", [2, 3])
def test_an_advert_is_decoded_once(dialect, version):
    decode.cache_clear()
    for _ in range(2):
        assert isinstance(good(dialect, version=version).check(), Accepted)
    assert decode.cache_info().misses == 1


def noted(packet):
    result = packet.check()
    assert isinstance(result, Accepted), result
    return [note.reason for note in result.notes]


def configure(packet, **changes):
    packet.config = packet.config._replace(**changes)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("version", [2, 3])
def test_a_good_advert_is_accepted_by_every_dialect(dialect, family, version):
    packet = good(dialect, family, version)
    result = packet.check()
    assert isinstance(result, Accepted), result
    assert result.advert == parse(packet.payload, family)
    assert not result.old_unicast
    assert result.notes == ()


# --- receive checks: order ------------------------------------------------------------------------

PASS = Authentication(AuthType.PASS, b"secret")
AH = Authentication(AuthType.AH, b"secret")
PEER = IPv4Address("192.0.2.2")
STRANGER = IPv4Address("192.0.2.99")


def unicast(packet, **peer):
    configure(packet, unicast_peers=(UnicastPeer(PEER, **peer),), check_unicast_src=True)
    packet.destination = packet.own_source


def authenticate(packet, authentication):
    configure(packet, authentication=authentication)
    packet.auth_type = authentication.auth_type.value
    packet.auth_data = authentication_data(authentication)
    packet.key = authentication.key if authentication is AH else None


def keepalived_good():
    packet = good(KEEPALIVED_2_2_7, version=2)
    authenticate(packet, PASS)
    return packet


def too_short(packet):
    packet.truncate = 7


def foreign_vrid(packet):
    packet.vrid = 2


def no_ah_header(packet):
    configure(packet, authentication=AH)
    packet.auth_type = 1


def too_long(packet):
    packet.surplus = 2


def low_ttl(packet):
    packet.ttl = 254


def wrong_version(packet):
    packet.version = 3


def unknown_auth(packet):
    packet.auth_type = 3


def unauthenticated(packet):
    packet.auth_type = 0


def wrong_password(packet):
    packet.auth_data = b"Secret\0\0"


def wrong_digest(packet):
    authenticate(packet, AH)
    packet.key = b"Secret"


def other_interval(packet):
    packet.interval = 2


def wrong_type(packet):
    packet.type = 2


def fewer_addresses(packet):
    packet.addresses = packet.addresses[:1]


def flipped_checksum(packet):
    packet.checksum_flip = 1


def other_cast(packet):
    packet.destination = packet.own_source if packet.destination.is_multicast else GROUP[4]


def foreign_address(packet):
    packet.addresses = [IPv4Address("203.0.113.9"), *packet.addresses[1:]]


def stranger(packet):
    unicast(packet)
    packet.source = STRANGER


def peer_ttl(packet):
    unicast(packet, min_ttl=200, max_ttl=240)


@dataclass(frozen=True)
class Row:
    number: str
    spoil: Callable[[Packet], None]
    reason: Reject
    detail: str = ""


# keepalived.md §5.2 in its order
KEEPALIVED_ROWS = [
    Row("1", too_short, Reject.PACKET_TOO_SHORT, "IPv4 VRRP packet too short - 7 bytes"),
    Row("2", foreign_vrid, Reject.VRID),
    Row("6", no_ah_header, Reject.AUTHTYPE_MISMATCH),
    Row("7", too_long, Reject.PACKET_LEN_ERR, "vrrp packet too long, length 26 and expect 24"),
    Row("8", low_ttl, Reject.IP_TTL_ERR, "invalid TTL/HL. Received 254 and expect 255"),
    Row("9", wrong_version, Reject.VERS_ERR, "wrong version. Received 3 and expect 2"),
    Row("10", unknown_auth, Reject.INVALID_AUTHTYPE, "Invalid auth type: 3"),
    Row("11", unauthenticated, Reject.AUTHTYPE_MISMATCH, "received a 0 auth, expecting 1!"),
    Row("12", wrong_password, Reject.AUTH_FAILURE, "received an invalid passwd!"),
    Row("13", wrong_digest, Reject.AUTH_FAILURE),
    Row(
        "14",
        other_interval,
        Reject.ADVERT_INTERVAL_MISMATCH,
        "advertisement interval mismatch mine=1 sec rcv'd=2 sec",
    ),
    Row("15", wrong_type, Reject.INVALID_TYPE_RCVD, "Invalid packet type. 2 and expect 1"),
    Row(
        "16",
        fewer_addresses,
        Reject.ADDR_LIST_ERR,
        "received an unexpected ip number count 1, expected 2!",
    ),
    Row("18", flipped_checksum, Reject.CHK_ERR, "Invalid VRRPv2 checksum"),
    Row(
        "19",
        other_cast,
        Reject.UNICAST_MULTICAST_MISMATCH,
        "Expected multicast packet but received unicast packet",
    ),
    Row(
        "20",
        foreign_address,
        Reject.ADDR_LIST_ERR,
        "ip address associated with VRID 1 not present in MASTER advert: 192.0.2.1",
    ),
    Row("21", stranger, Reject.UNICAST_SRC_ERR, "unicast source address 192.0.2.99 not a unicast peer"),
    Row("22", peer_ttl, Reject.IP_TTL_ERR, "TTL/HL 255 not in range 200 - 240"),
]
# One packet cannot fail both: #8 is for multicast instances and #21, #22 for unicast ones; an instance has
# one kind of authentication, and AH under another version or type is #6; a stranger has no TTL range.
EXCLUSIVE = {("8", "21"), ("8", "22"), ("21", "22")} | {
    (earlier, "13") for earlier in ("9", "10", "11", "12")
}
KEEPALIVED_PAIRS = [
    pair for pair in combinations(KEEPALIVED_ROWS, 2) if (pair[0].number, pair[1].number) not in EXCLUSIVE
]


def number(value):
    return value.number if isinstance(value, Row) else None


@pytest.mark.parametrize("row", KEEPALIVED_ROWS, ids=number)
def test_each_keepalived_row_rejects(row):
    packet = keepalived_good()
    row.spoil(packet)
    result = packet.check()
    assert isinstance(result, DecodeError)
    assert result.reason is row.reason
    assert row.detail in ("", result.detail)


@pytest.mark.parametrize(("first", "second"), KEEPALIVED_PAIRS, ids=number)
def test_the_first_keepalived_row_speaks(first, second):
    packet = keepalived_good()
    second.spoil(packet)
    first.spoil(packet)
    assert reason(packet) is first.reason


def echo(packet):
    packet.own_source = packet.source


def short_by_one(packet):
    packet.truncate = len(packet.payload) - 1


def version_4(packet):
    packet.version = 4


def owner_hears(packet):
    configure(packet, priority=255)


def no_addresses(packet):
    packet.addresses = []


def global_first(packet):
    packet.addresses = list(reversed(packet.addresses))


def zero_interval(packet):
    packet.interval = 0


def some_auth(packet):
    packet.auth_type = 1


# rfc.md §5.1, with 7a for the order's sake
RFC9568_ROWS = [
    Row("0", echo, Reject.OWN_ECHO),
    Row("1", low_ttl, Reject.IP_TTL_ERR),
    Row("2", version_4, Reject.VERS_ERR),
    Row("3", wrong_type, Reject.INVALID_TYPE_RCVD),
    Row("4", short_by_one, Reject.PACKET_LEN_ERR),
    Row("5", flipped_checksum, Reject.CHK_ERR),
    Row("6", foreign_vrid, Reject.VRID),
    Row("7a", owner_hears, Reject.OWNER),
    Row("8", no_addresses, Reject.ADDR_COUNT),
    Row("9", global_first, Reject.FIRST_ADDR),
    Row("10", zero_interval, Reject.INTERVAL_ZERO),
]
# rfc.md §5.3
RFC3768_ROWS = [
    Row("0", echo, Reject.OWN_ECHO),
    Row("1", low_ttl, Reject.IP_TTL_ERR),
    Row("2", wrong_version, Reject.VERS_ERR),
    Row("type", wrong_type, Reject.INVALID_TYPE_RCVD),
    Row("3", short_by_one, Reject.PACKET_LEN_ERR),
    Row("4", flipped_checksum, Reject.CHK_ERR),
    Row("5", foreign_vrid, Reject.VRID),
    Row("owner", owner_hears, Reject.OWNER),
    Row("6", some_auth, Reject.AUTHTYPE_MISMATCH),
    Row("7", fewer_addresses, Reject.ADDR_LIST_ERR),
    Row("8", other_interval, Reject.ADVERT_INTERVAL_MISMATCH),
]


def rfc9568_good():
    return good(RFC9568._replace(owner_conflict=OwnerConflict.DISCARD), family=6)


def rfc3768_good():
    return good(RFC3768, version=2)


RFC_TABLES = [(rfc9568_good, RFC9568_ROWS), (rfc3768_good, RFC3768_ROWS)]


@pytest.mark.parametrize(("make", "row"), [(make, row) for make, rows in RFC_TABLES for row in rows])
def test_each_rfc_row_rejects(make, row):
    packet = make()
    row.spoil(packet)
    assert reason(packet) is row.reason


@pytest.mark.parametrize(
    ("make", "first", "second"),
    [(make, first, second) for make, rows in RFC_TABLES for first, second in combinations(rows, 2)],
    ids=number,
)
def test_the_first_rfc_row_speaks(make, first, second):
    packet = make()
    second.spoil(packet)
    first.spoil(packet)
    stump = len(packet.payload) < 8  # rows 4 and 8 together: count 0 and incomplete is less than a header
    assert reason(packet) is (Reject.PACKET_TOO_SHORT if stump else first.reason)


@pytest.mark.parametrize("payload", [b"", b"\x31", b"\x31\x01\x64"])
@pytest.mark.parametrize("dialect", [KEEPALIVED_2_2_7, RFC9568])
def test_stumps_are_too_short(payload, dialect):
    result = good(dialect).check(payload)
    assert isinstance(result, DecodeError)
    assert result.reason is Reject.PACKET_TOO_SHORT


# --- rfc.md §9.3 ----------------------------------------------------------------------------------

NEGATIVE = [
    ("N01", "192.0.2.2", 254, "310164010064a897c0000201", Reject.IP_TTL_ERR),
    ("N02", "192.0.2.2", 255, "4101640100649897c0000201", Reject.VERS_ERR),
    ("N03", "192.0.2.2", 255, "320164010064a797c0000201", Reject.INVALID_TYPE_RCVD),
    ("N04", "192.0.2.2", 255, "310164020064a896c0000201", Reject.PACKET_LEN_ERR),
    ("N05", "192.0.2.2", 255, "310164010064a896c0000201", Reject.CHK_ERR),
    ("N06", "192.0.2.2", 255, "3101640000646a9a", Reject.ADDR_COUNT),
    ("N07", "192.0.2.2", 255, "310164010000a8fbc0000201", Reject.INTERVAL_ZERO),
    (
        "N08",
        "fe80::2",
        255,
        "310164020064402c20010db8000000000000000000000001fe800000000000000000000000000001",
        Reject.FIRST_ADDR,
    ),
    ("N09", "192.0.2.2", 255, "210164010001b8fac0000201", Reject.PACKET_LEN_ERR),
    ("N10", "192.0.2.2", 255, "2101640101017baec00002017365637265740000", Reject.AUTHTYPE_MISMATCH),
]


def negative_receiver(dialect, name, source):
    family = ip_address(source).version
    return good(
        dialect,
        family,
        2 if name in ("N09", "N10") else 3,
        addresses=V6 if family == 6 else ("192.0.2.1",),
    )


@pytest.mark.parametrize(("name", "source", "ttl", "text", "expected"), NEGATIVE)
def test_negative_vectors_fail_at_their_row(name, source, ttl, text, expected):
    packet = negative_receiver(RFC3768 if name in ("N09", "N10") else RFC9568, name, source)
    packet.ttl = ttl
    result = packet.check(bytes.fromhex(text))
    assert isinstance(result, DecodeError)
    assert result.reason is expected


@pytest.mark.parametrize("name", ["N06", "N07", "N08"])
def test_rfc5798_has_no_rule_against_what_the_errata_forbid(name):
    _, source, _, text, _ = next(row for row in NEGATIVE if row[0] == name)
    packet = negative_receiver(RFC5798._replace(checksum=MSG), name, source)
    result = packet.check(bytes.fromhex(text))
    assert isinstance(result, Accepted)
    if name == "N07":
        assert result.advert.interval_ns == 0


def test_n10_is_accepted_by_a_keepalived_with_that_password():
    packet = good(KEEPALIVED_2_2_7, version=2, addresses=("192.0.2.1",), authentication=PASS)
    assert isinstance(packet.check(bytes.fromhex(NEGATIVE[-1][3])), Accepted)


def test_n01_is_accepted_by_a_unicast_keepalived():
    packet = good(KEEPALIVED_2_2_7._replace(checksum=MSG), addresses=("192.0.2.1",))
    configure(packet, unicast_peers=(UnicastPeer(PEER),))
    packet.destination = packet.own_source
    packet.ttl = 254
    assert isinstance(packet.check(bytes.fromhex(NEGATIVE[0][3])), Accepted)


def test_t23_is_accepted():
    packet = good(RFC9568, addresses=("192.0.2.1",))
    result = packet.check(bytes.fromhex(VALID_BY_ID["T23"][3]))
    assert isinstance(result, Accepted)
    assert result.advert.interval_wire == 100


# --- switches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", [fewer_addresses, foreign_address])
@pytest.mark.parametrize("version", [2, 3])
def test_k1_list_mismatch(spoil, version):
    for dialect, rejects in ((KEEPALIVED_2_2_7, True), (KEEPALIVED_2_3_3, False), (RFC9568, False)):
        packet = good(dialect, version=version)
        spoil(packet)
        if rejects:
            assert reason(packet) is Reject.ADDR_LIST_ERR
        else:
            assert noted(packet) == [Reject.ADDR_LIST_ERR]


@pytest.mark.parametrize("spoil", [fewer_addresses, foreign_address])
def test_rfc3768_takes_another_list_from_the_owner_only(spoil):
    packet = rfc3768_good()
    spoil(packet)
    packet.priority = 254
    assert reason(packet) is Reject.ADDR_LIST_ERR
    packet.priority = 255
    assert noted(packet) == [Reject.ADDR_LIST_ERR]


def test_version_3_never_drops_a_list_in_rfc_order():
    packet = good(RFC9568._replace(list_mismatch=ListMismatch.REJECT))
    fewer_addresses(packet)
    assert noted(packet) == [Reject.ADDR_LIST_ERR]


def test_the_order_of_addresses_does_not_matter():
    packet = keepalived_good()
    packet.addresses.reverse()
    assert noted(packet) == []


@pytest.mark.parametrize("spoil", [fewer_addresses, foreign_address])
def test_skip_check_adv_addr_is_for_backups_and_the_master_they_know(spoil):
    packet = keepalived_good()
    configure(packet, skip_check_adv_addr=True)
    spoil(packet)
    assert reason(packet) is Reject.ADDR_LIST_ERR
    packet.remembered = True
    assert noted(packet) == []
    packet.is_master = True
    assert reason(packet) is Reject.ADDR_LIST_ERR


@pytest.mark.parametrize("spoil", [stranger, peer_ttl])
def test_k16_source_check_hangs_on_the_list_check_before_2_3_3(spoil):
    for dialect, independent in ((KEEPALIVED_2_2_7, False), (KEEPALIVED_2_3_3, True)):
        packet = good(dialect)
        spoil(packet)
        assert reason(packet) is not None
        configure(packet, skip_check_adv_addr=True)
        packet.remembered = True
        assert (reason(packet) is not None) == independent


def test_unknown_peers_are_accepted_unless_checked():
    packet = good(KEEPALIVED_2_2_7)
    stranger(packet)
    configure(packet, check_unicast_src=False)
    assert noted(packet) == []


@pytest.mark.parametrize("surplus", [1, 6])
def test_k3_padding_up_to_the_ethernet_minimum(surplus):
    """20 octets of IPv4 and 20 of version 2 with one address leave 6 of 46."""
    for dialect, tolerated in ((KEEPALIVED_2_2_7, False), (KEEPALIVED_2_3_3, True), (FRR_8_4, False)):
        packet = good(dialect, version=2, addresses=("192.0.2.1",))
        packet.surplus = surplus
        assert (reason(packet) is None) == tolerated


def test_k3_more_than_padding_is_too_long_for_keepalived_but_not_for_the_rfc():
    """RFC 9568 §7.1 asks for at least the promised octets."""
    packet = good(KEEPALIVED_2_3_3, version=2, addresses=("192.0.2.1",))
    packet.surplus = 7
    assert reason(packet) is Reject.PACKET_LEN_ERR
    packet = good(RFC9568, addresses=("192.0.2.1",))
    packet.surplus = 30
    assert noted(packet) == []


def test_version_3_interval_differences_are_notes():
    for dialect in (KEEPALIVED_2_2_7, KEEPALIVED_2_3_3, RFC9568, RFC5798):
        packet = good(dialect)
        packet.interval = 300
        assert noted(packet) == [Reject.ADVERT_INTERVAL_MISMATCH]


def test_authentication_as_bytes():
    assert authentication_data(Authentication()) == bytes(8)
    assert authentication_data(PASS) == b"secret\0\0"
    assert authentication_data(Authentication(AuthType.PASS, b"12345678")) == b"12345678"
    assert authentication_data(AH) == bytes(8)


def test_authentication_is_for_version_2_over_ipv4():
    for family, version, dialect, exists in (
        (4, 2, KEEPALIVED_2_2_7, True),
        (6, 2, KEEPALIVED_2_2_7, False),
        (4, 3, KEEPALIVED_2_2_7, False),
        (4, 2, RFC3768, False),
    ):
        packet = good(dialect, family, version, authentication=PASS)
        assert effective_authentication(packet.config, dialect) == (PASS if exists else Authentication())
        assert (reason(packet) is Reject.AUTHTYPE_MISMATCH) == exists


def test_ah_accepts_the_same_key():
    packet = keepalived_good()
    authenticate(packet, AH)
    assert noted(packet) == []
    configure(packet, authentication=AH._replace(key=b"Secret"))
    assert reason(packet) is Reject.AUTH_FAILURE


def test_type_0_ignores_authentication_data():
    """RFC 3768 §5.3.10."""
    packet = rfc3768_good()
    packet.auth_data = b"whatever"
    assert noted(packet) == []


# --- checksum modes -------------------------------------------------------------------------------


def unicast_v3(mode=ChecksumMode.DIALECT):
    packet = good(KEEPALIVED_2_2_7, checksum=mode)
    unicast(packet)
    return packet


def test_ipv4_version_3_forms_do_not_mix():
    for ours, theirs in ((KEEPALIVED_2_2_7, MSG), (RFC9568, PH)):
        packet = good(ours)
        packet.checksum = theirs
        assert reason(packet) is Reject.CHK_ERR


def test_as_v2_accepts_anything():
    packet = good(KEEPALIVED_2_2_7, checksum=ChecksumMode.AS_V2)
    for form in Checksum:
        packet.checksum = form
        assert noted(packet) == []
    packet.checksum_flip = 0x1234
    assert noted(packet) == []
    assert checksum_form(
        packet.config, packet.dialect, destination=packet.destination, old_unicast=False
    ) == (MSG, packet.destination)


def test_as_v2_is_about_version_3_only():
    packet = keepalived_good()
    configure(packet, checksum=ChecksumMode.AS_V2)
    packet.checksum_flip = 1
    assert reason(packet) is Reject.CHK_ERR


def test_the_old_unicast_checksum_is_detected_once():
    packet = unicast_v3()
    packet.checksum_destination = GROUP[4]
    result = packet.check()
    assert isinstance(result, Accepted)
    assert result.old_unicast
    packet.old_unicast = True  # what the engine does with it
    again = packet.check()
    assert isinstance(again, Accepted)
    assert again.old_unicast  # the mode stays
    packet.checksum_destination = None
    assert reason(packet) is Reject.CHK_ERR  # the new form is wrong by now


def test_the_old_unicast_checksum_is_not_detected_without_need():
    packet = unicast_v3()
    result = packet.check()
    assert isinstance(result, Accepted)
    assert not result.old_unicast


def test_never_old_refuses_and_old_unicast_expects():
    packet = unicast_v3(ChecksumMode.NEVER_OLD)
    packet.checksum_destination = GROUP[4]
    assert reason(packet) is Reject.CHK_ERR
    packet = unicast_v3(ChecksumMode.OLD_UNICAST)
    assert reason(packet) is Reject.CHK_ERR
    packet.checksum_destination = GROUP[4]
    assert noted(packet) == []
    form = checksum_form(packet.config, packet.dialect, destination=PEER, old_unicast=False)
    assert form == (PH, GROUP[4])


# --- IPv6, owners, what reaches the instance --------------------------------------------------------


def test_the_kernel_drops_wrong_ipv6_checksums():
    packet = good(KEEPALIVED_2_2_7, family=6)
    packet.checksum_flip = 1
    assert reason(packet) is Reject.IPV6_CHECKSUM
    assert reason(packet).reaches_instance is False
    packet.dialect = RFC9568
    assert reason(packet) is Reject.CHK_ERR


def test_ipv6_cast_mismatch_is_ignored():
    """§5.2 #5: the timer is not touched, unlike #19."""
    packet = good(KEEPALIVED_2_2_7, family=6)
    packet.destination = packet.own_source
    assert reason(packet) is Reject.IPV6_CAST_MISMATCH
    assert not Reject.IPV6_CAST_MISMATCH.reaches_instance
    assert Reject.UNICAST_MULTICAST_MISMATCH.reaches_instance


def test_the_rfc_does_not_look_at_the_destination():
    packet = good(RFC9568)
    packet.destination = packet.own_source
    assert noted(packet) == []


def test_owners():
    for dialect in (RFC5798, RFC3768, FRR_8_4):
        packet = good(dialect, version=dialect.default_version)
        configure(packet, priority=255)
        assert reason(packet) is Reject.OWNER
    packet = good(RFC9568)  # EID 8298
    configure(packet, priority=255)
    assert noted(packet) == [Reject.OWNER_CONFLICT]
    packet = good(KEEPALIVED_2_3_3)
    configure(packet, priority=255)
    assert noted(packet) == []
    configure(packet, owner_ignore_adverts=True)  # K14
    assert reason(packet) is Reject.OWNER


def test_keepalived_does_not_drop_its_own_echo():
    """FSM-32 warns instead."""
    packet = good(KEEPALIVED_2_2_7)
    echo(packet)
    assert noted(packet) == []


def test_counters_have_keepalived_names():
    assert Reject.UNICAST_MULTICAST_MISMATCH.counter == "addr_list_err"
    assert Reject.CHK_ERR.counter == "chk_err"
    for uncounted in (Reject.ADVERT_INTERVAL_MISMATCH, Reject.UNICAST_SRC_ERR, Reject.PACKET_TOO_SHORT):
        assert uncounted.counter is None


# --- fuzz -----------------------------------------------------------------------------------------


@cache
def receivers():
    return [
        good(dialect, family, version, unicast_peers=peers)
        for dialect in DIALECTS.values()
        for family in (4, 6)
        for version in (2, 3)
        for peers in ((), (UnicastPeer(ip_address("192.0.2.2" if family == 4 else "fe80::2"), 1, 9),))
    ]


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda tail: b"\x21\x01" + tail), st.data())
def test_no_bytes_upset_the_receive_path(payload, data):
    packet = data.draw(st.sampled_from(receivers()))
    assert isinstance(packet.check(payload), Accepted | DecodeError)


@pytest.mark.slow
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dialect", [KEEPALIVED_2_2_7, KEEPALIVED_2_3_3, RFC9568])
def test_no_single_octet_can_change_unnoticed(dialect, family, version):
    """A one's-complement sum misses no single octet; and nothing raises on the way."""
    packet = good(dialect, family, version)
    payload = packet.payload
    for at in range(len(payload)):
        for value in set(range(256)) - {payload[at]}:
            mutated = payload[:at] + bytes((value,)) + payload[at + 1 :]
            assert isinstance(packet.check(mutated), DecodeError), (at, value)
            parsed = parse(mutated, family)
            if isinstance(parsed, Advertisement):
                assert parsed != parse(payload, family) or at in (4, 6, 7)  # Reserve and checksum
