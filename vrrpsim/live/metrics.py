"""Prometheus metrics, named as the keepalived exporters name them (ecosystem.md §2.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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


def serve(collector: Collector, host: str, port: int) -> Callable[[], None]:
    """Answer scrapes from a thread of its own; call the result to stop."""
    from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server

    disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    server, thread = start_http_server(port, addr=host, registry=registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
