"""keepalived's keywords in YAML: which there are, what they take, and the statements they become.

`keepalived:` without `file:` holds the keywords of keepalived.conf one to one (DESIGN.md §5). This
module only turns the mapping into the statements that the lexer would have read from a keepalived.conf,
with YAML places; what they mean is the compiler's business alone. The tables follow keepalived.md §6.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

from vrrpsim.findings import Place
from vrrpsim.keepalived.lexer import Statement, Word
from vrrpsim.scenario.quantities import SECOND_NS, parse_duration_ns

from .yaml_tree import Keys, Tree


class Takes(Enum):
    """What stands after a keyword."""

    FLAG = "true"  # true: the bare keyword; false: nothing
    BOOL = "true or false"  # true: the bare keyword; false: `keyword off`
    INT = "a whole number"
    SECONDS = "seconds"  # a number, or a duration such as 500ms
    WORD = "a word"  # one word, taken as it is
    WORDS = "words"  # split at blanks; or a list of words
    SCRIPT = "a command"  # one quoted string
    SECRET = "a password"  # digits only must be quoted
    LINES = "entries"  # a value block with one entry per line: a list, a mapping or one entry
    NAMES = "names"  # a value block in which every word is an entry


FLAG, BOOL, INT, SECONDS, WORD = Takes.FLAG, Takes.BOOL, Takes.INT, Takes.SECONDS, Takes.WORD
WORDS, SCRIPT, SECRET, LINES, NAMES = Takes.WORDS, Takes.SCRIPT, Takes.SECRET, Takes.LINES, Takes.NAMES

Keywords = dict[str, "Takes | Keywords"]


def _all(takes: Takes, names: str) -> Keywords:
    return dict.fromkeys(names.split(), takes)


_TRACKERS = _all(LINES, "track_interface track_script track_file track_process track_bfd")
_NOTIFY: Keywords = {
    **_all(SCRIPT, "notify notify_master notify_backup notify_fault notify_stop notify_deleted"),
    "notify_priority_changes": BOOL,
    "smtp_alert": BOOL,
}
_GARP: Keywords = {
    **_all(SECONDS, "garp_master_delay garp_master_refresh garp_lower_prio_delay"),
    **_all(INT, "garp_master_repeat garp_master_refresh_repeat garp_lower_prio_repeat"),
    "garp_extra_if": WORDS,
}

INSTANCE: Keywords = {
    **_all(WORD, "state interface unicast_src_ip mcast_src_ip mcast_dst_ip vrf lvs_sync_daemon_interface"),
    **_all(INT, "virtual_router_id priority version down_timer_adverts unicast_ttl kernel_rx_buf_size debug"),
    **_all(SECONDS, "advert_int preempt_delay"),
    **_all(FLAG, "nopreempt preempt track_src_ip unicast_fault_no_peer check_unicast_src native_ipv6"),
    **_all(FLAG, "dont_track_primary no_virtual_ipaddress use_vmac_addr vmac_xmit_base"),
    **_all(FLAG, "accept no_accept linkbeat_use_polling"),
    **_all(BOOL, "v3_checksum_as_v2 skip_check_adv_addr strict_mode lower_prio_no_advert"),
    **_all(BOOL, "higher_prio_send_advert owner_ignore_adverts promote_secondaries"),
    **_all(WORDS, "old_unicast_checksum timer_expired_backup thread_timer_expired use_vmac use_ipvlan"),
    **_all(LINES, "virtual_ipaddress virtual_ipaddress_excluded unicast_peer virtual_routes virtual_rules"),
    "authentication": {"auth_type": WORD, "auth_pass": SECRET},
    "notify_master_rx_lower_pri": SCRIPT,
    **_GARP,
    **_TRACKERS,
    **_NOTIFY,
}
GROUP: Keywords = {
    "group": NAMES,
    **_all(FLAG, "global_tracking sync_group_tracking_weight"),
    **_TRACKERS,
    **_NOTIFY,
}
SCRIPT_BLOCK: Keywords = {
    "script": SCRIPT,
    **_all(SECONDS, "interval timeout"),
    **_all(INT, "rise fall"),
    **_all(WORDS, "weight user"),
    "init_fail": FLAG,
}
PROCESS_BLOCK: Keywords = {
    **_all(WORDS, "process param_match weight"),
    **_all(INT, "quorum quorum_max"),
    **_all(SECONDS, "delay fork_delay terminate_delay"),
    "full_command": FLAG,
}
FILE_BLOCK: Keywords = {"file": WORD, "weight": WORDS, "init_file": WORDS}
GARP_GROUP: Keywords = {
    **_all(SECONDS, "garp_interval gna_interval"),
    "interface": WORD,
    "interfaces": NAMES,
}
GLOBAL_DEFS: Keywords = {
    **_all(
        INT,
        "vrrp_version vrrp_garp_master_repeat vrrp_garp_master_refresh_repeat vrrp_garp_lower_prio_repeat "
        "vrrp_down_timer_adverts vrrp_priority vrrp_rt_priority max_auto_priority random_seed",
    ),
    **_all(
        SECONDS,
        "vrrp_garp_master_delay vrrp_garp_master_refresh vrrp_garp_lower_prio_delay vrrp_garp_interval "
        "vrrp_gna_interval vrrp_startup_delay vrrp_delay_after_boot",
    ),
    **_all(
        BOOL,
        "vrrp_min_garp vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_owner_ignore_adverts "
        "vrrp_notify_priority_changes smtp_alert smtp_alert_vrrp",
    ),
    **_all(
        FLAG,
        "vrrp_check_unicast_src vrrp_skip_check_adv_addr vrrp_strict log_unknown_vrids vrrp_no_swap "
        "fifo_write_vrrp_states_on_reload enable_script_security no_email_faults disable_local_igmp",
    ),
    **_all(
        WORDS,
        "router_id vrrp_mcast_group4 vrrp_mcast_group6 vrrp_garp_extra_if dynamic_interfaces "
        "default_interface script_user notify_fifo vrrp_notify_fifo vrrp_cpu_affinity vrrp_rlimit_rttime "
        "vrrp_iptables vrrp_ipsets nftables vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vmac_prefix "
        "vmac_addr_prefix process_names",
    ),
    **_all(SCRIPT, "notify_fifo_script vrrp_notify_fifo_script startup_script shutdown_script"),
}

# YAML key -> (keyword, what its block knows, whether the mapping is NAME: block)
BLOCKS: dict[str, tuple[str, Keywords, bool]] = {
    "global_defs": ("global_defs", GLOBAL_DEFS, False),
    "vrrp_scripts": ("vrrp_script", SCRIPT_BLOCK, True),
    "vrrp_track_processes": ("vrrp_track_process", PROCESS_BLOCK, True),
    "track_files": ("track_file", FILE_BLOCK, True),
    "garp_groups": ("garp_group", GARP_GROUP, True),
    "vrrp_sync_groups": ("vrrp_sync_group", GROUP, True),
    "vrrp_instances": ("vrrp_instance", INSTANCE, True),
}
DELAYS = "interface_up_down_delays"  # a value block of its own: {eth0: [down, up]} or entries
BESIDE_SCRIPT = "probe"  # ours, not keepalived's


def statements_of(tree: Tree, path: Keys) -> tuple[Statement, ...]:
    """Return the statements of the inline form that stands at `path` of the tree."""
    return tuple(_roots(tree, path, tree.lookup(path)))


def _roots(tree: Tree, path: Keys, mapping: dict[str, Any]) -> Iterator[Statement]:
    for key, (keyword, keywords, named) in BLOCKS.items():  # in this order: definitions before uses
        value = mapping.get(key)
        if not isinstance(value, dict):
            continue
        if not named:
            yield _block(tree, (*path, key), [keyword], keywords, value)
            continue
        for name, block in value.items():
            words = [keyword] if keyword == "garp_group" else [keyword, name]
            yield _block(tree, (*path, key, name), words, keywords, block or {})
    if DELAYS in mapping:
        where = (*path, DELAYS)
        yield Statement(_words(tree.key_place(where), [DELAYS]), _lines(tree, where, mapping[DELAYS]))


def _block(
    tree: Tree, path: Keys, words: list[str], keywords: Keywords, mapping: dict[str, Any]
) -> Statement:
    body: list[Statement] = []
    for key, value in mapping.items():
        takes = keywords.get(key)
        if isinstance(takes, dict):
            body.append(_block(tree, (*path, key), [key], takes, value))
        elif takes is not None:
            body.extend(_keyword(tree, (*path, key), key, takes, value))
    return Statement(_words(tree.key_place(path), words), tuple(body))


def _keyword(tree: Tree, path: Keys, key: str, takes: Takes, value: Any) -> Iterator[Statement]:
    head = _words(tree.key_place(path), [key])
    place = tree.value_place(path)
    match takes:
        case Takes.LINES:
            yield Statement(head, _lines(tree, path, value))
        case Takes.NAMES:
            yield Statement(head, (Statement(_words(place, _split(value)), None),))
        case _ if value is None or value is True:
            yield Statement(head, None)
        case Takes.FLAG if value is False:
            return
        case _ if value is False:
            yield Statement((*head, *_words(place, ["off"])), None)
        case Takes.SECONDS:
            yield Statement((*head, *_words(place, [seconds(value)])), None)
        case Takes.SCRIPT | Takes.SECRET | Takes.WORD:
            yield Statement((*head, *_words(place, [str(value)], quoted=isinstance(value, str))), None)
        case _:
            yield Statement((*head, *_words(place, _split(value))), None)


def seconds(value: Any) -> str:
    """Write a number or a duration as keepalived does: decimal seconds. Text that is neither stays."""
    if isinstance(value, str) and value[-1:].isalpha():
        exact = Decimal(parse_duration_ns(value)) / SECOND_NS
        return f"{exact:f}"
    return str(value)


def _lines(tree: Tree, path: Keys, value: Any) -> tuple[Statement, ...]:
    """Turn `[a, b]`, `{a: {weight: 2}, b: null}` or one entry into the lines of a value block."""
    if isinstance(value, dict):
        entries = [((*path, name), [name, *_options(options)]) for name, options in value.items()]
    elif isinstance(value, list):
        entries = [((*path, index), _split(item)) for index, item in enumerate(value)]
    else:
        entries = [(path, _split(value))]
    return tuple(Statement(_words(tree.key_place(where), words), None) for where, words in entries if words)


def _options(options: Any) -> list[str]:
    if not isinstance(options, dict):
        return _split(options)
    words: list[str] = []
    for key, value in options.items():
        if value is not False:
            words += [key] if value is None or value is True else [key, *_split(value)]
    return words


def _split(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [word for item in value for word in _split(item)]
    return str(value).split()


def _words(place: Place, texts: list[str], *, quoted: bool = False) -> tuple[Word, ...]:
    return tuple(Word(text, place, quoted) for text in texts)
