"""What holds for all inputs: totality, purity, deadlines, one Master after healing, no storms.

`test_mutations` runs these properties against engines with a bug planted in each.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from vrrp_pair import (
    GROUP,
    MS_NS,
    VIP,
    VIP2,
    Wire,
    address,
    hear,
    host,
    instance,
    payload,
    router_config,
    script,
    started,
)

from vrrpsim.protocol import fsm
from vrrpsim.protocol.configuration import (
    SECOND_NS,
    GarpGroup,
    GroupConfig,
    InitialState,
    ProcessConfig,
    RouterConfig,
    Track,
    UnicastPeer,
)
from vrrpsim.protocol.dialect import DIALECTS, KEEPALIVED_2_2_7, KEEPALIVED_2_3_3, RFC5798, Dialect
from vrrpsim.protocol.fsm import NEVER_NS, InstanceRules, State, transition
from vrrpsim.protocol.outputs import AddAddresses, Output, RunScript, SendAdvert, SendGratuitous, StateChanged
from vrrpsim.protocol.packet import Advertisement, Datagram
from vrrpsim.protocol.router import VrrpRouter

FAR_NS = (1 << 53) + 1_234_567  # an epoch at which floats lose nanoseconds

SPOKEN = [  # each dialect with the versions it speaks
    (dialect, version)
    for dialect in DIALECTS.values()
    for version in ((2, 3) if dialect.name.startswith("keepalived") else (dialect.default_version,))
]

PROPERTIES: dict[str, Callable[[int], None]] = {}  # by name: checks this many examples, always the same ones


def holds(examples: int, *strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A property of everything the strategies draw."""

    def decorate(function: Callable[..., None]) -> Any:
        def check(count: int) -> None:
            once = settings(
                max_examples=count,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            )
            once(given(*strategies)(function))()

        PROPERTIES[function.__name__] = check
        quick = settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        return quick(given(*strategies)(function))

    return decorate


dialects = st.sampled_from([*DIALECTS.values(), RFC5798._replace(skew_recomputed_on_learning=False)])
priorities = st.sampled_from([1, 50, 100, 101, 254, 255])


@st.composite
def machines(draw: Any) -> InstanceRules:
    dialect: Dialect = draw(dialects)
    config = instance(
        priority=draw(priorities),
        version=dialect.default_version,
        preempt=draw(st.booleans()),
        preempt_delay_ns=draw(st.sampled_from([0, 3 * SECOND_NS])),
        initial_state=draw(st.sampled_from(InitialState)),
        lower_prio_no_advert=draw(st.booleans()),
        higher_prio_send_advert=draw(st.booleans()),
        timer_expired_backup=draw(st.sampled_from([None, 0, 150])),
        unicast_peers=draw(st.sampled_from([(), (UnicastPeer(address(2)),)])),
    )
    return InstanceRules(config, dialect)


def events(version: int) -> st.SearchStrategy[fsm.Event]:
    adverts = st.builds(
        Advertisement,
        st.just(version),
        st.just(51),
        st.sampled_from([0, 1, 99, 100, 101, 254, 255]),
        st.sampled_from([0, 1, 3, 100] if version == 3 else [1]),
        st.just((VIP.address,)),
    )
    return st.one_of(
        st.builds(fsm.Heard, adverts, st.sampled_from([address(2), address(5), address(9)])),
        st.builds(fsm.Startup, st.sampled_from([0, 5 * SECOND_NS]), st.booleans()),
        st.builds(fsm.StartInFault, st.booleans()),
        st.just(fsm.Expired()),
        st.just(fsm.HeldBack()),
        st.just(fsm.Rejected()),
        st.builds(fsm.PriorityMoved, st.integers(1, 255)),
        st.builds(fsm.Failed, st.just("x"), st.booleans()),
        st.builds(fsm.Recovered, st.booleans(), st.booleans()),
        st.builds(fsm.Forced, st.sampled_from(State)),
        st.just(fsm.AddressLost()),
        st.builds(fsm.SourceChanged, st.sampled_from([None, address(5), address(7)])),
        st.just(fsm.Shutdown()),
        st.just(fsm.Reloaded()),
    )


