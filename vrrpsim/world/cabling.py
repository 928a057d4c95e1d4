"""Switches and the cables between them: what is plugged in where, what has power, what each cable does.

All segments share them. What a frame finds there is the segment's (`switched_segment`); here cables are
pulled, switches lose power, and cards at the other end see their carrier go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from vrrpsim.scenario.model import Cable, Scenario, Switch
from vrrpsim.scenario.random_streams import Numbered

from .calendar import Kind
from .context import Context
from .frame import Frame
from .impairment import ActiveImpairment, always, fate
from .port import Port


class Learned(NamedTuple):
    """Behind which cable a MAC was, and when it was last seen there."""

    cable: LaidCable
    seen_ns: int


class LearningSwitch:
    """One switch: its cables, and a table of MACs for each segment."""

    def __init__(self, name: str, model: Switch) -> None:
        self.name = name
        self.model = model
        self.powered = True
        self.cables: list[LaidCable] = []
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
    """One cable. Its ends are a switch and another switch, or a card."""

    def __init__(self, context: Context, model: Cable, one: End, other: End) -> None:
        self.context = context
        self.name = model.name
        self.model = model
        self.ends = one, other
        self.pulled = False
        self.effects: list[ActiveImpairment] = []
        self._switches = [end for end in self.ends if isinstance(end, LearningSwitch)]
        for switch in self._switches:
            switch.cables.append(self)
        fixed = model.delay.kind == "fixed" and model.jitter is None
        self._plain_delay_ns = model.delay.parameters[0] if fixed else None
        self._numbers: Counter[tuple[str, str]] = Counter()  # frames so far by (from, flow)
        self._draws: dict[tuple[str, str], Numbered] = {}
        own = always(model)
        if own is not None:
            self.effects.append(ActiveImpairment(context, f"cable/{self.name}", own))

    @property
    def up(self) -> bool:
        """Plugged in, between what has power."""
        return not self.pulled and all(switch.powered for switch in self._switches)

    def beyond(self, end: End) -> End:
        """The other end."""
        one, other = self.ends
        return other if end is one else one

    def carry(self, end: End, frame: Frame) -> tuple[list[tuple[int, Frame]], str]:
        """What arrives of a frame from this end and after how long; nothing, and why, if it is lost."""
        if self._plain_delay_ns is not None and not self.effects:
            return [(self._plain_delay_ns, frame)], ""
        number = self._numbers[end.name, frame.flow]
        self._numbers[end.name, frame.flow] = number + 1
        there = self.beyond(end)
        effects = [each for each in self.effects if each.matches(end, there, frame.kinds)]
        return fate(effects, end, there, frame, number, self._delay_ns(end, frame, number))

    def _delay_ns(self, end: End, frame: Frame, number: int) -> int:
        if self._plain_delay_ns is not None:
            return self._plain_delay_ns
        draws = self._draws.get((end.name, frame.flow))
        if draws is None:
            purpose = f"delay/cable/{self.name}/{end.name}/{frame.flow}"
            draws = self._draws[end.name, frame.flow] = self.context.streams.numbered(purpose)
        delay_ns = draws.draw_ns(self.model.delay, 2 * number)
        jitter = self.model.jitter
        return delay_ns + draws.draw_ns(jitter, 2 * number + 1) if jitter is not None else delay_ns

    def passes(self, end: End, kinds: tuple[str, ...]) -> float:
        """The fraction of frames of these kinds that get through from this end."""
        share = 1.0
        for effect in self.effects:
            if effect.matches(end, self.beyond(end), kinds):
                share *= 1.0 - (effect.impairment.loss or 0.0)
                share *= 1.0 - (effect.impairment.corrupt or 0.0)
        return share


class Cabling:
    """All switches and cables of a world."""

    def __init__(self, context: Context, scenario: Scenario) -> None:
        self.context = context
        self.switches = {name: LearningSwitch(name, model) for name, model in scenario.switches.items()}
        self.cables: dict[str, LaidCable] = {}
        self.of_card: dict[str, LaidCable] = {}  # by the name of the port
        self.observers: list[Callable[[], None]] = []  # called when frames find other ways
        self._boots: Counter[str] = Counter()
        self._lit: dict[str, bool] = {}  # whether each card that has a cable sees a carrier by it

    def plug_in(self, models: Iterable[Cable], cards: Mapping[str, Port]) -> None:
        """Lay the cables; cards by the names that cables call them."""
        ends: dict[str, End] = {**self.switches, **cards}
        for model in models:
            one, other = (ends[end] for end in model.ends)
            cable = self.cables[model.name] = LaidCable(self.context, model, one, other)
            for end in cable.ends:
                if isinstance(end, Port):
                    self.of_card[end.name] = cable
                    self._lit[end.name] = True

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
            calendar = self.context.calendar
            calendar.at(calendar.now_ns + delay_ns, Kind.KERNEL, 0, self._booted, switch)

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

    def card_lost(self, port: Port) -> None:
        """A card has no carrier, and the switch sees it: MACs behind the cable are forgotten."""
        cable = self.of_card.get(port.name)
        if cable is not None:
            self._forget_behind(cable)

    def _look_at_links(self) -> None:
        """Cards see their carrier come and go; MACs behind a dead cable are forgotten."""
        for cable in self.cables.values():
            if not cable.up:
                self._forget_behind(cable)
        for observe in self.observers:
            observe()
        for name, lit in self._lit.items():
            cable = self.of_card[name]
            if cable.up != lit:
                self._lit[name] = not lit
                [port] = [end for end in cable.ends if isinstance(end, Port)]
                port.owner.light(port, not lit)
        self.context.reconsider()

    def _forget_behind(self, cable: LaidCable) -> None:
        for end in cable.ends:
            if isinstance(end, LearningSwitch):
                end.forget(cable)
