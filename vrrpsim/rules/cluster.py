"""VRRP2nn: right on each node, wrong between them."""

from .rule import (
    ALL_KEEPALIVED,
    BEFORE_2_3_3,
    ERROR,
    INFO,
    RAN,
    WARNING,
    Rule,
    block,
    instance,
    pair,
    tracking,
)

BOTH_MASTER = "and both become MASTER"


def _unicast(own: str, *peers: str) -> tuple[str, str]:
    return f"unicast_src_ip {own}", block("unicast_peer", *peers)


def _password(word: str) -> str:
    return block("authentication", "auth_type PASS", f"auth_pass {word}")


def _clusters(vrid: str) -> dict[str, str]:
    """Return two clusters in one network, the second with this VRID."""
    other = {"vip": "192.0.2.200/24", "name": "VI_2"}
    return {
        **{"web1.conf": instance("priority 150"), "web2.conf": instance()},
        **{"db1.conf": instance(vrid, "priority 150", **other), "db2.conf": instance(vrid, **other)},
    }


def _two(
    *one: str, other: tuple[str, ...] = (), vrid: int = 52, vip: str = "198.51.100.100/24", group: str = ""
) -> str:
    """Return two instances on two interfaces; the second has the lines of `other`."""
    second = instance("interface eth1", f"virtual_router_id {vrid}", *other, name="VI_2", vip=vip)
    return instance(*one, before=group) + "\n" + second


_SYNC = block("vrrp_sync_group G", block("group", "VI_1", "VI_2"))
_ONE, _TWO = instance("priority 150"), instance()
_ACCEPT_LISTS = (
    "rfc5798",
    "rfc9568",
    "rfc9568-literal",
    "keepalived-2.3.3",
    "keepalived-2.3.4",
    "keepalived-2.4.3",
    "frr-8.4",
)

