import json
from dataclasses import replace
from decimal import Decimal

import pytest
from pair import MS, VIP, S, scenario, trace

from vrrpsim.measure import measure
from vrrpsim.measure.failovers import FailoverKind
from vrrpsim.measure.seconds import fixed_s, seconds, short_s, to_json
from vrrpsim.scenario.model import Bound, Expect, Owns
from vrrpsim.trace import (
    AddressChange,
    Fault,
    FaultEnd,
    Level,
    PriorityChange,
    StateChange,
    Trace,
    TrackerChange,
)


@pytest.fixture
def result():
    return measure(scenario(), trace())


def test_a_crash_and_its_repair_are_two_failovers(result):
    crash, repair = result.failovers
    assert (crash.address, crash.old, crash.new, str(crash.cause)) == (VIP, "lb1", "lb2", "kill lb1/haproxy")
    assert (repair.old, repair.new, str(repair.cause)) == ("lb2", "lb1", "end of kill lb1/haproxy")
    assert crash.length_ns == 4562 * MS + 300_000
    assert repair.length_ns == 4167 * MS


def test_the_waterfall_says_where_the_time_went_and_which_keyword_governs_it(result):
    crash = result.failovers[0]
    assert [(part.name, part.length_ns) for part in crash.parts] == [
        ("detect", 1400 * MS),
        ("elect", 3162 * MS),
        ("claim", 400_000),
        ("relearn", 100_000),
        ("serve", 37 * MS + 500_000),
    ]
    assert [part.keyword for part in crash.parts] == [
        "chk_haproxy interval 2 × fall 1",
        "advert_int 1 × 3 + skew 0.602 s (priority 102)",
        "garp_master_repeat 5",
        "garp_master_repeat 5",
        "a request every 100 ms",
    ]
    assert crash.total_ns == sum(part.length_ns for part in crash.parts)


def test_the_repair_is_detected_by_rise(result):
    assert result.failovers[1].parts[0].keyword == "chk_haproxy interval 2 × rise 1"


def test_a_daemon_that_starts_again_is_noticed_when_it_takes_part():
    """The return after `start` is detected when the instance leaves INIT, not at the last advert it heard."""
    run = trace()
    run.records = [
        StateChange(r.at_ns, "lb1", "VI_1", "INIT", "BACKUP", "init")
        if isinstance(r, TrackerChange) and r.ok
        else r
        for r in run.records
        if not (isinstance(r, PriorityChange) and r.at_ns > 30 * S)
    ]
    [_, back] = measure(scenario(), run).failovers
    assert (back.new, back.kind, back.parts[0].length_ns) == ("lb1", FailoverKind.RETURN, 1400 * MS)


def test_the_first_election_is_no_failover():
    quiet = trace()
    quiet.records = [record for record in quiet.records if record.at_ns < 12 * S]
    assert measure(scenario(), quiet).failovers == ()


def test_harm_to_a_bystander_explains_nothing():
    run = trace()
    run.records = [r._replace(resolved=("lb2/haproxy",)) if isinstance(r, Fault) else r for r in run.records]
    assert ("lb1", "lb2") not in [(each.old, each.new) for each in measure(scenario(), run).failovers]


def test_all_expectations_hold(result):
    assert [verdict.ok for verdict in result.expectations] == [True] * 8
    assert result.verdict == "pass"


@pytest.mark.parametrize(
    ("bound", "ok"),
    [
        (Bound("failover", None, "max", 4 * S), False),
        (Bound("failover", None, "min", 4 * S), True),
        (Bound("outage", None, "max", 4 * S), False),
        (Bound("dual_master", None, "max", 0), False),
        (Bound("vacancy", None, "max", 0), True),
        (Bound("moves", None, "max", 1), False),
        (Bound("outage", "nobody", "max", 4 * S), None),
    ],
)
def test_bounds(bound, ok):
    [verdict] = measure(scenario(expect=Expect(bounds=(bound,))), trace()).expectations
    assert verdict.ok is ok


@pytest.mark.parametrize(
    ("wanted", "measure_", "ok"),
    [
        (Owns(11 * S, "lb1"), "owner", True),
        (Owns(11 * S, "lb1", VIP), f"owner.{VIP}", True),
        (Owns(11 * S, "lb2", VIP), f"owner.{VIP}", False),
        (Owns(11 * S, "lb1", "10.9.9.9"), "owner.10.9.9.9", None),  # nobody ever had it
        (Owns("end", "lb1", VIP), f"owner.{VIP}", True),
    ],
)
def test_owners_of_all_addresses_or_of_one(wanted, measure_, ok):
    [verdict] = measure(scenario(expect=Expect(owner=(wanted,))), trace()).expectations
    assert (verdict.measure, verdict.statistic, verdict.ok) == (measure_, "at", ok)


