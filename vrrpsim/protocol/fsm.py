"""The state machine of one virtual router: keepalived.md §1, RFC 9568 §6.4.

`transition(machine, state, deadline_ns, event, now_ns)` is total and pure. It answers with the new
state, the new deadline and the actions in the order in which they must happen (order is contract).
Time appears only in the deadline, so an instance that hears the same advert again is in the same state
again; that is why the two are separate.

What is *not* here: the receive checks (reception.py), trackers (tracking.py), timers of scripts
(scripts.py), repeated GARP bursts (announcements.py), what binds the members of a sync group (router.py).
"""

# Annotations are values here: of strings, typing.NamedTuple compiles each at every start.

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple, assert_never

from .configuration import OWNER_PRIORITY, Address, AuthType, InitialState, InstanceConfig
from .dialect import Dialect, OwnerConflict, SkewRounding
from .packet import Advertisement, effective_authentication
from .reasons import Reason
from .timers import master_down_interval_ns, skew_time_ns

ROGUE_ADVERTS: Final = 2  # FSM-36
NEVER_NS: Final = (1 << 62) - 1  # of who waits for nothing: 146 years, the most that a compiled int holds


class State(IntEnum):
    """RFC 9568 §6.4 and keepalived's FAULT; the numbers are keepalived's (§1)."""

    INIT = 0
    BACKUP = 1
    MASTER = 2
    FAULT = 3


class InstanceState(NamedTuple):
    """The value that a transition maps to the next one. All times are nanoseconds."""

    state: State
    base: int  # configured priority; 254 after losing to another owner (FSM-36)
    priority: int  # effective: what adverts carry
    master_adver_interval_ns: int  # `madv`: own, or learned from an accepted v3 advert
    down_ns: int  # `ms_down`: length of the current down timer, for FSM-24
    source: Address | None  # own primary address: the tie-break key
    wants_master: bool = False  # `want`: matters at start and in sync groups
    master_address: Address | None = None
    master_priority: int = 0
    preempt_at_ns: int | None = None  # the preempt clock (FSM-13 … FSM-15)
    delay_until_ns: int = 0  # end of vrrp_startup_delay (FSM-9)
    rogue_adverts: int = 0  # own adverts until the watch for a rogue owner begins, FSM-36 from 2.3.3
    rogue_until_ns: int = 0  # its end: another equal advert until then takes the ownership away


@dataclass(frozen=True, slots=True)
class InstanceRules:
    """What never changes while an instance runs: its configuration and its dialect."""

    config: InstanceConfig
    dialect: Dialect

    @property
    def advert_int_ns(self) -> int:
        """The locally configured Advertisement_Interval."""
        return self.config.advert_int_ns

    def skew_ns(self, state: InstanceState, interval_ns: int | None = None) -> int:
        """Skew_Time for the effective priority and the learned interval, or another one (§2.1)."""
        interval_ns = state.master_adver_interval_ns if interval_ns is None else interval_ns
        return _skew_ns(self.config.version, state.priority, interval_ns, self.dialect.skew_rounding)

    def down_ns(self, state: InstanceState, interval_ns: int | None = None) -> int:
        """Master_Down_Interval for the effective priority and the learned interval, or another one (§2.1)."""
        config = self.config
        interval_ns = state.master_adver_interval_ns if interval_ns is None else interval_ns
        return _down_ns(
            config.version, state.priority, interval_ns, config.down_timer_adverts, self.dialect.skew_rounding
        )

    def preempts(self, own: int, heard: int) -> bool:
        """Whether a Backup of priority `own` discards adverts of priority `heard` (FSM-16, RFC9568-6.1-f)."""
        config = self.config
        return heard < own and (
            config.preempt or (self.dialect.owner_preempts_regardless and config.is_owner)
        )


_skew_ns = lru_cache(maxsize=4096)(skew_time_ns)
_down_ns = lru_cache(maxsize=4096)(master_down_interval_ns)


def initial_state(rules: InstanceRules, source: Address | None) -> InstanceState:
    """An instance before Startup."""
    config = rules.config
    return InstanceState(State.INIT, config.priority, config.priority, config.advert_int_ns, 0, source)


# --- events ---------------------------------------------------------------------------------------


