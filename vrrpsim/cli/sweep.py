"""`vrrpsim sweep`: many runs of a scenario, or of a grid of its variants."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import BUG, ENVIRONMENT, INTERRUPTED, code_of, worst
from ._complete import inputs
from ._options import (
    InputFile,
    age_option,
    file_option,
    invariant_option,
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
from ._tables import check_files, is_folder, table_option, write_table

if TYPE_CHECKING:
    from vrrpsim.api import Sweep
    from vrrpsim.explore.sweep_result import Cell, SweepResult

HOW_TO_TELL = {"--from", "--threshold", "--output", "--plot", "--html", "--json", "--quiet", "--verbose"}


def _shard(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int]:
    number, slash, of = (text or "1/1").partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise click.BadParameter(f"{text!r} is not K/N, such as 3/200")
    return int(number), int(of)


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
    if grid:
        from vrrpsim.api import refuse_large

        try:
            refuse_large(grid)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
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
  failover, return, heal, outage, outage.CLIENT, dual_master, vacancy, moves: p50 p90 p95 p99 max;
  failover.EVENT and so on where there are several events: 'failover.kill lb1/haproxy.p99 < 5s'
  split_brain, failover: rate count   (runs with two owners for longer than 50 ms, with a failover)

\b
Goals of --until:
  MEASURE.STATISTIC ±HALF: 'outage.p99 ±50ms', 'failover.rate ±0.1%', 'failover.rate ±10% of it'
  Asked after 200 runs and every further quarter; -n runs at most.

\b
A folder (-o DIR) gets its runs while they come, as Parquet files. Killed, it goes on with --resume. Shares of
a sweep (--shard 3/200) on several machines are put together by --from, to the bytes of one run.

\b
The instant of the first event with a random 'at:' is stratified: seeds are chosen so that it is spread
evenly. Each run is still that of 'vrrpsim run --seed N'.

\b
Examples:
  vrrpsim sweep haproxy-crash -n 2000 --threshold 'outage.web.p99 < 5s'
  vrrpsim sweep haproxy-crash --vary segments.lan.loss=0%,1%,5% -o runs.csv --plot ecdf.svg
  vrrpsim sweep haproxy-crash -n 1000000 -o runs --resume
  vrrpsim sweep --from shard-*/ --threshold 'outage.p99 < 5s' --html sweep.html
"""
)
@click.argument(
    "files", metavar="SCENARIO", nargs=-1, required=True, type=click.Path(), shell_complete=inputs
)
@click.option(
    "-n", "--runs", type=click.IntRange(min=1), default=1000, show_default=True, help="Runs per cell."
)
@jobs_option
@seed_option
@set_option
@age_option
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
@click.option(
    "--until",
    multiple=True,
    metavar="GOAL",
    help="Stop when it is known so well, e.g. 'outage.p99 ±50ms'. Repeatable: all of them.",
)
@click.option(
    "--rare",
    type=click.Choice(["loss"]),
    help="Make losses of adverts frequent and weigh the runs: how often what nearly never happens?",
)
@invariant_option("Fail where a run breaks it, e.g. no-split-brain, or a function of yours. Repeatable.")
@table_option("Write every run, one a row; into a folder while it runs.", folder=True)
@click.option("--resume", is_flag=True, help="Keep the runs that -o DIR has and do what is missing.")
@click.option("--shard", metavar="K/N", callback=_shard, help="Run the K-th of N equal shares of the seeds.")
@click.option(
    "--from", "from_folders", is_flag=True, help="Run nothing: put together and judge folders of -o."
)
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
    files: tuple[str, ...],
    runs: int,
    jobs: int | None,
    seed: int | None,
    overrides: dict[str, str],
    age: str | None,
    vary: dict[str, list[str]],
    thresholds: tuple[str, ...],
    until: tuple[str, ...],
    rare: str | None,
    invariants: tuple[str, ...],
    output: Path | None,
    resume: bool,
    shard: tuple[int, int],
    from_folders: bool,
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
    folder = output if output is not None and is_folder(output) else None
    table = output if folder is None else None
    if resume and folder is None:
        raise click.UsageError("--resume goes on with a folder: -o DIR")
    check_files(table, plot, html)
    if from_folders:
        if asked := sorted(_given() - HOW_TO_TELL):
            raise click.UsageError(f"--from runs nothing: {', '.join(asked)} cannot change what ran")
        from vrrpsim.api import Sweep

        done = Sweep.read(*files, thresholds=thresholds, into=folder)
        return _tell(done, as_json, quiet, table, plot, html)
    if len(files) > 1:
        raise click.UsageError("one scenario at a time (several folders: --from)")
    file = InputFile().convert(files[0], None, click.get_current_context())
    began = time.perf_counter()
    with ExitStack() as stack:
        from vrrpsim.build import load
        from vrrpsim.explore.thresholds import parse_threshold

        for text in thresholds:
            parse_threshold(text)
        study = load(file, overrides | ({"age": age} if age else {}))
        for finding in study.scenario.findings:
            click.echo(str(finding), err=True)
        if vary and not quiet:
            cells = prod(map(len, vary.values()))
            click.echo(f"{cells:,} cells of {runs:,} runs: {cells * runs:,} in all", err=True)
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
            until=until,
            rare=rare,
            invariants=invariants,
            folder=folder,
            resume=resume,
            shard=shard,
        )
    took_s = time.perf_counter() - began
    if not any(cell.rows for cell in done.outcome.cells) and done.outcome.interrupted:
        click.echo("interrupted before anything was finished", err=True)
        return INTERRUPTED
    code = _tell(done, as_json, quiet, table, plot, html)
    if verbose or (sys.stderr.isatty() and not quiet):
        count = sum(len(cell.rows) for cell in done.outcome.cells)
        click.echo(f"{count} runs in {took_s:.1f} s, {count / took_s:.0f} a second", err=True)
    return code


def _given() -> set[str]:
    """The options that were on the command line."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    return {
        max(each.opts, key=len)
        for each in context.command.params
        if isinstance(each, click.Option) and each.name and context.get_parameter_source(each.name) != default
    }


def _tell(
    done: Sweep, as_json: bool, quiet: bool, table: Path | None, plot: Path | None, html: Path | None
) -> int:
    """Print and write what came out; return the exit code."""
    _print(done, as_json, quiet)
    _say_what_went_wrong(done.outcome)
    _write(done, table, plot)
    if html:
        done.html(html)
    return _code(done.outcome)


def _code(outcome: SweepResult) -> int:
    codes = [code_of(outcome.verdict)]
    codes += [INTERRUPTED] * outcome.interrupted
    codes += [BUG] * any(cell.errors for cell in outcome.cells)
    codes += [ENVIRONMENT] * any(cell.lost or _missing(outcome, cell) for cell in outcome.cells)
    return worst(codes)


def _missing(outcome: SweepResult, cell: Cell) -> int:
    """How many runs nobody has said anything about: shards that are not there."""
    return 0 if outcome.interrupted else outcome.asked - len(cell.rows) - len(cell.errors) - len(cell.lost)


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
    if missing := sum(_missing(outcome, cell) for cell in outcome.cells):
        click.echo(f"{missing} runs are missing: is a shard not there, or not finished?", err=True)
    for cell in outcome.cells:
        for seed, why in list(cell.errors.items())[:3]:
            click.echo(f"seed {seed}: {why}; please report it: {cell.variant.command(seed)}", err=True)


def _write(done: Sweep, output: Path | None, plot: Path | None) -> None:
    if output:
        write_table(output, done.outcome.columns())
    if plot:
        draw(plot, done.plot())
