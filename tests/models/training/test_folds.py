"""Rolling origins keep time rule 4; entity folds keep entities together."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from features.tools.supported_span import find_supported_span
from models.training.folds import (
    RowKeys,
    hash_entities,
    mask_unseen_keys,
    split_by_cluster,
    split_latest_rows,
    split_rolling_origin,
)

DAY = 86_400_000_000
CUTOFFS = st.lists(st.integers(0, 400), min_size=1, max_size=60).map(
    lambda days: np.array(days, dtype=np.int64) * DAY
)
SHARES = st.floats(0.05, 0.95)
# Shares without rounding, so that the oracle adds up the same numbers.
QUARTERS = (0.25, 0.5, 0.75)


def days(count: float) -> timedelta:
    return timedelta(days=count)


def split_or_empty(cutoff, horizon, embargo, folds, share):
    try:
        return split_rolling_origin(cutoff, days(horizon), days(embargo), folds, share)
    except DataError:
        return []


def oracle(
    cutoff: list[int], gap: int, folds: int, share: float
) -> list[tuple[list[int], list[int]]]:
    """Return train and test rows, row by row from the definition."""
    first_edge, end = find_supported_span(np.array(cutoff))
    start = end - int((end - first_edge) * share)
    found = []
    for k in range(folds):
        low, high = start + (end - start) * k // folds, start + (end - start) * (k + 1) // folds
        test = [i for i, c in enumerate(cutoff) if low <= c < high]
        if not test:
            continue
        first = min(cutoff[i] for i in test)
        train = [i for i, c in enumerate(cutoff) if c + gap <= first and c < first]
        if train:
            found.append((train, test))
    return found


@settings(max_examples=60)
@given(CUTOFFS, st.integers(0, 90), st.integers(0, 20), st.integers(1, 6), SHARES)
def test_rolling_origin_equals_the_definition_row_by_row(cutoff, horizon, embargo, folds, share):
    found = [
        (f.train.tolist(), f.test.tolist())
        for f in split_or_empty(cutoff, horizon, embargo, folds, share)
    ]
    assert found == oracle(cutoff.tolist(), (horizon + embargo) * DAY, folds, share)


@settings(max_examples=60)
@given(CUTOFFS, st.integers(0, 90), st.integers(0, 20), st.integers(1, 6), SHARES)
def test_label_windows_of_train_rows_end_before_test(cutoff, horizon, embargo, folds, share):
    tested: list[int] = []
    for fold in split_or_empty(cutoff, horizon, embargo, folds, share):
        first = cutoff[fold.test].min()
        assert cutoff[fold.train].max() + (horizon + embargo) * DAY <= first
        assert not set(fold.train) & set(fold.test)
        tested += fold.test.tolist()
    assert len(tested) == len(set(tested))


@settings(max_examples=60)
@given(CUTOFFS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_rolling_origin_does_not_depend_on_the_order_of_rows(cutoff, random, folds):
    order = np.array(random.sample(range(cutoff.size), cutoff.size))
    reference = split_or_empty(cutoff, 7, 0, folds, 0.5)
    mixed = split_or_empty(cutoff[order], 7, 0, folds, 0.5)
    assert [(set(f.train), set(f.test)) for f in reference] == [
        (set(order[f.train]), set(order[f.test])) for f in mixed
    ]


def latest_rows_oracle(
    cutoff: list[int], gap: int, folds: int, share: float
) -> list[tuple[list[int], list[int]]]:
    """Return train and test rows: each window begins at the instant nearest to its share."""
    instants = sorted(set(cutoff))[1:]
    starts = []
    for k in range(folds if instants else 0):
        wanted = len(cutoff) * (1 - share + share * k / folds)
        starts.append(min(instants, key=lambda i: abs(sum(c < i for c in cutoff) - wanted)))
    found = []
    for low, high in zip(starts, [*starts[1:], max(cutoff) + 1], strict=False):
        test = [i for i, c in enumerate(cutoff) if low <= c < high]
        train = [i for i, c in enumerate(cutoff) if c + gap <= low and c < low]
        if test and train:
            found.append((train, test))
    return found


@settings(max_examples=100)
@given(
    CUTOFFS, st.integers(0, 90), st.integers(0, 20), st.integers(1, 4), st.sampled_from(QUARTERS)
)
def test_latest_rows_equal_the_definition_row_by_row(cutoff, horizon, embargo, folds, share):
    try:
        found = split_latest_rows(cutoff, days(horizon), days(embargo), folds, share)
    except DataError:
        found = []
    assert [(f.train.tolist(), f.test.tolist()) for f in found] == latest_rows_oracle(
        cutoff.tolist(), (horizon + embargo) * DAY, folds, share
    )


def test_latest_quarter_is_of_rows_where_volume_grows():
    """Of ten times the volume in the last tenth of the time, a quarter is the last rows alone."""
    cutoff = np.concatenate([np.arange(90), 90 + np.arange(100) / 10]) * DAY
    fold = split_latest_rows(cutoff.astype(np.int64), days(0), days(0), 1, 0.25)[0]
    by_span = split_rolling_origin(cutoff.astype(np.int64), days(0), days(0), 1, 0.25)[0]
    assert (fold.train.size, fold.test.size) == (142, 48)
    # The span ends with its last week, after 105 days: a quarter of it begins at 78.75.
    assert (by_span.train.size, by_span.test.size) == (79, 111)


def test_instant_on_an_edge_belongs_to_the_later_window():
    cutoff = np.arange(100, dtype=np.int64)
    folds = split_rolling_origin(cutoff, timedelta(0), timedelta(0), 2, 0.4)
    assert [(f.test.min(), f.test.max()) for f in folds] == [(60, 79), (80, 99)]
    assert [f.train.max() for f in folds] == [59, 79]


def test_rows_of_the_first_test_instant_are_not_trained_on():
    cutoff = np.repeat(np.arange(10, dtype=np.int64), 3)
    for fold in split_rolling_origin(cutoff, timedelta(0), timedelta(0), 3, 0.5):
        assert cutoff[fold.train].max() < cutoff[fold.test].min()


@pytest.mark.parametrize("spread", [0, 1, 20])
def test_short_history_is_an_error_with_span_and_horizon(spread):
    with pytest.raises(
        DataError, match=rf"span {spread}\.0 days; horizon 30 days.*\n.*shorter horizon"
    ):
        split_rolling_origin(np.array([0, spread * DAY]), days(30), days(0), 3, 0.4)


def test_empty_history_is_a_data_error():
    with pytest.raises(DataError, match="0 mature rows"):
        split_rolling_origin(np.array([], dtype=np.int64), days(1), days(0), 3, 0.4)


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 30), min_size=12, max_size=80),
    st.integers(2, 5),
    st.randoms(use_true_random=False),
)
def test_split_by_cluster_tests_each_row_once_and_keeps_entities_together(numbers, folds, random):
    entity = np.array([f"lead-{n}" for n in numbers])
    try:
        found = split_by_cluster(entity, folds, seed=3)
    except DataError:
        assert len(set(hash_entities(entity, 3) % np.uint64(folds))) < 2
        return
    assert sorted(np.concatenate([f.test for f in found])) == list(range(entity.size))
    for fold in found:
        assert not set(entity[fold.train]) & set(entity[fold.test])
        assert fold.train.size + fold.test.size == entity.size
    order = np.array(random.sample(range(entity.size), entity.size))
    mixed = split_by_cluster(entity[order], folds, seed=3)
    assert [set(f.test) for f in found] == [set(order[f.test]) for f in mixed]


def test_hash_entities_is_pinned_balanced_and_moved_by_the_seed():
    entity = np.array([f"lead-{n}" for n in range(3000)])
    assert hash_entities(np.array(["привет", "a"]), 0).tolist() == PINNED
    sizes = np.bincount((hash_entities(entity, 0) % np.uint64(3)).astype(int))
    assert sizes.min() > 900
    assert (hash_entities(entity, 0) != hash_entities(entity, 1)).all()


@settings(max_examples=60)
@given(CUTOFFS, st.integers(0, 90), st.integers(1, 4), st.integers(1, 8), st.integers(0, 99))
def test_unseen_keys_are_not_in_the_train_rows(cutoff, horizon, folds, keys, seed):
    entity = np.arange(cutoff.size)
    key = np.random.default_rng(seed).integers(keys, size=cutoff.size)
    found = split_or_empty(cutoff, horizon, 0, folds, 0.5)
    check_unseen(found, RowKeys(entity, cutoff, key), days(horizon))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=12, max_size=80), st.integers(2, 5), st.integers(1, 8))
def test_unseen_keys_of_folds_by_entity_are_not_in_other_entities(numbers, folds, accounts):
    entity = np.array([f"lead-{n}" for n in numbers])
    account = np.array(numbers) % accounts
    try:
        found = split_by_cluster(entity, folds, seed=3)
    except DataError:
        return
    check_unseen(found, RowKeys(entity, np.zeros(entity.size, np.int64), account), None)
    alone = RowKeys(entity, np.zeros(entity.size, np.int64), entity)
    check_unseen(found, alone, None)


def check_unseen(found, rows, gap):
    """Compare row by row with the folds themselves."""
    if not found:
        return
    index = np.concatenate([fold.test for fold in found])
    number = np.repeat(np.arange(len(found)), [fold.test.size for fold in found])
    tested = RowKeys(*(column[index] for column in (rows.entity, rows.cutoff, rows.key)))
    expected = [
        key not in set(rows.key[fold.train].tolist())
        for fold in found
        for key in rows.key[fold.test].tolist()
    ]
    assert mask_unseen_keys(rows, tested, number, gap).tolist() == expected


def test_single_entity_cannot_be_split():
    with pytest.raises(DataError, match="1 of them for 3 folds"):
        split_by_cluster(np.array(["a", "a"]), 3, 0)


PINNED = [10185964128229428279, 3405396810240292928]
