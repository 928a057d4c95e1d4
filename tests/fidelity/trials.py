"""Each recorded trial with its own instants: chance is gone, so a wrong rule shows in one trial.

python tests/fidelity/trials.py [-n 40] [-j 2] [CASE …]      # which trials lie outside, and by how much

What the recording tells of a trial's inputs is set: how old the last advert was at the fault (`last_adv_ms`),
the phase of the check (`detect_ms`), when the second node started or the second one died (`timeline`). The
rest stays chance. A trial agrees if each quantity lies in the range of N runs of these inputs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from typing import Any

from compare import GROUNDTRUTH, NEARLY_EQUAL_MS, QUANTITIES, quantities

from vrrpsim.scenario.events import Event, When
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import AddressChange, AdvertSent, Fault, Level, Trace, TrackerChange
from vrrpsim.world import simulate

Trial = Mapping[str, Any]
MS = 1_000_000
CLIENT_STALLS_MS = 100.0  # the measuring client's own: seen where the owner never changed (30a, 38a, 29)


def outside(case: str, runs: int) -> list[tuple[int, list[str]]]:
    """The trials of a case that lie outside, by number from 0, each with what does."""
    document = json.loads((GROUNDTRUTH / case / "real.json").read_text())
    scenario = load_scenario(GROUNDTRUTH / case / "scenario.yaml")
    adverts = cache(partial(_adverts, scenario))  # of most seeds they are not asked
    found = []
    for number, trial in enumerate(document["trials"]):
        scenario_of = _Inputs(scenario, trial, document["observe_s"])
        ours: list[dict[str, object]] = []
        differences: list[str] = []
        for seed in range(runs):
            own = scenario_of(seed, adverts(seed))
            if own is not None:
                trace = simulate(own, seed=seed, level=Level.STATES)
                ours.append(quantities(own, trace, document["observe_s"]))
            differences = list(_differences(trial, ours))
            if not differences:
                break  # what lies within some runs lies within more
        if differences:
            found.append((number, differences))
    return found


def run_at_instants_of_trials(case: str, seeds: range) -> list[dict[str, Any]]:
    """Simulate one case with the inputs of its trials, each in turn: faults fall as they fell in reality."""
    document = json.loads((GROUNDTRUTH / case / "real.json").read_text())
    scenario = load_scenario(GROUNDTRUTH / case / "scenario.yaml")
    inputs = [_Inputs(scenario, trial, document["observe_s"]) for trial in document["trials"]]
    found = ((seed, inputs[seed % len(inputs)](seed, _adverts(scenario, seed))) for seed in seeds)
    return [
        quantities(own, simulate(own, seed=seed, level=Level.STATES), document["observe_s"])
        for seed, own in found
        if own is not None
    ]


def _differences(trial: Trial, ours: list[dict[str, Any]]) -> Iterator[str]:
    for name in QUANTITIES:
        values = [each[name] for each in ours if each[name] is not None]
        real = trial[name]
        near_ms = CLIENT_STALLS_MS if name == "outage_ms" else NEARLY_EQUAL_MS
        if real is None:
            if len(values) == len(ours):
                yield f"{name} none, simulated always"
        elif not values or not min(values) - near_ms <= real <= max(values) + near_ms:
            span = f"{min(values):.0f}..{max(values):.0f}" if values else "none"
            yield f"{name} {real:.0f}, simulated {span}"
    for name in ("takes", "final"):
        if trial[name] not in {each[name] for each in ours}:
            yield f"{name} {trial[name]}, simulated {sorted({str(each[name]) for each in ours})}"


def _adverts(scenario: Scenario, seed: int) -> dict[str, list[int]]:
    """When each node sends adverts in a run that nothing disturbs: what comes before a fault is the same."""
    fault = next((event for event in scenario.events if event.name == "fault"), None)
    if fault is None or fault.verb == "start":
        return {}
    calm = replace(
        scenario,
        events=tuple(event for event in scenario.events if event.name.startswith("start-")),
        duration_ns=_bounds(fault)[1],
    )
    sent: dict[str, list[int]] = {}
    for record in simulate(calm, seed=seed, level=Level.ADVERTS).records:
        if isinstance(record, AdvertSent):
            sent.setdefault(record.node, []).append(record.at_ns)
    return sent


class _Inputs:
    """The scenario with the inputs of one trial."""

    def __init__(self, scenario: Scenario, trial: Trial, observe_s: float) -> None:
        self.scenario, self.trial, self.observe_s = scenario, trial, observe_s
        self.detected: int | None = None  # which of the possible faults shows the check in the trial's phase

    def __call__(self, seed: int, adverts: Mapping[str, list[int]]) -> Scenario | None:
        """For one seed; None where its adverts have no instant like the trial's."""
        scenario, last_ms = _second(self.scenario, self.trial), self.trial.get("last_adv_ms")
        owner = self.trial["timeline"][0][1]
        fault = next((event for event in scenario.events if event.name == "fault"), None)
        if fault is None or last_ms is None or owner not in adverts:
            return scenario
        low_ns, high_ns = _bounds(fault)
        instants = (at_ns - round(last_ms * MS) for at_ns in sorted(set(adverts[owner])))
        faults = [at_ns for at_ns in instants if low_ns <= at_ns < high_ns]
        if not faults:
            return None
        if self.detected is None:
            self.detected = self._phase(seed, scenario, faults)
        if self.detected < 0:
            return _at(scenario, "fault", faults[seed % len(faults)])
        return _at(scenario, "fault", faults[self.detected % len(faults)])

    def _phase(self, seed: int, scenario: Scenario, faults: list[int]) -> int:
        """Which fault is detected as late as the trial's; -1: that does not matter."""
        detect_ms = self.trial.get("detect_ms")
        if detect_ms is None:
            return -1
        late_ms = [_detection_ms(simulate(_at(scenario, "fault", at), seed=seed)) for at in faults]
        seen = [(abs(each - detect_ms), number) for number, each in enumerate(late_ms) if each is not None]
        return min(seen)[1] if seen else -1


