"""The engine as an extension: the same files, compiled, tell the same history.

All of it is compiled and compared by `tests/compiled.sh`, which CI runs: that takes minutes.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))
from compiled import INTERPRETED, modules

ROOT = Path(__file__).parents[2]
pytest.importorskip("setuptools")
pytest.importorskip("mypyc.build")


def test_what_is_compiled_exists_and_is_hot():
    files = modules(ROOT)
    assert {"vrrpsim/protocol/fsm.py", "vrrpsim/world/calendar.py", "vrrpsim/trace.py"} <= {*files}
    assert all((ROOT / file).is_file() for file in files)
    assert all((ROOT / "vrrpsim" / name).is_file() for name in INTERPRETED)
    assert not any("/cli/" in file or "/report/" in file or "/live/" in file for file in files)


def test_no_tuple_names_a_class_that_comes_later():
    """mypyc reads the types of a NamedTuple's fields when it is defined: a later class crashes the import."""
    for file in modules(ROOT):
        classes = [
            each for each in ast.parse((ROOT / file).read_text()).body if isinstance(each, ast.ClassDef)
        ]
        later = {each.name: each.lineno for each in classes}
        for each in classes:
            if "NamedTuple" in map(ast.unparse, each.bases):
                fields = [field.annotation for field in each.body if isinstance(field, ast.AnnAssign)]
                named = {
                    node.id for field in fields for node in ast.walk(field) if isinstance(node, ast.Name)
                }
                assert not {name for name in named if later.get(name, 0) > each.lineno}, (
                    f"{file}: {each.name}"
                )


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
