"""The parts of the live daemon that need neither root nor a network."""

import asyncio
import configparser
import io
import json
import os
import socket
import struct
import time
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest
from memory import CONF, Clock, Machine, configured, host

from vrrpsim.cli import main
from vrrpsim.keepalived.notify import fifo_line, notifies_of, notify_commands
from vrrpsim.live import background, loading, metrics, privileges, service, sockets, state, systemd
from vrrpsim.live.kernel_timer import KernelTimer
from vrrpsim.live.observe import Observer
from vrrpsim.live.sockets import read_ipv4
from vrrpsim.protocol import router
from vrrpsim.protocol.dialect import DEFAULT_DIALECT, Checksum
from vrrpsim.protocol.frames import ipv4_packet
from vrrpsim.protocol.outputs import RunNotify
from vrrpsim.protocol.packet import Datagram, encode, parse
from vrrpsim.trace import AddressChange, AdvertRejected, StateChange, Trace

SECOND_NS = 1_000_000_000
OURS, THEIRS, GROUP = map(ip_address, ("10.0.0.2", "10.0.0.1", "224.0.0.18"))


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
    machine.daemon.receive("eth0", Datagram(THEIRS, GROUP, 255, advert))
    return machine, advert


# --- the wire


def test_headers_that_no_kernel_would_give():
    assert sockets.read_ipv4(b"") is None
    assert sockets.read_ipv4(bytes(19)) is None
    assert sockets.read_ipv4(b"\x4f" + bytes(30)) is None
    assert sockets.read_ipv6(b"abc", [], "fe80::1") is None
    beside = [
        (sockets.socket.IPPROTO_IPV6, sockets.socket.IPV6_HOPLIMIT, struct.pack("=i", 255)),
        (sockets.socket.IPPROTO_IPV6, sockets.socket.IPV6_PKTINFO, ip_address("ff02::12").packed + bytes(4)),
    ]
    expected = Datagram(ip_address("fe80::1"), ip_address("ff02::12"), 255, b"abc", b"")
    assert sockets.read_ipv6(b"abc", beside, "fe80::1%eth0").is_like(expected)


# --- addresses and the trace


def a_service(path, say=lambda text: None):
    """A daemon that has not opened anything yet."""
    pytest.importorskip("pyroute2")
    options = service.Options(path, DEFAULT_DIALECT, "lb1")
    return service.LiveService(options, loading.Loaded(configured(), ()), say)


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
    written = a_service(tmp_path)
    written._file = io.StringIO()
    for record in records:
        written._record(record)
    assert written._file.getvalue().splitlines() == list(trace.json_lines())[:-1]


def test_a_flood_fills_neither_the_trace_nor_the_log(tmp_path, monkeypatch):
    """Given a second of flood, then so many lines, and in the next second how many there were."""
    said, second = [], [1.0]
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.setattr("vrrpsim.live.background.time.monotonic", lambda: second[0])
    told = a_service(tmp_path, said.append)
    told._file = io.StringIO()
    for number in range(5_000):
        told._log("invalid passwd", False)
        told._record(AdvertRejected(number, "lb1", "VI_1", "10.0.0.9", "auth_failure"))
    told._record(StateChange(5_000, "lb1", "VI_1", "BACKUP", "MASTER", "master_down_timer", None))
    rows = told._file.getvalue().splitlines()
    assert len(rows) == service.RECORDS_PER_SECOND + 1  # what matters is never left out
    second[0] = 2.0
    told._log("Entering MASTER STATE", False)
    told._record(AdvertRejected(6_000, "lb1", "VI_1", "10.0.0.9", "auth_failure"))
    told.speaker.close()
    assert len(said) == service.LINES_PER_SECOND + 2
    assert [line[24:] for line in said[-2:]] == ["4800 lines left out", "Entering MASTER STATE"]
    assert "3000 rejected adverts and log lines left out" in told._file.getvalue()


def test_the_log_never_waits_for_its_reader():
    """Given a reader who has stopped, then work goes on, and a bounded lot is kept for later."""
    going, said = Event(), []
    speaker = background.WriterThread()
    speaker.do(going.wait)
    begin = time.monotonic()
    for number in range(5_000):
        speaker.do(lambda number=number: said.append(number))
    speaker.close(0)
    assert time.monotonic() - begin < 1
    assert said == []
    going.set()
    speaker._thread.join(5 if speaker._queue.qsize() == 0 else 0)
    until = time.monotonic() + 5
    while len(said) < background.WriterThread.WAITING - 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert said[:3] == [0, 1, 2]
    assert len(said) in (background.WriterThread.WAITING, background.WriterThread.WAITING - 1)
    speaker.close()


