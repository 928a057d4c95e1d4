"""`vrrpsim init`: from keepalived.conf files to a scenario that loads, runs and passes, or shows the flaw."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vrrpsim
from vrrpsim.findings import InputError
from vrrpsim.protocol.dialect import DEFAULT_DIALECT
from vrrpsim.scenario.quantities import SECOND_NS
from vrrpsim.starter import init
from vrrpsim.starter.deduce import deduce
from vrrpsim.starter.machines import read_machines
from vrrpsim.starter.plan import plan
from vrrpsim.trace import StateChange

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "scenarios/keepalived"

# Two instances in a sync group, VMACs, a check that only one of them tracks, a cable that is only watched.
FIREWALL = """
global_defs {{
    router_id fw{n}
}}
vrrp_script chk_nginx {{
    script "/usr/bin/pgrep nginx"
    interval 3
    fall 2
    rise 2
}}
vrrp_sync_group BOTH {{
    group {{
        OUT
        IN
    }}
}}
vrrp_instance OUT {{
    state {state}
    interface ens3
    virtual_router_id 10
    priority {priority}
    use_vmac
    vmac_xmit_base
    virtual_ipaddress {{
        203.0.113.1/28
        203.0.113.2/28
    }}
    track_script {{
        chk_nginx
    }}
}}
vrrp_instance IN {{
    state {state}
    interface ens4
    virtual_router_id 11
    priority {priority}
    use_vmac inside
    virtual_ipaddress {{
        10.1.0.1/16
    }}
    track_interface {{
        ens5
    }}
}}
"""
SIX = """
vrrp_instance V6 {{
    interface eth0
    virtual_router_id 66
    priority {priority}
    version 3
    advert_int 0.5
    virtual_ipaddress {{
        fe80::1
        2001:db8::1/64
    }}
}}
"""
ACTIVE_ACTIVE = """
vrrp_script check_web {{
    script "curl -sf http://localhost:8080/health"
    interval 1
    fall 3
}}
vrrp_instance A {{
    interface eth0
    virtual_router_id 1
    priority {priority}
    unicast_peer {{
        10.0.0.{other}
    }}
    virtual_ipaddress {{
        10.0.0.100/24
    }}
    track_script {{
        check_web
    }}
}}
vrrp_instance B {{
    interface eth0
    virtual_router_id 2
    priority {reverse}
    unicast_peer {{
        10.0.0.{other}
    }}
    virtual_ipaddress {{
        10.0.0.101/24
    }}
    track_script {{
        check_web
    }}
}}
"""
NOPREEMPT = """
vrrp_script check_proxy {{
    script "/etc/keepalived/check_haproxy.sh"
    interval 2
}}
vrrp_script ping_gateway {{
    script "/bin/ping -c1 10.0.0.254"
    interval 2
}}
vrrp_instance A {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 1
    priority {priority}
    virtual_ipaddress {{
        10.0.0.100
    }}
    track_script {{
        check_proxy
        ping_gateway
    }}
}}
"""
# No check, equal priorities, and the address on another card than the adverts.
ELSEWHERE = """
vrrp_instance A {{
    interface bond0.100
    virtual_router_id 1
    priority 100
    preempt_delay 10
    virtual_ipaddress {{
        10.0.0.100/24 dev eth1
    }}
}}
"""
SLOW = """
vrrp_instance SLOW {{
    interface eth0
    virtual_router_id 9
    priority {priority}
    version 3
    advert_int 12
    virtual_ipaddress {{
        10.1.0.254/32
    }}
}}
"""
PAIRS = {
    "firewall": FIREWALL,
    "six": SIX,
    "active-active": ACTIVE_ACTIVE,
    "nopreempt": NOPREEMPT,
    "elsewhere": ELSEWHERE,
    "slow": SLOW,
}
SOURCES = {
    "operator": ("lb1.conf", "lb2.conf"),
    "sync-group": ("fw-a.conf", "fw-b.conf"),
    "multicast": ("shop1.conf", "shop2.conf"),
    "two-addresses": ("shop1-two-vips.conf", "shop2-two-vips.conf"),
    "three-nodes": ("edge.conf@edge1", "edge.conf@edge2", "edge.conf@edge3"),
}


FLAWED = [
    "12-weight-too-small",
    "17a-nopreempt-crash",
    "17b-nopreempt-power",
    "22-auth-mismatch",
    "23a-advert-1-3-v2",
    "24-three-nodes",
    "28a-vrid-clash-higher",
    "31-vip-mismatch",
    "44a-middle-nopreempt-crash",
    "52-two-owners",
    "53-timer-expired-backup",
]


def pair(template, folder):
    """Two files of a template, the first with the higher priority."""
    files = []
    for n, state, priority in ((1, "MASTER", 150), (2, "BACKUP", 100)):
        file = folder / f"node{n}.conf"
        file.write_text(
            template.format(n=n, other=3 - n, state=state, priority=priority, reverse=250 - priority)
        )
        files.append(file)
    return files


def sources(name, folder):
    if name in PAIRS:
        return pair(PAIRS[name], folder)
    return [SHIPPED / file for file in SOURCES[name]]


def cli(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "vrrpsim", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


# --- it runs and passes, for every kind of sound cluster


@pytest.mark.parametrize("name", [*SOURCES, *PAIRS])
def test_a_sound_cluster_passes_out_of_the_box(name, tmp_path):
    out = tmp_path / "my.yaml"
    vrrpsim.init(*sources(name, tmp_path), out=out)
    study = vrrpsim.load(out)
    for seed in range(1, 11):
        run = study.run(seed)
        assert run.verdict == "pass", f"seed {seed}\n{run}"
        assert run.result.failovers, "no fault moved anything"


@pytest.mark.parametrize("name", [*SOURCES, *PAIRS])
def test_the_text_means_what_was_deduced(name, tmp_path):
    out = tmp_path / "my.yaml"
    vrrpsim.init(*sources(name, tmp_path), out=out)
    cluster = deduce(read_machines(sources(name, tmp_path), DEFAULT_DIALECT), DEFAULT_DIALECT)
    planned = plan(cluster, DEFAULT_DIALECT, "my").scenario
    loaded = vrrpsim.load(out).scenario
    nodes = {  # the same file, by another path
        name: replace(node, keepalived=replace(node.keepalived, file=planned.nodes[name].keepalived.file))
        for name, node in loaded.nodes.items()
    }
    assert nodes == dict(planned.nodes)
    assert dict(loaded.segments) == dict(planned.segments)
    assert dict(loaded.clients) == dict(planned.clients)
    assert (loaded.name, loaded.duration_ns) == ("my", planned.duration_ns)


@pytest.mark.parametrize("name", [*SOURCES, *PAIRS])
def test_nothing_is_given_twice_and_everything_fits(name, tmp_path):
    cluster = deduce(read_machines(sources(name, tmp_path), DEFAULT_DIALECT), DEFAULT_DIALECT)
    cards = [(n, label, i) for n, node in cluster.nodes.items() for label, i in node.interfaces.items()]
    held = [address.ip for _, _, interface in cards for address in interface.addresses]
    virtual = {client.target[0] for client in cluster.clients.values()}
    assert len(held) == len({*held})
    assert not virtual & {*held}
    for _, _, interface in cards:
        subnet = cluster.segments[interface.segment].subnet
        for address in interface.addresses:
            assert address.ip.is_link_local or subnet.version != address.version or address.ip in subnet
            assert address.ip not in (address.network.network_address, address.network.broadcast_address)


def test_one_file_each_as_the_issue_says(tmp_path):
    made = cli("init", SHIPPED / "lb1.conf", SHIPPED / "lb2.conf", "-o", "my.yaml", cwd=tmp_path)
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    done = cli("run", "my.yaml", "-q", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "passed: 8 of 8 expectations\n")


@pytest.mark.parametrize(
    "case", sorted(path.name for path in (ROOT / "tests/groundtruth").iterdir() if path.is_dir())
)
def test_real_clusters_pass_or_check_says_why_not(case, tmp_path):
    """The files that were measured on real clusters, many of them broken on purpose."""
    files = sorted((ROOT / "tests/groundtruth" / case).glob("*.conf"))
    case, _, version = case.partition("@")
    dialect = f"keepalived-{version}" if version else None
    draft = vrrpsim.init(*files, out=tmp_path / "my.yaml", dialect=dialect)
    verdict = vrrpsim.load(tmp_path / "my.yaml").run().verdict
    flaws = {finding.code for finding in draft.findings if finding.code.startswith("VRRP2")}
    assert verdict == "pass" or flaws, draft.text
    assert verdict == "pass" or case in FLAWED


DEBIAN = Path("/usr/share/doc/keepalived/samples")
SAMPLES = sorted(
    path.name
    for path in DEBIAN.glob("keepalived.conf.*")
    if "vrrp_instance" in path.read_text(errors="replace")
)


@pytest.mark.parametrize("name", SAMPLES or ["none"])
def test_debians_samples_beside_a_weaker_peer(name, tmp_path):
    """The samples describe one node; its peer is the same with less priority."""
    if not SAMPLES:
        pytest.skip("the Debian package keepalived is not installed, there are no samples to read")
    text = (DEBIAN / name).read_text(errors="replace")
    peer = re.sub(
        r"(\bpriority\s+)(\d+)", lambda m: f"{m[1]}{int(m[2]) - 3}", text.replace("MASTER", "BACKUP")
    )
    files = [tmp_path / "one.conf", tmp_path / "two.conf"]
    for file, content in zip(files, (text, peer), strict=True):
        file.write_text(content)
    sources = [f"{file}@high" for file in files] if "@high" in text else files
    vrrpsim.init(*sources, out=tmp_path / "my.yaml")
    run = vrrpsim.load(tmp_path / "my.yaml").run()
    assert run.verdict == "pass", str(run)


# --- what is deduced


def test_the_operators_pair(tmp_path):
    scenario = vrrpsim.load(_written("operator", tmp_path)).scenario
    assert {name: str(s.subnet) for name, s in scenario.segments.items()} == {"lan": "192.168.50.0/24"}
    assert {
        name: [*map(str, node.interfaces["eth0"].addresses)] for name, node in scenario.nodes.items()
    } == {
        "lb1": ["192.168.50.10/24"],
        "lb2": ["192.168.50.20/24"],
    }
    assert scenario.nodes["lb1"].processes["haproxy"].serves == ("80/tcp",)
    assert [(str(c.target[0]), c.target[1]) for c in scenario.clients.values()] == [("192.168.50.108", 80)]
    assert [event.verb for event in scenario.events] == ["kill", "start", "power_off"]
    owners = [each.node for each in scenario.expect.owner]
    assert owners == ["lb1", "lb2", "lb1", "lb2", "lb1"]
    [outage] = [bound for bound in scenario.expect.bounds if bound.measure == "outage"]
    # interval 2 + 3 adverts + skew 154/256 s = 5.602 s; 0.3 s on top; rounded up to a tenth
    assert outage.limit == 6 * SECOND_NS
    text = re.sub(r"\s+# *", " ", (tmp_path / "my.yaml").read_text())  # unwrapped
    assert "chk_haproxy interval 2 × fall 1, then advert_int 1 × 3 + skew 0.602 s (priority 102)" in text
    assert "/24 is assumed" in text
    assert "lb1 103, lb2 102" in text


def _written(name, folder):
    out = folder / "my.yaml"
    vrrpsim.init(*sources(name, folder), out=out)
    return out


def test_two_instances_vmacs_and_a_sync_group(tmp_path):
    scenario = vrrpsim.load(_written("firewall", tmp_path)).scenario
    assert {name: str(s.subnet) for name, s in scenario.segments.items()} == {
        "ens3-lan": "203.0.113.0/28",
        "ens4-lan": "10.1.0.0/16",
        "ens5-lan": "None",
    }
    assert [*scenario.nodes] == ["fw1", "fw2"]
    assert [*scenario.nodes["fw1"].interfaces] == ["ens3", "ens4", "ens5"]  # no macvlan
    assert {*scenario.nodes["fw1"].processes} == {"nginx"}  # the group moves together
    assert [str(client.target[0]) for client in scenario.clients.values()] == [
        "203.0.113.1",
        "203.0.113.2",
        "10.1.0.1",
    ]


def test_peers_tell_the_address_of_a_node_that_does_not(tmp_path):
    scenario = vrrpsim.load(_written("active-active", tmp_path)).scenario
    addresses = [str(node.interfaces["eth0"].addresses[0]) for node in scenario.nodes.values()]
    assert addresses == ["10.0.0.1/24", "10.0.0.2/24"]
    assert [(each.address, each.node) for each in scenario.expect.owner] == [
        ("10.0.0.100", "node1"),  # each owns one
        ("10.0.0.101", "node2"),
        ("", "node2"),  # the check of node1 fails
        ("10.0.0.100", "node1"),
        ("10.0.0.101", "node2"),
        ("", "node2"),  # node1 is off
        ("10.0.0.100", "node1"),
        ("10.0.0.101", "node2"),
    ]
    assert scenario.nodes["node1"].processes["service"].serves == ("8080/tcp",)
    assert "the election at the start" in (tmp_path / "my.yaml").read_text()


def test_scripts_of_the_operators_own_are_guessed_or_confessed(tmp_path):
    text = _written("nopreempt", tmp_path).read_text()
    assert "`/etc/keepalived/check_haproxy.sh` is taken to see whether haproxy runs" in text
    assert "probes: {check_proxy: {process: haproxy}}" in text
    assert "ping_gateway always succeeds here" in text
    assert "node1 takes nothing back (nopreempt)" in text


def test_bash_that_connects_is_a_request_to_its_port(tmp_path):
    one, two = pair(ACTIVE_ACTIVE, tmp_path)
    for file in (one, two):
        check = 'script "</dev/tcp/127.0.0.1/25"'
        file.write_text(file.read_text().replace('script "curl -sf http://localhost:8080/health"', check))
    vrrpsim.init(one, two, out=tmp_path / "my.yaml")
    scenario = vrrpsim.load(tmp_path / "my.yaml").scenario
    assert scenario.nodes["node1"].processes["service"].serves == ("25/tcp",)
    assert "always succeeds" not in (tmp_path / "my.yaml").read_text()


def test_ids_make_several_nodes_of_one_file(tmp_path):
    scenario = vrrpsim.load(_written("three-nodes", tmp_path)).scenario
    instances = {name: node.keepalived.config.instances[0] for name, node in scenario.nodes.items()}
    assert {name: one.priority for name, one in instances.items()} == {
        "edge1": 120,
        "edge2": 110,
        "edge3": 100,
    }
    assert "invented, no file says it" in (tmp_path / "my.yaml").read_text()


def test_nodes_are_named_by_what_tells_them_apart(tmp_path):
    conf = SLOW.format(priority=100)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "keepalived.conf").write_text("global_defs {\n router_id LVS\n}\n" + conf)
    files = [tmp_path / "first/keepalived.conf", tmp_path / "second/keepalived.conf"]
    assert [machine.name for machine in read_machines(files, DEFAULT_DIALECT)] == ["first", "second"]
    (tmp_path / "master.conf").write_text(conf)  # a role is no name
    (tmp_path / "lb 2.conf").write_text(conf)
    files = [tmp_path / "master.conf", tmp_path / "lb 2.conf", tmp_path / "lb 2.conf"]
    names = [machine.name for machine in read_machines(files, DEFAULT_DIALECT)]
    assert names[1:] == ["lb-2", "lb-2-2"]
    assert names[0] != "master"


# --- flaws are shown, and shown again by the run


def test_a_flaw_is_on_stderr_and_fails_the_run(tmp_path):
    one, two = pair(SIX, tmp_path)
    two.write_text(two.read_text().replace("virtual_router_id 66", "virtual_router_id 67"))
    made = cli("init", one, two, "-o", "my.yaml", cwd=tmp_path)
    assert made.returncode == 0
    assert "error: VRRP201 virtual_router_id 67 here, 66" in made.stderr
    assert vrrpsim.load(tmp_path / "my.yaml").run().verdict == "fail"


def test_a_weight_that_is_too_small_fails_the_run(tmp_path):
    one, two = tmp_path / "one.conf", tmp_path / "two.conf"
    one.write_text((SHIPPED / "lb1.conf").read_text().replace("priority 101", "priority 150"))
    two.write_text((SHIPPED / "lb2.conf").read_text())
    draft = vrrpsim.init(one, two, out=tmp_path / "my.yaml")
    assert "VRRP203" in {finding.code for finding in draft.findings}
    run = vrrpsim.load(tmp_path / "my.yaml").run()
    assert run.verdict == "fail"
    assert {v.measure for v in run.result.expectations if v.ok is False} >= {"owner", "outage"}


def test_a_peer_that_no_file_is(tmp_path):
    one, two = (tmp_path / name for name in ("lb1.conf", "lb2.conf"))
    for file in (one, two):
        text = (SHIPPED / file.name).read_text()
        file.write_text(text.replace("unicast_peer {", "unicast_peer {\n        192.168.50.30"))
    [finding] = vrrpsim.init(one, two).findings[:1]
    assert "no file given is the peer 192.168.50.30" in finding.message


# --- wrong inputs


def test_all_errors_of_all_files_at_once(tmp_path):
    one, two = tmp_path / "one.conf", tmp_path / "two.conf"
    one.write_text("vrrp_instance A {\n  interface eth0\n}\n")
    two.write_text("vrrp_instance B {\n  virtual_router_id 3\n}\n")
    out = tmp_path / "my.yaml"
    made = cli("init", one, two, tmp_path / "missing.conf", "-o", out)
    assert made.returncode == 3
    assert "one.conf:1:" in made.stderr
    assert "virtual_router_id must be set" in made.stderr
    assert "two.conf:1:" in made.stderr
    assert "interface must be set" in made.stderr
    assert "missing.conf:1:1: error: VRRP001 no such file" in made.stderr
    assert "Traceback" not in made.stderr
    assert not out.exists()


def test_one_node_has_nobody_to_fail_over_to():
    with pytest.raises(
        InputError, match=r"name the keepalived\.conf of every node \(its peers: 192.168.50.20\)"
    ):
        vrrpsim.init(SHIPPED / "lb1.conf")


def test_a_file_without_instances(tmp_path):
    empty = tmp_path / "empty.conf"
    empty.write_text("global_defs {\n router_id x\n}\n")
    with pytest.raises(InputError, match=r"empty\.conf:1:1: error: VRRP021 has no vrrp_instance"):
        vrrpsim.init(SHIPPED / "lb1.conf", empty)


def test_it_overwrites_only_by_force(tmp_path):
    out = tmp_path / "my.yaml"
    out.write_text("mine")
    files = [SHIPPED / "lb1.conf", SHIPPED / "lb2.conf"]
    refused = cli("init", *files, "-o", out)
    assert refused.returncode == 2
    assert "--force overwrites it" in refused.stderr
    assert out.read_text() == "mine"
    assert cli("init", *files, "-o", out, "--force").returncode == 0
    assert out.read_text().startswith("#")


def test_without_out_it_goes_to_stdout_and_paths_are_from_here(tmp_path):
    pair(SIX, tmp_path)
    bare = cli("init", "node1.conf", "node2.conf", cwd=tmp_path)
    dash = cli("init", "node1.conf", "node2.conf", "-o", "-", cwd=tmp_path)
    assert bare.stdout == dash.stdout
    assert "file: node1.conf" in bare.stdout
    assert not [*tmp_path.glob("*.yaml")]


def test_a_path_that_yaml_would_misread_is_quoted(tmp_path):
    folder = tmp_path / "a: b #c"
    folder.mkdir()
    vrrpsim.init(*pair(SIX, folder), out=tmp_path / "my.yaml")
    assert vrrpsim.load(tmp_path / "my.yaml").run().verdict == "pass"


# --- any cluster


@st.composite
def clusters(draw):
    """Templates of sound clusters: one to three virtual routers, two to four nodes, any timers."""
    nodes = draw(st.integers(2, 4))
    weight = draw(st.sampled_from([0, 60]))  # more than any lead
    check = draw(st.booleans())
    texts = ["" for _ in range(nodes)]
    for number in range(draw(st.integers(1, 3))):
        priorities = draw(st.lists(st.integers(60, 100), min_size=nodes, max_size=nodes, unique=True))
        priorities.sort(reverse=True)
        advert = draw(st.sampled_from(["1", "2", "0.2"]))
        version = "version 3" if advert == "0.2" else "version 2"
        length = draw(st.sampled_from(["", "/24", "/26"]))
        preempt = draw(st.sampled_from(["", "nopreempt"])) if weight == 0 or not check else ""
        lines = "track_script {\n chk\n }" if check else ""
        for node in range(nodes):
            texts[node] += f"""
