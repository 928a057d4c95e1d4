"""`vrrpsim advise`: what to change in the keepalived.conf files of a cluster."""

from __future__ import annotations

from pathlib import Path

import click

from . import GOOD, INTERRUPTED
from ._complete import inputs
from ._options import dialect_option, jobs_option, json_option, look, quiet_option, seed_option
from ._progress import progress_bar


@click.command(
    epilog="""\b
Examples:
  vrrpsim advise lb1.conf lb2.conf
  vrrpsim advise lb1.conf lb2.conf --row 1
  vrrpsim advise lb1.conf lb2.conf --row 1 --write new && vrrpsim diff lb1.conf lb2.conf -- new
"""
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=inputs)
@click.option(
    "-n", "--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Runs of each fault."
)
@click.option("--row", type=click.IntRange(min=1), help="Print this row as a diff of the files.")
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the files with the change of --row, of the first row if not given.",
)
@click.option("--top", type=click.IntRange(min=0), default=8, show_default=True, help="Rows to print.")
@dialect_option("Whose behaviour.  [default: keepalived-2.2.7]")
@jobs_option
@seed_option
@json_option
@quiet_option
def command(
    files: tuple[str, ...],
    runs: int,
    row: int | None,
    folder: Path | None,
    top: int,
    dialect: str | None,
    jobs: int | None,
    seed: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Try small changes of keepalived.conf files, alone and in pairs, and print what nothing beats.

    Each is judged by every single fault, and by its price: how long a pause and how many lost adverts the
    cluster forgives, and packets a second. FILE is as in `vrrpsim init`.
    """
    from vrrpsim.report.advice import report, verdict_line
    from vrrpsim.review import advise

    with progress_bar(quiet) as progress:
        done = advise(*files, dialect=dialect, phases=runs, seed=seed, jobs=jobs, progress=progress or False)
    count = len(done.outcome.front)
    if (row or folder) and (row or 1) > count:
        raise click.UsageError(f"there is no row {row or 1}: {count} changes are left")
    if as_json:
        click.echo(done.to_json())
    elif quiet:
        click.echo(look().styled(verdict_line(done.to_dict())))
    elif row:
        click.echo(done.diff(row), nl=False)
    else:
        click.echo(report(done.to_dict(), look(), top=top))
    if folder:
        for path in done.write(folder, row or 1):
            click.echo(f"{path}: written", err=True)
    return INTERRUPTED if done.outcome.interrupted else GOOD
