"""Scores as one row a lead: the columns of all targets side by side."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from features.tools.id_index import Ids
from serve.crm.plan import STATUS, Mapped, Plan
from serve.export.export import REASONS, told

SCORED, CLEARED = "scored", "cleared"
ENTITY = "entity_id"
SAID = {field.name for field in REASONS}


def wide(scores: pa.Table, plan: Plan) -> pa.Table:
    """Return one row a lead: entity_id, then the plan's columns by their place (``0``, ``1``, …).

    ``scores`` is a SCORES table. Leads come as the first target of the plan ranks them, then those that only a later
    one scores. A target that does not score a lead has null there. Texts may be dictionaries.
    """
    parts = {
        target: _ranked(scores.filter(pc.field("target") == target)) for target in plan.targets
    }
    leads = _leads([part[ENTITY] for part in parts.values()])
    at = {target: Ids.of(part[ENTITY]).find(leads) for target, part in parts.items()}
    sides = {target: _aligned(part, at[target], plan) for target, part in parts.items()}
    columns = [_column(one, leads, sides) for one in plan.mapped]
    return pa.table([leads, *columns], names=[ENTITY, *map(str, range(len(columns)))])


def _ranked(part: pa.Table) -> pa.Table:
    ranks = part["rank"].to_numpy()
    return (
        part
        if (ranks[1:] >= ranks[:-1]).all()
        else part.sort_by([("rank", "ascending"), (ENTITY, "ascending")])
    )


def _leads(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return the different leads of all columns, in the order in which they come."""

    def joined(known: pa.ChunkedArray, more: pa.ChunkedArray) -> pa.ChunkedArray:
        new = more.filter(pa.array(Ids.of(known).find(more) < 0))
        return pa.chunked_array([*known.chunks, *new.chunks], pa.string())

    return reduce(joined, columns)


def _aligned(part: pa.Table, at: np.ndarray, plan: Plan) -> dict[str, pa.ChunkedArray]:
    """Return the columns that the plan needs of one target in the order of the leads, which stand ``at`` its rows."""
    target = part["target"][0].as_py() if part.num_rows else ""
    needed = {one.column for one in plan.mapped if one.target == target} | {
        "project",
        "account_id",
        "as_of",
    }
    columns = {name: part[name] for name in needed if name in part.column_names}
    if needed & SAID:
        columns |= {
            name: pa.chunked_array([text])
            for name, text in told(part["reasons"]).items()
            if name in needed
        }
    if len(at) == part.num_rows and (at == np.arange(len(at))).all():
        return columns
    places = pa.array(at, mask=at < 0)
    return {name: column.take(places) for name, column in columns.items()}


def _column(
    one: Mapped, leads: pa.ChunkedArray, sides: dict[str, dict[str, pa.ChunkedArray]]
) -> pa.ChunkedArray:
    if one.target:
        found = sides[one.target].get(one.column)
        return pa.chunked_array([pa.nulls(len(leads), one.field.type)]) if found is None else found
    if one.column == ENTITY:
        return leads
    if one.column == STATUS.name:
        return pa.chunked_array([pa.repeat(SCORED, len(leads))], pa.string())
    known = [side[one.column] for side in sides.values()]
    if one.column == "as_of":
        return pc.max_element_wise(*(column.cast(pa.int64()) for column in known)).cast(INSTANT)
    return pc.coalesce(*known)
