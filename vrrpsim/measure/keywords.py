"""Which keyword of keepalived.conf governs each part of a failover, said in its own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vrrpsim.protocol.configuration import InstanceConfig, RouterConfig
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.protocol.timers import master_down_interval_ns, skew_time_ns
from vrrpsim.trace import PriorityChange, StateChange, TrackerChange

from .seconds import fixed_s, short_s

SLACK_NS = 5_000_000  # a moved priority shifts a running deadline by some milliseconds (FSM-24)
AT_ONCE_NS = 50_000_000  # a cache that follows a gratuitous frame does so within this


@dataclass(frozen=True, slots=True)
class DaemonRules:
    """What one node runs: its configuration and the dialect that it speaks."""

    config: RouterConfig
    dialect: Dialect

    def instance_of(self, address: str) -> InstanceConfig | None:
        """Return the instance that carries an address."""
        for instance in self.config.instances:
            if any(str(each.address) == address for each in (*instance.addresses, *instance.excluded)):
                return instance
        return None

    def skew_ns(self, instance: InstanceConfig, priority: int, interval_ns: int) -> int:
        """Skew_Time at an effective priority; `interval_ns` is the learned one in version 3."""
        return skew_time_ns(instance.version, priority, interval_ns, self.dialect.skew_rounding)

    def down_ns(self, instance: InstanceConfig, priority: int, interval_ns: int) -> int:
        """Master_Down_Interval at an effective priority."""
        return master_down_interval_ns(
            instance.version, priority, interval_ns, instance.down_timer_adverts, self.dialect.skew_rounding
        )

    def learned_ns(self, instance: InstanceConfig, master: InstanceConfig | None) -> int:
        """Return the interval that the down timer counts: version 3 learns the master's."""
        return master.advert_int_ns if master and instance.version == 3 else instance.advert_int_ns


def detect_keyword(
    first: StateChange | PriorityChange | TrackerChange | None, daemons: Mapping[str, DaemonRules]
) -> str:
    """Say what decides how soon the fault is noticed; `first` is the first reaction, None silence."""
    match first:
        case None:
            return "silence: age of the last advert"
        case TrackerChange(tracker="script"):
            return _script(first, daemons.get(first.node))
        case TrackerChange():
            return f"track_{first.tracker} {first.name}"
        case StateChange(old="INIT"):
            return "start of keepalived"
        case _:
            return first.reason.replace("_", " ")


def _script(change: TrackerChange, daemon: DaemonRules | None) -> str:
    script = next((s for s in daemon.config.scripts if s.name == change.name), None) if daemon else None
    if script is None:
        return change.name
    times = f"rise {script.rise}" if change.ok else f"fall {script.fall}"
    timeout = f" + timeout {short_s(script.effective_timeout_ns)}" if "time" in change.reason else ""
    return f"{change.name} interval {short_s(script.interval_ns)} × {times}{timeout}"


def elect_keyword(
    old: DaemonRules | None,
    new: DaemonRules | None,
    address: str,
    priority: int | None,
    won: StateChange | None,
    detected_ns: int,
) -> str:
    """Say what decided how long the new owner waited before it became Master."""
    instance = new.instance_of(address) if new else None
    if new is None or instance is None or priority is None or won is None:
        return ""
    if won.reason == "sync_group":
        return "sync group follows"
    if won.reason == "owner":
        return "priority 255: at once"
    interval_ns = new.learned_ns(instance, old.instance_of(address) if old else None)
    skew = f"skew {fixed_s(new.skew_ns(instance, priority, interval_ns))} s (priority {priority})"
    heard_ns = detected_ns if won.last_advert_ns is None else won.last_advert_ns
    if won.at_ns - heard_ns < new.down_ns(instance, priority, interval_ns) - SLACK_NS:
        return f"priority 0: {skew}"
    down = f"advert_int {short_s(interval_ns)} × {instance.down_timer_adverts} + {skew}"
    delay_ns = instance.preempt_delay_ns
    if delay_ns and won.at_ns - detected_ns > delay_ns:
        return f"preempt_delay {short_s(delay_ns)}, {down}"
    return down


def claim_keyword(new: DaemonRules | None, address: str) -> str:
    """Say what decides how soon the address is announced."""
    instance = new.instance_of(address) if new else None
    return f"garp_master_repeat {instance.garp.master_repeat}" if instance else ""


def relearn_keyword(
    new: DaemonRules | None, address: str, burst: Sequence[int], relearnt_ns: int | None, watched: bool
) -> str:
    """Say what led the clients to the new owner: a gratuitous burst or the age of their cache."""
    instance = new.instance_of(address) if new else None
    if not watched:
        return "no client asks"
    if relearnt_ns is None or instance is None:
        return "neighbour cache"
    frames = [at for at in burst if at <= relearnt_ns]
    if not frames or relearnt_ns - frames[-1] > AT_ONCE_NS:
        return "neighbour cache"
    second = frames[-1] - frames[0] > instance.garp.master_delay_ns // 2
    return (
        f"garp_master_delay {short_s(instance.garp.master_delay_ns)}"
        if second
        else f"garp_master_repeat {instance.garp.master_repeat}"
    )
