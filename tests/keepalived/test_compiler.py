"""What the keywords of keepalived.conf come to (keepalived.md §6.2, §2.1, §3, §5.3, §8.2)."""

from __future__ import annotations

import string
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vrrpsim.findings import Place, Severity
from vrrpsim.keepalived.compiler import Compiled, compile_statements, compile_text, read_keepalived
from vrrpsim.keepalived.lexer import Statement, Word
from vrrpsim.protocol.configuration import (
    SECOND_NS,
    AuthType,
    ChecksumMode,
    GarpGroup,
    InitialState,
    InstanceConfig,
    RouterConfig,
    Track,
    UnicastPeer,
)
from vrrpsim.protocol.dialect import (
    FRR_8_4,
    KEEPALIVED_2_2_4,
    KEEPALIVED_2_2_7,
    KEEPALIVED_2_2_8,
    KEEPALIVED_2_3_3,
    KEEPALIVED_2_4_3,
    RFC9568,
)

MS = 1_000_000


def compiled(text: str, dialect=KEEPALIVED_2_2_7, **kwargs) -> Compiled:
    return compile_text(text, file="k.conf", dialect=dialect, **kwargs)


def config(text: str, dialect=KEEPALIVED_2_2_7) -> RouterConfig:
    result = compiled(text, dialect)
    assert result.config is not None, [str(finding) for finding in result.findings]
    return result.config


def conf(body: str = "", *, name: str = "V", vrid: int = 1, vip: str = "10.0.0.1", interface="eth0") -> str:
    return (
        f"vrrp_instance {name} {{\n interface {interface}\n virtual_router_id {vrid}\n"
        f" virtual_ipaddress {{\n {vip}\n }}\n{body}\n}}\n"
    )


def instance(body: str = "", dialect=KEEPALIVED_2_2_7, *, before: str = "", **kwargs) -> InstanceConfig:
    return config(before + conf(body, **kwargs), dialect).instances[0]


def rules(body: str = "", dialect=KEEPALIVED_2_2_7, *, before: str = "", **kwargs) -> list[str]:
    return [finding.code for finding in compiled(before + conf(body, **kwargs), dialect).findings]


def fatal_rules(text: str, dialect=KEEPALIVED_2_2_7) -> list[str]:
    result = compiled(text, dialect)
    assert result.fatal
    assert result.config is None
    return [finding.code for finding in result.findings if finding.severity is Severity.ERROR]


SCRIPT = 'vrrp_script chk {\n script "/bin/true"\n}\n'
WEIGHTED = 'vrrp_script chk {\n script "/bin/true"\n weight 2\n}\n'
CHK = "track_script {\n chk\n}"


# --- a whole configuration


def test_a_plain_instance_has_keepalived_defaults_and_no_findings():
    result = compiled(conf("state BACKUP\npriority 150\nadvert_int 1"))
    assert result.findings == ()
    assert result.instances == ("V",)
    one = result.config.instances[0]
    assert one == InstanceConfig(
        name="V", interface="eth0", vrid=1, priority=150, addresses=one.addresses
    )  # everything else as in the model's defaults
    assert (str(one.addresses[0].address), one.addresses[0].prefix_length) == ("10.0.0.1", 32)


def test_places_are_known_for_blocks_and_keywords():
    places = compiled(SCRIPT + conf(f"priority 9\n{CHK}")).places
    assert places["instance", "V"] == Place("k.conf", 4, 15)
    assert places["instance", "V", "priority"] == Place("k.conf", 10, 1)
    assert places["script", "chk"] == Place("k.conf", 1, 13)
    assert places["script", "chk", "script"] == Place("k.conf", 2, 2)
    assert places["track_script", "V", "chk"] == Place("k.conf", 12, 2)


# --- blocks: LX-5 … LX-9, LX-12, LX-20


def test_lx5_one_line_blocks_and_braces_on_the_next_line():
    text = (
        "vrrp_instance V\n{ interface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 10.0.0.1\n10.0.0.2 }\n}"
    )
    assert [str(a.address) for a in config(text).instances[0].addresses] == ["10.0.0.1", "10.0.0.2"]


def test_lx5_a_missing_brace_is_an_error():
    result = compiled("vrrp_instance V\ninterface eth0\nvirtual_router_id 1\n}")
    assert "VRRP101" in [finding.code for finding in result.findings]


def test_lx6_surplus_words_are_ignored_with_a_warning():
    result = compiled(conf("state BACKUP priority 9"))
    assert result.config.instances[0].priority == 100
    assert [finding.code for finding in result.findings] == ["VRRP111"]


def test_lx7_n21_one_address_per_line():
    one = instance(vip="10.0.0.1 10.0.0.2")
    assert len(one.addresses) == 1
    assert rules(vip="10.0.0.1 10.0.0.2") == ["VRRP127"]


def test_lx7_group_takes_every_word():
    groups = config(conf() + conf(name="W", vrid=2) + "vrrp_sync_group G { group { V W } }").groups
    assert groups[0].members == ("V", "W")


def test_lx8_an_unknown_block_closes_the_enclosing_one_early():
    text = conf("nosuch {\n priority 7\n}\npriority 8")
    result = compiled(text)
    assert result.config.instances[0].priority == 7  # parsed with the keywords of vrrp_instance
    assert [finding.code for finding in result.findings] == [
        "VRRP114",
        "VRRP103",
        "VRRP115",
    ]  # priority 8 at the root


def test_lx9_a_second_block_of_the_same_name_is_skipped():
    result = compiled(conf("priority 5") + conf("priority 6\nx { y }", vrid=9))
    assert [one.priority for one in result.config.instances] == [5]
    assert [(f.severity, f.code) for f in result.findings] == [(Severity.ERROR, "VRRP109")]


