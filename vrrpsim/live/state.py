"""What a daemon is doing now, as plain values: for SIGUSR1, `--status`, metrics and systemd. No secrets."""

from __future__ import annotations

from typing import Any

from vrrpsim.protocol.fsm import NEVER_NS, State
from vrrpsim.protocol.instances import Instance
from vrrpsim.protocol.router import VrrpRouter


def snapshot(router: VrrpRouter, now_ns: int) -> list[dict[str, Any]]:
    """One entry for each instance, shaped like keepalived.json (keepalived.md §7.4); times in seconds."""
    return [_entry(instance, now_ns) for instance in list(router.instances.values())]


def _entry(instance: Instance, now_ns: int) -> dict[str, Any]:
    config, state, counters = instance.config, instance.state, instance.counters
    deadline_ns, heard_ns = instance.timer.at_ns, instance.last_advert_ns
    return {
        "data": {
            "iname": config.name,
            "state": int(state.state),
            "state_name": state.state.name,
            "ifp_ifname": config.interface,
            "vrid": config.vrid,
            "version": config.version,
            "family": config.family,
            "base_priority": state.base,
            "effective_priority": state.priority,
            "adver_int": config.advert_int_ns / 1e9,
            "master_adver_int": state.master_adver_interval_ns / 1e9,
            "master": str(state.master_address or "") if state.state is not State.MASTER else "",
            "master_priority": state.master_priority,
            "source": str(state.source or ""),
            "vipset": instance.owns_addresses,
            "vips": [str(entry.address) for entry in config.addresses],
            "due_in": None if deadline_ns >= NEVER_NS else (deadline_ns - now_ns) / 1e9,
            "last_advert_ago": None if heard_ns is None else (now_ns - heard_ns) / 1e9,
            "faults": list(instance.standing.faults),
        },
        "stats": {
            "advert_rcvd": instance.received,
            "advert_sent": instance.sent,
            **{name: counters[name] for name in COUNTERS},
        },
    }


COUNTERS = (
    "become_master",
    "release_master",
    "packet_len_err",
    "ip_ttl_err",
    "vers_err",
    "invalid_type_rcvd",
    "invalid_authtype",
    "authtype_mismatch",
    "auth_failure",
    "addr_list_err",
    "chk_err",
    "pri_zero_rcvd",
    "pri_zero_sent",
)
