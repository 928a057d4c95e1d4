"""The blocks of keepalived's load balancer: read as 2.2.7 reads them, simulated not at all.

The tables are what `keepalived -t` of 2.2.7 takes in each block, asked word by word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vrrpsim.findings import Finding, did_you_mean

from .lexer import Row, Word


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CHECKERS = _words(
    "BFD_CHECK DNS_CHECK FILE_CHECK HTTP_GET MISC_CHECK PING_CHECK SMTP_CHECK SSL_GET TCP_CHECK UDP_CHECK"
)
TIMED = _words("alpha delay_before_retry delay_loop log_all_failures retry warmup")
CONNECTS = TIMED + _words("bind_if bind_port bindto connect_ip connect_port connect_timeout fwmark")
HTTP = CONNECTS + _words("enable_sni fast_recovery http_protocol nb_get_retry url virtualhost")
SERVER = _words(
    "alpha connect_timeout delay_before_retry delay_loop inhibit_on_failure lvs_method retry smtp_alert"
    " snmp_name virtualhost warmup weight"
)
BLOCKS: dict[str, tuple[str, ...]] = {
    "virtual_server": SERVER
    + _words(
        "ha_suspend hashed hysteresis ip_family lb_algo lb_kind lvs_sched omega ops persistence_engine"
        " persistence_granularity persistence_timeout protocol quorum quorum_down quorum_up real_server"
        " sorry_server sorry_server_inhibit sorry_server_lvs_method sh-port sh-fallback mh-port mh-fallback"
        " flag-1 flag-2 flag-3"
    ),
    "real_server": SERVER + CHECKERS + _words("lthreshold uthreshold notify_up notify_down"),
    "HTTP_GET": HTTP,
    "SSL_GET": HTTP,
    "TCP_CHECK": CONNECTS,
    "PING_CHECK": CONNECTS,
    "UDP_CHECK": CONNECTS + _words("max_reply_length min_reply_length payload require_reply"),
    "SMTP_CHECK": CONNECTS + _words("helo_name host"),
    "DNS_CHECK": CONNECTS + _words("name type"),
    "MISC_CHECK": TIMED + _words("misc_dynamic misc_path misc_timeout user"),
    "BFD_CHECK": _words("alpha name"),
    "FILE_CHECK": _words("track_file weight"),
    "host": CONNECTS,
    "url": _words(
        "digest path regex regex_max_offset regex_min_offset regex_no_match regex_options regex_stack"
        " status_code virtualhost"
    ),
    "SSL": _words("ca certificate key password"),
}
CHOICES = {
    "lb_kind": _words("NAT DR TUN"),
    "lvs_method": _words("NAT DR TUN"),
    "protocol": _words("TCP UDP SCTP"),
    "lb_algo": _words("rr wrr lc wlc lblc lblcr dh sh mh fo ovf sed nq twos"),
}
RANGES = {"persistence_timeout": (1, 2_678_400), "quorum": (1, 4_294_967_295)}


def lvs(lines: Sequence[tuple[tuple[str, ...], Row]]) -> Iterator[Finding]:
    """Return what keepalived would not take within `virtual_server` and `SSL`: `lines` with their blocks."""
    for around, row in lines:
        if around[:1] not in (("virtual_server",), ("SSL",)) or around[-1] not in BLOCKS:
            continue
        keyword, known = row.words[0], BLOCKS[around[-1]]
        if keyword.text not in known:
            message = f"{around[-1]}: keyword '{keyword.text}' is unknown; ignored"
            yield Finding(keyword.place, "VRRP370", message + did_you_mean(keyword.text, known))
        elif len(row.words) > 1:
            yield from _value(keyword, row.words[1])


def _value(keyword: Word, word: Word) -> Iterator[Finding]:
    choices = CHOICES.get(keyword.text)
    if choices and word.text not in choices:
        message = f"{keyword.text} '{word.text}' is none of {', '.join(choices)}; ignored"
        yield Finding(word.place, "VRRP371", message + did_you_mean(word.text, choices))
    low, high = RANGES.get(keyword.text, (0, 0))
    if high and not (word.text.isdigit() and low <= int(word.text) <= high):
        yield Finding(word.place, "VRRP371", f"{keyword.text} '{word.text}' is not {low} to {high}; ignored")