def test_lx9_the_last_keyword_wins_but_the_first_notify_script():
    one = instance("priority 5\npriority 6\nnotify_master a\nnotify_master b")
    assert (one.priority, one.notify.master) == (6, "a")
    assert rules("priority 5\npriority 6\nnotify_master a\nnotify_master b") == ["VRRP106", "VRRP107"]


def test_lx12_a_missing_parameter_is_fatal():
    assert fatal_rules(conf("priority")) == ["VRRP113"]
    assert fatal_rules(conf("authentication {\nauth_pass\n}")) == ["VRRP113"]


def test_lx20_n39_global_defs_behind_an_instance_count_at_start():
    result = compiled(conf() + "global_defs {\n vrrp_garp_master_repeat 2\n}")
    assert result.config.instances[0].garp.master_repeat == 2
    assert [finding.code for finding in result.findings] == ["VRRP131"]


def test_n20_unknown_keywords_are_named_with_a_suggestion():
    (finding,) = compiled(conf("prioity 100")).findings
    assert str(finding).startswith("k.conf:7:1: warning: VRRP114 instance V: keyword 'prioity' is unknown")
    assert "did you mean 'priority'?" in finding.message
    (raised,) = [
        f for f in compiled("vrrp_script c {\n script x\n raise 3\n}").findings if f.code == "VRRP114"
    ]
    assert "'rise'" in raised.message


def test_other_subsystems_are_skipped_with_one_remark_each():
    text = "virtual_server 10.0.0.1 80 {\n real_server 1 2 {\n TCP_CHECK { x }\n }\n}\n"
    result = compiled(text * 2 + "SSL { a }\n" + conf())
    assert result.instances == ("V",)
    assert [(f.severity, f.place.line) for f in result.findings] == [(Severity.INFO, 1), (Severity.INFO, 11)]


def test_host_blocks_are_skipped_silently():
    text = "global_defs {\n notification_email {\n a@b\n }\n router_id R\n}\nstatic_routes {\n x\n}\n"
    result = compiled(text + conf("virtual_routes {\n 1.1.1.1/32 via 2.2.2.2 dev eth0\n}\nsmtp_alert"))
    assert result.findings == ()
    assert result.config.router_id == "R"


# --- numbers and booleans: LX-10, LX-11


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("priority 150x", "priority", 100),  # refused
        ("priority 0x33", "priority", 100),
        ("priority 256", "priority", 100),
        ("priority 0", "priority", 100),
        ("state MASTER\npriority 300", "priority", 100),
        ("down_timer_adverts 5x", "down_timer_adverts", 5),  # the leading number
        ("down_timer_adverts 0", "down_timer_adverts", 3),
        ("down_timer_adverts 101", "down_timer_adverts", 3),
        ("version 4", "version", 2),
        ("preempt_delay 1001", "preempt_delay_ns", 0),
        ("preempt_delay 1.5", "preempt_delay_ns", 1_500 * MS),
        ("priority " + "9" * 5000, "priority", 100),
    ],
)
def test_lx10_bad_numbers(line, field, value):
    assert getattr(instance(line), field) == value
    assert value == 1_500 * MS or {*rules(line)} & {"VRRP117", "VRRP118", "VRRP119", "VRRP303"}


@pytest.mark.parametrize(
    ("word", "value"),
    [("", True), ("on", True), ("yes", True), ("off", False), ("no", False), ("Off", False)],
)
def test_lx11_booleans_are_lower_case(word, value):
    assert instance(f"lower_prio_no_advert {word}").lower_prio_no_advert is value
    assert (rules(f"lower_prio_no_advert {word}") == ["VRRP116"]) is (word == "Off")


# --- priority, state, preemption


@pytest.mark.parametrize(
    ("lines", "priority", "state"),
    [
        ("", 100, InitialState.BACKUP),
        ("state MASTER", 255, InitialState.MASTER),
        ("priority 255", 255, InitialState.MASTER),
        ("priority 255\nstate BACKUP", 255, InitialState.BACKUP),
        ("state master", 100, InitialState.BACKUP),
        ("state MASTER\nstate BACKUP\npriority 9", 9, InitialState.MASTER),
    ],
)
def test_fsm1_defaults_of_priority_and_state(lines, priority, state):
    one = instance(lines)
    assert (one.priority, one.initial_state) == (priority, state)


def test_n03_state_master_without_priority_is_reported():
    assert rules("state MASTER") == ["VRRP308"]


def test_n01_state_master_clears_nopreempt_and_preempt_delay():
    body = "state MASTER\npriority 100\nnopreempt\npreempt_delay 5"
    one = instance(body)
    assert (one.preempt, one.preempt_delay_ns) == (True, 0)
    assert rules(body) == ["VRRP330", "VRRP331"]
    kept = instance("state BACKUP\nnopreempt")
    assert not kept.preempt


def test_n02_nopreempt_clears_preempt_delay():
    assert instance("nopreempt\npreempt_delay 5").preempt_delay_ns == 0
    assert rules("nopreempt\npreempt_delay 5") == ["VRRP331"]


# --- version and advert_int (§2.1)


@pytest.mark.parametrize(
    ("text", "v2_s", "v3_ms"),
    [
        ("1", 1, 1000),
        ("0.4", 1, 400),
        ("0.5", 1, 500),
        ("1.5", 2, 1500),
        ("0.254", 1, 250),
        ("0.255", 1, 260),
        ("40.96", 41, 40950),
        ("300", 1, 1000),
        ("0", 1, 1000),
        ("-1", 1, 1000),
        ("0.001", 1, 1000),
        ("255", 255, 40950),
        ("x", 1, 1000),
    ],
)
def test_advert_int_is_rounded_by_version(text, v2_s, v3_ms):
    assert instance(f"advert_int {text}").advert_int_ns == v2_s * SECOND_NS
    assert instance(f"version 3\nadvert_int {text}").advert_int_ns == v3_ms * MS


