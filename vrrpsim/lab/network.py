"""The wires: one bridge a segment, one veth pair an attachment, and what frames suffer on their way.

Bridges stand in a network namespace of the lab's own, which has no other interface: nothing leaves. All of
it is ordinary blocking rtnetlink through pyroute2, for one thread that does nothing else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.frames import mac_text
from vrrpsim.scenario.model import Scenario

from . import kernel
from .taps import LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Interface, IPv6Interface

TABLE = "bridge vrrpsim"
PROTOCOLS = {  # the words of `only:` as nftables says them
    "vrrp": ("ether type ip ip protocol 112", "ether type ip6 ip6 nexthdr 112"),
    "arp": ("ether type arp",),
    "nd": ("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }",),
    "icmp": ("ether type ip ip protocol icmp", "icmpv6 type { echo-request, echo-reply }"),
    "app": ("ether type ip ip protocol tcp", "ether type ip6 ip6 nexthdr tcp"),
}


class LabNetwork:
    """Everything between the machines. Made in the namespace in which the bridges are to be."""

    def __init__(self, scenario: Scenario) -> None:
        self.network = kernel.open_space("net")
        self.ports: dict[str, str] = {}  # NODE/INTERFACE or CLIENT -> the bridge's end of the cable
        self._ends: dict[int, str] = {}  # by the number of the port
        self._bridges = {name: f"br{number}" for number, name in enumerate(scenario.segments, 1)}
        self._rules = 0
        with self._netlink() as ipr:
            for bridge in self._bridges.values():
                ipr.link("add", ifname=bridge, kind="bridge", br_mcast_snooping=0)
                _quiet(bridge)
                ipr.link("set", index=_index(ipr, bridge), state="up")
        self._nft(f"add table {TABLE}")
        hook = "{ type filter hook forward priority 0; policy accept; }"
        self._nft(f"add chain {TABLE} forward {hook}")

    @contextmanager
    def _netlink(self, network: int | None = None) -> Iterator[Any]:
        from pyroute2 import IPRoute

        with kernel.inside(self.network if network is None else network), IPRoute() as ipr:
            yield ipr

    # --- cables

    def attach(
        self,
        end: str,
        segment: str,
        network: int,
        interface: str,
        mac: bytes,
        addresses: Sequence[IPv4Interface | IPv6Interface],
        routes: Iterable[Address] = (),
    ) -> None:
        """Lay a cable from the segment's bridge to an interface in another namespace, and set that up."""
        port = self.ports.setdefault(end, f"p{len(self.ports) + 1}")
        with self._netlink() as ipr:
            peer = {"ifname": interface, "address": mac_text(mac), "net_ns_fd": network}
            ipr.link("add", ifname=port, kind="veth", peer=peer)
            _quiet(port)
            bridge = _index(ipr, self._bridges[segment])
            number = _index(ipr, port)
            self._ends[number] = end
            ipr.link("set", index=number, master=bridge, state="up")
        with self._netlink(network) as ipr:
            index = _index(ipr, interface)
            _quiet(interface)
            for address in addresses:
                flags = {"ifa_flags": 2} if address.version == 6 else {}  # IFA_F_NODAD
                ipr.addr(
                    "add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **flags
                )
            ipr.link("set", index=_index(ipr, "lo"), state="up")
            ipr.link("set", index=index, state="up")
            for target in routes:
                ipr.route("replace", dst=f"{target}/{target.max_prefixlen}", oif=index)

    def stranger(self, segment: str) -> str:
        """Plug in a card that belongs to nobody; answer with its name here."""
        bridge = self._bridges[segment]
        with self._netlink() as ipr:
            ipr.link("add", ifname=f"x{bridge}", kind="veth", peer={"ifname": f"y{bridge}"})
            for name in (f"x{bridge}", f"y{bridge}"):
                _quiet(name)
                ipr.link("set", index=_index(ipr, name), state="up")
            ipr.link("set", index=_index(ipr, f"y{bridge}"), master=_index(ipr, bridge))
        return f"x{bridge}"

    def end_of(self, port: str) -> str:
        """Whose cable is in a port; "" for nobody's."""
        return next((end for end, name in self.ports.items() if name == port), "")

    def end_at(self, number: int) -> str:
        """The same by the number of the port."""
        return self._ends.get(number, "")

    def plug(self, end: str, connected: bool) -> None:
        """Pull the cable out of the switch or back in: the machine loses carrier, nobody else knows."""
        with self._netlink() as ipr:
            ipr.link("set", index=_index(ipr, self.ports[end]), state="up" if connected else "down")

    def detach(self, end: str) -> None:
        """Remove the cable, unless it has gone with the machine."""
        from pyroute2.netlink.exceptions import NetlinkError

        with self._netlink() as ipr, suppress(NetlinkError):
            for index in ipr.link_lookup(ifname=self.ports[end]):
                ipr.link("del", index=index)

    def remove_address(self, network: int, address: Address) -> None:
        """Take an address away in a machine, wherever it is."""
        with self._netlink(network) as ipr:
            for held in list(ipr.get_addr(address=str(address))):
                ipr.addr("del", index=held["index"], address=str(address), prefixlen=held["prefixlen"])

    def add_address(self, network: int, interface: str, address: IPv4Interface | IPv6Interface) -> None:
        """Give an interface of a machine an address; one that is there already is not an error."""
        flags = {"ifa_flags": 2} if address.version == 6 else {}  # IFA_F_NODAD
        with self._netlink(network) as ipr:
            index, prefix = _index(ipr, interface), address.network.prefixlen
            ipr.addr("replace", index=index, address=str(address.ip), prefixlen=prefix, **flags)

    def set_interface(self, network: int, interface: str, up: bool) -> None:
        """What `ip link set up` and `down` do in a machine."""
        with self._netlink(network) as ipr:
            ipr.link("set", index=_index(ipr, interface), state="up" if up else "down")

    # --- frames

    def drop(self, cases: Iterable[str], reason: str = "", loss: float | None = None) -> list[str]:
        """Lose frames that match any of the cases; answer with the names of the rules, for `allow`.

        With a reason each lost frame is logged.
        """
        millionths = 1_000_000 if loss is None else round(loss * 1e6)
        chance = f"numgen random mod 1000000 < {millionths} " if millionths < 1_000_000 else ""
        told = f'log prefix "{reason}" group {LOG_GROUP} ' if reason else ""
        names, text = [], []
        for case in cases:
            self._rules += 1
            names.append(f"rule{self._rules}")
            text += [
                f"add chain {TABLE} {names[-1]}",
                f"add rule {TABLE} {names[-1]} {chance}{told}drop",
                f'add rule {TABLE} forward {case} jump {names[-1]} comment "{names[-1]}"',
            ]
        self._nft("\n".join(text))
        return names

    def allow(self, names: Sequence[str]) -> None:
        """End a loss."""
        self._nft("\n".join(f"flush chain {TABLE} {name}" for name in names))

    def _nft(self, text: str) -> None:
        with kernel.inside(self.network):
            subprocess.run(
                ["nft", "-f", "-"], input=text.encode(), check=True, stdout=subprocess.DEVNULL, stderr=None
            )


