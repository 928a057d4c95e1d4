"""The daemon beside keepalived on one machine, in network namespaces: a soak and floods. Needs root.

    python -m benchmarks.beside soak --seconds 600
    python -m benchmarks.beside flood --seconds 10 --rate 5000

A pair of `vrrpsim live` and a pair of keepalived, each on a bridge of its own, run at the same time with the
same configuration. Lateness is by the kernel's time stamps on the bridges: how much longer than its interval
a Master took to its next advert. Results are Markdown.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import struct
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/live"))

from lan import Lan, descendants, inside

DAEMONS = ("vrrpsim", "keepalived")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
GROUP = "224.0.0.18"
CHECK = """
global_defs {
 script_user root
 enable_script_security
}
vrrp_script ok {
 script "/bin/true"
 interval 1
}
"""


def configuration(number: int, priority: int, instances: int) -> str:
    """Half of them version 2 at 1 s, half version 3 at 100 ms; the first tracks a check a second."""
    text = CHECK
    for index in range(instances):
        fast = index >= instances // 2
        text += (
            f"vrrp_instance V{index} {{\nstate BACKUP\ninterface eth0\nvirtual_router_id {index + 1}\n"
            f"priority {priority}\nversion {3 if fast else 2}\nadvert_int {0.1 if fast else 1}\n"
            f"virtual_ipaddress {{\n10.77.1.{index + 1}\n}}\n"
            + ("track_script {\nok\n}\n" if not index else "")
            + "}\n"
        )
    return text


def resident_mb(pid: int) -> float:
    """Of a process and what it started."""
    kilobytes = 0
    for each in (pid, *descendants(pid)):
        try:
            kilobytes += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * 4
        except OSError:
            continue
    return kilobytes / 1024


def cpu_s(pid: int) -> float:
    """User and system time of a process, its children so far, and those that run."""
    total = 0
    for each in (pid, *descendants(pid)):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total * TICK_S


def pair(stack: ExitStack, folder: Path, kind: str, instances: int) -> tuple[Lan, Any, Any]:
    """A network with a Master and a Backup of one kind, settled; nobody has a favoured priority."""
    lan = stack.enter_context(Lan(folder / kind, ["n1", "n2", "n3"]))
    lan.judge = lambda: None
    start = lan.keepalived if kind == "keepalived" else partial(lan.vrrpsim, traced=False)
    backup = start("n2", configuration(2, 100, instances))
    master = start("n1", configuration(1, 200, instances))
    for daemon in (master, backup):
        for pid in (daemon.pid, *descendants(daemon.pid)):
            with suppress(OSError):  # a check that has ended
                for task in Path(f"/proc/{pid}/task").iterdir():
                    os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
    last = f"10.77.1.{instances}"
    lan.wait(lambda: lan.owns("n1", last) and not lan.owns("n2", last), f"the {kind} pair has settled")
    return lan, master, backup


def lateness_ms(adverts: list[Any], interval_s: float, vrids: range) -> list[float]:
    """How late each advert of the Master came, sorted."""
    by_vrid: dict[int, list[float]] = defaultdict(list)
    for advert in adverts:
        if advert.source == "10.77.0.1" and advert.payload[1] in vrids:
            by_vrid[advert.payload[1]].append(advert.at_s)
    gaps = [later - sooner for times in by_vrid.values() for sooner, later in pairwise(times)]
    return sorted(max(gap - interval_s, 0) * 1000 for gap in gaps) or [float("nan")]


def quantile(values: list[float], share: float) -> float:
    """The value that so many do not exceed."""
    return values[ceil(len(values) * share) - 1]


def soak(seconds: float, instances: int) -> Iterator[str]:
    """Both pairs side by side: lateness, CPU and memory, and our figures by keepalived's."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pairs = {kind: pair(stack, Path(folder), kind, instances) for kind in DAEMONS}
        time.sleep(2)
        for lan, *_ in pairs.values():
            lan.adverts()
        before = {kind: [cpu_s(each.pid) for each in both] for kind, (_, *both) in pairs.items()}
        early = {kind: [resident_mb(each.pid) for each in both] for kind, (_, *both) in pairs.items()}
        heard: dict[str, list[Any]] = {kind: [] for kind in DAEMONS}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(1.0, max(until - time.monotonic(), 0)))
            for kind, (lan, *_) in pairs.items():
                heard[kind] += lan.adverts()
        rows: dict[str, list[float]] = {}
        for at, role in enumerate(("Master", "Backup")):
            rows[f"{role}: CPU, s"] = [cpu_s(pairs[k][1 + at].pid) - before[k][at] for k in DAEMONS]
            rows[f"{role}: resident at first, MB"] = [early[k][at] for k in DAEMONS]
            rows[f"{role}: resident at the end, MB"] = [resident_mb(pairs[k][1 + at].pid) for k in DAEMONS]
        half = instances // 2
        for word, interval_s, vrids in (
            ("1 s", 1.0, range(1, half + 1)),
            ("100 ms", 0.1, range(half + 1, 256)),
        ):
            late = [lateness_ms(heard[kind], interval_s, vrids) for kind in DAEMONS]
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                rows[f"late, {word}, {name}, ms"] = [quantile(each, share) for each in late]
        rows["adverts of the Backup"] = [
            sum(each.source == "10.77.0.2" for each in heard[kind]) for kind in DAEMONS
        ]
    yield f"| {seconds:g} s, {instances} instances | vrrpsim live | keepalived | ratio |"
    yield "|---|---:|---:|---:|"
    for name, (ours, theirs) in rows.items():
        yield f"| {name} | {ours:.2f} | {theirs:.2f} | {f'{ours / theirs:.2f}' if theirs else '-'} |"


