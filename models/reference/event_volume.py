"""Weekly event volume at training time, by event type and channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.instants import (
    WEEK,
    column_to_microseconds,
    duration_to_microseconds,
    from_microseconds,
    to_microseconds,
)
from features.tools.supported_span import find_supported_span

# A quarter. Whole weeks are counted, because a Sunday without events means nothing.
MAX_WEEKS = 13
# Only the busiest subjects are stored, which bounds the size of scorer.json.
MAX_SUBJECTS = 200


@dataclass(frozen=True)
class EventVolume:
    """Events by subject in the latest weeks before training.

    A subject is an event type, a channel, or the amounts of an event type: ``event type call``.

    Attributes:
        weeks: Number of whole weeks that the log reaches back, at most 13.
        weekly_min: Events of each subject in its least busy week.
        total: Events of each subject in all weeks.
    """

    weeks: int
    weekly_min: dict[str, int]
    total: dict[str, int]

    @classmethod
    def from_events(cls, events: pa.Table, as_of: datetime) -> Self:
        """Count the rows of an EVENTS table that became known in the weeks before ``as_of``."""
        weeks = min(MAX_WEEKS, _count_weeks(events, as_of))
        counts = count_weekly_events(events, as_of, max(weeks, 1))
        ranked = sorted(counts, key=lambda subject: (-int(counts[subject].sum()), subject))
        busiest = sorted(ranked[:MAX_SUBJECTS])
        weekly_min = {subject: int(counts[subject].min()) for subject in busiest}
        total = {subject: int(counts[subject].sum()) for subject in busiest}
        return cls(weeks, weekly_min, total)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {"weeks": self.weeks, "least": self.weekly_min, "total": self.total}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Restore from the result of ``to_json``."""
        return cls(data["weeks"], data["least"], data["total"])


def _count_weeks(events: pa.Table, as_of: datetime) -> int:
    """Return the number of whole weeks before ``as_of`` that a log reaches back."""
    if not events.num_rows:
        return 0
    # A single early event must not add empty weeks, in which every subject would be silent.
    first, _ = find_supported_span(column_to_microseconds(events["available_at"]))
    return (as_of - from_microseconds(first)) // WEEK


def count_weekly_events(events: pa.Table, as_of: datetime, weeks: int) -> dict[str, np.ndarray]:
    """Count the events of each subject that became known in the weeks before ``as_of``.

    Return an array of ``weeks`` counts by subject, the latest week first. Week k is
    [as_of - (k + 1) weeks, as_of - k weeks).
    """
    since = pa.scalar(as_of - weeks * WEEK, events["available_at"].type)
    # Filtered batch by batch: the log may be larger than memory, its latest weeks are not.
    batches = (pa.Table.from_batches([batch]) for batch in events.to_batches())
    recent = [batch.filter(pc.greater_equal(batch["available_at"], since)) for batch in batches]
    table = pa.concat_tables([events.schema.empty_table(), *recent])
    # Less one microsecond, because weeks are closed at their start: an event exactly a week ago is
    # in the latest week.
    ago = (to_microseconds(as_of) - column_to_microseconds(table["available_at"]) - 1) // (
        duration_to_microseconds(WEEK)
    )
    ago = np.clip(ago, 0, weeks - 1)
    valued = pc.if_else(
        pc.is_valid(table["value"]), table["event_type"], pa.scalar(None, pa.string())
    )
    subjects = {"event type": table["event_type"], "channel": table["channel"], "amount of": valued}
    return {
        f"{kind} {name}": rows
        for kind, column in subjects.items()
        for name, rows in _count_by_week(column, ago, weeks).items()
    }


def _count_by_week(column: pa.ChunkedArray, ago: np.ndarray, weeks: int) -> dict[str, np.ndarray]:
    coded = pc.dictionary_encode(column.combine_chunks())
    names = coded.dictionary.to_pylist()
    code = pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(code * weeks + ago, minlength=(len(names) + 1) * weeks).reshape(-1, weeks)
    return dict(zip(names, counts, strict=False))
