"""The adversary: looks for a schedule of faults that breaks an invariant, and makes it as small as it can.

One run is: let the cluster settle, faults, undo them all, let it settle again, check. Hypothesis draws the
schedules, steers towards damage and shrinks. The search depends on the seed alone: the generator is fresh
for each round, every setting is given, and Hypothesis may not pick constants from the code around it. Each
invariant is hunted until the budget of schedules is spent; what was found leaves the search.
"""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from shlex import join
from typing import Any

from vrrpsim import __version__
from vrrpsim.atomic_write import write_whole
from vrrpsim.findings import InputError
from vrrpsim.measure import Result, measure
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import SECOND_NS
from vrrpsim.trace import Level, TooManyRecords
from vrrpsim.world.world import World

from . import counterexample_file
from .bounds import Bounds, bounds_of
from .fault_schedules import (
    KINDS,
    Schedule,
    given,
    in_order,
    is_given,
    kind_of,
    menu_of,
    schedules,
)
from .hunt_result import Counterexample, Coverage, HuntResult
from .invariants import (
    BUILT_IN,
    TAIL_NS,
    Invariant,
    RunHistory,
    Violation,
    damage,
    outage_below,
    user_invariants,
)
from .narrative import tell

GRID_NS = 100_000_000
RECORDS = 1_000  # that any run may write within a second
GARBAGE = 100_000  # objects, some 10 MB


class _Spent(KeyboardInterrupt):
    """The time is over: leaves Hypothesis as Ctrl-C does."""


