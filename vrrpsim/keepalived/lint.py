"""What is wrong between nodes that is right on each: the cross-node rules of keepalived.md §8.1.

The nodes are taken to share one segment; where a node has a VRID on several interfaces, those of one name
share one. Instances belong together if they have the same family and VRID there, or carry a common address
(then a differing VRID is the finding).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vrrpsim.findings import Finding, Severity
from vrrpsim.protocol.configuration import InstanceConfig
from vrrpsim.protocol.dialect import ListMismatch

from . import between
from .members import Member, ranked
from .weights import Stuck, Why, remedy, stuck

KEY_BYTES = 8  # of auth_pass that go on the wire (RFC 2338 §5.3.6)


def lint(members: Sequence[Member]) -> tuple[Finding, ...]:
    """Return every finding between these instances, sorted by place."""
    found: list[Finding] = []
    there = list(zip(members, _wires(members), strict=True))
    relations = [*_related(there)]
    for related in relations:
        usual = _usual(related)
        for other in related:
            if other.node != usual.node:
                found += _pair(usual, other)
        for receiver in related:
            found += _peers(related, receiver)
    routers = [*_virtual_routers(there)]
    for group in routers:
        found += _group(group)
    found += between.addresses(members)
    found += between.twins(members, relations)
    found += between.sync_groups(routers)
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (each.place, each.code, each.message)))


def _wires(members: Sequence[Member]) -> list[tuple[int, int, str]]:
    """Where each instance speaks: its family and VRID, with the interface if a node has several of that."""
    used = Counter((member.node, *member.key) for member in members)
    several = {(family, vrid) for (_, family, vrid), count in used.items() if count > 1}
    return [(*member.key, member.config.interface if member.key in several else "") for member in members]


def _related(there: Iterable[tuple[Member, tuple[int, int, str]]]) -> Iterator[list[Member]]:
    """Instances of several nodes that are on one wire, or have an address in common."""
    alike: dict[object, list[Member]] = {}
    for member, wire in there:
        for key in (wire, *member.addresses):
            alike.setdefault(key, []).append(member)
    yield from (group for group in alike.values() if len({member.node for member in group}) > 1)


def _usual(related: Sequence[Member]) -> Member:
    """The first of those that most are like: who differs from it is at fault, for lack of better."""
    alike = Counter(map(_compared, related))
    return max(related, key=lambda member: alike[_compared(member)])


def _compared(member: Member) -> tuple[object, ...]:
    """What `_pair` compares."""
    config = member.config
    own = (config.vrid, config.advert_int_ns, config.authentication.key, frozenset(member.addresses))
    return (*own, *(agreement.reads(config) for agreement in AGREEMENTS))


def _virtual_routers(there: Iterable[tuple[Member, tuple[int, int, str]]]) -> Iterator[list[Member]]:
    groups: dict[tuple[int, int, str], list[Member]] = {}
    for member, wire in there:
        groups.setdefault(wire, []).append(member)
    yield from (group for group in groups.values() if len({member.node for member in group}) > 1)


# --- between two nodes ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """A keyword that two nodes must agree on, how it reads, and what follows if they do not."""

    code: str
    keyword: str
    reads: Callable[[InstanceConfig], str]
    then: str


AGREEMENTS = (
    Agreement(
        "VRRP209",
        "version",
        lambda c: f"VRRP version {c.version}",
        "each rejects the other, both become MASTER",
    ),
    Agreement("VRRP213", "unicast_peer", lambda c: _way(c), "they never hear each other, both become MASTER"),
    Agreement(
        "VRRP210",
        "auth_type",
        lambda c: f"auth_type {c.authentication.auth_type.name}",
        "each rejects the other, both become MASTER",
    ),
)


def _way(config: InstanceConfig) -> str:
    return "unicast" if config.unicast else f"multicast to {config.multicast_group}"


def _pair(one: Member, other: Member) -> Iterator[Finding]:
    """Compare two instances that should be one virtual router; the second is at fault."""
    if one.key != other.key:
        yield _differs(
            one,
            other,
            "VRRP201",
            "virtual_router_id",
            f"virtual_router_id {other.config.vrid} here, {one.config.vrid}",
            "the nodes will ignore each other",
        )
        return
    for rule in AGREEMENTS:
        here, there = rule.reads(other.config), rule.reads(one.config)
        if here != there:
            shown = f"{here} here, {there}"
            yield _differs(one, other, rule.code, rule.keyword, shown, rule.then)
    yield from _advert_int(one, other)
    yield from _password(one, other)
    yield from _lists(one, other)
    yield from between.entries(one, other)
    yield from between.checks(one, other)


def _differs(one: Member, other: Member, code: str, keyword: str, shown: str, then: str) -> Finding:
    return Finding(other.at(keyword), code, f"{shown} in {one.at(keyword)}; {then}")


def _advert_int(one: Member, other: Member) -> Iterator[Finding]:
    here, there = (member.config.advert_int_ns / 1e9 for member in (other, one))
    if here == there or one.config.version != other.config.version:
        return
    shown = f"advert_int {here:g} here, {there:g}"
    if one.config.version == 2:
        then = "in version 2 each rejects the other, both become MASTER"
        yield _differs(one, other, "VRRP207", "advert_int", shown, then)
    else:
        then = "backups follow the master's, so the failover time depends on who is master"
        yield _differs(one, other, "VRRP208", "advert_int", shown, then)


def _password(one: Member, other: Member) -> Iterator[Finding]:
    ours, theirs = one.config.authentication, other.config.authentication
    if ours.auth_type is theirs.auth_type and ours.key[:KEY_BYTES] != theirs.key[:KEY_BYTES]:
        shown, then = "auth_pass differs from the one", "each rejects the other, both become MASTER"
        yield _differs(one, other, "VRRP211", "auth_pass", shown, then)


def _lists(one: Member, other: Member) -> Iterator[Finding]:
    difference = sorted(one.addresses ^ other.addresses)
    if not difference:
        return
    rejects = ListMismatch.ACCEPT not in (one.dialect.list_mismatch, other.dialect.list_mismatch)
    then = "each rejects the other, both become MASTER" if rejects else "whoever is master serves its own"
    shown = f"virtual_ipaddress differs ({', '.join(difference)}) from the one"
    yield _differs(one, other, "VRRP212" if rejects else "VRRP216", "virtual_ipaddress", shown, then)


def _peers(senders: Iterable[Member], receiver: Member) -> Iterator[Finding]:
    """The receiver's list must hold the address of every sender of its VRID."""
    peers = {peer.address for peer in receiver.config.unicast_peers}
    for sender in senders if peers else ():
        source = sender.config.source
        if sender.node == receiver.node or not sender.config.unicast or sender.key != receiver.key:
            continue
        if source is not None and source not in peers:
            message = f"{source} ({sender.node}) is not among the peers, although it sends to them"
            yield Finding(receiver.at("unicast_peer"), "VRRP214", message)


