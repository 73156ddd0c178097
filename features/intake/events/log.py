"""Event sources as one log, read and validated piece by piece, so that it may exceed memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.arrivals import Arrivals
from features.contracts import EVENTS, SourceCount
from features.intake.contract import note_breaches
from features.intake.events.duplicates import (
    add_duplicates,
    drop_rows,
    settle_duplicates,
    sum_content,
)
from features.intake.events.pieces import (
    EVENT_LOG,
    HASHED_EVENT_LOG,
    EventFindings,
    EventParsers,
    RowChecks,
    check_pieces,
)
from features.intake.identity.entities import EntityCollector
from features.intake.identity.id_doubts import IdDoubts
from features.intake.identity.merged_rows import count_moved, move_events
from features.intake.identity.visitor_repeats import describe_visitor_repeats
from features.intake.identity.visitor_rows import (
    FIRST_VISITOR,
    OwnerLookup,
    assign_visitors,
    count_identified,
    move_withdrawn,
)
from features.intake.names import describe_event_twins
from features.intake.objections import Objections
from features.intake.quarantine import (
    Rejections,
    mask_columns,
    quarantine_rows,
)
from features.intake.reading import SourceReader
from features.intake.time_limits import ExcludedLeads, TimeLimits, describe_excluded_rows
from features.merges import LeadMerges
from features.tools.duplicates import HASHES
from features.tools.id_index import IdIndex
from features.tools.spill import SpillBuffer
from features.visitors.links import VisitorLinks

# What the rows of all sources are compared with; the first fields of RowChecks.
KnownRows = tuple[IdIndex | None, Objections, LeadMerges, OwnerLookup]


@dataclass(frozen=True)
class EventReadResult:
    """The events of all sources.

    Attributes:
        events: EVENTS.
        lead_row: Row number in the leads of each event, int32; -1 if there is no leads source.
        entities: The leads derived from the events, as LEADS; empty if there is a leads source.
        counts: Row counts of each source.
        hash_sum: Sum of the events' hashes.
        withdrawn: WITHDRAWN.
    """

    events: pa.Table
    lead_row: pa.ChunkedArray
    entities: pa.Table
    counts: tuple[SourceCount, ...]
    hash_sum: bytes
    withdrawn: pa.Table


def read_events(
    project: Project,
    leads: pa.Table | None,
    objections: Objections,
    quarantine: Path | None,
    scratch: Path | None,
    exclusion: tuple[TimeLimits, ExcludedLeads],
    merges: LeadMerges,
    links: VisitorLinks,
) -> EventReadResult:
    """Read all event sources as one log; set rows of entities without a lead aside.

    Of equal rows in the whole log the first is used. From Parquet only the mapped columns are read,
    and whole rows of those in quarantine. Raises the errors of reading a source.
    """
    lead_index = None if leads is None else IdIndex.from_column(leads["entity_id"])
    readers = [SourceReader.open(source, scratch) for source in project.sources.events]
    parsers = [EventParsers.open(project, i, reader) for i, reader in enumerate(readers)]
    owners = OwnerLookup.open(links, lead_index, merges)
    known = (lead_index, objections, merges, owners)
    log_parts = _read_sources(project, readers, parsers, known, exclusion, scratch)
    hashed, entities, rejections, findings = log_parts
    doubts = [collected.doubts for collected in findings]
    if lead_index is None:
        _refuse_rounded_ids(doubts, project.sources.max_quarantine)
    hashes, log = hashed.select(HASHES.names), hashed.select(EVENT_LOG.names)
    # After all sources, since equal rows may be in different ones; the first of them is used.
    again, differences = settle_duplicates(project, readers, rejections, doubts, hashes, log)
    arrivals = _count_arrivals(rejections, hashed["available_at"])
    hints = [_diagnose_unknown(project, leads, collected) for collected in doubts]
    rejected = add_duplicates(rejections, again)
    limits, _ = exclusion
    counts = _quarantine_sources(project, readers, rejected, arrivals, hints, quarantine, limits)
    if len(again):
        log = SpillBuffer.collect(EVENT_LOG, drop_rows(log, again), scratch)
    hash_sum = sum_content(project, log, hashes, again)
    counts = _count_moved(counts, log, merges)
    repeats = [*describe_visitor_repeats(project, counts, log, owners)]
    log, withdrawn = assign_visitors(log, owners, scratch)
    if lead_index is not None:
        log = move_events(log, lead_index, merges, scratch)
    differences = [a + b for a, b in zip(differences, repeats, strict=True)]
    counts = _add_all_warnings(project, counts, parsers, findings, differences)
    events, withdrawn = log.select(EVENTS.names), move_withdrawn(withdrawn, merges)
    return EventReadResult(events, log["lead"], entities.to_table(), counts, hash_sum, withdrawn)


def _add_all_warnings(
    project: Project,
    counts: tuple[SourceCount, ...],
    parsers: list[EventParsers],
    findings: list[EventFindings],
    differences: list[list[str]],
) -> tuple[SourceCount, ...]:
    """Return the counts with the warnings of one pass over all sources, and broken rules."""
    for lines in (
        [parser.values.list_warnings() for parser in parsers],
        [parser.times.list_warnings() for parser in parsers],
        [collected.doubts.warnings() for collected in findings],
        differences,
        describe_event_twins(project, [collected.names for collected in findings]),
    ):
        counts = _add_warnings(counts, lines)
    counts = tuple(map(note_breaches, counts, (collected.contract for collected in findings)))
    return counts


def _count_moved(
    counts: tuple[SourceCount, ...], log: pa.Table, merges: LeadMerges
) -> tuple[SourceCount, ...]:
    """Return the counts with the rows of merged records and of visitors.

    The log has the sources in their order.
    """
    begins = np.cumsum([0, *(count.used for count in counts)])
    parts = [log.slice(int(b), count.used) for count, b in zip(counts, begins, strict=False)]
    return tuple(
        replace(count, moved=_count_merged(part, merges), identified=count_identified(part))
        for count, part in zip(counts, parts, strict=True)
    )


def _count_merged(rows: pa.Table, merges: LeadMerges) -> int:
    """Return the number of rows of merged records; a visitor may have the id of one."""
    if not merges:
        return 0
    return count_moved(rows.filter(pc.greater(rows["lead"], FIRST_VISITOR)), merges)


def _add_warnings(
    counts: tuple[SourceCount, ...], lines: Iterable[Iterable[str]]
) -> tuple[SourceCount, ...]:
    """Return the counts with further warnings, those of each source in turn."""
    return tuple(
        replace(count, warnings=(*count.warnings, *more))
        for count, more in zip(counts, lines, strict=True)
    )


def _read_sources(
    project: Project,
    readers: list[SourceReader],
    parsers: list[EventParsers],
    known: KnownRows,
    exclusion: tuple[TimeLimits, ExcludedLeads],
    scratch: Path | None,
) -> tuple[pa.Table, EntityCollector, list[Rejections], list[EventFindings]]:
    """Return what ``_read_once`` does, read with the forms that all texts together show."""
    log_parts = _read_once(project, readers, parsers, known, exclusion, scratch)
    # A list, so that all sources are settled before any is read once more.
    if any([parser.settle() for parser in parsers]):
        for parser in parsers:
            parser.values.reset_counts()
        log_parts = _read_once(project, readers, parsers, known, exclusion, scratch)
    for reader, parser in zip(readers, parsers, strict=True):
        reader.form.update(dict.fromkeys(parser.list_form()))
    return log_parts


def _read_once(
    project: Project,
    readers: list[SourceReader],
    parsers: list[EventParsers],
    known: KnownRows,
    exclusion: tuple[TimeLimits, ExcludedLeads],
    scratch: Path | None,
) -> tuple[pa.Table, EntityCollector, list[Rejections], list[EventFindings]]:
    """Return the good rows of all sources as HASHED_EVENT_LOG, and what else one pass collects.

    These are the entities, and the rejections and findings of each source.
    """
    buffer, entities = SpillBuffer(HASHED_EVENT_LOG, scratch), EntityCollector()
    rejections = list[Rejections]()
    findings = [EventFindings.open(project, i) for i in range(len(project.sources.events))]
    for i, source in enumerate(project.sources.events):
        checks = RowChecks(*known, findings[i], *exclusion)
        pieces = check_pieces(project, source, i, readers[i], parsers[i], checks)
        collector = entities if known[0] is None else None
        rejections.append(
            Rejections.from_parts(_store_piece(buffer, collector, *piece) for piece in pieces)
        )
    return buffer.to_table(), entities, rejections, findings


def _quarantine_sources(
    project: Project,
    readers: list[SourceReader],
    rejections: Iterable[Rejections],
    arrivals: Iterable[Arrivals],
    hints: list[str],
    quarantine: Path | None,
    limits: TimeLimits,
) -> tuple[SourceCount, ...]:
    """Write the quarantine file of each event source and return the row counts."""
    counts = list[SourceCount]()
    sources = zip(readers, rejections, arrivals, hints, strict=True)
    for i, (reader, rejected, arrived, hint) in enumerate(sources):
        read_again = mask_columns(reader.reread, project.privacy.personal)
        count = quarantine_rows(
            f"events_{i + 1}", rejected, read_again, quarantine, project.sources, hint=hint
        )
        source = project.sources.events[i]
        warnings = describe_excluded_rows(project, source, rejected, reader.reread, limits)
        warnings += (f"{reader.source.label}: events_{i + 1}: {hint}",) if hint else ()
        warnings = (*count.warnings, *reader.list_warnings(), *warnings)
        form = tuple(reader.form)
        counts.append(replace(count, arrivals=arrived, warnings=warnings, form=form))
    return tuple(counts)


def _diagnose_unknown(project: Project, leads: pa.Table | None, doubts: IdDoubts) -> str:
    if leads is None:
        return ""
    return doubts.diagnose_unknown(leads["entity_id"], project.sources.max_quarantine)


def _refuse_rounded_ids(doubts: list[IdDoubts], limit: float) -> None:
    """Raise DataError if a log without leads has too many rounded ids: they may be of many."""
    for collected in doubts:
        if collected.scientific_rows > limit * collected.rows:
            collected.refuse_scientific("the events of many entities become those of one")


def _count_arrivals(rejections: list[Rejections], available: pa.ChunkedArray) -> Iterator[Arrivals]:
    """Yield the arrivals of the rows that each source adds to the log."""
    for rejection in rejections:
        used_rows = rejection.rows - len(rejection.row_numbers)
        yield Arrivals.from_instants(available.slice(0, used_rows))
        available = available.slice(used_rows)


def _store_piece(
    buffer: SpillBuffer,
    entities: EntityCollector | None,
    reasons: pa.Array,
    good: pa.Table,
    hashed: pa.Table,
) -> pa.Array:
    """Store the good rows of a piece; return the rejection reasons of all its rows."""
    # Before duplicates are known: they change neither the first event nor the first account.
    if entities is not None:
        entities.add(good)
    buffer.add(hashed)
    return reasons
