"""Beta-geometric / NBD model of repeat purchases without a contract.

A customer buys at a Poisson rate until it leaves; it may leave after each purchase, with the same
probability each time. Rates are gamma distributed among customers with shape ``r`` and rate
``alpha``, probabilities of leaving beta distributed with ``a`` and ``b``, independently. A
customer with one purchase has had no occasion to leave yet. Source: Fader, Hardie and Lee,
"Counting your customers the easy way", *Marketing Science* 24 (2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, expit, gammaln, hyp2f1, psi

from features.tools.jit import jit_kernel
from models.purchases.histories import PurchaseHistories
from models.purchases.leaving import LeavingModel, SplitLikelihood

# The expected number of purchases has a removable singularity at a = 1.
SINGULAR = 1e-6
# Steps of the quadrature that stands in where the closed form fails: in log-odds, where nothing
# changes faster than the logistic function, and in standard deviations of a narrow density.
STEP, STEP_OF_WIDTH = 0.125, 0.25
# Standard deviations of a narrow density that are followed on both sides.
REACH = 9
# Log-odds of leaving that are as good as certainty.
CERTAIN = 21.0
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

    def split_log_likelihood(
        self, histories: PurchaseHistories, with_slopes: bool = False
    ) -> SplitLikelihood:
        """Return the log likelihoods, with their derivatives by the parameters if asked for."""
        # The functions of a count are computed once per count, not per customer.
        place = histories.repeats.astype(int)
        counts = np.arange(place.max(initial=0) + 1.0)
        shape = self.r + counts
        common = (
            gammaln(shape) - gammaln(self.r) + self.r * np.log(self.alpha) - betaln(self.a, self.b)
        )
        stays = (common + betaln(self.a, self.b + counts))[place]
        alive = stays - shape[place] * np.log(self.alpha + histories.age)
        leaves = (common + betaln(self.a + 1, self.b + np.maximum(counts, 1) - 1))[place]
        left = leaves - shape[place] * np.log(self.alpha + histories.last)
        left = np.where(histories.repeats > 0, left, -np.inf)
        if not with_slopes:
            return SplitLikelihood(alive, left)
        slopes = self._find_slopes(counts)[:, :, place]
        for time, own in zip((histories.age, histories.last), slopes, strict=True):
            own[0] -= np.log(self.alpha + time)
            own[1] -= shape[place] / (self.alpha + time)
        return SplitLikelihood(alive, left, *slopes)

    def _find_slopes(self, counts: np.ndarray) -> np.ndarray:
        """Return the part of the slopes that depends on the count only, (2, parameters, counts)."""
        a, b = self.a, self.b
        both = psi(a + b) - psi(a + b + counts)
        leaves = psi(b + np.maximum(counts, 1) - 1) - psi(b)
        rate = psi(self.r + counts) - psi(self.r) + math.log(self.alpha)
        scale = np.full(len(counts), self.r / self.alpha)
        stay = both + psi(b + counts) - psi(b)
        return np.array([[rate, scale, both, stay], [rate, scale, both + 1 / a, both + leaves]])


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
    low = np.maximum(np.minimum(tiny, middle - 1), middle - np.maximum(40 / a, REACH * width))
    # Everybody leaves from this chance on, and buys once at most.
    high = np.minimum(np.maximum(CERTAIN, middle + 1), middle + np.maximum(40 / b, REACH * width))
    nodes = np.ceil((high - low) / np.minimum(STEP, width * STEP_OF_WIDTH))
    once = -np.expm1(-shape * np.log1p(weeks / rate))
    result = most * betainc(a, b, expit(low)) + once * betainc(b, a, expit(-high))
    rows = (shape, weeks / rate, b, betaln(a, b), low, (high - low) / nodes, nodes.astype(int))
    _add_integrals(rows, a, result)
    return result


@jit_kernel
def _add_integrals(rows: tuple[np.ndarray, ...], a: float, result: np.ndarray) -> None:
    """Add the integrals by the trapezoid rule in log-odds, where a beta density is smooth."""
    shape, times, b, norm, low, step, nodes = rows
    for row in range(len(result)):
        total = 0.0
        for node in range(nodes[row] + 1):
            odds = low[row] + node * step[row]
            # Logarithms of the chances of leaving and of staying.
            leaves = -math.log1p(math.exp(-odds)) if odds > 0 else odds - math.log1p(math.exp(odds))
            density = math.exp(a * leaves + b[row] * (leaves - odds) - norm[row])
            chance = math.exp(leaves)
            bought = -math.expm1(-shape[row] * math.log1p(chance * times[row])) / chance
            inner = 0 < node < nodes[row]
            total += bought * density * (1.0 if inner else 0.5)
        result[row] += total * step[row]