RULES = (
    Rule(
        "VRRP201",
        "vrid-differs",
        ERROR,
        f"The nodes ignore each other's adverts, {BOTH_MASTER} of the same addresses.",
        bad=pair(_ONE, instance("virtual_router_id 52")),
        good=pair(_ONE, _TWO),
        source="RFC 9568 §7.1",
    ),
    Rule(
        "VRRP202",
        "weight-passes-over-a-node",
        WARNING,
        "Of the nodes that are well some rank below one that is not: if the others are gone, nothing moves.",
        bad={
            "lb1.conf": tracking("chk weight -20", also=("priority 110",)),
            "lb2.conf": tracking("chk weight -20"),
            "lb3.conf": tracking("chk weight -20", also=("priority 85",)),
        },
        good={
            "lb1.conf": tracking("chk weight -40", also=("priority 110",)),
            "lb2.conf": tracking("chk weight -40"),
            "lb3.conf": tracking("chk weight -40", also=("priority 85",)),
        },
        source="the arithmetic of VRRP203, for every pair of nodes",
    ),
    Rule(
        "VRRP203",
        "weight-cannot-move-the-address",
        ERROR,
        "A failing tracker must bring a node below the best other one, or its addresses never move.",
        bad=pair(
            tracking("chk weight -20", also=("priority 150",)),
            tracking("chk weight -20"),
        ),
        good=pair(
            tracking("chk weight -60", also=("priority 150",)),
            tracking("chk weight -60"),
        ),
        source="keepalived 2.2.7, recorded (tests/groundtruth/12-weight-too-small)",
    ),
    Rule(
        "VRRP204",
        "nopreempt-defeats-weight",
        ERROR,
        "A backup with nopreempt never takes over from a master that lives, however low its priority.",
        bad=pair(
            tracking("chk weight -60", also=("priority 150",)),
            tracking("chk weight -60", also=("nopreempt",)),
        ),
        good=pair(
            tracking("chk weight -60", also=("priority 150",)),
            tracking("chk weight -60"),
        ),
        source="keepalived 2.2.7, recorded (tests/groundtruth/17a-nopreempt-crash)",
    ),
    Rule(
        "VRRP205",
        "two-owners",
        ERROR,
        "Priority 255 says that the node owns the addresses; two owners never give way to each other.",
        bad=pair(instance("priority 255"), instance("priority 255")),
        good=pair(instance("priority 255"), _TWO),
        source="RFC 9568 §6.1; recorded (tests/groundtruth/52-two-owners)",
    ),
    Rule(
        "VRRP206",
        "equal-priorities",
        WARNING,
        "At equal priority the higher address decides who is master, and two may be for a moment.",
        bad=pair(instance("priority 100"), instance("priority 100")),
        good=pair(_ONE, _TWO),
        source="RFC 9568 §6.4.3; recorded (tests/groundtruth/25a-equal-both-backup)",
    ),
    Rule(
        "VRRP207",
        "advert-int-differs",
        ERROR,
        f"In version 2 each rejects an advert with another interval, {BOTH_MASTER}.",
        bad=pair(instance("version 2", "priority 150"), instance("version 2", "advert_int 2")),
        good=pair(instance("version 2", "priority 150"), instance("version 2")),
        source="RFC 3768 §7.1; recorded (tests/groundtruth/23a-advert-1-3-v2)",
    ),
    Rule(
        "VRRP208",
        "advert-int-differs-v3",
        INFO,
        "In version 3 backups follow the master's interval: the failover time depends on who is master.",
        bad=pair(instance("version 3", "priority 150"), instance("version 3", "advert_int 2")),
        good=pair(instance("version 3", "priority 150"), instance("version 3")),
        source="RFC 9568 §6.1; recorded (tests/groundtruth/23b-advert-1-3-v3)",
    ),
    Rule(
        "VRRP209",
        "version-differs",
        ERROR,
        f"Each rejects the other's adverts, {BOTH_MASTER}.",
        bad=pair(instance("version 3", "priority 150"), instance("version 2")),
        good=pair(instance("version 2", "priority 150"), instance("version 2")),
        source="RFC 9568 §7.1",
    ),
    Rule(
        "VRRP210",
        "auth-type-differs",
        ERROR,
        f"Each rejects the other's adverts, {BOTH_MASTER}.",
        bad=pair(instance("version 2", "priority 150", _password("1234")), instance("version 2")),
        good=pair(
            instance("version 2", "priority 150", _password("1234")), instance("version 2", _password("1234"))
        ),
        source="RFC 2338 §7.1; recorded (tests/groundtruth/22-auth-mismatch)",
        dialects=ALL_KEEPALIVED,
    ),
    Rule(
        "VRRP211",
        "password-differs",
        ERROR,
        f"Each rejects the other's adverts, {BOTH_MASTER}.",
        bad=pair(
            instance("version 2", "priority 150", _password("1234")), instance("version 2", _password("1235"))
        ),
        good=pair(
            instance("version 2", "priority 150", _password("1234")), instance("version 2", _password("1234"))
        ),
        source="RFC 2338 §7.1; recorded (tests/groundtruth/22-auth-mismatch)",
        dialects=ALL_KEEPALIVED,
    ),
    Rule(
        "VRRP212",
        "addresses-differ",
        ERROR,
        f"A node rejects an advert with other addresses than its own, {BOTH_MASTER}.",
        bad=pair(_ONE, instance(vip="192.0.2.100/24\n192.0.2.101/24")),
        good=pair(_ONE, _TWO),
        source="recorded (tests/groundtruth/31-vip-mismatch)",
        dialects=("rfc3768", *BEFORE_2_3_3),
    ),
    Rule(
        "VRRP213",
        "multicast-against-unicast",
        ERROR,
        f"The nodes never hear each other, {BOTH_MASTER}.",
        bad=pair(instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")), instance()),
        good=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.2", "192.0.2.1")),
        ),
        source=RAN,
    ),
    Rule(
        "VRRP214",
        "sender-is-no-peer",
        ERROR,
        "A node that sends to this one is not among its peers: it is not answered, and may not be heard.",
        bad=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.2", "192.0.2.3")),
        ),
        good=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.2", "192.0.2.1")),
        ),
        source=RAN,
    ),
    Rule(
        "VRRP215",
        "peer-not-given",
        WARNING,
        "A peer is named that none of the given files can be: the cluster is judged without it.",
        said_by="init",
    ),
    Rule(
        "VRRP216",
        "addresses-differ-accepted",
        WARNING,
        "Whoever is master serves its own list, so addresses appear and vanish with the owner.",
        bad=pair(_ONE, instance(vip="192.0.2.100/24\n192.0.2.101/24")),
        good=pair(_ONE, _TWO),
        source="recorded (tests/groundtruth/31-vip-mismatch@2.3.3)",
        dialects=_ACCEPT_LISTS,
    ),
    Rule(
        "VRRP217",
        "vrid-of-two-clusters",
        WARNING,
        "Two clusters with one VRID in one network hear each other's adverts, and take them for their own.",
        bad=_clusters("virtual_router_id 51"),
        good=_clusters("virtual_router_id 52"),
        source="RFC 9568 §4.2; recorded (tests/groundtruth/28a-vrid-clash-higher)",
    ),
    Rule(
        "VRRP218",
        "source-of-another-node",
        ERROR,
        "An address is on one node: on the other keepalived cannot bind to it and stays in FAULT.",
        bad=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.1", "192.0.2.1", "192.0.2.2")),
        ),
        good=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.3", "192.0.2.1", "192.0.2.2")),
        ),
        brings=("VRRP214", "VRRP219"),
        source=RAN,
    ),
    Rule(
        "VRRP219",
        "node-among-its-own-peers",
        WARNING,
        "keepalived sends its adverts to itself and warns once a second that they came back.",
        bad=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.2", "192.0.2.1")),
        ),
        good=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.2", "192.0.2.1")),
        ),
        source=RAN,
    ),
    Rule(
        "VRRP220",
        "source-not-said",
        WARNING,
        "Peers know a node by its source; without unicast_src_ip it is whatever address is there first.",
        bad=pair(
            instance("priority 150", block("unicast_peer", "192.0.2.2")),
            instance(block("unicast_peer", "192.0.2.1")),
        ),
        good=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.2", "192.0.2.1")),
        ),
        source="keepalived.conf(5), unicast_src_ip",
    ),
    Rule(
        "VRRP221",
        "address-of-a-node",
        ERROR,
        "keepalived takes a virtual address off the interface when it starts, and the node loses its own.",
        bad=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2"), vip="192.0.2.1/24"),
            instance(*_unicast("192.0.2.2", "192.0.2.1"), vip="192.0.2.1/24"),
        ),
        good=pair(
            instance("priority 150", *_unicast("192.0.2.1", "192.0.2.2")),
            instance(*_unicast("192.0.2.2", "192.0.2.1")),
        ),
        source=RAN,
    ),
    Rule(
        "VRRP222",
        "address-of-two-instances",
        WARNING,
        "Two virtual routers elect apart from each other, so two nodes may own the address.",
        bad=pair(_two("priority 150", vip="192.0.2.100/24"), _two(vip="192.0.2.100/24")),
        good=pair(_two("priority 150"), _two()),
        brings=("VRRP201", "VRRP228"),
        source="keepalived.conf(5), virtual_ipaddress",
    ),
    Rule(
        "VRRP223",
        "prefix-differs",
        WARNING,
        "With another owner the address has another network, and the route to it may come or go.",
        bad=pair(_ONE, instance(vip="192.0.2.100/32")),
        good=pair(_ONE, _TWO),
        source="keepalived.conf(5), virtual_ipaddress: without /LEN it is /32 or /128",
    ),
    Rule(
        "VRRP224",
        "device-differs",
        WARNING,
        "With another owner the address is on another network card.",
        bad=pair(_ONE, instance(vip="192.0.2.100/24 dev eth1")),
        good=pair(_ONE, _TWO),
        source="keepalived.conf(5), virtual_ipaddress",
    ),
    Rule(
        "VRRP225",
        "check-differs",
        WARNING,
        "The nodes look at different things, or differently, so their priorities do not mean the same.",
        bad=pair(tracking("chk weight -60", also=("priority 150",)), instance()),
        good=pair(tracking("chk weight -60", also=("priority 150",)), tracking("chk weight -60")),
        source="clusters of others, read",
    ),
    Rule(
        "VRRP226",
        "sync-group-differs",
        WARNING,
        "Instances that move together on one node move alone on the other, and end up on different nodes.",
        bad=pair(_two("priority 150", group=_SYNC, other=("priority 150",)), _two()),
        good=pair(_two("priority 150", group=_SYNC, other=("priority 150",)), _two(group=_SYNC)),
        brings=("VRRP228",),
        source=RAN,
    ),
    Rule(
        "VRRP227",
        "group-prefers-two-nodes",
        WARNING,
        "The members of a sync group pull it to different nodes; who wins depends on the order of events.",
        bad=pair(_two("priority 150", group=_SYNC), _two(group=_SYNC, other=("priority 150",))),
        good=pair(_two("priority 150", group=_SYNC, other=("priority 150",)), _two(group=_SYNC)),
        source=RAN,
    ),
    Rule(
        "VRRP228",
        "nothing-couples-two-interfaces",
        WARNING,
        "A router that is master on one side only forwards nothing; a sync group couples both sides.",
        bad=pair(_two("priority 150", other=("priority 150",)), _two()),
        good=pair(_two("priority 150", group=_SYNC, other=("priority 150",)), _two(group=_SYNC)),
        source="keepalived.conf(5), vrrp_sync_group",
    ),
    Rule(
        "VRRP229",
        "master-on-several-nodes",
        INFO,
        "At a start of both each claims the addresses, until the one with less priority hears the other.",
        bad=pair(instance("state MASTER", "priority 150"), instance("state MASTER")),
        good=pair(instance("state MASTER", "priority 150"), instance("state BACKUP")),
        source="recorded (tests/groundtruth/29-both-master)",
    ),
    Rule(
        "VRRP230",
        "master-on-the-weaker-node",
        INFO,
        "Priority decides; state MASTER only makes a node claim the addresses at its start.",
        bad=pair(instance("priority 150"), instance("state MASTER")),
        good=pair(instance("state MASTER", "priority 150"), instance()),
        source="keepalived.conf(5), state",
    ),
    Rule(
        "VRRP231",
        "nopreempt-on-the-weaker-node",
        INFO,
        "nopreempt keeps a node from taking over from a weaker one: the node that never outranks needs none.",
        bad=pair(instance("priority 150"), instance("nopreempt")),
        good=pair(instance("priority 150", "nopreempt"), instance()),
        source="keepalived.conf(5), nopreempt",
    ),
    Rule(
        "VRRP232",
        "instance-without-twin",
        ERROR,
        "If its node goes, nobody takes its addresses over.",
        bad=pair(_two("priority 150"), instance()),
        good=pair(_ONE, _TWO),
        source="RFC 9568 §2.1",
    ),
    Rule(
        "VRRP233",
        "nopreempt-skips-a-node",
        WARNING,
        "The node that ranks next does not take over from a master that lives; one below it does.",
        bad={
            "lb1.conf": tracking("chk weight -60", also=("priority 150",)),
            "lb2.conf": tracking("chk weight -60", also=("priority 120", "nopreempt")),
            "lb3.conf": tracking("chk weight -60"),
        },
        good={
            "lb1.conf": tracking("chk weight -60", also=("priority 150",)),
            "lb2.conf": tracking("chk weight -60", also=("priority 120",)),
            "lb3.conf": tracking("chk weight -60"),
        },
        source="recorded (tests/groundtruth/44a-middle-nopreempt-crash)",
    ),
)
