"""Pareto / NBD model of repeat purchases without a contract.

A customer buys at a Poisson rate until it leaves; it leaves after an exponential time, whether it
buys or not. Rates of purchases are gamma distributed among customers with shape ``r`` and rate
``alpha``, rates of leaving with ``s`` and ``beta``, independently. Source: Schmittlein, Morrison
and Colombo, "Counting your customers: who are they and what will they do next?", *Management
Science* 33 (1987). The likelihood is the integral over the time of leaving, by Gauss-Legendre
quadrature, in place of the usual difference of two hypergeometric functions, which cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import exprel, gammaln, psi

from features.tools.jit import jit_kernel
from features.tools.parallel import parallel_map
from models.purchases.histories import PurchaseHistories
from models.purchases.leaving import LeavingModel, SplitLikelihood

NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
# The integrand is not followed below this share of its start, in logarithms.
NEGLIGIBLE = 40.0
# Customers of one job on a thread; a fit has no more.
BLOCK = 10_000
STARTS = (np.log([0.6, 10.0, 0.6, 10.0]), np.log([1.5, 20.0, 1.5, 40.0]))


@dataclass(frozen=True)
class ParetoNbd(LeavingModel):
    """Parameters of the model; times are in weeks.

    Attributes:
        r: Shape of the purchase rates.
        alpha: Rate of the purchase rates, in weeks.
        s: Shape of the rates of leaving.
        beta: Rate of the rates of leaving, in weeks.
    """

    r: float
    alpha: float
    s: float
    beta: float

    def predict_purchases(
        self, histories: PurchaseHistories, weeks: float, alive: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the expected number of purchases in the next weeks, float64 (customers,).

        ``alive`` is what ``predict_alive`` gives, if it was computed already.
        """
        alive = self.predict_alive(histories) if alive is None else alive
        rate = (self.r + histories.repeats) / (self.alpha + histories.age)
        beta = self.beta + histories.age
        shrink = np.log(beta / (beta + weeks))
        # Expected weeks before it leaves, of those ahead; its form has no gap at s = 1.
        stays = -beta * shrink * exprel((self.s - 1) * shrink)
        expected: np.ndarray = rate * stays * alive
        return expected

    def predict_any(
        self, histories: PurchaseHistories, weeks: float, alive: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the probability of a purchase in the next weeks, as ``predict_purchases``."""
        alive = self.predict_alive(histories) if alive is None else alive
        # An active customer is a new one whose parameters are those of its own posterior.
        shape, rate = self.r + histories.repeats, self.alpha + histories.age
        beta = self.beta + histories.age
        zero = np.zeros(len(histories))
        stays = shape * np.log(rate / (rate + weeks)) + self.s * np.log(beta / (beta + weeks))
        leaves = _integrate_leaving(shape, self.s, rate, beta, zero, zero + weeks)
        leaves += shape * np.log(rate) + self.s * np.log(beta) + math.log(self.s)
        silent = np.exp(np.logaddexp(stays, leaves))
        any_purchase: np.ndarray = alive * np.maximum(1 - silent, 0)
        return any_purchase

    def split_log_likelihood(
        self, histories: PurchaseHistories, with_slopes: bool = False
    ) -> SplitLikelihood:
        """Return the log likelihoods, with their derivatives by the parameters if asked for."""
        shape = self.r + histories.repeats
        common = (
            gammaln(shape)
            - gammaln(self.r)
            + self.r * math.log(self.alpha)
            + self.s * math.log(self.beta)
        )
        logs = np.log(self.alpha + histories.age), np.log(self.beta + histories.age)
        alive = common - shape * logs[0] - self.s * logs[1]
        fixed = np.full(len(histories), self.alpha), np.full(len(histories), self.beta)
        means = np.zeros((len(histories) if with_slopes else 0, 4))
        left = _integrate_leaving(shape, self.s, *fixed, histories.last, histories.age, means)
        left += common + math.log(self.s)
        if not with_slopes:
            return SplitLikelihood(alive, left)
        at_age = np.exp(-np.array(logs))
        own = [logs[0], at_age[0], logs[1], at_age[1]]
        slopes = [
            np.array(
                [
                    psi(shape) - psi(self.r) + math.log(self.alpha) - log_alpha,
                    self.r / self.alpha - shape * by_alpha,
                    math.log(self.beta) - log_beta + gone / self.s,
                    self.s / self.beta - (self.s + gone) * by_beta,
                ]
            )
            for gone, (log_alpha, by_alpha, log_beta, by_beta) in ((0, own), (1, means.T))
        ]
        return SplitLikelihood(alive, left, *slopes)


def _integrate_leaving(
    shape: np.ndarray,
    s: float,
    alpha: np.ndarray,
    beta: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    means: np.ndarray | None = None,
) -> np.ndarray:
    """Return the logarithm of the integral over the time of leaving, float64 (customers,).

    The integral is that of ``(alpha + t) ** -shape * (beta + t) ** -(s + 1)`` over
    ``[low, high)``; its logarithm is -inf where that is empty. ``means``, float64 (customers, 4) or
    empty, gets the means of ``log(alpha + t)``, ``1 / (alpha + t)``, ``log(beta + t)`` and
    ``1 / (beta + t)`` by that density.
    """
    means = np.empty((0, 4)) if means is None else means
    result = np.empty(len(shape))
    columns = (shape, alpha, beta, low, high)

    def fill_block(start: int) -> None:
        rows = slice(start, start + BLOCK)
        parts = tuple(column[rows] for column in columns)
        _fill_integrals((NODES, WEIGHTS), parts, s, result[rows], means[rows])

    if len(shape) <= BLOCK:
        fill_block(0)
        return result
    for _ in parallel_map(fill_block, range(0, len(shape), BLOCK)):
        pass
    return result


@jit_kernel
def _fill_integrals(
    rule: tuple[np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    s: float,
    result: np.ndarray,
    means: np.ndarray,
) -> None:
    nodes, weights = rule
    has_means = len(means) > 0
    shape, alpha, beta, low, high = rows
    for row in range(len(result)):
        # In the logarithm of the smaller of both times the integrand is smooth at every scale.
        offset = min(alpha[row], beta[row])
        span = math.log((offset + high[row]) / (offset + low[row]))
        slope = _bound_slope(shape[row], s, alpha[row], beta[row], low[row])
        if slope > 0:
            span = min(span, NEGLIGIBLE / slope)
        start = -shape[row] * math.log(alpha[row] + low[row])
        start -= (s + 1) * math.log(beta[row] + low[row])
        total = 0.0
        for node in range(len(nodes)):
            step = span * (nodes[node] + 1) / 2
            time = (offset + low[row]) * math.exp(step) - offset
            log_alpha, log_beta = math.log(alpha[row] + time), math.log(beta[row] + time)
            value = step - shape[row] * log_alpha - (s + 1) * log_beta
            weight = weights[node] * math.exp(value - start)
            total += weight
            if has_means:
                means[row, 0] += weight * log_alpha
                means[row, 1] += weight / (alpha[row] + time)
                means[row, 2] += weight * log_beta
                means[row, 3] += weight / (beta[row] + time)
        if has_means and total > 0:
            means[row] /= total
        total *= span / 2
        result[row] = -math.inf
        if total > 0:
            result[row] = start + math.log(total) + math.log(offset + low[row])


@jit_kernel
def _bound_slope(shape: float, s: float, alpha: float, beta: float, low: float) -> float:
    """Return the least rate at which the integrand falls, in the logarithm of time."""
    if alpha < beta:
        return shape - 1
    return s + shape * (beta + low) / (alpha + low)
