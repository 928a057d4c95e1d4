"""What a haproxy.cfg listens at: the ports that clients ask, instead of a guess."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from vrrpsim.findings import Finding, InputError, Place
from vrrpsim.scenario.model import Address

SECTIONS = ("frontend", "listen")
OTHERS = {
    *("global", "defaults", "backend", "peers", "resolvers", "userlist"),
    *("cache", "program", "ring", "mailers", "http-errors"),
}
WORDS = re.compile(r'(?:[^\s"\'#\\]|\\.|"[^"]*"|\'[^\']*\')+|#.*')
MOST_BYTES = 1 << 20


class Bind(NamedTuple):
    """One port of a frontend; without an address it is that port of every address."""

    section: str
    address: Address | None
    port: int


def binds_of(path: str | Path) -> tuple[Bind, ...]:
    """Return what the frontends bind to, in the order of the file, those that only show statistics last.

    Raises `InputError` if the file cannot be read, or binds to no TCP port.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            text = stream.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise InputError(
            (Finding(Place(str(path), 1, 1), "VRRP001", error.strerror or str(error)),)
        ) from error
    found: list[Bind] = []
    statistics: set[str] = set()
    section = ""
    for line in text.splitlines():
        words = [word for word in WORDS.findall(line) if not word.startswith("#")]
        if not words:
            continue
        if words[0] in SECTIONS:
            section = words[1] if len(words) > 1 else words[0]
            found += _ports(section, words[2] if len(words) > 2 else "")
        elif words[0] in OTHERS:
            section = ""
        elif section and words[0] == "bind" and len(words) > 1:
            found += _ports(section, words[1])
        elif section and words[:2] == ["stats", "enable"]:
            statistics.add(section)
    if not found:
        message = "no frontend binds to a port: nothing says what clients ask"
        raise InputError((Finding(Place(str(path), 1, 1), "VRRP001", message),))
    return tuple(sorted(dict.fromkeys(found), key=lambda bind: bind.section in statistics))


def _ports(section: str, words: str) -> Iterator[Bind]:
    """Read `:80`, `*:443`, `10.0.0.1:80,10.0.0.2:80`, `ipv6@:80`, the first of `[::]:8000-8010`; no files."""
    for each in words.strip("\"'").split(","):
        match = re.fullmatch(r"(?:ipv[46]@)?(.*?):(\d+)(?:-\d+)?", each)
        if match is None:
            continue
        host = match[1].strip("[]")
        try:
            address = ip_address(host) if host not in ("", "*") else None
        except ValueError:
            continue  # a name, which nothing here can look up
        if 0 < int(match[2]) < 65536:
            yield Bind(section, None if address is None or address.is_unspecified else address, int(match[2]))


def port_of(binds: Sequence[Bind], address: Address) -> int | None:
    """Return the port at which an address is asked: its own first, then one of every address."""
    own = next((bind.port for bind in binds if bind.address == address), None)
    return own or next((bind.port for bind in binds if bind.address is None), None)
