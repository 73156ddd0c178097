"""Encoding: a fitted encoding maps later columns in the same way."""

import collections
import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from models.encoding import MAX_CATEGORIES, Encoding

TEXTS = st.lists(
    st.one_of(st.none(), st.sampled_from(["a", "b", "ё", "🙂", ""])), min_size=1, max_size=30
)
NUMBERS = st.lists(st.one_of(st.none(), st.floats(width=32)), min_size=1, max_size=30)


def table(**columns) -> pa.Table:
    kinds = {str: pa.string(), float: pa.float64()}
    return pa.table(
        {
            name: values
            if isinstance(values, pa.Array)
            else pa.array(values, kinds[next((type(v) for v in values if v is not None), float)])
            for name, values in columns.items()
        }
    )


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_categories_are_coded_by_frequency_then_text(seen, later):
    training = table(
        c=pa.array(seen, pa.string()), n=[float(i) for i in range(len(seen) - 1)] + [None]
    )
    counts = collections.Counter(text for text in seen if text is not None)
    order = sorted(counts, key=lambda text: (-counts[text], text))
    expected_names = [] if len(set(seen)) < 2 else ["c"]
    if len(seen) > 1:
        expected_names.append("n")
    if not expected_names:
        with pytest.raises(DataError, match="no feature varies"):
            Encoding.fit(training, ["c", "n"])
        return
    encoding = Encoding.fit(training, ["c", "n"])
    assert encoding.names == expected_names
    if "c" not in expected_names:
        return
    codes = Encoding(encoding.features[:1]).encode(pa.table({"c": pa.array(later, pa.string())}))[
        :, 0
    ]
    expected = [float(order.index(text)) if text in counts else math.nan for text in later]
    assert all(same(a, b) for a, b in zip(codes, expected, strict=True))


@settings(max_examples=60)
@given(NUMBERS)
def test_numbers_stay_and_infinite_ones_are_missing(values):
    column = pa.array(values, pa.float64())
    try:
        encoding = Encoding.fit(pa.table({"x": column}), ["x"])
    except DataError:
        known = [v if v is not None and math.isfinite(v) else None for v in values]
        assert len(set(known)) < 2
        return
    codes = encoding.encode(pa.table({"x": column}))[:, 0]
    expected = [v if v is not None and math.isfinite(v) else math.nan for v in values]
    assert all(same(a, b) for a, b in zip(codes, expected, strict=True))


def test_categories_are_limited_to_the_most_frequent():
    texts = [f"v{i:04d}" for i in range(1_045) for _ in range(2 if i >= 100 else 1)]
    feature = Encoding.fit(table(c=texts), ["c"]).features[0]
    assert len(feature.categories) == MAX_CATEGORIES
    assert feature.categories[0] == "v0100"
    assert feature.categories[945:] == tuple(f"v{i:04d}" for i in range(55))


def test_constant_columns_are_left_out_unless_sometimes_missing():
    matrix = table(
        same=[1.0, 1.0, 1.0],
        none=pa.array([None] * 3, pa.float64()),
        nothing=pa.array([None] * 3, pa.string()),
        one=["a", "a", "a"],
        at_times=[1.0, None, 1.0],
        text=["a", None, "a"],
    )
    encoding = Encoding.fit(matrix, matrix.column_names)
    assert encoding.names == ["at_times", "text"]
    assert encoding.categorical == [1]


def test_row_order_and_chunks_change_nothing():
    texts = ["b", "a", None, "c", "a", "b"]
    matrix = table(c=texts)
    parts = pa.concat_tables([table(c=texts[3:]), table(c=texts[:3])])
    assert Encoding.fit(matrix, ["c"]) == Encoding.fit(parts, ["c"])
    encoding = Encoding.fit(matrix, ["c"])
    np.testing.assert_array_equal(encoding.encode(parts)[3:], encoding.encode(matrix)[:3])


@pytest.mark.parametrize("count", [0, 1, 24, 25, 160])
def test_encoding_is_independent_of_the_read_size(count, monkeypatch):
    random = np.random.default_rng(count)
    matrix = table(
        n=np.where(random.random(160) < 0.2, np.inf, random.random(160)).tolist(),
        c=list("abcd") * 40,
    )
    encoding, rows = Encoding.fit(matrix, ["n", "c"]), random.permutation(160)[:count]
    alone = [encoding.encode(matrix.slice(row, 1))[0] for row in rows]
    monkeypatch.setattr("models.encoding.READ_ROWS", 3)
    monkeypatch.setattr("models.encoding.CACHE_ROWS", 2)
    np.testing.assert_array_equal(encoding.encode(matrix, rows), np.array(alone).reshape(-1, 2))
    np.testing.assert_array_equal(
        encoding.encode(matrix.take(pa.array(rows))), np.array(alone).reshape(-1, 2)
    )


def test_encoding_round_trips_through_json():
    encoding = Encoding.fit(table(x=[1.0, 2.0], c=["ё", "🙂"]), ["x", "c"])
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


def test_missing_column_is_named():
    encoding = Encoding.fit(table(x=[1.0, 2.0]), ["x"])
    with pytest.raises(DataError, match=r"\[x\]"):
        encoding.encode(table(y=[1.0]))
    with pytest.raises(DataError, match=r"\[z\]"):
        Encoding.fit(table(x=[1.0, 2.0]), ["z"])


def test_changed_type_is_named():
    encoding = Encoding.fit(table(x=[1.0, 2.0]), ["x"])
    with pytest.raises(DataError, match=r"\[x\]: string\n.*double"):
        encoding.encode(table(x=["1", "2"]))
    with pytest.raises(DataError, match="int64"):
        Encoding.fit(pa.table({"x": pa.array([1, 2])}), ["x"])
