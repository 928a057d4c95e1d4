"""VRRP2nn: right on each node, wrong between them."""

from .rule import ERROR, INFO, RAN, WARNING, Rule, block, instance, pair, tracking

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


_ONE, _TWO = instance("priority 150"), instance()
_KEEPALIVED_BEFORE_2_3_3 = ("keepalived-2.0.20", "keepalived-2.2.4", "keepalived-2.2.7", "keepalived-2.2.8")
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
        dialects=(*_KEEPALIVED_BEFORE_2_3_3, "keepalived-2.3.3", "keepalived-2.3.4", "keepalived-2.4.3"),
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
        dialects=(*_KEEPALIVED_BEFORE_2_3_3, "keepalived-2.3.3", "keepalived-2.3.4", "keepalived-2.4.3"),
    ),
    Rule(
        "VRRP212",
        "addresses-differ",
        ERROR,
        f"A node rejects an advert with other addresses than its own, {BOTH_MASTER}.",
        bad=pair(_ONE, instance(vip="192.0.2.100/24\n192.0.2.101/24")),
        good=pair(_ONE, _TWO),
        source="recorded (tests/groundtruth/31-vip-mismatch)",
        dialects=("rfc3768", *_KEEPALIVED_BEFORE_2_3_3),
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
)
