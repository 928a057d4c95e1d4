"""The library's answers for keepalived.conf files: what can go wrong with a cluster, all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

from vrrpsim.command_lines import NOTHING
from vrrpsim.run import Run, run_scenario

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import networkx

    from vrrpsim.explore.advise import Advice
    from vrrpsim.explore.census_diff import CensusDiff
    from vrrpsim.explore.census_result import CensusCell, CensusResult, FailOn
    from vrrpsim.report.notebook import Progress
    from vrrpsim.scenario.model import Scenario

SCENARIOS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class CensusSubject:
    """What a census is taken of, and how a command line names it."""

    scenario: Scenario
    sources: tuple[str, ...]  # none: it came from no file
    dialect: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_scenario(cls, scenario: Scenario, overrides: Mapping[str, str]) -> CensusSubject:
        """Take the cluster of a scenario that was loaded with these overrides."""
        path = scenario.path
        return cls(scenario, () if path is None else (str(path),), None, overrides)

    def text(self, beside: Path) -> tuple[str, Path]:
        """Return its scenario as text, and the folder from which file references in it lead."""
        from vrrpsim.starter import init

        if self.scenario.path is not None:
            return self.scenario.path.read_text(encoding="utf-8"), self.scenario.path.parent
        if not self.sources:
            raise ValueError("the scenario came from no file: write it with to_yaml() and load that")
        draft = init(*self.sources, dialect=self.dialect)
        return draft.text, Path()

    @property
    def sources_only(self) -> tuple[str, ...]:
        """The files, those of a folder each."""
        return sources_in(self.sources)

    @property
    def files(self) -> list[tuple[Path, str | None]]:
        """The files and the ID that each is read with."""
        from vrrpsim.keepalived.sources import source_of

        return [source_of(each) for each in self.sources_only]

    def command(self, name: str, *options: str) -> str:
        """Return the command line that does something with it; "" if it came from no file."""
        if not self.sources:
            return ""
        said = [word for path, value in self.overrides.items() for word in ("--set", f"{path}={value}")]
        spoken = ["--dialect", self.dialect] if self.dialect else []
        return join(["vrrpsim", name, *self.sources, *spoken, *said, *options])


def sources_in(words: Sequence[str | Path]) -> tuple[str, ...]:
    """Return the sources that words name: a folder stands for its `*.conf`, or for its only scenario."""
    found: list[str] = []
    for word in words:
        folder = Path(word)
        if not folder.is_dir():
            found.append(str(word))
            continue
        inside = sorted(folder.glob("*.conf")) or sorted(p for p in folder.iterdir() if p.suffix in SCENARIOS)
        found += map(str, inside or [folder])
    return tuple(found)


def read_cluster(
    *sources: str | Path, dialect: str | None = None, overrides: Mapping[str, str] = NOTHING
) -> CensusSubject:
    """Read a scenario, or the keepalived.conf files of a cluster; raise `InputError`.

    A source is as `init` takes it, or a folder with such files.
    """
    from vrrpsim.examples import find
    from vrrpsim.scenario.file.reader import load_scenario
    from vrrpsim.starter import cluster_of

    names = sources_in(sources)
    if len(names) == 1 and Path(names[0]).suffix in SCENARIOS:
        overrides = {**overrides, "dialect": dialect} if dialect else overrides
        return CensusSubject(load_scenario(find(names[0]), overrides=overrides), names, None, overrides)
    return CensusSubject(cluster_of(*names, dialect=dialect, overrides=overrides), names, dialect, overrides)


@dataclass(frozen=True, slots=True)
class Census:
    """Every fault that a cluster can meet, alone and in pairs, and what comes of it."""

    outcome: CensusResult
    cluster: CensusSubject
    limits: tuple[FailOn, ...] = ()

    @property
    def failing(self) -> list[tuple[CensusCell, str]]:
        """The cells that break a limit of `fail_on`, and which; what VRRP cannot mend is let off."""
        return self.outcome.failing(self.limits)

    @property
    def verdict(self) -> str:
        """`pass`, `fail`, or `unknown` if it was interrupted."""
        return "fail" if self.failing else "unknown" if self.outcome.interrupted else "pass"

    def run(self, name: str) -> Run:
        """Return the worst run of a cell, such as `kill lb1/haproxy`; raise `KeyError` without it."""
        cell = self.outcome.cell(name)
        return run_scenario(cell.scenario, cell.worst.seed)

    def command(self, cell: CensusCell, seed: int) -> str:
        """Return the command line that shows the worst run of a cell."""
        return self.cluster.command("census", "--cell", cell.name, *self._runs(cell))

    def _runs(self, cell: CensusCell) -> list[str]:
        from vrrpsim.explore.census import PAIR_PHASES, PHASES

        usual = PAIR_PHASES if len(cell.names) > 1 else PHASES
        option = "--pair-runs" if len(cell.names) > 1 else "--runs"
        seed = [] if self.outcome.seed == self.outcome.scenario.seed else ["--seed", str(self.outcome.seed)]
        return [*([] if len(cell.rows) == usual else [option, str(len(cell.rows))]), *seed]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values."""
        broken: dict[str, list[CensusCell]] = {}
        for cell, limit in self.failing:
            broken.setdefault(limit, []).append(cell)
        return {
            **self.outcome.to_dict(self.command),
            "limits": [limit.text for limit in self.limits],
            "failing": [
                {"limit": limit, "cells": len(cells), "worst": cells[0].name}
                for limit, cells in broken.items()
            ],
            "verdict": self.verdict,
        }

    def to_json(self) -> str:
        """Return what `vrrpsim census --json` prints."""
        from vrrpsim.measure.seconds import to_json

        return to_json(self.to_dict())

    def text(self, width: int = 80, *, top: int | None = 5) -> str:
        """Return the report that `vrrpsim census` prints; of pairs the `top` worst, None: all."""
        from vrrpsim.report.census import report
        from vrrpsim.report.text import Terminal

        return report(self.to_dict(), Terminal(width), top=top)

    def columns(self) -> dict[str, list[Any]]:
        """Return the table by columns, a row a cell, the worst first, with the command that replays it."""
        ranked = self.outcome.ranked
        return self.outcome.columns() | {"command": [self.command(each, each.worst.seed) for each in ranked]}

    def to_pandas(self) -> Any:
        """Return one row a cell as a DataFrame, the worst first, times as floats in seconds."""
        from vrrpsim.report.tables import frame

        columns = self.columns()
        rows = zip(*columns.values(), strict=True)
        return frame(tuple(columns), [dict(zip(columns, row, strict=True)) for row in rows])

    def graph(self) -> networkx.DiGraph[str]:
        """Return which faults the cluster survives: an edge from each fault to the one that comes second."""
        return self.outcome.graph()

    def html(self, path: str | Path | None = None) -> bytes:
        """Return the census as one offline HTML page, and write it to `path`."""
        from vrrpsim.atomic_write import written
        from vrrpsim.report.html.census import census_page

        return written(census_page(self.to_dict(), self.cluster.command("census")), path)

    def write(self, folder: str | Path) -> list[Path]:
        """Write each cell that does harm as a scenario; `vrrpsim run FILE` alone shows its worst run."""
        from vrrpsim.atomic_write import write_whole
        from vrrpsim.explore.census_files import cell_files

        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        text, beside = self.cluster.text(target)
        written = []
        for _, path, content in cell_files(self.outcome, text, beside, target, self.cluster.overrides):
            write_whole(path, content.encode())
            written.append(path)
        return written

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.text())}</pre>"


