"""One table of keywords: what the compiler knows, YAML offers, its schema describes and the writer writes."""

import pytest

from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.keepalived.keywords.tables import ROOT
from vrrpsim.keepalived.lexer import Lexer
from vrrpsim.keepalived.writer import keepalived_conf
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.file.inline_config import BLOCKS
from vrrpsim.scenario.file.json_schema import scenario_schema
from vrrpsim.starter.machines import read_machines

LATEST = DIALECTS["keepalived-2.3.3"]
# a value for every keyword with effect that differs from what CONF says; a block is written in braces
GARP = {
    "garp_master_delay": "7",
    "garp_master_repeat": "3",
    "garp_master_refresh": "60",
    "garp_master_refresh_repeat": "2\n{}garp_master_refresh 9",
    "garp_lower_prio_delay": "4",
    "garp_lower_prio_repeat": "2",
    "garp_extra_if": "all 100",
    "vmac_garp_intvl": "100 all",
}
TRACK = {
    "track_interface": "{\neth5 weight 3\n}",
    "track_script": "{\nother\n}",
    "track_file": "{\ndrain\n}",
    "track_process": "{\nproxy\n}",
    "track_bfd": "{\nnone\n}",
    **{f"notify{kind}": "/bin/true" for kind in ("", "_master", "_backup", "_fault", "_stop")},
    "notify_priority_changes": "on",
}
SAMPLES = {
    "global_defs": {
        **{f"vrrp_{name}": value.format("vrrp_") for name, value in GARP.items()},
        "router_id": "lb1",
        "vrrp_version": "3",
        "vrrp_mcast_group4": "224.0.0.99",
        "vrrp_mcast_group6": "ff02::99",
        "vrrp_garp_interval": "0.5",
        "vrrp_gna_interval": "0.5",
        "vrrp_min_garp": "",
        "vrrp_down_timer_adverts": "5",
        "vrrp_lower_prio_no_advert": "on",
        "vrrp_higher_prio_send_advert": "on",
        "vrrp_check_unicast_src": "",
        "vrrp_skip_check_adv_addr": "",
        "vrrp_strict": "",
        "vrrp_startup_delay": "1.5",
        "log_unknown_vrids": "",
        "vrrp_notify_priority_changes": "on",
        "notify_fifo": "/run/fifo",
        "vrrp_notify_fifo": "/run/vrrp",
        "script_user": "nobody",
        "vrrp_owner_ignore_adverts": "on",
        "dynamic_interfaces": "",
        "use_symlink_paths": "",
    },
    "vrrp_script": {
        "script": "/bin/false",
        "weight": "5 reverse",
        "user": "nobody",
        "interval": "3",
        "timeout": "2",
        "rise": "2",
        "fall": "2",
        "init_fail": "",
    },
    "vrrp_track_process": {
        "process": "nginx -g",
        "weight": "7",
        "param_match": "initial",
        "full_command": "",
        "quorum": "2",
        "quorum_max": "5",
        "delay": "0.5",
        "fork_delay": "0.5",
        "terminate_delay": "0.5",
    },
    "track_file": {"file": "/etc/other", "weight": "-5", "init_file": "3 overwrite"},
    "garp_group": {
        "garp_interval": "0.5",
        "gna_interval": "0.5",
        "interface": "eth7",
        "interfaces": "{\neth7 eth8\n}",
    },
    "vrrp_sync_group": {
        **TRACK,
        "group": "{\nX\n}",
        "sync_group_tracking_weight": "",
        "global_tracking": "",
    },
    "vrrp_instance": {
        **{name: value.format("") for name, value in GARP.items()},
        **TRACK,
        "state": "MASTER",
        "interface": "eth1",
        "virtual_router_id": "8",
        "priority": "120",
        "advert_int": "3",
        "version": "3",
        "nopreempt": "",
        "preempt": "",
        "preempt_delay": "5",
        "down_timer_adverts": "5",
        "unicast_src_ip": "10.0.0.2",
        "mcast_src_ip": "10.0.0.2",
        "mcast_dst_ip": "224.0.0.99",
        "unicast_ttl": "0",
        "unicast_fault_no_peer": "",
        "check_unicast_src": "",
        "old_unicast_checksum": "",
        "skip_check_adv_addr": "on",
        "strict_mode": "on",
        "lower_prio_no_advert": "on",
        "higher_prio_send_advert": "on",
        "dont_track_primary": "",
        "native_ipv6": "",
        "use_vmac": "vip0",
        "vmac_xmit_base": "\nuse_vmac",
        "accept": "",
        "no_accept": "",
        "notify_deleted": "/bin/true",
        "notify_master_rx_lower_pri": "/bin/true",
        "v3_checksum_as_v2": "on",
        "timer_expired_backup": "20",
        "thread_timer_expired": "20",
        "no_virtual_ipaddress": "",
        "owner_ignore_adverts": "on",
        "virtual_ipaddress": "{\n10.0.0.9\n}",
        "virtual_ipaddress_excluded": "{\n10.0.0.9\n}",
        "virtual_routes": "{\n10.1.0.0/24 via 10.0.0.254 dev eth1\n}",
        "virtual_rules": "{\nfrom 10.2.0.0/16 iif eth2 table 100\n}",
        "unicast_peer": "{\n10.0.0.3\n}",
    },
}
# alone, in CONF, these change nothing: they say what holds already, or it needs more than them
ALONE_NOTHING = {
    "init_fail", "track_bfd", "preempt", "accept", "native_ipv6", "no_virtual_ipaddress", "global_tracking",
    "sync_group_tracking_weight", "vrrp_mcast_group6", "group",
}  # fmt: skip
CONF = {
    "vrrp_script": 'vrrp_script chk {\nscript "/bin/true"\n@}\nvrrp_script other {\nscript /bin/other\n}\n',
    "vrrp_track_process": "vrrp_track_process proxy {\nprocess haproxy\n@}\n",
    "track_file": "track_file drain {\n@file /etc/drain\n}\n",
    "garp_group": "garp_group {\ninterface eth0\ngarp_interval 0.25\n@}\n",
    "vrrp_sync_group": "vrrp_sync_group G {\ngroup {\nX\n}\n@}\n",
    "vrrp_instance": "vrrp_instance X {\ninterface eth0\nvirtual_router_id 7\ntrack_script {\nchk\n}\n"
    "virtual_ipaddress {\n10.0.0.1\n}\n@}\n",
    "global_defs": "global_defs {\n@}\n",
}


