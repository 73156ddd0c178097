"""Event sources as one log, read and validated piece by piece, so that it may exceed memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from joblib import effective_n_jobs

from configs.schema import Project
from configs.source_rows import EventRows
from features.arrivals import Arrivals
from features.contracts import EVENTS, INSTANT, SourceCount
from features.intake.contract import ContractCheck, note_breaches
from features.intake.event_values import EventValues
from features.intake.formats.texts import to_plain_text
from features.intake.identity.entities import EntityCollector
from features.intake.identity.equal_events import (
    MAX_COMPARED_ROWS,
    EqualRows,
    choose_first_known,
    describe_conflicts,
    describe_differences,
    hash_identities,
    hash_log,
    order_events,
    pair_equal_rows,
)
from features.intake.identity.equal_files import (
    FileRows,
    describe_cut_files,
    describe_repeated_files,
    merge_file_rows,
)
from features.intake.identity.id_doubts import IdDoubts, open_id_doubts
from features.intake.ids import read_ids
from features.intake.names import NameCounts, describe_event_twins, read_names
from features.intake.objections import Objections
from features.intake.quarantine import (
    DUPLICATE,
    NO_TYPE,
    UNKNOWN_ENTITY,
    Rejections,
    find_common_flaws,
    mask_columns,
    pick_first_reason,
    quarantine_rows,
)
from features.intake.reading import RawRows, SourceReader
from features.intake.time_limits import ExcludedLeads, TimeLimits, describe_excluded_rows
from features.intake.values import read_times
from features.tools.duplicates import HASHES, find_duplicate_rows, sum_hashes
from features.tools.id_index import IdIndex
from features.tools.parallel import parallel_map
from features.tools.spill import SpillBuffer

# EVENTS, and the row number of each event's lead, -1 if there is no leads source.
EVENT_LOG = pa.schema([*EVENTS, pa.field("lead", pa.int32(), nullable=False)])
HASHED_EVENT_LOG = pa.schema([*EVENT_LOG, *HASHES])


@dataclass(frozen=True)
class EventReadResult:
    """The events of all sources.

    Attributes:
        events: EVENTS.
        lead_row: Row number in the leads of each event, int32; -1 if there is no leads source.
        entities: The leads derived from the events, as LEADS; empty if there is a leads source.
        counts: Row counts of each source.
        hash_sum: Sum of the events' hashes.
    """

    events: pa.Table
    lead_row: pa.ChunkedArray
    entities: pa.Table
    counts: tuple[SourceCount, ...]
    hash_sum: bytes


@dataclass(frozen=True)
class _Findings:
    """What one pass over a source collects, beside its rows.

    Attributes:
        doubts: The source's doubtful ids.
        names: Rows of the source's names.
        contract: Rows that break the source's contract.
    """

    doubts: IdDoubts
    names: NameCounts
    contract: ContractCheck

    @classmethod
    def open(cls, project: Project, i: int) -> _Findings:
        """Return the collectors for the ``i``-th event source."""
        source = project.sources.events[i]
        contract = ContractCheck(project, source, f"events_{i + 1}")
        doubts = open_id_doubts(project, source, f"sources.events[{i}]")
        return cls(doubts, NameCounts(), contract)


@dataclass(frozen=True)
class _RowChecks:
    """What the rows of a source are checked against, beside their own columns.

    Attributes:
        lead_index: Index of the leads' ids; None if there is no leads source.
        objections: Entities that must not be scored.
        findings: Collects the source's doubtful ids and names.
        limits: Instants that rows may have.
        excluded: Leads without a usable row because of its time.
    """

    lead_index: IdIndex | None
    objections: Objections
    findings: _Findings
    limits: TimeLimits
    excluded: ExcludedLeads


def read_events(
    project: Project,
    leads: pa.Table | None,
    objections: Objections,
    quarantine: Path | None,
    scratch: Path | None,
    exclusion: tuple[TimeLimits, ExcludedLeads],
) -> EventReadResult:
    """Read all event sources as one log; set rows of entities without a lead aside.

    Of equal rows in the whole log the first is used. From Parquet only the mapped columns are read,
    and whole rows of those in quarantine. Raises the errors of reading a source.
    """
    lead_index = None if leads is None else IdIndex.from_column(leads["entity_id"])
    sources = project.sources.events
    readers = [SourceReader.open(source, scratch) for source in sources]
    values = [EventValues.from_source(project, source, i) for i, source in enumerate(sources)]
    known = (lead_index, objections)
    log_parts = _read_sources(project, readers, values, known, exclusion, scratch)
    # A list, so that all sources are settled before any is read once more.
    if any([reader.settle_signs() for reader in values]):
        for reader in values:
            reader.reset_counts()
        log_parts = _read_sources(project, readers, values, known, exclusion, scratch)
    hashed, entities, rejections, findings = log_parts
    doubts = [collected.doubts for collected in findings]
    if lead_index is None:
        _refuse_rounded_ids(doubts, project.sources.max_quarantine)
    hashes, log = hashed.select(HASHES.names), hashed.select(EVENT_LOG.names)
    # After all sources, since equal rows may be in different ones; the first of them is used.
    again, differences = _settle_duplicates(project, readers, rejections, doubts, hashes, log)
    arrivals = _count_arrivals(rejections, hashed["available_at"])
    hints = [_diagnose_unknown(project, leads, collected) for collected in doubts]
    rejected = _add_duplicates(rejections, again)
    limits, _ = exclusion
    counts = _quarantine_sources(project, readers, rejected, arrivals, hints, quarantine, limits)
    if len(again):
        log = SpillBuffer.collect(EVENT_LOG, _drop_rows(log, again), scratch)
    hash_sum = _sum_content(project, log, hashes, again)
    for lines in (
        [reader.list_warnings() for reader in values],
        [collected.warnings() for collected in doubts],
        differences,
        describe_event_twins(project, [collected.names for collected in findings]),
    ):
        counts = _add_warnings(counts, lines)
    counts = tuple(map(note_breaches, counts, (collected.contract for collected in findings)))
    return EventReadResult(
        log.select(EVENTS.names), log["lead"], entities.to_table(), counts, hash_sum
    )


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
    values: list[EventValues],
    known: tuple[IdIndex | None, Objections],
    exclusion: tuple[TimeLimits, ExcludedLeads],
    scratch: Path | None,
) -> tuple[pa.Table, EntityCollector, list[Rejections], list[_Findings]]:
    """Return the good rows of all sources as HASHED_EVENT_LOG, and what else one pass collects.

    These are the entities, and the rejections and findings of each source.
    """
    buffer, entities = SpillBuffer(HASHED_EVENT_LOG, scratch), EntityCollector()
    rejections = list[Rejections]()
    findings = [_Findings.open(project, i) for i in range(len(project.sources.events))]
    for i, source in enumerate(project.sources.events):
        checks = _RowChecks(*known, findings[i], *exclusion)
        pieces = _check_pieces(project, source, i, readers[i], values[i], checks)
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
        counts.append(replace(count, arrivals=arrived, warnings=(*count.warnings, *warnings)))
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


def _settle_duplicates(
    project: Project,
    readers: list[SourceReader],
    rejections: list[Rejections],
    doubts: list[IdDoubts],
    hashes: pa.Table,
    log: pa.Table,
) -> tuple[np.ndarray, list[list[str]]]:
    """Return the rows that repeat another, ascending, and by source the warnings about them.

    Of events with one id of their own and different content the one known first is used.
    """
    again = find_duplicate_rows(hashes)
    begin, parts, differences = 0, [again[:0]], list[list[str]]()
    for i, (reader, rejected) in enumerate(zip(readers, rejections, strict=True)):
        source, end = project.sources.events[i], begin + rejected.rows - len(rejected.row_numbers)
        where, key = f"{source.label}: events_{i + 1}", f"sources.events[{i}]"
        rows = again[np.searchsorted(again, begin) : np.searchsorted(again, end)]
        if source.event_id is None:
            own = pair_equal_rows(hashes, rows[:MAX_COMPARED_ROWS]).between(begin, end)
            pairs = EqualRows(*map(rejected.used_row_numbers, (own.again, own.firsts)))
            line = describe_differences(pairs, len(rows), reader.reread, where, key)
        else:
            pairs = pair_equal_rows(hashes, rows)
            pairs = choose_first_known(pairs, lambda rows: order_events(log, rows))
            line, rows = describe_conflicts(log, pairs, f"{where}: {source.event_id}"), pairs.again
        parts.append(rows)
        files = merge_file_rows(doubts[i].files)
        lines = _describe_files(files, rejected, hashes, rows, begin)
        differences.append([line, *lines] if line else [*lines])
        begin = end
    return np.concatenate(parts), differences


def _describe_files(
    files: list[FileRows],
    rejected: Rejections,
    hashes: pa.Table,
    again: np.ndarray,
    begin: int,
) -> Iterator[str]:
    """Yield the warnings about files of a source, whose first row of the log is ``begin``."""

    def find_firsts(places: np.ndarray) -> np.ndarray:
        firsts = pair_equal_rows(hashes, again[places]).firsts - begin
        return np.where(firsts >= 0, rejected.used_row_numbers(firsts), -1)

    if len(files) > 1:
        duplicates = rejected.used_row_numbers(again - begin)
        yield from describe_repeated_files(files, rejected.row_numbers, duplicates, find_firsts)
        yield from describe_cut_files(files)


def _sum_content(project: Project, log: pa.Table, hashes: pa.Table, again: np.ndarray) -> bytes:
    """Return the sum of the hashes of the log's content; ``hashes`` are those of all good rows."""
    # Where an own id stands for the event, its hash says nothing about the content.
    if any(source.event_id for source in project.sources.events):
        return sum_hashes(hash_log(log), again[:0])
    return sum_hashes(hashes, again)


