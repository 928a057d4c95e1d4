"""Which keyword of keepalived.conf governs each part of a failover, said in its own words.

What is said must account for the time beside it: each `Blame` carries the shortest and the longest time that
its words explain. Where no rule explains what was measured, the words tell what happened and for how long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vrrpsim.protocol.configuration import InstanceConfig, RouterConfig
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.protocol.reasons import Reason
from vrrpsim.protocol.timers import master_down_interval_ns, skew_time_ns
from vrrpsim.trace import StateChange, TrackerChange

from .history import Reaction
from .seconds import fixed_s, short_s

LATE_NS: Final = 5_000_000  # a host may be this late, and a moved priority shifts a running deadline (FSM-24)
AT_ONCE_NS: Final = 50_000_000  # what follows from something within this follows at once
LINK_WATCH_NS: Final = 1_050_000_000  # Linux tells of a carrier within a second and a tick
STALE_NS: Final = 60_000_000_000  # a neighbour entry: REACHABLE 15-45 s, DELAY 5 s, three probes, broadcast


class Blame(NamedTuple):
    """What a stretch of time is due to, and the shortest and longest time in ns that this explains."""

    words: str
    least_ns: int
    most_ns: int


def measured(words: str, length_ns: int) -> Blame:
    """Say what happened and for how long where no keyword explains it."""
    return Blame(f"{words} {fixed_s(length_ns)} s", length_ns, length_ns)


@dataclass(frozen=True, slots=True)
class DaemonRules:
    """What one node runs: its configuration and the dialect that it speaks."""

    config: RouterConfig
    dialect: Dialect
    carriers: Mapping[str, Sequence[InstanceConfig]] = field(init=False, compare=False)  # by address

    def __post_init__(self) -> None:
        carriers: dict[str, list[InstanceConfig]] = {}
        for instance in self.config.instances:
            for each in (*instance.addresses, *instance.excluded):
                carriers.setdefault(str(each.address), []).append(instance)
        object.__setattr__(self, "carriers", carriers)

    def instance_of(self, address: str) -> InstanceConfig | None:
        """Return the first instance that carries an address; nearly always there is one."""
        return next(iter(self.carriers.get(address, ())), None)

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


def detect_blame(
    first: Reaction | None, daemons: Mapping[str, DaemonRules], old: InstanceConfig | None, length_ns: int
) -> Blame:
    """Say what decides how soon the fault is noticed; `first` is the first reaction, None silence."""
    match first:
        case None:
            interval_ns = old.advert_int_ns if old else 0
            if length_ns <= interval_ns + AT_ONCE_NS:
                return Blame("silence: age of the last advert", 0, interval_ns + AT_ONCE_NS)
            return measured("adverts came for another", length_ns)
        case TrackerChange(tracker="script"):
            blame = _script(first, daemons.get(first.node))
        case TrackerChange():
            blame = Blame(f"track_{first.tracker} {first.name}", 0, LINK_WATCH_NS)
        case StateChange(old="INIT"):
            return Blame("start of keepalived", 0, length_ns)
        case _:
            blame = Blame(first.reason.replace("_", " "), 0, LINK_WATCH_NS)
    if length_ns > blame.most_ns + LATE_NS:
        late = fixed_s(length_ns - blame.most_ns)
        return Blame(f"{blame.words}, {late} s later than that", length_ns, length_ns)
    return blame


def _script(change: TrackerChange, daemon: DaemonRules | None) -> Blame:
    script = next((s for s in daemon.config.scripts if s.name == change.name), None) if daemon else None
    if script is None:
        return Blame(change.name, 0, 0)
    times = script.rise if change.ok else script.fall
    words = (
        f"{change.name} interval {short_s(script.interval_ns)} × {'rise' if change.ok else 'fall'} {times}"
    )
    timeout_ns = script.effective_timeout_ns
    if "time" not in change.reason:
        return Blame(words, 0, times * script.interval_ns + AT_ONCE_NS)
    each_ns = max(script.interval_ns, -(-timeout_ns // script.interval_ns) * script.interval_ns)
    return Blame(f"{words} + timeout {short_s(timeout_ns)}", 0, times * each_ns + timeout_ns + AT_ONCE_NS)


def elect_blame(
    old: DaemonRules | None,
    new: DaemonRules | None,
    address: str,
    priority: int | None,
    won: StateChange | None,
    since: Sequence[Reaction],
    detected_ns: int,
    master_ns: int,
    others: Iterable[DaemonRules] = (),
) -> Blame:
    """Say what decided how long the new owner waited before it became Master.

    `since` are the reactions of both nodes from the detection on, `others` all daemons: version 3 learns the
    interval of whichever was Master.
    """
    length_ns = master_ns - detected_ns
    instance = new.instance_of(address) if new else None
    if new is None or instance is None or priority is None or won is None:
        return Blame("", 0, length_ns)
    if won.reason == Reason.SYNC_GROUP:
        return Blame("sync group follows", 0, length_ns)
    if won.reason == Reason.OWNER:
        return Blame("priority 255: at once", 0, max(length_ns, 0))
    former = old.instance_of(address) if old else None
    heard_ns = detected_ns if won.last_advert_ns is None else won.last_advert_ns
    intervals = _intervals(new, instance, former, others)
    for interval_ns in intervals:
        skew_ns = new.skew_ns(instance, priority, interval_ns)
        if abs(length_ns - skew_ns) <= AT_ONCE_NS < new.down_ns(instance, priority, interval_ns) - skew_ns:
            words = f"priority 0: skew {fixed_s(skew_ns)} s (priority {priority})"
            return Blame(words, skew_ns - AT_ONCE_NS, skew_ns + AT_ONCE_NS)
    waits = [*_accepted(instance, former, new, since, detected_ns, heard_ns)]
    waits.append(_down(new, instance, intervals, priority, master_ns - heard_ns))
    words = ", then ".join(each.words for each in waits)
    before_ns = max(0, detected_ns - heard_ns)  # the timer ran before anybody noticed
    least_ns = sum(each.least_ns for each in waits) - before_ns
    most_ns = sum(each.most_ns for each in waits) - before_ns
    return Blame(words, max(0, least_ns), max(0, most_ns))


def _accepted(
    instance: InstanceConfig,
    former: InstanceConfig | None,
    new: DaemonRules,
    since: Sequence[Reaction],
    detected_ns: int,
    heard_ns: int,
) -> Iterable[Blame]:
    """Why adverts were still accepted after the detection: the down timer counts from the last of them."""
    interval_ns = former.advert_int_ns if former else instance.advert_int_ns
    wait_ns = heard_ns - detected_ns
    if wait_ns <= 0:
        return
    if wait_ns <= interval_ns + AT_ONCE_NS:
        yield Blame("the next advert", 0, interval_ns + AT_ONCE_NS)
        return
    delay_ns = instance.preempt_delay_ns
    if delay_ns and abs(wait_ns - delay_ns) <= interval_ns + AT_ONCE_NS:
        yield Blame(f"preempt_delay {short_s(delay_ns)}", delay_ns - interval_ns, delay_ns + interval_ns)
        return
    cause = next(
        (
            each
            for each in reversed(since)
            if isinstance(each, TrackerChange) and detected_ns < each.at_ns <= heard_ns + AT_ONCE_NS
        ),
        None,
    )
    if cause is not None and heard_ns - cause.at_ns <= interval_ns + AT_ONCE_NS:
        script = _script(cause, new) if cause.tracker == "script" else Blame(cause.name, 0, 0)
        verb = "succeeds" if cause.ok else "fails"
        words = f"{script.words} ({cause.name} {verb} after {fixed_s(cause.at_ns - detected_ns)} s)"
        yield Blame(words, wait_ns, wait_ns)
        return
    yield measured("adverts accepted for another", wait_ns)


def _intervals(
    new: DaemonRules, instance: InstanceConfig, former: InstanceConfig | None, others: Iterable[DaemonRules]
) -> Sequence[int]:
    """The intervals that the down timer can count, the likeliest first: version 3 learns a Master's."""
    learned = (
        each.advert_int_ns
        for daemon in others
        for each in daemon.config.instances
        if instance.version == each.version == 3 and each.vrid == instance.vrid
    )
    return tuple(dict.fromkeys((new.learned_ns(instance, former), instance.advert_int_ns, *learned)))


