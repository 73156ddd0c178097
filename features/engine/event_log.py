"""The event log as arrays, cut into shards of whole accounts; each shard is sorted when read."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from joblib import Parallel, delayed

from features.contracts import Dataset
from features.definitions.vocabulary import Vocabulary
from features.engine.kernels.merging import order_by_time
from features.engine.kernels.walk import NO_ENDS, EventHistory
from features.engine.lead_index import LeadIndex, sort_by_code
from features.tools.id_index import IdIndex
from features.tools.instants import NEVER_US, column_to_microseconds
from features.tools.jit import jit_kernel
from features.tools.spill import open_unnamed_file

# Few enough that a shard's arrays stay in a core's cache while it is sorted and walked.
EVENTS_PER_SHARD = 150_000

# Feature values computed from a shard: 32 MB, enough to keep a worker busy and few enough to show
# progress.
CELLS_PER_SHARD = 4_000_000

# Rows of a table in memory that a worker reads at a time; of a file, it reads a row group.
ROWS_PER_PIECE = 1 << 20

# Optional column next to those of EVENTS: the row of the event's lead, int32, -1 for none. It saves
# a second lookup of every id, which the reader has done already.
LEAD_ROW = "lead"

PieceReader = Callable[[list[str]], pa.Table]

# Optional column as well: the last cutoff that sees the event, in microseconds; NEVER_US for all.
UNTIL = "until"

# Stored columns of an event, 30 bytes, since a log in the scratch folder takes as much disk. Codes
# are -1 for names that the vocabulary lacks; they fit into int8 as it has at most 60 (MAX_TYPES).
PACKED_COLUMNS = {
    "position": np.int32,
    "time": np.int64,
    "available": np.int64,
    "kind": np.int8,
    "channel": np.int8,
    "value": float,
}
# One more, where an event was withdrawn.
UNTIL_COLUMN = {UNTIL: np.int64}


@dataclass(frozen=True)
class EventLog:
    """All events that belong to a lead, shard by shard, and within a shard in the log's order.

    Attributes:
        shard_starts: the first lead position of each shard, and the end of the last.
        event_starts: the first event of each shard, and the end of the last.
        columns: the events, with the columns of PACKED_COLUMNS, and UNTIL if some were withdrawn.
    """

    shard_starts: np.ndarray
    event_starts: np.ndarray
    columns: dict[str, np.ndarray]

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        index: LeadIndex,
        vocabulary: Vocabulary,
        cells: np.ndarray,
        shards: int | None = None,
        workers: int = -1,
        scratch: Path | None = None,
    ) -> Self:
        """Cut the log of a data set as ``from_events`` does."""
        # The reader has looked up the leads of the events; doing it again would hash every id
        # again.
        lead_row = dataset.lead_row_of_events
        events = (
            dataset.events if lead_row is None else dataset.events.append_column(LEAD_ROW, lead_row)
        )
        if dataset.withdrawn.num_rows:
            events = _append_withdrawn(dataset, events)
        return cls.from_events(events, index, vocabulary, cells, shards, workers, scratch)

    @classmethod
    def from_events(
        cls,
        events: pa.Table | Path,
        index: LeadIndex,
        vocabulary: Vocabulary,
        cells: np.ndarray,
        shards: int | None = None,
        workers: int = -1,
        scratch: Path | None = None,
    ) -> Self:
        """Cut a log into shards of about equal work, without the types that are not used.

        ``events`` are as EVENTS, in any order; least is left to sort if they are ordered by entity
        or by time. ``cells`` is the number of feature values to compute for each lead position.
        The log is read twice, first the ids and then the rest, so that no event moves more than
        once before its shard is sorted; a table with the column LEAD_ROW needs no lookup of ids.
        With ``scratch`` the arrays are files there, of which no more is in memory than is in use.
        """
        pieces = _split_pieces(events)
        # Threads, since all pieces are written to the same arrays.
        run = Parallel(n_jobs=workers, prefer="threads")
        position_of = np.append(index.position, -1).astype(np.int32)  # row -1 is no lead
        has_rows = isinstance(events, pa.Table) and LEAD_ROW in events.column_names
        read_rows = _read_lead_rows if has_rows else partial(_look_up_leads, index.ids)
        positions = run(
            delayed(lambda piece: position_of.take(read_rows(piece)))(piece) for piece in pieces
        )
        if vocabulary.unused:
            run(
                delayed(_drop_types)(piece, piece_positions, vocabulary.unused)
                for piece, piece_positions in zip(pieces, positions, strict=True)
            )
        counts = np.zeros(len(index.account), np.int64)
        for piece_positions in positions:
            _count_events(piece_positions, counts)
        work = counts / EVENTS_PER_SHARD + cells / CELLS_PER_SHARD
        shard_starts = _cut_shards(index.account, work, shards)
        shard_of = _number_shards(shard_starts)
        starts, event_starts = _locate_pieces(positions, shard_of, len(shard_starts))
        ends = isinstance(events, pa.Table) and UNTIL in events.column_names
        columns = {
            name: _allocate_column(event_starts[-1], kind, scratch)
            for name, kind in (PACKED_COLUMNS | (UNTIL_COLUMN if ends else {})).items()
        }
        run(
            delayed(_write_piece)(piece, piece_positions, shard_of, start, vocabulary, columns)
            for piece, piece_positions, start in zip(pieces, positions, starts, strict=True)
        )
        return cls(shard_starts, event_starts, columns)

    def sorted_shard(self, number: int) -> EventHistory:
        """Return a shard's events in order.

        Groups and members are lead positions, counted from the first of the shard.
        """
        unsorted = self.unsorted_shard(number)
        first, last = self.shard_starts[number : number + 2]
        # Grouped by a stable sort first: a log in order of time has nothing left to sort then.
        order = sort_by_code(unsorted.group, int(last - first))
        ordered = unsorted.take(_sort_events(order, unsorted))
        _release_pages(self.columns)
        return ordered

    def unsorted_shard(self, number: int) -> EventHistory:
        """Return a shard's events in the order of the log."""
        begin, end = self.event_starts[number : number + 2]
        columns = [self.columns[name][begin:end] for name in PACKED_COLUMNS]
        until = self.columns[UNTIL][begin:end] if UNTIL in self.columns else NO_ENDS
        group, *rest = [*columns, until]
        group = group - np.int32(self.shard_starts[number])
        return EventHistory(group, group, *rest)

    def standing_shard(self, number: int) -> EventHistory:
        """Return a shard's events in the order of the log, without those that were withdrawn."""
        events = self.unsorted_shard(number)
        return events.take(events.until == NEVER_US) if len(events.until) else events