def _add_duplicates(rejections: list[Rejections], again: np.ndarray) -> Iterator[Rejections]:
    """Yield each source's rejections, with its rows among the log's duplicates ``reread``."""
    begin = 0
    for rejection in rejections:
        end = begin + rejection.rows - len(rejection.row_numbers)
        source_duplicates = (
            again[np.searchsorted(again, begin) : np.searchsorted(again, end)] - begin
        )
        yield rejection.with_reason(rejection.used_row_numbers(source_duplicates), DUPLICATE)
        begin = end


def _count_arrivals(rejections: list[Rejections], available: pa.ChunkedArray) -> Iterator[Arrivals]:
    """Yield the arrivals of the rows that each source adds to the log."""
    for rejection in rejections:
        used_rows = rejection.rows - len(rejection.row_numbers)
        yield Arrivals.from_instants(available.slice(0, used_rows))
        available = available.slice(used_rows)


def _check_pieces(
    project: Project,
    source: EventRows,
    i: int,
    origin: SourceReader,
    values: EventValues,
    checks: _RowChecks,
) -> Iterator[tuple[pa.Array, pa.Table, pa.Table]]:
    """Return the outcome of each piece of a source.

    Some pieces are checked in parallel while the next one is read.
    """
    # Read as dictionaries where possible, so that each distinct text is cleaned and hashed once.
    few = [name for name in (source.event_type, source.channel) if isinstance(name, str)]

    needed = _required_columns(source, i) | checks.findings.contract.needed_columns

    def check_piece(raw: RawRows) -> tuple[pa.Array, pa.Table, pa.Table]:
        return _check_piece(project, source, raw, values, checks, i)

    return parallel_map(
        check_piece,
        origin.iter_pieces(needed, few),
        # Half the default: a piece has a million rows or more.
        max_pending=effective_n_jobs(-1),
    )


