"""Segments for honest figures: rolling origins with purge and embargo, or whole entities without order."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from configs.durations import MICROSECOND
from configs.errors import DataError
from features.contracts import US_PER_DAY


@dataclass(frozen=True)
class Fold:
    """Row indices (int64, ascending) to learn from and to test on; the two have no row in common."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Keys:
    """Rows by entity, cutoff (int64 microseconds UTC) and a key, such as the account; all of one length."""

    entity: np.ndarray
    cutoff: np.ndarray
    key: np.ndarray


def rolling_origin(
    cutoff: np.ndarray, horizon: timedelta, embargo: timedelta, folds: int, share: float
) -> list[Fold]:
    """Cut the latest ``share`` of the time range into ``folds`` test windows, each after all it learns from.

    ``cutoff`` holds the cutoffs of mature rows, int64 microseconds UTC, in any order. The windows are
    consecutive, half-open and of equal length. The train rows of a window are all rows with
    ``cutoff + horizon + embargo <=`` the smallest test cutoff, and before it anyway. Windows without test
    or train rows are dropped; raises DataError if none remains.

    Rolling origins: Tashman, "Out-of-sample tests of forecasting accuracy", Int. J. Forecasting 16 (2000).
    Purge and embargo: López de Prado, "Advances in Financial Machine Learning" (2018), chapter 7.
    """
    gap = (horizon + embargo) // MICROSECOND
    windows = [_purged(cutoff, low, high, gap) for low, high in _windows(cutoff, folds, share)]
    kept = [fold for fold in windows if fold.train.size and fold.test.size]
    if not kept:
        raise _too_short(cutoff, horizon, embargo, share)
    return kept


def by_entity(entity_id: np.ndarray, folds: int, seed: int) -> list[Fold]:
    """Test every row once in one of ``folds`` parts; rows of one entity stay together.

    For data whose order means nothing. The part of an entity depends on its id and the seed alone, so neither
    the order of the rows nor the presence of others moves it. Parts that hold no row are dropped; raises
    DataError if fewer than two parts hold rows.
    """
    part = entity_hash(entity_id, seed) % np.uint64(folds)
    kept = [Fold(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in np.unique(part)]
    if len(kept) < 2:
        raise DataError(
            "too few entities to test on any that were not learnt from",
            found=f"{np.unique(entity_id).size} entities for {folds} folds",
            fix="bring more leads",
        )
    return kept


def learnt_from(cutoff: np.ndarray, tested_from: int, gap: int) -> np.ndarray:
    """Say of each row whether a window may learn from it whose first tested row is at ``tested_from``.

    That is so if ``cutoff + gap <= tested_from`` and the row lies before it anyway; all in microseconds.
    """
    return cutoff <= tested_from - max(gap, 1)


def unseen(known: Keys, tested: Keys, fold: np.ndarray, gap: timedelta | None) -> np.ndarray:
    """Say of each tested row whether its key is new to its fold: no row that the fold learnt from has it.

    ``known`` are all mature rows, ``tested`` those of all folds, ``fold`` the fold of each tested row. ``gap`` is
    horizon plus embargo of ``rolling_origin``; None says that the folds are those of ``by_entity``.
    """
    found = np.zeros(len(fold), bool)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        if gap is None:
            learnt = ~np.isin(known.entity, tested.entity[rows])
        else:
            learnt = learnt_from(known.cutoff, int(tested.cutoff[rows].min()), gap // MICROSECOND)
        found[rows] = ~np.isin(tested.key[rows], known.key[learnt])
    return found


def entity_hash(entity_id: np.ndarray, seed: int) -> np.ndarray:
    """Return one uint64 a row, made of the entity's id and the seed only, the same on every machine."""
    names, row = np.unique(entity_id.astype(str), return_inverse=True)
    salt = seed.to_bytes(16, "little", signed=True)
    digests = b"".join(
        hashlib.blake2b(name.encode(), digest_size=8, salt=salt).digest() for name in names
    )
    return np.frombuffer(digests, dtype="<u8")[row]


def _windows(cutoff: np.ndarray, folds: int, share: float) -> list[tuple[int, int]]:
    """Half-open ``[low, high)`` in whole microseconds, so that no instant falls between two windows."""
    if cutoff.size == 0:
        return []
    end = int(cutoff.max()) + 1
    start = end - int((end - int(cutoff.min())) * share)
    edges = [start + (end - start) * k // folds for k in range(folds + 1)]
    return list(itertools.pairwise(edges))


def _purged(cutoff: np.ndarray, low: int, high: int, gap: int) -> Fold:
    """Purge from the first test row rather than from the window's edge: no row is dropped without need."""
    test = np.flatnonzero((cutoff >= low) & (cutoff < high))
    first = int(cutoff[test].min()) if test.size else low
    return Fold(np.flatnonzero(learnt_from(cutoff, first, gap)), test)


def _too_short(
    cutoff: np.ndarray, horizon: timedelta, embargo: timedelta, share: float
) -> DataError:
    span = (int(cutoff.max()) - int(cutoff.min())) / US_PER_DAY if cutoff.size else 0.0
    ahead, gap = horizon / timedelta(days=1), embargo / timedelta(days=1)
    return DataError(
        "too short a history to learn before and test after",
        where="evaluation",
        found=f"{cutoff.size} mature rows span {span:.1f} days; horizon {ahead:g} days, "
        f"embargo {gap:g} days, the latest {share:.0%} are tested",
        fix="bring more history, or choose a shorter horizon or embargo, or a smaller evaluation.share",
    )
