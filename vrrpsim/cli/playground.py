"""`vrrpsim playground`: the simulator as a page in the browser."""

from __future__ import annotations

from pathlib import Path

import click


class NoPage(Exception):
    """The page is not installed."""

    exit_code = 4


@click.command(
    epilog="""\b
Examples:
  vrrpsim playground
  vrrpsim playground --print
"""
)
@click.option("--print", "only_print", is_flag=True, help="Print where the page is instead of opening it.")
def command(only_print: bool) -> None:
    """Open the playground in the browser: drop files on it, click faults, turn keywords.

    It is one file that runs offline; it fetches nothing and sends nothing. Comes with the extra
    `playground`; in a checkout `python playground/build.py` makes it.
    """
    import webbrowser

    page = find()
    click.echo(page)
    if not only_print and not webbrowser.open(page.as_uri()):
        raise NoPage(f"no browser was found; open {page} in one")


def find() -> Path:
    """Return where the page is; `NoPage` without it."""
    from importlib.util import find_spec

    import vrrpsim

    spec = find_spec("vrrpsim_playground")
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for folder in (*folders, Path(vrrpsim.__file__).parents[1] / "playground"):
        if (folder / "vrrpsim-playground.html").is_file():
            return folder / "vrrpsim-playground.html"
    raise NoPage(
        "the playground is not installed here: pip install 'vrrpsim[playground]', "
        "or in a checkout: python playground/build.py"
    )
