"""Skew_Time and Master_Down_Interval: every table of rfc.md §2.4, §9.4 and keepalived.md §2.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpsim.protocol.configuration import SECOND_NS
from vrrpsim.protocol.dialect import SkewRounding
from vrrpsim.protocol.timers import CENTISECOND_NS, master_down_interval_ns, skew_time_ns

EXACT, MICRO, CENTI = SkewRounding.NANOSECONDS, SkewRounding.MICROSECONDS, SkewRounding.CENTISECONDS

# rfc.md §9.4: version, priority, interval, skew_ns, down_ns
EXACT_VECTORS = [
    (3, 255, 100 * CENTISECOND_NS, 3_906_250, 3_003_906_250),
    (3, 254, 100 * CENTISECOND_NS, 7_812_500, 3_007_812_500),
    (3, 200, 100 * CENTISECOND_NS, 218_750_000, 3_218_750_000),
    (3, 100, 100 * CENTISECOND_NS, 609_375_000, 3_609_375_000),
    (3, 1, 100 * CENTISECOND_NS, 996_093_750, 3_996_093_750),
    (3, 100, 1 * CENTISECOND_NS, 6_093_750, 36_093_750),
    (3, 255, 1 * CENTISECOND_NS, 39_062, 30_039_062),
    (3, 200, 10 * CENTISECOND_NS, 21_875_000, 321_875_000),
    (3, 190, 10 * CENTISECOND_NS, 25_781_250, 325_781_250),
    (3, 100, 400 * CENTISECOND_NS, 2_437_500_000, 14_437_500_000),
    (3, 1, 4095 * CENTISECOND_NS, 40_790_039_062, 163_640_039_062),
    (3, 254, 4095 * CENTISECOND_NS, 319_921_875, 123_169_921_875),
    (2, 255, 1 * SECOND_NS, 3_906_250, 3_003_906_250),
    (2, 100, 1 * SECOND_NS, 609_375_000, 3_609_375_000),
    (2, 1, 1 * SECOND_NS, 996_093_750, 3_996_093_750),
    (2, 100, 5 * SECOND_NS, 609_375_000, 15_609_375_000),
    (2, 100, 255 * SECOND_NS, 609_375_000, 765_609_375_000),
]

# rfc.md §2.4: priority, interval in cs, then skew and down, exact (in cs) and in whole cs
WHOLE_CENTISECOND_VECTORS = [
    (255, 100, 0.390625, 0, 300.390625, 300),
    (254, 100, 0.78125, 0, 300.78125, 300),
    (200, 100, 21.875, 21, 321.875, 321),
    (150, 100, 41.40625, 41, 341.40625, 341),
    (100, 100, 60.9375, 60, 360.9375, 360),
    (1, 100, 99.609375, 99, 399.609375, 399),
    (100, 200, 121.875, 121, 721.875, 721),
    (100, 1000, 609.375, 609, 3609.375, 3609),
    (200, 10, 2.1875, 2, 32.1875, 32),
    (190, 10, 2.578125, 2, 32.578125, 32),
    (100, 1, 0.609375, 0, 3.609375, 3),
    (255, 4095, 15.99609375, 15, 12300.99609375, 12300),
    (1, 4095, 4079.00390625, 4079, 16364.00390625, 16364),
]
# rfc.md §2.4, version 2: priority, interval in s, skew and down in s
V2_SECONDS_VECTORS = [
    (100, 1, 0.609375, 3.609375),
    (254, 1, 0.0078125, 3.0078125),
    (1, 1, 0.99609375, 3.99609375),
    (100, 5, 0.609375, 15.609375),
    (100, 255, 0.609375, 765.609375),
]

# keepalived.md §2.2, microseconds
PRIORITIES = (255, 254, 150, 103, 102, 101, 100, 50, 1)
ONE_SECOND_SKEW = (3_906, 7_812, 414_062, 597_656, 601_562, 605_468, 609_375, 804_687, 996_093)
KEEPALIVED_SKEW = {
    (2, 1_000): ONE_SECOND_SKEW,
    (3, 1_000): ONE_SECOND_SKEW,
    (3, 250): (976, 1_953, 103_515, 149_414, 150_390, 151_367, 152_343, 201_171, 249_023),
}
KEEPALIVED_DOWN = {
    (2, 1_000): tuple(3_000_000 + skew for skew in ONE_SECOND_SKEW),
    (2, 2_000): tuple(6_000_000 + skew for skew in ONE_SECOND_SKEW),
    (3, 1_000): tuple(3_000_000 + skew for skew in ONE_SECOND_SKEW),
    (3, 250): (750_976, 751_953, 853_515, 899_414, 900_390, 901_367, 902_343, 951_171, 999_023),
    (3, 100): (300_390, 300_781, 341_406, 359_765, 360_156, 360_546, 360_937, 380_468, 399_609),
}


@pytest.mark.parametrize(("version", "priority", "interval_ns", "skew_ns", "down_ns"), EXACT_VECTORS)
def test_the_rfc_computes_in_nanoseconds(version, priority, interval_ns, skew_ns, down_ns):
    assert skew_time_ns(version, priority, interval_ns, EXACT) == skew_ns
    assert master_down_interval_ns(version, priority, interval_ns, 3, EXACT) == down_ns


@pytest.mark.parametrize("row", WHOLE_CENTISECOND_VECTORS)
def test_frr_truncates_to_whole_centiseconds(row):
    priority, interval_cs, exact_skew, skew_cs, exact_down, down_cs = row
    interval_ns = interval_cs * CENTISECOND_NS
    assert skew_time_ns(3, priority, interval_ns, CENTI) == skew_cs * CENTISECOND_NS
    assert master_down_interval_ns(3, priority, interval_ns, 3, CENTI) == down_cs * CENTISECOND_NS
    assert skew_time_ns(3, priority, interval_ns, EXACT) == int(exact_skew * CENTISECOND_NS)
    assert master_down_interval_ns(3, priority, interval_ns, 3, EXACT) == int(exact_down * CENTISECOND_NS)


@pytest.mark.parametrize(("priority", "interval_s", "skew_s", "down_s"), V2_SECONDS_VECTORS)
def test_version_2_skews_by_seconds_whatever_the_interval(priority, interval_s, skew_s, down_s):
    interval_ns = interval_s * SECOND_NS
    assert skew_time_ns(2, priority, interval_ns, EXACT) == int(skew_s * SECOND_NS)
    assert master_down_interval_ns(2, priority, interval_ns, 3, EXACT) == int(down_s * SECOND_NS)


@pytest.mark.parametrize(("version", "interval_ms"), KEEPALIVED_SKEW)
def test_keepalived_truncates_skew_to_microseconds(version, interval_ms):
    found = tuple(skew_time_ns(version, p, interval_ms * 1_000_000, MICRO) for p in PRIORITIES)
    assert found == tuple(us * 1_000 for us in KEEPALIVED_SKEW[version, interval_ms])


@pytest.mark.parametrize(("version", "interval_ms"), KEEPALIVED_DOWN)
def test_keepalived_master_down_interval(version, interval_ms):
    found = tuple(master_down_interval_ns(version, p, interval_ms * 1_000_000, 3, MICRO) for p in PRIORITIES)
    assert found == tuple(us * 1_000 for us in KEEPALIVED_DOWN[version, interval_ms])


def test_down_timer_adverts_replaces_the_three():
    assert master_down_interval_ns(2, 100, SECOND_NS, 1, MICRO) == 1_609_375_000
    assert master_down_interval_ns(2, 100, SECOND_NS, 5, MICRO) == 5_609_375_000


@given(
    version=st.sampled_from((2, 3)),
    priority=st.integers(0, 255),
    interval_cs=st.integers(0, 4095),
    rounding=st.sampled_from(SkewRounding),
)
def test_truncation_only_ever_shortens_and_less_than_its_unit(version, priority, interval_cs, rounding):
    interval_ns = interval_cs * CENTISECOND_NS
    unit_ns = {EXACT: 1, MICRO: 1_000, CENTI: CENTISECOND_NS}[rounding]
    lost_256 = (256 - priority) * (interval_ns if version == 3 else SECOND_NS) - 256 * skew_time_ns(
        version, priority, interval_ns, rounding
    )
    assert 0 <= lost_256 < 256 * unit_ns
