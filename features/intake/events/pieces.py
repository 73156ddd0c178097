"""Pieces of an event source: their rows are read in their types and checked one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from joblib import effective_n_jobs

from configs.contract import SourceContract
from configs.schema import Project
from configs.source_rows import EventRows
from features.contracts import EVENTS, INSTANT
from features.intake.contract import ContractCheck
from features.intake.event_values import EventValues
from features.intake.formats.texts import to_plain_text
from features.intake.identity.equal_events import (
    hash_identities,
)
from features.intake.identity.id_doubts import IdDoubts, open_id_doubts
from features.intake.identity.merged_rows import find_lead_rows
from features.intake.identity.visitor_rows import OwnerLookup
from features.intake.ids import read_ids
from features.intake.names import NameCounts, read_names
from features.intake.objections import Objections
from features.intake.quarantine import (
    NEVER_IDENTIFIED,
    NO_TYPE,
    UNKNOWN_ENTITY,
    Flaw,
    find_common_flaws,
    pick_first_reason,
)
from features.intake.reading import RawRows, SourceReader
from features.intake.time_columns import TimeColumns
from features.intake.time_limits import ExcludedLeads, TimeLimits
from features.intake.values import read_times
from features.merges import LeadMerges
from features.readings.source_form import FormEntry
from features.tools.duplicates import HASHES
from features.tools.id_index import IdIndex
from features.tools.parallel import parallel_map

# EVENTS, and the row number of each event's lead, -1 if there is no leads source; -2 and less for a
# row of a web visitor (``visitor_rows``) until all sources are read.
EVENT_LOG = pa.schema([*EVENTS, pa.field("lead", pa.int32(), nullable=False)])
HASHED_EVENT_LOG = pa.schema([*EVENT_LOG, *HASHES])

# Columns of good rows; in a row of a visitor, ``entity_id`` is the id of the visitor.
GOOD_COLUMNS = (
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


@dataclass(frozen=True)
class EventFindings:
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
    def open(cls, project: Project, i: int) -> EventFindings:
        """Return the collectors for the ``i``-th event source."""
        source = project.sources.events[i]
        contract = ContractCheck(project, source, f"events_{i + 1}")
        doubts = open_id_doubts(project, source, f"sources.events[{i}]")
        return cls(doubts, NameCounts(), contract)


@dataclass(frozen=True)
class EventParsers:
    """Parsers of a source's texts, which all of its pieces share.

    Attributes:
        values: Parser of the amounts.
        times: Forms of the times.
    """

    values: EventValues
    times: TimeColumns

    @classmethod
    def open(cls, project: Project, i: int, reader: SourceReader) -> EventParsers:
        """Return the parsers for the ``i``-th event source."""
        source, contract = project.sources.events[i], project.sources.contract
        rules = contract.get(f"events_{i + 1}", SourceContract())
        times = TimeColumns.from_source(
            project, source, f"sources.events[{i}]", rules, reader.time_formats
        )
        return cls(EventValues.from_source(project, source, f"sources.events[{i}]"), times)

    def settle(self) -> bool:
        """Choose signs and forms after a pass; return whether to read once more.

        Raises DataError if too many texts are in doubt.
        """
        # Both, so that each is settled.
        return any([self.times.settle(), self.values.settle_signs()])

    def list_form(self) -> Iterator[FormEntry]:
        """Yield the entries about times and amounts."""
        yield from self.times.list_form()
        yield from self.values.list_form()


@dataclass(frozen=True)
class RowChecks:
    """What the rows of a source are checked against, beside their own columns.

    Attributes:
        lead_index: Index of the leads' ids; None if there is no leads source.
        objections: Entities that must not be scored.
        merges: Leads that became another one.
        owners: Finds whose the rows of web visitors are.
        findings: Collects the source's doubtful ids and names.
        limits: Instants that rows may have.
        excluded: Leads without a usable row because of its time.
    """

    lead_index: IdIndex | None
    objections: Objections
    merges: LeadMerges
    owners: OwnerLookup
    findings: EventFindings
    limits: TimeLimits
    excluded: ExcludedLeads


def check_pieces(
    project: Project,
    source: EventRows,
    i: int,
    origin: SourceReader,
    parsers: EventParsers,
    checks: RowChecks,
) -> Iterator[tuple[pa.Array, pa.Table, pa.Table]]:
    """Return the outcome of each piece of a source.

    Some pieces are checked in parallel while the next one is read.
    """
    # Read as dictionaries where possible, so that each distinct text is cleaned and hashed once.
    few = [name for name in (source.event_type, source.channel) if isinstance(name, str)]

    needed = _required_columns(source, i) | checks.findings.contract.needed_columns

    def check_piece(raw: RawRows) -> tuple[pa.Array, pa.Table, pa.Table]:
        return _check_piece(project, source, raw, parsers, checks, i)

    def iter_pieces() -> Iterator[RawRows]:
        for raw in origin.iter_pieces(needed, few):
            # Before any piece is checked: which one is first must not depend on the threads.
            parsers.times.guess(raw)
            yield raw

    return parallel_map(
        check_piece,
        iter_pieces(),
        # Half the default: a piece has a million rows or more.
        max_pending=effective_n_jobs(-1),
    )


def _check_piece(
    project: Project,
    source: EventRows,
    raw: RawRows,
    parsers: EventParsers,
    checks: RowChecks,
    source_number: int,
) -> tuple[pa.Array, pa.Table, pa.Table]:
    """Return the rejection reason of each raw row, the good rows, and these as HASHED_EVENT_LOG."""
    parsers.times.add(raw)
    columns = _read_columns(project, source, raw, parsers.values)
    lead_index = checks.lead_index
    _add_doubtful_ids(source, raw, columns, checks)
    # Suppression comes first, since such a row must not appear in the quarantine. With a leads
    # source, only its rows decide which listed entities the data contains.
    row_flaws = checks.objections.find_flaws(columns["entity_id"], marks_held=lead_index is None)
    ids = {"entity_id": _take_any_id(source, columns)}
    row_flaws += find_common_flaws(columns | ids, source.missing_time == "skip")
    row_flaws += checks.limits.find_flaws(columns)
    row_flaws += [(pc.is_null(columns["event_type"]), NO_TYPE)]
    row_flaws += [(pc.is_valid(columns["value_problem"]), columns["value_problem"])]
    columns["lead"], owner_flaws = _find_leads(columns, checks)
    reasons = pick_first_reason([*row_flaws, *owner_flaws], len(raw.table))
    if lead_index is not None:
        is_unknown = pc.fill_null(pc.equal(reasons, UNKNOWN_ENTITY), False)
        checks.findings.doubts.add_unknown(columns["entity_id"].filter(is_unknown))
    good = pa.table({name: columns[name] for name in GOOD_COLUMNS} | ids)
    if reasons.null_count < len(reasons):
        good = good.filter(reasons.is_null())
    checks.findings.names.add(good)
    checks.findings.contract.add(raw, parsers.values.choice)
    return reasons, good, _to_hashed_log(good, source_number)


def _add_doubtful_ids(
    source: EventRows, raw: RawRows, columns: dict[str, pa.ChunkedArray], checks: RowChecks
) -> None:
    """Collect the doubtful ids of entities; those of visitors where the source has no others."""
    key = "entity_id" if source.entity_id is not None else "visitor_id"
    column = raw.column(source.entity_id or source.visitor_id or "", "")
    checks.findings.doubts.add(raw.table, column, columns[key])


def _take_any_id(source: EventRows, columns: dict[str, pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return the id of the entity, or else of the visitor, of each row."""
    if source.visitor_id is None:
        return columns["entity_id"]
    if source.entity_id is None:
        return columns["visitor_id"]
    return pc.coalesce(columns["entity_id"], columns["visitor_id"])


