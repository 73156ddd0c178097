"""The leads source as a table: one row per entity with its attributes, without invalid rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.accounts.buying_group import ROLE_ATTRIBUTE
from configs.schema import Project
from configs.source_rows import AllExcept, LeadRows
from features.arrivals import Arrivals
from features.contracts import INSTANT, LEADS, SourceCount
from features.intake.column_kinds import list_warnings, make_locator, make_rules, read_attribute
from features.intake.contract import ContractCheck, note_breaches
from features.intake.formats.number_form import list_attribute_form
from features.intake.formats.texts import is_text_column, to_plain_text, to_text
from features.intake.identity.equal_ids import EqualIds, find_equal_ids
from features.intake.identity.id_doubts import find_scientific, open_id_doubts
from features.intake.ids import read_ids
from features.intake.leads.columns import (
    ROW_ORDER,
    get_owner_column,
    list_carried_columns,
    list_derived_columns,
    list_outcome_columns,
    list_plain_columns,
    list_required_columns,
    list_unnamed_columns,
    select_columns,
)
from features.intake.names import clean_values
from features.intake.objections import Objections
from features.intake.quarantine import (
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
from features.intake.repeated_rows import note_repeated_rows
from features.intake.row_order import require_rising_rows
from features.intake.time_columns import TimeColumns
from features.intake.time_limits import ExcludedLeads, TimeLimits, describe_excluded_rows
from features.intake.values import infer_attribute, read_clean_column, read_times
from features.names.roles import map_titles
from features.names.twins import describe_twins, find_text_twins
from features.readings.columns import ColumnReading, ReadingRules
from features.tools.distinct_texts import DistinctTexts
from features.tools.duckdb_sql import run_query


def read_leads(
    project: Project,
    source: LeadRows,
    quarantine: Path | None,
    objections: Objections,
    limits: TimeLimits,
) -> tuple[pa.Table, SourceCount, dict[str, ColumnReading], ExcludedLeads]:
    """Read the leads as LEADS with their attributes.

    Return with them the source's row counts, the readings, and the leads without a usable row.
    Entities that opt out in a column of the leads are added to ``objections``, whose entities are
    left out. Raises the errors of reading a source, and ConfigError for an attribute that is not
    allowed and for a kind of a column that does not exist.
    """
    contract = ContractCheck(project, source, "leads")
    raw = read_rows(source, list_required_columns(project, source) | contract.needed_columns)
    times = TimeColumns.from_source(project, source, "sources.leads", contract.contract, {})
    contract.add(raw := times.settle_rows(raw))
    if source.order == ROW_ORDER:
        require_rising_rows(project, source, raw)
    names = select_columns(project, source, raw)
    rules = make_rules(project, source, "sources.leads", raw.names)
    leads = _read_columns(project, source, raw, names)
    # Before any row is rejected: one row that opts out is enough, even a duplicate or a bad one.
    objections.add_opt_outs(raw, leads["entity_id"], source)
    out = objections.find_flaws(leads["entity_id"], marks_held=True)
    late = limits.find_flaws(dict(zip(leads.column_names, leads.columns, strict=True)))
    reasons = _reject_rows(leads, (out, late), bool(source.missing_time == "skip"))
    same = _select_repeated_ids(leads.filter(reasons.is_null()), len(names))
    equal = find_equal_ids(same, _name_content(source, names))
    reasons = mark_duplicates(reasons, leads["nr"], equal.again)
    verdict = Rejections.from_reasons(reasons)
    warnings = [*times.list_warnings(), *_describe_unnamed(source, raw)]
    warnings += _describe_ids(project, source, raw, leads, equal)
    warnings += describe_excluded_rows(project, source, verdict, make_row_reader(raw), limits)
    kept = _sort_leads(leads.filter(reasons.is_null()), source)
    table, readings = _build_lead_table(kept, names, raw, rules, list_plain_columns(project))
    bad = mask_columns(make_row_reader(raw), project.privacy.personal)
    count = quarantine_rows(
        "leads", verdict, bad, quarantine, project.sources, len(equal.conflicts)
    )
    ids = pc.if_else(reasons.is_null(), leads["entity_id"], None)
    count = note_repeated_rows(count, project, source, raw, ids, list_outcome_columns(project))
    arrivals = Arrivals.from_instants(table["available_at"]) if source.created_at else None
    warnings = [*count.warnings, *raw.warnings, *warnings, *list_warnings(readings)]
    warnings += _warn_about_owners(project, source, table)
    form = (*raw.form, *list_attribute_form(source, readings.values()))
    count = replace(count, arrivals=arrivals, warnings=tuple(warnings), form=form)
    count = note_breaches(count, contract)
    return table, count, readings, ExcludedLeads.from_reasons(leads["entity_id"], reasons)


def _warn_about_owners(project: Project, source: LeadRows, leads: pa.Table) -> list[str]:
    """Return the warning about owners with nearly the same name, unless they are an attribute."""
    owner = get_owner_column(project)
    if owner not in list_carried_columns(project) - list_outcome_columns(project):
        return []
    twins = find_text_twins(DistinctTexts.from_column(to_text(leads[owner])), source.names)
    return describe_twins(twins, f"owner {owner} (capacity.owner)", "sources.leads")


def _describe_unnamed(source: LeadRows, raw: RawRows) -> Iterator[str]:
    """Yield a warning for each column without a heading that would be an attribute."""
    for name in list_unnamed_columns(raw) if isinstance(source.attributes, AllExcept) else ():
        values = read_clean_column(raw, name, source).is_valid().to_numpy()
        if values.any():
            row = raw.table["row"][int(np.argmax(values))].as_py()
            yield (
                f"{source.label}: column {raw.names.index(name) + 1} has no name, but values in "
                f"{values.sum():,} of {len(values):,} rows, the first in row {row}; it is not used "
                "as an attribute. Give it a heading if it means something"
            )


def _read_columns(project: Project, source: LeadRows, raw: RawRows, names: list[str]) -> pa.Table:
    """Return one row per raw row: mapped columns in their types, reasons of invalid values."""
    size = len(raw.table)
    columns = {"nr": raw.table["nr"], "unreadable": raw.unreadable_rows()}
    columns["entity_id"] = read_ids(raw, source.entity_id, source)
    if source.entity_id is None:
        columns["entity_id"] = pc.add(raw.table["nr"], 1).cast(pa.string())
    columns["account_id"] = read_ids(raw, source.account_id, source)
    columns |= _read_order(raw, source, columns["entity_id"]) if source.created_at is None else {}
    if source.created_at is not None:
        columns |= read_times(raw, source.created_at, source.known_at, source, project.zone)
        columns["sort_number"], columns["sort_text"] = (
            pa.nulls(size, pa.float64()),
            pa.nulls(size, pa.string()),
        )
    for i, name in enumerate(names):
        if name in list_derived_columns(project):
            titles = read_clean_column(raw, project.accounts.title or "", source)
            columns[f"a{i}"] = map_titles(to_text(titles), project.accounts.roles)
        else:
            columns[f"a{i}"] = clean_values(raw, name, source)
    return pa.table(columns)


def _read_order(raw: RawRows, source: LeadRows, ids: pa.ChunkedArray) -> dict[str, pa.Array]:
    """Return the sort keys of leads without times, in place of the columns of ``read_times``.

    The order column is numeric if all its values are numbers, else text. Without an order the ids
    are sorted.
    """
    size = len(raw.table)
    zero, false = pa.array(np.zeros(size, np.int64)), pa.array(np.zeros(size, bool))
    sort = {"sort_number": pa.nulls(size, pa.float64()), "sort_text": pa.nulls(size, pa.string())}
    if source.order is None:
        sort["sort_text"] = ids
    elif source.order == ROW_ORDER:
        sort["sort_number"] = raw.table["nr"].cast(pa.float64())
    else:
        values = infer_attribute(read_clean_column(raw, source.order, source))
        sort["sort_number" if pa.types.is_floating(values.type) else "sort_text"] = values
        false = pc.is_null(values)
    return {
        **sort,
        "time": zero,
        "available": zero,
        "time_problem": pa.nulls(size, pa.string()),
        "time_missing": false,
    }


def _reject_rows(leads: pa.Table, flaws: tuple[list[Flaw], list[Flaw]], skips: bool) -> pa.Array:
    """Return the rejection reason of each row.

    The first of ``flaws`` take precedence over those of any source, the second come after them.
    """
    columns = dict(zip(leads.column_names, leads.columns, strict=True))
    row_flaws = [*flaws[0], *find_common_flaws(columns, skips), *flaws[1]]
    return pick_first_reason(row_flaws, len(leads))


def _select_repeated_ids(good: pa.Table, attributes: int) -> pa.Table:
    """Return the rows whose id occurs more than once, with attributes as text.

    As text, so that the choice among duplicates is the same in every format.
    """
    counts = pc.value_counts(good["entity_id"])
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    same = good.filter(pc.is_in(good["entity_id"], value_set=twice))
    for i in range(attributes):
        same = same.set_column(
            same.column_names.index(f"a{i}"), f"a{i}", to_plain_text(to_text(same[f"a{i}"]))
        )
    return same


def _name_content(source: LeadRows, names: list[str]) -> dict[str, str]:
    """Return the columns that make up the content of a lead, and the source's names for them."""
    content = {"time": source.created_at, "available": source.known_at}
    if source.order != ROW_ORDER:  # the place of a row is not its content
        content |= {"sort_number": source.order, "sort_text": source.order}
    content |= {"account_id": source.account_id}
    content |= {f"a{i}": name for i, name in enumerate(names)}
    return {column: name for column, name in content.items() if name is not None}


