"""Calibration of log-odds to probabilities, and the uncertainty of a lead's own probability."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

# Log-odds are clipped to ±30, so that a probability is never exactly 0 or 1.
MAX_ABS_LOG_ODDS = 30.0
# Rows with the outcome, and rows without, that a calibrator needs.
MIN_CALIBRATION_ROWS = 50
# Above 0, so that calibration never changes the order of leads.
MIN_SLOPE = 0.01
# 95 % quantile of the normal distribution: a two-sided 90 % interval, a one-sided 95 % test.
Z90 = 1.6448536269514722
MAX_BINS = 20
MIN_ROWS_PER_BIN = 50


def to_probability(margin: np.ndarray) -> np.ndarray:
    """Return the probability, strictly inside (0, 1), of each log-odds value."""
    return 1.0 / (1.0 + np.exp(-np.clip(margin, -MAX_ABS_LOG_ODDS, MAX_ABS_LOG_ODDS)))


def to_log_odds(probability: np.ndarray) -> np.ndarray:
    """Return the log-odds of each probability, which must lie inside (0, 1)."""
    return np.log(probability) - np.log1p(-probability)


def to_clipped_log_odds(probability: np.ndarray) -> np.ndarray:
    """Return the log-odds of each probability, clipped to a millionth from 0 and 1."""
    return to_log_odds(np.clip(probability, 1e-6, 1 - 1e-6))


def compute_log_loss(margin: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return each row's negative log-likelihood (nats) of its 0 or 1 under its log-odds."""
    clipped = np.clip(margin, -MAX_ABS_LOG_ODDS, MAX_ABS_LOG_ODDS)
    return np.logaddexp(0.0, clipped) - label * clipped


def compute_clustered_error(gain: np.ndarray, cluster: np.ndarray) -> float:
    """Return the standard error of the mean of ``gain`` (rows,), clustered by ``cluster``."""
    _, code = np.unique(cluster.astype(str), return_inverse=True)
    return float(np.sqrt(np.sum(np.bincount(code, gain - gain.mean()) ** 2)) / len(gain))


