"""Previous score, kept grade and trends, against plain Python."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from features.score_tables import SCORES
from models.grades import GradeHysteresis
from serve.scoring.scoring import PUBLISH_COLUMNS
from serve.scoring.trends import ScoreHistory, add_score_history
from serve.store.reader import PREVIOUS_SCORES
from serve.store.store import Store
from tests.serve.samples import DAY, LATER, MONDAY, a_run, some_scores

THREE = GradeHysteresis(3)
PLAIN = {"A": 91, "B": 71, "C": 41, "D": 1}


def fresh(run, ids, scores):
    """Return scored rows without any comparison with earlier nights."""
    rows = some_scores(run, ids, score=scores, grade=[plain(score) for score in scores])
    return rows.drop_columns(sorted(PUBLISH_COLUMNS & set(rows.column_names)))


def plain(score):
    return next(grade for grade, low in PLAIN.items() if score >= low)


def published(store, night, ids, scores, steady=THREE, run_id=None):
    run = a_run(run_id or f"night {night}", MONDAY + night * DAY)
    frame = add_score_history(
        fresh(run, ids, scores),
        ScoreHistory.load(store, "acme", "close", run.as_of),
        run.as_of,
        steady,
    )
    whole = {
        name: frame[name] if name in frame.column_names else pa.nulls(len(ids))
        for name in SCORES.names
    }
    rows = some_scores(run, ids, **{name: whole[name] for name in frame.column_names})
    store.start(run)
    store.publish(rows, run.run_id, LATER)
    return {row["entity_id"]: row for row in rows.to_pylist()}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "scores.db")


def test_first_night_has_grade_of_score_and_no_history(store):
    rows = published(store, 0, ["a", "b"], [91, 90])
    assert [
        (row["grade"], row["previous_score"], row["previous_grade"], row["trend"])
        for row in rows.values()
    ] == [
        ("A", None, None, None),
        ("B", None, None, None),
    ]


def test_grade_at_an_edge_is_kept_until_score_is_beyond_margin(store):
    scores = [91, 90, 88, 87, 90, 93, 94, 91]
    grades = [
        published(store, night, ["a"], [score])["a"]["grade"] for night, score in enumerate(scores)
    ]
    assert grades == ["A", "A", "A", "B", "B", "B", "A", "A"]


def test_grade_falls_after_a_week_of_lower_scores_without_break(store):
    scores = [95, 60, 60, 90, *[60] * 6, 30, 30, 30]
    rows = [
        published(store, night, ["a"], [s], GradeHysteresis(3, timedelta(days=7)))["a"]
        for night, s in enumerate(scores)
    ]
    assert "".join(row["grade"] for row in rows) == "AAAAAAAAAAADD"
    since = [row["falling_since"] and (row["falling_since"] - MONDAY).days for row in rows]
    assert since == [None, 1, 1, None, *[4] * 7, None, None]


def test_random_nights_depend_on_the_last_night_alone(store):
    rng, grades = np.random.default_rng(1), {}
    for night in range(12):
        ids = [f"L{n}" for n in range(60) if rng.random() < 0.8]
        scores = {name: int(rng.integers(1, 101)) for name in ids}
        rows = published(store, night, ids, list(scores.values()), steady=GradeHysteresis(20))
        for name, row in rows.items():
            score, grade = grades.get(name, (None, None))
            assert (row["previous_score"], row["previous_grade"]) == (score, grade)
            assert row["trend"] == (None if score is None else row["score"] - score)
            low = PLAIN[grade] - 20 if grade else 1000
            high = {"A": 100, "B": 90, "C": 70, "D": 40}[grade] + 20 if grade else 0
            assert row["grade"] == (grade if low <= row["score"] <= high else plain(row["score"]))
        grades = {
            name: (row["score"], row["grade"]) for name, row in rows.items()
        }  # a lead left out has none


def test_repeated_and_older_nights_give_the_same_grades(store):
    scores = [[91, 71], [89, 69], [86, 66]]
    first = [published(store, night, ["a", "b"], each) for night, each in enumerate(scores)]
    for turn, night in enumerate((1, 2, 0, 2, 1)):
        again = published(store, night, ["a", "b"], scores[night], run_id=f"again {turn}")
        assert [row["grade"] for row in again.values()] == [
            row["grade"] for row in first[night].values()
        ]


def test_empty_previous_scores_give_no_history():
    run = a_run()
    frame = add_score_history(
        fresh(run, ["a"], [95]),
        ScoreHistory(PREVIOUS_SCORES.empty_table()),
        MONDAY,
        GradeHysteresis(3),
    )
    assert frame["previous_score"].to_pylist() == [None] and frame["grade"].to_pylist() == ["A"]


@pytest.mark.parametrize("seed", range(3))
def test_trends_compare_with_the_newest_night_in_the_window(store, seed):
    rng, lives = np.random.default_rng(seed), {}
    nights = [0, *sorted(rng.choice(np.arange(1, 120), 25, replace=False).tolist())]
    for night in nights:
        ids = [f"L{n}" for n in range(9) if rng.random() < 0.7]
        lives[night] = {name: int(rng.integers(1, 101)) for name in ids}
        for name, row in published(store, night, ids, list(lives[night].values())).items():
            for days in (7, 30):
                back = [one for one in lives if days <= night - one <= 2 * days]
                former = lives[max(back)].get(name) if back else None
                assert row[f"trend_{days}d"] == (None if former is None else row["score"] - former)