def hunt(
    scenario: Scenario,
    *,
    seed: int | None = None,
    max_examples: int = 1000,
    max_time_s: float | None = None,
    kinds: Sequence[str] = KINDS,
    invariants: Sequence[str | Invariant] = (),
    outage_ns: int | None = None,
    write: bool = True,
    overrides: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> HuntResult:
    """Look for schedules of faults that break an invariant; write what is found beside the scenario.

    `invariants` are further ones, functions or `package.module:function`. With `max_time_s` the
    outcome depends on the machine. `progress` is told the schedules tried and of how many. Ctrl-C
    returns what is known.
    """
    wanted = user_invariants(invariants) | BUILT_IN
    if outage_ns is not None:
        wanted["outage"] = outage_below(outage_ns)
    used = scenario.seed if seed is None else seed
    hunter = _Hunter(replace(scenario, seed=used), wanted, tuple(kinds), max_examples, max_time_s, progress)
    hunter.command = _command(scenario, used, max_examples, kinds, invariants, outage_ns)
    ended = ""
    try:
        with _seldom_collecting(), _noting_interrupts() as hunter.interrupts:
            hunter.search()
            ended = "interrupted" if hunter.interrupts else ""
    except _Spent:
        ended = "time"
    except KeyboardInterrupt:
        ended = "interrupted"
    return hunter.outcome(ended, overrides or {}, write)


class _Hunter:
    """One hunt: what is looked for, what was seen."""

    command = ""
    interrupts: Sequence[int] = ()  # signals to stop for

    def __init__(
        self,
        scenario: Scenario,
        wanted: Mapping[str, Invariant],
        kinds: Sequence[str],
        budget: int,
        max_time_s: float | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.scenario, self.wanted, self.budget, self.progress = scenario, wanted, budget, progress
        self.bounds = bounds_of(scenario)
        self.given = given(scenario)
        self.menu = menu_of(scenario, kinds)
        self.until_s = None if max_time_s is None else time.monotonic() + max_time_s
        self.examples = 0
        self.simulated_ns = 0
        self.coverage = Coverage()
        self.seen: dict[Schedule, tuple[dict[str, Violation], dict[str, float]]] = {}
        self.found: dict[str, tuple[Schedule, int, int, Path | None]] = {}
        self.healed: list[Path] = []
        self._best: tuple[str, Schedule, int, int] | None = None  # while it is being shrunk

    # --- the search

    def search(self) -> None:
        """Without faults, then what earlier hunts found, then rounds of Hypothesis."""
        for invariant in self.look(())[0]:
            self.found[invariant] = ((), 0, 0, None)
        if self.found or not self.menu:
            return  # every schedule would show the same
        self.replay()
        number = 0
        while self.examples < self.budget and set(self.wanted) - set(self.found):
            if not self.round(number) or "bounded-adverts" in self.found:
                break  # in a storm every other finding would be about the storm
            number += 1

    def replay(self) -> None:
        """Try the schedules of files beside the scenario on the scenario as it is now."""
        for path in counterexample_file.found_beside(self.scenario):
            try:
                loaded = load_scenario(path)
            except InputError:
                continue
            events = in_order(event for event in loaded.events if not is_given(loaded, event))
            violated = self.look(events)[0]
            for invariant in violated:
                self.found.setdefault(invariant, (events, 0, len(events), path))
            if not violated:
                self.healed.append(path)

    def round(self, number: int) -> bool:
        """Search until one more invariant is broken and shrunk; False: nothing was found."""
        from hypothesis import HealthCheck, Phase, Verbosity, find, settings, target
        from hypothesis.errors import NoSuchExample

        self._best = None

        def broken(schedule: Schedule) -> bool:
            violated, harm = self.look(schedule)
            for label, value in harm.items():
                target(value, label=label)
            if self._best is None:
                self.examples += 1
                if self.progress:
                    self.progress(self.examples, self.budget)
                fresh = [invariant for invariant in violated if invariant not in self.found]
                if not fresh:
                    return False
                self._best = (fresh[0], schedule, self.examples, len(schedule))
                return True
            invariant, best, tried, size = self._best
            if invariant in violated and (len(schedule), repr(schedule)) < (len(best), repr(best)):
                self._best = (invariant, schedule, tried, size)
            return invariant in violated

        everything = settings(
            max_examples=self.budget - self.examples,
            derandomize=False,
            database=None,
            verbosity=Verbosity.quiet,
            phases=(Phase.generate, Phase.target, Phase.shrink),
            stateful_step_count=1,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            deadline=None,
            print_blob=False,
            backend="hypothesis",
        )
        try:
            with _without_local_constants():
                shrunk = find(
                    schedules(self.menu, self.bounds),
                    broken,
                    settings=everything,
                    random=Random(self.scenario.seed * 1_000_003 + number),
                )
        except NoSuchExample:
            return False
        assert self._best is not None
        invariant, _, tried, size = self._best
        self._best = None
        events = self._needed(shrunk, invariant)
        for each in self.look(events)[0]:  # what it breaks besides has most likely the same cause
            self.found.setdefault(each, (events, tried, size, None))
        return True

    def _needed(self, events: Schedule, invariant: str) -> Schedule:
        """Leave out each event that is not needed, one by one."""
        for event in events:
            fewer = in_order(each for each in events if each is not event)
            if invariant in self.look(fewer)[0]:
                return self._needed(fewer, invariant)
        return events

    # --- runs

    def look(self, events: Schedule) -> tuple[dict[str, Violation], dict[str, float]]:
        """Run a schedule; return what it violates by invariant, the gravest first, and the damage."""
        if self.interrupts:
            raise KeyboardInterrupt
        if events not in self.seen:
            if self.until_s is not None and time.monotonic() > self.until_s:
                raise _Spent
            history = self.run(events)
            violated = {
                name: violation for name, check in self.wanted.items() if (violation := check(history))
            }
            self.seen[events] = violated, damage(history)
            self.simulated_ns += history.trace.end_ns
            self.coverage.add(history.scenario, history.trace.records)
        return self.seen[events]

    def run(self, events: Schedule) -> RunHistory:
        """Run a schedule."""
        return play(self.scenario, in_order((*self.given, *events)), self.bounds)

    # --- what came of it

    def outcome(self, ended: str, overrides: Mapping[str, str], write: bool) -> HuntResult:
        """Tell and write what was found."""
        if self._best is not None:  # interrupted while shrinking
            invariant, best, tried, size = self._best
            self.found.setdefault(invariant, (best, tried, size, None))
        self.until_s, self.interrupts = None, ()
        findings = self._findings()
        if write:
            findings = [self._written(finding, overrides) for finding in findings]
        return HuntResult(
            scenario=self.scenario,
            seed=self.scenario.seed,
            invariants=tuple(self.wanted),
            kinds=tuple(self.menu),
            examples=self.examples,
            distinct=len(self.seen),
            simulated_ns=self.simulated_ns,
            findings=tuple(findings),
            healed=tuple(self.healed),
            coverage=self.coverage,
            ended=ended,
        )

    def _findings(self) -> list[Counterexample]:
        """One for each schedule, the gravest first; that VRRP does not survive a one-way cut is the least."""
        by_events: dict[Schedule, list[str]] = {}
        for invariant in self.wanted:
            if invariant in self.found:
                by_events.setdefault(self.found[invariant][0], []).append(invariant)
        findings = [
            replace(self._finding(names[0], *self.found[names[0]]), also=tuple(names[1:]))
            for names in by_events.values()
        ]
        return sorted(findings, key=lambda each: [kind_of(event) for event in each.events] == ["one_way"])

    def _finding(
        self, invariant: str, events: Schedule, tried: int, size: int, replayed: Path | None
    ) -> Counterexample:
        history = self.run(events)
        violation = self.look(events)[0][invariant]
        scenario = history.scenario
        if history.stormed:
            scenario = replace(scenario, duration_ns=-(-history.trace.end_ns // GRID_NS) * GRID_NS)
        return Counterexample(
            violation, events, scenario, tell(history, violation), tried, size, replayed=replayed
        )

    def _written(self, finding: Counterexample, overrides: Mapping[str, str]) -> Counterexample:
        """Write the file that fails by itself, and see that it does."""
        if self.scenario.path is None or finding.replayed:
            return replace(finding, path=finding.replayed)
        path = counterexample_file.path_for(self.scenario.path, finding.violation, finding.events)
        header = [
            f"Found by vrrpsim {__version__}, seed {finding.scenario.seed}: {self.command}",
            f"This file fails alone: vrrpsim run {path}",
            *finding.story,
        ]
        measured = _measured(measure(finding.scenario, run_bounded(finding.scenario, self.bounds).trace))
        quiet = _measured(self.run(()).result)
        for expect in (*counterexample_file.candidates(finding.violation, measured, quiet), {}):
            text = counterexample_file.as_text(
                finding.scenario, overrides, path.stem, finding.violation, expect, header
            )
            write_whole(path, text.encode())
            loaded = load_scenario(path)
            if not counterexample_file.same_run(loaded, finding.scenario):
                raise RuntimeError(f"{path} does not say what ran")
            if measure(loaded, run_bounded(loaded, self.bounds).trace).verdict == "fail":
                return replace(finding, path=path)
        return replace(finding, path=path, alone=False)


def play(scenario: Scenario, events: Schedule, bounds: Bounds) -> RunHistory:
    """Run a scenario with these events for as long as its faults and the time to settle ask for."""
    healed_ns = max([bounds.warm_up_ns, *map(_until_ns, events)])
    length_ns = healed_ns + bounds.settle_ns + TAIL_NS
    duration_ns = -(-length_ns // GRID_NS) * GRID_NS
    return run_bounded(replace(scenario, events=events, expect=None, duration_ns=duration_ns), bounds)


def run_bounded(scenario: Scenario, bounds: Bounds) -> RunHistory:
    """Run a scenario until its end, or until it writes more than any sane run."""
    world = World(scenario, scenario.seed, Level.ADVERTS, fast_forward=True)
    world.trace.limit = _busiest(scenario)
    try:
        world.run()
    except TooManyRecords:
        world.trace.end_ns = world.calendar.now_ns
        return RunHistory(scenario, world.trace, bounds, stormed=True)
    return RunHistory(scenario, world.trace, bounds)


def _busiest(scenario: Scenario) -> int:
    """Records in a second that are still sane: a backlog of adverts answered, addresses announced."""
    instances = [
        i for node in scenario.nodes.values() if node.keepalived for i in node.keepalived.config.instances
    ]
    addresses = sum(len(instance.addresses) + len(instance.excluded) for instance in instances)
    adverts = sum(
        max(1, len(instance.unicast_peers)) * (1 + SECOND_NS // max(instance.advert_int_ns, 1_000_000))
        for instance in instances
    )
    return RECORDS + 100 * addresses + 30 * len(scenario.nodes) * adverts


def _until_ns(event: Any) -> int:
    lasts = event.lasts.high_ns or 0 if event.lasts else 0
    return int((event.at.plus.high_ns or event.at.plus.mean_ns) + lasts)


def _measured(result: Result) -> dict[str, int]:
    return {
        "outage": max((view.longest_ns for view in result.clients.values()), default=0),
        "vacancy": max((owned.vacancy_ns for owned in result.ownerships), default=0),
        "dual_master": max((owned.dual_master_ns for owned in result.ownerships), default=0),
        "moves": max((owned.moves for owned in result.ownerships), default=0),
    }


def _command(
    scenario: Scenario,
    seed: int,
    max_examples: int,
    kinds: Sequence[str],
    invariants: Sequence[str | Invariant],
    outage_ns: int | None,
) -> str:
    """Return the command line of this hunt."""
    words = ["vrrpsim", "hunt", str(scenario.path or scenario.name), "--seed", str(seed)]
    words += ["--max-examples", str(max_examples)]
    if tuple(kinds) != KINDS:
        words += ["--faults", ",".join(kinds)]
    for each in invariants:
        words += ["--invariant", each if isinstance(each, str) else f"{each.__module__}:{each.__name__}"]
    if outage_ns is not None:
        words += ["--outage", f"{outage_ns / 1e9:g}s"]
    return join(words)


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Let Python look for garbage cycles once in some twenty worlds; Hypothesis keeps much that is none.

    Otherwise a sixth of a hunt goes into looking through what Hypothesis knows, again and again.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(GARBAGE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _noting_interrupts() -> Iterator[list[int]]:
    """Note Ctrl-C, for the next schedule to stop at; a second one raises at once.

    Raised anywhere it can get lost: Hypothesis has Python call it when garbage is collected.
    """
    noted: list[int] = []

    def handler(number: int, _: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield noted
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _without_local_constants() -> AbstractContextManager[object]:
    """Keep Hypothesis from drawing numbers it reads in the modules that happen to be imported.

    Otherwise the same seed would search differently under pytest and on the command line, installed and
    in a working copy. Versions without that feature (before 6.131) have nothing to switch off.
    """
    from unittest.mock import patch

    name = "hypothesis.internal.conjecture.providers"
    providers: Any = import_module(name) if find_spec(name) else None
    if not all(hasattr(providers, each) for each in ("_get_local_constants", "Constants", "CONSTANTS_CACHE")):
        return nullcontext()
    cache = type(providers.CONSTANTS_CACHE)(1024)
    return patch.multiple(providers, _get_local_constants=providers.Constants, CONSTANTS_CACHE=cache)
