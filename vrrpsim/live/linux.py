"""The transport on Linux: sockets, netlink, processes and clock of this machine, as the daemon wants them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vrrpsim.keepalived.notify import Command, fifo_line
from vrrpsim.protocol.configuration import Address, RouterConfig, ScriptConfig, VirtualAddress
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.protocol.frames import gratuitous_arp, unsolicited_na
from vrrpsim.protocol.fsm import NEVER_NS, InstanceRules, State
from vrrpsim.protocol.instances import association
from vrrpsim.protocol.outputs import AddAddresses, RemoveAddresses, RunNotify, SendAdvert, SendGratuitous
from vrrpsim.protocol.packet import Datagram
from vrrpsim.protocol.router import Host
from vrrpsim.trace import Record

from .background import background
from .daemon import Done, LiveDaemon
from .fifo import Fifo, Fifos
from .kernel_timer import KernelTimer
from .mail import Alerts, Mail
from .netlink import HeldAddress, Kernel, Link, VmacImpossible
from .others import LOOK_S, Others, vrrp_programs
from .scripts import Children
from .sockets import Wire
from .watch import Watch, count_processes, file_value, prepare_files

STOP_NOTIFY_S = 1.0  # §1.7: what STOP scripts get
ANSWERS_EVERY_NS = 50_000_000  # of one virtual router to weaker adverts: a flood must not make us one
STOP_AT_MOST_S = 5.0  # §1.7: child_wait_time


class Linux:
    """One daemon on this machine. `open`, `start`, and in the end `stop`."""

    def __init__(
        self,
        node: str,
        config: RouterConfig,
        dialect: Dialect,
        *,
        record: Callable[[Record], None] | None,
        log: Callable[[str, bool], None],
    ) -> None:
        self.config = config
        self.lag_ns = 0  # of the last timer
        self.running = False
        self._log = log
        self.wire = Wire(self._received)
        self.kernel = Kernel(self._link_changed, self._address_changed)
        self.children = Children(self._script_finished, self.complain)
        self.fifos = Fifos(self.children, self.complain)
        self.mail = Mail(self._complain_from_elsewhere)
        self.watch = Watch(self._file_changed, self._process_count)
        self.others = Others(self._served_here_too)
        self.epoch_ns = self.now_ns()
        self.daemon = LiveDaemon(node, config, dialect, self, record, self.epoch_ns)
        self._sources: dict[tuple[str, int], Address | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: KernelTimer | None = None
        self._sent: SendAdvert | None = None  # since the last datagram
        self._answers: dict[tuple[str, int, bytes], tuple[int, int]] = {}  # until when, priority
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life

    async def open(self, fifos: Sequence[Fifo], alerts: Alerts) -> None:
        """Look at the machine and open everything that the configuration needs."""
        await self.kernel.open()
        missing = [name for name in interfaces_of(self.config) if name not in self.kernel.links]
        if missing:
            await self.kernel.close()
            raise NoInterface(f"there is no interface {', '.join(missing)}")
        await self._prepare(self.config, fifos, starting=True)
        self._loop = asyncio.get_running_loop()
        self._timer = KernelTimer(self._wake)
        self.mail.open(alerts)

    def start(self) -> None:
        """Start the engine with what is here."""
        virtual, names = self._virtual, interfaces_of(self.config)
        self._sources = {
            (name, family): self.kernel.primary(name, family, virtual) for name in names for family in (4, 6)
        }
        counts = self._counted(self.config)
        host = Host(
            sources={key: address for key, address in self._sources.items() if address is not None},
            addresses=frozenset(address for _, address in self.kernel.addresses),
            interfaces_down=frozenset(name for name in names if not self._is_up(name)),
            files={file.name: file_value(Path(file.path)) or 0 for file in self.config.files},
            processes=counts,
        )
        self.running = True
        for interface, address in self.kernel.addresses:
            if address in virtual:  # of a crash: the trace must know before it goes
                self.daemon.address_changed(interface, address, True, by_us=True)
        self._look_for_others(names)
        self.daemon.start(host)
        self.watch.start(self.config.files, self.config.processes, counts)

    async def reload(self, config: RouterConfig, fifos: Sequence[Fifo], alerts: Alerts) -> None:
        """Open what is new, then let the engine compare; old sockets and macvlans stay until exit."""
        missing = [name for name in interfaces_of(config) if name not in self.kernel.links]
        if missing:
            raise NoInterface(f"there is no interface {', '.join(missing)}")
        await self._prepare(config, fifos, starting=False)
        self.config = config
        self.mail.open(alerts)
        self._introduce(interfaces_of(config))
        self.daemon.reload(config)
        self.watch.start(config.files, config.processes, self._counted(config))
        self.watch.look()

    def _look_for_others(self, interfaces: Sequence[str]) -> None:
        """Before we may be Master: whoever sends adverts from here is no rival whom we could hear."""
        try:
            for name in interfaces:
                self.others.look(name)
        except OSError as error:
            self.complain(f"cannot look for other VRRP programs on this host: {error.strerror}")
        asyncio.get_running_loop().call_later(LOOK_S, self.others.close)

    def _served_here_too(self, interface: str, family: int, vrid: int) -> None:
        served = {(each.interface, each.family, each.vrid) for each in self.config.instances}
        if (interface, family, vrid) not in served:
            return

        async def name() -> None:
            try:
                programs = await asyncio.to_thread(vrrp_programs)
            except (OSError, RuntimeError):  # no descriptor, no thread
                programs = []
            who = " or ".join(programs) or "another program"
            what = f"VRID {vrid} (IPv{family}) on {interface} is served by {who}, too"
            self.complain(f"{what}: adverts that are not ours leave this host")

        task = background(name())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _counted(self, config: RouterConfig) -> dict[str, int]:
        try:
            return count_processes(config.processes)
        except OSError as error:
            self.complain(f"cannot count processes: {error.strerror}")
            return {process.name: 0 for process in config.processes}

    def _introduce(self, names: list[str]) -> None:
        """Tell the engine of interfaces that no instance had before this reload."""
        virtual = self._virtual
        self._sources = {key: source for key, source in self._sources.items() if key[0] in names}
        for name in names:
            if (name, 4) not in self._sources:
                for family in (4, 6):
                    source = self._sources[name, family] = self.kernel.primary(name, family, virtual)
                    self.daemon.source_changed(name, family, source)
                self.daemon.interface_changed(name, self._is_up(name))

    async def stop(self) -> None:
        """SIGTERM: resign, release, notify, close."""
        if self.running:
            self.fifos.end_readers()
            released = asyncio.get_running_loop().create_future()
            self.daemon.stop(lambda: released.set_result(None))
            await asyncio.wait({released}, timeout=STOP_AT_MOST_S)
            await self.children.wait_for_others(STOP_NOTIFY_S)
        await self.close()

    async def close(self) -> None:
        """Give everything back to the machine but the addresses."""
        self.running = False
        if self._timer is not None:
            self._timer.close()
        self.watch.close()
        self.others.close()
        self.children.close()
        self.wire.close()
        self.fifos.close()
        self.mail.close()
        await self.kernel.close()

    async def _prepare(self, config: RouterConfig, fifos: Sequence[Fifo], *, starting: bool) -> None:
        for instance in config.instances:
            if instance.use_vmac:
                await self.kernel.make_vmac(instance)
        self._listen(config, interfaces_of(config))
        prepare_files(config.files, starting=starting)
        self.fifos.open(fifos)

    def _listen(self, config: RouterConfig, interfaces: Sequence[str]) -> None:
        """Open sockets and join groups on these interfaces."""
        for instance in config.instances:
            if instance.interface in interfaces:
                groups = () if instance.unicast else (instance.multicast_group,)
                shared = instance.use_vmac and instance.adverts_from_vmac
                device = instance.vmac_interface if shared else None
                sealed = association(InstanceRules(instance, self.daemon.router.dialect)) is not None
                self.wire.listen(instance.interface, instance.family, groups, device, sealed)

    def _is_up(self, name: str) -> bool:
        link = self.kernel.links.get(name)  # it may be gone since we looked
        return link is not None and link.up

    @property
    def _virtual(self) -> frozenset[Address]:
        return frozenset(
            entry.address for each in self.config.instances for entry in (*each.addresses, *each.excluded)
        )

    # --- what the daemon wants (Transport)

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def wake_at(self, at_ns: int) -> None:
        """One timer."""
        if self._timer is not None:
            self._timer.set(at_ns if at_ns < NEVER_NS else None)

    def _wake(self, at_ns: int) -> None:
        self.lag_ns = max(self.now_ns() - at_ns, 0)
        self.daemon.wake()

    def send_advert(self, advert: SendAdvert) -> None:
        """From the macvlan if there is a virtual MAC, else from the interface."""
        self._sent = advert
        self.others.ours(advert.interface, advert.source.version, advert.payload[1])
        device = self._device(advert.instance) if advert.virtual_mac else advert.interface
        problem = self.wire.send(
            device, advert.source, advert.destination, advert.ttl, advert.payload, advert.packet
        )
        if problem:
            self.complain(f"({advert.instance}) Cant send advert to {advert.destination} ({problem})")

    def _device(self, instance: str) -> str:
        return self.daemon.router.instances[instance].config.owned_interface

    def send_gratuitous(self, frame: SendGratuitous) -> bytes | None:
        """One frame: GA-9 or GA-10."""
        link = self.kernel.links.get(frame.interface)
        if link is None or len(link.mac) != 6:  # NOARP interfaces have no MAC
            return None
        mac = frame.virtual_mac or link.mac
        if frame.address.version == 4:
            target = mac if frame.target_is_sender else b"\xff" * 6
            data = gratuitous_arp(mac, frame.address, target_mac=target)
        else:
            data = unsolicited_na(mac, frame.address, router=_forwards(frame.interface))
        problem = self.wire.send_frame(frame.interface, data)
        if problem:
            self.complain(f"({frame.instance}) cannot announce {frame.address}: {problem}")
            return None
        return mac

    def add_addresses(self, output: AddAddresses, done: Done) -> None:
        """Through netlink."""
        self._spawn(self.kernel.add(output.interface, output.addresses), done)

    def remove_addresses(self, output: RemoveAddresses, done: Done) -> None:
        """Through netlink, if there is anything to remove."""
        if any(self.kernel.holds(output.interface, entry) for entry in output.addresses):
            self._spawn(self.kernel.remove(output.interface, output.addresses), done)
        else:
            done()

    def _spawn(self, change: Coroutine[Any, Any, list[str]], done: Done) -> None:
        async def work() -> None:
            try:
                for problem in await change:
                    self.complain(problem)
            finally:
                done()

        task = background(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def run_script(self, script: ScriptConfig, run: int) -> None:
        """Fork; whether and when it execs is the child's business."""
        self.children.run(script, run)

    def kill_script(self, run: int, signal: str) -> None:
        """To the process group."""
        self.children.kill(run, signal)

    def notify(self, commands: Sequence[Command], output: RunNotify) -> None:
        """§7.3: scripts, then the FIFO, then mail; nobody waits."""
        for words, user in commands:
            self.children.notify(words, user, output.name)
        self.fifos.write(fifo_line(output))
        self.mail.tell(output.kind, output.name, output.state)

    def log(self, text: str, detail: bool) -> None:
        """A line of the engine."""
        self._log(text, detail)

    def complain(self, text: str) -> None:
        """A line of our own."""
        self._log(text, False)

    def _complain_from_elsewhere(self, text: str) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self.complain, text)

    # --- what the machine reports

    def _received(self, interface: str, datagram: Datagram) -> None:
        source, data = datagram.source, datagram.payload
        if not self.running:
            return
        if self._answers and self._answered_already(interface, source, data):
            self.daemon.discarded["answered_already"] += 1
            return
        self._sent = None
        self.daemon.receive(interface, datagram)
        if self._sent is not None and 0 < _priority(data) < (ours := self._sent.payload[2]):
            router = (interface, source.version, data[1:2])
            self._answers[router] = (self.now_ns() + ANSWERS_EVERY_NS, ours)

    def _answered_already(self, interface: str, source: Address, data: bytes) -> bool:
        until_ns, ours = self._answers.get((interface, source.version, data[1:2]), (0, 0))
        return 0 < _priority(data) < ours and self.now_ns() < until_ns

    def _script_finished(self, run: int, code: int | None, signal: int | None) -> None:
        if self.running:
            self.daemon.script_finished(run, code, signal)

    def _file_changed(self, name: str, value: int) -> None:
        if self.running:
            self.daemon.file_changed(name, value)

    def _process_count(self, name: str, count: int) -> None:
        if self.running:
            self.daemon.process_count(name, count)

    def _link_changed(self, name: str, before: Link | None, after: Link | None) -> None:
        if not self.running:
            return
        if after is None and any(
            name == each.vmac_interface for each in self.config.instances if each.use_vmac
        ):
            self.wire.forget(name)
            self._spawn(self._again(name), lambda: None)
        if name not in interfaces_of(self.config):
            return
        if after is not None and (before is None or before.index != after.index):  # it came back as another
            self.wire.forget(name)
            self._spawn(self._return(name), lambda: None)
        was_up, is_up = bool(before and before.up), bool(after and after.up)
        if was_up != is_up:
            self.daemon.interface_changed(name, is_up)
        if before is not None and after is None:
            self.wire.forget(name)
            for new, link in self.kernel.links.items():
                if link.index == before.index:  # renamed: nothing of ours stays on it
                    self.complain(f"{name} has been renamed {new}: its addresses are released")
                    self._spawn(self.kernel.remove(new, self._entries_on(name)), lambda: None)

    def _entries_on(self, name: str) -> list[VirtualAddress]:
        return [
            entry
            for each in self.config.instances
            for entry in (*each.addresses, *each.excluded)
            if (entry.interface or each.owned_interface) == name
        ]

    async def _again(self, vmac: str) -> list[str]:
        """A macvlan of ours is gone: make it again; what it had is put back."""
        try:
            for each in self.config.instances:
                if each.use_vmac and each.vmac_interface == vmac and each.interface in self.kernel.links:
                    await self.kernel.make_vmac(each)
                    self._listen(self.config, (each.interface,))
                    if self.daemon.router.state_of(each.name) is State.MASTER:
                        return await self.kernel.add(vmac, self._entries_on(vmac))
        except (OSError, VmacImpossible, KeyError) as error:  # of an instance that a reload has dropped
            return [f"{vmac} cannot be made again: {error}"]
        return []

    async def _return(self, name: str) -> list[str]:
        """An interface is back: its VMACs and sockets went with it."""
        try:
            for instance in self.config.instances:
                if instance.use_vmac and instance.interface == name:
                    self.wire.forget(instance.vmac_interface)
                    await self.kernel.make_vmac(instance)
            self._listen(self.config, (name,))
        except (OSError, VmacImpossible) as error:  # gone again
            return [f"{name} cannot be used: {error}"]
        return []

    def _address_changed(
        self,
        interface: str,
        address: Address,
        before: HeldAddress | None,
        after: HeldAddress | None,
        by_us: bool,
    ) -> None:
        if not self.running:
            return
        if address in self._virtual:
            if (before is None) != (after is None):
                self.daemon.address_changed(interface, address, after is not None, by_us)
            return
        key = (interface, address.version)
        current = self._sources.get(key)
        kept = self.kernel.addresses.get((interface, current)) if current is not None else None
        if key not in self._sources or (kept is not None and kept.usable):
            return  # a source stays until it goes, whatever comes before it
        source = self.kernel.primary(*key, self._virtual)
        if current != source:
            self._sources[key] = source
            self.daemon.source_changed(*key, source)


class NoInterface(Exception):
    """The configuration names an interface that this machine does not have."""

    exit_code = 4


def interfaces_of(config: RouterConfig) -> list[str]:
    """Every interface that the configuration needs, its own macvlans left out."""
    names: dict[str, None] = {}
    for instance in config.instances:
        others = [e.interface for e in (*instance.addresses, *instance.excluded) if e.interface]
        tracked = [track.name for track in instance.track_interfaces]
        own = {instance.vmac_interface}
        names |= dict.fromkeys(n for n in (instance.interface, *others, *tracked) if n not in own)
    return list(names)


def _priority(data: bytes) -> int:
    return data[2] if len(data) > 2 else 0


def _forwards(interface: str) -> bool:
    """GA-10: the Router flag says whether the interface forwards."""
    try:
        return Path("/proc/sys/net/ipv6/conf", interface, "forwarding").read_text().strip() == "1"
    except OSError:
        return False
