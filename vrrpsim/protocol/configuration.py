"""The effective configuration of one VRRP daemon, as frozen values.

Readers (`vrrpsim.scenario`) build these values from keepalived.conf or from scenario YAML; the engine
never reads text. Every rounding, default and dropped tracker of keepalived has already happened:
what stands here is what runs. Times are integer nanoseconds, addresses `ipaddress` objects.
"""

# Annotations are values here: of strings, typing.NamedTuple compiles each at every start.

from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from .addresses import cached

Address = IPv4Address | IPv6Address

SECOND_NS: Final = 1_000_000_000
GROUP4 = cached(IPv4Address("224.0.0.18"))  # RFC 9568 §5.1.1.2
GROUP6 = cached(IPv6Address("ff02::12"))  # §5.1.2.2
OWNER_PRIORITY: Final = 255  # RFC 9568 §5.2.4: the address owner


class InitialState(Enum):
    """The `state` keyword. Without effect on timing in keepalived 2.x (FSM-6)."""

    MASTER = "MASTER"
    BACKUP = "BACKUP"


class AuthType(IntEnum):
    """VRRPv2 authentication (RFC 2338 §5.3.6); the value is the wire's Auth Type."""

    NONE = 0
    PASS = 1
    AH = 2


class ChecksumMode(Enum):
    """How the IPv4 VRRPv3 checksum treats the pseudo-header (keepalived.md §5.1)."""

    DIALECT = "dialect"
    OLD_UNICAST = "old_unicast"  # pseudo-header with 224.0.0.18 even for unicast
    NEVER_OLD = "never_old"  # `old_unicast_checksum never`
    AS_V2 = "as_v2"  # `v3_checksum_as_v2`: none when sending, anything accepted


class Authentication(NamedTuple):
    """`authentication {}`: the key is at most 8 bytes, not zero-padded (keepalived.md §5.2 #12)."""

    auth_type: AuthType = AuthType.NONE
    key: bytes = b""

    def __repr__(self) -> str:  # a secret is not shown
        return f"Authentication(auth_type={self.auth_type!r})"


class VirtualAddress(NamedTuple):
    """One entry of `virtual_ipaddress`; `interface` is its `dev`, None for the instance's own."""

    address: Address
    prefix_length: int
    interface: str | None = None
    no_track: bool = False


class VirtualRoute(NamedTuple):
    """One line of `virtual_routes` or `virtual_rules`, as written, and the interfaces that it depends on."""

    text: str
    interfaces: tuple[str, ...] = ()
    is_rule: bool = False


class UnicastPeer(NamedTuple):
    """One entry of `unicast_peer`, with the TTL range accepted from it (§5.2 #22)."""

    address: Address
    min_ttl: int = 0
    max_ttl: int = 255


class Track(NamedTuple):
    """A reference to a tracked object from an instance or a group.

    Weight 0 means a failure puts the instance into FAULT (keepalived.md §3.1).
    """

    name: str
    weight: int = 0
    reverse: bool = False


class Garp(NamedTuple):
    """Counts and times of gratuitous ARP and unsolicited NA (GA-1 … GA-4)."""

    master_delay_ns: int = 5 * SECOND_NS
    master_repeat: int = 5
    master_refresh_ns: int = 0
    master_refresh_repeat: int = 1
    lower_prio_delay_ns: int = 5 * SECOND_NS
    lower_prio_repeat: int = 5
    extra_ns: int = 0  # `garp_extra_if all`: one on each other interface, again and again (GA-8)


class NotifyScripts(NamedTuple):
    """The notify scripts of an instance or a group; empty strings are absent.

    `users`: (name of the field, "USER [GROUP]") of those that run as somebody else.
    """

    master: str = ""
    backup: str = ""
    fault: str = ""
    stop: str = ""
    deleted: str = ""
    any: str = ""
    master_rx_lower_pri: str = ""
    users: tuple[tuple[str, str], ...] = ()
    priority_changes: bool = False

    @property
    def has_scripts(self) -> bool:
        """Whether anything is run."""
        states = (self.master, self.backup, self.fault, self.stop, self.deleted, self.master_rx_lower_pri)
        return any(states) or bool(self.any)


