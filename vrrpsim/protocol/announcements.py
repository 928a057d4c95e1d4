"""When gratuitous ARPs and unsolicited NAs leave: bursts, refreshes and their spacing.

keepalived.md §4 (GA-1 … GA-6), for one daemon. How many rounds a burst has is the state machine's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .configuration import GarpGroup, VirtualAddress
from .dialect import Dialect
from .fsm import NEVER_NS
from .instances import Instance, companions, places
from .outputs import Output, SendGratuitous
from .timer_queue import Timer, TimerQueue


class Announcer:
    """The announcements of all instances. `emit` takes outputs."""

    def __init__(
        self,
        timers: TimerQueue,
        dialect: Dialect,
        groups: tuple[GarpGroup, ...],
        emit: Callable[[Output], None],
    ) -> None:
        self._timers = timers
        self._dialect = dialect
        self._emit = emit
        self._timer = timers.timer(self._send_paced)
        self.reload(groups)

    def reload(self, groups: tuple[GarpGroup, ...]) -> None:
        """Other spacings from now on; what waits is dropped."""
        self._pacer = Pacer(groups, self._dialect.garp_interval_collapses)

    def announce_in(self, instance: Instance, rounds: int, delay_ns: int, now_ns: int) -> None:
        """GA-2: a later burst is not cancelled by leaving MASTER, but needs the addresses then."""
        if delay_ns == 0:
            self.announce(instance, rounds, now_ns)
        else:
            timer = self._timers.timer(lambda at_ns: self.announce(instance, rounds, at_ns))
            self._timers.arm(timer, now_ns + delay_ns)

    def announce(self, instance: Instance, rounds: int, now_ns: int) -> None:
        """GA-1: rounds outside, addresses inside; nothing without addresses."""
        if not instance.owns_addresses:
            return
        config = instance.config
        one_round = [self._gratuitous(instance, interface, entry) for interface, entry in places(config)]
        self._send(self._pacer.offer(config.interface, one_round * rounds, now_ns))

    def _gratuitous(self, instance: Instance, interface: str, entry: VirtualAddress) -> SendGratuitous:
        target_is_sender = self._dialect.garp_target_is_sender_mac
        name = instance.config.name
        return SendGratuitous(name, interface, entry.address, instance.virtual_mac, target_is_sender)

    def announce_others(self, instance: Instance, now_ns: int) -> None:
        """FSM-33: the other members of the sync group announce themselves, by their own values."""
        for other in companions(instance):
            garp = other.config.garp
            if other is not instance and garp.lower_prio_repeat:
                self.announce(other, garp.lower_prio_repeat, now_ns)
                if garp.lower_prio_delay_ns:
                    self.announce_in(other, garp.lower_prio_repeat, garp.lower_prio_delay_ns, now_ns)

    def advertised(self, instance: Instance, now_ns: int) -> None:
        """GA-3 ≤ 2.3.1, GA-8: a refresh is due at an advert, so its grain is the interval."""
        garp = instance.config.garp
        if (
            garp.master_refresh_ns
            and self._dialect.garp_refresh_on_adverts
            and now_ns > instance.refreshed_ns + garp.master_refresh_ns
        ):
            instance.refreshed_ns = now_ns
            self.announce(instance, garp.master_refresh_repeat, now_ns)
        if garp.extra_ns and now_ns > instance.reminded_ns + garp.extra_ns:
            instance.reminded_ns = now_ns
            self._remind(instance, now_ns)

    def _remind(self, instance: Instance, now_ns: int) -> None:
        """GA-8: the first address of each interface that is not the instance's."""
        config = instance.config
        firsts: dict[str, VirtualAddress] = {}
        for entry in (*config.addresses, *config.excluded):
            if entry.interface and entry.interface not in (config.interface, config.owned_interface):
                firsts.setdefault(entry.interface, entry)
        one_each = [self._gratuitous(instance, *first) for first in firsts.items()]
        self._send(self._pacer.offer(config.interface, one_each, now_ns))

    def start_refresh(self, instance: Instance, now_ns: int) -> None:
        """GA-3 ≥ 2.3.2: a timer of its own, first at garp_master_delay + refresh."""
        garp = instance.config.garp
        if not garp.master_refresh_ns or self._dialect.garp_refresh_on_adverts:
            return
        if instance.refresh_timer is None:
            timer = instance.refresh_timer = self._timers.timer(
                lambda at_ns: self._refresh(instance, timer, at_ns)
            )
        self._timers.arm(instance.refresh_timer, now_ns + garp.master_delay_ns + garp.master_refresh_ns)

    def leave(self, instance: Instance) -> None:
        """The instance left MASTER: its waiting frames are dropped."""
        self._pacer.drop(instance.config.name)

    def _refresh(self, instance: Instance, timer: Timer, now_ns: int) -> None:
        garp = instance.config.garp
        if instance.owns_addresses and garp.master_refresh_ns:
            self.announce(instance, garp.master_refresh_repeat, now_ns)
            self._timers.arm(timer, now_ns + garp.master_refresh_ns)

    def _send_paced(self, now_ns: int) -> None:
        self._send(self._pacer.due(now_ns))

    def _send(self, frames: list[SendGratuitous]) -> None:
        for frame in frames:
            self._emit(frame)
        self._timers.arm(self._timer, self._pacer.next_ns())


