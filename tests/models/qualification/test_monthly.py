"""The table of hand-overs by month, against SQL."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from models.qualification.acceptance import estimate_rate
from models.qualification.monthly import FOLLOWED_HANDOVERS, build_qualification_table
from models.qualification.schemas import QUALIFICATION
from tests.serve.samples import MONDAY

ABOVE = {"mql": 0.2, "sql": 0.1}
COUNTS = """
    SELECT step, m AS month, b AS band,
        count(*) AS handed_over,
        count(*) FILTER (qualified_because = 'explore') AS explored,
        count(label) AS mature,
        count(label) = count(*) AS complete,
        coalesce(sum(label), 0)::BIGINT AS outcomes,
        avg(label) AS rate,
        sum(label / handover_chance) FILTER (b = 'all' AND probability >= a)
            / sum(1 / handover_chance) FILTER (label IS NOT NULL AND probability >= a) AS rate_all,
        count(*) FILTER (is_due) AS due,
        count(*) FILTER (is_due AND in_time) AS in_time,
        avg(in_time::INT) FILTER (is_due) AS in_time_share,
        quantile_disc(coalesce(touch_hours, 'inf'::DOUBLE), 0.5) FILTER (is_due) AS touch_hours_50,
        count(*) FILTER (reason = 'rejected') AS rejected,
        count(*) FILTER (reason = 'returned') AS returned,
        count(*) FILTER (reason = 'silent') AS silent,
        count(*) FILTER (reason = 'cooled') AS cooled
    FROM (
        SELECT *, unnest([month, 'all']) AS m, CASE step WHEN 'mql' THEN 0.2 ELSE 0.1 END AS a
        FROM followed
    ) JOIN (VALUES ('all'), ('A'), ('B'), ('C'), ('D')) AS bands(b) ON b = 'all' OR b = grade
    GROUP BY step, m, b
    ORDER BY step, m, b = 'all' DESC, b
"""


def make_followed(rows=400, seed=3):
    rng = np.random.default_rng(seed)
    month = rng.choice(["2025-01", "2025-02", "2025-03"], rows)
    explored = rng.random(rows) < 0.2
    chance = np.where(explored, 0.05, 1.0)
    hours = rng.exponential(20, rows)
    reason = rng.choice(["rejected", "returned", "silent", "cooled", ""], rows)
    # March is too young for an outcome, and half of February is.
    young = (month == "2025-03") | ((month == "2025-02") & (rng.random(rows) < 0.5))
    columns = {
        "step": rng.choice(["mql", "sql"], rows),
        "month": month,
        "grade": rng.choice(["A", "B", "C"], rows),
        "qualified_because": np.where(explored, "explore", "probability"),
        "probability": rng.random(rows),
        "handover_chance": pa.array(chance, mask=rng.random(rows) < 0.1),
        "cluster": rng.integers(0, 300, rows),
        "label": pa.array((rng.random(rows) < 0.3).astype(np.int8), mask=young),
        "touch_hours": pa.array(hours, mask=rng.random(rows) < 0.4),
        "is_due": rng.random(rows) < 0.9,
        "in_time": rng.random(rows) < 0.5,
        "reason": pa.array(reason, mask=reason == ""),
    }
    return pa.table(columns).cast(FOLLOWED_HANDOVERS)


def test_table_equals_sql():
    followed = make_followed()
    found = build_qualification_table(followed, ABOVE, MONDAY)
    with duckdb.connect() as con:
        con.register("followed", followed)
        expected = con.sql(COUNTS).to_arrow_table()
    assert found.num_rows == expected.num_rows
    for name in expected.column_names:
        own, wanted = found[name].to_pylist(), expected[name].to_pylist()
        if name == "touch_hours_50":
            wanted = [None if value in (None, float("inf")) else value for value in wanted]
        assert own == (wanted if name in ("step", "month", "band") else pytest.approx(wanted)), name
    assert found.schema.equals(QUALIFICATION, check_metadata=False)


def test_intervals_are_those_of_the_rows_of_each_part():
    followed = make_followed()
    rows = build_qualification_table(followed, ABOVE, MONDAY).to_pylist()
    (row,) = [r for r in rows if (r["step"], r["month"], r["band"]) == ("mql", "2025-01", "B")]
    own = [
        r
        for r in followed.to_pylist()
        if (r["step"], r["month"], r["grade"]) == ("mql", "2025-01", "B")
    ]
    label, cluster = (np.array([r[name] for r in own]) for name in ("label", "cluster"))
    expected = estimate_rate(label, np.ones(len(own)), cluster)
    found = tuple(row[name] for name in ("rate", "rate_low", "rate_high"))
    assert found == pytest.approx(expected[:3])


def test_immature_hand_overs_are_no_refusals():
    followed = make_followed()
    rows = build_qualification_table(followed, ABOVE, MONDAY).to_pylist()
    march = [row for row in rows if row["month"] == "2025-03"]
    assert march and not any(row["mature"] or row["complete"] for row in march)
    assert {row[name] for row in march for name in ("rate", "rate_low", "rate_all")} == {None}
    # Without these rows all other months stay the same.
    older = followed.filter(pa.compute.not_equal(followed["month"], "2025-03"))
    names = ("step", "month", "band", "mature", "outcomes", "rate", "rate_low", "rate_all")
    assert [[row[name] for name in names] for row in rows if row["month"] != "2025-03"] == [
        [row[name] for name in names]
        for row in build_qualification_table(older, ABOVE, MONDAY).to_pylist()
    ]


def test_company_without_hand_overs_has_an_empty_table():
    empty = FOLLOWED_HANDOVERS.empty_table()
    assert build_qualification_table(empty, ABOVE, MONDAY).num_rows == 0
