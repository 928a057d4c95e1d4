"""Whether what real clusters did is what simulated ones do: two samples, one rule, quantity by quantity.

Times agree if Kolmogorov and Smirnov's test cannot tell the samples apart (p ≥ 0.01), or if median and
5–95 % range are within 30 ms: what hardly varies need not be equal to the microsecond. Counts and owners
agree if the samples have 95 % in common, or if the real one is a plausible draw from the simulated one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from vrrpsim.measure.result import measure
from vrrpsim.measure.seconds import optional_seconds
from vrrpsim.scenario.event_order import drawn_ns
from vrrpsim.scenario.model import Node, Scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.scenario.random_streams import Streams
from vrrpsim.trace import Fault, FaultEnd, Level, NodeChange, ProcessChange, StateChange, Trace
from vrrpsim.world import simulate

from .trial import row

LEAST_P = 0.01
NEAR_NS = 30_000_000
IN_COMMON = 0.95
TIMES = ("failover", "return", "outage", "dual_master", "vacancy")
RANGE = (0.05, 0.5, 0.95)


class Shown(NamedTuple):
    """What one run showed: times in ns (None: nothing to measure), moves, owners at the end.

    What was not over when the run ended counts as far as it went: the horizon is the same for both.
    """

    times: tuple[int | None, ...]  # in the order of TIMES
    moves: str
    final: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity of both samples, and whether they agree."""

    name: str
    real: tuple[Any, ...]
    simulated: tuple[Any, ...]
    p: float
    agrees: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: quantiles of times, shares of anything else."""
        return {
            "real": _summary(self.name, self.real),
            "simulated": _summary(self.name, self.simulated),
            "p": round(self.p, 4),
            "agrees": self.agrees,
        }


def shown(scenario: Scenario, trace: Trace) -> Shown:
    """Measure one run, real or simulated."""
    result = measure(scenario, trace)
    values = row(scenario, trace, result)
    times = tuple(sample.value if (sample := values.get(name)) is not None else None for name in TIMES)
    owners = ("+".join(sorted(each.line.owners[-1])) or "nobody" for each in result.ownerships)
    moves = values.get("moves")
    return Shown(times, str(moves.value if moves else 0), ", ".join(owners))


def at_its_instants(scenario: Scenario, seed: int, trace: Trace | None = None) -> Scenario:
    """The scenario with the starts and events of one seed: what is alike in each run of it.

    With the `trace` of a real run machines boot and daemons start as fast as they did there.
    """
    streams = Streams(seed)
    events = tuple(
        replace(event, at=event.at._replace(plus=Distribution.fixed(drawn_ns(streams, event))))
        for event in scenario.events
    )
    nodes = {}
    for name, node in scenario.nodes.items():
        daemon = node.keepalived
        if daemon is not None and isinstance(daemon.starts, Distribution):
            starts_ns = streams.draw_ns(daemon.starts, f"starts/{name}/keepalived")
            daemon = replace(daemon, starts=Distribution.fixed(starts_ns))
        nodes[name] = replace(node, keepalived=daemon)
        if trace is not None:
            nodes[name] = _as_fast_as(nodes[name], name, trace)
    return replace(scenario, events=events, nodes=nodes)


def _as_fast_as(node: Node, name: str, trace: Trace) -> Node:
    """A machine with the paces of a real one: its boots after their events, its daemon after each exec.

    A first start that took another time than the later ones is that much earlier or later.
    """
    boots: list[int] = []
    starts: list[int] = []
    event_ns, exec_ns = 0, None
    for record in trace.records:
        match record:
            case Fault(at_ns=at_ns) | FaultEnd(at_ns=at_ns):
                event_ns = at_ns
            case NodeChange(at_ns=at_ns, node=owner, state="on") if owner == name and at_ns:
                boots.append(at_ns - event_ns)
            case ProcessChange(at_ns=at_ns, node=owner, process="keepalived", state=state) if owner == name:
                exec_ns = at_ns if state == "starting" else exec_ns
            case StateChange(at_ns=at_ns, node=owner, old="INIT") if owner == name and exec_ns is not None:
                starts.append(at_ns - exec_ns)
                exec_ns = None  # until the next one: the other instances begin at the same instant
    daemon = node.keepalived
    if daemon is not None and starts:
        pace = Distribution("choice", tuple(starts[1:] or starts))
        daemon = replace(daemon, starts_up=pace)
        if isinstance(daemon.starts, Distribution):
            first_ns = daemon.starts.mean_ns + starts[0] - pace.mean_ns
            daemon = replace(daemon, starts=Distribution.fixed(max(0, first_ns)))
    if boots and not node.boots.high_ns:
        node = replace(node, boots=Distribution("choice", tuple(boots)))
    return replace(node, keepalived=daemon)


def simulated(scenario: Scenario, seeds: Iterable[int]) -> list[Shown]:
    """Simulate the scenario once for each seed."""
    return [shown(scenario, simulate(scenario, seed=seed, level=Level.STATES)) for seed in seeds]


def compare(real: Sequence[Shown], ours: Sequence[Shown]) -> list[Comparison]:
    """Compare every quantity that either sample has."""
    found = []
    for place, name in enumerate(TIMES):
        a, b = (
            tuple(t for each in sample if (t := each.times[place]) is not None) for sample in (real, ours)
        )
        if a or b:
            ok, p = same(a, b, NEAR_NS)
            found.append(Comparison(name, a, b, p, ok))
    for name in ("moves", "final"):
        a, b = (tuple(getattr(each, name) for each in sample) for sample in (real, ours))
        ok, p = plausible(a, b)
        found.append(Comparison(name, a, b, p, ok))
    return found


def same(real: Sequence[float], ours: Sequence[float], near: float) -> tuple[bool, float]:
    """Whether two samples of a time agree, and Kolmogorov and Smirnov's p; `near` is in their unit."""
    import numpy
    from scipy.stats import ks_2samp

    if not real and not ours:
        return True, 1.0
    if not real or not ours:
        return False, 0.0
    p = float(ks_2samp(real, ours).pvalue)
    close = all(abs(float(numpy.quantile(real, q)) - float(numpy.quantile(ours, q))) <= near for q in RANGE)
    return p >= LEAST_P or close, p


