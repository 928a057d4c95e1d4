"""The nodes of a cluster, one for each keepalived.conf: read, named, their instances matched."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from vrrpsim.findings import Finding, InputError, Place, Severity, did_you_mean
from vrrpsim.keepalived.changes import Change
from vrrpsim.keepalived.compiler import Compiled, read_keepalived
from vrrpsim.keepalived.sources import source_of
from vrrpsim.protocol.configuration import InstanceConfig, VirtualAddress
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.scenario.file.resolve import ROLES
from vrrpsim.scenario.model import Address, AddressWithPrefix

from .host import ThisMachine

NOTHING: Mapping[str, str] = MappingProxyType({})
Card = tuple[str, str]  # node and interface
Remarks = dict[tuple[str, ...], str]  # what to say of a guess, by the path of the value in the scenario


@dataclass(frozen=True, slots=True)
class SourceNode:
    """One node: its name and what its file means there."""

    name: str
    file: Path
    config_id: str | None
    compiled: Compiled
    source: str = ""  # the file, or FILE@ID, as findings call the node
    host: ThisMachine | None = None  # this machine, if the node is it

    @property
    def instances(self) -> tuple[InstanceConfig, ...]:
        """The instances that run."""
        return self.compiled.config.instances if self.compiled.config else ()

    def carrier(self, instance: InstanceConfig, virtual: VirtualAddress | None = None) -> Card:
        """Return the card below an instance, or below one of its addresses."""
        chosen = virtual.interface if virtual and virtual.interface else instance.interface
        return self.name, instance.interface if chosen == instance.vmac_interface else chosen or "eth0"

    def held(self, interface: str) -> tuple[AddressWithPrefix, ...] | None:
        """Return what this machine has on it, without what its keepalived has put there; None: not known."""
        found = self.host.interfaces.get(interface) if self.host else None
        if found is None or self.host is None or not self.host.runs_keepalived:
            return found
        virtual = {each.address for one in self.instances for each in (*one.addresses, *one.excluded)}
        return tuple(each for each in found if each.ip not in virtual)


def read_machines(
    sources: Sequence[str | Path],
    dialect: Dialect,
    overrides: Mapping[str, str] = NOTHING,
    host: ThisMachine | None = None,
) -> tuple[SourceNode, ...]:
    """Read each `FILE`, or `FILE@ID` as `keepalived -i ID` does; all errors are raised at once.

    `host`, this machine, is the first node.
    `overrides` are `--set NODE.BLOCK.KEYWORD=VALUE`, with `*` for every node that has the block.
    """
    named = [source_of(source) for source in sources]
    if host is not None:
        others = [each for each in named if each != (host.conf, None)]  # it may be named, too
        named = [(host.conf, host.config_id), *others]
    broken: list[Finding] = []
    machines = []
    read = [read_keepalived(file, config_id=config_id, dialect=dialect) for file, config_id in named]
    names = _names(named, [each.config.router_id if each.config else "" for each in read], host)
    changes, wrong = changes_of(names, overrides)
    broken += wrong
    missed: Counter[Place] = Counter()
    for (file, config_id), name, compiled in zip(named, names, read, strict=True):
        mine = changes.get(name, [])
        if mine or (compiled.depends_on_id and config_id is None):
            compiled = read_keepalived(file, config_id=config_id or name, dialect=dialect, changes=mine)
        missed.update(change.place for change in compiled.missed)
        if compiled.fatal:
            errors = [finding for finding in compiled.findings if finding.severity is Severity.ERROR]
            broken += errors or compiled.findings
        source = f"{file}@{config_id}" if config_id else str(file)
        machines.append(SourceNode(name, file, None if config_id == name else config_id, compiled, source))
    if host is not None:
        machines[0] = replace(machines[0], host=host)
    for place, count in missed.items():
        if count == len(named):
            broken.append(Finding(place, "VRRP023", "no node has a block of that name"))
    if not broken:
        broken += _unusable(machines)
    if broken:
        raise InputError(tuple(sorted(dict.fromkeys(broken), key=lambda each: each.place)))
    return tuple(machines)


def texts_of(machines: Sequence[SourceNode]) -> dict[str, str]:
    """Return the text of each node's file; raise `InputError` where that is not all of it, or no text."""
    texts: dict[str, str] = {}
    wrong: dict[Finding, None] = {}
    for machine in machines:
        files = {row.words[0].place.file for row in machine.compiled.rows}
        place = Place(str(machine.file), 1, 1)
        if files - {str(machine.file)}:
            wrong[Finding(place, "VRRP027", "includes other files: it cannot be put inline")] = None
        try:
            texts[machine.name] = machine.file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            wrong[Finding(place, "VRRP027", "is not UTF-8: it cannot be put inline")] = None
    if wrong:
        raise InputError(tuple(wrong))
    return texts