def test_n08_n09_wrong_and_rounded_intervals_are_reported():
    assert rules("advert_int 300") == ["VRRP301"]
    assert rules("advert_int 1.5") == ["VRRP309"]
    assert rules("advert_int 2") == []


def test_the_version_comes_from_the_instance_the_globals_or_the_family():
    assert instance().version == 2
    assert instance(dialect=RFC9568).version == 3
    assert instance(before="global_defs {\n vrrp_version 3\n}\n").version == 3
    assert instance("version 2", before="global_defs {\n vrrp_version 3\n}\n").version == 2
    assert instance(vip="fe80::1").version == 3
    assert instance("native_ipv6", vip="fe80::1").family == 6


# --- addresses


def test_virtual_ipaddress_entries():
    one = instance(vip="10.0.0.1/24 dev eth1 label eth1:0 scope global no_track brd + home")
    (address,) = one.addresses
    assert (address.prefix_length, address.interface, address.no_track) == (24, "eth1", True)
    assert rules(vip="10.0.0.1/24 dev eth1 label eth1:0 no_track brd +") == []


@pytest.mark.parametrize("entry", ["10.0.0.1/33", "10.0.0.1/x", "10.0.0.1/"])
def test_a_bad_prefix_length_is_the_full_one(entry):
    assert instance(vip=entry).addresses[0].prefix_length == 32
    assert rules(vip=entry) == ["VRRP123"]


def test_the_second_family_in_an_instance_is_rejected():
    one = instance(vip="10.0.0.1\nfe80::1\nbogus\n10.0.0.2")
    assert [str(a.address) for a in one.addresses] == ["10.0.0.1", "10.0.0.2"]
    assert (one.family, rules(vip="10.0.0.1\nfe80::1")) == (4, ["VRRP125"])


def test_excluded_addresses_may_be_of_the_other_family():
    one = instance("virtual_ipaddress_excluded {\n fe80::1/64\n 10.9.9.9\n}")
    assert [str(a.address) for a in one.excluded] == ["fe80::1", "10.9.9.9"]


def test_at_most_255_addresses_are_advertised():
    one = instance(vip="~SEQ(i, 0, 255) 10.0.1.${i}")
    assert (len(one.addresses), len(one.excluded)) == (255, 1)


# --- what keepalived exits at


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("vrrp_instance V {\n interface eth0\n}", "VRRP306"),
        (conf(vrid=300), "VRRP306"),
        ("vrrp_instance V {\n virtual_router_id 1\n}", "VRRP307"),
        ("vrrp_instance V {\n version 3\n interface e\n virtual_router_id 1\n}", "VRRP325"),
        (
            "global_defs {\n vrrp_strict\n}\nvrrp_instance V {\n interface e\n virtual_router_id 1\n}",
            "VRRP325",
        ),
        (conf() + conf(name="W"), "VRRP345"),
    ],
)
def test_fatal_configurations(text, rule):
    assert fatal_rules(text) == [rule]


def test_version_2_without_addresses_runs():
    assert config("vrrp_instance V {\n interface e\n virtual_router_id 1\n}").instances[0].addresses == ()


def test_x17_other_family_interface_group_or_peers_may_share_a_vrid():
    for other in (
        conf(name="W", vip="fe80::1"),
        conf(name="W", interface="eth1"),
        conf("mcast_dst_ip 224.0.0.99", name="W"),
        conf("unicast_peer {\n 10.0.0.8\n}", name="W"),
    ):
        assert not compiled(conf() + other).fatal
    one, two = "unicast_peer {\n 10.0.0.8\n}", "unicast_peer {\n 10.0.0.7\n}"
    assert not compiled(conf(one) + conf(two, name="W")).fatal
    assert compiled(conf(one) + conf(one, name="W")).fatal


# --- unicast


def test_unicast_peers_with_ttl_limits():
    body = (
        "unicast_src_ip 10.0.0.8\nunicast_ttl 9\nunicast_peer {\n 10.0.0.9 min_ttl 4 max_ttl 300\n fe80::1\n}"
    )
    one = instance(body)
    assert one.unicast
    assert one.unicast_peers == (UnicastPeer(ip_address("10.0.0.9"), 4, 255),)
    assert (one.ttl, one.source) == (9, ip_address("10.0.0.8"))
    assert rules(body) == ["VRRP118", "VRRP125"]


def test_n24_n25_unicast_keywords_without_peers():
    one = instance("unicast_ttl 9\nunicast_src_ip 10.0.0.8")
    assert (one.unicast, one.ttl) == (False, 0)
    assert sorted(rules("unicast_ttl 9")) == ["VRRP334", "VRRP335"]


def test_unicast_fault_no_peer_is_a_fault_for_ever():
    assert instance("unicast_fault_no_peer").config_faults == ("no unicast peers",)
    assert instance("unicast_fault_no_peer\nunicast_peer {\n 10.0.0.9\n}").config_faults == ()


def test_an_instance_with_peers_and_source_needs_no_interface():
    text = "vrrp_instance V {\n virtual_router_id 1\n unicast_src_ip 10.0.0.8\n unicast_peer { 10.0.0.9\n}\n}"
    for dialect in (KEEPALIVED_2_2_4, KEEPALIVED_2_2_8, KEEPALIVED_2_3_3):
        assert config(text, dialect).instances[0].interface == ""
    assert fatal_rules(text, KEEPALIVED_2_2_7) == ["VRRP307"]  # its mistake


