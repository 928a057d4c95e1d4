"""The weight prover against brute force, and against the simulator."""

import itertools
import random
from ipaddress import ip_address

import pytest

import vrrpsim
from vrrpsim.keepalived.lint import lint
from vrrpsim.keepalived.members import members_of
from vrrpsim.keepalived.weights import Why, remedy, stuck
from vrrpsim.protocol.configuration import InstanceConfig, RouterConfig, Track, VirtualAddress
from vrrpsim.protocol.dialect import KEEPALIVED_2_2_7
from vrrpsim.protocol.tracking import Known, effective_priority, standing

VIP = (VirtualAddress(ip_address("10.0.0.100"), 24),)


def group_of(draw, nodes):
    """A virtual router with some trackers on each node, distinct priorities, now and then nopreempt."""
    priorities = draw.sample(range(2, 254), nodes)
    weights = [draw.choice([-60, -30, -10, -2, 2, 10, 30, 60]) for _ in range(2)]
    members = []
    for number, priority in enumerate(priorities):
        tracks = tuple(
            Track(f"chk{at}", weight, draw.random() < 0.1)
            for at, weight in enumerate(weights[: draw.choice([1, 1, 2])])
        )
        config = InstanceConfig(
            name="VI",
            interface="eth0",
            vrid=1,
            priority=priority,
            addresses=VIP,
            track_scripts=tracks,
            preempt=draw.random() > 0.1,
        )
        members += members_of("abc"[number], RouterConfig(instances=(config,)), KEEPALIVED_2_2_7)
    return members


def priority(member, bad):
    """What the engine's own tracking makes of it: bad is a failure, or of a reverse tracker a success."""
    config = member.config
    scripts = {track.name: (track.name in bad) == track.reverse for track in config.track_scripts}
    known = Known(interfaces_down=frozenset(), scripts=scripts, files={}, processes={})
    return effective_priority(config.priority, standing(config, config.priority, known).total)


def moves_whenever_it_must(members):
    """Every combination of bad trackers on every node: somebody who is well takes over from who is not."""
    choices = [
        [
            frozenset(bad)
            for count in range(len(member.config.track_scripts) + 1)
            for bad in itertools.combinations([track.name for track in member.config.track_scripts], count)
        ]
        for member in members
    ]
    for state in itertools.product(*choices):
        ranks = [priority(member, bad) for member, bad in zip(members, state, strict=True)]
        well = [at for at, bad in enumerate(state) if not bad]
        for holder in (at for at, bad in enumerate(state) if bad):
            below = [at for at in well if priority(members[at], ()) < priority(members[holder], ())]
            if below and not all(ranks[at] > ranks[holder] and members[at].config.preempt for at in below):
                return False
    return True


@pytest.mark.parametrize("nodes", [2, 3])
def test_the_proof_is_that_of_every_combination(nodes):
    draw, seen = random.Random(nodes), set()
    for _ in range(400):
        members = group_of(draw, nodes)
        ranks = [member.priority() for member in members]
        if len({*ranks}) < nodes:
            continue  # ties are another rule
        proved = not [*stuck(members)]
        seen.add(proved)
        if proved:
            assert moves_whenever_it_must(members) or any(not m.config.preempt for m in members)
        elif nodes == 2:
            assert not moves_whenever_it_must(members)
    assert seen == {True, False}


def test_a_remedy_is_the_smallest_that_is_proved():
    draw, mended = random.Random(5), 0
    for _ in range(60):
        members = group_of(draw, 2)
        for found in stuck(members):
            better = remedy(members, found) if found.why is Why.WEIGHT else None
            if better is None:
                continue
            weight, everywhere = better
            changed = [
                member.with_weight(found.track.name, weight)
                if everywhere or member.node == found.holder.node
                else member
                for member in members
            ]
            assert found.track.name not in {
                each.track.name for each in stuck(changed) if each.why is Why.WEIGHT
            }
            mended += 1
    assert mended > 10


