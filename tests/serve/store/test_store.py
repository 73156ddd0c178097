import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError, DataError, LeadscoreError
from features.contracts import INSTANT
from features.score_tables import (
    FUNNEL_COLUMNS,
    QUALIFICATION_COLUMNS,
    SCORE_CHECKS,
    SCORE_RUNS,
    SCORES,
)
from features.tools.instants import from_microseconds
from serve.store.reader import PREVIOUS_SCORES
from serve.store.session import Session
from serve.store.store import Store
from serve.store.tables import CHECKS_TABLE, RUNS_TABLE, SCORES_TABLE
from tests.serve.samples import (
    LATER,
    MONDAY,
    TUESDAY,
    a_run,
    ask,
    clean,
    do,
    publish,
    some_accounts,
    some_checks,
    some_scores,
)

# Columns of the scores table that its first version lacked.
LATER_COLUMNS = ("outcome_days_50", "outcome_days_80", *FUNNEL_COLUMNS, *QUALIFICATION_COLUMNS)


def made_old(url, *without):
    """Remove columns from the scores table, and recreate the view without them."""
    former = ", ".join(name for name in SCORES.names if name not in without)
    drops = [f"ALTER TABLE scores DROP COLUMN {name}" for name in without]
    do(
        url,
        "DROP VIEW current_scores",
        # SQLite drops no column of an index.
        "DROP INDEX IF EXISTS scores_qualified",
        *drops,
        f"CREATE VIEW current_scores AS SELECT {former} FROM scores",
    )


def columns(url, name):
    """Return the names of the columns of a table or view, in order."""
    if url.startswith("sqlite"):
        return [row[1] for row in ask(url, f"PRAGMA table_info({name})")]
    condition = f"table_name = '{name}' AND table_schema = 'public'"
    catalog = "SELECT column_name FROM information_schema.columns"
    query = f"{catalog} WHERE {condition} ORDER BY ordinal_position"
    return [row[0] for row in ask(url, query)]


def scored(table):
    return dict(zip(table["entity_id"].to_pylist(), table["score"].to_pylist(), strict=True))


def test_tables_have_the_columns_of_the_contract():
    assert SCORES_TABLE.c.keys() == SCORES.names
    assert RUNS_TABLE.c.keys() == SCORE_RUNS.names
    assert CHECKS_TABLE.c.keys() == SCORE_CHECKS.names
    assert {c.name for c in SCORES_TABLE.primary_key} == {"project", "target", "entity_id", "as_of"}
    assert [c.name for c in SCORES_TABLE.c if c.nullable] == [f.name for f in SCORES if f.nullable]


def test_published_scores_round_trip_exactly(store):
    run = a_run(targets=("close", "propensity"))
    scores = some_scores(
        run, ids=["é😀", "0012", "Ж"], probability=[1 / 3, 5e-324, 1.0, 0.1 + 0.2, 0.0, 1e-9]
    )
    publish(store, run, scores)
    back = store.scores("acme")
    assert back.schema == SCORES
    assert back.equals(scores)


YEARS = st.integers(-62_000_000_000_000_000, 250_000_000_000_000_000).map(from_microseconds)


def test_cost_stands_in_all_rows_of_a_run(store):
    for name in ("r1", "r2"):
        store.start(a_run(name, targets=("close", "propensity")))
    cost = {"processor_seconds": 12.5, "peak_memory_bytes": 2**31, "written_bytes": None}
    store.record_cost("r1", cost)
    rows = store.runs("acme").to_pylist()
    recorded = [(row["run_id"], *(row[name] for name in cost)) for row in rows]
    assert recorded.count(("r1", 12.5, 2**31, None)) == 2
    assert recorded.count(("r2", None, None, None)) == 2


@given(st.lists(YEARS, min_size=30, max_size=30, unique=True))
@settings(max_examples=2, deadline=None)
def test_instants_come_back_to_the_microsecond_and_in_order(tmp_path_factory, instants):
    store = Store(tmp_path_factory.mktemp("store") / "scores.db")
    for instant in instants:
        store.start(a_run(str(instant), as_of=TUESDAY, started_at=instant))
    assert store.runs("acme")["started_at"].to_pylist() == sorted(instants)


