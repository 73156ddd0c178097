"""The leads that the list shows where there are many, against a loop over the rows."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.page.content.shown_leads import (
    MAX_LEADS,
    choose_compared_leads,
    choose_shown_rows,
    find_at_risk,
    find_fallen,
    find_new_best,
)
from tests.serve.page.nights import FIRST_NIGHT
from tests.serve.samples import a_run, some_scores

GRADES = st.sampled_from("ABCD")
LEADS = st.lists(
    st.tuples(
        GRADES,
        st.none() | GRADES,
        st.sampled_from([None] * 3 + ["pick", "explore"]),
        st.sampled_from([None] * 3 + [FIRST_NIGHT]),
        st.sampled_from([None, -9, 0, 9]),
    ),
    max_size=25,
)


def table_of(leads, targets=("close", "opportunity")):
    """Return SCORES of the same leads for two targets, the second in the reverse order."""
    rows = [*leads, *reversed(leads)]
    names = ("grade", "previous_grade", "listed", "falling_since", "trend")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    ids = [f"L{number}" for number in range(len(leads))]
    return some_scores(a_run(targets=targets), ids, **columns)


@settings(max_examples=60, deadline=None)
@given(LEADS, st.integers(0, 60))
def test_shown_rows_are_the_kept_ones_and_the_best_others(leads, limit):
    scores = table_of(leads)
    shown = choose_shown_rows(scores, limit).tolist()
    rows = scores.to_pylist()
    assert shown == sorted(set(shown))
    compared = {row["target"] for row in rows if row["previous_grade"]}
    kept = {
        place
        for place, row in enumerate(rows)
        if row["listed"]
        or (row["falling_since"] and (row["trend"] or 0) <= 0)
        or (row["previous_grade"] or "D") < row["grade"]
        or (row["grade"] == "A" != row["previous_grade"] and row["target"] in compared)
    }
    lost = sorted(
        (row["trend"], row["rank"], place)
        for place, row in enumerate(rows)
        if (row["trend"] or 0) < 0
    )
    kept |= {place for _, _, place in lost[:MAX_LEADS]}
    assert kept <= set(shown)
    if len(rows) <= limit:
        assert len(shown) == len(rows)
        return
    others = set(shown) - kept
    assert len(shown) <= max(limit, len(kept))
    # The best of each target, down to the same rank, and as many as fit in.
    left = [rows[place]["rank"] for place in range(len(rows)) if place not in {*shown}]
    last = max((rows[place]["rank"] for place in others), default=0)
    assert all(rank > last for rank in left)
    assert not left or len(shown) + left.count(min(left)) > limit


@settings(max_examples=40, deadline=None)
@given(LEADS)
def test_marks_equal_a_loop_over_the_rows(leads):
    scores = table_of(leads, targets=("close", "opportunity"))
    rows = scores.to_pylist()
    first_night = not any(row["previous_grade"] for row in rows)
    assert find_new_best(scores).to_pylist() == [
        row["grade"] == "A" and row["previous_grade"] != "A" and not first_night for row in rows
    ]
    assert find_fallen(scores).to_pylist() == [
        row["previous_grade"] is not None and row["grade"] > row["previous_grade"] for row in rows
    ]
    # A score that rose tonight is on its way back.
    assert find_at_risk(scores).to_pylist() == [
        row["falling_since"] is not None and (row["trend"] is None or row["trend"] <= 0)
        for row in rows
    ]


def test_compared_leads_have_reasons_and_an_earlier_score():
    run = a_run(targets=("close", "opportunity"))
    ids, some = ["a", "b", "c", "d"], '[{"feature": "f"}]'
    scores = some_scores(
        run, ids, trend=[1, None, 0, -3] * 2, reasons=[some, some, some, "[]", "[]", *[some] * 3]
    )
    rows = choose_shown_rows(scores)
    assert choose_compared_leads(scores, rows) == {"close": ["a", "c"], "opportunity": ["d", "c"]}
    # The largest loss first, then by rank.
    assert choose_compared_leads(scores, rows, 2) == {"close": ["a"], "opportunity": ["d"]}
    assert choose_compared_leads(scores, rows[1:], 1) == {"opportunity": ["d"]}
    assert choose_compared_leads(pa.table(scores.slice(0, 0)), rows[:0]) == {}