def group_by_account(
    own: EventHistory, account: np.ndarray, known_at: np.ndarray, ends: np.ndarray
) -> EventHistory:
    """Return a shard's events grouped by account.

    ``account``, ``known_at`` (of the lead row) and ``ends`` are one element per member. An
    account's members are known from their lead rows, so before that a member's events do not count
    for the account. Once a member became another one, that one has its events.
    """
    # int32 as the groups of entities: the kernels then compile once for both.
    group = account[own.member].astype(np.int32)
    available = np.maximum(own.available, known_at[own.member])
    until = own.until
    if (ends < NEVER_US).any():
        merged = ends[own.member]
        until = np.minimum(own.until, merged) if len(own.until) else merged
    by_account = own._replace(group=group, available=available, until=until)
    # The order is stable: at ties, members follow each other in the order of their ids.
    return by_account.take(order_by_time(group, own.time))


def _append_withdrawn(dataset: Dataset, events: pa.Table) -> pa.Table:
    """Return the events with the column UNTIL, followed by those that were withdrawn."""
    withdrawn = dataset.withdrawn
    if LEAD_ROW in events.column_names:
        rows = dataset.find_leads(withdrawn["entity_id"]).astype(np.int32)
        withdrawn = withdrawn.append_column(LEAD_ROW, pa.array(rows))
    ends = pa.array(column_to_microseconds(withdrawn[UNTIL]))
    withdrawn = withdrawn.drop_columns([UNTIL]).append_column(UNTIL, ends)
    events = events.append_column(UNTIL, pa.repeat(NEVER_US, len(events)))
    return pa.concat_tables([events, withdrawn.select(events.column_names).cast(events.schema)])


