"""Erasure of an entity from the tables: its rows of all nights, and its bytes in the file."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from features.suppressed import SUPPRESSED
from serve.store.entity_matcher import EntityMatcher
from tests.serve.samples import (
    LATER,
    MONDAY,
    TUESDAY,
    a_run,
    ask,
    publish,
    some_accounts,
    some_checks,
    some_scores,
)

GONE, OTHER = "secret-4711", "secret-47110"
MESSAGE = f"""too many bad rows: row 3: {{"id": "{GONE}"}}; also {GONE}, but not {OTHER}"""


def filled(store):
    """Publish three nights with the entity in all places that can name it.

    Two of the nights are published twice.
    """
    ids = (GONE, OTHER, "a")
    for number, as_of in enumerate([MONDAY, MONDAY, TUESDAY, TUESDAY, TUESDAY + timedelta(days=1)]):
        run = a_run(f"r{number}", as_of, targets=("close", "buy"))
        publish(store, run, some_scores(run, ids=ids), some_checks(run))
    publish(store, a_run("x", project="other"), some_scores(a_run("x", project="other"), ids=ids))
    failed = a_run("f", TUESDAY)
    store.start(failed)
    store.finish("f", "failed", MESSAGE, LATER)
    run = a_run("s", LATER)
    store.start(run)
    out = pa.table([[GONE, OTHER], ["list", "list"]], schema=SUPPRESSED)
    store.publish(some_scores(run, ids=["a"]), "s", LATER, suppressed=out)


def test_erase_removes_rows_of_one_entity_in_one_project(store, url):
    filled(store)
    counts, _ = store.erase("acme", EntityMatcher(GONE))
    expected = {
        "scores": 6,
        "suppressions": 1,
        "score_runs (messages)": 1,
        "score_checks (messages)": 0,
    }
    assert counts == {name: 0 for name in counts} | expected
    assert ask(
        url, f"SELECT project, count(*) FROM scores WHERE entity_id = '{GONE}' GROUP BY 1"
    ) == [("other", 1)]
    assert ask(url, f"SELECT count(*) FROM scores WHERE entity_id = '{OTHER}'") == [(7,)]
    assert ask(url, "SELECT entity_id FROM suppressions") == [(OTHER,)]
    (message,) = ask(url, "SELECT message FROM score_runs WHERE run_id = 'f'")[0]
    assert message == f'too many bad rows: row 3: {{"id": ***}}; also ***, but not {OTHER}'
    assert set(store.erase("acme", EntityMatcher(GONE))[0].values()) == {0}


def test_erase_removes_accounts_that_name_the_entity_as_a_contact(store, url):
    """The contact to reach next need not be scored, so no score leads to its account."""
    run = a_run("r1", MONDAY)
    accounts = some_accounts(run, ["Acme", "Beta", "Gamma"])
    named = pa.array([OTHER, GONE, None], pa.string())
    place = accounts.column_names.index("next_contact")
    accounts = accounts.set_column(place, accounts.schema.field(place), named)
    store.start(run)
    store.publish(some_scores(run), "r1", LATER, accounts=accounts)
    counts, _ = store.erase("acme", EntityMatcher(GONE))
    assert counts == {name: 0 for name in counts} | {"account_scores": 1}
    left = "SELECT account_id FROM account_scores ORDER BY 1"
    assert ask(url, left) == [("Acme",), ("Gamma",)]


def test_erase_finds_other_writings_of_the_id(store, url):
    filled(store)
    counts, _ = store.erase("acme", EntityMatcher(f" {GONE.upper()} "))
    assert counts["scores"] == 6 and counts["score_runs (messages)"] == 1
    assert ask(url, f"SELECT count(*) FROM scores WHERE entity_id = '{OTHER}'") == [(7,)]


def test_erase_redacts_short_id_only_between_quotes(store):
    store.start(a_run("f"))
    store.finish("f", "failed", 'bad: 3 of 13; {"id": "3"}', LATER)
    store.erase("acme", EntityMatcher("3"))
    assert store.runs("acme")["message"].to_pylist() == ['bad: 3 of 13; {"id": ***}']


def test_erase_leaves_no_byte_in_sqlite_files(tmp_path):
    from serve.store.store import Store

    path = tmp_path / "scores.db"
    store = Store(path)
    only = "forgotten-one"
    for number in range(4):
        run = a_run(f"r{number}")
        publish(store, run, some_scores(run, ids=[only, *(f"kept-{n}" for n in range(300))]))
    with sqlite3.connect(path) as reader:  # a reader that has gone
        assert reader.execute("SELECT count(*) FROM scores").fetchone() == (301,)
    reader.close()
    assert any(only.encode() in file.read_bytes() for file in tmp_path.glob("scores.db*"))
    assert store.erase("acme", EntityMatcher(only))[1]
    assert [
        file.name
        for file in tmp_path.glob("scores.db*")
        if only.encode() in Path(file).read_bytes()
    ] == []
    assert store.scores("acme").num_rows == 300
