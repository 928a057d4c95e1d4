"""The simulator against real keepalived: every measured case, 300 seeds each (DESIGN §10)."""

import json
from concurrent.futures import ProcessPoolExecutor

import pytest
from compare import GROUNDTRUTH, judge, run_case
from trials import outside, run_at_instants_of_trials

CLIENT_STALLS = "the measuring client itself stood still for 60-130 ms, as in trials where nothing happened"
# What does not fit, with its cause; the README lists the same.
KNOWN_DIFFERENCES = {
    ("08b-partition-mcast", "outage_ms"): CLIENT_STALLS,
    ("22-auth-mismatch@2.4.3", "outage_ms"): CLIENT_STALLS,
    (
        "28a-vrid-clash-higher@2.0.20",
        "outage_ms",
    ): "none of six trials shows the five seconds that other versions do in two of three",
    ("37-track-file", "outage_ms"): CLIENT_STALLS,
}
CASES = sorted(path.parent.name for path in GROUNDTRUTH.glob("*/real.json"))


def test_the_cases_are_all_there() -> None:
    assert len(CASES) == 99
    assert (
        sum(len(json.loads((GROUNDTRUTH / case / "real.json").read_text())["trials"]) for case in CASES)
        > 1000
    )


@pytest.mark.parametrize("case", CASES)
def test_simulator_and_keepalived_agree(case: str) -> None:
    rows, misfits = judge(case, run_case(case, range(300)))
    if misfits:  # the few real faults may not have fallen uniformly into an interval
        rows, misfits = judge(case, run_at_instants_of_trials(case, range(300)))
    print(case, "(real | simulated: 5 %, median, 95 %, ms)", *rows, sep="\n")
    unexpected = [name for name in misfits if (case, name) not in KNOWN_DIFFERENCES]
    assert not unexpected, "\n".join(rows)


def test_trials_agree_with_runs_of_their_own_instants() -> None:
    """Chance is gone, so a wrong rule shows in one trial: 97 % lie within 40 runs of the same inputs."""
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip(CASES, pool.map(outside, CASES, [40] * len(CASES)), strict=True))
    trials = sum(len(json.loads((GROUNDTRUTH / case / "real.json").read_text())["trials"]) for case in CASES)
    outsiders = [f"{case} {number}: {text}" for case, many in found.items() for number, text in many]
    assert len(outsiders) <= 0.03 * trials, "\n".join(outsiders)
