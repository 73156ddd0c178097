"""A company's rows as tables, leads, events and values, in one order and one time zone, good rows parted from bad."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError
from configs.schema import ColumnOutcome, Project
from configs.source_rows import AllExcept, Constant, EventRows, LeadRows
from features.contracts import EVENTS, INSTANT, LEADS, Dataset, SourceCount
from features.quarantine import DUPLICATE, FLAWS, NO_TYPE, UNKNOWN_ENTITY, settle
from features.reading import RawRows, query, read_rows
from features.value_history import read_values
from features.values import attribute, clean, cleaned, numbers, times

ROWS = "rows"
"""The word of ``order`` for the place of a row in its source."""


def read(project: Project, quarantine: Path | None = None) -> Dataset:
    """Read all sources of a project as ``leads``, ``events`` and ``values``.

    Bad rows go to ``quarantine/<source>.csv`` (not written where ``quarantine`` is None), where ``<source>``
    is ``leads``, or ``events_1`` … and ``attributes_1`` … in the config's order; duplicates among them, of which
    the first is used. Without a leads source the entities come from the events. Neither the order of the rows nor
    how they are split into files changes the tables or the fingerprint.

    Raises DataError for a source that cannot be read, lacks a column or holds too many bad rows; ConfigError
    for a database or format that is not known, and for an attribute that cannot be one or comes from two sources.
    """
    sources, counts = project.sources, list[SourceCount]()
    leads = None
    if sources.leads is not None:
        leads, count = _leads(project, sources.leads, quarantine)
        counts.append(count)
        if not leads.num_rows and (sources.events or sources.attributes):
            found = f"{count.rows_in} rows in, 0 used"
            raise DataError("there is no lead, so no event can be anyone's", where=sources.leads.label, found=found)
    events, verdicts, event_counts = _events(project, leads, quarantine)
    if leads is None:
        leads = _entities(verdicts)
    values, value_counts = read_values(project, leads, quarantine)
    ordered = project.timed or (sources.leads is not None and sources.leads.order is not None)
    fingerprint = _fingerprint(leads, events, *([values] if values.num_rows else []))
    all_counts = (*counts, *event_counts, *value_counts)
    return Dataset(leads, events, all_counts, fingerprint, project.timed, ordered, values)


def outcome_columns(project: Project) -> set[str]:
    """Return the columns that are outcomes: ``leads`` carries them, and no feature may use them."""
    return {t.outcome.column for t in project.targets.values() if isinstance(t.outcome, ColumnOutcome)}


def _leads(project: Project, source: LeadRows, quarantine: Path | None) -> tuple[pa.Table, SourceCount]:
    where = "sources.leads"
    mapped = {"entity_id": source.entity_id, "created_at": source.created_at, "known_at": source.known_at}
    mapped |= {"account_id": source.account_id, "order": None if source.order == ROWS else source.order}
    needed = {f"{where}.{key}": name for key, name in mapped.items() if name is not None}
    listed = () if isinstance(source.attributes, AllExcept) else source.attributes
    needed |= {f"{where}.attributes.{name}": name for name in listed}
    needed |= {f"targets: outcome column {name}": name for name in sorted(outcome_columns(project))}
    raw = read_rows(source, needed)
    names = _attribute_names(project, source, raw)
    verdicts = _judged(_lead_texts(project, source, raw, names), len(names))
    kept = verdicts.filter(pc.is_null(verdicts["reason"]))
    table = _lead_table(kept, names, source)
    count = settle("leads", raw, verdicts["reason"].combine_chunks(), quarantine, project.sources.max_quarantine)
    return table, count


def _attribute_names(project: Project, source: LeadRows, raw: RawRows) -> list[str]:
    """Return the columns to carry along: the attributes, and the outcomes beside them."""
    mapped = {source.entity_id, source.created_at, source.known_at, source.account_id, source.order}
    chosen = source.attributes
    if isinstance(chosen, AllExcept):
        for name in chosen.all_except:
            raw.column(name, "sources.leads.attributes.all_except")
        names = [name for name in raw.names if name not in mapped and name not in chosen.all_except]
    else:
        names = list(chosen)
    names = list(dict.fromkeys([*names, *sorted(outcome_columns(project))]))
    if taken := [name for name in names if name in LEADS.names]:
        raise ConfigError(
            "an attribute has the name of one of the table's own columns",
            where=f"{project.path}: sources.leads.attributes",
            found=taken[0],
            mend="map it to its own key, or list it in all_except",
        )
    _check_amounts(project, names)
    return names


def _check_amounts(project: Project, names: list[str]) -> None:
    for key, target in project.targets.items():
        if isinstance(target.amount, str) and target.amount not in names:
            near = difflib.get_close_matches(target.amount, names, 1, 0.5)
            raise ConfigError(
                "the amount is not an attribute of the leads",
                where=f"{project.path}: targets.{key}.amount",
                found=repr(target.amount),
                mend=f"did you mean {near[0]}?" if near else "list it in sources.leads.attributes",
            )


def _lead_texts(project: Project, source: LeadRows, raw: RawRows, names: list[str]) -> pa.Table:
    """One row a raw row: what is mapped, read as what it should be, with the reason where that fails."""
    size, missing = len(raw.table), source.missing
    columns = {"nr": raw.table["nr"], "unreadable": raw.unreadable()}
    columns["skips"] = pa.repeat(source.missing_time == "skip", size)
    columns["entity_id"] = cleaned(raw, source.entity_id, missing)
    if source.entity_id is None:
        columns["entity_id"] = pc.add(raw.table["nr"], 1).cast(pa.string())
    columns["account_id"] = cleaned(raw, source.account_id, missing)
    columns |= _order(raw, source, columns["entity_id"]) if source.created_at is None else {}
    if source.created_at is not None:
        columns |= times(raw, source.created_at, source.known_at, missing, project.zone)
        columns["sort_number"], columns["sort_text"] = (
            pa.nulls(size, pa.float64()),
            pa.nulls(size, pa.string()),
        )
    for i, name in enumerate(names):
        columns[f"a{i}"] = clean(raw.column(name, ""), missing)
    return pa.table(columns)


def _order(raw: RawRows, source: LeadRows, ids: pa.ChunkedArray) -> dict[str, pa.Array]:
    """Return what sorts leads that have no times: numbers where all are, else texts; their ids without an
    order.
    """
    size = len(raw.table)
    zero, false = pa.array(np.zeros(size, np.int64)), pa.array(np.zeros(size, bool))
    sort = {"sort_number": pa.nulls(size, pa.float64()), "sort_text": pa.nulls(size, pa.string())}
    if source.order is None:
        sort["sort_text"] = ids
    elif source.order == ROWS:
        sort["sort_number"] = raw.table["nr"].cast(pa.float64())
    else:
        texts = clean(raw.column(source.order, ""), source.missing)
        values = attribute(texts)
        sort["sort_number" if pa.types.is_floating(values.type) else "sort_text"] = values
        false = pc.is_null(values)
    return {**sort, "time": zero, "available": zero, "time_problem": pa.nulls(size, pa.string()), "time_missing": false}


def _judged(leads: pa.Table, attributes: int) -> pa.Table:
    """Give each row its reason. Of several rows with one id the earliest known is used, then the smallest."""
    rest = "".join(f", a{i} NULLS FIRST" for i in range(attributes))
    return query(
        f"""SELECT * EXCLUDE (reason, place),
              CASE WHEN reason IS NULL AND place > 1 THEN '{DUPLICATE}' ELSE reason END AS reason
            FROM (SELECT *, row_number() OVER (
                    PARTITION BY entity_id, reason IS NULL
                    ORDER BY available, time, sort_number, sort_text,
                      account_id NULLS FIRST{rest}, nr) AS place
                  FROM (SELECT *, CASE {FLAWS} END AS reason FROM leads))
            ORDER BY nr""",  # noqa: S608 - positions and this file's own words
        leads=leads,
    )


def _lead_table(kept: pa.Table, names: list[str], source: LeadRows) -> pa.Table:
    """One row an entity, ordered by id; without times, created_at is the place in the order as seconds from
    1970.
    """
    if source.created_at is None:
        text = "SELECT *, rank() OVER (ORDER BY sort_number, sort_text) - 1 AS place FROM kept"
        kept = query(text, kept=kept)
        kept = kept.set_column(kept.column_names.index("time"), "time", pc.multiply(kept["place"], 1_000_000))
        kept = kept.set_column(kept.column_names.index("available"), "available", kept["time"])
    kept = query("SELECT * FROM kept ORDER BY entity_id", kept=kept)
    columns = {"entity_id": kept["entity_id"], "account_id": kept["account_id"]}
    columns |= {"created_at": kept["time"].cast(INSTANT), "available_at": kept["available"].cast(INSTANT)}
    table = pa.table(columns).cast(LEADS)
    for i, name in enumerate(names):
        table = table.append_column(name, attribute(kept[f"a{i}"]))
    return table


def _events(
    project: Project, leads: pa.Table | None, quarantine: Path | None
) -> tuple[pa.Table, pa.Table, list[SourceCount]]:
    """Read all event sources as one table; also every row with its verdict, for data without a leads source."""
    sources = project.sources.events
    raws = [read_rows(source, _event_columns(source, i)) for i, source in enumerate(sources)]
    texts = [_event_texts(project, source, raw, i) for i, (source, raw) in enumerate(zip(sources, raws, strict=True))]
    if not texts:
        return EVENTS.empty_table(), pa.table({}), []
    verdicts = _sifted(pa.concat_tables(texts), leads)
    counts = []
    for i, raw in enumerate(raws):
        own = verdicts.select(["nr", "reason"]).filter(pc.equal(verdicts["source"], i)).sort_by("nr")
        reasons = own["reason"].combine_chunks()
        counts.append(settle(f"events_{i + 1}", raw, reasons, quarantine, project.sources.max_quarantine))
    good = "SELECT * FROM verdicts WHERE reason IS NULL ORDER BY entity_id, time, available, event_type"
    kept = query(f"{good}, channel NULLS FIRST, value NULLS FIRST", verdicts=verdicts)
    return _event_table(kept), verdicts, counts


def _event_columns(source: EventRows, i: int) -> dict[str, str]:
    keys = ("entity_id", "event_time", "event_type", "known_at", "channel", "value", "account_id")
    mapped = {f"sources.events[{i}].{key}": getattr(source, key) for key in keys}
    return {key: name for key, name in mapped.items() if isinstance(name, str)}


def _event_texts(project: Project, source: EventRows, raw: RawRows, i: int) -> pa.Table:
    """One row a raw row: what is mapped, read as what it should be, with the reason where that fails."""
    size, missing = len(raw.table), source.missing
    columns = {"source": pa.repeat(pa.scalar(i, pa.int64()), size), "nr": raw.table["nr"]}
    columns |= {"unreadable": raw.unreadable(), "skips": pa.repeat(source.missing_time == "skip", size)}
    columns |= {
        "entity_id": cleaned(raw, source.entity_id, missing),
        "account_id": cleaned(raw, source.account_id, missing),
    }
    columns |= times(raw, source.event_time, source.known_at, missing, project.zone)
    columns |= {
        "event_type": _text(raw, source.event_type, missing),
        "channel": _text(raw, source.channel, missing),
    }
    columns["value"], columns["value_problem"] = numbers(cleaned(raw, source.value, missing))
    return pa.table(columns)


def _text(raw: RawRows, mapped: str | Constant | None, missing: tuple[str, ...]) -> pa.ChunkedArray:
    if isinstance(mapped, Constant):
        return pa.chunked_array([pa.repeat(mapped.constant, len(raw.table))])
    return cleaned(raw, mapped, missing)


def _sifted(events: pa.Table, leads: pa.Table | None) -> pa.Table:
    """Give each row its reason. Of rows that are equal in the whole log the first is used."""
    unknown = "FALSE" if leads is None else "entity_id NOT IN (SELECT entity_id FROM leads)"
    return query(
        f"""SELECT * EXCLUDE (reason, place),
              CASE WHEN reason IS NULL AND place > 1 THEN '{DUPLICATE}' ELSE reason END AS reason
            FROM (SELECT *, row_number() OVER (
                    PARTITION BY entity_id, time, available, event_type, channel, value, reason IS NULL
                    ORDER BY source, nr) AS place
                  FROM (SELECT *, CASE {FLAWS}
                          WHEN event_type IS NULL THEN '{NO_TYPE}'
                          WHEN value_problem IS NOT NULL THEN value_problem
                          WHEN {unknown} THEN '{UNKNOWN_ENTITY}' END AS reason FROM events))""",  # noqa: S608
        events=events,
        leads=LEADS.empty_table() if leads is None else leads.select(["entity_id"]),
    )


def _event_table(kept: pa.Table) -> pa.Table:
    return pa.table(
        {
            "entity_id": kept["entity_id"],
            "event_time": kept["time"].cast(INSTANT),
            "available_at": kept["available"].cast(INSTANT),
            "event_type": kept["event_type"],
            "channel": kept["channel"],
            "value": kept["value"],
        }
    ).cast(EVENTS)


def _entities(verdicts: pa.Table) -> pa.Table:
    """Make one lead of each entity in the log: it is created, and becomes known, with its first event."""
    found = query(
        f"""WITH rows AS (SELECT * FROM verdicts WHERE reason IS NULL OR reason = '{DUPLICATE}')
           SELECT entity_id, account_id, time, available FROM
             (SELECT entity_id, min(time) AS time, arg_min(available, (time, available)) AS available
              FROM rows GROUP BY entity_id)
           LEFT JOIN
             (SELECT entity_id, arg_min(account_id, (available, account_id)) AS account_id
              FROM rows WHERE account_id IS NOT NULL GROUP BY entity_id) USING (entity_id)
           ORDER BY entity_id""",  # noqa: S608 - this file's own words
        verdicts=verdicts,
    )
    columns = {"entity_id": found["entity_id"], "account_id": found["account_id"]}
    columns |= {"created_at": found["time"].cast(INSTANT), "available_at": found["available"].cast(INSTANT)}
    return pa.table(columns).cast(LEADS)


def _fingerprint(*tables: pa.Table) -> str:
    """Hash the content of tables: names, types and values, whatever the chunks they lie in."""
    digest = hashlib.sha256()
    for table in tables:
        digest.update(repr([(field.name, str(field.type)) for field in table.schema] + [len(table)]).encode())
        for column in table.columns:
            for part in _content(column):
                digest.update(part)
    return digest.hexdigest()[:16]


def _content(column: pa.ChunkedArray, step: int = 1 << 16) -> Iterator[bytes]:
    """Yield the bytes of a column in steps of rows: which are missing, then lengths and text, or numbers."""
    for start in range(0, len(column), step):
        values = column.slice(start, step).combine_chunks()
        yield pc.is_null(values).to_numpy(zero_copy_only=False).tobytes()
        if pa.types.is_string(values.type):
            filled = pc.fill_null(values, "")
            yield pc.binary_length(filled).to_numpy().tobytes()
            yield pc.binary_join(pa.ListArray.from_arrays([0, len(filled)], filled), "")[0].as_py().encode()
        else:
            number = values if pa.types.is_floating(values.type) else values.cast(pa.int64())
            yield pc.fill_null(number, 0).to_numpy().tobytes()
