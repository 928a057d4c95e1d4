r"""keepalived.conf as text -> rows of words, each word with its place (keepalived.md §6.1, LX-1 … LX-18).

A row is what keepalived's own line reader hands to its keyword tables: the words before a brace, or one
brace alone. Which braces form a block depends on the keywords (LX-8), so the rows stay flat here and
`keywords` walks them. Comments are stripped twice, before and after substitution, as parent and children
do it: that alone explains the quirks of `\#` (LX-4) and of an unquoted `${_HASH}`.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vrrpsim.findings import Finding, Place

MAX_FILE_BYTES = 1 << 20
MAX_FILES = 1000
MAX_INCLUDED_BYTES = 4 << 20  # a megabyte of empty lines takes a second
MAX_ROWS = 200_000  # ~SEQ and nested definitions multiply
MAX_LINE = 1 << 13  # characters of a line, before and after substitution
MAX_WORK = 1 << 26  # characters moved by substitution
MAX_DEPTH = 50  # of ~SEQ in ~SEQ and of definitions in definitions

BLANKS = " \t\r\f\v"
SECRET_KEYWORDS = frozenset({"auth_pass", "key"})

_SPECIAL = re.compile(r'["#!\\]')
_WORD = re.compile(r'"([^"]*)("?)|[^ \t\r\f\v"]+')
_BRACE = re.compile(r'["{}\\]')
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_HIDDEN = re.compile("[\x80-\x9f\u202a-\u202e\u2066-\u2069]")  # a terminal obeys them, or turns words round
CONFINE = "VRRPSIM_CONFINE"  # in the environment, so that it holds in workers too
_INCLUDE = re.compile(r"include([rmwba]?)(?=[ \t])")
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=")
_REFERENCE = re.compile(
    r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<args>[^{}]*)\}"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)(?=[ \t,)]|$))",
    re.MULTILINE,
)
_REPEAT = re.compile(r"~(SEQx?|LST)\(")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}\Z")


class Word(NamedTuple):
    """One word, unquoted, and where it stands."""

    text: str
    place: Place
    quoted: bool = False


class Row(NamedTuple):
    """The words up to a brace or the end of the line, or one brace alone. Never empty.

    `raw` is the text with its quotes, for script commands (LX-19); None if the words did not come from
    text. `cut` marks a comment glued to the last word (LX-2); `secret` rows are never quoted in findings.
    """

    words: tuple[Word, ...]
    raw: str | None = None
    cut: bool = False
    secret: bool = False

    @property
    def brace(self) -> str:
        """`{` or `}` if the row is that brace, else the empty string."""
        word = self.words[0]
        return word.text if word.text in ("{", "}") and not word.quoted else ""


class Statement(NamedTuple):
    """A line and its block, for readers of other notations (YAML).

    `Statement((Word("priority", p), Word("100", p)))` is `priority 100`; a block is the tuple of its
    lines, `Statement((Word("virtual_ipaddress", p),), (Statement((Word("10.0.0.1", p),)),))`.
    A command is one Word with blanks in it. A flag set to nothing is a Statement of one word.
    """

    words: tuple[Word, ...]
    block: tuple[Statement, ...] | None = None

    def rows(self) -> Iterator[Row]:
        """Yield the rows that the same statement gives when written in keepalived.conf."""
        words = tuple(Word(word.text, word.place, True) for word in self.words)
        yield Row(words, secret=words[0].text in SECRET_KEYWORDS)
        if self.block is not None:
            yield Row((Word("{", words[0].place),))
            for statement in self.block:
                yield from statement.rows()
            yield Row((Word("}", words[0].place),))


class _Text(NamedTuple):
    """Characters and the column each came from; a substituted character keeps its reference's column."""

    chars: str
    cols: Sequence[int]

    def cut(self, start: int, end: int | None = None) -> _Text:
        return _Text(self.chars[start:end], self.cols[start:end])

    def strip(self) -> _Text:
        start = len(self.chars) - len(self.chars.lstrip(BLANKS))
        return self.cut(start, len(self.chars.rstrip(BLANKS)))

    @property
    def col(self) -> int:
        return self.cols[0] if self.cols else 1


