"""Links and addresses of the kernel, through pyroute2: what there is, what changes, and how to change it.

Our own changes enter the mirror at once; their events come later, like everybody's, and are then skipped.
So what an event says besides is what a third party did.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from errno import EADDRNOTAVAIL, ENODEV
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from vrrpsim.protocol.configuration import Address, InstanceConfig, VirtualAddress
from vrrpsim.protocol.frames import mac_text, virtual_mac

from .background import background

IFF_UP, IFF_RUNNING = 0x1, 0x40
IFA_F_SECONDARY, IFA_F_NODAD, IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x01, 0x02, 0x08, 0x40
AF_INET6 = 10
LOOK_AGAIN_S = 0.2
GONE = (ENODEV, EADDRNOTAVAIL)


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as the kernel reports it; `up` is IFF_UP and IFF_RUNNING (§1.5)."""

    index: int
    up: bool
    mac: bytes
    kind: str = ""


@dataclass(frozen=True, slots=True)
class HeldAddress:
    """An address on an interface."""

    prefix_length: int
    flags: int

    @property
    def usable(self) -> bool:
        """Its duplicate detection, if any, is over and well."""
        return not self.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)


LinkChanged = Callable[[str, Link | None, Link | None], None]  # name, before, after
AddressChanged = Callable[[str, Address, HeldAddress | None, HeldAddress | None, bool], None]  # … by us


