"""Leads that a CRM did not load are delivered again, neither lost nor without reason."""

import pytest

from features.score_tables import DELIVERY_RESULTS
from serve.crm.delivery import DeliveryOptions
from serve.crm.unloaded import MAX_CLEARINGS, summarise_unloaded
from tests.serve.crm.results import write_results
from tests.serve.crm.samples import a_plan, rows
from tests.serve.crm.test_acknowledge import acknowledge, deliver

A, B = (9, "A", ""), (5, "B", "")
COLUMNS = {"S": "buy.score", "St": "status"}
DELTA, FULL = a_plan(columns=COLUMNS, delta=True), a_plan(columns=COLUMNS)


class Crm:
    """A folder of deliveries with the results that were recorded so far."""

    def __init__(self, root, plan=DELTA):
        self.root, self.plan, self.results = root, plan, []

    def deliver(self, day, leads, **options):
        results = DELIVERY_RESULTS.empty_table().from_pylist(self.results, DELIVERY_RESULTS)
        options = DeliveryOptions(**options)
        return deliver(self.root, day, leads, self.plan, results, options)

    def acknowledge(self, delivered, **statuses):
        path = write_results(self.root / "results.csv", ["id", "status"], list(statuses.items()))
        (done,) = acknowledge(self.root, path, delivery=delivered.id)
        self.results += done.results.to_pylist()


def sent(delivered):
    return [(row["entity_id"], row["S"], row["St"]) for row in rows(delivered)]


def test_failed_and_unprocessed_rows_are_due_again_once(tmp_path):
    crm = Crm(tmp_path)
    first = crm.deliver(0, {"a": A, "b": B, "c": B})
    crm.acknowledge(first, a="failed", b="unprocessed", c="loaded")
    again = crm.deliver(1, {"a": A, "b": B, "c": B})
    assert sent(again) == [("a", "9", "scored"), ("b", "5", "scored")]
    assert (again.manifest["kind"], again.manifest["again"]) == ("delta", 2)
    # Not acknowledged any more, so it counts as loaded.
    assert sent(crm.deliver(2, {"a": A, "b": B, "c": B})) == []


def test_late_failure_of_a_row_that_a_later_delivery_holds_changes_nothing(tmp_path):
    crm = Crm(tmp_path)
    first = crm.deliver(0, {"a": A, "b": B})
    crm.deliver(1, {"a": B, "b": B})
    crm.acknowledge(first, a="failed", b="failed")
    assert sent(crm.deliver(2, {"a": B, "b": B})) == [("b", "5", "scored")]


@pytest.mark.parametrize("plan", [DELTA, FULL])
def test_failed_clearing_is_due_again_until_the_lead_is_scored_or_it_is_given_up(plan, tmp_path):
    crm = Crm(tmp_path, plan)
    crm.deliver(0, {"a": A, "b": B, "c": B})
    for day in range(1, MAX_CLEARINGS + 3):
        delivered = crm.deliver(day, {"a": A} | ({"c": B} if day > 3 else {}))
        cleared = [lead for lead, _, status in sent(delivered) if status == "cleared"]
        expected = (["b"] if day <= MAX_CLEARINGS else []) + (["c"] if day <= 3 else [])
        assert cleared == expected, f"day {day}"
        assert ("c", "5", "scored") in sent(delivered) or day != 4
        if cleared:
            crm.acknowledge(delivered, **dict.fromkeys(cleared, "failed"))


def test_repeated_night_is_the_same_delivery_whatever_is_acknowledged_of_it(tmp_path):
    crm, leads = Crm(tmp_path), {"a": A, "b": B}
    crm.acknowledge(crm.deliver(0, leads), a="failed", b="loaded")
    night = crm.deliver(1, leads)
    assert sent(night) == [("a", "9", "scored")]
    for status in ("unprocessed", "failed"):
        crm.acknowledge(night, a=status)
        assert not crm.deliver(1, leads).is_new
    assert sent(crm.deliver(2, leads)) == [("a", "9", "scored")]


def test_repeated_night_is_the_same_delivery_after_its_rows_were_loaded(tmp_path):
    crm, leads = Crm(tmp_path), {"a": A, "b": B}
    crm.acknowledge(crm.deliver(0, leads), a="failed", b="loaded")
    night = crm.deliver(1, leads)
    crm.acknowledge(night, a="loaded")
    assert not crm.deliver(1, leads).is_new
    assert sent(crm.deliver(2, leads)) == []


def test_late_result_makes_a_further_delivery_of_the_same_night(tmp_path):
    crm, leads = Crm(tmp_path), {"a": A, "b": B}
    first = crm.deliver(0, leads)
    crm.deliver(1, leads | {"b": A})
    crm.acknowledge(first, a="failed", b="loaded")
    later = crm.deliver(1, leads | {"b": A})
    assert sorted(sent(later)) == [("a", "9", "scored"), ("b", "9", "scored")]
    assert not crm.deliver(1, leads | {"b": A}).is_new
    assert sent(crm.deliver(2, leads | {"b": A})) == []


def test_changes_since_a_delivery_include_what_it_failed_to_load(tmp_path):
    crm, leads = Crm(tmp_path), {"a": A, "b": B}
    first = crm.deliver(0, leads)
    crm.acknowledge(first, a="failed", b="loaded")
    crm.deliver(1, leads)
    crm.deliver(2, leads | {"b": A})
    delivered = crm.deliver(2, leads | {"b": A}, since=first.id)
    assert sorted(sent(delivered)) == [("a", "9", "scored"), ("b", "9", "scored")]


def test_results_under_another_key_column_do_not_count(tmp_path):
    crm = Crm(tmp_path)
    crm.acknowledge(crm.deliver(0, {"a": A, "b": B}), a="failed", b="failed")
    crm.plan = a_plan(columns=COLUMNS, delta=True, key="other")
    assert [row["other"] for row in rows(crm.deliver(1, {"a": A}))] == ["a"]


def test_failures_are_counted_since_the_last_load(tmp_path):
    crm = Crm(tmp_path)
    for day, status in enumerate(["failed", "loaded", "failed", "unprocessed", "failed"]):
        delivered = crm.deliver(day, {"a": (day, "A", ""), "b": B})
        crm.acknowledge(delivered, a=status)
    results = DELIVERY_RESULTS.empty_table().from_pylist(crm.results, DELIVERY_RESULTS)
    (row,) = summarise_unloaded(results).to_pylist()
    assert (row["entity_id"], row["status"], row["failures"], row["sequence"]) == (
        *("a", "failed"),
        *(2, 5),
    )
    assert summarise_unloaded(results, 2).num_rows == 0
