"""The keywords of keepalived.conf as data (keepalived.md §6.2): one row says all there is to know of one."""

from __future__ import annotations

from collections.abc import Sequence

from vrrpsim.findings import Finding
from vrrpsim.keepalived.arguments import short_s
from vrrpsim.keepalived.lexer import Row
from vrrpsim.keepalived.parsed import ParsedRouter
from vrrpsim.protocol.dialect import Dialect

from . import blocks, instance, trackers
from .handlers import (
    ANY,
    INT_MAX,
    at_least_one,
    boolean,
    flag,
    inner,
    integer,
    notify,
    seconds,
    text,
    whole_seconds,
)
from .walker import FatalError, Handler, Keyword, Table, Takes, Walker

FLAG, BOOL, INT, SECONDS, WORD = Takes.FLAG, Takes.BOOL, Takes.INT, Takes.SECONDS, Takes.WORD
WORDS, SCRIPT, SECRET, LINES, NAMES = Takes.WORDS, Takes.SCRIPT, Takes.SECRET, Takes.LINES, Takes.NAMES


def host(takes: Takes, names: str) -> dict[str, Keyword]:
    """Keywords without effect on the protocol; their blocks are skipped."""
    return dict.fromkeys(names.split(), Keyword(takes, skip=True, repeatable=True))


GARP: Table = {  # of an instance; `global_defs` has them as well, behind `vrrp_`
    "garp_master_delay": whole_seconds("master_delay_ns"),
    "garp_master_repeat": at_least_one("master_repeat"),
    "garp_master_refresh": whole_seconds("master_refresh_ns"),
    "garp_master_refresh_repeat": at_least_one("master_refresh_repeat"),
    "garp_lower_prio_delay": whole_seconds("lower_prio_delay_ns"),
    "garp_lower_prio_repeat": integer("lower_prio_repeat", 0, INT_MAX),
    "garp_extra_if": Keyword(
        WORDS, blocks.garp_extra_if, most=ANY, field="extra_ns", writes=lambda ns: f"all {short_s(ns)}"
    ),
    "vmac_garp_intvl": Keyword(WORDS, blocks.garp_extra_if, most=ANY),
}


