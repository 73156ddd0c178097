"""Events that two visitors of one lead report: counted, since nothing says whether they are one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from configs.schema import Project
from features.contracts import SourceCount
from features.intake.identity.visitor_rows import FIRST_VISITOR, OwnerLookup
from features.tools.instants import column_to_microseconds, format_iso, from_microseconds
from features.tools.row_hash import hash_rows, hash_texts

# Spreads rows of leads over all bits: 2^64 / φ, though any large odd number would do.
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Rows of leads with several visitors that are compared, about: a log that has such events has some
# among its first rows, and comparing tens of millions would cost more than giving them to leads.
MAX_COMPARED_VISITS = 1 << 18


def describe_visitor_repeats(
    project: Project, counts: tuple[SourceCount, ...], log: pa.Table, lookup: OwnerLookup
) -> Iterator[list[str]]:
    """Yield for each source the warning about events that are equal but for the visitor.

    ``log`` is EVENT_LOG before its rows are given to leads, with the used rows of the sources in
    their order. An event with an id of its own is one event, so sources with ids have no warning.
    """
    several = _find_several(lookup) if lookup.links else np.empty(0, bool)
    begin = 0
    for i, (source, count) in enumerate(zip(project.sources.events, counts, strict=True)):
        rows = log.slice(begin, count.used)
        begin += count.used
        if source.visitor_id is None or source.event_id is not None or not several.any():
            yield []
            continue
        repeats, compared = _find_repeats(rows, lookup, several)
        if not len(repeats):
            yield []
            continue
        instant = column_to_microseconds(rows["event_time"].take(pa.array(repeats[:1])))[0]
        yield [
            f"{source.label}: events_{i + 1}: {len(repeats):,} of {compared:,} compared rows of "
            "leads with several visitors are equal to a row of another of these visitors, such as "
            f"one at {format_iso(from_microseconds(instant))}; each counts. If they are one event, "
            f"map a column with its id as sources.events[{i}].event_id"
        ]


def _find_several(lookup: OwnerLookup) -> np.ndarray:
    """Return whether the lead of each ownership has several visitors."""
    first = lookup.links.rows.first
    visitors = len(first) - 1
    visitor = np.repeat(np.arange(visitors), np.diff(first))
    # Sorted, since numpy.unique (2.4) takes ten times as long.
    pairs = np.sort(lookup.lead_rows.astype(np.int64) * visitors + visitor)
    counts = np.bincount(pairs[np.r_[True, pairs[1:] != pairs[:-1]]] // visitors)
    return counts[lookup.lead_rows] > 1


def _find_repeats(
    rows: pa.Table, lookup: OwnerLookup, several: np.ndarray
) -> tuple[np.ndarray, int]:
    """Return the rows that repeat an earlier row of another visitor, and how many were compared."""
    places, moments, begin = [np.empty(0, np.int64)], [np.empty(0, np.uint64)], 0
    for batch in rows.to_batches():
        place, moment = _hash_moments(batch, lookup, several)
        places.append(begin + place)
        moments.append(moment)
        begin += len(batch)
        if sum(map(len, places)) >= MAX_COMPARED_VISITS:
            break
    place, moment = np.concatenate(places), np.concatenate(moments)
    ordered = np.sort(moment)
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    # In nearly all logs no lead has two rows at one time, and nothing else is to be done.
    chosen = place[np.isin(moment, again)] if len(again) else place[:0]
    return _compare_visits(rows.take(pa.array(chosen)), chosen, lookup), len(place)


def _hash_moments(
    batch: pa.RecordBatch, lookup: OwnerLookup, several: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of visitors whose lead has several, and a hash of lead and time of each.

    Of a row whose link was taken back it may be that of another lead; such rows do not count.
    """
    lead = batch["lead"].to_numpy()
    owner = FIRST_VISITOR - lead
    place = np.flatnonzero((lead <= FIRST_VISITOR) & several[np.maximum(owner, 0)])
    time = batch["event_time"].cast(pa.int64()).to_numpy()[place]
    own = lookup.lead_rows[owner[place]].astype(np.uint64)
    return place, own * MULTIPLIER ^ time.view(np.uint64)


def _compare_visits(rows: pa.Table, place: np.ndarray, lookup: OwnerLookup) -> np.ndarray:
    """Return the places of rows that are equal to an earlier one of another visitor."""
    visitor = lookup.links.find_visitors(FIRST_VISITOR - rows["lead"].to_numpy())
    times = (column_to_microseconds(rows[n]) for n in ("event_time", "available_at"))
    owner = lookup.links.find_owners(visitor, *times)
    stays = owner >= 0
    place, visitor = place[stays], visitor[stays]
    key = _hash_visits(rows.filter(pa.array(stays)), lookup.lead_rows[owner[stays]])
    order = np.lexsort((place, key))
    key, visitor, place = key[order], visitor[order], place[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]][: len(key)])
    first = np.repeat(visitor[starts], np.diff(np.r_[starts, len(key)]))
    return np.sort(place[visitor != first])


def _hash_visits(rows: pa.Table, lead: np.ndarray) -> np.ndarray:
    """Return a hash of lead, time, type, channel and value of each event, uint64 (rows,)."""
    value = rows["value"].to_numpy()
    words = [
        lead.astype(np.uint64),
        column_to_microseconds(rows["event_time"]).view(np.uint64),
        hash_texts(rows["event_type"]),
        hash_texts(rows["channel"]),
        # All missing values become the same NaN.
        np.where(np.isnan(value), np.nan, value).view(np.uint64),
    ]
    return np.ascontiguousarray(hash_rows(words)[:, 0])
