"""Switches and the cables between them: what is plugged in where, what has power, what each cable does.

All segments share them. What a frame finds there is the segment's (`switched_segment`); here cables are
pulled, switches lose power, and cards at the other end see their carrier go. Which of several ways between
switches is open, and since when, says the spanning tree: what is open never has a loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from vrrpsim.scenario.model import Cable, Scenario, Switch

from .calendar import Alarm, Kind
from .context import Context
from .frame import Frame
from .impairment import ActiveImpairment, Delays, PathEnd, always, fate, passing
from .port import Port

QUERIES_NS: Final = 125_000_000_000  # RFC 2236 §8.2: from one general query to the next


class LearningSwitch(PathEnd):
    """One switch: its cables, and a table of MACs for each segment."""

    def __init__(self, name: str, model: Switch) -> None:
        self.name = name
        self.model = model
        self.powered = True
        self.cables: list[LaidCable] = []  # of a LAG only the first
        self._table: dict[tuple[str, bytes], Learned] = {}

    def learn(self, segment: str, mac: bytes, cable: LaidCable, now_ns: int) -> bool:
        """A frame of this MAC came in; return whether it used to come by another cable."""
        before = self._table.get((segment, mac))
        self._table[segment, mac] = Learned(cable, now_ns)
        return before is not None and before.cable is not cable

    def behind(self, segment: str, mac: bytes, now_ns: int) -> Learned | None:
        """Where the MAC is believed to be; None: nowhere in particular, or it is too long ago."""
        entry = self._table.get((segment, mac))
        return entry if entry is not None and now_ns < self.forgets_ns(entry) else None

    def forgets_ns(self, entry: Learned) -> int:
        """When a MAC that is not seen again is forgotten."""
        return entry.seen_ns + self.model.mac_age_ns

    def forget(self, cable: LaidCable | None = None) -> None:
        """All MACs, or those behind one cable."""
        kept = {key: entry for key, entry in self._table.items() if cable and entry.cable is not cable}
        self._table = kept


End = LearningSwitch | Port


class LaidCable:
    """One cable. Its ends are a switch and another switch, or a card.

    `lag`: all cables that are one to the switches, this one among them; the first speaks for them.
    """

    def __init__(self, context: Context, model: Cable, one: End, other: End, rank: int) -> None:
        self.context = context
        self.name = model.name
        self.model = model
        self.ends = one, other
        self.pulled = False
        self.blocked = False  # by the spanning tree
        self.opens = Alarm(context.agenda, Kind.KERNEL, rank)
        self.openings = 0
        self.lag: list[LaidCable] = [self]
        self.effects: list[ActiveImpairment] = []
        self.switches = [end for end in self.ends if isinstance(end, LearningSwitch)]
        self._delays = Delays(context, f"cable/{self.name}", model.delay, model.jitter)
        self._numbers: Counter[tuple[str, str]] = Counter()  # frames so far by (from, flow)
        own = always(model)
        if own is not None:
            self.effects.append(ActiveImpairment(context, f"cable/{self.name}", own))

    @property
    def first(self) -> LaidCable:
        """What switches take it for: itself, or the first of its LAG."""
        return self.lag[0]

    @property
    def up(self) -> bool:
        """Plugged in, between what has power."""
        return not self.pulled and all(switch.powered for switch in self.switches)

    @property
    def works(self) -> bool:
        """It is up, or another one of its LAG."""
        return any(cable.up for cable in self.lag)

    @property
    def open(self) -> bool:
        """Frames pass."""
        return not self.first.blocked and self.works

    def carrier_of(self, source: bytes, destination: bytes) -> LaidCable:
        """The cable of its LAG that takes frames between two MACs; of those that are up, if any is."""
        if len(self.lag) == 1:
            return self
        able = [cable for cable in self.lag if cable.up] or self.lag
        return able[(sum(source) + sum(destination)) % len(able)]

    def beyond(self, end: End) -> End:
        """The other end."""
        one, other = self.ends
        return other if end is one else one

    def carry(self, end: End, frame: Frame) -> tuple[list[tuple[int, Frame]], str]:
        """What arrives of a frame from this end and after how long; nothing, and why, if it is lost."""
        if self._delays.plain_ns is not None and not self.effects:
            return [(self._delays.plain_ns, frame)], ""
        number = self._numbers[end.name, frame.flow]
        self._numbers[end.name, frame.flow] = number + 1
        there = self.beyond(end)
        effects = [each for each in self.effects if each.matches(end, there, frame.kinds)]
        return fate(effects, end, there, frame, number, self._delays.ns(end.name, frame.flow, number))

    def passes(self, end: End, kinds: tuple[str, ...]) -> float:
        """The fraction of frames of these kinds that get through from this end."""
        return passing(self.effects, end, self.beyond(end), kinds)


class Learned(NamedTuple):
    """Behind which cable a MAC was, and when it was last seen there."""

    cable: LaidCable
    seen_ns: int


class Cabling:
    """All switches and cables of a world."""

    def __init__(self, context: Context, scenario: Scenario) -> None:
        self.context = context
        self.switches = {name: LearningSwitch(name, model) for name, model in scenario.switches.items()}
        self.cables: dict[str, LaidCable] = {}
        self.of_card: dict[str, LaidCable] = {}  # by the name of the port
        self.observers: list[Callable[[], None]] = []  # called when frames find other ways
        self._boots: Counter[str] = Counter()
        self._cards: list[tuple[Port, LaidCable]] = []
        self._lit: dict[str, bool] = {}  # whether each card that has a cable sees a carrier by it
        self._asks: set[str] = set()  # switches to which a querier speaks
        self._asked: dict[str, int] = {}  # when one did last, to others
        self._trunks: list[LaidCable] = []  # between switches, of each LAG the first

    def plug_in(self, models: Iterable[Cable], cards: Mapping[str, Port]) -> None:
        """Lay the cables; cards by the names that cables call them. All has been so for long."""
        ends: dict[str, End] = {**self.switches, **cards}
        lags: dict[str, list[LaidCable]] = {}
        for rank, model in enumerate(models, 1):
            one, other = (ends[end] for end in model.ends)
            cable = self.cables[model.name] = LaidCable(self.context, model, one, other, rank)
            if model.lag is not None:
                cable.lag = lags.setdefault(model.lag, [])
                cable.lag.append(cable)
            for end in cable.ends:
                if isinstance(end, Port):
                    self.of_card[end.name] = cable
                    self._lit[end.name] = True
                    self._cards.append((end, cable))
            if cable.first is cable:
                for switch in cable.switches:
                    switch.cables.append(cable)
                if len(cable.switches) == 2:
                    self._trunks.append(cable)
        tree = self._tree()
        for trunk in self._trunks:
            trunk.blocked = trunk not in tree

        self._look_for_queriers()

    def asked_ns(self, switch: LearningSwitch) -> int | None:
        """When members of groups were asked last to report, on switches this one is connected to."""
        if switch.name in self._asks:
            return self.context.agenda.now_ns // QUERIES_NS * QUERIES_NS
        return self._asked.get(switch.name)

    def _look_for_queriers(self) -> None:
        """Who asks once is heard as far as frames pass; of who no longer does, the last time is known."""
        now_ns = self.context.agenda.now_ns
        asks: set[str] = set()
        for switch in self.switches.values():
            snooping = switch.model.igmp_snooping
            if snooping is not None and snooping.querier == "self" and switch.powered:
                asks |= self._part(switch)
        for name in self._asks - asks:
            self._asked[name] = now_ns // QUERIES_NS * QUERIES_NS
        self._asks = asks

    def _part(self, switch: LearningSwitch) -> set[str]:
        """The switches that frames of one come to."""
        queue = [switch]
        for here in queue:
            ends = (cable.beyond(here) for cable in here.cables if cable.open)
            queue += [end for end in ends if isinstance(end, LearningSwitch) and end not in queue]
        return {each.name for each in queue}

    # --- what befalls them

    def pull(self, name: str, out: bool) -> None:
        """Somebody pulls a cable, or puts it back."""
        self.cables[name].pulled = out
        self._look_at_links()

    def power_off(self, name: str) -> None:
        """A switch loses power, and with it everything it had learned."""
        switch = self.switches[name]
        if switch.powered:
            switch.powered = False
            switch.forget()
            self._look_at_links()

    def power_on(self, name: str) -> None:
        """It boots, which takes its time."""
        switch = self.switches[name]
        if not switch.powered:
            self._boots[name] += 1
            purpose = f"boots/switch/{name}/{self._boots[name]}"
            delay_ns = self.context.streams.draw_ns(switch.model.boots, purpose)
            agenda = self.context.agenda
            agenda.at(agenda.now_ns + delay_ns, Kind.KERNEL, 0, self._booted, switch)

    def _booted(self, switch: LearningSwitch) -> None:
        switch.powered = True
        self._look_at_links()

    def impair(self, name: str, effect: ActiveImpairment) -> None:
        """From now on something happens to the frames on a cable that it matches."""
        self.cables[name].effects.append(effect)

    def spare(self, name: str, effect: ActiveImpairment) -> None:
        """It is over."""
        self.cables[name].effects.remove(effect)

    def plugged_into(self, switch: str) -> list[Port]:
        """The cards with a cable to this switch."""
        there = [cable.beyond(self.switches[switch]) for cable in self.switches[switch].cables]
        return [end for end in there if isinstance(end, Port)]

    def card_linked(self, port: Port, up: bool) -> None:
        """The switch sees the card at the end of a cable come or go."""
        cable = self.of_card.get(port.name)
        if cable is None:
            return
        if up:
            self._listen(cable)
        else:
            self._close(cable)
        self._ways_changed()

    # --- what follows

    def _look_at_links(self) -> None:
        """Cards see their carrier come and go; the spanning tree opens other ways where there are any."""
        self._grow_tree()
        self._ways_changed()
        for port, cable in self._cards:
            if cable.up != self._lit[port.name]:
                self._lit[port.name] = cable.up
                if cable.up:
                    self._listen(cable)
                else:
                    self._close(cable)
                port.owner.light(port, cable.up)
        self.context.reconsider()

    def _ways_changed(self) -> None:
        self._look_for_queriers()
        for observe in self.observers:
            observe()

    def _grow_tree(self) -> None:
        tree = self._tree()
        for trunk in self._trunks:
            if trunk not in tree:
                self._close(trunk)
            elif trunk.blocked and not trunk.opens.pending:
                trunk.openings += 1
                purpose = f"spanning-tree/{trunk.name}/{trunk.openings}"
                streams = self.context.streams
                delays = [
                    streams.draw_ns(switch.model.takes_over, f"{purpose}/{switch.name}")
                    for switch in trunk.switches
                    if switch.model.stp == "rstp"
                ]
                self._open_after(max(delays, default=0), trunk)

    def _tree(self) -> set[LaidCable]:
        """The trunks by which each part's first switch reaches the others over the fewest cables."""
        found: set[LaidCable] = set()
        reached: set[LearningSwitch] = set()
        for root in self.switches.values():
            if root in reached or not root.powered:
                continue
            reached.add(root)
            queue = [root]
            for here in queue:
                for cable in here.cables:
                    there = cable.beyond(here)
                    if isinstance(there, LearningSwitch) and there not in reached and cable.works:
                        reached.add(there)
                        queue.append(there)
                        found.add(cable)
        return found

    def _listen(self, cable: LaidCable) -> None:
        """A card's port comes up: an edge port forwards at once, another one listens and learns first."""
        [switch] = cable.switches
        if switch.model.stp == "rstp" and not cable.model.edge:
            cable.blocked = True
            self._open_after(2 * switch.model.forward_delay_ns, cable)

    def _open_after(self, delay_ns: int, cable: LaidCable) -> None:
        if delay_ns:
            cable.opens.set(delay_ns, self._open, cable)
        else:
            cable.blocked = False

    def _open(self, cable: LaidCable) -> None:
        cable.blocked = False
        if len(cable.switches) == 2:  # a topology change: MACs may be elsewhere
            for switch in self.switches.values():
                switch.forget()
        self._ways_changed()
        self.context.reconsider()

    def _close(self, cable: LaidCable) -> None:
        """No frame passes any more: MACs behind it are forgotten."""
        if len(cable.switches) == 2:
            cable.blocked = True
        cable.opens.cancel()
        for switch in cable.switches:
            switch.forget(cable)
