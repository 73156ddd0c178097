"""What a purchase of each customer is expected to bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.purchases.gamma_gamma import GammaGamma, estimate_margin_variance, fit_gamma_gamma
from models.purchases.histories import PurchaseHistories


@dataclass(frozen=True)
class MarginModel:
    """The margin of a purchase.

    Attributes:
        paid: The model of purchases that bring something.
        paid_share: Share of the purchases that brought something.
        variance: Variance of the logarithm of the mean margin that its estimation brings.
    """

    paid: GammaGamma
    paid_share: float
    variance: float

    def predict_margin(self, histories: PurchaseHistories) -> np.ndarray:
        """Return the expected margin of a purchase of each customer, float64 (customers,)."""
        return self.paid.predict_margin(histories) * self.paid_share


def fit_margins(histories: PurchaseHistories) -> MarginModel | None:
    """Return the model of the margins, None if no purchase brought anything."""
    paid = float(histories.paid.sum())
    if not paid:
        return None
    fit = fit_gamma_gamma(histories)
    paid_share = paid / float((histories.repeats + 1).sum())
    variance = estimate_margin_variance(fit, histories)
    return MarginModel(GammaGamma.from_logs(fit.logs), paid_share, variance)
