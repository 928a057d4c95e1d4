"""The command line: one command a module, one function of the library behind each.

A module `vrrpsim/cli/NAME.py` with a click command called `command` is the command `vrrpsim NAME`.
Everything heavy is imported inside the functions. Exit codes are decided here and nowhere else:
a command returns its code; `InputError` is 3; an exception with an `exit_code` has its own.
"""

from __future__ import annotations

import errno
import gc
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import PathFinder

import click

from vrrpsim import __version__
from vrrpsim.findings import InputError

GOOD, BAD, USAGE, INPUT, ENVIRONMENT, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130
ORDER = (
    "run",
    "sweep",
    "hunt",
    "check",
    "census",
    "diff",
    "advise",
    "init",
    "show",
    "schema",
    "live",
    "lab",
)  # the rest follows by name
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # for what goes to standard output
WORST = (INTERRUPTED, BUG, ENVIRONMENT, INPUT, BAD, GOOD)  # of several inputs

EPILOG = """\b
Exit codes:
  0    done, verdict good or none
  1    done, verdict bad or unknown
  2    wrong command line
  3    an input cannot be used
  4    this machine cannot do it (capability, program, optional package)
  70   a bug in vrrpsim
  130  interrupted

\b
Example:
  vrrpsim run haproxy-crash --seed 7
"""


def engine() -> str:
    """Say which build this is: the engine's files as they are, or an extension made of them."""
    [package] = __path__
    found = PathFinder.find_spec("fsm", [os.path.join(os.path.dirname(package), "protocol")])  # noqa: PTH118, PTH120
    return "pure Python" if found is None or str(found.origin).endswith(".py") else "compiled"


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"vrrpsim, version {__version__}, {engine()}")
        ctx.exit()


class Commands(click.Group):
    """Finds the commands in this package and imports only the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the modules here, the usual ones first."""
        names = [module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"]
        return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
@click.option("--confine", is_flag=True, help="Refuse includes and files outside the first file's folder.")
def vrrpsim(confine: bool) -> None:
    """Simulate VRRP clusters: keepalived and HAProxy, faults, and what clients see of them."""
    if confine:
        from vrrpsim.keepalived.lexer import CONFINE

        os.environ[CONFINE] = "1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        gc.set_threshold(50_000)  # a process that starts makes much and drops little
        code = vrrpsim.main(arguments, prog_name="vrrpsim", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except InputError as error:
        return _say(str(error), INPUT)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return _reader_gone()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "vrrpsim":
            return _bug()
        return _say(f"this needs the Python package '{error.name}', which is not installed", ENVIRONMENT)
    except OSError as error:
        if error.errno not in NO_ROOM or error.filename is not None:
            return _bug()
        _reader_gone()
        return _say(f"cannot write the output: {error.strerror}", ENVIRONMENT)
    except Exception as error:
        known = getattr(error, "exit_code", None)
        return _say(str(error), known) if isinstance(known, int) else _bug()
    return code if isinstance(code, int) else GOOD


def code_of(verdict: str) -> int:
    """Return the exit code of a verdict; where nothing was expected nothing is bad."""
    return GOOD if verdict in ("pass", "none") else BAD


def worst(codes: Sequence[int]) -> int:
    """Return the exit code for several inputs."""
    return min(codes, key=WORST.index, default=GOOD)


def _say(text: str, code: int) -> int:
    click.echo(text, err=True)
    return code


def _bug() -> int:
    import traceback

    traceback.print_exc()
    return _say(f"this is a bug in vrrpsim {__version__}; please report it with the lines above", BUG)


def _reader_gone() -> int:
    """`vrrpsim … | head`: the reader has seen enough; let nothing complain when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return GOOD
