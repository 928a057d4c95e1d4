"""A scenario as a networkx graph, and switches and cables made of one.

Vertices have a `kind`: node, client, switch, or segment where a segment is not made of cables. Edges name the
node's `interface` and the `cable`, and say of it what the scenario file would: `delay`, `loss` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .model import Cable, Scenario, Segment, Snooping, Switch
from .quantities import Distribution, exact_duration

if TYPE_CHECKING:
    import networkx as nx

OF_A_NODE = "eth0"  # the interface of an edge that names none


class Network(NamedTuple):
    """Switches and cables in the words of a scenario file."""

    switches: Mapping[str, Any]
    cables: tuple[Any, ...]

    @classmethod
    def from_networkx(cls, graph: nx.Graph[str]) -> Network:
        """Make them of a graph, or a multigraph, whose vertices have a `kind`: switch, node or client.

        Attributes that are words of the file are taken: `mac_age` or `stp` of a switch; `delay`, `loss`,
        `name` and so on of an edge. `interface` is the node's end of an edge, eth0 if none is given. Raises
        `ValueError` for a vertex of another kind; the rest is judged with the scenario.
        """
        kinds = {name: data.get("kind") for name, data in graph.nodes(data=True)}
        for name, kind in kinds.items():
            if kind not in ("switch", "node", "client", "segment"):
                raise ValueError(f"{name}: kind is {kind!r}, and must be 'switch', 'node' or 'client'")
        switches = {
            name: {word: data[word] for word in _words_of(Switch) if word in data}
            for name, data in graph.nodes(data=True)
            if kinds[name] == "switch"
        }
        cables = []
        for one, other, data in graph.edges(data=True):
            if "segment" in (kinds[one], kinds[other]):
                continue
            ends = [
                f"{end}/{data.get('interface') or OF_A_NODE}" if kinds[end] == "node" else end
                for end in sorted((one, other), key=switches.__contains__)  # cards first
            ]
            said = {word: data[word] for word in _words_of(Cable) if word in data and word != "ends"}
            called = data.get("name", data.get("cable"))
            if called and called not in (*ends, "-".join(ends), "-".join(reversed(ends))):
                said["name"] = called
            cables.append({"ends": ends, **said} if said else ends)
        return cls(switches, tuple(cables))


def graph_of(scenario: Scenario) -> nx.MultiGraph[str]:
    """Return nodes, clients, switches and segments that have none as a graph; all have a `label`."""
    import networkx as nx

    graph: nx.MultiGraph[str] = nx.MultiGraph()
    wired = scenario.wired_segments()
    for name, segment in scenario.segments.items():
        if name not in wired:
            graph.add_node(name, kind="segment", label=" ".join(_names(name, segment)))
    for name, switch in scenario.switches.items():
        graph.add_node(name, kind="switch", label=name, **_said(switch))
    homes: dict[str, tuple[str, dict[str, Any]]] = {}
    for cable in scenario.cables:
        one, other = cable.ends
        words = {"cable": cable.name, **_said(cable)}
        if one in scenario.switches and other in scenario.switches:
            graph.add_edge(one, other, label=cable.name, interface="", **words)
        else:
            end, switch_ = (other, one) if one in scenario.switches else (one, other)
            homes[end] = switch_, words
    for name, node in scenario.nodes.items():
        graph.add_node(name, kind="node", label=name)
        for interface, attachment in node.interfaces.items():
            addresses = ", ".join(str(address) for address in attachment.addresses)
            home, words = homes.get(f"{name}/{interface}", (attachment.segment, {"cable": ""}))
            label = f"{interface} {addresses}".strip()
            graph.add_edge(name, home, label=label, interface=interface, **words)
    for name, client in scenario.clients.items():
        address, port = client.target
        home, words = homes.get(name, (client.segment, {"cable": ""}))
        graph.add_node(name, kind="client", label=name)
        asks = f"asks {address} port {port}" + (f" via {client.via}" if client.via else "")
        graph.add_edge(name, home, label=asks, interface="", **words)
    return graph


def _names(name: str, segment: Segment) -> list[str]:
    return [name, *(str(each) for each in (segment.subnet, segment.second) if each is not None)]


def single_points(scenario: Scenario) -> frozenset[str]:
    """Return the switches and the cables between them whose loss leaves some of the rest without a way."""
    import networkx as nx

    graph = graph_of(scenario)
    cables = [
        data["cable"]
        for one, other, data in graph.edges(data=True)
        if scenario.switches.keys() >= {one, other}
        and graph.number_of_edges(one, other) == 1
        and _splits(graph, one, other)
    ]
    return frozenset((*scenario.switches.keys() & set(nx.articulation_points(graph)), *cables))


def _splits(graph: nx.MultiGraph[str], one: str, other: str) -> bool:
    import networkx as nx

    view = nx.restricted_view(graph, [], [(one, other, 0)])
    return not nx.has_path(view, one, other)


_WORDS = {"mac_age_ns": "mac_age", "forward_delay_ns": "forward_delay", "membership_ns": "membership"}


def _words_of(model: type[Switch | Cable]) -> list[str]:
    return [_WORDS.get(name, name) for name in model._fields]


def _said(model: Any) -> dict[str, Any]:
    """What a file says of a switch or a cable beside its ends and its name: what is not so anyway."""
    found = {}
    for name, usual in model._field_defaults.items():
        value = getattr(model, name)
        if name != "name" and value != usual:
            found[_WORDS.get(name, name)] = (
                value.to_yaml()
                if isinstance(value, Distribution)
                else exact_duration(value)
                if name in _WORDS
                else _said(value)
                if isinstance(value, Snooping)
                else list(value)
                if isinstance(value, tuple)
                else value
            )
    return found
