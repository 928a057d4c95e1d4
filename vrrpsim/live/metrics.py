"""Prometheus metrics, named as the keepalived exporters name them (ecosystem.md §2.5)."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

Snapshot = Callable[[], list[dict[str, Any]]]

GAUGES = {
    "vrrp_state": ("state", "0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT"),
    "vrrp_effective_priority": ("effective_priority", "Priority that adverts carry"),
    "vrrp_base_priority": ("base_priority", "Configured priority"),
}
COUNTERS = {
    "vrrp_advert_sent": "advert_sent",
    "vrrp_advert_rcvd": "advert_rcvd",
    "vrrp_become_master": "become_master",
    "vrrp_release_master": "release_master",
    "vrrp_packet_len_err": "packet_len_err",
    "vrrp_ip_ttl_err": "ip_ttl_err",
    "vrrp_vers_err": "vers_err",
    "vrrp_invalid_type_rcvd": "invalid_type_rcvd",
    "vrrp_invalid_authtype": "invalid_authtype",
    "vrrp_authtype_mismatch": "authtype_mismatch",
    "vrrp_auth_failure": "auth_failure",
    "vrrp_addr_list_err": "addr_list_err",
    "vrrp_chk_err": "chk_err",
    "vrrp_pri_zero_rcvd": "pri_zero_rcvd",
    "vrrp_pri_zero_sent": "pri_zero_sent",
}
CONNECTIONS, SECONDS, REQUEST_BYTES = 16, 5.0, 8_192
FOR_ITSELF = 5  # descriptors of its listener and its loop
LABELS = ("iname", "intf", "vrid")


class Collector:
    """Reads the daemon when somebody scrapes; it has no numbers of its own."""

    def __init__(self, snapshot: Snapshot, totals: Callable[[], dict[str, float]], version: str) -> None:
        self._snapshot, self._totals, self._version = snapshot, totals, version

    def collect(self) -> Iterator[Any]:
        """Give every metric family."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        entries = [
            ((e["data"]["iname"], e["data"]["ifp_ifname"], str(e["data"]["vrid"])), e)
            for e in self._snapshot()
        ]
        for name, (key, text) in GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=LABELS)
            for labels, entry in entries:
                gauge.add_metric(labels, entry["data"][key])
            yield gauge
        for name, key in COUNTERS.items():
            counter = CounterMetricFamily(name, f"keepalived's counter {key}", labels=LABELS)
            for labels, entry in entries:
                counter.add_metric(labels, entry["stats"][key])
            yield counter
        discarded = CounterMetricFamily(
            "vrrpsim_discarded_datagrams", "Datagrams that belong to no instance", labels=["reason"]
        )
        own = {
            "lag": GaugeMetricFamily("vrrpsim_loop_lag_seconds", "How late the last timer was served"),
            "tasks": GaugeMetricFamily("vrrpsim_loop_tasks", "Tasks of the event loop"),
        }
        for name, value in self._totals().items():
            if name in own:
                own[name].add_metric([], value)
            else:
                discarded.add_metric([name], value)
        yield from (discarded, *own.values())
        info = GaugeMetricFamily("vrrpsim_build_info", "Version", labels=["version"])
        info.add_metric([self._version], 1)
        yield info


class Collects(Protocol):
    """What `serve` asks at each scrape."""

    def collect(self) -> Iterator[Any]:
        """Give every metric family."""


def serve(collector: Collects, host: str, port: int) -> Callable[[], None]:
    """Answer scrapes from one thread; call the result to stop. `OSError`: the address is not to be had.

    At most `CONNECTIONS` at once, and a fourth of the descriptors; each has `SECONDS` in all.
    """
    from prometheus_client import CollectorRegistry, disable_created_metrics

    disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # no descriptor for a scraper: it comes again
    stopping = asyncio.Event()
    most = max(min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4 - FOR_ITSELF), 1)
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(listener, registry, stopping, most)), daemon=True
    )
    thread.start()

    def stop() -> None:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()

    return stop


async def _serve(listener: socket.socket, registry: Any, stopping: asyncio.Event, most: int) -> None:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    under_way = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        if under_way >= most:
            return writer.transport.abort()
        under_way += 1
        try:
            async with asyncio.timeout(SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                body = generate_latest(registry)
                head = f"HTTP/1.0 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\n"
                head += f"Content-Length: {len(body)}\r\n\r\n"
                writer.transport.set_write_buffer_limits(0)
                writer.write(head.encode() + body)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            under_way -= 1

    server = await asyncio.start_server(answer, sock=listener, limit=REQUEST_BYTES, backlog=most)
    await stopping.wait()
    server.close()
