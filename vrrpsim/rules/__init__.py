"""The rules of `vrrpsim check` as data: a finding names one by its code; here stands all of it.

The hundreds are themes, a module each; a code is never used again for something else.
"""

from __future__ import annotations

from . import cluster, inputs, instance, practice, scenarios, syntax, trackers
from .rule import Example, Rule, Severity

__all__ = ["RULES", "Example", "Rule", "Severity"]

THEMES = (inputs, syntax, cluster, instance, practice, trackers, scenarios)
_ALL = sorted((rule for theme in THEMES for rule in theme.RULES), key=lambda rule: rule.code)
RULES: dict[str, Rule] = {rule.code: rule for rule in _ALL}
