"""What happens to the cluster and when: the events of a scenario as frozen values.

One `Event` is one verb. `parameters` is a value of the verb's own class; verbs that need nothing beyond
their target carry `NoParameters`. Targets that name a role are resolved when the event fires.
"""

# Annotations are values here: of strings, typing.NamedTuple compiles each at every start.

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Literal, NamedTuple

from vrrpsim.protocol.configuration import Address, RouterConfig

from .quantities import Distribution

Role = Literal["master", "backup"]
Traffic = Literal["vrrp", "arp", "garp", "nd", "icmp", "app"]


class Target(NamedTuple):
    """Whom an event meets. Exactly one of `node`, `role`, `segment`, `client`, `switch`, `cable` is set.

    `item` is what stands after the slash: a process, an interface, a script or an instance.
    `instance` is the name in `master(VI_1)`: the role is asked of that instance; None: of the only one.
    """

    text: str
    node: str | None = None
    role: Role | None = None
    instance: str | None = None
    item: str | None = None
    segment: str | None = None
    client: str | None = None
    switch: str | None = None
    cable: str | None = None

    def __str__(self) -> str:
        return self.text


class When(NamedTuple):
    """An instant: `plus` after the start of the run, or after the event named `after` fired."""

    plus: Distribution
    after: str | None = None


class NoParameters(NamedTuple):
    """The verb and its target say everything."""


class Reload(NamedTuple):
    """SIGHUP; `config` is what the daemon finds on disk then, None: the same as before."""

    config: RouterConfig | None = None
    file: str | None = None  # as the scenario writes it


class Partition(NamedTuple):
    """Frames between members of different groups vanish; `one_way`: only from the first to the others."""

    groups: tuple[tuple[Target, ...], ...]
    one_way: bool = False


class Impairment(NamedTuple):
    """What a segment, a cable or one interface does to frames on top of what the segment does always.

    None where the event says nothing. Fractions are 0..1, `burst` is the mean number of frames lost in
    a row. `only`, `senders` and `receivers` restrict it; empty means everything.
    """

    loss: float | None = None
    burst: float | None = None
    delay: Distribution | None = None
    jitter: Distribution | None = None
    duplicate: float | None = None
    reorder: float | None = None
    corrupt: float | None = None
    only: tuple[Traffic, ...] = ()
    senders: tuple[Target, ...] = ()  # YAML `from:`
    receivers: tuple[Target, ...] = ()  # YAML `to:`


class Starve(NamedTuple):
    """Each timer and packet of the node is served this much late."""

    delay: Distribution


class FlushAddress(NamedTuple):
    """Somebody else removes this address from the node."""

    address: Address


class AddAddress(NamedTuple):
    """Somebody gives the interface this address."""

    address: IPv4Interface | IPv6Interface


class WriteFile(NamedTuple):
    """Somebody writes this value to the tracked file."""

    value: int


class SetPriority(NamedTuple):
    """The operator changes the base priority of an instance at run time."""

    priority: int


class InjectedAdvert(NamedTuple):
    """A foreign or forged advert. `source` None: an address of the segment that nobody has.

    `sequence`: its number where `auth_type` is ah; what was heard before is refused.
    """

    vrid: int
    priority: int
    source: Address | None = None
    destination: Address | None = None  # None: the multicast group
    version: int = 2
    interval_ns: int = 1_000_000_000
    addresses: tuple[Address, ...] = ()
    ttl: int = 255
    auth_type: Literal["none", "pass", "ah"] = "none"
    auth_pass: str = ""
    sequence: int = 1


class Inject(NamedTuple):
    """The advert to put on the segment."""

    advert: InjectedAdvert


NO_PARAMETERS = NoParameters()
Parameters = (
    NoParameters
    | Reload
    | Partition
    | Impairment
    | Starve
    | FlushAddress
    | AddAddress
    | WriteFile
    | SetPriority
    | Inject
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One verb. `lasts` is the YAML's `for:`; `every` repeats it, `count` times or until the end.

    `index` is its place in the file, from 0; `name` is the YAML's, or `VERB-INDEX` where it gives none.
    `target` is None for `partition`, whose groups are parameters.
    """

    verb: str
    at: When
    index: int
    name: str
    target: Target | None = None
    parameters: Parameters = NO_PARAMETERS
    lasts: Distribution | None = None
    every: Distribution | None = None
    count: int | None = None


def detail(event: Event) -> str:
    """What the event says beside its target, in the words of the scenario."""
    match event.parameters:
        case Partition(groups=groups, one_way=one_way):
            sides = (", ".join(str(target) for target in group) for group in groups)
            return (" -> " if one_way else " | ").join(sides)
        case Impairment() as impairment:
            return _impairment_text(impairment)
        case SetPriority(priority=priority):
            return f"priority {priority}"
        case FlushAddress(address=address) | AddAddress(address=address):
            return str(address)
        case WriteFile(value=value):
            return f"value {value}"
        case Starve(delay=delay):
            return f"by {delay}"
        case Inject(advert=advert):
            return f"vrid {advert.vrid} priority {advert.priority}"
        case Reload(file=file):
            return file or ""
        case _:
            return ""


def _impairment_text(impairment: Impairment) -> str:
    words = [
        f"{name} {value:.4g}" if name == "burst" else f"{name} {value:.4%}".replace(".0000%", "%")
        for name in ("loss", "burst", "duplicate", "reorder", "corrupt")
        if (value := getattr(impairment, name)) is not None
    ]
    words += [
        f"{name} {value}" for name in ("delay", "jitter") if (value := getattr(impairment, name)) is not None
    ]
    words += ["only " + ", ".join(impairment.only)] if impairment.only else []
    words += ["from " + ", ".join(map(str, impairment.senders))] if impairment.senders else []
    words += ["to " + ", ".join(map(str, impairment.receivers))] if impairment.receivers else []
    return " ".join(words)
