"""Segments of rows: counted among the given rows alone."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.segments.members import MAX_COMPARED, NO_SEGMENT, SegmentMembers

ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "ё", "", None]), st.sampled_from([-1, 0, 1])),
    min_size=1,
    max_size=60,
)


def read_members(rows):
    label = np.array([label for _, label in rows])
    column = pa.chunked_array([pa.array([value for value, _ in rows], pa.string())])
    return SegmentMembers.from_column(column, np.flatnonzero(label >= 0)), label


@given(ROWS)
def test_codes_stand_for_the_values_of_mature_rows(rows):
    members, _ = read_members(rows)
    counts = Counter(value for value, label in rows if label >= 0 and value is not None)
    assert list(members.values) == sorted(counts, key=lambda value: (-counts[value], value))
    for code, (value, _) in zip(members.code, rows, strict=True):
        assert (members.values[code] if code != NO_SEGMENT else None) == (
            value if value in counts else None
        )


@given(ROWS, st.integers(1, 4), st.data())
def test_large_segments_are_those_of_the_given_rows(rows, minimum, data):
    members, label = read_members(rows)
    mature = np.flatnonzero(label >= 0)
    size = data.draw(st.integers(0, len(mature)))
    chosen = mature[:size]
    expected = set()
    for value in members.values:
        own = [rows[i][1] for i in chosen if rows[i][0] == value]
        if own.count(1) >= minimum and own.count(0) >= minimum:
            expected.add(value)
    large = members.list_large(label, chosen, minimum)
    assert set(large) == expected
    codes = members.find_codes(large)
    for code, (value, _) in zip(codes, rows, strict=True):
        assert (large[code] if code >= 0 else None) == (value if value in expected else None)


def test_largest_segments_are_compared_where_there_are_many():
    values = [f"v{i:02}" for i in range(30) for _ in range(4 + i)]
    label = np.arange(len(values)) % 2
    members = SegmentMembers.from_column(
        pa.chunked_array([pa.array(values)]), np.arange(len(values))
    )
    large = members.list_large(label, np.arange(len(values)), 2)
    assert large == tuple(f"v{i:02}" for i in range(29, 29 - MAX_COMPARED, -1))
