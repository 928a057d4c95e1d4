"""Simulator against real keepalived, case by case: the quantities of groundtruth/README, both samples, KS.

    python tests/fidelity/compare.py [-n 300] [-j 2] [CASE …]      # prints the table
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy
from scipy.stats import ks_2samp

from vrrpsim.config.scenario import Scenario, load_scenario
from vrrpsim.trace import AddressChange, Fault, Level, NodeChange, Reachability, Trace
from vrrpsim.world import simulate

GROUNDTRUTH = Path(__file__).parent.parent / "groundtruth"
QUANTITIES = ("failover_ms", "dual_ms", "gap_ms", "outage_ms")
NEARLY_EQUAL_MS = 30.0


def ownership(trace: Trace, address: str) -> list[tuple[int, tuple[str, ...]]]:
    """[(instant, owners)] at each change, as the ground truth's `timeline` (nodes that are up)."""
    has: set[str] = set()
    on: dict[str, bool] = {}
    changes: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    for record in trace.records:
        if isinstance(record, AddressChange) and record.address == address:
            (has.add if record.present else has.discard)(record.node)
        elif isinstance(record, NodeChange):
            on[record.node] = record.state == "on"
        else:
            continue
        owners = tuple(sorted(node for node in has if on.get(node, True)))
        if owners != changes[-1][1]:
            changes.append((record.at_ns, owners))
    return changes


def quantities(scenario: Scenario, trace: Trace, observe_s: float) -> dict[str, object]:
    """One simulated trial in the ground truth's terms."""
    faults = (record.at_ns for record in trace.records if isinstance(record, Fault))
    start_ns = next(faults, 21_000_000_000)  # the control case has none
    end_ns = min(start_ns + round(observe_s * 1e9), trace.end_ns)
    [client] = scenario.clients.values()
    changes = ownership(trace, str(client.target[0]))
    before = [owners for at_ns, owners in changes if at_ns < start_ns][-1]
    after = [(at_ns, owners) for at_ns, owners in changes if start_ns <= at_ns < end_ns]
    spans = [(start_ns, before), *after, (end_ns, ())]
    dual_ns = gap_ns = takes = 0
    failover_ns = None
    for (from_ns, owners), (to_ns, _) in zip(spans, spans[1:], strict=False):
        dual_ns += (to_ns - from_ns) * (len(owners) > 1)
        gap_ns += (to_ns - from_ns) * (len(owners) == 0)
    last = before
    for at_ns, owners in after:
        takes += len(set(owners) - set(last))
        if failover_ns is None and set(owners) - set(before):
            failover_ns = at_ns - start_ns
        last = owners
    return {
        "failover_ms": None if failover_ns is None else failover_ns / 1e6,
        "dual_ms": dual_ns / 1e6,
        "gap_ms": gap_ns / 1e6,
        "outage_ms": _outage_ms(trace, client.every_ns, start_ns, end_ns),
        "takes": takes,
        "final": "+".join(last) or "-",
    }