class Startup(NamedTuple):
    """The daemon started and nothing is wrong with this instance (FSM-5, FSM-6).

    `as_backup`: an owner does not start as Master, because its sync group cannot (SG-1).
    """

    delay_until_ns: int = 0
    as_backup: bool = False


class StartInFault(NamedTuple):
    """Start-up with a fault (FSM-3), or silently while first script results are awaited (FSM-7)."""

    silent: bool
    reason: str = ""
    delay_until_ns: int = 0


class Expired(NamedTuple):
    """The deadline is reached and nothing holds the instance back."""


class Overslept(NamedTuple):
    """The daemon runs again after its timers were overdue for too long (K11); before anything else."""


class HeldBack(NamedTuple):
    """The down timer ran out, but the sync group is not ready to be Master (SG-2)."""


class Heard(NamedTuple):
    """An advert passed every receive check."""

    advert: Advertisement
    source: Address


class Rejected(NamedTuple):
    """A packet for this virtual router failed a check (FSM-11, FSM-29)."""


class PriorityMoved(NamedTuple):
    """Trackers changed the effective priority (FSM-24, FSM-37)."""

    priority: int
    reason: str = ""


class Failed(NamedTuple):
    """First fault, or dragged down by the sync group (FSM-23, FSM-38, SG-5)."""

    reason: str
    dragged: bool = False


class Recovered(NamedTuple):
    """The last fault is gone (FSM-43); `from_wait`: the start-up script wait is over (FSM-7).

    `as_backup` as in `Startup`.
    """

    from_wait: bool = False
    as_backup: bool = False


class Forced(NamedTuple):
    """The sync group takes the instance along (SG-2, SG-4)."""

    state: State


class AddressLost(NamedTuple):
    """A third party removed one of our addresses (FSM-39)."""


class SourceChanged(NamedTuple):
    """The primary address of the interface is another one now (§1.5)."""

    source: Address | None


class Shutdown(NamedTuple):
    """SIGTERM, or the instance left the configuration (§1.7)."""


class Reloaded(NamedTuple):
    """SIGHUP with a matching instance (§1.7): Master advertises now, Backup waits a full interval."""


Event = (
    Startup
    | StartInFault
    | Expired
    | Overslept
    | HeldBack
    | Heard
    | Rejected
    | PriorityMoved
    | Failed
    | Recovered
    | Forced
    | AddressLost
    | SourceChanged
    | Shutdown
    | Reloaded
)


# --- actions --------------------------------------------------------------------------------------


class Advertise(NamedTuple):
    """Send one advert to the group or to every peer."""

    priority: int
    periodic: bool = False


class Resynchronize(NamedTuple):
    """Skip a sequence number of the Authentication Header before a weaker sender is answered."""


class Enter(NamedTuple):
    """The state changed; `silent` ones are neither logged nor notified (FSM-5, FSM-7)."""

    state: State
    reason: str
    silent: bool = False


class Acquire(NamedTuple):
    """Put the virtual addresses on the interface."""


class Release(NamedTuple):
    """Take the virtual addresses off the interface."""


class Announce(NamedTuple):
    """Gratuitous ARP / unsolicited NA for every address, `rounds` times, `delay_ns` from now."""

    rounds: int
    delay_ns: int = 0


class AnnounceGroup(NamedTuple):
    """The other members of the sync group announce themselves too, by their own values (FSM-33)."""


class AnnounceSource(NamedTuple):
    """One GARP / NA for the own source address (FSM-44)."""


class Notify(NamedTuple):
    """Run the notify scripts for this state (§7.3); "MASTER_RX_LOWER_PRI" and "STOP" included."""

    state: str


class Log(NamedTuple):
    """A log line, formatted only if somebody reads it: `template.format(*arguments)`."""

    template: str
    arguments: tuple[object, ...] = ()
    detail: bool = False  # only with `-D`

    def __str__(self) -> str:
        return self.template.format(*self.arguments)


Action = (
    Advertise
    | Resynchronize
    | Enter
    | Acquire
    | Release
    | Announce
    | AnnounceGroup
    | AnnounceSource
    | Notify
    | Log
)


class Step(NamedTuple):
    """The answer of a transition."""

    state: InstanceState
    deadline_ns: int
    actions: tuple[Action, ...] = ()


