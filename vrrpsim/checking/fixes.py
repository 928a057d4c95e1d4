"""`check --fix`: the few mends that cannot be wrong, each tried before it is made.

A mend changes the text of one file. It stands if keepalived would then read the same configuration but for
what the finding is about: the finding is gone, and none has come that was not there before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from vrrpsim.atomic_write import whole
from vrrpsim.findings import Finding
from vrrpsim.keepalived.compiler import Compiled, compile_text
from vrrpsim.keepalived.lexer import Row
from vrrpsim.protocol.dialect import Dialect

from .inputs import SCENARIOS, Texts

MOST = 100  # mends of one file
PASSWORD_BYTES = 8
MARK = "\ufeff"

Mend = Callable[[list[str], Finding], list[str] | None]  # the lines as they should be; None: not certain


@dataclass(frozen=True, slots=True)
class Fixed:
    """A file's old and new text, and how many findings that mends."""

    old: str
    new: str
    mended: int


def fixed_files(
    findings: Sequence[Finding], texts: Texts, dialect: Dialect, config_id: str | None
) -> dict[str, Fixed]:
    """Return the files that can be mended; nothing is written."""
    mendable = [each.place.file for each in findings if each.code in MENDS and not _is_scenario(each)]
    files = [file for file in dict.fromkeys(mendable) if _is_text(file, texts)]
    found = {file: _fixed(file, texts.text(file), dialect, config_id, findings) for file in files}
    return {file: fixed for file, fixed in found.items() if fixed.mended}


def _is_text(file: str, texts: Texts) -> bool:
    """Whether writing the text as UTF-8 changes nothing; standard input is not written."""
    return file in texts.given or Path(file).read_bytes() == texts.text(file).encode("utf-8", "surrogatepass")


def _is_scenario(finding: Finding) -> bool:
    return Path(finding.place.file).suffix in SCENARIOS


def _fixed(
    file: str, old: str, dialect: Dialect, config_id: str | None, findings: Sequence[Finding]
) -> Fixed:
    wanted = {(each.code, each.message) for each in findings if each.place.file == file}

    def read(text: str) -> Compiled:
        return compile_text(
            text, file=file, base=Path(file).resolve().parent, config_id=config_id, dialect=dialect
        )

    text, compiled, mended = old, read(old), 0
    failed: set[tuple[str, str]] = set()
    while mended < MOST:
        candidates = (each for each in compiled.findings if each.place.file == file and each.code in MENDS)
        for finding in candidates:
            key = (finding.code, finding.message)
            if key in failed or key not in wanted:
                continue
            lines = MENDS[finding.code](text.split("\n"), finding)
            after = read("\n".join(lines)) if lines else None
            if lines is None or after is None or not _better(compiled, after, finding):
                failed.add(key)
                continue
            wanted |= {(each.code, each.message) for each in after.findings} - {
                (each.code, each.message) for each in compiled.findings
            }
            text, compiled, mended = "\n".join(lines), after, mended + 1
            break
        else:
            break
    return Fixed(old, text, mended)


def _better(before: Compiled, after: Compiled, finding: Finding) -> bool:
    """Whether the mend took away its finding, brought none, and left every other line as it is read."""
    old = Counter((each.code, each.message) for each in before.findings)
    new = Counter((each.code, each.message) for each in after.findings)
    allowed = ALSO_MENDED.get(finding.code)
    come = {code for code, _ in new - old if code != allowed}
    if (finding.code, finding.message) not in old - new or (come and finding.code != "VRRP018"):
        return False
    if finding.code == "VRRP401":
        same = Counter(map(_read_as, before.rows)) == Counter(map(_read_as, after.rows))
        return same and {*before.scripts} == {*after.scripts}  # none was inside a block that is not closed
    return _elsewhere(before, finding) == _elsewhere(after, finding)


ALSO_MENDED = {"VRRP105": "VRRP311"}  # what a mend may bring, because another one takes it away


def _read_as(row: Row) -> tuple[str | None, ...]:
    return (row.raw, *(word.text for word in row.words))


def _elsewhere(compiled: Compiled, finding: Finding) -> list[tuple[str | None, ...]]:
    """What keepalived reads on all lines but that of the finding."""
    own = (finding.place.file, finding.place.line)
    return [
        _read_as(row) for row in compiled.rows if (row.words[0].place.file, row.words[0].place.line) != own
    ]


# --- the mends ------------------------------------------------------------------------------------


def _byte_order_mark(lines: list[str], finding: Finding) -> list[str] | None:
    return [lines[0].removeprefix(MARK), *lines[1:]] if lines[0].startswith(MARK) else None