@dataclass(slots=True, eq=False, repr=False)
class _File:
    """The file being read and the line in it, for places and `${_PWD}`."""

    name: str
    base: Path | None
    line: int = 0


def confined() -> bool:
    """Whether files outside the folder of the one that names them are refused: `vrrpsim --confine`."""
    return bool(os.environ.get(CONFINE))


class _TooMuch(Exception):
    """A limit was reached: what was read so far stands, the rest is dropped."""


@dataclass(slots=True, eq=False, repr=False)
class Lexer:
    """Collects rows and findings of one configuration with all its includes."""

    config_id: str | None = None
    seed: int | str = 0
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    asks_id: bool = False  # an `@id` line or `${_INSTANCE}` was met
    _definitions: dict[str, str] = field(default_factory=dict)
    _open_definition: str | None = None  # LX-14: the name being continued
    _open_files: list[Path] = field(default_factory=list)
    _home: Path | None = None  # the first file's folder
    _foreign: bool = False  # what is being read lies outside of it: its words are not quoted
    _files: int = 0
    _work: int = 0
    _included: int = 0  # bytes
    _file: _File = field(default_factory=lambda: _File("", None))
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}/_RANDOM")

    def read_file(self, path: Path, name: str | None = None) -> bool:
        """Read a file and what it includes; False and a finding if it is unusable."""
        return self._guarded(name or str(path), lambda: self._read_file(path, name or str(path)))

    def read_text(self, text: str, name: str, base: Path | None) -> bool:
        """Read a text that stands in the file `name`; includes are relative to `base`."""
        return self._guarded(name, lambda: self._read_text(text, name, base))

    def _guarded(self, name: str, read: Callable[[], bool]) -> bool:
        try:
            return read()
        except _TooMuch as limit:
            self._at(Place(name, 1, 1), "VRRP002", str(limit))
            return False

    def _read_file(self, path: Path, name: str) -> bool:
        problem, text = _load(path)
        if problem:
            self._at(Place(name, 1, 1), "VRRP001", problem)
            return False
        outer = self._home, self._foreign
        if not self._open_files:
            self._home = path.resolve().parent
        self._open_files.append(path.resolve())
        self._foreign = self._lies_outside(path)
        usable = self._read_text(text, name, path.parent)
        self._open_files.pop()
        self._home, self._foreign = outer
        return usable

    def _lies_outside(self, path: Path) -> bool:
        return self._home is not None and not path.resolve().is_relative_to(self._home)

    def _read_text(self, text: str, name: str, base: Path | None) -> bool:
        if problem := _unreadable(text):
            self._at(Place(name, 1, 1), "VRRP001", problem)
            return False
        outer, self._file = self._file, _File(name, base)
        for number, line in enumerate(text.split("\n"), 1):
            self._file.line = number
            self._physical_line(_Text(line, range(1, len(line) + 1)))
        self._file = outer
        return True

    def finish(self) -> None:
        """Report unbalanced braces (LX-5)."""
        depth = 0
        for row in self.rows:
            if row.brace == "{":
                depth += 1
            elif row.brace == "}":
                if depth == 0:
                    self._at(row.words[0].place, "VRRP101", "extra '}' found")
                else:
                    depth -= 1
        if depth:
            place = self.rows[-1].words[0].place
            message = f"{depth} '}}' missing at the end of the configuration"
            self._at(place, "VRRP101", message)

    # --- physical lines

    def _physical_line(self, raw: _Text) -> None:
        if len(raw.chars) > MAX_LINE:
            self._report(1, "VRRP002", f"the line is longer than {MAX_LINE} characters: ignored")
            return
        text, glued, _ = _without_comment(raw, unescape=True)
        text = self._without_hidden(text.strip())
        if self._open_definition is not None:
            self._continue_definition(text)
        elif not text.chars:
            return
        elif match := _INCLUDE.match(text.chars):
            self._include(text.cut(match.end()).strip(), match[1])
        else:
            if "include" in text.chars and re.match(
                r"(@\S*[ \t]+|\$\S+[ \t]+)include[rmwba]?[ \t]", text.chars
            ):
                self._report(text.col, "VRRP011", "an include after @id or $NAME is not processed")
            self._logical_line(text, glued=glued)

    def _without_hidden(self, text: _Text) -> _Text:
        """Comments may hold what they like; what else is in a file is quoted to people, on terminals."""
        if text.chars.isascii() or not (found := _HIDDEN.search(text.chars)):
            return text
        column = text.cols[found.start()]
        self._report(column, "VRRP001", _holds(found))
        return _Text(_HIDDEN.sub("?", text.chars), text.cols)

    def _continue_definition(self, text: _Text) -> None:
        assert self._open_definition is not None
        more = text.chars.endswith("\\")
        line = text.chars[:-1].rstrip(BLANKS) if more else text.chars
        name = self._open_definition
        if len(self._definitions[name]) + len(line) > MAX_FILE_BYTES:
            raise _TooMuch("a definition is too long")
        self._definitions[name] += "\n" + line
        if not more:
            self._open_definition = None

    # --- includes (LX-18)

    def _include(self, pattern: _Text, level: str) -> None:
        name = pattern.chars.strip('"')
        if self._file.base is None:
            self._report(pattern.col, "VRRP012", "include ignored: this text is in no directory")
            return
        try:
            found = sorted({path for one in _alternatives(name) for path in _matches(self._file.base, one)})
        except (OSError, ValueError, NotImplementedError) as error:
            self._report(pattern.col, "VRRP012", f"include {name}: {error}")
            return
        if not found:
            code = "VRRP014" if level else "VRRP013"
            self._report(pattern.col, code, f"include {name}: no such file")
        for path in found:
            if path.resolve() in self._open_files:
                self._report(pattern.col, "VRRP015", f"{path} includes itself")
                continue
            if confined() and self._lies_outside(path):
                self._report(pattern.col, "VRRP001", f"include {name}: {path} lies outside of {self._home}")
                continue
            self._files += 1
            with suppress(OSError):  # it will be reported as unreadable
                self._included += path.stat().st_size
            if self._included > MAX_INCLUDED_BYTES:
                raise _TooMuch(f"more than {MAX_INCLUDED_BYTES} bytes of included files")
            if self._files > MAX_FILES:
                raise _TooMuch(f"more than {MAX_FILES} included files")
            if len(self._open_files) > MAX_DEPTH:
                raise _TooMuch(f"includes nested deeper than {MAX_DEPTH}")
            self._read_file(path, str(path))

    # --- logical lines: conditions, definitions, repetition, substitution

    def _logical_line(self, text: _Text, *, glued: bool = False, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            raise _TooMuch("definitions refer to themselves")
        self._spend(1000 if depth else 0)
        text = text.strip()
        if text.chars.startswith("@"):
            kept = self._conditional(text)
            if kept.chars:
                self._logical_line(kept, glued=glued, depth=depth + 1)
        elif match := _DEFINITION.match(text.chars):
            self._define(match[1], text.chars[match.end() :])
        elif match := _REPEAT.match(text.chars):
            self._repeat(text, match, depth)
        else:
            first, *others = self._substituted(text)
            if others or (first.chars != text.chars and re.match(r"@|\$|~", first.chars.lstrip(BLANKS))):
                self._logical_line(first, glued=glued, depth=depth + 1)
            else:
                self._emit(first, glued)
            for line in others:
                self._logical_line(line, depth=depth + 1)

    def _conditional(self, text: _Text) -> _Text:
        """LX-16: what is left of `@id rest`, empty if the line is not for this id."""
        match = re.match(r"@(\^?)([^ \t\r\f\v]*)", text.chars)
        assert match is not None
        self.asks_id = True
        rest = text.cut(match.end()).strip()
        if (match[2] == self.config_id) != bool(match[1]):
            return rest
        if _DEFINITION.match(rest.chars) and rest.chars.endswith("\\"):  # skip its other lines too
            self._open_definition = ""
            self._definitions[""] = ""
        return text.cut(0, 0)

    def _define(self, name: str, value: str) -> None:
        value = value.strip(BLANKS)
        if value.endswith("\\"):  # LX-14
            value = value[:-1].rstrip(BLANKS)
            self._open_definition = name
        self._definitions[name] = value

    def _repeat(self, text: _Text, match: re.Match[str], depth: int) -> None:
        """LX-17: the rest of the line once for each value."""
        inside, end = _parenthesis(text.chars, match.end())
        if end < 0:
            self._report(text.col, "VRRP016", f"~{match[1]}: missing ')'")
            return
        inside = self._substituted(_Text(inside, [text.col] * len(inside)))[0].chars
        names, values = _list(inside) if match[1] == "LST" else _sequence(inside, match[1] == "SEQx")
        if not names:
            self._report(text.col, "VRRP016", f"~{match[1]}: cannot understand the parameters")
            return
        kept = {name: self._definitions.get(name) for name in names}
        rest = text.cut(end).strip()
        for row in values:
            self._definitions.update(zip(names, (*row, *[""] * len(names)), strict=False))
            self._logical_line(rest, depth=depth + 1)
        for name, old in kept.items():
            if old is None:
                self._definitions.pop(name, None)
            else:
                self._definitions[name] = old

    def _substituted(self, text: _Text) -> list[_Text]:
        """Replace references, again in what they bring (LX-13); a multi-line one splits the line (LX-14)."""
        start, seen = 0, set()
        while "$" in text.chars and (match := _REFERENCE.search(text.chars, start)):
            name = match["braced"] or match["bare"]
            value = self._value(name, (match["args"] or "").split())
            if value is None or (match["args"] and name != "_RANDOM"):
                start = match.start() + 1  # LX-13: undefined names are left literally
                continue
            if "\n" in value and text.chars[match.end() :].strip(BLANKS):
                message = f"${name} has several lines, its reference must end the line"
                self._report(text.cols[match.start()], "VRRP017", message)
                start = match.end()
                continue
            chars = text.chars[: match.start()] + value + text.chars[match.end() :]
            self._spend(len(chars) + 10_000 * (not value))
            if max(map(len, chars.split("\n"))) > MAX_LINE:
                raise _TooMuch("a definition refers to itself, or a line becomes too long")
            if (step := (match.start(), hash(chars))) in seen:
                raise _TooMuch(f"${name} refers to itself")
            seen.add(step)
            col = text.cols[match.start()]
            cols = [*text.cols[: match.start()], *[col] * len(value), *text.cols[match.end() :]]
            if "\n" in value:
                return _lines(_Text(chars, cols))
            start = match.start()
            text = _Text(chars, cols)
        return [text]

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise _TooMuch("definitions and repetitions expand to too much text")

    def _value(self, name: str, arguments: list[str]) -> str | None:
        match name:  # LX-15
            case "_PWD":
                return None if self._file.base is None else str(self._file.base)
            case "_INSTANCE":
                self.asks_id = True
                return self.config_id or ""
            case "_HASH":
                return "#"
            case "_BANG":
                return "!"
            case "_RANDOM":
                limits = [int(word) for word in arguments if _INTEGER.match(word)] or [0]
                low, high = limits[0], limits[1] if len(limits) > 1 else 32767
                return str(self._random.randint(min(low, high), max(low, high)))
        return self._definitions.get(name)

    # --- rows

    def _emit(self, text: _Text, glued: bool) -> None:
        if len(text.chars) > 1023:
            self._report(text.col, "VRRP003", "the line is longer than 1023 characters")
        text, glued_again, unterminated = _without_comment(text, unescape=False)
        if unterminated:
            self._report(text.cols[unterminated - 1], "VRRP104", "unterminated quote")
        secret = self._foreign or any(keyword in text.chars for keyword in SECRET_KEYWORDS)
        parts = list(_braces_apart(text.strip()))
        for index, part in enumerate(parts):
            if words := self._words(part):
                if len(self.rows) >= MAX_ROWS:
                    raise _TooMuch(f"more than {MAX_ROWS} lines after expansion")
                last = index == len(parts) - 1
                self.rows.append(
                    Row(words, part.chars.strip(BLANKS), (glued or glued_again) and last, secret)
                )

    def _words(self, text: _Text) -> tuple[Word, ...]:
        name, line = self._file.name, self._file.line
        words = []
        for match in _WORD.finditer(text.chars):
            place = Place(name, line, text.cols[match.start()])
            if match[1] is None:
                words.append(Word(match[0], place))
            elif match[2]:  # LX-3: an unmatched quote and what follows it are dropped
                words.append(Word(match[1], place, True))
        return tuple(words)

    def _report(self, col: int, code: str, message: str) -> None:
        self._at(Place(self._file.name, max(self._file.line, 1), col), code, message)

    def _at(self, place: Place, code: str, message: str) -> None:
        self.findings.append(Finding(place, code, message))


def flatten(statements: Iterable[Statement]) -> tuple[list[Row], list[Finding]]:
    """Return the rows of statements that were never text, and what no text could hold."""
    rows = [row for statement in statements for row in statement.rows()]
    findings: list[Finding] = []
    for number, row in enumerate(rows):
        for word in row.words:
            if found := _CONTROL.search(word.text) or _HIDDEN.search(word.text):
                findings.append(Finding(word.place, "VRRP001", _holds(found)))
                shown = tuple(
                    word._replace(text=_HIDDEN.sub("?", _CONTROL.sub("?", word.text))) for word in row.words
                )
                rows[number] = row._replace(words=shown)
    return rows, findings


def _holds(found: re.Match[str]) -> str:
    return f"contains the control character U+{ord(found[0]):04X}"


def _load(path: Path) -> tuple[str, str]:
    """Return (problem, text); the problem is empty if the text can be read."""
    try:
        if not path.is_file():
            return ("is not a regular file" if path.exists() else "no such file"), ""
        if path.stat().st_size > MAX_FILE_BYTES:
            return f"is larger than {MAX_FILE_BYTES} bytes: not a keepalived.conf", ""
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}", ""
    try:
        return "", data.decode("utf-8")  # a byte order mark is part of the first word, as keepalived has it
    except UnicodeDecodeError:
        return "", data.decode("latin-1")  # keepalived does not mind an umlaut in a comment


