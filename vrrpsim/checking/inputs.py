"""Which texts are asked about: files, folders, globs, FILE@ID, standard input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vrrpsim.keepalived.sources import source_of

SCENARIOS = (".yaml", ".yml")
GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Stdin:
    """A text that is no file, under the name that its findings bear; without one it is in no folder."""

    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """One node's configuration, or one scenario. `problem`: why there is none."""

    file: Path
    config_id: str | None = None
    text: str | None = None  # None: it is in the file
    base: Path | None = None
    problem: str = ""
    expanded: bool = False  # from a folder or a glob

    @property
    def name(self) -> str:
        """How it was named."""
        return f"{self.file}@{self.config_id}" if self.config_id else str(self.file)

    @property
    def is_scenario(self) -> bool:
        """Whether its name is that of a scenario."""
        return self.file.suffix in SCENARIOS


@dataclass(slots=True)
class Texts:
    """The lines of every file that a finding points into, read once."""

    given: dict[str, str] = field(default_factory=dict)
    _lines: dict[str, Sequence[str]] = field(default_factory=dict)

    def text(self, file: str) -> str:
        """Return the text of a file, "" if it has none."""
        if file in self.given:
            return self.given[file]
        try:
            data = Path(file).read_bytes() if Path(file).is_file() else b""
        except (OSError, ValueError):
            return ""
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def lines(self, file: str) -> Sequence[str]:
        """Return its lines."""
        if file not in self._lines:
            self._lines[file] = self.text(file).split("\n")
        return self._lines[file]


def inputs_of(sources: Iterable[str | Path], stdin: Stdin | None) -> tuple[Texts, list[Input]]:
    """Return what the words name, each thing once."""
    texts, found = Texts(), {}
    for source in sources:
        for each in _named(source, stdin):
            found[each.name] = each
            if each.text is not None:
                texts.given[each.name] = each.text
    return texts, [*found.values()]


def _named(source: str | Path, stdin: Stdin | None) -> Iterator[Input]:
    from vrrpsim.examples import find

    if str(source) == "-" and stdin is not None:
        name = Path(stdin.name or "-")
        yield Input(name, text=stdin.text, base=name.parent if stdin.name else None)
        return
    file, config_id = source_of(source)
    if not file.exists() and config_id is None:
        file = find(file)
    if file.is_dir():
        inside = sorted(path for path in file.rglob("*.conf") if not _hidden(path.relative_to(file)))
        yield from (Input(path, config_id, expanded=True) for path in inside)
        if not inside:
            yield Input(file, problem="has no *.conf in it")
    elif GLOB.search(str(file)) and not file.exists():
        matching = sorted(path for path in _matching(file) if path.is_file())
        yield from (Input(path, config_id, expanded=True) for path in matching)
        if not matching:
            yield Input(file, problem="matches no file")
    else:
        yield Input(file, config_id)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _matching(pattern: Path) -> Iterator[Path]:
    base = Path(pattern.anchor or ".")
    try:
        yield from base.glob(str(pattern.relative_to(pattern.anchor) if pattern.anchor else pattern))
    except (ValueError, NotImplementedError, OSError):
        return