def read(block: str = "", line: str = ""):
    text = "".join(conf.replace("@", line if name == block else "") for name, conf in CONF.items())
    return compile_text(text, dialect=LATEST).config


def with_effect(block: str) -> set[str]:
    rows = ROOT[block].table or {}
    return {word for word, row in rows.items() if not row.skip and row.table is None}


@pytest.mark.parametrize("block", SAMPLES)
def test_every_keyword_with_effect_has_its_sample(block):
    assert set(SAMPLES[block]) == with_effect(block)


@pytest.mark.parametrize(
    ("block", "word"), [(block, word) for block in SAMPLES for word in SAMPLES[block]], ids=str
)
def test_what_a_keyword_changes_is_written(block, word):
    config = read(block, f"{word} {SAMPLES[block][word]}\n")
    assert config is not None
    changed = config != read()
    assert changed != bool(ALONE_NOTHING & {word})
    assert compile_text(keepalived_conf(config, secrets=True), dialect=LATEST).config == config


@pytest.mark.parametrize("block", BLOCKS.values())
def test_the_schema_offers_what_the_compiler_knows(block):
    table = ROOT[block].table
    if table is not None:
        offered = set(scenario_schema()["$defs"][block]["properties"])
        assert offered - {"probe"} == set(table)


@pytest.mark.parametrize(("line", "names"), [("router_id a", ["a", "b"]), ("@b router_id c", ["a", "b"])])
def test_a_file_is_read_again_only_if_it_depends_on_the_name_of_its_node(line, names, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        Lexer, "read_file", lambda self, path, was=Lexer.read_file: read.append(path) or was(self, path)
    )
    for name in names:
        text = "".join(conf.replace("@", "") for conf in CONF.values())
        (tmp_path / f"{name}.conf").write_text(f"global_defs {{\n{line}\n}}\n{text}")
    read_machines([tmp_path / f"{name}.conf" for name in names], LATEST)
    assert len(read) == len(names) * (2 if "@" in line else 1)
