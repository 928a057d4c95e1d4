"""The runs of a cell as columns: some tens of bytes a run, where objects take a thousand.

Times are ns. Columns that say the same are one (`_joined`), and each takes as few bytes as its values need
(`small`); `MISSING` stands where nothing was measured, so values themselves are never negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .estimates import Column
from .trial import Sample, TrialRow

MISSING = -1
AT_ONCE = 2000  # rows kept as objects before they are packed
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Runs in the order of their seeds; as a sequence they are `TrialRow` again."""

    seeds: Array
    values: tuple[Array, ...]  # each measure
    cuts: tuple[Array, ...]  # each measure: whether the horizon came first
    overlaps: Array
    kept: tuple[Array, ...]  # each expectation: 1 kept, 0 broken, MISSING nothing to judge
    measured: tuple[Array, ...]
    log_weights: Array | None  # None: every run counts as one

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, at: int) -> TrialRow:
        return next(self._some(range(len(self))[at], range(len(self))[at] + 1))

    def __iter__(self) -> Iterator[TrialRow]:
        for start in range(0, len(self), AT_ONCE):
            yield from self._some(start, start + AT_ONCE)

    def _some(self, start: int, stop: int) -> Iterator[TrialRow]:
        def plain(columns: Sequence[Array]) -> Iterator[tuple[Any, ...]]:
            lists = [column[start:stop].tolist() for column in columns]
            return zip(*lists, strict=True) if lists else iter([()] * (min(stop, len(self)) - start))

        weights = [0.0] * len(self.seeds[start:stop])
        if self.log_weights is not None:
            weights = self.log_weights[start:stop].tolist()
        each = zip(
            self.seeds[start:stop].tolist(),
            plain(self.values),
            plain(self.cuts),
            self.overlaps[start:stop].tolist(),
            plain(self.kept),
            plain(self.measured),
            weights,
            strict=True,
        )
        for seed, values, cuts, overlap_ns, kept, measured, log_weight in each:
            yield TrialRow(
                seed,
                tuple(
                    None if value == MISSING else Sample(value, bool(cut))
                    for value, cut in zip(values, cuts, strict=True)
                ),
                overlap_ns,
                tuple(
                    (None if ok == MISSING else bool(ok), None if value == MISSING else value)
                    for ok, value in zip(kept, measured, strict=True)
                ),
                log_weight,
            )

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(column.nbytes for column in {id(each): each for each in self._columns()}.values())

    def _columns(self) -> Iterator[Array]:
        yield from (self.seeds, *self.values, *self.cuts, self.overlaps, *self.kept, *self.measured)
        if self.log_weights is not None:
            yield self.log_weights

    @property
    def weights(self) -> Array | None:
        """How much each run counts; None: all alike."""
        return None if self.log_weights is None else np.exp(self.log_weights)

    def column(self, at: int) -> Column:
        """Return the n-th measure of the runs that have it."""
        there = self.values[at] != MISSING
        weights = self.weights
        return Column(
            self.values[at][there],
            self.cuts[at][there],
            None if weights is None else weights[there],
            len(self),
        )

    def taken(self, which: Array) -> PackedRows:
        """Return some of the rows: their places, in order."""
        return PackedRows(
            self.seeds[which],
            tuple(column[which] for column in self.values),
            tuple(column[which] for column in self.cuts),
            self.overlaps[which],
            tuple(column[which] for column in self.kept),
            tuple(column[which] for column in self.measured),
            None if self.log_weights is None else self.log_weights[which],
        )


class Packer:
    """Takes rows in any order; `rows()` gives all of them by seed."""

    def __init__(self, measures: int, judged: int, weighted: bool = False) -> None:
        self.measures, self.judged, self.weighted = measures, judged, weighted
        self._loose: list[TrialRow] = []
        self._chunks: list[PackedRows] = []

    def add(self, rows: Iterable[TrialRow]) -> None:
        """Take some rows."""
        self._loose.extend(rows)
        if len(self._loose) >= AT_ONCE:
            self._pack()

    def add_packed(self, rows: PackedRows) -> None:
        """Take rows that are packed already."""
        self._chunks.append(rows)

    def _pack(self) -> None:
        self._chunks.append(packed(self._loose, self.measures, self.judged, self.weighted))
        self._loose = []

    def rows(self) -> PackedRows:
        """Return everything so far by seed, each seed once."""
        if self._loose or not self._chunks:
            self._pack()
        if len(self._chunks) > 1 or not _ascending(self._chunks[0].seeds):
            seeds = np.concatenate([each.seeds for each in self._chunks])
            self._chunks = [_joined(self._chunks, np.unique(seeds, return_index=True)[1])]
        return self._chunks[0]


def packed(rows: Sequence[TrialRow], measures: int, judged: int, weighted: bool = False) -> PackedRows:
    """Pack rows with so many measures and expectations, in their order."""

    def column(values: Iterable[int | None]) -> Array:
        return small(np.array([MISSING if value is None else value for value in values], np.int64))

    samples = [[row.values[at] for row in rows] for at in range(measures)]
    return PackedRows(
        small(np.array([row.seed for row in rows], np.int64)),
        tuple(column(sample and sample.value for sample in each) for each in samples),
        tuple(np.array([bool(sample and sample.cut) for sample in each], np.bool_) for each in samples),
        column(row.overlap_ns for row in rows),
        tuple(column(row.judged[at][0] for row in rows) for at in range(judged)),
        tuple(column(row.judged[at][1] for row in rows) for at in range(judged)),
        np.array([row.log_weight for row in rows], np.float64) if weighted else None,
    )


def small(values: Array) -> Array:
    """Return the same in the narrowest signed integers that hold it."""
    if not len(values):
        return values.astype(np.int8)
    low, high = values.min(), values.max()
    for kind in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= low and high <= bounds.max:
            return values.astype(kind)
    return values


def _joined(chunks: Sequence[PackedRows], order: Array) -> PackedRows:
    """All chunks in one, column by column: no more than one column is there twice."""
    there: list[Array] = []  # what an expectation measured often is one of the measures: held once

    def one(columns: Iterable[Array]) -> Array:
        made = np.concatenate(list(columns))[order]
        for known in there:
            if known.dtype == made.dtype and np.array_equal(known, made):
                return known
        there.append(made)
        return made

    def join(name: str) -> tuple[Array, ...]:
        return tuple(map(one, zip(*(getattr(each, name) for each in chunks), strict=True)))

    weights = [each.log_weights for each in chunks if each.log_weights is not None]
    return PackedRows(
        one(each.seeds for each in chunks),
        join("values"),
        join("cuts"),
        one(each.overlaps for each in chunks),
        join("kept"),
        join("measured"),
        one(weights) if weights else None,
    )


def _ascending(seeds: Array) -> bool:
    return bool((np.diff(seeds.astype(np.int64)) > 0).all())
