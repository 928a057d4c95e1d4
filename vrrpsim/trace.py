"""The trace: append-only typed records that worlds write and measure and report read.

Every record is a NamedTuple whose first field is `at_ns`, integer nanoseconds since the start of the
run. Records come in order of time. What a consumer needs decides the `Level`; state records are
always there and alone make the digest (DESIGN §4), so packets, probes and clients never change it.
"""

# Annotations are values here: of strings, typing.NamedTuple compiles each at every start.

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple


class Level(IntEnum):
    """How much is recorded; each level includes the ones before it."""

    STATES = 0  # what the digest covers, faults and clients
    ADVERTS = 1  # and each advert and gratuitous frame sent or rejected, and each lost frame
    ALL = 2  # and each log line and notification


class Life(StrEnum):
    """What a process is doing, as a `ProcessChange` says it: keepalived runs, all others serve."""

    STARTING = "starting"
    RUNNING = "running"
    SERVING = "serving"
    FROZEN = "frozen"
    RELOADING = "reloading"
    STOPPING = "stopping"
    DEAD = "dead"


class StateChange(NamedTuple):
    """An instance changed state. `last_advert_ns` is when it last accepted an advert, if ever."""

    at_ns: int
    node: str
    instance: str
    old: str
    new: str
    reason: str
    last_advert_ns: int | None = None


class PriorityChange(NamedTuple):
    """The effective priority moved; `reason` names the tracker."""

    at_ns: int
    node: str
    instance: str
    old: int
    new: int
    reason: str


class TrackerChange(NamedTuple):
    """A tracked script, interface, file or process went good or bad on a node."""

    at_ns: int
    node: str
    tracker: str  # "script", "interface", "file", "process"
    name: str
    ok: bool
    reason: str


class AddressChange(NamedTuple):
    """The kernel of `node` gained or lost a virtual address."""

    at_ns: int
    node: str
    interface: str
    address: str
    present: bool


class NodeChange(NamedTuple):
    """`on`, `off` or `paused`: only a node that is on owns addresses (DESIGN §6)."""

    at_ns: int
    node: str
    state: str


class ProcessChange(NamedTuple):
    """Life of haproxy, keepalived …; `state` is the value of a `Life`."""

    at_ns: int
    node: str
    process: str
    state: str


class Fault(NamedTuple):
    """An event of the scenario fired; roles are resolved. `until_ns` is known when `for:` is given.

    `detail` is what the verb was told beside its target, such as "loss 30 %" or "lb1 -> lb2".
    """

    at_ns: int
    number: int  # n-th event fired in this run, from 0
    name: str  # the event's `name:` or ""
    verb: str
    target: str  # as written
    resolved: tuple[str, ...]  # e.g. ("lb1/haproxy",)
    until_ns: int | None = None
    detail: str = ""


class FaultEnd(NamedTuple):
    """The event with this number was undone."""

    at_ns: int
    number: int


class AdvertSent(NamedTuple):
    """An advert left the daemon; `destination` is the group or one unicast peer."""

    at_ns: int
    node: str
    instance: str
    priority: int
    destination: str


class AdvertRejected(NamedTuple):
    """A receive check failed; `reason` is its counter's name."""

    at_ns: int
    node: str
    instance: str
    source: str
    reason: str


class Gratuitous(NamedTuple):
    """One gratuitous ARP or unsolicited NA left the node."""

    at_ns: int
    node: str
    interface: str
    address: str
    mac: str


class FrameLost(NamedTuple):
    """A frame did not arrive.

    `reason` is loss, burst, partition, corrupt, carrier, cable, snooping, down or unresolved.
    """

    at_ns: int
    segment: str
    source: str
    destination: str
    kind: str
    reason: str


class Reachability(NamedTuple):
    """From now on the client's requests reach `node` ("": nobody) and are answered or not, and why not.

    `cause` is the reason in one word, `at` the node that it names.
    """

    at_ns: int
    client: str
    reachable: bool
    node: str
    reason: str
    cause: str = ""
    at: str = ""


class Notification(NamedTuple):
    """A notify script or FIFO line (keepalived.md §7.3)."""

    at_ns: int
    node: str
    kind: str  # INSTANCE or GROUP
    name: str
    state: str
    priority: int


class NotifyFinished(NamedTuple):
    """A notify script ended, and with it what it does; several may end in another order than they began."""

    at_ns: int
    node: str
    kind: str  # INSTANCE or GROUP
    name: str
    state: str  # that it was told
    began_ns: int


class LogLine(NamedTuple):
    """One line of the daemon's log."""

    at_ns: int
    node: str
    text: str


class FastForwarded(NamedTuple):
    """From here to the next record only these adverts were sent, passed over by arithmetic (DESIGN §4)."""

    at_ns: int
    adverts: int
    frames_lost: int


