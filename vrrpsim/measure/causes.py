"""The events of a run and their ends, and what each can have done to the owner of an address."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from vrrpsim.keepalived.commands import meaning_of
from vrrpsim.scenario.model import Scenario, once
from vrrpsim.scenario.verbs import VERBS, Effect
from vrrpsim.trace import Fault, FaultEnd

OPPOSITE = {Effect.HARM: Effect.REPAIR, Effect.REPAIR: Effect.HARM, Effect.EITHER: Effect.EITHER}


def event_words(verb: str, targets: Sequence[str], detail: str) -> str:
    """Say an event in the words of the scenario, its roles resolved."""
    whom = "" if verb == "partition" and detail else " | ".join(targets)
    return " ".join(word for word in (verb, whom, detail) if word)


class Cause(NamedTuple):
    """An event of the scenario, or its end where `undone`. `nodes` are those it met.

    `between`: it met what lies between them, a switch or a cable, and so perhaps any of them.
    """

    at_ns: int
    number: int
    verb: str
    targets: tuple[str, ...]
    nodes: tuple[str, ...]
    undone: bool = False
    detail: str = ""
    between: bool = False

    def __str__(self) -> str:
        text = event_words(self.verb, self.targets, self.detail)
        return f"end of {text}" if self.undone else text

    @property
    def effect(self) -> Effect:
        """Harm, repair, or what may be both."""
        known = VERBS.get(self.verb)
        effect = known.effect if known else Effect.EITHER
        return OPPOSITE[effect] if self.undone else effect

    @property
    def goes_on(self) -> bool:
        """Whether it may do harm at any time until its end."""
        return not self.undone and self.verb in VERBS and VERBS[self.verb].goes_on

    def touches(self, *nodes: str) -> bool:
        """Whether the event met one of these nodes, or no node in particular."""
        return not self.nodes or any(node in self.nodes for node in nodes)

    def explains(self, old: Collection[str], new: Collection[str]) -> bool:
        """Whether it can have moved an address from a node to another: each with those whom it asks."""
        if self.between:
            return True
        match self.effect:
            case Effect.HARM:
                return any(node in self.nodes for node in old)
            case Effect.REPAIR:
                return any(node in self.nodes for node in new)
            case Effect.EITHER:
                return self.touches(*old, *new)


@once
def asked_by(scenario: Scenario) -> dict[str, frozenset[str]]:
    """Return, for each node, the others that its checks and BFD sessions ask."""
    owners = {
        each.ip: name
        for name, node in scenario.nodes.items()
        for interface in node.interfaces.values()
        for each in interface.addresses
    }
    found = {}
    for name, node in scenario.nodes.items():
        daemon = node.keepalived
        addresses = [bfd.neighbor for bfd in daemon.config.bfds] if daemon else []
        for script in daemon.config.scripts if daemon else ():
            probe = daemon.probes.get(script.name) if daemon else None
            answers = probe.answers if probe else meaning_of(script.command).answers
            addresses += [answers[0]] if answers else []
        others = frozenset(owners[each] for each in addresses if each in owners) - {name}
        if others:
            found[name] = others
    return found


def causes(
    faults: Iterable[Fault | FaultEnd], nodes: Iterable[str], between: Collection[str] = ()
) -> tuple[Cause, ...]:
    """Return the events and their ends in order of time; `between`: switches and cables."""
    known = frozenset(nodes)
    fired: dict[int, Cause] = {}
    found: list[Cause] = []
    for record in faults:
        if isinstance(record, Fault):
            met = (target.partition("/")[0] for target in record.resolved)
            touched = tuple(dict.fromkeys(node for node in met if node in known))
            cause = Cause(
                record.at_ns,
                record.number,
                record.verb,
                record.resolved,
                touched,
                detail=record.detail,
                between=any(target in between for target in record.resolved),
            )
            fired[record.number] = cause
            found.append(cause)
        elif record.number in fired:
            cause = fired[record.number]
            found.append(cause._replace(at_ns=record.at_ns, undone=True))
    return tuple(found)