def test_strict_mode_excludes_unicast_where_the_test_comes_in_time():
    text = conf("strict_mode\nunicast_peer {\n 10.0.0.9\n}")
    for dialect in (KEEPALIVED_2_2_4, KEEPALIVED_2_4_3):
        assert fatal_rules(text, dialect) == ["VRRP324"]
    for dialect in (KEEPALIVED_2_2_7, KEEPALIVED_2_2_8, KEEPALIVED_2_3_3):
        assert config(text, dialect).instances[0].unicast


def test_a_prefix_or_a_range_behind_an_address_is_cut_off():
    one = instance("unicast_src_ip 10.0.0.8/24\nunicast_peer {\n 10.0.0.9/24\n 10.0.0.7-9\n}")
    assert [str(each.address) for each in one.unicast_peers] == ["10.0.0.9", "10.0.0.7"]
    assert str(one.source) == "10.0.0.8"
    assert rules("mcast_src_ip 10.0.0.8/24\nmcast_dst_ip 224.0.0.9/4") == []


def test_routes_and_rules_name_the_interfaces_that_they_need():
    body = (
        "virtual_routes {\n 10.1.0.0/16 via 10.0.0.9 dev eth1\n 10.2.0.0/16 dev eth2 no_track\n"
        " 10.3.0.0/16 via 10.0.0.9\n}\nvirtual_rules {\n from 10.0.0.1 iif eth3 table 5\n}"
    )
    routes = instance(body).routes
    assert [route.interfaces for route in routes] == [("eth1",), (), (), ("eth3",)]
    assert routes[0].text == "10.1.0.0/16 via 10.0.0.9 dev eth1"


def test_a_name_that_is_too_long_is_no_interface():
    assert fatal_rules(conf(interface="a234567890123456")) == ["VRRP307"]
    assert instance(interface="a23456789012345").interface == "a23456789012345"


def test_macvlans_are_named_by_family_and_the_second_by_number():
    text = (
        conf("use_vmac", name="A", vrid=2)
        + conf("use_vmac\nversion 3", name="B", vrid=2, vip="fe80::1")
        + conf("use_vmac", name="C", vrid=2, vip="10.1.0.1", interface="eth1")
    )
    assert [each.vmac_interface for each in config(text).instances] == ["vrrp.2", "vrrp6.2", "vrrp1.2"]


def test_multicast_groups():
    assert str(instance().multicast_group) == "224.0.0.18"
    assert str(instance(vip="fe80::1").multicast_group) == "ff02::12"
    before = "global_defs {\n vrrp_mcast_group4 224.0.0.99\n}\n"
    assert str(instance(before=before).multicast_group) == "224.0.0.99"
    assert str(instance("mcast_dst_ip 224.0.0.77", before=before).multicast_group) == "224.0.0.77"


# --- authentication


def auth(key: str, kind: str = "PASS") -> str:
    return f"authentication {{\n auth_type {kind}\n auth_pass {key}\n}}"


def test_n05_the_password_is_cut_to_8_bytes():
    one = instance(auth("secret1234"))
    assert (one.authentication.auth_type, one.authentication.key) == (AuthType.PASS, b"secret12")
    assert rules(auth("secret1234")) == ["VRRP311"]


def test_n06_the_password_ends_at_a_comment_character():
    assert instance(auth("S3cr!t")).authentication.key == b"S3cr"
    assert rules(auth("S3cr!t")) == ["VRRP105"]
    assert instance(auth('"ab#c!d"')).authentication.key == b"ab#c!d"
    assert instance(auth(r"ab\#cd")).authentication.key == b"ab"


@pytest.mark.parametrize(
    ("body", "dialect", "kwargs"),
    [
        (auth("x") + "\nversion 3", KEEPALIVED_2_2_7, {}),
        (auth("x"), FRR_8_4, {}),
        (auth("x", "AH") + "\nversion 2", KEEPALIVED_2_2_7, {"vip": "fe80::1"}),
        ("authentication {\n auth_pass x\n}", KEEPALIVED_2_2_7, {}),
        ("authentication {\n auth_type PASS\n}", KEEPALIVED_2_2_7, {}),
    ],
)
def test_n07_authentication_is_ignored(body, dialect, kwargs):
    assert instance(body, dialect, **kwargs).authentication.auth_type is AuthType.NONE
    assert rules(body, dialect, **kwargs) == ["VRRP312"]


def test_fsm6_ah_makes_a_master_a_backup():
    assert instance("state MASTER\npriority 9\n" + auth("x", "AH")).initial_state is InitialState.BACKUP


@pytest.mark.parametrize(
    "body",
    [
        "authentication {\n auth_type PASS\n auth_pass hunter2hunter2 hunter2\n}",
        "authentication {\n hunter2\n auth_type hunter2\n auth_pass hunt!hunter2\n}",
        "authentication {\n auth_type PASS\n auth_pass a}hunter2\n}",
        "authentication {\n auth_type PASS\n auth_pass a{hunter2 hunter2\n}\n}",
        'authentication {\n auth_type PASS\n auth_pass "hunter2\n}',
        "$P=hunter2\nauthentication {\n auth_type PASS\n auth_pass x}$P\n}",
        "auth_pass hunter2",
        "auth_hmac {\n key hunter2\n}",
    ],
)
def test_passwords_are_in_no_finding(body):
    result = compiled(conf(body))
    assert "hunter2" not in " ".join(map(str, result.findings))
    assert "hunter2" not in repr(result)


# --- strict mode (§5.3)


