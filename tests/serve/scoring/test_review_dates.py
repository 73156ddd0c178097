"""Review dates against the calendar in plain Python."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from configs.night import Review
from features.score_tables import SCORES
from serve.scoring.review_dates import add_review_dates
from serve.store.reader import PREVIOUS_SCORES

BERLIN, SAO_PAULO = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Sao_Paulo")
DAY = timedelta(days=1)
FRAME = pa.schema(
    [SCORES.field(n) for n in ("entity_id", "cutoff", "grade", "previous_grade", "outcome_days_50")]
)
NOBODY = PREVIOUS_SCORES.empty_table()


def by_hand(as_of, cutoff, grade, half, review, zone):
    today = as_of.astimezone(zone).date()
    day = today + timedelta(
        days={"A": review.A, "B": review.B, "C": review.C, "D": review.D}[grade].days
    )
    if half is not None and grade in "AB":
        day = min(day, (cutoff + half / 2 * DAY).astimezone(zone).date())
    return datetime.combine(max(day, today + DAY), time(), zone).astimezone(UTC)


def framed(rows):
    """Return leads without an earlier night from (cutoff, grade, outcome_days_50)."""
    named = [(str(n), cutoff, grade, None, half) for n, (cutoff, grade, half) in enumerate(rows)]
    return pa.table(list(zip(*named, strict=True)), schema=FRAME)


@pytest.mark.parametrize("zone", [BERLIN, SAO_PAULO, ZoneInfo("UTC")])
@pytest.mark.parametrize(
    "as_of", [datetime(2025, 3, 28, 23, 30, tzinfo=UTC), datetime(2025, 10, 20, 4, tzinfo=UTC)]
)
def test_review_dates_are_local_midnights(as_of, zone):
    rng, rows = np.random.default_rng(1), []
    for _ in range(300):
        half = None if rng.random() < 0.3 else float(rng.uniform(0, 80))
        cutoff = as_of if rng.random() < 0.5 else as_of - timedelta(days=float(rng.uniform(0, 60)))
        rows.append((cutoff, str(rng.choice(list("ABCD"))), half))
    for review in (Review(), Review(A="1d", B="12h", C="2d", D="90d")):
        found = add_review_dates(framed(rows), NOBODY, as_of, review, zone)["review_at"].to_pylist()
        assert found == [by_hand(as_of, *row, review, zone) for row in rows]


def test_review_dates_of_documented_examples():
    as_of = datetime(2025, 7, 1, tzinfo=BERLIN)
    rows = [
        (as_of, "A", None),
        (as_of, "D", 16.0),
        (as_of, "B", 0.5),
        (as_of - 20 * DAY, "B", 30.0),
        (as_of, "B", 8.0),
    ]
    found = add_review_dates(framed(rows), NOBODY, as_of, Review(), BERLIN)["review_at"]
    assert [at.astimezone(BERLIN).isoformat()[:16] for at in found.to_pylist()] == [
        "2025-07-04T00:00",
        "2025-07-31T00:00",
        "2025-07-02T00:00",
        "2025-07-02T00:00",
        "2025-07-05T00:00",
    ]


def night(as_of, rows, previous=NOBODY):
    """Return the review dates of a night (grades by lead), and its PREVIOUS_SCORES."""
    before = {row["entity_id"]: row["grade"] for row in previous.to_pylist()}
    named = [(name, as_of, grade, before.get(name), None) for name, grade in rows.items()]
    frame = add_review_dates(
        pa.table(list(zip(*named, strict=True)), schema=FRAME), previous, as_of, Review(), BERLIN
    )
    dates = [at.astimezone(BERLIN) for at in frame["review_at"].to_pylist()]
    kept = [(name, 1, rows[name], None, at) for name, at in zip(rows, dates, strict=True)]
    return dict(zip(rows, dates, strict=True)), pa.table(
        list(zip(*kept, strict=True)), schema=PREVIOUS_SCORES
    )


@pytest.mark.parametrize("hour", [0, 5, 23])
def test_review_date_is_due_on_its_day_then_renewed(hour):
    previous, seen = NOBODY, []
    for day in range(1, 9):
        dates, previous = night(datetime(2025, 7, day, hour, tzinfo=BERLIN), {"a": "A"}, previous)
        seen.append(dates["a"].day)
    assert seen == [4, 4, 4, 4, 8, 8, 8, 8]


def test_review_date_is_renewed_on_grade_change_and_repeatable():
    first = datetime(2025, 7, 1, tzinfo=BERLIN)
    dates, previous = night(first, {"a": "B", "b": "B", "gone": "C"})
    assert [at.day for at in dates.values()] == [8, 8, 15]
    second, kept = night(first + DAY, {"a": "B", "b": "A", "new": "B"}, previous)
    assert [at.day for at in second.values()] == [8, 5, 9]
    assert night(first + DAY, {"a": "B", "b": "A", "new": "B"}, previous)[0] == second
    third, _ = night(
        first + 2 * DAY, {"a": "B", "gone": "C"}, kept
    )  # a night without it: no date to keep
    assert [at.day for at in third.values()] == [8, 17]


def test_review_date_after_missed_nights_is_kept_if_ahead():
    first = datetime(2025, 7, 1, tzinfo=BERLIN)
    _, previous = night(first, {"a": "B", "b": "A"})
    dates, _ = night(first + 6 * DAY, {"a": "B", "b": "A"}, previous)
    assert [at.day for at in dates.values()] == [8, 10]


def test_review_date_missing_on_last_night_is_assigned():
    previous = pa.table([["a"], [95], ["A"], [None], [None]], schema=PREVIOUS_SCORES)
    assert night(datetime(2025, 7, 1, tzinfo=BERLIN), {"a": "A"}, previous)[0]["a"].day == 4


def test_review_dates_of_no_rows_are_empty():
    empty = FRAME.empty_table()
    assert (
        add_review_dates(empty, NOBODY, datetime(2025, 7, 1, tzinfo=UTC), Review(), BERLIN).num_rows
        == 0
    )
