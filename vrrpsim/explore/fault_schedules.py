"""Schedules of faults over what a scenario has: the menu, the Hypothesis strategy, and their YAML.

A fault is an ordinary `Event` with a fixed instant. Everything but its times stands ready on the menu, the
simple ones first, because shrinking prefers what comes first. How long it lasts is part of the event, so
that removing an event removes its end too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from vrrpsim.protocol.configuration import AuthType, InstanceConfig
from vrrpsim.scenario.events import (
    NO_PARAMETERS,
    Event,
    FlushAddress,
    Impairment,
    Inject,
    InjectedAdvert,
    Parameters,
    Partition,
    Reload,
    SetPriority,
    Starve,
    Target,
    Traffic,
    When,
)
from vrrpsim.scenario.model import Node, Scenario
from vrrpsim.scenario.quantities import SECOND_NS, Distribution, exact_duration
from vrrpsim.scenario.verbs import LINK, PROCESS, SCRIPT, VERBS

from .bounds import Bounds

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

IMPAIRMENTS = ("loss", "delay", "duplicate", "reorder", "corrupt")
SPLIT = {
    "partition": ("partition", "one_way"),
    "impair": IMPAIRMENTS,
}  # verbs that are several kinds
HUNTED = sorted((verb.hunted, verb.name) for verb in VERBS.values() if verb.hunted)
KINDS = tuple(kind for _, verb in HUNTED for kind in SPLIT.get(verb, (verb,)))
GROUPS = {  # further words of `--faults`
    "all": KINDS,
    "crash": ("kill", "power_off"),
    **SPLIT,
}
MOST_EVENTS = 6
SWARM = 10  # kinds of fault in one schedule, at most
COARSE_NS, FINE_NS = 100_000_000, 10_000_000  # the grid of instants; the fine one for fast adverts
LOSSES = (1.0, 0.5, 0.2)
DELAYS_NS = (1_000_000_000, 100_000_000, 10_000_000)
SPLITS_UP_TO = 4  # nodes: beyond, only one of them is cut off


Menu = Mapping[str, Sequence[Event]]
Schedule = tuple[Event, ...]


def kinds_named(words: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of fault that words of `--faults` mean; raise `KeyError` with an unknown one."""
    wanted: set[str] = set()
    for word in words:
        if word not in GROUPS and word not in KINDS:
            raise KeyError(word)
        wanted.update(GROUPS.get(word, (word,)))
    return tuple(kind for kind in KINDS if kind in wanted)


def kind_of(event: Event) -> str:
    """Return the kind of fault an event is."""
    match event.parameters:
        case Partition(one_way=True):
            return "one_way"
        case Impairment() as impairment:
            return next((word for word in IMPAIRMENTS if getattr(impairment, word) is not None), "loss")
    return event.verb


def menu_of(scenario: Scenario, kinds: Sequence[str] = KINDS) -> dict[str, tuple[Event, ...]]:
    """Return every fault of these kinds that the scenario has a place for; times are still to be drawn."""
    made: dict[str, list[Event]] = {kind: [] for kind in kinds}
    for event in _everything(scenario):
        if kind_of(event) in made:
            made[kind_of(event)].append(event)
    return {kind: tuple(events) for kind, events in made.items() if events}


def schedules(menu: Menu, bounds: Bounds) -> SearchStrategy[Schedule]:
    """Draw schedules: first which kinds there are at all (swarm testing), then up to six events of these.

    All strategies stand ready before the first draw: making them costs more than drawing from them.
    """
    from hypothesis import strategies as st

    grid_ns = COARSE_NS if bounds.interval_ns >= 5 * COARSE_NS else FINE_NS
    steps = bounds.longest_ns // grid_ns
    instants, lengths = st.integers(0, steps), st.integers(1, steps)
    kinds, counts = st.sampled_from(list(menu)), st.integers(1, MOST_EVENTS)
    swarms = st.lists(kinds, min_size=1, max_size=SWARM)
    slots = [st.integers(0, size) for size in range(SWARM)]
    faults = {kind: st.sampled_from(events) for kind, events in menu.items()}

    @st.composite
    def drawn(draw: Any) -> Schedule:
        swarm = draw(swarms)
        slot = slots[len(swarm) - 1]
        events = []
        for _ in range(draw(counts)):
            event = draw(faults[swarm[draw(slot)]])
            at_ns = bounds.warm_up_ns + draw(instants) * grid_ns
            lasts_ns = draw(lengths) * grid_ns if VERBS[event.verb].lasts else None
            events.append(timed(event, at_ns, lasts_ns))
        return in_order(events)

    return drawn()