# --- notify


def test_notify_order_and_arguments():
    notify = notifies_of(configured())["INSTANCE", "VI_1"]
    output = RunNotify("INSTANCE", "VI_1", "MASTER", 103)
    own, generic = notify_commands(notify, output)
    assert own == (("/bin/own", "two words"), "")
    assert generic == (("/bin/any", "INSTANCE", "VI_1", "MASTER", "103"), "")
    assert fifo_line(output) == 'INSTANCE "VI_1" MASTER 103\n'
    for told in ("MASTER_PRIORITY", "MASTER_RX_LOWER_PRI"):  # the FIFO only, and a script of its own
        assert notify_commands(notify, output._replace(state=told)) == []
    own = notify._replace(master_rx_lower_pri="/bin/low", users=(("master_rx_lower_pri", "nobody"),))
    assert notify_commands(own, output._replace(state="MASTER_RX_LOWER_PRI")) == [(("/bin/low",), "nobody")]


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


def test_an_advert_that_comes_again_is_not_taken_apart_again(backup, monkeypatch):
    """Given the same bytes from a raw socket, then from the third on no receive check runs."""
    machine, advert = backup
    looked = []
    check = router.check_advert
    monkeypatch.setattr(router, "check_advert", lambda packet: looked.append(packet) or check(packet))
    packet = ipv4_packet(THEIRS, GROUP, 255, 112, 7, advert)
    for _ in range(10):
        machine.clock.now_ns += SECOND_NS // 10
        machine.daemon.receive("eth0", read_ipv4(packet))
    assert len(looked) <= 2


def test_a_backup_sleeps_until_a_deadline_that_no_advert_has_moved(backup):
    """Of ten virtual routers whose adverts come at different moments, none wakes it by itself."""
    one = CONF[CONF.index("vrrp_instance") :]
    text = "".join(one.replace("VI_1", f"V{n}").replace(" 51", f" {n}") for n in range(1, 11))
    clock, woken = Clock(), []
    machine = Machine("lb2", configured(text), DEFAULT_DIALECT, clock)
    machine.daemon.start(host("eth0", OURS))
    advert, wake = parse(backup[1], 4), machine.wake
    machine.wake = lambda: (woken.append(clock.now_ns), wake())
    for vrid in range(1, 11):
        again = replace(advert, vrid=vrid)
        payload = encode(again, source=THEIRS, destination=GROUP, checksum=Checksum.MESSAGE, family=4)
        for second in range(30):
            at_ns = second * SECOND_NS + vrid * 50_000_000
            clock.at(at_ns, partial(machine.daemon.receive, "eth0", Datagram(THEIRS, GROUP, 255, payload)))
    clock.run_until(30 * SECOND_NS)
    assert all(machine.daemon.router.state_of(f"V{n}").name == "BACKUP" for n in range(1, 11))
    assert len(woken) <= 15  # each of the ten looks every 3.6 s, but together
    clock.run_until(35 * SECOND_NS)
    assert machine.daemon.router.state_of("V10").name == "MASTER"


def test_the_kernels_timer_rings_at_the_instant_that_was_set_last():
    async def trial():
        rung = []
        timer = KernelTimer(lambda at_ns: rung.append((at_ns, time.monotonic_ns())))
        late = time.monotonic_ns() + 200_000_000
        timer.set(late)
        timer.set(sooner := late - 150_500_000)
        while not rung:
            await asyncio.sleep(0.001)
        (asked, came), early = rung.pop(), sooner - 1
        timer.set(early)  # long ago: at once
        while not rung:
            await asyncio.sleep(0.001)
        assert rung.pop()[0] == early
        timer.set(time.monotonic_ns() + 20_000_000)
        timer.set(None)
        await asyncio.sleep(0.05)
        timer.set(time.monotonic_ns() + 20_000_000)
        timer.close()
        timer.close()
        await asyncio.sleep(0.05)
        assert not rung
        return asked, came, sooner

    asked, came, sooner = asyncio.run(trial())
    assert asked == sooner <= came


def test_a_trace_of_many_lines_at_once_is_written_whole_and_in_order(tmp_path):
    path, writes = tmp_path / "trace", []

    class Counting(io.TextIOWrapper):
        def write(self, text):
            writes.append(text)
            return super().write(text)

    writer = background.LineWriter(Counting(path.open("wb")), pytest.fail)
    lines = [f"{number}\n" for number in range(500)]
    for line in lines:
        writer.write(line)
    writer.close()
    assert path.read_text() == "".join(lines)
    assert len(writes) < 50


