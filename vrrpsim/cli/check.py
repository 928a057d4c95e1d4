"""`vrrpsim check`: what is wrong with scenarios and keepalived.conf files, without running anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import BAD, GOOD, INPUT
from ._complete import inputs, rules
from ._options import Decorated, dialect_option, file_option, json_option, quiet_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vrrpsim.checking import Report
    from vrrpsim.checking.inputs import Stdin
    from vrrpsim.checking.settings import Settings

FORMS = ("text", "github", "json", "sarif", "junit", "markdown")


def _codes(name: str, says: str) -> Callable[[Decorated], Decorated]:
    return click.option(name, multiple=True, metavar="CODE,...", shell_complete=rules, help=says)


@click.command(
    epilog="""\b
Examples:
  vrrpsim check lb1.conf lb2.conf
  vrrpsim check --strict --format github conf.d/
  vrrpsim check --fix lb1.conf lb2.conf
  vrrpsim check --explain VRRP203
"""
)
@click.argument("files", nargs=-1, metavar="[FILE...]", shell_complete=inputs)
@click.option("--format", "form", type=click.Choice(FORMS), default="text", show_default=True)
@json_option
@dialect_option("How keepalived.conf is read.  [default: keepalived-2.2.7]")
@click.option("--config-id", help="keepalived's -i: decides lines with @ID.")
@click.option(
    "--cluster",
    "clusters",
    multiple=True,
    metavar="FILE,FILE...",
    help="These files are one cluster. Repeatable; otherwise addresses, peers and VRIDs say it.",
)
@_codes("--select", "Rules that count; beginnings, too: VRRP2.")
@_codes("--ignore", "Rules that do not count.")
@click.option(
    "--fail-on", type=click.Choice(["error", "warning", "info"]), help="What exit 1 takes.  [default: error]"
)
@click.option("--strict", is_flag=True, help="The same as --fail-on warning.")
@file_option("--baseline", "F.json", "Known findings: they do not count.")
@file_option("--write-baseline", "F.json", "Write what is found as known.")
@file_option("--config", "F.toml", "Settings, instead of the nearest vrrpsim.toml or pyproject.toml.")
@click.option("--stdin-name", metavar="FILE", help="What the text that `-` reads is called.")
@click.option("--fix", is_flag=True, help="Mend what can be mended for certain.")
@click.option("--diff", is_flag=True, help="Show what --fix would change; 1 if anything.")
@click.option("--list-rules", is_flag=True, help="List every rule.")
@click.option("--explain", metavar="CODE", shell_complete=rules, help="Say what a rule is about.")
@quiet_option
def command(files: tuple[str, ...], list_rules: bool, explain: str | None, **options: Any) -> int:
    """Check scenarios (.yaml) and keepalived.conf files.

    FILE may be a folder (its *.conf), a glob, FILE@ID as `keepalived -i ID` reads it, or - for standard
    input. Files that belong together are compared as the nodes of one cluster. Findings go to stdout with
    their place. `# vrrpsim: ignore[CODE] reason` in a file leaves one out. Exit: 0 nothing as severe as
    --fail-on, 1 something, 3 a file cannot be read.
    """
    if list_rules or explain:
        for line in _explained(explain) if explain else _rules():
            click.echo(line)
        return GOOD
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    return _checked(files, **options)


def _checked(
    files: tuple[str, ...],
    *,
    form: str,
    as_json: bool,
    config: Path | None,
    write_baseline: Path | None,
    fix: bool,
    diff: bool,
    quiet: bool,
    stdin_name: str | None,
    **options: Any,
) -> int:
    from vrrpsim.checking.settings import settings_of

    settings = settings_of(config)
    stdin = _stdin(stdin_name) if "-" in files else None
    if fix and stdin is not None:
        raise click.UsageError("--fix changes files; standard input is none")
    report = _report(files, settings, stdin, **options)
    if write_baseline is not None:
        return _written(report, write_baseline, quiet)
    if fix or diff:
        mended = _mended(report, settings, write=fix and not diff, **options)
        if diff:
            return BAD if mended else GOOD
        if mended:
            report = _report(files, settings, stdin, **options)
            if not quiet:
                click.echo(f"{mended} mended", err=True)
    _show(report, "json" if as_json else form, quiet)
    return {"good": GOOD, "bad": BAD, "unreadable": INPUT}[report.verdict]


def _report(
    files: tuple[str, ...],
    settings: Settings,
    stdin: Stdin | None,
    *,
    dialect: str | None,
    config_id: str | None,
    clusters: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    strict: bool,
    baseline: Path | None,
) -> Report:
    from vrrpsim.checking import check
    from vrrpsim.checking.selection import Selection

    if strict and fail_on not in (None, "warning"):
        raise click.UsageError("--strict means --fail-on warning; give one of them")
    selection = Selection.of(select or settings.select, (*ignore, *settings.ignore), settings.per_path)
    return check(
        *files,
        dialect=dialect or settings.dialect,
        config_id=config_id,
        clusters=(*(each.split(",") for each in clusters), *settings.clusters),
        selection=selection,
        fail_on="warning" if strict else fail_on or settings.fail_on or "error",
        baseline=baseline or settings.baseline,
        stdin=stdin,
    )


def _stdin(name: str | None) -> Stdin:
    from vrrpsim.checking.inputs import Stdin

    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return Stdin(text, name or "")


def _show(report: Report, form: str, quiet: bool) -> None:
    if form == "json":
        click.echo(report.to_json())
    elif form == "sarif":
        from vrrpsim.checking.sarif import as_sarif

        click.echo(as_sarif(report))
    elif form == "junit":
        from vrrpsim.checking.junit import as_junit

        click.echo(as_junit(report))
    elif form == "text":
        for line in report.lines():
            click.echo(line)
        if not quiet:
            click.echo(report.summary)
    else:
        from vrrpsim.checking.forms import as_github, as_markdown

        for line in as_github(report) if form == "github" else as_markdown(report):
            click.echo(line)


def _written(report: Report, path: Path, quiet: bool) -> int:
    from vrrpsim.checking.baseline import write_baseline

    if report.verdict == "unreadable":
        _show(report, "text", quiet)
        return INPUT
    number = write_baseline(path, report.findings)
    if not quiet:
        click.echo(f"{path}: {number} findings are known now", err=True)
    return GOOD


def _mended(report: Report, settings: Settings, *, write: bool, **options: Any) -> int:
    """Mend, or show what would be mended; return how many findings that were."""
    from vrrpsim.checking.fixes import difference, fixed_files, write_fixed
    from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS

    name = options["dialect"] or settings.dialect
    dialect = DIALECTS[name] if name else DEFAULT_DIALECT
    fixed = fixed_files(report.findings, report.texts, dialect, options["config_id"])
    if write:
        write_fixed(fixed)
    else:
        for file, each in fixed.items():
            for line in difference(file, each):
                click.echo(line)
    return sum(each.mended for each in fixed.values())


def _rules() -> Iterator[str]:
    from vrrpsim.rules import RULES

    width = max(len(rule.name) for rule in RULES.values())
    for rule in RULES.values():
        fix = " fix" if rule.fixable else ""
        yield f"{rule.code} {rule.name:{width}} {rule.severity!s:7}{fix}".rstrip()


def _explained(word: str) -> Iterator[str]:
    from vrrpsim.checking.selection import UnknownRule, codes_of
    from vrrpsim.rules import RULES
    from vrrpsim.rules.page import explained

    try:
        codes = codes_of([word])
    except UnknownRule as error:
        raise click.BadParameter(str(error), param_hint="--explain") from error
    for number, code in enumerate(each for each in RULES if each.startswith(codes)):
        if number:
            yield ""
        yield from explained(RULES[code])
