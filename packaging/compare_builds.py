"""Whether two wheels tell the same histories, and how fast: `python packaging/compare_builds.py WHEEL WHEEL`.

Every shipped scenario, seeds 1 to 3, all levels; long ones once. Each wheel runs in a process of its own with
the libraries of this Python. Exit 1 names the scenarios that differ.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PROGRAM = """
import json, sys, time
from pathlib import Path
import vrrpsim.protocol.fsm as engine
from vrrpsim.measure import measure
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import Level
from vrrpsim.world import simulate

digests, trials, began = {}, [], time.process_time()
for path in sorted(Path(sys.argv[1]).rglob("*.yaml")):
    scenario = load_scenario(path)
    long = scenario.duration_ns > 6 * 3600 * 10**9
    for seed in (1,) if long else (1, 2, 3):
        for level in (Level.STATES,) if long else Level:
            name = f"{path.relative_to(sys.argv[1])}, seed {seed}, {level.name.lower()}"
            digests[name] = simulate(scenario, seed=seed, level=level).digest()
all_s = time.process_time() - began
pair = load_scenario(Path(sys.argv[1], "haproxy-crash.yaml"))
for seed in range(200):
    began = time.process_time()
    measure(pair, simulate(pair, seed=seed, level=Level.STATES))
    trials.append(time.process_time() - began)
print(json.dumps([engine.__file__, digests, all_s, sorted(trials)[100] * 1000]))
"""


def told(wheel: Path) -> tuple[str, dict[str, str], float, float]:
    """What the engine is, the digest of each run, seconds for all, milliseconds of a trial (median)."""
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        command = [sys.executable, "-c", PROGRAM, str(Path(folder, "vrrpsim/example_files"))]
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    engine, digests, all_s, trial_ms = json.loads(done.stdout)
    return Path(engine).suffix, digests, all_s, trial_ms


def main(one: str, other: str) -> int:
    """Print what was compared; return the exit code."""
    both = [told(Path(wheel)) for wheel in (one, other)]
    for engine, digests, all_s, trial_ms in both:
        print(f"engine {engine}: {len(digests)} runs in {all_s:.1f} s, a trial of the pair {trial_ms:.2f} ms")
    (_, first, first_s, first_ms), (_, second, second_s, second_ms) = both
    print(f"ratio: all runs {first_s / second_s:.2f}, a trial {first_ms / second_ms:.2f}")
    differ = [name for name in first if first[name] != second.get(name)]
    print(*(f"differs: {name}" for name in differ), sep="\n" if differ else "")
    return int(bool(differ) or first.keys() != second.keys())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
