"""`vrrpsim completion`: for a shell, to complete commands, options, files, dialects, paths of `--set`."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  source <(vrrpsim completion bash)                             # or in ~/.bashrc
  source <(vrrpsim completion zsh)                              # or in ~/.zshrc, after compinit
  vrrpsim completion fish > ~/.config/fish/completions/vrrpsim.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell.

    It completes commands, options, scenario and keepalived.conf files, dialects, and the paths of
    --set after the scenario.
    """
    from click.shell_completion import get_completion_class

    from . import vrrpsim

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(vrrpsim, {}, "vrrpsim", "_VRRPSIM_COMPLETE").source())
