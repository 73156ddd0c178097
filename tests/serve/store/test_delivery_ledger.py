"""The table of deliveries in both databases."""

from datetime import timedelta

from features.score_tables import DELIVERIES
from serve.store.store import Store
from tests.serve.samples import LATER, MONDAY, ask, do


def a_row(delivery="d1", **more):
    row = dict.fromkeys(DELIVERIES.names) | {
        "project": "acme",
        "name": "crm",
        "delivery": delivery,
        "run_id": "r1",
    }
    return row | {"format": "csv", "as_of": MONDAY, "status": "delivered", "made_at": LATER} | more


def test_deliveries_are_unique_and_sorted_by_time(store, url):
    store.record_delivery(a_row("d2", made_at=LATER + timedelta(seconds=1), rows=5))
    store.record_delivery(a_row("d1", status="failed", message="no room, “here”"))
    store.record_delivery(a_row("d1", kind="full", rows=3, manifest_sha256="c0ffee"))
    store.record_delivery(a_row("d1", project="zeta"))
    deliveries = store.deliveries("acme")
    assert deliveries.schema == DELIVERIES
    assert deliveries.to_pylist() == [
        a_row("d1", kind="full", rows=3, manifest_sha256="c0ffee"),
        a_row("d2", made_at=LATER + timedelta(seconds=1), rows=5),
    ]
    assert ask(url, "SELECT count(*) FROM deliveries") == [(3,)]


def test_older_database_gets_deliveries_table(store, url):
    do(url, "DROP TABLE deliveries")
    Store(url).record_delivery(a_row())
    assert ask(url, "SELECT delivery FROM deliveries") == [("d1",)]
