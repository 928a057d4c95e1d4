"""A scenario: the frozen values the world runs.

Everything random is a `Distribution`, every time integer nanoseconds, every reference already checked.
`scenario.file.reader` reads them from YAML; this module stays light, because worker processes unpickle its
values.
"""

# Annotations are values here: of strings, typing.NamedTuple compiles each at every start.

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from vrrpsim.protocol.configuration import Address as Address
from vrrpsim.protocol.configuration import RouterConfig

from .events import Event, Target, When
from .quantities import SECOND_NS, Distribution

if TYPE_CHECKING:
    from vrrpsim.findings import Finding, Place

__all__ = [
    "Bound",
    "Cable",
    "Client",
    "Event",
    "Expect",
    "HostLatency",
    "Interface",
    "Keepalived",
    "Neighbours",
    "Node",
    "NotifyModel",
    "Probe",
    "Process",
    "Scenario",
    "Segment",
    "Snooping",
    "Stalls",
    "Switch",
    "Target",
    "When",
]

AddressWithPrefix = IPv4Interface | IPv6Interface
Value = TypeVar("Value")
Network = IPv4Network | IPv6Network
Starts = Distribution | Literal["manual"]
Measure = Literal["failover", "return", "outage", "dual_master", "vacancy", "moves"]
Statistic = Literal["max", "min", "p50", "p95", "p99"]

ZERO = Distribution.fixed(0)
SEGMENT_DELAY = Distribution.fixed(100_000)  # 100 us
CABLE_DELAY = Distribution.fixed(50_000)  # 50 us: two of them and a switch between are one segment
TAKES_OVER = Distribution.uniform(50_000_000, 1_000_000_000)  # RSTP: proposal and agreement, hop by hop
FORWARD_DELAY_NS = 15 * SECOND_NS  # 802.1D-2004, table 17-1: listening takes it once, learning again
MEMBERSHIP_NS = 260 * SECOND_NS  # RFC 2236 §8.4: group membership interval
MAC_AGE_NS = 300 * SECOND_NS  # IEEE 802.1D-2004, table 7-5
PROCESS_STARTUP = Distribution.fixed(50_000_000)  # 50 ms: HAProxy (groundtruth 17a)
LINUX_REACHABLE = Distribution.uniform(15 * SECOND_NS, 45 * SECOND_NS)  # base_reachable_time 30 s


class Segment(NamedTuple):
    """A shared L2 domain; the values hold for each frame on its way from one interface to another.

    `second`: its other subnet where it carries IPv4 and IPv6.
    """

    subnet: Network | None = None
    second: Network | None = None
    delay: Distribution = SEGMENT_DELAY
    jitter: Distribution | None = None  # added to the delay
    loss: float = 0.0
    burst: float | None = None  # mean number of frames lost in a row, at least 1; None: independent losses
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0

    def network(self, family: int) -> Network | None:
        """Return the subnet of a family."""
        both = (self.subnet, self.second)
        return next((each for each in both if each is not None and each.version == family), None)


class Snooping(NamedTuple):
    """IGMP and MLD snooping: frames to a group go only to where a member has reported (RFC 4541)."""

    querier: Literal["none", "self"] = "none"
    link_local: Literal["flood", "prune"] = "flood"
    membership_ns: int = MEMBERSHIP_NS


class Switch(NamedTuple):
    """A switch, which cables lead to; it learns MACs and forgets them when it has no power."""

    mac_age_ns: int = MAC_AGE_NS
    boots: Distribution = ZERO
    stp: Literal["none", "rstp"] = "none"
    takes_over: Distribution = TAKES_OVER
    forward_delay_ns: int = FORWARD_DELAY_NS
    igmp_snooping: Snooping | None = None


class Cable(NamedTuple):
    """A cable from a switch to another one, to a card ("lb1/eth0") or to a client; alike both ways."""

    ends: tuple[str, str]
    name: str = ""
    delay: Distribution = CABLE_DELAY
    jitter: Distribution | None = None  # added to the delay
    loss: float = 0.0
    burst: float | None = None
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    edge: bool = True
    lag: str | None = None
    segments: tuple[str, ...] = ()  # that a trunk carries; all of them if it names none

    def carries(self, segment: str) -> bool:
        """Whether frames of a segment pass between its switches."""
        return not self.segments or segment in self.segments


class Interface(NamedTuple):
    """One network interface of a node."""

    segment: str
    addresses: tuple[AddressWithPrefix, ...] = ()
    mac: str | None = None  # aa:bb:cc:dd:ee:ff in lower case


class Process(NamedTuple):
    """A process on a node that clients and checks can see."""

    serves: tuple[str, ...] = ()  # "80/tcp"
    starts: Starts = ZERO
    starts_up: Distribution = PROCESS_STARTUP  # from its start until it serves


class Probe(NamedTuple):
    """What a check really looks at: a process exists, a port of the node serves, or somebody else answers."""

    process: str | None = None
    serves: str | None = None  # "80/tcp"
    answers: tuple[Address, int | None] | None = None  # without a port: a ping


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalived:
    """The daemon of a node. `file` is None for the inline form; `changed`: `--set` made `config` another."""

    config: RouterConfig
    starts: Starts = ZERO
    starts_up: Distribution | None = None  # from exec until it takes part; None: as measured (30a, 46, 52)
    config_id: str | None = None
    file: Path | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict, hash=False)  # by script name
    changed: bool = False


class Stalls(NamedTuple):
    """Moments in which a node does nothing: one `every` so long, each `lasts` so long."""

    every: Distribution
    lasts: Distribution


