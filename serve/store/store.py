"""The store of published scores: publishing in one transaction, the run ledger, and erasure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import sqlalchemy as sa

from configs.addresses.parser import Address
from configs.errors import ConfigError
from features.files.sqlite_file import make_damage_error
from features.score_tables import DELIVERIES, SCORE_RUNS, SCORES
from serve.lock import hold_file_lock
from serve.run import Run
from serve.store.database import RETRY_SECONDS, Database
from serve.store.delivery_results import (
    DELIVERY_KEY,
    count_results,
    delete_old_results,
    merge_results,
)
from serve.store.entity_matcher import EntityMatcher
from serve.store.erase import erase_rows
from serve.store.ledger import (
    ABANDONED_MESSAGE,
    GIVEN_UP,
    NIGHT_KEY,
    append_checks,
    claim_started_rows,
    count_rows_by_target,
    has_run_ended,
    read_run_rows,
)
from serve.store.night_rows import delete_expired_rows, replace_night_rows
from serve.store.reader import ScoreReader, is_published
from serve.store.session import Session
from serve.store.session_lock import SessionLock
from serve.store.suppressions import record_suppressed
from serve.store.tables import (
    ACCOUNTS_TABLE,
    CHECKS_TABLE,
    DELIVERIES_TABLE,
    RUNS_TABLE,
    SCORES_TABLE,
    TABLES,
    is_schema_current,
    migrate_schema,
)

# Columns that identify one ledger row.
RUN_KEY = ("run_id", "target")
NIGHT_SCHEMA = pa.schema([SCORES.field(name) for name in NIGHT_KEY])


class Store(ScoreReader):
    """The score tables and the run ledger of a workspace, in SQLite or PostgreSQL.

    While the database is busy or unreachable, operations are retried for ``retry_seconds``.
    Failures of the database are raised as LeadscoreError.
    """

    def __init__(
        self,
        address: Address | str | Path,
        retry_seconds: float = RETRY_SECONDS,
        *,
        read_only: bool = False,
    ) -> None:
        """Open the database; create missing tables, columns and views.

        Takes the path of a SQLite file, or the address of a database. Nullable columns that an
        earlier version lacked are added as null. Raises ConfigError for an address that cannot be
        used, DataError if the existing tables cannot be migrated to this version. With
        ``read_only`` nothing is changed, and tables of an earlier version are a ConfigError.
        """
        super().__init__(Database(address, retry_seconds, read_only))
        self._lock: SessionLock | None = None
        # Reading first: most openings change nothing, and in SQLite a writer waits for others.
        if self._database.run(partial(is_schema_current, address=self.address), writes=False):
            return
        if read_only:
            raise ConfigError(
                "the tables are those of an earlier version, or there are none",
                where=self.address,
                fix="run `leadscore score` once; it creates what is missing",
            )
        self._database.run(partial(migrate_schema, address=self.address))

    @property
    def address(self) -> str:
        """Return the address of the database, without its password."""
        return self._database.address

    def require_sound_file(self, max_bytes: int | None = None) -> None:
        """Raise StateError if the structure of a SQLite file up to ``max_bytes`` is damaged."""
        problem = self._database.find_damage(max_bytes)
        if problem:
            raise make_damage_error("scores database", self._database.path, problem)

    @contextmanager
    def hold(self, project: str) -> Iterator[Self]:
        """Hold a project in this database while the block runs, across workspaces and machines.

        Yields this store. Raises WorkspaceBusy if another run holds the project. The hold ends with
        the process.
        """
        if self._database.backend == "sqlite":
            # Next to the database, so that all workspaces that share the file meet at one lock.
            path = self._database.path
            with hold_file_lock(
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
        """Insert the ledger rows of a run, status started, in a separate transaction."""
        self._insert_run(run, {"status": "started"})

    def give_up(self, run: Run) -> None:
        """Insert the ledger rows of a person's decision that an as-of will not be published."""
        self._insert_run(run, {"status": GIVEN_UP, "finished_at": run.started_at})

    def _insert_run(self, run: Run, values: dict[str, Any]) -> None:
        """Insert the ledger rows of a run with further values, one for each target."""
        common = {name: value for name, value in vars(run).items() if name != "models"} | values
        rows = [
            common | {"target": target, "model_version": model}
            for target, model in run.models.items()
        ]

        def work(session: Session) -> None:
            # The lost answer may have been that to the commit.
            if not (session.is_retry and read_run_rows(session, run.run_id)):
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
        tables: Mapping[str, pa.Table] | None = None,
    ) -> None:
        """Replace the scores of the run's targets and as-of in one transaction.

        ``scores`` is a SCORES table with the rows of all targets of the run; a target of the run
        without rows is published empty. A ``data_fingerprint`` replaces that of the ledger: a run
        may start before its data is read. ``checks`` are SCORE_CHECKS rows of the run,
        ``suppressed`` SUPPRESSED rows of the entities that it left out, ``accounts`` ACCOUNT_SCORES
        of the same targets, ``tables`` rows of NIGHT_TABLES by name, replacing all of the as-of.

        Raises ValueError if the run is not in status started or a row is of another run, DataError
        if two rows have the same key or a required value is missing, WorkspaceBusy if another run
        took the project over; nothing is changed then.
        """
        if self._lock:
            # A run whose lock was lost to another one must not publish.
            self._lock.confirm()

        def work(session: Session) -> None:
            if session.is_retry and has_run_ended(session, run_id, "published"):
                return
            # First, as it locks the ledger rows: no other run can mark this one as failed now.
            nights = claim_started_rows(session, run_id)
            counts = count_rows_by_target(scores, nights)
            values = {"status": "published", "finished_at": finished_at}
            values |= {"data_fingerprint": data_fingerprint} if data_fingerprint else {}
            for night in nights:
                _delete_night(session, night)
                _update_run(session, night, values | {"rows": counts[night["target"]]})
            session.append(SCORES_TABLE, scores)
            if accounts is not None:
                # Called only because it raises for rows of another run.
                count_rows_by_target(accounts, nights)
                session.append(ACCOUNTS_TABLE, accounts)
            replace_night_rows(session, nights[0], tables or {})
            append_checks(session, nights, checks)
            if suppressed is not None:
                record_suppressed(session, nights[0], suppressed)

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

        Raises ValueError if it is not in status started or a check is of another run.
        """
        values = {"status": status, "message": message, "finished_at": finished_at}

        def work(session: Session) -> None:
            if session.is_retry and has_run_ended(session, run_id, status):
                return
            nights = claim_started_rows(session, run_id)
            session.execute(
                sa.update(RUNS_TABLE).where(RUNS_TABLE.c.run_id == run_id).values(values)
            )
            append_checks(session, nights, checks)

        self._database.run(work)

    def record_cost(self, run_id: str, cost: Mapping[str, float | None]) -> None:
        """Write what a run cost into all of its ledger rows, by column."""
        own = RUNS_TABLE.c.run_id == run_id
        self._database.run(
            lambda session: session.execute(sa.update(RUNS_TABLE).where(own).values(cost))
        )

    def abandon_started_runs(self, project: str, finished_at: datetime) -> None:
        """Mark all started runs of a project as failed.

        Call it only while the project is held: no other process can be running them then.
        """
        is_started = (RUNS_TABLE.c.project == project) & (RUNS_TABLE.c.status == "started")
        values = {"status": "failed", "message": ABANDONED_MESSAGE, "finished_at": finished_at}
        self._database.run(
            lambda session: session.execute(sa.update(RUNS_TABLE).where(is_started).values(values))
        )

    def delete_scores_before(self, project: str, before: datetime) -> int:
        """Delete scores, checks and other tables of the as-ofs in ``(-inf, before)``.

        Return the number of nights per target deleted. The latest published as-of of each target
        stays, and so does the ledger. Each night of a target has a separate transaction: a reader
        sees all of it or nothing, and a run that publishes waits for one at most.
        """
        old_nights = self._read(
            _select_old_nights(project, before),
            NIGHT_SCHEMA,
            RUNS_TABLE.c.as_of,
            RUNS_TABLE.c.target,
        ).to_pylist()
        for night in old_nights:
            self._database.run(partial(_delete_night, night=night))
        checks = CHECKS_TABLE.c
        latest = (
            sa.select(sa.func.max(RUNS_TABLE.c.as_of))
            .where(*is_published(project))
            .group_by(RUNS_TABLE.c.target)
        )
        is_expired = (checks.project == project, checks.as_of < before, checks.as_of.not_in(latest))

        def work(session: Session) -> None:
            session.execute(sa.delete(CHECKS_TABLE).where(*is_expired))
            delete_expired_rows(session, project, before, latest)

        self._database.run(work)
        return len(old_nights)

    def erase(self, project: str, matcher: EntityMatcher) -> tuple[dict[str, int], bool]:
        """Erase an entity from all tables.

        Return the rows by table, and whether their bytes are certainly gone.
        """
        counts = self._database.run(lambda session: erase_rows(session, project, matcher))
        # After the transaction, since neither database can vacuum within one.
        return counts, self._database.compact([table.name for table in TABLES])

    def record_delivery(self, delivery: Mapping[str, Any]) -> None:
        """Upsert a row of DELIVERIES by project, name and delivery.

        Its counts of results are those of the results that are recorded.
        """
        same_delivery = _match_columns(DELIVERIES_TABLE, delivery, DELIVERY_KEY)

        def work(session: Session) -> None:
            row = dict(delivery) | count_results(session, delivery)
            # Deleted and inserted, since a bulk load cannot update rows.
            session.execute(sa.delete(DELIVERIES_TABLE).where(*same_delivery))
            session.append(DELIVERIES_TABLE, pa.Table.from_pylist([row], schema=DELIVERIES))

        self._database.run(work)

    def record_results(self, results: pa.Table) -> int:
        """Merge DELIVERY_RESULTS rows into those recorded, in one transaction.

        Of two results of one row in one delivery that of the earlier status in RESULT_STATUSES
        holds, in any order of recording. Return the number of rows that are new or changed.
        """
        return self._database.run(partial(merge_results, results=results))

    def drop_old_results(self, project: str, name: str, oldest_kept: int, newest: int) -> None:
        """Delete the results of an export that nothing needs any more.

        These are loaded rows of deliveries before number ``oldest_kept``, with what failed before
        them, and all rows of deliveries RESULTS_KEPT or more before ``newest``.
        """
        self._database.run(
            partial(
                delete_old_results,
                project=project,
                name=name,
                oldest_kept=oldest_kept,
                newest=newest,
            )
        )


def _select_old_nights(project: str, before: datetime) -> sa.Select[Any]:
    """Select nights before an instant with scores, except the latest published per target."""
    runs, rows = RUNS_TABLE.c, SCORES_TABLE.c
    later = RUNS_TABLE.alias("later")
    has_newer = sa.exists().where(
        later.c.project == runs.project,
        later.c.target == runs.target,
        later.c.status == "published",
        later.c.as_of > runs.as_of,
    )
    has_scores = sa.exists().where(*(rows[name] == runs[name] for name in NIGHT_KEY))
    columns = [runs[name] for name in NIGHT_KEY]
    return (
        sa.select(*columns)
        .where(*is_published(project), runs.as_of < before, has_newer, has_scores)
        .distinct()
    )


def _delete_night(session: Session, night: Mapping[str, Any]) -> None:
    """Delete the scores that a night published for a target."""
    for table in (SCORES_TABLE, ACCOUNTS_TABLE):
        session.execute(sa.delete(table).where(*_match_columns(table, night, NIGHT_KEY)))


def _update_run(session: Session, night: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Set columns of one ledger row."""
    same_row = _match_columns(RUNS_TABLE, night, RUN_KEY)
    session.execute(sa.update(RUNS_TABLE).where(*same_row).values(values))


def _match_columns(
    table: sa.Table, values: Mapping[str, Any], names: Sequence[str]
) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == values[name] for name in names]
