"""vrrpsim: a discrete-event simulator for VRRP clusters that reads your real keepalived.conf.

>>> import vrrpsim
>>> print(vrrpsim.load("scenarios/haproxy-crash.yaml").run(seed=7))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vrrpsim.api import Run, Study, load

__version__ = "0.1.0"
__all__ = ["Run", "Study", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the library when it is first asked for, so that `vrrpsim --help` is instant."""
    if name not in ("Run", "Study", "load"):
        raise AttributeError(f"module 'vrrpsim' has no attribute '{name}'")
    from vrrpsim import api

    return getattr(api, name)
