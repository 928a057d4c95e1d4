"""Everything there is, for two or three nodes: each loss pattern of the first adverts, each order of faults.

Machines are made punctual (`slop: none`) and segments of constant delay, so that time has a grid. A loss
pattern says of each of the first adverts after the cluster has settled, and of each of its receivers,
whether it arrives. Patterns that lead to a state already seen, with no more harm done until then, go on as
that one did, and are not followed. The orders are those of two faults at one instant, at ten phases of the
advert interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from vrrpsim.measure.seconds import seconds
from vrrpsim.scenario.events import Impairment
from vrrpsim.scenario.flow_yaml import flow_text
from vrrpsim.scenario.model import HostLatency, Scenario, Segment
from vrrpsim.scenario.quantities import SECOND_NS, Distribution, format_duration
from vrrpsim.trace import Level
from vrrpsim.world.frame import Frame
from vrrpsim.world.impairment import ActiveImpairment, PathEnd
from vrrpsim.world.world import World

from .bounds import Bounds, bounds_of
from .fault_schedules import event_yaml, given, in_order, menu_of, timed
from .hunt import run_bounded
from .invariants import BUILT_IN, RunHistory

MOST_NODES = 3
PHASES = 10  # of the advert interval
VERBS = ("kill", "power_off", "pause", "link_down")
AFTER_NS = 2 * SECOND_NS


class TooMany(Exception):
    """The scenario is too large for this."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Worst:
    """The longest of something, and what led to it."""

    length_ns: int = 0
    how: str = ""

    def __str__(self) -> str:
        return f"{format_duration(self.length_ns)}: {self.how}" if self.how else "0 s"


@dataclass(frozen=True, slots=True)
class Exhausted:
    """What was checked and the worst that was seen."""

    adverts: int
    patterns: int  # loss patterns followed to their end
    known: int  # left where they reached a state already seen
    orders: int
    distinct: int  # different histories among the orders
    dual_master: Worst
    vacancy: Worst
    broken: tuple[tuple[str, str], ...]  # (invariant, how), one for each invariant that an order broke

    def to_dict(self) -> dict[str, Any]:
        """Return the document of `--exhaustive --json`."""
        return {
            "found": bool(self.broken),
            "adverts": self.adverts,
            "patterns": self.patterns,
            "known": self.known,
            "orders": self.orders,
            "distinct_orders": self.distinct,
            "dual_master": {"max_s": seconds(self.dual_master.length_ns), "how": self.dual_master.how},
            "vacancy": {"max_s": seconds(self.vacancy.length_ns), "how": self.vacancy.how},
            "broken": dict(self.broken),
        }

    def text(self) -> str:
        """Return the report; the verdict is the last line."""
        lines = [
            f"loss of the first {self.adverts} adverts: {self.patterns} patterns run to their end,"
            f" {self.known} left in a state seen before",
            f"two faults at one instant: {self.orders} orders and phases,"
            f" {self.distinct} different histories",
            f"longest dual-master {self.dual_master}",
            f"longest vacancy {self.vacancy}",
            *(f"broken: {invariant}: {how}" for invariant, how in self.broken),
        ]
        checked = self.patterns + self.known + self.orders
        return "\n".join([*lines, f"{checked} checked, {len(self.broken)} invariants broken"])


def exhaust(
    scenario: Scenario, *, adverts: int = 12, progress: Callable[[int, int], None] | None = None
) -> Exhausted:
    """Check every loss pattern of `adverts` deliveries and every order of two faults at one instant."""
    if len(scenario.nodes) > MOST_NODES:
        raise TooMany(f"--exhaustive is for {MOST_NODES} nodes at most, here are {len(scenario.nodes)}")
    search = _Search(punctual(scenario), adverts, progress)
    search.follow_patterns()
    search.try_orders()
    return Exhausted(
        adverts,
        search.patterns,
        search.known,
        search.orders,
        len(search.digests),
        search.worst["dual_master"],
        search.worst["vacancy"],
        tuple(search.broken.items()),
    )


def punctual(scenario: Scenario) -> Scenario:
    """Take the randomness out: what is left happens on a grid."""

    def steady(segment: Segment) -> Segment:
        return Segment(
            subnet=segment.subnet, second=segment.second, delay=Distribution.fixed(segment.delay.mean_ns)
        )

    return replace(
        scenario,
        segments={name: steady(segment) for name, segment in scenario.segments.items()},
        nodes={name: replace(node, slop=HostLatency("none")) for name, node in scenario.nodes.items()},
        expect=None,
    )


class _Known(Exception):
    """The run has reached a state that was seen before."""


