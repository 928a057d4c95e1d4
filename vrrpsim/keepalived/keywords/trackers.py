"""The keywords of what is tracked: `vrrp_script`, `track_file`, `vrrp_track_process`."""

from __future__ import annotations

from typing import Any

from vrrpsim.keepalived.arguments import Line, not_a_name, parse_address, split_command
from vrrpsim.keepalived.commands import meaning_of, shell_syntax
from vrrpsim.keepalived.parsed import (
    Parsed,
    ParsedBfd,
    ParsedFile,
    ParsedProcess,
    ParsedRouter,
    ParsedScript,
    as_written,
)
from vrrpsim.protocol.configuration import SECOND_NS, BfdConfig, FileConfig, ProcessConfig, ScriptConfig

from .handlers import INT_MAX, SECONDS_MAX
from .walker import Keyword, Takes

# --- vrrp_script


def open_script(line: Line, router: ParsedRouter) -> ParsedScript:
    """Begin a `vrrp_script`."""
    return ParsedScript(line.word().text, line.word().place, router)


def script(line: Line, draft: ParsedScript) -> None:
    """Store the command, split without a shell (LX-19, SC-15)."""
    command = line.command()
    words = split_command(command)
    if line.row.raw is not None and len(split_command(line.row.raw)) > 2:  # LX-6
        line.say("VRRP411", "words behind the command are ignored; quote command and parameters together", 2)
    never = meaning_of(command, symlinks=draft.router.symlink_paths).never
    if syntax := shell_syntax(command):
        text = f"no shell runs this command: {' '.join(syntax)} is passed as it stands"
        line.say("VRRP421" if never else "VRRP402", text + ", and it never succeeds" * bool(never), 1)
    elif never:
        line.say("VRRP420", f"this command never succeeds: {never}", 1)
    draft.command, draft.words = command, tuple(words)


def script_interval(line: Line, draft: ParsedScript) -> None:
    """K6: whole seconds, at least 1; later releases milliseconds."""
    if draft.router.dialect.script_interval_in_ms:
        value = line.decimal_ns(1, 1000, SECONDS_MAX * 1_000_000)
        draft.interval_ns = draft.interval_ns if value is None else value // 1_000_000 * 1_000_000
        return
    draft.interval_ns = _script_seconds(line, draft.interval_ns)


def script_timeout(line: Line, draft: ParsedScript) -> None:
    """Whole seconds, at least 1 (SC-1)."""
    draft.timeout_ns = _script_seconds(line, draft.timeout_ns)


def _script_seconds(line: Line, old_ns: int) -> int:
    value = line.integer(1, 0, SECONDS_MAX)
    if value == 0:
        line.say("VRRP120", f"{line.keyword} 0 is read as 1", 1)
    return old_ns if value is None else max(value, 1) * SECOND_NS


def script_weight(line: Line, draft: ParsedScript | ParsedBfd) -> None:
    """§3.1: out of range is an error, and stored all the same."""
    value = line.integer(1, -INT_MAX, INT_MAX)
    if value is None:
        return
    if not -253 <= value <= 253:
        line.say("VRRP412", f"weight {value} is outside -253 to 253, and used all the same", 1)
    draft.weight = value
    draft.reverse = "reverse" in line.texts[1:]


def rise_or_fall(line: Line, draft: ParsedScript) -> None:
    """An invalid count is 1 (SC-1)."""
    setattr(draft, line.keyword, line.integer(1, 1, INT_MAX) or 1)


def script_user(line: Line, draft: Any) -> None:
    """`user U [G]`."""
    line.word()
    name = " ".join(line.texts[:2])
    if strange := not_a_name(name):
        line.say(
            "VRRP422", f"'{strange[:60]}' is no name of a user or group; scripts that need it are removed", 1
        )
        draft.no_such_user = True
        return
    if isinstance(draft, ParsedScript):
        draft.user = name
    else:
        draft.script_user = name


def init_fail(line: Line, draft: ParsedScript) -> None:
    """SC-8."""
    line.say("VRRP417", "init_fail has no effect; weight 0 keeps an unchecked node from being master")


def close_script(line: Line, draft: ParsedScript) -> None:
    """Define the script; without a command it is dropped, the first of a name is found (SC-14)."""
    router, name = draft.router, draft.name
    if draft.command is None:
        line.say("VRRP415", f"script {name} has no command; removed")
        return
    if draft.no_such_user or (router.no_such_user and not draft.user):
        return
    if name in router.scripts:
        line.say("VRRP410", f"script {name} is already defined; this one is never used")
        return
    _remember(router, "script", draft)
    router.scripts[name] = as_written(ScriptConfig, draft)


def _remember(router: ParsedRouter, kind: str, draft: Parsed) -> None:
    router.places[(kind, draft.name)] = draft.place
    for keyword, place in draft.places.items():
        router.places[(kind, draft.name, keyword)] = place


