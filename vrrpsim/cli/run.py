"""`vrrpsim run`: one run of each scenario, and its verdict."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vrrpsim.atomic_write import write_whole
from vrrpsim.findings import InputError

from . import INPUT, code_of, worst
from ._options import (
    file_arguments,
    file_option,
    json_option,
    look,
    quiet_option,
    seed_option,
    set_option,
    trace_option,
    verbose_option,
)
from ._pictures import draw, plot_option

if TYPE_CHECKING:
    from vrrpsim.run import Run


HOUR_NS = 3_600_000_000_000


@click.command(
    epilog="""\b
Examples:
  vrrpsim run haproxy-crash
  vrrpsim run haproxy-crash --plot run.svg --pcap run.pcapng --perfetto run.json
  vrrpsim run haproxy-crash partition -q --set segments.lan.loss=10%
"""
)
@file_arguments("SCENARIO...")
@seed_option
@set_option
@json_option
@trace_option
@plot_option("Draw states, owners, clients and events over time, and the main failover.")
@file_option("--pcap", "F.pcapng", "Write every frame for Wireshark, with comments.")
@file_option("--perfetto", "F.json", "Write the run for ui.perfetto.dev.")
@file_option("--html", "F.html", "Write one offline page: lanes, sequence, waterfalls, configuration.")
@click.option(
    "--fast-forward/--no-fast-forward",
    default=True,
    help="Pass over quiet stretches; the result is the same. Off by itself where packets are written.",
)
@quiet_option
@verbose_option
def command(
    files: tuple[Path, ...],
    seed: int | None,
    overrides: dict[str, str],
    as_json: bool,
    trace_file: Path | None,
    plot: Path | None,
    pcap: Path | None,
    perfetto: Path | None,
    html: Path | None,
    fast_forward: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run scenarios once and judge what they expect.

    The same scenario and seed give the same bytes. With several files the worst exit code wins,
    and --json prints a list.
    """
    outs = {"trace": trace_file, "plot": plot, "pcap": pcap, "perfetto": perfetto, "html": html}
    for name, out in outs.items():
        if out and len(files) > 1:
            raise click.UsageError(f"--{name} takes one scenario")
    codes: list[int] = []
    documents: list[str] = []
    try:
        for number, file in enumerate(files):
            fast = fast_forward and not (trace_file or perfetto)
            run = _run(file, seed, overrides, trace_file, fast, verbose, every_advert=bool(html))
            if run is None:
                codes.append(INPUT)
                continue
            _draw(run, plot, pcap, perfetto, html)
            codes.append(code_of(run.verdict))
            if as_json:
                documents.append(run.to_json())
            else:
                _print(run, quiet, several=len(files) > 1, first=number == 0)
    finally:  # interrupted, what is finished is printed
        if as_json:
            _print_json(documents, several=len(files) > 1)
    return worst(codes)


def _run(
    file: Path,
    seed: int | None,
    overrides: dict[str, str],
    trace_file: Path | None,
    fast_forward: bool,
    verbose: bool,
    *,
    every_advert: bool,
) -> Run | None:
    """Run one file; None if it cannot be used, which stderr then says.

    With `every_advert` only runs of hours pass over quiet stretches: a page can show both.
    """
    from vrrpsim.build import load
    from vrrpsim.trace import Level

    began = time.perf_counter()
    try:
        study = load(file, overrides)
    except InputError as error:
        click.echo(str(error), err=True)
        return None
    for finding in study.scenario.findings:
        click.echo(str(finding), err=True)
    level = Level.ALL if trace_file else Level.ADVERTS
    if every_advert and study.scenario.duration_ns <= HOUR_NS:
        fast_forward = False
    run = study.run(seed, level=level, fast_forward=fast_forward)
    if trace_file:
        write_whole(trace_file, run.trace.json_lines())
    if verbose:
        click.echo(f"{file}: {time.perf_counter() - began:.2f} s, {len(run.trace.records)} records", err=True)
    return run


def _draw(run: Run, plot: Path | None, pcap: Path | None, perfetto: Path | None, html: Path | None) -> None:
    """Write the pictures that were asked for."""
    if plot:
        draw(plot, run.plot())
    if pcap:
        run.pcap(pcap)
    if perfetto:
        run.perfetto(perfetto)
    if html:
        run.html(html)


def _print(run: Run, quiet: bool, *, several: bool, first: bool) -> None:
    from vrrpsim.report.text import report, verdict_line

    if quiet:
        name = f"{run.scenario.path}: " if several else ""
        click.echo(name + look().styled(verdict_line(run.result)))
        return
    if not first:
        click.echo()
    click.echo(report(run.scenario, run.trace, run.result, command=run.command, look=look()))


def _print_json(documents: list[str], *, several: bool) -> None:
    if several:
        click.echo("[" + ",\n".join(documents) + "]")
    elif documents:
        click.echo(documents[0])