def segment_of_ends(scenario: Scenario) -> dict[str, str]:
    """Where each cable, NODE/INTERFACE or CLIENT, leads."""
    ends = {
        f"{name}/{interface}": model.segment
        for name, node in scenario.nodes.items()
        for interface, model in node.interfaces.items()
    }
    return ends | {name: client.segment for name, client in scenario.clients.items()}


def paths(senders: Iterable[str] | None, receivers: Iterable[str] | None) -> list[str]:
    """Say as nftables which ports frames come from and go to; None: any."""
    ways = []
    for word, ports in (("iifname", senders), ("oifname", receivers)):
        if ports is not None:
            names = ", ".join(f'"{port}"' for port in sorted(set(ports)))
            ways.append(f"{word} {{ {names} }}")
    return [" ".join(ways)]


def kinds(only: Iterable[str], virtual: Mapping[int, Sequence[Address]]) -> list[str]:
    """Say as nftables which frames are meant; nothing: all. Gratuitous ones speak of a virtual address."""
    cases: list[str] = []
    for kind in only:
        cases += PROTOCOLS.get(kind, ())
        if kind == "garp":
            cases += [f"arp saddr ip {address} arp daddr ip {address}" for address in virtual.get(4, ())]
            cases.append("icmpv6 type nd-neighbor-advert ip6 daddr ff02::1")
    return cases or [""]


def _index(ipr: Any, name: str) -> int:
    return int(ipr.link_lookup(ifname=name)[0])


def _quiet(interface: str) -> None:
    """No addresses, solicitations or duplicate detection that the scenario does not ask for."""
    settings = {"addr_gen_mode": "1", "accept_ra": "0", "dad_transmits": "0", "accept_dad": "0"}
    for name, value in settings.items():
        path = Path(f"/proc/sys/net/ipv6/conf/{interface}/{name}")
        if path.exists():
            path.write_text(value)