def _detection_ms(trace: Trace) -> float | None:
    fault = next(r for r in trace.records if isinstance(r, Fault) and r.name == "fault")
    for record in trace.records:
        if isinstance(record, TrackerChange) and record.at_ns > fault.at_ns:
            return (record.at_ns - fault.at_ns) / MS
    return None


def _second(scenario: Scenario, trial: Trial) -> Scenario:
    """The instant of the operation that follows the fault, where the owners tell it."""
    second = next((event for event in scenario.events if event.name == "op-1"), None)
    if second is None or second.target is None or second.target.node is None:
        return scenario
    node, line = second.target.node, [(at, owners.split("+")) for at, owners in trial["timeline"]]
    if second.verb == "power_off":
        had = next((k for k, (_, owners) in enumerate(line) if node in owners), None)
        lost = (
            next((at for at, owners in line[had:] if node not in owners), None) if had is not None else None
        )
        return _at(scenario, "op-1", round(lost * MS)) if lost is not None and lost > 0 else scenario
    before = scenario.events[second.index - 1]
    if second.verb == "start" and before.verb == "start" and before.target is not None:
        nodes = (str(before.target.node), node)
        begins = [next((at for at, owners in line if each in owners), None) for each in nodes]
        if None not in begins:
            probe_ns = 1_000_000_000
            apart_ns = _apart_ns(_at(scenario, "op-1", probe_ns), nodes)
            offset_ns = round((begins[1] - begins[0]) * MS) - (apart_ns - probe_ns)
            return _at(scenario, "op-1", max(offset_ns, 0))
    return scenario


def _apart_ns(scenario: Scenario, nodes: tuple[str, str]) -> int:
    """How much later the second node begins to own an address than the first one."""
    begins: dict[str, int] = {}
    for record in simulate(scenario, level=Level.STATES).records:
        if isinstance(record, AddressChange) and record.present:
            begins.setdefault(record.node, record.at_ns)
    return begins[nodes[1]] - begins[nodes[0]]


def _at(scenario: Scenario, name: str, at_ns: int) -> Scenario:
    """The scenario with an event at this instant of the run, or so long after the event that it follows."""
    events = tuple(
        replace(event, at=When(Distribution.fixed(at_ns), event.at.after)) if event.name == name else event
        for event in scenario.events
    )
    return replace(scenario, events=events)


@cache
def _bounds(fault: Event) -> tuple[int, int]:
    low, high = fault.at.plus.parameters
    return int(low), int(high)


def main() -> int:
    """Print what lies outside."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("-n", type=int, default=40)
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    cases = arguments.cases or sorted(path.parent.name for path in GROUNDTRUTH.glob("*/real.json"))
    total = bad = 0
    with ProcessPoolExecutor(arguments.j) as pool:
        for case, found in zip(cases, pool.map(outside, cases, [arguments.n] * len(cases)), strict=True):
            total += len(json.loads((GROUNDTRUTH / case / "real.json").read_text())["trials"])
            bad += len(found)
            for number, differences in found:
                print(f"{case} trial {number}: {'; '.join(differences)}", flush=True)
    print(f"\n{total - bad} of {total} trials agree ({1 - bad / total:.1%})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
