"""What `vrrpsim live` will run: the file as keepalived would read it, and what is worth saying about it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vrrpsim.findings import Finding, InputError, Place, Severity
from vrrpsim.keepalived.arguments import parse_address
from vrrpsim.keepalived.compiler import read_keepalived
from vrrpsim.keepalived.lexer import Row
from vrrpsim.protocol.configuration import GroupConfig, InstanceConfig, RouterConfig
from vrrpsim.protocol.dialect import Dialect

from .fifo import Fifo, read_fifos
from .linux import interfaces_of
from .mail import Alerts, read_alerts
from .privileges import CAPABILITIES, missing_capabilities
from .scripts import ids_of, read_security, usable_scripts

_UNDONE_WORDS = """
    virtual_routes virtual_rules static_ipaddress static_routes static_rules track_bfd bfd_instance
    virtual_server virtual_server_group promote_secondaries
    lvs_sync_daemon startup_script shutdown_script vrf use_ipvlan garp_extra_if
    vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vrrp_garp_extra_if linkbeat_use_polling
    linkbeat_interfaces net_namespace enable_dbus
"""
UNDONE = frozenset(_UNDONE_WORDS.split())  # keepalived's, not ours: silence would be a trap
ADDRESS_UNDONE = frozenset(
    ("brd", "label", "scope", "peer", "home", "preferred_lft", "mngtmpaddr", "autojoin")
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as it will run, and what is worth saying about it."""

    config: RouterConfig
    remarks: tuple[str, ...]
    fifos: tuple[Fifo, ...] = ()
    alerts: Alerts = field(default_factory=Alerts)


def load(path: Path, dialect: Dialect, config_id: str | None = None) -> Loaded:
    """Read the file; raise `InputError` where keepalived would not start."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError((_error(path, f"cannot be read: {error.strerror}"),)) from error
    compiled = read_keepalived(path, config_id=config_id, dialect=dialect)
    errors = tuple(finding for finding in compiled.findings if finding.severity is Severity.ERROR)
    if compiled.config is None:
        raise InputError(errors or compiled.findings)
    remarks = [str(finding) for finding in compiled.findings if finding.severity is not Severity.INFO]
    remarks += _undone(compiled.rows, compiled.config)
    security = read_security(compiled.rows)
    config, disabled = usable_scripts(_with_vmacs(compiled.config, dialect), security)
    fifos, unread = read_fifos(compiled.rows, security)
    alerts, unsent = read_alerts(compiled.rows)
    if unheard := _unheard_users(config):
        own = pwd.getpwuid(os.geteuid()).pw_name if _has_name(os.geteuid()) else str(os.geteuid())
        remarks.append(f"scripts of {', '.join(unheard)} run as {own}: only root can give them another user")
    if config.scripts and not security.enabled:
        remarks.append(
            "SECURITY VIOLATION - scripts are being executed but script_security not enabled."
        )  # SC-13
    if mode & 0o004 and any(each.authentication.key for each in config.instances):
        remarks.append(f"{path}: contains a password and can be read by everybody (chmod o-r)")
    return Loaded(config, (*remarks, *disabled, *unread, *unsent), fifos, alerts)


def _unheard_users(config: RouterConfig) -> list[str]:
    """Users that scripts should have and will not: only root can become somebody else."""
    owners: tuple[InstanceConfig | GroupConfig, ...] = (*config.instances, *config.groups)
    named = [each.user for each in config.scripts] + [
        user for each in owners for _, user in each.notify.users
    ]
    own = os.geteuid()
    return sorted({user for user in named if user and own != 0 and ids_of(user)[0] != own})


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _error(path: Path, message: str) -> Finding:
    return Finding(Place(str(path), 1, 1), "VRRP024", message)


def _undone(rows: Iterable[Row], config: RouterConfig) -> list[str]:
    """What keepalived would do to the machine and we do not, each word once."""
    places: dict[str, Place] = {}
    for row in rows:
        first, *others = row.words
        if first.text in UNDONE:
            places.setdefault(first.text, first.place)
        elif parse_address(first.text.partition("/")[0]) is not None:
            for word in others:
                if word.text in ADDRESS_UNDONE:
                    places.setdefault(word.text, word.place)
    remarks = [f"{place}: '{word}' is not done by vrrpsim live" for word, place in places.items()]
    closed = [each.name for each in config.instances if not each.accept]
    return remarks + [f"({name}) no_accept: traffic to its addresses is not filtered" for name in closed]


def _with_vmacs(config: RouterConfig, dialect: Dialect) -> RouterConfig:
    """RFC 9568 §7.2: where the dialect always uses the virtual MAC, each instance needs its macvlan."""
    if not dialect.always_vmac:
        return config
    instances = tuple(
        each
        if each.use_vmac
        else each._replace(use_vmac=True, vmac_interface=f"vrrp{each.family}.{each.vrid}")
        for each in config.instances
    )
    return config._replace(instances=instances)


def plan(loaded: Loaded, path: Path, dialect: Dialect) -> list[str]:
    """What `--dry-run` prints."""
    lines = [f"{path}: {len(loaded.config.instances)} instances, dialect {dialect.name}"]
    for each in loaded.config.instances:
        peers = ", ".join(str(peer.address) for peer in each.unicast_peers) or str(each.multicast_group)
        lines.append(
            f"({each.name}) listen on {each.interface}, IPv{each.family}, VRID {each.vrid}, version "
            f"{each.version}, priority {each.priority}, "
            f"adverts every {each.advert_int_ns / 1e9:g} s to {peers}"
        )
        if each.use_vmac:
            lines.append(f"({each.name}) make macvlan {each.vmac_interface} on {each.interface}")
        for e in (*each.addresses, *each.excluded):
            carrier = e.interface or each.owned_interface
            lines.append(f"({each.name}) as master add {e.address}/{e.prefix_length} to {carrier}")
    for script in loaded.config.scripts:
        lines.append(f"check {script.name} every {script.interval_ns / 1e9:g} s: {' '.join(script.words)}")
    lines += [f"read {file.path} for {file.name}" for file in loaded.config.files]
    for fifo in loaded.fifos:
        read_by = f", read by {' '.join(fifo.script)}" if fifo.script else ""
        lines.append(f"write notifications to {fifo.path}{read_by}")
    if (alerts := loaded.alerts).to and alerts.server:
        lines.append(f"mail alerts by {alerts.server}:{alerts.port} to {', '.join(alerts.to)}")
    there = {folder.name for folder in Path("/sys/class/net").iterdir()}
    lines += [f"there is no interface {n}" for n in interfaces_of(loaded.config) if n not in there]
    lines += [f"missing: {name}" for name in missing_capabilities(*CAPABILITIES)]
    return lines
