"""Issue 3, items 1, 2 and 6: vrrpsim live in network namespaces: crash, reload, flaps, interfaces that go."""

import json
import os
import re
import signal
import time
import urllib.request
from functools import partial
from pathlib import Path

from clusters import VIP, announced, conf, settled, together
from lan import PATIENCE_S, Lan, inside, ip, needs_namespaces

pytestmark = needs_namespaces()

METRICS = "http://127.0.0.1:9650/metrics"
SECRET = "s3cret"


def open_files(daemon):
    """What they are, without numbers."""
    folder = Path(f"/proc/{daemon.pid}/fd")
    return sorted(str(each.readlink()).partition(":[")[0] for each in folder.iterdir())


def presences(daemon):
    """The changes of addresses in its trace."""
    text = (daemon.home / "trace.jsonl").read_text()
    return re.findall(r'"AddressChange".*"present": ?(\w+)', text)


def threads(daemon):
    return len(list(Path(f"/proc/{daemon.pid}/task").iterdir()))


def test_a_failing_check_notifies_in_order(open_path):
    """Notify scripts and the FIFO say what keepalived would say, and run as whom they should."""
    alive, told, fifo = open_path / "alive", open_path / "told", open_path / "fifo"
    alive.touch()
    told.touch(0o666)
    told.chmod(0o666)
    notify = open_path / "notify.sh"
    notify.write_text(f'#!/bin/sh\necho "$@ as $(id -un) $(id -gn)" >> {told}\n')
    notify.chmod(0o755)
    more = f"""
        track_script {{
          chk weight 60
        }}
        notify_master "{notify} own" nobody daemon
        notify {notify}
    """
    head = f"""
        global_defs {{
            vrrp_notify_fifo {fifo}
            script_user root
        }}
        vrrp_script chk {{
            script "test -e {alive}"
            interval 1
            user nobody nogroup
        }}
    """
    with Lan(open_path / "lan", ["n1", "n2"]) as lan:
        lan.keepalived("n2", conf(2, 120, "v3-calm"))
        daemon = lan.vrrpsim("n1", head + conf(1, 100, "v3-calm", more))
        lan.wait(fifo.exists, "the FIFO is made")
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        settled(lan, "n1", "n2", "v3-calm")
        alive.unlink()
        settled(lan, "n2", "n1", "v3-calm")
        alive.touch()
        settled(lan, "n1", "n2", "v3-calm")
        for each in ("own as", "MASTER 160 as"):
            lan.wait(lambda each=each: told.read_text().count(each) >= 2, "the scripts have run")
        assert lan.stop(daemon) == 0
        lines = os.read(reader, 65_536).decode().splitlines()
        os.close(reader)
        states = [line.split()[2] for line in lines if line.split()[2] != "MASTER_RX_LOWER_PRI"]
        assert states == ["BACKUP", "MASTER", "BACKUP", "MASTER", "STOP"]
        assert lines[1] == 'INSTANCE "VI_1" MASTER 160'
        said = told.read_text().splitlines()
        assert said.count("own as nobody daemon") == 2
        assert said.count("INSTANCE VI_1 MASTER 160 as root root") == 2
        assert not fifo.exists()


def test_a_crash_leaves_an_address_which_the_restart_handles(tmp_path):
    """kill -9, restart: the leftover goes first, one master in the end, and what is not ours stays."""
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        for address in ("10.77.0.200/24", f"{VIP[:-1]}1/32"):
            ip("-n", lan.space("n1"), "addr", "add", address, "dev", "eth0")
        lan.keepalived("n2", conf(2, 120, "v3"))
        daemon = lan.vrrpsim("n1", conf(1, 150, "v3"))
        settled(lan, "n1", "n2", "v3")
        before = lan.addresses("n1")
        for _ in range(2):
            lan.kill_all(daemon)
            lan.wait(lambda: lan.owns("n2", VIP), "the backup takes over")
            assert lan.addresses("n1") == before
            daemon = lan.vrrpsim("n1", conf(1, 150, "v3"))
            settled(lan, "n1", "n2", "v3")
            lan.only("10.77.0.1", 0.3)
            assert presences(daemon)[:3] == ["true", "false", "true"]  # the leftover was removed
            assert lan.addresses("n1") == before
        assert lan.stop(daemon) == 0
        assert lan.addresses("n1") == before - {("eth0", f"{VIP}/32")}


