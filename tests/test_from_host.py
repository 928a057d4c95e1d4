"""`vrrpsim init --from-host`: this machine as one node, by whoever asks; what is not read is said."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.findings import InputError
from vrrpsim.starter import host as hosts

ROOT = Path(__file__).parents[1]
CONF = """
vrrp_script chk {{
    script "{check}"
    interval 2
    weight -60
}}
vrrp_instance VI_1 {{
    state BACKUP
    interface ens3
    virtual_router_id 51
    priority {priority}
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        10.1.2.100
    }}
    track_script {{
        chk
    }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout client 1s
  timeout server 1s
  timeout connect 1s
frontend www
  bind *:8088
  http-request return status 200
"""


def conf(own, peer, priority, check="/usr/bin/killall -0 haproxy"):
    return CONF.format(own=f"10.1.2.{own}", peer=f"10.1.2.{peer}", priority=priority, check=check)


@pytest.fixture
def lb1(tmp_path):
    """A machine that is Master, with HAProxy at a port that no file says."""
    (tmp_path / "lb1.conf").write_text(conf(3, 4, 150))
    (tmp_path / "lb2.conf").write_text(conf(4, 3, 100))
    return hosts.ThisMachine(
        name="edge-7",
        conf=tmp_path / "lb1.conf",
        config_id=None,
        runs_keepalived=True,
        interfaces={
            "ens3": tuple(map(ip_interface, ("10.1.2.3/20", "10.1.2.100/32", "fe80::3/64"))),
            "ens4": (ip_interface("192.0.2.1/24"),),
        },
        ports={"haproxy": frozenset({8088}), "postgres": frozenset({5432})},
        secretive=frozenset(),
        sees_all=True,
    )


@pytest.fixture
def drafted(lb1, monkeypatch, tmp_path):
    """Makes a draft of the machine, changed; returns what it says that check does not, and the scenario."""

    def made(**changes):
        monkeypatch.setattr(hosts, "read_host", lambda: replace(lb1, **changes))
        draft = vrrpsim.init(tmp_path / "lb2.conf", from_host=True, out=tmp_path / "my.yaml", force=True)
        said = [str(each) for each in draft.findings if each.code in ("VRRP028", "VRRP029")]
        return said, vrrpsim.load(tmp_path / "my.yaml").scenario

    return made


def held(scenario, node="edge-7"):
    return [str(each) for each in scenario.nodes[node].interfaces["ens3"].addresses]


def test_addresses_and_ports_are_those_of_the_machine(drafted):
    said, scenario = drafted()
    assert said == []
    assert [*scenario.nodes] == ["edge-7", "lb2"]
    assert held(scenario) == ["10.1.2.3/20"]  # what keepalived added is not its own, IPv6 is not needed
    assert held(scenario, "lb2") == ["10.1.2.4/20"]
    assert str(scenario.segments["lan"].subnet) == "10.1.0.0/20"
    [client] = scenario.clients.values()
    assert client.target[1] == 8088


def test_the_draft_passes(drafted, tmp_path):
    drafted()
    assert vrrpsim.load(tmp_path / "my.yaml").run().verdict == "pass"


def test_a_virtual_address_without_keepalived_is_the_machines_own(drafted):
    _, scenario = drafted(runs_keepalived=False)
    assert "10.1.2.100" in " ".join(held(scenario))


def test_a_port_is_served_by_who_listens_there(drafted, tmp_path):
    for name, own, peer, priority in (("lb1", 3, 4, 150), ("lb2", 4, 3, 100)):
        check = "/usr/bin/nc -z 127.0.0.1 5432"
        (tmp_path / f"{name}.conf").write_text(conf(own, peer, priority, check))
    _, scenario = drafted()
    assert {*scenario.nodes["edge-7"].processes} == {"postgres"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interfaces": {"eth0": ()}}, "lb1.conf:9:5: warning: VRRP029 this machine has no interface ens3"),
        (
            {"interfaces": {"ens3": (ip_interface("10.1.2.5/20"),)}},
            "lb1.conf:12:5: warning: VRRP029 10.1.2.3 is not on this machine",
        ),
        ({"ports": {}}, "lb1.conf:2:13: warning: VRRP029 chk looks at haproxy, which does not run"),
    ],
    ids=["interface", "source", "process"],
)
def test_what_the_file_names_and_the_machine_has_not(drafted, changes, message):
    said, _ = drafted(**changes)
    assert message in "\n".join(said)


def test_what_cannot_be_known_is_no_absence(drafted):
    """Neither who runs where /proc shows only one's own processes, nor interfaces where `ip` is missing."""
    assert drafted(ports={}, sees_all=False, interfaces={})[0] == []


def test_this_machines_file_may_be_named_too(drafted, lb1, tmp_path):
    drafted()
    draft = vrrpsim.init(lb1.conf, tmp_path / "lb2.conf", from_host=True)
    assert "of edge-7, lb2," in draft.text


def test_alone_it_has_nobody_to_fail_over_to(drafted):
    drafted()
    with pytest.raises(InputError, match=r"one node has nobody .*its peers: 10\.1\.2\.4"):
        vrrpsim.init(from_host=True)


@pytest.mark.parametrize(
    ("words", "file", "config_id"),
    [
        ("keepalived", hosts.KEEPALIVED_CONF, None),
        ("keepalived --dont-fork --log-console", hosts.KEEPALIVED_CONF, None),
        ("keepalived -f /srv/lb.conf -i lb1", "/srv/lb.conf", "lb1"),
        ("keepalived -Dlnf/srv/lb.conf", "/srv/lb.conf", None),
        ("keepalived --use-file=/srv/lb.conf --config-id lb1", "/srv/lb.conf", "lb1"),
        ("keepalived -f", hosts.KEEPALIVED_CONF, None),
    ],
)
def test_the_file_of_the_keepalived_that_runs(words, file, config_id, tmp_path):
    process(tmp_path, 1, "init")
    process(tmp_path, 7, words)
    found = hosts.read_host(tmp_path)
    assert (str(found.conf), found.config_id, found.runs_keepalived) == (file, config_id, True)


def process(proc, pid, words, sockets=()):
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    program, *rest = words.split()
    (folder / "cmdline").write_text("\0".join((f"/usr/sbin/{program}", *rest)) + "\0")
    (folder / "comm").write_text(f"{program[:15]}\n")
    for number, inode in enumerate(sockets):
        (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def test_who_listens_where(tmp_path):
    """By the tables of the kernel: 0A is a listening socket, 1F98 port 8088; names may be long."""
    (tmp_path / "net").mkdir()
    row = "  {}: 00000000:{} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 1\n"
    rows = row.format(0, "1F98", "0A", 11) + row.format(1, "0016", "01", 12) + row.format(2, "01BB", "0A", 13)
    (tmp_path / "net/tcp").write_text("  sl  local_address\n" + rows)
    process(tmp_path, 1, "init")
    process(tmp_path, 20, "haproxy -Ws")
    process(tmp_path, 21, "haproxy -Ws", [11, 12])
    process(tmp_path, 30, "a-very-long-program-name", [13])
    found = hosts.read_host(tmp_path)
    assert found.ports["haproxy"] == {8088}
    assert found.serving(443) == "a-very-long-program-name"
    assert found.sees_all


def test_a_machine_that_shows_nothing_is_named_and_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no `ip`
    process(tmp_path, 500, "keepalived -f lb.conf")
    found = hosts.read_host(tmp_path)
    said = "\n".join(map(str, found.findings))
    for each in (
        "ip -json address: warning: VRRP028",
        "only your own processes",
        "net/tcp",
        "lb.conf: warning",
    ):
        assert each in said
    assert str(found.conf) == hosts.KEEPALIVED_CONF


@pytest.mark.parametrize(
    ("version", "dialect"),
    [("2.2.7", "keepalived-2.2.7"), ("2.3.1", "keepalived-2.2.8"), ("1.3.5", None), ("", None)],
)
def test_the_dialect_is_that_of_the_installed_version_or_the_one_before(version, dialect, monkeypatch):
    monkeypatch.setattr(hosts, "installed_version", lambda: version)
    assert hosts.installed_dialect() == dialect


SCRIPT = """
mount --bind {room}/keepalived /etc/keepalived && mount --bind {room}/haproxy /etc/haproxy || exit 77
ip link set lo up; ip link add ens3 type veth peer name far; ip link set far up; ip link set ens3 up
ip address add 10.1.2.3/20 dev ens3; hostname lb1.example.net
haproxy -D -f /etc/haproxy/haproxy.cfg || exit 77
for user in 0 65534; do
    setpriv --reuid $user --regid $user --clear-groups {python} -m vrrpsim init --from-host {room}/lb2.conf \
        > {room}/$user.yaml 2> {room}/$user.said || exit 1
done
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "haproxy", "keepalived", "ip"))),
    reason="needs root, haproxy and keepalived",
)
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_in_a_machine_of_its_own_as_root_and_as_nobody(mode, open_path):
    """Interfaces, HAProxy and /etc are the namespace's; nobody may read the file, or is told so."""
    for name, file, text in (
        ("keepalived", "keepalived.conf", conf(3, 4, 150)),
        ("haproxy", "haproxy.cfg", HAPROXY),
        (".", "lb2.conf", conf(4, 3, 100)),
    ):
        (open_path / name).mkdir(exist_ok=True)
        (open_path / name / file).write_text(text)
    (open_path / "keepalived/keepalived.conf").chmod(mode)
    script = SCRIPT.format(room=open_path, python=sys.executable)
    words = ["unshare", "-nmupf", "--mount-proc", "--kill-child", "bash", "-c", script]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("cannot make such a namespace here")
    text = (open_path / "0.yaml").read_text()
    assert "ens3: {segment: lan, address: 10.1.2.3/20}" in text
    assert '"10.1.2.100:8088"' in text
    said = (open_path / "65534.said").read_text()
    if mode == 0o644:
        assert done.returncode == 0, said
        assert (open_path / "65534.yaml").read_text() == text
    else:
        assert done.returncode == 1
        assert "keepalived.conf:1:1: error: VRRP001" in said
        assert "Permission denied" in said or "ermission" in said
