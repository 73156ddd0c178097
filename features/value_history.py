"""Histories of attributes: sources in either of two shapes, read as one table of values, good rows parted from bad."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.schema import Project
from configs.source_rows import AttributeRows, claimed_twice
from features.contracts import INSTANT, LEADS, VALUES, SourceCount
from features.quarantine import DUPLICATE, FLAWS, NO_NAME, SKIPPED, UNKNOWN_ENTITY, settle
from features.reading import RawRows, query, read_rows
from features.values import cleaned, times


def read_values(project: Project, leads: pa.Table, quarantine: Path | None) -> tuple[pa.Table, list[SourceCount]]:
    """Read all histories of a project as VALUES, with what became of each source's rows.

    A row of a wide source is counted once, however many attributes it tells of. Bad rows go to
    ``quarantine/attributes_1.csv`` … as those of the other sources do. Raises what reading any source raises, and
    ConfigError for an attribute that two sources tell of or that has the name of a column of LEADS.
    """
    claims = [("the leads table", LEADS.names)]
    claims += [("sources.leads", [name for name in leads.column_names if name not in LEADS.names])]
    tables, counts = [VALUES.empty_table()], list[SourceCount]()
    for i, source in enumerate(project.sources.attributes):
        table, count = _history(project, source, i, leads, quarantine)
        claims.append((f"sources.attributes[{i}]", pc.unique(table["attribute"]).to_pylist()))
        _check_names(project, claims)
        tables.append(table)
        counts.append(count)
    return _in_order(pa.concat_tables(tables)) if counts else tables[0], counts


def _history(
    project: Project, source: AttributeRows, i: int, leads: pa.Table, quarantine: Path | None
) -> tuple[pa.Table, SourceCount]:
    raw = read_rows(source, _columns(source, f"sources.attributes[{i}]"))
    rows = _sifted(_texts(project, source, raw), leads)
    reasons = rows["reason"].combine_chunks()
    count = settle(f"attributes_{i + 1}", raw, reasons, quarantine, project.sources.max_quarantine)
    return _values(rows.filter(pc.is_null(reasons)), source), count


def _columns(source: AttributeRows, where: str) -> dict[str, str]:
    keys = ("entity_id", "valid_from", "known_at", "attribute", "value")
    mapped = {f"{where}.{key}": getattr(source, key) for key in keys}
    mapped |= {f"{where}.columns.{name}": name for name in source.columns}
    return {key: name for key, name in mapped.items() if name is not None}


def _texts(project: Project, source: AttributeRows, raw: RawRows) -> pa.Table:
    """One row a raw row: what is mapped, read as what it should be, with the reason where that fails."""
    size, missing = len(raw.table), source.missing
    columns = {"nr": raw.table["nr"], "unreadable": raw.unreadable()}
    columns["skips"] = pa.repeat(source.missing_time == "skip", size)
    columns["entity_id"] = cleaned(raw, source.entity_id, missing)
    columns |= times(raw, source.valid_from, source.known_at, missing, project.zone)
    # A wide row has no name of its own: it tells of all its columns, which the config names.
    columns["name"] = cleaned(raw, source.attribute, missing) if source.attribute else pa.repeat("", size)
    chosen = pc.is_in(columns["name"], value_set=pa.array(source.only, pa.string()))
    columns["other"] = pc.and_(pc.and_(pc.is_valid(columns["name"]), bool(source.only)), pc.invert(chosen))
    for k, name in enumerate(source.columns or (source.value,)):
        columns[f"v{k}"] = cleaned(raw, name, missing)
    return pa.table(columns)


def _sifted(rows: pa.Table, leads: pa.Table) -> pa.Table:
    """Give each row its reason, in the source's order. Of rows that are equal the first is used."""
    values = ", ".join(name for name in rows.column_names if name[0] == "v")
    return query(
        f"""SELECT * EXCLUDE (reason, place),
              CASE WHEN reason IS NULL AND place > 1 THEN '{DUPLICATE}' ELSE reason END AS reason
            FROM (SELECT *, row_number() OVER (
                    PARTITION BY entity_id, time, available, name, {values}, reason IS NULL ORDER BY nr) AS place
                  FROM (SELECT *, CASE WHEN other THEN '{SKIPPED}' {FLAWS}
                          WHEN name IS NULL THEN '{NO_NAME}'
                          WHEN entity_id NOT IN (SELECT entity_id FROM leads) THEN '{UNKNOWN_ENTITY}'
                          END AS reason FROM rows))
            ORDER BY nr""",  # noqa: S608 - positions and this file's own words
        rows=rows,
        leads=leads.select(["entity_id"]),
    )


def _values(rows: pa.Table, source: AttributeRows) -> pa.Table:
    """Turn the good rows of a source into values: one a row, or one a row and column."""
    names = [pa.repeat(name, len(rows)) for name in source.columns] or [rows["name"]]
    shared = [rows["entity_id"], rows["time"].cast(INSTANT), rows["available"].cast(INSTANT)]
    tables = [
        pa.table([shared[0], name, *shared[1:], rows[f"v{k}"]], names=VALUES.names) for k, name in enumerate(names)
    ]
    return pa.concat_tables(tables).cast(VALUES)


def _in_order(values: pa.Table) -> pa.Table:
    """Order values by all columns, and keep one of those that are equal: two wide rows may share some values."""
    order = ", ".join(f"{name} NULLS FIRST" for name in VALUES.names)
    return query(f"SELECT DISTINCT * FROM rows ORDER BY {order}", rows=values).cast(VALUES)  # noqa: S608 - our names


def _check_names(project: Project, claims: list[tuple[str, list[str]]]) -> None:
    if twice := claimed_twice(claims):
        name, first, second = twice
        raise ConfigError(
            "an attribute's name is taken",
            where=f"{project.path}: {second}",
            found=f"{name!r} is in {first} already",
            mend="name those to use, without this one, in `columns` or `only`; or rename it in the source",
        )
