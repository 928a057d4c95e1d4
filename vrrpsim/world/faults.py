"""The events of a scenario: when they fire, whom they meet, what they do and how they are undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vrrpsim.protocol.packet import Datagram
from vrrpsim.scenario.addressing import STRANGER_MAC, forged
from vrrpsim.scenario.event_order import Ending, EventOrder, Firing
from vrrpsim.scenario.events import (
    AddAddress,
    Event,
    FlushAddress,
    Impairment,
    Inject,
    Partition,
    Reload,
    SetPriority,
    Starve,
    Target,
    WriteFile,
)
from vrrpsim.scenario.verbs import PROCESS, SCRIPT, SESSION, VERBS, on
from vrrpsim.trace import Fault, FaultEnd

from .cabling import Cabling
from .calendar import Kind
from .client import Client
from .context import Context
from .frame import VrrpFrame
from .impairment import ActiveImpairment
from .node import Node
from .port import Port, PortUser
from .segment import Segment

Undo = Callable[[], None]
Met = tuple[tuple[str, ...], Undo | None]  # whom a verb met, and how to undo it
Deed = Callable[[Event, str], Met]
LINK = {
    "link_down": (Node.set_link, False),
    "link_up": (Node.set_link, True),
    "set_down": (Node.set_interface, False),
    "set_up": (Node.set_interface, True),
    "delete_interface": (Node.set_present, False),
    "create_interface": (Node.set_present, True),
}
MACHINE = {"power_off": Node.power_off, "power_on": Node.power_on, "pause": Node.pause}


class Faults:
    """Schedules events and applies their verbs."""

    def __init__(
        self,
        context: Context,
        cabling: Cabling,
        segments: Mapping[str, Segment[Port]],
        nodes: Mapping[str, Node],
        clients: Mapping[str, Client],
    ) -> None:
        self.context = context
        self.cabling = cabling
        self.segments = segments
        self.nodes = nodes
        self.clients = clients
        self._programme: EventOrder[Undo] = EventOrder(context.scenario.events, context.streams)
        self._forced: dict[tuple[str, str], dict[str, str]] = {}  # verbs on a script, the newest last
        self.deeds: dict[str, Deed] = {
            **dict.fromkeys(on(PROCESS), self._process),
            **dict.fromkeys(MACHINE, self._machine),
            **dict.fromkeys(LINK, self._link),
            **dict.fromkeys(on(SCRIPT), self._script),
            "reload": self._reload,
            "partition": self._partition,
            "impair": self._impair,
            "starve": self._starve,
            "flush_address": self._flush_address,
            "add_address": self._add_address,
            "write": self._write,
            **dict.fromkeys(on(SESSION), self._session),
            "set": self._set_priority,
            "inject": self._inject,
        }

    def schedule(self) -> None:
        """Put the events with an absolute time on the calendar; `after:` ones follow their event."""
        self._await(self._programme.first())

    def _await(self, what: Sequence[Firing | Ending[Undo]]) -> None:
        for each in what:
            act = self._fire if isinstance(each, Firing) else self._end
            at_ns = self.context.origin_ns + each.at_ns
            self.context.agenda.at(at_ns, Kind.FAULT, each.event.index, act, each)

    @property
    def next_index(self) -> int:
        """A number for an event that no scenario lists."""
        return len(self.context.scenario.events) + self._programme.count

    def act(self, event: Event) -> tuple[str, ...]:
        """Let an event happen now that a process of the user's own brings; return whom it met."""
        return self._fire(Firing(self.context.agenda.now_ns - self.context.origin_ns, event, 0))

    def _fire(self, firing: Firing) -> tuple[str, ...]:
        """Resolve the role, apply the verb, write it down."""
        now_ns, records = self.context.agenda.now_ns, self.context.trace.records
        fault_at = len(records)
        resolved, undo = self.deeds[firing.event.verb](firing.event, firing.purpose)
        fired, later = self._programme.fired(firing, resolved, undo)
        records.insert(fault_at, Fault(now_ns, *fired))  # before its own consequences
        if not resolved:
            self.context.remark(f"{fired.verb} {fired.target}: nobody is that at {firing.at_ns / 1e9:.3f} s")
        self._await(later)
        return resolved

    def _end(self, ending: Ending[Undo]) -> None:
        self.context.trace.add(FaultEnd(self.context.agenda.now_ns, ending.number))
        if self._programme.ended(ending):
            ending.undo()
            self.context.reconsider()

    # --- targets

    def _node(self, target: Target | None) -> Node | None:
        """The node a target means now: by name, or the lowest-ranked one in that role."""
        if target is None:
            return None
        if target.node is not None:
            return self.nodes[target.node]
        for node in self.nodes.values():
            daemon = node.daemon
            if daemon is None or not node.kernel_runs or not daemon.exists:
                continue
            if daemon.runs_instance(target.instance) is None:
                continue
            if target.role is not None and daemon.has_role(target.role, target.instance):
                return node
        return None

    def _ports(self, target: Target) -> list[Port]:
        """All ports a target of a partition or an impairment stands for."""
        if target.client is not None:
            return [self.clients[target.client].port]
        if target.switch is not None:
            return self.cabling.plugged_into(target.switch)
        node = self._node(target)
        if node is None:
            return []
        if target.item is not None:
            return [node.ports[target.item]]
        return list(node.ports.values())

    # --- verbs: each answers whom it met and how to undo it

    def _process(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        if node is None or event.target is None or event.target.item is None:
            return (), None
        item, undo = event.target.item, VERBS[event.verb].undo
        self._signal(node, item, event.verb)
        return (f"{node.name}/{item}",), (lambda: self._signal(node, item, undo)) if undo else None

    @staticmethod
    def _signal(node: Node, item: str, verb: str) -> None:
        process = node.daemon if item == "keepalived" else node.processes[item]
        if process is None or not node.up:
            return
        if verb == "restart" and item != "keepalived":
            process.kill()
            process.start()
        elif verb == "stop" and item != "keepalived":
            process.kill()
        else:
            getattr(process, verb)()

    def _reload(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        assert isinstance(event.parameters, Reload)
        if node is None or node.daemon is None:
            return (), None
        node.daemon.reload(event.parameters.config)
        return (node.name,), None

    def _machine(self, event: Event, _purpose: str) -> Met:
        if event.target is not None and event.target.switch is not None:
            return self._switch(event.target.switch, event.verb == "power_on")
        node = self._node(event.target)
        if node is None:
            return (), None
        undo = MACHINE.get(VERBS[event.verb].undo, Node.resume)
        MACHINE[event.verb](node)
        return (node.name,), lambda: undo(node)

    def _switch(self, name: str, on: bool) -> Met:
        power = {True: self.cabling.power_on, False: self.cabling.power_off}
        power[on](name)
        return (name,), lambda: power[not on](name)

    def _link(self, event: Event, _purpose: str) -> Met:
        if event.target is not None and event.target.cable is not None:
            return self._cable(event.target.cable, LINK[event.verb][1])
        node = self._node(event.target)
        if node is None or event.target is None or event.target.item is None:
            return (), None
        interface = event.target.item
        change, up = LINK[event.verb]
        change(node, interface, up)
        return (f"{node.name}/{interface}",), lambda: change(node, interface, not up)

    def _cable(self, name: str, up: bool) -> Met:
        self.cabling.pull(name, not up)
        return (name,), lambda: self.cabling.pull(name, up)

    def _partition(self, event: Event, _purpose: str) -> Met:
        """Frames between the groups vanish; one way: only those from the first group to the others."""
        parameters = event.parameters
        assert isinstance(parameters, Partition)
        groups = [[port for target in group for port in self._ports(target)] for group in parameters.groups]
        pairs = [
            (sender, receiver)
            for first, group in enumerate(groups)
            for second, other in enumerate(groups)
            if first != second and not (parameters.one_way and first != 0)
            for sender in group
            for receiver in other
            if sender.segment is receiver.segment
        ]

        def cut(by: int) -> None:
            for sender, receiver in pairs:
                sender.segment.block(sender.name, receiver.name, by)
            self.context.reconsider()

        cut(1)
        met = dict.fromkeys(port.name.partition(":")[0] for group in groups for port in group)
        return tuple(met), lambda: cut(-1)

    def _impair(self, event: Event, purpose: str) -> Met:
        impairment = event.parameters
        assert isinstance(impairment, Impairment)
        assert event.target is not None
        if event.target.cable is not None:
            return self._impair_cable(event.target.cable, impairment, purpose)
        if event.target.segment is not None:
            segments = [self.segments[event.target.segment]]
            either: frozenset[str] | None = None
            met: tuple[str, ...] = (event.target.segment,)
        else:
            ports = self._ports(event.target)
            segments = list(dict.fromkeys(port.segment for port in ports))
            either = frozenset(port.name for port in ports)
            met = tuple(port.name.replace(":", "/") for port in ports)
        senders = self._names(impairment.senders)
        receivers = self._names(impairment.receivers)
        undos = [
            undo
            for segment in segments
            for undo in self._add_effects(segment, purpose, impairment, either, senders, receivers)
        ]
        self.context.reconsider()

        def undo_all() -> None:
            for undo in undos:
                undo()

        return met, undo_all

    def _impair_cable(self, name: str, impairment: Impairment, purpose: str) -> Met:
        """A cable suffers in both directions, unless `from:` or `to:` names an end."""

        def ends(targets: tuple[Target, ...]) -> frozenset[str] | None:
            names = {each.switch for each in targets if each.switch} | {
                port.name for each in targets if not each.switch for port in self._ports(each)
            }
            return frozenset(names) or None

        senders, receivers = ends(impairment.senders), ends(impairment.receivers)
        effect = ActiveImpairment(self.context, purpose, impairment, senders, receivers)
        self.cabling.impair(name, effect)
        self.context.reconsider()
        return (name,), lambda: self.cabling.spare(name, effect)

    def _add_effects(
        self,
        segment: Segment[Port],
        purpose: str,
        impairment: Impairment,
        either: frozenset[str] | None,
        senders: frozenset[str] | None,
        receivers: frozenset[str] | None,
    ) -> list[Undo]:
        """An impaired interface suffers in both directions, unless `from:` or `to:` says which."""
        if either is None or senders or receivers:
            effects = [
                ActiveImpairment(self.context, purpose, impairment, senders or either, receivers or either)
            ]
        else:
            effects = [
                ActiveImpairment(self.context, f"{purpose}/out", impairment, either, None),
                ActiveImpairment(self.context, f"{purpose}/in", impairment, None, either),
            ]
        for effect in effects:
            segment.impair(effect)
        return [lambda effect=effect: segment.spare(effect) for effect in effects]  # type: ignore[misc]

    def _names(self, targets: tuple[Target, ...]) -> frozenset[str] | None:
        if not targets:
            return None
        return frozenset(port.name for target in targets for port in self._ports(target))

    def _script(self, event: Event, purpose: str) -> Met:
        node = self._node(event.target)
        if node is None or node.daemon is None or event.target is None or event.target.item is None:
            return (), None
        daemon, script = node.daemon, event.target.item
        forced = self._forced.setdefault((node.name, script), {})
        forced[purpose] = event.verb
        daemon.disturb()
        daemon.scripts.forced[script] = event.verb

        def undo() -> None:
            daemon.disturb()
            del forced[purpose]
            daemon.scripts.forced.pop(script)
            if forced:
                daemon.scripts.forced[script] = next(reversed(forced.values()))
            daemon.scripts.look_again()

        if event.verb != "hang":
            daemon.scripts.look_again()
        return (f"{node.name}/{script}",), undo

    def _starve(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        assert isinstance(event.parameters, Starve)
        if node is None:
            return (), None
        node.starve(event.parameters.delay)
        return (node.name,), lambda: node.starve(None)

    def _flush_address(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        assert isinstance(event.parameters, FlushAddress)
        if node is None:
            return (), None
        node.flush_address(event.parameters.address)
        return (node.name,), None

    def _add_address(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        assert isinstance(event.parameters, AddAddress)
        if node is None or event.target is None or event.target.item is None:
            return (), None
        node.give_address(event.target.item, event.parameters.address)
        return (f"{node.name}/{event.target.item}",), None

    def _write(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        assert isinstance(event.parameters, WriteFile)
        if node is None or event.target is None or event.target.item is None:
            return (), None
        file, before = event.target.item, node.files.get(event.target.item, 0)
        node.write_file(file, event.parameters.value)
        return (f"{node.name}/{file}",), lambda: node.write_file(file, before)

    def _session(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        if node is None or node.daemon is None or event.target is None or event.target.item is None:
            return (), None
        name, up, sessions = event.target.item, event.verb == "bfd_up", node.daemon.sessions
        sessions.force(name, up)
        return (f"{node.name}/{name}",), lambda: sessions.force(name, up, undo=True)

    def _set_priority(self, event: Event, _purpose: str) -> Met:
        node = self._node(event.target)
        assert isinstance(event.parameters, SetPriority)
        if node is None or node.daemon is None or event.target is None:
            return (), None
        daemon = node.daemon
        instance = daemon.runs_instance(event.target.item)
        if instance is None:
            return (), None
        daemon.set_priority(instance.name, event.parameters.priority)
        return (f"{node.name}/{instance.name}",), lambda: daemon.set_priority(
            instance.name, instance.priority
        )

    def _inject(self, event: Event, _purpose: str) -> Met:
        """A forged or foreign advert, from a card that nobody knows."""
        assert isinstance(event.parameters, Inject)
        assert event.target is not None
        assert event.target.segment is not None
        segment = self.segments[event.target.segment]
        advert = event.parameters.advert
        source_ip, destination, payload, packet = forged(self.context.scenario, segment.name, advert)
        frame = VrrpFrame(STRANGER_MAC, Datagram(source_ip, destination, advert.ttl, payload, packet))
        source = next((port for port in segment.ports if port.name == "inject"), None)
        if source is None:
            stranger = next(iter(self.nodes.values()))
            source = Port(
                self.context,
                segment,
                "inject",
                0,
                STRANGER_MAC,
                _Stranger(),
                stranger.model.neighbours,
            )
        if not frame.multicast:
            for port in segment.ports:
                if destination in port.local:
                    frame.dst_mac = port.mac
        segment.transmit(source, frame)
        return (segment.name,), None


class _Stranger(PortUser):
    """The owner of the card that injected frames come from: it answers nothing."""

    def hear_vrrp(self, port: Port, frame: VrrpFrame) -> None:
        """Deaf."""

    def neighbour_moved(self, port: Port, entry: object) -> None:
        """Indifferent."""

    def light(self, port: Port, up: bool) -> None:
        """Indifferent."""
