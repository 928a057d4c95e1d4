"""From keepalived.conf files to a first scenario: deduce the cluster, plan its faults, write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vrrpsim.findings import Finding
    from vrrpsim.scenario.model import Scenario


@dataclass(frozen=True, slots=True)
class Draft:
    """A first scenario: its text, and what `vrrpsim check` says of the files that it was made from."""

    text: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.text)}</pre>"


def init(
    *sources: str | Path,
    out: str | Path | None = None,
    dialect: str | None = None,
    force: bool = False,
    haproxy: str | Path | None = None,
    inline: bool = False,
    from_host: bool = False,
) -> Draft:
    """Make a first scenario of the keepalived.conf files of a cluster, and write it to `out`.

    A source is a file, or `FILE@ID` for the node that `keepalived -i ID` makes of it; `haproxy` a
    haproxy.cfg, which says the ports that else are guessed. `inline` puts the text of the files, which then
    must not include others, into the scenario. With `from_host` this machine is a node, as it is: its
    keepalived.conf, interfaces, processes, HAProxy and version of keepalived. Raises `InputError`
    with everything that is wrong with the files, `FileExistsError` if `out` is there and not `force`;
    then nothing is written.
    """
    from dataclasses import replace

    from vrrpsim.atomic_write import write_whole
    from vrrpsim.explore.rest import rests
    from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS

    from .deduce import deduce
    from .haproxy import binds_of
    from .host import installed_dialect, read_host
    from .machines import read_machines, texts_of
    from .plan import AGE_NS, plan
    from .text import scenario_text

    host = read_host() if from_host else None
    if dialect is None and host is not None:
        dialect = installed_dialect()
    spoken = DEFAULT_DIALECT if dialect is None else DIALECTS[dialect]
    file = Path("my.yaml" if out is None else out)
    if out is not None and file.exists() and not force:
        raise FileExistsError(f"{file} exists")
    binds = binds_of(haproxy) if haproxy is not None else host.binds if host else ()
    machines = read_machines(sources, spoken, host=host)
    cluster = deduce(machines, spoken, binds)
    texts = texts_of(machines) if inline else {}
    beside = Path() if out is None else file.parent
    planned = plan(cluster, spoken, file.stem)
    if rests(planned.scenario):
        planned = replace(planned, scenario=replace(planned.scenario, age_ns=AGE_NS))
    text = scenario_text(cluster, planned, beside=beside, file=str(file), texts=texts)
    if out is not None:
        write_whole(file, text.encode())
    return Draft(text, cluster.findings)


def cluster_of(
    *sources: str | Path, dialect: str | None = None, overrides: Mapping[str, str] | None = None
) -> Scenario:
    """Return the cluster of keepalived.conf files as a scenario in which nothing happens.

    `overrides` change keywords, such as `lb1.VI_1.advert_int` to `0.5`, or the scenario's `age`. Sources
    and errors are those of `init`, what `vrrpsim check` says of the files are its findings.
    """
    from dataclasses import replace

    from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS

    from .deduce import deduce
    from .machines import read_machines
    from .plan import plan

    spoken = DEFAULT_DIALECT if dialect is None else DIALECTS[dialect]
    changes = dict(overrides or {})
    age_ns = _age_ns(changes.pop("age", "0s"))
    cluster = deduce(read_machines(sources, spoken, changes), spoken)
    planned = plan(cluster, spoken, ", ".join(cluster.nodes)).scenario
    return replace(planned, findings=cluster.findings, age_ns=age_ns)


def _age_ns(text: str) -> int:
    from vrrpsim.findings import Finding, InputError, Place
    from vrrpsim.scenario.quantities import ValueSyntaxError, parse_duration_ns

    try:
        return parse_duration_ns(text)
    except ValueSyntaxError as error:
        raise InputError((Finding(Place(f"--set age={text}", 1, 1), "VRRP023", str(error)),)) from error