def test_strict_mode():
    body = (
        "strict_mode\nstate MASTER\npriority 100\npreempt_delay 5\ndown_timer_adverts 5\n"
        "higher_prio_send_advert\n" + auth("x")
    )
    one = instance(body)
    assert one.initial_state is InitialState.BACKUP
    assert (one.preempt_delay_ns, one.down_timer_adverts) == (0, 3)
    assert (one.garp.lower_prio_repeat, one.garp.lower_prio_delay_ns) == (0, 0)
    assert (one.lower_prio_no_advert, one.higher_prio_send_advert, one.accept) == (True, False, False)
    assert one.authentication.auth_type is AuthType.NONE
    assert instance("strict_mode\npriority 255").accept
    assert instance("strict_mode\naccept").accept
    assert instance("strict_mode off", before="global_defs {\n vrrp_strict\n}\n").strict is False


# --- GARP


def test_garp_defaults_come_from_global_defs():
    before = "global_defs {\n vrrp_garp_master_delay 7\n vrrp_garp_master_repeat 0\n}\n"
    garp = instance("garp_master_repeat 3", before=before).garp
    assert (garp.master_delay_ns, garp.master_repeat) == (7 * SECOND_NS, 3)
    assert (garp.lower_prio_delay_ns, garp.lower_prio_repeat) == (7 * SECOND_NS, 1)


def test_ga4_the_lower_prio_delay_is_the_global_master_delay():
    assert instance("garp_master_delay 9").garp.lower_prio_delay_ns == 5 * SECOND_NS


def test_ga7_min_garp_leaves_what_was_set_before():
    garp = instance(before="global_defs {\n vrrp_garp_master_delay 3\n vrrp_min_garp\n}\n").garp
    assert (garp.master_repeat, garp.master_delay_ns, garp.master_refresh_ns) == (1, 3 * SECOND_NS, 0)
    assert instance(before="global_defs {\n vrrp_min_garp\n}\n").garp.master_delay_ns == 0


@pytest.mark.parametrize(
    ("words", "extra_s", "found"),
    [
        ("all 5", 5, []),
        ("5 all", 5, []),
        ("5", 0, []),
        ("all 1.5", 1, ["VRRP119"]),
        ("all", 0, ["VRRP117"]),
        ("any 5", 0, ["VRRP117"]),
        ("all 5 junk", 0, ["VRRP117"]),
        ("all 86401", 0, ["VRRP118"]),
    ],
)
def test_ga8_garp_extra_if_is_read_as_2_2_7_reads_it(words, extra_s, found):
    body = f"garp_extra_if {words}"
    assert (instance(body).garp.extra_ns, rules(body)) == (extra_s * SECOND_NS, found)
    globally = "global_defs {\n vrrp_garp_extra_if all 9\n}\n"
    assert instance(before=globally).garp.extra_ns == 9 * SECOND_NS
    assert instance("garp_extra_if 5", before=globally).garp.extra_ns == 0


def test_ga6_garp_groups():
    text = "global_defs {\n vrrp_garp_interval 0.001\n}\n"
    text += "garp_group {\n garp_interval .1\n interfaces { a b }\n}\n"
    assert config(text + conf()).garp_groups == (
        GarpGroup(interfaces=("a", "b"), garp_interval_ns=100 * MS),
        GarpGroup(garp_interval_ns=MS),
    )


# --- switches


def test_n26_skip_check_adv_addr_off_turns_it_on():
    assert instance("skip_check_adv_addr off").skip_check_adv_addr
    assert rules("skip_check_adv_addr off") == ["VRRP305"]
    assert instance(before="global_defs {\n vrrp_skip_check_adv_addr\n}\n").skip_check_adv_addr
    assert not instance("skip_check_adv_addr maybe").skip_check_adv_addr


@pytest.mark.parametrize(
    ("line", "dialect", "field", "value"),
    [
        ("timer_expired_backup 50", KEEPALIVED_2_2_8, "timer_expired_backup", 50),
        ("timer_expired_backup", KEEPALIVED_2_2_8, "timer_expired_backup", 0),
        ("v3_checksum_as_v2", KEEPALIVED_2_2_8, "checksum", ChecksumMode.AS_V2),
        ("owner_ignore_adverts", KEEPALIVED_2_3_3, "owner_ignore_adverts", True),
    ],
)
def test_k11_k12_k14_keywords_of_later_releases(line, dialect, field, value):
    assert getattr(instance(line, dialect), field) == value
    assert rules(line, KEEPALIVED_2_2_7) == ["VRRP132"]


def test_k13_no_virtual_ipaddress():
    text = "vrrp_instance V {\n version 3\n interface e\n virtual_router_id 1\n no_virtual_ipaddress\n}"
    assert config(text, KEEPALIVED_2_2_8).instances[0].addresses == ()
    assert fatal_rules(text) == ["VRRP325"]


def test_vmac():
    one = instance("use_vmac\nvmac_xmit_base", vrid=51)
    assert (one.use_vmac, one.vmac_interface, one.vmac_xmit_base) == (True, "vrrp.51", True)
    assert instance("use_vmac vip0 00:00:5e:00:01:33").owned_interface == "vip0"
    assert not instance("vmac_xmit_base").vmac_xmit_base


def test_old_unicast_checksum():
    peers = "\nunicast_peer {\n 10.0.0.9\n}"
    assert instance("old_unicast_checksum" + peers).checksum is ChecksumMode.OLD_UNICAST
    assert instance("old_unicast_checksum never" + peers).checksum is ChecksumMode.NEVER_OLD


