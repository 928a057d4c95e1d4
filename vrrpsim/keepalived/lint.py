"""What is wrong between nodes that is right on each: the cross-node rules of keepalived.md §8.1.

The nodes are taken to share one segment; where a node has a VRID on several interfaces, those of one name
share one. Instances belong together if they have the same family and VRID there, or carry a common address
(then a differing VRID is the finding).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vrrpsim.findings import Finding, Place
from vrrpsim.protocol.configuration import InstanceConfig, RouterConfig, Track
from vrrpsim.protocol.dialect import Dialect, ListMismatch
from vrrpsim.protocol.tracking import contribution, effective_priority

KEY_BYTES = 8  # of auth_pass that go on the wire (RFC 2338 §5.3.6)


@dataclass(frozen=True, slots=True)
class Member:
    """One instance of one node; `places` are those of `compiler.Compiled`."""

    node: str
    config: InstanceConfig
    dialect: Dialect
    places: Mapping[tuple[str, ...], Place]

    def at(self, keyword: str) -> Place:
        """Return the place of a keyword, else of the instance."""
        own = ("instance", self.config.name)
        return self.places.get((*own, keyword)) or self.places.get(own) or Place(self.node, 1, 1)

    def at_track(self, name: str) -> Place:
        """Return where the instance, or its group, says that it tracks `name`."""
        found = (
            place for key, place in self.places.items() if key[0].startswith("track_") and key[2:] == (name,)
        )
        return next(found, self.at("track_script"))

    @property
    def weighted(self) -> tuple[Track, ...]:
        """The trackers that move the priority by a fixed amount."""
        config = self.config
        tracks = (*config.track_scripts, *config.track_interfaces, *config.track_processes)
        return tuple(track for track in tracks if track.weight)

    @property
    def faulting(self) -> bool:
        """Whether some tracker puts the instance into FAULT."""
        config = self.config
        tracks = (*config.track_scripts, *config.track_interfaces, *config.track_processes)
        return any(track.weight == 0 for track in tracks)

    def priority(self, failed: Iterable[Track] = ()) -> int:
        """Return the effective priority while these trackers fail."""
        bad = tuple(failed)
        total = sum(contribution(track, track not in bad) for track in self.weighted)
        return effective_priority(self.config.priority, self.config.priority + total)


def members_of(
    node: str,
    config: RouterConfig,
    dialect: Dialect,
    places: Mapping[tuple[str, ...], Place] | None = None,
) -> tuple[Member, ...]:
    """Return the instances of one node."""
    return tuple(Member(node, instance, dialect, places or {}) for instance in config.instances)


def lint(members: Sequence[Member]) -> tuple[Finding, ...]:
    """Return every finding between these instances, sorted by place."""
    found: list[Finding] = []
    there = list(zip(members, _wires(members), strict=True))
    for related in _related(there):
        usual = _usual(related)
        for other in related:
            if other.node != usual.node:
                found += _pair(usual, other)
        for receiver in related:
            found += _peers(related, receiver)
    for group in _virtual_routers(there):
        found += _group(group)
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (each.place, each.code, each.message)))


def _wires(members: Sequence[Member]) -> list[tuple[int, int, str]]:
    """Where each instance speaks: its family and VRID, with the interface if a node has several of that."""
    used = Counter((member.node, *_key(member)) for member in members)
    several = {(family, vrid) for (_, family, vrid), count in used.items() if count > 1}
    return [(*_key(member), member.config.interface if _key(member) in several else "") for member in members]


def _related(there: Iterable[tuple[Member, tuple[int, int, str]]]) -> Iterator[list[Member]]:
    """Instances of several nodes that are on one wire, or have an address in common."""
    alike: dict[object, list[Member]] = {}
    for member, wire in there:
        for key in (wire, *_addresses(member)):
            alike.setdefault(key, []).append(member)
    yield from (group for group in alike.values() if len({member.node for member in group}) > 1)


def _usual(related: Sequence[Member]) -> Member:
    """The first of those that most are like: who differs from it is at fault, for lack of better."""
    alike = Counter(map(_compared, related))
    return max(related, key=lambda member: alike[_compared(member)])


def _compared(member: Member) -> tuple[object, ...]:
    """What `_pair` compares."""
    config = member.config
    own = (config.vrid, config.advert_int_ns, config.authentication.key, frozenset(_addresses(member)))
    return (*own, *(agreement.reads(config) for agreement in AGREEMENTS))


def _key(member: Member) -> tuple[int, int]:
    return member.config.family, member.config.vrid


def _addresses(member: Member) -> set[str]:
    return {str(virtual.address) for virtual in member.config.addresses}


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
    if _key(one) != _key(other):
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
    difference = sorted(_addresses(one) ^ _addresses(other))
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
        if sender.node == receiver.node or not sender.config.unicast or _key(sender) != _key(receiver):
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
    preferred = max(group, key=lambda member: (member.priority(), int(member.config.source or 0)))
    others = [member for member in group if member.node != preferred.node]
    rival = max(others, key=Member.priority)
    if rival.priority() == preferred.priority() and not owners:
        shown = f"both nodes have effective priority {rival.priority()}, as in {preferred.at('priority')}"
        yield Finding(rival.at("priority"), "VRRP206", f"{shown}; the address decides who is master")
    elif not preferred.config.is_owner:
        yield from _weights(preferred, rival)
    yield from _nopreempt(preferred, others)


def _weights(preferred: Member, rival: Member) -> Iterator[Finding]:
    """A failing tracker must bring the preferred node strictly below the best other one."""
    for track in preferred.weighted:
        surplus = preferred.priority([track]) - rival.priority()
        if surplus >= 0:
            message = (
                f"weight {track.weight} of {track.name} never moves the addresses: if it fails, "
                f"{preferred.node} has {preferred.priority([track])} and {rival.node} {rival.priority()}; "
                f"it takes at least {abs(track.weight) + surplus + 1}"
            )
            yield Finding(preferred.at_track(track.name), "VRRP203", message)


def _nopreempt(preferred: Member, others: Iterable[Member]) -> Iterator[Finding]:
    """A backup with nopreempt never takes over from a master that is alive with less priority."""
    if not preferred.weighted or preferred.faulting:
        return
    for other in others:
        if not other.config.preempt:
            names = ", ".join(track.name for track in preferred.weighted)
            message = (
                f"nopreempt here makes the weight of {names} on {preferred.node} useless; use weight 0 there"
            )
            yield Finding(other.at("nopreempt"), "VRRP204", message)
