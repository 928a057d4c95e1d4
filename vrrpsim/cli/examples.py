"""`vrrpsim examples`: the scenarios that ship with vrrpsim, to list and to copy."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import look


def _names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from vrrpsim.examples import names

    return [name for name in names() if name.startswith(incomplete)]


@click.command(
    epilog="""\b
Examples:
  vrrpsim examples
  vrrpsim examples haproxy-crash -o .
  vrrpsim examples -o vrrpsim-examples
"""
)
@click.argument("name", nargs=-1, metavar="[NAME]...", shell_complete=_names)
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy the examples of these names, or all, with their configurations into this folder.",
)
@click.option("--force", is_flag=True, help="Overwrite files.")
def command(name: tuple[str, ...], out: Path | None, force: bool) -> None:
    """List the example scenarios, or copy them.

    Every command that takes a scenario also takes the name of an example, where no file is called so.
    """
    from vrrpsim import examples

    known = examples.names()
    for each in name:
        if each not in known:
            raise click.BadParameter(_unknown(each, known), param_hint="NAME")
    chosen = name or known
    if out is None:
        _list(chosen)
        return
    wanted = list(dict.fromkeys(file for each in chosen for file in examples.files_of(each)))
    there = [str(out / file) for file in wanted if (out / file).exists()]
    if there and not force:
        raise click.UsageError(f"{', '.join(there)}: already there; --force overwrites")
    for file in wanted:
        target = out / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((examples.folder() / file).read_bytes())
        click.echo(target)


def _unknown(name: str, known: list[str]) -> str:
    from vrrpsim.findings import did_you_mean

    return f"there is no example {name!r}{did_you_mean(name, known)}"


def _list(chosen: tuple[str, ...] | list[str]) -> None:
    """Print names and what happens, wrapped at words."""
    from textwrap import fill

    from vrrpsim import examples

    wide = max(map(len, chosen)) + 2
    for each in chosen:
        first, rest = f"{each:{wide}}", " " * wide
        click.echo(
            fill(examples.description(each), look().width, initial_indent=first, subsequent_indent=rest)
        )
