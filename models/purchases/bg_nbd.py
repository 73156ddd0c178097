"""Beta-geometric / NBD model of repeat purchases without a contract.

A customer buys at a Poisson rate until it leaves; it may leave after each purchase, with the same
probability each time. Rates are gamma distributed among customers with shape ``r`` and rate
``alpha``, probabilities of leaving beta distributed with ``a`` and ``b``, independently. A
customer with one purchase has had no occasion to leave yet. Source: Fader, Hardie and Lee,
"Counting your customers the easy way", *Marketing Science* 24 (2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, expit, gammaln, hyp2f1, log_expit

from models.purchases.histories import PurchaseHistories
from models.purchases.leaving import LeavingModel

# The expected number of purchases has a removable singularity at a = 1.
SINGULAR = 1e-6
# Points of the quadrature that stands in where the closed form fails.
NODES = 801
STARTS = (np.log([0.5, 5.0, 1.0, 2.5]), np.log([1.5, 20.0, 0.5, 5.0]))


@dataclass(frozen=True)
class BgNbd(LeavingModel):
    """Parameters of the model; times are in weeks.

    Attributes:
        r: Shape of the purchase rates.
        alpha: Rate of the purchase rates, in weeks.
        a: First parameter of the probabilities of leaving.
        b: Second parameter of them.
    """

    r: float
    alpha: float
    a: float
    b: float

    def predict_purchases(
        self, histories: PurchaseHistories, weeks: float, alive: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the expected number of purchases in the next weeks, float64 (customers,).

        ``alive`` is what ``predict_alive`` gives, if it was computed already.
        """
        alive = self.predict_alive(histories) if alive is None else alive
        shape, rate = self.r + histories.repeats, self.alpha + histories.age
        b = self.b + histories.repeats
        a = self.a if abs(self.a - 1) > SINGULAR else 1 + SINGULAR
        share = weeks / (rate + weeks)
        with np.errstate(all="ignore"):
            # Euler's transformation of the paper's form, which overflows for many purchases.
            series = hyp2f1(a + b - 1 - shape, a - 1, a + b - 1, share) * (1 - share) ** (a - 1)
            if_alive = (a + b - 1) / (a - 1) * (1 - series)
        # At least as many as there are customers who buy at all, at most as if none ever left.
        least = -np.expm1(shape * np.log1p(-share))
        wrong = ~(
            (if_alive >= least * (1 - 1e-9)) & (if_alive <= shape / rate * weeks * (1 + 1e-9))
        )
        if wrong.any():
            if_alive[wrong] = _integrate_purchases(
                shape[wrong], rate[wrong], self.a, b[wrong], weeks
            )
        expected: np.ndarray = if_alive * alive
        return expected

    def predict_any(
        self, histories: PurchaseHistories, weeks: float, alive: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the probability of a purchase in the next weeks, as ``predict_purchases``."""
        alive = self.predict_alive(histories) if alive is None else alive
        rate = self.alpha + histories.age
        silent = (rate / (rate + weeks)) ** (self.r + histories.repeats)
        any_purchase: np.ndarray = alive * (1 - silent)
        return any_purchase

    def split_log_likelihood(self, histories: PurchaseHistories) -> tuple[np.ndarray, np.ndarray]:
        """Return the log likelihood together with being alive, and with having left."""
        # The functions of a count are computed once per count, not per customer.
        counts, place = np.unique(histories.repeats, return_inverse=True)
        shape = self.r + counts
        common = (
            gammaln(shape) - gammaln(self.r) + self.r * np.log(self.alpha) - betaln(self.a, self.b)
        )
        stays = (common + betaln(self.a, self.b + counts))[place]
        alive = stays - shape[place] * np.log(self.alpha + histories.age)
        leaves = (common + betaln(self.a + 1, self.b + np.maximum(counts, 1) - 1))[place]
        left = leaves - shape[place] * np.log(self.alpha + histories.last)
        return alive, np.where(histories.repeats > 0, left, -np.inf)


def _integrate_purchases(
    shape: np.ndarray, rate: np.ndarray, a: float, b: np.ndarray, weeks: float
) -> np.ndarray:
    """Return the expected purchases of active customers, by quadrature, float64 (customers,).

    The integral is that of ``(1 - (1 + p * weeks / rate) ** -shape) / p`` over the beta
    distribution of ``p``. It is slower than the closed form, which fails in places: SciPy 1.17
    gives infinity where two parameters are exactly 1, and the form overflows for a large ``a``.
    """
    most = shape * weeks / rate
    middle, width = np.log(a / b), np.sqrt(1 / a + 1 / b)
    # Below this chance of leaving, nobody leaves: there the integrand is constant.
    tiny = np.log(1e-9 / most)
    low = np.maximum(np.minimum(tiny, middle - 1), middle - np.maximum(40 / a, 9 * width))
    high = middle + np.maximum(40 / b, 9 * width)
    # The trapezoid rule in log-odds, where a beta density is smooth and falls exponentially.
    odds = low[:, None] + np.linspace(0, 1, NODES) * (high - low)[:, None]
    chance = expit(odds)
    density = a * log_expit(odds) + b[:, None] * log_expit(-odds) - betaln(a, b)[:, None]
    purchases = -np.expm1(-shape[:, None] * np.log1p(chance * (weeks / rate)[:, None])) / chance
    inner = np.trapezoid(purchases * np.exp(density), odds, axis=1)
    total: np.ndarray = inner + most * betainc(a, b, expit(low))
    return total
