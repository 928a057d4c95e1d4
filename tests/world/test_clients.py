"""Reachability: neighbour cache, switch, node, service; and the path that loses some."""

import pytest
from tiny_world import MS, VIP, WEB, S, Tap, ip, load, node, pair, port, reached, records, run, world

from vrrpsim.findings import InputError
from vrrpsim.trace import Reachability
from vrrpsim.world import World
from vrrpsim.world.frame import NeighbourFrame


def outages(made: World, client: str = "web") -> list[tuple[int, int | None]]:
    """[(from, to)] after the first answer; None: still open."""
    spans: list[tuple[int, int | None]] = []
    since: int | None = None
    seen = False
    for at_ns, reachable, _ in reached(made, client):
        if reachable and since is not None:
            spans.append((since, at_ns))
            since = None
        elif not reachable and seen and since is None:
            since = at_ns
        seen = seen or reachable
    return [*spans, (since, None)] if since is not None else spans


def why(made: World, at_s: float, client: str = "web") -> str:
    """The reason in force at an instant."""
    known = [r for r in records(made, Reachability, client=client) if r.at_ns <= round(at_s * S)]
    return known[-1].reason


def test_a_client_finds_the_first_master() -> None:
    made = run(pair(clients=WEB, duration="10s"))
    at_ns, reachable, name = reached(made)[-1]
    assert (reachable, name) == (True, "lb1")
    assert 3_605 * MS < at_ns < 3_660 * MS  # with the first answer's lateness


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"kill": "lb1/haproxy"}, "nothing serves port 80 on lb1"),
        ({"freeze": "lb1/haproxy"}, "nothing serves port 80 on lb1"),
        ({"power_off": "lb1"}, "lb1 is off"),
        ({"pause": "lb1", "for": "9s"}, "lb1 is paused"),
        ({"link_down": "lb1/eth0"}, "no path to lb1"),
        ({"partition": [["web"], ["lb1"]]}, "no path to lb1"),
        ({"partition": [["web"], ["lb1"]], "one_way": True}, "no path to lb1"),
        ({"partition": [["lb1"], ["web"]], "one_way": True}, "no path to lb1"),
        ({"impair": "lan", "loss": "100%", "only": ["app"]}, "no path to lb1"),
        (
            {"flush_address": "lb1", "address": VIP},
            "lb1 does not have the address",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_outage_begins_with_its_fault_and_says_why(event: dict[str, object], reason: str) -> None:
    made = run(pair({"at": "10s", **event}, clients=WEB, duration="10.1s"))
    assert outages(made) == [(10 * S, None)]
    assert why(made, 10) == reason


def test_faults_elsewhere_do_not_matter() -> None:
    made = run(
        pair(
            {"at": "10s", "power_off": "lb2"},
            {"at": "11s", "freeze": "lb1/keepalived"},
            {"at": "12s", "impair": "lan", "loss": "100%", "only": ["vrrp"]},
            clients=WEB,
            duration="14s",
        )
    )
    assert outages(made) == []


def test_a_takeover_ends_the_outage() -> None:
    made = run(pair({"at": "10s", "power_off": "lb1"}, clients=WEB, duration="20s"))
    [(begin, end)] = outages(made)
    assert begin == 10 * S
    assert end is not None
    assert 12_600 * MS < end < 13_300 * MS
    assert reached(made)[-1][2] == "lb2"


def test_a_black_hole_after_a_partition() -> None:
    """The wrong one announced last: the client's cache finds out by itself, 23-53 s later."""
    cut = {"at": "20s", "partition": [["lb1"], ["lb2", "web"]], "for": "10s"}
    mute = {"at": "29.9s", "impair": "lan", "loss": "100%", "only": ["vrrp"], "from": ["lb2"], "for": "10s"}
    lengths = []
    for seed in range(12):
        made = run(pair(cut, mute, clients=WEB, duration="120s"), seed)
        assert why(made, 32) == "lb2 does not have the address (stale neighbour entry)"
        lengths += [end - begin for begin, end in outages(made) if end and begin > 25 * S]
    assert len(lengths) == 12
    assert min(lengths) > 20 * S
    assert max(lengths) < 54 * S
    assert max(lengths) - min(lengths) > 8 * S


def test_without_the_mute_the_winner_announces_itself_again() -> None:
    cut = {"at": "20s", "partition": [["lb1"], ["lb2", "web"]], "for": "10s"}
    made = run(pair(cut, clients=WEB, duration="60s"))
    assert all(end is not None and end - begin < 5 * S for begin, end in outages(made))


def test_a_client_that_was_cut_off_comes_back_to_the_same_node() -> None:
    """Its entry failed meanwhile; the answer brings the MAC it had before."""
    cut = {"at": "10s", "partition": [["web"], ["lb1", "lb2"]], "for": "70s"}
    made = run(pair(cut, clients=WEB, duration="90s"))
    [(begin, end)] = outages(made)
    assert begin == 10 * S
    assert end is not None
    assert 80 * S < end < 82 * S
    assert why(made, 75) == "nobody answers for the address"


def test_a_client_that_ignores_gratuitous_arp_waits_for_its_cache() -> None:
    """Alone, that is: an ordinary ARP request of the new owner, for another client, moves its entry too."""
    fault = {"at": "10s", "power_off": "lb1"}
    old = WEB["web"] | {"neighbours": {"garp": False}}
    [(_, end)] = outages(run(pair(fault, clients={"web": old}, duration="90s")))
    assert end is not None
    assert 10 * S + 23 * S < end < 10 * S + 54 * S
    [(_, end)] = outages(run(pair(fault, clients=WEB | {"old": old}, duration="90s")), "old")
    assert end is not None
    assert end < 14 * S


def test_a_lossy_path_is_taken_request_by_request() -> None:
    """Both ways lose: 81 % of the requests are answered."""
    lossy = {"at": "10s", "impair": "lan", "loss": "10%", "only": ["app"], "for": "100s"}
    made = run(pair(lossy, clients=WEB, duration="120s"))
    views = [(r.at_ns, r.reachable) for r in records(made, Reachability) if r.at_ns >= 10 * S]
    instants = [10 * S + k * 100 * MS + 50 * MS for k in range(1000)]
    answered = sum(state_at(views, at_ns) for at_ns in instants)
    assert 0.77 < answered / 1000 < 0.85
    assert all(at_ns % (100 * MS) == 0 for at_ns, _ in views)
    assert outages(made)[-1][1] is not None
    assert reached(made)[-1][0] < 110 * S + 200 * MS


def state_at(views: list[tuple[int, bool]], at_ns: int) -> bool:
    """What was last seen, True at first."""
    return next((reachable for seen_ns, reachable in reversed(views) if seen_ns <= at_ns), True)


def test_loss_of_adverts_is_not_loss_of_requests() -> None:
    lossy = {"at": "10s", "impair": "lan", "loss": "40%", "only": ["arp", "nd", "icmp"], "for": "100s"}
    assert outages(run(pair(lossy, clients=WEB, duration="60s"))) == []


def test_each_client_has_its_own_view() -> None:
    clients = {f"c{number}": WEB["web"] for number in range(5)}
    clients["ssh"] = {"segment": "lan", "target": f"{VIP}:22"}
    made = run(pair({"at": "10s", "partition": [["c3"], ["lb1", "lb2"]]}, clients=clients, duration="12s"))
    assert outages(made, "c3") == [(10 * S, None)]
    for name in ("c0", "c1", "c2", "c4"):
        assert outages(made, name) == []
        assert reached(made, name)[-1][2] == "lb1"
    assert why(made, 11, "ssh") == "nothing serves port 22 on lb1"


def test_a_node_without_processes_answers_everything() -> None:
    document = pair(clients=WEB, duration="10s")
    for each in document["nodes"].values():
        del each["processes"]
    assert reached(run(document))[-1][1:] == (True, "lb1")


def test_a_client_of_a_real_address() -> None:
    clients = {"web": WEB["web"] | {"target": "10.0.0.2:80"}}
    made = run(pair({"at": "10s", "power_off": "lb2", "for": "5s"}, clients=clients, duration="20s"))
    [(begin, end)] = outages(made)
    assert begin == 10 * S
    assert end is not None
    assert 15_050 * MS < end < 15_200 * MS


# --- addresses of clients


def addresses(document: dict[str, object]) -> dict[str, str]:
    return {name: str(client.address) for name, client in world(document).clients.items()}


def test_clients_get_free_addresses_from_the_end_of_the_subnet() -> None:
    nodes = {"lb1": node(1, 101), "lb2": node(254, 100)}
    clients = dict.fromkeys("abc", WEB["web"])
    clients["b"] = WEB["web"] | {"address": "10.0.0.252"}
    found = addresses(pair(clients=clients, nodes=nodes))
    assert found == {"a": "10.0.0.253", "b": "10.0.0.252", "c": "10.0.0.251"}


def test_no_client_gets_a_virtual_address() -> None:
    nodes = {f"lb{n}": node(n, 102 - n, virtual_ipaddress=["10.0.0.254"]) for n in (1, 2)}
    clients = {"web": {"segment": "lan", "target": "10.0.0.254:80"}}
    assert addresses(pair(clients=clients, nodes=nodes)) == {"web": "10.0.0.253"}


def test_a_client_of_an_ipv6_address_asks_by_neighbour_discovery() -> None:
    document = ipv6_pair()
    made = world(document)
    tap = Tap(made)
    made.run()
    assert reached(made)[-1][1:] == (True, "lb1")
    asked = [f for _, name, f in tap.sent if name == "web" and isinstance(f, NeighbourFrame)]
    assert {frame.kinds[0] for frame in asked} == {"nd"}
    assert port(made, "web").cache.entries[ip("2001:db8::100")].mac == port(made, "lb1").mac


def test_a_client_of_an_ipv6_address_on_an_ipv4_segment_gets_a_link_local_one() -> None:
    document = ipv6_pair()
    document["segments"]["lan"].pop("subnet")
    document["clients"] |= {"ssh": {"segment": "lan", "target": "[fe80::100]:22"}}
    assert addresses(document) == {"web": "fe80::c11e:1", "ssh": "fe80::c11e:2"}


def ipv6_pair(**lan: object) -> dict[str, object]:
    def six(number: int, priority: int) -> dict[str, object]:
        each = node(number, priority, version=3, virtual_ipaddress=["fe80::100", "2001:db8::100"])
        each["interfaces"]["eth0"]["address"] = f"2001:db8::{number}/64"
        return each

    document = pair(duration="10s", nodes={"lb1": six(1, 101), "lb2": six(2, 100)})
    document["segments"]["lan"]["subnet"] = "2001:db8::/64"
    document["clients"] = {"web": {"segment": "lan", "target": "[2001:db8::100]:80"}}
    return document


def test_a_segment_of_both_families_has_clients_of_both() -> None:
    document = pair(clients={"four": WEB["web"], "six": WEB["web"] | {"target": "[2001:db8::100]:80"}})
    document["segments"]["lan"]["subnet"] = ["10.0.0.0/24", "2001:db8::/64"]
    for number, each in enumerate(document["nodes"].values(), 1):
        each["interfaces"]["eth0"]["address"] = [f"10.0.0.{number}", f"2001:db8::{number}"]
        instances = each["keepalived"]["vrrp_instances"]
        addresses = ["fe80::100", "2001:db8::100/64"]
        instances["VI_6"] = instances["VI_1"] | {"version": 3, "virtual_ipaddress": addresses}
    made = run(document)
    assert [str(made.clients[name].address) for name in ("four", "six")] == [
        "10.0.0.254",
        "2001:db8::ffff:ffff:ffff:fffe",
    ]
    assert all(made.clients[name].answered_by == "lb1" for name in ("four", "six"))
    own = made.scenario.nodes["lb1"].interfaces["eth0"].addresses
    assert list(map(str, own)) == ["10.0.0.1/24", "2001:db8::1/64"]  # each has the prefix of its subnet


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        (["10.0.0.0/24", "10.1.0.0/24"], "a segment has one subnet of IPv4 and one of IPv6 at most"),
        (
            ["10.0.0.0/24", "2001:db8:1::/64"],
            "2001:db8::1 is not in 2001:db8:1::/64, the subnet",
        ),
        ([], "the list is empty"),
    ],
)
def test_subnets_that_are_none_of_a_segment(subnet: list[str], message: str) -> None:
    document = pair()
    document["segments"]["lan"]["subnet"] = subnet
    document["nodes"]["lb1"]["interfaces"]["eth0"]["address"] = ["10.0.0.1", "2001:db8::1"]
    with pytest.raises(InputError) as caught:
        load(document)
    assert message in str(caught.value)