# --- the machine ----------------------------------------------------------------------------------


def transition(
    rules: InstanceRules, state: InstanceState, deadline_ns: int, event: Event, now_ns: int
) -> Step:
    """The next state, deadline and actions. Never raises for any event in any state."""
    match state.state:
        case State.BACKUP:
            return _in_backup(rules, state, deadline_ns, event, now_ns)
        case State.MASTER:
            return _in_master(rules, state, deadline_ns, event, now_ns)
        case State.INIT:
            return _in_init(rules, state, event, now_ns)
        case State.FAULT:
            return _in_fault(rules, state, event, now_ns)
        case _:
            assert_never(state.state)


def _in_init(rules: InstanceRules, state: InstanceState, event: Event, now_ns: int) -> Step:
    """RFC 9568 §6.4.1; FSM-1 … FSM-9. Everything but a start is ignored (FSM-26)."""
    match event:
        case Startup(delay_until_ns=delay_until_ns, as_backup=as_backup):
            state = state._replace(delay_until_ns=delay_until_ns)
            if starts_as_master(rules, state) and not as_backup:
                return _become_master(rules, state, now_ns, Reason.OWNER)
            return _become_backup(rules, state, now_ns, Reason.INIT)
        case StartInFault(silent=silent, reason=reason, delay_until_ns=delay_until_ns):
            faulty = state._replace(state=State.FAULT, delay_until_ns=delay_until_ns)
            if silent:
                return Step(faulty, NEVER_NS, (Enter(State.FAULT, reason, True),))
            log = Log("({}) entering FAULT state ({})", (rules.config.name, reason))
            return Step(faulty, NEVER_NS, (log, Enter(State.FAULT, reason), Notify("FAULT")))
        case PriorityMoved(priority=priority):
            return Step(state._replace(priority=priority), NEVER_NS)
        case SourceChanged(source=source):
            return Step(state._replace(source=source), NEVER_NS)
        case _:
            return Step(state, NEVER_NS)


def _in_backup(
    rules: InstanceRules, state: InstanceState, deadline_ns: int, event: Event, now_ns: int
) -> Step:
    """RFC 9568 §6.4.2; FSM-11 … FSM-25."""
    match event:
        case Heard(advert=advert, source=source):
            return _backup_hears(rules, state, deadline_ns, advert, source, now_ns)
        case Expired():
            return _become_master(rules, state, now_ns, Reason.MASTER_DOWN_TIMER)
        case HeldBack():  # SG-2
            down_ns = rules.down_ns(state) or rules.advert_int_ns  # 0 (FSM-13) would never let go
            held = state._replace(wants_master=True, down_ns=down_ns)
            return Step(held, now_ns + down_ns, (_timeout_log(rules),))
        case Rejected():  # FSM-11
            down_ns = _remaining_ns(rules, state, deadline_ns, now_ns)
            return Step(state._replace(down_ns=down_ns), deadline_ns)
        case PriorityMoved(priority=priority):  # FSM-24
            moved = state._replace(priority=priority)
            new_down_ns = rules.down_ns(moved)
            shift_ns = new_down_ns - state.down_ns
            if rules.dialect.priority_change_shifts_deadline:
                deadline_ns = max(deadline_ns + shift_ns, now_ns)
            log = _priority_log(rules, state, priority)
            return Step(moved._replace(down_ns=new_down_ns), deadline_ns, (log,))
        case Failed(reason=reason):
            return _fail(rules, state, reason, 0, now_ns)
        case Forced(state=State.MASTER):
            return _become_master(rules, state, now_ns, Reason.SYNC_GROUP)
        case Shutdown():  # RFC 9568 §6.4.2 Shutdown; §1.7
            return Step(state._replace(state=State.INIT), NEVER_NS, (Enter(State.INIT, Reason.STOP, True),))
        case Reloaded():
            down_ns = rules.down_ns(state)
            return Step(state._replace(down_ns=down_ns, delay_until_ns=0), now_ns + down_ns)
        case SourceChanged(source=source):
            return Step(state._replace(source=source), deadline_ns)
        case Startup() | StartInFault() | Recovered() | Forced() | AddressLost() | Overslept():
            return Step(state, deadline_ns)
        case _:
            assert_never(event)


