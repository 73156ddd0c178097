"""Grades: the plain map from the score, frozen for all models, and the grade that is kept so that none flaps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

GRADES = (("A", 90), ("B", 70), ("C", 40), ("D", 0))
"""A grade is given above this score: the top 10 %, the next 20 %, the next 30 %; the rest is D."""
NAMES = np.array([grade for grade, _ in GRADES])
ABOVE = np.array([above for _, above in GRADES])
UPTO = np.array([100, *ABOVE[:-1]])
GRADE_OF = np.array(
    [next((grade for grade, above in GRADES if score > above), "D") for score in range(101)]
)
"""The plain grade of each score."""


@dataclass(frozen=True)
class Steady:
    """How grades are kept: ``points`` beyond an edge change nothing, and a grade falls only after ``settle``."""

    points: float = 0.0
    settle: timedelta = timedelta(0)


def held(
    score: pa.ChunkedArray,
    grade: pa.ChunkedArray,
    falling: pa.ChunkedArray,
    as_of: datetime,
    steady: Steady,
) -> tuple[pa.Array, pa.Array]:
    """Return the grade to publish of each score, and since which night it has been too low for that grade.

    ``grade`` and ``falling`` are what was returned of the night before, null where there is nothing before. A grade is
    kept while the score lies within ``points`` of its own scores. Above them it rises to the plain grade at once; below
    them it falls to it on the first night that lies ``settle`` or more behind the first of the nights, without a break,
    on which the score was below: until then the second value is that first night, otherwise null. Of two leads with one
    past, the higher score never has the lower grade.

    The two thresholds are those of a trigger (Schmitt 1938, https://doi.org/10.1088/0950-7671/15/1/305).
    """
    points = score.to_numpy()
    place = pc.fill_null(pc.index_in(grade, value_set=pa.array(NAMES)), -1).to_numpy()
    below = (place >= 0) & (points < ABOVE[place] + 1 - steady.points)
    above = (place < 0) | (points > UPTO[place] + steady.points)
    since = pc.if_else(pa.array(below), pc.coalesce(falling, pa.scalar(as_of, falling.type)), None)
    fallen = pc.fill_null(
        pc.less_equal(since, pa.scalar(as_of - steady.settle, falling.type)), False
    )
    kept = np.where(above | fallen.to_numpy(), GRADE_OF[points], NAMES[place])
    return pa.array(kept, pa.string()), pc.if_else(fallen, None, since).combine_chunks()
