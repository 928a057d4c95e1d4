"""Trials over the standard library's `concurrent.futures.Executor`: who works, who died, what came back.

Tasks are batches of seeds of one cell, sized to take about `BATCH_S`, at a foreign executor `FOREIGN_S`; a
row knows its seed, so neither the number of workers nor the order in which they finish can be seen in a
result. A scenario travels to a worker once (`parcels`). When a worker dies, the
trials under way are repeated one by one: those that kill a worker again are given up and reported.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import islice
from threading import Thread, current_thread, main_thread
from typing import Any, Generic, Protocol, TypeVar

from vrrpsim.scenario.model import Scenario

from .parcels import Parcel, ParcelSender, unpack_and_work
from .trial import Batch, run_batch

BATCH_S = 0.15  # of wall time
FOREIGN_S = 2.0  # a scheduler of a cluster wants milliseconds for each task
MOST = 2000  # seeds in a batch
DEATHS = 20  # of workers before the sweep gives up


class Seeded(Protocol):
    """What is kept of one run."""

    @property
    def seed(self) -> int:
        """The run's."""


Row = TypeVar("Row", bound=Seeded)
Work = Callable[[Scenario, Sequence[int]], Batch[Row]]
Progress = Callable[[int, int], None]  # trials done, of how many
Take = Callable[[int, Batch[Row]], None]  # what came back of a cell


class WorkersError(Exception):
    """No worker can do the work here."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Task:
    """Seeds of one cell. `suspect`: it was under way when a worker died, so it runs alone."""

    cell: int
    seeds: tuple[int, ...]
    suspect: bool = False


@dataclass(slots=True)
class Collected(Generic[Row]):
    """What came back, by cell and seed."""

    rows: list[dict[int, Row]]
    errors: list[dict[int, str]]  # trials that raised: a bug
    lost: list[dict[int, str]]  # trials that took their worker with them, or never ran
    repeated: set[int] = field(default_factory=set)  # seeds under way when a worker died
    deaths: int = 0
    interrupted: bool = False


def cores() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


class Workers:
    """Where tasks go: the caller's executor, or a process pool of our own that is renewed when it breaks."""

    def __init__(self, jobs: int | None = None, executor: Executor | None = None) -> None:
        self.jobs = max(1, jobs or (cores() if executor is None else 16))
        self._foreign = executor
        self._own: Executor | None = None

    @property
    def window(self) -> int:
        """How many tasks are under way at a time: enough that nobody waits."""
        return 1 if self.jobs == 1 and self._foreign is None else 2 * self.jobs

    @property
    def elsewhere(self) -> bool:
        """Whether the work is done by other processes or machines than this one."""
        return self.jobs > 1 or self._foreign is not None

    @property
    def starts_processes(self) -> bool:
        """Whether the work is done by processes of its own."""
        return self._foreign is None and self.jobs != 1

    @property
    def batch_s(self) -> float:
        """How long a task should take."""
        return BATCH_S if self._foreign is None else FOREIGN_S

    def submit(
        self, work: Work[Row], scenario: Scenario, seeds: Sequence[int], parcel: Parcel | None
    ) -> Future[Batch[Row] | None]:
        """Submit one task; its result is None if the parcel was too thin for the worker it came to."""
        executor = self._foreign or self._own
        if executor is None:
            self._own = executor = _SameProcess() if self.jobs == 1 else _process_pool(self.jobs)
        if parcel is None:
            return executor.submit(work, scenario, seeds)
        return executor.submit(unpack_and_work, work, parcel, seeds)

    def renew(self) -> bool:
        """Replace a broken pool; False: it is not ours."""
        self.shut_down()
        return self._foreign is None

    def shut_down(self) -> None:
        """Drop what has not begun, wait for what has."""
        if self._own is not None:
            self._own.shutdown(wait=True, cancel_futures=True)
            self._own = None


class _SameProcess(Executor):
    """Works in this process, at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _process_pool(jobs: int) -> Executor:
    forkserver = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forkserver else "spawn")
    if forkserver:
        context.set_forkserver_preload([run_batch.__module__])
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_work)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """SIGINT waits meanwhile; what starts meanwhile never has it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker  # not in a browser

    resource_tracker.ensure_running()  # it would unblock SIGINT under way
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    ours = callable(handler) and current_thread() is main_thread()
    if ours:  # a mask does not do: threads of libraries take the signal, and it is raised in this one
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what starts inherits it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if ours:
            signal.signal(signal.SIGINT, handler)
    if came and callable(handler):
        handler(came[0], None)