def test_the_observer_tells_masters_duals_foreigners_and_silence(backup):
    _, advert = backup
    observer = Observer(configured())

    def hear(source, at_s, payload=advert):
        return observer.heard("eth0", Datagram(source, GROUP, 255, payload), int(at_s * SECOND_NS))

    assert hear(THEIRS, 1) == ["VI_1 on eth0: 10.0.0.1 is master, priority 200"]
    assert hear(THEIRS, 2) == []
    assert hear(THEIRS, 4) == ["VI_1 on eth0: advert of 10.0.0.1 after 2.000 s, late"]
    assert hear(OURS, 4.2) == ["VI_1 on eth0: 10.0.0.2 is master, priority 200"]  # a hand-over
    assert hear(THEIRS, 4.21) == []  # it had left before
    assert [*hear(OURS, 5.2), *hear(THEIRS, 5.21)] == []  # there and back
    assert hear(THEIRS, 6.21) == []
    assert hear(OURS, 6.22)[-1] == "VI_1 on eth0: DUAL MASTER: 10.0.0.2 and 10.0.0.1"
    assert observer.advance(11 * SECOND_NS)[-1] == "VI_1 on eth0: NO MASTER"
    foreign = advert[:1] + b"\x07" + advert[2:]
    assert parse(foreign, 4).vrid == 7
    assert hear(THEIRS, 12, foreign)[0] == "eth0: foreign VRID 7 from 10.0.0.1"
    assert hear(THEIRS, 13, b"\x31")[0].startswith("eth0: malformed")


def datagrams(listener):
    """What systemd has been told since, as dictionaries."""
    told = []
    while True:
        try:
            told.append(dict(line.split("=", 1) for line in listener.recv(4096).decode().splitlines()))
        except BlockingIOError:
            return told


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_what_it_wants_to_hear(tmp_path, monkeypatch, abstract):
    name = f"@vrrpsim-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if abstract else name)
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        systemd.tell(READY=1)
        systemd.reloading()
        systemd.tell(WATCHDOG=1, STATUS="MASTER for 51")
        ready, reloading, alive = datagrams(listener)
    assert ready == {"READY": "1"}
    assert reloading["RELOADING"] == "1"
    assert abs(int(reloading["MONOTONIC_USEC"]) - time.monotonic_ns() // 1000) < 10_000_000
    assert alive == {"WATCHDOG": "1", "STATUS": "MASTER for 51"}
    systemd.tell(READY=1)  # nobody listens any more: no error
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert systemd.watchdog_interval_s() == 1.5
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_interval_s() is None


def test_the_unit_gives_two_capabilities_and_no_more():
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str
    unit.read(Path(__file__).parents[2] / "packaging/vrrpsim-live@.service")
    given = unit["Service"]
    assert given["Type"] == "notify"
    assert set(given["AmbientCapabilities"].split()) == set(privileges.CAPABILITIES)
    assert given["CapabilityBoundingSet"] == given["AmbientCapabilities"]
    assert given["NoNewPrivileges"] == "yes"
    assert float(given["WatchdogSec"]) > 1


# --- the command


def test_what_keepalived_does_and_we_do_not_is_said_with_its_place(tmp_path):
    conf = tmp_path / "k.conf"
    conf.write_text(
        CONF.replace("10.0.0.100", "10.0.0.100 label eth0:1").replace(
            "priority 100", "no_accept\npriority 100\nvirtual_routes {\n10.1.0.0/16 via 10.0.0.1\n}"
        )
    )
    remarks = "\n".join(loading.load(conf, DEFAULT_DIALECT).remarks)
    assert f"{conf}:7:1: 'virtual_routes' is not done by vrrpsim live" in remarks
    assert "'label' is not done by vrrpsim live" in remarks
    assert "(VI_1) no_accept: traffic to its addresses is not filtered" in remarks


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
    monkeypatch.setattr(privileges, "missing_capabilities", lambda *needed: ["CAP_NET_RAW"])
    assert main(["live", str(conf)]) == 4
    assert [line for line in capsys.readouterr().err.splitlines() if "notify" not in line] == [
        "vrrpsim live needs CAP_NET_RAW: run it as root or as packaging/'s unit does"
    ]


def test_an_unusable_configuration_is_exit_3(tmp_path, capsys):
    conf = tmp_path / "k.conf"
    conf.write_text(CONF.replace("virtual_router_id 51", ""))
    assert main(["live", str(conf), "--dry-run"]) == 3
    assert main(["live", str(tmp_path / "none.conf")]) == 3
    assert os.sep in capsys.readouterr().err
