"""Findings that are known: a file of them, so that only new ones count."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from vrrpsim.atomic_write import write_whole
from vrrpsim.findings import Finding, InputError, Place

from .report import Checked

VERSION = 1
FOLDER = re.compile(r"(?:[^\s,;:()]*/)(?=[^\s/,;:()]+\.conf\b)")
PLACE = re.compile(r"(?<=[^\s\d]):\d+:\d+\b")
Known = tuple[str, str, str]  # file, code, message


@dataclass(frozen=True, slots=True)
class Baseline:
    """How often each finding is known; lines may move, so they are not part of it."""

    folder: Path  # from which the names of the files lead
    known: Counter[Known] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Read a baseline; raise `InputError` if it is none."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            rows = [
                (each["file"], each["code"], each["message"], each["count"]) for each in document["findings"]
            ]
            known = Counter({(str(f), str(c), str(m)): int(count) for f, c, m, count in rows})
            if document["version"] != VERSION:
                raise ValueError(f"version {document['version']!r} is not {VERSION}")
        except json.JSONDecodeError as error:
            raise _unusable(path, error.msg, error.lineno, error.colno) from error
        except OSError as error:
            raise _unusable(path, f"cannot be read: {error.strerror}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise _unusable(path, f"is no baseline ({error}); --write-baseline makes one") from error
        return cls(path.resolve().parent, known)

    def split(self, files: Iterable[Checked]) -> tuple[list[Checked], int]:
        """Return the files with what is new in each, and how many findings were known."""
        left, count, result = Counter(self.known), 0, []
        for each in files:
            new = []
            for finding in each.findings:
                key = known_as(finding, self.folder) if left else None
                if key is not None and left[key] > 0:
                    left[key] -= 1
                    count += 1
                else:
                    new.append(finding)
            result.append(replace(each, findings=tuple(new)))
        return result, count


def write_baseline(path: Path, findings: Iterable[Finding]) -> int:
    """Write these findings as known; return how many they are."""
    known = Counter(known_as(finding, path.resolve().parent) for finding in findings)
    rows = [
        {"file": file, "code": code, "message": message, "count": count}
        for (file, code, message), count in sorted(known.items())
    ]
    text = json.dumps({"version": VERSION, "findings": rows}, indent=2, ensure_ascii=False)
    write_whole(path, f"{text}\n".encode())
    return sum(known.values())


def known_as(finding: Finding, folder: Path) -> Known:
    """Return what stays the same of a finding when lines are added above it, or the folder moves."""
    file = os.path.relpath(finding.place.file, folder) if finding.place.line else finding.place.file
    return Path(file).as_posix(), finding.code, PLACE.sub("", FOLDER.sub("", finding.message))


def _unusable(path: Path, message: str, line: int = 1, col: int = 1) -> InputError:
    return InputError((Finding(Place(str(path), line, col), "VRRP025", message),))