def test_started_run_is_in_ledger_before_publication(store):
    store.start(a_run(targets=("close", "propensity"), flow_run_id="p1", driver="prefect"))
    runs = store.runs("acme")
    assert runs.schema == SCORE_RUNS
    assert runs.to_pylist()[0] == {
        "run_id": "r1",
        "project": "acme",
        "target": "close",
        "as_of": MONDAY,
        "status": "started",
        "model_version": "7",
        "code_version": "0.1.0",
        "config_hash": "c0ffee",
        "data_fingerprint": "f00d",
        "rows": None,
        "driver": "prefect",
        "flow_run_id": "p1",
        "started_at": LATER,
        "finished_at": None,
        "message": None,
        "processor_seconds": None,
        "peak_memory_bytes": None,
        "written_bytes": None,
    }
    assert runs["target"].to_pylist() == ["close", "propensity"]
    assert store.scores("acme").num_rows == 0


def test_publishing_as_of_again_replaces_its_rows(store):
    publish(store, a_run("r1"), some_scores(a_run("r1"), seed=1))
    second = some_scores(a_run("r2"), ids=["b", "c", "d", "e"], seed=2)
    publish(store, a_run("r2"), second)
    assert store.scores("acme").equals(second)
    assert store.runs("acme")["rows"].to_pylist() == [3, 4]
    assert store.runs("acme")["status"].to_pylist() == ["published", "published"]


def test_publishing_touches_no_other_target_as_of_or_project(store):
    others = [
        a_run("o1", TUESDAY),
        a_run("o2", targets=("propensity",)),
        a_run("o3", project="zeta"),
    ]
    for run in others:
        publish(store, run)
    publish(store, a_run("r1"))
    publish(store, a_run("r2"), some_scores(a_run("r2"), ids=["z"]))
    assert store.scores("acme", TUESDAY)["run_id"].to_pylist() == ["o1"] * 3
    assert store.scores("acme", MONDAY, "propensity")["run_id"].to_pylist() == ["o2"] * 3
    assert store.scores("zeta")["run_id"].to_pylist() == ["o3"] * 3
    assert store.scores("acme", MONDAY, "close")["run_id"].to_pylist() == ["r2"]


def test_target_without_rows_is_published_empty(store):
    publish(store, a_run("r1", targets=("close", "propensity")))
    run = a_run("r2", targets=("close", "propensity"))
    publish(store, run, some_scores(a_run("r2", targets=("close",))))
    assert set(store.scores("acme")["target"].to_pylist()) == {"close"}
    assert store.runs("acme").slice(2)["rows"].to_pylist() == [3, 0]


def test_current_is_the_latest_published_as_of_of_each_target(store):
    publish(store, a_run("r2", TUESDAY))
    publish(store, a_run("r1", MONDAY, targets=("close", "propensity")))
    store.start(a_run("r3", TUESDAY + timedelta(days=1)))
    store.finish("r3", "refused", "too few leads", LATER)
    current = store.scores("acme")
    assert sorted(
        set(zip(current["target"].to_pylist(), current["as_of"].to_pylist(), strict=True))
    ) == [
        ("close", TUESDAY),
        ("propensity", MONDAY),
    ]
    assert store.scores("acme", target="close")["run_id"].to_pylist() == ["r2"] * 3


def test_view_equals_current_scores(store, url):
    publish(store, a_run("r1", MONDAY, targets=("close", "propensity")))
    publish(store, a_run("r2", TUESDAY))
    view = ask(url, "SELECT target, entity_id, run_id FROM current_scores ORDER BY target, rank")
    current = store.scores("acme").select(["target", "entity_id", "run_id"]).to_pylist()
    assert view == [tuple(row.values()) for row in current]


