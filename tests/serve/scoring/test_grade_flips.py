"""Grades that change and change back, against SQL on the same rows."""

from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from serve.scoring.grade_flips import GRADED, count_grade_flips, grade_by_score
from tests.serve.samples import DAY, MONDAY

ORACLE = """
    with nights as (
        select *, lag(grade) over (partition by entity_id order by as_of) as former from rows
    ),
    undone as (
        select distinct c.entity_id, b.as_of from nights c join nights b
        on b.entity_id = c.entity_id and b.as_of > c.as_of and b.as_of <= c.as_of + to_days($days)
        where c.grade <> c.former and b.grade = c.former and b.former <> b.grade
    ),
    weeks as (
        select *,
            date_diff('microsecond', (select min(as_of) from rows), as_of) // 604800000000 as week
        from rows
    )
    select
        (select count(distinct entity_id) from rows),
        (select count(distinct entity_id) from undone),
        (select count(*) from (select distinct entity_id, week from weeks)),
        (select count(*) from (
            select distinct entity_id, week from weeks join undone using (entity_id, as_of)
        ))
"""


def table(lives):
    """Return GRADED rows of leads: a letter per night, a point if the lead was not scored."""
    rows = [
        (name, MONDAY + night * DAY, 50, grade)
        for name, life in lives.items()
        for night, grade in enumerate(life)
        if grade != "."
    ]
    return pa.table(list(zip(*rows, strict=True)) if rows else [[]] * 4, schema=GRADED)


def counted(rows, within=timedelta(days=7)):
    found = count_grade_flips(rows, within)
    return found.leads, found.flipping_leads, found.weeks, found.flipping_weeks


def by_sql(rows, days):
    con = duckdb.connect()
    con.register("rows", rows)
    return con.execute(ORACLE, {"days": days}).fetchone()


@pytest.mark.parametrize(
    ("life", "flaps"),
    [
        ("AAAA", False),
        ("AABA", True),
        ("AABCA", True),
        ("AABCB", True),
        ("AABCD", False),
        ("ABBBBBBBA", True),  # back on the seventh day
        ("ABBBBBBBBA", False),
        ("AB......A", True),
        ("A.......BA", True),  # it changed in the night it came back
        ("A", False),
    ],
)
def test_grade_flip_is_a_change_undone_within_seven_days(life, flaps):
    rows = table({"a": life, "b": "CC"})
    assert counted(rows)[:2] == (2, int(flaps)) == by_sql(rows, 7)[:2]


@pytest.mark.parametrize("seed", range(6))
def test_grade_flips_of_random_histories_match_sql(seed):
    rng = np.random.default_rng(seed)
    lives = {f"L{n}": "".join(rng.choice(list("AABC."), rng.integers(1, 40))) for n in range(80)}
    rows = table(lives)
    rows = rows.take(pa.array(rng.permutation(rows.num_rows)))
    for days in (1, 3, 7, 20):
        assert counted(rows, timedelta(days=days)) == by_sql(rows, days)


def test_grade_flips_without_rows_have_no_share():
    found = count_grade_flips(GRADED.empty_table())
    assert (found.leads, found.flipping_leads, found.weeks) == (0, 0, 0) and np.isnan(
        [found.lead_share, found.week_share]
    ).all()


def test_grade_by_score_ignores_kept_grades():
    rows = pa.table([["a"] * 4, [MONDAY] * 4, [100, 90, 70, 40], ["D"] * 4], schema=GRADED)
    assert grade_by_score(rows)["grade"].to_pylist() == ["A", "B", "C", "D"]
