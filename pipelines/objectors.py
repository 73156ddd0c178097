"""Whoever objects today taken out of scores of an earlier run: these were made before the lists of today were."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.intake.objections import listed

HIDDEN = "***"
"""Stands where a row of an account would name somebody who is not in the scores."""


def permitted(project: Project, scores: pa.Table) -> pa.Table:
    """Return SCORES without whom the lists of today name.

    Raises what reading any source raises, and DataError for a row of a list without an id.
    """
    return scores.filter(pc.invert(pc.is_in(scores["entity_id"], value_set=listed(project))))


def shown(accounts: pa.Table, scores: pa.Table) -> pa.Table:
    """Return ACCOUNT_SCORES that name nobody who has no row in these SCORES of the same as-of."""
    at = accounts.schema.get_field_index("main_contact")
    named = accounts["main_contact"]
    known = pc.is_in(named, value_set=pc.unique(scores["entity_id"]))
    return accounts.set_column(at, accounts.field(at), pc.if_else(known, named, HIDDEN))