vrrp_instance VI_{number} {{
    state BACKUP
    {preempt}
    interface eth{number}
    virtual_router_id {number + 1}
    priority {priorities[node]}
    {version}
    advert_int {advert}
    virtual_ipaddress {{
        10.{number}.0.1{length}
    }}
    {lines}
}}
"""
    interval, fall = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    timing = f"interval {interval}\n fall {fall}\n weight {weight}"
    script = f'vrrp_script chk {{\n script "pgrep -x haproxy"\n {timing}\n}}'
    return [f"{script if check else ''}\n{text}" for text in texts]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(texts=clusters())
def test_any_sound_cluster_passes(texts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"n{number}.conf")
        files[-1].write_text(text)
    draft = vrrpsim.init(*files, out=folder / "my.yaml")
    assert not [f for f in draft.findings if str(f.severity) == "error"], draft.findings
    run = vrrpsim.load(folder / "my.yaml").run()
    assert run.verdict == "pass", f"{draft}\n{run}"
    subnets = [s.subnet for s in run.scenario.segments.values()]
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    held = {a.ip for n in run.scenario.nodes.values() for i in n.interfaces.values() for a in i.addresses}
    assert len(held) == len(texts) * len(subnets)


def test_documentation_network_where_nothing_is_named(tmp_path):
    scenario = vrrpsim.load(_written("elsewhere", tmp_path)).scenario
    assert scenario.segments["bond0.100-lan"].subnet == ip_network("192.0.2.0/24")
    assert ip_interface("10.0.0.11/24") in scenario.nodes["node1"].interfaces["eth1"].addresses


def test_nobody_says_which_of_two_equal_backups_stands_in(tmp_path):
    """fidelity.md S4: of 24 real trials the lower address kept what it had taken in 7."""
    files = sorted((Path(__file__).parent / "cases/equal-backups").glob("*.conf"))
    vrrpsim.init(*files, out=tmp_path / "my.yaml")
    study = vrrpsim.load(tmp_path / "my.yaml")
    assert [each.node for each in study.scenario.expect.owner] == ["a", "a"]
    assert all(study.run(seed=seed).result.verdict == "pass" for seed in range(1, 13))


@pytest.mark.parametrize(
    ("case", "addresses"),
    [
        ("same-peer-list-no-source", {"a": "10.0.0.1/24", "b": "10.0.0.2/24"}),
        ("source-of-the-other", {"a": "172.20.128.1/24", "b": "172.20.128.2/24"}),
    ],
)
def test_addresses_are_those_of_the_files(case, addresses, tmp_path):
    draft = vrrpsim.init(*sorted((ROOT / "tests/cases" / case).glob("*.conf")), out=tmp_path / "my.yaml")
    nodes = vrrpsim.load(tmp_path / "my.yaml").scenario.nodes
    shown = {name: [str(each) for each in node.interfaces["eth0"].addresses] for name, node in nodes.items()}
    assert shown == {name: [address] for name, address in addresses.items()}, draft.text


def test_a_source_that_is_on_the_other_node_is_a_fault(tmp_path):
    """Review B6, run on 2.2.7: the second address has no owner at all."""
    vrrpsim.init(*sorted((ROOT / "tests/cases/source-of-the-other").glob("*.conf")), out=tmp_path / "my.yaml")
    run = vrrpsim.load(tmp_path / "my.yaml").run()
    assert {owned.address: bool(owned.tenures) for owned in run.result.ownerships} == {
        "172.20.128.4": True,
        "172.20.128.5": False,
    }


def test_the_service_of_one_instance_is_not_that_of_another(tmp_path):
    """Review B5: an instance without a check does not take the port that a check asks."""
    files = sorted((ROOT / "tests/cases/init-service-overwritten").glob("*.conf"))
    vrrpsim.init(*files, out=tmp_path / "my.yaml")
    study = vrrpsim.load(tmp_path / "my.yaml")
    served = {port for process in study.scenario.nodes["a"].processes.values() for port in process.serves}
    assert served == {"3306/tcp", "80/tcp"}
    assert study.run().verdict == "pass"


HAPROXY = """
global
    stats socket /run/haproxy/admin.sock mode 660
