"""Which rules count: by codes and beginnings of codes, everywhere or in some files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from vrrpsim.findings import Finding, Severity, did_you_mean
from vrrpsim.rules import RULES

from .report import Checked

ALL = "ALL"


class UnknownRule(Exception):
    """A word that begins no code; `str()` says so."""

    exit_code = 2


def codes_of(words: Iterable[str]) -> tuple[str, ...]:
    """Return codes, or beginnings of codes, of words such as `VRRP2`, `vrid-differs` or `ALL`."""
    names = {rule.name: code for code, rule in RULES.items()}
    found = []
    for word in (part.strip() for words_ in words for part in words_.split(",")):
        if not word:
            continue
        code = names.get(word, "" if word.upper() == ALL else word.upper())
        if not any(each.startswith(code) for each in RULES):
            hint = did_you_mean(word, names)
            raise UnknownRule(f"no rule '{word[:60]}'{hint}; `vrrpsim check --list-rules` has them all")
        found.append(code)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class PathRules:
    """What counts in the files that a pattern matches, seen from `folder`."""

    pattern: str
    folder: Path
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def matches(self, file: str) -> bool:
        """Whether the pattern means this file: by its path or its name."""
        path = Path(file).resolve()
        relative = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        return fnmatch(relative.as_posix(), self.pattern) or fnmatch(path.name, self.pattern)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules that count; of a selected and an ignored beginning the longer one decides."""

    select: tuple[str, ...] = ("",)
    ignore: tuple[str, ...] = ()
    per_path: tuple[PathRules, ...] = field(default=())

    @classmethod
    def of(
        cls, select: Iterable[str] = (), ignore: Iterable[str] = (), per_path: Sequence[PathRules] = ()
    ) -> Selection:
        """Make one of words; raises `UnknownRule`."""
        return cls(codes_of(select) or ("",), codes_of(ignore), tuple(per_path))

    def wants(self, code: str, file: str = "") -> bool:
        """Whether a rule counts in a file."""
        here = [each for each in self.per_path if each.matches(file)] if self.per_path and file else []
        ignored = _longest(code, [each for rules in here for each in rules.ignore])
        selected = _longest(code, [each for rules in here for each in rules.select])
        if max(ignored, selected) < 0:
            ignored, selected = _longest(code, self.ignore), _longest(code, self.select)
        return selected > ignored

    def of_file(self, checked: Checked) -> tuple[Finding, ...]:
        """Return the findings of a file that count; what makes it unusable always does."""
        wanted = {(each.code, each.place.file) for each in checked.findings}
        wanted = {pair for pair in wanted if self.wants(*pair)}
        return tuple(
            each
            for each in checked.findings
            if (each.code, each.place.file) in wanted
            or not (checked.readable or each.severity is not Severity.ERROR)
        )


def _longest(code: str, beginnings: Iterable[str]) -> int:
    return max((len(each) for each in beginnings if code.startswith(each)), default=-1)
