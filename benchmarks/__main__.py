"""All figures in one table: `python -m benchmarks [--rounds 5] [TOPIC...]`; a topic is a module here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.harness import Row, show


def topics() -> list[str]:
    """Every module that has rows; it is imported when it is asked for, and may need more than the others."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem for file in files if "\ndef rows(" in file.read_text(encoding="utf-8")]


def main() -> None:
    """Print the table of all topics or of those named."""
    known = topics()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(known))
    asked = parser.parse_args()
    if unknown := set(asked.topics).difference(known):
        parser.error(f"no topic {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    def rows() -> Iterator[Row]:
        for name in asked.topics or known:
            yield from import_module(f"benchmarks.{name}").rows(asked.rounds)

    show(rows())


if __name__ == "__main__":
    main()
