"""Probability that the outcome comes to at least one of an account's entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from models.calibration import MIN_CALIBRATION_ROWS, Z90, compute_clustered_error

# Upper bound of the share that is searched for; 1 is independence.
MAX_ADDED_SHARE = 2.0
# Probabilities are clipped so far from 0 and 1, so that their logarithms are finite.
MIN_PROBABILITY = 1e-9


class GroupProbabilities(NamedTuple):
    """Probabilities (groups,) of at least one outcome, under three assumptions.

    Attributes:
        largest: Largest probability of the group: further entities add nothing.
        independent: All entities are independent.
        total: Sum of the probabilities: no two outcomes come together.
    """

    largest: np.ndarray
    independent: np.ndarray
    total: np.ndarray

    def take(self, groups: np.ndarray) -> GroupProbabilities:
        """Return the groups of an index or a mask."""
        return GroupProbabilities(*(values[groups] for values in self))


@dataclass(frozen=True)
class WithinAccountDependence:
    """Dependence of outcomes within an account, fitted on out-of-time rows.

    Groups are the entities of one account at one instant, two or more.

    Attributes:
        added_share: How much further entities add to the largest probability. 1: as much as if all
            were independent, ``1 - Π(1 - p)``. 0: nothing, as where a group buys as one. Above 1:
            the outcome of one entity makes up for that of another.
        groups: Number of groups that the share was fitted on.
        independent: Groups expected to have an outcome if entities were independent.
        expected: Groups expected to have an outcome under ``added_share``.
        observed: Groups that had an outcome.
    """

    added_share: float = 1.0
    groups: int = 0
    independent: float = 0.0
    expected: float = 0.0
    observed: int = 0

    @classmethod
    def fit(
        cls, account: np.ndarray, instant: np.ndarray, probability: np.ndarray, label: np.ndarray
    ) -> Self:
        """Fit on out-of-time rows: account (text), instant, calibrated probability, and label.

        ``instant`` is any key that sorts, such as the cutoff; ``label`` is 0 or 1. The share is
        fitted by maximum likelihood. It is used only where the share of the earlier half of the
        groups lowers the log loss of the later half beyond noise (1.645 standard errors, clustered
        by account), as for calibrators.
        """
        _, account_code = np.unique(account.astype(str), return_inverse=True)
        _, instant_code = np.unique(instant, return_inverse=True)
        code = account_code * (int(instant_code.max(initial=0)) + 1) + instant_code
        _, first, group = np.unique(code, return_index=True, return_inverse=True)
        count = len(first)
        observed = (np.bincount(group, label, count) > 0).astype(float)
        # The probability of a group of one is its own, so such groups say nothing about dependence.
        several = np.flatnonzero(np.bincount(group, minlength=count) > 1)
        if not len(several):
            return cls()
        groups = _combine_probabilities(group, probability, count).take(several)
        observed, owner = observed[several], account[first][several]
        share = _fit_proven_share(groups, observed, instant_code[first][several], owner)
        return cls(
            share,
            len(several),
            float(groups.independent.sum()),
            float(_apply_share(share, groups).sum()),
            int(observed.sum()),
        )

    def any_outcome_probability(
        self, group: np.ndarray, probability: np.ndarray, groups: int
    ) -> np.ndarray:
        """Return the probability (groups,) of at least one outcome among the rows of each group.

        ``group`` (rows,) holds each row's group 0, 1, …, none of which is empty; ``probability``
        (rows,) its probability. The result is never below the largest nor above the sum of them,
        for any dependence (Fréchet 1935, Fundamenta Mathematicae 25). A group of one row
        keeps that row's probability.
        """
        combined = _combine_probabilities(group, probability, groups)
        several = np.bincount(group, minlength=groups) > 1
        return np.where(several, _apply_share(self.added_share, combined), combined.largest)

    def to_json(self) -> dict[str, Any]:
        """Return the stored keys, which are older than the field names."""
        return {
            "adds": self.added_share,
            "accounts": self.groups,
            "alone": self.independent,
            "expected": self.expected,
            "happened": self.observed,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the dependence of stored keys; None, in older scorers, means independence."""
        if data is None:
            return cls()
        keys = ("adds", "accounts", "alone", "expected", "happened")
        return cls(*(data[key] for key in keys))


def _combine_probabilities(
    group: np.ndarray, probability: np.ndarray, groups: int
) -> GroupProbabilities:
    largest = np.zeros(groups)
    np.maximum.at(largest, group, probability)
    # log1p and expm1 keep the digits of small probabilities, which 1 - p would lose.
    independent = -np.expm1(np.bincount(group, np.log1p(-probability), groups))
    return GroupProbabilities(largest, independent, np.bincount(group, probability, groups))


def _apply_share(added_share: float, groups: GroupProbabilities) -> np.ndarray:
    probability = groups.largest + added_share * (groups.independent - groups.largest)
    bounded = np.clip(probability, groups.largest, groups.total)
    return np.clip(bounded, MIN_PROBABILITY, 1 - MIN_PROBABILITY)


def _fit_proven_share(
    groups: GroupProbabilities, observed: np.ndarray, order: np.ndarray, account: np.ndarray
) -> float:
    """Return the share that further entities add; 1 where no other share is proven."""
    # By value, not by position, so that groups of one instant stay in one half.
    later = order >= np.sort(order)[len(order) // 2]
    if later.all() or min(observed.sum(), (1 - observed).sum()) < MIN_CALIBRATION_ROWS:
        return 1.0
    trial = _fit_share(groups.take(~later), observed[~later])
    after = groups.take(later)
    gain = _compute_log_loss_rows(_apply_share(1.0, after), observed[later])
    gain = gain - _compute_log_loss_rows(_apply_share(trial, after), observed[later])
    proven = gain.mean() > Z90 * compute_clustered_error(gain, account[later])
    return _fit_share(groups, observed) if proven else 1.0


def _fit_share(groups: GroupProbabilities, observed: np.ndarray) -> float:
    """Return the most likely share, with a normal prior of unit variance around 1."""
    from scipy.optimize import minimize_scalar

    def compute_cost(share: float) -> float:
        loss = _compute_log_loss_rows(_apply_share(share, groups), observed)
        return float(loss.sum() + (share - 1) ** 2 / 2)

    bounds = (0.0, MAX_ADDED_SHARE)
    result = minimize_scalar(compute_cost, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(result.x)


def _compute_log_loss_rows(probability: np.ndarray, observed: np.ndarray) -> np.ndarray:
    return -np.where(observed > 0, np.log(probability), np.log1p(-probability))
