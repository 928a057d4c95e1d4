"""The library: `vrrpsim.load(path).run(seed=7)`. Nouns and numbers are those of the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vrrpsim.command_lines import NOTHING, command_line
from vrrpsim.run import Run, run_scenario
from vrrpsim.trace import Level

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import networkx as nx

    from vrrpsim.explore.hunt_result import HuntResult
    from vrrpsim.explore.invariants import Invariant
    from vrrpsim.explore.sweep_result import SweepResult
    from vrrpsim.report.notebook import Progress
    from vrrpsim.review import Census
    from vrrpsim.scenario.model import Scenario

NO_VALUES: Mapping[str, Sequence[str]] = MappingProxyType({})
MOST_CELLS = 10_000  # of a grid


@dataclass(frozen=True, slots=True)
class Sweep:
    """Many runs: what was asked and what came out."""

    outcome: SweepResult
    command: str = ""  # the command line that repeats it; "" if the scenario came from no file

    @classmethod
    def read(
        cls, *folders: str | Path, thresholds: Sequence[str] = (), into: str | Path | None = None
    ) -> Sweep:
        """Put together what sweeps left in folders, shards of one or all of it, and judge it anew.

        `into` is a folder to be made that holds all of it, the bytes that one run would leave.
        """
        from vrrpsim.explore.sweep import read_folders
        from vrrpsim.explore.thresholds import parse_threshold

        outcome, command = read_folders(
            list(map(Path, folders)),
            [parse_threshold(text) for text in thresholds],
            None if into is None else Path(into),
        )
        return cls(outcome, command)

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `unknown`: the worst of the cells."""
        return self.outcome.verdict

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values, times as floats in seconds."""
        values: dict[str, Any] = json.loads(self.to_json())
        return values

    def to_json(self) -> str:
        """Return what `vrrpsim sweep --json` prints."""
        return self.outcome.to_json()

    def text(self, width: int = 80) -> str:
        """Return the report that `vrrpsim sweep` prints."""
        from vrrpsim.report.sweep import report
        from vrrpsim.report.text import Terminal

        return report(self.outcome.to_dict(), Terminal(width))

    def to_pandas(self) -> Any:
        """Return one row for each run as a DataFrame, times as floats in seconds.

        The columns: what was varied (numbers where all are), `seed`, each measure (`failover_s`,
        `outage_s`, …, `moves`), whether the horizon cut it (`failover_cut`: it lasted at least as long),
        `split_brain`.
        """
        from vrrpsim.report.tables import frame

        columns = {name: _numbers(values) for name, values in self.outcome.columns().items()}
        rows = zip(*columns.values(), strict=True)
        return frame(tuple(columns), [dict(zip(columns, row, strict=True)) for row in rows])

    def plot(self, *measures: str, ax: Any = None) -> Any:
        """Return a figure of the distributions of these measures, of failovers and outages unless given.

        With `ax` (matplotlib `Axes`) the first of them is drawn there, in the style of the moment.
        """
        from vrrpsim.report.distribution import draw_on, figure

        if ax is not None:
            name = measures[0] if measures else "failover"
            draw_on(ax, name, self.outcome.curves(name))
            return None
        wanted = {name: self.outcome.curves(name) for name in measures or ("failover", "outage")}
        [first, *_] = self.outcome.cells
        title = f"{first.variant.scenario.name}: {sum(len(cell.rows) for cell in self.outcome.cells)} runs"
        return figure(title, {name: curves for name, curves in wanted.items() if curves})

    def html(self, path: str | Path | None = None) -> bytes:
        """Return the sweep as one offline HTML page, and write it to `path`."""
        from vrrpsim.atomic_write import written
        from vrrpsim.measure.failovers import answers_an_event
        from vrrpsim.report.html.sweep import sweep_page

        names = dict.fromkeys(
            name
            for cell in self.outcome.cells
            for name in cell.names
            if name != "moves" and not answers_an_event(name)
        )
        curves = {name: found for name in names if (found := self.outcome.curves(name))}
        return written(sweep_page(self.outcome.to_dict(), curves, self.command), path)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from vrrpsim.report.cards import sweep_card

        shown = {name: self.outcome.curves(name) for name in ("failover", "outage")}
        return sweep_card(self.outcome.to_dict(), shown)


@dataclass(frozen=True, slots=True)
class Hunt:
    """A search for fault schedules that break an invariant: what was found, or what was covered."""

    outcome: HuntResult

    @property
    def found(self) -> bool:
        """Whether some schedule broke an invariant."""
        return bool(self.outcome.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values."""
        return self.outcome.to_dict()

    def to_json(self) -> str:
        """Return what `vrrpsim hunt --json` prints."""
        from vrrpsim.measure.seconds import to_json

        return to_json(self.to_dict())

    def text(self) -> str:
        """Return the report that `vrrpsim hunt` prints."""
        from vrrpsim.report.hunt import report

        return report(self.to_dict())

    def to_pandas(self, table: str = "findings") -> Any:
        """Return `findings`, a row each, or `coverage`: how often which fault met nodes in which role."""
        from vrrpsim.report.tables import hunt_table

        return hunt_table(table, self.to_dict())

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from vrrpsim.report.cards import hunt_card
        from vrrpsim.report.hunt import verdict_line

        return hunt_card(self.to_dict(), verdict_line(self.to_dict()), self.outcome.scenario.name)


