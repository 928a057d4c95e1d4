"""`vrrpsim diff`: what a change of configuration does to a cluster."""

from __future__ import annotations

import click

from . import BAD, GOOD, INTERRUPTED, worst
from ._complete import inputs
from ._options import dialect_option, jobs_option, json_option, look, quiet_option, seed_option
from ._progress import progress_bar

BETWEEN = "\0"  # what stands for `--`, which click would swallow


class TwoSides(click.Command):
    """A command line on which `--` stands between two lists of files, and options may stand anywhere."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the first `--` as a word."""
        return super().parse_args(ctx, [BETWEEN if word == "--" else word for word in args])


def _sides(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    if BETWEEN in words:
        at = words.index(BETWEEN)
        old, new = words[:at], words[at + 1 :]
    else:
        old, new = words[:1], words[1:]
        if len(words) != 2:
            raise click.BadParameter("say OLD... -- NEW..., or two folders or scenarios")
    if not old or not new or BETWEEN in new:
        raise click.BadParameter("something must stand on both sides of one --")
    return old, new


def _fraction(_: click.Context, __: click.Parameter, text: str) -> float:
    from vrrpsim.scenario.quantities import parse_fraction

    try:
        return parse_fraction(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    cls=TwoSides,
    epilog="""\b
Examples:
  vrrpsim diff lb1.conf lb2.conf -- new/lb1.conf new/lb2.conf
  vrrpsim diff old new --format markdown > comment.md
  vrrpsim diff old old --old-dialect keepalived-2.2.7 --new-dialect keepalived-2.3.3
""",
)
@click.argument(
    "sides",
    nargs=-1,
    required=True,
    metavar="OLD... -- NEW...",
    callback=_sides,
    shell_complete=inputs,
)
@click.option(
    "--tolerance",
    default="10%",
    show_default=True,
    metavar="PART",
    callback=_fraction,
    help="What differs by no more than this, or by a tenth of a second, is the same.",
)
@dialect_option("Whose behaviour the old one has.", "--old-dialect")
@dialect_option("Whose behaviour the new one has.", "--new-dialect")
@click.option(
    "-n", "--runs", type=click.IntRange(min=1), default=20, show_default=True, help="Runs of each fault."
)
@click.option(
    "--pair-runs", type=click.IntRange(min=1), default=4, show_default=True, help="Runs of each pair."
)
@click.option("--no-pairs", is_flag=True, help="Single faults only.")
@click.option("--top", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to print.")
@jobs_option
@seed_option
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True
)
@json_option
@quiet_option
def command(
    sides: tuple[tuple[str, ...], tuple[str, ...]],
    tolerance: float,
    old_dialect: str | None,
    new_dialect: str | None,
    runs: int,
    pair_runs: int,
    no_pairs: bool,
    top: int,
    jobs: int | None,
    seed: int | None,
    form: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare two configurations of a cluster: the same census, the same seeds, only what changed.

    OLD and NEW are folders, keepalived.conf files or scenarios. Exit 1 if anything got worse.
    """
    from vrrpsim.report.census_diff import report, verdict_line
    from vrrpsim.review import diff

    with progress_bar(quiet) as progress:
        done = diff(
            *sides,
            old_dialect=old_dialect,
            new_dialect=new_dialect,
            tolerance=tolerance,
            phases=runs,
            pair_phases=0 if no_pairs else pair_runs,
            seed=seed,
            jobs=jobs,
            progress=progress or False,
        )
    if as_json or form == "json":
        click.echo(done.to_json())
    elif form == "markdown":
        click.echo(done.markdown())
    elif quiet:
        click.echo(look().styled(verdict_line(done.to_dict())))
    else:
        click.echo(report(done.to_dict(), look(), top=top))
    interrupted = done.outcome.old.interrupted or done.outcome.new.interrupted
    return worst([BAD if done.verdict == "fail" else GOOD, *[INTERRUPTED] * interrupted])
