"""Comparison of scores with earlier nights: previous score and grade, kept grade, trends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from features.tools.instants import MICROSECOND
from models.grades import GradeHysteresis, apply_grade_hysteresis
from serve.store.store import Store

DAY = timedelta(days=1)
# Minimum and maximum distance of the night a trend compares with: a missed night is replaced by the
# one before it, but not by one so old that the trend would cover another period.
TREND_WINDOWS = {"trend_7d": (7 * DAY, 14 * DAY), "trend_30d": (30 * DAY, 60 * DAY)}


@dataclass(frozen=True)
class ScoreHistory:
    """Published scores of the earlier nights that a night is compared with.

    Attributes:
        previous: PREVIOUS_SCORES of the last earlier as-of; empty if there is none.
        earlier: For each of TREND_WINDOWS, entity_id and score of the newest as-of in the window;
            empty if there is none.
    """

    previous: pa.Table
    earlier: Mapping[str, pa.Table] = field(default_factory=dict)

    @classmethod
    def load(cls, store: Store, project: str, target: str, as_of: datetime) -> Self:
        """Read the earlier nights of a target from the scores table."""
        # The end is excluded, hence the microsecond: a night exactly 7 days ago is in the window.
        earlier = {
            name: store.previous_scores(
                project, target, as_of - least + MICROSECOND, as_of - most, ("entity_id", "score")
            )
            for name, (least, most) in TREND_WINDOWS.items()
        }
        return cls(store.previous_scores(project, target, as_of), earlier)


def add_score_history(
    scores: pa.Table, history: ScoreHistory, as_of: datetime, steady: GradeHysteresis
) -> pa.Table:
    """Append the columns that compare with earlier nights, and apply the grade hysteresis.

    ``scores`` needs entity_id, score and the grade of the score alone. The result depends only on
    the arguments, so an as-of that is published again gets the same grades. Differences are null
    for a lead that the earlier night did not score.
    """
    score, grade, falling = look_up_leads(
        scores, history.previous, ("score", "grade", "falling_since")
    )
    grade_now, since = apply_grade_hysteresis(scores["score"], grade, falling, as_of, steady)
    scores = scores.set_column(scores.column_names.index("grade"), "grade", grade_now)
    columns = {"previous_score": score, "previous_grade": grade, "falling_since": since}
    columns["trend"] = pc.subtract(scores["score"], score)
    for name in TREND_WINDOWS:
        earlier = history.earlier.get(name, history.previous.slice(0, 0))
        columns[name] = pc.subtract(scores["score"], *look_up_leads(scores, earlier, ("score",)))
    return append_columns(scores, columns)


def append_columns(frame: pa.Table, columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Append columns with as many rows as ``frame``, under their names."""
    for name, column in columns.items():
        frame = frame.append_column(name, column)
    return frame


def look_up_leads(
    frame: pa.Table, earlier: pa.Table, columns: tuple[str, ...]
) -> list[pa.ChunkedArray]:
    """Return columns of ``earlier`` in the row order of ``frame``, matched by entity_id.

    A lead of ``frame`` without a row in ``earlier`` gets null.
    """
    place = pc.index_in(frame["entity_id"], value_set=earlier["entity_id"].combine_chunks())
    return [earlier[name].take(place) for name in columns]
