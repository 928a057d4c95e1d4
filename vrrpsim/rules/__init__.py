"""The rules of `vrrpsim check` as data: a finding names one by its code; here stands all of it.

The hundreds are themes, a module each; a code is never used again for something else.
"""

from __future__ import annotations

from . import cluster, inputs, instance, scenarios, syntax, trackers
from .rule import Example, Rule, Severity

__all__ = ["RULES", "Example", "Rule", "Severity"]

RULES: dict[str, Rule] = {
    rule.code: rule
    for theme in (inputs, syntax, cluster, instance, trackers, scenarios)
    for rule in theme.RULES
}