def changes_of(
    names: Sequence[str], overrides: Mapping[str, str]
) -> tuple[dict[str, list[Change]], list[Finding]]:
    """Return the changes by node, and what is no path."""
    found: dict[str, list[Change]] = {}
    wrong = []
    for text, value in overrides.items():
        place = Place(f"--set {text}={value}"[:120], 1, 1)
        anywhere = text.startswith("*.")
        node = max((name for name in names if text.startswith(f"{name}.")), key=len, default=None)
        if node is None and not anywhere:
            first = text.partition(".")[0]
            message = f"{text}: no node '{first}'{did_you_mean(first, names)}; say NODE.BLOCK.KEYWORD"
            wrong.append(Finding(place, "VRRP023", message))
        for name in names if anywhere else [node] if node else []:
            path = text[2:] if anywhere else text[len(name) + 1 :]
            found.setdefault(name, []).append(Change(path, value, place, anywhere))
    return found, wrong


def _unusable(machines: Sequence[SourceNode]) -> Iterator[Finding]:
    """Say which files give no cluster: a node without an instance, or nobody to fail over to."""
    for machine in machines:
        if not machine.instances:
            place = Place(str(machine.file), 1, 1)
            yield Finding(place, "VRRP021", "has no vrrp_instance: nothing here can fail over")
    if len(machines) == 1 and machines[0].instances:
        peers = sorted({str(peer.address) for one in machines[0].instances for peer in one.unicast_peers})
        hint = f" (its peers: {', '.join(peers)})" if peers else ""
        message = f"one node has nobody to fail over to; name the keepalived.conf of every node{hint}"
        yield Finding(Place(str(machines[0].file), 1, 1), "VRRP022", message)


def _names(
    sources: Sequence[tuple[Path, str | None]], router_ids: Sequence[str], host: ThisMachine | None
) -> list[str]:
    """Name the host, and the rest by `@ID`, by router_id where it tells them apart, by file, by folder."""
    names = [clean(host.name) or "here"] if host else []
    for (file, config_id), router_id in list(zip(sources, router_ids, strict=True))[len(names) :]:
        telling = router_id if router_ids.count(router_id) == 1 else ""
        stem = "" if file.stem == "keepalived" else file.stem
        candidates = (config_id or "", telling, stem, file.resolve().parent.name, "node")
        name = next(usable for each in candidates if (usable := clean(each)))
        number = 1
        while name in names:
            number += 1
            name = f"{name.removesuffix(f'-{number - 1}')}-{number}"
        names.append(name)
    return names


def clean(text: str) -> str:
    """Make a name of a scenario of it; "" if nothing is left, or if it is a role."""
    name = re.sub(r"[^A-Za-z0-9_.:-]+", "-", text).strip("-.:")[:56]
    return "" if name in ROLES else name


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


def mates(machine: SourceNode, instance: InstanceConfig) -> tuple[InstanceConfig, ...]:
    """Return the instance and those that share its sync group."""
    groups = machine.compiled.config.groups if machine.compiled.config else ()
    names = {name for group in groups if instance.name in group.members for name in group.members}
    return instance, *(one for one in machine.instances if one.name in names and one is not instance)