def encode_texts(column: pa.ChunkedArray, levels: tuple[str, ...]) -> np.ndarray:
    """Return the position of each text in ``levels``, -1 if it is none of them; int8."""
    if not levels:
        return np.full(len(column), -1, np.int8)
    codes = [_encode_chunk(chunk, pa.array(levels, pa.string())) for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.int8), *codes])


def _encode_chunk(chunk: pa.Array, levels: pa.Array) -> np.ndarray:
    # Each distinct text is compared with the levels once, not each row.
    encoded = chunk if pa.types.is_dictionary(chunk.type) else pc.dictionary_encode(chunk)
    position = pc.fill_null(pc.index_in(encoded.dictionary, value_set=levels), -1).to_numpy(
        zero_copy_only=False
    )
    table = np.append(position, -1).astype(np.int8)
    return table[pc.fill_null(encoded.indices, len(position)).to_numpy(zero_copy_only=False)]


def _split_pieces(events: pa.Table | Path) -> list[PieceReader]:
    """Return readers of parts of the log; each takes the names of the columns to read."""
    if isinstance(events, Path):
        groups = pq.ParquetFile(events).metadata.num_row_groups
        return [partial(_read_row_group, events, group) for group in range(groups)]
    return [
        partial(_read_slice, events, start) for start in range(0, events.num_rows, ROWS_PER_PIECE)
    ]


def _read_row_group(path: Path, number: int, names: list[str]) -> pa.Table:
    """Read one row group; columns of few distinct texts are read as dictionaries."""
    file = pq.ParquetFile(path, read_dictionary=["event_type", "channel"])
    return file.read_row_group(number, names, use_threads=False)


def _read_slice(events: pa.Table, start: int, names: list[str]) -> pa.Table:
    return events.select(names).slice(start, ROWS_PER_PIECE)


def _read_lead_rows(piece: PieceReader) -> np.ndarray:
    return piece([LEAD_ROW])[LEAD_ROW].to_numpy()


def _look_up_leads(ids: IdIndex, piece: PieceReader) -> np.ndarray:
    return ids.find(piece(["entity_id"])["entity_id"])


def _drop_types(piece: PieceReader, position: np.ndarray, types: tuple[str, ...]) -> None:
    """Give events of the types to no lead, so that nothing counts them."""
    column = piece(["event_type"])["event_type"].cast(pa.string())
    position[pc.is_in(column, value_set=pa.array(types, pa.string())).to_numpy()] = -1


def _cut_shards(account: np.ndarray, work: np.ndarray, shards: int | None) -> np.ndarray:
    """Return the first lead positions of the shards, and the end of the last.

    About as many as ``shards``, by default one for each unit of ``work``; no account is split.
    """
    total = np.cumsum(work)
    number = shards or int(np.ceil(total[-1])) if len(total) else 1
    cuts = (
        np.searchsorted(total, total[-1] * np.arange(1, number) / number)
        if number > 1
        else np.empty(0, np.int64)
    )
    # Each cut moves back to the first lead of its account; cuts within one account become equal.
    return np.unique(np.concatenate([[0], np.searchsorted(account, account[cuts]), [len(account)]]))


def _number_shards(shard_starts: np.ndarray) -> np.ndarray:
    """Return the shard of each lead position, and last that of no lead: one behind the last."""
    shards = len(shard_starts) - 1
    numbers = np.repeat(np.arange(shards), np.diff(shard_starts))
    return np.append(numbers, shards).astype(np.int32)


