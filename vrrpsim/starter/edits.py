"""The keepalived.conf files of a cluster with some keywords changed, as texts that differ only there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vrrpsim.findings import InputError
from vrrpsim.keepalived.changes import CannotEdit, edited
from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.protocol.dialect import Dialect

from .machines import SourceNode, changes_of, read_machines


def edited_files(
    sources: Sequence[str | Path], dialect: Dialect, overrides: Mapping[str, str]
) -> dict[Path, tuple[str, str]]:
    """Return the old and the new text of each file that `--set` paths change.

    Raises `CannotEdit` where no line can simply be exchanged, or where the text would mean something else.
    """
    machines = read_machines(sources, dialect)
    changes, wrong = changes_of([machine.name for machine in machines], overrides)
    if wrong:
        raise InputError(tuple(wrong))
    wanted = {each.name: each.compiled.config for each in read_machines(sources, dialect, overrides)}
    texts: dict[Path, str] = {machine.file: machine.file.read_text("utf-8") for machine in machines}
    new = dict(texts)
    for machine in machines:
        rows = machine.compiled.rows
        mine = [
            change
            for change in changes.get(machine.name, [])
            if not change.anywhere or any(change.path.startswith(f"{each}.") for each in _blocks(machine))
        ]
        file = str(machine.file)
        if any(row.words[0].place.file != file for row in rows):
            raise CannotEdit(f"{file}: includes other files")
        if new[machine.file] == texts[machine.file]:  # else another node has changed the same file
            new[machine.file] = edited({file: texts[machine.file]}, rows, mine)[file]
        meant = compile_text(
            new[machine.file],
            file=file,
            base=machine.file.parent,
            config_id=machine.config_id or machine.name,
            dialect=dialect,
        )
        if meant.config != wanted[machine.name]:
            raise CannotEdit(f"{file}: the changed text would mean something else")
    return {file: (text, new[file]) for file, text in texts.items() if text != new[file]}


def _blocks(machine: SourceNode) -> tuple[str, ...]:
    compiled = machine.compiled
    return ("global_defs", *compiled.instances, *compiled.groups, *compiled.scripts)
