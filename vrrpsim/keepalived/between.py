"""What is wrong between nodes beside what they must agree on: addresses, checks, groups, who is preferred."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from vrrpsim.findings import Finding
from vrrpsim.protocol.configuration import Address, ScriptConfig

from .members import Member, ranked

Groups = Sequence[Sequence[Member]]


def addresses(members: Sequence[Member]) -> Iterator[Finding]:
    """Whose address is whose: sources, peers and virtual addresses of all nodes together."""
    sources: dict[Address, Member] = {}
    claimed: set[Address] = set()  # by several nodes: nobody knows whose they are
    for member in members:
        source = member.config.source
        if source is None:
            continue
        first = sources.setdefault(source, member)
        if first.node != member.node:
            claimed.add(source)
            message = f"{source} is also the source in {first.at(_source(first))}; only one node has it"
            yield Finding(member.at(_source(member)), "VRRP218", message)
    lists: defaultdict[object, dict[str, Member]] = defaultdict(dict)
    own: defaultdict[str, set[Address]] = defaultdict(set)
    for source, member in sources.items():
        if source not in claimed:
            own[member.node].add(source)
    for member in members:
        peers = frozenset(peer.address for peer in member.config.unicast_peers)
        for peer in sorted(peers & own[member.node], key=int):
            message = f"{peer} is this node's own source: it sends its adverts to itself"
            yield Finding(member.at("unicast_peer"), "VRRP219", message)
        if peers and member.config.source is None:
            if not member.deaf:
                message = "the source is whatever address the interface has first; say it with unicast_src_ip"
                yield Finding(member.at("unicast_peer"), "VRRP220", message)
            lists[member.key, peers].setdefault(member.node, member)
    for alike in lists.values():
        for member in alike.values() if len(alike) > 1 else ():
            message = "the same peers on every node: each is among its own, and warns once a second"
            yield Finding(member.at("unicast_peer"), "VRRP219", message)
    hosts = {**{peer.address: m for m in members for peer in m.config.unicast_peers}, **sources}
    for member in members:
        for entry in (*member.config.addresses, *member.config.excluded):
            if entry.address in hosts:
                there = hosts[entry.address].at(_source(member))
                message = f"{entry.address} is a node's own in {there}: keepalived takes it off at its start"
                yield Finding(member.at("virtual_ipaddress"), "VRRP221", message)
    yield from _twice(members)


def _source(member: Member) -> str:
    keys = ("unicast_src_ip", "mcast_src_ip", "unicast_peer") if member.config.unicast else ("mcast_src_ip",)
    return next((key for key in keys if ("instance", member.config.name, key) in member.places), keys[0])


def _twice(members: Sequence[Member]) -> Iterator[Finding]:
    """An address of two virtual routers has two masters that know nothing of each other."""
    first: dict[tuple[str, Address], Member] = {}
    for member in members:
        for entry in (*member.config.addresses, *member.config.excluded):
            other = first.setdefault((member.node, entry.address), member)
            if other is not member:
                message = (
                    f"{entry.address} also belongs to {other.config.name}, in {other.at('virtual_ipaddress')}"
                )
                yield Finding(member.at("virtual_ipaddress"), "VRRP222", message)


def entries(usual: Member, other: Member) -> Iterator[Finding]:
    """The same address, written differently: its prefix and its device."""
    entries = (*usual.config.addresses, *usual.config.excluded)
    known = {entry.address: entry for entry in entries}
    exact = {(entry.address, _device(usual, entry.interface)): entry for entry in entries}
    place, there = other.at("virtual_ipaddress"), usual.at("virtual_ipaddress")
    for entry in (*other.config.addresses, *other.config.excluded):
        same = exact.get((entry.address, _device(other, entry.interface))) or known.get(entry.address)
        if same is None:
            continue
        if same.prefix_length != entry.prefix_length:
            message = f"{entry.address} is /{entry.prefix_length} here, /{same.prefix_length} in {there}"
            yield Finding(place, "VRRP223", message)
        here, was = _device(other, entry.interface), _device(usual, same.interface)
        if here != was:
            yield Finding(place, "VRRP224", f"{entry.address} is on {here} here, on {was} in {there}")


def _device(member: Member, interface: str | None) -> str:
    return "the instance's interface" if interface in (None, member.config.interface) else str(interface)


# --- who watches what -----------------------------------------------------------------------------


def checks(usual: Member, other: Member) -> Iterator[Finding]:
    """The nodes of one virtual router should look at the same things in the same way."""
    ours, theirs = ({track.name: track for track in member.config.track_scripts} for member in (other, usual))
    if ours.keys().isdisjoint(theirs) and ours and theirs:
        return  # other names, or really others: nobody can tell
    if not usual.tracks and not other.tracks:
        return
    there = usual.at("track_script")
    for name in sorted(theirs.keys() - ours.keys()):
        message = f"{name} is not tracked here, but is in {usual.at_track(name)}"
        yield Finding(other.at("track_script"), "VRRP225", message)
    for name in sorted(ours.keys() - theirs.keys()):
        message = f"{name} is tracked here, but not in {there}"
        yield Finding(other.at_track(name), "VRRP225", message)
    for name in sorted(ours.keys() & theirs.keys()):
        here, was = (_meaning(member, name) for member in (other, usual))
        differ = ", ".join(f"{key} {here[key]} here, {was[key]}" for key in here if here[key] != was[key])
        if differ:
            yield Finding(other.at_track(name), "VRRP225", f"{name}: {differ} in {usual.at_track(name)}")


def _meaning(member: Member, name: str) -> dict[str, str]:
    found = member.script(name) or ScriptConfig(name=name, command="")
    return {
        "interval": f"{found.interval_ns / 1e9:g}",
        "timeout": f"{found.effective_timeout_ns / 1e9:g}",
        "rise": str(found.rise),
        "fall": str(found.fall),
        "script": repr(found.command),
    }


# --- who is preferred -----------------------------------------------------------------------------


def states(group: Sequence[Member]) -> Iterator[Finding]:
    """What `state` and `nopreempt` say, beside the priority that decides."""
    first = ranked(group)[0]
    masters = [member for member in group if member.starts_as_master]
    for extra in masters[1:]:
        message = f"state MASTER here and in {masters[0].at('state')}: at a start both claim the addresses"
        yield Finding(extra.at("state"), "VRRP229", message)
    if len(masters) == 1 and masters[0].priority() < first.priority():
        shown = f"priority {masters[0].priority()}, {first.priority()} in {first.at('priority')}"
        yield Finding(
            masters[0].at("state"), "VRRP230", f"state MASTER on the node with less priority: {shown}"
        )
    lazy = [member for member in group if not member.config.preempt]
    if lazy and first not in lazy and len(group) == 2 and not first.weighted:
        message = (
            f"nopreempt here changes nothing: it belongs where the priority is higher, {first.at('priority')}"
        )
        yield Finding(lazy[0].at("nopreempt"), "VRRP231", message)


def twins(members: Sequence[Member], related: Iterable[Sequence[Member]]) -> Iterator[Finding]:
    """An instance that is on no other node has nobody to take over."""
    known = {id(member) for group in related for member in group}
    alone = [member for member in members if id(member) not in known]
    for member in alone if len({each.node for each in members}) > 1 else ():
        others = [each for each in alone if each.node != member.node] or [
            each for each in members if each.node != member.node
        ]
        nearest = min(others, key=lambda each: (each.config.name != member.config.name, each.node))
        message = (
            f"virtual router {member.config.vrid} ({member.config.name}) is on no other node; "
            f"{nearest.node} has {nearest.config.vrid} ({nearest.config.name})"
        )
        yield Finding(member.at("virtual_router_id"), "VRRP232", message)


def sync_groups(routers: Groups) -> Iterator[Finding]:
    """Virtual routers that move together: the groups of each node, and whom their members prefer."""
    by_node: defaultdict[str, dict[int, Member]] = defaultdict(dict)
    favourite: dict[int, str] = {}
    for number, group in enumerate(routers):
        favourite[number] = ranked(group)[0].node
        for member in group:
            by_node[member.node].setdefault(number, member)
    company = {node: _company(own) for node, own in by_node.items()}
    for one, other in combinations(sorted(by_node), 2):
        for number in sorted(by_node[one].keys() & by_node[other].keys()):
            theirs = {each for each in company[one].get(number, set()) if each in by_node[other]}
            ours = {each for each in company[other].get(number, set()) if each in by_node[one]}
            if theirs != ours:
                member, known = by_node[other][number], by_node[one][number]
                told = _names(by_node[one], theirs) or "none", _names(by_node[other], ours) or "none"
                message = f"in a sync group with {told[1]} here, with {told[0]} in {known.at('interface')}"
                yield Finding(member.at("interface"), "VRRP226", message)
    for node in sorted(by_node):
        for number, others in sorted(company[node].items()):
            differ = sorted({favourite[other] for other in others} - {favourite[number]})
            if differ and number == min([number, *others]):
                member = by_node[node][number]
                message = f"its sync group prefers different nodes: {favourite[number]} and {differ[0]}"
                yield Finding(member.at("priority"), "VRRP227", message)
    yield from _uncoupled(by_node, company, favourite)


def _company(own: Mapping[int, Member]) -> dict[int, set[int]]:
    """With which virtual routers each is in a sync group on this node."""
    number_of = {member.config.name: number for number, member in own.items()}
    company: defaultdict[int, set[int]] = defaultdict(set)
    for member in own.values():
        for group in member.router.groups:
            if member.config.name in group.members:
                there = {number_of[name] for name in group.members if name in number_of}
                company[number_of[member.config.name]] |= there - {number_of[member.config.name]}
    return company


def _uncoupled(
    by_node: Mapping[str, Mapping[int, Member]],
    company: Mapping[str, Mapping[int, set[int]]],
    favourite: Mapping[int, str],
) -> Iterator[Finding]:
    """A pair that is master on two interfaces forwards nothing if only one of them moves."""
    node = min(by_node, key=lambda name: (-len(by_node[name]), name), default="")
    there = [(number, member, member.config) for number, member in by_node.get(node, {}).items()]
    spread = {number: {name for name, own in by_node.items() if number in own} for number, *_ in there}
    for at, (number, member, own) in enumerate(there):
        for other, _, config in there[:at]:
            if own.interface == config.interface or own.family != config.family:
                continue
            watch = {track.name for track in (*own.track_interfaces, *config.track_interfaces)}
            coupled = number in company[node].get(other, set()) or {own.interface, config.interface} & watch
            alike = favourite[number] == favourite[other] and spread[number] == spread[other]
            if alike and not coupled:
                message = f"nothing couples it to {config.name}, on {config.interface}: either may move alone"
                yield Finding(member.at("interface"), "VRRP228", message)
                break  # one is enough to say so


def _names(own: Mapping[int, Member], numbers: Iterable[int]) -> str:
    return ", ".join(sorted(own[each].config.name for each in numbers))
