"""Build wheel and source archive: `python packaging/wheel.py [OUT]`; two builds are the same bytes.

The wheel is pure Python; `--compiled` adds the one for this machine, a minute or three.
`--playground` also builds the page and the wheel of the extra `playground` (needs node and npm).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = (
    "hatchling>=1.24",
    "click>=8.1.7",
    "click-man>=0.5",
    "mypy>=1.19",
    "setuptools>=68",
    "simpy>=4.1.1,<5",
)
CALL = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"


def build(out: Path, *, compiled: bool = False, playground: bool = False) -> list[Path]:
    """Write the archives into a folder; return them."""
    out.mkdir(parents=True, exist_ok=True)
    pure = {"VRRPSIM_PURE": "1"}
    wanted = [(ROOT, "build_wheel", pure), (ROOT, "build_sdist", pure)]
    if compiled:
        wanted.append((ROOT, "build_wheel", {"VRRPSIM_PURE": ""}))
    if playground:
        subprocess.run([sys.executable, str(ROOT / "playground/build.py")], check=True, stdout=sys.stderr)
        wanted.append((ROOT / "playground", "build_wheel", pure))
    with tempfile.TemporaryDirectory() as folder:
        python = _python(Path(folder))
        made = [
            subprocess.run(
                [python, "-c", CALL, what, str(out)],
                cwd=where,
                env=os.environ | settings,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            for where, what, settings in wanted
        ]
    return [out / done.stdout.split()[-1] for done in made]


def _python(folder: Path) -> str:
    """Return a Python that has the tools: this one, or that of an environment for this build."""
    found = subprocess.run([sys.executable, "-c", "import hatchling, click_man"], capture_output=True)
    if found.returncode == 0:
        return sys.executable
    venv.create(folder, with_pip=True)
    python = str(folder / "bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", *TOOLS], check=True)
    return python


if __name__ == "__main__":
    places = [each for each in sys.argv[1:] if not each.startswith("-")]
    wishes = {name: f"--{name}" in sys.argv for name in ("compiled", "playground")}
    for file in build(Path(places[0] if places else ROOT / "dist"), **wishes):
        print(file)
