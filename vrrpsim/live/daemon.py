"""The live daemon: a `VrrpRouter` and a `Transport`. It obeys and decides nothing (DESIGN §3).

The transport is the machine: clock, sockets, netlink, processes. `linux.Linux` is the real one; tests
have one in memory with a virtual clock, on which this file must give the simulator's trace. Outputs are
done strictly in order: what follows a change of addresses waits until the kernel has made it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

from vrrpsim.keepalived.notify import Command, notifies_of, notify_commands
from vrrpsim.protocol.configuration import Address, NotifyScripts, RouterConfig, ScriptConfig
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.protocol.fsm import NEVER_NS, Log
from vrrpsim.protocol.outputs import (
    AddAddresses,
    KillScript,
    Output,
    RemoveAddresses,
    RunNotify,
    RunScript,
    SendAdvert,
    SendGratuitous,
)
from vrrpsim.protocol.packet import HEADER_BYTES, Datagram
from vrrpsim.protocol.router import NOTHING, Host, VrrpRouter
from vrrpsim.recording import record_of
from vrrpsim.trace import AddressChange, ProcessChange, Record

Done = Callable[[], None]


class Transport(Protocol):
    """The machine under the daemon. Nothing here raises for what a kernel or a network may answer."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds; the zero is the transport's."""

    def wake_at(self, at_ns: int) -> None:
        """Call `LiveDaemon.wake` at this instant, instead of an earlier order; `NEVER_NS` cancels."""

    def send_advert(self, advert: SendAdvert) -> None:
        """Put one datagram on the wire."""

    def send_gratuitous(self, frame: SendGratuitous) -> bytes | None:
        """Announce an address; answer with the MAC that was announced, None if nothing was sent."""

    def add_addresses(self, output: AddAddresses, done: Done) -> None:
        """Add what is missing, then call `done`."""

    def remove_addresses(self, output: RemoveAddresses, done: Done) -> None:
        """Remove what is there, then call `done`."""

    def run_script(self, script: ScriptConfig, run: int) -> None:
        """Start a check; `LiveDaemon.script_finished` follows."""

    def kill_script(self, run: int, signal: str) -> None:
        """Send TERM or KILL to its process group."""

    def notify(self, commands: Sequence[Command], output: RunNotify) -> None:
        """Start the notify scripts in this order, then write the FIFO line, then send mail."""

    def log(self, text: str, detail: bool) -> None:
        """One line for the operator."""


