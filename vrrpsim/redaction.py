"""Passwords do not leave a scenario: they are masked wherever a report quotes it.

Certain are the keys of virtual routers: they are known. What a command carries is recognised by where it
stands: in a URL, behind an option or a variable whose name says so, or behind an option of a program that is
known to take a password there. Anything else is shown as it is configured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

MASK = "********"
SHORT = 4  # a password below this is only masked where it stands in quotes: `1` is in every file
AUTH_PASS = r"""(auth_pass["']?\s*[:=]?[ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s,}\]"']+)"""

VALUE = (
    r"""(?!["']?\$)(?:\\?"[^"\n]+"|'[^'\n]+'|[^\s"'`;|&)\\]*[^\s"'`;|&)}\],\\])"""  # a $VARIABLE says nothing
)
NAMED = "password|passwd|passphrase|secret|token|api[-_]?key"
ANYWHERE = [
    f"(?i)({before}){value}"
    for before, value in (
        (r"(?<![\w.+-])[a-z][a-z0-9+.-]*://[^\s/:@\"'<>]*:", r"(?!\$)[^\s/\"'<>]+(?=@)"),  # a URL's user
        (rf"(?<![\w-])--?(?!-|no-)(?:[\w-]+-)?(?:{NAMED}|pass)=", VALUE),
        (rf"(?<![\w-])--?(?!-|no-|ask-)(?:[\w-]+-)?(?:{NAMED}|pass) +", rf"(?!-){VALUE}"),
        (rf"(?<![\w-])\$?\w*?(?:{NAMED}|_pass|_pwd|_pw|cli_auth) ?= ?", VALUE),  # PGPASSWORD=, ?token=
        (r"(?:proxy-)?authorization: *(?:(?:basic|bearer|digest|token) +)?", VALUE),
        (r"(?<![\w-])x-[\w-]*(?:token|key|auth|secret|password): *", VALUE),
    )
]
WITH_USER = r"""(?:["']?[^\s"':%]*[:%])"""
OPTIONS = {  # where a program takes its password
    r"(?:mysql|mariadb)(?:-?(?:admin|check|dump|show))?": r"-p",
    r"curl|check_curl|check_http": rf"(?:-[uUab] ?|--(?:proxy-)?user(?:=| +)){WITH_USER}",
    r"(?:redis|valkey|keydb)-cli": r"-a +",
    r"sshpass|mongo|mongosh|check_mysql\w*|check_pgsql|rabbitmqadmin": r"-p *",
    r"ldap(?:search|whoami|compare)": r"-w *",
    r"snmp\w+|check_snmp": r"-[cAX] *",
    r"ipmitool": r"-P *",
    r"smbclient|etcdctl": rf"(?:-U *|--user(?:=| +)){WITH_USER}",
}
END = r"\s[;|&]|[;|&]\s|&&|\|\|"  # of one command among several
PROGRAMS = [
    (
        rf"(?<![\w.-])(?:{program})(?![\w.-])(?:(?!{END})[^\n])*",
        rf"((?<=\s){option}){VALUE}",
    )
    for program, option in OPTIONS.items()
]


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with these secrets and all that stands where one does masked."""
    text = re.sub(AUTH_PASS, rf"\1{MASK}", text)
    for pattern in ANYWHERE:
        text = re.sub(pattern, rf"\1{MASK}", text)
    for command, option in PROGRAMS:
        text = re.sub(command, partial(_without, option), text)
    for secret in sorted(secrets, key=lambda each: (-len(each), each)):
        word = re.escape(secret)
        known = rf"(?<!\w){word}\w*" if len(secret) >= SHORT else rf"(?<=[\"']){word}(?=[\"'])"
        text = re.sub(known, MASK, text)
    return text


def _without(option: str, command: re.Match[str]) -> str:
    return re.sub(option, rf"\1{MASK}", command[0])
