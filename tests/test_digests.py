"""Every shipped scenario tells the history that it told, at every level of its trace.

tests/digests.json was written at 3e1fdaf: a list of digests a file, one for each of the seeds 1
to 3. A mend of the model may change some; the commit then says which mechanism explains each, and
`VRRPSIM_UPDATE_RECORDED=1 pytest tests/test_digests.py` writes them anew.
"""

import json
import os
from pathlib import Path

import pytest

from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.trace import Level
from vrrpsim.world import simulate

ROOT = Path(__file__).parents[1]
RECORDED = Path(__file__).with_name("digests.json")
FILES = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.glob("scenarios/**/*.yaml"))}
LONG_NS = 6 * 3600 * 10**9  # of such a scenario only the states are asked for, once


def digests(path):
    scenario = load_scenario(path)
    long = scenario.duration_ns > LONG_NS
    found = []
    for seed in (1,) if long else (1, 2, 3):
        levels = (Level.STATES,) if long else tuple(Level)
        [digest] = {simulate(scenario, seed=seed, level=level).digest() for level in levels}
        found.append(digest)
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_history_is_the_recorded_one(name):
    known = json.loads(RECORDED.read_text(encoding="utf-8"))
    found = digests(FILES[name])
    if os.environ.get("VRRPSIM_UPDATE_RECORDED"):
        RECORDED.write_text(
            json.dumps({**known, name: found}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        return
    assert found == known[name]


def test_only_scenarios_that_exist_are_recorded():
    assert json.loads(RECORDED.read_text(encoding="utf-8")).keys() == FILES.keys()
