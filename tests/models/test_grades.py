"""The grade that is kept, against a loop over the edges as they are written in the documentation."""

from datetime import timedelta

import pyarrow as pa
import pytest

from features.contracts import INSTANT
from models.grades import GRADE_BY_SCORE, GradeHysteresis, apply_grade_hysteresis
from tests.serve.samples import DAY, MONDAY

EDGES = {"A": (91, 100), "B": (71, 90), "C": (41, 70), "D": (1, 40)}
SCORES = range(1, 101)
SINCE = (None, MONDAY - 6 * DAY, MONDAY - 7 * DAY, MONDAY - 9 * DAY)


def plain(score):
    return next(grade for grade, (low, high) in EDGES.items() if low <= score <= high)


def by_hand(score, before, since, steady):
    if before not in EDGES:
        return plain(score), None
    low, high = EDGES[before]
    if score > high + steady.points:
        return plain(score), None
    if score >= low - steady.points:
        return before, None
    since = since or MONDAY
    return (plain(score), None) if MONDAY - since >= steady.settle else (before, since)


def given(scores, before, since, steady):
    columns = zip((scores, before, since), (pa.int64(), pa.string(), INSTANT), strict=True)
    grade, falling = apply_grade_hysteresis(
        *(pa.chunked_array([list(column)], kind) for column, kind in columns), MONDAY, steady
    )
    return list(zip(grade.to_pylist(), falling.to_pylist(), strict=True))


def test_the_plain_map_is_the_one_of_the_documentation():
    assert all(GRADE_BY_SCORE[score] == plain(score) for score in SCORES)


@pytest.mark.parametrize("points", [0, 2.5, 3, 12, 50])
@pytest.mark.parametrize("days", [0, 7])
@pytest.mark.parametrize("before", ["A", "B", "C", "D", None, "Z"])
def test_a_grade_rises_at_once_and_falls_when_it_was_low_for_long(before, days, points):
    steady = GradeHysteresis(points, timedelta(days=days))
    for since in SINCE:
        found = given(SCORES, [before] * 100, [since] * 100, steady)
        assert found == [by_hand(score, before, since, steady) for score in SCORES]
        grades = [grade for grade, _ in found]
        assert grades == sorted(grades, reverse=True)  # a higher score never has the lower grade


def test_nothing_is_kept_where_it_is_turned_off():
    scores = [score for score in SCORES for _ in EDGES]
    found = given(scores, list(EDGES) * 100, [None] * 400, GradeHysteresis())
    assert found == [(plain(score), None) for score in scores]


def test_no_rows():
    assert given([], [], [], GradeHysteresis(3)) == []
