"""How long things take on a real machine: the node personality `slop: default`.

Values from keepalived.md §2.4 and from the measured clusters (groundtruth); `slop: none` makes them all
zero. A node's timer lateness is drawn once per run, so that quiet time can be skipped (DESIGN §4).
"""

from __future__ import annotations

from vrrpsim.scenario.quantities import Distribution

_US, _MS = 1_000, 1_000_000


def _lognormal(median_ns: int, p99_ns: int) -> Distribution:
    return Distribution("lognormal", (median_ns, p99_ns))


NONE = Distribution.fixed(0)
DRIFT = _lognormal(60 * _US, 150 * _US)  # how late a node serves its timers on the whole (groundtruth 08)
WAKE_UP = _lognormal(150 * _US, 1 * _MS)  # how late it serves one of them (§2.4)
ELECTION = Distribution.uniform(50 * _US, 650 * _US)  # a Backup that gives up wakes up later still (S4)
ANSWER = _lognormal(250 * _US, 700 * _US)  # from an advert's arrival to what a Master answers (S5)
ADD_ADDRESS = _lognormal(550 * _US, 2_500 * _US)  # advert to first GARP, one address (§2.4)
REMOVE_ADDRESS = _lognormal(650 * _US, 4_000 * _US)  # from the packet's arrival to the address gone
ANOTHER_ADDRESS = Distribution.fixed(80 * _US)  # each further address of the same instance
GRATUITOUS_FRAME = Distribution.fixed(15 * _US)  # back to back (§2.4)
DAEMON_START = _lognormal(16 * _MS, 45 * _MS)  # exec to dispatcher (groundtruth 30a, 46, 52)
DAEMON_EXIT = Distribution.fixed(1_000 * _MS)  # after SIGTERM it stays a second (§1.7)
SCRIPT_RUN = _lognormal(8 * _MS, 25 * _MS)  # fork, exec, exit, reap (§2.4)
NEW_INTERFACE = _lognormal(20 * _MS, 45 * _MS)  # made, given its addresses and set up (the lab's own runs)
NETLINK = _lognormal(500 * _US, 2 * _MS)  # an event reaches the daemon (§2.4: about 1 ms)
LINK_WATCH_TICK = Distribution.uniform(20 * _MS, 25 * _MS)  # how late a second of link watch ends (S6)
DAD = Distribution.uniform(1_000 * _MS, 2_000 * _MS)  # a link-local address after its interface is up
FIRST_ANSWER = Distribution.uniform(20 * _MS, 40 * _MS)  # after requests failed: measured, cause unknown
THAW_BACKLOG = Distribution.uniform(180 * _MS, 250 * _MS)  # a thawed server answers what waited (16a, 16b)
