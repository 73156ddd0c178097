"""Derivatives of the log likelihoods, beside differences of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.purchases.bg_nbd import BgNbd
from models.purchases.parameters import fit_logs, fit_slopes
from models.purchases.pareto_nbd import ParetoNbd
from models.purchases.purchase_model import fit_purchases
from tests.models.purchases.made_histories import make_histories

STEP = 1e-4


@pytest.mark.parametrize("model", [BgNbd, ParetoNbd])
@given(
    st.lists(st.floats(-2.5, 3), min_size=4, max_size=4),
    st.integers(0, 60),
    st.floats(0.1, 150),
    st.floats(0, 1),
)
def test_slopes_are_those_of_differences(
    model: type[BgNbd] | type[ParetoNbd],
    logs: list[float],
    repeats: int,
    age: float,
    share: float,
) -> None:
    histories = make_histories((repeats, share * age if repeats else 0.0, age))
    at = np.array(logs)
    value, slopes = model.from_logs(at).differentiate_log_likelihood(histories)
    assert value == pytest.approx(model.from_logs(at).compute_log_likelihood(histories))
    assume(np.isfinite(value).all())
    for place, step in enumerate(np.eye(4) * STEP):
        high, low = (model.from_logs(at + sign * step) for sign in (1, -1))
        difference = high.compute_log_likelihood(histories) - low.compute_log_likelihood(histories)
        assert slopes[place, 0] == pytest.approx(difference[0] / (2 * STEP), rel=1e-4, abs=1e-5)


def test_fit_by_slopes_is_that_by_differences() -> None:
    random = np.random.default_rng(1)
    rows = [
        (int(n), float(last * age) if n else 0.0, float(age))
        for n, last, age in zip(
            random.poisson(random.gamma(1, 3, 300)),
            random.random(300),
            random.uniform(5, 80, 300),
            strict=True,
        )
    ]
    histories = make_histories(*rows)
    fits = fit_purchases(histories).fits
    for name, model in (("bg_nbd", BgNbd), ("pareto_nbd", ParetoNbd)):
        # The likelihood is flat where everybody leaves alike, so both must look at the same place.
        plain = fit_logs(
            lambda logs, model=model: float(
                model.from_logs(logs).compute_log_likelihood(histories).sum()
            ),
            (fits[name].logs,),
        )
        assert fits[name].log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-4)
        assert fits[name].covariance == pytest.approx(plain.covariance, rel=0.05, abs=1e-3)


def test_likelihood_without_a_value_ends_no_fit() -> None:
    fit = fit_slopes(
        lambda logs: (
            (float("nan"), np.full(1, np.nan))
            if logs[0] > 2
            else (-((logs[0] - 1) ** 2), 2 - 2 * logs)
        ),
        (np.array([5.0]), np.array([0.0])),
    )
    assert fit.logs[0] == pytest.approx(1, abs=1e-4)