def _check_piece(
    project: Project,
    source: EventRows,
    raw: RawRows,
    values: EventValues,
    checks: _RowChecks,
    source_number: int,
) -> tuple[pa.Array, pa.Table, pa.Table]:
    """Return the rejection reason of each raw row, the good rows, and these as HASHED_EVENT_LOG."""
    columns = _read_columns(project, source, raw, values)
    lead_index = checks.lead_index
    checks.findings.doubts.add(raw.table, raw.column(source.entity_id, ""), columns["entity_id"])
    # Suppression comes first, since such a row must not appear in the quarantine. With a leads
    # source, only its rows decide which listed entities the data contains.
    row_flaws = checks.objections.find_flaws(columns["entity_id"], marks_held=lead_index is None)
    row_flaws += find_common_flaws(columns, source.missing_time == "skip")
    row_flaws += checks.limits.find_flaws(columns)
    row_flaws += [(pc.is_null(columns["event_type"]), NO_TYPE)]
    row_flaws += [(pc.is_valid(columns["value_problem"]), columns["value_problem"])]
    lead = (
        np.full(len(raw.table), -1, np.int32)
        if lead_index is None
        else lead_index.find(columns["entity_id"])
    )
    if lead_index is not None:
        row_flaws += checks.excluded.find_flaws(columns["entity_id"])
        row_flaws += [(pa.array(lead < 0), UNKNOWN_ENTITY)]
    columns["lead"] = pa.chunked_array([lead])
    reasons = pick_first_reason(row_flaws, len(raw.table))
    names = (
        "entity_id",
        "account_id",
        "time",
        "available",
        "event_type",
        "channel",
        "value",
        "lead",
        "event_id",
    )
    if lead_index is not None:
        is_unknown = pc.fill_null(pc.equal(reasons, UNKNOWN_ENTITY), False)
        checks.findings.doubts.add_unknown(columns["entity_id"].filter(is_unknown))
    good = pa.table({name: columns[name] for name in names})
    if reasons.null_count < len(reasons):
        good = good.filter(reasons.is_null())
    checks.findings.names.add(good)
    checks.findings.contract.add(raw, values.choice)
    return reasons, good, _to_hashed_log(good, source_number)


