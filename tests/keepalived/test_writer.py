"""The effective configuration as text is read again as the same; passwords are only there if asked for."""

from pathlib import Path

import pytest

from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.keepalived.writer import MASK, keepalived_conf
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.file.reader import load_scenario

ROOT = Path(__file__).parents[2]
SHIPPED = [
    *sorted((ROOT / "scenarios").glob("*.yaml")),
    *sorted(ROOT.glob("tests/groundtruth/*/scenario.yaml")),
]


def name_of(path):
    return path.parent.name if path.name == "scenario.yaml" else path.stem


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_what_is_written_is_read_again_as_the_same(path):
    scenario = load_scenario(path)
    for name, node in scenario.nodes.items():
        if node.keepalived is None:
            continue
        config, dialect = node.keepalived.config, DIALECTS[scenario.dialect_of(name)]
        text = keepalived_conf(config, secrets=True)
        assert compile_text(text, dialect=dialect).config == config, text


EVERYTHING = """
global_defs {
    router_id lb1
    vrrp_startup_delay 1.5
    vrrp_garp_interval 0.01
    vrrp_gna_interval 0.02
    log_unknown_vrids
    vrrp_notify_priority_changes on
    vrrp_notify_fifo /run/fifo
    script_user nobody
}
vrrp_script chk {
    script "/usr/bin/curl -sf http://localhost/"
    interval 3
    timeout 2
    weight -10 reverse
    fall 2
    rise 4
}
track_file drain {
    file /etc/drain
    weight -5
    init_file 3 overwrite
}
vrrp_track_process proxy {
    process haproxy -W
    param_match initial
    quorum 2
    quorum_max 5
    delay 0.5
    weight 7
}
garp_group {
    interfaces {
        eth0 eth1
    }
    garp_interval 0.5
}
interface_up_down_delays {
    eth1 0.5 1
}
vrrp_sync_group G {
    group {
        A B
    }
    sync_group_tracking_weight
    track_interface {
        eth2 weight 3
    }
    notify_master "/bin/up now"
}
vrrp_instance A {
    state BACKUP
    interface eth0
    virtual_router_id 7
    priority 90
    version 3
    advert_int 0.25
    nopreempt
    down_timer_adverts 5
    use_vmac vip0
    vmac_xmit_base
    lower_prio_no_advert on
    garp_master_refresh 60
    garp_lower_prio_repeat 1
    virtual_ipaddress {
        2001:db8::1/64 dev eth0 no_track
    }
    virtual_ipaddress_excluded {
        10.0.0.1/24
    }
    track_script {
        chk weight 4
    }
    track_file {
        drain
    }
}
vrrp_instance B {
    state MASTER
    interface eth1
    virtual_router_id 8
    priority 120
    unicast_src_ip 10.1.0.1
    unicast_peer {
        10.1.0.2 min_ttl 250
        10.1.0.3
    }
    unicast_ttl 100
    check_unicast_src
    old_unicast_checksum never
    authentication {
        auth_type PASS
        auth_pass hushhush
    }
    virtual_ipaddress {
        10.1.0.9/24
    }
    track_process {
        proxy
    }
    notify "/bin/any"
    notify_priority_changes on
}
"""


def test_every_keyword_survives():
    read = compile_text(EVERYTHING)
    assert read.config is not None
    assert compile_text(keepalived_conf(read.config, secrets=True)).config == read.config


def test_passwords_are_masked():
    config = compile_text(EVERYTHING).config
    assert "hushhush" not in keepalived_conf(config)
    assert f"auth_pass {MASK}" in keepalived_conf(config)
    assert "auth_pass hushhush" in keepalived_conf(config, secrets=True)
