"""Read keepalived.conf: from a file, from a string, or from the statements of another notation.

Nothing raises; what is wrong stands in `Compiled.findings`.
Reproduced is what keepalived does when it runs, not what `keepalived -t` says: bad values become defaults,
trackers vanish, and each time a finding names the rule of keepalived.md. Where keepalived would not start,
`fatal` is true and `config` is None. Whether interfaces exist, or scripts can be run, is not asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vrrpsim.findings import Finding, Place, Severity
from vrrpsim.keepalived.keywords.tables import read_rows
from vrrpsim.protocol.configuration import RouterConfig
from vrrpsim.protocol.dialect import DEFAULT_DIALECT, Dialect

from .changes import Change, changed
from .defaults import Completion
from .lexer import Lexer, Row, Statement, flatten

MAX_FINDINGS = 1000
Places = Mapping[tuple[str, ...], Place]  # see `Compiled`


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a configuration means, and what was remarkable about it.

    `places` maps ("instance", "VI_1"), ("instance", "VI_1", "priority"), ("script", NAME[, KEYWORD]),
    ("group", …), ("file", …), ("process", …), ("track_script", OWNER, NAME) and the other `track_` kinds
    to where they stand. The names are of everything defined, also of dropped scripts and if `fatal`.
    """

    config: RouterConfig | None
    findings: tuple[Finding, ...] = ()
    fatal: bool = False
    instances: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    unused_scripts: tuple[str, ...] = ()
    places: Places = field(default_factory=dict)
    rows: Sequence[Row] = field(default=(), repr=False)  # what the lexer made of it
    depends_on_id: bool = False  # another `config_id` may mean another configuration
    missed: tuple[Change, ...] = ()  # changes for whichever node has their block, which this one has not


def read_keepalived(
    path: Path,
    *,
    config_id: str | None = None,
    dialect: Dialect = DEFAULT_DIALECT,
    seed: int | str = 0,
    changes: Sequence[Change] = (),
) -> Compiled:
    """Read a file and what it includes; `config_id` decides `@id` lines, `seed` decides `${_RANDOM}`.

    `changes` are made before anything is judged: a mistake in one has its place, and is an error.
    """
    lexer = Lexer(config_id, seed)
    return _compiled(lexer, lexer.read_file(path), dialect, changes)


def _compiled(lexer: Lexer, usable: bool, dialect: Dialect, changes: Sequence[Change]) -> Compiled:
    if usable:
        lexer.finish()
    rows, wrong, missed = changed(lexer.rows, changes if usable else ())
    done = _compile(rows, lexer.findings, dialect, usable=usable)
    done = replace(done, depends_on_id=lexer.asks_id)
    if not changes:
        return done
    places = {change.place for change in changes}
    wrong += [
        replace(each, severity=Severity.ERROR)
        for each in done.findings
        if each.place in places and each.severity is not Severity.INFO
    ]
    if not wrong:
        return replace(done, missed=tuple(missed))
    rest = (each for each in done.findings if each.place not in places)
    return replace(done, findings=(*wrong, *rest), fatal=True, config=None, missed=tuple(missed))


def compile_text(
    text: str,
    *,
    file: str = "keepalived.conf",
    base: Path | None = None,
    config_id: str | None = None,
    dialect: Dialect = DEFAULT_DIALECT,
    seed: int | str = 0,
    changes: Sequence[Change] = (),
) -> Compiled:
    """Read a text as if it stood in `file`; includes are relative to `base`, and ignored without it."""
    lexer = Lexer(config_id, seed)
    return _compiled(lexer, lexer.read_text(text, file, base), dialect, changes)


def compile_statements(statements: Iterable[Statement], dialect: Dialect = DEFAULT_DIALECT) -> Compiled:
    """Compile the same keywords from another notation, with its places.

    One `Statement(words, block)` is one line: `words` are the keyword and its parameters as `Word(text,
    place)`, `block` is None or the tuple of the lines between the braces. For example

        Statement((Word("vrrp_instance", p1), Word("VI_1", p1)), (
            Statement((Word("interface", p2), Word("eth0", p2))),
            Statement((Word("nopreempt", p3),)),
            Statement((Word("virtual_ipaddress", p4),), (Statement((Word("10.0.0.1/24", p5),)),)),
            Statement((Word("track_script", p6),),
                      (Statement((Word("chk", p6), Word("weight", p6), Word("2", p6))),)),
        ))

    Order matters as in a file: scripts, files and processes stand before the instances that track them.
    Words are taken as they are: no comments, no substitution. A command is one Word, blanks included.
    """
    rows, findings = flatten(statements)
    return _compile(rows, findings, dialect, usable=not findings)


def _compile(rows: Sequence[Row], findings: list[Finding], dialect: Dialect, *, usable: bool) -> Compiled:
    draft, complete = read_rows(rows if usable else (), dialect, findings)
    completion = Completion(draft, findings)
    config = completion.complete() if complete and usable else None
    fatal = completion.fatal or config is None
    return Compiled(
        config=None if fatal else config,
        findings=_in_order(findings),
        fatal=fatal,
        instances=tuple(draft.instances),
        groups=tuple(draft.groups),
        scripts=tuple(draft.scripts),
        unused_scripts=completion.unused_scripts,
        places=draft.places,
        rows=rows,
    )


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort by place; of too many the errors stay, and the last one says that there were more."""
    if len(findings) > MAX_FINDINGS:
        more = len(findings) - MAX_FINDINGS
        worst = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)[:MAX_FINDINGS]
        rest = Finding(max(one.place for one in worst), "VRRP004", f"{more} more findings left out")
        findings = [*worst, rest]
    return tuple(sorted(findings, key=lambda finding: finding.place))