class LiveDaemon:
    """One VRRP daemon. Inputs are methods; what they lead to goes to the transport, in order."""

    def __init__(
        self,
        node: str,
        config: RouterConfig,
        dialect: Dialect,
        transport: Transport,
        record: Callable[[Record], None] | None,
        epoch_ns: int = 0,
    ) -> None:
        self.node = node
        self.transport = transport
        self.router = VrrpRouter(config, dialect)
        self.discarded: Counter[str] = Counter()  # datagrams that no instance of ours counts
        self._record = record
        self._known: set[tuple[str, int, int]] = set()
        self._notifies: dict[tuple[str, str], NotifyScripts] = {}
        self._learn(config)
        self._epoch_ns = epoch_ns  # instant 0 of the trace
        self._todo: deque[Output] = deque()
        self._waiting = False  # for the kernel
        self._working = False
        self._idle: Done | None = None
        self._wake_ns = NEVER_NS

    # --- life

    def start(self, host: Host) -> None:
        """The dispatcher starts."""
        self._life("running")
        self._obey(self.router.start(host, self._now()))

    def stop(self, done: Done) -> None:
        """SIGTERM; `done` is called when everything is released."""
        self._life("stopping")
        self._idle = done
        self._obey(self.router.stop(self._now()))

    def reload(self, config: RouterConfig) -> None:
        """SIGHUP: mastership and addresses survive where the configuration lets them."""
        self._learn(config)
        self._obey(self.router.reload(config, self._now()))

    def wake(self) -> None:
        """The instant asked for by `wake_at` has come."""
        self._wake_ns = NEVER_NS
        self._obey(self.router.advance(self._now()))

    # --- what happens to it

    def receive(self, interface: str, datagram: Datagram) -> None:
        """A datagram arrived on the interface."""
        router, payload = self.router, datagram.payload
        unheard = router.unheard
        outputs = router.receive(interface, datagram, self._now())
        if len(payload) < HEADER_BYTES:
            self.discarded["packet_too_short"] += 1
        elif router.unheard != unheard:
            known = (interface, datagram.source.version, payload[1]) in self._known
            self.discarded["not_addressed_to_us" if known else "unknown_vrid"] += 1
        if outputs is not NOTHING:  # what most adverts lead to, and no deadline is earlier than before
            self._obey(outputs)

    def script_finished(self, run: int, code: int | None, signal: int | None) -> None:
        """A check ended with an exit code or by a signal; with neither it could not be started."""
        self._obey(self.router.script_finished(run, code, signal, self._now()))

    def interface_changed(self, interface: str, up: bool) -> None:
        """IFF_UP and IFF_RUNNING together changed."""
        self._obey(self.router.interface_changed(interface, up, self._now()))

    def source_changed(self, interface: str, family: int, address: Address | None) -> None:
        """The primary address of an interface is another one, or gone."""
        self._obey(self.router.source_changed(interface, family, address, self._now()))

    def address_changed(self, interface: str, address: Address, present: bool, by_us: bool) -> None:
        """The kernel gained or lost a virtual address."""
        if self._record is not None:
            self._record(AddressChange(self._at(), self.node, interface, str(address), present))
        if not present and not by_us:
            self._obey(self.router.address_removed(interface, address, self._now()))

    def file_changed(self, name: str, value: int) -> None:
        """A tracked file has this value."""
        self._obey(self.router.file_changed(name, value, self._now()))

    def process_count(self, name: str, count: int) -> None:
        """So many processes match a vrrp_track_process."""
        self._obey(self.router.process_count(name, count, self._now()))

    # --- obeying

    def _obey(self, outputs: Sequence[Output]) -> None:
        self._todo.extend(outputs)
        self._work_on()
        deadline_ns = self.router.exact_deadline_ns()  # not woken for deadlines that have moved
        if deadline_ns < self._wake_ns or deadline_ns >= NEVER_NS > self._wake_ns:
            self._wake_ns = deadline_ns
            self.transport.wake_at(deadline_ns)

    def _work_on(self) -> None:
        """Do what is to be done until the kernel must be waited for; `_done` comes back here."""
        if self._working:
            return
        self._working = True
        while self._todo and not self._waiting:
            self._do(self._todo.popleft())
        self._working = False
        if self._idle is not None and not self._waiting:
            idle, self._idle = self._idle, None
            idle()

    def _done(self) -> None:
        self._waiting = False
        self._work_on()

    def _do(self, output: Output) -> None:
        """Obey one output, and put it into the trace as the simulator does."""
        transport, mac = self.transport, None
        at_ns = self._at() if self._record is not None else 0
        match output:
            case SendAdvert():
                transport.send_advert(output)
            case AddAddresses():
                self._waiting = True
                transport.add_addresses(output, self._done)
            case RemoveAddresses():
                self._waiting = True
                transport.remove_addresses(output, self._done)
            case SendGratuitous():
                mac = transport.send_gratuitous(output)
            case RunScript(script=name, run=run):
                transport.run_script(self.router.scripts[name].config, run)
            case KillScript(run=run, signal=signal):
                transport.kill_script(run, signal)
            case RunNotify():
                transport.notify(notify_commands(self._notify_of(output), output), output)
            case Log():
                transport.log(str(output), output.detail)
        if self._record is not None:
            record = record_of(output, at_ns, self.node, mac=mac, epoch_ns=self._epoch_ns)
            if record is not None:
                self._record(record)

    # --- small things

    def _learn(self, config: RouterConfig) -> None:
        """What a reload deletes may still be notified, so old names stay known."""
        self._known = {(each.interface, each.family, each.vrid) for each in config.instances}
        self._notifies |= notifies_of(config)

    def _notify_of(self, output: RunNotify) -> NotifyScripts:
        return self._notifies[output.kind, output.name]

    def _life(self, state: str) -> None:
        if self._record is not None:
            self._record(ProcessChange(self._at(), self.node, "keepalived", state))

    def _now(self) -> int:
        return self.transport.now_ns()

    def _at(self) -> int:
        return self.transport.now_ns() - self._epoch_ns
