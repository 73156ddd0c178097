"""Numbers of a page are rounded as they are written."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve.page.content.packed_columns import ARRAY_TYPES, null_of, round_as_shown, to_array


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1e9), st.integers(0, 2))
@example(100 * 0.0005, 1)
@example(100 * 0.0015, 1)
@example(2.675, 2)
@example(0.5, 0)
@example(1.5, 0)
def test_rounding_has_the_digits_of_format(number, digits):
    (found,) = round_as_shown(np.array([number]), digits)
    assert int(found) == int(f"{number:.{digits}f}".replace(".", ""))


def test_ties_of_per_cents_are_rounded_as_written():
    shares = np.arange(0, 20_001) / 20_000
    found = round_as_shown(100 * shares, 1)
    assert [f"{tenths / 10:.1f}" for tenths in found] == [f"{100 * p:.1f}" for p in shares]


def test_missing_numbers_stay_missing():
    assert np.isnan(round_as_shown(np.array([np.nan]), 2)).all()


@pytest.mark.parametrize("name", [name for name in ARRAY_TYPES if "int" in name])
@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.int64()])
def test_null_of_a_column_is_the_null_of_its_array(name, kind):
    dtype = np.dtype(name).type
    found = to_array(pa.chunked_array([pa.array([7, None], kind), pa.array([0], kind)]), dtype)
    assert found.tolist() == [7, null_of(dtype), 0] and found.dtype == name