def test_previous_scores_are_of_earlier_published_as_of(store):
    for run_id, as_of in (("r1", MONDAY), ("r2", TUESDAY)):
        run = a_run(run_id, as_of)
        publish(store, run, some_scores(run, seed=int(run_id[1])))
    assert store.previous_scores("acme", "close", MONDAY).num_rows == 0
    monday = store.scores("acme", MONDAY)
    assert (
        store.previous_scores("acme", "close", TUESDAY)
        .sort_by("entity_id")
        .equals(monday.select(PREVIOUS_SCORES.names).sort_by("entity_id"))
    )
    late = ("acme", "close", TUESDAY, MONDAY + timedelta(microseconds=1))
    assert (
        store.previous_scores(*late).num_rows == 0
        and store.previous_scores(*late[:3], MONDAY).num_rows == monday.num_rows
    )
    assert store.previous_scores("acme", "close", TUESDAY, columns=("score",)).column_names == [
        "score"
    ]
    after = TUESDAY + timedelta(microseconds=1)
    assert scored(store.previous_scores("acme", "close", after).sort_by("entity_id")) == scored(
        store.scores("acme", TUESDAY)
    )
    assert store.previous_scores("acme", "propensity", after).num_rows == 0
    assert store.previous_scores("other", "close", after).num_rows == 0


def test_entity_history_holds_its_scores_of_all_as_ofs(store):
    publish(store, a_run("r2", TUESDAY))
    publish(store, a_run("r1", MONDAY, targets=("close", "propensity")))
    history = store.entity_history("acme", "b")
    assert list(zip(history["target"].to_pylist(), history["as_of"].to_pylist(), strict=True)) == [
        ("close", MONDAY),
        ("close", TUESDAY),
        ("propensity", MONDAY),
    ]
    assert store.entity_history("acme", "nobody").schema == SCORES


def test_past_scores_are_those_of_some_entities_at_the_last_published_nights(store):
    nights = [MONDAY + night * timedelta(days=1) for night in range(5)]
    ids = ["a", "b'\\\"", "é😀", "other"]
    for number, night in enumerate(nights):
        run = a_run(f"r{number}", night, targets=("close", "propensity"))
        publish(store, run, some_scores(run, ids, seed=number))
    # A night that was published twice is one night, and one that only started is none.
    again = a_run("again", nights[3], targets=("close",))
    publish(store, again, some_scores(again, ids, seed=9))
    store.start(a_run("started", nights[3] + timedelta(hours=1)))
    other = a_run("foreign", nights[2], project="other")
    publish(store, other, some_scores(other, ids))

    past = store.past_scores("acme", ids[:3], nights[4], 2)

    assert past.schema == SCORES
    kept = [store.scores("acme", night) for night in nights[2:4]]
    expected = [row for table in kept for row in table.to_pylist() if row["entity_id"] in ids[:3]]
    place = ("target", "entity_id", "as_of")
    assert sorted(past.to_pylist(), key=lambda row: [row[name] for name in place]) == sorted(
        expected, key=lambda row: [row[name] for name in place]
    )
    few = store.past_scores("acme", ["other"], nights[1], 9, ("as_of", "score"))
    assert few.column_names == ["as_of", "score"]
    assert few["as_of"].to_pylist() == [MONDAY, MONDAY]
    assert store.past_scores("acme", [], LATER, 9).num_rows == 0
    assert store.past_scores("acme", ["nobody"], LATER, 9).num_rows == 0


def test_previous_scores_of_some_entities_are_theirs_of_the_night_before(store):
    for number, night in enumerate([MONDAY, TUESDAY]):
        run = a_run(f"r{number}", night, targets=("close", "propensity"))
        publish(store, run, some_scores(run, ["a", "b'\\\"", "é😀"], seed=number))
    columns = ("entity_id", "reasons", "score")
    asked = ["é😀", "b'\\\"", "nobody"]
    found = store.previous_scores("acme", "close", LATER, columns=columns, entity_ids=asked)
    expected = store.scores("acme", TUESDAY, "close").select(columns).to_pylist()[1:]
    assert sorted(found.to_pylist(), key=lambda row: row["entity_id"]) == expected
    assert store.previous_scores("acme", "close", LATER, entity_ids=[]).num_rows == 0
    assert store.previous_scores("acme", "close", MONDAY, entity_ids=asked).num_rows == 0


def test_past_scores_leave_out_who_was_suppressed_since(store):
    run = a_run("r1", MONDAY)
    publish(store, run)
    store.start(a_run("r2", TUESDAY))
    suppressed = pa.table({"entity_id": ["b"], "reason": ["privacy.suppress"]})
    tuesday = some_scores(a_run("r2", TUESDAY), ["a", "c"])
    store.publish(tuesday, "r2", LATER, suppressed=suppressed)
    past = store.past_scores("acme", ["a", "b"], LATER, 9)
    assert set(past["entity_id"].to_pylist()) == {"a"}


