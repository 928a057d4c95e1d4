"""A shared L2 domain: a switch that learns MACs, and what befalls frames between two of its ports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from vrrpsim.scenario.model import Segment as SegmentModel
from vrrpsim.scenario.random_streams import bounds_ns

from .calendar import Kind, order_of
from .context import Context
from .frame import Frame
from .impairment import ActiveImpairment, Delays, PathEnd, always, fate, passing


class Attached(PathEnd, ABC):
    """What the switch needs of whatever is plugged in."""

    carrier: bool

    @abstractmethod
    def wants(self, frame: Frame) -> bool:
        """Whether a frame to a group is for it."""

    @abstractmethod
    def has_mac(self, mac: bytes) -> bool:
        """Whether frames to this MAC are for it."""

    @abstractmethod
    def receive(self, frame: Frame) -> None:
        """A frame arrived."""


PortT = TypeVar("PortT", bound=Attached)


class Segment(Generic[PortT]):
    """The switch. Frames reach the other ports after the delay, unless something takes them."""

    one_hop = True  # else frames have more than one chance to get lost on their way

    def __init__(self, context: Context, name: str, rank: int, model: SegmentModel) -> None:
        self.context = context
        self.name = name
        self._agenda = context.agenda
        self._order = order_of(Kind.PACKET, rank)
        self.model = model
        self.ports: list[PortT] = []
        self.mac_table: dict[bytes, PortT] = {}
        self.blocked: Counter[tuple[str, str]] = Counter()  # partitions by (sender, receiver)
        self.effects: list[ActiveImpairment] = []
        self.taps: list[Callable[[int, PortT, Frame, str], None]] = []
        self._met: dict[tuple[str, ...], bool] = {}
        self._effects_on: dict[tuple[str, str, tuple[str, ...]], list[ActiveImpairment]] = {}
        self._members: dict[tuple[str, bytes, type[Frame]], list[PortT]] = {}
        self._delays = Delays(context, name, model.delay, model.jitter)
        self._numbers: Counter[tuple[str, str]] = Counter()  # frames so far by (sender, flow)
        own = always(model)
        if own is not None:
            self.impair(ActiveImpairment(context, f"segment/{name}", own))

    def impair(self, effect: ActiveImpairment) -> None:
        """From now on something happens to the frames it matches."""
        self.effects.append(effect)
        self._forget_effects()

    def spare(self, effect: ActiveImpairment) -> None:
        """It is over."""
        self.effects.remove(effect)
        self._forget_effects()

    def _forget_effects(self) -> None:
        self._met.clear()
        self._effects_on.clear()

    def transmit(self, sender: PortT, frame: Frame) -> None:
        """A port sends: the switch learns, then forwards or floods."""
        if not sender.carrier:
            self.lose(sender, None, frame, "carrier")
            return
        if self.mac_table.get(frame.src_mac) is not sender:
            self.mac_table[frame.src_mac] = sender
            self.membership_changed()
            self.context.reconsider()
        for tap in self.taps:
            tap(self.context.agenda.now_ns, sender, frame, "")
        receivers = self.receivers(sender, frame)
        if self._is_plain(frame):
            assert self._delays.plain_ns is not None
            self._agenda.post(self._delays.plain_ns, self._order, _arrive, (receivers, frame))
            return
        flow = sender.name, frame.flow
        number = self._numbers[flow]
        self._numbers[flow] = number + 1
        if self.blocked or self.effects:
            self._forward_through(sender, frame, receivers, number)
        else:
            delay_ns = self.delay_ns(sender, frame, number)
            self._agenda.post(delay_ns, self._order, _arrive, (receivers, frame))

    def _is_plain(self, frame: Frame) -> bool:
        """Whether nothing but the same delay as always happens to it, whoever it is for."""
        if self._delays.plain_ns is None or self.blocked:
            return False
        if not self.effects:
            return True
        met = self._met.get(frame.kinds)
        if met is None:
            met = self._met[frame.kinds] = any(effect.meets(frame.kinds) for effect in self.effects)
        return not met

    def effects_on(self, sender: PortT, receiver: PortT, kinds: tuple[str, ...]) -> list[ActiveImpairment]:
        """The impairments that frames of these kinds meet on this path."""
        key = (sender.name, receiver.name, kinds)
        found = self._effects_on.get(key)
        if found is None:
            found = [effect for effect in self.effects if effect.matches(sender, receiver, kinds)]
            self._effects_on[key] = found
        return found

    def receivers(self, sender: PortT, frame: Frame) -> list[PortT]:
        """The ports the switch forwards to, looked up once until somebody joins, leaves or moves."""
        key = (sender.name, frame.dst_mac, type(frame))
        receivers = self._members.get(key)
        if receivers is None:
            if frame.dst_mac[0] & 1:
                ports = [port for port in self.ports if port.wants(frame)]
            else:
                known = self.mac_table.get(frame.dst_mac)
                ports = self.ports if known is None else [known]
            receivers = self._members[key] = [port for port in ports if port is not sender]
        return receivers

    def membership_changed(self) -> None:
        """A port was added, joined or left a group, or a MAC is behind another port."""
        self._members.clear()

    def link_changed(self, port: PortT, up: bool) -> None:
        """A port has its carrier or lost it, which the switch takes no notice of."""

    def where(self, asker: PortT, mac: bytes) -> PortT | None:
        """The port that a frame of the asker to this MAC ends at; None: nowhere."""
        return self.mac_table.get(mac) or next((port for port in self.ports if port.has_mac(mac)), None)

    def _forward_through(self, sender: PortT, frame: Frame, receivers: list[PortT], number: int) -> None:
        """Each path has its own fate; those who hear the same at the same time hear it together."""
        usual_ns = self.delay_ns(sender, frame, number)
        unharmed = []
        for receiver in receivers:
            if self.blocked.get((sender.name, receiver.name)):
                self.lose(sender, receiver, frame, "partition")
                continue
            effects = self.effects_on(sender, receiver, frame.kinds)
            for delay_ns, arriving in self._fate(sender, receiver, frame, effects, number, usual_ns):
                if delay_ns == usual_ns and arriving is frame:
                    unharmed.append(receiver)
                else:
                    self._agenda.post(delay_ns, self._order, _arrive, ([receiver], arriving))
        if unharmed:
            self._agenda.post(usual_ns, self._order, _arrive, (unharmed, frame))

    def _fate(
        self,
        sender: PortT,
        receiver: PortT,
        frame: Frame,
        effects: list[ActiveImpairment],
        number: int,
        delay_ns: int,
    ) -> list[tuple[int, Frame]]:
        """What arrives of a frame on one path, and after how long."""
        arrivals, reason = fate(effects, sender, receiver, frame, number, delay_ns)
        if reason:
            self.lose(sender, receiver, frame, reason)
        return arrivals

    def pass_over(self, sender: PortT, frame: Frame, frames: int) -> int:
        """Count off frames of a flow without sending them; the number of the first one."""
        if self._is_plain(frame):
            return 0  # nobody draws by number, so nobody counts
        number = self._numbers[sender.name, frame.flow]
        self._numbers[sender.name, frame.flow] = number + frames
        return number

    @property
    def delay_bounds_ns(self) -> tuple[int, int]:
        """The least and the largest delay of a frame, without what events add."""
        low_ns, high_ns = bounds_ns(self.model.delay)
        jitter_ns = bounds_ns(self.model.jitter) if self.model.jitter is not None else (0, 0)
        return low_ns + jitter_ns[0], high_ns + jitter_ns[1]

    def delay_ns(self, sender: PortT, frame: Frame, number: int) -> int:
        """The delay of the n-th frame, the same to every receiver: it is the sender's queue that varies."""
        return self._delays.ns(sender.name, frame.flow, number)

    def lose(self, sender: PortT, receiver: PortT | None, frame: Frame, reason: str) -> None:
        """A frame vanishes; the trace says where and why."""
        destination = receiver.name if receiver else ""
        self.context.frame_lost(self.name, sender.name, destination, frame.kinds[-1], reason)
        for tap in self.taps:
            tap(self.context.agenda.now_ns, sender, frame, reason)

    def passes(self, sender: PortT, receiver: PortT, kinds: tuple[str, ...]) -> float:
        """The fraction of frames of these kinds that get from one port to the other."""
        if not (sender.carrier and receiver.carrier) or self.blocked.get((sender.name, receiver.name)):
            return 0.0
        return passing(self.effects, sender, receiver, kinds)

    def block(self, sender: str, receiver: str, by: int) -> None:
        """Cut (+1) or restore (−1) one direction between two ports; cuts add up."""
        self.blocked[sender, receiver] += by
        if not self.blocked[sender, receiver]:
            del self.blocked[sender, receiver]


def _arrive(receivers: list[PortT], frame: Frame) -> None:
    for receiver in receivers:
        receiver.receive(frame)
