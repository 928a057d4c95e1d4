"""Scenarios built in Python, in the words of the YAML.

    pair = (
        vrrpsim.Scenario("pair", duration=45)
        .segment("lan", subnet="10.0.0.0/24", delay="100us")
        .node("lb1", interfaces={"eth0": {"segment": "lan", "address": "10.0.0.1/24"}}, keepalived=conf)
        .event(at=12, kill="lb1/haproxy", for_=5)
    )
    pair.run(seed=7)

Numbers and `timedelta` stand where the file has durations. Nothing is judged before it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from vrrpsim.examples import find
from vrrpsim.scenario import model
from vrrpsim.scenario.file.plain_values import text_of
from vrrpsim.scenario.file.reader import load_scenario, scenario_of, values_of
from vrrpsim.scenario.file.rewrite import dumped, styled, with_overrides
from vrrpsim.scenario.file.yaml_tree import read_tree
from vrrpsim.scenario.network import Network

from .api import Study
from .command_lines import NOTHING
from .own_process import Function, OwnProcess

Words = Mapping[str, Any]


class Scenario(Study):
    """A scenario in Python: immutable, each method returns another one; ask it like a loaded one."""

    values: dict[str, Any]  # as YAML would give them
    folder: Path
    processes: tuple[OwnProcess, ...]

    def __init__(self, name: str = "scenario", *, folder: str | Path = ".", **words: Any) -> None:
        """Begin with top-level keys of the file: `duration`, `seed`, `nodes`, `events`, `expect` and so on.

        `folder` is where relative file names of the scenario lead from.
        """
        self._begin({"version": 1, "name": name, **deepcopy(words)}, Path(folder), NOTHING)

    @classmethod
    def of(
        cls, source: Path | str | Words, *, folder: str | Path = ".", overrides: Mapping[str, str] = NOTHING
    ) -> Self:
        """Make one of YAML text, a dict as YAML would give it, or a file; raise `InputError` if unusable.

        What a file says may be changed in Python then; its comments are lost.
        """
        if isinstance(source, Path):
            return cls.of(read_tree(source).root, folder=source.parent, overrides=overrides)
        model_ = scenario_of(source, overrides=overrides, folder=Path(folder))
        made = cls.__new__(cls)
        made._begin(deepcopy(values_of(source).root), Path(folder), overrides)
        made.__dict__["scenario"] = model_
        return made

    def _begin(self, values: Words, folder: Path, overrides: Mapping[str, str]) -> None:
        self.__dict__.update(values=dict(values), folder=folder, processes=())
        object.__setattr__(self, "overrides", overrides)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "overrides": dict(self.overrides)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "overrides", state.pop("overrides"))
        self.__dict__.update(state)

    @cached_property
    def scenario(self) -> model.Scenario:
        """The model that runs; raises `InputError` with everything that is wrong, by argument."""
        return self._with_overrides(self.overrides)

    def with_(self, **words: Any) -> Self:
        """Replace top-level keys: `with_(duration=60, seed=3)`; None takes one out."""
        return self._with({**self.values, **deepcopy(words)})

    def _with(self, values: Words) -> Self:
        """A scenario of these values, which are shared: nobody changes them."""
        made = type(self).__new__(type(self))
        made._begin({k: v for k, v in values.items() if v is not None}, self.folder, self.overrides)
        made.__dict__["processes"] = self.processes
        return made

    def process(self, function: Function) -> Self:
        """Add a SimPy process of your own: a generator function `f(env, world)`, see `own_process`.

        For `sweep` with several workers the function must be one that they can import.
        """
        made = self.with_()
        known = [each.name for each in self.processes]
        made.__dict__["processes"] = (*self.processes, OwnProcess(function, known))
        return made

    def segment(self, name: str, **words: Any) -> Self:
        """Add or replace a segment: `subnet`, `delay`, `loss` and so on."""
        return self._named("segments", name, words)

    def switch(self, name: str, **words: Any) -> Self:
        """Add or replace a switch: `mac_age`, `boots`."""
        return self._named("switches", name, words)

    def cable(self, one: str, other: str, **words: Any) -> Self:
        """Add a cable from a switch to another one, to a card (`lb1/eth0`) or to a client."""
        cable = {"ends": [one, other], **deepcopy(words)} if words else [one, other]
        return self.with_(cables=[*self.values.get("cables", ()), cable])

    def network(self, network: Network) -> Self:
        """Add switches and cables, as `Network.from_networkx` makes them of a graph."""
        switches = {**self.values.get("switches", {}), **deepcopy(dict(network.switches))}
        cables = [*self.values.get("cables", ()), *deepcopy(network.cables)]
        return self.with_(switches=switches, cables=cables)

    def node(self, name: str, *, keepalived: Any = None, **words: Any) -> Self:
        """Add or replace a node: `interfaces`, `processes`, `slop` and so on.

        `keepalived` is a path, the text of a keepalived.conf (it has several lines), or a mapping as in YAML.
        """
        if isinstance(keepalived, str):
            keepalived = {"conf" if "\n" in keepalived else "file": keepalived}
        elif isinstance(keepalived, Path):
            keepalived = {"file": keepalived}
        given = words if keepalived is None else {**words, "keepalived": keepalived}
        return self._named("nodes", name, given)

    def client(self, name: str, **words: Any) -> Self:
        """Add or replace a client: `segment`, `target`, `every`, `timeout` and so on."""
        return self._named("clients", name, words)

    def event(self, at: Any, **words: Any) -> Self:
        """Add an event: a verb and what it takes; words that Python keeps end in `_`: `for_`, `from_`."""
        event = {"at": at, **{word.removesuffix("_"): value for word, value in words.items()}}
        return self.with_(events=[*self.values.get("events", ()), event])

    def expect(self, **words: Any) -> Self:
        """Add to what a run is judged by: `failover={"max": 5.7}`, `owner={11: "lb1"}`."""
        return self.with_(expect={**self.values.get("expect", {}), **words})

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the scenario file that means the same, and write it to `path`.

        Relative file names stay, so the file belongs into `folder`. Raises `ValueError` for what no file
        can say: a process of your own.
        """
        for process in self.processes:
            raise ValueError(f"no scenario file can say the process {process.name}")
        from vrrpsim.atomic_write import write_whole

        values = values_of(self.values).root if self.scenario else {}  # asking raises if it is wrong
        text = "\n".join(dumped(styled(with_overrides(values, self.overrides, self.scenario)))) + "\n"
        if path is not None:
            write_whole(path, text.encode())
        return text

    def _named(self, kind: str, name: str, words: Words) -> Self:
        return self._with({**self.values, kind: {**self.values.get(kind, {}), name: deepcopy(dict(words))}})

    def _with_overrides(self, overrides: Mapping[str, str]) -> model.Scenario:
        made = scenario_of(self.values, overrides=overrides, folder=self.folder)
        return replace(made, processes=self.processes)


def load(source: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] = NOTHING) -> Study:
    """Read a scenario; raise `InputError` with all that is wrong with it.

    `source` is a path, the name of an example, YAML text of several lines, or a dict as YAML would give it.
    `overrides` are what `--set` says: a path and a value, text or Python's.
    """
    overrides = {path: text_of(value) for path, value in overrides.items()}
    if isinstance(source, Mapping) or (isinstance(source, str) and "\n" in source):
        return Scenario.of(source, overrides=overrides)
    return Study(load_scenario(find(source), overrides=overrides), overrides)