def _locate_pieces(
    positions: list[np.ndarray], shard_of: np.ndarray, shards: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each piece's events of each shard begin, and where each shard begins.

    ``shards`` counts the events of no lead as a shard, which is last; it is not stored.
    """
    counts = [np.bincount(shard_of[piece], minlength=shards) for piece in positions]
    sizes = np.array(counts, np.int64).reshape(-1, shards)
    starts = np.append(0, np.cumsum(sizes.sum(axis=0)))[:-1]
    return starts + np.cumsum(sizes, axis=0) - sizes, starts


def _allocate_column(size: int, kind: type, scratch: Path | None) -> np.ndarray:
    if scratch is None or not size:
        return np.empty(size, kind)
    with open_unnamed_file(scratch) as file:
        return np.memmap(file, kind, "w+", shape=(int(size),))


def _release_pages(columns: dict[str, np.ndarray]) -> None:
    """Give the pages of file-backed columns back to the system, which rereads them if needed."""
    for column in columns.values():
        if isinstance(column, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
            column._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def _write_piece(
    piece: PieceReader,
    position: np.ndarray,
    shard: np.ndarray,
    start: np.ndarray,
    vocabulary: Vocabulary,
    columns: dict[str, np.ndarray],
) -> None:
    """Write a piece's events to ``columns``; ``start`` is where those of each shard begin."""
    # A column that no feature uses is not read from the file.
    names = ["event_time", "available_at", "event_type"]
    names += ["channel"] * bool(vocabulary.channels) + ["value"] * bool(vocabulary.valued)
    names += [UNTIL] * (UNTIL in columns)
    table = piece(names)
    size = table.num_rows
    place = np.empty(size, np.int64)
    _assign_places(position, shard, start.copy(), place)
    _scatter_values(columns["position"], place, position)
    _scatter_values(columns["time"], place, column_to_microseconds(table["event_time"]))
    _scatter_values(columns["available"], place, column_to_microseconds(table["available_at"]))
    _scatter_values(columns["kind"], place, encode_texts(table["event_type"], vocabulary.types))
    _scatter_values(
        columns["channel"],
        place,
        encode_texts(table["channel"], vocabulary.channels)
        if vocabulary.channels
        else np.full(size, -1, np.int8),
    )
    _scatter_values(
        columns["value"],
        place,
        pc.fill_null(table["value"], np.nan).to_numpy()
        if vocabulary.valued
        else np.full(size, np.nan),
    )
    if UNTIL in columns:
        _scatter_values(columns[UNTIL], place, table[UNTIL].to_numpy())
    _release_pages(columns)


@jit_kernel
def _count_events(position: np.ndarray, counts: np.ndarray) -> None:
    """Add the events of each lead position to its count."""
    for event in range(len(position)):
        if position[event] >= 0:
            counts[position[event]] += 1


@jit_kernel
def _assign_places(
    position: np.ndarray, shard: np.ndarray, start: np.ndarray, place: np.ndarray
) -> None:
    """Write the place of each event in the columns, -1 for events of no lead."""
    for event in range(len(position)):
        if position[event] < 0:
            place[event] = -1
        else:
            target = shard[position[event]]
            place[event] = start[target]
            start[target] += 1


@jit_kernel
def _scatter_values(column: np.ndarray, place: np.ndarray, values: np.ndarray) -> None:
    for event in range(len(place)):
        if place[event] >= 0:
            column[place[event]] = values[event]


def _sort_events(order: np.ndarray, events: EventHistory) -> np.ndarray:
    """Return ``order``, which groups the events, sorted by time within each group.

    Ties are sorted by all other columns, so that features do not depend on the order of the log. In
    most logs there is little to sort.
    """
    group, time = events.group[order], events.time[order]
    step, is_tied = np.diff(time), np.diff(group) == 0
    if (is_tied & (step < 0)).any():
        again = np.lexsort((time, group))
        order, time = order[again], time[again]
        step = np.diff(time)
    is_tied &= step == 0
    tied = np.flatnonzero(np.append(is_tied, False) | np.append(False, is_tied))
    run = np.cumsum(np.append(True, ~is_tied))[tied]
    tied_events = order[tied]
    keys = [events.value, events.channel, events.kind, events.available]
    keys += [events.until] if len(events.until) else []
    order[tied] = tied_events[np.lexsort((*(key[tied_events] for key in keys), run))]
    return order
