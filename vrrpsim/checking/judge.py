"""Each file alone, then the files of each cluster with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vrrpsim.findings import Finding, InputError, Place, Severity
from vrrpsim.keepalived.compiler import compile_text, read_keepalived
from vrrpsim.keepalived.lint import lint
from vrrpsim.keepalived.members import members_of
from vrrpsim.keepalived.one_file import conflict, one_file
from vrrpsim.protocol.dialect import DIALECTS, Dialect

from .clusters import between, clusters_of
from .inputs import Input, Texts
from .report import Checked


def judge(
    inputs: Iterable[Input],
    texts: Texts,
    dialect: Dialect,
    config_id: str | None,
    clusters: Sequence[Sequence[str | Path]] = (),
) -> list[Checked]:
    """Return every file with its findings; what is wrong between files is with the one at which it shows."""
    checked = []
    for each in inputs:
        if each.problem:
            finding = Finding(Place(each.name, 1, 1), "VRRP001", each.problem)
            checked.append(Checked(each.name, "keepalived.conf", (finding,), readable=False))
        elif each.is_scenario:
            checked.append(_scenario(each))
        else:
            checked.append(_conf(each, dialect, config_id))
    checked = _without_included(checked)
    result: list[Checked] = []
    groups = clusters_of(checked, clusters)
    strange = tuple(between(groups))
    for number, cluster in enumerate(groups, 1):
        result += _compared([replace(each, cluster=number) for each in cluster], strange)
    order = {each.file: at for at, each in enumerate(checked)}
    return _once(sorted(result, key=lambda each: order[each.file]))


def _scenario(source: Input) -> Checked:
    from vrrpsim.scenario.file.reader import read_scenario
    from vrrpsim.scenario.file.yaml_tree import read_tree, tree_of

    tree = None
    try:
        tree = read_tree(source.file) if source.text is None else tree_of(source.name, source.text)
        scenario, places = read_scenario(tree)
    except InputError as error:
        return Checked(source.name, "scenario", error.findings, readable=tree is not None)
    configs = {name: node.keepalived.config for name, node in scenario.nodes.items() if node.keepalived}
    members = [
        member
        for name, config in configs.items()
        for member in members_of(name, config, DIALECTS[scenario.dialect_of(name)], places[name])
    ]
    return Checked(
        source.name,
        "scenario",
        (*scenario.findings, *map(_softer, lint(members))),
        instances=_names(config.instances for config in configs.values()),
        scripts=_names(config.scripts for config in configs.values()),
        groups=_names(config.groups for config in configs.values()),
    )


def _softer(finding: Finding) -> Finding:
    """A scenario may show a broken cluster on purpose: what is wrong between its nodes is a warning."""
    return replace(finding, severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding


def _conf(source: Input, dialect: Dialect, config_id: str | None) -> Checked:
    node_id = source.config_id or config_id
    if source.text is None:
        compiled = read_keepalived(source.file, config_id=node_id, dialect=dialect)
    else:
        compiled = compile_text(
            source.text, file=source.name, base=source.base, config_id=node_id, dialect=dialect
        )
    members = members_of(source.name, compiled.config, dialect, compiled.places) if compiled.config else ()
    unfinished = conflict(compiled.rows)
    findings = (
        (unfinished,)
        if unfinished
        else (
            *compiled.findings,
            *one_file(compiled, members, dialect, source.name, asked=node_id is not None),
        )
    )
    files = {row.words[0].place.file for row in compiled.rows}
    return Checked(
        source.name,
        "keepalived.conf",
        findings,
        readable=not compiled.fatal,
        instances=compiled.instances,
        scripts=compiled.scripts,
        groups=compiled.groups,
        members=members,
        reads=frozenset(Path(file).resolve() for file in {str(source.file), *files}),
    )


def _names(parts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.name for part in parts for item in part))


def _without_included(checked: Sequence[Checked]) -> list[Checked]:
    """Leave out files that others of them include: they are parts, and judged there."""
    own = [Path(each.file).resolve() for each in checked]
    included = {path for each, file in zip(checked, own, strict=True) for path in each.reads - {file}}
    included -= {file for each, file in zip(checked, own, strict=True) if "@" in each.file}
    kept = [each for each, file in zip(checked, own, strict=True) if file not in included]
    return kept or [*checked]


def _compared(cluster: Sequence[Checked], strange: Sequence[Finding]) -> list[Checked]:
    """Add what is wrong between the files of a cluster to the file at which it shows."""
    names = _short_names([each.file for each in cluster])
    nodes = [
        [replace(member, node=name) for member in each.members]
        for each, name in zip(cluster, names, strict=True)
    ]
    found = lint([member for node in nodes for member in node])
    home: dict[str, int] = {}
    for at, members in enumerate(nodes):
        for member in members:
            home.setdefault(member.node, at)
            for place in member.places.values():
                home.setdefault(place.file, at)
    own: defaultdict[int, list[Finding]] = defaultdict(list)
    for finding in found:
        own[home.get(finding.place.file, 0)].append(finding)
    for finding in strange:
        if finding.place.file in home:
            own[home[finding.place.file]].append(finding)
    return [replace(each, findings=(*each.findings, *own[at])) for at, each in enumerate(cluster)]


def _short_names(files: Sequence[str]) -> list[str]:
    """Return the shortest ends of the paths that tell them apart."""
    parts = [Path(file).parts for file in files]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [*files]


def _once(checked: Iterable[Checked]) -> list[Checked]:
    """Say what two nodes share, as those of one file with two IDs do, only of the first."""
    seen: set[Finding] = set()
    result = []
    for each in checked:
        new = [finding for finding in each.findings if finding not in seen]
        seen.update(new)
        result.append(replace(each, findings=tuple(dict.fromkeys(new))))
    return result
