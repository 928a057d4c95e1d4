"""How long things may take by the formulas alone: what a hunt excuses before it calls something a flaw.

Every bound is the sum of worst cases that the RFCs and keepalived.conf imply (keepalived.md §2): nothing
here was measured. Adverts that the segments lose by themselves are allowed for up to the number in a row
that happens once in `RARE` adverts. Times are integer nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vrrpsim.measure.keywords import DaemonRules
from vrrpsim.measure.result import daemons
from vrrpsim.scenario.model import Scenario, Segment
from vrrpsim.scenario.quantities import SECOND_NS, Distribution

RARE = 1e9
MOST_LOST = 1000  # adverts in a row: with more loss nothing can be demanded anyway
SLACK_NS = 100_000_000  # late wake-ups, forks and netlink of an ordinary machine
RESOLVE_NS = (
    1_000_000_000  # ARP and ND ask again after this (RetransTimer); unicast adverts wait for the answer
)
PROCESS_NS = 2_200_000_000  # keepalived exits (1 s), starts, and its link is reported up (1 s)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the formulas allow a scenario, in ns."""

    interval_ns: int  # the longest advert_int
    down_ns: int  # the longest Master_Down_Interval, at priority 1
    start_ns: int  # from power-on or exec until keepalived takes part
    detect_ns: int  # from a change until a check counts it
    handover_ns: int  # two owners, while the news of one travels to the other
    keep_ns: int  # an owner whose check has failed, while a healthy one waits for its turn
    settle_ns: int  # after the last fault is undone, until there is one owner for good
    lossy: bool  # frames get lost without any fault

    @property
    def longest_ns(self) -> int:
        """A fault worth trying lasts at most this long: each bound has passed by then."""
        return _whole_s(self.detect_ns + self.down_ns + self.keep_ns + self.handover_ns)

    @property
    def warm_up_ns(self) -> int:
        """From the start of the run until the first fault."""
        return _whole_s(self.settle_ns)


def bounds_of(scenario: Scenario) -> Bounds:
    """Add up the worst cases of a scenario."""
    running = daemons(scenario)
    instances = [instance for daemon in running.values() for instance in daemon.config.instances]
    interval_ns = max((instance.advert_int_ns for instance in instances), default=SECOND_NS)
    lost = max((_lost_in_a_row(segment) for segment in scenario.segments.values()), default=0)
    slack_ns = SLACK_NS + _latency_ns(scenario) + _slop_ns(scenario)
    down_ns = max(_downs_ns(running.values(), interval_ns), default=interval_ns) + lost * interval_ns
    resolve_ns = RESOLVE_NS if any(instance.unicast for instance in instances) else 0
    handover_ns = (2 + lost) * interval_ns + resolve_ns + slack_ns
    delay_ns = max((instance.preempt_delay_ns for instance in instances), default=0)
    detect_ns = max(_detections_ns(running.values()), default=0)
    start_ns = PROCESS_NS + max(_starts_ns(scenario), default=0)
    keep_ns = delay_ns + down_ns + handover_ns
    return Bounds(
        interval_ns=interval_ns,
        down_ns=down_ns,
        start_ns=start_ns,
        detect_ns=detect_ns,
        handover_ns=handover_ns,
        keep_ns=keep_ns,
        settle_ns=start_ns + detect_ns + down_ns + keep_ns,  # the wrong one first, then the right one
        lossy=lost > 0,
    )


def _downs_ns(running: Iterable[DaemonRules], interval_ns: int) -> Iterable[int]:
    return [
        daemon.down_ns(instance, 1, max(interval_ns, instance.advert_int_ns))
        for daemon in running
        for instance in daemon.config.instances
    ]


def _detections_ns(running: Iterable[DaemonRules]) -> Iterable[int]:
    for daemon in running:
        for script in daemon.config.scripts:
            yield script.interval_ns * max(script.rise, script.fall) + script.effective_timeout_ns
        for delay in daemon.config.interface_delays:
            yield max(delay.up_ns, delay.down_ns)
        for process in daemon.config.processes:
            yield max(process.fork_delay_ns, process.terminate_delay_ns)


def _starts_ns(scenario: Scenario) -> Iterable[int]:
    for node in scenario.nodes.values():
        processes = [high_ns(each.starts) + high_ns(each.starts_up) for each in node.processes.values()]
        if node.keepalived:
            processes.append(high_ns(node.keepalived.starts) + node.keepalived.config.startup_delay_ns)
        yield high_ns(node.boots) + max(processes, default=0)


def _latency_ns(scenario: Scenario) -> int:
    return max((high_ns(each.delay) + high_ns(each.jitter) for each in scenario.segments.values()), default=0)


def _slop_ns(scenario: Scenario) -> int:
    slops = [node.slop for node in scenario.nodes.values()]
    return max(
        (high_ns(slop.drift) + high_ns(slop.stalls.lasts if slop.stalls else None) for slop in slops),
        default=0,
    )


def high_ns(value: Distribution | str | None) -> int:
    """The largest draw; where there is no bound, ten times the mean."""
    if not isinstance(value, Distribution):
        return 0
    return 10 * value.mean_ns if value.high_ns is None else value.high_ns


def _lost_in_a_row(segment: Segment) -> int:
    """How many adverts the segment may lose one after the other."""
    again = max(segment.loss, 1 - 1 / segment.burst if segment.burst and segment.loss else 0.0)
    if segment.corrupt:
        again = 1 - (1 - again) * (1 - segment.corrupt)
    if again <= 0:
        return 0
    return MOST_LOST if again >= 1 else min(MOST_LOST, math.ceil(-math.log(RARE) / math.log(again)))


def _whole_s(ns: int) -> int:
    return -(-ns // SECOND_NS) * SECOND_NS
