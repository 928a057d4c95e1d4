"""What keepalived.conf files say of the cluster around them: nodes, segments, addresses, processes, clients.

keepalived.conf does not name its host, its network or what it protects; all that is deduced here, and what
no file says is invented. Each guess leaves a remark at the path of what it made, for the scenario's comments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vrrpsim.findings import Finding, Place
from vrrpsim.keepalived.lint import lint
from vrrpsim.keepalived.members import Member, members_of
from vrrpsim.keepalived.one_file import one_file
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.scenario.model import AddressWithPrefix, Client, Interface, Keepalived, Node, Segment
from vrrpsim.scenario.quantities import Distribution

from .haproxy import Bind
from .host import ABSENT, UNREAD
from .machines import Card, Remarks, SourceNode
from .numbering import Numbering, named_addresses
from .services import HAPROXY, clients_of, processes_of
from .wiring import cards_of, segment_names, wired

LAN_DELAY = Distribution.uniform(80_000, 400_000)  # 80 to 400 us


@dataclass(slots=True)
class Cluster:
    """The deduced cluster, as values of a scenario; `remarks` by path."""

    machines: tuple[SourceNode, ...]
    segments: dict[str, Segment]
    nodes: dict[str, Node]
    clients: dict[str, Client]
    segment_of: dict[Card, str]
    process_of: dict[str, str]  # what the kill of a scenario may kill, by script or tracked process
    remarks: Remarks
    findings: tuple[Finding, ...] = ()


def deduce(machines: Sequence[SourceNode], dialect: Dialect, binds: Sequence[Bind] = ()) -> Cluster:
    """Return the cluster that these nodes make; `binds` are what HAProxy listens at on each."""
    remarks: Remarks = {}
    members = {machine.name: _members(machine, dialect) for machine in machines}
    groups = wired(machines)
    names = segment_names(groups, {machine.name for machine in machines})
    segment_of = {card: name for name, cards in zip(names, groups, strict=True) for card in cards}
    taken = named_addresses(machines)
    segments: dict[str, Segment] = {}
    addresses: dict[Card, tuple[AddressWithPrefix, ...]] = {}
    numberings: dict[str, Numbering] = {}
    for name, cards in zip(names, groups, strict=True):
        numbering = Numbering(machines, cards, taken, ("segments", name), remarks)
        segments[name] = Segment(subnet=numbering.subnet4 or numbering.subnet6, delay=LAN_DELAY)
        addresses |= numbering.addresses()
        numberings[name] = numbering
    processes, probes, process_of = processes_of(machines, remarks, binds)
    nodes = {
        machine.name: Node(
            interfaces={
                card[1]: Interface(segment=segment_of[card], addresses=addresses[card])
                for card in cards_of(machine)
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
    clients = {
        name: client._replace(address=numberings[client.segment].stranger(client.target[0]))
        for name, client in clients_of(machines, segment_of, processes, process_of, remarks, binds).items()
    }
    own = [
        finding
        for machine in machines
        for finding in (
            *machine.compiled.findings,
            *one_file(
                machine.compiled,
                members[machine.name],
                dialect,
                str(machine.file),
                asked=machine.source != str(machine.file),
            ),
        )
    ]
    between = lint([member for each in members.values() for member in each])
    here = [
        each for machine in machines for each in _otherwise_here(machine, members[machine.name], process_of)
    ]
    found = (*own, *between, *here, *_absent(machines))
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


def _members(machine: SourceNode, dialect: Dialect) -> tuple[Member, ...]:
    config = machine.compiled.config
    return tuple(members_of(machine.source, config, dialect, machine.compiled.places)) if config else ()


def _otherwise_here(
    machine: SourceNode, members: Sequence[Member], process_of: Mapping[str, str]
) -> Iterator[Finding]:
    """Report what could not be read of this machine, and what its file names that it has not."""
    host, config = machine.host, machine.compiled.config
    if host is None or config is None:
        return
    yield from host.findings
    held = {each.ip for own in host.interfaces.values() for each in own}
    for member in members if host.interfaces else ():
        if machine.carrier(member.config)[1] not in host.interfaces:
            message = f"this machine has no interface {machine.carrier(member.config)[1]}"
            yield Finding(member.at("interface"), ABSENT, message)
        if member.config.source and member.config.source not in held:
            yield Finding(
                member.at("unicast_src_ip"), ABSENT, f"{member.config.source} is not on this machine"
            )
    for kind, trackers in (("script", config.scripts), ("process", config.processes)):
        for name in (each.name for each in trackers if each.name in process_of):
            process = process_of[name]
            place = machine.compiled.places.get((kind, name), Place(str(machine.file), 1, 1))
            if process not in host.ports and host.sees_all:
                message = f"{name} looks at {process}, which does not run on this machine now; here it does"
                yield Finding(place, ABSENT, message)
            elif process in host.secretive and not host.ports[process] and process != HAPROXY:
                message = (
                    f"only root sees where {process} listens: its port is guessed unless a check names it"
                )
                yield Finding(place, UNREAD, message)


def _absent(machines: Sequence[SourceNode]) -> Iterator[Finding]:
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
                    yield Finding(place, "VRRP215", message)
