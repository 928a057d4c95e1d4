"""What keepalived.conf files say of the cluster around them: nodes, segments, addresses, processes, clients.

keepalived.conf does not name its host, its network or what it protects; all that is deduced here, and what
no file says is invented. Each guess leaves a remark at the path of what it made, for the scenario's comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from itertools import combinations
from pathlib import Path

from vrrpsim.config.compiler import Compiled, read_keepalived
from vrrpsim.config.errors import InputError
from vrrpsim.config.lint import lint, members_of
from vrrpsim.config.resolve import ROLES
from vrrpsim.config.scenario import (
    Address,
    AddressWithPrefix,
    Client,
    Interface,
    Keepalived,
    Network,
    Node,
    Probe,
    Process,
    Segment,
)
from vrrpsim.config.source import Finding, Place, Severity
from vrrpsim.config.values import Distribution
from vrrpsim.protocol.configuration import InstanceConfig, ScriptConfig, VirtualAddress
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.world.checks import Check, check_of

SERVERS = {  # what checks are often about, and the port it is asked at
    "haproxy": 80,
    "nginx": 80,
    "apache2": 80,
    "httpd": 80,
    "varnishd": 80,
    "traefik": 80,
    "envoy": 80,
    "squid": 3128,
    "kube-apiserver": 6443,
    "mysqld": 3306,
    "mariadbd": 3306,
    "postgres": 5432,
    "redis-server": 6379,
    "named": 53,
    "unbound": 53,
    "dnsmasq": 53,
    "sshd": 22,
}
SPARE_PORTS = (80, 443, 8080, 8443)
MOST_CLIENTS = 8  # one for each address; of more addresses only the first of each instance
FIRST_HOST = 11  # of the invented addresses, where the network is large enough
LINK_LOCAL = ip_network("fe80::/64")
UNKNOWN4 = ip_network("192.0.2.0/24")  # for documentation (RFC 5737)
LAN_DELAY = Distribution.uniform(80_000, 400_000)  # 80 to 400 us

Card = tuple[str, str]  # node and interface
Path_ = tuple[str, ...]  # of a value in the scenario


@dataclass(frozen=True, slots=True)
class Machine:
    """One node: its name and what its file means there."""

    name: str
    file: Path
    config_id: str | None
    compiled: Compiled

    @property
    def instances(self) -> tuple[InstanceConfig, ...]:
        """The instances that run."""
        return self.compiled.config.instances if self.compiled.config else ()

    def carrier(self, instance: InstanceConfig, virtual: VirtualAddress | None = None) -> Card:
        """Return the card below an instance, or below one of its addresses."""
        chosen = virtual.interface if virtual and virtual.interface else instance.interface
        return self.name, instance.interface if chosen == instance.vmac_interface else chosen or "eth0"


@dataclass(slots=True)
class Cluster:
    """The deduced cluster, as values of a scenario; `remarks` by path."""

    machines: tuple[Machine, ...]
    segments: dict[str, Segment]
    nodes: dict[str, Node]
    clients: dict[str, Client]
    segment_of: dict[Card, str]
    process_of: dict[str, str]  # what the kill of a scenario may kill, by script or tracked process
    remarks: dict[Path_, str]
    findings: tuple[Finding, ...] = ()


def read_machines(sources: Sequence[str | Path], dialect: Dialect) -> tuple[Machine, ...]:
    """Read each `FILE`, or `FILE@ID` as `keepalived -i ID` does; all errors are raised at once."""
    named = [_source(source) for source in sources]
    broken: list[Finding] = []
    machines = []
    for (file, config_id), name in zip(named, _names(named, dialect), strict=True):
        try:
            file.read_bytes()
        except OSError as error:
            place = Place(str(file), 1, 1)
            broken.append(Finding(place, Severity.ERROR, "file", f"cannot be read: {error.strerror}"))
            continue
        compiled = read_keepalived(file, config_id=config_id or name, dialect=dialect)
        if compiled.fatal:
            errors = [finding for finding in compiled.findings if finding.severity is Severity.ERROR]
            broken += errors or compiled.findings
        machines.append(Machine(name, file, None if config_id == name else config_id, compiled))
    if not broken:
        broken += _unusable(machines)
    if broken:
        raise InputError(tuple(sorted(dict.fromkeys(broken), key=lambda each: each.place)))
    return tuple(machines)


def _unusable(machines: Sequence[Machine]) -> Iterator[Finding]:
    """Say which files give no cluster: a node without an instance, or nobody to fail over to."""
    for machine in machines:
        if not machine.instances:
            place = Place(str(machine.file), 1, 1)
            yield Finding(place, Severity.ERROR, "init", "has no vrrp_instance: nothing here can fail over")
    if len(machines) == 1 and machines[0].instances:
        peers = sorted({str(peer.address) for one in machines[0].instances for peer in one.unicast_peers})
        hint = f" (its peers: {', '.join(peers)})" if peers else ""
        message = f"one node has nobody to fail over to; name the keepalived.conf of every node{hint}"
        yield Finding(Place(str(machines[0].file), 1, 1), Severity.ERROR, "init", message)


def _source(source: str | Path) -> tuple[Path, str | None]:
    text = str(source)
    file, at, config_id = text.rpartition("@")
    if at and file and config_id and not Path(text).exists():
        return Path(file), config_id
    return Path(text), None


def _names(sources: Sequence[tuple[Path, str | None]], dialect: Dialect) -> list[str]:
    """Name the nodes: by `@ID`, by router_id where it tells them apart, by file, by folder."""
    router_ids = [_router_id(file, config_id, dialect) for file, config_id in sources]
    names: list[str] = []
    for (file, config_id), router_id in zip(sources, router_ids, strict=True):
        telling = router_id if router_ids.count(router_id) == 1 else ""
        stem = "" if file.stem == "keepalived" else file.stem
        candidates = (config_id or "", telling, stem, file.resolve().parent.name, "node")
        name = next(clean for each in candidates if (clean := _clean(each)))
        number = 1
        while name in names:
            number += 1
            name = f"{name.removesuffix(f'-{number - 1}')}-{number}"
        names.append(name)
    return names


def _router_id(file: Path, config_id: str | None, dialect: Dialect) -> str:
    if not file.is_file():
        return ""
    compiled = read_keepalived(file, config_id=config_id, dialect=dialect)
    return compiled.config.router_id if compiled.config else ""


def _clean(text: str) -> str:
    """Make a name of a scenario of it; "" if nothing is left, or if it is a role."""
    name = re.sub(r"[^A-Za-z0-9_.:-]+", "-", text).strip("-.:")[:56]
    return "" if name in ROLES else name


def deduce(machines: Sequence[Machine], dialect: Dialect) -> Cluster:
    """Return the cluster that these nodes make."""
    remarks: dict[Path_, str] = {}
    members = [
        member
        for machine in machines
        if machine.compiled.config
        for member in members_of(str(machine.file), machine.compiled.config, dialect, machine.compiled.places)
    ]
    groups = _wired(machines)
    names = _segment_names(groups, {machine.name for machine in machines})
    segment_of = {card: name for name, cards in zip(names, groups, strict=True) for card in cards}
    taken = _named(machines)
    segments: dict[str, Segment] = {}
    addresses: dict[Card, tuple[AddressWithPrefix, ...]] = {}
    for name, cards in zip(names, groups, strict=True):
        numbering = _Numbering(machines, cards, taken, ("segments", name), remarks)
        segments[name] = Segment(subnet=numbering.subnet4 or numbering.subnet6, delay=LAN_DELAY)
        addresses |= numbering.addresses()
    processes, probes, process_of = _processes(machines, remarks)
    nodes = {
        machine.name: Node(
            interfaces={
                card[1]: Interface(segment=segment_of[card], addresses=addresses[card])
                for card in _cards(machine)
            },
            processes=processes,
            keepalived=Keepalived(
                config=machine.compiled.config,
                config_id=machine.config_id,
                file=machine.file,
                probes=probes.get(machine.name, {}),
            ),
        )
        for machine in machines
        if machine.compiled.config
    }
    clients = _clients(machines, segment_of, processes, process_of, remarks)
    own = tuple(finding for machine in machines for finding in machine.compiled.findings)
    found = (*own, *lint(members), *_absent(machines))
    return Cluster(
        tuple(machines),
        segments,
        nodes,
        clients,
        segment_of,
        process_of,
        remarks,
        tuple(sorted(dict.fromkeys(found), key=lambda each: each.place)),
    )


def _absent(machines: Sequence[Machine]) -> Iterator[Finding]:
    """Report peers that none of the files can be: their node is missing."""
    peers = {peer.address for each in machines for one in each.instances for peer in one.unicast_peers}
    sources = {one.source for each in machines for one in each.instances}
    if len(peers) < len(machines) or None in sources:
        return
    for machine in machines:
        for instance in machine.instances:
            for peer in instance.unicast_peers:
                if peer.address not in sources:
                    place = machine.compiled.places.get(
                        ("instance", instance.name, "unicast_peer"), Place(str(machine.file), 1, 1)
                    )
                    message = f"instance {instance.name}: no file given is the peer {peer.address}"
                    yield Finding(place, Severity.WARNING, "init", message)


# --- which cards share a wire ---------------------------------------------------------------------


def _cards(machine: Machine) -> tuple[Card, ...]:
    """Every interface that the file needs, in its order; macvlans are made by keepalived itself."""
    cards: dict[Card, None] = {}
    for instance in machine.instances:
        cards[machine.carrier(instance)] = None
        for virtual in (*instance.addresses, *instance.excluded):
            cards[machine.carrier(instance, virtual)] = None
    vmacs = {instance.vmac_interface for instance in machine.instances}
    for instance in machine.instances:
        for track in instance.track_interfaces:
            if track.name not in vmacs:
                cards[machine.name, track.name] = None
    return tuple(cards)


def _wired(machines: Sequence[Machine]) -> list[list[Card]]:
    """Group the cards: instances that are one virtual router share a wire, then cards of the same name."""
    group_of: dict[Card, list[Card]] = {card: [card] for machine in machines for card in _cards(machine)}

    def join(one: Card, other: Card) -> None:
        if group_of[one] is not group_of[other]:
            group_of[one].extend(group_of[other])
            for card in group_of[other]:
                group_of[card] = group_of[one]

    joined: set[Card] = set()
    for one, other in combinations(machines, 2):
        for instance in one.instances:
            for twin in twins(instance, other.instances):
                ends = one.carrier(instance), other.carrier(twin)
                join(*ends)
                joined |= {*ends}
    for card in group_of:
        for other_card in group_of:
            if card not in joined and card[1] == other_card[1]:
                join(other_card, card)
    order = {card: position for position, card in enumerate(group_of)}
    groups = {id(group): group for group in group_of.values()}
    return sorted(
        (sorted(group, key=order.__getitem__) for group in groups.values()), key=lambda g: order[g[0]]
    )


def twins(instance: InstanceConfig, others: Iterable[InstanceConfig]) -> list[InstanceConfig]:
    """Return the instances of another node that are, or are meant to be, the same virtual router."""
    key, own = (instance.family, instance.vrid), _advertised(instance)
    related = [each for each in others if (each.family, each.vrid) == key or own & _advertised(each)]
    for closer in (
        [each for each in related if own & _advertised(each)],
        [each for each in related if each.interface == instance.interface],
        [each for each in related if each.name == instance.name],
    ):
        if closer:
            return closer
    return related


def _advertised(instance: InstanceConfig) -> set[Address]:
    return {virtual.address for virtual in instance.addresses}


def _segment_names(groups: Sequence[Sequence[Card]], taken: set[str]) -> list[str]:
    """`lan` if there is one; else after the interface, where all nodes call it alike."""
    if len(groups) == 1 and "lan" not in taken:
        return ["lan"]
    names: list[str] = []
    for number, cards in enumerate(groups, 1):
        labels = {label for _, label in cards}
        name = f"{labels.pop()}-lan" if len(labels) == 1 else f"lan{number}"
        while name in taken or name in names:
            name += "-net"
        names.append(name)
    return names


# --- addresses ------------------------------------------------------------------------------------


def _named(machines: Sequence[Machine]) -> set[Address]:
    """Return every address that some file names."""
    instances = [instance for machine in machines for instance in machine.instances]
    sources = {one.source for one in instances if one.source is not None}
    peers = {peer.address for one in instances for peer in one.unicast_peers}
    return sources | peers | {each.address for one in instances for each in (*one.addresses, *one.excluded)}


class _Numbering:
    """The networks of one segment and the addresses of its cards."""

    def __init__(
        self,
        machines: Sequence[Machine],
        cards: Sequence[Card],
        taken: set[Address],
        path: Path_,
        remarks: dict[Path_, str],
    ) -> None:
        self.cards, self.remarks = cards, remarks
        self.below = [
            (machine, instance)
            for machine in machines
            for instance in machine.instances
            if machine.carrier(instance) in cards
        ]
        self.machines = machines
        self.virtual: dict[Card, list[VirtualAddress]] = {card: [] for card in cards}
        for machine in machines:
            for instance in machine.instances:
                for virtual in (*instance.addresses, *instance.excluded):
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

    def _addresses(self, card: Card) -> Iterator[AddressWithPrefix]:
        running = [(machine, one) for machine, one in self.below if machine.carrier(one) == card]
        virtual = [each.address for each in self.virtual[card]]
        known = dict.fromkeys(one.source for _, one in running if one.source is not None)
        for machine, one in running:
            peer = None if one.source else self._as_peers_see(machine, one)
            if peer is not None and peer not in known:
                known[peer] = None
                self._remark(card, f"{peer}: where its peers send to")
        invented: list[Address] = []
        needs4 = any(one.family == 4 for _, one in running) or any(a.version == 4 for a in virtual)
        needs6 = any(one.family == 6 for _, one in running) or any(a.version == 6 for a in virtual)
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

    def _as_peers_see(self, machine: Machine, instance: InstanceConfig) -> Address | None:
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
        listed = set.intersection(*({peer.address for peer in one.unicast_peers} for one in others))
        listed -= {peer.address for peer in instance.unicast_peers}
        listed -= {one.source for _, one in self.below if one.source is not None}
        return min(listed, key=int, default=None)

    def _remark(self, card: Card, text: str) -> None:
        path = ("nodes", card[0], "interfaces", card[1])
        self.remarks[path] = f"{self.remarks[path]}; {text}" if path in self.remarks else text


# --- processes and clients ------------------------------------------------------------------------


def _processes(
    machines: Sequence[Machine], remarks: dict[Path_, str]
) -> tuple[dict[str, Process], dict[str, dict[str, Probe]], dict[str, str]]:
    """Return the processes of every node, the probes of each, and what each tracker looks at."""
    ports: dict[str, set[int]] = {}
    asked: list[tuple[str, int]] = []
    process_of: dict[str, str] = {}
    probes: dict[str, dict[str, Probe]] = {}
    for machine in machines:
        config = machine.compiled.config
        for tracked in config.processes if config else ():
            process_of[tracked.name] = _known(tracked.process, ports)
        for script in config.scripts if config else ():
            check = check_of(script, None, {})
            if check.process and check.process != "keepalived":
                process_of[script.name] = _known(check.process, ports)
            elif check.port:
                asked.append((script.name, int(check.port.partition("/")[0])))
            elif check == Check():
                _unknown(machine, script, ports, process_of, probes, remarks)
    for name, port in asked:
        owner = next((each for each in ports if port in ports[each] or SERVERS.get(each) == port), None)
        process_of[name] = owner or next(
            (each for each in ports if each != "sshd"), _guess(name) or "service"
        )
        ports.setdefault(process_of[name], set()).add(port)
    guessed = {name: SERVERS.get(name, SPARE_PORTS[0]) for name, own in ports.items() if not own}
    for name, port in guessed.items():
        ports[name] = {port}
    if guessed:
        shown = " and ".join(f"{name} {port}" for name, port in guessed.items())
        remarks["processes",] = f"the ports are a guess, no check names them: {shown}"
    processes = {
        name: Process(serves=tuple(f"{port}/tcp" for port in sorted(own))) for name, own in ports.items()
    }
    return processes, probes, process_of


def _known(process: str, ports: dict[str, set[int]]) -> str:
    name = _clean(Path(process).name) or "service"
    ports.setdefault(name, set())
    return name


def _unknown(
    machine: Machine,
    script: ScriptConfig,
    ports: dict[str, set[int]],
    process_of: dict[str, str],
    probes: dict[str, dict[str, Probe]],
    remarks: dict[Path_, str],
) -> None:
    """Guess by its name what a script of the operator's own looks at; else it always succeeds."""
    path = ("nodes", machine.name, "keepalived", script.name)
    guess = _guess(f"{script.name} {script.command}")
    if guess is None:
        remarks[path] = (
            f"{script.name} always succeeds here: `{script.command}` does not say what it looks at. "
            f"If that is a process or a port of the node, say probes: {{{script.name}: {{serves: 80/tcp}}}}"
        )
        return
    process_of[script.name] = _known(guess, ports)
    probes.setdefault(machine.name, {})[script.name] = Probe(process=guess)
    remarks[path] = (
        f"`{script.command}` is taken to see whether {guess} runs; correct it if it looks elsewhere"
    )


