"""The shifted beta-geometric model against the printed example of Fader and Hardie (2007)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from models.purchases.shifted_beta_geometric import (
    ShiftedBetaGeometric,
    fit_shifted_beta_geometric,
)

# Customers of 1,000 in the "high end" segment that are left after years 0 to 7.
HIGH_END = np.array([1000, 869, 743, 653, 593, 551, 517, 491])


def test_printed_example_is_found() -> None:
    kept = np.zeros(7)
    kept[-1] = HIGH_END[-1]
    fit = fit_shifted_beta_geometric(-np.diff(HIGH_END), kept)
    model = ShiftedBetaGeometric.from_logs(fit.logs)
    assert model.alpha == pytest.approx(0.668, abs=5e-4)
    assert model.beta == pytest.approx(3.806, abs=5e-4)
    later = model.predict_survival(np.arange(8, 13)) * 100
    assert later.round(1).tolist() == [46.0, 43.6, 41.4, 39.5, 37.8]


def test_survival_is_the_integral_over_customers() -> None:
    model = ShiftedBetaGeometric(0.7, 3.0)
    chances = stats.beta(model.alpha, model.beta)
    for periods in (1, 4, 12):
        area = integrate.quad(lambda c, n=periods: (1 - c) ** n * chances.pdf(c), 0, 1)[0]
        assert model.predict_survival(np.array([periods]))[0] == pytest.approx(area, rel=1e-6)


def test_customers_still_there_are_no_losses() -> None:
    # Cohorts that are seen for 1 to 6 periods only: the truth is found from all of them together.
    generator = np.random.default_rng(2)
    chance = generator.beta(1.0, 4.0, 200_000)
    period = generator.geometric(chance)
    seen = generator.integers(1, 7, len(period))
    is_lost = period <= seen
    lost = np.bincount(period[is_lost], minlength=7)[1:]
    kept = np.bincount(seen[~is_lost], minlength=7)[1:]
    model = ShiftedBetaGeometric.from_logs(fit_shifted_beta_geometric(lost, kept).logs)
    assert model.alpha == pytest.approx(1.0, rel=0.05)
    assert model.beta == pytest.approx(4.0, rel=0.05)
    naive = fit_shifted_beta_geometric(lost, np.zeros(6))
    assert ShiftedBetaGeometric.from_logs(naive.logs).alpha > 2 * model.alpha


def test_renewal_rises_with_tenure() -> None:
    renewal = ShiftedBetaGeometric(0.7, 3.0).predict_renewal(np.arange(10), np.ones(10))
    assert (np.diff(renewal) > 0).all()