def _unreadable(text: str) -> str:
    if len(text) > MAX_FILE_BYTES:
        return f"is larger than {MAX_FILE_BYTES} bytes: not a keepalived.conf"
    return "contains control characters: not a text file" if _CONTROL.search(text) else ""


def _without_comment(text: _Text, *, unescape: bool) -> tuple[_Text, bool, int]:
    """Cut an unquoted # or ! and what follows (LX-2).

    Also whether it was glued to a word (N06), and 1 + the index of an unterminated quote or 0.
    """
    quote = position = 0
    dropped: list[int] = []
    while match := _SPECIAL.search(text.chars, position):
        at, char = match.start(), match[0]
        position = at + 1
        if char == '"':
            quote = 0 if quote else at + 1
        elif char == "\\":
            position = at + 2
            if unescape and not quote and text.chars[at + 1 : at + 2] in ("#", "!"):  # LX-4
                dropped.append(at)
        elif not quote:
            glued = text.chars[:at][-1:] not in ("", "{", "}", *BLANKS)
            return _without(text.cut(0, at), dropped), glued, 0
    return _without(text, dropped), False, quote


def _without(text: _Text, dropped: list[int]) -> _Text:
    if not dropped:
        return text
    bounds = zip([0, *(at + 1 for at in dropped)], [*dropped, len(text.chars)], strict=True)
    parts = [text.cut(start, end) for start, end in bounds]
    return _Text("".join(part.chars for part in parts), [col for part in parts for col in part.cols])


