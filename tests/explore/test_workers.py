"""Workers: they may die, raise, or be somebody else's; results do not show who did what."""

import os
import signal
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from vrrpsim.explore import parcels, workers
from vrrpsim.explore.trial import Batch, TrialRow
from vrrpsim.explore.workers import Workers, WorkersError, collect
from vrrpsim.scenario.model import Scenario

CELLS = [Scenario(name=name, duration_ns=1) for name in ("a", "b")]


def work(scenario, seeds):
    return Batch([TrialRow(seed, (), 0, ()) for seed in seeds], [], 0.05 * len(seeds))


def deadly(scenario, seeds):
    if (scenario.name, 13) == ("b", max((seed for seed in seeds if seed == 13), default=0)):
        os.kill(os.getpid(), signal.SIGKILL)
    return work(scenario, seeds)


def hopeless(scenario, seeds):
    os._exit(3)


def raising(scenario, seeds):
    if 13 in seeds:
        raise MemoryError("no room")
    return work(scenario, seeds)


def test_a_seed_that_kills_its_worker_is_named_and_the_rest_goes_on():
    seen = []
    found = collect(
        CELLS,
        range(1, 31),
        Workers(2),
        total=60,
        work=deadly,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert list(found.lost[1]) == [13]
    assert not found.lost[0]
    assert "died" in found.lost[1][13]
    assert 13 in found.repeated
    assert sorted(found.rows[0]) == list(range(1, 31))
    assert sorted(found.rows[1]) == [seed for seed in range(1, 31) if seed != 13]
    assert found.deaths >= 2
    assert seen[-1] == (60, 60)


def test_workers_that_cannot_start_are_an_error_that_says_what_to_do():
    with pytest.raises(WorkersError, match="__main__"):
        collect(CELLS, range(10), Workers(2), work=hopeless)


def test_somebody_elses_executor_that_fails_a_task_loses_only_its_seed():
    with ThreadPoolExecutor(2) as executor:
        found = collect(CELLS, range(30), Workers(executor=executor), work=raising)
    assert [list(lost) for lost in found.lost] == [[13], [13]]
    assert "no room" in found.lost[0][13]
    assert all(len(rows) == 29 for rows in found.rows)


def test_somebody_elses_executor_that_breaks_ends_it_with_what_is_finished():
    class Breaks(Executor):
        left = 3

        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            self.left -= 1
            if self.left < 0:
                future.set_exception(BrokenProcessPool("gone"))
            else:
                future.set_result(fn(*args, **kwargs))
            return future

    found = collect(CELLS[:1], range(200), Workers(1, Breaks()), work=work)
    assert found.rows[0]
    assert set(found.rows[0]) | set(found.lost[0]) == set(range(200))
    assert "broken" in found.lost[0][199]


def test_an_interruption_keeps_what_is_finished():
    def interrupt(done, of):
        if done >= 20:
            raise KeyboardInterrupt

    found = collect(CELLS, range(1000), Workers(1), work=work, progress=interrupt)
    assert found.interrupted
    assert 20 <= sum(map(len, found.rows)) < 100
    assert abs(len(found.rows[0]) - len(found.rows[1])) <= 3  # cells take turns


def test_a_scenario_travels_once_to_each_worker_and_again_to_one_that_does_not_know_it():
    class Forgets(ThreadPoolExecutor):
        whole, asked = 0, 0

        def submit(self, fn, work, parcel, seeds):
            self.asked += 1
            self.whole += parcel.content is not None
            if self.asked == 20:
                parcels._met.clear()  # a worker that is new
            return super().submit(fn, work, parcel, seeds)

    parcels._met.clear()
    with Forgets(1) as executor:
        found = collect(CELLS[:1], range(2000), Workers(3, executor), work=work)
    assert len(found.rows[0]) == 2000
    assert not found.lost[0]
    assert executor.asked > 20
    assert executor.whole < executor.asked / 2  # how many before it is known that they know it, time decides


def test_tasks_of_a_foreign_executor_take_seconds():
    sizes = []

    def noted(scenario, seeds):
        sizes.append(len(seeds))
        return work(scenario, seeds)

    with ThreadPoolExecutor(1) as executor:
        collect(CELLS[:1], range(400), Workers(1, executor), work=noted)
    assert max(sizes) == 40  # 2 s of work that says it takes 50 ms a run


def test_an_interrupt_while_workers_start_waits_whichever_thread_gets_it():
    """Numpy's threads do not hold signals back; half a start left workers whose semaphores were gone."""
    idle = threading.Event()
    other = threading.Thread(target=idle.wait)
    other.start()
    reached = []

    def start():
        with workers._without_interrupts():
            signal.pthread_kill(other.ident, signal.SIGINT)
            time.sleep(0.2)
            reached.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        idle.set()
        other.join()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
