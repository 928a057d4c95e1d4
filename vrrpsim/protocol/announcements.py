"""GA-6: minimum spacing of gratuitous ARPs and unsolicited NAs on an interface.

Without `garp_interval` every frame passes at once. With it the first one passes and the rest wait:
until 2.3.1 one per address (repeats collapse), later all of them, up to the repeat value.
"""

from __future__ import annotations

from collections.abc import Iterable

from .configuration import GarpGroup
from .fsm import NEVER_NS
from .outputs import SendGratuitous


class Pacer:
    """The queue of one daemon. All times are nanoseconds."""

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
