"""What a wheel carries beside its sources, made when it is built: man pages, completions, a compiled engine.

A dashboard and alert rules lie here; all of it lands in `share/` and `lib/`. Without a compiler, where mypyc
fails, and with VRRPSIM_PURE=1 the wheel is pure Python, and a line says so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPLETIONS = {
    "bash": "share/bash-completion/completions/vrrpsim",
    "zsh": "share/zsh/site-functions/_vrrpsim",
    "fish": "share/fish/vendor_completions.d/vrrpsim.fish",
}
SHARED = ("grafana.json", "alerts.yml")


class Hook(BuildHookInterface[Any]):
    """Adds the files to a wheel; an editable installation stays as small as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them into a temporary folder and tell hatchling where they go."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root))
        made = Path(mkdtemp(prefix="vrrpsim-wheel-"))
        shared = build_data["shared_data"]
        for name, text in man_pages(self.metadata.version).items():
            (made / name).write_text(text, encoding="utf-8")
            shared[str(made / name)] = f"share/man/man1/{name}"
        for shell, place in COMPLETIONS.items():
            (made / shell).write_text(completion(shell), encoding="utf-8")
            shared[str(made / shell)] = place
        for name in SHARED:
            shared[str(root / "packaging" / name)] = f"share/vrrpsim/{name}"
        if os.environ.get("VRRPSIM_PURE") == "1":
            self.app.display_info("pure Python: VRRPSIM_PURE=1")
        else:
            self._compile(root, made / "compiled", build_data)

    def _compile(self, root: Path, folder: Path, build_data: dict[str, Any]) -> None:
        """Add the compiled engine, if it can be had."""
        sys.path.insert(0, str(root / "packaging"))
        try:
            from compiled import compiled

            self.app.display_info("compiling; this takes minutes, VRRPSIM_PURE=1 does without")
            files = compiled(root, folder)
        except Exception as error:  # whatever a compiler, mypyc or setuptools may raise
            self.app.display_warning(f"pure Python: {type(error).__name__}: {error}")
            return
        for file in files:
            build_data["force_include"][str(file)] = str(file.relative_to(folder / "lib"))
        build_data.update(pure_python=False, infer_tag=True)


def man_pages(version: str) -> dict[str, str]:
    """Return a page for the program and one for each command, by file name."""
    from datetime import UTC, datetime

    import click
    from click_man.core import generate_man_page
    from hatchling.builders.utils import get_reproducible_timestamp

    from vrrpsim.cli import vrrpsim as group

    date = datetime.fromtimestamp(get_reproducible_timestamp(), UTC).date().isoformat()
    settings = {**group.context_settings, "terminal_width": 78}
    program = click.Context(group, info_name="vrrpsim", **settings)
    group.commands = {name: _command(group, program, name) for name in group.list_commands(program)}
    contexts = {"vrrpsim": program} | {
        f"vrrpsim-{name}": click.Context(command, info_name=name, parent=program, **settings)
        for name, command in group.commands.items()
    }
    return {
        f"{name}.1": generate_man_page(context, version, date) + _epilog(context.command.epilog or "")
        for name, context in contexts.items()
    }


def _command(group: Any, context: Any, name: str) -> Any:
    command = group.get_command(context, name)
    assert command is not None
    return command


def _epilog(text: str) -> str:
    """Examples and exit codes of the help as sections; each line stays as it stands."""
    parts = []
    for line in text.replace("\b\n", "").splitlines():
        if line and not line.startswith(" "):
            parts += [f".SH {line.rstrip(':').upper()}", ".nf"]
        elif line:
            parts.append("\\&" + line.strip().replace("\\", "\\e").replace("-", "\\-"))
        else:
            parts.append(".fi")
    return "\n".join([*parts, ".fi", ""]) if parts else ""


def completion(shell: str) -> str:
    """Return what `vrrpsim completion SHELL` prints."""
    from click.shell_completion import ShellComplete, get_completion_class

    from vrrpsim.cli import vrrpsim as group

    of_shell = get_completion_class(shell)
    assert of_shell is not None
    # Not bash's own `source()`: it asks a bash for its version, and a builder need not have one.
    return ShellComplete.source(of_shell(group, {}, "vrrpsim", "_VRRPSIM_COMPLETE"))