def _quotes(lines: list[str], finding: Finding) -> list[str] | None:
    """Quote a password that a comment character cuts, if it is one word and the line's last."""
    line = lines[finding.place.line - 1]
    match = re.fullmatch(r'(\s*auth_pass\s+)([^\s"{}\\]+)(\s*)', line)
    return _with(lines, finding, f'{match[1]}"{match[2]}"{match[3]}') if match else None


def _eight_bytes(lines: list[str], finding: Finding) -> list[str] | None:
    """Cut a password to what goes on the wire anyway."""
    line = lines[finding.place.line - 1]
    match = re.fullmatch(r'(\s*auth_pass\s+)("?)([^\s"{}\\$~]+)(\2)(.*)', line)
    if not match or not match[3].isascii() or (not match[2] and re.search("[!#]", match[3])):
        return None
    return _with(lines, finding, f"{match[1]}{match[2]}{match[3][:PASSWORD_BYTES]}{match[4]}{match[5]}")


def _with(lines: list[str], finding: Finding, line: str) -> list[str]:
    at = finding.place.line - 1
    return [*lines[:at], line, *lines[at + 1 :]]


def _definition_first(lines: list[str], finding: Finding) -> list[str] | None:
    """Move a block that is defined below to above the block that uses it."""
    match = re.match(r".*track_(\w+) '([^']+)' is not defined above", finding.message)
    if match is None:
        return None
    kinds = {"script": "vrrp_script", "file": "(?:vrrp_)?track_file", "process": "vrrp_track_process"}
    head = re.compile(rf'\s*{kinds.get(match[1], "(?!)")}\s+"?{re.escape(match[2])}"?\s*{{?\s*(?:[#!].*)?$')
    starts = [at for at, line in enumerate(lines) if head.match(line)]
    user = _block_around(lines, finding.place.line - 1)
    if len(starts) != 1 or user is None or starts[0] <= user or (end := _end(lines, starts[0])) is None:
        return None
    start = _with_comments(lines, starts[0])
    to = _with_comments(lines, user)
    block = lines[start : end + 1]
    rest = [*lines[:start], *lines[end + 1 :]]
    if start < len(rest) and not rest[start].strip() and (start == 0 or not rest[start - 1].strip()):
        del rest[start]
    return [*rest[:to], *block, "", *rest[to:]]


def _block_around(lines: Sequence[str], at: int) -> int | None:
    """Return the line on which the outermost block begins that encloses a line."""
    depth, start = 0, None
    for number, line in enumerate(lines[: at + 1]):
        code = _code(line)
        if not depth and code.strip():
            start = number if code.strip() != "{" else start
        depth += code.count("{") - code.count("}")
    return start if depth > 0 or "{" in _code(lines[at]) else None


def _end(lines: Sequence[str], start: int) -> int | None:
    """Return the line that ends the block beginning at a line, if nothing else stands on it."""
    depth = opened = 0
    for number in range(start, len(lines)):
        code = _code(lines[number])
        opened += code.count("{")
        depth += code.count("{") - code.count("}")
        if opened and depth <= 0:
            return number if depth == 0 and code.strip() == "}" else None
    return None


def _with_comments(lines: Sequence[str], at: int) -> int:
    """Return where the comment lines directly above a line begin."""
    while at and lines[at - 1].strip()[:1] in ("#", "!"):
        at -= 1
    return at


def _code(line: str) -> str:
    """Return a line without quoted text and comment."""
    return re.sub(r"[#!].*", "", re.sub(r'"[^"]*"', '""', line))


MENDS: dict[str, Mend] = {
    "VRRP018": _byte_order_mark,
    "VRRP105": _quotes,
    "VRRP311": _eight_bytes,
    "VRRP401": _definition_first,
}


# --- what follows ---------------------------------------------------------------------------------


def write_fixed(fixed: Mapping[str, Fixed]) -> None:
    """Write the files, each completely or not at all, with the permissions that they had."""
    for file, each in fixed.items():
        path = Path(file).resolve()  # a link stays one
        mode = path.stat().st_mode
        with whole(path) as part:
            part.write_text(each.new, encoding="utf-8", newline="")
            part.chmod(mode & 0o7777)


def difference(file: str, fixed: Fixed) -> Iterator[str]:
    """Yield the lines of a unified diff; of a password only its length is shown."""
    old, new = (PASSWORD.sub(_hidden, text).splitlines() for text in (fixed.old, fixed.new))
    shown = unified_diff(old, new, file, file, lineterm="")
    yield from (line.replace(MARK, "<BOM>") for line in shown)


PASSWORD = re.compile(r'(auth_pass\s+"?)([^\s"]+)')


def _hidden(match: re.Match[str]) -> str:
    return match[1] + "*" * len(match[2])
