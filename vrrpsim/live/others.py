"""Other programs on this host that serve our virtual routers, noticed by the adverts that they send.

keepalived does not let its multicast come back to its own host, so no VRRP socket here hears it. What leaves
by an interface is seen by a packet socket; those slow every packet down a little, so ours closes soon.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vrrpsim.protocol.packet import PROTOCOL_VRRP

LOOK_S = 10.0  # from the start
_ETH_P_ALL, _SO_ATTACH_FILTER, _PACKET_OUTGOING = 3, 26, 4
_RULES = (  # of a classic BPF: code, jump if true, if false, operand; what is read begins with the IP header
    (0x30, 0, 0, 0xFFFFF004),  # A = packet type
    (0x15, 0, 8, _PACKET_OUTGOING),
    (0x28, 0, 0, 0xFFFFF000),  # A = EtherType
    (0x15, 3, 0, 0x0800),
    (0x15, 0, 5, 0x86DD),
    (0x30, 0, 0, 6),  # A = next header of IPv6
    (0x05, 0, 0, 1),
    (0x30, 0, 0, 9),  # A = protocol of IPv4
    (0x15, 0, 1, PROTOCOL_VRRP),
    (0x06, 0, 0, 0xFFFF),  # the packet
    (0x06, 0, 0, 0),  # nothing of it
)
Heard = Callable[[str, int, int], None]


class Others:
    """Says once for each virtual router that adverts leave by an interface: (interface, family, VRID)."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._sockets: list[socket.socket] = []
        self._known: set[tuple[str, int, int]] = set()

    def look(self, interface: str) -> None:
        """Begin. `OSError`: there is no looking."""
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._sockets.append(tap)
        tap.setblocking(False)
        rules = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in _RULES))
        program = struct.pack("@HP", len(_RULES), ctypes.addressof(rules))
        tap.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        tap.bind((interface, _ETH_P_ALL))
        asyncio.get_running_loop().add_reader(tap.fileno(), self._readable, interface, tap)

    def ours(self, interface: str, family: int, vrid: int) -> None:
        """We send adverts of this one ourselves."""
        if self._sockets:
            self._known.add((interface, family, vrid))

    def _readable(self, interface: str, tap: socket.socket) -> None:
        try:
            packet = tap.recv(128)
        except OSError:  # the interface went down
            return
        family = packet[0] >> 4
        message = packet[40:] if family == 6 else packet[(packet[0] & 0xF) * 4 :]
        if len(message) > 1 and (router := (interface, family, message[1])) not in self._known:
            self._known.add(router)
            self._heard(*router)

    def close(self) -> None:
        """Look no more."""
        for tap in self._sockets:
            asyncio.get_running_loop().remove_reader(tap.fileno())
            tap.close()
        self._sockets.clear()


def vrrp_programs() -> list[str]:
    """The other processes here that have a VRRP socket, such as `process 7 (keepalived)`."""
    wanted = set()
    for table in ("raw", "raw6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) == PROTOCOL_VRRP:
                wanted.add(f"socket:[{words[9]}]")
    found = []
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        with suppress(OSError):
            if int(folder.name) != os.getpid() and wanted & {
                str(fd.readlink()) for fd in (folder / "fd").iterdir()
            }:
                found.append(f"process {folder.name} ({(folder / 'comm').read_text().strip()})")
    return found
