"""What was seen of a run, put into the order in which it happened.

A packet carries the instant at which it was sent; a line of a log and a change of addresses are read a moment
after they happened, which may be after the packet that followed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address

from vrrpsim.protocol.configuration import InstanceConfig, RouterConfig
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.protocol.fsm import InstanceRules
from vrrpsim.protocol.reception import bound_to, is_expected_cast
from vrrpsim.trace import (
    AddressChange,
    AdvertSent,
    Fault,
    FrameLost,
    Gratuitous,
    PriorityChange,
    Record,
    StateChange,
)

SAME_CAUSE_NS = 50_000_000  # a line of a log is read at most so long after what it tells
SAME_FRAME_NS = 10_000  # its way across the bridge, to where it was dropped
Configs = Mapping[str, RouterConfig]  # by node
DialectOf = Callable[[str], str]  # of a node


def in_order(records: Sequence[Record], configs: Configs, dialect_of: DialectOf) -> list[Record]:
    """By time, causes before effects."""
    announced = [each for each in records if isinstance(each, Gratuitous)]
    added = [_not_after(each, announced) for each in records if isinstance(each, AddressChange)]
    others = [
        _mastered(each, added, records, configs, dialect_of) if isinstance(each, StateChange) else each
        for each in records
        if not isinstance(each, AddressChange)
    ]
    return sorted([*others, *added], key=_order)


def _order(record: Record) -> tuple[int, int]:
    """Of equal instants: states, then addresses, then announcements."""
    return record.at_ns, (isinstance(record, AddressChange) + 2 * isinstance(record, Gratuitous))


def _not_after(change: AddressChange, announced: Sequence[Gratuitous]) -> AddressChange:
    """An address that is announced is there."""
    told = (each.at_ns for each in announced if (each.node, each.address) == (change.node, change.address))
    return change._replace(at_ns=_earliest(change.at_ns, told)) if change.present else change


def _mastered(
    change: StateChange,
    added: Sequence[AddressChange],
    records: Sequence[Record],
    configs: Configs,
    dialect_of: DialectOf,
) -> StateChange:
    """Who adds the addresses is Master."""
    config = _config(configs, change.node, change.instance)
    if change.new != "MASTER" or config is None:
        return change
    carried = {str(each.address) for each in (*config.addresses, *config.excluded)}
    here = (each for each in added if each.present and each.node == change.node)
    came = (each.at_ns for each in here if each.address in carried)
    change = change._replace(at_ns=_earliest(change.at_ns, came))
    rules = InstanceRules(config, DIALECTS[dialect_of(change.node)])
    return change._replace(last_advert_ns=_last_accepted_ns(change, rules, records, configs))


def _config(configs: Configs, node: str, instance: str) -> InstanceConfig | None:
    return next((each for each in configs[node].instances if each.name == instance), None)


def _last_accepted_ns(
    change: StateChange, rules: InstanceRules, records: Sequence[Record], configs: Configs
) -> int | None:
    """When the new master last heard an advert that it had to accept, as far as the wire tells."""
    config = rules.config
    adverts = [each for each in records if isinstance(each, AdvertSent) and each.node != change.node]
    lost = [
        (each.source.partition(":")[0], each.at_ns)
        for each in records
        if isinstance(each, FrameLost) and each.destination.partition(":")[0] == change.node
    ]
    moves = [
        each
        for each in records
        if isinstance(each, PriorityChange) and (each.node, each.instance) == (change.node, change.instance)
    ]
    flushed = {
        each.detail: each.at_ns
        for each in records
        if isinstance(each, Fault) and each.verb == "flush_address" and change.node in each.resolved
    }
    for advert in reversed(adverts):
        rival = _config(configs, advert.node, advert.instance)
        if advert.at_ns >= change.at_ns or rival is None or not _arrives(config, advert.destination):
            continue
        if flushed.get(advert.destination, change.at_ns) < advert.at_ns:
            continue
        if any(node == advert.node and 0 <= at_ns - advert.at_ns < SAME_FRAME_NS for node, at_ns in lost):
            continue
        if (rival.vrid, rival.family) == (config.vrid, config.family):
            own = [config.priority, *(move.new for move in moves if move.at_ns <= advert.at_ns)][-1]
            if advert.priority != 0 and not rules.preempts(own, advert.priority):
                return advert.at_ns
    return None


def _arrives(config: InstanceConfig, destination: str) -> bool:
    """Whether the socket of an instance gets what is sent there, its primary address being the likely one."""
    to = ip_address(destination)
    primary = to if to.version == 4 or to.is_link_local else None
    bound = bound_to(config, config.source or primary)
    return is_expected_cast(config, to) and bound in (to, config.interface)


def _earliest(at_ns: int, effects: Iterable[int]) -> int:
    """The instant of something that was noticed at `at_ns`: no later than what it led to."""
    return min([at_ns, *(each for each in effects if at_ns - SAME_CAUSE_NS < each < at_ns)])
