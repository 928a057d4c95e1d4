"""Python's values as a scenario file would write them: timedelta, addresses, paths, numpy's numbers.

Where a file has a distribution, whatever knows its quantiles will do: a frozen one of `scipy.stats`, a
`statistics.NormalDist`, or an object of yours with `quantile(fraction)` in seconds. It is drawn, and
written, as the choice of 1000 equally likely values; data measured are `{"choice": array}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from datetime import timedelta
from decimal import Decimal
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path
from typing import Any

from vrrpsim.scenario.quantities import SECOND_NS, Distribution, exact_duration

from .yaml_tree import Keys, Tree

STEPS = 1000  # equally likely values that stand for a distribution given by its quantiles
TEXTS = (IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface, Path)


def plain(value: Any, tree: Tree, path: Keys = ()) -> Any:
    """Return the value in YAML's kinds; what none of them can say becomes an error of the tree."""
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value)  # numpy's is a subclass
        case str():
            return str(value)
        case Decimal():
            return int(value) if value == int(value) else float(value)
        case timedelta():
            return exact_duration(value // timedelta(microseconds=1) * 1000)
        case Distribution():
            return value.to_yaml()
        case Mapping():
            return {
                name: plain(item, tree, (*path, name))
                for name, item in ((_name(key), item) for key, item in value.items())
            }
        case list() | tuple() | Set():
            return [plain(item, tree, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, TEXTS):
        return str(value)
    if hasattr(value, "tolist"):  # arrays of numpy and pandas, and numpy's numbers
        return plain(value.tolist(), tree, path)
    for name in ("ppf", "inv_cdf", "quantile"):  # scipy.stats, statistics.NormalDist, your own
        if callable(quantile := getattr(value, name, None)):
            return {"choice": [_seconds(quantile((step + 0.5) / STEPS)) for step in range(STEPS)]}
    tree.error(path, f"a scenario cannot say {type(value).__name__} {value!r:.60}")
    return None


def _seconds(value: float) -> str:
    """A duration that a distribution gives; below zero there is none."""
    return exact_duration(max(0, round(float(value) * SECOND_NS)))


def _name(key: Any) -> str:
    """A key is text in YAML: `owner: {11: lb1}` in Python has seconds, too."""
    return exact_duration(key // timedelta(microseconds=1) * 1000) if isinstance(key, timedelta) else str(key)


def text_of(value: Any) -> str:
    """Return what `--set PATH=VALUE` takes for a value of Python's; text stays as it is."""
    if isinstance(value, str):
        return str(value)
    tree = Tree("value")
    known = plain(value, tree)
    tree.raise_if_broken()
    return json.dumps(known, ensure_ascii=False)  # which is YAML on one line