class Remark(NamedTuple):
    """Something the run itself has to say: a check that always succeeds, a target that was not there."""

    at_ns: int
    text: str


Record = (
    StateChange
    | PriorityChange
    | TrackerChange
    | AddressChange
    | NodeChange
    | ProcessChange
    | Fault
    | FaultEnd
    | AdvertSent
    | AdvertRejected
    | Gratuitous
    | FrameLost
    | Reachability
    | Notification
    | NotifyFinished
    | LogLine
    | FastForwarded
    | Remark
)

RECORD_TYPES: tuple[type[Record], ...] = (
    StateChange,
    PriorityChange,
    TrackerChange,
    AddressChange,
    NodeChange,
    ProcessChange,
    Fault,
    FaultEnd,
    AdvertSent,
    AdvertRejected,
    Gratuitous,
    FrameLost,
    Reachability,
    Notification,
    NotifyFinished,
    LogLine,
    FastForwarded,
    Remark,
)

DIGESTED: Final = (
    StateChange,
    PriorityChange,
    TrackerChange,
    AddressChange,
    NodeChange,
    ProcessChange,
    Fault,
    FaultEnd,
)


def json_line(record: Record) -> str:
    """One record as a JSON object, its type under "record": the format of `--trace` in every world."""
    return json.dumps({"record": type(record).__name__, **record._asdict()}, ensure_ascii=False)


def settled(records: Sequence[Record], at_ns: int) -> list[Record]:
    """Tell how things stand at an instant as if they had just come so, without the way that led there."""
    latest: dict[tuple[object, ...], Record] = {}
    first_priority: dict[tuple[str, str], int] = {}
    for record in records:
        match record:
            case StateChange():
                key: tuple[object, ...] = (StateChange, record.node, record.instance)
                record = record._replace(old="INIT", last_advert_ns=None)
            case PriorityChange():
                key = (PriorityChange, record.node, record.instance)
                old = first_priority.setdefault((record.node, record.instance), record.old)
                record = record._replace(old=old)
            case TrackerChange():
                key = (TrackerChange, record.node, record.tracker, record.name)
            case AddressChange():
                key = (AddressChange, record.node, record.interface, record.address)
            case ProcessChange():
                key = (ProcessChange, record.node, record.process)
            case Reachability():
                key = (Reachability, record.client)
            case NodeChange():
                key = (NodeChange, record.node)
            case NotifyFinished():
                key = (NotifyFinished, record.node, record.kind, record.name)
                record = record._replace(began_ns=at_ns)
            case Remark():
                key = (Remark, record.text)
            case _:
                continue
        latest.pop(key, None)
        latest[key] = record
    return [record._replace(at_ns=at_ns) for record in latest.values() if not _is_usual(record)]


def _is_usual(record: Record) -> bool:
    """Whether it says what is so at the start of any run."""
    match record:
        case StateChange():
            return record.new == "INIT"
        case PriorityChange():
            return record.new == record.old
        case AddressChange():
            return not record.present
        case NodeChange():
            return record.state == "on"
    return False


def since(origin_ns: int, record: Record) -> Record:
    """Return the record with its instants counted from another one."""
    if isinstance(record, StateChange) and record.last_advert_ns is not None:
        record = record._replace(last_advert_ns=record.last_advert_ns - origin_ns)
    if isinstance(record, NotifyFinished):
        record = record._replace(began_ns=max(record.began_ns - origin_ns, 0))
    return record._replace(at_ns=record.at_ns - origin_ns)


class TooManyRecords(Exception):
    """A run writes more within a second than its trace takes: it would never come to rest."""


class Trace:
    """The records of one run, in order, with the horizon at which it ended."""

    __slots__ = ("end_ns", "level", "limit", "records")

    def __init__(self, level: Level = Level.ADVERTS) -> None:
        self.level = level
        self.records: list[Record] = []
        self.end_ns = 0
        self.limit = sys.maxsize  # of records within a second of the run

    def add(self, record: Record) -> None:
        """Append what just happened; raise `TooManyRecords` beyond the limit."""
        records, limit = self.records, self.limit
        if len(records) >= limit and record.at_ns - records[-limit].at_ns < 1_000_000_000:
            raise TooManyRecords
        records.append(record)

    def digest(self) -> str:
        """SHA-256 over the state changes: equal digests mean equal histories (DESIGN §4)."""
        sha = hashlib.sha256()
        for record in self.records:
            if isinstance(record, DIGESTED):
                sha.update(f"{type(record).__name__}{tuple(record)!r}\n".encode())
        return sha.hexdigest()

    def json_lines(self) -> Iterator[str]:
        """One JSON object a record: `{"record": "StateChange", "at_ns": …}`; the last line is the end."""
        for record in self.records:
            yield json_line(record)
        yield json.dumps({"record": "End", "at_ns": self.end_ns})