def test_a_bound_on_failovers_without_a_failover_is_unknown():
    empty = Trace()
    empty.end_ns = 45 * S
    result = measure(scenario(expect=Expect(bounds=(Bound("failover", None, "max", S),))), empty)
    assert result.verdict == "unknown"


def test_an_outage_within_its_bound_that_is_not_over_is_unknown():
    run = trace()
    run.records = [record for record in run.records if record.at_ns < 13 * S]
    run.end_ns = 14 * S
    within, beyond = Bound("outage", None, "max", 3 * S), Bound("outage", None, "max", 1 * S)
    verdicts = measure(scenario(expect=Expect(bounds=(within, beyond))), run).expectations
    assert [verdict.ok for verdict in verdicts] == [None, False]


def test_percentiles_speak_of_a_sweep():
    assert measure(scenario(expect=Expect(bounds=(Bound("failover", None, "p95", 1),))), trace()).verdict == (
        "none"
    )


def test_no_client_no_relearn_and_the_total_ends_with_the_claim():
    crash = measure(scenario(clients={}), trace()).failovers[0]
    assert [part.length_ns for part in crash.parts[3:]] == [None, None]
    assert crash.total_ns == 4562 * MS + 400_000


def test_the_document_has_the_keys_of_the_design(result):
    document = json.loads(result.to_json())
    wanted = "failovers tenures dual_master vacancies clients events counts digest seed verdict expectations"
    assert set(wanted.split()) <= set(document)
    assert document["clients"]["web"].keys() == {"outages", "longest_outage_s", "answered", "lost"}
    assert document["events"] == [
        {"at_s": 12.0, "verb": "kill", "target": "lb1/haproxy", "until_s": 30.0, "name": "fault"}
    ]


def test_times_keep_nine_digits_and_two_measurements_are_the_same_bytes(result):
    assert '"fault_s": 12.000000000' in result.to_json()
    assert '"owner_s": 16.562300000' in result.to_json()
    assert result.to_json() == measure(scenario(), trace()).to_json()


def test_counts_that_were_not_recorded_are_null():
    run = trace()
    run.level = Level.STATES
    counts = measure(scenario(), run).counts
    assert counts["adverts"] is None
    assert counts["transitions"] == 7


def test_measuring_depends_on_nothing_but_its_arguments(result):
    assert replace(result) == measure(scenario(), trace())


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "0.000000000"), (1, "0.000000001"), (3_601_562_000, "3.601562000")]
)
def test_seconds_are_exact(ns, text):
    assert to_json(seconds(ns)) == text
    assert Decimal(text) * S == ns


def test_short_and_fixed_seconds():
    assert [short_s(ns) for ns in (S, 250 * MS, 0)] == ["1", "0.25", "0"]
    assert [fixed_s(ns) for ns in (999_999_999, 499_999, 500_000)] == ["1.000", "0.000", "0.001"]


def test_harm_after_the_old_owner_lost_the_address_explains_nothing():
    run = trace()
    lost = next(r for r in run.records if isinstance(r, AddressChange) and not r.present)
    run.records.remove(lost)
    run.records += [lost._replace(at_ns=13 * S), Fault(14 * S, 1, "", "link_down", "", ("lb1/eth0",))]
    run.records.sort(key=lambda record: record.at_ns)
    assert str(measure(scenario(), run).failovers[0].cause) == "kill lb1/haproxy"


def test_a_fault_is_answered_once():
    run = trace()
    run.records = [r for r in run.records if not isinstance(r, FaultEnd)]
    flap = [AddressChange(at * S, "lb2", "eth0", VIP, at % 2 == 0) for at in (36, 37, 38, 39)]
    run.records += flap
    result = measure(scenario(), run)
    assert result.ownerships[0].moves == 4
    assert [(each.old, each.new) for each in result.failovers] == [("lb1", "lb2")]


def test_who_comes_to_help_in_a_vacancy_did_not_cause_the_failover():
    run = trace()
    lost = next(r for r in run.records if isinstance(r, AddressChange) and not r.present)
    run.records.remove(lost)
    run.records += [lost._replace(at_ns=13 * S), Fault(14 * S, 1, "", "start", "", ("lb2/keepalived",))]
    run.records.sort(key=lambda record: record.at_ns)
    assert str(measure(scenario(), run).failovers[0].cause) == "kill lb1/haproxy"
