"""Checks of suppression lists: shorter ones warn or stop, and no source loses rows by them."""

import numpy as np
import pyarrow as pa
import pytest

from configs.checks import Checks
from features.arrivals import Arrivals
from features.contracts import EVENTS, LEADS, Dataset, SourceCount
from features.score_tables import SCORE_CHECKS
from features.suppressed import Suppression
from serve.checks.checks import build_check_table, select_alerts
from serve.checks.source_checks import check_sources
from serve.checks.source_counts import COUNT_CHECKS
from tests.serve.samples import MONDAY, TUESDAY


def night(named, used=100, suppressed=0, former=None):
    """Return the checks of a night by (check, subject)."""
    counts = (SourceCount("leads", used + suppressed, used, suppressed=suppressed),)
    found = Suppression(listed_counts=named)
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), counts, "f", suppressed=found)
    checks = check_sources(data, TUESDAY, former or SCORE_CHECKS.empty_table(), Checks())
    return {(one.check, one.subject): one for one in checks}


def before(*nights):
    return pa.concat_tables(
        [build_check_table(night(named).values(), "r", "acme", MONDAY) for named in nights]
    )


@pytest.mark.parametrize(
    ("ids", "verdict"),
    [(100, "pass"), (1000, "pass"), (90, "pass"), (89, "warn"), (69, "stop"), (0, "stop")],
)
def test_suppression_list_that_shrinks_warns_and_stops(ids, verdict):
    assert (
        night({"list": ids}, former=before({"list": 100}))["suppressed", "list"].verdict == verdict
    )


def test_suppression_list_no_longer_configured_stops():
    found = night({}, former=before({"list": 3}))["suppressed", "list"]
    assert (found.verdict, found.observed) == (
        "stop",
        0,
    ) and "0 rows, 3 on earlier nights" in found.message


def test_suppression_list_that_was_empty_passes():
    assert night({"list": 0}, former=before({"list": 0}))["suppressed", "list"].verdict == "pass"
    assert night({"list": 1}, former=before({"list": 0}))["suppressed", "list"].verdict == "pass"


def test_suppressed_rows_count_as_rows_of_their_source():
    found = night({"list": 60}, used=40, suppressed=60, former=before({"list": 0}))["rows", "leads"]
    assert (found.verdict, found.observed) == ("pass", 100)


def test_doubtful_reading_of_a_source_warns():
    counts = (SourceCount("leads", 1, 1, warnings=("sum: 1 of 9 is no number",)),)
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), counts, "f")
    checks = check_sources(data, TUESDAY, SCORE_CHECKS.empty_table(), Checks())
    assert [str(one) for one in checks if one.check == "reading"] == [
        "warn: reading of leads: sum: 1 of 9 is no number"
    ]


def test_counts_of_a_source_are_stored_and_add_up():
    bad = {"duplicate": 3, "no id": 1, "wrong type": 0}
    counts = (SourceCount("events_1", 20, 10, skipped=4, suppressed=2, quarantined=bad),)
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), counts, "f")
    checks = check_sources(data, TUESDAY, SCORE_CHECKS.empty_table(), Checks())
    found = {(one.check, one.subject): one for one in checks if one.check in COUNT_CHECKS}
    assert {key: one.observed for key, one in found.items()} == {
        ("rows_in", "events_1"): 20,
        ("rows_used", "events_1"): 10,
        ("rows_not_yet", "events_1"): 4,
        ("rows_suppressed", "events_1"): 2,
        ("quarantined", "events_1 duplicate"): 3,
        ("quarantined", "events_1 no id"): 1,
    }
    assert {one.verdict for one in found.values()} == {"pass"}
    assert sum(one.observed for key, one in found.items() if key[0] != "rows_in") == 20
    assert not select_alerts(found.values())


def test_subject_has_one_row_for_each_check():
    """The checks table has one row for each check and subject."""
    arrivals = Arrivals(np.array([1, 2]), np.array([1, 1]))
    counts = tuple(
        SourceCount(name, 2, 2, arrivals=arrivals, warnings=("a", "b", "b"))
        for name in ("leads", "events_1")
    )
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), counts, "f")
    checks = check_sources(data, TUESDAY, SCORE_CHECKS.empty_table(), Checks())
    keys = [(one.check, one.subject) for one in checks]
    assert len(keys) == len(set(keys))
    readings = [(one.subject, one.message) for one in checks if one.check == "reading"]
    assert readings[:3] == [("leads", "a"), ("leads (2)", "b"), ("leads (3)", "b")]
