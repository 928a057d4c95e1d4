"""What has been read of each block so far: None means "not written", so that defaults can be told apart.

They live only while a configuration is read; `defaults` turns them into the frozen model. A keyword whose
value is taken as it stands needs no field here: its row names the frozen model's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from vrrpsim.findings import Place
from vrrpsim.protocol.configuration import (
    SECOND_NS,
    Address,
    AuthType,
    BfdConfig,
    ChecksumMode,
    FileConfig,
    GarpGroup,
    InitialState,
    InterfaceDelay,
    ProcessConfig,
    ScriptConfig,
    Track,
    UnicastPeer,
    VirtualAddress,
    VirtualRoute,
)
from vrrpsim.protocol.dialect import Dialect

TRACKERS = ("interface", "script", "file", "process", "bfd")


@dataclass(eq=False, repr=False)
class Parsed:
    """What every block has: its name, its place and where its keywords stood."""

    name: str
    place: Place
    router: ParsedRouter
    places: dict[str, Place] = field(default_factory=dict)
    tracks: dict[str, dict[str, Track]] = field(default_factory=lambda: {kind: {} for kind in TRACKERS})
    track_places: dict[tuple[str, str], Place] = field(default_factory=dict)
    notify: dict[str, str] = field(default_factory=dict)
    notify_users: dict[str, str] = field(default_factory=dict)
    notify_priority_changes: bool | None = None


@dataclass(eq=False, repr=False)
class ParsedInstance(Parsed):
    """A `vrrp_instance`."""

    state: InitialState | None = None
    interface: str = ""
    vrid: int | None = None
    priority: int | None = None
    advert_int_ns: int | None = None
    version: int | None = None
    nopreempt: bool = False
    preempt_delay_ns: int = 0
    down_timer_adverts: int | None = None
    auth_type: AuthType = AuthType.NONE
    auth_key: bytes = field(default=b"", repr=False)
    family: int = 0  # 0: not known yet
    addresses: list[VirtualAddress] = field(default_factory=list)
    excluded: list[VirtualAddress] = field(default_factory=list)
    routes: list[VirtualRoute] = field(default_factory=list)
    unicast_peers: list[UnicastPeer] = field(default_factory=list)
    source: Address | None = None
    multicast_group: Address | None = None
    unicast_ttl: int | None = None
    unicast_keyword: bool = False  # any keyword that only makes sense with peers
    unicast_fault_no_peer: bool = False
    check_unicast_src: bool | None = None
    checksum: ChecksumMode = ChecksumMode.DIALECT
    skip_check_adv_addr: bool | None = None
    strict: bool | None = None
    lower_prio_no_advert: bool | None = None
    higher_prio_send_advert: bool | None = None
    owner_ignore_adverts: bool | None = None
    timer_expired_backup: int | None = None
    no_virtual_ipaddress: bool = False
    accept: bool | None = None
    garp: SimpleNamespace = field(default_factory=SimpleNamespace)  # what is written, as `Garp` names it
    use_vmac: bool = False
    vmac_interface: str = ""
    vmac_xmit_base: bool = False
    dont_track_primary: bool = False


@dataclass(eq=False, repr=False)
class ParsedGroup(Parsed):
    """A `vrrp_sync_group`."""

    members: list[tuple[str, Place]] = field(default_factory=list)
    tracking_weight: bool = False


@dataclass(eq=False, repr=False)
class ParsedScript(Parsed):
    """A `vrrp_script`; `track_file` and `vrrp_track_process` share the common fields."""

    command: str | None = None
    words: tuple[str, ...] = ()
    interval_ns: int = SECOND_NS
    timeout_ns: int = 0
    weight: int | None = None
    reverse: bool = False
    user: str = ""
    no_such_user: bool = False


@dataclass(eq=False, repr=False)
class ParsedFile(Parsed):
    """A `track_file`."""

    path: str = ""
    weight: int | None = None
    reverse: bool = False
    init_value: int | None = None
    overwrite: bool = False


@dataclass(eq=False, repr=False)
class ParsedProcess(Parsed):
    """A `vrrp_track_process`."""

    process: str = ""
    parameters: tuple[str, ...] = ()
    param_match: str = ""
    weight: int | None = None
    reverse: bool = False


@dataclass(eq=False, repr=False)
class ParsedGarpGroup(Parsed):
    """A `garp_group`."""

    interfaces: list[str] = field(default_factory=list)
    garp_interval_ns: int = 0
    gna_interval_ns: int = 0


@dataclass(eq=False, repr=False)
class ParsedBfd(Parsed):
    """A `bfd_instance`."""

    neighbor: Address | None = None
    weight: int = 0
    reverse: bool = False
    min_rx_ns: int = 10_000_000
    min_tx_ns: int = 10_000_000
    multiplier: int = 5


@dataclass(eq=False, repr=False)
class ParsedRouter:
    """Everything read so far; trackers are looked up here while parsing (N10)."""

    dialect: Dialect
    places: dict[tuple[str, ...], Place] = field(default_factory=dict)
    instances: dict[str, ParsedInstance] = field(default_factory=dict)
    groups: dict[str, ParsedGroup] = field(default_factory=dict)
    scripts: dict[str, ScriptConfig] = field(default_factory=dict)
    files: dict[str, FileConfig] = field(default_factory=dict)
    processes: dict[str, ProcessConfig] = field(default_factory=dict)
    bfds: dict[str, BfdConfig] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)  # tracked before they are defined
    not_simulated: set[str] = field(default_factory=set)  # keywords already remarked upon
    interface_delays: list[InterfaceDelay] = field(default_factory=list)
    garp_groups: list[GarpGroup] = field(default_factory=list)
    garp: SimpleNamespace = field(default_factory=SimpleNamespace)  # what is written, as `Garp` names it
    garp_interval_ns: int = 0
    gna_interval_ns: int = 0
    version: int | None = None
    multicast_group4: Address | None = None
    multicast_group6: Address | None = None
    down_timer_adverts: int = 3
    lower_prio_no_advert: bool = False
    higher_prio_send_advert: bool = False
    check_unicast_src: bool = False
    skip_check_adv_addr: bool = False
    strict: bool = False
    owner_ignore_adverts: bool | None = None
    script_user: str = ""
    no_such_user: bool = False
    dynamic_interfaces: bool = False
    symlink_paths: bool = False


Frozen = TypeVar("Frozen")


def as_written(kind: type[Frozen], parsed: object, **decided: Any) -> Frozen:
    """Make the frozen value: what was decided, else what was written under that name, else its default."""
    names = {*kind.__annotations__} - decided.keys()
    written = {name: value for name, value in vars(parsed).items() if name in names and value is not None}
    return kind(**written, **decided)
