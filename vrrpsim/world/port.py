"""A port on a segment: a network card with its kernel's neighbour discovery behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.model import Neighbours as Personality

from .context import Context
from .frame import BROADCAST, REPLY, REQUEST, Frame, NeighbourFrame, VrrpFrame
from .neighbours import Entry, NeighbourCache, NetworkCard
from .segment import Segment


class PortUser(ABC):
    """Whoever has the port: a node's interface or a client."""

    kernel_runs = True  # powered and not paused: it sends, receives and answers

    @abstractmethod
    def hear_vrrp(self, port: Port, frame: VrrpFrame) -> None:
        """An IP packet of protocol 112 arrived."""

    @abstractmethod
    def neighbour_moved(self, port: Port, entry: Entry) -> None:
        """A neighbour has another MAC now, or none."""

    @abstractmethod
    def light(self, port: Port, up: bool) -> None:
        """At the other end of the port's cable is something that has power, or no longer."""


class Port(NetworkCard):
    """One attachment. `local` maps each address that the kernel answers for to the MAC it answers with."""

    def __init__(
        self,
        context: Context,
        segment: Segment[Port],
        name: str,
        rank: int,
        mac: bytes,
        owner: PortUser,
        personality: Personality,
    ) -> None:
        self.context = context
        self.segment = segment
        self.name = name
        self.interface = name.rpartition(":")[2]
        self.rank = rank
        self.mac = mac
        self.owner = owner
        self.hear_vrrp = owner.hear_vrrp
        self.carrier = True
        self.reported = True  # IFF_UP and IFF_RUNNING as the kernel tells its processes
        self.local: dict[Address, bytes] = {}
        self.martians: frozenset[Address] = frozenset()  # IPv4 sources that Linux drops: addresses of its own
        self.virtual_macs: dict[str, bytes] = {}  # by macvlan name
        self.dropped: set[Address] = set()  # a firewall rule lets nothing through to these
        self.groups: set[bytes] = set()  # multicast MACs joined for VRRP
        self.tap: Callable[[Frame], object] | None = None  # hears first what comes off the wire
        self.cache = NeighbourCache(self, personality)
        segment.ports.append(self)
        segment.membership_changed()

    @property
    def alive(self) -> bool:
        """The kernel behind it runs."""
        return self.owner.kernel_runs

    def has_mac(self, mac: bytes) -> bool:
        """The card, or a macvlan on it, has this MAC."""
        return mac == self.mac or mac in self.virtual_macs.values()

    def neighbour_moved(self, entry: Entry) -> None:
        """Tell the owner."""
        self.owner.neighbour_moved(self, entry)

    def wants(self, frame: Frame) -> bool:
        """Adverts to a group reach only who joined it; broadcasts reach everybody."""
        return frame.dst_mac == BROADCAST or not isinstance(frame, VrrpFrame) or frame.dst_mac in self.groups

    def transmit(self, frame: Frame) -> None:
        """Put a frame on the segment, if the machine can."""
        if self.owner.kernel_runs:
            self.segment.transmit(self, frame)

    def send_ip(self, frame: VrrpFrame) -> None:
        """Send an IP packet: multicast at once, unicast when the neighbour is known."""
        if not self.owner.kernel_runs:
            return
        if frame.multicast or not self.carrier:  # without carrier nothing waits for a neighbour
            self.segment.transmit(self, frame)
        else:
            self.cache.send(frame.datagram.destination, frame, frame.datagram.source)

    def ask(self, entry: Entry, mac: bytes | None) -> None:
        """Solicit a neighbour, by unicast if its MAC is believed. The card's own MAC shows (34c)."""
        if entry.source is not None:
            self.transmit(NeighbourFrame(REQUEST, self.mac, entry.source, entry.address, mac or BROADCAST))

    def receive(self, frame: Frame) -> None:
        """A frame arrived at the card."""
        if self.tap is not None:
            self.tap(frame)
        if not self.carrier:
            self._lose(frame, "carrier")
        elif not self.owner.kernel_runs:
            self._lose(frame, "down")
        elif type(frame) is VrrpFrame:
            if (frame.multicast and not self.martians) or self.hears(frame):
                self.hear_vrrp(self, frame)
        elif isinstance(frame, NeighbourFrame) and (frame.dst_mac[0] & 1 or self.has_mac(frame.dst_mac)):
            self._hear_neighbour(frame)

    def hears(self, frame: VrrpFrame) -> bool:
        """Whether the kernel takes this advert for its own."""
        heard = frame.datagram
        if not frame.multicast and not (self.has_mac(frame.dst_mac) and heard.destination in self.local):
            return False
        return not self.martians or heard.source not in self.martians

    def lose(self, frame: Frame, reason: str) -> None:
        """A frame that it wanted to send vanishes."""
        self.segment.lose(self, None, frame, reason)

    def _lose(self, frame: Frame, reason: str) -> None:
        sender = self.segment.mac_table.get(frame.src_mac, self)
        self.segment.lose(sender, self, frame, reason)

    def _hear_neighbour(self, frame: NeighbourFrame) -> None:
        """arp_process: answer for our addresses, learn of the others.

        A gratuitous ARP *request* for an address that is still here is answered too; IPv6's unsolicited
        advertisement is not a question.
        """
        mac = self.local.get(frame.target) if frame.asks else None
        if mac is not None:
            if frame.sender not in self.local:
                self.cache.hear(frame, True)
            self.transmit(NeighbourFrame(REPLY, mac, frame.target, frame.sender, frame.sender_mac))
        elif (frame.asks and frame.sender is frame.target) or frame.sender not in self.local:
            self.cache.hear(frame, False)
