"""What the CRMs did with delivered rows, merged inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.contracts import INSTANT
from features.score_tables import DELIVERY_RESULTS, LOADED, RESULT_STATUSES
from features.tools.duckdb_sql import run_query
from serve.store.session import Session
from serve.store.tables import DELIVERIES_TABLE, RESULTS_TABLE

# Columns that identify one delivery.
DELIVERY_KEY = ("project", "name", "delivery")
# Failures are counted over this many deliveries, a month of nights.
RESULTS_KEPT = 30
COUNT_SCHEMA = pa.schema(
    [
        pa.field("status", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("newest", INSTANT),
    ]
)


def merge_results(session: Session, results: pa.Table) -> int:
    """Merge DELIVERY_RESULTS rows; return how many rows are new or changed.

    The outcome depends neither on the order nor on repetitions, except for ``acknowledged_at``,
    which stays that of the result that holds.
    """
    total = 0
    deliveries = results.select(DELIVERY_KEY).group_by(list(DELIVERY_KEY)).aggregate([])
    for delivery in deliveries.to_pylist():
        is_own = [pc.field(name) == delivery[name] for name in DELIVERY_KEY]
        same_delivery = _match_delivery(RESULTS_TABLE, delivery)
        before = session.fetch_table(
            sa.select(RESULTS_TABLE).where(*same_delivery), DELIVERY_RESULTS
        )
        after, changed = _choose_results(before, results.filter(is_own[0] & is_own[1] & is_own[2]))
        if not changed:
            continue
        total += changed
        # All rows are replaced, since a bulk load cannot update single ones.
        session.execute(sa.delete(RESULTS_TABLE).where(*same_delivery))
        session.append(RESULTS_TABLE, after)
        session.execute(
            sa.update(DELIVERIES_TABLE)
            .where(*_match_delivery(DELIVERIES_TABLE, delivery))
            .values(count_results(session, delivery))
        )
    return total


def _choose_results(before: pa.Table, new: pa.Table) -> tuple[pa.Table, int]:
    """Return one row per lead, and how many of them are new or changed.

    Of two failures with different errors the text that sorts last holds: any rule will do that does
    not depend on the order of the files.
    """
    chosen = run_query(
        """SELECT r.* FROM
             (SELECT *, 0 AS is_new FROM before UNION ALL SELECT *, 1 AS is_new FROM new) r
           JOIN statuses s USING (status)
           QUALIFY row_number() OVER (
             PARTITION BY entity_id ORDER BY s.place, message DESC NULLS LAST, is_new) = 1""",
        before=before,
        new=new,
        statuses=pa.table({"status": RESULT_STATUSES, "place": range(len(RESULT_STATUSES))}),
    )
    changed = int(pc.sum(chosen["is_new"]).as_py() or 0)
    return chosen.select(DELIVERY_RESULTS.names).cast(DELIVERY_RESULTS), changed


def count_results(session: Session, delivery: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of DELIVERIES that count the results of a delivery; null without any."""
    rows = RESULTS_TABLE.c
    query = (
        sa.select(
            rows.status,
            sa.func.count().label("rows"),
            sa.func.max(rows.acknowledged_at).label("newest"),
        )
        .where(*_match_delivery(RESULTS_TABLE, delivery))
        .group_by(rows.status)
    )
    groups = session.fetch_table(query, COUNT_SCHEMA, rows.status).to_pylist()
    counts = {row["status"]: row["rows"] for row in groups}
    return {
        **{status: counts.get(status, 0) if counts else None for status in RESULT_STATUSES},
        "acknowledged_at": max((row["newest"] for row in groups), default=None),
    }


def delete_old_results(
    session: Session, project: str, name: str, oldest_kept: int, newest: int
) -> None:
    """Delete what ``Store.drop_old_results`` describes."""
    rows = RESULTS_TABLE.c
    in_export = (rows.project == project) & (rows.name == name)
    is_old = in_export & (rows.sequence < oldest_kept)
    # A lead that was loaded begins to count its failures anew. One delivery at a time stops being
    # kept, so all its other old rows are from before that.
    loaded = sa.select(rows.entity_id).where(is_old, rows.status == LOADED)
    session.execute(sa.delete(RESULTS_TABLE).where(is_old, rows.entity_id.in_(loaded)))
    session.execute(
        sa.delete(RESULTS_TABLE).where(in_export, rows.sequence <= newest - RESULTS_KEPT)
    )


def _match_delivery(table: sa.Table, delivery: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == delivery[name] for name in DELIVERY_KEY]