GLOBAL_DEFS: Table = {
    **{f"vrrp_{name}": inner("garp", row) for name, row in GARP.items()},
    "router_id": text("router_id"),
    "vrrp_version": integer("version", 2, 3),
    "vrrp_mcast_group4": Keyword(WORD, blocks.multicast_group(4)),
    "vrrp_mcast_group6": Keyword(WORD, blocks.multicast_group(6)),
    "vrrp_garp_interval": seconds("garp_interval_ns"),
    "vrrp_gna_interval": seconds("gna_interval_ns"),
    "vrrp_min_garp": Keyword(BOOL, blocks.min_garp),
    "vrrp_down_timer_adverts": integer("down_timer_adverts", 1, 100),
    "vrrp_lower_prio_no_advert": boolean("lower_prio_no_advert"),
    "vrrp_higher_prio_send_advert": boolean("higher_prio_send_advert"),
    "vrrp_check_unicast_src": flag("check_unicast_src"),
    "vrrp_skip_check_adv_addr": Keyword(FLAG, blocks.skip_check),
    "vrrp_strict": flag("strict"),
    "vrrp_startup_delay": seconds("startup_delay_ns", 1000),
    "log_unknown_vrids": flag("log_unknown_vrids"),
    "vrrp_notify_priority_changes": boolean("notify_priority_changes"),
    "notify_fifo": text("notify_fifo", WORDS),
    "vrrp_notify_fifo": text("vrrp_notify_fifo", WORDS),
    "dynamic_interfaces": Keyword(FLAG, blocks.dynamic_interfaces, field="dynamic_interfaces"),
    "use_symlink_paths": flag("symlink_paths", needs="has_symlink_paths"),
    "script_user": Keyword(WORDS, trackers.script_user, most=3),
    "vrrp_owner_ignore_adverts": boolean("owner_ignore_adverts", needs="has_owner_ignore_adverts"),
    **host(
        FLAG,
        """
        fifo_write_vrrp_states_on_reload enable_script_security disable_local_igmp no_email_faults
        vrrp_no_swap checker_no_swap bfd_no_swap checker_log_all_failures nftables_ifindex nftables_counters
        enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_checker enable_snmp_rfc
        enable_snmp_rfcv2 enable_snmp_rfcv3 enable_dbus no_checker_emails lvs_flush
        use_pid_dir dbus_no_interface_name linkbeat_use_polling
        """,
    ),
    **host(
        BOOL,
        """
        smtp_alert smtp_alert_vrrp smtp_alert_checker rs_init_notifies data_use_instance
        vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs_force process_monitor_rcv_bufs_force
        lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs_force namespace_with_ipsets
        """,
    ),
    **host(
        INT,
        """
        vrrp_priority vrrp_rt_priority max_auto_priority random_seed checker_priority checker_rt_priority
        bfd_priority bfd_rt_priority nftables_priority nftables_ipvs_priority nftables_ipvs_start_fwmark
        vrrp_netlink_cmd_rcv_bufs vrrp_netlink_monitor_rcv_bufs process_monitor_rcv_bufs
        lvs_netlink_cmd_rcv_bufs lvs_netlink_monitor_rcv_bufs json_version reload_repeat
        """,
    ),
    **host(SECONDS, "smtp_connect_timeout min_auto_priority_delay"),
    **host(
        SCRIPT,
        """
        notify_fifo_script vrrp_notify_fifo_script lvs_notify_fifo_script startup_script shutdown_script
        """,
    ),
    **host(LINES, "notification_email"),
    **host(
        WORDS,
        """
        default_interface vrrp_cpu_affinity
        vrrp_rlimit_rttime vrrp_rlimit_rtime vrrp_iptables vrrp_ipsets iptables nftables nftables_ipvs
        vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vmac_prefix vmac_addr_prefix lvs_sync_daemon
        notification_email_from smtp_server smtp_helo_name process_names process_name vrrp_process_name
        checker_process_name lvs_process_name bfd_process_name startup_script_timeout
        shutdown_script_timeout snmp_socket dbus_service_name lvs_timeouts lvs_flush_on_stop
        lvs_notify_fifo checker_cpu_affinity checker_rlimit_rttime bfd_cpu_affinity bfd_rlimit_rttime umask
        bfd_rlimit_rtime checker_rlimit_rtime lvs_flush_onstop
        reload_check_config reload_time_file reload_file include_check config_save_dir
        tmp_config_directory json_dump_file state_dump_file stats_dump_file iproute_usr_dir
        iproute_etc_dir snmp_vrrp_update_interval snmp_checker_update_interval net_namespace
        net_namespace_ipvs instance child_wait_time
        """,
    ),
}


def entries(takes: Takes, entry: Handler) -> Keyword:
    """A value block."""
    return Keyword(takes, entry=entry, most=1)


TRACK_KEYWORDS: Table = {
    "track_interface": entries(LINES, instance.track_interface),
    "track_script": entries(LINES, instance.tracker("script", "scripts", 253)),
    "track_file": entries(LINES, instance.tracker("file", "files", 254)),
    "track_process": entries(LINES, instance.tracker("process", "processes", 254)),
    "track_bfd": entries(LINES, instance.tracker("bfd", "bfds", 253)),
}

NOTIFY_KEYWORDS: Table = {
    "notify_master": notify("master"),
    "notify_backup": notify("backup"),
    "notify_fault": notify("fault"),
    "notify_stop": notify("stop"),
    "notify": notify("any"),
    "notify_priority_changes": boolean("notify_priority_changes"),
    **host(BOOL, "smtp_alert"),
}

AUTHENTICATION: Table = {
    "auth_type": Keyword(WORD, instance.auth_type),
    "auth_pass": Keyword(SECRET, instance.auth_pass),
}

