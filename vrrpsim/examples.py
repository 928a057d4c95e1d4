"""The scenarios that ship with vrrpsim, by name: `haproxy-crash`, `long/a-year-of-loss`.

A wheel carries them as `vrrpsim/example_files`; a checkout has them in `scenarios/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
NAMES_A_FILE = re.compile(r"[^\s,{}\[\]\"']+\.conf\b")


@cache
def folder() -> Path:
    """Return where the examples are; `FileNotFoundError` if this installation has none."""
    for place in (HERE / "example_files", HERE.parent / "scenarios"):
        if (place / "haproxy-crash.yaml").is_file():
            return place
    raise FileNotFoundError("this installation of vrrpsim carries no examples")


def names() -> list[str]:
    """Return the names, those of the top folder first."""
    files = [path.relative_to(folder()).with_suffix("") for path in folder().rglob("*.yaml")]
    return [file.as_posix() for file in sorted(files, key=lambda each: (len(each.parts), each))]


def find(path: str | Path) -> Path:
    """Return `path`; if there is no such file but an example of that name, the example's file."""
    asked = Path(path)
    if (
        asked.suffix in (".yaml", ".yml", ".conf")
        or asked.is_absolute()
        or ".." in asked.parts
        or asked.exists()
    ):
        return asked
    try:
        example = folder() / f"{asked.as_posix()}.yaml"
        return example if example.is_file() else asked
    except (OSError, ValueError):  # no examples here, or no name that a file could have
        return asked


def name_of(path: Path) -> str:
    """Return the name of an example that was found by its name; any other path as it is written."""
    if path.is_absolute() and path.is_relative_to(folder()):
        return path.relative_to(folder()).with_suffix("").as_posix()
    return str(path)


def description(name: str) -> str:
    """Return the sentence of its `description:`."""
    text = (folder() / f"{name}.yaml").read_text(encoding="utf-8")
    found = re.search(r"^description: *(.*(?:\n .*)*)", text, re.MULTILINE)
    return " ".join(found[1].split()).strip("\"'>| ") if found else ""


def files_of(name: str) -> Iterator[Path]:
    """Yield the file of an example and the configurations that it names, relative to `folder()`."""
    scenario = folder() / f"{name}.yaml"
    yield scenario.relative_to(folder())
    for word in dict.fromkeys(NAMES_A_FILE.findall(scenario.read_text(encoding="utf-8"))):
        conf = (scenario.parent / word).resolve()
        if conf.is_file() and conf.is_relative_to(folder().resolve()):
            yield conf.relative_to(folder().resolve())
