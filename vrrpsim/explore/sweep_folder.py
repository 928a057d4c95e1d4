"""A sweep on disk: Parquet parts that are there completely or not at all, and a manifest.

Part n holds the seeds n·`PART` to (n + 1)·`PART` - 1 in the order of the sweep, of all cells, so neither who
worked nor how often it was interrupted can be seen in the bytes. A part is written when its last run has
come, and every `FLUSH_S` as far as it is. Columns: what was varied, `cell`, `seed`, times in ns.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vrrpsim.atomic_write import CannotWrite, whole, write_whole

from .packed_rows import MISSING, Array, PackedRows, Packer, small
from .sweep_manifest import NAME, FolderError, Manifest, read_manifest, same_sweep
from .sweep_result import Variant, packer_of
from .table import arrow_and_parquet
from .trial import COUNTS, Batch, TrialRow, measures

PART = 1000  # seeds
FLUSH_S = 10.0  # what a killed sweep loses at most
ABOUT = b"vrrpsim"  # the key of a part's own notes
SEED, CELL, OVERLAP, WEIGHT = "seed", "cell", "overlap_ns", "log_weight"


@dataclass(slots=True)
class PartFile:
    """Runs that belong into one file. `whole`: none is missing."""

    packers: list[Packer]
    errors: list[dict[int, str]]
    seeds: list[set[int]]  # of each cell, what has come
    issued: int = 0  # seeds that belong here, so far
    closed: bool = False  # all are issued
    dirty: bool = False
    whole: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything has come."""
        return self.closed and all(len(each) == self.issued for each in self.seeds)

    def has(self, seed: int) -> bool:
        """Whether a seed has run in every cell."""
        return self.whole or all(seed in each for each in self.seeds)