def test_global_switches():
    text = (
        "global_defs {\n vrrp_startup_delay 2.5\n log_unknown_vrids\n vrrp_check_unicast_src\n"
        " vrrp_down_timer_adverts 4\n vrrp_notify_priority_changes\n vrrp_notify_fifo /run/f\n}\n"
    )
    whole = config(text + conf())
    assert (whole.startup_delay_ns, whole.log_unknown_vrids) == (2_500 * MS, True)
    assert (whole.notify_priority_changes, whole.vrrp_notify_fifo) == (True, "/run/f")
    assert (whole.instances[0].down_timer_adverts, whole.instances[0].check_unicast_src) == (4, True)


def test_n36_the_debounce_is_cut_below_the_silence_that_backups_tolerate():
    delays = config("interface_up_down_delays {\n eth0 1.5 9\n eth1 8\n}\n" + conf()).interface_delays
    assert [(d.down_ns, d.up_ns) for d in delays] == [
        (1_500 * MS, 2 * SECOND_NS - SECOND_NS // 256),
        (8 * SECOND_NS, 0),
    ]


def test_notify_scripts():
    notify = instance('notify_master "/bin/n a b" root\nnotify /bin/any\nnotify_priority_changes').notify
    assert (notify.master, notify.any, notify.priority_changes) == ("/bin/n a b", "/bin/any", True)
    assert notify.users == (("master", "root"),)


# --- scripts


def script(body: str, dialect=KEEPALIVED_2_2_7):
    return config(f"vrrp_script chk {{\n{body}\n}}\n" + conf(CHK), dialect).scripts[0]


def test_sc1_defaults_and_repairs_of_scripts():
    plain = script("script /bin/true")
    assert (plain.interval_ns, plain.timeout_ns, plain.weight, plain.rise, plain.fall) == (
        SECOND_NS,
        0,
        0,
        1,
        1,
    )
    odd = script("script x\ninterval 0\ntimeout 0\nrise 0\nfall x\nweight 300 reverse")
    assert (odd.interval_ns, odd.timeout_ns, odd.rise, odd.fall) == (SECOND_NS, SECOND_NS, 1, 1)
    assert (odd.weight, odd.reverse) == (300, True)  # §3.1: out of range, stored all the same


def test_k6_the_resolution_of_the_interval():
    assert script("script x\ninterval 0.5").interval_ns == SECOND_NS
    assert script("script x\ninterval 2.5").interval_ns == 2 * SECOND_NS
    assert script("script x\ninterval 0.25", KEEPALIVED_2_3_3).interval_ns == 250 * MS


def test_lx19_the_words_of_a_command():
    one = script("script \"/bin/sh -c 'exit 1'\"\nuser nobody nogroup")
    assert (one.command, one.words) == ("/bin/sh -c 'exit 1'", ("/bin/sh", "-c", "exit 1"))
    assert one.user == "nobody nogroup"


def test_lx19_words_outside_the_quotes_are_lost():
    assert script("script /bin/x -a b").words == ("/bin/x",)


@pytest.mark.parametrize(
    ("command", "warned"),
    [
        ("pidof a || exit 1", True),
        ("a; b", True),
        ("curl x > /dev/null", True),
        ("/bin/sh -c 'a | b'", False),
        ("pkill -0 haproxy", False),
        ("</dev/tcp/1/2", False),
    ],
)
def test_n14_shell_syntax_without_a_shell(command, warned):
    result = compiled(f'vrrp_script chk {{\n script "{command}"\n}}\n' + conf(CHK))
    assert bool({"VRRP402", "VRRP421"} & {finding.code for finding in result.findings}) is warned


def test_n11_unused_and_duplicate_scripts():
    result = compiled(SCRIPT + SCRIPT.replace("true", "echo") + SCRIPT.replace("chk", "other") + conf(CHK))
    assert [(one.name, one.command) for one in result.config.scripts] == [("chk", "/bin/true")]  # SC-14
    assert (result.scripts, result.unused_scripts) == (("chk", "other"), ("other",))
    assert [finding.code for finding in result.findings] == ["VRRP410", "VRRP418"]


def test_a_script_without_command_is_removed_and_n12_init_fail_has_no_effect():
    result = compiled("vrrp_script chk {\n init_fail\n}\n" + conf(CHK))
    assert [finding.code for finding in result.findings] == ["VRRP415", "VRRP417", "VRRP401"]
    assert result.config.instances[0].track_scripts == ()


# --- trackers


def test_n10_a_tracker_must_be_defined_before_it_is_used():
    result = compiled(conf(CHK) + SCRIPT)
    assert result.config.instances[0].track_scripts == ()
    assert [finding.code for finding in result.findings] == ["VRRP401"]


@pytest.mark.parametrize(
    ("entry", "track"),
    [
        ("chk", Track("chk", 2)),
        ("chk weight -5", Track("chk", -5)),
        ("chk weight 254", Track("chk", 253)),
        ("chk weight 300", Track("chk", 2)),
        ("chk weight 5 reverse", Track("chk", 5, True)),
        ("chk\nchk weight 7", Track("chk", 2)),
    ],
)
def test_track_script_weights(entry, track):
    assert instance(f"track_script {{\n{entry}\n}}", before=WEIGHTED).track_scripts == (track,)


def test_n31_the_own_interface_is_not_tracked_twice():
    body = "track_interface {\n eth0 weight 5\n eth1 weight -9\n}"
    assert instance(body).track_interfaces == (Track("eth1", -9),)
    assert rules(body) == ["VRRP419"]
    assert len(instance(body + "\ndont_track_primary").track_interfaces) == 2


def test_track_file_and_track_process():
    before = (
        "track_file f {\n file /tmp/f\n weight 3 reverse\n weight 4\n init_file 7 overwrite\n}\n"
        "vrrp_track_file g {\n file /tmp/g\n}\n"
        "vrrp_track_process p {\n process haproxy -D\n delay 0.5\n quorum 2\n quorum_max 3\n}\n"
    )
    text = before + conf("track_file {\n f\n g weight 0\n}\ntrack_process {\n p weight 254\n}")
    whole = config(text)
    one = whole.instances[0]
    assert one.track_files == (Track("f", 3, True), Track("g", 0))
    assert one.track_processes == (Track("p", 254),)
    assert [(f.path, f.weight, f.init_value, f.overwrite) for f in whole.files] == [
        ("/tmp/f", 3, 7, True),
        ("/tmp/g", 1, None, False),
    ]
    (process,) = whole.processes
    assert (process.process, process.parameters, process.param_match) == ("haproxy", ("-D",), "exact")
    assert (process.quorum, process.quorum_max, process.weight) == (2, 3, 0)
    assert (process.fork_delay_ns, process.terminate_delay_ns) == (500 * MS, 500 * MS)


def test_bfd_sessions():
    text = (
        "bfd_instance b {\n neighbor_ip 10.0.0.9\n min_rx 50\n multiplier 3\n vrrp\n}\nbfd_instance d {\n}\n"
    )
    result = compiled(text + conf("track_bfd {\n b\n c\n}"))
    assert [finding.code for finding in result.findings] == ["VRRP414", "VRRP416", "VRRP401"]
    [bfd] = result.config.bfds
    assert (str(bfd.neighbor), bfd.interval_ns, bfd.multiplier) == ("10.0.0.9", 50 * MS, 3)
    assert [(each.name, each.weight) for each in result.config.instances[0].track_bfds] == [("b", 0)]
    weighted = compiled(text + conf("priority 255\ntrack_bfd {\n b weight -254\n}"))
    assert {"VRRP413", "VRRP403"} <= {finding.code for finding in weighted.findings}
    assert weighted.config.instances[0].track_bfds == ()


def test_n04_an_owner_loses_weighted_scripts():
    result = compiled(WEIGHTED + conf(f"priority 255\n{CHK}"))
    assert result.config.instances[0].track_scripts == ()
    assert "VRRP403" in [finding.code for finding in result.findings]


# --- sync groups

TWO = conf("track_script {\n chk\n}\ntrack_interface {\n x weight 9\n}") + conf(name="W", vrid=2)


def group(body: str = "") -> str:
    return f"vrrp_sync_group G {{\n group {{\n V\n W\n }}\n{body}\n}}\n"


def test_sg6_members_lose_weighted_scripts_but_not_interface_weights():
    v, w = config(WEIGHTED + TWO + group()).instances
    assert v.track_scripts == ()
    assert v.track_interfaces == (Track("x", 9),)
    kept, _ = config(WEIGHTED + TWO + group("sync_group_tracking_weight")).instances
    assert kept.track_scripts == (Track("chk", 2),)
    assert w.track_scripts == ()


def test_sg6_files_with_weight_1_become_unweighted_and_others_go():
    before = "track_file f {\n file /f\n}\ntrack_file g {\n file /g\n weight 2\n}\n"
    text = before + conf("track_file {\n f\n g\n}") + conf(name="W", vrid=2) + group()
    assert config(text).instances[0].track_files == (Track("f", 0),)


def test_sg6_trackers_of_the_group_apply_to_every_member():
    v, w = config(WEIGHTED + group("track_script {\n chk weight 4\n}") + TWO).instances
    assert v.track_scripts == w.track_scripts == (Track("chk", 4),)


def test_sg7_the_weight_of_the_group_wins_unless_the_member_is_unweighted():
    both = "track_interface {\n x weight 3\n y weight 3\n}"
    member = conf("track_interface {\n x weight 9\n y\n}") + conf(name="W", vrid=2)
    v, w = config(member + group(both)).instances
    assert v.track_interfaces == (Track("x", 3), Track("y", 0))
    assert w.track_interfaces == (Track("x", 3), Track("y", 3))


def test_sg9_an_owner_takes_the_weights_from_the_groups_trackers():
    text = conf("priority 255") + conf(name="W", vrid=2) + group("track_interface {\n x weight 3\n}")
    assert {one.track_interfaces for one in config(text).instances} == {(Track("x", 0),)}


def test_n30_unknown_single_and_shared_members():
    text = conf() + "vrrp_sync_group A { group { V X } }\nvrrp_sync_group B { group { V } }"
    result = compiled(text)
    assert [(g.name, g.members) for g in result.config.groups] == [("A", ("V",))]
    assert [finding.code for finding in result.findings] == ["VRRP343", "VRRP340", "VRRP342", "VRRP341"]
    assert result.groups == ("A", "B")


# --- the other ways in


def test_read_keepalived_reads_includes_and_conditions(tmp_path: Path):
    (tmp_path / "k.conf").write_text("include i.conf\n")
    (tmp_path / "i.conf").write_text(conf("@lb1 priority 101\n@lb2 priority 99"))
    result = read_keepalived(tmp_path / "k.conf", config_id="lb2", dialect=KEEPALIVED_2_2_7)
    assert result.config.instances[0].priority == 99
    assert result.places["instance", "V"].file.endswith("i.conf")


def test_an_unreadable_file_is_fatal_with_one_finding(tmp_path: Path):
    result = read_keepalived(tmp_path / "nothing.conf", config_id=None, dialect=KEEPALIVED_2_2_7)
    assert (result.fatal, result.config, len(result.findings)) == (True, None, 1)


def test_statements_compile_like_text():
    place = Place("s.yaml", 7, 3)

    def line(*words: str, block: tuple[Statement, ...] | None = None) -> Statement:
        return Statement(tuple(Word(word, place) for word in words), block)

    statements = (
        line("vrrp_script", "chk", block=(line("script", "pkill -0 haproxy"), line("weight", "2"))),
        line(
            "vrrp_instance",
            "V",
            block=(
                line("interface", "eth0"),
                line("virtual_router_id", "1"),
                line("nopreempt"),
                line("authentication", block=(line("auth_type", "PASS"), line("auth_pass", "a#b"))),
                line("virtual_ipaddress", block=(line("10.0.0.1/24", "dev", "eth1"),)),
                line("track_script", block=(line("chk", "weight", "4"),)),
                line("prioity", "3"),
            ),
        ),
    )
    result = compile_statements(statements, dialect=KEEPALIVED_2_2_7)
    text = (
        'vrrp_script chk {\n script "pkill -0 haproxy"\n weight 2\n}\n'
        "vrrp_instance V {\n interface eth0\n virtual_router_id 1\n nopreempt\n authentication {\n"
        ' auth_type PASS\n auth_pass "a#b"\n }\n virtual_ipaddress {\n 10.0.0.1/24 dev eth1\n }\n'
        " track_script {\n chk weight 4\n }\n}"
    )
    assert result.config == config(text)
    assert [(f.place, f.code) for f in result.findings] == [(place, "VRRP114")]


# --- nothing raises


def test_a_flood_of_findings_is_cut_and_keeps_the_errors():
    findings = compiled("foo bar\n" * 3000 + conf("nosuch")).findings
    assert len(findings) == 1001
    assert findings[-1].message == "2001 more findings left out"
    assert "VRRP101" in [finding.code for finding in compiled("foo bar\n" * 3000 + "{").findings]


@given(st.text(max_size=300))
def test_any_text_compiles_to_something(text):
    assert isinstance(compiled(text), Compiled)


KEYWORDS = (
    "vrrp_instance vrrp_sync_group vrrp_script track_file vrrp_track_process global_defs garp_group group "
    "state MASTER interface eth0 virtual_router_id priority advert_int version nopreempt preempt_delay "
    "authentication auth_type PASS auth_pass virtual_ipaddress 10.0.0.1/24 fe80::1 unicast_peer unicast_ttl "
    "track_script track_interface weight reverse script interval rise file process quorum 0 1 255 -3 0.5 x V "
    "vrrp_strict strict_mode notify_master use_vmac virtual_server interface_up_down_delays bfd_instance "
    "$A=x $A ${A} ~SEQ(i,2) @x include dev"
)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from([*KEYWORDS.split(), "{", "}", "{", "}", "\n", "\n", "\n", '"', "#"]), max_size=60
    )
)
def test_any_soup_of_keywords_compiles_to_something(words):
    result = compiled(" ".join(words))
    assert result.fatal == (result.config is None)


