"""Suppressions of published nights: time, reason and run, and hidden older scores."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.score_tables import ACCOUNT_SCORES, SUPPRESSIONS
from features.suppressed import SUPPRESSED
from serve.store.store import Store
from serve.store.suppressions import merge_suppressions
from tests.serve.samples import LATER, MONDAY, TUESDAY, a_run, ask, do, publish, some_scores

WEDNESDAY = TUESDAY + timedelta(days=1)


def out(*pairs):
    return pa.Table.from_pylist(
        [dict(zip(SUPPRESSED.names, pair, strict=True)) for pair in pairs], SUPPRESSED
    )


def publish_without(store, run, ids, *suppressed):
    store.start(run)
    store.publish(some_scores(run, ids=ids), run.run_id, LATER, suppressed=out(*suppressed))


def audit_rows(table):
    return [tuple(row.values())[1:7] for row in table.to_pylist()]


def test_suppressions_record_reason_and_first_and_last_run(store):
    publish_without(store, a_run("r1", MONDAY), ["b"], ("a", "list"), ("a", "column"))
    publish_without(store, a_run("r2", TUESDAY), ["b"], ("a", "list"))
    publish_without(store, a_run("r9", TUESDAY, project="other"), ["b"], ("z", "list"))
    assert audit_rows(store.suppressions("acme")) == [
        ("a", "column", MONDAY, "r1", MONDAY, "r1"),
        ("a", "list", MONDAY, "r1", TUESDAY, "r2"),
    ]
    assert (
        store.suppressions("acme", "b").num_rows == 0
        and store.suppressions("acme").schema == SUPPRESSIONS
    )


def test_suppressions_of_repeated_night_keep_their_rows(store):
    publish_without(store, a_run("r1"), ["b"], ("a", "list"))
    publish_without(store, a_run("r2"), ["b"], ("a", "list"))
    assert audit_rows(store.suppressions("acme")) == [("a", "list", MONDAY, "r1", MONDAY, "r2")]


def test_suppressions_of_backfilled_night_do_not_update_newer_ones(store):
    publish_without(store, a_run("r2", TUESDAY), ["b"], ("a", "list"))
    publish_without(store, a_run("r1", MONDAY), ["b"], ("a", "list"))
    assert audit_rows(store.suppressions("acme")) == [("a", "list", TUESDAY, "r2", TUESDAY, "r2")]


def test_scores_older_than_suppression_are_hidden(store, url):
    publish(store, a_run("r1", MONDAY, targets=("close", "buy")))
    publish_without(store, a_run("r2", TUESDAY), ["b", "c"], ("a", "list"))
    newest = {(row["target"], row["entity_id"]) for row in store.scores("acme").to_pylist()}
    assert newest == {("close", "b"), ("close", "c"), ("buy", "b"), ("buy", "c")}
    assert set(ask(url, "SELECT target, entity_id FROM current_scores")) == newest
    assert set(store.scores("acme", MONDAY)["entity_id"].to_pylist()) == {"b", "c"}
    assert store.entity_history("acme", "a").num_rows == 2


def test_scores_older_than_suppression_by_backfill_are_hidden(store, url):
    """A later run of an older night knows the newer suppression."""
    first = a_run("r2", TUESDAY, started_at=LATER - timedelta(hours=1))
    store.start(first)
    early = pa.array([LATER - timedelta(minutes=30)] * 3, pa.timestamp("us", "UTC"))
    scores = some_scores(first)
    at = scores.schema.get_field_index("scored_at")
    store.publish(scores.set_column(at, scores.field(at), early), "r2", LATER)
    publish_without(store, a_run("r1", MONDAY), ["b", "c"], ("a", "list"))
    assert set(store.scores("acme")["entity_id"].to_pylist()) == {"b", "c"}
    assert {row[0] for row in ask(url, "SELECT entity_id FROM current_scores")} == {"b", "c"}
    publish(store, a_run("r3", TUESDAY))
    assert set(store.scores("acme")["entity_id"].to_pylist()) == {"a", "b", "c"}


def test_scores_after_suppression_ends_are_shown(store):
    publish_without(store, a_run("r1", MONDAY), ["b"], ("a", "list"))
    publish(store, a_run("r2", TUESDAY))
    assert "a" in store.scores("acme")["entity_id"].to_pylist()
    publish(store, a_run("r3", MONDAY))
    assert "a" in store.scores("acme", MONDAY)["entity_id"].to_pylist()


def test_suppressions_of_refused_publication_are_not_recorded(store):
    run = a_run()
    store.start(run)
    with pytest.raises(ValueError, match="not belong to the run"):
        store.publish(some_scores(a_run("other")), "r1", LATER, suppressed=out(("a", "list")))
    assert store.suppressions("acme").num_rows == 0


def test_suppressions_table_is_created_in_older_database(tmp_path):
    url = f"sqlite:///{tmp_path}/scores.db"
    publish(Store(url), a_run())
    do(
        url,
        "DROP VIEW current_scores",
        "DROP VIEW current_account_scores",
        "DROP TABLE suppressions",
    )
    do(url, "CREATE VIEW current_scores AS SELECT 1 AS former")
    assert Store(url).suppressions("acme").num_rows == 0
    assert len(ask(url, "SELECT entity_id FROM current_scores")) == 3


nights = st.lists(
    st.tuples(st.integers(0, 4), st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")))),
    max_size=6,
)


@settings(max_examples=12)
@given(nights)
def test_merged_suppressions_match_row_by_row_oracle(published_nights):
    table, rows, noted = SUPPRESSIONS.empty_table(), {}, {}
    for number, (day, pairs) in enumerate(published_nights):
        as_of, run, began = (
            MONDAY + timedelta(days=day),
            f"r{number}",
            LATER + timedelta(hours=number),
        )
        night = {"project": "acme", "as_of": as_of, "run_id": run, "started_at": began}
        table = merge_suppressions(table, out(*sorted(pairs)), night)
        noted |= dict.fromkeys(pairs, began)
        for pair in pairs:
            first = rows.get(pair, (as_of, run, as_of, run))
            rows[pair] = (*first[:2], as_of, run) if as_of >= first[2] else first
    assert audit_rows(table) == [(*pair, *row) for pair, row in sorted(rows.items())]
    assert table["noted_at"].to_pylist() == [noted[pair] for pair in sorted(noted)]


def test_account_with_suppressed_member_is_hidden(store, url):
    """An account's score is derived from its members: it is hidden until it is scored again."""
    first = a_run("r1", MONDAY)
    store.start(first)
    scores = some_scores(first, account_id=["X", "X", "Y"])
    accounts = account_scores_of(first, {"X": 2, "Y": 1})
    store.publish(scores, "r1", LATER, accounts=accounts)
    shown = "SELECT account_id FROM current_account_scores ORDER BY 1"
    assert [row[0] for row in ask(url, shown)] == ["X", "Y"]
    publish_without(
        store,
        a_run("r0", MONDAY - timedelta(days=1), started_at=LATER + timedelta(days=1)),
        ["c"],
        ("a", "list"),
    )
    assert [row[0] for row in ask(url, shown)] == ["Y"]


