"""What befalls frames on their way through a segment: losses, delays, copies, damage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from vrrpsim.protocol.ah import IP_BYTES, message_of
from vrrpsim.protocol.packet import Datagram
from vrrpsim.scenario.events import Impairment
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.random_streams import Gaps, Numbered

from .context import Context
from .frame import Frame, VrrpFrame


class PathEnd:
    """What an impairment asks of the ports at both ends of a path."""

    name: str


class Delays:
    """How long frames take, by who sends them and by flow: the n-th of a path takes the same in any run."""

    __slots__ = ("_context", "_delay", "_draws", "_jitter", "_purpose", "plain_ns")

    def __init__(
        self, context: Context, purpose: str, delay: Distribution, jitter: Distribution | None
    ) -> None:
        self._context = context
        self._purpose = purpose
        self._delay, self._jitter = delay, jitter
        self._draws: dict[tuple[str, str], Numbered] = {}
        self.plain_ns = delay.parameters[0] if delay.kind == "fixed" and jitter is None else None

    def ns(self, sender: str, flow: str, number: int) -> int:
        """The delay of the n-th frame of a path."""
        if self.plain_ns is not None:
            return self.plain_ns
        draws = self._draws.get((sender, flow))
        if draws is None:
            purpose = f"delay/{self._purpose}/{sender}/{flow}"
            draws = self._draws[sender, flow] = self._context.streams.numbered(purpose)
        delay_ns, jitter = draws.draw_ns(self._delay, 2 * number), self._jitter
        return delay_ns + draws.draw_ns(jitter, 2 * number + 1) if jitter is not None else delay_ns


class Lossy(Protocol):
    """What a segment's model and a cable's have in common."""

    @property
    def loss(self) -> float:
        """Share of the frames that is lost."""

    @property
    def burst(self) -> float | None:
        """Mean number of frames lost in a row."""

    @property
    def duplicate(self) -> float:
        """Share that arrives twice."""

    @property
    def reorder(self) -> float:
        """Share that overtakes."""

    @property
    def corrupt(self) -> float:
        """Share that arrives with a flipped bit."""


class ActiveImpairment:
    """One impairment at work: what it does to the frames it matches, path by path."""

    __slots__ = ("_context", "_draws", "_gaps", "_name", "_receivers", "_senders", "impairment", "only_loses")

    def __init__(
        self,
        context: Context,
        name: str,
        impairment: Impairment,
        senders: frozenset[str] | None = None,
        receivers: frozenset[str] | None = None,
    ) -> None:
        self._context = context
        self._name = name
        self._senders = senders  # port names; None: any
        self._receivers = receivers
        self._gaps: dict[tuple[str, str, str, str], Gaps] = {}
        self._draws: dict[tuple[str, str, str], Numbered] = {}
        self.impairment = does = impairment
        self.only_loses = not (does.delay or does.jitter or does.duplicate or does.reorder or does.corrupt)

    def meets(self, kinds: tuple[str, ...]) -> bool:
        """Whether it is meant for frames of these kinds at all."""
        only = self.impairment.only
        return not only or any(kind in only for kind in kinds)

    def matches(self, sender: PathEnd, receiver: PathEnd, kinds: tuple[str, ...]) -> bool:
        """Whether it touches a frame of these kinds on this path."""
        return (
            self.meets(kinds)
            and (self._senders is None or sender.name in self._senders)
            and (self._receivers is None or receiver.name in self._receivers)
        )

    def strikes(
        self, what: str, chance: float | None, sender: PathEnd, receiver: PathEnd, frame: Frame
    ) -> bool:
        """Whether this frame is the one: losses, duplicates … each have their own gaps per path and flow."""
        return bool(chance) and self.gaps(what, chance or 0.0, sender, receiver, frame).hit()

    def gaps(self, what: str, chance: float, sender: PathEnd, receiver: PathEnd, frame: Frame) -> Gaps:
        """Which frames of this path and flow it strikes."""
        key = (what, sender.name, receiver.name, frame.flow)
        gaps = self._gaps.get(key)
        if gaps is None:
            path = f"{sender.name}->{receiver.name}/{frame.flow}"
            draws = self._context.streams.numbered(f"{what}/{self._name}/{path}")
            burst = self.impairment.burst if what == "loss" else None
            forcing = self._context.forcing
            if forcing is not None and what == "loss" and isinstance(frame, VrrpFrame):
                gaps = forcing.gaps(chance, burst, draws)
            else:
                gaps = Gaps(chance, burst, draws)
            self._gaps[key] = gaps
        return gaps

    def extra_ns(self, sender: PathEnd, receiver: PathEnd, frame: Frame, number: int) -> int:
        """How much later the n-th frame of its sender and flow arrives."""
        delay, jitter = self.impairment.delay, self.impairment.jitter
        if delay is None and jitter is None:
            return 0
        draws = self._numbered(sender, receiver, frame)
        extra_ns = draws.draw_ns(delay, 3 * number) if delay is not None else 0
        return extra_ns + draws.draw_ns(jitter, 3 * number + 1) if jitter is not None else extra_ns

    def damaged(self, sender: PathEnd, receiver: PathEnd, frame: Frame, number: int) -> Frame | None:
        """An advert with one bit of its payload flipped, as netem's corrupt does; others are dropped."""
        if not isinstance(frame, VrrpFrame):
            return None
        draws = self._numbered(sender, receiver, frame)
        heard = frame.datagram
        whole = heard.packet
        data = bytearray(whole[IP_BYTES:] or heard.payload)
        bit = int(draws.fraction(3 * number + 2) * len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        packet = whole and whole[:IP_BYTES] + data
        payload = message_of(packet) if packet else bytes(data)
        copy = VrrpFrame(frame.src_mac, Datagram(heard.source, heard.destination, heard.ttl, payload, packet))
        copy.dst_mac = frame.dst_mac
        return copy

    def _numbered(self, sender: PathEnd, receiver: PathEnd, frame: Frame) -> Numbered:
        key = (sender.name, receiver.name, frame.flow)
        draws = self._draws.get(key)
        if draws is None:
            purpose = f"impair/{self._name}/{sender.name}->{receiver.name}/{frame.flow}"
            draws = self._draws[key] = self._context.streams.numbered(purpose)
        return draws


def fate(
    effects: Iterable[ActiveImpairment],
    sender: PathEnd,
    receiver: PathEnd,
    frame: Frame,
    number: int,
    delay_ns: int,
) -> tuple[list[tuple[int, Frame]], str]:
    """What arrives of a frame on one path and after how long; nothing, and why, if it is lost."""
    later_ns = 0
    copies = 1
    for effect in effects:
        impairment = effect.impairment
        if effect.strikes("loss", impairment.loss, sender, receiver, frame):
            return [], "burst" if impairment.burst else "loss"
        if effect.only_loses:
            continue
        if effect.strikes("corrupt", impairment.corrupt, sender, receiver, frame):
            damaged = effect.damaged(sender, receiver, frame, number)
            if damaged is None:  # a bad frame check sequence: the receiver's card drops it
                return [], "corrupt"
            frame = damaged
        if effect.strikes("duplicate", impairment.duplicate, sender, receiver, frame):
            copies += 1
        extra_ns = effect.extra_ns(sender, receiver, frame, number)
        if not effect.strikes("reorder", impairment.reorder, sender, receiver, frame):
            later_ns += extra_ns
        elif not (impairment.delay or impairment.jitter):
            delay_ns = 0  # netem: a reordered frame overtakes those that are delayed
    return [(delay_ns + later_ns, frame)] * copies, ""


def passing(
    effects: Iterable[ActiveImpairment], sender: PathEnd, receiver: PathEnd, kinds: tuple[str, ...]
) -> float:
    """The fraction of frames of these kinds that effects let through from one end to the other."""
    share = 1.0
    for effect in effects:
        if effect.matches(sender, receiver, kinds):
            share *= 1.0 - (effect.impairment.loss or 0.0)
            share *= 1.0 - (effect.impairment.corrupt or 0.0)
    return share


def always(model: Lossy) -> Impairment | None:
    """What a segment or a cable does to frames always, if it does anything."""
    if not any((model.loss, model.duplicate, model.reorder, model.corrupt)):
        return None
    return Impairment(
        loss=model.loss or None,
        burst=model.burst,
        duplicate=model.duplicate or None,
        reorder=model.reorder or None,
        corrupt=model.corrupt or None,
    )
