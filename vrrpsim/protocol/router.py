"""`VrrpRouter`: everything one daemon runs, without I/O and with one deadline (DESIGN §3).

A shell calls the methods with what happened and the current time, and obeys the outputs in order. It
asks `next_deadline_ns()` when it must call `advance()`. Everything meets here and decides elsewhere: the
state machine in fsm.py, receive checks in reception.py, trackers (§3) in scripts.py, monitors.py and
tracking.py, announcements (§4) in announcements.py. What binds a sync group (§1.6) is below.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final, NamedTuple

from . import fsm, tracking
from .adverts import encoded
from .ah import PROTOCOL_AH
from .announcements import Announcer
from .configuration import Address, InstanceConfig, RouterConfig, VirtualAddress
from .dialect import Dialect
from .fsm import NEVER_NS, Log, State
from .instances import (
    Group,
    Instance,
    association,
    carriers,
    companions,
    identity,
    may_start_as_master,
    pick,
    places,
)
from .monitors import Monitors
from .outputs import (
    AddAddresses,
    AdvertDropped,
    Output,
    PriorityChanged,
    RemoveAddresses,
    RunNotify,
    SendAdvert,
    SendGratuitous,
    StateChanged,
)
from .packet import Datagram, DecodeError
from .reasons import Reason
from .reception import Reception, bound_to, check_advert
from .scripts import Script, Scripts
from .timer_queue import Timer, TimerQueue

NOTHING: Final[tuple[Output, ...]] = ()


class Host(NamedTuple):
    """What the daemon finds on its machine when it starts.

    `sources`: primary address by (interface, family); `addresses`: every configured address;
    `files`: contents of tracked files by name; `processes`: matching processes by tracker name.
    """

    sources: Mapping[tuple[str, int], Address]
    addresses: frozenset[Address]
    interfaces_down: frozenset[str] = frozenset()
    files: Mapping[str, int] = {}
    processes: Mapping[str, int] = {}


class VrrpRouter:
    """The whole daemon without I/O."""

    def __init__(self, config: RouterConfig, dialect: Dialect) -> None:
        self.config = config
        self.dialect = dialect
        self._timers = TimerQueue()
        self._out: list[Output] = []
        self._announcer = Announcer(self._timers, dialect, config.garp_groups, self._emit)
        self._host = Host({}, frozenset())
        self.instances: dict[str, Instance] = {}
        self.groups: list[Group] = []
        self._scripts = Scripts(self._timers, dialect.runs_overlapping_scripts, self._emit, self._review)
        self._monitors = Monitors(self._timers, self._emit, self._review)
        self._dispatch: dict[tuple[str | Address, int, int], list[Instance]] = {}
        self._memos: dict[bytes, Instance] = {}  # by the advert last accepted
        self._delay_until_ns = 0
        self._vmac_sources: dict[str, Address | None] = {}  # of instances that read theirs once
        self._deleted: set[str] = set()  # interfaces that were, since the configuration was read
        self.unheard = 0  # datagrams that no socket of an instance would have got
        self._patience_ns = NEVER_NS  # K11: overdue for longer, timers make Masters doubt themselves
        self.running = False

    # --- what a shell asks

    def next_deadline_ns(self) -> int:
        """Wake me no later than this; `NEVER_NS` if nothing is pending."""
        return self._timers.wake_ns()

    def elects_by(self, due_ns: int) -> bool:
        """Whether a Backup gives up waiting no later than this: the moment in which rivals race."""
        for instance in self.instances.values():  # a loop: this is asked at every wake-up
            if instance.timer.at_ns <= due_ns and instance.state.state is State.BACKUP:
                return True
        return False

    def exact_deadline_ns(self, besides: Container[Timer] = ()) -> int:
        """The same without being early, for all timers or `besides` some."""
        return self._timers.earliest_ns(besides) if besides else self._timers.exact_wake_ns()

    @property
    def scripts(self) -> dict[str, Script]:
        """The scripts by name, with their verdicts."""
        return self._scripts.by_name

    def state_of(self, instance: str) -> State:
        """The state of one instance; INIT before the start and after the stop."""
        return self.instances[instance].state.state if instance in self.instances else State.INIT

    # --- life cycle (§1.1, §1.7)

    def start(self, host: Host, now_ns: int) -> list[Output]:
        """The dispatcher starts: leftovers go, scripts run, every instance takes its first state."""
        self._host = self._without_leftovers(host)
        self.running = True
        if self.config.startup_delay_ns:
            self._delay_until_ns = now_ns + self.config.startup_delay_ns
            if self.dialect.startup_delay_discards:  # K4
                over = self._timers.timer(lambda at_ns: self._log("Delayed start completed"))
                self._timers.arm(over, self._delay_until_ns)
        self._monitors.start(self.config, host.interfaces_down, host.processes, host.files)
        for script in self.config.scripts:
            self._scripts.add(script, now_ns)
        self._read_vmac_sources()
        for config in self.config.instances:
            self._add_instance(config)
        self._bind()
        for instance in self.instances.values():  # FSM-4
            self._emit_addresses(RemoveAddresses, instance)
        for instance in self.instances.values():
            self._start_instance(instance, now_ns)
        for group in self.groups:
            group.look()
            if group.state in (State.BACKUP, State.FAULT):
                self._group_notify(group, group.state)
        return self._take()

    def stop(self, now_ns: int) -> list[Output]:
        """SIGTERM: scripts are killed, each Master resigns, addresses go, STOP is notified (§1.7)."""
        self._scripts.kill()
        for instance in self.instances.values():
            self._step(instance, fsm.Shutdown(), now_ns)
        for instance in self.instances.values():
            self._out.append(RunNotify("INSTANCE", instance.config.name, "STOP", instance.state.priority))
        for group in self.groups:
            self._out.append(RunNotify("GROUP", group.config.name, "STOP", 0))
        self._timers = TimerQueue()
        self.running = False
        return self._take()

    def reload(self, config: RouterConfig, now_ns: int) -> list[Output]:
        """SIGHUP: matching instances keep state and addresses, the rest is deleted and added (§1.7)."""
        old_instances, self.config = self.instances, config
        if not self.running:
            return []
        for instance in old_instances.values():
            if instance.state.state is State.MASTER:
                for _ in range(self.dialect.reload_adverts):
                    self._advertise(instance, instance.state.priority)
        self._delay_until_ns = 0
        self._deleted.clear()
        self._announcer.reload(config.garp_groups)
        self._scripts.reload(config.scripts, now_ns)
        self._monitors.reload(config)
        self._read_vmac_sources()
        self.instances = {}
        kept = {identity(old.config): old for old in old_instances.values()}
        resumed: list[tuple[Instance, InstanceConfig]] = []
        fresh: list[Instance] = []
        for instance_config in config.instances:
            old = kept.pop(identity(instance_config), None)
            if old is None:
                fresh.append(self._add_instance(instance_config))
            else:
                resumed.append((old, old.config))
                self._add_instance(instance_config, old)
        for old in kept.values():  # deleted: priority 0, addresses removed, then the notification
            self._step(old, fsm.Shutdown(), now_ns)
            last_word = "DELETED" if old.config.notify.deleted else "FAULT"
            self._out.append(RunNotify("INSTANCE", old.config.name, last_word, old.state.priority))
        self._bind()
        for instance, old_config in resumed:
            self._resume(instance, old_config, now_ns)
        for instance in fresh:
            self._start_instance(instance, now_ns)
        for group in self.groups:
            group.look()
            faulty = [member for member in group.members if member.state.state is State.FAULT]
            if 0 < len(faulty) < len(group.members):  # a new member or a new group, SG-5
                self._sync(group, faulty[0], fsm.Failed(Reason.SYNC_GROUP), now_ns)
        self._review(now_ns, "reload")
        return self._take()

    # --- what happens to it

    def advance(self, now_ns: int, due_ns: int | None = None) -> list[Output]:
        """Time passed: serve what was due by now, earliest first.

        A shell that models lateness says until when: what was due after `due_ns` has its turn later.
        """
        if self._patience_ns < NEVER_NS:
            self._look_at_clock(now_ns)
        self._timers.serve(now_ns if due_ns is None else due_ns, now_ns)
        outputs, self._out = self._out, []
        return outputs

    def receive(
        self,
        interface: str,
        datagram: Datagram,
        now_ns: int,
    ) -> list[Output] | tuple[Output, ...]:
        """A datagram arrived on the interface.

        `NOTHING` itself also says that no deadline is earlier than before.
        """
        instance = self._recognised(interface, datagram)
        if instance is not None:  # the same advert in the same state has the same answer, only later
            instance.hear_again(now_ns, 1)
            if instance.timer.at_ns < instance.timer.queued_ns:
                self._timers.arm(instance.timer, instance.timer.at_ns)
                return []
            return NOTHING
        if self._patience_ns < NEVER_NS:
            self._look_at_clock(now_ns)
        if now_ns < self._delay_until_ns and self.dialect.startup_delay_discards:  # K4
            return NOTHING
        source, payload, packet = datagram.source, datagram.payload, datagram.packet
        if len(payload) < 8:  # §5.2 #1
            behind = " with AH" if packet else ""
            self._log(
                "IPv{} VRRP packet{} too short - {} bytes", source.version, behind, len(packet or payload)
            )
            return self._take()
        candidates = self._listeners(interface, datagram.destination, payload[1], bool(packet))
        if not candidates:  # §5.2 #2
            self.unheard += 1
            if self.config.log_unknown_vrids:
                self._log("Unknown VRID({}) received on interface({}). ignoring...", payload[1], interface)
            return self._take()
        instance = candidates[0] if len(candidates) == 1 else pick(candidates, source)
        if instance is None:
            self.unheard += 1
        if instance is None or instance.state.state in (State.INIT, State.FAULT):  # §5.2 #4, FSM-26
            return self._take() if self._out else NOTHING
        self._hear(instance, interface, datagram, now_ns)
        return self._take()

    def _recognised(self, interface: str, datagram: Datagram) -> Instance | None:
        """The instance that accepted the same advert last, in the same state."""
        instance = self._memos.get(datagram.payload)
        if (
            instance is not None
            and instance.state is instance.memo_state
            and interface == instance.memo_interface
            and instance.memo is not None
            and (datagram is instance.memo or datagram.is_like(instance.memo))
        ):
            return instance
        return None

    def script_finished(self, run: int, code: int | None, signal: int | None, now_ns: int) -> list[Output]:
        """A run ended with an exit code, or by a signal. An unknown run is one from before a reload."""
        self._scripts.finished(run, code, signal, now_ns)
        return self._take()

    def interface_changed(self, interface: str, up: bool, now_ns: int) -> list[Output]:
        """IFF_UP and IFF_RUNNING together changed (§1.5), debounced by interface_up_down_delays."""
        self._monitors.interface_changed(interface, up, now_ns)
        return self._take()

    def interface_deleted(self, interface: str) -> None:
        """The interface that went down is gone. Of 2.2.7 unicast is then deaf and without a timer.

        Asked of 2.2.7: made again, it is in BACKUP for ever, until a reload; multicast is as before.
        """
        if self.dialect.unicast_ends_with_interface:
            self._deleted.add(interface)
            self._open_sockets()

    def source_changed(
        self, interface: str, family: int, address: Address | None, now_ns: int
    ) -> list[Output]:
        """The primary address of the interface is another one, or none (§1.5, FSM-25)."""
        sources = {**self._host.sources}
        if address is None:
            sources.pop((interface, family), None)
        else:
            sources[interface, family] = address
        self._host = self._host._replace(sources=sources)
        affected = [
            instance
            for instance in self.instances.values()
            if instance.config.interface == interface and instance.config.family == family
        ]
        if address is None and (family == 4 or self.dialect.resigns_without_source):  # K17
            self._review(now_ns, f"address of {interface}")
        for instance in affected:
            instance.adverts.clear()
            self._step(instance, fsm.SourceChanged(self._source_of(instance.config)), now_ns)
        self._open_sockets()
        self._review(now_ns, f"address of {interface}")
        return self._take()

    def address_removed(self, interface: str, address: Address, now_ns: int) -> list[Output]:
        """Somebody else took an address off an interface (FSM-39)."""
        for instance in self.instances.values():
            if instance.state.state is State.MASTER and any(
                entry.address == address and not entry.no_track and interface in carriers(instance, entry)
                for entry in (*instance.config.addresses, *instance.config.excluded)
            ):
                self._log_detail("Netlink reflector reports IP {} removed from {}", address, interface)
                self._step(instance, fsm.AddressLost(), now_ns)
        return self._take()

    def file_changed(self, name: str, value: int, now_ns: int) -> list[Output]:
        """A tracked file has another value; deleted, empty or not a number is 0 (§3.3)."""
        self._monitors.file_changed(name, value, now_ns)
        return self._take()

    def process_count(self, name: str, count: int, now_ns: int) -> list[Output]:
        """The number of processes that match a vrrp_track_process changed (§3.3)."""
        self._monitors.process_count(name, count, now_ns)
        return self._take()

    def bfd_changed(self, name: str, up: bool, now_ns: int) -> list[Output]:
        """A BFD session came up or went down (§3.3)."""
        self._monitors.bfd_changed(name, up, now_ns)
        return self._take()

    def set_priority(self, instance: str, priority: int, now_ns: int) -> list[Output]:
        """The operator changes the configured priority at run time, as a reload with it would."""
        changed = self.instances[instance]
        changed.state = changed.state._replace(base=priority)
        self._review(now_ns, "operator")
        return self._take()

    # --- what a shell asks that skips what only repeats itself

    def rhythm(self) -> list[tuple[Instance, tuple[SendAdvert, ...]]] | None:
        """The Masters with the adverts that they repeat; None if one of them does more than that."""
        masters = [each for each in self.instances.values() if each.state.state is State.MASTER]
        if any(each.rhythm_state is not each.state for each in masters):
            return None
        return [(each, each.adverts.get(each.state.priority, ())) for each in masters]

    def postponed(
        self,
        interface: str,
        datagram: Datagram,
        now_ns: int,
    ) -> Instance | bool:
        """What `receive` would do with an advert that comes again and again, without doing it.

        Whose deadline it moves, if that is all; True: it does more; False: nothing at all.
        """
        instance = self._recognised(interface, datagram)
        if instance is not None:
            return instance
        payload = datagram.payload
        if now_ns < self._delay_until_ns or len(payload) < 8:
            return True
        candidates = self._listeners(interface, datagram.destination, payload[1], bool(datagram.packet))
        return any(each.state.state not in (State.INIT, State.FAULT) for each in candidates)

    def rest(self, script: str, run: int, success: bool, now_ns: int) -> int | None:
        """A shell that foresees the results of a script need not run it while they change nothing.

        The run has just been asked for and will end like all that follow. Returns when the next one would
        be due, or None: this result is news. `go_on` ends the rest.
        """
        return self._scripts.rest(script, run, success, now_ns)

    def go_on(self, script: str, due_ns: int, began_ns: int | None = None) -> int:
        """A script that rested runs again from `due_ns` on, as if it had never rested.

        `began_ns`: a run that began then is under way; its number is returned.
        """
        return self._scripts.go_on(script, due_ns, began_ns)

    # --- building

    def _add_instance(self, config: InstanceConfig, old: Instance | None = None) -> Instance:
        rules = fsm.InstanceRules(config, self.dialect)
        source = self._source_of(config)
        if old is None:
            instance = Instance(rules, source, tracking.standing(config, config.priority, self._known()))
            instance.timer = self._timers.timer(self._expiry(instance))
        else:
            instance = old
            instance.rules = rules
            instance.association = association(
                rules, instance.association.sequence if instance.association is not None else 0
            )
            instance.adverts.clear()
            instance.forget()
        self.instances[config.name] = instance
        return instance

    def _bind(self) -> None:
        """Sync groups and the dispatch table by (interface, family, VRID)."""
        self.groups = []
        for instance in self.instances.values():
            instance.group = None
        for group_config in self.config.groups:
            members = [self.instances[name] for name in group_config.members if name in self.instances]
            group = Group(group_config, members)
            for member in members:
                member.group = group
            self.groups.append(group)
        self._memos.clear()
        self._patience_ns = min(
            (fsm.oversleep_ns(each.config, self.dialect.skew_rounding) for each in self.instances.values()),
            default=NEVER_NS,
        )
        self._open_sockets()

    def _open_sockets(self) -> None:
        """Who hears what: a unicast socket is bound to its source, any other to its interface (§5.3).

        Protocol 51 has sockets of its own.
        """
        self._dispatch = {}
        for instance in self.instances.values():
            config = instance.config
            bound = bound_to(config, self._source_of(config))
            if bound is not None and not self._is_cut_off(config):
                kind = config.family if instance.association is None else PROTOCOL_AH
                self._dispatch.setdefault((bound, kind, config.vrid), []).append(instance)

    def _is_cut_off(self, config: InstanceConfig) -> bool:
        return config.unicast and config.interface in self._deleted

    def _listeners(
        self, interface: str, destination: Address, vrid: int, sealed: bool = False
    ) -> list[Instance]:
        """Whose sockets get a datagram that arrived on the interface."""
        kind = PROTOCOL_AH if sealed else destination.version
        by_interface = self._dispatch.get((interface, kind, vrid), [])
        by_address = self._dispatch.get((destination, kind, vrid), [])
        return [*by_interface, *by_address] if by_interface and by_address else by_interface or by_address

    def _start_instance(self, instance: Instance, now_ns: int) -> None:
        """FSM-2 … FSM-9, SG-1: a held member holds its whole group."""
        standing = instance.standing = self._standing(instance)
        priority = tracking.effective_priority(instance.state.base, standing.total)
        if priority != instance.state.priority:  # FSM-2: trackers that already know their state
            self._out.append(
                PriorityChanged(instance.config.name, instance.state.priority, priority, "start")
            )
            instance.state = instance.state._replace(priority=priority)
        others = [(each, self._standing(each)) for each in companions(instance) if each is not instance]
        held = [instance] if standing.faults else [each for each, its in others if its.faults]
        delay_ns = self._delay_until_ns
        if held:
            reason = standing.faults[0] if standing.faults else f"sync group member {held[0].config.name}"
            self._step(instance, fsm.StartInFault(False, reason, delay_ns), now_ns)
        elif standing.waiting or any(its.waiting for _, its in others):
            instance.waits = True
            self._step(instance, fsm.StartInFault(True, "awaiting first script result", delay_ns), now_ns)
        else:
            self._step(instance, fsm.Startup(delay_ns, not may_start_as_master(instance)), now_ns)

    def _standing(self, instance: Instance) -> tracking.Standing:
        standing = tracking.standing(instance.config, instance.state.base, self._known())
        if self._source_of(instance.config) is None:
            standing = standing._replace(faults=(*standing.faults, "no usable source address"))
        return standing

    def _read_vmac_sources(self) -> None:
        """What IPv6 macvlans get as their link-local address, or miss until the next reload."""
        self._vmac_sources = {
            config.name: self._host.sources.get((config.interface, 6))
            for config in self.config.instances
            if config.use_vmac and config.family == 6 and self.dialect.vmac_source_is_read_once
        }

    def _source_of(self, config: InstanceConfig) -> Address | None:
        """The address that adverts carry: configured, or the interface's primary one (§5.1)."""
        if config.name in self._vmac_sources and config.source is None:
            return self._vmac_sources[config.name]
        primary = self._host.sources.get((config.interface, config.family))
        if config.source is None:
            return primary
        missing = config.unicast and config.source not in self._host.addresses
        return None if missing and self.dialect.missing_source_is_fault else config.source  # K15

    def _without_leftovers(self, host: Host) -> Host:
        """FSM-4: what is virtual here is nobody's own address, however the kernel came by it."""
        virtual = {entry.address for each in self.config.instances for _, entry in places(each)}
        return host._replace(
            addresses=host.addresses - virtual,
            sources={key: source for key, source in host.sources.items() if source not in virtual},
        )

    def _known(self) -> tracking.Known:
        return tracking.Known(
            interfaces_down=self._monitors.interfaces_down(),
            scripts=self._scripts.verdicts(),
            files=self._monitors.files,
            processes=self._monitors.processes_ok(),
            bfds_up=self._monitors.bfds_up,
            excused=self._scripts.excused(),
        )

    # --- instances

    def _expiry(self, instance: Instance) -> Callable[[int], None]:
        def expired(now_ns: int) -> None:
            if self._deleted and self._is_cut_off(instance.config):
                return
            before = instance.state
            if before is instance.rhythm_state:  # nothing changed since the last advert: FSM-28 again
                self._advertise(instance, before.priority)
                self._timers.arm(instance.timer, now_ns + instance.rules.config.advert_int_ns)
                return
            group = instance.group
            if group is not None and instance.state.state is State.BACKUP and group.state is not State.MASTER:
                others = group.others(instance)
                if any(not other.state.wants_master for other in others):  # SG-2, SG-3
                    self._step(instance, fsm.HeldBack(), now_ns)
                    return
            self._step(instance, fsm.Expired(), now_ns)
            if instance.state is before and before.state is State.MASTER and instance.has_plain_rhythm:
                instance.rhythm_state = before

        return expired

    def _look_at_clock(self, now_ns: int) -> None:
        """K11: before packets and timers are served, the Masters of a daemon that overslept step down."""
        if now_ns - self._timers.exact_wake_ns() > self._patience_ns:
            for instance in self.instances.values():
                if instance.state.state is State.MASTER:
                    self._step(instance, fsm.Overslept(), now_ns)

    def _hear(
        self,
        instance: Instance,
        interface: str,
        datagram: Datagram,
        now_ns: int,
    ) -> None:
        """§5.2 from row 6 on, then the state machine."""
        source, payload = datagram.source, datagram.payload
        state = instance.state
        verdict = check_advert(
            Reception(
                datagram,
                instance.config,
                self.dialect,
                own_source=state.source,
                from_remembered_master=source == state.master_address,
                is_master=state.state is State.MASTER,
                old_unicast=instance.old_unicast,
                association=instance.association,
            )
        )
        if isinstance(verdict, DecodeError):
            self._complain(instance, verdict, not self.dialect.reject_log_every_packet)
            self._out.append(AdvertDropped(instance.config.name, source, verdict.reason))
            if verdict.reason.reaches_instance:
                self._step(instance, fsm.Rejected(), now_ns)
            return
        for note in verdict.notes:  # accepted, but worth a line (K1 from 2.3.3)
            self._complain(instance, note, True)
        if verdict.old_unicast is not instance.old_unicast:
            self._log("({}) Setting unicast VRRPv3 checksum to old version", instance.config.name)
            instance.old_unicast = verdict.old_unicast
            instance.adverts.clear()
        instance.received += 1
        priority = verdict.advert.priority
        if priority == 0:
            instance.counters["pri_zero_rcvd"] += 1
        deadline_ns = instance.timer.at_ns
        self._step(instance, fsm.Heard(verdict.advert, source), now_ns)
        after = instance.state
        if (
            instance.timer.at_ns != deadline_ns  # else discarded
            and instance.timer.at_ns == now_ns + after.down_ns
            and after.state is State.BACKUP
            and priority == after.master_priority != 0
            and source == after.master_address
        ):
            instance.last_advert_ns = now_ns
            # A note is counted each time; with a preempt clock running, time is part of the answer.
            same = after is state and not verdict.notes and not datagram.packet
            if same and not instance.config.preempt_delay_ns:
                if instance.memo is not None:
                    self._memos.pop(instance.memo.payload, None)
                self._memos[payload] = instance
                instance.remember(interface, datagram)

    def _complain(self, instance: Instance, problem: DecodeError, once: bool) -> None:
        """Count and log; K2: `once` until the state or the Master is another one."""
        reason, state = problem.reason, instance.state
        instance.counters[reason.counter or reason.value] += 1
        situation = (state.state, state.master_address)
        if problem.detail and (not once or instance.told.get(reason) != situation):
            instance.told[reason] = situation
            self._log("({}) {}", instance.config.name, problem.detail)

    def _step(self, instance: Instance, event: fsm.Event, now_ns: int) -> None:
        """One transition, its actions, then what they mean for the sync group."""
        before = instance.state
        step = fsm.transition(instance.rules, before, instance.timer.at_ns, event, now_ns)
        if step.state != before:
            instance.state = step.state
        self._timers.arm(instance.timer, step.deadline_ns)
        for action in step.actions:
            self._perform(instance, before, action, now_ns)
        if before.priority != instance.state.priority and not isinstance(event, fsm.PriorityMoved):
            self._out.append(
                PriorityChanged(
                    instance.config.name, before.priority, instance.state.priority, "owner conflict"
                )
            )
        group = instance.group
        if group is not None and before.state is not instance.state.state and not group.moving:
            self._sync(group, instance, event, now_ns)

    def _perform(
        self, instance: Instance, before: fsm.InstanceState, action: fsm.Action, now_ns: int
    ) -> None:
        config = instance.config
        match action:
            case fsm.Advertise(priority=priority, periodic=periodic):
                self._advertise(instance, priority)
                if periodic:
                    self._announcer.advertised(instance, now_ns)
            case fsm.Enter(state=state, reason=reason):
                if state is State.MASTER:
                    instance.counters["become_master"] += 1
                elif before.state is State.MASTER:
                    instance.counters["release_master"] += 1
                self._out.append(
                    StateChanged(config.name, before.state, state, reason, instance.last_advert_ns)
                )
            case fsm.Acquire():
                instance.owns_addresses = True
                instance.refreshed_ns = instance.reminded_ns = now_ns
                self._emit_addresses(AddAddresses, instance)
                self._announcer.start_refresh(instance, now_ns)
            case fsm.Release():
                instance.owns_addresses = False
                self._announcer.leave(instance)
                self._emit_addresses(RemoveAddresses, instance)
            case fsm.Announce(rounds=rounds, delay_ns=delay_ns):
                self._announcer.announce_in(instance, rounds, delay_ns, now_ns)
            case fsm.AnnounceGroup():
                self._announcer.announce_others(instance, now_ns)
            case fsm.AnnounceSource():
                if instance.state.source is not None:
                    self._out.append(
                        SendGratuitous(config.name, config.interface, instance.state.source, None)
                    )
            case fsm.Notify(state=state):
                self._out.append(RunNotify("INSTANCE", config.name, state, instance.state.priority))
            case fsm.Resynchronize():
                if instance.association is not None:
                    self._log("({}) IPSEC-AH : Syncing seq_num - Increment seq", config.name)
                    instance.association.skip()
            case Log():
                self._out.append(action)

    def _advertise(self, instance: Instance, priority: int) -> None:
        """One advert to the group, or to each peer in list order (§5.1, §5.3); encoded once per priority."""
        instance.sent += 1
        if priority == 0:
            instance.counters["pri_zero_sent"] += 1
        adverts = instance.adverts.get(priority)
        if adverts is None:
            adverts = instance.adverts[priority] = encoded(instance, priority)
        if (secured := instance.association) is not None:
            secured.count()
            adverts = tuple(
                each._replace(packet=secured.seal(each.payload, each.source, each.destination, each.ttl))
                for each in adverts
            )
        self._out.extend(adverts)

    def _emit_addresses(
        self,
        kind: type[AddAddresses] | type[RemoveAddresses],
        instance: Instance,
        only: Iterable[tuple[str, VirtualAddress]] | None = None,
    ) -> None:
        """One output per interface that carries addresses of the instance: all of them, or `only` some."""
        name = instance.config.name
        by_interface: dict[str, list[VirtualAddress]] = {}
        for interface, entry in places(instance.config) if only is None else only:
            by_interface.setdefault(interface, []).append(entry)
        for interface, entries in by_interface.items():
            if kind is AddAddresses:
                mac, accept = instance.virtual_mac, instance.config.accept
                self._out.append(AddAddresses(name, interface, tuple(entries), mac, accept))
            else:
                self._out.append(RemoveAddresses(name, interface, tuple(entries)))

    def _resume(self, instance: Instance, old_config: InstanceConfig, now_ns: int) -> None:
        """A matching instance after a reload: priority now, adverts or a full interval next (§1.7)."""
        config = instance.config
        instance.state = instance.state._replace(base=config.priority, source=self._source_of(config))
        if config.version == 2:  # version 3 keeps what it has learned
            instance.state = instance.state._replace(master_adver_interval_ns=config.advert_int_ns)
        instance.standing = self._standing(instance)
        old_priority = instance.state.priority
        priority = tracking.effective_priority(config.priority, instance.standing.total)
        if priority != old_priority:
            self._out.append(PriorityChanged(config.name, old_priority, priority, "reload"))
            instance.state = instance.state._replace(priority=priority)
        if instance.owns_addresses:
            self._change_addresses(instance, old_config, now_ns)
            if config.garp.master_refresh_ns != old_config.garp.master_refresh_ns:
                self._announcer.start_refresh(instance, now_ns)
        self._step(instance, fsm.Reloaded(), now_ns)

    def _change_addresses(self, instance: Instance, old_config: InstanceConfig, now_ns: int) -> None:
        """GA-5: what is gone is deleted; what is new is added and everything announced once."""
        old = {(place, entry.address): (place, entry) for place, entry in places(old_config)}
        new = {(place, entry.address): (place, entry) for place, entry in places(instance.config)}
        self._emit_addresses(RemoveAddresses, instance, [old[key] for key in old if key not in new])
        added = [new[key] for key in new if key not in old]
        self._emit_addresses(AddAddresses, instance, added)
        if added:
            self._announcer.announce(instance, fsm.master_rounds(instance.rules), now_ns)

    # --- sync groups (§1.6)

    def _sync(self, group: Group, instance: Instance, event: fsm.Event, now_ns: int) -> None:
        """Take the other members along when one of them moved by itself; group notify last (SG-8)."""
        state = instance.state.state
        follow, followers = group.following(instance, event)
        starting = isinstance(event, (fsm.Startup, fsm.StartInFault, fsm.Shutdown))
        if starting or (state is group.state and not followers):
            return
        self._log("VRRP_Group({}) Syncing instances to {} state", group.config.name, state.name)
        group.moving = True
        for other in followers:
            self._step(other, follow, now_ns)
        group.moving = False
        group.state = state
        self._group_notify(group, state)

    def _recover(self, instance: Instance, now_ns: int) -> None:
        """FSM-43; SG-5: a group leaves FAULT as one."""
        group, as_backup = instance.group, not may_start_as_master(instance)
        if group is not None:
            group.moving = True
        for member in companions(instance):
            self._step(member, fsm.Recovered(member.waits, as_backup), now_ns)
            member.waits = False
        if group is not None:
            group.moving = False
            group.look()
            self._group_notify(group, group.state)

    def _group_notify(self, group: Group, state: State) -> None:
        self._out.append(RunNotify("GROUP", group.config.name, state.name, 0))

    # --- trackers (§3)

    def _review(self, now_ns: int, reason: str) -> None:
        """Something known changed: priorities first, then new faults, then recoveries."""
        for instance in self.instances.values():
            standing = instance.standing = self._standing(instance)
            priority = tracking.effective_priority(instance.state.base, standing.total)
            if priority != instance.state.priority:
                old = instance.state.priority
                self._step(instance, fsm.PriorityMoved(priority, reason), now_ns)
                self._out.append(PriorityChanged(instance.config.name, old, priority, reason))
                if self.config.notify_priority_changes or instance.config.notify.priority_changes:
                    self._notify_priority(instance)
        for instance in self.instances.values():
            if not instance.standing.faults:
                continue
            if instance.state.state is not State.FAULT:
                self._step(instance, fsm.Failed(instance.standing.faults[0]), now_ns)
            elif instance.waits:
                self._end_wait_in_fault(instance, now_ns)
        for instance in self.instances.values():
            if instance.state.state is State.FAULT and not any(m.held for m in companions(instance)):
                self._recover(instance, now_ns)

    def _end_wait_in_fault(self, instance: Instance, now_ns: int) -> None:
        """FSM-7: a fault while first results are awaited makes the silent FAULT a real one."""
        self._step(instance, fsm.StartInFault(False, instance.standing.faults[0]), now_ns)
        for member in companions(instance):
            member.waits = False
        if instance.group is not None:
            instance.group.state = State.FAULT
            self._group_notify(instance.group, State.FAULT)

    def _notify_priority(self, instance: Instance) -> None:
        state = instance.state.state
        if state in (State.MASTER, State.BACKUP):
            self._out.append(
                RunNotify("INSTANCE", instance.config.name, f"{state.name}_PRIORITY", instance.state.priority)
            )

    # --- outputs

    def _emit(self, output: Output) -> None:
        self._out.append(output)

    def _log(self, template: str, *arguments: object) -> None:
        self._out.append(Log(template, arguments))

    def _log_detail(self, template: str, *arguments: object) -> None:
        self._out.append(Log(template, arguments, True))

    def _take(self) -> list[Output]:
        outputs, self._out = self._out, []
        return outputs
