"""What a time is said to be due to accounts for its length, in every shipped and recorded scenario."""

from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.measure.failovers import FailoverKind
from vrrpsim.measure.keywords import LATE_NS

ROOT = Path(__file__).parents[2]
FILES = {
    str(path.relative_to(ROOT)): path
    for path in (*ROOT.glob("scenarios/*.yaml"), *ROOT.glob("tests/groundtruth/*/scenario.yaml"))
}


def check(result):
    """No keyword contradicts its length; parts add up to totals to the nanosecond."""
    for each in result.failovers:
        known = [part for part in each.parts if part.length_ns is not None]
        for part in known:
            assert part.keyword or part.length_ns <= LATE_NS
            assert part.least_ns - LATE_NS <= part.length_ns <= part.most_ns + LATE_NS, part
        if each.total_ns is not None:
            assert sum(part.length_ns for part in known) == each.total_ns
    for name, view in result.clients.items():
        for outage, parts in zip(view.outages, result.why[name], strict=True):
            assert sum(part.length_ns for part in parts) == outage.length_ns
            assert [part.end_ns for part in parts[:-1]] == [part.start_ns for part in parts[1:]]
            assert (parts[0].start_ns, parts[-1].end_ns) == (outage.start_ns, outage.end_ns)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FILES))
def test_keywords_account_for_their_lengths(name):
    for seed in (1, 2):
        check(vrrpsim.load(FILES[name]).run(seed=seed).result)


def run(name, **options):
    return vrrpsim.load(ROOT / "scenarios" / f"{name}.yaml").run(**options).result


def test_a_healed_partition_has_its_stale_neighbour_entry():
    result = run("partition")
    [parts] = result.why["web"]
    assert parts[0].cause == "the client's cache points to lb2"
    assert str(parts[0].event) == "end of partition lb1 | lb2"
    assert parts[0].keyword == "neighbour cache, garp_master_refresh 0"
    assert parts[0].length_ns > 0.99 * result.clients["web"].longest_ns
    assert [each.kind for each in result.failovers] == [FailoverKind.TAKEOVER, FailoverKind.HEAL]


def test_who_follows_a_sync_group_waited_as_long_as_the_one_who_led():
    result = run("sync-group")
    [parts] = result.why["internet"]
    assert parts[0].keyword == "advert_int 1 × 3 + skew 0.453 s (priority 140) of INSIDE, in the sync group"
    assert abs(parts[0].length_ns - 3_453_000_000) < 1_000_000_000  # less the age of the last advert


def test_until_the_second_burst_the_keyword_is_its_delay(tmp_path):
    """Unicast adverts have the card's MAC: the switch learns the place of the VMAC from gratuitous ARP."""
    files = sorted((ROOT / "tests/cases/dual-vmac").glob("*.conf"))
    vrrpsim.init(*files, out=tmp_path / "my.yaml")
    result = vrrpsim.load(tmp_path / "my.yaml").run().result
    *_, parts = result.why["client-MAIN4"]
    assert parts[0].cause == "the switch sends to b"
    assert parts[0].keyword == "garp_master_delay 5"
    assert 4.8e9 < parts[0].length_ns < 5e9


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("haproxy-crash", [FailoverKind.TAKEOVER, FailoverKind.RETURN]),
        ("packet-loss", [FailoverKind.FALSE_TAKEOVER, FailoverKind.FALSE_TAKEOVER, FailoverKind.HEAL]),
        ("one-way-partition", [FailoverKind.TAKEOVER, FailoverKind.HEAL]),
    ],
)
def test_kinds_are_told_apart(name, kinds):
    assert [each.kind for each in run(name).failovers] == kinds


def test_a_false_takeover_counts_from_the_last_advert_that_came():
    for each in run("packet-loss").failovers:
        if each.kind is FailoverKind.FALSE_TAKEOVER:
            assert each.length_ns < 4_000_000_000