@holds(250, st.data(), machines(), st.sampled_from([0, FAR_NS]))
def test_any_event_in_any_reachable_state(data, rules, now_ns):
    """Nothing raises, deadlines are integers and not in the past, states are values, transitions are pure."""
    state, deadline_ns = fsm.initial_state(rules, address(5)), NEVER_NS
    start = data.draw(st.sampled_from([fsm.Startup(), fsm.StartInFault(True), fsm.Startup(5 * SECOND_NS)]))
    script = data.draw(
        st.lists(st.tuples(events(rules.config.version), st.integers(0, 4 * SECOND_NS)), max_size=20)
    )
    for event, wait_ns in [(start, 0), *script]:
        now_ns = min(now_ns + wait_ns, deadline_ns)  # a shell does not sleep through a deadline
        step = transition(rules, state, deadline_ns, event, now_ns)
        assert step == transition(rules, state, deadline_ns, event, now_ns)
        assert type(step.deadline_ns) is int
        assert step.deadline_ns >= now_ns
        assert all(type(value) is not float for value in step.state)
        assert {step.state: 1}[pickle.loads(pickle.dumps(step.state))] == 1
        assert (step.deadline_ns == NEVER_NS) is (step.state.state in (State.INIT, State.FAULT))
        assert 1 <= step.state.priority <= 255
        state, deadline_ns = step.state, step.deadline_ns


@holds(60, machines(), st.data())
def test_a_shift_in_time_shifts_only_times(rules, data):
    """No hidden clock: the same events at a far epoch give the same actions."""
    script = data.draw(
        st.lists(st.tuples(events(rules.config.version), st.integers(0, 4 * SECOND_NS)), max_size=12)
    )
    traces = []
    for epoch_ns in (SECOND_NS, FAR_NS):
        state, deadline_ns, now_ns = fsm.initial_state(rules, address(5)), NEVER_NS, epoch_ns
        trace = []
        for event, wait_ns in [(fsm.Startup(), 0), *script]:
            if isinstance(event, fsm.Startup | fsm.StartInFault) and event.delay_until_ns:
                event = event._replace(delay_until_ns=epoch_ns + event.delay_until_ns)  # it is an instant
            now_ns = min(now_ns + wait_ns, deadline_ns)
            step = transition(rules, state, deadline_ns, event, now_ns)
            state, deadline_ns = step.state, step.deadline_ns
            trace.append((step.actions, deadline_ns - now_ns if deadline_ns < NEVER_NS else None))
        traces.append(trace)
    assert traces[0] == traces[1]


# --- a whole daemon under arbitrary inputs


def rich_config(dialect: Dialect, grouped: bool, paced: bool) -> RouterConfig:
    tracks = {
        "track_scripts": (Track("hold"), Track("weigh", -60)),
        "track_files": (Track("f", 2),),
        "track_processes": (Track("p"),),
        "track_interfaces": (Track("eth1", 5),),
    }
    a = instance("A", vrid=1, version=dialect.default_version, **tracks)
    b = instance(
        "B",
        255,
        vrid=2,
        version=dialect.default_version,
        addresses=(VIP2,),
        initial_state=InitialState.MASTER,
    )
    return router_config(
        a,
        b,
        groups=(GroupConfig(name="G", members=("A", "B")),) if grouped else (),
        scripts=(script("hold", timeout_ns=3 * SECOND_NS), script("weigh", rise=2, fall=2)),
        processes=(
            ProcessConfig(name="p", process="x", quorum=0, quorum_max=2, terminate_delay_ns=SECOND_NS),
        ),
        garp_groups=(GarpGroup(garp_interval_ns=50 * MS_NS),) if paced else (),
    )


inputs = st.one_of(
    st.tuples(
        st.just("hear"), st.sampled_from("AB"), st.sampled_from([0, 50, 100, 200, 255]), st.integers(0, 9)
    ),
    st.tuples(st.just("junk"), st.binary(max_size=24)),
    st.tuples(st.just("script"), st.integers(0, 3), st.sampled_from([0, 1, None])),
    st.tuples(st.just("interface"), st.sampled_from(["eth0", "eth1", "eth9"]), st.booleans()),
    st.tuples(st.just("source"), st.sampled_from([None, 1, 7])),
    st.tuples(st.just("removed"), st.sampled_from([VIP.address, VIP2.address])),
    st.tuples(st.just("file"), st.sampled_from([-200, 0, 5, 1 << 40])),
    st.tuples(st.just("process"), st.integers(0, 4)),
    st.tuples(st.just("priority"), st.sampled_from("AB"), st.integers(1, 255)),
    st.tuples(st.just("reload"), st.booleans(), st.booleans()),
    st.tuples(st.just("wait")),
)