def timed(event: Event, at_ns: int, lasts_ns: int | None) -> Event:
    """Give an event of the menu its instant and its duration."""
    lasts = None if lasts_ns is None else Distribution.fixed(lasts_ns)
    return replace(event, at=When(Distribution.fixed(at_ns)), lasts=lasts)


def in_order(events: Iterable[Event]) -> Schedule:
    """Sort events by instant and number and name them as a scenario file would."""
    ordered = sorted(events, key=lambda event: event.at.plus.parameters[0])
    return tuple(
        replace(event, index=index, name=f"{event.verb}-{index}") for index, event in enumerate(ordered)
    )


def given(scenario: Scenario) -> Schedule:
    """Return the scenario's own events that start what `starts: manual`: they belong to the cluster."""
    return in_order(event for event in scenario.events if is_given(scenario, event))


def is_given(scenario: Scenario, event: Event) -> bool:
    """Whether the event starts something that waits for it."""
    return event.verb == "start" and not event.at.after and _manual(scenario, event)


def _manual(scenario: Scenario, event: Event) -> bool:
    if event.target is None or event.target.node is None:
        return False
    node = scenario.nodes[event.target.node]
    if event.target.item == "keepalived":
        return node.keepalived is not None and node.keepalived.starts == "manual"
    return node.processes[event.target.item or ""].starts == "manual"


# --- the menu


def _everything(scenario: Scenario) -> Iterator[Event]:
    nodes = scenario.nodes
    everyone = {f"{name}/{item}": None for name, node in nodes.items() for item in _processes(node)}
    for verb in _hunted(PROCESS):
        yield from (_event(verb, text) for text in everyone)
    for verb in ("power_off", "pause"):
        yield from (_event(verb, name) for name in nodes)
    for name in scenario.switches:
        yield replace(_event("power_off", None), target=Target(name, switch=name))
    yield from (_event("reload", name, Reload()) for name, node in nodes.items() if node.keepalived)
    links = [f"{name}/{interface}" for name, node in nodes.items() for interface in node.interfaces]
    trunks = [Target(name, cable=name) for name in _trunks(scenario)]
    for verb in _hunted(LINK):
        yield from (_event(verb, link) for link in links)
        yield from (replace(_event(verb, None), target=trunk) for trunk in trunks)
    scripts = [
        f"{name}/{script.name}"
        for name, node in nodes.items()
        if node.keepalived
        for script in node.keepalived.config.scripts
    ]
    for verb in _hunted(SCRIPT):
        yield from (_event(verb, script) for script in scripts)
    yield from _cuts(scenario)
    places = [Target(name, segment=name) for name in scenario.segments]
    places += [
        Target(link, node=node, item=item) for link in links for node, _, item in [link.partition("/")]
    ]
    yield from _impairments([*places, *trunks])
    for delay_ns in DELAYS_NS:
        starved = Starve(Distribution.fixed(delay_ns))
        yield from (_event("starve", name, starved) for name, node in nodes.items() if node.keepalived)
    yield from _operators(scenario)
    yield from _strangers(scenario)


def _hunted(target: str) -> list[str]:
    return [verb for _, verb in HUNTED if VERBS[verb].target == target]


def _cuts(scenario: Scenario) -> Iterator[Event]:
    """Both directions first; each way to split the nodes of a segment in two."""
    for one_way in (False, True):
        for segment in scenario.segments:
            members = [
                name
                for name, node in scenario.nodes.items()
                if any(each.segment == segment for each in node.interfaces.values())
            ]
            for group in _splits(members):
                rest = [name for name in members if name not in group]
                yield _partition(group, rest, one_way)
                if one_way:
                    yield _partition(rest, group, one_way)