def _down(
    new: DaemonRules, instance: InstanceConfig, intervals: Sequence[int], priority: int, waited_ns: int
) -> Blame:
    """The wait after the last accepted advert: the down timer, or the skew alone after priority 0."""
    for interval_ns in intervals:
        down_ns = new.down_ns(instance, priority, interval_ns)
        skew_ns = new.skew_ns(instance, priority, interval_ns)
        skew = f"skew {fixed_s(skew_ns)} s (priority {priority})"
        if abs(waited_ns - down_ns) <= AT_ONCE_NS:
            count = f"advert_int {short_s(interval_ns)} × {instance.down_timer_adverts}"
            return Blame(f"{count} + {skew}", down_ns - AT_ONCE_NS, down_ns + AT_ONCE_NS)
        if abs(waited_ns - skew_ns) <= AT_ONCE_NS:
            return Blame(f"priority 0: {skew}", skew_ns - AT_ONCE_NS, skew_ns + AT_ONCE_NS)
    delay_ns, down_ns = new.config.startup_delay_ns, new.down_ns(instance, priority, intervals[0])
    if delay_ns and delay_ns - AT_ONCE_NS <= waited_ns <= delay_ns + down_ns + AT_ONCE_NS:
        words = f"vrrp_startup_delay {short_s(delay_ns)}, then what is left of the down timer"
        return Blame(words, delay_ns - AT_ONCE_NS, delay_ns + down_ns + AT_ONCE_NS)
    return measured("without an accepted advert for", waited_ns)


