"""The capabilities that live needs, and what its children must not get."""

from __future__ import annotations

import ctypes
from pathlib import Path

CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


class CannotRun(Exception):
    """This machine, or this user, cannot run the daemon."""

    exit_code = 4


def missing_capabilities(*needed: str) -> list[str]:
    """Those of the effective capabilities that this process lacks."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return [name for name in needed if not int(effective, 16) >> CAPABILITIES[name] & 1]


def require(*needed: str) -> None:
    """Raise `CannotRun` with one line if a capability is missing."""
    if missing := missing_capabilities(*needed):
        raise CannotRun(
            f"vrrpsim live needs {' and '.join(missing)}: run it as root or as packaging/'s unit does"
        )


def keep_from_children() -> None:
    """Ambient capabilities have done their work; checks and notify scripts must not inherit them."""
    ctypes.CDLL(None).prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
