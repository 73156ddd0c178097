"""The BG/NBD model against numerical integration and simulated customers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from models.purchases.bg_nbd import BgNbd, _integrate_purchases
from tests.models.purchases.made_histories import make_histories

MODEL = BgNbd(0.6, 4.0, 0.8, 2.5)
# Without poles of the densities, which a fixed quadrature would miss.
SMOOTH = BgNbd(1.6, 4.0, 1.8, 2.5)


def integrate_history(model: BgNbd, repeats: int, last: float, age: float) -> float:
    """Return the likelihood of a history by integration over rates and chances of leaving."""
    rates = stats.gamma(model.r, scale=1 / model.alpha)
    chances = stats.beta(model.a, model.b)

    def integrate_chances(rate: float) -> float:
        alive = rate**repeats * math.exp(-rate * age)
        left = rate**repeats * math.exp(-rate * last) if repeats else 0.0

        def weigh(chance: np.ndarray) -> np.ndarray:
            stay = (1 - chance) ** repeats * alive
            leave = chance * (1 - chance) ** max(repeats - 1, 0) * left
            return (stay + leave) * chances.pdf(chance)

        return integrate.fixed_quad(weigh, 0, 1, n=150)[0] * rates.pdf(rate)

    return integrate.quad(integrate_chances, 0, 20, limit=200, epsrel=1e-9)[0]


@pytest.mark.parametrize("history", [(0, 0.0, 20.0), (1, 3.0, 20.0), (4, 18.0, 20.0)])
def test_likelihood_is_the_integral_over_customers(history: tuple[int, float, float]) -> None:
    log_likelihood = SMOOTH.compute_log_likelihood(make_histories(history))[0]
    assert math.exp(log_likelihood) == pytest.approx(integrate_history(SMOOTH, *history), rel=1e-5)


def test_predictions_are_those_of_simulated_customers() -> None:
    # 1 million customers: those with 2 repeats, the last 9 to 11 weeks after the first.
    generator = np.random.default_rng(5)
    size, age, ahead = 1_000_000, 20.0, 13.0
    rate = generator.gamma(MODEL.r, 1 / MODEL.alpha, size)
    chance = generator.beta(MODEL.a, MODEL.b, size)
    times = np.cumsum(generator.exponential(1 / rate, (25, size)), axis=0)
    stays = np.cumprod(generator.random((25, size)) >= chance, axis=0)
    happens = np.vstack([np.ones(size), stays[:-1]]) > 0
    before = happens & (times < age)
    last = np.where(before, times, 0).max(axis=0)
    rows = (before.sum(axis=0) == 2) & (last >= 9) & (last < 11)
    later = (happens & (times >= age) & (times < age + ahead))[:, rows].sum(axis=0)
    assert rows.sum() > 2_000
    histories = make_histories(*((2.0, value, age) for value in last[rows]))
    expected = MODEL.predict_purchases(histories, ahead)
    error = later.std() / math.sqrt(len(later))
    assert expected.mean() == pytest.approx(later.mean(), abs=4 * error)
    any_purchase = MODEL.predict_any(histories, ahead).mean()
    assert any_purchase == pytest.approx((later > 0).mean(), abs=4 * 0.5 / math.sqrt(len(later)))


@settings(max_examples=200)
@given(
    st.tuples(*[st.floats(0.05, 50)] * 4),
    st.integers(0, 300),
    st.floats(0, 1),
    st.floats(0.2, 500),
    st.floats(0.1, 200),
)
def test_predictions_stay_within_their_bounds(
    parameters: tuple[float, float, float, float],
    repeats: int,
    share: float,
    age: float,
    weeks: float,
) -> None:
    model = BgNbd(*parameters)
    histories = make_histories((repeats, share * age if repeats else 0.0, age))
    alive = model.predict_alive(histories)[0]
    any_purchase = model.predict_any(histories, weeks)[0]
    purchases = model.predict_purchases(histories, weeks)[0]
    rate = (model.r + repeats) / (model.alpha + age)
    assert 0 <= any_purchase <= alive <= 1
    # As many as if it never left, at most; at least one where there is any.
    assert any_purchase <= purchases * (1 + 1e-6) + 1e-9
    assert purchases <= alive * rate * weeks * (1 + 1e-6) + 1e-9


def test_singular_parameter_is_passed_smoothly() -> None:
    histories = make_histories((3, 10, 20))
    around = [
        BgNbd(0.6, 4.0, a, 2.5).predict_purchases(histories, 20)[0] for a in (0.999, 1, 1.001)
    ]
    assert around[0] > around[1] > around[2]
    assert around[1] == pytest.approx((around[0] + around[2]) / 2, rel=1e-5)


@settings(max_examples=200)
@given(
    st.tuples(st.floats(0.1, 5), st.floats(0.5, 50), st.floats(1e-3, 20), st.floats(1e-3, 20)),
    st.integers(0, 100),
    st.floats(0.5, 200),
    st.floats(0.5, 200),
)
def test_quadrature_equals_the_closed_form(
    parameters: tuple[float, float, float, float], repeats: int, age: float, weeks: float
) -> None:
    model = BgNbd(*parameters)
    assume(abs(model.a - 1) > 1e-3)
    histories = make_histories((repeats, age / 2 if repeats else 0.0, age))
    shape, rate = np.array([model.r + repeats]), np.array([model.alpha + age])
    found = _integrate_purchases(shape, rate, model.a, np.array([model.b + repeats]), weeks)
    closed = model.predict_purchases(histories, weeks) / model.predict_alive(histories)
    assert found[0] == pytest.approx(closed[0], rel=1e-5)


@pytest.mark.parametrize(
    "model", [BgNbd(0.5, 5, 1e5, 2e6), BgNbd(0.5, 5, 1e-5, 3), BgNbd(1, 1, 2, 1)]
)
def test_expected_purchases_of_extreme_parameters_are_finite(model: BgNbd) -> None:
    histories = make_histories((0, 0, 20), (5, 10, 20), (99, 20, 20))
    expected = model.predict_purchases(histories, 50)
    alive, rate = model.predict_alive(histories), (model.r + histories.repeats) / (model.alpha + 20)
    assert (expected > 0).all()
    assert (expected <= alive * rate * 50 * (1 + 1e-6)).all()