def account_scores_of(run, entities):
    columns = {
        "project": run.project,
        "target": "close",
        "as_of": run.as_of,
        "run_id": run.run_id,
        "model_version": "7",
    }
    columns |= {
        "scored_at": LATER,
        "probability": 0.5,
        "main_contact": "a",
        "main_probability": 0.5,
        "people": 1,
    }
    rows = [
        columns | {"account_id": name, "entities": count, "rank": place}
        for place, (name, count) in enumerate(entities.items(), 1)
    ]
    return pa.Table.from_pylist(
        [dict.fromkeys(ACCOUNT_SCORES.names) | row for row in rows], schema=ACCOUNT_SCORES
    )


def test_account_that_names_a_suppressed_contact_is_hidden(store, url):
    """The contact to reach next need not be scored."""
    first = a_run("r1", MONDAY)
    store.start(first)
    accounts = account_scores_of(first, {"X": 1, "Y": 1}).to_pylist()
    accounts[0]["next_contact"] = "nobody scored"
    rows = pa.Table.from_pylist(accounts, schema=ACCOUNT_SCORES)
    scores = some_scores(first, account_id=["X", None, "Y"])
    store.publish(scores, "r1", LATER, accounts=rows)
    shown = "SELECT account_id FROM current_account_scores ORDER BY 1"
    assert [row[0] for row in ask(url, shown)] == ["X", "Y"]
    later = a_run("r0", MONDAY - timedelta(days=1), started_at=LATER + timedelta(days=1))
    publish_without(store, later, ["c"], ("nobody scored", "list"))
    assert [row[0] for row in ask(url, shown)] == ["Y"]
