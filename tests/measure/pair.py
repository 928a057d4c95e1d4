"""A pair of nodes and the trace of its failover, written by hand: the run of ecosystem.md §3.5."""

from ipaddress import IPv4Address

from vrrpsim.protocol.configuration import InstanceConfig, RouterConfig, ScriptConfig, Track, VirtualAddress
from vrrpsim.scenario.model import Bound, Client, Expect, Keepalived, Node, Owns, Scenario
from vrrpsim.trace import (
    AddressChange,
    AdvertSent,
    Fault,
    FaultEnd,
    Gratuitous,
    Level,
    PriorityChange,
    Reachability,
    StateChange,
    Trace,
    TrackerChange,
)

MS, S = 1_000_000, 1_000_000_000
VIP = "192.168.50.108"


def router(priority: int) -> RouterConfig:
    instance = InstanceConfig(
        name="VI_1",
        interface="eth0",
        vrid=51,
        priority=priority,
        addresses=(VirtualAddress(IPv4Address(VIP), 32),),
        track_scripts=(Track("chk_haproxy", 2),),
    )
    script = ScriptConfig(name="chk_haproxy", command="pkill -0 haproxy", interval_ns=2 * S, weight=2)
    return RouterConfig(instances=(instance,), scripts=(script,))


def scenario(**changes: object) -> Scenario:
    nodes = {
        "lb1": Node(keepalived=Keepalived(config=router(101))),
        "lb2": Node(keepalived=Keepalived(config=router(100))),
    }
    clients = {"web": Client(segment="lan", target=(IPv4Address(VIP), 80))}
    expect = Expect(
        owner=(Owns(11 * S, "lb1"), Owns(20 * S, "lb2"), Owns("end", "lb1")),
        bounds=(
            Bound("failover", None, "max", 5_700 * MS),
            Bound("outage", "web", "max", 6 * S),
            Bound("dual_master", None, "max", 50 * MS),
            Bound("vacancy", None, "max", 6 * S),
            Bound("moves", None, "max", 2),
        ),
    )
    values = {"name": "haproxy-crash", "duration_ns": 45 * S, "nodes": nodes, "clients": clients}
    return Scenario(**(values | {"expect": expect} | changes))  # type: ignore[arg-type]


def trace() -> Trace:
    """lb1's HAProxy dies at 12 s and is back at 30 s."""
    run = Trace(Level.ADVERTS)
    run.end_ns = 45 * S
    up, down = True, False
    run.records = [
        StateChange(0, "lb1", "VI_1", "INIT", "BACKUP", "init"),
        StateChange(0, "lb2", "VI_1", "INIT", "BACKUP", "init"),
        PriorityChange(10 * MS, "lb1", "VI_1", 101, 103, "chk_haproxy"),
        PriorityChange(10 * MS, "lb2", "VI_1", 100, 102, "chk_haproxy"),
        StateChange(3598 * MS, "lb1", "VI_1", "BACKUP", "MASTER", "master_down_timer"),
        AddressChange(3598 * MS, "lb1", "eth0", VIP, up),
        Gratuitous(3598 * MS + 400_000, "lb1", "eth0", VIP, "02:00:00:00:00:01"),
        Reachability(3598 * MS + 500_000, "web", up, "lb1", ""),
        AdvertSent(11_960 * MS, "lb1", "VI_1", 103, "224.0.0.18"),
        Fault(12 * S, 0, "fault", "kill", "master/haproxy", ("lb1/haproxy",)),
        Reachability(12 * S, "web", down, "", "refused"),
        TrackerChange(13_400 * MS, "lb1", "script", "chk_haproxy", down, "exit 1"),
        PriorityChange(13_400 * MS, "lb1", "VI_1", 103, 101, "chk_haproxy"),
        StateChange(16_562 * MS, "lb2", "VI_1", "BACKUP", "MASTER", "master_down_timer", 12_960 * MS),
        AddressChange(16_562 * MS + 300_000, "lb2", "eth0", VIP, up),
        Gratuitous(16_562 * MS + 400_000, "lb2", "eth0", VIP, "02:00:00:00:00:02"),
        StateChange(16_562 * MS + 500_000, "lb1", "VI_1", "MASTER", "BACKUP", "higher_advert"),
        Reachability(16_562 * MS + 500_000, "web", up, "lb2", ""),
        AddressChange(16_563 * MS, "lb1", "eth0", VIP, down),
        FaultEnd(30 * S, 0),
        TrackerChange(31_400 * MS, "lb1", "script", "chk_haproxy", up, "exit 0"),
        PriorityChange(31_400 * MS, "lb1", "VI_1", 101, 103, "chk_haproxy"),
        StateChange(34_167 * MS, "lb1", "VI_1", "BACKUP", "MASTER", "master_down_timer", 30_560 * MS),
        AddressChange(34_167 * MS, "lb1", "eth0", VIP, up),
        Gratuitous(34_167 * MS, "lb1", "eth0", VIP, "02:00:00:00:00:01"),
        StateChange(34_168 * MS, "lb2", "VI_1", "MASTER", "BACKUP", "higher_advert"),
        AddressChange(34_168 * MS, "lb2", "eth0", VIP, down),
        Reachability(34_168 * MS, "web", up, "lb1", ""),
    ]
    return run
