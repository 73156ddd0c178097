"""Rows that cannot be used: why, where they stood, and what they said. None is dropped in silence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from configs.errors import ConfigError, DataError
from features.contracts import SourceCount
from features.intake.formats.texts import plain, texts
from features.intake.reading import OWN, RawRows
from features.intake.values import TIME_PROBLEMS, UNREADABLE_TIME, WRONG_TYPE
from features.tools.duckdb_sql import query

NO_ID, NO_TYPE, NO_NAME, UNREADABLE = (
    "no id",
    "no event type",
    "no attribute name",
    "unreadable row",
)
DUPLICATE, UNKNOWN_ENTITY, SKIPPED, SUPPRESSED = (
    "duplicate",
    "unknown entity",
    "skipped",
    "suppressed",
)
NO_FLAWS = (SKIPPED, SUPPRESSED)
REASONS = (
    UNREADABLE,
    NO_ID,
    *NO_FLAWS,
    *TIME_PROBLEMS,
    WRONG_TYPE,
    NO_TYPE,
    NO_NAME,
    UNKNOWN_ENTITY,
    DUPLICATE,
)
"""Why a row is not used."""
HIDDEN = "***"
"""What stands in place of a value that nobody may see."""

Rows = Callable[[np.ndarray], Iterator[RawRows]]
"""Gives the raw rows with these numbers, in pieces."""

Flaw = tuple[pa.Array | pa.ChunkedArray, str | pa.Array]
"""A mask of rows and what is wrong with them, one reason for all or one for each."""

QUARANTINE = pa.schema(
    [
        pa.field(
            "source",
            pa.string(),
            metadata={"meaning": "leads, or events_1 … and attributes_1 … in the config's order"},
        ),
        pa.field("file", pa.string(), metadata={"meaning": "the file, or the kind of database"}),
        pa.field(
            "row",
            pa.int64(),
            metadata={"meaning": "line of a text file, else number of the row, from 1"},
        ),
        pa.field("reason", pa.string(), metadata={"meaning": "why the row is not used"}),
        pa.field(
            "original",
            pa.string(),
            metadata={"meaning": "JSON: the row by column, or the text of a broken line"},
        ),
    ]
)
"""One row a quarantined row, in the source's order."""


def flaws(columns: dict[str, pa.Array], skips: bool) -> list[Flaw]:
    """Return what makes a row of any source unusable, or no row yet, in the order in which it counts."""
    return [
        (columns["unreadable"], UNREADABLE),
        (pc.is_null(columns["entity_id"]), NO_ID),
        *([(columns["time_missing"], SKIPPED)] if skips else []),
        (pc.is_valid(columns["time_problem"]), columns["time_problem"]),
        (columns["time_missing"], UNREADABLE_TIME),
    ]


def first_flaw(found: Iterable[Flaw], size: int) -> pa.Array:
    """Return the first reason that holds for each row, null where none does."""
    some = [(mask, reason) for mask, reason in found if pc.any(mask).as_py()]
    if not some:
        return pa.nulls(size, pa.string())
    reasons = pc.case_when(
        pc.make_struct(*(mask for mask, _ in some)), *(reason for _, reason in some)
    )
    return reasons.combine_chunks() if isinstance(reasons, pa.ChunkedArray) else reasons


def with_duplicates(reasons: pa.Array, nr: pa.ChunkedArray, again: pa.ChunkedArray) -> pa.Array:
    """Return the reasons of rows ``nr``, of which those in ``again`` are duplicates."""
    return pc.if_else(
        pc.is_in(nr, value_set=again.combine_chunks()), DUPLICATE, reasons
    ).combine_chunks()


@dataclass(frozen=True)
class Verdict:
    """What became of a source's rows: how many there are, and the numbers (``nr``, ascending) and reasons of the others
    than the used ones.

    A reason is its place in REASONS.
    """

    rows: int
    places: np.ndarray
    reasons: np.ndarray

    @classmethod
    def of(cls, reasons: pa.Array) -> Self:
        """Take the reason of every row, null for a used one."""
        return cls.joined([reasons])

    @classmethod
    def joined(cls, parts: Iterable[pa.Array]) -> Self:
        """Take the reasons of every row part by part."""
        rows, places, found = 0, [np.empty(0, np.int64)], [np.empty(0, np.int8)]
        for reasons in parts:
            at = np.flatnonzero(reasons.is_valid().to_numpy(zero_copy_only=False))
            places.append(rows + at)
            named = pc.index_in(reasons.take(pa.array(at)), value_set=pa.array(REASONS))
            found.append(named.to_numpy(zero_copy_only=False).astype(np.int8))
            rows += len(reasons)
        return cls(rows, np.concatenate(places), np.concatenate(found))

    def used(self, number: np.ndarray) -> np.ndarray:
        """Return the places of used rows, counted among these alone from 0."""
        return number + np.searchsorted(
            self.places - np.arange(len(self.places)), number, side="right"
        )

    def also(self, places: np.ndarray, reason: str) -> Self:
        """Return the verdict with a reason for further rows, which were used."""
        places = np.concatenate([self.places, places])
        order = np.argsort(places, kind="stable")
        reasons = np.concatenate(
            [self.reasons, np.full(len(places) - len(self.places), REASONS.index(reason))]
        )
        return type(self)(self.rows, places[order], reasons[order].astype(np.int8))

    def count(self, source: str) -> SourceCount:
        """Count the rows by what became of them."""
        tally = {reason: int((self.reasons == i).sum()) for i, reason in enumerate(REASONS)}
        skipped, suppressed = (tally.pop(reason) for reason in NO_FLAWS)
        bad = {reason: rows for reason, rows in sorted(tally.items()) if rows}
        return SourceCount(
            source, self.rows, self.rows - len(self.places), skipped, bad, suppressed
        )

    def bad(self) -> Self:
        """Return it without the rows that are skipped or suppressed."""
        keep = ~np.isin(self.reasons, [REASONS.index(reason) for reason in NO_FLAWS])
        return type(self)(self.rows, self.places[keep], self.reasons[keep])


