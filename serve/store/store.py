"""The scores table and the run ledger: publishing in one transaction, and reading what was published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.contracts import (
    ACCOUNT_SCORES,
    DELIVERIES,
    EPOCH,
    SCORE_CHECKS,
    SCORE_RUNS,
    SCORES,
    SUPPRESSIONS,
)
from serve.lock import hold_file
from serve.store.database import PATIENCE, Database
from serve.store.erase import erase_rows
from serve.store.ledger import DEAD, NIGHT, append_checks, count_rows, ended, ledger_rows, started
from serve.store.named import Named
from serve.store.session import Session
from serve.store.session_lock import SessionLock
from serve.store.suppressions import note_suppressed
from serve.store.tables import (
    ACCOUNTS_TABLE,
    CHECKS_TABLE,
    DELIVERIES_TABLE,
    RUNS_TABLE,
    SCORES_TABLE,
    SUPPRESSIONS_TABLE,
    TABLES,
    current,
    not_suppressed_since,
    prepare,
    ready,
)

RUN = ("run_id", "target")
NIGHTS = pa.schema([SCORES.field(name) for name in NIGHT])
PREVIOUS = pa.schema(
    [SCORES.field(name) for name in ("entity_id", "score", "grade", "falling_since", "review_at")]
)
LISTED = ("entity_id", "owner", "listed")


@dataclass(frozen=True)
class Run:
    """One attempt to publish the scores of one project and as-of; one ledger row for each target.

    ``models`` maps each target to the version of its registered model, None where there is none. Instants are
    aware; ``started_at`` is by the machine's clock.
    """

    run_id: str
    project: str
    as_of: datetime
    models: Mapping[str, str | None]
    code_version: str
    config_hash: str
    started_at: datetime
    data_fingerprint: str | None = None
    driver: str = "direct"
    flow_run_id: str | None = None


class Store:
    """The scores table and the run ledger of a workspace, in SQLite or PostgreSQL.

    Every reading is one statement, so that a reader sees the set before a publication or the set after it. While the
    database is busy or gone everything is tried again, for ``patience`` seconds. Its failures are raised as
    LeadscoreError.
    """

    def __init__(self, url_or_path: str | Path, patience: float = PATIENCE) -> None:
        """Open the database, and create what it lacks.

        Takes the path of a SQLite file, or a URL ``sqlite:///…`` or ``postgresql://…``. Columns that an earlier
        version did not know are added, empty, if they may be empty. Raises ConfigError for another kind of URL,
        DataError if the tables there are not those of this version and cannot be made so.
        """
        self._database = Database(url_or_path, patience)
        self._lock: SessionLock | None = None
        where = self._database.where
        if not self._database.run(lambda session: ready(session, where), writes=False):
            self._database.run(lambda session: prepare(session, where))

    @property
    def where(self) -> str:
        """The address of the database, without its password."""
        return self._database.where

    @contextmanager
    def hold(self, project: str) -> Iterator[Self]:
        """Hold a project in this database for the length of the block, from whatever workspace or machine; yield this.

        Raises WorkspaceBusy if another run holds it. A run that dies lets go of it.
        """
        if self._database.kind == "sqlite":
            path = self._database.path
            with hold_file(
                path.with_name(f"{path.name}.{project}.lock"), "another run holds this project"
            ):
                yield self
            return
        with SessionLock(self._database, project) as self._lock:
            try:
                yield self
            finally:
                self._lock = None

    def start(self, run: Run) -> None:
        """Write the ledger rows of a run that begins, status started, in a transaction of their own."""
        common = {name: value for name, value in vars(run).items() if name != "models"} | {
            "status": "started"
        }
        rows = [
            common | {"target": target, "model_version": model}
            for target, model in run.models.items()
        ]

        def work(session: Session) -> None:
            if not (session.again and ledger_rows(session, run.run_id)):
                session.append(RUNS_TABLE, pa.Table.from_pylist(rows, schema=SCORE_RUNS))

        self._database.run(work)

    def publish(
        self,
        scores: pa.Table,
        run_id: str,
        finished_at: datetime,
        data_fingerprint: str | None = None,
        checks: pa.Table | None = None,
        suppressed: pa.Table | None = None,
        accounts: pa.Table | None = None,
    ) -> None:
        """Put a run's scores in place of those of the same targets and as-of, all in one transaction.

        ``scores`` is a SCORES table with the rows of all targets of the run; a target of the run without
        rows is published empty. A ``data_fingerprint`` replaces the ledger's: a run may start before its data
        is read. ``checks`` are SCORE_CHECKS rows of the run, ``suppressed`` SUPPRESSED rows of whom it left out,
        ``accounts`` ACCOUNT_SCORES of the same targets.

        Raises ValueError if the run is not a started one or a row is not of this run, DataError if two rows have one
        key or a required value is missing, WorkspaceBusy if another run took the project over meanwhile; then nothing
        has changed.
        """
        if self._lock:
            self._lock.confirm()

        def work(session: Session) -> None:
            if session.again and ended(session, run_id, "published"):
                return
            nights = started(session, run_id)
            counts = count_rows(scores, nights)
            for night in nights:
                _clear(session, night)
                done = {
                    "status": "published",
                    "rows": counts[night["target"]],
                    "finished_at": finished_at,
                }
                done |= {"data_fingerprint": data_fingerprint} if data_fingerprint else {}
                session.execute(
                    sa.update(RUNS_TABLE).where(*_same(RUNS_TABLE, night, RUN)).values(done)
                )
            session.append(SCORES_TABLE, scores)
            if accounts is not None:
                count_rows(accounts, nights)
                session.append(ACCOUNTS_TABLE, accounts)
            append_checks(session, nights, checks)
            if suppressed is not None:
                note_suppressed(session, nights[0], suppressed)

        self._database.run(work)

    def finish(
        self,
        run_id: str,
        status: Literal["refused", "failed"],
        message: str,
        finished_at: datetime,
        checks: pa.Table | None = None,
    ) -> None:
        """End a started run that published nothing, with its SCORE_CHECKS rows if there are any.

        Raises ValueError if it is not a started one or a check is not of this run.
        """
        done = {"status": status, "message": message, "finished_at": finished_at}

        def work(session: Session) -> None:
            if session.again and ended(session, run_id, status):
                return
            nights = started(session, run_id)
            session.execute(sa.update(RUNS_TABLE).where(RUNS_TABLE.c.run_id == run_id).values(done))
            append_checks(session, nights, checks)

        self._database.run(work)

    def abandon(self, project: str, finished_at: datetime) -> None:
        """End as failed every run of a project still called started; only where it is held are they surely dead."""
        dead = (RUNS_TABLE.c.project == project) & (RUNS_TABLE.c.status == "started")
        done = {"status": "failed", "message": DEAD, "finished_at": finished_at}
        self._database.run(
            lambda session: session.execute(sa.update(RUNS_TABLE).where(dead).values(done))
        )

    def keep(self, project: str, before: datetime) -> int:
        """Remove scores and checks of the as-ofs in ``(-inf, before)``, and return from how many nights of a target.

        The latest published as-of of each target stays, and so does the ledger. Each night of a target goes in a
        transaction of its own: a reader sees all of it or nothing, and a night that publishes waits for one at most.
        """
        old = self._read(
            _old_nights(project, before), NIGHTS, RUNS_TABLE.c.as_of, RUNS_TABLE.c.target
        ).to_pylist()
        for night in old:
            self._database.run(lambda session, night=night: _clear(session, night))  # type: ignore[misc]
        checks = CHECKS_TABLE.c
        latest = (
            sa.select(sa.func.max(RUNS_TABLE.c.as_of))
            .where(*_published(project))
            .group_by(RUNS_TABLE.c.target)
        )
        done = (checks.project == project, checks.as_of < before, checks.as_of.not_in(latest))
        self._database.run(lambda session: session.execute(sa.delete(CHECKS_TABLE).where(*done)))
        return len(old)

    def erase(self, project: str, named: Named) -> tuple[dict[str, int], bool]:
        """Take an entity out of all tables; return the rows by table, and whether their bytes are surely gone."""
        found = self._database.run(lambda session: erase_rows(session, project, named))
        return found, self._database.compact([table.name for table in TABLES])

    def previous(
        self,
        project: str,
        target: str,
        before: datetime,
        since: datetime = EPOCH,
        columns: Sequence[str] = tuple(PREVIOUS.names),
    ) -> pa.Table:
        """Return PREVIOUS, or some columns of it, of the latest published as-of in ``[since, before)``, in no order."""
        rows, runs = SCORES_TABLE.c, RUNS_TABLE.c
        within = (runs.target == target, runs.as_of >= since, runs.as_of < before)
        night = sa.select(sa.func.max(runs.as_of)).where(*_published(project), *within)
        same = (
            rows.project == project,
            rows.target == target,
            rows.as_of == night.scalar_subquery(),
        )
        schema = pa.schema([PREVIOUS.field(name) for name in columns])
        return self._read(sa.select(*(rows[name] for name in columns)).where(*same), schema)

    def listed(
        self,
        project: str,
        target: str,
        since: datetime,
        before: datetime,
        columns: Sequence[str] = LISTED,
    ) -> pa.Table:
        """Return columns of SCORES of the leads on a list at the as-ofs in ``[since, before)``, by as-of."""
        rows = SCORES_TABLE.c
        mine = (
            rows.project == project,
            rows.target == target,
            rows.as_of >= since,
            rows.as_of < before,
        )
        query = sa.select(*(rows[name] for name in columns)).where(*mine, rows.listed.is_not(None))
        return self._read(
            query, pa.schema([SCORES.field(name) for name in columns]), rows.as_of, rows.entity_id
        )

    def scores(
        self,
        project: str,
        as_of: datetime | None = None,
        target: str | None = None,
        columns: Sequence[str] = tuple(SCORES.names),
    ) -> pa.Table:
        """Return a SCORES table, or some of its columns, by target and rank.

        It holds the rows of one as-of, else those of each target's latest published; none of who was suppressed since.
        """
        rows = SCORES_TABLE.c
        night = sa.select(SCORES_TABLE).where(rows.as_of == as_of, not_suppressed_since())
        query = current() if as_of is None else night
        query = query.where(rows.project == project)
        if target is not None:
            query = query.where(rows.target == target)
        schema = pa.schema([SCORES.field(name) for name in columns])
        query = query.with_only_columns(*(rows[name] for name in columns))
        return self._read(query, schema, rows.target, rows.rank, rows.entity_id)

    def accounts(self, project: str, as_of: datetime) -> pa.Table:
        """Return the ACCOUNT_SCORES of one as-of, by target and rank."""
        rows = ACCOUNTS_TABLE.c
        query = sa.select(ACCOUNTS_TABLE).where(rows.project == project, rows.as_of == as_of)
        return self._read(query, ACCOUNT_SCORES, rows.target, rows.rank)

    def history(self, project: str, entity_id: str) -> pa.Table:
        """Return all scores of one entity as a SCORES table, by target and as-of."""
        rows = SCORES_TABLE.c
        night = (
            sa.select(*(RUNS_TABLE.c[name] for name in NIGHT))
            .where(*_published(project))
            .distinct()
            .subquery()
        )
        same = sa.and_(
            rows.entity_id == entity_id, *(rows[name] == night.c[name] for name in NIGHT)
        )
        return self._read(
            sa.select(SCORES_TABLE).join(night, same), SCORES, rows.target, rows.as_of
        )

    def suppressions(self, project: str, entity_id: str | None = None) -> pa.Table:
        """Return who was left out of published nights as a SUPPRESSIONS table, of one entity or of all."""
        out = SUPPRESSIONS_TABLE.c
        query = sa.select(SUPPRESSIONS_TABLE).where(out.project == project)
        query = query if entity_id is None else query.where(out.entity_id == entity_id)
        return self._read(query, SUPPRESSIONS, out.entity_id, out.reason)

    def runs(self, project: str) -> pa.Table:
        """Return the project's ledger as a SCORE_RUNS table, in the order of starting."""
        runs = RUNS_TABLE.c
        query = sa.select(RUNS_TABLE).where(runs.project == project)
        return self._read(query, SCORE_RUNS, runs.started_at, runs.run_id, runs.target)

    def checked(self, project: str, before: datetime, nights: int = 28) -> pa.Table:
        """Return the checks of the nights before an instant as a SCORE_CHECKS table, by as-of.

        They are those of the newest published run of each of the last ``nights`` as-ofs in ``(-inf, before)``; a
        night that was published without checks counts as one and gives no rows.
        """
        runs, checks = RUNS_TABLE.c, CHECKS_TABLE.c
        newest = sa.func.row_number().over(
            partition_by=runs.as_of, order_by=(runs.finished_at.desc(), runs.run_id)
        )
        published = sa.select(runs.run_id, runs.as_of, newest.label("place"))
        each = published.where(*_published(project), runs.as_of < before).subquery().c
        last = (
            sa.select(each.run_id).where(each.place == 1).order_by(each.as_of.desc()).limit(nights)
        )
        query = sa.select(CHECKS_TABLE).where(checks.run_id.in_(last))
        return self._read(
            query, SCORE_CHECKS, checks.as_of, checks.target, checks.check, checks.subject
        )

    def last(self, project: str, as_of: datetime | None = None) -> Run | None:
        """Return the run that published an as-of last, by default the latest as-of; None if none did."""
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

    def record(self, delivery: Mapping[str, Any]) -> None:
        """Write a row of DELIVERIES, in place of the one of the same delivery if there is one."""
        same = _same(
            DELIVERIES_TABLE, delivery, [column.name for column in DELIVERIES_TABLE.primary_key]
        )

        def work(session: Session) -> None:
            session.execute(sa.delete(DELIVERIES_TABLE).where(*same))
            session.append(
                DELIVERIES_TABLE, pa.Table.from_pylist([dict(delivery)], schema=DELIVERIES)
            )

        self._database.run(work)

    def deliveries(self, project: str) -> pa.Table:
        """Return the project's deliveries as a DELIVERIES table, in the order in which they were made."""
        rows = DELIVERIES_TABLE.c
        query = sa.select(DELIVERIES_TABLE).where(rows.project == project)
        return self._read(query, DELIVERIES, rows.made_at, rows.name, rows.delivery)

    def _read(self, query: sa.Select[Any], schema: pa.Schema, *order: sa.Column[Any]) -> pa.Table:
        return self._database.run(
            lambda session: session.table(query, schema, *order), writes=False
        )


def _published(project: str) -> tuple[sa.ColumnElement[bool], ...]:
    return RUNS_TABLE.c.project == project, RUNS_TABLE.c.status == "published"


def _old_nights(project: str, before: datetime) -> sa.Select[Any]:
    """Select the nights before an instant that still have scores, but not the latest published ones."""
    runs, rows = RUNS_TABLE.c, SCORES_TABLE.c
    later = RUNS_TABLE.alias("later")
    newer = sa.exists().where(
        later.c.project == runs.project,
        later.c.target == runs.target,
        later.c.status == "published",
        later.c.as_of > runs.as_of,
    )
    there = sa.exists().where(*(rows[name] == runs[name] for name in NIGHT))
    columns = [runs[name] for name in NIGHT]
    return (
        sa.select(*columns)
        .where(*_published(project), runs.as_of < before, newer, there)
        .distinct()
    )


def _clear(session: Session, night: Mapping[str, Any]) -> None:
    """Remove what a night published of a target."""
    for table in (SCORES_TABLE, ACCOUNTS_TABLE):
        session.execute(sa.delete(table).where(*_same(table, night, NIGHT)))


def _same(
    table: sa.Table, night: Mapping[str, Any], names: Sequence[str]
) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == night[name] for name in names]