def apply(router: VrrpRouter, what: tuple[Any, ...], runs: list[int], now_ns: int) -> list[Output]:
    match what:
        case ("hear", name, priority, number):
            return hear(router, priority, now_ns, number, name) if name in router.instances else []
        case ("junk", data):
            return list(router.receive("eth0", Datagram(address(3), GROUP, 255, data), now_ns))
        case ("script", back, code) if len(runs) > back:
            return router.script_finished(runs[-1 - back], code, None if code is not None else 9, now_ns)
        case ("interface", name, up):
            return router.interface_changed(name, up, now_ns)
        case ("source", number):
            return router.source_changed("eth0", 4, address(number) if number else None, now_ns)
        case ("removed", vip):
            return router.address_removed("eth0", vip, now_ns)
        case ("file", value):
            return router.file_changed("f", value, now_ns)
        case ("process", count):
            return router.process_count("p", count, now_ns)
        case ("priority", name, priority) if name in router.instances:
            return router.set_priority(name, priority, now_ns)
        case ("reload", grouped, fewer):
            config = rich_config(router.dialect, grouped, False)
            return router.reload(config._replace(instances=config.instances[: 1 + (not fewer)]), now_ns)
    return []


@holds(
    80,
    st.sampled_from(list(DIALECTS.values())),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, FAR_NS]),
    st.lists(st.tuples(inputs, st.sampled_from([0, 1, 10 * MS_NS, SECOND_NS, 5 * SECOND_NS])), max_size=25),
)
def test_a_daemon_survives_anything(dialect, grouped, paced, now_ns, script):
    router = VrrpRouter(rich_config(dialect, grouped, paced), dialect)
    runs: list[int] = []

    def note(outputs: list[Output]) -> None:
        runs.extend(output.run for output in outputs if isinstance(output, RunScript))

    note(router.start(host(), now_ns))
    for what, wait_ns in script:
        end_ns = now_ns + wait_ns
        for _ in range(500):
            wake_ns = router.next_deadline_ns()
            if wake_ns > end_ns:
                break
            now_ns = max(now_ns, wake_ns)
            note(router.advance(now_ns))
            assert router.next_deadline_ns() > now_ns  # never busy
        else:
            pytest.fail("a wake-up storm")
        now_ns = end_ns
        note(apply(router, what, runs, now_ns))
        timers = [one.timer.at_ns for one in router.instances.values()]
        assert all(type(at_ns) is int for at_ns in timers)
        assert router.next_deadline_ns() <= min([NEVER_NS, *timers])
        for one in router.instances.values():
            assert one.owns_addresses is (one.state.state is State.MASTER)
        for group in router.groups:
            faulty = {member.state.state is State.FAULT for member in group.members}
            assert len(faulty) == 1  # all or none, SG-5
    router.stop(now_ns)
    assert all(one.state.state is State.INIT for one in router.instances.values())


# --- several routers: faults, then heal, then settle, then demand

ROUNDED_NS = 11 * MS_NS  # implementations truncate the skew, at most to centiseconds


def skew_ns(priority: int, interval_ns: int) -> float:
    """Skew_Time over real numbers (RFC 9568 §6.1; RFC 3768 has one second for the interval)."""
    return (256 - priority) / 256 * interval_ns


def well_owned(wire: Wire) -> None:
    """Who is Master owns the address and nobody else does; each new one advertised and announced it."""
    for number in wire.routers:
        assert bool(wire.held[number]) is (number in wire.masters())
    for at_ns, number, output in wire.history:
        if isinstance(output, StateChanged) and output.new is State.MASTER:
            said = [each for then, who, each in wire.history if (then, who) == (at_ns, number)]
            for wanted in (SendAdvert, AddAddresses, SendGratuitous):
                assert any(isinstance(each, wanted) for each in said), wanted


@st.composite
def adversities(draw: Any) -> list[tuple[str, int, Any]]:
    kinds = st.sampled_from(["loss", "kill", "stop", "start", "script", "reload", "lost address", "pause"])
    return draw(
        st.lists(
            st.tuples(kinds, st.integers(1, 3), st.integers(0, 1 << 30), st.integers(1, 4_000)), max_size=10
        )
    )


