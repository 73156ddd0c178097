"""Grade hysteresis, against a loop over the edges as documented."""

from datetime import timedelta

import pyarrow as pa
import pytest

from features.contracts import INSTANT
from models.grades import GRADE_BY_SCORE, GradeHysteresis, apply_grade_hysteresis
from tests.serve.samples import DAY, MONDAY

EDGES = {"A": (91, 100), "B": (71, 90), "C": (41, 70), "D": (1, 40)}
SCORES = range(1, 101)
SINCE = (None, MONDAY - 6 * DAY, MONDAY - 7 * DAY, MONDAY - 9 * DAY)


def grade_by_hand(score):
    return next(grade for grade, (low, high) in EDGES.items() if low <= score <= high)


def hysteresis_by_hand(score, before, since, steady):
    if before not in EDGES:
        return grade_by_hand(score), None
    low, high = EDGES[before]
    if score > high + steady.points:
        return grade_by_hand(score), None
    if score >= low - steady.points:
        return before, None
    since = since or MONDAY
    return (grade_by_hand(score), None) if MONDAY - since >= steady.settle else (before, since)


def apply_to_lists(scores, before, since, steady):
    columns = zip((scores, before, since), (pa.int64(), pa.string(), INSTANT), strict=True)
    grade, falling = apply_grade_hysteresis(
        *(pa.chunked_array([list(column)], kind) for column, kind in columns), MONDAY, steady
    )
    return list(zip(grade.to_pylist(), falling.to_pylist(), strict=True))


def test_grades_equal_the_documented_map():
    assert all(GRADE_BY_SCORE[score] == grade_by_hand(score) for score in SCORES)


@pytest.mark.parametrize("points", [0, 2.5, 3, 12, 50])
@pytest.mark.parametrize("days", [0, 7])
@pytest.mark.parametrize("before", ["A", "B", "C", "D", None, "Z"])
def test_grade_rises_immediately_and_falls_after_settling(before, days, points):
    steady = GradeHysteresis(points, timedelta(days=days))
    for since in SINCE:
        found = apply_to_lists(SCORES, [before] * 100, [since] * 100, steady)
        assert found == [hysteresis_by_hand(score, before, since, steady) for score in SCORES]
        grades = [grade for grade, _ in found]
        assert grades == sorted(grades, reverse=True)  # a higher score never has the lower grade


def test_hysteresis_can_be_turned_off():
    scores = [score for score in SCORES for _ in EDGES]
    found = apply_to_lists(scores, list(EDGES) * 100, [None] * 400, GradeHysteresis())
    assert found == [(grade_by_hand(score), None) for score in scores]


def test_hysteresis_accepts_an_empty_column():
    assert apply_to_lists([], [], [], GradeHysteresis(3)) == []
