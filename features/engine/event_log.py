"""The event log as arrays, cut into shards of whole accounts in one pass, each put in order by whoever takes it."""

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

from features.definitions.vocabulary import Vocabulary
from features.engine.kernels.merging import by_time
from features.engine.kernels.windows import History
from features.tools.id_index import IdIndex
from features.tools.instants import column_to_microseconds
from features.tools.jit import jit_kernel
from features.tools.spill import open_unnamed_file

EVENTS_PER_SHARD = 150_000
"""Few enough that a shard's arrays stay in a core's cache while it is sorted and walked."""

CELLS_PER_SHARD = 4_000_000
"""Figures that come out of a shard: 32 MB, enough to keep a worker busy, few enough to show progress."""

ROWS_PER_PIECE = 1 << 20
"""Rows of a table in memory that one worker reads at a time; of a file, its row groups."""

DIGIT_BITS = 10
"""Of the counting sort: 1,024 streams at a time."""

LEAD_ROW = "lead"
"""Beside the columns of EVENTS: the row of the lead that an event belongs to, int32, -1 for nobody's."""

PieceReader = Callable[[list[str]], pa.Table]

PACKED_COLUMNS = {
    "seat": np.int32,
    "time": np.int64,
    "available": np.int64,
    "kind": np.int8,
    "channel": np.int8,
    "value": float,
}
"""What is kept of an event, 30 bytes. Codes are -1 for what the offer does not know."""


@dataclass(frozen=True)
class LeadIndex:
    """Numbers the leads so that those of one account sit together, in the order of their ids.

    ``ids`` knows the leads by their places, ``position`` is one element a lead: its seat. ``account`` and ``known_at`` are
    one element a seat: the number of its account, ascending, and when the lead row became known, in microseconds.
    """

    ids: IdIndex
    position: np.ndarray
    account: np.ndarray
    known_at: np.ndarray

    @classmethod
    def from_leads(cls, leads: pa.Table, ids: IdIndex) -> Self:
        """Seat the leads, whose ids are these; one without an account is an account of its own."""
        account = _account_codes(leads)
        seated = sort_by_code(account, int(account.max(initial=-1)) + 1)
        seat = np.empty_like(seated)
        seat[seated] = np.arange(len(seated))
        joined = column_to_microseconds(leads["available_at"])[seated]
        return cls(ids, seat, account[seated], joined)


@dataclass(frozen=True)
class EventLog:
    """All events that belong to a lead, shard by shard, and within a shard as they stand in the log.

    ``shard_starts`` are the first seat of each shard and the end of the last, ``event_starts`` the same of its events in
    ``columns``, which are those of PACKED.
    """

    shard_starts: np.ndarray
    event_starts: np.ndarray
    columns: dict[str, np.ndarray]

    @classmethod
    def from_events(
        cls,
        events: pa.Table | Path,
        seats: LeadIndex,
        offer: Vocabulary,
        load: np.ndarray,
        shards: int | None = None,
        workers: int = -1,
        scratch: Path | None = None,
    ) -> Self:
        """Cut a log into shards that weigh about the same; ``load`` is how many cells of features each seat asks for.

        ``events`` are as EVENTS, in any order; the least is left to sort where they are by entity or by time. The log
        is read twice, first the ids and then the rest, so that no event moves more than once before its shard is
        sorted; a table that has each event's row of the leads, LEAD, spares looking its id up. With ``scratch`` the
        arrays are files there, of which no more is in memory than is being looked at.
        """
        pieces = _split_pieces(events)
        run = Parallel(n_jobs=workers, prefer="threads")
        seat_of = np.append(seats.position, -1).astype(np.int32)
        known = isinstance(events, pa.Table) and LEAD_ROW in events.column_names
        leads_in = _read_lead_rows if known else partial(_look_up_leads, seats.ids)
        found = run(delayed(lambda piece: seat_of.take(leads_in(piece)))(piece) for piece in pieces)
        counts = np.zeros(len(seats.account), np.int64)
        for some in found:
            _count_events(some, counts)
        first = _cut_shards(seats.account, counts / EVENTS_PER_SHARD + load / CELLS_PER_SHARD, shards)
        shard = np.append(
            np.repeat(np.arange(len(first) - 1), np.diff(first)), len(first) - 1
        ).astype(np.int32)
        sizes = np.array(
            [np.bincount(shard[some], minlength=len(first)) for some in found], np.int64
        )
        sizes = sizes.reshape(-1, len(first))
        edges = np.append(0, np.cumsum(sizes.sum(axis=0)))
        starts = edges[:-1] + np.cumsum(sizes, axis=0) - sizes
        columns = {name: _allocate_column(edges[-2], kind, scratch) for name, kind in PACKED_COLUMNS.items()}
        run(
            delayed(_write_piece)(piece, some, shard, start, offer, columns)
            for piece, some, start in zip(pieces, found, starts, strict=True)
        )
        return cls(first, edges[:-1], columns)

    def sorted_shard(self, number: int) -> History:
        """Return a shard's events in order, with seats counted from the shard's first as groups and members."""
        loose = self.unsorted_shard(number)
        first, last = self.shard_starts[number : number + 2]
        ordered = loose.only(_in_order(sort_by_code(loose.group, int(last - first)), loose))
        _release_pages(self.columns)
        return ordered

    def unsorted_shard(self, number: int) -> History:
        """Return the same events as they stand in the log."""
        begin, end = self.event_starts[number : number + 2]
        group, *rest = (self.columns[name][begin:end] for name in PACKED_COLUMNS)
        group = group - np.int32(self.shard_starts[number])
        return History(group, group, *rest)


