"""The effective configuration of a daemon as keepalived.conf: what runs, after every default and rounding.

The keywords that decide times are always written, others where they differ from keepalived's default.
Reading the text gives the same configuration again. A password is `MASK` unless it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vrrpsim.protocol.configuration import (
    GROUP4,
    GROUP6,
    AuthType,
    BfdConfig,
    ChecksumMode,
    FileConfig,
    GarpGroup,
    GroupConfig,
    InstanceConfig,
    NotifyScripts,
    ProcessConfig,
    RouterConfig,
    ScriptConfig,
    Track,
    VirtualAddress,
)
from vrrpsim.redaction import MASK, masked

from .arguments import short_s
from .keywords.tables import GARP, GARP_GROUP, GLOBAL_DEFS, INSTANCE, TRACK_PROCESS, VRRP_SCRIPT
from .keywords.walker import Table, Takes

INDENT = "    "
Lines = Iterator[str]


def keepalived_conf(config: RouterConfig, *, secrets: bool = False) -> str:
    """Return the text, without a final newline; with `secrets` the passwords stand in it."""
    blocks = [
        _block("global_defs", _global(config)),
        *(_block(f"vrrp_script {_word(each.name)}", _script(each)) for each in config.scripts),
        *(_block(f"track_file {_word(each.name)}", _file(each)) for each in config.files),
        *(_block(f"vrrp_track_process {_word(each.name)}", _process(each)) for each in config.processes),
        *(_block(f"bfd_instance {_word(each.name)}", _bfd(each)) for each in config.bfds),
        *(_block("garp_group", _garp_group(each)) for each in config.garp_groups if each.interfaces),
        _block(
            "interface_up_down_delays",
            (
                f"{each.interface} {short_s(each.down_ns)} {short_s(each.up_ns)}"
                for each in config.interface_delays
            ),
        ),
        *(_block(f"vrrp_sync_group {_word(each.name)}", _group(each, config)) for each in config.groups),
        *(
            _block(f"vrrp_instance {_word(each.name)}", _instance(each, config, secrets))
            for each in config.instances
        ),
    ]
    text = "\n\n".join("\n".join(block) for block in blocks if block)
    return text if secrets else masked(text)


def _block(head: str, body: Lines) -> list[str]:
    """Return the lines of a block; none if it is empty."""
    lines = [INDENT + line for line in body]
    return [f"{head} {{", *lines, "}"] if lines else []


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w.:/@%+-]+", text) else f'"{text}"'


def _weight(weight: int, reverse: bool) -> str:
    return f"weight {weight}" + " reverse" * reverse


def _plain(table: Table, each: Any, written: str = "") -> Lines:
    """Write the keywords whose values stand in a field as they are, where it has not its default."""
    defaults = dict.fromkeys(each._fields) | each._field_defaults
    for name in written.split():
        del defaults[name]
    for word, row in table.items():
        if row.field in defaults and (value := getattr(each, row.field)) != defaults.pop(row.field):
            yield f"{word} {(row.writes or _WRITE[row.takes])(value)}".rstrip()


_WRITE: dict[Takes, Callable[[Any], str]] = {
    Takes.FLAG: lambda value: "",
    Takes.BOOL: lambda value: "on" if value else "off",
    Takes.INT: str,
    Takes.SECONDS: short_s,
    Takes.WORD: lambda value: _word(value),
    Takes.WORDS: lambda value: _word(value),
}


def _global(config: RouterConfig) -> Lines:
    yield from _plain(GLOBAL_DEFS, config)
    for each in config.garp_groups:
        if not each.interfaces:
            yield f"vrrp_garp_interval {short_s(each.garp_interval_ns)}"
            yield f"vrrp_gna_interval {short_s(each.gna_interval_ns)}"


def _script(each: ScriptConfig) -> Lines:
    yield f'script "{each.command}"'
    yield f"interval {short_s(each.interval_ns)}"
    yield from _plain(VRRP_SCRIPT, each)
    yield f"fall {each.fall}"
    yield f"rise {each.rise}"
    yield _weight(each.weight, each.reverse)
    if each.user:
        yield f"user {each.user}"


def _file(each: FileConfig) -> Lines:
    yield f"file {_word(each.path)}"
    yield _weight(each.weight, each.reverse)
    if each.init_value is not None:
        yield f"init_file {each.init_value}" + " overwrite" * each.overwrite


def _process(each: ProcessConfig) -> Lines:
    yield " ".join(["process", each.process, *each.parameters])
    if each.param_match:
        yield f"param_match {each.param_match}"
    yield _weight(each.weight, each.reverse)
    yield from _plain(TRACK_PROCESS, each)


def _bfd(each: BfdConfig) -> Lines:
    yield f"neighbor_ip {each.neighbor}"
    for word in ("min_rx", "min_tx"):
        yield f"{word} {each.interval_ns // 1_000_000}"
    yield f"multiplier {each.multiplier}"
    yield _weight(each.weight, each.reverse)
    yield "vrrp"


def _garp_group(each: GarpGroup) -> Lines:
    yield from _block("interfaces", iter(each.interfaces))
    yield from _plain(GARP_GROUP, each)


TRACKERS = {
    "track_interface": "track_interfaces",
    "track_script": "track_scripts",
    "track_file": "track_files",
    "track_process": "track_processes",
    "track_bfd": "track_bfds",
}


def _trackers(of: InstanceConfig | GroupConfig, group: GroupConfig | None = None) -> Lines:
    """Write the trackers; what a member has from its group stands there."""
    for keyword, name in TRACKERS.items():
        theirs: Sequence[Track] = getattr(group, name, ())
        own: Sequence[Track] = getattr(of, name)
        lines = (f"{each.name} {_weight(each.weight, each.reverse)}" for each in own if each not in theirs)
        yield from _block(keyword, lines)


def _group(group: GroupConfig, config: RouterConfig) -> Lines:
    yield from _block("group", iter(group.members))
    members = (each for each in config.instances if each.name in group.members)
    if any(
        track.weight
        for member in members
        for track in (*member.track_scripts, *member.track_files, *member.track_bfds)
        if track not in (*group.track_scripts, *group.track_files, *group.track_bfds)
    ):
        yield "sync_group_tracking_weight"
    yield from _trackers(group)
    yield from _notify(group.notify)


def _notify(notify: NotifyScripts) -> Lines:
    for keyword in ("master", "backup", "fault", "stop", "deleted", "any", "master_rx_lower_pri"):
        command = getattr(notify, keyword)
        if command:
            user = "".join(f" {user}" for name, user in notify.users if name == keyword)
            yield f'{"notify" if keyword == "any" else f"notify_{keyword}"} "{command}"{user}'
    if notify.priority_changes:
        yield "notify_priority_changes on"


def _instance(each: InstanceConfig, config: RouterConfig, secrets: bool) -> Lines:
    yield f"state {each.initial_state.value}"
    if each.interface:
        yield f"interface {each.interface}"
    yield f"priority {each.priority}"
    yield f"version {each.version}"
    yield f"advert_int {short_s(each.advert_int_ns)}"
    yield f"down_timer_adverts {each.down_timer_adverts}"
    yield from _plain(INSTANCE, each, "version advert_int_ns down_timer_adverts " + _DECIDED)
    yield from _switches(each)
    yield from _garp(each)
    yield from _network(each)
    if each.authentication.auth_type is not AuthType.NONE:
        key = each.authentication.key.decode(errors="surrogateescape")
        lines = (
            f"auth_type {each.authentication.auth_type.name}",
            f"auth_pass {_word(key) if secrets else MASK}",
        )
        yield from _block("authentication", iter(lines))
    if not each.addresses and each.version == 3:
        yield "no_virtual_ipaddress"
    yield from _block("virtual_ipaddress", map(_address, each.addresses))
    yield from _block("virtual_ipaddress_excluded", map(_address, each.excluded))
    for word, is_rule in (("virtual_routes", False), ("virtual_rules", True)):
        yield from _block(word, (route.text for route in each.routes if route.is_rule is is_rule))
    yield from _trackers(each, next((group for group in config.groups if each.name in group.members), None))
    yield from _notify(each.notify)


_DECIDED = "strict lower_prio_no_advert owner_ignore_adverts accept"  # `_switches` knows more of them


def _switches(each: InstanceConfig) -> Lines:
    flags = {
        "nopreempt": not each.preempt,
        "strict_mode on": each.strict,
        "lower_prio_no_advert on": each.lower_prio_no_advert and not each.strict,
        "owner_ignore_adverts on": each.owner_ignore_adverts and not each.strict,
        "accept": each.accept and each.strict,
        "no_accept": not each.accept and not each.strict,
        "v3_checksum_as_v2 on": each.checksum is ChecksumMode.AS_V2,
        "old_unicast_checksum": each.checksum is ChecksumMode.OLD_UNICAST,
        "old_unicast_checksum never": each.checksum is ChecksumMode.NEVER_OLD,
        "unicast_fault_no_peer": bool(each.config_faults),
    }
    yield from (flag for flag, is_set in flags.items() if is_set)
    if each.timer_expired_backup is not None:
        yield f"timer_expired_backup {each.timer_expired_backup or ''}".rstrip()
    if each.use_vmac:
        yield f"use_vmac {each.vmac_interface}"


def _garp(each: InstanceConfig) -> Lines:
    yield f"garp_master_delay {short_s(each.garp.master_delay_ns)}"
    yield f"garp_master_repeat {each.garp.master_repeat}"
    decided = " lower_prio_delay_ns lower_prio_repeat" if each.strict else ""
    yield from _plain(GARP, each.garp, "master_delay_ns master_repeat" + decided)


def _network(each: InstanceConfig) -> Lines:
    if each.family == 6 and not (each.addresses or each.unicast_peers):
        yield "native_ipv6"
    if each.source is not None:
        yield f"{'unicast' if each.unicast else 'mcast'}_src_ip {each.source}"
    peers = (
        str(peer.address)
        + f" min_ttl {peer.min_ttl}" * bool(peer.min_ttl)
        + f" max_ttl {peer.max_ttl}" * (peer.max_ttl != 255)
        for peer in each.unicast_peers
    )
    yield from _block("unicast_peer", peers)
    if each.multicast_group != (GROUP4 if each.family == 4 else GROUP6):
        yield f"mcast_dst_ip {each.multicast_group}"
    if each.ttl != 255:
        yield f"unicast_ttl {each.ttl}"
    if each.check_unicast_src:
        yield "check_unicast_src"


def _address(each: VirtualAddress) -> str:
    device = f" dev {each.interface}" if each.interface else ""
    return f"{each.address}/{each.prefix_length}{device}" + " no_track" * each.no_track