class SweepFolder:
    """Where the runs of a sweep go as they come."""

    def __init__(
        self, folder: Path, manifest: Manifest, packers: Sequence[Packer], *, resume: bool = False
    ) -> None:
        self._folder, self._manifest = folder, manifest
        self._parts: dict[int, PartFile] = {}
        self._firsts: list[int] = []  # the first seed of each part that was begun
        self._numbers: list[int] = []
        self._next = manifest.plan.first
        self._flushed_s = time.monotonic()
        self.errors: list[dict[int, str]] = [{} for _ in manifest.variants]
        self.ran = 0
        self._found: dict[int, PartFile] = {}
        arrow_and_parquet()
        _begin(folder, manifest, resume)
        for number, part in _read(folder, manifest, packers):
            self._found[number] = part
            for cell, errors in enumerate(part.errors):
                self.errors[cell].update(errors)
            self.ran += sum(map(len, part.seeds))
            if part.whole:  # nothing will be asked of it
                part.packers, part.seeds = [], []

    def missing(self, seeds: Iterable[int]) -> Iterator[int]:
        """Return those of the next seeds that have not run yet."""
        for seed in seeds:
            number = self._next // PART
            self._next += 1
            if not self._numbers or self._numbers[-1] != number:
                self._close()
                self._numbers.append(number)
                self._firsts.append(seed)
                self._parts[number] = self._found.pop(number) if number in self._found else self._new()
            part = self._parts[number]
            part.issued += 1
            if not part.has(seed):
                yield seed
        if self._next - self._manifest.plan.first == self._manifest.plan.share:
            self._close()

    def _new(self) -> PartFile:
        variants = self._manifest.variants
        packers = [packer_of(each.scenario, self._manifest.plan.rare) for each in variants]
        return PartFile(packers, [{} for _ in variants], [set() for _ in variants])

    def take(self, cell: int, batch: Batch[TrialRow]) -> None:
        """Take what came back."""
        met = set()
        for row in batch.rows:
            number = self._number_of(row.seed)
            part = self._parts[number]
            part.packers[cell].add([row])
            part.seeds[cell].add(row.seed)
            met.add(number)
        for seed, why in batch.errors:
            number = self._number_of(seed)
            self._parts[number].errors[cell][seed] = why
            self._parts[number].seeds[cell].add(seed)
            met.add(number)
        for number in met:
            self._parts[number].dirty = True
            self._finish(number)
        if time.monotonic() - self._flushed_s > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Write what there is of parts that are not complete."""
        for number, part in list(self._parts.items()):
            if part.dirty:
                self._write(number, part)
        self._flushed_s = time.monotonic()

    def _number_of(self, seed: int) -> int:
        return self._numbers[bisect_right(self._firsts, seed) - 1]

    def _close(self) -> None:
        if self._numbers and self._numbers[-1] in self._parts:
            self._parts[self._numbers[-1]].closed = True
            self._finish(self._numbers[-1])

    def _finish(self, number: int) -> None:
        part = self._parts[number]
        if part.whole or part.complete:
            if not part.whole:
                self._write(number, part)
            del self._parts[number]

    def _write(self, number: int, part: PartFile) -> None:
        rows = [packer.rows() for packer in part.packers]
        write_part(self._folder, number, self._manifest.variants, rows, part.errors, part.complete)
        part.dirty = False


def _begin(folder: Path, manifest: Manifest, resume: bool) -> None:
    """Make the folder, or see that it holds this very sweep."""
    if (folder / NAME).exists():
        if not resume:
            raise FolderError(f"{folder}: holds a sweep already; --resume goes on with it")
        same_sweep(manifest, read_manifest(folder), Path("this one"), folder, shard=True)
        for half in folder.glob(".part-*.part"):  # it was killed while it wrote
            half.unlink(missing_ok=True)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CannotWrite(f"{folder}: is not empty, and holds no sweep")
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot write there: {error.strerror}") from error
    write_whole(folder / NAME, manifest.text.encode())


def write_folder(
    folder: Path, manifest: Manifest, rows: Sequence[PackedRows], errors: Sequence[dict[int, str]]
) -> None:
    """Write a finished sweep: the bytes that it leaves if it runs in one go."""
    arrow_and_parquet()
    _begin(folder, manifest, False)
    seeds = np.unique(
        np.concatenate([*(each.seeds for each in rows), *(list(each) for each in errors)]).astype(np.int64)
    )
    for number, start in enumerate(range(0, len(seeds), PART)):
        low, high = seeds[start], seeds[min(start + PART, len(seeds)) - 1]
        some = [each.taken(np.flatnonzero((each.seeds >= low) & (each.seeds <= high))) for each in rows]
        wrong = [{seed: why for seed, why in each.items() if low <= seed <= high} for each in errors]
        write_part(folder, number, manifest.variants, some, wrong, True)


# --- one part ---------------------------------------------------------------------------------------


def write_part(
    folder: Path,
    number: int,
    variants: Sequence[Variant],
    rows: Sequence[PackedRows],
    errors: Sequence[dict[int, str]],
    complete: bool,
) -> None:
    """Write one part whole."""
    arrow, parquet = arrow_and_parquet()
    tables = [_table(arrow, cell, *each) for cell, each in enumerate(zip(variants, rows, strict=True))]
    table = arrow.concat_tables(tables, promote_options="default")
    about = {"whole": complete, "errors": [sorted(each.items()) for each in errors]}
    table = table.replace_schema_metadata({ABOUT: json.dumps(about).encode()})
    with whole(folder / f"part-{number:06d}.parquet") as part:
        parquet.write_table(table, part, compression="zstd")


def _table(arrow: Any, cell: int, variant: Variant, rows: PackedRows) -> Any:
    def column(values: Array, kind: Any) -> Any:
        wide = values.astype(np.int64)
        return arrow.array(wide, mask=wide == MISSING).cast(kind)

    n = len(rows)
    columns = {path: arrow.array([value] * n, arrow.string()) for path, value in variant.varied.items()}
    columns[CELL] = arrow.array(np.full(n, cell, np.int32))
    columns[SEED] = arrow.array(rows.seeds.astype(np.int64))
    for name, values, cuts in zip(measures(variant.scenario), rows.values, rows.cuts, strict=True):
        columns[_label(name)] = column(values, arrow.int64())
        columns[f"{name}_cut"] = arrow.array(cuts)
    columns[OVERLAP] = column(rows.overlaps, arrow.int64())
    for at, (kept, measured) in enumerate(zip(rows.kept, rows.measured, strict=True)):
        columns[f"expectation_{at}"] = column(kept, arrow.int8())
        columns[f"expectation_{at}_measured"] = column(measured, arrow.int64())
    if rows.log_weights is not None:
        columns[WEIGHT] = arrow.array(rows.log_weights)
    return arrow.table(columns)


def _label(name: str) -> str:
    return name if name in COUNTS else f"{name}_ns"


def read_parts(folder: Path, manifest: Manifest, packers: Sequence[Packer]) -> Iterator[PartFile]:
    """Read all parts of a folder; their rows go to the packers, too."""
    return (part for _, part in _read(folder, manifest, packers))


def _read(folder: Path, manifest: Manifest, packers: Sequence[Packer]) -> Iterator[tuple[int, PartFile]]:
    _, parquet = arrow_and_parquet()
    for file in sorted(folder.glob("part-*.parquet")):
        try:
            table = parquet.read_table(file, partitioning=None)
            about = json.loads(table.schema.metadata[ABOUT])
            errors = [{int(seed): str(why) for seed, why in each} for each in about["errors"]]
            if len(errors) != len(manifest.variants):
                raise ValueError(f"errors of {len(errors)} cells")
            number = int(file.stem.removeprefix("part-"))
            part = PartFile([], errors, [set(each) for each in errors], whole=bool(about["whole"]))
            for cell, variant in enumerate(manifest.variants):
                rows = _rows(table, cell, variant, manifest.plan.rare)
                packers[cell].add_packed(rows)
                part.packers.append(packer_of(variant.scenario, manifest.plan.rare))
                part.packers[-1].add_packed(rows)
                part.seeds[cell].update(rows.seeds.tolist())
        except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
            raise FolderError(f"{file}: is no part of this sweep ({error})") from None
        yield number, part


def _rows(table: Any, cell: int, variant: Variant, weighted: bool) -> PackedRows:
    which = np.flatnonzero(table[CELL].to_numpy() == cell)
    mine = table.take(which)

    def column(name: str) -> Array:
        return small(mine[name].cast("int64").fill_null(MISSING).to_numpy())

    def flags(name: str) -> Array:
        return np.asarray(mine[name].fill_null(False).to_numpy(), np.bool_)

    names = measures(variant.scenario)
    judged = packer_of(variant.scenario, weighted).judged
    return PackedRows(
        column(SEED),
        tuple(column(_label(name)) for name in names),
        tuple(flags(f"{name}_cut") for name in names),
        column(OVERLAP),
        tuple(column(f"expectation_{at}") for at in range(judged)),
        tuple(column(f"expectation_{at}_measured") for at in range(judged)),
        mine[WEIGHT].to_numpy() if weighted else None,
    )
