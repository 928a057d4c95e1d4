"""vrrpsim: a discrete-event simulator for VRRP clusters that reads your real keepalived.conf.

>>> import vrrpsim
>>> print(vrrpsim.load("scenarios/haproxy-crash.yaml").run(seed=7))  # doctest: +SKIP
"""

from __future__ import annotations

TYPE_CHECKING = False  # for type checkers; typing's import takes longer than all of this
if TYPE_CHECKING:
    from vrrpsim.api import Study, Sweep
    from vrrpsim.build import Scenario, load
    from vrrpsim.review import Advising, Census, Diff, advise, census, diff
    from vrrpsim.run import Run
    from vrrpsim.scenario.network import Network
    from vrrpsim.starter import Draft, init

__version__ = "0.1.0"
__all__ = [
    "Advising",
    "Census",
    "Diff",
    "Draft",
    "Network",
    "Report",
    "Run",
    "Scenario",
    "Study",
    "Sweep",
    "__version__",
    "advise",
    "census",
    "check",
    "diff",
    "init",
    "load",
]
ELSEWHERE = {
    **dict.fromkeys(("Scenario", "load"), "build"),
    "Network": "scenario.network",
    **dict.fromkeys(("Draft", "init"), "starter"),
    **dict.fromkeys(("Report", "check"), "checking"),
    **dict.fromkeys(("Advising", "Census", "Diff", "advise", "census", "diff"), "review"),
}


def __getattr__(name: str) -> object:
    """Import the library when it is first asked for, so that `vrrpsim --help` is instant."""
    if name not in __all__:
        raise AttributeError(f"module 'vrrpsim' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"vrrpsim.{ELSEWHERE.get(name, 'api')}"), name)