@given(st.text(alphabet=string.printable, max_size=40))
def test_any_parameter_of_any_instance_keyword_is_survived(value):
    for keyword in ("priority", "advert_int", "auth_pass", "use_vmac", "track_file {", "virtual_ipaddress {"):
        compiled(conf(f"{keyword} {value}"))


def test_a_dialect_is_only_switches():
    odd = KEEPALIVED_2_2_7._replace(name="odd", default_version=3, script_interval_in_ms=True)
    assert instance(dialect=odd).version == 3


@pytest.mark.parametrize(
    ("route", "interfaces"),
    [
        ("203.0.113.0/24 via 192.0.2.1 dev eth1", ("eth1",)),
        ("203.0.113.0/24 dev eth1 no_track", ()),
        ("203.0.113.0/24 via 192.0.2.1 no_track", ()),
        ("203.0.113.0/24 via 192.0.2.1", None),
        ("blackhole 203.0.113.0/24", None),
        ("203.0.113.0/24 nexthop via 192.0.2.1 dev eth0 nexthop via 192.0.2.2 dev eth1", None),
    ],
)
def test_a_route_is_tracked_by_its_own_interface(route, interfaces):
    """Asked of 2.2.7: "cannot track route … with no interface specified, not tracking"."""
    [read] = instance(f"virtual_routes {{\n {route}\n}}").routes
    assert read.interfaces == (interfaces or ())
    assert rules(f"virtual_routes {{\n {route}\n}}") == (["VRRP347"] if interfaces is None else [])


