"""Whose notify script said MASTER last: what the world outside believes that is steered by such scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vrrpsim.protocol.configuration import RouterConfig
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import NotifyFinished, Record

CLAIMS = ("MASTER", "MASTER_RX_LOWER_PRI")

Steps = list[tuple[int, str]]  # from when on, which node ("": none)


def told(scenario: Scenario, records: Iterable[Record]) -> dict[str, Steps]:
    """Return the steps of each address whose instance or group has notify scripts somewhere.

    The script that ended last counts, whenever it began: MASTER claims for its node, any other state only
    gives up what its own node had claimed.
    """
    meant = {
        (name, *key): addresses
        for name, node in scenario.nodes.items()
        if node.keepalived is not None
        for key, addresses in _meant(node.keepalived.config, node.notify is not None).items()
    }
    found: dict[str, Steps] = {address: [(0, "")] for each in meant.values() for address in each}
    for record in records:
        if isinstance(record, NotifyFinished):
            for address in meant.get((record.node, record.kind, record.name), ()):
                steps = found[address]
                if record.state in CLAIMS:
                    steps.append((record.at_ns, record.node))
                elif steps[-1][1] == record.node:
                    steps.append((record.at_ns, ""))
    return found


def _meant(config: RouterConfig, modelled: bool) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """The addresses that the scripts of an instance or a group speak for."""
    own = {each.name: tuple(str(one.address) for one in each.addresses) for each in config.instances}
    found: dict[tuple[str, str], tuple[str, ...]] = {
        ("INSTANCE", each.name): own[each.name] for each in config.instances if each.notify.has_scripts
    }
    found |= {
        ("GROUP", each.name): tuple(address for name in each.members for address in own.get(name, ()))
        for each in config.groups
        if each.notify.has_scripts
    }
    if not found and modelled:
        found = {("INSTANCE", name): addresses for name, addresses in own.items()}
    return found