@holds(
    50,
    st.sampled_from(list(DIALECTS.values())),
    st.booleans(),
    st.integers(2, 3),
    st.lists(priorities.filter(lambda p: p != 255), min_size=3, max_size=3),
    adversities(),
)
def test_one_master_after_healing(dialect, preempt, size, bases, troubles):
    """After faults are over and 3 Master_Down_Intervals have passed there is exactly one Master."""
    configs = {
        number: router_config(
            instance(
                priority=bases[number - 1],
                version=dialect.default_version,
                preempt=preempt,
                track_scripts=(Track("chk", 20),),
            ),
            scripts=(script(interval_ns=2 * SECOND_NS),),
        )
        for number in range(1, size + 1)
    }
    wire = Wire()
    for number, config in configs.items():
        wire.start(number, config, dialect)
    for kind, number, dice, wait_ms in troubles:
        alive = number in wire.routers
        if kind == "loss":
            wire.lost = lambda sender, receiver, advert, dice=dice: bool(dice >> (3 * sender + receiver) & 1)
        elif kind == "script":
            wire.script = lambda node, name, dice=dice: bool(dice >> node & 1)
        elif kind == "start" and not alive and number <= size:
            wire.start(number, configs[number], dialect)
        elif kind == "kill" and alive:
            wire.kill(number)
        elif kind == "stop" and alive:
            wire.stop(number)
        elif kind == "reload" and alive:
            wire.obey(number, wire.routers[number].reload(configs[number], wire.now_ns))
        elif kind == "lost address" and alive:
            wire.obey(number, wire.routers[number].address_removed("eth0", VIP.address, wire.now_ns))
        wire.run(wait_ms / 1000)
    wire.lost = lambda sender, receiver, advert: False
    wire.script = lambda number, name: True
    for number, config in configs.items():
        if number not in wire.routers:
            wire.start(number, config, dialect)
    wire.run(3 * 4)
    masters = wire.masters()
    assert len(masters) == 1
    quiet_from = wire.now_ns
    wire.run(10)
    assert wire.masters() == masters
    well_owned(wire)
    if preempt:
        effective = {number: router.instances["VI"].state.priority for number, router in wire.routers.items()}
        assert effective[masters[0]] == max(effective.values())
    sent = [number for number in wire.routers for at_ns, _ in wire.sent(number) if at_ns > quiet_from]
    assert set(sent) <= set(masters)
    assert 9 <= len(sent) <= 11


