"""The results of delivered rows in both databases: merged, counted, dropped and erased."""

import random
from datetime import timedelta

import pyarrow as pa

from features.score_tables import DELIVERY_RESULTS
from serve.store.delivery_results import RESULTS_KEPT
from serve.store.entity_matcher import EntityMatcher
from tests.serve.samples import LATER, ask
from tests.serve.store.test_delivery_ledger import a_row


def results(sequence, **statuses):
    """Return the results of one delivery: a lead's status, or its status and error."""
    rows = []
    for entity, status in statuses.items():
        status, message = status if isinstance(status, tuple) else (status, None)
        rows.append(
            {
                "project": "acme",
                "name": "crm",
                "delivery": f"d{sequence}",
                "sequence": sequence,
                "entity_id": entity,
                "content": "scored",
                "status": status,
                "message": message,
                "acknowledged_at": LATER,
            }
        )
    return pa.Table.from_pylist(rows, schema=DELIVERY_RESULTS)


def held(store):
    rows = store.results_of_unloaded("acme", "crm").to_pylist()
    return [(row["entity_id"], row["sequence"], row["status"], row["message"]) for row in rows]


def test_results_are_merged_in_any_order_and_number(store, url):
    files = [
        results(1, a="loaded", b=("failed", "x"), c="unprocessed"),
        results(1, a=("failed", "late"), b=("failed", "y"), c=("failed", "z")),
        results(1, c="unprocessed"),
        results(2, a=("failed", "x")),
    ]
    generator, seen = random.Random(1), set()
    for _ in range(2):
        for file in generator.sample(files * 2, 6) + files:
            store.record_results(file)
        seen.add(tuple(held(store)))
        assert ask(url, "SELECT count(*) FROM delivery_results") == [(4,)]
        store.drop_old_results("acme", "crm", 9, 99)
    assert seen == {
        (
            ("a", 1, "loaded", None),
            ("a", 2, "failed", "x"),
            ("b", 1, "failed", "y"),
            ("c", 1, "failed", "z"),
        )
    }


def test_repeated_results_change_nothing(store):
    first = results(1, a="loaded", b=("failed", "x"))
    assert store.record_results(first) == 2
    later = first.set_column(8, DELIVERY_RESULTS.field(8), [[LATER + timedelta(days=1)] * 2])
    assert store.record_results(later) == 0
    assert store.record_results(results(1, b="loaded")) == 1
    assert held(store) == []


def test_ledger_counts_results_of_delivery_recorded_before_or_after(store):
    store.record_results(results(2, a="loaded"))
    for delivery in ("d1", "d2", "d3"):
        store.record_delivery(a_row(delivery))
    store.record_results(results(1, a="loaded", b=("failed", "x"), c="unprocessed", d="loaded"))
    # Recorded again, as after a killed run.
    store.record_delivery(a_row("d1"))
    rows = store.deliveries("acme").to_pylist()
    counted = [(row["loaded"], row["failed"], row["unprocessed"]) for row in rows]
    assert counted == [(2, 1, 1), (1, 0, 0), (None, None, None)]
    assert [row["acknowledged_at"] for row in rows] == [LATER, LATER, None]


def test_old_results_are_dropped_and_failures_stay_for_a_month(store, url):
    for sequence in (1, 2):
        store.record_results(results(sequence, a=("failed", "x"), b=("failed", "x"), c="loaded"))
    store.record_results(results(3, a="loaded", b=("failed", "x"), d="loaded"))
    store.drop_old_results("acme", "crm", 4, 10)
    assert [row[:2] for row in held(store)] == [("b", 1), ("b", 2), ("b", 3)]
    store.drop_old_results("acme", "crm", 4, RESULTS_KEPT + 2)
    assert [row[:2] for row in held(store)] == [("b", 3)]
    assert ask(url, "SELECT count(*) FROM delivery_results") == [(1,)]


def test_erasure_removes_results_and_mentions_of_the_lead(store):
    store.record_results(
        results(1, **{"secret-4711": ("failed", "x"), "other-1": ("failed", "like secret-4711")})
    )
    counts, _ = store.erase("acme", EntityMatcher("secret-4711"))
    assert counts["delivery_results"] == 1 and counts["delivery_results (messages)"] == 1
    assert held(store) == [("other-1", 1, "failed", "like ***")]
