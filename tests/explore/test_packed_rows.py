"""Packed rows are the rows that were packed, in the order of their seeds, in few bytes."""

import random

from vrrpsim.explore.packed_rows import AT_ONCE, Packer
from vrrpsim.explore.trial import Sample, TrialRow


def rows(count):
    draw = random.Random(count)
    for seed in range(count):
        long = draw.randrange(10**10)
        values = (
            Sample(long, draw.random() < 0.1),
            None if seed % 3 else Sample(seed),
            Sample(draw.randrange(3)),
        )
        yield TrialRow(seed, values, draw.choice([0, long]), ((None, None), (seed % 2 == 0, long)), -seed / 7)


def test_rows_are_the_same_after_packing():
    given = list(rows(2 * AT_ONCE + 7))
    packer = Packer(3, 2, weighted=True)
    mixed = random.Random(1).sample(given, len(given))
    for start in range(0, len(mixed), 50):
        packer.add(mixed[start : start + 50])
    packed = packer.rows()
    assert list(packed) == given
    assert packed[5] == given[5]
    assert packed[-1] == given[-1]
    packer.add_packed(packed)  # each seed once
    assert list(packer.rows()) == given


def test_a_run_takes_less_than_its_values_as_objects():
    packer = Packer(3, 2)
    for row in rows(5000):
        packer.add([row])
    packed = packer.rows()
    assert packed.measured[1] is packed.values[0]  # said twice, held once
    assert packed.nbytes / len(packed) < 40
    assert list(Packer(3, 2).rows()) == []
