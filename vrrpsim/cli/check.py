"""`vrrpsim check`: what is wrong with scenarios and keepalived.conf files, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vrrpsim.findings import InputError

from . import BAD, GOOD, INPUT, worst
from ._complete import dialects
from ._options import file_arguments, json_option, quiet_option

if TYPE_CHECKING:
    from vrrpsim.findings import Finding
    from vrrpsim.keepalived.lint import Member
    from vrrpsim.protocol.dialect import Dialect

SCENARIOS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: what it is, what it defines, what is wrong. Not `readable`: nothing more is known of it."""

    file: str
    kind: str
    findings: tuple[Finding, ...]
    readable: bool = True
    instances: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()

    @property
    def code(self) -> int:
        """The exit code that this file asks for; warnings and infos are fine."""
        if not self.readable:
            return INPUT
        return BAD if any(str(finding.severity) == "error" for finding in self.findings) else GOOD


@click.command(
    epilog="""\b
Examples:
  vrrpsim check lb1.conf lb2.conf
  vrrpsim check haproxy-crash weight-too-small --format github
"""
)
@file_arguments("FILE...")
@click.option(
    "--format", "form", type=click.Choice(["text", "github", "json"]), default="text", show_default=True
)
@json_option
@click.option(
    "--dialect",
    "name",
    shell_complete=dialects,
    help="How keepalived.conf is read.  [default: keepalived-2.2.7]",
)
@click.option("--config-id", help="keepalived's -i: decides lines with @ID.")
@quiet_option
def command(
    files: tuple[Path, ...], form: str, as_json: bool, name: str | None, config_id: str | None, quiet: bool
) -> int:
    """Check scenarios (.yaml) and keepalived.conf files.

    Several keepalived.conf files are compared as the nodes of one cluster. Findings go to stdout with
    their place. Exit: 0 clean or only warnings, 1 errors, 3 a file cannot be read.
    """
    checked = examine(files, _dialect(name), config_id)
    if as_json or form == "json":
        click.echo(_json(checked))
    else:
        for line in _lines(checked, form):
            click.echo(line)
        if form == "text" and not quiet:
            click.echo(_summary(checked))
    return worst([each.code for each in checked])


def examine(files: Sequence[Path], dialect: Dialect, config_id: str | None = None) -> list[Checked]:
    """Return what is wrong with each file, and between the keepalived.conf files."""
    return _compared(
        [_scenario(file) if file.suffix in SCENARIOS else _conf(file, dialect, config_id) for file in files]
    )


def _dialect(name: str | None) -> Dialect:
    from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS

    if name is None:
        return DEFAULT_DIALECT
    if name not in DIALECTS:
        raise click.BadParameter(f"{name!r} is none of {', '.join(DIALECTS)}", param_hint="--dialect")
    return DIALECTS[name]


def _scenario(file: Path) -> Checked:
    from vrrpsim.keepalived.lint import lint, members_of
    from vrrpsim.protocol.dialect import DIALECTS
    from vrrpsim.scenario.file.reader import read_scenario
    from vrrpsim.scenario.file.yaml_tree import read_tree

    tree = None
    try:
        tree = read_tree(file)
        scenario, places = read_scenario(tree)
    except InputError as error:
        return Checked(str(file), "scenario", error.findings, readable=tree is not None)
    configs = {name: node.keepalived.config for name, node in scenario.nodes.items() if node.keepalived}
    members = [
        member
        for name, config in configs.items()
        for member in members_of(name, config, DIALECTS[scenario.dialect_of(name)], places[name])
    ]
    return Checked(
        str(file),
        "scenario",
        (*scenario.findings, *map(_softer, lint(members))),
        instances=_names(config.instances for config in configs.values()),
        scripts=_names(config.scripts for config in configs.values()),
        groups=_names(config.groups for config in configs.values()),
    )


def _softer(finding: Finding) -> Finding:
    """A scenario may show a broken cluster on purpose: what is wrong between its nodes is a warning."""
    from vrrpsim.findings import Severity

    return replace(finding, severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding


def _conf(file: Path, dialect: Dialect, config_id: str | None) -> Checked:
    from vrrpsim.keepalived.compiler import read_keepalived
    from vrrpsim.keepalived.lint import members_of

    compiled = read_keepalived(file, config_id=config_id, dialect=dialect)
    members = members_of(str(file), compiled.config, dialect, compiled.places) if compiled.config else ()
    return Checked(
        str(file),
        "keepalived.conf",
        compiled.findings,
        readable=not compiled.fatal,
        instances=compiled.instances,
        scripts=compiled.scripts,
        groups=compiled.groups,
        members=members,
    )


def _names(parts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.name for part in parts for item in part))


def _compared(checked: Sequence[Checked]) -> list[Checked]:
    """Add what is wrong between the keepalived.conf files to the file at which it shows."""
    from vrrpsim.keepalived.lint import lint

    between = lint([member for each in checked for member in each.members])
    conf = [each.file for each in checked if each.members]
    result = []
    for each in checked:
        own = tuple(finding for finding in between if finding.place.file == each.file)
        if conf and each.file == conf[0]:  # what shows in an included file stays with the first
            own += tuple(finding for finding in between if finding.place.file not in conf)
        result.append(replace(each, findings=(*each.findings, *own)))
    return result


# --- forms ----------------------------------------------------------------------------------------


def _lines(checked: Sequence[Checked], form: str) -> list[str]:
    findings = [finding for each in checked for finding in sorted(each.findings, key=lambda f: f.place)]
    return [_github(finding) if form == "github" else str(finding) for finding in findings]


def _github(finding: Finding) -> str:
    """A workflow command, which GitHub shows beside the line."""
    level = {"info": "notice"}.get(str(finding.severity), str(finding.severity))
    place = finding.place
    message = finding.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    title = f"{finding.code} {finding.name}"
    return f"::{level} file={place.file},line={place.line},col={place.col},title={title}::{message}"


def _summary(checked: Sequence[Checked]) -> str:
    parts = [_count(len(checked), "file")]
    for severity in ("error", "warning", "info"):
        number = sum(str(finding.severity) == severity for each in checked for finding in each.findings)
        if number or severity == "error":
            parts.append(_count(number, severity))
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _json(checked: Sequence[Checked]) -> str:
    import json

    files = [
        {
            "file": each.file,
            "kind": each.kind,
            "instances": list(each.instances),
            "scripts": list(each.scripts),
            "groups": list(each.groups),
            "findings": [
                {
                    "line": finding.place.line,
                    "col": finding.place.col,
                    "severity": str(finding.severity),
                    "code": finding.code,
                    "name": finding.name,
                    "message": finding.message,
                }
                for finding in each.findings
            ],
        }
        for each in checked
    ]
    return json.dumps({"files": files}, indent=2, ensure_ascii=False)