def group_by_account(own: History, account: np.ndarray, joined: np.ndarray) -> History:
    """Return a shard's events grouped by account; ``account`` and ``known_at`` are one element a member.

    Who belongs to an account is known from the lead row, so its events say nothing of the account before that.
    """
    of = account[own.member]
    available = np.maximum(own.available, joined[own.member])
    rest = (own.member, own.time, available, own.kind, own.channel, own.value)
    return History(of, *rest).only(by_time(of, own.time))


def encode_texts(column: pa.ChunkedArray, known: tuple[str, ...]) -> np.ndarray:
    """Return each text's place among the known ones, -1 where it is none of them; int8, since they are few."""
    if not known:
        return np.full(len(column), -1, np.int8)
    found = [_encode_chunk(chunk, pa.array(known, pa.string())) for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.int8), *found])


def _encode_chunk(chunk: pa.Array, known: pa.Array) -> np.ndarray:
    encoded = chunk if pa.types.is_dictionary(chunk.type) else pc.dictionary_encode(chunk)
    place = pc.fill_null(pc.index_in(encoded.dictionary, value_set=known), -1).to_numpy(
        zero_copy_only=False
    )
    table = np.append(place, -1).astype(np.int8)
    return table[pc.fill_null(encoded.indices, len(place)).to_numpy(zero_copy_only=False)]


def sort_by_code(code: np.ndarray, size: int) -> np.ndarray:
    """Return the order that puts equal codes (0 … size - 1) together, ascending, and keeps the order within each.

    A counting sort digit by digit from the lowest: each pass writes to at most 2 ** DIGIT_BITS streams, which the
    caches can follow, where one pass over all codes would miss them at every row.
    """
    key, order = code.astype(np.int32), np.arange(len(code), dtype=np.int32)
    shift = 0
    while max(size - 1, 0) >> shift:
        key, order = _sort_by_digit(key, order, shift)
        shift += DIGIT_BITS
    return order.astype(np.int64)


