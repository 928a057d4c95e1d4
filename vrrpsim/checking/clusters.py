"""Which of many keepalived.conf files are the nodes of one cluster.

Files belong together that have a virtual address in common, or of which one names the other as its unicast
peer; first within their folder, and what is alone in its folder with what is alone in others: addresses are
used again at other sites. What is left alone joins those with the same VRID in the same network: there the
difference is the mistake. Two files are always a pair: who names two wants to have them compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from ipaddress import ip_interface
from pathlib import Path

from vrrpsim.findings import Finding
from vrrpsim.keepalived.members import Member
from vrrpsim.keepalived.sources import source_of

from .report import Checked

Groups = list[list[Checked]]
NETWORK_BITS = {4: 24, 6: 64}  # of an address without a network: the usual ones


def clusters_of(checked: Sequence[Checked], said: Sequence[Sequence[str | Path]] = ()) -> Groups:
    """Return the clusters; `said` are those that somebody has named, file by file."""
    left = list(checked)
    groups: Groups = []
    for names in said:
        wanted = {_named(name) for name in names}
        members = [
            each for each in left if _named(each.file) in wanted or _named(each.file)[0] in _plain(wanted)
        ]
        left = [each for each in left if each not in members]
        groups += [members] if members else []
    confs = [each for each in left if each.kind == "keepalived.conf"]
    groups += [[each] for each in left if each.kind != "keepalived.conf"]
    if len(confs) <= 2:
        return [*groups, confs] if confs else groups
    return [*groups, *_found(confs)]


def _named(name: str | Path) -> tuple[Path, str | None]:
    file, config_id = source_of(name)
    return file.resolve(), config_id


def _plain(wanted: Iterable[tuple[Path, str | None]]) -> set[Path]:
    return {file for file, config_id in wanted if config_id is None}


def _found(checked: Sequence[Checked]) -> Groups:
    folders: defaultdict[Path, Groups] = defaultdict(list)
    for each in checked:
        folders[_folder(each)].append([each])
    certain = [group for inside in folders.values() for group in _joined(inside, _certain)]
    several = [group for group in certain if len(group) > 1]
    certain = _joined([group for group in certain if len(group) == 1], _certain)
    alone = [group for group in certain if len(group) == 1]
    several += [group for group in certain if len(group) > 1]
    networks: defaultdict[Hashable, list[list[Checked]]] = defaultdict(list)
    for group in several:
        for folder, key in {(_folder(each), key) for each in group for key in _network(each)}:
            networks[folder, key].append(group)
    rest = []
    for group in alone:
        here = _folder(group[0])
        near = [found for key in _network(group[0]) for found in networks.get((here, key), ())]
        if len({id(each) for each in near}) == 1:  # of two clusters nobody knows which
            near[0].append(group[0])
        else:
            rest.append(group)
    return [*several, *_joined(rest, _network)]


def _folder(checked: Checked) -> Path:
    return source_of(checked.file)[0].parent


def _joined(groups: Groups, keys: Callable[[Checked], Iterable[Hashable]]) -> Groups:
    """Join groups that share a key (union and find)."""
    parent = list(range(len(groups)))

    def top(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[Hashable, int] = {}
    for at, group in enumerate(groups):
        for key in {key for each in group for key in keys(each)}:
            parent[top(at)] = top(first.setdefault(key, at))
    joined: dict[int, list[Checked]] = {}
    for at, group in enumerate(groups):
        joined.setdefault(top(at), []).extend(group)
    return [*joined.values()]


def _certain(checked: Checked) -> Iterator[Hashable]:
    """What nodes of one cluster have in common: a virtual address; a link from one node to the other."""
    for member in checked.members:
        config = member.config
        yield from (("address", each.address) for each in (*config.addresses, *config.excluded))
        if config.unicast_peers and config.source is not None:
            yield from (("link", frozenset((config.source, peer.address))) for peer in config.unicast_peers)


def _network(checked: Checked) -> Iterator[Hashable]:
    for member in checked.members:
        yield from _networks_of(member)


def _networks_of(member: Member) -> Iterator[Hashable]:
    config = member.config
    for each in config.addresses:
        full = each.prefix_length == each.address.max_prefixlen
        bits = NETWORK_BITS[each.address.version] if full else each.prefix_length
        yield config.family, config.vrid, ip_interface(f"{each.address}/{bits}").network


def between(groups: Sequence[Sequence[Checked]]) -> Iterator[Finding]:
    """Say where two clusters of one folder use one VRID in one network, at each but the first."""
    first: dict[Hashable, tuple[int, Member]] = {}
    for at, group in enumerate(groups):
        pairs = ((_folder(each), member) for each in group for member in each.members)
        for folder, member in pairs:
            for key in () if member.config.unicast else dict.fromkeys(_networks_of(member)):
                known, other = first.setdefault((folder, key), (at, member))
                if known != at:
                    first[folder, key] = (at, member)  # of three the third names the second
                    message = (
                        f"virtual_router_id {member.config.vrid} is also that of another cluster in the "
                        f"network of {member.config.addresses[0].address}, in {other.at('virtual_router_id')}"
                    )
                    yield Finding(member.at("virtual_router_id"), "VRRP217", message)
