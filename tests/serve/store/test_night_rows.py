"""The further tables of nights in the database: published, replaced and removed with the scores."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from features.suppressed import SUPPRESSED
from serve.night_tables import NIGHT_TABLES
from serve.store.entity_matcher import EntityMatcher
from serve.store.store import Store
from serve.store.tables import NIGHT_SQL_TABLES
from tests.serve.samples import (
    DAY,
    LATER,
    MONDAY,
    TUESDAY,
    a_run,
    ask,
    do,
    publish,
    some_scores,
    some_tables,
)

NAMES = [table.name for table in NIGHT_TABLES]
STALL = """
import sys
from serve.store.session import Session
from serve.store.store import Store
from tests.serve.samples import LATER, a_run, some_scores, some_tables
append = Session.append
def stall(session, table, rows):
    append(session, table, rows)
    if table.name == sys.argv[2]:
        print("written", flush=True)
        sys.stdin.read()
Session.append = stall
run = a_run("w")
store = Store(sys.argv[1])
store.start(run)
store.publish(some_scores(run, seed=1), "w", LATER, tables=some_tables(run, seed=1))
"""


def count_rows(url, name):
    return ask(url, f"SELECT count(*) FROM {name}")[0][0]


def test_columns_are_those_of_the_contract():
    for table in NIGHT_TABLES:
        stored = NIGHT_SQL_TABLES[table.name]
        assert stored.c.keys() == table.stored.names
        assert {"project", "as_of", "position", "run_id"} < set(table.stored.names)
        assert [c.name for c in stored.primary_key] == ["as_of", "project", *table.key]
        assert [c.name for c in stored.c if c.nullable] == [
            field.name for field in table.rows if field.nullable
        ]


def test_rows_come_back_exactly_and_in_their_order(store):
    run = a_run()
    tables = some_tables(run)
    publish(store, run, tables=tables)
    back = store.night_tables(run)
    assert list(back) == NAMES
    for name, table in tables.items():
        assert back[name].schema == table.schema
        assert back[name].equals(table)


def test_as_of_that_is_scored_again_replaces_its_rows(store, url):
    first, second, third = (a_run(name) for name in ("r1", "r2", "r3"))
    tuesday, other = a_run("t", TUESDAY), a_run("o", project="other")
    for run in (first, tuesday, other):
        publish(store, run, tables=some_tables(run))
    publish(store, second, tables=some_tables(second, ids=("d", "e", "f"), seed=2))
    assert store.night_tables(second)["stuck"]["entity_id"].to_pylist() == ["d", "e", "f"]
    assert store.night_tables(first) == {}
    # A night whose tables failed leaves none of an earlier run: they would be of other data.
    publish(store, third)
    for run, rows in ((third, 0), (tuesday, 3), (other, 3)):
        assert {len(table) for table in store.night_tables(run).values()} == ({rows} - {0})
    assert {count_rows(url, name) for name in NAMES} == {6}


def test_empty_table_of_a_group_is_there(store):
    run = a_run()
    tables = some_tables(run)
    publish(store, run, tables=tables | {"stuck": tables["stuck"].slice(0, 0)})
    back = store.night_tables(run)
    assert list(back) == NAMES and back["stuck"].num_rows == 0


def test_killed_publication_leaves_scores_and_tables_of_before(store, url):
    run = a_run("r1")
    publish(store, run, tables=some_tables(run))
    scores, tables = store.scores("acme"), store.night_tables(run)
    with subprocess.Popen(
        [sys.executable, "-c", STALL, url, NAMES[-1]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    ) as process:
        assert process.stdout.readline() == "written\n"
        os.kill(process.pid, signal.SIGKILL)
    assert store.scores("acme").equals(scores)
    back = store.night_tables(run)
    assert all(back[name].equals(table) for name, table in tables.items())


def test_rows_that_are_refused_keep_everything_of_before(store):
    run, again = a_run("r1"), a_run("r2")
    publish(store, run, tables=some_tables(run))
    before = store.scores("acme")
    store.start(again)
    with pytest.raises(ValueError, match="rows of funnel do not belong to the run"):
        store.publish(some_scores(again, seed=3), "r2", LATER, tables=some_tables(run))
    assert store.scores("acme").equals(before)
    assert store.night_tables(run)["funnel"].num_rows == 3


def test_retention_removes_rows_with_the_scores(store, url):
    runs = [a_run(f"r{day}", MONDAY + day * DAY) for day in range(4)]
    other = a_run("o", project="other")
    for run in (*runs, other):
        publish(store, run, tables=some_tables(run))
    store.delete_scores_before("acme", MONDAY + 2 * DAY)
    kept = [bool(store.night_tables(run)) for run in (*runs, other)]
    assert kept == [False, False, True, True, True]
    # The newest night stays, however old it is.
    store.delete_scores_before("acme", LATER)
    assert [bool(store.night_tables(run)) for run in runs] == [False, False, False, True]
    assert {count_rows(url, name) for name in NAMES} == {6}


def test_erased_lead_is_in_no_table_that_names_leads(store, url):
    ids = ("secret-4711", "SECRET-47110", "b")
    runs = [a_run("r1"), a_run("r2", TUESDAY)]
    for run in runs:
        publish(store, run, some_scores(run, ids=ids), tables=some_tables(run, ids=ids))
    counts, _ = store.erase("acme", EntityMatcher(" Secret-4711"))
    assert counts["stuck"] == 2
    assert ask(url, "SELECT DISTINCT entity_id FROM stuck ORDER BY 1") == [
        (name,) for name in sorted(ids[1:])
    ]
    assert store.night_tables(runs[0])["stuck"]["position"].to_pylist() == [2, 3]
    assert count_rows(url, "funnel") == 6


def test_lead_that_was_suppressed_since_is_not_read(store):
    run, later = a_run("r1"), a_run("r2", TUESDAY, started_at=LATER + DAY)
    publish(store, run, tables=some_tables(run))
    store.start(later)
    out = pa.table([["a"], ["list"]], schema=SUPPRESSED)
    store.publish(
        some_scores(later, ids=["b"]), "r2", LATER, suppressed=out, tables=some_tables(later)
    )
    back = store.night_tables(run)
    assert back["stuck"]["entity_id"].to_pylist() == ["c", "b"]
    assert back["funnel"].num_rows == 3


def test_database_of_an_earlier_version_gets_the_tables(store, url):
    do(url, *(f"DROP TABLE {name}" for name in NAMES))
    run = a_run()
    publish(newer := Store(url), run, tables=some_tables(run))
    assert list(newer.night_tables(run)) == NAMES
