"""3,000 clusters of any keywords and events: nothing breaks, and what is measured agrees with itself.

Every fiftieth has the same digest without fast-forward. What failed is told by seed:
`wild_scenario(SEED)` is its document.
"""

import pytest
from wild_cluster import wild_scenario

from vrrpsim.findings import InputError
from vrrpsim.measure.failovers import FailoverKind
from vrrpsim.measure.keywords import LATE_NS
from vrrpsim.measure.ownership import changes_of_owner
from vrrpsim.measure.result import measure
from vrrpsim.scenario.file.reader import scenario_of
from vrrpsim.trace import Level
from vrrpsim.world import simulate

SEEDS, PARTS = 3000, 10


def ran(seed):
    """The run of a seed; None where keepalived exits, which few configurations lead to."""
    try:
        scenario = scenario_of(wild_scenario(seed))
    except InputError:
        return None
    trace = simulate(scenario, level=Level.STATES)
    if seed % 50 == 0:
        assert trace.digest() == simulate(scenario, level=Level.STATES, fast_forward=False).digest()
    return measure(scenario, trace)


def by_brute_force(owned):
    """Instant by instant: who is elected while another one owns the address, or was the last to."""
    found, last = [], set()
    instants = sorted({at for t in owned.tenures for at in (t.start_ns, t.end_ns)})
    for at_ns in instants:
        owners = {t.node for t in owned.tenures if t.start_ns <= at_ns < t.end_ns}
        begun = {t.node for t in owned.tenures if t.start_ns == at_ns and not t.resumed}
        found += [(at_ns, node) for node in begun if last and node not in last]
        last = owners or last
    return sorted(found)


def check(result):
    """Parts add up, keywords account for their lengths, no failover is lost or invented."""
    for each in result.failovers:
        known = [part for part in each.parts if part.length_ns is not None]
        for part in known:
            assert part.keyword or part.length_ns <= LATE_NS, part
            assert part.least_ns - LATE_NS <= part.length_ns <= part.most_ns + LATE_NS, part
        if each.total_ns is not None:
            assert sum(part.length_ns for part in known) == each.total_ns
    for name, view in result.clients.items():
        for outage, parts in zip(view.outages, result.why[name], strict=True):
            assert sum(part.length_ns for part in parts) == outage.length_ns
            assert (parts[0].start_ns, parts[-1].end_ns) == (outage.start_ns, outage.end_ns)
    for owned in result.ownerships:
        changes = [(new.start_ns, new.node) for _, new in changes_of_owner(owned)]
        assert sorted(changes) == by_brute_force(owned)
        told = [each for each in result.failovers if each.address == owned.address]
        moved = [(each.owner_ns, each.new) for each in told if each.kind is not FailoverKind.HEAL]
        assert len(moved) == len({*moved})
        assert {*moved} <= {*changes}
        healed = [each.owner_ns for each in told if each.kind is FailoverKind.HEAL]
        assert {*healed} <= {span.end_ns for span in owned.dual_master}
        for off in (each for each in result.events if each.verb == "power_off"):
            lost = [t for t in owned.tenures if t.end_ns == off.at_ns and t.node in off.targets]
            heirs = [change for change in changes if change[0] > off.at_ns][:1]
            if lost and owned.line.at(off.at_ns) == () and heirs and heirs[0][1] != lost[0].node:
                assert heirs[0] in moved, "a failover is lost"
    result.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_wild_clusters(part):
    refused, broken = 0, {}
    for seed in range(part, SEEDS, PARTS):
        try:
            result = ran(seed)
            refused += result is None
            if result is not None:
                check(result)
        except Exception as error:
            broken[seed] = error
    assert not broken, "\n".join(f"{seed}: {error!r}"[:400] for seed, error in broken.items())
    assert refused < SEEDS / PARTS / 10