class HostLatency(NamedTuple):
    """How unpunctual a node's timers are. `drift` and `stalls` only where the kind is custom."""

    kind: Literal["none", "default", "custom"] = "default"
    drift: Distribution | None = None  # lateness of each timer, drawn once per node and run
    stalls: Stalls | None = None


class Neighbours(NamedTuple):
    """The personality of an ARP/ND cache.

    `lifetime` None is Linux's state machine with `reachable`; else entries expire after `lifetime`.
    """

    garp: bool = True  # honours gratuitous ARP
    reachable: Distribution = LINUX_REACHABLE
    lifetime: Distribution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyModel:
    """The notify scripts of a node. `does`: by state in lower case, what they have done when they end."""

    takes: Distribution | None = None  # None: as long as a script that does little
    does: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine."""

    interfaces: Mapping[str, Interface] = field(default_factory=dict, hash=False)
    processes: Mapping[str, Process] = field(default_factory=dict, hash=False)
    keepalived: Keepalived | None = None
    dialect: str | None = None  # None: the scenario's
    slop: HostLatency = HostLatency()
    boots: Distribution = ZERO
    neighbours: Neighbours = Neighbours()
    notify: NotifyModel | None = None
    forwards: bool = False
    gateway: Address | None = None


class Client(NamedTuple):
    """Somebody who asks `target` every `every_ns`, in an open loop, and waits `timeout_ns`.

    `via`: the target is behind this address, which forwards.
    """

    segment: str
    target: tuple[Address, int]
    every_ns: int = 100_000_000
    timeout_ns: int = SECOND_NS
    address: AddressWithPrefix | None = None
    neighbours: Neighbours = Neighbours()
    via: Address | None = None

    @property
    def asks(self) -> Address:
        """The address on its segment that requests go to."""
        return self.via or self.target[0]


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit. `limit` is nanoseconds, for `moves` a count; `client` only for `outage.NAME`."""

    measure: Measure
    client: str | None
    statistic: Statistic
    limit: int
    place: "Place | None" = field(default=None, compare=False)


class Owns(NamedTuple):
    """Who alone must own `address` ("": every address) at an instant in ns."""

    at: int | Literal["end"]
    node: str
    address: str = ""


class Expect(NamedTuple):
    """What the run must show."""

    owner: tuple[Owns, ...] = ()  # in order of time
    bounds: tuple[Bound, ...] = ()


class RunsBeside(Protocol):
    """A process of the user's own that each run of a scenario begins with."""

    name: str

    def start(self, world: Any) -> None:
        """Begin in a world that is about to run."""


class WorkedOut(dict[Callable[..., Any], Any]):
    """What functions worked out of a scenario in this process; a copy for another one knows nothing."""

    def __reduce__(self) -> "tuple[type[WorkedOut], tuple[()]]":
        return WorkedOut, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything one run needs except the seed's override."""

    version: int = 1
    name: str = ""
    description: str = ""
    duration_ns: int
    age_ns: int = 0  # how long everything has run, undisturbed, when the run begins
    seed: int = 1
    dialect: str = "keepalived-2.2.7"
    segments: Mapping[str, Segment] = field(default_factory=dict, hash=False)
    switches: Mapping[str, Switch] = field(default_factory=dict, hash=False)
    cables: tuple[Cable, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict, hash=False)
    clients: Mapping[str, Client] = field(default_factory=dict, hash=False)
    events: tuple[Event, ...] = ()
    expect: Expect | None = None
    processes: tuple[RunsBeside, ...] = ()  # that no file can say
    invariants: Mapping[str, Any] = field(
        default_factory=dict, hash=False
    )  # each run of a sweep is judged by
    path: Path | None = None
    findings: "tuple[Finding, ...]" = field(default=(), compare=False)  # warnings and infos
    worked_out: WorkedOut = field(
        default_factory=WorkedOut, init=False, repr=False, compare=False
    )  # see `once`

    def virtual_addresses(self) -> frozenset[Address]:
        """Return all addresses that any instance takes."""
        return frozenset(
            entry.address
            for node in self.nodes.values()
            if node.keepalived is not None
            for instance in node.keepalived.config.instances
            for entry in (*instance.addresses, *instance.excluded)
        )

    def wired_segments(self) -> frozenset[str]:
        """Return the segments that are made of cables."""
        ends = {end for cable in self.cables for end in cable.ends}
        return frozenset(segment for end, segment in cable_ends(self.nodes, self.clients) if end in ends)

    def between(self) -> frozenset[str]:
        """Return the names of what lies between nodes: switches and cables."""
        return frozenset((*self.switches, *(each.name for each in self.cables if each.name not in each.ends)))

    def dialect_of(self, node: str) -> str:
        """Return the dialect a node speaks."""
        return self.nodes[node].dialect or self.dialect


def once(function: Callable[[Scenario], Value]) -> Callable[[Scenario], Value]:
    """Let a scenario, which never changes, keep what a function of it alone returned: trials ask again."""

    @wraps(function)
    def answer(scenario: Scenario) -> Value:
        if function not in scenario.worked_out:
            scenario.worked_out[function] = function(scenario)
        found: Value = scenario.worked_out[function]
        return found

    return answer


def cable_ends(nodes: Mapping[str, Node], clients: Mapping[str, Client]) -> Iterator[tuple[str, str]]:
    """Return where a cable can be plugged in beside switches, NODE/INTERFACE or CLIENT, and its segment."""
    for name, node in nodes.items():
        for interface, attachment in node.interfaces.items():
            yield f"{name}/{interface}", attachment.segment
    for name, client in clients.items():
        yield name, client.segment
