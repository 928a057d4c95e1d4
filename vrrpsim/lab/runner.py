"""Several runs, a few at a time, each in a process of its own; and what to do about labs that were killed.

A run's process dies with its lab and takes its machines along (see `kernel`). Each of them carries a mark
in its environment that names the lab, so what should outlive it after all can be told from anything else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Trace

from . import kernel

MARK = "VRRPSIM_LAB"
STAGGER_S = 0.37  # between the starts of parallel runs: what is planned for one instant must not coincide


class RunFailed(Exception):
    """A run could not be carried out."""

    def __init__(self, seed: int, reason: str, exit_code: int) -> None:
        super().__init__(f"seed {seed}: {reason}")
        self.exit_code = exit_code


def run_all(
    scenario: Scenario, seeds: Sequence[int], daemons: Mapping[str, str], parallel: int
) -> Iterator[tuple[int, Trace]]:
    """Return the runs as they end. Closing the iterator, like any exception, ends what is still going on."""
    waiting = list(reversed(seeds))
    busy: dict[Connection, tuple[int, SpawnProcess]] = {}
    os.environ[MARK] = f"{os.getpid()}:{_started(os.getpid())}"
    try:
        while waiting or busy:
            if waiting and len(busy) < parallel:
                seed = waiting.pop()
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: it is ours to handle
                try:
                    ours, process = _spawn(scenario, seed, daemons)
                    busy[ours] = (seed, process)
                finally:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            more = waiting and len(busy) < parallel
            for ready in wait(list(busy), STAGGER_S if more else None):
                assert isinstance(ready, Connection)
                seed, process = busy.pop(ready)
                outcome = _receive(ready)
                process.join()
                if not isinstance(outcome, Trace):
                    raise RunFailed(seed, *outcome)
                yield seed, outcome
    finally:
        for _, process in busy.values():
            process.kill()
        for _, process in busy.values():
            process.join()


def _spawn(scenario: Scenario, seed: int, daemons: Mapping[str, str]) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, os.getpid(), scenario, seed, dict(daemons)))
    try:
        process.start()
    finally:
        theirs.close()
    return ours, process


def _work(answer: Connection, lab: int, scenario: Scenario, seed: int, daemons: dict[str, str]) -> None:
    from .run import run_once

    kernel.die_with_parent()
    if os.getppid() != lab:
        return
    outcome: Any
    try:
        outcome = run_once(scenario, seed, daemons)
    except Exception as error:
        code = getattr(error, "exit_code", 4 if isinstance(error, OSError) else 70)
        if code == 70:
            import traceback

            traceback.print_exc()
        outcome = (str(error) or type(error).__name__, code)
    with suppress(BrokenPipeError):  # the lab was interrupted
        answer.send(outcome)


def _receive(connection: Connection) -> Any:
    with suppress(EOFError):
        return connection.recv()
    return "its process ended without an answer", 70


# --- leftovers


def clean_up() -> int:
    """Kill what is left of labs that are gone, and nothing else; return how many processes that were."""
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    left = [pid for pid in running if _is_left_over(pid)]
    for pid in left:
        kernel.send(pid, signal.SIGKILL)
    return len(left)


def _is_left_over(pid: int) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    marks = [entry.decode() for entry in environment if entry.startswith(f"{MARK}=".encode())]
    if not marks:
        return False
    lab, _, started = marks[0].partition("=")[2].partition(":")
    return not lab.isdigit() or _started(int(lab)) != started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
