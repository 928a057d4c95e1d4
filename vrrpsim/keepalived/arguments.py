"""From the word behind a keyword to its value, as keepalived converts it (LX-10, LX-11, LX-12, LX-19).

A `Line` is one row with the findings it may add to. Its readers return None for a value that keepalived
refuses; the keyword's handler then says what runs instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from vrrpsim.findings import Finding, Place
from vrrpsim.protocol.addresses import cached
from vrrpsim.protocol.configuration import SECOND_NS, Address

from .lexer import Row, Word

TRUE = ("on", "true", "yes")
FALSE = ("off", "false", "no")

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_SCRIPT_TOKEN = re.compile(
    r"\\x([0-9a-fA-F]{1,2})|\\([0-7]{1,3})|\\c(.)|\\(.)|([\"'])|([ \t\f\n\r\v]+)|(.)", re.DOTALL
)


class MissingParameterError(Exception):
    """LX-12: keepalived exits at once."""


@dataclass(slots=True, eq=False, repr=False)
class Line:
    """One row while its keyword's handler works on it."""

    row: Row
    findings: list[Finding]
    context: str = ""  # "instance VI_1", for messages

    @property
    def keyword(self) -> str:
        """The first word."""
        return self.row.words[0].text

    @property
    def place(self) -> Place:
        """Where the first word stands."""
        return self.row.words[0].place

    @property
    def texts(self) -> list[str]:
        """All words behind the first."""
        return [word.text for word in self.row.words[1:]]

    def word(self, index: int = 1) -> Word:
        """Return the word at `index`; keepalived exits if it is missing (LX-12)."""
        if index >= len(self.row.words):
            raise MissingParameterError
        return self.row.words[index]

    def has(self, index: int) -> bool:
        """Whether there is a word at `index`."""
        return index < len(self.row.words)

    def say(self, code: str, message: str, index: int = 0) -> None:
        """Add a finding at the word `index`, or at the first if there is none."""
        shown = f"{self.context}: {message}" if self.context else message
        place = self.row.words[index if self.has(index) else 0].place
        self.findings.append(Finding(place, code, shown))

    def shown(self, index: int) -> str:
        """Return the word for a message, hidden if it may be a password."""
        return "the value" if self.row.secret else f"'{self.word(index).text[:60]}'"

    def integer(
        self,
        index: int,
        low: int,
        high: int,
        *,
        code: str = "",
        strict: bool = False,
        instead: str = "",
    ) -> int | None:
        """Read an integer; junk behind it is dropped with a warning, or refused if `strict` (LX-10).

        `code` is the rule of a refusal if it has its own; `instead` says what runs then.
        """
        text = self.word(index).text
        match = _INTEGER.match(text)
        if not match or (strict and match[0] != text):
            self.say(
                code or "VRRP117", f"{self.keyword}: {self.shown(index)} is not a number{instead}", index
            )
            return None
        value = int(match[0]) if len(match[0]) < 20 else 10**20
        if not low <= value <= high:
            limits = f"{low} to {high}{instead}"
            self.say(code or "VRRP118", f"{self.keyword}: {self.shown(index)} is outside {limits}", index)
            return None
        if match[0] != text:
            self.say("VRRP119", f"{self.keyword}: {self.shown(index)} is read as {value}", index)
        return value

    def decimal_ns(self, index: int, low_us: int, high_us: int, *, code: str = "") -> int | None:
        """Read seconds with up to six decimals, in nanoseconds; further decimals are cut off."""
        text = self.word(index).text
        match = _DECIMAL.match(text)
        if not match or len(match[0]) > 40:
            self.say(code or "VRRP117", f"{self.keyword}: {self.shown(index)} is not a number", index)
            return None
        us = int(Decimal(match[0]) * 1_000_000)
        if not low_us <= us <= high_us:
            limits = f"{low_us / 1e6:g} to {high_us / 1e6:g}"
            self.say(code or "VRRP118", f"{self.keyword}: {self.shown(index)} is outside {limits}", index)
            return None
        if match[0] != text:
            self.say("VRRP119", f"{self.keyword}: {self.shown(index)} is read as {match[0]}", index)
        return us * 1000

    def boolean(self, index: int = 1) -> bool | None:
        """Read a boolean; nothing at all means true (LX-11)."""
        if not self.has(index) or self.word(index).text in TRUE:
            return True
        if self.word(index).text in FALSE:
            return False
        self.say(
            "VRRP116", f"{self.keyword}: {self.shown(index)} is none of {', '.join(TRUE + FALSE)}", index
        )
        return None

    def address(self, index: int) -> Address | None:
        """Read an address; keepalived cuts off a prefix length or the end of a range."""
        address = parse_address(re.split("[-/]", self.word(index).text)[0])
        if address is None:
            self.say("VRRP124", f"{self.keyword}: {self.shown(index)} is not an IP address", index)
        return address

    def command(self) -> str:
        """Return the command of `script` and `notify*`: one word by the rules of script strings (LX-19)."""
        if self.row.raw is None:
            return self.word(1).text
        words = split_command(self.row.raw)
        if len(words) < 2:
            raise MissingParameterError
        return words[1]

    def user(self) -> str:
        """Return `U [G]` behind a command, as `notify*` lines may have it."""
        words = split_command(self.row.raw) if self.row.raw is not None else ["", *self.texts]
        return " ".join(words[2:4])


USER_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@\\-]*\$?")


def not_a_name(user: str) -> str:
    """Return the word of "USER [GROUP]" that can be no name; 2.2.7 looks up names, not numbers."""
    return next((word for word in user.split() if word.isdigit() or not USER_NAME.fullmatch(word)), "")


def short_s(ns: int) -> str:
    """Write seconds as keepalived.conf does: `1`, `0.25`."""
    whole, rest = divmod(ns, SECOND_NS)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def parse_address(text: str) -> Address | None:
    """Return the IPv4 or IPv6 address in `text`; no scope, no prefix."""
    try:
        return cached(IPv4Address(text))
    except AddressValueError:
        pass
    try:
        return cached(IPv6Address(text)) if "%" not in text else None
    except AddressValueError:
        return None


def split_command(text: str) -> list[str]:
    """Split a script string into words: both quotes, C escapes; quotes may begin inside a word (LX-19)."""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    for match in _SCRIPT_TOKEN.finditer(text):
        in_hex, octal, control, escaped, mark, blank, char = match.groups()
        if blank and not quote:
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        word = [] if word is None else word
        if mark and not quote:
            quote = mark
        elif mark == quote and mark:
            quote = ""
        elif in_hex or octal:
            word.append(chr(int(in_hex, 16) if in_hex else int(octal, 8) & 0xFF))
        elif control:
            word.append(chr(ord(control) & 0x1F))
        elif escaped:
            word.append(_ESCAPES.get(escaped, escaped))
        else:
            word.append(mark or blank or char)
    if word is not None:
        words.append("".join(word))
    return words
