"""Issue 3, item 1: keepalived, vrrpsim and FRR's vrrpd in one virtual router of version 3."""

from pathlib import Path

from clusters import EARLY_S, LATE_S, VIP, VRID, conf, down_s, successor, together
from lan import PATIENCE_S, Lan, ip, needs_namespaces

FRR = Path("/usr/lib/frr")
MACVLAN = "vrrp4-2-1"

pytestmark = needs_namespaces("vtysh", str(FRR / "vrrpd"), str(FRR / "zebra"))


def frr(lan, name, priority):
    """vrrpd and its zebra; FRR takes the virtual MAC and the address from a macvlan that is there already."""
    space = lan.space(name)
    ip("-n", space, "link", "add", MACVLAN, "link", "eth0", "type", "macvlan", "mode", "bridge")
    ip("-n", space, "link", "set", MACVLAN, "addrgenmode", "none")
    ip("-n", space, "link", "set", MACVLAN, "address", f"00:00:5e:00:01:{VRID:02x}")
    ip("-n", space, "addr", "add", f"{VIP}/24", "dev", MACVLAN)
    ip("-n", space, "link", "set", MACVLAN, "up")
    home = lan.folder / name
    home.mkdir(exist_ok=True)
    configuration = home / "frr.conf"
    configuration.write_text(
        f"interface eth0\n vrrp {VRID} version 3\n vrrp {VRID} priority {priority}\n"
        f" vrrp {VRID} advertisement-interval 100\n vrrp {VRID} ip {VIP}\n"
    )
    prepare = (  # vrrpd reads as the user frr
        "mount -t tmpfs tmpfs /var/tmp && install -d -o frr -g frr /run/frr /var/tmp/frr"
        f" && install -o frr '{configuration}' /run/frr/frr.conf"
    )
    assert lan.start(name, ["sh", "-c", prepare], home).popen.wait(PATIENCE_S) == 0
    common = ["--log", "stdout", "--vty_socket", "/run/frr", "-z", "/run/frr/z"]
    started = []
    for program in ("zebra", "vrrpd"):
        words = [str(FRR / program), *common, "-i", f"/run/frr/{program}.pid", "-f", "/run/frr/frr.conf"]
        started.append(lan.start(name, words, home, kind=program))
        listening = Path(f"/proc/{lan.init(name)}/root/run/frr/z")
        lan.wait(listening.exists, "zebra answers")
        started[-1].favour()
    return started


def story(folder):
    """FRR 200, vrrpsim 150 and keepalived 100; the master loses power, twice."""
    with Lan(folder, ["n1", "n2", "n3"]) as lan:
        lan.keepalived("n3", conf(3, 100, "v3"))
        vrrpsim = lan.vrrpsim("n2", conf(2, 150, "v3"))
        lan.only("10.77.0.2", 0.35)
        programs = frr(lan, "n1", 200)
        lan.only("10.77.0.1", 0.35)

        lan.link("n1", "down")
        for program in reversed(programs):
            program.kill()
        lan.wait(lambda: lan.owns("n2", VIP), "vrrpsim takes over from FRR")
        last, claim = successor(lan.adverts())
        assert (last.source, claim.source) == ("10.77.0.1", "10.77.0.2")
        assert -EARLY_S < claim.at_s - last.at_s - down_s("v3", 150) < LATE_S
        lan.only("10.77.0.2", 0.35)

        lan.power_off(vrrpsim)
        lan.wait(lambda: lan.owns("n3", VIP), "keepalived takes over from vrrpsim")
        last, claim = successor(lan.adverts())
        assert (last.source, claim.source) == ("10.77.0.2", "10.77.0.3")
        assert -EARLY_S < claim.at_s - last.at_s - down_s("v3", 100) < LATE_S
        lan.only("10.77.0.3", 0.35)

        lan.link("n2", "up")
        lan.vrrpsim("n2", conf(2, 150, "v3"))
        lan.only("10.77.0.2", 0.35)
        ip("-n", lan.space("n1"), "link", "del", MACVLAN)
        lan.link("n1", "up")
        frr(lan, "n1", 200)
        lan.only("10.77.0.1", 0.35)


def test_three_makes_elect_one_master(tmp_path):
    """Given three makes, when the master loses power, then the next one is it, in time."""
    together(tmp_path, {"lan": story})
