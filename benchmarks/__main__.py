"""All figures in one table: `python -m benchmarks [--rounds 5] [TOPIC...]`; a topic is a module here."""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import benchmarks
from benchmarks.harness import Row, show


def topics() -> Iterator[tuple[str, ModuleType]]:
    """Every module that has rows."""
    for found in pkgutil.iter_modules(benchmarks.__path__):
        if found.name[0] != "_":
            module = import_module(f"benchmarks.{found.name}")
            if hasattr(module, "rows"):
                yield found.name, module


def main() -> None:
    """Print the table of all topics or of those named."""
    known = dict(topics())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(known))
    asked = parser.parse_args()
    if unknown := set(asked.topics) - known.keys():
        parser.error(f"no topic {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    def rows() -> Iterator[Row]:
        for name in asked.topics or known:
            yield from known[name].rows(asked.rounds)

    show(rows())


if __name__ == "__main__":
    main()
