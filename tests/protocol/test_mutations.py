"""Bugs planted in the engine: the property suite, as it stands, catches each of them.

A mutant is one pure function of `vrrpsim.protocol` replaced by a wrong one. The properties are those of
`test_properties`, with the same examples for all mutants; nothing here asserts anything of its own. The
sound engine passes them all.
"""

from copy import copy
from dataclasses import replace

import pytest
import test_properties

from vrrpsim.protocol import fsm, packet, reception, router

EXAMPLES = 30  # of each property

heard, became, left, abdicated = fsm._backup_hears, fsm._become_master, fsm._leave_master, fsm._abdicate
beats, check = fsm._beats, reception.check_advert


def without(step, *kinds):
    return step._replace(actions=tuple(each for each in step.actions if not isinstance(each, kinds)))


def ignores_priority_0(rules, state, deadline_ns, advert, source, now_ns):
    if advert.priority == 0:
        return fsm.Step(state, deadline_ns)
    return heard(rules, state, deadline_ns, advert, source, now_ns)


def lower_advert_restarts(rules, state, deadline_ns, advert, source, now_ns):
    step = heard(rules, state, deadline_ns, advert, source, now_ns)
    if 0 < advert.priority < state.priority:
        return step._replace(deadline_ns=now_ns + rules.down_ns(step.state))
    return step


def preempts_inverted(rules, state, deadline_ns, advert, source, now_ns):
    config = rules.config._replace(preempt=not rules.config.preempt)
    return heard(replace(rules, config=config), state, deadline_ns, advert, source, now_ns)


def lower_address_beats(priority, source, state):
    if priority == state.priority and state.source is not None:
        return int(source) < int(state.source)
    return beats(priority, source, state)


def any_hop_will_do(arrived):
    arrived = copy(arrived)
    arrived.ttl = packet.REQUIRED_TTL
    return check(arrived)


MUTANTS = {
    "priority 0 is ignored": (fsm, "_backup_hears", ignores_priority_0),
    "a lower advert restarts the timer": (fsm, "_backup_hears", lower_advert_restarts),
    "the skew is dropped": (fsm, "_skew_ns", lambda *_: 0),
    "the down timer has no skew": (
        fsm,
        "_down_ns",
        lambda version, priority, ns, adverts, rounding: adverts * ns,
    ),
    "the tie-break is reversed": (fsm, "_beats", lower_address_beats),
    "gratuitous ARP is forgotten": (fsm, "_become_master", lambda *a: without(became(*a), fsm.Announce)),
    "a Master never yields": (fsm, "_beats", lambda *_: False),
    "a Master yields to everybody": (fsm, "_beats", lambda *_: True),
    "preempt means nopreempt": (fsm, "_backup_hears", preempts_inverted),
    "version 3 waits by its own interval": (
        fsm,
        "_learned_interval_ns",
        lambda rules, *_: rules.advert_int_ns,
    ),
    "who yields keeps the address": (fsm, "_leave_master", lambda *a: without(left(*a), fsm.Release)),
    "who loses the address keeps the others": (
        fsm,
        "_abdicate",
        lambda *a: without(abdicated(*a), fsm.Release),
    ),
    "a new Master does not advertise": (fsm, "_become_master", lambda *a: without(became(*a), fsm.Advertise)),
    "the address is never taken": (fsm, "_become_master", lambda *a: without(became(*a), fsm.Acquire)),
    "the checksum is not checked": (reception, "checksum_ok", lambda *_, **__: True),
    "the TTL is not checked": (router, "check_advert", any_hop_will_do),
}


def broken() -> str:
    """The first property that does not hold; "" if all do."""
    for name, check_property in test_properties.PROPERTIES.items():
        try:
            check_property(EXAMPLES)
        except (AssertionError, pytest.fail.Exception):
            return name
    return ""


@pytest.mark.slow
def test_the_sound_engine_passes():
    assert broken() == ""


@pytest.mark.slow
@pytest.mark.parametrize("planted", MUTANTS)
def test_a_planted_bug_is_caught(planted, monkeypatch):
    monkeypatch.setattr(*MUTANTS[planted])
    assert broken()
