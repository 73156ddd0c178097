"""From a learner's log-odds to probabilities that mean what they say, and how sure that is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

EXTREME = 30.0
"""Log-odds are held within ±30, so that a probability is never exactly 0 or 1."""
FEWEST = 50
"""Outcomes, and rows without, that a calibrator needs."""
LEAST_SLOPE = 0.01
Z90 = 1.6448536269514722
BINS = 20
ROWS_PER_BIN = 50


def probability(margin: np.ndarray) -> np.ndarray:
    """Return the probability, strictly inside (0, 1), of each log-odds value."""
    return 1.0 / (1.0 + np.exp(-np.clip(margin, -EXTREME, EXTREME)))


def log_odds(chance: np.ndarray) -> np.ndarray:
    """Return the log-odds of each probability, which must lie inside (0, 1)."""
    return np.log(chance) - np.log1p(-chance)


def held_log_odds(chance: np.ndarray) -> np.ndarray:
    """Return the log-odds of each probability, held within a millionth of 0 and 1."""
    return log_odds(np.clip(chance, 1e-6, 1 - 1e-6))


def log_loss(margin: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return each row's negative log-likelihood (nats) of its 0 or 1 under its log-odds."""
    held = np.clip(margin, -EXTREME, EXTREME)
    return np.logaddexp(0.0, held) - label * held


def clustered_error(gain: np.ndarray, entity_id: np.ndarray) -> float:
    """Return the standard error of the mean of ``gain`` (rows,), where rows of one entity are not independent."""
    _, entity = np.unique(entity_id.astype(str), return_inverse=True)
    return float(np.sqrt(np.sum(np.bincount(entity, gain - gain.mean()) ** 2)) / len(gain))


@dataclass(frozen=True)
class Affine:
    """``slope * margin + intercept`` on log-odds; the slope is positive, so no two leads change places."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, margin: np.ndarray) -> np.ndarray:
        """Return calibrated log-odds."""
        return self.slope * margin + self.intercept

    @classmethod
    def fit(cls, margin: np.ndarray, label: np.ndarray) -> Self:
        """Fit by maximum likelihood with a normal prior of unit variance around (1, 0), slope held above 0.01.

        Platt, "Probabilistic outputs for support vector machines" (1999), on log-odds: the logistic
        recalibration of Cox, Biometrika 45 (1958).
        """
        from scipy.optimize import minimize

        held = np.clip(margin, -EXTREME, EXTREME)

        def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
            logit = at[0] * held + at[1]
            pull = 1.0 / (1.0 + np.exp(-logit)) - label
            off = at - (1.0, 0.0)
            gradient = np.array([np.sum(pull * held), np.sum(pull)]) + off
            return float(np.sum(np.logaddexp(0.0, logit) - label * logit) + off @ off / 2), gradient

        bounds = [(LEAST_SLOPE, None), (None, None)]
        exact = {"ftol": 1e-15, "gtol": 1e-9}
        found = minimize(
            cost, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds, options=exact
        )
        return cls(float(found.x[0]), float(found.x[1]))


def fit_calibrator(
    margin: np.ndarray, label: np.ndarray, order: np.ndarray, entity_id: np.ndarray
) -> Affine:
    """Return the affine calibrator of out-of-time log-odds, or the identity where it does not prove itself.

    ``order`` says which rows are earlier (any sortable numbers, such as the cutoff). A calibrator fitted on the
    earlier half must improve the log loss of the later half beyond noise (1.645 standard errors, clustered by
    entity); rows of one instant stay in one half. Then it is fitted again on all rows. Identity also below 50 rows
    with or without the outcome. The halves are not purged: they only decide between two and no parameters, and no
    figure is reported from them.
    """
    if min(np.sum(label == 1), np.sum(label == 0)) < FEWEST:
        return Affine()
    later = order >= np.sort(order)[len(order) // 2]
    if later.all():
        return Affine()
    trial = Affine.fit(margin[~later], label[~later])
    gain = log_loss(margin[later], label[later]) - log_loss(
        trial.apply(margin[later]), label[later]
    )
    proven = gain.mean() > Z90 * clustered_error(gain, entity_id[later])
    return Affine.fit(margin, label) if proven else Affine()


@dataclass(frozen=True)
class Band:
    """The 90 % interval of a lead's own chance, among leads with about this probability.

    ``center``, ``low`` and ``high`` are log-odds, ascending in step; between the centres the interval is
    interpolated, beyond them its ends keep their distance from the probability.
    """

    center: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def fit(
        cls, chance: np.ndarray, label: np.ndarray, entity_id: np.ndarray, doubt: np.ndarray
    ) -> Self:
        """Fit on out-of-time rows: calibrated probability, label, entity and doubt of each (at least one row).

        About 20 quantile bins of probability. Two things are not known. How often the outcome comes to leads of a bin:
        their outcome rates are made to rise by isotonic regression, with Wilson's interval (J. Am. Stat. Assoc. 22,
        1927), whose size is the number of distinct entities of the bin, as rows of one entity are not independent. And
        by how much a lead differs from its like in ways that the model does not see: ``doubt`` is the distance, in
        log-odds, between two models of different kinds that saw the same, which differ where the data decides little
        (Heskes, "Practical confidence and prediction intervals", NeurIPS 1996, has it from resampling, which repeats
        the errors of a kind). What nine of ten rows of the bin do not exceed is taken for the half width: some rows far
        from all others, which a line meets as it likes, move it little. Both are added as independent errors are; ends
        are widened where they would not rise.
        """
        from sklearn.isotonic import isotonic_regression

        place, size = _bins(chance)
        rows = np.bincount(place, minlength=size)
        center = np.bincount(place, log_odds(chance), size) / rows
        entities = np.array([np.unique(entity_id[place == k]).size for k in range(size)])
        rate = isotonic_regression(np.bincount(place, label, size) / rows, sample_weight=entities)
        own = np.array([np.quantile(doubt[place == k], 0.9) for k in range(size)])
        low, high = (held_log_odds(end) for end in wilson(rate, entities))
        middle = np.clip(held_log_odds(rate), low, high)
        low, high = middle - np.hypot(middle - low, own), middle + np.hypot(high - middle, own)
        low, high = np.minimum.accumulate(low[::-1])[::-1], np.maximum.accumulate(high)
        return cls(*(tuple(part.tolist()) for part in (center, low, high)))

    def interval(self, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high for each probability: ``0 < low <= probability <= high < 1``."""
        at = log_odds(chance)
        center = np.array(self.center)
        low = probability(at + np.interp(at, center, np.array(self.low) - center))
        high = probability(at + np.interp(at, center, np.array(self.high) - center))
        return np.minimum(low, chance), np.maximum(high, chance)

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Build the band that ``to_json`` described."""
        return cls(tuple(data["center"]), tuple(data["low"]), tuple(data["high"]))


def wilson(rate: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's two-sided 90 % score interval of observed rates among ``size`` independent trials."""
    slack = Z90**2 / size
    middle = (rate + slack / 2) / (1 + slack)
    half = Z90 / (1 + slack) * np.sqrt(rate * (1 - rate) / size + slack / (4 * size))
    return middle - half, middle + half


def _bins(chance: np.ndarray) -> tuple[np.ndarray, int]:
    """Return each row's quantile bin and the number of bins; equal probabilities share one, none is empty."""
    wanted = int(np.clip(len(chance) // ROWS_PER_BIN, 1, BINS))
    edges = np.unique(np.quantile(chance, np.arange(1, wanted) / wanted))
    _, place = np.unique(np.searchsorted(edges, chance, side="right"), return_inverse=True)
    return place, int(place.max()) + 1
