"""Small worlds for the tests: plain hosts on one segment, or a pair of keepalived nodes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any, TypeVar

from vrrpsim.protocol.configuration import Address
from vrrpsim.protocol.packet import Datagram
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Interface, Neighbours, Node, Scenario, Segment
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import AddressChange, Level, Reachability, Record, StateChange
from vrrpsim.world import World
from vrrpsim.world.frame import Frame, NeighbourFrame, VrrpFrame
from vrrpsim.world.port import Port

US, MS, S = 1_000, 1_000_000, 1_000_000_000
VIP = "10.0.0.100"
GROUP = IPv4Address("224.0.0.18")
LATE = 1 << 19  # a rank after everything else of its kind
R = TypeVar("R", bound=Record)


# --- plain hosts: frames are sent by hand


def hosts(
    *names: str,
    segment: Segment | None = None,
    neighbours: Mapping[str, Neighbours] | None = None,
    seed: int = 1,
) -> World:
    """Hosts a, b … at 10.0.0.1, 10.0.0.2 … that run nothing."""
    nodes = {
        name: Node(
            interfaces={"eth0": Interface(segment="lan", addresses=(ip_interface(f"10.0.0.{number}/24"),))},
            neighbours=(neighbours or {}).get(name, Neighbours()),
        )
        for number, name in enumerate(names, 1)
    }
    lan = segment or Segment(subnet=ip_network("10.0.0.0/24"), delay=Distribution.fixed(100 * US))
    return World(Scenario(duration_ns=3600 * S, segments={"lan": lan}, nodes=nodes), seed, Level.ALL)


def port(world: World, name: str) -> Port:
    """The only card of a host, or of a client."""
    if name in world.clients:
        return world.clients[name].port
    [found] = world.nodes[name].ports.values()
    return found


def advert(sender: Port, destination: Address = GROUP, payload: bytes = bytes(20)) -> VrrpFrame:
    """Bytes for protocol 112 from a card."""
    source = next(iter(sender.local))
    return VrrpFrame(sender.mac, Datagram(source, destination, 255, payload))


class Ear:
    """What arrives at a card, with times; what arrives still takes effect."""

    def __init__(self, listener: Port) -> None:
        self.heard: list[tuple[int, Frame]] = []
        self._receive = listener.receive
        self._listener = listener
        listener.receive = self._hear  # type: ignore[method-assign]

    def _hear(self, frame: Frame) -> None:
        self.heard.append((self._listener.now_ns, frame))
        self._receive(frame)


class Tap:
    """What is put on a segment, and what is lost there."""

    def __init__(self, world: World, segment: str = "lan") -> None:
        self.sent: list[tuple[int, str, Frame]] = []
        self.lost: list[tuple[int, str, Frame, str]] = []
        world.segments[segment].taps.append(self._note)

    def _note(self, at_ns: int, sender: Port, frame: Frame, reason: str) -> None:
        if reason:
            self.lost.append((at_ns, sender.name, frame, reason))
        else:
            self.sent.append((at_ns, sender.name, frame))

    def asked(self, sender: str) -> list[tuple[int, bytes]]:
        """Solicitations of a card: when, and to which MAC."""
        return [
            (at_ns, frame.dst_mac)
            for at_ns, name, frame in self.sent
            if name == sender and isinstance(frame, NeighbourFrame) and frame.operation == "request"
        ]

    def adverts(self, sender: str) -> list[tuple[int, VrrpFrame]]:
        """Adverts of a card."""
        return [
            (at, frame) for at, name, frame in self.sent if name == sender and isinstance(frame, VrrpFrame)
        ]


# --- pairs of keepalived: scenarios as a file would write them


def instance(number: int, priority: int, **changes: Any) -> dict[str, Any]:
    """A vrrp_instance of node `number`."""
    base = {
        "state": "BACKUP",
        "interface": "eth0",
        "virtual_router_id": 51,
        "priority": priority,
        "advert_int": 1,
        "virtual_ipaddress": [VIP],
    }
    return {key: value for key, value in (base | changes).items() if value is not None}


def node(
    number: int, priority: int, *, scripts: Any = None, node: Any = None, **changes: Any
) -> dict[str, Any]:
    """Node lbN at 10.0.0.N, punctual, with HAProxy and one instance; `changes` go to the instance."""
    keepalived: dict[str, Any] = {"vrrp_instances": {"VI_1": instance(number, priority, **changes)}}
    if scripts:
        keepalived["vrrp_scripts"] = scripts
    base: dict[str, Any] = {
        "interfaces": {"eth0": {"segment": "lan", "address": f"10.0.0.{number}/24"}},
        "processes": {"haproxy": {"serves": ["80/tcp"]}},
        "slop": "none",
        "keepalived": keepalived,
    }
    return base | (node or {})


def unicast(number: int, *peers: int) -> dict[str, Any]:
    """The keywords of a unicast instance."""
    return {"unicast_src_ip": f"10.0.0.{number}", "unicast_peer": [f"10.0.0.{peer}" for peer in peers]}


def pair(*events: dict[str, Any], clients: Any = None, lan: Any = None, **changes: Any) -> dict[str, Any]:
    """lb1 (101) and lb2 (100) on one segment; `changes` replace whole keys of the document."""
    document: dict[str, Any] = {
        "version": 1,
        "duration": "60s",
        "segments": {"lan": {"subnet": "10.0.0.0/24", "delay": "100us"} | (lan or {})},
        "nodes": {"lb1": node(1, 101), "lb2": node(2, 100)},
        "events": list(events),
    }
    if clients:
        document["clients"] = clients
    return document | changes


WEB = {"web": {"segment": "lan", "target": f"{VIP}:80", "every": "100ms"}}


def load(document: dict[str, Any]) -> Scenario:
    """Read a document as a scenario file is read: JSON is YAML."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.yaml"
        path.write_text(json.dumps(document))
        return load_scenario(path)


def world(document: dict[str, Any], seed: int = 1, level: Level = Level.ALL) -> World:
    """The world of a document, not yet started."""
    return World(load(document), seed, level)


def run(document: dict[str, Any], seed: int = 1) -> World:
    """The world of a document after its run."""
    made = world(document, seed)
    made.run()
    return made


def at(world: World, seconds: float, look: Any) -> None:
    """Call `look` during the run, after all else of that instant."""
    from vrrpsim.world.calendar import Kind

    world.calendar.at(round(seconds * S), Kind.CLIENT, LATE, look)


# --- what a run left


def records(world: World, kind: type[R], /, **wanted: object) -> list[R]:
    """The records of one type whose fields are as wanted."""
    return [
        record
        for record in world.trace.records
        if isinstance(record, kind) and all(getattr(record, name) == value for name, value in wanted.items())
    ]


def masters(world: World) -> list[tuple[int, str]]:
    """Who became MASTER when."""
    return [(record.at_ns, record.node) for record in records(world, StateChange, new="MASTER")]


def owners(world: World, seconds: float, address: str = VIP) -> list[str]:
    """Whose kernel has the address at an instant."""
    has: dict[str, bool] = {}
    for record in records(world, AddressChange, address=address):
        if record.at_ns <= round(seconds * S):
            has[record.node] = record.present
    return [name for name, present in has.items() if present]


def reached(world: World, client: str = "web") -> list[tuple[int, bool, str]]:
    """The changes of a client's view: when, whether, who."""
    return [(r.at_ns, r.reachable, r.node) for r in records(world, Reachability, client=client)]


def ip(text: str) -> Address:
    """An address."""
    return ip_address(text)
