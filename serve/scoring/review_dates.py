"""Review dates: the day on which a lead is to be looked at again."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.night import Review
from features.contracts import INSTANT
from features.tools.instants import US_PER_DAY
from serve.scoring.trends import look_up_leads

DAY = timedelta(days=1)
# Only these grades may be reviewed before their configured interval has passed. Few leads of the
# other grades have the outcome at all, so an earlier review is not worth the time.
ACTIONABLE_GRADES = ("A", "B")
# Larger than any interval, so that the minimum ignores it.
NEVER = np.iinfo(np.int64).max


def add_review_dates(
    scores: pa.Table, previous: pa.Table, as_of: datetime, review: Review, zone: ZoneInfo
) -> pa.Table:
    """Append review_at: midnight in ``zone`` of the day on which a lead is due for review.

    A lead keeps the date of ``previous`` (PREVIOUS_SCORES of the last earlier night) through the
    day of the date itself, so that a due date is visible on its day. A lead gets a new date if its
    date has passed, its grade differs from that night's, or that night did not score it.

    A new date lies ``review``'s interval for the grade after the as-of's day. For
    ACTIONABLE_GRADES it is not later than the day on which half of outcome_days_50 has passed
    since the cutoff. It is never earlier than the day after the as-of's.

    ``scores`` needs entity_id, cutoff, outcome_days_50 (null if unknown), and grade and
    previous_grade as ``add_score_history`` returns them.
    """
    today = as_of.astimezone(zone).date()
    intervals = {grade: length // DAY for grade, length in review.by_grade().items()}
    place = pc.index_in(scores["grade"], value_set=pa.array(intervals)).to_numpy()
    actionable = pc.is_in(scores["grade"], value_set=pa.array(ACTIONABLE_GRADES)).to_numpy()
    half = np.where(actionable, _days_to_half_of_outcomes(scores, today, zone), NEVER)
    days = np.maximum(np.minimum(np.array([*intervals.values()])[place], half), 1)
    # By calendar day: when clocks change, midnight is not a multiple of 24 hours away.
    midnights = [
        _midnight_of(today + number * DAY, zone) for number in range(max(days, default=0) + 1)
    ]
    new_dates = pa.array(midnights, INSTANT).take(pa.array(days))
    (previous_dates,) = look_up_leads(scores, previous, ("review_at",))
    is_ahead = pc.greater_equal(previous_dates, pa.scalar(_midnight_of(today, zone), INSTANT))
    same_grade = pc.equal(scores["grade"], scores["previous_grade"])
    is_kept = pc.fill_null(pc.and_(is_ahead, same_grade), False)
    return scores.append_column("review_at", pc.if_else(is_kept, previous_dates, new_dates))


def _days_to_half_of_outcomes(frame: pa.Table, today: date, zone: ZoneInfo) -> np.ndarray:
    """Return the days from ``today`` until half of outcome_days_50 has passed since the cutoff.

    Days are calendar days in ``zone``. NEVER if outcome_days_50 is null.
    """
    half = pc.multiply(frame["outcome_days_50"], US_PER_DAY / 2)
    due = pc.add(pc.cast(frame["cutoff"], pa.int64()), pc.cast(pc.floor(half), pa.int64())).cast(
        INSTANT
    )
    local = pc.local_timestamp(due.cast(pa.timestamp("us", str(zone))))
    days = pc.subtract(
        pc.cast(pc.cast(local, pa.date32()), pa.int32()).cast(pa.int64()),
        (today - date(1970, 1, 1)).days,
    )
    return pc.fill_null(days, NEVER).to_numpy()


def _midnight_of(day: date, zone: ZoneInfo) -> datetime:
    """Return midnight of a day in ``zone``."""
    return datetime.combine(day, time(), zone)
