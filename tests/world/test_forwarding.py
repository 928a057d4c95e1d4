"""The gateway job: a client asks what is behind a pair of routers, and the answer comes back."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_world import S, load, masters, port, records, run, world

from vrrpsim.findings import InputError
from vrrpsim.measure.result import measure
from vrrpsim.scenario.events import Impairment
from vrrpsim.trace import Reachability
from vrrpsim.world.impairment import ActiveImpairment
from vrrpsim.world.simulation import simulate
from vrrpsim.world.ways import through

INSIDE, OUTSIDE = "10.0.0.100", "10.1.0.100"


def gateway(number: int, priority: int, **words: Any) -> dict[str, Any]:
    """A router with one card inside and one outside, and an address on each that moves with the other."""
    instance = {
        "state": "BACKUP",
        "interface": "eth0",
        "virtual_router_id": 51,
        "priority": priority,
        "virtual_ipaddress": [f"{INSIDE}/24", f"{OUTSIDE}/24 dev eth1"],
        "track_interface": ["eth1"],
    }
    return {
        "interfaces": {
            "eth0": {"segment": "lan", "address": f"10.0.0.{number}/24"},
            "eth1": {"segment": "wan", "address": f"10.1.0.{number}/24"},
        },
        "slop": "none",
        "forwards": True,
        "keepalived": {"vrrp_instances": {"VI_1": instance}},
    } | words


def routed(*events: dict[str, Any], **nodes: Any) -> dict[str, Any]:
    """Two routers, a server behind them, and a client that asks it."""
    server = {
        "interfaces": {"eth0": {"segment": "wan", "address": "10.1.0.9/24"}},
        "processes": {"httpd": {"serves": ["80/tcp"]}},
        "slop": "none",
        "gateway": OUTSIDE,
    }
    return {
        "version": 1,
        "duration": "60s",
        "segments": {"lan": {"subnet": "10.0.0.0/24"}, "wan": {"subnet": "10.1.0.0/24"}},
        "nodes": {"r1": gateway(1, 101), "r2": gateway(2, 100), "web": server} | nodes,
        "clients": {"c": {"segment": "lan", "target": "10.1.0.9:80", "via": INSIDE}},
        "events": list(events),
    }


def seen(made: Any, after: int = 10) -> list[tuple[int, bool, str, str]]:
    return [
        (each.at_ns // S, each.reachable, each.node, each.reason)
        for each in records(made, Reachability)
        if each.at_ns > after * S
    ]


def test_a_client_is_answered_from_behind_the_gateway() -> None:
    made = run(routed())
    last = records(made, Reachability)[-1]
    assert (last.reachable, last.node) == (True, "r1")
    assert seen(made) == []


@pytest.mark.parametrize("event", [{"power_off": "r1"}, {"link_down": "r1/eth1"}, {"link_down": "r1/eth0"}])
def test_the_other_router_takes_over_end_to_end(event: Any) -> None:
    scenario = load(routed({"at": "20s"} | event))
    result = measure(scenario, simulate(scenario))
    [failover] = result.failovers[:1]
    assert (failover.old, failover.new, failover.cause.verb) == ("r1", "r2", next(iter(event)))
    assert failover.total_ns is not None
    assert S // 2 < failover.total_ns < 4 * S  # priority 0 where it can still say so
    [outage] = result.clients["c"].outages[-1:]
    assert outage.ended


def test_without_tracking_the_far_side_nobody_moves() -> None:
    document = routed({"at": "20s", "link_down": "r1/eth1", "for": "10s"})
    for name in ("r1", "r2"):
        instance = document["nodes"][name]["keepalived"]["vrrp_instances"]["VI_1"]
        instance.pop("track_interface")
        instance["virtual_ipaddress"] = [f"{INSIDE}/24"]  # keepalived tracks the interface of an address, too
    document["nodes"]["web"]["gateway"] = "10.1.0.1"
    made = run(document)
    assert [name for at_ns, name in masters(made) if at_ns > 15 * S] == []
    assert seen(made)[0] == (20, False, "r1", "r1/eth1 has no carrier")
    assert seen(made)[-1][:3] == (30, True, "r1")


def test_a_router_forwards_what_comes_to_its_mac_whoever_has_the_address() -> None:
    made = world(routed())
    made.calendar.at(20 * S, 0, 0, lambda: made.nodes["r1"].flush_address(load_ip(INSIDE)))  # type: ignore[arg-type]
    made.run()
    gone = [each for each in seen(made) if not each[1]]
    assert gone == []


def load_ip(text: str) -> Any:
    from ipaddress import ip_address

    return ip_address(text)


@pytest.mark.parametrize(
    ("node", "words", "reason"),
    [
        ("r1", {"forwards": False}, "r1 does not forward"),
        ("web", {"gateway": None}, "no answer from web: web has no route to 10.0.0.254"),
        ("web", {"gateway": "10.1.0.77"}, "no answer from web: web finds nobody with 10.1.0.77"),
        ("web", {"processes": {"httpd": {"serves": ["81/tcp"]}}}, "nothing serves port 80 on web"),
    ],
)
def test_the_reason_says_where_it_ends(node: str, words: Any, reason: str) -> None:
    document = routed()
    document["nodes"][node] |= words
    made = run(document)
    last = records(made, Reachability)[-1]
    assert (last.reachable, last.reason) == (False, reason)


def test_losses_count_once_in_each_direction() -> None:
    made = world(routed())
    made.start()
    made.calendar.run(20 * S)
    for segment, loss in (("lan", 0.5), ("wan", 0.2)):
        made.segments[segment].impair(ActiveImpairment(made.context, segment, Impairment(loss=loss)))
    client, mac = port(made, "c"), made.nodes["r1"].ports["eth0"].mac
    way = through(client, mac, next(iter(client.local)), load_ip("10.1.0.9"), 80)
    assert way.share == pytest.approx(0.5**2 * 0.8**2)


def test_a_way_of_another_family_is_an_error() -> None:
    document = routed()
    document["clients"]["c"]["via"] = "fe80::1"
    with pytest.raises(InputError, match=r"clients\.c\.via: is no way to 10\.1\.0\.9"):
        load(document)
