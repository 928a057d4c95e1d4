"""What a `VrrpRouter` asks its shell to do, as values, in the order in which to do it."""

# Annotations are values here: of strings, typing.NamedTuple compiles each at every start.

from typing import NamedTuple

from .configuration import Address, VirtualAddress
from .fsm import Log, State
from .packet import Reject


class SendAdvert(NamedTuple):
    """One datagram of protocol 112. `virtual_mac`: send it from the VMAC (§5.3).

    `packet`: the whole IPv4 packet to send as it is, where an Authentication Header covers it (ah.py).
    """

    instance: str
    interface: str
    source: Address
    destination: Address
    ttl: int
    payload: bytes
    priority: int
    virtual_mac: bytes | None
    packet: bytes = b""


class AddAddresses(NamedTuple):
    """Put these on the interface; `virtual_mac` says that it is the instance's macvlan.

    Without `accept` a firewall rule comes first: the host drops what is sent to them (FSM-27).
    """

    instance: str
    interface: str
    addresses: tuple[VirtualAddress, ...]
    virtual_mac: bytes | None
    accept: bool = True


class RemoveAddresses(NamedTuple):
    """Take these off the interface; those that are not there are not an error."""

    instance: str
    interface: str
    addresses: tuple[VirtualAddress, ...]


class SendGratuitous(NamedTuple):
    """One gratuitous ARP or unsolicited NA (GA-9, GA-10), from `virtual_mac` or the interface's own.

    `target_is_sender`: the ARP's target hardware address repeats the sender's (EID 7947), else broadcast.
    """

    instance: str
    interface: str
    address: Address
    virtual_mac: bytes | None
    target_is_sender: bool = False


class RunScript(NamedTuple):
    """Start the command of this vrrp_script; report its end with the same `run` number."""

    script: str
    run: int


class KillScript(NamedTuple):
    """Send SIGTERM or SIGKILL to the process group of a run (SC-4)."""

    script: str
    run: int
    signal: str


class StateChanged(NamedTuple):
    """An instance is in another state now, and why."""

    instance: str
    old: State
    new: State
    reason: str
    last_advert_ns: int | None


class PriorityChanged(NamedTuple):
    """The effective priority moved because of `reason`."""

    instance: str
    old: int
    new: int
    reason: str


class TrackerChanged(NamedTuple):
    """A tracked object went good or bad: kind is script, interface, file or process."""

    kind: str
    name: str
    ok: bool
    reason: str


class AdvertDropped(NamedTuple):
    """A packet for one of our virtual routers failed a receive check (§5.2)."""

    instance: str
    source: Address
    reason: Reject


class RunNotify(NamedTuple):
    """Notify scripts and FIFO line for an instance or a group (§7.3)."""

    kind: str  # INSTANCE or GROUP
    name: str
    state: str
    priority: int


Output = (
    SendAdvert
    | AddAddresses
    | RemoveAddresses
    | SendGratuitous
    | RunScript
    | KillScript
    | StateChanged
    | PriorityChanged
    | TrackerChanged
    | AdvertDropped
    | RunNotify
    | Log
)
