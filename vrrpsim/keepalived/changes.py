"""Change single keywords of a keepalived.conf that has been read, or of its text: `VI_1.advert_int` = `0.5`.

A path is the name of a block (`VI_1`, `chk_haproxy`, `global_defs`), blocks inside it, and a keyword. The
last occurrence is replaced, as the last one counts; a keyword that is not there is added at the block's end.
A value `true` is a keyword without parameters, `false` takes it out, `[a, b]` is a block with a line each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from vrrpsim.findings import Finding, Place, did_you_mean

from .keywords.tables import ALL_TABLES, ROOT
from .keywords.walker import Takes
from .lexer import Row, Statement, Word

NAMED = {word for word, row in ROOT.items() if row.opens}
COMMANDS = {word for table in ALL_TABLES for word, row in table.items() if row.takes is Takes.SCRIPT} | {
    "process"
}
COMMENT = re.compile(r"""\s*[!#][^"]*$""")


class Change(NamedTuple):
    """One keyword and its new value. `anywhere`: another node may be the one that has the block."""

    path: str
    value: str
    place: Place
    anywhere: bool = False


class _Edit(NamedTuple):
    """Rows `start` to `stop` give way to a statement; None: to nothing."""

    start: int
    stop: int
    statement: Statement | None


def changed(rows: Sequence[Row], changes: Iterable[Change]) -> tuple[list[Row], list[Finding], list[Change]]:
    """Return the rows with the changes made, what is wrong with them, and those that found no block."""
    result, findings, missed = list(rows), list[Finding](), list[Change]()
    for change in changes:
        found = _find(result, change)
        if isinstance(found, str):
            if change.anywhere:
                missed.append(change)
            else:
                findings.append(Finding(change.place, "VRRP023", found))
            continue
        result[found.start : found.stop] = [] if found.statement is None else found.statement.rows()
    return result, findings, missed


def _find(rows: Sequence[Row], change: Change) -> _Edit | str:
    """Return what is to be replaced, or why it cannot be."""
    blocks = {name: span for name, span in _blocks(rows, 0, len(rows)) if name}
    name = max((each for each in blocks if change.path.startswith(f"{each}.")), key=len, default=None)
    if name is None:
        first = change.path.partition(".")[0]
        return f"{change.path}: no block '{first}'{did_you_mean(first, blocks)}"
    start, stop = blocks[name]
    *inner, keyword = change.path[len(name) + 1 :].split(".")
    for word in inner:
        inside = [span for head, span in _blocks(rows, start, stop) if head == word]
        if not inside:
            return f"{change.path}: no block '{word}' in {name}"
        start, stop = inside[-1]
    if not keyword or not re.fullmatch(r"\w+", keyword):
        return f"{change.path}: '{keyword}' is no keyword"
    statement = _statement(keyword, change)
    there = [(at, end) for at, end in _statements(rows, start, stop) if rows[at].words[0].text == keyword]
    return _Edit(*there[-1], statement) if there else _Edit(stop, stop, statement)


def _statement(keyword: str, change: Change) -> Statement | None:
    value, place = change.value.strip(), change.place
    head = Word(keyword, place)
    if value == "false":
        return None
    if value in ("true", ""):
        return Statement((head,))
    if value.startswith("[") and value.endswith("]"):
        lines = (each.split() for each in value[1:-1].split(",") if each.strip())
        return Statement(
            (head,), tuple(Statement(tuple(Word(w.strip("\"'"), place) for w in line)) for line in lines)
        )
    words = [value.strip("\"'")] if keyword in COMMANDS else [word.strip("\"'") for word in value.split()]
    return Statement((head, *(Word(word, place) for word in words)))


def _statements(rows: Sequence[Row], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The rows of each statement of a block, its own block included."""
    at = start
    while at < stop:
        end = at + 1
        if end < stop and rows[end].brace == "{":
            end = _closing(rows, end, stop) + 1
        yield at, end
        at = end


def _blocks(rows: Sequence[Row], start: int, stop: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The name and the inner rows of each block."""
    for at, end in _statements(rows, start, stop):
        if end - at < 2:
            continue
        words = rows[at].words
        name = words[1].text if words[0].text in NAMED and len(words) > 1 else words[0].text
        yield name, (at + 2, end - 1)


def _closing(rows: Sequence[Row], opening: int, stop: int) -> int:
    depth = 0
    for at in range(opening, stop):
        depth += {"{": 1, "}": -1}.get(rows[at].brace, 0)
        if not depth:
            return at
    return stop - 1


# --- the text


class CannotEdit(Exception):
    """The text is written in a way that no line of it can simply be exchanged."""


def edited(texts: Mapping[str, str], rows: Sequence[Row], changes: Iterable[Change]) -> dict[str, str]:
    """Return the texts of the files with the changes made, line by line; everything else stays as it is.

    `rows` are those that the files gave. Raises `CannotEdit` where a statement shares its line.
    """
    lines = {file: text.split("\n") for file, text in texts.items()}
    lines_of: dict[tuple[str, int], int] = {}
    for row in rows:
        where = row.words[0].place
        lines_of[where.file, where.line] = lines_of.get((where.file, where.line), 0) + 1
    work: list[tuple[Place, int, list[str]]] = []  # where, how many lines go, what comes
    for change in changes:
        found = _find(rows, change)
        if isinstance(found, str):
            raise CannotEdit(found)
        work.append(_lines(lines, lines_of, rows, found))
    for place, gone, new in sorted(work, key=lambda each: (each[0].file, -each[0].line)):
        lines[place.file][place.line - 1 : place.line - 1 + gone] = new
    return {file: "\n".join(each) for file, each in lines.items()}


def _lines(
    lines: Mapping[str, list[str]],
    lines_of: Mapping[tuple[str, int], int],
    rows: Sequence[Row],
    edit: _Edit,
) -> tuple[Place, int, list[str]]:
    first = rows[edit.start].words[0].place
    if lines_of[first.file, first.line] > 1 + (edit.start < edit.stop and edit.stop - edit.start > 1):
        raise CannotEdit(f"{first}: several statements on one line")
    if edit.start == edit.stop:  # before the closing brace
        before = rows[edit.start - 1].words[0].place
        line = lines[before.file][before.line - 1]
        indent = line[: len(line) - len(line.lstrip())]
        if rows[edit.start - 1].brace == "{":
            indent += "    "
        return first, 0, [indent + each for each in _written(edit.statement)]
    last = rows[edit.stop - 1].words[0].place
    if last.file != first.file:
        raise CannotEdit(f"{first}: the block ends in another file")
    old = lines[first.file][first.line - 1]
    indent, comment = old[: first.col - 1], COMMENT.search(old) if first.line == last.line else None
    new = [indent + each for each in _written(edit.statement)]
    if new and comment:
        new[-1] += comment[0]
    return first, last.line - first.line + 1, new


def _written(statement: Statement | None) -> list[str]:
    if statement is None:
        return []
    head = " ".join(_word(word.text) for word in statement.words)
    if statement.block is None:
        return [head]
    inner = [f"    {' '.join(_word(word.text) for word in line.words)}" for line in statement.block]
    return [f"{head} {{", *inner, "}"]


def _word(text: str) -> str:
    return text if re.fullmatch(r"[^\s\"#!{}]+", text) else f'"{text}"'