class InstanceConfig(NamedTuple):
    """One `vrrp_instance` after all defaults (keepalived.md §6.2)."""

    name: str
    interface: str
    vrid: int
    priority: int  # `base`, 1..255
    version: int = 2
    initial_state: InitialState = InitialState.BACKUP
    addresses: tuple[VirtualAddress, ...] = ()
    excluded: tuple[VirtualAddress, ...] = ()  # `virtual_ipaddress_excluded`: not advertised
    routes: tuple[VirtualRoute, ...] = ()  # only their interfaces matter here
    family: int = 4  # 4 or 6
    advert_int_ns: int = SECOND_NS
    preempt: bool = True  # False: `nopreempt`
    preempt_delay_ns: int = 0
    down_timer_adverts: int = 3
    authentication: Authentication = Authentication()
    source: Address | None = None  # `unicast_src_ip` / `mcast_src_ip`; None: the interface's own
    unicast_peers: tuple[UnicastPeer, ...] = ()
    multicast_group: Address = GROUP4
    ttl: int = 255
    checksum: ChecksumMode = ChecksumMode.DIALECT
    check_unicast_src: bool = False
    skip_check_adv_addr: bool = False
    lower_prio_no_advert: bool = False
    higher_prio_send_advert: bool = False
    owner_ignore_adverts: bool = False
    timer_expired_backup: int | None = None  # the priority P of K11; 0: 254
    accept: bool = True
    strict: bool = False
    garp: Garp = Garp()
    use_vmac: bool = False
    vmac_interface: str = ""  # the macvlan's name, `vrrp.VRID` by default
    vmac_xmit_base: bool = False
    dont_track_primary: bool = False
    track_interfaces: tuple[Track, ...] = ()
    track_scripts: tuple[Track, ...] = ()
    track_files: tuple[Track, ...] = ()
    track_processes: tuple[Track, ...] = ()
    track_bfds: tuple[Track, ...] = ()
    config_faults: tuple[str, ...] = ()  # reasons to stay in FAULT for ever
    notify: NotifyScripts = NotifyScripts()

    @property
    def is_owner(self) -> bool:
        """Priority 255: the address owner (RFC 9568 §5.2.4)."""
        return self.priority == OWNER_PRIORITY

    @property
    def tracked(self) -> dict[str, tuple[Track, ...]]:
        """All trackers by kind: "script", "interface", "process", "bfd", "file"."""
        return {
            "script": self.track_scripts,
            "interface": self.track_interfaces,
            "process": self.track_processes,
            "bfd": self.track_bfds,
            "file": self.track_files,
        }

    @property
    def unicast(self) -> bool:
        """At least one `unicast_peer` was accepted (keepalived.md §5.3)."""
        return bool(self.unicast_peers)

    @property
    def adverts_from_vmac(self) -> bool:
        """Whether adverts have the virtual MAC: not to a peer, by whose route they leave (asked of 2.2.7)."""
        return not self.vmac_xmit_base and not self.unicast

    @property
    def owned_interface(self) -> str:
        """The interface that carries the addresses: the VMAC if there is one."""
        return self.vmac_interface if self.use_vmac else self.interface


class ScriptConfig(NamedTuple):
    """One `vrrp_script` (SC-1). `command` is the string as written, `words` after LX-19."""

    name: str
    command: str
    words: tuple[str, ...] = ()
    interval_ns: int = SECOND_NS
    timeout_ns: int = 0  # 0: the interval
    weight: int = 0
    reverse: bool = False
    rise: int = 1
    fall: int = 1
    user: str = ""  # "USER [GROUP]"

    @property
    def effective_timeout_ns(self) -> int:
        """`timeout`, or the interval where none is given (SC-1)."""
        return self.timeout_ns or self.interval_ns


class FileConfig(NamedTuple):
    """One `track_file` (keepalived.md §3.3)."""

    name: str
    path: str
    weight: int = 1
    reverse: bool = False
    init_value: int | None = None
    overwrite: bool = False


class ProcessConfig(NamedTuple):
    """One `vrrp_track_process` (keepalived.md §3.3)."""

    name: str
    process: str  # matched against `comm`
    parameters: tuple[str, ...] = ()
    param_match: str = ""  # "", "exact", "initial", "partial"
    full_command: bool = False
    weight: int = 0
    reverse: bool = False
    quorum: int = 1
    quorum_max: int | None = None
    fork_delay_ns: int = 0
    terminate_delay_ns: int = 0


class BfdConfig(NamedTuple):
    """One `bfd_instance`: a session with a neighbour, down `multiplier` intervals after the last packet."""

    name: str
    neighbor: Address
    weight: int = 0
    reverse: bool = False
    interval_ns: int = 10_000_000  # the longer of min_rx and min_tx
    multiplier: int = 5


class GroupConfig(NamedTuple):
    """One `vrrp_sync_group` (SG-1 … SG-9); its trackers apply to every member."""

    name: str
    members: tuple[str, ...]
    track_interfaces: tuple[Track, ...] = ()
    track_scripts: tuple[Track, ...] = ()
    track_files: tuple[Track, ...] = ()
    track_processes: tuple[Track, ...] = ()
    track_bfds: tuple[Track, ...] = ()
    notify: NotifyScripts = NotifyScripts()


class InterfaceDelay(NamedTuple):
    """`interface_up_down_delays`: the debounce of one interface (keepalived.md §1.5)."""

    interface: str
    down_ns: int = 0
    up_ns: int = 0


class GarpGroup(NamedTuple):
    """Minimum spacing of GARPs / NAs on interfaces (GA-6); no interface names: everywhere."""

    interfaces: tuple[str, ...] = ()
    garp_interval_ns: int = 0
    gna_interval_ns: int = 0


class RouterConfig(NamedTuple):
    """Everything one daemon runs. Instance trackers already include their group's (SG-6, SG-7)."""

    router_id: str = ""
    instances: tuple[InstanceConfig, ...] = ()
    groups: tuple[GroupConfig, ...] = ()
    scripts: tuple[ScriptConfig, ...] = ()  # only those in use (SC-2)
    files: tuple[FileConfig, ...] = ()
    processes: tuple[ProcessConfig, ...] = ()
    bfds: tuple[BfdConfig, ...] = ()
    startup_delay_ns: int = 0
    interface_delays: tuple[InterfaceDelay, ...] = ()
    garp_groups: tuple[GarpGroup, ...] = ()
    log_unknown_vrids: bool = False
    notify_priority_changes: bool = False
    notify_fifo: str = ""
    vrrp_notify_fifo: str = ""
    dynamic_interfaces: bool = False  # an interface that is not there is a fault, no error
    symlink_paths: bool = False  # scripts are started under the name that is written, not their target's
