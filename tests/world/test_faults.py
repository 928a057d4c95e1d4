"""Every verb of DESIGN §5 on a tiny scenario: it does what it says, and `for:` undoes it."""

from collections.abc import Callable
from typing import Any

import pytest
from tiny_world import (
    MS,
    US,
    VIP,
    WEB,
    S,
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

from vrrpsim.trace import AddressChange, AdvertRejected, AdvertSent, Fault, FaultEnd, Remark, StateChange
from vrrpsim.world import World

CHECK = {"chk": {"script": "pkill -0 haproxy", "interval": 1, "weight": -20}}
NODES = {f"lb{n}": node(n, 102 - n, scripts=CHECK, track_script=["chk"]) for n in (1, 2)}
Look = Callable[[World], object]


def life(name: str) -> Look:
    def look(made: World) -> object:
        lb1 = made.nodes["lb1"]
        return lb1.daemon and lb1.daemon.life if name == "keepalived" else lb1.processes[name].life.value

    return look


def priority(made: World) -> object:
    """lb1's last advertised priority."""
    sent = records(made, AdvertSent, node="lb1")
    return sent[-1].priority if sent else None


def passing(sender: str, receiver: str, kind: str = "vrrp") -> Look:
    return lambda made: made.segments["lan"].passes(port(made, sender), port(made, receiver), (kind,))


# verb, what to look at, before, while, after
LASTING: list[tuple[dict[str, Any], Look, object, object, object]] = [
    ({"kill": "lb1/haproxy"}, life("haproxy"), "serving", "dead", "serving"),
    ({"stop": "lb1/haproxy"}, life("haproxy"), "serving", "dead", "serving"),
    ({"freeze": "lb1/haproxy"}, life("haproxy"), "serving", "frozen", "serving"),
    ({"kill": "lb1/keepalived"}, life("keepalived"), "running", "dead", "running"),
    ({"stop": "lb1/keepalived"}, life("keepalived"), "running", "dead", "running"),
    ({"freeze": "lb1/keepalived"}, life("keepalived"), "running", "frozen", "running"),
    ({"power_off": "lb1"}, lambda w: w.nodes["lb1"].kernel_runs, True, False, True),
    ({"pause": "lb1"}, lambda w: w.nodes["lb1"].kernel_runs, True, False, True),
    ({"link_down": "lb1/eth0"}, lambda w: port(w, "lb1").carrier, True, False, True),
    ({"partition": [["lb1"], ["lb2"]]}, passing("lb1", "lb2"), 1.0, 0.0, 1.0),
    ({"impair": "lan", "loss": "25%"}, passing("lb1", "lb2"), 1.0, 0.75, 1.0),
    ({"impair": "lb1/eth0", "loss": "25%"}, passing("lb2", "lb1"), 1.0, 0.75, 1.0),
    ({"impair": "lan", "loss": "25%", "only": ["arp"]}, passing("lb1", "lb2"), 1.0, 1.0, 1.0),
    ({"impair": "lan", "loss": "25%", "from": ["lb2"]}, passing("lb1", "lb2"), 1.0, 1.0, 1.0),
    ({"impair": "lan", "loss": "25%", "to": ["lb2"]}, passing("lb1", "lb2"), 1.0, 0.75, 1.0),
    ({"hang": "lb1/chk"}, priority, 101, 81, 101),
    ({"fail": "lb1/chk"}, priority, 101, 81, 101),
    ({"pass": "lb1/chk"}, priority, 101, 101, 101),
    ({"starve": "lb1", "delay": "1ms"}, lambda w: w.nodes["lb1"].starved is not None, False, True, False),
    ({"set": "lb1/VI_1", "priority": 103}, priority, 101, 103, 101),
]


@pytest.mark.parametrize(
    ("event", "look", "before", "during", "after"),
    LASTING,
    ids=[" ".join(map(str, event.values())) for event, *_ in LASTING],
)
def test_a_verb_does_it_and_for_undoes_it(
    event: dict[str, Any], look: Look, before: object, during: object, after: object
) -> None:
    made = world(pair({"at": "10s", "for": "8s", **event}, nodes=NODES, duration="40s"))
    seen: list[object] = []
    for seconds in (9.9, 13.5, 30):
        at(made, seconds, lambda: seen.append(look(made)))
    made.run()
    assert seen == [before, during, after]
    [fault], [end] = records(made, Fault), records(made, FaultEnd)
    assert (fault.at_ns, fault.until_ns, fault.number) == (10 * S, 18 * S, 0)
    assert fault.verb == next(iter(event))
    assert fault.resolved
    assert end == FaultEnd(18 * S, 0)
    assert owners(made, 40) == ["lb1"]


OPPOSITES = [
    ("kill", "start", "lb1/haproxy", "dead", "serving"),
    ("freeze", "thaw", "lb1/haproxy", "frozen", "serving"),
    ("kill", "restart", "lb1/haproxy", "dead", "serving"),
    ("stop", "start", "lb1/keepalived", "dead", "running"),
    ("freeze", "thaw", "lb1/keepalived", "frozen", "running"),
    ("kill", "restart", "lb1/keepalived", "dead", "running"),
]


@pytest.mark.parametrize(("verb", "opposite", "target", "during", "after"), OPPOSITES)
def test_a_verb_lasts_until_its_opposite(
    verb: str, opposite: str, target: str, during: str, after: str
) -> None:
    made = world(pair({"at": "10s", verb: target}, {"at": "20s", opposite: target}, duration="30s"))
    seen: list[object] = []
    for seconds in (15, 29):
        at(made, seconds, lambda: seen.append(life(target.partition("/")[2])(made)))
    made.run()
    assert seen == [during, after]


def test_machines_and_links_come_back_by_their_opposites_too() -> None:
    made = run(
        pair(
            {"at": "10s", "power_off": "lb1"},
            {"at": "15s", "power_on": "lb1"},
            {"at": "30s", "link_down": "lb1/eth0"},
            {"at": "35s", "link_up": "lb1/eth0"},
            duration="50s",
        )
    )
    assert [owners(made, t) for t in (9, 14, 29, 34, 50)] == [["lb1"], ["lb2"], ["lb1"], ["lb2"], ["lb1"]]


def test_reload_keeps_the_master_and_sends_two_adverts() -> None:
    made = run(pair({"at": "10s", "reload": "lb1"}, duration="20s"))
    assert len([r for r in records(made, AdvertSent, node="lb1") if r.at_ns == 10 * S]) == 2
    assert len(masters(made)) == 1


def test_reload_without_one_of_its_addresses_keeps_the_virtual_mac() -> None:
    """`reload:` takes the configuration that the scenario gives; here that is one address fewer."""
    nodes = {f"lb{n}": node(n, 102 - n, use_vmac=True, virtual_ipaddress=[VIP, "10.0.0.101"]) for n in (1, 2)}
    made = world(pair(nodes=nodes, clients=WEB, duration="10.5s"))
    daemon = made.nodes["lb1"].daemon
    assert daemon is not None
    [one] = daemon.config.instances
    fewer = daemon.config._replace(instances=(one._replace(addresses=one.addresses[:1]),))
    at(made, 10, lambda: daemon.reload(fewer))
    made.run()
    assert owners(made, 10.5, "10.0.0.101") == []
    assert owners(made, 10.5) == ["lb1"]
    assert list(port(made, "lb1").virtual_macs.values()) == [bytes.fromhex("00005e000133")]
    assert made.clients["web"].reachable


def test_flush_address() -> None:
    """keepalived hears of it, resigns, and takes the address again after its own skew."""
    made = run(pair({"at": "10s", "flush_address": "lb1", "address": VIP}, duration="20s"))
    changes = [(r.at_ns, r.present) for r in records(made, AddressChange, node="lb1")][1:]
    assert changes[0] == (10 * S, False)
    assert changes[-1][1]
    assert 10_500 * MS < changes[-1][0] < 10_700 * MS
    assert owners(made, 20) == ["lb1"]


def test_a_source_that_goes_and_comes_is_fault_and_recovery() -> None:
    """field.md 3: FAULT and priority 0, BACKUP when it is back, Master again after the whole interval."""
    own = "10.0.0.1"
    gone, back = (
        {"at": "10s", "flush_address": "lb1", "address": own},
        {"at": "15s", "add_address": "lb1/eth0"},
    )
    made = run(pair(gone, {**back, "address": f"{own}/24"}, duration="25s"))
    states = [(r.at_ns, r.new) for r in records(made, StateChange, node="lb1") if r.at_ns >= 10 * S]
    assert [new for _, new in states] == ["FAULT", "BACKUP", "MASTER"]
    assert states[0][0] == 10 * S
    assert states[1][0] == 15 * S
    assert 18_600 * MS < states[2][0] < 18_700 * MS
    assert owners(made, 12) == ["lb2"]


def test_secondary_addresses_go_with_the_first_of_their_network() -> None:
    nodes = {f"lb{n}": node(n, 102 - n, virtual_ipaddress=[f"{VIP}/24"]) for n in (1, 2)}
    made = run(
        pair({"at": "10s", "flush_address": "lb1", "address": "10.0.0.1"}, nodes=nodes, duration="20s")
    )
    gone = [r.at_ns for r in records(made, AddressChange, node="lb1") if not r.present]
    assert gone == [10 * S]


def test_a_tracked_file_is_written_and_restored() -> None:
    nodes = {f"lb{n}": node(n, 102 - n, track_file={"health": {"weight": -1}}) for n in (1, 2)}
    for each in nodes.values():
        each["keepalived"]["track_files"] = {"health": {"file": "/run/health", "init_file": 0}}
    made = run(
        pair({"at": "10s", "write": "lb1/health", "value": 20, "for": "10s"}, nodes=nodes, duration="30s")
    )
    assert [name for _, name in masters(made)] == ["lb1", "lb2", "lb1"]


def test_set_priority_moves_the_master() -> None:
    made = run(pair({"at": "10s", "set": "lb2/VI_1", "priority": 150}, duration="20s"))
    assert [name for _, name in masters(made)] == ["lb1", "lb2"]
    assert owners(made, 20) == ["lb2"]


ADVERT = {"vrid": 51, "priority": 200, "source": "10.0.0.66", "addresses": [VIP]}


def test_a_forged_advert_is_believed_if_it_looks_right() -> None:
    made = run(
        pair({"at": "10s", "inject": "lan", "advert": ADVERT, "every": "1s", "count": 5}, duration="13s")
    )
    [back] = records(made, StateChange, node="lb1", old="MASTER")
    assert (back.at_ns, back.new) == (10 * S + 100 * US, "BACKUP")
    assert owners(made, 13) == []


def test_a_forged_advert_comes_from_an_address_that_nobody_has() -> None:
    advert = {key: value for key, value in ADVERT.items() if key != "source"} | {"ttl": 1}
    made = run(pair({"at": "10s", "inject": "lan", "advert": advert}, clients=WEB, duration="12s"))
    sources = {r.source for r in records(made, AdvertRejected)}
    assert len(sources) == 1
    assert str(made.clients["web"].address) not in sources


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ttl": 1}, "ip_ttl_err"),
        ({"version": 3}, "vers_err"),
        ({"interval": "3s"}, "advert_interval"),
        ({"addresses": ["10.0.0.101"]}, "addr_list_err"),
        ({"auth_type": "pass", "auth_pass": "x"}, "authtype_mismatch"),
    ],
)
def test_a_forged_advert_is_rejected_if_it_does_not(changes: dict[str, Any], reason: str) -> None:
    made = run(pair({"at": "10s", "inject": "lan", "advert": ADVERT | changes}, duration="12s"))
    rejected = records(made, AdvertRejected)
    assert {(r.node, r.source) for r in rejected} == {("lb1", "10.0.0.66"), ("lb2", "10.0.0.66")}
    assert len({r.reason for r in rejected}) == 1
    if reason != "advert_interval":  # the counter of that one has no name in keepalived
        assert rejected[0].reason == reason
    assert owners(made, 12) == ["lb1"]