@jit_kernel
def _sort_by_digit(key: np.ndarray, order: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort by one digit of the key, keeping the order of equal ones."""
    begin = np.zeros((1 << DIGIT_BITS) + 1, np.int64)
    mask = (1 << DIGIT_BITS) - 1
    for index in range(len(key)):
        begin[((key[index] >> shift) & mask) + 1] += 1
    for digit in range(mask + 1):
        begin[digit + 1] += begin[digit]
    keys, orders = np.empty_like(key), np.empty_like(order)
    for index in range(len(key)):
        digit = (key[index] >> shift) & mask
        keys[begin[digit]], orders[begin[digit]] = key[index], order[index]
        begin[digit] += 1
    return keys, orders


def _split_pieces(events: pa.Table | Path) -> list[PieceReader]:
    """Return the log as readers of some of its rows; each is given the columns wanted."""
    if isinstance(events, Path):
        groups = pq.ParquetFile(events).metadata.num_row_groups
        return [partial(_read_row_group, events, group) for group in range(groups)]
    return [partial(_read_slice, events, start) for start in range(0, events.num_rows, ROWS_PER_PIECE)]


def _read_row_group(path: Path, number: int, names: list[str]) -> pa.Table:
    """Read one row group; a few texts come as codes already."""
    file = pq.ParquetFile(path, read_dictionary=["event_type", "channel"])
    return file.read_row_group(number, names, use_threads=False)


def _read_slice(events: pa.Table, start: int, names: list[str]) -> pa.Table:
    return events.select(names).slice(start, ROWS_PER_PIECE)


def _read_lead_rows(piece: PieceReader) -> np.ndarray:
    return piece([LEAD_ROW])[LEAD_ROW].to_numpy()


def _look_up_leads(ids: IdIndex, piece: PieceReader) -> np.ndarray:
    return ids.find(piece(["entity_id"])["entity_id"])


def _cut_shards(account: np.ndarray, weight: np.ndarray, wanted: int | None) -> np.ndarray:
    """Return the first seats of about as many shards as wanted, cut between accounts, and the end of the last."""
    total = np.cumsum(weight)
    number = wanted or int(np.ceil(total[-1])) if len(total) else 1
    aims = (
        np.searchsorted(total, total[-1] * np.arange(1, number) / number)
        if number > 1
        else np.empty(0, np.int64)
    )
    return np.unique(np.concatenate([[0], np.searchsorted(account, account[aims]), [len(account)]]))


def _allocate_column(size: int, kind: type, scratch: Path | None) -> np.ndarray:
    if scratch is None or not size:
        return np.empty(size, kind)
    with open_unnamed_file(scratch) as file:
        return np.memmap(file, kind, "w+", shape=(int(size),))


def _release_pages(columns: dict[str, np.ndarray]) -> None:
    """Leave what lies in files to the system, which writes it out and reads it again as it needs."""
    for column in columns.values():
        if isinstance(column, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
            column._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def _write_piece(
    piece: PieceReader,
    seat: np.ndarray,
    shard: np.ndarray,
    start: np.ndarray,
    offer: Vocabulary,
    columns: dict[str, np.ndarray],
) -> None:
    """Write a piece's events to their shards; ``start`` is where the piece's own events of each shard begin."""
    names = ["event_time", "available_at", "event_type"]
    names += ["channel"] * bool(offer.channels) + ["value"] * bool(offer.valued)
    table = piece(names)
    size = table.num_rows
    place = np.empty(size, np.int64)
    _assign_places(seat, shard, start.copy(), place)
    _scatter_values(columns["seat"], place, seat)
    _scatter_values(columns["time"], place, column_to_microseconds(table["event_time"]))
    _scatter_values(columns["available"], place, column_to_microseconds(table["available_at"]))
    _scatter_values(columns["kind"], place, encode_texts(table["event_type"], offer.types))
    _scatter_values(
        columns["channel"],
        place,
        encode_texts(table["channel"], offer.channels) if offer.channels else np.full(size, -1, np.int8),
    )
    _scatter_values(
        columns["value"],
        place,
        pc.fill_null(table["value"], np.nan).to_numpy() if offer.valued else np.full(size, np.nan),
    )
    _release_pages(columns)


@jit_kernel
def _count_events(seat: np.ndarray, counts: np.ndarray) -> None:
    """Add each seat's events to its count."""
    for event in range(len(seat)):
        if seat[event] >= 0:
            counts[seat[event]] += 1


@jit_kernel
def _assign_places(seat: np.ndarray, shard: np.ndarray, start: np.ndarray, place: np.ndarray) -> None:
    """Number the places to which events go; -1 for those that are nobody's."""
    for event in range(len(seat)):
        if seat[event] < 0:
            place[event] = -1
        else:
            where = shard[seat[event]]
            place[event] = start[where]
            start[where] += 1


@jit_kernel
def _scatter_values(column: np.ndarray, place: np.ndarray, values: np.ndarray) -> None:
    for event in range(len(place)):
        if place[event] >= 0:
            column[place[event]] = values[event]


def _in_order(order: np.ndarray, events: History) -> np.ndarray:
    """Sort by time within each group, and events of one instant by all else; ``order`` puts groups together.

    So no feature can tell in which order the log was. In most logs there is little to sort.
    """
    group, time = events.group[order], events.time[order]
    step, same = np.diff(time), np.diff(group) == 0
    if (same & (step < 0)).any():
        again = np.lexsort((time, group))
        order, time = order[again], time[again]
        step = np.diff(time)
    same &= step == 0
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    run = np.cumsum(np.append(True, ~same))[tied]
    some = order[tied]
    keys = (events.value, events.channel, events.kind, events.available)
    order[tied] = some[np.lexsort((*(key[some] for key in keys), run))]
    return order


def _account_codes(leads: pa.Table) -> np.ndarray:
    """Return a number for each lead's account; a lead without one is an account of its own."""
    known = pc.dictionary_encode(leads["account_id"].combine_chunks())
    code = pc.fill_null(known.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = code < 0
    code[alone] = len(known.dictionary) + np.arange(alone.sum())
    return code