@holds(
    40,
    st.sampled_from(list(DIALECTS.values())),
    st.lists(st.sampled_from([1, 100, 254]), min_size=2, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_adverts_per_second_are_bounded(dialect, bases, answers, insists):
    """Everybody becomes Master at once and hears everybody: the election ends, nobody answers without end."""
    wire = Wire()
    wire.lost = lambda sender, receiver, advert: True
    for number, base in enumerate(bases, start=1):
        config = instance(
            priority=base,
            version=dialect.default_version,
            lower_prio_no_advert=not answers,
            higher_prio_send_advert=insists,
        )
        wire.start(number, router_config(config), dialect)
    wire.run(6)
    assert len(wire.masters()) == len(bases)
    wire.lost = lambda sender, receiver, advert: False
    healed_ns = wire.now_ns
    wire.run(3)
    sent = sum(at_ns > healed_ns for number in wire.routers for at_ns, _ in wire.sent(number))
    assert sent <= 3 * len(bases) + 2 * len(bases) ** 2 + 3
    well_owned(wire)
    assert wire.masters() == [max(zip(bases, range(1, len(bases) + 1), strict=True))[1]]  # RFC 9568 §6.4.3


@holds(40, st.sampled_from(list(DIALECTS.values())), st.integers(1, 254), st.booleans())
def test_priority_zero_leads_to_takeover_by_skew(dialect, base, preempt):
    wire = Wire()
    config = instance(version=dialect.default_version, preempt=preempt)
    wire.start(1, router_config(config._replace(priority=254)), dialect)
    wire.run(5)
    wire.start(2, router_config(config._replace(priority=base)), dialect)
    wire.run(5)
    assert wire.masters() == [1]
    stopped_ns = wire.now_ns
    wire.stop(1)
    wire.run(2)
    took_ns = wire.when_master(2, stopped_ns) - stopped_ns - wire.delay_ns
    assert abs(took_ns - skew_ns(base, SECOND_NS)) <= ROUNDED_NS
    well_owned(wire)


@holds(
    60,
    st.sampled_from(SPOKEN),
    st.lists(st.sampled_from([1, 50, 100, 150, 200]), min_size=1, max_size=2, unique=True),
    st.sampled_from([100 * MS_NS, 500 * MS_NS, SECOND_NS, 2_550 * MS_NS]),
    st.integers(0, 3_000),
)
def test_silence_is_answered_after_three_adverts_and_a_skew(spoken, bases, interval_ns, wait_ms):
    """The best Backup takes over; version 3 goes by the Master's interval, not by its own."""
    dialect, version = spoken
    own_ns = SECOND_NS
    interval_ns = interval_ns if version == 3 else own_ns
    wire = Wire()
    wire.start(1, router_config(instance(priority=254, version=version, advert_int_ns=interval_ns)), dialect)
    wire.run(12)
    for number, base in enumerate(bases, start=2):
        backup = instance(priority=base, version=version, advert_int_ns=own_ns)
        wire.start(number, router_config(backup), dialect)
    wire.run(12 + wait_ms / 1000)
    assert wire.masters() == [1]
    heard_ns = wire.sent(1)[-1][0] + wire.delay_ns
    wire.kill(1)
    wire.run(4 * 2.55)
    best = 2 + bases.index(max(bases))
    assert wire.masters() == [best]
    took_ns = wire.when_master(best, heard_ns) - heard_ns
    assert abs(took_ns - 3 * interval_ns - skew_ns(max(bases), interval_ns)) <= ROUNDED_NS
    well_owned(wire)


@holds(30, st.sampled_from(SPOKEN), st.booleans(), st.integers(0, 2_000))
def test_the_better_one_takes_over_if_it_may_preempt(spoken, preempt, wait_ms):
    dialect, version = spoken
    wire = Wire()
    wire.start(1, router_config(instance(priority=100, version=version)), dialect)
    wire.run(6 + wait_ms / 1000)
    wire.start(2, router_config(instance(priority=150, version=version, preempt=preempt)), dialect)
    wire.run(6)
    assert wire.masters() == ([2] if preempt else [1])
    well_owned(wire)


@holds(
    80,
    st.sampled_from([each for each in SPOKEN if each[0].name.startswith("keepalived")]),
    st.sampled_from([0, 50, 255]),
    st.one_of(st.integers(0, 8 * 16 - 1), st.just("ttl")),
)
def test_a_damaged_advert_moves_no_backup(spoken, priority, damage):
    """One bit flipped, or more than one hop old: whatever it says, it is not believed."""
    dialect, version = spoken
    config = instance(version=version)
    router = started(router_config(config), dialect)
    now_ns = SECOND_NS
    hear(router, 200, now_ns)
    before, deadline_ns = router.state_of("VI"), router.next_deadline_ns()
    data = bytearray(payload(config, priority, address(2)))
    if damage != "ttl":
        data[damage // 8 % len(data)] ^= 1 << damage % 8
    ttl = 254 if damage == "ttl" else 255
    outputs = router.receive("eth0", Datagram(address(2), GROUP, ttl, bytes(data)), now_ns + 500 * MS_NS)
    assert (before, router.state_of("VI")) == (State.BACKUP, State.BACKUP)
    assert router.next_deadline_ns() == deadline_ns
    assert not [each for each in outputs if isinstance(each, (SendAdvert, AddAddresses))]


@pytest.mark.parametrize("dialect", [KEEPALIVED_2_2_7, KEEPALIVED_2_3_3], ids=lambda dialect: dialect.name)
def test_two_owners_settle(dialect):
    wire = Wire()
    config = instance(priority=255, initial_state=InitialState.MASTER)
    for number in (1, 2):
        wire.start(number, router_config(config), dialect)
    wire.run(20)
    assert len(wire.masters()) == 1


def test_the_same_inputs_give_the_same_outputs():
    def run() -> list[tuple[int, int, Output]]:
        wire = Wire()
        for number in (1, 2, 3):
            config = instance(priority=100, track_scripts=(Track("chk", 2),))
            wire.start(number, router_config(config, scripts=(script(),)))
        wire.run(8)
        wire.kill(3)
        wire.run(8)
        return wire.history

    assert run() == run()


def test_a_storm_of_foreign_adverts_is_answered_once_each():
    router = started(router_config(instance()))
    router.advance(4 * SECOND_NS)
    data = payload(instance(), 50, address(2))
    answers = [
        router.receive("eth0", Datagram(address(2), GROUP, 255, data), 4 * SECOND_NS + n) for n in range(100)
    ]
    assert sum(isinstance(output, SendAdvert) for outputs in answers for output in outputs) == 100
