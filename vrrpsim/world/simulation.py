"""One run of a scenario: as one world, or one after the other where its segments share no node.

Parts that share no node cannot meet, so each is a world of its own: small enough for the processor's
caches, with fast-forward of its own, and free to run in another process. Numbers and streams are those of the
whole scenario. Events of one instant are served in the order of their keys, so records are put together by
the keys that the parts' calendars served: the trace is that of one world, record by record.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from heapq import heappop, merge
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

from vrrpsim.scenario.events import Event, Impairment, InjectedAdvert, Partition
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Fault, FaultEnd, Level, Record, Remark, Trace

from .calendar import Calendar, Call
from .context import Whole, whole_of
from .forcing import Forcing
from .world import World

OBJECTS_AT_ONCE: Final = 50_000  # between two looks for garbage
TASKS: Final = 32  # that parts are bundled to where others work
BUILT, STARTED = -2, -1  # instants before the first one of the calendar

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class Kept(NamedTuple):
    """A record with the instant and the key of its call, and the largest key of that instant so far."""

    at_ns: int
    after: int
    key: int
    record: Record


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    level: Level = Level.ADVERTS,
    fast_forward: bool | None = None,
    forcing: Forcing | None = None,
    over: Mapper = map,
) -> Trace:
    """Run a scenario once; the seed is the scenario's own unless given.

    `fast_forward` passes over quiet stretches and gives the same history; of the adverts there only the
    number is recorded. None: do so if the level does not ask for adverts at all.
    `forcing` makes losses of adverts frequent and knows the weight of the run.
    `over` is what maps a function over parts that cannot meet, such as the `map` of a process pool.
    """
    used = scenario.seed if seed is None else seed
    tells_leaps = fast_forward is True and level is not Level.STATES  # as one world does
    parts = [] if forcing is not None or tells_leaps else separate(scenario)
    with _few_collections():
        if len(parts) < 2:
            return World(scenario, used, level, fast_forward, forcing).run()
        whole = whole_of(scenario)
        bundles = [parts] if over is map else [parts[first::TASKS] for first in range(min(TASKS, len(parts)))]
        run = partial(_run_parts, whole, used, level, fast_forward)
        trace = Trace(level)
        trace.records = list(_in_one(list(chain.from_iterable(over(run, bundles)))))
        trace.end_ns = scenario.duration_ns
        return trace


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for garbage rarely: a run makes hardly any before it ends, and then all of it is."""
    usual = gc.get_threshold()
    if usual[0]:
        gc.set_threshold(max(usual[0], OBJECTS_AT_ONCE), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def separate(scenario: Scenario) -> list[Scenario]:
    """Return the parts that share no node; one part where anything could tie them together.

    Clients are looked at whenever anything changes anywhere, a role is asked of all nodes, and what runs
    beside the cluster sees all of it.
    """
    apart = not (scenario.clients or scenario.processes or scenario.age_ns or scenario.cables)
    if not apart or len(scenario.segments) < 2:
        return [scenario]
    leader = {name: name for name in scenario.segments}

    def first(name: str) -> str:
        while leader[name] != name:
            leader[name] = name = leader[leader[name]]
        return name

    for node in scenario.nodes.values():
        mine = [first(interface.segment) for interface in node.interfaces.values()]
        for other in mine[1:]:
            leader[first(other)] = first(mine[0])
    homes = {
        name: first(next(iter(node.interfaces.values())).segment)
        for name, node in scenario.nodes.items()
        if node.interfaces
    }
    events = _at_home(scenario.events, homes, {name: first(name) for name in scenario.segments})
    if events is None or len(homes) < len(scenario.nodes):
        return [scenario]
    segments: dict[str, dict[str, Any]] = {}
    nodes: dict[str, dict[str, Any]] = {}
    for name, segment in scenario.segments.items():
        segments.setdefault(first(name), {})[name] = segment
    for name, node in scenario.nodes.items():
        nodes.setdefault(homes[name], {})[name] = node
    return [
        replace(
            scenario, segments=segments[home], nodes=nodes.get(home, {}), events=tuple(events.get(home, ()))
        )
        for home in segments
    ]


def _at_home(
    events: Sequence[Event], nodes: Mapping[str, str], segments: Mapping[str, str]
) -> dict[str, list[Event]] | None:
    """Return the events by part; None: one of them is of no single part."""
    found: dict[str, list[Event]] = {}
    by_name: dict[str, str] = {}
    for event in events:
        what, target = event.parameters, event.target
        apart = isinstance(what, Partition | InjectedAdvert)
        apart |= isinstance(what, Impairment) and bool(what.senders or what.receivers)
        home = None
        if target is not None and not apart:
            home = nodes.get(target.node or "") or segments.get(target.segment or "")
        if home is None:
            return None
        by_name[event.name] = home
        found.setdefault(home, []).append(event)
    if any(event.at.after is not None and by_name[event.at.after] != by_name[event.name] for event in events):
        return None
    return found


class KeyedCalendar(Calendar):
    """A calendar that notes with which key records came."""

    def __init__(self, records: list[Record]) -> None:
        super().__init__()
        self.records = records
        self.keys: list[tuple[int, int, int]] = []

    def run(self, until: Any = None) -> Any:
        """Serve everything before an instant."""
        records, keys, agenda = self.records, self.keys, self.agenda
        queue = agenda.calls
        agenda.end_ns = until
        after = -1
        while queue and queue[0][0] < until:
            at_ns, key, _, event = heappop(queue)
            after = key if at_ns != agenda.now_ns or key > after else after
            agenda.now_ns = at_ns
            assert type(event) is Call
            event.callbacks = None
            if event.function is not None:
                event.function(*event.arguments)
            while len(keys) < len(records):
                keys.append((at_ns, after, key))
        agenda.now_ns = max(until, agenda.now_ns)


def _run_parts(
    whole: Whole, seed: int, level: Level, fast_forward: bool | None, parts: Sequence[Scenario]
) -> list[list[Kept]]:
    return [_run_part(whole, seed, level, fast_forward, part) for part in parts]


def _run_part(whole: Whole, seed: int, level: Level, fast_forward: bool | None, part: Scenario) -> list[Kept]:
    trace = Trace(level)
    calendar = KeyedCalendar(trace.records)
    world = World(part, seed, level, fast_forward, whole=whole, calendar=calendar, trace=trace)
    calendar.keys += (_early(BUILT, record, whole) for record in trace.records)
    world.start()
    calendar.keys += (_early(STARTED, record, whole) for record in trace.records[len(calendar.keys) :])
    world.go()
    return [Kept(*key, record) for key, record in zip(calendar.keys, trace.records, strict=True)]


def _early(phase: int, record: Record, whole: Whole) -> tuple[int, int, int]:
    """The place of a record from before the calendar runs: node by node."""
    rank = whole.nodes.get(getattr(record, "node", ""), 0)
    return phase, rank, rank


def _in_one(parts: Sequence[Sequence[Kept]]) -> Iterator[Record]:
    """Put the records of all parts in the order of one world."""
    remarks: set[str] = set()
    numbers: dict[tuple[int, int], int] = {}
    tagged = (zip(each, repeat(part)) for part, each in enumerate(parts))
    for kept, part in merge(*tagged, key=_place):
        record = kept.record
        if isinstance(record, Remark):
            if record.text in remarks:
                continue
            remarks.add(record.text)
        elif isinstance(record, Fault):
            number = numbers[part, record.number] = len(numbers)
            record = record._replace(number=number)
        elif isinstance(record, FaultEnd):
            record = record._replace(number=numbers[part, record.number])
        yield record


def _place(tagged: tuple[Kept, int]) -> tuple[int, int, int]:
    return tagged[0][:3]
