"""The keyword tables of keepalived.conf as data (keepalived.md §6.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vrrpsim.findings import Finding
from vrrpsim.keepalived.lexer import Row
from vrrpsim.keepalived.parsed import ParsedRouter
from vrrpsim.protocol.dialect import Dialect

from .blocks import (
    add_interface,
    add_interfaces,
    add_members,
    bfd_instance,
    close_garp_group,
    global_defs,
    interface_delay,
    min_garp,
    multicast_group,
    not_simulated,
    open_garp_group,
    open_group,
    skip_check,
)
from .handlers import (
    INT_MAX,
    at_least_one,
    boolean,
    flag,
    inner,
    integer,
    nothing,
    notify,
    seconds,
    text,
    version,
    whole_seconds,
)
from .instance import (
    add_address,
    add_excluded,
    add_peer,
    add_route,
    add_rule,
    auth_pass,
    auth_type,
    check_unicast_src,
    interface,
    multicast_destination,
    native_ipv6,
    old_unicast_checksum,
    open_instance,
    priority,
    source,
    state,
    timer_expired_backup,
    track_bfd,
    track_interface,
    tracker,
    unicast_fault_no_peer,
    unicast_ttl,
    use_vmac,
    v3_checksum_as_v2,
)
from .trackers import (
    close_file,
    close_process,
    close_script,
    file_path,
    init_fail,
    init_file,
    open_file,
    open_process,
    open_script,
    param_match,
    process,
    process_delay,
    rise_or_fall,
    script,
    script_interval,
    script_timeout,
    script_user,
    script_weight,
    tracker_weight,
)
from .walker import FatalError, Handler, Keyword, Table, Walker


def host(names: str) -> dict[str, Keyword]:
    """Keywords without effect on the protocol; their blocks are skipped."""
    return {name: Keyword(nothing, skip=True, repeatable=True) for name in names.split()}


ANY = 1000  # words


def plain(handlers: Mapping[str, Handler], *, most: int = 2) -> dict[str, Keyword]:
    """Keywords with a value of their own."""
    return {name: Keyword(handler, most=most) for name, handler in handlers.items()}


def garp_keywords(prefix: str) -> dict[str, Keyword]:
    """The GARP keywords, which `global_defs` and instances share."""
    handlers = {
        "garp_master_delay": whole_seconds("master_delay_ns"),
        "garp_master_repeat": at_least_one("master_repeat"),
        "garp_master_refresh": whole_seconds("master_refresh_ns"),
        "garp_master_refresh_repeat": at_least_one("master_refresh_repeat"),
        "garp_lower_prio_delay": whole_seconds("lower_prio_delay_ns"),
        "garp_lower_prio_repeat": integer("lower_prio_repeat", 0, INT_MAX),
    }
    return plain({prefix + name: inner("garp", handler) for name, handler in handlers.items()})


GLOBAL: Table = {
    **garp_keywords("vrrp_"),
    **plain(
        {
            "router_id": text("router_id"),
            "vrrp_version": version,
            "vrrp_mcast_group4": multicast_group(4),
            "vrrp_mcast_group6": multicast_group(6),
            "vrrp_garp_interval": seconds("garp_interval_ns"),
            "vrrp_gna_interval": seconds("gna_interval_ns"),
            "vrrp_min_garp": min_garp,
            "vrrp_down_timer_adverts": integer("down_timer_adverts", 1, 100),
            "vrrp_lower_prio_no_advert": boolean("lower_prio_no_advert"),
            "vrrp_higher_prio_send_advert": boolean("higher_prio_send_advert"),
            "vrrp_check_unicast_src": flag("check_unicast_src"),
            "vrrp_skip_check_adv_addr": skip_check,
            "vrrp_strict": flag("strict"),
            "vrrp_startup_delay": seconds("startup_delay_ns", 1000),
            "log_unknown_vrids": flag("log_unknown_vrids"),
            "vrrp_notify_priority_changes": boolean("notify_priority_changes"),
            "notify_fifo": text("notify_fifo"),
            "vrrp_notify_fifo": text("notify_fifo"),
        }
    ),
    "script_user": Keyword(script_user, most=3),
    "vrrp_owner_ignore_adverts": Keyword(boolean("owner_ignore_adverts"), needs="has_owner_ignore_adverts"),
    **host(
        """
        vrrp_garp_extra_if vrrp_vmac_garp_intvl fifo_write_vrrp_states_on_reload dynamic_interfaces
        default_interface enable_script_security vrrp_priority vrrp_rt_priority vrrp_cpu_affinity
        vrrp_rlimit_rttime vrrp_rlimit_rtime vrrp_no_swap max_auto_priority min_auto_priority_delay
        vrrp_iptables vrrp_ipsets iptables nftables nftables_priority nftables_ifindex nftables_counters
        nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark vrrp_netlink_cmd_rcv_bufs
        vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force
        process_monitor_rcv_bufs process_monitor_rcv_bufs_force vrrp_rx_bufs_policy
        vrrp_rx_bufs_multiplier disable_local_igmp vmac_prefix vmac_addr_prefix notify_fifo_script
        vrrp_notify_fifo_script lvs_sync_daemon notification_email notification_email_from smtp_server
        smtp_helo_name smtp_connect_timeout smtp_alert smtp_alert_vrrp smtp_alert_checker no_email_faults
        checker_log_all_failures process_names process_name vrrp_process_name checker_process_name
        lvs_process_name bfd_process_name startup_script startup_script_timeout shutdown_script
        shutdown_script_timeout snmp_socket enable_traps enable_snmp_vrrp enable_snmp_keepalived
        enable_snmp_checker enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 enable_dbus
        dbus_service_name dbus_no_interface_name lvs_timeouts lvs_flush lvs_flush_on_stop lvs_notify_fifo
        lvs_notify_fifo_script lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force
        lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force checker_priority
        checker_no_swap checker_rt_priority checker_cpu_affinity checker_rlimit_rttime bfd_priority
        bfd_no_swap bfd_rt_priority bfd_cpu_affinity bfd_rlimit_rttime rs_init_notifies no_checker_emails
        umask random_seed reload_check_config reload_time_file reload_repeat reload_file include_check
        config_save_dir tmp_config_directory data_use_instance json_version json_dump_file
        state_dump_file stats_dump_file iproute_usr_dir iproute_etc_dir use_symlink_paths
        snmp_vrrp_update_interval snmp_checker_update_interval linkbeat_use_polling net_namespace
        net_namespace_ipvs namespace_with_ipsets instance use_pid_dir child_wait_time
        """
    ),
}

TRACK_KEYWORDS: Table = {
    "track_interface": Keyword(most=1, entry=track_interface),
    "track_script": Keyword(most=1, entry=tracker("script", "scripts", 253)),
    "track_file": Keyword(most=1, entry=tracker("file", "files", 254)),
    "track_process": Keyword(most=1, entry=tracker("process", "processes", 254)),
    "track_bfd": Keyword(most=1, entry=track_bfd),
}

NOTIFY_KEYWORDS: Table = {
    **{
        keyword: Keyword(notify(kind), repeatable=True, most=ANY)
        for keyword, kind in {
            "notify_master": "master",
            "notify_backup": "backup",
            "notify_fault": "fault",
            "notify_stop": "stop",
            "notify": "any",
        }.items()
    },
    "notify_priority_changes": Keyword(boolean("notify_priority_changes")),
    **host("smtp_alert"),
}

INSTANCE: Table = {
    **garp_keywords(""),
    **TRACK_KEYWORDS,
    **NOTIFY_KEYWORDS,
    **plain(
        {
            "state": state,
            "interface": interface,
            "virtual_router_id": integer("vrid", 1, 255, strict=True),
            "priority": priority,
            "advert_int": seconds("advert_int_ns", 10_000, 255_000_000, rule="N08"),
            "version": version,
            "nopreempt": flag("nopreempt"),
            "preempt": flag("nopreempt", False),
            "preempt_delay": seconds("preempt_delay_ns", 0, 1_000_000_000),
            "down_timer_adverts": integer("down_timer_adverts", 1, 100),
            "unicast_src_ip": source,
            "mcast_src_ip": source,
            "mcast_dst_ip": multicast_destination,
            "unicast_ttl": unicast_ttl,
            "unicast_fault_no_peer": unicast_fault_no_peer,
            "check_unicast_src": check_unicast_src,
            "old_unicast_checksum": old_unicast_checksum,
            "skip_check_adv_addr": skip_check,
            "strict_mode": boolean("strict"),
            "lower_prio_no_advert": boolean("lower_prio_no_advert"),
            "higher_prio_send_advert": boolean("higher_prio_send_advert"),
            "dont_track_primary": flag("dont_track_primary"),
            "native_ipv6": native_ipv6,
            "vmac_xmit_base": flag("vmac_xmit_base"),
            "accept": flag("accept"),
            "no_accept": flag("accept", False),
        }
    ),
    "notify_deleted": Keyword(notify("deleted"), repeatable=True, most=ANY),
    "notify_master_rx_lower_pri": Keyword(notify("master_rx_lower_pri"), repeatable=True, most=ANY),
    "v3_checksum_as_v2": Keyword(v3_checksum_as_v2, needs="has_v3_checksum_as_v2"),
    "timer_expired_backup": Keyword(timer_expired_backup, needs="has_timer_expired_backup"),
    "thread_timer_expired": Keyword(timer_expired_backup, needs="has_timer_expired_backup"),
    "no_virtual_ipaddress": Keyword(flag("no_virtual_ipaddress"), needs="has_no_virtual_ipaddress"),
    "owner_ignore_adverts": Keyword(boolean("owner_ignore_adverts"), needs="has_owner_ignore_adverts"),
    "authentication": Keyword(table=plain({"auth_type": auth_type, "auth_pass": auth_pass}), most=1),
    "use_vmac": Keyword(use_vmac, most=3),
    "virtual_ipaddress": Keyword(most=1, entry=add_address),
    "virtual_ipaddress_excluded": Keyword(most=1, entry=add_excluded),
    "virtual_routes": Keyword(most=1, entry=add_route),
    "virtual_rules": Keyword(most=1, entry=add_rule),
    "unicast_peer": Keyword(most=1, entry=add_peer),
    **host(
        """
        track_src_ip garp_extra_if vmac_garp_intvl use_vmac_addr use_ipvlan vrf promote_secondaries
        kernel_rx_buf_size debug lvs_sync_daemon_interface linkbeat_use_polling
        """
    ),
}

GROUP: Table = {
    **TRACK_KEYWORDS,
    **NOTIFY_KEYWORDS,
    "group": Keyword(most=1, entry=add_members),
    "sync_group_tracking_weight": Keyword(flag("tracking_weight")),
    "global_tracking": Keyword(flag("tracking_weight")),
}

SCRIPT: Table = {
    **plain({"script": script, "weight": script_weight, "user": script_user}, most=ANY),
    **plain(
        {
            "interval": script_interval,
            "timeout": script_timeout,
            "rise": rise_or_fall,
            "fall": rise_or_fall,
            "init_fail": init_fail,
        }
    ),
}

FILE: Table = {
    "file": Keyword(file_path, repeatable=True),
    "weight": Keyword(tracker_weight, repeatable=True, most=3),
    "init_file": Keyword(init_file, most=3),
}

PROCESS: Table = {
    "process": Keyword(process, most=ANY),
    "weight": Keyword(tracker_weight, repeatable=True, most=3),
    **plain(
        {
            "param_match": param_match,
            "full_command": flag("full_command"),
            "quorum": integer("quorum", 1, 65535),
            "quorum_max": integer("quorum_max", 0, 65535),
            "delay": process_delay("fork_delay_ns", "terminate_delay_ns"),
            "fork_delay": process_delay("fork_delay_ns"),
            "terminate_delay": process_delay("terminate_delay_ns"),
        }
    ),
}

GARP_GROUP: Table = {
    "garp_interval": Keyword(seconds("garp_interval_ns")),
    "gna_interval": Keyword(seconds("gna_interval_ns")),
    "interface": Keyword(add_interface, repeatable=True),
    "interfaces": Keyword(most=1, entry=add_interfaces),
}

_FILE_BLOCK = Keyword(opens=open_file, table=FILE, closes=close_file)
_OTHER_SUBSYSTEM = Keyword(not_simulated, skip=True, repeatable=True)

ROOT: Table = {
    "global_defs": Keyword(global_defs, table=GLOBAL, repeatable=True, most=1),
    "vrrp_instance": Keyword(opens=open_instance, table=INSTANCE),
    "vrrp_sync_group": Keyword(opens=open_group, table=GROUP),
    "vrrp_script": Keyword(opens=open_script, table=SCRIPT, closes=close_script),
    "vrrp_track_process": Keyword(opens=open_process, table=PROCESS, closes=close_process),
    "track_file": _FILE_BLOCK,
    "vrrp_track_file": _FILE_BLOCK,
    "interface_up_down_delays": Keyword(most=1, entry=interface_delay),
    "garp_group": Keyword(opens=open_garp_group, table=GARP_GROUP, closes=close_garp_group),
    "bfd_instance": Keyword(bfd_instance, skip=True, repeatable=True),
    "virtual_server": _OTHER_SUBSYSTEM,
    "virtual_server_group": _OTHER_SUBSYSTEM,
    "SSL": _OTHER_SUBSYSTEM,
    **host(
        """
        track_group static_ipaddress static_routes static_rules linkbeat_interfaces linkbeat_use_polling
        net_namespace net_namespace_ipvs namespace_with_ipsets instance use_pid_dir child_wait_time
        """
    ),
}

ALL_TABLES: tuple[Table, ...] = (ROOT, GLOBAL, INSTANCE, GROUP, SCRIPT, FILE, PROCESS, GARP_GROUP)


def read_rows(rows: Sequence[Row], dialect: Dialect, findings: list[Finding]) -> tuple[ParsedRouter, bool]:
    """Return what the rows say, and whether keepalived would get to their end."""
    router = ParsedRouter(dialect)
    try:
        Walker(rows, router, findings, ALL_TABLES).walk()
    except FatalError:
        return router, False
    return router, True
