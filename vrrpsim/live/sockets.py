"""VRRP on raw sockets: IPv4 and IPv6, multicast and unicast, and gratuitous frames (rfc.md §3, §6).

Sending: sockets of protocol 255 take whole IP packets and receive nothing, so what leaves is byte for byte
what `frames` builds (TOS 0xC0, no DF, keepalived.md §5.1). Receiving: one socket of protocol 112 for each
interface and family, bound to the device; TTL, destination and bytes go up as they came. The kernel checks
the IPv4 header, the engine everything else.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from vrrpsim.protocol.ah import PROTOCOL_AH, message_of
from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.frames import ipv4_packet, ipv6_packet
from vrrpsim.protocol.packet import PROTOCOL_VRRP, Datagram

Received = Callable[[str, Datagram], None]

AT_ONCE = 64  # datagrams read before timers and signals get their turn: a flood must not stop adverts
DATAGRAM_BYTES = 16_384  # more than any advert
SO_PRIORITY_CONTROL = 7  # TC_PRIO_CONTROL
IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29
ADDRESSES = 1024  # remembered; the engine knows an advert that comes again by the identity of its addresses
_NO_DATAGRAM = (BlockingIOError, InterruptedError)


class Wire:
    """All sockets of one daemon."""

    def __init__(self, received: Received) -> None:
        self.errors: Counter[str] = Counter()  # what the kernel refused, by errno name or reason
        self._received = received
        self._listening: dict[tuple[str, int], socket.socket] = {}
        self._senders: dict[tuple[str, int], socket.socket] = {}
        self._packets: dict[str, socket.socket] = {}
        self._identification = 0

    # --- sending

    def send(
        self,
        device: str,
        source: Address,
        destination: Address,
        ttl: int,
        payload: bytes,
        packet: bytes = b"",
    ) -> str:
        """Send one advert from the device, or a whole packet; answer with what went wrong, "" if nothing."""
        try:
            sender = self._sender(device, source.version)
            if source.version == 4:
                before, behind, place = _around_identification(source, destination, ttl, payload)
                self._identification = number = self._identification % 0xFFFF + 1
                sender.sendto(packet or before + number.to_bytes(2, "big") + behind, place)
            else:
                packet, place6 = _whole_ipv6(source, destination, ttl, payload)
                sender.sendto(packet, place6)
        except OSError as error:
            return self._refused(error)
        return ""

    def send_frame(self, device: str, frame: bytes) -> str:
        """Send one Ethernet frame from the device; answer as `send` does."""
        try:
            if device not in self._packets:
                sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                sender.setblocking(False)
                self._packets[device] = sender
                sender.bind((device, 0))
            self._packets[device].send(frame)
        except OSError as error:
            self._forget_packet(device)
            return self._refused(error)
        return ""

    def _sender(self, device: str, family: int) -> socket.socket:
        if (device, family) not in self._senders:
            inet = socket.AF_INET if family == 4 else socket.AF_INET6
            sender = socket.socket(inet, socket.SOCK_RAW, socket.IPPROTO_RAW)
            try:
                sender.setblocking(False)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, SO_PRIORITY_CONTROL)
                if family == 4:
                    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
                else:
                    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            except OSError:
                sender.close()
                raise
            self._senders[device, family] = sender
        return self._senders[device, family]

    def _refused(self, error: OSError) -> str:
        reason = error.strerror or str(error)
        self.errors[reason] += 1
        return reason

    # --- receiving

    def listen(
        self,
        interface: str,
        family: int,
        groups: Iterable[Address],
        device: str | None = None,
        sealed: bool = False,
    ) -> None:
        """Hear the interface: what is sent to its addresses and to these groups.

        `sealed`: what comes behind an Authentication Header (IPv4 only), on a socket of its own.

        `device`: its macvlan that is heard instead. The kernel gives a macvlan of private mode, and nobody
        else, the frames that come with its own MAC: those of every router that shares the virtual MAC.
        """
        device = device or interface
        kind = PROTOCOL_AH if sealed else family
        if (device, kind) not in self._listening:
            inet = socket.AF_INET if family == 4 else socket.AF_INET6
            listener = socket.socket(inet, socket.SOCK_RAW, PROTOCOL_AH if sealed else PROTOCOL_VRRP)
            try:
                listener.setblocking(False)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
                if family == 4:
                    listener.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
                    read = self._read_ipv4
                else:
                    listener.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
                    read = self._read_ipv6
            except OSError:
                listener.close()
                raise
            self._listening[device, kind] = listener
            loop = asyncio.get_running_loop()
            loop.add_reader(listener.fileno(), self._drain, interface, listener, read)
        for group in groups:
            self._join(device, kind, group)

    def _join(self, device: str, kind: int, group: Address) -> None:
        listener, index = self._listening[device, kind], socket.if_nametoindex(device)
        try:
            if group.version == 4:
                request = struct.pack("=4s4si", group.packed, bytes(4), index)
                listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            else:
                request = struct.pack("=16si", group.packed, index)
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        except OSError as error:
            if error.errno != 98:  # EADDRINUSE: joined already
                raise

    def _drain(
        self,
        interface: str,
        listener: socket.socket,
        read: Callable[[socket.socket], Datagram | None],
    ) -> None:
        for _ in range(AT_ONCE):
            try:
                datagram = read(listener)
            except _NO_DATAGRAM:
                return
            except OSError as error:  # the link went down under the socket
                self._refused(error)
                return
            if datagram is None:
                self.errors["no IP header"] += 1
            else:
                self._received(interface, datagram)
            if listener.fileno() < 0:
                return

    def _read_ipv4(self, listener: socket.socket) -> Datagram | None:
        return read_ipv4(listener.recv(DATAGRAM_BYTES))

    def _read_ipv6(self, listener: socket.socket) -> Datagram | None:
        payload, ancillary, _, sender = listener.recvmsg(DATAGRAM_BYTES, 256)
        return read_ipv6(payload, ancillary, sender[0])

    # --- life

    def forget(self, interface: str) -> None:
        """Close what is bound to an interface that is gone; sending opens anew, `listen` must be called."""
        for family in (4, 6, PROTOCOL_AH):
            listener = self._listening.pop((interface, family), None)
            if listener is not None:
                asyncio.get_running_loop().remove_reader(listener.fileno())
                listener.close()
            sender = self._senders.pop((interface, family), None)
            if sender is not None:
                sender.close()
        self._forget_packet(interface)

    def _forget_packet(self, device: str) -> None:
        if device in self._packets:
            self._packets.pop(device).close()

    def close(self) -> None:
        """Close everything; memberships go with their sockets."""
        names = [name for name, _ in (*self._listening, *self._senders)]
        for name in {*names, *self._packets}:
            self.forget(name)


_ipv4 = lru_cache(ADDRESSES)(IPv4Address)
_ipv6 = lru_cache(ADDRESSES)(IPv6Address)


@lru_cache(ADDRESSES)
def _around_identification(
    source: Address, destination: Address, ttl: int, payload: bytes
) -> tuple[bytes, bytes, tuple[str, int]]:
    """The packet before and behind its identification, and where it goes. The kernel sets the checksum."""
    packet = ipv4_packet(source, destination, ttl, PROTOCOL_VRRP, 0, payload)
    return packet[:4], packet[6:], (str(destination), 0)


@lru_cache(ADDRESSES)
def _whole_ipv6(
    source: Address, destination: Address, ttl: int, payload: bytes
) -> tuple[bytes, tuple[str, int]]:
    """The packet, and where it goes: from the device that the socket is bound to, so without a scope."""
    return ipv6_packet(source, destination, ttl, PROTOCOL_VRRP, payload), (str(destination), 0)


def read_ipv4(packet: bytes) -> Datagram | None:
    """What a raw IPv4 socket gives; None without a whole header."""
    header = (packet[0] & 0xF) * 4 if packet else 0
    if not 20 <= header <= len(packet):
        return None
    source, destination, ttl = _ipv4(packet[12:16]), _ipv4(packet[16:20]), packet[8]
    if packet[9] == PROTOCOL_AH:
        return Datagram(source, destination, ttl, message_of(packet), packet)
    return Datagram(source, destination, ttl, packet[header:])


def read_ipv6(payload: bytes, ancillary: Iterable[tuple[int, int, bytes]], sender: str) -> Datagram | None:
    """The same of what a raw IPv6 socket gives: hop limit and destination come beside the payload."""
    beside = {kind: data for level, kind, data in ancillary if level == socket.IPPROTO_IPV6}
    hop_limit, info = beside.get(socket.IPV6_HOPLIMIT, b""), beside.get(socket.IPV6_PKTINFO, b"")
    if len(hop_limit) != 4 or len(info) < 16:
        return None
    source = _ipv6(sender.partition("%")[0])
    return Datagram(source, _ipv6(info[:16]), int.from_bytes(hop_limit, sys.byteorder), payload)
