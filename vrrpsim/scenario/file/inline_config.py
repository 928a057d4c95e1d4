"""keepalived's keywords in YAML: what they take, and the statements they become.

`keepalived:` without `file:` holds the keywords of keepalived.conf one to one (DESIGN.md §5). This
module only turns the mapping into the statements that the lexer would have read from a keepalived.conf,
with YAML places; which keywords there are and what they mean is the compiler's business alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from vrrpsim.findings import Place
from vrrpsim.keepalived.arguments import short_s
from vrrpsim.keepalived.keywords.tables import ROOT
from vrrpsim.keepalived.keywords.walker import Keyword, Takes
from vrrpsim.keepalived.lexer import Statement, Word
from vrrpsim.scenario.quantities import ValueSyntaxError, parse_duration_ns

from .fields import BROKEN, Fields, Key, Named, Reading, Schema, Shape
from .scalars import DURATION_SCHEMA
from .yaml_tree import Keys, Tree

BLOCKS = {row.inline: keyword for keyword, row in ROOT.items() if row.inline}  # by key of `keepalived:`
BESIDE_SCRIPT = "probe"  # ours, not keepalived's


class Inline(NamedTuple):
    """What has been read: lines of a keepalived.conf, and what stood beside a script."""

    statements: tuple[Statement, ...]
    probe: Any = None


class Value(NamedTuple):
    """A keyword with what stands behind it."""

    keyword: str
    takes: Takes

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Judge the value, and write the line; none where a flag is not set."""
        tree = reading.tree
        try:
            word = _FORMS[self.takes][0](value)
        except ValueSyntaxError as error:
            return reading.leave_out(path, str(error), error.path, at_key=error.at_key)
        place = tree.value_place(path)
        block: tuple[Statement, ...] | None = None
        behind: tuple[Word, ...] = ()
        if self.takes is Takes.LINES:
            block = _lines(tree, path, value)
        elif self.takes is Takes.NAMES:
            block = (Statement(_words(place, _split(value)), None),)
        elif value is False and self.takes is Takes.FLAG:
            return Inline(())
        elif value is False:
            behind = _words(place, ["off"])
        elif value is not None and value is not True:
            one = self.takes in (Takes.SCRIPT, Takes.SECRET, Takes.WORD)
            behind = _words(
                place, [str(word)] if one else _split(word), quoted=one and isinstance(value, str)
            )
        return Inline((Statement((*_words(tree.key_place(path), [self.keyword]), *behind), block),))

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Return the form of what it takes."""
        return dict(_FORMS[self.takes][1])


class Block(Fields):
    """A block of keywords; `named`: it bears the name that is its key."""

    def __init__(self, keyword: str, row: Keyword, name: str, beside: Mapping[str, Key]) -> None:
        keys = {word: Key(shape(word, each, f"{name}_{word}")) for word, each in (row.table or {}).items()}
        super().__init__(name, _as_given, {**keys, **beside})
        self.keyword, self.named = keyword, row.opens is not None

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Read the lines and write the block."""
        given = super().read(value, path, reading)
        if given is BROKEN:
            return BROKEN
        probe = given.pop(BESIDE_SCRIPT, None)
        body = tuple(line for read in given.values() for line in read.statements)
        words = [self.keyword, str(path[-1])] if self.named else [self.keyword]
        return Inline((Statement(_words(reading.tree.key_place(path), words), body),), probe)


def _as_given(**given: Any) -> dict[str, Any]:
    return given


def shape(keyword: str, row: Keyword, name: str, beside: Mapping[str, Key] = MappingProxyType({})) -> Shape:
    """Return what stands behind a keyword in YAML; blocks go by `name` in the JSON Schema."""
    if row.table is None:
        return Value(keyword, row.takes)
    block = Block(keyword, row, name, beside)
    return Named(block, free=True) if block.named else block


# --- what the kinds of keywords take


def _flag(value: object) -> object:
    if value is not None and not isinstance(value, bool):
        raise ValueSyntaxError("must be true or false")
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueSyntaxError("must be a whole number")
    return value


def _word(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise ValueSyntaxError("must be a word")
    return value


def _command(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueSyntaxError("must be a string")
    return value


def _secret(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueSyntaxError('a password of digits only must be quoted; quote it: "1234"')
    return _command(value)


def _words_or_list(value: object) -> object:
    for item in value if isinstance(value, list) else [value]:
        if item is not None and not isinstance(item, (str, int, float)):
            raise ValueSyntaxError("must be words, or a list of words")
    return value


def _entries(value: object) -> object:
    if not isinstance(value, dict):
        return _words_or_list(value)
    for name, options in value.items():
        for key, option in options.items() if isinstance(options, dict) else [(None, options)]:
            if isinstance(option, dict):
                raise ValueSyntaxError("must be a word", name, *(() if key is None else (key,)))
            _words_or_list(option)
    return value


def _seconds(value: Any) -> str:
    """Write a number or a duration as keepalived does: decimal seconds."""
    ns = parse_duration_ns(value)
    return short_s(ns) if isinstance(value, str) and value[-1:].isalpha() else str(value)


_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_WORDS_SCHEMA: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}
_OPTIONS_SCHEMA: Schema = {"type": "object", "additionalProperties": _WORDS_SCHEMA}
_LINES_SCHEMA: Schema = {
    "anyOf": [
        *_WORDS_SCHEMA["anyOf"],
        {"type": "object", "additionalProperties": {"anyOf": [*_WORDS_SCHEMA["anyOf"], _OPTIONS_SCHEMA]}},
    ]
}
_FLAG_SCHEMA: Schema = {"type": ["boolean", "null"]}
_TEXT_SCHEMA: Schema = {"type": "string", "pattern": r"\S"}
_FORMS: dict[Takes, tuple[Callable[[Any], object], Schema]] = {
    Takes.FLAG: (_flag, _FLAG_SCHEMA),
    Takes.BOOL: (_flag, _FLAG_SCHEMA),
    Takes.INT: (_whole, {"type": "integer"}),
    Takes.SECONDS: (_seconds, DURATION_SCHEMA),
    Takes.WORD: (_word, {"type": ["string", "number"], "minLength": 1}),
    Takes.WORDS: (_words_or_list, _WORDS_SCHEMA),
    Takes.SCRIPT: (_command, _TEXT_SCHEMA),
    Takes.SECRET: (_secret, _TEXT_SCHEMA),
    Takes.LINES: (_entries, _LINES_SCHEMA),
    Takes.NAMES: (_words_or_list, _WORDS_SCHEMA),
}

# --- words and lines


def _lines(tree: Tree, path: Keys, value: Any) -> tuple[Statement, ...]:
    """Turn `[a, b]`, `{a: {weight: 2}, b: null}` or one entry into the lines of a value block."""
    if isinstance(value, dict):
        entries = [((*path, name), [name, *_options(options)]) for name, options in value.items()]
    elif isinstance(value, list):
        entries = [((*path, index), _split(item)) for index, item in enumerate(value)]
    else:
        entries = [(path, _split(value))]
    return tuple(Statement(_words(tree.key_place(where), words), None) for where, words in entries if words)


def _options(options: Any) -> list[str]:
    if not isinstance(options, dict):
        return _split(options)
    words: list[str] = []
    for key, value in options.items():
        if value is not False:
            words += [key] if value is None or value is True else [key, *_split(value)]
    return words


def _split(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [word for item in value for word in _split(item)]
    return str(value).split()


def _words(place: Place, texts: list[str], *, quoted: bool = False) -> tuple[Word, ...]:
    return tuple(Word(text, place, quoted) for text in texts)