class Kernel:
    """A mirror of links and addresses that follows the kernel's events."""

    def __init__(self, link_changed: LinkChanged, address_changed: AddressChanged) -> None:
        self.links: dict[str, Link] = {}
        self.addresses: dict[tuple[str, Address], HeldAddress] = {}  # in the kernel's order
        self._names: dict[int, str] = {}
        self._ours: Counter[tuple[str, Address]] = Counter()  # changes whose event is still to come
        self._link_changed, self._address_changed = link_changed, address_changed
        self._made: list[str] = []
        self._ipr: Any = None
        self._monitor: Any = None
        self._listener: asyncio.Task[None] | None = None

    # --- life

    async def open(self) -> None:
        """Subscribe first, then look: nothing in between is missed."""
        from pyroute2 import AsyncIPRoute
        from pyroute2.netlink import rtnl

        self._ipr, self._monitor = AsyncIPRoute(), AsyncIPRoute()
        await self._monitor.bind(groups=rtnl.RTMGRP_LINK | rtnl.RTMGRP_IPV4_IFADDR | rtnl.RTMGRP_IPV6_IFADDR)
        await self._look()
        self._listener = background(self._listen())

    async def close(self) -> None:
        """Remove the macvlans that we made, and stop listening."""
        for name in (name for name in self._made if name in self.links):
            with suppress(OSError, self._error()):
                await self._ipr.link("del", index=self.links[name].index)
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})
        for socket in (self._monitor, self._ipr):
            if socket is not None:
                socket.close()

    @staticmethod
    def _error() -> type[Exception]:
        from pyroute2.netlink.exceptions import NetlinkError

        error: type[Exception] = NetlinkError
        return error

    # --- what others ask

    def primary(self, interface: str, family: int, virtual: Iterable[Address]) -> Address | None:
        """The address that adverts carry: IPv4 the first that is not secondary, IPv6 link-local (§5.1)."""
        virtual = set(virtual)
        for (name, address), held in self.addresses.items():
            if name != interface or address.version != family or address in virtual or not held.usable:
                continue
            if address.is_link_local if family == 6 else not held.flags & IFA_F_SECONDARY:
                return address
        return None

    # --- changing

    async def add(self, interface: str, entries: Iterable[VirtualAddress]) -> list[str]:
        """Add addresses; those that are there stay. Answer with what went wrong."""
        return [problem for entry in entries if (problem := await self._add(interface, entry))]

    async def _add(self, interface: str, entry: VirtualAddress) -> str:
        link = self.links.get(interface)
        if link is None:
            return f"interface {interface} is gone, {entry.address} cannot be added"
        if self.holds(interface, entry):
            return ""
        key = (interface, entry.address)
        self._ours[key] += 1
        flags = {"ifa_flags": IFA_F_NODAD} if entry.address.version == 6 else {}
        try:
            await self._ipr.addr(
                "replace",
                index=link.index,
                address=str(entry.address),
                prefixlen=entry.prefix_length,
                **flags,
            )
        except (OSError, self._error()) as error:
            self._ours[key] -= 1
            return f"{entry.address} cannot be added to {interface}: {error}"
        self._address(interface, entry.address, HeldAddress(entry.prefix_length, 0), by_us=True)
        return ""

    async def remove(self, interface: str, entries: Iterable[VirtualAddress]) -> list[str]:
        """Remove addresses that are there with exactly this prefix length: only those are ours."""
        return [problem for entry in entries if (problem := await self._remove(interface, entry))]

    async def _remove(self, interface: str, entry: VirtualAddress) -> str:
        key, link = (interface, entry.address), self.links.get(interface)
        if link is None or not self.holds(interface, entry):
            return ""
        self._ours[key] += 1
        try:
            await self._ipr.addr(
                "del", index=link.index, address=str(entry.address), prefixlen=entry.prefix_length
            )
        except (OSError, self._error()) as error:
            self._ours[key] -= 1
            gone = getattr(error, "code", None) in GONE
            return "" if gone else f"{entry.address} cannot be removed from {interface}: {error}"
        self._address(interface, entry.address, None, by_us=True)
        return ""

    def holds(self, interface: str, entry: VirtualAddress) -> bool:
        """Whether this very address, prefix length included, is on the interface."""
        held = self.addresses.get((interface, entry.address))
        return held is not None and held.prefix_length == entry.prefix_length

    async def make_vmac(self, config: InstanceConfig) -> None:
        """§5.3: a private macvlan with the virtual MAC, up; one that a crash left is used again."""
        name, base = config.vmac_interface, config.interface
        try:
            await self._make_vmac(name, base, virtual_mac(config.family, config.vrid))
        except (OSError, KeyError, self._error()) as error:  # KeyError: one of them is gone meanwhile
            raise VmacImpossible(f"cannot make macvlan {name} on {base}: {error}") from error

    async def _make_vmac(self, name: str, base: str, mac: bytes) -> None:
        there = self.links.get(name)
        if there is None:
            await self._ipr.link(
                "add",
                ifname=name,
                kind="macvlan",
                link=self.links[base].index,
                macvlan_mode="private",
                address=mac_text(mac),
            )
        elif there.kind != "macvlan" or there.mac != mac:
            raise VmacImpossible(f"interface {name} exists and is not our macvlan {mac_text(mac)}")
        if name not in self._made:
            self._made.append(name)
        await self._look()
        for path, value in _VMAC_SETTINGS:  # answer ARP for the VIPs only here, and never with the other MAC
            _set(path.format(vmac=name, base=base), value)
        await self._ipr.link("set", index=self.links[name].index, state="up")
        await self._look()

    # --- listening

    async def _look(self) -> None:
        """Compare with a full dump; also after events were lost."""
        links = [message async for message in await self._ipr.get_links()]
        for message in links:
            self._heard(message, "RTM_NEWLINK")
        there = {message["index"] for message in links}
        for index in [index for index in self._names if index not in there]:
            self._link(index, self._names[index], None)
        found = set()
        async for message in await self._ipr.get_addr():
            found.add(self._heard(message, "RTM_NEWADDR"))
        for interface, address in [key for key in self.addresses if key not in found]:
            self._address(interface, address, None)

    async def _listen(self) -> None:
        while True:
            try:
                async for message in self._monitor.get():
                    self._heard(message, message["event"], True)
            except (OSError, self._error()):  # ENOBUFS: the kernel dropped events
                self._ours.clear()
                with suppress(OSError, self._error()):  # no room for it now: soon
                    await self._look()
                    continue
                await asyncio.sleep(LOOK_AGAIN_S)

    def _heard(self, message: Any, event: str, told: bool = False) -> tuple[str, Address] | None:
        if event in ("RTM_NEWLINK", "RTM_DELLINK"):
            name = message.get("ifname") or message.get_attr("IFLA_IFNAME")
            flags, info = message["flags"], message.get_attr("IFLA_LINKINFO")
            up = flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING
            mac = bytes.fromhex((message.get_attr("IFLA_ADDRESS") or "").replace(":", ""))
            kind = (info.get_attr("IFLA_INFO_KIND") if info else "") or ""
            if not name or message.get("family"):  # a bridge's report about a port
                return None
            link = Link(message["index"], up, mac, kind)
            self._link(message["index"], name, link if event == "RTM_NEWLINK" else None)
        elif event in ("RTM_NEWADDR", "RTM_DELADDR"):
            interface = self._names.get(message["index"])
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            if interface is None or text is None:
                return None
            flags = message.get_attr("IFA_FLAGS")
            held = HeldAddress(message["prefixlen"], message["flags"] if flags is None else flags)
            key = (interface, ip_address(text))
            if told and self._ours[key] > 0:
                self._ours[key] -= 1
            else:
                self._address(*key, held if event == "RTM_NEWADDR" else None)
            return key
        return None

    def _link(self, index: int, name: str, link: Link | None) -> None:
        old_name = self._names.pop(index, name)
        before = self.links.pop(old_name, None)
        if link is not None and old_name != name:  # renamed, with all that is on it
            self._names[index], self.links[name] = name, link
            for interface, address in [key for key in self.addresses if key[0] == old_name]:
                self.addresses[name, address] = self.addresses.pop((interface, address))
            self._link_changed(old_name, before, None)
            self._link_changed(name, None, link)
            return
        if link is not None:
            self._names[index] = name
            self.links[name] = link
        else:
            for interface, address in [key for key in self.addresses if key[0] == old_name]:
                self._address(interface, address, None)
        if before != link:
            self._link_changed(name, before, link)

    def _address(
        self, interface: str, address: Address, held: HeldAddress | None, by_us: bool = False
    ) -> None:
        key = (interface, address)
        before = self.addresses.get(key)
        if held is None:
            self.addresses.pop(key, None)
        else:
            self.addresses[key] = held
        if before != held:
            self._address_changed(interface, address, before, held, by_us)


class VmacImpossible(Exception):
    """A VMAC cannot be made, or its name belongs to somebody else's interface."""

    exit_code = 4


_VMAC_SETTINGS = (
    ("ipv6/conf/{vmac}/addr_gen_mode", "1"),
    ("ipv4/conf/{vmac}/arp_ignore", "1"),
    ("ipv4/conf/{vmac}/accept_local", "1"),
    ("ipv4/conf/{vmac}/rp_filter", "0"),
    ("ipv4/conf/{base}/arp_ignore", "1"),
    ("ipv4/conf/{base}/arp_filter", "1"),
)


def _set(path: str, value: str) -> None:
    """A sysctl that may not exist or not be ours to write: then the kernel's default stays."""
    with suppress(OSError):
        Path("/proc/sys/net", path).write_text(value)