def _backup_hears(
    rules: InstanceRules,
    state: InstanceState,
    deadline_ns: int,
    advert: Advertisement,
    source: Address,
    now_ns: int,
) -> Step:
    """FSM-12 … FSM-16: order matters, and addresses are never compared (FSM-17)."""
    config = rules.config
    if advert.priority == 0:  # FSM-12: the Master resigns
        skew_ns = rules.skew_ns(state)
        log = Log("({}) Backup received priority 0 advertisement", (config.name,), True)
        return Step(state._replace(down_ns=skew_ns), _from_start(state, now_ns) + skew_ns, (log,))
    if advert.priority != OWNER_PRIORITY or source != state.master_address:
        state = _restore_owner(rules, state)
    delayed = config.preempt_delay_ns > 0 and (state.preempt_at_ns is None or now_ns < state.preempt_at_ns)
    if rules.preempts(state.priority, advert.priority) and not delayed:  # FSM-16
        log = Log(
            "({}) received lower priority ({}) advert from {} - discarding",
            (config.name, advert.priority, source),
        )
        down_ns = _remaining_ns(rules, state, deadline_ns, now_ns)
        if now_ns < state.delay_until_ns and not rules.dialect.startup_delay_discards:
            deadline_ns = state.delay_until_ns + max(deadline_ns - now_ns, 0)  # FSM-9, quirk of 2.2.7
        return Step(state._replace(down_ns=down_ns, master_address=source), deadline_ns, (log,))
    interval_ns = _learned_interval_ns(rules, state, advert)
    down_ns = rules.down_ns(state, interval_ns)
    if not rules.dialect.skew_recomputed_on_learning:  # RFC 5798 read literally keeps the old Skew_Time
        down_ns += rules.skew_ns(state) - rules.skew_ns(state, interval_ns)
    logs: tuple[Log, ...] = ()
    clock_ns = state.preempt_at_ns
    if config.preempt_delay_ns:
        clock_ns, logs = _preempt_clock(config, state, advert, now_ns)
    accepted = state._replace(  # FSM-13
        wants_master=False,
        master_address=source,
        master_priority=advert.priority,
        master_adver_interval_ns=interval_ns,
        down_ns=down_ns,
        preempt_at_ns=clock_ns,
    )
    return Step(accepted, _from_start(state, now_ns) + down_ns, logs)


def _in_master(
    rules: InstanceRules, state: InstanceState, deadline_ns: int, event: Event, now_ns: int
) -> Step:
    """RFC 9568 §6.4.3; FSM-27 … FSM-41."""
    restarted_ns = now_ns + rules.advert_int_ns
    match event:
        case Expired():
            watched, logs = _watch_rogue(rules, state, now_ns)
            return Step(watched, restarted_ns, (Advertise(state.priority, True), *logs))  # FSM-28
        case Overslept():
            if _descheduled_too_long(rules, state, deadline_ns, now_ns):
                return _leave_master(rules, state, now_ns, Reason.TIMER_EXPIRED_BACKUP)
            return Step(state, deadline_ns)
        case Heard(advert=advert, source=source):
            return _master_hears(rules, state, deadline_ns, advert, source, now_ns)
        case Rejected():  # FSM-29, FSM-35
            if rules.dialect.rejected_restarts_advert_timer and not rules.config.lower_prio_no_advert:
                return Step(state, restarted_ns)
            return Step(state, deadline_ns)
        case PriorityMoved(priority=priority):  # FSM-37: no advert
            moved = state._replace(priority=priority)
            log = _priority_log(rules, state, priority)
            return Step(moved._replace(down_ns=rules.down_ns(moved)), deadline_ns, (log,))
        case Failed(reason=reason, dragged=dragged):  # FSM-38
            adverts = rules.dialect.fault_priority_zero_adverts
            return _fail(rules, state, reason, min(adverts, 1) if dragged else adverts, now_ns)
        case AddressLost():  # FSM-39
            return _abdicate(rules, state, now_ns)
        case Forced(state=State.BACKUP):  # SG-4: no priority 0
            return _leave_master(rules, state, now_ns, Reason.SYNC_GROUP)
        case Shutdown():  # RFC 9568 §6.4.3 Shutdown; §1.7: one priority 0, then the addresses go
            return Step(
                state._replace(state=State.INIT),
                NEVER_NS,
                (
                    Advertise(0),
                    Log("({}) sent 0 priority", (rules.config.name,), True),
                    *(() if rules.dialect.stop_keeps_addresses else (Release(),)),
                    Enter(State.INIT, Reason.STOP, True),
                ),
            )
        case Reloaded():
            return Step(state._replace(delay_until_ns=0), now_ns)
        case SourceChanged(source=source):
            return Step(state._replace(source=source), deadline_ns)
        case Startup() | StartInFault() | HeldBack() | Recovered() | Forced():
            return Step(state, deadline_ns)
        case _:
            assert_never(event)


