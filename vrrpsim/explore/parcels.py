"""How a scenario travels to workers: once to each, under the hash of its bytes, with the first tasks.

Later tasks name it only. A worker that has not met it (a late one, or one that took the place of a dead one)
says so by returning None, and the task comes again with the scenario.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from vrrpsim.scenario.model import Scenario

from .trial import Batch

Row = TypeVar("Row")
REMEMBERED = 64  # scenarios in a worker
_met: dict[str, Scenario] = {}


class Parcel(NamedTuple):
    """A scenario by name; `content` is its pickle, None where the worker should know it."""

    name: str
    content: bytes | None


class ParcelSender:
    """Wraps one scenario for tasks: with its content until each worker can have met it."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._whole: Parcel | None = None
        self._sent = 0

    def parcel(self, workers: int) -> Parcel:
        """Return what goes with the next task."""
        if self._whole is None:
            content = pickle.dumps(self._scenario, pickle.HIGHEST_PROTOCOL)
            self._whole = Parcel(hashlib.sha256(content).hexdigest(), content)
        self._sent += 1
        return self._whole if self._sent <= workers else self._whole._replace(content=None)

    def again(self) -> None:
        """The next task takes the content along."""
        self._sent = 0


def unpack_and_work(
    work: Callable[[Scenario, Sequence[int]], Batch[Row]], parcel: Parcel, seeds: Sequence[int]
) -> Batch[Row] | None:
    """Do a task in a worker; None: the scenario it names is not known here."""
    scenario = _met.get(parcel.name)
    if scenario is None:
        if parcel.content is None:
            return None
        while len(_met) >= REMEMBERED:
            _met.pop(next(iter(_met)), None)
        scenario = _met[parcel.name] = pickle.loads(parcel.content)
    return work(scenario, seeds)