def test_last_published_run_round_trips(store):
    assert store.last_published_run("acme") is None
    run = a_run("r1", TUESDAY, targets=("close", "propensity"), flow_run_id="p")
    publish(store, run)
    publish(store, a_run("r0", MONDAY))
    assert store.last_published_run("acme") == run
    assert store.last_published_run("acme", MONDAY) == a_run("r0", MONDAY)
    assert store.last_published_run("acme", LATER) is None


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_finish_records_status_and_message(store, status):
    store.start(a_run())
    store.finish("r1", status, "because", LATER)
    row = store.runs("acme").to_pylist()[0]
    assert (row["status"], row["message"], row["finished_at"], row["rows"]) == (
        status,
        "because",
        LATER,
        None,
    )
    with pytest.raises(ValueError, match="not in status started"):
        store.publish(some_scores(a_run()), "r1", LATER)


def test_publish_sets_data_fingerprint_of_run_started_without_one(store):
    targets = ("close", "propensity")
    for run_id, as_of in (("r1", MONDAY), ("r2", TUESDAY)):
        store.start(a_run(run_id, as_of, targets, data_fingerprint=None))
    assert store.runs("acme")["data_fingerprint"].to_pylist() == [None] * 4
    store.publish(some_scores(a_run("r1", targets=targets)), "r1", LATER, "beef")
    assert store.runs("acme")["data_fingerprint"].to_pylist() == ["beef", "beef", None, None]
    assert store.last_published_run("acme") == a_run("r1", targets=targets, data_fingerprint="beef")


def test_account_scores_are_replaced_and_deleted_with_scores(store, url):
    targets = ("close", "propensity")
    for run, ids in (
        (a_run("r1", MONDAY, targets), ("Acme", "Beta")),
        (a_run("r2", TUESDAY, targets), ("Acme",)),
        (a_run("r3", MONDAY, targets), ("Beta", "Zeta")),
    ):
        publish(store, run, accounts=some_accounts(run, ids))
    assert store.account_scores("acme", MONDAY).equals(
        some_accounts(a_run("r3", MONDAY, targets), ("Beta", "Zeta"))
    )
    newest = ask(url, "SELECT target, account_id FROM current_account_scores ORDER BY target")
    assert newest == [("close", "Acme"), ("propensity", "Acme")]
    assert store.delete_scores_before("acme", TUESDAY) == 2
    assert (
        store.account_scores("acme", MONDAY).num_rows == 0
        and store.account_scores("acme", TUESDAY).num_rows == 2
    )
    publish(store, a_run("r4", TUESDAY, targets))
    assert store.account_scores("acme", TUESDAY).num_rows == 0


def test_publish_rejects_account_scores_of_other_run(store):
    store.start(a_run("r1"))
    with pytest.raises(ValueError, match="not belong to the run"):
        store.publish(
            some_scores(a_run("r1")), "r1", LATER, accounts=some_accounts(a_run("r1", TUESDAY))
        )
    assert store.scores("acme").num_rows == store.account_scores("acme", TUESDAY).num_rows == 0


def test_publish_without_fingerprint_keeps_fingerprint_of_start(store):
    publish(store, a_run())
    assert store.runs("acme")["data_fingerprint"].to_pylist() == ["f00d"]


def test_publish_and_finish_require_started_run(store):
    with pytest.raises(ValueError, match="not in status started"):
        store.publish(some_scores(a_run()), "r1", LATER)
    publish(store, a_run())
    with pytest.raises(ValueError, match="not in status started"):
        store.finish("r1", "failed", "late", LATER)


def test_abandon_fails_started_runs_of_one_project(store):
    publish(store, a_run("r1"))
    store.start(a_run("r2", targets=("close", "propensity")))
    store.start(a_run("r3", project="zeta"))
    store.abandon_started_runs("acme", LATER)
    assert store.runs("zeta")["status"].to_pylist() == ["started"]
    runs = store.runs("acme").to_pylist()
    assert [(row["run_id"], row["status"], row["message"], row["finished_at"]) for row in runs] == [
        ("r1", "published", None, LATER),
        *[("r2", "failed", "ended without a word", LATER)] * 2,
    ]