def _master_hears(
    rules: InstanceRules,
    state: InstanceState,
    deadline_ns: int,
    advert: Advertisement,
    source: Address,
    now_ns: int,
) -> Step:
    """FSM-30 … FSM-36, in keepalived's order."""
    config = rules.config
    restarts = not config.lower_prio_no_advert
    restarted_ns = now_ns + config.advert_int_ns
    if advert.priority == 0:  # FSM-30
        log = Log("({}) Master received priority 0 message", (config.name,), True)
        answer_ns = restarted_ns if restarts else deadline_ns
        return Step(state, answer_ns, (log, Advertise(state.priority)))
    if advert.priority == state.priority == OWNER_PRIORITY and source != state.source:
        conflict = _owner_conflict(rules, state, deadline_ns, advert, source, now_ns)
        if isinstance(conflict, Step):
            return conflict
        if conflict is not state:
            return _yield_to(rules, conflict, advert, source, now_ns, (_conflict_log(rules),))
    is_twin = advert.priority == state.priority and source == state.source
    if is_twin and not rules.dialect.answers_own_source:  # FSM-32
        log = Log(
            "({}) WARNING - equal priority advert received from remote host with our IP address.",
            (config.name,),
        )
        return Step(state, restarted_ns if restarts else deadline_ns, (log,))
    if _beats(advert.priority, source, state):
        extra: tuple[Action, ...] = (Advertise(state.priority),) if config.higher_prio_send_advert else ()
        return _yield_to(rules, state, advert, source, now_ns, extra)  # FSM-31, FSM-34
    return _answer_lower(rules, state, deadline_ns, advert, source, now_ns)  # FSM-33


def _answer_lower(
    rules: InstanceRules,
    state: InstanceState,
    deadline_ns: int,
    advert: Advertisement,
    source: Address,
    now_ns: int,
) -> Step:
    """FSM-33, GA-4; RFC 9568 §6.4.3 answers once, RFC 5798 and 3768 stay silent."""
    config, dialect, garp = rules.config, rules.dialect, rules.config.garp
    answers = dialect.answers_lower_advert and not config.lower_prio_no_advert
    actions: list[Action] = [
        Log(
            "({}) Received advert from {} with lower priority {}, ours {}"
            + (", forcing new election" if answers else ""),
            (config.name, source, advert.priority, state.priority),
        )
    ]
    if answers:
        if effective_authentication(config, dialect).auth_type is AuthType.AH:
            actions.append(Resynchronize())
        actions.append(Advertise(state.priority))
        if dialect.lower_advert_restarts_timer:
            deadline_ns = now_ns + config.advert_int_ns
    if dialect.garp_on_lower_advert and garp.lower_prio_repeat:
        actions.append(Announce(garp.lower_prio_repeat))
        if garp.lower_prio_delay_ns:
            actions.append(Announce(garp.lower_prio_repeat, garp.lower_prio_delay_ns))
    if dialect.garp_on_lower_advert:
        actions.append(AnnounceGroup())
    actions.append(Notify("MASTER_RX_LOWER_PRI"))
    return Step(_restore_owner(rules, state), deadline_ns, tuple(actions))