def _braces_apart(text: _Text) -> Iterator[_Text]:
    """LX-5: an unquoted brace is a token of its own wherever it stands."""
    start = position = 0
    quoted = False
    while match := _BRACE.search(text.chars, position):
        at = match.start()
        position = at + 1
        if match[0] == '"':
            quoted = not quoted
        elif match[0] == "\\":
            position = at + 2
        elif not quoted:
            yield text.cut(start, at)
            yield text.cut(at, at + 1)
            start = at + 1
    yield text.cut(start)


def _lines(text: _Text) -> list[_Text]:
    """Split a line that ends in a multi-line definition; each part is substituted when its turn comes."""
    parts, begin = [], 0
    for piece in text.chars.split("\n"):
        parts.append(text.cut(begin, begin + len(piece)))
        begin += len(piece) + 1
    return parts


def _alternatives(pattern: str) -> list[str]:
    """LX-18: expand `{a,b}`, innermost first, not beyond a limit."""
    done: list[str] = []
    open_patterns = [pattern]
    while open_patterns and len(done) + len(open_patterns) <= MAX_FILES:
        one = open_patterns.pop()
        if match := re.search(r"\{([^{}]*)\}", one):
            head, tail = one[: match.start()], one[match.end() :]
            open_patterns += [head + choice + tail for choice in match[1].split(",")]
        else:
            done.append(one)
    return done


