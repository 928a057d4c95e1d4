"""Refuse a release whose parts name different versions: `python packaging/version.py v0.1.0`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = {
    "vrrpsim/__init__.py": r'^__version__ = "(.*)"$',
    "CITATION.cff": r"^version: (.*)$",
    "CHANGELOG.md": r"^## (\d\S*)",
}


def versions() -> dict[str, str | None]:
    """Return what each file says; None: nothing yet."""
    found = {}
    for name, pattern in PLACES.items():
        match = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        found[name] = match[1] if match else None
    return found


def wrong(tag: str) -> list[str]:
    """Return a line for each file that does not name the version of the tag."""
    wanted = tag.removeprefix("v")
    return [
        f"{name}: {said or 'no version'}, not {wanted}" for name, said in versions().items() if said != wanted
    ]


if __name__ == "__main__":
    found = wrong(sys.argv[1])
    print("\n".join(found) or "every file names this version")
    sys.exit(bool(found))
