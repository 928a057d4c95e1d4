"""The parts of the live daemon that need neither root nor a network."""

import asyncio
import io
import json
import os
import pwd
import struct
from ipaddress import ip_address
from pathlib import Path
from random import Random

import pytest
from memory import Clock, Machine, host

from vrrpsim.cli import main
from vrrpsim.config.compiler import compile_text
from vrrpsim.live import metrics, scripts, service, sockets, state, watch
from vrrpsim.live.notify import fifo_line, notifies_of, notify_commands
from vrrpsim.live.observe import Observer
from vrrpsim.protocol.configuration import FileConfig, ProcessConfig, ScriptConfig
from vrrpsim.protocol.dialect import DEFAULT_DIALECT
from vrrpsim.protocol.outputs import RunNotify
from vrrpsim.protocol.packet import parse
from vrrpsim.trace import AddressChange, StateChange, Trace

SECOND_NS = 1_000_000_000
OURS, THEIRS, GROUP = map(ip_address, ("10.0.0.2", "10.0.0.1", "224.0.0.18"))
CONF = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass s3cret
    }
    virtual_ipaddress {
        10.0.0.100
    }
    notify_master "/bin/own 'two words'"
    notify /bin/any
}
"""


def configured(text=CONF):
    config = compile_text(text).config
    assert config is not None
    return config


@pytest.fixture
def backup():
    """A backup in memory that has heard one good advert, and the bytes of that advert."""
    clock = Clock()
    master = Machine("lb1", configured(CONF.replace("100\n", "200\n", 1)), DEFAULT_DIALECT, clock)
    machine = Machine("lb2", configured(), DEFAULT_DIALECT, clock)
    master.daemon.start(host("eth0", THEIRS))
    clock.run_until(4 * SECOND_NS)
    machine.daemon.start(host("eth0", OURS))
    advert = master.sent[0].payload
    machine.daemon.receive("eth0", THEIRS, GROUP, 255, advert)
    return machine, advert


# --- the wire


def test_100_000_mutated_datagrams_change_nothing(backup):
    """From the raw socket's bytes on: no exception, no other state, every datagram a counted discard."""
    machine, advert = backup
    router, random = machine.daemon.router, Random("mutations")
    before = router.instances["VI_1"].state
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0xC0, 0, 1, 0, 255, 112, 0, THEIRS.packed, GROUP.packed)
    good = head + advert
    for _ in range(100_000):
        packet = bytearray(good)
        for _ in range(random.randrange(1, 5)):
            packet[random.randrange(20, len(packet))] ^= random.randrange(1, 256)
        cut = random.randrange(4)
        data = bytes(packet[: random.randrange(len(packet))] if cut == 0 else packet)
        datagram = sockets.read_ipv4(data + random.randbytes(random.randrange(9)) if cut == 1 else data)
        if datagram is not None and datagram[3] != advert:
            machine.daemon.receive("eth0", *datagram)
    after = router.instances["VI_1"].state
    assert after == before
    discarded = sum(machine.daemon.discarded.values()) + sum(router.instances["VI_1"].counters.values())
    assert discarded > 80_000
    assert "s3cret" not in "".join(machine.log_lines)


def test_headers_that_no_kernel_would_give():
    assert sockets.read_ipv4(b"") is None
    assert sockets.read_ipv4(bytes(19)) is None
    assert sockets.read_ipv4(b"\x4f" + bytes(30)) is None
    assert sockets.read_ipv6(b"abc", [], "fe80::1") is None
    beside = [
        (sockets.socket.IPPROTO_IPV6, sockets.socket.IPV6_HOPLIMIT, struct.pack("=i", 255)),
        (sockets.socket.IPPROTO_IPV6, sockets.socket.IPV6_PKTINFO, ip_address("ff02::12").packed + bytes(4)),
    ]
    expected = (ip_address("fe80::1"), ip_address("ff02::12"), 255, b"abc")
    assert sockets.read_ipv6(b"abc", beside, "fe80::1%eth0") == expected


# --- addresses and the trace


def test_our_own_removal_is_no_third_party(backup):
    machine, _ = backup
    machine.clock.run_until(20 * SECOND_NS)
    address = ip_address("10.0.0.100")
    state_of = machine.daemon.router.state_of
    assert state_of("VI_1").name == "MASTER"
    machine.daemon.address_changed("eth0", address, False, by_us=True)
    assert state_of("VI_1").name == "MASTER"
    machine.daemon.address_changed("eth0", address, False, by_us=False)  # FSM-39
    assert state_of("VI_1").name == "BACKUP"
    assert machine.sent[-1].priority == 0


