"""Where a word stands and what is wrong with it: shared by every reader of a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from vrrpsim.rules import RULES, Severity

__all__ = ["SCENARIO", "Finding", "InputError", "Place", "Severity", "did_you_mean"]

SCENARIO = "VRRP501"


class Place(NamedTuple):
    """A position in a file; line and column are 1-based, or 0 where plain values have none."""

    file: str
    line: int
    col: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about one place; `code` is its rule in the catalogue, which says how bad it is."""

    place: Place
    code: str
    message: str
    severity: Severity = field(default=None)  # type: ignore[assignment]  # the rule's, unless said otherwise

    def __post_init__(self) -> None:
        if self.severity is None:
            object.__setattr__(self, "severity", RULES[self.code].severity)

    @property
    def name(self) -> str:
        """The rule's name, such as `weight-cannot-move-the-address`."""
        return RULES[self.code].name

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.code} {self.message}"


class InputError(Exception):
    """An unusable input, with every reason at its place. `str()` is one line per finding, sorted by place.

    Those of a scenario stand without their code, which is the same for all.
    """

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(
            f"{each.place}: {each.message}" if each.code == SCENARIO else str(each) for each in self.findings
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest known word, or "" if none is near."""
    import difflib  # only where something is wrong

    if len(word) > 100:  # difflib is quadratic, and nobody meant this
        return ""
    close = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0.7)
    return f"; did you mean '{close[0]}'?" if close else ""
