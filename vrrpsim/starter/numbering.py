"""The networks of the segments and the addresses of the cards: what the files say, and inventions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_interface, ip_network

from vrrpsim.protocol.configuration import InstanceConfig, VirtualAddress
from vrrpsim.scenario.model import Address, AddressWithPrefix, Network

from .machines import Card, Remarks, SourceNode, twins

FIRST_HOST = 11  # of the invented addresses, where the network is large enough
LINK_LOCAL = ip_network("fe80::/64")
UNKNOWN4 = ip_network("192.0.2.0/24")  # for documentation (RFC 5737)


def named_addresses(machines: Sequence[SourceNode]) -> set[Address]:
    """Return every address that some file names."""
    instances = [instance for machine in machines for instance in machine.instances]
    sources = {one.source for one in instances if one.source is not None}
    peers = {peer.address for one in instances for peer in one.unicast_peers}
    held = {each.ip for one in machines if one.host for own in one.host.interfaces.values() for each in own}
    virtual = {each.address for one in instances for each in (*one.addresses, *one.excluded)}
    return held | sources | peers | virtual


class Numbering:
    """The networks of one segment and the addresses of its cards."""

    def __init__(
        self,
        machines: Sequence[SourceNode],
        cards: Sequence[Card],
        taken: set[Address],
        path: tuple[str, ...],
        remarks: Remarks,
    ) -> None:
        self.cards, self.remarks = cards, remarks
        self.below = [
            (machine, instance)
            for machine in machines
            for instance in machine.instances
            if machine.carrier(instance) in cards
        ]
        self.machines = machines
        self.held = {
            card: held
            for machine in machines
            for card in cards
            if card[0] == machine.name and (held := machine.held(card[1])) is not None
        }
        self.virtual: dict[Card, list[VirtualAddress]] = {card: [] for card in cards}
        for machine in machines:
            for instance in machine.instances:
                for virtual in (*instance.addresses, *instance.excluded):
                    if not virtual.address.is_unspecified:  # 0.0.0.0 says nothing of the network
                        self.virtual.get(machine.carrier(instance, virtual), []).append(virtual)
        self.hosts: set[Address] = {one.source for _, one in self.below if one.source}
        self.hosts |= {peer.address for _, one in self.below for peer in one.unicast_peers}
        everything = [virtual for each in self.virtual.values() for virtual in each]
        self.taken = taken
        self.subnet4, certain4 = self._network(4, everything)
        self.subnet6, certain6 = self._network(6, everything)
        if self.subnet4 is None and any(one.family == 4 for _, one in self.below):
            self.subnet4, certain4 = UNKNOWN4, True
            remarks[path] = "invented: no file names an address here"
        subnet, certain = (self.subnet4, certain4) if self.subnet4 else (self.subnet6, certain6)
        if subnet and not certain:
            remarks[path] = f"no file says how large the network is: /{subnet.prefixlen} is assumed"

    def _network(self, version: int, virtual: Sequence[VirtualAddress]) -> tuple[Network | None, bool]:
        """Return the network that the files show, else the usual one around what they show; and which."""
        hosts = {each for each in self.hosts if each.version == version and not each.is_link_local}
        ours = [v for v in virtual if v.address.version == version and not v.address.is_link_local]
        shown = {
            ip_interface(f"{each.address}/{each.prefix_length}").network
            for each in ours
            if 1 < each.address.max_prefixlen - each.prefix_length < each.address.max_prefixlen
        }
        shown |= {
            each.network
            for held in self.held.values()
            for each in held
            if each.version == version and not each.is_link_local and each.network.num_addresses > 1
        }
        whole = [network for network in shown if all(host in network for host in hosts)]
        if whole:
            best = max(whole, key=lambda n: (sum(v.address in n for v in ours), -n.prefixlen, str(n)))
            return best, True
        around = sorted(hosts, key=int) or [each.address for each in ours[:1]]
        if not around:
            return None, True
        network = ip_interface(f"{around[0]}/{24 if version == 4 else 64}").network
        while not all(host in network for host in around):
            network = network.supernet()
        return network, False

    def addresses(self) -> dict[Card, tuple[AddressWithPrefix, ...]]:
        """Give each card what the files say it has, and invent what it needs beyond that."""
        return {card: tuple(self._addresses(card)) for card in self.cards}

    def stranger(self, target: Address) -> AddressWithPrefix | None:
        """Invent a client's address if the segment's network, which else gives one, is of another family."""
        subnet = self.subnet4 or self.subnet6
        if subnet is not None and subnet.version == target.version:
            return None
        found = self._invent(self.subnet6 if target.version == 6 and self.subnet6 else LINK_LOCAL)
        return self._with_prefix(found[0])

    def _addresses(self, card: Card) -> Iterator[AddressWithPrefix]:
        running = [(machine, one) for machine, one in self.below if machine.carrier(one) == card]
        virtual = [each.address for each in self.virtual[card]]
        needs4 = any(one.family == 4 for _, one in running) or any(a.version == 4 for a in virtual)
        needs6 = any(one.family == 6 for _, one in running) or any(a.version == 6 for a in virtual)
        if card in self.held:
            yield from (each for each in self.held[card] if each.version == 4 or needs6)
            return
        sources = dict.fromkeys(one.source for _, one in running if one.source is not None)
        known = {source: None for source in sources if self._has(source) == card[0]}
        for machine, one in running:
            peer = None if one.source else self._as_peers_see(machine, one)
            if peer is not None and peer not in known:
                known[peer] = None
                self._remark(card, f"{peer}: where its peers send to")
        invented: list[Address] = []
        if needs4 and not any(a.version == 4 for a in known):
            invented += self._invent(self.subnet4)
        if needs6:
            if self.subnet6 and not any(a.version == 6 and not a.is_link_local for a in known):
                invented += self._invent(self.subnet6)
            if not any(a.version == 6 and a.is_link_local for a in known):
                invented += self._invent(LINK_LOCAL)
        if invented:
            which = " and ".join(map(str, invented))
            self._remark(card, f"{which}: invented, no file says it")
        for address in (*known, *invented):
            yield self._with_prefix(address)

    def _has(self, source: Address) -> str:
        """The node that has a source: of several that say so the one whose earlier instance does."""
        claims = [
            (number, at, machine.name)
            for at, machine in enumerate(self.machines)
            for number, one in enumerate(machine.instances)
            if one.source == source
        ]
        return min(claims)[2]

    def _with_prefix(self, address: Address) -> AddressWithPrefix:
        subnet = LINK_LOCAL if address.is_link_local and address.version == 6 else None
        subnet = subnet or (self.subnet4 if address.version == 4 else self.subnet6)
        return ip_interface(f"{address}/{subnet.prefixlen if subnet else address.max_prefixlen}")

    def _invent(self, network: Network | None) -> list[Address]:
        """Take the next host of the network that nobody has."""
        if network is None:
            return []
        first = FIRST_HOST if network.num_addresses > 2 * FIRST_HOST else 1
        for offset in range(first, network.num_addresses):
            address = network.network_address + offset
            if address not in self.taken:
                self.taken.add(address)
                return [address]
        return []

    def _as_peers_see(self, machine: SourceNode, instance: InstanceConfig) -> Address | None:
        """Return the address that all its peers send to and nobody else has."""
        others = [
            twin
            for other, one in self.below
            if other is not machine
            for twin in twins(instance, [one])
            if twin.unicast_peers
        ]
        if not instance.unicast_peers or not others:
            return None
        own = {peer.address for peer in instance.unicast_peers}
        listed = set.intersection(*({peer.address for peer in one.unicast_peers} for one in others))
        left = listed - {one.source for _, one in self.below if one.source is not None}
        if listed == own:  # one list for all, the node itself in it: which is whose is anybody's guess
            nodes = [each.name for each in self.machines if each is machine or self._lists(each, own)]
            return dict(zip(nodes, sorted(left, key=int), strict=False)).get(machine.name)
        return min(left - own, key=int, default=None)

    def _lists(self, machine: SourceNode, peers: set[Address]) -> bool:
        """Whether some instance there, without a source, has just these peers."""
        return any(
            one.source is None and {peer.address for peer in one.unicast_peers} == peers
            for there, one in self.below
            if there is machine
        )

    def _remark(self, card: Card, text: str) -> None:
        path = ("nodes", card[0], "interfaces", card[1])
        self.remarks[path] = f"{self.remarks[path]}; {text}" if path in self.remarks else text