def _owner_conflict(
    rules: InstanceRules,
    state: InstanceState,
    deadline_ns: int,
    advert: Advertisement,
    source: Address,
    now_ns: int,
) -> Step | InstanceState:
    """Another owner advertises (FSM-36): the final answer, or the state to go on with."""
    match rules.dialect.owner_conflict:
        case OwnerConflict.DISCARD:
            return Step(state, deadline_ns)
        case OwnerConflict.DROP_TO_254:  # ≤ 2.3.2: for good, and FSM-34 follows
            return state._replace(base=OWNER_PRIORITY - 1, priority=OWNER_PRIORITY - 1)
        case OwnerConflict.COMPARE_ADDRESS:  # EID 8298
            return state
        case OwnerConflict.ROGUE:
            if _beats(advert.priority, source, state):
                return _yield_to(rules, state, advert, source, now_ns, (_conflict_log(rules),))
            if now_ns < state.rogue_until_ns:
                yielded = state._replace(base=OWNER_PRIORITY - 1, priority=OWNER_PRIORITY - 1)
                return _yield_to(rules, yielded, advert, source, now_ns, (_conflict_log(rules),))
            warned = state._replace(rogue_adverts=state.rogue_adverts or ROGUE_ADVERTS)
            return _answer_lower(rules, warned, deadline_ns, advert, source, now_ns)
        case _:
            assert_never(rules.dialect.owner_conflict)


def _in_fault(rules: InstanceRules, state: InstanceState, event: Event, now_ns: int) -> Step:
    """FSM-26, FSM-42 … FSM-45: silent until every fault is gone."""
    match event:
        case Recovered(from_wait=from_wait, as_backup=as_backup):
            cleared = state._replace(master_adver_interval_ns=rules.advert_int_ns, wants_master=False)
            starts = from_wait or not rules.dialect.owner_needs_wanted_state
            if starts and not as_backup and starts_as_master(rules, state):  # FSM-7, rfc.md §4.4 S5
                return _become_master(rules, cleared, now_ns, Reason.OWNER)
            step = _become_backup(rules, cleared, now_ns, Reason.RECOVERED)
            if rules.config.unicast and not from_wait:  # FSM-44
                return step._replace(actions=(*step.actions, AnnounceSource()))
            return step
        case StartInFault():  # FSM-7: the awaited script failed, the state stays
            return Step(state, NEVER_NS, (Notify("FAULT"),))
        case PriorityMoved(priority=priority):
            return Step(state._replace(priority=priority), NEVER_NS, (_priority_log(rules, state, priority),))
        case SourceChanged(source=source):
            return Step(state._replace(source=source), NEVER_NS)
        case Reloaded():
            return Step(state._replace(delay_until_ns=0), NEVER_NS)
        case Shutdown():
            return Step(state._replace(state=State.INIT), NEVER_NS, (Enter(State.INIT, Reason.STOP, True),))
        case _:
            return Step(state, NEVER_NS)


# --- the moves ------------------------------------------------------------------------------------


def _become_backup(rules: InstanceRules, state: InstanceState, now_ns: int, reason: str) -> Step:
    """FSM-6, FSM-21, FSM-43."""
    down_ns = rules.down_ns(state)
    suffix = " (init)" if reason is Reason.INIT else ""
    return Step(
        state._replace(state=State.BACKUP, down_ns=down_ns, preempt_at_ns=None, wants_master=False),
        _from_start(state, now_ns) + down_ns,
        (
            Log("({}) Entering BACKUP STATE" + suffix, (rules.config.name,)),
            Enter(State.BACKUP, reason),
            Notify("BACKUP"),
        ),
    )


def _become_master(rules: InstanceRules, state: InstanceState, now_ns: int, reason: str) -> Step:
    """FSM-27: advert first, then the addresses, then the announcement, then the notification."""
    garp = rules.config.garp
    state = _restore_owner(rules, state)
    master = state._replace(
        state=State.MASTER,
        wants_master=True,
        preempt_at_ns=None,
        master_address=state.source,
        master_priority=state.priority,
    )
    timeout = (_timeout_log(rules),) if reason is Reason.MASTER_DOWN_TIMER else ()
    actions: list[Action] = [
        *timeout,
        Advertise(state.priority),
        Log("({}) Entering MASTER STATE", (rules.config.name,)),
        Enter(State.MASTER, reason),
        Acquire(),
        Announce(master_rounds(rules)),  # GA-1
    ]
    if garp.master_delay_ns and rules.dialect.garp_repeats:  # GA-2
        actions.append(Announce(garp.master_repeat, garp.master_delay_ns))
    actions.append(Notify("MASTER"))
    return Step(master, now_ns + rules.advert_int_ns, tuple(actions))


