"""Expected wins of a company whose law is known, and the errors of past forecasts."""

import numpy as np
import pytest

from features.tools.instants import US_PER_DAY
from models.forecast.deal_model import find_slope
from models.forecast.past_errors import PRIOR_VARIANCE, measure_past_errors
from models.forecast.prediction import predict_wins
from tests.models.forecast.companies import (
    BEGIN,
    WON,
    make_grid,
    no_attributes,
    simulate_company,
)

AS_OF = BEGIN + 300 * US_PER_DAY
END = AS_OF + 28 * US_PER_DAY


@pytest.fixture(scope="module")
def whole():
    return simulate_company(deals=6000)


@pytest.fixture(scope="module")
def known():
    # The same draws, as known at the as-of.
    return simulate_company(deals=6000).cut_at(AS_OF)


def count_wins(history, begin, end, created_before=None):
    spells = history.paths.spells
    own = (spells.exit == WON) & (spells.end >= begin) & (spells.end < end)
    limit = np.iinfo(np.int64).max if created_before is None else created_before
    return int((own & (spells.start < limit)).sum())


def test_wins_of_a_known_law(whole, known):
    prediction = predict_wins(known, no_attributes(known), make_grid(known), np.array([END]))
    from_open = count_wins(whole, AS_OF, END, AS_OF)
    total = count_wins(whole, AS_OF, END)
    # Each is a count, which varies by its root.
    assert prediction.chances.sum() == pytest.approx(from_open, abs=2.5 * np.sqrt(from_open))
    assert prediction.new_wins[0] == pytest.approx(total - from_open, abs=30)
    # 6,000 deals in 360 days; the level is that of the last weeks, of about 230 deals.
    assert prediction.arrivals[0] == pytest.approx(6000 / 360 * 28, rel=2 / np.sqrt(230))


def test_later_ends_bring_more(known):
    ends = AS_OF + np.array([7, 28, 60]) * US_PER_DAY
    prediction = predict_wins(known, no_attributes(known), make_grid(known), ends)
    assert (np.diff(prediction.chances, axis=1) >= -1e-12).all()
    assert (np.diff(prediction.new_wins) > 0).all()
    assert (np.diff(prediction.new_chances) > 0).all()


def test_past_forecasts_of_a_steady_company_have_small_errors(known):
    ends = np.array([END])
    errors = measure_past_errors(known, no_attributes(known), make_grid(known), ends)
    factor = errors.factors[0]
    assert errors.forecasts == 8
    assert abs(factor.mean[0]) < 0.1
    assert factor.covariance[0, 0] < PRIOR_VARIANCE[0, 0]
    # An offer is won more often than a deal without one.
    assert not errors.knows_rate_only


def test_young_company_has_the_prior():
    young = simulate_company(deals=200, days=40)
    ends = np.array([young.as_of + 30 * US_PER_DAY])
    errors = measure_past_errors(young, no_attributes(young), make_grid(young), ends)
    assert errors.forecasts == 0
    assert (errors.factors[0].covariance == PRIOR_VARIANCE).all()


def test_deals_that_say_nothing_have_the_rate_only():
    """Every deal is won with one hazard from its first day on, whatever its stage."""
    from tests.models.forecast.companies import build_history

    rng = np.random.default_rng(5)
    starts = BEGIN + np.sort(rng.integers(0, 300 * US_PER_DAY, 4000))
    ends = starts + (rng.exponential(60, 4000) * US_PER_DAY).astype(np.int64)
    # The offer is made just before the end of time: no deal has one.
    offers = np.full(4000, BEGIN + 10_000 * US_PER_DAY)
    history = build_history(starts, offers, ends, np.full(4000, WON), AS_OF)
    spells = history.paths.spells
    history.paths.visits.end[:] = spells.end
    history.paths.visits.exit[:] = spells.exit
    errors = measure_past_errors(
        history, no_attributes(history), make_grid(history), np.array([END])
    )
    assert errors.knows_rate_only


def test_later_time_ahead_without_a_past_forecast_has_the_law_of_a_shorter_one(known):
    ends = known.as_of + np.array([20, 40, 340], np.int64) * US_PER_DAY
    factors = measure_past_errors(known, no_attributes(known), make_grid(known, 400), ends).factors
    assert factors[2] is factors[1]


def test_slope_of_factors_is_found():
    """Factors whose logs are twice too large get half of their slope, at most all of it."""
    rng = np.random.default_rng(8)
    logs, base = rng.normal(0, 1, 40_000), np.full(40_000, np.log(0.1))
    for true, expected in ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (1.7, 1.0)):
        won = rng.random(40_000) < -np.expm1(-np.exp(base + true * logs))
        slope = find_slope(base, logs, won.astype(float), np.ones(40_000))
        assert slope == pytest.approx(expected, abs=0.05)
