"""Grades: a fixed map from score to grade, and hysteresis that keeps grades from flipping."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A grade is given above this score: the top 10 %, the next 20 %, the next 30 %; the rest is D. The
# map is the same for all models, so that grades can be compared across trainings.
GRADES = (("A", 90), ("B", 70), ("C", 40), ("D", 0))
GRADE_NAMES = np.array([grade for grade, _ in GRADES])
GRADE_LOWER_SCORES = np.array([lower for _, lower in GRADES])
GRADE_UPPER_SCORES = np.array([100, *GRADE_LOWER_SCORES[:-1]])
# Grade of each score without hysteresis, by the score as index.
GRADE_BY_SCORE = np.array(
    [next((grade for grade, lower in GRADES if score > lower), "D") for score in range(101)]
)


@dataclass(frozen=True)
class GradeHysteresis:
    """Settings that keep a grade from flipping.

    Attributes:
        points: A score this far beyond an edge of its grade changes nothing.
        settle: Time for which the score must be below before the grade falls.
    """

    points: float = 0.0
    settle: timedelta = timedelta(0)


def apply_grade_hysteresis(
    score: pa.ChunkedArray,
    grade: pa.ChunkedArray,
    falling: pa.ChunkedArray,
    as_of: datetime,
    hysteresis: GradeHysteresis,
) -> tuple[pa.Array, pa.Array]:
    """Return the grade to publish for each score, and since when it has been too low for it.

    ``grade`` and ``falling`` are the two results of the previous run, null where there is none. A
    grade stays while the score lies within ``points`` of the scores of that grade. Above them it
    rises to the plain grade immediately. Below them it falls to the plain grade on the first run
    that lies ``settle`` or more after the first of an unbroken series of runs with a score below.
    Until then the second result is the as-of of that first run; otherwise it is null. Of two leads
    with one past, the higher score never has the lower grade.

    The two thresholds are those of a Schmitt trigger (Schmitt 1938,
    https://doi.org/10.1088/0950-7671/15/1/305).
    """
    points = score.to_numpy()
    place = pc.fill_null(pc.index_in(grade, value_set=pa.array(GRADE_NAMES)), -1).to_numpy()
    # Place -1 is no grade before: never below, and always above, so the plain grade is given.
    below = (place >= 0) & (points < GRADE_LOWER_SCORES[place] + 1 - hysteresis.points)
    above = (place < 0) | (points > GRADE_UPPER_SCORES[place] + hysteresis.points)
    fallen, since = settle_falls(below, falling, as_of, hysteresis.settle)
    grades = np.where(above | fallen, GRADE_BY_SCORE[points], GRADE_NAMES[place])
    return pa.array(grades, pa.string()), since


def settle_falls(
    below: np.ndarray, falling: pa.ChunkedArray, as_of: datetime, settle: timedelta
) -> tuple[np.ndarray, pa.Array]:
    """Return which falls have settled, and since when each of the others lasts.

    ``below`` has the rows that are too low now, ``falling`` the second result of the previous
    run. A fall settles on the first run that lies ``settle`` or more after the first of an unbroken
    series of runs below; it is null then, as for a row that is not below.
    """
    first_below = pc.coalesce(falling, pa.scalar(as_of, falling.type))
    since = pc.if_else(pa.array(below), first_below, None)
    settled = pa.scalar(as_of - settle, falling.type)
    fallen = pc.fill_null(pc.less_equal(since, settled), False)
    return fallen.to_numpy(), pc.if_else(fallen, None, since).combine_chunks()
