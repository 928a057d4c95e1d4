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
from vrrpsim.scenario.model import MAC_AGE_NS, Scenario

from . import kernel
from .taps import LOG_GROUP, Dropped
from .wiring import Trunk, wiring_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Interface, IPv6Interface

UNPLUGGED = "unplugged"
TICK_NS = 10_000_000  # of the bridge's ageing time
TABLE = "bridge vrrpsim"
HOOK = "{{ type filter hook {} priority {}; policy accept; }}"
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
        self.wiring = wiring = wiring_of(scenario)
        self._bridges = {name: f"br{number}" for number, name in enumerate(wiring.bridges, 1)}
        self._trunks: dict[int, tuple[Trunk, int]] = {}  # and the side, by the number of the port
        self._trunk_ends: dict[Trunk, list[str]] = {}
        self._trunk_ports: dict[str, dict[str, list[str]]] = {}  # by cable and switch
        self._marks = {end: number for number, end in enumerate(filter(wiring.wired, wiring.homes), 1)}
        self._macs: dict[bytes, str] = {}
        self._held: dict[str, set[str]] = {}  # by port: what keeps it down
        self._rules = 0
        with self._netlink() as ipr:
            for name, bridge in self._bridges.items():
                age = wiring.ages.get(name, MAC_AGE_NS) // TICK_NS
                ipr.link("add", ifname=bridge, kind="bridge", br_mcast_snooping=0, br_ageing_time=age)
                _quiet(bridge)
                ipr.link("set", index=_index(ipr, bridge), state="up")
            for number, trunk in enumerate(wiring.trunks, 1):
                self._lay(ipr, number, trunk)
        self._nft(f"add table {TABLE}")
        self._nft(f"add chain {TABLE} forward {HOOK.format('forward', 0)}")
        if self._marks:  # a frame is known by where it came from, on whichever bridge it is
            self._nft(f"add chain {TABLE} prerouting {HOOK.format('prerouting', -300)}")
            ports = {end: self.ports.setdefault(end, f"p{number}") for end, number in self._marks.items()}
            rule = f'add rule {TABLE} prerouting iifname "{{}}" meta mark set {{}}'
            self._nft("\n".join(rule.format(port, self._marks[end]) for end, port in ports.items()))

    def _lay(self, ipr: Any, number: int, trunk: Trunk) -> None:
        names = [f"t{number}{side}" for side in "ab"]
        ipr.link("add", ifname=names[0], kind="veth", peer={"ifname": names[1]})
        for side, name in enumerate(names):
            _quiet(name)
            index = _index(ipr, name)
            self._trunks[index] = trunk, side
            self._trunk_ends.setdefault(trunk, []).append(name)
            self._trunk_ports.setdefault(trunk.cable, {}).setdefault(trunk.switches[side], []).append(name)
            ipr.link("set", index=index, master=_index(ipr, self._bridges[trunk.bridge(side)]), state="up")

    @contextmanager
    def _netlink(self, network: int | None = None) -> Iterator[Any]:
        from pyroute2 import IPRoute

        with kernel.inside(self.network if network is None else network), IPRoute() as ipr:
            yield ipr

    # --- cables

    def attach(
        self,
        end: str,
        network: int,
        interface: str,
        mac: bytes,
        addresses: Sequence[IPv4Interface | IPv6Interface],
        routes: Iterable[Address] = (),
    ) -> None:
        """Lay a cable from the bridge to an interface in another namespace, and set that up."""
        port = self.ports.setdefault(end, f"p{len(self.ports) + 1}")
        with self._netlink() as ipr:
            peer = {"ifname": interface, "address": mac_text(mac), "net_ns_fd": network}
            ipr.link("add", ifname=port, kind="veth", peer=peer)
            _quiet(port)
            bridge = _index(ipr, self._bridges[self.wiring.homes[end]])
            number = _index(ipr, port)
            self._ends[number], self._macs[mac] = end, end
            ipr.link("set", index=number, master=bridge, state="down" if self._held.get(port) else "up")
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
        """Plug in a card that belongs to nobody, into the first switch; answer with its name here."""
        bridge = next(each for name, each in self._bridges.items() if name.rpartition("/")[2] == segment)
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

    def ends_of(self, lost: Dropped) -> tuple[str, list[str]]:
        """Who sent a frame that was lost, and who does not get it; "": nobody knows."""
        marked = next((end for end, mark in self._marks.items() if mark == lost.mark), "")
        source = self._ends.get(lost.came_by, marked)
        if lost.would_leave_by not in self._trunks:
            return source, [self._ends.get(lost.would_leave_by, "")]
        beyond, to = self.wiring.beyond(*self._trunks[lost.would_leave_by]), lost.frame[:6]
        if to[0] & 1:
            return source, beyond
        return source, [self._macs[to]] if self._macs.get(to) in beyond else [""]

    def cut_off(self, end: str) -> list[str]:
        """The ends on the segment of this one to which no cable that works leads."""
        if not self._marks:
            return []
        trunks = self._trunk_ends.items()
        dead = {trunk for trunk, ports in trunks if any(self._held.get(port) for port in ports)}
        return self.wiring.out_of_reach(end, dead)

    def plug(self, end: str, connected: bool) -> None:
        """Pull the cable out of the switch or back in: the machine loses carrier, nobody else knows."""
        self._hold([self.ports[end]], UNPLUGGED, not connected)

    def pull(self, cable: str, out: bool) -> None:
        """Pull the cable between two switches, or that of a client: both ends have no carrier."""
        trunks = [port for ports in self._trunk_ports.get(cable, {}).values() for port in ports]
        self._hold(trunks or [self.ports[self._card_of(cable)]], f"cable {cable}", out)

    def power(self, switch: str, on: bool) -> None:
        """A switch has power, or whatever is plugged into it has no carrier, and it forgets all MACs."""
        trunks = [port for sides in self._trunk_ports.values() for port in sides.get(switch, ())]
        cards = [self.ports[end] for end in self.wiring.of_switch(switch)]
        self._hold([*trunks, *cards], f"switch {switch}", not on)

    def _card_of(self, cable: str) -> str:
        return next(end for end in self.wiring.ends[cable] if end in self.wiring.homes)

    def _hold(self, ports: Iterable[str], why: str, down: bool) -> None:
        """A port is up while nothing keeps it down."""
        with self._netlink() as ipr:
            for port in ports:
                held = self._held.setdefault(port, set())
                (held.add if down else held.discard)(why)
                for index in ipr.link_lookup(ifname=port):
                    ipr.link("set", index=index, state="down" if held else "up")

    def detach(self, end: str) -> None:
        """Remove the cable, unless it has gone with the machine."""
        from pyroute2.netlink.exceptions import NetlinkError

        self._held.get(self.ports[end], set()).discard(UNPLUGGED)
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

    def set_interface(
        self, network: int, interface: str, up: bool, again: Sequence[IPv6Interface], made: bool
    ) -> None:
        """What `ip link set up` and `down` do in a machine, of whose IPv6 addresses some return with `up`.

        The kernel makes its own of the MAC, if it is that one, and looks for a duplicate before it says so.
        """
        with self._netlink(network) as ipr:
            index = _index(ipr, interface)
            if made:
                _sysctl(interface, {"addr_gen_mode": "0", "dad_transmits": "1", "accept_dad": "1"})
            ipr.link("set", index=index, state="up" if up else "down")
            for address in again if up and not made else ():
                ipr.addr("replace", index=index, address=str(address.ip), prefixlen=64)

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

    def ways(self, senders: Iterable[str] | None, receivers: Iterable[str] | None) -> list[str]:
        """Say as nftables which ends frames come from and go to; None: any.

        On more than one bridge that is said where a frame leaves for its receiver, and by its mark.
        """
        parts = []
        for wired in (False, True) if self._marks else (False,):
            sides = [
                None if ends is None else [end for end in ends if self.wiring.wired(end) is wired]
                for ends in (senders, receivers)
            ]
            if [] in sides:
                continue
            sent, heard = ([self.ports[each] for each in side] if side else None for side in sides)
            if not wired:
                parts += paths(sent, heard)
            else:
                marks = sorted(self._marks[end] for end in sides[0] or ())
                said = f"meta mark {{ {', '.join(map(str, marks))} }} " if marks else ""
                leaves = paths(None, heard or [self.ports[end] for end in self._marks])
                parts += [said + each for each in leaves]
        return parts

    def on_cable(self, cable: str, senders: Iterable[str], receivers: Iterable[str]) -> list[str]:
        """Say as nftables which frames are on a cable, from and to these of its ends; none: both."""
        ends, senders, receivers = self.wiring.ends[cable], set(senders), set(receivers)
        found = []
        for one, other in (ends, ends[::-1]):
            if (senders and one not in senders) or (receivers and other not in receivers):
                continue
            if cable in self._trunk_ports:
                found += paths(None, self._trunk_ports[cable][one])
            else:
                card = self._card_of(cable)
                port = [self.ports[card]]
                found += paths(port, None) if one == card else paths(None, port)
        return found

    def allow(self, names: Sequence[str]) -> None:
        """End a loss."""
        self._nft("\n".join(f"flush chain {TABLE} {name}" for name in names))

    def _nft(self, text: str) -> None:
        with kernel.inside(self.network):
            subprocess.run(
                ["nft", "-f", "-"], input=text.encode(), check=True, stdout=subprocess.DEVNULL, stderr=None
            )


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
    _sysctl(interface, {"addr_gen_mode": "1", "accept_ra": "0", "dad_transmits": "0", "accept_dad": "0"})


def _sysctl(interface: str, settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        path = Path(f"/proc/sys/net/ipv6/conf/{interface}/{name}")
        if path.exists():
            path.write_text(value)
