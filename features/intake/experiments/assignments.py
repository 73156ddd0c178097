"""Assignments of arms at random as one table, without invalid rows and repetitions.

An arm without outreach is the control; how likely an arm with outreach was is given, or the share
of such rows. Data without times has assignments without times: each counts from when the row of
its lead is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.contract import SourceContract
from configs.schema import Project
from configs.uplift.experiment_rows import ExperimentRows
from features.contracts import EXPERIMENTS, INSTANT, SourceCount
from features.intake.identity.merged_rows import find_lead_rows
from features.intake.ids import read_ids
from features.intake.names import read_names
from features.intake.objections import Objections
from features.intake.quarantine import (
    NO_ARM,
    NO_PROPENSITY,
    SKIPPED,
    UNKNOWN_ENTITY,
    Flaw,
    Rejections,
    find_common_flaws,
    make_row_reader,
    mark_duplicates,
    mask_columns,
    pick_first_reason,
    quarantine_rows,
)
from features.intake.reading import RawRows, read_rows
from features.intake.time_columns import TimeColumns
from features.intake.time_limits import ExcludedLeads, TimeLimits, describe_excluded_rows
from features.intake.values import parse_numbers, read_clean_column, read_times
from features.merges import LeadMerges
from features.names.twins import describe_twins, find_text_twins
from features.tools.distinct_texts import DistinctTexts
from features.tools.id_index import IdIndex

KEYS = ("entity_id", "assigned_at", "arm", "propensity", "channel", "known_at")


@dataclass(frozen=True)
class AssignmentInput:
    """What the rows of all sources of assignments are read against.

    Attributes:
        project: The config.
        leads: LEADS with their attributes.
        objections: Entities to leave out.
        limits: Instants that rows may have.
        excluded: Leads whose row is not used because of its time.
        merges: Leads that became another one.
    """

    project: Project
    leads: pa.Table
    objections: Objections
    limits: TimeLimits
    excluded: ExcludedLeads
    merges: LeadMerges


def read_experiments(
    project: Project,
    leads: pa.Table,
    objections: Objections,
    quarantine: Path | None,
    exclusion: tuple[TimeLimits, ExcludedLeads],
    merges: LeadMerges,
) -> tuple[pa.Table, list[SourceCount]]:
    """Read all sources of ``sources.experiments`` as EXPERIMENTS, with the row counts of each.

    Bad rows go to ``quarantine/experiments_1.csv`` … as for other sources. Of rows of one lead,
    time and channel the one known first is used. Raises the errors of reading a source.
    """
    known = AssignmentInput(project, leads, objections, *exclusion, merges)
    tables, counts = [EXPERIMENTS.empty_table()], list[SourceCount]()
    for i, source in enumerate(project.sources.experiments):
        rows, count = _read_source(known, source, i, quarantine)
        tables.append(rows)
        counts.append(count)
    rows = pa.concat_tables(tables)
    return rows.sort_by([(name, "ascending") for name in rows.column_names]), counts


def _read_source(
    known: AssignmentInput, source: ExperimentRows, i: int, quarantine: Path | None
) -> tuple[pa.Table, SourceCount]:
    project, key = known.project, f"sources.experiments[{i}]"
    mapped = {f"{key}.{name}": getattr(source, name) for name in KEYS}
    raw = read_rows(source, {k: name for k, name in mapped.items() if isinstance(name, str)})
    times = TimeColumns.from_source(project, source, key, SourceContract(), {})
    raw = times.settle_rows(raw)
    columns = _read_columns(known, source, raw)
    reasons = pick_first_reason(_find_flaws(known, source, columns), len(raw.table))
    again, conflicts = _find_duplicates(columns, reasons)
    reasons = mark_duplicates(reasons, raw.table["nr"], raw.table["nr"].take(again))
    rejected, reader = Rejections.from_reasons(reasons), make_row_reader(raw)
    count = quarantine_rows(
        f"experiments_{i + 1}",
        rejected,
        mask_columns(reader, project.privacy.personal),
        quarantine,
        project.sources,
        conflicts,
    )
    good = pa.table(columns).filter(reasons.is_null())
    warnings = [*count.warnings, *raw.warnings, *times.list_warnings()]
    if source.assigned_at is not None:
        warnings += describe_excluded_rows(project, source, rejected, reader, known.limits)
    if conflicts:
        warnings.append(
            f"{source.label}: {key}.arm: {conflicts:,} rows have the lead, time and channel of "
            "another row and a different arm; the row known first is used"
        )
    warnings += describe_twins(
        find_text_twins(DistinctTexts.from_column(good["arm"]), {*source.names}),
        f"{source.label}: {key}.arm",
        key,
        source.arm in project.privacy.personal,
    )
    return _to_experiments(source, good), replace(count, warnings=tuple(warnings), form=raw.form)


def _read_columns(
    known: AssignmentInput, source: ExperimentRows, raw: RawRows
) -> dict[str, pa.ChunkedArray]:
    """Read the mapped columns in their types, with the reason where a value is invalid."""
    ids = read_ids(raw, source.entity_id, source)
    if source.entity_id is None:
        ids = pc.add(raw.table["nr"], 1).cast(pa.string())
    size = len(raw.table)
    propensity, problem = pa.nulls(size, pa.float64()), pa.nulls(size, pa.string())
    if isinstance(source.propensity, str):
        propensity, problem = parse_numbers(read_clean_column(raw, source.propensity, source))
    elif source.propensity is not None:
        propensity = pa.array(np.full(size, source.propensity))
    columns = {
        "unreadable": raw.unreadable_rows(),
        "entity_id": ids,
        **_read_assignment_times(known, source, raw, ids),
        "arm": read_names(raw, source.arm, source).cast(pa.string()),
        "propensity": propensity,
        "propensity_problem": problem,
        "channel": read_names(raw, source.channel, source).cast(pa.string()),
    }
    return {name: _to_chunks(column) for name, column in columns.items()}


def _read_assignment_times(
    known: AssignmentInput, source: ExperimentRows, raw: RawRows, ids: pa.ChunkedArray
) -> dict[str, pa.Array]:
    if source.assigned_at is not None:
        zone = known.project.zone
        return read_times(raw, source.assigned_at, source.known_at, source, zone)
    leads = known.leads
    place = pc.index_in(ids, value_set=leads["entity_id"].combine_chunks())
    time = leads["available_at"].cast(pa.int64()).take(place)
    size = len(raw.table)
    return {
        # Unknown leads have no time; that they are unknown is found later.
        "time": pc.fill_null(time, 0),
        "available": pc.fill_null(time, 0),
        "time_problem": pa.nulls(size, pa.string()),
        "time_missing": pa.array(np.zeros(size, bool)),
    }


def _to_chunks(column: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _find_flaws(
    known: AssignmentInput, source: ExperimentRows, columns: dict[str, pa.ChunkedArray]
) -> list[Flaw]:
    ids, arm, propensity = (columns[name] for name in ("entity_id", "arm", "propensity"))
    flaws = known.objections.find_flaws(ids)
    flaws += find_common_flaws(columns, source.missing_time == "skip")
    flaws += known.limits.find_flaws(columns) if source.assigned_at is not None else []
    flaws += known.excluded.find_flaws(ids)
    flaws.append((pc.is_null(arm), NO_ARM))
    if source.treated:
        arms = pa.array([*source.control, *source.treated])
        flaws.append((pc.invert(pc.is_in(arm, value_set=arms)), SKIPPED))
    if source.propensity is not None:
        inside = pc.and_(pc.greater(propensity, 0), pc.less(propensity, 1))
        flaws.append((pc.is_valid(columns["propensity_problem"]), columns["propensity_problem"]))
        flaws.append((pc.invert(pc.fill_null(inside, False)), NO_PROPENSITY))
    lead = find_lead_rows(ids, IdIndex.from_column(known.leads["entity_id"]), known.merges)
    flaws.append((pa.array(lead < 0), UNKNOWN_ENTITY))
    return flaws


def _find_duplicates(
    columns: dict[str, pa.ChunkedArray], reasons: pa.Array
) -> tuple[pa.Array, int]:
    """Return the places of used rows that repeat an assignment, and how many have another arm.

    The row known first is used, of those the one with the smallest arm, so that the order of rows
    decides nothing.
    """
    used = pa.array(np.flatnonzero(reasons.is_null().to_numpy(zero_copy_only=False)))
    names = ("entity_id", "time", "channel", "available", "arm", "propensity")
    rows = pa.table({name: columns[name] for name in names}).take(used)
    rows = rows.append_column("place", used)
    rows = rows.sort_by([(name, "ascending") for name in (*names, "place")])
    keys = pc.binary_join_element_wise(
        *(pc.fill_null(rows[name].cast(pa.string()), "") for name in names[:3]), "\x1f"
    )
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    again = np.ones(len(codes), bool)
    again[first] = False
    arms = rows["arm"].combine_chunks().dictionary_encode().indices.to_numpy()
    differs = arms != arms[first][codes] if len(codes) else again
    return rows["place"].filter(pa.array(again)).combine_chunks(), int((differs & again).sum())


def _to_experiments(source: ExperimentRows, good: pa.Table) -> pa.Table:
    """Return used rows as EXPERIMENTS, with the share of rows with outreach where none is given."""
    treated = pc.invert(pc.is_in(good["arm"], value_set=pa.array(source.control)))
    propensity = good["propensity"]
    if source.propensity is None:
        propensity = pa.array(_share_by_channel(good["channel"], treated.to_numpy()))
    columns = {
        "entity_id": good["entity_id"],
        "assigned_at": good["time"].cast(INSTANT),
        "arm": good["arm"],
        "treated": treated,
        "propensity": propensity,
        "channel": good["channel"],
        "available_at": good["available"].cast(INSTANT),
    }
    return pa.table(columns).cast(EXPERIMENTS)


def _share_by_channel(channel: pa.ChunkedArray, treated: np.ndarray) -> np.ndarray:
    codes = pc.fill_null(channel, "").combine_chunks().dictionary_encode().indices.to_numpy()
    sizes = np.bincount(codes)
    shares: np.ndarray = (np.bincount(codes, treated) / np.maximum(sizes, 1))[codes]
    return shares
