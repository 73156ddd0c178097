"""What the event log looked like when a model was trained: which event types and channels were busy, week by week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import to_us

WEEKS = 13
MOST = 200
"""Subjects kept, the busiest."""
WEEK = timedelta(days=7)
"""As long as the rhythm of work: a Sunday without calls is no news, a week without them is."""


@dataclass(frozen=True)
class Activity:
    """How many events became known of each subject in the least busy and in all of the latest weeks.

    A subject is an event type, a channel, or the amounts of an event type, such as ``event type call``. ``weeks`` is
    how many whole weeks the log reached back, at most WEEKS.
    """

    weeks: int
    least: dict[str, int]
    total: dict[str, int]

    @classmethod
    def of(cls, events: pa.Table, as_of: datetime) -> Self:
        """Count the events (EVENTS) that became known in the weeks before ``as_of``."""
        first = pc.min(events["available_at"]).as_py()
        weeks = min(WEEKS, (as_of - first) // WEEK) if first else 0
        counts = weekly(events, as_of, max(weeks, 1))
        busiest = sorted(counts, key=lambda subject: (-int(counts[subject].sum()), subject))[:MOST]
        counts = {subject: counts[subject] for subject in sorted(busiest)}
        least = {subject: int(rows.min()) for subject, rows in counts.items()}
        return cls(weeks, least, {subject: int(rows.sum()) for subject, rows in counts.items()})

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"weeks": self.weeks, "least": self.least, "total": self.total}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(data["weeks"], data["least"], data["total"])


def weekly(events: pa.Table, as_of: datetime, weeks: int) -> dict[str, np.ndarray]:
    """Return the events of each subject that became known in the weeks before ``as_of``, the latest week first."""
    since = pa.scalar(as_of - weeks * WEEK, events["available_at"].type)
    pieces = (pa.Table.from_batches([batch]) for batch in events.to_batches())
    recent = [piece.filter(pc.greater_equal(piece["available_at"], since)) for piece in pieces]
    table = pa.concat_tables([events.schema.empty_table(), *recent])
    ago = (to_us(as_of) - pc.cast(table["available_at"], pa.int64()).to_numpy() - 1) // (
        WEEK // timedelta.resolution
    )
    ago = np.clip(ago, 0, weeks - 1)
    valued = pc.if_else(
        pc.is_valid(table["value"]), table["event_type"], pa.scalar(None, pa.string())
    )
    subjects = {"event type": table["event_type"], "channel": table["channel"], "amount of": valued}
    return {
        f"{kind} {name}": rows
        for kind, column in subjects.items()
        for name, rows in _tally(column, ago, weeks).items()
    }


def _tally(column: pa.ChunkedArray, ago: np.ndarray, weeks: int) -> dict[str, np.ndarray]:
    coded = pc.dictionary_encode(column.combine_chunks())
    names = coded.dictionary.to_pylist()
    code = pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(code * weeks + ago, minlength=(len(names) + 1) * weeks).reshape(-1, weeks)
    return dict(zip(names, counts, strict=False))