def test_a_forged_unicast_advert_reaches_its_destination_alone() -> None:
    nodes = {f"lb{n}": node(n, 102 - n, **unicast(n, 3 - n)) for n in (1, 2)}
    advert = ADVERT | {"destination": "10.0.0.1", "ttl": 255, "version": 3}
    made = run(pair({"at": "10s", "inject": "lan", "advert": advert}, nodes=nodes, duration="12s"))
    assert [r.node for r in records(made, AdvertRejected)] == ["lb1"]


# --- roles and times


def test_roles_are_resolved_when_the_event_fires() -> None:
    made = run(
        pair(
            {"at": "10s", "kill": "master/keepalived"},
            {"at": "20s", "power_off": "master(VI_1)", "for": "1s"},
            {"at": "20.5s", "freeze": "backup/haproxy"},
            duration="30s",
        )
    )
    assert [(f.target, f.resolved) for f in records(made, Fault)] == [
        ("master/keepalived", ("lb1/keepalived",)),
        ("master(VI_1)", ("lb2",)),
        ("backup/haproxy", ()),
    ]
    assert [r.text for r in records(made, Remark)] == ["freeze backup/haproxy: nobody is that at 20.500 s"]


def test_who_is_in_fault_is_no_backup() -> None:
    nodes = {f"lb{n}": node(n, 102 - n) for n in (1, 2, 3)}
    made = run(
        pair(
            {"at": "10s", "link_down": "lb2/eth0"},
            {"at": "12s", "kill": "backup/haproxy"},
            nodes=nodes,
            duration="15s",
        )
    )
    assert records(made, Fault)[-1].resolved == ("lb3/haproxy",)


