"""Checks of what changed since the last nights: past rows, new rows, and the scores of leads."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from configs.checks import Checks, Limits
from features.arrivals import Arrivals
from features.contracts import SourceCount
from features.score_tables import SCORE_CHECKS
from serve.checks.change_checks import check_past_rows, check_score_changes
from serve.checks.checks import CheckResult, build_check_table

TODAY = datetime(2025, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)
NONE = SCORE_CHECKS.empty_table()


def source(daily, extra_old=0, suppressed=0):
    """Return a source whose rows of each day before TODAY are given, the newest last."""
    instants = [
        TODAY - DAY * back + timedelta(minutes=20 * number)
        for back, rows in enumerate(reversed(daily), start=1)
        for number in range(rows)
    ]
    instants += [TODAY - DAY * 30] * extra_old
    arrivals = Arrivals.from_instants(pa.chunked_array([pa.array(instants, pa.timestamp("us"))]))
    return SourceCount(
        "log", len(instants) + suppressed, len(instants), suppressed=suppressed, arrivals=arrivals
    )


def nights(check, values, target="", subject="log"):
    """Return SCORE_CHECKS of one result a night, the last one a day before TODAY."""
    tables = [
        build_check_table(
            [CheckResult(check, target, subject, value, None, None, "pass")],
            "r",
            "p",
            TODAY - DAY * back,
        )
        for back, value in zip(range(len(values), 0, -1), values, strict=True)
    ]
    return pa.concat_tables([NONE, *tables])


def judged(count, earlier, limits=None):
    return {one.check: one for one in check_past_rows(count, TODAY, earlier, limits or Checks())}


@pytest.mark.parametrize(
    ("before", "extra", "verdict"),
    [
        (200, 0, "pass"),
        (203, 0, "pass"),
        (205, 0, "warn"),
        (200, 4, "pass"),
        (200, 5, "warn"),
        (400, 0, "warn"),
    ],
)
def test_rows_from_before_the_last_night_stay(before, extra, verdict):
    found = judged(source([50, 50, 50, 50, 7], extra), nights("rows", [before]))["history"]
    assert found.verdict == verdict
    assert found.observed == pytest.approx(abs(200 + extra - before) / before)
    if verdict == "warn":
        assert f"{200 + extra} rows from before 2025-03-09" in found.message


def test_suppressed_rows_count_as_rows_of_their_source():
    # Half of the leads were suppressed since the last night; none of the rows are gone.
    count = source([50, 50], suppressed=100)
    assert judged(count, nights("rows", [100]))["history"].verdict == "pass"


def test_first_night_and_sources_without_times_pass():
    assert "history" not in judged(source([5]), NONE)
    assert judged(source([0]), NONE)["new_rows"].verdict == "pass"
    assert judged(replace(source([5]), arrivals=None), nights("rows", [9])) == {}


@pytest.mark.parametrize(
    ("past", "new", "verdict"),
    [
        ([20, 30, 25], 0, "warn"),
        ([20, 30, 25], 2, "warn"),
        ([20, 30, 25], 3, "pass"),
        ([20, 30, 0], 0, "pass"),
        ([4, 30, 25], 0, "pass"),
        ([20, 30], 0, "pass"),
    ],
)
def test_day_without_new_rows_warns_where_every_night_had_some(past, new, verdict):
    found = judged(source([40, 40, new]), nights("new_rows", past))["new_rows"]
    assert (found.verdict, found.observed) == (verdict, new)


def test_limits_can_be_disabled():
    limits = Checks(history=Limits(), new_rows=Limits())
    earlier = pa.concat_tables([nights("rows", [9]), nights("new_rows", [20, 30, 25])])
    found = judged(source([40, 40, 0]), earlier, limits)
    assert {one.verdict for one in found.values()} == {"pass"}


def scored(change, leads=60):
    score = np.full(leads, 50)
    return pa.table({"score": score + change, "previous_score": [*score[:-1].tolist(), None]})


@pytest.mark.parametrize(
    ("change", "past", "verdict"),
    [
        (6, [2.0, 1.0], "pass"),
        (7, [2.0, 1.0], "warn"),
        (-7, [2.0, 1.0], "warn"),
        (1, [0.1, 0.1], "pass"),
        (2, [0.1, 0.1], "warn"),
        (30, [2.0], "pass"),
    ],
)
def test_scores_that_change_more_than_on_any_night_warn(change, past, verdict):
    earlier = nights("changed", past, "t", "")
    found = check_score_changes("t", scored(change), DAY, earlier, Checks())
    assert (found.verdict, found.observed) == (verdict, abs(change))


def test_changes_of_few_leads_or_after_a_gap_are_not_judged():
    earlier = nights("changed", [1.0, 1.0], "t", "")
    for frame, ago in ((scored(30, 40), DAY), (scored(30), 4 * DAY), (scored(30), None)):
        found = check_score_changes("t", frame, ago, earlier, Checks())
        assert (found.verdict, found.observed) == ("pass", None)


def clocked(hours, shift=0):
    """Return a source with a row on each of 60 days, at these hours in turn."""
    instants = [
        TODAY - DAY * (back + 2) + timedelta(hours=hours[back % len(hours)] + shift)
        for back in range(60)
    ]
    arrivals = Arrivals.from_instants(pa.chunked_array([pa.array(instants, pa.timestamp("us"))]))
    return SourceCount("log", 60, 60, arrivals=arrivals)


@pytest.mark.parametrize(
    ("hours", "shift", "verdict"),
    [
        ([9, 12, 15], 0, "pass"),
        ([9, 12, 15], 0.25, "pass"),
        ([9, 12, 15], 1, "warn"),
        ([22, 23, 1], 2, "warn"),
        ([22, 23, 1], -9, "warn"),
        ([0, 6, 12, 18], 3, "pass"),
    ],
)
def test_rows_at_another_time_of_day_warn(hours, shift, verdict):
    first = judged(clocked(hours), NONE)["time_of_day"]
    assert first.verdict == "pass"
    earlier = nights("time_of_day", [first.observed] if first.observed is not None else [])
    found = judged(clocked(hours, shift), earlier)["time_of_day"]
    assert found.verdict == verdict
    if verdict == "warn":
        assert f"{shift:+.1f} hours" in found.message


def test_time_of_day_is_the_circular_mean():
    hours = [22, 23, 1, 2]
    # By hand: the mean direction of these hours, a quarter of an hour at most from their rows.
    angles = np.array(hours) * np.pi / 12
    mean = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean()) * 12 / np.pi % 24
    found = judged(clocked(hours), NONE)["time_of_day"].observed
    assert min(abs(found - mean), 24 - abs(found - mean)) < 0.01


@pytest.mark.parametrize(("hours", "verdict"), [(0, "pass"), (1, "pass"), (25, "warn")])
def test_newest_row_of_the_last_night_is_still_there(hours, verdict):
    """The file of an earlier night may lack less than the share of rows that warns."""
    count = source([100, 50, 50, 50])
    last = TODAY - DAY
    newest = count.arrivals.before(last).newest + timedelta(hours=hours - 1)
    earlier = pa.concat_tables(
        [
            nights("rows", [200], subject="log"),
            nights("freshness", [(last - newest) / DAY], subject="log"),
        ]
    )
    result = judged(count, earlier)["history"]
    assert result.verdict == verdict
    assert (result.message or "").startswith("the newest row is of") == (verdict == "warn")
