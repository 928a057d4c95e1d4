"""Issue 3, item 3: the live shell on a machine in memory gives the simulator's trace, to the nanosecond."""

import sys
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from memory import Clock, Machine

from vrrpsim.protocol.packet import Datagram
from vrrpsim.protocol.router import VrrpRouter
from vrrpsim.scenario.file.reader import load_scenario
from vrrpsim.scenario.quantities import Distribution
from vrrpsim.trace import (
    AddressChange,
    AdvertRejected,
    AdvertSent,
    Fault,
    Gratuitous,
    Level,
    LogLine,
    Notification,
    PriorityChange,
    ProcessChange,
    StateChange,
    TrackerChange,
)
from vrrpsim.world.world import World

ROOT = Path(__file__).parents[2]
COMPARED = (
    StateChange,
    PriorityChange,
    TrackerChange,
    AdvertSent,
    AdvertRejected,
    Gratuitous,
    Notification,
    LogLine,
)
CALLS = (
    "start",
    "stop",
    "reload",
    "receive",
    "script_finished",
    "interface_changed",
    "source_changed",
    "address_removed",
    "process_count",
)
DELAY_NS = 100_000  # of every segment in groundtruth
FROZEN = {  # a stopped process is served late; `set` is no input of a live daemon
    *("10-ka-sigstop", "47a-sigstop-3.0", "53-timer-expired-backup", "58a-backup-sigstop"),
    "37-track-file",
}
CASES = sorted(path.parent.name for path in (ROOT / "tests/groundtruth").glob("*/scenario.yaml"))


class Recorder(VrrpRouter):
    """The simulator's engine and what it was told: (node, configuration, [(at, method, arguments)])."""

    lives: ClassVar = []

    def __init__(self, config, dialect):
        super().__init__(config, dialect)
        node = sys._getframe(1).f_locals["self"].machine.name  # the daemon that makes it
        self.calls = []
        self.lives.append((node, config, dialect, self.calls))

    def rest(self, *_):
        """Each run of a check is news: the live daemon gets them one by one."""

    def advance(self, now_ns, due_ns=None):
        self.calls.append((now_ns, "advance", ()))
        return super().advance(now_ns, due_ns)


def recorded(name):
    def call(self, *arguments):
        *told, now_ns = arguments
        self.calls.append((now_ns, name, told))
        return getattr(VrrpRouter, name)(self, *arguments)

    return call


for _name in CALLS:
    setattr(Recorder, _name, recorded(_name))


def exact_world(path, monkeypatch):
    """A scenario without slop and without anything that stops the clock of a daemon."""
    nodes = load_scenario(path).nodes
    scenario = load_scenario(path, overrides={f"nodes.{name}.slop": "none" for name in nodes})
    Recorder.lives = []
    monkeypatch.setattr("vrrpsim.world.daemon.VrrpRouter", Recorder)
    return World(scenario, 1, Level.ALL)


def replay(machine, clock, calls, until_ns):
    """Tell a live daemon the same. Its wake-ups are its own, in the simulator's order at equal instants."""
    daemon = machine.daemon
    told = {
        "advance": lambda: clock.run_until(clock.now_ns),
        "stop": lambda: daemon.stop(lambda: None),
        "address_removed": lambda interface, address: daemon.address_changed(
            interface, address, False, by_us=False
        ),
    }
    for at_ns, method, arguments in sorted(calls, key=lambda call: call[0]):
        clock.run_until(at_ns, inclusive=False)
        (told.get(method) or getattr(daemon, method))(*arguments)
    clock.run_until(until_ns)
    return [record for record in machine.records if isinstance(record, COMPARED)]


def test_every_recorded_case_is_compared():
    assert len(CASES) > 50
    assert set(CASES) > FROZEN


@pytest.mark.parametrize("case", sorted({*CASES} - FROZEN))
def test_same_inputs_same_trace(case, monkeypatch):
    """Given every recorded case, then each record and each instant of the simulator comes again."""
    world = exact_world(ROOT / "tests/groundtruth" / case / "scenario.yaml", monkeypatch)
    trace = world.run()
    for name, node in world.nodes.items():
        macs = {interface: port.mac for interface, port in node.ports.items()}
        mine = [record for record in trace.records if getattr(record, "node", None) == name]
        deaths = [
            record.at_ns
            for record in mine
            if isinstance(record, ProcessChange) and (record.process, record.state) == ("keepalived", "dead")
        ]
        live = []
        for owner, config, dialect, calls in Recorder.lives:
            if owner == name and calls:
                end_ns = next((at_ns for at_ns in deaths if at_ns >= calls[0][0]), trace.end_ns)
                clock = Clock()
                machine = Machine(name, config, dialect, clock, macs=macs)
                live += replay(machine, clock, calls, end_ns)
        assert live == [record for record in mine if isinstance(record, COMPARED)]


def joined(world):
    """Live daemons on one virtual clock; an advert arrives as late as in the world."""
    clock, machines = Clock(), {}

    def lan(sender, advert):
        for name, machine in machines.items():
            node = world.nodes[name]
            if machine is sender or advert.destination not in (node.primary_address(node.ports["eth0"], 4),):
                continue
            arguments = ("eth0", Datagram(advert.source, advert.destination, advert.ttl, advert.payload))
            clock.at(clock.now_ns + DELAY_NS, partial(deliver, machine, arguments))

    def deliver(machine, arguments):
        if machine in clock.machines:
            machine.daemon.receive(*arguments)

    for name, config, dialect, calls in Recorder.lives:
        if calls and name not in machines:
            starts_ns, _, [host] = calls[0]
            macs = {interface: port.mac for interface, port in world.nodes[name].ports.items()}
            machines[name] = Machine(name, config, dialect, clock, lan=lan, macs=macs)
            clock.at(starts_ns, partial(machines[name].daemon.start, host))
    return clock, machines


@pytest.mark.parametrize("case", ["03a-ka-kill9-all", "04-ka-term"])
def test_a_cluster_of_live_daemons_behaves_as_the_simulated_one(case, monkeypatch):
    """Nothing but start and fault is shared: elections, adverts and addresses come out by themselves."""
    path = ROOT / "tests/groundtruth" / case / "scenario.yaml"
    monkeypatch.setattr("vrrpsim.world.latencies.SCRIPT_RUN", Distribution.fixed(0))
    world = exact_world(path, monkeypatch)
    trace = world.run()
    clock, machines = joined(world)
    faults = [record for record in trace.records if isinstance(record, Fault)]
    [fault, *later] = faults[[record.name for record in faults].index("fault") :]
    end_ns = later[0].at_ns - 1 if later else trace.end_ns
    kinds = (StateChange, AddressChange, AdvertSent, Gratuitous)
    for machine in machines.values():
        machine.passing_checks()
    victim = machines[fault.resolved[0].partition("/")[0]]
    faults = {"kill": victim.die, "stop": lambda: victim.daemon.stop(lambda: None)}
    clock.at(fault.at_ns, faults[fault.verb])
    clock.run_until(end_ns)
    for name, machine in machines.items():
        live = [record for record in machine.records if isinstance(record, kinds)]
        simulated = [
            record
            for record in trace.records
            if isinstance(record, kinds) and record.node == name and record.at_ns <= end_ns
        ]
        assert live == simulated
        assert any(isinstance(record, StateChange) for record in live)