def _begin_work() -> None:
    """In a worker: Ctrl-C is for the parent to answer, and nobody works on for one that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _refuse_what_cannot_travel(scenarios: Iterable[Scenario]) -> None:
    for process in {each for scenario in scenarios for each in scenario.processes}:
        try:
            pickle.dumps(process)
        except Exception as error:
            raise WorkersError(
                f"the process {process.name} cannot be sent to workers ({error}); define its function in a"
                " module that they can import, or take jobs=1"
            ) from error


def collect(
    scenarios: Sequence[Scenario],
    seeds: Iterable[int],
    workers: Workers,
    work: Work[Row],
    *,
    total: int = 0,
    progress: Progress | None = None,
    take: Take[Row] | None = None,
) -> Collected[Row]:
    """Run every scenario with every seed; Ctrl-C ends it early with what is finished.

    `progress` is told how many of `total` trials are done. Rows go to `take` as they come; without it they
    are kept.
    """
    if workers.elsewhere:
        _refuse_what_cannot_travel(scenarios)
    pending = _Pending(scenarios, seeds, workers, work, take)
    try:
        for _ in pending.run():
            if progress:
                progress(pending.done, total)
    except KeyboardInterrupt:
        pending.found.interrupted = True
        with suppress(KeyboardInterrupt):  # impatient: do not wait for what is under way
            workers.shut_down()
        pending.take_finished()
    finally:
        workers.shut_down()
    return pending.found


class _Pending(Generic[Row]):
    """The work to do and what is under way."""

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        seeds: Iterable[int],
        workers: Workers,
        work: Work[Row],
        take: Take[Row] | None,
    ) -> None:
        self.scenarios, self.workers, self.work = scenarios, workers, work
        self._keep = take or self._keep_here
        self._parcels = [ParcelSender(scenario) for scenario in scenarios] if workers.elsewhere else []
        self.found: Collected[Row] = Collected(
            [{} for _ in scenarios], [{} for _ in scenarios], [{} for _ in scenarios]
        )
        self.done = 0
        self._fresh = self._tasks(seeds)
        self._suspects: deque[Task] = deque()
        self._again: deque[Task] = deque()
        self._under_way: dict[Future[Batch[Row] | None], Task] = {}
        self._spent_s, self._timed = 0.0, 0

    def _tasks(self, seeds: Iterable[int]) -> Iterator[Task]:
        """Cells take turns, so that an interrupted sweep has about the same seeds in each."""
        left = iter(seeds)
        while chunk := tuple(islice(left, self._size())):
            for cell in range(len(self.scenarios)):
                yield Task(cell, chunk)

    def _size(self) -> int:
        if not self._timed:
            return 2
        return max(1, min(MOST, round(self.workers.batch_s * self._timed / max(self._spent_s, 1e-9))))

    def run(self) -> Iterator[None]:
        """Do all tasks; yield whenever some came back."""
        while self._submit() or self._under_way:
            finished, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            broken = [self._take(future) for future in finished]
            if any(broken):
                self._renew_pool()
            yield

    def _submit(self) -> bool:
        """Fill the window; return whether anything was submitted."""
        before = len(self._under_way)
        while len(self._under_way) < (1 if self._suspects else self.workers.window):
            first = self._suspects or self._again
            task = first.popleft() if first else next(self._fresh, None)
            if task is None:
                break
            try:
                parcel = self._parcels[task.cell].parcel(self.workers.jobs) if self._parcels else None
                quiet = _without_interrupts() if self.workers.starts_processes else nullcontext()
                with quiet:  # Ctrl-C goes to workers that start, too: it is ours alone
                    future = self.workers.submit(self.work, self.scenarios[task.cell], task.seeds, parcel)
            except BrokenExecutor:
                self._suspects.appendleft(task)
                self._renew_pool()
                continue
            self._under_way[future] = task
            if task.suspect:
                break
        return len(self._under_way) > before

    def _keep_here(self, cell: int, batch: Batch[Row]) -> None:
        self.found.rows[cell].update((row.seed, row) for row in batch.rows)

    def _take(self, future: Future[Batch[Row] | None]) -> bool:
        """Take one finished task; True: its pool is broken."""
        task = self._under_way.pop(future)
        try:
            batch = future.result()
        except Exception as error:  # a dead worker, or whatever a foreign executor makes of one
            self._suspect(task, f"its worker died ({error or type(error).__name__})")
            return isinstance(error, BrokenExecutor)
        if batch is None:  # a worker that has not met this scenario
            self._parcels[task.cell].again()
            self._again.append(task)
            return False
        self._keep(task.cell, batch)
        self.found.errors[task.cell].update(batch.errors)
        self.done += len(task.seeds)
        self._spent_s += batch.elapsed_s
        self._timed += len(task.seeds)
        return False

    def _suspect(self, task: Task, why: str) -> None:
        if task.suspect:  # it ran alone: it did it
            self.found.lost[task.cell].update(dict.fromkeys(task.seeds, why))
            self.done += len(task.seeds)
            return
        self.found.repeated.update(task.seeds)
        self._suspects.extend(Task(task.cell, (seed,), True) for seed in task.seeds)

    def _renew_pool(self) -> None:
        self.found.deaths += 1
        for future in list(self._under_way):
            self._take(future)
        if not self.workers.renew():
            self._give_up("the executor is broken")
        elif not self._timed and self.found.deaths >= 3:
            raise WorkersError(
                "worker processes die before they finish anything; in a script, sweep under "
                "`if __name__ == '__main__':`, or take jobs=1 (-j 1)"
            )
        elif self.found.deaths >= DEATHS:
            self._give_up(f"given up after {DEATHS} workers had died")

    def _give_up(self, why: str) -> None:
        for task in (*self._suspects, *self._again, *self._fresh):
            self.found.lost[task.cell].update(dict.fromkeys(task.seeds, why))
        self._suspects.clear()
        self._again.clear()

    def take_finished(self) -> None:
        """After an interruption: what workers still completed."""
        for future in list(self._under_way):
            if not future.cancel() and future.done() and future.exception() is None:
                self._take(future)