def plausible(real: Sequence[object], ours: Sequence[object]) -> tuple[bool, float]:
    """Whether two samples of something countable agree, and what they have in common (0..1)."""
    a, b = Counter(map(str, real)), Counter(map(str, ours))
    common = sum(min(a[key] / len(real), b[key] / len(ours)) for key in a)
    return common >= IN_COMMON or _explained(a, b), common


def _explained(real: Counter[str], ours: Counter[str]) -> bool:
    """Small samples of a random count: the real one is no less likely than 1 % of draws from the other."""
    import numpy

    n, keys = real.total(), sorted({*real, *ours})
    share = numpy.array([ours[key] / ours.total() for key in keys])
    distance = float(numpy.abs(numpy.array([real[key] / n for key in keys]) - share).sum())
    draws = numpy.random.default_rng(1).multinomial(n, share, size=2000) / n
    return float((numpy.abs(draws - share).sum(axis=1) >= distance).mean()) >= LEAST_P


def _summary(name: str, sample: Sequence[Any]) -> dict[str, Any]:
    import numpy

    if name not in TIMES:
        return dict(Counter(sample).most_common())
    low, middle, high = ((round(float(numpy.quantile(sample, q))) if sample else None) for q in RANGE)
    quantiles = {"p5_s": low, "p50_s": middle, "p95_s": high}
    return {"n": len(sample), **{key: optional_seconds(value) for key, value in quantiles.items()}}


def told(comparisons: Sequence[Comparison], runs: int, simulations: int) -> list[str]:
    """Both samples side by side, and in the last line whether they agree."""
    left, right = f"real ({runs})", f"simulated ({simulations})"
    lines = [f"{'5 % / median / 95 %':20} {left:34} {right:34} p"]
    for each in comparisons:
        cells = (_cell(each.name, sample) for sample in (each.real, each.simulated))
        mark = "" if each.agrees else "  DIFFERS"
        lines.append(f"{each.name:20} {next(cells):34} {next(cells):34} {each.p:.3f}{mark}")
    return [*lines, verdict(comparisons)]


def verdict(comparisons: Sequence[Comparison]) -> str:
    """`agrees`, or `differs:` and in what."""
    differing = [each.name for each in comparisons if not each.agrees]
    return "differs: " + ", ".join(differing) if differing else "agrees"


def _cell(name: str, sample: Sequence[Any]) -> str:
    import numpy

    if name not in TIMES:
        return ", ".join(f"{value} ({count})" for value, count in Counter(sample).most_common(4))
    if not sample:
        return "never"
    cells = (f"{float(numpy.quantile(sample, q)) / 1e9:.3f}" for q in RANGE)
    return " / ".join(cells) + f" s  n={len(sample)}"