def _describe_ids(
    project: Project, source: LeadRows, raw: RawRows, leads: pa.Table, equal: EqualIds
) -> list[str]:
    """Return the warnings about ids.

    Raises DataError for rounded ids that leads of different content share.
    """
    ids = leads["entity_id"]
    doubts = open_id_doubts(project, source, "sources.leads")
    if source.entity_id is not None:
        doubts.add(raw.table, raw.column(source.entity_id, ""), ids)
    shared = pc.sum(find_scientific(ids.take(pa.array(equal.conflicts)))).as_py()
    if shared:
        doubts.refuse_scientific(f"{shared:,} rows share one with another lead")
    warnings = list(doubts.warnings())
    if len(equal.conflicts):
        shown = ids if doubts.shows_ids else None
        warnings.append(equal.describe(f"{source.label}: leads", raw.table["row"], shown))
    return warnings


def _sort_leads(kept: pa.Table, source: LeadRows) -> pa.Table:
    """Return one row per entity, ordered by id.

    Without times, ``created_at`` is the rank in the order, as seconds from 1970.
    """
    if source.created_at is None:
        text = "SELECT *, rank() OVER (ORDER BY sort_number, sort_text) - 1 AS place FROM kept"
        kept = run_query(text, kept=kept)
        kept = kept.set_column(
            kept.column_names.index("time"), "time", pc.multiply(kept["place"], 1_000_000)
        )
        kept = kept.set_column(kept.column_names.index("available"), "available", kept["time"])
    return run_query("SELECT * FROM kept ORDER BY entity_id", kept=kept)


def _build_lead_table(
    kept: pa.Table, names: list[str], raw: RawRows, rules: ReadingRules, as_written: set[str]
) -> tuple[pa.Table, dict[str, ColumnReading]]:
    """Return LEADS with the attributes of sorted leads, and how these were read.

    A column of ``as_written`` is a number only if all its values are, since an outcome or owner
    that does not fit must not become a missing one.
    """
    columns = {"entity_id": kept["entity_id"], "account_id": kept["account_id"]}
    columns |= {
        "created_at": kept["time"].cast(INSTANT),
        "available_at": kept["available"].cast(INSTANT),
    }
    table = pa.table(columns).cast(LEADS)
    # Only now: a rejected row must not decide whether an attribute is a number.
    locate, readings = make_locator(raw, kept["nr"]), dict[str, ColumnReading]()
    for i, name in enumerate(names):
        if name == ROLE_ATTRIBUTE and name in as_written:
            values = to_text(kept[f"a{i}"])
        elif name in as_written:
            values = infer_attribute(kept[f"a{i}"])
        else:
            typed = not is_text_column(raw.column(name, ""))
            values, readings[name] = read_attribute(name, kept[f"a{i}"], rules, locate, typed=typed)
        table = table.append_column(name, values)
    return table, readings
