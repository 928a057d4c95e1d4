"""`# vrrpsim: ignore[CODE] reason`: a finding that somebody has looked at.

At the end of a line it means that line, alone on a line the next one that says something, and `ignore-file`
means the whole file. `!` begins a comment, too, as in keepalived.conf.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vrrpsim.findings import Finding, Place

from .inputs import Texts
from .selection import Selection, UnknownRule, codes_of

COMMENT = re.compile(r"[#!]\s*vrrpsim:\s*(?P<rest>.*)")
IGNORE = re.compile(r"ignore(?P<file>-file)?\[(?P<codes>[^\]]*)\]")


@dataclass(slots=True)
class _Ignored:
    """What the comments of one file say: codes by line, line 0 for the file; and what they have met."""

    codes: dict[int, list[tuple[str, Place]]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[Finding] = field(default_factory=list)
    used: set[tuple[str, Place]] = field(default_factory=set)

    def takes(self, finding: Finding) -> bool:
        here = [
            each
            for line in (0, finding.place.line)
            for each in self.codes.get(line, ())
            if finding.code.startswith(each[0])
        ]
        self.used.update(here)
        return bool(here)


def without_ignored(findings: Sequence[Finding], texts: Texts, selection: Selection) -> tuple[Finding, ...]:
    """Leave out what comments ignore; add what is wrong with the comments."""
    files = dict.fromkeys(each.place.file for each in findings)
    said = {file: ignored for file in files if (ignored := _read(file, texts.lines(file))) is not None}
    if not said:
        return tuple(findings)
    kept = [each for each in findings if each.place.file not in said or not said[each.place.file].takes(each)]
    for file, ignored in said.items():
        kept += (each for each in ignored.wrong if selection.wants(each.code, file))
    return tuple(kept)


def _read(file: str, lines: Sequence[str]) -> _Ignored | None:
    found = None
    for number, line in enumerate(lines, 1):
        if "vrrpsim:" not in line or not (comment := COMMENT.search(line)):
            continue
        found = found or _Ignored()
        place = Place(file, number, comment.start() + 1)
        match = IGNORE.match(comment["rest"])
        if match is None:
            message = f"'{comment['rest'][:60]}' is not ignore[CODE] or ignore-file[CODE]"
            found.wrong.append(Finding(place, "VRRP005", message))
            continue
        try:
            codes = codes_of([match["codes"]])
        except UnknownRule as error:
            found.wrong.append(Finding(place, "VRRP005", str(error)))
            continue
        if not codes:
            found.wrong.append(Finding(place, "VRRP005", "ignore[] names no rule"))
        alone = not line[: comment.start()].strip()
        target = 0 if match["file"] else _next(lines, number) if alone else number
        found.codes[target] += [(code, place) for code in codes]
    return found


def _next(lines: Sequence[str], number: int) -> int:
    """Return the number of the next line that is neither empty nor a comment."""
    following: Iterable[tuple[int, str]] = enumerate(lines[number:], number + 1)
    return next((at for at, line in following if line.strip()[:1] not in ("", "#", "!")), number)
