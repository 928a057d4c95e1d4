"""Fast-forward: a stretch in which every advert only postpones deadlines is passed by arithmetic (DESIGN §4).

Quiet means that no Master does more than repeat its adverts, that whoever hears one only moves its
deadline, and that nothing else is planned. Then nothing can happen before a Backup misses so many adverts
in a row that it gives up, so the run goes on just before those: counters, deadlines and numbers of frames
are what they would be event by event, and so is the digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from vrrpsim.protocol.instances import Instance
from vrrpsim.scenario.random_streams import Gaps
from vrrpsim.trace import FastForwarded, Level, Life

from .calendar import Call
from .client import Client
from .context import Context, FastForwards
from .daemon import Daemon
from .frame import VrrpFrame
from .node import Node
from .output_queue import Prepared
from .port import Port

FRAMES_AT_ONCE: Final = 1_000_000  # of one stream: bounds the memory of a leap
WORTHWHILE: Final = 3  # fewer adverts of each stream are faster event by event
LONGEST_WAIT_NS: Final = 8_000_000_000


class Path:
    """One receiver of a stream. `gaps`: which frames are lost (None: none), `cut`: all of them are.

    `listener`: whose deadline each frame postpones; None: it means nothing there. `late_ns`: how late that
    deadline is served.
    """

    __slots__ = ("cut", "first", "gaps", "late_ns", "listener", "other")

    def __init__(
        self, gaps: Gaps | None, cut: bool, listener: Instance | None = None, late_ns: int = 0
    ) -> None:
        self.gaps, self.cut = gaps, cut
        self.listener, self.late_ns = listener, late_ns
        self.first = 0  # so many frames may be lost from now on before the listener gives up
        self.other = 0  # and so many later


class Stream(NamedTuple):
    """An advert that a Master repeats to one destination, `period_ns` apart, next at `next_ns`."""

    instance: Instance
    port: Port
    frame: VrrpFrame
    next_ns: int
    period_ns: int
    slowest_ns: int  # delay
    paths: list[Path]
    leads: bool  # the first of its advert's destinations

    def frames_before(self, until_ns: int) -> int:
        """How many of its frames have arrived before an instant, at the latest."""
        return max(0, -((self.next_ns + self.slowest_ns - until_ns) // self.period_ns))


class FastForward(FastForwards):
    """Looks for quiet stretches of one world and leaps over them."""

    def __init__(self, context: Context, nodes: Mapping[str, Node], clients: Mapping[str, Client]) -> None:
        self.context = context
        self.nodes = nodes
        self.clients = clients
        self.ageing_until_ns = 0  # until then neighbours are taken to answer whenever they are asked
        self.not_before_ns = 0  # looking costs as much as some adverts: not too often in vain
        self._wait_ns = 0

    def leap(self) -> bool:
        """Pass over the quiet stretch that begins now; False: there is none worth it."""
        now_ns = self.context.agenda.now_ns
        streams = self._quiet_streams()
        frames = self._lengths(*streams) if streams is not None else []
        if sum(frames) < WORTHWHILE * len(frames) or not frames:
            self._wait_ns = min(2 * self._wait_ns + 1_000_000_000, LONGEST_WAIT_NS)
            self.not_before_ns = now_ns + self._wait_ns
            return False
        assert streams is not None
        self._wait_ns = 0
        self.not_before_ns = now_ns
        lost = sum(_pass_over(stream, count) for stream, count in zip(streams[0], frames, strict=True))
        if now_ns < self.ageing_until_ns:
            for stream, count in zip(streams[0], frames, strict=True):
                if not stream.frame.multicast:
                    last_ns = stream.next_ns + (count - 1) * stream.period_ns
                    stream.port.cache.answered(stream.frame.datagram.destination, last_ns)
        for node in self.nodes.values():
            if node.daemon is not None:
                node.daemon.wakeups.rearm()
        if self.context.trace.level >= Level.ADVERTS:
            self._note(now_ns, sum(frames), lost)
        return True

    def _quiet_streams(self) -> tuple[list[Stream], int] | None:
        """Everything that is sent, and until when nothing else happens; None if more is going on."""
        daemons = [node.daemon for node in self.nodes.values() if node.daemon is not None]
        for daemon in daemons:
            if not daemon.is_idle:
                return None
        now_ns = self.context.agenda.now_ns
        until_ns = self.context.agenda.next_ns(
            {*(each.wakeups.call for each in daemons), *self._bystanders()}
        )
        intervals_ns = (each.advert_int_ns for daemon in daemons for each in daemon.config.instances)
        if until_ns - now_ns <= (WORTHWHILE - 1) * min(intervals_ns, default=0):
            return None  # too few adverts, whoever sends them
        ageing = now_ns < self.ageing_until_ns
        if ageing:
            until_ns = min(until_ns, self.ageing_until_ns)
        streams: list[Stream] = []
        heard: dict[int, Instance] = {}
        for daemon in daemons:
            if daemon.life is not Life.RUNNING:
                continue
            rhythm = daemon.router.rhythm()
            if rhythm is None:
                return None
            for instance, adverts in rhythm:
                for position, advert in enumerate(adverts):
                    sent = daemon.outputs.prepared(advert)
                    stream = _stream(daemon, instance, sent, position == 0) if sent else None
                    if stream is None:
                        return None
                    streams.append(stream)
                    frame, neighbours = stream.frame, stream.port.cache
                    peer = frame.datagram.destination
                    if not frame.multicast and not (ageing and neighbours.knows(peer, frame)):
                        until_ns = min(until_ns, neighbours.steady_until_ns(peer, frame))
                    for path in stream.paths:
                        if path.listener is not None and not path.cut:
                            if id(path.listener) in heard:
                                return None
                            heard[id(path.listener)] = path.listener
        moved = {stream.instance.timer for stream in streams}
        moved |= {instance.timer for instance in heard.values()}
        for daemon in daemons:
            if daemon.life is Life.RUNNING:
                until_ns = min(until_ns, daemon.router.exact_deadline_ns(moved) + daemon.wakeups.drift_ns)
        return streams, until_ns

    def _bystanders(self) -> Iterator[Call | None]:
        """What clients will notice by chance changes nothing for anybody else."""
        return (client.next_loss.call for client in self.clients.values())

    def _lengths(self, streams: list[Stream], until_ns: int) -> list[int]:
        """How many frames of each stream pass before anything else happens."""
        for stream in streams:
            until_ns = min(until_ns, stream.next_ns + FRAMES_AT_ONCE * stream.period_ns)
            for path in stream.paths:
                if path.gaps is not None and path.listener is not None:
                    limit = stream.frames_before(until_ns)
                    quiet = path.gaps.first_run(path.first, path.other, limit)
                    if quiet < limit:
                        until_ns = stream.next_ns + quiet * stream.period_ns
        return [stream.frames_before(until_ns) for stream in streams]

    def _note(self, now_ns: int, adverts: int, lost: int) -> None:
        records = self.context.trace.records
        if records and isinstance(records[-1], FastForwarded):
            before = records.pop()
            assert isinstance(before, FastForwarded)
            now_ns, adverts, lost = before.at_ns, adverts + before.adverts, lost + before.frames_lost
        self.context.trace.add(FastForwarded(now_ns, adverts, lost))


def _stream(daemon: Daemon, instance: Instance, sent: Prepared, leads: bool) -> Stream | None:
    """The stream that an advert is part of; None if something about it is special."""
    port, frame = sent.port, sent.frame
    assert isinstance(frame, VrrpFrame)
    segment = port.segment
    if (
        not port.carrier
        or not segment.one_hop
        or segment.taps
        or segment.mac_table.get(frame.src_mac) is not port
    ):
        return None
    period_ns = instance.config.advert_int_ns + daemon.wakeups.drift_ns
    next_ns = instance.timer.at_ns + daemon.wakeups.drift_ns
    fastest_ns, slowest_ns = segment.delay_bounds_ns
    paths = []
    for receiver in segment.receivers(port, frame):
        path = _path(port, receiver, frame)
        if path is None:
            return None
        if path.listener is not None:
            gives_up_ns = path.listener.timer.at_ns + path.late_ns
            patience_ns = path.listener.memo_delay_ns + path.late_ns
            path.first = (gives_up_ns - next_ns - slowest_ns) // period_ns
            path.other = (patience_ns - (slowest_ns - fastest_ns)) // period_ns - 1
            if path.first < 0 or path.other < 0:
                return None
        paths.append(path)
    return Stream(instance, port, frame, next_ns, period_ns, slowest_ns, paths, leads)


def _path(sender: Port, receiver: Port, frame: VrrpFrame) -> Path | None:
    """What happens to each frame between two ports."""
    segment = sender.segment
    if segment.blocked.get((sender.name, receiver.name)):
        return Path(None, True)
    effects = segment.effects_on(sender, receiver, frame.kinds)
    if len(effects) > 1 or not all(effect.only_loses for effect in effects):
        return None
    chance = effects[0].impairment.loss if effects else None
    gaps = effects[0].gaps("loss", chance, sender, receiver, frame) if chance else None
    if not receiver.carrier or not receiver.owner.kernel_runs:
        return Path(gaps, True)
    node = receiver.owner
    daemon = node.daemon if isinstance(node, Node) and receiver.hears(frame) else None
    if daemon is None or daemon.life not in (Life.RUNNING, Life.FROZEN):
        return Path(gaps, False)
    listener = daemon.postponed(receiver, frame)
    if isinstance(listener, bool):
        return None if listener else Path(gaps, False)
    return Path(gaps, False, listener, daemon.wakeups.drift_ns)


def _pass_over(stream: Stream, frames: int) -> int:
    """Count off the next frames of a stream as sent and heard; how many were lost."""
    segment = stream.port.segment
    number = segment.pass_over(stream.port, stream.frame, frames)
    own = stream.instance
    if stream.leads:
        own.advertise_again(frames, own.timer.at_ns + frames * stream.period_ns)
    all_lost = 0
    for path in stream.paths:
        lost, last = path.gaps.pass_over(frames) if path.gaps is not None else (0, frames - 1)
        all_lost += frames if path.cut else lost
        if path.listener is not None and last is not None and last >= 0:
            sent_ns = stream.next_ns + last * stream.period_ns
            heard_ns = sent_ns + segment.delay_ns(stream.port, stream.frame, number + last)
            path.listener.hear_again(heard_ns, frames - lost)
    return all_lost
