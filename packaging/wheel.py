"""Build wheel and source archive: `python packaging/wheel.py [OUT]`; two builds are the same bytes.

`--playground` also builds the page and the wheel of the extra `playground` (needs node and npm).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ("hatchling>=1.24", "click>=8.1.7", "click-man>=0.5")
CALL = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"


def build(out: Path, *, playground: bool = False) -> list[Path]:
    """Write the archives into a folder; return them."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = [(ROOT, "build_wheel"), (ROOT, "build_sdist")]
    if playground:
        subprocess.run([sys.executable, str(ROOT / "playground/build.py")], check=True, stdout=sys.stderr)
        wanted.append((ROOT / "playground", "build_wheel"))
    with tempfile.TemporaryDirectory() as folder:
        python = _python(Path(folder))
        made = [
            subprocess.run(
                [python, "-c", CALL, what, str(out)], cwd=where, check=True, capture_output=True, text=True
            )
            for where, what in wanted
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
    for file in build(Path(places[0] if places else ROOT / "dist"), playground="--playground" in sys.argv):
        print(file)
