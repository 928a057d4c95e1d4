"""What a hostile test of the daemon found (issue 15): each fault by name."""

import asyncio
import json
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path

import pytest
from clusters import VIP, conf
from lan import Lan, inside, ip, needs_namespaces
from memory import CONF, Clock, Machine, configured, host

from vrrpsim.cli import main
from vrrpsim.live import loading, locks, metrics, netlink, scripts, service, watching
from vrrpsim.live.locks import Locks
from vrrpsim.live.privileges import CannotRun
from vrrpsim.protocol.dialect import DEFAULT_DIALECT, hardened
from vrrpsim.protocol.packet import Datagram

GROUP = ip_address("224.0.0.18")


# --- A1: a check that cannot be started


@needs_namespaces()
def test_a1_a_node_whose_check_fails_takes_nothing_where_no_check_can_be_started(tmp_path):
    """Given no descriptors left, then FAULT stays FAULT; given descriptors and a good check, it is Master."""
    good = tmp_path / "good"
    check = (
        f"global_defs {{\nscript_user root\n}}\n"
        f'vrrp_script up {{\nscript "/usr/bin/test -e {good}"\ninterval 1\nrise 1\nfall 1\n}}\n'
    )
    with Lan(tmp_path, ["n1"]) as lan:
        words = lan.vrrpsim_words("n1", check + conf(1, 100, "v3", "track_script {\nup\n}"))
        daemon = lan.start("n1", words, lan.folder / "n1", kind="vrrpsim")
        lan.wait(lambda: "VRRP_Script(up) failed" in daemon.log.read_text(), "the check has failed")
        limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        failed = "cannot run /usr/bin/test: [Errno 24]"
        lan.wait(lambda: daemon.log.read_text().count(failed) >= 3, "three checks were not started")
        assert not lan.owns("n1", VIP)
        assert "MASTER" not in daemon.log.read_text()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
        good.touch()
        lan.wait(lambda: lan.owns("n1", VIP), "it is Master")
        assert lan.stop(daemon) == 0


# --- A2: metrics


class Nothing:
    def collect(self):
        return iter(())


def test_a2_idle_connections_are_few_and_end(monkeypatch):
    """Given 200 connections that say nothing, then 16 at most are kept, and scrapers are served after."""
    pytest.importorskip("prometheus_client")
    monkeypatch.setattr(metrics, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stop = metrics.serve(Nothing(), "127.0.0.1", port)
    try:
        idle = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(200)]
        time.sleep(0.3)
        kept = 0
        for each in idle:
            each.setblocking(False)
            try:
                each.recv(1)
            except BlockingIOError:
                kept += 1
            except OSError:
                pass
        assert 0 < kept <= metrics.CONNECTIONS
        time.sleep(0.5)
        with socket.create_connection(("127.0.0.1", port), 5) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert scraper.recv(100).startswith(b"HTTP/1.0 200 OK\r\n")
        for each in idle:
            each.close()
    finally:
        stop()


def test_a2_a_reload_that_cannot_begin_is_a_failed_reload(monkeypatch, tmp_path):
    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    async def work():
        said = []
        options = service.Options(tmp_path / "k.conf", DEFAULT_DIALECT, "n1")
        daemon = service.LiveService(options, loading.Loaded(configured(), ()), said.append)
        monkeypatch.setattr(asyncio, "to_thread", no_thread)
        await daemon._read_once()
        daemon.speaker.close()
        return said

    assert [line.endswith("reload failed: can't start new thread") for line in asyncio.run(work())] == [True]


# --- A3, A4: interfaces


@pytest.mark.parametrize("when", ["add", "look", "set"])
def test_a3_a_vmac_that_goes_while_it_is_made_is_no_end_of_the_daemon(monkeypatch, when):
    """Whatever the kernel or the mirror says then, it is the one exception that is expected."""
    exceptions = pytest.importorskip("pyroute2.netlink.exceptions")
    instance = configured(CONF.replace("priority 100", "priority 100\n use_vmac")).instances[0]
    kernel = netlink.Kernel(lambda *_: None, lambda *_: None)
    base = netlink.Link(2, True, bytes(6))
    kernel.links = {} if when == "add" else {instance.interface: base}

    class Answers:
        async def link(self, verb, **_):
            if verb == "set":
                raise exceptions.NetlinkError(19)

    async def look():
        if when == "set":
            kernel.links[instance.vmac_interface] = netlink.Link(3, False, bytes(6))

    monkeypatch.setattr(netlink, "_set", lambda *_: None)
    kernel._ipr, kernel._look = Answers(), look
    with pytest.raises(netlink.VmacImpossible, match="cannot make macvlan"):
        asyncio.run(kernel.make_vmac(instance))


