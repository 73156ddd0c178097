"""Attribute histories, in wide or long format, as one table of values, without invalid rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.schema import Project
from configs.source_rows import AttributeRows, find_duplicate_claim
from features.arrivals import Arrivals
from features.contracts import INSTANT, LEADS, VALUES, SourceCount
from features.intake.column_kinds import list_warnings, make_locator, make_rules, read_attribute
from features.intake.contract import ContractCheck, note_breaches
from features.intake.formats.number_form import list_attribute_form
from features.intake.formats.texts import is_text_column, to_plain_text
from features.intake.identity.id_doubts import open_id_doubts
from features.intake.identity.merged_rows import count_moved, find_lead_rows, move_values
from features.intake.ids import read_ids
from features.intake.names import read_names
from features.intake.objections import Objections
from features.intake.quarantine import (
    EARLY_END,
    NO_NAME,
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
from features.intake.values import read_ends, read_times
from features.merges import LeadMerges
from features.names.twins import describe_twins, find_text_twins
from features.readings.columns import ColumnReading
from features.times.validity import find_value_changes
from features.tools.distinct_texts import DistinctTexts
from features.tools.duckdb_sql import run_query
from features.tools.id_index import IdIndex
from features.tools.instants import NEVER_US, column_to_microseconds


def read_values(
    project: Project,
    leads: pa.Table,
    objections: Objections,
    quarantine: Path | None,
    exclusion: tuple[TimeLimits, ExcludedLeads],
    merges: LeadMerges,
) -> tuple[pa.Table, list[SourceCount], dict[str, ColumnReading]]:
    """Read all histories of a project as VALUES, with the row counts of each source and readings.

    A row of a wide source counts once, independent of the number of its attributes. Bad rows go to
    ``quarantine/attributes_1.csv`` …, as for other sources. Raises the errors of reading a source,
    and ConfigError for an attribute that two sources define or that has the name of a LEADS column.
    """
    claims = [("the leads table", LEADS.names)]
    claims += [("sources.leads", [name for name in leads.column_names if name not in LEADS.names])]
    tables, counts = [VALUES.empty_table()], list[SourceCount]()
    readings = dict[str, ColumnReading]()
    for i, source in enumerate(project.sources.attributes):
        known = (leads, objections, merges, *exclusion)
        table, count, read = _read_source(project, source, i, known, quarantine)
        # The names of a long history are known only once it has been read.
        claims.append((f"sources.attributes[{i}]", pc.unique(table["attribute"]).to_pylist()))
        _check_names(project, claims)
        readings |= read
        tables.append(table)
        counts.append(count)
    values = _sort_distinct(pa.concat_tables(tables)) if counts else tables[0]
    return values, counts, readings


def _read_source(
    project: Project,
    source: AttributeRows,
    i: int,
    known: tuple[pa.Table, Objections, LeadMerges, TimeLimits, ExcludedLeads],
    quarantine: Path | None,
) -> tuple[pa.Table, SourceCount, dict[str, ColumnReading]]:
    leads, objections, merges, limits, excluded = known
    lead_ids = IdIndex.from_column(leads["entity_id"])
    where = f"sources.attributes[{i}]"
    contract = ContractCheck(project, source, f"attributes_{i + 1}")
    raw = read_rows(source, _required_columns(source, where) | contract.needed_columns)
    times = TimeColumns.from_source(project, source, where, contract.contract, {})
    contract.add(raw := times.settle_rows(raw))
    rows = _read_columns(project, source, raw)
    doubts = open_id_doubts(project, source, where)
    doubts.add(raw.table, raw.column(source.entity_id, ""), rows["entity_id"])
    # Does not mark entities as held: one that only a history names is not in the data.
    out = objections.find_flaws(rows["entity_id"])
    # A value may be valid since ever, written as 1900 or 1970, so only later rows are excluded.
    late = limits.find_later_rows(dict(zip(rows.column_names, rows.columns, strict=True)))
    late += excluded.find_flaws(rows["entity_id"])
    unknown = pa.array(find_lead_rows(rows["entity_id"], lead_ids, merges) < 0)
    reasons = _reject_rows(rows, unknown, (out, late), source.missing_time == "skip")
    doubts.add_unknown(rows["entity_id"].filter(pc.equal(reasons, UNKNOWN_ENTITY)))
    hint = doubts.diagnose_unknown(leads["entity_id"], project.sources.max_quarantine)
    personal = project.privacy.personal
    # In a long history the value column holds the values of personal attributes, too.
    bad = mask_columns(
        make_row_reader(raw), (*personal, source.value) if personal and source.value else personal
    )
    verdict = Rejections.from_reasons(reasons)
    count = quarantine_rows(
        f"attributes_{i + 1}", verdict, bad, quarantine, project.sources, hint=hint
    )
    good = rows.filter(reasons.is_null())
    values = move_values(_to_values(good, source), lead_ids, merges)
    hidden = pc.is_in(
        values["attribute"], value_set=pa.array(sorted(project.privacy.hidden_columns), pa.string())
    )
    readings = _read_kinds(project, source, where, raw, good)
    warnings = (*count.warnings, *raw.warnings, *times.list_warnings(), *doubts.warnings())
    warnings += describe_excluded_rows(project, source, verdict, make_row_reader(raw), limits)
    warnings += (*_warn_about_names(rows["name"], source, where), *list_warnings(readings))
    warnings += (f"{source.label}: attributes_{i + 1}: {hint}",) if hint else ()
    form = (*raw.form, *list_attribute_form(source, readings.values()))
    moved, arrivals = count_moved(good, merges), Arrivals.from_instants(good["available"])
    count = replace(count, arrivals=arrivals, warnings=warnings, form=form, moved=moved)
    return values.filter(pc.invert(hidden)), note_breaches(count, contract), readings


def _read_kinds(
    project: Project, source: AttributeRows, key: str, raw: RawRows, good: pa.Table
) -> dict[str, ColumnReading]:
    """Return how each attribute of the good rows is read; hidden attributes are left out."""
    names = pc.unique(good["name"]).to_pylist() if source.attribute else list(source.columns)
    declared = source.declared_attributes or sorted(names)
    rules = make_rules(project, source, key, declared)
    readings = dict[str, ColumnReading]()
    for k, name in enumerate(sorted(names) if source.attribute else names):
        if name in project.privacy.hidden_columns:
            continue
        rows, place = good, f"v{k}"
        if source.attribute:
            rows, place = good.filter(pc.equal(good["name"], name)), "v0"
        column = source.value if source.attribute else name
        typed = not is_text_column(raw.column(column or "", key))
        _, readings[name] = read_attribute(
            name,
            rows[place],
            rules,
            make_locator(raw, rows["nr"]),
            typed=typed,
            hidden=column in project.privacy.personal,
        )
    return readings


def _warn_about_names(names: pa.ChunkedArray, source: AttributeRows, key: str) -> list[str]:
    """Return the warning about attributes of a long history with nearly the same name, if any."""
    if source.attribute is None:
        return []
    distinct = DistinctTexts.from_column(names)
    twins = find_text_twins(distinct, {*source.only, *source.names})
    return describe_twins(twins, f"{source.label}: {key}.attribute", key)


def _required_columns(source: AttributeRows, where: str) -> dict[str, str]:
    keys = ("entity_id", "valid_from", "valid_to", "known_at", "attribute", "value")
    mapped = {f"{where}.{key}": getattr(source, key) for key in keys}
    mapped |= {f"{where}.columns.{name}": name for name in source.columns}
    return {key: name for key, name in mapped.items() if name is not None}


def _read_columns(project: Project, source: AttributeRows, raw: RawRows) -> pa.Table:
    """Return one row per raw row: mapped columns in their types, reasons of invalid values."""
    size = len(raw.table)
    columns = {"nr": raw.table["nr"], "unreadable": raw.unreadable_rows()}
    columns["entity_id"] = read_ids(raw, source.entity_id, source)
    columns |= read_times(raw, source.valid_from, source.known_at, source, project.zone)
    columns |= _read_ends(raw, source, project, columns)
    # A wide row names no attribute: the config names its columns.
    columns["name"] = (
        to_plain_text(read_names(raw, source.attribute, source))
        if source.attribute
        else pa.repeat("", size)
    )
    chosen = pc.is_in(columns["name"], value_set=pa.array(source.only, pa.string()))
    columns["other"] = pc.and_(
        pc.and_(pc.is_valid(columns["name"]), bool(source.only)), pc.invert(chosen)
    )
    for k, name in enumerate(source.columns or (source.value,)):
        columns[f"v{k}"] = to_plain_text(read_names(raw, name, source))
    return pa.table(columns)


def _read_ends(
    raw: RawRows, source: AttributeRows, project: Project, columns: dict[str, pa.Array]
) -> dict[str, pa.Array]:
    """Return the end of each row in microseconds, null without one, and all problems of times."""
    if source.valid_to is None:
        return {"until": pa.nulls(len(raw.table), pa.int64())}
    until, problem = read_ends(raw, source.valid_to, source, project.zone)
    until = until.cast(pa.int64())
    return {
        "until": until,
        "early_end": pc.fill_null(pc.less(until, columns["time"]), False),
        "time_problem": pc.coalesce(columns["time_problem"], problem),
    }


def _reject_rows(
    rows: pa.Table, unknown: pa.Array, flaws: tuple[list[Flaw], list[Flaw]], skips: bool
) -> pa.Array:
    """Return the rejection reason of each row.

    The first of ``flaws`` take precedence over those of any source, the second come after them. Of
    equal rows the first is used.
    """
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    # Before the other flaws: a row of an attribute that is not used may be incomplete.
    row_flaws = [
        *flaws[0],
        (columns["other"], SKIPPED),
        *find_common_flaws(columns, skips),
        *([(columns["early_end"], EARLY_END)] if "early_end" in columns else []),
        *flaws[1],
        (pc.is_null(columns["name"]), NO_NAME),
    ]
    reasons = pick_first_reason([*row_flaws, (unknown, UNKNOWN_ENTITY)], len(rows))
    values = ", ".join(name for name in rows.column_names if name[0] == "v")
    later = run_query(
        f"""SELECT nr FROM (SELECT nr, row_number() OVER (
              PARTITION BY entity_id, time, available, until, name, {values}
              ORDER BY nr) AS place FROM good)
            WHERE place > 1""",  # noqa: S608 - positions only
        good=rows.filter(reasons.is_null()),
    )
    return mark_duplicates(reasons, rows["nr"], later["nr"])


def _to_values(rows: pa.Table, source: AttributeRows) -> pa.Table:
    """Return the good rows of a source as VALUES: one per row, or one per row and column."""
    names = [pa.repeat(name, len(rows)) for name in source.columns] or [rows["name"]]
    shared = [rows["entity_id"], rows["time"].cast(INSTANT), rows["available"].cast(INSTANT)]
    tables = [
        pa.table([shared[0], name, *shared[1:], rows[f"v{k}"]], names=VALUES.names)
        for k, name in enumerate(names)
    ]
    values = pa.concat_tables(tables).cast(VALUES)
    if rows["until"].null_count == len(rows):
        return values
    return _apply_ends(values, pa.chunked_array([rows["until"].combine_chunks()] * len(tables)))


def _apply_ends(values: pa.Table, until: pa.ChunkedArray) -> pa.Table:
    """Return VALUES in which each change of the valid value is a row of its own.

    Such a row is valid and available from the change on, so that the newest one is that of now.
    """
    pairs = values.select(["entity_id", "attribute"])
    pairs = pairs.append_column("nr", pa.array(np.arange(len(values))))
    codes = run_query(
        """SELECT dense_rank() OVER (ORDER BY entity_id, attribute) - 1 AS code
             FROM pairs ORDER BY nr""",
        pairs=pairs,
    )["code"]
    texts = values["value"].combine_chunks()
    # Null ranks lowest: any value rather than a cleared one.
    rank = np.where(pc.is_null(texts), 0, pc.rank(texts, tiebreaker="dense").to_numpy())
    code = codes.to_numpy().astype(np.int64)
    since, known = (column_to_microseconds(values[name]) for name in ("valid_from", "available_at"))
    ends = pc.fill_null(until, NEVER_US).to_numpy()
    place, instant, row = find_value_changes(code, since, known, ends, rank.astype(np.int64))
    first = np.zeros(int(code.max(initial=-1)) + 1, np.int64)
    first[code] = np.arange(len(code))
    some = pa.array(first[place])
    instants = pa.array(instant).cast(INSTANT)
    return pa.table(
        [
            values["entity_id"].take(some),
            values["attribute"].take(some),
            instants,
            instants,
            texts.take(pa.array(row, mask=row < 0)),
        ],
        schema=VALUES,
    )


def _sort_distinct(values: pa.Table) -> pa.Table:
    """Return distinct values ordered by all columns; wide rows may share some of their values."""
    order = ", ".join(f"{name} NULLS FIRST" for name in VALUES.names)
    sql = f"SELECT DISTINCT * FROM rows ORDER BY {order}"  # noqa: S608 - schema names
    return run_query(sql, rows=values).cast(VALUES)


def _check_names(project: Project, claims: list[tuple[str, list[str]]]) -> None:
    if duplicate := find_duplicate_claim(claims):
        name, first, second = duplicate
        raise ConfigError(
            "an attribute is defined twice",
            where=f"{project.path}: {second}",
            found=f"{name!r} is already defined in {first}",
            fix="list the attributes to use, without this one, in `columns` or `only`; or rename "
            "it",
        )
