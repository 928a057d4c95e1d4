"""Options that mean the same in every command, and how output meets the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._complete import dialects, inputs, settings

if TYPE_CHECKING:
    from vrrpsim.report.text import Terminal


class InputFile(click.Path):
    """A file, which need not exist; where there is none of that name, the example that is called so."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path of the file."""
        from vrrpsim.examples import find

        return find(os.fsdecode(super().convert(value, param, ctx)))


Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _settings(_: click.Context, __: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    settings = {}
    for text in values:
        path, equals, value = text.partition("=")
        if not (path and equals):
            raise click.BadParameter(f"{text!r} is not PATH=VALUE, such as segments.lan.loss=10%")
        settings[path] = value
    return settings


def _option(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    return click.option(*names, **settings)


seed_option = _option(
    "-s", "--seed", type=click.IntRange(min=0), help="Seed; the scenario's own if not given."
)
set_option = _option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    callback=_settings,
    shell_complete=settings,
    help="Change one value of the scenario, e.g. segments.lan.loss=10%. Repeatable.",
)
age_option = _option(
    "--age",
    metavar="TIME",
    help="How long all has run undisturbed when the run begins, e.g. 30d; like --set age=TIME.",
)


def _importable(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Functions of one's own are looked for here too, as python -m does."""
    if names:
        from vrrpsim.explore.invariants import invariants_named

        sys.path.insert(0, str(Path.cwd()))
        try:
            invariants_named(names)
        except LookupError as error:
            raise click.BadParameter(str(error)) from None
    return names


def invariant_option(text: str) -> Callable[[Decorated], Decorated]:
    """`--invariant`: what a run is judged by."""
    return _option(
        "--invariant",
        "invariants",
        multiple=True,
        metavar="PACKAGE.MODULE:FUNCTION",
        callback=_importable,
        help=text,
    )


json_option = _option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
quiet_option = _option("-q", "--quiet", is_flag=True, help="Print the verdict only.")
verbose_option = _option("-v", "--verbose", is_flag=True, help="Say on stderr what is going on.")


def _dialect(_: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    from vrrpsim.protocol.dialect import DIALECTS

    if name is not None and name not in DIALECTS:
        hint = parameter.opts[0]
        raise click.BadParameter(f"{name!r} is none of {', '.join(DIALECTS)}", param_hint=hint)
    return name


def dialect_option(says: str, name: str = "--dialect") -> Callable[[Decorated], Decorated]:
    """Take the name of a dialect that there is."""
    return _option(name, shell_complete=dialects, callback=_dialect, help=says)


def file_option(name: str, metavar: str, says: str) -> Callable[[Decorated], Decorated]:
    """Take the path of a file to write."""
    return _option(name, metavar=metavar, type=click.Path(path_type=Path), help=says)


jobs_option = _option(
    "-j", "--jobs", type=click.IntRange(min=1), help="Worker processes; all processors if not given."
)
trace_option = _option(
    "--trace",
    "trace_file",
    metavar="F.jsonl",
    type=click.Path(path_type=Path),
    help="Write every record of the run, one JSON object a line.",
)


def file_arguments(name: str) -> Callable[[Decorated], Decorated]:
    """Take one file or several; whether they exist is for the reader to say."""
    return click.argument(
        "files", nargs=-1, required=True, metavar=name, type=InputFile(), shell_complete=inputs
    )


def look() -> Terminal:
    """What stdout can show: COLUMNS, NO_COLOR and the encoding are honoured."""
    from shutil import get_terminal_size

    from vrrpsim.report.text import Terminal

    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Terminal(
        width=get_terminal_size((80, 24)).columns,
        unicode=encoding.startswith("utf"),
        colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"),
        fold=sys.stdout.isatty() or "COLUMNS" in os.environ,
    )
