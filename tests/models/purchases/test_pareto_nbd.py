"""The Pareto/NBD model against its closed form, numerical integration and simulated customers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import gammaln, hyp2f1

from models.purchases.pareto_nbd import ParetoNbd
from tests.models.purchases.made_histories import make_histories, simulate_counts

MODEL = ParetoNbd(0.6, 9.0, 0.7, 12.0)


def compute_closed_form(model: ParetoNbd, repeats: float, last: float, age: float) -> float:
    """Return the log likelihood by the hypergeometric functions of Fader and Hardie (2005)."""
    r, alpha, s, beta = model.r, model.alpha, model.s, model.beta
    greater, third = max(alpha, beta), s + 1 if alpha >= beta else r + repeats

    def term(time: float) -> float:
        power = (greater + time) ** (r + s + repeats)
        share = abs(alpha - beta) / (greater + time)
        return hyp2f1(r + s + repeats, third, r + s + repeats + 1, share) / power

    stays = (alpha + age) ** -(r + repeats) * (beta + age) ** -s
    inner = stays + s / (r + s + repeats) * (term(last) - term(age))
    scale = gammaln(r + repeats) - gammaln(r) + r * math.log(alpha) + s * math.log(beta)
    return scale + math.log(inner)


@settings(max_examples=300)
@given(
    st.tuples(st.floats(0.1, 5), st.floats(0.5, 60), st.floats(0.1, 5), st.floats(0.5, 60)),
    st.integers(0, 20),
    st.floats(0.05, 1),
    st.floats(1, 100),
)
def test_likelihood_is_that_of_the_closed_form(
    parameters: tuple[float, float, float, float], repeats: int, share: float, age: float
) -> None:
    model = ParetoNbd(*parameters)
    history = (repeats, share * age if repeats else 0.0, age)
    log_likelihood = model.compute_log_likelihood(make_histories(history))[0]
    # The closed form is a difference, which loses the digits that the quadrature keeps.
    assert log_likelihood == pytest.approx(compute_closed_form(model, *history), abs=1e-5)


@pytest.mark.parametrize("history", [(0, 0.0, 30.0), (60, 200.0, 400.0), (300, 39.9, 40.0)])
@pytest.mark.parametrize("model", [MODEL, ParetoNbd(0.3, 2.0, 3.0, 0.05)])
def test_likelihood_of_a_far_history_is_the_integral(
    model: ParetoNbd, history: tuple[int, float, float]
) -> None:
    repeats, last, age = history

    def integrand(time: float) -> float:
        power = (model.r + repeats) * math.log((model.alpha + time) / (model.alpha + last))
        return math.exp(
            -power - (model.s + 1) * math.log((model.beta + time) / (model.beta + last))
        )

    points = np.geomspace(1e-4, age - last, 40) + last
    edges = [last, *points]
    area = sum(integrate.quad(integrand, low, high)[0] for low, high in itertools.pairwise(edges))
    alive = model.predict_alive(make_histories(history))[0]
    stays = integrand(age) * (model.beta + age)
    assert alive == pytest.approx(stays / (stays + model.s * area), rel=1e-6)


def test_predictions_are_those_of_simulated_customers() -> None:
    generator = np.random.default_rng(8)
    size, age = 3_000_000, 26.0
    rate = generator.gamma(MODEL.r, 1 / MODEL.alpha, size)
    life = generator.exponential(1 / generator.gamma(MODEL.s, 1 / MODEL.beta, size))
    repeats, last, later = simulate_counts(rate, life, np.full(size, age), generator)
    rows = (repeats == 2) & (last >= 11) & (last < 15)
    assert rows.sum() > 5_000
    histories = make_histories(*((2.0, value, age) for value in last[rows]))
    later = later[rows]
    expected = MODEL.predict_purchases(histories, age)
    assert expected.mean() == pytest.approx(
        later.mean(), abs=4 * later.std() / math.sqrt(len(later))
    )
    any_purchase = MODEL.predict_any(histories, age).mean()
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
    model = ParetoNbd(*parameters)
    histories = make_histories((repeats, share * age if repeats else 0.0, age))
    alive = model.predict_alive(histories)[0]
    any_purchase = model.predict_any(histories, weeks)[0]
    purchases = model.predict_purchases(histories, weeks)[0]
    rate = (model.r + repeats) / (model.alpha + age)
    assert 0 <= any_purchase <= alive <= 1
    assert any_purchase <= purchases * (1 + 1e-6) + 1e-9
    assert purchases <= alive * rate * weeks * (1 + 1e-6) + 1e-9