def test_a_role_that_nobody_has_is_remarked() -> None:
    made = run(pair({"at": "1s", "power_off": "master", "for": "1s"}, duration="5s"))
    [fault] = records(made, Fault)
    assert (fault.resolved, fault.until_ns) == ((), None)
    assert records(made, FaultEnd) == []


def test_what_a_role_began_ends_on_the_same_node() -> None:
    made = run(pair({"at": "10s", "power_off": "master", "for": "20s"}, duration="45s"))
    assert [name for _, name in masters(made)] == ["lb1", "lb2", "lb1"]


def test_after_another_event() -> None:
    made = run(
        pair(
            {"at": {"after": "second", "plus": "2s"}, "name": "third", "kill": "lb2/haproxy"},
            {"at": {"after": "first", "plus": "3s"}, "name": "second", "start": "lb1/haproxy"},
            {"at": "10s", "name": "first", "kill": "lb1/haproxy", "every": "1s", "count": 3},
            duration="30s",
        )
    )
    assert [(f.name, f.at_ns // S) for f in records(made, Fault)] == [
        ("first", 10),
        ("first", 11),
        ("first", 12),
        ("second", 13),
        ("third", 15),
    ]


@pytest.mark.parametrize(("count", "times"), [(3, [10, 14, 18]), (None, [10, 14, 18, 22, 26])])
def test_every_and_count(count: int | None, times: list[int]) -> None:
    event = {"at": "10s", "link_down": "lb1/eth0", "for": "1s", "every": "4s"}
    made = run(pair(event | ({"count": count} if count else {}), duration="30s"))
    assert [f.at_ns // S for f in records(made, Fault)] == times
    assert [f.at_ns // S for f in records(made, FaultEnd)] == [at_s + 1 for at_s in times]


def drawn(*events: dict[str, Any], seed: int = 1) -> dict[str, list[tuple[int, int | None]]]:
    """By event: when it fired and until when it lasts."""
    made = run(pair(*events, duration="100s"), seed)
    found: dict[str, list[tuple[int, int | None]]] = {}
    for fault in records(made, Fault):
        found.setdefault(fault.name, []).append((fault.at_ns, fault.until_ns))
    return found


def test_each_event_has_draws_of_its_own() -> None:
    random = {"uniform": ["10s", "20s"]}
    short = {"uniform": ["1s", "9s"]}
    one = {"name": "one", "at": random, "freeze": "lb1/haproxy", "for": short, "every": random, "count": 3}
    two = {"name": "two", "at": random, "kill": "lb2/haproxy", "for": short}
    alone = drawn(one)
    assert drawn(two, one)["one"] == alone["one"]
    assert drawn(one, two)["two"] == drawn(two)["two"]
    assert drawn(one, seed=2) != alone
    assert len({until - begin for begin, until in alone["one"] if until}) == 3


# --- two at once


def test_overlapping_hangs_end_with_the_last() -> None:
    made = run(
        pair(
            {"at": "10s", "hang": "lb1/chk", "for": "10s"},
            {"at": "15s", "fail": "lb1/chk", "for": "10s"},
            nodes=NODES,
            duration="40s",
        )
    )
    lb1 = made.nodes["lb1"]
    assert lb1.daemon is not None
    assert lb1.daemon.scripts.forced == {}
    assert owners(made, 40) == ["lb1"]


OVERLAPS: list[tuple[dict[str, Any], Look, object, object]] = [
    ({"pause": "lb1"}, lambda w: w.nodes["lb1"].kernel_runs, False, True),
    ({"link_down": "lb1/eth0"}, lambda w: port(w, "lb1").carrier, False, True),
    ({"starve": "lb1", "delay": "1ms"}, lambda w: w.nodes["lb1"].starved is not None, True, False),
    ({"freeze": "lb1/haproxy"}, life("haproxy"), "frozen", "serving"),
    ({"power_off": "lb1"}, lambda w: w.nodes["lb1"].up, False, True),
    ({"partition": [["lb1"], ["lb2"]]}, passing("lb1", "lb2"), 0.0, 1.0),
    ({"impair": "lan", "loss": "50%"}, passing("lb1", "lb2"), 0.5, 1.0),
]


@pytest.mark.parametrize(
    ("event", "look", "during", "after"), OVERLAPS, ids=[next(iter(e)) for e, *_ in OVERLAPS]
)
def test_two_of_a_kind_overlap(event: dict[str, Any], look: Look, during: object, after: object) -> None:
    """The first ends at 20 s, the second at 25 s: between them the second still holds."""
    document = pair(
        {"at": "10s", "for": "10s", **event}, {"at": "15s", "for": "10s", **event}, duration="40s"
    )
    made = world(document)
    seen: list[object] = []
    for seconds in (22, 26):
        at(made, seconds, lambda: seen.append(look(made)))
    made.run()
    assert seen == [during, after]


def test_different_faults_on_one_machine_do_not_undo_each_other() -> None:
    made = run(
        pair(
            {"at": "10s", "link_down": "lb1/eth0", "for": "10s"},
            {"at": "12s", "kill": "lb1/haproxy", "for": "20s"},
            {"at": "14s", "partition": [["lb1"], ["lb2"]], "for": "2s"},
            clients=WEB,
            duration="60s",
        )
    )
    assert port(made, "lb1").carrier
    assert made.nodes["lb1"].serves("80/tcp")
    assert ip(VIP) in port(made, "lb1").local
    assert made.clients["web"].reachable
