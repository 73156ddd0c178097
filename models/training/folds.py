"""Folds for out-of-time evaluation: rolling origins with purge and embargo, or whole accounts."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from configs.errors import DataError
from features.tools.instants import US_PER_DAY, duration_to_microseconds
from features.tools.supported_span import find_supported_span
from models.training.settings import MIN_CLASS_ROWS, TrainingSettings
from models.training.training_rows import TrainingTable


@dataclass(frozen=True)
class Fold:
    """Rows to fit on and rows to test on; the two have no row in common.

    Attributes:
        train: Positions (int64, ascending) of the train rows.
        test: Positions (int64, ascending) of the test rows.
    """

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class RowKeys:
    """Keys of rows, all of one length.

    Attributes:
        entity: Entity of each row.
        cutoff: Cutoff (int64 microseconds UTC).
        key: Key of interest, such as the account.
    """

    entity: np.ndarray
    cutoff: np.ndarray
    key: np.ndarray


def plan_folds(table: TrainingTable, settings: TrainingSettings) -> list[Fold]:
    """Return the folds of a training, as positions in the table.

    Only mature rows are in a fold. Folds with too few outcomes among their train rows are left
    out: the first folds of a young history often hold no outcome yet.

    Raise DataError, with counts, if there are too few mature rows or outcomes, or if the history
    is too short.
    """
    mature = table.mature_rows
    label = table.label[mature]
    _require_both_classes(label, len(table.label))
    evaluation = settings.evaluation
    if settings.ordered:
        folds = split_rolling_origin(
            table.cutoff[mature],
            settings.horizon,
            evaluation.embargo,
            evaluation.folds,
            evaluation.share,
        )
    else:
        # One part alone would leave no rows to fit on.
        folds = split_by_cluster(table.cluster[mature], max(evaluation.folds, 2), settings.seed)
    return [
        Fold(mature[fold.train], mature[fold.test]) for fold in _keep_trainable_folds(folds, label)
    ]


def count_rarer_class(label: np.ndarray) -> int:
    """Return the number of rows with the rarer of the labels 0 and 1."""
    return int(min(label.sum(), (1 - label).sum()))


def split_rolling_origin(
    cutoff: np.ndarray, horizon: timedelta, embargo: timedelta, folds: int, share: float
) -> list[Fold]:
    """Cut the latest ``share`` of the time range into ``folds`` test windows.

    ``cutoff`` holds the cutoffs of mature rows, int64 microseconds UTC, in any order. The windows
    are consecutive, half-open and of equal length. The train rows of a window are all rows with
    ``cutoff + horizon + embargo <=`` the smallest test cutoff that also lie before it. Windows
    without test or train rows are dropped; raise DataError if none remains.

    Rolling origins: Tashman, "Out-of-sample tests of forecasting accuracy", Int. J. Forecasting 16
    (2000). Purge and embargo: López de Prado, "Advances in Financial Machine Learning" (2018),
    chapter 7.
    """
    windows = _cut_windows(cutoff, folds, share)
    return _make_usable_folds(cutoff, windows, horizon, embargo, share)


def split_latest_rows(
    cutoff: np.ndarray, horizon: timedelta, embargo: timedelta, folds: int, share: float
) -> list[Fold]:
    """Cut the latest ``share`` of the rows into ``folds`` test windows of about equally many rows.

    Arguments, purge, embargo and errors are those of ``split_rolling_origin``. A window begins at
    an instant, the one that comes closest to its share, so that rows of one instant are on one
    side. For splits inside train rows: where volume grows, the latest share of the time range
    holds most rows, and models of the earlier ones would be much smaller than the model that they
    stand for.
    """
    windows = _cut_row_windows(cutoff, folds, share)
    return _make_usable_folds(cutoff, windows, horizon, embargo, share)


def split_by_cluster(cluster: np.ndarray, folds: int, seed: int) -> list[Fold]:
    """Test every row once in one of ``folds`` parts; rows of one cluster stay together.

    For data whose order means nothing. A cluster is an account, or an entity without one. Its part
    depends on its key and the seed alone, so neither the order of the rows nor the presence of
    others moves it. Parts without rows are dropped; raise DataError if fewer than two parts hold
    rows.
    """
    part = hash_entities(cluster, seed) % np.uint64(folds)
    all_folds = [
        Fold(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in np.unique(part)
    ]
    if len(all_folds) < 2:
        raise DataError(
            "too few accounts, or entities without one, to train on some and test on others",
            found=f"{np.unique(cluster).size} of them for {folds} folds",
            fix="provide more leads, or do not map account_id if its column holds no accounts",
        )
    return all_folds


def mask_train_rows(cutoff: np.ndarray, test_start: int, gap: int) -> np.ndarray:
    """Return for each row whether a window that starts at ``test_start`` may train on it.

    It may if ``cutoff + gap <= test_start`` and the row lies before ``test_start``; all in
    microseconds.
    """
    # With a gap of 0 the rows at the start itself are still test rows: hence at least 1.
    return cutoff <= test_start - max(gap, 1)


def mask_unseen_keys(
    mature: RowKeys, tested: RowKeys, fold: np.ndarray, gap: timedelta | None
) -> np.ndarray:
    """Return for each tested row whether no train row of its fold has its key.

    ``mature`` are all mature rows, ``tested`` those of all folds, ``fold`` the fold of each tested
    row. ``gap`` is horizon plus embargo of ``split_rolling_origin``; None means that the folds are
    those of ``split_by_cluster``.
    """
    unseen = np.zeros(len(fold), bool)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        if gap is None:
            train = ~np.isin(mature.entity, tested.entity[rows])
        else:
            test_start = int(tested.cutoff[rows].min())
            train = mask_train_rows(mature.cutoff, test_start, duration_to_microseconds(gap))
        unseen[rows] = ~np.isin(tested.key[rows], mature.key[train])
    return unseen


def hash_entities(entity_id: np.ndarray, seed: int) -> np.ndarray:
    """Return a uint64 for each row, from its id and the seed, on any machine the same.

    The id is that of an entity or the key of a cluster.
    """
    names, row = np.unique(entity_id.astype(str), return_inverse=True)
    salt = seed.to_bytes(16, "little", signed=True)
    digests = b"".join(
        hashlib.blake2b(name.encode(), digest_size=8, salt=salt).digest() for name in names
    )
    # Little-endian by name: the machine's own byte order would give other folds elsewhere.
    return np.frombuffer(digests, dtype="<u8")[row]


def _require_both_classes(label: np.ndarray, all_rows: int) -> None:
    counts = (
        f"{len(label)} of {all_rows} rows are mature, {int(label.sum())} of them with the outcome"
    )
    if not len(label):
        raise DataError(
            "no rows are mature",
            found=counts,
            fix="provide a longer history, choose a shorter horizon, or wait for outcomes",
        )
    if count_rarer_class(label) < MIN_CLASS_ROWS:
        raise DataError(
            "too few outcomes to train on"
            if label.mean() < 0.5
            else "nearly every row has the outcome",
            found=counts,
            fix=f"at least {MIN_CLASS_ROWS} rows with and {MIN_CLASS_ROWS} without the outcome are "
            "needed; check outcome and population",
        )


def _keep_trainable_folds(folds: list[Fold], label: np.ndarray) -> list[Fold]:
    counts = [count_rarer_class(label[fold.train]) for fold in folds]
    if max(counts) < MIN_CLASS_ROWS:
        raise DataError(
            "too few outcomes before the test window to train on",
            where="evaluation",
            found=f"{int(label.sum())} outcomes in all, but at most {max(counts)} train rows of "
            f"the rarer class in each of {len(folds)} folds",
            fix="provide more history, or choose a smaller evaluation.share or a shorter horizon",
        )
    return [fold for fold, count in zip(folds, counts, strict=True) if count >= MIN_CLASS_ROWS]


def _cut_windows(cutoff: np.ndarray, folds: int, share: float) -> list[tuple[int, int]]:
    """Return half-open windows ``[start, end)`` in microseconds UTC."""
    if cutoff.size == 0:
        return []
    # A single early or late row must not move the windows of all others.
    first, end = find_supported_span(cutoff)
    # Whole microseconds, so that no instant falls between two windows.
    start = end - int((end - first) * share)
    edges = [start + (end - start) * k // folds for k in range(folds + 1)]
    return list(itertools.pairwise(edges))


def _cut_row_windows(cutoff: np.ndarray, folds: int, share: float) -> list[tuple[int, int]]:
    """Return half-open windows ``[start, end)`` in microseconds UTC, each from instant to instant.

    There is none where all rows have one instant.
    """
    instants, counts = np.unique(cutoff, return_counts=True)
    if len(instants) < 2:
        return []
    # Rows before each instant; no window begins at the first, before which there is no train row.
    before = np.cumsum(counts)[:-1]
    rows_before = len(cutoff) * (1 - share + share * np.arange(folds) / folds)
    starts = [int(instants[1:][np.abs(before - rows).argmin()]) for rows in rows_before]
    return list(itertools.pairwise([*starts, int(instants[-1]) + 1]))


def _make_usable_folds(
    cutoff: np.ndarray,
    windows: list[tuple[int, int]],
    horizon: timedelta,
    embargo: timedelta,
    share: float,
) -> list[Fold]:
    """Return the purged folds of windows that have train and test rows; raise if none has."""
    gap = duration_to_microseconds(horizon + embargo)
    all_folds = [_make_purged_fold(cutoff, start, end, gap) for start, end in windows]
    usable = [fold for fold in all_folds if fold.train.size and fold.test.size]
    if not usable:
        raise _short_history_error(cutoff, horizon, embargo, share)
    return usable


def _make_purged_fold(cutoff: np.ndarray, start: int, end: int, gap: int) -> Fold:
    test = np.flatnonzero((cutoff >= start) & (cutoff < end))
    # Purged from the first test row rather than from the window's edge: no row is dropped without
    # need.
    test_start = int(cutoff[test].min()) if test.size else start
    return Fold(np.flatnonzero(mask_train_rows(cutoff, test_start, gap)), test)


def _short_history_error(
    cutoff: np.ndarray, horizon: timedelta, embargo: timedelta, share: float
) -> DataError:
    span = (int(cutoff.max()) - int(cutoff.min())) / US_PER_DAY if cutoff.size else 0.0
    horizon_days, embargo_days = horizon / timedelta(days=1), embargo / timedelta(days=1)
    return DataError(
        "the history is too short to train on earlier rows and test on later ones",
        where="evaluation",
        found=f"{cutoff.size} mature rows span {span:.1f} days; horizon {horizon_days:g} days, "
        f"embargo {embargo_days:g} days, the latest {share:.0%} are tested",
        fix="provide more history, or choose a shorter horizon or embargo, or a smaller "
        "evaluation.share",
    )