@pytest.mark.parametrize(
    "words", ["> /dev/null", "2>&1", "&", "|| true", "65534", "nobody nogroup/x", "/usr/bin/logger"]
)
def test_words_behind_a_notify_script_that_are_no_user_stop_it(words):
    """Asked of 2.2.7: "Invalid user/group for notify script … - ignoring"; it never ran."""
    line = f'notify_master "/bin/true x" {words}'
    assert instance(line).notify.master == ""
    assert rules(line) == ["VRRP423"]


@pytest.mark.parametrize("user", ["nobody", "nobody nogroup", "_haproxy", "www-data"])
def test_words_behind_a_notify_script_are_its_user(user):
    line = f'notify_master "/bin/true x" {user}'
    assert instance(line).notify.users == (("master", user),)
    assert rules(line) == []


@pytest.mark.parametrize("user", ["65534", "root:root", "root 0", "ro/ot"])
def test_a_script_without_a_possible_user_is_removed(user):
    """Asked of 2.2.7: "Unable to set uid/gid for script", "Error setting global script uid/gid"."""
    script, tracked = 'vrrp_script chk {\n script "/bin/true"\n', conf("track_script {\n chk\n}")
    for text in (
        f"{script} user {user}\n}}\n{tracked}",
        f"global_defs {{\n script_user {user}\n}}\n{script}}}\n{tracked}",
    ):
        result = compiled(text)
        assert [finding.code for finding in result.findings] == ["VRRP422", "VRRP401"]
        assert result.config.scripts == ()
