"""Metrics at capacity against brute force.

Rows are worked one at a time, and the metrics of a slice are those of its rows when all rows are
ranked.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.capacity_metrics import DEFAULT_CAPACITY_SHARE
from models.evaluation.metrics import (
    PredictedRows,
    draw_cluster_weights,
    evaluate_rows,
    evaluate_slices,
)

VALUE = "value_captured_at_capacity"


def company(seed: int, rows: int, ties: int | None = None, batches: int = 3):
    """Return label, probability, entity, cutoff and amount of rows; a fifth of the amounts are not
    known.
    """
    generator = np.random.default_rng(seed)
    probability = generator.random(rows)
    if ties:
        probability = np.round(probability * ties) / ties
    label = (generator.random(rows) < probability).astype(int)
    amount = np.where(
        generator.random(rows) < 0.2, np.nan, generator.integers(1, 5 if ties else 1000, rows)
    )
    entity = generator.integers(max(1, rows // 3), size=rows).astype(str)
    return label, probability, entity, generator.integers(batches, size=rows), amount


def taken_one_by_one(score, batch, capacity, weight):
    """Return how much of each row is taken: rows are drawn from the top; ties share what room is
    left.
    """
    taken = np.zeros(len(score))
    for cutoff in set(batch.tolist()):
        rows = np.flatnonzero(batch == cutoff)
        room = capacity if capacity is not None else DEFAULT_CAPACITY_SHARE * weight[rows].sum()
        for level in sorted(set(score[rows].tolist()), reverse=True):
            tied = rows[score[rows] == level]
            whole = weight[tied].sum()
            if whole:
                taken[tied] = min(1.0, room / whole)
            room = max(0.0, room - whole)
    return taken * weight


def share(held, of):
    return held / of if of > 0 else np.nan


def oracle(rows, mask, capacity, weight):
    """Return precision and lift at capacity and the value captured of the rows of a mask."""
    label, probability, _, cutoff, amount = rows
    worked = taken_one_by_one(probability, cutoff, capacity, weight)[mask]
    precision = share((worked * label[mask]).sum(), worked.sum())
    rate = share((weight * label)[mask].sum(), weight[mask].sum())
    known = np.nan_to_num(amount)
    by_value = taken_one_by_one(probability * known, cutoff, capacity, weight)[mask]
    realised = (label * known)[mask]
    value = share((by_value * realised).sum(), (weight[mask] * realised).sum())
    return {
        "precision_at_capacity": precision,
        "lift_at_capacity": share(precision, rate),
        VALUE: value,
    }


def given_rows(rows, capacity):
    label, probability, entity, cutoff, amount = rows
    return PredictedRows(
        label, probability, entity, cutoff=cutoff, capacity=capacity, amount=amount
    )


@given(
    st.integers(0, 2**32),
    st.integers(1, 60),
    st.sampled_from([None, 2, 5]),
    st.sampled_from([None, 1, 4, 1000]),
)
@settings(max_examples=40, deadline=None)
def test_slices_match_brute_force_with_its_interval(seed, count, ties, capacity):
    rows = company(seed, count, ties)
    masks = {
        "all": np.ones(count, bool),
        "odd": np.arange(count) % 2 == 1,
        "first": np.arange(count) < 1,
    }
    metrics = evaluate_slices(given_rows(rows, capacity), masks, seed=3, replicates=4)
    for name, mask in masks.items():
        point = oracle(rows, mask, capacity, np.ones(count))
        drawn = [
            oracle(rows, mask, capacity, weight) for weight in draw_cluster_weights(rows[2], 3, 4)
        ]
        for key, value in point.items():
            figure = metrics[name][key]
            assert figure.value == pytest.approx(value, nan_ok=True)
            replicated = [r[key] for r in drawn if np.isfinite(r[key])]
            if np.isfinite(value) and replicated:
                assert [figure.low, figure.high] == pytest.approx(
                    list(np.quantile(replicated, [0.05, 0.95]))
                )
        assert metrics[name]["roc_auc"].n == mask.sum()
        worked = taken_one_by_one(rows[1], rows[3], capacity, np.ones(count))[mask].sum()
        assert abs(metrics[name]["precision_at_capacity"].n - worked) <= 0.5 + 1e-9
        assert metrics[name][VALUE].n == (mask & np.isfinite(rows[4])).sum()


@given(st.integers(0, 2**32), st.integers(2, 60), st.sampled_from([None, 3]))
@settings(max_examples=30, deadline=None)
def test_slice_of_whole_cutoff_has_metrics_of_its_rows_alone(seed, count, ties):
    label, probability, entity, cutoff, _ = company(seed, count, ties)
    mask = cutoff == cutoff[0]
    stratum = np.arange(count) % 2
    both = PredictedRows(label, probability, entity, stratum, cutoff, 3)
    part = evaluate_slices(both, {"one": mask}, replicates=1)["one"]
    alone = evaluate_rows(
        label[mask],
        probability[mask],
        entity[mask],
        stratum=stratum[mask],
        capacity=3,
        replicates=1,
    )
    assert set(part) == set(alone)
    for name, figure in part.items():
        assert figure.value == pytest.approx(alone[name].value, nan_ok=True, rel=1e-6)


@given(st.integers(0, 2**32), st.integers(2, 60), st.sampled_from([None, 3]), st.floats(0.01, 1e6))
@settings(max_examples=30, deadline=None)
def test_equal_amounts_capture_share_of_worked_outcomes(seed, count, ties, amount):
    label, probability, entity, cutoff, _ = company(seed, count, ties)
    rows = PredictedRows(label, probability, entity, cutoff=cutoff, capacity=4, amount=amount)
    metrics = evaluate_slices(rows, {0: np.ones(count, bool)}, replicates=1)[0]
    worked = np.minimum(4, np.bincount(cutoff)).sum()
    expected = share(metrics["precision_at_capacity"].value * worked, label.sum())
    assert metrics[VALUE].value == pytest.approx(expected, nan_ok=True)


@given(st.integers(0, 2**32), st.integers(2, 60), st.sampled_from([None, 2, 5]))
@settings(max_examples=20, deadline=None)
def test_row_order_changes_no_bit_of_captured_value(seed, count, ties):
    rows = company(seed, count, ties)
    order = np.random.default_rng(seed + 1).permutation(count)
    masks = {"all": np.ones(count, bool), "odd": np.arange(count) % 2 == 1}
    straight = evaluate_slices(given_rows(rows, 2), masks, replicates=3)
    mixed_masks = {name: mask[order] for name, mask in masks.items()}
    mixed = evaluate_slices(
        given_rows(tuple(column[order] for column in rows), 2), mixed_masks, replicates=3
    )
    assert {k: str(v) for k, v in straight.items()} == {k: str(v) for k, v in mixed.items()}


@given(st.integers(0, 2**32), st.integers(1, 50), st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_captured_value_rises_with_capacity_to_one(seed, count, capacity):
    rows = company(seed, count)
    everything = {0: np.ones(count, bool)}
    few, more = (
        evaluate_slices(given_rows(rows, c), everything, replicates=1)[0][VALUE].value
        for c in (capacity, 60)
    )
    if np.isfinite(more):
        assert 0 <= few <= more == pytest.approx(1)


def test_captured_value_follows_expected_value_not_probability():
    rows = PredictedRows(
        [1, 1, 0], [0.9, 0.5, 0.1], list("abc"), capacity=1, amount=[10, 100, 1000]
    )
    metrics = evaluate_slices(rows, {0: np.ones(3, bool)})[0]
    assert (
        metrics[VALUE].value == 0
    )  # 0.1 × 1000 is the largest expectation, and it is not realised
    sure = PredictedRows(
        [1, 1, 0], [0.9, 0.5, 0.01], list("abc"), capacity=1, amount=[10, 100, 1000]
    )
    assert evaluate_slices(sure, {0: np.ones(3, bool)})[0][VALUE].value == pytest.approx(100 / 110)


def test_given_expected_value_decides_and_realized_amounts_count():
    """Amounts that are known only afterwards must not say who is worked."""
    amount, value = [10, 100, 0], [5.0, 1.0, np.nan]
    rows = PredictedRows(
        [1, 1, 0], [0.9, 0.5, 0.95], list("abc"), capacity=1, amount=amount, expected_value=value
    )
    assert evaluate_slices(rows, {0: np.ones(3, bool)})[0][VALUE].value == pytest.approx(10 / 110)
    first = PredictedRows(
        [1, 1, 0],
        [0.9, 0.5, 0.95],
        list("abc"),
        capacity=1,
        amount=amount,
        expected_value=[1.0, 5.0, 2.0],
    )
    assert evaluate_slices(first, {0: np.ones(3, bool)})[0][VALUE].value == pytest.approx(100 / 110)


def test_captured_value_needs_amounts():
    assert VALUE not in evaluate_rows([0, 1], [0.2, 0.3], ["a", "b"])