def take_census(
    cluster: CensusSubject,
    *,
    phases: int,
    pair_phases: int,
    only: Sequence[str] = (),
    fail_on: str = "",
    seed: int | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    progress: Progress | bool | None = None,
) -> Census:
    """Take the census of a cluster; what the arguments mean says `Study.census`."""
    from vrrpsim.explore.census import census as taken
    from vrrpsim.explore.census_result import parse_limits
    from vrrpsim.explore.workers import Workers
    from vrrpsim.report import notebook

    limits = tuple(parse_limits(fail_on)) if fail_on else ()
    with notebook.progress(progress, "runs") as told:
        outcome = taken(
            cluster.scenario,
            phases=phases,
            pair_phases=pair_phases,
            only=only,
            seed=seed,
            workers=Workers(jobs, executor),
            progress=told,
        )
    return Census(outcome, cluster, limits)


def census(
    *sources: str | Path,
    dialect: str | None = None,
    overrides: Mapping[str, str] = NOTHING,
    phases: int = 20,
    pair_phases: int = 4,
    **more: Any,
) -> Census:
    """Take the census of a scenario, or of the keepalived.conf files of a cluster.

    A source is as `init` takes it; the other arguments are those of `Study.census`.
    """
    cluster = read_cluster(*sources, dialect=dialect, overrides=overrides)
    return take_census(cluster, phases=phases, pair_phases=pair_phases, **more)


