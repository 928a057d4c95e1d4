"""Simulator against real keepalived, case by case: the quantities of groundtruth/README, both samples, KS.

python tests/fidelity/compare.py [-n 300] [-j 2] [CASE …]      # every quantity, both samples
python tests/fidelity/compare.py --markdown                    # one row a case, for docs/fidelity.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy

from vrrpsim.explore.comparison import plausible, same
from vrrpsim.measure.outages import Outage, client_view
from vrrpsim.measure.ownership import Span, ownerships
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Fault, Level, Reachability, Trace
from vrrpsim.world import simulate

GROUNDTRUTH = Path(__file__).parent.parent / "groundtruth"
QUANTITIES = ("failover_ms", "dual_ms", "gap_ms", "outage_ms")
NEARLY_EQUAL_MS = 30.0
TEXT_HEAD = "case / quantity   real: 5 % median 95 %   |   simulated: 5 % median 95 %   (ms)"
MARKDOWN_HEAD = """\
| case | real trials | failover | two owners | no owner | client outage | final owner | fits |
|---|---|---|---|---|---|---|---|"""


def quantities(scenario: Scenario, trace: Trace, observe_s: float) -> dict[str, object]:
    """One simulated trial in the ground truth's terms, from the first operation for `observe_s`."""
    start_ns = fault_ns(trace, observe_s)
    end_ns = min(start_ns + round(observe_s * 1e9), trace.end_ns)
    [(name, client)] = scenario.clients.items()
    [ownership, *_] = ownerships(trace.records, trace.end_ns, [str(client.target[0])])
    before = set(ownership.line.at(start_ns - 1))
    begun = [tenure for tenure in ownership.tenures if start_ns <= tenure.start_ns < end_ns]
    new = [tenure.start_ns for tenure in begun if tenure.node not in before]
    changes = [record for record in trace.records if isinstance(record, Reachability)]
    view = client_view(name, changes, client.every_ns, end_ns)
    outages = [outage for outage in view.outages if outage.end_ns > start_ns]
    return {
        "failover_ms": (new[0] - start_ns) / 1e6 if new else None,
        "dual_ms": _within_ms(ownership.dual_master, start_ns, end_ns),
        "gap_ms": _within_ms(ownership.vacancies, start_ns, end_ns),
        "outage_ms": None
        if any(_open(outage, client.every_ns) for outage in outages)
        else _longest_ms(outages),
        "takes": len(begun),
        "final": "+".join(sorted(ownership.line.at(end_ns - 1))) or "-",
    }


def fault_ns(trace: Trace, observe_s: float) -> int:
    """When the operation called `fault` began, or the last `observe_s` where there is none."""
    faults = (r.at_ns for r in trace.records if isinstance(r, Fault) and r.name == "fault")
    return next(faults, trace.end_ns - round(observe_s * 1e9))


def _within_ms(spans: tuple[Span, ...], start_ns: int, end_ns: int) -> float:
    """How much of the spans lies in the observation."""
    return sum(max(0, min(s.end_ns, end_ns) - max(s.start_ns, start_ns)) for s in spans) / 1e6


def _open(outage: Outage, every_ns: int) -> bool:
    """Still without answers at the end, for more than a request or two."""
    return not outage.ended and outage.length_ns > 2 * every_ns


def _longest_ms(outages: list[Outage]) -> float:
    return max((outage.length_ns / 1e6 for outage in outages if outage.ended), default=0.0)


def run_case(case: str, seeds: range) -> list[dict[str, object]]:
    """Simulate one case for each seed."""
    scenario = load_scenario(GROUNDTRUTH / case / "scenario.yaml")
    observe_s = json.loads((GROUNDTRUTH / case / "real.json").read_text())["observe_s"]
    return [
        quantities(scenario, simulate(scenario, seed=seed, level=Level.STATES), observe_s) for seed in seeds
    ]


def judge(case: str, simulated: list[dict[str, object]]) -> tuple[list[str], list[str]]:
    """Table rows and misfits of one case."""
    real = json.loads((GROUNDTRUTH / case / "real.json").read_text())["trials"]
    rows, misfits = [], []
    for name in QUANTITIES:
        a = [trial[name] for trial in real if trial[name] is not None]
        b = [trial[name] for trial in simulated if trial[name] is not None]
        ok, p = same(a, b, NEARLY_EQUAL_MS)  # type: ignore[arg-type]
        rows.append(f"  {name:12} {_spread(a)} | {_spread(b)}  p={p:.3f} {'ok' if ok else 'MISFIT'}")
        if not ok:
            misfits.append(name)
    for name in ("final", "takes"):
        ok, share = plausible([t[name] for t in real], [t[name] for t in simulated])
        a, b = Counter(t[name] for t in real), Counter(t[name] for t in simulated)
        rows.append(f"  {name:12} {dict(a)} | {dict(b)}  overlap={share:.2f} {'ok' if ok else 'MISFIT'}")
        if not ok:
            misfits.append(name)
    return rows, misfits


def markdown_row(case: str, simulated: list[dict[str, object]], misfits: list[str]) -> str:
    """Medians of real and simulated trials, and whether everything fits."""
    document = json.loads((GROUNDTRUTH / case / "real.json").read_text())
    cells = [f"{case}: {document['note']}", str(len(document["trials"]))]
    for name in QUANTITIES:
        real = [trial[name] for trial in document["trials"] if trial[name] is not None]
        ours = [trial[name] for trial in simulated if trial[name] is not None]
        cells.append(" / ".join(f"{float(numpy.median(s)):.0f}" if s else "–" for s in (real, ours)))
    real_final = Counter(trial["final"] for trial in document["trials"]).most_common(1)[0][0]
    our_final = Counter(trial["final"] for trial in simulated).most_common(1)[0][0]
    cells.append(f"{real_final} / {our_final}")
    cells.append("yes" if not misfits else "**no**: " + ", ".join(misfits))
    return "| " + " | ".join(cells) + " |"


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
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    cases = arguments.cases or sorted(p.parent.name for p in GROUNDTRUTH.glob("*/real.json"))
    bad = 0
    print(MARKDOWN_HEAD if arguments.markdown else TEXT_HEAD)
    with ProcessPoolExecutor(arguments.j) as pool:
        results = pool.map(run_case, cases, [range(arguments.n)] * len(cases))
        for case, simulated in zip(cases, results, strict=True):
            rows, misfits = judge(case, simulated)
            if misfits:
                from trials import run_at_instants_of_trials

                simulated = run_at_instants_of_trials(case, range(arguments.n))
                rows, misfits = judge(case, simulated)
            bad += bool(misfits)
            if arguments.markdown:
                print(markdown_row(case, simulated, misfits), flush=True)
                continue
            print(case, "ok" if not misfits else "MISFIT: " + " ".join(misfits))
            print("\n".join(rows), flush=True)
    print(f"\n{len(cases) - bad} of {len(cases)} cases fit")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