def _yield_to(
    rules: InstanceRules,
    state: InstanceState,
    advert: Advertisement,
    source: Address,
    now_ns: int,
    before: tuple[Action, ...],
) -> Step:
    """FSM-34: a better Master is there; no priority 0."""
    name = rules.config.name
    if advert.priority > state.priority:
        log = Log(
            "({}) Master received advert from {} with higher priority {}, ours {}",
            (name, source, advert.priority, state.priority),
        )
    else:
        log = Log(
            "({}) Master received advert from {} with same priority {} but higher IP address than ours",
            (name, source, advert.priority),
        )
    learned = state._replace(
        master_address=source,
        master_priority=advert.priority,
        master_adver_interval_ns=_learned_interval_ns(rules, state, advert),
    )
    step = _leave_master(rules, learned, now_ns, Reason.HIGHER_ADVERT)
    return step._replace(actions=(*before, log, *step.actions))


def _leave_master(rules: InstanceRules, state: InstanceState, now_ns: int, reason: str) -> Step:
    """To Backup without a priority-0 advert."""
    backup = state._replace(state=State.BACKUP, wants_master=False, preempt_at_ns=None)
    down_ns = rules.down_ns(backup)
    return Step(
        backup._replace(down_ns=down_ns),
        _from_start(state, now_ns) + down_ns,
        (
            Log("({}) Entering BACKUP STATE", (rules.config.name,)),
            Enter(State.BACKUP, reason),
            Release(),
            Notify("BACKUP"),
        ),
    )


def _abdicate(rules: InstanceRules, state: InstanceState, now_ns: int) -> Step:
    """FSM-39: one priority 0, all addresses removed, back after the own skew."""
    backup = state._replace(state=State.BACKUP, wants_master=False, preempt_at_ns=None)
    skew_ns = rules.skew_ns(backup)
    return Step(
        backup._replace(down_ns=skew_ns),
        now_ns + skew_ns,
        (
            Log("({}) Entering BACKUP STATE", (rules.config.name,)),
            Enter(State.BACKUP, Reason.ADDRESS_LOST),
            Advertise(0),
            Release(),
            Notify("BACKUP"),
        ),
    )


def _fail(rules: InstanceRules, state: InstanceState, reason: str, farewells: int, now_ns: int) -> Step:
    """FSM-23, FSM-38; without a FAULT state: Shutdown, and Startup on return (rfc.md §4.4 S5)."""
    was_master = state.state is State.MASTER
    actions: list[Action] = [
        Log("({}) Entering FAULT STATE", (rules.config.name,)),
        Enter(State.FAULT, reason),
    ]
    actions += [Advertise(0)] * farewells
    if was_master:
        actions.append(Release())
    actions.append(Notify("FAULT"))
    failed = state._replace(state=State.FAULT, wants_master=False, preempt_at_ns=None)
    return Step(failed, NEVER_NS, tuple(actions))


# --- small questions ------------------------------------------------------------------------------


def master_rounds(rules: InstanceRules) -> int:
    """How often each address is announced in one burst (GA-1)."""
    return rules.config.garp.master_repeat if rules.dialect.garp_repeats else 1


def starts_as_master(rules: InstanceRules, state: InstanceState) -> bool:
    """FSM-5, RFC 9568 §6.4.1: an owner that is meant to be Master needs no election."""
    wanted = rules.config.initial_state is InitialState.MASTER
    return (
        state.priority == OWNER_PRIORITY
        and rules.dialect.owner_starts_as_master
        and (wanted or not rules.dialect.owner_needs_wanted_state)
    )


def _beats(priority: int, source: Address, state: InstanceState) -> bool:
    """Unsigned comparison in network order (RFC 9568 §6.4.3)."""
    if priority != state.priority:
        return priority > state.priority
    return state.source is None or int(source) > int(state.source)