def test_never_is_said_only_where_all_trackers_together_do_not_move_it():
    links = tuple(Track(f"eth{number}", -2) for number in range(3))
    members = []
    for node, priority in (("a", 105), ("b", 100)):
        config = InstanceConfig(
            name="VI", interface="eth0", vrid=1, priority=priority, addresses=VIP, track_interfaces=links
        )
        members += members_of(node, RouterConfig(instances=(config,)), KEEPALIVED_2_2_7)
    found = [finding for finding in lint(members) if finding.code == "VRRP203"]
    assert len(found) == 3
    assert {str(finding.severity) for finding in found} == {"warning"}
    assert all("alone does not move" in finding.message for finding in found)


CONF = """
vrrp_script chk {{
    script "/usr/bin/killall -0 haproxy"
    interval 1
    weight {weight}
}}
vrrp_instance VI {{
    interface eth0
    virtual_router_id 1
    priority {priority}
    {nopreempt}
    virtual_ipaddress {{ 10.0.0.100/24 }}
    track_script {{ chk }}
}}
"""


def pair_of(draw, number, nopreempt=0.15, duration=22):
    """Two nodes with a check each, as a scenario, and what the prover is given."""
    pair = vrrpsim.Scenario("pair", duration=duration, seed=number).segment("lan", subnet="10.0.0.0/24")
    for name, own in zip("ab", draw.sample(range(10, 250), 2), strict=True):
        conf = CONF.format(
            priority=own,
            weight=draw.choice([-120, -60, -20, -5, 5, 20, 60, 120]),
            nopreempt="nopreempt" if draw.random() < nopreempt else "",
        )
        pair = pair.node(
            name,
            interfaces={"eth0": {"segment": "lan", "address": f"10.0.0.{1 + (name == 'b')}/24"}},
            processes={"haproxy": {"serves": ["80/tcp"]}},
            keepalived=conf,
        )
    members = [
        member
        for name, node in pair.scenario.nodes.items()
        for member in members_of(name, node.keepalived.config, KEEPALIVED_2_2_7)
    ]
    return pair, members


@pytest.mark.slow
def test_a_proof_holds_under_two_hundred_random_schedules():
    """Services die and come back on both nodes: who alone is well for ten seconds in the end is the owner."""
    draw, schedules = random.Random(3), 0
    while schedules < 200:
        pair, members = pair_of(draw, schedules, nopreempt=0, duration=90)
        if [*stuck(members)] or members[0].priority() == members[1].priority():
            continue
        well, events = {"a": True, "b": True}, []
        for at in range(10, 70, 15):
            name = draw.choice("ab")
            events.append(
                {"at": at + draw.random() * 5, ("kill" if well[name] else "start"): f"{name}/haproxy"}
            )
            well[name] = not well[name]
        for event in events:
            pair = pair.event(**event)
        run = pair.run(level=vrrpsim.trace.Level.STATES)
        alone = [name for name, healthy in well.items() if healthy]
        if len(alone) == 1:
            [owned] = run.result.ownerships
            assert {*owned.line.at(run.trace.end_ns - 1)} == {*alone}, (schedules, events)
        schedules += 1


@pytest.mark.slow
def test_four_hundred_pairs_do_what_check_says_of_them():
    """Where it says "never moves" no seed moves; where it proves that it moves, it does."""
    draw, said = random.Random(1), {True: 0, False: 0}
    for number in range(400):
        pair, members = pair_of(draw, number)
        codes = {finding.code for finding in lint(members)} & {"VRRP203", "VRRP204", "VRRP206"}
        ranked = sorted(members, key=lambda member: -member.priority())
        if "VRRP206" in codes:
            continue
        first = ranked[0].node
        run = pair.event(at=10 + draw.random(), kill=f"{first}/haproxy").run(level=vrrpsim.trace.Level.STATES)
        [owned] = run.result.ownerships
        before, after = owned.line.at(9_999_999_999), owned.line.at(run.trace.end_ns - 1)
        if {*before} != {first}:
            continue  # it booted before the checks were known, and nopreempt leaves it there
        assert ({*after} == {first}) == bool(codes), (number, codes)
        said[bool(codes)] += 1
    assert min(said.values()) > 60
