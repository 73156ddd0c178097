"""When a lead should be looked at again."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.night import Review
from features.contracts import INSTANT
from serve.scoring.trends import found

DAY = timedelta(days=1)
ACTED_ON = ("A", "B")
"""Grades of leads worth acting on: the others wait for their own length, however soon an outcome would come."""
NEVER = np.iinfo(np.int64).max


def with_review(
    frame: pa.Table, previous: pa.Table, as_of: datetime, review: Review, zone: ZoneInfo
) -> pa.Table:
    """Add review_at: midnight in ``zone`` of the day on which a lead is looked at again.

    A lead keeps the date that ``previous``, the last earlier night's PREVIOUS, gave to it, until the as-of's day is
    later than the date; so the date comes due, and is seen on its day. A lead that has another grade than on that
    night, or was not scored then, gets a new one: as many days after the as-of's day as ``review`` gives to its grade,
    but with a grade ACTED_ON not after the day by which half of outcome_days_50 has gone by since the cutoff, and
    never before the day after the as-of's. ``frame`` has entity_id, cutoff, outcome_days_50 (null where it is not
    known), grade and previous_grade as ``with_history`` leaves them.
    """
    today = as_of.astimezone(zone).date()
    asked = {grade: length // DAY for grade, length in review.by_grade().items()}
    place = pc.index_in(frame["grade"], value_set=pa.array(asked)).to_numpy()
    acted_on = pc.is_in(frame["grade"], value_set=pa.array(ACTED_ON)).to_numpy()
    half = np.where(acted_on, _half(frame, today, zone), NEVER)
    days = np.maximum(np.minimum(np.array([*asked.values()])[place], half), 1)
    nights = [_midnight(today + number * DAY, zone) for number in range(max(days, default=0) + 1)]
    fresh = pa.array(nights, INSTANT).take(pa.array(days))
    (given,) = found(frame, previous, ("review_at",))
    waits = pc.greater_equal(given, pa.scalar(_midnight(today, zone), INSTANT))
    stays = pc.and_(waits, pc.equal(frame["grade"], frame["previous_grade"]))
    return frame.append_column("review_at", pc.if_else(pc.fill_null(stays, False), given, fresh))


def _half(frame: pa.Table, today: date, zone: ZoneInfo) -> np.ndarray:
    """Return in how many days half of outcome_days_50 has gone by, by the calendar of ``zone``; NEVER if unknown."""
    half = pc.multiply(frame["outcome_days_50"], DAY / timedelta(microseconds=1) / 2)
    due = pc.add(pc.cast(frame["cutoff"], pa.int64()), pc.cast(pc.floor(half), pa.int64())).cast(
        INSTANT
    )
    local = pc.local_timestamp(due.cast(pa.timestamp("us", str(zone))))
    days = pc.subtract(
        pc.cast(pc.cast(local, pa.date32()), pa.int32()).cast(pa.int64()),
        (today - date(1970, 1, 1)).days,
    )
    return pc.fill_null(days, NEVER).to_numpy()


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
