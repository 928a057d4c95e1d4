"""What the lab cannot do, said before anything starts: all of it at once, each with its place in the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from vrrpsim.findings import Place
from vrrpsim.scenario.events import Event, Impairment
from vrrpsim.scenario.file.yaml_tree import Keys, Tree, dotted, read_tree
from vrrpsim.scenario.model import Neighbours, Scenario
from vrrpsim.scenario.verbs import SESSION, on

from . import kernel
from .client import address_of
from .programs import find

REFUSED_VERBS = {
    "starve": "it cannot make a real machine late",
    **dict.fromkeys(on(SESSION), "a real session is what its packets make of it; cut them by a partition"),
}
IMPAIRMENTS = ("burst", "delay", "jitter", "duplicate", "reorder", "corrupt")
LONGEST_DELAY_NS = 5_000_000  # that a bridge without any may stand for
LONGEST_NAME = 15  # of an interface
MANAGERS = ("systemctl", "service")  # that no machine of the lab has


class Impossible(Exception):
    """The lab cannot run this scenario, or not on this machine."""

    exit_code = 4


def refuse(scenario: Scenario, daemons: Mapping[str, str]) -> None:
    """Raise `Impossible` with a line for each thing that cannot be done."""
    tree = read_tree(scenario.path) if scenario.path is not None else Tree("scenario")
    lines = [f"{place}: {text}" for place, text in sorted(_unable(scenario, tree, daemons))]
    lines += [f"this machine has no {program}" for program in missing(scenario, daemons)]
    if find_spec("pyroute2") is None:
        lines.append("this Python has no package pyroute2; pip install 'vrrpsim[live]' brings it")
    if not lines:
        lines += _no_namespaces()
    if lines:
        raise Impossible("\n".join(lines))


def _unable(scenario: Scenario, tree: Tree, daemons: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    found = [*_segments(scenario), *_nodes(scenario, daemons), *_clients(scenario)]
    for event in scenario.events:
        found += [(("events", event.index, *keys), text) for keys, text in _event(event)]
    for process in scenario.processes:
        yield Place(process.name, 0, 0), "the lab has no simulated time for a process of one's own"
    for path, text in found:
        yield tree.key_place(path), f"{dotted(path)}: the lab cannot do this: {text}"


def _segments(scenario: Scenario) -> Iterator[tuple[Keys, str]]:
    for name, switch in scenario.switches.items():
        if switch.stp == "rstp":
            yield (
                ("switches", name, "stp"),
                "a kernel bridge knows the old spanning tree only",
            )
        if switch.igmp_snooping is not None:
            why = "a kernel bridge floods 224.0.0.0/24 always"
            yield ("switches", name, "igmp_snooping"), why
    for index, cable in enumerate(scenario.cables):
        if cable.lag is not None:
            yield ("cables", index, "lag"), "its bridges are joined by single cables"
        for word in IMPAIRMENTS:
            if word != "delay" and getattr(cable, word):
                yield ("cables", index, word), "a bridge only loses frames"
        if cable.delay.low_ns > LONGEST_DELAY_NS:
            yield ("cables", index, "delay"), "a cable between bridges has no delay to speak of"
    for name, segment in scenario.segments.items():
        for word in IMPAIRMENTS:
            if word != "delay" and getattr(segment, word):
                yield ("segments", name, word), "a bridge only loses frames"
        if segment.delay.low_ns > LONGEST_DELAY_NS:
            yield ("segments", name, "delay"), "a bridge has no delay to speak of"


def _nodes(scenario: Scenario, daemons: Mapping[str, str]) -> Iterator[tuple[Keys, str]]:
    for name, node in scenario.nodes.items():
        path: Keys = ("nodes", name)
        for interface in node.interfaces:
            if len(interface) > LONGEST_NAME:
                yield (*path, "interfaces", interface), f"a name has {LONGEST_NAME} characters at most"
        for word in ("forwards", "gateway"):
            if getattr(node, word):
                yield (*path, word), "its machines are on their segments only"
        if node.slop.kind == "custom":
            yield (*path, "slop"), "the machine's clock is the machine's"
        if node.neighbours != Neighbours():
            yield (*path, "neighbours"), "the neighbour cache is the kernel's"
        if node.keepalived and node.keepalived.starts_up is not None:
            yield (*path, "keepalived", "startup"), "a real daemon takes the time that it takes"
        if node.keepalived and node.keepalived.config.processes and daemons[name] == "keepalived":
            why = "track_process hears of processes from the kernel, which tells no namespace"
            yield (*path, "keepalived"), why
        for script in node.keepalived.config.scripts if node.keepalived else ():
            command = script.words[0] if script.words else ""
            if node.keepalived and script.name not in node.keepalived.probes:
                if command.rpartition("/")[2] in MANAGERS:
                    yield (*path, "keepalived"), f"{script.name} asks {command}; give it a 'probe:'"
                elif find(command) is None:
                    yield (
                        (*path, "keepalived"),
                        f"{script.name} runs {command}, which is not here; give it a 'probe:'",
                    )


def _clients(scenario: Scenario) -> Iterator[tuple[Keys, str]]:
    for name, client in scenario.clients.items():
        if client.via is not None:
            yield ("clients", name, "via"), "its machines are on their segments only"
        if client.neighbours != Neighbours():
            yield ("clients", name, "neighbours"), "the neighbour cache is the kernel's"
        if address_of(scenario, name) is None:
            yield (
                ("clients", name),
                "the segment has no subnet to take an address from; give it an 'address:'",
            )


def _event(event: Event) -> Iterator[tuple[Keys, str]]:
    if event.verb in REFUSED_VERBS:
        yield (event.verb,), REFUSED_VERBS[event.verb]
    match event.parameters:
        case Impairment() as impairment:
            for word in IMPAIRMENTS:
                if getattr(impairment, word) is not None:
                    yield (word,), "a bridge only loses frames"


def missing(scenario: Scenario, daemons: Mapping[str, str]) -> list[str]:
    """Return the programs that this scenario needs and this machine lacks."""
    needed = ["nft", "sleep"]
    nodes = scenario.nodes.items()
    if any(node.keepalived and daemons[name] == "keepalived" for name, node in nodes):
        needed.append("keepalived")
    if any("haproxy" in node.processes for _, node in nodes):
        needed.append("haproxy")
    return [program for program in needed if find(program) is None]


def _no_namespaces() -> list[str]:
    """Try to make namespaces, in a child that is of no other use."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            kernel.unshare(kernel.NEW_NET | kernel.NEW_MOUNT | kernel.NEW_PID | kernel.NEW_HOST)
        except OSError:
            code = 1
        os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        return []
    return ["the lab needs CAP_SYS_ADMIN and CAP_NET_ADMIN, as root has them, to make namespaces"]
