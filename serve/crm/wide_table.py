"""Scores as one row per lead, with the columns of all targets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from features.tools.id_index import IdIndex
from serve.crm.plan import REASONS_FIELD, STATUS_FIELD, ExportPlan, MappedColumn
from serve.export.export import REASON_FIELDS, reason_columns

SCORED, CLEARED = "scored", "cleared"
ENTITY_COLUMN = "entity_id"
REASON_NAMES = {field.name for field in REASON_FIELDS}
# Between the sentences of the column that holds all of them.
SENTENCE_END = "; "


def build_wide_table(
    scores: pa.Table, plan: ExportPlan, tables: Mapping[str, pa.Table] | None = None
) -> pa.Table:
    """Return one row per lead: entity_id, then the plan's columns by position (``0``, ``1``, …).

    ``scores`` is a SCORES table, ``tables`` are the plan's. Leads come in the rank order of the
    plan's first target, then those that only a later one scores, or a table has. Cells of a target
    that does not score the lead are null, and so are those of a table without it. Texts may be
    dictionary-encoded.
    """
    parts = {
        target: tables[target]
        if tables is not None and target in plan.tables
        else _sort_by_rank(scores.filter(pc.field("target") == target))
        for target in plan.targets
    }
    leads = _collect_leads([part[ENTITY_COLUMN] for part in parts.values()])
    positions = {
        target: IdIndex.from_column(part[ENTITY_COLUMN]).find(leads)
        for target, part in parts.items()
    }
    aligned = {
        target: _align_columns(target, part, positions[target], plan)
        for target, part in parts.items()
    }
    columns = [
        _encode_options(_build_column(column, leads, aligned, plan), column, plan)
        for column in plan.columns
    ]
    return pa.table([leads, *columns], names=[ENTITY_COLUMN, *map(str, range(len(columns)))])


def _sort_by_rank(part: pa.Table) -> pa.Table:
    # A night writes its scores by rank already, and sorting a million rows takes seconds.
    ranks = part["rank"].to_numpy()
    return (
        part
        if (ranks[1:] >= ranks[:-1]).all()
        else part.sort_by([("rank", "ascending"), (ENTITY_COLUMN, "ascending")])
    )


def _collect_leads(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return the distinct leads of all columns in order of appearance."""

    def append_new(leads: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
        new = others.filter(pa.array(IdIndex.from_column(leads).find(others) < 0))
        return pa.chunked_array([*leads.chunks, *new.chunks], pa.string())

    return reduce(append_new, columns)


def _align_columns(
    target: str, part: pa.Table, positions: np.ndarray, plan: ExportPlan
) -> dict[str, pa.ChunkedArray]:
    """Return the columns that the plan needs of one target, in the order of the leads.

    ``positions`` has the row of each lead in the part, -1 where the target does not score it.
    """
    names = {column.column for column in plan.columns if column.target == target} | {
        "project",
        "account_id",
        "as_of",
    }
    columns = {name: part[name] for name in names if name in part.column_names}
    is_scored = "reasons" in part.column_names and target not in plan.tables
    if is_scored and REASONS_FIELD.name in names:
        columns[REASONS_FIELD.name] = _join_sentences(part["reasons"])
    if is_scored and names & REASON_NAMES:
        columns |= {
            name: pa.chunked_array([text])
            for name, text in reason_columns(part["reasons"]).items()
            if name in names
        }
    # With one target the leads are in its order already: nothing needs to be copied.
    if len(positions) == part.num_rows and (positions == np.arange(len(positions))).all():
        return columns
    indices = pa.array(positions, mask=positions < 0)
    return {name: column.take(indices) for name, column in columns.items()}


def _join_sentences(reasons: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return all sentences of each lead as one text; null where there is none."""
    # Not by skipping nulls: Arrow (25.0.1) leaves out a row of which all texts are null.
    pieces = [
        pc.fill_null(pc.binary_join_element_wise(SENTENCE_END, text.dictionary_decode(), ""), "")
        for text in reason_columns(reasons).values()
    ]
    joined = pc.utf8_slice_codeunits(pc.binary_join_element_wise(*pieces, ""), len(SENTENCE_END))
    return pa.chunked_array([pc.if_else(pc.equal(joined, ""), None, joined)])


def _encode_options(
    values: pa.ChunkedArray, column: MappedColumn, plan: ExportPlan
) -> pa.ChunkedArray:
    """Return the values of a column as the CRM knows them."""
    options = plan.format.options.get(column.name)
    return values if options is None else pa.chunked_array([options.encode(values)])


def _build_column(
    column: MappedColumn,
    leads: pa.ChunkedArray,
    aligned: dict[str, dict[str, pa.ChunkedArray]],
    plan: ExportPlan,
) -> pa.ChunkedArray:
    if column.target:
        values = aligned[column.target].get(column.column)
        return (
            pa.chunked_array([pa.nulls(len(leads), column.field.type)])
            if values is None
            else values
        )
    if column.column == ENTITY_COLUMN:
        return leads
    if column.column == "entity_type":
        return pa.chunked_array([pa.repeat(plan.entity_type, len(leads))], pa.string())
    if column.column == STATUS_FIELD.name:
        return pa.chunked_array([pa.repeat(SCORED, len(leads))], pa.string())
    values_by_target = [side[column.column] for side in aligned.values() if column.column in side]
    if not values_by_target:
        return pa.chunked_array([pa.nulls(len(leads), column.field.type)])
    if column.column == "as_of":
        # A target that the newest run did not publish keeps the as-of of its latest scores.
        return pc.max_element_wise(*(values.cast(pa.int64()) for values in values_by_target)).cast(
            INSTANT
        )
    return pc.coalesce(*values_by_target)
