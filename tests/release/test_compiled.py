"""The engine as an extension: the same files, compiled, tell the same history.

All of it is compiled and compared by `packaging/wheel.py --compiled` and `packaging/compare_builds.py`, which
the release runs: that takes minutes. Here a part is.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))
from compiled import INTERPRETED, modules

ROOT = Path(__file__).parents[2]
PART = ["vrrpsim/protocol/timers.py", "vrrpsim/protocol/timer_queue.py"]
TOLD = """
import sys
import vrrpsim.protocol.timers as part
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.world import simulate
print(part.__file__.rpartition(".")[2], simulate(load_scenario(sys.argv[1]), seed=1).digest())
"""

pytest.importorskip("setuptools")
pytest.importorskip("mypyc.build")


def told(folder):
    command = [sys.executable, "-c", TOLD, str(ROOT / "scenarios/haproxy-crash.yaml")]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_what_is_compiled_exists_and_is_hot():
    files = modules(ROOT)
    assert {"vrrpsim/protocol/fsm.py", "vrrpsim/world/calendar.py", "vrrpsim/trace.py"} <= {*files}
    assert all((ROOT / file).is_file() for file in files)
    assert all((ROOT / "vrrpsim" / name).is_file() for name in INTERPRETED)
    assert not any("/cli/" in file or "/report/" in file or "/live/" in file for file in files)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_compiled_part_tells_the_same_history(tmp_path):
    command = [sys.executable, str(ROOT / "packaging/compiled.py"), str(tmp_path / "build"), *PART]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert len(done.stdout.split()) == len(PART) + 1  # and what they share
    shutil.copytree(ROOT / "vrrpsim", tmp_path / "own" / "vrrpsim")
    pure = told(tmp_path / "own")
    shutil.copytree(tmp_path / "build" / "lib", tmp_path / "own", dirs_exist_ok=True)
    assert pure[0] == "py"
    assert told(tmp_path / "own") == ["so", pure[1]]


def test_without_a_compiler_the_wheel_is_pure_and_says_why(tmp_path):
    pytest.importorskip("hatchling")
    pytest.importorskip("click_man")
    program = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"VRRPSIM_PURE": "", "CC": "no-such-compiler"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[-1].endswith("-py3-none-any.whl")
    assert "pure Python: " in done.stdout + done.stderr
    assert "no-such-compiler" in done.stdout + done.stderr
