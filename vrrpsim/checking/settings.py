"""`vrrpsim.toml`, or `[tool.vrrpsim]` in pyproject.toml: what `check` is told by the project.

    ignore = ["VRRP208"]
    fail-on = "warning"
    clusters = [["lb1.conf", "lb2.conf"]]
    [per-path."legacy/*.conf"]
    ignore = ["VRRP2"]

Names of files lead from the folder of the settings.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrrpsim.findings import Finding, InputError, Place, Severity, did_you_mean

from .selection import PathRules, UnknownRule, codes_of

OWN, PROJECT = "vrrpsim.toml", "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the project says; None or empty where it says nothing."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str | None = None
    dialect: str | None = None
    baseline: Path | None = None
    clusters: tuple[tuple[str, ...], ...] = ()
    per_path: tuple[PathRules, ...] = ()


def settings_of(path: Path | None = None) -> Settings:
    """Read the settings at `path`, else those of the nearest folder above that has some."""
    if path is not None:
        return _read(path, _table(path))
    here = Path.cwd()
    for folder in (here, *here.parents):
        for name in (OWN, PROJECT):
            file = folder / name
            if file.is_file() and (table := _table(file)) is not None:
                return _read(file, table)
    return Settings()


def _table(path: Path) -> Mapping[str, Any] | None:
    """Return our part of the file; None if a pyproject.toml has none."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError((_wrong(path, f"cannot be read: {error}"),)) from error
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"line (\d+), column (\d+)", str(error))
        last = path.read_text(encoding="utf-8").count("\n")
        line, col = (int(match[1]), int(match[2])) if match else (max(last, 1), 1)
        message = re.sub(r" \(at .*\)$", "", str(error))
        raise InputError((_wrong(path, message, line, col),)) from error
    if path.name != PROJECT:
        return document
    tool = document.get("tool", {}).get("vrrpsim")
    return tool if isinstance(tool, dict) else None


def _read(path: Path, table: Mapping[str, Any] | None) -> Settings:
    text = path.read_text(encoding="utf-8").split("\n")
    wrong: list[Finding] = []

    def say(key: str, message: str) -> None:
        where = re.compile(rf'^\s*(\[.*)?["\']?{re.escape(key)}\b')
        line = next((at for at, each in enumerate(text, 1) if where.search(each)), 1)
        wrong.append(_wrong(path, f"{key}: {message}", line))

    def taken(source: Mapping[str, Any], known: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        found = {}
        for key, value in source.items():
            if key not in known:
                say(key, f"unknown key{did_you_mean(key, known)}")
                continue
            try:
                found[key.replace("-", "_")] = known[key](value)
            except (TypeError, ValueError, UnknownRule) as error:
                say(key, str(error))
        return found

    folder = path.resolve().parent
    codes: dict[str, Callable[[Any], Any]] = {"select": _codes, "ignore": _codes}

    def per_path(value: Any) -> tuple[PathRules, ...]:
        if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
            raise ValueError('write [per-path."PATTERN"] with select or ignore in it')
        return tuple(PathRules(name, folder, **taken(each, codes)) for name, each in value.items())

    known: dict[str, Callable[[Any], Any]] = {
        **codes,
        "fail-on": _severity,
        "dialect": _dialect,
        "baseline": lambda value: folder / _text(value),
        "clusters": lambda value: tuple(
            tuple(str(folder / file) for file in _texts(c)) for c in _list(value)
        ),
        "per-path": per_path,
    }
    read = Settings(**taken(table or {}, known))
    if wrong:
        raise InputError(tuple(sorted(wrong, key=lambda each: each.place)))
    return read


def _wrong(path: Path, message: str, line: int = 1, col: int = 1) -> Finding:
    return Finding(Place(str(path), line, col), "VRRP026", message)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("needs a list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.60} is no text")
    return value


def _texts(value: Any) -> list[str]:
    return [_text(each) for each in _list(value)]


def _codes(value: Any) -> tuple[str, ...]:
    return codes_of(_texts(value))


def _severity(value: Any) -> str:
    known = [str(each) for each in Severity]
    if value not in known:
        raise ValueError(f"{value!r:.60} is none of {', '.join(known)}")
    return str(value)


def _dialect(value: Any) -> str:
    from vrrpsim.protocol.dialect import DIALECTS

    if value not in DIALECTS:
        raise ValueError(f"{value!r:.60} is none of {', '.join(DIALECTS)}")
    return str(value)
