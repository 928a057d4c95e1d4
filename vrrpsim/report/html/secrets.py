"""Passwords do not leave a scenario: they are masked wherever a page quotes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vrrpsim.config.events import Inject, Reload
from vrrpsim.config.scenario import Scenario
from vrrpsim.config.writer import MASK
from vrrpsim.protocol.configuration import RouterConfig

AUTH_PASS = re.compile(r"""(auth_pass["']?\s*[:=]?[ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s,}\]"']+)""")
SHORT = 4  # a password below this is only masked where it stands in quotes: `1` is in every file


def masked(text: str, scenario: Scenario | None = None) -> str:
    """Return the text with all that is an `auth_pass`, and every password of the scenario, masked."""
    text = AUTH_PASS.sub(rf"\1{MASK}", text)
    for secret in sorted(_secrets(scenario) if scenario else (), key=lambda each: (-len(each), each)):
        word = re.escape(secret)
        pattern = rf"(?<!\w){word}\w*" if len(secret) >= SHORT else rf"(?<=[\"']){word}(?=[\"'])"
        text = re.sub(pattern, MASK, text)
    return text


def _secrets(scenario: Scenario) -> set[str]:
    keys = {
        instance.authentication.key.decode(errors="replace")
        for config in _configurations(scenario)
        for instance in config.instances
    }
    injected = (each.parameters.advert for each in scenario.events if isinstance(each.parameters, Inject))
    return (keys | {advert.auth_pass for advert in injected}) - {""}


def _configurations(scenario: Scenario) -> Iterator[RouterConfig]:
    yield from (node.keepalived.config for node in scenario.nodes.values() if node.keepalived)
    for event in scenario.events:
        if isinstance(event.parameters, Reload) and event.parameters.config:
            yield event.parameters.config
