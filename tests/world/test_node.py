"""Machines: power, pause, processes and the exact times of a punctual pair."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest
from tiny_world import (
    MS,
    US,
    VIP,
    WEB,
    S,
    Tap,
    at,
    ip,
    masters,
    node,
    owners,
    pair,
    port,
    records,
    run,
    unicast,
    world,
)

from vrrpsim.trace import (
    AddressChange,
    AdvertRejected,
    AdvertSent,
    FrameLost,
    NodeChange,
    ProcessChange,
    Remark,
    StateChange,
    TrackerChange,
)
from vrrpsim.world import World
from vrrpsim.world.calendar import Kind
from vrrpsim.world.frame import NeighbourFrame
from vrrpsim.world.process import Life

CHECK = {"chk": {"script": "pkill -0 haproxy", "interval": 1}}


def checked(**changes: object) -> dict[str, object]:
    return {
        "lb1": node(1, 101, scripts=CHECK, track_script=["chk"], **changes),
        "lb2": node(2, 100, scripts=CHECK, track_script=["chk"], **changes),
    }


def adverts(made: World, name: str) -> list[int]:
    return [record.at_ns for record in records(made, AdvertSent, node=name)]


def last_before(times: list[int], at_ns: int) -> int:
    return max(time for time in times if time < at_ns)


# --- `slop: none`: the formulas to the nanosecond


def test_the_first_master_is_there_after_its_master_down_interval() -> None:
    """3 * 1 s + (256 - 101) / 256 s, from the start."""
    made = run(pair(duration="10s"))
    assert masters(made) == [(3 * S + 605_468 * US, "lb1")]
    assert adverts(made, "lb1")[:3] == [masters(made)[0][0] + k * S for k in range(3)]


@pytest.mark.parametrize(
    ("advert_int", "version", "mdi_ns"),
    [
        (1, 2, 3 * S + 156 * S // 256 // 1000 * 1000),
        (3, 2, 9 * S + 156 * S // 256 // 1000 * 1000),  # version 2: the skew does not scale
        (0.25, 3, 3 * 250 * MS + 250 * MS * 156 // 256 // 1000 * 1000),
    ],
)
def test_takeover_is_last_advert_plus_three_intervals_plus_skew(
    advert_int: float, version: int, mdi_ns: int
) -> None:
    nodes = {f"lb{n}": node(n, 102 - n, advert_int=advert_int, version=version) for n in (1, 2)}
    made = run(pair({"at": "20.5s", "power_off": "lb1"}, nodes=nodes, duration="40s"))
    heard_ns = last_before(adverts(made, "lb1"), 20_500 * MS) + 100 * US
    assert masters(made)[-1] == (heard_ns + mdi_ns, "lb2")


def test_after_a_graceful_stop_skew_alone() -> None:
    made = run(pair({"at": "20s", "stop": "lb1/keepalived"}, duration="30s"))
    assert masters(made)[-1] == (20 * S + 100 * US + 156 * S // 256 // 1000 * 1000, "lb2")


def test_a_slow_machine_is_late_and_never_early() -> None:
    document = pair({"at": "20s", "stop": "lb1/keepalived"}, duration="30s")
    for each in document["nodes"].values():
        each["slop"] = "default"
    skew_ns = 156 * S // 256 // 1000 * 1000
    late = [masters(run(document, seed))[-1][0] - 20 * S - 100 * US - skew_ns for seed in range(20)]
    assert min(late) > 0
    assert max(late) < 5 * MS
    assert len(set(late)) == 20


# --- power


def test_without_power_everything_is_gone() -> None:
    document = pair({"at": "10s", "power_off": "lb1"}, clients=WEB, duration="20s")
    made = world(document)
    looks: list[object] = []

    def look() -> None:
        lb1 = made.nodes["lb1"]
        looks.append((ip(VIP) in port(made, "lb1").local, list(port(made, "lb1").cache.entries)))
        looks.append((lb1.processes["haproxy"].life, lb1.daemon and lb1.daemon.life, lb1.kernel_runs))

    at(made, 9.9, look)
    at(made, 10, look)
    made.run()
    web = made.clients["web"].address
    assert looks == [
        (True, [web]),
        (Life.SERVING, "running", True),
        (False, []),
        (Life.DEAD, "dead", False),
    ]
    assert last_before(adverts(made, "lb1"), 20 * S) < 10 * S
    assert records(made, NodeChange) == [NodeChange(10 * S, "lb1", "off")]
    assert records(made, FrameLost, destination="lb1:eth0", reason="down")
    assert not any(record.priority == 0 for record in records(made, AdvertSent))


def test_booting_takes_its_time_and_starts_everything() -> None:
    nodes = {"lb1": node(1, 101, node={"boots": "7s"}), "lb2": node(2, 100)}
    nodes["lb1"]["keepalived"]["starts"] = "2s"
    made = run(pair({"at": "10s", "power_off": "lb1", "for": "5s"}, nodes=nodes, duration="60s"))
    assert [r[:3] for r in records(made, NodeChange)] == [(10 * S, "lb1", "off"), (22 * S, "lb1", "on")]
    assert records(made, ProcessChange, node="lb1", state="running")[-1].at_ns == 24 * S
    assert [
        r.at_ns for r in records(made, ProcessChange, process="haproxy", state="serving", node="lb1")
    ] == [
        50 * MS,
        22 * S + 50 * MS,
    ]
    assert owners(made, 21) == ["lb2"]
    assert owners(made, 60) == ["lb1"]


def test_what_starts_by_hand_does_not_start_at_boot() -> None:
    document = pair({"at": "5s", "start": "lb1/haproxy"}, duration="20s")
    document["nodes"]["lb1"]["processes"]["haproxy"]["starts"] = "manual"
    made = run(document)
    assert records(made, ProcessChange, process="haproxy", node="lb1")[0].at_ns == 5 * S


def test_power_ends_a_pause() -> None:
    """A machine that was switched off while it stood still boots running."""
    made = run(
        pair(
            {"at": "10s", "pause": "lb1", "for": "30s"},
            {"at": "12s", "power_off": "lb1", "for": "3s"},
            duration="35s",
        )
    )
    assert [r.state for r in records(made, NodeChange)] == ["paused", "off", "on"]
    assert owners(made, 34) == ["lb1"]


def test_the_boot_time_of_one_does_not_depend_on_the_others() -> None:
    def boot_ns(*more: dict[str, object]) -> int:
        nodes = {f"lb{n}": node(n, 102 - n, node={"boots": {"uniform": ["1s", "9s"]}}) for n in (1, 2)}
        made = run(pair({"at": "20s", "power_off": "lb1", "for": "1s"}, *more, nodes=nodes))
        return records(made, NodeChange, node="lb1", state="on")[-1].at_ns

    assert boot_ns() == boot_ns({"at": "5s", "power_off": "lb2", "for": "1s"})


# --- pause


def test_a_paused_machine_loses_frames_and_wakes_with_one_advert() -> None:
    document = pair({"at": "10s", "pause": "lb1", "for": "2.9s"}, duration="20s")
    made = world(document)
    made.run()
    times = adverts(made, "lb1")
    during = [at_ns for at_ns in times if 10 * S < at_ns < 12_900 * MS]
    assert during == []
    first, second = [at_ns for at_ns in times if at_ns >= 12_900 * MS][:2]
    assert first == 12_900 * MS  # overdue: once, at once
    assert second == first + S
    assert len(masters(made)) == 1  # nobody noticed


def test_a_long_pause_costs_mastership_and_the_frames_of_the_meantime() -> None:
    made = run(pair({"at": "10s", "pause": "lb1", "for": "10s"}, duration="40s"))
    assert [name for _, name in masters(made)] == ["lb1", "lb2"]
    assert records(made, FrameLost, destination="lb1:eth0", reason="down")
    assert [r.state for r in records(made, NodeChange)] == ["paused", "on"]
    assert owners(made, 15) == ["lb1", "lb2"]  # it still has the address, but stands still
    assert owners(made, 40) == ["lb1"]
    assert [r.node for r in records(made, StateChange, old="MASTER", new="BACKUP")] == ["lb2"]


# --- keepalived's own life


def test_a_frozen_keepalived_leaves_the_kernel_alive() -> None:
    document = pair({"at": "10s", "freeze": "lb1/keepalived", "for": "20s"}, duration="45s")
    made = world(document)
    tap = Tap(made)
    lb2 = port(made, "lb2")
    at(made, 11, lambda: lb2.cache.use(lb2.cache.entry(ip(VIP)), ip("10.0.0.2")))
    made.run()
    answers = [n for _, n, f in tap.sent if isinstance(f, NeighbourFrame) and f.operation == "reply"]
    assert answers[0] == "lb1:eth0"
    assert owners(made, 25) == ["lb1", "lb2"]
    assert [at_ns for at_ns in adverts(made, "lb1") if 10 * S < at_ns < 30 * S] == []
    assert owners(made, 45) == ["lb1"]  # it heard what waited in its socket: only weaker ones
    assert records(made, FrameLost) == []
    waited = [at_ns for at_ns in adverts(made, "lb2") if at_ns < 30 * S]
    at_once = [at_ns for at_ns in adverts(made, "lb1") if 30 * S <= at_ns < 30_900 * MS]
    assert len(at_once) - len(waited) in (0, 1)  # one against each weaker advert, overdue at most once


def test_kill_leaves_the_address_and_stop_removes_it() -> None:
    killed = run(pair({"at": "10s", "kill": "lb1/keepalived"}, duration="20s"))
    assert owners(killed, 20) == ["lb1", "lb2"]
    assert not any(record.priority == 0 for record in records(killed, AdvertSent))
    assert [n for _, n in masters(killed)] == ["lb1", "lb2"]
    stopped = run(pair({"at": "10s", "stop": "lb1/keepalived"}, duration="20s"))
    assert owners(stopped, 10) == []
    assert owners(stopped, 20) == ["lb2"]
    assert [r.at_ns for r in records(stopped, AdvertSent, priority=0)] == [10 * S]


def test_a_started_keepalived_removes_what_its_predecessor_left() -> None:
    made = run(pair({"at": "10s", "kill": "lb1/keepalived", "for": "5s"}, duration="15.1s"))
    assert owners(made, 14.9) == ["lb1", "lb2"]
    assert owners(made, 15.1) == ["lb2"]


@pytest.mark.parametrize("slop", ["none", "default"])
def test_restart(slop: str) -> None:
    document = pair({"at": "10s", "restart": "lb1/keepalived"}, duration="30s")
    document["nodes"]["lb1"]["slop"] = slop
    made = run(document)
    lives = [r.state for r in records(made, ProcessChange, node="lb1", process="keepalived")]
    assert lives == ["starting", "running", "stopping", "dead", "starting", "running"]
    assert owners(made, 30) == ["lb1"]


def daemon_lives(made: World) -> list[str]:
    return [r.state for r in records(made, ProcessChange, node="lb1", process="keepalived")]


def slow(*events: dict[str, object]) -> World:
    """With a keepalived that takes its second to exit."""
    document = pair(*events, duration="40s")
    document["nodes"]["lb1"]["slop"] = "default"
    return run(document)


def test_a_start_waits_for_the_exit() -> None:
    made = slow({"at": "10s", "stop": "lb1/keepalived", "for": "500ms"})
    assert daemon_lives(made)[2:] == ["stopping", "dead", "starting", "running"]
    assert owners(made, 40) == ["lb1"]


def test_nothing_restarts_without_power() -> None:
    made = slow({"at": "10s", "restart": "lb1/keepalived"}, {"at": "10.5s", "power_off": "lb1", "for": "5s"})
    assert daemon_lives(made)[2:] == ["stopping", "dead", "starting", "running"]
    assert records(made, ProcessChange, node="lb1", state="starting")[-1].at_ns >= 15 * S
    assert owners(made, 40) == ["lb1"]


def test_sigterm_waits_for_sigcont() -> None:
    made = slow(
        {"at": "10s", "freeze": "lb1/keepalived", "for": "2s"}, {"at": "11s", "stop": "lb1/keepalived"}
    )
    assert daemon_lives(made)[2:] == ["frozen", "running", "stopping", "dead"]
    assert records(made, AdvertSent, priority=0)[0].at_ns >= 12 * S


# --- links


def test_a_link_that_goes_down_takes_the_neighbours_with_it() -> None:
    nodes = {f"lb{n}": node(n, 102 - n, **unicast(n, 3 - n)) for n in (1, 2)}
    made = world(pair({"at": "10s", "link_down": "lb1/eth0"}, nodes=nodes, duration="12s"))
    seen: list[int] = []
    for seconds in (9.9, 10):
        at(made, seconds, lambda: seen.append(len(port(made, "lb1").cache.entries)))
    made.run()
    assert seen == [1, 0]


def test_a_carrier_is_lost_by_link_watch_and_back_at_once() -> None:
    document = pair({"at": "10s", "link_down": "lb1/eth0", "for": "10s"}, duration="40s")
    made = run(document)
    faults = records(made, StateChange, node="lb1", new="FAULT")
    assert [record.at_ns for record in faults] == [10 * S]
    assert records(made, StateChange, node="lb1", old="FAULT")[0].at_ns == 20 * S
    assert owners(made, 12) == []
    vain = {r.kind for r in records(made, FrameLost, source="lb1:eth0", reason="carrier")}
    assert vain == {"vrrp"}  # priority 0 is logged and cannot leave
    document["nodes"]["lb1"]["slop"] = "default"
    delays = [
        records(run(document, n), StateChange, node="lb1", old="FAULT")[0].at_ns - 20 * S for n in range(15)
    ]
    assert max(delays) < 4 * MS


def test_a_second_loss_within_a_second_of_the_first_is_known_when_that_is_over() -> None:
    """S6: linkwatch looks at lost carriers once a second; what is back meanwhile was never lost."""
    document = pair(
        {"at": "10s", "link_down": "lb1/eth0", "for": "200ms", "every": "600ms", "count": 2}, duration="40s"
    )
    made = run(document)
    assert len(records(made, StateChange, node="lb1", new="FAULT")) == 1
    document["events"][-1] |= {"for": "550ms"}
    made = run(document)
    first, second = (record.at_ns for record in records(made, StateChange, node="lb1", new="FAULT"))
    assert (first, second) == (10 * S, 11 * S)


def test_set_down_by_its_own_node_is_known_at_once_and_up_by_link_watch() -> None:
    made = world(pair(duration="40s"))
    one = made.nodes["lb1"]
    for seconds, up in ((10, False), (10.3, True), (12, False), (14, True)):
        at(made, seconds, partial(one.set_interface, "eth0", up))
    made.run()
    reports = [(r.at_ns, r.new) for r in records(made, StateChange, node="lb1") if 10 * S <= r.at_ns < 15 * S]
    assert reports == [
        (10 * S, "FAULT"),
        (10 * S + 300 * MS, "BACKUP"),
        (12 * S, "FAULT"),
        (14 * S, "BACKUP"),
    ]


def test_a_link_that_flaps_faster_than_the_link_watch_is_up_in_the_end() -> None:
    document = pair(
        {"at": "10s", "link_down": "lb1/eth0", "for": "20ms", "every": "50ms", "count": 20}, duration="30s"
    )
    document["nodes"]["lb1"]["slop"] = "default"
    made = run(document)
    assert port(made, "lb1").reported
    assert owners(made, 30) == ["lb1"]


def test_a_link_that_is_down_stays_down_over_a_reboot() -> None:
    made = run(
        pair(
            {"at": "10s", "link_down": "lb1/eth0", "for": "20s"},
            {"at": "12s", "power_off": "lb1", "for": "2s"},
            duration="29s",
        )
    )
    assert owners(made, 29) == ["lb2"]
    assert not port(made, "lb1").carrier


# --- load


def test_starvation_delays_timers_and_packets() -> None:
    document = pair({"at": "10s", "starve": "lb1", "delay": "200ms", "for": "10s"}, duration="30s")
    made = run(document)
    gaps = [b - a for a, b in pairwise(adverts(made, "lb1")) if 11 * S < a < 19 * S]
    assert set(gaps) == {1200 * MS}  # re-armed from "now": lateness adds up (§2.4)
    after = [b - a for a, b in pairwise(adverts(made, "lb1")) if a > 22 * S]
    assert set(after) == {S}
    assert len(masters(made)) == 1


def test_starvation_keeps_the_order_of_packets() -> None:
    document = pair({"at": "10s", "starve": "lb2", "delay": {"uniform": ["0s", "2s"]}}, duration="60s")
    made = world(document)
    daemon = made.nodes["lb2"].daemon
    assert daemon is not None
    served: list[int] = []
    for number in range(30):
        made.calendar.at(
            20 * S + number * 100 * MS, Kind.PACKET, 1, daemon.wakeups.post, served.append, number
        )
    made.run()
    assert served == list(range(30))


def test_a_starved_master_loses_its_place() -> None:
    made = run(pair({"at": "10s", "starve": "lb1", "delay": "4s", "for": "20s"}, duration="30s"))
    assert (10 * S, "lb2") < masters(made)[1] < (16 * S, "lb2")


def test_stalls() -> None:
    document = pair(duration="120s")
    document["nodes"]["lb1"]["slop"] = {
        "drift": "0s",
        "stalls": {"every": "20s", "lasts": "1500ms"},
    }
    made = run(document)
    stalls = [(20 * k * S, 20 * k * S + 1500 * MS) for k in range(1, 6)]
    assert [t for t in adverts(made, "lb1") for start, end in stalls if start < t < end] == []
    assert {b - a for a, b in pairwise(adverts(made, "lb1")) if b - a > 1_100 * MS}
    assert [at_ns for at_ns, _ in masters(made) if at_ns > 5 * S] == []


# --- HAProxy


def lives(made: World) -> list[tuple[int, str]]:
    return [(r.at_ns, r.state) for r in records(made, ProcessChange, node="lb1", process="haproxy")]


def test_the_life_of_a_process() -> None:
    made = run(
        pair(
            {"at": "1s", "freeze": "lb1/haproxy", "for": "1s"},
            {"at": "3s", "kill": "lb1/haproxy", "for": "1s"},
            {"at": "5s", "restart": "lb1/haproxy"},
            {"at": "5.02s", "freeze": "lb1/haproxy"},
            {"at": "6s", "thaw": "lb1/haproxy"},
            {"at": "7s", "stop": "lb1/haproxy"},
            {"at": "8s", "thaw": "lb1/haproxy"},
            duration="9s",
        )
    )
    assert lives(made) == [
        (0, "starting"),
        (50 * MS, "serving"),
        (1 * S, "frozen"),
        (2 * S, "serving"),
        (3 * S, "dead"),
        (4 * S, "starting"),
        (4 * S + 50 * MS, "serving"),
        (5 * S, "dead"),
        (5 * S, "starting"),
        (5 * S + 20 * MS, "frozen"),
        (6 * S, "starting"),
        (6 * S + 50 * MS, "serving"),
        (7 * S, "dead"),
    ]


def test_a_process_is_reloaded_without_a_gap() -> None:
    made = world(pair(duration="5s"))
    service = made.nodes["lb1"].processes["haproxy"]
    at(made, 2, service.reload)
    seen: list[bool] = []
    at(made, 2.02, lambda: seen.append(service.serves))
    made.run()
    assert seen == [True]
    assert lives(made)[2:] == [(2 * S, "reloading"), (2 * S + 50 * MS, "serving")]


# --- what checks see


def tracker(made: World, name: str = "lb1") -> Iterator[tuple[int, bool]]:
    """After the start, when HAProxy may not serve yet."""
    return ((r.at_ns, r.ok) for r in records(made, TrackerChange, node=name) if r.at_ns > S)


def with_script(*events: dict[str, object], **script: object) -> World:
    scripts = {"chk": {"interval": 1} | script}
    nodes = {"lb1": node(1, 101, scripts=scripts, track_script=["chk"]), "lb2": node(2, 100)}
    return run(pair(*events, nodes=nodes, duration="30s"))


@pytest.mark.parametrize(
    "script", ["pkill -0 haproxy", "sh -c 'kill -0 $(cat /run/haproxy.pid)'", "nc -z localhost 80"]
)
def test_a_check_notices_a_death(script: str) -> None:
    made = with_script({"at": "10.5s", "kill": "lb1/haproxy", "for": "10s"}, script=script)
    [bad, good] = tracker(made)
    assert (bad, good[1]) == ((11 * S, False), True)
    assert good[0] == 21 * S


def test_a_presence_check_does_not_notice_a_freeze_and_a_request_does() -> None:
    freeze = {"at": "10.5s", "freeze": "lb1/haproxy", "for": "10s"}
    assert [ok for _, ok in tracker(with_script(freeze, script="pgrep haproxy"))] == []
    made = with_script(freeze, script="curl http://localhost/", timeout=2)
    assert [ok for _, ok in tracker(made)] == [False, True]


def test_a_probe_says_what_a_script_looks_at() -> None:
    kill = {"at": "10.5s", "kill": "lb1/haproxy"}
    for probe in ({"process": "haproxy"}, {"serves": "80/tcp"}):
        made = with_script(kill, script="/opt/check.sh", probe=probe)
        assert [ok for _, ok in tracker(made)] == [False]


def test_an_unknown_command_always_succeeds_and_the_run_says_so() -> None:
    made = with_script({"at": "10.5s", "kill": "lb1/haproxy"}, script="/opt/check.sh")
    assert list(tracker(made)) == []
    assert [r.text for r in records(made, Remark)] == ["lb1/chk: '/opt/check.sh' always succeeds here"]
    made = with_script(script="pgrep apache2")
    assert [r.text for r in records(made, Remark)] == ["lb1/chk: 'pgrep apache2' always succeeds here"]


def test_a_failed_check_without_weight_gives_the_address_away() -> None:
    made = run(pair({"at": "10.5s", "kill": "lb1/haproxy"}, nodes=checked(), duration="20s"))
    skew_ns = 156 * S // 256 // 1000 * 1000
    assert masters(made)[-1] == (11 * S + 100 * US + skew_ns, "lb2")
    assert records(made, AddressChange, node="lb1", present=False)[-1].at_ns == 11 * S
    assert records(made, AdvertRejected) == []
