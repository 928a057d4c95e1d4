"""`import simpy` without what `simpy/__init__.py` adds until somebody asks for it.

It asks importlib.metadata for its version and documents itself: an eighth of a short run, and of a world's
start. The calendar needs `simpy.core` and `simpy.events` only; a process of yours finds all of SimPy.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import Any


def be_lazy() -> None:
    """Put the package, not yet run, where `import` looks; the first name that it misses makes it run."""
    spec = find_spec("simpy")
    if "simpy" in sys.modules or spec is None or spec.loader is None:
        return
    package, loader = module_from_spec(spec), spec.loader

    def missing(name: str) -> Any:
        del package.__getattr__
        loader.exec_module(package)
        return getattr(package, name)

    package.__getattr__ = missing  # type: ignore[method-assign]
    sys.modules["simpy"] = package


be_lazy()
