"""From the chances of an account's entities to the chance that the outcome comes to at least one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from models.calibration import FEWEST, Z90, clustered_error

MOST = 2.0
HELD = 1e-9
"""Chances are held so far from 0 and 1."""


@dataclass(frozen=True)
class Together:
    """How outcomes within an account go together, learnt from out-of-time rows.

    ``adds`` is how much further entities add to the largest chance: 1 as much as if all were independent, whose chance
    of at least one outcome is ``1 - Π(1 - p)``; 0 nothing, as where a group buys as one; more than 1 where one's
    outcome makes up for another's. ``accounts`` counts the groups of two and more entities it was learnt from, one an
    account and instant; ``alone`` is how many of them would have an outcome if entities were independent, ``expected``
    how many by the chance given here, and ``happened`` how many had one.
    """

    adds: float = 1.0
    accounts: int = 0
    alone: float = 0.0
    expected: float = 0.0
    happened: int = 0

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Self:
        """Return what a scorer's ``meta`` says; one that says nothing takes outcomes for independent."""
        return cls(**meta.get("accounts", {}))

    @classmethod
    def fit(
        cls, account: np.ndarray, instant: np.ndarray, chance: np.ndarray, label: np.ndarray
    ) -> Self:
        """Learn from rows predicted out of time, side by side: account (text), instant (any key that sorts, such as
        the cutoff), calibrated probability, and 0 or 1.

        By maximum likelihood, and kept only where what the earlier half of the groups says lowers the log loss of the
        later half beyond noise (1.645 standard errors, clustered by account), as calibrators are.
        """
        _, account_code = np.unique(account.astype(str), return_inverse=True)
        _, instant_code = np.unique(instant, return_inverse=True)
        code = account_code * (int(instant_code.max(initial=0)) + 1) + instant_code
        _, first, group = np.unique(code, return_index=True, return_inverse=True)
        happened = (np.bincount(group, label, len(first)) > 0).astype(float)
        several = np.flatnonzero(np.bincount(group, minlength=len(first)) > 1)
        if not len(several):
            return cls()
        largest, alone, most = (part[several] for part in _parts(group, chance, len(first)))
        happened, owner = happened[several], account[first][several]
        adds = _proven((largest, alone, most), happened, instant_code[first][several], owner)
        expected = _between(adds, largest, alone, most).sum()
        return cls(adds, len(several), float(alone.sum()), float(expected), int(happened.sum()))

    def chance(self, group: np.ndarray, chance: np.ndarray, groups: int) -> np.ndarray:
        """Return the probability (groups,) of at least one outcome among the rows of each of the groups 0, 1, ….

        ``group`` and ``chance`` (rows,) are each row's group, none of which is empty, and its probability. It is never
        below the largest nor above the sum of them, whatever they have to do with each other (Fréchet 1935,
        Fundamenta Mathematicae 25); one row's own stays what it is.
        """
        largest, alone, most = _parts(group, chance, groups)
        several = np.bincount(group, minlength=groups) > 1
        return np.where(several, _between(self.adds, largest, alone, most), largest)

    def to_json(self) -> dict[str, Any]:
        """Return what makes it again as keywords."""
        return asdict(self)


def _parts(
    group: np.ndarray, chance: np.ndarray, groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each group's largest chance, that of at least one if all are independent, and their sum."""
    largest = np.zeros(groups)
    np.maximum.at(largest, group, chance)
    alone = -np.expm1(np.bincount(group, np.log1p(-chance), groups))
    return largest, alone, np.bincount(group, chance, groups)


def _between(adds: float, largest: np.ndarray, alone: np.ndarray, most: np.ndarray) -> np.ndarray:
    return np.clip(np.clip(largest + adds * (alone - largest), largest, most), HELD, 1 - HELD)


def _proven(
    parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    happened: np.ndarray,
    order: np.ndarray,
    account: np.ndarray,
) -> float:
    """Return how much further entities add, 1 where nothing else proves itself."""
    later = order >= np.sort(order)[len(order) // 2]
    if later.all() or min(happened.sum(), (1 - happened).sum()) < FEWEST:
        return 1.0
    trial = _likeliest(tuple(part[~later] for part in parts), happened[~later])
    after = [part[later] for part in parts]
    gain = _loss(_between(1.0, *after), happened[later]) - _loss(
        _between(trial, *after), happened[later]
    )
    proven = gain.mean() > Z90 * clustered_error(gain, account[later])
    return _likeliest(parts, happened) if proven else 1.0


def _likeliest(parts: tuple[np.ndarray, ...], happened: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    def cost(adds: float) -> float:
        return float(_loss(_between(adds, *parts), happened).sum() + (adds - 1) ** 2 / 2)

    return float(
        minimize_scalar(cost, bounds=(0.0, MOST), method="bounded", options={"xatol": 1e-6}).x
    )


def _loss(chance: np.ndarray, happened: np.ndarray) -> np.ndarray:
    return -np.where(happened > 0, np.log(chance), np.log1p(-chance))
