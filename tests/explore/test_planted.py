"""Flaws planted in scenarios: each is met within a few seconds and shrunk to at most two events."""

import shutil
import time
from pathlib import Path

import pytest

import vrrpsim

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.fixture
def copied(tmp_path):
    """The shipped scenarios where a hunt may write beside them."""
    return Path(shutil.copytree(SCENARIOS, tmp_path / "scenarios"))


@pytest.mark.parametrize(
    ("name", "invariant", "schedules"),
    [
        ("weight-versus-nopreempt", "healthy-owner", 200),
        ("weight-too-small", "healthy-owner", 200),
        ("one-way-partition", "no-split-brain", 200),
        ("planted/advert-storm", "bounded-adverts", 100),
        ("planted/duplicate-address", "recovers", 100),
    ],
)
def test_it_is_found_and_made_small(copied, name, invariant, schedules):
    began = time.process_time()
    outcome = vrrpsim.load(copied / f"{name}.yaml").hunt(max_examples=schedules).outcome
    assert time.process_time() - began < 60
    found = [each for each in outcome.findings if invariant in (each.violation.invariant, *each.also)]
    assert len(found) == 1
    assert len(found[0].events) <= 2
    assert len(found[0].story) == 5
    assert found[0].alone
    assert vrrpsim.load(found[0].path).run().verdict == "fail"


def test_without_the_flaw_nothing_storms(copied):
    """keepalived ignores its twin (FSM-32) where RFC 9568 to the letter answers it."""
    path = copied / "planted/advert-storm.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("rfc9568-literal", "keepalived-2.2.7"), encoding="utf-8"
    )
    outcome = vrrpsim.load(path).hunt(max_examples=60, faults=["pause", "partition"]).outcome
    assert outcome.coverage.met["pause", "MASTER"]
    assert outcome.coverage.met["partition", "MASTER"]
    broken = {name for each in outcome.findings for name in (each.violation.invariant, *each.also)}
    assert "bounded-adverts" not in broken