class Pacer:
    """GA-6: minimum spacing of announcements on an interface. All times are nanoseconds.

    Without `garp_interval` every frame passes at once. With it the first one passes and the rest wait:
    until 2.3.1 one per address (repeats collapse), later all of them, up to the repeat value.
    """

    __slots__ = ("_allowed_ns", "_collapses", "_groups", "_waiting")

    def __init__(self, groups: tuple[GarpGroup, ...], collapses: bool) -> None:
        self._groups = groups
        self._collapses = collapses
        self._allowed_ns: dict[str, int] = {}
        self._waiting: dict[str, list[SendGratuitous]] = {}

    def offer(self, interface: str, frames: Iterable[SendGratuitous], now_ns: int) -> list[SendGratuitous]:
        """The frames that may leave now; the others are kept."""
        frames = list(frames)
        if not self._groups:
            return frames
        sent: list[SendGratuitous] = []
        position = {frame: place for place, frame in reversed(list(enumerate(frames)))}
        for frame in frames:
            spacing_ns = self._spacing_ns(interface, frame.address.version)
            if spacing_ns == 0:
                sent.append(frame)
            elif now_ns >= self._allowed_ns.get(interface, 0) and not self._waiting.get(interface):
                self._allowed_ns[interface] = now_ns + spacing_ns
                sent.append(frame)
            else:
                queue = self._waiting.setdefault(interface, [])
                if queue.count(frame) < (1 if self._collapses else frames.count(frame)):
                    queue.append(frame)
                if self._collapses:  # one pending flag per address, served in the order of the addresses
                    queue.sort(key=lambda waiting: position.get(waiting, 0))
        return sent

    def due(self, now_ns: int) -> list[SendGratuitous]:
        """The waiting frames whose time has come: at most one per interface."""
        sent = []
        for interface, queue in self._waiting.items():
            if queue and now_ns >= self._allowed_ns[interface]:
                frame = queue.pop(0)
                self._allowed_ns[interface] = now_ns + self._spacing_ns(interface, frame.address.version)
                sent.append(frame)
        return sent

    def drop(self, instance: str) -> None:
        """The instance left MASTER: its waiting frames are dropped."""
        for interface, queue in self._waiting.items():
            self._waiting[interface] = [frame for frame in queue if frame.instance != instance]

    def next_ns(self) -> int:
        """When the next waiting frame may leave."""
        return min(
            (self._allowed_ns[interface] for interface, queue in self._waiting.items() if queue),
            default=NEVER_NS,
        )

    def _spacing_ns(self, interface: str, family: int) -> int:
        for group in self._groups:
            if not group.interfaces or interface in group.interfaces:
                return group.garp_interval_ns if family == 4 else group.gna_interval_ns
        return 0
