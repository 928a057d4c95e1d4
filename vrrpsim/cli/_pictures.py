"""The option `--plot`, the same in every command that can draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vrrpsim.report.picture import Picture

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
KINDS = ("svg", "png", "pdf")


def plot_kind(file: Path) -> str:
    """Return the format that a file name asks for."""
    return file.suffix.removeprefix(".").lower()


def draw(file: Path, picture: Picture) -> None:
    """Write a picture in the format that the file's name asks for."""
    from vrrpsim.atomic_write import write_whole
    from vrrpsim.report.style import render

    write_whole(file, render(picture, plot_kind(file)))


def _checked(_: click.Context, __: click.Parameter, file: Path | None) -> Path | None:
    if file is not None and plot_kind(file) not in KINDS:
        raise click.BadParameter(f"{file} does not end in {', '.join('.' + kind for kind in KINDS)}")
    return file


def plot_option(says: str) -> Callable[[Decorated], Decorated]:
    """Take the file of a picture; its suffix is the format."""
    return click.option(
        "--plot", metavar="F.svg|png|pdf", type=click.Path(path_type=Path), callback=_checked, help=says
    )
