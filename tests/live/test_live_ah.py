"""`auth_type AH` beside real keepalived, in both roles, and in a capture that tshark reads."""

import subprocess

from capture import judged
from clusters import EARLY_S, LATE_S, VIP, conf, down_s, successor, together
from lan import Lan, needs_namespaces

pytestmark = needs_namespaces("tshark")


def story(first, second):
    """The better one is master; it loses power; it comes back and takes over again; it is stopped."""

    def run(folder):
        with Lan(folder, ["n1", "n2"]) as lan:
            backup = getattr(lan, second)("n2", conf(2, 100, "v2-ah"))
            master = getattr(lan, first)("n1", conf(1, 200, "v2-ah"))
            lan.only("10.77.0.1", 2.5)
            lan.power_off(master)
            lan.wait(lambda: lan.owns("n2", VIP), f"{second} takes over")
            last, claim = successor(lan.adverts())
            assert (last.source, claim.source) == ("10.77.0.1", "10.77.0.2")
            assert -EARLY_S < claim.at_s - last.at_s - down_s("v2-ah", 100) < LATE_S
            lan.link("n1", "up")
            master = getattr(lan, first)("n1", conf(1, 200, "v2-ah"))
            lan.only("10.77.0.1", 2.5)
            assert not lan.owns("n2", VIP)
            lan.stop(master)
            lan.wait(lambda: lan.owns("n2", VIP), f"{second} hears the resignation")
            for daemon in (master, backup):
                assert "IPSEC" not in daemon.log.read_text()
                assert "Syncing" not in daemon.log.read_text()
            lan.stop(backup)
            rows = tshark(lan, "ah.sequence", "ip.proto")
            sequences = [int(number) for number, _ in rows]
            assert len(sequences) > 8
            assert sequences[:3] == [1, 2, 3]
            assert sequences == sorted(sequences)
            assert {protocol for _, protocol in rows} == {"51"}

    return run


def tshark(lan, *fields):
    """The fields of each frame that has an Authentication Header with an advert behind."""
    path = lan.folder / "sealed.pcap"
    assert judged(lan.capture.frames, path, "ah && vrrp")
    words = ["tshark", "-n", "-r", str(path), "-Y", "ah && vrrp", "-T", "fields"]
    words += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def test_live_and_keepalived_share_a_router_with_authentication_headers(tmp_path):
    """Given both roles, then each accepts the other's headers and numbers, through two changes of master."""
    together(
        tmp_path,
        {
            "keepalived-first": story("keepalived", "vrrpsim"),
            "vrrpsim-first": story("vrrpsim", "keepalived"),
        },
    )
