"""Whoever objects today taken out of scores of an earlier run: these were made before the lists of today were."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.intake.objections import listed
from features.score_tables import ACCOUNT_SCORES
from features.tools.duckdb_sql import query


def drop_suppressed(project: Project, scores: pa.Table) -> pa.Table:
    """Return SCORES without whom the lists of today name.

    Raises what reading any source raises, and DataError for a row of a list without an id.
    """
    return scores.filter(pc.invert(pc.is_in(scores["entity_id"], value_set=listed(project))))


def keep_complete_accounts(accounts: pa.Table, scores: pa.Table) -> pa.Table:
    """Return those ACCOUNT_SCORES of which all entities stand in these SCORES of the same as-of, by target and rank.

    What is said of an account holds the scores of all of them: where one is left out, so is the account.
    """
    found = query(
        """SELECT a.* FROM accounts a
           JOIN (SELECT target, account_id, count(*) AS held FROM scores GROUP BY ALL) s USING (target, account_id)
           WHERE held >= entities ORDER BY target, rank""",
        accounts=accounts,
        scores=scores.select(["target", "account_id"]),
    )
    return found.cast(ACCOUNT_SCORES)
