"""Issue 3, items 1, 2, 5 and 6: vrrpsim live and real keepalived in network namespaces.

Instants are the kernel's time stamps of adverts on the bridge. What is claimed is the formula's time plus at
most 50 ms, never a negative difference beyond 5 ms; with intervals of 100 ms the median of three runs counts,
because the machine is shared.
"""

import json
import os
import signal
import socket
import statistics as numbers
import time
import urllib.request
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from lan import Lan, inside, ip, needs_namespaces, statistics

from vrrpsim.protocol.packet import DecodeError, parse

pytestmark = [needs_namespaces, pytest.mark.xdist_group("namespaces")]

EARLY_S, LATE_S = 0.005, 0.050
METRICS = "http://127.0.0.1:9650/metrics"
VIP, VIP6 = "10.77.0.100", "fd77::100"


def conf(number, priority, flavour, more=""):
    """keepalived.conf of node `number`: `v2-pass-unicast`, `v2`, `v3` (100 ms) or `v3-ipv6` (100 ms)."""
    lines = {
        "v2-pass-unicast": f"""
            advert_int 1
            unicast_src_ip 10.77.0.{number}
            unicast_peer {{
              10.77.0.{3 - number}
            }}
            authentication {{
              auth_type PASS
              auth_pass s3cret
            }}""",
        "v2": "advert_int 1",
        "v3": "version 3\nadvert_int 0.1",
        "v3-ipv6": "version 3\nadvert_int 0.1\nnative_ipv6",
    }[flavour]
    return f"""
        vrrp_instance VI_1 {{
            state BACKUP
            interface eth0
            virtual_router_id 51
            priority {priority}
            {lines}
            virtual_ipaddress {{
              {vip_of(flavour)}
            }}
            {more}
        }}
        """


def vip_of(flavour):
    return VIP6 if flavour == "v3-ipv6" else VIP


def interval_s(flavour):
    return 0.1 if flavour.startswith("v3") else 1.0


def skew_s(flavour, priority):
    """RFC 9568 §6.1 and RFC 3768 §6.1."""
    return (256 - priority) / 256 * interval_s(flavour)


def settled(lan, owner, other, flavour):
    vip = vip_of(flavour)
    lan.wait(lambda: lan.owns(owner, vip) and not lan.owns(other, vip), f"{owner} alone owns {vip}")


def no_errors(keepalived):
    counters = statistics(keepalived)
    errors = (
        "Length",
        "TTL",
        "Invalid Type",
        "Advertisement Interval",
        "Address List",
        "Type Mismatch",
        "Failure",
    )
    assert {name: counters[name] for name in errors} == dict.fromkeys(errors, 0)
    return counters


def well_formed(adverts):
    """Every advert on the wire, whoever sent it, is what this package's own reader accepts."""
    for advert in adverts:
        family = ip_address(advert.source).version
        assert not isinstance(parse(advert.payload, family), DecodeError)
        assert advert.ttl == 255


def successor(adverts):
    """(last advert of the first sender, first advert of the next one)."""
    first = adverts[0].source
    senders = [advert.source for advert in adverts]
    assert set(senders) != {first}, f"only {first} was heard, {len(adverts)} times"
    later = next(index for index, sender in enumerate(senders) if sender != first)
    return adverts[later - 1], adverts[later]


def open_files(process):
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


