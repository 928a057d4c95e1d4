"""The wheel as a user has it: installed in an environment and a folder of its own."""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a folder to work in."""

    wheel: Path
    prefix: Path
    folder: Path

    def run(self, line, check=True, folder=None, **environment):
        """Run a command line in a folder, by default its own; with `check` only exit code 0 is good."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder or self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                "PATH": f"{self.prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "PYTHONIOENCODING": "utf-8",
                "HOME": str(folder or self.folder),
                **environment,
            },
        )
        assert not check or done.returncode == 0, f"{line}\n{done.stdout[-800:]}{done.stderr[-2000:]}"
        return done


def build(folder):
    """Build the wheel of this working copy; return its path."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=ROOT,
        env=os.environ | {"VRRPSIM_PURE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return folder / done.stdout.split()[-1]


def install(wheel, folder):
    """Install it where nothing of vrrpsim is; what it needs is borrowed from this environment."""
    prefix = folder / "environment"
    venv.create(prefix, symlinks=True)
    [own] = (prefix / "lib").glob("python*/site-packages")
    borrowed = [
        path
        for path in sys.path
        if "site" in Path(path).name and not Path(path, "vrrpsim/__init__.py").exists()
    ]
    own.joinpath("borrowed.pth").write_text("\n".join(borrowed))
    pip = [sys.executable, "-m", "pip", "--python", str(prefix / "bin/python"), "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--force-reinstall", str(wheel)], check=True)
    work = folder / "work"
    work.mkdir()
    return Installed(wheel, prefix, work)


def examples_of(text):
    """The command lines of a help text's examples."""
    return [
        line.partition(" #")[0].strip()
        for line in text.partition("Example")[2].splitlines()
        if line.lstrip().startswith("vrrpsim ")
    ]
