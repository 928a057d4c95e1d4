"""What is wrong with keepalived.conf files and scenarios, without running anything: `vrrpsim check`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .baseline import Baseline
from .inputs import Stdin, inputs_of
from .report import Checked, Report
from .selection import Selection

if TYPE_CHECKING:
    from vrrpsim.findings import Severity

__all__ = ["Checked", "Report", "check"]


def check(
    *sources: str | Path,
    dialect: str | None = None,
    config_id: str | None = None,
    clusters: Sequence[Sequence[str | Path]] = (),
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    fail_on: Severity | str = "error",
    baseline: str | Path | None = None,
    selection: Selection | None = None,
    stdin: Stdin | None = None,
) -> Report:
    """Check files, folders and globs, `FILE@ID`, or `-` for the text in `stdin`.

    Files that belong together are judged as one cluster; `clusters` says which do. `select` and `ignore` are
    codes or beginnings of codes. What stands in `baseline` is known and not counted. Nothing is raised for
    what is wrong with the inputs: that is the report.
    """
    from vrrpsim.findings import Severity
    from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS

    from .comments import without_ignored
    from .judge import judge

    wanted = selection or Selection.of(select, ignore)
    texts, inputs = inputs_of(sources, stdin)
    judged = judge(inputs, texts, DIALECTS[dialect] if dialect else DEFAULT_DIALECT, config_id, clusters)
    known = Baseline.read(Path(baseline)) if baseline else Baseline(Path())
    files = []
    for each in judged:
        found = wanted.of_file(each)
        found = without_ignored(found, texts, wanted)
        files.append(replace(each, findings=found))
    new, old = known.split(files)
    return Report(tuple(new), texts, Severity(str(fail_on)), known=old)