def test_a_crash_leaves_a_macvlan_which_the_restart_uses_again(tmp_path):
    with Lan(tmp_path, ["n1"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 150, "v3-vmac"))
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        lan.kill_all(daemon)
        assert "vrrp.51" in lan.show("n1", "link")
        daemon = lan.vrrpsim("n1", conf(1, 150, "v3-vmac"))
        lan.wait(lambda: "MASTER" in daemon.log.read_text().rpartition("(init)")[2], "master again")
        lan.wait(lambda: ("vrrp.51", f"{VIP}/32") in lan.addresses("n1"), "it has its address")
        assert lan.stop(daemon) == 0
        assert "vrrp.51" not in lan.show("n1", "link")


def test_reload_dump_metrics_and_an_address_that_somebody_removes(tmp_path):
    """And the password is in none of what the daemon tells."""
    with_password = f"authentication {{\n auth_type PASS\n auth_pass {SECRET}\n}}"
    with Lan(tmp_path, ["n1"]) as lan:
        ip("-n", lan.space("n1"), "link", "add", "eth1", "type", "veth", "peer", "eth1b")
        ip("-n", lan.space("n1"), "addr", "add", "10.78.0.1/24", "dev", "eth1")
        ip("-n", lan.space("n1"), "link", "set", "eth1", "up")
        ip("-n", lan.space("n1"), "link", "set", "eth1b", "up")
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"), "--metrics", "127.0.0.1:9650")
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        lan.adverts()

        # other priority, one more address, and a second instance on an interface that was not in use
        second = conf(1, 90, "v2", with_password).replace("VI_1", "VI_2").replace("eth0", "eth1")
        first = conf(1, 200, "v3").replace(VIP, f"{VIP}\n10.77.0.101")
        (daemon.home / "k.conf").write_text(first + second.replace(VIP, "10.78.0.100"))
        daemon.signal(signal.SIGHUP)
        daemon.signal(signal.SIGHUP)
        lan.wait(lambda: lan.owns("n1", "10.77.0.101"), "the new address")
        adverts = []
        lan.wait(lambda: adverts.extend(lan.adverts()) or adverts[-1].priority == 200, "the new priority")
        assert {advert.priority for advert in adverts} == {100, 200}  # mastership survives
        lan.wait(lambda: lan.owns("n1", "10.78.0.100"), "the second instance is master")

        daemon.signal(signal.SIGUSR1)
        dump = daemon.home / "state.json"
        lan.wait(dump.exists, "the dump")
        assert dump.stat().st_mode & 0o777 == 0o600
        entry, other = json.loads(dump.read_text())
        assert (entry["data"]["state_name"], entry["data"]["effective_priority"]) == ("MASTER", 200)
        assert other["data"]["state_name"] == "MASTER"

        good = (daemon.home / "k.conf").read_text()
        (daemon.home / "k.conf").write_text(good.replace("virtual_router_id 51", "", 1))
        daemon.signal(signal.SIGHUP)
        lan.wait(lambda: "reload refused" in daemon.log.read_text(), "a bad file is refused")
        assert lan.owns("n1", VIP)

        ip("-n", lan.space("n1"), "addr", "del", f"{VIP}/32", "dev", "eth0")  # FSM-39
        lan.wait(lambda: 0 in {advert.priority for advert in lan.adverts()}, "priority 0")
        lan.wait(lambda: lan.owns("n1", VIP), "it comes back")

        text = scrape(lan, "n1")
        assert 'vrrp_state{iname="VI_1",intf="eth0",vrid="51"} 2.0' in text
        assert "vrrp_advert_sent_total" in text
        assert "_created" not in text
        assert lan.stop(daemon) == 0
        told = [text, dump.read_text(), daemon.log.read_text(), (daemon.home / "trace.jsonl").read_text()]
        assert all(told)
        assert SECRET not in "".join(told)
        assert SECRET.encode().hex() not in "".join(told)