frontend stats  # not what clients want
    bind *:8404
    stats enable
frontend www
    bind :8080,10.0.0.9:8081 ssl crt /etc/ssl/x.pem
    bind ipv6@:8080 v6only
    bind /run/www.sock
listen db 10.0.0.100:3306
backend web
    server one 10.1.0.1:80
"""


def test_haproxys_own_file_says_the_ports(tmp_path):
    tmp_path.joinpath("haproxy.cfg").write_text(HAPROXY)
    files = sorted((ROOT / "tests/cases/init-pkill").glob("*.conf"))
    draft = vrrpsim.init(*files, out=tmp_path / "my.yaml", haproxy=tmp_path / "haproxy.cfg")
    study = vrrpsim.load(tmp_path / "my.yaml")
    [client] = study.scenario.clients.values()
    assert client.target[1] == 3306  # what is bound to the very address
    served = study.scenario.nodes["a"].processes["haproxy"].serves
    assert set(served) == {"8080/tcp", "8081/tcp", "3306/tcp", "8404/tcp"}
    assert "guess" not in draft.text
    assert study.run().verdict == "pass"


@pytest.mark.parametrize(
    ("text", "says"), [(None, "No such file"), ("backend x\n  server a 10.0.0.1:80\n", "no frontend binds")]
)
def test_a_haproxy_file_that_says_nothing_is_an_error(tmp_path, text, says):
    file = tmp_path / "haproxy.cfg"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=rf"haproxy\.cfg:1:1: error: VRRP001 {says}"):
        vrrpsim.init(*sorted((ROOT / "tests/cases/init-pkill").glob("*.conf")), haproxy=file)


def test_an_address_of_nothing_is_no_network_and_has_no_client(tmp_path):
    """`virtual_ipaddress { 0.0.0.0 }` stands in public files: nobody can ask it, it shows no network."""
    pair = []
    for name, priority in (("a", 100), ("b", 90)):
        file = tmp_path / f"{name}.conf"
        file.write_text(
            f"vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n priority {priority}\n"
            " virtual_ipaddress {\n  0.0.0.0\n }\n}\n"
        )
        pair.append(file)
    vrrpsim.init(*pair, out=tmp_path / "my.yaml")
    scenario = vrrpsim.load(tmp_path / "my.yaml").scenario
    assert not scenario.clients
    assert str(scenario.segments["lan"].subnet) == "192.0.2.0/24"


@pytest.mark.parametrize("case", ["no-twin", "vrid-differs-no-vip"])
def test_nodes_that_share_no_virtual_router_pass_nothing(case, tmp_path):
    files = sorted((ROOT / "tests/cases" / case).glob("*.conf"))
    draft = vrrpsim.init(*files, out=tmp_path / "my.yaml")
    assert "is on no other node" in draft.text.partition("version: 1")[0]
    assert vrrpsim.load(tmp_path / "my.yaml").run().verdict != "pass"


def test_errors_stand_in_the_scenario_and_in_the_last_line(tmp_path):
    """A pair whose check can never succeed is not called ready to run."""
    folder = ROOT / "tests/cases/init-pgrep-redirect"
    out = tmp_path / "my.yaml"
    done = cli("init", *sorted(folder.glob("*.conf")), "-o", out)
    assert done.returncode == 0
    assert "mend the errors above (2), then" in done.stderr.splitlines()[-1]
    assert "VRRP421" in out.read_text().partition("version: 1")[0]


def test_a_month_has_passed_where_a_cluster_comes_to_rest(tmp_path):
    shapes = Path(__file__).parent / "lab/shapes"
    pair = init(*sorted((shapes / "unicast-killall").glob("*.conf")))
    assert "\nage: 30d\n" in pair.text
    restless = init(*sorted((shapes / "vip-is-node-address").glob("*.conf")))
    assert "\nage:" not in restless.text


def test_a_client_of_the_other_family_has_an_address(tmp_path):
    shape = Path(__file__).parent / "lab/shapes/dual-stack"
    init(*sorted(shape.glob("*.conf")), out=tmp_path / "my.yaml")
    study = vrrpsim.load(tmp_path / "my.yaml")
    addresses = {str(client.address) for client in study.scenario.clients.values()}
    assert addresses == {"None", "2001:db8:5::d/64"}
    assert study.run().verdict == "pass"


def test_init_finds_what_check_finds_in_one_file():
    case = Path(__file__).parent / "cases/bug-truenas-v6-unicast"
    assert "VRRP337" in {each.code for each in init(case / "a.conf", case / "b.conf").findings}


@pytest.mark.parametrize(
    "folder", sorted((Path(__file__).parent / "lab/shapes").iterdir()), ids=lambda f: f.name
)
def test_inline_is_the_same_cluster_in_one_file(folder, tmp_path):
    files = sorted(folder.glob("*.conf"))
    for name, inline in (("files", False), ("inline", True)):
        init(*files, out=tmp_path / f"{name}.yaml", inline=inline)
    one, other = (vrrpsim.load(tmp_path / f"{name}.yaml") for name in ("files", "inline"))
    configs = [[node.keepalived.config for node in each.scenario.nodes.values()] for each in (one, other)]
    assert configs[0] == configs[1]
    if "age" in (tmp_path / "inline.yaml").read_text():
        assert one.run(seed=3).result.digest == other.run(seed=3).result.digest


def test_inline_keeps_what_a_block_of_yaml_cannot_hold_and_refuses_what_is_elsewhere(tmp_path):
    shape = Path(__file__).parent / "lab/shapes/ipv6"
    for name in ("r1", "r2"):
        text = (shape / f"{name}.conf").read_text()
        (tmp_path / f"{name}.conf").write_text("   # a\u00a0b \u2028\n\n" + text.rstrip())
    files = [tmp_path / "r1.conf", tmp_path / "r2.conf"]
    init(*files, out=tmp_path / "my.yaml", inline=True)
    assert vrrpsim.load(tmp_path / "my.yaml").run().verdict == "pass"
    (tmp_path / "both.conf").write_text((tmp_path / "r1.conf").read_text())
    (tmp_path / "r1.conf").write_text("include both.conf\n")
    with pytest.raises(InputError, match="includes other files"):
        init(*files, inline=True)


MAINTENANCE = """
vrrp_script maintenance {{
    script "/usr/bin/test -e /etc/keepalived/down"
    weight 50 reverse
}}
vrrp_script gateway {{
    script "/bin/ping -c 1 -W 1 192.0.2.1"
}}
vrrp_script api {{
    script "/etc/keepalived/check_apiserver.sh"
    weight -60
}}
vrrp_instance VI {{
    interface eth0
    virtual_router_id 51
    priority {priority}
    virtual_ipaddress {{
        192.0.2.100/24
    }}
    track_script {{
        maintenance
        gateway
        api
    }}
}}
"""


def test_what_is_well_while_it_fails_fails_and_what_asks_elsewhere_says_whom(tmp_path):
    files = [tmp_path / "a.conf", tmp_path / "b.conf"]
    for file, priority in zip(files, (200, 180), strict=True):
        file.write_text(MAINTENANCE.format(priority=priority))
    out = tmp_path / "my.yaml"
    text = " ".join(vrrpsim.init(*files, out=out).text.replace("#", "").split())
    assert "maintenance fails here, which is well" in text
    assert "gateway always succeeds here, as nobody has 192.0.2.1" in text
    assert "kube-apiserver" in text
    calm = vrrpsim.Scenario.of(out)
    assert calm.run().verdict == "pass"
    down = calm.event(at=12, start="a/maintenance").run()  # 200 - 50 is less than 180
    states = [(each.node, each.new) for each in down.trace.records if isinstance(each, StateChange)]
    assert ("b", "MASTER") in states


def test_nodes_of_one_file_are_told_apart_by_their_id(tmp_path):
    """`check` calls them FILE@ID: they are compared, and none has another one's address twice."""
    file = tmp_path / "k.conf"
    file.write_text(
        'vrrp_script chk {\n    script "/usr/bin/pgrep nginx"\n    weight -2\n}\n'
        "vrrp_instance VI {\n    interface eth0\n    virtual_router_id 51\n    @m1 priority 102\n"
        "    @m2 priority 99\n    virtual_ipaddress {\n        192.0.2.100/24\n    }\n"
        "    track_script {\n        chk\n    }\n}\n"
    )
    found = {each.code: each.message for each in init(f"{file}@m1", f"{file}@m2").findings}
    assert f"{file}@m2" in found["VRRP203"]  # the weight is too small
    assert not {"VRRP222", "VRRP033"} & {*found}


def test_an_interface_that_a_route_depends_on_is_in_the_machine(tmp_path):
    """It is tracked: without it the pair would be in FAULT, and the draft a lie."""
    pair = []
    for name, priority in (("a", 200), ("b", 100)):
        pair.append(tmp_path / f"{name}.conf")
        pair[-1].write_text(
            f"vrrp_instance GW {{\ninterface eth0\nvirtual_router_id 80\npriority {priority}\n"
            "virtual_ipaddress {\n192.0.2.1/24\n}\n"
            "virtual_routes {\ndefault via 203.0.113.254 dev eth1\n}\n}\n"
        )
    draft = init(*pair, out=tmp_path / "my.yaml")
    assert "VRRP350" not in {each.code for each in draft.findings}  # that nothing is tracked
    calm = vrrpsim.Scenario.of(tmp_path / "my.yaml")
    assert {*calm.scenario.nodes["a"].interfaces} == {"eth0", "eth1"}
    assert calm.run().verdict == "pass"
    cut = calm.event(at=11, link_down="a/eth1").run()
    assert ("a", "FAULT") in [(e.node, e.new) for e in cut.trace.records if isinstance(e, StateChange)]