def settle(
    source: str, verdict: Verdict, again: Rows, folder: Path | None, limit: float
) -> SourceCount:
    """Count what became of a source's rows, write the bad ones to ``folder/<source>.csv``, and judge their
    share.

    ``again`` gives the raw rows with some numbers once more. The file is replaced each time, also where nothing is bad.
    Raises DataError if more than ``limit`` of the rows are bad; duplicates are not held against a source. ConfigError
    where the folder cannot be written to.
    """
    count, bad = verdict.count(source), verdict.bad()
    flawed = len(bad.places) - count.quarantined.get(DUPLICATE, 0)
    if folder is not None:
        try:
            _write_csv(_iter_quarantine_tables(source, bad, again), folder / f"{source}.csv")
        except OSError as error:
            fix = "make room there, or give the workspace another place with LEADSCORE_WORKSPACE"
            raise ConfigError(
                "cannot write the bad rows", where=str(folder), found=str(error), fix=fix
            ) from error
    if flawed > limit * count.rows_in:
        raise _too_many_error(count, flawed, _first_bad_row(source, bad, again), limit)
    return count


def rows_of(raw: RawRows) -> Rows:
    """Return what gives the rows with some numbers out of all rows."""
    return lambda places: iter([raw.only(np.isin(raw.table["nr"].to_numpy(), places))])


def masked(rows: Rows, personal: Collection[str]) -> Rows:
    """Return what gives the same rows without the values of some columns; of a broken line nothing can be shown."""
    if not personal:
        return rows
    return lambda places: (_mask_piece(raw, personal) for raw in rows(places))


def _mask_piece(raw: RawRows, personal: Collection[str]) -> RawRows:
    named = [f"c{i}" for i, name in enumerate(raw.names) if name in personal]
    table = raw.table
    for name in (*named, "broken") if named else ():
        if name in table.column_names:
            hidden = pc.if_else(pc.is_valid(table[name]), HIDDEN, pa.scalar(None, pa.string()))
            table = table.set_column(table.column_names.index(name), name, hidden)
    return replace(raw, table=table)


def _iter_quarantine_tables(source: str, bad: Verdict, again: Rows) -> Iterator[pa.Table]:
    if not len(bad.places):
        return
    for raw in again(bad.places):
        reasons = bad.reasons[np.searchsorted(bad.places, raw.table["nr"].to_numpy())]
        yield _build_quarantine_table(source, raw, pa.array(REASONS).take(pa.array(reasons)))


def _build_quarantine_table(source: str, raw: RawRows, reasons: pa.Array) -> pa.Table:
    names = {f"c{i}": name for i, name in enumerate(raw.names) if f"c{i}" in raw.table.column_names}
    rows = {name: plain(raw.table[name]) for name in OWN}
    rows |= {place: plain(texts(raw.table[place])) for place in names}
    keys = {f"k{place}": name for place, name in names.items()}
    pairs = ", ".join(f"$k{place}, nullif({place}, '')" for place in names)
    text = f"""SELECT $source AS source, file, "row", reason,
                 CASE WHEN broken IS NULL THEN json_object({pairs}) ELSE to_json(broken) END AS original
               FROM rows ORDER BY nr"""  # noqa: S608 - positions only
    return query(text, {"source": source, **keys}, rows=pa.table(rows | {"reason": reasons})).cast(
        QUARANTINE
    )


def _write_csv(tables: Iterable[pa.Table], path: Path) -> None:
    """Write beside the place and move there, so that no one reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with arrow_csv.CSVWriter(part, QUARANTINE) as writer:
        for table in tables:
            writer.write_table(table)
    os.replace(part, path)  # noqa: PTH105 - the atomic one


def _first_bad_row(source: str, bad: Verdict, again: Rows) -> dict[str, object]:
    """Return the first bad row that is no duplicate."""
    first = int(np.argmax(bad.reasons != REASONS.index(DUPLICATE)))
    one = Verdict(bad.rows, bad.places[first : first + 1], bad.reasons[first : first + 1])
    return next(_iter_quarantine_tables(source, one, again)).to_pylist()[0]


def _too_many_error(count: SourceCount, bad: int, example: dict[str, object], limit: float) -> DataError:
    reasons = ", ".join(f"{rows} {reason}" for reason, rows in count.quarantined.items())
    shown = json.dumps(json.loads(str(example["original"])), ensure_ascii=False)[:160]
    return DataError(
        "too many bad rows",
        where=f"{example['file']}: {count.source}",
        found=f"{bad} of {count.rows_in} ({reasons}); row {example['row']}, {example['reason']}: {shown}",
        fix=f"fix the source, see quarantine/{count.source}.csv; or raise sources.max_quarantine ({limit:g})",
    )
