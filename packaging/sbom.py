"""Write a bill of materials: `python packaging/sbom.py [OUT.json]`, CycloneDX 1.6 of vrrpsim.

It lists what is installed in this environment and reached from vrrpsim's own requirements, extras left out.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def bill(root: str = "vrrpsim") -> dict[str, Any]:
    """Return the document."""
    needed: dict[str, list[str]] = {}
    found: dict[str, Distribution] = {}
    waiting = [_key(root)]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if name == _key(root):
                raise
            continue  # for another platform or Python
        needed[name] = sorted(set(_requirements(found[name])))
        waiting += needed[name]
    parts = {name: _component(each) for name, each in sorted(found.items())}
    main = parts.pop(_key(root))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**main, "type": "application"}},
        "components": [*parts.values()],
        "dependencies": [
            {"ref": _reference(found[name]), "dependsOn": [_reference(found[n]) for n in uses if n in found]}
            for name, uses in sorted(needed.items())
        ],
    }


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(of: Distribution) -> Iterator[str]:
    for line in of.requires or ():
        word = NAME.match(line)
        if word and "extra ==" not in line:
            yield _key(word[0])


def _reference(each: Distribution) -> str:
    return f"pkg:pypi/{_key(each.name)}@{each.version}"


def _component(each: Distribution) -> dict[str, Any]:
    licence = each.metadata.get("License-Expression") or each.metadata.get("License") or ""
    told = [{"license": {"name": licence.splitlines()[0]}}] if licence.strip() else []
    return {
        "type": "library",
        "bom-ref": _reference(each),
        "name": each.name,
        "version": each.version,
        "purl": _reference(each),
        "licenses": told,
    }


if __name__ == "__main__":
    text = json.dumps(bill(), indent=2) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
