"""`vrrpsim sweep`: many runs of a scenario, or of a grid of its variants."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import BAD, BUG, ENVIRONMENT, GOOD, INTERRUPTED, worst
from ._complete import inputs
from ._options import (
    InputFile,
    file_option,
    jobs_option,
    json_option,
    look,
    quiet_option,
    seed_option,
    set_option,
    verbose_option,
)
from ._pictures import draw, plot_option
from ._progress import progress_bar
from ._tables import check_files, table_option, write_table

if TYPE_CHECKING:
    from vrrpsim.api import Sweep
    from vrrpsim.explore.sweep_result import SweepResult


def _grid(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    grid: dict[str, list[str]] = {}
    for text in texts:
        path, equals, values = text.partition("=")
        found = list(split_values(values))
        if not (path and equals and all(found)):
            raise click.BadParameter(f"{text!r} is not PATH=a,b,c, such as segments.lan.loss=0%,1%,5%")
        if path in grid:
            raise click.BadParameter(f"{path} is varied twice")
        grid[path] = found
    return grid


def split_values(text: str) -> Iterator[str]:
    """Split at commas outside brackets and quotes: `{uniform: [1s, 2s]},3s` is two values."""
    depth, quote, start = 0, "", 0
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "," and not depth:
            yield text[start:at].strip()
            start = at + 1
        else:
            depth += (character in "[{") - (character in "]}")
    yield text[start:].strip()


@click.command(
    epilog="""\b
Thresholds:
  MEASURE.STATISTIC < LIMIT, with < <= > >= ==
  failover, return, outage, outage.CLIENT, dual_master, vacancy, moves: p50 p90 p95 p99 max
  split_brain, failover: rate count   (runs with two owners for longer than 50 ms, with a failover)

\b
The instant of the first event with a random 'at:' is stratified: seeds are chosen so that it is spread
evenly. Each run is still that of 'vrrpsim run --seed N'.

\b
Examples:
  vrrpsim sweep haproxy-crash -n 2000 --threshold 'outage.web.p99 < 5s'
  vrrpsim sweep haproxy-crash --vary segments.lan.loss=0%,1%,5% -o runs.csv --plot ecdf.svg
"""
)
@click.argument("file", metavar="SCENARIO", type=InputFile(), shell_complete=inputs)
@click.option(
    "-n", "--runs", type=click.IntRange(min=1), default=1000, show_default=True, help="Runs per cell."
)
@jobs_option
@seed_option
@set_option
@click.option(
    "--vary",
    multiple=True,
    metavar="PATH=a,b,c",
    callback=_grid,
    help="Sweep each of these values; several make a grid. The same seeds in each cell.",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="EXPR",
    help="Fail unless it holds, e.g. 'failover.p95 < 5s'. Repeatable.",
)
@table_option("Write every run, one a row.")
@plot_option("Draw the distributions of failovers and outages.")
@file_option("--html", "F.html", "Write one offline page: quantiles, distributions, worst seeds.")
@click.option(
    "--scheduler", metavar="tcp://…", help="Work on a Dask cluster (pip install 'vrrpsim[cluster]')."
)
@click.option("--no-stratify", is_flag=True, help="Take consecutive seeds.")
@json_option
@quiet_option
@verbose_option
def command(
    file: Path,
    runs: int,
    jobs: int | None,
    seed: int | None,
    overrides: dict[str, str],
    vary: dict[str, list[str]],
    thresholds: tuple[str, ...],
    output: Path | None,
    plot: Path | None,
    html: Path | None,
    scheduler: str | None,
    no_stratify: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run a scenario under many seeds: quantiles, rates, worst cases.

    The same seeds give the same results for any number of workers. Ctrl-C ends it with what is finished.
    """
    if jobs is not None and scheduler:
        raise click.UsageError("--jobs and --scheduler exclude each other")
    check_files(output, plot, html)
    began = time.perf_counter()
    with ExitStack() as stack:
        from vrrpsim.build import load
        from vrrpsim.explore.thresholds import parse_threshold

        for text in thresholds:
            parse_threshold(text)
        study = load(file, overrides)
        for finding in study.scenario.findings:
            click.echo(str(finding), err=True)
        executor = None
        if scheduler:
            from vrrpsim.explore.cluster import dask_executor

            executor, jobs = stack.enter_context(dask_executor(scheduler))
        done = study.sweep(
            runs,
            seed=seed,
            vary=vary,
            thresholds=thresholds,
            stratify=not no_stratify,
            jobs=jobs,
            executor=executor,
            progress=stack.enter_context(progress_bar(quiet)),
        )
    took_s = time.perf_counter() - began
    if not any(cell.rows for cell in done.outcome.cells) and done.outcome.interrupted:
        click.echo("interrupted before anything was finished", err=True)
        return INTERRUPTED
    _print(done, as_json, quiet)
    _say_what_went_wrong(done.outcome)
    if verbose or (sys.stderr.isatty() and not quiet):
        count = sum(len(cell.rows) for cell in done.outcome.cells)
        click.echo(f"{count} runs in {took_s:.1f} s, {count / took_s:.0f} a second", err=True)
    _write(done, output, plot)
    if html:
        done.html(html)
    return _code(done.outcome)


def _code(outcome: SweepResult) -> int:
    codes = [GOOD if outcome.verdict == "pass" else BAD]
    codes += [INTERRUPTED] * outcome.interrupted
    codes += [BUG] * any(cell.errors for cell in outcome.cells)
    codes += [ENVIRONMENT] * any(cell.lost for cell in outcome.cells)
    return worst(codes)


def _print(done: Sweep, as_json: bool, quiet: bool) -> None:
    from vrrpsim.report.sweep import report, verdict_line

    if as_json:
        click.echo(done.to_json())
    elif quiet:
        click.echo(look().styled(verdict_line(done.outcome.to_dict())))
    else:
        click.echo(report(done.outcome.to_dict(), look()))


def _say_what_went_wrong(outcome: SweepResult) -> None:
    if outcome.deaths:
        seeds = ", ".join(map(str, outcome.repeated[:20])) + ", …" * (len(outcome.repeated) > 20)
        times = "time" if outcome.deaths == 1 else "times"
        lost = sum(len(cell.lost) for cell in outcome.cells)
        click.echo(
            f"a worker process died {outcome.deaths} {times} (out of memory?); seeds under way, run again: "
            f"{seeds}; lost: {lost} runs",
            err=True,
        )
    for cell in outcome.cells:
        for seed, why in list(cell.errors.items())[:3]:
            click.echo(f"seed {seed}: {why}; please report it: {cell.variant.command(seed)}", err=True)


def _write(done: Sweep, output: Path | None, plot: Path | None) -> None:
    if output:
        write_table(output, done.outcome.columns())
    if plot:
        draw(plot, done.plot())
