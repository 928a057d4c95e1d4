"""`VrrpRouter`s on a fake wire: delay, loss by predicate, script results by function; no SimPy."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from ipaddress import IPv4Address
from itertools import count
from typing import Any

from vrrpsim.protocol.configuration import (
    SECOND_NS,
    InstanceConfig,
    RouterConfig,
    ScriptConfig,
    VirtualAddress,
)
from vrrpsim.protocol.dialect import KEEPALIVED_2_2_7, Dialect
from vrrpsim.protocol.fsm import NEVER_NS, State
from vrrpsim.protocol.outputs import (
    AddAddresses,
    Output,
    RemoveAddresses,
    RunScript,
    SendAdvert,
    StateChanged,
)
from vrrpsim.protocol.packet import Advertisement, Datagram, checksum_form, encode
from vrrpsim.protocol.router import Host, VrrpRouter

MS_NS = 1_000_000
US_NS = 1_000
VIP = VirtualAddress(IPv4Address("10.0.0.100"), 24)
VIP2 = VirtualAddress(IPv4Address("10.0.0.101"), 24)
GROUP = IPv4Address("224.0.0.18")


def address(number: int) -> IPv4Address:
    """The primary address of node `number`."""
    return IPv4Address(f"10.0.0.{number}")


def instance(name: str = "VI", priority: int = 100, **fields: Any) -> InstanceConfig:
    """One vrrp_instance on eth0, VRID 51, with one address."""
    settings = {"interface": "eth0", "vrid": 51, "addresses": (VIP,), **fields}
    return InstanceConfig(name=name, priority=priority, **settings)


def script(name: str = "chk", **fields: Any) -> ScriptConfig:
    return ScriptConfig(name=name, command="/bin/check", **fields)


def router_config(*instances: InstanceConfig, **fields: Any) -> RouterConfig:
    return RouterConfig(instances=instances, **fields)


def host(number: int = 1, interfaces: tuple[str, ...] = ("eth0", "eth1"), **fields: Any) -> Host:
    sources = {(interface, 4): address(number) for interface in interfaces}
    return Host(sources, frozenset({address(number)}), **fields)


def started(
    config: RouterConfig, dialect: Dialect = KEEPALIVED_2_2_7, now_ns: int = 0, **fields: Any
) -> VrrpRouter:
    """A router of node 1 that has just started."""
    router = VrrpRouter(config, dialect)
    router.start(host(**fields), now_ns)
    return router


def payload(config: InstanceConfig, priority: int, source: IPv4Address, **fields: Any) -> bytes:
    """The bytes of an advert that an instance like this one would send from `source`."""
    unit_ns = 10 * MS_NS if config.version == 3 else SECOND_NS
    values: dict[str, Any] = {
        "version": config.version,
        "vrid": config.vrid,
        "priority": priority,
        "interval_wire": config.advert_int_ns // unit_ns,
        "addresses": tuple(entry.address for entry in config.addresses),
        **fields,
    }
    form, covered = checksum_form(config, KEEPALIVED_2_2_7, destination=GROUP, old_unicast=False)
    return encode(Advertisement(**values), source=source, destination=covered, checksum=form, family=4)


def hear(
    router: VrrpRouter, priority: int, now_ns: int, number: int = 2, name: str = "VI", **fields: Any
) -> list[Output]:
    """Let the router hear an advert of node `number` for one of its instances."""
    config = router.instances[name].config
    data = payload(config, priority, address(number), **fields)
    return list(router.receive(config.interface, Datagram(address(number), GROUP, 255, data), now_ns))


def kinds(outputs: list[Output], *wanted: type) -> list[Output]:
    """The outputs of these types."""
    return [output for output in outputs if isinstance(output, wanted)]


class Wire:
    """Nodes joined by a segment. Calls are served in order of time, then of creation."""

    def __init__(self, delay_ns: int = 100 * US_NS, start_ns: int = 0) -> None:
        self.now_ns = start_ns
        self.delay_ns = delay_ns
        self.routers: dict[int, VrrpRouter] = {}
        self.lost: Callable[[int, int, SendAdvert], bool] = lambda sender, receiver, advert: False
        self.script: Callable[[int, str], bool] = lambda number, name: True
        self.script_ns = 10 * MS_NS
        self.history: list[tuple[int, int, Output]] = []
        self.held: dict[int, set[VirtualAddress]] = {}  # the addresses on each node, by what it was told
        self._order = count()
        self._calls: list[tuple[int, int, Callable[[], None]]] = []

    def start(self, number: int, config: RouterConfig, dialect: Dialect = KEEPALIVED_2_2_7) -> VrrpRouter:
        router = self.routers[number] = VrrpRouter(config, dialect)
        self.held[number] = set()
        self.obey(number, router.start(host(number), self.now_ns))
        return router

    def kill(self, number: int) -> None:
        """Power loss: silence."""
        del self.routers[number]

    def stop(self, number: int) -> None:
        self.obey(number, self.routers[number].stop(self.now_ns))
        self.kill(number)

    def obey(self, number: int, outputs: list[Output] | tuple[Output, ...]) -> None:
        router = self.routers[number]
        for output in outputs:
            self.history.append((self.now_ns, number, output))
            if isinstance(output, AddAddresses):
                self.held[number].update(output.addresses)
            elif isinstance(output, RemoveAddresses):
                self.held[number].difference_update(output.addresses)
            if isinstance(output, SendAdvert):
                for receiver in self.routers:
                    if receiver != number and not self.lost(number, receiver, output):
                        self._later(self.delay_ns, self._deliverer(receiver, output))
            elif isinstance(output, RunScript):
                self._later(self.script_ns, self._finisher(number, router, output))

    def run_until(self, end_ns: int) -> None:
        """Serve everything up to this instant; packets before timers (rfc.md §4.4 S8)."""
        while True:
            wakes = [(router.next_deadline_ns(), number) for number, router in self.routers.items()]
            wake_ns, number = min(wakes, default=(NEVER_NS, 0))
            call_ns = self._calls[0][0] if self._calls else NEVER_NS
            if min(wake_ns, call_ns) > end_ns:
                break
            self.now_ns = max(self.now_ns, min(wake_ns, call_ns))
            if call_ns <= wake_ns:
                heappop(self._calls)[2]()
            else:
                self.obey(number, self.routers[number].advance(self.now_ns))
        self.now_ns = end_ns

    def run(self, seconds: float) -> None:
        self.run_until(self.now_ns + round(seconds * SECOND_NS))

    def states(self, name: str = "VI") -> dict[int, State]:
        return {number: router.state_of(name) for number, router in self.routers.items()}

    def masters(self, name: str = "VI") -> list[int]:
        return [number for number, state in self.states(name).items() if state is State.MASTER]

    def when_master(self, number: int, after_ns: int = 0) -> int:
        """When the node became Master for the first time after an instant."""
        found = [
            at_ns
            for at_ns, node, output in self.history
            if node == number
            and at_ns >= after_ns
            and isinstance(output, StateChanged)
            and output.new is State.MASTER
        ]
        assert found, f"node {number} never became Master"
        return found[0]

    def sent(self, number: int) -> list[tuple[int, int]]:
        """(time, priority) of every advert of a node."""
        return [
            (at_ns, output.priority)
            for at_ns, node, output in self.history
            if node == number and isinstance(output, SendAdvert)
        ]

    def _later(self, delay_ns: int, call: Callable[[], None]) -> None:
        heappush(self._calls, (self.now_ns + delay_ns, next(self._order), call))

    def _deliverer(self, receiver: int, advert: SendAdvert) -> Callable[[], None]:
        def deliver() -> None:
            if receiver in self.routers:
                router = self.routers[receiver]
                self.obey(
                    receiver,
                    router.receive(
                        advert.interface,
                        Datagram(advert.source, advert.destination, advert.ttl, advert.payload),
                        self.now_ns,
                    ),
                )

        return deliver

    def _finisher(self, number: int, router: VrrpRouter, run: RunScript) -> Callable[[], None]:
        def finish() -> None:
            if self.routers.get(number) is router:
                code = 0 if self.script(number, run.script) else 1
                self.obey(number, router.script_finished(run.run, code, None, self.now_ns))

        return finish


def with_priority(config: RouterConfig, priority: int) -> RouterConfig:
    return config._replace(instances=tuple(one._replace(priority=priority) for one in config.instances))
