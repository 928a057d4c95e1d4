"""What is around an observer: sockets, lines, metrics, a table, a trace, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from vrrpsim.protocol.packet import Datagram
from vrrpsim.trace import LogLine, json_line

from . import systemd
from .background import RateLimit, WriterThread
from .loading import Loaded
from .observe import Account, Observer
from .privileges import CannotRun, require
from .service import LINES_PER_SECOND, STATUS_EVERY_S, Options, Say, open_trace, stamped
from .sockets import Wire

LOOK_EVERY_S = 0.1
Table = dict[str, tuple[str, Callable[[Account], float]]]  # what it means, and whence
ROUTER = ("intf", "family", "vrid")
GAUGES: Table = {  # of one virtual router
    "vrrp_observed_masters": ("Senders that count as master", lambda each: len(each.masters)),
    "vrrp_observed_lateness_seconds": (
        "How long after its interval the last advert came",
        lambda each: each.lateness_ns / 1e9,
    ),
    "vrrp_observed_sources": ("Senders heard so far", lambda each: len(each.sources)),
}
COUNTERS: Table = {
    "vrrp_observed_adverts": ("Adverts that the file's instances accept", lambda each: each.adverts),
    "vrrp_observed_late_adverts": ("Adverts after 1.5 intervals or more", lambda each: each.late),
    "vrrp_observed_transitions": ("Another sender than before", lambda each: each.transitions),
    "vrrp_observed_dual_masters": ("Two senders that took turns", lambda each: each.duals),
}


class ObserverCollector:
    """The observer's numbers for Prometheus; it has none of its own."""

    def __init__(self, observer: Observer, version: str) -> None:
        self._observer, self._version = observer, version

    def collect(self) -> Iterator[Any]:
        """Give every metric family."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        observer = self._observer
        accounts = [
            ((each.interface, str(each.family), str(each.vrid)), account)
            for each, account in list(observer.accounts.items())
        ]
        kinds: tuple[tuple[Any, Table], ...] = ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, COUNTERS))
        for kind, table in kinds:
            for name, (text, value) in table.items():
                family = kind(name, text, labels=ROUTER)
                for labels, account in accounts:
                    family.add_metric(labels, value(account))
                yield family
        masters = GaugeMetricFamily(
            "vrrp_observed_master_priority", "Priority of each master", labels=(*ROUTER, "source")
        )
        for labels, account in accounts:
            for source, sender in list(account.masters.items()):
                masters.add_metric((*labels, str(source)), sender.priority)
        yield masters
        foreign = GaugeMetricFamily("vrrp_observed_foreign_vrids", "VRIDs heard that the file does not have")
        foreign.add_metric([], sum(1 for _ in list(observer.foreign)))
        yield foreign
        rejected = CounterMetricFamily(
            "vrrp_observed_rejected", "Adverts that would be rejected", labels=("intf", "reason")
        )
        for (interface, reason), count in list(observer.rejected.items()):
            rejected.add_metric((interface, reason), count)
        yield rejected
        info = GaugeMetricFamily("vrrpsim_build_info", "Version", labels=["version"])
        info.add_metric([self._version], 1)
        yield info


def observe(options: Options, loaded: Loaded, say: Say) -> int:
    """Listen and say what is going on, until SIGTERM or SIGINT."""
    require("CAP_NET_RAW")
    return asyncio.run(_observe(options, loaded, say))


async def _observe(options: Options, loaded: Loaded, say: Say) -> int:
    config, lines = loaded.config, RateLimit(LINES_PER_SECOND)
    observer, stop, speaker = Observer(config, options.dialect), asyncio.Event(), WriterThread()
    began_ns = time.monotonic_ns()
    trace = open_trace(options.trace, say) if options.trace is not None else None

    def tell(text: str) -> None:
        if trace is not None:
            trace.write(json_line(LogLine(time.monotonic_ns() - began_ns, options.node, text)) + "\n")
        if left_out := lines.left_out():
            told = stamped(f"{left_out} lines left out")
            speaker.do(lambda: say(told))
        if not lines.reached:
            line = stamped(text)
            speaker.do(lambda: say(line))

    def received(interface: str, datagram: Datagram) -> None:
        for line in observer.heard(interface, datagram, time.monotonic_ns()):
            tell(line)

    wire, loop, stop_metrics = Wire(received), asyncio.get_running_loop(), _metrics(options, observer)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    names = list(dict.fromkeys(each.interface for each in config.instances))

    def listen(name: str) -> None:
        for each in config.instances:
            groups = () if each.unicast else (each.multicast_group,)
            for sealed in (False, True) if each.family == 4 else (False,):
                if each.interface == name:
                    wire.listen(name, each.family, groups, sealed=sealed)

    try:
        for name in names:
            listen(name)
        heard = {name: _index(name) for name in names}
        tell(f"listening on {', '.join(names)}")
        systemd.tell(READY=1)
        show = _table(observer) if options.status and sys.stdout.isatty() else None
        shown_s = 0.0
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
            for line in observer.advance(time.monotonic_ns()):
                tell(line)
            for name in names:  # a socket does not follow an interface that is deleted and made again
                if (index := _index(name)) is not None and index != heard[name]:
                    wire.forget(name)
                    with suppress(OSError):  # gone again, or no room: soon
                        listen(name)
                        heard[name] = index
                        tell(f"listening on {name} again")
            if show is not None and time.monotonic() - shown_s >= STATUS_EVERY_S:
                shown_s = time.monotonic()
                speaker.do(show)
    except OSError as error:
        raise CannotRun(f"cannot listen on {name}: {error.strerror}") from error
    finally:
        wire.close()
        stop_metrics()
        speaker.close()
        if trace is not None:
            trace.write(json.dumps({"record": "End", "at_ns": time.monotonic_ns() - began_ns}) + "\n")
            trace.close()
    return 0


def _index(interface: str) -> int | None:
    """The kernel's number of an interface; None if it is not there now."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return None


def _metrics(options: Options, observer: Observer) -> Callable[[], None]:
    if options.metrics is None:
        return lambda: None
    from .metrics import serve

    host, port = options.metrics
    try:
        return serve(ObserverCollector(observer, options.version), host, port)
    except OSError as error:
        raise CannotRun(f"cannot serve metrics on {host}:{port}: {error.strerror}") from error


def _table(observer: Observer) -> Callable[[], None]:
    """Print the state of each virtual router, as a table."""
    from rich.console import Console
    from rich.table import Table as Rows

    console = Console()

    def show() -> None:
        table = Rows("virtual router", "master", "prio", "adverts", "late", "changes")
        for account in list(observer.accounts.values()):
            masters = list(account.masters.items())
            table.add_row(
                account.name,
                ", ".join(str(source) for source, _ in masters) or "none",
                ", ".join(str(sender.priority) for _, sender in masters),
                *(str(number) for number in (account.adverts, account.late, account.transitions)),
            )
        console.clear()
        console.print(table)

    return show
