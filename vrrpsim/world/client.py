"""A client: an open loop of requests to one address, seen through its own neighbour cache.

Reachability changes only when something in the world changes, so it is computed then and not per request
(DESIGN §6). Only while a path loses a part of its frames does each request take its own chance.
"""

from __future__ import annotations

from vrrpsim.protocol.configuration import Address
from vrrpsim.scenario.model import Client as ClientModel
from vrrpsim.scenario.random_streams import geometric
from vrrpsim.trace import Reachability

from . import latencies
from .calendar import Alarm, Kind
from .context import Context
from .frame import VrrpFrame
from .neighbours import Entry
from .port import Port, PortUser
from .segment import Segment
from .ways import Way, answer_back, follow, through


class Client(PortUser):
    """One client of the scenario."""

    def __init__(
        self,
        context: Context,
        segment: Segment[Port],
        name: str,
        rank: int,
        model: ClientModel,
        address: Address,
    ) -> None:
        self.context = context
        context.observers.append(self.evaluate)
        self.name = name
        self.rank = rank
        self.model = model
        self.address = address
        mac = bytes((2, 0, 1, 0, rank >> 8 & 0xFF, rank & 0xFF))
        self.port = Port(context, segment, name, rank, mac, self, model.neighbours)
        self.port.local[address] = mac
        self.target, self.target_port = model.target
        self.reachable = False
        self._recorded = (False, "", "", "", "")  # the first reason is worth a record
        agenda = context.agenda
        self._doubt = Alarm(agenda, Kind.CLIENT, rank)
        self.next_loss = Alarm(agenda, Kind.CLIENT, rank)  # requests will have another fate, by chance
        self._way = Way(None, "not looked at yet")
        self._share = 1.0  # of requests that get through
        self._answering = True  # they do so far
        self.watched = True  # False: nobody will ask what became of single requests
        self._lost_ns = 0  # since when requests are not answered
        self._settled = Alarm(agenda, Kind.CLIENT, rank)  # the first answer is on its way
        self._answers = context.streams.draws(f"answers/{name}")
        self._chance = context.streams.draws(f"client/{name}")

    @property
    def answered_by(self) -> str | None:
        """The node that answers a request sent now, None if nobody does."""
        reachable, node, *_ = self._recorded
        return node if reachable else None

    def hear_vrrp(self, port: Port, frame: VrrpFrame) -> None:
        """Clients do not care."""

    def neighbour_moved(self, port: Port, entry: Entry) -> None:
        """The address is at another MAC now, or at none."""
        self.context.reconsider()

    def light(self, port: Port, up: bool) -> None:
        """Its cable has a carrier, or no longer: then the kernel forgets its neighbours."""
        port.carrier = up
        if not up:
            port.cache.clear()
        port.segment.link_changed(port, up)

    def evaluate(self) -> None:
        """Record whether a request sent now is answered, by whom, and if not, why not."""
        cache = self.port.cache
        entry = cache.entry(self.model.asks)
        was_reachable = self.reachable
        if was_reachable:  # answers came up to this instant
            entry.confirmed_ns = self._now_ns
        mac = cache.use(entry, self.address)
        if self.model.via is None:
            way = follow(self.port, mac, self.target, self.target_port)
        else:
            way = through(self.port, mac, self.address, self.target, self.target_port)
        self._way = way
        if way.answered and not was_reachable and self._first_answer_is_late():
            self._record(False, way._replace(reason="the first answer takes its time", cause="first answer"))
            return
        self.reachable = way.answered
        if was_reachable and not way.answered:
            self._lost_ns = self._now_ns
        self._settled.cancel()
        self._record_fate(way)
        if way.node is not None and way.answered:
            cache.confirm(entry)
            self._doubt.cancel()
            answer_back(way.node, self.model.asks, self.port, self.address)
        elif (until_ns := cache.believed_until_ns(entry)) is not None and not self._doubt.pending:
            self._doubt.set(until_ns - self._now_ns, self.evaluate)

    def _first_answer_is_late(self) -> bool:
        """After requests failed, the first answer takes longer than the path explains (groundtruth)."""
        if self._settled.call is not None:
            return self._settled.pending
        every_ns = self.model.every_ns
        if self._request_before(self._now_ns, every_ns) < self._lost_ns:
            return False  # no request fell into the gap
        self._settled.set(self._answers.ns(latencies.FIRST_ANSWER), self.context.reconsider)
        return True

    def _record(self, reachable: bool, way: Way) -> None:
        told = (reachable, way.node.name if way.node else "", way.reason, way.cause, way.at)
        if told != self._recorded:
            self._recorded = told
            self.context.trace.add(Reachability(self._now_ns, self.name, *told))

    # --- while a path loses some frames

    def _record_fate(self, way: Way) -> None:
        """What becomes of requests; of those that may get lost, until one has another fate."""
        share = way.share if way.answered else 1.0
        if share != self._share:
            self._share, self._answering = share, True
            self.next_loss.cancel()
        if share < 1.0 and self.watched and not self.next_loss.pending:
            every_ns = self.model.every_ns
            alike = geometric(self._chance.fraction(), 1.0 - share if self._answering else share)
            at_ns = self._request_before(self._now_ns + 1, every_ns) + alike * every_ns
            self.next_loss.set(at_ns - self._now_ns, self._request)
        if way.node is not None and not self._answering:
            reason = f"a frame to or from {way.node.name} was lost"
            self._record(False, way._replace(reason=reason, cause="loss", at=way.node.name))
        else:
            self._record(way.answered, way)

    def watch(self) -> None:
        """From now on it matters what becomes of its requests."""
        self.watched = True
        self._record_fate(self._way)

    def _request(self) -> None:
        self._answering = not self._answering
        self._record_fate(self._way)

    def _request_before(self, at_ns: int, every_ns: int) -> int:
        """When the last request before an instant left: they are counted from where the run begins."""
        origin_ns = self.context.origin_ns
        return origin_ns + (at_ns - 1 - origin_ns) // every_ns * every_ns

    @property
    def _now_ns(self) -> int:
        return self.context.agenda.now_ns