def test_what_follows_an_address_waits_for_the_kernel(backup):
    """Given a kernel that takes its time, then nothing overtakes the change of addresses."""
    machine, _ = backup
    waiting = []
    machine.add_addresses = lambda output, done: waiting.append(done)
    machine.clock.run_until(5 * SECOND_NS)
    machine.clock.run_until(9 * SECOND_NS)
    [done] = waiting
    sent = len(machine.sent)
    assert sent == 1
    assert not machine.notified or machine.notified[-1][1].split()[2] != "MASTER"
    done()
    assert machine.notified[-1][1] == 'INSTANCE "VI_1" MASTER 100\n'
    assert len(machine.sent) > sent


def test_the_trace_file_has_the_simulators_format(tmp_path):
    records = [
        StateChange(1, "lb1", "VI_1", "BACKUP", "MASTER", "master_down_timer", None),
        AddressChange(2, "lb1", "eth0", "10.0.0.100", True),
    ]
    trace = Trace()
    trace.records, trace.end_ns = records, 3
    written = object.__new__(service.Service)
    written._file = io.StringIO()
    for record in records:
        written._record(record)
    assert written._file.getvalue().splitlines() == list(trace.json_lines())[:-1]


# --- notify


def test_notify_order_and_arguments():
    notify = notifies_of(configured())["INSTANCE", "VI_1"]
    output = RunNotify("INSTANCE", "VI_1", "MASTER", 103)
    own, generic = notify_commands(notify, output)
    assert own == ("/bin/own", "two words")
    assert generic == ("/bin/any", "INSTANCE", "VI_1", "MASTER", "103")
    assert fifo_line(output) == 'INSTANCE "VI_1" MASTER 103\n'
    assert notify_commands(notify, output._replace(state="MASTER_PRIORITY"))[0][0] == "/bin/any"


# --- scripts


def finished_runs(*commands, seconds=5.0, kill=None):
    """Run checks for real; {number: (code, signal)} of those that ended."""

    async def work():
        ended, log = {}, []
        children = scripts.Children(lambda run, code, signal: ended.update({run: (code, signal)}), log.append)
        for number, words in enumerate(commands):
            children.run(ScriptConfig(name="s", command="", words=tuple(words)), number)
        if kill:
            await asyncio.sleep(0.2)
            children.kill(0, kill)
        until = asyncio.get_running_loop().time() + seconds
        while len(ended) < len(commands) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        children.close()
        return ended, log

    return asyncio.run(work())


def test_checks_are_words_and_not_a_shell(tmp_path):
    """SC-5, SC-6, SC-15."""
    bad = tmp_path / "shebangless"
    bad.write_text("exit 1\n")
    bad.chmod(0o755)
    ended, log = finished_runs(
        ["/bin/true"], ["/bin/false"], ["/bin/test", "a", "=", "a;", "exit"], [str(bad)], ["/no/such"]
    )
    assert ended == {0: (0, None), 1: (1, None), 2: (2, None), 3: (0, None), 4: (0, None)}
    assert len(log) == 2


def test_term_reaches_the_whole_process_group():
    """SC-4: the shell and its child die together, by our signal."""
    ended, _ = finished_runs(["/bin/sh", "-c", "sleep 60 & wait"], kill="TERM")
    assert ended == {0: (None, 15)}


def test_what_cannot_run_disappears(tmp_path):
    """SC-12: no weight, no fault, no tracker."""
    text = (
        "vrrp_script gone {\n script /no/such/check\n}\nvrrp_script there {\n script true\n}\n"
        + CONF.replace("priority 100", "priority 100\n track_script {\n gone\n there\n }")
    )
    config, remarks = scripts.usable_scripts(configured(text), scripts.Security())
    assert [script.name for script in config.scripts] == ["there"]
    assert config.scripts[0].words[0].endswith("/true")
    assert [track.name for track in config.instances[0].track_scripts] == ["there"]
    assert remarks == ["Disabling track script gone: /no/such/check not found or not accessible"]


def test_enable_script_security(tmp_path):
    """SC-11, SC-12: root does not run what others can change."""
    loose = tmp_path / "check"
    loose.write_text("#!/bin/sh\n")
    loose.chmod(0o777)
    text = f"vrrp_script chk {{\n script {loose}\n}}\n" + CONF.replace(
        "priority 100", "priority 100\n track_script {\n chk\n }"
    )
    conf = tmp_path / "k.conf"
    conf.write_text("global_defs {\n enable_script_security\n script_user root\n}\n" + text)
    security = scripts.read_security(conf)
    assert security == scripts.Security("root", True)
    config, [remark] = scripts.usable_scripts(configured(text), security)
    assert config.scripts == ()
    assert "unsafe permissions" in remark
    nobody = scripts.Security(pwd.getpwuid(65534).pw_name, True)
    assert scripts.usable_scripts(configured(text), nobody)[0].scripts != ()


