"""What the command of a notify script does to processes, where it says so itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from .arguments import split_command
from .commands import PID_FILE, SHELLS, base, unwrapped

Effect = tuple[str, str]  # start, stop, kill, restart or reload, and the process
VERBS = ("start", "stop", "restart", "reload")  # of a service
EFFECTS = (*VERBS, "kill")
SAME = {"try-restart": "restart", "reload-or-restart": "reload", "force-reload": "reload"}
VERB_FIRST = (
    "systemctl",
    "supervisorctl",
    "docker",
    "podman",
)  # systemctl start X; the others: service X start
VERB_LAST = ("service", "rc-service", "invoke-rc.d")
HARMLESS = ("logger", "echo", "printf", "true", ":", "touch", "mail", "mailx", "sendmail", "sleep", "date",
            "exit", "wall", "set", "test", "[")  # fmt: skip
SIGNALS = {
    "": "stop",
    "15": "stop",
    "TERM": "stop",
    "9": "kill",
    "KILL": "kill",
    "1": "reload",
    "HUP": "reload",
}


def effects_of(command: str | Sequence[str], processes: Collection[str]) -> tuple[Effect, ...] | None:
    """Return what happens to these processes when it ends; None: the command does not say."""
    words = unwrapped(split_command(command) if isinstance(command, str) else command)
    if words and base(words[0]) in SHELLS and len(words) > 2 and re.fullmatch(r"-[a-z]*c", words[1]):
        found: list[Effect] = []
        pid_file = PID_FILE.search(words[2])
        text = re.sub(r"\d*>&?\s*\S+", " ", PID_FILE.sub(" ", words[2]))
        for part in re.split(r"[;|&\n]+", text):
            known = _simple(unwrapped(part.split()), processes, pid_file[1] if pid_file else "")
            if known is None:
                return None
            found += known
        return tuple(found)
    return _simple(words, processes)


def _simple(words: Sequence[str], processes: Collection[str], pid_of: str = "") -> tuple[Effect, ...] | None:
    if not words:
        return ()
    name, rest = base(words[0]), list(words[1:])
    plain = [word for word in rest if not word.startswith("-")]
    if name in HARMLESS:
        return ()
    if name in VERB_FIRST or name in VERB_LAST or "/init.d/" in words[0]:
        if "/init.d/" in words[0]:
            plain = [name, *plain]
        if name not in VERB_FIRST:
            plain = [*plain[1:2], *plain[:1]]
        verb = SAME.get(plain[0], plain[0]) if plain else ""
        units = [base(each).removesuffix(".service") for each in plain[1:]]
        return tuple((verb, each) for each in units if each in processes) if verb in VERBS else None
    if name in ("pkill", "killall", "kill"):
        verb = SIGNALS.get(_signal(rest), "")
        targets = [pid_of] if name == "kill" else [base(each) for each in plain]
        return tuple((verb, each) for each in targets if each in processes) if verb else ()
    if name in processes:
        return (("start", name),)
    return None


def _signal(words: Sequence[str]) -> str:
    for word, following in pairwise((*words, "")):
        match = re.fullmatch(r"-(?:SIG)?(\d+|[A-Z]{3,})", word)
        if match:
            return match[1]
        if word in ("-s", "--signal"):
            return following.removeprefix("SIG")
    return ""