# --- floods


def packet(payload: bytes, ttl: int = 255, source: str = "10.77.0.3", destination: str = GROUP) -> bytes:
    """A whole IPv4 packet."""
    head = struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(payload), 0, 0, ttl, 112, 0)
    return head + socket.inet_aton(source) + socket.inet_aton(destination) + payload


def message(source: str = "10.77.0.3", **changes: int) -> bytes:
    """An advert of the first fast instance with a right checksum, but for what is changed."""
    from ipaddress import ip_address

    from vrrpsim.protocol.dialect import Checksum
    from vrrpsim.protocol.packet import Advertisement, encode

    values = {"vrid": 11, "priority": 100, "interval": 10, "count": 1, **changes}
    advert = Advertisement(
        3,
        values["vrid"],
        values["priority"],
        values["interval"],
        tuple(ip_address(f"10.77.1.{11 + index}") for index in range(values["count"])),
    )
    ends = {"source": ip_address(source), "destination": ip_address(GROUP)}
    return encode(advert, **ends, checksum=Checksum.PSEUDO_HEADER, family=4)


def kinds() -> dict[str, tuple[Callable[[int], bytes], bool]]:
    """Each kind: the n-th packet, and whether it is a better advert that a Master must yield to."""
    draw = random.Random("flood")
    good = message()
    better = message(priority=255)

    def flipped(_: int) -> bytes:
        return packet(bytes([*good[:6], *draw.randbytes(2), *good[8:]]))

    return {
        "wrong checksum": (flipped, False),
        "wrong TTL": (lambda _: packet(good, ttl=254), False),
        "wrong VRID": (lambda n: packet(message(vrid=100 + n % 100)), False),
        "version 2": (lambda _: packet(b"\x21" + good[1:]), False),
        "unknown version": (lambda _: packet(b"\x71" + good[1:]), False),
        "wrong type": (lambda _: packet(b"\x32" + good[1:]), False),
        "wrong count": (lambda _: packet(message(count=2)), False),
        "too short": (lambda n: packet(good[: n % 8]), False),
        "too long": (lambda _: packet(good + bytes(40)), False),
        "noise": (lambda _: packet(draw.randbytes(draw.randrange(60))), False),
        "lower priority": (lambda _: packet(message(priority=1)), False),
        "spoofed sources": (
            lambda n: packet(good[:6] + bytes(2) + good[8:], source=f"10.77.{2 + n % 200}.{n % 250 + 1}"),
            False,
        ),
        "priority 255": (lambda _: packet(better), True),
    }


def flood(seconds: float, rate: int, instances: int) -> Iterator[str]:
    """Each kind at the Masters of both, one after the other: adverts sent of those due, owners, memory."""
    words = [f"{kind}: {what}" for what in ("adverts", "taken over", "MB") for kind in DAEMONS]
    yield f"| {rate} packets/s for {seconds:g} s | {' | '.join(words)} |"
    yield "|---|---:|---:|---|---|---:|---:|"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pairs = {kind: pair(stack, Path(folder), kind, instances) for kind in DAEMONS}
        for name, (make, better) in kinds().items():
            told = {kind: _flooded(*pairs[kind], make, seconds, rate) for kind in DAEMONS}
            columns = [f"{told[k][0]} of {round(seconds * 10)}" for k in DAEMONS]
            columns += [("yes, as it must" if better else "YES") if told[k][1] else "no" for k in DAEMONS]
            columns += [f"{told[k][2]:+.1f}" for k in DAEMONS]
            yield f"| {name} | {' | '.join(columns)} |"


def _flooded(
    lan: Lan, master: Any, backup: Any, make: Callable[[int], bytes], seconds: float, rate: int
) -> tuple[int, bool, float]:
    """Adverts of the first fast instance's Master, whether it lost the address, memory growth of both."""
    with inside(lan.space("n3")):
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
    before = resident_mb(master.pid) + resident_mb(backup.pid)
    lan.adverts()
    lan.capture.frames.clear()
    lan.capture._told = 0  # what was heard so far is of no interest
    begin, lost = time.monotonic(), False
    sent, looked_s = 0, 0.0
    while (now := time.monotonic()) < begin + seconds:
        while sent < (now - begin) * rate:
            sender.sendto(make(sent), (GROUP, 0))
            sent += 1
        if now - looked_s > 0.5:
            looked_s, lost = now, lost or not lan.owns("n1", "10.77.1.11")
        time.sleep(0.001)
    sender.close()
    adverts = sum(each.source == "10.77.0.1" and each.payload[1:2] == b"\x0b" for each in lan.adverts())
    grown = resident_mb(master.pid) + resident_mb(backup.pid) - before
    lan.wait(lambda: lan.owns("n1", "10.77.1.11") and not lan.owns("n2", "10.77.1.11"), "it heals")
    return adverts, lost, grown


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["soak", "flood"])
    parser.add_argument("--seconds", type=float, help="of the soak (600), or of each flood (10)")
    parser.add_argument("--rate", type=int, default=5000, help="packets a second")
    parser.add_argument("--instances", type=int, default=20)
    asked = parser.parse_args()
    if asked.what == "soak":
        lines = soak(asked.seconds or 600, asked.instances)
    else:
        lines = flood(asked.seconds or 10, asked.rate, asked.instances)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
