"""`vrrpsim watch`: a run again on a terminal, as slowly as eyes need."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from . import code_of
from ._complete import inputs
from ._options import InputFile, seed_option, set_option

PERIOD_S = 0.05  # of the screen


class NoTerminal(Exception):
    """There is nothing to draw on."""

    exit_code = 4


@click.command(
    epilog="""\b
Example:
  vrrpsim watch partition --seed 7 --speed 1
"""
)
@click.argument("file", metavar="SCENARIO", type=InputFile(), shell_complete=inputs)
@seed_option
@set_option
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Simulated seconds in a second.",
)
def command(file: Path, seed: int | None, overrides: dict[str, str], speed: float) -> int:
    """Show a run on the terminal while its time passes.

    It is the run of `vrrpsim run` with the same seed. Ctrl-C ends the show; the last line is the verdict.
    """
    from rich.console import Console
    from rich.live import Live

    from vrrpsim.build import load
    from vrrpsim.report.replay import Replay
    from vrrpsim.report.text import verdict_line

    if not sys.stdout.isatty():
        raise NoTerminal("watch draws on a terminal, and stdout is none; `vrrpsim run` tells the same story")
    run = load(file, overrides).run(seed)
    replay = Replay(run.scenario, run.trace, run.result)
    console, began, now_ns = Console(), time.monotonic(), 0
    with Live(console=console, auto_refresh=False) as live:
        while now_ns < replay.end_ns:
            now_ns = min(replay.end_ns, round((time.monotonic() - began) * speed * 1e9))
            live.update(replay.at(now_ns, console.height), refresh=True)
            time.sleep(PERIOD_S)
    click.echo(verdict_line(run.result))
    return code_of(run.verdict)
