"""Many deadlines, one wake-up: a heap that is corrected only when it comes up.

Moving a deadline later is one assignment; the old heap entry finds out when it is popped. So a Backup
that hears an advert every second touches the heap once per Master_Down_Interval.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from heapq import heappop, heappush, heapreplace

from .fsm import NEVER_NS


class Timer:
    """One deadline (`at_ns`) and what is due then; `rank` orders equal instants."""

    __slots__ = ("at_ns", "fire", "queued_ns", "rank")

    def __init__(self, rank: int, fire: Callable[[int], None]) -> None:
        self.rank = rank
        self.fire = fire
        self.at_ns = NEVER_NS
        self.queued_ns = NEVER_NS  # the earliest live heap entry for this timer


class TimerQueue:
    """The timers of one daemon; equal instants are served in the order of creation."""

    __slots__ = ("_heap", "_ranks")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._ranks = 0

    def timer(self, fire: Callable[[int], None]) -> Timer:
        """A new timer, not armed."""
        self._ranks += 1
        return Timer(self._ranks, fire)

    def arm(self, timer: Timer, at_ns: int) -> None:
        """Set or move the deadline; `NEVER_NS` disarms."""
        timer.at_ns = at_ns
        if at_ns < timer.queued_ns:
            timer.queued_ns = at_ns
            heappush(self._heap, (at_ns, timer.rank, timer))

    def wake_ns(self) -> int:
        """When to look again: never later than the earliest deadline, sometimes earlier."""
        return self._heap[0][0] if self._heap else NEVER_NS

    def exact_wake_ns(self) -> int:
        """The earliest deadline itself, whatever entries are left of timers that moved."""
        heap = self._heap
        while heap:
            queued_ns, rank, timer = heap[0]
            if queued_ns != timer.queued_ns:
                heappop(heap)
            elif timer.at_ns > queued_ns:
                self._requeue(timer, rank)
            else:
                return queued_ns
        return NEVER_NS

    def earliest_ns(self, besides: Container[Timer]) -> int:
        """The earliest deadline of all other timers."""
        return min((timer.at_ns for _, _, timer in self._heap if timer not in besides), default=NEVER_NS)

    def serve(self, due_ns: int, now_ns: int) -> None:
        """Fire the timers whose deadlines are no later than `due_ns`, earliest first, each disarmed."""
        heap = self._heap
        while heap and heap[0][0] <= due_ns:
            queued_ns, rank, timer = heap[0]
            if queued_ns != timer.queued_ns:  # superseded by an earlier entry that has been served
                heappop(heap)
            elif timer.at_ns > queued_ns:
                self._requeue(timer, rank)
            else:
                heappop(heap)
                timer.at_ns = timer.queued_ns = NEVER_NS
                timer.fire(now_ns)

    def _requeue(self, timer: Timer, rank: int) -> None:
        if timer.at_ns >= NEVER_NS:
            heappop(self._heap)
            timer.queued_ns = NEVER_NS
        else:
            timer.queued_ns = timer.at_ns
            heapreplace(self._heap, (timer.at_ns, rank, timer))
