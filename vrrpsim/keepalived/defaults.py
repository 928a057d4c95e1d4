"""From drafts to the frozen model: defaults and everything keepalived decides after the last line.

In keepalived's order: defaults (FSM-1), strict mode (§5.3), what excludes what (N01, N02, N07), unicast
(N24, N25), the timers (§2.1), then sync groups and their trackers (SG-6, SG-7, SG-9), unused scripts (N11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vrrpsim.findings import Finding, did_you_mean
from vrrpsim.protocol.configuration import (
    GROUP4,
    GROUP6,
    OWNER_PRIORITY,
    SECOND_NS,
    Address,
    Authentication,
    AuthType,
    Garp,
    GarpGroup,
    GroupConfig,
    InitialState,
    InstanceConfig,
    InterfaceDelay,
    NotifyScripts,
    RouterConfig,
    Track,
    VirtualAddress,
)
from vrrpsim.protocol.timers import CENTISECOND_NS

from .parsed import TRACKERS, Parsed, ParsedGroup, ParsedInstance, ParsedRouter, as_written

MAX_ADVERTISED = 255  # addresses in one packet (§5.1)
MAX_V3_INTERVAL_NS = 4095 * CENTISECOND_NS  # 12 bits on the wire

Tracks = dict[str, dict[str, Track]]


@dataclass(slots=True, eq=False, repr=False)
class Completion:
    """Turns a `ParsedRouter` into a `RouterConfig`; `fatal` where keepalived would not start."""

    router: ParsedRouter
    findings: list[Finding]
    fatal: bool = False
    unused_scripts: tuple[str, ...] = ()
    _member_of: dict[str, ParsedGroup] = field(default_factory=dict)
    _members: dict[str, list[str]] = field(default_factory=dict)
    _vmacs: set[str] = field(default_factory=set)  # names given so far

    def complete(self) -> RouterConfig:
        """Return the configuration that runs."""
        router = self.router
        self._resolve_groups()
        instances = tuple(self._instance(draft) for draft in router.instances.values())
        self._check_vrids(instances)
        groups = tuple(
            self._group(router.groups[name], members) for name, members in self._members.items() if members
        )
        instances = tuple(self._with_group_trackers(config, groups) for config in instances)
        scripts = [config.track_scripts for config in instances] + [group.track_scripts for group in groups]
        used = {track.name for tracks in scripts for track in tracks}
        self._report_unused(used)
        everywhere = GarpGroup(
            garp_interval_ns=router.garp_interval_ns, gna_interval_ns=router.gna_interval_ns
        )
        intervals = router.garp_interval_ns or router.gna_interval_ns
        return as_written(
            RouterConfig,
            router,
            instances=instances,
            groups=groups,
            scripts=tuple(
                script._replace(user=script.user or router.script_user)
                for name, script in router.scripts.items()
                if name in used
            ),
            files=tuple(router.files.values()),
            processes=tuple(router.processes.values()),
            bfds=tuple(router.bfds.values()),
            interface_delays=tuple(self._debounce(delay, instances) for delay in router.interface_delays),
            garp_groups=(*router.garp_groups, *((everywhere,) if intervals else ())),
        )

    # --- findings

    def _say(self, draft: Parsed, code: str, message: str, keyword: str = "") -> None:
        kind = "sync group" if isinstance(draft, ParsedGroup) else "instance"
        place = draft.places.get(keyword, draft.place)
        self.findings.append(Finding(place, code, f"{kind} {draft.name}: {message}"))

    def _fatal(self, draft: Parsed, code: str, message: str, keyword: str = "") -> None:
        self._say(draft, code, f"{message}; keepalived exits", keyword)
        self.fatal = True

    # --- one instance

    def _instance(self, draft: ParsedInstance) -> InstanceConfig:
        for keyword, place in draft.places.items():
            self.router.places["instance", draft.name, keyword] = place
        router, dialect = self.router, self.router.dialect
        strict = router.strict if draft.strict is None else draft.strict
        family = draft.family or 4
        version = draft.version or (3 if family == 6 else router.version or dialect.default_version)
        if strict and family == 6 and version == 2:
            self._say(draft, "VRRP321", "strict mode has no IPv6 in version 2; version 3 is used", "version")
            version = 3
        base, state = self._priority_and_state(draft, strict)
        owner = base == OWNER_PRIORITY
        authentication = self._authentication(draft, version, family, strict)
        if authentication.auth_type is AuthType.AH:
            state = InitialState.BACKUP  # FSM-6
        nopreempt, preempt_delay_ns = self._preemption(draft, state, owner, strict)
        self._require(draft, version, strict)
        addresses, excluded = self._addresses(draft)
        return as_written(
            InstanceConfig,
            draft,
            vrid=draft.vrid or 0,  # 0 only if fatal
            priority=base,
            version=version,
            initial_state=state,
            addresses=addresses,
            excluded=excluded,
            routes=tuple(draft.routes),
            family=family,
            advert_int_ns=self._advert_int(draft, version),
            preempt=not nopreempt,
            preempt_delay_ns=preempt_delay_ns,
            down_timer_adverts=self._down_timer_adverts(draft, strict),
            authentication=authentication,
            unicast_peers=tuple(draft.unicast_peers),
            multicast_group=self._multicast_group(draft, family),
            ttl=self._ttl(draft),
            check_unicast_src=_either(draft.check_unicast_src, router.check_unicast_src),
            skip_check_adv_addr=_either(draft.skip_check_adv_addr, router.skip_check_adv_addr),
            lower_prio_no_advert=strict or _either(draft.lower_prio_no_advert, router.lower_prio_no_advert),
            higher_prio_send_advert=not strict
            and _either(draft.higher_prio_send_advert, router.higher_prio_send_advert),
            owner_ignore_adverts=self._owner_ignores(draft, strict),
            accept=self._accept(draft, strict, owner),
            strict=strict,
            garp=self._garp(draft, strict),
            vmac_interface=self._vmac_interface(draft),
            vmac_xmit_base=draft.vmac_xmit_base and draft.use_vmac,
            config_faults=self._config_faults(draft),
            notify=_notify(draft),
            **_by_field(self._own_tracks(draft, owner)),
        )

    def _require(self, draft: ParsedInstance, version: int, strict: bool) -> None:
        """LX-21, N27: what keepalived does not start without."""
        if draft.vrid is None:
            self._fatal(draft, "VRRP306", "virtual_router_id must be set")
        dialect = self.router.dialect
        unicast = draft.unicast_peers and draft.source
        if not draft.interface and (not unicast or dialect.unicast_needs_interface):
            self._fatal(draft, "VRRP307", "interface must be set")
        if strict and draft.unicast_peers and dialect.strict_excludes_unicast:
            self._fatal(draft, "VRRP324", "strict mode excludes unicast_peer", "unicast_peer")
        if (version == 3 or strict) and not draft.addresses and not draft.no_virtual_ipaddress:
            reason = "strict mode" if strict else "version 3"
            self._fatal(
                draft, "VRRP325", f"{reason} needs at least one virtual_ipaddress", "virtual_ipaddress"
            )

    def _priority_and_state(self, draft: ParsedInstance, strict: bool) -> tuple[int, InitialState]:
        """FSM-1; in strict mode the state follows the priority (§5.3)."""
        master = draft.state is InitialState.MASTER
        if draft.priority is None and master:
            self._say(
                draft, "VRRP308", "state MASTER without priority makes it 255, the address owner", "state"
            )
        default = OWNER_PRIORITY if master else 100
        base = default if draft.priority is None else draft.priority
        by_priority = InitialState.MASTER if base == OWNER_PRIORITY else InitialState.BACKUP
        state = draft.state or by_priority
        if strict and state is not by_priority:
            message = f"strict mode makes the state {by_priority.value}, from the priority"
            self._say(draft, "VRRP321", message, "state")
            state = by_priority
        return base, state

    def _preemption(
        self, draft: ParsedInstance, state: InitialState, owner: bool, strict: bool
    ) -> tuple[bool, int]:
        """N01 and N02: (nopreempt, preempt_delay in ns) as they run."""
        nopreempt, delay_ns = draft.nopreempt, draft.preempt_delay_ns
        if strict and delay_ns:
            self._say(draft, "VRRP321", "strict mode clears preempt_delay", "preempt_delay")
            delay_ns = 0
        if nopreempt and (owner or state is InitialState.MASTER):
            reason = "priority 255" if owner else "state MASTER"
            self._say(draft, "VRRP330", f"nopreempt is ignored with {reason}", "nopreempt")
            nopreempt = False
        if delay_ns and state is InitialState.MASTER:
            self._say(draft, "VRRP331", "preempt_delay is ignored with state MASTER", "preempt_delay")
            delay_ns = 0
        if delay_ns and nopreempt:
            self._say(draft, "VRRP331", "preempt_delay is ignored with nopreempt", "preempt_delay")
            delay_ns = 0
        return nopreempt, delay_ns

    def _authentication(
        self, draft: ParsedInstance, version: int, family: int, strict: bool
    ) -> Authentication:
        """N07: who ignores it, and why; the key is in no message."""
        kind = draft.auth_type
        if kind is AuthType.NONE:
            if draft.auth_key:
                self._say(draft, "VRRP312", "auth_pass without auth_type is ignored", "auth_pass")
            return Authentication()
        reason = ""
        if not self.router.dialect.authentication:
            reason = f"the dialect {self.router.dialect.name} has none"
        elif strict:
            reason = "strict mode excludes it"
        elif version == 3:
            reason = "version 3 has none"
        elif family == 6 and kind is AuthType.AH:
            reason = "AH is for IPv4 only"
        elif not draft.auth_key:
            reason = "there is no auth_pass"
        if reason:
            self._say(draft, "VRRP312", f"authentication is ignored: {reason}", "authentication")
            return Authentication()
        return Authentication(kind, draft.auth_key)

    def _addresses(
        self, draft: ParsedInstance
    ) -> tuple[tuple[VirtualAddress, ...], tuple[VirtualAddress, ...]]:
        advertised, moved = draft.addresses[:MAX_ADVERTISED], draft.addresses[MAX_ADVERTISED:]
        if moved:
            message = f"{len(moved)} addresses do not fit into an advert and are treated as excluded"
            self._say(draft, "VRRP332", message, "virtual_ipaddress")
        if draft.no_virtual_ipaddress and advertised:
            self._say(
                draft, "VRRP333", "no_virtual_ipaddress with addresses has no effect", "no_virtual_ipaddress"
            )
        if self.router.dialect.ignores_equal_addresses:
            kept: dict[Address, VirtualAddress] = {}
            for each in advertised:
                if kept.setdefault(each.address, each) is not each:
                    message = (
                        f"{each.address} stands here twice: on whatever interface, the second is ignored"
                    )
                    self._say(draft, "VRRP338", message, "virtual_ipaddress")
            advertised = list(kept.values())
        return tuple(advertised), (*moved, *draft.excluded)

    def _advert_int(self, draft: ParsedInstance, version: int) -> int:
        """§2.1: whole seconds in version 2, centiseconds up to 40.95 s in version 3; half up."""
        if draft.advert_int_ns is None:
            return SECOND_NS
        unit = SECOND_NS if version == 2 else CENTISECOND_NS
        rounded = max((draft.advert_int_ns + unit // 2) // unit * unit, unit)
        if version == 3:
            rounded = min(rounded, MAX_V3_INTERVAL_NS)
        if rounded != draft.advert_int_ns:
            message = f"advert_int is {rounded / SECOND_NS:g} s in version {version}"
            self._say(draft, "VRRP309", message, "advert_int")
        return rounded

    def _down_timer_adverts(self, draft: ParsedInstance, strict: bool) -> int:
        wanted = draft.down_timer_adverts or self.router.down_timer_adverts
        if strict and wanted != 3:
            self._say(draft, "VRRP321", "strict mode makes down_timer_adverts 3", "down_timer_adverts")
            return 3
        return wanted

    def _multicast_group(self, draft: ParsedInstance, family: int) -> Address:
        if draft.multicast_group is not None:
            return draft.multicast_group
        return (
            self.router.multicast_group4 or GROUP4 if family == 4 else self.router.multicast_group6 or GROUP6
        )

    def _ttl(self, draft: ParsedInstance) -> int:
        """§5.3: without peers `unicast_ttl` makes the TTL 0."""
        if draft.unicast_keyword and not draft.unicast_peers:
            message = "unicast keywords without an accepted unicast_peer: multicast is used"
            self._say(draft, "VRRP334", message, "unicast_peer")
        if draft.unicast_ttl is None:
            return 255
        if draft.unicast_peers:
            return draft.unicast_ttl
        self._say(draft, "VRRP335", "unicast_ttl without peers: adverts leave with TTL 0", "unicast_ttl")
        return 0

    def _config_faults(self, draft: ParsedInstance) -> tuple[str, ...]:
        if draft.unicast_fault_no_peer and not draft.unicast_peers:
            self._say(draft, "VRRP323", "unicast_fault_no_peer: FAULT for ever", "unicast_fault_no_peer")
            return ("no unicast peers",)
        return ()

    def _owner_ignores(self, draft: ParsedInstance, strict: bool) -> bool:
        """K14; on by default in strict mode (FSM-36)."""
        if not self.router.dialect.has_owner_ignore_adverts:
            return False
        globally = self.router.owner_ignore_adverts
        return _either(draft.owner_ignore_adverts, strict if globally is None else globally)

    def _accept(self, draft: ParsedInstance, strict: bool, owner: bool) -> bool:
        if owner or draft.accept is not None:
            return owner or bool(draft.accept)
        if strict:
            self._say(draft, "VRRP336", "strict mode without accept: the host drops traffic to its addresses")
        return not strict

    def _garp(self, draft: ParsedInstance, strict: bool) -> Garp:
        """GA-4: the lower-priority defaults are the global ones, not the instance's."""
        glob = vars(self.router.garp)
        usual = Garp(**glob)
        lower = {"lower_prio_delay_ns": usual.master_delay_ns, "lower_prio_repeat": usual.master_repeat}
        garp = Garp(**{**lower, **glob, **vars(draft.garp)})
        return garp._replace(lower_prio_delay_ns=0, lower_prio_repeat=0) if strict else garp

    def _vmac_interface(self, draft: ParsedInstance) -> str:
        if draft.vmac_xmit_base and not draft.use_vmac:
            self._say(draft, "VRRP322", "vmac_xmit_base without use_vmac is ignored", "vmac_xmit_base")
        if not draft.use_vmac or draft.vmac_interface:
            return draft.vmac_interface if draft.use_vmac else ""
        usual = f"vrrp{'6' if draft.family == 6 else ''}.{draft.vrid}"
        names = (usual, *(f"vrrp{number}.{draft.vrid}" for number in range(1, 256)))
        name = next(each for each in names if each not in self._vmacs)
        self._vmacs.add(name)
        return name

    # --- trackers

    def _own_tracks(self, draft: ParsedInstance, owner: bool) -> Tracks:
        """The instance's trackers after N31 and SG-6."""
        tracks: Tracks = {kind: dict(draft.tracks[kind]) for kind in TRACKERS}
        if draft.interface in tracks["interface"] and not draft.dont_track_primary:
            self._track_warning(
                draft, "interface", draft.interface, "VRRP419", "is its own interface; ignored"
            )
            del tracks["interface"][draft.interface]
        group = self._member_of.get(draft.name)
        if owner or (group is not None and not group.tracking_weight):
            self._without_weights(draft, tracks, "an address owner" if owner else "a sync group member")
        return tracks

    def _without_weights(self, draft: ParsedInstance, tracks: Tracks, reason: str) -> None:
        """SG-6: weighted scripts and BFDs go, files lose weight 1 or go, interfaces and processes stay."""
        code = "VRRP403" if reason == "an address owner" else "VRRP404"
        for kind in ("script", "bfd"):
            for track in [track for track in tracks[kind].values() if track.weight]:
                self._track_warning(draft, kind, track.name, code, f"has a weight; ignored for {reason}")
                del tracks[kind][track.name]
        for track in [track for track in tracks["file"].values() if track.weight]:
            if track.weight == 1:
                self._track_warning(draft, "file", track.name, code, f"loses its weight for {reason}")
                tracks["file"][track.name] = track._replace(weight=0)
            else:
                self._track_warning(draft, "file", track.name, code, f"has a weight; ignored for {reason}")
                del tracks["file"][track.name]

    def _track_warning(self, draft: Parsed, kind: str, name: str, code: str, message: str) -> None:
        place = draft.track_places[kind, name]
        text = f"instance {draft.name}: tracked {kind} {name} {message}"
        self.findings.append(Finding(place, code, text))

    def _with_group_trackers(self, config: InstanceConfig, groups: tuple[GroupConfig, ...]) -> InstanceConfig:
        """SG-7: the group's weight wins unless the member's tracker is unweighted."""
        group = next((group for group in groups if config.name in group.members), None)
        if group is None:
            return config
        return config._replace(
            track_interfaces=_merged(config.track_interfaces, group.track_interfaces),
            track_scripts=_merged(config.track_scripts, group.track_scripts),
            track_files=_merged(config.track_files, group.track_files),
            track_processes=_merged(config.track_processes, group.track_processes),
            track_bfds=_merged(config.track_bfds, group.track_bfds),
        )

    # --- sync groups

    def _resolve_groups(self) -> None:
        """Members are looked up at the end; each belongs to one group (N30)."""
        known = self.router.instances
        for group in self.router.groups.values():
            for keyword, place in group.places.items():
                self.router.places["group", group.name, keyword] = place
            members = self._members[group.name] = []
            for name, place in group.members:
                if name not in known:
                    code, problem = (
                        "VRRP340",
                        f"member '{name[:60]}' is not an instance; ignored{did_you_mean(name, known)}",
                    )
                elif name in self._member_of:
                    code, problem = (
                        "VRRP341",
                        f"{name} is already in sync group {self._member_of[name].name}; ignored",
                    )
                else:
                    self._member_of[name] = group
                    members.append(name)
                    continue
                message = f"sync group {group.name}: {problem}"
                self.findings.append(Finding(place, code, message))
            if not members:
                self._say(group, "VRRP342", "has no members; removed")
            elif len(members) == 1:
                self._say(group, "VRRP343", f"has only one member, {members[0]}")

    def _group(self, draft: ParsedGroup, members: list[str]) -> GroupConfig:
        """SG-9: with an owner among the members the group's trackers lose their weights."""
        tracks: Tracks = {kind: dict(draft.tracks[kind]) for kind in TRACKERS}
        owners = [name for name in members if self._is_owner(self.router.instances[name])]
        if owners and any(track.weight for kind in TRACKERS for track in tracks[kind].values()):
            self._say(draft, "VRRP344", f"the owner {owners[0]} takes the weights from the group's trackers")
            tracks = {
                kind: {name: track._replace(weight=0) for name, track in of_kind.items()}
                for kind, of_kind in tracks.items()
            }
        return GroupConfig(
            name=draft.name, members=tuple(members), notify=_notify(draft), **_by_field(tracks)
        )

    @staticmethod
    def _is_owner(draft: ParsedInstance) -> bool:
        if draft.priority is None:
            return draft.state is InitialState.MASTER
        return draft.priority == OWNER_PRIORITY

    # --- across instances

    def _check_vrids(self, instances: tuple[InstanceConfig, ...]) -> None:
        """X17: one VRID once on an interface, family and group; unicast: unless no peer is shared."""
        seen: dict[tuple[str, int, int], list[InstanceConfig]] = {}
        for config in instances:
            others = seen.setdefault((config.interface, config.family, config.vrid), [])
            for other in others:
                if config.vrid and _clash(config, other):
                    draft = self.router.instances[config.name]
                    message = f"virtual_router_id {config.vrid} is taken by instance {other.name}"
                    self._fatal(draft, "VRRP345", message, "virtual_router_id")
                    break
            others.append(config)

    def _report_unused(self, used: set[str]) -> None:
        unused = [name for name in self.router.scripts if name not in used]
        owners: list[Parsed] = [*self.router.instances.values(), *self.router.groups.values()]
        dropped = self.router.dropped.union(*(owner.tracks["script"] for owner in owners))
        for name in unused:
            if name in dropped:  # and why has been said
                continue
            place = self.router.places["script", name]
            self.findings.append(Finding(place, "VRRP418", f"script {name} is not used"))
        self.unused_scripts = tuple(unused)

    def _debounce(self, delay: InterfaceDelay, instances: tuple[InstanceConfig, ...]) -> InterfaceDelay:
        """§1.5, N36: at least (n − 1)·adv is cut to that minus adv/256."""
        down_ns, up_ns = delay.down_ns, delay.up_ns
        for config in instances:
            if config.interface != delay.interface:
                continue
            limit_ns = (config.down_timer_adverts - 1) * config.advert_int_ns
            cut_ns = max(limit_ns - config.advert_int_ns // 256, 0)
            down_ns = cut_ns if down_ns >= limit_ns else down_ns
            up_ns = cut_ns if up_ns >= limit_ns else up_ns
        if (down_ns, up_ns) != (delay.down_ns, delay.up_ns):
            place = self.router.places["interface_delay", delay.interface]
            message = f"the delays of {delay.interface} are cut below (down_timer_adverts - 1) adverts"
            self.findings.append(Finding(place, "VRRP346", message))
        return delay._replace(down_ns=down_ns, up_ns=up_ns)


def _either(own: bool | None, otherwise: bool) -> bool:
    return otherwise if own is None else own


def _notify(draft: Parsed) -> NotifyScripts:
    return NotifyScripts(
        users=tuple(draft.notify_users.items()),
        priority_changes=bool(draft.notify_priority_changes),
        **draft.notify,
    )


def _by_field(tracks: Tracks) -> dict[str, tuple[Track, ...]]:
    """Name the model's fields: track_interfaces, track_scripts, track_files, track_processes, track_bfds."""
    plural = {
        "interface": "interfaces",
        "script": "scripts",
        "file": "files",
        "process": "processes",
        "bfd": "bfds",
    }
    return {f"track_{plural[kind]}": tuple(tracks[kind].values()) for kind in TRACKERS}


def _merged(own: tuple[Track, ...], groups: tuple[Track, ...]) -> tuple[Track, ...]:
    by_name: Mapping[str, Track] = {track.name: track for track in groups}
    kept = tuple(by_name.get(track.name, track) if track.weight else track for track in own)
    names = {track.name for track in own}
    return (*kept, *(track for track in groups if track.name not in names))


def _clash(one: InstanceConfig, other: InstanceConfig) -> bool:
    if one.unicast != other.unicast:
        return False
    if one.unicast:
        peers = {peer.address for peer in other.unicast_peers}
        return any(peer.address in peers for peer in one.unicast_peers)
    return one.multicast_group == other.multicast_group
