"""Where a request ends that leaves now, whoever asks: a client of the scenario or a check."""

from __future__ import annotations

from typing import Final, NamedTuple

from vrrpsim.keepalived.commands import Endpoint
from vrrpsim.protocol.configuration import Address

from .machine import Machine
from .neighbours import Nud
from .port import Port

MOST_HOPS: Final = 16


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


class Reached(NamedTuple):
    """Whose card a frame comes to, and which share of frames does."""

    port: Port
    node: Machine
    share: float


def follow(asker: Port, mac: bytes | None, target: Address, number: int | None) -> Way:
    """Where a frame to this MAC ends, and whether an answer comes back; a ping has no number."""
    kinds = ("icmp",) if number is None else ("app",)
    reached = _reach(asker, mac, kinds, back=True)
    return reached if isinstance(reached, Way) else _served(asker, reached, target, number)


def _reach(asker: Port, mac: bytes | None, kinds: tuple[str, ...], *, back: bool = False) -> Reached | Way:
    """The machine whose card takes a frame to this MAC, or why none does; with `back` frames come and go."""
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
    share = segment.passes(asker, port, kinds) * (segment.passes(port, asker, kinds) if back else 1.0)
    if share <= 0.0:
        return Way(None, f"no path to {node.name}", cause="path", at=node.name)
    if led == "switch":
        reason = f"the switch sends it to {node.name}, which does not have the MAC"
        return Way(None, reason, cause=led, at=node.name)
    return Reached(port, node, share)


def _served(asker: Port, reached: Reached, target: Address, number: int | None) -> Way:
    """What a machine does with a request that has come to it."""
    port, node, share = reached
    if target not in port.local:
        elsewhere = any(target in other.local for other in asker.segment.ports)
        why = " (stale neighbour entry)" if elsewhere else ""
        return Way(None, f"{node.name} does not have the address{why}", cause="cache", at=node.name)
    if target in port.dropped:
        return Way(node, f"{node.name} drops it: no accept", cause="host", at=node.name)
    if number is not None and not node.serves(f"{number}/tcp"):
        return Way(node, f"nothing serves port {number} on {node.name}", cause="service", at=node.name)
    return Way(node, "", share)


def through(asker: Port, mac: bytes | None, source: Address, target: Address, number: int) -> Way:
    """The same for a frame to a gateway: whether it forwards the request, and an answer finds back.

    It forwards what is sent to its MAC, whether it has the gateway's address or not. `node` is the gateway.
    """
    reached = _reach(asker, mac, ("app",))
    if isinstance(reached, Way):
        return reached
    gateway = reached.node
    there = _forwarded(gateway, target, number, asker, MOST_HOPS)
    if there.node is None or not there.answered:
        return there._replace(node=gateway)
    back = _routed(there.node, source, None, asker, MOST_HOPS)
    if not back.answered:
        return back._replace(node=gateway, reason=f"no answer from {there.node.name}: {back.reason}")
    return Way(gateway, "", reached.share * there.share * back.share)


def _forwarded(machine: Machine, target: Address, number: int | None, asker: Port, hops: int) -> Way:
    """Where a packet goes on from a machine that it is not meant for."""
    if not machine.model.forwards:
        return Way(machine, f"{machine.name} does not forward", cause="host", at=machine.name)
    return _routed(machine, target, number, asker, hops)


def _routed(machine: Machine, target: Address, number: int | None, asker: Port, hops: int) -> Way:
    """Where a packet that leaves a machine ends: where the target serves, or without number at the asker."""
    port, hop = machine.route(target, None), target
    if port is None and machine.model.gateway is not None:
        hop = machine.model.gateway
        port = machine.route(hop, None)
    source = next((each for each in port.local if each.version == hop.version), None) if port else None
    if port is None or source is None or hops == 0:
        reason = f"{machine.name} has no route to {target}" if hops else "packets go round in circles"
        return Way(machine, reason, cause="path", at=machine.name)
    if not port.carrier:
        return Way(machine, f"{machine.name}/{port.interface} has no carrier", cause="path", at=machine.name)
    mac = port.cache.use(port.cache.entry(hop), source)
    if mac is None:
        return Way(machine, f"{machine.name} finds nobody with {hop}", cause="unresolved", at=machine.name)
    if hop == target and number is None:
        same = port.segment is asker.segment and mac == asker.mac
        share = port.segment.passes(port, asker, ("app",)) if same else 0.0
        reason = "" if share > 0.0 else f"{machine.name} does not reach {target}"
        return Way(machine, reason, share, "" if share > 0.0 else "path", machine.name)
    reached = _reach(port, mac, ("app",))
    if isinstance(reached, Way):
        return reached._replace(node=machine)
    if hop == target:
        way = _served(port, reached, target, number)
        return way if way.node is not None else way._replace(node=machine)
    way = _forwarded(reached.node, target, number, asker, hops - 1)
    return way._replace(share=way.share * reached.share)


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
