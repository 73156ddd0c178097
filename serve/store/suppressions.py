"""The audit of suppressions: entities left out of published nights, with reason, time and run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.contracts import INSTANT
from features.score_tables import SUPPRESSIONS
from features.tools.duckdb_sql import run_query
from serve.store.session import Session
from serve.store.tables import SUPPRESSIONS_TABLE


def record_suppressed(session: Session, night: Mapping[str, Any], suppressed: pa.Table) -> None:
    """Record the entities that a run left out (SUPPRESSED rows); other rows stay as they are.

    ``night`` is a ledger row of the run. The first night of a row is the one that was published
    first.
    """
    if not suppressed.num_rows:
        return
    columns = SUPPRESSIONS_TABLE.c
    in_project = columns.project == night["project"]
    before = session.fetch_table(
        sa.select(SUPPRESSIONS_TABLE).where(in_project),
        SUPPRESSIONS,
        columns.entity_id,
        columns.reason,
    )
    after = merge_suppressions(before, suppressed, night)
    # All rows are replaced, since a bulk load cannot update single ones.
    session.execute(sa.delete(SUPPRESSIONS_TABLE).where(in_project))
    session.append(SUPPRESSIONS_TABLE, after)


def merge_suppressions(before: pa.Table, suppressed: pa.Table, run: Mapping[str, Any]) -> pa.Table:
    """Return SUPPRESSIONS merged with the SUPPRESSED rows of a run.

    New rows are added; existing ones get the newest night. A run of an older night than the newest
    one of a row updates only its ``noted_at``; a run of the same night also updates the run.
    """
    instants = {
        "as_of": pa.array([run["as_of"]], INSTANT),
        "began": pa.array([run["started_at"]], INSTANT),
    }
    night = pa.table(instants | {"run": [run["run_id"]], "project": [run["project"]]})
    merged = run_query(
        """SELECT
             coalesce(b.project, n.project) AS project,
             coalesce(b.entity_id, s.entity_id) AS entity_id,
             coalesce(b.reason, s.reason) AS reason,
             coalesce(b.first_as_of, n.as_of) AS first_as_of,
             coalesce(b.first_run_id, n.run) AS first_run_id,
             CASE WHEN newer THEN n.as_of ELSE b.last_as_of END AS last_as_of,
             CASE WHEN newer THEN n.run ELSE b.last_run_id END AS last_run_id,
             CASE WHEN s.entity_id IS NOT NULL THEN greatest(n.began, b.noted_at)
               ELSE b.noted_at END AS noted_at
           FROM (SELECT b, s, n,
                   s.entity_id IS NOT NULL AND coalesce(n.as_of >= b.last_as_of, true) AS newer
                 FROM before b
                 FULL JOIN suppressed s ON b.entity_id = s.entity_id AND b.reason = s.reason,
                 night n)
           ORDER BY entity_id, reason""",
        before=before,
        suppressed=suppressed,
        night=night,
    )
    return merged.select(SUPPRESSIONS.names).cast(SUPPRESSIONS)
