"""The Authentication Header: keepalived 2.2.7's bytes, and what it answered to forged ones.

The bytes were captured from keepalived 2.2.7 with `auth_type AH`, `auth_pass secret12`, priority 100 and the
address 10.9.0.100. What it does with each forged packet was asked of the same daemon, packet by packet.
"""

import hmac
from ipaddress import ip_address

import pytest
from vrrp_pair import instance

from vrrpsim.protocol.ah import LAST_SEQUENCE, SecurityAssociation, message_of, sealed
from vrrpsim.protocol.configuration import (
    GROUP4,
    Authentication,
    AuthType,
    RouterConfig,
    UnicastPeer,
    VirtualAddress,
)
from vrrpsim.protocol.dialect import DEFAULT_DIALECT, RFC3768
from vrrpsim.protocol.fsm import State
from vrrpsim.protocol.outputs import AdvertDropped, Log, SendAdvert
from vrrpsim.protocol.packet import Datagram, Reject
from vrrpsim.protocol.router import Host, VrrpRouter

SECOND_NS = 1_000_000_000
KEY = b"secret12"
KEEPALIVED = [  # the first and second advert, and the third of another life, which says priority 0
    "45c0004000010000ff33d0ad0a090001e0000012700400000a090001000000013cce0338b823f9e46755e9d9"
    "2133640102016e5d0a0900640000000000000000",
    "45c0004000020000ff33d0ac0a090001e0000012700400000a0900010000000247cc7915019de9ef74536a7d"
    "2133640102016e5d0a0900640000000000000000",
    "45c0004000050000ff33d0a90a090001e0000012700400000a0900010000000573dfd363be10537093918dec"
    "213300010201d25d0a0900640000000000000000",
]
OURS, THEIRS = ip_address("10.9.0.2"), ip_address("10.9.0.1")


def router(priority=90, key=KEY, dialect=DEFAULT_DIALECT, **changes):
    config = instance(1, priority)._replace(
        name="VI_1",
        vrid=51,
        version=2,
        advert_int_ns=SECOND_NS,
        addresses=(VirtualAddress(ip_address("10.9.0.100"), 24),),
        authentication=Authentication(AuthType.AH, key),
        **changes,
    )
    made = VrrpRouter(RouterConfig(instances=(config,)), dialect)
    made.start(Host({("eth0", 4): OURS}, frozenset({OURS})), 0)
    return made


def packet_of(sequence, priority=100, key=KEY, ttl=255, message=None, identification=7):
    message = message or message_of(bytes.fromhex(KEEPALIVED[0]))
    message = resummed(message[:2] + bytes((priority,)) + message[3:])
    return sealed(message, THEIRS, GROUP4, ttl, key, sequence, identification)


