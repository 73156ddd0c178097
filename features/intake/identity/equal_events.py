"""Events that count as the same: which row is used, and whether the rows really agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import EVENTS
from features.intake.formats.texts import to_plain_text, to_text
from features.intake.identity.visitor_rows import FIRST_VISITOR
from features.tools.duplicates import HASHES, HIGH, LOW
from features.tools.row_hash import hash_rows, hash_texts

# Dropped rows of a source whose whole content is compared with that of the row that is used. The
# source is read once more for them, up to the last of them; a log with many has them soon.
MAX_COMPARED_ROWS = 2_000
# Sets hashes of visitors apart from those of leads: 2^64 / φ, though any odd number would do.
VISITOR_HASH = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class EqualRows:
    """Pairs of a dropped row of a log and the row that is used instead.

    Attributes:
        again: Numbers of the dropped rows, ascending.
        firsts: Numbers of the rows that are used, one for each of ``again``.
    """

    again: np.ndarray
    firsts: np.ndarray

    def between(self, begin: int, end: int) -> EqualRows:
        """Return the pairs whose rows both lie in a range, counted from its begin."""
        inside = (self.again >= begin) & (self.again < end)
        inside &= (self.firsts >= begin) & (self.firsts < end)
        return EqualRows(self.again[inside] - begin, self.firsts[inside] - begin)


def pair_equal_rows(hashes: pa.Table, again: np.ndarray) -> EqualRows:
    """Return each row of ``again`` with the first row of the same hash."""
    if not len(again):
        return EqualRows(again, again)
    sought = np.column_stack(
        [hashes[name].take(pa.array(again)).to_numpy() for name in (HIGH, LOW)]
    )
    keys, groups = np.unique(sought, axis=0, return_inverse=True)
    first = np.full(len(keys), np.iinfo(np.int64).max)
    begin = 0
    for batch in hashes.to_batches():
        high, low = batch[HIGH].to_numpy(), batch[LOW].to_numpy()
        # Keys are sorted by their high half; several with one high half are tried in turn.
        at = np.searchsorted(keys[:, 0], high)
        rows = np.flatnonzero(keys[np.minimum(at, len(keys) - 1), 0] == high)
        at = at[rows]
        while len(rows):
            is_key = keys[at, 1] == low[rows]
            np.minimum.at(first, at[is_key], begin + rows[is_key])
            at = at + 1
            more = ~is_key & (at < len(keys))
            more[more] = keys[at[more], 0] == high[rows[more]]
            rows, at = rows[more], at[more]
        begin += len(high)
    return EqualRows(again, first[groups.ravel()])


def choose_first_known(
    pairs: EqualRows, order: Callable[[np.ndarray], list[np.ndarray]]
) -> EqualRows:
    """Return the pairs such that the smallest row of each group is used, in any order of rows.

    ``order`` returns the sort keys of rows, the most important one first.
    """
    if not len(pairs.again):
        return pairs
    groups = np.unique(pairs.firsts)
    rows = np.concatenate([groups, pairs.again])
    group = np.concatenate([groups, pairs.firsts])
    place = np.lexsort((rows, *reversed(order(rows)), group))
    rows, group = rows[place], group[place]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    first = np.repeat(rows[starts], np.diff(np.r_[starts, len(rows)]))
    dropped = rows != first
    sort = np.argsort(rows[dropped])
    return EqualRows(rows[dropped][sort], first[dropped][sort])


def describe_differences(
    pairs: EqualRows,
    duplicates: int,
    reread: Callable[[np.ndarray], Iterable],
    where: str,
    key: str,
) -> str | None:
    """Return the warning about dropped rows that differ from the used one in unmapped columns.

    ``pairs`` are numbers of raw rows, out of the ``duplicates`` of the source; ``reread`` reads
    rows with all columns, ``where`` names the source, and ``key`` its key of the config. None if no
    row differs.
    """
    again, firsts = pairs.again, pairs.firsts
    if not len(again):
        return None
    numbers = np.union1d(again, firsts)
    names, lines, hashes = _hash_whole_rows(reread(numbers))
    dropped, used = np.searchsorted(numbers, again), np.searchsorted(numbers, firsts)
    differs = hashes[dropped] != hashes[used]
    rows = np.flatnonzero(differs.any(axis=1))
    if not len(rows):
        return None
    column = names[int(differs.sum(axis=0).argmax())]
    first = int(np.flatnonzero(differs[:, names.index(column)])[0])
    # Of many only the first are compared.
    all_rows = f"{len(pairs.again):,}"
    compared = (
        all_rows if len(again) == len(pairs.again) else f"the first {len(again):,} of {all_rows}"
    )
    return (
        f"{where}: {len(rows):,} of {compared} rows dropped as duplicates are equal in the mapped "
        f"columns only, such as rows {lines[used[first]]} and {lines[dropped[first]]}, which "
        f"differ in {column!r}. If they are events of their own, map a column with their id as "
        f"{key}.event_id"
    )


def _hash_whole_rows(pieces: Iterable) -> tuple[Sequence[str], np.ndarray, np.ndarray]:
    """Return names of all columns, and line and hash of each cell of RawRows, rows ascending."""
    parts = list(pieces)
    names = list(dict.fromkeys(name for raw in parts for name in raw.names))
    places = {name: place for place, name in enumerate(names)}
    blocks = []
    for raw in parts:
        block = np.zeros((len(raw.table), len(names)), np.uint64)
        read = set(raw.table.column_names)
        for i, name in enumerate(raw.names):
            if f"c{i}" in read:
                text = to_plain_text(to_text(raw.table[f"c{i}"]))
                block[:, places[name]] = hash_texts(text)[:, 0]
        blocks.append(block)
    lines = np.concatenate([raw.table["row"].to_numpy() for raw in parts])
    return names, lines, np.concatenate(blocks)


def order_events(log: pa.Table, rows: np.ndarray) -> list[np.ndarray]:
    """Return the sort keys of events: known first, earliest, then by content."""
    events = log.take(pa.array(rows))
    times = [events[name].cast(pa.int64()).to_numpy() for name in ("available_at", "event_time")]
    hashes = hash_log(events)
    return [*times, *(hashes[name].to_numpy() for name in HASHES.names)]


def describe_conflicts(log: pa.Table, pairs: EqualRows, where: str) -> str | None:
    """Return the warning about events that have one id but different content, if any."""
    if not len(pairs.again):
        return None
    dropped, used = (hash_log(log.take(pa.array(rows))) for rows in (pairs.again, pairs.firsts))
    differ = pc.sum(pc.not_equal(dropped[HIGH], used[HIGH])).as_py()
    if not differ:
        return None
    return (
        f"{where}: {differ:,} of {len(pairs.again):,} rows that repeat an event's id have other "
        "content in mapped columns; the row known first is used. Give each event an id of its own"
    )


def hash_identities(good: pa.Table, source_number: int) -> np.ndarray:
    """Return the hash of what makes a row an event of its own: its id, or else its content.

    Ids of different sources have nothing to do with each other.
    """
    hashes = hash_events(good)
    has_id = pc.is_valid(good["event_id"]).to_numpy(zero_copy_only=False)
    if has_id.any():
        number = np.full(len(good), source_number, np.uint64)
        hashes[has_id] = hash_rows([number, hash_texts(good["event_id"])])[has_id]
    return hashes


def hash_log(events: pa.Table) -> pa.Table:
    """Return the hashes of the content of EVENT_LOG rows as HASHES."""
    parts = [HASHES.empty_table()]
    for batch in events.select([*EVENTS.names, "lead"]).to_batches():
        rows = pa.Table.from_batches([batch])
        for name, source_name in (("time", "event_time"), ("available", "available_at")):
            rows = rows.append_column(name, rows[source_name].cast(pa.int64()))
        hashes = hash_events(rows)
        halves = [np.ascontiguousarray(hashes[:, i]) for i in (0, 1)]
        parts.append(pa.table(dict(zip(HASHES.names, halves, strict=True)), schema=HASHES))
    return pa.concat_tables(parts)


def hash_events(rows: pa.Table) -> np.ndarray:
    """Return the hash of the content of each event, uint64 (rows, 2).

    A visitor and a lead may have the same id; an event of the one is none of the other.
    """
    # All nulls become the same NaN, so that equal rows have equal bytes.
    value = pc.fill_null(rows["value"], np.nan).to_numpy()
    hashes = hash_rows(
        [
            hash_texts(rows["entity_id"]),
            rows["time"].to_numpy().view(np.uint64),
            rows["available"].to_numpy().view(np.uint64),
            hash_texts(rows["event_type"]),
            hash_texts(rows["channel"]),
            value.view(np.uint64),
        ]
    )
    of_visitor = rows["lead"].to_numpy() <= FIRST_VISITOR
    if of_visitor.any():
        # Multiplied, since a mask of rows would copy the hashes twice.
        hashes ^= (of_visitor * VISITOR_HASH)[:, None]
    return hashes
