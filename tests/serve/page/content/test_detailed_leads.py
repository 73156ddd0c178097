"""The leads with details are those that sales people are most likely to open."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.score_tables import SCORES
from serve.page.content.detailed_leads import choose_detailed_leads
from tests.serve.samples import a_run, some_scores


def make_scores(rows):
    """Return SCORES with (grade, previous grade, listed) of each lead, best first."""
    run = a_run()
    grades, previous, listed = zip(*rows, strict=True) if rows else ((), (), ())
    ids = [f"lead{place:03}" for place in range(len(rows))]
    return some_scores(
        run,
        ids,
        grade=pa.array(grades, pa.string()),
        previous_grade=pa.array(previous, pa.string()),
        listed=pa.array(listed, pa.string()),
    )


def choose_ids(rows, limit):
    return choose_detailed_leads(make_scores(rows), limit)["entity_id"].to_pylist()


def test_leads_are_all_chosen_where_they_fit():
    scores = make_scores([("D", "D", None)] * 3)
    assert choose_detailed_leads(scores, 3).equals(scores)


def test_listed_leads_come_first_and_groups_take_turns():
    rows = [
        ("A", "A", None),  # 0 best
        ("A", "A", None),  # 1 best
        ("A", None, None),  # 2 new in A: no earlier score
        ("A", "B", None),  # 3 new in A
        ("B", "B", None),  # 4 other
        ("B", "A", None),  # 5 fallen
        ("C", "D", None),  # 6 other: it rose
        ("D", "C", None),  # 7 fallen
        ("D", "D", "explore"),  # 8 listed
    ]
    order = [8, 2, 0, 5, 3, 1, 7, 4, 6]
    for limit in range(1, len(rows) + 1):
        assert choose_ids(rows, limit) == [f"lead{place:03}" for place in sorted(order[:limit])]


def test_targets_share_the_places_by_rank():
    scores = some_scores(a_run(targets=("close", "propensity")), ["a", "b", "c", "d"])
    chosen = choose_detailed_leads(scores, 4)
    assert list(zip(chosen["target"].to_pylist(), chosen["rank"].to_pylist(), strict=True)) == [
        ("close", 1),
        ("close", 2),
        ("propensity", 1),
        ("propensity", 2),
    ]


LEAD = st.tuples(
    st.sampled_from("ABCD"),
    st.sampled_from([None, *"ABCD"]),
    st.sampled_from([None, None, None, "pick"]),
)


@given(st.lists(LEAD, max_size=30), st.integers(1, 30))
def test_better_leads_of_the_same_kind_are_chosen_first(rows, limit):
    scores = make_scores(rows)
    chosen = choose_detailed_leads(scores, limit)
    assert chosen.schema == SCORES
    assert chosen.num_rows == min(limit, len(rows))
    ids = set(chosen["entity_id"].to_pylist())
    for place, row in enumerate(rows):
        if f"lead{place:03}" in ids:
            assert all(f"lead{before:03}" in ids for before in range(place) if rows[before] == row)
