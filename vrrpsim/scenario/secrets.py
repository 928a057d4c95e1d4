"""The passwords of a scenario: what no report may quote."""

from __future__ import annotations

from collections.abc import Iterator

from vrrpsim.protocol.configuration import RouterConfig

from .events import Inject, Reload
from .model import Scenario


def secrets_of(scenario: Scenario) -> set[str]:
    """Return every password of its virtual routers and forged adverts."""
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
