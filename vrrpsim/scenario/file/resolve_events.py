"""Event documents to events: targets found in the scenario, `after:` chains without loops."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from vrrpsim.findings import did_you_mean
from vrrpsim.keepalived.compiler import Compiled
from vrrpsim.scenario import verbs
from vrrpsim.scenario.events import (
    NO_PARAMETERS,
    AddAddress,
    Event,
    FlushAddress,
    Impairment,
    Inject,
    Parameters,
    Partition,
    Reload,
    Role,
    SetPriority,
    Starve,
    Target,
    WriteFile,
)
from vrrpsim.scenario.model import Node, Scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.verbs import (
    FILE,
    INSTANCE,
    INTERFACE,
    LINK,
    PLACE,
    PROCESS,
    SCRIPT,
    SEGMENT,
    SESSION,
    VERBS,
)

from .format import EventDocument, KeepalivedDocument
from .yaml_tree import Keys, Tree

_TARGET = re.compile(r"^(?P<head>[^(/]+)(?:\((?P<instance>[^)]+)\))?(?:/(?P<item>.+))?$")
MEMBER = "NODE, NODE/INTERFACE, CLIENT or SWITCH"  # of a partition's group, or a sender or receiver


class Surrounding(Protocol):
    """What events need to know of the rest of the file, and where their errors go."""

    tree: Tree
    scenario: Scenario  # what else the file says
    nodes: dict[str, Node]
    daemons: dict[str, KeepalivedDocument | None]

    def is_damaged(self, *path: str | int) -> bool:
        """Whether this part of the file was wrong already."""

    def names(self, *path: str) -> list[str]:
        """Return the keys of a mapping of the file, sound or not."""

    def warn(self, path: Keys, code: str, message: str) -> None:
        """Note something that runs but is probably not meant."""

    def read_conf(self, file: str, config_id: str, dialect: str, path: Keys) -> Compiled | None:
        """Read a keepalived.conf; None if it cannot be used."""

    def check_config(self, name: str, node: Node, compiled: Compiled) -> None:
        """Compare a configuration with the node that is to run it."""


def resolve_events(
    resolver: Surrounding, nodes: Mapping[str, Node], documents: Mapping[int, EventDocument]
) -> tuple[Event, ...]:
    """Build the events in the order of the file; errors go to the tree."""
    events = _Events(resolver, nodes)
    built = tuple(events.build(index, event) for index, event in documents.items())
    events.check_names(built)
    return built


MOST_FIRINGS = 1_000_000  # of one event, as `count:` may say


class _Events:
    def __init__(self, resolver: Surrounding, nodes: Mapping[str, Node]) -> None:
        self.resolver, self.nodes, self.tree = resolver, nodes, resolver.tree
        cables = resolver.scenario.cables
        self.cables = {"-".join(reversed(each.ends)): each.name for each in cables}  # or the other way round
        self.cables |= {each.name: each.name for each in cables}

    def build(self, index: int, document: EventDocument) -> Event:
        verb, path = document.verb, ("events", index)
        text = document.words[verb]
        sound = not self.resolver.is_damaged(*path)
        if sound and document.count is not None and document.every is None:
            self.tree.error((*path, "count"), "needs 'every:'", at_key=True)
        if sound and document.every is not None and document.count is None:
            self._bound(document.every, (*path, "every"))
        return Event(
            verb=verb,
            at=document.at,
            index=index,
            name=document.name or f"{verb}-{index}",
            target=self.target(text, verb, (*path, verb)) if isinstance(text, str) else None,
            parameters=self.parameters(verb, document.words, path),
            lasts=document.lasts,
            every=document.every,
            count=document.count,
        )

    def _bound(self, every: Distribution, path: Keys) -> None:
        """A repetition that nobody could wait for is an error, and not a run without end."""
        firings = self.resolver.scenario.duration_ns // max(every.mean_ns, 1)
        if firings > MOST_FIRINGS:
            message = f"would fire {firings:,} times; at most {MOST_FIRINGS:,} are possible"
            self.tree.error(path, message)

    def parameters(self, verb: str, words: Mapping[str, Any], path: Keys) -> Parameters:
        match verb:
            case "reload":
                return self.reload(words["reload"], words.get("config"), path)
            case "partition":
                groups = tuple(self.members(group, (*path, "partition")) for group in words["partition"])
                self.check_groups(groups, path)
                return Partition(groups, words.get("one_way", False))
            case "impair":
                return self.impairment(words, path)
            case "starve":
                return Starve(words["delay"])
            case "flush_address":
                return FlushAddress(words["address"])
            case "add_address":
                return AddAddress(words["address"])
            case "write":
                return WriteFile(words["value"])
            case "set":
                return SetPriority(words["priority"])
            case "inject":
                return Inject(words["advert"])
            case _:
                return NO_PARAMETERS

    def reload(self, name: str, config: str | None, path: Keys) -> Reload:
        if config is None:
            return Reload()
        where = (*path, "config")
        node = self.resolver.nodes.get(name)
        if node is None:
            if name in ("master", "backup"):
                self.tree.error(where, "needs a node by name, not a role: its interfaces are checked")
            return Reload()
        dialect = node.dialect or self.resolver.scenario.dialect
        daemon = self.resolver.daemons[name]
        config_id = (daemon and daemon.config_id) or name
        compiled = self.resolver.read_conf(config, config_id, dialect, where)
        if compiled is None:
            return Reload()
        self.resolver.check_config(name, node, compiled)
        return Reload(compiled.config, config)

    def impairment(self, words: Mapping[str, Any], path: Keys) -> Impairment:
        measures = ("loss", "delay", "jitter", "duplicate", "reorder", "corrupt")
        sound = not self.resolver.is_damaged(*path)
        if sound and all(words.get(word) is None for word in measures):
            self.tree.error((*path, "impair"), f"does nothing; give at least one of: {', '.join(measures)}")
        if sound and words.get("burst") is not None and words.get("loss") is None:
            self.tree.error((*path, "burst"), "needs 'loss:'", at_key=True)
        made = Impairment(
            **{word: words.get(word) for word in (*measures, "burst")},
            only=tuple(words.get("only", ())),
            senders=self.members(words.get("from", ()), (*path, "from")),
            receivers=self.members(words.get("to", ()), (*path, "to")),
        )
        self.check_ends(words["impair"], made, path)
        return made

    def check_ends(self, place: str, impairment: Impairment, path: Keys) -> None:
        """Of a cable, senders and receivers are its ends: they say the direction."""
        name = self.cables.get(place)
        ends = next((each.ends for each in self.resolver.scenario.cables if each.name == name), None)
        if ends is None or "/" in place:
            return
        near = {*ends, *(end.partition("/")[0] for end in ends)}
        for key, members in (("from", impairment.senders), ("to", impairment.receivers)):
            for member in members:
                if member.text not in near:
                    self.tree.error(
                        (*path, key), f"{member.text} is no end of {place}: {' and '.join(ends)} are"
                    )

    def members(self, texts: Sequence[str], path: Keys) -> tuple[Target, ...]:
        return tuple(self.target(text, "", path) for text in texts)

    def check_groups(self, groups: tuple[tuple[Target, ...], ...], path: Keys) -> None:
        seen: set[str] = set()
        for target in (target for group in groups for target in group):
            if target.text in seen:
                self.tree.error((*path, "partition"), f"{target.text} is named twice")
            seen.add(target.text)

    # --- targets

    def target(self, text: str, verb: str, path: Keys) -> Target:
        match = _TARGET.match(text)
        assert match is not None  # the document's pattern is stricter
        head, instance, item = match["head"], match["instance"], match["item"]
        names = self.resolver.names
        needs = VERBS[verb].target if verb else MEMBER
        target = Target(text)
        if head in ("master", "backup"):
            target = Target(text, role=cast(Role, head), instance=instance, item=item)
        elif instance is not None:
            self.tree.error(path, f"'{text}': only master(INSTANCE) and backup(INSTANCE) take an instance")
            return target
        elif head in names("nodes"):
            target = Target(text, node=head, item=item)
        elif head in names("segments"):
            target = Target(text, segment=head, item=item)
        elif head in names("clients"):
            target = Target(text, client=head, item=item)
        elif head in names("switches"):
            target = Target(text, switch=head, item=item)
        elif head in self.cables:
            target = Target(text, cable=self.cables[head], item=item)
        elif self.resolver.is_damaged("cables"):
            return target
        else:
            known = [
                *(name for kind in ("nodes", "segments", "clients", "switches") for name in names(kind)),
                *self.cables,
                *("master", "backup"),
            ]
            what = "segment" if needs == SEGMENT else "node"
            self.tree.error(path, f"'{text}': no {what} '{head}'{did_you_mean(head, known)}")
            return target
        if not _fits(target, needs):
            self.tree.error(path, f"'{verb or path[-1]}' needs {needs}, not '{text}'")
        elif self.check_role(target, path):
            self.check_item(target, verb, path)
        return target

    def check_role(self, target: Target, path: Keys) -> bool:
        if target.role is None or self.resolver.is_damaged("nodes"):
            return True
        known: dict[str, None] = {}
        for node in self.nodes.values():
            known.update(
                dict.fromkeys(i.name for i in node.keepalived.config.instances) if node.keepalived else {}
            )
        if target.instance is not None and target.instance not in known:
            self.tree.error(
                path, f"no vrrp_instance '{target.instance}'{did_you_mean(target.instance, known)}"
            )
            return False
        several = any(len(n.keepalived.config.instances) > 1 for n in self.nodes.values() if n.keepalived)
        if target.instance is None and several:
            choices = " or ".join(f"{target.role}({name})" for name in list(known)[:3])
            self.tree.error(path, f"'{target.text}' is ambiguous; write {choices}")
            return False
        return True

    def check_item(self, target: Target, verb: str, path: Keys) -> None:
        if target.item is None:
            if verb == "reload":
                self.check_daemon(target, path)
            return
        kind, of_node = _ITEMS[VERBS[verb].target if verb else MEMBER]
        damaged = self.resolver.is_damaged
        candidates = [target.node] if target.node else list(self.resolver.names("nodes"))
        known: list[str] = []
        for name in candidates:
            if damaged("nodes", name) or name not in self.nodes:
                return
            known += of_node(self.nodes[name])
        if target.item not in known:
            where = f"on {target.node}" if target.node else "on any node"
            shown = f"no {kind} '{target.item}' {where}{did_you_mean(target.item, known)}"
            self.tree.error(path, f"'{target.text}': {shown}")

    def check_daemon(self, target: Target, path: Keys) -> None:
        name = target.node or ""
        if (
            name in self.resolver.nodes
            and self.resolver.daemons[name] is None
            and not self.resolver.is_damaged("nodes")
        ):
            self.tree.error(path, f"{target.node} runs no keepalived")

    # --- names and chains

    def check_names(self, events: Sequence[Event]) -> None:
        """Names are unique; `after:` leads to an event and, followed on, to an absolute time."""
        by_name: dict[str, Event] = {}
        for event in events:
            path: Keys = ("events", event.index, "name")
            if event.name in by_name:
                self.tree.error(
                    path, f"'{event.name}' is already the name of events[{by_name[event.name].index}]"
                )
            by_name.setdefault(event.name, event)
        damaged = self.resolver.is_damaged("events")
        for event in events:
            where: Keys = ("events", event.index, "at", "after")
            if event.at.after is None:
                self.check_horizon(event)
            elif event.at.after not in by_name:
                if not damaged:
                    hint = did_you_mean(event.at.after, by_name)
                    self.tree.error(where, f"no event is named '{event.at.after}'{hint}")
            elif _loops(event, by_name):
                self.tree.error(where, f"'{event.at.after}' waits for this event: a loop")

    def check_horizon(self, event: Event) -> None:
        duration = self.resolver.scenario.duration_ns
        if event.at.plus.low_ns > duration and not self.resolver.is_damaged("duration"):
            message = f"events[{event.index}]: happens after the end of the run"
            self.resolver.warn(("events", event.index, "at"), "VRRP506", message)


def _loops(start: Event, by_name: Mapping[str, Event]) -> bool:
    seen: set[int] = set()
    event: Event | None = start
    while event is not None and event.at.after is not None:
        if event.index in seen:
            return event.index == start.index
        seen.add(event.index)
        event = by_name.get(event.at.after)
    return False


def _fits(target: Target, needs: str) -> bool:
    machine, alone = target.node is not None or target.role is not None, target.item is None
    match needs:
        case verbs.NODE:
            return machine and alone
        case verbs.MACHINE:
            return (machine or target.switch is not None) and alone
        case verbs.SEGMENT:
            return target.segment is not None and alone
        case verbs.LINK:
            return (target.cable is not None and alone) or (machine and not alone)
        case verbs.PLACE:
            place = target.segment is not None or target.cable is not None
            return (place and alone) or (machine and not alone)
    if needs == MEMBER:
        return machine or ((target.client is not None or target.switch is not None) and alone)
    return machine and not alone


def _processes(node: Node) -> list[str]:
    return [*node.processes, *(["keepalived"] if node.keepalived else [])]


def _scripts(node: Node) -> list[str]:
    return [script.name for script in node.keepalived.config.scripts] if node.keepalived else []


def _files(node: Node) -> list[str]:
    return [file.name for file in node.keepalived.config.files] if node.keepalived else []


def _sessions(node: Node) -> list[str]:
    return [bfd.name for bfd in node.keepalived.config.bfds] if node.keepalived else []


def _instances(node: Node) -> list[str]:
    return [instance.name for instance in node.keepalived.config.instances] if node.keepalived else []


def _interfaces(node: Node) -> list[str]:
    return list(node.interfaces)


_ITEMS: dict[str, tuple[str, Callable[[Node], list[str]]]] = {
    PROCESS: ("process", _processes),
    INTERFACE: ("interface", _interfaces),
    LINK: ("interface", _interfaces),
    MEMBER: ("interface", _interfaces),
    PLACE: ("interface", _interfaces),
    SCRIPT: ("vrrp_script in use", _scripts),
    FILE: ("track_file", _files),
    INSTANCE: ("vrrp_instance", _instances),
    SESSION: ("bfd_instance", _sessions),
}