def _find_leads(
    columns: dict[str, pa.ChunkedArray], checks: RowChecks
) -> tuple[pa.ChunkedArray, list[Flaw]]:
    """Return the column ``lead`` of EVENT_LOG, and the rows that belong to no lead."""
    lead_index, size = checks.lead_index, len(columns["entity_id"])
    if lead_index is None:
        return pa.chunked_array([np.full(size, -1, np.int32)]), []
    if columns["entity_id"].null_count == size:
        lead, flaws = np.full(size, -1, np.int32), list[Flaw]()
    else:
        lead = find_lead_rows(columns["entity_id"], lead_index, checks.merges)
        flaws = checks.excluded.find_flaws(columns["entity_id"])
    if checks.owners.links and columns["visitor_id"].null_count < size:
        visitor, anonymous = checks.owners.find_visitors(columns["visitor_id"], columns)
        lead = np.where(lead < 0, visitor, lead)
    else:
        anonymous = pc.and_(pc.is_null(columns["entity_id"]), pc.is_valid(columns["visitor_id"]))
    flaws += [(anonymous, NEVER_IDENTIFIED), (pa.array(lead == -1), UNKNOWN_ENTITY)]
    return pa.chunked_array([lead]), flaws


def _required_columns(source: EventRows, i: int) -> dict[str, str]:
    keys = ["entity_id", "event_time", "event_type", "known_at", "channel", "value"]
    keys += ["account_id", "event_id", "visitor_id"]
    mapped = {f"sources.events[{i}].{key}": getattr(source, key) for key in keys}
    return {key: name for key, name in mapped.items() if isinstance(name, str)}


def _read_columns(
    project: Project, source: EventRows, raw: RawRows, values: EventValues
) -> dict[str, pa.ChunkedArray]:
    """Read the mapped columns in their types, with the reason where a value is invalid."""
    columns = {
        "unreadable": raw.unreadable_rows(),
        "entity_id": read_ids(raw, source.entity_id, source),
        "visitor_id": read_ids(raw, source.visitor_id, source),
        "account_id": read_ids(raw, source.account_id, source),
        "event_id": read_ids(raw, source.event_id, source),
        **read_times(raw, source.event_time, source.known_at, source, project.zone),
        "event_type": read_names(raw, source.event_type, source),
        "channel": read_names(raw, source.channel, source),
    }
    columns["value"], columns["value_problem"] = values.parse_piece(raw)
    return columns


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
