"""The audit of suppressions: who was left out of published nights, why, since when, and by which run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.contracts import INSTANT, SUPPRESSIONS
from features.tools.duckdb_sql import query
from serve.store.session import Session
from serve.store.tables import SUPPRESSIONS_TABLE


def note_suppressed(session: Session, night: Mapping[str, Any], suppressed: pa.Table) -> None:
    """Add whom a night left out (SUPPRESSED) to the table; the rows of others stay as they are.

    ``night`` is a ledger row of the run. The first night of a row is the one that was published first.
    """
    if not suppressed.num_rows:
        return
    out = SUPPRESSIONS_TABLE.c
    mine = out.project == night["project"]
    before = session.table(
        sa.select(SUPPRESSIONS_TABLE).where(mine), SUPPRESSIONS, out.entity_id, out.reason
    )
    after = merged(before, suppressed, night)
    session.execute(sa.delete(SUPPRESSIONS_TABLE).where(mine))
    session.append(SUPPRESSIONS_TABLE, after)


def merged(before: pa.Table, suppressed: pa.Table, run: Mapping[str, Any]) -> pa.Table:
    """Return SUPPRESSIONS with a night's SUPPRESSED rows: new rows, or the newest night of rows that are there.

    A night that is older than the newest one of a row changes nothing of it but ``noted_at``; the same night again the
    run too.
    """
    columns = {
        "as_of": pa.array([run["as_of"]], INSTANT),
        "began": pa.array([run["started_at"]], INSTANT),
    }
    night = pa.table(columns | {"run": [run["run_id"]], "project": [run["project"]]})
    found = query(
        """SELECT coalesce(b.project, n.project) AS project, coalesce(b.entity_id, s.entity_id) AS entity_id,
             coalesce(b.reason, s.reason) AS reason, coalesce(b.first_as_of, n.as_of) AS first_as_of,
             coalesce(b.first_run_id, n.run) AS first_run_id,
             CASE WHEN newer THEN n.as_of ELSE b.last_as_of END AS last_as_of,
             CASE WHEN newer THEN n.run ELSE b.last_run_id END AS last_run_id,
             CASE WHEN s.entity_id IS NOT NULL THEN greatest(n.began, b.noted_at) ELSE b.noted_at END AS noted_at
           FROM (SELECT b, s, n, s.entity_id IS NOT NULL AND coalesce(n.as_of >= b.last_as_of, true) AS newer
                 FROM before b FULL JOIN suppressed s ON b.entity_id = s.entity_id AND b.reason = s.reason, night n)
           ORDER BY entity_id, reason""",
        before=before,
        suppressed=suppressed,
        night=night,
    )
    return found.select(SUPPRESSIONS.names).cast(SUPPRESSIONS)
