"""How a correction of what models expect compares with them in days that are over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REPLICATES = 200
# A correction is used where all but this share of the replicates have a lower deviance.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class CorrectionTrial:
    """Deviance of corrected expectations beside that of the model, in days that are over.

    Attributes:
        what: ORDERS, MARGIN, or CHANCE for the chance to buy.
        days: Days ahead.
        customers: Customers compared.
        own: Mean deviance of the model.
        corrected: Mean deviance of corrected expectations.
        gain_low: Lower end of the 90 % interval of what the correction lowers it by, by bootstrap.
        gain_high: Upper end of it.
        keeps_total: Whether the correction only moves expectations between customers, because the
            total of the model was nearer.
    """

    what: str
    days: int
    customers: int
    own: float
    corrected: float
    gain_low: float
    gain_high: float
    keeps_total: bool

    @property
    def passed(self) -> bool:
        """Return whether the correction is better beyond noise."""
        return self.gain_low > 0


def compare_deviances(
    what: str, days: int, own: np.ndarray, corrected: np.ndarray, keeps_total: bool
) -> CorrectionTrial:
    """Return the trial of deviances by customer, both float64 (customers,)."""
    gain, random = own - corrected, np.random.default_rng(0)
    means = [gain[random.integers(0, len(gain), len(gain))].mean() for _ in range(REPLICATES)]
    low, high = (float(np.quantile(means, p)) for p in (SIGNIFICANCE, 1 - SIGNIFICANCE))
    size, means_of = len(gain), (float(own.mean()), float(corrected.mean()))
    return CorrectionTrial(what, days, size, *means_of, low, high, keeps_total)