@pytest.mark.parametrize(
    "stranger", [{"run_id": "x"}, {"as_of": TUESDAY}, {"project": "x"}, {"targets": ("x",)}]
)
def test_publish_rejects_scores_of_other_run(store, stranger):
    store.start(a_run())
    with pytest.raises(ValueError, match="not belong to the run"):
        store.publish(some_scores(a_run(**stranger)), "r1", LATER)
    assert store.scores("acme").num_rows == 0
    assert store.runs("acme")["status"].to_pylist() == ["started"]


def test_publish_with_duplicate_key_changes_nothing(store):
    publish(store, a_run("r1"))
    store.start(a_run("r2"))
    with pytest.raises(DataError, match=r"(?i)unique"):
        store.publish(some_scores(a_run("r2"), ids=["a", "a"]), "r2", LATER)
    assert store.scores("acme")["run_id"].to_pylist() == ["r1"] * 3
    assert store.runs("acme")["status"].to_pylist() == ["published", "started"]


def test_publish_without_required_value_changes_nothing(store):
    publish(store, a_run("r1"))
    store.start(a_run("r2"))
    with pytest.raises(DataError, match="grade"):
        store.publish(some_scores(a_run("r2"), grade=["A", None, "B"]), "r2", LATER)
    assert store.scores("acme")["run_id"].to_pylist() == ["r1"] * 3


def test_naive_instant_is_rejected(store):
    with pytest.raises(ValueError, match="no time zone"):
        store.previous_scores("acme", "close", MONDAY.replace(tzinfo=None))


def test_checks_round_trip_with_scores(store):
    run = a_run(targets=("close", "propensity"))
    store.start(run)
    checks = some_checks(run)
    store.publish(some_scores(run), "r1", LATER, checks=checks)
    back = store.past_checks("acme", LATER)
    assert back.schema == SCORE_CHECKS
    assert back.equals(checks)
    assert store.past_checks("zeta", LATER).num_rows == 0


def test_past_checks_are_of_newest_published_run_per_as_of(store):
    nights = [MONDAY + timedelta(days=i) for i in range(4)]
    for i, as_of in enumerate(nights):
        for run_id, finished in (
            (f"a{i}", LATER + timedelta(hours=1)),
            (f"b{i}", LATER),
        ):  # the later one is the older
            run = a_run(run_id, as_of)
            store.start(run)
            store.publish(some_scores(run), run_id, finished, checks=some_checks(run))
    for run_id, status in (("c", "refused"), ("d", "failed")):
        run = a_run(run_id, nights[3])
        store.start(run)
        store.finish(run_id, status, "because", LATER + timedelta(days=9), some_checks(run))

    def found(before, nights):
        return list(dict.fromkeys(store.past_checks("acme", before, nights)["run_id"].to_pylist()))

    assert found(LATER, 28) == ["a0", "a1", "a2", "a3"]
    assert found(LATER, 2) == ["a2", "a3"]
    assert found(nights[3], 2) == ["a1", "a2"]
    assert found(nights[0], 2) == []


def test_refused_run_keeps_its_checks(store, url):
    store.start(a_run())
    store.finish("r1", "refused", "stale", LATER, some_checks(a_run(), verdict="stop"))
    assert ask(url, "SELECT run_id, target, verdict FROM score_checks ORDER BY target") == [
        ("r1", "", "stop"),
        ("r1", "close", "stop"),
    ]


@pytest.mark.parametrize(
    "stranger", [{"run_id": "x"}, {"as_of": TUESDAY}, {"project": "x"}, {"targets": ("x",)}]
)
def test_publish_and_finish_reject_checks_of_other_run(store, stranger):
    store.start(a_run())
    with pytest.raises(ValueError, match="not belong to the run"):
        store.publish(some_scores(a_run()), "r1", LATER, checks=some_checks(a_run(**stranger)))
    with pytest.raises(ValueError, match="not belong to the run"):
        store.finish("r1", "failed", "because", LATER, some_checks(a_run(**stranger)))
    assert store.scores("acme").num_rows == 0
    assert store.runs("acme")["status"].to_pylist() == ["started"]


