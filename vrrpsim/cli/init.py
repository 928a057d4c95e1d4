"""`vrrpsim init`: from the keepalived.conf files of a cluster to a scenario that runs."""

from __future__ import annotations

from pathlib import Path

import click

from ._complete import inputs
from ._options import dialect_option, quiet_option


@click.command(
    epilog="""\b
Examples:
  vrrpsim init lb1.conf lb2.conf -o my.yaml && vrrpsim run my.yaml
  vrrpsim init lb1.conf lb2.conf --haproxy haproxy.cfg
  vrrpsim init lb1.conf lb2.conf --inline -o one-file.yaml
  vrrpsim init --from-host lb2.conf -o my.yaml
  vrrpsim init edge.conf@edge1 edge.conf@edge2 edge.conf@edge3
"""
)
@click.argument("files", nargs=-1, metavar="[FILE...]", shell_complete=inputs)
@click.option(
    "-o", "--out", metavar="F.yaml", help="Write the scenario here; to stdout if not given, or if -."
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@dialect_option(
    "Whose behaviour is simulated.  [default: keepalived-2.2.7, of --from-host what is installed]"
)
@click.option(
    "--from-host",
    is_flag=True,
    help="This machine is the first node: its keepalived.conf, interfaces, addresses, processes and ports.",
)
@click.option(
    "--haproxy",
    metavar="F.cfg",
    type=click.Path(path_type=Path),
    help="Take the ports from this haproxy.cfg instead of guessing.",
)
@click.option(
    "--inline", is_flag=True, help="Put the files' text into the scenario, for --set and to pass it on."
)
@quiet_option
def command(
    files: tuple[str, ...],
    out: str | None,
    force: bool,
    dialect: str | None,
    haproxy: Path | None,
    inline: bool,
    from_host: bool,
    quiet: bool,
) -> None:
    """Write a first scenario from keepalived.conf files, one for each node.

    FILE@ID is the node that `keepalived -i ID` makes of FILE. What the files do not say is guessed or
    invented, and a comment says so. stderr has what `vrrpsim check` finds in the files, and what
    --from-host could not read: it needs not be root.
    """
    from vrrpsim.findings import Severity
    from vrrpsim.starter import init

    if not files and not from_host:
        raise click.UsageError(
            "name the keepalived.conf of every node, or --from-host and those of the others"
        )
    target = None if out in (None, "-") else Path(str(out))
    try:
        draft = init(
            *files,
            out=target,
            dialect=dialect,
            force=force,
            haproxy=haproxy,
            inline=inline,
            from_host=from_host,
        )
    except FileExistsError as error:
        raise click.UsageError(f"{error}; --force overwrites it") from error
    if not quiet:
        for finding in draft.findings:
            click.echo(str(finding), err=True)
    if target is None:
        click.echo(draft.text, nl=False)
    elif not quiet:
        errors = sum(finding.severity is Severity.ERROR for finding in draft.findings)
        first = f"mend the errors above ({errors}), then" if errors else "now"
        click.echo(f"{target}: written; {first} `vrrpsim run {target}`", err=True)
