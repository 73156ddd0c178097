"""Rejected rows: reasons, counts, and the quarantine files. No row is dropped without a record."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from configs.errors import ConfigError, DataError
from configs.sources import Sources
from features.contracts import SourceCount
from features.files.os_errors import suggest_os_fix
from features.intake.formats.texts import cut_texts, find_long_texts, to_plain_text, to_text
from features.intake.reading import METADATA_COLUMNS, RawRows
from features.intake.values import TIME_PROBLEMS, UNREADABLE_TIME, WRONG_TYPE
from features.readings.columns import MASK
from features.tools.duckdb_sql import run_query

NO_ID, NO_TYPE, NO_NAME, UNREADABLE = (
    "no id",
    "no event type",
    "no attribute name",
    "unreadable row",
)
DUPLICATE, UNKNOWN_ENTITY, SKIPPED, SUPPRESSED_REASON = (
    "duplicate",
    "unknown entity",
    "skipped",
    "suppressed",
)
EARLY_END = "valid_to before valid_from"
NO_CHANNEL, NO_COST = "no channel", "no cost"
NO_ARM, NO_PROPENSITY = "no arm", "no propensity between 0 and 1"
# Rows that become available after the clock, and rows of such leads: they are not bad.
NOT_YET, LEAD_NOT_YET = "not yet", "lead not yet"
# Rows at instants that no lead or event can have, and rows of leads that were set aside for it.
IMPLAUSIBLE_TIME, LEAD_SET_ASIDE = "implausible time", "lead set aside"
BEFORE_EARLIEST, AFTER_LATEST = "before sources.earliest", "after sources.latest"
# Rows of web visitors whom no link makes a lead.
NEVER_IDENTIFIED = "never identified"
SKIP_REASONS = (SKIPPED, NOT_YET, LEAD_NOT_YET, NEVER_IDENTIFIED)
NOT_QUARANTINED = (*SKIP_REASONS, SUPPRESSED_REASON)
# An id, an event type, a channel or the name of an attribute of more than MAX_NAME_CHARACTERS.
TOO_LONG = "name too long"
MAX_NAME_CHARACTERS = 1_000
NAME_COLUMNS = ("entity_id", "account_id", "event_id", "event_type", "channel", "name")
# Characters of each value that the quarantine shows.
MAX_SHOWN_CHARACTERS = 10_000
# Not a defect of the row: duplicates, what the config excludes, and what follows from a lead.
NEVER_TOO_MANY = (DUPLICATE, BEFORE_EARLIEST, AFTER_LATEST, LEAD_SET_ASIDE)
# Up to this many rows, or this share of a source, implausible times are accidents.
FEW_IMPLAUSIBLE_ROWS, FEW_IMPLAUSIBLE_SHARE = 3, 0.001
# Why a row is not used; a rejection is an index of this tuple.
REASONS = (
    UNREADABLE,
    NO_ID,
    *NOT_QUARANTINED,
    *TIME_PROBLEMS,
    BEFORE_EARLIEST,
    AFTER_LATEST,
    IMPLAUSIBLE_TIME,
    WRONG_TYPE,
    EARLY_END,
    NO_TYPE,
    NO_NAME,
    NO_CHANNEL,
    NO_COST,
    NO_ARM,
    NO_PROPENSITY,
    TOO_LONG,
    LEAD_SET_ASIDE,
    UNKNOWN_ENTITY,
    DUPLICATE,
)

# Reads the raw rows with the given numbers, in pieces.
RowReader = Callable[[np.ndarray], Iterator[RawRows]]

# A mask of rows and their reason: one for all of them, or one for each.
Flaw = tuple[pa.Array | pa.ChunkedArray, str | pa.Array]

# One row per quarantined row, in the source's order.
QUARANTINE = pa.schema(
    [
        pa.field(
            "source",
            pa.string(),
            metadata={
                "meaning": "leads, or events_1 …, attributes_1 …, costs_1 …, experiments_1 … in "
                "the config's order"
            },
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


def find_common_flaws(columns: dict[str, pa.Array], skips: bool) -> list[Flaw]:
    """Return the flaws that rows of any source may have, in order of precedence."""
    names = (columns[name] for name in NAME_COLUMNS if name in columns)
    masks = (find_long_texts(column, MAX_NAME_CHARACTERS) for column in names)
    return [
        (columns["unreadable"], UNREADABLE),
        *((mask, TOO_LONG) for mask in masks if mask is not None),
        # Costs belong to no entity.
        *([(pc.is_null(columns["entity_id"]), NO_ID)] if "entity_id" in columns else []),
        *([(columns["time_missing"], SKIPPED)] if skips else []),
        (pc.is_valid(columns["time_problem"]), columns["time_problem"]),
        (columns["time_missing"], UNREADABLE_TIME),
    ]


def pick_first_reason(row_flaws: Iterable[Flaw], size: int) -> pa.Array:
    """Return the first reason that applies to each row, null if none does."""
    present = [(mask, reason) for mask, reason in row_flaws if pc.any(mask).as_py()]
    if not present:
        return pa.nulls(size, pa.string())
    reasons = pc.case_when(
        pc.make_struct(*(mask for mask, _ in present)), *(reason for _, reason in present)
    )
    return reasons.combine_chunks() if isinstance(reasons, pa.ChunkedArray) else reasons


def mark_duplicates(reasons: pa.Array, nr: pa.ChunkedArray, again: pa.ChunkedArray) -> pa.Array:
    """Return the reasons of rows ``nr``, where those in ``again`` become duplicates."""
    return pc.if_else(
        pc.is_in(nr, value_set=again.combine_chunks()), DUPLICATE, reasons
    ).combine_chunks()


@dataclass(frozen=True)
class Rejections:
    """Rows of a source that are not used, and why.

    Attributes:
        rows: Number of all rows.
        row_numbers: Numbers (``nr``, ascending) of the rows that are not used.
        reason_codes: Reason of each of these, as an index of REASONS, int8.
    """

    rows: int
    row_numbers: np.ndarray
    reason_codes: np.ndarray

    @classmethod
    def from_reasons(cls, reasons: pa.Array) -> Self:
        """Take the reason of every row, null for a used one."""
        return cls.from_parts([reasons])

    @classmethod
    def from_parts(cls, parts: Iterable[pa.Array]) -> Self:
        """Take the reasons of every row part by part."""
        rows, numbers, codes = 0, [np.empty(0, np.int64)], [np.empty(0, np.int8)]
        for reasons in parts:
            rejected = np.flatnonzero(reasons.is_valid().to_numpy(zero_copy_only=False))
            numbers.append(rows + rejected)
            code = pc.index_in(reasons.take(pa.array(rejected)), value_set=pa.array(REASONS))
            codes.append(code.to_numpy(zero_copy_only=False).astype(np.int8))
            rows += len(reasons)
        return cls(rows, np.concatenate(numbers), np.concatenate(codes))

    def used_row_numbers(self, number: np.ndarray) -> np.ndarray:
        """Return the row numbers of used rows, given their numbers among used rows, from 0."""
        return number + np.searchsorted(
            self.row_numbers - np.arange(len(self.row_numbers)), number, side="right"
        )

    def with_reason(self, places: np.ndarray, reason: str) -> Self:
        """Return the rejections with a reason for further rows, which were used before."""
        places = np.concatenate([self.row_numbers, places])
        order = np.argsort(places, kind="stable")
        reasons = np.concatenate(
            [self.reason_codes, np.full(len(places) - len(self.row_numbers), REASONS.index(reason))]
        )
        return type(self)(self.rows, places[order], reasons[order].astype(np.int8))

    def count_rows(self, source: str) -> SourceCount:
        """Return the row counts."""
        tally = {reason: int((self.reason_codes == i).sum()) for i, reason in enumerate(REASONS)}
        suppressed = tally.pop(SUPPRESSED_REASON)
        anonymous = tally[NEVER_IDENTIFIED]
        skipped = sum(tally.pop(reason) for reason in SKIP_REASONS)
        bad = {reason: rows for reason, rows in sorted(tally.items()) if rows}
        used = self.rows - len(self.row_numbers)
        return SourceCount(source, self.rows, used, skipped, bad, suppressed, anonymous=anonymous)

    def only_quarantined(self) -> Self:
        """Return the rejections without skipped, not yet available and suppressed rows."""
        keep = ~np.isin(self.reason_codes, [REASONS.index(reason) for reason in NOT_QUARANTINED])
        return type(self)(self.rows, self.row_numbers[keep], self.reason_codes[keep])


def quarantine_rows(
    source: str,
    rejections: Rejections,
    again: RowReader,
    folder: Path | None,
    limits: Sources,
    conflicts: int = 0,
    hint: str = "",
) -> SourceCount:
    """Write the bad rows of a source to its quarantine file, check their share, return the counts.

    The file is ``folder/<source>.csv``; it is replaced each time, also if no row is bad. ``again``
    reads raw rows by number once more. Raises DataError if more than ``max_quarantine`` of the rows
    are bad; ConfigError if the folder is not writable. Of the duplicates count the ``conflicts``,
    which differ from the row that is used, and those beyond ``max_duplicates`` of the rows.
    Tolerated reasons do not count. The error ends with ``hint``.
    """
    count, bad = rejections.count_rows(source), rejections.only_quarantined()
    tolerated = _list_tolerated_reasons(count)
    duplicates = count.quarantined.get(DUPLICATE, 0)
    excess = int(max(duplicates - conflicts - limits.max_duplicates * count.rows_in, 0))
    bad_rows = sum(rows for name, rows in count.quarantined.items() if name not in tolerated)
    bad_rows += conflicts + excess
    if folder is not None:
        try:
            _write_csv(_iter_quarantine_tables(source, bad, again), folder / f"{source}.csv")
        except OSError as error:
            fix = f"{suggest_os_fix(error)}, or set LEADSCORE_WORKSPACE to another workspace"
            raise ConfigError(
                "cannot write the quarantined rows", where=str(folder), found=str(error), fix=fix
            ) from error
    if bad_rows > limits.max_quarantine * count.rows_in:
        example = _first_bad_row(source, bad, again, tolerated)
        advice = f"raise sources.max_quarantine ({limits.max_quarantine:g})"
        advice += f"; {hint}" if hint else ""
        if excess > limits.max_quarantine * count.rows_in:
            advice = f"raise sources.max_duplicates ({limits.max_duplicates:g})"
        if count.quarantined.get(IMPLAUSIBLE_TIME) and IMPLAUSIBLE_TIME not in tolerated:
            advice = f"set sources.earliest and latest, or {advice}"
        parts = f", {conflicts} of them with other content" if conflicts else ""
        parts += f", {excess} of them beyond sources.max_duplicates" if excess else ""
        raise _too_many_error(count, bad_rows, parts, example, advice)
    return count


def _list_tolerated_reasons(count: SourceCount) -> tuple[str, ...]:
    """Return the reasons whose rows do not count against the limit of bad rows."""
    few = max(FEW_IMPLAUSIBLE_ROWS, FEW_IMPLAUSIBLE_SHARE * count.rows_in)
    rare = count.quarantined.get(IMPLAUSIBLE_TIME, 0) <= few
    return (*NEVER_TOO_MANY, IMPLAUSIBLE_TIME) if rare else NEVER_TOO_MANY


def make_row_reader(raw: RawRows) -> RowReader:
    """Return a reader of rows by number, out of rows in memory."""
    return lambda places: iter([raw.filter_rows(np.isin(raw.table["nr"].to_numpy(), places))])


def mask_columns(rows: RowReader, personal: Collection[str]) -> RowReader:
    """Return a reader of the same rows with personal values masked, and broken lines entirely."""
    if not personal:
        return rows
    return lambda places: (_mask_piece(raw, personal) for raw in rows(places))


def _mask_piece(raw: RawRows, personal: Collection[str]) -> RawRows:
    own = [f"c{i}" for i, name in enumerate(raw.names) if name in personal]
    if not own:
        return raw
    # The columns of a broken line cannot be separated, so it is masked as a whole.
    own.append("broken")
    table, shifted = raw.table, _find_shifted_rows(raw, own)
    for name in table.column_names[METADATA_COLUMNS.index("broken") :]:
        hidden = pc.is_valid(table[name])
        hidden = hidden if name in own else pc.and_(hidden, shifted)
        if pc.any(hidden).as_py():
            column = pc.if_else(hidden, MASK, to_plain_text(to_text(table[name])))
            table = table.set_column(table.column_names.index(name), name, column)
    return replace(raw, table=table)


def _find_shifted_rows(raw: RawRows, own: Sequence[str]) -> pa.ChunkedArray:
    """Return a mask of rows whose personal value may stand in another column.

    A row that lacks cells in the middle has none in its last column, like one that lacks them at
    its end.
    """
    places = [f"c{len(raw.names) - 1}", *own[:-1]]
    empty = [_is_empty(raw.table[name]) for name in places if name in raw.table.column_names]
    return reduce(pc.and_, empty) if empty else pa.chunked_array([pa.repeat(False, len(raw.table))])


def _is_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(to_plain_text(to_text(column)), ""), True)


def _iter_quarantine_tables(source: str, bad: Rejections, again: RowReader) -> Iterator[pa.Table]:
    if not len(bad.row_numbers):
        return
    for raw in again(bad.row_numbers):
        reasons = bad.reason_codes[np.searchsorted(bad.row_numbers, raw.table["nr"].to_numpy())]
        yield _build_quarantine_table(source, raw, pa.array(REASONS).take(pa.array(reasons)))


def _build_quarantine_table(source: str, raw: RawRows, reasons: pa.Array) -> pa.Table:
    read = set(raw.table.column_names)
    names = {f"c{i}": name for i, name in enumerate(raw.names) if f"c{i}" in read}
    rows = {name: to_plain_text(raw.table[name]) for name in METADATA_COLUMNS}
    texts = {place: to_plain_text(to_text(raw.table[place])) for place in names}
    texts["broken"] = rows["broken"]
    rows |= {name: cut_texts(text, MAX_SHOWN_CHARACTERS) for name, text in texts.items()}
    keys = {f"k{place}": name for place, name in names.items()}
    pairs = ", ".join(f"$k{place}, nullif({place}, '')" for place in names)
    text = f"""SELECT $source AS source, file, "row", reason,
                 CASE WHEN broken IS NULL THEN json_object({pairs})
                      ELSE to_json(broken) END AS original
               FROM rows ORDER BY nr"""  # noqa: S608 - positions only
    return run_query(
        text, {"source": source, **keys}, rows=pa.table(rows | {"reason": reasons})
    ).cast(QUARANTINE)


def _write_csv(tables: Iterable[pa.Table], path: Path) -> None:
    """Write a temporary file next to the destination, then move it.

    So no reader sees half a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with arrow_csv.CSVWriter(part, QUARANTINE) as writer:
        for table in tables:
            writer.write_table(table)
    os.replace(part, path)  # noqa: PTH105 - the atomic one


def _first_bad_row(
    source: str, bad: Rejections, again: RowReader, tolerated: Collection[str]
) -> dict[str, object]:
    """Return the first bad row that is not tolerated, as a row of QUARANTINE."""
    codes = [REASONS.index(reason) for reason in tolerated]
    first = int(np.argmax(~np.isin(bad.reason_codes, codes)))
    single = Rejections(
        bad.rows, bad.row_numbers[first : first + 1], bad.reason_codes[first : first + 1]
    )
    return next(_iter_quarantine_tables(source, single, again)).to_pylist()[0]


def _too_many_error(
    count: SourceCount, bad: int, parts: str, example: dict[str, object], advice: str
) -> DataError:
    reasons = ", ".join(f"{rows} {reason}" for reason, rows in count.quarantined.items())
    # An error has one or two lines on a terminal; the quarantine file has the whole row.
    shown = json.dumps(json.loads(str(example["original"])), ensure_ascii=False)[:160]
    return DataError(
        "too many bad rows",
        where=f"{example['file']}: {count.source}",
        found=f"{bad} of {count.rows_in} ({reasons}{parts}); row {example['row']}, "
        f"{example['reason']}: {shown}",
        fix=f"fix the source, see quarantine/{count.source}.csv; or {advice}",
    )