def resummed(message):
    blank = message[:6] + bytes(2) + message[8:]
    total = sum(int.from_bytes(blank[at : at + 2], "big") for at in range(0, len(blank), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return blank[:6] + (~total & 0xFFFF).to_bytes(2, "big") + blank[8:]


def hear(made, packet, now_ns=SECOND_NS):
    source = ip_address(packet[12:16])
    return made.receive("eth0", Datagram(source, GROUP4, packet[8], message_of(packet), packet), now_ns)


def why(outputs):
    said = [str(each) for each in outputs if isinstance(each, Log)]
    return next((each.reason for each in outputs if isinstance(each, AdvertDropped)), None), said


def numbers(outputs):
    return [int.from_bytes(each.packet[28:32], "big") for each in outputs if isinstance(each, SendAdvert)]


@pytest.mark.parametrize("number", range(3))
def test_keepaliveds_bytes_are_ours(number):
    """Given its message and numbers, then the sealed packet is its packet, octet for octet."""
    theirs = bytes.fromhex(KEEPALIVED[number])
    sequence = (1, 2, 5)[number]
    assert sealed(message_of(theirs), THEIRS, GROUP4, 255, KEY, sequence, sequence) == theirs
    assert SecurityAssociation(KEY).refusal(theirs) is None


def test_a_daemons_first_adverts_are_keepaliveds():
    made = router(100)
    made._host = Host({("eth0", 4): THEIRS}, frozenset({THEIRS}))
    made = VrrpRouter(made.config, DEFAULT_DIALECT)
    made.start(Host({("eth0", 4): THEIRS}, frozenset({THEIRS})), 0)
    sent = []
    while len(sent) < 2:
        outputs = made.advance(made.exact_deadline_ns())
        sent += [each.packet.hex() for each in outputs if isinstance(each, SendAdvert)]
    assert sent == KEEPALIVED[:2]


def spoiled(packet, at, value):
    return packet[:at] + value + packet[at + len(value) :]


def resealed(packet, at, value):
    """Change octets before the ICV is computed, here by the words of RFC 2402 once more."""
    changed = bytearray(spoiled(packet, at, value))
    covered = changed[:]
    covered[1] = 0
    covered[10:12], covered[32:44] = bytes(2), bytes(12)
    changed[32:44] = hmac.digest(KEY, covered, "md5")[:12]
    return bytes(changed)


ROWS = [
    ("the next number", packet_of(101), None, ""),
    ("a number skipped", packet_of(500), None, ""),
    ("the same number", packet_of(100), Reject.AUTH_FAILURE, "sequence number 100 already processed"),
    ("an older number", packet_of(99), Reject.AUTH_FAILURE, "Packet dropped. Local(100)"),
    ("another key", packet_of(101, key=b"wrong"), Reject.AUTH_FAILURE, "invalid IPSEC HMAC-MD5 value"),
    ("old and false", packet_of(50, key=b"wrong"), Reject.AUTH_FAILURE, "invalid IPSEC HMAC-MD5 value"),
    ("another SPI", resealed(packet_of(101), 24, b"\1\2\3\4"), Reject.AUTH_FAILURE, "expect 67305985"),
    ("another SPI, old", resealed(packet_of(50), 24, b"\1\2\3\4"), Reject.AUTH_FAILURE, "invalid IPSEC SPI"),
    ("SPI and ICV", spoiled(packet_of(101), 24, b"\1\2\3\4"), Reject.AUTH_FAILURE, "HMAC-MD5"),
    ("another next header", resealed(packet_of(101), 20, b"\x6f"), Reject.AH_NEXT_HEADER, ""),
    ("next header, SPI, old", resealed(packet_of(50), 20, b"\x6f"), Reject.AH_NEXT_HEADER, ""),
    ("a payload length of 9", resealed(packet_of(101), 21, b"\x09"), None, ""),
    ("reserved octets", resealed(packet_of(101), 22, b"\0\7"), None, ""),
    ("another TOS on the way", spoiled(packet_of(101), 1, b"\0"), None, ""),
    ("TTL", packet_of(101, ttl=254), Reject.IP_TTL_ERR, "invalid TTL/HL"),
    ("TTL and ICV", packet_of(101, ttl=254, key=b"wrong"), Reject.IP_TTL_ERR, "invalid TTL/HL"),
    ("auth type", resealed(packet_of(101), 48, b"\1"), Reject.AUTHTYPE_MISMATCH, "received a 1 auth"),
    ("auth type and ICV", spoiled(packet_of(101), 48, b"\0"), Reject.AUTHTYPE_MISMATCH, "a 0 auth"),
    ("unknown auth type", resealed(packet_of(101), 48, b"\3"), Reject.INVALID_AUTHTYPE, "auth type: 3"),
    ("type and ICV", spoiled(packet_of(101), 44, b"\x22"), Reject.AUTH_FAILURE, "HMAC-MD5"),
    ("interval and ICV", spoiled(packet_of(101), 49, b"\2"), Reject.AUTH_FAILURE, "HMAC-MD5"),
    ("interval", resealed(packet_of(101), 49, b"\2"), Reject.ADVERT_INTERVAL_MISMATCH, "mismatch"),
    ("checksum", resealed(packet_of(101), 50, b"\0\0"), Reject.CHK_ERR, "Invalid VRRPv2 checksum"),
]


IDS = [row[0] for row in ROWS]


@pytest.mark.parametrize(("packet", "reason", "words"), [row[1:] for row in ROWS], ids=IDS)
def test_a_backup_that_has_heard_number_100(packet, reason, words):
    made = router()
    assert why(hear(made, packet_of(100))) == (None, [])
    reject, said = why(hear(made, packet))
    assert reject is reason
    assert bool(said) == bool(words)
    assert words in "".join(said)


def test_what_fails_later_has_still_used_its_number_and_what_is_false_has_not():
    made = router()
    hear(made, packet_of(300, key=b"wrong"))
    assert why(hear(made, packet_of(100))) == (None, [])
    hear(made, resealed(packet_of(118), 50, b"\0\0"))
    assert made.instances["VI_1"].association.sequence == 118


def test_who_takes_over_goes_on_counting():
    made = router()
    hear(made, packet_of(118))
    outputs = []
    while made.state_of("VI_1") is not State.MASTER:
        outputs += made.advance(made.exact_deadline_ns())
    assert numbers(outputs) == [119]


def test_a_master_skips_a_number_before_it_answers_a_weaker_one():
    made = router()
    while made.state_of("VI_1") is not State.MASTER:
        made.advance(made.exact_deadline_ns())
    outputs = hear(made, packet_of(200, 50), made.exact_deadline_ns() - 1)
    assert numbers(outputs) == [202]
    assert why(outputs)[1][:2] == [
        "(VI_1) Received advert from 10.9.0.1 with lower priority 50, ours 90, forcing new election",
        "(VI_1) IPSEC-AH : Syncing seq_num - Increment seq",
    ]


def test_numbers_end_at_the_last_and_then_stand_still():
    made = router()
    hear(made, packet_of(LAST_SEQUENCE - 3))
    sent = []
    while len(sent) < 5:
        sent += numbers(made.advance(made.exact_deadline_ns()))
    assert sent == [LAST_SEQUENCE - 2, LAST_SEQUENCE - 1, LAST_SEQUENCE, LAST_SEQUENCE, LAST_SEQUENCE]
    hear(made, packet_of(LAST_SEQUENCE + 1, 200), made.exact_deadline_ns() - 1)
    assert made.state_of("VI_1") is State.BACKUP


def test_a_reload_keeps_the_sequence_and_numbers_packets_anew():
    made = router()
    sent = []
    while len(sent) < 3:
        sent += numbers(made.advance(made.exact_deadline_ns()))
    now_ns = made.exact_deadline_ns() - 1
    assert numbers(made.reload(made.config, now_ns)) == [4]
    outputs = made.advance(made.exact_deadline_ns())
    packets = [each.packet for each in outputs if isinstance(each, SendAdvert)]
    assert [(packet[28:32], packet[4:6]) for packet in packets] == [(b"\0\0\0\5", b"\0\1")]


def test_peers_share_a_number():
    made = router(
        unicast_peers=(UnicastPeer(ip_address("10.9.0.1")), UnicastPeer(ip_address("10.9.0.3"))), source=OURS
    )
    outputs = []
    while made.state_of("VI_1") is not State.MASTER:
        outputs += made.advance(made.exact_deadline_ns())
    sent = [each.packet for each in outputs if isinstance(each, SendAdvert)]
    assert [(each[4:6], each[16:20], each[28:32]) for each in sent] == [
        (b"\0\1", ip_address("10.9.0.1").packed, b"\0\0\0\1"),
        (b"\0\1", ip_address("10.9.0.3").packed, b"\0\0\0\1"),
    ]


def test_each_protocol_has_its_own_listeners():
    """A message without a header is not heard, nor a sealed one where nobody asked for it: not a word."""
    message = message_of(packet_of(1))
    assert list(router().receive("eth0", Datagram(THEIRS, GROUP4, 255, message), SECOND_NS)) == []
    plain = router(dialect=RFC3768)
    assert list(hear(plain, packet_of(1))) == []


@pytest.mark.parametrize("octets", [0, 23, 24, 31])
def test_too_short_for_a_message(octets):
    packet = packet_of(1)[: 20 + octets]
    assert why(hear(router(), packet))[1] == [f"IPv4 VRRP packet with AH too short - {20 + octets} bytes"]
