"""Pairs as operators write them: what `init` makes of them comes true on real daemons, as in the simulator.

`SHAPES=all pytest tests/lab/test_lab_shapes.py` asks them all, a quarter of an hour; else a few are asked.
"""

import os
from pathlib import Path

import pytest
from lab_files import lab, needs_namespaces

import vrrpsim
from vrrpsim.findings import Severity
from vrrpsim.starter import init

HERE = Path(__file__).parent / "shapes"
SHAPES = sorted(folder.name for folder in HERE.iterdir())
FLAWED = {  # what the configuration cannot keep, and the finding that says so
    "source-of-the-other": "VRRP218",
    "strict": "VRRP336",
    "vip-is-node-address": "VRRP221",
}
NO_ANSWER = {"track-process": "the kernel tells no namespace of processes"}
FEW = ("notify-starts", "vip-is-node-address")
ASKED = [shape for shape in SHAPES if shape in FEW or os.environ.get("SHAPES") == "all"]


def scenario_of(shape, folder):
    """Write what `init` makes of a shape."""
    out = folder / "my.yaml"
    return out, init(*sorted((HERE / shape).glob("*.conf")), out=out)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sound_pair_keeps_what_init_expects_and_a_flawed_one_is_called_so(shape, tmp_path):
    out, draft = scenario_of(shape, tmp_path)
    runs = [vrrpsim.load(out).run(seed=seed) for seed in range(1, 6)]
    assert {run.verdict for run in runs} == {"fail" if shape in FLAWED else "pass"}, draft.text
    severe = {each.code for each in draft.findings if each.severity is not Severity.INFO}
    assert FLAWED.get(shape) in {*severe, None}


@needs_namespaces
@pytest.mark.parametrize("shape", [shape for shape in ASKED if shape not in NO_ANSWER])
def test_real_daemons_do_what_is_simulated(shape, tmp_path):
    out, _ = scenario_of(shape, tmp_path)
    done = lab(out, "--runs", 3, "--parallel", 3, "--compare")
    assert done.stdout.splitlines()[-1:] == ["agrees"], f"{done.stdout}\n{done.stderr}"


@needs_namespaces
@pytest.mark.parametrize("shape", NO_ANSWER)
def test_what_the_lab_cannot_do_is_refused(shape, tmp_path):
    out, _ = scenario_of(shape, tmp_path)
    done = lab(out)
    assert done.returncode == 4
    assert NO_ANSWER[shape].split()[-1] in done.stderr
