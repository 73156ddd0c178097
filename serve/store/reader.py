"""Reading of published scores, checks, suppressions, deliveries and the run ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from features.score_tables import (
    ACCOUNT_SCORES,
    DELIVERIES,
    DELIVERY_RESULTS,
    LOADED,
    SCORE_CHECKS,
    SCORE_RUNS,
    SCORES,
    SUPPRESSIONS,
)
from features.tools.instants import EPOCH
from features.tools.json_values import format_json
from serve.night_tables import NIGHT_TABLES
from serve.run import Run
from serve.store.database import Database
from serve.store.ledger import NIGHT_KEY
from serve.store.night_rows import read_newest_rows, read_night_rows
from serve.store.session import Session
from serve.store.tables import (
    ACCOUNTS_TABLE,
    CHECKS_TABLE,
    DELIVERIES_TABLE,
    RESULTS_TABLE,
    RUNS_TABLE,
    SCORES_TABLE,
    SUPPRESSIONS_TABLE,
    is_not_suppressed_since,
    select_current,
)

# What a night compares its scores with.
PREVIOUS_SCORES = pa.schema(
    [SCORES.field(name) for name in ("entity_id", "score", "grade", "falling_since", "review_at")]
)
LISTED_COLUMNS = ("entity_id", "owner", "listed")
# What a lead's row says on the night on which it is handed over, or goes back.
STATE_CHANGES = pa.schema(
    [
        SCORES.field(name)
        for name in (
            "entity_id",
            "as_of",
            "probability",
            "grade",
            "qualification",
            "qualified_because",
            "recycle_reason",
            "handover_chance",
        )
    ]
)


class ScoreReader:
    """Reads the tables of one scores database.

    Each read is one statement, so that it sees the rows before a publication or those after it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        """Return the database that is read."""
        return self._database

    def previous_scores(
        self,
        project: str,
        target: str,
        before: datetime,
        since: datetime = EPOCH,
        columns: Sequence[str] = tuple(PREVIOUS_SCORES.names),
        entity_ids: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return PREVIOUS_SCORES, or other columns of SCORES, in no order.

        They are of the latest published as-of in ``[since, before)``, of all entities or of those
        with ``entity_ids``.
        """
        rows, runs = SCORES_TABLE.c, RUNS_TABLE.c
        in_range = (runs.target == target, runs.as_of >= since, runs.as_of < before)
        # Within the same statement, since a run may publish between two of them.
        latest = sa.select(sa.func.max(runs.as_of)).where(*is_published(project), *in_range)
        is_latest = (
            rows.project == project,
            rows.target == target,
            rows.as_of == latest.scalar_subquery(),
        )
        query = sa.select(*(rows[name] for name in columns)).where(*is_latest)
        if entity_ids is not None:
            query = query.where(self._is_one_of(rows.entity_id, entity_ids))
        return self._read(query, pa.schema([SCORES.field(name) for name in columns]))

    def listed_leads(
        self,
        project: str,
        target: str,
        since: datetime,
        before: datetime,
        columns: Sequence[str] = LISTED_COLUMNS,
    ) -> pa.Table:
        """Return columns of SCORES of the listed leads at as-ofs in ``[since, before)``.

        The rows are sorted by as-of and entity_id.
        """
        rows = SCORES_TABLE.c
        in_range = (
            rows.project == project,
            rows.target == target,
            rows.as_of >= since,
            rows.as_of < before,
        )
        query = sa.select(*(rows[name] for name in columns)).where(
            *in_range, rows.listed.is_not(None)
        )
        return self._read(
            query, pa.schema([SCORES.field(name) for name in columns]), rows.as_of, rows.entity_id
        )

    def state_changes(self, project: str, target: str, before: datetime) -> pa.Table:
        """Return STATE_CHANGES of a target at as-ofs before an instant, by as-of and entity_id.

        They are the rows of the nights on which a lead got its qualification, or went back, without
        entities suppressed since.
        """
        rows = SCORES_TABLE.c
        query = sa.select(*(rows[name] for name in STATE_CHANGES.names)).where(
            rows.project == project,
            rows.target == target,
            rows.as_of < before,
            # The condition of the index, which has these rows alone.
            rows.qualified_at == rows.as_of,
            is_not_suppressed_since(),
        )
        return self._read(query, STATE_CHANGES, rows.as_of, rows.entity_id)

    def scores(
        self,
        project: str,
        as_of: datetime | None = None,
        target: str | None = None,
        columns: Sequence[str] = tuple(SCORES.names),
    ) -> pa.Table:
        """Return a SCORES table, or some of its columns, sorted by target and rank.

        It holds the rows of one as-of, by default of each target's latest published one, without
        entities suppressed since.
        """
        rows = SCORES_TABLE.c
        night = sa.select(SCORES_TABLE).where(rows.as_of == as_of, is_not_suppressed_since())
        query = select_current() if as_of is None else night
        query = query.where(rows.project == project)
        if target is not None:
            query = query.where(rows.target == target)
        schema = pa.schema([SCORES.field(name) for name in columns])
        query = query.with_only_columns(*(rows[name] for name in columns))
        return self._read(query, schema, rows.target, rows.rank, rows.entity_id)

    def past_scores(
        self,
        project: str,
        entity_ids: Sequence[str],
        before: datetime,
        nights: int,
        columns: Sequence[str] = tuple(SCORES.names),
    ) -> pa.Table:
        """Return columns of SCORES of some entities, sorted by target, entity and as-of.

        They are of the last ``nights`` published as-ofs earlier than ``before``, without entities
        suppressed since.
        """
        rows = SCORES_TABLE.c
        targets, as_ofs = _select_published_nights(project, before, nights)
        # Each part of the key is a list, so that each row is looked up: a night has many others.
        query = sa.select(*(rows[name] for name in columns)).where(
            rows.as_of.in_(as_ofs),
            rows.project == project,
            rows.target.in_(targets),
            self._is_one_of(rows.entity_id, entity_ids),
            is_not_suppressed_since(),
        )
        schema = pa.schema([SCORES.field(name) for name in columns])
        return self._read(query, schema, rows.target, rows.entity_id, rows.as_of)

    def account_scores(self, project: str, as_of: datetime) -> pa.Table:
        """Return the ACCOUNT_SCORES of one as-of, sorted by target and rank."""
        rows = ACCOUNTS_TABLE.c
        query = sa.select(ACCOUNTS_TABLE).where(rows.project == project, rows.as_of == as_of)
        return self._read(query, ACCOUNT_SCORES, rows.target, rows.rank)

    def entity_history(self, project: str, entity_id: str) -> pa.Table:
        """Return all published scores of one entity (SCORES), sorted by target and as-of."""
        rows = SCORES_TABLE.c
        # Distinct: a night published twice has two ledger rows and would repeat its scores.
        nights = (
            sa.select(*(RUNS_TABLE.c[name] for name in NIGHT_KEY))
            .where(*is_published(project))
            .distinct()
            .subquery()
        )
        is_published_row = sa.and_(
            rows.entity_id == entity_id, *(rows[name] == nights.c[name] for name in NIGHT_KEY)
        )
        return self._read(
            sa.select(SCORES_TABLE).join(nights, is_published_row), SCORES, rows.target, rows.as_of
        )

    def night_tables(self, run: Run) -> dict[str, pa.Table]:
        """Return the rows of NIGHT_TABLES that a run published, by name, in their order.

        Leads that were suppressed since are left out. Where a later run published the as-of again,
        and where nothing was computed, the tables are absent.
        """
        return self._database.run(
            lambda session: read_night_rows(session, run.project, run.as_of, run.run_id),
            writes=False,
        )

    def newest_rows(self, project: str, names: Sequence[str]) -> dict[str, pa.Table]:
        """Return tables of NIGHT_TABLES by name, of the latest as-of that has any row of them.

        Leads that were suppressed since are left out. A table that no run published is empty.
        """

        def read_rows(session: Session) -> dict[str, pa.Table]:
            chosen = [table for table in NIGHT_TABLES if table.name in names]
            return {table.name: read_newest_rows(session, table, project) for table in chosen}

        return self._database.run(read_rows, writes=False)

    def suppressions(self, project: str, entity_id: str | None = None) -> pa.Table:
        """Return the suppressions of one entity or of all as a SUPPRESSIONS table."""
        rows = SUPPRESSIONS_TABLE.c
        query = sa.select(SUPPRESSIONS_TABLE).where(rows.project == project)
        query = query if entity_id is None else query.where(rows.entity_id == entity_id)
        return self._read(query, SUPPRESSIONS, rows.entity_id, rows.reason)

    def runs(self, project: str) -> pa.Table:
        """Return the project's ledger as a SCORE_RUNS table, sorted by start."""
        runs = RUNS_TABLE.c
        query = sa.select(RUNS_TABLE).where(runs.project == project)
        return self._read(query, SCORE_RUNS, runs.started_at, runs.run_id, runs.target)

    def past_checks(self, project: str, before: datetime, nights: int = 28) -> pa.Table:
        """Return the checks before an instant as a SCORE_CHECKS table, sorted by as-of.

        They are those of the newest published run of each of the last ``nights`` as-ofs earlier
        than ``before``. A night that was published without checks counts as one and has no rows.
        """
        runs, checks = RUNS_TABLE.c, CHECKS_TABLE.c
        # A night that was published again has several runs: only its newest one counts.
        recency = sa.func.row_number().over(
            partition_by=runs.as_of, order_by=(runs.finished_at.desc(), runs.run_id)
        )
        published = sa.select(runs.run_id, runs.as_of, recency.label("recency"))
        candidates = published.where(*is_published(project), runs.as_of < before).subquery().c
        latest_runs = (
            sa.select(candidates.run_id)
            .where(candidates.recency == 1)
            .order_by(candidates.as_of.desc())
            .limit(nights)
        )
        query = sa.select(CHECKS_TABLE).where(checks.run_id.in_(latest_runs))
        return self._read(
            query, SCORE_CHECKS, checks.as_of, checks.target, checks.check, checks.subject
        )

    def run_checks(self, run_id: str) -> pa.Table:
        """Return the checks of one run as a SCORE_CHECKS table."""
        checks = CHECKS_TABLE.c
        query = sa.select(CHECKS_TABLE).where(checks.run_id == run_id)
        return self._read(query, SCORE_CHECKS, checks.target, checks.check, checks.subject)

    def last_published_run(self, project: str, as_of: datetime | None = None) -> Run | None:
        """Return the run that last published an as-of, by default the latest one.

        Return None if no run did.
        """
        ledger = self.runs(project).filter(pc.field("status") == "published").to_pylist()
        nights = [row for row in ledger if as_of is None or row["as_of"] == as_of]
        if not nights:
            return None
        newest = max(nights, key=lambda row: (row["as_of"], row["finished_at"]))
        models = {
            row["target"]: row["model_version"]
            for row in ledger
            if row["run_id"] == newest["run_id"]
        }
        return Run(
            models=models, **{f.name: newest[f.name] for f in fields(Run) if f.name != "models"}
        )

    def deliveries(self, project: str) -> pa.Table:
        """Return the project's deliveries as a DELIVERIES table, sorted by time."""
        rows = DELIVERIES_TABLE.c
        query = sa.select(DELIVERIES_TABLE).where(rows.project == project)
        return self._read(query, DELIVERIES, rows.made_at, rows.name, rows.delivery)

    def results_of_unloaded(self, project: str, name: str) -> pa.Table:
        """Return all results of the leads that a CRM did not load at least once.

        ``name`` is the export; the table is a DELIVERY_RESULTS, sorted by lead and sequence.
        """
        rows = RESULTS_TABLE.c
        in_export = (rows.project == project) & (rows.name == name)
        unloaded = sa.select(rows.entity_id).where(in_export, rows.status != LOADED)
        query = sa.select(RESULTS_TABLE).where(in_export, rows.entity_id.in_(unloaded))
        return self._read(query, DELIVERY_RESULTS, rows.entity_id, rows.sequence)

    def _is_one_of(self, column: sa.Column[Any], texts: Sequence[str]) -> sa.ColumnElement[bool]:
        """Return a condition that takes all texts as one parameter, of which there may be many."""
        packed = format_json(list(texts))
        if self._database.backend == "sqlite":
            return column.in_(sa.select(sa.func.json_each(packed).table_valued("value").c.value))
        # An array, since a query in its place would be joined, and whole nights be read for that.
        unpacked = sa.func.jsonb_array_elements_text(sa.cast(packed, postgresql.JSONB))
        return column == sa.any_(sa.func.array(sa.select(unpacked).scalar_subquery()))

    def _read(self, query: sa.Select[Any], schema: pa.Schema, *order: sa.Column[Any]) -> pa.Table:
        return self._database.run(
            lambda session: session.fetch_table(query, schema, *order), writes=False
        )


def _select_published_nights(
    project: str, before: datetime, nights: int
) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Select the targets, and the last as-ofs, that were published earlier than an instant."""
    runs = RUNS_TABLE.c
    conditions = (*is_published(project), runs.as_of < before)
    as_ofs = sa.select(runs.as_of).where(*conditions).distinct().order_by(runs.as_of.desc())
    return sa.select(runs.target).where(*conditions).distinct(), as_ofs.limit(nights)


def is_published(project: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return conditions on the ledger: rows of published runs of a project."""
    return RUNS_TABLE.c.project == project, RUNS_TABLE.c.status == "published"
