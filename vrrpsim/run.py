"""One run of a scenario: what was asked, what happened, what was measured, and every way to show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrrpsim.command_lines import NOTHING, replay_command
from vrrpsim.trace import Level, Trace

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import networkx as nx

    from vrrpsim.explore.invariants import Invariant, Violation
    from vrrpsim.measure import Result
    from vrrpsim.report.picture import Picture
    from vrrpsim.scenario.model import Scenario


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
        """The command line that repeats this run; of a scenario in Python also how to get its file."""
        if self.scenario.processes:
            return f"scenario.run(seed={self.seed}): no file can say its own processes"
        file = f"{self.scenario.name or 'scenario'}.yaml"
        return (
            replay_command(self.scenario, self.seed, self.overrides)
            or f"scenario.to_yaml({file!r}), then: vrrpsim run {file} --seed {self.seed}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values, times as floats in seconds."""
        values: dict[str, Any] = json.loads(self.to_json())
        return values

    def to_json(self) -> str:
        """Return what `vrrpsim run --json` prints."""
        return self.result.to_json()

    def text(self, width: int = 80) -> str:
        """Return the report that `vrrpsim run` prints."""
        from vrrpsim.report.text import Terminal, report

        return report(self.scenario, self.trace, self.result, command=self.command, look=Terminal(width))

    def plot(self, *, ax: Any = None, figsize: tuple[float, float] | None = None) -> Any:
        """Return a figure of states, owners, clients and faults over time, and the main failover below.

        Its size in inches is what it needs unless `figsize` says it. With `ax` (matplotlib `Axes`) the lanes
        and the faults are drawn there, in the style of the moment: a third of an inch for each lane.
        """
        from vrrpsim.report.figure import draw_on, figure

        if ax is not None:
            return draw_on(ax, self.scenario, self.trace, self.result)
        return figure(self.scenario, self.trace, self.result, figsize)

    def topology(self, at_s: float | None = None) -> Picture:
        """Return a figure of who owns what and what is cut at an instant in seconds; None: at the end."""
        from vrrpsim.report.topology import topology

        at_ns = self.trace.end_ns if at_s is None else round(at_s * 1e9)
        return topology(self.scenario, self.trace, self.result, at_ns)

    def graph(self, at_s: float | None = None) -> nx.MultiGraph[str]:
        """Return the scenario as a networkx graph at an instant in seconds; None: at the end.

        `up` says it of each machine, switch and cable; partitions and losses take nothing down.
        """
        from vrrpsim.report.topology import graph_at

        at_ns = self.trace.end_ns - 1 if at_s is None else round(at_s * 1e9)
        return graph_at(self.scenario, self.result, at_ns)

    def sequence(self, start_s: float | None = None, end_s: float | None = None) -> Picture:
        """Return a ladder of the packets and changes between two instants in seconds.

        Without instants: around the main failover, from the last advert before its fault.
        """
        from vrrpsim.report.sequence import around, sequence

        first_ns, last_ns = around(self.trace, self.result)
        start_ns = first_ns if start_s is None else round(start_s * 1e9)
        end_ns = last_ns if end_s is None else round(end_s * 1e9)
        return sequence(self.scenario, self.trace, self.result, start_ns, end_ns)

    def violations(self, *invariants: str | Invariant) -> dict[str, Violation]:
        """Return which of these invariants broke, by name: those of a hunt if none is given.

        Each is the name of one of them, a function of a run's history of yours, or `package.module:function`.
        """
        from vrrpsim.explore.invariants import BUILT_IN, invariants_named, violations

        return violations(self.scenario, self.trace, invariants_named(invariants or BUILT_IN))

    def pcap(self, path: str | Path | None = None) -> bytes:
        """Return the run as pcapng for Wireshark, and write it to `path`. Takes the time of the run again."""
        from vrrpsim.atomic_write import written
        from vrrpsim.capture import capture

        trace, content = capture(self.scenario, self.seed)
        assert trace.digest() == self.trace.digest(), "the same seed gave another run"
        return written(content, path)

    def perfetto(self, path: str | Path | None = None) -> bytes:
        """Return the run as Chrome's trace format for ui.perfetto.dev, and write it to `path`."""
        from vrrpsim.atomic_write import written
        from vrrpsim.report.perfetto import perfetto

        return written(perfetto(self.scenario, self.trace, self.result), path)

    def html(self, path: str | Path | None = None) -> bytes:
        """Return the run as one offline HTML page, and write it to `path`. Quotes the scenario's file."""
        from vrrpsim.atomic_write import written
        from vrrpsim.report.html.run import run_page

        return written(run_page(self.scenario, self.trace, self.result, self.command), path)

    def to_pandas(self, table: str = "failovers") -> Any:
        """Return one table as a DataFrame, times as floats in seconds; `ImportError` without pandas.

        `failovers`, `tenures`, `dual_master`, `vacancies`, `events`, `expectations` are the lists of the
        JSON document; `clients`, `outages` and `outage_parts` have a row for each client, outage and part
        of one, with its cause and keyword; any record of the trace can be asked for by its name:
        `StateChange`, `TrackerChange`, `AdvertSent`, ….
        """
        from vrrpsim.report.tables import run_table

        return run_table(table, self.result.to_dict(), self.trace)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from vrrpsim.report.cards import run_card

        return run_card(self.scenario, self.trace, self.result, self.command)


def run_scenario(
    scenario: Scenario,
    seed: int | None = None,
    overrides: Mapping[str, str] = NOTHING,
    *,
    level: Level = Level.ADVERTS,
    fast_forward: bool | None = None,
    executor: Executor | None = None,
) -> Run:
    """Run a scenario once in the simulated world and measure it; what the arguments mean says `Study.run`."""
    from vrrpsim.measure import measure
    from vrrpsim.world import simulate

    used = scenario.seed if seed is None else seed
    over = map if executor is None else executor.map
    trace = simulate(scenario, seed=used, level=level, fast_forward=fast_forward, over=over)
    return Run(scenario, used, trace, measure(scenario, trace, seed=used), overrides)
