"""`vrrpsim live`: the VRRP daemon on this machine's interfaces."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click

from vrrpsim import __version__

from . import GOOD
from ._complete import inputs
from ._options import dialect_option, verbose_option


@click.command(
    epilog="""\b
Signals: TERM and INT stop gracefully, HUP reloads, USR1 writes the state as JSON.

\b
Examples:
  vrrpsim live /etc/keepalived/keepalived.conf --dry-run
  vrrpsim live lb1.conf --metrics 127.0.0.1:9650 --trace lb1.jsonl
  vrrpsim live lb1.conf --observe --metrics 127.0.0.1:9650
"""
)
@click.argument("conf", metavar="CONF", type=click.Path(path_type=Path), shell_complete=inputs)
@click.option("--dry-run", is_flag=True, help="Print what would be done and exit.")
@click.option("--observe", is_flag=True, help="Take no part: print who is master and what is odd.")
@click.option("--status", is_flag=True, help="Show a table on a terminal.")
@click.option("--metrics", metavar="ADDR:PORT", help="Serve Prometheus metrics there.")
@click.option("--trace", type=click.Path(path_type=Path), metavar="F.jsonl", help="Write the trace.")
@click.option("--dump", type=click.Path(path_type=Path), metavar="F.json", help="Where SIGUSR1 writes.")
@click.option("--force", is_flag=True, help="Although another daemon here serves the same virtual router.")
@click.option("--allow-empty", is_flag=True, help="Obey a reload to a file without instances.")
@click.option("--node", help="Name of this node in the trace.  [default: the host's]")
@dialect_option("Whom to be like.  [default: keepalived-2.2.7]")
@click.option("--config-id", help="keepalived's -i: decides lines with @ID.")
@verbose_option
def command(
    conf: Path,
    dry_run: bool,
    observe: bool,
    status: bool,
    metrics: str | None,
    trace: Path | None,
    dump: Path | None,
    force: bool,
    allow_empty: bool,
    node: str | None,
    dialect: str | None,
    config_id: str | None,
    verbose: bool,
) -> int:
    """Be a VRRP router as CONF, a keepalived.conf, says.

    Needs CAP_NET_RAW and CAP_NET_ADMIN (packaging/ has a systemd unit). Log lines go to stderr.
    """
    if not (dry_run or observe):
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGUSR1))
        click.get_current_context().call_on_close(_unblock)
    given = {"--dump": dump, "--force": force, "--allow-empty": allow_empty}
    if observe and (silent := [option for option, value in given.items() if value]):
        raise click.UsageError(f"{', '.join(silent)}: not with --observe")
    from vrrpsim.live import loading, service, watching
    from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS, hardened

    options = service.Options(
        path=conf,
        dialect=hardened(DIALECTS[dialect] if dialect else DEFAULT_DIALECT),
        node=node or os.uname().nodename,
        config_id=config_id,
        trace=trace,
        metrics=_address(metrics) if metrics else None,
        dump=dump,
        status=status,
        verbose=verbose,
        force=force,
        allow_empty=allow_empty,
        version=__version__,
    )
    loaded = loading.load(conf, options.dialect, config_id)
    for remark in loaded.remarks:
        click.echo(remark, err=True)
    if dry_run:
        for line in loading.plan(loaded, conf, options.dialect):
            click.echo(line)
        return GOOD
    if observe:
        return watching.observe(options, loaded, _say_on_stdout)
    return service.run(options, loaded, _say_on_stderr)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP, signal.SIGUSR1))


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter(f"{text!r} is not ADDR:PORT", param_hint="--metrics")
    return host.strip("[]") or "127.0.0.1", int(port)


def _say_on_stderr(text: str) -> None:
    with suppress(OSError):  # who reads the log may go; the daemon stays
        print(text, file=sys.stderr, flush=True)


def _say_on_stdout(text: str) -> None:
    with suppress(OSError):
        print(text, flush=True)
