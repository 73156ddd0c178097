"""The scores table and the run ledger: publishing in one transaction, and reading what was published.

An instant is stored as ISO-8601 text in UTC with six decimals (``2025-07-01T00:00:00.000000Z``) on every
database: text of one width sorts as time does and gives back the very microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from configs.errors import ConfigError, DataError, LeadscoreError
from features.contracts import INSTANT, SCORE_CHECKS, SCORE_RUNS, SCORES
from serve.tables import CHECKS_TABLE, RUNS_TABLE, SCORES_TABLE, current, prepare

NIGHT = ("project", "target", "as_of")
BATCH = 50_000
BUSY_SECONDS = 60
PREVIOUS = pa.schema([SCORES.field("entity_id"), SCORES.field("score")])
ENGINE_OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"paramstyle": "qmark", "connect_args": {"timeout": BUSY_SECONDS}},
    "postgresql": {"paramstyle": "format"},
}


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

    Every reading is one statement, so that a reader sees the set before a publication or the set after it.
    Database failures are raised as LeadscoreError.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        """Open the database, and create what it lacks.

        Takes the path of a SQLite file, or a URL ``sqlite:///…`` or ``postgresql://…``. Columns that an earlier
        version did not know are added, empty, if they may be empty. Raises ConfigError for another kind of URL,
        DataError if the tables there are not those of this version and cannot be made so.
        """
        url = _url(url_or_path)
        self._engine = _engine(url)
        self._where = url.render_as_string()
        with self._begin() as connection:
            prepare(connection, self._where)

    def start(self, run: Run) -> None:
        """Write the ledger rows of a run that begins, status started, in a transaction of their own."""
        common = {name: value for name, value in vars(run).items() if name != "models"} | {"status": "started"}
        common |= {"as_of": _text(run.as_of), "started_at": _text(run.started_at)}
        rows = [common | {"target": target, "model_version": model} for target, model in run.models.items()]
        with self._begin() as connection:
            connection.execute(sa.insert(RUNS_TABLE), rows)

    def publish(
        self,
        scores: pa.Table,
        run_id: str,
        finished_at: datetime,
        data_fingerprint: str | None = None,
        checks: pa.Table | None = None,
    ) -> None:
        """Put a run's scores in place of those of the same targets and as-of, all in one transaction.

        ``scores`` is a SCORES table with the rows of all targets of the run; a target of the run without
        rows is published empty. A ``data_fingerprint`` replaces the ledger's: a run may start before its data
        is read. ``checks`` are SCORE_CHECKS rows of the run. Raises ValueError if the run is not a started one or a
        row is not of this run, DataError if two rows have one key or a required value is missing; then nothing has
        changed.
        """
        with self._begin() as connection:
            nights = _started(connection, run_id)
            counts = _count(scores, nights)
            for night in nights:
                same = [SCORES_TABLE.c[name] == getattr(night, name) for name in NIGHT]
                connection.execute(sa.delete(SCORES_TABLE).where(*same))
                done = {
                    "status": "published",
                    "rows": counts[night.target],
                    "finished_at": _text(finished_at),
                    "data_fingerprint": data_fingerprint or night.data_fingerprint,
                }
                connection.execute(sa.update(RUNS_TABLE).where(*_same_run(night)).values(done))
            _insert(connection, SCORES_TABLE, scores.sort_by([("target", "ascending"), ("entity_id", "ascending")]))
            _insert_checks(connection, nights, checks)

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
        done = {"status": status, "message": message, "finished_at": _text(finished_at)}
        with self._begin() as connection:
            nights = _started(connection, run_id)
            connection.execute(sa.update(RUNS_TABLE).where(RUNS_TABLE.c.run_id == run_id).values(done))
            _insert_checks(connection, nights, checks)

    def abandon(self, project: str, finished_at: datetime) -> None:
        """End as failed every run of a project still called started; only under its lock are they surely dead."""
        runs = RUNS_TABLE.c
        done = {"status": "failed", "message": "ended without a word", "finished_at": _text(finished_at)}
        with self._begin() as connection:
            dead = (runs.project == project) & (runs.status == "started")
            connection.execute(sa.update(RUNS_TABLE).where(dead).values(done))

    def previous(self, project: str, target: str, as_of: datetime) -> pa.Table:
        """Return entity_id and score of the latest published as-of before ``as_of``, by entity_id."""
        rows, runs = SCORES_TABLE.c, RUNS_TABLE.c
        before = sa.select(sa.func.max(runs.as_of)).where(
            runs.project == project,
            runs.target == target,
            runs.status == "published",
            runs.as_of < _text(as_of),
        )
        same = (rows.project == project, rows.target == target, rows.as_of == before.scalar_subquery())
        return self._read(sa.select(rows.entity_id, rows.score).where(*same).order_by(rows.entity_id), PREVIOUS)

    def scores(
        self,
        project: str,
        as_of: datetime | None = None,
        target: str | None = None,
        columns: Sequence[str] = tuple(SCORES.names),
    ) -> pa.Table:
        """Return a SCORES table, or some of its columns, by target and rank.

        It holds the rows of one as-of, else those of each target's latest published.
        """
        rows = SCORES_TABLE.c
        query = current() if as_of is None else sa.select(SCORES_TABLE).where(rows.as_of == _text(as_of))
        query = query.where(rows.project == project)
        if target is not None:
            query = query.where(rows.target == target)
        schema = pa.schema([SCORES.field(name) for name in columns])
        query = query.with_only_columns(*(rows[name] for name in columns))
        return self._read(query.order_by(rows.target, rows.rank, rows.entity_id), schema)

    def history(self, project: str, entity_id: str) -> pa.Table:
        """Return all scores of one entity as a SCORES table, by target and as-of."""
        rows = SCORES_TABLE.c
        query = sa.select(SCORES_TABLE).where(rows.project == project, rows.entity_id == entity_id)
        return self._read(query.order_by(rows.target, rows.as_of), SCORES)

    def runs(self, project: str) -> pa.Table:
        """Return the project's ledger as a SCORE_RUNS table, in the order of starting."""
        runs = RUNS_TABLE.c
        query = sa.select(RUNS_TABLE).where(runs.project == project)
        return self._read(query.order_by(runs.started_at, runs.run_id, runs.target), SCORE_RUNS)

    def checked(self, project: str, before: datetime, nights: int = 28) -> pa.Table:
        """Return the checks of the nights before an instant as a SCORE_CHECKS table, by as-of.

        They are those of the newest published run of each of the last ``nights`` as-ofs in ``(-inf, before)``; a
        night that was published without checks counts as one and gives no rows.
        """
        runs, checks = RUNS_TABLE.c, CHECKS_TABLE.c
        newest = sa.func.row_number().over(partition_by=runs.as_of, order_by=(runs.finished_at.desc(), runs.run_id))
        published = sa.select(runs.run_id, runs.as_of, newest.label("place"))
        published = published.where(runs.project == project, runs.status == "published", runs.as_of < _text(before))
        each = published.subquery().c
        last = sa.select(each.run_id).where(each.place == 1).order_by(each.as_of.desc()).limit(nights)
        query = sa.select(CHECKS_TABLE).where(checks.run_id.in_(last))
        query = query.order_by(checks.as_of, checks.target, checks.check, checks.subject)
        return self._read(query, SCORE_CHECKS)

    def last(self, project: str, as_of: datetime | None = None) -> Run | None:
        """Return the run that published an as-of last, by default the latest as-of; None if none did."""
        ledger = self.runs(project).filter(pc.field("status") == "published").to_pylist()
        nights = [row for row in ledger if as_of is None or row["as_of"] == as_of]
        if not nights:
            return None
        newest = max(nights, key=lambda row: (row["as_of"], row["finished_at"]))
        models = {row["target"]: row["model_version"] for row in ledger if row["run_id"] == newest["run_id"]}
        return Run(models=models, **{f.name: newest[f.name] for f in fields(Run) if f.name != "models"})

    def _read(self, query: sa.Select[Any], schema: pa.Schema) -> pa.Table:
        with self._begin() as connection:
            rows = connection.execute(query).all()
        columns = list(zip(*rows, strict=True)) or [()] * len(schema)
        arrays = [_restored(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=schema)

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        """Open a connection and a transaction; commit at the end, roll back on an error."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.IntegrityError as error:
            raise DataError(
                "rows that the scores database cannot take", where=self._where, found=_first_line(error)
            ) from error
        except sa.exc.DBAPIError as error:
            raise LeadscoreError("the scores database failed", where=self._where, found=_first_line(error)) from error


def _url(url_or_path: str | Path) -> sa.URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return sa.URL.create("sqlite", database=str(url_or_path))
    url = sa.make_url(url_or_path)
    # SQLAlchemy would take the older psycopg2 for the plain name.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: sa.URL) -> sa.Engine:
    """Make an engine that keeps no connection open: no handle outlives a call or is shared with a fork."""
    kind = url.get_backend_name()
    if kind not in ENGINE_OPTIONS:
        raise ConfigError(
            "not a database for scores",
            where=url.render_as_string(),
            mend="use sqlite:///… or postgresql://…",
        )
    try:
        if kind == "sqlite":
            Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        return sa.create_engine(url, poolclass=sa.NullPool, **ENGINE_OPTIONS[kind])
    except (OSError, ImportError) as error:
        raise ConfigError(
            "cannot open the scores database",
            where=url.render_as_string(),
            found=str(error),
            mend="name a file you may write to, or install psycopg for PostgreSQL",
        ) from error


def _started(connection: sa.Connection, run_id: str) -> list[sa.Row[Any]]:
    """Return the ledger rows of a started run; raise ValueError if there are none."""
    runs = RUNS_TABLE.c
    query = sa.select(RUNS_TABLE).where(runs.run_id == run_id, runs.status == "started").order_by(runs.target)
    nights = list(connection.execute(query))
    if not nights:
        raise ValueError(f"run {run_id!r} is not a started one")
    return nights


def _same_run(night: sa.Row[Any]) -> list[sa.ColumnElement[bool]]:
    return [RUNS_TABLE.c.run_id == night.run_id, RUNS_TABLE.c.target == night.target]


def _count(scores: pa.Table, nights: list[sa.Row[Any]]) -> dict[str, int]:
    """Return the rows of each target of the run; raise ValueError if a row belongs to another run."""
    expected = {(*(getattr(night, name) for name in NIGHT), night.run_id): night.target for night in nights}
    counts = dict.fromkeys(expected.values(), 0)
    for group in scores.group_by([*NIGHT, "run_id"]).aggregate([([], "count_all")]).to_pylist():
        key = (group["project"], group["target"], _text(group["as_of"]), group["run_id"])
        if key not in expected:
            raise ValueError(f"{group['count_all']} score rows of {key} are not of the run to publish")
        counts[expected[key]] = group["count_all"]
    return counts


def _insert_checks(connection: sa.Connection, nights: list[sa.Row[Any]], checks: pa.Table | None) -> None:
    """Insert the checks of a run, if there are any; raise ValueError if one belongs to another run."""
    if checks is None:
        return
    run = (nights[0].run_id, nights[0].project, nights[0].as_of)
    targets = {"", *(night.target for night in nights)}
    for row in checks.select(["run_id", "project", "as_of", "target"]).to_pylist():
        if (row["run_id"], row["project"], _text(row["as_of"])) != run or row["target"] not in targets:
            raise ValueError(f"a check of {tuple(row.values())} is not of the run {run}")
    _insert(connection, CHECKS_TABLE, checks)


def _insert(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
    """Insert as plain tuples: best in the key's order, which takes load off the index."""
    statement = str(sa.insert(table).compile(connection))
    for batch in rows.select(table.c.keys()).to_batches(max_chunksize=BATCH):
        values = list(zip(*(_storable(column) for column in batch.columns), strict=True))
        if values:
            connection.exec_driver_sql(statement, values)


def _storable(column: pa.Array) -> list[Any]:
    return (pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ") if column.type == INSTANT else column).to_pylist()


def _restored(column: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    return pa.array(column, pa.string()).cast(INSTANT) if kind == INSTANT else pa.array(column, kind)


def _text(instant: datetime) -> str:
    """Return the stored form of an aware instant."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]