WRITER = """
import sys
from serve.store.session import Session
from serve.store.store import Store
from tests.serve.samples import some_accounts, LATER, a_run, some_scores
store, mode = Store(sys.argv[1]), sys.argv[2]
if mode == "stall":
    append = Session.append
    def stall(session, table, rows):
        if table.name == "scores":
            print("deleted", flush=True)
            sys.stdin.read()
        append(session, table, rows)
    Session.append = stall
for i in range(1 if mode == "stall" else 8):
    run = a_run(f"w{i}", targets=("close", "propensity"))
    store.start(run)
    scores = some_scores(run, ids=[f"id{j}" for j in range(100 + i)], seed=i)
    store.publish(scores, run.run_id, LATER)
"""


def writer(url, mode):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )


def test_run_killed_between_delete_and_insert_keeps_old_scores(store, url):
    publish(store, a_run("r1", targets=("close", "propensity")))
    before = store.scores("acme")
    with writer(url, "stall") as process:
        assert process.stdout.readline() == "deleted\n"
        assert store.scores("acme").equals(before)
        os.kill(process.pid, signal.SIGKILL)
    assert store.scores("acme").equals(before)
    assert dict(
        zip(*(store.runs("acme")[c].to_pylist() for c in ("run_id", "status")), strict=True)
    ) == {
        "r1": "published",
        "w0": "started",
    }
    publish(store, a_run("r2"))


def test_reader_sees_old_or_new_scores(store, url):
    seen = []
    with writer(url, "publish") as process:
        while process.poll() is None:
            table = store.scores("acme")
            seen.append((tuple(sorted(set(table["run_id"].to_pylist()))), table.num_rows))
    assert process.returncode == 0
    sets = {(), *((f"w{i}",) for i in range(8))}
    assert {runs for runs, _ in seen} <= sets
    assert all(n == 2 * (100 + int(runs[0][1:])) for runs, n in seen if runs)
    assert len(set(seen)) > 3, "the reader met too few publications to prove anything"


def test_new_database_can_be_opened_concurrently(url):
    with ThreadPoolExecutor(8) as pool:
        assert [
            runs.num_rows for runs in pool.map(lambda _: Store(url).runs("acme"), range(8))
        ] == [0] * 8


def test_older_database_gets_missing_columns(url):
    publish(Store(url), a_run("r1", MONDAY, targets=("close", "propensity")))
    before = Store(url).scores("acme")
    made_old(url, *LATER_COLUMNS)
    store = Store(url)
    migrated = store.scores("acme")
    assert migrated.drop_columns(LATER_COLUMNS).equals(before.drop_columns(LATER_COLUMNS))
    assert all(migrated[name].null_count == migrated.num_rows == 6 for name in LATER_COLUMNS)
    tuesday = a_run("r2", TUESDAY)
    publish(store, tuesday)
    assert store.scores("acme", TUESDAY).equals(some_scores(tuesday))
    assert columns(url, "current_scores") == SCORES.names
    view = ask(
        url, "SELECT target, run_id, outcome_days_80 FROM current_scores ORDER BY target, rank"
    )
    assert view == [
        tuple(r.values())
        for r in store.scores("acme").select(["target", "run_id", "outcome_days_80"]).to_pylist()
    ]


def test_older_database_can_be_opened_concurrently(url):
    publish(Store(url), a_run())
    made_old(url, *LATER_COLUMNS)
    with ThreadPoolExecutor(8) as pool:
        assert [
            rows.num_rows for rows in pool.map(lambda _: Store(url).scores("acme"), range(8))
        ] == [3] * 8


def test_older_database_gets_checks_table(url):
    publish(Store(url), a_run("r1"))
    do(url, "DROP TABLE score_checks")
    tuesday = a_run("r2", TUESDAY)
    with ThreadPoolExecutor(8) as pool:
        assert [
            table.num_rows
            for table in pool.map(lambda _: Store(url).past_checks("acme", LATER), range(8))
        ] == [0] * 8
    store = Store(url)
    store.start(tuesday)
    store.publish(some_scores(tuesday), "r2", LATER, checks=some_checks(tuesday))
    assert store.past_checks("acme", LATER).equals(some_checks(tuesday))


