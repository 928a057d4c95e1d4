"""Which faults a first scenario should have, when, and what the formulas promise of them.

Two faults, one after the other: what the checks watch is killed on the node that should own the addresses,
and the owner loses power. Every limit is the worst case of keepalived's formulas (RFC 9568 §6.1), so a sound
cluster keeps them and one that does not has shown a flaw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vrrpsim.explore.bounds import SLACK_NS, bounds_of
from vrrpsim.keepalived.members import Member, members_of
from vrrpsim.measure.keywords import DaemonRules
from vrrpsim.measure.seconds import fixed_s, short_s
from vrrpsim.protocol.configuration import Track
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import SECOND_NS, Distribution

from .deduce import Cluster
from .machines import mates, twins

STAGGER_NS = (
    SECOND_NS // 2
)  # from the services to the first daemon, and between two; what a start takes varies by a tenth of it
WATCH_NS = 5 * SECOND_NS  # how long the cluster is left with each fault beyond the worst case
AGE_NS = 30 * 86_400 * SECOND_NS  # nobody asks about a cluster that was started this minute
CLEAN_NS = 50_000_000  # two owners in one clean hand-over, at most (measured: 0.2 to 7 ms)


Owners = list[str | None]  # of each virtual router, while the plan is made


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of the scenario and the comment above it."""

    text: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a first scenario, for how long, and what must come out."""

    scenario: Scenario  # without events and expectations
    story: str
    events: tuple[PlanLine, ...]
    expect: tuple[PlanLine, ...]


@dataclass(frozen=True, slots=True)
class Router:
    """One virtual router: its instances by node, the preferred one first."""

    ranked: tuple[Member, ...]

    def of(self, node: str) -> Member | None:
        """Return the instance of a node."""
        return next((member for member in self.ranked if member.node == node), None)

    def is_tied(self, node: str) -> bool:
        """Whether two of the others are equally good: then chance decides, or the address (S4)."""
        first, second = [*(member for member in self.ranked if member.node != node), None, None][:2]
        return first is not None and second is not None and first.priority() == second.priority()

    def heir(self, node: str) -> Member | None:
        """Return the best instance of the other nodes."""
        return next((member for member in self.ranked if member.node != node), None)


def plan(cluster: Cluster, dialect: Dialect, name: str) -> Plan:
    """Return the first scenario of a cluster."""
    return _Planner(cluster, dialect).plan(name)


class _Planner:
    def __init__(self, cluster: Cluster, dialect: Dialect) -> None:
        self.cluster, self.dialect = cluster, dialect
        self.daemons = {
            machine.name: DaemonRules(machine.compiled.config, dialect)
            for machine in cluster.machines
            if machine.compiled.config
        }
        self.routers = _routers(self.daemons)
        firsts = [router.ranked[0].node for router in self.routers]
        self.first = firsts[0] if firsts else cluster.machines[0].name
        self.alone = len(set(firsts)) == 1  # one node should own everything
        self.events: list[PlanLine] = []
        self.owners: list[tuple[str, tuple[str | None, ...]]] = []  # when, and who owns each router
        self.worst: list[tuple[int, str]] = []  # outage in ns, why
        self.moves = 0 if self.alone else 1

    def plan(self, name: str) -> Plan:
        """Put the faults on the time axis, each after the cluster has settled."""
        nodes = dict(self.cluster.nodes)
        for node, starts_ns in self._starts():
            keepalived = nodes[node].keepalived
            assert keepalived is not None
            nodes[node] = replace(
                nodes[node], keepalived=replace(keepalived, starts=Distribution.fixed(starts_ns))
            )
        scenario = Scenario(
            duration_ns=SECOND_NS,
            name=name,
            dialect=self.dialect.name,
            segments=self.cluster.segments,
            nodes=nodes,
            clients=self.cluster.clients,
        )
        settle_ns = bounds_of(scenario).warm_up_ns
        now_ns, owners = settle_ns, [self._elected(router) for router in self.routers]
        self._own(now_ns, owners)
        story = []
        if killed := self._watched():
            now_ns = self._kill(killed, now_ns, settle_ns, owners)
            story.append(f"{killed} dies on {self.first} and is started again")
        victim = owners[0] if owners and owners[0] and len(set(owners)) == 1 else self.first
        end_ns = self._power_off(victim, now_ns, settle_ns, owners)
        story.append(f"{victim} loses power and comes back")
        return Plan(
            replace(scenario, duration_ns=end_ns),
            f"{'; then '.join(story)}.",
            tuple(self.events),
            tuple(self._expect()),
        )

    def _starts(self) -> Iterator[tuple[str, int]]:
        """Yield who starts when: after its services, the preferred node first: one election is enough."""
        step_ns = STAGGER_NS if self.alone else 0
        ranked = [member.node for router in self.routers for member in router.ranked]
        for number, node in enumerate(dict.fromkeys((self.first, *ranked, *self.daemons))):
            yield node, STAGGER_NS + number * step_ns

    # --- the two faults

    def _watched(self) -> str:
        """Return the process on the preferred node whose death some instance there notices; or ""."""
        for router in self.routers:
            for track in _tracks(router.of(self.first)):
                process = self.cluster.process_of.get(track.name)
                if process:
                    return process
        return ""

    def _kill(self, process: str, now_ns: int, settle_ns: int, owners: Owners) -> int:
        config = self.daemons[self.first].config
        touched = [router for router in self.routers if self._notices(router, process)]
        outcomes = [self._death(router, process) for router in touched]
        window_ns = max((s.interval_ns * s.fall for s in config.scripts), default=SECOND_NS)
        high_ns = now_ns + _whole_s(window_ns)
        back_ns = high_ns + _whole_s(max(outcomes)[0]) + WATCH_NS
        at = f"{{uniform: [{duration(now_ns)}, {duration(high_ns)}]}}"
        self._event(f"at: {at}, kill: {self.first}/{process}", "at any phase of the check")
        self._event(f"at: {duration(back_ns)}, start: {self.first}/{process}")
        worst_ns, why = max(outcomes)
        self.worst.append((worst_ns, f"{process} dies: {why}"))
        self._leave(self.first, touched, owners)
        self._own(back_ns - SECOND_NS, owners)
        settled_ns = back_ns + settle_ns
        self._return(self.first, owners)
        self._own(settled_ns, owners)
        return settled_ns

    def _power_off(self, victim: str, now_ns: int, settle_ns: int, owners: Owners) -> int:
        silences = [
            self._silence(router, victim)
            for router in self.routers
            if router.of(victim) and router.heir(victim)
        ]
        worst_ns, why = max(silences, default=(SECOND_NS, "nobody takes over"))
        high_ns = now_ns + _whole_s(max(i.advert_int_ns for i in self.daemons[victim].config.instances))
        lasts_ns = high_ns - now_ns + _whole_s(worst_ns) + WATCH_NS
        at = f"{{uniform: [{duration(now_ns)}, {duration(high_ns)}]}}"
        self._event(
            f"at: {at}, power_off: {victim}, for: {duration(lasts_ns)}", "at any phase of the adverts"
        )
        self.worst.append((worst_ns, f"{victim} loses power: {why}"))
        self._leave(victim, self.routers, owners)
        self._own(now_ns + lasts_ns - SECOND_NS, owners)
        end_ns = high_ns + lasts_ns + settle_ns + self._pushed_ns(victim)
        self._return(victim, owners)
        self._own(None, owners)
        return end_ns

    def _pushed_ns(self, node: str) -> int:
        """How much later vrrp_startup_delay may end: each weaker advert pushes it in 2.2.7 (K4)."""
        config = self.daemons[node].config
        delay_ns = 0 if self.dialect.startup_delay_discards else config.startup_delay_ns
        adverts = delay_ns // min(instance.advert_int_ns for instance in config.instances)
        return _whole_s(delay_ns * (adverts + 3) // 2)

    def _elected(self, router: Router) -> str | None:
        """Return who owns a router's addresses once all nodes run; None: the start is a race."""
        first, second = router.ranked[:2]
        interval_ns = first.config.advert_int_ns
        lead_ns = (first.priority() - second.priority()) * interval_ns // 256
        surely = self.alone or lead_ns > STAGGER_NS // 5 or (lead_ns > 0 and first.config.preempt)
        return first.node if surely else None

    def _leave(self, node: str, routers: Sequence[Router], owners: Owners) -> None:
        """The node can no longer own the addresses of these routers: what it had goes to its heir."""
        self.moves += 1
        for number, router in enumerate(self.routers):
            if router in routers and owners[number] == node:
                heir, tied = router.heir(node), router.is_tied(node)
                owners[number] = heir.node if heir and not tied else None
                self.moves += tied  # both may begin, and one of them gives way

    def _return(self, node: str, owners: Owners) -> None:
        """The node is well again: it takes back what it may."""
        taken = False
        for number, router in enumerate(self.routers):
            back, holder = router.of(node), owners[number]
            kept = router.of(holder) if holder else router.heir(node)
            if back and kept and back.config.preempt and back.priority() > kept.priority():
                taken = True
                owners[number] = node if holder or router.is_tied(node) else None
                self._expect_deafness(back)
        self.moves += taken

    def _expect_deafness(self, back: Member) -> None:
        """Where no advert tells the switch the place of the VMAC, only gratuitous ARP does."""
        delay_ns = back.config.garp.master_delay_ns
        why = f"{back.node} takes back: garp_master_delay {short_s(delay_ns)}, as no advert has the VMAC"
        silent = back.config.use_vmac and not back.config.adverts_from_vmac
        if silent and (delay_ns, why) not in self.worst:
            self.worst.append((delay_ns, why))

    def _event(self, text: str, comment: str = "") -> None:
        self.events.append(PlanLine(f"- {{{text}}}", comment))

    def _own(self, at_ns: int | None, owners: Owners) -> None:
        self.owners.append(("end" if at_ns is None else duration(at_ns), tuple(owners)))

    # --- what the formulas say

    def _notices(self, router: Router, process: str) -> bool:
        """Whether the death of the process moves this router's addresses: by its trackers or its group's."""
        member = router.of(self.first)
        [machine] = [each for each in self.cluster.machines if each.name == self.first]
        return member is not None and any(
            self.cluster.process_of.get(track.name) == process
            for mate in mates(machine, member.config)
            for track in (*mate.track_scripts, *mate.track_processes)
        )

    def _failing(self, member: Member, process: str) -> list[Track]:
        return [track for track in _tracks(member) if self.cluster.process_of.get(track.name) == process]

    def _death(self, router: Router, process: str) -> tuple[int, str]:
        """Return the worst case from the death of the process to the new owner, and its formula."""
        member, heir = router.of(self.first), router.heir(self.first)
        assert member is not None
        failing = self._failing(member, process)
        config = self.daemons[self.first].config
        scripts = {script.name: script for script in config.scripts}
        detections = [
            (
                script.interval_ns * script.fall,
                f"{name} interval {short_s(script.interval_ns)} × fall {script.fall}",
            )
            for track in failing
            if (name := track.name) in scripts and (script := scripts[name])
        ]
        detect_ns, detect = max(detections, default=(0, "noticed at once"))
        delays = [p.terminate_delay_ns for p in config.processes if p.name in {t.name for t in failing}]
        detect_ns += max(delays, default=0)
        if heir is None:
            return detect_ns, f"{detect}, then nobody"
        silence_ns, silence = self._silence(router, self.first)
        if any(track.weight == 0 for track in failing) and not _grouped(self.daemons[self.first], member):
            skew_ns = self.daemons[heir.node].skew_ns(
                heir.config, heir.priority(), member.config.advert_int_ns
            )
            return detect_ns + skew_ns, f"{detect}, then priority 0: skew {fixed_s(skew_ns)} s"
        delay_ns = heir.config.preempt_delay_ns
        waits = f"preempt_delay {short_s(delay_ns)}, " if delay_ns else ""
        return detect_ns + delay_ns + silence_ns, f"{detect}, then {waits}{silence}"

    def _silence(self, router: Router, node: str) -> tuple[int, str]:
        """Return the Master_Down_Interval of who comes next, and its formula."""
        old, heir = router.of(node), router.heir(node)
        assert heir is not None
        daemon, priority = self.daemons[heir.node], heir.priority()
        interval_ns = daemon.learned_ns(heir.config, old.config if old else None)
        down_ns = daemon.down_ns(heir.config, priority, interval_ns)
        skew = fixed_s(daemon.skew_ns(heir.config, priority, interval_ns))
        times = heir.config.down_timer_adverts
        formula = f"advert_int {short_s(interval_ns)} × {times} + skew {skew} s (priority {priority})"
        if router.is_tied(node):  # both begin, and the one that gives way announced the address last
            again_ns = heir.config.garp.master_delay_ns
            return down_ns + again_ns, f"{formula}, and garp_master_delay {short_s(again_ns)} if equals tie"
        return down_ns, formula

    def _expect(self) -> Iterator[PlanLine]:
        if not self.routers:
            why = "No virtual router is on two nodes: nobody takes over, and the verdict is no pass."
            yield PlanLine("failover: {max: 4s}", why)
            return
        yield from self._expect_owners()
        every_ns = max((client.every_ns for client in self.cluster.clients.values()), default=0)
        if self.cluster.clients and self.worst:
            worst_ns, _ = max(self.worst)
            limit_ns = -(-(worst_ns + SLACK_NS + 2 * every_ns) // SLACK_NS) * SLACK_NS
            reasons = [f"- {fixed_s(ns)} s when {why}" for ns, why in self.worst]
            rest = f"and {short_s(SLACK_NS + 2 * every_ns)} s for late timers and two requests."
            yield PlanLine(
                f"outage: {{max: {duration(limit_ns)}}}",
                "\n".join(
                    (
                        "How long clients go without an answer, at worst by keepalived's formulas:",
                        *reasons,
                        rest,
                    )
                ),
            )
        limit = f"{self.moves * CLEAN_NS // 1_000_000}ms"
        yield PlanLine(
            f"dual_master: {{max: {limit}}}",
            f"Two owners at once: a clean hand-over overlaps by milliseconds; {self.moves} × 50 ms.",
        )
        start = "" if self.alone else " and the election at the start"
        yield PlanLine(
            f"moves: {{max: {self.moves}}}", f"Each address moves only for the faults and back{start}."
        )

    def _expect_owners(self) -> Iterator[PlanLine]:
        """Who owns everything, and where that is not one node, who owns the address of each router."""
        lines: dict[str, dict[str, str]] = {}  # key: instant: node
        why: dict[str, str] = {}
        for at, owners in self.owners:
            for router, owner in zip(self.routers, owners, strict=True):
                address = next(iter(router.ranked[0].config.addresses), None)
                key = "owner" if len(set(owners)) == 1 else f"owner.{address.address}" if address else ""
                if owner and key:
                    lines.setdefault(key, {})[at] = owner
                    why.setdefault(key, _why_owner(router))
        said = ""
        for key, instants in lines.items():
            shown = ", ".join(f"{at}: {node}" for at, node in instants.items())
            yield PlanLine(f"{key}: {{{shown}}}", "" if why[key] == said else why[key])
            said = why[key]


def _why_owner(router: Router) -> str:
    shares = ", ".join(f"{member.node} {member.priority()}" for member in router.ranked)
    back = "takes the addresses back when it is well again"
    preferred = router.ranked[0]
    if router.is_tied(preferred.node):
        back += "; which of the equal ones stands in, chance decides"
    rival = router.heir(preferred.node)
    if rival is not None and preferred.priority() == rival.priority():
        back = "started first; at equal priority nobody takes anything back"
    elif not preferred.config.preempt:
        back = "takes nothing back (nopreempt)"
    return f"Priorities with all checks good: {shares}. {preferred.node} {back}."


def _routers(daemons: dict[str, DaemonRules]) -> list[Router]:
    """Join the instances that are one virtual router; those that only one node has cannot move."""
    groups: list[list[Member]] = []
    for node, daemon in daemons.items():
        for member in members_of(node, daemon.config, daemon.dialect):
            group = next(
                (g for g in groups if all(m.node != node for m in g) and _twin(g, member)),
                None,
            )
            if group is None:
                groups.append([member])
            else:
                group.append(member)
    ranked = [tuple(sorted(group, key=Member.priority, reverse=True)) for group in groups if len(group) > 1]
    return [Router(members) for members in ranked]


def _twin(group: Sequence[Member], member: Member) -> bool:
    return any(twins(member.config, [each.config]) for each in group)


def _tracks(member: Member | None) -> tuple[Track, ...]:
    return (*member.config.track_scripts, *member.config.track_processes) if member else ()


def _grouped(daemon: DaemonRules, member: Member) -> bool:
    return any(member.config.name in group.members for group in daemon.config.groups)


def _whole_s(ns: int) -> int:
    return -(-ns // SECOND_NS) * SECOND_NS


def duration(ns: int) -> str:
    """Write a duration as a scenario has it."""
    whole_ms, rest = divmod(ns, 1_000_000)
    return f"{whole_ms}ms" if ns < SECOND_NS and not rest else f"{short_s(ns)}s"
