"""Instances and sync groups at run time: what the router keeps beside their value states.

Every decision about an instance is in fsm.py; what a group decides is carried out in router.py. Here is
what is remembered between two inputs, and small questions about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from . import fsm, tracking
from .ah import SecurityAssociation
from .configuration import Address, AuthType, ChecksumMode, GroupConfig, InstanceConfig, VirtualAddress
from .frames import virtual_mac
from .fsm import State
from .outputs import SendAdvert
from .packet import Datagram, Reject, effective_authentication
from .reasons import Reason
from .timer_queue import Timer


class Instance:
    """One vrrp_instance at run time: its value state, its deadline and what it heard last."""

    __slots__ = (
        "adverts",
        "association",
        "counters",
        "group",
        "last_advert_ns",
        "memo",
        "memo_delay_ns",
        "memo_interface",
        "memo_state",
        "old_unicast",
        "owns_addresses",
        "received",
        "refresh_timer",
        "refreshed_ns",
        "reminded_ns",
        "rhythm_state",
        "rules",
        "sent",
        "standing",
        "state",
        "timer",
        "told",
        "virtual_mac",
        "waits",
    )

    def __init__(self, rules: fsm.InstanceRules, source: Address | None, standing: tracking.Standing) -> None:
        config = rules.config
        self.rules = rules
        self.state = fsm.initial_state(rules, source)
        self.standing = standing
        self.timer: Timer
        self.group: Group | None = None
        self.owns_addresses = False
        self.waits = False  # silently in FAULT until first script results (FSM-7)
        self.told: dict[Reject, tuple[State, Address | None]] = {}  # K2: complaints already logged
        self.last_advert_ns: int | None = None
        self.counters: Counter[str] = Counter()
        self.sent = self.received = 0
        self.old_unicast = config.checksum is ChecksumMode.OLD_UNICAST
        self.adverts: dict[int, tuple[SendAdvert, ...]] = {}  # by priority, as long as nothing else moves
        self.association = association(rules)
        self.refreshed_ns = self.reminded_ns = 0
        self.refresh_timer: Timer | None = None
        self.forget()
        uses_vmac = config.use_vmac or rules.dialect.always_vmac
        self.virtual_mac = virtual_mac(config.family, config.vrid) if uses_vmac else None

    @property
    def config(self) -> InstanceConfig:
        """The configuration this instance runs."""
        return self.rules.config

    @property
    def held(self) -> bool:
        """A fault, or a first script result that is still awaited."""
        return bool(self.standing.faults) or self.standing.waiting

    @property
    def has_plain_rhythm(self) -> bool:
        """Whether a Master's timer does nothing but send the same advert (no GA-3, GA-8 or AH)."""
        garp = self.config.garp
        return not (garp.master_refresh_ns or garp.extra_ns) and self.association is None

    def hear_again(self, at_ns: int, times: int) -> None:
        """The advert of the memo was accepted so many times more, the last time at `at_ns`."""
        self.received += times
        self.last_advert_ns = at_ns
        self.timer.at_ns = at_ns + self.memo_delay_ns

    def advertise_again(self, times: int, due_ns: int) -> None:
        """The adverts of the rhythm were sent so many times more; the next is due at `due_ns`."""
        self.sent += times
        self.timer.at_ns = due_ns

    def forget(self) -> None:
        """Drop the memo of the last accepted advert, and the rhythm."""
        self.rhythm_state: fsm.InstanceState | None = None
        self.memo: Datagram | None = None
        self.memo_interface = ""
        self.memo_state: fsm.InstanceState | None = None
        self.memo_delay_ns = 0

    def remember(self, interface: str, datagram: Datagram) -> None:
        """Make the advert just accepted the memo: in this state it moves the deadline, no more."""
        self.memo, self.memo_interface = datagram, interface
        self.memo_state, self.memo_delay_ns = self.state, self.state.down_ns


def association(rules: fsm.InstanceRules, sequence: int = 0) -> SecurityAssociation | None:
    """What an instance seals and verifies with; None where nothing is to be."""
    authentication = effective_authentication(rules.config, rules.dialect)
    return (
        SecurityAssociation(authentication.key, sequence) if authentication.auth_type is AuthType.AH else None
    )


class Group:
    """One vrrp_sync_group at run time (SG-1 … SG-9)."""

    __slots__ = ("config", "members", "moving", "state")

    def __init__(self, config: GroupConfig, members: list[Instance]) -> None:
        self.config = config
        self.members = members
        self.moving = False  # the members are being taken along
        self.state = State.INIT

    def look(self) -> None:
        """SG-1: the state that the members' states mean; INIT while first script results are awaited."""
        states = {member.state.state for member in self.members}
        if any(member.waits for member in self.members):
            self.state = State.INIT
        elif State.FAULT in states:
            self.state = State.FAULT
        else:
            self.state = State.MASTER if states == {State.MASTER} else State.BACKUP

    def others(self, instance: Instance) -> list[Instance]:
        """The members besides this one, in the order of the configuration."""
        return [member for member in self.members if member is not instance]

    def following(self, instance: Instance, event: fsm.Event) -> tuple[fsm.Event, list[Instance]]:
        """Whom this member takes along into its new state, and by which event."""
        state = instance.state.state
        follow: fsm.Event
        movable: tuple[State, ...]
        match state:
            case State.MASTER:  # SG-2
                follow, movable = fsm.Forced(state), (State.BACKUP,)
            case State.FAULT:  # SG-5
                follow, movable = fsm.Failed(Reason.SYNC_GROUP, True), (State.BACKUP, State.MASTER)
            case _:  # SG-4, FSM-39
                follow = event if isinstance(event, fsm.AddressLost) else fsm.Forced(State.BACKUP)
                movable = (State.MASTER,)
        return follow, [other for other in self.others(instance) if other.state.state in movable]


def places(config: InstanceConfig) -> list[tuple[str, VirtualAddress]]:
    """Every address with the interface that carries it, in the order of the configuration."""
    entries = (*config.addresses, *config.excluded)
    return [(entry.interface or config.owned_interface, entry) for entry in entries]


def carriers(instance: Instance, entry: VirtualAddress) -> tuple[str, ...]:
    """Names under which a kernel may report the entry: a VMAC may be shown as its parent."""
    config = instance.config
    return (entry.interface,) if entry.interface else (config.owned_interface, config.interface)


def may_start_as_master(instance: Instance) -> bool:
    """FSM-5, SG-1: every member of the group is an owner that is meant to be Master."""
    return all(fsm.starts_as_master(member.rules, member.state) for member in companions(instance))


def companions(instance: Instance) -> list[Instance]:
    """The instance and the other members of its sync group."""
    return instance.group.members if instance.group else [instance]


def pick(candidates: Iterable[Instance], source: Address) -> Instance | None:
    """§5.2 #3: duplicate VRIDs in unicast: by the last sender, then by the peer list."""
    candidates = list(candidates)
    for instance in candidates:
        if instance.state.master_address == source:
            return instance
    for instance in candidates:
        if any(peer.address == source for peer in instance.config.unicast_peers):
            return instance
    return None


def identity(config: InstanceConfig) -> tuple[object, ...]:
    """What makes an instance the same one across a reload (§1.7)."""
    return (
        config.vrid,
        config.family,
        config.interface,
        config.unicast,
        config.source,
        config.use_vmac,
        config.multicast_group,
    )