@pytest.mark.parametrize("without", ["grade", "cutoff"])
def test_missing_required_column_is_an_error(url, without):
    Store(url)
    made_old(url, without, *LATER_COLUMNS)
    with pytest.raises(DataError, match=rf"scores.*1 differing columns, such as {without}"):
        Store(url)
    assert sorted(set(SCORES.names) - set(columns(url, "scores"))) == sorted(
        [without, *LATER_COLUMNS]
    )


def test_schema_migration_is_atomic(url, monkeypatch):
    Store(url)
    made_old(url, *LATER_COLUMNS)
    execute = Session.execute

    def power_cut(session, statement):
        if str(statement).startswith("CREATE VIEW"):
            raise KeyboardInterrupt
        execute(session, statement)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Session, "execute", power_cut)
        Store(url)
    assert not set(LATER_COLUMNS) & {*columns(url, "scores"), *columns(url, "current_scores")}
    Store(url)
    assert columns(url, "current_scores") == SCORES.names


@pytest.mark.server
def test_text_instants_of_older_postgresql_schema_are_converted(
    postgresql_url,
):
    clean(postgresql_url)
    publish(Store(postgresql_url), a_run(targets=("close", "propensity")))
    before = Store(postgresql_url).scores("acme"), Store(postgresql_url).runs("acme")
    iso = """TYPE text USING to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    instants = {
        "scores": ("as_of", "cutoff", "scored_at"),
        "score_runs": ("as_of", "started_at", "finished_at"),
    }
    changes = [
        f"ALTER TABLE {t} ALTER {c} {iso.format(c)}" for t, names in instants.items() for c in names
    ]
    index = "CREATE INDEX scores_by_entity ON scores (project, entity_id)"
    views = "DROP VIEW current_scores, current_account_scores"
    newer = "DROP INDEX scores_qualified"
    do(
        postgresql_url,
        views,
        newer,
        *changes,
        index,
        "CREATE VIEW current_scores AS SELECT 1 AS former",
    )
    assert ask(postgresql_url, "SELECT DISTINCT as_of FROM scores") == [
        ("2025-07-07T04:30:00.123456Z",)
    ]
    store = Store(postgresql_url)
    assert (store.scores("acme"), store.runs("acme")) == before
    assert ask(postgresql_url, "SELECT DISTINCT as_of FROM current_scores") == [(MONDAY,)]
    indexes = ask(
        postgresql_url, "SELECT indexname FROM pg_indexes WHERE tablename = 'scores' ORDER BY 1"
    )
    assert indexes == [("scores_listed",), ("scores_pkey",), ("scores_qualified",)]


def test_unknown_column_is_an_error_that_names_table(tmp_path):
    Store(tmp_path / "scores.db")
    with sqlite3.connect(tmp_path / "scores.db") as connection:
        connection.execute("ALTER TABLE score_runs ADD COLUMN colour TEXT")
    with pytest.raises(DataError, match=r"score_runs.*1 differing columns, such as colour"):
        Store(tmp_path / "scores.db")


def test_file_that_is_not_a_database_is_an_error(tmp_path):
    (tmp_path / "scores.db").write_text(
        "not a database at all, but long enough to be read as a header" * 20
    )
    with pytest.raises(LeadscoreError, match=r"scores database is damaged.*not a database"):
        Store(tmp_path / "scores.db")


@pytest.mark.parametrize("url", ["mysql://user:secret@host/db", "oracle://user:secret@host/db"])
def test_unsupported_database_url_is_an_error_without_secret(url):
    with pytest.raises(ConfigError, match="no database that is supported") as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_path_opens_sqlite_file_and_creates_folder(tmp_path):
    publish(Store(tmp_path / "new" / "scores.db"), a_run())
    assert Store(f"sqlite:///{tmp_path}/new/scores.db").scores("acme").num_rows == 3


def test_database_sorts_instants_chronologically(store, url):
    moments = [MONDAY, MONDAY.replace(microsecond=0), MONDAY + timedelta(microseconds=1), TUESDAY]
    for i, moment in enumerate(moments):
        publish(store, a_run(f"r{i}", moment))
    stored = [row[0] for row in ask(url, "SELECT DISTINCT as_of FROM scores ORDER BY as_of")]
    kind = None if url.startswith("postgresql") else pa.string()
    assert pa.array(stored, kind).cast(INSTANT).to_pylist() == sorted(moments)
