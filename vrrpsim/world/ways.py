"""Where a request ends that leaves now, whoever asks: a client of the scenario or a check."""

from __future__ import annotations

from typing import NamedTuple

from vrrpsim.keepalived.commands import Endpoint
from vrrpsim.protocol.configuration import Address

from .machine import Machine
from .neighbours import Nud
from .port import Port


class Way(NamedTuple):
    """Where requests end; they are answered if nothing is to be said against it. `share` gets through.

    `cause` and `at` say the reason as the trace does.
    """

    node: Machine | None
    reason: str
    share: float = 1.0
    cause: str = ""
    at: str = ""

    @property
    def answered(self) -> bool:
        """A request sent now gets its answer."""
        return self.node is not None and not self.reason


def follow(asker: Port, mac: bytes | None, target: Address, number: int | None) -> Way:
    """Where a frame to this MAC ends, and whether an answer comes back; a ping has no number."""
    if mac is None:
        return Way(None, "nobody answers for the address", cause="unresolved")
    segment = asker.segment
    port = segment.where(asker, mac)
    node = port.owner if port is not None else None
    if port is None or not isinstance(node, Machine):
        return Way(None, "the MAC is nowhere", cause="cache")
    led = "cache" if port.has_mac(mac) else "switch"  # what sends requests to this node
    if not node.kernel_runs:
        state = "paused" if node.up else "off"
        return Way(None, f"{node.name} is {state}", cause=led, at=node.name)
    kinds = ("icmp",) if number is None else ("app",)
    share = segment.passes(asker, port, kinds) * segment.passes(port, asker, kinds)
    if share <= 0.0:
        return Way(None, f"no path to {node.name}", cause="path", at=node.name)
    if led == "switch":
        reason = f"the switch sends it to {node.name}, which does not have the MAC"
        return Way(None, reason, cause=led, at=node.name)
    if target not in port.local:
        elsewhere = any(target in other.local for other in segment.ports)
        why = " (stale neighbour entry)" if elsewhere else ""
        return Way(None, f"{node.name} does not have the address{why}", cause=led, at=node.name)
    if target in port.dropped:
        return Way(node, f"{node.name} drops it: no accept", cause="host", at=node.name)
    if number is not None and not node.serves(f"{number}/tcp"):
        return Way(node, f"nothing serves port {number} on {node.name}", cause="service", at=node.name)
    return Way(node, "", share)


def answer_back(node: Machine, target: Address, asker: Port, source: Address) -> None:
    """The node needs the asker's MAC for its answer, and asks with the target as sender."""
    for port in node.ports.values():
        if target in port.local and port.segment is asker.segment:
            entry = port.cache.entry(source)
            if entry.state in (Nud.NONE, Nud.FAILED):
                port.cache.use(entry, target)


def ask(machine: Machine, whom: Endpoint) -> Way:
    """What becomes of a request of this machine to an address that may be its own."""
    if any(whom.address in port.local for port in machine.ports.values()):
        served = whom.port is None or machine.serves(f"{whom.port}/tcp")
        reason = "" if served else f"nothing serves port {whom.port} on {machine.name}"
        return Way(machine, reason, cause="" if served else "service", at=machine.name)
    port = machine.route(whom.address, None)
    source = (
        next((each for each in port.local if each.version == whom.address.version), None) if port else None
    )
    if port is None or source is None:
        return Way(None, f"no way from {machine.name}", cause="unreachable")
    entry = port.cache.entry(whom.address)
    way = follow(port, port.cache.use(entry, source), *whom)
    if way.node is not None and way.answered:
        port.cache.confirm(entry)
        answer_back(way.node, whom.address, port, source)
    return way
