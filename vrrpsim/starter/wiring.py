"""Which cards of the nodes share a segment, and what the segments are called."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from .machines import Card, SourceNode, twins


def cards_of(machine: SourceNode) -> tuple[Card, ...]:
    """Every interface that the file needs, in its order; macvlans are made by keepalived itself."""
    cards: dict[Card, None] = {}
    for instance in machine.instances:
        cards[machine.carrier(instance)] = None
        for virtual in (*instance.addresses, *instance.excluded):
            cards[machine.carrier(instance, virtual)] = None
    sources = {instance.source for instance in machine.instances}
    for label in machine.host.interfaces if machine.host else ():
        if any(each.ip in sources for each in machine.held(label) or ()):
            cards[machine.name, label] = None
    vmacs = {instance.vmac_interface for instance in machine.instances}
    for instance in machine.instances:
        for track in instance.track_interfaces:
            if track.name not in vmacs:
                cards[machine.name, track.name] = None
        for name in (name for route in instance.routes for name in route.interfaces):
            if name not in vmacs:
                cards[machine.name, name] = None
    return tuple(cards)


def wired(machines: Sequence[SourceNode]) -> list[list[Card]]:
    """Group the cards: instances that are one virtual router share a wire, then cards of the same name."""
    group_of: dict[Card, list[Card]] = {card: [card] for machine in machines for card in cards_of(machine)}

    def join(one: Card, other: Card) -> None:
        if group_of[one] is not group_of[other]:
            group_of[one].extend(group_of[other])
            for card in group_of[other]:
                group_of[card] = group_of[one]

    joined: set[Card] = set()
    for one, other in combinations(machines, 2):
        for instance in one.instances:
            for twin in twins(instance, other.instances):
                ends = one.carrier(instance), other.carrier(twin)
                join(*ends)
                joined |= {*ends}
    for card in group_of:
        for other_card in group_of:
            if card not in joined and card[1] == other_card[1]:
                join(other_card, card)
    order = {card: position for position, card in enumerate(group_of)}
    groups = {id(group): group for group in group_of.values()}
    return sorted(
        (sorted(group, key=order.__getitem__) for group in groups.values()), key=lambda g: order[g[0]]
    )


def segment_names(groups: Sequence[Sequence[Card]], taken: set[str]) -> list[str]:
    """`lan` if there is one; else after the interface, where all nodes call it alike."""
    if len(groups) == 1 and "lan" not in taken:
        return ["lan"]
    names: list[str] = []
    for number, cards in enumerate(groups, 1):
        labels = {label for _, label in cards}
        name = f"{labels.pop()}-lan" if len(labels) == 1 else f"lan{number}"
        while name in taken or name in names:
            name += "-net"
        names.append(name)
    return names
