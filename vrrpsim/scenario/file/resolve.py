"""A valid document to a `Scenario`: references checked, keepalived's configuration compiled.

Every error goes to the tree and all are raised together. Where the shape of a part was wrong, checks that
need that part are skipped, so that one slip gives one message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from vrrpsim.findings import Finding, Place, Severity, did_you_mean
from vrrpsim.keepalived.changes import Change
from vrrpsim.keepalived.compiler import Compiled, Places, compile_statements, compile_text, read_keepalived
from vrrpsim.keepalived.lexer import confined
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.model import (
    Address,
    AddressWithPrefix,
    Bound,
    Client,
    Expect,
    Keepalived,
    Measure,
    Node,
    Owns,
    Probe,
    Scenario,
    Segment,
    Statistic,
)
from vrrpsim.scenario.quantities import format_duration

from .fields import Reading
from .format import (
    CLIENT_OUTAGE,
    ExpectDocument,
    KeepalivedDocument,
    Owners,
    Pending,
)
from .inline_config import BESIDE_SCRIPT
from .resolve_cables import resolve_cables
from .resolve_events import resolve_events
from .yaml_tree import Keys, Tree

ROLES = ("master", "backup")
MEASURES: tuple[Measure, ...] = get_args(Measure)
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)


class Resolver:
    """Builds the scenario from a document; keeps what the parts need to know of each other."""

    def __init__(self, tree: Tree, document: Pending, reading: Reading, path: Path) -> None:
        self.tree, self.path = tree, path
        self.scenario: Scenario = document.model
        self.rest = document.rest
        pending: Mapping[str, Pending] = document.rest["nodes"]
        self.nodes: dict[str, Node] = {name: each.model for name, each in pending.items()}
        self.daemons: dict[str, KeepalivedDocument | None] = {
            name: each.rest.get("keepalived") for name, each in pending.items()
        }
        self.is_damaged = reading.is_damaged
        self.addresses: dict[Any, Keys] = {}  # who has it: for duplicates
        self.macs: dict[str, Keys] = {}
        self.remarks: list[Finding] = []
        self.places: dict[str, Places] = {}  # of each node's keywords
        self.missed = list(tree.missed)  # changes for any node that found no block in one

    def resolve(self) -> Scenario:
        """Check everything and build the scenario."""
        scenario = self.scenario
        self._check_names()
        nodes = {name: self._node(name, node) for name, node in self.nodes.items()}
        misses = Counter(change.place for change in self.missed)
        for change in dict.fromkeys(self.missed):
            if misses[change.place] == self.tree.tried[change.place]:
                self.tree.add(change.place, f"{change.path}: no node has a block of that name")
        clients = {name: self._client(name, client) for name, client in scenario.clients.items()}
        self._check_targets(nodes, clients)
        self.scenario = scenario = replace(scenario, cables=resolve_cables(self))
        expect: ExpectDocument | None = self.rest.get("expect")
        return replace(
            scenario,
            name=scenario.name or self.path.stem,
            nodes=nodes,
            clients=clients,
            events=resolve_events(self, nodes, self.rest.get("events", {})),
            expect=self._expect(expect, nodes) if expect else None,
            path=self.path,
            findings=tuple(self.remarks),
        )

    # --- names

    def names(self, *path: str) -> list[str]:
        """Return the keys of a mapping of the file, sound or not."""
        try:
            value = self.tree.lookup(path)
        except KeyError:
            return []
        return list(value) if isinstance(value, dict) else []

    def warn(self, path: Keys, code: str, message: str) -> None:
        """Note something that runs but is probably not meant."""
        place = self.tree.value_place(path)
        self.remarks.append(Finding(place, code, message))

    def _check_names(self) -> None:
        nodes = self.names("nodes")
        for node in nodes:
            if node in ROLES:
                self.tree.error(("nodes", node), "is a role in targets; name the node otherwise", at_key=True)
        for kind in ("clients", "segments", "switches"):
            for name in self.names(kind):
                if name in ROLES:
                    self.tree.error((kind, name), "is a role in targets; choose another name", at_key=True)
                if name in nodes:
                    self.tree.error((kind, name), "is also the name of a node", at_key=True)
        for kind, other in (("clients", "segment"), ("switches", "segment"), ("switches", "client")):
            for name in self.names(kind):
                if name in self.names(f"{other}s"):
                    self.tree.error((kind, name), f"is also the name of a {other}", at_key=True)

    def known(self, name: str, kind: str, path: Keys) -> bool:
        """Check that `name` is one of the file's segments, nodes or clients; report it at `path` if not."""
        names = self.names(kind)
        if name not in names:
            self.tree.error(path, f"no {kind.removesuffix('s')} '{name}'{did_you_mean(name, names)}")
        return name in names

    # --- nodes and clients

    def _node(self, name: str, node: Node) -> Node:
        path = ("nodes", name)
        interfaces = {}
        for label, interface in node.interfaces.items():
            where = (*path, "interfaces", label)
            segment = self._segment(interface.segment, where)
            addresses = tuple(
                self._address(address, segment, (*where, "address")) for address in interface.addresses
            )
            if interface.mac:
                self._claim(self.macs, interface.mac, (*where, "mac"))
            interfaces[label] = interface._replace(addresses=addresses)
        for state, effects in node.notify.does.items() if node.notify else ():
            for number, (_, process) in enumerate(effects):
                if process not in node.processes and not self.is_damaged(*path, "processes"):
                    hint = did_you_mean(process, node.processes)
                    self.tree.error(
                        (*path, "notify", "does", state, number), f"no process '{process}' on {name}{hint}"
                    )
        return replace(node, interfaces=interfaces, keepalived=self._keepalived(name, node))

    def _segment(self, segment: str, path: Keys) -> Segment | None:
        self.known(segment, "segments", (*path, "segment"))
        return self.scenario.segments.get(segment)

    def _address(self, address: AddressWithPrefix, segment: Segment | None, path: Keys) -> AddressWithPrefix:
        """Check one address; where it was written without a prefix length, take the segment's."""
        self._claim(self.addresses, address.ip, path)
        subnet = segment.network(address.version) if segment else None
        if subnet is None or address.ip.is_link_local:
            return address
        if address.ip not in subnet:
            self.tree.error(path, f"{address.ip} is not in {subnet}, the subnet of the segment")
        if address.network.prefixlen == address.max_prefixlen:
            return type(address)(f"{address.ip}/{subnet.prefixlen}")
        return address

    def _claim(self, owners: dict[Any, Keys], value: Any, path: Keys) -> None:
        first = owners.setdefault(value, path)
        if first is path:
            return
        message = f"{value} is given twice; the first is on line {self.tree.value_place(first).line}"
        if self._are_twins(first, path):
            self.warn(path, "VRRP502", f"{message}: two nodes with one address")
        else:
            self.tree.error(path, message)

    def _are_twins(self, one: Keys, other: Keys) -> bool:
        """Whether these are addresses of two nodes on one segment: reality allows that, and suffers."""
        if {one[0], other[0]} != {"nodes"} or "mac" in (one[-1], other[-1]) or one[1] == other[1]:
            return False
        first, second = (self.nodes[str(path[1])].interfaces[str(path[3])] for path in (one, other))
        return first.segment == second.segment

    def _client(self, name: str, client: Client) -> Client:
        path = ("clients", name)
        segment = self._segment(client.segment, path)
        if client.address is None:
            return client
        return client._replace(address=self._address(client.address, segment, (*path, "address")))

    def _check_targets(self, nodes: dict[str, Node], clients: dict[str, Client]) -> None:
        """Warn of clients that ask an address nobody can have."""
        if self.is_damaged("nodes"):
            return
        known = {
            address.ip for node in nodes.values() for i in node.interfaces.values() for address in i.addresses
        }
        known |= _virtual(nodes)
        for name, client in clients.items():
            for key, address in (("target", client.target[0]), ("via", client.via)):
                if address is not None and address not in known:
                    message = f"clients.{name}.{key}: nobody has {address}"
                    self.warn(("clients", name, key), "VRRP505", message)
            if client.via is not None and client.via.version != client.target[0].version:
                self.tree.error(("clients", name, "via"), f"is no way to {client.target[0]}")

    # --- keepalived

    def _keepalived(self, name: str, node: Node) -> Keepalived | None:
        daemon = self.daemons[name]
        path = ("nodes", name, "keepalived")
        if daemon is None or self.is_damaged(*path):
            return None
        dialect = node.dialect or self.scenario.dialect
        changes = self.tree.changes.get(name, ())
        if daemon.conf is not None:
            read = compile_text(
                daemon.conf,
                file=f"{self.tree.file} ({name})",
                base=self.path.parent,
                config_id=daemon.config_id or name,
                dialect=DIALECTS[dialect],
                changes=changes,
            )
            self.missed.extend(read.missed)
            compiled = self._take(read)
        elif daemon.file is None:
            compiled = self._take(compile_statements(daemon.statements, dialect=DIALECTS[dialect]))
        else:
            compiled = self.read_conf(
                daemon.file,
                daemon.config_id or name,
                dialect,
                (*path, "file"),
                changes,
            )
        if compiled is None or compiled.config is None:
            return None
        self.places[name] = compiled.places
        self.check_config(name, node, compiled)
        return Keepalived(
            config=compiled.config,
            starts=daemon.starts,
            starts_up=daemon.starts_up,
            config_id=daemon.config_id,
            file=None if daemon.file is None else self.path.parent / daemon.file,
            probes=self._probes(name, daemon, compiled),
            changed=daemon.file is not None and name in self.tree.changes,
        )

    def read_conf(
        self, file: str, config_id: str, dialect: str, path: Keys, changes: Sequence[Change] = ()
    ) -> Compiled | None:
        """Compile a keepalived.conf named in the scenario; its errors keep their own places."""
        conf = self.path.parent / file
        if "\0" in file or not conf.is_file():
            self.tree.error(path, f"no such file: {conf}")
            return None
        home = self.path.resolve().parent
        if confined() and not conf.resolve().is_relative_to(home):
            self.tree.error(path, f"{conf} lies outside of {home}")
            return None
        compiled = read_keepalived(conf, config_id=config_id, dialect=DIALECTS[dialect], changes=changes)
        self.missed.extend(compiled.missed)
        return self._take(compiled)

    def _take(self, compiled: Compiled) -> Compiled | None:
        if compiled.fatal:
            errors = [finding for finding in compiled.findings if finding.severity is Severity.ERROR]
            for finding in errors or compiled.findings:
                self.tree.add(finding.place, finding.message, finding.code)
            return None
        self.remarks.extend(compiled.findings)
        return compiled

    def _probes(self, node: str, daemon: KeepalivedDocument, compiled: Compiled) -> dict[str, Probe]:
        path = ("nodes", node, "keepalived")
        for script, probe in daemon.probes.items():
            self._check_probe(node, script, compiled, (*path, "probes", script), probe)
        for script, probe in daemon.beside.items():
            where = (*path, "vrrp_scripts", script, BESIDE_SCRIPT)
            self._check_probe(node, script, compiled, where, probe)
        return {**daemon.probes, **daemon.beside}

    def _check_probe(self, node: str, script: str, compiled: Compiled, path: Keys, probe: Probe) -> None:
        processes = self.names("nodes", node, "processes")
        if probe.process is not None and probe.process not in (*processes, "keepalived"):
            hint = did_you_mean(probe.process, processes)
            self.tree.error((*path, "process"), f"no process '{probe.process}' on {node}{hint}")
        if script not in compiled.scripts:
            hint = did_you_mean(script, compiled.scripts)
            self.tree.error(path, f"no vrrp_script '{script}'{hint}", at_key=True)

    def check_config(self, name: str, node: Node, compiled: Compiled) -> None:
        """Compare what the configuration names with what the node has; the places are the configuration's."""
        if self.is_damaged("nodes", name, "interfaces") or compiled.config is None:
            return
        own = {address.ip for interface in node.interfaces.values() for address in interface.addresses}
        for instance in compiled.config.instances:
            label = f"vrrp_instance {instance.name}"
            if instance.interface and instance.interface not in node.interfaces:
                hint = did_you_mean(instance.interface, node.interfaces)
                place = _place(compiled, "instance", instance.name, "interface")
                message = f"{label}: {name} has no interface '{instance.interface}'{hint}"
                if compiled.config.dynamic_interfaces:
                    self.remarks.append(Finding(place, "VRRP504", f"{message}: it is in FAULT"))
                else:
                    self.tree.add(place, message)
            if instance.source is not None and instance.source not in own:
                word = "unicast_src_ip" if instance.unicast else "mcast_src_ip"
                place = _place(compiled, "instance", instance.name, word)
                message = f"{label}: {name} has no address {instance.source}"
                self.remarks.append(Finding(place, "VRRP503", message))
            for track in instance.track_interfaces:
                if track.name not in (*node.interfaces, instance.vmac_interface):
                    message = f"{label}: tracks interface '{track.name}', which {name} does not have"
                    place = _place(compiled, "track_interface", instance.name, track.name)
                    self.remarks.append(Finding(place, "VRRP504", message))

    # --- expectations

    def _expect(self, expect: ExpectDocument, nodes: Mapping[str, Node]) -> Expect:
        owners = [each for key in expect.owners for each in self._owners(key, expect.owners[key], nodes)]
        owners.sort(key=lambda each: (each.at == "end", each.at if each.at != "end" else 0))
        return Expect(owner=tuple(owners), bounds=tuple(self._bounds(expect)))

    def _owners(self, key: str, wanted: Owners, nodes: Mapping[str, Node]) -> Iterator[Owns]:
        horizon, address = self.scenario.duration_ns, key.removeprefix("owner").removeprefix(".")
        virtual = {str(each): each for each in _virtual(nodes)}
        if address and address not in virtual and not self.is_damaged("nodes"):
            message = f"no virtual address '{address}'{did_you_mean(address, virtual)}"
            self.tree.error(("expect", key), message, at_key=True)
        for (at, node), written in zip(wanted.items(), self.names("expect", key), strict=False):
            self.known(node, "nodes", ("expect", key, written))
            if at != "end" and at > horizon and not self.is_damaged("duration"):
                message = f"{format_duration(at)} is after the end, {format_duration(horizon)}"
                self.tree.error(("expect", key, written), message, at_key=True)
            yield Owns(at, node, address)

    def _bounds(self, expect: ExpectDocument) -> Iterator[Bound]:
        for key in sorted(expect.limits, key=lambda key: MEASURES.index(key) if key in MEASURES else 9):
            measure, client = key, None
            if key not in MEASURES:
                measure, client = "outage", key.removeprefix(CLIENT_OUTAGE)
                if client not in self.names("clients"):
                    hint = did_you_mean(client, self.names("clients"))
                    self.tree.error(("expect", key), f"no client '{client}'{hint}", at_key=True)
            yield from self._bound(cast(Measure, measure), client, key, expect.limits[key])

    def _bound(
        self, measure: Measure, client: str | None, key: str, limits: Mapping[str, int]
    ) -> Iterator[Bound]:
        for statistic in STATISTICS:
            if statistic in limits:
                place = self.tree.key_place(("expect", key, statistic))
                yield Bound(measure, client, statistic, limits[statistic], place)
        if "min" in limits and "max" in limits and limits["min"] > limits["max"]:
            self.tree.error(("expect", key, "min"), "is more than max")


def _instances(nodes: Mapping[str, Node]) -> Iterable[Any]:
    return [
        instance
        for node in nodes.values()
        if node.keepalived
        for instance in node.keepalived.config.instances
    ]


def _virtual(nodes: Mapping[str, Node]) -> set[Address]:
    """Return the addresses that move."""
    return {
        each.address for instance in _instances(nodes) for each in (*instance.addresses, *instance.excluded)
    }


def _place(compiled: Compiled, kind: str, owner: str, word: str) -> Place:
    """Return where the keyword stands, else its block, else the first line that has a place."""
    places = compiled.places
    for key in ((kind, owner, word), (kind, owner), ("instance", owner)):
        if key in places:
            return places[key]
    return next(iter(places.values()))