@dataclass(frozen=True, slots=True)
class Diff:
    """What a change of configuration, or of keepalived's version, does to a cluster."""

    outcome: CensusDiff

    @property
    def verdict(self) -> str:
        """`fail` if anything got worse, `unknown` if it was interrupted, else `pass`."""
        return self.outcome.verdict

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values."""
        return self.outcome.to_dict()

    def to_json(self) -> str:
        """Return what `vrrpsim diff --json` prints."""
        return self.outcome.to_json()

    def text(self, width: int = 80, *, top: int | None = 10) -> str:
        """Return the report that `vrrpsim diff` prints."""
        from vrrpsim.report.census_diff import report
        from vrrpsim.report.text import Terminal

        return report(self.to_dict(), Terminal(width), top=top)

    def markdown(self) -> str:
        """Return the report for a pull request."""
        from vrrpsim.report.census_diff import markdown

        return markdown(self.to_dict())

    def __str__(self) -> str:
        return self.text()

    def _repr_markdown_(self) -> str:
        return self.markdown()


def diff(
    old: str | Path | Sequence[str | Path],
    new: str | Path | Sequence[str | Path],
    *,
    old_dialect: str | None = None,
    new_dialect: str | None = None,
    tolerance: float = 0.1,
    phases: int = 20,
    pair_phases: int = 4,
    seed: int | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    progress: Progress | bool | None = None,
) -> Diff:
    """Compare two configurations of a cluster by the same census, with the same seeds.

    `old` and `new` are folders, scenarios or lists of keepalived.conf files. What differs by no more than
    the fraction `tolerance`, or by a tenth of a second, is the same.
    """
    from vrrpsim.explore.census_diff import census_diff
    from vrrpsim.explore.workers import Workers
    from vrrpsim.report import notebook

    sides = [
        read_cluster(*([words] if isinstance(words, (str, Path)) else words), dialect=dialect).scenario
        for words, dialect in ((old, old_dialect), (new, new_dialect))
    ]
    with notebook.progress(progress, "runs") as told:
        return Diff(
            census_diff(
                *sides,
                phases=phases,
                pair_phases=pair_phases,
                tolerance=tolerance,
                seed=seed,
                workers=Workers(jobs, executor),
                progress=told,
            )
        )


@dataclass(frozen=True, slots=True)
class Advising:
    """What to change in a cluster: the variants that nothing beats, each with its files."""

    outcome: Advice
    cluster: CensusSubject

    def files(self, row: int) -> dict[Path, tuple[str, str]]:
        """Return the old and the new text of each file of a row, the first is 1."""
        from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS
        from vrrpsim.starter.edits import edited_files

        spoken = DIALECTS[self.cluster.dialect] if self.cluster.dialect else DEFAULT_DIALECT
        return edited_files(self.cluster.sources_only, spoken, self.outcome.front[row - 1].overrides)

    def diff(self, row: int) -> str:
        """Return a row as a unified diff of the files, the first is 1."""
        from difflib import unified_diff

        parts = (
            unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), str(file), str(file))
            for file, (old, new) in self.files(row).items()
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for part in parts for line in part)

    def write(self, folder: str | Path, row: int = 1) -> list[Path]:
        """Write the files of a row, the changed ones changed; the first is 1."""
        from vrrpsim.atomic_write import write_whole

        target, new = Path(folder), self.files(row)
        target.mkdir(parents=True, exist_ok=True)
        files = dict.fromkeys(file for file, _ in self.cluster.files)
        names = [file.name for file in files]
        written = []
        for file in files:
            alone = names.count(file.name) == 1
            path = target / (file.name if alone else f"{file.resolve().parent.name}-{file.name}")
            write_whole(path, new[file][1].encode() if file in new else file.read_bytes())
            written.append(path)
        return written

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values, a diff with each row."""
        document = self.outcome.to_dict()
        for number, row in enumerate(document["front"], 1):
            row["row"], row["diff"] = number, self.diff(number)
        command = self.cluster.command("advise", "--row", "1", "--write", "new")
        return document | {"cluster": self.cluster.scenario.name, "command": command}

    def to_json(self) -> str:
        """Return what `vrrpsim advise --json` prints."""
        from vrrpsim.measure.seconds import to_json

        return to_json(self.to_dict())

    def text(self, width: int = 80, *, top: int | None = 8) -> str:
        """Return the report that `vrrpsim advise` prints, of the front the `top` first rows."""
        from vrrpsim.report.advice import report
        from vrrpsim.report.text import Terminal

        return report(self.to_dict(), Terminal(width), top=top)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.text())}</pre>"


def advise(
    *sources: str | Path,
    dialect: str | None = None,
    phases: int = 5,
    seed: int | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    progress: Progress | bool | None = None,
) -> Advising:
    """Try small changes of keepalived.conf files, alone and in pairs, and keep those that nothing beats.

    Nothing is kept that `vrrpsim check` complains of, or that is no change of single lines of the files.
    """
    from vrrpsim.explore.advise import advise as tried
    from vrrpsim.explore.workers import Workers
    from vrrpsim.findings import InputError
    from vrrpsim.keepalived.changes import CannotEdit
    from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS
    from vrrpsim.report import notebook
    from vrrpsim.starter import cluster_of
    from vrrpsim.starter.edits import edited_files

    cluster = read_cluster(*sources, dialect=dialect)
    if cluster.scenario.path is not None:
        raise WantsFiles("advise changes keepalived.conf files; name those of the nodes, not a scenario")
    spoken, names = DIALECTS[dialect] if dialect else DEFAULT_DIALECT, cluster.sources_only
    known = {(each.code, each.message) for each in cluster.scenario.findings}

    def read(overrides: Mapping[str, str]) -> Scenario | None:
        try:
            found = cluster_of(*names, dialect=dialect, overrides=overrides)
            edited_files(names, spoken, overrides)
        except (InputError, CannotEdit):
            return None
        new = {(each.code, each.message) for each in found.findings if str(each.severity) != "info"}
        return None if new - known else found

    with notebook.progress(progress, "runs") as told:
        outcome = tried(
            cluster.scenario,
            read,
            phases=phases,
            seed=seed,
            workers=Workers(jobs, executor),
            progress=told,
        )
    return Advising(outcome, cluster)


class WantsFiles(Exception):
    """A scenario stands where keepalived.conf files are wanted."""

    exit_code = 2
