"""The event sources as one log, read, judged and put away piece by piece, so that it may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from joblib import effective_n_jobs

from configs.schema import Project
from configs.source_rows import Constant, EventRows
from features.arrivals import Arrivals
from features.contracts import EVENTS, INSTANT, SourceCount
from features.intake.duplicates import HASHES, repeated, total
from features.intake.entities import Entities
from features.intake.formats.texts import plain
from features.intake.objections import Objections
from features.intake.quarantine import (
    DUPLICATE,
    NO_TYPE,
    UNKNOWN_ENTITY,
    Rows,
    Verdict,
    first_flaw,
    flaws,
    masked,
    settle,
)
from features.intake.reading import Origin, RawRows
from features.intake.row_hash import row_hashes, text_hashes
from features.intake.values import clean, cleaned, numbers, times
from features.tools.id_index import Ids
from features.tools.parallel import side_by_side
from features.tools.spill import Shelf

LOG = pa.schema([*EVENTS, pa.field("lead", pa.int32(), nullable=False)])
"""EVENTS, and the row of the lead that each belongs to, -1 where there is no leads source."""
HASHED = pa.schema([*LOG, *HASHES])


@dataclass(frozen=True)
class ReadLog:
    """The events as EVENTS, what became of each source's rows, and the sum of the events' hashes.

    ``lead`` is the row of the lead that each event belongs to. ``entities`` are the leads that the events tell of, as
    LEADS; none where there is a leads source, and without one ``lead`` is -1.
    """

    events: pa.Table
    lead: pa.ChunkedArray
    entities: pa.Table
    counts: tuple[SourceCount, ...]
    sum: bytes


def read_events(
    project: Project,
    leads: pa.Table | None,
    objections: Objections,
    quarantine: Path | None,
    scratch: Path | None,
) -> ReadLog:
    """Read all event sources; those of entities that are not in ``leads``, where there are any, are set aside.

    Of rows that are equal in the whole log the first is used. Of Parquet only the mapped columns are read, and the
    whole rows of those in quarantine. Raises what reading any source raises.
    """
    known = None if leads is None else Ids.of(leads["entity_id"])
    shelf, entities = Shelf(HASHED, scratch), Entities()
    origins, verdicts = list[Origin](), list[Verdict]()
    for i, source in enumerate(project.sources.events):
        origins.append(Origin.of(source, scratch))
        judged = _check_pieces(project, source, i, origins[i], (known, objections))
        verdicts.append(
            Verdict.joined(
                _store_piece(shelf, entities if known is None else None, *piece) for piece in judged
            )
        )
    hashed = shelf.table()
    hashes, log = hashed.select(HASHES.names), hashed.select(LOG.names)
    again = repeated(hashes)
    limit = project.sources.max_quarantine

    def bad(i: int) -> Rows:
        return masked(origins[i].again, project.privacy.personal)

    counts = tuple(
        replace(settle(f"events_{i + 1}", verdict, bad(i), quarantine, limit), arrivals=arrivals)
        for i, (verdict, arrivals) in enumerate(
            zip(
                _add_duplicates(verdicts, again),
                _count_arrivals(verdicts, hashed["available_at"]),
                strict=True,
            )
        )
    )
    kept = Shelf.of(LOG, _drop_rows(log, again), scratch) if len(again) else log
    return ReadLog(
        kept.select(EVENTS.names), kept["lead"], entities.table(), counts, total(hashes, again)
    )


def _add_duplicates(verdicts: list[Verdict], again: np.ndarray) -> Iterator[Verdict]:
    """Yield the verdicts of the sources with the places ``again`` in the log of what all of them use."""
    begin = 0
    for verdict in verdicts:
        end = begin + verdict.rows - len(verdict.places)
        own = again[np.searchsorted(again, begin) : np.searchsorted(again, end)] - begin
        yield verdict.also(verdict.used(own), DUPLICATE)
        begin = end


def _count_arrivals(verdicts: list[Verdict], available: pa.ChunkedArray) -> Iterator[Arrivals]:
    """Yield when the rows that each source puts into the log became known."""
    for verdict in verdicts:
        own = verdict.rows - len(verdict.places)
        yield Arrivals.from_instants(available.slice(0, own))
        available = available.slice(own)


def _check_pieces(
    project: Project,
    source: EventRows,
    i: int,
    origin: Origin,
    known: tuple[Ids | None, Objections],
) -> Iterator[tuple[pa.Array, pa.Table, pa.Table]]:
    """Return what becomes of each piece of a source; a few are judged side by side while the next is read."""
    few = [name for name in (source.event_type, source.channel) if isinstance(name, str)]

    def judged(raw: RawRows) -> tuple[pa.Array, pa.Table, pa.Table]:
        return _check_piece(project, source, raw, *known)

    return side_by_side(judged, origin.pieces(_required_columns(source, i), few), ahead=effective_n_jobs(-1))


def _check_piece(
    project: Project, source: EventRows, raw: RawRows, known: Ids | None, objections: Objections
) -> tuple[pa.Array, pa.Table, pa.Table]:
    """Return the reason why each raw row is not used, the good rows, and these as HASHED."""
    columns = _read_columns(project, source, raw)
    found = objections.flaws(columns["entity_id"], meets=known is None)
    found += flaws(columns, source.missing_time == "skip")
    found += [(pc.is_null(columns["event_type"]), NO_TYPE)]
    found += [(pc.is_valid(columns["value_problem"]), columns["value_problem"])]
    lead = (
        np.full(len(raw.table), -1, np.int32) if known is None else known.find(columns["entity_id"])
    )
    if known is not None:
        found += [(pa.array(lead < 0), UNKNOWN_ENTITY)]
    columns["lead"] = pa.chunked_array([lead])
    reasons = first_flaw(found, len(raw.table))
    names = (
        "entity_id",
        "account_id",
        "time",
        "available",
        "event_type",
        "channel",
        "value",
        "lead",
    )
    good = pa.table({name: columns[name] for name in names})
    if reasons.null_count < len(reasons):
        good = good.filter(reasons.is_null())
    return reasons, good, _to_hashed_log(good)


def _required_columns(source: EventRows, i: int) -> dict[str, str]:
    keys = ("entity_id", "event_time", "event_type", "known_at", "channel", "value", "account_id")
    mapped = {f"sources.events[{i}].{key}": getattr(source, key) for key in keys}
    return {key: name for key, name in mapped.items() if isinstance(name, str)}


def _read_columns(project: Project, source: EventRows, raw: RawRows) -> dict[str, pa.ChunkedArray]:
    """Read what is mapped as what it should be, with the reason where that fails."""
    missing = source.missing
    columns = {
        "unreadable": raw.unreadable(),
        "entity_id": plain(cleaned(raw, source.entity_id, missing)),
        "account_id": plain(cleaned(raw, source.account_id, missing)),
        **times(raw, source.event_time, source.known_at, missing, project.zone),
        "event_type": _read_text(raw, source.event_type, missing),
        "channel": _read_text(raw, source.channel, missing),
    }
    value = pa.chunked_array([pa.nulls(len(raw.table), pa.float64())])
    if source.value is not None:
        value = clean(raw.column(source.value, ""), missing)
    columns["value"], columns["value_problem"] = numbers(value)
    return columns


def _read_text(raw: RawRows, mapped: str | Constant | None, missing: tuple[str, ...]) -> pa.ChunkedArray:
    if isinstance(mapped, Constant):
        return pa.chunked_array([pa.repeat(mapped.constant, len(raw.table)).dictionary_encode()])
    return cleaned(raw, mapped, missing)


def _store_piece(
    shelf: Shelf, entities: Entities | None, reasons: pa.Array, good: pa.Table, hashed: pa.Table
) -> pa.Array:
    """Put the good rows of a piece on the shelf; return what became of all its rows."""
    if entities is not None:
        entities.add(good)
    shelf.add(hashed)
    return reasons


def _to_hashed_log(good: pa.Table) -> pa.Table:
    """Return good rows as HASHED."""
    hashes = _hash_events(good)
    table = pa.table(
        {
            "entity_id": good["entity_id"],
            "event_time": good["time"].cast(INSTANT),
            "available_at": good["available"].cast(INSTANT),
            "event_type": plain(good["event_type"]),
            "channel": plain(good["channel"]),
            "value": good["value"],
            "lead": good["lead"],
            "high": np.ascontiguousarray(hashes[:, 0]),
            "low": np.ascontiguousarray(hashes[:, 1]),
        }
    )
    return table.cast(HASHED)


def _hash_events(rows: pa.Table) -> np.ndarray:
    value = pc.fill_null(rows["value"], np.nan).to_numpy()
    return row_hashes(
        [
            text_hashes(rows["entity_id"]),
            rows["time"].to_numpy().view(np.uint64),
            rows["available"].to_numpy().view(np.uint64),
            text_hashes(rows["event_type"]),
            text_hashes(rows["channel"]),
            value.view(np.uint64),
        ]
    )


def _drop_rows(table: pa.Table, places: np.ndarray) -> Iterator[pa.Table]:
    begin = 0
    for batch in table.to_batches():
        end = begin + len(batch)
        own = places[np.searchsorted(places, begin) : np.searchsorted(places, end)] - begin
        keep = np.ones(len(batch), bool)
        keep[own] = False
        yield pa.Table.from_batches([batch.filter(pa.array(keep)) if len(own) else batch])
        begin = end
