"""Writing many scores to a database and reading them, and the floors: bare loads of the same rows.

``python -m tests.benchmarks.publishing URL ROWS ours|floor`` runs in its own process and prints one
line of JSON: seconds by step.
"""

import io
import json
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from features.contracts import INSTANT
from features.score_tables import SCORES
from serve.run import Run
from serve.store.database import Database
from serve.store.session import BATCH_ROWS, Session, sort_into_batches
from serve.store.store import Store
from serve.store.tables import SCORES_TABLE
from tests.benchmarks.measure import peak

NIGHT = datetime(2025, 7, 7, tzinfo=UTC)
REASON = (
    '[{"feature":"page_view_count_7d","value":%s,"contribution":0.5123456,'
    '"sentence":"%s page views in 7 days"},'
    '{"feature":"any_age","value":12.25,"contribution":-0.2123,"sentence":"silent for 12 days"}]'
)
# Share of rows with reasons.
TOP = 0.1


def sample(rows: int, run: Run) -> pa.Table:
    """Return a SCORES table of one target, by rank, as a night gives it."""
    random = np.random.default_rng(1)
    p, days = np.sort(random.random(rows))[::-1], random.random((2, rows)) * 30
    score = (1 + 99 * p).astype(np.int64)
    texts = pa.array([REASON % (n, n) for n in range(100)]).take(
        pa.array(random.integers(0, 100, int(rows * TOP)))
    )
    same = {
        "project": run.project,
        "target": "buy",
        "as_of": run.as_of,
        "cutoff": run.as_of,
        "evidence": "enough",
    }
    same |= {
        "model_version": "7",
        "run_id": run.run_id,
        "scored_at": run.as_of + timedelta(hours=5),
    }
    columns = {
        **{
            name: pa.repeat(pa.scalar(value, SCORES.field(name).type), rows)
            for name, value in same.items()
        },
        "entity_id": _named("L", random.permutation(rows)),
        "account_id": _named("A", random.integers(0, rows, rows)),
        **{
            "probability": p,
            "probability_low": p * 0.7,
            "probability_high": 1 - (1 - p) * 0.7,
            "score": score,
        },
        "grade": pa.array(np.array(list("DCBA"))[(p * 4).astype(int)]),
        **{"rank": np.arange(1, rows + 1), "percentile": p * 100, "expected_value": p * 1234.5},
        **{
            "outcome_days_50": days[0],
            "outcome_days_80": days[1],
            "previous_score": score,
            "trend": score * 0,
        },
        "previous_grade": pa.array(np.array(list("DCBA"))[(p * 4).astype(int)]),
        "reasons": pa.concat_arrays([texts, pa.repeat("[]", rows - len(texts))]),
    }
    unsaid = {field.name: pa.nulls(rows, field.type) for field in SCORES if field.nullable}
    columns = unsaid | columns
    return pa.table([columns[name] for name in SCORES.names], schema=SCORES)


def _named(letter: str, numbers: np.ndarray) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise(letter, digits, "")


def ours(url: str, rows: int) -> dict:
    """Publish a night, the same night again and the next one; read them back."""
    store, found = Store(url), {}
    table = None
    for name, as_of in {
        "a night": NIGHT,
        "again": NIGHT,
        "the next night": NIGHT + timedelta(days=1),
    }.items():
        run = Run(name, "bench", as_of, {"buy": "7"}, "1", "c0ffee", NIGHT)
        del table
        table = sample(rows, run)
        store.start(run)
        before = peak()
        found[name] = timed(lambda table=table, run=run: store.publish(table, run.run_id, NIGHT))
        found["memory over the table, MiB"] = max(
            found.get("memory over the table, MiB", 0), (peak() - before) * 1024
        )
    found["bytes a row"] = table.nbytes / rows
    del table
    for name, read in {
        "previous": lambda: store.previous_scores("bench", "buy", NIGHT + timedelta(days=1)),
        "scores": lambda: store.scores("bench"),
    }.items():
        begin = time.perf_counter()
        found[f"rows of {name}"] = read().num_rows
        found[name] = time.perf_counter() - begin
    return found


def floor(url: str, rows: int) -> dict:
    """Load the same rows, encoded and ordered, without key, ledger or replacement."""
    run = Run("floor", "bench", NIGHT, {"buy": "7"}, "1", "c0ffee", NIGHT)
    pieces = list(
        sort_into_batches(
            sample(rows, run),
            [column.name for column in SCORES_TABLE.primary_key],
            lambda piece: piece,
        )
    )
    plain, database = pa.Table.from_batches(pieces), Database(url)
    if database.backend == "sqlite":
        plain = _as_text(plain)
        return {"bare load": timed(lambda: database.run(lambda session: _loaded(session, plain)))}
    binary = timed(lambda: database.run(lambda session: _loaded(session, plain)))
    written = [_csv(piece) for piece in pieces]
    return {
        "bare COPY, CSV": _copied(url, written, ""),
        "COPY, CSV, with the key": _copied(url, written, "INCLUDING INDEXES"),
        "bare COPY, binary": binary,
    }


def _loaded(session: Session, table: pa.Table) -> None:
    with session._connection.cursor() as cursor:
        cursor.adbc_ingest("floor", table.to_reader(max_chunksize=BATCH_ROWS), mode="create")


def _as_text(table: pa.Table) -> pa.Table:
    """Write instants as SQLite has them."""
    written = [
        pc.strftime(c, "%Y-%m-%dT%H:%M:%SZ") if c.type == INSTANT else c for c in table.columns
    ]
    return pa.table(written, names=table.column_names)


def _csv(piece: pa.RecordBatch) -> bytes:
    into = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    pyarrow.csv.write_csv(piece, into, options)
    return into.getvalue()


def _copied(url: str, pieces: list[bytes], like: str) -> float:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE copied (LIKE scores {like})")

        def copy() -> None:
            with cursor.copy("COPY copied FROM STDIN (FORMAT csv)") as into:
                for piece in pieces:
                    into.write(piece)
            connection.commit()

        seconds = timed(copy)
        cursor.execute("DROP TABLE copied")
    return seconds


def timed(call) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(json.dumps({"ours": ours, "floor": floor}[sys.argv[3]](sys.argv[1], int(sys.argv[2]))))
