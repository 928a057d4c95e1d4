"""Event documents to events: targets found in the scenario, `after:` chains without loops."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from vrrpsim.config.document import (
    AdvertDocument,
    EventDocument,
    FlushAddressEvent,
    ImpairEvent,
    InjectEvent,
    LastingEvent,
    PartitionEvent,
    PauseEvent,
    ReloadEvent,
    SetEvent,
    StarveEvent,
    verb_of,
)
from vrrpsim.config.events import (
    LINK_VERBS,
    PROCESS_VERBS,
    SCRIPT_VERBS,
    Event,
    FlushAddress,
    Impairment,
    Inject,
    InjectedAdvert,
    NoParameters,
    Parameters,
    Partition,
    Reload,
    Role,
    SetPriority,
    Starve,
    Target,
)
from vrrpsim.config.source import did_you_mean
from vrrpsim.config.yaml_places import Keys

if TYPE_CHECKING:
    from vrrpsim.config.resolve import Resolver
    from vrrpsim.config.scenario import Node

_TARGET = re.compile(r"^(?P<head>[^(/]+)(?:\((?P<instance>[^)]+)\))?(?:/(?P<item>.+))?$")
_NEEDS = {
    **dict.fromkeys(PROCESS_VERBS, "NODE/PROCESS"),
    **dict.fromkeys(LINK_VERBS, "NODE/INTERFACE"),
    **dict.fromkeys(SCRIPT_VERBS, "NODE/SCRIPT"),
    "set": "NODE/INSTANCE",
    "impair": "SEGMENT or NODE/INTERFACE",
    "inject": "SEGMENT",
    "member": "NODE or CLIENT",
}  # every other verb: NODE


def resolve_events(resolver: Resolver, nodes: Mapping[str, Node]) -> tuple[Event, ...]:
    """Build the events in the order of the file; errors go to the tree."""
    events = _Events(resolver, nodes)
    built = tuple(
        events.build(index, event)
        for index, event in zip(resolver.sound.event_index, resolver.document.events, strict=True)
    )
    events.check_names(built)
    return built


class _Events:
    def __init__(self, resolver: Resolver, nodes: Mapping[str, Node]) -> None:
        self.resolver, self.nodes, self.tree = resolver, nodes, resolver.tree

    def build(self, index: int, document: EventDocument) -> Event:
        verb = (verb_of(document) or "").removeprefix("verb:")
        path: Keys = ("events", index)
        text = getattr(document, f"{verb}_", None) or getattr(document, verb)
        if document.count is not None and document.every is None:
            self.tree.error((*path, "count"), "needs 'every:'", at_key=True)
        return Event(
            verb=verb,
            at=document.at,
            index=index,
            name=document.name or f"{verb}-{index}",
            target=self.target(text, verb, (*path, verb)) if isinstance(text, str) else None,
            parameters=self.parameters(document, path),
            lasts=document.lasts if isinstance(document, (LastingEvent, PauseEvent)) else None,
            every=document.every,
            count=document.count,
        )

    def parameters(self, document: EventDocument, path: Keys) -> Parameters:
        match document:
            case ReloadEvent():
                return self.reload(document, path)
            case PartitionEvent():
                groups = tuple(self.members(group, (*path, "partition")) for group in document.partition)
                self.check_groups(groups, path)
                return Partition(groups, document.one_way)
            case ImpairEvent():
                return self.impairment(document, path)
            case StarveEvent():
                return Starve(document.delay)
            case FlushAddressEvent():
                return FlushAddress(document.address)
            case SetEvent():
                return SetPriority(document.priority)
            case InjectEvent():
                return Inject(_advert(document.advert))
            case _:
                return NoParameters()

    def reload(self, document: ReloadEvent, path: Keys) -> Reload:
        if document.config is None:
            return Reload()
        where = (*path, "config")
        node = self.resolver.document.nodes.get(document.reload)
        if node is None:
            if document.reload in ("master", "backup"):
                self.tree.error(where, "needs a node by name, not a role: its interfaces are checked")
            return Reload()
        dialect = node.dialect or self.resolver.document.dialect
        config_id = getattr(node.keepalived, "config_id", None) or document.reload
        compiled = self.resolver.read_conf(document.config, config_id, dialect, where)
        if compiled is None:
            return Reload()
        self.resolver.check_config(document.reload, node, compiled)
        return Reload(compiled.config, document.config)

    def impairment(self, document: ImpairEvent, path: Keys) -> Impairment:
        words = ("loss", "delay", "jitter", "duplicate", "reorder", "corrupt")
        if all(getattr(document, word) is None for word in words):
            self.tree.error((*path, "impair"), f"does nothing; give at least one of: {', '.join(words)}")
        if document.burst is not None and document.loss is None:
            self.tree.error((*path, "burst"), "needs 'loss:'", at_key=True)
        return Impairment(
            **{word: getattr(document, word) for word in (*words, "burst")},
            only=tuple(document.only),
            senders=self.members(document.senders, (*path, "from")),
            receivers=self.members(document.receivers, (*path, "to")),
        )

    def members(self, texts: Sequence[str], path: Keys) -> tuple[Target, ...]:
        return tuple(self.target(text, "member", path) for text in texts)

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
        needs = _NEEDS.get(verb, "NODE")
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
        else:
            known = [*names("nodes"), *names("segments"), *names("clients"), "master", "backup"]
            what = "segment" if needs == "SEGMENT" else "node"
            self.tree.error(path, f"'{text}': no {what} '{head}'{did_you_mean(head, known)}")
            return target
        if not _fits(target, needs):
            shown = verb if verb != "member" else str(path[-1])
            self.tree.error(path, f"'{shown}' needs {needs}, not '{text}'")
        elif self.check_role(target, path):
            self.check_item(target, verb, path)
        return target

    def check_role(self, target: Target, path: Keys) -> bool:
        if target.role is None or self.resolver.sound.is_damaged("nodes"):
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
        kind, of_node = _ITEMS[_NEEDS[verb]]
        damaged = self.resolver.sound.is_damaged
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
        node = self.resolver.document.nodes.get(target.node or "")
        if node is not None and node.keepalived is None and not self.resolver.sound.is_damaged("nodes"):
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
        damaged = self.resolver.sound.is_damaged("events")
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
        duration = self.resolver.document.duration
        if event.at.plus.low_ns > duration and not self.resolver.sound.is_damaged("duration"):
            message = f"events[{event.index}]: happens after the end of the run"
            self.resolver.warn(("events", event.index, "at"), message)


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
    machine = target.node is not None or target.role is not None
    match needs:
        case "NODE":
            return machine and target.item is None
        case "SEGMENT":
            return target.segment is not None and target.item is None
        case "NODE or CLIENT":
            return (machine or target.client is not None) and target.item is None
        case "SEGMENT or NODE/INTERFACE":
            return target.item is None if target.segment is not None else machine and target.item is not None
        case _:
            return machine and target.item is not None


def _processes(node: Node) -> list[str]:
    return [*node.processes, *(["keepalived"] if node.keepalived else [])]


def _scripts(node: Node) -> list[str]:
    return [script.name for script in node.keepalived.config.scripts] if node.keepalived else []


def _instances(node: Node) -> list[str]:
    return [instance.name for instance in node.keepalived.config.instances] if node.keepalived else []


def _interfaces(node: Node) -> list[str]:
    return list(node.interfaces)


_ITEMS: dict[str, tuple[str, Callable[[Node], list[str]]]] = {
    "NODE/PROCESS": ("process", _processes),
    "NODE/INTERFACE": ("interface", _interfaces),
    "SEGMENT or NODE/INTERFACE": ("interface", _interfaces),
    "NODE/SCRIPT": ("vrrp_script in use", _scripts),
    "NODE/INSTANCE": ("vrrp_instance", _instances),
}


def _advert(document: AdvertDocument) -> InjectedAdvert:
    return InjectedAdvert(
        vrid=document.vrid,
        priority=document.priority,
        source=document.source,
        destination=document.destination,
        version=document.version,
        interval_ns=document.interval,
        addresses=document.addresses,
        ttl=document.ttl,
        auth_type=document.auth_type,
        auth_pass=document.auth_pass,
    )
