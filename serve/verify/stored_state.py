"""The scores database as one consistent state, read without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.contracts import INSTANT
from features.score_tables import DELIVERIES, SCORE_RUNS, SCORES
from serve.store.database import Database
from serve.store.session import Session
from serve.store.tables import (
    CHECKS_TABLE,
    DELIVERIES_TABLE,
    NIGHT_SQL_TABLES,
    RUNS_TABLE,
    SCORES_TABLE,
    read_columns,
)

# Ledger columns that every version has.
RUN_COLUMNS = ("run_id", "target", "as_of", "status", "model_version", "rows")
RUN_SCHEMA = pa.schema(
    [SCORE_RUNS.field(name) for name in (*RUN_COLUMNS, "started_at", "finished_at")]
)
NIGHT_SCHEMA = pa.schema(
    [
        *(SCORES.field(name) for name in ("target", "as_of", "run_id")),
        pa.field("rows", pa.int64()),
        pa.field("invalid", pa.int64()),
    ]
)
PROBABILITIES = ("probability", "probability_low", "probability_high")
AS_OF_SCHEMA = pa.schema([pa.field("as_of", INSTANT)])
TABLE_SCHEMA = pa.schema(
    [SCORES.field("as_of"), SCORES.field("run_id"), pa.field("rows", pa.int64())]
)
DELIVERY_SCHEMA = pa.schema(
    [
        DELIVERIES.field(name)
        for name in ("name", "delivery", "run_id", "status", "manifest_sha256", "made_at")
    ]
)


@dataclass(frozen=True)
class StoredState:
    """What the scores database holds of a project, at one instant.

    Attributes:
        runs: Ledger rows, sorted by start.
        nights: Number of score rows, and of those with an impossible value, by target, as-of and
            run.
        checked: As-ofs of which check results are kept.
        deliveries: Rows of the delivery ledger, sorted by time.
        tables: Number of rows of each of NIGHT_TABLES, by as-of and run; a table that the database
            does not have yet is absent.
    """

    runs: list[dict[str, Any]]
    nights: list[dict[str, Any]]
    checked: frozenset[datetime]
    deliveries: list[dict[str, Any]]
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    def newest_published(self) -> Mapping[str, Any] | None:
        """Return a ledger row of the run whose scores are to be exported; None if there is none."""
        published = [row for row in self.runs if row["status"] == "published"]
        return max(
            published,
            key=lambda row: (row["as_of"], row["finished_at"] or row["started_at"]),
            default=None,
        )

    def published_version(self, target: str) -> str | None:
        """Return the model version of a target's newest published night, or None."""
        rows = [r for r in self.runs if r["status"] == "published" and r["target"] == target]
        newest = max(rows, key=lambda row: row["as_of"], default=None)
        return newest["model_version"] if newest else None


def read_stored_state(database: Database, project: str, newest_only: bool) -> StoredState:
    """Return the state of a project in one transaction.

    With ``newest_only`` the score rows of the newest as-of alone are counted.
    """

    def read(session: Session) -> StoredState:
        runs, deliveries, checks = RUNS_TABLE.c, DELIVERIES_TABLE.c, CHECKS_TABLE.c
        return StoredState(
            session.fetch_table(
                sa.select(*(runs[name] for name in RUN_SCHEMA.names)).where(
                    runs.project == project
                ),
                RUN_SCHEMA,
                runs.started_at,
                runs.run_id,
                runs.target,
            ).to_pylist(),
            session.fetch_table(_select_nights(project, newest_only), NIGHT_SCHEMA).to_pylist(),
            frozenset(
                session.fetch_table(
                    sa.select(checks.as_of).where(checks.project == project).distinct(),
                    AS_OF_SCHEMA,
                )["as_of"].to_pylist()
            ),
            session.fetch_table(
                sa.select(*(deliveries[name] for name in DELIVERY_SCHEMA.names)).where(
                    deliveries.project == project
                ),
                DELIVERY_SCHEMA,
                deliveries.made_at,
                deliveries.name,
                deliveries.delivery,
            ).to_pylist(),
            {
                name: session.fetch_table(_count_rows(table, project), TABLE_SCHEMA).to_pylist()
                for name, table in NIGHT_SQL_TABLES.items()
                if read_columns(session, name)
            },
        )

    return database.run(read, writes=False)


def _count_rows(table: sa.Table, project: str) -> sa.Select[Any]:
    rows = table.c
    query = sa.select(rows.as_of, rows.run_id, sa.func.count().label("rows"))
    return query.where(rows.project == project).group_by(rows.as_of, rows.run_id)


def _select_nights(project: str, newest_only: bool) -> sa.Select[Any]:
    rows = SCORES_TABLE.c
    is_invalid = sa.or_(
        *(sa.or_(rows[name] < 0, rows[name] > 1) for name in PROBABILITIES),
        sa.or_(rows.score < 1, rows.score > 100),
        rows["rank"] < 1,
        sa.func.length(rows.grade) != 1,
    )
    count = sa.func.count().label("rows")
    invalid = sa.func.sum(sa.case((is_invalid, 1), else_=0)).label("invalid")
    keys = (rows.target, rows.as_of, rows.run_id)
    query = sa.select(*keys, count, sa.cast(invalid, sa.BigInteger).label("invalid"))
    query = query.where(rows.project == project).group_by(*keys)
    if newest_only:
        newest = sa.select(sa.func.max(RUNS_TABLE.c.as_of)).where(
            RUNS_TABLE.c.project == project, RUNS_TABLE.c.status == "published"
        )
        query = query.where(rows.as_of == newest.scalar_subquery())
    return query