def claim_blame(new: DaemonRules | None, address: str, sent: bool, length_ns: int) -> Blame:
    """Say what decides how soon the address is announced."""
    instance = new.instance_of(address) if new else None
    if instance is None:
        return Blame("", 0, length_ns)
    if not sent:
        return Blame("no gratuitous ARP is sent", length_ns, length_ns)
    if length_ns > AT_ONCE_NS:
        return measured("the first gratuitous ARP leaves after", length_ns)
    return Blame(f"garp_master_repeat {instance.garp.master_repeat}", 0, AT_ONCE_NS)


def relearn_blame(
    new: DaemonRules | None, address: str, burst: Sequence[int], claimed_ns: int, relearnt_ns: int | None
) -> Blame:
    """Say what led the clients to the new owner: a gratuitous burst or the age of their cache."""
    length_ns = 0 if relearnt_ns is None else relearnt_ns - claimed_ns
    instance = new.instance_of(address) if new else None
    stale = (
        Blame("neighbour cache", 0, STALE_NS)
        if length_ns <= STALE_NS
        else measured("clients are led elsewhere for", length_ns)
    )
    if relearnt_ns is None or instance is None:
        return stale
    frames = [at for at in burst if at <= relearnt_ns]
    if not frames or relearnt_ns - frames[-1] > AT_ONCE_NS:
        return stale
    garp = instance.garp
    if length_ns <= AT_ONCE_NS * 2:
        return Blame(f"garp_master_repeat {garp.master_repeat}", 0, AT_ONCE_NS * 2)
    if abs(length_ns - garp.master_delay_ns) <= AT_ONCE_NS * 2:
        low, high = garp.master_delay_ns - 2 * AT_ONCE_NS, garp.master_delay_ns + 2 * AT_ONCE_NS
        return Blame(f"garp_master_delay {short_s(garp.master_delay_ns)}", low, high)
    if garp.master_refresh_ns and length_ns <= garp.master_refresh_ns + AT_ONCE_NS:
        refresh_ns = garp.master_refresh_ns
        return Blame(f"garp_master_refresh {short_s(refresh_ns)}", 0, refresh_ns + AT_ONCE_NS)
    return measured("until a gratuitous ARP after", length_ns)


def serve_blame(every_ns: int, length_ns: int) -> Blame:
    """Say how long a client that is led to the owner waits for its first answer."""
    if length_ns <= every_ns + AT_ONCE_NS * 2:
        return Blame(f"a request every {every_ns // 1_000_000} ms", 0, every_ns + AT_ONCE_NS * 2)
    return measured("the new owner answers after", length_ns)
