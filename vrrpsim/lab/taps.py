"""The sockets through which a run is watched; each function gives what has come since it was asked last.

What a kernel reports of its addresses, what enters the bridges, and what the bridges are told to lose.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

from vrrpsim.protocol.ah import PROTOCOL_AH
from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.packet import PROTOCOL_VRRP

from . import kernel

NEW_LINK, NEW_ADDRESS, REMOVED_ADDRESS = 16, 20, 21  # rtnetlink messages
NAME_OF_LINK, ADDRESS, LOCAL_ADDRESS = 3, 1, 2  # their attributes
GROUPS = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses
NETFILTER, CONFIGURE_LOG, LOGGED_PACKET = 12, 0x401, 0x400  # nfnetlink_log
LOG_GROUP = 1  # of a run's own network namespace
MARK, TIME, PAYLOAD, REASON, ETHERNET = 2, 3, 9, 10, 16  # attributes of what is logged
CAME_BY, WOULD_LEAVE_BY = 6, 7
ALL_FRAMES, SO_TIMESTAMPNS, SO_ATTACH_FILTER = 3, 35, 26
OUTGOING = 4
ETHERNET_BYTES = 14

# Classic BPF: not what leaves through a port; ARP, protocols 112 and 51, and for IPv6 also ICMP (58).
FILTER = (
    (0x20, 0, 0, 0xFFFFF004), (0x15, 11, 0, OUTGOING),
    (0x28, 0, 0, 12), (0x15, 8, 0, 0x0806),
    (0x15, 0, 3, 0x0800), (0x30, 0, 0, 23), (0x15, 5, 0, PROTOCOL_VRRP), (0x15, 4, 5, PROTOCOL_AH),
    (0x15, 0, 4, 0x86DD), (0x30, 0, 0, 20), (0x15, 1, 0, PROTOCOL_VRRP), (0x15, 0, 1, 58),
    (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
)  # fmt: skip


# --- addresses


class AddressReport(NamedTuple):
    """An address came to an interface or left it."""

    interface: int
    address: Address
    present: bool


def monitor(network: int) -> tuple[socket.socket, dict[int, str]]:
    """Follow the links and addresses of a namespace; beside it, the links that it has."""
    with kernel.inside(network):
        tap = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        names = dict(socket.if_nameindex())
    tap.setblocking(False)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    tap.bind((0, GROUPS))
    return tap, names


def changes(tap: socket.socket) -> Iterator[tuple[int, str] | AddressReport]:
    """Give changes of addresses, and the numbers and names of new links."""
    for kind, body in _messages(tap):
        if kind == NEW_LINK:
            name = _attributes(body[16:]).get(NAME_OF_LINK, b"").rstrip(b"\0").decode()
            yield struct.unpack_from("=i", body, 4)[0], name
        elif kind in (NEW_ADDRESS, REMOVED_ADDRESS):
            found = _attributes(body[8:])
            address = ip_address(found.get(LOCAL_ADDRESS) or found[ADDRESS])
            yield AddressReport(struct.unpack_from("=I", body, 4)[0], address, kind == NEW_ADDRESS)


# --- frames


def sniffer(network: int) -> socket.socket:
    """Hear what enters the bridges of a namespace, with the kernel's time stamps."""
    with kernel.inside(network):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
    buffer = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in FILTER))
    program = struct.pack("=HxxxxxxQ", len(FILTER), ctypes.addressof(buffer))
    tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    tap.setblocking(False)
    return tap


def frames(tap: socket.socket) -> Iterator[tuple[int, str, bytes]]:
    """Give instants since 1970 in nanoseconds, ports and frames."""
    with suppress(BlockingIOError):
        while True:
            frame, ancillary, _, (port, *_) = tap.recvmsg(4096, 256)
            seconds, rest = struct.unpack("=qq", ancillary[0][2][:16])
            yield seconds * 1_000_000_000 + rest, port, frame


class Dropped(NamedTuple):
    """A frame that a rule of nftables logs to `LOG_GROUP` and drops; `reason` is the rule's log prefix."""

    wall_ns: int
    came_by: int
    would_leave_by: int
    mark: int
    reason: str
    frame: bytes


def drop_log(network: int) -> socket.socket:
    """Hear what the bridges of a namespace lose by rules."""
    with kernel.inside(network):
        tap = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
    tap.bind((0, 0))
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    bind, whole_frames, at_once = (1, b"\1"), (2, struct.pack(">IBx", 0, 2)), (5, struct.pack(">I", 1))
    body = struct.pack(">BBH", 0, 0, LOG_GROUP)
    for kind, value in (bind, whole_frames, at_once):
        body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    tap.send(struct.pack("=IHHII", 16 + len(body), CONFIGURE_LOG, 1, 0, 0) + body)
    tap.setblocking(False)
    return tap


def dropped(tap: socket.socket, now_wall_ns: int) -> Iterator[Dropped]:
    """Give what was lost; what has no time stamp is lost now."""
    for kind, body in _messages(tap):
        found = _attributes(body[4:]) if kind == LOGGED_PACKET else {}
        if ETHERNET in found:
            seconds, micros = struct.unpack(">QQ", found[TIME]) if TIME in found else (0, now_wall_ns // 1000)
            came_by, would_leave_by, mark = (
                int.from_bytes(found.get(each, b""), "big") for each in (CAME_BY, WOULD_LEAVE_BY, MARK)
            )
            reason = found.get(REASON, b"").rstrip(b"\0").decode()
            frame = found[ETHERNET][:ETHERNET_BYTES] + found.get(PAYLOAD, b"")
            at_ns = (seconds * 1_000_000 + micros + 1) * 1000 - 1  # cut off: not before it was sent
            yield Dropped(at_ns, came_by, would_leave_by, mark, reason, frame)


# --- netlink


def _messages(tap: socket.socket) -> Iterator[tuple[int, bytes]]:
    with suppress(BlockingIOError):
        while True:
            data = tap.recv(65536)
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                yield kind, data[16:length]
                data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found