@dataclass(frozen=True)
class AffineCalibrator:
    """``slope * margin + intercept`` on log-odds; the default is the identity.

    Attributes:
        slope: Above 0, so calibration keeps the order of leads.
        intercept: Log-odds where the margin is 0.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, margin: np.ndarray) -> np.ndarray:
        """Return calibrated log-odds."""
        return self.slope * margin + self.intercept

    @classmethod
    def fit(cls, margin: np.ndarray, label: np.ndarray) -> Self:
        """Fit by maximum likelihood with a normal prior of unit variance around (1, 0).

        The slope is at least MIN_SLOPE. Platt, "Probabilistic outputs for support vector machines"
        (1999), on log-odds: the logistic recalibration of Cox, Biometrika 45 (1958).
        """
        from scipy.optimize import minimize

        clipped = np.clip(margin, -MAX_ABS_LOG_ODDS, MAX_ABS_LOG_ODDS)

        def compute_cost(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            logit = parameters[0] * clipped + parameters[1]
            residual = 1.0 / (1.0 + np.exp(-logit)) - label
            off = parameters - (1.0, 0.0)
            gradient = np.array([np.sum(residual * clipped), np.sum(residual)]) + off
            loss = np.sum(np.logaddexp(0.0, logit) - label * logit)
            return float(loss + off @ off / 2), gradient

        result = minimize(
            compute_cost,
            np.array([1.0, 0.0]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(MIN_SLOPE, None), (None, None)],
            # Tight tolerances: the result is stored, and compared to the bit.
            options={"ftol": 1e-15, "gtol": 1e-9},
        )
        return cls(float(result.x[0]), float(result.x[1]))


def fit_calibrator(
    margin: np.ndarray, label: np.ndarray, order: np.ndarray, cluster: np.ndarray
) -> AffineCalibrator:
    """Return the calibrator of out-of-time log-odds, or the identity where no other is proven.

    ``order`` sorts rows from earlier to later (any numbers, such as the cutoff). Calibrators fitted
    on either half must improve the log loss of the other half, together beyond noise (1.645
    standard errors, clustered by ``cluster``); rows of one instant stay in one half. So each row
    is judged by a calibrator that did not see it. Then it is fitted again on all rows. Below
    MIN_CALIBRATION_ROWS rows with or without the outcome it is the identity. The halves are not
    purged: they only decide between two parameters and none, and no metric is reported from them.
    """
    if min(np.sum(label == 1), np.sum(label == 0)) < MIN_CALIBRATION_ROWS:
        return AffineCalibrator()
    # By value, not by position, so that rows of one instant stay in one half.
    later = order >= np.sort(order)[len(order) // 2]
    if later.all():
        return AffineCalibrator()
    # Both ways: the later half alone is too few rows to prove a slope as far off as 0.4.
    gain = np.empty(len(label))
    for fitted, judged in ((~later, later), (later, ~later)):
        trial = AffineCalibrator.fit(margin[fitted], label[fitted])
        before = compute_log_loss(margin[judged], label[judged])
        gain[judged] = before - compute_log_loss(trial.apply(margin[judged]), label[judged])
    proven = gain.mean() > Z90 * compute_clustered_error(gain, cluster)
    return AffineCalibrator.fit(margin, label) if proven else AffineCalibrator()


@dataclass(frozen=True)
class ProbabilityBand:
    """90 % interval of a lead's own probability, among leads with about the same probability.

    Between the centres the interval is interpolated; beyond them its ends keep their distance from
    the probability.

    Attributes:
        center: Log-odds of each bin, ascending.
        low: Lower end of each bin in log-odds, ascending.
        high: Upper end of each bin in log-odds, ascending.
    """

    center: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        probability: np.ndarray,
        label: np.ndarray,
        cluster: np.ndarray,
        disagreement: np.ndarray,
    ) -> Self:
        """Fit on at least one out-of-time row, in about 20 quantile bins of probability.

        All arguments are (rows,); the probability is calibrated. Two sources of uncertainty are
        added as independent errors are:

        - The outcome rate of a bin. Rates are made to rise by isotonic regression. Their interval
          is Wilson's (J. Am. Stat. Assoc. 22, 1927), whose size is the number of distinct clusters
          of the bin, as rows of one account, or of one entity, are not independent.
        - The difference between a lead and similar leads that the model does not see.
          ``disagreement`` is the distance, in log-odds, between two models of different kinds that
          were fitted on the same rows; they differ where the data decides little. Heskes,
          "Practical confidence and prediction intervals", NeurIPS 1996, has it from resampling,
          which repeats the errors of one kind. The half width is the 90 % quantile of the bin, so
          that some rows far from all others, where a linear model is arbitrary, move it little.

        Ends are widened where they would not rise.
        """
        from sklearn.isotonic import isotonic_regression

        place, size = _assign_bins(probability)
        rows = np.bincount(place, minlength=size)
        center = np.bincount(place, to_log_odds(probability), size) / rows
        units = np.array([np.unique(cluster[place == k]).size for k in range(size)])
        rate = isotonic_regression(np.bincount(place, label, size) / rows, sample_weight=units)
        own = np.array([np.quantile(disagreement[place == k], 0.9) for k in range(size)])
        low, high = (to_clipped_log_odds(end) for end in compute_wilson_interval(rate, units))
        middle = np.clip(to_clipped_log_odds(rate), low, high)
        # Independent errors add as their squares do.
        low, high = middle - np.hypot(middle - low, own), middle + np.hypot(high - middle, own)
        low, high = np.minimum.accumulate(low[::-1])[::-1], np.maximum.accumulate(high)
        return cls(*(tuple(part.tolist()) for part in (center, low, high)))

    def interval(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high for each probability: ``0 < low <= probability <= high < 1``."""
        margin = to_log_odds(probability)
        center = np.array(self.center)
        low = to_probability(margin + np.interp(margin, center, np.array(self.low) - center))
        high = to_probability(margin + np.interp(margin, center, np.array(self.high) - center))
        return np.minimum(low, probability), np.maximum(high, probability)

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``from_json`` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the band that ``to_json`` described."""
        return cls(tuple(data["center"]), tuple(data["low"]), tuple(data["high"]))


def compute_wilson_interval(
    rate: np.ndarray, size: np.ndarray, z: float = Z90
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of rates observed in ``size`` independent trials.

    It is two-sided, with 90 % by default; ``z`` is the normal quantile of each side.
    """
    slack = z**2 / size
    middle = (rate + slack / 2) / (1 + slack)
    half = z / (1 + slack) * np.sqrt(rate * (1 - rate) / size + slack / (4 * size))
    return middle - half, middle + half


def compute_difference_interval(
    rate: np.ndarray, size: np.ndarray, z: float = Z90
) -> tuple[float, float]:
    """Return the interval of the first of two observed rates less the second.

    Newcombe, Statistics in Medicine 17 (1998), method 10, made of both Wilson intervals; ``size``
    and ``z`` as for these.
    """
    low, high = compute_wilson_interval(rate, size, z)
    difference = rate[0] - rate[1]
    below = np.hypot(rate[0] - low[0], high[1] - rate[1])
    above = np.hypot(high[0] - rate[0], rate[1] - low[1])
    return float(difference - below), float(difference + above)


def _assign_bins(probability: np.ndarray) -> tuple[np.ndarray, int]:
    """Return each row's quantile bin and the number of bins.

    Equal probabilities share a bin; no bin is empty.
    """
    bins = int(np.clip(len(probability) // MIN_ROWS_PER_BIN, 1, MAX_BINS))
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    # Renumbered, because a bin between two edges of one value may hold no row.
    _, place = np.unique(np.searchsorted(edges, probability, side="right"), return_inverse=True)
    return place, int(place.max()) + 1