def _splits(members: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """One side of each way to split in two; of two equal halves only one."""
    largest = len(members) // 2 if len(members) <= SPLITS_UP_TO else 1
    for size in range(1, largest + 1):
        for group in combinations(members, size):
            if 2 * size < len(members) or members[0] in group:
                yield group


def _partition(one: Sequence[str], other: Sequence[str], one_way: bool) -> Event:
    groups = tuple(tuple(Target(name, node=name) for name in group) for group in (one, other))
    return replace(_event("partition", None), parameters=Partition(groups, one_way))


def _trunks(scenario: Scenario) -> Iterator[str]:
    """The cables between switches; those of cards are told by the card."""
    return (each.name for each in scenario.cables if scenario.switches.keys() >= set(each.ends))


def _impairments(places: Sequence[Target]) -> Iterator[Event]:
    effects = [Impairment(loss=loss) for loss in LOSSES]
    only: list[tuple[Traffic, ...]] = [("vrrp",), ("garp", "arp")]
    effects += [Impairment(loss=1.0, only=traffic) for traffic in only]
    effects += [Impairment(delay=Distribution.fixed(delay_ns)) for delay_ns in DELAYS_NS]
    effects += [Impairment(duplicate=0.5), Impairment(reorder=0.5), Impairment(corrupt=0.5)]
    for effect in effects:
        for target in places:
            yield replace(_event("impair", None), target=target, parameters=effect)


def _operators(scenario: Scenario) -> Iterator[Event]:
    """Addresses removed by others, and priorities changed: to any in use, to the least and the highest."""
    members = list(_instances(scenario))
    for name, instance in members:
        for virtual in instance.addresses:
            yield _event("flush_address", name, FlushAddress(virtual.address))
    for priority in dict.fromkeys([*(each.priority for _, each in members), 1, 254]):
        if priority < 255:
            for name, instance in members:
                yield _event("set", f"{name}/{instance.name}", SetPriority(priority))


def _strangers(scenario: Scenario) -> Iterator[Event]:
    """Adverts of a stranger that the members of a multicast virtual router accept."""
    forged: dict[tuple[str, int, int], InstanceConfig] = {}
    for name, instance in _instances(scenario):
        interface = scenario.nodes[name].interfaces.get(instance.interface)
        if interface and not instance.unicast and instance.authentication.auth_type is not AuthType.AH:
            forged.setdefault((interface.segment, instance.vrid, instance.family), instance)
    for priority in (254, 0, 1):
        for (segment, vrid, _), instance in forged.items():
            advert = InjectedAdvert(
                vrid=vrid,
                priority=priority,
                version=instance.version,
                interval_ns=instance.advert_int_ns,
                addresses=tuple(each.address for each in instance.addresses),
                auth_type="pass" if instance.authentication.auth_type is AuthType.PASS else "none",
                auth_pass=instance.authentication.key.decode(errors="replace"),
            )
            target = Target(segment, segment=segment)
            yield replace(_event("inject", None), target=target, parameters=Inject(advert))


def _event(verb: str, text: str | None, parameters: Parameters = NO_PARAMETERS) -> Event:
    node, _, item = (text or "").partition("/")
    target = Target(text, node=node, item=item or None) if text else None
    at = When(Distribution.fixed(0))
    return Event(verb=verb, at=at, index=0, name=verb, target=target, parameters=parameters)


def _processes(node: Node) -> list[str]:
    return [*node.processes, *(["keepalived"] if node.keepalived else [])]


def _instances(scenario: Scenario) -> Iterator[tuple[str, InstanceConfig]]:
    for name, node in scenario.nodes.items():
        if node.keepalived:
            yield from ((name, instance) for instance in node.keepalived.config.instances)


# --- as a scenario writes them


def event_yaml(event: Event) -> dict[str, Any]:
    """Return what a scenario's `events:` says for an event that has no name, repetition or `after:`."""
    written: dict[str, Any] = {"at": event.at.plus.to_yaml()}
    if event.target is not None:
        written[event.verb] = str(event.target)
    match event.parameters:
        case Partition(groups, one_way):
            written["partition"] = [[str(member) for member in group] for group in groups]
            if one_way:
                written["one_way"] = True
        case Impairment() as impairment:
            written.update(_impairment_yaml(impairment))
        case Starve(delay):
            written["delay"] = delay.to_yaml()
        case FlushAddress(address):
            written["address"] = str(address)
        case SetPriority(priority):
            written["priority"] = priority
        case Inject(advert):
            written["advert"] = _advert_yaml(advert)
    if event.lasts is not None:
        written["for"] = event.lasts.to_yaml()
    return written


def _impairment_yaml(impairment: Impairment) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for word in ("loss", "duplicate", "reorder", "corrupt"):
        fraction = getattr(impairment, word)
        if fraction is not None:
            written[word] = f"{fraction:.0%}"
    if impairment.delay is not None:
        written["delay"] = impairment.delay.to_yaml()
    if impairment.only:
        written["only"] = list(impairment.only)
    return written


def _advert_yaml(advert: InjectedAdvert) -> dict[str, Any]:
    written: dict[str, Any] = {"vrid": advert.vrid, "priority": advert.priority, "version": advert.version}
    if advert.interval_ns != SECOND_NS:
        written["interval"] = exact_duration(advert.interval_ns)
    written["addresses"] = [str(address) for address in advert.addresses]
    if advert.auth_type != "none":
        written |= {"auth_type": advert.auth_type, "auth_pass": advert.auth_pass}
    return written