# --- files and processes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        (" -3\n", -3),
        ("0x10", 16),
        ("010", 8),
        ("089", 0),
        ("", 0),
        ("abc", 0),
        ("7 up", 7),
        ("+2", 2),
    ],
)
def test_file_values_are_read_as_c_does(tmp_path, text, value):
    path = tmp_path / "f"
    path.write_text(text)
    assert watch.file_value(path) == value
    assert watch.file_value(tmp_path / "missing") == 0


def test_files_are_watched(tmp_path):
    path = tmp_path / "weight"

    async def work():
        seen, changed = [], asyncio.Event()

        def note(name, value):
            seen.append((name, value))
            changed.set()

        watching = watch.Watch(note, lambda *_: None)
        watching.start((FileConfig(name="w", path=str(path)),), (), {})
        for act in (lambda: path.write_text("7"), path.unlink):
            changed.clear()
            act()
            await asyncio.wait_for(changed.wait(), 5)
        watching.close()
        return seen

    seen = asyncio.run(work())
    assert ("w", 7) in seen
    assert seen[-1] == ("w", 0)


def test_processes_match_by_name_or_command_line():
    by_name = ProcessConfig(name="p", process="/usr/sbin/haproxy-very-long")
    assert watch.process_matches(by_name, "haproxy-very-lo", ["whatever"])
    exact = ProcessConfig(name="p", process="haproxy", parameters=("-f", "x"), param_match="exact")
    assert watch.process_matches(exact, "haproxy", ["haproxy", "-f", "x"])
    assert not watch.process_matches(exact, "haproxy", ["haproxy", "-f", "y"])
    own = ProcessConfig(name="me", process=Path("/proc/self/comm").read_text().strip())
    assert watch.count_processes((own,))["me"] >= 1


# --- what it tells


def test_state_and_metrics_say_much_but_no_secrets(backup):
    pytest.importorskip("prometheus_client")
    from prometheus_client import CollectorRegistry, generate_latest

    machine, _ = backup
    entries = state.snapshot(machine.daemon.router, machine.clock.now_ns)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics.Collector(lambda: entries, lambda: {"lag": 0.001, "unknown_vrid": 2}, "1"))
    text = generate_latest(registry).decode()
    assert 'vrrp_state{iname="VI_1",intf="eth0",vrid="51"} 1.0' in text
    assert 'vrrp_advert_rcvd_total{iname="VI_1",intf="eth0",vrid="51"} 1.0' in text
    assert 'vrrpsim_discarded_datagrams_total{reason="unknown_vrid"} 2.0' in text
    assert entries[0]["data"]["master"] == "10.0.0.1"
    assert "s3cret" not in text + json.dumps(entries)


def test_the_observer_tells_masters_duals_foreigners_and_silence(backup):
    _, advert = backup
    observer = Observer(configured())

    def hear(source, at_s, payload=advert):
        return observer.heard("eth0", source, GROUP, 255, payload, int(at_s * SECOND_NS))

    assert hear(THEIRS, 1) == ["VI_1 on eth0: 10.0.0.1 is master, priority 200"]
    assert hear(THEIRS, 2) == []
    assert hear(THEIRS, 4) == ["VI_1 on eth0: advert of 10.0.0.1 after 2.000 s, late"]
    assert hear(OURS, 4)[-1] == "VI_1 on eth0: DUAL MASTER: 10.0.0.2 and 10.0.0.1"
    assert observer.advance(9 * SECOND_NS)[-1] == "VI_1 on eth0: NO MASTER"
    foreign = advert[:1] + b"\x07" + advert[2:]
    assert parse(foreign, 4).vrid == 7
    assert hear(THEIRS, 10, foreign)[0] == "eth0: foreign VRID 7 from 10.0.0.1"
    assert hear(THEIRS, 11, b"\x31")[0].startswith("eth0: malformed")


# --- the command


def test_dry_run_needs_no_rights_and_shows_no_secret(tmp_path, capsys):
    conf = tmp_path / "k.conf"
    conf.write_text(CONF)
    conf.chmod(0o644)
    assert main(["live", str(conf), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert "(VI_1) as master add 10.0.0.100/32 to eth0" in out
    assert "contains a password and can be read by everybody" in err
    assert "s3cret" not in out + err


def test_a_missing_capability_is_one_line_and_exit_4(tmp_path, capsys, monkeypatch):
    pytest.importorskip("pyroute2")
    conf = tmp_path / "k.conf"
    conf.write_text(CONF)
    conf.chmod(0o600)
    monkeypatch.setattr(service, "missing_capabilities", lambda *needed: ["CAP_NET_RAW"])
    assert main(["live", str(conf)]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unusable_configuration_is_exit_3(tmp_path, capsys):
    conf = tmp_path / "k.conf"
    conf.write_text(CONF.replace("virtual_router_id 51", ""))
    assert main(["live", str(conf), "--dry-run"]) == 3
    assert main(["live", str(tmp_path / "none.conf")]) == 3
    assert os.sep in capsys.readouterr().err