def _matches(base: Path, pattern: str) -> list[Path]:
    """Return the regular, not executable files that a glob names."""
    anchored = Path(pattern)
    if anchored.is_absolute():
        base, pattern = Path(anchored.anchor), str(anchored.relative_to(anchored.anchor))
    pattern = re.sub(r"\*+", "*", pattern)  # ** is not special in keepalived
    found = [base / pattern] if not re.search(r"[*?[]", pattern) else list(base.glob(pattern))
    return [path for path in found if path.is_file() and not path.stat().st_mode & 0o111]


def _parenthesis(chars: str, start: int) -> tuple[str, int]:
    """Return what stands up to the matching `)` and the index behind it, or -1."""
    depth = 1
    for at in range(start, len(chars)):
        depth += {"(": 1, ")": -1}.get(chars[at], 0)
        if depth == 0:
            return chars[start:at], at + 1
    return "", -1


def _sequence(inside: str, in_hex: bool) -> tuple[list[str], Iterator[tuple[str, ...]]]:
    """Return the variable and the values of `var, [start, [step,]] end`; no variable if unintelligible."""
    name, *numbers = (part.strip() for part in inside.split(","))
    if not _NAME.match(name) or not 1 <= len(numbers) <= 3:
        return [], iter(())
    if not all(_INTEGER.match(number) for number in numbers):
        return [], iter(())
    end = int(numbers[-1])
    start = int(numbers[0]) if len(numbers) > 1 else (1 if end >= 0 else -1)
    step = int(numbers[1]) if len(numbers) == 3 else (1 if end >= start else -1)
    if step == 0:
        return [], iter(())
    values = range(start, end + (1 if step > 0 else -1), step)
    return [name], ((f"{value:x}" if in_hex else str(value),) for value in values)


def _list(inside: str) -> tuple[list[str], Iterator[tuple[str, ...]]]:
    """Return the variables and the value rows of `var, v1, v2` or `{a,b}, {1,2}, {3,4}`."""
    parts = [part.strip() for part in re.findall(r"(?:\{[^}]*\}|[^,{])+", inside)]
    rows = [tuple(cell.strip() for cell in part.strip("{}").split(",")) for part in parts]
    if not rows or not all(_NAME.match(name) for name in rows[0]):
        return [], iter(())
    return list(rows[0]), iter(rows[1:])
