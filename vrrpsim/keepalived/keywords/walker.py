"""The walk of the rows through the keyword tables: keepalived's own recursion (LX-7, LX-8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from vrrpsim.findings import Finding, did_you_mean
from vrrpsim.keepalived.arguments import Line, MissingParameterError
from vrrpsim.keepalived.lexer import Row
from vrrpsim.keepalived.parsed import (
    Parsed,
    ParsedBfd,
    ParsedFile,
    ParsedGarpGroup,
    ParsedGroup,
    ParsedInstance,
    ParsedProcess,
    ParsedRouter,
    ParsedScript,
)
from vrrpsim.protocol.dialect import DIALECTS

MAX_HINTS = 200  # looking for similar words is slow, and this is no configuration any more

Handler = Callable[[Line, Any], None]


class Takes(Enum):
    """What stands after a keyword; scenarios with keywords in YAML are read, and described, by it."""

    FLAG = "true"  # true: the bare keyword; false: nothing
    BOOL = "true or false"  # true: the bare keyword; false: `keyword off`
    INT = "a whole number"
    SECONDS = "seconds"  # a number, or a duration such as 500ms
    WORD = "a word"  # one word, taken as it is
    WORDS = "words"  # split at blanks; or a list of words
    SCRIPT = "a command"  # one quoted string
    SECRET = "a password"  # digits only must be quoted
    LINES = "entries"  # a value block with one entry per line: a list, a mapping or one entry
    NAMES = "names"  # a value block in which every word is an entry


class Keyword(NamedTuple):
    """What follows a keyword: a value, a block of keywords (`table`), of entries, or one to skip.

    This row is all there is to know of it: the compiler, YAML and its JSON Schema read the same.
    """

    takes: Takes = Takes.WORDS
    handle: Handler | None = None
    opens: Callable[[Line, ParsedRouter], Parsed | None] | None = None  # None: skip the block (LX-9)
    closes: Handler | None = None
    table: Mapping[str, Keyword] | None = None
    entry: Handler | None = None
    skip: bool = False
    repeatable: bool = False  # saying it twice is normal, or has its own rule
    most: int = 2  # words that mean something; more are dropped (LX-6)
    field: str = ""  # of the frozen configuration, if the value stands there as it is read: the writer's too
    writes: Callable[[Any], str] | None = None  # how the writer says the value; None: as `takes` does
    needs: str = ""  # the dialect's switch without which the keyword is unknown
    inline: str = ""  # a block of the root: its key in a scenario's `keepalived:`


Table = Mapping[str, Keyword]


class FatalError(Exception):
    """Keepalived would exit here; the finding has been made."""


@dataclass(slots=True, eq=False, repr=False)
class Walker:
    """Takes the rows of a configuration through the tables and fills a `ParsedRouter`."""

    rows: Sequence[Row]
    router: ParsedRouter
    findings: list[Finding]
    tables: tuple[Table, ...]  # all there are, the root's first
    position: int = 0
    unknown: int = 0
    secret: bool = False  # inside `authentication`: unknown words may be passwords

    def walk(self) -> None:
        """Read everything; raises FatalError where keepalived would exit."""
        while self.position < len(self.rows):
            self._stream(self.tables[0], None, nested=False)

    # --- keepalived's process_stream

    def _stream(self, table: Table, draft: Parsed | None, *, nested: bool) -> None:
        """Read rows with one table up to the `}` that ends its block, whichever that is (LX-8)."""
        seen: set[str] = set()
        if nested:
            self._opening_brace()
        while (row := self._next()) is not None:
            if row.brace == "}":
                if nested:
                    return
                continue  # reported by the lexer as extra, or by LX-8 below
            line = Line(row, self.findings, _context(draft))
            if row.brace == "{":
                line.say("VRRP103", "unexpected '{' ignored; its '}' closes the enclosing block")
                continue
            if row.cut:
                line.say(
                    "VRRP105",
                    "a comment character behind the word cuts it off; quote the value",
                    len(row.words) - 1,
                )
            self._keyword(line, table, draft, seen)

    def _keyword(self, line: Line, table: Table, draft: Parsed | None, seen: set[str]) -> None:
        keyword = table.get(line.keyword)
        if keyword is None or (keyword.needs and not getattr(self.router.dialect, keyword.needs)):
            self._unknown(line, table)
            return
        if line.keyword in seen and not (keyword.repeatable or keyword.opens or keyword.entry):
            line.say("VRRP106", f"{line.keyword} is repeated; the last one wins")
        seen.add(line.keyword)
        if len(line.row.words) > keyword.most and not keyword.skip:
            line.say(
                "VRRP111",
                f"{line.keyword}: the words from {line.shown(keyword.most)} on are ignored",
                keyword.most,
            )
        if draft is not None:
            draft.places[line.keyword] = line.place
        try:
            self._dispatch(line, keyword, draft)
        except MissingParameterError:
            line.say("VRRP113", f"{line.keyword}: a parameter is missing; keepalived exits")
            raise FatalError from None

    def _dispatch(self, line: Line, keyword: Keyword, draft: Parsed | None) -> None:
        target: Any = draft if draft is not None else self.router
        if keyword.opens is not None:
            target = keyword.opens(line, self.router)
            if target is None:
                self._skip_block()
                return
        if keyword.handle is not None:
            keyword.handle(line, target)
        if keyword.table is not None:
            outer, self.secret = self.secret, self.secret or line.keyword == "authentication"
            self._stream(keyword.table, target if isinstance(target, Parsed) else None, nested=True)
            self.secret = outer
        elif keyword.entry is not None:
            self._entries(keyword.entry, target)
        elif keyword.skip:
            self._skip_block()
        if keyword.closes is not None:
            keyword.closes(line, target)

    def _unknown(self, line: Line, table: Table) -> None:
        if self.secret or line.row.secret:
            line.say("VRRP114", "unknown keyword (not shown, it may be a password)")
            return
        if line.keyword.startswith("\ufeff"):
            line.say(
                "VRRP018",
                "a byte order mark is part of the first word, which is unknown so; its block is ignored",
            )
            self._skip_block()
            return
        later = table.get(line.keyword)
        if later is not None:
            first = next(each.name for each in DIALECTS.values() if getattr(each, later.needs))
            line.say("VRRP132", f"keyword '{line.keyword}' is known from {first} on; ignored")
            return
        self.unknown += 1
        known = [name for name, keyword in table.items() if self._has(keyword)]
        hint = did_you_mean(line.keyword, known) if self.unknown <= MAX_HINTS else ""
        elsewhere = any(line.keyword in other for other in self.tables if other is not table)
        misplaced = elsewhere and not hint
        reason = "does not belong here" if misplaced else f"is unknown{hint}"
        line.say("VRRP115" if misplaced else "VRRP114", f"keyword '{line.keyword[:60]}' {reason}; ignored")

    def _has(self, keyword: Keyword) -> bool:
        return not keyword.needs or bool(getattr(self.router.dialect, keyword.needs))

    def _entries(self, handle: Handler, target: Any) -> None:
        """Read a value block: one entry a line, up to the first `}` (LX-7)."""
        self._opening_brace()
        while (row := self._next()) is not None:
            line = Line(row, self.findings, _context(target))
            if row.brace == "}":
                return
            if row.brace == "{":
                line.say("VRRP103", "unexpected '{' ignored; its '}' closes the enclosing block")
                continue
            if row.cut:
                line.say("VRRP105", "a comment character behind the word cuts it off", len(row.words) - 1)
            handle(line, target)

    def _opening_brace(self) -> None:
        if self._peek_brace() == "{":
            self.position += 1
        elif self.position:
            line = Line(self.rows[self.position - 1], self.findings)
            line.say("VRRP102", f"'{{' is missing behind '{line.keyword}'")

    def _skip_block(self) -> None:
        """Skip a block with all braces in it, if the next row opens one."""
        depth = 0
        while self._peek_brace() == "{" or depth:
            row = self._next()
            if row is None:
                return
            depth += {"{": 1, "}": -1}.get(row.brace, 0)
            if not depth:
                return

    def _next(self) -> Row | None:
        if self.position >= len(self.rows):
            return None
        self.position += 1
        return self.rows[self.position - 1]

    def _peek_brace(self) -> str:
        return self.rows[self.position].brace if self.position < len(self.rows) else ""


def _context(target: object) -> str:
    return f"{_KINDS[type(target)]} {target.name}" if isinstance(target, Parsed) and target.name else ""


_KINDS: dict[type, str] = {
    ParsedInstance: "instance",
    ParsedGroup: "sync group",
    ParsedScript: "script",
    ParsedFile: "track_file",
    ParsedProcess: "track_process",
    ParsedBfd: "bfd_instance",
    ParsedGarpGroup: "garp_group",
    Parsed: "",
}
