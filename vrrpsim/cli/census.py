"""`vrrpsim census`: everything that can go wrong with a cluster, the worst first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import BAD, ENVIRONMENT, GOOD, INTERRUPTED, worst
from ._complete import inputs
from ._options import (
    age_option,
    dialect_option,
    file_option,
    jobs_option,
    json_option,
    look,
    quiet_option,
    seed_option,
    set_option,
    verbose_option,
)
from ._progress import progress_bar
from ._tables import check_files, table_option, write_table

if TYPE_CHECKING:
    from vrrpsim.review import Census


@click.command(
    epilog="""\b
Limits of --fail-on, with commas between:
  never-heals, split-brain, nobody, hands-over, outage>10s, two-owners>=1s
What VRRP cannot mend, such as a cut between the nodes, breaks none of them.

\b
Examples:
  vrrpsim census lb1.conf lb2.conf --fail-on 'split-brain,never-heals,outage>10s'
  vrrpsim census haproxy-crash --cell 'kill lb1/haproxy'
  vrrpsim census lb1.conf lb2.conf --html census.html --write cells
"""
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=inputs)
@click.option(
    "-n", "--runs", type=click.IntRange(min=1), default=20, show_default=True, help="Runs of each fault."
)
@click.option(
    "--pair-runs", type=click.IntRange(min=1), default=4, show_default=True, help="Runs of each pair."
)
@click.option("--no-pairs", is_flag=True, help="Single faults only.")
@click.option(
    "--cell", "cells", multiple=True, metavar="NAME", help="Show the worst run of this row. Repeatable."
)
@click.option("--fail-on", metavar="LIMITS", default="", help="Exit 1 if a row breaks one of these.")
@click.option("--top", type=click.IntRange(min=0), default=5, show_default=True, help="Pairs to print.")
@dialect_option("Whose behaviour.  [default: keepalived-2.2.7]")
@jobs_option
@seed_option
@set_option
@age_option
@table_option("Write the table, one row a fault or pair.")
@file_option(
    "--html",
    metavar="F.html",
    says="Write one offline page: the table, the heat map of pairs, the worst run of each.",
)
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each row that does harm as a scenario that shows its worst run.",
)
@json_option
@quiet_option
@verbose_option
def command(
    files: tuple[str, ...],
    runs: int,
    pair_runs: int,
    no_pairs: bool,
    cells: tuple[str, ...],
    fail_on: str,
    top: int,
    dialect: str | None,
    jobs: int | None,
    seed: int | None,
    overrides: dict[str, str],
    age: str | None,
    output: Path | None,
    html: Path | None,
    folder: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Try every single fault and every ordered pair of faults, each at many instants.

    FILE is the keepalived.conf of each node of a cluster (FILE@ID as in `vrrpsim init`), or one scenario,
    whose own events give way. Ctrl-C prints what is finished.
    """
    from vrrpsim.examples import find
    from vrrpsim.explore.census_result import parse_limits
    from vrrpsim.review import read_cluster, take_census

    if fail_on:
        parse_limits(fail_on)
    check_files(output, html)
    began = time.perf_counter()
    overrides |= {"age": age} if age else {}
    cluster = read_cluster(*(str(find(file)) for file in files), dialect=dialect, overrides=overrides)
    for finding in cluster.scenario.findings:
        click.echo(str(finding), err=True)
    with progress_bar(quiet) as progress:
        done = take_census(
            cluster,
            phases=runs,
            pair_phases=0 if no_pairs else pair_runs,
            only=cells,
            fail_on=fail_on,
            seed=seed,
            jobs=jobs,
            progress=progress or False,
        )
    if not done.outcome.cells:
        click.echo("interrupted before anything was finished", err=True)
        return INTERRUPTED
    _print(done, cells, as_json, quiet, top)
    if verbose:
        count, took_s = sum(len(cell.rows) for cell in done.outcome.cells), time.perf_counter() - began
        click.echo(f"{count} runs in {took_s:.1f} s, {count / took_s:.0f} a second", err=True)
    _write(done, output, html, folder)
    codes = [BAD if done.verdict == "fail" else GOOD]
    codes += [INTERRUPTED] * done.outcome.interrupted + [ENVIRONMENT] * bool(done.outcome.lost)
    return worst(codes)


def _print(done: Census, cells: tuple[str, ...], as_json: bool, quiet: bool, top: int) -> None:
    from vrrpsim.report.census import report, verdict_line

    if as_json:
        click.echo(done.to_json())
        return
    if quiet:
        click.echo(look().styled(verdict_line(done.to_dict())))
        return
    for name in dict.fromkeys(cells):
        click.echo(done.run(name).text(look().width) + "\n")
    click.echo(report(done.to_dict(), look(), top=top))


def _write(done: Census, output: Path | None, html: Path | None, folder: Path | None) -> None:
    if output:
        write_table(output, done.columns())
    if html:
        done.html(html)
    if folder:
        written = done.write(folder)
        click.echo(f"{folder}: {len(written)} scenarios written", err=True)
