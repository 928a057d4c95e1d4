"""keepalived.md §3: how trackers add up; scripts, interfaces, files and processes as a daemon sees them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vrrp_pair import MS_NS, address, hear, instance, kinds, router_config, script, started

from vrrpsim.protocol import tracking
from vrrpsim.protocol.configuration import (
    SECOND_NS,
    InterfaceDelay,
    ProcessConfig,
    ScriptConfig,
    Track,
    UnicastPeer,
)
from vrrpsim.protocol.dialect import KEEPALIVED_2_2_7, KEEPALIVED_2_3_3, Dialect
from vrrpsim.protocol.fsm import NEVER_NS, Log, State
from vrrpsim.protocol.outputs import KillScript, Output, PriorityChanged, RunNotify, RunScript, TrackerChanged
from vrrpsim.protocol.router import VrrpRouter
from vrrpsim.protocol.tracking import ScriptHealth

# --- §3.1


@pytest.mark.parametrize(
    ("weight", "reverse", "good", "failed"),
    [(20, False, 20, 0), (-20, False, 0, -20), (20, True, -20, 0), (-20, True, 0, 20)],
)
def test_the_sign_table(weight, reverse, good, failed):
    track = Track("x", weight, reverse)
    assert tracking.contribution(track, True) == good
    assert tracking.contribution(track, False) == failed


def known(**fields: Any) -> tracking.Known:
    nothing: dict[str, Any] = {"interfaces_down": frozenset(), "scripts": {}, "files": {}, "processes": {}}
    return tracking.Known(**{**nothing, **fields})


@pytest.mark.parametrize("weight", [-254, -1, 0, 1, 253])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_script_without_a_result_contributes_nothing_and_holds_only_if_unweighted(weight, reverse):
    config = instance(track_scripts=(Track("chk", weight, reverse),))
    standing = tracking.standing(config, 100, known())
    assert (standing.total, standing.faults, standing.waiting) == (100, (), weight == 0)


@pytest.mark.parametrize(("reverse", "good", "faulty"), [(0, 1, 0), (0, 0, 1), (1, 1, 1), (1, 0, 0)])
def test_unweighted_means_fault(reverse, good, faulty):
    track = Track("x", 0, bool(reverse))
    for field, facts in (
        ("track_scripts", known(scripts={"x": bool(good)})),
        ("track_processes", known(processes={"x": bool(good)})),
        ("track_interfaces", known(interfaces_down=frozenset() if good else frozenset({"x"}))),
        ("track_files", known(files={"x": int(not good)})),
    ):
        standing = tracking.standing(instance(**{field: (track,)}), 100, facts)
        assert bool(standing.faults) is bool(faulty), field


def test_clamping_and_saturation_that_does_not_stick():
    tracks = (Track("a", 200), Track("b", 200), Track("c", -253))
    config = instance(track_scripts=tracks)
    totals = []
    for scripts in ({"a": True, "b": True}, {"a": True, "b": True, "c": False}, {"c": False}):
        standing = tracking.standing(config, 100, known(scripts=scripts))
        totals.append((standing.total, tracking.effective_priority(100, standing.total)))
    assert totals == [(500, 254), (247, 247), (-153, 1)]


@given(st.integers(1, 254), st.integers(-2000, 2000))
def test_the_effective_priority_is_1_to_254(base, total):
    assert tracking.effective_priority(base, total) == min(max(total, 1), 254)
    assert tracking.effective_priority(255, total) == 255


def test_the_standing_of_an_owner_ignores_weights_but_not_faults():
    router = started(router_config(instance(priority=255, track_files=(Track("f", -10), Track("g", 0)))))
    assert kinds(router.file_changed("f", 5, SECOND_NS), PriorityChanged, Log) == []
    assert router.instances["VI"].state.priority == 255
    router.file_changed("g", 1, 2 * SECOND_NS)
    assert router.state_of("VI") is State.FAULT


def test_two_faults_need_two_recoveries():
    router = started(router_config(instance(track_files=(Track("f"), Track("g")))))
    for name, value, state in (
        ("f", 1, State.FAULT),
        ("g", 1, State.FAULT),
        ("f", 0, State.FAULT),
        ("g", 0, State.BACKUP),
    ):
        router.file_changed(name, value, SECOND_NS)
        assert router.state_of("VI") is state


@pytest.mark.parametrize(("wanted", "lines"), [(True, ["BACKUP_PRIORITY"]), (False, [])])
def test_a_change_of_priority_is_logged_and_perhaps_notified(wanted, lines):
    config = router_config(instance(track_files=(Track("f", 2),)), notify_priority_changes=wanted)
    outputs = started(config).file_changed("f", 5, SECOND_NS)
    assert outputs[0] == TrackerChanged("file", "f", False, "value 5")
    assert [str(log) for log in kinds(outputs, Log)] == ["(VI) Changing effective priority from 100 to 110"]
    assert PriorityChanged("VI", 100, 110, "f") in outputs
    assert [(note.state, note.priority) for note in kinds(outputs, RunNotify)] == [(s, 110) for s in lines]


def test_set_priority_moves_the_base_and_keeps_the_contributions():
    router = started(router_config(instance(track_files=(Track("f", 2),))), files={"f": 5})
    router.set_priority("VI", 50, SECOND_NS)
    state = router.instances["VI"].state
    assert (state.base, state.priority) == (50, 60)
    hear(router, 55, 2 * SECOND_NS)
    assert router.instances["VI"].state.master_priority == 0  # discarded


# --- §3.2


def watched(
    *scripts: ScriptConfig, weight: int = 0, dialect: Dialect = KEEPALIVED_2_2_7
) -> tuple[VrrpRouter, list[Output]]:
    tracks = tuple(Track(one.name, weight) for one in scripts)
    router = started(router_config(instance(track_scripts=tracks), scripts=scripts), dialect)
    return router, router.advance(0)


def verdicts(router: VrrpRouter, name: str = "chk") -> tuple[int, bool]:
    one = router.scripts[name]
    return one.health.counter, one.health.ok(one.config)


def test_SC_1_the_timeout_defaults_to_the_interval():
    assert script(interval_ns=7).effective_timeout_ns == 7
    assert script(interval_ns=7, timeout_ns=3).effective_timeout_ns == 3


def test_SC_2_all_run_at_once_in_the_order_of_the_configuration_then_every_interval():
    router, outputs = watched(script("b", interval_ns=SECOND_NS), script("a", interval_ns=3 * SECOND_NS))
    assert outputs == [RunScript("b", 1), RunScript("a", 2)]
    router.script_finished(1, 0, None, 5 * MS_NS)
    router.script_finished(2, 0, None, 900 * MS_NS)  # the run time does not matter
    assert router.next_deadline_ns() == SECOND_NS
    assert kinds(router.advance(SECOND_NS), RunScript) == [RunScript("b", 3)]
    router.script_finished(3, 0, None, SECOND_NS)
    assert kinds(router.advance(SECOND_NS + 7), RunScript) == []
    late = 3 * SECOND_NS + 7
    assert kinds(router.advance(late), RunScript) == [RunScript("b", 4), RunScript("a", 5)]
    assert router.scripts["b"].timer.at_ns == late + SECOND_NS  # armed from now


@pytest.mark.parametrize(("dialect", "copies"), [(KEEPALIVED_2_2_7, 3), (KEEPALIVED_2_3_3, 1)])
def test_SC_3_a_script_that_still_runs(dialect, copies):
    router, _ = watched(script(timeout_ns=60 * SECOND_NS), weight=1, dialect=dialect)
    line = Log("Track script {} is {}, expect idle - skipping run", ("chk", "already running"))
    for second in (1, 2):
        outputs = router.advance(second * SECOND_NS)
        assert line in outputs
        assert len(kinds(outputs, RunScript)) == (copies > 1)
    assert len(router.scripts["chk"].runs) == copies


def test_SC_3_being_timed_out_is_said():
    router, _ = watched(script(timeout_ns=SECOND_NS // 2), weight=1, dialect=KEEPALIVED_2_3_3)
    router.advance(SECOND_NS // 2)
    line = Log("Track script {} is {}, expect idle - skipping run", ("chk", "being timed out"))
    assert router.advance(SECOND_NS) == [line]


def test_SC_4_term_then_kill_then_kill_every_ten_seconds():
    config = script(interval_ns=1000 * SECOND_NS, timeout_ns=3 * SECOND_NS)
    router, _ = watched(config, weight=-1)
    seen = []
    for second in range(0, 40):
        outputs = router.advance(second * SECOND_NS)
        seen += [(second, kill.signal) for kill in kinds(outputs, KillScript)]
        seen += [(second, "log") for log in kinds(outputs, Log) if "failed to terminate" in str(log)]
    late = [(second, what) for second in (7, 17, 27, 37) for what in ("KILL", "log")]
    assert seen == [(3, "TERM"), (5, "KILL"), *late]


@pytest.mark.parametrize(
    ("code", "signal", "ok", "how"),
    [
        (None, 15, False, "timed_out"),
        (0, None, True, "succeeded"),
        (2, None, False, "failed (exited with status 2)"),
    ],
)
def test_SC_4_what_a_timed_out_run_counts_as(code, signal, ok, how):
    router, _ = watched(script(timeout_ns=SECOND_NS // 2), weight=-1)
    router.advance(SECOND_NS // 2)
    outputs = router.script_finished(1, code, signal, SECOND_NS // 2 + 5)
    assert kinds(outputs, TrackerChanged) == [TrackerChanged("script", "chk", ok, how)]


def test_SC_4_a_run_that_ends_is_not_killed():
    router, _ = watched(script(interval_ns=10 * SECOND_NS, timeout_ns=SECOND_NS), weight=1)
    router.script_finished(1, 0, None, SECOND_NS - 1)
    assert kinds(router.advance(5 * SECOND_NS), KillScript) == []


@pytest.mark.parametrize(
    ("code", "signal", "ok"), [(0, None, True), (1, None, False), (127, None, False), (None, 9, False)]
)
def test_SC_5_only_exit_0_is_success(code, signal, ok):
    router, _ = watched(script(), weight=2)
    outputs = router.script_finished(1, code, signal, MS_NS)
    assert router.instances["VI"].state.priority == (102 if ok else 100)
    how = {0: "succeeded", None: "failed (due to signal 9)"}.get(code, f"failed (exited with status {code})")
    assert Log("VRRP_Script({}) {}", ("chk", how)) in outputs


@pytest.mark.parametrize("success", [True, False])
def test_SC_7_the_first_result_decides_alone(success):
    config = script(rise=4, fall=3)
    health = tracking.after_result(config, tracking.unknown_health(config), success)
    assert health == ScriptHealth(6 if success else 0, True)
    assert health.ok(config) is success


@given(st.integers(1, 6), st.integers(1, 6), st.lists(st.booleans(), min_size=1, max_size=40))
def test_SC_7_rise_successes_or_fall_failures_in_a_row(rise, fall, results):
    config = script(rise=rise, fall=fall)
    health = tracking.unknown_health(config)
    ok, streak = results[0], 0
    for number, success in enumerate(results):
        health = tracking.after_result(config, health, success)
        streak = streak + 1 if success is not ok and number else 0
        if streak == (rise if success else fall):
            ok, streak = success, 0
        assert health.ok(config) is ok
        assert 0 <= health.counter <= rise + fall - 1


def test_SC_9_the_exit_status_is_logged_when_it_changes():
    router, _ = watched(script(interval_ns=SECOND_NS), weight=2)
    lines = []
    for second, code in enumerate((0, 0, 3, 3, 4, 0)):
        router.advance(second * SECOND_NS)
        outputs = router.script_finished(second + 1, code, None, second * SECOND_NS + MS_NS)
        lines += [str(log) for log in kinds(outputs, Log)]
    assert lines == [
        "VRRP_Script(chk) succeeded",
        "(VI) Changing effective priority from 100 to 102",
        "Script `chk` now returning 3",
        "VRRP_Script(chk) failed (exited with status 3)",
        "(VI) Changing effective priority from 102 to 100",
        "Script `chk` now returning 4",
        "Script `chk` now returning 0",
        "VRRP_Script(chk) succeeded",
        "(VI) Changing effective priority from 100 to 102",
    ]


@pytest.mark.parametrize(("success", "counter"), [(True, 7), (False, 0)])
def test_SC_10_a_reload_keeps_the_verdict_and_maps_the_counter(success, counter):
    router, _ = watched(script(rise=2, fall=2), weight=2)
    router.script_finished(1, 0 if success else 1, None, MS_NS)
    new = script(rise=5, fall=3)
    config = router_config(instance(track_scripts=(Track("chk", 2),)), scripts=(new,))
    router.reload(config, SECOND_NS)
    assert verdicts(router) == (counter, success)
    assert router.instances["VI"].state.priority == (102 if success else 100)


def test_SC_10_a_reload_kills_runs_and_ignores_their_end():
    router, _ = watched(script())
    config = router.config
    assert KillScript("chk", 1, "TERM") in router.reload(config, MS_NS)
    assert router.script_finished(1, 0, None, 2 * MS_NS) == []
    assert router.state_of("VI") is State.FAULT  # the first run was pending and stays so
    assert kinds(router.advance(2 * MS_NS), RunScript) == [RunScript("chk", 2)]
    router.script_finished(2, 0, None, 3 * MS_NS)
    assert router.state_of("VI") is State.BACKUP


@pytest.mark.parametrize(("weight", "after"), [(0, State.FAULT), (5, State.BACKUP)])
def test_SC_10_a_script_that_a_reload_brings_holds_nobody_and_its_first_result_decides(weight, after):
    router = started(router_config(instance()))
    tracks = (Track("chk", weight),)
    config = router_config(instance(track_scripts=tracks), scripts=(script(fall=3, rise=3),))
    router.reload(config, SECOND_NS)
    assert router.state_of("VI") is State.BACKUP
    assert router.instances["VI"].state.priority == 100  # no contribution yet
    router.advance(SECOND_NS)
    router.script_finished(1, 1, None, SECOND_NS)
    assert router.state_of("VI") is after


def test_SC_10_an_instance_that_comes_with_its_script_does_not_wait_either():
    router = started(router_config(instance("A", vrid=1)))
    late = instance("B", vrid=2, track_scripts=(Track("chk"),))
    router.reload(router_config(instance("A", vrid=1), late, scripts=(script(),)), SECOND_NS)
    assert router.state_of("B") is State.BACKUP


def test_scripts_are_killed_by_stop_and_yield_nothing():
    router, _ = watched(script(), weight=2)
    assert router.stop(MS_NS)[0] == KillScript("chk", 1, "TERM")
    assert router.script_finished(1, 0, None, 2 * MS_NS) == []
    assert router.next_deadline_ns() == NEVER_NS


# --- §3.3 files


@pytest.mark.parametrize(
    ("weight", "reverse", "value", "amount"),
    [
        (1, False, 0, 0),
        (1, False, 7, 7),
        (2, False, 7, 14),
        (2, True, 7, -14),
        (-2, False, 7, -14),
        (1, False, -253, -253),
        (1, False, -254, None),
        (-254, False, 1, None),
        (254, True, 1, None),
        (1, False, 253, 253),
        (1, False, 254, 253),
        (254, False, 1 << 31, 253),
        (0, False, 0, 0),
        (0, False, -1, None),
        (0, True, 0, None),
        (0, True, 5, 0),
    ],
)
def test_file_contributions_and_limits(weight, reverse, value, amount):
    assert tracking.file_contribution(Track("f", weight, reverse), value) == amount


def test_a_file_moves_the_priority_or_faults():
    router = started(router_config(instance(track_files=(Track("f", 1),))))
    priorities = []
    for value in (10, 10, -90, -300, 500, 0):
        router.file_changed("f", value, SECOND_NS)
        priorities.append((router.instances["VI"].state.priority, router.state_of("VI").name))
    assert priorities == [
        (110, "BACKUP"),
        (110, "BACKUP"),
        (10, "BACKUP"),
        (100, "FAULT"),  # not added
        (254, "BACKUP"),
        (100, "BACKUP"),
    ]


@pytest.mark.parametrize("value", [1 << 31, -(1 << 31) - 1])
def test_a_value_outside_32_bits_is_ignored_with_a_line(value):
    router = started(router_config(instance(track_files=(Track("f", 1),))))
    assert [type(output) for output in router.file_changed("f", value, SECOND_NS)] == [Log]
    assert router.instances["VI"].state.priority == 100


def test_an_unchanged_file_says_nothing():
    router = started(router_config(instance(track_files=(Track("f", 1),))), files={"f": 3})
    assert router.file_changed("f", 3, SECOND_NS) == []


# --- §3.3 processes


def tracked_process(start: int = 1, **fields: Any) -> VrrpRouter:
    process = ProcessConfig(name="p", process="haproxy", **fields)
    config = router_config(instance(track_processes=(Track("p"),)), processes=(process,))
    return started(config, processes={"p": start})


@pytest.mark.parametrize(
    ("quorum", "most", "count", "ok"),
    [
        (1, None, 0, False),
        (1, None, 9, True),
        (2, 3, 1, False),
        (2, 3, 3, True),
        (2, 3, 4, False),
        (0, 0, 1, False),
    ],
)
def test_quorum(quorum, most, count, ok):
    process = ProcessConfig(name="p", process="x", quorum=quorum, quorum_max=most)
    assert tracking.quorum_ok(process, count) is ok


def test_a_process_without_delays_counts_at_once():
    router = tracked_process()
    outputs = router.process_count("p", 0, SECOND_NS)
    assert outputs[:2] == [
        Log("Quorum {} for tracked process {}", ("lost", "p")),
        TrackerChanged("process", "p", False, "quorum lost"),
    ]
    assert router.state_of("VI") is State.FAULT
    router.process_count("p", 1, 2 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


def test_terminate_delay_forgives_a_restart():
    router = tracked_process(terminate_delay_ns=2 * SECOND_NS, fork_delay_ns=3 * SECOND_NS)
    assert router.process_count("p", 0, SECOND_NS) == []
    assert router.process_count("p", 1, 2 * SECOND_NS) == []
    assert kinds(router.advance(3 * SECOND_NS), TrackerChanged) == []
    router.process_count("p", 0, 5 * SECOND_NS)
    router.advance(7 * SECOND_NS - 1)
    assert router.state_of("VI") is not State.FAULT
    router.advance(7 * SECOND_NS)
    assert router.state_of("VI") is State.FAULT
    router.process_count("p", 1, 8 * SECOND_NS)
    router.advance(11 * SECOND_NS - 1)
    assert router.state_of("VI") is State.FAULT
    router.advance(11 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


def test_the_delay_follows_the_event_a_fork_too_many_waits_fork_delay():
    fields = {"quorum": 0, "quorum_max": 0, "fork_delay_ns": 3 * SECOND_NS}
    router = tracked_process(0, **fields)
    router.process_count("p", 1, SECOND_NS)
    assert router.state_of("VI") is State.BACKUP
    router.advance(4 * SECOND_NS)
    assert router.state_of("VI") is State.FAULT
    router.process_count("p", 0, 5 * SECOND_NS)  # an exit, and no terminate_delay
    assert router.state_of("VI") is State.BACKUP


def test_a_reload_judges_the_known_count_by_the_new_quorum():
    router = tracked_process(1)
    process = ProcessConfig(name="p", process="haproxy", quorum=2)
    router.reload(router_config(instance(track_processes=(Track("p"),)), processes=(process,)), SECOND_NS)
    assert router.state_of("VI") is State.FAULT
    assert router.process_count("gone", 1, SECOND_NS) == []


# --- §3.3, §1.5 interfaces


def debounced(**fields: Any) -> VrrpRouter:
    delay = InterfaceDelay(interface="eth0", down_ns=2 * SECOND_NS, up_ns=SECOND_NS)
    return started(router_config(instance(), interface_delays=(delay,)), **fields)


def test_an_interface_that_flaps_is_forgotten():
    router = debounced()
    router.interface_changed("eth0", False, SECOND_NS)
    router.advance(2 * SECOND_NS)
    router.interface_changed("eth0", True, 3 * SECOND_NS - 1)
    assert kinds(router.advance(3 * SECOND_NS), TrackerChanged) == []
    assert router.state_of("VI") is State.BACKUP


def test_an_interface_that_stays_down_is_down_after_its_delay():
    router = debounced()
    router.interface_changed("eth0", False, SECOND_NS)
    router.advance(3 * SECOND_NS - 1)
    assert router.state_of("VI") is State.BACKUP
    outputs = router.advance(3 * SECOND_NS)
    assert outputs[:2] == [
        Log("Netlink reports {} {}", ("eth0", "down")),
        TrackerChanged("interface", "eth0", False, "down"),
    ]
    assert router.state_of("VI") is State.FAULT
    router.interface_changed("eth0", True, 4 * SECOND_NS)
    assert router.state_of("VI") is State.FAULT
    router.advance(5 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


def test_the_debounce_begins_once_the_interface_has_been_up():
    router = debounced(interfaces_down=frozenset({"eth0"}))
    router.interface_changed("eth0", True, SECOND_NS)
    assert router.state_of("VI") is State.BACKUP
    router.interface_changed("eth0", False, 2 * SECOND_NS)
    assert router.state_of("VI") is State.BACKUP


@pytest.mark.parametrize(("weight", "priority"), [(30, 100), (-30, 70)])
def test_a_weighted_interface_moves_the_priority(weight, priority):
    router = started(router_config(instance(track_interfaces=(Track("eth1", weight),))))
    router.interface_changed("eth1", False, SECOND_NS)
    assert router.instances["VI"].state.priority == priority
    router.interface_changed("eth1", True, SECOND_NS)
    assert router.instances["VI"].state.priority == (130 if weight > 0 else 100)


def test_an_interface_that_nobody_tracks_says_nothing():
    router = started(router_config(instance()))
    assert router.interface_changed("eth7", False, SECOND_NS) == []


# --- K15


@pytest.mark.parametrize(
    ("dialect", "unicast", "state"),
    [
        (KEEPALIVED_2_2_7, True, State.FAULT),
        (KEEPALIVED_2_2_7, False, State.BACKUP),  # mcast_src_ip need not be there
        (KEEPALIVED_2_3_3, True, State.BACKUP),
    ],
)
def test_K15_a_missing_source_address(dialect, unicast, state):
    peers = (UnicastPeer(address(2)),) if unicast else ()
    router = started(router_config(instance(source=address(77), unicast_peers=peers)), dialect)
    assert router.state_of("VI") is state
    router.source_changed("eth0", 4, address(77), SECOND_NS)  # too late
    assert router.state_of("VI") is state
