"""The hot modules as a C extension: mypyc compiles the very files, so there is one engine and one source.

`python packaging/compiled.py FOLDER [FILE...]` writes it below FOLDER; a wheel gets it from `hatch_build.py`.
It takes minutes and a C compiler. What is not hot stays as it is: command line, files, reports.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDERS = ("protocol", "world", "measure")
FILES = (
    "trace.py",
    "recording.py",
    "scenario/addressing.py",
    "scenario/random_streams.py",
    "explore/trial.py",
)
INTERPRETED = (
    "protocol/addresses.py",  # subclasses of the standard library's
    "protocol/reasons.py",  # an Enum with a `__new__` of its own is not for mypyc (2.4)
    "protocol/configuration.py",  # a compiled frozen dataclass cannot be unpickled, and these go to workers
    "protocol/dialect.py",
)
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def modules(root: Path) -> list[str]:
    """The files that are compiled, from the root of the working copy."""
    package = root / "vrrpsim"
    found = [file for name in FOLDERS for file in sorted((package / name).glob("*.py"))]
    left = {package / name for name in INTERPRETED}
    files = [file for file in found if file.name != "__init__.py" and file not in left]
    return [str(file.relative_to(root)) for file in (*files, *(package / name for name in FILES))]


def compiled(root: Path, out: Path, only: Sequence[str] = ()) -> list[Path]:
    """Compile below `out` and return what was written; some files only are compiled in haste, to try.

    What is missing or goes wrong is an Exception whose text is one line, before much time is lost if there is
    no compiler. mypyc's own words go nowhere but into that line.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    out.mkdir(parents=True, exist_ok=True)
    _try_the_compiler(out)
    said = io.StringIO()
    with contextlib.chdir(root), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            extensions = mypycify(
                list(only or modules(root)),
                opt_level="0" if only else "2",
                debug_level="0",
                target_dir=str(out / "c"),
            )
            for extension in extensions if os.name == "posix" else ():
                extension.extra_compile_args.append("-fvisibility=hidden")  # calls within it go nowhere else
            command = build_ext(Distribution({"name": "vrrpsim", "ext_modules": extensions}))
            command.build_lib, command.build_temp = str(out / "lib"), str(out / "o")
            command.ensure_finalized()
            command.run()
        except SystemExit as error:  # how mypyc ends where it finds an error
            last = said.getvalue().strip().rpartition("\n")[2]
            raise RuntimeError(f"mypyc: {last or error}") from error
    return sorted((out / "lib").rglob(f"*{SUFFIX}"))


def _try_the_compiler(folder: Path) -> None:
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    source = folder / "nothing.c"
    source.write_text("#include <Python.h>\nPyMODINIT_FUNC PyInit_nothing(void) { return NULL; }\n")
    command = build_ext(Distribution({"ext_modules": [Extension("nothing", [str(source)])]}))
    command.build_lib = command.build_temp = str(folder / "tried")
    with _silence():
        command.ensure_finalized()
        command.run()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """A compiler writes past Python's streams."""
    with tempfile.TemporaryFile() as nowhere:
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
            yield
        finally:
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)


if __name__ == "__main__":
    for path in compiled(Path(__file__).parents[1], Path(sys.argv[1]).absolute(), sys.argv[2:]):
        print(path, flush=True)
    os._exit(0)  # what mypy knows takes as long to tear down as to build
