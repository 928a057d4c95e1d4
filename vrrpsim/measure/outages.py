"""What a client saw: reachability, asked at the instants of the client's own requests.

Requests leave every `every_ns` from the start of the run in an open loop. A request is answered if the
target is reachable when it leaves. An outage is a gap between two answered requests longer than the
period: it starts with the first request without an answer and ends with the next answered one, so that
its length is the time between the answered requests minus the period (the `outage_ms` of the ground
truth). The wait for the first answer is no outage; a client that never got one had one from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vrrpsim.trace import Reachability


class Outage(NamedTuple):
    """No answers from `start_ns` until `end_ns`. `ended` is False where only the horizon cut it."""

    start_ns: int
    end_ns: int
    ended: bool

    @property
    def length_ns(self) -> int:
        """How long it was within the run."""
        return self.end_ns - self.start_ns


class ClientView(NamedTuple):
    """One client's run. `answered` and `lost` count requests, those before the first answer included."""

    name: str
    every_ns: int
    outages: tuple[Outage, ...]
    answered: int
    lost: int

    @property
    def longest(self) -> Outage | None:
        """The longest outage, the first of equals."""
        return max(self.outages, key=lambda outage: outage.length_ns, default=None)

    @property
    def longest_ns(self) -> int:
        """Length of the longest outage, 0 without one."""
        return self.longest.length_ns if self.longest else 0


def client_view(name: str, changes: Iterable[Reachability], every_ns: int, end_ns: int) -> ClientView:
    """Measure one client from its changes of reachability, which are in order of time."""
    requests = _ceil(end_ns, every_ns)
    answered = 0
    next_ns: int | None = None  # the request that must be answered for the service not to break
    outages: list[Outage] = []
    for start_ns, stop_ns in _reachable(changes, end_ns):
        first, beyond = _ceil(start_ns, every_ns), min(_ceil(stop_ns, every_ns), requests)
        if first >= beyond:
            continue
        if next_ns is not None and first * every_ns > next_ns:
            outages.append(Outage(next_ns, first * every_ns, True))
        answered += beyond - first
        next_ns = beyond * every_ns
    if next_ns is None:
        next_ns = 0
    if next_ns < end_ns:
        outages.append(Outage(next_ns, end_ns, False))
    return ClientView(name, every_ns, tuple(outages), answered, requests - answered)


def _reachable(changes: Iterable[Reachability], end_ns: int) -> Iterator[tuple[int, int]]:
    since_ns: int | None = None
    for change in changes:
        if change.reachable and since_ns is None:
            since_ns = change.at_ns
        elif not change.reachable and since_ns is not None:
            yield since_ns, change.at_ns
            since_ns = None
    if since_ns is not None:
        yield since_ns, end_ns


def _ceil(at_ns: int, every_ns: int) -> int:
    """Return the number of the first request at or after an instant."""
    return -(-at_ns // every_ns)
