"""Suppression of leads in scores of earlier runs, which were made before today's lists."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.intake.objections import find_listed
from features.score_tables import ACCOUNT_SCORES
from features.tools.duckdb_sql import run_query
from serve.night_tables import LEAD_COLUMN
from serve.run import Run
from serve.store.store import Store


def drop_suppressed(project: Project, scores: pa.Table) -> pa.Table:
    """Return rows of leads, such as SCORES, without those that today's suppression lists name.

    Raises what reading a source raises, and DataError for a row of a list without an id.
    """
    return scores.filter(pc.invert(find_listed(project, scores["entity_id"])))


def drop_suppressed_rows(project: Project, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Return tables of a night without the rows of leads that today's suppression lists name.

    Raises as ``drop_suppressed``.
    """
    return {
        name: drop_suppressed(project, table) if LEAD_COLUMN in table.column_names else table
        for name, table in tables.items()
    }


def read_shown_accounts(project: Project, store: Store, run: Run, scores: pa.Table) -> pa.Table:
    """Return the ACCOUNT_SCORES of a run that may be shown, by target and rank.

    ``scores`` are its SCORES without suppressed leads. An account is left out if one of its scored
    leads is suppressed, or the contact that it names. Raises as ``drop_suppressed``.
    """
    stored = store.account_scores(project.project, run.as_of)
    accounts = keep_complete_accounts(stored, scores)
    named = pc.fill_null(accounts["next_contact"], "")
    return accounts.filter(pc.invert(find_listed(project, named)))


def keep_complete_accounts(accounts: pa.Table, scores: pa.Table) -> pa.Table:
    """Return the ACCOUNT_SCORES whose entities are all in SCORES, by target and rank.

    Both are of one as-of. An account's values depend on all its entities: where one is left out,
    so is the account.
    """
    # Members are counted, since ACCOUNT_SCORES holds their number and not their ids. The order is
    # fixed because a join returns rows in any order and a repeated export must be the same to the
    # byte.
    complete = run_query(
        """SELECT a.* FROM accounts a
           JOIN (SELECT target, account_id, count(*) AS held FROM scores GROUP BY ALL) s
           USING (target, account_id)
           WHERE held >= entities ORDER BY target, rank""",
        accounts=accounts,
        scores=scores.select(["target", "account_id"]),
    )
    return complete.cast(ACCOUNT_SCORES)
