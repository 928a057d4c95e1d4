"""The library: `vrrpsim.load(path).run(seed=7)`. Nouns and numbers are those of the command line."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vrrpsim.trace import Level, Trace

if TYPE_CHECKING:
    from vrrpsim.config.scenario import Scenario
    from vrrpsim.measure import Result

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what was asked, what happened, what was measured."""

    scenario: Scenario
    seed: int
    trace: Trace
    result: Result
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `unknown`."""
        return self.result.verdict

    @property
    def command(self) -> str:
        """The command line that repeats this run; "" if the scenario came from no file."""
        from shlex import join

        if self.scenario.path is None:
            return ""
        changes = [word for path, value in self.overrides.items() for word in ("--set", f"{path}={value}")]
        return join(["vrrpsim", "run", str(self.scenario.path), "--seed", str(self.seed), *changes])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values."""
        return self.result.to_dict()

    def to_json(self) -> str:
        """Return what `vrrpsim run --json` prints."""
        return self.result.to_json()

    def text(self, width: int = 80) -> str:
        """Return the report that `vrrpsim run` prints."""
        from vrrpsim.report.text import Look, report

        return report(self.scenario, self.trace, self.result, command=self.command, look=Look(width))

    def to_pandas(self, table: str = "failovers") -> Any:
        """Return one list of the document, such as `failovers`, as a DataFrame with times as floats."""
        import pandas as pd  # type: ignore[import-untyped]  # optional: the notebook extra

        rows = self.to_dict()[table]
        frame = pd.DataFrame([{key: row[key] for key in row if key != "governed_by"} for row in rows])
        times = [name for name in frame.columns if name.endswith("_s")]
        return frame.astype(dict.fromkeys(times, float))

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text(100))}</pre>"


@dataclass(frozen=True, slots=True)
class Study:
    """A scenario to be asked questions; `overrides` are the `--set`s it was read with."""

    scenario: Scenario
    overrides: Mapping[str, str] = field(default_factory=dict)

    def run(self, seed: int | None = None, *, level: Level = Level.ADVERTS) -> Run:
        """Run it once; without a seed with the scenario's own."""
        from vrrpsim.measure import measure
        from vrrpsim.world import simulate

        used = self.scenario.seed if seed is None else seed
        trace = simulate(self.scenario, seed=used, level=level)
        return Run(self.scenario, used, trace, measure(self.scenario, trace, seed=used), self.overrides)


def load(path: str | Path, overrides: Mapping[str, str] = NOTHING) -> Study:
    """Read a scenario; raise `InputError` with everything that is wrong with it."""
    from vrrpsim.config.scenario import load_scenario

    return Study(load_scenario(path, overrides=overrides), overrides)
