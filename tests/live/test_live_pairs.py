"""Issue 3, items 1 and 2: vrrpsim live and real keepalived in one virtual router, in both roles.

Instants are the kernel's time stamps of adverts on the bridge. What is claimed is the formula's time plus
at most 50 ms, never less than 5 ms short of it; with intervals of 100 ms the median of three outages counts,
because the machine is shared. Every network is judged by tshark and by keepalived's counters (lan.py).
"""

import statistics as numbers
import time
from functools import partial

from capture import adverts_in
from clusters import (
    EARLY_S,
    LATE_S,
    VRID,
    announced,
    checked,
    down_s,
    interval_s,
    settled,
    skew_s,
    successor,
    together,
    vip_of,
)
from lan import Lan, comm_of, needs_namespaces

from vrrpsim.protocol.packet import DecodeError, parse

pytestmark = needs_namespaces("haproxy")

FLAVOURS = ("v2-pass-unicast", "v2", "v3", "v3-ipv6", "v3-vmac")
ROLES = ("keepalived-vrrpsim", "vrrpsim-keepalived")
CHECKED_EVERY_S = 1.0
START_S = 0.5  # what a check, or HAProxy, may need to begin
MASTER, FAILING, BACKUP = 150, 90, 100


class Pair:
    """n1, normally master, and n2; each with HAProxy and a check of it."""

    def __init__(self, lan, flavour, roles):
        self.lan, self.flavour = lan, flavour
        self.kinds = dict(zip(("n1", "n2"), roles.split("-"), strict=True))
        self.vip = vip_of(flavour)
        self.measured = {}

    def start(self, name):
        start = getattr(self.lan, self.kinds[name])
        number = self.lan.number(name)
        return start(name, checked(number, (MASTER, BACKUP)[number - 1], self.flavour))

    def settled(self, owner, other):
        settled(self.lan, owner, other, self.flavour)

    def judge(self):
        """Every advert was one that this package's own reader accepts."""
        for advert in adverts_in(self.lan.capture.frames):
            assert not isinstance(parse(advert.payload, 6 if ":" in advert.source else 4), DecodeError)
            assert advert.ttl == 255
            if self.flavour == "v3-vmac":
                assert advert.mac == f"00:00:5e:00:01:{VRID:02x}"

    def source(self, name):
        number = self.lan.number(name)
        return f"fe80::77:{number}" if self.flavour == "v3-ipv6" else f"10.77.0.{number}"

    def steady(self):
        """The master has been alone for a while; forget what was heard, but for its last advert."""
        self.settled("n1", "n2")
        self.lan.only(self.source("n1"), 1.2 * interval_s(self.flavour))

    def on_time(self, what, late_s):
        self.measured[what] = late_s
        assert -EARLY_S < late_s < LATE_S, f"{what}: {late_s:.3f} s late"


def haproxy_crash(pair, haproxy):
    """The check notices within its interval; the backup counts from the last advert it accepted."""
    pair.steady()
    haproxy.kill()
    killed_s = time.time()
    pair.settled("n2", "n1")
    adverts = pair.lan.adverts()
    weak = next(advert for advert in adverts if advert.priority == FAILING)
    accepted = [advert for advert in adverts if advert.priority == MASTER and advert.at_s < weak.at_s][-1]
    claim = next(advert for advert in adverts if advert.source != weak.source)
    assert weak.at_s - killed_s < CHECKED_EVERY_S + interval_s(pair.flavour) + START_S
    pair.on_time("crash", claim.at_s - accepted.at_s - down_s(pair.flavour, BACKUP))


def haproxy_returns(pair):
    """n1's priority rises with the next check; from its last accepted advert on it lets the timer run."""
    haproxy = pair.lan.haproxy("n1")
    pair.lan.wait(lambda: comm_of(haproxy.pid) == "haproxy", "a check can find it")
    started_s = time.time()
    pair.settled("n1", "n2")
    claim = next(advert for advert in pair.lan.adverts() if advert.source == pair.source("n1"))
    assert claim.priority == MASTER
    assert claim.at_s - started_s < CHECKED_EVERY_S + START_S + down_s(pair.flavour, MASTER) + LATE_S


def graceful_stop(pair, master):
    pair.steady()
    assert pair.lan.stop(master) == 0
    pair.settled("n2", "n1")
    farewell, claim = successor(pair.lan.adverts())
    assert farewell.priority == 0
    pair.on_time("stop", claim.at_s - farewell.at_s - skew_s(pair.flavour, BACKUP))


def power_losses(pair, times):
    """Each time n1 comes back, with the address that the crash left, and is given the address again."""
    late_s = []
    for _ in range(times):
        master = pair.start("n1")
        pair.steady()
        pair.lan.power_off(master)
        pair.lan.wait(lambda: pair.lan.owns("n2", pair.vip), "the backup takes over")
        last, claim = successor(pair.lan.adverts())
        late_s.append(claim.at_s - last.at_s - down_s(pair.flavour, BACKUP))
        pair.lan.link("n1", "up")
    pair.on_time("power loss", numbers.median(late_s))
    pair.start("n1")
    pair.settled("n1", "n2")


def whole_story(folder, flavour, roles):
    with Lan(folder, ["n1", "n2"]) as lan:
        pair = Pair(lan, flavour, roles)
        haproxy = lan.haproxy("n1")
        lan.haproxy("n2")
        master = pair.start("n1")
        pair.start("n2")
        haproxy_crash(pair, haproxy)
        haproxy_returns(pair)
        graceful_stop(pair, master)
        power_losses(pair, 3 if flavour.startswith("v3") else 1)
        pair.judge()
        for name in ("n1", "n2"):  # n1 at the start, after HAProxy's return, after the outages
            assert announced(lan, name, flavour) >= 5 * 3
        return pair.measured


def test_every_pair_takes_over_and_gives_back(tmp_path):
    """Given two makes, when HAProxy crashes, the master stops or loses power, then the formulas hold."""
    stories = {
        f"{flavour}-{roles}": partial(whole_story, flavour=flavour, roles=roles)
        for flavour in FLAVOURS
        for roles in ROLES
    }
    for name, late in together(tmp_path, stories).items():
        print(name, {what: f"{late_s * 1000:.1f} ms" for what, late_s in late.items()})
