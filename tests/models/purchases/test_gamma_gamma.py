"""The gamma-gamma model against numerical integration and simulated margins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from models.purchases.gamma_gamma import GammaGamma, fit_gamma_gamma
from models.purchases.histories import PurchaseHistories

MODEL = GammaGamma(4.0, 3.0, 15.0)


def make_means(paid: np.ndarray, mean: np.ndarray) -> PurchaseHistories:
    zero = np.zeros(len(paid))
    return PurchaseHistories(np.arange(len(paid)), paid - 1, zero, zero, paid, mean)


@pytest.mark.parametrize(("paid", "mean"), [(1, 12.0), (4, 30.0)])
def test_likelihood_is_the_integral_over_customers(paid: int, mean: float) -> None:
    rates = stats.gamma(MODEL.q, scale=1 / MODEL.gamma)

    def integrand(rate: float) -> float:
        own = stats.gamma(MODEL.p * paid, scale=1 / (rate * paid))
        return own.pdf(mean) * rates.pdf(rate)

    area = integrate.quad(integrand, 0, 10, limit=200)[0]
    rows = make_means(np.array([float(paid)]), np.array([mean]))
    assert math.exp(MODEL.compute_log_likelihood(rows)[0]) == pytest.approx(area, rel=1e-6)


def test_fit_finds_the_parameters_and_predicts_later_margins() -> None:
    generator = np.random.default_rng(3)
    size = 60_000
    rate = generator.gamma(MODEL.q, 1 / MODEL.gamma, size)
    paid = generator.integers(1, 8, size).astype(float)
    mean = generator.gamma(MODEL.p * paid, 1 / (rate * paid))
    rows = make_means(paid, mean)
    fit = fit_gamma_gamma(rows)
    fitted = GammaGamma.from_logs(fit.logs)
    truth = np.log([MODEL.p, MODEL.q - 1, MODEL.gamma])
    # Ten thousand customers leave standard errors of two to four hundredths.
    assert np.abs(fit.logs - truth).max() < 0.15
    few = rows.paid == 2
    later = generator.gamma(MODEL.p, 1 / rate)[few]
    assert fitted.predict_margin(rows)[few].mean() == pytest.approx(later.mean(), rel=0.03)


def test_customer_without_a_paid_purchase_gets_the_mean_of_all() -> None:
    rows = make_means(np.array([0.0]), np.array([0.0]))
    expected = MODEL.p * MODEL.gamma / (MODEL.q - 1)
    assert MODEL.predict_margin(rows)[0] == pytest.approx(expected)
    assert MODEL.compute_log_likelihood(rows)[0] == 0


def test_unit_of_the_margin_changes_only_gamma() -> None:
    generator = np.random.default_rng(4)
    rate = generator.gamma(MODEL.q, 1 / MODEL.gamma, 2_000)
    paid = generator.integers(1, 6, 2_000).astype(float)
    mean = generator.gamma(MODEL.p * paid, 1 / (rate * paid))
    small = GammaGamma.from_logs(fit_gamma_gamma(make_means(paid, mean)).logs)
    large = GammaGamma.from_logs(fit_gamma_gamma(make_means(paid, mean * 1_000)).logs)
    assert large.p == pytest.approx(small.p, rel=1e-6)
    assert large.gamma == pytest.approx(1_000 * small.gamma, rel=1e-6)
