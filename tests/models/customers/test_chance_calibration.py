"""Calibration of the chance to buy, beside the library's and beside what comes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from models.customers.chance_calibration import (
    CHANCE_DAYS,
    ChanceCalibration,
    calibrate_chances,
    fit_calibration,
    measure_binary,
)
from models.customers.correction_trial import compare_deviances
from models.purchases.histories import Purchases, merge_days, summarize_purchases
from models.purchases.purchase_model import fit_purchases
from tests.models.customers.simulated import simulate_purchases

END = 900


def simulate_regular_buyers(size: int, seed: int) -> Purchases:
    """Return purchases at nearly equal gaps: more regular than the models say."""
    random = np.random.default_rng(seed)
    customer, day = [], []
    for number in range(size):
        time, gap = random.uniform(0, 700), random.uniform(30, 80)
        while time < END and random.random() > 0.1:
            customer.append(number)
            day.append(int(time))
            time += gap * random.uniform(0.9, 1.1)
    return merge_days(np.array(customer), np.array(day, np.int64), np.ones(len(day)))


def test_fit_is_that_of_a_logistic_regression() -> None:
    random = np.random.default_rng(1)
    chance = random.beta(2, 3, 5_000)
    bought = random.random(5_000) < expit(-0.5 + 0.6 * logit(chance))
    shift, stretch = fit_calibration(chance, bought)
    library = LogisticRegression(C=1e6).fit(logit(chance)[:, None], bought)
    assert shift == pytest.approx(library.intercept_[0], abs=0.01)
    assert stretch == pytest.approx(library.coef_[0, 0], abs=0.01)


def test_deviance_is_twice_the_log_loss() -> None:
    random = np.random.default_rng(2)
    chance, bought = random.beta(2, 3, 300), random.random(300) < 0.4
    assert measure_binary(bought, chance).mean() == pytest.approx(2 * log_loss(bought, chance))


def test_correction_that_was_no_better_changes_nothing() -> None:
    chance = np.array([0.1, 0.5, 0.9])
    own, other = np.full(100, 0.5), np.full(100, 0.6)
    worse = ChanceCalibration(1.0, 2.0, compare_deviances("chance", 90, own, other, False))
    assert np.array_equal(worse.correct(chance), chance)
    better = ChanceCalibration(1.0, 2.0, compare_deviances("chance", 90, other, own, False))
    assert better.correct(chance) == pytest.approx(expit(1 + 2 * logit(chance)))


def test_chances_of_regular_buyers_are_corrected() -> None:
    purchases, as_of = simulate_regular_buyers(1_200, 3), END - CHANCE_DAYS
    calibration = calibrate_chances(purchases.select_before(as_of), as_of, "pareto_nbd")
    assert calibration is not None and calibration.trial.passed
    histories = summarize_purchases(purchases, as_of)
    fitted = fit_purchases(histories).select("pareto_nbd")
    chance = fitted.forecast(histories).predict_any(CHANCE_DAYS / 7)
    later = purchases.customer[(purchases.day >= as_of) & (purchases.day < END)]
    bought = np.isin(histories.customer, later)
    corrected = calibration.correct(chance)
    assert measure_binary(bought, corrected).mean() < measure_binary(bought, chance).mean()


def test_nothing_on_or_after_the_end_changes_it() -> None:
    purchases = simulate_purchases(1_500, END, 4)
    known = calibrate_chances(purchases.select_before(600), 600, "pareto_nbd")
    assert known is not None and known == calibrate_chances(purchases, 600, "pareto_nbd")


def test_chances_that_are_right_are_left_nearly_alone() -> None:
    calibration = calibrate_chances(simulate_purchases(3_000, END, 5), END, "pareto_nbd")
    assert calibration is not None
    chance = np.array([0.1, 0.3, 0.6])
    assert calibration.correct(chance) == pytest.approx(chance, abs=0.08)


def test_few_buyers_calibrate_nothing() -> None:
    assert calibrate_chances(simulate_purchases(40, END, 6), END, "bg_nbd") is None
    assert calibrate_chances(simulate_purchases(40, END, 6).select_before(0), 0, "bg_nbd") is None
