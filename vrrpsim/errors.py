"""The one exception of the readers: an input that cannot be used, with every reason at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vrrpsim.findings import Finding


class InputError(Exception):
    """An unusable input. `str()` is one line per finding, sorted by place."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(f"{finding.place}: {finding.message}" for finding in self.findings)