def _required_columns(source: EventRows, i: int) -> dict[str, str]:
    keys = ["entity_id", "event_time", "event_type", "known_at", "channel", "value"]
    keys += ["account_id", "event_id"]
    mapped = {f"sources.events[{i}].{key}": getattr(source, key) for key in keys}
    return {key: name for key, name in mapped.items() if isinstance(name, str)}


def _read_columns(
    project: Project, source: EventRows, raw: RawRows, values: EventValues
) -> dict[str, pa.ChunkedArray]:
    """Read the mapped columns in their types, with the reason where a value is invalid."""
    missing = source.missing
    columns = {
        "unreadable": raw.unreadable_rows(),
        "entity_id": read_ids(raw, source.entity_id, missing),
        "account_id": read_ids(raw, source.account_id, missing),
        "event_id": read_ids(raw, source.event_id, missing),
        **read_times(raw, source.event_time, source.known_at, missing, project.zone),
        "event_type": read_names(raw, source.event_type, source),
        "channel": read_names(raw, source.channel, source),
    }
    columns["value"], columns["value_problem"] = values.parse_piece(raw)
    return columns


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


def _to_hashed_log(good: pa.Table, source_number: int) -> pa.Table:
    """Return good rows as HASHED_EVENT_LOG."""
    hashes = hash_identities(good, source_number)
    table = pa.table(
        {
            "entity_id": good["entity_id"],
            "event_time": good["time"].cast(INSTANT),
            "available_at": good["available"].cast(INSTANT),
            "event_type": to_plain_text(good["event_type"]),
            "channel": to_plain_text(good["channel"]),
            "value": good["value"],
            "lead": good["lead"],
            "high": np.ascontiguousarray(hashes[:, 0]),
            "low": np.ascontiguousarray(hashes[:, 1]),
        }
    )
    return table.cast(HASHED_EVENT_LOG)


def _drop_rows(table: pa.Table, row_numbers: np.ndarray) -> Iterator[pa.Table]:
    begin = 0
    for batch in table.to_batches():
        end = begin + len(batch)
        dropped = (
            row_numbers[np.searchsorted(row_numbers, begin) : np.searchsorted(row_numbers, end)]
            - begin
        )
        keep = np.ones(len(batch), bool)
        keep[dropped] = False
        yield pa.Table.from_batches([batch.filter(pa.array(keep)) if len(dropped) else batch])
        begin = end