def _outage_ms(trace: Trace, every_ns: int, start_ns: int, end_ns: int) -> float | None:
    """Longest time between two answered requests minus the period; None if one is open at the end."""
    reachable, since = False, 0
    windows: list[tuple[int, int]] = []
    for record in trace.records:
        if isinstance(record, Reachability) and record.reachable != reachable:
            if reachable:
                windows.append((since, record.at_ns))
            reachable, since = record.reachable, record.at_ns
    if reachable:
        windows.append((since, end_ns))
    answered: list[tuple[int, int]] = []
    for from_ns, to_ns in windows:
        first, last = -(-from_ns // every_ns) * every_ns, (to_ns - 1) // every_ns * every_ns
        if first <= last:
            answered.append((first, min(last, end_ns)))
    gaps = [
        (later[0] - earlier[1] - every_ns) / 1e6
        for earlier, later in zip(answered, answered[1:], strict=False)
        if earlier[1] >= start_ns - every_ns and later[0] <= end_ns
    ]
    if answered and answered[-1][1] < end_ns - 2 * every_ns:
        return None
    return max((gap for gap in gaps if gap > 0), default=0.0)


def run_case(case: str, seeds: range) -> list[dict[str, object]]:
    """Simulate one case for each seed."""
    scenario = load_scenario(GROUNDTRUTH / case / "scenario.yaml")
    observe_s = json.loads((GROUNDTRUTH / case / "real.json").read_text())["observe_s"]
    return [
        quantities(scenario, simulate(scenario, seed=seed, level=Level.STATES), observe_s) for seed in seeds
    ]


def same(real: list[float], simulated: list[float]) -> tuple[bool, float]:
    """Indistinguishable by Kolmogorov–Smirnov, or nearly deterministic and within 30 ms."""
    if not real and not simulated:
        return True, 1.0
    if not real or not simulated:
        return False, 0.0
    p = float(ks_2samp(real, simulated).pvalue)
    near = all(
        abs(float(numpy.quantile(real, q)) - float(numpy.quantile(simulated, q))) <= NEARLY_EQUAL_MS
        for q in (0.05, 0.5, 0.95)
    )
    return p >= 0.01 or near, p


def judge(case: str, simulated: list[dict[str, object]]) -> tuple[list[str], list[str]]:
    """Table rows and misfits of one case."""
    real = json.loads((GROUNDTRUTH / case / "real.json").read_text())["trials"]
    rows, misfits = [], []
    for name in QUANTITIES:
        a = [trial[name] for trial in real if trial[name] is not None]
        b = [trial[name] for trial in simulated if trial[name] is not None]
        ok, p = same(a, b)  # type: ignore[arg-type]
        rows.append(f"  {name:12} {_spread(a)} | {_spread(b)}  p={p:.3f} {'ok' if ok else 'MISFIT'}")
        if not ok:
            misfits.append(name)
    for name in ("final", "takes"):
        share = _overlap([t[name] for t in real], [t[name] for t in simulated])
        ok = share >= 0.95 or _explainable([t[name] for t in real], [t[name] for t in simulated])
        a, b = Counter(t[name] for t in real), Counter(t[name] for t in simulated)
        rows.append(f"  {name:12} {dict(a)} | {dict(b)}  overlap={share:.2f} {'ok' if ok else 'MISFIT'}")
        if not ok:
            misfits.append(name)
    return rows, misfits


def _overlap(real: list[object], simulated: list[object]) -> float:
    """The share of trials that two discrete samples have in common."""
    a, b = Counter(real), Counter(simulated)
    return sum(min(a[key] / len(real), b[key] / len(simulated)) for key in a)


def _explainable(real: list[object], simulated: list[object]) -> bool:
    """Small real samples of a random count: the real sample is a plausible draw from the simulated one."""
    b = Counter(simulated)
    n = len(real)
    rng = numpy.random.default_rng(1)
    keys = sorted({*map(str, simulated), *map(str, real)})
    share = numpy.array([sum(v for k, v in b.items() if str(k) == key) / len(simulated) for key in keys])
    mine = numpy.array([sum(1 for value in real if str(value) == key) / n for key in keys])
    distance = float(numpy.abs(mine - share).sum())
    draws = rng.multinomial(n, share, size=2000) / n
    return float((numpy.abs(draws - share).sum(axis=1) >= distance).mean()) >= 0.01


def _spread(sample: list[object]) -> str:
    if not sample:
        return f"{'none':>34}"
    low, middle, high = (float(numpy.quantile(sample, q)) for q in (0.05, 0.5, 0.95))  # type: ignore[arg-type]
    return f"{low:10.1f} {middle:10.1f} {high:10.1f} n={len(sample):<4}"


def main() -> int:
    """Print the table; exit 1 if a case does not fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("-n", type=int, default=300)
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    cases = arguments.cases or sorted(p.parent.name for p in GROUNDTRUTH.glob("*/real.json"))
    bad = 0
    print("case / quantity   real: 5 % median 95 %   |   simulated: 5 % median 95 %   (ms)")
    with ProcessPoolExecutor(arguments.j) as pool:
        results = pool.map(run_case, cases, [range(arguments.n)] * len(cases))
        for case, simulated in zip(cases, results, strict=True):
            rows, misfits = judge(case, simulated)
            bad += bool(misfits)
            print(case, "ok" if not misfits else "MISFIT: " + " ".join(misfits))
            print("\n".join(rows), flush=True)
    print(f"{len(cases) - bad} of {len(cases)} cases fit")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
