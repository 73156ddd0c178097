import sqlite3
from contextlib import closing
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from configs.errors import StateError
from serve.store import session
from serve.store.session import sort_into_batches
from serve.store.store import Store
from tests.serve.samples import TUESDAY, a_run, publish, some_scores


@pytest.mark.parametrize("chunks", [1, 3, 50])
@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_sorted_batches_equal_sorted_table(monkeypatch, chunks, batch_rows):
    monkeypatch.setattr(session, "BATCH_ROWS", batch_rows)
    g = np.random.default_rng(chunks)
    table = pa.table(
        {"k": g.integers(0, 5, 100), "e": g.permutation(100), "text": [f"t{i}" for i in range(100)]}
    )
    edges = np.linspace(0, 100, chunks + 1).astype(int)
    split = pa.concat_tables([table.slice(a, b - a) for a, b in pairwise(edges)])
    batches = list(sort_into_batches(split, ["k", "e"], lambda batch: batch))
    assert max(batch.num_rows for batch in batches) <= batch_rows
    assert pa.Table.from_batches(batches).equals(
        table.sort_by([("k", "ascending"), ("e", "ascending")])
    )


def test_empty_table_has_no_batches():
    assert (
        list(
            sort_into_batches(
                pa.table({"k": pa.array([], pa.string())}), ["k"], lambda batch: batch
            )
        )
        == []
    )


def test_texts_round_trip_including_empty_and_quotes(store):
    run = a_run()
    texts = [
        "",
        None,
        'a"b',
        "a'b; DROP TABLE scores --",
        "a\\nb\tc",
        "line\nbreak",
        "$1",
        "%s",
        ":x",
        "?",
    ]
    scores = some_scores(run, ids=[f"e{i}" for i in range(9)] + ["e'9\\"], account_id=texts)
    publish(store, run, scores)
    assert store.scores("acme").equals(scores)
    assert store.entity_history("acme", "e'9\\")["account_id"].to_pylist() == ["?"]
    assert store.entity_history("acme", "e'9")["account_id"].to_pylist() == []


def test_changed_value_of_sqlite_is_named_by_its_column(tmp_path):
    store = Store(tmp_path / "scores.db")
    publish(store, a_run(), some_scores(a_run()))
    with closing(sqlite3.connect(tmp_path / "scores.db")) as db, db:
        db.execute("UPDATE score_runs SET finished_at = 'soon'")
    with pytest.raises(StateError, match=r"column cannot have \[column finished_at\]") as error:
        store.runs("acme")
    assert "soon" not in str(error.value)


def test_column_types_do_not_depend_on_first_batch(store, monkeypatch):
    monkeypatch.setitem(session.SQLITE_OPTIONS, "adbc.sqlite.query.batch_rows", "16")
    n = 100
    empty = [None] * (n - 1)
    columns = {
        "account_id": [*empty, "x"],
        "expected_value": [*empty, 0.5],
        "previous_score": [*empty, 7],
        "outcome_days_50": [None] * n,
    }
    run = a_run("r1", TUESDAY)
    scores = some_scores(run, ids=[f"{i:03}" for i in range(n)], **columns)
    publish(store, run, scores)
    assert store.scores("acme").equals(scores)


def test_scores_of_some_columns_keep_row_order(store):
    run = a_run(targets=("propensity", "close"))
    publish(store, run)
    whole = store.scores("acme")
    assert whole["target"].to_pylist() == ["close"] * 3 + ["propensity"] * 3
    assert store.scores("acme", columns=("run_id", "entity_id")).equals(
        whole.select(["run_id", "entity_id"])
    )
