"""A column's profile follows from all of its values, in any order and type."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.proposal.reading.column_profile import (
    CATEGORY,
    EMPTY,
    NUMBER,
    TIME,
    TRUTH,
    profile_column,
)

DAY = datetime.fromisoformat("2024-03-01 09:30")


def profile(*values):
    return profile_column("column", pa.chunked_array([pa.array(values)]))


@pytest.mark.parametrize(
    "values, kind",
    [
        (("2024-01-02", "2024-02-03 10:00", "2024-02-03T10:00:00Z"), TIME),
        ((DAY, None, DAY + timedelta(1)), TIME),
        (("1", "2.5", "1 200,50", "7%"), NUMBER),
        ((1, 2, 3), NUMBER),
        (("yes", "no", "yes"), TRUTH),
        (("да", "нет"), TRUTH),
        ((True, False), TRUTH),
        (("web", "phone", "2024-01-02"), CATEGORY),
        ((None, None), EMPTY),
    ],
)
def test_kind_is_that_of_nearly_all_values(values, kind):
    assert profile(*values).kind == kind


@pytest.mark.parametrize(
    "pattern, make",
    [
        ("e-mail", lambda i: f"person{i}@example.com"),
        ("phone", lambda i: f"+49 30 {1000000 + i}"),
        ("address of a page", lambda i: f"https://example.com/{i}"),
        ("free text", lambda i: f"Customer {i} asked for an offer and a call in the next week"),
        ("person", lambda i: f"Anna {chr(65 + i % 26)}b{'c' * (i % 7)}"),
        ("", lambda i: ("web", "phone", "Trade Fair")[i % 3]),
    ],
)
def test_personal_pattern_is_found(pattern, make):
    assert profile(*map(make, range(120))).personal == pattern


TIMES = st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2040-01-01"))
VALUES = st.one_of(
    st.none(),
    st.sampled_from(["a", "b", "won", "2024-01-01", "2024-01-01 08:00", "5", "1,5", "yes", "no"]),
)


@settings(max_examples=60)
@given(st.lists(VALUES, max_size=40).flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))))
def test_order_of_rows_and_chunks_is_irrelevant(both):
    values, shuffled = both
    first = profile_column("c", pa.chunked_array([pa.array(values, pa.string())]))
    half = len(shuffled) // 2
    parts = [pa.array(part, pa.string()) for part in (shuffled[:half], shuffled[half:])]
    second = profile_column("c", pa.chunked_array(parts))
    for key in ("kind", "rows", "filled", "distinct", "counts", "personal", "zoned", "daily"):
        assert getattr(first, key) == getattr(second, key)
    assert first.filled == sum(value is not None for value in values)
    assert sum(first.counts.values()) == first.filled
    assert first.distinct == len(first.counts)


@settings(max_examples=40)
@given(st.lists(TIMES, min_size=1, max_size=20))
def test_times_are_the_same_as_texts_and_as_a_type(times):
    typed = profile_column("t", pa.chunked_array([pa.array(times, pa.timestamp("us"))]))
    texts = [time.isoformat(" ") for time in times]
    written = profile_column("t", pa.chunked_array([pa.array(texts, pa.string())]))
    assert typed.kind == written.kind == TIME
    assert typed.times.tolist() == written.times.tolist()
    assert typed.daily == written.daily


def test_offsets_and_days_are_counted():
    mixed = profile(
        "2024-01-02T10:00:00+01:00", "2024-01-02 00:00", "2024-01-03", "2024-01-04 05:00"
    )
    assert (mixed.zoned, mixed.daily) == (0.25, 0.5)


def test_flag_and_constant_and_unique_are_known():
    assert profile(0, 1, 1, 0).is_flag
    assert not profile("a", "b").is_flag
    assert profile("x", "x").is_constant
    assert not profile("x", None).is_constant
    assert profile(*range(300)).is_unique
    assert not profile(*range(300), *range(100)).is_unique