@needs_namespaces()
def test_an_observer_hears_an_interface_that_was_deleted_and_made_again(tmp_path):
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        lan.vrrpsim("n1", conf(1, 100, "v3"))
        observer = lan.vrrpsim("n2", conf(2, 100, "v3"), "--observe")
        lan.wait(lambda: "is master, priority 100" in observer.log.read_text(), "the master is seen")
        lan.unplug("n2")
        lan.wait(lambda: "silent" in observer.log.read_text(), "its silence is seen")
        lan.plug("n2")
        lan.wait(lambda: observer.log.read_text().count("is master") == 2, "it is seen again")
        assert "listening on eth0 again" in observer.log.read_text()
        assert lan.stop(observer) == 0


@needs_namespaces()
def test_a3_a_deleted_vmac_is_made_again(tmp_path):
    with Lan(tmp_path, ["n1"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3-vmac"))
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        ip("-n", lan.space("n1"), "link", "del", "vrrp.51")
        lan.wait(lambda: lan.owns("n1", VIP), "it has the address again")
        lan.adverts()
        heard = []  # a look may find one advert or none
        lan.wait(lambda: heard.extend(lan.adverts()) or len(heard) >= 2, "it sends adverts again")
        assert lan.stop(daemon) == 0
        assert "vrrp.51" not in lan.show("n1", "link")


@needs_namespaces()
def test_a4_a_renamed_interface_keeps_no_address(tmp_path):
    with Lan(tmp_path, ["n1"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"))
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        ip("-n", lan.space("n1"), "link", "set", "eth0", "name", "eth9")
        lan.wait(lambda: not lan.owns("n1", VIP), "it is released at once")
        assert "has been renamed eth9" in daemon.log.read_text()
        ip("-n", lan.space("n1"), "link", "set", "eth9", "name", "eth0")
        lan.wait(lambda: lan.owns("n1", VIP), "it is master again")
        assert lan.stop(daemon) == 0
        assert not lan.owns("n1", VIP)


# --- A5: one daemon for one virtual router


def test_a5_a_second_daemon_is_refused_by_the_holders_name():
    instances = configured(CONF.replace("virtual_router_id 51", "virtual_router_id 251")).instances
    first, second = Locks(), Locks()
    first.take(instances)
    with pytest.raises(CannotRun, match=r"VRID 251 .* is already served by process \d+ \(.*--force"):
        second.take(instances)
    first.take(instances)  # ours already: a reload
    first.keep(())
    second.take(instances)
    second.close()


@needs_namespaces()
def test_a5_exit_4_and_force(tmp_path):
    with Lan(tmp_path, ["n1"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"))
        words = lan.vrrpsim_words("n1", conf(1, 100, "v3"))
        second = lan.start("n1", words, lan.folder / "second")
        assert second.popen.wait(30) == 4
        assert "is already served by process" in second.log.read_text()
        lan.wait(lambda: lan.owns("n1", VIP), "the first goes on")
        assert lan.stop(daemon) == 0


@needs_namespaces()
def test_a5_a_keepalived_with_the_same_virtual_router_is_named(tmp_path):
    """Given keepalived on this host: exit 4 names it; another VRID starts, and so does --force."""
    with Lan(tmp_path, ["n1"]) as lan:
        keepalived = lan.keepalived("n1", conf(1, 100, "v3"))
        words = lan.vrrpsim_words("n1", conf(1, 100, "v3"))
        refused = lan.start("n1", words, lan.folder / "refused")
        assert refused.popen.wait(30) == 4
        named = r"VRID 51 \(IPv4\) on eth0 is already served by keepalived, process \d+ \(VI_1\)"
        assert re.search(named, refused.log.read_text())
        other = tmp_path / "other.conf"
        other.write_text(conf(1, 100, "v3").replace("router_id 51", "router_id 52"))
        words[words.index(str(lan.folder / "n1/k.conf"))] = str(other)
        daemon = lan.start("n1", words, lan.folder / "other")
        lan.wait(lambda: "Entering" in daemon.log.read_text(), "another VRID is served")
        assert "keepalived runs here too" in daemon.log.read_text()
        assert daemon.stop() == 0
        forced = lan.vrrpsim("n1", conf(1, 100, "v3"), "--force")
        assert lan.stop(forced) == 0
        lan.stop(keepalived)


@needs_namespaces()
def test_a5_a_daemon_of_any_name_is_noticed_by_its_adverts(tmp_path):
    """Nothing here hears its multicast, no file is found by its name: what leaves the interface tells."""
    stranger = shutil.copy(shutil.which("keepalived"), tmp_path / "routerd")
    with Lan(tmp_path, ["n1"]) as lan:
        lan.judge = lambda: None  # two Masters are what this is about
        home = lan.home("n1", conf(1, 200, "v3"))
        files = ["-p", str(home / "k.pid"), "-r", str(home / "v.pid")]
        other = lan.start("n1", [str(stranger), "-n", "-l", "-P", "-f", str(home / "k.conf"), *files], home)
        lan.wait(lambda: lan.owns("n1", VIP), "it is Master")
        words = lan.vrrpsim_words("n1", conf(1, 100, "v3"))
        daemon = lan.start("n1", words, lan.folder / "mine")
        said = (
            r"VRID 51 \(IPv4\) on eth0 is served by process \d+ \(routerd\), too: adverts that are not ours"
        )
        lan.wait(lambda: re.search(said, daemon.log.read_text()), "it is named")
        assert daemon.stop() == 0
        other.stop()


@needs_namespaces()
def test_a5_adverts_of_ours_are_nobody_elses(tmp_path):
    with Lan(tmp_path, ["n1"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"))
        lan.wait(lambda: lan.owns("n1", VIP), "it is Master")
        time.sleep(0.5)
        assert lan.stop(daemon) == 0
        assert "not ours" not in daemon.log.read_text()


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("keepalived -n -f k.conf", "k.conf"),
        ("keepalived -nlf /a/k.conf -D", "/a/k.conf"),
        ("keepalived -f/a/k.conf", "/a/k.conf"),
        ("keepalived --use-file=/a/k.conf", "/a/k.conf"),
        ("keepalived --use-file k.conf -P", "k.conf"),
        ("keepalived -n --vrrp", None),
    ],
)
def test_a5_keepaliveds_file_is_found_as_getopt_finds_it(words, value):
    assert locks._option(words.split(), "f", "--use-file") == value


# --- A11, A12: floods


def test_a11_a_flood_of_weaker_adverts_is_answered_a_few_times(tmp_path):
    """5,000 weaker adverts at once: one answer, and one more after 50 ms."""

    async def work():
        options = service.Options(tmp_path / "k.conf", DEFAULT_DIALECT, "n1")
        machine = service.LiveService(options, loading.Loaded(configured(), ()), print).machine
        clock, sent = Clock(), []
        machine.now_ns = lambda: clock.now_ns
        machine.wake_at = lambda at_ns: None
        machine.add_addresses = machine.remove_addresses = lambda output, done: done()
        machine.notify = lambda *_: None
        machine.wire.send = lambda *words: sent.append(words) or ""
        machine.daemon.start(host("eth0", ip_address("10.0.0.1")))
        machine.running = True
        clock.now_ns = 10_000_000_000
        machine.daemon.wake()
        assert machine.daemon.router.state_of("VI_1").name == "MASTER"
        weaker = Machine("lb2", configured(CONF.replace("100\n", "1\n", 1)), DEFAULT_DIALECT, Clock())
        weaker.daemon.start(host("eth0", ip_address("10.0.0.2")))
        weaker.clock.run_until(9_000_000_000)
        del sent[:]
        for _ in range(5_000):
            machine._received("eth0", Datagram(ip_address("10.0.0.2"), GROUP, 255, weaker.sent[0].payload))
        assert len(sent) == 1
        clock.now_ns += 51_000_000
        machine._received("eth0", Datagram(ip_address("10.0.0.2"), GROUP, 255, weaker.sent[0].payload))
        assert len(sent) == 2
        assert machine.daemon.discarded["answered_already"] == 4_999

    asyncio.run(work())


@pytest.mark.parametrize("live", [True, False])
def test_a12_rejected_adverts_do_not_mute_a_master_of_live(live):
    """Ten a second with a wrong password : live sends on, keepalived's dialect falls silent."""
    clock = Clock()
    dialect = hardened(DEFAULT_DIALECT) if live else DEFAULT_DIALECT
    machine = Machine("lb1", configured(), dialect, clock)
    rival = Machine("lb2", configured(CONF.replace("s3cret", "wrong")), DEFAULT_DIALECT, Clock())
    rival.daemon.start(host("eth0", ip_address("10.0.0.2")))
    rival.clock.run_until(9_000_000_000)
    machine.daemon.start(host("eth0", ip_address("10.0.0.1")))
    clock.run_until(10_000_000_000)
    before = len(machine.sent)
    for tenth in range(100):
        clock.run_until(10_000_000_000 + tenth * 100_000_000)
        machine.daemon.receive("eth0", Datagram(ip_address("10.0.0.2"), GROUP, 255, rival.sent[0].payload))
    assert len(machine.sent) - before == pytest.approx(10 if live else 0, abs=1)


# --- A13


def test_a13_a_reload_to_nothing_is_refused_unless_meant(tmp_path):
    path, reloaded = tmp_path / "k.conf", []
    path.write_text("global_defs {\n}\n")

    async def work(allow_empty):
        said = []
        options = service.Options(path, DEFAULT_DIALECT, "n1", allow_empty=allow_empty)
        daemon = service.LiveService(options, loading.Loaded(configured(), ()), said.append)

        async def reload(config, fifos, alerts):
            reloaded.append(config)

        daemon.machine.reload = reload
        await daemon._read_once()
        daemon.speaker.close()
        return said[-1]

    assert "has no vrrp_instance; --allow-empty" in asyncio.run(work(False))
    assert not reloaded
    assert asyncio.run(work(True)).endswith("Reloaded")
    assert len(reloaded) == 1


def test_a13_a_refused_reload_is_not_said_to_have_been_done(tmp_path):
    path = tmp_path / "k.conf"
    path.write_text(CONF)

    async def work():
        said = []
        options = service.Options(path, DEFAULT_DIALECT, "n1", force=True)
        daemon = service.LiveService(options, loading.Loaded(configured(), ()), said.append)
        await daemon._read_once()  # no interface is known: nothing was opened
        daemon.speaker.close()
        return said

    lines = asyncio.run(work())
    assert lines[-1].endswith("reload refused: there is no interface eth0")
    assert not [line for line in lines if "Reloaded" in line]


@needs_namespaces()
def test_a13_signals_of_the_first_second_wait_for_their_handlers(tmp_path):
    with Lan(tmp_path, ["n1"]) as lan:
        words = lan.vrrpsim_words("n1", conf(1, 100, "v3"))
        daemon = lan.start("n1", words, lan.folder / "n1")

        def blocks():
            status = Path(f"/proc/{daemon.pid}/status").read_text()
            return int(status.partition("SigBlk:")[2].split()[0], 16) & 1

        lan.wait(blocks, "it blocks HUP")
        daemon.signal(signal.SIGHUP)
        lan.wait(lambda: "Reloaded" in daemon.log.read_text(), "it is obeyed")
        assert lan.stop(daemon) == 0


def test_a13_a_script_user_that_cannot_be_is_told(monkeypatch):
    config = configured(CONF.replace("notify /bin/any", 'notify "/bin/true" root'))
    config, _ = scripts.usable_scripts(config, scripts.Security())
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    assert loading._unheard_users(config) == ["root"]
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert loading._unheard_users(config) == []


def test_what_observe_does_not_do_is_refused(tmp_path, capsys):
    path = tmp_path / "k.conf"
    path.write_text(CONF)
    assert main(["live", str(path), "--observe", "--force", "--dump", str(tmp_path / "t")]) == 2
    assert "--dump, --force: not with --observe" in capsys.readouterr().err


def names_of_metrics():
    """Every name that a scrape of the daemon or of an observer can have."""
    counters = [
        *metrics.COUNTERS,
        *watching.COUNTERS,
        "vrrpsim_discarded_datagrams",
        "vrrp_observed_rejected",
    ]
    plain = ["vrrpsim_loop_lag_seconds", "vrrp_observed_master_priority", "vrrp_observed_foreign_vrids"]
    return {*metrics.GAUGES, *watching.GAUGES, *plain, *(f"{name}_total" for name in counters)}


def test_the_dashboard_is_json_and_names_metrics_that_there_are():
    """packaging/grafana.json: every panel has a query of ours, and every metric of alerts.yml is drawn."""
    packaging = Path(__file__).parents[2] / "packaging"
    dashboard = json.loads((packaging / "grafana.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(panel["targets"] and panel["title"] and panel["gridPos"]["w"] <= 24 for panel in panels)
    named = set(re.findall(r"\b(vrrp(?:sim)?_[a-z_]+)", " ".join(queries)))
    assert named <= names_of_metrics()
    alarmed = set(re.findall(r"\b(vrrp(?:sim)?_[a-z_]+)", (packaging / "alerts.yml").read_text()))
    assert alarmed <= named | {f"{name}_total" for name in metrics.COUNTERS}


@needs_namespaces()
def test_an_observer_serves_metrics_and_writes_its_lines_down(tmp_path):
    """A hand-over and a return: no dual master, two transitions; one rejected advert, and one stranger."""
    pytest.importorskip("prometheus_client")
    with Lan(tmp_path, ["n1", "n2", "n3"], sent_on_purpose="vrrp.virt_rtr_id == 52") as lan:
        keepalived = lan.keepalived("n1", conf(1, 100, "v3"))
        trace = tmp_path / "o.jsonl"
        more = ["--observe", "--metrics", "127.0.0.1:9650", "--trace", str(trace)]
        observer = lan.vrrpsim("n2", conf(2, 100, "v3"), *more)
        lan.wait(lambda: "is master, priority 100" in observer.log.read_text(), "the master is seen")
        live = lan.vrrpsim("n3", conf(3, 200, "v3"))
        lan.only("10.77.0.3", 0.5)
        assert lan.stop(live) == 0
        lan.only("10.77.0.1", 0.5)
        with inside(lan.space("n3")):
            sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
        lan.capture.tell_again()
        good = lan.adverts()[0].payload
        for payload in (good[:6] + bytes(2) + good[8:], good[:1] + b"\x34" + good[2:]):  # checksum; VRID 52
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 255, 112, 0)
            head += socket.inet_aton("10.77.0.3") + socket.inet_aton("224.0.0.18")
            sender.sendto(head + payload, ("224.0.0.18", 0))
        sender.close()
        lan.wait(lambda: "foreign VRID 52 from 10.77.0.3" in observer.log.read_text(), "the stranger is seen")
        with inside(lan.space("n2")), socket.create_connection(("127.0.0.1", 9650), 5) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            text = b"".join(iter(lambda: scraper.recv(65536), b"")).decode()
        assert lan.stop(observer) == 0
        lan.judge = lambda: None  # a wrong checksum was sent, and keepalived has counted it
        keepalived.stop()
    router = 'family="4",intf="eth0",vrid="51"'
    numbers = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("vrrp_"))
    named = {re.sub(r"\{(.*)\}", lambda each: "{" + ",".join(sorted(each[1].split(","))) + "}", name): value
             for name, value in numbers.items()}  # fmt: skip
    assert named[f"vrrp_observed_masters{{{router}}}"] == "1.0"
    assert named[f"vrrp_observed_transitions_total{{{router}}}"] == "2.0"
    assert named[f"vrrp_observed_dual_masters_total{{{router}}}"] == "0.0"
    assert named[f"vrrp_observed_sources{{{router}}}"] == "2.0"
    assert float(named[f"vrrp_observed_adverts_total{{{router}}}"]) > 5
    assert float(named[f"vrrp_observed_lateness_seconds{{{router}}}"]) < 1
    assert named['vrrp_observed_rejected_total{intf="eth0",reason="chk_err"}'] == "1.0"
    assert named["vrrp_observed_foreign_vrids"] == "1.0"
    records = [json.loads(line) for line in trace.read_text().splitlines()]
    assert records[-1]["record"] == "End"
    assert any("resigns" in record.get("text", "") for record in records)


def test_the_alerts_fire_when_they_should_and_name_metrics_that_there_are():
    """Two masters, none, late, rejects: packaging/alerts.yml under promtool."""
    packaging = Path(__file__).parents[2] / "packaging"
    named = set(re.findall(r"\b(vrrp(?:sim)?_[a-z_]+)", (packaging / "alerts.yml").read_text()))
    assert named <= names_of_metrics()
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    words = ["promtool", "test", "rules", "alerts-test.yml"]
    done = subprocess.run(words, cwd=packaging, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