# --- within one virtual router --------------------------------------------------------------------


def _group(group: Sequence[Member]) -> Iterator[Finding]:
    owners = [member for member in group if member.config.is_owner]
    for extra in owners[1:]:
        message = f"priority 255 here and in {owners[0].at('priority')}; only one node can own the addresses"
        yield Finding(extra.at("priority"), "VRRP205", message)
    yield from _ties(group)
    for found in stuck(group):
        yield _told(group, found)
    yield from between.states(group)


def _ties(group: Sequence[Member]) -> Iterator[Finding]:
    """Equal ones elect by address, if all above them are gone."""
    alike: defaultdict[int, list[Member]] = defaultdict(list)
    for member in group:
        alike[member.priority()].append(member)
    for priority, (first, *others) in alike.items():
        if others and not first.config.is_owner:
            count = "both" if len(others) == 1 else f"{len(others) + 1} nodes"
            shown = f"{count} have effective priority {priority}, as in {first.at('priority')}"
            message = f"{shown}; the address decides who is master"
            yield Finding(others[0].at("priority"), "VRRP206", message)


CODES = {Why.WEIGHT: "VRRP203", Why.NOPREEMPT: "VRRP204", Why.SKIPPED: "VRRP233", Why.LAST: "VRRP202"}


def _told(group: Sequence[Member], found: Stuck) -> Finding:
    why, holder, track, receiver = found
    if why is Why.NOPREEMPT:
        message = (
            f"nopreempt here makes the weight of {track.name} on {holder.node} useless; use weight 0 there"
        )
        second = holder is not ranked(group)[0]  # only after another node is gone
        severity = Severity.WARNING if second else Severity.ERROR
        return Finding(receiver.at("nopreempt"), CODES[why], message, severity)
    if why is Why.SKIPPED:
        message = f"nopreempt here: if {track.name} fails on {holder.node}, the addresses pass over this node"
        return Finding(receiver.at("nopreempt"), CODES[why], message)
    left = f"{holder.node} has {holder.priority([track])} and {receiver.node} {receiver.priority()}"
    if why is Why.WEIGHT and holder.priority(holder.weighted) < receiver.priority():
        alone = f"weight {track.weight} of {track.name} alone does not move the addresses"
        message = f"{alone}: if only it fails, {left}"
        return Finding(holder.at_track(track.name), CODES[why], message, Severity.WARNING)
    never = "never moves the addresses" + (f" to {receiver.node}" if why is Why.LAST else "")
    better = remedy(group, found)
    if better is None:
        mend = "use weight 0: the instance is then in FAULT"
    else:
        mend = f"weight {better[0]} would do" + (" on every node" if better[1] else "")
    message = f"weight {track.weight} of {track.name} {never}: if it fails, {left}; {mend}"
    return Finding(holder.at_track(track.name), CODES[why], message)