def _guess(text: str) -> str | None:
    words = re.findall(r"[a-z0-9]+(?:-[a-z]+)?", text.lower())
    return next((name for name in SERVERS if name in words or name.removesuffix("d") in words), None)


def _clients(
    machines: Sequence[Machine],
    segment_of: dict[Card, str],
    processes: dict[str, Process],
    process_of: dict[str, str],
    remarks: dict[Path_, str],
) -> dict[str, Client]:
    """One client for each address that another node can take over, at the port that its checks protect."""
    asked: dict[Address, tuple[str, str, int]] = {}  # address: segment, instance, its number there
    ports: dict[Address, int | None] = {}
    for machine in machines:
        others = [one for other in machines if other is not machine for one in other.instances]
        for instance in machine.instances:
            if not twins(instance, others):
                continue
            virtual = (*instance.addresses, *instance.excluded)
            usable = [each for each in virtual if not each.address.is_link_local] or list(virtual)
            for number, each in enumerate(usable):
                segment = segment_of[machine.carrier(instance, each)]
                asked.setdefault(each.address, (segment, instance.name, number))
                ports[each.address] = ports.get(each.address) or _port(
                    machine, instance, processes, process_of
                )
    if len(asked) > MOST_CLIENTS:
        first = {address: what for address, what in asked.items() if what[2] == 0}
        remarks["clients",] = f"{len(asked)} addresses: the first of each instance is asked"
        asked = first
    spare = _spare(processes) if None in (ports[address] for address in asked) else 0
    if spare:
        processes["service"] = Process(serves=(f"{spare}/tcp",))
        text = "service stands for what answers at the addresses that no check protects"
        remarks["processes",] = "\n".join(filter(None, (remarks.get(("processes",)), text)))
    taken = {*segment_of.values(), *(machine.name for machine in machines)}
    clients: dict[str, Client] = {}
    for address, (segment, instance_name, number) in asked.items():
        wanted = "client" if len(asked) == 1 else f"client-{_clean(instance_name) or 'vip'}"
        name = f"{wanted}-{number + 1}" if number else wanted
        while name in taken or name in clients:
            name += "-2"
        clients[name] = Client(segment=segment, target=(address, ports[address] or spare))
    return clients


def _port(
    machine: Machine, instance: InstanceConfig, processes: dict[str, Process], process_of: dict[str, str]
) -> int | None:
    """Return the first port of what the trackers of the instance, or of its sync group, look at."""
    tracks = [
        track
        for mate in mates(machine, instance)
        for track in (*mate.track_scripts, *mate.track_processes)
        if track.name in process_of
    ]
    looked_at = [process_of[track.name] for track in tracks]
    best = next((name for name in looked_at if name != "sshd"), looked_at[0] if looked_at else None)
    return int(processes[best].serves[0].partition("/")[0]) if best else None


def mates(machine: Machine, instance: InstanceConfig) -> tuple[InstanceConfig, ...]:
    """Return the instance and those that share its sync group."""
    groups = machine.compiled.config.groups if machine.compiled.config else ()
    names = {name for group in groups if instance.name in group.members for name in group.members}
    return instance, *(one for one in machine.instances if one.name in names and one is not instance)


def _spare(processes: dict[str, Process]) -> int:
    used = {port for process in processes.values() for port in process.serves}
    return next((port for port in SPARE_PORTS if f"{port}/tcp" not in used), 9000)
