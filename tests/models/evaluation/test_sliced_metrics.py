"""Counts and metrics of slices.

Counts are checked by hand and metrics against those of the slice's rows; small slices have none.
"""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.evaluation.metrics import PredictedRows
from models.evaluation.sliced_metrics import (
    MAX_VALUES,
    MIN_OUTCOMES,
    MIN_ROWS,
    MISSING,
    OTHERS,
    compute_sliced_metrics,
    mask_by_value,
)


def predicted(rows: int, seed: int = 0) -> PredictedRows:
    generator = np.random.default_rng(seed)
    probability = generator.random(rows)
    label = (generator.random(rows) < probability).astype(int)
    return PredictedRows(label, probability, generator.integers(rows // 2, size=rows).astype(str))


def test_slice_has_own_counts_and_metrics():
    rows = predicted(400)
    mask = np.arange(400) % 3 == 0
    part = compute_sliced_metrics(rows, {"third": mask})["third"]
    assert (part.rows, part.outcomes) == (134, rows.label[mask].sum())
    assert part.entities == len(set(rows.entity_id[mask]))
    assert part.estimates["roc_auc"].value == pytest.approx(
        roc_auc_score(rows.label[mask], rows.probability[mask])
    )
    assert (
        part.estimates["roc_auc"].low
        < part.estimates["roc_auc"].value
        < part.estimates["roc_auc"].high
    )


def test_disjoint_slices_add_up_to_all_rows():
    rows = predicted(600)
    fold = np.arange(600) % 3
    parts = compute_sliced_metrics(rows, {None: fold >= 0, **{k: fold == k for k in range(3)}})
    for name in ("log_loss", "brier", "outcome_rate", "mean_predicted"):
        values = [parts[k].estimates[name].value for k in range(3)]
        assert parts[None].estimates[name].value == pytest.approx(
            np.average(values, weights=[200] * 3)
        )
    assert parts[None].outcomes == sum(parts[k].outcomes for k in range(3))


@given(st.integers(0, 2 * MIN_ROWS), st.integers(0, 3 * MIN_OUTCOMES), st.booleans())
@settings(max_examples=30, deadline=None)
def test_small_slice_is_marked_and_has_no_metrics(rows, rarer, mostly):
    rarer = min(rarer, rows)
    label = np.concatenate([np.arange(rows) < rarer, np.ones(200)])
    label[:rows] = label[:rows] if not mostly else 1 - label[:rows]
    every = PredictedRows(label, np.linspace(0, 1, rows + 200), np.arange(rows + 200))
    part = compute_sliced_metrics(every, {"some": np.arange(rows + 200) < rows}, replicates=1)[
        "some"
    ]
    assert part.too_small == (rows < MIN_ROWS or min(rarer, rows - rarer) < MIN_OUTCOMES)
    assert bool(part.estimates) != part.too_small
    assert part.to_json()["too_small"] == part.too_small


def test_metric_of_few_rows_is_left_out():
    rows = predicted(400)
    low = rows.probability < 0.5
    ten = PredictedRows(rows.label, rows.probability, rows.entity_id, capacity=40)
    parts = compute_sliced_metrics(ten, {"low": low, "high": ~low})
    assert parts["high"].estimates["lift_at_capacity"].n == 40
    assert "lift_at_capacity" not in parts["low"].estimates and "roc_auc" in parts["low"].estimates


def test_empty_masks_give_no_metrics():
    assert compute_sliced_metrics(predicted(10), {}) == {}


VALUES = st.lists(
    st.one_of(st.none(), st.sampled_from([OTHERS, MISSING, *(f"v{n}" for n in range(15))])),
    max_size=80,
)


@given(VALUES, st.lists(st.sampled_from(["v0", "v3", "none of them"]), unique=True, max_size=3))
@settings(max_examples=80, deadline=None)
def test_value_masks_partition_rows(values, order):
    values = [v for v in values if v not in (OTHERS, MISSING)]
    masks = mask_by_value(values, order)
    assert sum((mask.astype(int) for mask in masks.values()), np.zeros(len(values))).tolist() == [
        1
    ] * len(values)
    counts = Counter(values)
    for name, mask in masks.items():
        if name == MISSING:
            assert [v is None for v in values] == mask.tolist()
        elif name != OTHERS:
            assert [v == name for v in values] == mask.tolist()
    shown = [name for name in masks if name not in (OTHERS, MISSING)]
    assert shown[: len([v for v in order if counts[v]])] == [v for v in order if counts[v]]
    free = [name for name in shown if name not in order]
    hidden = [v for v in counts if v is not None and v not in shown]
    assert len(free) <= MAX_VALUES and (len(free) == MAX_VALUES or not hidden)
    assert max((counts[v] for v in hidden), default=0) <= min((counts[v] for v in free), default=0)