def _restore_owner(rules: InstanceRules, state: InstanceState) -> InstanceState:
    """FSM-36 from 2.3.3: the rogue owner is gone, so 255 is ours again."""
    if not state.rogue_until_ns or state.base != OWNER_PRIORITY - 1:
        return state
    return state._replace(base=OWNER_PRIORITY, priority=OWNER_PRIORITY, rogue_until_ns=0)


def _learned_interval_ns(rules: InstanceRules, state: InstanceState, advert: Advertisement) -> int:
    """v3 learns the Master's interval, v2 keeps its own (§2.1)."""
    return advert.interval_ns if rules.config.version == 3 else state.master_adver_interval_ns


def _preempt_clock(
    config: InstanceConfig, state: InstanceState, advert: Advertisement, now_ns: int
) -> tuple[int | None, tuple[Log, ...]]:
    """The preempt clock after an accepted advert. FSM-14: stop; FSM-15: start."""
    running = state.preempt_at_ns is not None
    if advert.priority < state.priority:
        if running:
            return state.preempt_at_ns, ()
        seconds, micros = divmod(config.preempt_delay_ns // 1_000, 1_000_000)
        log = Log("({}) start preempt delay ({}.{:06d})", (config.name, seconds, micros), True)
        return now_ns + config.preempt_delay_ns, (log,)
    return None, (Log("({}) stop preempt delay", (config.name,), True),) if running else ()


def _from_start(state: InstanceState, now_ns: int) -> int:
    """FSM-9: during vrrp_startup_delay a Backup's deadline counts from its end."""
    return max(now_ns, state.delay_until_ns)


def _remaining_ns(rules: InstanceRules, state: InstanceState, deadline_ns: int, now_ns: int) -> int:
    """FSM-11, FSM-16: `ms_down` := remaining time, the quirk behind FSM-24."""
    overwrites = rules.dialect.remaining_time_overwrites_down_time
    return max(deadline_ns - now_ns, 0) if overwrites else state.down_ns


def _watch_rogue(
    rules: InstanceRules, state: InstanceState, now_ns: int
) -> tuple[InstanceState, tuple[Log, ...]]:
    """FSM-36 from 2.3.3: two own adverts after a rogue owner's, then 1.2 intervals of silence."""
    if state.rogue_adverts > 1:
        return state._replace(rogue_adverts=state.rogue_adverts - 1), ()
    if state.rogue_adverts:
        interval_ns = max(rules.advert_int_ns, state.master_adver_interval_ns)
        return state._replace(rogue_adverts=0, rogue_until_ns=now_ns + interval_ns * 6 // 5), ()
    if not state.rogue_until_ns or now_ns < state.rogue_until_ns:
        return state, ()
    log = Log("({}): rogue address owner appears to have stopped advertising", (rules.config.name,))
    return state._replace(rogue_until_ns=0), (log,)


def _conflict_log(rules: InstanceRules) -> Log:
    return Log(
        "({}) CONFIGURATION ERROR: local instance and a remote instance are both configured as "
        "address owner, please fix - reducing local priority",
        (rules.config.name,),
    )


def oversleep_ns(config: InstanceConfig, rounding: SkewRounding) -> int:
    """K11: timers overdue for longer than this make a Master doubt itself; `NEVER_NS` where none does."""
    if config.timer_expired_backup is None or config.preempt:
        return NEVER_NS
    priority = config.timer_expired_backup or OWNER_PRIORITY - 1
    interval_ns = config.advert_int_ns
    return 2 * interval_ns + _skew_ns(config.version, priority, interval_ns, rounding)


def _descheduled_too_long(rules: InstanceRules, state: InstanceState, deadline_ns: int, now_ns: int) -> bool:
    """K11: `timer_expired_backup P` with nopreempt: last advert + 3·adv + skew(P), P 254 unless said."""
    patience_ns = oversleep_ns(rules.config, rules.dialect.skew_rounding)
    return patience_ns < NEVER_NS and now_ns >= deadline_ns + patience_ns


def _timeout_log(rules: InstanceRules) -> Log:
    return Log("({}) Receive advertisement timeout", (rules.config.name,), True)


def _priority_log(rules: InstanceRules, state: InstanceState, priority: int) -> Log:
    return Log(
        "({}) Changing effective priority from {} to {}", (rules.config.name, state.priority, priority)
    )
