"""What the earlier nights say of tonight's scores: the score and grade before, the grade that is kept, the trends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from models.grades import Steady, held
from serve.store.store import Store

DAY, AN_INSTANT = timedelta(days=1), timedelta(microseconds=1)
TRENDS = {"trend_7d": (7 * DAY, 14 * DAY), "trend_30d": (30 * DAY, 60 * DAY)}
"""How far back the night lies that a trend is told against: at least, and at most."""


@dataclass(frozen=True)
class Past:
    """The published nights that one is compared with.

    ``previous`` is PREVIOUS of the last earlier as-of; ``earlier`` maps each of TRENDS to entity_id and score of the
    newest as-of that lies so far back, without rows where there is none.
    """

    previous: pa.Table
    earlier: Mapping[str, pa.Table] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, project: str, target: str, as_of: datetime) -> Self:
        """Read them from the scores table."""
        earlier = {
            name: store.previous(
                project, target, as_of - least + AN_INSTANT, as_of - most, ("entity_id", "score")
            )
            for name, (least, most) in TRENDS.items()
        }
        return cls(store.previous(project, target, as_of), earlier)


def with_history(frame: pa.Table, past: Past, as_of: datetime, steady: Steady) -> pa.Table:
    """Add the columns that compare with earlier nights, and keep the grades that ``held`` keeps.

    ``frame`` has entity_id, score and the plain grade. The same two give the same, so an as-of that is published again
    keeps its grades. Points are null for a lead that the night in question did not score.
    """
    score, grade, falling = found(frame, past.previous, ("score", "grade", "falling_since"))
    kept, since = held(frame["score"], grade, falling, as_of, steady)
    frame = frame.set_column(frame.column_names.index("grade"), "grade", kept)
    more = {"previous_score": score, "previous_grade": grade, "falling_since": since}
    more["trend"] = pc.subtract(frame["score"], score)
    for name in TRENDS:
        earlier = past.earlier.get(name, past.previous.slice(0, 0))
        more[name] = pc.subtract(frame["score"], *found(frame, earlier, ("score",)))
    return with_columns(frame, more)


def with_columns(frame: pa.Table, columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Add columns of as many rows, by their names."""
    for name, column in columns.items():
        frame = frame.append_column(name, column)
    return frame


def found(frame: pa.Table, night: pa.Table, columns: tuple[str, ...]) -> list[pa.ChunkedArray]:
    """Return columns of a night for the leads of a frame, null where it did not score them."""
    place = pc.index_in(frame["entity_id"], value_set=night["entity_id"].combine_chunks())
    return [night[name].take(place) for name in columns]
