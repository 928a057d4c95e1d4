"""Who deviates how, as data: one frozen `Dialect` of switches for each implementation.

The engine asks a switch, never a name. Sources: keepalived.md §0 (K1 … K20), §1.8 and §5;
rfc.md §4.5 and §5. FRR's row follows what rfc.md and ecosystem.md say of vrrpd.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class ListMismatch(Enum):
    """What an advert with another address list meets (§5.2 #16, #20; RFC 3768 §7.1)."""

    REJECT = "reject"
    ACCEPT = "accept"
    REJECT_UNLESS_OWNER = "reject unless the sender is the owner"


class SkewRounding(Enum):
    """In which unit Skew_Time is truncated (keepalived.md §2.1, rfc.md §2.3)."""

    NANOSECONDS = "ns"
    MICROSECONDS = "us"
    CENTISECONDS = "cs"


class Checksum(Enum):
    """Coverage of the IPv4 VRRPv3 checksum (rfc.md §3.6)."""

    PSEUDO_HEADER = "ph"
    MESSAGE = "msg"


class OwnerConflict(Enum):
    """What an owner does with an advert for its own VRID (FSM-36, EID 8298)."""

    DISCARD = "discard"
    DROP_TO_254 = "drop to 254"
    ROGUE = "rogue owner procedure"
    COMPARE_ADDRESS = "compare addresses"


class Dialect(NamedTuple):
    """The switches. The defaults are keepalived 2.2.7's."""

    name: str
    default_version: int = 2

    # --- receive checks (§5.2)
    list_mismatch: ListMismatch = ListMismatch.REJECT  # K1
    padded_short_ok: bool = False  # K3
    source_check_needs_list_check: bool = True  # K16
    own_source_dropped: bool = False  # rfc.md §4.4 S1; keepalived only warns, FSM-32
    zero_count_rejected: bool = False  # EID 8299
    zero_interval_rejected: bool = False  # EID 8301
    first_address_link_local: bool = False  # EID 8300
    checksum: Checksum = Checksum.PSEUDO_HEADER
    checks_in_rfc_order: bool = False  # rfc.md §5.1 instead of keepalived.md §5.2
    authentication: bool = True  # v2 PASS / AH exist at all

    # --- timers (§2)
    skew_rounding: SkewRounding = SkewRounding.MICROSECONDS
    skew_recomputed_on_learning: bool = True  # RFC 5798 read literally: False
    priority_change_shifts_deadline: bool = True  # FSM-24
    remaining_time_overwrites_down_time: bool = True  # FSM-11, FSM-16: the quirk behind FSM-24
    rejected_restarts_advert_timer: bool = True  # K19, FSM-35

    # --- state machine (§1)
    answers_lower_advert: bool = True  # FSM-33, RFC 9568 §6.4.3
    answers_own_source: bool = False  # FSM-32; RFC 9568 §6.4.3 to the letter: True (rfc.md §4.4 S2)
    lower_advert_restarts_timer: bool = True  # rfc.md §4.4 S4: False
    fault_priority_zero_adverts: int = 2  # FSM-38
    stop_keeps_addresses: bool = False  # FRR: they are on a macvlan of the network configuration
    resigns_without_source: bool = False  # K17: priority 0 although the IPv6 source is gone
    owner_starts_as_master: bool = True  # FSM-5, RFC 9568 §6.4.1
    owner_needs_wanted_state: bool = True  # FSM-5, FSM-43; the RFCs have no wanted state
    owner_conflict: OwnerConflict = OwnerConflict.DROP_TO_254  # K9
    owner_preempts_regardless: bool = False  # RFC9568-6.1-f
    startup_delay_discards: bool = False  # K4
    has_timer_expired_backup: bool = False  # K11
    reload_adverts: int = 1  # immediate adverts of a master before it re-reads (§1.7)

    # --- trackers (§3)
    runs_overlapping_scripts: bool = True  # K5
    script_interval_in_ms: bool = False  # K6

    # --- gratuitous ARP (§4)
    garp_refresh_on_adverts: bool = True  # K7
    garp_interval_collapses: bool = True  # K8
    garp_target_is_sender_mac: bool = False  # rfc.md §6.3: EID 7947
    garp_repeats: bool = True  # False: one per address, as the RFCs ask
    garp_on_lower_advert: bool = True  # GA-4
    always_vmac: bool = False  # RFC 9568 §7.2: source MAC is the virtual MAC

    # --- keywords of the configuration (§0)
    has_v3_checksum_as_v2: bool = False  # K12
    has_no_virtual_ipaddress: bool = False  # K13
    has_owner_ignore_adverts: bool = False  # K14
    has_symlink_paths: bool = False  # use_symlink_paths
    ignores_equal_addresses: bool = False  # of virtual_ipaddress, interfaces aside
    missing_source_is_fault: bool = True  # K15
    unicast_ends_with_interface: bool = False  # its sockets are not opened again before a reload
    vmac_source_is_read_once: bool = False  # the macvlan's link-local address is the card's at the start
    strict_excludes_unicast: bool = False  # N27: of 2.2.7 to 2.3.4 the test comes too early
    unicast_needs_interface: bool = False  # the same mistake, in 2.2.7 only: else it exits
    reject_log_every_packet: bool = True  # K2


KEEPALIVED_2_2_7 = Dialect(
    name="keepalived-2.2.7",
    unicast_needs_interface=True,
    unicast_ends_with_interface=True,
    vmac_source_is_read_once=True,
)
KEEPALIVED_2_2_4 = KEEPALIVED_2_2_7._replace(
    name="keepalived-2.2.4", unicast_needs_interface=False, strict_excludes_unicast=True
)
KEEPALIVED_2_0_20 = KEEPALIVED_2_2_4._replace(
    name="keepalived-2.0.20", missing_source_is_fault=False, vmac_source_is_read_once=False
)
KEEPALIVED_2_2_8 = KEEPALIVED_2_2_7._replace(
    name="keepalived-2.2.8",
    unicast_needs_interface=False,
    startup_delay_discards=True,
    has_timer_expired_backup=True,
    has_v3_checksum_as_v2=True,
    has_no_virtual_ipaddress=True,
)
KEEPALIVED_2_3_3 = KEEPALIVED_2_2_8._replace(
    name="keepalived-2.3.3",
    list_mismatch=ListMismatch.ACCEPT,
    padded_short_ok=True,
    source_check_needs_list_check=False,
    owner_conflict=OwnerConflict.ROGUE,
    resigns_without_source=True,
    runs_overlapping_scripts=False,
    script_interval_in_ms=True,
    garp_refresh_on_adverts=False,
    garp_interval_collapses=False,
    has_owner_ignore_adverts=True,
    has_symlink_paths=True,
    ignores_equal_addresses=True,
    missing_source_is_fault=False,
    vmac_source_is_read_once=False,
    reject_log_every_packet=False,
)
KEEPALIVED_2_3_4 = KEEPALIVED_2_3_3._replace(name="keepalived-2.3.4", ignores_equal_addresses=False)
KEEPALIVED_2_4_3 = KEEPALIVED_2_3_4._replace(name="keepalived-2.4.3", strict_excludes_unicast=True)
RFC9568 = Dialect(
    name="rfc9568",
    default_version=3,
    list_mismatch=ListMismatch.ACCEPT,
    padded_short_ok=True,
    own_source_dropped=True,
    zero_count_rejected=True,
    zero_interval_rejected=True,
    first_address_link_local=True,
    checksum=Checksum.MESSAGE,
    checks_in_rfc_order=True,
    authentication=False,
    skew_rounding=SkewRounding.NANOSECONDS,
    priority_change_shifts_deadline=False,
    remaining_time_overwrites_down_time=False,
    rejected_restarts_advert_timer=False,
    lower_advert_restarts_timer=False,
    fault_priority_zero_adverts=0,
    owner_needs_wanted_state=False,
    owner_preempts_regardless=True,
    owner_conflict=OwnerConflict.COMPARE_ADDRESS,
    reload_adverts=0,
    runs_overlapping_scripts=False,
    script_interval_in_ms=True,
    garp_target_is_sender_mac=True,
    garp_repeats=False,
    garp_on_lower_advert=False,
    always_vmac=True,
    missing_source_is_fault=False,
)
RFC9568_LITERAL = (
    RFC9568._replace(  # §6.4.3 and no word beyond: two with one address answer each other without end
        name="rfc9568-literal", own_source_dropped=False, answers_own_source=True
    )
)
RFC5798 = RFC9568._replace(
    name="rfc5798",
    zero_count_rejected=False,
    zero_interval_rejected=False,
    first_address_link_local=False,
    checksum=Checksum.PSEUDO_HEADER,
    answers_lower_advert=False,
    owner_conflict=OwnerConflict.DISCARD,
)
RFC3768 = RFC5798._replace(
    name="rfc3768",
    default_version=2,
    list_mismatch=ListMismatch.REJECT_UNLESS_OWNER,
    garp_target_is_sender_mac=False,
)
FRR_8_4 = RFC5798._replace(
    name="frr-8.4",
    padded_short_ok=False,
    skew_rounding=SkewRounding.CENTISECONDS,
    stop_keeps_addresses=True,
    garp_target_is_sender_mac=False,
)

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        RFC3768,
        RFC5798,
        RFC9568,
        RFC9568_LITERAL,
        KEEPALIVED_2_0_20,
        KEEPALIVED_2_2_4,
        KEEPALIVED_2_2_7,
        KEEPALIVED_2_2_8,
        KEEPALIVED_2_3_3,
        KEEPALIVED_2_3_4,
        KEEPALIVED_2_4_3,
        FRR_8_4,
    )
}
DEFAULT_DIALECT = KEEPALIVED_2_2_7


def hardened(dialect: Dialect) -> Dialect:
    """The same for `vrrpsim live`: what is rejected silences no master (FSM-35), what went comes back."""
    return dialect._replace(
        rejected_restarts_advert_timer=False,
        unicast_ends_with_interface=False,
        vmac_source_is_read_once=False,
    )