def test_observe_takes_no_part(tmp_path):
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        keepalived = lan.keepalived("n1", conf(1, 100, "v3"))
        observer = lan.vrrpsim("n2", conf(2, 200, "v3"), "--observe")
        lan.wait(
            lambda: "10.77.0.1 is master, priority 100" in observer.log.read_text(), "the master is seen"
        )
        assert {advert.source for advert in lan.adverts()} == {"10.77.0.1"}
        assert lan.stop(keepalived) == 0
        lan.wait(lambda: "resigns" in observer.log.read_text(), "the farewell is seen")
        assert lan.stop(observer) == 0


def scrape(lan, name):
    with inside(lan.space(name)), urllib.request.urlopen(METRICS, timeout=PATIENCE_S) as answer:
        return answer.read().decode()


def sample(lan, name, metric):
    return float(re.search(rf"^{metric} (\S+)$", scrape(lan, name), re.MULTILINE).group(1))


def flaps(folder, *, flavour):
    """200 flaps: the same open files, threads and addresses as before, and a master."""
    with Lan(folder, ["n1"]) as lan:
        before = lan.addresses("n1")
        daemon = lan.vrrpsim("n1", conf(1, 100, flavour), "--metrics", "127.0.0.1:9650")
        lan.wait(lambda: announced(lan, "n1", flavour) >= 5, "master; the first burst opened its socket")
        tasks = sample(lan, "n1", "vrrpsim_loop_tasks")
        lan.wait(lambda: threads(daemon) == 4, "the scrape is over")  # loop, log, trace and metrics stay
        files, as_master = open_files(daemon), lan.addresses("n1")
        for _ in range(20):
            lan.flap("n1", 10)
            time.sleep(0.05)
        lan.wait(lambda: lan.addresses("n1") == as_master, "master again")
        lan.wait(lambda: 0 < sample(lan, "n1", "vrrpsim_loop_tasks") <= tasks, "no task is left")
        lan.wait(lambda: threads(daemon) == 4, "no thread is left")
        lan.wait(lambda: open_files(daemon) == files, "no file is left")
        lan.wait(lambda: lan.addresses("n1") == as_master, "still master")
        assert "FAULT" in daemon.log.read_text()
        assert lan.stop(daemon) == 0
        assert lan.addresses("n1") == before


def test_rapid_link_flaps_leave_nothing_behind(tmp_path):
    stories = {flavour: partial(flaps, flavour=flavour) for flavour in ("v3", "v3-vmac", "v3-ipv6")}
    together(tmp_path, stories)


def test_an_interface_that_comes_back_as_another_is_used_again(tmp_path):
    """Given its interface deleted and made anew, then sockets, groups and the macvlan are made anew."""
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        lan.keepalived("n2", conf(2, 50, "v3-vmac"))
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3-vmac"))
        settled(lan, "n1", "n2", "v3-vmac")
        lan.wait(lambda: announced(lan, "n1", "v3-vmac") >= 5, "the socket of announcements is open")
        files = open_files(daemon)
        lan.unplug("n1")
        lan.wait(lambda: lan.owns("n2", VIP), "the backup takes over")
        lan.plug("n1")
        settled(lan, "n1", "n2", "v3-vmac")
        lan.wait(lambda: open_files(daemon) == files, "everything is open again")
        assert lan.stop(daemon) == 0
