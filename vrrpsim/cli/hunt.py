"""`vrrpsim hunt`: the adversary that looks for the fault schedule nobody thought of."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import BAD, GOOD, INTERRUPTED
from ._complete import inputs
from ._options import InputFile, invariant_option, json_option, look, quiet_option, seed_option

if TYPE_CHECKING:
    from vrrpsim.api import Study
    from vrrpsim.explore.hunt_result import HuntResult

Progress = Callable[[int, int], None]


def _kinds(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    from vrrpsim.explore.fault_schedules import GROUPS, KINDS, kinds_named
    from vrrpsim.findings import did_you_mean

    words = [word.strip().replace("-", "_") for word in text.split(",") if word.strip()]
    try:
        return kinds_named(words or ["all"])
    except KeyError as error:
        known = [*GROUPS, *KINDS]
        hint = did_you_mean(error.args[0], known) or f"; there are: {', '.join(dict.fromkeys(known))}"
        raise click.BadParameter(f"no kind of fault '{error.args[0]}'{hint}") from None


def _duration(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    from vrrpsim.scenario.quantities import ValueSyntaxError, parse_duration_ns

    try:
        return None if text is None else parse_duration_ns(text)
    except ValueSyntaxError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    epilog="""\b
Kinds of fault, for --faults:
  kill stop restart freeze reload      of haproxy and keepalived
  power_off pause starve               of machines
  link_down partition one_way          of the network; partition means both, one_way only its second kind
  loss delay duplicate reorder corrupt of segments and links
  fail hang pass                       of checks
  flush_address set inject             by others: an address removed, a priority changed, a forged advert
  crash: kill and power_off; impair: loss to corrupt; all
\b
Invariants:
  bounded-adverts  no advert storm
  recovers         after the last fault each address soon has exactly one owner, for good
  healthy-owner    a node whose check fails gives the address to a healthy one
  no-flapping      no more moves than faults explain
  notify-agrees    who said MASTER last by a notify script owns the address
  no-split-brain   two owners only while a cut in both directions, a pause or the like excuses them
  outage           with --outage: no client waits longer while a node without faults could serve
\b
Examples:
  vrrpsim hunt haproxy-crash
  vrrpsim hunt three-nodes-v3 --faults crash --outage 2s --max-examples 5000
"""
)
@click.argument("scenario", type=InputFile(), shell_complete=inputs)
@seed_option
@click.option(
    "--max-examples",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Schedules to try; shrinking comes on top.",
)
@click.option(
    "--max-time",
    metavar="DURATION",
    callback=_duration,
    help="Stop after this time; then what is found depends on the machine.",
)
@click.option(
    "--faults",
    "kinds",
    metavar="KIND,...",
    default="all",
    callback=_kinds,
    help="Only these kinds of fault, e.g. kill,partition.",
)
@invariant_option("A further invariant of your own. Repeatable.")
@click.option(
    "--exhaustive",
    type=click.IntRange(1, 24),
    is_flag=False,
    flag_value=12,
    metavar="[ADVERTS]",
    help="No search: for up to three nodes each loss pattern of 12 adverts and each order of two faults.",
)
@click.option("--outage", metavar="DURATION", callback=_duration, help="No client may wait longer.")
@json_option
@quiet_option
def command(
    scenario: Path,
    seed: int | None,
    max_examples: int,
    max_time: int | None,
    kinds: tuple[str, ...],
    invariants: tuple[str, ...],
    exhaustive: int | None,
    outage: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Look for fault schedules that break an invariant, and shrink them.

    What is found is written beside the scenario as NAME-hunt-XXXX.yaml, which `vrrpsim run` alone
    replays, and which the next hunt tries first. The same seed finds the same. Exit 1: something found.
    """
    from vrrpsim.build import load

    study = load(scenario)
    for finding in study.scenario.findings:
        click.echo(str(finding), err=True)
    if exhaustive is not None:
        return _exhaust(study, seed, exhaustive, as_json, quiet)
    if outage is not None and not study.scenario.clients:
        raise click.UsageError("--outage needs a scenario with clients")
    try:
        with _progress(quiet) as progress:
            found = study.hunt(
                seed=seed,
                max_examples=max_examples,
                max_time_s=None if max_time is None else max_time / 1e9,
                faults=kinds,
                invariants=invariants,
                outage_s=None if outage is None else outage / 1e9,
                progress=progress,
            )
    except LookupError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(found.to_json())
    else:
        click.echo(look().styled(_verdict(found.outcome) if quiet else found.text()))
    if found.outcome.ended == "interrupted":
        return INTERRUPTED
    return BAD if found.outcome.findings else GOOD


def _exhaust(study: Study, seed: int | None, adverts: int, as_json: bool, quiet: bool) -> int:
    """Everything instead of a search."""
    from dataclasses import replace

    from vrrpsim.explore.exhaustive import exhaust
    from vrrpsim.measure.seconds import to_json

    scenario = study.scenario if seed is None else replace(study.scenario, seed=seed)
    with _progress(quiet) as progress:
        checked = exhaust(scenario, adverts=adverts, progress=progress)
    text = checked.text()
    shown = to_json(checked.to_dict()) if as_json else text.splitlines()[-1] if quiet else text
    click.echo(look().styled(shown))
    return BAD if checked.broken else GOOD


def _verdict(outcome: HuntResult) -> str:
    from vrrpsim.report.hunt import verdict_line

    return verdict_line(outcome.to_dict())


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
    """On a terminal one line on stderr that is written over, with the rate."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    began, last = time.monotonic(), 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.2:
            last = now
            rate = done / max(now - began, 0.001)
            click.echo(f"\r{done}/{total} schedules, {rate:.0f}/s", err=True, nl=False)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)
