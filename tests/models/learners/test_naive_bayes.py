"""Naive Bayes against counting by hand: products of shares, without logarithms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learners.fit_input import FitInput
from models.learners.naive_bayes import MAX_FIELD_VALUES, NaiveBayes

gap = st.just(math.nan)
tables = st.lists(
    st.tuples(st.integers(0, 3) | gap, st.integers(0, 2) | gap, st.integers(0, 1)),
    min_size=2,
    max_size=40,
).filter(lambda rows: 0 < sum(won for *_, won in rows) < len(rows))


def predict_by_hand(training: list[tuple], lead: tuple) -> float:
    """Multiply the shares of won and of lost leads that have each of the lead's values."""
    won = sum(row[-1] for row in training) / len(training)
    scores = [won, 1 - won]
    for field in range(len(lead)):
        seen = {row[field] for row in training if not math.isnan(row[field])}
        if lead[field] not in seen:
            continue
        for side, outcome in enumerate((1, 0)):
            counts = {
                value: 0.1
                + sum(1 for row in training if row[field] == value and row[-1] == outcome)
                for value in seen
            }
            scores[side] *= counts[lead[field]] / sum(counts.values())
    return min(max(scores[0] / sum(scores), 0.0001), 0.9999)


@given(tables, st.lists(st.tuples(st.integers(0, 4) | gap, st.integers(0, 2) | gap), max_size=8))
def test_probability_equals_shares_multiplied_by_hand(training, leads):
    table = np.array(training, dtype=float)
    model = NaiveBayes.fit(FitInput(table[:, :2], [0], 0), table[:, 2].astype(np.int64))
    asked = np.array([*(row[:2] for row in training), *leads], dtype=float)
    margin = model.margin(asked)
    expected = [predict_by_hand(training, tuple(lead)) for lead in asked.tolist()]
    np.testing.assert_allclose(1 / (1 + np.exp(-margin)), expected, rtol=1e-9)
    np.testing.assert_allclose(model.contributions(asked).sum(axis=1), margin, atol=1e-9)


def certain(columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return many equal fields: multiplied, their probability is extreme."""
    y = np.arange(200) % 2
    return np.column_stack([y.astype(float)] * columns), y


def test_clipped_margin_still_equals_the_contributions():
    x, y = certain(6)
    model = NaiveBayes.fit(FitInput(x, [], 0), y)
    margin, parts = model.margin(x), model.contributions(x)
    np.testing.assert_allclose(1 / (1 + np.exp(-margin)), np.where(y == 1, 0.9999, 0.0001))
    np.testing.assert_allclose(parts.sum(axis=1), margin, atol=1e-9)
    assert (np.sign(parts[:, :-1]) == np.where(y == 1, 1, -1)[:, None]).all()


def test_fields_are_categories_and_numbers_of_few_values():
    random = np.random.default_rng(0)
    columns = [
        random.integers(0, 40, 500),
        random.integers(0, 5, 500),
        random.integers(0, 6, 500),
        np.full(500, np.nan),
    ]
    x = np.column_stack([*columns, random.normal(size=500)]).astype(float)
    model = NaiveBayes.fit(FitInput(x, [0, 3], 0), random.integers(0, 2, 500))
    assert MAX_FIELD_VALUES == 5
    assert [field.column for field in model.fields] == [0, 1]


def test_model_without_fields_is_the_base_rate():
    x = np.linspace(0, 1, 50)[:, None]
    model = NaiveBayes.fit(FitInput(x, [], 0), (np.arange(50) < 10).astype(np.int64))
    np.testing.assert_allclose(1 / (1 + np.exp(-model.margin(x))), 0.2)


@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 1.9, 200)])
def test_sample_weights_are_ignored(weight):
    x, y = certain(2)
    assert NaiveBayes.fit(FitInput(x, [0], 1, weight=weight), y) == NaiveBayes.fit(
        FitInput(x, [0], 2), y
    )