@pytest.mark.parametrize("roles", ["keepalived-vrrpsim", "vrrpsim-keepalived"])
@pytest.mark.parametrize("flavour", ["v2-pass-unicast", "v3", "v3-ipv6"])
def test_backup_takes_over_and_gives_back(tmp_path, flavour, roles):
    """Given two makes, when the master stops or loses power, then the formulas hold."""
    master_kind, backup_kind = roles.split("-")
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        start = {"keepalived": lan.keepalived, "vrrpsim": lan.vrrpsim}
        master = start[master_kind]("n1", conf(1, 150, flavour))
        backup = start[backup_kind]("n2", conf(2, 100, flavour))
        settled(lan, "n1", "n2", flavour)
        time.sleep(1.2 * interval_s(flavour))
        if master_kind == "keepalived":
            no_errors(master)

        well_formed(lan.adverts())
        assert lan.stop(master) == 0
        settled(lan, "n2", "n1", flavour)
        adverts = lan.adverts()
        well_formed(adverts)
        farewell, claim = successor(
            [advert for advert in adverts if advert.priority == 0 or advert.source != ""]
        )
        assert farewell.priority == 0
        late_s = claim.at_s - farewell.at_s - skew_s(flavour, 100)
        assert -EARLY_S < late_s < LATE_S

        lates = []
        for _ in range(3 if flavour == "v3" else 1):
            master = start[master_kind]("n1", conf(1, 150, flavour))
            settled(lan, "n1", "n2", flavour)
            lan.adverts()
            time.sleep(1.2 * interval_s(flavour))
            lan.power_off(master)
            lan.wait(lambda: lan.owns("n2", vip_of(flavour)), "the backup takes over")
            last, claim = successor(lan.adverts())
            lates.append(claim.at_s - last.at_s - 3 * interval_s(flavour) - skew_s(flavour, 100))
            lan.link("n1", "up")
        assert -EARLY_S < numbers.median(lates) < LATE_S

        master = start[master_kind]("n1", conf(1, 150, flavour))  # with the address that the crash left
        settled(lan, "n1", "n2", flavour)
        time.sleep(1.2 * interval_s(flavour))
        for daemon, kind in ((master, master_kind), (backup, backup_kind)):
            if kind == "keepalived":
                assert no_errors(daemon)["Received" if daemon is backup else "Sent"] > 0
        well_formed(lan.adverts())


def test_a_failing_check_moves_the_address_and_notifies_in_order(tmp_path):
    """HAProxy's crash as its check sees it; notify scripts and the FIFO say what keepalived would say."""
    alive, told, fifo = tmp_path / "alive", tmp_path / "told", tmp_path / "fifo"
    alive.touch()
    notify = tmp_path / "notify.sh"
    notify.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    notify.chmod(0o755)
    more = f"""
        track_script {{
          chk weight 60
        }}
        notify_master "{notify} own"
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
        }}
    """
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        keepalived = lan.keepalived("n2", conf(2, 120, "v3"))
        daemon = lan.vrrpsim("n1", head + conf(1, 100, "v3", more))
        lan.wait(fifo.exists, "the FIFO is made")
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        settled(lan, "n1", "n2", "v3")
        alive.unlink()
        settled(lan, "n2", "n1", "v3")
        alive.touch()
        settled(lan, "n1", "n2", "v3")
        no_errors(keepalived)
        assert lan.stop(daemon) == 0
        lines = os.read(reader, 65_536).decode().splitlines()
        os.close(reader)
        assert [line.split()[2] for line in lines] == ["BACKUP", "MASTER", "BACKUP", "MASTER", "STOP"]
        assert lines[1] == 'INSTANCE "VI_1" MASTER 160'
        said = told.read_text().splitlines()
        assert said.count("own") == 2
        assert "INSTANCE VI_1 MASTER 160" in said
        assert not fifo.exists()


def test_a_crash_leaves_an_address_which_the_restart_handles(tmp_path):
    """kill -9, restart: the leftover goes first, one master in the end, and what is not ours stays."""
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        ip("-n", lan.space("n1"), "addr", "add", "10.77.0.200/24", "dev", "eth0")
        lan.keepalived("n2", conf(2, 120, "v3"))
        daemon = lan.vrrpsim("n1", conf(1, 150, "v3"))
        settled(lan, "n1", "n2", "v3")
        lan.kill_all(daemon)
        lan.wait(lambda: lan.owns("n2", VIP), "the backup takes over")
        assert lan.owns("n1", VIP)
        daemon = lan.vrrpsim("n1", conf(1, 150, "v3"))
        lan.wait(lambda: not lan.owns("n1", VIP), "the leftover is removed")
        settled(lan, "n1", "n2", "v3")
        assert lan.owns("n1", "10.77.0.200")
        assert lan.owns("n1", "10.77.0.1")
        assert lan.stop(daemon) == 0
        assert lan.owns("n1", "10.77.0.200")