@dataclass(frozen=True, slots=True)
class Study:
    """A scenario to be asked questions; `overrides` are the `--set` options that it was read with."""

    scenario: Scenario
    overrides: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        seed: int | None = None,
        *,
        level: Level = Level.ADVERTS,
        fast_forward: bool | None = None,
        executor: Executor | None = None,
    ) -> Run:
        """Run it once; without a seed with the scenario's own.

        `fast_forward` passes over quiet stretches with the same result: a year takes a second, but its
        adverts are counted, not kept. None: keep them if `level` asks for adverts, as it does by default.
        Segments that share no node run one after the other, or in the `executor`, with the same records.
        """
        return run_scenario(
            self.scenario,
            seed,
            self.overrides,
            level=level,
            fast_forward=fast_forward,
            executor=executor,
        )

    def sweep(
        self,
        runs: int = 1000,
        *,
        seed: int | None = None,
        vary: Mapping[str, Sequence[Any]] = NO_VALUES,
        thresholds: Sequence[str] = (),
        stratify: bool = True,
        jobs: int | None = None,
        executor: Executor | None = None,
        progress: Progress | bool | None = None,
        until: Sequence[str] = (),
        rare: str | None = None,
        invariants: Sequence[str | Invariant] = (),
        folder: str | Path | None = None,
        resume: bool = False,
        shard: tuple[int, int] = (1, 1),
    ) -> Sweep:
        """Run it many times, and every variant of a grid with the same seeds.

        `vary` gives values for paths as `--set` takes them, text or Python's, `thresholds` are such as
        `outage.p99 < 5s`.
        Works in a process pool of `jobs` (all cores; 1: here) or in the `executor`; a script that uses a
        pool needs `if __name__ == "__main__":`. `progress` is told the trials done and of how many;
        without it a notebook shows a bar, unless it is False.
        `until` ends it before `runs` when goals such as `outage.p99 ±50ms` are met; `rare="loss"` forces
        losses of adverts and weighs the runs. `invariants` judge each run, as those of `hunt` do: names
        such as `no-split-brain`, functions that workers can import, or `package.module:function`.
        A `folder` holds the runs while they come, `resume` goes on
        with it, `shard=(3, 200)` runs one share of them; `Sweep.read` puts folders together.
        """
        from vrrpsim.explore.invariants import invariants_named
        from vrrpsim.explore.sweep import sweep
        from vrrpsim.explore.sweep_plan import SweepPlan
        from vrrpsim.explore.sweep_result import Variant
        from vrrpsim.explore.thresholds import parse_threshold
        from vrrpsim.explore.until import parse_goal
        from vrrpsim.explore.workers import Workers
        from vrrpsim.report import notebook
        from vrrpsim.scenario.file.plain_values import text_of

        if rare not in (None, "loss"):
            raise ValueError(f"rare={rare!r}: only loss can be made frequent")
        asked = [parse_threshold(text) for text in thresholds]
        judges = invariants_named(invariants) if invariants else {}
        variants = [
            Variant(replace(scenario, invariants=judges) if judges else scenario, varied, overrides)
            for scenario, varied, overrides in self._grid(vary)
        ]
        used = self.scenario.seed if seed is None else seed
        workers = Workers(jobs, executor)
        options: list[tuple[str, ...]] = [
            ("--set", f"{path}={value}") for path, value in self.overrides.items()
        ]
        options += [("--vary", f"{path}={','.join(map(text_of, values))}") for path, values in vary.items()]
        options += [("--threshold", text) for text in thresholds]
        options += [("--until", text) for text in until]
        options += [("--rare", rare)] if rare else []
        options += [("--invariant", _named(each)) for each in invariants]
        options += [] if stratify else [("--no-stratify",)]
        command = command_line("sweep", self.scenario, ("-n", str(runs)), ("-s", str(used)), *options)
        goals = tuple(map(parse_goal, until))
        plan = SweepPlan(runs, used, stratify, shard, goals, rare is not None, command)
        with notebook.progress(progress, "runs") as told:
            outcome = sweep(
                variants,
                plan,
                thresholds=asked,
                workers=workers,
                progress=told,
                folder=None if folder is None else Path(folder),
                resume=resume,
            )
        return Sweep(outcome, command)

    def lab(
        self,
        runs: int = 1,
        *,
        seed: int | None = None,
        daemons: Mapping[str, str] = NOTHING,
        parallel: int = 1,
    ) -> Iterator[Run]:
        """Run it on real daemons in network namespaces, in real time; yield the runs as they end.

        `daemons` says which nodes run `vrrpsim` instead of `keepalived`. Raises an exception with
        `exit_code` 4 if the lab cannot do it; a script needs `if __name__ == "__main__":`.
        """
        from vrrpsim.lab.refusals import refuse
        from vrrpsim.lab.runner import run_all
        from vrrpsim.measure import measure

        chosen = {**dict.fromkeys(self.scenario.nodes, "keepalived"), **daemons}
        refuse(self.scenario, chosen)
        first = self.scenario.seed if seed is None else seed
        for used, trace in run_all(self.scenario, range(first, first + runs), chosen, parallel):
            yield Run(self.scenario, used, trace, measure(self.scenario, trace, seed=used), self.overrides)

    def hunt(
        self,
        *,
        seed: int | None = None,
        max_examples: int = 1000,
        max_time_s: float | None = None,
        faults: Sequence[str] = ("all",),
        invariants: Sequence[str | Invariant] = (),
        outage_s: float | None = None,
        write: bool = True,
        progress: Progress | bool | None = None,
    ) -> Hunt:
        """Search for fault schedules that break an invariant; the scenario's own events give way to them.

        `faults` are kinds such as `kill` or `partition`, `invariants` further ones of yours, functions
        or `package.module:function`, `outage_s` the longest wait of a client. With `write` each finding
        becomes a scenario file beside this one. `progress` is told the schedules tried and of how many;
        without it a notebook shows a bar, unless it is False.
        """
        from vrrpsim.explore.fault_schedules import kinds_named
        from vrrpsim.explore.hunt import hunt
        from vrrpsim.report import notebook

        with notebook.progress(progress, "schedules") as told:
            outcome = hunt(
                self.scenario,
                seed=seed,
                max_examples=max_examples,
                max_time_s=max_time_s,
                kinds=kinds_named(faults),
                invariants=invariants,
                outage_ns=None if outage_s is None else round(outage_s * 1e9),
                write=write,
                overrides=self.overrides,
                progress=told,
            )
        return Hunt(outcome)

    def census(
        self,
        phases: int = 20,
        pair_phases: int = 4,
        *,
        only: Sequence[str] = (),
        fail_on: str = "",
        seed: int | None = None,
        jobs: int | None = None,
        executor: Executor | None = None,
        progress: Progress | bool | None = None,
    ) -> Census:
        """Try every single fault and every ordered pair; the scenario's own events give way to them.

        `phases` and `pair_phases` are the runs of a single fault and of a pair (0: no pairs), `only` names
        of cells, `fail_on` limits such as `split-brain,never-heals,outage>10s`.
        """
        from vrrpsim.review import CensusSubject, take_census

        return take_census(
            CensusSubject.of_scenario(self.scenario, self.overrides),
            phases=phases,
            pair_phases=pair_phases,
            only=only,
            fail_on=fail_on,
            seed=seed,
            jobs=jobs,
            executor=executor,
            progress=progress,
        )

    def graph(self) -> nx.MultiGraph[str]:
        """Return nodes, clients, switches and segments as a networkx graph; a run's has the state of each."""
        from vrrpsim.scenario.network import graph_of

        return graph_of(self.scenario)

    def __str__(self) -> str:
        return f"{self.scenario.name or 'scenario'}: {self.scenario.description}".strip(": ")

    def _repr_html_(self) -> str:
        from vrrpsim.report.cards import study_card

        return study_card(self.scenario)

    def _grid(
        self, vary: Mapping[str, Sequence[Any]]
    ) -> Iterator[tuple[Scenario, Mapping[str, str], Mapping[str, str]]]:
        """Every combination of values: the scenario, what was varied, all overrides."""
        from vrrpsim.scenario.file.plain_values import text_of

        if not vary:
            yield self.scenario, {}, self.overrides
            return
        refuse_large(vary)
        for values in product(*vary.values()):
            varied = dict(zip(vary, map(text_of, values), strict=True))
            overrides = {**self.overrides, **varied}
            yield self._with_overrides(overrides), varied, overrides

    def _with_overrides(self, overrides: Mapping[str, str]) -> Scenario:
        from vrrpsim.scenario.file.reader import load_scenario

        if self.scenario.path is None:
            raise ValueError("vary reads the scenario anew for each cell, but it came from no file")
        return load_scenario(self.scenario.path, overrides=overrides)


def refuse_large(grid: Mapping[str, Sequence[Any]]) -> None:
    """Raise `ValueError` for a grid with more cells than a sweep can hold."""
    if (cells := prod(map(len, grid.values()))) > MOST_CELLS:
        raise ValueError(f"a grid of {cells:,} cells; at most {MOST_CELLS:,} are possible")


def _named(invariant: str | Invariant) -> str:
    return invariant if isinstance(invariant, str) else f"{invariant.__module__}:{invariant.__name__}"


def _numbers(values: Sequence[Any]) -> Sequence[Any]:
    """Return texts as numbers if all of them are."""
    try:
        return [float(value) if isinstance(value, str) else value for value in values]
    except ValueError:
        return values