class _Search:
    """What has been seen so far."""

    def __init__(self, scenario: Scenario, adverts: int, progress: Callable[[int, int], None] | None) -> None:
        self.bounds: Bounds = bounds_of(scenario)
        self.given = given(scenario)
        self.scenario, self.adverts, self.progress = scenario, adverts, progress
        self.patterns = self.known = self.orders = 0
        self.digests: set[str] = set()
        self.worst = {"dual_master": Worst(), "vacancy": Worst()}
        self.broken: dict[str, str] = {}
        self.seen: dict[object, list[tuple[int, int]]] = {}

    def follow_patterns(self) -> None:
        """Depth first: a run decides for delivery by itself and leaves each loss to a later run."""
        length_ns = (
            self.bounds.warm_up_ns + self.adverts * self.bounds.interval_ns + self.bounds.settle_ns + AFTER_NS
        )
        scenario = replace(self.scenario, events=self.given, duration_ns=length_ns)
        todo: list[tuple[bool, ...]] = [()]
        while todo:
            prefix = todo.pop()
            world = World(scenario, scenario.seed, Level.STATES, fast_forward=False)
            losses = _ChosenLosses(world, self, prefix)
            try:
                world.run()
            except _Known:
                self.known += 1
            else:
                self.patterns += 1
                history = RunHistory(scenario, world.trace, self.bounds)
                self._note(history, losses.text() or "no loss")
            todo += losses.alternatives
            if self.progress:
                self.progress(self.patterns + self.known, self.patterns + self.known + len(todo))

    def is_known(self, key: object, harm: tuple[int, int]) -> bool:
        """Whether this state was seen with at least as much harm done; remember it."""
        before = self.seen.setdefault(key, [])
        if any(harm[0] <= each[0] and harm[1] <= each[1] for each in before):
            return True
        before.append(harm)
        return False

    def try_orders(self) -> None:
        """Every ordered pair of faults, at each phase of the advert interval."""
        menu = [event for events in menu_of(self.scenario, VERBS).values() for event in events]
        lasts_ns = self.bounds.down_ns + self.bounds.handover_ns
        step_ns = self.bounds.interval_ns // PHASES
        pairs = list(permutations(menu, 2))
        for number, (first, second) in enumerate(pairs):
            for phase in range(PHASES):
                at_ns = self.bounds.warm_up_ns + phase * step_ns
                events = in_order(
                    (*self.given, timed(first, at_ns, lasts_ns), timed(second, at_ns, lasts_ns))
                )
                length_ns = at_ns + lasts_ns + self.bounds.settle_ns + AFTER_NS
                history = run_bounded(
                    replace(self.scenario, events=events, duration_ns=length_ns), self.bounds
                )
                self.orders += 1
                digest = history.trace.digest()
                if digest in self.digests:
                    continue
                self.digests.add(digest)
                how = ", ".join(flow_text(event_yaml(event)) for event in events)
                self._note(history, how)
                for name, check in BUILT_IN.items():
                    if name not in self.broken and check(history):
                        self.broken[name] = how
            if self.progress:
                self.progress(number + 1, len(pairs))

    def _note(self, history: RunHistory, how: str) -> None:
        for owned in history.owned:
            start_ns = history.bounds.warm_up_ns
            for name, spans in (("dual_master", owned.dual_master), ("vacancy", owned.vacancies)):
                length_ns = max((s.length_ns for s in spans if s.start_ns >= start_ns), default=0)
                if length_ns > self.worst[name].length_ns:
                    self.worst[name] = Worst(length_ns, how)


class _ChosenLosses(ActiveImpairment):
    """A loss of adverts on every path that decides of each one, instead of drawing, whether it arrives."""

    def __init__(self, world: World, search: _Search, prefix: tuple[bool, ...]) -> None:
        super().__init__(world.context, "chosen", Impairment(loss=1.0, only=("vrrp",)))
        self.world, self.search, self.prefix = world, search, prefix
        self.decided: list[tuple[bool, int, str, str]] = []  # lost, when, from, to
        self.alternatives: list[tuple[bool, ...]] = []
        for segment in world.segments.values():
            segment.impair(self)

    def strikes(
        self, what: str, chance: float | None, sender: PathEnd, receiver: PathEnd, frame: Frame
    ) -> bool:
        """Decide, once the cluster has settled: as the prefix says, then for delivery, the loss later."""
        settled = self.world.calendar.now_ns >= self.search.bounds.warm_up_ns
        if what != "loss" or not settled or len(self.decided) >= self.search.adverts:
            return False
        number = len(self.decided)
        lost = number < len(self.prefix) and self.prefix[number]
        if number >= len(self.prefix):
            if self.search.is_known((number, sender.name, receiver.name, self._state()), self._harm()):
                raise _Known
            self.alternatives.append((*(each[0] for each in self.decided), True))
        self.decided.append((lost, self.world.calendar.now_ns, sender.name, receiver.name))
        return lost

    def text(self) -> str:
        """Say which adverts were lost."""
        shown = (f"{at_ns / 1e9:.3f} s {a} -> {b}" for lost, at_ns, a, b in self.decided if lost)
        return "adverts lost: " + ", ".join(shown) if any(each[0] for each in self.decided) else ""

    def _harm(self) -> tuple[int, int]:
        """The longest dual-master and vacancy so far; one that goes on counts until now."""
        self.world.trace.end_ns = self.world.calendar.now_ns
        history = RunHistory(self.world.scenario, self.world.trace, self.search.bounds)
        start_ns = history.bounds.warm_up_ns
        two = [s.length_ns for o in history.owned for s in o.dual_master if s.start_ns >= start_ns]
        none = [s.length_ns for o in history.owned for s in o.vacancies if s.start_ns >= start_ns]
        return max(two, default=0), max(none, default=0)

    def _state(self) -> tuple[object, ...]:
        """All that decides the future, with times relative to now."""
        return tuple(self._of_nodes())

    def _of_nodes(self) -> Iterator[object]:
        now_ns = self.world.calendar.now_ns
        for node in self.world.nodes.values():
            yield node.name, node.kernel_runs
            if node.daemon is None:
                continue
            yield node.daemon.life
            for instance in node.daemon.router.instances.values():
                state = instance.state
                yield (
                    state._replace(
                        preempt_at_ns=None if state.preempt_at_ns is None else state.preempt_at_ns - now_ns,
                        delay_until_ns=max(0, state.delay_until_ns - now_ns),
                        rogue_until_ns=max(0, state.rogue_until_ns - now_ns),
                    ),
                    instance.timer.at_ns - now_ns,
                    instance.owns_addresses,
                )
            for script in node.daemon.router.scripts.values():
                yield script.timer.at_ns - now_ns, script.health