def test_reload_dump_metrics_and_an_address_that_somebody_removes(tmp_path):
    with Lan(tmp_path, ["n1"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"), "--metrics", "127.0.0.1:9650")
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        lan.adverts()

        (daemon.home / "k.conf").write_text(conf(1, 200, "v3").replace(VIP, f"{VIP}\n10.77.0.101"))
        daemon.send_signal(signal.SIGHUP)
        lan.wait(lambda: lan.owns("n1", "10.77.0.101"), "the new address")
        time.sleep(0.3)
        adverts = lan.adverts()
        assert 0 not in {advert.priority for advert in adverts}  # mastership survives
        assert adverts[-1].priority == 200

        daemon.send_signal(signal.SIGUSR1)
        dump = daemon.home / "state.json"
        lan.wait(dump.exists, "the dump")
        assert dump.stat().st_mode & 0o777 == 0o600
        [entry] = json.loads(dump.read_text())
        assert (entry["data"]["state_name"], entry["data"]["effective_priority"]) == ("MASTER", 200)

        ip("-n", lan.space("n1"), "addr", "del", f"{VIP}/32", "dev", "eth0")  # FSM-39
        lan.wait(lambda: 0 in {advert.priority for advert in lan.adverts()}, "priority 0")
        lan.wait(lambda: lan.owns("n1", VIP), "it comes back")

        with inside(lan.space("n1")), urllib.request.urlopen(METRICS, timeout=5) as answer:
            text = answer.read().decode()
        assert 'vrrp_state{iname="VI_1",intf="eth0",vrid="51"} 2.0' in text
        assert "vrrp_advert_sent_total" in text
        assert "_created" not in text
        assert lan.stop(daemon) == 0


def test_a_flood_of_bad_datagrams_does_not_delay_adverts(tmp_path):
    """1,000 a second on the real socket; the dialect is one in which a rejected advert restarts no timer."""
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"), "--dialect", "rfc9568")
        lan.wait(lambda: any(a.source == "10.77.0.1" for a in lan.adverts()), "master")
        with inside(lan.space("n2")):
            flooder = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
        flooder.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        flooder.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.2"))
        random, start = Random("flood"), time.monotonic()
        for number in range(3_000):
            noise = random.randbytes(random.randrange(60))
            flooder.sendto((b"\x31\x33\xff\x01" if number % 2 else b"") + noise, ("224.0.0.18", 0))
            time.sleep(max(0.0, start + number / 1_000 - time.monotonic()))
        flooder.close()
        own = [advert for advert in lan.adverts() if advert.source == "10.77.0.1"]
        gaps = sorted(later.at_s - sooner.at_s for sooner, later in pairwise(own))
        assert len(own) > 25
        assert gaps[int(len(gaps) * 0.99) - 1] < 0.1 + 0.020
        assert "vrrp4.51" in lan.show("n1", "link")
        assert lan.stop(daemon) == 0  # and the macvlan is gone with it
        assert "vrrp4.51" not in lan.show("n1", "link")


def test_observe_takes_no_part(tmp_path):
    with Lan(tmp_path, ["n1", "n2"]) as lan:
        keepalived = lan.keepalived("n1", conf(1, 100, "v3"))
        observer = lan.vrrpsim("n2", conf(2, 200, "v3"), "--observe")
        log = observer.home / "log"
        lan.wait(lambda: "10.77.0.1 is master, priority 100" in log.read_text(), "the master is seen")
        assert {advert.source for advert in lan.adverts()} == {"10.77.0.1"}
        assert lan.stop(keepalived) == 0
        lan.wait(lambda: "resigns" in log.read_text(), "the farewell is seen")
        assert lan.stop(observer) == 0


def test_rapid_link_flaps_leave_nothing_behind(tmp_path):
    """200 flaps: as many open files as before, one address, still a master."""
    with Lan(tmp_path, ["n1"]) as lan:
        daemon = lan.vrrpsim("n1", conf(1, 100, "v3"))
        lan.wait(lambda: lan.owns("n1", VIP), "master")
        files = open_files(daemon)
        for _ in range(200):
            lan.link("n1", "down")
            lan.link("n1", "up")
        lan.wait(lambda: lan.owns("n1", VIP), "master again")
        time.sleep(0.5)
        assert open_files(daemon) <= files
        assert lan.owns("n1", "10.77.0.1")
        assert lan.stop(daemon) == 0
        assert not lan.owns("n1", VIP)