INSTANCE: Table = {
    **{name: inner("garp", row) for name, row in GARP.items()},
    **TRACK_KEYWORDS,
    **NOTIFY_KEYWORDS,
    "state": Keyword(WORD, instance.state),
    "interface": Keyword(WORD, instance.interface),
    "virtual_router_id": integer("vrid", 1, 255, strict=True),
    "priority": Keyword(INT, instance.priority),
    "advert_int": seconds("advert_int_ns", 10_000, 255_000_000, code="VRRP301"),
    "version": integer("version", 2, 3),
    "nopreempt": flag("nopreempt"),
    "preempt": flag("nopreempt", False),
    "preempt_delay": seconds("preempt_delay_ns", 0, 1_000_000_000),
    "down_timer_adverts": integer("down_timer_adverts", 1, 100),
    "unicast_src_ip": Keyword(WORD, instance.source),
    "mcast_src_ip": Keyword(WORD, instance.source),
    "mcast_dst_ip": Keyword(WORD, instance.multicast_destination),
    "unicast_ttl": Keyword(INT, instance.unicast_ttl),
    "unicast_fault_no_peer": Keyword(FLAG, instance.unicast_fault_no_peer),
    "check_unicast_src": Keyword(FLAG, instance.check_unicast_src),
    "old_unicast_checksum": Keyword(WORDS, instance.old_unicast_checksum),
    "skip_check_adv_addr": Keyword(BOOL, blocks.skip_check, field="skip_check_adv_addr"),
    "strict_mode": boolean("strict"),
    "lower_prio_no_advert": boolean("lower_prio_no_advert"),
    "higher_prio_send_advert": boolean("higher_prio_send_advert"),
    "dont_track_primary": flag("dont_track_primary"),
    "native_ipv6": Keyword(FLAG, instance.native_ipv6),
    "use_vmac": Keyword(WORDS, instance.use_vmac, most=3),
    "vmac_xmit_base": flag("vmac_xmit_base"),
    "accept": flag("accept"),
    "no_accept": flag("accept", False),
    "notify_deleted": notify("deleted"),
    "notify_master_rx_lower_pri": notify("master_rx_lower_pri"),
    "v3_checksum_as_v2": Keyword(BOOL, instance.v3_checksum_as_v2, needs="has_v3_checksum_as_v2"),
    "timer_expired_backup": Keyword(WORDS, instance.timer_expired_backup, needs="has_timer_expired_backup"),
    "thread_timer_expired": Keyword(WORDS, instance.timer_expired_backup, needs="has_timer_expired_backup"),
    "no_virtual_ipaddress": flag("no_virtual_ipaddress", needs="has_no_virtual_ipaddress"),
    "owner_ignore_adverts": boolean("owner_ignore_adverts", needs="has_owner_ignore_adverts"),
    "authentication": Keyword(table=AUTHENTICATION, most=1),
    "virtual_ipaddress": entries(LINES, instance.add_address),
    "virtual_ipaddress_excluded": entries(LINES, instance.add_excluded),
    "virtual_routes": entries(LINES, instance.add_route),
    "virtual_rules": entries(LINES, instance.add_rule),
    "unicast_peer": entries(LINES, instance.add_peer),
    **host(FLAG, "track_src_ip use_vmac_addr linkbeat_use_polling"),
    **host(BOOL, "promote_secondaries"),
    **host(INT, "kernel_rx_buf_size debug"),
    **host(WORD, "vrf lvs_sync_daemon_interface"),
    **host(WORDS, "use_ipvlan"),
}

GROUP: Table = {
    **TRACK_KEYWORDS,
    **NOTIFY_KEYWORDS,
    "group": entries(NAMES, blocks.add_members),
    "sync_group_tracking_weight": flag("tracking_weight"),
    "global_tracking": flag("tracking_weight"),
}

VRRP_SCRIPT: Table = {
    "script": Keyword(SCRIPT, trackers.script, most=ANY),
    "weight": Keyword(WORDS, trackers.script_weight, most=ANY),
    "user": Keyword(WORDS, trackers.script_user, most=ANY),
    "interval": Keyword(SECONDS, trackers.script_interval),
    "timeout": Keyword(SECONDS, trackers.script_timeout, field="timeout_ns"),
    "rise": Keyword(INT, trackers.rise_or_fall),
    "fall": Keyword(INT, trackers.rise_or_fall),
    "init_fail": Keyword(FLAG, trackers.init_fail),
}

TRACK_FILE: Table = {
    "file": Keyword(WORD, trackers.file_path, repeatable=True),
    "weight": Keyword(WORDS, trackers.tracker_weight, repeatable=True, most=3),
    "init_file": Keyword(WORDS, trackers.init_file, most=3),
}

