"""What `check` found, as values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrrpsim.findings import Severity
from vrrpsim.rules import RULES

if TYPE_CHECKING:
    from pathlib import Path

    from vrrpsim.findings import Finding, Place
    from vrrpsim.keepalived.members import Member

    from .inputs import Texts

VERSION = 1  # of the JSON
MOST_SHOWN = 1000
WORD = re.compile(r'"[^"]*"?|[^\s{}",\[\]]+')
RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
GOOD, BAD, UNREADABLE = "good", "bad", "unreadable"


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: what it is, what it defines, what is wrong. Not `readable`: nothing more is known of it."""

    file: str
    kind: str
    findings: tuple[Finding, ...]
    readable: bool = True
    instances: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    reads: frozenset[Path] = frozenset()  # files, itself and what it includes, resolved
    cluster: int = 0  # files of one number were compared


@dataclass(frozen=True, slots=True)
class Report:
    """Every file with the findings that count; `known` ones are in the baseline."""

    files: tuple[Checked, ...]
    texts: Texts = field(repr=False)
    fail_on: Severity = Severity.ERROR
    known: int = 0

    @property
    def verdict(self) -> str:
        """`good`, `bad` if some finding is as severe as `fail_on`, or `unreadable`."""
        if any(not each.readable for each in self.files):
            return UNREADABLE
        worst = min((RANK[each.severity] for file in self.files for each in file.findings), default=9)
        return BAD if worst <= RANK[self.fail_on] else GOOD

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, by file and place."""
        return tuple(
            finding
            for each in self.files
            for finding in sorted(each.findings, key=lambda found: (found.place, found.code))
        )

    @property
    def shown(self) -> tuple[Finding, ...]:
        """At most `MOST_SHOWN` of them: of more the worst."""
        found = self.findings
        if len(found) <= MOST_SHOWN:
            return found
        kept = {*sorted(range(len(found)), key=lambda at: (RANK[found[at].severity], at))[:MOST_SHOWN]}
        return tuple(each for at, each in enumerate(found) if at in kept)

    @property
    def left_out(self) -> int:
        """How many are not shown."""
        return len(self.findings) - len(self.shown)

    @property
    def summary(self) -> str:
        """How many files and findings there are."""
        counts = Counter(finding.severity for finding in self.findings)
        parts = [_count(len(self.files), "file")]
        parts += [_count(counts[each], str(each)) for each in RANK if counts[each] or each is Severity.ERROR]
        if self.known:
            parts.append(f"{self.known} known")
        return ", ".join(parts)

    def lines(self) -> Iterator[str]:
        """Yield a line for each finding, as a compiler does, and the count of the rest."""
        yield from map(str, self.shown)
        if self.left_out:
            yield f"and {self.left_out} more, less severe or further down"

    def __str__(self) -> str:
        return "\n".join((*self.lines(), self.summary))

    def end_of(self, place: Place) -> tuple[int, int]:
        """Return line and column behind the word that stands at a place."""
        lines = self.texts.lines(place.file)
        if not 0 < place.line <= len(lines):
            return place.line, place.col
        match = WORD.match(lines[place.line - 1], place.col - 1)
        return place.line, match.end() + 1 if match else place.col + 1

    def to_dict(self) -> dict[str, Any]:
        """Return the document of `vrrpsim check --json`; `version` is that of its shape."""
        shown = {id(finding) for finding in self.shown}
        return {
            "version": VERSION,
            "verdict": self.verdict,
            "known": self.known,
            "left_out": self.left_out,
            "files": [
                {
                    "file": each.file,
                    "kind": each.kind,
                    "cluster": each.cluster,
                    "instances": list(each.instances),
                    "scripts": list(each.scripts),
                    "groups": list(each.groups),
                    "findings": [self._plain(found) for found in each.findings if id(found) in shown],
                }
                for each in self.files
            ],
        }

    def _plain(self, finding: Finding) -> dict[str, Any]:
        line, col = self.end_of(finding.place)
        return {
            "code": finding.code,
            "name": finding.name,
            "severity": str(finding.severity),
            "file": finding.place.file,
            "line": finding.place.line,
            "col": finding.place.col,
            "end_line": line,
            "end_col": col,
            "message": finding.message,
            "url": RULES[finding.code].url,
        }

    def to_json(self) -> str:
        """Return what `vrrpsim check --json` prints."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