# --- track_file, vrrp_track_process


def tracker_weight(line: Line, draft: ParsedFile | ParsedProcess) -> None:
    """LX-9: the first weight wins."""
    if draft.weight is not None:
        line.say("VRRP107", "weight is repeated; the first one wins")
        return
    value = line.integer(1, -254, 254)
    if value is not None:
        draft.weight = value
        draft.reverse = "reverse" in line.texts[1:]


def open_file(line: Line, router: ParsedRouter) -> ParsedFile:
    """Begin a `track_file`."""
    return ParsedFile(line.word().text, line.word().place, router)


def file_path(line: Line, draft: ParsedFile) -> None:
    """LX-9: the first file wins."""
    if draft.path:
        line.say("VRRP107", "file is repeated; the first one wins")
    draft.path = draft.path or line.word().text


def init_file(line: Line, draft: ParsedFile) -> None:
    """`init_file [VALUE] [overwrite]`."""
    draft.init_value = 0
    for index, word in enumerate(line.texts, 1):
        if word == "overwrite":
            draft.overwrite = True
        else:
            draft.init_value = line.integer(index, -INT_MAX, INT_MAX) or 0


def close_file(line: Line, draft: ParsedFile) -> None:
    """Define the file; the weight is 1 if none is given."""
    router = draft.router
    if not draft.path:
        line.say("VRRP414", f"track_file {draft.name} names no file; removed")
    elif draft.name in router.files:
        line.say("VRRP410", f"track_file {draft.name} is already defined; ignored")
    else:
        _remember(router, "file", draft)
        router.files[draft.name] = as_written(FileConfig, draft)


def open_process(line: Line, router: ParsedRouter) -> ParsedProcess:
    """Begin a `vrrp_track_process`."""
    return ParsedProcess(line.word().text, line.word().place, router)


def process(line: Line, draft: ParsedProcess) -> None:
    """`process CMD [ARGS…]`."""
    line.word()
    if line.row.raw is not None:
        words = split_command(line.row.raw)[1:]
    else:
        words = line.texts if line.has(2) else split_command(line.word().text)
    draft.process, *parameters = words or [line.word().text]
    draft.parameters = tuple(parameters)


def param_match(line: Line, draft: ParsedProcess) -> None:
    """`param_match [initial|partial]`; alone it is exact."""
    word = line.word().text if line.has(1) else "exact"
    if word in ("exact", "initial", "partial"):
        draft.param_match = word
    else:
        line.say("VRRP121", f"param_match: {line.shown(1)} is unknown; ignored", 1)


def process_delay(*names: str) -> Keyword:
    """Store 1 µs to 3600 s in each of the fields."""

    def handle(line: Line, draft: ParsedProcess) -> None:
        value = line.decimal_ns(1, 1, 3600 * 1_000_000)
        for name in names if value is not None else ():
            setattr(draft, name, value)

    return Keyword(Takes.SECONDS, handle, field=names[0] if len(names) == 1 else "")


def close_process(line: Line, draft: ParsedProcess) -> None:
    """Define the process; the weight is 0 if none is given."""
    router = draft.router
    if not draft.process:
        line.say("VRRP414", f"track_process {draft.name} names no process; removed")
    elif draft.name in router.processes:
        line.say("VRRP410", f"track_process {draft.name} is already defined; ignored")
    else:
        _remember(router, "process", draft)
        exact = bool(draft.parameters) and not draft.param_match
        router.processes[draft.name] = as_written(
            ProcessConfig, draft, param_match="exact" if exact else draft.param_match
        )


# --- bfd_instance


def open_bfd(line: Line, router: ParsedRouter) -> ParsedBfd:
    """Begin a `bfd_instance`."""
    return ParsedBfd(line.word().text, line.word().place, router)


def bfd_neighbor(line: Line, draft: ParsedBfd) -> None:
    """With whom the session is."""
    draft.neighbor = parse_address(line.word().text)


def milliseconds(name: str) -> Keyword:
    """Store 1 to 1000 ms."""

    def handle(line: Line, draft: ParsedBfd) -> None:
        value = line.integer(1, 1, 1000)
        if value is not None:
            setattr(draft, name, value * 1_000_000)

    return Keyword(Takes.INT, handle)


def close_bfd(line: Line, draft: ParsedBfd) -> None:
    """Define the session; one without neighbour is dropped."""
    router = draft.router
    if draft.neighbor is None:
        line.say("VRRP414", f"bfd_instance {draft.name} names no neighbour; removed")
    elif draft.name in router.bfds:
        line.say("VRRP410", f"bfd_instance {draft.name} is already defined; ignored")
    else:
        _remember(router, "bfd", draft)
        interval_ns = max(draft.min_rx_ns, draft.min_tx_ns)
        router.bfds[draft.name] = as_written(BfdConfig, draft, interval_ns=interval_ns)