TRACK_PROCESS: Table = {
    "process": Keyword(WORDS, trackers.process, most=ANY),
    "weight": Keyword(WORDS, trackers.tracker_weight, repeatable=True, most=3),
    "param_match": Keyword(WORDS, trackers.param_match),
    "full_command": flag("full_command"),
    "quorum": integer("quorum", 1, 65535),
    "quorum_max": integer("quorum_max", 0, 65535),
    "delay": trackers.process_delay("fork_delay_ns", "terminate_delay_ns"),
    "fork_delay": trackers.process_delay("fork_delay_ns"),
    "terminate_delay": trackers.process_delay("terminate_delay_ns"),
}

GARP_GROUP: Table = {
    "garp_interval": seconds("garp_interval_ns"),
    "gna_interval": seconds("gna_interval_ns"),
    "interface": Keyword(WORD, blocks.add_interface, repeatable=True),
    "interfaces": entries(NAMES, blocks.add_interfaces),
}

BFD_INSTANCE: Table = {
    "neighbor_ip": Keyword(WORD, trackers.bfd_neighbor),
    "min_rx": trackers.milliseconds("min_rx_ns"),
    "min_tx": trackers.milliseconds("min_tx_ns"),
    "multiplier": integer("multiplier", 1, 255),
    "weight": Keyword(WORDS, trackers.script_weight, most=2),
    **host(FLAG, "passive vrrp checker"),
    **host(WORDS, "source_ip idle_tx ttl hoplimit max_hops"),
}
_FILE_BLOCK = Keyword(opens=trackers.open_file, table=TRACK_FILE, closes=trackers.close_file)
_OTHER_SUBSYSTEM = Keyword(handle=blocks.not_simulated, skip=True, repeatable=True)

ROOT: Table = {  # those with `inline` in this order: definitions before uses
    "global_defs": Keyword(
        handle=blocks.global_defs, table=GLOBAL_DEFS, repeatable=True, most=1, inline="global_defs"
    ),
    "vrrp_script": Keyword(
        opens=trackers.open_script, table=VRRP_SCRIPT, closes=trackers.close_script, inline="vrrp_scripts"
    ),
    "vrrp_track_process": Keyword(
        opens=trackers.open_process,
        table=TRACK_PROCESS,
        closes=trackers.close_process,
        inline="vrrp_track_processes",
    ),
    "track_file": _FILE_BLOCK._replace(inline="track_files"),
    "vrrp_track_file": _FILE_BLOCK,
    "bfd_instance": Keyword(
        opens=trackers.open_bfd, table=BFD_INSTANCE, closes=trackers.close_bfd, inline="bfd_instances"
    ),
    "garp_group": Keyword(
        opens=blocks.open_garp_group, table=GARP_GROUP, closes=blocks.close_garp_group, inline="garp_groups"
    ),
    "vrrp_sync_group": Keyword(opens=blocks.open_group, table=GROUP, inline="vrrp_sync_groups"),
    "vrrp_instance": Keyword(opens=instance.open_instance, table=INSTANCE, inline="vrrp_instances"),
    "interface_up_down_delays": entries(LINES, blocks.interface_delay)._replace(
        inline="interface_up_down_delays"
    ),
    **dict.fromkeys(("virtual_server", "virtual_server_group", "SSL"), _OTHER_SUBSYSTEM),
    **host(
        WORDS,
        """
        track_group static_ipaddress static_routes static_rules linkbeat_interfaces linkbeat_use_polling
        net_namespace net_namespace_ipvs namespace_with_ipsets instance use_pid_dir child_wait_time
        """,
    ),
}

ALL_TABLES: tuple[Table, ...] = (
    ROOT,
    GLOBAL_DEFS,
    INSTANCE,
    GROUP,
    VRRP_SCRIPT,
    TRACK_FILE,
    TRACK_PROCESS,
    BFD_INSTANCE,
    GARP_GROUP,
)


def read_rows(rows: Sequence[Row], dialect: Dialect, findings: list[Finding]) -> tuple[ParsedRouter, bool]:
    """Return what the rows say, and whether keepalived would get to their end."""
    router = ParsedRouter(dialect)
    try:
        Walker(rows, router, findings, ALL_TABLES).walk()
    except FatalError:
        return router, False
    return router, True
