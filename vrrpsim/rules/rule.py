"""What a rule is, and short words for its examples."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

SITE = "https://vrrpsim.readthedocs.io/en/latest"

Example = str | Mapping[str, str]  # the text of `lb.conf`, or several texts by file name


class Severity(Enum):
    """How bad a finding is; only the reader of the finding decides what follows from it."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    def __str__(self) -> str:
        return self.value


SAYS = "keepalived 2.2.7, whose `keepalived -t` says so"
SILENT = "keepalived's source; `keepalived -t` of 2.2.7 says nothing"
RAN = "keepalived 2.2.7, run"

NOT_KEEPALIVED = ("rfc3768", "rfc5798", "rfc9568", "rfc9568-literal", "frr-8.4")  # names of dialects
BEFORE_2_3_3 = ("keepalived-2.0.20", "keepalived-2.2.4", "keepalived-2.2.7", "keepalived-2.2.8")
ALL_KEEPALIVED = (*BEFORE_2_3_3, "keepalived-2.3.3", "keepalived-2.3.4", "keepalived-2.4.3")
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


class Rule(NamedTuple):
    """One thing that can be wrong.

    `why` is one sentence: what happens if nothing is done. `bad` is a smallest input that has the finding,
    `good` one that differs only in not having it; both are run by the tests. A rule that another command
    than `check` reports says which in `said_by`; examples of it are not run.
    """

    code: str  # VRRPnnn, for ever
    name: str  # in-kebab-case, stable too
    severity: Severity
    why: str
    bad: Example = ""
    good: Example = ""
    source: str = ""  # where it is known from: the manual, the source, a real daemon, an RFC
    dialects: tuple[str, ...] = ()  # those it holds for; none: all
    brings: tuple[str, ...] = ()  # what follows from it and is reported beside it
    fixable: bool = False  # `check --fix` mends it
    said_by: str = "check"

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{SITE}/rules/{self.code}.html"


# --- examples -------------------------------------------------------------------------------------


def instance(*lines: str, name: str = "VI_1", vip: str = "192.0.2.100/24", before: str = "") -> str:
    """Return a keepalived.conf with one instance; a line replaces the usual one of its keyword."""
    usual = {
        "state": "",
        "interface": "interface eth0",
        "virtual_router_id": "virtual_router_id 51",
        "priority": "priority 100",
    }
    said = {line.split()[0] for line in lines if line}
    kept = [text for keyword, text in usual.items() if text and keyword not in said]
    body = [part for line in (*kept, *lines) for part in line.split("\n") if part]
    if vip:
        body += block("virtual_ipaddress", vip).split("\n")
    inner = "".join(f"    {part}\n" for part in body)
    head = f"{before.rstrip()}\n\n" if before else ""
    return f"{head}vrrp_instance {name} {{\n{inner}}}\n"


def without(text: str, keyword: str) -> str:
    """Return the text without the lines of a keyword."""
    return "".join(line for line in text.splitlines(True) if line.split()[:1] != [keyword])


def block(name: str, *lines: str) -> str:
    """Return a block with these lines."""
    inner = "".join(f"    {part}\n" for line in lines for part in line.split("\n") if part)
    return f"{name} {{\n{inner}}}"


def script(name: str = "chk", *lines: str, command: str = "/usr/bin/pgrep haproxy") -> str:
    """Return a `vrrp_script` block."""
    return block(f"vrrp_script {name}", f'script "{command}"', *lines)


def tracking(*entries: str, before: str = "", also: tuple[str, ...] = (), **words: str) -> str:
    """Return an instance that tracks scripts, `chk` if none are named, defined before it."""
    return instance(*also, block("track_script", *(entries or ("chk",))), before=before or script(), **words)


def pair(one: str, other: str) -> dict[str, str]:
    """Return the two files of a cluster."""
    return {"lb1.conf": one, "lb2.conf": other}
